"""The section of a recipe that describes a task."""

from typing import TYPE_CHECKING, Annotated, Literal, TypeAlias

from pydantic import ConfigDict, Field, field_validator, model_validator

from swath import plugins, sensors
from swath.corpus.labels import MultiLabel, Pixels, TargetConfig, Value
from swath.corpus.splits import Only
from swath.encoders import EncoderSettings
from swath.errors import RecipeError
from swath.sensors import LOCATION
from swath.settings import Counts, PluginSettings, Settings
from swath.tasks import metrics
from swath.tasks.budget import LabelBudget, listed_budgets
from swath.tasks.floors import USUAL, FloorConfig
from swath.tasks.floors import find as find_floor
from swath.tasks.metrics import MetricName, RankingMetricName
from swath.tasks.panel import TaskInput
from swath.tasks.probes import LabelKind, ProbeConfig, linear
from swath.tasks.statistics import TaskRules
from swath.tasks.supervised import Decoding, ScratchConfig

if TYPE_CHECKING:
    SegmenterConfig: TypeAlias = PluginSettings
    EncoderConfig: TypeAlias = EncoderSettings
else:
    SegmenterConfig = plugins.union("swath.segmenters")
    EncoderConfig = plugins.union("swath.encoders", EncoderSettings)


class ReferenceConfig(Settings):
    """A network to stand beside the arms that no pre-training went into: trained on the labels alone, or, where there
    is nothing to train, such as in an encoding of coordinates, read as it is."""

    # built when a recipe is read: packages that offer segmenters and probes import what this module is a part of
    model_config = ConfigDict(defer_build=True)

    segmenter: SegmenterConfig | None = None
    """A segmenter, or else:"""
    encoder: EncoderConfig | None = None
    """an encoder at its random start, with a new head where it is trained."""
    inputs: tuple[str, ...] = Field(min_length=1)
    """Names of the inputs that it reads; a segmenter has a branch, or channels, for each of their sensors."""

    @model_validator(mode="after")
    def _is_one_network(self) -> "ReferenceConfig":
        if (self.segmenter is None) == (self.encoder is None):
            raise ValueError("give a segmenter or an encoder")
        return self

    @property
    def network(self) -> PluginSettings:
        """Settings of the segmenter or the encoder, whichever it is."""
        network = self.segmenter or self.encoder
        assert network is not None
        return network


