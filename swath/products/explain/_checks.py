"""What keeps an attribution honest: whether removing what it names first lowers the score, and whether it depends on
what was learnt.

Deletion and insertion: Petsiuk et al. 2018, https://arxiv.org/abs/1806.07421. Randomised weights: Adebayo et al. 2018,
https://arxiv.org/abs/1810.03292.
"""

import warnings
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from numpy import ndarray
from torch import Tensor

from swath.products.explain._explained import Explained, Images, Target, copies, seen, with_pixels
from swath.products.explain.attributions import Attribution, band_names

STEPS = 10
"""Number of steps in which everything is removed, or put back."""
RANDOM = 10
"""Number of orders that know nothing, which an order is held against."""
BATCH = 64
"""Images with something removed that are looked at together."""
Units = Literal["pixels", "dates", "bands"]
Where = dict[str, Int[Tensor, "t c h w"]]
"""By sensor, the number of the unit that each value belongs to; -1 where it belongs to none."""


@dataclass(frozen=True, slots=True, eq=False)
class Removal:
    """What is said of the class while what an attribution names is removed, the most important first."""

    units: Units
    count: int
    """How many units there are."""
    share: Float[ndarray, " steps"]
    """Share of the units that are removed, or put back; 0 to 1."""
    deleted: Float[ndarray, " steps"]
    """Probability of the class, or the number, with that share replaced by no signal."""
    inserted: Float[ndarray, " steps"]
    """The same with that share put into no signal."""
    deletion: float
    """Mean of `deleted` over the share, the area under the curve; the smaller, the better the order."""
    insertion: float
    """The area under `inserted`; the larger, the better the order."""
    random_deletion: Float[ndarray, " orders"]
    """The areas of orders that know nothing: of pixels by the same map, mirrored and moved; of others random ones."""
    random_insertion: Float[ndarray, " orders"]


@dataclass(frozen=True, slots=True, eq=False)
class _Ranked:
    """Units of one location, and how important each is."""

    units: Units
    where: Where
    order: Int[ndarray, " n"]
    """The most important first."""
    others: list[Int[ndarray, " n"]]
    """Orders that know nothing."""


def removals(
    explained: Explained, images: Images, target: Target, attribution: Attribution, seed: int = 0
) -> list[Removal]:
    """The curves of one location: by pixels, and where the attribution tells them apart by dates and by bands.

    Of a single pixel, date or band there is no curve.
    """
    rng = np.random.default_rng(seed)
    ranked = (kind(images, attribution, rng) for kind in (_pixels, _series, _bands))
    return [_removal(explained, images, target, one) for one in ranked if one is not None]


def _pixels(images: Images, attribution: Attribution, rng: np.random.Generator) -> _Ranked | None:
    there = seen(images)[0]
    if (count := int(there.sum())) < 2:
        return None
    number, drawn = torch.full(there.shape, -1), attribution.map[0].double().cpu()
    number[there.cpu()] = torch.arange(count)
    importance = drawn[there.cpu()].numpy()
    # scattered holes spoil a picture faster than one large one: what knows nothing has to be as smooth as the map
    moved = [_moved(drawn, rng)[there.cpu()].numpy() for _ in range(RANDOM)]
    others = [_order(one, rng) for one in moved]
    return _Ranked("pixels", dict.fromkeys(images, number[None, None]), _order(importance, rng), others)


