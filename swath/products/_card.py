"""The data card: what the corpus holds, where and when it was taken, and how it was divided."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
from markupsafe import Markup
from scipy.spatial import cKDTree

from swath import sensors
from swath.corpus import Corpus
from swath.products import figures
from swath.products._judge import Cell
from swath.products._pictures import Pictures, Shot
from swath.products._rundir import Run
from swath.products._words import DASH, NO_BREAK, count, listing, percent, plural

EARTH_KM = 6371.0
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


def card(run: Run, corpus: Corpus, cells: list[Cell]) -> Card:
    """The data card of a run's corpus."""
    task = cells[0].task if cells else None
    part = _part_of_location(run, corpus, task)
    plots = [_dates(corpus), *_quality(corpus), _balance(run, cells, task), _map(corpus, part)]
    return Card(
        facts=_facts(run, corpus, part),
        sensors=[_sensor(corpus, name) for name in corpus.info.sensors],
        plots=[plot for plot in plots if plot is not None],
        sheet=_sheet(run, corpus, task),
        remarks=_leakage(corpus, part),
    )


def _facts(run: Run, corpus: Corpus, part: pd.Series) -> list[tuple[str, str]]:
    stated = run.manifest.get("corpus") or {}
    groups = corpus.locations["group"].nunique()
    facts = [
        ("Locations", f"{count(len(corpus.locations))} in {plural(groups, 'group')}"),
        ("Chips", f"{count(len(corpus.chips))} of {corpus.info.chip_px}{NO_BREAK}×{corpus.info.chip_px} pixels"),
        ("Content hash", str(stated.get("hash") or corpus.content_hash)[:16]),
    ]
    if part.notna().any():
        sizes = part.value_counts()
        used = [name for name in [*SPLITS, *sizes.index] if name in sizes.index]
        facts.append(("Split", ", ".join(f"{name} {count(int(sizes[name]))}" for name in dict.fromkeys(used))))
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
    return list(enumerate(names)) if len(names) > 1 else []


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


def _balance(run: Run, cells: list[Cell], task: str | None) -> tuple[Markup, str, list[tuple[int, str]]] | None:
    if task is None:
        return None
    counts = _class_counts(run, cells, task)
    if counts.empty:
        return None
    with figures.styled():
        plot = figures.svg(figures.balance(counts), "balance", f"Class balance of {task} per split")
    sizes = counts.sum()
    legend = [(i, f"{split} ({count(int(sizes[split]))})") for i, split in enumerate(counts.columns)]
    return plot, f"Share of each class of {task} in each split.", legend


def _class_counts(run: Run, cells: list[Cell], task: str) -> pd.DataFrame:
    """Labelled units by class (rows) and split (columns); of the test set alone where the splits were not recorded."""
    labelled = run.splits[run.splits["task"] == task]
    if labelled.empty:
        first = cells[0]
        predictions = run.predictions(*first.key, first.scores[0].row) if first.scores else pd.DataFrame()
        if predictions.empty:
            return pd.DataFrame()
        labelled = predictions.drop_duplicates("uid").assign(split="test").rename(columns={"y_true": "y"})
    counts = labelled.groupby(["y", "split"]).size().unstack(fill_value=0)
    names = run.classes.get(task, [])
    counts.index = [class_name(names, int(code)) for code in counts.index]
    ordered = [split for split in [*SPLITS, *counts.columns] if split in counts.columns]
    return counts[list(dict.fromkeys(ordered))]


def class_name(names: list[str], code: int) -> str:
    """The class' name, or its number where it has none."""
    return names[code] if 0 <= code < len(names) else f"class {code}"


def _part_of_location(run: Run, corpus: Corpus, task: str | None) -> pd.Series:
    """Split of each location, null where unknown."""
    recorded = run.splits[run.splits["task"] == task].drop_duplicates("uid").set_index("uid")["split"]
    return corpus.locations["uid"].map(recorded) if len(recorded) else corpus.locations["split"]


def _map(corpus: Corpus, part: pd.Series) -> tuple[Markup, str, list[tuple[int, str]]] | None:
    lon, lat = _lonlat(corpus)
    placed = np.isfinite(lon) & np.isfinite(lat)
    if not placed.any():
        return None
    named = part.fillna("unlabelled" if part.notna().any() else "location")
    names = [name for name in [*SPLITS, *sorted(set(named) - set(SPLITS))] if name in set(named)]
    position = named.map({name: i for i, name in enumerate(names)}).to_numpy(int)
    with figures.styled():
        where = f"longitude {lon[placed].min():.2f} to {lon[placed].max():.2f}"
        alt = f"Map of {plural(int(placed.sum()), 'location')}, {where}"
        plot = figures.svg(figures.location_map(lon[placed], lat[placed], position[placed]), "map", alt)
    return plot, "Where the locations are (WGS 84).", list(enumerate(names)) if len(names) > 1 else []


def _lonlat(corpus: Corpus) -> tuple[np.ndarray, np.ndarray]:
    return corpus.locations["lon"].to_numpy(float), corpus.locations["lat"].to_numpy(float)


def _leakage(corpus: Corpus, part: pd.Series) -> list[str]:
    """How near training and test data are to each other, in words."""
    train, test = (part == "train").to_numpy(), (part == "test").to_numpy()
    if not (train.any() and test.any()):
        return []
    groups = corpus.locations["group"]
    shared = set(groups[train]) & set(groups[test])
    remarks = [f"Training and test locations share {plural(len(shared), 'group') if shared else 'no group'}."]
    distance = _nearest_km(*_lonlat(corpus), train, test)
    if distance is not None:
        remarks.append(
            f"The test location nearest to any training location is {distance.min():.2g} km from it"
            f" (median over the test locations {np.median(distance):.2g} km, centre to centre)."
        )
    return remarks


def _nearest_km(lon: np.ndarray, lat: np.ndarray, train: np.ndarray, test: np.ndarray) -> np.ndarray | None:
    """Great-circle distance from each test location to the nearest training location; None without coordinates."""
    placed = np.isfinite(lon) & np.isfinite(lat)
    if not ((train & placed).any() and (test & placed).any()):
        return None
    x, y = np.radians(lon), np.radians(lat)
    unit = np.stack([np.cos(y) * np.cos(x), np.cos(y) * np.sin(x), np.sin(y)], axis=1)
    chord, _ = cKDTree(unit[train & placed]).query(unit[test & placed])
    return 2 * EARTH_KM * np.arcsin(np.clip(chord / 2, 0, 1))


def _sheet(run: Run, corpus: Corpus, task: str | None) -> list[tuple[list[Shot], str]]:
    """Pictures of locations spread evenly over the corpus, with their label where one is known."""
    labelled = run.splits[run.splits["task"] == task].drop_duplicates("uid").set_index("uid")["y"]
    uids = corpus.locations["uid"]
    if len(labelled):
        uids = uids[uids.isin(labelled.index)]
    chosen = [uids.iloc[i] for i in np.linspace(0, len(uids) - 1, min(CONTACT_SHEET, len(uids))).astype(int)]
    names = run.classes.get(task or "", [])
    captions = {uid: class_name(names, int(labelled[uid])) if uid in labelled.index else uid for uid in chosen}
    return [(shots, captions[uid]) for uid, shots in Pictures(corpus).of(chosen).items()]
