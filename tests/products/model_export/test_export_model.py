"""A tiny encoder as a graph: its values, what is written beside it, and what is refused."""

import hashlib
import inspect
import json
import os
import re
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnxruntime
import pystac
import pytest
import torch
from scipy.signal import correlate
from stac_model.schema import MLModelProperties

from swath import encoders, pipeline
from swath.batch import Image
from swath.encoders.random_convolutions import RandomConvolutions
from swath.errors import CheckpointError, ContractError, RecipeError, SwathError
from swath.pipeline import export_run
from swath.products import model_export
from swath.products.model_export import FORMATS, _export, _formats, _pictures, _predictors, export_model
from swath.products.model_export._graphs import (
    DatedSeries,
    Locations,
    Pictures,
    UndatedSeries,
    chosen,
    graph_of,
    outputs,
)
from swath.tasks.data import Centred
from swath.tasks.trained import TrainedNetwork
from tests.products.model_export.conftest import BANDS, CONTRACT, PLACES, of_two_inputs, one_sensor

DOCS = Path(__file__).parents[3] / "docs"


@pytest.fixture(scope="module")
def tiny(saved):
    return saved("random-convolutions", features=4)


@pytest.fixture(scope="module")
def onnx(tiny, tmp_path_factory):
    """The encoder in ONNX, that takes physical values."""
    return export_model(tiny, tmp_path_factory.mktemp("onnx") / "net", format="onnx")


@pytest.fixture(scope="module")
def pt2(tiny, tmp_path_factory):
    """The encoder by torch.export, that takes counts."""
    return export_model(tiny, tmp_path_factory.mktemp("pt2") / "net", format="pt2", counts=True)


def run(made, pixels, valid):
    session = onnxruntime.InferenceSession(str(made.graph))
    return session.run(["embedding"], {"pixels": pixels, "valid": valid})[0]


def pictures(b, h, w, seed=0):
    """Physical values, and a few pixels that are not valid."""
    rng = np.random.default_rng(seed)
    mean, std = (np.array(values)[:, None, None] for values in (CONTRACT.mean, CONTRACT.std))
    pixels = (mean + std * rng.normal(size=(b, 3, h, w))).astype(np.float32)
    return pixels, rng.random((b, h, w)) > 0.1


def by_hand(encoder, pixels, valid):
    """MOSAIKS' features of standardised pixels, in SciPy."""
    kernels = encoders.load(encoder).network.weight.double().numpy()
    mean, std = (np.array(values)[:, None, None] for values in (CONTRACT.mean, CONTRACT.std))
    standard = np.where(valid[:, None], (pixels.astype(float) - mean) / std, 0.0)
    response = np.array([[correlate(one, kernel, "valid")[0] - 1 for kernel in kernels] for one in standard])
    return np.concatenate([np.maximum(response, 0).mean((2, 3)), np.maximum(-response, 0).mean((2, 3))], axis=1)


@pytest.mark.parametrize(("b", "h", "w"), [(1, 16, 16), (3, 9, 21)])
def test_onnx_gives_what_the_formula_gives(tiny, onnx, b, h, w):
    pixels, valid = pictures(b, h, w)
    np.testing.assert_allclose(run(onnx, pixels, valid), by_hand(tiny, pixels, valid), rtol=1e-5, atol=1e-6)
    assert onnx.differences["embedding"] < 1e-5


def test_a_pixel_of_which_a_band_is_no_number_is_not_valid(tiny, onnx):
    pixels, valid = pictures(1, 12, 12)
    lost = pixels.copy()
    lost[0, 1, 3, 4], lost[0, 2, 5, 6] = np.nan, np.inf
    told = valid.copy()
    told[0, 3, 4] = told[0, 5, 6] = False
    np.testing.assert_array_equal(run(onnx, lost, valid), run(onnx, pixels, told))


def test_counts_become_physical_values_inside(tiny, pt2):
    """Reflectance is counts / 10,000 less its offset, and VH decibels of a linear power; 0 and NaN are nodata."""
    pixels, valid = pictures(3, 9, 21)
    counts = np.stack([*(np.round(pixels[:, i] * 1e4) for i in (0, 1)), 10 ** (pixels[:, 2] / 10)], axis=1)
    counts[:, :2] = counts[:, :2].clip(1)
    counts = counts.astype(np.float32)
    physical = np.stack([*(counts[:, i].astype(float) * 1e-4 for i in (0, 1)), 10 * np.log10(counts[:, 2])], axis=1)
    counts[0, 0, 2, 2] = 0  # nodata of Sentinel-2
    seen = valid.copy()
    seen[0, 2, 2] = False
    graph = torch.export.load(pt2.graph).module()
    found = graph(torch.from_numpy(counts), torch.from_numpy(valid))["embedding"]
    np.testing.assert_allclose(found, by_hand(tiny, physical, seen), rtol=1e-4, atol=1e-5)


