"""Every encoder that is found, as both kinds of file: exported, or refused with the reason."""

import pytest

from swath import encoders
from swath.encoders.location import LOCATION
from swath.errors import RecipeError
from swath.products.model_export import export_model
from tests.products.model_export.conftest import BANDS, CONTRACT, PLACES, of_two_inputs, one_sensor

pytestmark = pytest.mark.slow  # torch and ONNX take seconds for each

SERIES = {"dim": 16, "heads": 2, "patch": 8}
MONTHS = {"width": 2, "collapse": "months", "gaps": "interpolate", "dates": True}
VIT = {"patch": 8, "width": 32, "depth": 1, "heads": 2}
CASES = {
    "timm": [
        {"model": "test_resnet"},
        {"model": "test_vit", "image_size": 32},
        {"model": "test_convnext"},
        {"model": "swin_tiny_patch4_window7_224"},
    ],
    "vit": [
        VIT,
        {**VIT, "class_token": False, "learnt_positions_px": 24},
        {**VIT, "dates": "together", "registers": 2},
    ],
    "any-sensor": [VIT],
    "convnext-v2": [{"depths": (1, 1, 1, 1), "widths": (4, 6, 8, 10), "cell": 8, "stem": "dense"}],
    "unet-3d": [{"width": 2}],
    "cross-modal-unet-3d": [{"width": 2}, MONTHS],
    "mmf": [{"width": 2}],
    "series-transformer": [SERIES, {**SERIES, "groups": "band", "pooling": "months"}],
    "random-convolutions": [{"features": 16}],
    "location": [{}],
    "image-and-location": [{"image": {"name": "image-statistics"}}, {"image": {"name": "image-statistics"}}],
}
"""The smallest settings of each; one that is not named is built from its defaults."""
REFUSED = {("cross-modal-unet-3d", 1, "onnx"): "ONNX has no counterpart of aten.cummax"}
"""What is refused, by encoder, number of its settings and format, and why."""
NO_MAPS = {("timm", 1, "pt2"): "Failed serializing node ceil"}
"""What is refused with maps and exported without them."""
EVERY = [
    (name, number, kind)
    for name in encoders.names()
    for number in range(len(CASES.get(name, [{}])))
    for kind in ("pt2", "onnx")
]
DENSE = {"timm", "vit", "any-sensor", "convnext-v2", "unet-3d", "cross-modal-unet-3d", "series-transformer"}


def contract_of(name, number):
    """The contract, and which of its inputs is exported."""
    if name == "location":
        return PLACES, None
    if name == "image-and-location":
        both = of_two_inputs()
        parts = {f: (*getattr(one_sensor(), f), *getattr(PLACES, f)) for f in ("bands", "units", "mean", "std")}
        bands = BANDS[:2] if number == 0 else LOCATION
        return type(both)(2, fixed=True, branches=(2, 2), **parts), bands
    if name == "mmf":
        return of_two_inputs(), BANDS[:2]
    return CONTRACT, None


@pytest.mark.parametrize(("name", "number", "kind"), EVERY)
@pytest.mark.timeout(900)
def test_every_encoder_is_exported_or_refused_in_a_sentence(saved, tmp_path, name, number, kind):
    contract, bands = contract_of(name, number)
    path = saved(name, contract, **CASES.get(name, [{}])[number])
    if reason := REFUSED.get((name, number, kind)):
        with pytest.raises(RecipeError, match=reason):
            export_model(path, tmp_path / "net", format=kind, bands=bands)
        return
    dense = name in DENSE
    if reason := NO_MAPS.get((name, number, kind)):
        with pytest.raises(RecipeError, match=reason):
            export_model(path, tmp_path / "net", format=kind, bands=bands, dense=True)
        dense = False
    made = export_model(path, tmp_path / "net", format=kind, bands=bands, dense=dense)
    assert made.differences["embedding"] < 1e-4
    assert (len(made.differences) > 1) == dense
    assert made.checked_on.startswith("1 of ")
