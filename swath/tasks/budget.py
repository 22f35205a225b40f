"""How many labels a task may learn from: a share of each class's, or so many of each class (k-shot)."""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class LabelBudget:
    """How many labels of each class may be used, of those that learn and of those that choose."""

    fraction: float = 1.0
    """Share of each class's labelled locations; without meaning where their number is given."""
    per_class: int | None = None
    """Number of labelled locations of each class, the k of k-shot learning."""

    def __str__(self) -> str:
        """As a recipe says it: `label_fraction 0.1` or `labels_per_class 5`."""
        return f"label_fraction {self.fraction:g}" if self.per_class is None else f"labels_per_class {self.per_class}"

    @property
    def is_all(self) -> bool:
        """Whether every label may be used."""
        return self.per_class is None and self.fraction == 1

    def of(self, available: int) -> int:
        """Number of locations that may be used of a class that so many have; of a share at least one."""
        return max(1, round(self.fraction * available)) if self.per_class is None else self.per_class

    def task_name(self, name: str) -> str:
        """Name in the tables of a task that learns from so many labels: `crops@10%`, `crops@5-shot`."""
        share = f"{100 * self.fraction:g}%"
        return f"{name}@{share if self.per_class is None else f'{self.per_class}-shot'}"


def listed_budgets(
    label_fractions: Sequence[float], labels_per_class: int | Sequence[int] | None
) -> tuple[LabelBudget, ...]:
    """The budgets that a recipe lists for a task, each of which is a task of its own; empty if it lists none.

    Args:
        label_fractions: as in the recipe.
        labels_per_class: as in the recipe; a single number is the task's own, and no list.
    """
    shots = labels_per_class if isinstance(labels_per_class, Sequence) else ()
    return (*(LabelBudget(per_class=k) for k in shots), *(LabelBudget(share) for share in label_fractions))
