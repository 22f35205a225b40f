"""A task: labelled locations, a split, inputs and probes; running it on an encoder leaves paired predictions."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Literal, NamedTuple

import numpy as np
from jaxtyping import Int
from pydantic import Field, model_validator

from swath.corpus import Corpus, Selection
from swath.corpus.split import SplitConfig, blocks
from swath.corpus.targets import TargetConfig, targets
from swath.encoders import Encoder
from swath.errors import RecipeError, SwathError, nearest
from swath.settings import Settings
from swath.tasks import floors
from swath.tasks._scratch import Labelled, ScratchConfig, train_and_predict
from swath.tasks._types import Cell, Features, Prediction, Units
from swath.tasks.features import Bands, Pictures, Request, extract_all, fit, lend, unseen
from swath.tasks.floors import ROWS, FloorName
from swath.tasks.probes import ProbeConfig, band_wise, fit_predict, linear
from swath.tasks.probes import inputs as probe_inputs
from swath.tasks.probes import label as probe_label
from swath.tasks.statistics import MetricName, TaskRules

PARTS = ("train", "val", "test")
NO_SKIP: frozenset[tuple[str, str]] = frozenset()


class TaskConfig(Settings):
    """What encoders are judged on."""

    target: TargetConfig
    """How a location gets its class."""
    inputs: dict[str, tuple[str, ...]] = Field(min_length=1)
    """Named lists of band keys `sensor/band` that an encoder is fed."""
    probes: tuple[ProbeConfig, ...] = Field(default=(linear.Config(),), min_length=1)
    """How labels are read out of the features."""
    metric: Literal["accuracy", "macro_f1", "balanced_accuracy"] = "accuracy"
    """Ranks the rows and is compared."""
    more_metrics: tuple[MetricName, ...] = ()
    """Are shown beside it."""
    floors: tuple[FloorName, ...] = tuple(ROWS)
    """Rows that no pre-training went into; leaving one out makes a comparison weaker."""
    scratch: ScratchConfig = ScratchConfig()
    """How the network is trained from scratch."""
    dates: int | Literal["all"] = 1
    """Dates per location; embeddings of several are averaged."""
    tag: str | None = None
    """Only chips with this tag, such as `after`."""
    min_valid: float = Field(default=0.0, ge=0, le=1)
    """Only chips with at least this share of usable pixels."""
    label_fraction: float = Field(default=1.0, gt=0, le=1)
    """Share of each class's training labels that may be used; smaller subsets are part of larger ones."""
    batch_size: int = Field(default=128, ge=1)
    """Locations per call of an encoder."""

    @model_validator(mode="after")
    def _names_are_unique(self) -> "TaskConfig":
        labels = [probe_label(probe) for probe in self.probes]
        if len(set(labels)) != len(labels):
            raise ValueError(f"two probes are called the same: {', '.join(labels)}")
        for name, keys in self.inputs.items():
            if not keys or len(set(keys)) != len(keys):
                raise ValueError(f"inputs.{name}: give each band once, and at least one")
        return self

    @property
    def rules(self) -> TaskRules:
        """What the statistics measure."""
        band_groups = {
            probe_label(probe): {name: tuple(keys) for name, keys in band_wise.groups(probe, self.named_inputs).items()}
            for probe in self.probes
            if isinstance(probe, band_wise.Config)
        }
        metrics = dict.fromkeys((self.metric, *self.more_metrics))
        return TaskRules(metrics=tuple(metrics), band_groups=band_groups)

    @property
    def named_inputs(self) -> dict[str, list[str]]:
        """The inputs as plain lists."""
        return {name: list(keys) for name, keys in self.inputs.items()}


@dataclass(frozen=True, slots=True)
class TaskInput:
    """One input and the probes that read it."""

    name: str
    bands: Bands
    probes: tuple[Settings, ...]

    @property
    def labels(self) -> list[str]:
        """What the probes are called in the tables."""
        return [probe_label(probe) for probe in self.probes]


