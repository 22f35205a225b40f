"""Memory of a step on series: what is kept is counted rightly, grows as foretold, and too much is refused."""

import re

import pytest
import torch

from swath import _memory_guard, encoders
from swath._memory_guard import MemoryGuard, kept_bytes
from swath.batch import Image
from swath.encoders.unet_3d import Config
from swath.errors import TrainingError
from swath.sensors import band_id

BANDS = ("sentinel-2-l2a/B04", "sentinel-2-l2a/B08")


@pytest.fixture
def network():
    contract = encoders.InputContract(2, BANDS, True, ("reflectance",) * 2, (0.0,) * 2, (1.0,) * 2)
    return encoders.build(Config(width=2), contract).train()


def image(b, t, px=8):
    ids = torch.tensor([[band_id(key) for key in BANDS]] * b, dtype=torch.int32)
    days = torch.arange(t, dtype=torch.int32).repeat(b, 1)
    return Image(torch.randn(b, t, 2, px, px), torch.ones(b, t, px, px, dtype=torch.bool), days, ids, 10.0)


@pytest.fixture
def little(monkeypatch):
    def free(count):
        monkeypatch.setattr(_memory_guard, "free_memory", lambda device: count)

    return free


def forward(network):
    return lambda images: network.volumes(images["s2"])


def test_what_is_kept_is_counted_once_and_without_weights():
    x = torch.randn(10, 3, requires_grad=True)
    weight = torch.nn.Parameter(torch.randn(3, 5))
    assert kept_bytes(lambda: (x @ weight).sum()) == x.nbytes
    # the product keeps both of its factors, which are one and the same here
    assert kept_bytes(lambda: x * x) == x.nbytes
    assert kept_bytes(lambda: x + 1) == 0


@pytest.mark.parametrize("shape", [(2, 16, 16), (5, 12, 16), (3, 24, 8)])
def test_growth_is_foretold(network, little, shape):
    b, t, px = shape
    images = {"s2": image(b=b, t=t, px=px)}
    room = MemoryGuard("batch", "dates")
    little(10**12)
    room.require(images, forward(network))
    kept = kept_bytes(lambda: forward(network)(images))
    fixed, each = room._kept
    foretold = fixed + each * images["s2"].valid.numel()
    assert foretold == pytest.approx(kept, rel=0.1)


def test_both_dates_of_a_pair_are_tried_together(network, little):
    tried = []

    def watched(images):
        tried.append(images["s2"].pixels.shape[:2])
        return forward(network)(images)

    little(10**12)
    MemoryGuard("batch", "dates").require({"s2": image(b=8, t=2, px=16)}, watched)
    assert tried == [(2, 2), (4, 2)]


def test_what_keeps_nothing_is_measured_once_and_never_refused(little):
    calls = []

    def nothing(images):
        calls.append(images)
        return images["s2"].pixels.sum()

    little(1)
    room = MemoryGuard("batch", "dates")
    for samples in (2, 3):
        room.require({"s2": image(b=samples, t=8)}, nothing)
    assert len(calls) == 2


def test_too_much_is_refused_with_what_would_fit(network, little):
    images = {"s2": image(b=8, t=16, px=16)}
    kept = kept_bytes(lambda: forward(network)(images))
    little(int(kept * 0.6))
    with pytest.raises(TrainingError, match=r"8 series of up to 16 dates of 16 x 16 pixels") as caught:
        MemoryGuard("training.batch_size", "views.most").require(images, forward(network))
    assert caught.value.remedy == "training.batch_size=4 fits"
    little(int(kept / 8 * 0.6))
    with pytest.raises(TrainingError) as caught:
        MemoryGuard("training.batch_size", "views.most").require(images, forward(network))
    found = re.fullmatch(r"training\.batch_size=2 with views\.most=(\d+) fits", str(caught.value.remedy))
    assert 3 <= int(found[1]) <= 5
    little(1)
    with pytest.raises(TrainingError, match=r"not even 2 samples fit.*more memory"):
        MemoryGuard("training.batch_size", "views.most").require(images, forward(network))


def test_single_dates_and_what_was_checked_are_let_through(network, little):
    room = MemoryGuard("batch", "dates")
    little(10**12)
    room.require({"s2": image(b=4, t=8)}, forward(network))
    little(0)
    room.require({"s2": image(b=4, t=8)}, lambda images: pytest.fail("checked again"))
    room.require({"s2": image(b=64, t=1)}, lambda images: pytest.fail("single dates"))
    with pytest.raises(TrainingError):
        room.require({"s2": image(b=4, t=9)}, forward(network))


