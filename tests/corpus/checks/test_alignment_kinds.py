"""What is smoothed before edges are looked for goes by the kind of sensor, not by its unit."""

import numpy as np
import pytest

from swath.corpus import Chip, Corpus, CorpusWriter, Location, Part, SensorLayout
from swath.corpus.checks import Sample, alignment
from swath.corpus.checks._register import edges

PX = 32


@pytest.mark.parametrize(("sensor", "band", "sigma"), [("display-radar", "P", 1.5), ("display-optical", "red", 1.0)])
def test_pictures_of_a_radar_are_smoothed_like_a_radar(tmp_path, sensor, band, sigma):
    counts = np.random.default_rng(0).integers(0, 256, (2, 1, PX, PX), dtype=np.uint8)
    layout = SensorLayout(bands=(band,), gsd_m=10, dtype="uint8", scale=(1 / 255,), offset=(0.0,))
    with CorpusWriter(tmp_path / "c", {sensor: layout}, chip_px=PX) as writer:
        writer.append(Part([Location("a")], [Chip("a", sensor, one) for one in counts]))
        writer.finish()
    views = alignment._views(Sample(Corpus.open(tmp_path / "c")), sensor)[0]
    pixels = (counts * np.float32(1 / 255)).astype(np.float64)
    np.testing.assert_allclose(views.dates[0], edges(pixels[0], sigma), atol=1e-5)
    together = edges(pixels.mean(axis=0), sigma) if sensor == "display-radar" else np.mean(views.dates, axis=0)
    np.testing.assert_allclose(views.mean, together, atol=1e-5)
