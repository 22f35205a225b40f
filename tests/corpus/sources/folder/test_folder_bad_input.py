"""Every mistake in the files or the section is one error that says what, where and what to do."""

import numpy as np
import pytest
import rasterio
from pydantic import ValidationError

from swath.corpus import Corpus
from swath.corpus.sources import build
from swath.corpus.sources.folder import Config
from swath.errors import CorpusError, RecipeError, SwathError
from tests.corpus.sources.folder.test_folder import PX, S2, counts, from_origin, log, made, write

MASK = {"layer": "m", "files": "masks/*", "id": r"(?P<id>\w+)\.\w+$", "classes": {0: "dry", 1: "wet"}}


def refused(data, target, *parts: str, **section) -> SwathError:
    """The error that building raises; checks that it says all of these."""
    with pytest.raises(SwathError) as caught:
        made(data, target, **section)
    for part in parts:
        assert part in str(caught.value), str(caught.value)
    assert caught.value.remedy
    if (target / "corpus.json").exists():
        assert not Corpus.open(target).info.complete
    return caught.value


def images(folder, *names, **kwargs):
    for k, name in enumerate(names):
        write(folder / f"images/{name}.tif", counts(k, **kwargs))


def test_no_data_folder(tmp_path):
    config = Config.model_validate({"chip_px": PX, "images": [S2 | {"bands": ["B04"]}]})
    with pytest.raises(RecipeError, match="data=PATH"):
        build(config, tmp_path / "c", None)
    refused(tmp_path / "missing", tmp_path / "c", "it is not there", "missing")
    (tmp_path / "file").touch()
    refused(tmp_path / "file", tmp_path / "c", "it is a file")


def test_an_empty_folder(tmp_path):
    (tmp_path / "data").mkdir()
    refused(tmp_path / "data", tmp_path / "c", "no file matches 'images/*.tif'", "images.0.files", "is empty")


def test_a_pattern_that_matches_nothing_names_what_is_there_and_the_nearest(tmp_path):
    write(tmp_path / "image/a.tif", counts(1))
    refused(tmp_path, tmp_path / "c", "no file matches 'images/*.tif'", "nearest: 'image/'")
    images(tmp_path, "a")
    files = {"files": "images/*.tiff"}
    refused(tmp_path, tmp_path / "c", "folder images holds a.tif", images=[S2 | {"bands": ["B04", "B08"]} | files])


def test_an_unreadable_folder(tmp_path, monkeypatch):
    images(tmp_path, "a")
    import os

    real = os.scandir

    def refuse(path):
        if str(path).endswith("images"):
            raise PermissionError(13, "Permission denied", str(path))
        return real(path)

    monkeypatch.setattr(os, "scandir", refuse)
    refused(tmp_path, tmp_path / "c", "Permission denied", str(tmp_path / "images"), "right to read")


def test_a_name_without_an_id(tmp_path):
    images(tmp_path, "a-b")
    said = r"images/a-b.tif has no id by the expression '(?P<id>\d+)\.tif'"
    entry = S2 | {"bands": ["B04", "B08"], "id": r"(?P<id>\d+)\.tif"}
    refused(tmp_path, tmp_path / "c", said, "images.0.id", images=[entry])


def test_a_date_in_another_format(tmp_path):
    images(tmp_path, "a_20201301")
    refused(tmp_path, tmp_path / "c", "a_20201301.tif", "'20201301' is no date", "images.0.date_format")


def test_two_files_of_one_id_sensor_and_date(tmp_path):
    images(tmp_path, "a")
    write(tmp_path / "images/sub/a.tif", counts(2))
    entry = S2 | {"bands": ["B04", "B08"], "files": "images/**/*.tif"}
    refused(tmp_path, tmp_path / "c", "images/a.tif and images/sub/a.tif", "id 'a'", images=[entry])


