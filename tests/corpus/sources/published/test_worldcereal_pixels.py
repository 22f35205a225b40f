"""Pixel series: every count against the table that it came from."""

import numpy as np
import pandas as pd
import pytest

from swath.corpus import Corpus, Reader, Selection, check
from swath.corpus.sources import build
from swath.corpus.sources.published.worldcereal_pixels import BANDS, REGIONS, Config
from swath.errors import CorpusError, RecipeError
from tests.corpus.sources.published.formats import worldcereal_pixels as files
from tests.corpus.sources.reading import log, stored

OPTICAL, RADAR = "sentinel-2-l2a", "sentinel-1-grd"


def made(data, target, **settings) -> Corpus:
    build(Config(**settings), target, data)
    return Corpus.open(target)


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    root = tmp_path_factory.mktemp("pixels")
    return root, files.write(root), made(root, root / "corpus")


def expected(tables) -> dict[str, dict[tuple[str, str], np.ndarray]]:
    """Values by sensor, location and month, taken from the tables cell by cell."""
    values: dict[str, dict[tuple[str, str], np.ndarray]] = {OPTICAL: {}, RADAR: {}}
    for region in ("canada", "france"):
        for row in tables[region].to_dict("records"):
            month = (row["timestamp"] + pd.Timedelta(hours=2)).strftime("%Y-%m-01")
            key = (f"{region}-{row['sample_id']}", month)
            values[OPTICAL][key] = np.array([row[f"S2-L2A-{band}"] for band in BANDS])
            values[RADAR][key] = np.array([row["S1-SIGMA0-VV"], row["S1-SIGMA0-VH"]])
    for region in ("world", "belgium", "africa"):
        for number, row in enumerate(tables[region].to_dict("records")):
            uid = row.get("sample_id", f"{row.get('location_id')}-{number}")
            for k, month in enumerate(pd.period_range(row["start_date"][:7], periods=12, freq="M")):
                key = (f"{region}-{uid}", f"{month}-01")
                values[OPTICAL][key] = np.array([row[f"OPTICAL-{b}-ts{k}-{files._gsd(b)}m"] for b in BANDS])
                values[RADAR][key] = np.array([row[f"SAR-{b}-ts{k}-20m"] for b in ("VV", "VH")])
    return values


def test_every_pixel_equals_its_cell_of_the_table(written):
    _, tables, corpus = written
    wanted = expected(tables)
    for sensor in (OPTICAL, RADAR):
        there = {key: v for key, v in wanted[sensor].items() if (v != 65535).all()}
        found = stored(corpus, sensor)
        assert found.keys() == there.keys()
        for key, counts in there.items():
            value = counts if sensor == OPTICAL else (20 * np.log10(counts.astype(float)) - 83).astype("float32")
            np.testing.assert_array_equal(found[key][:, 0, 0], value)


def test_months_without_data_are_no_chips_and_are_counted(written):
    *_, corpus = written
    empty = {(entry["id"], entry["what"].split(" of ")[1].split()[0]): entry["what"] for entry in log(corpus)}
    assert empty["canada", OPTICAL].startswith("6 steps")  # per sample one without a band, one without all
    assert empty["canada", RADAR].startswith("3 steps")
    assert empty["belgium", RADAR].startswith("1 steps")


def test_labels_groups_and_regions_come_along(written):
    *_, corpus = written
    rows = corpus.locations.set_index("uid")
    assert set(rows["region"]) == set(REGIONS)
    canada = rows.loc["canada-s1"]
    assert (canada["crop"], canada["croptype_label"], canada["landcover"]) == ("winter wheat", 1110, "annual cropland")
    assert canada["group"] == "832ab1fffffffff"
    assert (canada["lon"], canada["lat"]) == (-82.5, 43.5)
    france = rows.loc["france-s0"]
    assert (france["crop"], france["ewoc_code"]) == ("unspecified_sorghum", 1101070000)
    belgium = rows[rows["region"] == "belgium"].iloc[0]
    assert (belgium["crop"], belgium["landcover"], belgium["group"]) == (
        "permanent grass crops",
        "grassland",
        "lon+002lat+50",
    )


def test_the_corpus_passes_its_own_check(written):
    *_, corpus = written
    assert [finding for finding in check(corpus) if finding.level == "error"] == []


