"""A sweep from recipe to report on a tiny landscape: effects, the best arm once more, and what a second run does."""

from pathlib import Path

import pandas as pd
import pytest

from swath import config, pipeline
from swath.errors import RecipeError, TrainingError
from swath.pipeline import _sweep
from swath.products.tables.sweep import read_sweep
from swath.sweep import EFFECTS
from swath.tasks import schema
from swath.training import TrainConfig
from swath.training.plan import Plan, Stream

TINY = [
    "seeds=[0]",
    "corpus.source.locations=96",
    "corpus.source.structures=false",
    "corpus.source.chip_px=32",
    "corpus.source.dates_optical=2",
    "corpus.source.extent_km=30",
    "split={by: group, folds: 3, fold: 0}",
    "pretrain.method.hidden=16",
    "pretrain.training.samples=40",
    "tasks.landcover.target.min_share=0.2",
    "tasks.landcover.probes=[{name: knn}]",
    "tasks.landcover.label_fractions=[]",
    "tasks.landcover.floors=[majority]",
]
AXES = ["training.batch_size=[8, 16]", "views.augment.hflip=[0.0, 0.5]"]


def tiny(*more: str) -> config.Recipe:
    recipe = config.load_sweep("quickstart", AXES, [*TINY, *more])
    return recipe.model_copy(update={"sweep": recipe.sweep.model_copy(update={"confirm": 1})})