@pytest.mark.parametrize(
    ("channels", "bands", "said"),
    [
        (3, ["B04", "B08"], "has 3 channels, the recipe lists 2"),
        (1, ["B04", "B08"], "has 1 channels, the recipe lists 2"),
        (2, {"B04": 1, "B08": 5}, "has 2 channels, the recipe wants a channel 5"),
    ],
)
def test_another_number_of_bands(tmp_path, channels, bands, said):
    images(tmp_path, "a", channels=channels)
    refused(tmp_path, tmp_path / "c", "images/a.tif", said, "images.0", images=[S2 | {"bands": bands}])


def test_another_dtype(tmp_path):
    images(tmp_path, "a", dtype="int16")
    refused(tmp_path, tmp_path / "c", "holds int16", "B04", "declared as uint16", "images.0.dtype", "scaling")


def test_images_smaller_than_a_chip_or_of_two_sizes_or_places(tmp_path):
    images(tmp_path / "small", "a", size=PX - 1)
    refused(tmp_path / "small", tmp_path / "c", "15 x 15 pixels, a chip has 16", "chip_px")
    images(tmp_path / "two", "a_20200101")
    write(tmp_path / "two/images/a_20200102.tif", counts(1, size=PX + 1))
    refused(tmp_path / "two", tmp_path / "c", "differ in size: 16 x 16 and 17 x 17", "a_20200102.tif")
    for day, east in ((1, 500_000), (2, 500_030)):
        write(
            tmp_path / f"moved/images/a_2020010{day}.tif",
            counts(1),
            "EPSG:32631",
            from_origin(east, 5_600_000, 10, 10),
        )
    refused(tmp_path / "moved", tmp_path / "c", "a_20200102.tif does not lie where images/a_20200101.tif", "30.0 m")


def test_a_mask_of_another_size_with_other_classes_channels_or_numbers(tmp_path):
    images(tmp_path, "a")
    for name, mask, *said in (
        ("size", np.zeros((1, PX, PX + 1), np.uint8), "masks-size/a.png has 17 x 16 pixels, its image has 16 x 16"),
        ("class", np.full((1, PX, PX), 7, np.uint8), "holds the code 7 at 256 pixels", "declared: 0, 1", "layer 'm'"),
        ("many", np.zeros((3, PX, PX), np.uint8), "has 3 channels, the recipe wants 1 channel"),
    ):
        write(tmp_path / f"masks-{name}/a.png", mask)
        refused(tmp_path, tmp_path / name, "labels.0", *said, labels=[MASK | {"files": f"masks-{name}/*"}])
    write(tmp_path / "masks-half/a.tif", np.full((1, PX, PX), 0.5, np.float32))
    refused(tmp_path, tmp_path / "half", "not whole", labels=[MASK | {"files": "masks-half/*"}])
    write(tmp_path / "masks-nan/a.tif", np.full((1, PX, PX), np.nan, np.float32))
    words = ("masks-nan/a.tif holds NaN at 256 pixels", "no void code")
    refused(tmp_path, tmp_path / "nan", *words, labels=[MASK | {"files": "masks-nan/*"}])


def test_a_mask_is_missing_or_of_nothing(tmp_path):
    images(tmp_path, "a", "b")
    write(tmp_path / "masks/a.png", np.zeros((1, PX, PX), np.uint8))
    refused(tmp_path, tmp_path / "c", "location 'b' has no map", "void", labels=[MASK])
    (tmp_path / "masks/a.png").rename(tmp_path / "masks/zz.png")
    refused(tmp_path, tmp_path / "c", "no location of these 1 files", "'zz'", labels=[MASK])


def truncate(path):
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])


@pytest.mark.parametrize("profile", [{}, {"compress": "lzw"}, {"tiled": True, "blockxsize": 16, "blockysize": 16}])
def test_a_truncated_file_among_good_ones_stops_or_is_named_in_the_log(tmp_path, profile):
    for k in range(4):
        write(tmp_path / f"images/p{k}.tif", counts(k, size=4 * PX), **profile)
    truncate(tmp_path / "images/p2.tif")
    refused(tmp_path, tmp_path / "c", "p2.tif cannot be read", "on_bad_file=skip")
    corpus = made(tmp_path, tmp_path / "d", on_bad_file="skip")
    assert set(corpus.locations["group"]) == {"p0", "p1", "p3"}
    assert len(corpus.locations) == 48
    assert any("p2.tif cannot be read" in entry["what"] for entry in log(corpus))
    # mended, it is added
    write(tmp_path / "images/p2.tif", counts(2, size=4 * PX))
    assert len(made(tmp_path, tmp_path / "d", on_bad_file="skip").locations) == 64


