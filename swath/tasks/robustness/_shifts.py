"""Images as they might come tomorrow: hazy, noisy, coarser, out of register, cloudy, or of another sensor.

Numbers stay in physical units, and are cut off only where the corpus's own counts end. All that is random is a
function of the location's id, so that every row sees the same.
"""

import zlib
from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from numpy import ndarray
from torch import Tensor
from torch.nn import functional

from swath import sensors
from swath.batch import Image
from swath.corpus.painting import paint
from swath.corpus.reading import PADDING, days
from swath.sensors import band
from swath.tasks.data import Alter, BandReader, Bands, Condition, bands_by_sensor
from swath.tasks.robustness._bands import imaged, positions
from swath.tasks.robustness._dates import longest
from swath.tasks.task import Task

HAZE = ((0.02, -1.0), (0.05, -0.7), (0.1, -0.5))
"""Path reflectance at 0.49 um, and the power of the wavelength by which it falls: moderate, hazy and very hazy skies of
Chavez 1988, "An improved dark-object subtraction technique for atmospheric scattering correction of multispectral
data", Remote Sensing of Environment 24, 459-479."""
BLUE_UM = 0.49
NOISE = (0.1, 0.25, 0.5)
"""Deviations of white noise, in deviations of each band."""
FACTORS = (2, 4)
"""How many times coarser pixels are made."""
CLOUDS = (0.1, 0.3, 0.5)
"""Shares of the valid pixels of a series that clouds are painted over."""
MASKED = (0.05, 0.95)
"""Valid share of the chips whose masks are lent to others."""
NEAR_INFRARED = ("nir", "nir08")
SAME_SIZE = 0.1
"""Relative difference of pixel sizes up to which another sensor's pixels are taken."""
STEPS = ((0, 1), (0, -1), (1, 0), (-1, 0))
"""Moves of one pixel: down and right."""
Found = tuple[list[Condition], list[str]]
"""Conditions, and what must be said of those that there cannot be."""


def haze(task: Task, bands: Bands) -> Found:
    """Path reflectance that falls with the wavelength, added to every optical band in reflectance."""
    hazy = [key for key in bands if band(key).unit == "reflectance" and band(key).centre_um is not None]
    if not hazy:
        return [], ["no haze: no band is in reflectance"]
    at = {key: (band(key).centre_um or 0.0) / BLUE_UM for key in hazy}
    return [
        Condition("haze", "", level, _changed(task, hazy, _plus({key: level * x**power for key, x in at.items()})))
        for level, power in HAZE
    ], []


def _plus(added: dict[str, float]) -> Callable[[str, Tensor, list[str]], Tensor]:
    return lambda key, pixels, uids: pixels + added[key]  # noqa: ARG005 — the same for all locations


def noise(task: Task, bands: Bands) -> Found:
    """White noise in the unit of each band; of radar in decibels, which multiplies the power."""
    own = imaged(bands)
    std = {f"{s}/{name}": one.std for s, by in task.corpus.statistics.items() for name, one in by.items()}
    return [Condition("noise", "", level, _changed(task, own, _noisy(std, level))) for level in NOISE], []


def _noisy(std: dict[str, float], level: float) -> Callable[[str, Tensor, list[str]], Tensor]:
    def changed(key: str, pixels: Tensor, uids: list[str]) -> Tensor:
        drawn = [generator(uid, f"noise {key}").standard_normal(pixels.shape[1:], np.float32) for uid in uids]
        return pixels + level * std[key] * torch.from_numpy(np.stack(drawn))

    return changed


def generator(uid: str, purpose: str) -> np.random.Generator:
    """Random numbers of one location for one purpose."""
    return np.random.default_rng([zlib.crc32(uid.encode()), zlib.crc32(purpose.encode())])


def resampling(task: Task, bands: Bands) -> Found:
    """Pixels made coarser by the mean of the valid ones, each then repeated; of radar by that of its power."""
    side, own = task.corpus.info.chip_px, imaged(bands)
    if side < 2 * FACTORS[0]:
        return [], [f"no coarser pixels: chips are {side} pixels wide"]

    def coarser(factor: int) -> Alter:
        return lambda reader, locations: _each(reader, locations, own, lambda image, _: coarsened(image, factor))

    return [Condition("resampling", "", float(f), coarser(f)) for f in FACTORS if side >= 2 * f], []


