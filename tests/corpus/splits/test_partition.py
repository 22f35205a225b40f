from pathlib import Path

import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from swath.corpus import Corpus, CorpusInfo
from swath.corpus.splits.audit import leakage, nearest_train_km
from swath.corpus.splits.partition import SplitConfig, blocks, independent, rotations, split, thin_parts, thin_test
from swath.errors import CorpusError
from swath.settings import counting
from tests.corpus.fakes import make


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
    label = blocks(*lonlat.T, SplitConfig(by="block", block_km=20.0))
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


def with_column(values, name="fold", groups=None, **kwargs) -> Corpus:
    corpus = corpus_of(range(len(values)) if groups is None else groups, **kwargs)
    corpus.locations[name] = values
    return corpus


def test_folds_that_the_data_set_gives():
    """PASTIS: 1, 2, 3 train, 4 validates, 5 tests."""
    fold = np.arange(50) % 5 + 1
    rows = split(with_column(fold), SplitConfig(by="column", column="fold", val=(4,), test=(5,)))
    assert {part: sorted(set(fold[index])) for part, index in rows.items()} == {
        "train": [1, 2, 3],
        "val": [4],
        "test": [5],
    }
    real = with_column(np.where(fold == 3, np.nan, fold))  # whole numbers with gaps
    rows = split(real, SplitConfig(by="column", column="fold", val=("4",), test=("5",)))
    assert sorted(set(fold[rows["train"]])) == [1, 2]
    assert sum(map(len, rows.values())) == 40


def test_the_rotation_is_that_of_pastis():
    fold = np.arange(50) % 5 + 1
    corpus = with_column(fold)
    official = {(5, 4, (1, 2, 3)), (1, 5, (2, 3, 4)), (2, 1, (3, 4, 5)), (3, 2, (1, 4, 5)), (4, 3, (1, 2, 5))}
    found = set()
    for config in rotations(corpus, SplitConfig(by="column", column="fold", fold=0)):
        rows = split(corpus, config)
        (test,), (val,) = ({*fold[rows[part]].tolist()} for part in ("test", "val"))
        found.add((test, val, tuple(sorted({*fold[rows["train"]].tolist()}))))
    assert found == official


def test_a_region_is_left_out_and_whole_groups_validate():
    region = np.repeat(["canada", "france", "belgium"], 20)
    groups = np.arange(60) // 4
    corpus = with_column(region, "region", groups)
    rows = split(corpus, SplitConfig(by="column", column="region", test=("france",), fractions=(0.8, 0.2, 0)))
    assert set(region[rows["test"]]) == {"france"}
    assert not set(groups[rows["train"]]) & set(groups[rows["val"]])
    assert len(rows["val"]) == 8
    assert leakage(corpus, rows).shared_groups == 0
    alone = split(corpus, SplitConfig(by="column", column="region", test=("france",), fractions=(1, 0, 0)))
    assert len(alone["train"]) == 40
    assert len(alone["val"]) == 0


@settings(max_examples=30)
@given(st.integers(3, 8), st.lists(st.integers(1, 5), min_size=10, max_size=30), st.integers(0, 3))
def test_every_location_tests_once(folds, sizes, seed):
    groups = np.repeat(np.arange(len(sizes)), sizes)
    corpus = corpus_of(groups)
    tested = np.zeros(len(groups), int)
    for config in rotations(corpus, SplitConfig(folds=folds, fold=0, seed=seed)):
        rows = split(corpus, config)
        tested[rows["test"]] += 1
        part = parts_of(rows, len(groups))
        assert (part != "").all()
        assert all(len(set(part[groups == g])) == 1 for g in set(groups))
        assert all(len(rows[name]) for name in ("train", "val", "test"))
    assert (tested == 1).all()


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"by": "column"}, "needs a column"),
        ({"test": (1,)}, "for by: column alone"),
        ({"by": "column", "column": "fold"}, "either the values"),
        ({"by": "column", "column": "fold", "test": (1,), "fold": 0}, "either the values"),
        ({"by": "column", "column": "fold", "test": (1,), "val": ("1",)}, "in test and in val"),
        ({"by": "given", "folds": 3, "fold": 0}, "brings its own parts"),
        ({"by": "given", "largest": 0.5}, "leave out largest"),
        ({"folds": 3}, "belong together"),
        ({"folds": 3, "fold": 3}, "numbered from 0"),
        ({"folds": 2, "fold": 0}, "say that there is no val"),
    ],
)
def test_settings_that_contradict_each_other(settings, said):
    with pytest.raises(ValidationError, match=said):
        SplitConfig(**settings)


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"column": "fodl", "test": (1,)}, "no column 'fodl'"),
        ({"column": "fold", "test": (7,)}, "no location has fold = '7'"),
        ({"column": "fold", "fold": 2}, "fold 2 of 2 folds"),
        ({"column": "fold", "fold": 1}, "of which 3 are needed"),
    ],
)
def test_a_column_without_such_values(settings, said):
    with pytest.raises(CorpusError, match=said):
        split(with_column([1, 2] * 5), SplitConfig(by="column", **settings))
    with pytest.raises(CorpusError, match="no folds"):
        rotations(corpus_of([1, 2]), SplitConfig())


