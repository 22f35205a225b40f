"""A small encoder of three bands of three units, and freedom from the checks of shapes that exporters cannot see."""

from dataclasses import replace

import jaxtyping
import pytest
import torch

from swath import encoders, plugins, sensors
from swath.encoders import InputContract
from swath.encoders.location import LOCATION

BANDS = ("sentinel-2-l2a/B04", "sentinel-2-l2a/B08", "sentinel-1-rtc/VH")
CONTRACT = InputContract(
    3, BANDS, True, ("reflectance", "reflectance", "dB"), (0.15, 0.3, -18.0), (0.08, 0.1, 4.0), gsd_m=(10.0,) * 3
)
PLACES = InputContract(2, LOCATION, True, ("degree",) * 2, (0.0, 0.0), (1.0, 1.0))


@pytest.fixture(autouse=True, scope="package")
def _shapes_are_symbols():
    """While torch looks on, a size is no number."""
    jaxtyping.config.update("jaxtyping_disable", True)
    yield
    jaxtyping.config.update("jaxtyping_disable", False)


@pytest.fixture(scope="package")
def saved(tmp_path_factory):
    """Saves an encoder of these settings; returns its path."""

    def save(name, contract=CONTRACT, **settings):
        torch.manual_seed(0)
        config = plugins.find("swath.encoders", name).Config.model_validate({"name": name, **settings})
        encoder = encoders.build(config, contract)
        for part in encoder.modules():  # statistics as after training: fresh ones would hide the batch norms
            if isinstance(part, torch.nn.BatchNorm2d | encoders.FrameBatchNorm):
                part.running_mean.normal_(0, 0.1)
                part.running_var.uniform_(0.5, 1.5)
        path = tmp_path_factory.mktemp(name) / "encoder"
        encoders.save(encoder, config, path, {"seed": 0})
        return path

    return save


def one_sensor():
    """The contract of the optical bands alone."""
    return replace(
        CONTRACT,
        channels=2,
        **{name: getattr(CONTRACT, name)[:2] for name in ("bands", "units", "mean", "std", "gsd_m")},
    )


def of_two_inputs():
    """The contract of an encoder with a branch for each of two sensors."""
    return replace(CONTRACT, channels=2, branches=(2, 1))


def ids(keys=BANDS, b=1):
    """Band ids of `b` samples."""
    return torch.tensor([[sensors.band_id(key) for key in keys]] * b, dtype=torch.int32)
