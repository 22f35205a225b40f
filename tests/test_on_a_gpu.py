"""What has to run on a GPU runs on a pretended one: nothing is left on the CPU, and a training step waits for nothing.

Every plug-in that is found is tried, so that a new one need not be named here.
"""

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from swath import encoders, plugins, segmenters, views
from swath.batch import Image
from swath.corpus import Loader, Selection
from swath.corpus.labels import VOID
from swath.encoders import Encoder, location
from swath.encoders.image_and_location import ImageAndLocation
from swath.encoders.timm import Config as Timm
from swath.methods import Method
from swath.products.explain import Target, attributions
from swath.products.scene_maps._predictors import Dense
from swath.tasks import supervised
from swath.tasks.data import BandReader, Labelled, extract
from swath.tasks.supervised import Decoding, LabelledInput, ScratchConfig
from swath.testing import image as pictured
from swath.training.gauges import LabelledSet, knn_accuracy
from swath.training.module import SelfSupervised
from swath.training.optim import optimizer
from swath.training.plan import Plan
from tests.encoders import test_every_encoder as every_encoder
from tests.methods import fakes
from tests.pretended_gpu import OnGpu, no_waiting, pretended
from tests.products.explain.networks import KEYS, SENSOR, Network
from tests.products.explain.networks import explained as explained_network
from tests.segmenters import test_every_segmenter as every_segmenter
from tests.tasks import fakes as tasks
from tests.training.helpers import settings
from tests.views import _make
from tests.views.test_policies import example, t_of


@pytest.fixture(autouse=True)
def gpu():
    if torch.cuda.is_available():
        pytest.skip("there is a real one")
    with pretended():
        yield


def there(*made: object) -> bool:
    """Whether all tensors are on the GPU."""
    return all(isinstance(one, OnGpu) for one in made)


def test_what_a_gpu_refuses_is_refused():
    x = torch.ones(3, device="cuda", requires_grad=True)
    assert there(x, x * 2, torch.zeros_like(x), torch.arange(3, device=x.device))
    (x * torch.tensor(2.0)).sum().backward()
    assert there(x.grad)
    assert x.grad.tolist() == [2, 2, 2]
    for wrong in (lambda: x + torch.ones(3), lambda: torch.ones(3)[x.long()], lambda: torch.cat([x, torch.ones(3)])):
        with pytest.raises(AssertionError, match="two devices"):
            wrong()
    with pytest.raises(AssertionError, match="generator of the CPU"):
        torch.randn(3, generator=torch.Generator(), device=x.device)
    with pytest.raises(TypeError, match="to numpy"):
        np.asarray(x.detach())
    layer = nn.Linear(3, 2).to("cuda")
    assert there(*layer.parameters())
    assert there(layer(x))
    assert not there(layer(x).cpu(), layer(x).to("cpu"))


@pytest.mark.parametrize(
    "wait",
    [
        lambda x: x.sum().item(),
        lambda x: bool((x > 0).any()),
        lambda x: x[x > 0],
        lambda x: x.cpu(),
        lambda x: x.tolist(),
        lambda x: x[torch.tensor([0, 2])],
        lambda x: torch.ones(3).to(x.device),
        lambda x: torch.tensor([1.0], device=x.device),
        lambda x: x.copy_(torch.ones(3)),
        lambda x: torch.linalg.svdvals(x[:, None]),
    ],
)
def test_waiting_is_noticed(wait):
    x = torch.ones(3, device="cuda")
    wait(x)
    with no_waiting(), pytest.raises(AssertionError, match="makes the host wait"):
        wait(x)


def ready(name: str) -> Method:
    """A method whose preparation, which happens once, is done."""
    trained = fakes.method(name)
    trained.prepare([str(i) for i in range(40)], np.random.default_rng(0).uniform(0, 9, (40, 2)))
    if name == "caco":
        trained._at_most = 0
    return trained


