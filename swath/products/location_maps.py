"""Maps of what a location encoder says of every place: its embedding as colours, and a prediction with uncertainty."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import rasterio
import torch
from affine import Affine
from jaxtyping import Bool, Float, Shaped, UInt8
from matplotlib.colors import ListedColormap
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from numpy import ndarray
from sklearn.linear_model import BayesianRidge, LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from swath import encoders
from swath._files import file_name, replacing
from swath._progress import track
from swath.corpus import Corpus, LabelLayer
from swath.corpus.labels import Value, class_colours, targets
from swath.encoders import Encoder
from swath.encoders.image_and_location import ImageAndLocation
from swath.encoders.location import LocationEncoder, Tower, check_degrees
from swath.errors import ContractError, CorpusError, SwathError, nearest
from swath.products.legends import Legend, remove_beside
from swath.tasks.statistics import probabilities

GLOBE = (-180.0, -90.0, 180.0, 90.0)
MOST = 50_000_000
"""Pixels of a map."""
BLOCK = 16_384
"""Places that are embedded at a time, about."""
STRETCH = (2.0, 98.0)
"""Percentiles of a component that become black and full colour."""
CLASSES = 255
NAMED = 20
"""Classes that a picture names."""
Panel = tuple[str, Shaped[ndarray, "..."], Legend | None]
"""Title of a map, its values, and what its classes are, counted from 0."""


@dataclass(frozen=True, slots=True)
class Area:
    """A grid of longitude and latitude, north up."""

    west: float
    south: float
    east: float
    north: float
    step: float
    """Width and height of a pixel, in degrees."""

    def __post_init__(self) -> None:
        west, south, east, north = self.bounds
        if not (-180 <= west < east <= 180 and -90 <= south < north <= 90):
            swapped = -180 <= south < north <= 180 and -90 <= west < east <= 90
            raise SwathError(
                f"{west:g},{south:g},{east:g},{north:g} is no area"
                + ("; longitudes and latitudes are probably swapped" if swapped else ""),
                where="--area",
                remedy="give west,south,east,north in degrees; an area across the antimeridian in two",
            )
        if not self.step > 0 or min(self.shape) < 1 or self.shape[0] * self.shape[1] > MOST:
            raise SwathError(
                f"pixels of {self.step:g} degrees are no map of this area",
                where="--step",
                remedy=f"give a step that makes 1 to {MOST:,} pixels",
            )

    @property
    def bounds(self) -> tuple[float, float, float, float]:
        """West, south, east, north."""
        return self.west, self.south, self.east, self.north

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns: those that fit."""
        return int((self.north - self.south) / self.step + 1e-9), int((self.east - self.west) / self.step + 1e-9)

    @property
    def extent(self) -> tuple[float, float, float, float]:
        """West, east, south and north of the pixels that fit."""
        rows, columns = self.shape
        return self.west, self.west + columns * self.step, self.north - rows * self.step, self.north

    @property
    def transform(self) -> Affine:
        """Pixel corners to degrees."""
        return Affine(self.step, 0, self.west, 0, -self.step, self.north)

    @property
    def latitudes(self) -> Float[ndarray, " h"]:
        """Latitudes of the rows' centres."""
        return self.north - self.step * (np.arange(self.shape[0]) + 0.5)

    def blocks(self) -> Iterator[tuple[slice, Float[ndarray, "n 2"]]]:
        """Some rows at a time, and their pixels' centres."""
        height, width = self.shape
        lon = self.west + self.step * (np.arange(width) + 0.5)
        rows = max(1, BLOCK // width)
        for start in range(0, height, rows):
            part = slice(start, min(start + rows, height))
            lat = self.latitudes[part]
            yield part, np.stack([np.tile(lon, len(lat)), np.repeat(lat, width)], axis=1)


def location_maps(
    encoder: Path | str,
    out: Path,
    *,
    area: Area | None = None,
    corpus: Path | str | None = None,
    column: str | None = None,
    unit: str | None = None,
) -> list[Path]:
    """Draw what an encoder says of places: `embedding.tif`, and of a column of a corpus `COLUMN.tif`, with pictures.

    The embedding's first three principal components, over the area by its ground and not by its pixels, are red, green
    and blue. A prediction is a linear model on the embedding of the corpus's locations: for numbers a Bayesian ridge
    regression, whose uncertainty is the standard deviation of its prediction in the column's unit; for classes a
    logistic regression, whose uncertainty is the entropy of the classes' probabilities, from 0 to 1. Neither knows how
    uncertain the encoder itself is.

    Args:
        encoder: a checkpoint of the encoders `location` or `image-and-location`.
        out: folder to write to.
        area: which places; the globe at half a degree if not given.
        corpus: where the column is.
        column: scalar column of its locations; no prediction if not given.
        unit: of the column's numbers, `1` for none, where the corpus does not say it. Whole numbers without a unit are
            classes.

    Returns:
        The files that were written.

    Raises:
        ContractError: the encoder takes no location.
        CorpusError: the corpus has no such column, or it holds nothing that can be predicted.
        SwathError: only one of corpus and column is given, or a unit without them.
    """
    if (corpus is None) != (column is None) or (unit is not None and column is None):
        raise SwathError("a prediction needs a corpus and a column of it", remedy="give both, or neither")
    tower, area = tower_of(encoders.load(encoder)), area or Area(*GLOBE, 0.5)
    out.mkdir(parents=True, exist_ok=True)
    written = _embedding(tower, area, out)
    if corpus is not None and column is not None:
        written += _prediction(tower, area, Corpus.open(corpus), column, unit, out)
    return written


def tower_of(encoder: Encoder) -> Tower:
    """The part of an encoder that embeds locations.

    Raises:
        ContractError: it has none.
    """
    if isinstance(encoder, LocationEncoder):
        return encoder.network
    if isinstance(encoder, ImageAndLocation):
        return encoder.network.location
    raise ContractError(
        f"the encoder takes {', '.join(encoder.contract.bands)}, and no location",
        remedy="give a checkpoint of the encoders location or image-and-location",
    )


def _embed(tower: Tower, lonlat: Float[ndarray, "n 2"]) -> Float[ndarray, "n d"]:
    return tower.embed(torch.from_numpy(lonlat)).double().numpy()


# ------------------------------------------------------------------------------------------------------------ embedding


def _embedding(tower: Tower, area: Area, out: Path) -> list[Path]:
    mean, axes = components(tower, area)
    scores = np.empty((*area.shape, axes.shape[1]), np.float32)
    for rows, lonlat in track(area.blocks(), _count(area), "mapping"):
        scores[rows] = ((_embed(tower, lonlat) - mean) @ axes).reshape(-1, area.shape[1], axes.shape[1])
    shades = np.stack([_shades(scores[..., k]) for k in range(axes.shape[1])])
    shades = np.concatenate([shades, np.zeros((3 - len(shades), *area.shape), np.uint8)])
    names = ("first principal component", "second principal component", "third principal component")
    path = _geotiff(out / "embedding.tif", area, shades, names, photometric="RGB")
    return [path, _picture(out / "embedding.png", area, [("Embedding, three principal components", shades, None)])]


def components(tower: Tower, area: Area) -> tuple[Float[ndarray, " d"], Float[ndarray, "d k"]]:
    """Mean of the embeddings over an area's ground, and the directions of their greatest variance: three, or fewer.

    A pixel counts by the cosine of its latitude. Of a direction the entry that is largest is positive.
    """
    total, first, second = 0.0, np.zeros(tower.dim), np.zeros((tower.dim, tower.dim))
    width = area.shape[1]
    for rows, lonlat in track(area.blocks(), _count(area), "principal components"):
        x, weight = _embed(tower, lonlat), np.repeat(np.cos(np.radians(area.latitudes[rows])), width)
        total += weight.sum()
        first += weight @ x
        second += (x * weight[:, None]).T @ x
    mean = first / total
    _, vectors = np.linalg.eigh(second / total - np.outer(mean, mean))
    axes = vectors[:, ::-1][:, :3]
    return mean, axes * np.sign(axes[np.abs(axes).argmax(axis=0), np.arange(axes.shape[1])])


def _count(area: Area) -> int:
    return -(-area.shape[0] // max(1, BLOCK // area.shape[1]))


def _shades(values: Float[ndarray, "h w"]) -> UInt8[ndarray, "h w"]:
    low, high = np.percentile(values, STRETCH)
    return (255 * np.clip((values - low) / max(high - low, 1e-12), 0, 1)).round().astype(np.uint8)


# ----------------------------------------------------------------------------------------------------------- prediction


def _prediction(tower: Tower, area: Area, corpus: Corpus, column: str, unit: str | None, out: Path) -> list[Path]:
    name = file_name(column)
    stem = out / (f"{name}-predicted" if name == "embedding" else name)
    if _numeric(corpus, column, unit):
        return _numbers(
            tower, area, corpus, Value(column=column, unit=unit or corpus.info.units.get(column, "1")), stem
        )
    return _classes(tower, area, corpus, column, stem)


def _numeric(corpus: Corpus, column: str, unit: str | None) -> bool:
    """Whether a column holds numbers: those with a unit do, and those with fractions.

    Raises:
        CorpusError: there is no such column.
    """
    if column not in corpus.locations:
        remedy = nearest(column, map(str, corpus.locations.columns))
        raise CorpusError(f"no column {column!r}", where=str(corpus.path), remedy=remedy)
    if unit or column in corpus.info.units:
        return True
    values = corpus.locations[column].dropna().to_numpy()
    with np.errstate(invalid="ignore"):  # of infinite ones, which are refused as numbers
        return values.dtype.kind == "f" and bool((values % 1 != 0).any())


def _embedded(
    tower: Tower, corpus: Corpus, there: Bool[ndarray, " n"]
) -> tuple[Float[ndarray, "m d"], Bool[ndarray, " n"]]:
    """Embeddings of those of the given locations that have coordinates, and which these are."""
    lonlat = corpus.locations[["lon", "lat"]].to_numpy(np.float64)
    there = there & np.isfinite(lonlat).all(axis=1)
    check_degrees(torch.from_numpy(lonlat[there]))
    return _embed(tower, lonlat[there]), there


def _numbers(tower: Tower, area: Area, corpus: Corpus, target: Value, stem: Path) -> list[Path]:
    column, found = target.column, targets(corpus, target)
    numbers = np.full(len(corpus.locations), np.nan)
    numbers[found.locations] = found.y
    x, there = _embedded(tower, corpus, np.isfinite(numbers))
    y = numbers[there]
    if len(np.unique(y)) < 2:
        raise _nothing(corpus, column, y)
    # its priors are made for numbers of about 1: others, in other units, it would flatten
    mean, deviation = y.mean(), y.std()
    model = make_pipeline(StandardScaler(), BayesianRidge()).fit(x, (y - mean) / deviation)
    said = np.empty((2, *area.shape), _float_type(y))
    for rows, lonlat in track(area.blocks(), _count(area), f"predicting {column}"):
        estimate, error = model.predict(_embed(tower, lonlat), return_std=True)
        said[:, rows] = np.stack([mean + deviation * estimate, deviation * error]).reshape(2, -1, area.shape[1])
    names = (column, f"standard deviation of {column}")
    tif = _geotiff(_with_ending(stem, ".tif"), area, said, names, unit=found.unit)
    shown = [f"{name} ({found.unit})" if found.unit else name for name in names]
    panels: list[Panel] = [(name, one, None) for name, one in zip(shown, said, strict=True)]
    return [tif, _picture(_with_ending(stem, ".png"), area, panels)]


def _float_type(values: Float[ndarray, " n"]) -> type[np.floating]:
    """float32 where it holds numbers to a thousandth of their deviation, else float64."""
    with np.errstate(over="ignore"):
        lost = np.abs(values - values.astype(np.float32)).max()
    return np.float32 if lost < 1e-3 * values.std() else np.float64


def _classes(tower: Tower, area: Area, corpus: Corpus, column: str, stem: Path) -> list[Path]:
    said = corpus.locations[column].to_numpy()
    x, there = _embedded(tower, corpus, ~pd.isna(said))
    values = np.array([str(int(one)) if isinstance(one, float) else str(one) for one in said[there]])
    if not 2 <= len(np.unique(values)) <= min(CLASSES, len(values) // 2):
        raise _nothing(corpus, column, values)
    model = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000)).fit(x, values)
    names = [str(name) for name in model.classes_]
    code, entropy = np.empty(area.shape, np.uint8), np.empty(area.shape, np.float32)
    for rows, lonlat in track(area.blocks(), _count(area), f"predicting {column}"):
        p = model.predict_proba(_embed(tower, lonlat))
        code[rows] = p.argmax(axis=1).reshape(-1, area.shape[1])
        entropy[rows] = probabilities.uncertainty(p).reshape(-1, area.shape[1])
    tags = {"classes": json.dumps(dict(enumerate(names)), ensure_ascii=False)}
    shades = class_colours(LabelLayer(classes=dict(enumerate(names))))
    legend = Legend(tuple(shades), tuple(names), tuple(shades.values()))
    tif = _geotiff(_with_ending(stem, ".tif"), area, code[None], (column,), tags=tags, legend=legend)
    unsure = f"uncertainty of {column}"
    second = _geotiff(_with_ending(stem, "-uncertainty.tif"), area, entropy[None], (unsure,))
    picture = _picture(_with_ending(stem, ".png"), area, [(column, code, legend), (unsure, entropy, None)])
    return [tif, second, picture, *legend.write_beside(tif)]


def _nothing(corpus: Corpus, column: str, values: Shaped[ndarray, " n"]) -> CorpusError:
    return CorpusError(
        f"column {column!r} has {len(np.unique(values))} different values at {len(values)} locations with coordinates",
        where=str(corpus.path),
        remedy=f"name a column of 2 to {CLASSES} classes of two locations or more each, on the average, or of numbers: "
        "whole numbers are classes unless they have a unit, --unit UNIT (or 1)",
    )


def _with_ending(stem: Path, ending: str) -> Path:
    # not with_suffix: what follows a point in the column's name is part of it
    return stem.with_name(stem.name + ending)


# ---------------------------------------------------------------------------------------------------------------- files


def _geotiff(
    path: Path,
    area: Area,
    layers: Shaped[ndarray, "c h w"],
    names: tuple[str, ...],
    *,
    unit: str = "",
    tags: Mapping[str, str] | None = None,
    legend: Legend | None = None,
    **profile: Any,
) -> Path:
    height, width = area.shape
    grid = {"height": height, "width": width, "crs": "EPSG:4326", "transform": area.transform}
    with (
        replacing(path) as temporary,
        rasterio.open(
            temporary, "w", driver="GTiff", dtype=layers.dtype, count=len(layers), compress="deflate", **grid, **profile
        ) as file,
    ):
        file.write(layers)
        file.descriptions = names
        if unit:
            file.units = (unit,) * len(layers)
        file.update_tags(**(tags or {}))
        if legend is not None:
            file.write_colormap(1, legend.colour_table)
    if legend is None:
        remove_beside(path)
    return path


def _by_class(legend: Legend) -> dict[str, Any]:
    """How a picture of classes is drawn: each in its colour, and nothing in between."""
    return {
        "cmap": ListedColormap(legend.colours),
        "vmin": -0.5,
        "vmax": len(legend.codes) - 0.5,
        "interpolation": "nearest",
    }


def _picture(path: Path, area: Area, panels: list[Panel]) -> Path:
    """The maps below each other, with a scale of numbers or the names of classes beside each."""
    height = 10 * area.shape[0] / area.shape[1]
    figure = Figure(figsize=(10.5, (height + 0.6) * len(panels)), dpi=110, layout="constrained")
    for axes, (title, layer, legend) in zip(figure.subplots(len(panels), squeeze=False).flat, panels, strict=True):
        shown = layer.transpose(1, 2, 0) if layer.ndim == 3 else layer
        image = axes.imshow(shown, extent=area.extent, **({} if legend is None else _by_class(legend)))
        axes.set(title=title, xlabel="longitude (degrees)", ylabel="latitude (degrees)")
        if legend is not None:
            named = list(zip(legend.colours, legend.names, strict=True))
            handles = [Patch(color=colour, label=name) for colour, name in named[:NAMED]]
            if len(named) > NAMED:
                handles.append(Patch(alpha=0, label=f"and {len(named) - NAMED} more, in the GeoTIFF's tags"))
            axes.legend(handles=handles, fontsize="x-small", loc="center left", bbox_to_anchor=(1, 0.5))
        elif layer.ndim == 2:
            figure.colorbar(image, ax=axes, shrink=0.8)
    with replacing(path) as temporary:
        figure.savefig(temporary, format="png")
    return path
