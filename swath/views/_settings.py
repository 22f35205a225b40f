"""How strongly views are augmented. Every default is off: `Augment()` returns its input."""

from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from swath.settings import Settings


def _ordered(pair: tuple[float, float]) -> tuple[float, float]:
    if pair[0] > pair[1]:
        raise ValueError(f"a range is written (low, high), and {pair[0]:g} is more than {pair[1]:g}")
    return pair


Probability = Annotated[float, Field(ge=0, le=1)]
_Fraction = Annotated[float, Field(gt=0, le=1)]
_Positive = Annotated[float, Field(gt=0)]
Fractions = Annotated[tuple[_Fraction, _Fraction], AfterValidator(_ordered)]
Positives = Annotated[tuple[_Positive, _Positive], AfterValidator(_ordered)]
Looks = Annotated[tuple[Annotated[float, Field(ge=1)], Annotated[float, Field(ge=1)]], AfterValidator(_ordered)]
Degrees = Annotated[tuple[Annotated[float, Field(ge=-180)], Annotated[float, Field(le=180)]], AfterValidator(_ordered)]


class Crop(Settings):
    """A random box of the chip, resized to the view (Inception crop: He et al. 2020, Chen et al. 2020)."""

    size: Annotated[int, Field(ge=1)] | None = None
    """Side of the square view in pixels; None: the chip's own height and width."""
    scale: Fractions = (1.0, 1.0)
    """Share of the chip's area that the box covers."""
    ratio: Positives = (3 / 4, 4 / 3)
    """Range of the box's width over height relative to the view, which stretches its pixels. Without effect at
    scale (1, 1)."""


class Rotation(Settings):
    """A free rotation about the centre of the box; pixels from outside the chip are invalid."""

    p: Probability = 0.0
    degrees: Degrees = (-10.0, 10.0)


class Jitter(Settings):
    """A random factor, one per sample."""

    p: Probability = 0.0
    factor: Positives = (0.6, 1.4)


class Blur(Settings):
    """Gaussian blur with one width per sample."""

    p: Probability = 0.0
    sigma: Positives = (0.1, 2.0)
    """Standard deviation in view pixels."""
    kernel: Annotated[int, Field(ge=1)] | None = None
    """Odd width at which the kernel is cut; None: a tenth of the view's shorter side, 2 * (side // 10 // 2) + 1."""


class Erase(Settings):
    """A random rectangle becomes invalid, on all dates (Zhong et al. 2020)."""

    p: Probability = 0.0
    area: Fractions = (0.02, 0.2)
    """Share of the view's area."""
    ratio: Positives = (0.3, 3.3)
    """Height over width of the rectangle."""


class Speckle(Settings):
    """Multiplicative noise: gamma-distributed in the linear power of dB bands, Gaussian in optical ones."""

    p: Probability = 0.0
    looks: Looks = (10.0, 50.0)
    """Equivalent number of looks that is added: the noise's relative variance is 1 / looks. dB bands only."""
    optical: Annotated[float, Field(ge=0, le=0.5)] = 0.01
    """Relative standard deviation for reflectance and display bands. Kelvin bands stay as they are."""


class Augment(Settings):
    """Augmentation of one view: every sample draws its own parameters; a probability of 0 is off."""

    crop: Crop = Crop()
    hflip: Probability = 0.0
    vflip: Probability = 0.0
    quarter_turns: Probability = 0.0
    """Probability of turning by 90, 180 or 270 degrees; 0.75 makes all four orientations equally likely."""
    rotation: Rotation = Rotation()
    interpolation: Literal["bilinear", "bicubic"] = "bilinear"
    brightness: Jitter = Jitter()
    """Gain of reflectance and display values; in dB the same gain of the linear power; kelvin is left alone."""
    contrast: Jitter = Jitter()
    """Factor on the distance from the mean of the band's valid pixels, in any unit."""
    grey: Probability = 0.0
    """Probability that all bands of one unit become their mean: a spectrally flat target."""
    blur: Blur = Blur()
    erase: Erase = Erase()
    channel_dropout: Probability = 0.0
    """Probability, per channel, of becoming flat at its mean; one channel always stays."""
    date_dropout: Probability = 0.0
    """Probability, per date, of becoming invalid; one date that has valid pixels always stays."""
    speckle: Speckle = Speckle()