def test_other_shapes_than_it_takes_are_refused_by_the_graph_itself(onnx, pt2):
    pixels, valid = pictures(1, 12, 12)
    with pytest.raises(Exception, match="invalid dimensions"):
        run(onnx, pixels[:, :2], valid)
    graph = torch.export.load(pt2.graph).module()
    with pytest.raises(RuntimeError, match="shape"):
        graph(torch.from_numpy(pixels[:, :2]), torch.from_numpy(valid))


def test_sizes_in_onnx_have_names_and_nothing_says_where_it_was_made(onnx):
    session = onnxruntime.InferenceSession(str(onnx.graph))
    assert [one.shape for one in session.get_inputs()] == [
        ["batch", 3, "height", "width"],
        ["batch", "height", "width"],
    ]
    assert [one.shape for one in session.get_outputs()] == [["batch", 4]]
    assert str(os.getcwd()).encode() not in onnx.graph.read_bytes()  # noqa: PTH109
    assert b"site-packages" not in onnx.graph.read_bytes()


@pytest.mark.parametrize("which", ["onnx", "pt2"])
def test_the_item_is_one_of_stac_and_says_what_goes_in(request, which):
    made = request.getfixturevalue(which)
    said = json.loads(made.item.read_text())
    MLModelProperties.model_validate(said["properties"])
    item = pystac.Item.from_dict(said)
    model = item.assets["model"]
    assert (made.item.parent / model.href) == made.graph
    assert model.extra_fields["file:checksum"] == "1220" + hashlib.sha256(made.graph.read_bytes()).hexdigest()
    assert all((made.item.parent / asset.href).exists() for asset in item.assets.values())
    properties = said["properties"]
    pixels, valid = properties["mlm:input"]
    assert pixels["bands"] == list(BANDS) == [band["name"] for band in properties["bands"]]
    assert pixels["input"]["shape"] == [-1, 3, -1, -1]
    assert pixels["input"]["data_type"] == "float32"
    assert valid["input"]["dim_order"] == ["batch", "height", "width"]
    assert properties["mlm:output"][0]["result"]["shape"] == [-1, 4]
    assert ("raster:scale" in properties["bands"][0]) == (which == "pt2")
    assert encoders.load(made.graph.with_suffix("")).dim == 4, "the encoder's own files stand beside"


def test_the_examples_of_the_document_run(onnx, pt2, tmp_path, monkeypatch):
    """docs/export.md, with a small encoder of three bands in place of the one it speaks of."""
    shown = re.findall(r"```python\n(.*?)```", (DOCS / "export.md").read_text(), re.DOTALL)
    assert len(shown) == 4
    (tmp_path / "out").mkdir()
    for made in (onnx, pt2):
        shutil.copy(made.graph, tmp_path / "out" / f"byol{made.graph.suffix}")
    monkeypatch.chdir(tmp_path)
    called = {}
    monkeypatch.setattr(model_export, "export_model", lambda *given, **named: called.update(named) or onnx)
    monkeypatch.setattr(
        pipeline, "export_run", lambda *given, **named: inspect.signature(export_run).bind(*given, **named) and onnx
    )
    names = {}
    for block in shown:
        exec(compile(block, "export.md", "exec"), names)
    assert names["embedding"].shape == (8, 4)
    inspect.signature(export_model).bind("encoder", "out", **called)


OUTSIDE = """
import sys
sys.modules["swath"] = None
import numpy as np
given = np.load("given.npz")
if sys.argv[1].endswith("onnx"):
    import onnxruntime
    found = onnxruntime.InferenceSession(sys.argv[1]).run(["embedding"], dict(given))[0]
else:
    import torch
    graph = torch.export.load(sys.argv[1]).module()
    found = graph(*(torch.from_numpy(given[name]) for name in ("pixels", "valid")))["embedding"].numpy()
np.save("found.npy", found)
assert not any(name.startswith("swath.") for name in sys.modules)
"""


