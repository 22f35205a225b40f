"""Small data sets in the true layouts of published formats, with known pixels."""

import json
import warnings
from pathlib import Path

import h5py
import numpy as np
import rasterio
from affine import Affine
from rasterio.errors import NotGeoreferencedWarning

UTM = Affine(30, 0, 339885, 0, -30, 8286915)
DEGREES = Affine(7920 / 264 / 111_190, 0, 7.0, 0, -7920 / 264 / 111_190, 51.0)


def at(grid: Affine, column: float, row: float = 0, zoom: float = 1) -> Affine:
    """The grid moved by pixels, with pixels larger by a factor."""
    x, y = grid.c + column * grid.a, grid.f + row * grid.e
    return Affine(grid.a * zoom, 0, x, 0, grid.e * zoom, y)


def tif(
    path: Path, pixels: np.ndarray, crs: str | None = "EPSG:32615", transform: Affine = UTM, **profile
) -> np.ndarray:
    """One raster file; returns what was written."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.unlink(missing_ok=True)  # overwriting would make GDAL delete a Landsat scene's metadata as well
    count, height, width = pixels.shape
    profile = {"driver": "GTiff", "count": count, "height": height, "width": width, "dtype": pixels.dtype} | profile
    if crs:
        profile |= {"crs": crs, "transform": transform}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NotGeoreferencedWarning)
        with rasterio.open(path, "w", **profile) as file:
            file.write(pixels)
    return pixels


def read(path: Path) -> np.ndarray:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NotGeoreferencedWarning)
        with rasterio.open(path) as file:
            return file.read()


def noise(seed: int, shape: tuple[int, ...], low: int = 1, high: int = 255, dtype: str = "uint8") -> np.ndarray:
    return np.random.default_rng(seed).integers(low, high, shape).astype(dtype)


SSL4EO_L_BANDS = {"tm_toa": 7, "etm_toa": 9, "etm_sr": 6, "oli_tirs_toa": 11, "oli_sr": 7}
SSL4EO_L_DATES = ("20210306", "20210627", "20211001", "20220105")


def ssl4eo_l(root: Path, split: str, locations: int = 2, dates=SSL4EO_L_DATES, px: int = 264) -> None:
    """`ssl4eo_l_<split>/<7-digit location>/<scene>/all_bands.tif`, LZW with predictor 2."""
    for number in range(locations):
        for k, date in enumerate(dates):
            scene = root / f"ssl4eo_l_{split}" / f"{number:07d}" / f"LC08_172{number:03d}_{date}"
            pixels = noise(number * 10 + k, (SSL4EO_L_BANDS[split], px, px))
            pixels[:, :2, :3] = 0
            place = at(DEGREES, 300 * number)
            tif(scene / "all_bands.tif", pixels, "EPSG:4326", place, compress="lzw", predictor=2)


S12_SCENES = {
    "s1": "S1A_IW_GRDH_1SDV_20200607T165614_20200607T165639_032912_03CFFD_1E24",
    "s2c": "20200604T054639_20200604T054831_T43RCP",
    "s2a": "20200607T055639_20200607T055831_T43RCP",
}
S12_SIZES = {**dict.fromkeys(("B1", "B9", "B10"), 44), **dict.fromkeys(("B5", "B6", "B7", "B8A", "B11", "B12"), 132)}


def ssl4eo_s12(root: Path, locations: int = 2) -> None:
    """`{s1,s2c,s2a}/<7-digit location>/<scene>/<band>.tif`."""
    optical = [f"B{n}" for n in (*range(1, 9), "8A", 9, 10, 11, 12)]
    bands = {"s1": ["VV", "VH"], "s2c": optical, "s2a": [name for name in optical if name != "B10"]}
    for number in range(locations):
        for modality, scene in S12_SCENES.items():
            for k, band in enumerate(bands[modality]):
                px = 264 if modality == "s1" else S12_SIZES.get(band, 264)
                pixels = noise(number * 50 + k, (1, px, px), 1, 9000, "uint16")
                if modality == "s1":
                    pixels = -20 + pixels.astype(np.float32) / 1000
                grid = at(DEGREES, 300 * number, zoom=264 / px)
                tif(root / modality / f"{number:07d}" / scene / f"{band}.tif", pixels, "EPSG:4326", grid)


def eurosat(root: Path, classes, nested: str = "ds/images/remote_sensing/otherDatasets/sentinel_2/tif") -> None:
    """`<class>/<class>_<n>.tif` and the lists, whose names end in .jpg."""
    for c, name in enumerate(classes):
        for n, part in enumerate(("train", "val", "test"), start=1):
            pixels = noise(10 * c + n, (13, 64, 64), 1, 9000, "uint16")
            place = at(UTM, 100 * c, 100 * n, 1 / 3)
            tif(root / nested / name / f"{name}_{n}.tif", pixels, "EPSG:32632", place)
            with (root / f"eurosat-{part}.txt").open("a") as file:
                file.write(f"{name}_{n}.jpg\n")


def resisc45(root: Path, classes) -> None:
    """`NWPU-RESISC45/<class>/<class>_<nnn>.jpg` and the lists."""
    for c, name in enumerate(classes):
        for n, part in enumerate(("train", "val", "test"), start=1):
            blocks = noise(3 * c + n, (3, 8, 8))
            pixels = blocks.repeat(32, axis=1).repeat(32, axis=2)
            tif(root / "NWPU-RESISC45" / name / f"{name}_{n:03d}.jpg", pixels, None, driver="JPEG")
            with (root / f"resisc45-{part}.txt").open("a") as file:
                file.write(f"{name}_{n:03d}.jpg\n")


def ssl4eo_l_benchmark(root: Path, sensor: str, locations: int) -> None:
    """`ssl4eo_l_<sensor>_benchmark/<location>/<scene>/all_bands.tif` and masks of both products."""
    family = sensor.partition("_")[0]
    kept = {"nlcd": [0, 11, 12, 23, 41, 95], "cdl": [0, 1, 4, 5, 111, 254]}
    for number in range(locations):
        scene = f"{number:07d}/LC08_172{number:03d}_20190704"
        place = at(DEGREES, 300 * number)
        pixels = noise(number, (SSL4EO_L_BANDS[sensor], 264, 264))
        tif(root / f"ssl4eo_l_{sensor}_benchmark" / scene / "all_bands.tif", pixels, "EPSG:4326", place)
        for product, codes in kept.items():
            mask = np.random.default_rng(number).choice(np.array(codes, np.uint8), (1, 264, 264))
            tif(root / f"ssl4eo_l_{family}_{product}" / scene / f"{product}_2019.tif", mask, "EPSG:4326", place)


def cloudmask_ukis(root: Path) -> None:
    """`landsat5.npz` and others: img (y, x, 6) float32, msk (y, x, 1) uint8."""
    for seed, name in enumerate(("landsat5", "landsat7", "landsat8", "sentinel2")):
        rng = np.random.default_rng(seed)
        image = rng.uniform(0, 1.2, (32, 40, 6)).astype(np.float32)
        np.savez(root / f"{name}.npz", img=image, msk=rng.integers(0, 5, (32, 40, 1)).astype(np.uint8))


OLI_MTL = """GROUP = LANDSAT_METADATA_FILE
  GROUP = PRODUCT_CONTENTS
    COLLECTION_NUMBER = {collection}
  END_GROUP = PRODUCT_CONTENTS
  GROUP = IMAGE_ATTRIBUTES
    DATE_ACQUIRED = {date}
    SCENE_CENTER_TIME = "15:40:12.1234567Z"
    SUN_ELEVATION = {sun}
  END_GROUP = IMAGE_ATTRIBUTES
  GROUP = LEVEL2_SURFACE_REFLECTANCE_PARAMETERS
    REFLECTANCE_MULT_BAND_4 = 2.75e-05
    REFLECTANCE_ADD_BAND_4 = -0.2
  END_GROUP = LEVEL2_SURFACE_REFLECTANCE_PARAMETERS
  GROUP = LEVEL1_RADIOMETRIC_RESCALING
{reflective}
    RADIANCE_MULT_BAND_10 = 3.3420E-04
    RADIANCE_ADD_BAND_10 = 0.10000
  END_GROUP = LEVEL1_RADIOMETRIC_RESCALING
  GROUP = LEVEL1_THERMAL_CONSTANTS
    K1_CONSTANT_BAND_10 = 774.8853
    K2_CONSTANT_BAND_10 = 1321.0789
  END_GROUP = LEVEL1_THERMAL_CONSTANTS
