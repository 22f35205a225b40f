"""Supervised training of a network from images to classes, of locations or of pixels, or to numbers.

Fine-tuning, training from scratch and the supervised references are this one loop on different networks, so that what
is compared differs in nothing but the network and where it starts.
"""

import copy
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Annotated, Any, Literal

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from pydantic import ConfigDict, Field, model_validator
from torch import Tensor, nn

from swath import segmenters
from swath._device import has_bfloat16
from swath._memory_guard import MemoryGuard, same_random_numbers, untouched
from swath._progress import track
from swath.batch import Image
from swath.corpus import Corpus
from swath.corpus.labels import VOID
from swath.encoders import DenseEncoder, Encoder, MapEncoder, backbone_of, head_of
from swath.errors import ContractError, TrainingError
from swath.segmenters import DecoderConfig, Segmenter, resnet_convlstm, unet
from swath.settings import Counts, PluginSettings, Settings
from swath.tasks._losses import LossName, balanced, chosen, label_loss, probabilities
from swath.tasks._types import Altered, Prediction
from swath.tasks._uncertainty import in_bytes
from swath.tasks.data import (
    BandReader,
    Bands,
    Centred,
    Condition,
    Labelled,
    bands_by_sensor,
    both,
    contract_of,
    device_of,
    learnable,
    match_bands,
    narrowed,
)
from swath.tasks.metrics import confusion, share_right
from swath.tasks.metrics.macro_ap import macro_ap
from swath.tasks.metrics.miou import miou
from swath.tasks.trained import Keeper

LOOKED_AT = 16
"""Number of training locations whose units and pixel size are checked before an encoder is trained."""
PLATEAU = 6
"""Number of epochs without likelier validation labels that `plateau` tolerates, as in SSL4EO-L."""
NOTHING = ("one class, so there is nothing to tell apart", "one number, so there is nothing to estimate")
"""What a training part holds whose labels are all the same: classes, and numbers."""
LARGE_PX = 64
"""Side of chips from which a CPU may use bfloat16: halved five times, as by a ResNet, two pixels are left."""


class Supervision(Settings):
    """How a network is trained on labels; the epoch that is best on validation is kept (accuracy; mIoU of pixels;
    macro average precision where locations have several classes, each of which is learnt by binary cross-entropy), and
    of equal ones that under which the validation labels are likeliest. Numbers are z-scored and learnt by the squared
    error, which also chooses the epoch.

    The defaults are S4's and PASTIS': 50 epochs of Adam without schedule or weight decay.
    """

    epochs: int = Field(default=50, ge=1)
    batch_size: int = Field(default=4, ge=2)
    """Locations per step; a rest that fills no batch waits for the next epoch's order."""
    learning_rate: float = Field(default=1e-3, gt=0)
    weight_decay: float = Field(default=0.0, ge=0)
    """Decoupled from the gradient (AdamW); at 0 that is Adam."""
    schedule: Literal["constant", "cosine", "plateau"] = "constant"
    """How the learning rate changes: not, by half a cosine over all steps, or to a tenth where the validation labels
    have not become likelier for more than six epochs (needs a validation part; without one it stays)."""
    flips: bool = True
    """Mirror samples at random, left-right and top-bottom; chips of one pixel stay as they are."""
    frame_dropout: float = Field(default=0.0, ge=0, lt=1)
    """Chance that a date of a series is left out of a training step; one always stays."""
    patience: Annotated[int | None, Counts.WHERE_GIVEN] = Field(default=None, ge=1)
    """Stop after so many epochs that were no better on validation; never where there is no validation part."""
    min_steps: Annotated[int, Counts.WHERE_GIVEN] = Field(default=1, ge=1)
    """At least so many optimiser steps, in more epochs: with few labels an epoch is a step or two, and a network that
    was trained for a dozen steps is no comparison."""
    min_epochs: Annotated[int, Counts.WHERE_GIVEN] = Field(default=1, ge=1)
    """Least number of epochs before `patience` may stop the training."""
    loss: Annotated[LossName, Counts.WHERE_GIVEN] = "cross-entropy"
    """Loss where units or pixels have one class each: cross-entropy, the focal loss, which weighs uncertain
    pixels more, or Dice, to which each class is worth the same."""
    class_weights: Annotated[Literal["none", "balanced"], Counts.WHERE_GIVEN] = "none"
    """Weight of a label in cross-entropy and focal loss: equal for all, or smaller the more labels its class has."""

    @model_validator(mode="after")
    def _dice_weighs_by_itself(self) -> "Supervision":
        if self.loss == "dice" and self.class_weights != "none":
            raise ValueError("class_weights: to Dice all classes are worth the same already, leave them out")
        return self


