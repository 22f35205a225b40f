"""Reflectance and brightness temperature from Landsat's level-1 counts, by the metadata file beside them.

The coefficients differ from scene to scene for TM and ETM+, and from satellite to satellite for TIRS, and STAC items do
not carry them.
"""

from pathlib import Path

from swath import sensors
from swath.corpus.sources import landsat
from swath.corpus.sources._raster import BadFileError
from swath.corpus.sources.landsat import Calibration
from swath.corpus.sources.stac._hosts import Patience, content
from swath.errors import CorpusError

DTYPE, FILL = "uint16", 0.0
"""Type that holds the counts of all level-1 files (TM's and ETM+'s are bytes), and the count of missing pixels."""


def calibration(scene: str, address: str, sensor: str, bands: tuple[str, ...], patience: Patience) -> Calibration:
    """How a scene's counts become physical values, the sun's elevation included.

    Args:
        scene: its id, for messages.
        address: of its `*_MTL.txt`.
        sensor: such as `landsat-etm-toa`.
        bands: names.
        patience: with the host.

    Raises:
        CorpusError: the file is no such file, lacks a coefficient, or the sun was below the horizon.
        TransientError: the host failed in spite of all retries.
        GoneError: there is no such file.
    """
    text = patience.call(address, lambda: content(address, patience)).decode(errors="replace")
    name = Path(address.rpartition("/")[2])
    units = {band: sensors.get(sensor).band(band).unit for band in bands}
    try:
        return landsat.calibration(landsat.parsed(text, name), name, sensor, units)
    except BadFileError as error:
        raise CorpusError(f"{scene}: {error.what}") from error