def _moved(drawn: Float[Tensor, "h w"], rng: np.random.Generator) -> Float[Tensor, "h w"]:
    """A map that is mirrored at random, and moved across the border to the other side."""
    height, width = drawn.shape
    mirrored = drawn.flip([axis for axis in (0, 1) if rng.random() < 0.5])
    by = int(rng.integers(1, height * width))
    return mirrored.roll((by // width, by % width), dims=(0, 1))


def _order(importance: Float[ndarray, " n"], rng: np.random.Generator) -> Int[ndarray, " n"]:
    """The most important first; of equal ones a random one, and not the uppermost."""
    return np.lexsort((rng.permutation(len(importance)), -importance))


def _shuffled(importance: list[float], rng: np.random.Generator) -> tuple[ndarray, list[ndarray]]:
    """The order of units that lie nowhere, and random ones."""
    return _order(np.array(importance), rng), [rng.permutation(len(importance)) for _ in range(RANDOM)]


def _series(images: Images, attribution: Attribution, rng: np.random.Generator) -> _Ranked | None:
    dates = [(sensor, t) for sensor, image in images.items() for t in _dates(image.valid)]
    if len(dates) < 2 or not any(part.date is not None for part in attribution.parts):
        return None
    where = {sensor: torch.full((image.pixels.shape[1], 1, 1, 1), -1) for sensor, image in images.items()}
    for k, (sensor, t) in enumerate(dates):
        where[sensor][t] = k
    return _Ranked("dates", where, *_shuffled([_sum(attribution, sensor, date=t) for sensor, t in dates], rng))


def _bands(images: Images, attribution: Attribution, rng: np.random.Generator) -> _Ranked | None:
    bands = [(sensor, band) for sensor in images for band in band_names(images, sensor)]
    if len(bands) < 2 or not attribution.parts:
        return None
    where = {
        sensor: torch.tensor([bands.index((sensor, band)) for band in band_names(images, sensor)]).view(1, -1, 1, 1)
        for sensor in images
    }
    return _Ranked("bands", where, *_shuffled([_sum(attribution, sensor, band=band) for sensor, band in bands], rng))


def _dates(valid: Bool[Tensor, "1 t h w"]) -> list[int]:
    return valid[0].flatten(1).any(dim=1).nonzero()[:, 0].tolist()


def _sum(attribution: Attribution, sensor: str, *, date: int | None = None, band: str | None = None) -> float:
    """What is due to a date, or to a band: the sum of what is due to its parts."""
    own = [p for p in attribution.parts if p.sensor == sensor and not p.name]
    if band is not None:
        own = [p for p in own if p.bands == (band,)]
        whole = [p for p in own if p.date is None]
        own = whole or own
    else:
        own = [p for p in own if p.date == date]
    return float(sum(float(part.value[0]) for part in own))


def _removal(explained: Explained, images: Images, target: Target, ranked: _Ranked) -> Removal:
    n, orders = len(ranked.order), [ranked.order, *ranked.others]
    removed = np.unique(np.linspace(0, n, min(n, STEPS) + 1).round().astype(int))
    share = removed / n
    curves = _curves(explained, images, target, ranked.where, orders, removed)
    areas = np.trapezoid(curves, share, axis=2)
    return Removal(
        units=ranked.units,
        count=n,
        share=share,
        deleted=curves[0, 0],
        inserted=curves[0, 1],
        deletion=float(areas[0, 0]),
        insertion=float(areas[0, 1]),
        random_deletion=areas[1:, 0],
        random_insertion=areas[1:, 1],
    )


def _curves(
    explained: Explained, images: Images, target: Target, where: Where, orders: list[ndarray], removed: ndarray
) -> Float[ndarray, "orders 2 steps"]:
    """What is said with so many units of each order removed, and with so many put back."""
    blank = explained.blank(images)
    asked = [(order, back, k) for order in orders for back in (False, True) for k in removed.tolist()]
    said = []
    for start in range(0, len(asked), BATCH):
        some = asked[start : start + BATCH]
        pixels = {
            sensor: torch.cat([_changed(image.pixels, blank[sensor], where[sensor], *one) for one in some])
            for sensor, image in images.items()
        }
        with torch.no_grad():
            changed = with_pixels(copies(images, len(some)), pixels)
            said.append(explained.probability(changed, target.copies(len(some))).double().cpu())
    return torch.cat(said).numpy().reshape(len(orders), 2, len(removed))


def _changed(
    pixels: Tensor, blank: Tensor, where: Int[Tensor, "#t #c #h #w"], order: ndarray, back: bool, k: int
) -> Float[Tensor, "1 t c h w"]:
    """Pixels with the first k units of an order removed, or with no others there."""
    first = torch.zeros(len(order) + 1, dtype=torch.bool)
    first[torch.from_numpy(order[:k])] = True
    # the last one stands where -1 points: what belongs to no unit is neither removed nor put back
    chosen = first[where].to(pixels.device)
    return torch.where(chosen, pixels, blank) if back else torch.where(chosen, blank, pixels)


def rank_correlation(one: Attribution, other: Attribution, images: Images) -> float:
    """Spearman's correlation of two attributions of one location: of their maps, of a single pixel by band and date;
    NaN where there is nothing to rank."""
    from scipy.stats import ConstantInputWarning, spearmanr

    there = seen(images)[0]
    a, b = (_values(each, there) for each in (one, other))
    if len(a) < 3:
        return float("nan")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConstantInputWarning)
        return float(spearmanr(a, b)[0])  # pyright: ignore[reportArgumentType]


def _values(attribution: Attribution, there: Bool[Tensor, "h w"]) -> Float[ndarray, " n"]:
    if int(there.sum()) > 1:
        return attribution.map[0][there].double().cpu().numpy()
    return np.array([float(part.value[0]) for part in attribution.parts if not part.name])
