"""A whole evaluation: its files, what makes it resume, and what makes it compute anew."""

import json
import signal
from dataclasses import replace

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler

from swath import encoders
from swath.corpus import Corpus
from swath.corpus.splits.partition import SplitConfig, split
from swath.corpus.splits.seen import places
from swath.encoders.random_convolutions import Config
from swath.errors import RecipeError, SwathError
from swath.tasks import Claim, Evaluation, StatisticsConfig, Task, TaskConfig, by_budget, extract
from swath.tasks.floors import image_statistics
from swath.tasks.floors.random_convolutions import build
from swath.tasks.probes import linear
from swath.tasks.run.networks import Networks, fingerprint, named, shared
from swath.tasks.run.results import ResultStore, joined
from swath.tasks.schema import CLAIMS, COMPARISONS, OUTPUT, PREDICTIONS, TABLE, TASKS, VALIDATION
from tests.tasks.fakes import ALL, contract, judged_floors, make, result_key

SPLIT = SplitConfig(fractions=(0.5, 0.25, 0.25))
STATISTICS = StatisticsConfig(flips=99)
FILES = (
    *("predictions.parquet", "validation.parquet", "table.csv", "comparisons.csv"),
    *("notes.csv", "splits.parquet", "classes.json"),
)


UNKNOWN = "it is not known which locations the encoder was pre-trained on"


def random_encoder(arm, seed):
    return encoders.build(Config(features=8, seed=seed + 10), contract(ALL, 1))


def saved(folder, arms=("a", "b"), seeds=(0, 1)):
    """Encoders whose filters differ by arm and seed, as if they had been trained."""
    paths = {}
    for i, arm in enumerate(arms):
        for seed in seeds:
            settings = Config(features=8, seed=100 * (i + 1) + seed)
            paths[arm, seed] = folder / arm / f"seed-{seed}" / "encoder"
            encoders.save(encoders.build(settings, contract(ALL, 1)), settings, paths[arm, seed], {})
    return paths


def tasks(**changes):
    settings = {
        "target": {"rule": "scalar", "column": "kind"},
        "inputs": {"both": ALL[2:4]},
        "probes": [{"name": "linear", "c_count": 5}, {"name": "band-wise", "probe": {"name": "knn"}}],
        "metric": "macro_f1",
        "more_metrics": ["accuracy", "roc_auc"],
        "floors": ["majority", "image-statistics", "random-convolutions", "random-encoder"],
    }
    return {"kinds": TaskConfig.model_validate(settings | changes)}


def run(corpus, folder, out, config=None, seeds=(0, 1), **more):
    paths = saved(folder)
    return Evaluation(
        config or tasks(), SPLIT, corpus, paths, random_encoder, seeds, out, statistics=STATISTICS, **more
    ).run()


@pytest.fixture(scope="module")
def first(corpus, tmp_path_factory):
    folder = tmp_path_factory.mktemp("run")
    figures = run(corpus, folder, folder / "evaluate")
    return folder, figures, contents(folder / "evaluate")


@pytest.fixture
def evaluated(first):
    return first[:2]


@pytest.fixture
def undisturbed(first):
    """What the files held before other tests went on in the folder."""
    return first[2]


def finished(out):
    """Files of finished results, without what lies beside some."""
    return [path for path in (out / "cells").glob("*.parquet") if path.name.count(".") == 1]


def contents(out):
    return {name: (out / name).read_bytes() for name in FILES}


