"""Windows of rasters have the pixels of the files, in physical units, wherever they lie; mosaics, series, zones."""

import datetime as dt

import numpy as np
import pytest
import rasterio
import torch
import xarray
from affine import Affine
from pyproj import Transformer

from swath.batch import NO_DAY
from swath.errors import CorpusError
from swath.products.windows import Input, Span, open_zones, tiles
from swath.sensors import band_id, get

RED, NIR = "sentinel-2-l2a/B04", "sentinel-2-l2a/B08"
SCALE, OFFSET = 1e-4, -0.1
SOURCE = {
    "images": [
        {
            "files": "*.tif",
            "id": r"(?P<id>\w+?)(_(?P<date>\d{8}))?\.tif$",
            "sensor": "sentinel-2-l2a",
            "bands": {"B04": 1, "B08": 2},
            "scaling": {"scale": SCALE, "offset": OFFSET},
        }
    ]
}


def write(path, counts, *, at=(0, 0), epsg=32631, names=("B04", "B08"), px=10.0, **profile):
    """A GeoTIFF of counts whose first pixel lies `at` (row, column) of a common lattice."""
    c, h, w = counts.shape
    transform = Affine(px, 0, 500_000 + px * at[1], 0, -px, 5_000_000 - px * at[0])
    place = {} if epsg is None else {"crs": f"EPSG:{epsg}", "transform": transform}
    grid = {"driver": "GTiff", "count": c, "height": h, "width": w, "dtype": counts.dtype}
    with rasterio.open(path, "w", **grid, **place, **profile) as file:
        file.write(counts)
        if names:
            file.descriptions = names


def counts(seed, shape=(2, 30, 40), low=1):
    return np.random.default_rng(seed).integers(low, 9000, shape, dtype=np.uint16)


def read(zone, *span):
    image = zone.read(Span(*span))["sentinel-2-l2a"]
    return image.pixels.numpy()[0], image.valid.numpy()[0]


def test_a_window_has_the_files_pixels_in_physical_units(tmp_path):
    stored = counts(0)
    stored[:, 5:9, 11:14] = 0  # Sentinel-2's nodata
    write(tmp_path / "scene.tif", stored)
    (zone,) = open_zones(Input(tmp_path / "scene.tif", SOURCE), [NIR, RED])
    assert (zone.crs, zone.shape, zone.days) == ("EPSG:32631", (30, 40), {"sentinel-2-l2a": (NO_DAY,)})
    assert zone.dates == ()
    values, valid = read(zone, 3, 7, 20, 15)
    missing = (stored[:, 3:23, 7:22] == 0).any(axis=0)
    expected = np.where(missing, 0, stored[::-1, 3:23, 7:22].astype(np.float64) * SCALE + OFFSET)
    np.testing.assert_array_equal(valid[0], ~missing)
    np.testing.assert_allclose(values[0], expected, atol=1e-6)


def test_a_file_alone_is_read_by_its_channels_names_and_by_the_sensors_own_scaling(tmp_path):
    stored = counts(1)
    write(tmp_path / "scene.tif", stored, names=("B08", "B04"))
    (zone,) = open_zones(Input(tmp_path / "scene.tif"), [RED, NIR])
    values, _ = read(zone, 0, 0, 30, 40)
    np.testing.assert_allclose(values[0], stored[::-1] * 1e-4, atol=1e-6)


