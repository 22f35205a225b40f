"""Image series of sites: every pixel against the file, read by xarray."""

from collections import Counter
from functools import cache

import h5py
import numpy as np
import pytest
import xarray as xr

from swath.corpus import Corpus, check
from swath.corpus.sources import build
from swath.corpus.sources._raster import BadFileError
from swath.corpus.sources.published import _netcdf
from swath.corpus.sources.published.worldcereal_patches import BANDS, FINE_BANDS, Config, coarser
from swath.errors import CorpusError
from tests.corpus.sources.published.formats import worldcereal_patches as files
from tests.corpus.sources.reading import labels, log, stored, valid

OPTICAL, RADAR = "sentinel-2-l2a", "sentinel-1-grd"
SITE = next(iter(files.SITES))


def made(data, target, **settings) -> Corpus:
    build(Config(**settings), target, data)
    return Corpus.open(target)


@cache
def read_whole(root, product: str, site: str) -> xr.Dataset:
    return xr.load_dataset(files.path(root, product, site), mask_and_scale=False)


def raw(root, product: str, site: str, band: str) -> xr.DataArray:
    return read_whole(root, product, site)[band]


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    root = tmp_path_factory.mktemp("patches")
    files.write(root)
    return root, made(root, root / "corpus")


def test_every_pixel_date_and_place_equals_the_files(written):
    root, corpus = written
    for site, (west, north) in files.SITES.items():
        for sensor, product, bands in (
            (OPTICAL, "S2_L2A_20m", BANDS),
            (RADAR, "S1_GRD-ASCENDING_20m", ("VV", "VH")),
        ):
            found = {date: counts for (uid, date), counts in stored(corpus, sensor).items() if uid == site}
            first = raw(root, product, site, bands[0])
            dates = [str(stamp)[:10] for stamp in first["timestamp"].values]
            for k, date in enumerate(dates):
                if sensor == OPTICAL and k == 2:
                    assert date not in found  # all cloud
                    continue
                for position, band in enumerate(bands):
                    np.testing.assert_array_equal(found[date][position], raw(root, product, site, band)[k])
        row = corpus.locations.set_index("uid").loc[site]
        assert row["crs"] == "EPSG:32631"
        np.testing.assert_array_equal(row["transform"], [20, 0, west, 0, -20, north])
        assert row["group"] == site


def test_clouds_and_nodata_are_invalid_and_counted(written):
    root, corpus = written
    scl = raw(root, "S2_L2A_20m", SITE, "SCL").values
    clear = scl[0] != 9
    clear[5, 5] = False  # nodata in B11
    good = valid(corpus, OPTICAL)[SITE, "2017-08-04"]
    np.testing.assert_array_equal(good, clear)
    chips = corpus.chips[(corpus.chips["uid"] == SITE) & (corpus.chips["sensor"] == OPTICAL)]
    assert chips["cloud"].tolist() == [(scl[k] == 9).mean() for k in (0, 1, 3)]
    assert not valid(corpus, RADAR)[SITE, "2017-08-15"][2, 3]
    assert corpus.info.sensors[RADAR].scale == (1e-4, 1e-4)


def test_clouds_need_not_be_masked(written, tmp_path):
    root, _ = written
    corpus = made(root, tmp_path / "c", mask_clouds=False)
    assert len(corpus.chips_of(OPTICAL)) == 8


def majority(four: list[int]) -> int:
    """The rule in words: the code of most that have one, if at least two, and not two against two."""
    counts = Counter(code for code in four if code)
    best = counts.most_common()
    if not best or best[0][1] < 2 or (len(best) > 1 and best[1][1] == best[0][1]):
        return 0
    return best[0][0]


def test_labels_are_the_majority_of_four(written):
    root, corpus = written
    codes = raw(root, "OUTPUT_POLY-110_10m", SITE, "CT").values
    wanted = [
        [majority(codes[2 * r : 2 * r + 2, 2 * c : 2 * c + 2].ravel().tolist()) for c in range(32)] for r in range(32)
    ]
    np.testing.assert_array_equal(labels(corpus, "CT")[SITE], wanted)
    assert corpus.label_layers["CT"].classes == {1110: "winter wheat", 1200: "maize", 9120: "permanent grass crops"}
    assert set(corpus.label_layers) == {"CT", "LC"}  # nothing is known of irrigation
    assert coarser(np.array([[0, 5], [0, 5]])).item() == 5