class Decoding(Supervision):
    """How a network that is a decoder on an encoder's maps is trained to segment."""

    # built when a recipe is read: packages that offer segmenters import what this module is a part of
    model_config = ConfigDict(defer_build=True)

    decoder: DecoderConfig = unet.Config()
    """The decoder: `unet`, or with settings `{name: unet, channels: [...]}`."""

    @model_validator(mode="after")
    def _encoder_is_the_rows(self) -> "Decoding":
        if self.decoder.encoder is not None:
            raise ValueError("decoder.encoder: it is the encoder that is judged, leave it out")
        return self


class ScratchConfig(Supervision):
    """Plain training from scratch, beside probes on frozen features: AdamW, cosine schedule, flips."""

    epochs: int = Field(default=30, ge=1)
    batch_size: int = Field(default=64, ge=2)
    weight_decay: float = Field(default=0.05, ge=0)
    schedule: Literal["constant", "cosine"] = "cosine"


def plain(config: Supervision) -> Supervision:
    """The settings of the training alone, without those of the probe that they are a part of: two that train alike are
    equal."""
    kind = Decoding if isinstance(config, Decoding) else Supervision
    return kind(**{name: getattr(config, name) for name in kind.model_fields})


@dataclass(frozen=True, slots=True, eq=False)
class LabelledInput:
    """One input of a task with its labels: what a network learns from, and is tested on."""

    reader: BandReader
    bands: Bands
    parts: dict[str, Labelled]
    """Labelled locations by part: train, val, test; and `held out`, where others than those of val are held out."""
    classes: int
    """Outputs of a network: as many as there are classes, or one for numbers."""
    cloud_levels: tuple[float, ...] = ()
    """Shares of clouds under which the test part is predicted as well."""
    keeper: Keeper | None = None
    """Gets the network when it is trained."""
    conditions: tuple[Condition, ...] = ()
    """Conditions under which the test part is predicted as well."""
    takes_any_number: bool = False
    """Whether the network that is trained takes any number of bands, and can be told that some are missing."""

    @property
    def per_pixel(self) -> bool:
        """Whether it is a segmentation."""
        return self.parts["train"].per_pixel

    @property
    def held_out(self) -> Labelled:
        """Locations, of one class each, that are not learnt from, and whose scores say how sure a classifier may be."""
        part = self.parts.get("held out", self.parts["val"])
        scored = not (part.per_pixel or part.multi_label or part.regression)
        return part if scored else part.take(np.empty(0, np.int64))

    def tested(self, predict: Callable[[BandReader], Prediction]) -> Prediction:
        """Predictions of a classifier for the test part's images, as they are, under painted clouds and conditions."""
        clouds = {share: predict(self.reader.under_clouds(share)).y_pred for share in self.cloud_levels}
        altered = {one.key: self._altered(one, predict) for one in self.conditions}
        return replace(predict(self.reader), under_clouds=clouds, altered=altered)

    def _altered(self, condition: Condition, predict: Callable[[BandReader], Prediction]) -> Altered:
        hidden = self.takes_any_number and condition.hide is not None
        return Altered(predict(condition.reader(self.reader, hidden=hidden)), hidden)


