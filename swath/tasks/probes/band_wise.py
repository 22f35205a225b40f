"""Band-wise probe: each band alone through the same encoder, then an ordinary probe on what comes out.

It asks what an encoder has learnt of every single band (RS-BYOL, Fig. 3). In the tables the input is the band's key.
"""

from typing import Annotated, Literal

from pydantic import Field

from swath.sensors import of
from swath.settings import Settings
from swath.tasks._types import Features, Prediction
from swath.tasks.probes import knn, linear, mlp


class Config(Settings):
    """Which bands, in which groups, and the probe that reads each."""

    name: Literal["band-wise"] = "band-wise"
    bands: tuple[str, ...] | None = None
    """Band keys; all bands of the task's inputs if not given."""
    groups: dict[str, tuple[str, ...]] = Field(default_factory=dict)
    """Bands that are also judged together, by name. If empty: `optical` and `radar`, by the kind of
    their sensors, where both occur."""
    probe: Annotated[knn.Config | linear.Config | mlp.Config, Field(discriminator="name")] = linear.Config()
    """Reads the features of each band."""


def label(config: Config) -> str:
    """`band-wise linear`, say."""
    return f"{config.name} {config.probe.name}"


def inputs(config: Config, named: dict[str, list[str]]) -> dict[str, list[str]]:
    """One input per band, named by its key."""
    keys = config.bands or dict.fromkeys(key for keys in named.values() for key in keys)
    return {key: [key] for key in keys}


def groups(config: Config, named: dict[str, list[str]]) -> dict[str, list[str]]:
    """Groups of bands to compare encoders on, first `all`: name -> band keys."""
    keys = list(inputs(config, named))
    if config.groups:
        parts = {name: [key for key in members if key in keys] for name, members in config.groups.items()}
    else:
        parts = {kind: [key for key in keys if of(key).kind == kind] for kind in ("optical", "radar")}
        parts = parts if all(parts.values()) else {}
    return {"all": keys, **{name: members for name, members in parts.items() if members}}


def fit_predict(config: Config, features: Features, seed: int) -> Prediction:
    """What the inner probe says.

    Raises:
        TrainingError: as the inner probe.
    """
    # swath.tasks.probes.fit_predict finds probes by name, this one included; the three modules are known here
    module = {"knn": knn, "linear": linear, "mlp": mlp}[config.probe.name]
    return module.fit_predict(config.probe, features, seed)
