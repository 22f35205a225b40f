"""What the conformance suite has to know of each published format: small files, and what one of them means."""

import functools
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import h5py
import numpy as np
import pandas as pd
import xarray as xr

from swath.corpus.sources.published import cloudmask_ukis, eurosat, resisc45
from tests.corpus.sources import image_layouts as layouts
from tests.corpus.sources.image_layouts import read
from tests.corpus.sources.published.formats import (
    bigearthnet_mm,
    floods_and_mesh,
    pastis_r,
    s2_100k,
    sen12,
    south_sudan,
    ssl4eo_s12_v1_1,
    worldcereal_cubes,
    worldcereal_patches,
    worldcereal_pixels,
)

Truth = dict[str, tuple[str, np.ndarray]]
"""By sensor: id of a location, and what its first chip must be in physical units, `c y x`."""
OPTICAL, RADAR = "sentinel-2-l2a", "sentinel-1-grd"
L1C, RTC = "sentinel-2-l1c", "sentinel-1-rtc"


@dataclass(frozen=True)
class Case:
    """A format: its files, their meaning, and which file is spoilt to see what becomes of the others."""

    write: Callable[[Path], object]
    truth: Callable[[Path], Truth]
    file: str
    """Pattern of files of which each belongs to some locations; the last one is spoilt."""
    survive: int
    """Locations that are left if that file is left out; 0 if all are in it."""
    settings: dict[str, Any] = field(default_factory=dict)
    missing: Literal["bad file", "listed", "noted", "unseen"] = "bad file"
    """What its absence is: that of a bad file; an error that no setting takes away, as a list names it; a line of the
    log; or nothing that the other files could tell."""
    retype: Callable[[Path], None] | None = None
    """Writes the file with values of another type; by default as any file of its kind."""


def small(path: Path) -> np.ndarray:
    """The upper left 16 x 16 pixels."""
    return read(path)[:, :16, :16].astype(float)


def repeated(path: Path, factor: int) -> np.ndarray:
    return read(path)[0].repeat(factor, 0).repeat(factor, 1)


def _bigearthnet(root: Path) -> Truth:
    optical, radar = next(iter(bigearthnet_mm.PAIRS.items()))
    factors = {band: bigearthnet_mm.FACTORS.get(band, 1) for band in bigearthnet_mm.BANDS}
    here = root / "BigEarthNet-v1.0" / optical
    bands = [repeated(here / f"{optical}_{band}.tif", factor) for band, factor in factors.items()]
    there = root / "BigEarthNet-S1-v1.0" / radar
    power = [read(there / f"{radar}_{band}.tif")[0] for band in ("VV", "VH")]
    return {OPTICAL: (optical, np.stack(bands) / 1e4), RADAR: (optical, np.stack(power))}


def _cloudmask(root: Path) -> Truth:
    first = {sensor: name for name, (sensor, _) in reversed(cloudmask_ukis.BANDS.items())}
    images = {sensor: np.load(root / f"{name}.npz")["img"][:16, :16] for sensor, name in first.items()}
    return {sensor: (f"{first[sensor]}_0_0", image.transpose(2, 0, 1)) for sensor, image in images.items()}


def _sen12(root: Path, season: str, scene: str, patch: str) -> Truth:
    paths = {kind: root / season / f"{kind}_{scene}" / f"{season}_{kind}_{scene}_p{patch}.tif" for kind in ("s1", "s2")}
    uid = f"{season}_{scene}_p{patch}"
    return {L1C: (uid, read(paths["s2"]) / 1e4), RADAR: (uid, read(paths["s1"]))}


def _dfc2020(root: Path) -> Truth:
    paths = {kind: root / "ROIs0000_test" / f"{kind}_0" / f"ROIs0000_test_{kind}_0_p1.tif" for kind in ("s1", "s2")}
    uid = "ROIs0000_test_0_p1"
    return {L1C: (uid, read(paths["s2"]) / 1e4), RADAR: (uid, read(paths["s1"]))}


def _eurosat(root: Path) -> Truth:
    pixels = read(next(root.rglob("River_1.tif"))) / 1e4
    return {L1C: ("River_1", pixels[[0, 1, 2, 3, 4, 5, 6, 7, 12, 8, 9, 10, 11]])}


