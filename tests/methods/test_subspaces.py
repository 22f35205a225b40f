"""SeCo, GASSL and CaCo against transcriptions of what their papers and codes compute."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from swath.errors import RecipeError
from swath.methods.caco import which_changed
from tests.methods import fakes


def unit(z):
    return z / np.linalg.norm(z, axis=1, keepdims=True)


def info_nce(query, key, negatives, temperature):
    """Row by row; `negatives` is a list per row."""
    losses = []
    for q, k, others in zip(query, key, negatives, strict=True):
        terms = np.exp(np.array([q @ k, *(q @ n for n in others)]) / temperature)
        losses.append(-np.log(terms[0] / terms.sum()))
    return np.mean(losses)


def projections(method, view, subspace, *, student):
    """Unit projections of a view by the student's or the teacher's network and head."""
    with torch.no_grad():
        encoder = method.encoder if student else method.teacher.encoder
        heads = method.heads if student else method.teacher.head
        return unit(heads[subspace](encoder(view.image)).double().numpy())


def in_evaluation(name, **settings):
    """Without batch statistics, so that a view's features are the same whenever it is looked at."""
    return fakes.method(name, **settings).eval()


def views_of(method, n=4):
    return method.views(fakes.batch(n), torch.Generator().manual_seed(0))


def test_seco_is_the_official_loss():
    method = in_evaluation("seco")
    views = views_of(method)
    total = 0.0
    for s in range(3):
        query = projections(method, views[0], s, student=True)
        keys = [projections(method, view, s, student=False) for view in views[1:]]
        extra = {0: [], 1: [keys[0], keys[2]], 2: [keys[0], keys[1]]}[s]
        negatives = np.concatenate([method.queue.keys[s].double().numpy(), *extra])
        total += info_nce(query, keys[s], [negatives] * 4, 0.07)
    assert float(method.loss(views).total.detach()) == pytest.approx(total, rel=1e-4)


@pytest.mark.parametrize("changed", [[False] * 4, [True, False, False, True]])
def test_caco_is_the_official_loss(changed):
    method = in_evaluation("caco")
    views = views_of(method)
    method.prepare(fakes.batch(4).uid, np.zeros((4, 2)))
    method.changed.copy_(torch.tensor(changed))
    total = 0.0
    for s in range(3):
        query = [projections(method, views[p], s, student=True) for p in (0, 4)]
        keys = [[projections(method, v, s, student=False) for v in views[p + 1 : p + 4]] for p in (0, 4)]
        extra = [k for period in keys for i, k in enumerate(period) if s > 0 and i != s]
        for p in (0, 1):
            negatives = []
            for i in range(4):
                partners = [keys[1 - p][s][j] for j in range(4) if j != i or changed[i]]
                negatives.append(np.concatenate([partners, method.queue.keys[s, p::2].double().numpy(), *extra]))
            total += info_nce(query[p], keys[p][s], negatives, 0.07) / 2
    assert float(method.loss(views).total.detach()) == pytest.approx(total, rel=1e-4)


def test_caco_measures_change_and_judges_once_all_places_were_seen():
    method = in_evaluation("caco")
    method.prepare([*fakes.batch(4).uid, "never seen"], np.zeros((5, 2)))
    views = views_of(method)
    query = [projections(method, views[p], 1, student=False) for p in (0, 4)]
    keys = [projections(method, views[p + 2], 1, student=False) for p in (0, 4)]
    far = np.linalg.norm(query[0] - query[1], axis=1)
    expected = np.mean([far / (np.linalg.norm(q - k, axis=1) + 1e-4) for q, k in zip(query, keys, strict=True)], axis=0)
    method.loss(views)
    method.after_step(0.1)
    rows = [method._row[name] for name in fakes.batch(4).uid]
    np.testing.assert_allclose(method.ratio[rows], expected, rtol=1e-3)
    assert method.ratio.isnan().sum() == 1
    assert int(method.visited) == 4
    before = method.ratio.clone()
    method._moved = [torch.tensor([[float(rows[0]), 10.0], [-1.0, 99.0]], dtype=torch.float64)]
    method.queue._fresh.clear()
    method.after_step(0.2)
    assert float(method.ratio[rows[0]]) == pytest.approx((4 * float(before[rows[0]]) + 10) / 5, rel=1e-5)
    assert int(method.visited) == 0


def test_changed_places_are_those_of_the_higher_gaussian():
    g = np.random.default_rng(0)
    ratio = torch.tensor(np.concatenate([g.normal(1, 0.1, 50), g.normal(3, 0.2, 10), [np.nan]])).float()
    assert torch.equal(which_changed(ratio), (ratio > 2))
    assert not which_changed(torch.tensor([1.0, math.nan])).any()
    assert not which_changed(torch.full((5,), 1.3)).any()


