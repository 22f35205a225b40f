"""What the features are like before labels are read out of them: measures, likeness, t-SNE, nearest neighbours."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from markupsafe import Markup
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure

from swath.products import words
from swath.products.draw.pictures import Pictures
from swath.products.draw.style import MUTED, WIDTH, blank, colour, shorten, styled, svg
from swath.products.report._rows import as_csv, or_noted
from swath.products.report.sections import Material, Section, beside
from swath.tasks.schema import CLOSEST, LIKENESS, PLANE, PROPERTIES

COLOURED = {"label": "class", "group": "group", "date": "date"}
"""Columns by which t-SNE is coloured, and what they are called."""
NAMED = 8
"""Largest number of values with a colour of their own; rarer ones are grey."""
SHEETS = 2
"""Largest number of rows whose neighbours are shown as pictures."""


def content(material: Material) -> dict[str, Any] | None:
    """Tables and figures of `represent/`; None where it is not there."""
    if not (material.run.path / "represent" / PROPERTIES.file).is_file():
        return None
    return or_noted(material.problems, "The representation", lambda: _content(material))


def _content(material: Material) -> dict[str, Any] | None:
    folder = material.run.path / "represent"
    tables = [table.read(folder) for table in (PROPERTIES, LIKENESS, PLANE, CLOSEST)]
    properties, likeness, plane, closest = tables
    if properties.empty:
        return None
    first = properties.iloc[0]
    return {
        "about": f"{first['task']} · {first['input']} · seed {first['seed']}",
        "locations": words.count(int(first["locations"])),
        "rows": [_shown(record) for record in properties.to_dict("records")],
        "likeness": _matrix(likeness, list(properties["row"])),
        "planes": _planes(plane, list(properties["row"])),
        "sheets": _sheets(closest, material),
        "csv": {
            "properties": as_csv(properties),
            "likeness": as_csv(likeness),
            "plane": as_csv(plane),
            "closest": as_csv(closest),
        },
    }


def _shown(record: Any) -> dict[str, str]:
    ranks = {name: words.number(record[name]) for name in ("rankme", "effective_rank", "intrinsic_dimension")}
    plain = {name: words.number(record[name], 3) for name in ("alignment", "uniformity", "nmi", "ari")}
    return {
        "row": record["row"],
        "dims": words.count(int(record["dims"])),
        "retrieval_map": words.percent(record["retrieval_map"]),
        **ranks,
        **plain,
    }


def _matrix(likeness: pd.DataFrame, rows: Sequence[str]) -> dict[str, Any]:
    """CKA of each row with every other and with indices; the diagonal is 1."""
    known = {(a, b): cka for a, b, cka in likeness[["row", "other", "cka"]].itertuples(index=False)}
    known |= {(b, a): cka for (a, b), cka in known.items()} | {(row, row): 1.0 for row in rows}
    columns = [*rows, *(name for name in dict.fromkeys(likeness["other"]) if name not in rows)]
    cells = [(row, [words.number(known.get((row, name), np.nan), 2) for name in columns]) for row in rows]
    return {"columns": columns, "rows": cells}


def _planes(plane: pd.DataFrame, rows: Sequence[str]) -> list[tuple[str, list[Markup]]]:
    """t-SNE of every row, once for each colouring that tells anything apart."""
    shown = []
    for column, name in COLOURED.items():
        values = plane[column].str[:7] if column == "date" else plane[column]  # dates by month
        if values.nunique() < 2:
            continue
        shades = _shades(values)
        drawn = []
        for i, row in enumerate(rows):
            own = plane["row"] == row
            if not np.isfinite(plane.loc[own, ["x", "y"]].to_numpy(float)).all():
                continue
            with styled():
                figure = plane_figure(plane.loc[own], values.loc[own], shades, row)
                drawn.append(svg(figure, f"plane-{column}-{i}", f"t-SNE of {row}, coloured by {name}"))
        shown.append((name, drawn))
    return shown


def _shades(values: pd.Series) -> dict[str, str]:
    """A colour for each of the most frequent values, by name; the others have none."""
    most = values.value_counts(sort=False).sort_index().sort_values(ascending=False, kind="stable").index[:NAMED]
    return {str(value): colour(i) for i, value in enumerate(sorted(map(str, most)))}


def plane_figure(points: pd.DataFrame, values: pd.Series, shades: dict[str, str], title: str) -> Figure:
    """Points in the plane by the colours of their values; use inside `styled`."""
    figure, axes = blank(height=WIDTH)
    dots = np.array([to_rgb(shades.get(str(value), MUTED)) for value in values])
    axes.scatter(points["x"], points["y"], s=5, c=dots, linewidths=0, rasterized=True)
    for value, shade in shades.items():
        axes.scatter([], [], s=14, color=shade, label=shorten(value, 18))
    axes.set_title(shorten(title, 40))
    axes.set_xticks([])
    axes.set_yticks([])
    axes.legend(fontsize=6.5, ncol=2, loc="upper center", bbox_to_anchor=(0.5, -0.02))
    return figure


def _sheets(closest: pd.DataFrame, material: Material) -> list[dict[str, Any]]:
    """Locations and their nearest others as pictures, of the first rows; none without the corpus."""
    if material.corpus is None:
        return []
    rows = list(dict.fromkeys(closest["row"]))[:SHEETS]
    some = closest.loc[closest["row"].isin(rows)]
    shots = Pictures(material.corpus).of([*some["query"], *some["uid"]])
    return [
        {
            "row": row,
            "queries": [
                [(uid, shots.get(uid, [])[:1]) for uid in (query, *own.sort_values("rank")["uid"])]
                for query, own in some.loc[some["row"] == row].groupby("query", sort=False)
            ],
        }
        for row in rows
    ]


SECTION = Section("What the features are like", 65, content, beside(__file__), link="Features")
