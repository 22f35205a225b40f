"""What every comparison has beside it: rows that no pre-training went into, one per file, found by its module name.

A floor's module defines `Config`, which derives from `FloorSettings`, and `outcomes` (`FloorPlugin`).
"""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Annotated, Any, TypeAlias, cast

from pydantic import BeforeValidator, PlainSerializer

from swath import plugins
from swath.encoders import Encoder
from swath.tasks._names import OneOf
from swath.tasks._types import Outcome
from swath.tasks.floors._types import FloorPlugin, FloorSettings, Task
from swath.tasks.panel import Panel

__all__ = ["USUAL", "FloorConfig", "FloorPlugin", "FloorSettings", "find", "names", "outcomes"]

USUAL = (
    *("majority", "training-mean", "image-statistics", "random-convolutions", "random-encoder", "scratch"),
    *("random-forest", "logistic-regression"),
)
"""The floors of a task whose recipe names none, in the order of the tables. Others have to be named, so that no
table changes because something was installed."""


def names() -> list[str]:
    """Names of all floors."""
    return plugins.names(__name__)


def find(name: str) -> FloorSettings:
    """The settings that a floor has where a recipe says no more than its name.

    Raises:
        RecipeError: there is no such floor; the message suggests the nearest one.
    """
    return cast(FloorPlugin, plugins.find(__name__, name)).Config(name=name)


def outcomes(
    config: FloorSettings, task: Task, panels: Sequence[Panel], seed: int, network: Encoder | None = None
) -> Iterator[Outcome]:
    """What a floor predicts in each of the given panels.

    Args:
        config: its settings.
        task: what is judged.
        panels: those that are wanted; in some of them it may have no row.
        seed: of the row.
        network: the untrained network of an arm, for floors that need one.
    """
    wanted = [panel for panel in panels if config.stands(task, panel)]
    return cast(FloorPlugin, plugins.find(__name__, config.name)).outcomes(config, task, wanted, seed, network)


def _spelt_out(said: Any) -> Any:
    return {"name": said} if isinstance(said, str) else said


def _short(config: FloorSettings) -> str | dict[str, Any]:
    """The name alone where all other settings are defaults."""
    said = config.model_dump(mode="json")
    return config.name if config == find(config.name) else said


if TYPE_CHECKING:
    FloorConfig: TypeAlias = FloorSettings
else:
    _Any = plugins.union(__name__, FloorSettings)
    _Name = Annotated[str, OneOf(names)]
    FloorConfig = Annotated[
        _Any, BeforeValidator(_spelt_out, json_schema_input_type=_Name | _Any), PlainSerializer(_short)
    ]
