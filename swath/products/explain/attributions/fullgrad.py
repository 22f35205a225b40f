"""FullGrad: what is due to the input, and what to the bias of each layer, which add up to the score.

Srinivas and Fleuret 2019, https://arxiv.org/abs/1905.00780, as RS-BYOL explains its encoders. Of a network that is
piecewise linear, with x the standardised pixels (no signal is 0) and a_l what layer l gives,

    f(x) = <x, df/dx> + sum_l <b_l, df/da_l>

Biases are found where they are added, whoever adds them: those of convolutions and linear layers, what a batch
normalisation adds at its statistics, whatever constant is added or joined to the features, and of a smooth activation
what its tangent adds. If the parts do not add up, the network is not piecewise linear, and is refused.
"""

import inspect
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Literal

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from swath.encoders import Standardize
from swath.errors import ContractError
from swath.products.explain._explained import Explained, Images, Target, seen, size_of, with_pixels
from swath.products.explain.attributions._types import Attribution, by_band_and_date
from swath.settings import PluginSettings

NEEDS_GRADIENT = True
TOLERANCE = 1e-4
"""Share by which the parts may miss the score before the network is refused: of the score or, where it is smaller than
that, of a hundredth of the parts' absolute values, below which float32 leaves no digits."""
CONVOLUTIONS = {f"conv{'_transpose' * turned}{n}d" for n in (1, 2, 3) for turned in (False, True)}
SUMS = {"add", "add_", "sub", "sub_", "rsub", "addcmul", "lerp", "where", "cat", "concat", "stack"} | {
    f"__{kind}{name}__" for kind in ("", "r", "i") for name in ("add", "sub")
}
"""Operations that add or join: what they give where all that depends on the image is 0 is a bias."""
SMOOTH = {"gelu", "silu", "mish", "elu", "selu", "celu", "sigmoid", "tanh", "softplus", "hardswish", "hardsigmoid"} | {
    "relu6",
    "hardtanh",
    "hardtanh_",
}
"""Activations that are not 0 at 0, or curved."""
CURVED = {"layer_norm", "group_norm", "instance_norm", "softmax", "scaled_dot_product_attention", "normalize"} | {
    "multi_head_attention_forward"
}
"""Operations of which it is known that they are not piecewise linear."""


class Config(PluginSettings):
    """FullGrad (Srinivas and Fleuret 2019)."""

    name: Literal["fullgrad"] = "fullgrad"


def attribute(config: Config, explained: Explained, images: Images, target: Target) -> Attribution:  # noqa: ARG001
    """The map of the paper, eq. 8; by band and date what is due to the input; `elsewhere` what is due to biases.

    Raises:
        ContractError: the parts do not add up to the score.
    """
    assert explained.logits is not None
    blank, size, n = explained.blank(images), size_of(images), len(target.output)
    pixels = {sensor: image.pixels.detach().clone().requires_grad_() for sensor, image in images.items()}
    biases = _Biases(n, size)
    with biases.of(explained.logits):
        score = explained.score(with_pixels(images, pixels), target)
    gradients = torch.autograd.grad(score.sum(), list(pixels.values()), allow_unused=True, materialize_grads=True)
    score = score.detach()
    by_pixel = {
        sensor: (image.pixels - blank[sensor]) * gradient
        for (sensor, image), gradient in zip(images.items(), gradients, strict=True)
    }
    of_input = torch.stack([values.flatten(1).sum(dim=1) for values in by_pixel.values()]).sum(dim=0)
    size_of_all = biases.absolute + torch.stack([v.abs().flatten(1).sum(dim=1) for v in by_pixel.values()]).sum(dim=0)
    gap = (score - of_input - biases.total).abs() / torch.maximum(score.abs(), 0.01 * size_of_all).clamp(min=1e-12)
    _check(gap, biases.curved)
    saliency = biases.map + torch.stack([shown(values, n, size) for values in by_pixel.values()]).sum(dim=0)
    return Attribution(saliency.float() * seen(images), by_band_and_date(by_pixel, images), biases.total, gap)


def _check(gap: Float[Tensor, " b"], curved: set[str]) -> None:
    if not float(gap.max()) <= TOLERANCE:
        why = ", ".join(sorted(curved)) or "an operation that multiplies features, or adds to them unseen"
        raise ContractError(
            f"what FullGrad gives to input and biases misses the score by {100 * float(gap.max()):.2g} % of it: the "
            f"network is not piecewise linear ({why})",
            remedy="take integrated-gradients, grad-cam or occlusion, which ask for no such thing",
        )


def shown(values: Float[Tensor, "n *c"], samples: int, size: tuple[int, int]) -> Float[Tensor, "b h w"]:
    """What the paper draws of a layer: absolute values from 0 to 1 in each sample, summed over channels and dates.

    Args:
        values: features times gradients, of samples or of the dates of each of them; `c h w`, `c t h w`, `t c h w`, or
            without a place, which is drawn nowhere.
        samples: how many there are.
        size: height and width to draw at, corners on corners.
    """
    if values.ndim < 4:
        return values.new_zeros(samples, *size)
    absolute = values.abs().reshape(samples, -1, *values.shape[-2:])
    low, high = torch.aminmax(absolute.flatten(1), dim=1)
    # (sum - n low) / range is the sum of (each - low) / range in one pass less
    total = absolute.sum(dim=1) - (absolute.shape[1] * low)[:, None, None]
    total = total / (high - low + 1e-6)[:, None, None]
    if tuple(total.shape[1:]) == size:
        return total
    return F.interpolate(total[:, None], size, mode="bilinear", align_corners=True)[:, 0]


