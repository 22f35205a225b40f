"""The one LightningModule: a method, an optimiser and a schedule. What a method means stays in the method."""

import copy
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from lightning.pytorch import LightningModule
from torch import Tensor

from swath._memory_guard import MemoryGuard, same_random_numbers
from swath.batch import Batch, Image
from swath.methods import Loss, Method
from swath.training import distributed
from swath.training.config import TrainConfig
from swath.training.optim import optimizer, peak_lr, set_rates
from swath.training.plan import Plan
from swath.training.schedules import learning_rate


class SelfSupervised(LightningModule):
    """Adapts a method to Lightning. All randomness is a function of (seed, forward pass, rank): nothing to restore."""

    def __init__(self, method: Method, train: TrainConfig, plan: Plan, seed: int):
        super().__init__()
        self.method, self.train_config, self.plan, self.seed = method, train, plan, seed
        self.gather = distributed.AllProcesses()
        self.peak_lr = peak_lr(train.optimizer, train.samples_per_step)
        self.parts: list[Loss] = []
        """Losses of the forward passes since the last optimiser step, detached."""
        self.locations: list[str] = []
        """Ids of the locations in these forward passes, in this process."""
        self.gradient = torch.zeros(())
        """Sum of the norms of all parameters' gradients at the last optimiser step, on the device; finite only
        if all are."""
        self.room = MemoryGuard("training.batch_size", "views.most", distributed.launch().world)

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        """Views, then loss. Lightning counts batches over the whole run, as it sees one epoch only."""
        if batch_idx % self.train_config.accumulate == 0:
            self.parts.clear()
            self.locations.clear()
        self.room.require(batch.images, lambda images: self._trial(batch, images))
        generator = self._randomness(batch_idx)
        with torch.autocast(self.device.type, enabled=False):
            # augmentation is about physical units; bfloat16 would round reflectance to 8 bits
            views = self.method.views(batch, generator)
        loss = self.method.loss(views, self.gather)
        terms = {name: term.detach() for name, term in loss.terms.items()}
        self.parts.append(replace(loss, total=loss.total.detach(), terms=terms))
        self.locations += batch.uid
        return loss.total

    def _trial(self, batch: Batch, images: dict[str, Image]) -> Tensor:
        """The loss of part of a batch, computed by a copy: a method may change more than buffers, such as its
        queue of keys.
        """
        samples = len(next(iter(images.values())))
        targets = {name: target[:samples] for name, target in batch.targets.items()}
        part = Batch(images, batch.lonlat[:samples], batch.uid[:samples], targets)
        method = copy.deepcopy(self.method)
        with same_random_numbers(self.device):
            return method.loss(method.views(part, torch.Generator().manual_seed(0))).total

    def optimizer_step(self, epoch: int, batch_idx: int, optimizer: Any, optimizer_closure: Any = None) -> None:
        """One step at the schedule's learning rate, then the method's teacher or queue."""
        done = self.global_step
        set_rates(optimizer, self.lr_at(done), self.peak_lr)
        super().optimizer_step(epoch, batch_idx, optimizer, optimizer_closure)
        self.method.after_step((done + 1) / self.plan.total)

    def on_before_optimizer_step(self, optimizer: torch.optim.Optimizer) -> None:  # noqa: ARG002 - Lightning's signature
        """Look at the gradients, without waiting for them."""
        norms = torch._foreach_norm([p.grad for p in self.method.parameters() if p.grad is not None])  # pyright: ignore
        self.gradient = torch.stack(norms).sum()

    def configure_gradient_clipping(
        self,
        optimizer: Any,  # noqa: ARG002 - Lightning's signature
        gradient_clip_val: float | None = None,
        gradient_clip_algorithm: str | None = None,  # noqa: ARG002
    ) -> None:
        """Limit the norm of all gradients together. In bfloat16, Lightning refuses it to optimisers that make one pass,
        for some of them scale gradients, which nothing does here.
        """
        if gradient_clip_val is not None:
            torch.nn.utils.clip_grad_norm_(self.parameters(), gradient_clip_val)

    def configure_optimizers(self) -> torch.optim.Optimizer:
        """The optimiser; `optimizer_step` sets its learning rate."""
        return optimizer(self.train_config.optimizer, self.method, self.method.at_peak_rate())

    def lr_at(self, step: int) -> float:
        """Learning rate of optimiser step `step`, from 0."""
        return learning_rate(self.train_config.schedule, self.peak_lr, step, self.plan.total, self.plan.per_epoch)

    def _randomness(self, batch_idx: int) -> torch.Generator:
        """Seed torch (for dropout in encoders) and make the views' generator."""
        state = np.random.SeedSequence(self.seed, spawn_key=(batch_idx, distributed.rank()))
        for_layers, for_views = (int(s) >> 1 for s in state.generate_state(2, np.uint64))
        # not torch.manual_seed, which notes where it was called from for each kind of device that is not there
        torch.default_generator.manual_seed(for_layers)
        if self.device.type == "cuda":
            torch.cuda.manual_seed(for_layers)
        return torch.Generator().manual_seed(for_views)