class _Place(NamedTuple):
    """Where a cell stands in a task's tables."""

    input: str
    probe: str
    row: str
    kind: str
    seed: int


class Task:
    """Labelled locations of a corpus, split once for all rows."""

    def __init__(
        self,
        name: str,
        config: TaskConfig,
        corpus: Corpus,
        split: Mapping[str, Int[np.ndarray, " _"]],
        split_config: SplitConfig | None = None,
    ):
        """Find the labelled locations of each part that have a chip of every sensor.

        Args:
            name: of the task, for tables and messages.
            config: its settings.
            corpus: where chips and labels are.
            split: rows of `corpus.locations` by part, as `swath.corpus.split.split` makes them.
            split_config: what made the split; a split by blocks makes blocks the unit of resampling, else it is the
                corpus's groups.

        Raises:
            CorpusError: no such label, sensor or band.
            RecipeError: a part that is needed holds no labelled location.
        """
        self.name, self.config, self.corpus = name, config, corpus
        found = targets(corpus, config.target)
        self.classes = list(found.classes)
        self.inputs = _inputs(config)
        self._check_bands()
        self.bands = tuple(dict.fromkeys(key for item in self.inputs.values() for key in item.bands))
        self.pictures = Pictures(
            corpus, self.bands, Selection(dates=config.dates, tag=config.tag, min_valid=config.min_valid)
        )
        self.groups = _groups(corpus, split_config)
        y = dict(zip(found.locations.tolist(), found.y.tolist(), strict=True))
        self.parts = {part: self._labelled(part, split, y) for part in PARTS}
        self.parts["train"] = subset(self.parts["train"], config.label_fraction)

    def _check_bands(self) -> None:
        known = [f"{sensor}/{name}" for sensor, by_band in self.corpus.statistics.items() for name in by_band]
        for item in self.inputs.values():
            for key in item.bands:
                if key not in known:
                    raise RecipeError(
                        f"the corpus has no band {key}",
                        where=f"task {self.name}, input {item.name}",
                        remedy=nearest(key, known),
                    )

    def _labelled(self, part: str, split: Mapping[str, np.ndarray], y: dict[int, int]) -> Labelled:
        rows = np.array([row for row in split[part].tolist() if row in y], np.int64)
        rows = self.pictures.complete(rows)
        if not len(rows) and part != "val":
            raise RecipeError(
                f"the {part} part holds no labelled location with a chip of every sensor",
                where=f"task {self.name}",
                remedy="change the split's fractions, the target's rule, or the inputs",
            )
        return Labelled(rows, np.array([y[row] for row in rows.tolist()], np.int64))

    @cached_property
    def units(self) -> Units:
        """The test part, the same for all rows."""
        rows = self.parts["test"].locations
        uid = self.corpus.locations["uid"].to_numpy(dtype=object)[rows]
        return Units(tuple(map(str, uid)), tuple(map(str, self.groups[rows])), self.parts["test"].y)

    # ------------------------------------------------------------------------------------------------ encoders

    def run(
        self,
        encoder: Encoder,
        row: str,
        kind: str,
        seed: int,
        skip: frozenset[tuple[str, str]] = NO_SKIP,
    ) -> list[Cell]:
        """Judge an encoder on every input by every probe.

        Args:
            encoder: frozen; on any device.
            row: what it is called in the tables.
            kind: pretrained, floor or reference.
            seed: of the row, and of the probes that are random.
            skip: (input, probe) that are not wanted.

        Returns:
            One cell per input and probe; one that cannot be computed has no prediction and a note.
        """
        return list(self.encoder_cells(encoder, row, kind, seed, skip))

    def encoder_cells(
        self, encoder: Encoder, row: str, kind: str, seed: int, skip: frozenset[tuple[str, str]] = NO_SKIP
    ) -> Iterator[Cell]:
        """As `run`, cell by cell."""
        never = unseen(encoder.contract, self.bands) if kind == "pretrained" else []
        lent = lend(encoder, self.corpus, self.bands)
        for cell in self._cells(lambda _: lent, row, kind, seed, skip):
            foreign = [key for key in self.inputs[cell.input].bands if key in never]
            said = f"never saw {', '.join(foreign)}: standardised by the corpus" if foreign else ""
            yield replace(cell, note="; ".join(filter(None, (cell.note, said))))

    def _cells(
        self,
        encoder_for: Callable[[Bands], Encoder],
        row: str,
        kind: str,
        seed: int,
        skip: frozenset[tuple[str, str]],
        probe: Settings | None = None,
    ) -> Iterator[Cell]:
        """With an encoder for each input, and perhaps one probe in place of the task's own."""
        wanted = [item for item in self.inputs.values() if any((item.name, p) not in skip for p in item.labels)]
        requests, problems = _requests(wanted, encoder_for)
        features = dict(zip(requests, self._features(list(requests.values())), strict=True))
        for item in wanted:
            for own, label in zip(item.probes, item.labels, strict=True):
                place = _Place(item.name, label, row, kind, seed)
                if (item.name, label) in skip:
                    continue
                if item.name in problems:
                    yield self._cell(place, None, problems[item.name])
                else:
                    note = fit(requests[item.name].encoder.contract, item.bands).note
                    yield self._probed(place, probe or own, features[item.name], note)

    def _features(self, requests: Sequence[Request]) -> list[Features]:
        if not requests:
            return []
        sizes = [len(self.parts[part].y) for part in PARTS]
        rows = np.concatenate([self.parts[part].locations for part in PARTS])
        made = extract_all(requests, self.pictures, rows, batch_size=self.config.batch_size)
        return [self._labelled_features(np.split(x, np.cumsum(sizes)[:-1])) for x in made]

    def _labelled_features(self, x: list[np.ndarray]) -> Features:
        train, val, test = x
        return Features(train, self.parts["train"].y, val, self.parts["val"].y, test, len(self.classes))

    def _probed(self, place: "_Place", probe: Settings, features: Features, note: str) -> Cell:
        try:
            return self._cell(place, fit_predict(probe, features, place.seed), note)
        except SwathError as error:
            return self._cell(place, None, error.what)

    def _cell(self, place: "_Place", prediction: Prediction | None, note: str = "") -> Cell:
        return Cell(self.name, *place, self.units, prediction, note)

    # -------------------------------------------------------------------------------------------------- floors

    def run_floors(self, build_random: Callable[[int], Encoder], seeds: Sequence[int]) -> list[Cell]:
        """All floors of the configuration, for an architecture that `build_random(seed)` initialises."""
        cells: list[Cell] = []
        for floor in self.config.floors:
            for seed in seeds[: None if is_random(floor) else 1]:
                encoder = build_random(seed) if needs_encoder(floor) else None
                cells += self.floor_cells(floor, seed, encoder)
        return cells

    def floor_cells(
        self,
        floor: FloorName,
        seed: int,
        encoder: Encoder | None = None,
        row: str | None = None,
        skip: frozenset[tuple[str, str]] = NO_SKIP,
    ) -> Iterator[Cell]:
        """One floor for one seed.

        Args:
            floor: which.
            seed: of the row.
            encoder: randomly initialised, for the two floors that are the arms' own network.
            row: what it is called; its usual name if not given.
            skip: (input, probe) that are not wanted.
        """
        row = row or ROWS[floor]
        if floor == "majority":
            return self._constant(row, seed, skip)
        if floor == "image-statistics":
            make = lambda bands: floors.image_statistics_encoder(self.corpus, bands)  # noqa: E731
            return self._cells(make, row, "floor", seed, skip, probe=linear.Config())
        if floor == "random-convolutions":
            make = lambda bands: floors.random_convolutions_encoder(self.corpus, bands, seed)  # noqa: E731
            return self._cells(make, row, "floor", seed, skip)
        assert encoder is not None, f"{floor} needs the arms' network"
        if floor == "random-encoder":
            return self.encoder_cells(encoder, row, "floor", seed, skip)
        return self._scratch(lend(encoder, self.corpus, self.bands), row, seed, skip)

    def _constant(self, row: str, seed: int, skip: frozenset[tuple[str, str]]) -> Iterator[Cell]:
        prediction = floors.majority(self.parts["train"].y, len(self.units), len(self.classes))
        for item in self.inputs.values():
            for label in item.labels:
                if (item.name, label) not in skip:
                    yield self._cell(_Place(item.name, label, row, "floor", seed), prediction)

    def _scratch(self, encoder: Encoder, row: str, seed: int, skip: frozenset[tuple[str, str]]) -> Iterator[Cell]:
        """One training per named input, the same result under each of its probes."""
        for item in self.inputs.values():
            labels = [p for name, p in self.scratch_places() if name == item.name and (name, p) not in skip]
            if not labels:
                continue
            try:
                note = fit(encoder.contract, item.bands).note
                prediction = train_and_predict(
                    self.config.scratch, encoder, self.pictures, item.bands, self.parts, len(self.classes), seed
                )
            except SwathError as error:
                prediction, note = None, error.what
            for label in labels:
                yield self._cell(_Place(item.name, label, row, "floor", seed), prediction, note)

    def scratch_places(self) -> list[tuple[str, str]]:
        """(input, probe) where the network trained from scratch stands: not under band-wise probes, for the cost."""
        return [
            (item.name, label)
            for item in self.inputs.values()
            for probe, label in zip(item.probes, item.labels, strict=True)
            if not isinstance(probe, band_wise.Config)
        ]

    def places(self) -> list[tuple[str, str]]:
        """Every (input, probe), in the tables' order."""
        return [(item.name, label) for item in self.inputs.values() for label in item.labels]


