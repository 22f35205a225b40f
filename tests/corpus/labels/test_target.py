import numpy as np
import pytest
from pydantic import TypeAdapter, ValidationError

from swath.corpus import Chip, CorpusWriter, LabelLayer, Location, Part, SensorLayout
from swath.corpus.labels.target import Dominant, Fraction, Pixels, Scalar, TargetConfig, targets
from swath.corpus.store import arrays as _arrays
from swath.errors import CorpusError

PX = 8
VOID = 255
LAYER = LabelLayer(classes={1: "tree", 2: "water", 3: "crop"}, void=VOID)


def made(path, maps, layer=LAYER, **scalars):
    layout = SensorLayout(bands=("red",), gsd_m=10, dtype="uint8")
    locations = [
        Location(f"p{i}", scalars={name: values[i] for name, values in scalars.items()}) for i in range(len(maps))
    ]
    chips = [Chip(f"p{i}", "display-optical", np.full((1, PX, PX), i, np.uint8)) for i in range(len(maps))]
    with CorpusWriter(path, {"display-optical": layout}, PX, {"cover": layer}) as writer:
        writer.append(Part(locations, chips, {"cover": np.array(maps)}))
        return writer.finish()


def mixed(**shares):
    """A label map with so many pixels of each class."""
    codes = {"tree": 1, "water": 2, "crop": 3, "void": VOID}
    flat = np.concatenate([np.full(count, codes[name]) for name, count in shares.items()])
    assert len(flat) == PX * PX
    return flat.reshape(PX, PX)


MAPS = [
    mixed(tree=64),
    mixed(tree=40, water=24),
    mixed(tree=32, water=32),
    mixed(water=20, void=44),
    mixed(water=36, void=28),
    mixed(water=64),
    mixed(void=64),
    mixed(crop=39, tree=25),
    mixed(crop=64),
]


def test_the_dominant_class_needs_its_share_of_labelled_pixels(tmp_path):
    found = targets(made(tmp_path / "c", MAPS), Dominant(layer="cover", min_share=0.6))
    assert found.classes == ["tree", "water", "crop"]
    # by hand: 1 is 62.5 % tree, 2 undecided, 3 and 6 mostly void, 4 all water where labelled, 7 60.9 % crop
    np.testing.assert_array_equal(found.locations, [0, 1, 4, 5, 7, 8])
    np.testing.assert_array_equal(found.y, [0, 0, 1, 1, 2, 2])


def test_void_may_cover_more_if_asked(tmp_path):
    found = targets(made(tmp_path / "c", MAPS), Dominant(layer="cover", min_labelled=0.0, classes=("tree", "water")))
    np.testing.assert_array_equal(found.locations, [0, 1, 3, 4, 5])


@pytest.mark.parametrize("codes", [(1, 2, 3, -1), (0, 1, 7, -9999), (3301010301, 3301010600, 12, 0), (-3, -2, 5, 255)])
def test_codes_may_be_any_numbers(tmp_path, codes):
    """The same maps in other codes are the same task."""
    *classes, void = codes
    layer = LabelLayer(classes=dict(zip(classes, ("tree", "water", "crop"), strict=True)), void=void)
    plain = [np.select([one == 1, one == 2, one == 3], classes, void) for one in MAPS]
    corpus = made(tmp_path / "c", plain, layer)
    found = targets(corpus, Pixels(layer="cover"))
    np.testing.assert_array_equal(found.locations, [0, 1, 2, 3, 4, 5, 7, 8])
    ordered = sorted(classes)
    assert found.classes == [layer.classes[code] for code in ordered]
    for row, one in zip(range(len(MAPS)), plain, strict=True):
        expected = [[ordered.index(code) if code in ordered else -1 for code in line] for line in one.tolist()]
        np.testing.assert_array_equal(found.maps.read(np.array([row]))[0], expected)
    dominant = targets(corpus, Dominant(layer="cover", min_share=0.6))
    np.testing.assert_array_equal(dominant.locations, [0, 1, 4, 5, 7, 8])
    assert [dominant.classes[k] for k in dominant.y] == ["tree", "tree", "water", "water", "crop", "crop"]
    np.testing.assert_array_equal(targets(corpus, Fraction(layer="cover", code=classes[1])).locations, [0, 4, 5, 7, 8])


def test_void_is_no_class_even_if_it_has_a_name(tmp_path):
    layer = LabelLayer(classes=LAYER.classes | {VOID: "unlabelled"}, void=VOID)
    corpus = made(tmp_path / "c", MAPS, layer)
    assert targets(corpus, Pixels(layer="cover")).classes == ["tree", "water", "crop"]
    assert targets(corpus, Dominant(layer="cover", min_share=0.6)).classes == ["tree", "water", "crop"]
    with pytest.raises(CorpusError, match="no code 255 of a class"):
        targets(corpus, Fraction(layer="cover", code=VOID))


def test_a_code_that_is_not_declared_is_named_with_its_place(tmp_path):
    corpus = made(tmp_path / "c", MAPS)
    array = _arrays.open_array(corpus.path / "labels" / "cover.zarr", "labels")
    array[4, 2, :3].write(np.uint8(99)).result()
    for rule in (Pixels(layer="cover"), Dominant(layer="cover"), Fraction(layer="cover", code=1)):
        with pytest.raises(CorpusError, match=r"the code 99 at 3 pixels(.|\n)*location p4"):
            targets(corpus, rule)


