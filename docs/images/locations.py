"""Draws encodings.png, satclip.png and sinr.png: what location encoders make of the globe.

    python docs/images/locations.py PATH        PATH: the folder that the recipe `stations` reads

About two minutes of one core. Stations and coastlines are real; the images that SatCLIP's are compared with are
generated from each station's climate, so that nothing else has to be downloaded.
"""

import io
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import geopandas as gpd
import numpy as np
import torch
from jaxtyping import Float, Float64
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from matplotlib.path import Path as Path2D
from PIL import Image as Picture
from torch import Tensor

from swath import encoders, methods
from swath.batch import NO_DAY, Batch, Image, View
from swath.corpus import Corpus
from swath.corpus.sources import points
from swath.encoders import InputContract, image_and_location, location
from swath.encoders.location import LOCATION, encodings
from swath.methods import satclip, sinr
from swath.sensors import band, band_id

STEP = 1.5
"""Degrees of a pixel of the maps."""
NEAR = (165.0, 62.0)
"""The far east of Siberia, not far from the antimeridian: what all places are compared with."""
COLUMNS = 4
"""Of the picture of all encodings."""
SEEN = ("Brazil", "Australia", "Russia")
"""Countries whose stations are drawn."""
STEPS, BATCH, RATE = 600, 256, 0.002
IMAGE_STEPS, PX = 400, 16
EARTH = {
    "forest": (0.03, 0.05, 0.03, 0.32, 0.14),
    "grass": (0.05, 0.08, 0.07, 0.30, 0.22),
    "sand": (0.14, 0.22, 0.32, 0.40, 0.50),
    "snow": (0.80, 0.78, 0.76, 0.70, 0.12),
}
"""Reflectance of blue, green, red, near and short-wave infrared."""
BANDS = tuple(f"sentinel-2-l2a/{name}" for name in ("B02", "B03", "B04", "B08", "B11"))
SHORE = "#c8c8c8"
Coast = Sequence[Float64[np.ndarray, "n 2"]]


def main(data: Path, folder: Path) -> None:
    """Write all three pictures."""
    torch.set_num_threads(1)
    coast = coastline(data / "ne_50m_land.shp")
    draw_encodings(coast, folder / "encodings.png")
    with tempfile.TemporaryDirectory() as there:
        stations = corpus_of(data, Path(there) / "corpus")
        draw_sinr(stations, coast, folder / "sinr.png")
        draw_satclip(stations, coast, folder / "satclip.png")


def coastline(path: Path) -> Coast:
    """The outlines of the larger pieces of land, in degrees."""
    outlines = gpd.read_file(path).geometry.boundary.explode()
    return [np.array(line.coords)[:, :2] for line in outlines if line.length > 8]


def corpus_of(data: Path, folder: Path) -> Corpus:
    """The stations, with their climate and their country."""
    source = {
        "file": "stationDataAll.csv",
        "values": {"temperature": "meanT", "precipitation": "meanP"},
        "areas": [{"column": "country", "file": "ne_110m_admin_0_countries.shp", "attribute": "NAME"}],
    }
    points.build(points.Config.model_validate(source), folder, data)
    return Corpus.open(folder)


def grid() -> tuple[Float64[Tensor, "n 2"], tuple[int, int]]:
    """Longitude and latitude of the pixels of a map of the globe, north up; and its height and width."""
    lon, lat = np.arange(-180 + STEP / 2, 180, STEP), np.arange(90 - STEP / 2, -90, -STEP)
    both = np.stack(np.meshgrid(lon, lat), axis=-1)
    return torch.from_numpy(both.reshape(-1, 2)), both.shape[:2]


def map_on(axis: Axes, values: Float[Tensor, " n"], coast: Coast, title: str, **how: object) -> None:
    """Draw a map of the globe with coastlines."""
    _, shape = grid()
    axis.imshow(values.numpy().reshape(shape), extent=(-180, 180, -90, 90), cmap="viridis", **how)  # pyright: ignore
    axis.add_collection(LineCollection(list(coast), colors=SHORE, linewidths=0.35))
    axis.set(xlim=(-180, 180), ylim=(-90, 90))
    axis.set_title(title, fontsize=8, pad=3)
    axis.axis("off")


def save(figure: Figure, to: Path) -> None:
    """Write a picture in 256 colours, rare ones among them."""
    whole = io.BytesIO()
    figure.savefig(whole, format="png")
    Picture.open(whole).convert("RGB").quantize(256, Picture.Quantize.MAXCOVERAGE).save(to, optimize=True)


