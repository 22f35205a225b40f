"""Every image has its cloud layer, or a message names it: without one, clouds would be taken for ground."""

import numpy as np
import pytest
import rasterio

from swath.errors import CorpusError
from tests.corpus.sources.folder.test_folder import PX, S2, counts, log, made, write

DAY, TIME = r"(?P<id>p\d+)_(?P<date>\d{8})\.tif$", r"(?P<id>p\d+)_(?P<date>\d{8}T\d{6})\.tif$"
CLOUD = np.full((1, PX, PX), 4, np.uint8)
CLOUD[0, : PX // 2] = 9


def folder(root, images, layers):
    for number, name in enumerate(images):
        write(root / f"img/{name}.tif", counts(number))
    for name in layers:
        write(root / f"scl/{name}.tif", CLOUD)


def ingest(root, target, images=DAY, layers=DAY, **settings):
    entry = S2 | {"files": "img/*.tif", "id": images, "bands": ["B04", "B08"]}
    if images == TIME:
        entry["date_format"] = "%Y%m%dT%H%M%S"
    quality = {"sensor": "sentinel-2-l2a", "files": "scl/*.tif", "id": layers}
    return made(root, target, images=[entry], quality=[quality], **settings)


def test_every_image_is_judged_by_the_layer_of_its_date(tmp_path):
    folder(tmp_path, ["p1_20210601", "p1_20210611"], ["p1_20210601", "p1_20210611", "p1_20210701"])
    corpus = ingest(tmp_path, tmp_path / "c")
    assert corpus.chips["valid"].tolist() == [0.5, 0.5]
    assert corpus.chips["cloud"].tolist() == [0.5, 0.5]
    assert [(one["event"], one["where"]) for one in log(corpus)] == [
        ("cloud layer without an image", "scl/p1_20210701.tif")
    ]


@pytest.mark.parametrize(
    ("images", "layers", "expressions", "words"),
    [
        (["p1_20210601", "p1_20210611"], ["p1_20210601"], (DAY, DAY), r"img/p1_20210611\.tif has no cloud layer"),
        (["p1_20210601T101010"], ["p1_20210601"], (TIME, DAY), r"of another date there is scl/p1_20210601\.tif"),
        (["p1_20210601"], ["p1_20210601"], (DAY, r"(?P<id>p\d+)_"), r"img/p1_20210601\.tif has no cloud layer"),
        (["p1_20210601"], ["p1_20210602"], (DAY, DAY), r"of another date there is scl/p1_20210602\.tif"),
        (["p1_20210601", "p2_20210601"], ["p1_20210601"], (DAY, DAY), r"img/p2_20210601\.tif has no cloud layer"),
    ],
)
def test_an_image_without_its_layer_is_an_error(tmp_path, images, layers, expressions, words):
    folder(tmp_path, images, layers)
    with pytest.raises(CorpusError, match=words) as caught:
        ingest(tmp_path, tmp_path / "c", *expressions)
    assert caught.value.where.startswith("corpus.source.quality.0, id 'p")
    assert "the time of day in both or in neither" in caught.value.remedy


def test_or_it_is_left_out_and_named(tmp_path):
    folder(tmp_path, ["p1_20210601", "p1_20210611"], ["p1_20210601"])
    corpus = ingest(tmp_path, tmp_path / "c", on_bad_file="skip")
    assert corpus.chips["source"].tolist() == ["img/p1_20210601.tif"]
    assert [one["event"] for one in log(corpus)] == ["bad file"]
    assert "img/p1_20210611.tif has no cloud layer" in log(corpus)[0]["what"]


def test_two_layers_of_one_image_are_an_error(tmp_path):
    folder(tmp_path, ["p1_20210601"], ["p1_20210601"])
    write(tmp_path / "scl/more/p1_20210601.tif", CLOUD)
    entry = S2 | {"files": "img/*.tif", "id": DAY, "bands": ["B04", "B08"]}
    quality = {"sensor": "sentinel-2-l2a", "files": "scl/**/*.tif", "id": DAY}
    with pytest.raises(CorpusError, match="two files have the same id"):
        made(tmp_path, tmp_path / "c", images=[entry], quality=[quality])


def test_a_layer_without_dates_is_of_images_without_dates(tmp_path):
    folder(tmp_path, ["p1_a"], ["p1_b"])
    corpus = ingest(tmp_path, tmp_path / "c", r"(?P<id>p\d+)_", r"(?P<id>p\d+)_")
    assert corpus.chips["valid"].tolist() == [0.5]


def judged(root, target, layer, **entry):
    write(root / "img/p1.tif", counts(1))
    quality = {"sensor": "sentinel-2-l2a", "files": "scl/*", "id": r"(?P<id>p\d+)"} | entry
    write(root / "scl/p1.tif", layer)
    image = S2 | {"files": "img/*.tif", "id": r"(?P<id>p\d+)", "bands": ["B04", "B08"]}
    return made(root, target, images=[image], quality=[quality]).chips.iloc[0]


@pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")
def test_what_a_cloud_layer_does_not_say_is_no_clear_sky(tmp_path):
    with_gaps = np.where(CLOUD == 9, np.nan, 4).astype(np.float32)
    chip = judged(tmp_path / "nan", tmp_path / "c", with_gaps)
    assert (chip["valid"], chip["cloud"]) == (0.5, 0.5)
    judged(tmp_path / "hidden", tmp_path / "d", np.full_like(CLOUD, 4))
    with rasterio.open(tmp_path / "hidden/scl/p1.tif", "r+") as file:
        file.write_mask(CLOUD[0] != 9)
    chip = made(
        tmp_path / "hidden",
        tmp_path / "e",
        images=[S2 | {"files": "img/*.tif", "bands": ["B04", "B08"]}],
        quality=[{"sensor": "sentinel-2-l2a", "files": "scl/*.tif", "id": r"(?P<id>p\d+)"}],
    ).chips.iloc[0]
    assert (chip["valid"], chip["cloud"]) == (0.5, 0.5)


def test_cloud_probabilities_are_no_classes(tmp_path):
    with pytest.raises(CorpusError, match=r"scl/p1\.tif holds numbers that are not whole, such as 0\.9"):
        judged(tmp_path, tmp_path / "c", np.full((1, PX, PX), 0.9, np.float32), classes=[1])


def test_cloud_layers_of_images_that_only_tags_tell_apart(tmp_path):
    for number, tag in enumerate(("before", "after")):
        write(tmp_path / f"{tag}/p1.tif", counts(number))
        write(tmp_path / f"scl/{tag}_p1.tif", CLOUD if tag == "before" else np.full_like(CLOUD, 4))
    entry = S2 | {"bands": ["B04", "B08"]}
    images = [entry | {"files": f"{tag}/*.tif", "id": r"(?P<id>p\d+)", "tag": tag} for tag in ("before", "after")]
    layer = {"sensor": "sentinel-2-l2a", "files": "scl/before*", "id": r"(?P<id>p\d+)"}
    with pytest.raises(CorpusError, match=r"before_p1\.tif would be the cloud layer of 2 images"):
        made(tmp_path, tmp_path / "c", images=images, quality=[layer])
    layers = [layer | {"files": f"scl/{tag}*", "tag": tag} for tag in ("before", "after")]
    chips = made(tmp_path, tmp_path / "c", images=images, quality=layers).chips.set_index("tag")
    assert chips["valid"].to_dict() == {"before": 0.5, "after": 1.0}
    with pytest.raises(ValueError, match="with the tag 'during', of which there are no images"):
        made(tmp_path, tmp_path / "d", images=images, quality=[layer | {"tag": "during"}])


def test_layers_and_maps_of_no_image_at_all_are_named(tmp_path):
    folder(tmp_path, ["p1_20210601"], ["p1_20210601", "p7_20210601"])
    for name in ("p1", "p8"):
        write(tmp_path / f"masks/{name}.png", np.ones((1, PX, PX), np.uint8))
    masks = {"layer": "m", "files": "masks/*.png", "id": r"(?P<id>p\d+)\.png", "classes": {1: "wet"}, "void": 0}
    corpus = ingest(tmp_path, tmp_path / "c", labels=[masks])
    assert [(one["event"], one["where"]) for one in log(corpus)] == [
        ("label map without an image", "masks/p8.png"),
        ("cloud layer without an image", "scl/p7_20210601.tif"),
    ]
