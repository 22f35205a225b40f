"""A task: labelled locations, a split, inputs and probes. Running it on an encoder gives paired predictions."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from copy import copy
from dataclasses import replace
from functools import cached_property

import numpy as np
from jaxtyping import Float, Int, Shaped

from swath.corpus import Corpus, Selection
from swath.corpus.labels import Targets, targets
from swath.corpus.painting import knows_clear
from swath.corpus.splits import SplitConfig, independent, rows_of, thin_parts, thin_test
from swath.encoders import Encoder, InputContract, nearest_band
from swath.errors import ContractError, RecipeError, SwathError
from swath.tasks import metrics
from swath.tasks._types import Altered, EvaluationUnits, Features, Outcome, Prediction, concatenated
from swath.tasks.config import TaskConfig, inputs_of
from swath.tasks.data import (
    BandReader,
    Bands,
    Condition,
    FeatureMemory,
    Labelled,
    Request,
    are_numbers,
    contract_of,
    extract_all,
    learnable,
    match_bands,
    subset,
    unseen,
    with_corpus_statistics,
)
from swath.tasks.panel import Panel, TaskInput
from swath.tasks.probes import ProbeSettings, Validated, fit, fit_predict, is_constant, is_fitting, train_predict
from swath.tasks.representation import subsample
from swath.tasks.supervised import LabelledInput
from swath.tasks.trained import FittedProbe, Keeper

PARTS = ("train", "val", "test")
MEMORISED = (
    "an input says where locations lie, and the split is random by {by}: with neighbours to learn from, an encoder of "
    "places memorises the answers; split by block"
)
CONSTANT = "the features of all training locations are the same: nothing can be read out of them"
CODES_OF_MISSING = (-99.0, -999.0, -9999.0, -99999.0, -32768.0)
"""Numbers by which tables say that there is none."""
RARE = 5
"""Number of the test part's groups with a class below which one resample in a hundred or more has none of them."""


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
            RecipeError: a part that is needed holds no labelled location, or the settings list several numbers of
                labels (`by_budget` makes a task of each).
        """
        if config.listed_budgets:
            several = " and ".join(map(str, config.listed_budgets))
            raise RecipeError(
                f"{several} are tasks of their own", where=f"task {name}", remedy="call swath.tasks.by_budget"
            )
        self.name, self.config, self.corpus, self.split_config = name, config, corpus, split_config
        labelled = targets(corpus, config.target)
        self.classes = list(labelled.classes)
        self.unit = labelled.unit
        """Unit of the numbers of a regression; empty where they have none, and of classes."""
        self._without_number = labelled.missing
        self.inputs = inputs_of(config)
        self._check_bands()
        self.bands = tuple(dict.fromkeys(key for item in self.inputs.values() for key in item.bands))
        select = Selection(
            dates=config.dates, most=config.most, tag=config.tag, min_valid=config.min_valid, gaps=config.gaps
        )
        self.reader = BandReader(corpus, self.bands, select)
        self._check_clouds()
        self.groups = independent(corpus, split_config)
        self.incomplete = 0
        """Labelled locations of the split that are left out, because some sensor has no usable chip of them."""
        rows = {part: rows_of(corpus, split[part], config.only) for part in PARTS}
        self.parts = {part: self._labelled(part, rows[part], labelled) for part in PARTS}
        self._thin = thin_parts({part: self.groups[self.parts[part].locations] for part in PARTS}, split_config)
        self.all_labelled = len(self.parts["train"])
        """Locations of the training part before some are drawn."""
        self.draw = 0
        """Number of the draw of the labels that are used, where these are not all of them."""
        self.keeper: Keeper | None = None
        """Gets what is trained for a result; whoever sets it asks for one result at a time."""
        self.conditions: tuple[Condition, ...] = ()
        """Conditions under which what is trained is asked about the test part as well."""
        self.memory: FeatureMemory | None = None
        """Remembers features; whoever sets it asks for outcomes of one encoder."""
        self._all = self.parts
        self._unlabelled = np.concatenate([rows["train"], rows["val"]])
        self.parts = self._drawn_parts()

    def drawn(self, draw: int) -> "Task":
        """The same task with another draw of the labels; itself where all of them are used."""
        if draw == self.draw or self.config.budget.is_all:
            return self
        other = copy(self)
        other.draw = draw
        other.parts = other._drawn_parts()
        return other

    def testing(self, most: int) -> "Task":
        """The same task with so many of its test locations at most, at random; whatever the labels, the same ones."""
        test = self.parts["test"]
        if len(test) <= most:
            return self
        other = copy(self)
        other.__dict__.pop("units", None)
        other.parts = self.parts | {"test": test.take(subsample(len(test), most))}
        return other

    def _drawn_parts(self) -> dict[str, Labelled]:
        # labels that choose are labels too: probes tune on the validation part, and some learn from it in the end
        budget = self.config.budget
        parts = {name: subset(part, budget, self.draw) if name != "test" else part for name, part in self._all.items()}
        if any(probe.taught_by() for probe in self.config.probes):
            parts["pool"] = self._pool(parts, self._unlabelled)
        return parts

    def _check_bands(self) -> None:
        for item in self.inputs.values():
            try:
                contract_of(self.corpus, item.bands)
            except ContractError as error:
                where = f"task {self.name}, input {item.name}"
                raise RecipeError(error.what, where=where, remedy=error.remedy) from None

    def _check_clouds(self) -> None:
        sensors = self.reader.reads
        if self.config.cloud_levels and not any(knows_clear(self.corpus, sensor) for sensor in sensors):
            raise RecipeError(
                f"the corpus does not know what {' and '.join(sensors)} would show under a clear sky",
                where=f"task {self.name}, cloud_levels",
                remedy="take the synthetic landscape with `clear: true`, or leave cloud_levels out",
            )

    def _labelled(self, part: str, rows: Int[np.ndarray, " _"], found: Targets) -> Labelled:
        labelled = rows[np.isin(rows, found.locations)]
        rows = self.reader.complete(labelled)
        self.incomplete += len(labelled) - len(rows)
        if not len(rows) and part != "val":
            beside = " and coordinates" if self.config.reads_location else ""
            raise RecipeError(
                f"the {part} part holds no labelled location with a chip of every sensor{beside}",
                where=f"task {self.name}",
                remedy="change the split's fractions, the target's rule, or the inputs",
            )
        if found.maps:
            return Labelled(rows, found.maps.read(rows))
        y = found.y if found.has_class is None else found.has_class
        y = y[np.searchsorted(found.locations, rows)]
        return Labelled(rows, y if are_numbers(y) else y.astype(np.int64))

    def _pool(self, parts: Mapping[str, Labelled], rows: Int[np.ndarray, " _"]) -> Labelled:
        """Locations without a label, or whose label is not to be used: all that may be learnt from without."""
        used = np.concatenate([parts["train"].locations, parts["val"].locations])
        rows = self.reader.complete(np.sort(rows[~np.isin(rows, used)]))
        return Labelled(rows, np.zeros((len(rows), *parts["train"].y.shape[1:]), np.int64))

    def undated(self, sensor: str) -> int:
        """Number of labelled locations of whose chips of a sensor none has a date; 0 for what has no chips."""
        chips = self.corpus.chip_index
        own = chips["sensor"] == sensor
        rows = np.concatenate([part.locations for part in self._all.values()])
        held = (chips.loc[which, "location"].to_numpy() for which in (own, own & chips["datetime"].notna()))
        there, dated = (np.isin(rows, some) for some in held)
        return int((there & ~dated).sum())

    @property
    def undrawn(self) -> Mapping[str, Labelled]:
        """Labelled locations by part, before some are drawn."""
        return self._all

    @property
    def fold(self) -> int:
        """Number of the fold that tests; 0 where there are none."""
        return (self.split_config.fold if self.split_config else None) or 0

    @property
    def per_pixel(self) -> bool:
        """Whether it is a segmentation."""
        return self.parts["test"].per_pixel

    @property
    def regression(self) -> bool:
        """Whether numbers are estimated, and no classes told apart."""
        return self.parts["test"].regression

    @property
    def learnable(self) -> bool:
        """Whether the training part leaves anything to tell apart."""
        return learnable(self.parts["train"].y)

    @property
    def remarks(self) -> list[str]:
        """What a reader must know about the task's labels; of what is tested, `remarks_on_test` tells."""
        said = []
        if self.incomplete:
            what = "some sensor has no chip of them, or none with enough valid pixels"
            what += ", or they have no coordinates" if self.config.reads_location else ""
            said.append(f"{self.incomplete} labelled locations are left out: {what}")
        if self.config.reads_location and self.split_config and self.split_config.by in ("location", "group"):
            said.append(MEMORISED.format(by=self.split_config.by))
        if self._without_number:
            said.append(f"{self._without_number} locations of the corpus have no number, and are left out")
        said += self._codes_of_missing()
        return [*said, *self._about_budget(), *filter(None, [self.unseen]), *self._thin]

    def _about_budget(self) -> list[str]:
        """Remarks where the labels that are used are not what the budget says."""
        budget = self.config.budget
        if budget.per_class is not None:
            return [*filter(None, (self._short("train"), self._short("val"), self._more_than(budget.per_class)))]
        asked = round(budget.fraction * self.all_labelled)
        if budget.is_all or asked >= len(self.classes):
            return []
        return [
            f"the label fraction would leave {asked} of {self.all_labelled} training locations, fewer than the "
            f"{len(self.classes)} classes: every class keeps one, so {len(self.parts['train'])} are learnt from"
        ]

    def _short(self, part: str) -> str:
        """A remark on classes of which a part has fewer labelled locations than may be used; empty if none is short."""
        wanted = self.config.budget.per_class or 0
        there = self._counted(self._all[part])
        # classes without any training label are said anyway
        short = [f"{name} ({n})" for name, n in there.items() if n < wanted and (n or part == "val")]
        if not short or not len(self._all[part]):
            return ""
        word = {"train": "training", "val": "validation"}[part]
        return f"fewer than {wanted} labelled {word} locations have {', '.join(short)}: all of these are used"

    def _more_than(self, wanted: int) -> str:
        """A remark on classes that more training locations have than were asked for, as they have others too."""
        often = [f"{name} ({n})" for name, n in self._counted(self.parts["train"]).items() if n > wanted]
        return f"locations have several classes, so more than {wanted} have {', '.join(often)}" if often else ""

    def _counted(self, part: Labelled) -> dict[str, int]:
        """Number of locations that have each class."""
        return dict(zip(self.classes, part.has(len(self.classes)).sum(axis=0).tolist(), strict=True))

    def _codes_of_missing(self) -> list[str]:
        """A remark where the smallest of the numbers to estimate is one that others write where there is none."""
        y = np.concatenate([self._all[part].y for part in PARTS]) if self.regression else np.empty(0)
        if not len(y) or (least := y.min()) not in CODES_OF_MISSING:
            return []
        count = int((y == least).sum())
        return [f"{count} of {len(y)} numbers are {least:g}: if that says that there is none, leave the cell empty"]

    @property
    def unseen(self) -> str:
        """A remark on classes that the used labels leave out; empty if there are none."""
        counts = self.parts["train"].counts(len(self.classes))
        names = [name for name, n in zip(self.classes, counts, strict=True) if not n]
        return f"no training label of {', '.join(names)}" if names else ""

    @property
    def tested_groups(self) -> Shaped[np.ndarray, " location"]:
        """The group of each location of the test part."""
        return self.groups[self.parts["test"].locations]

    @cached_property
    def units(self) -> EvaluationUnits:
        """The evaluation units of the test part, the same for all rows."""
        return self._units("test")

    @property
    def validation_units(self) -> EvaluationUnits:
        """The units of the validation part whose labels may be used, by which probabilities are calibrated."""
        return self._units("val")

    def _units(self, part: str) -> EvaluationUnits:
        rows = self.parts[part].locations
        uid = self.corpus.locations["uid"].to_numpy(dtype=object)[rows]
        return EvaluationUnits(tuple(map(str, uid)), tuple(map(str, self.groups[rows])), self.parts[part].y)

    @property
    def panels(self) -> list[Panel]:
        """Every input with each probe that reads it, in the tables' order."""
        return [Panel(item, probe) for item in self.inputs.values() for probe in item.probes]

    def labelled(self, item: TaskInput) -> LabelledInput:
        """What a network that is trained on this input learns from and is tested on."""
        # a network that estimates numbers has a single output
        outputs = len(self.classes) or 1
        return LabelledInput(
            self.reader, item.bands, self.parts, outputs, self.config.cloud_levels, self.keeper, self.conditions
        )

    def outcomes(
        self, encoder: Encoder, panels: Sequence[Panel], seed: int, *, pretrained: bool = False
    ) -> Iterator[Outcome]:
        """Judge an encoder.

        Args:
            encoder: frozen, unless a probe trains a copy; on any device.
            panels: where; some of the task's.
            seed: of the probes that are random.
            pretrained: say of which bands the encoder saw none in its pre-training.

        Yields:
            One outcome per panel; one that cannot be computed has no prediction and a note.
        """
        never = unseen(encoder.contract, self.bands) if pretrained else []
        lent = with_corpus_statistics(encoder, self.corpus, self.bands)
        for outcome in self.read(lambda _: lent, panels, seed):
            judged = () if outcome.prediction is None else self.inputs[outcome.input].bands
            foreign = [key for key in judged if key in never]
            named = [_from_trained(encoder.contract, key) for key in foreign]
            said = f"never saw {', '.join(named)}: standardised by the corpus" if foreign else ""
            yield replace(outcome, note="; ".join(filter(None, (outcome.note, said))))

    def read(
        self,
        encoder_for: Callable[[Bands], Encoder],
        panels: Sequence[Panel],
        seed: int,
        probe_for: Callable[[ProbeSettings], ProbeSettings] = lambda own: own,
    ) -> Iterator[Outcome]:
        """What probes read out of encoders, all features being computed in one pass over the chips.

        Args:
            encoder_for: the encoder of an input, by its bands.
            panels: where; some of the task's.
            seed: of the probes that are random.
            probe_for: what reads in place of a panel's own probe.
        """
        probes = [probe_for(panel.probe) for panel in panels]
        pairs = list(zip(panels, probes, strict=True))
        names = dict.fromkeys(name for panel, probe in pairs for name in (panel.input.name, *probe.taught_by()))
        requests, problems = _requests([self.inputs[name] for name in names], encoder_for)
        frozen = {panel.input.name for panel, probe in pairs if not probe.supervision()}
        frozen |= {name for probe in probes for name in probe.taught_by()}
        wanted = {name: request for name, request in requests.items() if name in frozen}
        features = dict(zip(wanted, self._features(list(wanted.values())), strict=True))
        for panel, probe in pairs:
            if lost := [name for name in (panel.input.name, *probe.taught_by()) if name in problems]:
                yield panel.outcome(None, problems[lost[0]])
                continue
            encoder = requests[panel.input.name].encoder
            note = match_bands(encoder.contract, panel.input.bands).note
            if probe.supervision():
                data = self.labelled(panel.input)
                yield panel.tried(lambda p=probe, e=encoder, d=data: train_predict(p, e, d, seed), note)
            else:
                own = _taught(probe, features, panel.input.name)
                note = "; ".join(filter(None, (note, CONSTANT if is_constant(own.train_x) else "")))
                val_x = own.val_x
                if probe is not panel.probe and panel.probe.validation() == "unused":
                    own = own.without_validation()
                request = requests[panel.input.name]
                yield panel.tried(lambda p=probe, f=own, r=request, v=val_x: self._fit(p, f, seed, r, v), note)

    def _fit(
        self, probe: ProbeSettings, features: Features, seed: int, request: Request, val_x: Float[np.ndarray, "val d"]
    ) -> Prediction:
        """What a probe predicts for the test part, for the validation part where it can, and for the test part under
        conditions; the keeper, if there is one, gets the fitted probe.
        """
        if self.keeper is None and not self.conditions and not is_fitting(probe):
            return fit_predict(probe, features, seed)
        fitted = fit(probe, features, seed)
        if self.keeper is not None:
            self.keeper.probe(request.encoder, request.bands, fitted)
        altered = {one.key: self._altered(one, request, fitted) for one in self.conditions}
        held_out = _held_out(probe, features, fitted, val_x)
        return replace(fitted(features.test_x), altered=altered, validation=held_out)

    def _altered(self, condition: Condition, request: Request, fitted: FittedProbe) -> Altered:
        contract = request.encoder.contract
        left = condition.bands_left(contract, request.bands)
        hidden = left != request.bands or (contract.any_number and condition.hide is not None)
        reader = self.reader if left != request.bands else condition.reader(self.reader, hidden=hidden)
        shown, rows = Request(request.encoder, left), self.parts["test"].locations
        x = extract_all([shown], reader, rows, batch_size=self.config.batch_size, trusted=True)[0]
        return Altered(fitted(x), hidden)

    def _features(self, requests: Sequence[Request]) -> list[Features]:
        if not requests:
            return []
        sizes = [len(part) for part in self.parts.values()]
        rows = np.concatenate([part.locations for part in self.parts.values()])
        if self.memory is None:
            made = extract_all(requests, self.reader, rows, batch_size=self.config.batch_size)
        else:
            made = [self.memory.features(one, self.reader, rows, self.config.batch_size) for one in requests]
        return [self._labelled_features(np.split(x, np.cumsum(sizes)[:-1])) for x in made]

    def _labelled_features(self, x: list[np.ndarray]) -> Features:
        of = dict(zip(self.parts, x, strict=True))
        train_y, val_y = self.parts["train"].y, self.parts["val"].y
        pool = of.get("pool", np.empty((0, of["train"].shape[1]), np.float32))
        return Features(of["train"], train_y, of["val"], val_y, of["test"], len(self.classes), pool)


