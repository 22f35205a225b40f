"""The promises of a view policy."""

from typing import Any

import torch

from swath import views
from swath.batch import View
from swath.sensors import band_id
from swath.testing._data import batch, generator
from swath.views import Policy, Wanted

SERIES = 3
"""Number of dates of a batch for a policy that wants whole series."""


def drawn(settings: Any, seed: int = 0) -> tuple[Policy, list[View]]:
    """The policy, and its views of a generated batch."""
    policy = views.build(settings)
    dates = policy.dates if isinstance(policy.dates, int) else SERIES
    return policy, policy(batch(policy.reads, b=4, t=dates), generator(seed))


def _maps(policy: Policy) -> list[Wanted]:
    """The targets that are read as images."""
    return [target for target in policy.inputs.targets if target.kind == "map"]


def it_reads_the_bands_that_its_views_hold(settings: Any) -> None:
    """`reads` and `inputs` name the same bands, those of targets among them, each once."""
    policy = views.build(settings)
    read = [f"{sensor}/{name}" for sensor, names in policy.reads.items() for name in names]
    assert len(set(read)) == len(read), "a band is read twice"
    named = {*policy.inputs.bands, *(key for target in _maps(policy) for key in target.of)}
    assert named == set(read), f"it reads {read}, and feeds or predicts {sorted(named)}"


def its_views_fit_its_inputs(settings: Any) -> None:
    """Views have the channels and bands that `inputs` promises, finite pixels, and say where they lie in the chip."""
    policy, made = drawn(settings)
    known = {band_id(key) for key in policy.inputs.bands}
    widths = set(policy.inputs.branches or (policy.inputs.channels,))
    if policy.inputs.any_number:
        widths = set(range(1, len(policy.inputs.bands) + 1))
    assert len({view.role for view in made}) == len(made), "two views have one role"
    of_targets = {target.name: target.of for target in _maps(policy)}
    assert of_targets.keys() <= {view.role for view in made}, "a map that shall be predicted has no view"
    for view in made:
        b, _, channels = view.image.pixels.shape[:3]
        own = of_targets.get(view.role)
        named = {band_id(key) for key in own} if own else known
        assert b == 4, f"a view has {b} samples of 4"
        assert channels in ({len(own)} if own else widths), (
            f"a view has {channels} channels, inputs say {policy.inputs}"
        )
        assert set(view.image.band_ids.flatten().tolist()) <= named, "a view holds a band that inputs do not name"
        assert view.affine.shape == (4, 2, 3), f"an affine has the shape {tuple(view.affine.shape)}"
        assert bool(view.image.pixels.isfinite().all()), "a view's pixels are not finite"


def its_views_are_a_function_of_the_generator(settings: Any) -> None:
    """All randomness comes from the generator that it is given, so that a run can be continued."""
    torch.manual_seed(0)
    first = drawn(settings, 7)[1]
    torch.manual_seed(1)
    second = drawn(settings, 7)[1]
    for one, other in zip(first, second, strict=True):
        assert torch.equal(one.image.pixels, other.image.pixels), "two draws of one generator differ"
        assert torch.equal(one.image.band_ids, other.image.band_ids), "two draws of one generator differ in bands"


CHECKS = (
    it_reads_the_bands_that_its_views_hold,
    its_views_fit_its_inputs,
    its_views_are_a_function_of_the_generator,
)