def coarsened(image: Image, factor: int) -> Image:
    """Means of the valid pixels of squares, each repeated; squares at the lower and right edge may be cut.

    Decibels are averaged as the power that they stand for, as a coarser radar would.
    """
    b, t, c, h, w = image.pixels.shape
    valid = image.valid[:, :, None].float()
    is_power = torch.tensor([sensors.bands()[i].unit == "dB" for i in image.first_ids()])[:, None, None]
    linear = torch.where(is_power, 10 ** (image.pixels / 10), image.pixels)
    total, share = (
        functional.avg_pool2d(x.flatten(0, 1), factor, ceil_mode=True, count_include_pad=False)
        for x in (linear * valid, valid)
    )
    mean = (total / share.clamp_min(1e-12)).repeat_interleave(factor, -2).repeat_interleave(factor, -1)
    pixels = mean[..., :h, :w].reshape(b, t, c, h, w)
    pixels = torch.where(is_power, 10 * pixels.clamp_min(1e-12).log10(), pixels)
    return replace(image, pixels=torch.where(image.valid[:, :, None], pixels, 0.0))


def misregistration(task: Task, bands: Bands) -> Found:
    """One pixel to the side: all of the image against its labels; and one band, date or sensor against the others.

    Which band or date it is, and to which side, is drawn for each location; at the edge pixels are repeated.
    """
    side, own = task.corpus.info.chip_px, imaged(bands)
    if side < 2:
        return [], ["nothing out of register: chips are one pixel"]
    by_sensor = bands_by_sensor(own)
    at = positions(task.reader, own)
    found = [Condition("misregistration", "image", 1.0, _out_of_register(tuple(by_sensor), lambda *_: slice(None)))]
    if any(len(keys) > 1 for keys in by_sensor.values()):
        found.append(Condition("misregistration", "band", 1.0, _out_of_register(tuple(by_sensor), _a_band(at))))
    if longest(task, bands) > 1:
        found.append(Condition("misregistration", "date", 1.0, _out_of_register(tuple(by_sensor), _a_date)))
    if len(by_sensor) > 1:
        found += [
            Condition("misregistration", sensor, 1.0, _out_of_register((sensor,), lambda *_: slice(None)))
            for sensor in by_sensor
        ]
    return found, []


Part = Callable[[str, Image, int, np.random.Generator], "tuple | slice | int"]
"""A function of a sensor, its images, the number of one of them, and random numbers: which dates and bands move."""


def _a_band(at: dict[str, list[int]]) -> Part:
    return lambda sensor, image, i, luck: (slice(None), int(luck.choice(at[sensor])))  # noqa: ARG005


def _a_date(sensor: str, image: Image, i: int, luck: np.random.Generator) -> int:  # noqa: ARG001 — as every part
    seen = image.valid[i].flatten(1).any(dim=1).nonzero()[:, 0].tolist()
    return int(luck.choice(seen)) if seen else 0


def _out_of_register(moving: tuple[str, ...], part: Part) -> Alter:
    def alter(reader: BandReader, locations: Int[ndarray, " b"]) -> dict[str, Image]:
        images, uids = reader.read(locations), _uids(reader, locations)
        return images | {sensor: _moved(sensor, images[sensor], uids, part) for sensor in moving}

    return alter


def _moved(sensor: str, image: Image, uids: Sequence[str], part: Part) -> Image:
    pixels, valid = image.pixels.clone(), image.valid.clone()
    for i, uid in enumerate(uids):
        # the side is the same for all sensors of a location, as their images move together
        step = STEPS[int(generator(uid, "misregistration").integers(len(STEPS)))]
        which = part(sensor, image, i, generator(uid, f"misregistration {sensor}"))
        there = moved(image.valid[i], *step)
        if isinstance(which, tuple):  # a band that moves alone takes no mask along, and nothing from where none was
            pixels[i][which] = torch.where(there, moved(image.pixels[i][which], *step), image.pixels[i][which])
        else:
            pixels[i][which] = moved(image.pixels[i][which], *step)
            valid[i][which] = there[which]
    return replace(image, pixels=pixels * valid[:, :, None], valid=valid)


def moved(values: Tensor, down: int, right: int) -> Tensor:
    """An image "... h w" so many pixels further down and to the right; at the edge it is repeated."""
    height, width = values.shape[-2:]
    y = (torch.arange(height) - down).clamp(0, height - 1)
    x = (torch.arange(width) - right).clamp(0, width - 1)
    return values[..., y, :][..., x]