def used(data: LabelledInput, use: Literal["unused", "tunes", "fits"]) -> LabelledInput:
    """The same with the validation labels where their use puts them: left out, to choose by, or among the training's.

    A network that learns from them has nothing left to choose its epoch by, and is trained to its last.
    """
    if use == "tunes":
        return data
    train, val = data.parts["train"], data.parts["val"]
    none = val.take(np.empty(0, np.int64))
    learnt, held_out = (train, val) if use == "unused" else (both(train, val), none)
    return replace(data, parts={**data.parts, "train": learnt, "val": none, "held out": held_out})


class Classifier(nn.Module):
    """An encoder and a new head.

    A head on an encoder of pixels is a convolution to class maps, averaged over valid pixels where locations have the
    classes; on any other, a linear layer on the embedding. Several passes are concatenated, as for a probe.
    """

    def __init__(self, encoder: Encoder, data: LabelledInput):
        """Put a new head on an encoder.

        Raises:
            ContractError: it cannot take the bands.
        """
        super().__init__()
        self.passes = match_bands(encoder.contract, data.bands).passes
        self.encoder, self.composer, self.per_pixel = encoder, data.reader.composer, data.per_pixel
        if isinstance(encoder, DenseEncoder):
            self.head = head_of(encoder, data.classes, len(self.passes))
        else:
            self.head = nn.Linear(encoder.dim * len(self.passes), data.classes)

    def check(self, images: dict[str, Image]) -> None:
        """Raise ContractError unless the images have the bands, units and pixel size that the encoder was made for."""
        for bands in self.passes:
            self.encoder.check(self.composer.compose(images, bands))

    def forward(self, images: dict[str, Image]) -> Float[Tensor, "b k"] | Float[Tensor, "b k h w"]:
        """Logits of locations or of pixels."""
        composed = [self.composer.compose(images, bands) for bands in self.passes]
        encoder = self.encoder
        if not isinstance(encoder, DenseEncoder):
            return self.head(torch.cat([encoder(image) for image in composed], dim=1))
        maps = self.head(torch.cat([encoder.dense(image) for image in composed], dim=1))
        return maps if self.per_pixel else _mean_over_valid(maps, composed[0].valid)


def _mean_over_valid(maps: Float[Tensor, "b k h w"], valid: Bool[Tensor, "b t h w"]) -> Float[Tensor, "b k"]:
    seen = valid.any(dim=1)
    # where no pixel was ever valid all look alike, and any of them will do
    seen = seen | ~seen.any(dim=(1, 2), keepdim=True)
    weight = seen.to(maps.dtype)
    return torch.einsum("bkhw,bhw->bk", maps, weight) / weight.sum(dim=(1, 2))[:, None]


class Reference(nn.Module):
    """A segmenter fed a task's input; its maps are averaged over valid pixels where locations have the classes."""

    def __init__(self, segmenter: Segmenter, data: LabelledInput):
        super().__init__()
        self.segmenter, self.composer, self.per_pixel = segmenter, data.reader.composer, data.per_pixel

    def _own(self, images: dict[str, Image]) -> dict[str, Image]:
        return {name: self.composer.compose(images, c.bands) for name, c in self.segmenter.contracts.items()}

    def check(self, images: dict[str, Image]) -> None:
        """Raise ContractError unless the images have the bands and pixel size that the segmenter was made for."""
        for name, image in self._own(images).items():
            self.segmenter.contracts[name].check(image)
            self.segmenter.contracts[name].check_gsd(image)

    def forward(self, images: dict[str, Image]) -> Float[Tensor, "b k"] | Float[Tensor, "b k h w"]:
        """Logits of locations or of pixels."""
        own = self._own(images)
        maps = self.segmenter(own)
        return maps if self.per_pixel else _mean_over_valid(maps, next(iter(own.values())).valid)