def test_caco_queue_is_interleaved():
    method = in_evaluation("caco")
    views = views_of(method)
    expected = np.stack([projections(method, views[p + 1], 0, student=False) for p in (0, 4)], axis=1).reshape(8, -1)
    method.loss(views)
    method.after_step(0.5)
    np.testing.assert_allclose(method.queue.keys[0, :8], expected, rtol=1e-4, atol=1e-5)
    assert int(method.queue.cursor) == 8


@pytest.mark.parametrize("name", ["seco", "caco"])
def test_a_query_is_not_pushed_from_its_own_place_of_an_epoch_before(name):
    method = in_evaluation(name)
    method.prepare(fakes.batch(4).uid, np.zeros((4, 2)))
    views = views_of(method)
    method.loss(views)
    method.after_step(0.5)
    if name == "caco":
        method.changed.zero_()
    total, per_place = 0.0, 2 if name == "caco" else 1
    starts = (0, 4)[:per_place]
    for s in range(3):
        query = [projections(method, views[p], s, student=True) for p in starts]
        keys = [[projections(method, v, s, student=False) for v in views[p + 1 : p + 4]] for p in starts]
        extra = [k for period in keys for i, k in enumerate(period) if s > 0 and i != s]
        for p in range(per_place):
            queue = method.queue.keys[s, p::per_place].double().numpy()
            negatives = []
            for i in range(4):
                # the four places came first, in order
                older = [key for row, key in enumerate(queue) if row != i]
                partners = [k for j, k in enumerate(keys[1 - p][s]) if j != i] if per_place == 2 else []
                negatives.append(np.concatenate([np.reshape(partners, (-1, 8)), older, *extra]))
            total += info_nce(query[p], keys[p][s], negatives, 0.07) / per_place
    assert float(method.loss(views).total.detach()) == pytest.approx(total, rel=1e-4)


def test_caco_tells_places_that_change_from_others_whatever_the_trained_encoder_does():
    """Half of the places look the same in all views; of the others the older period shows something else."""
    method = fakes.method("caco")
    n = 16
    same, other = fakes.image(n), fakes.image(n, seed=7)
    is_changed = torch.arange(n) < n // 2
    pixels = torch.where(is_changed[:, None, None, None, None], other.pixels, same.pixels)
    views = [fakes.view(same)] * 4 + [fakes.view(replace(same, pixels=pixels))] * 4
    uid = tuple(str(i) for i in range(n))
    views = [replace(view, uid=uid) for view in views]
    method.prepare(uid, np.zeros((n, 2)))
    with torch.no_grad():  # the encoder that is trained is far from the one that makes keys
        for parameter in method.encoder.parameters():
            parameter.add_(torch.randn_like(parameter))
    method.loss(views)
    method.after_step(0.1)
    ratio = method.ratio[[method._row[name] for name in uid]]
    assert ratio[~is_changed].max() < 0.1
    assert ratio[is_changed].min() > 100


PLACES = np.array([[179.9, 10.0], [-179.9, 10.0], [5.0, 45.0], [5.1, 45.1], [np.nan, np.nan]])


def test_gassl_is_moco_plus_the_place():
    method = in_evaluation("gassl", clusters=8)
    views = views_of(method)
    method.prepare([str(i) for i in range(5)], PLACES)
    contrast = method.loss(views)
    assert float(contrast.terms["geography"]) == 0.0
    where = torch.from_numpy(PLACES[[0, 1, 3, 4]])
    placed = [replace(view, lonlat=where) for view in views]
    labels = method._labels(placed[0])
    assert labels[3] == -1
    loss = method.loss(placed)
    with torch.no_grad():
        logits = method.geography(method.head(method.encoder(views[0].image)))[:3].double().numpy()
    expected = np.mean([np.log(np.exp(row).sum()) - row[i] for row, i in zip(logits, labels[:3].tolist(), strict=True)])
    assert float(loss.terms["geography"]) == pytest.approx(expected, rel=1e-4)
    assert float(loss.total.detach()) == pytest.approx(float(contrast.total.detach()) + expected, rel=1e-4)


def test_gassl_clusters_neighbours_across_the_date_line():
    method = in_evaluation("gassl", clusters=2)
    method.prepare([str(i) for i in range(5)], PLACES)
    view = replace(fakes.view(fakes.image(5)), lonlat=torch.from_numpy(PLACES))
    labels = method._labels(view).tolist()
    assert labels[0] == labels[1] != labels[2] == labels[3]
    assert labels[4] == -1


def test_gassl_needs_places():
    with pytest.raises(RecipeError, match="knows 0 different place"):
        fakes.method("gassl").prepare(["a"], np.full((1, 2), np.nan))


def test_official_defaults():
    from swath.methods import caco, gassl, seco

    for module in (seco, caco):
        config, method = module.Config(), fakes.method(module.Config().name, queue="auto")
        assert (len(method.queue), config.temperature, config.momentum, config.out) == (16_384, 0.07, 0.999, 128)
    config, method = gassl.Config(), fakes.method("gassl", queue="auto")
    assert (len(method.queue), config.temperature, config.momentum, config.clusters) == (65_536, 0.02, 0.999, 100)
