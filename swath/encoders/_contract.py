"""What an encoder may be fed: the part of a checkpoint that prevents silently wrong bands and units."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from itertools import accumulate, pairwise
from typing import Any

import torch

from swath.batch import NO_BAND, Image
from swath.errors import ContractError
from swath.sensors import band_id, bands

GSD_TOLERANCE = 0.1
"""Relative difference of pixel sizes up to which an encoder accepts an image."""


@dataclass(frozen=True, slots=True)
class InputContract:
    """What an encoder must be fed: bands, units and statistics. It travels with the checkpoint."""

    channels: int
    """Number of input channels; of the first branch where there are several."""
    bands: tuple[str, ...]
    """Band keys with statistics. Fixed: those of the channels, in order. Free: those that any channel may hold."""
    fixed: bool
    """True: channel i is always `bands[i]`. False: any `channels` of `bands`, in any order (RS-BYOL)."""
    units: tuple[str, ...]
    """Unit of each band."""
    mean: tuple[float, ...]
    """Mean of each band over the corpus, in its unit."""
    std: tuple[float, ...]
    """Standard deviation of each band over the corpus, in its unit."""
    branches: tuple[int, ...] = ()
    """Fixed only: how many of `bands`, one after the other, make an input each, for a network with a branch per
    sensor that takes any one of them (S4). Default: all of them are one input."""
    groups: tuple[tuple[str, ...], ...] = ()
    """Fixed only, for networks whose input is made of groups of bands (Presto): any of them, whole, in any order, of
    one sensor or of several, are an input. Empty: the channels are `inputs` and nothing else."""
    gsd_m: tuple[float, ...] = ()
    """Pixel size of each band in the corpus, in metres; empty where unknown (checkpoints of format 1)."""
    any_number: bool = False
    """Free only: an image has any number of bands of any sensors, each once, others than `bands` among them: the
    encoder goes by what is known of a band, and `bands` are those that it was trained on (DOFA)."""

    @property
    def inputs(self) -> tuple[tuple[str, ...], ...]:
        """Fixed only: the lists of bands that the encoder takes, each by itself."""
        ends = list(accumulate(self.branches or (len(self.bands),)))
        return tuple(self.bands[start:end] for start, end in pairwise([0, *ends]))

    def alone(self, position: int) -> "InputContract":
        """The contract of an encoder that takes only this one of `inputs`."""
        start = sum(map(len, self.inputs[:position]))
        part = slice(start, start + len(self.inputs[position]))
        return InputContract(
            channels=len(self.bands[part]),
            bands=self.bands[part],
            fixed=True,
            units=self.units[part],
            mean=self.mean[part],
            std=self.std[part],
            gsd_m=self.gsd_m[part],
        )

    def branch(self, image: Image) -> int:
        """Position in `inputs` of an image's bands.

        Raises:
            ContractError: the image's bands are none of them.
        """
        came = tuple(bands()[i].key for i in image.first_ids())
        if came not in self.inputs:
            choice = "; or ".join(", ".join(keys) for keys in self.inputs)
            raise ContractError(
                f"the image's bands are not the encoder's: it has {', '.join(came)}",
                remedy=f"give it, in this order: {choice}",
            )
        return self.inputs.index(came)

    def as_dict(self) -> dict[str, Any]:
        """Plain data of all that an encoder's numbers depend on, for digests and comparisons."""
        said = asdict(self)
        unsaid = {"gsd_m", *(name for name in ("groups", "any_number") if not said[name])}
        return {name: said[name] for name in said if name not in unsaid}

    def of(self, bands: Sequence[str]) -> "InputContract":
        """The contract of these of its bands alone, as fixed channels in this order."""
        rows = [self.bands.index(key) for key in bands]
        return InputContract(
            channels=len(rows),
            bands=tuple(bands),
            fixed=True,
            units=tuple(self.units[i] for i in rows),
            mean=tuple(self.mean[i] for i in rows),
            std=tuple(self.std[i] for i in rows),
            gsd_m=tuple(self.gsd_m[i] for i in rows) if self.gsd_m else (),
        )

    def with_more(self, more: "InputContract") -> "InputContract":
        """The contract of an encoder of any number of bands, with the statistics of further ones."""
        new = [i for i, key in enumerate(more.bands) if key not in self.bands]
        joined = {
            name: getattr(self, name) + tuple(getattr(more, name)[i] for i in new)
            for name in ("bands", "units", "mean", "std")
        }
        sized = bool(self.gsd_m and more.gsd_m)
        gsd_m = self.gsd_m + tuple(more.gsd_m[i] for i in new) if sized else ()
        return replace(self, **joined, gsd_m=gsd_m, channels=len(joined["bands"]) if self.any_number else self.channels)

    def check_groups(self, bands: Sequence[str]) -> None:
        """Raise ContractError, naming what lacks, unless the bands are whole groups."""
        came = Counter(bands)
        if twice := [key for key, times in came.items() if times > 1]:
            raise ContractError(f"the image has {', '.join(twice)} more than once", remedy="give each band once")
        for keys in self.groups:
            if 0 < len(came.keys() & {*keys}) < len(keys):
                raise ContractError(
                    f"the encoder takes {', '.join(keys)} together, and "
                    f"{', '.join(key for key in keys if key not in came)} is not there",
                    remedy="give it whole groups: " + "; ".join(map(", ".join, self.groups)),
                )

    def check_gsd(self, image: Image) -> None:
        """Raise ContractError unless the image's pixels are of the size that the encoder was trained on.

        Bands that it was never trained on may have the size of any that it was.
        """
        known = dict(zip(self.bands, self.gsd_m, strict=False))
        # of an encoder of any bands it may be known of some; sensors of several sizes share the grid of one of them
        keys = [bands()[i].key for i in image.band_ids.unique().tolist() if i != NO_BAND]
        asked = known if known.keys().isdisjoint(keys) else keys
        sizes = {known[key]: key for key in asked if key in known}
        if sizes and all(abs(image.gsd_m / size - 1) > GSD_TOLERANCE for size in sizes):
            said = " or ".join(f"{size:g} m" for size in sizes)
            raise ContractError(
                f"the image's pixels are {image.gsd_m:g} m wide, the encoder was trained on {said}",
                where=", ".join(sizes.values()),
                remedy="resample the image; or, if the encoder shall see another scale, call embed(..., trusted=True)",
            )

    def check(self, image: Image) -> None:
        """Raise ContractError, naming what came and what is expected, unless the image's bands fit."""
        table = bands()
        ids = image.band_ids.cpu()
        if self.any_number:
            _check_each_once(ids)
            return
        if self.groups:
            known = {band_id(key): key for key in self.bands}
            for row in ids.unique(dim=0).tolist():
                self._check_known(set(row) - known.keys())
                self.check_groups([known[i] for i in row])
            return
        if self.fixed and len(self.inputs) > 1:
            expected = torch.tensor([band_id(key) for key in self.inputs[self.branch(image)]], dtype=ids.dtype)
            if (ids != expected).any():
                raise ContractError(
                    "the image's samples hold bands of different branches of the encoder",
                    remedy="embed them in batches of one sensor each",
                )
            return
        if ids.shape[1] != self.channels:
            raise ContractError(
                f"the encoder takes {self.channels} channel(s), the image has {ids.shape[1]}",
                where=", ".join(table[i].key for i in ids[0].tolist()),
                remedy=f"select {self.channels} of: {', '.join(self.bands)}",
            )
        known = torch.tensor([band_id(key) for key in self.bands], dtype=ids.dtype)
        if self.fixed and (wrong := (ids != known).any(dim=1)).any():
            came = ", ".join(table[i].key for i in ids[wrong][0].tolist())
            raise ContractError(
                f"the image's bands are not the encoder's: it has {came}",
                remedy=f"give it, in this order: {', '.join(self.bands)}",
            )
        self._check_known(set(ids.unique().tolist()) - set(known.tolist()))

    def _check_known(self, unknown: set[int]) -> None:
        table = bands()
        if unknown:
            raise ContractError(
                f"the encoder has no statistics for {', '.join(sorted(table[i].key for i in unknown))}",
                remedy=f"it knows: {', '.join(self.bands)}",
            )


def _check_each_once(ids: torch.Tensor) -> None:
    """Raise ContractError if a sample has no band, or one of them twice."""
    for row in ids.unique(dim=0).tolist():
        there = Counter(i for i in row if i != NO_BAND)
        if not there:
            raise ContractError("all bands of a sample are missing", remedy="leave it out: nothing is known of it")
        if twice := [bands()[i].key for i, times in there.items() if times > 1]:
            raise ContractError(f"the image has {', '.join(twice)} more than once", remedy="give each band once")
