"""SSL4EO-L Benchmark (Stewart et al. 2023): 25,000 Landsat patches of the United States with NLCD and CDL masks.

As unpacked: `ssl4eo_l_<sensor>_benchmark/<7-digit location>/<scene>/all_bands.tif`, bytes like those of SSL4EO-L, and
`ssl4eo_l_<tm|etm|oli>_<nlcd|cdl>/<7-digit location>/<scene>/<nlcd|cdl>_<year>.tif` on the same pixels.
"""

from collections.abc import Collection
from itertools import pairwise
from pathlib import Path
from typing import Literal

import numpy as np
from jaxtyping import Integer
from numpy import ndarray

from swath.corpus.sources import _legends as legends
from swath.corpus.sources._contents import Contents, LogEntry
from swath.corpus.sources._names import Key, Names, in_order, what_is_there
from swath.corpus.sources._raster import File, Header
from swath.corpus.sources.published._convert import CorpusSpec, FormatSettings, Omissions, convert, data_folder
from swath.corpus.sources.published._images import chip_of, codes, image, outlines, placed, stranger
from swath.corpus.sources.published.ssl4eo_l import FILE, PX, SENSORS, Split, date_of, layout
from swath.corpus.store import LabelLayer
from swath.errors import CorpusError

Product = Literal["nlcd", "cdl"]
YEARS = {"tm_toa": 2011, "etm_toa": 2019, "etm_sr": 2019, "oli_tirs_toa": 2019, "oli_sr": 2019}
"""Year of the land cover maps, by sensor."""
LEGENDS = {"nlcd": legends.NLCD, "cdl": legends.CDL}
FREQUENT = {
    "nlcd": (11, 21, 22, 31, 41, 42, 43, 52, 71, 81, 82, 90, 95),
    "cdl": (1, 5, 24, 36, 37, 61, 111, 121, 122, 131, 141, 142, 143, 152, 176, 190, 195),
}
"""Classes that the paper evaluates: those that cover more than 1 % of the pixels."""
FRACTIONS = (0.7, 0.15, 0.15)


class Config(FormatSettings):
    """SSL4EO-L Benchmark (Stewart et al. 2023): the sensor and the label layers to store."""

    name: Literal["ssl4eo-l-benchmark"] = "ssl4eo-l-benchmark"
    sensor: Split
    """Which of the five sensors and levels."""
    products: tuple[Product, ...] = ("nlcd", "cdl")
    """Label layers to store."""
    classes: Literal["frequent", "all"] = "frequent"
    """`frequent`: only classes that cover more than 1 % of the pixels, as in the paper, the rest void; `all`:
    every class."""


def build(config: Config, target: Path, data: Path | None = None) -> None:
    """Make the corpus, or continue one that was interrupted.

    Raises:
        RecipeError: no data folder.
        CorpusError: images or masks are missing or not as they should be.
    """
    folder = data_folder(data)
    omissions = Omissions(config, folder)
    template = f"ssl4eo_l_{config.sensor}_benchmark/{{uid}}/{{scene}}/{FILE}"
    names = Names(template)
    files = names.find(folder)
    if not files:
        raise CorpusError(f"no file is named {template}", where=str(folder), remedy=what_is_there(folder, template))
    keys = in_order(files)
    parts = dict(zip(keys, split(len(keys)), strict=True))
    omissions.log += [
        stranger(p, folder) for p in sorted(names.path(folder, keys[0]).parents[2].iterdir()) if p.is_file()
    ]
    omissions.log += _masks_alone(folder, config, files)
    sensor = SENSORS[config.sensor]
    layers = {
        product: LEGENDS[product] if config.classes == "all" else legends.only(LEGENDS[product], FREQUENT[product])
        for product in config.products
    }
    spec = CorpusSpec(PX, {sensor: layout(config.sensor)}, layers, ("CC0-1.0",))

    def read(key: tuple[str, ...]) -> Contents:
        uid, scene = key
        file = File(files[key], files[key].relative_to(folder).as_posix())
        pixels, head = image(file, len(spec.sensors[sensor].bands), "uint8", PX)
        chip = chip_of(uid, sensor, pixels, file.name, datetime=date_of(scene))
        maps = {product: _mask(folder, config, product, spec.labels[product], key, (file, head)) for product in layers}
        contents = Contents()
        contents.add(placed(uid, head, split=parts[key]), [chip], maps, spec.sensors)
        return contents

    for (uid, _), (other, _) in pairwise(keys):
        if uid == other:
            what = f"location {uid} has two scenes, where this benchmark has one"
            raise CorpusError(what, where=str(names.path(folder, keys[0]).parents[2]), remedy="remove one")
    convert(target, spec, omissions, keys, lambda key: [key[0]], read, outlines(files.values(), PX))


def split(count: int) -> list[str]:
    """Part of every image, in the order of their paths: 70/15/15 by NumPy's legacy shuffle with seed 0.

    The order of torchgeo's `SSL4EOLBenchmark`, on which the published results stand.
    """
    order = np.arange(count)
    np.random.RandomState(0).shuffle(order)
    sizes = (np.array(FRACTIONS) * count).astype(int)
    groups = np.split(order, np.cumsum(sizes)[:-1])
    parts = [""] * count
    for name, members in zip(("train", "val", "test"), groups, strict=True):
        for member in members:
            parts[member] = name
    return parts


def _mask_names(config: Config, product: str) -> Names:
    family = config.sensor.partition("_")[0]
    return Names(f"ssl4eo_l_{family}_{product}/{{uid}}/{{scene}}/{product}_{YEARS[config.sensor]}.tif")


def _masks_alone(folder: Path, config: Config, images: Collection[Key]) -> list[LogEntry]:
    """Log entries on masks whose image is missing, perhaps lost."""
    return [
        {
            "event": "mask without its image",
            "id": key[0],
            "what": "left out",
            "where": path.relative_to(folder).as_posix(),
        }
        for product in config.products
        for key, path in _mask_names(config, product).find(folder).items()
        if key not in images
    ]


def _mask(
    data: Path, config: Config, product: str, layer: LabelLayer, key: tuple[str, ...], of: tuple[File, Header]
) -> Integer[ndarray, "y x"]:
    path = _mask_names(config, product).path(data, key)
    mask = codes(File(path, path.relative_to(data).as_posix()), LEGENDS[product], PX, of)
    return np.where(np.isin(mask, list(layer.classes)), mask, np.uint8(0))
