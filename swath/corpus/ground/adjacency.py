"""Finding images that show the same or neighbouring ground, from their pixels alone.

Published patch collections often come without coordinates, although many of their patches are one place on several
dates, overlap, or were cut side by side. A random split then tests on what it was trained on. Three searches find
such images:

- `overlaps`: the same pixels occur in two images, at any shift. Exact, hence for a channel that does not change with
  the date (elevation, land cover), or any channel of images that were cut from one scene.
- `matches`: the same relief occurs in two images at some shift, but not the same numbers, because the two were
  resampled onto grids a fraction of a pixel apart. Normalised cross-correlation of the detail, over all shifts.
- `seams`: the last row or column of one image continues in the first of another without a shared pixel. The step
  across the seam is compared with the steps just inside the two images.

The last two are statistical, and their limits come from decoys: the same images laid together mirrored, which cannot
be the same or neighbouring ground but have the same statistics. A pair counts only if it is beyond every decoy.

`together` runs all three and joins what they find into groups that a split must not part.
"""

from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

import numpy as np
from jaxtyping import Bool, Complex, Float, Int, Num, Shaped
from numpy import ndarray
from numpy.lib.stride_tricks import sliding_window_view
from scipy import fft
from scipy.ndimage import gaussian_filter
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components

from swath._progress import track

_BLOCK = 64
"""Images compared at a time, to bound memory."""


@dataclass(frozen=True, slots=True, order=True)
class Link:
    """Two images that show the same or touching ground."""

    first: int
    """Position of one image in the stack."""
    second: int
    """Position of the other; larger than `first`, except for seams, where `first` lies to the left or above."""
    kind: Literal["overlap", "match", "seam"]
    dy: int
    """Rows from the origin of `first` to the origin of `second`; negative is up."""
    dx: int
    """Columns from the origin of `first` to the origin of `second`; negative is left."""
    score: float
    """Overlap: number of shared pixels. Match: correlation. Seam: mean log ratio of the steps, 0 where seamless."""


def together(
    overlap: Num[ndarray, "n o y x"], match: Num[ndarray, "n m y x"], seam: Num[ndarray, "n s y x"]
) -> tuple[Int[ndarray, " n"], list[Link]]:
    """Group number of each image, and the links that join them.

    Args:
        overlap: channels in which to look for shared pixels; each finds its own.
        match: channels in which to look for the same relief; each finds its own.
        seam: channels in which to look for seams, all of them together; may be empty, like the others.
    """
    links = sorted({link for channel in overlap.swapaxes(0, 1) for link in overlaps(channel)})
    for channel in match.swapaxes(0, 1):
        links += matches(channel, clusters(len(channel), links))
    if seam.shape[1]:
        links += seams(seam, clusters(len(seam), links))
    return clusters(len(overlap), links), links


def clusters(count: int, links: Iterable[Link]) -> Int[ndarray, " n"]:
    """Group number of each of `count` images, as `joined` by the links."""
    return joined(count, [(link.first, link.second) for link in links])


def joined(count: int, pairs: Iterable[tuple[int, int]]) -> Int[ndarray, " n"]:
    """Group number of each of `count` items, from 0 in the order of their first members, where pairs belong
    together.
    """
    ends = np.array(list(pairs), int).reshape(-1, 2)
    graph = coo_matrix((np.ones(len(ends)), (ends[:, 0], ends[:, 1])), shape=(count, count))
    labels = connected_components(graph, directed=False)[1]
    _, first, inverse = np.unique(labels, return_index=True, return_inverse=True)
    return np.argsort(np.argsort(first))[inverse]


def linked(names: Sequence[Iterable[Hashable]], pairs: Iterable[tuple[int, int]] = ()) -> Int[ndarray, " n"]:
    """Group number of each item, where those that share a name or form a pair belong together."""
    members: dict[Hashable, list[int]] = {}
    for position, own in enumerate(names):
        for name in own:
            members.setdefault(name, []).append(position)
    alike = [pair for positions in members.values() for pair in pairwise(positions)]
    return joined(len(names), [*alike, *pairs])


