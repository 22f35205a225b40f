import pytest
from pydantic import ValidationError

from swath.tasks import probes
from swath.tasks.probes import band_wise, mlp
from tests.tasks.probes.test_every_probe import clouds

NAMED = {
    "optical": ["sentinel-2-l2a/B02", "sentinel-2-l2a/B03"],
    "both": ["sentinel-2-l2a/B03", "sentinel-1-grd/VV"],
}


def test_every_band_of_the_task_is_an_input_of_its_own():
    assert band_wise.Config().inputs(NAMED) == {
        key: [key] for key in ("sentinel-2-l2a/B02", "sentinel-2-l2a/B03", "sentinel-1-grd/VV")
    }
    few = band_wise.Config(bands=("sentinel-1-grd/VV",))
    assert list(few.inputs(NAMED)) == ["sentinel-1-grd/VV"]


def test_groups_are_told_by_unit_or_as_asked():
    found = band_wise.Config().input_groups(NAMED)
    assert list(found) == ["all", "optical", "radar"]
    assert found["radar"] == ["sentinel-1-grd/VV"]
    assert list(band_wise.Config().input_groups({"o": NAMED["optical"]})) == ["all"]
    asked = band_wise.Config(groups={"blue": ("sentinel-2-l2a/B02",), "gone": ("sentinel-2-l2a/B08",)})
    assert asked.input_groups(NAMED) == {
        "all": ["sentinel-2-l2a/B02", "sentinel-2-l2a/B03", "sentinel-1-grd/VV"],
        "blue": ["sentinel-2-l2a/B02"],
    }


def test_pictures_of_a_radar_are_radar_though_they_have_no_decibels():
    groups = band_wise.Config().input_groups({"all": ["display-optical/red", "display-radar/P"]})
    assert (groups["optical"], groups["radar"]) == (["display-optical/red"], ["display-radar/P"])


def test_the_inner_probe_predicts():
    features, _ = clouds(apart=0.5)
    config = band_wise.Config(probe=mlp.Config(epochs=3))
    assert (
        probes.fit_predict(config, features, 1).scores == probes.fit_predict(config.probe, features, 1).scores
    ).all()
    assert config.label() == "band-wise mlp"


def test_other_probes_take_the_named_inputs():
    assert mlp.Config().inputs(NAMED) == NAMED


@pytest.mark.parametrize("name", [name for name in probes.names() if name != "band-wise"])
def test_any_other_probe_can_be_inside(name):
    more = {"teacher": ["both"]} if name == "distil" else {}
    config = band_wise.Config.model_validate({"probe": {"name": name, **more}})
    inner = config.probe
    assert inner.name == name
    assert config.taught_by() == inner.taught_by()
    assert config.supervision() == inner.supervision()
    assert config.keeps_encoder() == inner.keeps_encoder()
    assert config.model_dump(mode="json")["probe"] == inner.model_dump(mode="json")


def test_band_by_band_is_no_probe_of_a_band():
    with pytest.raises(ValidationError, match="'band-wise' found using 'name' does not match any of the expected tags"):
        band_wise.Config.model_validate({"probe": {"name": "band-wise"}})