def test_the_files_hold_what_the_run_directory_promises(evaluated):
    folder, figures = evaluated
    out = folder / "evaluate"
    predictions = pd.read_parquet(out / "predictions.parquet")
    assert list(predictions) == PREDICTIONS.columns
    assert json.loads((out / "classes.json").read_text()) == {"kinds": ["class 0", "class 1", "class 2"]}
    table = pd.read_csv(out / "table.csv")
    assert list(table) == TABLE.columns
    assert list(dict.fromkeys(table.row)) == [
        *("a", "b", "majority", "image statistics + linear", "random convolutions", "random encoder (frozen)")
    ]
    assert set(table.metric) == {"macro_f1", "accuracy", "roc_auc"}
    said = table[["row", "role", "of_arm"]].fillna("").drop_duplicates().set_index("row")
    assert [tuple(line) for line in said.to_numpy()] == [
        *(("pretrained", "a"), ("pretrained", "b"), ("floor", ""), ("floor", ""), ("floor", ""), ("random-twin", "a,b"))
    ]
    trained = predictions[["row", "seed", "fold", "replicate"]].drop_duplicates()
    assert (trained["replicate"] == trained["seed"]).all()
    assert (trained["fold"] == 0).all()
    assert set(table.input) == {"both", *ALL[2:4], "all bands", "optical bands", "radar bands"}
    assert list(pd.read_csv(out / "comparisons.csv")) == COMPARISONS.columns
    cells = predictions.drop_duplicates(["input", "probe", "row", "seed"])
    assert figures == {"cells": len(cells), "left_out": 0}
    splits = pd.read_parquet(out / "splits.parquet")
    assert splits.split.value_counts().sum() == 94
    assert set(predictions.uid) == set(splits[splits.split == "test"].uid)
    assert np.stack(predictions.score.to_list()).sum(1) == pytest.approx(np.ones(len(predictions)), abs=1e-5)


def test_validation_scores_are_kept_of_rows_that_have_not_learnt_from_them(corpus, evaluated):
    folder, _ = evaluated
    kept = VALIDATION.read(folder / "evaluate")
    beside = kept["probe"] != "linear"
    # a band-wise probe tells only test parts
    assert set(kept[beside]["row"]) == {"image statistics + linear"}
    kept = kept[~beside]
    splits = pd.read_parquet(folder / "evaluate" / "splits.parquet").query("split == 'val'").set_index("uid")
    assert set(kept["row"]) == {
        *("a", "b", "image statistics + linear", "random convolutions", "random encoder (frozen)")
    }
    for _, one in kept.groupby(["row", "seed"]):
        assert one["uid"].tolist() == splits.index.tolist()
        assert one["group"].tolist() == splits["group"].tolist()
        assert one["y_true"].tolist() == splits["y"].tolist()
        assert np.stack(one["score"]).sum(1) == pytest.approx(np.ones(len(one)), abs=1e-5)
    # learnt from the training part alone, by scikit-learn
    made = Task("kinds", tasks()["kinds"], corpus, split(corpus, SPLIT), SPLIT)
    encoder = image_statistics.build(corpus, ALL[2:4])
    train, val = (made.parts[part] for part in ("train", "val"))
    x, x_val = (extract(encoder, corpus, part.locations, ALL[2:4]).astype(float) for part in (train, val))
    scale = StandardScaler().fit(x)
    given = (scale.transform(x), train.y), (scale.transform(x_val), val.y)
    chosen = linear.choose_c(linear.Config(), *given)  # a floor's own settings
    theirs = LogisticRegression(C=chosen, max_iter=1000).fit(*given[0])
    own = kept[kept["row"] == "image statistics + linear"]
    assert np.stack(own["score"]) == pytest.approx(theirs.predict_proba(given[1][0]), abs=0.01)


def test_beside_a_probe_that_uses_no_validation_labels_they_are_held_out_too(corpus):
    config = TaskConfig.model_validate(
        tasks()["kinds"].model_dump() | {"probes": [{"name": "knn", "k": 3}], "floors": ["image-statistics"]}
    )
    made = Task("kinds", config, corpus, split(corpus, SPLIT), SPLIT)
    (floor,) = judged_floors(made, None)
    encoder = image_statistics.build(corpus, ALL[2:4])
    x = {
        part: extract(encoder, corpus, made.parts[part].locations, ALL[2:4]).astype(float) for part in ("train", "val")
    }
    scale = StandardScaler().fit(x["train"])
    theirs = LogisticRegression(tol=1e-6, max_iter=10_000).fit(scale.transform(x["train"]), made.parts["train"].y)
    assert floor.prediction.validation == pytest.approx(theirs.predict_proba(scale.transform(x["val"])), abs=0.01)