class _Biases(TorchFunctionMode):
    """Watches a network compute, and multiplies each bias that it meets by its gradient when that comes."""

    def __init__(self, samples: int, size: tuple[int, int]):
        super().__init__()
        self.samples, self.size = samples, size
        self.total: Any = 0.0
        """Sum of all biases times their gradients, by sample; `absolute` that of their absolute values, `map` their
        drawing."""
        self.absolute: Any = 0.0
        self.map: Any = 0.0
        self.curved: set[str] = set()
        """Names of operations that are not piecewise linear."""
        self._standardising = False

    @contextmanager
    def of(self, network: nn.Module) -> Iterator[None]:
        """Watch inside, but for the network's standardisations: no signal is 0 behind them."""
        parts = [part for part in network.modules() if isinstance(part, Standardize)]
        handles = [part.register_forward_pre_hook(self._begin) for part in parts]
        handles += [part.register_forward_hook(self._end) for part in parts]
        try:
            with self:
                yield
        finally:
            for handle in handles:
                handle.remove()

    def _begin(self, *_: Any) -> None:
        self._standardising = True

    def _end(self, *_: Any) -> None:
        self._standardising = False

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if self._standardising or not torch.is_grad_enabled():
            return func(*args, **kwargs)
        name = func.__name__
        if name in CURVED:
            self.curved.add(name)
        find = _finder(name)
        # before it is computed: an operation may work in place
        bias = None if find is None else find(func, args, kwargs)
        out = func(*args, **kwargs)
        if bias is not None and out.requires_grad:
            out.register_hook(lambda gradient: self._add(bias, gradient))
        return out

    def _add(self, bias: Tensor, gradient: Tensor) -> None:
        values = (bias * gradient).detach()
        by_sample = values.reshape(self.samples, -1)
        self.total = self.total + by_sample.sum(dim=1)
        self.absolute = self.absolute + by_sample.abs().sum(dim=1)
        self.map = self.map + shown(values, self.samples, self.size)


Find = Callable[[Any, Any, Any], Tensor | None]


def _finder(name: str) -> Find | None:
    """What finds the bias of an operation of that name."""
    if name in CONVOLUTIONS or name == "linear":
        return _of_layer
    if name == "batch_norm":
        return _of_batch_norm
    if name in SUMS:
        return _of_sum
    return _of_tangent if name in SMOOTH else None


def _of_layer(func: Any, args: Any, kwargs: Any) -> Tensor | None:
    bias = args[2] if len(args) > 2 else kwargs.get("bias")
    if bias is None or func.__name__ == "linear":
        # what is infinite reaches no score
        return None if bias is None else bias.nan_to_num(0.0, 0.0, 0.0)
    spatial = int(func.__name__[-2])
    return bias.view(-1, *[1] * spatial)


NORM = inspect.signature(F.batch_norm)


def _of_batch_norm(func: Any, args: Any, kwargs: Any) -> Tensor | None:  # noqa: ARG001
    said = NORM.bind(*args, **kwargs)
    said.apply_defaults()
    x, mean, variance, weight, bias, _, _, eps = said.arguments.values()
    scale = torch.rsqrt(variance + eps) * (1.0 if weight is None else weight)
    shift = -mean * scale + (0.0 if bias is None else bias)
    return shift.view(-1, *[1] * (x.ndim - 2))


def _of_sum(func: Any, args: Any, kwargs: Any) -> Tensor | None:
    """What remains where all that depends on the image is 0."""
    tensors = list(_tensors((args, kwargs)))
    if all(one.requires_grad or one.dtype == torch.bool for one in tensors) and not _numbers(args, kwargs):
        return None
    with torch.no_grad():
        rest = func(*_without(args), **{key: _without(value) for key, value in kwargs.items()})
    return rest if rest.is_floating_point() and bool(rest.any()) else None


def _numbers(args: Any, kwargs: Any) -> bool:
    return any(isinstance(one, int | float) and one for one in (*args, *kwargs.values()))


def _tensors(said: Any) -> Iterator[Tensor]:
    if isinstance(said, Tensor):
        yield said
    elif isinstance(said, tuple | list):
        for one in said:
            yield from _tensors(one)
    elif isinstance(said, dict):
        yield from _tensors(list(said.values()))


def _without(said: Any) -> Any:
    """Arguments with 0 in place of what depends on the image."""
    if isinstance(said, Tensor):
        return torch.zeros_like(said) if said.requires_grad else said
    return type(said)(_without(one) for one in said) if isinstance(said, tuple | list) else said


def _of_tangent(func: Any, args: Any, kwargs: Any) -> Tensor | None:
    """Of a smooth activation g at u: g(u) - g'(u) u, where its tangent crosses 0."""
    u = args[0].detach().clone().requires_grad_()
    with torch.enable_grad():
        # times 1: an activation may work in place, which no leaf allows
        value = func(u * 1, *args[1:], **kwargs)
    (slope,) = torch.autograd.grad(value.sum(), u)
    return value.detach() - slope * u.detach()
