"""The checks that packages run on their plug-ins: swath's own keep them; one that breaks a promise is told which."""

import sys
from dataclasses import replace
from types import ModuleType

import pytest
import torch

from swath import plugins, sensors, testing, views
from swath.encoders import Encoder, EncoderSettings
from swath.methods import Loss, Method
from swath.settings import PluginSettings
from swath.testing import _encoders, _methods, _policies, _sensors
from tests.methods import fakes

OF_OWN_ENCODERS = (*fakes.OF_OTHER_ENCODERS, *fakes.MASKED)
SMALL = {
    "encoders": [
        ("image-statistics", {}),
        ("timm", {"model": "test_resnet"}),
        ("random-convolutions", {"features": 8}),
        ("convnext-v2", {"depths": (1, 1, 1, 1), "widths": (8, 8, 8, 8), "cell": 8, "stem": "dense"}),
    ],
    "methods": [(name, fakes.small(name)) for name in plugins.names("swath.methods") if name not in OF_OWN_ENCODERS],
    "encodings": [(name, {}) for name in plugins.names("swath.encoders.location.encodings")],
    "networks": [("fcnet", {"dim": 8}), ("siren", {"dim": 8, "hidden": 8})],
    "probes": [("knn", {}), ("linear", {}), ("mlp", {"epochs": 30}), ("fine-tune", {})],
    "segmenters": [("unet-3d", {"width": 2}), ("early-fusion", {})],
    "sensors": [("landsat-oli-sr", {}), ("sentinel-1-rtc", {}), ("display-optical", {})],
    "sources": [("synth", {})],
    "places": [("uniform", {"count": 5})],
    "dates": [("monthly", {"start": "2020-01", "months": 2})],
    "checks": [("units", {})],
    "floors": [("majority", {}), ("image-statistics", {})],
    "metrics": [(name, {}) for name in plugins.names("swath.tasks.metrics")],
    "attributions": [(name, {}) for name in plugins.names("swath.products.explain.attributions")],
    "sections": [("result", {}), ("data", {})],
}
"""Some of swath's own plug-ins of each kind, all methods that take any encoder among them; view policies are all here,
as their schemas' examples."""


def example(name: str) -> dict:
    return dict(plugins.find("swath.views.policies", name).Config.model_config["json_schema_extra"]["examples"][0])


CASES = [
    pytest.param(check, name, settings, id=f"{name}-{check}")
    for kind, shown in (SMALL | {"policies": [(name, example(name)) for name in views.names()]}).items()
    for name, settings in shown
    for check in testing.checks(kind)
]


@pytest.mark.parametrize(("check", "name", "settings"), CASES)
def test_swaths_own_plug_ins_keep_them(check, name, settings):
    settings.pop("name", None)
    check(name, **settings)


def test_every_kind_names_its_checks():
    assert set(testing.KINDS) == set(plugins.PACKAGES)
    for kind in testing.KINDS:
        found = testing.checks(kind)
        assert len({str(one) for one in found}) == len(found)
        assert plugins.names(testing.KINDS[kind].package)
    with pytest.raises(ValueError, match="did you mean 'methods'"):
        testing.checks("method")


# ------------------------------------------------------------------------------------------------- broken promises


class Broken(EncoderSettings):
    name: str = "broken"


def build_with(monkeypatch, network):
    """Make `swath.encoders.build` give an encoder around this network."""
    monkeypatch.setattr("swath.encoders.build", lambda _, contract: Encoder(network(), contract, dim=3, example_px=8))


class Constant(torch.nn.Module):
    def forward(self, x):
        return torch.zeros(len(x), 3, device=x.device)


class Waits(torch.nn.Module):
    def forward(self, x):
        return x.mean(dim=(2, 3)) * float(x.max())


def test_an_encoder_that_breaks_a_promise_is_told(monkeypatch):
    build_with(monkeypatch, Constant)
    with pytest.raises(AssertionError, match="have one embedding"):
        _encoders.embeddings_have_the_promised_shape(Broken())


def test_an_encoder_that_waits_is_told(monkeypatch):
    build_with(monkeypatch, Waits)
    with pytest.raises(RuntimeError, match="meta"):
        _encoders.forward_does_not_wait_for_the_device(Broken())


class Idle(Method):
    """Never trains its head, waits for the device, and keeps a number that is not in its state."""

    def __init__(self, encoder, policy):
        super().__init__(encoder, policy)
        self.head = torch.nn.Linear(encoder.dim, 2)
        self.calls = 0

    def loss(self, views, gather=None):
        self.calls += 1
        features = self.encoder(views[0].image)
        total = features.square().mean() * self.calls
        if total > 1e9:  # what makes the host wait
            raise ValueError
        return Loss(total=total, terms={}, features=features.detach())


@pytest.fixture
def idle(monkeypatch):
    monkeypatch.setattr("swath.methods.build", lambda _, encoder, policy: Idle(encoder, policy))


@pytest.mark.usefixtures("idle")
def test_a_method_that_breaks_promises_is_told_which():
    settings = PluginSettings(name="idle")
    _methods.the_loss_is_a_scalar_beside_the_encoders_features(settings)
    with pytest.raises(AssertionError, match=r"head.weight gets no gradient"):
        _methods.what_is_trained_gets_a_gradient_and_nothing_else(settings)
    with pytest.raises(AssertionError, match="a method that was restored gives"):
        _methods.the_same_state_and_views_give_the_same_loss(settings)
    with pytest.raises(AssertionError, match="makes the host wait"):
        _methods.a_step_does_not_wait_for_the_device(settings)


def test_a_policy_that_draws_from_elsewhere_is_told(monkeypatch):
    policy = views.build(plugins.find("swath.views.policies", "two-crops").Config(**example("two-crops")))

    class Elsewhere:
        inputs, reads, dates, most, gaps = policy.inputs, policy.reads, policy.dates, policy.most, policy.gaps

        def __call__(self, batch, generator):
            made = policy(batch, generator)
            noise = torch.randn(())
            return [replace(made[0], image=replace(made[0].image, pixels=made[0].image.pixels + noise)), *made[1:]]

    monkeypatch.setattr("swath.views.build", lambda _: Elsewhere())
    _policies.its_views_fit_its_inputs(policy.config)
    with pytest.raises(AssertionError, match="two draws of one generator differ"):
        _policies.its_views_are_a_function_of_the_generator(policy.config)


def test_a_sensor_whose_scale_is_wrong_is_told(monkeypatch):
    good = sensors.get("modis")
    wrong = replace(good, scaling=sensors.Scaling(scale=1e-9))
    monkeypatch.setattr(_sensors.sensors, "get", lambda _: wrong)
    with pytest.raises(AssertionError, match="no count of modis/sur_refl_b01 is a plausible value"):
        _sensors.counts_reach_plausible_values("modis")


def test_a_module_that_defines_nothing_is_told(monkeypatch):
    module = ModuleType("swath.methods.hollow")
    monkeypatch.setitem(sys.modules, module.__name__, module)
    monkeypatch.setattr(plugins, "_modules", lambda _: {"hollow": module.__name__})
    check = next(one for one in testing.checks("methods") if str(one) == "is_found_by_its_name")
    with pytest.raises(AssertionError, match=r"swath.methods.hollow is no MethodPlugin"):
        check("hollow")
