"""A run trains, can be killed at any step, and stops when it is not worth going on."""

import json
import os
import signal
import time
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from swath import methods
from swath._signals import Stopped, answered
from swath.errors import RecipeError, TrainingError
from swath.methods import Loss
from swath.settings import differences
from swath.training import LabelledSet, recorder
from swath.training import fit as training_fit
from swath.training._log import Log
from swath.training.checkpoint import read
from swath.training.config import Collapse, Optimizer, TrainConfig
from swath.training.fit import _check_precision, _precision, fit
from swath.training.pretraining import begin, finished_state
from swath.training.recorder import Recorder
from tests.methods import fakes
from tests.training import helpers

TOTAL = 3 * helpers.BATCHES


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    """Folder of a run that nobody stopped, by method."""
    folders = {}

    def of(name: str, **changes) -> Path:
        key = name + json.dumps(changes)
        if key not in folders:
            folders[key] = tmp_path_factory.mktemp(name)
            helpers.train(folders[key], name, helpers.settings(**changes))
        return folders[key]

    return of


class Killed(Exception):
    pass


@contextmanager
def killed_after(monkeypatch, step: int):
    """Raise right after optimiser step `step`, once its row is written."""
    original = Recorder.on_train_batch_end

    def hook(self, trainer, pl_module, *rest):
        original(self, trainer, pl_module, *rest)
        if trainer.global_step == step:
            raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(Recorder, "on_train_batch_end", hook)
        yield