def painted_clouds(task: Task, bands: Bands) -> Found:
    """Bright clouds over a share of each optical series, not marked invalid, as in the synthetic landscape."""
    names = [s for s, keys in bands_by_sensor(bands).items() if all(band(k).unit == "reflectance" for k in keys)]
    names = [s for s in names if _reflects(s, task.reader.reads[s])]
    if not names:
        return [], ["no painted clouds: no sensor has reflectance alone"]
    optical = tuple(key for key in bands if key.partition("/")[0] in names)
    pixels = task.corpus.info.chip_px**2 * longest(task, optical)
    shares = [share for share in CLOUDS if round(share * pixels)]
    if not shares:
        return [], ["no painted clouds: an image is a single pixel"]

    def cloudy(share: float) -> Alter:
        return lambda reader, locations: _each(reader, locations, names, lambda image, uids: paint(image, uids, share))

    return [Condition("painted-clouds", "", share, cloudy(share)) for share in shares], []


def _reflects(sensor: str, names: Sequence[str]) -> bool:
    return all(sensors.get(sensor).band(name).unit == "reflectance" for name in names)


def cloud_masks(task: Task, bands: Bands) -> Found:
    """The invalid pixels of other chips of the corpus: each date gets the mask of one that is partly valid."""
    index = task.corpus.chip_index
    partly = index["valid"].between(*MASKED).to_numpy()
    donors = {s: np.flatnonzero(partly & (index["sensor"] == s).to_numpy()) for s in bands_by_sensor(bands)}
    at = index["location"].to_numpy()
    donors = {sensor: rows for sensor, rows in donors.items() if len(np.unique(at[rows])) > 1}
    if not donors:
        return [], ["no masks of real clouds: no two locations of the corpus have a chip that is partly invalid"]
    return [Condition("cloud-masks", "", 1.0, _masked(donors, at))], []


def _masked(donors: dict[str, ndarray], at: Int[ndarray, " chips"]) -> Alter:
    def alter(reader: BandReader, locations: Int[ndarray, " b"]) -> dict[str, Image]:
        images, chosen, uids = reader.read(locations), reader.choose(locations), _uids(reader, locations)
        masks = {sensor: np.full_like(chips, PADDING) for sensor, chips in chosen.items()}
        for sensor, rows in donors.items():
            for i, (row, uid) in enumerate(zip(locations, uids, strict=True)):
                masks[sensor][i] = _lent(rows, at, int(row), masks[sensor].shape[1], uid)
        lent = reader.read_chips(masks, locations)
        return images | {sensor: _hidden(images[sensor], lent[sensor].valid) for sensor in donors}

    return alter


def _lent(donors: ndarray, at: ndarray, row: int, dates: int, uid: str) -> Int[ndarray, " t"]:
    """A chip of another location for each date."""
    return generator(uid, "masks").choice(donors[at[donors] != row], dates)


def _hidden(image: Image, valid: Bool[Tensor, "b t h w"]) -> Image:
    there = image.valid & valid
    return replace(image, pixels=image.pixels * there[:, :, None], valid=there)


def other_sensor(task: Task, bands: Bands) -> Found:
    """A sensor's bands from another one of the corpus that has all of them by their common names, nearest in time."""
    found, said = [], []
    for sensor, keys in bands_by_sensor(imaged(bands)).items():
        for other in sorted(set(task.corpus.info.sensors) - {sensor}):
            pairs = {key: twin for key in keys if (twin := _counterpart(task, key, other)) is not None}
            if len(pairs) < len(keys):
                continue
            # all that there is of it, of which what is nearest to each chip is shown
            all_dates = replace(task.reader.select, dates="all", most=None)
            reader = BandReader(task.corpus, list(pairs.values()), all_dates)
            rows = task.parts["test"].locations
            if lacking := len(rows) - len(reader.complete(rows)):
                said.append(f"not {other} for {sensor}: {lacking} of {len(rows)} test locations have no chip of it")
            else:
                found.append(Condition("other-sensor", f"{other} for {sensor}", 1.0, _instead(reader, pairs)))
    return found, said or ([] if found else ["no other sensor of the corpus has all of the bands"])