def test_a_band_a_file_with_coarser_bands_a_cloud_layer_and_other_files(tmp_path):
    """As Sentinel-2's own: SCL's class 9 is cloud, and both it and B04 have pixels twice as wide."""
    folder = tmp_path / "scene"
    folder.mkdir()
    nir, red = counts(2, (1, 32, 40)), counts(3, (1, 16, 20))
    scl = np.full((1, 16, 20), 4, np.uint8)
    scl[0, 5, 6] = 9
    write(folder / "T31_B08_10m.tif", nir, names=None)
    write(folder / "T31_B04_20m.tif", red, names=None, px=20.0)
    write(folder / "T31_SCL_20m.tif", scl, names=None, px=20.0)
    write(folder / "T31_AOT_20m.tif", red, names=None, px=20.0)
    (zone,) = open_zones(Input(folder), [RED, NIR])
    assert zone.masks_clouds
    values, valid = read(zone, 9, 11, 5, 7)
    cloudy = np.kron(scl[0] == 9, np.ones((2, 2), bool))[9:14, 11:18]
    assert cloudy.sum() == 4
    np.testing.assert_array_equal(valid[0], ~cloudy)
    full = np.stack([np.kron(red[0], np.ones((2, 2), np.uint16)), nir[0]])[:, 9:14, 11:18]
    np.testing.assert_allclose(values[0], np.where(cloudy, 0, full * 1e-4), atol=1e-6)


def test_a_file_stored_from_south_to_north_is_read_upright(tmp_path):
    stored = counts(4)
    write(tmp_path / "north.tif", stored)
    with rasterio.open(tmp_path / "north.tif") as file:
        profile, t = file.profile, file.transform
    profile["transform"] = Affine(t.a, 0, t.c, 0, -t.e, t.f + 30 * t.e)
    with rasterio.open(tmp_path / "south.tif", "w", **profile) as file:
        file.write(stored[:, ::-1])
        file.descriptions = ("B04", "B08")
    north, south = (open_zones(Input(tmp_path / f"{name}.tif"), [RED, NIR])[0] for name in ("north", "south"))
    assert south.transform == north.transform
    np.testing.assert_array_equal(read(south, 3, 7, 20, 15)[0], read(north, 3, 7, 20, 15)[0])


def test_in_a_mosaic_the_earliest_valid_pixel_counts(tmp_path):
    first, second = counts(5), counts(6)
    first[:, :, 35:] = 0
    write(tmp_path / "a_20200703.tif", first)
    write(tmp_path / "b_20200601.tif", second, at=(10, 30))
    (zone,) = open_zones(Input(tmp_path, SOURCE), [RED, NIR])
    assert zone.shape == (40, 70)
    assert zone.dates == (dt.date(2020, 6, 1), dt.date(2020, 7, 3))
    whole, there = np.zeros((2, 40, 70)), np.zeros((40, 70), bool)
    whole[:, :30, :35], there[:30, :35] = first[:, :, :35] * SCALE + OFFSET, True
    whole[:, 10:, 30:], there[10:, 30:] = second * SCALE + OFFSET, True
    values, valid = read(zone, 0, 0, 40, 70)
    np.testing.assert_array_equal(valid[0], there)
    np.testing.assert_allclose(values[0], whole, atol=1e-6)
    part, _ = read(zone, 12, 28, 9, 10)
    np.testing.assert_array_equal(part, values[:, :, 12:21, 28:38])


def test_power_without_decibels_and_what_is_no_number_are_filled_by_the_next_raster(tmp_path):
    """Sentinel-1 as linear power: nothing, less than nothing and NaN have no value in decibels."""
    first, second = (np.random.default_rng(k).uniform(0.01, 1, (2, 20, 20)).astype(np.float32) for k in (0, 1))
    first[0, 2:5, 3:9] = 0
    first[1, 7, 1] = -1e-3
    first[0, 9, 9] = np.nan
    second[1, 0, 4] = 0
    for name, power, at in (("a_20200601", first, (0, 0)), ("b_20200703", second, (3, 0))):
        write(tmp_path / f"{name}.tif", power, at=at, names=("VV", "VH"))
    images = {"files": "*.tif", "id": SOURCE["images"][0]["id"], "sensor": "sentinel-1-rtc"}
    given = Input(tmp_path, {"images": [images | {"bands": {"VV": 1, "VH": 2}}]})
    (zone,) = open_zones(given, ["sentinel-1-rtc/VV", "sentinel-1-rtc/VH"])
    with np.errstate(all="ignore"):
        first, second = (10 * np.log10(power.astype(np.float64)) for power in (first, second))
    expected = np.full((2, 23, 20), np.nan)
    for power, top in ((first, 0), (second, 3)):
        here = expected[:, top : top + 20]
        np.copyto(here, power, where=np.isnan(here).any(axis=0) & np.isfinite(power).all(axis=0))
    there = np.isfinite(expected).all(axis=0)
    assert (~there).sum() == 6 + 1
    image = zone.read(Span(0, 0, 23, 20))["sentinel-1-rtc"]
    np.testing.assert_array_equal(image.valid[0, 0], there)
    np.testing.assert_allclose(image.pixels[0, 0], np.where(there, expected, 0), atol=1e-4)
    counts = zone.counts(Span(0, 0, 23, 20))["sentinel-1-rtc"]
    assert counts.stored.dtype == torch.float32
    np.testing.assert_array_equal(counts.validity()[0, 0], there)


