import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from swath.corpus import Loader, Reader, Sampler, Selection, gaps
from swath.corpus.reading import pairing
from swath.corpus.reading.sampler import days
from swath.errors import CorpusError
from tests.corpus.fakes import OPTICAL, RADAR, make
from tests.corpus.reading.test_sampler import custom, day

BOTH = (OPTICAL, RADAR)
NAT = np.datetime64("NaT", "us")

# few different times, so that ties and equal dates are common
moments = st.lists(st.integers(-6, 12), max_size=7).map(sorted)


def padded(rows: list[list[int]]) -> np.ndarray:
    width = max(1, *map(len, rows))
    table = np.full((len(rows), width), NAT)
    for row, numbers in zip(table, rows, strict=True):
        row[: len(numbers)] = np.array(numbers, "timedelta64[D]") + np.datetime64("2021-03-01T10:31:07.123457", "us")
    return table


def brute_force(*series: list[int]) -> list[tuple[int, ...]]:
    """S4 §4 word by word: for each date of the shortest series, the nearest of the others, ties to the earlier."""
    lengths = [len(dates) for dates in series]
    leader = lengths.index(min(lengths))
    result = []
    for i, date in enumerate(series[leader]):
        pair = []
        for number, dates in enumerate(series):
            candidates = sorted(range(len(dates)), key=lambda j, d=dates: (abs(d[j] - date), d[j], j))
            pair.append(i if number == leader else candidates[0])
        result.append(tuple(pair))
    return result


@given(st.lists(st.tuples(moments, moments), min_size=1, max_size=6))
def test_pairs_are_those_of_the_brute_force(rows):
    first, second = padded([a for a, _ in rows]), padded([b for _, b in rows])
    columns = pairing.pair([first, second])
    for i, (a, b) in enumerate(rows):
        expected = brute_force(a, b)
        found = [pair for pair in zip(*(column[i].tolist() for column in columns), strict=True) if pair != (-1, -1)]
        assert found == expected
        assert [column[i, len(expected) :].max(initial=-1) for column in columns] == [-1, -1]


@given(st.lists(st.tuples(moments, moments, moments), min_size=1, max_size=5))
def test_three_series_follow_the_shortest(rows):
    columns = pairing.pair([padded([row[k] for row in rows]) for k in range(3)])
    for i, row in enumerate(rows):
        found = [pair for pair in zip(*(column[i].tolist() for column in columns), strict=True) if pair[0] >= 0]
        assert found == brute_force(*row)


@given(st.lists(st.tuples(moments, moments), min_size=1, max_size=6))
def test_partners_never_go_back_in_time(rows):
    series = [padded([row[k] for row in rows]) for k in range(2)]
    for column in pairing.pair(series):
        steps = np.diff(column, axis=1)
        assert (steps[column[:, 1:] >= 0] >= 0).all()


@given(hnp.arrays(np.int64, (4, 5), elements=st.integers(0, 9)))
def test_a_series_is_its_own_partner(numbers):
    when = padded(np.sort(numbers, axis=1).tolist())
    column, same = pairing.pair([when, when])
    assert np.array_equal(column, np.broadcast_to(np.arange(5), (4, 5)))
    assert (when[np.arange(4)[:, None], same] == when).all()


def test_ties_are_decided_exactly():
    """Days as floating-point numbers would round here, and the later one would win about every other time."""
    rng = np.random.default_rng(0)
    middle = np.datetime64("2021-01-01", "us") + rng.integers(0, 10**13, 500)
    half = rng.integers(1, 10**11, 500)
    sides = np.stack([middle - half, middle + half, np.full(500, NAT)], axis=1)
    assert (pairing.nearest(middle[:, None], sides) == 0).all()


def test_series_without_dates():
    nothing = np.full((3, 0), NAT)
    something = padded([[1, 2], [], [3]])
    for columns in (pairing.pair([nothing, something]), pairing.pair([something, nothing])):
        assert [column.shape for column in columns] == [(3, 0), (3, 0)]


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    """a: optical is shorter. b: radar is. c: no radar. d: equally long, one time unknown."""
    chips = [
        *[("a", OPTICAL, day(n), None, 1) for n in (20, 0, 10)],
        *[("a", RADAR, day(n), None, 1) for n in (-5, 5, 6, 21, 90)],
        *[("b", OPTICAL, day(n), None, 1) for n in (1, 2, 3, 40)],
        *[("b", RADAR, day(n), None, 1) for n in (30, 2)],
        ("c", OPTICAL, day(0), None, 1),
        *[("d", OPTICAL, when, None, 1) for when in (day(7), None)],
        ("d", RADAR, day(8), None, 1),
    ]
    return custom(tmp_path_factory.mktemp("pairs") / "c", chips)


def dates_of(corpus, positions) -> list[list[int | None]]:
    when = days(corpus.chips) - days(corpus.chips.iloc[[1]])[0]
    return [[None if p < 0 else round(when[p]) for p in row] for row in positions]


