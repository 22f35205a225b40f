"""The dates that SeCo and CaCo compare."""

import torch

from swath import views
from swath.batch import NO_DAY
from swath.views import Augment
from swath.views.policies import three_dates, two_periods
from swath.views.policies._seasons import draw_three, halves
from tests.views._make import OPTICAL, batch, generator

QUIET = Augment()


def days_of(made):
    return torch.cat([view.image.days for view in made], dim=1)


def test_three_dates_with_replacement():
    policy = views.build(three_dates.Config(bands=OPTICAL, augment=QUIET))
    made = policy(batch(policy.reads, b=3000, t=5, side=2), generator())
    assert [view.role for view in made] == ["query", "key-0", "key-1", "key-2"]
    days = days_of(made) % 5
    assert torch.equal(days[:, 0], days[:, 3])
    for other in (1, 2):
        assert abs((days[:, 0] == days[:, other]).float().mean() - 0.2) < 0.03
    assert all(abs((days == day).float().mean() - 0.2) < 0.03 for day in range(5))


def test_only_two_of_the_four_are_augmented():
    policy = views.build(three_dates.Config(bands=OPTICAL, augment=Augment(hflip=1.0)))
    made = policy(batch(policy.reads, t=4), generator())
    assert [bool((view.affine[:, 0, 0] < 0).all()) for view in made] == [False, True, False, True]


def test_dates_without_a_valid_pixel_are_not_drawn():
    policy = views.build(three_dates.Config(bands=OPTICAL, augment=QUIET))
    given = batch(policy.reads, b=50, t=4)
    image = given.images["sentinel-2-l2a"]
    image.valid[:, 2:] = False
    image.days[:, 2:] = NO_DAY
    assert (days_of(policy(given, generator())) != NO_DAY).all()


def test_without_replacement_dates_differ_as_far_as_there_are_any():
    usable = torch.tensor([[True] * 4, [True, False, True, False], [False, True, False, False], [False] * 4])
    drawn = draw_three(usable, generator(), replacement=False)
    assert [len(set(row)) for row in drawn.tolist()] == [3, 2, 1, 3]
    assert all(usable[i, date] for i in range(3) for date in drawn[i].tolist())


def test_two_periods_are_the_newer_and_the_older_half():
    policy = views.build(two_periods.Config(bands=OPTICAL, augment=QUIET))
    made = policy(batch(policy.reads, b=200, t=6, side=2), generator())
    assert [view.role for view in made[:5]] == ["new-query", "new-key-0", "new-key-1", "new-key-2", "old-query"]
    days = days_of(made) % 6
    assert (days[:, :4] >= 3).all()
    assert (days[:, 4:] < 3).all()
    assert (days[:, :3].sort(dim=1).values == torch.tensor([3, 4, 5])).all()


def test_halves_go_by_day_not_by_position():
    image = batch({"sentinel-2-l2a": ("B02",)}, b=2, t=5, side=2).images["sentinel-2-l2a"]
    image.days[0] = torch.tensor([50, 10, 40, 20, 30])
    image.days[1] = torch.tensor([5, NO_DAY, 1, NO_DAY, NO_DAY])
    image.valid[1, [1, 3, 4]] = False
    new, old = halves(image)
    assert new.tolist() == [[True, False, True, False, True], [True, False, False, False, False]]
    assert old.tolist() == [[False, True, False, True, True], [False, False, True, False, False]]