def test_a_series_has_a_frame_a_day_in_time(tmp_path):
    days = ["20200703", "20200601", "20200801"]
    stored = {day: counts(7 + k) for k, day in enumerate(days)}
    for day, pixels in stored.items():
        write(tmp_path / f"x_{day}.tif", pixels)
    (zone,) = open_zones(Input(tmp_path, SOURCE), [RED, NIR], series=True)
    epoch = dt.date(1970, 1, 1)
    assert zone.days["sentinel-2-l2a"] == tuple(
        (dt.datetime.strptime(day, "%Y%m%d").date() - epoch).days for day in sorted(days)
    )
    values, _ = read(zone, 4, 5, 6, 7)
    expected = np.stack([stored[day][:, 4:10, 5:12] for day in sorted(days)]) * SCALE + OFFSET
    np.testing.assert_allclose(values, expected, atol=1e-6)
    (one,) = open_zones(Input(tmp_path, SOURCE, date=dt.date(2020, 7, 3)), [RED, NIR])
    np.testing.assert_allclose(read(one, 4, 5, 6, 7)[0][0], expected[1], atol=1e-6)
    with pytest.raises(CorpusError, match=r"x_20200601\.tif and \S*x_20200703\.tif show the same ground"):
        open_zones(Input(tmp_path, SOURCE), [RED, NIR])
    with pytest.raises(CorpusError, match="nothing is of 2021-01-01"):
        open_zones(Input(tmp_path, SOURCE, date=dt.date(2021, 1, 1)), [RED, NIR])


def test_scenes_of_two_utm_zones_are_two_zones(tmp_path):
    write(tmp_path / "a.tif", counts(1))
    write(tmp_path / "b.tif", counts(2), epsg=32632)
    assert [zone.crs for zone in open_zones(Input(tmp_path), [RED, NIR])] == ["EPSG:32631", "EPSG:32632"]


@pytest.mark.parametrize(("epsg", "west"), [(32631, 500_000), (32660, 832_000), (4326, 179.9)])
def test_the_points_of_a_grid_are_told_where_they_lie(tmp_path, epsg, west):
    grid = Affine(10, 0, west, 0, -10, 1_000_000) if epsg != 4326 else Affine(0.1, 0, west, 0, -0.1, 9)
    with rasterio.open(
        tmp_path / "a.tif", "w", driver="GTiff", count=2, height=30, width=40, dtype="uint16", crs=epsg, transform=grid
    ) as file:
        file.write(counts(0))
    (zone,) = open_zones(Input(tmp_path / "a.tif"), [RED, NIR, "location/lat"])
    rows, columns = np.array([2.5, 12.0]), np.array([0.5, 17.0, 39.5])
    image = zone.location(("lat", "lon"), rows, columns)
    assert (image.pixels.shape, image.common_ids) == (
        (1, 1, 2, 2, 3),
        tuple(map(band_id, ("location/lat", "location/lon"))),
    )
    xs, ys = np.meshgrid(grid.c + grid.a * columns, grid.f + grid.e * rows)
    lat, lon = Transformer.from_crs(epsg, 4326).transform(*((ys, xs) if epsg == 4326 else (xs, ys)))
    np.testing.assert_allclose(image.pixels[0, 0, 0], lat, atol=1e-5)
    told = image.pixels[0, 0, 1].numpy()
    np.testing.assert_allclose((told - lon + 180) % 360 - 180, 0, atol=2e-5)
    assert np.abs(told).max() <= 180
    assert image.valid.all()
    if epsg != 4326:
        nowhere = zone.location(("lon",), rows, np.array([1e8]))
        assert nowhere.pixels.isfinite().all()
        assert not nowhere.valid.any()


