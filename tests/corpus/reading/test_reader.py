import gc
import threading

import numpy as np
import pytest
import torch

from swath import sensors
from swath.batch import NO_DAY
from swath.corpus import Chip, CorpusWriter, Location, Part, Reader, Selection, SensorLayout, check
from swath.corpus.reading._buffers import KEPT, Buffers
from swath.errors import CorpusError
from tests.corpus.fakes import LAYOUTS, OPTICAL, PX, RADAR, location, make


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    return make(tmp_path_factory.mktemp("reader") / "corpus")


def expected(chip: Chip, bands: tuple[str, ...]) -> tuple[np.ndarray, np.ndarray]:
    """Physical values and validity, computed independently in float64."""
    layout = LAYOUTS[chip.sensor]
    counts = chip.pixels.astype(np.float64)
    valid = np.isfinite(counts).all(axis=0)
    if layout.nodata is not None:
        valid &= (counts != layout.nodata).all(axis=0)
    index = [layout.bands.index(band) for band in bands]
    values = counts[index] * np.array(layout.scale)[index, None, None] + np.array(layout.offset)[index, None, None]
    return np.where(valid, values, 0), valid


READS = {OPTICAL: ("B08", "B02"), RADAR: ("VV", "VH")}


@pytest.mark.parametrize("reads", [READS, {OPTICAL: LAYOUTS[OPTICAL].bands, RADAR: ("VH",)}, {RADAR: ("VH", "VV")}])
def test_images_hold_what_the_source_gave(corpus, reads):
    reader = Reader(corpus, reads)
    batch = reader.batch(np.arange(12), Selection(dates="all"), labels=["cover"])
    for number in range(12):
        place, chips, codes = location(number)
        assert batch.uid[number] == place.uid
        assert np.array_equal(batch.targets["cover"][number], codes)
        for sensor, bands in reads.items():
            image = batch.images[sensor]
            for date, chip in enumerate(chip for chip in chips if chip.sensor == sensor):
                values, valid = expected(chip, bands)
                assert np.array_equal(image.valid[number, date], valid)
                np.testing.assert_allclose(image.pixels[number, date], values, rtol=1e-6, atol=1e-7)
                assert image.days[number, date] == int(
                    np.datetime64(chip.datetime.replace(tzinfo=None), "D").astype(int)
                )
    for sensor, bands in reads.items():
        image = batch.images[sensor]
        assert image.pixels.isfinite().all()
        assert image.gsd_m == 10
        assert image.band_ids.tolist() == [[sensors.band_id(f"{sensor}/{band}") for band in bands]] * 12
    assert batch.lonlat[0].tolist() == corpus.locations.loc[0, ["lon", "lat"]].tolist()


def test_padding_dates_are_invalid_and_empty(corpus):
    chips = corpus.chips
    mine = chips.index[(chips["uid"] == "l0001") & (chips["sensor"] == OPTICAL)].to_numpy()
    image = Reader(corpus, READS).read({OPTICAL: np.array([[mine[0], -1, mine[1]], [-1, -1, -1]])})[OPTICAL]
    assert image.valid.flatten(2).any(dim=2).tolist() == [[True, False, True], [False, False, False]]
    assert (image.pixels[0, 1] == 0).all()
    assert (image.pixels[1] == 0).all()
    assert image.days.tolist() == [[18628, NO_DAY, 18718], [NO_DAY] * 3]
    assert torch.equal(image.pixels[0, 2], Reader(corpus, READS).read({OPTICAL: mine[1:2, None]})[OPTICAL].pixels[0, 0])


@pytest.mark.parametrize("decibel", [False, True])
def test_gaps_between_chips_change_nothing_of_them(decibel, tmp_path):
    """Chips in many short stretches are converted together: also those with values that are not finite."""
    layout = SensorLayout(bands=("VV", "VH"), gsd_m=10, dtype="float32", scale=(2.0, 3.0), decibel=decibel, nodata=7)
    counts = np.random.default_rng(0).uniform(1, 6, (5, 2, PX, PX)).astype("float32")
    counts[1, 0, 0, 0], counts[2, 1, 1, 1], counts[3, :, 2, 2] = 7, -np.inf, 7
    with CorpusWriter(tmp_path / "c", {RADAR: layout}, PX) as writer:
        writer.append(Part([Location("a")], [Chip("a", RADAR, one) for one in counts]))
        reader = Reader(writer.finish(), {RADAR: ("VH", "VV")})
    rows = np.array([0, 1, 2, 3, 4])
    apart = reader.read({RADAR: np.array([[0, -1, 1, -1, 2, 3, -1, -1, 4]])})[RADAR]
    together = reader.read({RADAR: rows[None]})[RADAR]
    there = [0, 2, 4, 5, 8]
    assert torch.equal(apart.pixels[0, there], together.pixels[0])
    assert torch.equal(apart.valid[0, there], together.valid[0])
    assert (~together.valid).flatten(2).sum(dim=2).tolist() == [[0, 1, 1, 1, 0]]
    assert not apart.valid[0, [1, 3, 6, 7]].any()
    assert not apart.pixels[0, [1, 3, 6, 7]].any()