class TaskConfig(Settings):
    """What encoders are judged on.

    Marked with `Counts.NEVER` are the settings that say which rows and columns there are (each result knows its own),
    and how results are measured.
    """

    model_config = ConfigDict(defer_build=True)

    target: TargetConfig
    """How a location, or each of its pixels, gets a class; or a location its number."""
    only: Only = Field(default_factory=dict)
    """Judge on some locations alone: values by scalar column, such as `region: [canada]`."""
    inputs: Annotated[dict[str, tuple[str, ...]], Counts.NEVER] = Field(min_length=1)
    """Named lists of band keys `sensor/band` that an encoder is fed; `location` is short for longitude and latitude."""
    probes: Annotated[tuple[ProbeConfig, ...], Counts.NEVER] = Field(default=(linear.Config(),), min_length=1)
    """How labels are read out of the features, or the encoder is trained on them."""
    metric: Annotated[RankingMetricName, Counts.NEVER] = "accuracy"
    """The metric that ranks the rows and is compared."""
    more_metrics: Annotated[tuple[MetricName, ...], Counts.NEVER] = ()
    """Metrics that are shown beside it."""
    floors: Annotated[tuple[FloorConfig, ...], Counts.NEVER] = tuple(find_floor(name) for name in USUAL)
    """Rows that no pre-training went into, by name, or with settings; leaving one out makes a comparison weaker."""
    floor_arms: Annotated[tuple[str, ...], Counts.NEVER] = ()
    """Arms whose untrained networks the floors `random-encoder` and `scratch` are; those of all arms if none is named.
    Networks that are a part of another arm's, or that scratch means nothing to, need no rows of their own."""
    scratch: Annotated[ScratchConfig, Counts.NEVER] = ScratchConfig()
    """How the network is trained from scratch beside probes on frozen features; under `fine-tune` the probe says so."""
    references: Annotated[dict[str, ReferenceConfig], Counts.NEVER] = Field(default_factory=dict)
    """Networks by row name that no pre-training went into: trained for each seed by the settings of the probes that
    train, or, where there is nothing to train, read by the others."""
    dates: int | Literal["all", "paired"] = 1
    """Dates per location: a number, whole series, or those of several sensors paired by time. Encoders of single dates
    average their embeddings."""
    most: int | None = Field(default=None, ge=1)
    """Largest number of dates of a series, the same dates for all rows."""
    tag: str | None = None
    """Only chips with this tag, such as `after`."""
    min_valid: float = Field(default=0.0, ge=0, le=1)
    """Only chips with at least this share of usable pixels."""
    gaps: bool = False
    """Keep dates without a usable pixel in a series, as gaps."""
    label_fraction: float = Field(default=1.0, gt=0, le=1)
    """Share of each class's training and validation labels that may be used; smaller shares are part of larger ones."""
    label_fractions: Annotated[tuple[float, ...], Counts.NEVER] = ()
    """Judge everything once for each of these shares of the training labels, as a task of its own each (`crops@10%`),
    and draw the metric against the number of labels."""
    labels_per_class: Annotated[int | tuple[int, ...] | None, Counts.WHERE_GIVEN] = None
    """So many labelled locations of each class may be used, the k of k-shot learning; several numbers judge everything
    once for each, as a task of its own each (`crops@5-shot`), beside the `label_fractions` if there are any."""
    cloud_bins: Annotated[tuple[float, ...], Counts.NEVER] = ()
    """Edges, such as [0, 0.25, 0.5, 0.75, 1]: also compare rows where the test locations' series have so much cloud."""
    cloud_levels: Annotated[tuple[float, ...], Counts.WHERE_GIVEN] = ()
    """Shares, such as [0, 0.2, 0.4, 0.6, 0.8]: also judge each row that was trained on the task with so much cloud over
    the test series. Needs a corpus that knows the surface below its clouds: the synthetic landscape with `clear`."""
    batch_size: int = Field(default=128, ge=1)
    """Locations per call of an encoder."""

    @field_validator("inputs")
    @classmethod
    def _location_is_two_bands(cls, inputs: dict[str, tuple[str, ...]]) -> dict[str, tuple[str, ...]]:
        short = {LOCATION: [band.key for band in sensors.get(LOCATION).bands]}
        return {name: tuple(key for said in keys for key in short.get(said, [said])) for name, keys in inputs.items()}

    @model_validator(mode="after")
    def _names_are_unique(self) -> "TaskConfig":
        labels = [probe.label() for probe in self.probes]
        if len(set(labels)) != len(labels):
            raise ValueError(f"two probes are called the same: {', '.join(labels)}")
        for name, keys in self.inputs.items():
            if not keys or len(set(keys)) != len(keys):
                raise ValueError(f"inputs.{name}: give each band once, and at least one")
        return self

    @model_validator(mode="after")
    def _lists_are_in_order(self) -> "TaskConfig":
        fractions, bins = self.label_fractions, self.cloud_bins
        if len(set(fractions)) != len(fractions) or not all(0 < f <= 1 for f in fractions):
            raise ValueError("label_fractions: give each share once, above 0 and up to 1")
        if fractions and self.label_fraction != 1:
            raise ValueError("give label_fraction or label_fractions, not both")
        if bins and (len(bins) < 2 or list(bins) != sorted(set(bins)) or bins[0] < 0 or bins[-1] > 1):
            raise ValueError("cloud_bins: give ascending edges between 0 and 1")
        levels = self.cloud_levels
        if list(levels) != sorted(set(levels)) or not all(0 <= share <= 1 for share in levels):
            raise ValueError("cloud_levels: give ascending shares between 0 and 1")
        return self

    @model_validator(mode="after")
    def _shots_make_sense(self) -> "TaskConfig":
        given = self.labels_per_class
        if given is None:
            return self
        numbers = (given,) if isinstance(given, int) else given
        if not numbers or len(set(numbers)) != len(numbers) or min(numbers) < 1:
            raise ValueError("labels_per_class: give a number from 1 on, or several, each once")
        if self.regression:
            raise ValueError("labels_per_class: numbers have no classes; give label_fractions")
        if self.label_fraction != 1:
            raise ValueError("give label_fraction or labels_per_class, not both")
        if self.label_fractions and isinstance(given, int):
            raise ValueError(f"labels_per_class: beside label_fractions give a list, [{given}]")
        return self

    @model_validator(mode="after")
    def _fits_pixels(self) -> "TaskConfig":
        if isinstance(self.target, Pixels):
            if frozen := [probe.label() for probe in self.probes if not probe.supervision()]:
                raise ValueError(
                    f"{', '.join(frozen)} reads one class per location; a class per pixel needs segment or fine-tune"
                )
            if scored := [name for name in (self.metric, *self.more_metrics) if metrics.find(name).needs_scores]:
                raise ValueError(f"{scored[0]} needs class scores, which are not kept of pixels")
        elif decoding := [probe.label() for probe in self.probes if isinstance(probe.supervision(), Decoding)]:
            raise ValueError(f"{', '.join(decoding)} gives each pixel a class, and here locations have the classes")
        if self.most is not None and isinstance(self.dates, int):
            raise ValueError("most needs dates: all or paired")
        return self

    @model_validator(mode="after")
    def _fits_labels(self) -> "TaskConfig":
        what = _what(self.target)
        if self.cloud_levels and (self.multi_label or self.regression):
            raise ValueError(f"cloud_levels are not there for {what.removesuffix(' are')}: leave them out")
        kinds = {"multi_label": self.multi_label, "regression": self.regression}
        serving = [one for one in map(metrics.find, metrics.names()) if one.serves(**kinds)]
        if wrong := sorted({self.metric, *self.more_metrics} - {one.name for one in serving}):
            known = ", ".join(one.name for one in serving if one.ranks)
            raise ValueError(f"{what} not judged by {', '.join(wrong)}: give metric as one of {known}")
        return self

    @model_validator(mode="after")
    def _probes_learn_the_labels(self) -> "TaskConfig":
        kind: LabelKind = "numbers" if self.regression else "classes"
        if wrong := [probe.label() for probe in self.probes if kind not in probe.label_kinds()]:
            raise ValueError(
                f"{wrong[0]} does not learn {kind}: give probes that do, such as {', '.join(READERS[kind])}"
            )
        return self

    @model_validator(mode="after")
    def _teachers_have_inputs(self) -> "TaskConfig":
        for probe in self.probes:
            if unknown := [name for name in probe.taught_by() if name not in self.inputs]:
                raise ValueError(
                    f"{probe.label()}: no input {unknown[0]!r} for the teacher; there are {', '.join(self.inputs)}"
                )
        return self

    @model_validator(mode="after")
    def _references_have_a_place(self) -> "TaskConfig":
        for name, reference in self.references.items():
            if unknown := [item for item in reference.inputs if item not in self.inputs]:
                raise ValueError(f"references.{name}: no input {unknown[0]!r}; there are {', '.join(self.inputs)}")
        trained = any(probe.supervision() for probe in self.probes)
        if any(one.segmenter for one in self.references.values()) and not trained:
            raise ValueError("references are trained by the settings of a probe: give the probe fine-tune or segment")
        if self.cloud_levels and not trained:
            raise ValueError("cloud_levels judge networks that the task trained: give the probe fine-tune or segment")
        return self

    @property
    def reads_location(self) -> bool:
        """Whether an input says where locations lie."""
        return any(key.startswith(f"{LOCATION}/") for keys in self.inputs.values() for key in keys)

    @property
    def rules(self) -> TaskRules:
        """What the statistics need to know of the task: metrics, kind of labels, groups of bands."""
        band_groups = {
            probe.label(): {name: tuple(keys) for name, keys in groups.items()}
            for probe in self.probes
            if (groups := probe.input_groups(self.named_inputs))
        }
        names = dict.fromkeys((self.metric, *self.more_metrics))
        return TaskRules(
            metrics=tuple(names), multi_label=self.multi_label, regression=self.regression, band_groups=band_groups
        )

    @property
    def listed_budgets(self) -> tuple[LabelBudget, ...]:
        """How many labels there are in each of the tasks that it stands for; empty if it is a single task."""
        return listed_budgets(self.label_fractions, self.labels_per_class)

    @property
    def budget(self) -> LabelBudget:
        """How many labels may be used, of a single task."""
        assert not isinstance(self.labels_per_class, tuple)
        return LabelBudget(self.label_fraction, self.labels_per_class)

    @property
    def multi_label(self) -> bool:
        """Whether locations have several classes."""
        return isinstance(self.target, MultiLabel)

    @property
    def regression(self) -> bool:
        """Whether locations have numbers, and no classes."""
        return isinstance(self.target, Value)

    @property
    def named_inputs(self) -> dict[str, list[str]]:
        """The inputs as plain lists."""
        return {name: list(keys) for name, keys in self.inputs.items()}