# -- the same pixels ---------------------------------------------------------------------------------------------------


def overlaps(images: Num[ndarray, "n y x"], *, run: int = 32, relief: int = 8) -> list[Link]:
    """Pairs of images that share pixels, with the shift between them.

    Two rectangles of one size that overlap share a stretch of the border of each. So runs of `run` pixels along the
    borders are looked up, by hash, among all runs of all images, and a hit counts if every shared pixel agrees.

    Args:
        images: one channel; the same ground must have the same value in both.
        run: the shortest overlap, in pixels along its longer side; the other side may be a single pixel.
        relief: changes from pixel to pixel that a run must have to be looked up: flat ground is alike everywhere.
    """
    coded = np.unique(images, return_inverse=True)[1].reshape(images.shape).astype(np.int64)
    shifts = _shifts(coded, run, relief)
    shifts |= {(a, b, dy, dx) for a, b, dx, dy in _shifts(coded.swapaxes(1, 2), run, relief)}
    links = []
    for a, b, dy, dx in sorted(shifts):
        one, other = _shared(coded[a], dy, dx), _shared(coded[b], -dy, -dx)
        if np.array_equal(one, other) and _changes(one) >= 2 * relief:
            links.append(Link(a, b, "overlap", dy, dx, float(one.size)))
    return links


def _shifts(coded: Int[ndarray, "n y x"], run: int, relief: int) -> set[tuple[int, int, int, int]]:
    """Candidates (first, second, dy, dx), from horizontal runs on the upper and lower borders."""
    run = min(run, coded.shape[2])
    weights = np.random.default_rng(0).integers(1, 2**62, run) | 1
    anchors = _anchors(coded, run, relief, weights)
    wanted = np.sort(np.fromiter(anchors, np.int64, len(anchors)))
    shifts = set()
    for image, pixels in enumerate(coded):
        hashes = sliding_window_view(pixels, run, axis=1) @ weights
        for row, column in np.argwhere(_among(hashes, wanted)):
            for other, r, c in anchors[int(hashes[row, column])]:
                shifts.add((image, other, int(row) - r, int(column) - c))
    # a pair found from the other side is the same pair the other way round
    return {(a, b, dy, dx) if a < b else (b, a, -dy, -dx) for a, b, dy, dx in shifts if a != b}