def test_results_of_earlier_versions_have_no_validation_scores_and_stay_finished(corpus, evaluated, monkeypatch):
    folder, _ = evaluated
    out = folder / "evaluate"
    before = contents(out)
    beside = {path: path.read_bytes() for path in (out / "cells").glob("*.validation.parquet")}
    for path in beside:
        path.unlink()
    monkeypatch.setattr("swath.tasks.task.extract_all", lambda *_, **__: pytest.fail("computed again"))
    run(corpus, folder, out)
    assert VALIDATION.read(out).empty
    assert {name: text for name, text in contents(out).items() if name != "validation.parquet"} == {
        name: text for name, text in before.items() if name != "validation.parquet"
    }
    for path, content in beside.items():
        path.write_bytes(content)
    (out / "validation.parquet").write_bytes(before["validation.parquet"])


def test_every_arm_is_compared_with_every_row_that_says_something_of_it(evaluated):
    folder, _ = evaluated
    comparisons = pd.read_csv(folder / "evaluate" / "comparisons.csv")
    both = comparisons[comparisons.input == "both"]
    assert len(both) == 1 + 2 * 3
    assert set(both[both.a == "a"].b) == {"b", *both[both.a == "b"].b}
    assert set(comparisons[comparisons.pairing == "bands"].input) == {"all bands"}
    assert set(comparisons[comparisons.pairing == "trainings of one band"].input) == {"optical bands", "radar bands"}
    assert "radar bands minus optical bands" in set(comparisons.input)


def test_doing_it_again_computes_nothing_and_writes_the_same(corpus, evaluated, monkeypatch):
    folder, figures = evaluated
    out = folder / "evaluate"
    before = contents(out)
    monkeypatch.setattr("swath.tasks.task.extract_all", lambda *_, **__: pytest.fail("computed again"))
    assert run(corpus, folder, out) == figures
    assert contents(out) == before


def test_other_metrics_and_more_floors_reuse_what_is_there(corpus, evaluated, monkeypatch):
    folder, _ = evaluated
    monkeypatch.setattr("swath.tasks.task.extract_all", lambda *_, **__: pytest.fail("computed again"))
    run(corpus, folder, folder / "evaluate", tasks(metric="accuracy", floors=["majority"]))
    table = pd.read_csv(folder / "evaluate" / "table.csv")
    assert table.metric[0] == "accuracy"
    assert "random convolutions" not in set(table.row)


def test_another_split_or_encoder_is_another_cell(corpus, tmp_path):
    config = tasks(probes=[{"name": "knn"}], floors=["majority"])
    out = tmp_path / "evaluate"
    run(corpus, tmp_path, out, config, seeds=(0,))
    count = len(finished(out))
    other = SplitConfig(fractions=(0.5, 0.25, 0.25), seed=1)
    Evaluation(config, other, corpus, saved(tmp_path), random_encoder, (0,), out, statistics=STATISTICS).run()
    assert len(finished(out)) == 2 * count
    changed = {("a", 0): saved(tmp_path / "other", ("b", "a"))["a", 0]}
    Evaluation(config, other, corpus, changed, random_encoder, (0,), out, statistics=STATISTICS).run()
    assert len(finished(out)) == 2 * count + 1


def judged(corpus, folder, seen):
    """The note on an encoder that saw these places."""
    settings = Config(features=8)
    encoders.save(encoders.build(settings, contract(ALL, 1)), settings, folder / "encoder", {}, seen)
    config = tasks(probes=[{"name": "knn"}], floors=["majority"])
    Evaluation(
        config, SPLIT, corpus, {("mine", 0): folder / "encoder"}, random_encoder, (0,), folder, statistics=STATISTICS
    ).run()
    note = pd.read_csv(folder / "table.csv", keep_default_na=False).set_index("row").note["mine"]
    return note.iloc[0].partition("2 single-band")[0].rstrip("; ")


def test_an_encoder_that_saw_what_is_tested_is_refused_and_one_of_the_training_part_has_no_mark(corpus, tmp_path):
    rows = split(corpus, SPLIT)
    assert judged(corpus, tmp_path / "train", places(corpus, rows["train"])) == ""
    both = np.r_[rows["train"], rows["test"][3:5]]
    first = corpus.locations["uid"][rows["test"][3]]
    with pytest.raises(
        RecipeError, match=rf"mine, judged on kinds, was pre-trained on 2 of .* tested: {first}, "
    ) as error:
        judged(corpus, tmp_path / "both", places(corpus, both))
    assert "split" in error.value.remedy