END_GROUP = LANDSAT_METADATA_FILE
END
"""


def landsat_l1(root: Path, scene: str, seed: int = 0, sun: float = 41.5, quality: str = "QA_PIXEL") -> Path:
    """A level-1 scene of Landsat 8: bands 2, 4, 8 (15 m), 10, a quality band, metadata. The first rows are fill."""
    folder, px = root / scene, 48
    for number in (2, 4, 8, 10):
        size = 2 * px if number == 8 else px
        counts = noise(seed + number, (1, size, size), 5000, 30000, "uint16")
        counts[:, : size // 12] = 0
        tiles = {"tiled": True, "blockxsize": 16, "blockysize": 16}
        tif(folder / f"{scene}_B{number}.TIF", counts, "EPSG:32615", at(UTM, 0, zoom=px / size), **tiles)
    codes = np.full((1, px, px), 1 << 6, np.uint16)
    codes[:, : px // 12] = 1
    codes[:, 20:30, 4:14] |= 1 << (3 if quality == "QA_PIXEL" else 4)
    tif(folder / f"{scene}_{quality}.TIF", codes, "EPSG:32615")
    day, collection = scene.split("_")[3], scene.split("_")[5]
    reflective = "\n".join(
        f"    REFLECTANCE_{what}_BAND_{number} = {value}"
        for number in (2, 4, 8)
        for what, value in (("MULT", "2.0000E-05"), ("ADD", "-0.100000"))
    )
    date = f"{day[:4]}-{day[4:6]}-{day[6:]}"
    text = OLI_MTL.format(date=date, sun=sun, reflective=reflective, collection=collection)
    (folder / f"{scene}_MTL.txt").write_text(text)
    return folder


def landsat_l2(root: Path, scene: str, seed: int = 0, grid: Affine = UTM, px: int = 48) -> Path:
    """A level-2 scene of Landsat 8: two surface bands, temperature and the quality band."""
    folder = root / scene
    for number, name in enumerate(("SR_B4", "SR_B5", "ST_B10")):
        counts = noise(seed + number, (1, px, px), 7000, 40000, "uint16")
        counts[:, :4] = 0
        tif(folder / f"{scene}_{name}.TIF", counts, "EPSG:32615", grid, nodata=0)
    codes = np.full((1, px, px), 1 << 6, np.uint16)
    codes[:, :4] = 1
    codes[:, 20:30, 4:14] |= 1 << 4
    tif(folder / f"{scene}_QA_PIXEL.TIF", codes, "EPSG:32615", grid)
    tif(folder / f"{scene}_SR_QA_AEROSOL.TIF", codes.astype(np.uint8), "EPSG:32615", grid)
    return folder


IRISH_MTL = """GROUP = METADATA_FILE
    ACQUISITION_DATE = {date}
    SUN_ELEVATION = 43.2
{ranges}
END_GROUP = METADATA_FILE
END
"""
IRISH = {
    "austral/p226_r98": ("L71226098_09820011112", "L7_p226_r98_newmask2015"),
    "austral/p227_r98": ("L71227098_09820011103", "L7_p227_r98_newmask2015"),
    "austral/p231_r93_2": ("L71231093_09320010507", "L7_p231_r93_newmask2015"),
    "boreal/p2_r27": ("L71002027_02720010604", "L7_p2_r27_newmask2015"),
    "boreal/p143_r21_3": ("L71143021_02120010803", "L7_p143_r21_newmask2015"),
}


def mask_of_clouds(seed: int, size: tuple[int, int]) -> np.ndarray:
    return np.random.default_rng(seed).choice(np.array([0, 64, 128, 192, 255], np.uint8), (1, *size))


def l7_irish(root: Path, size: tuple[int, int] = (36, 40)) -> None:
    """`<zone>/<path and row>/<scene>.TIF` of nine bands, the mask and old metadata."""
    for seed, (folder, (image, mask)) in enumerate(IRISH.items()):
        pixels = noise(seed, (9, *size))
        pixels[:, :4, :4] = 0
        grid = at(UTM, 2000 * seed)
        tif(root / folder / f"{image}.TIF", pixels, "EPSG:32615", grid)
        tif(root / folder / f"{mask}.TIF", mask_of_clouds(seed, size), "EPSG:32615", grid)
        fields = {"LMAX": 191.6, "LMIN": -6.2, "QCALMAX": 255.0, "QCALMIN": 1.0}
        bands = (1, 2, 3, 4, 5, 61, 62, 7, 8)
        ranges = "\n".join(f"    {name}_BAND{band} = {value}" for band in bands for name, value in fields.items())
        date = f"{image[-8:-4]}-{image[-4:-2]}-{image[-2:]}"
        (root / folder / f"{image}_MTL.txt").write_text(IRISH_MTL.format(date=date, ranges=ranges))


BIOMES = {
    "barren": ("LC80420082013220LGN00", "LC80530022014156LGN00", "LC81360302014162LGN00"),
    "forest": ("LC80070662014234LGN00", "LC80200462014005LGN00"),
}


def l8_biome(root: Path, size: tuple[int, int] = (36, 40), dtype: str = "uint16") -> None:
    """`<biome>/<scene>/<scene>.TIF` of eleven bands, the mask and metadata."""
    for seed, (biome, scene) in enumerate((biome, scene) for biome, scenes in BIOMES.items() for scene in scenes):
        folder = root / biome / scene
        pixels = noise(seed, (11, *size), 1, 255 if dtype == "uint8" else 40000, dtype)
        pixels[:, :4, :4] = 0
        grid = at(UTM, 2000 * seed)
        tif(folder / f"{scene}.TIF", pixels, "EPSG:32615", grid)
        tif(folder / f"{scene}_fixedmask.TIF", mask_of_clouds(seed, size), "EPSG:32615", grid)
        pairs = [("REFLECTANCE", n, "2.0E-05", "-0.1") for n in range(1, 10)]
        pairs += [("RADIANCE", n, "3.342E-04", "0.1") for n in (10, 11)]
        reflective = "\n".join(f"{kind}_MULT_BAND_{n} = {m}\n{kind}_ADD_BAND_{n} = {a}" for kind, n, m, a in pairs)
        text = OLI_MTL.format(date="2014-06-05", sun=33.0, reflective=reflective, collection="01")
        (folder / f"{scene}_MTL.txt").write_text(text)


def mmearth(root: Path, tiles: int = 5, px: int = 64, name: str = "data_1M_v001_64") -> Path:
    """`data_1M_v001_64/data_1M_v001_64.h5` and its tables."""
    folder = root / name
    folder.mkdir(parents=True)
    rng = np.random.default_rng(0)
    with h5py.File(folder / f"{name}.h5", "w") as file:

        def put(key: str, values: np.ndarray, **options) -> None:
            file.create_dataset(key, data=values, compression="gzip", chunks=(1, *values.shape[1:]), **options)

        optical = rng.integers(1, 9000, (tiles, 13, px, px)).astype(np.uint16)
        optical[::2, 10] = 0
        optical[:, :, :3] = 0
        put("sentinel2", optical)
        radar = rng.normal(-12, 3, (tiles, 8, px, px)).astype(np.float32)
        radar[:, [2, 3, 6, 7]] = -np.inf
        radar[1, 4:] = -np.inf
        put("sentinel1", radar)
        put("dynamic_world", rng.integers(0, 10, (tiles, 1, px, px)).astype(np.uint8))
        codes = np.array([10, 20, 30, 40, 50, 60, 70, 80, 90, 95, 100, 255], np.uint8)
        put("esa_worldcover", rng.choice(codes, (tiles, 1, px, px)))
        scl = rng.integers(0, 12, (tiles, 1, px, px)).astype(np.uint8)
        scl[1::2] = 255
        put("sentinel2_scl", scl)
        put("sentinel2_cloudmask", (rng.integers(0, 4, (tiles, 1, px, px)) << 10).astype(np.uint16))
        put("aster", rng.integers(-3, 900, (tiles, 2, px, px)).astype(np.int16))
        canopy = rng.integers(0, 40, (tiles, 2, px, px)).astype(np.int8)
        canopy[:, :, 5], canopy[:, :, 6] = -1, 127
        canopy[4] = -1
        put("canopy_height_eth", canopy)
        weather = rng.normal(280, 5, (tiles, 12)).astype(np.float32)
        weather[3, 8:] = np.nan
        put("era5", weather)
        put("biome", np.eye(14, dtype=np.uint8)[np.arange(tiles) % 14])
        put("eco_region", np.eye(846, dtype=np.uint16)[np.arange(tiles) * 7])
        kind = np.dtype([("tile_id", "S100"), ("S2_type", "S10")])
        levels = ["l1c" if k % 2 else "l2a" for k in range(tiles)]
        put("metadata", np.array([(f"t{k}".encode(), level.encode()) for k, level in enumerate(levels)], kind))
    fixed = {"CRS": "EPSG:32721", "lon": -57.0}
    info = {
        f"t{k}": fixed | {"S2_DATE": f"2018-07-{k + 1:02d}", "S2_type": level, "lat": -14.5 - k}
        for k, level in enumerate(levels)
    }
    (folder / f"{name}_tile_info.json").write_text(json.dumps(info))
    (folder / f"{name}_splits.json").write_text(json.dumps({"train": [0, 1, 2], "val": [3], "test": [4]}))
    return folder / f"{name}.h5"
