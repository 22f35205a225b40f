"""Gains by cloud: the bins' units, and the difference on them alone; rows under clouds that were painted."""

import numpy as np
import pandas as pd
import pytest
import torch
from pydantic import ValidationError
from sklearn import metrics as sk

from swath import encoders
from swath.corpus import Corpus
from swath.corpus.sources import synth
from swath.corpus.splits.partition import SplitConfig, split
from swath.encoders.cross_modal_unet_3d import Config as Dense
from swath.errors import RecipeError
from swath.tasks import Evaluation, TaskConfig
from swath.tasks.schema import CLOUD_GAINS, CLOUD_LEVELS, CLOUDS
from swath.tasks.statistics import StatisticsConfig, TaskRules
from swath.tasks.statistics.clouds import cloud_share, gains
from swath.tasks.task import Task
from tests.tasks.fakes import contract, dense_encoder
from tests.tasks.statistics.test_summary import cell, guess, world

CONFIG = StatisticsConfig(flips=99)
SPLIT = SplitConfig(fractions=(0.5, 0.2, 0.3))


def test_shares_are_means_over_the_series_that_say_them(fields):
    share = cloud_share(fields)
    assert share["field-013"] == pytest.approx(0.3)
    assert len(share) == 40


def test_a_gain_that_fades_with_clouds_is_seen_to_fade():
    y, group, rng = world()
    cloud = pd.Series(np.linspace(0, 1, len(y)), index=[f"u{i}" for i in range(len(y))])
    right = np.where(cloud < 0.5, 0.95, 0.4)
    a, b = (cell(y, group, guess(y, rng, share), row, kind) for row, kind, share in (
        ("a", "pretrained", right), ("b", "floor", 0.4)))  # fmt: skip
    predictions = pd.concat([a, b]).assign(count=1)
    cloud["u3"] = np.nan
    table = CLOUDS.frame(gains("t", predictions, cloud, [0.0, 0.5, 1.0], TaskRules(), CONFIG))
    assert list(table) == CLOUDS.columns
    assert list(table.n_units) == [119, 120]
    first, second = table.itertuples()
    inside = (cloud <= 0.5).to_numpy()
    expected = (a.y_pred == a.y_true)[inside].mean() - (b.y_pred == b.y_true)[inside].mean()
    assert first.difference == pytest.approx(expected)
    assert first.value_a - first.value_b == pytest.approx(expected)
    assert first.low > 0.2
    assert second.low < 0.1 < 0.3 > second.difference
    assert first.low < first.difference < first.high


def test_bins_without_a_unit_have_no_line():
    y, group, rng = world()
    cloud = pd.Series(0.1, index=[f"u{i}" for i in range(len(y))])
    predictions = pd.concat([cell(y, group, y, "a"), cell(y, group, guess(y, rng, 0.5), "b", "floor")]).assign(count=1)
    table = CLOUDS.frame(gains("t", predictions, cloud, [0.0, 0.25, 1.0], TaskRules(metrics=("macro_f1",)), CONFIG))
    assert list(table.low_cloud) == [0]


# --------------------------------------------------------------------------------------------------------- painted

LEVELS = (0.0, 0.5, 1.0)
OPTICAL = tuple(f"{synth.OPTICAL}/{name}" for name in ("B02", "B04", "B08"))
RADAR = (f"{synth.RADAR}/VV", f"{synth.RADAR}/VH")


@pytest.fixture(scope="module")
def world_of_parcels(tmp_path_factory):
    target = tmp_path_factory.mktemp("parcels") / "corpus"
    settings = {"locations": 24, "chip_px": 8, "extent_km": 12, "dates_optical": 3, "dates_radar": 2}
    synth.build(synth.Config.model_validate({**settings, "cloud_fraction": 0.3, "clear": True}), target)
    return Corpus.open(target)


def configured(**changes):
    settings = {
        "target": {"rule": "pixels", "layer": "landcover"},
        "inputs": {"optical": OPTICAL, "radar": RADAR},
        "probes": [{"name": "fine-tune", "epochs": 1}],
        "dates": "all",
        "metric": "miou",
        "floors": ["majority", "logistic-regression", "scratch"],
        "cloud_levels": LEVELS,
    }
    return TaskConfig.model_validate(settings | changes)


