"""Two sensors that swath does not ship, a radar and an optical one, each added by one file: from images to a report."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import rasterio
import torch
import yaml
from rasterio.transform import from_origin
from typer.testing import CliRunner

from swath import cli, config, encoders, pipeline, sensors
from swath.corpus import Chip, Corpus, CorpusInfo, CorpusWriter, Location, Part, Reader, SensorLayout, examine
from swath.encoders import image_statistics
from swath.errors import CheckpointError, CorpusError, RecipeError
from swath.products import embeddings
from swath.tasks.data import contract_of
from swath.views import Augment, Jitter, augment

OWN = Path(__file__).parent / "own"
RADAR, OPTICAL = "nisar-l-gcov", "planet-superdove-sr"
POLARISATIONS = ("HHHH", "HVHV")
LOCATIONS, PX = 40, 32
SPECTRA = np.array(
    [[0.06, 0.05, 0.045, 0.04, 0.03, 0.02, 0.015, 0.01], [0.03, 0.04, 0.07, 0.08, 0.06, 0.05, 0.14, 0.4]]
)
POWER = np.array([[0.004, 0.0004], [0.12, 0.025]])
"""Reflectance and gamma nought of water and of a crop."""


def image(location: int) -> tuple[np.ndarray, np.ndarray]:
    """Counts of both sensors at a location: water and a crop by turns, in pixels that differ."""
    rng, kind = np.random.default_rng(location), location % 2
    optical = SPECTRA[kind][:, None, None] * rng.uniform(0.8, 1.2, (1, PX, PX)) * 10_000
    looks = 4
    radar = POWER[kind][:, None, None] * rng.gamma(looks, 1 / looks, (2, PX, PX))
    return np.rint(optical).astype(np.uint16), radar.astype(np.float32)


@pytest.fixture(scope="module")
def recipe(tmp_path_factory) -> tuple[Path, Path]:
    """A recipe that declares neither sensor, and a file that declares both, beside generated GeoTIFFs."""
    folder = tmp_path_factory.mktemp("data")
    for location in range(LOCATIONS):
        name = f"p{location:02}_{['water', 'crop'][location % 2]}_20250601.tif"
        where = from_origin(500_000 + 5_000 * location, 5_600_000, 10, 10)
        for kind, pixels in zip(("optical", "radar"), image(location), strict=True):
            (folder / kind).mkdir(exist_ok=True)
            profile = {"driver": "GTiff", "height": PX, "width": PX, "count": len(pixels), "dtype": pixels.dtype.name}
            with rasterio.open(folder / kind / name, "w", crs="EPSG:32632", transform=where, **profile) as file:
                file.write(pixels)
    expression = r"(?P<id>p\d+)_(?P<cover>\w+)_(?P<date>\d{8})\.tif$"
    known = {name: yaml.safe_load((OWN / f"{name}.yaml").read_text()) for name in ("nisar", "superdove")}
    bands = [band["name"] for band in known["superdove"][OPTICAL]["bands"]]
    keys = [f"{OPTICAL}/{band}" for band in bands], [f"{RADAR}/{band}" for band in POLARISATIONS]
    images = [
        {"sensor": OPTICAL, "files": "optical/*.tif", "id": expression, "bands": bands},
        {"sensor": RADAR, "files": "radar/*.tif", "id": expression, "bands": list(POLARISATIONS)},
    ]
    document = {
        "name": "new-sensors",
        "data": str(folder),
        "corpus": {"source": {"name": "folder", "chip_px": PX, "images": images}},
        "tasks": {
            "cover": {
                "target": {"rule": "scalar", "column": "cover"},
                "inputs": {"optical": keys[0], "radar": keys[1]},
                "probes": [{"name": "knn"}, {"name": "band-wise", "probe": {"name": "knn"}}],
                "floors": ["majority", "image-statistics"],
            }
        },
    }
    (folder / "recipe.yaml").write_text(yaml.safe_dump(document))
    (folder / "sensors.yaml").write_text(yaml.safe_dump(known["nisar"] | known["superdove"]))
    return folder / "recipe.yaml", folder / "sensors.yaml"


@pytest.fixture(scope="module")
def run(recipe, tmp_path_factory):
    """The run of that recipe; afterwards nothing of the two sensors is known to the process."""
    folder = tmp_path_factory.mktemp("run") / "run"
    try:
        pipeline.evaluate(config.load(recipe[0], sensors=recipe[1]), folder)
    finally:
        forget()
    return folder


@pytest.fixture(autouse=True)
def elsewhere():
    """Each test begins and ends like a machine that never saw the files."""
    forget()
    yield
    forget()


def forget():
    for name in (RADAR, OPTICAL):
        sensors.forget(name)


def test_a_file_in_the_package_is_a_sensor(tmp_path):
    (tmp_path / "skysat_sr.py").write_text("""
