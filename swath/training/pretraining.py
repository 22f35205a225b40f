"""Pre-train one encoder: from settings and a corpus to a checkpoint that can be used, or a reason why not."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch

from swath import encoders, methods, views
from swath._device import here
from swath._files import read_json, write_whole
from swath._progress import console
from swath.corpus import Corpus, Loader, Selection
from swath.corpus.splits import places
from swath.encoders import EncoderSettings, InputContract
from swath.errors import RecipeError, TrainingError, nearest
from swath.methods import TaughtSettings
from swath.settings import PluginSettings, differences
from swath.training import checkpoint, distributed
from swath.training._log import Log
from swath.training.config import TrainConfig
from swath.training.folder import has_steps, is_trained
from swath.training.gauges import LabelledSet
from swath.training.plan import Plan
from swath.training.targets import found, lacking

SAMPLE = 2
"""Locations that a method is shown before anything is trained: batch statistics are of two at least."""


@dataclass(frozen=True, slots=True)
class Pretrained:
    """What a finished pre-training leaves on disk."""

    path: Path
    """Path of `encoder.safetensors`; its card lies beside it."""
    figures: dict[str, float]
    """Steps, seconds, and the last loss and gauges, from log.csv."""


def pretrain(
    *,
    encoder_config: EncoderSettings,
    method_config: PluginSettings,
    views_config: PluginSettings,
    train: TrainConfig,
    contract: InputContract,
    corpus: Corpus,
    locations: np.ndarray,
    seed: int,
    out: Path,
    provenance: dict[str, Any] | None = None,
    knn: LabelledSet | None = None,
    devices: int | str = "auto",
    label: str = "pre-training",
) -> Pretrained:
    """Pre-train an encoder on locations of a corpus; continue if it was begun, return at once if it is done.

    Args:
        encoder_config: settings of an encoder plug-in.
        method_config: settings of a method plug-in.
        views_config: settings of a view policy.
        train: optimiser, schedule, batch, gauges.
        contract: bands, units and statistics of the encoder's input.
        corpus: an open corpus.
        locations: rows of `corpus.locations` to train on.
        seed: of the weights, the order and the views.
        out: folder for `encoder.safetensors`, its card and the list of what it saw, `last.ckpt`, `log.csv` and
            `config.json`.
        provenance: whatever the card shall say about where the encoder comes from.
        knn: a few labelled chips for the k-NN gauge.
        devices: number of devices; "auto": all GPUs, or the CPU.
        label: shown beside the progress bar.

    Raises:
        TrainingError: the run collapsed, its loss is not finite, or `out` holds a run with other settings.
    """
    from swath.training.fit import fit  # Lightning takes seconds to import: not for `swath --help`

    policy = views.build(views_config)
    loader = _loader(policy, train, corpus, locations, seed)
    settings = settings_of(
        encoder_config=encoder_config,
        method_config=method_config,
        views_config=views_config,
        train=train,
        contract=contract,
        corpus=corpus,
        locations=locations,
        seed=seed,
    )
    with seeded(seed):
        encoder = encoders.build(encoder_config, contract)
        if encoder.start and distributed.launch().rank == 0:
            console().print(str(encoder.start), soft_wrap=True)
        method = _method(method_config, encoder, policy, corpus, locations)
        if begin(out, settings):
            fit(method, train, loader, out, seed=seed, knn=knn, devices=devices, label=label)
            state = finished_state(out / "last.ckpt", method.kept)
            encoder.load_state_dict(state)
            card = {**(provenance or {}), **{k: v for k, v in settings.items() if k not in ("encoder", "contract")}}
            if distributed.launch().rank == 0:
                seen = _seen(encoder_config, method_config, corpus, locations)
            encoders.save(encoder, encoder_config, out / "encoder", card, seen)
    return Pretrained(out / "encoder.safetensors", figures(out))


def settings_of(
    *,
    encoder_config: EncoderSettings,
    method_config: PluginSettings,
    views_config: PluginSettings,
    train: TrainConfig,
    contract: InputContract,
    corpus: Corpus,
    locations: np.ndarray,
    seed: int,
) -> dict[str, Any]:
    """What config.json says of a pre-training: all that its result depends on, but for which locations they are."""
    said = {
        "encoder": encoder_config.model_dump(mode="json"),
        "method": method_config.model_dump(mode="json"),
        "views": views_config.model_dump(mode="json"),
        "training": _said(train),
        "contract": contract.as_dict(),
        "corpus": corpus.content_hash,
        "locations": len(locations),
        "seed": seed,
    }
    return json.loads(json.dumps(said))


def check(
    *,
    encoder_config: EncoderSettings,
    method_config: PluginSettings,
    views_config: PluginSettings,
    train: TrainConfig,
    contract: InputContract,
    corpus: Corpus,
    locations: np.ndarray,
    label: str = "pre-training",
) -> bool:
    """Raise what `pretrain` would raise before its first step, on one device, and in it whatever the locations are.

    Says here, and not again in `pretrain`, how many locations are left out, and why, after `label`.

    Returns:
        Whether the encoder goes by the days of a series.

    Raises:
        SwathError: there are too few chips for a step, or encoder, method and views do not go together.
    """
    policy = views.build(views_config)
    loader = _loader(policy, train, corpus, locations, 0)
    batches = loader(train.batch_size, 0, 1)
    Plan.of(train, len(batches))
    with seeded(0):
        method = _method(method_config, encoders.build(encoder_config, contract), policy, corpus, locations)
        method.rehearse(lambda: method.views(batches.sample(SAMPLE), torch.Generator().manual_seed(0)))
        if method.encoder.needs_days:
            _require_days(policy, corpus, locations)
    for line in (*loader.left_out(batches), *lacking(policy.inputs.targets, corpus, locations)):
        if distributed.launch().rank == 0:
            console().print(f"{label}: {line}", soft_wrap=True)
    return method.encoder.needs_days


def _require_days(policy: views.Policy, corpus: Corpus, locations: np.ndarray) -> None:
    """Raise RecipeError where no series of these locations has a date, and say of how many none is known."""
    chips = corpus.chip_index
    read = chips["location"].isin(locations.tolist()) & chips["sensor"].isin([*policy.reads])
    undated = len(locations) - chips.loc[read & chips["datetime"].notna(), "location"].nunique()
    said = f"the encoder goes by the days of a series, and of {undated} of {len(locations)} locations none is known"
    if undated == len(locations):
        remedy = "say when the images were taken: a date in the recipe's id expression"
        raise RecipeError(said, where=str(corpus.path), remedy=remedy)
    if undated:
        console().print(said, soft_wrap=True)


def _loader(
    policy: views.Policy, train: TrainConfig, corpus: Corpus, locations: np.ndarray, seed: int
) -> "_FromCorpus":
    return _FromCorpus(
        corpus,
        policy.reads,
        _selection(policy, train),
        locations,
        seed,
        _neighbours_m(policy),
        labels=tuple(label for one in policy.inputs.targets for label in one.labels),
        optional=tuple(set(policy.reads) - {key.partition("/")[0] for key in policy.inputs.bands}),
    )


def _method(
    config: PluginSettings, encoder: encoders.Encoder, policy: views.Policy, corpus: Corpus, locations: np.ndarray
) -> methods.Method:
    method = methods.build(config, encoder, policy)
    method.expect(found(policy.inputs.targets, corpus, locations))
    chosen = corpus.locations.iloc[locations]
    method.prepare(chosen["uid"].tolist(), chosen[["lon", "lat"]].to_numpy(dtype=np.float64))
    if method.label is not None:
        method.take_labels(chosen["uid"].tolist(), _labels(corpus, chosen, method.label))
    return method


def _labels(corpus: Corpus, chosen: pd.DataFrame, column: str) -> list[Any]:
    """What a scalar column says of the chosen locations.

    Raises:
        RecipeError: the corpus has no such column, it holds numbers with a unit, or it says nothing of some of them.
    """
    if column not in corpus.locations:
        remedy = nearest(column, map(str, corpus.locations.columns))
        raise RecipeError(f"the corpus has no column {column!r}", where=str(corpus.path), remedy=remedy)
    if unit := corpus.info.units.get(column):
        raise RecipeError(
            f"column {column!r} holds numbers (unit: {unit}), not classes",
            where=str(corpus.path),
            remedy="name a column of classes",
        )
    if lost := int(np.count_nonzero(chosen[column].isna())):
        raise RecipeError(
            f"{lost} of {len(chosen)} locations that are trained on have no {column}",
            where=str(corpus.path),
            remedy="leave them out with the arm's `only`, or of the corpus",
        )
    return chosen[column].tolist()


def _seen(
    config: EncoderSettings, method: PluginSettings, corpus: Corpus, locations: np.ndarray
) -> pd.DataFrame | None:
    """The locations that were trained on, here and by what the encoder started or learnt from; None where unknown."""
    if encoders.saw_unknown_places(config):
        return None
    before = [encoders.load_seen(path) for path in learnt_from(config, method)]
    known = [one for one in before if one is not None]
    return pd.concat([places(corpus, locations), *known]) if len(known) == len(before) else None


def learnt_from(encoder: EncoderSettings, method: PluginSettings) -> list[Path]:
    """The saved encoders that a training starts or learns from."""
    teacher = method.taught_by if isinstance(method, TaughtSettings) else None
    return [path for path in (encoders.own_start(encoder), teacher) if path is not None]


@dataclass(frozen=True, slots=True)
class _FromCorpus:
    """Makes the loader of a process; a class, because it travels to processes that Lightning starts."""

    corpus: Corpus
    reads: dict[str, tuple[str, ...]]
    select: Selection
    locations: np.ndarray
    seed: int
    neighbours_m: float | None = None
    labels: tuple[str, ...] = ()
    optional: tuple[str, ...] = ()

    def __call__(self, batch_size: int, rank: int, world: int) -> Loader:
        return Loader(
            self.corpus,
            self.reads,
            self.locations,
            batch_size,
            self.select,
            seed=self.seed,
            rank=rank,
            world=world,
            device=here(),
            neighbours_m=self.neighbours_m,
            labels=self.labels,
            optional=self.optional,
        )

    def left_out(self, loader: Loader) -> Iterator[str]:
        """A sentence for each reason for which a loader leaves out some of the locations, or repeats their dates."""
        of_all = f"of {len(self.locations)} locations"
        if loader.unlocated:
            yield f"{loader.unlocated} {of_all} have no coordinates, and are left out"
        if loader.lonely:
            yield f"{loader.lonely} {of_all} have no other one within {self.neighbours_m:g} m, and are left out"
        if loader.of_fewer_dates:
            notice = f"{loader.of_fewer_dates} {of_all} have fewer than {self.select.dates} usable dates"
            yield f"{notice}: theirs are repeated, so that what is compared, or filled in, may be of one date"
        if loader.left_out and (days := self.select.apart_days) is not None:
            notice = f"{loader.left_out} {of_all} have no two usable dates {days:g} days of the year apart"
            yield f"{notice}, and are left out"


def _said(train: TrainConfig) -> dict[str, Any]:
    """Settings of a training, without those that earlier versions did not store and that are off."""
    said = train.model_dump(mode="json")
    for section, name in ((said, "compile"), (said["optimizer"], "decay_all")):
        if not section[name]:
            section.pop(name)
    return said


def _selection(policy: views.Policy, train: TrainConfig) -> Selection:
    """The selection of chips that a policy's views are made of."""
    common: dict[str, Any] = {"most": policy.most, "gaps": policy.gaps, "min_valid": train.min_valid}
    if isinstance(policy.dates, views.Seasons):
        return Selection(dates=2, apart_days=policy.dates.apart_days, **common)
    return Selection(dates=1 if isinstance(policy.dates, views.Nearby) else policy.dates, **common)


