"""Chips with the same pixels as another: copies of files, or one place under two names."""

import pandas as pd

from swath.corpus.checks._sample import Sample
from swath.corpus.checks._types import Finding, Section
from swath.corpus.splits import SINGLE_PX, copy_key

STAGE = 0
SHOWN = 20
"""Largest number of copies in the table."""
SERIES_STEP = ["location", "sensor", "datetime", "digest"]
"""Columns by which chips are compared: two that agree in these are one file twice, not two dates of a series."""


def inspect(sample: Sample) -> Section:
    """Find chips with the same pixels by comparing the digests of all chips."""
    meaning = "Copies teach nothing new, and in two parts of a split they give the answers away."
    chips = sample.corpus.chips
    # of single pixels, whose whole series is compared, all dates have one key: count each location once
    counted = pd.DataFrame({"key": copy_key(sample.corpus), "location": chips["location"]})
    once = counted.drop_duplicates() if sample.corpus.info.chip_px < SINGLE_PX else counted
    alike = counted["key"].isin(once.loc[once.duplicated("key", keep=False), "key"].tolist())
    same = pd.DataFrame(chips[(chips["valid"] > 0) & alike])
    if not len(same):
        return Section("Copies", meaning)
    # of one place and sensor: a step of a series that brought nothing new, such as a composite without an observation
    places = same.groupby(["sensor", "digest"])["location"].transform("nunique")
    steps = (places == 1) & (sample.corpus.info.chip_px >= SINGLE_PX) & ~same.duplicated(SERIES_STEP, keep=False)
    findings = [*_elsewhere(pd.DataFrame(same[~steps])), *_repeated(pd.DataFrame(same[steps]))]
    same = same.sort_values(["sensor", "digest", "uid"]).head(SHOWN)
    number = same.groupby(["sensor", "digest"], sort=False).ngroup() + 1
    rows = zip(number, same["uid"], same["sensor"], same["source"], strict=True)
    table = [{"set": n, "location": uid, "sensor": sensor, "source": source} for n, uid, sensor, source in rows]
    return Section("Copies", meaning, findings, table)


def _elsewhere(chips: pd.DataFrame) -> list[Finding]:
    remedy = "remove copies of files, and make sure that both do not end on different sides of a split"
    what = f"{len(chips)} chips have the same pixels as another"
    return [Finding("warning", what, first_series(chips), remedy)] if len(chips) else []


def _repeated(chips: pd.DataFrame) -> list[Finding]:
    remedy = "fine for composites, which repeat where nothing new was seen; otherwise look at the dates of the files"
    what = f"{len(chips)} chips have the same pixels as another date of their own series"
    return [Finding("warning", what, first_series(chips), remedy)] if len(chips) else []


def first_series(chips: pd.DataFrame) -> str:
    """Location, sensor and source of the first three series of some chips, as text for a message."""
    series = chips.drop_duplicates(["uid", "sensor", "source"])
    first = series.head(3)
    names = [" ".join(filter(None, row)) for row in zip(first["uid"], first["sensor"], first["source"], strict=True)]
    return ", ".join(names) + (", …" if len(series) > 3 else "")