def _counterpart(task: Task, key: str, other: str) -> str | None:
    """The band of another sensor with the same common name, in the same unit and on pixels of the same size."""
    own, layouts = band(key), task.corpus.info.sensors
    if abs(layouts[other].gsd_m / layouts[own.sensor].gsd_m - 1) > SAME_SIZE:
        return None
    named = {
        one.common_name: one.key
        for one in (band(f"{other}/{name}") for name in layouts[other].bands)
        if one.unit == own.unit and one.common_name is not None
    }
    # the broad and the narrow band of the near infrared stand for each other where there is no better one
    names = (own.common_name, *(NEAR_INFRARED if own.common_name in NEAR_INFRARED else ()))
    return next((named[name] for name in names if name in named), None)


def _instead(there: BandReader, pairs: dict[str, str]) -> Alter:
    sensor, other = (next(iter(keys)).partition("/")[0] for keys in (pairs, pairs.values()))
    when = days(there.corpus.chip_index)

    def alter(reader: BandReader, locations: Int[ndarray, " b"]) -> dict[str, Image]:
        images = reader.read(locations)
        nearest = _nearest(when, reader.choose(locations)[sensor], there.choose(locations)[other])
        own, came = images[sensor], there.read_chips({other: nearest}, locations)[other]
        pixels = own.pixels.new_zeros(*came.pixels.shape[:2], *own.pixels.shape[2:])
        for key, twin in pairs.items():
            at = reader.reads[sensor].index(key.partition("/")[2])
            pixels[:, :, at] = came.pixels[:, :, there.reads[other].index(twin.partition("/")[2])]
        return images | {sensor: replace(own, pixels=pixels, valid=came.valid, days=came.days)}

    return alter


def _nearest(
    when: Float[ndarray, " chips"], shown: Int[ndarray, "b t"], others: Int[ndarray, "b k"]
) -> Int[ndarray, "b t"]:
    """For each chip that of some others that is nearest in time; the first of them where that is not known."""
    apart = np.abs(when[shown][:, :, None] - when[others][:, None, :])
    apart = np.where(others[:, None, :] == PADDING, np.inf, np.nan_to_num(apart, nan=_UNKNOWN))
    return np.where(shown == PADDING, PADDING, np.take_along_axis(others, apart.argmin(axis=2), axis=1))


_UNKNOWN = 1e9
"""Days between chips of which one has no date: more than any that are known, less than to none."""


def _uids(reader: BandReader, locations: Int[ndarray, " b"]) -> list[str]:
    return reader.corpus.locations["uid"].to_numpy(dtype=object)[locations].tolist()


def _each(
    reader: BandReader,
    locations: Int[ndarray, " b"],
    names: Sequence[str],
    change: Callable[[Image, list[str]], Image],
) -> dict[str, Image]:
    """Images of which those of some sensors, or of some bands' sensors, are changed."""
    images, uids = reader.read(locations), _uids(reader, locations)
    own = dict.fromkeys(name.partition("/")[0] for name in names)
    return images | {sensor: change(images[sensor], uids) for sensor in own}


def _changed(task: Task, keys: Sequence[str], change: Callable[[str, Tensor, list[str]], Tensor]) -> Alter:
    """Changes each of some bands, where it is valid, and cuts it off where the corpus's counts end."""
    ends = {key: representable(task, key) for key in keys}

    def alter(reader: BandReader, locations: Int[ndarray, " b"]) -> dict[str, Image]:
        images, uids = reader.read(locations), _uids(reader, locations)
        for sensor, own in bands_by_sensor(keys).items():
            image = images[sensor]
            pixels = image.pixels.clone()
            for key in own:
                at = reader.reads[sensor].index(key.partition("/")[2])
                new = change(key, image.pixels[:, :, at], uids).clamp(*ends[key])
                pixels[:, :, at] = torch.where(image.valid, new, 0.0)
            images = images | {sensor: replace(image, pixels=pixels)}
        return images

    return alter


def representable(task: Task, key: str) -> tuple[float, float]:
    """Smallest and largest physical value that the corpus's counts of a band can say; infinite of real numbers."""
    sensor, _, name = key.partition("/")
    layout = task.corpus.info.sensors[sensor]
    kind = np.dtype(layout.dtype)
    if kind.kind == "f":
        return -np.inf, np.inf
    least, most = np.iinfo(kind).min, np.iinfo(kind).max
    counts = np.array([least + (layout.nodata == least), most - (layout.nodata == most)], np.float64)
    with np.errstate(divide="ignore", invalid="ignore"):
        low, high = layout.physical(counts, layout.bands.index(name))
    # a power that is not positive has no decibels
    return (float(low) if np.isfinite(low) else -np.inf), float(high)