@pytest.mark.parametrize("name", ["byol", "simclr", "moco-v2"])
def test_every_step_is_logged(undisturbed, name):
    lines = (undisturbed(name) / "log.csv").read_text().splitlines()
    assert lines[0] == "step,epoch,loss,lr,seconds,feature_std,effective_rank,rankme,knn"
    rows = [dict(zip(lines[0].split(","), line.split(","), strict=True)) for line in lines[1:]]
    assert [int(row["step"]) for row in rows] == list(range(1, TOTAL + 1))
    assert [int(row["epoch"]) for row in rows] == [i // helpers.BATCHES for i in range(TOTAL)]
    assert [row["step"] for row in rows if row["feature_std"]] == ["1", "4", "8", "12", "16", "18"]
    assert float(rows[0]["lr"]) == 0.1
    assert float(rows[-1]["lr"]) < 0.002


@pytest.mark.parametrize(
    ("name", "step"),
    [
        *((name, step) for name in ("byol", "simclr", "moco-v2") for step in (3, 6, 11)),
        ("simsiam", 6),
        ("dino", 11),
        ("lejepa", 3),
        ("mae", 6),
        ("fcmae", 6),
        ("masked-series", 6),
        *(pytest.param(name, 6, marks=pytest.mark.slow) for name in ("barlow-twins", "vicreg", "moco-v3", "visreg")),
        *(pytest.param(name, 11, marks=pytest.mark.slow) for name in ("sat-mae", "i-jepa")),
    ],
)
def test_killed_after_any_step_and_continued_is_as_if_not_killed(undisturbed, tmp_path, monkeypatch, name, step):
    with killed_after(monkeypatch, step), pytest.raises(Killed):
        helpers.train(tmp_path, name)
    assert len(helpers.losses(tmp_path)) == step
    continued = helpers.train(tmp_path, name)
    assert_continued(continued, tmp_path, undisturbed(name))


def assert_continued(method, out: Path, whole: Path) -> None:
    """The log and all weights are those of a run that nobody stopped."""
    assert helpers.losses(out) == helpers.losses(whole)
    for label, tensor in read(whole / "last.ckpt")["state_dict"].items():
        assert torch.equal(tensor, method.state_dict()[label.removeprefix("method.")]), label


def test_accumulation_is_continued_exactly_too(undisturbed, tmp_path, monkeypatch):
    changes = {"accumulate": 2, "checkpoint_every": 2}
    with killed_after(monkeypatch, 5), pytest.raises(Killed):
        helpers.train(tmp_path, "moco-v2", helpers.settings(**changes))
    helpers.train(tmp_path, "moco-v2", helpers.settings(**changes))
    whole = helpers.losses(undisturbed("moco-v2", **changes))
    assert len(whole) == TOTAL // 2
    assert helpers.losses(tmp_path) == whole


def test_what_is_learnt_of_targets_is_continued_too(undisturbed, tmp_path, monkeypatch):
    gentle = {"optimizer": {"lr": 0.01, "scale_lr": False}}
    with killed_after(monkeypatch, 7), pytest.raises(Killed):
        helpers.train(tmp_path, "mp-mae", helpers.settings(**gentle))
    continued = helpers.train(tmp_path, "mp-mae", helpers.settings(**gentle))
    assert_continued(continued, tmp_path, undisturbed("mp-mae", **gentle))
    assert (continued.uncertainty[:-1] != 0).all()


def test_a_log_that_an_older_version_began_keeps_its_columns(tmp_path):
    """A term that was not there then would shift all that stands behind it."""
    log = Log(tmp_path / "log.csv")
    row = {"step": 1, "epoch": 0, "loss": 0.5, "lr": 0.1, "seconds": 2.0, "feature_std": 0.7}
    log.append(row, {"pixels": 3.0})
    log.append({**row, "step": 2}, {"pixels": 4.0, "left_out": 1.0})
    rows = [dict(row, pixels=3.0), dict(row, step=2, pixels=4.0)]
    assert Log(tmp_path / "log.csv").rows() == rows
    log.truncate(1)
    assert log.rows() == rows[:1]


def test_half_written_rows_and_checkpoints_are_not_believed(undisturbed, tmp_path, monkeypatch):
    with killed_after(monkeypatch, 7), pytest.raises(Killed):
        helpers.train(tmp_path)
    with (tmp_path / "log.csv").open("a") as log:
        log.write("8,1,0.3")
    (tmp_path / ".last.ckpt.part").write_bytes(b"half a checkpoint")
    helpers.train(tmp_path)
    assert helpers.losses(tmp_path) == helpers.losses(undisturbed("byol"))


KILL = """
import time, warnings
from pathlib import Path
warnings.simplefilter("ignore")
from tests.training import helpers
from swath.training.recorder import Recorder
original = Recorder.on_train_batch_end
def slow(self, *args):
    original(self, *args)
    time.sleep(0.2)
Recorder.on_train_batch_end = slow
helpers.train(Path({folder!r}))
"""


def test_kill_9(undisturbed, tmp_path, forks):
    child = forks.start(KILL.format(folder=str(tmp_path)), "tests.training.helpers")
    log = tmp_path / "log.csv"
    deadline = time.monotonic() + 200
    while not (log.exists() and len(log.read_text().splitlines()) > 8):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    os.kill(child, signal.SIGKILL)
    assert forks.wait() == -signal.SIGKILL
    assert len(helpers.losses(tmp_path)) < TOTAL
    helpers.train(tmp_path)
    assert helpers.losses(tmp_path) == helpers.losses(undisturbed("byol"))


@contextmanager
def signalled_after(monkeypatch, step: int, number: int):
    """The signal comes during optimiser step `step`."""
    original = Recorder.on_train_batch_end

    def hook(self, trainer, pl_module, *rest):
        original(self, trainer, pl_module, *rest)
        if trainer.global_step == step:
            signal.raise_signal(number)

    with monkeypatch.context() as patch:
        patch.setattr(Recorder, "on_train_batch_end", hook)
        yield


@pytest.mark.parametrize("step", [7, TOTAL])
def test_sigterm_ends_a_training_after_its_checkpoint_and_never_with_0(undisturbed, tmp_path, monkeypatch, step):
    """As a batch system preempts a job."""
    with signalled_after(monkeypatch, step, signal.SIGTERM), answered(), pytest.raises(Stopped) as stop:
        helpers.train(tmp_path)
    assert stop.value.code == 143
    assert read(tmp_path / "last.ckpt")["global_step"] == step
    helpers.train(tmp_path)
    assert helpers.losses(tmp_path) == helpers.losses(undisturbed("byol"))


def test_sigterm_between_two_optimiser_steps_keeps_the_last_checkpoint(tmp_path, monkeypatch):
    settings = helpers.settings(accumulate=2, checkpoint_every=2)
    with signalled_after(monkeypatch, 5, signal.SIGTERM), pytest.raises(Stopped):
        helpers.train(tmp_path, train=settings)
    assert read(tmp_path / "last.ckpt")["global_step"] == 5
    assert signal.getsignal(signal.SIGTERM) == signal.SIG_DFL


def test_ctrl_c_is_what_it_is_everywhere(tmp_path, monkeypatch):
    """Lightning leaves with 1."""
    with signalled_after(monkeypatch, 2, signal.SIGINT), pytest.raises(KeyboardInterrupt):
        helpers.train(tmp_path)
    with signalled_after(monkeypatch, 2, signal.SIGINT), answered(), pytest.raises(Stopped) as stop:
        helpers.train(tmp_path / "command")
    assert stop.value.code == 130


def test_nothing_waits_for_a_row_but_the_next_one_and_checkpoints(undisturbed, tmp_path, monkeypatch):
    """As of a GPU that is always behind; what was measured before a checkpoint is in it."""
    waited, log = [], Log(tmp_path / "log.csv")
    late = SimpleNamespace(query=lambda: False, synchronize=lambda: waited.append(len(log.rows())))
    monkeypatch.setattr(recorder, "fetch", lambda tensors: (list(tensors), late))
    with killed_after(monkeypatch, 7), pytest.raises(Killed):
        helpers.train(tmp_path)
    assert len(helpers.losses(tmp_path)) == 6
    assert waited == [0, 1, 2, 3, 4, 5]
    assert read(tmp_path / "last.ckpt")["global_step"] == 5
    helpers.train(tmp_path)
    assert helpers.losses(tmp_path) == helpers.losses(undisturbed("byol"))


def test_a_row_that_is_there_is_written_without_waiting(tmp_path, monkeypatch):
    asked = iter([False, True])
    here = SimpleNamespace(query=lambda: next(asked, False), synchronize=lambda: None)
    monkeypatch.setattr(recorder, "fetch", lambda tensors: (list(tensors), here))
    with killed_after(monkeypatch, 2), pytest.raises(Killed):
        helpers.train(tmp_path, train=helpers.settings(log_every=10, gauge_every=10))
    assert len(helpers.losses(tmp_path)) == 1


def test_a_finished_run_is_not_trained_again(undisturbed, tmp_path):
    whole = undisturbed("byol")
    before = (whole / "log.csv").read_bytes(), (whole / "last.ckpt").stat().st_mtime_ns
    helpers.train(whole)
    assert ((whole / "log.csv").read_bytes(), (whole / "last.ckpt").stat().st_mtime_ns) == before


def test_the_callers_random_state_does_not_matter(undisturbed, tmp_path):
    fitted = fakes.method("byol")
    torch.manual_seed(12345)
    fit(fitted, helpers.settings(), helpers.FakeLoader, tmp_path, devices=1)
    assert helpers.losses(tmp_path) == helpers.losses(undisturbed("byol"))


def test_seeds_differ(undisturbed, tmp_path):
    helpers.train(tmp_path, seed=1)
    assert helpers.losses(tmp_path)[0] != helpers.losses(undisturbed("byol"))[0]


class Halves(helpers.FakeLoader):
    """The batches of a FakeLoader, each in two."""

    def __len__(self) -> int:
        return 2 * helpers.BATCHES

    def epoch(self, epoch, start_step=0):
        for step in range(start_step, len(self)):
            yield helpers.part(fakes.batch(8, seed=100 * epoch + step // 2), step % 2, 2)


class Plain(methods.Method):
    """A loss that is a mean over samples."""

    def loss(self, views, gather):
        features = self.encoder(views[0].image)
        return Loss(total=(features - 1).square().mean(), features=features.detach())


def test_accumulated_gradients_are_those_of_the_joined_batch(tmp_path):
    for halves, loader in ((1, helpers.FakeLoader), (2, Halves)):
        torch.manual_seed(0)
        method = Plain(fakes.encoder(), lambda batch, _: [fakes.view(batch.images["sentinel-2-l2a"])])
        train = helpers.settings(accumulate=halves, batch_size=8 // halves, precision="32")
        fit(method, train, loader, tmp_path / str(halves), devices=1)
    whole, parts = ([float(x) for x in helpers.losses(tmp_path / name)] for name in "12")
    assert len(whole) == TOTAL
    assert parts == pytest.approx(whole, rel=1e-4)
    assert whole[-1] < whole[0]


def broken(monkeypatch, after: int, change):
    """From forward pass `after` on, every loss is changed."""
    fitted, count = fakes.method("byol"), iter(range(10_000))
    original = fitted.loss

    def loss(views, gather):
        made = original(views, gather)
        return change(made) if next(count) >= after else made

    monkeypatch.setattr(fitted, "loss", loss)
    return fitted


def test_a_loss_that_is_not_finite_stops_the_run_at_its_step(tmp_path, monkeypatch):
    fitted = broken(monkeypatch, 7, lambda made: Loss(total=made.total * torch.nan, features=made.features))
    with pytest.raises(TrainingError, match="the loss became nan at step 8 of 18") as error:
        fit(fitted, helpers.settings(log_every=50, gauge_every=50), helpers.FakeLoader, tmp_path, devices=1)
    assert "at step 8 of 18, of the locations 0, 1, 2, 3, 4, 5, 6, 7\n" in str(error.value)
    assert "training.optimizer.lr" in str(error.value)
    assert read(tmp_path / "last.ckpt")["global_step"] == 5


class Treacherous(torch.autograd.Function):
    """Changes nothing, and has no gradient that can be used."""

    @staticmethod
    def forward(ctx, x):
        return x.clone()

    @staticmethod
    def backward(ctx, *grads):
        return grads[0] * torch.nan


@pytest.mark.parametrize("rows", [1, 50])
def test_a_gradient_that_is_not_finite_stops_the_run_at_its_step(tmp_path, monkeypatch, rows):
    """The loss of that step is as good as any; without looking, the next one would be blamed, and its locations."""
    fitted = broken(monkeypatch, 7, lambda made: Loss(total=Treacherous.apply(made.total), features=made.features))
    monkeypatch.setattr(recorder, "LISTED", 3)
    settings = helpers.settings(log_every=rows, gauge_every=50)
    with pytest.raises(
        TrainingError, match="the gradient became nan at step 8 of 18, of the locations 0, 1, 2 and 5 more"
    ):
        fit(fitted, settings, helpers.FakeLoader, tmp_path, devices=1)
    assert read(tmp_path / "last.ckpt")["global_step"] == 5


def test_a_collapsed_run_stops_with_the_reason(tmp_path, monkeypatch):
    fitted = broken(monkeypatch, 4, lambda made: Loss(total=made.total, features=torch.ones_like(made.features)))
    train = helpers.settings(gauge_every=2, collapse=Collapse(patience=3))
    with pytest.raises(TrainingError, match=r"collapsed: at step 10 of 18 the feature std .* is 0.0000") as error:
        fit(fitted, train, helpers.FakeLoader, tmp_path, devices=1)
    assert "for 3 measurements in a row" in str(error.value)
    assert "temperature" in str(error.value)
    assert len(helpers.losses(tmp_path)) == 10


def test_a_collapsed_run_goes_on_if_asked_to(tmp_path, monkeypatch):
    fitted = broken(monkeypatch, 0, lambda made: Loss(total=made.total, features=torch.ones_like(made.features)))
    fit(fitted, helpers.settings(gauge_every=2, collapse=None), helpers.FakeLoader, tmp_path, devices=1)
    assert len(helpers.losses(tmp_path)) == TOTAL


def test_a_learning_rate_far_too_high_leaves_no_encoder(tmp_path):
    """SimCLR with a rate of 1e6: collapsed or not finite, in any case an error with a remedy."""
    train = helpers.settings(optimizer=Optimizer(lr=1e6, scale_lr=False), gauge_every=1, epochs=6)
    with pytest.raises(TrainingError, match=r"collapsed|became"):
        helpers.train(tmp_path, "simclr", train)


def test_knn_is_measured_where_labels_are_given(tmp_path):
    labelled = LabelledSet(fakes.image(30), torch.arange(30) % 3)
    helpers.train(tmp_path, train=helpers.settings(knn_every=6), knn=labelled)
    rows = (tmp_path / "log.csv").read_text().splitlines()[1:]
    measured = {int(row.split(",")[0]): float(row.split(",")[-1]) for row in rows if row.split(",")[-1]}
    assert list(measured) == [1, 6, 12, 18]
    assert all(0 <= value <= 1 for value in measured.values())


def test_too_few_batches(tmp_path):
    with pytest.raises(TrainingError, match="one epoch has 6 batch"):
        helpers.train(tmp_path, train=helpers.settings(accumulate=7))


def test_other_settings_are_refused_and_named(tmp_path):
    assert begin(tmp_path, {"training": {"epochs": 3, "lr": 0.1}})
    # until there is a step to continue from, others take their place
    assert begin(tmp_path, {"training": {"epochs": 2, "lr": 0.1}})
    assert begin(tmp_path, {"training": {"epochs": 3, "lr": 0.1}})
    (tmp_path / "last.ckpt").touch()
    assert begin(tmp_path, {"training": {"epochs": 3, "lr": 0.1}})
    with pytest.raises(TrainingError, match=r"training\.epochs: was 3, is 4"):
        begin(tmp_path, {"training": {"epochs": 4, "lr": 0.1}})


def test_damaged_files_of_a_training_are_named(tmp_path):
    begin(tmp_path / "a", {"seed": 0})
    (tmp_path / "a" / "config.json").write_text("{")
    (tmp_path / "a" / "last.ckpt").touch()
    with pytest.raises(TrainingError, match="settings of the training cannot be read"):
        begin(tmp_path / "a", {"seed": 0})
    (tmp_path / "log.csv").write_text("step,loss\n1,0.5\nx,0.4\n")
    with pytest.raises(TrainingError, match=r"a line that is none of its own: 'x,0.4'"):
        Log(tmp_path / "log.csv").truncate(5)


def test_differences_are_paths():
    was, now = ({"shapes": [{"file": one, "void": 0}, {"file": "c"}]} for one in "ab")
    assert list(differences(was, now)) == ["shapes.0.file: was a, is b"]
    assert list(differences({"shapes": [{"a": 1}]}, {"shapes": []})) == ["shapes: was [{'a': 1}], is []"]
    assert list(differences({"a": {"b": 1, "c": 2}}, {"a": {"b": 1, "c": 3, "d": 0}})) == [
        "a.c: was 2, is 3",
        "a.d: was None, is 0",
    ]


def test_weights_that_are_not_finite_are_not_saved(tmp_path):
    torch.save({"state_dict": {"method.encoder.w": torch.tensor([1.0, torch.inf])}}, tmp_path / "last.ckpt")
    with pytest.raises(TrainingError, match="weights are not finite"):
        finished_state(tmp_path / "last.ckpt", "encoder")


def test_what_a_method_keeps_is_what_is_read_off_its_checkpoint(tmp_path):
    """The teacher of DINO and I-JEPA, whose students were exported before; the trained network of all others."""
    student, teacher = torch.tensor([1.0]), torch.tensor([2.0])
    state = {"method.encoder.w": student, "method.teacher.encoder.w": teacher}
    torch.save({"state_dict": state}, tmp_path / "last.ckpt")
    for name, expected in (("dino", teacher), ("i-jepa", teacher), ("byol", student)):
        method = fakes.method(name)
        assert method.result is (method.teacher.encoder if expected is teacher else method.encoder)
        assert finished_state(tmp_path / "last.ckpt", method.kept) == {"w": expected}


def test_a_damaged_checkpoint_says_so(tmp_path):
    (tmp_path / "last.ckpt").write_bytes(b"nothing")
    with pytest.raises(TrainingError, match="cannot be read"):
        helpers.train(tmp_path)


def test_no_flipped_bit_in_a_checkpoint_is_trained_on(tmp_path):
    path = tmp_path / "last.ckpt"
    state = {"state_dict": {f"method.encoder.{i}": torch.randn(64, 9) for i in range(3)}, "global_step": 5}
    torch.save(state, path)
    whole = path.read_bytes()
    assert read(path)["global_step"] == 5
    for name, tensor in state["state_dict"].items():
        place = whole.index(tensor.numpy().tobytes()) + 1000
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :])
        with pytest.raises(TrainingError, match="another checksum") as error:
            finished_state(path, "encoder")
        assert str(path) == error.value.where, name


@pytest.mark.parametrize("there", [True, False])
def test_a_processor_without_bfloat16_trains_in_float32_and_says_so(monkeypatch, capsys, there):
    monkeypatch.setattr("swath.training.fit.has_bfloat16", lambda kind: there)
    made, said = _precision(TrainConfig(), "cpu"), capsys.readouterr()
    assert made == ("bf16-mixed" if there else "32-true")
    assert ("no bfloat16" in said.out + said.err) == (not there)
    assert _precision(TrainConfig(precision="32"), "cpu") == "32-true"


def test_series_are_not_trained_in_bfloat16_on_a_cpu(tmp_path, monkeypatch):
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 0)
    with pytest.raises(RecipeError, match=r"training\.precision='32'"):
        fit(fakes.method("s4"), TrainConfig(), helpers.FakeLoader, tmp_path, devices=1)
    _check_precision(fakes.method("masked-series"), TrainConfig(), "cpu")  # halves nothing


def test_a_gpu_that_is_too_small_or_disappears_is_said(tmp_path, monkeypatch):
    """The checkpoint of the steps before stands, and the same call goes on from it."""

    def fails(error, at):
        made = fakes.method("byol")
        original, calls = made.loss, iter(range(100))

        def loss(views, gather):
            if next(calls) == at:
                raise error
            return original(views, gather)

        monkeypatch.setattr(made, "loss", loss)
        fit(made, helpers.settings(), helpers.FakeLoader, tmp_path, devices=1)

    with pytest.raises(TrainingError, match=r"too little memory for a step of 8[\s\S]*training\.batch_size=4"):
        fails(torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 GiB"), 0)
    with pytest.raises(TrainingError, match=r"disappeared, and the last checkpoint stands: CUDA error: unspecified"):
        fails(RuntimeError("CUDA error: unspecified launch failure\nCompile with TORCH_USE_CUDA_DSA"), 12)
    assert read(tmp_path / "last.ckpt")["global_step"] == 10
    for said in ("cuDNN error: CUDNN_STATUS_EXECUTION_FAILED", "Triton Error [CUDA]: an illegal memory access"):
        with pytest.raises(TrainingError, match=r"disappeared, and the last checkpoint stands"):
            fails(RuntimeError(said), 0)
    with pytest.raises(TrainingError, match="a process of the run ended without a word, and the last checkpoint"):
        fails(RuntimeError("[gloo/transport/tcp/pair.cc:545] Read error: Connection reset by peer"), 0)
    with pytest.raises(RuntimeError, match="of another kind"):
        fails(RuntimeError("of another kind"), 0)
    helpers.train(tmp_path)
    assert len(helpers.losses(tmp_path)) == 18


@pytest.mark.filterwarnings("ignore")
def test_compiled_networks_learn_the_same_and_keep_their_names(undisturbed, tmp_path, monkeypatch):
    """And are continued from a checkpoint like any others."""
    seen = []

    def backend(graph, _):
        seen.append(graph)
        return graph.forward

    monkeypatch.setattr(training_fit, "compile_encoders", partial(training_fit.compile_encoders, backend=backend))
    settings = helpers.settings(compile=True)
    with killed_after(monkeypatch, 7), pytest.raises(Killed):
        helpers.train(tmp_path, "moco-v2", settings)
    assert len(seen) >= 2, "encoder and teacher"
    helpers.train(tmp_path, "moco-v2", settings)
    plain = undisturbed("moco-v2")
    losses, expected = ([float(x) for x in helpers.losses(folder)] for folder in (tmp_path, plain))
    assert losses == pytest.approx(expected, rel=1e-5)
    states = [read(folder / "last.ckpt")["state_dict"] for folder in (tmp_path, plain)]
    assert states[0].keys() == states[1].keys()


def test_encoders_of_series_are_not_compiled(tmp_path):
    with pytest.raises(RecipeError, match="an encoder of series cannot be compiled"):
        helpers.train(tmp_path, "s4", helpers.settings(compile=True, precision="32"))
