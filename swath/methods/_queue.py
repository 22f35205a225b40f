"""Older keys as negatives: what MoCo and the methods built on it share."""

import hashlib
from collections.abc import Sequence
from typing import Annotated, Literal

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Float64
from pydantic import Field
from torch import Tensor, nn

from swath._device import send
from swath.batch import View
from swath.errors import RecipeError
from swath.methods._types import Gather

Length = Annotated[int, Field(ge=2, multiple_of=2)] | Literal["auto"]
"""Number of keys kept. `auto`: as published, but no more than there are training locations, because a longer queue
holds keys that are older than an epoch."""


class KeyQueue(nn.Module):
    """A queue of normalised keys in one or more subspaces, each with the id of its location; the oldest are
    replaced first.
    """

    keys: Tensor
    owner: Tensor
    cursor: Tensor

    def __init__(self, length: Length, longest: int, dim: int, *, subspaces: int = 1):
        """Fill it with random directions that belong to nobody.

        Args:
            length: as the recipe says.
            longest: published length, which `auto` does not go beyond.
            dim: of a key.
            subspaces: how many queues of the same locations to keep.
        """
        super().__init__()
        self.is_auto = length == "auto"
        size = longest if length == "auto" else length
        # buffers: a resumed run continues with the very same keys
        self.register_buffer("keys", F.normalize(torch.randn(subspaces, size, dim), dim=2))
        self.register_buffer("owner", torch.full((size,), torch.nan, dtype=torch.float64))
        self.register_buffer("cursor", torch.zeros((), dtype=torch.long))
        self._fresh: list[tuple[Tensor, Tensor]] = []

    def __len__(self) -> int:
        return len(self.owner)

    def fit_to(self, locations: int) -> None:
        """If the length is `auto`, keep no more keys than there are locations, rounded to an even number."""
        if self.is_auto and locations < len(self):
            size = max(2, locations // 2 * 2)
            self.keys, self.owner = self.keys[:, :size].clone(), self.owner[:size].clone()

    def is_of(self, owner: Float64[Tensor, " b"]) -> Bool[Tensor, "b q"]:
        """Whether each key belongs to a sample's own location, and so is no negative of it."""
        return owner[:, None] == self.owner

    def remember(self, keys: Sequence[Float[Tensor, "b d"]], owner: Float64[Tensor, " b"], gather: Gather) -> None:
        """Keep a step's keys of all processes, one set per subspace, until `replace_oldest`.

        Raises:
            RecipeError: they are more than the queue holds.
        """
        # not put in place at once: the backward pass still needs the queue, and a copy of it is 33 MB a step
        gathered = torch.stack([gather(each) for each in keys])
        if gathered.shape[1] > len(self):
            raise RecipeError(
                f"a step makes {gathered.shape[1]} keys, the queue holds {len(self)}",
                remedy="lower training.batch_size, set a longer method.queue, or train on more locations",
            )
        self._fresh.append((gathered, gather(owner)))

    @torch.no_grad()
    def replace_oldest(self) -> None:
        """Put what was remembered in place of the oldest keys."""
        for keys, owner in self._fresh:
            rows = (torch.arange(len(owner), device=owner.device) + self.cursor) % len(self)
            self.keys[:, rows] = keys.to(self.keys)
            self.owner[rows] = owner
            self.cursor.copy_((self.cursor + len(owner)) % len(self))
        self._fresh.clear()


def owner_of(view: View) -> Float64[Tensor, " b"]:
    """A number for each sample's location, equal in every process and run; NaN, which equals nothing, if unknown."""
    device = view.image.pixels.device
    if view.uid is None:
        return torch.full((len(view.image),), torch.nan, dtype=torch.float64, device=device)
    return send(torch.tensor([_number(uid) for uid in view.uid], dtype=torch.float64), device)


def _number(uid: str) -> float:
    # six bytes are exact in float64, which all that travels between processes is allowed to be
    return float(int.from_bytes(hashlib.blake2b(uid.encode(), digest_size=6).digest()))
