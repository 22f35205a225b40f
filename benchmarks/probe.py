"""Seconds of the linear probe on 27,000 x 2,048 features with 40 values of C, against LogisticRegressionCV."""

import time
import warnings

import numpy as np

from benchmarks import Result, versions
from benchmarks._features import DIMS, LABELLED, labelled, split
from swath.tasks.probes import linear

VALUES = 40
LIMIT_SECONDS = 60.0


def run(quick: bool = False) -> Result:
    x, y = labelled(*((600, 32) if quick else (LABELLED, DIMS)))
    features = split(x, y)
    truth = y[len(y) - len(features.test_x) :]
    config = linear.Config(c_count=VALUES)
    linear.fit_predict(config, split(*labelled(200, 8)), 0)  # imports
    start = time.perf_counter()
    ours = linear.fit_predict(config, features, 0)
    ours_seconds = time.perf_counter() - start
    start = time.perf_counter()
    peer = _cross_validated(np.concatenate([features.train_x, features.val_x]), y[: len(y) - len(truth)], config)
    predicted = peer.predict(features.test_x)
    peer_seconds = time.perf_counter() - start
    return Result(
        ours=ours_seconds,
        peer=peer_seconds,
        ratio=peer_seconds / ours_seconds,
        unit="s",
        setting={
            "samples": len(y),
            "dimensions": x.shape[1],
            "values of C": VALUES,
            "accuracy": float(np.mean(ours.y_pred == truth)),
            "accuracy of the peer": float(np.mean(predicted == truth)),
            "peer": "StandardScaler and LogisticRegressionCV with the same settings, five folds on two cores",
            "seconds at most": LIMIT_SECONDS,
            "ratio at least": 5.0,
            "clock": "wall",
        },
        versions=versions("scikit-learn", "scipy", "numpy"),
    )


def _cross_validated(x: np.ndarray, y: np.ndarray, config: linear.Config):
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegressionCV
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    grid = np.geomspace(config.c_low, config.c_high, config.c_count)
    # a fold on each core, with one thread: threads of its own slow it down many times
    model = LogisticRegressionCV(
        Cs=list(grid),  # pyright: ignore[reportArgumentType]
        cv=5,
        tol=config.tolerance,
        max_iter=config.max_iterations,
        n_jobs=2,
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        warnings.simplefilter("ignore", FutureWarning)
        return make_pipeline(StandardScaler(), model).fit(x, y)
