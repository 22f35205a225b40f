import threading
import time

import numpy as np
import pytest
import torch

from swath.corpus import Loader, Selection
from swath.corpus.reading import one_ahead
from swath.corpus.reading._crossing import Crossing
from swath.corpus.reading.loader import AHEAD
from swath.corpus.reading.sampler import epoch_order, mix
from swath.errors import CorpusError
from tests.corpus.fakes import OPTICAL, RADAR, make

READS = {OPTICAL: ("B02", "B08"), RADAR: ("VV",)}


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    return make(tmp_path_factory.mktemp("loader") / "corpus", count=22)


def uids(loader: Loader, epoch: int = 0, start: int = 0) -> list[list[str]]:
    return [batch.uid for batch in loader.epoch(epoch, start)]


def same(one, other) -> bool:
    return one.uid == other.uid and all(
        torch.equal(one.images[s].pixels, other.images[s].pixels)
        and torch.equal(one.images[s].days, other.images[s].days)
        for s in READS
    )


def test_an_epoch_visits_every_location_at_most_once_in_equal_batches(corpus):
    loader = Loader(corpus, READS, range(22), batch_size=5)
    batches = uids(loader)
    assert len(loader) == len(batches) == 4
    assert {len(batch) for batch in batches} == {5}
    assert len({uid for batch in batches for uid in batch}) == 20
    assert uids(loader, 1) != batches


def test_it_is_a_pure_function_of_seed_epoch_and_step(corpus):
    first, second = (Loader(corpus, READS, range(22), 4, Selection(dates=2), seed=3) for _ in range(2))
    whole = list(first.epoch(2))
    resumed = list(second.epoch(2, start_step=3))
    assert len(whole) == 5
    assert all(same(*pair) for pair in zip(whole[3:], resumed, strict=True))
    other = Loader(corpus, READS, range(22), 4, Selection(dates=2), seed=4)
    assert uids(other, 2) != [batch.uid for batch in whole]


@pytest.mark.parametrize("world", [2, 3])
def test_ranks_partition_an_epoch_exactly(corpus, world):
    size = 6 // world
    alone = uids(Loader(corpus, READS, range(22), 6, seed=1))
    ranks = [uids(Loader(corpus, READS, range(22), size, seed=1, rank=r, world=world)) for r in range(world)]
    for step, together in enumerate(alone):
        assert [uid for rank in ranks for uid in rank[step]] == together


def test_dates_change_between_epochs_but_not_with_the_world(corpus):
    def dates(world, epoch):
        loaders = [Loader(corpus, READS, range(22), 4 // world, rank=r, world=world) for r in range(world)]
        found = {}
        for loader in loaders:
            for batch in loader.epoch(epoch):
                found |= dict(zip(batch.uid, batch.images[OPTICAL].days[:, 0].tolist(), strict=True))
        return found

    assert dates(1, 0) == dates(2, 0)
    common = dates(1, 0).keys() & dates(1, 1).keys()
    assert any(dates(1, 0)[uid] != dates(1, 1)[uid] for uid in common)


def test_locations_without_enough_valid_pixels_are_left_out_up_front(corpus):
    loader = Loader(corpus, READS, range(22), 2, Selection(min_valid=0.9999))
    lacking = {number for number in range(22) if number % 5 == 4}  # every radar chip has a NaN
    assert set(range(22)) - set(loader.locations.tolist()) == lacking
    assert loader.left_out == len(lacking)
    assert all(batch.images[s].valid.all() for batch in loader.epoch(0) for s in READS)


def test_too_few_locations_are_refused_with_the_numbers(corpus):
    with pytest.raises(CorpusError, match="3 locations can be read, one step needs 8") as caught:
        Loader(corpus, READS, range(3), 4, world=2)
    assert "smaller batch" in caught.value.remedy


def test_labels_come_as_targets(corpus):
    batch = next(iter(Loader(corpus, READS, range(22), 3, labels=["cover"]).epoch(0)))
    rows = [int(uid[1:]) for uid in batch.uid]
    assert np.array_equal(batch.targets["cover"].numpy(), corpus.labels("cover", rows))
    assert batch.targets["cover"].dtype == torch.int64


def threads() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "swath-loader"]


def test_what_crosses_to_a_device_are_the_same_batches(corpus):
    loader = Loader(corpus, READS, range(22), 4, Selection(dates=2), labels=["cover"])
    crossing = Crossing(torch.device("cpu"), loader._reader, ("cover",))
    order, seed = epoch_order(loader.locations, 0, 1), mix(0, 1)
    for step, batch in enumerate(loader.epoch(1)):
        arrived = crossing.arrive(crossing.send(*loader._choose(order, seed, step)))
        assert same(arrived, batch)
        assert torch.equal(arrived.targets["cover"], batch.targets["cover"])
        assert torch.equal(arrived.lonlat, batch.lonlat)


@pytest.mark.gpu
def test_batches_come_out_on_the_device_as_on_the_cpu(corpus):
    near, far = (
        Loader(corpus, READS, range(22), 4, Selection(dates=2), labels=["cover"], device=device)
        for device in ("cpu", "cuda")
    )
    for here, there in zip(near.epoch(1), far.epoch(1), strict=True):
        assert there.images[OPTICAL].pixels.is_cuda
        assert same(there.to("cpu"), here)
        assert torch.equal(there.targets["cover"].cpu(), here.targets["cover"])


def test_it_reads_a_little_ahead_and_stops_when_nobody_listens(corpus, monkeypatch):
    loader = Loader(corpus, READS, range(22), 2)
    steps: list[int] = []
    original = loader._read
    monkeypatch.setattr(loader, "_read", lambda order, seed, step: steps.append(step) or original(order, seed, step))
    batches = loader.epoch(0)
    next(batches)
    deadline = time.monotonic() + 10
    while len(steps) < AHEAD + 2 and time.monotonic() < deadline:
        time.sleep(0.01)
    time.sleep(0.2)
    assert steps == list(range(AHEAD + 2))  # one taken, two waiting, one in the hand of the thread
    batches.close()
    assert threads() == []


def test_what_fails_while_reading_ahead_is_raised_where_batches_are_taken(corpus, monkeypatch):
    loader = Loader(corpus, READS, range(22), 4)
    original = loader._read

    def breaks(order, seed, step):
        if step == 2:
            raise CorpusError("the disk went away")
        return original(order, seed, step)

    monkeypatch.setattr(loader, "_read", breaks)
    taken = []
    with pytest.raises(CorpusError, match="went away"):
        taken.extend(loader.epoch(0))
    assert threads() == []


def test_one_ahead_reads_the_next_while_one_is_used_and_none_beyond():
    begun, may_end = [], threading.Event()

    def read(item):
        begun.append(item)
        if item == 1:
            may_end.wait(10)
        return -item

    found = one_ahead(read, [0, 1, 2, 3])
    assert next(found) == 0
    while begun != [0, 1]:
        time.sleep(0.001)
    may_end.set()
    assert next(found) == -1
    assert list(found) == [-2, -3]
    assert begun == [0, 1, 2, 3]
    assert list(one_ahead(read, [])) == []


def test_an_error_of_reading_one_ahead_comes_when_its_item_is_asked_for():
    found = one_ahead(lambda item: 1 // item, [1, 0, 1])
    assert next(found) == 1
    with pytest.raises(ZeroDivisionError):
        next(found)
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("swath-loader")]
