"""CaCo: SeCo, and a place years later is another place only if it has changed.

Mall et al. 2023, "Change-Aware Sampling and Contrastive Learning for Satellite Images", CVPR; settings and negatives as
in its code. Whether a place has changed is estimated while training: how far its features move between two periods,
against how far they move within one, in a mixture of two Gaussians over all places.
"""

from collections.abc import Sequence
from typing import Literal

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float, Float64, Int
from pydantic import Field
from torch import Tensor

from swath.batch import View
from swath.encoders import Encoder
from swath.methods._losses import full_precision
from swath.methods._subspaces import SUBSPACES, Subspaces
from swath.methods._types import ALONE, DrawViews, Gather, Loss, several
from swath.settings import Settings

SEASON = 1
"""The subspace in which change is measured."""


class Config(Settings):
    """Settings of CaCo."""

    name: Literal["caco"] = "caco"
    out: int = Field(default=128, ge=1)
    """Length of the projections."""
    queue: int = Field(default=16_384, ge=1)
    """Number of keys kept for each subspace; a multiple of twice the batch size."""
    momentum: float = Field(default=0.999, ge=0, lt=1)
    """Of the key encoder."""
    temperature: float = Field(default=0.07, gt=0)


class Method(Subspaces):
    """CaCo. The views are the policy two-periods': a query and three keys of the newer period, then of the older."""

    ratio: Tensor
    changed: Tensor
    visited: Tensor

    def __init__(self, config: Config, encoder: Encoder, policy: DrawViews):
        super().__init__(
            encoder, policy, out=config.out, queue=config.queue, momentum=config.momentum, name=config.name
        )
        self.config = config
        self._row: dict[str, int] = {}
        self._remember_places(0)
        self._moved: list[Tensor] = []

    def prepare(self, uid: Sequence[str], lonlat: Float64[np.ndarray, "n 2"]) -> None:  # noqa: ARG002 - ids are enough
        """Make room for what is learnt of every location."""
        self._row = {name: row for row, name in enumerate(sorted(uid))}
        self._remember_places(len(uid))

    def _remember_places(self, number: int) -> None:
        self.register_buffer("ratio", torch.full((number,), torch.nan))
        self.register_buffer("changed", torch.zeros(number, dtype=torch.bool))
        self.register_buffer("visited", torch.zeros((), dtype=torch.long))

    def loss(self, views: list[View], gather: Gather = ALONE) -> Loss:
        """The sum of the subspaces' InfoNCE over the items of both periods.

        Negatives are the queue, the positives of the other period of every location, and but for the first subspace the
        other two keys of all items. A location's own other period is none of them unless the location has changed.
        """
        views = several(views, "caco", "two-periods", 8)
        rows = self._rows(views[0])
        with torch.no_grad():
            seen = [[self.teacher.encoder(view.image) for view in period] for period in (views[1:4], views[5:8])]
        features = [self.encoder(views[i].image) for i in (0, 4)]
        own = torch.arange(len(rows), device=rows.device) + gather.rank * len(rows)
        terms, positives = [], []
        for s in range(SUBSPACES):
            keys = [[self.keys(z, s) for z in period] for period in seen]
            others = [gather(k) for period in keys for i, k in enumerate(period) if s > 0 and i != s]
            positives.append([period[s] for period in keys])
            for p in (0, 1):
                partners = gather(positives[s][1 - p])
                negatives = torch.cat([partners, self.queues[s], *others])
                query = self.heads[s](features[p])
                terms.append(
                    change_aware(query, keys[p][s], negatives, own, self._is_changed(rows), self.config.temperature)
                )
        self._estimate(rows, features, positives[SEASON], gather)
        # interleaved, so that a location's two periods stay side by side in the queue
        self.remember([torch.stack(both, dim=1).flatten(0, 1) for both in positives], gather)
        total = torch.stack(terms).sum() / 2
        return Loss(total, features[0].detach(), {"changed": self.changed.float().sum()})

    @torch.no_grad()
    def after_step(self, progress: float) -> None:
        """Also average what was measured of the step's places; once all have been seen, say anew which have changed."""
        super().after_step(progress)
        for measured in self._moved:
            rows, now = measured[:, 0].long(), measured[:, 1]
            rows, now = rows[rows >= 0], now[rows >= 0].to(self.ratio)
            before = self.ratio[rows]
            self.ratio[rows] = torch.where(before.isnan(), now, (4 * before + now) / 5)
            self.visited += len(rows)
        self._moved.clear()
        if len(self.ratio) and int(self.visited) >= len(self.ratio):
            self.visited.zero_()
            self.changed.copy_(which_changed(self.ratio))

    @torch.no_grad()
    def _estimate(self, rows: Int[Tensor, " b"], features: list[Tensor], short: list[Tensor], gather: Gather) -> None:
        """Distance to the other period over distance within the period, by the key encoder's head; mean of both."""
        query = [self.keys(z.detach(), SEASON) for z in features]
        far = (query[0] - query[1]).norm(dim=1)
        ratios = [far / ((q - k).norm(dim=1) + 1e-4) for q, k in zip(query, short, strict=True)]
        measured = torch.stack([rows.double(), torch.stack(ratios).mean(dim=0).double()], dim=1)
        self._moved.append(gather(measured))

    def _rows(self, view: View) -> Int[Tensor, " b"]:
        """Places in what is remembered; -1 for locations that were not announced."""
        uid = view.uid or ("",) * len(view.image)
        return torch.tensor([self._row.get(name, -1) for name in uid], device=self.queues.device)

    def _is_changed(self, rows: Int[Tensor, " b"]) -> Tensor:
        known = rows >= 0
        return known & self.changed[rows.clamp(min=0)] if len(self.changed) else torch.zeros_like(known)


@full_precision
def change_aware(
    query: Float[Tensor, "b d"],
    key: Float[Tensor, "b d"],
    negatives: Float[Tensor, "k d"],
    own: Int[Tensor, " b"],
    changed: Tensor,
    temperature: float,
) -> Float[Tensor, ""]:
    """InfoNCE of each query's key against negatives, of which row `own` counts only where the place has changed."""
    query = F.normalize(query, dim=1)
    against = query @ negatives.T / temperature
    sample = torch.arange(len(query), device=query.device)
    itself = torch.zeros_like(against)
    itself[sample, own] = torch.where(changed, 0.0, -1e8)
    logits = torch.cat([(query * key).sum(dim=1, keepdim=True) / temperature, against + itself], dim=1)
    return F.cross_entropy(logits, torch.zeros(len(query), dtype=torch.long, device=query.device))


def which_changed(ratio: Float[Tensor, " n"]) -> Tensor:
    """True for places of the component with the higher mean, of a mixture of two Gaussians over all known ratios."""
    from sklearn.mixture import GaussianMixture

    known = ratio.isfinite()
    if int(known.sum()) < 2:
        return torch.zeros_like(known)
    values = ratio[known, None].double().cpu().numpy()
    mixture = GaussianMixture(2, random_state=0).fit(values)
    higher = mixture.means_.argmax()  # pyright: ignore[reportOptionalMemberAccess]
    changed = torch.zeros_like(known)
    changed[known] = torch.from_numpy(mixture.predict(values) == higher).to(known.device)
    return changed
