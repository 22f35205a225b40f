"""Embeddings of a corpus, a folder of GeoTIFFs, or an array."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from jaxtyping import Float, Int32, Shaped
from numpy import ndarray
from torch import Tensor

from swath._files import replacing
from swath.batch import NO_BAND, NO_DAY, Image
from swath.corpus import Corpus, Selection
from swath.encoders import Encoder, SeriesEncoder, load
from swath.errors import ContractError
from swath.products.embeddings._inputs import bands_of, chosen_bands, opened
from swath.sensors import band_id
from swath.tasks.data import BandReader, Bands, Request, device_of, extract_all, match_bands


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
            units, NaN where there is nothing; a band of NaN alone is dropped, if the encoder takes any bands. Of a
            corpus an encoder of single dates sees one date of each location, one of series all of them; locations
            without a chip of every sensor are left out.
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
        ContractError: the encoder cannot take these bands, units or pixels; or something is said that data of this kind
            has no use for.
        CorpusError: there is no corpus and no GeoTIFF, or the files are not what they should be.
    """
    is_array = isinstance(data, ndarray | Tensor)
    of_others = {"images": images} if is_array else {"gsd_m": gsd_m, "days": days}
    if said := [name for name, value in of_others.items() if value is not None]:
        kind = "an array" if is_array else "a corpus or folder"
        raise ContractError(f"{kind} takes no {', '.join(said)}", remedy="leave it out")
    if not isinstance(encoder, Encoder):
        encoder = load(encoder).to("cuda" if torch.cuda.is_available() else "cpu")
    if isinstance(data, ndarray | Tensor):
        return _array(encoder, data, bands, gsd_m, days, batch_size, trusted)
    with opened(encoder.contract, data, bands, images) as corpus:
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
    chosen = bands_of(encoder.contract, bands, corpus)
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
    chosen = chosen_bands(encoder.contract, bands, encoder.contract.bands)
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
        image = _image(pixels[part].to(torch.float32), when[part], chosen, size)
        if encoder.contract.any_number:
            image = _without_missing(image, pixels[part])
        image = image.to(device_of(encoder))
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


def _without_missing(image: Image, pixels: Float[Tensor, "b t c h w"]) -> Image:
    """The image with bands dropped, sample by sample, of which there is nothing but NaN."""
    lost = pixels.isnan()
    missing = lost.flatten(3).all(dim=3).all(dim=1)
    return replace(
        image,
        valid=~(lost & ~missing[:, None, :, None, None]).any(dim=2),
        band_ids=image.band_ids.masked_fill(missing, NO_BAND),
    )


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
