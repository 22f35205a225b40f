"""Gauges at their known values, and the rule that stops a run."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from swath.training.config import Collapse
from swath.training.gauges import CollapseWatch, LabelledSet, effective_rank, feature_std, knn_accuracy, rankme, vote
from tests.methods import fakes


def test_feature_std_is_one_on_the_sphere_and_zero_where_collapsed():
    torch.manual_seed(0)
    assert feature_std(torch.randn(4000, 64)) == pytest.approx(1.0, abs=0.02)
    assert feature_std(torch.ones(10, 64)) == pytest.approx(0.0, abs=1e-6)
    assert feature_std(torch.randn(4000, 64) * 100) == pytest.approx(1.0, abs=0.02)


@settings(max_examples=20, deadline=None)
@given(n=st.integers(3, 30), d=st.integers(2, 30), seed=st.integers(0, 99))
def test_effective_rank_is_the_formula(n, d, seed):
    x = np.random.default_rng(seed).normal(size=(n, d))
    z = x / np.linalg.norm(x, axis=1, keepdims=True)
    p = np.linalg.svd(z - z.mean(axis=0), compute_uv=False)
    p = p[p > 1e-12] / p.sum()
    found = effective_rank(torch.tensor(x))
    assert found == pytest.approx(np.exp(-(p * np.log(p)).sum()), rel=1e-3)
    assert 1 - 1e-6 <= found <= min(n - 1, d) + 1e-3


@settings(max_examples=20, deadline=None)
@given(n=st.integers(1, 30), d=st.integers(1, 30), rank=st.integers(1, 30), seed=st.integers(0, 99))
def test_rankme_is_the_formula(n, d, rank, seed):
    """Garrido et al. (2023), equation 1, in double precision."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, rank)) @ rng.normal(size=(rank, d)) + 3
    p = np.linalg.svd(x, compute_uv=False)
    p = p / p.sum() + 1e-7
    assert rankme(torch.tensor(x)) == pytest.approx(np.exp(-(p * np.log(p)).sum()), rel=1e-3)


def test_rankme_sees_the_mean_that_the_effective_rank_takes_off():
    turned = torch.eye(8)
    assert rankme(turned) == pytest.approx(8, abs=1e-3)
    assert rankme(turned + 1000) == pytest.approx(1, abs=0.1)
    assert effective_rank(turned + 1) == pytest.approx(7, abs=1e-3)
    assert rankme(torch.zeros(4, 3)) == 0.0


def test_effective_rank_counts_directions():
    assert effective_rank(torch.ones(10, 5)) == 0.0
    line = torch.stack(
        [torch.cos(t) * torch.eye(5)[0] + torch.sin(t) * torch.eye(5)[1] for t in torch.tensor([0.0, 1.0])]
    )
    assert effective_rank(line) == pytest.approx(1.0, abs=1e-3)


def test_knn_finds_clusters_and_no_more():
    torch.manual_seed(0)
    classes = torch.arange(90) % 3
    assert vote(torch.eye(3)[classes] + 0.05 * torch.randn(90, 3), classes, k=5) == 1.0
    assert vote(torch.randn(90, 3), classes, k=5) < 0.6


def test_a_group_does_not_vote_on_itself():
    """Pairs of near-identical chips whose class is that of nobody else nearby: leakage, and its remedy."""
    torch.manual_seed(0)
    features = torch.randn(40, 8).repeat_interleave(2, dim=0) + 0.001 * torch.randn(80, 8)
    classes = (torch.arange(40) % 2).repeat_interleave(2)
    groups = torch.arange(40).repeat_interleave(2)
    assert vote(features, classes, k=1) == 1.0
    assert vote(features, classes, groups, k=1) < 0.8


def test_knn_accuracy_leaves_the_encoder_as_it_was():
    encoder = fakes.encoder(norm=True).train()
    before = {name: tensor.clone() for name, tensor in encoder.state_dict().items()}
    accuracy = knn_accuracy(encoder, LabelledSet(fakes.image(70), torch.arange(70) % 2))
    assert 0 <= accuracy <= 1
    assert encoder.training
    assert all(torch.equal(before[name], tensor) for name, tensor in encoder.state_dict().items())


def test_collapse_needs_several_measurements_in_a_row():
    watch = CollapseWatch(Collapse(feature_std=0.1, effective_rank=2.0, patience=3))
    readings = [(0.0, 5.0), (0.0, 5.0), (0.0, 5.0), (0.5, 5.0), (0.0, 5.0), (0.5, 1.0), (0.0, 1.0)]
    verdicts = [watch.verdict(*reading) for reading in readings]
    assert verdicts[:6] == [None] * 6
    assert "feature std" in verdicts[6]
    assert "effective rank is 1.00" in verdicts[6]


def test_collapse_is_measured_from_the_start_too():
    """SimCLR on satellite images at a learning rate of 30: the loss fell by a third, k-NN from 0.71 to 0.24."""
    watch = CollapseWatch(Collapse(patience=3))
    verdicts = [watch.verdict(std, 10.0) for std in (0.6729, 0.1472, 0.1450, 0.1581)]
    assert verdicts[3] == "feature std x sqrt(d) is 0.1581, below 0.2019"
    healthy = CollapseWatch(Collapse(patience=1))
    assert not any(healthy.verdict(std, 40.0) for std in (0.6719, 0.6897, 0.6911, 0.7040, 0.7115))


def test_not_a_number_is_below_every_floor():
    watch = CollapseWatch(Collapse(patience=1))
    assert watch.verdict(0.5, 10.0) is None
    assert watch.verdict(float("nan"), 10.0) is not None
