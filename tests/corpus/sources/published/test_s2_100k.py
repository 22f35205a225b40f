"""S2-100K: images are where its table says, and a table that says something else is refused."""

import numpy as np
import pandas as pd
import pytest
import rasterio
from pyproj import Geod

from swath.errors import CorpusError
from tests.corpus.sources.image_layouts import read
from tests.corpus.sources.published.formats import s2_100k as files
from tests.corpus.sources.reading import log, made, stored


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    folder = tmp_path_factory.mktemp("s2")
    files.write(folder)
    return folder


@pytest.fixture
def table(root):
    """The table as a frame, which is put back."""
    content = (root / "index.csv").read_bytes()
    yield pd.read_csv(root / "index.csv")
    (root / "index.csv").write_bytes(content)


def test_pixels_and_places_are_those_of_files_and_table(root, tmp_path):
    (root / "images" / "notes.txt").write_text("no image")
    corpus = made("s2-100k", root, tmp_path / "c")
    (root / "images" / "notes.txt").unlink()
    assert corpus.info.sensors["sentinel-2-l2a"].bands[7:10] == ("B08", "B8A", "B09")
    for (uid, date), pixels in stored(corpus, "sentinel-2-l2a").items():
        assert date is None
        np.testing.assert_array_equal(pixels, read(root / "images" / f"{uid}.tif"))
        row, (lon, lat, _) = corpus.locations.set_index("uid").loc[uid], files.PLACES[f"{uid}.tif"]
        assert Geod(ellps="WGS84").inv(row["lon"], row["lat"], lon, lat)[2] < 10
    assert len(corpus) == 3
    assert [entry["id"] for entry in log(corpus) if entry["event"] == "extra file"] == ["notes.txt"]


def test_coordinates_that_are_not_the_images_are_refused(root, table, tmp_path):
    table.assign(lat=table["lon"] / 3, lon=table["lat"]).to_csv(root / "index.csv", index=False)
    with pytest.raises(
        CorpusError, match=r"patch_75123.tif lies at latitude -54.1808, longitude -68.2091, [\d,]+ m from"
    ):
        made("s2-100k", root, tmp_path / "c")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"fn": ["../a.tif", "b.tif", "c.tif"]}, "'../a.tif' is no name of a file.*line 2"),
        ({"fn": ["b.tif", None, "c.tif"]}, "nan is no name of a file.*line 3"),
        ({"fn": ["b.tif"] * 3}, "b.tif stands in the table twice"),
        ({"lat": [1.0, 2.0, 91.5]}, "latitude 91.5 and longitude -179.95 are no place.*line 4"),
        ({"lat": ["1", "x", "2"]}, "latitude 1 and longitude"),
        ({"lon": [None] * 3}, "longitude nan are no place"),
    ],
)
def test_what_is_wrong_in_the_table_is_said_with_its_line(root, table, tmp_path, change, said):
    table.assign(**change).to_csv(root / "index.csv", index=False)
    with pytest.raises(CorpusError, match=f"(?s){said}"):
        made("s2-100k", root, tmp_path / "c")


def test_without_a_column_or_the_table_it_is_not_this_format(root, table, tmp_path):
    table.rename(columns={"fn": "file"}).to_csv(root / "index.csv", index=False)
    with pytest.raises(CorpusError, match="the table has no column 'fn'"):
        made("s2-100k", root, tmp_path / "c")
    (root / "index.csv").unlink()
    with pytest.raises(CorpusError, match=r"no index\.csv"):
        made("s2-100k", root, tmp_path / "c")


def test_an_image_without_a_georeference_is_refused(root, tmp_path):
    path = root / "images" / "patch_9.tif"
    content = path.read_bytes()
    with rasterio.open(path) as there:
        pixels = there.read()
    files.tif(path, pixels, crs=None)
    try:
        with pytest.raises(CorpusError, match=r"patch_9\.tif does not say where it lies"):
            made("s2-100k", root, tmp_path / "c")
    finally:
        path.write_bytes(content)
