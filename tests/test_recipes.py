"""The recipes of published methods run on files in the published layout: two steps each, from files to an encoder."""

import json
from functools import partial
from pathlib import Path

import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
import rasterio
import shapely
from sklearn.metrics import r2_score

from swath import config, encoders, pipeline
from swath._memory_guard import MemoryGuard
from swath.corpus import Corpus
from swath.corpus.sources.published.eurosat import CLASSES
from swath.corpus.sources.published.worldcereal_pixels import REGIONS
from swath.corpus.splits.partition import split
from swath.products import embeddings, location_maps
from swath.recipes import shipped
from swath.tasks import Task, floors, references, stated_claims
from swath.views import presets
from tests.corpus.sources.image_layouts import (
    UTM,
    cloudmask_ukis,
    eurosat,
    l7_irish,
    l8_biome,
    landsat_l1,
    mmearth,
    noise,
    read,
    ssl4eo_l,
    ssl4eo_l_benchmark,
    ssl4eo_s12,
    tif,
)
from tests.corpus.sources.published.formats import (
    pastis_r,
    s2_100k,
    south_sudan,
    worldcereal_patches,
    worldcereal_pixels,
)
from tests.corpus.sources.published.formats import sen12 as sen12_files

SHORT = [
    "corpus.source.chip_px=32",
    "split.fractions=[0.5, 0.25, 0.25]",
    "pretrain.encoder.model=test_resnet",
    "pretrain.training.epochs=1",
    "pretrain.training.batch_size=4",
    "tasks.igbp.target.min_share=0.1",
]


@pytest.fixture(autouse=True)
def enough_memory(monkeypatch):
    """A batch of a few pixels fits: to try that takes a quarter of the time of so short a training."""
    monkeypatch.setattr(MemoryGuard, "require", lambda *_: None)


def test_every_recipe_that_compares_says_what_it_claims():
    recipes = [config.load(name) for name in shipped()]
    compared = [recipe for recipe in recipes if recipe.arms and recipe.tasks]
    assert len(compared) > 10
    assert [recipe.name for recipe in compared if not recipe.claims] == []


@pytest.fixture(scope="module")
def sen12ms(tmp_path_factory) -> Path:
    """Four scenes of four patches in SEN12MS's folders, with its types, units and band counts."""
    root = tmp_path_factory.mktemp("sen12ms")
    rng = np.random.default_rng(0)
    for scene in (1, 2, 3, 4):
        for patch in (30, 31, 32, 33):
            for kind, bands, draw in (
                ("s2", 13, lambda shape: rng.integers(100, 4000, shape, dtype=np.uint16)),
                ("s1", 2, lambda shape: rng.normal(-12, 4, shape).astype(np.float32)),
                ("lc", 4, lambda shape: np.full(shape, rng.choice([10, 12]), np.uint16)),
            ):
                season = "ROIs1158_spring"
                path = root / season / f"{kind}_{scene}" / f"{season}_{kind}_{scene}_p{patch}.tif"
                path.parent.mkdir(parents=True, exist_ok=True)
                profile = {"driver": "GTiff", "count": bands, "height": 32, "width": 32, "crs": "EPSG:32633"}
                grid = rasterio.Affine(10, 0, 5e5 + 320 * patch, 0, -10, 5.5e6 + 1e5 * scene)
                pixels = draw((bands, 32, 32))
                with rasterio.open(path, "w", transform=grid, dtype=pixels.dtype, **profile) as file:
                    file.write(pixels)
    return root


@pytest.fixture(scope="module")
def corpus(sen12ms, tmp_path_factory) -> Corpus:
    folder = tmp_path_factory.mktemp("corpus") / "run"
    return pipeline.build_corpus(config.load("rs-byol-1", [*SHORT, f"data={sen12ms}"]), folder)


def test_sen12ms_pairs_its_sensors_by_season_scene_and_patch(corpus):
    assert len(corpus.locations) == 16
    assert corpus.locations["uid"].str.startswith("ROIs1158_spring_").all()
    assert sorted(corpus.chips.groupby("uid").size().unique()) == [2]
    assert corpus.locations["group"].nunique() == 4
    assert corpus.statistics["sentinel-1-grd"]["VV"].mean == pytest.approx(-12, abs=0.2)


@pytest.mark.parametrize("name", ["rs-byol-1", "rs-byol-3", "rs-byol-ms-only", "rs-byol-rgb-s1s2"])
def test_rs_byol_trains_as_its_recipe_says(name, corpus, tmp_path):
    recipe = config.load(name, [*SHORT, f"corpus.path={corpus.path}"])
    method, training = recipe.arms[name].method, recipe.arms[name].training
    assert (method.momentum, method.momentum_schedule, method.hidden) == (0.9, "constant", 256)
    assert (training.optimizer.lr, training.optimizer.scale_lr, training.schedule.lr_min) == (0.2, False, 0.002)
    encoders = pipeline.pretrain(recipe, tmp_path / name)
    assert all(path.exists() for path in encoders)


