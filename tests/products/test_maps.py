"""Maps of a run: files that a GIS opens, with what the run predicted."""

import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import rasterio

from swath.corpus import Part
from swath.corpus.targets import VOID
from swath.errors import SwathError
from swath.products.maps import NODATA, maps
from tests.corpus.fakes import PX, location, make, writer


@pytest.fixture
def run(tmp_path):
    folder = tmp_path / "run"
    corpus = make(folder / "corpus", count=3)
    (folder / "evaluate").mkdir()
    (folder / "manifest.json").write_text(json.dumps({"name": "run", "corpus": {"path": str(corpus.path)}}))
    (folder / "evaluate" / "classes.json").write_text(json.dumps({"cover": ["tree", "water"]}))
    rng = np.random.default_rng(0)
    place = {"task": "cover", "input": "optical", "probe": "fine-tune", "row": "s4", "kind": "pretrained", "seed": 0}
    records = [
        {
            **place,
            "uid": uid,
            "height": PX,
            "y_true": rng.integers(VOID, 2, PX * PX).astype(np.int16),
            "y_pred": rng.integers(0, 2, PX * PX).astype(np.int16),
        }
        for uid in corpus.locations["uid"]
    ]
    pd.DataFrame(records).to_parquet(folder / "evaluate" / "maps.parquet")
    return folder, corpus, records


def test_each_location_is_a_geotiff_in_its_own_grid(run, tmp_path):
    folder, corpus, records = run
    files = maps(folder, tmp_path / "out", task="cover", input="optical", row="s4")
    assert files[0].name == "maps.png"
    assert len(files) == 1 + len(records)
    for record, (_, place) in zip(records, corpus.locations.iterrows(), strict=True):
        with rasterio.open(tmp_path / "out" / f"{record['uid']}.tif") as file:
            assert file.crs.to_string() == place["crs"]
            assert list(file.transform)[:6] == list(place["transform"])
            assert file.tags()["classes"] == "0 tree, 1 water"
            label = np.asarray(record["y_true"]).reshape(PX, PX)
            np.testing.assert_array_equal(file.read(1), np.asarray(record["y_pred"]).reshape(PX, PX))
            np.testing.assert_array_equal(file.read(2), np.where(label == VOID, NODATA, label))


def test_what_the_run_has_not_is_named(run, tmp_path):
    with pytest.raises(SwathError, match="no maps of cover / radar / fine-tune / s4"):
        maps(run[0], tmp_path / "out", task="cover", input="radar", row="s4")


def test_ids_and_classes_of_any_form_become_files_in_the_folder(tmp_path):
    """A slash, dots, a dollar: names of real collections."""
    uids = ["s2/tile-1", "../up", "/etc/x", "y" * 300]
    folder = tmp_path / "run"
    with writer(folder / "corpus") as w:
        for number, uid in enumerate(uids):
            place, _, codes = location(number)
            w.append(Part([replace(place, uid=uid)], [], {"cover": codes[None]}))
        w.finish()
    (folder / "evaluate").mkdir()
    (folder / "manifest.json").write_text(json.dumps({"name": "run"}))
    (folder / "evaluate" / "classes.json").write_text(json.dumps({"cover": ["tree $a_", "water $"]}))
    grid = np.zeros(PX * PX, np.int16)
    place = {"task": "cover", "input": "optical", "probe": "fine-tune", "row": "$x_", "kind": "pretrained", "seed": 0}
    records = [{**place, "uid": uid, "height": PX, "y_true": grid, "y_pred": grid} for uid in uids]
    pd.DataFrame(records).to_parquet(folder / "evaluate" / "maps.parquet")
    files = maps(folder, tmp_path / "out", task="cover", input="optical", row="$x_")
    assert {file.parent for file in files} == {tmp_path / "out"}
    assert {"s2%2Ftile-1.tif", "%2E.%2Fup.tif", "%2Fetc%2Fx.tif"} < {file.name for file in files}
    assert sorted(files) == sorted((tmp_path / "out").iterdir())
    assert len(files) == 5
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out", "run"]
