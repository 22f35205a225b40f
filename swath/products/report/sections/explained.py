"""Why rows say what they say: the same locations, a column a row, a table for each method of attribution."""

from collections import Counter
from typing import Any

import pandas as pd

from swath.products import words
from swath.products.draw.pictures import Pictures
from swath.products.report._rows import MOST, or_noted
from swath.products.report.sections import Material, Section, beside
from swath.products.report.sections._attributions import maps_of, methods_of, picture_of

LOCATIONS = 12
"""Largest number of locations in a table."""
CHECKED = ("deletion", "random_deletion", "insertion", "random_insertion", "shuffled_weights")


def content(material: Material) -> dict[str, Any] | None:
    """Tables of maps with their checks; None where nothing was explained."""
    return or_noted(material.problems, "What was explained", lambda: _content(material))


def _content(material: Material) -> dict[str, Any] | None:
    maps = maps_of(material.run, material.problems)
    if maps.empty:
        return None
    pictures = Pictures(material.corpus) if material.corpus else None
    panels = [_panel(key, part, pictures) for key, part in maps.groupby(["task", "input", "probe"], sort=False)]
    return {"panels": panels, "checks": _checks(material)}


def _panel(key: Any, maps: pd.DataFrame, pictures: Pictures | None) -> dict[str, Any]:
    rows, uids = (list(maps[name].unique()) for name in ("row", "uid"))
    # locations at which most rows were explained come first
    shared = Counter(uid for uid, _ in set(zip(maps["uid"], maps["row"], strict=True)))
    uids = sorted(uids, key=lambda uid: -shared[uid])[:LOCATIONS]
    return {
        "title": " · ".join(key),
        "rows": rows[:MOST],
        "shots": pictures.of(uids) if pictures else {},
        "uids": uids,
        "methods": [(name, _cells(maps.loc[maps["method"] == name])) for name in methods_of(maps)],
        "left_out": max(0, maps["uid"].nunique() - LOCATIONS),
    }


def _cells(maps: pd.DataFrame) -> dict[tuple[str, str], dict[str, Any]]:
    return {
        (line["uid"], line["row"]): {
            "picture": picture_of(line),
            "said": line["explained"],
            "sure": words.percent(float(line["probability"]), 0),
        }
        for line in maps.to_dict("records")
    }


def _checks(material: Material) -> list[dict[str, Any]]:
    """Means over the locations of each row and method: whether what is said falls with what a map points at."""
    lines = []
    for file in sorted((material.run.path / "explained").glob("**/checks.csv")):
        key = pd.read_parquet(file.with_name("attributions.parquet"))
        if not material.run.of_now(key).all():
            continue
        where = " · ".join(key.iloc[0][["task", "input", "probe"]])
        for checked, part in pd.read_csv(file).groupby(["method", "removed"], sort=False):
            method, removed = checked if isinstance(checked, tuple) else ("", "")
            means = {name: words.number(part[name].to_numpy(float).mean(), 2) for name in CHECKED}
            about = {"row": key["row"].iloc[0], "where": where, "method": method, "removed": removed}
            lines.append(about | means | {"n": len(part)})
    return lines


SECTION = Section("Why it says so", 52, content, beside(__file__), link="Why")
