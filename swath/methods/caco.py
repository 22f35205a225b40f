"""CaCo: SeCo, and a place years later is another place only if it has changed.

Mall et al. 2023, "Change-Aware Sampling and Contrastive Learning for Satellite Images", CVPR; settings and negatives as
in its code. Whether a place has changed is estimated while training: how far its features move between two periods,
against how far they move within one, in a mixture of two Gaussians over all places.
"""

import math
from collections.abc import Sequence
from typing import Literal

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Float64, Int
from pydantic import Field
from torch import Tensor

from swath._device import send
from swath.batch import Image, View, pad_dates
from swath.encoders import Encoder
from swath.methods._losses import info_nce_queue
from swath.methods._queue import Length, owner_of
from swath.methods._sub_batches import GhostBatch, in_sub_batches, number_of
from swath.methods._subspaces import SUBSPACES, Subspaces
from swath.methods._types import ONE_PROCESS, DrawViews, Gather, Loss, require_number
from swath.settings import PluginSettings

SEASON = 1
"""The subspace in which change is measured."""


class Config(PluginSettings):
    """CaCo (Mall et al. 2023): SeCo's contrast with longer-term changes of a location, told from seasonal ones."""

    name: Literal["caco"] = "caco"
    out: int = Field(default=128, ge=1)
    """Length of the projections."""
    queue: Length = "auto"
    """Keys kept for each subspace, half of each period; auto: 16,384, or as many as there are training locations."""
    momentum: float = Field(default=0.999, ge=0, lt=1)
    """Share of the key encoder that every step keeps."""
    temperature: float = Field(default=0.07, gt=0)
    ghost_batch: GhostBatch = 32
    """Keys go through BatchNorm in sub-batches of at most so many images, as on the official codes' devices; null: all
    at once."""


