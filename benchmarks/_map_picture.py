"""A Landsat scene and its maps, with windows laid side by side and with windows blended, for docs/products.md.

`python -m benchmarks._map_picture landsat_zion_nlcd RUN docs/images` trains a U-Net for eight epochs (some 20 minutes
of a core), maps the scene twice, and draws a part of it. RUN is a folder that it makes; what is there already is not
made again.
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

OVERRIDES = [
    "seeds=[0]",
    "arms={}",
    "pretrain=null",
    "claims=null",
    "tasks.landcover.label_fractions=[]",
    "tasks.landcover.floors=[majority]",
    "tasks.landcover.probes=[{name: segment, decoder: unet, backbone: trained, batch_size: 16, epochs: 8, "
    "min_epochs: 1, learning_rate: 0.001}]",
    "tasks.landcover.references={unet: {segmenter: {name: unet}, inputs: [landsat]}}",
]
"""`landsat-zion` with one network and without any pre-training: to show how maps are put together, not how good."""
TILES, BLENDED = How(device="cpu", window=128, overlap=0), How(device="cpu", window=256, overlap=64)
SHOWN = Window.from_slices((900, 1332), (540, 1052))
"""Columns and rows of the scene that are drawn."""
RGB = ("landsat_b4.tif", "landsat_b3.tif", "landsat_b2.tif")


def main(data: Path, run: Path, folder: Path) -> None:
    """Write `map-zion.png`, and print how often the class changes at borders of windows and elsewhere."""
    recipe = config.load("landsat-zion", [*OVERRIDES, f"data={data}"])
    pipeline.build_corpus(recipe, pipeline.run_folder(recipe, run))
    meant = pipeline.Result(task="landcover", row="unet")
    maps = {
        name: pipeline.map_run(run, data, run / "maps" / f"{name}.tif", result=meant, how=how)[0]
        for name, how in (("tiles", TILES), ("blended", BLENDED))
    }
    tiled, blended = (read(path) for path in maps.values())
    lines = np.arange(128, min(tiled.shape), 128)
    print("side by side:", *changes(tiled, lines))
    # where blending begins, is in its middle, and ends
    starts = np.arange(192, min(blended.shape) - 64, 192)
    print("blended:", *changes(blended, np.concatenate([starts + 16, starts + 32, starts + 48])))
    path = folder / "map-zion.png"
    path.write_bytes(drawn(data, maps))
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


def drawn(data: Path, maps: dict[str, Path]) -> bytes:
    """A PNG: true colour, and both maps."""
    with rasterio.open(maps["blended"]) as file:
        named = [pair.split(" ", 1) for pair in file.tags()["classes"].split(", ")]
        table = {int(code): "#{:02x}{:02x}{:02x}".format(*file.colormap(1)[int(code)]) for code, _ in named}
    image = np.stack([read(data / name, SHOWN) for name in RGB], axis=-1).astype(float)
    low, high = np.percentile(image, (1, 99))
    figure = Figure(figsize=(9.2, 3.0), dpi=100, layout="constrained")
    axes = figure.subplots(1, 3)
    axes[0].imshow(np.clip((image - low) / (high - low), 0, 1))
    codes = list(table)
    for axis, path in zip(axes[1:], maps.values(), strict=True):
        positions = np.searchsorted(codes, read(path, SHOWN))
        shades = ListedColormap([table[code] for code in codes])
        axis.imshow(positions, cmap=shades, vmin=-0.5, vmax=len(codes) - 0.5, interpolation="nearest")
    titles = ("Landsat 8", "windows laid side by side", "windows of 256 pixels, 64 blended")
    for axis, title in zip(axes, titles, strict=True):
        axis.set(xticks=[], yticks=[])
        axis.set_title(title, fontsize=9)
    handles = [Patch(color=table[int(code)], label=name) for code, name in named]
    figure.legend(handles=handles, loc="outside lower center", ncols=len(handles), fontsize=8, frameon=False)
    buffer, small = io.BytesIO(), io.BytesIO()
    figure.savefig(buffer, format="png")
    colours = Picture.open(buffer).convert("RGB").quantize(128, Picture.Quantize.MAXCOVERAGE)
    colours.save(small, "PNG", optimize=True)
    return small.getvalue()


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:4]))
