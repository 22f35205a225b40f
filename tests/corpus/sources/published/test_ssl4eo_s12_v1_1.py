"""SSL4EO-S12 v1.1: both editions against an independent decoding of their chunks, and their faults."""

import io
import json
import shutil
import tarfile
import zipfile

import numpy as np
import pytest
from numcodecs import Blosc

from swath.corpus.sources.published.ssl4eo_s12_v1_1 import SENSORS
from swath.errors import CorpusError
from tests.corpus.sources.published.formats import ssl4eo_s12_v1_1 as files
from tests.corpus.sources.reading import labels, log, made, stored, valid

NAME = "ssl4eo-s12-v1-1"


@pytest.fixture(scope="module")
def chunks(tmp_path_factory):
    root = tmp_path_factory.mktemp("chunks")
    files.chunks(root)
    return root, made(NAME, root, root / "corpus")


@pytest.fixture(scope="module")
def shards(tmp_path_factory):
    root = tmp_path_factory.mktemp("shards")
    files.shards(root)
    return root, made(NAME, root, root / "corpus")


def decoded(zipped, name: str) -> np.ndarray:
    """An array of a zip file, chunk by chunk and without zarr; only its time axis is chunked."""
    with zipfile.ZipFile(zipped) as archive:
        meta = json.loads(archive.read(f"{name}/.zarray"))
        counts = [-(-n // c) for n, c in zip(meta["shape"], meta["chunks"], strict=True)]
        axis = int(np.argmax(counts))
        parts = []
        for k in range(max(counts)):
            index = ".".join(str(k if i == axis else 0) for i in range(len(counts)))
            content = Blosc().decode(archive.read(f"{name}/{index}"))
            parts.append(np.frombuffer(content, meta["dtype"]).reshape(meta["chunks"]))
    return np.concatenate(parts, axis=axis)


def by_uid(corpus, sensor: str) -> dict:
    """Images of each location in the order of time."""
    found: dict[str, list] = {}
    for (uid, _), pixels in sorted(stored(corpus, sensor).items()):
        found.setdefault(uid, []).append(pixels)
    return {uid: np.stack(images) for uid, images in found.items()}


@pytest.mark.parametrize("modality", SENSORS)
def test_pixels_of_chunks_are_the_files(chunks, modality):
    root, corpus = chunks
    images = by_uid(corpus, SENSORS[modality])
    for part, samples in files.SAMPLES.items():
        truth = decoded(root / part / modality / f"ssl4eos12_{part}_seasonal_data_000001.zarr.zip", "bands")
        for sample, pixels in zip(samples, truth, strict=True):
            np.testing.assert_array_equal(images[sample], pixels)
            np.testing.assert_array_equal(pixels, files.pixels(sample, modality, 1000))


@pytest.mark.parametrize("modality", SENSORS)
def test_pixels_of_shards_are_the_files(shards, modality):
    root, corpus = shards
    images = by_uid(corpus, SENSORS[modality])
    for part, samples in files.SAMPLES.items():
        with tarfile.open(root / part / modality / "ssl4eos12_shard_000001.tar") as archive:
            for number, sample in enumerate(samples, 1):
                content = archive.extractfile(f"{files.key(part, number)}.zarr.zip").read()
                truth = decoded(io.BytesIO(content), "bands")
                np.testing.assert_array_equal(images[files.key(part, number)], truth)
                np.testing.assert_array_equal(truth, files.pixels(sample, modality, 0))


def test_the_editions_differ_by_what_was_added(chunks, shards):
    for sensor, offset in (("sentinel-2-l1c", -0.1), ("sentinel-2-l2a", -0.1), ("sentinel-1-grd", 0.0)):
        old, new = (corpus.info.sensors[sensor] for _, corpus in (chunks, shards))
        assert old.offset == pytest.approx([offset] * len(old.bands))
        assert set(new.offset) == {0.0}
        a, b = by_uid(chunks[1], sensor)["0080717"], by_uid(shards[1], sensor)[files.key("train", 1)]
        first = np.isfinite(a[0]).all(axis=0) & (a[0] != 0).all(axis=0)
        np.testing.assert_allclose(old.physical(a[0][:, first], 0), new.physical(b[0][:, first], 0), rtol=0, atol=1e-9)


@pytest.mark.parametrize("edition", ["chunks", "shards"])
def test_times_places_parts_and_samples(edition, request):
    _, corpus = request.getfixturevalue(edition)
    rows = corpus.locations
    expected = {s: part for part, samples in files.SAMPLES.items() for s in samples}
    assert dict(zip(rows["sample"], rows["split"], strict=True)) == expected
    for row in rows.itertuples():
        assert row.crs == f"EPSG:{files.ZONES[row.sample]}"
        west = files.CORNER[0] + int(row.sample) % 7 * 5000
        assert tuple(row.transform) == pytest.approx((10, 0, west, 0, -10, files.CORNER[1]), abs=1e-6)
        for modality, sensor in SENSORS.items():
            chips = corpus.chips[(corpus.chips["uid"] == row.uid) & (corpus.chips["sensor"] == sensor)]
            found = np.sort(chips["datetime"].dt.tz_localize(None).to_numpy().astype("M8[ns]"))
            np.testing.assert_array_equal(found, files.times(row.sample, modality))
    assert not log(corpus)


def test_clouds_are_counted_and_masked_if_asked(shards, tmp_path):
    root, corpus = shards
    uid, mask = files.key("val", 1), files.clouds("0012333")
    chips = corpus.chips[(corpus.chips["uid"] == uid) & (corpus.chips["sensor"] == "sentinel-2-l2a")]
    shares = chips.sort_values("datetime")["cloud"].to_numpy()
    np.testing.assert_allclose(shares, [np.isin(one, (3, 4)).mean() for one in mask], atol=1e-6)
    assert corpus.chips.loc[corpus.chips["sensor"] == "sentinel-1-grd", "cloud"].isna().all()
    masked = made(NAME, root, tmp_path / "c", mask_clouds=True, modalities=["S2L2A"], labels=False)
    empty = files.pixels("0012333", "S2L2A", 0).any(axis=1)
    for one, codes in ((corpus, [6]), (masked, [3, 4, 5, 6])):
        good = [v for (u, _), v in sorted(valid(one, "sentinel-2-l2a").items()) if u == uid]
        np.testing.assert_array_equal(np.stack(good), empty & ~np.isin(mask, codes))


def test_land_cover_is_esris_map(shards):
    _, corpus = shards
    maps = labels(corpus, "landcover")
    np.testing.assert_array_equal(maps[files.key("train", 2)], files.cover("0060573")[0])
    assert corpus.label_layers["landcover"].classes[5] == "Crops"


def test_a_bad_time_is_noted_and_the_image_kept(chunks, tmp_path):
    data = files.of_many(["0012333"], "S1GRD")
    data["time_"].values[0, 2] = np.datetime64("NaT")
    data["time_"].values[0, 3] = np.datetime64("1969-01-01")
    path = tmp_path / "in/val/S1GRD/ssl4eos12_val_seasonal_data_000001.zarr.zip"
    path.parent.mkdir(parents=True)
    path.write_bytes(files.zipped(data))
    corpus = made(NAME, tmp_path / "in", tmp_path / "c")
    assert len(corpus.chips) == 4
    assert corpus.chips["datetime"].isna().sum() == 2
    assert [entry["event"] for entry in log(corpus)] == ["no time", "no time"]


# -- faults ------------------------------------------------------------------------------------------------------------


def _break(root, how):
    path = root / "train/S2L2A/ssl4eos12_train_seasonal_data_000001.zarr.zip"
    data = files.of_many(files.SAMPLES["train"], "S2L2A")
    if how == "no zarr":
        path.write_bytes(b"")
    elif how == "a chunk is missing":
        with zipfile.ZipFile(path) as archive:
            rest = {name: archive.read(name) for name in archive.namelist() if name != "bands/0.2.0.0.0"}
        with zipfile.ZipFile(path, "w") as archive:
            for name, content in rest.items():
                archive.writestr(name, content)
    elif how == "bands":
        path.write_bytes(files.zipped(data.assign_coords(band=[f"X{k}" for k in range(12)])))
    elif how == "dates":
        path.write_bytes(files.zipped(data.isel(time=slice(3))))
    elif how == "array":
        path.write_bytes(files.zipped(data.drop_vars("crs")))
    elif how == "samples":
        path.write_bytes(files.zipped(data.assign_coords(sample=["0000001", "0000002", "0000003"])))
    else:
        path.write_bytes(files.zipped(data.assign(x_=data["x_"] + 100_000)))


@pytest.mark.parametrize(
    ("how", "words"),
    [
        ("no zarr", "cannot be read"),
        ("a chunk is missing", "lacks 1 of the 4 parts of bands"),
        ("bands", "has the bands X0"),
        ("dates", "of shape"),
        ("array", "holds no crs"),
        ("samples", "holds other locations than"),
        ("place", "pixels away"),
    ],
)
def test_a_bad_file_is_an_error_or_left_out(chunks, tmp_path, how, words):
    shutil.copytree(chunks[0], tmp_path / "in", ignore=shutil.ignore_patterns("corpus", "S2L1C"))
    _break(tmp_path / "in", how)
    with pytest.raises(CorpusError, match=words):
        made(NAME, tmp_path / "in", tmp_path / "c")
    corpus = made(NAME, tmp_path / "in", tmp_path / "d", on_bad_file="skip")
    assert list(corpus.locations["uid"]) == files.SAMPLES["val"]
    assert words in log(corpus)[0]["what"]


def test_faults_of_shards(shards, tmp_path):
    shutil.copytree(shards[0] / "val", tmp_path / "in" / "val")
    radar = tmp_path / "in/val/S1GRD/ssl4eos12_shard_000001.tar"
    whole = radar.read_bytes()
    radar.write_bytes(b"no tar file" * 100)
    with pytest.raises(CorpusError, match=r"S1GRD.*cannot be read"):
        made(NAME, tmp_path / "in", tmp_path / "c")
    files.shard(radar, {})
    with pytest.raises(CorpusError, match=r"holds no \*\.zarr\.zip"):
        made(NAME, tmp_path / "in", tmp_path / "c")
    files.shard(radar, {"ssl4eos12_val_seasonal_data_0000009": b"another"})
    with pytest.raises(CorpusError, match="0000001 is missing in val/S1GRD"):
        made(NAME, tmp_path / "in", tmp_path / "c")
    with pytest.raises(CorpusError, match="no location is complete"):
        made(NAME, tmp_path / "in", tmp_path / "c", on_bad_file="skip")
    radar.write_bytes(whole)
    wrong = files.of_one("0012333", "LULC")
    wrong["esri_original"].values[0, 0, 0] = 3
    cover = tmp_path / "in/val/LULC/ssl4eos12_shard_000001.tar"
    files.shard(cover, {files.key("val", 1): files.zipped(wrong)})
    with pytest.raises(CorpusError, match="holds the code 3"):
        made(NAME, tmp_path / "in", tmp_path / "c")
    assert len(made(NAME, tmp_path / "in", tmp_path / "d", labels=False).locations) == 1


def test_folders_that_hold_something_else(shards, tmp_path):
    (tmp_path / "train").mkdir()
    with pytest.raises(CorpusError, match="no file is named as in either edition"):
        made(NAME, tmp_path, tmp_path / "c")
    radar = shutil.copytree(shards[0] / "val" / "S1GRD", tmp_path / "in" / "val" / "S1GRD")
    with pytest.raises(CorpusError, match="no folder S2L1C here"):
        made(NAME, tmp_path / "in", tmp_path / "c", modalities=["S2L1C"])
    shutil.copy(radar / "ssl4eos12_shard_000001.tar", radar / "ssl4eos12_shard_000002.tar")
    with pytest.raises(CorpusError, match="0000001 is in two files"):
        made(NAME, tmp_path / "in", tmp_path / "c")
