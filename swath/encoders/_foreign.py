"""Weights that swath did not write: read without running code, matched tensor by tensor, and accounted for.

Whoever trains puts something before the names of a network's tensors (`module.encoder_q.`, `teacher.backbone.`), or
numbers its children (`encoder_q.4.0.conv1.weight`). What stands there is found by counting which of a file's tensors
would fit; it is taken where it says what it is, and else only where the user says so.
"""

import argparse
import hashlib
from collections import Counter, OrderedDict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from torch import Tensor

from swath.errors import RecipeError

KNOWN = {
    "state_dict",  # MoCo, Lightning
    "model",  # MAE, timm, Lightning
    "module",  # torch's DataParallel
    "_orig_mod",  # torch.compile
    "network",
    "backbone",  # lightly, torchgeo, DINO
    "encoder",
    "encoder_q",  # MoCo v2, GASSL, SeCo, CaCo: what is trained; encoder_k is its average
    "base_encoder",  # MoCo v3, likewise
    "teacher",  # DINO: the one that its authors use
    "state_dict_ema",  # timm's trainings: the average beside `state_dict`; where a file has both, nobody says which
    "model_ema",  # DeiT and ConvNeXt, beside `model`
}
"""Words in a tensor's name that tell that it belongs to the network to use."""
_INERT = [
    (OrderedDict, "pytorch_lightning.utilities.parsing.AttributeDict"),
    (OrderedDict, "lightning_fabric.utilities.data.AttributeDict"),
    (OrderedDict, "lightning.fabric.utilities.data.AttributeDict"),
    (argparse.Namespace, "pytorch_lightning.callbacks.model_checkpoint.ModelCheckpoint"),
    argparse.Namespace,
]
"""Classes that trainings store beside weights. They are read as plain settings: none is imported, and no code runs."""
_SHOWN = 3
_WORTHWHILE = 0.5
"""Share of a network from which a file counts as one for it, with the rest meant to be new."""


@dataclass(frozen=True, slots=True)
class Naming:
    """How the tensors of a network are named in a file."""

    prefix: str
    """What stands before the tensors' names."""
    numbered: bool = False
    """Whether the network's children are numbered, as in torch's `Sequential`, instead of named."""

    @property
    def known(self) -> bool:
        """Whether each word of the prefix says that it is the network to use."""
        return set(self.prefix.split(".")[:-1]) <= KNOWN

    def __str__(self) -> str:
        return (repr(self.prefix) if self.prefix else "no prefix") + (", children numbered" if self.numbered else "")


@dataclass(frozen=True, slots=True)
class StartReport:
    """What was done with every tensor of a file of weights, so that nothing is used, left or missing in silence."""

    file: str
    """Name of the file without its folder, since cards travel."""
    sha256: str
    card: str | None
    """Name of the card that described its channels; None where none did."""
    prefix: str
    """Prefix of the tensors' names in the file."""
    used: tuple[str, ...]
    """Tensors of the network that the file filled."""
    changed: int
    """Number of tensors whose values changed."""
    share: float
    """Share of the network's numbers that the file filled, 0 to 1."""
    missing: tuple[str, ...]
    """Tensors of the network that the file lacks, which stayed as they were."""
    reshaped: dict[str, str] = field(default_factory=dict)
    """Tensors whose shape differed from the network's, and what was done about it."""
    left_over: tuple[str, ...] = ()
    """Tensors of the file that were not used: heads, queues, other networks."""
    remarks: tuple[str, ...] = ()

    def __str__(self) -> str:
        lines = [
            f"weights of {self.file}: {len(self.used)} of {len(self.used) + len(self.missing)} tensors "
            f"({100 * self.share:.4g} % of the numbers) used, {self.changed} changed by it; "
            f"left over {_some(self.left_over)}; missing {_some(self.missing)}"
        ]
        lines += [f"{name}: {remark}" for name, remark in self.reshaped.items()]
        return "\n  ".join([*lines, *self.remarks])

    def as_dict(self) -> dict[str, Any]:
        """Plain data, for a checkpoint's card."""
        said = {**asdict(self), "used": len(self.used)}
        return {name: list(value) if isinstance(value, tuple) else value for name, value in said.items()}