def _anchors(
    coded: Int[ndarray, "n y x"], run: int, relief: int, weights: Int[ndarray, " run"]
) -> dict[int, list[tuple[int, int, int]]]:
    """Border runs with enough relief, as (image, row, column) by hash."""
    last = coded.shape[2] - run
    columns = sorted({*range(0, last + 1, max(run // 2, 1)), last})
    anchors: dict[int, list[tuple[int, int, int]]] = {}
    for row in (0, coded.shape[1] - 1):
        for column in columns:
            pieces = coded[:, row, column : column + run]
            rough = np.count_nonzero(np.diff(pieces, axis=1), axis=1) >= relief
            for image in np.flatnonzero(rough):
                anchors.setdefault(int(pieces[image] @ weights), []).append((int(image), row, column))
    return anchors


def _among(values: Int[ndarray, "y x"], wanted: Int[ndarray, " k"]) -> Bool[ndarray, "y x"]:
    if not len(wanted):
        return np.zeros(values.shape, bool)
    return wanted[np.searchsorted(wanted, values).clip(max=len(wanted) - 1)] == values


def _shared(image: Shaped[ndarray, "y x"], dy: int, dx: int) -> Shaped[ndarray, "..."]:
    """The part of an image that another of its size, whose origin is at (dy, dx), covers too."""
    height, width = image.shape
    return image[max(dy, 0) : height + min(dy, 0), max(dx, 0) : width + min(dx, 0)]


def _changes(image: Shaped[ndarray, "y x"]) -> int:
    return int(np.count_nonzero(np.diff(image, axis=0)) + np.count_nonzero(np.diff(image, axis=1)))


# -- the same relief ---------------------------------------------------------------------------------------------------


def matches(
    images: Num[ndarray, "n y x"], groups: Int[ndarray, " n"], *, share: float = 0.12, least: float = 0.8
) -> list[Link]:
    """Pairs of images of different groups whose detail correlates at some shift better than that of any decoy.

    Takes about a millisecond a pair at 128 × 128; images that are equal to an earlier one are not compared again.

    Args:
        images: one channel.
        groups: pairs of one group are known already and left out.
        share: smallest overlap, as a part of an image.
        least: smallest correlation, also where all decoys are lower.
    """
    _, keep = np.unique(images.reshape(len(images), -1), axis=0, return_index=True)
    keep = np.sort(keep)
    detail = images[keep].astype(np.float32)
    # Smooth slopes correlate anywhere; what is left after taking them out is particular to a place.
    detail = detail - gaussian_filter(detail, (0, 3, 3))
    search = _Correlation(detail, detail, groups[keep], share)
    mirrored = _Correlation(detail, detail[:, ::-1, ::-1], groups[keep], share)
    limit = max([least, *(score for *_, score in mirrored.best(least, "looking for matches: decoys"))])
    matching = search.best(limit, "looking for matches")
    return [
        Link(int(keep[a]), int(keep[b]), "match", dy, dx, score) for a, b, dy, dx, score in matching if score > limit
    ]


class _Correlation:
    """Normalised cross-correlation at all shifts, from one inverse transform a pair.

    The detail's mean is close to zero in any window, so only the energies of the overlapping parts are needed beside
    the correlation itself (Lewis 1995, Fast normalized cross-correlation, with the mean dropped).
    """

    def __init__(
        self,
        one: Float[ndarray, "n y x"],
        other: Float[ndarray, "n y x"],
        groups: Int[ndarray, " n"],
        share: float,
    ):
        self.groups, self.shape = groups, one.shape[1:]
        self.padded = [int(fft.next_fast_len(2 * size, real=True) or 0) for size in self.shape]
        window = self._transform(np.ones((1, *self.shape), np.float32))
        self.one, self.other = self._transform(one), self._transform(other)
        self.energy_one = self._back(self._transform(one**2) * window.conj())
        self.energy_other = self._back(window * self._transform(other**2).conj())
        area = self._back(window * window.conj())[0]
        self.enough = area >= share * np.prod(self.shape)
        # A quarter of a squared count a pixel: below that, rounding is all the relief there is.
        self.floor = 0.25 * area

    def _transform(self, images: Float[ndarray, "n y x"]) -> Complex[ndarray, "n u v"]:
        return np.asarray(fft.rfft2(images, self.padded))

    def _back(self, spectrum: Complex[ndarray, "n u v"]) -> Float[ndarray, "n p q"]:
        return np.asarray(fft.irfft2(spectrum, self.padded))

    def best(self, least: float, description: str) -> list[tuple[int, int, int, int, float]]:
        """(first, second, dy, dx, correlation) of each pair of different groups whose correlation is at least
        `least`.
        """
        pairs = []
        for i in track(range(len(self.one)), len(self.one), description):
            later = np.flatnonzero(self.groups[i + 1 :] != self.groups[i]) + i + 1
            for start in range(0, len(later), _BLOCK):
                pairs += self._of(i, later[start : start + _BLOCK], least)
        return pairs

    def _of(self, i: int, others: Int[ndarray, " k"], least: float) -> list[tuple[int, int, int, int, float]]:
        product = self._back(self.one[i] * self.other[others].conj())
        energies = np.maximum(self.energy_one[i], self.floor) * np.maximum(self.energy_other[others], self.floor)
        score = np.where(self.enough, product / np.sqrt(np.where(self.enough, energies, 1)), -1).reshape(
            len(others), -1
        )
        peak = score.argmax(1)
        pairs = []
        for k in np.flatnonzero(score[np.arange(len(others)), peak] >= least):
            dy, dx = self._signed(int(peak[k]))
            pairs.append((i, int(others[k]), dy, dx, float(score[k, peak[k]])))
        return pairs

    def _signed(self, position: int) -> tuple[int, int]:
        dy, dx = divmod(position, self.padded[1])
        return dy - self.padded[0] * (dy >= self.shape[0]), dx - self.padded[1] * (dx >= self.shape[1])


# -- seams -------------------------------------------------------------------------------------------------------------


def seams(
    images: Num[ndarray, "n c y x"], groups: Int[ndarray, " n"], *, most: float = 0.25, gap: float = 0.25
) -> list[Link]:
    """Pairs of images of different groups that continue one another seamlessly, beyond any decoy.

    The score of a pair is the mean over channels of log(step across the seam / step just inside both images), steps
    being root mean squares along the border: 0 for neighbours, whatever the noise, and 1 to 4 for other images.

    Args:
        images: channels are weighted alike.
        groups: pairs of one group are known already, and members of one group do not compete with one another.
        most: highest score, also where all decoys are higher.
        gap: the next best candidate of either border must score worse by this much. Uniform borders (water) fit many
            others equally well and are left alone.
    """
    pixels = images.astype(np.float64)
    pixels /= np.maximum(pixels.std((0, 2, 3)), 1e-12)[:, None, None]
    links = []
    for dy, dx, rows in ((0, images.shape[3], pixels.swapaxes(2, 3)), (images.shape[2], 0, pixels)):
        decoys = _seams_along(rows, groups, gap, mirrored=True)
        limit = min([most, *(score for *_, score in decoys)])
        seamless = _seams_along(rows, groups, gap, mirrored=False)
        links += [Link(a, b, "seam", dy, dx, score) for a, b, score in seamless if score < limit]
    return sorted(links)


def _seams_along(
    pixels: Float[ndarray, "n c y x"], groups: Int[ndarray, " n"], gap: float, *, mirrored: bool
) -> list[tuple[int, int, float]]:
    """(above, below, score) of the mutually best pairs that beat the next best group by the gap."""
    score = _steps(pixels, mirrored=mirrored)
    score[groups[:, None] == groups] = np.inf
    score[_flat(pixels[:, :, -1])] = np.inf
    score[:, _flat(pixels[:, :, 0])] = np.inf
    pairs = []
    for a, b in enumerate(score.argmin(1)):
        if score[:, b].argmin() != a or not np.isfinite(score[a, b]):
            continue
        rivals = np.r_[score[a, groups != groups[b]], score[groups != groups[a], b]]
        if rivals.min(initial=np.inf) - score[a, b] >= gap:
            pairs.append((a, int(b), float(score[a, b])))
    return pairs


def _flat(border: Float[ndarray, "n c x"], relief: int = 8) -> Bool[ndarray, " n"]:
    """True where no channel changes along the border, such as in a strip of nodata: that fits any other such strip."""
    return (np.count_nonzero(np.diff(border), axis=2) < relief).all(axis=1)


def _steps(pixels: Float[ndarray, "n c y x"], *, mirrored: bool) -> Float[ndarray, "n n"]:
    """Mean over channels of log(step from the last row of i to the first of j / steps just inside both)."""
    inner, last, first, second = pixels[:, :, -2], pixels[:, :, -1], pixels[:, :, 0], pixels[:, :, 1]
    below, above = ((first - second) ** 2).mean(2), ((last - inner) ** 2).mean(2)
    if mirrored:
        first = first[..., ::-1]
    total = np.zeros((len(pixels), len(pixels)))
    for c in range(pixels.shape[1]):
        across = _mean_squares(last[:, c], first[:, c])
        inside = (above[:, c, None] + below[None, :, c]) / 2
        # 3 thousandths of a standard deviation: less is rounding
        total += np.log((across + 1e-5) / (inside + 1e-5)) / 2
    return total / pixels.shape[1]


def _mean_squares(one: Float[ndarray, "n x"], other: Float[ndarray, "n x"]) -> Float[ndarray, "n n"]:
    squares = (one**2).sum(1)[:, None] + (other**2).sum(1) - 2 * one @ other.T
    return np.maximum(squares, 0) / one.shape[1]
