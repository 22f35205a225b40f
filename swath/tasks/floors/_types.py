"""What a floor is."""

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Protocol, runtime_checkable

from swath.encoders import Encoder
from swath.settings import PluginSettings
from swath.tasks._types import Outcome
from swath.tasks.panel import Panel
from swath.tasks.probes import ProbeSettings, Validation
from swath.tasks.schema import Role

if TYPE_CHECKING:
    from swath.tasks.task import Task
else:
    # a task's settings name floors, so its module imports this one
    Task = Any


class FloorSettings(PluginSettings):
    """Base of every floor's `Config`: its settings, and what the tables have to know of it."""

    row: ClassVar[str]
    """What its row is called in the tables."""
    role: ClassVar[Role] = "floor"
    """What its row is; `random-twin` and `scratch` are the arms' own networks before their pre-training, with one row
    for each network."""
    random: ClassVar[bool] = True
    """Whether seeds make a difference; otherwise it has the first one only."""

    task_settings: ClassVar[tuple[str, ...]] = ()
    """Names of settings of the task that its rows alone depend on."""

    @property
    def needs_network(self) -> bool:
        """Whether it is the arms' own network."""
        return self.role != "floor"

    def once(self, probe: ProbeSettings) -> Validation | None:  # noqa: ARG002 — some floors are read by the probe
        """What earlier versions used the validation labels for beside a probe; None where they did as the probe does.

        Results are computed anew where that is no longer what the floor does.
        """
        return None

    def stands(self, task: Task, panel: Panel) -> bool:  # noqa: ARG002 — some floors ask the probe
        """Whether it has a row in a panel: most read features of locations, whatever the probe."""
        return not task.per_pixel


@runtime_checkable
class FloorPlugin(Protocol):
    """A module of this folder, or one that an installed package offers."""

    Config: type[FloorSettings]
    """Its settings in a recipe."""
    outcomes: Callable[[Any, Task, Sequence[Panel], int, Encoder | None], Iterator[Outcome]]
    """Its settings, a task, the panels that are wanted, a seed, and the untrained network of an arm if it needs one, to
    its outcome in each of these panels."""