@pytest.mark.parametrize("which", ["onnx", pytest.param("pt2", marks=pytest.mark.slow)])  # torch takes seconds
def test_it_runs_in_a_process_that_has_no_swath(request, tiny, which, tmp_path):
    made = request.getfixturevalue(which)
    pixels, valid = pictures(2, 14, 11)
    np.savez(tmp_path / "given.npz", pixels=pixels, valid=valid)
    command = [sys.executable, "-I", "-W", "ignore", "-c", OUTSIDE, str(made.graph)]
    subprocess.run(command, cwd=tmp_path, check=True, capture_output=True)
    found = np.load(tmp_path / "found.npy")
    if which == "onnx":
        np.testing.assert_allclose(found, by_hand(tiny, pixels, valid), rtol=1e-5, atol=1e-6)
    else:
        graph = torch.export.load(made.graph).module()
        np.testing.assert_array_equal(found, graph(torch.from_numpy(pixels), torch.from_numpy(valid))["embedding"])


def test_a_graph_that_computes_something_else_is_not_written(tiny, pt2, monkeypatch):
    """What is there already stays as it is."""
    before, usual = pt2.graph.read_bytes(), RandomConvolutions.forward

    def wrong(self, pixels):
        return usual(self, pixels) * (1.002 if torch.compiler.is_exporting() else 1.0)

    monkeypatch.setattr(RandomConvolutions, "forward", wrong)
    with pytest.raises(CheckpointError, match=r"was not written: embedding by 2\.0e-03") as caught:
        export_model(tiny, pt2.graph.with_suffix(""), format="pt2")
    assert str(tiny) in caught.value.where
    assert pt2.graph.read_bytes() == before
    assert not [one for one in pt2.graph.parent.iterdir() if one.name.startswith(".")]


