"""Maps of whole scenes: those of the network on the whole raster, seamless, bounded, resumable, refused with words."""

import hashlib
import json
import os
import pickle
import shutil
import tracemalloc
import weakref
from contextlib import nullcontext
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from xml.etree import ElementTree

import geopandas as gpd
import numpy as np
import pystac
import pytest
import rasterio
import shapely
import torch
from affine import Affine
from distributed import Client, LocalCluster
from filelock import FileLock
from pyproj import Transformer
from rasterio.errors import RasterioIOError
from torch import nn

from swath.corpus import SensorLayout
from swath.corpus.ground import vector
from swath.corpus.sources.folder import Pixels
from swath.errors import ContractError, CorpusError, RecipeError, SwathError
from swath.products import scene_maps
from swath.products.embeddings import check_embeddings
from swath.products.scene_maps import Chips, Classes, Dense, How, Layout, Numbers, Presences, map_scene
from swath.products.scene_maps import _work as working
from swath.products.windows import Input
from swath.products.windows import _zone as zoning

KEYS = ("sentinel-2-l2a/B04", "sentinel-2-l2a/B08")
CLASSES = Classes((1, 5, 9), ("water & ice", "wood", "<b>town</b>"), ("#0000ff", "#00ff00", "#ff0000"))
ABOUT = {"name": "of a test"}
SMALL = How(window=64, overlap=16, device="cpu")
CORNER = Affine(10, 0, 500_000, 0, -10, 5_000_000)
IMAGES = {"files": "*.tif", "id": r"(?P<id>\w+?)_(?P<date>\d{8})\.tif$", "sensor": "sentinel-2-l2a"}
LAYOUT = SensorLayout(bands=("B04", "B08"), gsd_m=10, dtype="float32")
DATED = {"images": [IMAGES | {"bands": {"B04": 1, "B08": 2}}]}


def write(path, counts, epsg=32631):
    c, h, w = counts.shape
    grid = {"driver": "GTiff", "count": c, "height": h, "width": w, "dtype": counts.dtype}
    with rasterio.open(path, "w", **grid, crs=f"EPSG:{epsg}", transform=CORNER) as file:
        file.write(counts)
        file.descriptions = ("B04", "B08")
    return counts


def values(counts):
    """Physical values and validity, computed apart from swath."""
    valid = (counts != 0).all(axis=0)
    return np.where(valid, counts * np.float32(1e-4), 0).astype(np.float32), valid


