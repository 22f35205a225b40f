"""GASSL: MoCo v2 on two dates of a location, and the query tells which part of the world it shows.

Ayush et al. 2021, "Geography-Aware Self-Supervised Learning", https://arxiv.org/abs/2011.09980; settings of its code.
The parts of the world are k-means clusters of the training locations.
"""

from collections.abc import Sequence
from typing import Literal

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float, Float64, Int
from pydantic import Field
from torch import Tensor, nn

from swath.batch import View
from swath.encoders import Encoder
from swath.errors import RecipeError
from swath.methods import moco_v2
from swath.methods._types import ONE_PROCESS, DrawViews, Gather, Loss

UNKNOWN = -1


class Config(moco_v2.Config):
    """GASSL (Ayush et al. 2021): MoCo v2 with other defaults, and a classification of the query's place on Earth."""

    name: Literal["gassl"] = "gassl"  # pyright: ignore[reportIncompatibleVariableOverride]
    temperature: float = Field(default=0.02, gt=0)
    clusters: int = Field(default=100, ge=2)
    """Number of clusters of the training locations that the query is assigned to; no more than there are
    different locations."""
    weight: float = Field(default=1.0, ge=0)
    """Weight of the classification in the loss."""


class Method(moco_v2.Method):
    """GASSL. Locations without coordinates take part in the contrast only."""

    centres: Tensor

    def __init__(self, config: Config, encoder: Encoder, policy: DrawViews):
        super().__init__(config, encoder, policy)
        self.geography = nn.Sequential(nn.ReLU(), nn.Linear(config.out, config.clusters))
        self.clusters, self.weight = config.clusters, config.weight
        # far from every location, until `prepare` has seen where they are
        self.register_buffer("centres", torch.full((config.clusters, 3), 1e3))

    def prepare(self, uid: Sequence[str], lonlat: Float64[np.ndarray, "n 2"]) -> None:
        """Also cluster the training locations.

        Raises:
            RecipeError: fewer than two of them have coordinates of their own.
        """
        from sklearn.cluster import KMeans

        super().prepare(uid, lonlat)
        places = np.unique(lonlat[np.isfinite(lonlat).all(axis=1)], axis=0)
        if len(places) < 2:
            raise RecipeError(
                f"gassl classifies where images lie, and the corpus knows {len(places)} different place(s)",
                remedy="take a corpus with coordinates, or moco-v2 with the policy two-dates",
            )
        k = min(self.clusters, len(places))
        clusters = KMeans(k, random_state=0).fit(on_sphere(torch.from_numpy(places)).numpy())
        self.centres[:k] = torch.from_numpy(clusters.cluster_centers_).to(self.centres)

    def loss(self, views: list[View], gather: Gather = ONE_PROCESS) -> Loss:
        """InfoNCE plus cross-entropy of the query's cluster, from its projection before normalisation."""
        contrast, projected = self.contrast(views, gather)
        labels = self._labels(views[0])
        known = labels != UNKNOWN
        per_sample = F.cross_entropy(self.geography(projected).float(), labels, ignore_index=UNKNOWN, reduction="none")
        # the mean over all processes' known locations, as this process's share of it
        share = gather(known.float()[:, None]).sum().clamp(min=1) * len(known) / len(gather(known.float()[:, None]))
        classification = per_sample.sum() / share
        terms = {"contrast": contrast.total.detach(), "geography": classification.detach()}
        return Loss(contrast.total + self.weight * classification, contrast.features, terms)

    @torch.no_grad()
    def _labels(self, view: View) -> Int[Tensor, " b"]:
        """The nearest cluster of each location; UNKNOWN where its coordinates are."""
        device = self.centres.device
        if view.lonlat is None:
            return torch.full((len(view.image),), UNKNOWN, device=device)
        places = on_sphere(view.lonlat).to(self.centres)
        nearest = (places[:, None] - self.centres).square().sum(dim=2).argmin(dim=1)
        return nearest.where(places.isfinite().all(dim=1), UNKNOWN)


def on_sphere(lonlat: Float64[Tensor, "n 2"]) -> Float[Tensor, "n 3"]:
    """Points on the unit sphere: near ones stay near across the date line."""
    lon, lat = torch.deg2rad(lonlat).unbind(dim=1)
    return torch.stack([lat.cos() * lon.cos(), lat.cos() * lon.sin(), lat.sin()], dim=1)