def test_ignored_classes_are_left_out_but_count_as_ground(tmp_path):
    corpus = made(tmp_path / "c", MAPS)
    found = targets(corpus, Dominant(layer="cover", ignore=("crop",)))
    assert found.classes == ["tree", "water"]
    np.testing.assert_array_equal(found.locations, [0, 1, 4, 5])


def test_fraction_leaves_out_what_lies_between(tmp_path):
    found = targets(made(tmp_path / "c", MAPS), Fraction(layer="cover", code=2, above=0.5, below=0.05))
    assert found.classes == ["not water", "water"]
    np.testing.assert_array_equal(found.locations, [0, 4, 5, 7, 8])
    np.testing.assert_array_equal(found.y, [0, 1, 1, 0, 0])


def test_the_rest_of_two_classes_is_the_other_one(tmp_path):
    layer = LabelLayer(classes={0: "dry", 255: "flooded"}, void=7)
    maps = [np.select([one == 1, one == 2], [0, 255], 7) for one in [*MAPS[:6], MAPS[0]]]
    found = targets(made(tmp_path / "c", maps, layer), Fraction(layer="cover", code=255))
    assert found.classes == ["dry", "flooded"]
    np.testing.assert_array_equal(found.locations, [0, 4, 5, 6])
    np.testing.assert_array_equal(found.y, [0, 1, 1, 0])


def test_a_scalar_label_is_a_class_and_numbers_sort_as_numbers(tmp_path):
    corpus = made(tmp_path / "c", MAPS[:6], zone=[10, 9, None, 9, 10, 9])
    found = targets(corpus, Scalar(column="zone"))
    assert found.classes == ["9", "10"]
    np.testing.assert_array_equal(found.locations, [0, 1, 3, 4, 5])
    np.testing.assert_array_equal(found.y, [1, 0, 0, 1, 0])


def test_classes_that_differ_by_a_space_alone_are_no_two_classes(tmp_path):
    corpus = made(tmp_path / "c", MAPS[:4], crop=["maize", "maize ", "rye", "rye"])
    with pytest.raises(CorpusError, match="column 'crop' holds 'maize', and the same with other space around it"):
        targets(corpus, Scalar(column="crop"))


def test_pixels_keep_their_classes_and_what_does_not_count_is_void(tmp_path):
    corpus = made(tmp_path / "c", MAPS)
    found = targets(corpus, Pixels(layer="cover"))
    # only the location that is all void is left out
    np.testing.assert_array_equal(found.locations, [0, 1, 2, 3, 4, 5, 7, 8])
    assert found.classes == ["tree", "water", "crop"]
    np.testing.assert_array_equal(found.y, [0, 0, 0, 1, 1, 1, 2, 2])
    maps = found.maps.read(found.locations)
    np.testing.assert_array_equal(maps[3], np.where(MAPS[3] == VOID, -1, 1))
    np.testing.assert_array_equal(maps[6], np.where(MAPS[7] == 3, 2, 0))
    fewer = targets(corpus, Pixels(layer="cover", min_labelled=24, ignore=("tree",)))
    np.testing.assert_array_equal(fewer.locations, [1, 2, 4, 5, 7, 8])
    assert fewer.classes == ["water", "crop"]
    np.testing.assert_array_equal(fewer.maps.read(np.array([1])), [np.where(MAPS[1] == 2, 0, -1)])


@pytest.mark.parametrize(
    ("config", "message"),
    [
        (Dominant(layer="covr"), "no label layer 'covr'(.|\n)*did you mean 'cover'"),
        (Dominant(layer="cover", classes=("treee",)), "no class 'treee'(.|\n)*did you mean 'tree'"),
        (Dominant(layer="cover", classes=("tree",)), "one class \\('tree'\\) at 3 of 8(.|\n)*/c, label layer cover"),
        (Dominant(layer="cover", min_share=1.0), "'crop' has a single location(.|\n)*ignore: \\[crop\\]"),
        (Fraction(layer="cover", code=9), "no code 9(.|\n)*2 water"),
        (Pixels(layer="cover", min_labelled=65), "pixels of 0 of 8 locations have no class"),
        (Pixels(layer="cover", classes=("tree",)), "have one class \\('tree'\\)(.|\n)*layer cover"),
        (Pixels(layer="cover", ignore=("tre",)), "no class 'tre'(.|\n)*did you mean 'tree'"),
        (Scalar(column="zne"), "no column 'zne'(.|\n)*did you mean 'zone'"),
        (Scalar(column="zone", classes=("b",)), "one class \\('b'\\) at 2 of 8(.|\n)*column zone(.|\n)*another column"),
        (Scalar(column="height"), "continuous values"),
    ],
)
def test_what_cannot_be_a_task_is_an_error_that_says_why(tmp_path, config, message):
    maps = [MAPS[0], *MAPS[:6], MAPS[8]]
    corpus = made(tmp_path / "c", maps, zone=list("aabbccdd"), height=np.linspace(0, 1, 8).tolist())
    with pytest.raises(CorpusError, match=message):
        targets(corpus, config)


def test_the_rule_tells_the_settings_apart():
    parse = TypeAdapter(TargetConfig).validate_python
    assert parse({"rule": "fraction", "layer": "x", "code": 1}) == Fraction(layer="x", code=1)
    with pytest.raises(ValidationError, match="dominant"):
        parse({"rule": "majority", "layer": "x"})
    with pytest.raises(ValidationError, match="must not be larger"):
        Fraction(layer="x", code=1, above=0.1, below=0.2)
