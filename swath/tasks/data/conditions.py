"""What is done to the images that something trained is tested on: a band is missing, or haze lies over them."""

from dataclasses import dataclass

from swath.encoders import InputContract
from swath.tasks.data.inputs import match_bands
from swath.tasks.data.reading import Alter, BandReader, Bands


@dataclass(frozen=True, slots=True, eq=False)
class Condition:
    """Something that is done to the images of the test part, and to nothing that is learnt from."""

    kind: str
    """What is done, such as `band` or `haze`."""
    name: str
    """What it is done to, such as a band's key; empty where it is done to everything."""
    level: float
    """How much of it; what that means depends on the kind."""
    alter: Alter
    """Shows the images so."""
    without: Bands = ()
    """Bands that are left out: `alter` shows their mean instead of them."""
    about: str = ""
    """What a reader of the tables should know of it."""
    hide: Alter | None = None
    """Shows images that say of these bands that they are missing, for encoders of any number of bands."""

    @property
    def key(self) -> str:
        """What tells it apart from all others."""
        return f"{self.kind}|{self.name}|{self.level:g}"

    def reader(self, reader: BandReader, *, hidden: bool) -> BandReader:
        """A reader that shows images so; hidden: bands that are left out are said to be missing."""
        return reader.altered(self.hide if hidden and self.hide is not None else self.alter)

    def bands_left(self, contract: InputContract, bands: Bands) -> Bands:
        """The bands that an encoder of groups of bands is fed, without those that are left out; all of them where it
        needs them.
        """
        left = tuple(key for key in bands if key not in self.without)
        if not (self.without and contract.groups and left):
            return bands
        cut = any(0 < sum(key in self.without for key in keys) < len(keys) for keys in contract.groups)
        # an embedding of each sensor is concatenated: without one of them the probe would get fewer numbers
        shorter = cut or len(match_bands(contract, left).passes) < len(match_bands(contract, bands).passes)
        return bands if shorter else left