def test_a_trial_leaves_no_trace(network):
    before, state = {k: v.clone() for k, v in network.state_dict().items()}, torch.get_rng_state()
    with _memory_guard.untouched(network, torch.device("cpu")):
        network.volumes(image(b=2, t=4))
        torch.rand(3)
        assert any(not torch.equal(before[k], v) for k, v in network.state_dict().items())
    assert all(torch.equal(before[k], v) for k, v in network.state_dict().items())
    assert torch.equal(state, torch.get_rng_state())


def test_a_trial_can_be_differentiated_when_its_trace_is_gone():
    norm = torch.nn.BatchNorm2d(2)
    with _memory_guard.untouched(norm, torch.device("cpu")):
        out = norm(torch.randn(4, 2, 3, 3))
    out.square().sum().backward()
    assert norm.weight.grad is not None
    assert int(norm.num_batches_tracked) == 0
    assert torch.equal(norm.running_mean, torch.zeros(2))


def test_there_is_memory_here():
    assert _memory_guard.free_memory(torch.device("cpu")) > 2**20


@pytest.fixture
def gpu(monkeypatch):
    """What a GPU would say of its memory, for trials that take `fixed` bytes and `each` for every sample."""

    def made(free: int, fixed: int, each: int, fails_from: int = 10**9):
        state = {"peak": 0, "seen": []}

        def forward(images):
            samples = len(images["s2"])
            if samples >= fails_from:
                raise torch.OutOfMemoryError("CUDA out of memory")
            state["seen"].append(samples)
            state["peak"] = 7000 + fixed + each * samples
            return torch.zeros((), requires_grad=True)

        monkeypatch.setattr(_memory_guard, "_on_gpu", lambda device: True)
        monkeypatch.setattr(torch.cuda, "reset_peak_memory_stats", lambda device: state.update(peak=0))
        monkeypatch.setattr(torch.cuda, "memory_allocated", lambda device: 7000)
        monkeypatch.setattr(torch.cuda, "max_memory_allocated", lambda device: state["peak"])
        monkeypatch.setattr(torch.cuda, "memory_reserved", lambda device: 9000)
        monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: (free - 2000, 80 * 2**30))
        return forward, state["seen"]

    return made


def test_on_a_gpu_the_peak_of_a_small_part_says_which_batch_fits(gpu):
    """Of 64 samples parts of 4 and 8 are tried; what fits is (free - fixed) / each, for all processes."""
    forward, seen = gpu(free=5_000 + 41 * 1000 + 500, fixed=5_000, each=1000)
    with pytest.raises(TrainingError, match=r"a step on 64 chips of 8 x 8 pixels needs .* of the GPU") as caught:
        MemoryGuard("training.batch_size", "views.most", processes=2).require({"s2": image(b=64, t=1)}, forward)
    assert caught.value.remedy == "training.batch_size=82 fits"
    assert seen == [4, 8]
    forward, seen = gpu(free=5_000 + 64 * 1000, fixed=5_000, each=1000)
    room = MemoryGuard("training.batch_size", "views.most")
    for _ in range(3):
        room.require({"s2": image(b=64, t=1)}, forward)
    assert seen == [4, 8]


def test_a_gpu_too_small_for_a_part_is_said(gpu):
    forward, _ = gpu(free=100, fixed=0, each=1000, fails_from=4)
    with pytest.raises(TrainingError, match="too little memory for 8 samples, or another program") as caught:
        MemoryGuard("training.batch_size", "views.most").require({"s2": image(b=64, t=1)}, forward)
    assert "nvidia-smi" in str(caught.value)


@pytest.mark.parametrize("free", [100, 5_000, 5_000 + 1000 + 500])
def test_a_gpu_too_small_for_two_samples_is_not_said_to_hold_one(gpu, free):
    """No batch is smaller than two, whose settings would be refused."""
    forward, _ = gpu(free=free, fixed=5_000, each=1000)
    room = MemoryGuard("training.batch_size", "views.most")
    with pytest.raises(TrainingError, match=r"not even 2 samples fit: use a smaller network.*a larger GPU"):
        room.require({"s2": image(b=64, t=1)}, forward)


def test_two_samples_are_tried_by_the_step_itself(gpu):
    forward, seen = gpu(free=1, fixed=0, each=1000)
    MemoryGuard("training.batch_size", "views.most").require({"s2": image(b=4, t=1)}, forward)
    assert seen == []