def test_a_file_that_is_no_image(tmp_path):
    images(tmp_path, "a")
    (tmp_path / "images/b.tif").write_text("not found")
    refused(tmp_path, tmp_path / "c", "images/b.tif cannot be read", "images.0")
    assert list(made(tmp_path, tmp_path / "d", on_bad_file="skip").locations["uid"]) == ["a"]
    (tmp_path / "images/a.tif").unlink()
    refused(tmp_path, tmp_path / "e", "no image fits", "images/b.tif", on_bad_file="skip")


def test_one_bad_date_leaves_the_others_and_a_bad_mask_takes_the_location(tmp_path):
    images(tmp_path, "a_20200101", "a_20200102", "b_20200101")
    truncate(tmp_path / "images/a_20200102.tif")
    for name in "ab":
        write(tmp_path / f"masks/{name}.png", np.zeros((1, PX, PX), np.uint8))
    truncate(tmp_path / "masks/b.png")
    corpus = made(tmp_path, tmp_path / "c", labels=[MASK], on_bad_file="skip")
    assert list(corpus.chips["source"]) == ["images/a_20200101.tif"]


def test_bad_files_are_no_ground_to_compare(tmp_path):
    for k in range(4):
        write(tmp_path / f"images/p{k}.tif", counts(k % 3, size=4 * PX))
    truncate(tmp_path / "images/p1.tif")
    corpus = made(tmp_path, tmp_path / "c", on_bad_file="skip", group={"ground": {"overlap": [1]}})
    assert corpus.locations.groupby("group").size().to_dict() == {"p0": 32, "p2": 16}
    write(tmp_path / "images/p9.tif", counts(9, size=5 * PX))
    refused(tmp_path, tmp_path / "d", "different sizes", on_bad_file="skip", group={"ground": {"overlap": [1]}})


def test_every_pixel_of_every_image_is_nodata(tmp_path):
    write(tmp_path / "images/a.tif", np.zeros((2, PX, PX), np.uint16))
    with pytest.raises(CorpusError, match="no location"):
        made(tmp_path, tmp_path / "c")
    assert not Corpus.open(tmp_path / "c").info.complete


def test_band_files_are_missing(tmp_path):
    write(tmp_path / "a_B04.tif", counts(1, 1))
    entry = {"files": "*.tif", "id": r"(?P<id>\w)_(?P<band>\w+)\.tif", "sensor": "sentinel-2-l2a"}
    refused(tmp_path, tmp_path / "c", "no file for band B08 of 'a'", images=[entry | {"bands": ["B04", "B08"]}])
    write(tmp_path / "a_B08.tif", counts(1, 1, PX - 3))
    refused(tmp_path, tmp_path / "c", "a_B08.tif has 13 x 13 pixels", images=[entry | {"bands": ["B04", "B08"]}])


@pytest.mark.parametrize("on_bad_file", ["error", "skip"])
def test_bands_that_are_written_otherwise(tmp_path, on_bad_file):
    """b4 for B4: every file was passed over, and the message was a KeyError."""
    write(tmp_path / "a_b4.tif", counts(1, 1))
    entry = {
        "files": "*.tif",
        "id": r"(?P<id>\w)_(?P<band>\w+)\.tif",
        "sensor": "sentinel-2-l2a",
        "bands": {"B04": "B4"},
    }
    said = "no file is of a band of the recipe: names say b4, the recipe B4"
    refused(tmp_path, tmp_path / "c", said, "bands: {B04: b4}", images=[entry], on_bad_file=on_bad_file)


