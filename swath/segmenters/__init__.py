"""Networks from images to a map of classes. One file each, found by its name.

A file defines `Config` and `build(config, contracts, classes) -> Segmenter` (`SegmenterPlugin`); a segmenter is trained
like any other network of the supervised tasks. Those that can stand on any encoder with maps of features also define
`around(config, encoder) -> Decoded` (`DecoderPlugin`).
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any, TypeAlias, cast

from pydantic import AfterValidator, Discriminator, Tag

from swath import plugins
from swath.encoders import Encoder, InputContract
from swath.errors import RecipeError
from swath.segmenters._base import Segmenter, SegmenterPlugin
from swath.segmenters._decoders import Decoded, DecoderPlugin, DecoderSettings, with_maps
from swath.settings import PluginSettings

__all__ = [
    "Decoded",
    "DecoderConfig",
    "DecoderPlugin",
    "DecoderSettings",
    "Segmenter",
    "SegmenterPlugin",
    "around",
    "build",
    "names",
]


def names() -> list[str]:
    """Names of all segmenters."""
    return plugins.names(__name__)


def build(config: PluginSettings, contracts: Mapping[str, InputContract], classes: int) -> Segmenter:
    """The segmenter that the settings name, randomly initialised.

    Args:
        config: a plug-in's `Config`.
        contracts: by sensor: bands and statistics of its images; the first sensor's dates lead where they are joined.
        classes: how many.

    Raises:
        RecipeError: no such segmenter, or it takes another number of sensors.
    """
    return cast(SegmenterPlugin, plugins.find(__name__, config.name)).build(config, contracts, classes)


def around(config: DecoderSettings, encoder: Encoder) -> Decoded:
    """Features of every pixel: the decoder that the settings name, randomly initialised, on an encoder's maps.

    Args:
        config: a decoder's `Config`.
        encoder: pre-trained or not. It is not copied, and DeepLab's decoders dilate its last stage.

    Raises:
        ContractError: the encoder has no maps of features, or none that the decoder can use.
    """
    return cast(DecoderPlugin, plugins.find(__name__, config.name)).around(config, with_maps(encoder))


def _as_decoder(said: str | PluginSettings) -> PluginSettings:
    """The settings of a decoder, of which the name alone may have been said."""
    config = _usual(said) if isinstance(said, str) else said
    if isinstance(config, DecoderSettings):
        return config
    raise ValueError(f"{config.name} stands alone: give a decoder, such as unet")


def _usual(name: str) -> PluginSettings:
    try:
        return cast(SegmenterPlugin, plugins.find(__name__, name)).Config(name=name)
    except RecipeError as error:
        raise ValueError(f"{error.what}; {error.remedy}") from None


def _said_how(said: Any) -> str:
    return "name" if isinstance(said, str) else "settings"


if TYPE_CHECKING:
    DecoderConfig: TypeAlias = DecoderSettings
else:
    _Settings = Annotated[plugins.union(__name__), Tag("settings")]
    DecoderConfig = Annotated[
        Annotated[str, Tag("name")] | _Settings, Discriminator(_said_how), AfterValidator(_as_decoder)
    ]
"""The settings of any decoder, or its name alone."""