def test_the_audit_finds_copies_and_distances(tmp_path):
    corpus = make(tmp_path / "c")
    rows = {"train": np.arange(6), "val": np.arange(6, 9), "test": np.arange(9, 12)}
    audit = leakage(corpus, rows)
    assert audit.copies == 0
    assert audit.nearest_km == pytest.approx(0.64, abs=0.02)  # 4 chips of 160 m
    assert audit.median_km == pytest.approx(0.8, abs=0.02)
    chips = corpus.chips.copy()
    chips.loc[chips["location"] == 10, "digest"] = chips.loc[chips["location"] == 2, "digest"].to_numpy()
    assert leakage(Corpus(corpus.path, corpus.info, corpus.locations, chips), rows).copies == 1
    one = Corpus(corpus.path, corpus.info.model_copy(update={"chip_px": 1}), corpus.locations, chips)
    assert leakage(one, rows).copies == 1
    chips.loc[chips.index[(chips["location"] == 10).to_numpy()][::4], "digest"] = "another"
    assert leakage(one, rows).copies < 2


@given(st.integers(0, 10**6))
def test_distances_are_those_of_the_brute_force(seed):
    rng = np.random.default_rng(seed)
    lonlat = np.stack([rng.uniform(-180, 180, 12), rng.uniform(-90, 90, 12)], axis=1)
    rows = {"train": np.arange(6), "val": np.arange(6, 8), "test": np.arange(8, 12)}
    lon, lat = np.deg2rad(lonlat).T
    difference = lon[8:, None] - lon[:6]
    haversine = (
        np.sin((lat[8:, None] - lat[:6]) / 2) ** 2
        + np.cos(lat[8:, None]) * np.cos(lat[:6]) * np.sin(difference / 2) ** 2
    )
    expected = (2 * 6371.0088 * np.arcsin(np.sqrt(haversine))).min(axis=1)
    assert np.allclose(nearest_train_km(corpus_of(range(12), lonlat), rows), expected, atol=1e-3)


def remarks(groups, config, **columns) -> list[str]:
    corpus = corpus_of(groups)
    corpus.locations = corpus.locations.assign(**columns)
    labels = independent(corpus, config)
    by_part = {part: labels[rows] for part, rows in split(corpus, config).items()}
    return [*thin_parts(by_part, config), *thin_test(by_part["test"])]


def test_parts_of_one_group_or_of_few_are_said():
    assert remarks(np.arange(200), SplitConfig()) == []
    single = remarks(np.repeat(np.arange(3), 10), SplitConfig(fractions=(0.34, 0.33, 0.33)))
    assert [said.partition(":")[0] for said in single] == [
        f"the {p} part is a single group" for p in ("train", "val", "test")
    ]
    few = remarks(np.arange(60), SplitConfig())
    assert len(few) == 1
    assert few[0].startswith("the test part has 12 locations in 12 groups: with fewer than 30 groups")


@pytest.mark.parametrize(("folds", "fractions"), [(3, (0.6, 0.2, 0.2)), (5, (0.6, 0.2, 0.2)), (2, (0.8, 0.0, 0.2))])
def test_folds_ask_for_what_they_leave(folds, fractions):
    config = SplitConfig(folds=folds, fold=0, fractions=fractions)
    assert remarks(np.arange(200), config) == []
    groups = {"train": np.arange(9), "val": np.arange(91 - 40), "test": np.arange(40)}
    asked = {2: "50%", 3: "33%", 5: "60%"}[folds]
    assert f"the train part has 9 of 100 locations, where the split asks for {asked}" in thin_parts(groups, config)[0]


def test_a_group_that_dominates_the_test_part_is_said():
    found = thin_test(np.r_[np.zeros(26, int), np.arange(1, 75)])
    assert len(found) == 1
    assert found[0].startswith("the largest of the 75 groups of the test part holds 26% of its locations")
    assert thin_test(np.r_[np.zeros(25, int), np.arange(1, 76)]) == []