def _irish(root: Path) -> Truth:
    """The handbook's formulas: radiance from the range of counts, then what of the sun's light is reflected."""
    folder, (scene, _) = next(iter(layouts.IRISH.items()))
    radiance = (191.6 + 6.2) / 254 * (small(root / folder / f"{scene}.TIF") - 1) - 6.2
    days = int((np.datetime64("2001-11-12") - np.datetime64("2001-01-01")).astype(int)) + 1
    distance = 1 - 0.01672 * np.cos(np.deg2rad(0.9856 * (days - 4)))
    suns = np.array([1997.0, 1812.0, 1533.0, 1039.0, 230.8, np.nan, np.nan, 84.9, 1362.0])[:, None, None]
    values = np.pi * radiance * distance**2 / (suns * np.sin(np.deg2rad(43.2)))
    for band in (5, 6):  # counts whose radiance is below zero have no temperature: 0 is stored
        warm = radiance[band] > 0
        values[band] = np.where(warm, 1282.71 / np.log(666.09 / np.where(warm, radiance[band], 1) + 1), 0)
    return {"landsat-etm-toa": (f"{scene}_0_0", values)}


def _biome(root: Path) -> Truth:
    biome, (scene, *_) = next(iter(layouts.BIOMES.items()))
    counts = small(root / biome / scene / f"{scene}.TIF")
    values = (2e-5 * counts - 0.1) / np.sin(np.deg2rad(33.0))
    for band, k1, k2 in ((9, 774.8853, 1321.0789), (10, 480.8883, 1201.1442)):
        values[band] = k2 / np.log(k1 / (3.342e-4 * counts[band] + 0.1) + 1)
    return {"landsat-oli-toa": (f"{scene}_0_0", values)}


L2 = ("LC08_L2SP_025030_20200704_20200910_02_T1", "LC08_L2SP_026030_20200711_20200912_02_T1")


def _landsat_l2(root: Path) -> None:
    for number, scene in enumerate(L2):
        layouts.landsat_l2(root, scene, 5 * number, layouts.at(layouts.UTM, 2000 * number))


def _level_2(root: Path) -> Truth:
    bands = [small(root / L2[0] / f"{L2[0]}_{band}.TIF")[0] for band in ("SR_B4", "SR_B5", "ST_B10")]
    red, infrared, thermal = bands
    return {
        "landsat-oli-sr": ("", np.stack([red * 2.75e-5 - 0.2, infrared * 2.75e-5 - 0.2, thermal * 0.00341802 + 149]))
    }


def _mmearth(root: Path) -> Truth:
    with h5py.File(next(root.rglob("*.h5"))) as file:
        optical, radar = file["sentinel2"][:2], file["sentinel1"][0]
    order = [0, 1, 2, 3, 4, 5, 6, 8, 7, 9, 10, 11, 12]  # the file has band 8A before band 8
    without = [k for k in order if k != 10]
    return {OPTICAL: ("t0", optical[0, without] / 1e4), L1C: ("t1", optical[1, order] / 1e4), RADAR: ("t0", radar[:2])}


def _pastis(root: Path) -> Truth:
    """The first date, which is the second in the file of the optical series."""
    counts = np.load(root / "PASTIS-R" / "DATA_S2" / "S2_10000.npy")[1]
    radar = np.load(root / "PASTIS-R" / "DATA_S1A" / "S1A_10000.npy")[0, :2]
    return {OPTICAL: ("10000", counts / 1e4), RADAR: ("10000", radar)}


def _resisc(root: Path) -> Truth:
    return {"display-optical": ("airport_001", read(next(root.rglob("airport_001.jpg"))) / 255)}


def _floods(root: Path) -> Truth:
    hand = next(root.rglob("HandLabeled"))
    pixels = {kind: read(hand / kind / f"Ghana_103272_{kind}.tif")[:, :256, :256] for kind in ("S1Hand", "S2Hand")}
    uid = "Ghana_103272_0_0"
    return {L1C: (uid, pixels["S2Hand"] / 1e4), RADAR: (uid, pixels["S1Hand"])}


def _south_sudan(root: Path) -> Truth:
    """The first date is the last in the file."""
    with np.load(root / "southsudan" / "npy" / "southsudan_000001.npz") as images:
        return {L1C: ("000001", images["s2"][:10, ..., -1] / 1e4), RADAR: ("000001", images["s1"][:2, ..., -1])}


def _ssl4eo_l(root: Path) -> Truth:
    """A byte is a part of 255 of the range from 0 to 0.3."""
    path = min(root.glob("ssl4eo_l_*/0000000/*/all_bands.tif"))
    return {"landsat-oli-sr": ("0000000", read(path) / 255 * 0.3)}


