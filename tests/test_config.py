"""Recipes: strict, resolved to exactly defaults + document + overrides, with errors that help."""

import copy
import json
import os
from types import SimpleNamespace

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from swath import config, recipes
from swath.errors import RecipeError
from swath.recipes import shipped, source_text


@pytest.fixture
def write(tmp_path):
    def _write(text: str):
        path = tmp_path / "mine.yaml"
        path.write_text(text)
        return path

    return _write


@pytest.mark.parametrize("name", shipped())
def test_every_shipped_recipe_is_valid_named_and_described(name):
    recipe = config.load(name)
    assert recipe.name == name
    assert len(recipe.description) > 20
    assert source_text(name)[1].startswith("#"), "the header says the command and the expected time"


def test_a_file_in_the_folder_is_a_recipe(tmp_path, monkeypatch):
    (tmp_path / "mine.yaml").write_text("name: mine\ncorpus: {source: {name: synth}}\nseeds: [3]\n")
    monkeypatch.setattr(recipes, "resources", SimpleNamespace(files=lambda _: tmp_path))
    assert shipped() == ["mine"]
    assert (config.load("mine").name, config.load("mine").seeds) == ("mine", [3])


@pytest.mark.parametrize("name", shipped())
def test_dump_reads_back_to_the_same_recipe(name, tmp_path):
    recipe = config.load(name)
    path = tmp_path / "resolved.yaml"
    path.write_text(config.dump(recipe))
    again = config.load(path)
    assert again == recipe
    assert again.digest == recipe.digest


def test_override_changes_exactly_what_it_says():
    base = config.load("quickstart").model_dump()
    changed = config.load("quickstart", ["seeds=[7]"]).model_dump()
    expected = copy.deepcopy(base)
    expected["seeds"] = [7]
    assert changed == expected


def test_override_of_the_common_section_reaches_every_arm():
    recipe = config.load("s4-canada-losses", ["pretrain.training.epochs=3"])
    assert len(recipe.arms) > 1
    assert {arm.training.epochs for arm in recipe.arms.values()} == {3}


def test_the_place_of_the_data_does_not_change_the_digest():
    assert config.load("hls-landcover", ["data=/a"]).digest == config.load("hls-landcover", ["data=/b"]).digest
    assert config.load("hls-landcover", ["replicates.trainings=1"]).digest != config.load("hls-landcover").digest


def test_unknown_key_suggests_the_nearest_and_names_the_line(write):
    text = source_text("quickstart")[1].replace("seeds:", "seed:")
    line = next(i for i, row in enumerate(text.splitlines(), 1) if row.startswith("seed:"))
    with pytest.raises(RecipeError, match=rf"line {line}: seed: unknown key; did you mean 'seeds'\?"):
        config.load(write(text))


def test_unknown_key_in_an_arm_suggests_the_nearest():
    with pytest.raises(RecipeError, match=r"training\.epoch: unknown key; did you mean 'epochs'\?"):
        config.load("quickstart", ["pretrain.training.epoch=3"])


def test_unknown_key_in_a_list_suggests_the_nearest_and_is_the_only_complaint():
    with pytest.raises(RecipeError, match=r"images\.0\.sensr: unknown key; did you mean 'sensor'\?") as error:
        config.load("hls-landcover", ["corpus.source.images.0.sensr=hls"])
    assert "too short" not in str(error.value)
    assert "at least 1 item" not in str(error.value)


def test_unknown_key_of_one_of_several_kinds_suggests_the_nearest():
    with pytest.raises(RecipeError, match=r"scaling\.numbers\.ofset: unknown key; did you mean 'offset'\?"):
        config.load("hls-landcover", ["corpus.source.images.0.scaling={scale: 1.0, ofset: 1.0}"])


def test_what_comes_nearest_to_one_of_several_types_was_meant():
    with pytest.raises(RecipeError) as error:
        config.load("build-s1-s2-series", ["corpus.source.where.area=[10.0, 48.0, 10.2]"])
    assert error.value.what.endswith("where.uniform.area.3: field required")
    assert "\n" not in error.value.what


def test_unknown_method_suggests_the_nearest():
    with pytest.raises(RecipeError, match=r"unknown name 'byool'; did you mean 'byol'\?"):
        config.load("quickstart", ["pretrain.method={name: byool}"])


def test_value_out_of_range_names_the_key():
    with pytest.raises(RecipeError, match=r"training\.epochs.*given: -1"):
        config.load("quickstart", ["pretrain.training.epochs=-1"])


def test_text_for_a_number_is_an_error():
    with pytest.raises(RecipeError, match=r"seeds\.0"):
        config.load("quickstart", ["seeds=['3']"])


