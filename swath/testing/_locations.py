"""What a positional encoding, and a network on one, have to keep."""

from typing import Any

import torch

from swath.encoders.location import encodings, networks

PLACES = torch.tensor([[13.4, 52.5], [-70.6, -33.4], [0.0, 0.0], [180.0, 12.0], [-180.0, -90.0]], dtype=torch.float64)


def features_are_as_many_as_promised(settings: Any) -> None:
    """Finite float64 numbers, `dim` a location, that differ between locations and never between two calls."""
    encoding = encodings.build(settings)
    found = encoding(PLACES)
    assert found.shape == (5, encoding.dim), f"{tuple(found.shape)} instead of (5, {encoding.dim})"
    assert found.dtype == torch.float64, f"features are {found.dtype}"
    assert bool(found.isfinite().all()), "a feature is not finite"
    assert bool((found[0] != found[1]).any()), "two locations have the same features"
    assert torch.equal(found, encodings.build(settings)(PLACES)), "two builds differ"
    assert not list(encoding.parameters()), "an encoding has nothing to train"


def what_it_says_of_continuity_holds(settings: Any) -> None:
    """WRAPS: nothing happens at the antimeridian; ONE_POLE: a pole has one value."""
    encoding = encodings.build(settings)
    east, west = encoding(torch.tensor([[180 - 1e-9, 31.0], [-180 + 1e-9, 31.0]], dtype=torch.float64))
    assert not encoding.WRAPS or bool((east - west).abs().max() < 1e-3), "it jumps at the antimeridian"
    for pole in (-90.0, 90.0):
        one, other = encoding(torch.tensor([[-150.0, pole], [20.0, pole]], dtype=torch.float64))
        assert not encoding.ONE_POLE or bool((one - other).abs().max() < 1e-6), f"it has several values at {pole:g}"


def a_network_gives_what_it_promises(settings: Any) -> None:
    """`dim` finite numbers a location, which depend on the features; all of its weights can be trained."""
    torch.manual_seed(0)
    dim = settings.dim or networks.USUAL_DIM
    network = networks.build(settings, 6, dim).eval()
    embedded = network(torch.randn(5, 6, generator=torch.Generator().manual_seed(0)))
    assert embedded.shape == (5, dim), f"{tuple(embedded.shape)} instead of (5, {dim})"
    assert bool((embedded[0] != embedded[1]).any()), "all locations have one embedding"
    embedded.square().sum().backward()
    still = [name for name, one in network.named_parameters() if one.requires_grad and one.grad is None]
    assert not still, f"{', '.join(still)} cannot be trained"


ENCODING_CHECKS = (features_are_as_many_as_promised, what_it_says_of_continuity_holds)
NETWORK_CHECKS = (a_network_gives_what_it_promises,)
