"""Monthly cubes: unsigned counts in signed integers, two ways of naming, areas that share ground."""

from functools import cache

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from swath.corpus import Corpus, check
from swath.corpus.sources import build
from swath.corpus.sources.published.worldcereal_cubes import BANDS, Config
from swath.errors import CorpusError
from tests.corpus.sources.published.formats import worldcereal_cubes as files
from tests.corpus.sources.reading import labels, stored, valid

OPTICAL, RADAR = "sentinel-2-l2a", "sentinel-1-grd"


def made(data, target, **settings) -> Corpus:
    build(Config(**({"chip_px": 5} | settings)), target, data)
    return Corpus.open(target)


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    root = tmp_path_factory.mktemp("cubes")
    files.write(root)
    return root, made(root, root / "corpus")


@cache
def read_whole(root, area: str) -> xr.Dataset:
    return xr.load_dataset(root / f"{area}.nc", mask_and_scale=False)


def raw(root, area: str, name: str) -> np.ndarray:
    return read_whole(root, area)[name].values.view("uint16")


@pytest.mark.parametrize(("area", "prefix"), [("north", ("", "")), ("south", ("S2-L2A-", "S1-SIGMA0-"))])
def test_every_pixel_equals_the_files(written, area, prefix):
    root, corpus = written
    optical, radar = stored(corpus, OPTICAL), stored(corpus, RADAR)
    for row in (0, 1):
        here = (slice(5 * row, 5 * row + 5), slice(5, 10))
        for k, date in ((0, "2020-12-01"), (2, "2021-02-01")):
            for position, band in enumerate(BANDS):
                wanted = raw(root, area, prefix[0] + band)[k][here]
                np.testing.assert_array_equal(optical[f"{area}_{row}_1", date][position], wanted)
            for position, band in enumerate(("VV", "VH")):
                counts = raw(root, area, prefix[1] + band)[k][here].astype(float)
                wanted = (20 * np.log10(counts) - 83).astype("float32")
                np.testing.assert_array_equal(radar[f"{area}_{row}_1", date][position], wanted)
    assert (f"{area}_0_0", "2021-01-01") not in optical  # a month without data
    assert not valid(corpus, OPTICAL)[f"{area}_0_0", "2021-02-01"][0, 0]


def test_areas_that_share_ground_share_a_group(written):
    _, corpus = written
    groups = corpus.locations.set_index("uid")["group"]
    assert groups["north_0_0"] == groups["upper_1_1"] == "north"
    assert groups["south_0_0"] == "south"
    assert corpus.locations.set_index("uid").loc["north_1_0", "transform"].tolist() == [10, 0, 664500, 0, -10, 5612590]


def test_the_cropland_map_is_a_layer_where_there_is_one(written):
    root, corpus = written
    codes = raw(root, "north", "worldcereal_cropland")[0].astype(int)
    wanted = np.where(codes == 65535, 255, codes)[:5, :5]
    np.testing.assert_array_equal(labels(corpus, "cropland")["north_0_0"], wanted)
    assert (labels(corpus, "cropland")["south_0_0"] == 255).all()
    assert [finding for finding in check(corpus) if finding.level == "error"] == []


def test_any_name_and_steps_of_ten_days(written, tmp_path):
    root, usual = written
    dekads = pd.DatetimeIndex(["2020-12-01", "2020-12-11", "2020-12-21"])
    (tmp_path / "in").mkdir()
    with xr.open_dataset(root / "north.nc", mask_and_scale=False) as data:
        data.load().assign_coords(t=dekads).to_netcdf(tmp_path / "in" / "dekads of my farm.nc", engine="h5netcdf")
    corpus = made(tmp_path / "in", tmp_path / "c")
    found, wanted = stored(corpus, OPTICAL), stored(usual, OPTICAL)
    assert sorted({date for _, date in found}) == ["2020-12-01", "2020-12-21"]  # the second step is without data
    np.testing.assert_array_equal(found["dekads of my farm_0_0", "2020-12-21"], wanted["north_0_0", "2021-02-01"])


def test_a_file_that_is_no_cube(tmp_path):
    files.write(tmp_path / "data")
    (tmp_path / "data" / "notes.nc").write_text("these are notes")
    with pytest.raises(CorpusError, match=r"notes\.nc cannot be read"):
        made(tmp_path / "data", tmp_path / "c")
    assert len(made(tmp_path / "data", tmp_path / "c", on_bad_file="skip").locations) == 12


def test_the_real_cubes(tmp_path, shared_data):
    root = shared_data / "worldcereal_cubes"
    if not root.is_dir():
        pytest.skip(f"no WorldCereal cubes in {shared_data}")
    corpus = made(root, tmp_path / "c", chip_px=100)
    assert sorted(corpus.locations["uid"]) == ["belgium_good_2020-12-01_2021-11-30", "worldcereal_preprocessed_inputs"]
    assert corpus.locations["group"].nunique() == 1
    found = stored(corpus, OPTICAL)["belgium_good_2020-12-01_2021-11-30", "2021-06-01"]
    np.testing.assert_array_equal(found[2], raw(root, "belgium_good_2020-12-01_2021-11-30", "B04")[6][:100, :100])
