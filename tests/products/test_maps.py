"""Maps of a run: files that a GIS opens, with what the run predicted, in the codes of the labels."""

import json
from dataclasses import replace
from xml.etree import ElementTree

import numpy as np
import pandas as pd
import pytest
import rasterio

from swath.corpus import Corpus, LabelLayer, Part
from swath.corpus.labels.colours import class_colours
from swath.corpus.store.writer import CorpusWriter
from swath.errors import SwathError
from swath.products.maps import maps
from swath.tasks import schema
from tests.corpus.fakes import LAYOUTS, PX, location

PLACE = {"task": "cover", "input": "optical", "probe": "fine-tune", "row": "s4"}
PLACE |= {"role": "pretrained", "of_arm": "s4", "seed": 0, "fold": 0, "replicate": 0}


def make_run(folder, layer=None, uids=("a", "b", "c"), **target):
    """A run of `pixels` on maps in which every code of the layer occurs; returns labels and predictions as codes."""
    layer = layer or LabelLayer(classes={1: "tree", 2: "water"}, colours={1: "#00aa00"}, void=0)
    rng = np.random.default_rng(0)
    labels, said = {}, {}
    with CorpusWriter(folder / "corpus", LAYOUTS, PX, {"cover": layer}) as writer:
        for number, uid in enumerate(uids):
            place, _, _ = location(number)
            labels[uid] = rng.permutation(np.resize(np.array(layer.codes), PX * PX)).reshape(PX, PX)
            writer.append(Part([replace(place, uid=uid)], [], {"cover": labels[uid][None]}))
        writer.finish()
    (folder / "evaluate").mkdir()
    recipe = {"tasks": {"cover": {"target": {"rule": "pixels", "layer": "cover", **target}}}}
    (folder / "manifest.json").write_text(json.dumps({"name": "run", "recipe": recipe}))
    judged = {code: name for code, name in layer.labelled.items() if name not in target.get("ignore", ())}
    (folder / "evaluate" / "classes.json").write_text(json.dumps({"cover": list(judged.values())}))
    codes, records = list(judged), []
    for uid in uids:
        said[uid] = rng.choice(np.array(codes), (PX, PX))
        y_true, y_pred = (
            np.array([codes.index(code) if code in codes else -1 for code in values.ravel().tolist()], np.int16)
            for values in (labels[uid], said[uid])
        )
        records.append({**PLACE, "uid": uid, "height": PX, "y_true": y_true, "y_pred": y_pred})
    schema.MAPS.write(folder / "evaluate", pd.DataFrame(records))
    line = {**PLACE, "group": "g", "y_true": 0, "y_pred": 0, "count": 1, "score": None}
    schema.PREDICTIONS.write(folder / "evaluate", pd.DataFrame([{**line, "uid": uid} for uid in (*uids, "tested")]))
    return labels, said


@pytest.mark.parametrize(
    ("classes", "void", "kind", "nodata"),
    [
        ({1: "tree", 2: "water"}, 0, "uint8", 0),
        ({10: "tree", 200: "water"}, 255, "uint8", 255),
        ({0: "land", 1: "water"}, -1, "int16", -1),
        ({0: "land", 255: "water"}, None, "int16", -1),
        ({0: "land", 1: "water"}, None, "uint8", 255),
        ({11: "tree", 40_000: "water"}, 0, "uint16", 0),
        ({-9: "tree", 40_000: "water"}, -9999, "int32", -9999),
        ({3301010301: "wheat", 3301010600: "maize"}, 0, "int64", 0),
    ],
)
def test_maps_hold_the_codes_of_the_labels_in_the_locations_own_grid(tmp_path, classes, void, kind, nodata):
    layer = LabelLayer(classes=classes, void=void, colours={max(classes): "#123456"})
    labels, said = make_run(tmp_path / "run", layer)
    files = maps(tmp_path / "run", tmp_path / "out", task="cover", input="optical", row="s4")
    names = [f"{uid}{end}" for uid in "abc" for end in (".tif", ".tif.aux.xml", ".qml")]
    assert [file.name for file in files] == ["maps.png", *names]
    assert sorted(files) == sorted((tmp_path / "out").iterdir())
    for _, place in Corpus.open(tmp_path / "run/corpus").locations.iterrows():
        with rasterio.open(tmp_path / "out" / f"{place['uid']}.tif") as file:
            assert file.crs.to_string() == place["crs"]
            assert list(file.transform)[:6] == list(place["transform"])
            assert (set(file.dtypes), file.nodata) == ({kind}, nodata)
            np.testing.assert_array_equal(file.read(1), said[place["uid"]])
            np.testing.assert_array_equal(file.read(2), labels[place["uid"]])
            bands = ElementTree.parse(tmp_path / "out" / f"{place['uid']}.tif.aux.xml").getroot()
            rows = [[value.text for value in row] for row in bands[1].iter("Row")]
            assert [row[:2] for row in rows] == [[str(code), name] for code, name in classes.items()]
            assert file.tags()["classes"] == ", ".join(f"{code} {name}" for code, name in classes.items())
            if kind.startswith("uint"):
                assert file.colormap(1)[max(classes)] == (0x12, 0x34, 0x56, 255)
                other = class_colours(layer)[min(classes)]
                assert file.colormap(1)[min(classes)] == (*bytes.fromhex(other[1:]), 255)


