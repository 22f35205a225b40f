"""Several classes per location: from joined names to a table, with scikit-learn and brute force as oracles."""

import datetime as dt

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from pydantic import ValidationError
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import average_precision_score, f1_score

from swath import encoders
from swath.corpus import Chip, Corpus, CorpusWriter, Location, Part
from swath.corpus.labels.target import MultiLabel, targets
from swath.corpus.splits.partition import SplitConfig
from swath.encoders.random_convolutions import Config
from swath.errors import CorpusError, TrainingError
from swath.tasks import (
    Evaluation,
    EvaluationUnits,
    Features,
    LabelBudget,
    StatisticsConfig,
    TaskConfig,
    metrics,
    summarise,
    unpacked,
)
from swath.tasks.data import Labelled, learnable, packed, subset
from swath.tasks.floors.majority import majority
from swath.tasks.metrics import average_precision, confusion_by_class, share_right_by_class
from swath.tasks.metrics.macro_ap import macro_ap
from swath.tasks.metrics.micro_ap import micro_ap
from swath.tasks.probes import fit_predict, knn, linear, mlp
from swath.tasks.statistics import TaskRules
from tests.tasks.fakes import ALL, LAYOUTS, OPTICAL, RADAR, contract

PX = 8
RULES = TaskRules(metrics=("macro_ap", "micro_ap", "macro_f1", "micro_f1"), multi_label=True)


def has(i: int) -> dict[str, bool]:
    return {"bright": i % 2 == 0, "striped": i % 3 == 0, "rough": i % 5 < 2}


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    """Each class changes a band of its own; every seventh place has no label, and one has none that is known."""
    rng = np.random.default_rng(0)
    path = tmp_path_factory.mktemp("corpus") / "several"
    places, chips = [], []
    for i in range(120):
        said = " ;".join(name for name, there in has(i).items() if there)
        labels = None if i % 7 == 0 else said
        uid = f"place-{i:03d}"
        places.append(Location(uid, lonlat=(5 + i / 100, 50.0), group=f"cluster {i // 2}", scalars={"labels": labels}))
        optical = rng.normal(0.2, 0.02, (3, PX, PX))
        optical[2] += 0.03 * has(i)["bright"]
        optical[1, ::2] += 0.03 * has(i)["striped"]
        radar = rng.normal(-12, 1 + has(i)["rough"], (2, PX, PX))
        day = dt.datetime(2020, 5, 1)
        chips.append(Chip(uid, OPTICAL, optical.astype(np.float32), datetime=day))
        chips.append(Chip(uid, RADAR, radar.astype(np.float32), datetime=day))
    with CorpusWriter(path, LAYOUTS, PX) as writer:
        writer.append(Part(places, chips))
        writer.finish()
    return Corpus.open(path)


# -- targets -----------------------------------------------------------------------------------------------------------


def test_labels_are_parted_and_locations_without_any_left_out(corpus):
    found = targets(corpus, MultiLabel(column="labels"))
    assert found.classes == ["bright", "rough", "striped"]
    expected = [i for i in range(120) if i % 7 and any(has(i).values())]
    np.testing.assert_array_equal(found.locations, expected)
    truth = [[has(i)[name] for name in found.classes] for i in expected]
    np.testing.assert_array_equal(found.has_class, np.array(truth, int))
    often = np.array(truth).sum(axis=0)
    rare = [min((often[k], k) for k in range(3) if row[k])[1] for row in truth]
    np.testing.assert_array_equal(found.y, rare)


def test_classes_that_do_not_count_are_no_labels(corpus):
    found = targets(corpus, MultiLabel(column="labels", ignore=("rough",)))
    assert found.classes == targets(corpus, MultiLabel(column="labels", classes=("striped", "bright"))).classes
    np.testing.assert_array_equal(found.locations, [i for i in range(120) if i % 7 and (i % 2 == 0 or i % 3 == 0)])


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"column": "label"}, "no column 'label'"),
        ({"column": "lon"}, "not texts that join"),
        ({"column": "labels", "ignore": ("rugh",)}, "no class 'rugh'"),
        (
            {"column": "labels", "classes": ("rough",)},
            "have one class \\('rough'\\) between them(.|\n)*column labels \\(",
        ),
        ({"column": "uid", "separator": "#"}, "have 120 classes"),
    ],
)
def test_targets_that_cannot_be(corpus, settings, words):
    with pytest.raises(CorpusError, match=words):
        targets(corpus, MultiLabel(**settings))


