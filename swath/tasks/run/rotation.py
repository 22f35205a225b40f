"""Cross-validation by seeds: each seed tests another fold, and a round over all folds is one result.

PASTIS' headline is of this kind: the confusion matrices of five folds are summed before anything is divided.
"""

from collections.abc import Sequence

import pyarrow as pa

from swath.corpus.splits.partition import SplitConfig
from swath.errors import RecipeError
from swath.tasks.run.results import Stored


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


def joined(cells: Sequence[Stored], seeds: Sequence[int], folds: int) -> list[Stored]:
    """Cells of one round put together, under the round's first seed; as they are where there is one fold.

    A round that misses a fold has no result, and its note says which seeds are missing.
    """
    if folds == 1:
        return list(cells)
    position = {seed: i for i, seed in enumerate(seeds)}
    rounds: dict[tuple, list[Stored]] = {}
    for cell in cells:
        first = seeds[position[cell.identity["seed"]] // folds * folds]
        key = tuple((cell.identity | {"seed": first}).items())
        rounds.setdefault(key, []).append(cell)
    return [
        _join(dict(key), sorted(parts, key=lambda c: position[c.identity["seed"]]), folds)
        for key, parts in rounds.items()
    ]


def _join(identity: dict, parts: Sequence[Stored], folds: int) -> Stored:
    notes = list(dict.fromkeys(part.note for part in parts if part.note))
    there = [part for part in parts if part.predictions.num_rows]
    if len(there) < folds:
        known = ", ".join(str(part.identity["seed"]) for part in there) or "none"
        notes.append(f"{len(there)} of {folds} folds have a result (seeds: {known}), so there is none of the whole")
        there = []
    tables = (
        pa.concat_tables([_renamed(getattr(part, name), identity["seed"]) for part in there])
        if there
        else getattr(parts[0], name).slice(0, 0)
        for name in ("predictions", "maps", "under_clouds")
    )
    return Stored(identity, "; ".join(notes), *tables)


def _renamed(table: pa.Table, seed: int) -> pa.Table:
    position = table.schema.get_field_index("seed")
    return table.set_column(position, table.schema.field(position), pa.array([seed] * len(table), pa.int64()))