READERS: dict[LabelKind, tuple[str, ...]] = {
    "classes": ("linear", "knn", "mlp"),
    "numbers": ("ridge", "knn", "mlp"),
}
"""Probes of frozen features for each kind of labels, the nearest relatives first."""


def _what(target: TargetConfig) -> str:
    """What is judged, at the start of a sentence on it."""
    if isinstance(target, Value):
        return "numbers are"
    return "several classes per location are" if isinstance(target, MultiLabel) else "one class is"


def by_budget(name: str, config: TaskConfig) -> dict[str, TaskConfig]:
    """The task itself, or one for each of the numbers of labels that it lists, by name."""
    if not config.listed_budgets:
        return {name: config}
    return {
        budget.task_name(name): config.model_copy(
            update={
                "label_fraction": budget.fraction,
                "label_fractions": (),
                "labels_per_class": budget.per_class,
            }
        )
        for budget in config.listed_budgets
    }


def inputs_of(config: TaskConfig) -> dict[str, TaskInput]:
    """All inputs with the probes that read them: the named ones first, then those that probes ask for."""
    inputs: dict[str, TaskInput] = {}
    for probe in config.probes:
        for name, keys in probe.inputs(config.named_inputs).items():
            bands = tuple(keys)
            known = inputs.setdefault(name, TaskInput(name, bands, ()))
            if known.bands != bands:
                raise RecipeError(
                    f"input {name!r} means two things: {', '.join(known.bands)}, and {', '.join(bands)}",
                    remedy="give the named input another name",
                )
            inputs[name] = TaskInput(name, bands, (*known.probes, probe))
    for name in (name for probe in config.probes for name in probe.taught_by()):
        # a teacher may read an input that no probe is judged on
        inputs.setdefault(name, TaskInput(name, config.inputs[name], ()))
    return inputs