def test_a_full_disk_leaves_nothing_and_names_the_file(tiny, tmp_path, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(_export, "traced", lambda *_: None)
    monkeypatch.setitem(FORMATS, "pt2", replace(FORMATS["pt2"], write=full))
    with pytest.raises(OSError, match="No space left") as caught:
        export_model(tiny, tmp_path / "net", format="pt2")
    assert caught.value.filename == str(tmp_path / "net.pt2")
    assert not list(tmp_path.iterdir())


def test_what_torch_cannot_export_is_refused_in_a_sentence(tiny, tmp_path, monkeypatch, capfd):
    usual = RandomConvolutions.forward

    def looks_at_values(self, pixels):
        return usual(self, pixels) if not torch.compiler.is_exporting() or pixels.sum() > 0 else pixels

    monkeypatch.setattr(RandomConvolutions, "forward", looks_at_values)
    with pytest.raises(RecipeError, match=r"torch\.export cannot make a graph of this encoder: \w+: .+"):
        export_model(tiny, tmp_path / "net", format="pt2")
    assert not list(tmp_path.iterdir())
    assert "def forward" not in "".join(capfd.readouterr()), "pages of the exporter's own"


def test_a_graph_that_cannot_be_run_is_refused_in_a_sentence(tiny, tmp_path, monkeypatch):
    """As of onnxruntime, where torch wrote an operation with a shape that does not fit."""

    def run(_):
        raise RuntimeError("INVALID_ARGUMENT : invalid expand shape\npages")

    monkeypatch.setattr(_export, "traced", lambda *_: None)
    monkeypatch.setitem(FORMATS, "pt2", replace(FORMATS["pt2"], write=lambda *_: _[-1].touch(), run=lambda _: run))
    with pytest.raises(RecipeError, match=r"cannot run a graph of this encoder: RuntimeError: INVALID.* shape\n"):
        export_model(tiny, tmp_path / "net", format="pt2")
    assert not list(tmp_path.iterdir())


def test_what_fits_one_number_of_dates_alone_is_said_to():
    """As of a ConvLSTM, whose loop over dates becomes a constant of the graph."""
    told = (
        "Constraints violated (L['x'].size()[1])!\n - You marked it, but your code specialized it to be a constant (4)"
    )
    assert "one number of dates" in _formats._reason(ValueError(told))


def test_without_the_extra_it_is_said_what_to_install(tiny, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "onnxscript", None)
    with pytest.raises(RecipeError, match="onnxscript is not installed") as caught:
        export_model(tiny, tmp_path / "net", format="onnx")
    assert "swath[onnx]" in caught.value.remedy
    assert not list(tmp_path.iterdir())


def test_what_lies_there_and_is_another_encoder_is_not_overwritten(tiny, saved, tmp_path):
    (tmp_path / "net.json").write_text("{}")
    with pytest.raises(RecipeError, match="another file is there already"):
        export_model(tiny, tmp_path / "net", format="pt2")
    other = saved("image-statistics")
    with pytest.raises(RecipeError, match="another file is there already"):
        export_model(tiny, other, format="pt2")


def test_an_encoder_without_weights_and_a_run_are_refused(tiny, tmp_path):
    (tmp_path / "alone.json").write_bytes(tiny.with_name("encoder.json").read_bytes())
    with pytest.raises(CheckpointError, match="weights are missing"):
        export_model(tmp_path / "alone", tmp_path / "net", format="pt2")
    (tmp_path / "run" / "pretrain" / "byol" / "seed-0").mkdir(parents=True)
    (tmp_path / "run" / "recipe.yaml").touch()
    (tmp_path / "run" / "pretrain" / "byol" / "seed-0" / "encoder.safetensors").touch()
    with pytest.raises(RecipeError, match="a run, and no encoder") as caught:
        export_model(tmp_path / "run", tmp_path / "net", format="pt2")
    assert caught.value.remedy.endswith("pretrain/byol/seed-0/encoder")


@pytest.mark.parametrize(
    ("contract", "settings", "asked", "said"),
    [
        (CONTRACT, {}, {"bands": ["sentinel-2-l2a/B4"]}, "B4"),
        (CONTRACT, {}, {"bands": [*BANDS[:2]]}, "takes 3 channel"),
        (CONTRACT, {}, {"bands": [BANDS[1], BANDS[0], BANDS[2]]}, "not the encoder's"),
        (replace(CONTRACT, channels=2, fixed=False), {}, {}, "takes any 2 of"),
        (of_two_inputs(), {"name": "cross-modal-unet-3d", "width": 1}, {}, "one of several inputs"),
        (one_sensor(), {}, {"dense": True}, "no maps"),
        (PLACES, {"name": "location"}, {"counts": True}, "neither counts nor maps"),
    ],
    ids=["unknown", "too-few", "another-order", "any", "branches", "no-maps", "places"],
)
def test_inputs_that_it_does_not_take_are_refused(saved, tmp_path, contract, settings, asked, said):
    encoder = saved(**{"name": "random-convolutions", "contract": contract, **settings})
    with pytest.raises((ContractError, RecipeError, SwathError), match=said) as caught:
        export_model(encoder, tmp_path / "net", format="pt2", **asked)
    assert caught.value.remedy
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("settings", "kind"),
    [
        ({"name": "random-convolutions", "features": 4}, Pictures),
        ({"name": "unet-3d", "width": 1}, UndatedSeries),
        ({"name": "vit", "patch": 8, "width": 16, "depth": 1, "heads": 2, "dates": "together"}, DatedSeries),
        ({"name": "location", "contract": PLACES}, Locations),
    ],
    ids=["pictures", "series", "dated-series", "places"],
)
def test_a_graph_before_it_is_traced_gives_what_the_encoder_gives(saved, settings, kind):
    """Every kind of input, without the seconds that tracing takes."""
    encoder = encoders.load(saved(**settings))
    graph = graph_of(encoder, chosen(encoder.contract, None), dense=False, counts=False)
    assert isinstance(graph, kind)
    for image in _pictures.made(encoder, graph):
        with torch.no_grad():
            found, expected = graph(*graph.arguments(image).values()), outputs(encoder.eval(), image, dense=False)
        torch.testing.assert_close(found["embedding"], expected["embedding"], rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("by_days", [False, True])
def test_a_network_of_single_dates_that_goes_by_their_days_is_fed_them(by_days):
    """U-TAE, whose graph would else take every picture for one of 1970."""
    ids = torch.tensor([[1], [1]], dtype=torch.int32)
    valid = torch.ones(2, 1, 4, 4, dtype=torch.bool)
    image = Image(torch.zeros(2, 1, 1, 4, 4), valid, torch.tensor([[170], [-(2**31)]], dtype=torch.int32), ids, 10.0)

    class Network(torch.nn.Module):
        def forward(self, images):
            return images["x"].days.float() * 1e-4 * by_days

    trained = TrainedNetwork(Network(), BANDS[:1], Centred(0.0, 1.0), regression=True, multi_label=False)
    assert _predictors.goes_by_days(trained, {"x": image}, series=False) == by_days
