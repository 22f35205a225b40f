"""What is found out about a location."""

from dataclasses import dataclass

from swath.products.explain._checks import Removal
from swath.products.explain._explained import Images
from swath.products.explain.attributions import Attribution


@dataclass(frozen=True, slots=True, eq=False)
class Answer:
    """One method's attribution of one location, and its checks."""

    method: str
    attribution: Attribution
    removals: tuple[Removal, ...]
    randomised: float
    """Rank correlation with the attribution of the network whose weights are shuffled; NaN where that is none."""


@dataclass(frozen=True, slots=True, eq=False)
class Explanation:
    """All that is said of one location."""

    uid: str
    row: int
    """Row in `corpus.locations`."""
    part: str
    """Part of the split that the location belongs to; empty where it is in none."""
    said: str
    """What is explained: the class, or the task where it is a number."""
    score: float
    probability: float
    images: Images
    answers: tuple[Answer, ...]
