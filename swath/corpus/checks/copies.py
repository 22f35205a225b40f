"""Chips with the same pixels as another: copies of files, or one place under two names."""

import pandas as pd

from swath.corpus.checks._sample import Sample
from swath.corpus.checks._types import Finding, Section

STAGE = 0
SMALL = 8
"""Pixels of a chip's side below which whole series are compared instead of chips."""
SHOWN = 20
"""Copies in the table."""


def look(sample: Sample) -> Section:
    """All chips are compared by the digests of their pixels."""
    meaning = "Copies teach nothing new, and in two parts of a split they give the answers away."
    chips = sample.corpus.chips
    alike = chips.duplicated(["sensor", "digest"], keep=False)
    if sample.corpus.info.chip_px < SMALL:
        alike &= _same_series(chips)
    same = pd.DataFrame(chips[(chips["valid"] > 0) & alike])
    if not len(same):
        return Section("Copies", meaning)
    remedy = "remove copies of files, and make sure that both do not end on different sides of a split"
    found = Finding("warning", f"{len(same)} chips have the same pixels as another", some(same), remedy)
    same = same.sort_values(["sensor", "digest", "uid"]).head(SHOWN)
    number = same.groupby(["sensor", "digest"], sort=False).ngroup() + 1
    rows = zip(number, same["uid"], same["sensor"], same["source"], strict=True)
    table = [{"set": n, "location": uid, "sensor": sensor, "source": source} for n, uid, sensor, source in rows]
    return Section("Copies", meaning, [found], table)


def _same_series(chips: pd.DataFrame) -> pd.Series:
    """Whether another location has the same pixels on all dates: single pixels of a few bands are alike by chance."""
    series = chips.groupby(["location", "sensor"])["digest"].agg("".join).reset_index()
    series["twice"] = series.duplicated(["sensor", "digest"], keep=False)
    joined = chips[["location", "sensor"]].merge(
        series[["location", "sensor", "twice"]], on=["location", "sensor"], how="left"
    )
    return pd.Series(joined["twice"].to_numpy(), index=chips.index)


def some(chips: pd.DataFrame) -> str:
    """The first three chips in words."""
    first = chips.head(3)
    names = [" ".join(filter(None, row)) for row in zip(first["uid"], first["sensor"], first["source"], strict=True)]
    return ", ".join(names) + (", …" if len(chips) > 3 else "")