@pytest.mark.parametrize("kind", ["nc", "zarr"])
def test_a_cube_has_the_pixels_of_its_variables(tmp_path, kind):
    stored = counts(9, (3, 20, 30), low=0).view(np.int16)
    layer = np.full((3, 20, 30), 4, np.uint8)
    layer[1, 4, 5] = 9
    x, y = 500_005 + 10 * np.arange(30), 4_999_995 - 10 * np.arange(20)[::-1]  # from south to north
    times = np.array(["2020-06-01", "2020-07-01", "2020-08-01"], "datetime64[ns]")
    cube = xarray.Dataset(
        {"red": (("t", "y", "x"), stored), "SCL": (("t", "y", "x"), layer)},
        {"t": times, "y": y, "x": x, "spatial_ref": ((), 0, {"crs_wkt": rasterio.crs.CRS.from_epsg(32631).to_wkt()})},
    )
    source = {"cube": {"bands": {RED: "red"}, "nodata": 0}}
    path = tmp_path / f"cube.{kind}"
    if kind == "nc":
        cube.to_netcdf(path, engine="h5netcdf")
    else:
        cube.chunk({"t": 1, "y": 8, "x": 8}).to_zarr(path, consolidated=False)
    (zone,) = open_zones(Input(path, source), [RED], series=True)
    assert (zone.crs, zone.shape, zone.masks_clouds) == ("EPSG:32631", (20, 30), True)
    assert (zone.transform.c, zone.transform.f) == (500_000, 5_000_000)
    values, valid = read(zone, 12, 3, 6, 7)
    meant = stored.view(np.uint16)[:, ::-1][:, 12:18, 3:10]
    there = (meant != 0) & (layer[:, ::-1][:, 12:18, 3:10] != 9)
    assert (~there).sum() >= 1
    np.testing.assert_array_equal(valid, there)
    np.testing.assert_allclose(values[:, 0], np.where(there, meant * 1e-4, 0), atol=1e-6)


@pytest.mark.parametrize(
    "tags",
    [
        {"missing_value": np.uint16(9)},
        {"missing_value": np.array([9, 65535], np.uint16)},
        {"_FillValue": np.uint16(65535), "missing_value": np.uint16(9)},
    ],
)
def test_missing_pixels_of_a_cube_have_either_name_of_the_conventions(tmp_path, tags):
    stored = counts(9, (20, 30), low=10)
    stored[3, 4:9] = 9
    stored[5, 0] = 0  # Sentinel-2's own nodata, which the file's replaces
    if len(tags) > 1 or np.size(tags["missing_value"]) > 1:
        stored[7, 7] = 65535
    there = ~np.isin(stored, [9, 65535])
    x, y = 500_005 + 10 * np.arange(30), 4_999_995 - 10 * np.arange(20)
    cube = xarray.Dataset({"B04": (("y", "x"), stored, tags)}, {"y": y, "x": x})
    cube.to_netcdf(tmp_path / "cube.nc", engine="h5netcdf")
    (zone,) = open_zones(Input(tmp_path / "cube.nc", {"cube": {"crs": "EPSG:32631"}}), [RED])
    values, valid = read(zone, 0, 0, 20, 30)
    np.testing.assert_array_equal(valid[0], there)
    np.testing.assert_allclose(values[0, 0], np.where(there, stored * 1e-4, 0), atol=1e-6)