def draw_encodings(coast: Coast, to: Path) -> None:
    """How alike each encoding makes all places and a certain one."""
    lonlat, _ = grid()
    rows = -(-len(encodings.names()) // COLUMNS)
    figure = Figure(figsize=(9.6, 1.47 * rows), dpi=110, layout="constrained")
    axes = list(figure.subplots(rows, COLUMNS).flat)
    for axis, name in zip(axes, encodings.names(), strict=False):
        encoding = location.Config.model_validate({"encoding": {"name": name}}).encoding
        features = encodings.build(encoding)
        apart = (features(lonlat) - features(torch.tensor([NEAR]))).norm(dim=1)
        map_on(axis, 1 - apart / apart.max(), coast, name)
        axis.plot(*NEAR, marker="o", markersize=3.5, color="#e4572e", markeredgecolor="white", markeredgewidth=0.5)
    for axis in axes[len(encodings.names()) :]:
        axis.axis("off")
    save(figure, to)


def draw_sinr(stations: Corpus, coast: Coast, to: Path) -> None:
    """Where SINR says that stations of a country may be, beside those that it was shown."""
    table = stations.locations.dropna(subset=["country"])
    settings = {"encoding": {"name": "wrap", "latitude_period": 180}, "network": {"name": "fcnet", "dropout": 0.1}}
    torch.manual_seed(0)
    encoder = encoders.build(location.Config.model_validate(settings), contract(LOCATION))
    method = methods.build(sinr.Config(label="country"), encoder, _no_views)
    assert isinstance(method, sinr.Method)
    method.take_labels(list(table["uid"]), list(table["country"]))
    degrees = torch.tensor(table[["lon", "lat"]].to_numpy(float))
    trained(method, lambda rows: [view_of(degrees[rows], tuple(table["uid"].iloc[rows.tolist()]))], len(table))
    names = sorted(table["country"].unique())
    lonlat, _ = grid()
    with torch.no_grad():
        presence = method.classifier(encoder.embed(of_degrees(lonlat))).sigmoid()
    figure = Figure(figsize=(9.6, 1.95), dpi=110, layout="constrained")
    axes = figure.subplots(1, len(SEEN))
    for axis, country in zip(axes, SEEN, strict=True):
        map_on(axis, presence[:, names.index(country)], coast, f"stations of {country}", vmin=0, vmax=1)
        own = table[table["country"] == country]
        axis.scatter(own["lon"], own["lat"], s=1.2, color="#e4572e", linewidths=0)
    figure.colorbar(axes[0].images[0], ax=axes, shrink=0.7, label="presence").ax.tick_params(labelsize=7)
    save(figure, to)


def draw_satclip(stations: Corpus, coast: Coast, to: Path) -> None:
    """Where SatCLIP says that an image may be from, for images of stations that it never saw."""
    table = stations.locations.dropna(subset=["temperature", "precipitation"])
    degrees = torch.tensor(table[["lon", "lat"]].to_numpy(float))
    chips = of_climate(table["temperature"].to_numpy(float), table["precipitation"].to_numpy(float))
    shown = [nearest(degrees, place) for place in ((10.0, 27.0), (-65.0, -5.0), (100.0, 66.0))]
    others = torch.tensor([row for row in range(len(table)) if row not in shown])
    settings = {
        "image": {"name": "timm", "model": "test_resnet"},
        "encoding": {"name": "spherical-harmonics", "degrees": 10},
        # slow sines, as 400 steps make no smooth function of SatCLIP's fast ones
        "network": {"name": "siren", "dropout": 0.0, "first_frequency": 6},
    }
    torch.manual_seed(0)
    both = contract((*BANDS, *LOCATION), chips, branches=(len(BANDS), len(LOCATION)))
    encoder = encoders.build(image_and_location.Config.model_validate(settings), both)
    method = methods.build(satclip.Config(image="trained"), encoder, _no_views)
    assert isinstance(method, satclip.Method)

    def views(rows: Tensor) -> list[View]:
        return [View(chips.take(others[rows]), "image", same(len(rows))), view_of(degrees[others[rows]])]

    trained(method, views, len(others), IMAGE_STEPS)
    lonlat, _ = grid()
    figure = Figure(figsize=(9.6, 1.95), dpi=110, layout="constrained")
    axes = figure.subplots(1, 2 * len(shown), width_ratios=[0.35, 1] * len(shown))
    with torch.no_grad():
        places = torch.nn.functional.normalize(encoder.embed(of_degrees(lonlat)), dim=1)
        images = method.projection(encoder.embed(chips.take(shown)))
    for k, (row, image) in enumerate(zip(shown, torch.nn.functional.normalize(images, dim=1), strict=True)):
        (lon, lat), chip, world = degrees[row].tolist(), axes[2 * k], axes[2 * k + 1]
        chip.imshow((np.moveaxis(chips.pixels[row, 0, [2, 1, 0]].numpy(), 0, -1) / 0.6).clip(0, 1) ** 0.6)
        chip.set(xticks=[], yticks=[])
        alike = places @ image
        low, high = np.percentile(alike.numpy(), [20, 99.5])
        title = f"{abs(lat):.0f}° {'NS'[lat < 0]}, {abs(lon):.0f}° {'EW'[lon < 0]}"
        map_on(world, alike, coast, title, vmin=low, vmax=high)
        land = Path2D.make_compound_path(*map(Path2D, coast))
        world.images[0].set_clip_path(land, world.transData)
        world.plot(lon, lat, marker="o", markersize=3.5, color="#e4572e", markeredgecolor="white", markeredgewidth=0.5)
    save(figure, to)


def trained(method: methods.Method, views: object, number: int, steps: int = 0) -> None:
    """Train a method on random rows of so many, and put it in evaluation mode."""
    steps = steps or STEPS
    optimiser = torch.optim.AdamW(method.parameters(), lr=RATE)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, max_lr=RATE, total_steps=steps)
    for step in range(steps):
        loss = method.loss(views(torch.randint(number, (min(BATCH, number),)))).total  # pyright: ignore
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        schedule.step()
        method.after_step(step / steps)
    method.eval()


