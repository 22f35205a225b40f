"""What the policies have in common whose views all show the same bands of one sensor."""

from typing import Annotated, Generic, Literal, TypeVar

from pydantic import Field

from swath.settings import PluginSettings
from swath.views._types import Inputs, Nearby, Seasons
from swath.views.policies._select import one_sensor, reads


class OneSensorSettings(PluginSettings):
    """Base of the `Config` of policies whose views show bands of one sensor."""

    bands: Annotated[tuple[str, ...], Field(min_length=1)]
    """Band keys of one sensor: the encoder's channels."""


Config = TypeVar("Config", bound=OneSensorSettings)


class OneSensorPolicy(Generic[Config]):
    """A policy whose views all have the bands of its settings as channels, by default from one date of a location.

    Raises:
        RecipeError: the bands are of several sensors, or one is unknown or stands there twice.
    """

    dates: int | Literal["all", "paired"] | Nearby | Seasons = 1
    most: int | None = None
    gaps: bool = False

    def __init__(self, config: Config):
        one_sensor(config.bands)
        self.config = config
        self.reads = reads(config.bands)
        self.inputs = Inputs(len(config.bands), config.bands, fixed=True)