class Method(Subspaces):
    """CaCo. The views are the policy two-periods': a query and three keys of the newer period, then of the older."""

    ratio: Tensor
    changed: Tensor
    visited: Tensor

    def __init__(self, config: Config, encoder: Encoder, policy: DrawViews):
        super().__init__(encoder, policy, out=config.out, queue=config.queue, momentum=config.momentum)
        self.config = config
        self._row: dict[str, int] = {}
        self._remember_places(0)
        self._moved: list[Tensor] = []
        self._at_most = math.inf  # visits that the host knows of; a continued run has to ask

    def prepare(self, uid: Sequence[str], lonlat: Float64[np.ndarray, "n 2"]) -> None:
        """Also make room for what is learnt of every location."""
        super().prepare(uid, lonlat)
        self._row = {name: row for row, name in enumerate(sorted(uid))}
        self._remember_places(len(uid))

    def _remember_places(self, number: int) -> None:
        self.register_buffer("ratio", torch.full((number,), torch.nan))
        self.register_buffer("changed", torch.zeros(number, dtype=torch.bool))
        self.register_buffer("visited", torch.zeros((), dtype=torch.long))

    def loss(self, views: list[View], gather: Gather = ONE_PROCESS) -> Loss:
        """The sum of the subspaces' InfoNCE over the items of both periods.

        Negatives are the queue's keys of the same period and of other locations, the positives of the other period of
        every location, and but for the first subspace the other two keys of all items. A location's own other period is
        none of them unless the location has changed.
        """
        views = require_number(views, "caco", "two-periods", 8)
        rows, owner = self._rows(views[0]), owner_of(views[0])
        # as in the official code both periods go through each encoder together: their batch statistics are the same
        number = number_of(2 * len(gather(owner)), self.config.ghost_batch, self.teacher.encoder)
        with torch.no_grad():
            still, *seen = [_both(self.teacher.encoder, views[i], views[4 + i], number) for i in range(1 + SUBSPACES)]
        features = _both(self.encoder, views[0], views[4])
        own_partner = (owner[:, None] == gather(owner)) & ~self._is_changed(rows)[:, None]
        excluded = torch.cat([own_partner, self.queue.is_of(owner)[:, ::2]], dim=1)
        terms, positives = [], []
        for s in range(SUBSPACES):
            keys = [[self.keys(z[p], s) for z in seen] for p in (0, 1)]
            others = [gather(k) for period in keys for i, k in enumerate(period) if s > 0 and i != s]
            positives.append([period[s] for period in keys])
            for p in (0, 1):
                negatives = torch.cat([gather(positives[s][1 - p]), self.queue.keys[s, p::2], *others])
                query = self.heads[s](features[p])
                terms.append(info_nce_queue(query, keys[p][s], negatives, self.config.temperature, excluded))
        self._estimate(rows, still, positives[SEASON], gather)
        # interleaved, so that even places of the queue hold the newer period and odd ones the older
        both = [torch.stack(pair, dim=1).flatten(0, 1) for pair in positives]
        self.queue.remember(both, owner.repeat_interleave(2), gather)
        total = torch.stack(terms).sum() / 2
        return Loss(total, features[0].detach(), {"changed": self.changed.float().sum()})

    @torch.no_grad()
    def after_step(self, progress: float) -> None:
        """Also average what was measured of the step's places; once all have been seen, say anew which have changed."""
        super().after_step(progress)
        for measured in self._moved:
            known, now = measured[:, 0] >= 0, measured[:, 1].to(self.ratio)
            # unknown ones share a place behind the last: to leave them out would mean to wait for the device
            rows = measured[:, 0].long().where(known, len(self.ratio))
            ratio = F.pad(self.ratio, (0, 1), value=torch.nan)
            before = ratio[rows]
            ratio[rows] = torch.where(before.isnan(), now, (4 * before + now) / 5)
            self.ratio.copy_(ratio[:-1])
            self.visited += known.sum()
        if len(self.ratio) and self._all_seen(sum(map(len, self._moved))):
            self.visited.zero_()
            self.changed.copy_(which_changed(self.ratio))
        self._moved.clear()

    def _all_seen(self, more: int) -> bool:
        """Whether all places were visited since changes were told; asks the device only where that may be so."""
        self._at_most += more
        if self._at_most >= len(self.ratio):
            self._at_most = int(self.visited)
        return self._at_most >= len(self.ratio)

    @torch.no_grad()
    def _estimate(self, rows: Int[Tensor, " b"], still: list[Tensor], short: list[Tensor], gather: Gather) -> None:
        """Distance to the other period over distance within the period; mean of both.

        Args:
            rows: places in what is remembered.
            still: the key encoder's features of the queries of both periods. Those of the encoder that is trained would
                add its distance from the key encoder to every distance.
            short: unit keys of another date of each period.
            gather: joins processes.
        """
        query = [self.keys(z, SEASON) for z in still]
        far = (query[0] - query[1]).norm(dim=1)
        ratios = [far / ((q - k).norm(dim=1) + 1e-4) for q, k in zip(query, short, strict=True)]
        measured = torch.stack([rows.double(), torch.stack(ratios).mean(dim=0).double()], dim=1)
        self._moved.append(gather(measured))

    def _rows(self, view: View) -> Int[Tensor, " b"]:
        """Places in what is remembered; -1 for locations that were not announced."""
        uid = view.uid or ("",) * len(view.image)
        return send(torch.tensor([self._row.get(name, -1) for name in uid]), self.changed.device)

    def _is_changed(self, rows: Int[Tensor, " b"]) -> Bool[Tensor, " b"]:
        known = rows >= 0
        return known & self.changed[rows.clamp(min=0)] if len(self.changed) else torch.zeros_like(known)


def _both(encoder: Encoder, new: View, old: View, sub_batches: int = 1) -> list[Float[Tensor, "b d"]]:
    """Features of both periods, which share their batch statistics."""

    def features(periods: Sequence[Image]) -> Float[Tensor, "b 2 d"]:
        return torch.stack(encoder(pad_dates(periods)).chunk(2), dim=1)

    return list(in_sub_batches(features, [new.image, old.image], sub_batches).unbind(dim=1))


def which_changed(ratio: Float[Tensor, " n"]) -> Tensor:
    """True for places of the component with the higher mean, of a mixture of two Gaussians over all known ratios; of
    no place where all ratios are the same."""
    from sklearn.mixture import GaussianMixture

    known = ratio.isfinite()
    if len(ratio[known].unique()) < 2:
        return torch.zeros_like(known)
    values = ratio[known, None].double().cpu().numpy()
    mixture = GaussianMixture(2, random_state=0).fit(values)
    higher = mixture.means_.argmax()  # pyright: ignore[reportOptionalMemberAccess]
    changed = torch.zeros_like(known)
    changed[known] = torch.from_numpy(mixture.predict(values) == higher).to(known.device)
    return changed