def test_paired_series_of_a_corpus(corpus):
    sampler = Sampler(corpus, BOTH, Selection(dates="paired"))
    chosen = sampler.choose(np.arange(4))
    assert dates_of(corpus, chosen[OPTICAL]) == [[0, 10, 20], [2, 40, None], [None] * 3, [7, None, None]]
    assert dates_of(corpus, chosen[RADAR]) == [[-5, 6, 21], [2, 30, None], [None] * 3, [8, None, None]]
    assert sampler.complete(np.arange(4)).tolist() == [0, 1, 3]
    swapped = Sampler(corpus, (RADAR, OPTICAL), Selection(dates="paired")).choose(np.arange(4))
    assert all(np.array_equal(swapped[sensor], chosen[sensor]) for sensor in BOTH)


def test_gaps_are_kept_per_pair(corpus):
    table = gaps(corpus, OPTICAL, RADAR)
    assert table["location"].tolist() == [0, 0, 0, 1, 1, 3]
    assert table["days"].tolist() == [-5, -4, 1, 0, -10, 1]
    assert (corpus.chips["sensor"].to_numpy()[table["second"]] == RADAR).all()
    assert gaps(corpus, RADAR, OPTICAL)["days"].tolist() == [5, 4, -1, 0, 10, -1]
    assert gaps(corpus, OPTICAL, RADAR, np.array([1]))["days"].tolist() == [0, -10]
    assert gaps(corpus, OPTICAL, RADAR, np.array([2])).empty
    assert gaps(corpus, OPTICAL, RADAR, np.array([], int)).empty


@pytest.mark.parametrize("dates", ["all", "paired"])
def test_a_part_of_a_series_is_a_pure_function_of_seed_and_location(tmp_path, dates):
    corpus = make(tmp_path / "c", dates=4)
    whole = Sampler(corpus, BOTH, Selection(dates=dates)).choose(np.arange(12))
    sampler = Sampler(corpus, BOTH, Selection(dates=dates, most=2, seed=3))
    chosen, drawn = sampler.choose(np.arange(12)), set()
    for sensor in BOTH:
        assert chosen[sensor].shape == (12, 2)
        for row, series in zip(chosen[sensor].tolist(), whole[sensor].tolist(), strict=True):
            columns = [series.index(position) for position in row]
            assert columns == sorted(set(columns))
            drawn.add(tuple(columns))
        alone = np.concatenate([sampler.choose(np.array([i]))[sensor] for i in range(12)])
        assert np.array_equal(alone, chosen[sensor])
        enough = Sampler(corpus, BOTH, Selection(dates=dates, most=9)).choose(np.arange(12))[sensor]
        assert np.array_equal(enough, whole[sensor])
    assert len(drawn) > 3
    assert (chosen[OPTICAL] != sampler.choose(np.arange(12), seed=4)[OPTICAL]).any()


def test_a_part_of_pairs_is_pairs(corpus):
    whole = Sampler(corpus, BOTH, Selection(dates="paired")).choose(np.arange(4))
    pairs = {pair for pair in zip(*(whole[sensor].ravel().tolist() for sensor in BOTH), strict=True) if pair[0] >= 0}
    for seed in range(8):
        part = Sampler(corpus, BOTH, Selection(dates="paired", most=2, seed=seed)).choose(np.arange(4))
        found = [pair for pair in zip(*(part[sensor].ravel().tolist() for sensor in BOTH), strict=True) if pair[0] >= 0]
        assert set(found) <= pairs
        assert len(found) == 2 + 2 + 0 + 1
        assert part[OPTICAL][3].tolist()[1] == -1


def test_reader_and_loader_read_pairs(corpus):
    reads = {OPTICAL: ("B04",), RADAR: ("VV", "VH")}
    batch = Reader(corpus, reads).batch(np.arange(4), Selection(dates="paired"))
    optical, radar = batch.images[OPTICAL], batch.images[RADAR]
    assert optical.pixels.shape[:2] == radar.pixels.shape[:2] == (4, 3)
    assert (radar.days - optical.days)[0].tolist() == [-5, -4, 1]
    assert not optical.valid[2].any()
    assert not optical.valid[1, 2].any()
    loader = Loader(corpus, reads, np.arange(4), batch_size=3, select=Selection(dates="paired", most=2))
    assert loader.left_out == 1
    (read,) = loader.epoch(0)
    assert [image.pixels.shape[1] for image in read.images.values()] == [2, 2]


def test_pairs_where_no_chip_has_a_time(tmp_path):
    corpus = custom(tmp_path / "c", [("a", sensor, None, None, 1) for sensor in BOTH])
    assert gaps(corpus, *BOTH).empty
    with pytest.raises(CorpusError, match="0 locations can be read"):
        Loader(corpus, {OPTICAL: ("B04",), RADAR: ("VV",)}, [0], batch_size=1, select=Selection(dates="paired"))


@pytest.mark.parametrize(("dates", "most"), [(1, 4), ("paired", 0), ("all", -1)])
def test_a_senseless_most_is_refused(corpus, dates, most):
    with pytest.raises(CorpusError, match=f"most = {most} means nothing"):
        Sampler(corpus, BOTH, Selection(dates=dates, most=most))