def test_unknown_recipe_suggests_the_nearest():
    with pytest.raises(RecipeError, match="quickstart"):
        config.load("quikstart")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: 1\na: 2\n", "given twice"),
        ("- 1\n", "not a mapping"),
        ("a: [1\n", "not valid YAML"),
        ("a: !!python/object/apply:os.system ['true']\n", "not valid YAML"),
    ],
)
def test_documents_that_are_not_recipes(write, text, message):
    with pytest.raises(RecipeError, match=message):
        config.load(write(text))


@pytest.mark.parametrize("override", ["novalue", "=3", "a..b=1", "seeds.9=1", "name.x=1"])
def test_overrides_that_cannot_be_understood(override):
    with pytest.raises(RecipeError):
        config.load("quickstart", [override])


def test_floors_are_of_arms_that_are_there():
    with pytest.raises(RecipeError, match="no arm 's5'; did you mean 's4'"):
        config.load("s4-canada", ["tasks.crops.floor_arms=[s5]"])


def test_another_plug_in_takes_nothing_from_the_common_section():
    common = {"method": {"name": "byol", "hidden": 256}, "training": {"epochs": 5}}
    merged = config.merge(common, {"method": {"name": "simclr"}})
    assert merged == {"method": {"name": "simclr"}, "training": {"epochs": 5}}
    assert config.merge(common, {"method": {"hidden": 8}})["method"] == {"name": "byol", "hidden": 8}


nested = st.recursive(st.integers(), lambda child: st.dictionaries(st.sampled_from("abc"), child), max_leaves=8)
documents = st.dictionaries(st.sampled_from("abc"), nested)


@given(documents)
def test_merging_with_nothing_and_with_itself_changes_nothing(document):
    assert config.merge(document, {}) == document
    assert config.merge({}, document) == document
    assert config.merge(document, document) == document


@given(documents, documents)
def test_merging_changes_neither_side(common, own):
    before = copy.deepcopy((common, own))
    config.merge(common, own)
    assert (common, own) == before


def test_schema_is_json_and_knows_every_method():
    schema = json.dumps(config.schema())
    for name in ("byol", "simclr", "moco-v2", "rs-byol-1"):
        assert f'"{name}"' in schema


def test_recipes_are_data_only():
    for name in shipped():
        assert yaml.safe_load(source_text(name)[1])


@pytest.mark.parametrize("pattern", ["*.tif", "*tif", "**/*.tif"])
def test_a_pattern_without_quotes_is_explained(tmp_path, pattern):
    path = tmp_path / "mine.yaml"
    path.write_text(f"name: x\ncorpus:\n  source: {{name: folder, images: [{{files: {pattern}}}]}}\n")
    with pytest.raises(RecipeError, match=r"line 3(.|\n)*put quotes around a value that starts with \*"):
        config.load(path)


@pytest.mark.parametrize(
    ("override", "said"),
    [
        ("arms=[a, b]", 'arms: should be a mapping of keys to values (given: ["a", "b"])'),
        ("arms=[]", "arms: should be a mapping"),
        ("arms.a=5", "arms.a: should be a mapping of keys to values (given: 5)"),
        ("pretrain=5", "pretrain: should be a mapping of keys to values (given: 5)"),
        ("pretrain=0", "pretrain: should be a mapping"),
        ("pretrain.encoder=null", "arms.simclr.encoder: should be a mapping of keys to values (given: null)"),
        ("pretrain.method.name={a: 1}", 'method.name: unknown name {"a": 1}; known: barlow-twins'),
        ("seeds=[-1]", "seeds.0: it should be greater than or equal to 0"),
        ("seeds=[4294967296]", "seeds.0: it should be less than 4294967296"),
        ("seeds=[9223372036854775808]", "the number is too large"),
        ("seeds=0", "seeds: should be a list (given: 0)"),
        ("seeds=[true]", "seeds.0: should be a whole number (given: true)"),
        ("split.seed=-1", "split.seed: it should be greater than"),
        ("description=5", "description: should be text (given: 5)"),
        ("rotate=1", "rotate: should be true or false (given: 1)"),
        ("pretrain.training.epochs=2021-02-30", "this is no date"),
        ("seeds=&a [*a]", "a section that it is a part of"),
        (".".join("a" * 3000) + "=1", "cannot understand the override"),
        ("seeds.²=1", "is not a position in a list of 5"),
        (f"seeds.{'9' * 5000}=1", "is not a position in a list of 5"),
        (f"name={'x' * 300}", "at most 120 characters"),
        ("arms={'a/b': {}}", "'a/b' is not a usable name"),
        (f"arms={{{'x' * 130}: {{}}}}", "is not a usable name"),
    ],
)
def test_odd_values_are_messages_in_the_words_of_a_recipe(override, said):
    with pytest.raises(RecipeError) as caught:
        config.load("quickstart", [override])
    assert said in str(caught.value)
    assert "Input should" not in str(caught.value)