def test_the_ten_metre_bands_are_means_of_four(written, tmp_path):
    root, _ = written
    corpus = made(root, tmp_path / "c", fine_bands=True)
    assert corpus.info.sensors[OPTICAL].bands == (*FINE_BANDS, *BANDS)
    counts = raw(root, "S2_L2A_10m", SITE, "B08").values[0].astype(float)
    mean = np.floor(counts.reshape(32, 2, 32, 2).mean(axis=(1, 3)) + 0.5)
    np.testing.assert_array_equal(stored(corpus, OPTICAL)[SITE, "2017-08-04"][3], mean)
    assert not valid(corpus, OPTICAL)[SITE, "2017-08-15"][4, 4]  # one of four is nodata


def test_sites_can_be_cut(written, tmp_path):
    root, whole = written
    corpus = made(root, tmp_path / "c", chip_px=16)
    assert set(corpus.locations["uid"]) == {f"{site}_{r}_{c}" for site in files.SITES for r in (0, 1) for c in (0, 1)}
    assert corpus.locations["group"].nunique() == 2
    part = stored(corpus, RADAR)[f"{SITE}_1_0", "2017-08-04"]
    np.testing.assert_array_equal(part, stored(whole, RADAR)[SITE, "2017-08-04"][:, 16:, :16])
    west, north = files.SITES[SITE]
    assert corpus.locations.set_index("uid").loc[f"{SITE}_1_0", "transform"][2::3].tolist() == [west, north - 320]
    assert [finding for finding in check(corpus) if finding.level == "error"] == []


def _truncate(path):
    path.write_bytes(path.read_bytes()[:3000])


def _elsewhere(path):
    with xr.open_dataset(path, mask_and_scale=False) as data:
        changed = data.load()
    changed.assign_coords(x=changed["x"] + 20).to_netcdf(path, engine="h5netcdf")


@pytest.mark.parametrize(
    ("product", "spoil", "said"),
    [
        ("OUTPUT_POLY-110_10m", _truncate, "cannot be read"),
        ("S2_L2A_20m", _elsewhere, "covers"),
    ],
)
def test_bad_files_stop_or_are_named_in_the_log(tmp_path, product, spoil, said):
    files.write(tmp_path / "data")
    bad = files.path(tmp_path / "data", product, SITE)
    spoil(bad)
    with pytest.raises(CorpusError, match=said) as error:
        made(tmp_path / "data", tmp_path / "c")
    assert bad.name in str(error.value)
    corpus = made(tmp_path / "data", tmp_path / "c", on_bad_file="skip")
    assert SITE not in set(corpus.locations["uid"])
    assert any(entry["id"].startswith(SITE) and said in entry["what"] for entry in log(corpus))


def test_an_extra_file_is_named_but_files_of_other_products_are_expected(tmp_path):
    files.write(tmp_path / "data")
    (tmp_path / "data" / "S2_L2A_20m (copy).nc").touch()
    extra = [entry["id"] for entry in log(made(tmp_path / "data", tmp_path / "c")) if entry["event"] == "extra file"]
    assert extra == ["S2_L2A_20m (copy).nc"]


def renamed(root, names: dict[str, str]):
    """The files under names of one's own, `names` by product; those of other products as they are."""
    files.write(root)
    for number, site in enumerate(files.SITES):
        for product, name in names.items():
            files.path(root, product, site).rename(root / name.format(number))
    return root


OWN = {"S1_GRD-ASCENDING_20m": "{}-radar.nc", "S2_L2A_20m": "field{}.nc", "OUTPUT_POLY-110_10m": "truth_of_{}.nc"}


