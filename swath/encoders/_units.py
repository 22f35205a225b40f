"""Recognise values in another unit than the encoder's, by what no surface shows and by the statistics it was trained
with.

Counts for reflectance, linear power for decibels: an encoder embeds anything, and nothing tells that the result is
worthless. What is refused here is impossible, not unusual: snow above a reflectance of 1, decibels above 0 and a
landscape that the encoder never saw pass. Some pixels of a batch tell as well as all of them.
"""

from collections.abc import Iterator

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from swath.batch import NO_BAND, Image
from swath.encoders._contract import InputContract
from swath.errors import ContractError
from swath.sensors import band, bands, offset_left_in

SAMPLES, DATES, PIXELS = 64, 8, 32
"""Number of samples, dates of each, and pixels along each axis that are examined, evenly spaced."""
MANY = 8
"""Number of pictures from which an offset can be recognised: a single one under thin haze looks the same."""
GLARING, NEGATIVE = 2.0, -0.05
"""Median reflectances of a band that no scene has, however bright or badly corrected."""
FAINT = 5e-4
"""Reflectance that all bands of all pixels stay below if they were scaled down twice; stored counts are 1e-4 apart."""
PLAUSIBLE_DB, PLAUSIBLE_K = (-50.0, 30.0), (180.0, 350.0)
"""Plausible medians in decibels and kelvin."""
TRAINED = {"reflectance": (NEGATIVE, GLARING), "dB": (-50.0, -1.0), "K": PLAUSIBLE_K, "display": (0.005, 1.5)}
"""Plausible means over a corpus by unit. An encoder trained on others gets what it was trained on."""
SHOWN_AT_LEAST = 0.02
"""Reflectance, or share of white, above which the brightest band's median was hardly scaled down twice."""
FACTORS = {10_000: "counts", 1000: "counts", 255: "display values", 100: "percent or hundredths"}

Values = dict[str, Float[ndarray, " n"]]
"""Some valid pixels of each band, by band key."""


def check_values(contract: InputContract, image: Image) -> None:
    """Raise ContractError, with the likely cause, if the image's values cannot be in the bands' units."""
    pictures, values = _some(image)
    for key, pixels in values.items():
        if not np.isfinite(pixels).all():
            raise ContractError(f"valid pixels of {key} are not finite", remedy="mark them as invalid")
    for problem, wanted, keys in _impossible(contract, values, pictures):
        raise ContractError(
            problem,
            where=", ".join(keys),
            remedy=f"give {wanted}; if the values are right nevertheless, embed(..., trusted=True)",
        )


def check_means(then: InputContract, now: InputContract) -> None:
    """Raise ContractError if what an encoder is to be trained on cannot be in the units of what it was trained on.

    Args:
        then: of a checkpoint.
        now: of the encoder that starts from it, with the means of the corpus that it is to be trained on.
    """
    means = {key: np.array([mean]) for key, mean in zip(now.bands, now.mean, strict=True) if np.isfinite(mean)}
    for problem, wanted, keys in _impossible(then, means, pictures=1):
        raise ContractError(
            f"by the corpus's means, {problem}",
            where=", ".join(keys),
            remedy=f"give the corpus {wanted}; or start from other weights",
        )


def _impossible(contract: InputContract, sampled: Values, pictures: int) -> Iterator[tuple[str, str, Values]]:
    """For each unit with impossible values: a message, what to give, and the values by band."""
    for unit, rule in RULES.items():
        own = {key: sampled[key] for key in sampled if band(key).unit == unit}
        means = {key: _mean(contract, key) for key in own}
        trained = _trained_in(unit, means)
        values = {key: own[key] for key in own if key in trained}
        # a mean of exactly 0 is of nothing: published encoders that only scale have it
        foreign = {key: own[key] for key in own if key not in trained and means[key]}
        checks = (rule, _offset) if unit == "reflectance" and pictures >= MANY else (rule,)
        for problem in (problem for check in checks if values for problem in check(values, contract)):
            yield problem, f"physical units ({unit})", values
        if foreign and _in_unit(unit, foreign):
            trained_on = ", ".join(f"{key} {means[key]:.4g}" for key in foreign)
            problem = f"these values are {unit}, and the encoder was trained on others (mean of {trained_on})"
            yield problem, "values like those of its training, or train it anew", foreign


def _trained_in(unit: str, means: dict[str, float]) -> set[str]:
    """The bands whose means over the training can be in their unit."""
    low, high = TRAINED[unit]
    if unit == "reflectance" and 0 < max(map(abs, means.values()), default=0) < FAINT:
        return set()  # scaled down twice
    return {key for key, mean in means.items() if low <= mean <= high}


def _in_unit(unit: str, values: Values) -> bool:
    """Whether values that an encoder was not trained on can hardly be but in their bands' unit."""
    every = np.concatenate([*values.values()])
    medians = [float(np.median(pixels)) for pixels in values.values()]
    if unit == "dB":
        return all(PLAUSIBLE_DB[0] <= median < -1 for median in medians)
    if unit == "K":
        return all(PLAUSIBLE_K[0] < median < PLAUSIBLE_K[1] for median in medians)
    # counts are whole numbers, and those of a picture that is all but black are 0 and 1
    return bool(
        min(medians) >= NEGATIVE and max(medians) > SHOWN_AT_LEAST and every.max() <= GLARING and (every % 1).any()
    )


