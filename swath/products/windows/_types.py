"""What a zone is made of."""

from datetime import datetime
from typing import Protocol, runtime_checkable

from affine import Affine

from swath.corpus import SensorLayout
from swath.corpus.sources.folder import Pixels


@runtime_checkable
class Raster(Protocol):
    """One acquisition of one sensor on a grid of its own, of which windows are read."""

    @property
    def name(self) -> str:
        """What messages call it."""
        ...

    @property
    def sensor(self) -> str:
        """Name of the sensor."""
        ...

    @property
    def bands(self) -> tuple[str, ...]:
        """The sensor's names of the bands, in the order of the pixels."""
        ...

    @property
    def date(self) -> datetime | None:
        """When it was acquired; None where nobody says."""
        ...

    @property
    def crs(self) -> str | None:
        """Reference system; None where nobody says."""
        ...

    @property
    def transform(self) -> Affine | None:
        """From pixel corners (column, row) to native coordinates."""
        ...

    @property
    def height(self) -> int:
        """Number of rows."""
        ...

    @property
    def width(self) -> int:
        """Number of columns."""
        ...

    @property
    def gsd_m(self) -> float:
        """Size of a pixel in metres."""
        ...

    @property
    def masks_clouds(self) -> bool:
        """Whether a quality layer hides clouds."""
        ...

    @property
    def layout(self) -> SensorLayout:
        """What its counts mean: the same for all rasters of a sensor."""
        ...

    def read(self, row: int, column: int, height: int, width: int) -> Pixels:
        """A window that lies in it, as it is stored."""
        ...
