"""The windows of one zone: each computed once, in any order and by any process, and joined with its neighbours.

A window leaves in the working folder, each whole or absent, `N.empty` where it has nothing, else `N.core`, what it
owns, and `N.edges`, its weighted strips beside neighbours. As soon as a window and those before it are there, their
strips are summed, always in the same order, and `N.done` takes the place of the core; edges go when nobody needs them.
"""

import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import shapely
from affine import Affine
from jaxtyping import Bool, Float32, Shaped
from numpy import ndarray
from rasterio.features import geometry_mask
from rasterio.transform import array_bounds

from swath._files import replacing
from swath._progress import track
from swath.batch import Image
from swath.products.scene_maps._layout import Layout
from swath.products.scene_maps._predictors import Predictor, rasters, seen
from swath.products.scene_maps._products import Product
from swath.products.windows import Span, Zone
from swath.sensors import LOCATION

RASTERISING = threading.Lock()
"""Held while rasterio draws polygons: it silences a warning of its own, which two threads at once undo each other."""


@dataclass(frozen=True, eq=False)
class ZoneWork:
    """Everything that the windows of a zone depend on."""

    zone: Zone
    predictor: Predictor
    product: Product
    layout: Layout
    folder: Path
    area: shapely.STRtree | None = None
    """Polygons outside of which there is nothing; in the zone's reference system."""
    device: str = "cpu"

    def path(self, number: int, kind: str) -> Path:
        """The file of a window of one of the kinds."""
        return self.folder / f"{number:06d}.{kind}"

    def finished(self, number: int) -> bool:
        """Whether nothing remains to be done for a window."""
        return self.path(number, "done").exists() or self.path(number, "empty").exists()

    def computed(self, number: int) -> bool:
        """Whether the network need not see a window again."""
        return self.finished(number) or (self.path(number, "core").exists() and self.path(number, "edges").exists())

    @property
    def transform(self) -> Affine:
        """From pixel corners of the map to native coordinates."""
        return self.zone.transform @ Affine.scale(self.predictor.cell)

    def stored(self, number: int) -> Shaped[ndarray, "b h w"]:
        """What a finished window says of what it owns."""
        owned = self.layout.owned(number)
        if self.path(number, "empty").exists():
            return self.product.empty(owned.height, owned.width)
        return np.load(self.path(number, "done"), allow_pickle=False)


def compute(work: ZoneWork, numbers: Sequence[int], progress: str | None = None) -> None:
    """Compute windows and join what can be joined; the next one is read while the network sees the last.

    Args:
        work: what to do.
        numbers: of windows.
        progress: what a progress bar is called; None for none.

    Raises:
        CorpusError: a file of the input is bad.
        ContractError: its units or pixel size are not those of the network.
    """
    predictor, checked = work.predictor.to(work.device), False
    with ThreadPoolExecutor(1) as reader:
        ahead = [reader.submit(read, work, number) for number in numbers[:1]]
        steps = enumerate(numbers)
        for k, number in track(steps, len(numbers), progress) if progress else steps:
            images, mask = ahead.pop().result()
            ahead = [reader.submit(read, work, n) for n in numbers[k + 1 : k + 2]]
            if images is not None and not checked and any(one.valid.any() for one in rasters(images).values()):
                predictor.check(_at_one_point(images))
                checked = True
            _compute_one(work, predictor, number, images, mask)
            for one in work.layout.after(number):
                settle(work, one)


def read(work: ZoneWork, number: int) -> tuple[dict[str, Image] | None, Bool[ndarray, "h w"]]:
    """What the network sees of a window, None where all of it lies outside of the area; and which pixels lie in it."""
    span = work.layout.span(number)
    mask = inside(work, span)
    if not mask.any():
        return None, mask
    images = work.zone.read(_seen_span(work, number))
    if wanted := [key.partition("/")[2] for key in work.predictor.bands if key.startswith(f"{LOCATION}/")]:
        images[LOCATION] = work.zone.location(wanted, *work.predictor.middles(span))
    return images, mask


def _at_one_point(images: dict[str, Image]) -> dict[str, Image]:
    """The same, of which the location says one point, as that of a chip does."""
    if LOCATION not in images:
        return images
    location = images[LOCATION]
    one = replace(location, pixels=location.pixels[..., :1, :1], valid=location.valid[..., :1, :1])
    return images | {LOCATION: one}


def _seen_span(work: ZoneWork, number: int) -> Span:
    """What is read for a window, which may reach beyond the raster on all sides."""
    span, cell, margin = work.layout.span(number), work.predictor.cell, work.predictor.margin
    return Span(
        span.row * cell - margin,
        span.column * cell - margin,
        span.height * cell + 2 * margin,
        span.width * cell + 2 * margin,
    )