def _neighbours_m(policy: views.Policy) -> float | None:
    """Largest distance of a pair's other location in metres; None where views are of one location."""
    return policy.dates.metres if isinstance(policy.dates, views.Nearby) else None


def begin(out: Path, settings: dict[str, Any]) -> bool:
    """Write config.json in a folder, and tell whether anything is left to do there for these settings.

    What failed before its first checkpoint left nothing that other settings would belie: theirs take its place.

    Raises:
        TrainingError: the folder holds a run with other settings; the message says which.
    """
    path = out / "config.json"
    if not has_steps(out):
        out.mkdir(parents=True, exist_ok=True)
        write_whole(path, json.dumps(settings, indent=2) + "\n")
    try:
        stored = read_json(path)
    except (FileNotFoundError, ValueError) as error:
        raise TrainingError(
            f"the settings of the training cannot be read: {error}", where=str(path), remedy="remove the folder"
        ) from None
    if changed := list(differences(stored, settings)):
        raise TrainingError(
            "the folder holds a training with other settings: " + "; ".join(changed),
            where=str(out),
            remedy="remove the folder to start anew, or restore the settings to continue",
        )
    return not is_trained(out)


def finished_state(path: Path, kept: str) -> dict[str, torch.Tensor]:
    """The encoder's weights of a finished training; TrainingError if the last step left any that is not finite."""
    state = checkpoint.encoder_state(checkpoint.read(path) or {"state_dict": {}}, kept)
    for name, tensor in state.items():
        if tensor.is_floating_point() and not bool(torch.isfinite(tensor).all()):
            raise TrainingError(
                f"the encoder's weights are not finite ({name})",
                where=str(path),
                remedy="lower training.optimizer.lr, remove the folder and train anew",
            )
    return state


def figures(out: Path) -> dict[str, float]:
    """The newest value of every column of log.csv."""
    newest: dict[str, float] = {}
    for row in Log(out / "log.csv").rows():
        newest |= row
    return newest


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Inside the block torch's global random state is that of the seed; afterwards it is what it was before."""
    gpus = list(range(torch.cuda.device_count()))
    with torch.random.fork_rng(devices=gpus):
        torch.manual_seed(seed)
        yield