@pytest.mark.parametrize("name", plugins.names("swath.methods"))
def test_a_step(name):
    """Views, loss, gradient, optimiser, teacher and queue, of a batch of which some pixels are invalid."""
    trained = ready(name)
    module = SelfSupervised(trained, settings(), Plan(6, 18, 1), seed=0).to("cuda")
    module.room.require = lambda *_: None  # trials on parts of the first batch, which wait
    made = optimizer(settings().optimizer, trained)
    near = fakes.batch(8)
    near.images["sentinel-2-l2a"].valid[:, :, :2] = False
    given = near.to("cuda")
    with no_waiting():
        with torch.autocast("cuda", torch.bfloat16):
            loss = module.training_step(given, 0)
        loss.backward()
        module.on_before_optimizer_step(made)
        made.step()
        trained.after_step(0.5)
    assert there(loss, module.gradient, *trained.parameters(), *trained.buffers())
    assert there(*(part.total for part in module.parts), *(part.gauged() for part in module.parts))
    assert loss.isfinite()


@pytest.mark.parametrize("name", views.names())
def test_a_policy(name, monkeypatch):
    """Its views are made without Triton here; `test_no_waiting` and views/test_gpu.py try the kernels."""
    monkeypatch.setattr("swath.views._augment.find_spec", lambda _: None)
    policy = views.build(example(name))
    given = _make.batch(policy.reads, b=3, t=t_of(policy), invalid=0.1)
    for sensor, image in given.images.items():
        given.images[sensor] = replace(image, common_ids=image.first_ids())
    given = given.to("cuda")
    for view in policy(given, _make.generator()):
        assert there(*tensors(view.image), view.affine, *view.targets.values())


def tensors(image: Image) -> tuple[Tensor, ...]:
    return image.pixels, image.valid, image.days, image.band_ids


@pytest.mark.parametrize("case", every_encoder.CASES, ids=str)
def test_an_encoder(case):
    """What it makes of images, for training and as features."""
    torch.manual_seed(0)
    keys = ("sentinel-2-l2a/B02", "sentinel-2-l2a/B03", "sentinel-2-l2a/B04")
    plain = fakes.contract()
    of_two = replace(
        plain, bands=(*keys, "sentinel-1-rtc/VH"), units=(*plain.units, "dB"), mean=(0.0,) * 4, std=(1.0,) * 4
    )
    of_two = replace(of_two, branches=(3, 1))
    encoder = encoders.build(
        every_encoder.configure(case), of_two if case[0] in every_encoder.OF_TWO_SENSORS else plain
    ).to("cuda")
    near = pictured(keys, t=2, invalid=0.1)
    given = replace(near, common_ids=near.first_ids()).to("cuda")
    with no_waiting():
        features = encoder(given)
        if features.requires_grad:
            features.float().sum().backward()
    assert there(features, encoder.embed(given), encoder.embed(given, trusted=True))


def test_encoders_of_locations():
    tower = location.LocationEncoder(fakes.tower(), fakes.contract_of_places()).to("cuda")
    both = ImageAndLocation(fakes.encoder(norm=True), fakes.tower(), fakes.contract_of_image_and_place()).to("cuda")
    batch = fakes.batch(4).to("cuda")
    (where,) = fakes.place(batch, torch.Generator())
    assert there(tower.embed(where.image), both.embed(batch.images["sentinel-2-l2a"], trusted=True))


@pytest.mark.parametrize("name", segmenters.names())
def test_a_segmenter(name):
    network = every_segmenter.make(name).to("cuda")
    given = every_segmenter.images(name)
    given = {key: replace(one, common_ids=one.first_ids()).to("cuda") for key, one in given.items()}
    logits = network(given)
    logits.float().mean().backward()
    assert there(logits, *(p.grad for p in network.parameters() if p.grad is not None))


@pytest.mark.parametrize("name", attributions.names())
def test_an_explanation(name):
    layers = nn.Sequential(nn.Conv2d(3, 5, 3, padding=1), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten())
    network = Network(Encoder(layers, fakes.contract(), dim=5), nn.Linear(5, 2))
    network.encoder = Encoder(layers, replace(fakes.contract(), bands=KEYS), dim=5)
    explained = explained_network(network.to("cuda"))
    given = {SENSOR: pictured(KEYS, 2, 2, 4, invalid=0.2).to("cuda")}
    target = Target(torch.tensor([0, 1], device="cuda"))
    found = attributions.attribute(attributions.settings([name])[0], explained, given, target)
    assert torch.as_tensor(found.map).cpu().isfinite().all()


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    return tasks.make(tmp_path_factory.mktemp("corpus") / "small", 32)