@pytest.mark.parametrize(
    ("name", "suffices", "radar_helps", "most_on_radar"),
    [
        ("rs-byol-ombria", ["optical"], [("rs-byol-1", "ms-only", "all bands")], ["optical"]),
        (
            "rs-byol-landscape",
            ["red-edge"],
            [("rs-byol-1", "ms-only", "all bands")]
            + [("rs-byol-3", "ms-only-3", name) for name in ("rgb", "red-edge", "radar")],
            ["red-edge", "red-edge"],
        ),
        (
            "rs-byol-dfc2020",
            ["rgb", "red-edge", "radar"],
            [("rs-byol-1", "rs-byol-ms-only", "all bands")],
            ["rgb"],
        ),
    ],
)
def test_rs_byols_three_claims_are_claimed(name, suffices, radar_helps, most_on_radar):
    recipe = config.load(name)
    rows = [*recipe.arms] or ["rs-byol-1", "rs-byol-3", "rs-byol-ms-only"]
    claims = stated_claims(recipe.claims, recipe.tasks, rows)
    assert claims is not None
    assert [c.input for c in claims if (c.better, c.than) == ("rs-byol-1", "rs-byol-3")] == suffices
    beside = {"random-encoder", "image-statistics", "rs-byol-3"}
    assert [
        (c.better, c.than, c.input) for c in claims if c.than not in beside and "minus" not in str(c.panel_input)
    ] == radar_helps
    contrasts = [c.panel_input for c in claims if "minus" in str(c.panel_input)]
    assert contrasts == ["radar bands minus optical bands"] * 2 + [f"radar minus {other}" for other in most_on_radar]


def miou(lines):
    """From the counts of one training's predictions, over the classes that are true or predicted somewhere."""
    classes = sorted({*lines.y_true, *lines.y_pred})
    matrix = lines.pivot_table("count", "y_true", "y_pred", aggfunc="sum").reindex(classes, columns=classes).fillna(0)
    right = np.diag(matrix)
    return float((right / (matrix.sum(axis=0) + matrix.sum(axis=1) - right)).mean())


@pytest.mark.slow
@pytest.mark.timeout(900)  # two pre-trainings and 27 decoders: half a minute of one core, minutes on a busy machine
def test_rs_byol_carries_deeplabv3_from_files_to_a_table(corpus, tmp_path):
    """Pre-trained and segmented on files in SEN12MS' layout; then the same encoders on files in DFC2020's."""
    decoder = "decoder: {name: deeplabv3, channels: 4, rates: [1, 2, 3]}"
    probe = f"{{name: segment, {decoder}, epochs: 1, min_epochs: 1, batch_size: 2}}"
    settings = f"target: {{rule: pixels, layer: igbp}}, probes: [{probe}], metric: miou, floors: [majority]"
    cover = f"tasks={{cover: {{{settings}, inputs: {{radar: [sentinel-1-grd/VV, sentinel-1-grd/VH]}}}}}}"
    encoders = {}
    for name in ("rs-byol-1", "rs-byol-3"):
        recipe = config.load(name, [*SHORT[:-1], cover, "claims=[]", f"corpus.path={corpus.path}"])
        (encoders[name],) = pipeline.pretrain(recipe, tmp_path / name)
    report = pipeline.run(recipe, tmp_path / name)
    table = pd.read_csv(report.parent / "evaluate" / "table.csv")
    assert set(table["row"]) == {"rs-byol-3", "majority"}
    assert table["value"].between(0, 1).all()
    data = tmp_path / "dfc2020"
    sen12_files.dfc2020(data, each=3)
    bands = "[sentinel-2-l1c/B05, sentinel-1-grd/VH]"
    short = [
        "seeds=[0]",
        f"tasks.single-bands.probes=[{{name: band-wise, bands: {bands}, probe: {probe}}}]",
        f"tasks.three-bands.probes=[{probe}]",
    ]
    recipe = config.load("rs-byol-dfc2020", [f"data={data}", *short])
    folder = pipeline.evaluate(recipe, tmp_path / "run", encoders=encoders)
    table = pd.read_csv(folder / "table.csv")
    assert table["value"].notna().all(), table[["task", "input", "row", "note"]]
    said = pd.read_parquet(folder / "predictions.parquet")
    inputs = {"single-bands": ("sentinel-2-l1c/B05", "sentinel-1-grd/VH"), "three-bands": ("rgb", "red-edge", "radar")}
    pixels = labelled(data)
    for task, names in inputs.items():
        for name in names:
            for row in encoders:
                own = said[(said.task == task) & (said.input == name) & (said.row == row)]
                assert own.groupby("uid")["count"].sum().to_dict() == pixels
                line = table.query("task == @task and input == @name and row == @row and metric == 'miou'")
                assert line["value"].item() == pytest.approx(miou(own))
    claims = pd.read_csv(folder / "claims.csv")
    assert claims["difference"].notna().sum() == len(claims) - 2, "of rs-byol-ms-only there is no encoder"
    gains = [table.query("task == 'three-bands' and input == @name and metric == 'miou'") for name in ("radar", "rgb")]
    by_role = [part.groupby("of_arm").value.agg(["first", "last"]).loc["rs-byol-3"] for part in gains]
    gain = claims.loc[claims["input"] == "radar minus rgb", "difference"].item()
    assert gain == pytest.approx(np.subtract(*[one["first"] - one["last"] for one in by_role]))


