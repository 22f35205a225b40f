"""What is embedded: a corpus, or a folder of GeoTIFFs as one, and the bands that an encoder is fed of it."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import rasterio
from pydantic import ValidationError
from rasterio.errors import RasterioError

from swath import sensors
from swath.corpus import Corpus
from swath.corpus.sources import folder
from swath.encoders import InputContract
from swath.errors import ContractError, CorpusError
from swath.products.windows import channels
from swath.sensors import band
from swath.tasks.data import Bands, bands_by_sensor

IMAGES = (".tif", ".tiff")


@contextmanager
def opened(
    contract: InputContract,
    data: Corpus | Path | str,
    bands: Sequence[str] | None = None,
    images: Mapping[str, Any] | None = None,
) -> Iterator[Corpus]:
    """A corpus, or the GeoTIFFs of a folder as one that is there for a while.

    Args:
        contract: of the encoder that the images are for.
        data: a corpus or its folder, or a folder of GeoTIFFs of one size.
        bands: band keys of the input; the encoder's own if not given.
        images: of a folder, what is not as the encoder's sensor has it.

    Raises:
        CorpusError: there is neither, or the files are not what they should be.
        ContractError: a corpus is described as if it were a folder.
    """
    if isinstance(data, Corpus) or (Path(data) / "corpus.json").exists():
        if images is not None:
            raise ContractError("a corpus says itself what its pixels are", remedy="leave images=... out")
        yield data if isinstance(data, Corpus) else Corpus.open(data)
    else:
        with TemporaryDirectory() as temporary:
            yield _ingested(contract, Path(data), Path(temporary) / "corpus", bands, images or {})


def bands_of(contract: InputContract, asked: Sequence[str] | None, corpus: Corpus) -> Bands:
    """What an encoder is fed of a corpus; see `chosen_bands`."""
    known = [f"{sensor}/{name}" for sensor, layout in corpus.info.sensors.items() for name in layout.bands]
    known += [band.key for band in sensors.get(sensors.LOCATION).bands]
    return chosen_bands(contract, asked, known)


def chosen_bands(contract: InputContract, asked: Sequence[str] | None, there: Sequence[str]) -> Bands:
    """What the encoder is fed: what is asked for, else its own bands, those of the first sensor that is there.

    Raises:
        ContractError: the encoder takes any bands and none are named, or its own are not there.
    """
    if asked is not None:
        return tuple(asked)
    if not contract.fixed and not contract.any_number:
        raise ContractError(
            f"the encoder takes any {contract.channels} of {', '.join(contract.bands)}", remedy="say which: bands=[...]"
        )
    for own in bands_by_sensor(contract.bands).values() if contract.any_number else contract.inputs:
        if set(own) <= set(there):
            return own
    raise ContractError(
        f"the bands of the encoder are not there: {'; or '.join(', '.join(own) for own in contract.inputs)}",
        remedy=f"there are {', '.join(there)}",
    )


def _ingested(
    contract: InputContract, data: Path, target: Path, bands: Sequence[str] | None, images: Mapping[str, Any]
) -> Corpus:
    """A temporary corpus of a folder's GeoTIFFs: whole files, whose channels are the encoder's bands."""
    pattern = str(images.get("files", "*.tif*"))
    files = sorted(file for file in data.glob(pattern) if file.suffix.lower() in IMAGES)
    if not files:
        raise CorpusError(f"no corpus and no GeoTIFF ({pattern}) here", where=str(data), remedy="give another folder")
    chosen = chosen_bands(contract, bands, contract.bands)
    sensor, names = band(chosen[0]).sensor, [key.partition("/")[2] for key in chosen]
    entry = {
        "files": pattern,
        "id": r"(?P<id>.+)\.[^.]+$",
        "sensor": sensor,
        **({} if "bands" in images else {"bands": channels(files, names, sensor)}),
        **images,
    }
    try:
        section = folder.Config.model_validate({"name": "folder", "chip_px": _side(files), "images": [entry]})
    except ValidationError as error:
        first = error.errors()[0]
        raise CorpusError(
            f"images: {'.'.join(map(str, first['loc'][2:]))}: {first['msg']}",
            where=str(data),
            remedy="docs/your-data.md says what an entry of images may hold",
        ) from None
    folder.build(section, target, data)
    return Corpus.open(target)


def _side(files: Sequence[Path]) -> int:
    """Width and height of all files, in pixels."""
    sizes: dict[tuple[int, int], Path] = {}
    for file in files:
        try:
            with rasterio.open(file) as source:
                sizes.setdefault(source.shape, file)
        except RasterioError as error:
            raise CorpusError(f"it cannot be read: {error}", where=str(file), remedy="give a raster") from None
    if len(sizes) > 1 or len(set(next(iter(sizes)))) > 1:
        shown = "; ".join(f"{file.name}: {width} x {height}" for (height, width), file in list(sizes.items())[:3])
        raise CorpusError(
            f"the images are not squares of one size: {shown}",
            where=str(files[0].parent),
            remedy="make a corpus of them, which cuts them into chips (docs/your-data.md), and embed that",
        )
    return next(iter(sizes))[0]
