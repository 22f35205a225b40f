"""The data card: what the corpus holds, where and when it was taken, and how it was divided."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
from markupsafe import Markup
from pydantic import TypeAdapter

from swath import sensors
from swath.corpus import Corpus
from swath.corpus.split import Leakage, SplitConfig, leakage, split
from swath.corpus.targets import TargetConfig, targets
from swath.errors import SwathError
from swath.products import figures
from swath.products._pictures import Pictures, Shot
from swath.products._rundir import Run
from swath.products._words import DASH, NO_BREAK, count, listing, percent, plural

CONTACT_SHEET = 12
"""Locations on the contact sheet."""
SPLITS = ("train", "val", "test")


@dataclass(frozen=True)
class Card:
    """What the template shows of the corpus."""

    facts: list[tuple[str, str]]
    sensors: list[dict[str, str]]
    plots: list[tuple[Markup, str, list[tuple[int, str]]]]
    """Figure, caption, and the legend: palette position and name."""
    sheet: list[tuple[list[Shot], str]]
    """Pictures and caption of each location of the contact sheet."""
    remarks: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Parts:
    """How the run divided the corpus and what it is labelled with: recomputed, for both follow from the recipe."""

    split: pd.Series
    """Part of each location; null where it is in none, or where the recipe's split cannot be made."""
    labels: pd.Series
    """Class name of each labelled location of the first task."""
    task: str
    audit: Leakage | None


def card(run: Run, corpus: Corpus, task: str | None) -> Card:
    """The data card of a run's corpus.

    Args:
        task: whose classes are shown; None without tasks.
    """
    parts = _parts(run, corpus, task)
    plots = [_dates(corpus), *_quality(corpus), _balance(parts), _map(corpus, parts.split)]
    return Card(
        facts=_facts(run, corpus, parts),
        sensors=[_sensor(corpus, name) for name in corpus.info.sensors],
        plots=[plot for plot in plots if plot is not None],
        sheet=_sheet(corpus, parts.labels),
        remarks=_leakage(parts.audit),
    )


def _parts(run: Run, corpus: Corpus, task: str | None) -> Parts:
    part = pd.Series(pd.NA, index=corpus.locations.index, dtype=object)
    audit = None
    try:
        rows = split(corpus, SplitConfig.model_validate(run.recipe.get("split") or {}))
        for name, index in rows.items():
            part.iloc[index] = name
        audit = leakage(corpus, rows)
    except (SwathError, ValueError):
        # the run could not have been divided like this either, and its failed stage says why
        part = corpus.locations["split"]
    return Parts(part, _labels(run, corpus, task), task or "", audit)


def _labels(run: Run, corpus: Corpus, task: str | None) -> pd.Series:
    rule = ((run.recipe.get("tasks") or {}).get(task) or {}).get("target")
    try:
        found = targets(corpus, TypeAdapter(TargetConfig).validate_python(rule))
    except (SwathError, ValueError):
        return pd.Series(dtype=object)
    return pd.Series([found.classes[code] for code in found.y], index=found.locations, dtype=object)


def _facts(run: Run, corpus: Corpus, parts: Parts) -> list[tuple[str, str]]:
    stated = run.manifest.get("corpus") or {}
    groups = corpus.locations["group"].nunique()
    facts = [
        ("Locations", f"{count(len(corpus.locations))} in {plural(groups, 'group')}"),
        (
            "Chips",
            f"{count(len(corpus.chips))} of {corpus.info.chip_px}{NO_BREAK}×{NO_BREAK}{corpus.info.chip_px} pixels",
        ),
        ("Content hash", str(stated.get("hash") or corpus.content_hash)[:16]),
    ]
    if parts.split.notna().any():
        sizes = parts.split.value_counts()
        facts.append(("Split", ", ".join(f"{name} {count(int(sizes[name]))}" for name in _in_order(sizes.index))))
    if corpus.label_layers:
        facts.append(("Label layers", "; ".join(_layer(*item) for item in corpus.label_layers.items())))
    if corpus.info.licences:
        facts.append(("Licence", "; ".join(corpus.info.licences)))
    return facts


def _layer(name: str, layer: Any) -> str:
    return f"{name} ({', '.join(layer.classes.values())})"


def _sensor(corpus: Corpus, name: str) -> dict[str, str]:
    layout, chips = corpus.info.sensors[name], corpus.chips[corpus.chips["sensor"] == name]
    per_location = chips.groupby("location").size()
    return {
        "name": sensors.get(name).title,
        "bands": ", ".join(layout.bands),
        "gsd": f"{layout.gsd_m:g}{NO_BREAK}m",
        "chips": count(len(chips)),
        "dates": _spread(per_location),
        "period": _period(chips["datetime"]),
        "valid": percent(float(chips["valid"].mean())) if len(chips) else DASH,
    }


def _spread(per_location: pd.Series) -> str:
    if per_location.empty:
        return DASH
    low, high = int(per_location.min()), int(per_location.max())
    return str(low) if low == high else f"{low}{DASH}{high}"


def _period(when: pd.Series) -> str:
    when = when.dropna()
    if when.empty:
        return "not dated"
    first, last = f"{when.min():%Y-%m-%d}", f"{when.max():%Y-%m-%d}"
    return first if first == last else f"{first} to {last}"