class Net(nn.Module):
    """Logits of three classes from 7 x 7 pixels, of images on a stride of 2 as networks with halvings see them."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.conv = nn.Conv2d(2, 6, 7, padding=3)
        self.down, self.up = nn.Conv2d(6, 6, 2, 2), nn.ConvTranspose2d(6, 3, 2, 2)

    def forward(self, images):
        pixels = next(iter(images.values())).pixels[:, 0]
        h, w = pixels.shape[2:]
        x = nn.functional.pad(pixels, (0, -w % 2, 0, -h % 2))
        return 8 * self.up(self.down(self.conv(x).relu()).relu())[:, :, :h, :w]


def nothing(images):
    """A check that can be pickled."""


def dense(network=None, check=nothing):
    return Dense(network or Net(), KEYS, series=False, check=check, multiple=2)


def expected(counts):
    pixels, valid = values(counts)
    image = type("Image", (), {"pixels": torch.from_numpy(pixels)[None, None]})
    with torch.inference_mode():
        return Net()({"": image})[0].softmax(dim=0).numpy(), valid


@pytest.fixture(scope="module")
def scene(tmp_path_factory):
    """A raster of 150 x 131 pixels with holes, its path and the probabilities of the whole of it."""
    path = tmp_path_factory.mktemp("scene") / "scene.tif"
    rng = np.random.default_rng(0)
    counts = rng.integers(1, 9000, (2, 150, 131), dtype=np.uint16)
    counts[:, 40:60, 30:70] = 0
    write(path, counts)
    return path, *expected(counts)


@pytest.mark.parametrize("shape", [(150, 131), (64, 48), (65, 200), (10, 7)])
def test_windows_cover_a_raster_once_and_their_weights_sum_to_one(shape):
    layout = Layout(*shape, window=64, overlap=16, multiple=4)
    owned, weight = np.zeros(shape, int), np.zeros((shape[0] + 64, shape[1] + 64))
    for number in range(len(layout)):
        own, span = layout.owned(number), layout.span(number)
        owned[own.row : own.row + own.height, own.column : own.column + own.width] += 1
        weight[span.row : span.row + span.height, span.column : span.column + span.width] += layout.weights(number)
        assert (span.row % 4, span.column % 4, span.height % 4, span.width % 4) == (0, 0, 0, 0)
    assert (owned == 1).all()
    np.testing.assert_allclose(weight[: shape[0], : shape[1]], 1, atol=1e-6)


def test_windows_that_cannot_be_laid_are_refused():
    with pytest.raises(RecipeError, match="windows of 64 pixels that share 32 cannot be laid"):
        Layout(100, 100, 64, 32)


def test_a_map_is_that_of_the_whole_raster(tmp_path, scene):
    """The network sees 4 pixels to each side, and windows use nothing within 4 pixels of their borders."""
    path, probabilities, valid = scene
    written = map_scene(dense(), Numbers(("a", "b", "c")), Input(path), tmp_path / "map.tif", about=ABOUT, how=SMALL)
    assert [file.name for file in written] == ["map.tif", "map.collection.json"]
    with rasterio.open(tmp_path / "map.tif") as file:
        assert (file.crs.to_epsg(), file.transform, file.descriptions) == (32631, CORNER, ("a", "b", "c"))
        said = file.read()
    np.testing.assert_array_equal(np.isfinite(said).all(axis=0), valid)
    np.testing.assert_allclose(said[:, valid], probabilities[:, valid], atol=1e-5)
    assert sorted(one.name for one in tmp_path.iterdir()) == ["map.collection.json", "map.tif"]
    described = pystac.Collection.from_dict(json.loads((tmp_path / "map.collection.json").read_text()))
    assert described.extent.temporal.intervals == [[None, None]], "nobody says a date"
    assert described.assets["map"].extra_fields["proj:code"] == "EPSG:32631"


def test_without_overlap_there_are_seams(tmp_path, scene, capsys):
    """What the test above would see if windows were only laid side by side."""
    path, probabilities, valid = scene
    how = replace(SMALL, overlap=0)
    map_scene(dense(), Numbers(("a", "b", "c")), Input(path), tmp_path / "map.tif", about=ABOUT, how=how)
    said = " ".join(capsys.readouterr().err.split())
    assert "sentinel-2-l2a comes without a quality layer: clouds are mapped like anything else" in said
    with rasterio.open(tmp_path / "map.tif") as file:
        wrong = np.abs(file.read() - probabilities).max(axis=0) > 1e-3
    assert wrong[:, 60:68][valid[:, 60:68]].mean() > 0.5
    assert not wrong[8:56, 8:56][valid[8:56, 8:56]].any()


def test_classes_probabilities_entropy_legend_and_item(tmp_path, scene):
    path, probabilities, valid = scene
    product, dated = replace(CLASSES, entropy=True), shutil.copy(path, tmp_path / "x_20200601.tif")
    written = map_scene(dense(), product, Input(dated, DATED), tmp_path / "map.tif", about=ABOUT, how=SMALL)
    names = ["map.tif", "map.probabilities.tif", "map.entropy.tif", "map.tif.aux.xml", "map.qml", "map.json"]
    assert [file.name for file in written] == names
    with rasterio.open(tmp_path / "map.tif") as file:
        assert (file.nodata, file.dtypes, file.overviews(1)) == (255, ("uint8",), [])
        assert file.tags(ns="IMAGE_STRUCTURE")["LAYOUT"] == "COG"
        assert [file.colormap(1)[code] for code in CLASSES.codes] == [
            (0, 0, 255, 255),
            (0, 255, 0, 255),
            (255, 0, 0, 255),
        ]
        said = file.read(1)
    sure = np.diff(np.sort(probabilities, axis=0)[-2:], axis=0)[0] > 1e-4
    best = np.array(CLASSES.codes)[probabilities.argmax(axis=0)]
    np.testing.assert_array_equal(said[valid & sure], best[valid & sure])
    assert (said[~valid] == 255).all()
    with rasterio.open(tmp_path / "map.probabilities.tif") as file:
        assert (file.descriptions, file.nodata, file.scales) == (CLASSES.names, 255, (1 / 250,) * 3)
        np.testing.assert_allclose(file.read()[:, valid] / 250, probabilities[:, valid], atol=0.5 / 250 + 1e-5)
    with rasterio.open(tmp_path / "map.entropy.tif") as file:
        entropy = -(probabilities * np.log(probabilities)).sum(axis=0) / np.log(3)
        np.testing.assert_allclose(file.read(1)[valid] / 250, entropy[valid], atol=0.5 / 250 + 1e-5)
    categories = [one.text or "" for one in ElementTree.parse(tmp_path / "map.tif.aux.xml").iter("Category")]
    assert {k: name for k, name in enumerate(categories) if name} == dict(
        zip(CLASSES.codes, CLASSES.names, strict=True)
    )
    style = ElementTree.parse(tmp_path / "map.qml").iter("paletteEntry")
    assert [(e.get("value"), e.get("label"), e.get("color")) for e in style][2] == ("9", "<b>town</b>", "#ff0000")
    item = pystac.Item.from_dict(json.loads((tmp_path / "map.json").read_text()))
    assert set(item.assets) == {"map", "probabilities", "entropy"}
    assert (item.datetime, item.common_metadata.start_datetime) == (datetime(2020, 6, 1, tzinfo=UTC), None)
    assert item.assets["map"].extra_fields["classification:classes"][0]["value"] == 1
    west, south, east, north = item.bbox
    np.testing.assert_allclose([west, south, east, north], [3.0, 45.14, 3.016, 45.155], atol=0.01)


class Interrupted(RuntimeError):
    pass


class Stopping(Net):
    """A network that dies after so many windows."""

    def __init__(self, after):
        super().__init__()
        self.left, self.calls = after, 0

    def forward(self, images):
        if not self.left:
            raise Interrupted
        self.left, self.calls = self.left - 1, self.calls + 1
        return super().forward(images)


def test_what_was_killed_continues_to_the_same_bytes(tmp_path, scene):
    path, _, _ = scene
    whole = map_scene(dense(), CLASSES, Input(path), tmp_path / "whole.tif", about=ABOUT, how=SMALL)
    parts = tmp_path / "parts.tif"
    for after in (2, 3):
        network = Stopping(after)
        with pytest.raises(Interrupted):
            map_scene(dense(network), CLASSES, Input(path), parts, about=ABOUT, how=SMALL)
        assert network.calls == after
        (tmp_path / ".parts.tif.windows/.1-half.part").write_bytes(b"half a window")
    network = Stopping(100)
    map_scene(dense(network), CLASSES, Input(path), parts, about=ABOUT, how=SMALL)
    assert network.calls == 9 - 5
    for file in whole[:3]:
        other = file.with_name(file.name.replace("whole", "parts"))
        assert file.read_bytes() == other.read_bytes(), file.name
    again = Stopping(0)
    assert map_scene(dense(again), CLASSES, Input(path), parts, about=ABOUT, how=SMALL) == [parts]


@pytest.mark.parametrize("overlap", [0, 16])
def test_nothing_is_held_of_windows_before_the_one_that_the_network_sees(tmp_path, scene, monkeypatch, overlap):
    ask, held, alive = Dense.__call__, [], []

    def asked(self, images):
        alive.append(sum(one() is not None for one in held))
        said = ask(self, images)
        held.extend(map(weakref.ref, [said, *(image.pixels for image in images.values())]))
        return said

    monkeypatch.setattr(Dense, "__call__", asked)
    how = replace(SMALL, overlap=overlap)
    map_scene(dense(), CLASSES, Input(scene[0]), tmp_path / "map.tif", about=ABOUT, how=how)
    assert len(alive) == 9
    assert not any(alive)


def test_windows_in_any_order_give_the_same(tmp_path, scene, monkeypatch):
    """As processes compute them side by side."""
    path, _, _ = scene
    map_scene(dense(), CLASSES, Input(path), tmp_path / "row.tif", about=ABOUT, how=SMALL)

    def shuffled(work, numbers, progress):
        for number in (8, 0, 4, 2, 6, 1, 7, 3, 5):
            working.compute(work, [number])
        assert not list(work.folder.glob("*.edges")), "edges are dropped when nobody needs them"

    monkeypatch.setattr(scene_maps._map, "compute", shuffled)
    map_scene(dense(), CLASSES, Input(path), tmp_path / "any.tif", about=ABOUT, how=SMALL)
    for ending in ("tif", "probabilities.tif"):
        assert (tmp_path / f"row.{ending}").read_bytes() == (tmp_path / f"any.{ending}").read_bytes()


def test_the_workers_of_a_dask_scheduler_share_the_windows(tmp_path, scene, monkeypatch):
    parts = []

    class Client:
        def scheduler_info(self):
            return {"workers": {"one": {}, "two": {}}}

        def submit(self, function, work, numbers, pure):
            parts.append(numbers)
            work, numbers = pickle.loads(pickle.dumps((work, numbers)))
            return type("Future", (), {"result": lambda future: function(work, numbers)})()

    monkeypatch.setattr(scene_maps._map.cluster, "cluster", lambda address: nullcontext(Client()))
    alone = map_scene(dense(), CLASSES, Input(scene[0]), tmp_path / "a.tif", about=ABOUT, how=SMALL)
    how = replace(SMALL, scheduler="tcp://10.0.0.5:8786")
    shared = map_scene(dense(), CLASSES, Input(scene[0]), tmp_path / "b.tif", about=ABOUT, how=how)
    assert (len(parts), sorted(n for part in parts for n in part)) == (8, list(range(9)))
    assert alone[0].read_bytes() == shared[0].read_bytes()


@dataclass(frozen=True)
class Witness:
    """A check that leaves the id of its process in a folder."""

    folder: str

    def __call__(self, images):
        (Path(self.folder) / str(os.getpid())).touch()


@pytest.mark.slow
def test_two_processes_of_a_running_dask_scheduler_give_the_same_bytes(tmp_path, scene):
    here = {"dashboard_address": "127.0.0.1:0", "worker_dashboard_address": "127.0.0.1:0"}
    product, seen = replace(CLASSES, entropy=True), tmp_path / "seen"
    seen.mkdir()
    alone = map_scene(dense(), product, Input(scene[0]), tmp_path / "a.tif", about=ABOUT, how=SMALL)
    with LocalCluster(2, threads_per_worker=1, processes=True, host="127.0.0.1", **here) as local:
        address = local.scheduler_address
        assert address.startswith("tcp://127.0.0.1:")
        how, network = replace(SMALL, scheduler=address), dense(check=Witness(str(seen)))
        shared = map_scene(network, product, Input(scene[0]), tmp_path / "b.tif", about=ABOUT, how=how)
        with Client(address) as client:
            workers = {str(pid) for pid in client.run(os.getpid).values()}
    assert len(workers) == 2
    by = {one.name for one in seen.iterdir()}
    assert by <= workers
    assert by
    for one, other in zip(alone[:3], shared[:3], strict=True):
        assert one.read_bytes() == other.read_bytes(), one.name


def test_a_device_that_is_not_there_is_said(tmp_path, scene):
    with pytest.raises(SwathError, match="there is no device 'tpu' here"):
        map_scene(dense(), CLASSES, Input(scene[0]), tmp_path / "m.tif", about=ABOUT, how=replace(SMALL, device="tpu"))


@dataclass(frozen=True)
class Endless:
    """A raster of any size, whose pixels are computed as they are read."""

    height: int
    width: int
    name: str = "endless"
    sensor: str = "sentinel-2-l2a"
    bands: tuple = ("B04", "B08")
    date: datetime | None = None
    crs: str = "EPSG:32631"
    transform: Affine = CORNER
    gsd_m: float = 10.0
    masks_clouds: bool = False
    layout: SensorLayout = LAYOUT

    def read(self, row, column, height, width):
        return Pixels(np.full((2, height, width), 0.1, np.float32), np.ones((height, width), bool))


def map_endless(tmp_path, monkeypatch, size, how):
    (tmp_path / "scene").touch()
    (zone,) = zoning.zones([Endless(size, size)], series=False)
    monkeypatch.setattr(scene_maps._map, "open_zones", lambda *a, **k: [zone])
    map_scene(dense(), CLASSES, Input(tmp_path / "scene"), tmp_path / f"{size}.tif", about=ABOUT, how=how)


def test_no_array_is_larger_than_a_window(tmp_path, monkeypatch):
    sizes = []
    save, read, stored = np.save, Endless.read, working.ZoneWork.stored

    def seen(result):
        sizes.append(result.nbytes)
        return result

    monkeypatch.setattr(np, "save", lambda file, array, **k: save(file, seen(array), **k))
    monkeypatch.setattr(Endless, "read", lambda *a: Pixels(seen(read(*a).counts), read(*a).valid))
    monkeypatch.setattr(working.ZoneWork, "stored", lambda *a: seen(stored(*a)))
    for size in (68, 140):
        sizes.clear()
        map_endless(tmp_path, monkeypatch, size, replace(SMALL, window=32, overlap=8))
        assert max(sizes) == 2 * 4 * 32 * 32
        with rasterio.open(tmp_path / f"{size}.tif") as file:
            assert file.shape == (size, size)


@pytest.mark.slow
def test_memory_is_bounded_by_the_window(tmp_path, monkeypatch):
    peak = {}
    for size in (700, 1600):
        tracemalloc.start()
        map_endless(tmp_path, monkeypatch, size, How(window=256, overlap=32, device="cpu"))
        peak[size] = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    # how many arrays of two windows are there at once is up to the thread that reads ahead; the raster is five times as
    # large, and `python -m benchmarks map_memory` measures what the process takes
    assert peak[1600] < 2 * peak[700], peak
    assert max(peak.values()) < 12 * 256 * 256 * 4 * (2 + 3), peak


def test_overviews_are_means_of_what_there_is_down_to_a_block(tmp_path, monkeypatch):
    path, counts = tmp_path / "scene.tif", np.random.default_rng(3).integers(1, 9000, (2, 136, 132), dtype=np.uint16)
    counts[:, 41:60, 31:70] = 0
    probabilities, valid = expected(write(path, counts))
    monkeypatch.setattr(scene_maps._files, "BLOCK", 64)
    map_scene(dense(), Numbers(("a", "b", "c")), Input(path), tmp_path / "m.tif", about=ABOUT, how=SMALL)
    with rasterio.open(tmp_path / "m.tif") as file:
        assert (file.overviews(1), file.block_shapes[0]) == ([2, 4], (64, 64))
    with rasterio.open(tmp_path / "m.tif", overview_level=0) as file:
        said = file.read(1)
    fours = np.where(valid, probabilities[0], np.nan).reshape(68, 2, 66, 2)
    there = np.isfinite(fours).any(axis=(1, 3))
    np.testing.assert_array_equal(np.isfinite(said), there)
    mean = np.nansum(fours, axis=(1, 3)) / np.maximum(np.isfinite(fours).sum(axis=(1, 3)), 1)
    np.testing.assert_allclose(said[there], mean[there], atol=1e-4)


def test_a_map_is_cut_to_an_area(tmp_path, scene, capsys, monkeypatch):
    monkeypatch.setattr(vector, "PART", 2)  # a file of seven shapes is read in four parts
    path, _, valid = scene
    inside = shapely.box(500_203, 4_999_201, 500_702, 4_999_498)
    bow = shapely.Polygon([(500_900, 4_999_903), (501_000, 4_999_803), (501_000, 4_999_903), (500_900, 4_999_803)])
    away = shapely.box(700_000, 4_000_000, 700_100, 4_000_100)
    # a square whose spike runs through the middles of 20 pixels
    square = [(500_503, 4_998_803), (500_603, 4_998_803), (500_603, 4_998_903), (500_503, 4_998_903)]
    spike = shapely.Polygon(
        [*square[:2], (500_603, 4_998_855), (500_803, 4_998_855), (500_603, 4_998_855), *square[2:]]
    )
    others = [shapely.Point(500_300, 4_999_900), None, shapely.Polygon()]
    shapes = gpd.GeoDataFrame(geometry=[inside, bow, spike, away, *others], crs="EPSG:32631").to_crs("EPSG:4326")
    shapes.to_file(tmp_path / "area.geojson")
    to = tmp_path / "map.tif"
    map_scene(dense(), CLASSES, Input(path), to, about=ABOUT, how=SMALL, clip=tmp_path / "area.geojson")
    said = " ".join(capsys.readouterr().err.split())
    assert "3 of the 7 shapes of area.geojson are no polygons, and left out" in said
    assert "2 of the 7 shapes of area.geojson are polygons that cross themselves, and mended" in said
    assert "1 of the 7 shapes of area.geojson are polygons out of the input" in said
    x, y = 500_005 + 10 * np.arange(131), 4_999_995 - 10 * np.arange(150)
    wanted = shapely.contains_xy(
        shapely.union_all([inside, bow.buffer(0), shapely.make_valid(bow), shapely.Polygon(square)]), *np.meshgrid(x, y)
    )
    with rasterio.open(to) as file:
        np.testing.assert_array_equal(file.read(1) != 255, wanted & valid)


def test_an_area_is_what_its_polygons_enclose_where_edges_are_straight_in_their_file(tmp_path, scene):
    """A box of degrees as wide as Europe, two parts that overlap, and a hole that reaches out of its polygon."""
    path, _, valid = scene
    x, y = np.meshgrid(500_005 + 10 * np.arange(131), 4_999_995 - 10 * np.arange(150))
    lon, lat = Transformer.from_crs(32631, 4326, always_xy=True).transform(x, y)
    across, up = lon[0] + 4e-5, lat[:, 0] + 3e-5  # edges between the middles of pixels
    two = [shapely.box(across[k], up[k + 40], across[k + 40], up[k]) for k in (5, 25)]
    holed, hole = (
        shapely.box(across[80], up[50], across[120], up[10]),
        shapely.box(across[100], up[40], across[130], up[20]),
    )
    wide = shapely.box(-20, 35, 30, up[100])
    given = [shapely.MultiPolygon(two), shapely.Polygon(holed.exterior, [hole.exterior]), wide]
    gpd.GeoDataFrame(geometry=given, crs="EPSG:4326").to_file(tmp_path / "area.gpkg")
    map_scene(dense(), CLASSES, Input(path), tmp_path / "m.tif", about=ABOUT, how=SMALL, clip=tmp_path / "area.gpkg")
    wanted = shapely.contains_xy(shapely.union_all([*two, holed.difference(hole), wide]), lon, lat)
    with rasterio.open(tmp_path / "m.tif") as file:
        np.testing.assert_array_equal(file.read(1) != 255, wanted & valid)


@pytest.mark.parametrize(
    ("shapes", "said"),
    [
        (gpd.GeoDataFrame(geometry=[shapely.box(0, 0, 1, 1)]), "says no reference system"),
        (gpd.GeoDataFrame(geometry=[shapely.Point(3, 45.1)], crs=4326), "it holds no polygon, but Point"),
        (gpd.GeoDataFrame(geometry=[shapely.Polygon()], crs=4326), "it holds no polygon"),
        (gpd.GeoDataFrame(geometry=[shapely.box(0, 0, 1, 1)], crs=4326), "none of its polygons lies in the input"),
    ],
)
@pytest.mark.filterwarnings("ignore:.*crs.*")
def test_areas_that_are_none_are_refused(tmp_path, scene, shapes, said):
    shapes.to_file(tmp_path / "area.gpkg")
    with pytest.raises(CorpusError, match=said):
        map_scene(
            dense(), CLASSES, Input(scene[0]), tmp_path / "m.tif", about=ABOUT, how=SMALL, clip=tmp_path / "area.gpkg"
        )


def test_several_utm_zones_have_a_map_each_and_one_of_all(tmp_path):
    scenes, counts = tmp_path / "scenes", np.random.default_rng(1).integers(1, 9000, (2, 40, 50), dtype=np.uint16)
    scenes.mkdir()
    write(scenes / "a.tif", counts)
    write(scenes / "b.tif", counts, epsg=32632)
    written = map_scene(dense(), CLASSES, Input(scenes), tmp_path / "map.tif", about=ABOUT, how=SMALL)
    assert [one.name for one in written[:3]] == ["map.vrt", "map.qml", "map_32632.warped.vrt"]
    with rasterio.open(tmp_path / "map.vrt") as all_of_it, rasterio.open(tmp_path / "map_32631.tif") as first:
        assert all_of_it.crs.to_epsg() == 32631
        assert all_of_it.colormap(1)[9] == (255, 0, 0, 255)
        window = rasterio.windows.from_bounds(*first.bounds, all_of_it.transform)
        np.testing.assert_array_equal(all_of_it.read(1, window=window), first.read(1))
        east = rasterio.windows.from_bounds(970_000, first.bounds.bottom - 20_000, all_of_it.bounds.right,
                                            first.bounds.top + 20_000, all_of_it.transform)  # fmt: skip
        assert (all_of_it.read(1, window=east) != 255).sum() == pytest.approx(40 * 50, rel=0.05)


def test_a_map_of_several_bands_has_all_of_them_in_the_one_of_all_zones(tmp_path):
    scenes, counts = tmp_path / "scenes", np.random.default_rng(1).integers(1, 9000, (2, 20, 30), dtype=np.uint16)
    scenes.mkdir()
    write(scenes / "a.tif", counts)
    write(scenes / "b.tif", counts, epsg=32632)
    map_scene(dense(), Presences(("a", "<b>", "c")), Input(scenes), tmp_path / "map.tif", about=ABOUT, how=SMALL)
    with rasterio.open(tmp_path / "map.vrt") as all_of_it, rasterio.open(tmp_path / "map_32631.tif") as first:
        assert (all_of_it.descriptions, all_of_it.scales) == (("a", "<b>", "c"), (1 / 250,) * 3)
        window = rasterio.windows.from_bounds(*first.bounds, all_of_it.transform)
        np.testing.assert_array_equal(all_of_it.read(window=window), first.read())


def test_a_zone_without_a_valid_pixel_has_no_map_and_the_others_have(tmp_path, capsys):
    scenes, counts = tmp_path / "scenes", np.full((2, 20, 30), 500, np.uint16)
    scenes.mkdir()
    write(scenes / "a.tif", counts)
    write(scenes / "b.tif", 0 * counts, epsg=32632)
    written = map_scene(dense(), CLASSES, Input(scenes), tmp_path / "map.tif", about=ABOUT, how=SMALL)
    assert "EPSG-32632 has no valid pixel, and no map" in " ".join(capsys.readouterr().err.split())
    assert [one.name for one in written[:3]] == ["map.vrt", "map.qml", "map_32631.tif"]
    assert not (tmp_path / "map_32632.tif").exists()
    with rasterio.open(tmp_path / "map.vrt") as file:
        assert (file.read(1) != 255).all()
        rasterio.shutil.copy(file, tmp_path / "copy.png", driver="PNG")  # which says beside it what GDAL has read
    read = ElementTree.parse(tmp_path / "copy.png.aux.xml")
    categories = [one.text or "" for one in read.iter("Category")]
    assert [categories[code] for code in CLASSES.codes] == list(CLASSES.names)
    rows = [[value.text for value in row] for row in read.iter("Row")]
    assert rows[2] == ["9", CLASSES.names[2], "255", "0", "0"]
    assert (tmp_path / "map.qml").read_text() == (tmp_path / "map_32631.qml").read_text()


def test_other_settings_a_second_writer_and_what_is_no_map_are_refused(tmp_path, scene):
    path, to = scene[0], tmp_path / "map.tif"
    with pytest.raises(Interrupted):
        map_scene(dense(Stopping(1)), CLASSES, Input(path), to, about=ABOUT, how=SMALL)
    with pytest.raises(SwathError, match="under way: overlap: was 16, is 8"):
        map_scene(dense(), CLASSES, Input(path), to, about=ABOUT, how=replace(SMALL, overlap=8))
    lock = FileLock(tmp_path / ".map.tif.windows/lock")
    with lock, pytest.raises(SwathError, match="another process is writing this map"):
        map_scene(dense(), CLASSES, Input(path), to, about=ABOUT, how=SMALL)
    map_scene(dense(), CLASSES, Input(path), to, about=ABOUT, how=SMALL)
    with pytest.raises(SwathError, match=r"there is a map of other settings: model\.name: was of a test, is another"):
        map_scene(dense(), CLASSES, Input(path), to, about={"name": "another"}, how=SMALL)
    with pytest.raises(SwathError, match="the file is no map of swath's"):
        map_scene(dense(), CLASSES, Input(path), path, about=ABOUT, how=SMALL)
    with pytest.raises(SwathError, match=r"a map is a GeoTIFF, not \.png"):
        map_scene(dense(), CLASSES, Input(path), tmp_path / "map.png", about=ABOUT, how=SMALL)


def test_a_byte_of_a_map_that_was_changed_is_found(tmp_path, scene):
    to = tmp_path / "map.tif"
    map_scene(dense(), CLASSES, Input(scene[0]), to, about=ABOUT, how=SMALL)
    assets = json.loads((tmp_path / "map.collection.json").read_text())["assets"]
    for name, file in (("map", to), ("probabilities", tmp_path / "map.probabilities.tif")):
        assert assets[name]["file:checksum"] == "1220" + hashlib.sha256(file.read_bytes()).hexdigest()
        assert assets[name]["file:size"] == file.stat().st_size
    assert check_embeddings(to) == []
    changed = bytearray((tmp_path / "map.probabilities.tif").read_bytes())
    changed[-100] ^= 1
    (tmp_path / "map.probabilities.tif").write_bytes(changed)
    said = "map.probabilities.tif was changed since it was written"
    assert check_embeddings(to)[0].startswith(said)
    with pytest.raises(SwathError, match=f"the map is there already, and not as it was written: {said}"):
        map_scene(dense(), CLASSES, Input(scene[0]), to, about=ABOUT, how=SMALL)
    (tmp_path / "map.probabilities.tif").unlink()
    assert check_embeddings(to) == ["map.probabilities.tif is missing"]
    for damaged in ("{", '{"assets": ["a"]}'):
        (tmp_path / "map.collection.json").write_text(damaged)
        assert "the STAC document beside it cannot be read" in check_embeddings(to)[0]


def test_an_input_without_a_valid_pixel_is_said(tmp_path):
    write(tmp_path / "scene.tif", np.zeros((2, 70, 40), np.uint16))
    with pytest.raises(SwathError, match="no pixel of the input is valid"):
        map_scene(dense(), CLASSES, Input(tmp_path / "scene.tif"), tmp_path / "m.tif", about=ABOUT, how=SMALL)


def test_units_that_are_not_the_networks_are_refused_before_anything_is_written(tmp_path, scene):
    def refuse(images):
        raise ContractError("these are counts")

    with pytest.raises(ContractError, match="these are counts"):
        map_scene(dense(check=refuse), CLASSES, Input(scene[0]), tmp_path / "m.tif", about=ABOUT, how=SMALL)
    assert not list((tmp_path / ".m.tif.windows").glob("*.core"))


def test_a_full_disk_leaves_the_finished_windows(tmp_path, scene, monkeypatch):
    path, to = scene[0], tmp_path / "m.tif"
    real, calls = np.save, []

    def full(file, array, **more):
        calls.append(1)
        if len(calls) > 3:
            raise OSError(28, "No space left on device")
        real(file, array, **more)

    monkeypatch.setattr(working.np, "save", full)
    with pytest.raises(OSError, match="No space left on device"):
        map_scene(dense(), CLASSES, Input(path), to, about=ABOUT, how=SMALL)
    monkeypatch.undo()
    network = Stopping(100)
    map_scene(dense(network), CLASSES, Input(path), to, about=ABOUT, how=SMALL)
    assert 0 < network.calls < 9
    rooms = scene_maps._files.rasterio.shutil

    def no_room(*_, **__):
        raise RasterioIOError("Write failed. See previous exception for details.")

    monkeypatch.setattr(rooms, "copy", no_room)
    with pytest.raises(SwathError, match=r"the raster cannot be written, its disk has \S+ GB left: Write failed"):
        map_scene(dense(), CLASSES, Input(path), tmp_path / "k.tif", about=ABOUT, how=SMALL)
    monkeypatch.undo()
    assert map_scene(dense(Stopping(0)), CLASSES, Input(path), tmp_path / "k.tif", about=ABOUT, how=SMALL)
    monkeypatch.setattr(scene_maps._files.shutil, "disk_usage", lambda path: type("U", (), {"free": 10})())
    with pytest.raises(SwathError, match="the disk is full: writing the map takes"):
        map_scene(dense(), CLASSES, Input(path), tmp_path / "n.tif", about=ABOUT, how=SMALL)


@pytest.mark.parametrize(("chip", "cell"), [(5, 2), (4, 4), (1, 1), (6, 3), (3, 4)])
def test_a_classifier_of_chips_says_of_each_cell_what_it_says_of_the_chip_around_it(tmp_path, chip, cell):
    counts = np.random.default_rng(2).integers(1, 9000, (2, 13, 14), dtype=np.uint16)
    write(tmp_path / "scene.tif", counts)
    weight = torch.linspace(1, 2, chip * chip).reshape(chip, chip)

    def mean(images):
        return (next(iter(images.values())).pixels[:, 0] * weight).sum(dim=(2, 3))

    predictor = Chips(mean, nn.Identity(), KEYS, series=False, check=lambda images: None, chip=chip, cell=cell)
    how = How(window=6, device="cpu")
    map_scene(predictor, Numbers(("a", "b")), Input(tmp_path / "scene.tif"), tmp_path / "m.tif", about=ABOUT, how=how)
    with rasterio.open(tmp_path / "m.tif") as file:
        assert file.transform == CORNER @ Affine.scale(cell)
        said = file.read()
    pad = 20
    padded = np.pad(counts * 1e-4, ((0, 0), (pad, pad), (pad, pad)))
    first = pad - (chip - cell) // 2
    for row in range(said.shape[1]):
        for column in range(said.shape[2]):
            top, left = first + row * cell, first + column * cell
            around = padded[:, top : top + chip, left : left + chip]
            np.testing.assert_allclose(said[:, row, column], (around * weight.numpy()).sum(axis=(1, 2)), atol=1e-4)


def test_ways_that_have_no_effect_are_refused(tmp_path):
    write(tmp_path / "scene.tif", np.ones((2, 8, 8), np.uint16))
    predictor = Chips(whereabouts, nn.Identity(), KEYS, series=False, check=lambda images: None, chip=4, cell=4)
    how = How(window=4, overlap=1, device="cpu")
    with pytest.raises(SwathError, match="there is nothing to blend"):
        map_scene(predictor, Numbers(("a",)), Input(tmp_path / "scene.tif"), tmp_path / "m.tif", about=ABOUT, how=how)
    with pytest.raises(SwathError, match="compute, and no processes of this machine"):
        How(jobs=2, scheduler="tcp://127.0.0.1:1")


def whereabouts(images):
    return images["location"].pixels[:, 0, :, 0, 0]


@pytest.mark.parametrize(("chip", "cell"), [(5, 2), (4, 4), (1, 1)])
def test_a_classifier_of_chips_is_told_where_each_chip_lies(tmp_path, chip, cell):
    write(tmp_path / "scene.tif", np.ones((2, 13, 14), np.uint16))
    keys = (*KEYS, "location/lon", "location/lat")
    predictor = Chips(whereabouts, nn.Identity(), keys, series=False, check=one_point, chip=chip, cell=cell)
    how = How(window=3, device="cpu")
    map_scene(predictor, Numbers(("lon", "lat")), Input(tmp_path / "scene.tif"), tmp_path / "m.tif", about={}, how=how)
    with rasterio.open(tmp_path / "m.tif") as file:
        said = file.read()
    middle = chip / 2 - (chip - cell) // 2
    column, row = (middle + cell * np.arange(n) for n in said.shape[:0:-1])
    x, y = np.meshgrid(500_000 + 10 * column, 5_000_000 - 10 * row)
    np.testing.assert_allclose(said, Transformer.from_crs(32631, 4326, always_xy=True).transform(x, y), atol=5e-6)


def one_point(images):
    assert images["location"].pixels.shape == (1, 1, 2, 1, 1)


class Located(nn.Module):
    def forward(self, images):
        pixels = images["location"].pixels[:, 0]
        return (pixels[:, :, :1, :1] * torch.tensor([0.5, -0.05])[:, None, None]).expand(-1, -1, 8, 8)


def test_a_network_of_pixels_is_told_where_the_middle_of_its_window_lies(tmp_path):
    write(tmp_path / "scene.tif", np.ones((2, 13, 14), np.uint16))
    keys = (*KEYS, "location/lon", "location/lat")
    predictor = Dense(Located(), keys, series=False, check=one_point, window=8, overlap=0, fixed=True)
    map_scene(predictor, Presences(("a", "b")), Input(tmp_path / "scene.tif"), tmp_path / "m.tif", about={})
    x, y = np.meshgrid([500_040, 500_120], [4_999_960, 4_999_880])
    lon, lat = Transformer.from_crs(32631, 4326, always_xy=True).transform(x, y)
    first = 1 / (1 + np.exp(-0.05 * lat - 0.5 * lon))
    wanted = np.stack([first, 1 - first]).repeat(8, axis=1).repeat(8, axis=2)[:, :13, :14]
    with rasterio.open(tmp_path / "m.tif") as file:
        np.testing.assert_allclose(file.read() / 250, wanted, atol=0.5 / 250 + 1e-5)


def test_probabilities_of_several_classes_are_kept_as_they_are():
    product = Presences(("a", "b"))
    values = np.array([[[0.0, 0.9, 1.0]], [[0.4, 0.9, 0.0]]], np.float32)
    stored = product.encode(values, np.array([[True, True, False]]))
    assert stored.tolist() == [[[0, 225, 255]], [[100, 225, 255]]]
    assert (product.empty(1, 2) == 255).all()


def test_a_map_of_codes_beyond_a_byte_counts_its_classes():
    product = Classes((11, 3000), ("a", "b"), ("#000000", "#ffffff"))
    stored = product.encode(np.array([[[0.2]], [[0.8]]], np.float32), np.ones((1, 1), bool))
    assert (product.shown, stored[:, 0, 0].tolist()) == ((0, 1), [1, 50, 200])
    with pytest.raises(RecipeError, match="at most 254 classes, there are 300"):
        Classes(tuple(range(300)), ("",) * 300, ("#000000",) * 300)
