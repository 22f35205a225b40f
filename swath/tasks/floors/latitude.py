"""A polynomial of the latitude, and its distance from the equator: what is known of a climate from one number."""

from collections.abc import Iterator, Sequence
from typing import ClassVar, Literal

import numpy as np
from jaxtyping import Float
from pydantic import Field

from swath.encoders import Encoder
from swath.tasks._types import Features, Outcome, Prediction
from swath.tasks.floors._coordinates import CoordinateFloorSettings, read
from swath.tasks.floors._types import Task
from swath.tasks.panel import Panel
from swath.tasks.probes import Validation, fit_predict, linear, ridge


class Config(CoordinateFloorSettings):
    """How curved the dependence on latitude may be."""

    name: Literal["latitude"] = "latitude"
    row: ClassVar[str] = "latitude"
    random: ClassVar[bool] = False
    degree: int = Field(default=4, ge=1)
    """Degree of the polynomial."""


def outcomes(
    config: Config,
    task: Task,
    panels: Sequence[Panel],
    seed: int,
    network: Encoder | None,  # noqa: ARG001 — as every floor
) -> Iterator[Outcome]:
    """The linear probe's for such labels, which uses the validation labels as the panel's own does."""

    def judge(features: Features, use: Validation) -> Prediction:
        refit = use != "tunes"
        probe = ridge.Config(refit=refit) if features.regression else linear.Config(refit=refit)
        return fit_predict(probe, features, seed)

    return read(task, panels, lambda lonlat: powers(lonlat, config.degree), judge)


def powers(lonlat: Float[np.ndarray, "n 2"], degree: int) -> Float[np.ndarray, "n d"]:
    """Powers of the latitude, 1 at the north pole, and its absolute value."""
    lat = lonlat[:, 1] / 90
    return np.stack([*(lat**power for power in range(1, degree + 1)), np.abs(lat)], axis=1)