def test_what_is_not_known_of_an_encoder_is_said_in_the_table(corpus, tmp_path):
    test = places(corpus, split(corpus, SPLIT)["test"])
    assert judged(corpus, tmp_path / "old", None) == UNKNOWN
    far = test.assign(corpus="another", lon=test["lon"] + 40).drop(columns="footprint")
    assert judged(corpus, tmp_path / "far", far) == (
        "pre-trained on another corpus; the encoder was saved by an earlier swath, whose list has no footprints: what "
        "it saw was taken as squares about the centres"
    )
    nowhere = judged(corpus, tmp_path / "nowhere", far.assign(lon=np.nan, lat=np.nan))
    assert nowhere.startswith(f"pre-trained on another corpus; it may have seen {len(test)} of the {len(test)} test")


def test_other_statistics_are_another_cell(corpus, tmp_path):
    config, settings = tasks(probes=[{"name": "knn"}], floors=["majority"]), Config(features=8, seed=1)
    contracts = [contract(ALL, 1), replace(contract(ALL, 1), std=tuple(3 * s for s in contract(ALL, 1).std))]
    for number, one in enumerate(contracts):
        encoders.save(encoders.build(settings, one), settings, tmp_path / str(number), {})
        paths = {("a", 0): tmp_path / str(number)}
        Evaluation(config, SPLIT, corpus, paths, random_encoder, (0,), tmp_path / "out", statistics=STATISTICS).run()
    cards = [encoders.load_card(tmp_path / str(number)) for number in (0, 1)]
    assert cards[0].sha256 == cards[1].sha256
    own = {"a": [], "majority": []}
    for path in finished(tmp_path / "out"):
        own[json.loads(pq.read_schema(path).metadata[b"swath"])["cell"]["row"]].append(path)
    assert (len(own["a"]), len(own["majority"])) == (2, 1)


def test_what_cannot_be_fed_is_in_the_table_with_its_reason(corpus, tmp_path):
    settings = Config(features=8)
    encoders.save(encoders.build(settings, contract(ALL[:3], fixed=True)), settings, tmp_path / "encoder", {})
    config = tasks(probes=[{"name": "knn"}], floors=["majority"])
    figures = Evaluation(
        config, SPLIT, corpus, {("rgb", 0): tmp_path / "encoder"}, random_encoder, (0,), tmp_path / "evaluate"
    ).run()
    assert figures == {"cells": 2, "left_out": 1}
    table = pd.read_csv(tmp_path / "evaluate" / "table.csv").set_index("row")
    assert np.isnan(table.value["rgb"])
    assert table.note["rgb"] == f"{UNKNOWN}; the encoder has no statistics of {ALL[3]}"
    assert "rgb" not in set(pd.read_parquet(tmp_path / "evaluate" / "predictions.parquet").row)


def test_rows_say_what_they_are(corpus, tmp_path):
    unet = {"segmenter": {"name": "unet-3d"}, "inputs": ["both"]}
    config = tasks(
        probes=[{"name": "linear"}, {"name": "fine-tune"}],
        floors=["majority", "random-encoder", "scratch"],
        references={"a network from scratch": unet},
    )

    def untrained(arm, seed):
        return random_encoder(arm, seed) if arm == "a" else encoders.build(Config(features=8), contract(ALL, 2))

    made = Evaluation(config, SPLIT, corpus, saved(tmp_path, seeds=(0,)), untrained, (0,), tmp_path / "out")
    assert [(job.row, job.role, job.of_arm) for job in made._jobs] == [
        ("a", "pretrained", "a"),
        ("b", "pretrained", "b"),
        ("a network from scratch", "reference", ""),
        ("majority", "floor", ""),
        ("random encoder (frozen), as a", "random-twin", "a"),
        ("random encoder (frozen), as b", "random-twin", "b"),
        ("scratch, as a", "scratch", "a"),
        ("scratch, as b", "scratch", "b"),
    ]
    assert [panel.key for panel in made._jobs[2].panels] == [("both", "fine-tune")]


