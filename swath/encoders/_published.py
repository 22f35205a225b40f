"""Cards of published checkpoints: which bands their networks take, in which order, and how pixels were scaled for them.

One YAML file in `published/` per kind of checkpoint, found by its name; a path names a card of one's own.
"""

import difflib
from dataclasses import replace
from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path

from pydantic import Field, ValidationError, model_validator

from swath import _yaml
from swath.encoders._contract import InputContract
from swath.encoders._units import check_means
from swath.errors import ContractError, RecipeError, SwathError
from swath.sensors import band
from swath.settings import Settings, plainly


class PublishedCard(Settings):
    """What has to be known about published weights that do not state it themselves."""

    title: str
    """What was trained, in words for people."""
    source: str
    """Where weights and preparation are described: paper, repository, file."""
    models: tuple[str, ...]
    """timm's names of the networks that were published; empty for any."""
    bands: tuple[str, ...] = Field(min_length=1)
    """Band keys in the order of the first convolution's channels."""
    mean: tuple[float, ...]
    """Subtracted from each band, in swath's unit."""
    std: tuple[float, ...]
    """Divisor of each band after that, in swath's unit."""
    gsd_m: float | None = Field(default=None, gt=0)
    """Pixel size of the training images, in metres; None for pictures of no fixed pixel size."""
    size_px: int = Field(gt=0)
    """Height and width of the training images, in pixels."""
    prepared: str
    """How the authors prepare pixels, in their units; `mean` and `std` express the same in swath's."""
    remarks: tuple[str, ...] = ()
    """Anything else that a user must know."""
    of_the_earth: bool = True
    """Whether it was trained on Earth observation, so that it may have seen the locations that it is judged on."""

    @model_validator(mode="after")
    def _fits_together(self) -> "PublishedCard":
        if not len(self.bands) == len(self.mean) == len(self.std):
            raise ValueError(f"{len(self.bands)} bands, {len(self.mean)} means and {len(self.std)} deviations")
        if len(set(self.bands)) != len(self.bands):
            raise ValueError("a band is listed twice")
        if min(self.std) <= 0:
            raise ValueError("a deviation is not positive")
        for key in self.bands:
            try:
                band(key)
            except SwathError as error:
                raise ValueError(str(error)) from None
        return self

    @property
    def contract(self) -> InputContract:
        """The input contract of an encoder of all its bands."""
        size = () if self.gsd_m is None else (self.gsd_m,) * len(self.bands)
        units = tuple(band(key).unit for key in self.bands)
        return InputContract(len(self.bands), self.bands, True, units, self.mean, self.std, gsd_m=size)

    def scaled(self, contract: InputContract, name: str) -> InputContract:
        """The contract of some of its bands, in any order, with the published scaling instead of a corpus's statistics.

        Raises:
            ContractError: a band is none of the card's, a channel may hold any band, or the corpus is in other units.
        """
        if not contract.fixed or contract.branches[1:]:
            raise ContractError(
                "these views put different bands into a channel, and published weights want each band in its own",
                where=f"card {name}",
                remedy="choose views of one fixed list of bands, such as two-crops",
            )
        if unknown := [key for key in contract.bands if key not in self.bands]:
            raise ContractError(
                f"the weights know no {', '.join(unknown)}",
                where=f"card {name}",
                remedy=f"choose among the card's bands: {', '.join(self.bands)}; or write a card of your own, which "
                "says what each channel of the file shall be fed",
            )
        check_means(self.contract, contract)
        rows = self.channels(contract.bands)
        return replace(contract, mean=tuple(self.mean[i] for i in rows), std=tuple(self.std[i] for i in rows))

    def channels(self, bands: tuple[str, ...]) -> list[int]:
        """Channels of the published network that hold these bands."""
        return [self.bands.index(key) for key in bands]


def published_names() -> list[str]:
    """Names of the cards that swath ships."""
    return sorted(path.name.removesuffix(".yaml") for path in _folder().iterdir() if path.name.endswith(".yaml"))


def published_card(name: str) -> PublishedCard:
    """A card by its name, or by the path of a YAML file of one's own.

    Raises:
        RecipeError: there is none, or it says something that it cannot; the message names the nearest.
    """
    known = published_names()
    path = _folder() / f"{name}.yaml" if name in known else Path(name)
    if name not in known and not name.endswith((".yaml", ".yml")):
        close = difflib.get_close_matches(name, known, n=3, cutoff=0.5)
        hint = f"did you mean {' or '.join(close)}? " if close else ""
        raise RecipeError(
            f"there is no card {name!r} of published weights",
            remedy=f"{hint}swath has {', '.join(known)}; a path that ends in .yaml names one of your own",
        )
    try:
        content, _ = _yaml.read(path.read_text(encoding="utf-8"), str(path))
        return PublishedCard.model_validate(content)
    except (OSError, UnicodeDecodeError) as error:
        raise RecipeError(f"cannot read the card of the weights: {error}", where=str(path)) from None
    except ValidationError as error:
        first = error.errors()[0]
        at = ".".join(map(str, first["loc"]))
        raise RecipeError(
            f"{at}: {plainly(first)}" if at else plainly(first),
            where=str(path),
            remedy="compare it with those that swath ships, in swath/encoders/published",
        ) from None


def _folder() -> Traversable:
    return resources.files("swath.encoders") / "published"