@pytest.fixture(scope="module")
def finished(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("sweep") / "tiny"
    pipeline.run(tiny(), folder)
    return folder


@pytest.mark.slow
def test_effects_are_of_the_values_in_the_table(finished):
    arms = pd.read_csv(finished / "sweep" / "arms.csv")
    table = schema.TABLE.read(finished / "evaluate", role="pretrained").set_index("row")["value"]
    assert (arms.set_index("arm")["value"] == table).all()
    assert set(arms["samples"]) == {40.0, 32.0}  # whole steps of 8 and of 16
    assert (arms["seconds"] > 0).all()
    effects = EFFECTS.read(finished / "sweep")
    small = effects.query("axis == 'training.batch_size' and level == '8' and other_axis == ''").iloc[0]
    by_size = arms.groupby("training.batch_size")["value"].mean()
    assert small["effect"] == pytest.approx(by_size[8] - by_size.mean())
    assert len(effects) == 2 + 2 + 4


@pytest.mark.slow
def test_the_best_is_trained_again_with_fresh_seeds_and_other_places(finished):
    again = config.load(finished / "confirm" / "recipe.yaml")
    arms = pd.read_csv(finished / "sweep" / "arms.csv")
    assert list(again.arms) == [arms.loc[arms["value"].idxmax(), "arm"]] == [_sweep.best_arm(finished)]
    assert again.seeds == [1]
    assert again.split.fold == 1
    assert again.sweep is None
    tested = [schema.SPLITS.read(run / "evaluate", split="test")["uid"] for run in (finished, finished / "confirm")]
    assert not set(tested[0]) & set(tested[1])
    assert not (finished / "confirm" / "corpus").exists()


@pytest.mark.slow
def test_the_report_shows_it(finished):
    html = (finished / "report.html").read_text()
    assert '<section id="sweep"' in html
    assert "Trained again with 1 fresh seed and judged on places that had no part in the choice" in html
    assert "The trainings did not see equally much: 32 to 40 locations each" in html
    assert "views.augment.hflip: 0.5" in html
    assert "no claims" not in html
    assert schema.CLAIMS.read(finished / "evaluate").empty
    assert (finished / "confirm" / "report.html").is_file()


@pytest.mark.slow
def test_a_damaged_table_becomes_a_note(finished, tmp_path):
    (tmp_path / "sweep").mkdir()
    (tmp_path / "manifest.json").write_text((finished / "manifest.json").read_text())
    (tmp_path / "sweep" / "effects.csv").write_text("axis,level\nx,y\n")
    assert "The sweep cannot be shown" in pipeline.report(tmp_path).read_text()


@pytest.mark.slow
def test_a_second_run_trains_nothing(finished):
    weights = sorted(finished.rglob("encoder.safetensors"))
    times = [path.stat().st_mtime_ns for path in weights]
    pipeline.run(tiny(), finished)
    assert [path.stat().st_mtime_ns for path in weights] == times
    assert sorted(finished.rglob("encoder.safetensors")) == weights


@pytest.mark.slow
def test_other_axes_in_the_same_folder_are_refused(finished):
    other = config.load_sweep("quickstart", ["training.batch_size=[8, 32]", AXES[1]], TINY)
    with pytest.raises(RecipeError, match="another recipe"):
        pipeline.run(other, finished)


def confirmed(monkeypatch, *more: str) -> config.Recipe:
    """The confirmation of a sweep whose column of folds has five."""
    monkeypatch.setattr(_sweep.Corpus, "open", lambda path: path)
    monkeypatch.setattr(_sweep, "rotations", lambda *_: range(5))
    monkeypatch.setattr(_sweep, "best_arm", lambda _: "8_0-5")
    given = _sweep.confirmation(tiny("split={by: column, column: fold, fold: 4}", *more), Path("run"))
    assert given is not None
    return given


def test_folds_of_a_column_are_known_to_the_corpus(monkeypatch):
    again = confirmed(monkeypatch)
    assert (again.seeds, again.split.fold) == ([1], 0)
    again = confirmed(monkeypatch, "rotate=true", "seeds=[0, 1, 2, 3, 4]")
    assert (again.seeds, again.split.fold) == ([5, 6, 7, 8, 9], 4)


def test_a_confirmation_draws_labels_as_its_sweep_does(monkeypatch):
    again = confirmed(monkeypatch, "replicates={trainings: 3, label_draws: 2}", "seeds=[0, 1, 2]")
    assert again.replicates is not None
    assert (again.seeds, again.replicates.label_draws, again.replicates.first_seed) == ([3], 2, 3)


def test_a_confirmation_of_other_seeds_is_set_aside(monkeypatch, tmp_path):
    first, longer = (confirmed(monkeypatch, f"seeds={seeds}") for seeds in ([0], [0, 1]))
    stored = tmp_path / "confirm" / "recipe.yaml"
    for given in (first, longer):
        _sweep.set_aside(tmp_path, given)
        stored.parent.mkdir(exist_ok=True)
        stored.write_text(config.dump(given))
    _sweep.set_aside(tmp_path, longer)
    assert config.load(stored).seeds == [2]
    assert config.load(tmp_path / "confirm-1" / "recipe.yaml").seeds == [1]
    assert not (tmp_path / "confirm-2").exists()


def test_an_arm_called_na_has_a_name_and_a_panel_without_effects_is_named(tmp_path):
    (tmp_path / "sweep").mkdir()
    EFFECTS.write(tmp_path / "sweep", EFFECTS.frame())
    columns = "arm,task,input,probe,metric,value,low,high,seconds,samples"
    (tmp_path / "sweep" / "arms.csv").write_text(
        f"{columns}\nNA,crops,null,knn,accuracy,0.5,,,1,\nnull,crops,null,mlp,accuracy,,,,1,\n"
    )
    found = read_sweep(tmp_path, None, load_table=lambda _: pytest.fail("there is no confirmation"))
    assert found.arms["arm"].tolist() == ["NA", "null"]
    assert found.arms["value"].tolist()[0] == 0.5
    assert found.panels_without_effects == ["crops · null · knn"]


def test_without_any_value_none_is_the_best(tmp_path):
    (tmp_path / "evaluate").mkdir()
    schema.TABLE.write(tmp_path / "evaluate", schema.TABLE.frame())
    with pytest.raises(RecipeError, match="no arm has a value"):
        _sweep.best_arm(tmp_path)


# ------------------------------------------------------------------------------------------- as many samples for each


@pytest.mark.parametrize(("batch", "accumulate", "steps"), [(10, 1, 25), (7, 1, 35), (10, 3, 8)])
def test_samples_are_whole_steps_whatever_the_epoch(batch, accumulate, steps):
    train = TrainConfig(samples=250, batch_size=batch, accumulate=accumulate, epochs=1)
    plan = Plan.of(train, batches=9)
    assert (plan.total, plan.per_epoch) == (steps, 9 // accumulate)
    seen = list(Stream(lambda *_: Numbers(9), train, plan, done=3))
    assert len(seen) >= (steps - 3) * accumulate
    assert seen[0] == divmod(3 * accumulate, 9 // accumulate * accumulate)


def test_fewer_samples_than_a_step_are_refused():
    with pytest.raises(TrainingError, match=r"training\.samples is 7, one optimiser step sees 8"):
        Plan.of(TrainConfig(samples=7, batch_size=8), batches=5)


class Numbers:
    """Batches that say which they are."""

    def __init__(self, number: int):
        self.number = number

    def __len__(self) -> int:
        return self.number

    def epoch(self, epoch: int, start_step: int = 0):
        yield from ((epoch, step) for step in range(start_step, self.number))
