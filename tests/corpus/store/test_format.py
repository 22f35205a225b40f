import json
import subprocess
import sys

import geopandas as gpd
import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
import xarray as xr
import zarr
from geopandas.testing import assert_geodataframe_equal
from pydantic import ValidationError
from pyproj import CRS, Transformer

from swath import sensors
from swath.corpus import BandStatistics, Chip, Corpus, CorpusWriter, LabelLayer, Location, Part, SensorLayout, footprint
from swath.corpus.store import index
from swath.errors import CorpusError
from tests.corpus.fakes import OPTICAL, PX, RADAR, location, make, part, writer


@pytest.fixture(scope="module")
def corpus(tmp_path_factory) -> Corpus:
    return make(tmp_path_factory.mktemp("format") / "corpus")


def test_zarr_opens_pixels_validity_and_labels_without_swath(corpus):
    pixels = zarr.open_group(corpus.path / "pixels" / f"{OPTICAL}.zarr", mode="r")["pixels"]
    assert pixels.shape == (36, 4, PX, PX)
    assert pixels.metadata.dimension_names == ("chip", "band", "y", "x")
    assert pixels.attrs["bands"] == ["B02", "B03", "B04", "B08"]
    assert pixels.chunks == (1, 4, PX, PX)
    assert "Crc32cCodec" in str(pixels.metadata.codecs[0].codecs[-1])
    _, chips, codes = location(5)
    row = corpus.chips.query("uid == 'l0005' and sensor == @OPTICAL").iloc[2]["row"]
    given = [chip for chip in chips if chip.sensor == OPTICAL][2]
    assert np.array_equal(pixels[int(row)], given.pixels)
    labels = zarr.open_group(corpus.path / "labels" / "cover.zarr", mode="r")["labels"]
    assert np.array_equal(labels[5], codes)
    valid = zarr.open_group(corpus.path / "valid" / f"{OPTICAL}.zarr", mode="r")["valid"]
    assert valid.shape == (36, PX, PX)
    assert not valid[:].all()


def test_xarray_opens_it_without_swath(corpus):
    with xr.open_zarr(corpus.path / "pixels" / f"{RADAR}.zarr", consolidated=False, chunks=None) as opened:
        assert opened["pixels"].dims == ("chip", "band", "y", "x")
        assert opened["pixels"].dtype == np.float32
        assert opened["pixels"].attrs["bands"] == ["VV", "VH"]


def test_geopandas_opens_the_locations_in_a_bare_process(corpus):
    code = """
import sys, geopandas
table = geopandas.read_parquet(sys.argv[1])
print(len(table), table.crs.to_epsg(), table.geometry.geom_type.unique()[0], "swath" in sys.modules)
"""
    command = [sys.executable, "-c", code, str(corpus.path / "locations.parquet")]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["12", "4326", "Polygon", "False"]
    assert len(pd.read_parquet(corpus.path / "chips.parquet")) == 72


def test_footprints_and_centres_follow_from_crs_and_transform(corpus):
    place, *_ = location(3)
    expected = gpd.GeoSeries([footprint(place.crs, place.transform, PX)], crs="EPSG:4326").to_crs(place.crs)
    assert expected[0].bounds == pytest.approx((500480, 5599840, 500640, 5600000), abs=1e-3)
    row = corpus.locations.iloc[3]
    assert row.geometry.equals_exact(footprint(place.crs, place.transform, PX), 1e-9)
    assert row.geometry.contains(gpd.points_from_xy([row["lon"]], [row["lat"]])[0])


def test_a_newer_format_is_refused(corpus, tmp_path):
    content = json.loads((corpus.path / "corpus.json").read_text())
    (tmp_path / "corpus.json").write_text(json.dumps({**content, "format": 5, "news": "unknown to us"}))
    with pytest.raises(CorpusError, match="format 5") as caught:
        Corpus.open(tmp_path)
    assert "newer swath" in caught.value.remedy