def test_arms_with_one_network_share_its_random_twin():
    networks = {
        "one": random_encoder("one", 0),
        "two": random_encoder("two", 0),
        "optical": encoders.build(Config(features=8, seed=10), contract(ALL[:2], 1)),
        "three": encoders.build(Config(features=8), contract(ALL, 3)),
        "fixed": encoders.build(Config(features=8), contract(ALL[:1], fixed=True)),
    }
    # which bands a network that takes any has seen does not matter: before its pre-training it had seen none
    assert shared(["one", "optical", "two"], networks.__getitem__) == [["one", "optical", "two"]]
    assert shared(["one", "three", "two", "fixed"], networks.__getitem__) == [["one", "two"], ["three"], ["fixed"]]
    assert named("random", [["one", "two"]]) == {"random": ["one", "two"]}
    found = named("random", [["one", "two"], ["three"]])
    assert found == {"random, as one, two": ["one", "two"], "random, as three": ["three"]}
    assert named("random", []) == {}


def test_the_networks_of_some_arms_may_stand_alone():
    build = {"one": random_encoder("one", 0), "wide": encoders.build(Config(features=8), contract(ALL, 3))}
    networks = Networks(["one", "two", "wide"], lambda arm, _: build["one" if arm == "two" else arm], [0])
    assert networks.of([]) == [["one", "two"], ["wide"]]
    assert networks.of(["two"]) == [["one", "two"]]
    assert networks.of(["not judged"]) == [["one", "two"], ["wide"]]


def test_fingerprints_tell_weights_and_contracts_apart():
    same = fingerprint(random_encoder("a", 0))
    assert same == fingerprint(random_encoder("b", 0))
    assert same != fingerprint(random_encoder("a", 1))
    assert same != fingerprint(encoders.build(Config(features=8, seed=10), contract(ALL[:4], 1)))


def test_a_missing_encoder_is_said_before_anything_is_computed(corpus, tmp_path):
    with pytest.raises(SwathError, match="no encoder here"):
        Evaluation(
            tasks(), SPLIT, corpus, {("a", 0): tmp_path / "none"}, random_encoder, (0,), tmp_path / "evaluate"
        ).run()
    assert not list((tmp_path / "evaluate").rglob("*.parquet"))


def test_parts_make_a_whole(corpus, undisturbed, tmp_path):
    paths = saved(tmp_path)
    arguments = (tasks(), SPLIT, corpus, paths, random_encoder, (0, 1), tmp_path / "parts")
    for part in range(3):
        Evaluation(*arguments, statistics=STATISTICS).compute(part, 3)
    Evaluation(*arguments, statistics=STATISTICS).write()
    assert contents(tmp_path / "parts") == undisturbed


def test_a_test_part_without_labels_is_refused(corpus, tmp_path):
    with pytest.raises(SwathError, match="holds no labelled location"):
        Evaluation(
            tasks(), SplitConfig(fractions=(1.0, 0.0, 0.0)), corpus, {}, random_encoder, (0,), tmp_path / "evaluate"
        ).run()


KILL = """
import os, signal
from pathlib import Path
from swath.corpus import Corpus
from swath.tasks.run import results
from tests.tasks.run.test_evaluate import run
write, left = results.ResultStore.write, 5
def counted(self, *args):
    global left
    if left == 0:
        os.kill(os.getpid(), signal.SIGKILL)
    left -= 1
    write(self, *args)
results.ResultStore.write = counted
folder = Path({folder!r})
run(Corpus.open(folder / "corpus"), folder, folder / "evaluate")
"""


def test_killed_at_any_moment_it_ends_with_the_same_files(undisturbed, tmp_path, forks):
    """SIGKILL after some cells, then the same command again: bit for bit what an undisturbed run writes."""
    make(tmp_path / "corpus")
    assert forks.run(KILL.format(folder=str(tmp_path)), "tests.tasks.run.test_evaluate") == -signal.SIGKILL
    out = tmp_path / "evaluate"
    assert not (out / "table.csv").exists()
    assert len(finished(out)) == 5
    run(Corpus.open(tmp_path / "corpus"), tmp_path, out)
    # a corpus of the same content
    assert contents(out) == undisturbed


