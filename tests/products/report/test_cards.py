"""Cards say of corpus and encoders what their files say."""

import json
import shutil

import numpy as np
import pandas as pd
import pytest

from swath.corpus import Chip, Corpus, CorpusWriter, Location, Part, SensorLayout
from swath.encoders import load_card
from swath.products.report import _cards, report
from swath.products.tables import load, panels_of
from tests.products.indices import saved


@pytest.fixture(scope="module")
def written(finished_run, tmp_path_factory):
    """A run with two trainings of `byol` saved, and its cards."""
    folder = shutil.copytree(finished_run, tmp_path_factory.mktemp("cards") / "fields")
    for seed in (0, 1):
        saved(folder / "pretrain" / "byol" / f"seed-{seed}" / "encoder")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("swath.products.report.all_sections", only("models", "data"))
        page = report(folder).read_text(encoding="utf-8")
    return folder, page


def only(*names):
    from swath.products.report import all_sections

    return lambda problems: {name: section for name, section in all_sections(problems).items() if name in names}


def card(folder, name):
    return json.loads((folder / "cards" / f"{name}.json").read_text(encoding="utf-8"))


def test_the_data_card_agrees_with_the_corpus(written):
    folder, page = written
    said, corpus = card(folder, "data"), Corpus.open(folder / "corpus")
    assert said["locations"] == len(corpus.locations) == 240
    assert said["groups"] == 80
    assert said["parts"] == {"train": 96, "val": 24, "test": 120}
    lon, lat = corpus.locations["lon"], corpus.locations["lat"]
    np.testing.assert_allclose(said["box"], [lon.min(), lat.min(), lon.max(), lat.max()], atol=1e-5)
    optical = said["sensors"]["sentinel-2-l2a"]
    assert [band["band"] for band in optical["bands"]] == [f"sentinel-2-l2a/{b}" for b in ("B02", "B03", "B04", "B08")]
    assert {band["unit"] for band in optical["bands"]} == {"reflectance"}
    dates = corpus.chips.loc[corpus.chips["sensor"] == "sentinel-2-l2a", "datetime"]
    assert optical["period"] == [f"{dates.min():%Y-%m-%d}", f"{dates.max():%Y-%m-%d}"]
    assert optical["dates_per_location"] == [2, 2]
    assert said["labels"] == {"cover": ["water", "forest", "grass", "maize", "built-up"]}
    months = set(range(1, 13)) - set(corpus.chips["datetime"].dt.month)
    assert said["limits"][0] == f"No chip was taken in {', '.join(_cards.MONTHS[m - 1] for m in sorted(months))}."
    assert said["limits"][0] in page


def test_locations_without_a_chip_of_a_sensor_have_no_date_of_it(tmp_path):
    from swath.products.report.sections import data

    layouts = {
        name: SensorLayout(bands=("B02",), gsd_m=10, dtype="uint16") for name in ("sentinel-2-l2a", "sentinel-2-l1c")
    }
    pixels = np.full((1, 2, 2), 500, np.uint16)
    chips = [
        Chip("a", "sentinel-2-l2a", pixels),
        Chip("a", "sentinel-2-l2a", pixels),
        Chip("b", "sentinel-2-l1c", pixels),
    ]
    with CorpusWriter(tmp_path / "c", layouts, 2) as writer:
        writer.append(Part([Location(uid=uid, group=uid) for uid in "ab"], chips))
        writer.finish()
    corpus = Corpus.open(tmp_path / "c")
    assert _cards._sensor(corpus, "sentinel-2-l2a")["dates_per_location"] == [0, 2]
    assert _cards._sensor(corpus, "sentinel-2-l1c")["dates_per_location"] == [0, 1]
    shown = data._sensor(_cards._sensor(corpus, "sentinel-2-l2a"))
    assert (shown["dates"], shown["bands"], shown["period"]) == ("0–2", "B02", "not dated")


def test_a_model_card_agrees_with_checkpoints_and_tables(written):
    folder, page = written
    said = card(folder, "model-byol")
    contract = load_card(folder / "pretrain" / "byol" / "seed-0" / "encoder").contract
    assert [band["band"] for band in said["input"]["bands"]] == list(contract.bands)
    assert [band["unit"] for band in said["input"]["bands"]] == list(contract.units)
    assert [band["mean"] for band in said["input"]["bands"]] == list(contract.mean)
    assert said["seeds"] == [0, 1]
    assert len(said["weights_sha256"]) == 2
    table = pd.read_csv(folder / "evaluate" / "table.csv")
    own = table[(table["row"] == "byol") & (table["metric"] == "accuracy")]
    assert [one["value"] for one in said["results"]] == pytest.approx(own["value"].tolist())
    assert "What it saw in training is not known." in said["limits"]
    claims = pd.read_csv(folder / "evaluate" / "claims.csv")
    assert [one["than"] for one in said["claims"]] == claims.loc[claims["better"] == "byol", "than"].tolist()
    assert said["limits"][0] in page
    # arms whose checkpoints are not there have what the tables say
    assert card(folder, "model-simclr")["input"] is None
    assert card(folder, "model-simclr")["results"]


def test_a_damaged_checkpoint_becomes_a_note(written, tmp_path):
    folder = shutil.copytree(written[0], tmp_path / "fields")
    (folder / "pretrain" / "byol" / "seed-1" / "encoder.json").write_text("{")
    run, problems = load(folder), []
    from swath.products.report import Material
    from swath.products.report.sections import models

    shown = models.content(Material(run, panels_of(run), None, None, problems))
    assert [one["name"] for one in shown["models"]] == ["simclr", "moco-v2"]
    assert "The encoder byol has no card: the encoder's card is damaged" in problems[0]


@pytest.mark.parametrize(
    ("lon", "lat", "box"),
    [
        ([179.0, -179.0, 178.0], [-10.0, -12.0, -11.0], [178.0, -12.0, -179.0, -10.0]),
        ([-1.0, 3.0], [50.0, 51.0], [-1.0, 50.0, 3.0, 51.0]),
        ([5.0], [1.0], [5.0, 1.0, 5.0, 1.0]),
        ([np.nan], [np.nan], None),
    ],
)
def test_a_box_is_the_smallest_also_across_the_antimeridian(lon, lat, box):
    assert _cards.box(pd.DataFrame({"lon": lon, "lat": lat})) == box


def test_what_is_not_finite_is_null():
    assert json.loads(_cards.as_json({"a": np.float32("nan"), "b": [float("inf"), np.int64(3)]})) == {
        "a": None,
        "b": [None, 3],
    }
