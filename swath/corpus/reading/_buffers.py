"""Memory for batches, which is reused once nobody holds the batch any more."""

import sys
import threading
from collections.abc import Sequence

import numpy as np
from jaxtyping import Shaped, UInt8
from numpy import ndarray

KEPT = 4
"""Number of buffers that are kept; unused ones beyond it are given back to the system before a new one is made."""


class Buffers:
    """Hands out uninitialised arrays; their memory is reused when no array or tensor refers to it any more."""

    def __init__(self):
        self._all: list[ndarray] = []
        self._lock = threading.Lock()

    def take(self, shape: Sequence[int], dtype: str) -> Shaped[ndarray, "..."]:
        """An array of that shape and type with arbitrary content."""
        size = int(np.prod(shape)) * np.dtype(dtype).itemsize
        with self._lock:
            memory = self._free(size)
            if memory is None:
                memory = self._new(size)
            # The view refers to the buffer for as long as it, a view of it or a tensor made from it lives.
            return memory[:size].view(dtype).reshape(shape)

    def _free(self, size: int) -> UInt8[ndarray, " n"] | None:
        """The smallest buffer that nobody uses and that is large enough, but not wastefully large."""
        unused = [i for i in range(len(self._all)) if sys.getrefcount(self._all[i]) == _UNUSED]
        fitting = [i for i in unused if size <= self._all[i].size <= 2 * size]
        return self._all[min(fitting, key=lambda i: self._all[i].size)] if fitting else None

    def _new(self, size: int) -> UInt8[ndarray, " n"]:
        unused = [i for i in range(len(self._all)) if sys.getrefcount(self._all[i]) == _UNUSED]
        dropped = set(unused[: max(0, len(unused) - KEPT + 1)])
        self._all = [buffer for i, buffer in enumerate(self._all) if i not in dropped]
        self._all.append(np.empty(size, np.uint8))
        return self._all[-1]


def _references_when_unused() -> int:
    """The value of `sys.getrefcount` for an object that only a list holds; it depends on the interpreter."""
    only = [np.empty(0)]
    return sys.getrefcount(only[0])


_UNUSED = _references_when_unused()