def test_names_that_contradict_or_do_not_say_what_is_needed(tmp_path):
    images(tmp_path, "a_20200101", "a_20200102")
    entry = S2 | {"bands": ["B04", "B08"], "id": r"(?P<id>\w)_(?P<date>\d{6}(?P<parent>\d\d))"}
    refused(tmp_path, tmp_path / "c", "files of 'a' disagree", images=[entry])
    refused(tmp_path, tmp_path / "c", "says its parent", "group.by", group={"by": "parent"})
    refused(tmp_path, tmp_path / "c", "holds no number", "group.by", group={"by": "id-block"})
    entry = S2 | {"bands": ["B04", "B08"], "id": r"(?P<split>\w+)/(?P<id>\w)_(?P<date>\d+)"}
    refused(tmp_path, tmp_path / "c", "the part 'images'", "split_names", images=[entry])


def test_a_picture_whose_pixel_size_nobody_knows(tmp_path):
    write(tmp_path / "a.png", counts(1, 1, dtype="uint8"))
    entry = {"files": "*.png", "id": r"(?P<id>\w)", "sensor": "display-optical", "bands": ["red"]}
    refused(tmp_path, tmp_path / "c", "pixel size of display-optical", "gsd_m", images=[entry])


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"sensor": "sentinel-2"}, "sentinel-2-l2a"),
        ({"bands": ["B4"]}, "no band 'B4'"),
        ({"bands": ["-"]}, "no band is named"),
        ({"bands": {"B04": 0}}, "a channel number from 1"),
        ({"bands": {"B04": "red"}}, "a channel number from 1"),
        ({"id": r"\d+"}, r"'\\d\+' has no group \(\?P<id>"),
        ({"id": r"(?P<id>\d"}, r"'\(\?P<id>\\d' is no regular expression"),
        ({"dtype": "float32"}, "say the scaling too"),
        ({"band": ["B04"]}, "Extra inputs are not permitted"),
    ],
)
def test_a_section_that_says_something_impossible(change, said):
    entry = {"files": "*.tif", "id": r"(?P<id>\d+)", "sensor": "sentinel-2-l2a", "bands": ["B04"]}
    Config.model_validate({"chip_px": PX, "images": [entry]})
    with pytest.raises(ValidationError, match=said):
        Config.model_validate({"chip_px": PX, "images": [entry | change]})


@pytest.mark.parametrize(
    ("section", "said"),
    [
        ({"labels": [{"layer": "m", "classes": {1: "x"}}]}, "give files and id, a raster, or the channel"),
        ({"labels": [{"layer": "m", "classes": {1: "x"}, "files": "*"}]}, "belong together"),
        ({"labels": [{"layer": "m", "classes": {1: "x"}, "channel": 1, "images": 3}]}, "no images.3"),
        ({"labels": [{"layer": "m", "classes": {1: "x"}, "channel": 1, "void": 1}]}, "code 1 is void and a class"),
        ({"labels": [{"layer": "m", "classes": {2**63: "x"}, "channel": 1}]}, "beyond the 64 bits"),
        ({"quality": [{"sensor": "hls", "channel": 1}]}, "of which there are no images"),
        ({"group": {"ground": {"images": 1}}}, "no images.1"),
        ({"chip_px": 0}, "greater than 0"),
    ],
)
def test_a_section_that_refers_to_nothing(section, said):
    entry = {"files": "*.tif", "id": r"(?P<id>\d+)", "sensor": "sentinel-2-l2a", "bands": ["B04"]}
    with pytest.raises(ValidationError, match=said):
        Config.model_validate({"chip_px": PX, "images": [entry]} | section)


@pytest.mark.parametrize("form", ["%m%d", "%j", "%Y-W%U", "%d.%m.", "%H%M%S"])
def test_dates_without_a_year_or_of_a_week(form):
    entry = S2 | {"bands": ["B04"], "date_format": form}
    with pytest.raises(ValidationError, match=r"says no year|without its day"):
        Config.model_validate({"chip_px": PX, "images": [entry]})
    quality = {"sensor": "sentinel-2-l2a", "files": "q/*", "id": "(?P<id>x)", "date_format": form}
    with pytest.raises(ValidationError, match=r"says no year|without its day"):
        Config.model_validate({"chip_px": PX, "images": [S2 | {"bands": ["B04"]}], "quality": [quality]})