def _dates(corpus: Corpus) -> tuple[Markup, str, list[tuple[int, str]]] | None:
    dated = corpus.chips.dropna(subset=["datetime"])
    if dated.empty:
        return None
    months = dated["datetime"].dt.tz_localize(None).dt.to_period("M")
    counts = {name: months[dated["sensor"] == name].value_counts() for name in corpus.info.sensors}
    with figures.styled():
        alt = f"Histogram of acquisition dates, {_period(dated['datetime'])}"
        plot = figures.svg(figures.dates(counts), "dates", alt)
    return plot, "When the chips were taken.", _sensor_legend(corpus)


def _sensor_legend(corpus: Corpus) -> list[tuple[int, str]]:
    names = list(corpus.info.sensors)
    return _legend(names)


def _legend(names: list[str]) -> list[tuple[int, str]]:
    """Palette position and name; nothing where there is nothing to tell apart."""
    return list(enumerate(names, start=figures.DATA)) if len(names) > 1 else []


def _quality(corpus: Corpus) -> list[tuple[Markup, str, list[tuple[int, str]]]]:
    plots = []
    for column, title, meaning in (
        ("cloud", "Cloud share", "Share of cloudy pixels per chip, where the source says so."),
        ("valid", "Usable share", "Share of usable pixels per chip."),
    ):
        known = corpus.chips.dropna(subset=[column])
        samples = {name: known.loc[known["sensor"] == name, column].to_numpy(float) for name in corpus.info.sensors}
        samples = {name: sample for name, sample in samples.items() if len(sample)}
        if not samples or all((sample == sample[0]).all() for sample in samples.values()):
            continue
        with figures.styled():
            alt = f"{title} per chip: {_means(samples)}"
            plots.append((figures.svg(figures.histogram(title, samples), column, alt), meaning, _sensor_legend(corpus)))
    return plots


def _means(samples: dict[str, np.ndarray]) -> str:
    return listing([f"mean {percent(float(sample.mean()))} for {name}" for name, sample in samples.items()])


def _balance(parts: Parts) -> tuple[Markup, str, list[tuple[int, str]]] | None:
    labelled = pd.DataFrame({"label": parts.labels, "split": parts.split.reindex(parts.labels.index)}).dropna()
    if labelled.empty:
        return None
    counts = labelled.groupby(["label", "split"]).size().unstack(fill_value=0)
    counts = counts.loc[list(dict.fromkeys(parts.labels)), _in_order(counts.columns)].sort_index()
    with figures.styled():
        plot = figures.svg(figures.balance(counts), "balance", f"Class balance of {parts.task} per split")
    sizes = counts.sum()
    legend = _legend([f"{split} ({count(int(sizes[split]))})" for split in counts.columns])
    return plot, f"Share of each class of {parts.task} in each split, of the labelled locations.", legend


def _in_order(names: Iterable[str]) -> list[str]:
    """Training, validation, test, then anything else by name."""
    return sorted(names, key=lambda name: (SPLITS.index(name) if name in SPLITS else len(SPLITS), name))


def class_name(names: list[str], code: int) -> str:
    """The class' name, or its number where it has none."""
    return names[code] if 0 <= code < len(names) else f"class {code}"


def _map(corpus: Corpus, part: pd.Series) -> tuple[Markup, str, list[tuple[int, str]]] | None:
    lon, lat = (corpus.locations[name].to_numpy(float) for name in ("lon", "lat"))
    placed = np.isfinite(lon) & np.isfinite(lat)
    if not placed.any():
        return None
    named = part.fillna("unused" if part.notna().any() else "location")
    names = _in_order(set(named))
    position = named.map({name: i for i, name in enumerate(names)}).to_numpy(int)
    with figures.styled():
        where = f"longitude {lon[placed].min():.2f} to {lon[placed].max():.2f}"
        alt = f"Map of {plural(int(placed.sum()), 'location')}, {where}"
        plot = figures.svg(figures.location_map(lon[placed], lat[placed], position[placed]), "map", alt)
    return plot, "Where the locations are (WGS 84).", _legend(names)


def _leakage(audit: Leakage | None) -> list[str]:
    """How near training and test data are to each other, in words."""
    if audit is None:
        return []
    shared = plural(audit.shared_groups, "group") if audit.shared_groups else "no group"
    remarks = [f"Training locations share {shared} with validation or test locations."]
    if audit.nearest_km is not None:
        remarks.append(
            f"The nearest training and test locations are {audit.nearest_km:.3g} km apart, centre to centre."
        )
    return remarks


def _sheet(corpus: Corpus, labels: pd.Series) -> list[tuple[list[Shot], str]]:
    """Pictures of locations spread evenly over the corpus, with their label where one is known."""
    rows = list(labels.index) if len(labels) else list(corpus.locations.index)
    chosen = [rows[i] for i in np.linspace(0, len(rows) - 1, min(CONTACT_SHEET, len(rows))).astype(int)]
    caption = {corpus.locations["uid"].iloc[row]: str(labels.get(row, "")) for row in chosen}
    return [(shots, caption[uid] or uid) for uid, shots in Pictures(corpus).of(list(caption)).items()]