@given(arrays(np.int64, st.tuples(st.integers(0, 9), st.integers(1, 62)), elements=st.integers(0, 1)))
def test_a_number_holds_all_classes(y):
    np.testing.assert_array_equal(unpacked(packed(y), y.shape[1]), y)


def test_smaller_fractions_are_nested_and_keep_every_rarest_class():
    y = np.random.default_rng(0).integers(0, 2, (200, 6))
    y[:, 0] |= (y.sum(axis=1) == 0).astype(int)
    part = Labelled(np.arange(200), y)
    small, large = subset(part, LabelBudget(0.1)), subset(part, LabelBudget(0.4))
    assert set(small.locations) < set(large.locations)
    assert abs(len(large) - 80) <= 6
    assert part.labels == 200
    np.testing.assert_array_equal(part.counts(6), y.sum(axis=0))
    assert (small.counts(6) > 0).all()


# -- metrics -----------------------------------------------------------------------------------------------------------


def world(n=90, k=5, seed=0, ties=True):
    rng = np.random.default_rng(seed)
    y = rng.integers(0, 2, (n, k))
    scores = np.clip(0.5 * y + rng.normal(0.25, 0.3, (n, k)), 0, 1)
    return y, np.round(scores, 1) if ties else scores, rng


def test_metrics_are_scikit_learns_with_weights_too():
    y, scores, rng = world()
    weights = rng.integers(0, 4, (3, len(y))).astype(float)
    for row, *found in zip(weights, macro_ap(y, scores, weights), micro_ap(y, scores, weights), strict=True):
        for value, average in zip(found, ("macro", "micro"), strict=True):
            # micro weighs a unit's entries alike
            assert value == pytest.approx(average_precision_score(y, scores, average=average, sample_weight=row))
    one = average_precision(y[:, 0], scores[:, 0], np.ones((1, len(y))))[0]
    assert one == pytest.approx(average_precision_score(y[:, 0], scores[:, 0]))
    said = (scores > 0.5).astype(int)
    cm = confusion_by_class(y, said)
    assert metrics.find("macro_f1").multi_label(cm) == pytest.approx(f1_score(y, said, average="macro"))
    assert metrics.find("micro_f1").multi_label(cm) == pytest.approx(f1_score(y, said, average="micro"))
    assert share_right_by_class(cm) == pytest.approx((y == said).mean())


def test_classes_that_no_unit_has_do_not_count():
    y, scores, _ = world()
    y[:, 2] = 0
    kept = [0, 1, 3, 4]
    once = np.ones((1, len(y)))
    assert macro_ap(y, scores, once) == macro_ap(y[:, kept], scores[:, kept], once)
    said = (scores > 0.5).astype(int)
    expected = f1_score(y[:, kept], said[:, kept], average="macro")
    assert metrics.find("macro_f1").multi_label(confusion_by_class(y, said)) == pytest.approx(expected)
    assert np.isnan(macro_ap(np.zeros_like(y), scores, once)).all()


# -- probes ------------------------------------------------------------------------------------------------------------


def features(n=80, k=3, seed=0) -> tuple[Features, np.ndarray]:
    rng = np.random.default_rng(seed)
    y = rng.integers(0, 2, (n * 3, k))
    x = (y @ rng.normal(0, 1, (k, 6)) + rng.normal(0, 0.5, (n * 3, 6))).astype(np.float32)
    train, val, test = slice(n), slice(n, 2 * n), slice(2 * n, None)
    return Features(x[train], y[train], x[val], y[val], x[test], k), y[test]


@pytest.mark.parametrize("probe", [linear.Config(c_count=7), knn.Config(), mlp.Config(epochs=20)])
def test_probes_rank_and_decide_each_class(probe):
    given, truth = features()
    said = fit_predict(probe, given, 0)
    assert said.scores.shape == said.y_pred.shape == truth.shape
    np.testing.assert_array_equal(said.y_pred, said.scores > 0.5)
    assert average_precision_score(truth, said.scores) > 0.8


def test_linear_is_scikit_learns_regression_of_each_class():
    given, _ = features()
    said = fit_predict(linear.Config(c_low=0.1, c_high=0.1, c_count=1, tolerance=1e-8), given, 0)
    mean, std = given.train_x.mean(0, np.float64), given.train_x.std(0, np.float64)
    x = (np.concatenate([given.train_x, given.val_x]) - mean) / std
    y = np.concatenate([given.train_y, given.val_y])
    for c in range(3):
        model = LogisticRegression(C=0.1, tol=1e-8, max_iter=1000).fit(x, y[:, c])
        expected = model.predict_proba((given.test_x - mean) / std)[:, 1]
        np.testing.assert_allclose(said.scores[:, c], expected, atol=1e-4)


