"""From what a recipe says of a sweep to its arms."""

import pytest
import yaml

from swath import config
from swath.errors import RecipeError

BASE = ["arms=null", "claims=null"]


def load(sweep: str, *more: str) -> config.Recipe:
    return config.load("quickstart", [*BASE, f"sweep={sweep}", *more])


def test_arms_are_the_combinations_put_over_what_is_common():
    recipe = load(
        "{axes: {method: [simclr, {name: byol, momentum: 0.9}], training.batch_size: [64, 128]}, samples: 5000}"
    )
    assert list(recipe.arms) == ["simclr_64", "simclr_128", "byol_64", "byol_128"]
    common = config.load("quickstart").arms["simclr"]
    assert recipe.arms["simclr_128"].method == common.method
    byol = recipe.arms["byol_64"]
    assert (byol.method.name, byol.method.momentum, byol.training.batch_size) == ("byol", 0.9, 64)
    assert {arm.training.samples for arm in recipe.arms.values()} == {5000}
    assert byol.views == common.views
    assert byol.encoder == common.encoder


def test_a_level_that_names_a_plugin_does_not_undo_what_refines_it():
    mild, wide = (f"{{views: {{augment: {{crop: {{scale: [{least}, 1.0]}}}}}}}}" for least in (0.5, 0.1))
    chip, dates = (f"{{views: {{name: {name}}}}}" for name in ("two-crops", "two-dates"))
    axes = f"{{crops: {{mild: {mild}, wide: {wide}}}, positives: {{chip: {chip}, dates: {dates}}}}}"
    recipe = load(f"{{axes: {axes}}}", "pretrain.views={bands: [sentinel-2-l2a/B02]}")
    assert {name: arm.views.name for name, arm in recipe.arms.items()} == {
        "mild_chip": "two-crops",
        "mild_dates": "two-dates",
        "wide_chip": "two-crops",
        "wide_dates": "two-dates",
    }
    assert recipe.arms["wide_dates"].views.augment.crop.scale == (0.1, 1.0)
    assert recipe.arms["mild_chip"].views.augment.crop.scale == (0.5, 1.0)


def test_an_axis_over_a_name_keeps_the_other_settings():
    common = config.load("quickstart").arms["simclr"].views
    recipe = load("{axes: {views.name: [two-crops, two-dates]}}")
    assert [arm.views.name for arm in recipe.arms.values()] == ["two-crops", "two-dates"]
    assert {arm.views.augment for arm in recipe.arms.values()} == {common.augment}


def test_a_resolved_sweep_is_read_back_as_the_same():
    recipe = load(
        "{axes: {training.epochs: [1, 2], encoder.model: [resnet18, resnet50]}, design: {name: random, arms: 3}, "
        "pairs: []}"
    )
    again = config.resolve(yaml.safe_load(config.dump(recipe)))
    assert again == recipe
    assert again.digest == recipe.digest
    assert len(again.arms) == 3


def test_what_is_left_out_is_written_as_in_the_axes():
    axes = "{training.batch_size: [64, 128], training.compile: [true, false]}"
    recipe = load(f"{{axes: {axes}, without: [{{training.batch_size: 64, training.compile: true}}]}}")
    assert list(recipe.arms) == ["64_false", "128_true", "128_false"]


def test_recipes_without_one_say_nothing_of_it():
    assert "sweep" not in config.load("quickstart").model_dump(mode="json")
    assert "pairs" not in load("{axes: {training.epochs: [1, 2]}}").model_dump(mode="json")["sweep"]
    assert "samples" not in config.load("quickstart").model_dump(mode="json")["arms"]["simclr"]["training"]