def train_reference(
    config: Supervision, segmenter: PluginSettings, data: LabelledInput, corpus: Corpus, seed: int, device: str
) -> Prediction:
    """Train the segmenter that the settings describe on the training part and apply it to the test part.

    Raises:
        RecipeError: the segmenter takes another number of sensors.
        TrainingError: one class only, or the loss became non-finite.
    """
    contracts = {sensor: contract_of(corpus, bands) for sensor, bands in bands_by_sensor(data.bands).items()}

    def build() -> nn.Module:
        return Reference(segmenters.build(segmenter, contracts, data.classes), data)

    return train_network(config, build, data, seed, device)


def train_encoder(
    config: Supervision,
    encoder: Encoder,
    data: LabelledInput,
    seed: int,
    *,
    frozen: bool = False,
    layer_decay: float = 1.0,
) -> Prediction:
    """Train a copy of an encoder, with a new head, on the training part and apply it to the test part.

    Args:
        config: how.
        encoder: pre-trained or randomly initialised; on any device.
        data: what is learnt.
        seed: of the head, the order of samples, and all that is random in training.
        frozen: leave the encoder as it is, and train the head; of an encoder with a decoder, that as well.
        layer_decay: by what the learning rate falls from the head to the encoder's last layer, and on to each one
            before it.

    Where pixels have the classes, a ResNet of single dates gets a ConvLSTM over them and a decoder (S4, section 4.3).

    Raises:
        ContractError: the encoder cannot take the input, or it is in other units, or it cannot segment.
        TrainingError: one class only, or the loss became non-finite.
    """
    _check_input(encoder, data)
    data = replace(data, takes_any_number=encoder.contract.any_number)
    encoder = narrowed(encoder, data.bands)

    def build() -> nn.Module:
        own = copy.deepcopy(encoder)
        model = _with_head(config, own, data)
        if frozen:
            backbone_of(own).requires_grad_(requires_grad=False)
        return model

    def groups(model: nn.Module) -> list[dict[str, Any]]:
        return by_layer(model, config.learning_rate, layer_decay)

    return train_network(config, build, data, seed, str(device_of(encoder)), groups)


def _with_head(config: Supervision, encoder: Encoder, data: LabelledInput) -> nn.Module:
    if isinstance(config, Decoding):
        return Classifier(segmenters.around(config.decoder, encoder), data)
    return _with_decoder(encoder, data) if _needs_decoder(encoder, data) else Classifier(encoder, data)


def by_layer(model: nn.Module, learning_rate: float, decay: float) -> list[dict[str, Any]]:
    """What is trained, in groups for an optimiser.

    The layer i of an encoder of n, counted from 0 at the input, has `learning_rate * decay ** (n - i)`, and whatever
    stands behind the encoder the learning rate itself (BEiT, MAE). A norm behind the last block is no layer: it goes
    with that block.

    Raises:
        ContractError: the encoder's layers have no order.
    """
    trained = [p for p in model.parameters() if p.requires_grad]
    if decay == 1:
        return [{"params": trained}]
    encoder = backbone_of(model.encoder) if isinstance(model, Classifier) else model
    if not isinstance(encoder, MapEncoder):
        raise ContractError("the encoder's layers are in no order by which learning rates could fall: no layer_decay")
    layers = encoder.layers()
    if all(p.ndim < 2 for p in layers[-1]):
        layers = [*layers[:-2], layers[-2] + layers[-1]]
    inside = {id(p) for layer in layers for p in layer}
    groups = [{"params": ps, "lr": learning_rate * decay ** (len(layers) - i)} for i, ps in enumerate(layers)]
    return [*groups, {"params": [p for p in trained if id(p) not in inside]}]


def _check_input(encoder: Encoder, data: LabelledInput) -> None:
    """What some training locations show of units and pixel size; training itself checks nothing."""
    images = data.reader.read(data.parts["train"].locations[:LOOKED_AT])
    for bands in match_bands(encoder.contract, data.bands).passes:
        encoder.check(data.reader.compose(images, bands))