def read_tensors(path: Path) -> dict[str, Tensor]:
    """All tensors of a file by name; those in sections of it have the sections' names before theirs.

    Args:
        path: a `.safetensors` file, or one of torch's, which is read without running code.

    Raises:
        RecipeError: it is missing, damaged, or holds more than plain data.
    """
    try:
        if path.suffix == ".safetensors":
            return load_file(path)
        with torch.serialization.safe_globals(_INERT):
            content = torch.load(path, map_location="cpu", weights_only=True)
        return dict(_tensors(dict(content)))
    except OSError as error:
        raise RecipeError(f"cannot read weights: {error}", where=str(path)) from error
    except Exception as error:  # torch's words for it, whatever it stumbles over first, say how to run the file's code
        raise RecipeError(
            "cannot read weights: it is damaged, or holds more than tensors",
            where=str(path),
            remedy="give a file of tensors alone, such as torch.save(model.state_dict()) or safetensors writes",
        ) from error


def _tensors(content: Mapping[Any, Any], prefix: str = "") -> Iterator[tuple[str, Tensor]]:
    """Tensors under names; those under numbers are an optimiser's."""
    for name, value in content.items():
        if isinstance(value, Tensor) and isinstance(name, str):
            yield prefix + name, value
        elif isinstance(value, Mapping) and isinstance(name, str):
            yield from _tensors(value, f"{prefix}{name}.")


