"""What every method must be, found by its file: a new method is covered without being told."""

import copy
import math

import numpy as np
import pytest
import torch
from pydantic import ValidationError

from swath import encoders, methods, plugins
from swath.encoders import vit
from swath.errors import RecipeError
from swath.methods._losses import byol_loss
from swath.methods._types import Teacher, cosine_momentum, mlp
from tests.methods import fakes

NAMES = methods.names()


def train(method: methods.Method, steps: int, lr: float = 0.1, n: int = 16) -> list[float]:
    optimiser = torch.optim.SGD([p for p in method.parameters() if p.requires_grad], lr=lr, momentum=0.9)
    losses = []
    for step in range(steps):
        views = method.views(fakes.batch(n, seed=step % 3), torch.Generator().manual_seed(step))
        loss = method.loss(views)
        optimiser.zero_grad()
        loss.total.backward()
        optimiser.step()
        method.after_step((step + 1) / steps)
        losses.append(loss.total.item())
    return losses


@pytest.mark.parametrize("name", NAMES)
def test_it_learns(name):
    # DINO's teacher chooses the same for all until its centre has moved
    losses = train(fakes.method(name), 40 if name == "dino" else 24, lr=0.01 if name == "mp-mae" else 0.1)
    assert all(map(math.isfinite, losses))
    # what a queue fills with is harder than the noise it begins with, so theirs may rise, but not to chance
    chance = {"moco-v2": math.log(33), "gassl": math.log(33), "seco": 3 * math.log(33), "caco": 3 * math.log(49)}
    chance["dino"] = math.log(24)
    assert losses[-1] < chance[name] if name in chance else sum(losses[-8:]) < sum(losses[:8])


@pytest.mark.parametrize("name", NAMES)
def test_loss_is_a_float32_scalar_and_features_are_the_encoders(name):
    method = fakes.method(name)
    views = method.views(fakes.batch(4), torch.Generator().manual_seed(0))
    assert not any(v.image.pixels.requires_grad for v in views)
    with torch.autocast("cpu", torch.bfloat16):
        narrow = copy.deepcopy(method).loss(views)
    assert narrow.total.dtype == torch.float32
    assert bool(narrow.total.isfinite())
    loss = method.loss(views)
    assert loss.total.shape == ()
    assert loss.total.dtype == torch.float32
    samples = 4 * 2 * 2 if name in ("s4", "mmf") else 4
    assert loss.features.shape == (samples, method.encoder.dim)
    assert not loss.features.requires_grad


@pytest.mark.parametrize("name", NAMES)
def test_all_trainable_parameters_get_a_gradient_and_no_others(name):
    method = fakes.method(name)
    method.loss(method.views(fakes.batch(4), torch.Generator().manual_seed(0))).total.backward()
    for label, parameter in method.named_parameters():
        assert (parameter.grad is not None) == parameter.requires_grad, label


@pytest.mark.parametrize("name", NAMES)
def test_views_are_a_function_of_the_generator(name):
    method, batch = fakes.method(name), fakes.batch(4)
    one, two, other = (method.views(batch, torch.Generator().manual_seed(s)) for s in (1, 1, 2))
    assert torch.equal(one[0].image.pixels, two[0].image.pixels)
    assert not torch.equal(one[0].image.pixels, other[0].image.pixels)


@pytest.mark.parametrize("name", ["byol", "dino", "moco-v2", "moco-v3"])
def test_teacher_shares_no_storage_moves_and_differs(name):
    method = fakes.method(name)
    student = {p.untyped_storage().data_ptr() for p in method.encoder.parameters()}
    teacher = list(method.teacher.parameters())
    assert not student & {p.untyped_storage().data_ptr() for p in teacher}
    assert not any(p.requires_grad for p in teacher)
    before = copy.deepcopy(teacher)
    train(method, 2)
    for old, new, own in zip(before, teacher, method.encoder.parameters(), strict=False):
        if new.ndim > 1:  # a bias before BatchNorm has no gradient
            assert not torch.equal(old, new)
            assert not torch.equal(new, own)


def test_teacher_follows_parameters_only_and_has_its_own_batch_statistics():
    encoder = fakes.encoder(norm=True)
    teacher = Teacher(encoder)
    norm = next(m for m in encoder.modules() if isinstance(m, torch.nn.BatchNorm2d))
    twin = next(m for m in teacher.modules() if isinstance(m, torch.nn.BatchNorm2d))
    with torch.no_grad():
        norm.weight.fill_(3.0)
    norm.running_mean.fill_(7.0)
    teacher.follow(0.9, encoder)
    torch.testing.assert_close(twin.weight, torch.full((8,), 0.9 * 1 + 0.1 * 3))
    assert torch.equal(twin.running_mean, torch.zeros(8))
    teacher(fakes.view(fakes.image(4)))
    assert twin.training
    assert not torch.equal(twin.running_mean, torch.zeros(8))


