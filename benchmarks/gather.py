"""Bytes that a process hands to the others in a step of each method, against the formula in its docstring.

Batch statistics and the average of gradients, which every training of several processes exchanges, are not counted.
"""

from collections.abc import Callable

from torch import Tensor

from benchmarks import Result, versions
from benchmarks.methods import made, settings
from swath.methods import OneProcess

BATCH, PX = 16, 32
FORMULAS: dict[str, Callable[[dict[str, int]], int]] = {
    "barlow-twins": lambda c: 2 * BATCH * c["out"],
    "byol": lambda _: 0,
    "dino": lambda c: c["prototypes"],
    "lejepa": lambda c: c["slices"] * (c["out"] + 2 * c["views"] * c["knots"]),
    "moco-v2": lambda c: BATCH * (c["out"] + 4),
    "moco-v3": lambda c: 2 * BATCH * c["out"],
    "simclr": lambda c: 2 * BATCH * c["out"],
    "simsiam": lambda _: 0,
    "vicreg": lambda c: 2 * BATCH * c["out"],
    "visreg": lambda c: c["views"] * BATCH * c["out"] + c["slices"] * c["out"],
}
"""Numbers of four bytes by method, from its settings and the number of views."""


class Counting(OneProcess):
    """Joins nothing, and counts the bytes that are brought."""

    def __init__(self) -> None:
        self.bytes = 0

    def __call__(self, tensor: Tensor) -> Tensor:
        """The tensor itself."""
        self.bytes += tensor.numel() * tensor.element_size()
        return tensor


def run(quick: bool = False) -> Result:  # noqa: ARG001 - there is one size
    """Every method with the settings of the benchmark `methods`; the one that is furthest from its formula."""
    counted, foretold = {}, {}
    for name, formula in FORMULAS.items():
        method, given = made(name, BATCH, PX)
        gather = Counting()
        method.loss(given, gather)
        counted[name] = gather.bytes
        foretold[name] = 4 * formula(settings(name).model_dump() | {"views": len(given)})
    worst = max(FORMULAS, key=lambda name: abs(counted[name] - foretold[name]))
    ours, peer = float(counted[worst]), float(foretold[worst])
    return Result(
        ours=ours,
        peer=peer,
        ratio=ours / peer if peer else 1.0 + ours,
        unit="bytes of a process and step",
        setting={
            "batch": f"{BATCH} a process, two views or 2 + 4 crops",
            "ours and peer": "the method that is furthest from its formula, and the formula",
            "better": "1",
            "kB": {name: round(number / 1000, 1) for name, number in counted.items()},
        },
        versions=versions("torch"),
    )
