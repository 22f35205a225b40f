"""A card of each arm: what its encoders take, what they saw, what came out, and where it ends."""

from collections.abc import Mapping
from typing import Any

from swath._files import file_name
from swath.errors import SwathError
from swath.products import words
from swath.products.report._cards import as_json, model_card
from swath.products.report.sections import Material, Section, beside


def content(material: Material) -> dict[str, Any] | None:
    """The cards, as tables and as JSON; None where nothing is pre-trained."""
    cards = [card for arm in material.run.arms if (card := _card(material, arm)) is not None]
    if not cards:
        return None
    files = {f"model-{file_name(card['name'])}.json": as_json(card) for card in cards}
    return {"models": [_shown(card) for card in cards], "files": files}


def _card(material: Material, arm: str) -> dict[str, Any] | None:
    run = material.run
    try:
        card = model_card(run, material.panels, material.corpus, arm)
    except SwathError as error:
        material.problems.append(f"The encoder {arm} has no card: {error.what} ({error.where})")
        return None
    return card if card["seeds"] or card["results"] else None


def _shown(card: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "name": card["name"],
        "facts": [(name, value) for name, value in _facts(card) if value],
        "bands": [
            {
                "band": band["band"],
                "unit": band["unit"],
                "mean": words.significant(band["mean"]),
                "std": words.significant(band["std"]),
                "pixel": f"{band['pixel_m']:g}{words.NO_BREAK}m" if band["pixel_m"] else words.DASH,
            }
            for band in (card["input"] or {}).get("bands", ())
        ],
        "limits": card["limits"],
        "file": f"model-{file_name(card['name'])}.json",
    }


def _facts(card: Mapping[str, Any]) -> list[tuple[str, str]]:
    seen, encoder = card["trained_on"] or {}, card["encoder"] or {}
    where, counts = seen.get("box"), seen.get("locations_per_training")
    return [
        ("Encoder", " ".join(str(encoder[key]) for key in ("name", "model") if encoder.get(key))),
        ("Method", str((card["method"] or {}).get("name", ""))),
        ("Takes", card["input"]["takes"] if card["input"] else ""),
        ("Trainings", ", ".join(f"seed {seed}" for seed in card["seeds"])),
        ("Locations seen", _spread(counts) if counts else ""),
        ("Where", " ".join(f"{value:.2f}°" for value in where) + " (west, south, east, north)" if where else ""),
        ("Dates", " to ".join(dict.fromkeys(seen.get("period") or ()))),
        ("Results", "; ".join(_result(one) for one in card["results"][:SHOWN]) + _more(card["results"])),
    ]


SHOWN = 3
"""Largest number of results in a card of the page; the file has all."""


def _more(results: list[Any]) -> str:
    return f"; {len(results) - SHOWN} more in the file" if len(results) > SHOWN else ""


def _spread(counts: list[int]) -> str:
    low, high = counts
    return words.count(low) if low == high else f"{words.count(low)} to {words.count(high)} in each training"


def _result(one: Mapping[str, Any]) -> str:
    value = words.score(one["metric"], one["value"])
    interval = words.score_interval(one["metric"], one["low"], one["high"])
    where = " · ".join((one["task"], one["input"], one["probe"]))
    return f"{words.metric_in_unit(one['metric'], one['unit'])} {value} (95 % interval {interval}) on {where}"


SECTION = Section("Model cards", 68, content, beside(__file__), link="Models")
