"""Which locations an encoder was trained on, and which of a corpus's are among them: by id, or by the ground itself.

An id means the same location in the same corpus only. Between corpora (one that has grown, another one of the same
region) the ground decides: a location counts as seen if its footprint overlaps one that was.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import shapely
from jaxtyping import Bool, Int, Shaped
from numpy import ndarray

from swath.corpus.store import Corpus, split_at_antimeridian
from swath.errors import RecipeError

SHARED = 0.01
"""Share of the smaller of two footprints that both may cover without counting as the same ground: edges of
chips that lie side by side are rounded, and bent by the reference system of each."""
DEGREE_M = 111_195.0
"""Metres in a degree of latitude, on the sphere."""


POINT_M = 10.0
"""Width in metres of the ground that a location without pixels stands for."""


def places(corpus: Corpus, rows: Int[ndarray, " n"]) -> pd.DataFrame:
    """The table of locations that an encoder's checkpoint keeps, to recognise them later.

    Columns: uid; lon and lat of the centre (NaN where unknown); corpus (its content hash); chip_m, the width of a chip
    in metres; and footprint, the outline in degrees as well-known binary (None where unknown): the location's own, else
    a square of that width about the centre.
    """
    chosen = corpus.locations.iloc[rows]
    listed = pd.DataFrame(
        {
            "uid": chosen["uid"].to_numpy(dtype=object),
            "lon": chosen["lon"].to_numpy(float),
            "lat": chosen["lat"].to_numpy(float),
            "corpus": corpus.content_hash,
            "chip_m": corpus.info.chip_px * min((one.gsd_m for one in corpus.info.sensors.values()), default=POINT_M),
        }
    )
    outlines = _outlines(listed, np.asarray(chosen.geometry.array, dtype=object))
    return listed.assign(footprint=shapely.to_wkb(outlines))


@dataclass(frozen=True, slots=True, eq=False)
class Met:
    """Locations of a corpus that an encoder has seen before."""

    again: list[str]
    """Ids of locations that it certainly saw."""
    perhaps: list[str]
    """Ids that also occur in another corpus that it saw, where the ground of both is unknown."""
    roughly: bool
    """Whether the list of what was seen is of an earlier swath, with centres and widths and no footprints: chips of
    other corpora were taken as squares that face north."""


def met(seen: pd.DataFrame, corpus: Corpus, rows: Int[ndarray, " n"]) -> Met:
    """Find those of a corpus's locations that an encoder has seen.

    Args:
        seen: the `places` that the encoder's checkpoint keeps.
        corpus: whose locations are looked for.
        rows: row numbers in `corpus.locations`.
    """
    own, same = places(corpus, rows), seen["corpus"] == corpus.content_hash
    here, others = pd.DataFrame(seen[same]), pd.DataFrame(seen[~same])
    known = pd.DataFrame(others[others["lon"].notna()])
    # in one corpus neighbours may overlap as far as the split lets them: the leakage audit speaks of that
    again = own["uid"].isin(here["uid"]) | _on_the_ground_of(own, known)
    nowhere = own["lon"].isna() | own["uid"].isin(others.loc[others["lon"].isna(), "uid"])
    perhaps = own["uid"].isin(others["uid"]) & nowhere & ~again
    roughly = bool(pd.isna(_given(known)).any())
    return Met(own.loc[again, "uid"].tolist(), own.loc[perhaps, "uid"].tolist(), roughly)


def _on_the_ground_of(own: pd.DataFrame, others: pd.DataFrame) -> Bool[ndarray, " n"]:
    """True where more than `SHARED` of a footprint, or of one of the others, is covered by both."""
    outlines, there = (_outlines(some, shapely.from_wkb(_given(some))) for some in (own, others))
    first, second = shapely.STRtree(there).query(outlines, predicate="intersects")
    # a share of an area is the same in degrees: both are narrowed alike
    common = shapely.area(shapely.intersection(outlines[first], there[second]))
    smaller = np.minimum(shapely.area(outlines[first]), shapely.area(there[second]))
    covered = np.zeros(len(own), bool)
    covered[first[common > SHARED * smaller]] = True
    return covered


def _given(listed: pd.DataFrame) -> Shaped[ndarray, " n"]:
    """Footprints of a list as stored; None in lists of an earlier swath."""
    written = listed["footprint"] if "footprint" in listed else [None] * len(listed)
    return np.array([one if isinstance(one, bytes) else None for one in written], dtype=object)


def _outlines(listed: pd.DataFrame, given: Shaped[ndarray, " n"]) -> Shaped[ndarray, " n"]:
    """Valid outlines with an area: as given, else a square that faces north about the centre; None where unknown."""
    outlines = np.array(shapely.make_valid(given), dtype=object)
    lacking = ~(shapely.area(outlines) > 0)
    outlines[lacking] = None
    lacking &= listed["lon"].notna().to_numpy()
    lon, lat, width = listed.loc[lacking, ["lon", "lat", "chip_m"]].to_numpy(float).T
    high = width / 2 / DEGREE_M
    wide = np.minimum(high / np.maximum(np.cos(np.radians(lat)), 1e-6), 180)
    squares = shapely.box(lon - wide, np.maximum(lat - high, -90), lon + wide, np.minimum(lat + high, 90))
    outlines[lacking] = [split_at_antimeridian(square) for square in squares]
    return outlines


def refuse_seen(seen: pd.DataFrame, corpus: Corpus, tested: Int[ndarray, " n"], who: str, where: Path) -> Met:
    """Ids of locations that an encoder may have seen, unless it certainly saw one that is tested.

    Args:
        seen: the `places` that the encoder's checkpoint keeps.
        corpus: what the encoder is judged on.
        tested: row numbers in `corpus.locations`.
        who: what the message calls the encoder.
        where: path of the encoder, for the message.

    Raises:
        RecipeError: it certainly saw a tested location.
    """
    overlap = met(seen, corpus, tested)
    if overlap.again:
        raise RecipeError(
            f"{who} was pre-trained on {len(overlap.again)} of the {len(tested)} locations that are tested: "
            f"{first_few(overlap.again)}",
            where=str(where),
            remedy="test other locations (`split`), or take one that was pre-trained on this split's training part",
        )
    return overlap


def first_few(uids: list[str]) -> str:
    """The first three ids as text for a message, with an ellipsis if there are more."""
    return ", ".join(uids[:3]) + (", …" if len(uids) > 3 else "")