def _from_trained(contract: InputContract, key: str) -> str:
    """A band that an encoder never saw; of an encoder that goes by wavelength, how far it is from those that it did."""
    if not contract.any_number:
        return key
    near = nearest_band(contract, key)
    return f"{key} ({near.um:.3g} um from {near.nearest})"


def _held_out(
    probe: ProbeSettings, features: Features, fitted: FittedProbe, val_x: Float[np.ndarray, "val d"]
) -> Float[np.ndarray, "val k"] | None:
    """Class scores of the validation part by a probe that has not learnt from its labels, if there is one."""
    if features.multi_label or features.regression or not len(val_x):
        return None
    if len(features.val_x) and isinstance(fitted, Validated):
        return fitted.on_validation
    if len(features.val_x) and probe.validation() == "fits":
        return None
    return fitted(val_x).scores


def _taught(probe: ProbeSettings, features: Mapping[str, Features], name: str) -> Features:
    """The features of an input, with those of the probe's teacher if it has one."""
    own, taught_by = features[name], probe.taught_by()
    return replace(own, teacher=concatenated([features[one] for one in taught_by])) if taught_by else own


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


def remarks_on_test(folds: Sequence[Task]) -> list[str]:
    """What a reader must know about what is tested: few groups, a group that dominates, classes in few groups.

    Args:
        folds: the same task in each fold of a split that rotates, whose test parts make one result; else the task.
    """
    groups = np.concatenate([task.tested_groups for task in folds])
    return [*thin_test(groups), *_rare(folds, groups)]


def _rare(folds: Sequence[Task], groups: Shaped[np.ndarray, " location"]) -> list[str]:
    """Remarks on classes that the test part lacks, or has in so few groups that a mean over classes jumps."""
    classes, names = folds[0].classes, folds[0].config.rules.metrics
    has = np.concatenate([task.parts["test"].has(len(classes)) for task in folds])
    count = {name: len(np.unique(groups[there])) for name, there in zip(classes, has.T, strict=True)}
    absent = [name for name, n in count.items() if not n]
    rare = [f"{name} ({n})" for name, n in count.items() if 0 < n < RARE]
    said = [f"no test label of {', '.join(absent)}: not judged"] if absent else []
    if rare and any(metrics.find(name).averages_classes for name in names):
        said.append(
            f"classes in fewer than {RARE} groups of the test part: {', '.join(rare)}; "
            "without some group they are gone, so intervals of means over classes (macro F1, mIoU, balanced "
            "accuracy, mAP) are not to be trusted"
        )
    return said