def test_two_places_whose_ids_join_to_one(tmp_path):
    for number, name in enumerate(("a_b/c_20210101", "a/b_c_20210202")):
        write(tmp_path / f"images/{name}.tif", counts(number))
    entry = S2 | {"files": "images/*/*.tif", "bands": ["B04", "B08"]}
    entry["id"] = r"images/(?P<id>\w+)/(?P<id2>\w+)_(?P<date>\d{8})\.tif"
    refused(tmp_path, tmp_path / "c", "a_b/c_20210101.tif", "a/b_c_20210202.tif", "'a_b_c'", images=[entry])


def test_an_image_that_is_called_as_a_chip_of_another(tmp_path):
    write(tmp_path / "images/a.tif", counts(1, size=2 * PX))
    images(tmp_path, "a_0_1")
    for _ in range(2):  # the second time it must not be taken to be stored already
        refused(tmp_path, tmp_path / "c", "two locations have the id 'a_0_1'", "images/a.tif", "images/a_0_1.tif")


def test_ids_of_digits_that_are_no_numbers(tmp_path):
    images(tmp_path, "5²", "²", "10", "9")
    assert list(made(tmp_path, tmp_path / "c").locations["uid"]) == ["5²", "9", "10", "²"]
    refused(tmp_path, tmp_path / "d", "the id '²' holds no number", group={"by": "id-block"})


def test_names_of_label_maps_say_scalars_too(tmp_path):
    images(tmp_path, "a", "b")
    for name in ("a_farm7", "b_farm9"):
        write(tmp_path / f"masks/{name}.png", np.ones((1, PX, PX), np.uint8))
    masks = MASK | {"id": r"(?P<id>\w)_(?P<farm>\w+)\.png"}
    assert made(tmp_path, tmp_path / "c", labels=[masks]).locations["farm"].tolist() == ["farm7", "farm9"]


def test_opacity_hides_labels_as_masks_do(tmp_path):
    images(tmp_path, "a")
    codes = np.ones((2, PX, PX), np.uint8)
    codes[1] = 255 * (np.arange(PX) % 2)
    write(tmp_path / "masks/a.png", codes)
    corpus = made(tmp_path, tmp_path / "c", labels=[MASK | {"channel": 1, "void": 7}])
    np.testing.assert_array_equal(corpus.labels("m", [0])[0], np.where(codes[1] > 0, 1, 7))


def test_class_codes_that_say_they_are_scaled(tmp_path):
    images(tmp_path, "a")
    write(tmp_path / "masks/a.tif", np.ones((1, PX, PX), np.uint8), "EPSG:32632", from_origin(5e5, 5.6e6, 10, 10))
    with rasterio.open(tmp_path / "masks/a.tif", "r+") as file:
        file.offsets = (1.0,)
    said = r"masks/a.tif says scale 1 and offset 1 of what should be class codes"
    with pytest.raises(CorpusError, match=said):
        made(tmp_path, tmp_path / "c", labels=[MASK])
    clouds = {"sensor": "sentinel-2-l2a", "files": "masks/*", "id": MASK["id"], "classes": [3]}
    with pytest.raises(CorpusError, match=said):
        made(tmp_path, tmp_path / "d", quality=[clouds])


def test_a_class_that_is_nodata_by_the_files_own_words_is_said(tmp_path):
    images(tmp_path, "a")
    codes = write(tmp_path / "masks/a.tif", (np.arange(PX**2).reshape(1, PX, PX) % 2).astype("uint8"), nodata=1)
    corpus = made(tmp_path, tmp_path / "c", labels=[MASK])
    np.testing.assert_array_equal(corpus.labels("m", [0])[0], codes[0])
    (entry,) = log(corpus)
    assert entry["what"] == "1 files say that 1, the class 'wet', is nodata: it is that class, as the recipe says"
