"""The data card: what the corpus holds, where and when it was taken, and how it was divided."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
from pydantic import TypeAdapter

from swath.corpus import Corpus
from swath.corpus.labels import TargetConfig, targets
from swath.corpus.splits import Leakage, SplitConfig, leakage, split
from swath.errors import SwathError
from swath.products.draw.figures import Drawn, drawn
from swath.products.draw.maps import location_map
from swath.products.draw.pictures import ChipPicture, Pictures
from swath.products.draw.style import DATA, styled
from swath.products.report import _cards as cards
from swath.products.report.sections import Material, Section, beside
from swath.products.report.sections._corpus_charts import balance, dates, histogram, shares
from swath.products.tables import Run
from swath.products.words import DASH, NO_BREAK, count, listing, percent, plural

CONTACT_SHEET = 12
"""Number of locations on the contact sheet."""
SPLITS = ("train", "val", "test")


def content(material: Material) -> dict[str, Any]:
    """The data card of the headline's task, else of the recipe's first; None where the corpus cannot be read."""
    card = _card_of(material)
    return {"card": card, "files": {"data.json": card.json} if card else {}}


def _card_of(material: Material) -> "DataCard | None":
    run, first = material.run, material.headline
    if material.corpus is None:
        return None
    try:
        return data_card(run, material.corpus, first.task if first else next(iter(run.recipe.get("tasks") or {}), None))
    except SwathError as error:
        material.problems.append(f"The corpus cannot be read: {error.what}")
        return None


@dataclass(frozen=True)
class DataCard:
    """What the template shows of the corpus."""

    facts: list[tuple[str, str]]
    sensors: list[dict[str, str]]
    plots: list[Drawn]
    sheet: list[tuple[list[ChipPicture], str]]
    """Pictures and caption of each location on the contact sheet."""
    remarks: list[str] = field(default_factory=list)
    json: str = ""
    """The card as a file."""


@dataclass(frozen=True)
class Division:
    """How the run divided and labelled the corpus, recomputed from the recipe."""

    split: pd.Series
    """Part of each location; null where it is in none."""
    labels: pd.Series
    """Class of each labelled location, by row; the categories are the task's classes in order."""
    task: str
    audit: Leakage | None
    """How near training and test data are; None where the corpus cannot be divided like this."""


def data_card(run: Run, corpus: Corpus, task: str | None) -> DataCard:
    """The data card of a run's corpus.

    Args:
        task: whose classes are shown; None without tasks.
    """
    parts = _parts(run, corpus, task)
    whole = cards.data_card(run, corpus, parts.split, parts.audit)
    plots = [_dates(corpus), *_quality(corpus), _balance(parts), _map(corpus, parts.split)]
    return DataCard(
        facts=_facts(whole),
        sensors=[_sensor(one) for one in whole["sensors"].values()],
        plots=[plot for plot in plots if plot is not None],
        sheet=_sheet(corpus, parts.labels),
        remarks=[*_leakage(parts.audit), *whole["limits"]],
        json=cards.as_json(whole),
    )


def _parts(run: Run, corpus: Corpus, task: str | None) -> Division:
    part, audit = list(corpus.locations["split"]), None
    try:
        rows = split(corpus, SplitConfig.model_validate(run.recipe.get("split") or {}))
        of = {int(row): name for name, index in rows.items() for row in index}
        part, audit = [of.get(row) for row in range(len(corpus.locations))], leakage(corpus, rows)
    except (SwathError, ValueError):
        # the run could not be divided like this either, and its failed stage says why: show the provider's parts
        pass
    return Division(pd.Series(part, dtype=object), _labels(run, corpus, task), task or "", audit)


def _labels(run: Run, corpus: Corpus, task: str | None) -> pd.Series:
    rule = run.target(task or "")
    try:
        labelled = targets(corpus, TypeAdapter(TargetConfig).validate_python(rule))
    except (SwathError, ValueError):
        return pd.Series(pd.Categorical([]))
    if not labelled.classes:
        return pd.Series(pd.Categorical([]))
    # a location that has several classes stands there once for each
    rows, codes = (
        (np.arange(len(labelled.y)), labelled.y) if labelled.has_class is None else np.nonzero(labelled.has_class)
    )
    return pd.Series(pd.Categorical.from_codes(codes, labelled.classes), index=labelled.locations[rows])


def _facts(card: Mapping[str, Any]) -> list[tuple[str, str]]:
    facts = [
        ("Locations", f"{count(card['locations'])} in {plural(card['groups'], 'group')}"),
        ("Chips", f"{count(card['chips'])} of {card['chip_px']}{NO_BREAK}×{NO_BREAK}{card['chip_px']} pixels"),
        ("Content hash", card["content_hash"][:16]),
    ]
    if sizes := card["parts"]:
        facts.append(("Split", ", ".join(f"{name} {count(sizes[name])}" for name in _in_order(sizes))))
    if layers := card["labels"]:
        facts.append(("Label layers", "; ".join(f"{name} ({', '.join(own)})" for name, own in layers.items())))
    if card["licences"]:
        facts.append(("Licence", "; ".join(card["licences"])))
    return facts