def _some(image: Image) -> tuple[int, Values]:
    """Number of examined pictures with a valid pixel, and their valid pixels by band."""
    b, t, _, h, w = image.pixels.shape
    every = [
        slice(None, None, -(-size // wanted)) for size, wanted in ((b, SAMPLES), (t, DATES), (h, PIXELS), (w, PIXELS))
    ]
    pixels = image.pixels[every[0], every[1], :, every[2], every[3]].float().cpu().numpy()
    valid = image.valid[every[0], every[1], every[2], every[3]].cpu().numpy()
    ids = image.band_ids[every[0]].cpu().numpy()
    by_band = {}
    for band_id in np.unique(ids[ids != NO_BAND]):
        samples, channels = np.nonzero(ids == band_id)
        if len(values := pixels[samples, :, channels][valid[samples]]):
            by_band[bands()[band_id].key] = values.astype(np.float64)
    return int(valid.any(axis=(2, 3)).sum()), by_band


def _reflectance(values: Values, contract: InputContract) -> Iterator[str]:
    medians = {key: float(np.median(pixels)) for key, pixels in values.items()}
    bright, dark = max(medians, key=medians.__getitem__), min(medians, key=medians.__getitem__)
    usual = float(np.mean([abs(_mean(contract, key)) for key in values]))
    if medians[bright] > GLARING:
        yield f"{_shown(bright, medians)}, and no surface reflects that much: {_factor(values, usual)}"
    elif medians[dark] < NEGATIVE:
        cause = "decibels" if medians[dark] < -1 else "an offset was subtracted twice, or missing pixels are not marked"
        yield f"{_shown(dark, medians)}, and nothing reflects less than nothing: {cause}"
    elif 0 < max(float(np.abs(pixels).max()) for pixels in values.values()) < FAINT < usual / 20:
        yield f"no pixel is brighter than {FAINT:g}, the training's mean is {usual:.2g}: they were scaled down twice"


def _offset(values: Values, contract: InputContract) -> Iterator[str]:
    """The product's offset, if no band is darker and the bands' means are the training's but for it."""
    darkest = np.array([np.percentile(pixels, 1) for pixels in values.values()])
    offset = offset_left_in(next(iter(values)).partition("/")[0], darkest)
    if offset is None:
        return
    excess = np.array([pixels.mean() - _mean(contract, key) for key, pixels in values.items()])
    spread = np.array([max(_std(contract, key), 1e-3) for key in values])
    as_is, less = (np.square(difference / spread).mean() for difference in (excess, excess - offset))
    if less < as_is / 4:
        yield f"an offset of {offset:g} was not subtracted: no band is darker, and without it all are as in training"


def _decibel(values: Values, contract: InputContract) -> Iterator[str]:
    for key, pixels in values.items():
        low, median = np.percentile(pixels, (1, 50))
        if median < PLAUSIBLE_DB[0] or median > PLAUSIBLE_DB[1]:
            yield f"the median of {key} is {median:.4g} dB: {_factor({key: pixels}, abs(_mean(contract, key)))}"
        elif low > -1:
            kind = "linear power" if median < 2 else "amplitudes or counts"
            yield f"99 % of {key} are above {low:.2g} dB, the median is {median:.3g}: {kind}, not decibels"


def _kelvin(values: Values, contract: InputContract) -> Iterator[str]:
    for key, pixels in values.items():
        median = float(np.median(pixels))
        if not PLAUSIBLE_K[0] < median < PLAUSIBLE_K[1]:
            celsius = abs(median) < 100
            cause = "degrees Celsius" if celsius else _factor({key: pixels}, _mean(contract, key))
            yield f"the median of {key} is {median:.4g} K: {cause}"


def _display(values: Values, contract: InputContract) -> Iterator[str]:
    medians = {key: float(np.median(pixels)) for key, pixels in values.items()}
    bright = max(medians, key=medians.__getitem__)
    if medians[bright] > 1.5:
        usual = float(np.mean([_mean(contract, key) for key in values]))
        yield f"{_shown(bright, medians)}, and white is 1: {_factor(values, usual)}"
    elif 0 < max(float(pixels.max()) for pixels in values.values()) < 1 / 200:
        yield "no pixel is brighter than 1/200 of white: they were divided by 255 twice"


RULES = {"reflectance": _reflectance, "dB": _decibel, "K": _kelvin, "display": _display}


def _shown(key: str, medians: dict[str, float]) -> str:
    return f"the median of {key} is {medians[key]:.4g}"


def _factor(values: Values, usual: float) -> str:
    """The factor by which the values are too large, as the nearest of the usual ones."""
    size = np.mean([abs(pixels).mean() for pixels in values.values()])
    nearest = min(FACTORS, key=lambda factor: abs(np.log(size / (factor * max(usual, 1e-3)))))
    return f"about {nearest:,} times too large, as {FACTORS[nearest]} are"


def _mean(contract: InputContract, key: str) -> float:
    return contract.mean[contract.bands.index(key)]


def _std(contract: InputContract, key: str) -> float:
    return contract.std[contract.bands.index(key)]