def test_a_mark_of_missing_pixels_that_is_no_number_is_refused(tmp_path):
    cube = xarray.Dataset(
        {"B04": (("y", "x"), counts(9, (2, 3)), {"missing_value": "none"})}, {"y": [5, 4], "x": [1, 2, 3]}
    )
    cube.to_netcdf(tmp_path / "cube.nc", engine="h5netcdf")
    given = {"cube": {"crs": "EPSG:32631"}}
    with pytest.raises(CorpusError, match="B04 marks missing pixels by none, which is no number"):
        open_zones(Input(tmp_path / "cube.nc", given), [RED])
    given["cube"]["nodata"] = 0
    open_zones(Input(tmp_path / "cube.nc", given), [RED])


@pytest.mark.parametrize(("engine", "layout"), [("h5netcdf", "NETCDF4"), ("scipy", "NETCDF3_64BIT")])
@pytest.mark.parametrize(("own", "said"), [(-1, None), (None, -1), (None, 65535), (7, None)])
def test_the_missing_count_of_signed_numbers_that_mean_unsigned_ones_is_found(tmp_path, engine, layout, own, said):
    """NetCDF-3 knows no unsigned 16-bit numbers; the `_FillValue` of 65535 is then -1."""
    stored = counts(9, (20, 30), low=1)
    stored[3, 4:9] = 65535 if own is None else np.int16(own).view(np.uint16)
    there = np.ones((20, 30), bool)
    there[3, 4:9] = False
    x, y = 500_005 + 10 * np.arange(30), 4_999_995 - 10 * np.arange(20)
    cube = xarray.Dataset({"B04": (("y", "x"), stored.view(np.int16))}, {"y": y, "x": x})
    cube["B04"].attrs = {} if own is None else {"_FillValue": np.int16(own)}
    cube.to_netcdf(tmp_path / "cube.nc", engine=engine, format=layout)
    source = {"crs": "EPSG:32631"} | ({} if said is None else {"nodata": said})
    (zone,) = open_zones(Input(tmp_path / "cube.nc", {"cube": source}), [RED])
    values, valid = read(zone, 0, 0, 20, 30)
    np.testing.assert_array_equal(valid[0], there)
    np.testing.assert_allclose(values[0, 0], np.where(there, stored * 1e-4, 0), atol=1e-6)


def test_a_description_of_something_else_is_refused(tmp_path):
    write(tmp_path / "scene.tif", counts(0))
    (tmp_path / "cube.nc").touch()
    with pytest.raises(CorpusError, match="cube is described, and this is rasters"):
        open_zones(Input(tmp_path / "scene.tif", {"cube": {"nodata": 0}}), [RED, NIR])
    with pytest.raises(CorpusError, match="images is described, and this is a cube"):
        open_zones(Input(tmp_path / "cube.nc", {"images": [{"sensor": "sentinel-2-l2a"}]}), [RED])


@pytest.mark.parametrize(
    ("made", "said"),
    [
        ({"epsg": None}, "says no reference system"),
        ({"names": ("swir", "blue")}, "2 channel.s., swir, blue; wanted are 2 of sentinel-2-l2a: B04, B08"),
        ({"names": ("B08", None)}, "2 channel.s., B08; wanted are 2 of sentinel-2-l2a: B04, B08"),
        ({"shape": (3, 30, 40), "names": None}, "3 channel.s. without names; wanted are 2 of sentinel-2-l2a"),
    ],
)
@pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")
def test_a_raster_that_cannot_be_what_is_wanted_is_refused_by_both_names(tmp_path, made, said):
    write(tmp_path / "scene.tif", counts(0, made.pop("shape", (2, 30, 40))), **made)
    with pytest.raises(CorpusError, match=said):
        open_zones(Input(tmp_path / "scene.tif"), [RED, NIR])


