"""The typed recipe: what every key means, and what has to fit together."""

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from pydantic import Field, field_validator, model_serializer, model_validator

from swath import plugins
from swath._files import LONGEST
from swath.corpus.splits import Only, SplitConfig
from swath.encoders import EncoderSettings
from swath.errors import RecipeError, nearest
from swath.sensors import SensorDefinition, SensorName, declare
from swath.settings import PluginSettings, Seed, Settings
from swath.sweep import SweepConfig
from swath.tasks import Claim, TaskConfig, stated_claims
from swath.training import TrainConfig

if TYPE_CHECKING:
    SourceConfig: TypeAlias = PluginSettings
    MethodConfig: TypeAlias = PluginSettings
    ViewsConfig: TypeAlias = PluginSettings
    EncoderConfig: TypeAlias = EncoderSettings
else:
    SourceConfig = plugins.union("swath.corpus.sources")
    MethodConfig = plugins.union("swath.methods")
    ViewsConfig = plugins.union("swath.views.policies")
    EncoderConfig = plugins.union("swath.encoders", EncoderSettings)


class CorpusConfig(Settings):
    """The corpus of an experiment: where its chips are, and how to make them if they do not exist yet."""

    path: Path | None = None
    """Folder of the corpus; the run's own folder if not given."""
    source: SourceConfig | None = None
    """How to make the corpus where it does not exist."""


class ArmConfig(Settings):
    """One way to pre-train an encoder: encoder, method, views and training."""

    encoder: EncoderConfig
    method: MethodConfig
    views: ViewsConfig
    training: TrainConfig = TrainConfig()
    only: Only = Field(default_factory=dict)
    """Train on some locations of the training part only: values by scalar column, such as `region: [france]`."""


class ReplicatesConfig(Settings):
    """How often an experiment is repeated. A verdict needs three trainings of each fold."""

    trainings: int = Field(ge=1)
    """How many times each arm is trained in each fold, with a seed each."""
    label_draws: int | None = Field(default=None, ge=1)
    """Draws of the labels where a task uses not all of them: the trainings take them in turn, and all rows of a
    replicate the same one. One for each training if nothing is said."""
    first_seed: Seed = 0
    """The first of the seeds, and of the draws of the labels. Another number repeats the experiment: other trainings
    on other draws, none of them of the first experiment if it is at least its number of seeds."""

    @model_serializer(mode="wrap")
    def _without_what_is_not_there(self, handler: Callable[[Any], dict[str, Any]]) -> dict[str, Any]:
        # a recipe that is no repetition has the digest that it had before repetitions were there
        return {key: value for key, value in handler(self).items() if key != "first_seed" or value}