def _sensor(card: Mapping[str, Any]) -> dict[str, str]:
    return {
        "name": card["title"],
        "bands": ", ".join(one["band"].partition("/")[2] for one in card["bands"]),
        "gsd": f"{card['pixel_m']:g}{NO_BREAK}m",
        "chips": count(card["chips"]),
        "dates": DASH.join(map(str, dict.fromkeys(card["dates_per_location"] or ()))) or DASH,
        "period": " to ".join(dict.fromkeys(card["period"] or ())) or "not dated",
        "valid": DASH if card["usable"] is None else percent(card["usable"]),
    }


def _dates(corpus: Corpus) -> Drawn | None:
    dated = corpus.chips.dropna(subset=["datetime"])
    if dated.empty:
        return None
    months = dated["datetime"].dt.tz_localize(None).dt.to_period("M")
    counts = {name: months[dated["sensor"] == name].value_counts() for name in corpus.info.sensors}
    with styled():
        first_and_last = dict.fromkeys(cards.period(pd.Series(dated["datetime"])) or ())
        alt = f"Histogram of acquisition dates, {' to '.join(first_and_last)}"
        data = pd.DataFrame(counts).fillna(0).astype(int).sort_index().rename_axis("month").reset_index()
        return drawn(dates(counts), "dates", alt, data, "When the chips were taken.", _sensor_legend(corpus))


def _sensor_legend(corpus: Corpus) -> list[tuple[int, str]]:
    return _legend(list(corpus.info.sensors))


def _legend(names: list[str]) -> list[tuple[int, str]]:
    """Palette positions and names; empty where there is only one."""
    return list(enumerate(names, start=DATA)) if len(names) > 1 else []


def _quality(corpus: Corpus) -> list[Drawn]:
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
        with styled():
            alt = f"{title} per chip: {_means(samples)}"
            figure, data = histogram(title, samples), shares(samples)
            plots.append(drawn(figure, column, alt, data, meaning, _sensor_legend(corpus)))
    return plots


def _means(samples: dict[str, np.ndarray]) -> str:
    return listing([f"mean {percent(float(sample.mean()))} for {name}" for name, sample in samples.items()])


def _balance(parts: Division) -> Drawn | None:
    split_of = parts.split.reindex(parts.labels.index)
    pairs = Counter((label, part) for label, part in zip(parts.labels, split_of, strict=True) if isinstance(part, str))
    if not pairs:
        return None
    splits = _in_order({part for _, part in pairs})
    classes = [name for name in parts.labels.cat.categories if any((name, part) in pairs for part in splits)]
    counts = pd.DataFrame({part: [pairs[name, part] for name in classes] for part in splits}, index=classes)
    legend = _legend([f"{part} ({count(sum(pairs[name, part] for name in classes))})" for part in splits])
    caption = f"Share of each class of {parts.task} in each split, of the labelled locations."
    with styled():
        alt = f"Class balance of {parts.task} per split"
        return drawn(balance(counts), "balance", alt, counts.rename_axis("class").reset_index(), caption, legend)


def _in_order(names: Iterable[str]) -> list[str]:
    """Training, validation, test, then anything else by name."""
    return sorted(names, key=lambda name: (SPLITS.index(name) if name in SPLITS else len(SPLITS), name))


def _map(corpus: Corpus, part: pd.Series) -> Drawn | None:
    lon, lat = (corpus.locations[name].to_numpy(float) for name in ("lon", "lat"))
    placed = np.isfinite(lon) & np.isfinite(lat)
    if not placed.any():
        return None
    named = part.fillna("unused" if part.notna().any() else "location")
    names = _in_order(set(named))
    position = named.map({name: i for i, name in enumerate(names)}).to_numpy(int)
    with styled():
        where = f"longitude {lon[placed].min():.2f} to {lon[placed].max():.2f}"
        alt = f"Map of {plural(int(placed.sum()), 'location')}, {where}"
        data = pd.DataFrame({"uid": corpus.locations["uid"], "lon": lon, "lat": lat, "part": named}).loc[placed]
        figure = location_map(lon[placed], lat[placed], position[placed])
        return drawn(figure, "map", alt, data, "Where the locations are (WGS 84).", _legend(names))


def _leakage(audit: Leakage | None) -> list[str]:
    """How near training and test data are to each other, in words."""
    if audit is None:
        return []
    shared = plural(audit.shared_groups, "group") if audit.shared_groups else "no group"
    remarks = [f"Training locations share {shared} with validation or test locations."]
    if audit.nearest_km is not None:
        remarks.append(
            f"The nearest training and test locations are {audit.nearest_km:.3g} km apart, centre to centre; half of "
            f"the test locations have no training location within {audit.median_km:.3g} km."
        )
    if audit.copies:
        remarks.append(f"{plural(audit.copies, 'location')} outside training show pixels that training has as well.")
    return remarks


def _sheet(corpus: Corpus, labels: pd.Series) -> list[tuple[list[ChipPicture], str]]:
    """Pictures of locations spread evenly over the corpus, with their label where one is known."""
    rows = list(labels.index.unique()) if len(labels) else list(corpus.locations.index)
    chosen = [rows[i] for i in np.linspace(0, len(rows) - 1, min(CONTACT_SHEET, len(rows))).astype(int)]
    caption = {corpus.locations["uid"].iloc[row]: ", ".join(labels[labels.index == row]) for row in chosen}
    return [(shots, caption[uid] or uid) for uid, shots in Pictures(corpus).of(list(caption)).items()]


SECTION = Section("Data card", 70, content, beside(__file__), link="Data")