def labelled(data: Path) -> dict[str, int]:
    """Number of pixels of each test patch with one of the eight classes."""
    counts = {}
    for path in sorted(data.glob("ROIs0000_test/dfc_*/*.tif")):
        codes = read(path)[0]
        counts[path.stem.replace("_dfc", "")] = int(np.isin(codes, (1, 2, 4, 5, 6, 7, 9, 10)).sum())
    return counts


# ------------------------------------------------------------------------------------------------------------------ S4

STEPS = [
    "pretrain.encoder.width=1",
    "pretrain.training.epochs=2",
    "pretrain.training.batch_size=2",
    "pretrain.training.precision='32'",
    "tasks.crops.probes=[{name: fine-tune, epochs: 1, batch_size: 2}]",
]


@pytest.fixture(scope="module")
def pastis(tmp_path_factory) -> Corpus:
    data = tmp_path_factory.mktemp("pastis")
    pastis_r.write(data, ids=tuple(range(10_000, 10_005)))
    over = [f"data={data / 'PASTIS-R'}", "corpus.source.chip_px=32"]
    return pipeline.build_corpus(config.load("s4-pastis-rgb", over), data / "run")


@pytest.mark.parametrize(
    "name", ["s4-pastis-rgb", pytest.param("s4-pastis-10-bands", marks=pytest.mark.slow), "s4-pastis-ablations"]
)
def test_s4_on_pastis_rotates_its_folds(name, pastis, tmp_path):
    short = ["pretrain.views.most=4", "pretrain.training.batch_size=32"]
    recipe = config.load(name, [*STEPS, *short, f"corpus.path={pastis.path}", "corpus.source=null"])
    folds = pipeline.folds(recipe, pastis)
    tested = [set(pastis.locations["fold"].to_numpy()[split(pastis, fold)["test"]]) for fold in folds]
    assert sorted(map(sorted, tested)) == [[1], [2], [3], [4], [5]]
    for config_of_arm in recipe.arms.values():
        assert (config_of_arm.method.temperature, config_of_arm.training.epochs) in {(0.5, 2), (0.1, 2)}
    new = {"one-modality", "half-resolution", "own-norms"}
    for arm in [name for number, name in enumerate(recipe.arms) if number == 0 or name in new]:
        assert pipeline.pretrain(recipe, tmp_path / name, arm=arm, seed=0)[0].exists()


TINY_VIT = ["width=32", "depth=1", "heads=2", "patch=16"]
TINY = [
    *(f"pretrain.encoder.{said}" for said in TINY_VIT),
    "pretrain.method.decoder_width=32",
    "pretrain.method.decoder_depth=1",
    "pretrain.training.epochs=1",
    "pretrain.training.schedule.warmup_epochs=0",
    "pretrain.training.batch_size=4",
]


def test_satmae_over_time_reads_three_dates_of_pastis(pastis, tmp_path):
    recipe = config.load("satmae-temporal", [*TINY, f"corpus.path={pastis.path}", "corpus.source=null"])
    assert [arm.method.masks for arm in recipe.arms.values()] == ["independent", "consistent"]
    encoder = encoders.load(pipeline.pretrain(recipe, tmp_path, arm="satmae-temporal", seed=0)[0])
    assert (encoder.together, encoder.dense_dim) == (True, 32)


def test_mae_and_satmae_on_eurosat_have_their_groups(tmp_path):
    eurosat(tmp_path, CLASSES)
    over = [*TINY, f"data={tmp_path}", "corpus.source.split=eurosat"]
    recipes = {name: config.load(name, over) for name in ("mae-s2", "satmae-s2")}
    corpus = pipeline.build_corpus(recipes["mae-s2"], tmp_path / "corpus")
    groups = {arm: config.encoder.groups for recipe in recipes.values() for arm, config in recipe.arms.items()}
    assert groups["mae"] is None
    assert groups["satmae"] == groups["satmae-consistent"]
    bands = [key.partition("/")[2] for group in groups["satmae"] for key in group]
    assert bands == ["B02", "B03", "B04", "B08", "B05", "B06", "B07", "B8A", "B11", "B12"]
    recipe = config.load("satmae-s2", [*TINY, f"corpus.path={corpus.path}", "corpus.source=null"])
    encoder = encoders.load(pipeline.pretrain(recipe, tmp_path / "run", arm="satmae", seed=0)[0])
    assert list(map(len, encoder.groups)) == [4, 4, 2]