@pytest.fixture(scope="module")
def fields(tmp_path_factory):
    return tasks.make_fields(tmp_path_factory.mktemp("corpus") / "fields", 12)


def test_batches_of_a_corpus(corpus):
    """Counts cross, and are decoded there to the values that the CPU reads."""
    reads = {"sentinel-2-l2a": ("B03", "B04")}
    near, far = (Loader(corpus, reads, range(32), 4, Selection(), device=device) for device in ("cpu", "cuda:0"))
    for one, other in zip(near.epoch(0), far.epoch(0), strict=True):
        moved, image = other.images["sentinel-2-l2a"], one.images["sentinel-2-l2a"]
        assert there(*tensors(moved), other.lonlat)
        assert torch.equal(moved.pixels.cpu(), image.pixels)


def test_features_and_their_gauge(corpus):
    encoder = tasks.small_encoder(0)
    near = extract(encoder, corpus, np.arange(2, 12), tasks.ALL)
    far = extract(encoder.to("cuda"), corpus, np.arange(2, 12), tasks.ALL)
    np.testing.assert_allclose(far, near, rtol=1e-4, atol=1e-5)
    labelled = LabelledSet(pictured(fakes.BANDS, b=6, px=8), torch.arange(6) % 2, torch.arange(6))
    assert 0 <= knn_accuracy(fakes.encoder().to("cuda"), labelled) <= 1


@pytest.mark.parametrize("said", [{}, {"frame_dropout": 0.3, "class_weights": "balanced", "patience": 1}])
def test_an_encoder_is_trained_on_labels(corpus, said, monkeypatch):
    step = supervised._Loop._step

    def without_waiting(*args):
        with no_waiting():
            return step(*args)

    monkeypatch.setattr(supervised._Loop, "_step", without_waiting)
    rows = np.arange(2, 32)
    parts = dict(zip(("train", "val", "test"), np.split(rows, [16, 24]), strict=True))
    parts = {name: Labelled(one, one % 3) for name, one in parts.items()}
    data = LabelledInput(BandReader(corpus, tasks.ALL[2:4], Selection()), tasks.ALL[2:4], parts, 3)
    encoder = tasks.small_encoder(0, channels=2).to("cuda")
    found = supervised.train_encoder(ScratchConfig(epochs=2, batch_size=8, **said), encoder, data, 0)
    assert found.scores.shape == (6, 3)


def test_a_network_learns_to_segment(fields):
    rows = np.arange(2, 12)
    y = fields.labels("crops", rows).astype(np.int64)
    y[y == 255] = VOID
    parts = {"train": Labelled(rows[:4], y[:4]), "val": Labelled(rows[4:7], y[4:7]), "test": Labelled(rows[7:], y[7:])}
    bands = tuple(f"{tasks.OPTICAL}/{band}" for band in ("B02", "B03", "B04"))
    data = LabelledInput(BandReader(fields, bands, Selection()), bands, parts, 4)
    encoder = encoders.build(Timm(model="test_resnet"), tasks.contract(bands, 3, fixed=True)).to("cuda")
    found = supervised.train_encoder(Decoding(epochs=1, batch_size=2, decoder={"name": "linear"}), encoder, data, 0)
    assert found.y_pred.shape == (3, 8, 8)


def test_a_window_is_mapped():
    bands = tuple(f"{tasks.OPTICAL}/{band}" for band in ("B02", "B03", "B04"))
    network = Network(tasks.dense_encoder(0, bands), nn.Conv2d(8, 2, 1), dense=True)
    window = {SENSOR: pictured(bands, 1, 1, 8)}
    near = Dense(network, bands, series=False, check=lambda _: None)(window)
    moved = {sensor: image.to("cuda") for sensor, image in window.items()}
    far = Dense(network, bands, series=False, check=lambda _: None).to("cuda")(moved)
    assert there(far)
    torch.testing.assert_close(far.cpu(), near)