def test_no_corpus_and_a_damaged_one_say_so(corpus, tmp_path):
    with pytest.raises(CorpusError, match="no corpus here"):
        Corpus.open(tmp_path)
    (tmp_path / "corpus.json").write_text('{"format": 1')
    with pytest.raises(CorpusError, match="damaged"):
        Corpus.open(tmp_path)
    content = json.loads((corpus.path / "corpus.json").read_text())
    (tmp_path / "corpus.json").write_text(json.dumps({**content, "chip_px": "wide"}))
    with pytest.raises(CorpusError, match="chip_px"):
        Corpus.open(tmp_path)
    (tmp_path / "corpus.json").write_text(json.dumps(content))
    with pytest.raises(CorpusError, match="index cannot be read"):
        Corpus.open(tmp_path)


def test_locations_are_read_as_geopandas_reads_them_and_their_reference_system_once(corpus, tmp_path, monkeypatch):
    with writer(tmp_path / "parts") as w:
        w.append(part(range(2)))
        w.append(part(range(2, 5)))
    parts = [gpd.read_parquet(folder / "locations.parquet") for folder in index.parts(tmp_path / "parts")]
    wholes = [corpus.locations, Corpus.open(corpus.path).locations]
    expected = gpd.GeoDataFrame(pd.concat(parts, ignore_index=True))
    parsed = []
    monkeypatch.setattr(index, "CRS", lambda text: parsed.append(text) or CRS(text))
    index._crs.cache_clear()
    assert_geodataframe_equal(Corpus.open(tmp_path / "parts").locations, expected)
    for whole in wholes:
        assert_geodataframe_equal(whole, gpd.read_parquet(corpus.path / "locations.parquet"))
    assert len(parsed) == 1
    assert corpus.locations.crs == CRS(4326)


@pytest.mark.parametrize(
    ("geo", "said"),
    [
        (None, "locations.parquet does not say where on the ground"),
        ({"columns": {"geometry": {"encoding": "WKB"}}}, "locations.parquet does not say where on the ground"),
        ({"columns": {"geometry": {"encoding": "point", "crs": None}}}, "geometry as point, not as WKB"),
        ({"columns": {"geometry": {"encoding": "WKB", "crs": {"type": "nonsense"}}}}, "nvalid projection"),
    ],
)
def test_locations_of_nobody_knows_where_are_refused(tmp_path, geo, said):
    with writer(tmp_path) as w:
        w.append(part(range(2)))
    path = tmp_path / "index" / "part-000000" / "locations.parquet"
    metadata = {} if geo is None else {"geo": json.dumps(geo)}
    pq.write_table(pq.read_table(path).replace_schema_metadata(metadata), path)
    with pytest.raises(CorpusError, match=f"the index cannot be read: .*{said}"):
        Corpus.open(tmp_path)


def test_an_unknown_layer_suggests_the_nearest(corpus):
    with pytest.raises(CorpusError, match="cover") as caught:
        corpus.labels("covers", [0])
    assert "'cover'" in caught.value.remedy


def test_a_layout_from_a_sensor_has_its_scaling():
    layout = SensorLayout.of(sensors.get(OPTICAL), ["B8A", "B02"])
    assert layout.bands == ("B8A", "B02")
    assert layout.gsd_m == 10
    assert layout.scale == (1e-4, 1e-4)
    assert layout.nodata == 0
    with pytest.raises(CorpusError, match="pixel size"):
        SensorLayout.of(sensors.get("display-optical"), ["red"])


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"scale": (1.0,)}, "2 bands, 1 scales"),
        ({"bands": ("a", "a")}, "listed twice"),
        ({"dtype": "float64"}, "float64"),
        ({"dtype": "nothing"}, "nothing is no pixel type"),
        ({"bands": 5}, "bands"),
        ({"gsd_m": 0}, "greater than 0"),
        ({"band": ("a",)}, "Extra inputs"),
    ],
)
def test_an_impossible_layout_is_refused(change, says):
    with pytest.raises(ValidationError, match=says):
        SensorLayout(**{"bands": ("a", "b"), "gsd_m": 10, "dtype": "uint8", **change})


