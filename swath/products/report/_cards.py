"""Data card and model cards: what a corpus holds and what an encoder was made of, as plain JSON."""

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from swath import sensors
from swath.corpus import Corpus
from swath.corpus.splits import Leakage
from swath.encoders import EncoderCard, load_card, load_seen
from swath.products import words
from swath.products.tables import Panel, Run

FORMAT = 1
MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


def as_json(card: Mapping[str, Any]) -> str:
    """A card as JSON; what is not finite is null."""
    return json.dumps(_plain(card), indent=1, ensure_ascii=False, allow_nan=False)


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(key): _plain(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(inner) for inner in value]
    if isinstance(value, np.generic):
        return _plain(value.item())
    return None if isinstance(value, float) and not math.isfinite(value) else value


# -- the corpus ----------------------------------------------------------------------------------------------------


def data_card(run: Run, corpus: Corpus, parts: pd.Series, audit: Leakage | None) -> dict[str, Any]:
    """What a corpus holds: bands and units, places and dates, parts, labels, and what it cannot say.

    Args:
        run: that used it.
        corpus: the corpus.
        parts: name of each location's part of the split; null where it is in none.
        audit: how near training and test data are, where known.
    """
    info = corpus.info
    return {
        "kind": "data card",
        "format": FORMAT,
        "content_hash": str((run.manifest.get("corpus") or {}).get("hash") or corpus.content_hash),
        "source": (run.recipe.get("corpus") or {}).get("source"),
        "licences": list(info.licences),
        "locations": len(corpus.locations),
        "groups": len(set(corpus.locations["group"])),
        "box": box(corpus.locations),
        "chip_px": info.chip_px,
        "chips": len(corpus.chips),
        "sensors": {name: _sensor(corpus, name) for name in info.sensors},
        "labels": {name: list(layer.classes.values()) for name, layer in corpus.label_layers.items()},
        "parts": {str(name): int(count) for name, count in parts.dropna().value_counts(sort=False).items()},
        "nearest_km": audit.nearest_km if audit else None,
        "shared_groups": audit.shared_groups if audit else None,
        "copies": audit.copies if audit else None,
        "limits": _data_limits(corpus),
    }


def _sensor(corpus: Corpus, name: str) -> dict[str, Any]:
    layout = corpus.info.sensors[name]
    chips = pd.DataFrame(corpus.chips[corpus.chips["sensor"] == name])
    # of locations without a chip of it there are none
    dates = np.bincount(chips["location"].to_numpy(np.int64), minlength=len(corpus.locations))
    return {
        "title": sensors.get(name).title,
        "pixel_m": layout.gsd_m,
        "bands": [_band(f"{name}/{band}") for band in layout.bands],
        "chips": len(chips),
        "dates_per_location": [int(dates.min()), int(dates.max())] if len(chips) else None,
        "period": period(pd.Series(chips["datetime"])),
        "usable": float(np.mean(np.asarray(chips["valid"], float))) if len(chips) else None,
    }


def _band(key: str) -> dict[str, Any]:
    found = sensors.band(key)
    return {"band": key, "unit": found.unit, "centre_um": found.centre_um}


def box(places: pd.DataFrame) -> list[float] | None:
    """West, south, east and north of the centres in degrees, west > east across the antimeridian; None without any."""
    lon, lat = (places[name].to_numpy(float) for name in ("lon", "lat"))
    lon, lat = lon[np.isfinite(lon)], lat[np.isfinite(lat)]
    if not len(lon) or not len(lat):
        return None
    # the box begins behind the widest gap between neighbours on the circle
    ordered = np.sort(np.unique(lon % 360))
    gap = int(np.argmax(np.diff([*ordered, ordered[0] + 360])))
    west, east = ordered[(gap + 1) % len(ordered)], ordered[gap]
    return [round(float(v), 5) for v in (_signed(west), lat.min(), _signed(east), lat.max())]


def _signed(lon: float) -> float:
    return lon - 360 if lon > 180 else lon


def period(when: pd.Series) -> list[str] | None:
    """First and last date; None where nothing is dated."""
    when = when.dropna()
    return [f"{when.min():%Y-%m-%d}", f"{when.max():%Y-%m-%d}"] if len(when) else None


def _data_limits(corpus: Corpus) -> list[str]:
    dated = pd.Series(corpus.chips["datetime"]).dropna()
    limits = [_unseen_months(dated)] if len(dated) else ["No chip has a date: nothing can be said of seasons."]
    if box(corpus.locations) is None:
        limits.append("No location has coordinates: nothing can be said of distances between the parts.")
    if bool(np.isnan(np.asarray(corpus.chips["cloud"], float)).all()):
        limits.append("Nothing is known of clouds.")
    if not corpus.info.licences:
        limits.append("No licence is stated.")
    return [limit for limit in limits if limit]


def _unseen_months(when: pd.Series) -> str:
    missing = sorted(set(range(1, 13)) - set(when.dt.month))
    return f"No chip was taken in {', '.join(MONTHS[month - 1] for month in missing)}." if missing else ""


# -- the encoders --------------------------------------------------------------------------------------------------


