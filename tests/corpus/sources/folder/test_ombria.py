"""The shipped recipes of OMBRIA read both of its layouts."""

import numpy as np

from swath import config
from swath.corpus import Corpus, Reader, Selection
from swath.corpus.sources import build
from tests.corpus.sources.folder.test_folder import write

SENSORS = {"1": ("display-radar", 1), "2": ("display-optical", 3)}


def test_floods_of_2021_lie_in_a_folder_an_event(tmp_path):
    written = {}
    rng = np.random.default_rng(0)
    for event in ("ALBANIA", "TIMOR"):
        for number in (1, 12):
            for satellite, (sensor, channels) in SENSORS.items():
                for folder, name in (("BEFORE", "imbefore"), ("AFTER", "imafter")):
                    path = tmp_path / f"2021/{event}/Sentinel{satellite}/{folder}/{name}_{number}.png"
                    pixels = write(path, rng.integers(1, 255, (channels, 64, 64)).astype("uint8"))
                    written[f"{event}_{number}", sensor, folder.lower()] = pixels
                    mask = rng.choice([0, 255], (1, 64, 64)).astype("uint8")
                mask = write(tmp_path / f"2021/{event}/Sentinel{satellite}/MASK/gt_{number}.png", mask)
                written.setdefault((f"{event}_{number}", "mask"), mask[0])
    section = config.load("ombria-2021").corpus.source
    build(section, tmp_path / "c", tmp_path / "2021")
    corpus = Corpus.open(tmp_path / "c")
    assert corpus.locations["uid"].tolist() == ["ALBANIA_1", "ALBANIA_12", "TIMOR_1", "TIMOR_12"]
    assert len(corpus.chips) == 16
    for row, uid in enumerate(corpus.locations["uid"]):
        np.testing.assert_array_equal(corpus.labels("flood", [row])[0], written[uid, "mask"])
    reader = Reader(corpus, {"display-optical": ["swir16", "nir", "red"]})
    for row, uid in enumerate(corpus.locations["uid"]):
        for tag in ("before", "after"):
            pixels = reader.batch(np.array([row]), Selection(tag=tag)).images["display-optical"].pixels[0, 0]
            np.testing.assert_allclose(pixels.numpy() * 255, written[uid, "display-optical", tag], atol=0.01)