class Match:
    """The tensors of a file, matched to the names of a network."""

    def __init__(
        self,
        own: Mapping[str, Tensor],
        children: Sequence[str],
        file: Mapping[str, Tensor],
        flexible: Mapping[str, Sequence[int]],
    ):
        """Find what fits.

        Args:
            own: the network's state.
            children: names of its parts, in the order in which `Sequential` would number them.
            file: `read_tensors`.
            flexible: tensors that may differ from the network's in these dimensions, because they can be adapted.
        """
        self.own = {name: tensor for name, tensor in own.items() if not _counts(name)}
        self.counters = [name for name in own if _counts(name)]
        self.children, self.file, self.flexible = children, file, flexible
        self.fitting: Counter[Naming] = Counter()
        for name, tensor in file.items():
            for naming, short in self._readings(name):
                if short in self.own and self._fits(short, tensor):
                    self.fitting[naming] += self.own[short].numel()

    def _readings(self, name: str) -> Iterator[tuple[Naming, str]]:
        """All ways to read a file's tensor name as a prefix and a name of the network."""
        words = name.split(".")
        for start, word in enumerate(words):
            prefix = "".join(f"{before}." for before in words[:start])
            yield Naming(prefix), ".".join(words[start:])
            if word.isdecimal() and int(word) < len(self.children):
                yield Naming(prefix, True), ".".join([self.children[int(word)], *words[start + 1 :]])

    def _fits(self, name: str, tensor: Tensor) -> bool:
        ours, theirs = list(self.own[name].shape), list(tensor.shape)
        if len(ours) != len(theirs):
            return False
        free = self.flexible.get(name, ())
        return all(a == b for i, (a, b) in enumerate(zip(ours, theirs, strict=True)) if i not in free)

    def naming(self, path: Path, asked: str | None) -> Naming:
        """How the file names the network to use.

        Args:
            path: of the file, for messages.
            asked: the prefix that the user says.

        Raises:
            RecipeError: nothing fits, or it is not clear which of several networks is meant.
        """
        best = self.fitting.most_common()
        if asked is not None:
            best = [(naming, size) for naming, size in best if naming.prefix == asked]
        if not best:
            raise RecipeError(
                f"no tensor of the file fits the network{f' under the prefix {asked!r}' if asked is not None else ''}: "
                f"it holds {_some(self.file)}, the network wants {_some(self.own)}",
                where=str(path),
                remedy=self._offer() or "give weights of the same model",
            )
        equal = [naming for naming, size in best if size == best[0][1]]
        candidates = equal if asked is not None else [naming for naming in equal if naming.known]
        if len(candidates) != 1:
            cause = "which of them to use nobody says" if len(equal) > 1 else "swath does not know what that is"
            raise RecipeError(
                f"the file holds what fits the network under {' and '.join(map(str, equal[:_SHOWN]))}, and {cause}",
                where=str(path),
                remedy=self._offer(),
            )
        return candidates[0]

    def _offer(self) -> str:
        """Prefixes that a recipe may name, best first, with the share that each would fill."""
        total = sum(tensor.numel() for tensor in self.own.values())
        shown = [
            f"prefix: {naming.prefix!r} ({100 * size / total:.3g} %)"
            for naming, size in self.fitting.most_common(_SHOWN)
        ]
        return f"what fits best: {'; '.join(shown)}; give the encoder that prefix" if shown else ""

    def under(self, naming: Naming) -> dict[str, str]:
        """Names in the file by names that the network would have for them; of its own and foreign ones."""
        names = {}
        for name in self.file:
            names |= {short: name for how, short in self._readings(name) if how == naming}
        return names

    def taken(self, naming: Naming) -> dict[str, Tensor]:
        """The tensors that fit, under the network's names, without step counters."""
        names = self.under(naming)
        return {
            short: self.file[names[short]]
            for short in self.own
            if short in names and self._fits(short, self.file[names[short]])
        }

    def counted(self, naming: Naming) -> dict[str, Tensor]:
        """The step counters of batch normalisation, where the file has them."""
        names = self.under(naming)
        return {short: self.file[names[short]] for short in self.counters if short in names}

    def check(self, naming: Naming, path: Path, heads: tuple[str, ...], at_least: float) -> None:
        """Raise RecipeError unless the file holds the network, and no larger one.

        Args:
            naming: how the file names it.
            path: of the file, for messages.
            heads: what the names of tensors begin with that are no part of an encoder: the classifier's.
            at_least: share of the network's numbers that it has to hold.
        """
        names, taken = self.under(naming), self.taken(naming)
        parts = {name.split(".")[0] for name in (*self.own, *(f"{child}." for child in self.children))}
        others = [name for name in names if name not in self.own and not _counts(name) and not name.startswith(heads)]
        larger = [name for name in others if name.split(".")[0] in parts]
        wrong = [f"{name} is missing" for name in self.own if name not in names]
        wrong += [
            f"{name} has shape {tuple(self.file[names[name]].shape)} instead of {tuple(tensor.shape)}"
            for name, tensor in self.own.items()
            if name in names and name not in taken
        ]
        filled = sum(self.own[name].numel() for name in taken)
        share = filled / sum(tensor.numel() for tensor in self.own.values())
        if larger or share < at_least:
            said = wrong[:_SHOWN] + [f"{names[name]} is not the model's" for name in (larger or others)[:_SHOWN]]
            more = len(wrong) + len(larger or others) - len(said)
            enough = f"; or say that less is enough, at_least: {int(1000 * share) / 1000}"
            raise RecipeError(
                f"the weights are not this model's: {'; '.join(said)}{f' and {more} more' if more else ''}; with "
                f"{naming} {100 * share:.3g} % of the network's numbers fit",
                where=str(path),
                remedy="give weights of the same model" + (enough if share > _WORTHWHILE and not larger else ""),
            )
        self._check_numbers(names, taken, path)

    def _check_numbers(self, names: Mapping[str, str], taken: Mapping[str, Tensor], path: Path) -> None:
        for name, tensor in taken.items():
            if self.own[name].is_floating_point() and (why := _unusable(name, tensor)):
                raise RecipeError(
                    f"the weights cannot be used: {names[name]} {why}",
                    where=str(path),
                    remedy="give the file of a training that went well, in numbers of 16 bits or more",
                )

    def report(
        self,
        naming: Naming,
        path: Path,
        before: Mapping[str, Tensor],
        after: Mapping[str, Tensor],
        card: str | None,
        remarks: Sequence[str],
    ) -> StartReport:
        """The report on what was done, derived from the network's states before and after."""
        names, taken = self.under(naming), self.taken(naming)
        size = sum(self.own[name].numel() for name in taken)
        return StartReport(
            file=path.name,
            sha256=_digest(path),
            card=card and Path(card).name,
            prefix=naming.prefix,
            used=tuple(taken),
            changed=sum(not torch.equal(before[name], after[name]) for name in taken),
            share=size / sum(tensor.numel() for tensor in self.own.values()),
            missing=tuple(name for name in self.own if name not in taken),
            reshaped={
                name: f"{tuple(tensor.shape)} became {tuple(self.own[name].shape)}"
                for name, tensor in taken.items()
                if tensor.shape != self.own[name].shape
            },
            left_over=tuple(sorted(set(self.file) - {names[name] for name in (*taken, *filter(_counts, names))})),
            remarks=tuple(remarks),
        )


def _unusable(name: str, tensor: Tensor) -> str:
    """Why numbers cannot be weights; empty if they can."""
    if not tensor.is_floating_point():
        return f"holds {str(tensor.dtype).removeprefix('torch.')}, as of a quantised network, instead of real numbers"
    if not tensor.isfinite().all():
        return "holds numbers that are not finite"
    return "holds negative variances" if name.endswith("running_var") and tensor.min() < 0 else ""


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _counts(name: str) -> bool:
    """Whether a tensor is a training's step counter, and no weight."""
    return name.endswith("num_batches_tracked")


def _some(names: Sequence[str] | Mapping[str, Any]) -> str:
    """A few of many names, and how many more there are."""
    shown = list(names)[:_SHOWN]
    more = len(names) - len(shown)
    return (", ".join(shown) + (f" and {more} more" if more else "")) if shown else "nothing"
