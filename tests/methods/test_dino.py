"""DINO: the formula over all crops, the centre, and what changes while it trains."""

import numpy as np
import pytest
import torch

from swath.methods.dino import cross_entropy
from tests.methods import fakes


def softmax(x):
    e = np.exp(x - x.max())
    return e / e.sum()


def numpy_dino(student, teacher, centre, student_temperature, teacher_temperature):
    """Caron et al. algorithm 1 and eq. 3, pair by pair and sample by sample; the first views are the teacher's."""
    losses = []
    for t, chosen in enumerate(teacher):
        for s, said in enumerate(student):
            if s == t:
                continue
            for c, x in zip(chosen, said, strict=True):
                p = softmax((c - centre) / teacher_temperature)
                losses.append(-(p * np.log(softmax(x / student_temperature))).sum())
    return np.mean(losses)


def outputs(views, whole, seed=0):
    draw = np.random.default_rng(seed)
    return draw.normal(size=(views, 3, 5)), draw.normal(size=(whole, 3, 5)), draw.normal(size=5) * 0.1


@pytest.mark.parametrize(("views", "whole"), [(2, 2), (6, 2), (3, 1)])
def test_the_loss_is_the_formula(views, whole):
    given = outputs(views, whole)
    ours = cross_entropy(*map(torch.tensor, given), 0.1, 0.04)
    assert float(ours) == pytest.approx(numpy_dino(*given, 0.1, 0.04), rel=1e-9)


def test_lightly_agrees():
    lightly = pytest.importorskip("lightly.loss", reason="the bench extra has a second oracle, lightly")
    student, teacher, centre = (torch.tensor(x).float() for x in outputs(6, 2))
    theirs = lightly.DINOLoss(output_dim=5)
    theirs.center = centre[None, None].clone()
    expected = theirs(list(teacher), list(student))
    torch.testing.assert_close(cross_entropy(student, teacher, centre, 0.1, 0.04), expected)


def test_every_crop_counts_and_the_teacher_sees_global_ones_only():
    method = fakes.method("dino", fakes.crops)
    views = method.views(fakes.batch(4), torch.Generator().manual_seed(0))
    seen = []
    method.teacher.encoder.network[0].register_forward_hook(lambda m, i, o: seen.append(tuple(i[0].shape)))
    passes = []
    method.encoder.network[0].register_forward_hook(lambda m, i, o: passes.append(tuple(i[0].shape)))
    found = float(method.loss(views).total.detach())
    assert seen == [(8, 3, 8, 8)]
    assert sorted(passes) == [(8, 3, 8, 8), (12, 3, 4, 4)]
    fresh = fakes.method("dino", fakes.crops)
    ordered = [views[0], views[3], views[1], views[2], views[4]]
    with torch.no_grad():
        whole = fresh.encoder.standardize(*joined(ordered[:2])).flatten(0, 1)
        local = fresh.encoder.standardize(*joined(ordered[2:])).flatten(0, 1)
        student = torch.cat([fresh.head(fresh.encoder.network(x)) for x in (whole, local)]).unflatten(0, (5, 4))
        teacher = fresh.teacher.head(fresh.teacher.encoder.network(whole)).unflatten(0, (2, 4))
    expected = numpy_dino(*(x.double().numpy() for x in (student, teacher)), 0.0, 0.1, 0.04)
    assert found == pytest.approx(expected, rel=1e-4)


def joined(views):
    images = [view.image for view in views]
    return [torch.cat([getattr(image, name) for image in images]) for name in ("pixels", "valid", "band_ids")]


def test_the_centre_is_the_moving_average_of_what_the_teacher_says():
    method, twin = (fakes.method("dino", centre_momentum=0.75) for _ in range(2))
    views = method.views(fakes.batch(4), torch.Generator().manual_seed(0))
    method.loss(views)
    both = torch.cat([view.image.pixels for view in views])
    image = views[0].image
    joint = fakes.image(8)
    said = twin.teacher.of(type(image)(both, joint.valid, joint.days, joint.band_ids, image.gsd_m))
    torch.testing.assert_close(method.centre, 0.25 * said.mean(dim=0))


def test_prototypes_stay_until_they_thaw_and_the_teachers_temperature_rises():
    method = fakes.method("dino", frozen=0.5, temperature_warmup=0.2, teacher_temperature=0.07)
    views = method.views(fakes.batch(4), torch.Generator().manual_seed(0))
    assert float(method.temperature) == pytest.approx(0.04)
    for progress, temperature, frozen in ((0.1, 0.055, True), (0.4, 0.07, True), (0.5, 0.07, False)):
        method.zero_grad()
        method.after_step(progress)
        assert float(method.temperature) == pytest.approx(temperature)
        method.loss(views).total.backward()
        assert bool((method.head.prototypes.grad == 0).all()) == frozen
        assert bool(method.head.layers[0].weight.grad.any())


def test_the_head_gives_cosines():
    method = fakes.method("dino", frozen=0.0)
    features = torch.randn(5, 8)
    narrow = method.head.layers(features)
    expected = torch.nn.functional.cosine_similarity(narrow[:, None], method.head.prototypes[None], dim=2)
    torch.testing.assert_close(method.head(features), expected)
    kinds = [type(layer).__name__ for layer in method.head.layers]
    assert kinds == ["Linear", "GELU", "Linear", "GELU", "Linear"]
