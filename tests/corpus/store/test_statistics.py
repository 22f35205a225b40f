import numpy as np
import pytest

from swath.corpus import Reader, Selection, band_statistics
from swath.corpus.store import statistics
from tests.corpus.fakes import LAYOUTS, OPTICAL, RADAR, location, make


def given(sensor: str, numbers: range) -> np.ndarray:
    """All valid pixels of a sensor in physical units, "band pixel", straight from what the source handed over."""
    layout = LAYOUTS[sensor]
    columns = []
    for number in numbers:
        for chip in location(number)[1]:
            if chip.sensor == sensor:
                counts = chip.pixels.astype(np.float64).reshape(len(layout.bands), -1)
                good = np.isfinite(counts).all(axis=0) & (counts != layout.nodata).all(axis=0)
                columns.append(counts[:, good])
    joined = np.concatenate(columns, axis=1)
    return joined * np.array(layout.scale)[:, None] + np.array(layout.offset)[:, None]


@pytest.mark.parametrize("sensor", [OPTICAL, RADAR])
@pytest.mark.parametrize("block", [1, 2**14, 2**24])
def test_statistics_are_numpys_in_float64(sensor, block, tmp_path, monkeypatch):
    monkeypatch.setattr(statistics, "BLOCK_BYTES", block)
    corpus = make(tmp_path / "corpus")
    expected = given(sensor, range(12))
    for band, values in zip(LAYOUTS[sensor].bands, expected, strict=True):
        found = corpus.statistics[sensor][band]
        assert found.count == values.size
        assert found.mean == pytest.approx(values.mean(), rel=1e-12)
        assert found.std == pytest.approx(values.std(ddof=1), rel=1e-12)
        assert (found.min, found.max) == pytest.approx((values.min(), values.max()), rel=1e-12)


def test_statistics_of_some_locations(tmp_path):
    corpus = make(tmp_path / "corpus")
    found = band_statistics(corpus, range(5, 9))[OPTICAL]["B04"]
    assert found.mean == pytest.approx(given(OPTICAL, range(5, 9))[2].mean(), rel=1e-12)


def test_statistics_fit_what_the_reader_delivers(tmp_path):
    corpus = make(tmp_path / "corpus")
    image = Reader(corpus, {RADAR: ("VH",)}).batch(np.arange(12), Selection(dates="all")).images[RADAR]
    values = image.pixels[:, :, 0][image.valid].double().numpy()
    assert corpus.statistics[RADAR]["VH"].mean == pytest.approx(values.mean(), rel=1e-6)
    assert corpus.statistics[RADAR]["VH"].std == pytest.approx(values.std(ddof=1), rel=1e-6)
