"""A teacher of several inputs and a student of one."""

from dataclasses import replace

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from swath.tasks._types import Features, concatenated
from swath.tasks.probes import distil, linear
from swath.tasks.probes._scale import ZScore

CONFIG = distil.Config(teacher=("weak", "strong"))


def world(seed=0, labels=12, pool=600, multi_label=False):
    """Two views of the same locations: each class bit is plain in one of them and drowned in noise in the other."""
    rng = np.random.default_rng(seed)
    sizes = {"train": labels, "val": labels, "test": 400, "pool": pool}
    weak, strong, y = {}, {}, {}
    for part, n in sizes.items():
        y[part] = np.arange(n) % 2
        sign = (2.0 * y[part] - 1)[:, None]
        weak[part] = (sign * 0.2 + rng.normal(0, 1, (n, 60))).astype(np.float32)
        strong[part] = (sign * 3 + rng.normal(0, 1, (n, 4))).astype(np.float32)
    classes = {k: np.stack([v, 1 - v], 1) for k, v in y.items()} if multi_label else y

    def features(x):
        return Features(x["train"], classes["train"], x["val"], classes["val"], x["test"], 2, x["pool"])

    return features(weak), features(strong), classes["test"]


def taught(weak, strong):
    return replace(weak, teacher=concatenated([weak, strong]))


def right(prediction, truth):
    return (prediction.y_pred == truth).mean()


@pytest.mark.parametrize("multi_label", [False, True])
def test_a_student_learns_more_than_its_labels_say(multi_label):
    weak, strong, truth = world(multi_label=multi_label)
    alone = linear.fit_predict(CONFIG.probe, weak, 0)
    student = distil.fit_predict(CONFIG, taught(weak, strong), 0)
    assert right(student, truth) > right(alone, truth) + 0.05
    assert right(student, truth) > 0.88


def test_equals_its_words_in_scikit_learn():
    """Teacher and student written out, at the strengths that were chosen."""
    weak, strong, _ = world(seed=3)
    features = taught(weak, strong)
    found = distil.fit_predict(CONFIG, features, 0)

    def fit(train, val):
        scale = ZScore(train[0])
        c = linear.choose_c(CONFIG.probe, (scale(train[0]), train[1]), (scale(val[0]), val[1]))
        x, y = np.concatenate([scale(train[0]), scale(val[0])]), np.concatenate([train[1], val[1]])
        return scale, LogisticRegression(C=c, tol=1e-8, max_iter=10_000).fit(x, y)

    both = [np.concatenate([getattr(weak, part), getattr(strong, part)], 1) for part in ("train_x", "val_x", "pool_x")]
    scale, teacher = fit((both[0], weak.train_y), (both[1], weak.val_y))
    said = teacher.predict(scale(both[2]))
    x, y = np.concatenate([weak.train_x, weak.pool_x]), np.concatenate([weak.train_y, said])
    scale, student = fit((x, y), (weak.val_x, weak.val_y))
    assert found.scores == pytest.approx(student.predict_proba(scale(weak.test_x)), abs=0.01)


def test_without_a_pool_it_is_the_linear_probe():
    weak, strong, _ = world(pool=0)
    found = distil.fit_predict(CONFIG, taught(weak, strong), 0)
    assert (found.scores == linear.fit_predict(CONFIG.probe, weak, 0).scores).all()


def test_inputs_that_see_all_that_the_teacher_sees_are_left_out():
    config = distil.Config(teacher=("optical", "radar"))
    named = {"optical": ["a", "b"], "radar": ["c"], "both": ["a", "b", "c"], "more": ["d"]}
    assert list(config.inputs(named)) == ["optical", "radar", "more"]
