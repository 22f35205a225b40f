"""`swath adopt` and `swath export weights`, as they are called."""

import json

import pytest
import timm
import torch
from typer.testing import CliRunner

from swath import cli, encoders
from swath.errors import RecipeError


def call(*arguments):
    return CliRunner().invoke(cli.app, [str(one) for one in arguments], catch_exceptions=False)


def test_published_weights_come_in_and_go_out(tmp_path):
    torch.manual_seed(0)
    network = timm.create_model("test_convnext", in_chans=2, num_classes=0)
    torch.save(
        {"state_dict": {f"module.encoder_q.{k}": v for k, v in network.state_dict().items()}}, tmp_path / "w.pth"
    )
    words = ("adopt", tmp_path / "w.pth", "--model", "test_convnext", "--card", "ssl4eo-s12-s1", "--to", tmp_path / "e")
    came = call(*words)
    assert came.exit_code == 0
    assert came.stdout.strip() == str(tmp_path / "e.safetensors")
    assert "(100 % of the numbers) used" in came.stderr
    went = call("export", "weights", tmp_path / "e", "--for", "timm", "--to", tmp_path / "out" / "net")
    assert went.stdout.split() == [str(tmp_path / "out" / name) for name in ("net.safetensors", "net.json")]
    again = timm.create_model(
        "test_convnext", in_chans=2, num_classes=0, checkpoint_path=str(tmp_path / "out/net.safetensors")
    )
    assert all(torch.equal(value, network.state_dict()[name]) for name, value in again.state_dict().items())
    assert json.loads((tmp_path / "out" / "net.json").read_text())["bands"][0]["band"] == "sentinel-1-grd/VV"
    folded = call("export", "weights", tmp_path / "e", "--for", "timm", "--to", tmp_path / "folded", "--fold")
    assert folded.exit_code == 0
    assert encoders.load(tmp_path / "e").contract.gsd_m == (10.0, 10.0)


def test_a_card_that_is_not_there_lists_those_that_are(tmp_path):
    with pytest.raises(RecipeError) as error:
        call("adopt", tmp_path / "w.pth", "--model", "test_convnext", "--card", "help", "--to", tmp_path / "e")
    assert "ssl4eo-l-oli-sr" in error.value.remedy
