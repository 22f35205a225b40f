"""The interface of an encoder plug-in: what one file of this folder has to define."""

from pathlib import Path
from typing import Any, ClassVar, Protocol, runtime_checkable

from swath.encoders._base import Encoder
from swath.encoders._contract import InputContract
from swath.settings import PluginSettings


class EncoderSettings(PluginSettings):
    """Base of every encoder's `Config`."""

    HAS_BRANCHES: ClassVar[bool] = False
    """Whether the network has a branch for each sensor of a contract (`InputContract.branches`)."""
    TAKES_ANY_NUMBER: ClassVar[bool] = False
    """Whether the network takes any number of bands (`InputContract.any_number`)."""


class StartableSettings(EncoderSettings):
    """Base of the `Config` of encoders that are trained and may start from existing weights."""

    weights: Path | None = None
    """A saved encoder of swath's, with the same bands and settings, to start from."""
    TAKES_FOREIGN_WEIGHTS: ClassVar[bool] = False
    """Whether `weights` may be a file that swath did not write, which `build` then reads."""
    OF_FOREIGN_WEIGHTS: ClassVar[tuple[str, ...]] = ()
    """Settings that only apply to such a file."""

    @property
    def saw_the_earth(self) -> bool:
        """Whether such a file was trained on Earth observation, at locations that nobody knows."""
        return False

    @property
    def part(self) -> EncoderSettings | None:
        """The settings of an encoder inside it, which may start from weights of its own; None where there is none."""
        return None

    @property
    def without_start(self) -> "StartableSettings":
        """The same settings, but for a network that begins with random weights."""
        fields = type(self).model_fields
        usual = {name: fields[name].default for name in ("weights", *self.OF_FOREIGN_WEIGHTS)}
        return self.model_copy(update=usual)


@runtime_checkable
class EncoderPlugin(Protocol):
    """A module of this folder, or one that an installed package offers."""

    Config: type[EncoderSettings]
    """Its settings in a recipe."""

    def build(self, config: Any, contract: InputContract) -> Encoder:
        """The encoder for a contract's bands, randomly initialised unless it starts from foreign weights.

        Raises:
            RecipeError: the settings do not fit together, or not the contract.
        """
        ...