def test_regions_can_be_chosen_and_need_their_file(tmp_path):
    files.write(tmp_path / "data")
    assert set(made(tmp_path / "data", tmp_path / "a", regions=("france",)).locations["region"]) == {"france"}
    (tmp_path / "data" / REGIONS["world"]).unlink()
    assert "world" not in set(made(tmp_path / "data", tmp_path / "b").locations["region"])
    with pytest.raises(CorpusError, match=r"worldcereal_testdf_upd\.parquet is missing"):
        made(tmp_path / "data", tmp_path / "c", regions=("world",))


def dekads(tables, names: dict[str, str], root) -> None:
    """The African table and the French one by ten days, under other names; the African one with 12 steps more."""
    root.mkdir(exist_ok=True)
    wide = tables["africa"]
    more = {
        name.replace(f"-ts{k}-", f"-ts{k + 12}-"): (wide[name] + 7).astype("uint16")
        for k in range(12)
        for name in wide
        if f"-ts{k}-" in name
    }
    wide = pd.concat([wide, pd.DataFrame(more)], axis=1).assign(start_date="2019-12-25", end_date="2020-08-11")
    wide.to_parquet(root / names["wide"])
    long = tables["france"].copy()
    months = long["timestamp"].dt.to_period("M").astype("int64")
    first, step = divmod(months - months.min(), 3)
    long["timestamp"] = [pd.Timestamp(2021, 1 + m, (1, 11, 21)[k]) for m, k in zip(first, step, strict=True)]
    long.to_parquet(root / names["long"])


def test_files_of_other_names_and_steps_of_ten_days(tmp_path):
    tables = files.write(tmp_path / "data")
    dekads(tables, {"wide": "mine.parquet", "long": "2021_XYZ.geoparquet"}, tmp_path / "other")
    corpus = made(tmp_path / "other", tmp_path / "c")
    assert corpus.locations["region"].unique().tolist() == ["2021_XYZ", "mine"]
    dates = corpus.chips.assign(region=corpus.chips["uid"].str.partition("-")[0]).groupby("region")["datetime"].unique()
    months = pd.period_range("2019-12", "2020-08", freq="M")
    begins = [f"{month}-{day}" for month in months for day in ("01", "11", "21")]
    assert {f"{day:%Y-%m-%d}" for day in dates["mine"]} == set(begins[2:26])  # 24 steps from 21 December 2019
    assert {day.day for day in dates["2021_XYZ"]} == {1, 11, 21}
    found = stored(corpus, OPTICAL)
    row = tables["africa"].iloc[0]
    assert found["mine-a0", "2019-12-21"][0, 0, 0] == row["OPTICAL-B02-ts0-10m"]
    assert found["mine-a0", "2020-01-11"][0, 0, 0] == row["OPTICAL-B02-ts2-10m"]
    assert found["mine-a0", "2020-08-11"][7, 0, 0] == row["OPTICAL-B11-ts11-20m"] + 7
    assert set(made(tmp_path / "other", tmp_path / "d", regions=("mine",)).locations["region"]) == {"mine"}
    with pytest.raises(CorpusError, match=r"no file of the region 'mne'(.|\n)*did you mean 'mine'"):
        made(tmp_path / "other", tmp_path / "e", regions=("mne",))


def test_steps_that_nobody_says_are_not_guessed(tmp_path):
    wide = files.write(tmp_path / "data")["africa"]
    other = tmp_path / "other"
    other.mkdir()
    wide.drop(columns="end_date").to_parquet(other / "mine.parquet")
    with pytest.raises(CorpusError, match=r"does not say its last day(.|\n)*step=month or step=dekad"):
        made(other, tmp_path / "c")
    days = made(other, tmp_path / "c", step="dekad").chips["datetime"]
    assert (days.min(), days.max()) == (pd.Timestamp("2016-12-01", tz="UTC"), pd.Timestamp("2017-03-21", tz="UTC"))
    wide.assign(end_date="2017-05-01").to_parquet(other / "mine.parquet")
    with pytest.raises(CorpusError, match="12 steps in 151 to 151 days"):
        made(other, tmp_path / "d")
    long = files.write(tmp_path / "data")["france"]
    long["timestamp"] += pd.Timedelta(days=4)
    long.to_parquet(other / "mine.parquet")
    with pytest.raises(CorpusError, match=r"begin neither a month nor ten days, such as 2017-.*-05"):
        made(other, tmp_path / "e")