def test_knn_gives_each_class_its_share_of_the_votes():
    given, _ = features()
    said = fit_predict(knn.Config(k=5, distance="l2", weights="uniform"), given, 0)
    away = np.linalg.norm(given.test_x[:, None] - given.train_x[None], axis=2)
    near = np.argsort(away, axis=1, kind="stable")[:, :5]
    np.testing.assert_allclose(said.scores, given.train_y[near].mean(axis=1), atol=1e-6)


def test_what_all_or_none_are_is_said_of_everything():
    given, _ = features()
    y = given.train_y.copy()
    y[:, 0], y[:, 1] = 1, 0
    fixed = Features(given.train_x, y, given.val_x[:0], given.val_y[:0], given.test_x, 3)
    scores = fit_predict(linear.Config(), fixed, 0).scores
    assert (scores[:, 0] == 1).all()
    assert (scores[:, 1] == 0).all()
    assert scores[:, 2].std() > 0.1
    y[:, 2] = 1
    assert not learnable(y)
    with pytest.raises(TrainingError, match="nothing to tell apart"):
        fit_predict(linear.Config(), fixed, 0)


def test_majority_scores_each_class_by_its_share():
    y = np.array([[1, 0, 0], [1, 0, 0], [1, 1, 0], [0, 1, 0]])
    said = majority(Labelled(np.arange(4), y), EvaluationUnits(("a", "b"), ("a", "b"), y[:2]), 3)
    np.testing.assert_allclose(said.scores, [[0.75, 0.5, 0.0]] * 2)
    np.testing.assert_array_equal(said.y_pred, [[1, 0, 0]] * 2)


# -- tables ------------------------------------------------------------------------------------------------------------


def cell(y, scores, group, row, role="pretrained", seed=0) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "task": "t",
            "input": "x",
            "probe": "linear",
            "row": row,
            "role": role,
            "seed": seed,
            "uid": [f"u{i}" for i in range(len(y))],
            "group": group,
            "y_true": packed(y),
            "y_pred": packed((scores > 0.5).astype(int)),
            "score": list(scores),
        }
    )


@pytest.mark.parametrize("metric", RULES.metrics)
def test_values_intervals_and_tests_are_those_of_brute_force(metric):
    y, good, rng = world(40, 4)
    bad = np.clip(good + rng.normal(0, 0.4, good.shape), 0, 1)
    group = np.array([f"g{i % 6}" for i in range(len(y))])
    order = (metric, *(name for name in RULES.metrics if name != metric))
    config = StatisticsConfig(tasks={"t": RULES.model_copy(update={"metrics": order})})
    predictions = pd.concat([cell(y, good, group, "a"), cell(y, bad, group, "floor", "floor")])
    table, comparisons, _ = summarise(predictions, config)

    def measure(truth, scores):
        if metric.endswith("ap"):
            return average_precision_score(truth, scores, average=metric[:5])
        return f1_score(truth, scores > 0.5, average=metric[:5])

    line = table[(table["row"] == "a") & (table["metric"] == metric)].iloc[0]
    assert line["value"] == pytest.approx(measure(y, good))
    assert line["low"] < line["value"] < line["high"]
    observed = measure(y, good) - measure(y, bad)
    differences = []
    for flip in range(2**6):
        swapped = np.array([flip >> int(name[1:]) & 1 for name in group])[:, None] == 1
        differences.append(measure(y, np.where(swapped, bad, good)) - measure(y, np.where(swapped, good, bad)))
    found = comparisons.iloc[0]
    assert found["difference"] == pytest.approx(observed)
    assert found["p_conditional"] == pytest.approx((np.abs(differences) >= abs(observed) - 1e-9).mean())


def test_large_test_parts_are_resampled_in_parts(monkeypatch):
    y, scores, _ = world(40, 4)
    group = [f"g{i % 20}" for i in range(40)]
    predictions = pd.concat([cell(y, scores, group, "a"), cell(y, scores**2, group, "b", "floor")])
    config = StatisticsConfig(flips=99, tasks={"t": RULES})
    whole = summarise(predictions, config)
    monkeypatch.setattr("swath.tasks.statistics.panels._MOST_WEIGHTS", 1000)
    for one, other in zip(whole, summarise(predictions, config), strict=True):
        pd.testing.assert_frame_equal(one, other)


# -- whole evaluations -------------------------------------------------------------------------------------------------