def evaluated(corpus, folder, config):
    def build(arm, seed):
        return dense_encoder(seed, OPTICAL if arm == "eye" else RADAR)

    settings, paths = Dense(width=1), {}
    for bands, arm in ((OPTICAL, "eye"), (RADAR, "ear")):
        torch.manual_seed(0)
        paths[arm, 0] = folder / arm / "encoder"
        encoders.save(encoders.build(settings, contract(bands, fixed=True)), settings, paths[arm, 0], {})
    Evaluation({"land": config}, SPLIT, corpus, paths, build, (0,), folder / "out", statistics=CONFIG).run()
    return folder / "out"


@pytest.fixture(scope="module")
def under_clouds(world_of_parcels, tmp_path_factory):
    return evaluated(world_of_parcels, tmp_path_factory.mktemp("levels"), configured())


def test_each_trained_row_has_a_value_at_each_level_and_radar_the_same(under_clouds):
    levels = pd.read_csv(under_clouds / "cloud_levels.csv")
    assert list(levels) == CLOUD_LEVELS.columns
    by_row = levels.groupby(["input", "row"]).cloud.apply(tuple)
    assert set(by_row) == {LEVELS}
    assert set(by_row.index) == {
        ("optical", "eye"), ("optical", "scratch, as eye"), ("optical", "logistic regression"),
        ("radar", "ear"), ("radar", "scratch, as ear"), ("radar", "logistic regression"),
    }  # fmt: skip
    table = pd.read_csv(under_clouds / "table.csv")
    for row in ("ear", "logistic regression"):
        own = levels[(levels.input == "radar") & (levels.row == row)]
        said = table[(table.input == "radar") & (table.row == row) & (table.metric == "miou")].iloc[0]
        assert list(own.value) == pytest.approx([said.value] * len(LEVELS))
        assert list(own.low) == pytest.approx([said.low] * len(LEVELS))
    seen = levels[(levels.input == "optical") & (levels.row == "logistic regression")].value.to_numpy()
    assert seen[0] > seen[2], "what is wholly covered says less"


def test_levels_are_of_the_same_units_and_can_be_computed_again(under_clouds):
    kept = pd.read_parquet(under_clouds / "under_clouds.parquet")
    plain = pd.read_parquet(under_clouds / "predictions.parquet")
    assert set(kept.uid) == set(plain.uid)
    levels = pd.read_csv(under_clouds / "cloud_levels.csv").set_index(["input", "row", "cloud"])
    own = kept[(kept.input == "optical") & (kept.row == "eye") & (kept.cloud == 0.5)]
    y_true, y_pred = (own[name].repeat(own["count"]) for name in ("y_true", "y_pred"))
    expected = sk.jaccard_score(y_true, y_pred, average="macro", zero_division=0)
    assert levels.loc["optical", "eye", 0.5].value == pytest.approx(expected)
    gains = pd.read_csv(under_clouds / "cloud_gains.csv")
    assert list(gains) == CLOUD_GAINS.columns
    line = gains[(gains.a == "eye") & (gains.b == "scratch, as eye") & (gains.low_cloud == 0.5)].iloc[0]
    other = levels.loc["optical", "scratch, as eye", 0.5].value
    assert line.difference == pytest.approx(expected - other)
    assert line.low <= line.difference <= line.high


def test_without_levels_nothing_is_written_and_what_was_finished_stays(world_of_parcels, fields, tmp_path):
    out = evaluated(world_of_parcels, tmp_path, configured(cloud_levels=(0.5,), floors=["majority"]))
    assert (out / "cloud_levels.csv").exists()
    evaluated(world_of_parcels, tmp_path, configured(cloud_levels=(), floors=["majority"]))
    assert not (out / "cloud_levels.csv").exists()
    assert len(list((out / "cells").glob("*.clouds.parquet"))) == 2


def test_what_cannot_be_judged_under_clouds_is_refused(fields):
    made = configured(target={"rule": "pixels", "layer": "crops"}, inputs={"optical": OPTICAL[:2]})
    with pytest.raises(RecipeError, match="does not know what sentinel-2-l2a would show"):
        Task("land", made, fields, split(fields, SPLIT), SPLIT)
    with pytest.raises(ValidationError, match="ascending shares"):
        configured(cloud_levels=(0.5, 0.2))
    with pytest.raises(ValidationError, match="give the probe fine-tune or segment"):
        configured(target={"rule": "scalar", "column": "dominant"}, probes=[{"name": "knn"}])