def test_a_file_without_crops_is_named_in_the_log(tmp_path):
    wide = files.write(tmp_path / "data")["africa"].drop(columns="ewoc_code")
    (tmp_path / "other").mkdir()
    wide.to_parquet(tmp_path / "other" / "mine.parquet")
    corpus = made(tmp_path / "other", tmp_path / "c")
    assert set(corpus.locations["crop"]) == {"unknown"}
    assert any(entry["event"] == "no labels" and entry["id"] == "mine" for entry in log(corpus))


def _drop(table):
    return table.drop(columns="S2-L2A-B08")


def _beyond(table):
    return table.astype({"S2-L2A-B02": "int64"}).assign(**{"S2-L2A-B02": 70_000})


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (_drop, "has no column S2-L2A-B08"),
        (_beyond, "holds counts beyond 16 bits"),
    ],
)
def test_a_bad_table_stops_or_is_named_in_the_log(tmp_path, spoil, said):
    tables = files.write(tmp_path / "data")
    spoil(tables["canada"]).to_parquet(tmp_path / "data" / REGIONS["canada"])
    with pytest.raises(CorpusError, match=said) as error:
        made(tmp_path / "data", tmp_path / "a")
    assert REGIONS["canada"] in str(error.value)
    corpus = made(tmp_path / "data", tmp_path / "a", on_bad_file="skip")
    assert "canada" not in set(corpus.locations["region"])
    assert any(said in entry["what"] for entry in log(corpus))


def test_a_wrong_folder_says_what_is_there(tmp_path):
    (tmp_path / "images.zip").touch()
    with pytest.raises(CorpusError, match=r"no file is named as \*\.parquet") as error:
        made(tmp_path, tmp_path / "c")
    assert "images.zip" in str(error.value)
    with pytest.raises(RecipeError, match="no folder is given"):
        build(Config(), tmp_path / "c")


@pytest.mark.slow  # the types of 180,000 chips are checked one by one under pytest
@pytest.mark.slow  # 180,000 chips
def test_the_real_files_are_one_corpus(tmp_path, shared_data):
    root = shared_data / "worldcereal_pixels"
    if not root.is_dir():
        pytest.skip(f"no WorldCereal pixels in {shared_data}")
    corpus = made(root, tmp_path / "c")
    counts = corpus.locations["region"].value_counts()
    assert counts.to_dict() == {"canada": 3621, "france": 500, "world": 500, "belgium": 500, "africa": 500}
    canada = corpus.locations[corpus.locations["region"] == "canada"]
    assert canada["group"].nunique() == 60
    assert canada["crop"].value_counts().head(3).to_dict() == {
        "permanent grass crops": 859,
        "spring wheat": 652,
        "soya beans": 562,
    }
    table = pd.read_parquet(root / REGIONS["canada"])
    found = stored(corpus, OPTICAL)
    for row in table.sample(200, random_state=0).to_dict("records"):
        month = (row["timestamp"] + pd.Timedelta(hours=2)).strftime("%Y-%m-01")
        counts = np.array([row[f"S2-L2A-{band}"] for band in BANDS])
        key = (f"canada-{row['sample_id']}", month)
        if (counts == 65535).any():
            assert key not in found
        else:
            np.testing.assert_array_equal(found[key][:, 0, 0], counts)
    assert [finding for finding in check(corpus) if finding.level == "error"] == []


def test_white_months_are_gaps(written, tmp_path):
    plain = made(written[0], tmp_path / "plain")
    blue = Reader(plain, {"sentinel-2-l2a": ["B02"]}).batch(np.arange(len(plain)), Selection(dates="all"))
    values = blue.images["sentinel-2-l2a"].pixels[:, :, 0, 0, 0].numpy()
    limit = float(np.median(values[values > 0]))
    masked = made(written[0], tmp_path / "masked", brightest=limit)
    optical, radar = masked.chips_of("sentinel-2-l2a"), masked.chips_of("sentinel-1-grd")
    assert len(optical) == len(plain.chips_of("sentinel-2-l2a"))
    assert (optical["valid"] == 0).sum() == (values > limit).sum() == (optical["cloud"] == 1).sum() > 0
    assert (radar["valid"] == 1).all()
    assert masked.statistics["sentinel-2-l2a"]["B02"].max <= limit