@pytest.mark.parametrize("dtype", ["uint8", "int8", "uint16", "int16", "uint32", "int32", "float16", "float32"])
def test_every_type_of_counts_is_converted(dtype, tmp_path):
    layout = SensorLayout(bands=("VV", "VH"), gsd_m=10, dtype=dtype, scale=(0.5, 1.0), offset=(-3.0, 2.0), nodata=7)
    counts = np.random.default_rng(0).integers(0, 100, (5, 2, PX, PX)).astype(dtype)
    with CorpusWriter(tmp_path / "c", {RADAR: layout}, PX) as writer:
        writer.append(Part([Location("a")], [Chip("a", RADAR, one) for one in counts]))
        corpus = writer.finish()
    image = Reader(corpus, {RADAR: ("VH", "VV")}, threads=1).batch(np.array([0]), Selection(dates="all")).images[RADAR]
    valid = (counts != 7).all(axis=1)
    physical = counts.astype(np.float64) * np.array([0.5, 1.0])[:, None, None] + np.array([-3.0, 2.0])[:, None, None]
    assert np.array_equal(image.valid[0], valid)
    np.testing.assert_allclose(image.pixels[0], np.where(valid[:, None], physical, 0)[:, ::-1], rtol=1e-6)
    assert image.days.tolist() == [[NO_DAY] * 5]
    assert torch.isnan(Reader(corpus, {RADAR: ("VV",)}).batch(np.array([0])).lonlat).all()


def test_linear_power_is_read_as_decibels_and_none_where_it_is_not_positive(tmp_path):
    """Against the sensor's own conversion, pixel by pixel, and the statistics of the corpus against NumPy's."""
    sensor = sensors.get(RADAR)
    layout = SensorLayout.of(sensor, ["VV", "VH"])
    assert layout.decibel
    power = np.random.default_rng(0).gamma(4, 0.01, (3, 2, PX, PX)).astype(np.float32)
    power[0, 0, 0, :3] = (0, -0.1, -32768)
    with CorpusWriter(tmp_path / "c", {RADAR: layout}, PX) as writer:
        writer.append(Part([Location("a")], [Chip("a", RADAR, one) for one in power]))
        corpus = writer.finish()
    image = Reader(corpus, {RADAR: ("VV", "VH")}).batch(np.array([0]), Selection(dates="all")).images[RADAR]
    wanted = sensor.scaling_of("VV").physical(power)
    assert (~image.valid).sum() == 3
    assert not image.valid[0, 0, 0, :3].any()
    valid = np.broadcast_to(image.valid[0][:, None].numpy(), wanted.shape)
    np.testing.assert_allclose(image.pixels[0].numpy()[valid], wanted[valid], atol=1e-4)
    assert (image.pixels[0].numpy()[~valid] == 0).all()
    values = 10 * np.log10(power[:, 1].astype(np.float64))[image.valid[0].numpy()]
    assert corpus.statistics[RADAR]["VH"].mean == pytest.approx(values.mean(), rel=1e-12)
    assert corpus.statistics[RADAR]["VH"].std == pytest.approx(values.std(ddof=1), rel=1e-12)
    assert check(corpus) == []


def test_numbers_that_are_not_finite_become_invalid_even_if_the_file_says_otherwise(corpus, tmp_path):
    """Somebody changed the array with another program after the corpus was built."""
    import zarr

    made = make(tmp_path / "corpus", count=4)
    array = zarr.open_group(made.path / "pixels" / f"{RADAR}.zarr")["pixels"]
    for column, number in enumerate((np.inf, -np.inf, np.nan)):
        array[0, 0, 5, 6 + column] = number
    reader, rows = Reader(made, {RADAR: ("VV", "VH")}), {RADAR: np.array([[_position(made, 0)]])}
    image = reader.read(rows)[RADAR]
    assert image.pixels.isfinite().all()
    assert not image.valid[0, 0, 5, 6:9].any()
    assert image.valid.sum() == PX * PX - 3
    counts = reader.counts(rows)[RADAR]
    assert counts.validity().all()
    assert same(counts.decode(), image)


