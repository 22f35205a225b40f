"""What the features are like before labels are read out of them: measures, likeness, t-SNE, nearest neighbours."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from markupsafe import Markup
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure

from swath.products import words
from swath.products.draw.figures import as_csv
from swath.products.draw.pictures import Pictures
from swath.products.draw.style import MUTED, WIDTH, blank, colour, shorten, styled, svg
from swath.products.report._rows import of_now, or_noted
from swath.products.report.sections import Material, Section, beside
from swath.tasks.schema import CLOSEST, LIKENESS, PLANE, PROPERTIES

COLOURED = {"label": "class", "group": "group", "date": "date", "sensor": "sensor"}
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
    whose = "What the features are like", "swath represent"
    if len(of_now(material.run, properties, material.problems, *whose)) < max(1, len(properties)):
        return None
    first = properties.iloc[0]
    alone = len(set(properties["input"])) == 1
    looks = [_name(row, name, alone=alone) for row, name in properties[["row", "input"]].itertuples(index=False)]
    return {
        "about": " · ".join([str(first["task"]), ", ".join(properties["input"].unique()), f"seed {first['seed']}"]),
        "locations": words.count(int(first["locations"])),
        "rows": [_shown(look, line) for look, line in zip(looks, properties.to_dict("records"), strict=True)],
        "likeness": _matrix(likeness, looks, alone=alone),
        "planes": _planes(plane, alone=alone),
        "sheets": _sheets(closest, material, alone=alone),
        "csv": {
            "properties": as_csv(properties),
            "likeness": as_csv(likeness),
            "plane": as_csv(plane),
            "closest": as_csv(closest),
        },
    }


def _name(row: str, inputs: str, *, alone: bool) -> str:
    """Name of a row, with its input where there are several."""
    return row if alone or not inputs else f"{row} · {inputs}"


def _shown(look: str, record: Any) -> dict[str, str]:
    ranks = {name: words.number(record[name]) for name in ("rankme", "effective_rank", "intrinsic_dimension")}
    plain = {name: words.number(record[name], 3) for name in ("alignment", "uniformity", "nmi", "ari")}
    return {
        "row": look,
        "dims": words.count(int(record["dims"])),
        "retrieval_map": words.percent(record["retrieval_map"]),
        "group_map": words.percent(record["group_map"]),
        **ranks,
        **plain,
    }


def _matrix(likeness: pd.DataFrame, looks: Sequence[str], *, alone: bool) -> dict[str, Any]:
    """CKA of each row with every other and with indices; the diagonal is 1."""
    known = {(look, look): 1.0 for look in looks}
    for line in likeness.to_dict("records"):
        a = _name(line["row"], line["input"], alone=alone)
        b = _name(line["other"], line["other_input"], alone=alone)
        known[a, b] = known[b, a] = line["cka"]
    columns = [*looks, *dict.fromkeys(likeness.loc[likeness["other_input"] == "", "other"])]
    cells = [(look, [words.number(known.get((look, name), np.nan), 2) for name in columns]) for look in looks]
    return {"columns": columns, "rows": cells}


def _planes(plane: pd.DataFrame, *, alone: bool) -> list[tuple[str, list[Markup]]]:
    """t-SNE of every row, once for each colouring that tells anything apart."""
    shown = []
    parts = [part for _, part in plane.groupby(["row", "plane"], sort=False) if _is_known(part)]
    for column, name in COLOURED.items():
        values = pd.Series([str(value)[: 7 if column == "date" else None] for value in plane[column]], plane.index)
        shades = _shades(values)
        drawn = []
        for i, part in enumerate(parts):
            if values.loc[part.index].nunique() < 2:
                continue
            title = _name(part["row"].iloc[0], part["plane"].iloc[0], alone=alone)
            with styled():
                figure = plane_figure(part, values.loc[part.index], shades, title)
                drawn.append(svg(figure, f"plane-{column}-{i}", f"t-SNE of {title}, coloured by {name}"))
        if drawn:
            shown.append((name, drawn))
    return shown


def _is_known(part: pd.DataFrame) -> bool:
    return bool(np.isfinite(part[["x", "y"]].to_numpy(float)).all())


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


def _sheets(closest: pd.DataFrame, material: Material, *, alone: bool) -> list[dict[str, Any]]:
    """Locations and their nearest others as pictures, of the first rows; none without the corpus."""
    if material.corpus is None:
        return []
    looks = [part for _, part in closest.groupby(["input", "row"], sort=False)][:SHEETS]
    some = pd.concat(looks)
    shots = Pictures(material.corpus).of([*some["query"], *some["uid"]])
    return [
        {
            "row": _name(part["row"].iloc[0], part["input"].iloc[0], alone=alone),
            "queries": [
                [(uid, shots.get(uid, [])[:1]) for uid in (str(query), *own.sort_values("rank")["uid"])]
                for query, own in part.groupby("query", sort=False)
            ],
        }
        for part in looks
    ]


SECTION = Section("What the features are like", 65, content, beside(__file__), link="Features")
