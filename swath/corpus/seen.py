"""Which locations an encoder saw, and which of a corpus's are among them: by id, or by the ground itself.

An id means the same place in the same corpus only. Between corpora (one that has grown, another one of the same region)
it is the ground that tells: a location is met again if the centres are nearer than half a chip.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from jaxtyping import Bool, Int
from numpy import ndarray

from swath.corpus.format import Corpus
from swath.corpus.split import distances_km, on_sphere
from swath.errors import RecipeError


def places(corpus: Corpus, rows: Int[ndarray, " n"]) -> pd.DataFrame:
    """What is to be remembered of locations: uid, lon and lat (NaN where unknown), corpus (its hash), chip_m."""
    chosen = corpus.locations.iloc[rows]
    return pd.DataFrame(
        {
            "uid": chosen["uid"].to_numpy(dtype=object),
            "lon": chosen["lon"].to_numpy(float),
            "lat": chosen["lat"].to_numpy(float),
            "corpus": corpus.content_hash,
            "chip_m": corpus.info.chip_px * min(layout.gsd_m for layout in corpus.info.sensors.values()),
        }
    )


@dataclass(frozen=True, slots=True, eq=False)
class Met:
    """Locations of a corpus that are among those seen before."""

    again: list[str]
    """Ids of those that are."""
    perhaps: list[str]
    """Ids of those that share the id with a location of another corpus, where nobody knows the ground of both."""


def met(seen: pd.DataFrame, corpus: Corpus, rows: Int[ndarray, " n"]) -> Met:
    """Which of these rows of `corpus.locations` are among the `places` that were seen."""
    own, same = places(corpus, rows), seen["corpus"] == corpus.content_hash
    here, others = pd.DataFrame(seen[same]), pd.DataFrame(seen[~same])
    # in one corpus neighbours may overlap as far as the split lets them: the leakage audit speaks of that
    again = own["uid"].isin(here["uid"])
    for _, part in others.groupby("corpus"):
        again |= _on_the_ground_of(own, pd.DataFrame(part))
    nowhere = own["lon"].isna() | own["uid"].isin(others.loc[others["lon"].isna(), "uid"])
    perhaps = own["uid"].isin(others["uid"]) & nowhere & ~again
    return Met(own.loc[again, "uid"].tolist(), own.loc[perhaps, "uid"].tolist())


def _on_the_ground_of(own: pd.DataFrame, part: pd.DataFrame) -> Bool[ndarray, " n"]:
    """True where the centre is nearer than half a chip to one of the part's."""
    there, known = pd.DataFrame(part[part["lon"].notna()]), own["lon"].notna().to_numpy()
    found = np.zeros(len(own), bool)
    if len(there) and known.any():
        apart_km = distances_km(*(on_sphere(pd.DataFrame(some), "seen", "") for some in (own[known], there)))
        found[known] = 1000 * apart_km < max(own["chip_m"].max(), there["chip_m"].max()) / 2
    return found


def refuse_seen(seen: pd.DataFrame, corpus: Corpus, tested: Int[ndarray, " n"], who: str, where: Path) -> Met:
    """Locations that `who` may have seen; RecipeError if it certainly saw one that is tested."""
    found = met(seen, corpus, tested)
    if found.again:
        raise RecipeError(
            f"{who} was pre-trained on {len(found.again)} of the {len(tested)} locations that are tested: "
            f"{some_of(found.again)}",
            where=str(where),
            remedy="test other locations (`split`), or take one that was pre-trained on this split's training part",
        )
    return found


def some_of(uids: list[str]) -> str:
    """The first few, for a message."""
    return ", ".join(uids[:3]) + (", …" if len(uids) > 3 else "")