def test_arms_may_be_called_as_tables_call_what_is_missing(tmp_path):
    recipe = config.load("quickstart", ["arms={NA: {}, 'null': {}, nan: {}, '1': {}}", "claims=null"])
    (tmp_path / "again.yaml").write_text(config.dump(recipe))
    assert list(config.load(tmp_path / "again.yaml").arms) == ["NA", "null", "nan", "1"]


def test_a_file_that_is_no_text_is_named(tmp_path):
    cases = {"latin.yaml": "name: caf\xe9".encode("latin-1"), "wide.yaml": "name: x".encode("utf-16")}
    for name, content in cases.items():
        (tmp_path / name).write_bytes(content)
        with pytest.raises(RecipeError, match=r"byte \d+ is no text in UTF-8"):
            config.load(tmp_path / name)
    (tmp_path / "bom.yaml").write_bytes(b"\xef\xbb\xbf" + source_text("quickstart")[1].encode())
    assert config.load(tmp_path / "bom.yaml") == config.load("quickstart")


def test_what_is_no_file_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "pipe.yaml")
    (tmp_path / "folder.yaml").mkdir()
    (tmp_path / "loop.yaml").symlink_to(tmp_path / "loop.yaml")
    names = ["pipe.yaml", "folder.yaml", "loop.yaml", "missing.yaml", "x" * 300 + ".yaml", "nul\0.yaml"]
    for name in names:
        with pytest.raises(RecipeError, match="cannot read the recipe"):
            config.load(tmp_path / name)


def test_a_key_that_is_missing_names_its_choices():
    choices = "tm_toa, etm_toa, etm_sr, oli_tirs_toa, oli_sr"
    with pytest.raises(RecipeError, match=rf"source\.\S*sensor: is missing; one of {choices}"):
        config.resolve_source("ssl4eo-l-benchmark", [])


def test_the_gauges_task_stands_in_the_resolved_recipe_and_is_the_first_if_nothing_is_said():
    assert config.load("quickstart").knn_task == next(iter(config.load("quickstart").tasks))
    assert yaml.safe_load(config.dump(config.load("quickstart")))["knn_task"] == "landcover"
    assert config.load("quickstart", ["knn_task=null"]).knn_task is None
    with pytest.raises(RecipeError, match="knn_task: no task 'landcovr'; did you mean 'landcover'"):
        config.load("quickstart", ["knn_task=landcovr"])


SERIES = """
name: series
corpus: {path: c}
pretrain:
  encoder: {name: unet-3d}
  method: {name: s4}
  views: {name: augmented-series, bands: [sentinel-2-l2a/B04], KEY: 24}
arms: {s4: {}}
tasks:
  crops: {target: {rule: dominant, layer: landcover}, inputs: {optical: [sentinel-2-l2a/B04]}, dates: all, KEY: 12}
"""


def test_a_key_and_its_clearer_name_are_one(write):
    own, clearer = (config.load(write(SERIES.replace("KEY", key))) for key in ("most", "max_dates"))
    assert own == clearer
    assert own.tasks["crops"].most == 12
    assert own.arms["s4"].views.most == 24
    assert "max_dates" not in config.dump(clearer), "digests of finished results are of the keys' own names"


@pytest.mark.parametrize("key", ["most", "max_dates"])
@pytest.mark.parametrize(
    "override",
    [
        "pretrain.views.max_dates=4",
        "pretrain.views.most=4",
        "arms.s4.views.max_dates=4",
        "arms.s4.views={name: augmented-series, bands: [sentinel-2-l2a/B04], max_dates: 4}",
    ],
)
def test_an_override_by_either_name_counts(write, key, override):
    assert config.load(write(SERIES.replace("KEY", key)), [override]).arms["s4"].views.most == 4


def test_a_key_by_both_of_its_names_is_refused(write):
    with pytest.raises(RecipeError, match=r"tasks\.crops says most and max_dates, which are one key"):
        config.load(write(SERIES.replace("KEY: 12", "most: 12, max_dates: 12").replace("KEY", "most")))


def test_clearer_names_stand_only_where_the_key_does(write):
    with pytest.raises(RecipeError, match=r"corpus\.max_dates: unknown key"):
        config.load(write(SERIES.replace("KEY", "most")), ["corpus.max_dates=3"])


def test_a_clearer_name_is_named_by_its_line(write):
    with pytest.raises(RecipeError, match=r"line 7: arms\.s4\.views\..*most: "):
        config.load(write(SERIES.replace("KEY: 24", "max_dates: 0").replace("KEY", "most")))
