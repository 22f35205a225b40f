"""Numbers instead of classes: from a column to a table, with scikit-learn, NumPy and brute force as oracles."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError
from scipy import stats
from sklearn.linear_model import Ridge
from sklearn.metrics import mean_absolute_error, mean_squared_error, r2_score
from sklearn.neighbors import KNeighborsRegressor

from swath import encoders
from swath.corpus import Corpus, CorpusInfo, CorpusWriter, Part
from swath.corpus.labels import Value, targets
from swath.corpus.labels.target import Scalar
from swath.corpus.splits.partition import SplitConfig, split
from swath.encoders.random_convolutions import Config
from swath.errors import CorpusError, SwathError, TrainingError
from swath.tasks import (
    Evaluation,
    Features,
    LabelBudget,
    Prediction,
    StatisticsConfig,
    Task,
    TaskConfig,
    floors,
    metrics,
    schema,
    summarise,
)
from swath.tasks.data import Labelled, learnable, subset
from swath.tasks.probes import fit_predict, knn, mlp, ridge
from swath.tasks.statistics import Claim, TaskRules
from tests.tasks.fakes import ALL, LAYOUTS, PX, chips, contract, location

RULES = TaskRules(metrics=("r2", "rmse", "mae"), regression=True)
UNITS = {"warmth": "°C", "same": "K", "endless": "1"}


def scalars(i: int, rng: np.random.Generator) -> dict[str, float | None]:
    """A number that B04 tells, missing at two places; the same everywhere; and one that is infinite once."""
    warmth = None if i in (3, 8) else 280 + 5.0 * (i % 3 == 1) + rng.normal(0, 0.3)
    return {"warmth": warmth, "same": 4.5, "endless": np.inf if i == 7 else float(i), "bare": float(i)}


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    rng = np.random.default_rng(0)
    path = tmp_path_factory.mktemp("corpus") / "numbers"
    places = [replace(location(i), scalars=scalars(i, rng) | {"kind": f"class {i % 3}"}) for i in range(60)]
    with CorpusWriter(path, LAYOUTS, PX, units=UNITS) as writer:
        writer.append(Part(places, [chip for i in range(60) for chip in chips(i, rng)]))
        writer.finish()
    return Corpus.open(path)


def task(**changes) -> TaskConfig:
    usual = {
        "target": {"rule": "value", "column": "warmth"},
        "inputs": {"optical": ALL[:3]},
        "probes": [{"name": "ridge"}],
        "metric": "r2",
        "more_metrics": ["rmse", "mae"],
        "floors": ["training-mean", "image-statistics"],
    }
    return TaskConfig.model_validate(usual | changes)


# -- targets -----------------------------------------------------------------------------------------------------------


def test_numbers_are_taken_as_they_stand_and_missing_ones_counted(corpus):
    found = targets(corpus, Value(column="warmth"))
    expected = corpus.locations["warmth"].to_numpy()
    there = np.flatnonzero(~np.isnan(expected))
    assert (found.unit, found.missing, found.classes, len(there)) == ("°C", 2, [], 58)
    np.testing.assert_array_equal(found.locations, there)
    np.testing.assert_array_equal(found.y, expected[there])
    assert targets(corpus, Value(column="bare", unit="1")).unit == ""
    assert targets(corpus, Value(column="bare", unit="km")).unit == "km"


@pytest.mark.parametrize(
    ("said", "words"),
    [
        ({"column": "warm"}, r"no column 'warm'.*'warmth'"),
        ({"column": "kind"}, "not numbers.*rule: scalar"),
        ({"column": "same"}, r"all 60 values are 4\.5"),
        ({"column": "endless"}, "1 values are infinite, that of location place-007"),
        ({"column": "bare"}, "neither the corpus nor the recipe says which unit.*unit: K"),
        ({"column": "warmth", "unit": "K"}, "target says that its numbers are in K, the corpus has them in °C"),
    ],
)
def test_targets_that_cannot_be(corpus, said, words):
    with pytest.raises(CorpusError, match=f"(?s){words}"):
        targets(corpus, Value(**said))


def test_continuous_classes_are_pointed_to_regression(corpus):
    with pytest.raises(CorpusError, match=r"(?s)continuous values.*rule: value"):
        targets(corpus, Scalar(column="warmth"))


KINDS = {"probes": [{"name": "linear"}], "metric": "accuracy", "more_metrics": []}
WARM_CLASSES = {"rule": "scalar", "column": "warmth"}


def test_units_are_a_part_of_the_corpus(corpus, tmp_path):
    info = CorpusInfo.read(corpus.path)
    assert (info.units, info.format) == (UNITS, 4)
    others = info.model_copy(update={"units": UNITS | {"warmth": "K"}, "content_hash": None, "complete": False})
    renamed = Corpus(corpus.path, others, corpus.locations, corpus.chips)
    assert renamed.content_hash != corpus.content_hash
    info.model_copy(update={"units": {}, "format": 2}).write(tmp_path)
    plain = CorpusInfo.read(tmp_path)
    assert plain.format == 2
    assert "units" not in (tmp_path / "corpus.json").read_text()


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"metric": "accuracy"}, "numbers are not judged by accuracy: give metric as one of mae, r2, rmse"),
        ({"more_metrics": ["miou"]}, "numbers are not judged by miou"),
        (
            {"probes": [{"name": "linear"}]},
            "linear does not learn numbers: give probes that do, such as ridge, knn, mlp",
        ),
        ({"probes": [{"name": "band-wise", "probe": {"name": "linear"}}]}, "band-wise linear does not learn numbers"),
        (KINDS | {"target": WARM_CLASSES, "metric": "r2"}, "one class is not judged by r2"),
        (
            KINDS | {"target": WARM_CLASSES, "probes": [{"name": "ridge"}]},
            "ridge does not learn classes: give probes that do, such as linear, knn, mlp",
        ),
        ({"cloud_levels": [0.5]}, "cloud_levels are not there for numbers"),
    ],
)
def test_metrics_and_probes_belong_to_kinds_of_labels(changes, words):
    with pytest.raises(ValidationError, match=words):
        task(**changes)


# -- labelled locations ------------------------------------------------------------------------------------------------


def test_numbers_are_labels_of_no_class():
    part = Labelled(np.arange(100), np.r_[-1.0, np.linspace(0, 9, 99)])
    assert part.regression
    assert (part.multi_label, part.per_pixel) == (False, False)
    assert part.labels == 100
    assert part.counts(0).shape == (0,)
    assert part.has(0).shape == (100, 0)
    assert learnable(part.y)
    assert not learnable(np.full(4, 2.5))


def test_smaller_fractions_of_numbers_are_nested():
    part = Labelled(np.arange(100), np.random.default_rng(0).normal(size=100))
    small, large = subset(part, LabelBudget(0.1)), subset(part, LabelBudget(0.5))
    assert (len(small), len(large)) == (10, 50)
    assert set(small.locations) < set(large.locations)
    assert set(subset(part, LabelBudget(0.1), draw=1).locations) != set(small.locations)


# -- metrics -----------------------------------------------------------------------------------------------------------


@settings(max_examples=20)
@given(st.integers(0, 2**32 - 1), st.floats(-1e6, 1e6), st.floats(1e-3, 1e3))
def test_metrics_are_scikit_learns_wherever_the_numbers_lie(seed, middle, scale):
    rng = np.random.default_rng(seed)
    y = middle + scale * rng.normal(size=30)
    said = y + scale * rng.normal(size=30)
    group = rng.integers(0, 4, 30)
    zero = y.mean()
    total = metrics.error_sums(y - zero, said - zero, group, 4).sum(axis=0)
    expected = {
        "r2": r2_score(y, said),
        "rmse": mean_squared_error(y, said) ** 0.5,
        "mae": mean_absolute_error(y, said),
    }
    for name, value in expected.items():
        assert metrics.find(name).of_sums()(total) == pytest.approx(value, rel=1e-6, abs=1e-6)


def test_metrics_of_nothing_and_of_equal_numbers_are_not_defined():
    assert np.isnan([metrics.find(name).of_sums()(np.zeros(5)) for name in RULES.metrics]).all()
    same = metrics.error_sums(np.full(9, 1 / 3), np.arange(9.0), np.zeros(9, int), 1)
    assert np.isnan(metrics.find("r2").of_sums()(same)).all()
    assert np.isfinite(metrics.find("rmse").of_sums()(same)).all()


# -- probes ------------------------------------------------------------------------------------------------------------


def features(n=(60, 30, 40), d=6, noise=0.5, seed=0) -> tuple[Features, np.ndarray]:
    rng = np.random.default_rng(seed)
    x = [(rng.normal(size=(size, d)) * 10.0 ** np.arange(-2, d - 2)).astype(np.float32) for size in n]
    weights = rng.normal(size=d) / 10.0 ** np.arange(-2, d - 2)
    y = [280 + one @ weights + rng.normal(0, noise, len(one)) for one in x]
    return Features(x[0], y[0], x[1], y[1], x[2], 0, x[0][:0]), y[2]


def test_ridge_is_scikit_learns_at_the_alpha_that_validation_chooses():
    given_, truth = features(noise=3)
    chosen = ridge.Config(alpha_low=0.01, alpha_high=1e4, alpha_count=7)
    mean, std = given_.train_x.mean(0, np.float64), given_.train_x.std(0, np.float64)
    x, val, test = ((one - mean) / std for one in (given_.train_x, given_.val_x, given_.test_x))
    error = {
        alpha: mean_squared_error(given_.val_y, Ridge(alpha).fit(x, given_.train_y).predict(val))
        for alpha in np.geomspace(0.01, 1e4, 7)
    }
    best = min(error, key=error.__getitem__)
    assert 0.01 < best < 1e4
    both, both_y = np.concatenate([x, val]), np.concatenate([given_.train_y, given_.val_y])
    for refit, (own_x, own_y) in ((True, (both, both_y)), (False, (x, given_.train_y))):
        found = fit_predict(chosen.model_copy(update={"refit": refit}), given_, 0)
        np.testing.assert_allclose(found.y_pred, Ridge(best).fit(own_x, own_y).predict(test), rtol=1e-6)
    without = fit_predict(ridge.Config(), given_.without_validation(), 0)
    np.testing.assert_allclose(without.y_pred, Ridge(1.0).fit(x, given_.train_y).predict(test), rtol=1e-6)
    assert r2_score(truth, found.y_pred) > 0.1


def test_ridge_takes_more_features_than_locations_and_constant_ones():
    given_, truth = features(n=(20, 10, 40), d=5, noise=0.01)
    wide = replace(
        given_,
        **{
            name: np.concatenate(
                [getattr(given_, name), np.ones((len(getattr(given_, name)), 200), np.float32)], axis=1
            )
            for name in ("train_x", "val_x", "test_x", "pool_x")
        },
    )
    assert r2_score(truth, fit_predict(ridge.Config(), wide, 0).y_pred) > 0.9


def test_neighbours_give_the_weighted_mean_of_their_numbers():
    given_, _ = features(d=2)
    found = fit_predict(knn.Config(k=5, distance="l2", weights="uniform"), given_, 0)
    oracle = KNeighborsRegressor(5).fit(given_.train_x, given_.train_y)
    np.testing.assert_allclose(found.y_pred, oracle.predict(given_.test_x), rtol=1e-6)

    def weights(away):
        return np.exp(-(away - away[:, :1]) / 0.5)

    found = fit_predict(knn.Config(k=5, distance="l2", temperature=0.5), given_, 0)
    oracle = KNeighborsRegressor(5, weights=weights).fit(given_.train_x, given_.train_y)
    np.testing.assert_allclose(found.y_pred, oracle.predict(given_.test_x), rtol=1e-5)


def test_a_small_network_learns_numbers_far_from_zero():
    given_, truth = features(n=(300, 0, 40), d=4, noise=0.05)
    given_ = replace(given_, train_y=given_.train_y * 1e6)
    found = fit_predict(mlp.Config(epochs=40), given_, 0)
    assert r2_score(truth * 1e6, found.y_pred) > 0.8


@pytest.mark.parametrize("probe", [ridge.Config(), knn.Config(), mlp.Config(epochs=1)])
def test_a_constant_target_and_features_that_are_not_finite_are_refused(probe):
    given_, _ = features()
    with pytest.raises(TrainingError, match=r"holds one number, so there is nothing to estimate"):
        fit_predict(probe, replace(given_, train_y=np.full(60, 2.5)), 0)
    given_.test_x[3, 2] = np.nan
    with pytest.raises(TrainingError, match="features are not finite"):
        fit_predict(probe, given_, 0)


def test_estimates_that_are_not_finite_are_refused():
    with pytest.raises(TrainingError, match="1 of 3 estimates are not finite"):
        Prediction.of_numbers(np.array([1.0, np.nan, 2.0]))


# -- tables ------------------------------------------------------------------------------------------------------------


def cell(y, said, group, row, role="pretrained", seed=0, fold=0, replicate=None) -> pd.DataFrame:
    columns = {"task": "t", "input": "x", "probe": "ridge", "row": row, "role": role, "of_arm": row}
    columns |= {"seed": seed, "fold": fold, "replicate": seed if replicate is None else replicate}
    columns |= {"uid": [f"u{fold}-{i}" for i in range(len(y))], "group": group, "y_true": -1, "y_pred": -1, "count": 1}
    return pd.DataFrame(columns | {"score": None, "value_true": y, "value_pred": said})


ORACLES = {
    "r2": r2_score,
    "rmse": lambda y, said: mean_squared_error(y, said) ** 0.5,
    "mae": mean_absolute_error,
}


def world(trainings=3, folds=2, n=40, groups=5, seed=0):
    """Numbers, groups and the estimates of two rows, by fold and training."""
    rng = np.random.default_rng(seed)
    y = rng.normal(280, 9, (folds, n))
    group = np.array([[f"g{f}-{i % groups}" for i in range(n)] for f in range(folds)])
    a, b = (y + rng.normal(0, scale, (trainings, folds, n)) for scale in (3, 6))
    return y, group, a, b


def frame(y, group, a, b) -> pd.DataFrame:
    return pd.concat(
        cell(y[f], rows[r, f], group[f], name, role, seed=r * len(y) + f, fold=f, replicate=r)
        for name, role, rows in (("a", "pretrained", a), ("b", "floor", b))
        for r in range(len(a))
        for f in range(len(y))
    )


def jackknifed(measure, y, group, a, b):
    """Interval and p of a - b, transcribed: groups, then trainings of a fold, then what both count."""
    rounds, folds, n = a.shape
    units = [(f, i) for f in range(folds) for i in range(n)]
    names = sorted({group[f, i] for f, i in units})

    def value(said, r, kept, other=None):
        """Of round r; one fold may come from another round."""
        return measure(
            np.array([y[u] for u in kept]),
            np.array([said[(other[1] if other and other[0] == u[0] else r, *u)] for u in kept]),
        )

    def difference(r, kept, other=None):
        return value(a, r, kept, other) - value(b, r, kept, other)

    whole = np.array([difference(r, units) for r in range(rounds)])
    without = np.array([[difference(r, [u for u in units if group[u] != g]) for r in range(rounds)] for g in names])
    places = (len(names) - 1) * without.mean(axis=1).var()
    each = []
    for f in range(folds):
        changes = [
            np.mean([difference(r, units, (f, o)) - whole[r] for o in range(rounds) if o != r]) for r in range(rounds)
        ]
        each.append((rounds - 1) * np.var(np.array(changes) / rounds))
    trainings = sum(each)
    freedom = trainings**2 / (sum(v**2 for v in each) / (rounds - 1))
    both = 0.0
    for f in range(folds):
        own = without[[int(name[1]) == f for name in names]]
        rest = own - own.mean(0) - own.mean(1, keepdims=True) + own.mean()
        both += (rest**2).sum() * (len(names) - 1) / len(names) / (rounds * (rounds - 1))
    variance = max(places + trainings - both, places, trainings)
    quantiles = [stats.t.ppf(0.975, df) for df in (len(names) - 1, freedom)]
    half = np.average(quantiles, weights=[places, trainings]) * variance**0.5
    return whole.mean(), whole.mean() - half, whole.mean() + half


@pytest.mark.parametrize("metric", RULES.metrics)
def test_values_intervals_and_tests_are_those_of_brute_force(metric):
    y, group, a, b = world()
    order = (metric, *(name for name in RULES.metrics if name != metric))
    claims = (Claim(better="a", than="b", task="t", input="x", probe="ridge"),)
    rules = RULES.model_copy(update={"metrics": order, "unit": "K"})
    table, comparisons, found = summarise(frame(y, group, a, b), StatisticsConfig(tasks={"t": rules}, claims=claims))
    measure = ORACLES[metric]
    line = table[(table["row"] == "a") & (table["metric"] == metric)].iloc[0]
    assert line["value"] == pytest.approx(np.mean([measure(y.ravel(), said.ravel()) for said in a]))
    assert line["low"] < line["value"] < line["high"]
    assert (line["n_units"], line["n_groups"]) == (80, 10)
    pair = comparisons.iloc[0]
    assert (pair["difference"], pair["low"], pair["high"]) == pytest.approx(jackknifed(measure, y, group, a, b))
    # less is better of an error, and the claim holds either way
    assert np.sign(pair["difference"]) == (1 if metric == "r2" else -1)
    assert (pair["verdict"], found["verdict"].item()) == ("better", "better")
    assert found["metric"].item() == metric
    assert (" K" in found["advice"].item()) == (metric != "r2")
    errors = [
        np.array([[(rows[r] - y)[group == g] for r in range(3)] for g in sorted(set(group.ravel()))]) for rows in (a, b)
    ]
    squares = [(one**2).mean(axis=2).mean(axis=1) for one in errors]
    assert pair["p_t"] == pytest.approx(stats.ttest_rel(*squares).pvalue)
    assert pair["p_wilcoxon"] == pytest.approx(stats.wilcoxon(*squares).pvalue)


def test_sign_flips_swap_the_estimates_of_whole_groups():
    y, group, a, b = world(trainings=1, folds=1, n=20, groups=4)
    found = summarise(frame(y, group, a, b), StatisticsConfig(tasks={"t": RULES})).comparisons.iloc[0]
    differences = []
    for flip in range(2**4):
        swapped = np.array([flip >> int(name[-1]) & 1 for name in group[0]]) == 1
        differences.append(
            r2_score(y[0], np.where(swapped, b[0, 0], a[0, 0])) - r2_score(y[0], np.where(swapped, a[0, 0], b[0, 0]))
        )
    expected = (np.abs(differences) >= abs(differences[0]) - 1e-9).mean()
    assert found["p_conditional"] == pytest.approx(expected)


def test_one_group_has_no_interval_and_a_constant_target_no_r2():
    y, group, a, b = world(folds=1)
    alone = summarise(frame(y, np.full_like(group, "g"), a, b), StatisticsConfig(tasks={"t": RULES})).table
    assert alone[["low", "high"]].isna().all().all()
    assert alone["note"].str.contains("one group only").all()
    same = summarise(frame(np.full_like(y, 280), group, a, b), StatisticsConfig(tasks={"t": RULES})).table
    r2 = same[same["metric"] == "r2"]
    assert r2["value"].isna().all()
    assert r2["note"].str.contains("all test labels are the same").all()
    assert same.loc[same["metric"] == "rmse", "value"].notna().all()


def test_classes_under_the_rules_of_numbers_are_refused():
    y, group, a, b = world(trainings=1, folds=1)
    whole = frame(y, group, a, b)
    for lost in (whole.assign(value_pred=np.nan), whole.drop(columns="value_true")):
        with pytest.raises(SwathError, match="no finite number in value_true or value_pred"):
            summarise(lost, StatisticsConfig(tasks={"t": RULES}))


# -- whole evaluations -------------------------------------------------------------------------------------------------


def random_encoder(arm, seed):
    return encoders.build(Config(features=8, kernel_size=3, seed=seed + 10), contract(ALL, 1))


def test_a_whole_evaluation(corpus, tmp_path):
    named = ["majority", "training-mean", "image-statistics", "random-convolutions", "random-encoder", "scratch"]
    config = task(
        probes=[{"name": "ridge"}, {"name": "fine-tune", "epochs": 2, "batch_size": 16}],
        floors=[*named, "random-forest"],
        scratch={"epochs": 2},
    )
    path, small = tmp_path / "encoder", Config(features=8, kernel_size=3, seed=3)
    encoders.save(encoders.build(small, contract(ALL, 1)), small, path, {})
    parts = SplitConfig(fractions=(0.5, 0.25, 0.25))
    few = StatisticsConfig(flips=99)
    evaluation = Evaluation({"warmth": config}, parts, corpus, {("a", 0): path}, random_encoder, (0,), tmp_path, few)
    evaluation.run()
    table = schema.TABLE.read(tmp_path)
    stand = {"a", "mean of the training labels", "image statistics + linear", "random convolutions", "scratch"}
    assert set(table["row"]) == stand | {"random encoder (frozen)"}
    assert table["value"].notna().all()
    assert {line for line in table.loc[table["metric"] == "rmse", "value"] if line < 0} == set()
    predictions = schema.PREDICTIONS.read(tmp_path)
    for (row, probe), lines in predictions.groupby(["row", "probe"]):
        for metric, oracle in ORACLES.items():
            of_row = (table["row"] == row) & (table["probe"] == probe) & (table["metric"] == metric)
            expected = oracle(lines["value_true"], lines["value_pred"])
            assert table.loc[of_row, "value"].item() == pytest.approx(expected, rel=1e-9)
    truth = corpus.locations.set_index("uid")["warmth"]
    first = predictions[predictions["row"] == "a"].drop_duplicates("uid")
    np.testing.assert_array_equal(first["value_true"], truth[first["uid"]])
    (about,) = schema.TASKS.read(tmp_path).to_dict("records")
    assert (about["unit"], about["classes"], about["label"]) == ("°C", 0, "location")
    assert "2 locations of the corpus have no number" in about["note"]
    floor = table[(table["metric"] == "r2") & (table["probe"] == "ridge")].set_index("row")["value"]
    assert floor["mean of the training labels"] <= 0 < 0.5 < floor["image statistics + linear"]


def test_the_mean_of_the_training_labels(corpus):
    parts = SplitConfig(fractions=(0.5, 0.25, 0.25))
    one = Task("warmth", task(floors=["training-mean"]), corpus, split(corpus, parts), parts)
    (outcome,) = floors.outcomes(one.config.floors[0], one, one.panels, 0)
    np.testing.assert_allclose(outcome.prediction.y_pred, one.parts["train"].y.mean())


def test_what_may_stand_for_a_missing_number_is_said(corpus):
    parts = SplitConfig(fractions=(0.5, 0.25, 0.25))
    rows = split(corpus, parts)
    assert not any("if that says" in one for one in Task("warmth", task(), corpus, rows, parts).remarks)
    numbers = corpus.locations["warmth"].where(corpus.locations.index % 20 != 1, -9999.0)
    coded = Corpus(corpus.path, corpus.info, corpus.locations.assign(warmth=numbers), corpus.chips)
    said = Task("warmth", task(), coded, rows, parts).remarks
    assert "3 of 58 numbers are -9999: if that says that there is none, leave the cell empty" in said


# -- tables of earlier versions ----------------------------------------------------------------------------------------


def test_tables_that_know_no_numbers_are_read(tmp_path):
    y, group, a, b = world(trainings=1, folds=1, n=6)
    old = frame(y, group, a, b).drop(columns=list(schema.NUMBERS)).assign(y_true=1, y_pred=0)
    old.to_parquet(tmp_path / "predictions.parquet")
    read = schema.PREDICTIONS.read(tmp_path, row="a")
    assert len(read) == 6
    assert read[list(schema.NUMBERS)].isna().all().all()
    assert read["y_true"].dtype == np.int64
    line = dict.fromkeys(schema.TASKS.columns, 0) | {"task": "t", "label": "pixel", "note": ""}
    schema.TASKS.frame([line]).drop(columns="unit").to_csv(tmp_path / "tasks.csv", index=False)
    assert schema.TASKS.read(tmp_path)["unit"].tolist() == [""]