def test_teacher_leaves_nothing_out_at_random():
    config = vit.Config(patch=4, width=16, depth=2, heads=2, drop_path=0.9)
    encoder = encoders.build(config, fakes.contract())
    teacher, view = Teacher(encoder, torch.nn.Dropout(0.5)).train(), fakes.view(fakes.image(16))
    features = encoder.eval()(view.image)
    torch.testing.assert_close(teacher(view), features)
    encoder.train()  # the student still does
    assert not torch.allclose(encoder(view.image), features)


def test_momentum_rises_from_start_to_one():
    assert cosine_momentum(0.99, 0.0) == pytest.approx(0.99)
    assert cosine_momentum(0.99, 0.5) == pytest.approx(0.995)
    assert cosine_momentum(0.99, 1.0) == pytest.approx(1.0)


def test_constant_momentum_is_rs_byols():
    method = fakes.method("byol", momentum=0.9, momentum_schedule="constant")
    before = [p.clone() for p in method.teacher.parameters()]
    with torch.no_grad():
        method.encoder.network[0].weight.add_(1.0)
    method.after_step(0.99)
    torch.testing.assert_close(next(method.teacher.parameters()), before[0] + 0.1)


def test_byol_is_symmetric_and_sums_both_orders():
    method = fakes.method("byol")
    a, b = (fakes.view(fakes.image(4, seed)) for seed in (1, 2))

    def one_order(x, y):
        return byol_loss(method.predictor(method.projector(method.encoder(x.image))), method.teacher(y))

    torch.testing.assert_close(method.loss([a, b]).total, one_order(a, b) + one_order(b, a))
    torch.testing.assert_close(method.loss([a, b]).total, method.loss([b, a]).total)


def test_which_views_share_a_forward_pass():
    """As the docstrings say: BatchNorm's statistics are of what goes through together."""
    apart = dict.fromkeys(["byol", "simsiam", "barlow-twins", "vicreg", "moco-v3"], 2)
    together = dict.fromkeys(["simclr", "dino", "lejepa", "visreg"], 1)
    for name, passes in (apart | together).items():
        method = fakes.method(name)
        seen = []
        method.encoder.network[0].register_forward_hook(lambda m, i, o, seen=seen: seen.append(len(i[0])))
        method.loss(method.views(fakes.batch(4), torch.Generator().manual_seed(0)))
        assert seen == [8 // passes] * passes


class Counting(methods.OneProcess):
    """Counts the numbers that a step hands over."""

    numbers = 0

    def __call__(self, tensor):
        self.numbers += tensor.numel()
        return tensor


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("byol", 0),
        ("simsiam", 0),
        ("simclr", 2 * 4 * 8),
        ("barlow-twins", 2 * 4 * 8),
        ("vicreg", 2 * 4 * 8),
        ("moco-v3", 2 * 4 * 8),
        ("dino", 24),
        ("lejepa", 32 * (8 + 2 * 2 * 17)),
        ("visreg", 32 * 8 + 2 * 4 * 8),
    ],
)
def test_as_much_is_gathered_as_the_docstrings_say(name, expected):
    """For two views of a batch of 4, embeddings of 8 numbers, 32 slices and 24 prototypes."""
    method, gather = fakes.method(name), Counting()
    method.loss(method.views(fakes.batch(4), torch.Generator().manual_seed(0)), gather)
    assert gather.numbers == expected


def test_official_heads():
    shapes = [tuple(type(layer).__name__ for layer in head) for head in (
        mlp([8, 16, 4]), mlp([8, 8, 8, 4], bias=False, last_norm=True), mlp([8, 8, 4], norm=False, last_bias=True),
    )]  # fmt: skip
    assert shapes == [
        ("Linear", "BatchNorm1d", "ReLU", "Linear"),
        ("Linear", "BatchNorm1d", "ReLU", "Linear", "BatchNorm1d", "ReLU", "Linear", "BatchNorm1d"),
        ("Linear", "ReLU", "Linear"),
    ]
    biases = {
        "byol": mlp([8, 16, 4]),
        "simclr": mlp([8, 8, 4], bias=False),
        "moco": mlp([8, 8, 4], norm=False, last_bias=True),
    }
    found = {
        name: [layer.bias is not None for layer in head if isinstance(layer, torch.nn.Linear)]
        for name, head in biases.items()
    }
    assert found == {"byol": [True, False], "simclr": [False, False], "moco": [True, True]}


