"""Embeddings of a corpus, a folder of GeoTIFFs, or an array."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pandas as pd
import rasterio
import torch
from jaxtyping import Float, Int32, Shaped
from numpy import ndarray
from pydantic import ValidationError
from torch import Tensor

from swath import sensors
from swath._files import replacing
from swath.batch import NO_DAY, Image
from swath.corpus import Corpus, Selection
from swath.corpus.sources import folder
from swath.encoders import Encoder, InputContract, SeriesEncoder, load
from swath.errors import ContractError, CorpusError
from swath.sensors import band, band_id
from swath.tasks.data import BandReader, Bands, Request, device_of, extract_all, match_bands

IMAGES = (".tif", ".tiff")


def embed(
    encoder: Encoder | Path | str,
    data: Corpus | Path | str | Shaped[ndarray, "..."] | Shaped[Tensor, "..."],
    *,
    bands: Sequence[str] | None = None,
    images: Mapping[str, Any] | None = None,
    gsd_m: float | None = None,
    days: Shaped[ndarray, "..."] | None = None,
    batch_size: int = 64,
    trusted: bool = False,
) -> pd.DataFrame:
    """Embed everything in `data`: one row a location, image or sample, float32.

    Args:
        encoder: one that is loaded, on any device, or where one is saved; that goes to the GPU if there is one.
        data: a corpus or its folder, a folder of GeoTIFFs of one size, or an array "n c h w" or "n t c h w" in physical
            units, NaN where there is nothing. Of a corpus an encoder of single dates sees one date of each location,
            one of series all of them; locations without a chip of every sensor are left out.
        bands: band keys of the input, for an encoder that takes any; for an array, of its channels. Default: the
            encoder's own.
        images: of a folder, what is not as the encoder's sensor has it: settings of `images` in a recipe, such as
            `{"files": "**/*.tif", "scaling": {"scale": 1e-4, "offset": -0.1}}`.
        gsd_m: of an array, the size of its pixels in metres; the encoder's own if not given.
        days: of an array of series, when its dates were: "n t" or, of all samples, "t", ascending, as datetime64. An
            encoder that goes by them (months, gaps filled in time) needs them.
        batch_size: locations, images or samples at a time.
        trusted: do not look at units and pixel size; see `Encoder.embed`.

    Returns:
        Index: `uid` of a corpus' locations, names of a folder's files without suffix, positions in an array.

    Raises:
        ContractError: the encoder cannot take these bands, units or pixels.
        CorpusError: there is no corpus and no GeoTIFF, or the files are not what they should be.
    """
    if not isinstance(encoder, Encoder):
        encoder = load(encoder).to("cuda" if torch.cuda.is_available() else "cpu")
    if isinstance(data, ndarray | Tensor):
        return _array(encoder, data, bands, gsd_m, days, batch_size, trusted)
    if not isinstance(data, Corpus) and not (Path(data) / "corpus.json").exists():
        with TemporaryDirectory() as temporary:
            corpus = _ingested(encoder.contract, Path(data), Path(temporary) / "corpus", bands, images or {})
            return _corpus(encoder, corpus, bands, batch_size, trusted)
    corpus = data if isinstance(data, Corpus) else Corpus.open(data)
    return _corpus(encoder, corpus, bands, batch_size, trusted)


def write(embeddings: pd.DataFrame, path: Path) -> Path:
    """Write embeddings as Parquet: `uid`, and `embedding`, a list of float32."""
    table = pd.DataFrame({"uid": embeddings.index.astype(str), "embedding": list(embeddings.to_numpy())})
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path) as temporary:
        table.to_parquet(temporary, index=False)
    return path


def _corpus(
    encoder: Encoder, corpus: Corpus, bands: Sequence[str] | None, batch_size: int, trusted: bool
) -> pd.DataFrame:
    known = [f"{sensor}/{name}" for sensor, layout in corpus.info.sensors.items() for name in layout.bands]
    known += [band.key for band in sensors.get(sensors.LOCATION).bands]
    chosen = _bands(encoder.contract, bands, known)
    reader = BandReader(corpus, chosen, Selection(dates="all" if isinstance(encoder, SeriesEncoder) else 1))
    rows = reader.complete(np.arange(len(corpus)))
    request = Request(encoder, chosen)
    features = extract_all([request], reader, rows, batch_size=batch_size, description="embedding", trusted=trusted)
    return _frame(features[0], pd.Index(corpus.locations["uid"].to_numpy()[rows], name="uid"))


def _array(
    encoder: Encoder,
    array: Shaped[ndarray, "..."] | Shaped[Tensor, "..."],
    bands: Sequence[str] | None,
    gsd_m: float | None,
    days: Shaped[ndarray, "..."] | None,
    batch_size: int,
    trusted: bool,
) -> pd.DataFrame:
    chosen = _bands(encoder.contract, bands, encoder.contract.bands)
    pixels = torch.as_tensor(array)
    pixels = pixels[:, None] if pixels.ndim == 4 else pixels
    if pixels.ndim != 5 or pixels.shape[2] != len(chosen):
        raise ContractError(
            f"the array has shape {tuple(array.shape)}, which is neither (n, {len(chosen)}, h, w) nor "
            f"(n, t, {len(chosen)}, h, w)",
            remedy=f"its channels are to be, in this order: {', '.join(chosen)}",
        )
    own = dict(zip(encoder.contract.bands, encoder.contract.gsd_m, strict=False))
    when = _days(days, *pixels.shape[:2])
    size = own.get(chosen[0], float("nan")) if gsd_m is None else float(gsd_m)
    passes = match_bands(encoder.contract, chosen).passes
    parts = []
    for start in range(0, len(pixels), batch_size):
        part = slice(start, start + batch_size)
        image = _image(pixels[part].to(torch.float32), when[part], chosen, size).to(device_of(encoder))
        made = [encoder.embed(image.channels([chosen.index(key) for key in own]), trusted=trusted) for own in passes]
        parts.append(torch.cat(made, dim=1).cpu().numpy())
    features = np.concatenate(parts) if parts else np.empty((0, encoder.dim * len(passes)), np.float32)
    return _frame(features, pd.RangeIndex(len(features)))


def _days(days: Shaped[ndarray, "..."] | None, n: int, t: int) -> Int32[Tensor, "n t"]:
    """Days since 1970-01-01 of each sample's dates; NO_DAY where they are not known."""
    if days is None:
        return torch.full((n, t), NO_DAY, dtype=torch.int32)
    when = np.asarray(days)
    if when.shape not in {(t,), (n, t)} or when.dtype.kind != "M":
        raise ContractError(
            f"the days have shape {when.shape} and type {when.dtype}, the array has {n} samples of {t} dates",
            remedy=f"give datetime64 of shape ({n}, {t}) or ({t},)",
        )
    known = np.where(np.isnat(when), NO_DAY, when.astype("datetime64[D]").astype(np.int64)).astype(np.int32)
    known = np.broadcast_to(known, (n, t))
    if (np.diff(known.astype(np.int64), axis=1)[(known[:, 1:] != NO_DAY) & (known[:, :-1] != NO_DAY)] < 0).any():
        raise ContractError("the days of a series are not ascending", remedy="sort its dates")
    return torch.from_numpy(known.copy())


