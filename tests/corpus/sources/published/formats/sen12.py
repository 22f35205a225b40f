"""SEN12MS and DFC2020: patches of 256 x 256 px in folders by season and scene."""

from pathlib import Path

import numpy as np

from tests.corpus.sources.image_layouts import UTM, at, tif

PATCHES = (("ROIs1158_spring", "1", "30"), ("ROIs1158_spring", "1", "31"), ("ROIs1868_summer", "146", "202"))
CRS = "EPSG:32631"


def sen12ms(root: Path, patches=PATCHES, seed: int = 0) -> None:
    """Radar in dB, 13 bands at the top of the atmosphere, four bands of land cover; two lists."""
    rng = np.random.default_rng(seed)
    for number, (season, scene, patch) in enumerate(patches):
        place = at(UTM, 300 * number)
        cover = rng.integers(1, 18, (4, 256, 256)).astype("uint16")
        cover[0, :200] = 12 - number
        cover[0, 0, 0] = 255
        for kind, pixels in zip(("s1", "s2", "lc"), (*_pair(rng), cover), strict=True):
            tif(root / season / f"{kind}_{scene}" / f"{season}_{kind}_{scene}_p{patch}.tif", pixels, CRS, place)
    (root / "train_list.txt").write_text("ROIs1158_spring_s2_1_p30.tif\n")
    (root / "test_list.txt").write_text("ROIs1158_spring_s2_1_p31.tif\n")


def dfc2020(root: Path, seed: int = 0, each: int = 1) -> None:
    """Validation and test patches, each with its classes of 10 m and with MODIS land cover, which is unread."""
    rng = np.random.default_rng(seed)
    for number, (part, scene) in enumerate((("validation", "validation"), ("test", "0")) * each):
        for kind, pixels in zip(("s1", "s2", "dfc", "lc"), (*_pair(rng), *_codes(rng)), strict=True):
            path = root / f"ROIs0000_{part}" / f"{kind}_{scene}" / f"ROIs0000_{part}_{kind}_0_p{number}.tif"
            tif(path, pixels, CRS, at(UTM, 300 * number))


def _pair(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    radar = rng.normal(-12, 3, (2, 256, 256)).astype("float32")
    radar[0, 4, 5] = np.nan
    optical = rng.integers(0, 5000, (13, 256, 256)).astype("uint16")
    optical[:, 1, :3] = 0
    return radar, optical


def _codes(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    return rng.integers(0, 11, (1, 256, 256)).astype("uint8"), rng.integers(1, 18, (4, 256, 256)).astype("uint16")
