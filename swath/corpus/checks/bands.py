"""Whether the stored bands are in the order in which they are declared."""

import numpy as np
from jaxtyping import Float, Int
from numpy import ndarray

from swath import sensors
from swath.corpus.checks import _spectra
from swath.corpus.checks._sample import Sample
from swath.corpus.checks._types import Finding, Lines, Section
from swath.sensors import Band

STAGE = 2
FEW = 6
"""With fewer bands than this, only a much better order is reported, because a short spectrum says less."""
LIKELY, LIKELY_OF_FEW = 0.9, 0.75
"""Relative scores below which another order is reported. Of real Sentinel-2, HLS and Landsat pixels in their right
order the best other order scored 0.98 and more with all bands, 0.79 and more with three or four (snow)."""
PIXELS = 500
"""Number of sampled pixels that a judgement needs."""
PLACES = 10
"""Number of locations from which another order is an error and not just a suspicion."""
ABSORBED = ((0.92, 0.97), (1.3, 1.45))
"""Wavelength ranges absorbed by water vapour, in micrometres: bands there show the air and not the ground."""
CROSS = {"VH": "VV", "HV": "HH"}
"""Co-polarised channel of each cross-polarised one, which is weaker everywhere (by 6 to 8 dB over land)."""
STRONGER = 3.0
"""Median difference in decibels by which a cross-polarised channel must be the stronger one to be reported."""


def inspect(sample: Sample) -> Section:
    """Compare every sensor's sampled pixels with the spectra that land can have."""
    meaning = (
        "Whether the pixels' spectra fit land better if bands are exchanged. 1: no exchange helps; below "
        f"{LIKELY:g} (below {LIKELY_OF_FEW:g} with fewer than {FEW} bands) another order is suspected. Neighbours in "
        "the near infrared are too alike to be told apart."
    )
    findings, table, charts = [], [], []
    for sensor in sample.corpus.info.sensors:
        pixels = sample.spectra(sensor)
        bands = [sensors.band(f"{sensor}/{name}") for name in sample.corpus.info.sensors[sensor].bands]
        findings += _polarisations(sensor, bands, pixels)
        used = [i for i, band in enumerate(bands) if _tells(band)]
        if len(used) < 3 or len(pixels) < PIXELS:
            continue
        chosen, pixels = [bands[i] for i in used], pixels[:, used]
        wavelengths = np.array([band.centre_um for band in chosen])
        order, fit = _order(sensor, wavelengths, _spectra.second_moment(pixels))
        looks_like = _looks_like(chosen, order)
        table.append({"sensor": sensor, "bands": len(used), "fit of the best other order": f"{min(fit, 1):.2f}"})
        charts.append(_curves(sensor, wavelengths, pixels))
        if fit < (LIKELY if len(used) >= FEW else LIKELY_OF_FEW):
            what = f"the bands look exchanged: {'; '.join(looks_like)} (fit {fit:.2f} of the declared order's)"
            remedy = "compare the source's band order with the file's; pictures are in `swath corpus preview`"
            level = "error" if len(sample.locations) >= PLACES else "warning"
            findings.append(Finding(level, what, sensor, remedy))
    idle = "No sensor has enough bands of reflectance for this."
    return Section("Order of bands", meaning, findings, table, charts, "" if table else idle)


def _order(
    sensor: str, wavelengths: Float[ndarray, " c"], seen: Float[ndarray, "c c"]
) -> tuple[Int[ndarray, " c"], float]:
    """The likeliest order and its relative score.

    Seen from above the atmosphere, how blue a picture is depends on the sun and on what lies below: spectra with much
    and with little light of the air itself are tried, and the result that is closer to the given order counts.
    """
    skies = (False, True) if sensors.get(sensor).top_of_atmosphere else (False,)
    orders = [_spectra.best_order(_spectra.expected(wavelengths, above_air=sky), seen) for sky in skies]
    return max(orders, key=lambda found: found[1])


def _tells(band: Band) -> bool:
    """Whether a band shows the colour of the ground."""
    if band.unit != "reflectance" or band.centre_um is None or band.common_name == "pan":
        return False
    return not any(low <= band.centre_um <= high for low, high in ABSORBED)


def _looks_like(bands: list[Band], order: Int[ndarray, " c"]) -> list[str]:
    return [f"{bands[stored].name} like {bands[i].name}" for i, stored in enumerate(order) if stored != i]


def _curves(sensor: str, wavelengths: Float[ndarray, " c"], pixels: Float[ndarray, "n c"]) -> Lines:
    """Mean spectra of the darkest, the middle and the brightest tenth of the pixels."""
    along = np.argsort(wavelengths, kind="stable")
    ranked = pixels[np.argsort(pixels.mean(axis=1), kind="stable")][:, along]
    tenth = max(1, len(ranked) // 10)
    middle = ranked[len(ranked) // 2 - tenth // 2 :][:tenth]
    means = {"darkest tenth": ranked[:tenth], "middle tenth": middle, "brightest tenth": ranked[-tenth:]}
    lines = {name: (wavelengths[along], np.median(some, axis=0)) for name, some in means.items()}
    return Lines(f"{sensor}: spectra of the sample", "µm", "reflectance", lines)


def _polarisations(sensor: str, bands: list[Band], pixels: Float[ndarray, "n c"]) -> list[Finding]:
    names = [band.name for band in bands]
    findings = []
    for cross, co in CROSS.items():
        if cross in names and co in names and len(pixels) >= PIXELS:
            excess = float(np.median(pixels[:, names.index(cross)] - pixels[:, names.index(co)]))
            if excess > STRONGER:
                what = f"{cross} is {excess:.1f} dB stronger than {co}: they look exchanged"
                findings.append(Finding("error", what, sensor, "compare the source's band order with the file's"))
    return findings