def task(**changes) -> TaskConfig:
    settings = {
        "target": {"rule": "multi-label", "column": "labels"},
        "inputs": {"both": ALL[1:4]},
        "probes": [{"name": "linear", "c_count": 5}, {"name": "knn"}, {"name": "fine-tune", "epochs": 2}],
        "metric": "macro_ap",
        "more_metrics": ["micro_ap", "macro_f1", "micro_f1"],
        "scratch": {"epochs": 2},
    }
    return TaskConfig.model_validate(settings | changes)


def random_encoder(arm, seed):
    return encoders.build(Config(features=8, kernel_size=3, seed=seed + 10), contract(ALL, 1))


def run(corpus, folder, config) -> pd.DataFrame:
    path, settings = folder / "encoder", Config(features=8, kernel_size=3, seed=3)
    encoders.save(encoders.build(settings, contract(ALL, 1)), settings, path, {})
    split = SplitConfig(fractions=(0.5, 0.25, 0.25))
    few = StatisticsConfig(flips=99)
    Evaluation({"labels": config}, split, corpus, {("a", 0): path}, random_encoder, (0,), folder, statistics=few).run()
    return pd.read_csv(folder / "table.csv")


def test_a_whole_evaluation(corpus, tmp_path):
    table = run(corpus, tmp_path, task())
    assert set(table["metric"]) == set(RULES.metrics)
    assert table["value"].notna().all()
    assert {"majority", "image statistics + linear", "random encoder (frozen)", "scratch"} <= set(table["row"])
    best = table[(table["row"] == "image statistics + linear") & (table["metric"] == "macro_ap")]["value"].max()
    chance = table[(table["row"] == "majority") & (table["metric"] == "macro_ap")]["value"].max()
    assert best > 0.9 > chance
    comparisons = pd.read_csv(tmp_path / "comparisons.csv")
    assert comparisons["p_conditional"].notna().all()
    predictions = pd.read_parquet(tmp_path / "predictions.parquet")
    one = predictions[(predictions["row"] == "a") & (predictions["probe"] == "linear")]
    truth, scores = unpacked(one["y_true"].to_numpy(), 3), np.stack(one["score"])
    value = table.query("row == 'a' and probe == 'linear' and metric == 'macro_ap'")["value"].item()
    assert value == pytest.approx(average_precision_score(truth, scores))


def test_label_fractions_clouds_and_band_wise_probes_go_with_it(corpus, tmp_path):
    changes = {
        "probes": [{"name": "band-wise", "probe": {"name": "knn"}}],
        "label_fractions": [0.3, 1.0],
        "cloud_bins": [0, 1],
        "floors": ["majority"],
    }
    table = run(corpus, tmp_path, task(**changes))
    assert set(table["task"]) == {"labels@30%", "labels@100%"}
    assert table["value"].notna().all()
    about = pd.read_csv(tmp_path / "tasks.csv")
    assert (about["label"] == "location").all()
    assert about["train_labels"].is_monotonic_increasing


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"metric": "accuracy"}, "several classes per location are not judged by accuracy"),
        ({"more_metrics": ["roc_auc"]}, "not judged by roc_auc"),
        ({"cloud_levels": [0.5]}, "cloud_levels are not there for several classes"),
        ({"target": {"rule": "scalar", "column": "x"}, "more_metrics": []}, "one class is not judged by macro_ap"),
    ],
)
def test_metrics_belong_to_kinds_of_targets(changes, words):
    with pytest.raises(ValidationError, match=words):
        task(**changes)


def test_real_bigearthnet_patches(shared_data, tmp_path):
    from swath.corpus.sources.published import bigearthnet_mm

    bigearthnet_mm.build(bigearthnet_mm.Config(), tmp_path / "c", shared_data / "bigearthnet_mm_examples")
    corpus = Corpus.open(tmp_path / "c")
    found = targets(corpus, MultiLabel(column="labels_19"))
    for row, has_them in zip(found.locations, found.has_class, strict=True):
        said = corpus.locations["labels_19"].iloc[row].split("; ")
        assert sorted(said) == sorted(np.array(found.classes)[has_them == 1])
    config = task(
        target={"rule": "multi-label", "column": "labels_19"},
        probes=[{"name": "linear", "c_count": 3}, {"name": "knn", "k": 2}],
        floors=["majority", "image-statistics", "random-convolutions", "random-encoder"],
    )
    table = run(corpus, tmp_path / "out", config)
    values = table.loc[table["metric"] == "macro_ap", "value"]
    assert values.between(0, 1).all()
    assert len(values) == 2 * 5
