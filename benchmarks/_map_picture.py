"""A Landsat scene, its embedding, and its maps with windows side by side and blended, for docs/products.md.

`python -m benchmarks._map_picture landsat_zion_nlcd RUN FOLDER docs/images` maps the scene by what RUN (of the recipe
`landsat-zion`) trained, twice, and by its encoder alone, and draws a part of it. FOLDER gets the maps; what is there
already is not made again. Some minutes of a core.
"""

import io
import sys
from pathlib import Path

import numpy as np
import rasterio
from matplotlib.colors import ListedColormap
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from PIL import Image as Picture
from rasterio.windows import Window

from swath import config, pipeline
from swath.products.scene_maps import How
from swath.products.windows import Input

MEANT = pipeline.Result(task="landcover@100%", row="moco-v2", seed=0)
"""A frozen ResNet-18 under a U-Net that learnt from all labels."""
TILES, BLENDED = How(device="cpu", window=128, overlap=0), How(device="cpu", window=256, overlap=64)
SHOWN = Window.from_slices((900, 1332), (540, 1052))
"""Columns and rows of the scene that are drawn."""
LANDSAT_M = 30
RGB = ("landsat_b4.tif", "landsat_b3.tif", "landsat_b2.tif")


def main(data: Path, run: Path, folder: Path, images: Path) -> None:
    """Write `map-zion.png`, and print how often the class changes at borders of windows and elsewhere."""
    tiled, blended = (
        pipeline.map_run(run, data, folder / f"{name}.tif", result=MEANT, how=how)[0]
        for name, how in (("tiles", TILES), ("blended", BLENDED))
    )
    encoder = run / f"pretrain/{MEANT.row}/seed-{MEANT.seed}/encoder"
    source = config.load("landsat-zion", [f"data={data}"]).corpus.source
    assert source is not None
    given = Input(data, source.model_dump(mode="json", include={"images"}))
    vectors, *_ = pipeline.map_encoder(encoder, given, folder / "embedding.tif", how=How(device="cpu"))
    one, other = read(tiled), read(blended)
    print("side by side:", *changes(one, np.arange(128, min(one.shape), 128)))
    # where blending begins, is in its middle, and ends
    starts = np.arange(192, min(other.shape) - 64, 192)
    print("blended:", *changes(other, np.concatenate([starts + 16, starts + 32, starts + 48])))
    path = images / "map-zion.png"
    path.write_bytes(drawn(data, vectors, tiled, blended))
    print(f"{path}: {path.stat().st_size / 1000:.0f} kB")


def read(path: Path, window: Window | None = None) -> np.ndarray:
    """The first band of a raster, or of a part of it."""
    with rasterio.open(path) as file:
        return file.read(1, window=window)


def changes(classes: np.ndarray, lines: np.ndarray) -> tuple[str, str]:
    """How often the class changes from one pixel to the next across these columns and rows, and across all others."""
    at, elsewhere = [], []
    for one in (classes, classes.T):
        both = (one[:, 1:] != 255) & (one[:, :-1] != 255)
        differs, on_line = one[:, 1:] != one[:, :-1], np.isin(np.arange(1, one.shape[1]), lines)
        at.append(differs[:, on_line][both[:, on_line]])
        elsewhere.append(differs[:, ~on_line][both[:, ~on_line]])
    said = [f"{100 * np.concatenate(part).mean():.2g} %" for part in (at, elsewhere)]
    return f"{said[0]} at borders", f"{said[1]} elsewhere"


def drawn(data: Path, vectors: Path, *maps: Path) -> bytes:
    """A PNG: true colour, three components of the embedding, and both maps."""
    codes, names, shades = classes_of(maps[0])
    figure = Figure(figsize=(8.6, 7.4), dpi=100, layout="constrained")
    axes = figure.subplots(2, 2).ravel()
    axes[0].imshow(stretched(np.stack([read(data / name, SHOWN) for name in RGB], axis=-1)))
    axes[1].imshow(components(vectors), interpolation="nearest")
    for axis, path in zip(axes[2:], maps, strict=True):
        positions = np.searchsorted(codes, read(path, SHOWN))
        axis.imshow(positions, cmap=ListedColormap(shades), vmin=-0.5, vmax=len(codes) - 0.5, interpolation="nearest")
    titles = ("Landsat 8", "three components of its embedding", "windows side by side", "windows blended")
    for axis, title in zip(axes, titles, strict=True):
        axis.set(xticks=[], yticks=[])
        axis.set_title(title, fontsize=9)
    handles = [Patch(color=shade, label=name) for shade, name in zip(shades, names, strict=True)]
    figure.legend(handles=handles, loc="outside lower center", ncols=len(handles), fontsize=8, frameon=False)
    buffer, small = io.BytesIO(), io.BytesIO()
    figure.savefig(buffer, format="png")
    colours = Picture.open(buffer).convert("RGB").quantize(200, Picture.Quantize.MAXCOVERAGE)
    colours.save(small, "PNG", optimize=True)
    return small.getvalue()


def classes_of(path: Path) -> tuple[list[int], list[str], list[str]]:
    """Codes, names and colours of a map's classes, as the file says them."""
    with rasterio.open(path) as file:
        named = [pair.split(" ", 1) for pair in file.tags()["classes"].split(", ")]
        colours = file.colormap(1)
    return (
        [int(code) for code, _ in named],
        [name for _, name in named],
        ["#{:02x}{:02x}{:02x}".format(*colours[int(code)][:3]) for code, _ in named],
    )


def components(path: Path) -> np.ndarray:
    """The part that is drawn of the first three principal components of an embedding, as a picture."""
    with rasterio.open(path) as file:
        cell = round(file.res[0] / LANDSAT_M)
        rows = np.stack([file.read(k) for k in file.indexes], axis=-1)
    known = np.asarray(np.isfinite(rows).all(axis=-1))
    mean = rows[known].mean(axis=0)
    axes = np.linalg.eigh(np.cov(rows[known], rowvar=False))[1][:, :-4:-1]
    scores = np.where(known[..., None], (np.nan_to_num(rows) - mean) @ axes, 0.0)
    top, left = int(SHOWN.row_off) // cell, int(SHOWN.col_off) // cell
    high, wide = int(SHOWN.height) // cell, int(SHOWN.width) // cell
    return stretched(scores[top : top + high, left : left + wide])


def stretched(image: np.ndarray) -> np.ndarray:
    """A picture of which each channel runs from its 1st percentile to its 99th."""
    low, high = np.percentile(image.astype(float), (1, 99), axis=(0, 1))
    return np.clip((image - low) / (high - low), 0, 1)


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:5]))