def same(one, other) -> bool:
    """Bit for bit, NaN and the sign of zero included."""
    bits = [(image.pixels.view(torch.int32), image.valid, image.days, image.band_ids) for image in (one, other)]
    return all(torch.equal(*pair) for pair in zip(*bits, strict=True))


@pytest.mark.parametrize("threads", [1, 3])
@pytest.mark.parametrize("reads", [READS, {OPTICAL: LAYOUTS[OPTICAL].bands, RADAR: ("VH",)}])
def test_counts_decode_to_the_very_images_that_are_read(corpus, reads, threads, monkeypatch):
    monkeypatch.setattr("swath.corpus.reading.reader.FEWEST", 1)
    reader = Reader(corpus, reads, threads)
    rows = reader.sampler(Selection(dates="all")).choose(np.arange(12))
    rows = {sensor: np.where(np.arange(3) == 1, -1, chips)[::-1] for sensor, chips in rows.items()}
    images = reader.read(rows)
    for sensor, counts in reader.counts(rows).items():
        assert counts.stored.dtype == {OPTICAL: torch.uint16, RADAR: torch.float32}[sensor]
        decoded = counts.decode()
        assert same(decoded, images[sensor])
        assert not decoded.valid[:, 1].any()
        assert decoded.common_ids == images[sensor].common_ids == tuple(decoded.band_ids[0].tolist())


@pytest.mark.parametrize("dtype", ["uint8", "int8", "uint16", "int16", "uint32", "int32", "float16", "float32"])
@pytest.mark.parametrize("decibel", [False, True])
def test_every_type_of_counts_decodes_to_the_same_bits(dtype, decibel, tmp_path):
    layout = SensorLayout(
        bands=("VV", "VH"), gsd_m=10, dtype=dtype, scale=(0.3, 1.0), offset=(-3.0, 2.0), nodata=7, decibel=decibel
    )
    counts = np.random.default_rng(0).integers(0, 100, (5, 2, PX, PX)).astype(dtype)
    if dtype.startswith("float"):
        counts[0, :, 0, :3] = np.nan, np.inf, -np.inf
    with CorpusWriter(tmp_path / "c", {RADAR: layout}, PX) as writer:
        writer.append(Part([Location("a")], [Chip("a", RADAR, one) for one in counts]))
        reader = Reader(writer.finish(), {RADAR: ("VH", "VV")})
    rows = reader.sampler(Selection(dates="all")).choose(np.array([0]))
    assert same(reader.counts(rows)[RADAR].decode(), reader.read(rows)[RADAR])


def test_as_many_bytes_cross_as_are_stored(tmp_path):
    """Of the wanted bands alone; validity is a bit a pixel, and nothing where every pixel is valid."""
    layout = SensorLayout(bands=("VV", "VH"), gsd_m=10, dtype="uint8", nodata=0)
    chips = np.random.default_rng(0).integers(1, 9, (4, 2, PX, PX)).astype("uint8")
    chips[3, :, 0, 0] = 0
    with CorpusWriter(tmp_path / "c", {RADAR: layout}, PX) as writer:
        writer.append(
            Part([Location(str(i)) for i in range(4)], [Chip(str(i), RADAR, chip) for i, chip in enumerate(chips)])
        )
        reader = Reader(writer.finish(), {RADAR: ("VH",)})
    whole, holed = (
        reader.counts(reader.sampler(Selection()).choose(np.array(places)))[RADAR] for places in ([0, 1], [2, 3])
    )
    about = 2 * (4 + 4)  # a day and a band id each
    assert whole.nbytes == chips[:2, 1:].nbytes + about
    assert holed.nbytes == chips[2:, 1:].nbytes + 2 * PX * PX // 8 + about
    assert holed.decode().valid.sum() == 2 * PX * PX - 1


