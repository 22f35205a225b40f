"""Seconds of k-NN of 27,000 features among 27,000, against scikit-learn's, and over the bare product of the two."""

import time
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import torch

from benchmarks import Result, versions
from benchmarks._features import CLASSES, DIMS, LABELLED, labelled
from swath.tasks import Features
from swath.tasks.probes import knn

LIMIT_SECONDS = 5.0


def run(quick: bool = False) -> Result:
    count, dims = (500, 32) if quick else (LABELLED, DIMS)
    x, y = labelled(2 * count, dims)
    nothing = x[:0], y[:0]
    features = Features(x[:count], y[:count], *nothing, x[count:], CLASSES)
    config = knn.Config(weights="uniform")
    knn.fit_predict(config, _few(features), 0)  # imports, threads
    ours, ours_seconds = _timed(lambda: knn.fit_predict(config, features, 0).y_pred)
    peer, peer_seconds = _timed(lambda: _brute(features, config.k))
    _, product_seconds = _timed(lambda: _product(features))
    return Result(
        ours=ours_seconds,
        peer=peer_seconds,
        ratio=peer_seconds / ours_seconds,
        unit="s",
        setting={
            "samples": f"{count} among {count}",
            "dimensions": dims,
            "neighbours": config.k,
            "over the bare product": ours_seconds / product_seconds,
            "accuracy": float(np.mean(ours == y[count:])),
            "predicted as the peer": float(np.mean(ours == peer)),
            "peer": "scikit-learn's KNeighborsClassifier, brute force, cosine, uniform votes",
            "threads": torch.get_num_threads(),
            "seconds at most": LIMIT_SECONDS,
            "clock": "wall",
        },
        versions=versions("torch", "scikit-learn", "numpy"),
    )


def _few(features: Features) -> Features:
    return replace(features, train_x=features.train_x[:100], train_y=features.train_y[:100], test_x=features.test_x[:9])


def _brute(features: Features, k: int) -> np.ndarray:
    from sklearn.neighbors import KNeighborsClassifier

    model = KNeighborsClassifier(k, algorithm="brute", metric="cosine").fit(features.train_x, features.train_y)
    return model.predict(features.test_x)


def _product(features: Features) -> None:
    train = torch.from_numpy(features.train_x)
    for part in torch.from_numpy(features.test_x).split(4096):
        torch.mm(part, train.T)


def _timed(work: Callable) -> tuple:
    start = time.perf_counter()
    found = work()
    return found, time.perf_counter() - start