def _needs_decoder(encoder: Encoder, data: LabelledInput) -> bool:
    return data.per_pixel and not isinstance(encoder, DenseEncoder)


def _with_decoder(encoder: Encoder, data: LabelledInput) -> Reference:
    if not resnet_convlstm.has_maps(encoder):
        raise ContractError("the encoder has no features of single pixels, so it cannot be trained to segment")
    match_bands(encoder.contract, data.bands)  # whether it takes them at all
    return Reference(resnet_convlstm.around(encoder, data.classes), data)


def _everything(model: nn.Module) -> list[dict[str, Any]]:
    return by_layer(model, 0.0, 1.0)


def train_network(
    config: Supervision,
    build: Callable[[], nn.Module],
    data: LabelledInput,
    seed: int,
    device: str,
    groups: Callable[[nn.Module], list[dict[str, Any]]] = _everything,
) -> Prediction:
    """Train what `build()` makes: a network from `images` by sensor to logits.

    bfloat16 where matrices are multiplied (on a CPU only with large chips, if it has it), float32 for the final
    predictions; the global random numbers stay as they were. `groups` says what an optimiser is given.

    Raises:
        TrainingError: one class only, the loss became non-finite, or it is none for several classes a location.
    """
    train = data.parts["train"]
    if not learnable(train.y):
        raise TrainingError(f"the training part holds {NOTHING[train.regression]}")
    if (train.multi_label or train.regression) and (config.loss, config.class_weights) != ("cross-entropy", "none"):
        raise TrainingError(
            "loss and class_weights are for one class a location or pixel; several are learnt each, numbers by the "
            "squared error"
        )
    with same_random_numbers(torch.device(device)):
        torch.manual_seed(seed)
        model = build().to(device)
        loop = _Loop(config, model, data, torch.device(device), seed, groups(model))
        if data.keeper is None:
            loop.run()
        else:
            data.keeper.network(model, loop.run, data.bands, train)
    tested = data.tested(lambda reader: loop.predict(data.parts["test"], reader))
    known = len(data.held_out) > 0
    return replace(tested, validation=loop.predict(data.held_out, data.reader).scores if known else None)


