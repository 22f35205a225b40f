"""The windows of one zone: each computed once, in any order and by any process, and joined with its neighbours.

A window leaves in the working folder, each whole or absent, `N.empty` where it has nothing, else `N.core`, what it
owns, and `N.edges`, its weighted strips beside neighbours. As soon as a window and those before it are there, their
strips are summed, always in the same order, and `N.done` takes the place of the core; edges go when nobody needs them.
"""

import threading
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
import shapely
import torch
from affine import Affine
from jaxtyping import Bool, Float, Float32, Shaped
from numpy import ndarray
from rasterio.features import geometry_mask
from rasterio.transform import array_bounds
from torch import Tensor

from swath._device import Arrival, fetch
from swath._files import replacing
from swath._progress import track
from swath.batch import Image
from swath.corpus.reading import one_ahead
from swath.products.scene_maps._layout import Layout
from swath.products.scene_maps._predictors import Predictor, seen
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


@dataclass(frozen=True, slots=True, eq=False)
class Window:
    """What the network sees of a window."""

    number: int
    images: dict[str, Image]
    """On the device of the network; none where nothing of it is valid."""
    valid: Bool[ndarray, "h w"]
    """Which pixels of the map have something to be made of, and lie in the area."""


@dataclass(frozen=True, slots=True, eq=False)
class Said:
    """What the network says of a window, on its way to the host."""

    number: int
    valid: Bool[ndarray, "h w"]
    values: Float[Tensor, "k h w"] | None
    """None where it was not asked, as nothing is valid."""
    arrived: Arrival | None
    """Tells when the values are there; None: they are."""


def compute(work: ZoneWork, numbers: Sequence[int], progress: str | None = None) -> None:
    """Compute windows and join what can be joined.

    The next window is read while the network sees one, and what it said of the last is written while a GPU does.

    Args:
        work: what to do.
        numbers: of windows.
        progress: what a progress bar is called; None for none.

    Raises:
        CorpusError: a file of the input is bad.
        ContractError: its units or pixel size are not those of the network.
    """
    predictor = work.predictor.to(work.device)
    windows = one_ahead(partial(read, work), numbers)
    said = (_ask(predictor, window) for window in _checked(predictor, windows))
    said = said if work.device == "cpu" else _one_behind(said)
    written = map(partial(_write, work), said)  # holds nothing of a window that is written
    for number in track(written, len(numbers), progress) if progress else written:
        for later in work.layout.after(number):
            settle(work, later)


def _one_behind(items: Iterable[Said]) -> Iterator[Said]:
    """The same, each handed over once the next one is there."""
    before = None
    for item in items:
        if before is not None:
            yield before
        before = item
    if before is not None:
        yield before


def _checked(predictor: Predictor, windows: Iterable[Window]) -> Iterator[Window]:
    """The same windows, of which units and size of the first pixels are checked."""
    checked = False
    for window in windows:
        if window.images and not checked:
            predictor.check(_at_one_point(window.images))
            checked = True
        yield window


def read(work: ZoneWork, number: int) -> Window:
    """What the network sees of a window; its counts travel to the device, and are decoded there."""
    span = work.layout.span(number)
    valid = inside(work, span)
    if not valid.any():
        return Window(number, {}, valid)
    counts = work.zone.counts(_seen_span(work, number))
    valid &= seen([one.validity()[0] for one in counts.values()], work.predictor.margin, work.predictor.cell).numpy()
    if not valid.any():
        return Window(number, {}, valid)
    device = torch.device(work.device)
    images = {sensor: one.to(device).decode() for sensor, one in counts.items()}
    if wanted := [key.partition("/")[2] for key in work.predictor.bands if key.startswith(f"{LOCATION}/")]:
        images[LOCATION] = work.zone.location(wanted, *work.predictor.middles(span)).to(device)
    return Window(number, images, valid)


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


def _ask(predictor: Predictor, window: Window) -> Said:
    """Have the network see a window, without waiting for what a GPU says."""
    if not window.images:
        return Said(window.number, window.valid, None, None)
    (values,), arrived = fetch([predictor(window.images)])
    return Said(window.number, window.valid, values, arrived)


def _write(work: ZoneWork, said: Said) -> int:
    """Leave what was said of a window in the working folder; the window's number."""
    if said.values is None:
        work.path(said.number, "empty").touch()
        return said.number
    if said.arrived is not None:
        said.arrived.synchronize()
    values, here = said.values.numpy(), work.layout.owned(said.number).inside(work.layout.span(said.number))
    valid = said.valid[here]
    if work.layout.overlap:
        values *= work.layout.weights(said.number)
        _save_edges(work, said.number, values, valid)
    kind = "core" if work.layout.overlap else "done"
    _save(work.path(said.number, kind), work.product.encode(values[:, *here], valid))
    return said.number


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