def _image(pixels: Float[Tensor, "b t c h w"], days: Int32[Tensor, "b t"], bands: Bands, gsd_m: float) -> Image:
    b = len(pixels)
    return Image(
        pixels=pixels.nan_to_num(0.0, posinf=torch.inf, neginf=-torch.inf),
        valid=~pixels.isnan().any(dim=2),
        days=days,
        band_ids=torch.tensor([[band_id(key) for key in bands]] * b, dtype=torch.int32),
        gsd_m=gsd_m,
    )


def _frame(features: Float[ndarray, "n d"], index: pd.Index) -> pd.DataFrame:
    return pd.DataFrame(features, index=index)


def _bands(contract: InputContract, asked: Sequence[str] | None, there: Sequence[str]) -> Bands:
    """What the encoder is fed: what is asked for, else its own bands, those of the first sensor that is there.

    Raises:
        ContractError: the encoder takes any bands and none are named, or its own are not there.
    """
    if asked is not None:
        return tuple(asked)
    if not contract.fixed:
        raise ContractError(
            f"the encoder takes any {contract.channels} of {', '.join(contract.bands)}", remedy="say which: bands=[...]"
        )
    for own in contract.inputs:
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
    chosen = _bands(contract, bands, contract.bands)
    entry = {
        "files": pattern,
        "id": r"(?P<id>.+)\.[^.]+$",
        "sensor": band(chosen[0]).sensor,
        **({} if "bands" in images else {"bands": _channels_of_all(files, chosen)}),
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


def _channels_of_all(files: Sequence[Path], bands: Bands) -> dict[str, int]:
    """Number of each band's channel, the same in all files."""
    first = _channels(files[0], bands)
    for file in files[1:]:
        if (own := _channels(file, bands)) != first:
            raise CorpusError(
                f"the channels are in another order than those of {files[0].name}: {_shown(own)}; {_shown(first)}",
                where=str(file),
                remedy="embed files of each order by themselves, or bring the channels into one",
            )
    return first


def _shown(channels: Mapping[str, int]) -> str:
    return ", ".join(sorted(channels, key=channels.__getitem__))


def _channels(file: Path, bands: Bands) -> dict[str, int]:
    """Number of each band's channel: by the channels' descriptions where they are bands' names, else in order."""
    names = [key.partition("/")[2] for key in bands]
    with rasterio.open(file) as source:
        described, count = list(source.descriptions), source.count
    if set(names) <= set(described):
        return {name: described.index(name) + 1 for name in names}
    if count != len(names):
        raise CorpusError(
            f"the file has {count} channel(s), the encoder's input {len(names)}: {', '.join(names)}",
            where=str(file),
            remedy="describe the channels by the bands' names, or say where they are: images={'bands': {...}}",
        )
    return {name: number for number, name in enumerate(names, 1)}


def _side(files: Sequence[Path]) -> int:
    """Width and height of all files, in pixels."""
    sizes: dict[tuple[int, int], Path] = {}
    for file in files:
        with rasterio.open(file) as source:
            sizes.setdefault(source.shape, file)
    if len(sizes) > 1 or len(set(next(iter(sizes)))) > 1:
        shown = "; ".join(f"{file.name}: {width} x {height}" for (height, width), file in list(sizes.items())[:3])
        raise CorpusError(
            f"the images are not squares of one size: {shown}",
            where=str(files[0].parent),
            remedy="make a corpus of them, which cuts them into chips (docs/your-data.md), and embed that",
        )
    return next(iter(sizes))[0]
