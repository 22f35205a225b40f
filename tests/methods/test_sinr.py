"""SINR's presence-only losses against their formulas in NumPy, and where its classes come from."""

import numpy as np
import pytest
import torch

from swath import methods
from swath.errors import RecipeError
from swath.methods import sinr
from swath.methods._presence_only import an_full, an_slds, an_ssdl
from tests.methods import fakes

RNG = np.random.default_rng(5)
SEEN, ELSEWHERE = RNG.uniform(size=(2, 4, 3))
CLASSES = np.array([2, 0, 0, 1])


def nl(p):
    return -np.log(p + 1e-5)


def unseen(p, how):
    return nl(1 - p) if how == "absent" else -(p * nl(p) + (1 - p) * nl(1 - p))


@pytest.mark.parametrize("how", ["absent", "uncertain"])
def test_losses_are_the_papers(how):
    rows = np.arange(4)
    entries = unseen(SEEN, how)
    entries[rows, CLASSES] = 2048 * nl(SEEN[rows, CLASSES])
    tensors = torch.tensor(SEEN), torch.tensor(ELSEWHERE), torch.tensor(CLASSES)
    full = entries.mean() + unseen(ELSEWHERE, how).mean()
    assert float(an_full(*tensors, 2048.0, how)) == pytest.approx(full, rel=1e-6)
    own, same, other = SEEN[rows, CLASSES], ELSEWHERE[rows, CLASSES], SEEN[rows, (CLASSES + 1) % 3]
    found = an_ssdl(torch.tensor(own), torch.tensor(same), how)
    assert float(found) == pytest.approx(nl(own).mean() + unseen(same, how).mean(), rel=1e-6)
    found = an_slds(torch.tensor(own), torch.tensor(other), how)
    assert float(found) == pytest.approx(nl(own).mean() + unseen(other, how).mean(), rel=1e-6)


def test_defaults_are_sinrs():
    config = sinr.Config()
    assert (config.loss, config.unseen, config.positive_weight) == ("an-full", "absent", 2048.0)


@pytest.mark.parametrize("loss", ["an-full", "an-ssdl", "an-slds"])
def test_the_method_puts_the_class_of_each_location_into_the_loss(loss, monkeypatch):
    anywhere = torch.tensor([[10.0, 20.0]] * 4)
    monkeypatch.setattr(sinr, "anywhere", lambda count, device: anywhere[:count].to(device))
    method = fakes.method("sinr", loss=loss).eval()
    views = method.views(fakes.batch(4), torch.Generator().manual_seed(0))
    found = method.loss(views)
    with torch.no_grad():
        p = method.classifier(method.encoder(views[0].image)).sigmoid().double()
        q = method.classifier(method.encoder.network(anywhere)).sigmoid().double()
    classes, rows = torch.tensor([0, 1, 2, 0]), torch.arange(4)
    if loss == "an-slds":
        others = [an_slds(p[rows, classes], p[rows, (classes + torch.tensor(k)) % 3], "absent") for k in _shifts()]
        assert any(torch.isclose(found.total.double(), one, rtol=1e-5) for one in others)
    elif loss == "an-ssdl":
        torch.testing.assert_close(found.total.double(), an_ssdl(p[rows, classes], q[rows, classes], "absent"))
    else:
        torch.testing.assert_close(found.total.double(), an_full(p, q, classes, 2048.0, "absent"))
    assert method.classifier.weight.shape == (3, 8)
    assert method.classifier.bias is None


def _shifts():
    return [[a, b, c, d] for a in (1, 2) for b in (1, 2) for c in (1, 2) for d in (1, 2)]


def test_another_class_is_never_the_same_one():
    classes = torch.arange(5).repeat(200)
    drawn = sinr._another(classes, 5)
    assert not (drawn == classes).any()
    assert set(drawn[classes == 2].tolist()) == {0, 1, 3, 4}


def test_random_places_are_uniform_on_the_sphere():
    torch.manual_seed(0)
    lon, lat = sinr.anywhere(20_000, torch.device("cpu")).T.numpy()
    points = np.stack([np.cos(np.radians(lat)) * np.cos(np.radians(lon)), np.sin(np.radians(lat))])
    assert np.abs(points.mean(axis=1)).max() < 0.02
    assert np.allclose((points**2).mean(axis=1), 1 / 3, atol=0.01)
    assert lon.min() >= -180
    assert lon.max() <= 180


def test_labels_that_are_no_classes_are_refused():
    method = fakes.method("sinr")
    with pytest.raises(RecipeError, match="holds 1 class"):
        method.take_labels(["a", "b"], ["oak", "oak"])
    with pytest.raises(RecipeError, match="holds continuous values"):
        method.take_labels(["a", "b"], [1.5, 2.0])
    with pytest.raises(RecipeError, match="differ by the space around them alone"):
        method.take_labels(["a", "b", "c"], ["oak", "elm", "oak "])
    method.take_labels(["a", "b", "c"], [2.0, 1.0, 2.0])
    assert method.class_of == {"a": 1, "b": 0, "c": 1}


def test_an_encoder_of_images_is_refused():
    with pytest.raises(RecipeError, match="choose the encoder location"):
        methods.build(sinr.Config(), fakes.encoder(), fakes.policy)