@pytest.mark.parametrize("name", ["fcmae-mmearth", "mp-mae-mmearth"])
def test_mmearth_trains_on_all_that_its_file_holds(name, tmp_path):
    info = mmearth(tmp_path).with_name("data_1M_v001_64_tile_info.json")
    tiles = json.loads(info.read_text())
    tiles["t2"] |= {"S2_DATE": "2018-01-03", "lon": 20.0}  # what is the same everywhere is no target
    info.write_text(json.dumps(tiles))
    arm = name.removesuffix("-mmearth")
    small = ["encoder.depths=[1, 1, 1, 1]", "encoder.widths=[4, 4, 4, 4]", "method.decoder_width=8"]
    short = ["training.epochs=1", "training.schedule.warmup_epochs=0", "training.batch_size=2", "training.accumulate=1"]
    recipe = config.load(name, [f"data={tmp_path}", *(f"pretrain.{said}" for said in (*small, *short))])
    checkpoint = pipeline.pretrain(recipe, tmp_path / "run", arm=arm)[0]
    (row,) = pd.read_csv(checkpoint.parent / "log.csv").to_dict("records")
    if arm == "mp-mae":
        named = {"image", "radar", "elevation", "canopy", "dynamic_world", "esa_worldcover", "biome", "eco_region"}
        errors = {key: row[key] for key in named | {"era5", "month", "latitude", "longitude"}}
        assert all(error > 0 for error in errors.values()), errors


