import multiprocessing
import threading

import pytest
import torch

from swath._threads import each
from swath.views import augment, presets
from tests.views._make import generator, image

openmp = pytest.mark.skipif(not torch.backends.openmp.is_available(), reason="this torch was built without OpenMP")


@pytest.fixture(params=[1, 3])
def threads(request):
    before = torch.get_num_threads()
    torch.set_num_threads(request.param)
    yield request.param
    torch.set_num_threads(before)


def test_every_item_is_worked_on_once(threads):
    seen = []
    each(seen.append, range(100))
    assert sorted(seen) == list(range(100))


def test_an_error_reaches_the_caller(threads):
    def fail(item):
        raise ValueError(f"item {item}")

    with pytest.raises(ValueError, match="item 0"):
        each(fail, range(4))


@openmp
def test_workers_split_no_operation_and_keep_no_gradient(threads):
    found = set()
    with torch.no_grad():
        each(lambda _: found.add((torch.get_num_threads(), torch.is_grad_enabled())), range(20))
    assert found == {(1, False)}


@openmp
def test_torchs_own_number_of_threads_stays(threads):
    each(lambda _: None, range(20))
    assert torch.get_num_threads() == threads
    found = []
    late = threading.Thread(target=lambda: found.append(torch.get_num_threads()))
    late.start()
    late.join()
    assert found == [threads]


def test_the_number_of_threads_changes_no_bit():
    before, views = torch.get_num_threads(), []
    for threads in (1, 3):
        torch.set_num_threads(threads)
        views.append(augment(image(h=100, w=100), presets.rs_byol(90), generator(), "query").image.pixels)
    torch.set_num_threads(before)
    assert torch.equal(*views)


def _in_a_child(results):
    each(results.put, [1, 2, 3, 4])


@pytest.mark.skipif("fork" not in multiprocessing.get_all_start_methods(), reason="this system cannot fork")
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_forked_process_starts_its_own(threads):
    each(lambda _: None, range(4))
    context = multiprocessing.get_context("fork")
    results = context.SimpleQueue()
    child = context.Process(target=_in_a_child, args=(results,))
    child.start()
    child.join(20)
    assert child.exitcode == 0
    assert sorted(results.get() for _ in range(4)) == [1, 2, 3, 4]
