"""Pictures of maps of series of single pixels, for docs/products.md: a cube of Belgium, and points in Canada.

`python -m benchmarks._product_pictures RUN CUBES FOLDER docs/images` maps the cube of the folder `worldcereal_cubes`,
and the locations of RUN's own corpus, by what RUN (of the recipe `s4-canada`) trained. FOLDER gets the maps; what is
there already is not made again. Half a minute of a core.
"""

import io
import sys
from pathlib import Path

import geopandas as gpd
import numpy as np
import rasterio
import xarray
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from PIL import Image as Picture

from swath import pipeline
from swath.corpus.sources.published._worldcereal import CROPS
from swath.products.embeddings import build_dense
from swath.products.scene_maps import How

AREA = "belgium_good_2020-12-01_2021-11-30"
MEANT = pipeline.Result(task="crops-all-labels", row="s4", input="optical", probe="linear", seed=0)
BANDS = [f"sentinel-2-l2a/{name}" for name in ("B02", "B03", "B04", "B05", "B06", "B07", "B08", "B11", "B12")]
JUNE = 6
"""Position of the month that is shown."""
SHOWN = (-83.0, 42.0, -74.5, 45.5)
"""West, south, east and north of the part of Canada that is drawn, where most of the locations are."""
COLUMNS = 5
"""Of a legend."""


def main(run: Path, cubes: Path, folder: Path, images: Path) -> None:
    """Map, and write `map-belgium.png` and `map-canada.png`."""
    data = folder / "cube"
    data.mkdir(parents=True, exist_ok=True)
    cube, source = data / f"{AREA}.nc", folder / "belgium.yaml"
    if not cube.exists():
        cube.symlink_to(cubes.absolute() / cube.name)
    said = f"name: belgium\nseeds: [0]\ndata: {data.absolute()}\n"
    source.write_text(said + "corpus:\n  source: {name: worldcereal-cubes, chip_px: 50}\narms: {}\ntasks: {}\n")
    crops, *_ = pipeline.map_run(run, source, folder / "belgium.tif", result=MEANT, how=How(device="cpu"))
    encoder = run / "pretrain/s4/seed-0/encoder"
    vectors = folder / "belgium-embedding.tif"
    if not vectors.exists():
        build_dense(encoder, folder / "belgium.corpus", vectors, bands=BANDS, crop_px=1)
    points = folder / "canada.gpkg"
    if not points.exists():
        pipeline.map_locations(run, run / "corpus", points, result=MEANT)
    for name, figure in (("map-belgium", belgium(cube, vectors, crops)), ("map-canada", canada(points))):
        path = images / f"{name}.png"
        path.write_bytes(small(figure))
        print(f"{path}: {path.stat().st_size / 1000:.0f} kB")


def belgium(cube: Path, vectors: Path, crops: Path) -> Figure:
    """The cube in June, its embedding, its map, and where the cube's own product sees crops."""
    with xarray.open_dataset(cube, mask_and_scale=False) as opened:
        month = np.stack([opened[band][JUNE].values.view("uint16") for band in ("B08", "B04", "B03")], axis=-1)
        cropland = opened["worldcereal_cropland"][0].values[:100, :100]
        if opened["y"][0] < opened["y"][-1]:
            month, cropland = month[::-1], cropland[::-1]
    with rasterio.open(crops) as file:
        said, table = file.read(1), file.colormap(1)
        named = [pair.split(" ", 1) for pair in file.tags()["classes"].split(", ")]
    with rasterio.open(vectors) as file:
        embedded = components(file.read())
    shares = {code: float((said == int(code)).mean()) for code, _ in named}
    figure = Figure(figsize=(9.2, 3.2), dpi=100, layout="constrained")
    axes = figure.subplots(1, 4)
    shades = np.array([table[code][:3] for code in range(256)], np.uint8)
    pictures = (
        ("June: NIR, red, green", stretched(month[:100, :100].astype(float))),
        ("embedding: 3 components", embedded),
        ("crops, as in Canada", shades[said]),
        ("WorldCereal: temporary crops", np.where(cropland[..., None] == 100, [224, 127, 43], 235).astype(np.uint8)),
    )
    for axis, (title, picture) in zip(axes, pictures, strict=True):
        axis.imshow(picture, interpolation="nearest")
        axis.set(xticks=[], yticks=[])
        axis.set_title(title, fontsize=9)
    handles = [
        Patch(color=tuple(part / 255 for part in table[int(code)][:3]), label=CROPS.get(int(name), name))
        for code, name in named
        if shares[code] > 0.005
    ]
    figure.legend(handles=handles, loc="outside lower center", ncols=COLUMNS, fontsize=8, frameon=False)
    return figure


def canada(path: Path) -> Figure:
    """The locations that the run tested, by predicted class."""
    table = gpd.read_file(path)
    west, south, east, north = SHOWN
    table = table[table["part"] == "test"].cx[west:east, south:north]
    figure = Figure(figsize=(9.2, 4.2), dpi=100, layout="constrained")
    axis = figure.subplots()
    names = sorted(table["class"].unique(), key=int)
    for name in names:
        own = table[table["class"] == name]
        axis.scatter(own.geometry.x, own.geometry.y, s=9, c=own["colour"], alpha=own["probability"], linewidths=0)
    axis.set(xlabel="longitude", ylabel="latitude", aspect=1 / np.cos(np.radians(table.geometry.y.mean())))
    axis.tick_params(labelsize=8)
    handles = [
        Line2D([], [], marker="o", ls="", color=table["colour"][table["class"] == name].iloc[0],
               label=CROPS.get(int(name), name))
        for name in names
    ]  # fmt: skip
    figure.legend(handles=handles, loc="outside lower center", ncols=COLUMNS, fontsize=8, frameon=False)
    return figure


def components(vectors: np.ndarray) -> np.ndarray:
    """The first three principal components of an embedding as colours."""
    flat = vectors.reshape(len(vectors), -1).T.astype(float)
    flat -= flat.mean(axis=0)
    _, axes = np.linalg.eigh(flat.T @ flat)
    return stretched((flat @ axes[:, ::-1][:, :3]).reshape(*vectors.shape[1:], 3))


def stretched(values: np.ndarray) -> np.ndarray:
    """Values from the 2nd to the 98th percentile of each channel, from 0 to 1."""
    low, high = np.percentile(values, (2, 98), axis=(0, 1))
    return np.clip((values - low) / (high - low), 0, 1)


def small(figure: Figure) -> bytes:
    """A PNG of few colours."""
    buffer, packed = io.BytesIO(), io.BytesIO()
    figure.savefig(buffer, format="png")
    Picture.open(buffer).convert("RGB").quantize(200, Picture.Quantize.MAXCOVERAGE).save(packed, "PNG", optimize=True)
    return packed.getvalue()


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:5]))