def of_climate(temperature: Float64[np.ndarray, " n"], rain: Float64[np.ndarray, " n"]) -> Image:
    """Generated chips: the colder the more snow, the drier the more sand, the wetter the more forest."""
    rng, n = np.random.default_rng(0), len(rain)
    shares = {
        "snow": 1 / (1 + np.exp((temperature + 4) / 2)),
        "sand": 1 / (1 + np.exp((rain - 350) / 60)),
        "forest": 1 / (1 + np.exp((900 - rain) / 120)),
    }
    luck, chosen = rng.random((3, n, PX // 4, PX // 4)), np.full((n, PX // 4, PX // 4), "grass", dtype=object)
    for name, one in zip(("sand", "forest", "snow"), luck, strict=True):
        chosen[one < shares[name][:, None, None]] = name
    wide = chosen.repeat(4, axis=1).repeat(4, axis=2)
    pixels = np.zeros((n, len(BANDS), PX, PX), np.float32)
    for name, spectrum in EARTH.items():
        pixels += (wide == name)[:, None] * np.array(spectrum, np.float32)[:, None, None]
    pixels *= rng.normal(1, 0.08, pixels.shape).astype(np.float32)
    ids = tuple(map(band_id, BANDS))
    return Image(
        pixels=torch.from_numpy(pixels)[:, None],
        valid=torch.ones(n, 1, PX, PX, dtype=torch.bool),
        days=torch.full((n, 1), NO_DAY, dtype=torch.int32),
        band_ids=torch.tensor([ids] * n, dtype=torch.int32),
        gsd_m=10.0,
        common_ids=ids,
    )


def of_degrees(lonlat: Float64[Tensor, "n 2"]) -> Image:
    """An image of locations."""
    ids, n = tuple(map(band_id, LOCATION)), len(lonlat)
    return Image(
        pixels=lonlat[:, None, :, None, None],
        valid=torch.ones(n, 1, 1, 1, dtype=torch.bool),
        days=torch.full((n, 1), NO_DAY, dtype=torch.int32),
        band_ids=torch.tensor([ids] * n, dtype=torch.int32),
        gsd_m=1.0,
        common_ids=ids,
    )


def view_of(lonlat: Float64[Tensor, "n 2"], uid: tuple[str, ...] | None = None) -> View:
    """A view of locations."""
    return View(of_degrees(lonlat), "location", same(len(lonlat)), uid=uid)


def same(number: int) -> Float[Tensor, "b 2 3"]:
    """The geometry of views that are as they were."""
    return torch.eye(2, 3).expand(number, 2, 3)


def contract(keys: tuple[str, ...], chips: Image | None = None, branches: tuple[int, ...] = ()) -> InputContract:
    """Bands with their statistics; those of locations need none."""
    mean, std = [0.0] * len(keys), [1.0] * len(keys)
    if chips is not None:
        of_bands = chips.pixels.transpose(0, 2).flatten(1)
        mean[: len(BANDS)], std[: len(BANDS)] = of_bands.mean(dim=1).tolist(), of_bands.std(dim=1).tolist()
    units = tuple(band(key).unit for key in keys)
    first = branches[0] if branches else len(keys)
    return InputContract(first, keys, True, units, tuple(mean), tuple(std), branches=branches)


def nearest(degrees: Float64[Tensor, "n 2"], place: tuple[float, float]) -> int:
    """The station that is nearest to a place, by degrees."""
    return int((degrees - torch.tensor(place)).norm(dim=1).argmin())


def _no_views(batch: Batch, generator: torch.Generator) -> list[View]:  # noqa: ARG001 - a policy's signature
    return []


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(__file__).parent)
