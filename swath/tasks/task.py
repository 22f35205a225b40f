"""A task: labelled locations, a split, inputs and probes; running it on an encoder leaves paired predictions."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from typing import NamedTuple

import numpy as np
from jaxtyping import Int

from swath.corpus import Corpus, Selection
from swath.corpus.labels.target import Targets, targets
from swath.corpus.painting import knows_clear
from swath.corpus.splits.partition import SplitConfig, independent, thin_parts
from swath.corpus.splits.subset import rows_of
from swath.encoders import Encoder
from swath.errors import ContractError, RecipeError, SwathError
from swath.settings import Settings
from swath.tasks import floors, metrics
from swath.tasks._types import Features, Outcome, Prediction, Units, concatenated
from swath.tasks.config import TaskConfig, TaskInput, inputs_of
from swath.tasks.data.features import Bands, Pictures, Request, contract_of, extract_all, fit, lend, unseen
from swath.tasks.data.labels import Labelled, learnable, subset
from swath.tasks.floors import FloorName, _series
from swath.tasks.probes import band_wise, distil, fine_tune, fit_predict, linear, teacher, train_predict, trains
from swath.tasks.supervised import Problem, Supervision, plain, train_encoder, train_reference

PARTS = ("train", "val", "test")
RARE = 5
"""Groups of the test part that have a class: below this, one resample in a hundred or more has none of them."""
NO_SKIP: frozenset[tuple[str, str]] = frozenset()
Places = list[tuple[str, str]]
"""(input, probe)."""


class _Place(NamedTuple):
    """Where an outcome stands in a task's tables."""

    input: str
    probe: str


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
            split: rows of `corpus.locations` by part, as `swath.corpus.splits.partition.split` makes them.
            split_config: what made the split; a split by blocks makes blocks the unit of resampling, else it is the
                corpus's groups.

        Raises:
            CorpusError: no such label, sensor or band.
            RecipeError: a part that is needed holds no labelled location.
        """
        self.name, self.config, self.corpus, self.split_config = name, config, corpus, split_config
        found = targets(corpus, config.target)
        self.classes = list(found.classes)
        self.inputs = inputs_of(config)
        self._check_bands()
        self.bands = tuple(dict.fromkeys(key for item in self.inputs.values() for key in item.bands))
        select = Selection(
            dates=config.dates, most=config.most, tag=config.tag, min_valid=config.min_valid, gaps=config.gaps
        )
        self.pictures = Pictures(corpus, self.bands, select)
        self._check_clouds()
        self.groups = independent(corpus, split_config)
        self.incomplete = 0
        """Labelled locations of the split that are left out, because a chip of some sensor is missing."""
        rows = {part: rows_of(corpus, split[part], config.only) for part in PARTS}
        self.parts = {part: self._labelled(part, rows[part], found) for part in PARTS}
        self._thin = thin_parts({part: self.groups[self.parts[part].locations] for part in PARTS}, split_config)
        self.all_labelled = len(self.parts["train"])
        """Locations of the training part before the label fraction."""
        # labels that choose are labels too: probes tune on the validation part, and some learn from it in the end
        for part in ("train", "val"):
            if len(self.parts[part]):
                self.parts[part] = subset(self.parts[part], config.label_fraction)
        if any(teacher(probe) for probe in config.probes):
            self.parts["pool"] = self._pool(np.concatenate([rows["train"], rows["val"]]))

    def _check_bands(self) -> None:
        for item in self.inputs.values():
            try:
                contract_of(self.corpus, item.bands)
            except ContractError as error:
                where = f"task {self.name}, input {item.name}"
                raise RecipeError(error.what, where=where, remedy=error.remedy) from None

    def _check_clouds(self) -> None:
        sensors = self.pictures.reads
        if self.config.cloud_levels and not any(knows_clear(self.corpus, sensor) for sensor in sensors):
            raise RecipeError(
                f"the corpus does not know what {' and '.join(sensors)} would show under a clear sky",
                where=f"task {self.name}, cloud_levels",
                remedy="take the synthetic landscape with `clear: true`, or leave cloud_levels out",
            )

    def _labelled(self, part: str, rows: Int[np.ndarray, " _"], found: Targets) -> Labelled:
        labelled = rows[np.isin(rows, found.locations)]
        rows = self.pictures.complete(labelled)
        self.incomplete += len(labelled) - len(rows)
        if not len(rows) and part != "val":
            raise RecipeError(
                f"the {part} part holds no labelled location with a chip of every sensor",
                where=f"task {self.name}",
                remedy="change the split's fractions, the target's rule, or the inputs",
            )
        if found.maps:
            return Labelled(rows, found.maps.read(rows))
        y = found.y if found.several is None else found.several
        return Labelled(rows, y[np.searchsorted(found.locations, rows)].astype(np.int64))

    def _pool(self, rows: Int[np.ndarray, " _"]) -> Labelled:
        """Locations without a label, or whose label is not to be used: all that may be learnt from without."""
        used = np.concatenate([self.parts["train"].locations, self.parts["val"].locations])
        rows = self.pictures.complete(np.sort(rows[~np.isin(rows, used)]))
        return Labelled(rows, np.zeros((len(rows), *self.parts["train"].y.shape[1:]), np.int64))

    @property
    def fold(self) -> int:
        """Number of the fold that tests; 0 where there are none."""
        return (self.split_config.fold if self.split_config else None) or 0

    @property
    def per_pixel(self) -> bool:
        """Whether it is a segmentation."""
        return self.parts["test"].per_pixel

    @property
    def learnable(self) -> bool:
        """Whether the training part leaves anything to tell apart."""
        return learnable(self.parts["train"].y)

    @property
    def remarks(self) -> list[str]:
        """What a reader must know of the task itself."""
        said = []
        if self.incomplete:
            said.append(f"{self.incomplete} labelled locations are left out: a chip of some sensor is missing")
        asked = round(self.config.label_fraction * self.all_labelled)
        if asked < len(self.classes):
            said.append(
                f"the label fraction would leave {asked} of {self.all_labelled} training locations, fewer than the "
                f"{len(self.classes)} classes: every class keeps one, so {len(self.parts['train'])} are learnt from"
            )
        counts = self.parts["train"].counts(len(self.classes))
        if unseen := [name for name, n in zip(self.classes, counts, strict=True) if not n]:
            said.append(f"no training label of {', '.join(unseen)}")
        return [*said, *self._thin, *self._rare()]

    def _rare(self) -> list[str]:
        """Classes that the test part has nowhere, or in so few groups that a resample may miss them."""
        has, groups = self.parts["test"].has(len(self.classes)), self.groups[self.parts["test"].locations]
        count = {name: len(np.unique(groups[there])) for name, there in zip(self.classes, has.T, strict=True)}
        absent = [name for name, n in count.items() if not n]
        rare = [f"{name} ({n})" for name, n in count.items() if 0 < n < RARE]
        said = [f"no test label of {', '.join(absent)}: not judged"] if absent else []
        if rare and any(metrics.find(name).averages_classes for name in self.config.rules.metrics):
            said.append(
                f"classes in fewer than {RARE} groups of the test part: {', '.join(rare)}; resamples may miss them, so "
                "intervals of means over classes (macro F1, mIoU, balanced accuracy, mAP) are not to be trusted"
            )
        return said

    @cached_property
    def units(self) -> Units:
        """The test part, the same for all rows."""
        rows = self.parts["test"].locations
        uid = self.corpus.locations["uid"].to_numpy(dtype=object)[rows]
        return Units(tuple(map(str, uid)), tuple(map(str, self.groups[rows])), self.parts["test"].y)

    def problem(self, item: TaskInput) -> Problem:
        """What a network that is trained on this input has to learn."""
        return Problem(self.pictures, item.bands, self.parts, len(self.classes), self.config.cloud_levels)

    def places(self) -> Places:
        """Every (input, probe), in the tables' order."""
        return [(item.name, label) for item in self.inputs.values() for label in item.labels]

    # ------------------------------------------------------------------------------------------------ encoders

    def outcomes(
        self,
        encoder: Encoder,
        seed: int,
        skip: frozenset[tuple[str, str]] = NO_SKIP,
        *,
        pretrained: bool = False,
    ) -> Iterator[Outcome]:
        """Judge an encoder on every input by every probe.

        Args:
            encoder: frozen, unless a probe trains a copy; on any device.
            seed: of the probes that are random.
            skip: (input, probe) that are not wanted.
            pretrained: say of which bands the encoder saw none in its pre-training.

        Yields:
            One outcome per input and probe; one that cannot be computed has no prediction and a note.
        """
        never = unseen(encoder.contract, self.bands) if pretrained else []
        lent = lend(encoder, self.corpus, self.bands)
        for outcome in self._read(lambda _: lent, seed, skip):
            foreign = [key for key in self.inputs[outcome.input].bands if key in never]
            said = f"never saw {', '.join(foreign)}: standardised by the corpus" if foreign else ""
            yield replace(outcome, note="; ".join(filter(None, (outcome.note, said))))

    def _read(
        self,
        encoder_for: Callable[[Bands], Encoder],
        seed: int,
        skip: frozenset[tuple[str, str]],
        instead: Callable[[Settings], Settings] = lambda own: own,
    ) -> Iterator[Outcome]:
        """With an encoder for each input, and what is to be taken instead of each of the task's probes."""
        wanted = [item for item in self.inputs.values() if any((item.name, p) not in skip for p in item.labels)]
        asked = {
            name
            for item in wanted
            for own, label in zip(item.probes, item.labels, strict=True)
            for name in teacher(instead(own))
            if (item.name, label) not in skip
        }
        needed = [item for item in self.inputs.values() if item in wanted or item.name in asked]
        requests, problems = _requests(needed, encoder_for)
        read = {
            name: request
            for name, request in requests.items()
            if name in asked or self._reads_features(name, instead, skip)
        }
        features = dict(zip(read, self._features(list(read.values())), strict=True))
        for item in wanted:
            for own, label in zip(item.probes, item.labels, strict=True):
                place, probe = _Place(item.name, label), instead(own)
                if (item.name, label) in skip:
                    continue
                if lost := [name for name in (item.name, *teacher(probe)) if name in problems]:
                    yield self._outcome(place, None, problems[lost[0]])
                    continue
                encoder = requests[item.name].encoder
                note = fit(encoder.contract, item.bands).note
                if trains(probe):
                    yield self._tried(place, lambda e=encoder, p=probe, i=item: self._trained(p, e, i, seed), note)
                else:
                    found = features[item.name]
                    if taught := teacher(probe):
                        found = replace(found, teacher=concatenated([features[name] for name in taught]))
                    yield self._tried(place, lambda p=probe, f=found: fit_predict(p, f, seed), note)

    def _reads_features(
        self, name: str, instead: Callable[[Settings], Settings], skip: frozenset[tuple[str, str]]
    ) -> bool:
        item = self.inputs[name]
        return any(
            (name, label) not in skip and not trains(instead(probe))
            for probe, label in zip(item.probes, item.labels, strict=True)
        )

    def _features(self, requests: Sequence[Request]) -> list[Features]:
        if not requests:
            return []
        sizes = [len(part) for part in self.parts.values()]
        rows = np.concatenate([part.locations for part in self.parts.values()])
        made = extract_all(requests, self.pictures, rows, batch_size=self.config.batch_size)
        return [self._labelled_features(np.split(x, np.cumsum(sizes)[:-1])) for x in made]

    def _labelled_features(self, x: list[np.ndarray]) -> Features:
        of = dict(zip(self.parts, x, strict=True))
        train_y, val_y = self.parts["train"].y, self.parts["val"].y
        pool = of.get("pool", np.empty((0, of["train"].shape[1]), np.float32))
        return Features(of["train"], train_y, of["val"], val_y, of["test"], len(self.classes), pool)

    def _trained(self, probe: Settings, encoder: Encoder, item: TaskInput, seed: int) -> Prediction:
        return train_predict(probe, encoder, self.problem(item), seed)

    def _tried(self, place: _Place, predict: Callable[[], Prediction], note: str) -> Outcome:
        try:
            return self._outcome(place, predict(), note)
        except SwathError as error:
            return self._outcome(place, None, error.what)

    def _outcome(self, place: _Place, prediction: Prediction | None, note: str = "") -> Outcome:
        return Outcome(*place, prediction, note)

    # ---------------------------------------------------------------------------------------------- references

    def reference_places(self, name: str) -> Places:
        """(input, probe) where a supervised reference stands: its inputs, under every probe that trains."""
        return [
            (item.name, label)
            for item in self.inputs.values()
            for probe, label in zip(item.probes, item.labels, strict=True)
            if item.name in self.config.references[name].inputs and isinstance(probe, Supervision)
        ]

    def reference_outcomes(
        self, name: str, seed: int, device: str, skip: frozenset[tuple[str, str]] = NO_SKIP
    ) -> Iterator[Outcome]:
        """A supervised reference for one seed, trained from scratch by each probe's settings."""
        network = self.config.references[name].segmenter
        for item in self.inputs.values():
            for probe, label in zip(item.probes, item.labels, strict=True):
                if (item.name, label) not in self.reference_places(name) or (item.name, label) in skip:
                    continue
                assert isinstance(probe, Supervision)
                yield self._tried(
                    _Place(item.name, label),
                    lambda p=probe, i=item: train_reference(p, network, self.problem(i), self.corpus, seed, device),
                    "",
                )

    # -------------------------------------------------------------------------------------------------- floors

    def floor_places(self, floor: FloorName) -> Places:
        """(input, probe) where a floor stands."""
        return [
            (item.name, label)
            for item in self.inputs.values()
            for probe, label in zip(item.probes, item.labels, strict=True)
            if self._stands(floor, probe)
        ]

    def _stands(self, floor: FloorName, probe: Settings) -> bool:
        single = self.corpus.info.chip_px == 1 and not self.parts["test"].multi_label
        if floors.of_series(floor) and not (self.per_pixel or single):
            return False
        if floor == "scratch" or floors.of_series(floor):
            # under a band-wise probe it would cost a training per band
            return not isinstance(probe, band_wise.Config)
        if floor == "random-encoder":
            # trained, it would be `scratch`
            return not trains(probe) or (isinstance(probe, fine_tune.Config) and probe.frozen)
        return floor == "majority" or not self.per_pixel

    def floor_outcomes(
        self,
        floor: FloorName,
        seed: int,
        encoder: Encoder | None = None,
        skip: frozenset[tuple[str, str]] = NO_SKIP,
    ) -> Iterator[Outcome]:
        """One floor for one seed.

        Args:
            floor: which.
            seed: of the row.
            encoder: randomly initialised, for the two floors that are the arms' own network.
            skip: (input, probe) that are not wanted.
        """
        skip = skip | (frozenset(self.places()) - frozenset(self.floor_places(floor)))
        if floor == "majority":
            return self._constant(skip)
        if floor == "image-statistics":
            make = lambda bands: floors.image_statistics_encoder(self.corpus, bands)  # noqa: E731
            return self._read(make, seed, skip, lambda _: linear.Config())
        if floor == "random-convolutions":
            make = lambda bands: floors.random_convolutions_encoder(self.corpus, bands, seed)  # noqa: E731
            return self._read(make, seed, skip, lambda own: linear.Config() if trains(own) else own)
        if floors.of_series(floor):
            return self._of_series(floor, seed, skip)
        assert encoder is not None, f"{floor} needs the arms' network"
        if floor == "random-encoder":
            return self.outcomes(encoder, seed, skip)
        return self._scratch(lend(encoder, self.corpus, self.bands), seed, skip)

    def _constant(self, skip: frozenset[tuple[str, str]]) -> Iterator[Outcome]:
        prediction = floors.majority(self.parts["train"], self.units, len(self.classes))
        for name, label in self.places():
            if (name, label) not in skip:
                yield self._outcome(_Place(name, label), prediction)

    def _of_series(self, floor: FloorName, seed: int, skip: frozenset[tuple[str, str]]) -> Iterator[Outcome]:
        """The same result under each of an input's probes; where a probe has a teacher, with one of its own kind."""
        for item in self.inputs.values():
            made: dict[tuple[linear.Config, Bands], Outcome] = {}
            for probe, label in zip(item.probes, item.labels, strict=True):
                if (item.name, label) in skip:
                    continue
                # a forest has no such settings
                config = linear.Config() if floor == "random-forest" else _regression(probe)
                bands = tuple(dict.fromkeys(key for name in teacher(probe) for key in self.inputs[name].bands))
                place = _Place(item.name, label)
                if (config, bands) not in made:
                    problem = self.problem(item)
                    taught = replace(problem, bands=bands) if bands else None
                    made[config, bands] = self._tried(
                        place, lambda p=problem, c=config, t=taught: _series.predict(floor, p, seed, c, t), ""
                    )
                yield replace(made[config, bands], probe=label)

    def _scratch(self, encoder: Encoder, seed: int, skip: frozenset[tuple[str, str]]) -> Iterator[Outcome]:
        """A training for each input and way to train: by the probe's settings if it trains, else by the task's own."""
        for item in self.inputs.values():
            made: dict[Supervision, Outcome] = {}
            for probe, label in zip(item.probes, item.labels, strict=True):
                if (item.name, label) in skip:
                    continue
                settings = plain(probe if isinstance(probe, Supervision) else self.config.scratch)
                place = _Place(item.name, label)
                if settings not in made:
                    made[settings] = self._tried(
                        place,
                        lambda s=settings, i=item: train_encoder(s, encoder, self.problem(i), seed),
                        _fit_note(encoder, item.bands),
                    )
                yield replace(made[settings], probe=label)


def _regression(probe: Settings) -> linear.Config:
    """How a regression on raw series learns beside a probe: as the probe's own."""
    if isinstance(probe, distil.Config):
        return probe.probe
    return probe if isinstance(probe, linear.Config) else linear.Config()


def _fit_note(encoder: Encoder, bands: Bands) -> str:
    try:
        return fit(encoder.contract, bands).note
    except SwathError:
        return ""


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
