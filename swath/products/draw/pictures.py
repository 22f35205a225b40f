"""Chips as pictures: which chip of a location, which bands, and how physical values become grey levels."""

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from matplotlib import colormaps

from swath import sensors
from swath.corpus import Corpus, Reader
from swath.products.draw.style import picture
from swath.products.legends import rgb

KINDS = ("optical", "radar", "map")
"""What is shown first."""
MAX_SENSORS = 2
"""Largest number of pictures of a location side by side."""


@dataclass(frozen=True, slots=True)
class ChipPicture:
    """One chip as a picture."""

    uri: str
    """The PNG as a data URI."""
    alt: str
    """Description for readers who cannot see it."""


class Pictures:
    """Pictures of a corpus's locations, by uid."""

    def __init__(self, corpus: Corpus):
        self._corpus = corpus
        self._row_of = {uid: row for row, uid in enumerate(corpus.locations["uid"])}

    def of(self, uids: Sequence[str]) -> dict[str, list[ChipPicture]]:
        """A picture per location and sensor (at most two sensors); locations that the corpus lacks are left out."""
        known = [uid for uid in dict.fromkeys(uids) if uid in self._row_of]
        shots: dict[str, list[ChipPicture]] = {uid: [] for uid in known}
        for name in self._sensors:
            for uid, shot in self._of_sensor(name, known).items():
                shots[uid].append(shot)
        return {uid: pictures for uid, pictures in shots.items() if pictures}

    @cached_property
    def _sensors(self) -> list[str]:
        """Sensors in the order of pictures: optical first, which people read more easily."""
        names = list(self._corpus.info.sensors)
        return sorted(names, key=lambda name: KINDS.index(sensors.get(name).kind))[:MAX_SENSORS]

    def _of_sensor(self, name: str, uids: list[str]) -> dict[str, ChipPicture]:
        chips = self._best_chips(name, [self._row_of[uid] for uid in uids])
        present = [uid for uid in uids if self._row_of[uid] in chips]
        if not present:
            return {}
        bands = shown_bands(name, self._corpus.info.sensors[name].bands)
        positions = np.array([[chips[self._row_of[uid]]] for uid in present], dtype=np.int64)
        image = Reader(self._corpus, {name: bands}).read({name: positions})[name]
        pixels, valid = image.pixels[:, 0].numpy(), image.valid[:, 0].numpy()
        return {
            uid: ChipPicture(uri(stretch(name, pixels[i], valid[i])), f"{name} {', '.join(bands)} of {uid}")
            for i, uid in enumerate(present)
        }

    def _best_chips(self, name: str, rows: list[int]) -> dict[int, int]:
        """Position of each location's clearest chip of that sensor."""
        chips = self._corpus.chips
        own = np.flatnonzero((chips["sensor"] == name).to_numpy() & chips["location"].isin(rows).to_numpy())
        location, cloud, valid = (chips[column].to_numpy(float)[own] for column in ("location", "cloud", "valid"))
        clearest_first = np.lexsort((own, np.nan_to_num(cloud, nan=0.0), -np.nan_to_num(valid, nan=1.0), location))
        best: dict[int, int] = {}
        for i in clearest_first:
            best.setdefault(int(location[i]), int(own[i]))
        return best


def shown_bands(sensor: str, stored: tuple[str, ...]) -> tuple[str, ...]:
    """The bands that a picture shows as red, green and blue, or one as grey.

    The sensor's own choice if all of it is stored; otherwise the first three stored bands, or the first one.
    """
    wanted = sensors.get(sensor).rgb
    if wanted and set(wanted) <= set(stored):
        return wanted
    return stored[:3] if len(stored) >= 3 else stored[:1]


def stretch(name: str, pixels: np.ndarray, valid: np.ndarray) -> np.ndarray:
    """Turn physical values "c y x" into a picture, uint8 "y x" or "y x 3"; invalid pixels are black.

    The sensor's display range is used, so that pictures can be compared with each other; only where nearly all of a
    picture would be black or white is it stretched by itself (2nd to 98th percentile).
    """
    low, high = sensors.get(name).display_range
    if valid.any():
        seen = pixels[:, valid]
        if np.mean((seen <= low) | (seen >= high)) > 0.9:
            low, high = (float(q) for q in np.percentile(seen, [2, 98]))
    grey = (pixels - low) / max(high - low, 1e-6)
    levels = (np.clip(np.where(valid, grey, 0.0), 0, 1) * 255).round().astype(np.uint8)
    return levels[0] if len(levels) == 1 else np.moveaxis(levels, 0, -1)


VOID_SHADE = (128, 128, 128)


def class_map(codes: np.ndarray, shades: Sequence[str], alt: str) -> ChipPicture:
    """A map "y x" of classes (VOID: grey) as a picture; the shades are `#rrggbb`, one a class."""
    palette = np.array([*map(rgb, shades), VOID_SHADE], np.uint8)
    return ChipPicture(uri(palette[np.where(codes < 0, len(shades), codes)]), alt)


def signed_map(values: np.ndarray, alt: str) -> ChipPicture:
    """Numbers "y x" as a picture: red above 0 and blue below, or dark to yellow where none is below; NaN is grey."""
    there = np.isfinite(values)
    largest = float(np.abs(values[there]).max(initial=0.0)) or 1.0
    signed = bool((values[there] < 0).any())
    share = np.where(there, values / largest, 0.0)
    shades = colormaps["RdBu_r"]((share + 1) / 2) if signed else colormaps["viridis"](share)
    pixels = np.where(there[..., None], (255 * shades[..., :3]).round(), VOID_SHADE).astype(np.uint8)
    return ChipPicture(uri(pixels), alt)


def share_map(values: np.ndarray, alt: str) -> ChipPicture:
    """Shares "y x" as a picture that can be compared with others: 0 is dark, 1 is yellow."""
    return ChipPicture(uri((255 * colormaps["viridis"](np.clip(values, 0, 1))[..., :3]).round().astype(np.uint8)), alt)


def uri(pixels: np.ndarray) -> str:
    """A picture to inline in a page."""
    return f"data:image/png;base64,{base64.b64encode(picture(pixels)).decode()}"