class _Loop:
    """The training of one network."""

    def __init__(
        self,
        config: Supervision,
        model: nn.Module,
        data: LabelledInput,
        device: torch.device,
        seed: int,
        groups: list[dict[str, Any]],
    ):
        self.config, self.model, self.data, self.device = config, model, data, device
        self.train = data.parts["train"]
        self.labels = Centred.on(self.train.y)
        self.steps = max(1, len(self.train) // config.batch_size)
        self.epochs = max(config.epochs, math.ceil(config.min_steps / self.steps))
        decay = config.weight_decay
        self.optimiser = torch.optim.AdamW(groups, lr=config.learning_rate, weight_decay=decay, fused=True)
        total = self.epochs * self.steps if config.schedule == "cosine" else None
        self.schedule = torch.optim.lr_scheduler.CosineAnnealingLR(self.optimiser, total) if total else None
        falls = config.schedule == "plateau" and len(data.parts["val"])
        self.plateau = torch.optim.lr_scheduler.ReduceLROnPlateau(self.optimiser, patience=PLATEAU) if falls else None
        weighs = config.class_weights == "balanced"
        weight = balanced(self.train.counts(data.classes)).to(device) if weighs else None
        self.loss = label_loss if self.train.regression else chosen(config.loss, weight)
        self.generator = torch.Generator().manual_seed(seed)
        self.room = MemoryGuard("batch_size of the probe", "most of the task")

    def run(self) -> None:
        """Leave the model with the weights of its best epoch on validation, or of the last without validation."""
        best, kept, at = (-math.inf, -math.inf), self.model.state_dict(), 0
        for epoch in track(range(self.epochs), self.epochs, "  training, epochs"):
            self._epoch()
            quality = self._quality(self.data.parts["val"])
            if quality > best or not len(self.data.parts["val"]):
                best, kept, at = quality, copy.deepcopy(self.model.state_dict()), epoch
            if self.plateau:
                self.plateau.step(-quality[1])
            if self._enough(epoch, at):
                break
        self.model.load_state_dict(kept)

    def _enough(self, epoch: int, best: int) -> bool:
        """Whether the best epoch lies so far back that no better one is to be hoped for."""
        patience = self.config.patience
        return patience is not None and epoch + 1 >= self.config.min_epochs and epoch - best >= patience

    def _epoch(self) -> None:
        _train_mode(self.model)
        order = torch.randperm(len(self.train), generator=self.generator)
        # a rest that is no full batch waits for the next epoch's order, unless it is all there is
        batches = order[: self.steps * self.config.batch_size].split(self.config.batch_size)
        parts = [self.train.take(rows.numpy()) for rows in batches]
        read = self.data.reader.read_each([part.locations for part in parts], self.device)
        losses = []
        for part, images in zip(parts, read, strict=True):
            images, y = self._augmented(images), torch.from_numpy(self.labels(part.y))
            if self.config.flips:
                images, y = flip(images, self.generator, y)
            losses.append(self._step(images, y.to(self.device)))
        # looked at together, as a GPU would be waited for in each step
        if not torch.stack(losses).isfinite().all():
            raise TrainingError("supervised training became non-finite", remedy="lower its learning_rate")

    def _augmented(self, images: dict[str, Image]) -> dict[str, Image]:
        if not self.config.frame_dropout:
            return images
        return {name: drop_frames(image, self.config.frame_dropout, self.generator) for name, image in images.items()}

    def _step(self, images: dict[str, Image], y: Int[Tensor, "b *_"] | Float[Tensor, " b"]) -> Float[Tensor, ""]:
        """Take an optimiser's step, and return the loss before it."""
        kind = self.device.type
        narrow = has_bfloat16(kind) and (kind != "cpu" or _large(images))
        with torch.autocast(kind, dtype=torch.bfloat16, enabled=narrow):
            self.room.require(images, self._trial)
            logits = self.model(images)
        loss = self.loss(logits.float(), y)
        self.optimiser.zero_grad(set_to_none=True)
        loss.backward()
        self.optimiser.step()
        if self.schedule:
            self.schedule.step()
        return loss.detach()

    def _trial(self, images: dict[str, Image]) -> Tensor:
        """Logits, which leave no trace."""
        with untouched(self.model, self.device):
            return self.model(images)

    def _quality(self, part: Labelled) -> tuple[float, float]:
        """What an epoch is worth on a part: the metric, and the log-likelihood of the labels."""
        if not len(part):
            return 0.0, 0.0
        made, likelihood = [], 0.0
        for rows, logits in self._logits(part, self.data.reader):
            y = torch.from_numpy(self.labels(part.y[rows])).to(self.device)
            likelihood -= float(label_loss(logits, y, reduction="sum"))
            made.append(self._said(logits, part))
        # of numbers with errors of one size it is the likelihood as well
        return (likelihood if part.regression else self._metric(part, Prediction.joined(made))), likelihood

    def _metric(self, part: Labelled, found: Prediction) -> float:
        if part.multi_label:
            assert found.scores is not None
            return float(np.nan_to_num(macro_ap(part.y, found.scores, np.ones((1, len(part))))[0]))
        there = part.y != VOID
        y, y_pred = (classes[there].astype(np.int64) for classes in (part.y, found.y_pred))
        cm = confusion(y, y_pred, self.data.classes)
        return float((miou if part.per_pixel else share_right)(cm))

    def predict(self, part: Labelled, reader: BandReader) -> Prediction:
        """Classes of locations with their scores, or of pixels with their uncertainty; or numbers."""
        return Prediction.joined([self._unsure(logits, part) for _, logits in self._logits(part, reader)])

    def _unsure(self, logits: Float[Tensor, "b k *hw"], part: Labelled) -> Prediction:
        """What is said, and of pixels how uncertain that is, which no epoch is chosen by."""
        said = self._said(logits, part)
        if not part.per_pixel:
            return said
        likely = probabilities(logits, multi_label=False).cpu().numpy()
        return replace(said, uncertainty=in_bytes(likely, axis=1))

    def _logits(self, part: Labelled, reader: BandReader) -> Iterator[tuple[slice, Float[Tensor, "b k *hw"]]]:
        """Logits of some locations at a time, and which locations they are of."""
        self.model.eval()
        size = self.config.batch_size
        places = [slice(start, start + size) for start in range(0, len(part), size)]
        read = reader.read_each([part.locations[rows] for rows in places], self.device)
        for rows, images in zip(places, read, strict=True):
            with torch.no_grad():
                logits = self.model(images).float()
            yield rows, logits

    def _said(self, logits: Float[Tensor, "b k *hw"], part: Labelled) -> Prediction:
        if part.regression:
            return Prediction.of_numbers(self.labels.undone(logits[:, 0].cpu().numpy()))
        if part.per_pixel:
            return Prediction(logits.argmax(1).to(torch.int16).cpu().numpy())
        scores = probabilities(logits, multi_label=part.multi_label).cpu().numpy()
        return Prediction.of(scores, multi_label=part.multi_label)


def _large(images: dict[str, Image]) -> bool:
    """Whether a CPU may multiply in bfloat16.

    There torch (2.15) leaves the weight gradients of strided convolutions that see a single position uninitialised,
    which networks that halve small chips or short series come to. Large chips of one date are safe, and faster.
    """
    return all(image.pixels.shape[1] == 1 and min(image.pixels.shape[3:]) >= LARGE_PX for image in images.values())


def _train_mode(model: nn.Module) -> None:
    """Training mode, but for parts that hold parameters and train none: their statistics stay, too."""
    model.train()
    for part in model.modules():
        parameters = list(part.parameters())
        if parameters and not any(p.requires_grad for p in parameters):
            part.eval()


def flip(
    images: dict[str, Image], generator: torch.Generator, y: Int[Tensor, "b *_"] | Float[Tensor, " b"]
) -> tuple[dict[str, Image], Int[Tensor, "b *_"] | Float[Tensor, " b"]]:
    """Each sample mirrored left-right and top-bottom by the toss of a coin, the same for all sensors and the labels.

    Chips of one pixel stay as they are.
    """
    first = next(iter(images.values())).pixels
    for axis in (-1, -2):
        if first.shape[axis] == 1:
            continue
        toss = torch.rand(len(first), generator=generator) < 0.5
        images = {sensor: _flip(image, toss, axis) for sensor, image in images.items()}
        y = torch.where(toss[:, None, None], y.flip(axis), y) if y.ndim == 3 else y
    return images, y


def _flip(image: Image, toss: Tensor, axis: int) -> Image:
    toss = toss.to(image.pixels.device)
    return replace(
        image,
        pixels=torch.where(toss[:, None, None, None, None], image.pixels.flip(axis), image.pixels),
        valid=torch.where(toss[:, None, None, None], image.valid.flip(axis), image.valid),
    )


def drop_frames(image: Image, chance: float, generator: torch.Generator) -> Image:
    """Make dates invalid at random; of those that a sample has, one always stays."""
    there = image.valid.flatten(2).any(dim=2)
    luck = torch.rand(there.shape, generator=generator).to(there.device).masked_fill(~there, -1.0)
    kept = (luck >= chance) | (luck == luck.max(dim=1, keepdim=True).values)
    return replace(
        image,
        pixels=image.pixels.masked_fill(~kept[:, :, None, None, None], 0.0),
        valid=image.valid & kept[:, :, None, None],
    )