def test_fewer_labels_are_tasks_of_their_own(corpus, tmp_path):
    config = tasks(
        label_fractions=[0.05, 0.5, 1.0],
        probes=[{"name": "linear", "c_count": 3}],
        floors=["majority"],
        cloud_bins=[0, 0.5, 1],
    )
    figures = run(corpus, tmp_path, tmp_path / "out", config)
    table = pd.read_csv(tmp_path / "out" / "table.csv")
    assert list(dict.fromkeys(table.task)) == ["kinds@5%", "kinds@50%", "kinds@100%"]
    # two arms and two seeds, and the majority of each of two draws, or of all labels
    assert figures["cells"] == 3 * 4 + 2 + 2 + 1
    said = pd.read_parquet(tmp_path / "out" / "predictions.parquet").query("row == 'majority'")
    assert said.groupby("task").replicate.nunique().to_dict() == {"kinds@5%": 2, "kinds@50%": 2, "kinds@100%": 1}
    about = pd.read_csv(tmp_path / "out" / "tasks.csv")
    assert list(about.fraction) == [0.05, 0.5, 1.0]
    assert about.train.is_monotonic_increasing
    assert list(about.train_labels) == list(about.train)
    assert "fewer than the 3 classes" in about.note[0]
    # other fractions reuse what is there
    again = tasks(label_fractions=[0.5], probes=[{"name": "linear", "c_count": 3}], floors=["majority"])
    run(corpus, tmp_path, tmp_path / "out", again)
    assert len(finished(tmp_path / "out")) == figures["cells"]


def test_shots_are_drawn_anew_by_replicate_and_alike_for_all_rows(corpus, tmp_path):
    """Each prediction is the class of the nearest of the labels that the replicate drew, whatever the row."""
    nearest = {"name": "knn", "k": 1, "distance": "l2", "weights": "uniform"}
    config = tasks(labels_per_class=[1, 4], label_fractions=[1.0], probes=[nearest], floors=["random-convolutions"])
    paths, out = saved(tmp_path, ("a",)), tmp_path / "out"
    Evaluation(config, SPLIT, corpus, paths, random_encoder, (0, 1), out, statistics=STATISTICS).run()
    about = TASKS.read(out)
    assert about.task.tolist() == ["kinds@1-shot", "kinds@4-shot", "kinds@100%"]
    assert about.labels_per_class.fillna(0).tolist() == [1, 4, 0]
    assert about.fraction.fillna(0).tolist() == [0, 0, 1]
    assert about.train_labels.tolist()[:2] == about.val_labels.tolist()[:2] == [3, 12]
    assert (out / "tasks.csv").read_text().splitlines()[1].endswith(",1"), "a count is written as a whole number"
    said = PREDICTIONS.read(out)
    shots = by_budget("kinds", config["kinds"])["kinds@4-shot"]
    made = Task("kinds", shots, corpus, split(corpus, SPLIT), SPLIT)
    draws = [made.drawn(seed).parts["train"] for seed in (0, 1)]
    assert set(draws[0].locations) != set(draws[1].locations)
    for seed, drawn in enumerate(draws):
        assert np.bincount(drawn.y).tolist() == [4, 4, 4]
        encoder_of = {"a": encoders.load(paths["a", seed]), "random convolutions": build(corpus, ALL[2:4], seed)}
        for row, encoder in encoder_of.items():
            own = said[(said.task == "kinds@4-shot") & (said.row == row) & (said.seed == seed)]
            x, tested = (
                extract(encoder, corpus, part.locations, ALL[2:4]).astype(np.float64)
                for part in (drawn, made.parts["test"])
            )
            closest = ((tested[:, None] - x[None]) ** 2).sum(axis=-1).argmin(axis=1)
            assert own.y_pred.tolist() == drawn.y[closest].tolist(), row


