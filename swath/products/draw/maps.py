"""Maps of locations: where a corpus, the parts of its split, or a plan lie."""

from pathlib import Path

import geopandas as gpd
import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator

from swath._files import replacing
from swath.corpus.places import shapes
from swath.products.draw.style import DATA, blank, colour


def location_map(lon: np.ndarray, lat: np.ndarray, part: np.ndarray) -> Figure:
    """A map of locations in degrees, coloured by split; `part` is the position of each location's split."""
    figure, axes = blank(height=2.8)
    for i in np.unique(part):
        here = part == i
        size = float(np.clip(2000 / len(lon), 1.5, 16))
        mark = {"color": colour(DATA + int(i)), "marker": "os^D"[int(i) % 4], "linewidth": 0, "alpha": 0.85}
        axes.scatter(lon[here], lat[here], s=size, rasterized=len(lon) > 1500, **mark)
    middle = np.radians(np.clip(lat.mean(), -80, 80))
    axes.set_aspect(1 / np.cos(middle), adjustable="datalim")
    for axis, ends in ((axes.xaxis, "EW"), (axes.yaxis, "NS")):
        axis.set_major_formatter(FuncFormatter(lambda v, _, ends=ends: _degrees(v, ends)))
        axis.set_major_locator(MaxNLocator(4))
    axes.set_title("Locations")
    return figure


def _degrees(value: float, ends: str) -> str:
    return f"{abs(round(value, 4)):g}°{ends[0] if value >= 0 else ends[1]}"


def plan_map(plan: gpd.GeoDataFrame, path: Path, land: Path | None = None) -> None:
    """Draw the centres of a plan in longitude and latitude over a graticule, and over land if a file of it is given."""
    lon, lat = plan["lon"].to_numpy(float), plan["lat"].to_numpy(float)
    if np.ptp(lon) > 180 and np.ptp(lon % 360) < 180:
        lon = lon % 360  # both sides of the antimeridian are neighbours
    margin = max(0.05 * max(np.ptp(lon), np.ptp(lat)), 0.05)
    # a map of the globe in plate carrée is twice as wide as it is high
    stretch = 1 / max(np.cos(np.radians(np.clip(lat.mean(), -75, 75))), 0.25) if np.ptp(lat) < 60 else 1.0
    figure = Figure(figsize=(10, 5.5), dpi=120, layout="constrained")
    axes = figure.add_subplot()
    if land is not None:
        shapes(land, "land").plot(ax=axes, color="#e8e4da", edgecolor="#8c8775", linewidth=0.4)
    size = float(np.clip(2000 / len(plan), 0.2, 12))
    axes.scatter(lon, lat, s=size, color="#0b6e6e", linewidths=0)
    axes.set(xlim=(lon.min() - margin, lon.max() + margin), ylim=(lat.min() - margin, lat.max() + margin))
    axes.set(xlabel="longitude (degrees)", ylabel="latitude (degrees)", title=f"{len(plan):,} locations")
    axes.set_aspect(stretch, adjustable="box")
    axes.grid(color="#cccccc", linewidth=0.4)
    axes.set_axisbelow(True)
    with replacing(path) as temporary:
        figure.savefig(temporary, format="png")