class Recipe(Settings):
    """Everything about one experiment: corpus, split, arms, tasks and claims."""

    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]*$", max_length=LONGEST)
    """Names the run's folder."""
    description: str = ""
    """The question that the experiment asks, for the report."""
    data: Path | None = None
    """Folder of the source data, for sources that read one: `data=PATH` on the command line."""
    seeds: list[Seed] = Field(default_factory=lambda: [0], min_length=1)
    """One pre-training and one probe per arm and seed."""
    replicates: ReplicatesConfig | None = None
    """How often the experiment is repeated, instead of `seeds`."""
    sensors: dict[SensorName, SensorDefinition] = Field(default_factory=dict)
    """Sensors of one's own by name, beside those of swath; docs/sensors.md lists their settings."""
    corpus: CorpusConfig
    split: SplitConfig = SplitConfig()
    """The split: which locations train, validate and test. Only the training part is ever pre-trained on. Where a task
    reads the location and no split is given, blocks of 100 km stay whole: an encoder of locations memorises
    neighbours."""
    rotate: bool = False
    """Cross-validate: each seed tests the next fold of `split` (pre-trained without it), and a round over all folds is
    one result. Needs folds, and a multiple of their number of seeds."""
    arms: dict[str, ArmConfig] = Field(default_factory=dict)
    """The encoders to compare, by name; `pretrain` holds what they have in common."""
    sweep: SweepConfig | None = None
    """Axes whose combinations are the arms, instead of `arms`: see docs/sweeps.md."""
    tasks: dict[str, TaskConfig] = Field(default_factory=dict)
    """The tasks that encoders are judged on, by name."""
    claims: list[Claim] | None = None
    """The comparisons that the experiment is made for, and that alone get a verdict. If nothing is said: each arm
    against its own random twin, its own training from scratch and one named floor, by the first probe of an input."""
    knn_task: str | None = None
    """The task whose labels the k-NN gauge looks at while encoders are trained, on the validation part; the first one
    if nothing is said, none if null."""

    @field_validator("sensors")
    @classmethod
    def _declared(cls, definitions: dict[str, SensorDefinition]) -> dict[str, SensorDefinition]:
        # before the sections that follow are validated, which name them
        try:
            declare(definitions, "the recipe")
        except RecipeError as error:
            raise ValueError(f"{error.what}; {error.remedy}") from None
        return definitions

    @model_serializer(mode="wrap")
    def _without_what_is_not_there(self, handler: Callable[[Any], dict[str, Any]]) -> dict[str, Any]:
        # a recipe that says nothing of these has the digest that it had before they were there
        absent = [key for key in ("sensors", "claims", "replicates", "sweep") if getattr(self, key) in (None, {})]
        return {key: value for key, value in handler(self).items() if key not in absent}

    @field_validator("seeds")
    @classmethod
    def _distinct(cls, seeds: list[int]) -> list[int]:
        if len(set(seeds)) != len(seeds):
            raise ValueError("seeds must differ from each other")
        return seeds

    @model_validator(mode="after")
    def _seeds_are_those_of_the_replicates(self) -> "Recipe":
        if self.replicates is None:
            return self
        if self.rotate and self.split.folds is None:
            raise ValueError("replicates: how many folds a column has is known to the corpus alone; give seeds instead")
        folds = self.split.folds if self.rotate and self.split.folds else 1
        first = self.replicates.first_seed
        seeds = list(range(first, first + self.replicates.trainings * folds))
        if "seeds" in self.model_fields_set and self.seeds != seeds:
            raise ValueError(f"replicates ask for the seeds {first} to {seeds[-1]}; give seeds or replicates, not both")
        object.__setattr__(self, "seeds", seeds)
        return self

    @field_validator("arms", "tasks")
    @classmethod
    def _are_folder_names(cls, named: dict[str, Any]) -> dict[str, Any]:
        for name in named:
            if not is_name(name):
                raise ValueError(
                    f"{name[:60]!r} is not a usable name: letters, digits, '-' and '_' only, {LONGEST} bytes at most"
                )
        return named

    @model_validator(mode="after")
    def _neighbours_stay_together_where_places_are_read(self) -> "Recipe":
        if "split" not in self.model_fields_set and any(task.reads_location for task in self.tasks.values()):
            object.__setattr__(self, "split", SplitConfig(by="block", block_km=100.0))
        return self

    @model_validator(mode="after")
    def _has_folds_to_rotate(self) -> "Recipe":
        if self.rotate and self.split.fold is None:
            raise ValueError("rotate needs folds: give split.folds and split.fold: 0, or by: column with fold: 0")
        return self

    @model_validator(mode="after")
    def _floors_are_of_its_arms(self) -> "Recipe":
        for name, task in self.tasks.items():
            for arm in task.floor_arms:
                if self.arms and arm not in self.arms:
                    raise ValueError(f"tasks.{name}.floor_arms: no arm {arm!r}; {nearest(arm, list(self.arms))}")
        return self

    @model_validator(mode="after")
    def _arms_of_a_sweep_differ(self) -> "Recipe":
        seen: dict[str, str] = {}
        for name, arm in self.arms.items() if self.sweep else ():
            training = arm.training.model_copy(update={"epochs": 1} if arm.training.samples else {})
            if (same := seen.setdefault(arm.model_copy(update={"training": training}).model_dump_json(), name)) != name:
                raise ValueError(
                    f"sweep: {same} and {name} are the same training, so their levels are one; where samples are given "
                    "(sweep.samples), they stand instead of training.epochs and training.samples"
                )
        return self

    @model_validator(mode="after")
    def _claims_are_about_what_is_there(self) -> "Recipe":
        try:
            # without arms the recipe is for encoders that are given when it is evaluated
            stated_claims(self.claims, self.tasks, list(self.arms), some_are_away=not self.arms)
        except RecipeError as error:
            raise ValueError(f"{error.where}: {error.what}; {error.remedy}".rstrip("; ")) from None
        return self

    @model_validator(mode="after")
    def _has_the_task_of_its_gauge(self) -> "Recipe":
        if self.knn_task is not None and self.knn_task not in self.tasks:
            raise ValueError(f"knn_task: no task {self.knn_task!r}; {nearest(self.knn_task, list(self.tasks))}")
        return self

    @model_validator(mode="after")
    def _has_chips(self) -> "Recipe":
        if self.corpus.path is None and self.corpus.source is None:
            raise ValueError("corpus: give a path, a source, or both")
        return self

    @property
    def digest(self) -> str:
        """Hash of the resolved recipe without the paths of its data."""
        content = self.model_dump(mode="json", exclude={"data"})
        return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:16]


def is_name(text: str) -> bool:
    """Whether an arm or a task may have this name: letters, digits, '-' and '_', and short enough for a file's name."""
    return text.replace("-", "").replace("_", "").isalnum() and len(text.encode()) <= LONGEST
