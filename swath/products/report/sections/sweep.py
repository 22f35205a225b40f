"""A sweep: what each level of each axis does, pairs of axes as heat maps, costs of arms, and the best one once more."""

from typing import Any

import numpy as np
import pandas as pd

from swath.products import words
from swath.products.draw.figures import Drawn, drawn
from swath.products.draw.style import styled
from swath.products.draw.sweeps import effects_chart, heat_map
from swath.products.report.sections import Material, Section, beside
from swath.products.tables import Confirmation
from swath.sweep import PANEL, ranked

DEAREST = 60
"""Largest number of arms in the table of costs; arms.csv has all."""


def content(material: Material) -> dict[str, Any] | None:
    """Charts and tables of a sweep; None of any other run, or while its effects are not known."""
    sweep = material.run.sweep
    if sweep is None:
        return None
    panels = [_panel(i, *part) for i, part in enumerate(sweep.effects.groupby(list(PANEL), sort=False))]
    return {
        "panels": panels,
        "arms": _ranked(sweep.arms),
        "left_out": max(0, sweep.arms["arm"].nunique() - DEAREST),
        "unequal": sweep.samples_differ,
        "untold": sweep.panels_without_effects,
        "confirmed": _confirmed(sweep.confirmation),
    }


def _panel(i: int, key: Any, effects: pd.DataFrame) -> dict[str, Any]:
    task, name, probe, metric = key
    alone, pairs = effects.loc[effects["other_axis"] == ""], effects.loc[effects["other_axis"] != ""]
    per_cent = ", in per cent" if words.is_share(metric) else ""
    return {
        "title": f"{task} · {name} · {probe} probe · {words.metric(metric)}",
        "main": _chart(f"sweep{i}", alone),
        "lines": [_line(line) for line in alone.to_dict("records")],
        "pairs": [
            {
                "title": f"{first} and {second}",
                "figure": _heat_map(f"sweep{i}-{n}", part, f"{first} and {second}: expected value with both{per_cent}"),
                "lines": [_line(line) for line in part.to_dict("records")],
            }
            for n, ((first, second), part) in enumerate(pairs.groupby(["axis", "other_axis"], sort=False))
        ],
        "note": str(effects["note"].iloc[0]),
    }


def _line(line: dict[Any, Any]) -> dict[str, str]:
    other = f" with {line['other_axis']}: {line['other_level']}" if line["other_axis"] else ""
    return {
        "level": f"{line['axis']}: {line['level']}{other}",
        "mean": words.score(line["metric"], line["mean"]),
        "effect": words.gain(line["metric"], line["effect"]),
        "interval": words.gain_interval(line["metric"], line["low"], line["high"]),
        "p": words.p_cell(line["p"]),
        "arms": str(line["arms"]),
    }


def _chart(name: str, effects: pd.DataFrame) -> Drawn:
    lines = effects.to_dict("records")
    said = ", ".join(f"{line['axis']} {line['level']} {words.gain(line['metric'], line['effect'])}" for line in lines)
    with styled():
        return drawn(effects_chart(lines), name, f"Effect of each level in points: {said}", effects)


def _heat_map(name: str, pairs: pd.DataFrame, title: str) -> Drawn:
    means = pairs.pivot(index="level", columns="other_level", values="mean")
    means = means.loc[pairs["level"].unique(), pairs["other_level"].unique()]
    first, second = pairs["axis"].iloc[0], pairs["other_axis"].iloc[0]
    metric, highest = str(pairs["metric"].iloc[0]), pairs.loc[pairs["mean"].idxmax()]
    with styled():
        alt = (
            f"{words.metric(metric)} by {first} and {second}; highest: {highest['level']} with {highest['other_level']}"
        )
        figure = heat_map(means, first, second, share=words.is_share(metric))
        return drawn(figure, name, f"{alt}, {words.score(metric, highest['mean'])}", pairs, title)


def _ranked(arms: pd.DataFrame) -> list[dict[str, str]]:
    """The arms of the first panel, best first, with what one training took."""
    return [
        {
            "arm": str(line["arm"]),
            "value": words.score(line["metric"], line["value"]),
            "interval": words.score_interval(line["metric"], line["low"], line["high"]),
            "seconds": words.duration(line["seconds"]) if np.isfinite(line["seconds"]) else words.DASH,
            "samples": f"{line['samples']:,.0f}" if np.isfinite(line["samples"]) else words.DASH,
        }
        for line in ranked(arms).head(DEAREST).to_dict("records")
    ]


def _confirmed(found: Confirmation | None) -> dict[str, Any] | None:
    """The best arm in the sweep and with fresh seeds, as the template shows them."""
    if found is None:
        return None
    return {
        "arm": found.arm,
        "in_sweep": words.score(found.metric, found.in_sweep),
        "fresh": words.score(found.metric, found.fresh),
        "interval": words.score_interval(found.metric, found.low, found.high),
        "other_places": found.other_places,
        "trainings": found.trainings,
    }


SECTION = Section("What each choice does", 12, content, beside(__file__), link="Sweep")