def test_moco_enqueues_the_keys_after_the_step_oldest_first():
    method = fakes.method("moco-v2", queue=8)
    first, second, third = (fakes.batch(4, seed) for seed in range(3))
    for batch in (first, second, third):
        views = method.views(batch, torch.Generator().manual_seed(0))
        before, expected = method.queue.keys.clone(), torch.nn.functional.normalize(method.teacher(views[1]), dim=1)
        method.loss(views)
        assert torch.equal(method.queue.keys, before)
        position = int(method.queue.cursor)
        method.after_step(0.5)
        torch.testing.assert_close(method.queue.keys[0, position : position + 4], expected)
    assert int(method.queue.cursor) == 4
    torch.testing.assert_close(method.queue.keys.norm(dim=2), torch.ones(1, 8))


def test_moco_queue_is_state():
    method, twin = fakes.method("moco-v2"), fakes.method("moco-v2")
    train(method, 1)
    twin.load_state_dict(method.state_dict())
    assert torch.equal(method.queue.keys, twin.queue.keys)
    assert int(twin.queue.cursor) == 16


def test_a_queue_of_any_even_length_keeps_the_newest_keys():
    method = fakes.method("moco-v2", queue=6)
    for seed in range(3):
        method.loss(method.views(fakes.batch(4, seed), torch.Generator().manual_seed(0)))
        remembered = method.queue._fresh[0][0]
        method.after_step(0.5)
    assert int(method.queue.cursor) == 12 % 6
    torch.testing.assert_close(method.queue.keys[0, [2, 3, 4, 5]], remembered[0])


@pytest.mark.parametrize("name", fakes.QUEUED)
def test_a_queue_shorter_than_a_step_is_refused(name):
    method = fakes.method(name, queue=2)
    with pytest.raises(RecipeError, match=r"a step makes \d+ keys, the queue holds 2"):
        method.loss(method.views(fakes.batch(5), torch.Generator().manual_seed(0)))


@pytest.mark.parametrize("name", fakes.QUEUED)
def test_by_default_a_queue_is_no_longer_than_an_epoch(name):
    places = np.stack([np.linspace(0, 9, 11), np.linspace(0, 9, 11)], axis=1)
    method, official = fakes.method(name, queue="auto"), {"seco": 16_384, "caco": 16_384}.get(name, 65_536)
    assert len(method.queue) == official
    method.prepare([str(i) for i in range(11)], places)
    assert len(method.queue) == 10
    assert method.queue.keys.shape[1] == 10
    asked = fakes.method(name, queue=32)
    asked.prepare([str(i) for i in range(11)], places)
    assert len(asked.queue) == 32


def test_moco_does_not_push_a_query_from_its_own_place():
    """The second time that places are seen, the loss is that of a queue without their own older keys."""
    method = fakes.method("moco-v2", queue=8).eval()
    views = method.views(fakes.batch(4), torch.Generator().manual_seed(0))
    method.loss(views)
    method.after_step(0.5)
    with torch.no_grad():
        query = torch.nn.functional.normalize(method.head(method.encoder(views[0].image)), dim=1).double().numpy()
        key = torch.nn.functional.normalize(method.teacher(views[1]), dim=1).double().numpy()
    queue, expected = method.queue.keys[0].double().numpy(), []
    for i in range(4):
        others = np.delete(queue, i, axis=0)
        terms = np.exp(np.concatenate([[query[i] @ key[i]], others @ query[i]]) / 0.2)
        expected.append(-np.log(terms[0] / terms.sum()))
    assert float(method.loss(views).total.detach()) == pytest.approx(np.mean(expected), rel=1e-5)


@pytest.mark.parametrize("name", [name for name in NAMES if name not in fakes.OF_TOKENS])
def test_number_of_views(name):
    number = 2 if name in ("fcmae", "sinr") else 1
    with pytest.raises(RecipeError, match=f"draws {number}"):
        fakes.method(name).loss([fakes.view(fakes.image(4))] * number)


def test_simclr_says_when_views_differ():
    with pytest.raises(RecipeError, match="but they differ"):
        fakes.method("simclr").loss([fakes.view(fakes.image(4)), fakes.view(fakes.image(4, px=16))])


@pytest.mark.parametrize("name", NAMES)
def test_settings_are_strict(name):
    config = plugins.find("swath.methods", name).Config
    with pytest.raises(ValidationError):
        config(momentun=0.9)
    assert config().name == name


@pytest.mark.parametrize("name", ["simclr", "byol", "moco-v2", "lejepa", "dino"])
def test_one_location_is_no_batch(name):
    with pytest.raises(RecipeError, match="one location is no batch"):
        fakes.method(name).views(fakes.batch(1), torch.Generator())


def test_without_statistics_of_batches_one_location_is_enough():
    assert len(fakes.method("s4").views(fakes.batch(1), torch.Generator())) == 2