@pytest.mark.parametrize("settings", [{}, {"folds": 3, "fold": 1}])
def test_a_group_that_is_too_large_trains(settings):
    """Two groups of 30 and 20 beside fifty single ones: either may test, unless that is capped."""
    groups = np.r_[np.zeros(30, int), np.ones(20, int), np.arange(2, 52)]
    for seed in range(4):
        rows = split(corpus_of(groups), SplitConfig(largest=0.15, seed=seed, **settings))
        part = parts_of(rows, len(groups))
        assert set(part[:50]) == {"train"}
        assert len(rows["test"]) == (20 if not settings else pytest.approx(50 / 3, abs=1))
    small = split(corpus_of(groups), SplitConfig(largest=0.25, **settings))
    assert set(parts_of(small, len(groups))[:30]) == {"train"}


def test_a_cap_that_nothing_exceeds_changes_no_split():
    stub = corpus_of(np.repeat(np.arange(20), 3))
    plain, capped = split(stub, SplitConfig()), split(stub, SplitConfig(largest=0.5))
    assert all(np.array_equal(plain[part], capped[part]) for part in plain)


def test_a_part_far_smaller_than_asked_for_is_said():
    """One group holds nearly everything, so that the rest cannot be what was asked for."""
    found = remarks(np.r_[np.zeros(476, int), np.arange(1, 25)], SplitConfig())
    assert any("the test part has 12 of 500 locations, where the split asks for 20%" in said for said in found)
    # where the parts are given there is nothing to compare them with
    fold = SplitConfig(by="column", column="fold", test=("1",), fractions=(0.8, 0.0, 0.2))
    by_column = remarks(np.arange(500), fold, fold=["1"] * 12 + ["0"] * 488)
    assert [said.partition(":")[0] for said in by_column] == ["the test part has 12 locations in 12 groups"]


def test_even_blocks_are_nearly_square_at_every_latitude_and_meet_over_the_antimeridian():
    even = SplitConfig(by="block", block_km=500, block_grid="even")
    step = 0.5
    lon, lat = np.meshgrid(np.arange(-180, 180, step) + step / 2, np.arange(-90, 90, step) + step / 2)
    label = blocks(lon.ravel(), lat.ravel(), even).reshape(lon.shape)
    names, code = np.unique(label, return_inverse=True)
    area = np.cos(np.radians(lat)) * np.radians(step) ** 2 * 6371.0088**2
    areas = np.bincount(code.ravel(), weights=area.ravel())
    rows = np.array([int(name.split(",")[0]) for name in names])
    for row in np.unique(rows):
        # the blocks of a row are one column of points wider than each other at most
        columns = lon.shape[1] / (rows == row).sum()
        assert np.ptp(areas[rows == row]) < 1.001 / columns * areas[rows == row].mean()
    assert 0.6 * 500**2 < areas.min() < areas.max() < 1.3 * 500**2
    # height and width of every block but the polar caps', by its own middle
    for row in np.unique(rows)[1:-1]:
        inside = rows[code].reshape(lon.shape) == row
        height = (np.ptp(lat[inside]) + step) * 111.195
        pieces = (rows == row).sum()
        width = 40030 * np.cos(np.radians(lat[inside].mean())) / pieces
        assert 0.75 < width / height < 1.3
    ends = np.array([-180.0, 180.0, -180.0, 180.0, 17.0])
    west, east = blocks(ends[:2], np.array([70.1, 70.1]), even)
    assert west == east
    assert len(set(blocks(ends, np.array([90.0, 90.0, -90.0, -90.0, 0.0]), even))) == 3
    # not slanted: of two points 100 km apart on one meridian most share a block
    together = [
        blocks(np.full(2, x), np.array([y, y + 0.9]), even) for x in (-170.0, 5.0, 160.0) for y in range(-70, 70, 3)
    ]
    assert np.mean([a == b for a, b in together]) > 0.7


def test_the_sinusoidal_grid_stays_what_it_was():
    lon, lat = np.array([-113.0, 10.0, 179.9]), np.array([37.2, 47.0, -5.0])
    assert list(blocks(lon, lat, SplitConfig(by="block", block_km=5.0))) == ["827,-2002", "1045,151", "-112,3985"]
    assert "block_grid" not in counting(SplitConfig(by="block"))
    assert counting(SplitConfig(by="block", block_grid="even"))["block_grid"] == "even"