def test_files_of_other_names_are_told_by_what_is_in_them(written, tmp_path):
    _, usual = written
    corpus = made(renamed(tmp_path / "data", OWN), tmp_path / "c")
    assert corpus.locations["uid"].tolist() == ["field0", "field1"]
    assert corpus.locations["season_start"].isna().all()
    for sensor in (OPTICAL, RADAR):
        same, wanted = stored(corpus, sensor), stored(usual, sensor)
        assert len(same) == len(wanted)
        for (uid, date), counts in same.items():
            np.testing.assert_array_equal(counts, wanted[list(files.SITES)[int(uid[-1])], date])
    np.testing.assert_array_equal(labels(corpus, "CT")["field0"], labels(usual, "CT")[SITE])
    assert {entry["event"] for entry in log(corpus)} == {"extra file", "no valid pixel"}
    fine = [
        entry["where"] for entry in log(corpus) if entry["what"] == "holds bands of 10 m, which fine_bands=true stores"
    ]
    assert len(fine) == 2
    assert all(name.startswith("S2_L2A_10m_") for name in fine)


def test_a_file_without_named_dimensions_is_a_bad_file_and_no_warning(tmp_path):
    path = tmp_path / "a.nc"
    with h5py.File(path, "w") as file:
        file["VV"] = np.zeros((2, 32, 32), "i4")
    with _netcdf.opened(path, 4.0) as cube:
        assert cube.variables == ("VV",)
        with pytest.raises(BadFileError, match=r"a\.nc says no place: it lacks x, y or the reference system"):
            assert cube.grid


def test_other_names_need_one_file_of_each_kind_for_a_ground(tmp_path):
    root = renamed(tmp_path / "data", OWN)
    (root / "field1.nc").rename(root / "field1.bak")
    with pytest.raises(CorpusError, match=r"no optical file \(B05, .*, SCL\) covers the ground of 1-radar\.nc"):
        made(root, tmp_path / "c")
    (root / "more.nc").write_bytes((root / "field0.nc").read_bytes())
    with pytest.raises(CorpusError, match=r"2 optical files cover one ground: field0\.nc, more\.nc"):
        made(root, tmp_path / "d")
    (root / "more.nc").unlink()
    corpus = made(root, tmp_path / "f", on_bad_file="skip")
    assert corpus.locations["uid"].tolist() == ["field0"]
    assert any("1-radar.nc" in entry["what"] for entry in log(corpus) if entry["event"] == "bad file")
    (tmp_path / "none").mkdir()
    with pytest.raises(CorpusError, match="no file is named S1_GRD-"):
        made(tmp_path / "none", tmp_path / "g")


def test_radar_of_the_other_pass_and_labels_of_another_kind(tmp_path):
    root = tmp_path / "data"
    files.write(root)
    for path in [*root.glob("S1_GRD-*"), *root.glob("OUTPUT_*")]:
        path.rename(root / path.name.replace("ASCENDING", "DESCENDING").replace("POLY-110", "POINT-100"))
    corpus = made(root, tmp_path / "c")
    assert sorted(corpus.locations["uid"]) == sorted(files.SITES)
    assert corpus.chips_of(RADAR)["orbit"].unique().tolist() == ["descending"]
    both = root / f"S1_GRD-ASCENDING_20m_{SITE}_32631_{files.PERIOD}.nc"
    both.write_bytes((root / both.name.replace("ASC", "DESC")).read_bytes())
    corpus = made(root, tmp_path / "d")
    assert corpus.chips_of(RADAR).groupby("uid")["orbit"].unique()[SITE].tolist() == ["ascending"]
    assert both.name.replace("ASC", "DESC") in {entry["id"] for entry in log(corpus)}


def test_the_real_sites(tmp_path, shared_data):
    root = shared_data / "worldcereal_patches"
    if not root.is_dir():
        pytest.skip(f"no WorldCereal patches in {shared_data}")
    corpus = made(root, tmp_path / "c", mask_clouds=False)
    assert corpus.chips.groupby("uid")["sensor"].value_counts().unstack().loc[SITE].to_dict() == {
        RADAR: 159,
        OPTICAL: 118,
    }
    assert len(corpus.locations) == 3
    path = next(root.glob(f"S2_L2A_20m_{SITE}*.nc"))
    with xr.open_dataset(path, mask_and_scale=False) as data:
        for k in (0, 50, 117):
            found = stored(corpus, OPTICAL)[SITE, str(data["timestamp"].values[k])[:10]]
            np.testing.assert_array_equal(found, np.stack([data[band].values[k] for band in BANDS]))
    assert [finding for finding in check(corpus) if finding.level == "error"] == []
