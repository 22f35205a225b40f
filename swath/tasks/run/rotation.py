"""Cross-validation by seeds: each seed tests another fold, and a round over all folds is one result.

PASTIS' headline is of this kind: the confusion matrices of five folds are summed before anything is divided.
"""

from collections.abc import Sequence

from swath.corpus.splits import SplitConfig
from swath.errors import RecipeError
from swath.tasks.run.results import Result


def folds_of(seeds: Sequence[int], folds: Sequence[SplitConfig]) -> dict[int, SplitConfig]:
    """The split of each seed: one after the other takes the next fold.

    Raises:
        RecipeError: the seeds do not fill their last round.
    """
    if len(seeds) % len(folds):
        more = len(folds) - len(seeds) % len(folds)
        raise RecipeError(
            f"{len(seeds)} seeds cannot rotate over {len(folds)} folds",
            where="seeds",
            remedy=f"give {more} more, so that every fold is tested equally often, or set rotate: false",
        )
    return {seed: folds[i % len(folds)] for i, seed in enumerate(seeds)}


def replicates_of(seeds: Sequence[int], folds: int) -> dict[int, int]:
    """The number of each seed's round over the folds, from 0; with one fold, the seed's position."""
    return {seed: i // folds for i, seed in enumerate(seeds)}


def whole_rounds(results: Sequence[Result], folds: int) -> list[Result]:
    """The results, without what those of a round say that misses a fold: there is no result of the whole.

    Their notes then say which seeds are there.
    """
    rounds: dict[tuple, list[Result]] = {}
    for result in results:
        rounds.setdefault(_round(result), []).append(result)
    reasons = {key: _missing(parts, folds) for key, parts in rounds.items()}
    return [
        result.without_output(reason) if (reason := reasons[_round(result)]) and folds > 1 else result
        for result in results
    ]


def _round(result: Result) -> tuple:
    key = result.key
    return key.task, key.input, key.probe, key.row, key.role, key.replicate


def _missing(parts: Sequence[Result], folds: int) -> str:
    there = [str(part.key.seed) for part in parts if part.output.num_rows]
    if len(there) == folds:
        return ""
    known = ", ".join(there) or "none"
    return f"{len(there)} of {folds} folds have a result (seeds: {known}), so there is none of the whole"