@pytest.mark.parametrize("kept", [0, 3000])
def test_a_file_that_is_cut_off_is_refused_by_its_name(tmp_path, kept):
    write(tmp_path / "scene.tif", counts(0))
    (tmp_path / "scene.tif").write_bytes((tmp_path / "scene.tif").read_bytes()[:kept])
    with pytest.raises(CorpusError, match="it cannot be read") as error:
        open_zones(Input(tmp_path / "scene.tif"), [RED, NIR])
    assert str(tmp_path / "scene.tif") in str(error.value)


def test_counts_of_another_type_and_scaling_are_refused(tmp_path):
    write(tmp_path / "scene.tif", counts(0).astype(np.float32))
    with pytest.raises(CorpusError, match="holds float32, band B04 of sentinel-2-l2a is declared as uint16"):
        open_zones(Input(tmp_path / "scene.tif"), [RED, NIR])


def test_rasters_on_other_lattices_are_refused(tmp_path):
    write(tmp_path / "a.tif", counts(1))
    write(tmp_path / "b.tif", counts(2), at=(0, 40.5))
    with pytest.raises(CorpusError, match=r"a\.tif and \S+b\.tif do not lie on one lattice: 0\.50 pixels apart"):
        open_zones(Input(tmp_path), [RED, NIR])


def test_tiles_cover_a_raster_once():
    seen = np.zeros((50, 70), int)
    for number, tile in enumerate(tiles((50, 70), 32)):
        assert tile.number == number
        core = tile.core
        seen[core.row : core.row + core.height, core.column : core.column + core.width] += 1
    assert (seen == 1).all()
    assert Span(32, 64, 18, 6).inside(Span(16, 48, 34, 22)) == (slice(16, 34), slice(16, 22))


def test_a_real_scene_of_a_band_a_file(shared_data):
    """Landsat 8 over Zion, level-1 counts, described as its recipe describes it."""
    folder = shared_data / "landsat_zion_nlcd"
    entry = {"files": "landsat_b?.tif", "id": r"(?P<id>landsat)_b(?P<band>\d)\.tif$", "sensor": "landsat-oli-toa"}
    entry |= {"bands": {"B4": "4", "B5": "5"}, "dtype": "uint16", "nodata": None}
    entry |= {"scaling": {"scale": 0.00002338, "offset": -0.1169}}
    (zone,) = open_zones(Input(folder, {"images": [entry]}), ["landsat-oli-toa/B5", "landsat-oli-toa/B4"])
    image = zone.read(Span(100, 200, 64, 32))["landsat-oli-toa"]
    with rasterio.open(folder / "landsat_b5.tif") as file:
        assert (zone.crs, zone.transform, zone.shape) == (file.crs.to_string(), file.transform, file.shape)
        raw = file.read(1, window=((100, 164), (200, 232)))
    np.testing.assert_allclose(image.pixels[0, 0, 0], raw * 0.00002338 - 0.1169, atol=1e-6)
    assert image.valid.all()


def test_real_scenes_of_landsat_by_their_own_names_with_their_clouds(shared_data):
    """Bands and QA_PIXEL are found by USGS' names; no settings are given."""
    folder = shared_data / "landsat_c2l2_scenes" / "assets3"
    (zone,) = open_zones(Input(folder), ["landsat-oli-sr/SR_B4"])
    assert zone.masks_clouds
    image = zone.read(Span(0, 0, *zone.shape))["landsat-oli-sr"]
    with (
        rasterio.open(next(folder.glob("*SR_B4.TIF"))) as band,
        rasterio.open(next(folder.glob("*QA_PIXEL.TIF"))) as quality,
    ):
        counts, bits = band.read(1), quality.read(1)
    usable = (counts != 0) & (bits & sum(1 << bit for bit in get("landsat-oli-sr").cloud.bits) == 0)
    np.testing.assert_array_equal(image.valid[0, 0].numpy(), usable)
    expected = np.where(usable, counts * 0.0000275 - 0.2, 0)
    np.testing.assert_allclose(image.pixels[0, 0, 0], expected, atol=1e-6)
