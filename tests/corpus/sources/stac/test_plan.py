"""`swath corpus plan` and the estimate, and what a section refuses."""

import geopandas as gpd
import pytest
import shapely

from swath import cli, config, pipeline
from swath.corpus.sources.stac import Config
from swath.corpus.sources.stac._cost import Rate, cost
from swath.errors import RecipeError

AREA = "corpus.source.where.area=[11.0, 48.0, 11.5, 48.3]"


def test_a_recipe_is_planned_and_mapped(tmp_path, monkeypatch, capsys):
    to = tmp_path / "new" / "plan.parquet"
    arguments = ["build-s1-s2-series", AREA, "corpus.source.where.count=20", "--to", str(to)]
    monkeypatch.setattr("sys.argv", ["swath", "corpus", "plan", *arguments])
    with pytest.raises(SystemExit) as stop:
        cli.main()
    printed = capsys.readouterr()
    assert not stop.value.code
    assert printed.out.strip() == str(to)
    assert "20 locations, at most" in printed.err
    assert len(gpd.read_parquet(to)) == 20
    assert to.with_suffix(".png").read_bytes()[:4] == b"\x89PNG"


def test_a_strategy_is_planned_without_a_recipe(tmp_path):
    to = tmp_path / "p.parquet"
    count, estimate = pipeline.plan_corpus("grid", ["area=[11.0, 48.0, 11.2, 48.1]"], to, chip_px=64)
    assert estimate is None
    plan = gpd.read_parquet(to)
    assert len(plan) == count
    assert set(plan["px"]) == {64}
    again = tmp_path / "again.parquet"
    pipeline.plan_corpus("planned", [f"path={to}", "count=2"], again, chip_px=64)
    assert gpd.read_parquet(again)["uid"].tolist() == plan["uid"].tolist()[:2]


def test_given_points_that_are_left_out_are_said(tmp_path, monkeypatch, capsys):
    points = tmp_path / "plots.csv"
    points.write_text("lon,lat,crop\n11.60,48.1,wheat\n11.61,48.1,maize\n5.99,48.0,wheat\n")
    arguments = ["points", f"points={points}", "area=[11.0, 48.0, 12.0, 49.0]", "--to", str(tmp_path / "p.parquet")]
    monkeypatch.setattr("sys.argv", ["swath", "corpus", "plan", *arguments])
    with pytest.raises(SystemExit):
        cli.main()
    said = capsys.readouterr().err
    assert "1 of 3 candidates are taken: 1 overlap others (overlap: allow keeps them), 1 lie outside" in said
    assert "1 locations" in said


def test_a_map_over_the_antimeridian(tmp_path):
    to = tmp_path / "p.parquet"
    pipeline.plan_corpus("uniform", ["area=[179.0, -18.0, -179.0, -16.0]", "count=20"], to)
    assert to.with_suffix(".png").stat().st_size > 1000


def test_other_recipes_cannot_be_planned(tmp_path):
    with pytest.raises(RecipeError, match="is not stac"):
        pipeline.plan_corpus("quickstart", None, tmp_path / "p.parquet")


def test_a_mistyped_strategy_is_told_the_nearest(tmp_path):
    with pytest.raises(RecipeError, match="neither a strategy nor a recipe is called 'unifrom'") as error:
        pipeline.plan_corpus("unifrom", None, tmp_path / "p.parquet")
    assert "did you mean 'uniform'?" in error.value.remedy


@pytest.mark.parametrize("name", ["build-s1-s2-series", "build-landsat-seasons", "build-landsat-parallel"])
def test_shipped_recipes_are_whole(name):
    assert isinstance(config.load(name).corpus.source, Config)


def section(**changes) -> Config:
    document = {
        "where": {"name": "uniform"},
        "when": {"name": "seasons", "year": 2022},
        "products": ({"sensor": "landsat-oli-sr", "bands": ("SR_B2", "SR_B3")},),
        "chip_px": 264,
        "catalogue": {"name": "planetary-computer"},
        **changes,
    }
    return Config.model_validate(document)


