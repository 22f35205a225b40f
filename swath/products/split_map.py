"""Where a split's parts lie, as a map, and what the split lets through, in words."""

from pathlib import Path

import numpy as np
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure

from swath.corpus import Corpus, Leakage
from swath.corpus.splits import nearest_train_km
from swath.errors import CorpusError
from swath.products.draw.maps import location_map
from swath.products.draw.style import png, styled
from swath.products.words import count

PARTS = ("train", "val", "test", "unused")
DPI = 160


def split_map(corpus: Corpus, rows: dict[str, np.ndarray], to: Path) -> Path:
    """Draw where the parts of a split lie, and how near training and test locations are to each other.

    Args:
        corpus: with coordinates.
        rows: from `corpus.split`.
        to: PNG or SVG file.

    Raises:
        CorpusError: no location has coordinates, another ending, or the file cannot be written.
    """
    if to.suffix.lower() not in {".png", ".svg"}:
        raise CorpusError(
            f"a map is no {to.suffix or 'file without an ending'}", where=str(to), remedy="use .png or .svg"
        )
    with styled():
        figure = _draw(corpus, rows)
        try:
            to.parent.mkdir(parents=True, exist_ok=True)
            if to.suffix.lower() == ".png":
                to.write_bytes(png(figure, DPI))
            else:
                FigureCanvasSVG(figure).print_svg(str(to), metadata={"Date": None})
        except OSError as error:
            raise CorpusError(f"cannot write the map: {error.strerror}", where=str(to)) from error
    return to


def _draw(corpus: Corpus, rows: dict[str, np.ndarray]) -> Figure:
    lon, lat = (corpus.locations[name].to_numpy(float) for name in ("lon", "lat"))
    part = np.full(len(corpus), PARTS.index("unused"))
    for name, index in rows.items():
        part[index] = PARTS.index(name)
    placed = np.isfinite(lon) & np.isfinite(lat)
    if not placed.any():
        remedy = "only locations with coordinates can be on a map"
        raise CorpusError("no location has coordinates", where=str(corpus.path), remedy=remedy)
    figure = location_map(lon[placed], lat[placed], part[placed])
    figure.set_size_inches(5.4, 4.4)
    axes = figure.axes[0]
    shown = [i for i in range(len(PARTS)) if (part == i).any()]
    for drawn, i in zip(axes.collections, np.unique(part[placed]), strict=True):
        drawn.set_label(f"{PARTS[i]} ({count(int((part == i).sum()))})")
    figure.legend(loc="outside lower center", ncols=len(shown))
    apart = nearest_train_km(corpus, rows)
    axes.set_title(f"nearest train–test distance {distance(float(apart.min()))}" if len(apart) else "Locations")
    return figure


def audit_rows(audit: Leakage) -> list[tuple[str, str]]:
    """Findings of a leakage audit as rows of a table: what was measured, and the value in words."""
    rows = [
        (part, f"{count(number)} locations in {count(audit.groups[part])} groups")
        for part, number in audit.locations.items()
    ]
    if audit.nearest_km is not None and audit.median_km is not None:
        rows.append(("nearest train–test distance", distance(audit.nearest_km)))
        rows.append(("median over test locations", distance(audit.median_km)))
    rows.append(("groups on both sides", count(audit.shared_groups)))
    rows.append(("locations outside train with pixels that train has", count(audit.copies)))
    return rows


def distance(km: float) -> str:
    """A distance in words: in metres below 10 km, in kilometres above."""
    return f"{1000 * km:,.0f} m".replace(",", " ") if km < 10 else f"{km:,.1f} km".replace(",", " ")
