"""Seeds that rotate over folds: a round is one result on all tested locations."""

import numpy as np
import pandas as pd
import pytest
from sklearn import metrics as sk

from swath.corpus.splits.partition import SplitConfig, rotations, split
from swath.errors import RecipeError
from swath.tasks import Evaluation, TaskConfig
from swath.tasks.run.rotation import folds_of
from tests.tasks.run.test_evaluate import STATISTICS, random_encoder, saved, tasks

FOLDS = SplitConfig(folds=3, fold=0)


def run(corpus, folder, seeds=(0, 1, 2, 3, 4, 5), **changes):
    config = tasks(probes=[{"name": "knn"}], floors=["majority", "random-encoder"], **changes)
    paths = saved(folder, arms=("a",), seeds=seeds)
    out = folder / "out"
    figures = Evaluation(
        config, rotations(corpus, FOLDS), corpus, paths, random_encoder, seeds, out, statistics=STATISTICS
    ).run()
    return figures, out


@pytest.fixture(scope="module")
def rotated(corpus, tmp_path_factory):
    return run(corpus, tmp_path_factory.mktemp("rotated"))


def test_a_round_tests_every_location_once_and_is_one_result(corpus, rotated):
    figures, out = rotated
    predictions = pd.read_parquet(out / "predictions.parquet")
    # six seeds over three folds are two rounds; what is not random needs one
    trained = predictions[["row", "replicate", "fold", "seed"]].drop_duplicates().sort_values(["row", "seed", "fold"])
    each = [(i // 3, i % 3, i) for i in range(6)]
    assert [tuple(line)[1:] for line in trained.itertuples(index=False) if line.row == "a"] == each
    assert [tuple(line)[1:] for line in trained.itertuples(index=False) if line.row[:6] == "random"] == each
    # what is not random is made once a fold
    assert [tuple(line)[1:] for line in trained.itertuples(index=False) if line.row == "majority"] == each[:3]
    assert figures == {"cells": 6 + 3 + 6, "left_out": 0}
    labelled = {f"place-{i:03d}" for i in range(2, 96)}
    for _, cell in predictions.groupby(["row", "replicate"]):
        assert sorted(cell.uid) == sorted(labelled)
    table = pd.read_csv(out / "table.csv")
    own = predictions[(predictions.row == "a") & (predictions.replicate == 1)]
    line = table[(table.row == "a") & (table.metric == "macro_f1")].iloc[0]
    assert line.n_units == 94
    assert eval(line.per_seed)[1] == pytest.approx(sk.f1_score(own.y_true, own.y_pred, average="macro"), abs=1e-6)


def test_each_seed_is_judged_on_its_own_fold(corpus, rotated):
    _, out = rotated
    splits = pd.read_parquet(out / "splits.parquet")
    for k, fold in enumerate(rotations(corpus, FOLDS)):
        uids = corpus.locations["uid"].to_numpy()[split(corpus, fold)["test"]]
        own = splits[(splits.fold == k) & (splits.split == "test")]
        assert set(own.uid) == set(uids) - {"place-000", "place-001"}
    about = pd.read_csv(out / "tasks.csv")
    assert list(about.fold) == [0, 1, 2]
    assert about.test.sum() == 94


def test_a_round_with_a_missing_fold_has_no_result(corpus, tmp_path, monkeypatch):
    from swath.errors import TrainingError
    from swath.tasks import probes

    real = probes.knn.fit

    def sometimes(config, features, seed):
        if seed == 1:
            raise TrainingError("no luck")
        return real(config, features, seed)

    monkeypatch.setattr(probes.knn, "fit", sometimes)
    figures, out = run(corpus, tmp_path, seeds=(0, 1, 2))
    assert figures["left_out"] == 2
    table = pd.read_csv(out / "table.csv")
    line = table[table.row == "a"].iloc[0]
    assert np.isnan(line.value)
    assert "no luck" in line.note
    assert "seed 1: no luck" in line.note
    assert "; 2 of 3 folds have a result (seeds: 0, 2), so there is none of the whole" in line.note


def test_seeds_must_fill_their_rounds(corpus):
    folds = rotations(corpus, FOLDS)
    assert [folds_of(range(6), folds)[seed].fold for seed in range(6)] == [0, 1, 2, 0, 1, 2]
    with pytest.raises(RecipeError, match="4 seeds cannot rotate over 3 folds") as caught:
        folds_of([0, 1, 2, 3], folds)
    assert "give 2 more" in str(caught.value)


def test_segmentations_rotate_too(fields, tmp_path):
    from tests.tasks.fakes import ALL, dense_encoder

    settings = {
        "target": {"rule": "pixels", "layer": "crops"},
        "inputs": {"optical": ALL[:3]},
        "probes": [{"name": "fine-tune", "epochs": 1}],
        "metric": "miou",
        "floors": ["majority"],
    }
    folds = rotations(fields, FOLDS)
    Evaluation(
        {"crops": TaskConfig.model_validate(settings)}, folds, fields, {}, lambda _, seed: dense_encoder(seed),
        (0, 1, 2), tmp_path, statistics=STATISTICS,
    ).run()  # fmt: skip
    predictions = pd.read_parquet(tmp_path / "predictions.parquet")
    truth, said = (predictions[name].repeat(predictions["count"]) for name in ("y_true", "y_pred"))
    table = pd.read_csv(tmp_path / "table.csv")
    assert table.value[0] == pytest.approx(sk.jaccard_score(truth, said, average="macro"))
    assert table.n_units[0] == 39