def inside(work: ZoneWork, span: Span) -> Bool[ndarray, "h w"]:
    """True for the map's pixels whose middle lies in the area."""
    if work.area is None:
        return np.ones((span.height, span.width), bool)
    transform = work.transform @ Affine.translation(span.column, span.row)
    shape = span.height, span.width
    near = work.area.geometries[work.area.query(shapely.box(*array_bounds(*shape, transform)))]
    if not len(near):
        return np.zeros(shape, bool)
    with RASTERISING:
        return geometry_mask(near.tolist(), shape, transform, invert=True)


def _compute_one(
    work: ZoneWork, predictor: Predictor, number: int, images: dict[str, Image] | None, mask: Bool[ndarray, "h w"]
) -> None:
    span, owned = work.layout.span(number), work.layout.owned(number)
    valid = None if images is None else seen(images, predictor.margin, predictor.cell).numpy() & mask
    if images is None or valid is None or not valid.any():
        work.path(number, "empty").touch()
        return
    values = predictor({sensor: image.to(work.device) for sensor, image in images.items()}).cpu().numpy()
    here = owned.inside(span)
    if not work.layout.overlap:
        _save(work.path(number, "done"), work.product.encode(values[:, *here], valid[here]))
        return
    values *= work.layout.weights(number)
    _save_edges(work, number, values, valid[here])
    _save(work.path(number, "core"), work.product.encode(values[:, *here], valid[here]))


def _save(path: Path, array: ndarray) -> None:
    with replacing(path) as temporary, temporary.open("wb") as file:
        np.save(file, array, allow_pickle=False)


def _save_edges(work: ZoneWork, number: int, values: Float32[ndarray, "k y x"], valid: Bool[ndarray, "h w"]) -> None:
    """The strips along a window's four sides, as far as there are neighbours; its own of what it owns."""
    o, (h, w) = work.layout.overlap, valid.shape
    left, above, _ = work.layout.before(number)
    row, column = work.layout.position(number)
    strips = {
        "top": values[:, :o, :w] if above is not None else None,
        "left": values[:, :h, :o] if left is not None else None,
        "bottom": values[:, -o:] if work.layout.number(row + 1, column) is not None else None,
        "right": values[:, :, -o:] if work.layout.number(row, column + 1) is not None else None,
    }
    there = {name: strip for name, strip in strips.items() if strip is not None}
    with replacing(work.path(number, "edges")) as temporary, temporary.open("wb") as file:
        np.savez(file, allow_pickle=False, valid=valid, **there)


def settle(work: ZoneWork, number: int) -> None:
    """Join a window with those before it, if all of them are computed; drop the edges that nobody needs any more.

    Two processes may do so at once: they write the same.
    """
    if work.finished(number):
        _drop_edges(work, [number, *_there(work.layout.before(number))])
        return
    before = work.layout.before(number)
    if not all(work.computed(one) for one in (number, *_there(before))):
        return
    try:
        joined = _joined(work, number, before)
    except FileNotFoundError:
        if work.finished(number):  # another process was faster
            return
        raise
    _save(work.path(number, "done"), joined)
    work.path(number, "core").unlink(missing_ok=True)
    _drop_edges(work, [number, *_there(before)])


def _there(numbers: Sequence[int | None]) -> Iterator[int]:
    return (one for one in numbers if one is not None)


def _joined(work: ZoneWork, number: int, before: tuple[int | None, int | None, int | None]) -> ndarray:
    core = np.load(work.path(number, "core"), allow_pickle=False)
    own = _edges(work, number)
    left, above, corner = (_edges(work, one) for one in before)
    valid, o = own["valid"], work.layout.overlap
    h, w = valid.shape
    if "top" in own:
        top = own["top"].copy()
        _add(top[:, :, :o], left.get("right"), (slice(0, o), slice(None)))
        _add(top, above.get("bottom"), (slice(None), slice(0, w)))
        _add(top[:, :, :o], corner.get("bottom"), (slice(None), slice(-o, None)))
        core[:, :o] = work.product.encode(top, valid[:o])
    if "left" in own:
        begin = o if "top" in own else 0
        side = own["left"][:, begin:].copy()
        _add(side, left.get("right"), (slice(begin, h), slice(None)))
        core[:, begin:, :o] = work.product.encode(side, valid[begin:, :o])
    return core


def _edges(work: ZoneWork, number: int | None) -> dict[str, ndarray]:
    """The strips of a window; none of one that is not there, or has nothing."""
    if number is None or work.path(number, "empty").exists():
        return {}
    with np.load(work.path(number, "edges"), allow_pickle=False) as strips:
        return dict(strips)


def _add(to: ndarray, strip: ndarray | None, where: tuple[slice, slice]) -> None:
    if strip is not None:
        to += strip[:, *where]


def _drop_edges(work: ZoneWork, numbers: Sequence[int]) -> None:
    for one in numbers:
        if all(work.finished(later) for later in work.layout.after(one)):
            work.path(one, "edges").unlink(missing_ok=True)