def plan(count: int, outline: shapely.Geometry | None = None) -> gpd.GeoDataFrame:
    shapes = [outline or shapely.box(9, 48, 9.1, 48.1)] * count
    return gpd.GeoDataFrame({"uid": [f"{i}" for i in range(count)]}, geometry=shapes, crs=4326)


def test_the_estimate_by_hand():
    found = cost(section(), plan(100), Rate(request_s=0.5, workers=10))
    assert (found.locations, found.chips) == (100, 400)
    assert found.searches == 100 * 8  # four seasons of two years
    rows = 1 + 263 / 512  # blocks of 512 that a window of 264 pixels touches on average, along one side
    reads = 2 * (1 + rows) + 3 * (1 + rows)  # two bands, and the masks of three candidates
    assert found.requests == pytest.approx(400 * reads + 800, abs=1)
    assert found.hours == pytest.approx(found.requests * 0.5 / 10 / 3600)
    assert found.stored_bytes == pytest.approx(400 * 2 * 264**2 * 2 * 0.6)


def test_level_1_costs_its_metadata_and_a_byte_a_value_costs_half():
    bands = ("B2", "B3")
    product = {"sensor": "landsat-oli-toa", "bands": bands, "look": 1}
    whole = cost(section(products=(product,), catalogue={"name": "usgs"}), plan(100), Rate())
    small = cost(section(products=(product | {"uint8": True},), catalogue={"name": "usgs"}), plan(100), Rate())
    rows = 1 + 263 / 512
    assert whole.requests == pytest.approx(400 * (3 * (1 + rows) + 1) + 800, abs=1)
    assert whole.stored_bytes == pytest.approx(4 * small.stored_bytes)
    assert whole.download_bytes == small.download_bytes


def test_a_mask_that_is_made_costs_its_bands():
    product = {"sensor": "sentinel-2-l1c", "bands": ("B02",), "look": 1}
    earth = {"catalogue": {"name": "earth-search"}, "gsd_m": 10.0}
    bare = cost(section(products=(product,), **earth), plan(100), Rate())
    masked = cost(section(products=(product | {"cloud_mask": {}},), **earth), plan(100), Rate())
    one = {10.0: 1 + 263 / 512, 20.0: 1 + 131 / 512, 60.0: 1 + 43 / 512}
    extra = 2 * (1 + one[10.0]) + 4 * (1 + one[20.0]) + 3 * (1 + one[60.0])  # B02 is read anyway
    assert masked.requests - bare.requests == pytest.approx(400 * extra, abs=1)


def test_both_sides_of_the_antimeridian_are_searched():
    halves = shapely.MultiPolygon([shapely.box(179.9, 0, 180, 0.1), shapely.box(-180, 0, -179.9, 0.1)])
    assert cost(section(), plan(3, halves), Rate()).searches == 3 * 8 * 2


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"products": ({"sensor": "landsat-oli-toa"},)}, "planetary-computer has no landsat-oli-toa; usgs has"),
        ({"products": ({"sensor": "sentinel-1-rtc"},), "catalogue": {"name": "earth-search"}},
         "earth-search has no sentinel-1-rtc; planetary-computer has"),
        ({"products": ({"sensor": "sentinel-2-l2a", "bands": ("B99",)},)}, "no band 'B99'"),
        ({"products": ({"sensor": "sentinel-2-l2a", "uint8": True},)},
         "no 8-bit table for sentinel-2-l2a; leave uint8 out: the tables of SSL4EO-L are for Landsat"),
        ({"products": ({"sensor": "sentinel-2-l2a"}, {"sensor": "sentinel-2-l2a"})}, "listed twice"),
        ({"products": ({"sensor": "sentinel-2-l2a", "same_dates_as": "hls"},)}, "no product before it is 'hls'"),
    ],
)  # fmt: skip
def test_what_no_catalogue_has_is_refused(changes, message):
    with pytest.raises(ValueError, match=message):
        section(**changes)