def model_card(run: Run, panels: Sequence[Panel], corpus: Corpus | None, arm: str) -> dict[str, Any]:
    """What an arm's encoders take, where and when they were trained, what they were judged by, and their limits.

    Args:
        run: that trained them.
        panels: its results.
        corpus: the run's corpus, whose chips have the dates; None where it is not there.
        arm: name of the arm.

    Raises:
        CheckpointError: a card or a list of locations is damaged.
    """
    saved = sorted((run.path / "pretrain" / arm).glob("seed-*/encoder.json"), key=_seed_of)
    cards = [load_card(file) for file in saved]
    settings = (run.recipe.get("arms") or {}).get(arm) or {}
    first = cards[0] if cards else None
    places = [load_seen(file) for file in saved]
    card = {
        "kind": "model card",
        "format": FORMAT,
        "name": arm,
        "run": run.name,
        "recipe_hash": run.manifest.get("recipe_hash"),
        "encoder": first.encoder if first else settings.get("encoder"),
        "method": settings.get("method") or (first.provenance.get("method") if first else None),
        "views": first.provenance.get("views") if first else None,
        "input": _input(first) if first else None,
        "seeds": [_seed_of(file) for file in saved],
        "weights_sha256": [one.sha256 for one in cards],
        "trained_on": _trained_on(places, corpus, first) if first else None,
        "results": [_result(panel, arm) for panel in panels if panel.score(arm)],
        "claims": _claims(run, arm),
    }
    return card | {"limits": _limits(card)}


def _seed_of(file: Path) -> int:
    return int(file.parent.name.removeprefix("seed-"))


def _input(card: EncoderCard) -> dict[str, Any]:
    contract = card.contract
    gsd = contract.gsd_m or (None,) * len(contract.bands)
    numbers = zip(contract.bands, contract.units, contract.mean, contract.std, gsd, strict=True)
    return {
        "channels": contract.channels,
        "takes": _takes(card),
        "bands": [
            {"band": band, "unit": unit, "mean": mean, "std": std, "pixel_m": pixel}
            for band, unit, mean, std, pixel in numbers
        ],
    }


def _takes(card: EncoderCard) -> str:
    contract = card.contract
    if contract.any_number:
        return "any number of bands of any sensors"
    if not contract.fixed:
        return f"any {contract.channels} of these bands"
    return "one of several lists of these bands" if len(contract.branches) > 1 or contract.groups else "these bands"


def _trained_on(
    places: Sequence[pd.DataFrame | None], corpus: Corpus | None, card: EncoderCard
) -> dict[str, Any] | None:
    """Of all trainings together; None where one of them does not know what it saw."""
    known = [one for one in places if one is not None]
    if not known or len(known) < len(places):
        return None
    counts = [len(one) for one in known]
    every = pd.concat(known).drop_duplicates(["corpus", "uid"])
    corpora = sorted(every["corpus"].unique())
    own = corpus is not None and corpora == [corpus.content_hash]
    return {
        "locations_per_training": [min(counts), max(counts)],
        "locations": len(every),
        "corpora": corpora,
        "box": box(every),
        # only this corpus's chips are at hand
        "period": period(_dates(corpus, every, card)) if own and corpus is not None else None,
        "months_without": _unseen_months(_dates(corpus, every, card)) if own and corpus is not None else "",
    }


def _dates(corpus: Corpus, places: pd.DataFrame, card: EncoderCard) -> pd.Series:
    """Dates of the chips that the encoder may have been shown."""
    rows = np.flatnonzero(corpus.locations["uid"].isin(places["uid"]).to_numpy())
    read = {key.partition("/")[0] for key in card.contract.bands}
    chips = corpus.chips
    shown = chips["location"].isin(rows.tolist()) & chips["sensor"].isin(sorted(read))
    return pd.Series(chips.loc[shown, "datetime"]).dropna()


def _result(panel: Panel, arm: str) -> dict[str, Any]:
    score = panel.score(arm)
    assert score is not None
    return {
        "task": panel.task,
        "input": panel.input,
        "probe": panel.probe,
        "metric": panel.metric,
        "unit": panel.target_unit,
        "value": score.value,
        "low": score.low,
        "high": score.high,
        "trainings": len(score.per_seed),
        "test_units": score.n_units,
        "groups": score.n_groups,
        **{role: other.value if other else None for role, other in _beside(panel, arm)},
    }


def _beside(panel: Panel, arm: str) -> Iterable[tuple[str, Any]]:
    return ("random_twin", panel.twin(arm)), ("scratch", panel.scratch(arm)), ("best_floor", panel.best_floor())


CLAIMED = ("better", "than", "task", "input", "probe", "metric", "difference", "low", "high", "p_holm", "verdict")


def _claims(run: Run, arm: str) -> list[dict[str, Any]]:
    if run.claims.empty:
        return []
    own = run.claims.loc[(run.claims["better"] == arm) | (run.claims["than"] == arm)]
    return [{name: line[name] for name in CLAIMED} for line in own.to_dict("records")]


def _limits(card: Mapping[str, Any]) -> list[str]:
    """What follows from a card, in sentences."""
    own = [claim for claim in card["claims"] if claim["better"] == card["name"]]
    shown = sum(claim["verdict"] == "better" for claim in own)
    harmed = sum(claim["verdict"] == "worse" for claim in own)
    limits = []
    if own:
        limits.append(f"{shown} of {words.plural(len(own), 'claim')} that it is better could be shown.")
    else:
        limits.append("Nothing was claimed of it, so no result of it has a verdict.")
    if harmed:
        limits.append(f"In {harmed} of them it is worse.")
    if len(card["seeds"]) == 1:
        limits.append("One training: how much of its results is luck is not known.")
    return [*limits, *_limits_of_training(card["trained_on"])]


def _limits_of_training(seen: Mapping[str, Any] | None) -> list[str]:
    if seen is None:
        return ["What it saw in training is not known."]
    limits = [f"{seen['months_without']} What it is worth then was not tried."] if seen["months_without"] else []
    if seen["box"] is None:
        return [*limits, "Where it was trained is not known."]
    west, south, east, north = seen["box"]
    where = f"{words.number(south, 2)}° to {words.number(north, 2)}° north, {words.number(west, 2)}° to "
    return [*limits, f"It was trained from {where}{words.number(east, 2)}° east; elsewhere nothing was tried."]