def needs_encoder(floor: FloorName) -> bool:
    """Whether the floor is the arms' own network."""
    return floor in {"random-encoder", "scratch"}


def is_random(floor: FloorName) -> bool:
    """Whether seeds make a difference."""
    return floor not in {"majority", "image-statistics"}


def subset(part: Labelled, fraction: float) -> Labelled:
    """The first locations of each class in a fixed random order, so that a smaller fraction is part of a larger one.

    Every class keeps at least one location.
    """
    if fraction == 1:
        return part
    order = np.random.default_rng(0).permutation(len(part.y))
    by_class = [order[part.y[order] == c] for c in np.unique(part.y)]
    rows = np.sort(np.concatenate([rows[: max(1, round(fraction * len(rows)))] for rows in by_class]))
    return Labelled(part.locations[rows], part.y[rows])


def _requests(
    wanted: Sequence[TaskInput], encoder_for: Callable[[Bands], Encoder]
) -> tuple[dict[str, Request], dict[str, str]]:
    """What is asked of encoders by input, and why some inputs cannot be."""
    requests: dict[str, Request] = {}
    problems: dict[str, str] = {}
    for item in wanted:
        try:
            requests[item.name] = Request(encoder_for(item.bands), item.bands)
        except SwathError as error:
            problems[item.name] = error.what
    return requests, problems


def _groups(corpus: Corpus, config: SplitConfig | None) -> np.ndarray:
    """What the units are resampled by, per location."""
    if config is not None and config.by == "block":
        lon, lat = (corpus.locations[name].to_numpy(float) for name in ("lon", "lat"))
        return blocks(lon, lat, config.block_km)
    return corpus.locations["group"].to_numpy(dtype=str)


def _inputs(config: TaskConfig) -> dict[str, TaskInput]:
    """All inputs with the probes that read them: the named ones first, then those that probes ask for."""
    found: dict[str, TaskInput] = {}
    for probe in config.probes:
        for name, keys in probe_inputs(probe, config.named_inputs).items():
            bands = tuple(keys)
            known = found.setdefault(name, TaskInput(name, bands, ()))
            if known.bands != bands:
                raise RecipeError(
                    f"input {name!r} means two things: {', '.join(known.bands)}, and {', '.join(bands)}",
                    remedy="give the named input another name",
                )
            found[name] = TaskInput(name, bands, (*known.probes, probe))
    return found