def test_a_void_that_no_nodata_tag_can_hold_is_in_the_metadata(tmp_path):
    void = 2**62 + 1
    labels, _ = make_run(tmp_path / "run", LabelLayer(classes={1: "tree", 2: "water"}, void=void), uids=("a",))
    maps(tmp_path / "run", tmp_path / "out", task="cover", input="optical", row="s4")
    with rasterio.open(tmp_path / "out/a.tif") as file:
        assert (file.nodata, file.tags()["void"]) == (None, str(void))
        np.testing.assert_array_equal(file.read(2), labels["a"])


def test_classes_that_were_left_out_are_void(tmp_path):
    layer = LabelLayer(classes={1: "tree", 5: "cloud", 7: "water"}, void=0)
    labels, said = make_run(tmp_path / "run", layer, ignore=["cloud"])
    maps(tmp_path / "run", tmp_path / "out", task="cover", input="optical", row="s4")
    with rasterio.open(tmp_path / "out/b.tif") as file:
        np.testing.assert_array_equal(file.read(1), said["b"])
        np.testing.assert_array_equal(file.read(2), np.where(labels["b"] == 5, 0, labels["b"]))


def test_which_locations_are_written_is_said(tmp_path, capsys):
    make_run(tmp_path / "run")
    maps(tmp_path / "run", tmp_path / "out", task="cover", input="optical", row="s4")
    assert "3 of the 4 test locations (those that are most and least right) of a corpus of 3" in capsys.readouterr().err


def test_what_the_run_has_not_is_named(tmp_path):
    make_run(tmp_path / "run")
    with pytest.raises(SwathError, match="no maps of cover / radar / fine-tune / s4"):
        maps(tmp_path / "run", tmp_path / "out", task="cover", input="radar", row="s4")


def test_labels_that_are_not_the_runs_are_refused(tmp_path):
    """Such as those of a run from before codes below 0 were told from the last class."""
    make_run(tmp_path / "run")
    kept = pd.read_parquet(tmp_path / "run/evaluate/maps.parquet")
    kept.at[1, "y_true"] = np.maximum(kept.at[1, "y_true"], 1)
    kept.to_parquet(tmp_path / "run/evaluate/maps.parquet")
    with pytest.raises(SwathError, match=r"not those that the run was evaluated with(.|\n)*evaluate"):
        maps(tmp_path / "run", tmp_path / "out", task="cover", input="optical", row="s4")
    assert not (tmp_path / "out").exists()


def test_ids_and_classes_of_any_form_become_files_in_the_folder(tmp_path):
    """A slash, dots, a dollar: names of real collections."""
    uids = ("s2/tile-1", "../up", "/etc/x", "y" * 300)
    make_run(tmp_path / "run", LabelLayer(classes={1: "tree $a_", 2: "water $"}, void=0), uids)
    files = maps(tmp_path / "run", tmp_path / "out", task="cover", input="optical", row="s4")
    assert {file.parent for file in files} == {tmp_path / "out"}
    assert {"s2%2Ftile-1.tif", "%2E.%2Fup.tif", "%2Fetc%2Fx.tif"} < {file.name for file in files}
    assert sorted(files) == sorted((tmp_path / "out").iterdir())
    assert len(files) == 13
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out", "run"]


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("evaluate/maps.parquet", b"PAR1" + bytes(100) + b"PAR1", "the table cannot be read"),
        ("evaluate/classes.json", b"{", "labels of task cover .* are not those"),
        ("manifest.json", b"{}", "does not say which label layer task cover has"),
    ],
)
def test_a_damaged_run_is_said(tmp_path, name, content, said):
    make_run(tmp_path)
    (tmp_path / name).write_bytes(content)
    with pytest.raises(SwathError, match=said):
        maps(tmp_path, tmp_path / "out", task="cover", input="optical", row="s4")


def test_a_table_with_a_damaged_page_is_said(tmp_path):
    make_run(tmp_path)
    path = tmp_path / "evaluate" / "maps.parquet"
    content = bytearray(path.read_bytes())
    content[4:60] = bytes(56)  # the head of the first page
    path.write_bytes(content)
    with pytest.raises(SwathError, match="the table cannot be read"):
        maps(tmp_path, tmp_path / "out", task="cover", input="optical", row="s4")