@pytest.mark.usefixtures("short_report")
def test_s4_on_south_sudan_runs_to_its_report(tmp_path):
    south_sudan.write(tmp_path, ids={number: min(number // 6, 2) for number in range(16)})
    floors = "tasks.crops.floors=[majority, scratch]"
    recipe = config.load("s4-south-sudan", [*STEPS, f"data={tmp_path}", "seeds=[0]", floors, "claims=null"])
    report = pipeline.run(recipe, tmp_path / "run")
    table = pd.read_csv(tmp_path / "run" / "evaluate" / "table.csv")
    assert report.exists()
    assert set(table["row"]) == {"s4-optical", "s4-radar", "majority", "scratch"}
    assert set(table["input"]) == {"optical", "radar"}


def test_s4_on_patches_holds_each_site_out_once(tmp_path):
    worldcereal_patches.write(tmp_path / "data")
    over = [*STEPS, f"data={tmp_path / 'data'}", "split.folds=2", "seeds=[0, 1]", "tasks.crops.target.classes=null"]
    floors = "tasks.crops.floors=[majority, {name: random-forest, trees: 9}]"
    recipe = config.load("s4-belgium", [*over, floors, "claims=null"])
    pipeline.run(recipe, tmp_path / "run")
    table = pd.read_csv(tmp_path / "run" / "evaluate" / "table.csv")
    assert {"s4", "random forest", "majority"} <= set(table["row"])
    assert table["value"].between(0, 1).all()


@pytest.fixture(scope="module")
def pixels(tmp_path_factory) -> Path:
    """Pixel series, of which every other Canadian one is of another crop."""
    data = tmp_path_factory.mktemp("pixels")
    canada = worldcereal_pixels.write(data, samples=12)["canada"]
    canada["CROPTYPE_LABEL"] = np.where(canada["sample_id"].str[1:].astype(int) % 2, 1110, 1120)
    canada.to_parquet(data / REGIONS["canada"])
    return data


SHORT_SERIES = [
    "pretrain.encoder.width=1",
    "pretrain.training.epochs=1",
    "pretrain.training.batch_size=4",
    "pretrain.training.schedule.warmup_epochs=0",
    "split.folds=3",
    "rotate=false",
    "replicates=null",
    "claims=null",
    "tasks.crops.target.classes=['1110', '1120']",
    "tasks.crops.label_fractions=[1.0]",
]
LINEAR = "{name: linear, c_count: 3}"
"""As the recipes' own, on a shorter grid."""


def test_s4_on_pixel_series_has_every_row_where_it_belongs(pixels, tmp_path):
    fast = ["arms.mmf.encoder.width=1", "tasks.crops.floors=[majority, scratch]"]
    both = config.load("s4-canada").tasks["crops"].inputs["both"]
    probes = [
        "tasks.crops.probes=[{name: fine-tune, epochs: 1, batch_size: 2}]",
        f"tasks.crops.inputs.both={list(both)}",
    ]
    recipe = config.load("s4-canada-losses", [*SHORT_SERIES, *fast, *probes, f"data={pixels}"])
    pipeline.pretrain(recipe, tmp_path / "run")
    table = pd.read_csv(pipeline.evaluate(recipe, tmp_path / "run") / "table.csv")
    found = table[(table["probe"] == "fine-tune") & table["value"].notna()]
    rows = {name: set(part["row"]) for name, part in found.groupby("input")}
    common = {"s4", "contrast-only", "reconstruction-only", "mmf", "scratch", "majority"}
    assert rows["optical"] == common | {"one-modality-optical"}
    assert rows["radar"] == common | {"one-modality-radar"}
    assert rows["both"] == {"majority"}


@pytest.mark.slow  # eight trainings, and three
@pytest.mark.parametrize(
    ("name", "small"),
    [
        ("s4-canada-ablations", ["arms.across-batch-256.training.batch_size=8", "arms.width-16.encoder.width=2"]),
        ("s4-canada-regions", []),
    ],
)
def test_arms_on_pixel_series_have_a_row_each(name, small, pixels, tmp_path):
    settings = [*SHORT_SERIES, f"tasks.crops.probes=[{LINEAR}]", "tasks.crops.floors=[majority]"]
    recipe = config.load(name, [*settings, *small, f"data={pixels}"])
    pipeline.pretrain(recipe, tmp_path / "run")
    table = pd.read_csv(pipeline.evaluate(recipe, tmp_path / "run") / "table.csv")
    assert set(table["row"]) == {*recipe.arms, "majority"}
    assert table["value"].between(0, 1).all()


def test_s4s_ablations_on_pixel_series_differ_in_one_thing_each():
    recipe = config.load("s4-canada-ablations")
    base = recipe.arms["s4"].model_dump()
    for name, arm in recipe.arms.items():
        changed = [key for key, value in arm.model_dump().items() if value != base[key]]
        assert len(changed) == {"s4": 0, "across-batch-256": 2}.get(name, 1), name


def test_a_teacher_of_both_sensors_has_its_rows(pixels, tmp_path):
    small = ["arms.s4-wide.encoder.width=2", "tasks.crops.label_fractions=[0.5]"]
    floors = "tasks.crops.floors=[majority]"
    recipe = config.load("s4-canada-distil", [*SHORT_SERIES, *small, floors, f"data={pixels}"])
    pipeline.pretrain(recipe, tmp_path / "run")
    table = pd.read_csv(pipeline.evaluate(recipe, tmp_path / "run") / "table.csv")
    taught = table[(table["probe"] == "distil") & table["value"].notna()]
    found = set(map(tuple, taught[["row", "input"]].to_numpy()))
    assert found == {(row, name) for row in ("s4", "s4-wide", "majority") for name in ("optical", "radar")}


@pytest.mark.slow  # five trainings, one of an arm that the header says can be added
def test_masked_series_have_a_row_on_every_input_that_they_know(pixels, tmp_path):
    small = ["arms.s4.encoder.width=1", "pretrain.encoder.dim=8", "tasks.crops.floors=[majority]"]
    short = ["arms.masked-random.method.masks=[random]"]
    settings = [said for said in SHORT_SERIES if said != "pretrain.encoder.width=1"]
    tiny = [f"tasks.{name}.probes=[{LINEAR}]" for name in ("crops", "crops-all-labels")]
    other = ["tasks.crops-all-labels.target.classes=['1110', '1120']", "tasks.crops-all-labels.floors=[majority]"]
    more = [*small, *short, *tiny, *other]
    recipe = config.load("canada-masked", [*settings, *more, f"data={pixels}"])
    pipeline.pretrain(recipe, tmp_path / "run")
    table = pd.read_csv(pipeline.evaluate(recipe, tmp_path / "run") / "table.csv")
    found = table[table["value"].notna()].groupby("input")["row"].agg(set)
    everywhere = {"masked", "masked-random", "majority"}
    assert found["optical"] == everywhere | {"masked-optical", "s4"}
    assert found["radar"] == everywhere | {"masked-radar", "s4"}
    assert found["both"] == everywhere


def test_unlabelled_series_of_canada_and_of_elsewhere_are_all_there_are():
    recipe = config.load("s4-canada-regions")
    places = [arm.only.get("region", ()) for arm in recipe.arms.values()]
    assert not places[0]
    assert sorted(sum(places[1:], ())) == sorted(REGIONS)


def test_raw_series_of_landsat_need_no_metadata_and_no_dates_but_those_of_the_names(tmp_path):
    for month in range(1, 5):
        scene = f"LC08_L1TP_013032_20190{month}04_20200101_02_T1"
        folder = landsat_l1(tmp_path / "in", scene, seed=month)
        (folder / f"{scene}_MTL.txt").unlink()
        path = folder / f"{scene}_B4.TIF"
        counts = read(path)
        counts[:, 4:, :24] = 40_000  # land is bright
        counts[:, 4:, 24:] = 8_000
        tif(path, counts, "EPSG:32615")
    west, north = UTM.c, UTM.f
    land = shapely.box(west, north - 48 * 30, west + 24 * 30, north)
    gpd.GeoDataFrame(geometry=[land], crs="EPSG:32615").to_file(tmp_path / "in" / "labels.gpkg")
    changes = [
        "corpus.source.chip_px=8",
        "corpus.source.bands=[B2, B4]",
        "corpus.source.mask_clouds=false",
        "split.block_km=0.25",
        "tasks.cover.inputs.landsat=[landsat-oli-toa/B2, landsat-oli-toa/B4]",
        "tasks.cover.floors=[majority, logistic-regression]",
        "seeds=[0]",
    ]
    recipe = config.load("landsat-series", [*changes, f"data={tmp_path / 'in'}"])
    pipeline.run(recipe, tmp_path / "run")
    corpus = Corpus.open(tmp_path / "run" / "corpus")
    assert corpus.chips.groupby("uid")["datetime"].nunique().eq(4).all()
    codes = corpus.labels("cover", np.arange(len(corpus)))
    assert (codes == 1).mean() == 0.5
    table = pd.read_csv(tmp_path / "run" / "evaluate" / "table.csv").set_index("row")
    values = table[table["metric"] == "miou"]["value"]
    assert values["logistic regression"] > 0.95 > 0.55 > values["majority"]


# ------------------------------------------------------------------------------------ segmentation of single dates

DENSE = [
    "pretrain.encoder.model=test_resnet",
    "pretrain.training.epochs=1",
    "pretrain.training.batch_size=8",
    "pretrain.training.schedule.warmup_epochs=0",
    "seeds=[0]",
]
ONE_EPOCH = "batch_size: 8, epochs: 1, min_epochs: 1"
ROWS = {"majority", "random encoder (frozen)", "scratch", "random forest (5 x 5)"}


def table_of(recipe, out) -> pd.DataFrame:
    pipeline.run(recipe, out)
    return pd.read_csv(out / "evaluate" / "table.csv")


def test_landsat_scenes_with_nlcd_on_a_grid_of_its_own(tmp_path):
    data, land = tmp_path / "in", np.zeros((1, 64, 64), np.uint8)
    land[:, :, :32], land[:, :, 32:] = 4, 5
    for number in range(2, 6):
        counts = noise(number, (1, 64, 64), 8_000, 9_000, "uint16") + 8_000 * (land == 4).astype(np.uint16)
        tif(data / f"landsat_b{number}.tif", counts)
    tif(data / "nlcd.tif", land[:, ::2, ::2], transform=UTM * rasterio.Affine.scale(2), nodata=255)
    floors = "[majority, random-encoder, scratch, {name: window-random-forest, trees: 5}]"
    over = [
        *DENSE,
        "corpus.source.chip_px=16",
        "split={by: location, fractions: [0.5, 0.25, 0.25]}",
        "pretrain.method.queue=16",
        "pretrain.training.precision='32'",  # in 16 pixels a stride sees one, which bfloat16 refuses where there is any
        "arms={moco-v2: {}}",
        "claims=null",
        f"tasks.landcover.probes=[{{name: segment, decoder: unet, {ONE_EPOCH}}}]",
        "tasks.landcover.label_fractions=[1.0]",
        f"tasks.landcover.floors={floors}",
    ]
    table = table_of(config.load("landsat-zion", [*over, f"data={data}"]), tmp_path / "run")
    assert set(table["row"]) == ROWS | {"moco-v2"}
    assert set(table["metric"]) == {"miou", "accuracy", "balanced_accuracy", "micro_jaccard"}
    values = table.set_index(["row", "metric"])["value"]
    assert values["random forest (5 x 5)", "miou"] > 0.9
    right = values["moco-v2", "accuracy"]
    assert values["moco-v2", "micro_jaccard"] == pytest.approx(right / (2 - right))


def test_clouds_are_seen_on_a_sensor_that_taught_nothing(tmp_path):
    cloudmask_ukis(tmp_path)
    recipe = config.load(
        "cloudmask", ["corpus.source.chip_px=16", "split.folds=4", "seeds=[0, 1, 2, 3]", f"data={tmp_path}"]
    )
    corpus = pipeline.build_corpus(recipe, tmp_path / "run")
    assert list(corpus.info.sensors) == ["six-bands-toa"]
    images = corpus.locations["group"].to_numpy()
    tested = []
    for fold in pipeline.folds(recipe, corpus):
        parts = {name: set(images[rows]) for name, rows in split(corpus, fold).items()}
        assert len(parts["train"]) == 3
        assert not parts["train"] & parts["test"]
        assert not parts["val"]
        tested += parts["test"]
        task = Task("clouds", recipe.tasks["clouds"], corpus, split(corpus, fold), fold)
        assert task.classes == ["cloud shadow", "water", "snow/ice", "land", "cloud"]
    assert sorted(tested) == ["landsat5", "landsat7", "landsat8", "sentinel2"]


@pytest.mark.slow
def test_water_and_land_cover_of_hls_by_two_decoders(tmp_path):
    for number in range(8):
        codes = noise(number, (1, 64, 64), 0, 2).astype(np.int16)
        bands = noise(number, (7, 64, 64), 100, 4000, "int16") * (1 + codes)
        relief = noise(number, (1, 64, 64), 0, 900, "int16")
        channels = [bands, np.zeros_like(codes), relief, 10 + 70 * codes, codes]
        tif(tmp_path / "images" / f"{number}.tif", np.concatenate(channels), None)
        tif(tmp_path / "labels" / f"{number}.png", codes.astype(np.uint8), None, driver="PNG")
    over = [
        *DENSE,
        "corpus.source.chip_px=32",
        "corpus.source.group.ground=null",
        "split={by: group, fractions: [0.5, 0.25, 0.25]}",
        "claims=null",
    ]
    for task in ("landcover", "water"):
        decoders = ("unet", "deeplabv3plus")
        probes = ", ".join(f"{{name: segment, decoder: {name}, {ONE_EPOCH}}}" for name in decoders)
        over += [f"tasks.{task}.probes=[{probes}]", f"tasks.{task}.floors=[majority, pixel-logistic-regression]"]
    table = table_of(config.load("hls-segmentation", [*over, f"data={tmp_path}"]), tmp_path / "run")
    assert set(table["task"]) == {"landcover", "water"}
    assert set(table["probe"]) == {"segment (unet, frozen)", "segment (deeplabv3plus, frozen)"}
    assert table["value"].between(0, 1).all()


@pytest.mark.parametrize("name", ["ssl4eo-l-nlcd", "ssl4eo-l-cdl", "l7-irish", "l8-biome"])
def test_ssl4eo_ls_downstream_tasks_read_their_files(name, tmp_path):
    over = [f"data={tmp_path}"]
    if name == "l7-irish":
        l7_irish(tmp_path)
    elif name == "l8-biome":
        l8_biome(tmp_path)
    else:
        ssl4eo_l_benchmark(tmp_path, "oli_sr", 7)
    if name.startswith("l"):
        over += ["corpus.source.chip_px=16", "corpus.source.on_bad_file=error"]
    recipe = config.load(name, over)
    corpus = pipeline.build_corpus(recipe, tmp_path / "run")
    (task,) = recipe.tasks.values()
    found = Task("task", task, corpus, split(corpus, recipe.split), recipe.split)
    assert [probe.label() for probe in task.probes] == ["segment (unet, frozen)"]
    assert set(found.classes) >= {
        "ssl4eo-l-nlcd": {"Open Water", "Deciduous Forest"},
        "ssl4eo-l-cdl": {"Corn", "Soybeans"},
    }.get(name, {"cloud shadow", "clear", "thin cloud", "cloud"})
    assert found.reader.read(found.parts["train"].locations[:1])


def test_ssl4eo_ls_pre_training_is_the_papers():
    arms = config.load("ssl4eo-l").arms
    for arm in arms.values():
        assert (arm.encoder.model, arm.training.epochs, arm.training.batch_size) == ("resnet50", 200, 1024)
        assert (arm.method.temperature, arm.method.hidden, arm.method.out) == (0.07, 2048, 128)
        assert arm.views.name == "two-dates"
        assert (arm.training.optimizer.lr, arm.training.optimizer.weight_decay) == (0.12, 1e-4)
        assert arm.training.optimizer.scale_lr is False
    assert arms["moco-v2"].views.augment == presets.moco_v2(224)
    assert arms["simclr"].views.augment == presets.simclr(224)
    assert (arms["moco-v2"].training.optimizer.name, arms["simclr"].training.optimizer.name) == ("sgd", "lars")
    vit = ["pretrain.encoder.model=vit_small_patch16_224", "pretrain.training.optimizer.lr=0.012"]
    assert {arm.training.optimizer.lr for arm in config.load("ssl4eo-l", vit).arms.values()} == {0.012}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "layout"),
    [("ssl4eo-l", partial(ssl4eo_l, split="oli_sr")), ("ssl4eo-s12", ssl4eo_s12), ("dofa-s1-s2", ssl4eo_s12)],
)
def test_published_corpora_pre_train(name, layout, tmp_path):
    layout(tmp_path / "data")
    over = [
        f"data={tmp_path / 'data'}",
        "pretrain.training.epochs=1",
        "pretrain.training.schedule.warmup_epochs=0",
        "pretrain.training.batch_size=2",
    ]
    if name == "dofa-s1-s2":
        over += [f"pretrain.encoder.{small}" for small in ("width=32", "depth=1", "heads=2")]
    else:
        over += ["pretrain.encoder.model=test_resnet"]
    if name == "ssl4eo-s12":
        over += ["arms.moco-v3.encoder.model=test_resnet"]
    encoders = pipeline.pretrain(config.load(name, over), tmp_path / "run")
    assert len(encoders) == len(config.load(name).arms)
    assert all(path.exists() for path in encoders)


@pytest.mark.slow
def test_any_sensor_is_trained_on_two_sensors_and_embeds_a_third(tmp_path, capsys):
    small = ["corpus.source.locations=8", "corpus.source.chip_px=16", "corpus.source.extent_km=20"]
    short = [f"pretrain.training.{said}" for said in ("epochs=1", "schedule.warmup_epochs=0", "batch_size=2")]
    shipped_as = config.load("any-sensor")
    recipe = config.load("any-sensor", [*small, *short, "pretrain.encoder.depth=1", "tasks={}", "claims=[]"])
    exact = {name: arm.views.bands for name, arm in recipe.arms.items() if name != "any-sensor"}
    assert set(exact.values()) < set(shipped_as.tasks["landcover"].inputs.values())
    encoder = encoders.load(pipeline.pretrain(recipe, tmp_path, arm="any-sensor", seed=recipe.seeds[0])[0])
    assert len(encoder.contract.bands) == 16
    assert {key.partition("/")[0] for key in encoder.contract.bands} == {"sentinel-2-l2a", "landsat-oli-sr"}
    yellow = encoders.nearest_band(encoder.contract, "superdove/yellow")
    assert (yellow.nearest, round(yellow.um, 4)) == ("landsat-oli-sr/SR_B4", 0.0445)
    corpus = Corpus.open(tmp_path / "corpus")
    found = embeddings.embed(encoder, corpus, bands=["superdove/yellow", "superdove/nir", "sentinel-2-l2a/B11"])
    assert len(found) == 8
    assert "superdove/yellow was never trained on" in capsys.readouterr().err
    assert sum(encoder.unseen.values()) == 16


def test_dfc2020_has_eight_classes_and_the_contests_parts(tmp_path):
    sen12_files.dfc2020(tmp_path)
    # the one patch that teaches here cannot also validate
    recipe = config.load("dfc2020", [f"data={tmp_path}", "split.fractions=[0.8, 0.0, 0.2]"])
    corpus = pipeline.build_corpus(recipe, tmp_path / "run")
    task = Task("landcover", recipe.tasks["landcover"], corpus, split(corpus, recipe.split), recipe.split)
    assert len(task.classes) == 8
    assert not {"Savanna", "Snow/Ice"} & set(task.classes)
    assert len(task.parts["test"].locations)


# -------------------------------------------------------------------------------------------------- encoders of places


@pytest.mark.slow
def test_sinr_learns_from_a_table_of_sightings(tmp_path):
    """Two species, one in each hemisphere: an encoder of places tells them apart where it was never trained."""
    rng = np.random.default_rng(0)
    table = pd.DataFrame({"lon": rng.uniform(-180, 180, 160), "lat": rng.uniform(-80, 80, 160)})
    table["class"] = np.where(table["lat"] > 0, "tern", "penguin")
    table.to_csv(tmp_path / "observations.csv", index=False)
    short = ["pretrain.training.batch_size=16", "pretrain.training.epochs=4", "pretrain.encoder.network.dim=32"]
    recipe = config.load("sinr", [f"data={tmp_path}", *short])
    assert recipe.arms["an-full"].method.positive_weight == 2048
    pipeline.run(recipe, tmp_path / "run")
    table = pd.read_csv(tmp_path / "run" / "evaluate" / "table.csv")
    judged = table[(table["metric"] == "balanced_accuracy") & (table["probe"] == "linear")].set_index("row")["value"]
    assert {"an-full", "an-ssdl", "an-slds", "nearest locations", "majority"} <= set(judged.index)
    assert judged["majority"] == pytest.approx(0.5)
    assert judged["an-full"] > 0.8


@pytest.mark.slow
def test_satclip_trains_on_the_published_layout(tmp_path):
    s2_100k.write(tmp_path)
    short = ["pretrain.training.batch_size=2", "pretrain.training.epochs=1", "split.fractions=[1, 0, 0]"]
    small = ["pretrain.encoder.image.model=test_resnet", "arms.satclip-l40=null"]
    recipe = config.load("satclip-s2-100k", [f"data={tmp_path}", *short, *small])
    (path,) = pipeline.pretrain(recipe, tmp_path / "run", arm="satclip-l10")
    written = location_maps.location_maps(
        path, tmp_path / "maps", area=location_maps.Area(-20.0, 30.0, 20.0, 60.0, 5.0)
    )
    assert [one.name for one in written] == ["embedding.tif", "embedding.png"]


def test_stations_beat_the_latitude_by_an_encoding_in_blocks_never_seen(shared_data, tmp_path):
    recipe = config.load("stations", [f"data={shared_data / 'geo_location'}"])
    assert len(recipe.seeds) == 15
    corpus = pipeline.build_corpus(recipe, tmp_path / "run")
    parts = split(corpus, recipe.split)
    tasks = {name: Task(name, one, corpus, parts, recipe.split) for name, one in recipe.tasks.items()}
    assert (len(tasks["country"].classes), tasks["precipitation"].unit) == (26, "mm")
    assert set(tasks["surface"].classes) == {"land", "sea"}
    warmth = tasks["mean_temperature"]
    assert sum(len(part) for part in warmth.parts.values()) == 3076
    assert "3000 locations of the corpus have no number" in warmth.remarks[0]
    trained = [
        name for name, one in warmth.config.references.items() if references.panels(one, warmth)[0].probe.supervision()
    ]
    assert trained == ["fcnet", "siren"]
    harmonics = warmth.config.references["harmonics-10"]
    panels = references.panels(harmonics, warmth)
    (said,) = references.outcomes(harmonics, warmth, panels, 0, "cpu")
    (latitude,) = floors.outcomes(floors.find("latitude"), warmth, panels, 0)
    y = warmth.units.y_true
    reached = [r2_score(y, one.prediction.y_pred) for one in (said, latitude)]
    assert reached[0] > reached[1] + 0.04 > 0.8
