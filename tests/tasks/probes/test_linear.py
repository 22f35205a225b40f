import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss
from sklearn.preprocessing import StandardScaler
from threadpoolctl import ThreadpoolController, threadpool_info, threadpool_limits

from swath.tasks._types import EvaluationUnits, Features, Outcome, Prediction
from swath.tasks.probes import linear
from swath.tasks.probes._scale import ZScore
from swath.tasks.run.results import validation_of
from tests.tasks.probes.test_every_probe import clouds


def test_equals_scikit_learn_at_the_chosen_c():
    features, _ = clouds(apart=0.6, d=30)
    config = linear.Config(c_count=7, tolerance=1e-8, max_iterations=10_000)
    ours = linear.fit_predict(config, features, 0)
    scale = StandardScaler().fit(features.train_x.astype(float))
    x = {part: scale.transform(getattr(features, f"{part}_x")) for part in ("train", "val", "test")}
    chosen = linear.choose_c(config, (x["train"], features.train_y), (x["val"], features.val_y))
    theirs = LogisticRegression(C=chosen, tol=1e-8, max_iter=10_000)
    theirs.fit(np.concatenate([x["train"], x["val"]]), np.concatenate([features.train_y, features.val_y]))
    assert ours.scores == pytest.approx(theirs.predict_proba(x["test"]), abs=0.01)
    assert (ours.y_pred == theirs.predict(x["test"])).all()


def test_validation_scores_are_those_of_the_training_part_alone_under_the_chosen_c():
    features, _ = clouds(apart=0.4, d=30, seed=2)
    same = features.train_x, features.train_y, features.val_x
    lacking = Features(*same, np.where(features.val_y == 1, 0, features.val_y), features.test_x, features.classes + 1)
    for given in (features, lacking):
        config = linear.Config(c_low=0.01, c_high=1, c_count=3, tolerance=1e-6)
        scale = StandardScaler().fit(given.train_x.astype(float))
        train, val = ((scale.transform(x), y) for x, y in ((given.train_x, given.train_y), (given.val_x, given.val_y)))
        theirs = LogisticRegression(C=linear.choose_c(config, train, val), tol=1e-6, max_iter=10_000).fit(*train)
        for refit in (True, False):
            found = linear.fit(config.model_copy(update={"refit": refit}), given, 0).on_validation
            assert found.shape == (len(given.val_y), given.classes)
            assert found[:, theirs.classes_] == pytest.approx(theirs.predict_proba(val[0]), abs=0.01)
    assert (found[:, -1] == 0).all()
    none = Features(*same[:2], same[2][:0], features.val_y[:0], features.test_x, features.classes)
    assert linear.fit(linear.Config(), none, 0).on_validation is None


def test_a_class_that_is_learnt_from_validation_alone_does_not_make_the_probe_unsure():
    features, _ = clouds(apart=0.6, d=6)
    y = features.val_y.copy()
    y[:5] = features.classes
    learnt = features.train_x, features.train_y, features.val_x
    given = Features(*learnt, y, features.test_x, features.classes + 1)
    before = linear.fit(linear.Config(refit=False), given, 0).on_validation
    assert (before[:5, -1] == 0).all()  # it never knows the class, and is as unsure as that
    after = linear.fit(linear.Config(), given, 0)
    assert (after(given.val_x).scores[:, -1] > 0).all()
    assert np.isnan(after.on_validation[:5]).all()
    assert np.isfinite(after.on_validation[5:]).all()
    units = EvaluationUnits(tuple(map(str, range(len(y)))), ("g",) * len(y), y)
    outcome = Outcome("all", "linear", Prediction(y, validation=after.on_validation))
    kept = validation_of(outcome, units)
    assert kept["uid"].to_pylist() == list(units.uid[5:])
    assert kept["y_true"].to_pylist() == y[5:].tolist()


def test_warm_starts_find_the_c_that_cold_starts_find():
    features, _ = clouds(apart=0.4, d=30, seed=2)
    scale = ZScore(features.train_x)
    train, val = (scale(features.train_x), features.train_y), (scale(features.val_x), features.val_y)
    config = linear.Config(c_count=9, patience=9)
    grid = np.geomspace(config.c_low, config.c_high, 9)
    cold = [LogisticRegression(C=c, max_iter=1000).fit(*train) for c in grid]
    quality = [(model.score(*val), -log_loss(val[1], model.predict_proba(val[0]))) for model in cold]
    assert linear.choose_c(config, train, val) == pytest.approx(grid[quality.index(max(quality))])


