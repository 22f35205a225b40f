from pathlib import Path

import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from swath.corpus import Corpus, CorpusInfo
from swath.corpus.split import SplitConfig, blocks, leakage, split
from swath.errors import CorpusError


def corpus_of(groups, lonlat=None, given=None) -> Corpus:
    """A corpus of which only the index exists."""
    n = len(groups)
    lonlat = np.full((n, 2), np.nan) if lonlat is None else np.asarray(lonlat, float)
    columns = {"group": [str(g) for g in groups], "lon": lonlat[:, 0], "lat": lonlat[:, 1]}
    locations = gpd.GeoDataFrame(columns | {"split": [None] * n if given is None else given})
    return Corpus(Path("nowhere"), CorpusInfo(chip_px=8, sensors={}), locations, pd.DataFrame())


def parts_of(rows, n):
    part = np.full(n, "", dtype=object)
    for name, index in rows.items():
        assert (part[index] == "").all()
        part[index] = name
    return part


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(1, 9), min_size=6, max_size=40), st.integers(0, 5))
def test_groups_stay_whole_and_fractions_are_met_to_the_largest_group(sizes, seed):
    groups = np.repeat(np.arange(len(sizes)), sizes)
    rows = split(corpus_of(groups), SplitConfig(seed=seed))
    part = parts_of(rows, len(groups))
    assert all(len(set(part[groups == g])) == 1 for g in set(groups))
    assert all(len(index) for index in rows.values())
    for name, fraction in zip(("train", "val", "test"), (0.6, 0.2, 0.2), strict=True):
        assert abs(len(rows[name]) - fraction * len(groups)) <= max(sizes)


def test_same_seed_same_split_other_seed_other_split():
    stub = corpus_of(range(60))
    one, again, other = (split(stub, SplitConfig(by="location", seed=seed)) for seed in (1, 1, 2))
    assert all(np.array_equal(one[part], again[part]) for part in one)
    assert not np.array_equal(one["test"], other["test"])
    assert [len(one[part]) for part in ("train", "val", "test")] == [36, 12, 12]


def test_a_part_of_no_share_is_empty():
    rows = split(corpus_of(range(10)), SplitConfig(fractions=(0.7, 0, 0.3)))
    assert len(rows["val"]) == 0
    assert len(rows["test"]) == 3


def test_too_few_groups_is_an_error_with_numbers():
    with pytest.raises(CorpusError, match="2 groups cannot be split into 3 parts"):
        split(corpus_of([0, 0, 1, 1, 1]), SplitConfig())


def test_blocks_are_equal_in_area_and_stay_whole():
    rng = np.random.default_rng(0)
    lonlat = np.stack([rng.uniform(4, 5, 400), rng.uniform(50, 51, 400)], axis=1)
    stub = corpus_of(range(400), lonlat)
    rows = split(stub, SplitConfig(by="block", block_km=20))
    label = blocks(*lonlat.T, 20.0)
    part = parts_of(rows, 400)
    assert all(len(set(part[label == block])) == 1 for block in set(label))
    # no two points of a block are farther apart than its diagonal
    same = label[:, None] == label[None]
    dy = (lonlat[:, None, 1] - lonlat[None, :, 1]) * 111.195
    assert (np.abs(dy[same]) <= 20.01).all()


def test_the_buffer_drops_training_locations_near_the_others():
    lon = np.linspace(0, 2, 201)
    stub = corpus_of(range(201), np.stack([lon, np.zeros(201)], axis=1))
    config = SplitConfig(by="block", block_km=30, buffer_km=5)
    rows = split(stub, config)
    assert leakage(stub, rows).nearest_km >= 5
    free = split(stub, config.model_copy(update={"buffer_km": 0.0}))
    assert leakage(stub, free).nearest_km == pytest.approx(111.195 / 100, rel=1e-3)
    assert set(rows["train"]) < set(free["train"])
    np.testing.assert_array_equal(rows["test"], free["test"])
    step = np.abs(lon[rows["train"]][:, None] - lon[rows["val"]][None]).min()
    assert step * 111.195 >= 5


def test_a_buffer_that_leaves_nothing_is_an_error():
    stub = corpus_of(range(30), np.zeros((30, 2)))
    with pytest.raises(CorpusError, match="leaves no"):
        split(stub, SplitConfig(buffer_km=1))


@pytest.mark.parametrize("config", [SplitConfig(by="block"), SplitConfig(buffer_km=1)])
def test_blocks_and_buffers_need_coordinates(config):
    with pytest.raises(CorpusError, match="have no coordinates"):
        split(corpus_of(range(9)), config)


def test_distances_across_the_date_line_are_short():
    stub = corpus_of(range(2), [[179.99, 0], [-179.99, 0]])
    audit = leakage(stub, {"train": np.array([0]), "val": np.array([], int), "test": np.array([1])})
    assert audit.nearest_km == pytest.approx(2.224, abs=0.01)


def test_the_given_split_is_kept_and_lacking_val_comes_from_whole_training_groups():
    groups = np.arange(100) // 5
    given = ["train"] * 80 + ["test"] * 20
    rows = split(corpus_of(groups, given=given), SplitConfig(by="given"))
    np.testing.assert_array_equal(rows["test"], np.arange(80, 100))
    assert len(rows["val"]) == 20
    assert not set(groups[rows["val"]]) & set(groups[rows["train"]])
    with_val = split(corpus_of(groups, given=["val"] * 5 + given[5:]), SplitConfig(by="given"))
    np.testing.assert_array_equal(with_val["val"], np.arange(5))


def test_no_given_split_is_an_error():
    with pytest.raises(CorpusError, match="gives no split"):
        split(corpus_of(range(9)), SplitConfig(by="given"))


def test_leakage_counts_groups_that_are_on_both_sides():
    stub = corpus_of([0, 0, 1, 1, 2])
    audit = leakage(stub, {"train": np.array([0, 2]), "val": np.array([4]), "test": np.array([1, 3])})
    assert audit.shared_groups == 2
    assert audit.groups == {"train": 2, "val": 1, "test": 2}
    assert audit.nearest_km is None


@pytest.mark.parametrize("fractions", [(0.5, 0.2, 0.2), (0, 0.5, 0.5), (1.2, -0.1, -0.1)])
def test_fractions_must_add_up(fractions):
    with pytest.raises(ValidationError, match="add up to 1"):
        SplitConfig(fractions=fractions)
