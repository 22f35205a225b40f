"""What the pages on methods and training show, works."""

import re
from pathlib import Path

import torch
import yaml

from swath.training.config import TrainConfig
from tests.methods import fakes

DOCS = Path(__file__).parents[2] / "docs"


def blocks(page: str, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", (DOCS / page).read_text(), flags=re.DOTALL | re.MULTILINE)


def test_a_method_of_your_own():
    names: dict = {}
    (code,) = blocks("methods.md", "python")
    exec(code, names)
    method = names["Method"](names["Config"](), fakes.encoder(), fakes.policy)
    loss = method.loss(method.views(fakes.batch(4), torch.Generator().manual_seed(0)), lambda tensor: tensor)
    loss.total.backward()
    assert set(loss.terms) == {"agree", "spread"}


def test_from_python(capsys):
    for code in blocks("training.md", "python"):
        exec(code, {})
    rate, std, ranks = capsys.readouterr().out.splitlines()
    assert float(rate) == 0.15
    assert 0.98 < float(std) < 1.02
    assert all(115 < float(rank) < 128 for rank in ranks.split())


def test_settings():
    first, second = (yaml.safe_load(block) for block in blocks("training.md", "yaml"))
    TrainConfig.model_validate({**first["pretrain"]["training"], **second})