@pytest.mark.parametrize("few", [1, 2, 4])
@pytest.mark.parametrize("several", [False, True])
def test_a_few_validation_labels_that_are_all_right_do_not_choose_the_strongest_regularisation(few, several):
    """Three separable classes of different size: at C = 1e-6 the fit on both parts says the largest of everything."""
    rng = np.random.default_rng(0)
    y = np.repeat(np.arange(3), [160, 20, 20])
    x = (np.eye(3)[y] * 8 + rng.normal(0, 1, (200, 3))).astype(np.float32)
    val = np.concatenate([np.flatnonzero(y == k)[:few] for k in range(3)])
    test = np.concatenate([np.flatnonzero(y == k)[10:20] for k in range(3)])
    train = np.setdiff1d(np.arange(200), np.r_[val, test])
    labels = np.eye(3, dtype=np.int64)[y] if several else y
    features = Features(x[train], labels[train], x[val], labels[val], x[test], 3)
    found = linear.fit_predict(linear.Config(), features, 0)
    assert (found.y_pred == labels[test]).all()


def test_a_signal_that_needs_large_weights_is_met_with_weak_regularisation():
    rng = np.random.default_rng(0)
    y = rng.integers(0, 2, 400)
    shared = rng.normal(0, 1, 400)
    x = np.stack([shared + 0.05 * (y - 0.5), shared - 0.05 * (y - 0.5)], axis=1).astype(np.float32)
    train, val = (x[:300], y[:300]), (x[300:], y[300:])
    assert linear.choose_c(linear.Config(patience=21), train, val) > 1
    features = Features(*train, *val, x[300:], 2)
    assert (linear.fit_predict(linear.Config(patience=21), features, 0).y_pred == y[300:]).mean() > 0.95


def test_without_validation_c_is_scikit_learns_default():
    empty = (np.empty((0, 3), np.float32), np.empty(0, int))
    assert linear.choose_c(linear.Config(), (np.ones((4, 3), np.float32), np.array([0, 1, 0, 1])), empty) == 1.0


def test_z_scores_are_those_of_the_training_part():
    rng = np.random.default_rng(0)
    x = (rng.normal(5, 3, (50, 4))).astype(np.float32)
    x[:, 2] = 7.25
    scale = ZScore(x)
    z = scale(x)
    assert z[:, [0, 1, 3]].mean(0) == pytest.approx(np.zeros(3), abs=1e-5)
    assert z[:, [0, 1, 3]].std(0) == pytest.approx(np.ones(3), abs=1e-5)
    assert (z[:, 2] == 0).all()
    assert (scale(x + 1)[:, 2] == 0).all()


def test_few_features_that_strong_regularisation_flattens_are_no_reason_to_stop():
    # image statistics of ten bands: the first eight values of C predict one class, and the walk must go on
    rng = np.random.default_rng(3)
    y = rng.permutation(np.repeat(np.arange(4), [100, 40, 40, 40]))
    x = (np.eye(4)[y] * 1.5 + rng.normal(0, 1, (220, 4))).astype(np.float32)
    chosen = linear.choose_c(linear.Config(), (x[:160], y[:160]), (x[160:], y[160:]))
    model = LogisticRegression(C=chosen).fit(x[:160], y[:160])
    assert model.score(x[160:], y[160:]) > np.mean(y[160:] == 0) + 0.1


def test_likelihood_chooses_what_scikit_learn_calls_the_least_log_loss():
    features, _ = clouds(apart=0.4, d=30, seed=2)
    scale = ZScore(features.train_x)
    train, val = (scale(features.train_x), features.train_y), (scale(features.val_x), features.val_y)
    config = linear.Config(c_count=9, patience=9, choose_by="likelihood")
    grid = np.geomspace(config.c_low, config.c_high, 9)
    losses = [log_loss(val[1], LogisticRegression(C=c, max_iter=1000).fit(*train).predict_proba(val[0])) for c in grid]
    assert linear.choose_c(config, train, val) == pytest.approx(grid[int(np.argmin(losses))])


def test_labels_of_classes_that_nobody_learnt_do_not_choose():
    features, _ = clouds(classes=2)
    train = (ZScore(features.train_x)(features.train_x), features.train_y)
    model = linear.fitted(linear.Config(), 1.0, *train)
    value, trivial = linear._likelihood(model, train[0][:4], np.array([0, 1, 2, 5]))
    assert value == pytest.approx(np.log(model.predict_proba(train[0][:2])[[0, 1], [0, 1]]).mean())
    assert not trivial
    assert linear._likelihood(model, train[0][:1], np.array([7]))[0] == 0.0


def test_fits_have_one_thread_and_the_libraries_are_looked_for_once(monkeypatch):
    features, _ = clouds(classes=2)
    model = linear._model(linear.Config())
    seen, looked, fit, look = [], [], model.fit, ThreadpoolController.__init__

    def fits(x, y):
        seen.extend(pool["num_threads"] for pool in threadpool_info())
        return fit(x, y)

    monkeypatch.setattr(model, "fit", fits)
    linear._pools.cache_clear()
    monkeypatch.setattr(ThreadpoolController, "__init__", lambda self: looked.append(1) or look(self))
    with threadpool_limits(2):
        looked.clear()
        linear._fit(model, 1.0, features.train_x, features.train_y)
        linear._fit(model, 1.0, features.train_x, features.train_y)
        found = sum(looked)
        assert {pool["num_threads"] for pool in threadpool_info()} == {2}
    assert set(seen) == {1}
    assert found == 3, "once, and twice by this test"
