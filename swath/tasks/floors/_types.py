"""What a floor is."""

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Protocol, runtime_checkable

from swath.encoders import Encoder
from swath.settings import PluginSettings
from swath.tasks._types import Outcome
from swath.tasks.panel import Panel
from swath.tasks.probes import ProbeSettings, Validation, linear, ridge
from swath.tasks.schema import Role

if TYPE_CHECKING:
    from swath.tasks.task import Task
else:
    # a task's settings name floors, so its module imports this one
    Task = Any


class FloorSettings(PluginSettings):
    """Base of every floor's `Config`: its settings, and what the tables have to know of it."""

    row: ClassVar[str]
    """Name of its row in the tables."""
    role: ClassVar[Role] = "floor"
    """Role of its row; `random-twin` and `scratch` are the arms' own networks before pre-training, one row per
    network."""
    random: ClassVar[bool] = True
    """Whether its result depends on the seed; otherwise only the first seed is computed."""

    task_settings: ClassVar[tuple[str, ...]] = ()
    """Names of task settings that only its rows depend on."""

    @property
    def needs_network(self) -> bool:
        """Whether it judges an arm's own, untrained network."""
        return self.role != "floor"

    def once(self, probe: ProbeSettings) -> Validation | None:  # noqa: ARG002 — some floors are read by the probe
        """What earlier versions used the validation labels for beside a probe; None where they did as the probe does.

        Results are computed anew where that is no longer what the floor does.
        """
        return None

    def stands(self, task: Task, panel: Panel) -> bool:  # noqa: ARG002 — some floors ask the probe
        """Whether it has a row in a panel: most read features of locations, whatever the probe."""
        return not task.per_pixel


def plain_probe(task: Task, probe: ProbeSettings) -> ProbeSettings:
    """The linear probe for a task's labels that uses the validation labels as another probe does."""
    return (ridge if task.regression else linear).beside(probe)


@runtime_checkable
class FloorPlugin(Protocol):
    """A module of this folder, or one that an installed package offers."""

    Config: type[FloorSettings]
    """Its settings in a recipe."""
    outcomes: Callable[[Any, Task, Sequence[Panel], int, Encoder | None], Iterator[Outcome]]
    """A function of its settings, a task, panels, a seed, and the untrained network of an arm if it needs one,
    which returns its outcome in each of these panels."""