def test_label_codes_choose_their_type():
    assert LabelLayer(classes={1: "a"}, void=255).dtype == "uint8"
    assert LabelLayer(classes={1: "a"}, void=-1).dtype == "int32"
    assert LabelLayer(classes={1: "a"}, void=9).codes == (1, 9)


def test_statistics_survive_the_file(corpus):
    found = Corpus.open(corpus.path).statistics[OPTICAL]["B03"]
    assert isinstance(found, BandStatistics)
    assert found == corpus.statistics[OPTICAL]["B03"]


def across(crs: str, lon: float, lat: float, east: float = 0) -> tuple[float, ...]:
    """Transform of a chip whose centre lies so many metres east of a point."""
    x, y = Transformer.from_crs(4326, crs, always_xy=True).transform(lon, lat)
    return (10.0, 0.0, x - 5 * PX + east, 0.0, -10.0, y + 5 * PX)


def test_metres_taken_for_degrees_are_an_error():
    with pytest.raises(CorpusError, match="lies nowhere on Earth"):
        footprint("EPSG:4326", (10.0, 0.0, 5e5, 0.0, -10.0, 5.6e6), 8)


@pytest.mark.parametrize(("crs", "lat"), [("EPSG:32760", -17.0), ("EPSG:32601", 65.0), ("EPSG:3832", 52.0)])
def test_a_chip_on_the_antimeridian_lies_there(tmp_path, crs, lat):
    spots = [across(crs, 180, lat, east) for east in (-20, 0, 20, 500)]
    with CorpusWriter(tmp_path, {OPTICAL: SensorLayout.of(sensors.get(OPTICAL), ["B02", "B03"])}, PX) as writer:
        writer.append(
            Part(
                [Location(str(k), crs=crs, transform=spot) for k, spot in enumerate(spots)],
                [Chip(str(k), OPTICAL, np.ones((2, PX, PX), np.uint16)) for k in range(4)],
            )
        )
        found = writer.finish().locations
    to = Transformer.from_crs(crs, 4326, always_xy=True)
    for (_, row), spot in zip(found.iterrows(), spots, strict=True):
        lon, lat = to.transform(spot[2] + 5 * PX, spot[5] - 5 * PX)
        assert abs((row["lon"] - lon + 180) % 360 - 180) < 1e-6
        assert row["lat"] == pytest.approx(lat, abs=1e-6)
        west, _, east, _ = row.geometry.bounds
        assert -180 <= west <= east <= 180
        width = row.geometry.area / (row.geometry.bounds[3] - row.geometry.bounds[1])
        assert width == pytest.approx(10 * PX / 111_320 / np.cos(np.deg2rad(lat)), rel=0.5)
    assert [shape.geom_type for shape in found.geometry] == ["MultiPolygon"] * 3 + ["Polygon"]


def test_outlines_beyond_180_degrees_around_a_pole_and_of_the_globe():
    beyond = footprint("EPSG:4326", (0.1, 0.0, 200.0, 0.0, -0.1, 10.0), 10)
    assert beyond.bounds == pytest.approx((-160, 9, -159, 10))
    pole = footprint("EPSG:3031", (10.0, 0.0, -80.0, 0.0, -10.0, 80.0), 16)
    assert pole.bounds[:3] == (-180, -90, 180)
    assert pole.bounds[3] == pytest.approx(-90, abs=0.01)
    assert footprint("EPSG:4326", (45.0, 0.0, -180.0, 0.0, -22.5, 90.0), 8).bounds == (-180, -90, 180, 90)
    assert footprint("EPSG:4326", (45.0, 0.0, 0.0, 0.0, -22.5, 90.0), 8).area == pytest.approx(360 * 180)
