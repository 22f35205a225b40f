"""LeJEPA and VISReg: formulas, directions, and gradients where all embeddings are the same."""

import numpy as np
import pytest
import torch
from scipy.stats import norm

from swath.methods import lejepa, visreg
from swath.methods._sketched import directions
from swath.methods._types import ONE_PROCESS, OneProcess
from tests.methods import fakes


def embeddings(views=3, n=6, d=4, seed=0):
    draw = np.random.default_rng(seed)
    slices = draw.normal(size=(d, 5))
    return draw.normal(size=(views, n, d)) * 1.3 + 0.4, slices / np.sqrt((slices**2).sum(axis=0))


def numpy_sigreg(z, slices, knots=17, furthest=3.0):
    """Balestriero & LeCun algorithm 1 for each view: the trapezoidal rule over [-3, 3], with complex numbers."""
    t = np.linspace(-furthest, furthest, 2 * knots - 1)
    gaussian = np.exp(-0.5 * t**2)
    found = []
    for view in z:
        for direction in slices.T:
            ecf = np.exp(1j * np.outer(view @ direction, t)).mean(axis=0)
            found.append(len(view) * np.trapezoid(np.abs(ecf - gaussian) ** 2 * gaussian, t))
    return np.mean(found)


def sigreg(z, slices, knots=17, furthest=3.0):
    t = torch.linspace(0.0, furthest, knots, dtype=z.dtype)
    return lejepa.epps_pulley(lejepa.characteristic(z, slices, t), t, z.shape[1])


def test_sigreg_is_the_formula():
    z, slices = embeddings()
    assert float(sigreg(torch.tensor(z), torch.tensor(slices))) == pytest.approx(numpy_sigreg(z, slices), rel=1e-9)


def numpy_visreg(z, slices):
    """Wu et al.: centre (eq. 6), scale (eq. 1), shape (eq. 2 and 5)."""
    centre = np.mean(z.mean(axis=1) ** 2)
    scale = np.mean((1 - z.std(axis=1)) ** 2)
    quantiles = norm.ppf(np.arange(1, z.shape[1] + 1) / (z.shape[1] + 1))
    distances = []
    for view in z:
        standard = (view - view.mean(axis=0)) / (view.std(axis=0) + 1e-4)
        distances += [np.mean((np.sort(standard @ direction) - quantiles) ** 2) for direction in slices.T]
    return centre, scale, np.mean(distances)


def test_visregs_terms_are_the_formula():
    z, slices = embeddings()
    found = [
        visreg.centre(torch.tensor(z)),
        visreg.scale(torch.tensor(z)),
        visreg.shape(torch.tensor(z), torch.tensor(slices)),
    ]
    assert [float(term) for term in found] == pytest.approx(numpy_visreg(z, slices), rel=1e-9)


@pytest.mark.parametrize("name", ["lejepa", "visreg"])
def test_the_loss_is_prediction_and_regulariser(name):
    """All views against the mean of the global ones, wherever local ones stand among them."""
    given = {"weight": 0.3, **({"centre": 2.0, "scale": 3.0, "shape": 5.0} if name == "visreg" else {})}
    method = fakes.method(name, fakes.crops, **given)
    views = method.views(fakes.batch(6), torch.Generator().manual_seed(0))
    z = projections(fakes.method(name, fakes.crops), views)
    torch.manual_seed(7)
    slices = directions(torch.zeros(1, 1, 8), 32, ONE_PROCESS).double().numpy()
    torch.manual_seed(7)
    loss = method.loss(views)
    prediction = np.mean((z - z[:2].mean(axis=0)) ** 2)
    regular = numpy_sigreg(z, slices) if name == "lejepa" else np.dot([2, 3, 5], numpy_visreg(z, slices))
    assert float(loss.terms["prediction"]) == pytest.approx(prediction, rel=1e-4)
    assert float(loss.total.detach()) == pytest.approx(0.7 * prediction + 0.3 * regular, rel=1e-4)


def projections(method, views):
    ordered, parts = [views[0], views[3], views[1], views[2], views[4]], []
    for some in (ordered[:2], ordered[2:]):
        inputs = [torch.cat([getattr(v.image, name) for v in some]) for name in ("pixels", "valid", "band_ids")]
        parts.append(method.encoder.network(method.encoder.standardize(*inputs).flatten(0, 1)))
    return method.projector(torch.cat(parts)).unflatten(0, (5, -1)).detach().double().numpy()


def test_lightly_agrees(monkeypatch):
    """In one process and with its directions. lightly wants local views, and each process draws its own directions
    for VISReg."""
    theirs = pytest.importorskip("lightly.loss", reason="the bench extra has a second oracle, lightly")
    z = torch.tensor(embeddings()[0]).float()
    drawn = torch.randn(4, 64, generator=torch.Generator().manual_seed(1))
    monkeypatch.setattr(torch, "randn", lambda *_, **__: drawn.clone())
    unit = drawn / drawn.norm(dim=0)
    prediction = (z - z[:2].mean(dim=0)).square().mean()
    expected = theirs.LeJEPALoss(sigreg_num_vectors=64)(local_proj=z[2:], global_proj=z[:2])
    torch.testing.assert_close(0.95 * prediction + 0.05 * sigreg(z, unit), expected)
    expected = theirs.VISRegLoss(num_slices=64)(local_proj=z[2:], global_proj=z[:2])
    regular = visreg.centre(z) + visreg.scale(z) + visreg.shape(z, unit)
    torch.testing.assert_close(0.1 * prediction + 0.9 * regular, expected)


def test_directions_are_unit_vectors_of_the_first_process():
    z = torch.zeros(1, 1, 6)
    torch.manual_seed(3)
    own = directions(z, 4, ONE_PROCESS)
    torch.testing.assert_close(own.norm(dim=0), torch.ones(4))
    torch.manual_seed(3)
    first = torch.randn(4, 6)

    class Second(OneProcess):
        def __call__(self, tensor):
            return torch.cat([first, tensor])

    assert torch.equal(directions(z, 4, Second()), own)


def test_gaussians_are_better_than_anything_else():
    draw = torch.Generator().manual_seed(0)
    _, slices = embeddings(d=4)
    slices = torch.tensor(slices).float()
    gaussian = torch.randn(1, 4000, 4, generator=draw)
    uniform = (torch.rand(1, 4000, 4, generator=draw) - 0.5) * 12**0.5
    for other in (uniform, 2 * gaussian, gaussian + 1, torch.zeros_like(gaussian)):
        assert float(sigreg(other, slices)) > 3 * float(sigreg(gaussian, slices))
    assert float(visreg.shape(uniform, slices)) > 2 * float(visreg.shape(gaussian, slices))


def test_all_embeddings_the_same_have_a_finite_gradient():
    z = torch.zeros(1, 6, 4, requires_grad=True)
    _, slices = embeddings()
    (visreg.scale(z) + visreg.shape(z, torch.tensor(slices).float()) + visreg.centre(z)).backward()
    assert bool(z.grad.isfinite().all())