def test_counts_that_a_device_does_not_know_are_refused(corpus, monkeypatch):
    from swath.corpus.reading import reader as module

    monkeypatch.delitem(module.TRAVELLING, np.dtype("uint16"))
    reader = Reader(corpus, READS)
    rows = reader.sampler(Selection()).choose(np.arange(2))
    with pytest.raises(CorpusError, match=r"uint16 cannot be decoded on a GPU[\s\S]*sentinel-2-l2a[\s\S]*float32"):
        reader.counts(rows)
    assert len(reader.read(rows)) == 2


def _position(corpus, row: int) -> int:
    return int(corpus.chips.query("sensor == @RADAR and row == @row").index[0])


def test_a_batch_is_not_overwritten_by_the_next(corpus):
    reader = Reader(corpus, READS)
    kept = [reader.batch(np.array([i, i + 1])) for i in range(8)]
    copies = [batch.images[OPTICAL].pixels.clone() for batch in kept]
    views = [batch.images[OPTICAL].pixels[:, :, :1] for batch in kept]
    del kept
    gc.collect()
    for i in range(8):
        reader.batch(np.array([11 - i, 10 - i]))
    assert all(torch.equal(view, copy[:, :, :1]) for view, copy in zip(views, copies, strict=True))


def test_buffers_are_used_again_only_when_nobody_holds_them():
    buffers = Buffers()
    first = torch.from_numpy(buffers.take((4, 5), "float32"))
    address = first.data_ptr()
    view = first[1:]
    del first
    assert torch.from_numpy(buffers.take((4, 5), "float32")).data_ptr() != address
    array = view.numpy()
    del view
    assert torch.from_numpy(buffers.take((20,), "int32")).data_ptr() != address
    del array
    assert torch.from_numpy(buffers.take((20,), "int32")).data_ptr() == address


def test_buffers_do_not_grow_with_the_number_of_sizes():
    buffers = Buffers()
    for size in range(1, 20):
        buffers.take((3**size % 10**6,), "uint8")
    assert len(buffers._all) <= KEPT
    held = [buffers.take((1000,), "uint8") for _ in range(3 * KEPT)]
    assert len(buffers._all) >= len(held)


def test_buffers_serve_smaller_needs_but_not_much_smaller_ones():
    buffers = Buffers()
    first = buffers.take((100,), "uint8").ctypes.data
    assert buffers.take((60,), "uint8").ctypes.data == first
    assert buffers.take((10, 5), "uint8").shape == (10, 5)
    assert len(buffers._all) == 1
    buffers.take((20,), "uint8")
    assert len(buffers._all) == 2


def test_several_threads_may_read(corpus):
    reader = Reader(corpus, READS)
    alone = [reader.batch(np.array([i])).images[OPTICAL].pixels.clone() for i in range(12)]
    wrong = []

    def work():
        found = [reader.batch(np.array([i])).images[OPTICAL].pixels for i in range(12)]
        wrong.extend(i for i in range(12) if not torch.equal(found[i], alone[i]))

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


def test_missing_sensors_bands_and_arrays_are_named(corpus, tmp_path):
    with pytest.raises(CorpusError, match="no sensor 'sentinel-1-grd'"):
        Reader(corpus, {"sentinel-1-grd": ("VV",)})
    with pytest.raises(CorpusError, match="B05") as caught:
        Reader(corpus, {OPTICAL: ("B05",)})
    assert "B02" in caught.value.remedy
    with CorpusWriter(tmp_path / "c", LAYOUTS, PX) as writer:
        writer.append(Part([Location("a")], [Chip("a", OPTICAL, np.ones((4, PX, PX), np.uint16))]))
        half = writer.finish()
    with pytest.raises(CorpusError, match="no chip of sentinel-1-rtc"):
        Reader(half, {RADAR: ("VV",)})


def test_a_chip_of_another_sensor_is_refused(corpus):
    wrong = int(corpus.chips.query("sensor == @RADAR").index[0])
    with pytest.raises(CorpusError, match="another sensor"):
        Reader(corpus, READS).read({OPTICAL: np.array([[wrong]])})


def test_a_corpus_still_being_built_can_be_read(tmp_path):
    from swath.corpus import Corpus
    from tests.corpus.fakes import part, writer

    with writer(tmp_path / "corpus") as w:
        w.append(part(range(3)))
        w.append(part(range(3, 5)))
        corpus = Corpus.open(tmp_path / "corpus")
        assert not corpus.info.complete
        assert len(Reader(corpus, READS).batch(np.arange(5))) == 5