def _ssl4eo_s12(root: Path) -> Truth:
    found = {}
    names = [f"B{n}" for n in (1, 2, 3, 4, 5, 6, 7, 8, "8A", 9, 10, 11, 12)]
    for modality, sensor in (("s2c", L1C), ("s2a", OPTICAL)):
        here = root / modality / "0000000" / layouts.S12_SCENES[modality]
        bands = [name for name in names if (here / f"{name}.tif").exists()]
        pixels = [repeated(here / f"{name}.tif", 264 // layouts.S12_SIZES.get(name, 264)) for name in bands]
        found[sensor] = ("0000000", np.stack(pixels) / 1e4)
    here = root / "s1" / "0000000" / layouts.S12_SCENES["s1"]
    return found | {RADAR: ("0000000", np.stack([read(here / f"{band}.tif")[0] for band in ("VV", "VH")]))}


def _s12_v1_1(_: Path) -> Truth:
    """The edition in chunks stores what level 2A has had since baseline 04.00: 1000 counts more."""
    sample = "0080717"
    counts = {name: ssl4eo_s12_v1_1.pixels(sample, name, 1000)[0] for name in ("S2L1C", "S2L2A", "S1GRD")}
    optical = {L1C: (sample, counts["S2L1C"] / 1e4 - 0.1), OPTICAL: (sample, counts["S2L2A"] / 1e4 - 0.1)}
    return optical | {RADAR: (sample, counts["S1GRD"].astype(float))}


def _retyped_zip(path: Path) -> None:
    data = ssl4eo_s12_v1_1.of_many(ssl4eo_s12_v1_1.SAMPLES["val"], "S2L2A")
    path.write_bytes(ssl4eo_s12_v1_1.zipped(data.assign(bands=data["bands"].astype(float))))


def _terramesh(root: Path) -> Truth:
    patch = floods_and_mesh.PATCHES[0]
    pixels = {product: read(root / product / f"{patch}.tif") for product in ("S2L2A", "S1RTC")}
    return {OPTICAL: (patch, pixels["S2L2A"] / 1e4), RTC: (patch, pixels["S1RTC"])}


def _cubes(root: Path) -> Truth:
    """Unsigned counts in signed integers; of the radar, the square of the count is its power above -83 dB."""
    with xr.open_dataset(root / "north.nc", mask_and_scale=False) as data:
        counts = {band: data[band].values.view("uint16")[0, :5, :5].astype(float) for band in data if band[0] in "BV"}
    optical = np.stack([counts[band] for band in worldcereal_cubes.BANDS]) / 1e4
    radar = 20 * np.log10(np.stack([counts["VV"], counts["VH"]])) - 83
    return {OPTICAL: ("north_0_0", optical), RADAR: ("north_0_0", radar)}


def _retyped_cube(path: Path) -> None:
    with xr.open_dataset(path, mask_and_scale=False) as data:
        data = data.load()
    path.unlink()
    data.assign({"S2-L2A-B02": data["S2-L2A-B02"].astype("float64")}).to_netcdf(path, engine="h5netcdf")


def _patches(root: Path) -> Truth:
    site = next(iter(worldcereal_patches.SITES))

    def first(product: str, bands: tuple[str, ...]) -> np.ndarray:
        with xr.open_dataset(worldcereal_patches.path(root, product, site), mask_and_scale=False) as data:
            return np.stack([data[band].values[0].astype(float) for band in bands])

    optical = first("S2_L2A_20m", ("B05", "B06", "B07", "B8A", "B11", "B12")) / 1e4
    return {OPTICAL: (site, optical), RADAR: (site, first("S1_GRD-ASCENDING_20m", ("VV", "VH")) / 1e4)}


def _retyped_patch(path: Path) -> None:
    with xr.open_dataset(path, mask_and_scale=False) as data:
        data = data.load()
    path.unlink()
    data.assign(B05=data["B05"].astype("float64")).to_netcdf(path, engine="h5netcdf")


def _pixels(root: Path) -> Truth:
    """The first month of a sample: a pixel a chip."""
    row = pd.read_parquet(next(root.glob(worldcereal_pixels.REGIONS["world"]))).iloc[0]
    counts = [row[f"OPTICAL-{band}-ts0-{worldcereal_pixels._gsd(band)}m"] for band in worldcereal_pixels.BANDS]
    radar = np.array([row["SAR-VV-ts0-20m"], row["SAR-VH-ts0-20m"]], float)
    optical = np.array(counts, float)[:, None, None] / 1e4
    return {OPTICAL: ("world-w0", optical), RADAR: ("world-w0", (20 * np.log10(radar) - 83)[:, None, None])}


def _retyped_table(path: Path) -> None:
    table = pd.read_parquet(path)
    table["SAR-VV-ts0-20m"] = table["SAR-VV-ts0-20m"].astype(str)
    table.to_parquet(path)


def _retyped_h5(path: Path) -> None:
    with h5py.File(path, "a") as file:
        values = file["sentinel2"][:]
        del file["sentinel2"]
        file["sentinel2"] = values.astype(np.float32)


CUT = {"chip_px": 16}
CASES: dict[str, Case] = {
    "bigearthnet-mm": Case(bigearthnet_mm.write, _bigearthnet, "*_B02.tif", 1),
    "cloudmask-ukis": Case(layouts.cloudmask_ukis, _cloudmask, "*.npz", 12, CUT, "noted"),
    "dfc2020": Case(sen12.dfc2020, _dfc2020, "*_s2_*.tif", 1),
    "eurosat": Case(
        lambda root: layouts.eurosat(root, eurosat.CLASSES[:1] + eurosat.CLASSES[8:9]), _eurosat, "*.tif", 5,
        {"classes": (eurosat.CLASSES[0], eurosat.CLASSES[8])}, "listed",
    ),
    "l7-irish": Case(layouts.l7_irish, _irish, "*_newmask2015.TIF", 16, CUT),
    "l8-biome": Case(layouts.l8_biome, _biome, "*_fixedmask.TIF", 16, CUT),
    "landsat-c2": Case(_landsat_l2, _level_2, "*_SR_B5.TIF", 9, CUT | {"bands": ("SR_B4", "SR_B5", "ST_B10")}),
    "mmearth": Case(layouts.mmearth, _mmearth, "*.h5", 0, retype=_retyped_h5),
    "pastis-r": Case(
        functools.partial(pastis_r.write, ids=pastis_r.IDS[:2], kinds=("S2", "S1A")), _pastis, "S2_*.npy", 1
    ),
    "resisc45": Case(
        lambda root: layouts.resisc45(root, resisc45.CLASSES[:2]), _resisc, "*.jpg", 5,
        {"classes": resisc45.CLASSES[:2]}, "listed",
    ),
    "s2-100k": Case(
        s2_100k.write, lambda root: {OPTICAL: ("patch_9", read(root / "images" / "patch_9.tif") / 1e4)},
        "patch_*.tif", 2,
    ),
    "sen12ms": Case(
        lambda root: sen12.sen12ms(root, sen12.PATCHES[:2]), lambda root: _sen12(root, "ROIs1158_spring", "1", "30"),
        "*_s2_*.tif", 1, {"split": "none"},
    ),
    "sen1floods11": Case(floods_and_mesh.sen1floods11, _floods, "*_S2Hand.tif", 4),
    "south-sudan": Case(south_sudan.write, _south_sudan, "npy/*.npz", 2),
    "ssl4eo-l": Case(
        lambda root: layouts.ssl4eo_l(root, "oli_sr", dates=layouts.SSL4EO_L_DATES[:2]), _ssl4eo_l, "all_bands.tif", 1
    ),
    "ssl4eo-l-benchmark": Case(
        lambda root: layouts.ssl4eo_l_benchmark(root, "oli_sr", 2),
        lambda root: {"landsat-oli-sr": ("0000000", read(next(root.glob("*_benchmark/0000000/*/*.tif"))) / 255 * 0.3)},
        "all_bands.tif", 1, {"sensor": "oli_sr"}, "noted",
    ),
    "ssl4eo-s12": Case(layouts.ssl4eo_s12, _ssl4eo_s12, "s2c/*/*/B4.tif", 1),
    "ssl4eo-s12-v1-1": Case(ssl4eo_s12_v1_1.chunks, _s12_v1_1, "val/S2L2A/*.zip", 3, retype=_retyped_zip),
    "terramesh": Case(floods_and_mesh.terramesh, _terramesh, "S2L2A/*.tif", 1),
    "worldcereal-cubes": Case(worldcereal_cubes.write, _cubes, "south.nc", 8, {"chip_px": 5}, "unseen", _retyped_cube),
    "worldcereal-patches": Case(worldcereal_patches.write, _patches, "S2_L2A_20m*.nc", 1, retype=_retyped_patch),
    "worldcereal-pixels": Case(
        worldcereal_pixels.write, _pixels, worldcereal_pixels.REGIONS["world"], 12,
        {"regions": tuple(worldcereal_pixels.REGIONS)}, "listed", _retyped_table,
    ),
}  # fmt: skip
