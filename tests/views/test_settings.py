import pytest
from pydantic import ValidationError

from swath.views import Augment, presets


@pytest.mark.parametrize(
    ("wrong", "where"),
    [
        ({"hflip": 1.5}, "hflip"),
        ({"hflipp": 0.5}, "hflipp"),
        ({"crop": {"size": 0}}, "crop.size"),
        ({"crop": {"scale": [0.5, 0.2]}}, "crop.scale"),
        ({"crop": {"scale": [0.0, 1.0]}}, "crop.scale.0"),
        ({"brightness": {"factor": [0.0, 1.0]}}, "brightness.factor.0"),
        ({"blur": {"sigma": [2.0, 0.1]}}, "blur.sigma"),
        ({"rotation": {"degrees": [-181, 0]}}, "rotation.degrees.0"),
        ({"speckle": {"looks": [0.5, 2]}}, "speckle.looks.0"),
        ({"interpolation": "nearest"}, "interpolation"),
    ],
)
def test_a_wrong_value_is_named(wrong, where):
    with pytest.raises(ValidationError) as error:
        Augment.model_validate(wrong)
    assert ".".join(str(part) for part in error.value.errors()[0]["loc"]) == where


def test_a_range_says_what_is_wrong_with_it():
    with pytest.raises(ValidationError, match=r"\(low, high\), and 2 is more than 0.1"):
        Augment.model_validate({"blur": {"sigma": [2.0, 0.1]}})


@pytest.mark.parametrize(
    "preset",
    [
        presets.moco_v2(96),
        presets.colour_kept(96),
        presets.gassl(),
        presets.simclr(),
        *presets.byol(224),
        *presets.dino(224),
        *presets.lejepa(224),
        presets.rs_byol(grey=0.2),
    ],
)
def test_presets_survive_writing_and_reading(preset):
    assert Augment.model_validate_json(preset.model_dump_json()) == preset


def test_what_the_page_says_of_keeping_the_colours_is_the_preset():
    said = {"crop": {"scale": [0.2, 1.0]}, "hflip": 0.5, "vflip": 0.5, "blur": {"p": 0.5}}
    assert Augment.model_validate(said) == presets.colour_kept()


def test_gassl_crops_more_than_moco_and_never_turns_the_world_upside_down():
    gassl, moco = presets.gassl(224), presets.moco_v2(224)
    assert (gassl.crop.size, gassl.crop.scale, gassl.hflip, gassl.vflip) == (224, (0.08, 1.0), 0.5, 0.0)
    assert (gassl.brightness, gassl.grey, gassl.blur) == (moco.brightness, moco.grey, moco.blur)


def test_moco_v2_is_what_torchgeo_trains_with():
    moco = pytest.importorskip("torchgeo.trainers.moco")
    torch = pytest.importorskip("torch")
    theirs = {type(step).__name__: step for step in moco.moco_augmentations(2, 224, torch.ones(7))[0]}
    ours = presets.moco_v2(224)
    assert theirs["RandomResizedCrop"]._param_generator.scale == ours.crop.scale
    for name, value in (
        ("RandomBrightness", ours.brightness.p),
        ("RandomContrast", ours.contrast.p),
        ("RandomGaussianBlur", ours.blur.p),
        ("RandomHorizontalFlip", ours.hflip),
        ("RandomVerticalFlip", ours.vflip),
    ):
        assert theirs[name].p == value