@pytest.mark.parametrize(
    ("sweep", "message"),
    [
        ("{axes: {method: [simclr]}}", "1 level"),
        ("{axes: {method: [simclr, byoll]}}", "unknown name 'byoll'; did you mean 'byol'"),
        ("{axes: {method: [simclr, byol], m: {a: {method: {name: byol}}, b: {}}}}", "both set method.name"),
        ("{axes: {encoder: [{model: resnet18}, {model: resnet50}]}}", "no name of its own"),
        ("{axes: {method: [{name: simclr}, {name: simclr, layers: 3}]}}", "the same name"),
        ("{axes: {method: simclr}}", "mapping"),
        ("{axes: {}}", "at least 1"),
        ("{axs: {}}", "did you mean 'axes'"),
        ("{axes: {method: [simclr, byol]}, without: [{method: byo}]}", "did you mean 'byol'"),
        ("{axes: {method: [simclr, byol]}, without: [{methods: byol}]}", "did you mean 'method'"),
        ("{axes: {method: [simclr, byol]}, pairs: [[method, methd]]}", "did you mean 'method'"),
        ("{axes: {method: [simclr, byol]}, pairs: [[method, method]]}", "no pair with itself"),
        (
            "{axes: {method: [simclr, byol], training.epochs: [1, 2]}, "
            "pairs: [[method, training.epochs], [training.epochs, method]]}",
            "name each pair once",
        ),
        ("{axes: {method: [simclr, byol]}, design: {name: fracton}}", "did you mean 'fraction'"),
        ("{axes: {training.optimizer.lr: [0.1, -1]}}", "greater than 0"),
        ("{axes: {training.epochs: [1, 2]}, confirm: -1}", "greater than or equal to 0"),
        ("{axes: {a: {b.c: {}, b-c: {}}}}", "both be called b-c"),
        ("{axes: {training.optimizer.lr: [1.0, 1]}}", "1-0 and 1 are the same training"),
        ("{axes: {method: {a: {}, b: {method: {name: simclr}}}}}", "a and b are the same training"),
        ("{axes: {training.epochs: [1, 5]}, samples: 900}", "1 and 5 are the same training"),
        ("{axes: {training.samples: [100, 500]}, samples: 900}", "100 and 500 are the same training"),
        ("{axes: {value: {a: {training: {epochs: 1}}, b: {training: {epochs: 2}}}}}", "columns of arms.csv"),
        ("{axes: {'': {a: {training: {epochs: 1}}, b: {training: {epochs: 2}}}}}", "need names"),
    ],
)
def test_what_is_wrong_is_said(sweep, message):
    with pytest.raises(RecipeError) as raised:
        load(sweep)
    assert message in str(raised.value)


def test_what_is_wrong_with_a_level_is_said_once():
    with pytest.raises(RecipeError) as raised:
        load("{axes: {training.epochs: [0, 1], training.batch_size: [32, 64, 128]}}")
    assert str(raised.value).count("greater than or equal to 1") == 1


def test_a_run_keeps_the_fraction_that_it_began_with():
    """An earlier swath, or another machine, may have chosen others of the combinations."""
    recipe = load(
        "{axes: {training.epochs: [1, 2, 3], encoder.model: [resnet18, resnet50]}, design: {name: fraction, arms: 4}, "
        "pairs: []}"
    )
    document = yaml.safe_load(config.dump(recipe))
    first, *others = document["arms"]
    lost = next(name for name in recipe.sweep.combinations() if name not in document["arms"])
    document["arms"] = {lost: document["arms"][first]} | {name: document["arms"][name] for name in others}
    assert list(config.resolve(document).arms) == [lost, *others]
    with pytest.raises(RecipeError, match="a sweep makes the arms"):
        config.resolve(document | {"arms": {name: document["arms"][name] for name in others}})


def test_arms_beside_a_sweep_are_refused():
    with pytest.raises(RecipeError, match="a sweep makes the arms"):
        config.load("quickstart", ["claims=null", "sweep={axes: {training.epochs: [1, 2]}}"])


# ----------------------------------------------------------------------------------------------- on the command line


def test_axes_beside_a_recipe_of_one_arm():
    recipe = config.load_sweep("quickstart", ["training.epochs=[1, 2]", "method=[simclr, byol]"], ["seeds=[3]"])
    assert list(recipe.arms) == ["1_simclr", "1_byol", "2_simclr", "2_byol"]
    assert recipe.claims is None
    assert recipe.seeds == [3]


@pytest.mark.parametrize(
    ("recipe", "axes", "message"),
    [
        ("quickstart", [], "states no sweep"),
        ("quickstart", ["method"], "cannot understand the axis"),
        ("quickstart", ["method=simclr"], "cannot understand the axis"),
        ("rs-byol-1", ["data=[a, b]"], "unknown key"),
        ("ombria", ["training.epochs=[1, 2]"], "a sweep starts from one"),
    ],
)
def test_axes_that_cannot_be(recipe, axes, message):
    with pytest.raises(RecipeError, match=message):
        config.load_sweep(recipe, axes)