from swath.sensors import Band, Scaling, Sensor

SENSOR = Sensor(
    name="skysat-sr", title="SkySat", kind="optical", family="skysat", dtype="uint16", nodata=0.0,
    bands=(Band("skysat-sr", "nir", 0.82, 0.16, 0.5, "reflectance", "nir"),),
    scaling=Scaling(1e-4), valid_range=(0.0, 1.6), rgb=("nir",), display_range=(0.0, 0.4),
)
""")
    # in a process of its own: the table of bands is made once and for all
    script = """
import json, sys
import numpy as np
import swath.sensors as sensors
sensors.__path__.append(sys.argv[1])
sensor = sensors.get("skysat-sr")
row = sensors.bands()[sensors.band_id("skysat-sr/nir")]
value = float(sensor.scaling_of("nir").physical(np.array([2500]))[0])
print(json.dumps(["skysat-sr" in sensors.names(), row.key, row.centre_um, value]))
"""
    said = subprocess.run([sys.executable, "-c", script, str(tmp_path)], capture_output=True, text=True, check=True)
    assert json.loads(said.stdout) == [True, "skysat-sr/nir", 0.82, pytest.approx(0.25)]


def test_without_the_file_the_recipe_says_what_to_do(recipe):
    with pytest.raises(RecipeError, match=f"unknown sensor '{OPTICAL}'") as error:
        config.load(recipe[0])
    assert "--sensors FILE" in str(error.value)


def test_the_command_line_takes_the_file_and_the_run_keeps_it(recipe, run, tmp_path):
    told = CliRunner().invoke(
        cli.app, ["corpus", "ingest", str(recipe[0]), "--sensors", str(recipe[1]), "--out", str(tmp_path)]
    )
    assert told.exit_code == 0, told.exception
    forget()
    kept = config.load(tmp_path / "recipe.yaml")  # what other processes of the run read
    assert sorted(kept.sensors) == [RADAR, OPTICAL]
    assert kept.digest == config.load(run / "recipe.yaml").digest
    assert CorpusInfo.read(tmp_path / "corpus").content_hash == CorpusInfo.read(run / "corpus").content_hash


def test_another_definition_is_another_corpus(recipe, run, tmp_path):
    other = yaml.safe_load(recipe[1].read_text())
    other[OPTICAL]["bands"][5]["width_um"] = 0.03
    (tmp_path / "other.yaml").write_text(yaml.safe_dump(other))
    corpus = pipeline.build_corpus(config.load(recipe[0], sensors=tmp_path / "other.yaml"), tmp_path / "run")
    forget()
    assert corpus.content_hash != Corpus.open(run / "corpus").content_hash


def test_the_corpus_alone_gives_the_physical_values(run):
    corpus = Corpus.open(run / "corpus")
    assert (sensors.get(RADAR).kind, sensors.get(OPTICAL).kind) == ("radar", "optical")
    read = Reader(corpus, {RADAR: POLARISATIONS, OPTICAL: ("red", "nir")})
    for location in (0, 7):
        counts, power = image(location)
        row = int(np.flatnonzero((corpus.locations["uid"] == f"p{location:02}").to_numpy())[0])
        batch = read.batch(np.array([row])).images
        np.testing.assert_allclose(batch[RADAR].pixels[0, 0].numpy(), 10 * np.log10(power), atol=1e-4)
        np.testing.assert_allclose(batch[OPTICAL].pixels[0, 0].numpy(), counts[[5, 7]] * 1e-4, atol=1e-6)
        assert batch[RADAR].valid.all()
    assert json.loads((run / "corpus" / "corpus.json").read_text())["format"] == 3  # an earlier swath refuses it
    mean = corpus.statistics[RADAR]["HVHV"].mean
    every = np.concatenate([10 * np.log10(image(i)[1][1].astype(float)).ravel() for i in range(LOCATIONS)])
    np.testing.assert_allclose(mean, every.mean(), rtol=1e-5)


def test_checks_find_nothing_wrong_and_what_is_wrong(run, tmp_path):
    found = [finding for section in examine(Corpus.open(run / "corpus")) for finding in section.findings]
    assert [str(one) for one in found if one.level == "error"] == []
    # linear power taken for decibels: what the counts of this radar are without the definition's `decibel`
    layout = SensorLayout(bands=POLARISATIONS, gsd_m=10, dtype="float32")
    with CorpusWriter(tmp_path / "wrong", {RADAR: layout}, chip_px=PX) as writer:
        for location in range(6):
            writer.append(part_of(location))
        writer.finish()
    found = [finding for section in examine(Corpus.open(tmp_path / "wrong")) for finding in section.findings]
    assert any("linear power taken as decibels" in one.what and one.where.startswith(RADAR) for one in found)


def part_of(location: int) -> Part:
    uid = f"p{location}"
    return Part([Location(uid)], [Chip(uid, RADAR, image(location)[1])])


def test_views_change_light_by_a_factor_and_decibels_by_a_summand(run):
    corpus, doubled = Corpus.open(run / "corpus"), Augment(brightness=Jitter(p=1.0, factor=(2.0, 2.0)))
    images = Reader(corpus, {RADAR: POLARISATIONS, OPTICAL: ("red", "nir")}).batch(np.arange(3)).images
    seen = {
        name: augment(one, doubled, torch.Generator().manual_seed(0), "view").image.pixels
        for name, one in images.items()
    }
    torch.testing.assert_close(seen[OPTICAL], 2 * images[OPTICAL].pixels)
    torch.testing.assert_close(seen[RADAR], images[RADAR].pixels + float(10 * np.log10(2)))


def test_the_table_and_the_report_know_radar_from_optical(run):
    table = pd.read_csv(run / "evaluate" / "table.csv")
    wise = table[table["probe"].str.startswith("band-wise")]
    sensors.read(OWN / "superdove.yaml")
    bands = [f"{OPTICAL}/{band.name}" for band in sensors.get(OPTICAL).bands]
    bands += [f"{RADAR}/{band}" for band in POLARISATIONS]
    assert set(wise["input"]) == {*bands, "all bands", "optical bands", "radar bands"}
    number = wise[wise["metric"] == "accuracy"].set_index(["input", "row"])["value"]
    row = "image statistics + linear"
    mean = np.mean([number[band, row] for band in bands if band.startswith(RADAR)])
    np.testing.assert_allclose(number["radar bands", row], mean)
    html = pipeline.report(run).read_text()
    assert "NISAR L-band GCOV (gamma nought)" in html
    assert "PlanetScope SuperDove SR" in html
    (run / "corpus").rename(run / "elsewhere")
    try:
        forget()
        assert "HVHV" in pipeline.report(run).read_text()  # the manifest tells, where the corpus is gone
        assert sensors.get(RADAR).kind == "radar"
    finally:
        (run / "elsewhere").rename(run / "corpus")


def test_an_encoder_carries_its_sensors(run, tmp_path):
    corpus = Corpus.open(run / "corpus")
    keys = tuple(f"{RADAR}/{band}" for band in POLARISATIONS)
    settings = image_statistics.Config()
    encoder = encoders.build(settings, contract_of(corpus, keys))
    encoders.save(encoder, settings, tmp_path / "encoder", provenance={})
    expected = embeddings.embed(tmp_path / "encoder", corpus)
    del corpus
    forget()
    assert encoders.load(tmp_path / "encoder").contract.bands == keys
    assert sensors.get(RADAR).kind == "radar"
    again = embeddings.embed(tmp_path / "encoder", run / "corpus")
    pd.testing.assert_frame_equal(again, expected)


def test_a_corpus_and_a_checkpoint_that_disagree_are_an_error_that_names_the_difference(run, tmp_path):
    corpus = Corpus.open(run / "corpus")
    settings = image_statistics.Config()
    encoder = encoders.build(settings, contract_of(corpus, (f"{OPTICAL}/nir",)))
    encoders.save(encoder, settings, tmp_path / "encoder", provenance={})
    forget()
    other = yaml.safe_load((OWN / "superdove.yaml").read_text())
    other[OPTICAL]["bands"][7]["centre_um"] = 0.842
    sensors.declare(other, "other.yaml")
    for refused, work in (
        (CorpusError, lambda: Corpus.open(run / "corpus")),
        (CheckpointError, lambda: encoders.load(tmp_path / "encoder")),
    ):
        with pytest.raises(refused, match=r"bands\.nir\.centre_um: was 0\.842, is 0\.865") as error:
            work()
        assert "other.yaml" in error.value.what


def test_what_holds_no_sensor_of_ones_own_says_nothing_of_them(tmp_path):
    with CorpusWriter(tmp_path / "c", {"modis": SensorLayout.of(sensors.get("modis"), ["sur_refl_b01"])}, chip_px=4):
        pass
    assert "definitions" not in (tmp_path / "c" / "corpus.json").read_text()
    document = {"name": "plain", "corpus": {"path": "."}}
    assert "sensors" not in config.dump(config.resolve(document))