def test_a_run_grows_by_further_trainings(corpus, tmp_path):
    """Nothing that is there is computed anew, and claims are judged with all trainings."""
    config = tasks(probes=[{"name": "knn"}], floors=["image-statistics", "random-convolutions"], label_fraction=0.5)
    paths, out = saved(tmp_path, seeds=(0, 1, 2)), tmp_path / "out"
    claim = Claim(better="a", than="random-convolutions", task="kinds", input="both", probe="knn")
    statistics = STATISTICS.model_copy(update={"claims": (claim,)})

    def grown(seeds):
        own = {key: path for key, path in paths.items() if key[1] in seeds}
        Evaluation(config, SPLIT, corpus, own, random_encoder, seeds, out, statistics=statistics).run()
        there = {path.name: (path.stat().st_mtime_ns, path.read_bytes()) for path in finished(out)}
        return there, CLAIMS.read(out).iloc[0], pd.read_parquet(out / "predictions.parquet")

    before, two, predictions = grown((0, 1))
    after, three, more = grown((0, 1, 2))
    assert before.items() <= after.items(), "what was finished was computed anew"
    assert len(after) == len(before) + 4, "two arms and two floors of the third draw of the labels"
    pd.testing.assert_frame_equal(more[more.seed < 2].reset_index(drop=True), predictions, check_dtype=False)
    assert (two.trainings, three.trainings) == (2, 3)
    assert "a verdict needs 3" in two.note
    assert "a verdict needs 3" not in three.note
    assert three.trainings_freedom == 2


def test_one_encoder_for_all_seeds_is_said(corpus, tmp_path):
    path = saved(tmp_path, ("a",), (0,))["a", 0]
    config = tasks(probes=[{"name": "knn"}], floors=["majority"])
    Evaluation(
        config, SPLIT, corpus, dict.fromkeys([("mine", 0), ("mine", 1)], path), random_encoder, (0, 1), tmp_path
    ).run()
    table = TABLE.read(tmp_path)
    assert "one pre-training for all seeds" in table[table.row == "mine"].note.iloc[0]
    assert "one pre-training" not in table[table.row == "majority"].note.iloc[0]


def test_digests_are_those_of_before(corpus, tmp_path):
    """What was computed by earlier versions stays finished: none of these may change, whatever settings are added."""
    unet = {"segmenter": {"name": "unet-3d"}, "inputs": ["both"]}
    config = tasks(
        probes=[{"name": "knn", "k": 5}, {"name": "band-wise"}, {"name": "fine-tune"}],
        floors=["majority", "image-statistics", "random-convolutions"],
        references={"U-Net": unet},
        scratch={"epochs": 2},
        label_fraction=0.5,
        cloud_bins=[0, 1],
    )
    # earlier versions had one draw of the labels for all seeds
    made = Evaluation(config, SPLIT, corpus, {}, random_encoder, (0, 1), tmp_path, label_draws=1)
    digests = {(job.row, job.seed, *panel): key for job in made._jobs for panel, key in job.digests().items()}
    assert len(digests) == 2 + 4 + 4 + 8
    assert digests["majority", 0, "both", "knn (k=5)"] == "a70db5dbb0ab09e464d4"
    assert digests["random convolutions", 1, ALL[3], "band-wise linear"] == "347f243ccde4c54ec332"
    assert digests["U-Net", 1, "both", "fine-tune"] == "019dc2afddf81bdd4433"


def test_results_of_before_are_read(tmp_path):
    columns = {name: [text] for name, text in (("task", "t"), ("input", "all"), ("probe", "knn"), ("kind", "floor"))}
    old = {**columns, "row": ["majority"], "seed": np.int64([0]), "uid": ["u"], "group": ["g"]}
    table = pa.table({**old, "y_true": np.int16([1]), "y_pred": np.int16([0]), "count": np.int64([1]), "score": [None]})
    said = json.dumps({"cell": {"row": "majority", "kind": "floor"}, "note": "as it was"}).encode()
    pq.write_table(table.replace_schema_metadata({b"swath": said}), tmp_path / "digest.parquet")
    key = result_key(row="majority", role="floor", of_arm="")
    read = ResultStore(tmp_path).read("digest", key, "a remark")
    assert read.notes == ("a remark", "as it was")
    assert read.output.schema.equals(OUTPUT)
    (line,) = joined(PREDICTIONS, [(key, read.output)]).to_pylist()
    assert line["role"] == "floor"
    assert (line["y_true"], line["y_pred"], line["score"]) == (1, 0, None)
