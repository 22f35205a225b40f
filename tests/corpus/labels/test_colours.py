"""Colours of classes: as declared, as maps have them, and never twice."""

import pytest

from swath.corpus import LabelLayer
from swath.corpus.labels.colours import OTHERS, SUGGESTED, class_colours
from swath.errors import CorpusError


def test_names_get_the_colours_that_maps_give_them():
    names = ["no water", "water", "Deciduous forest", "wetland", "built-up", "tree_cover", "Sorghum", "bare ground"]
    found = class_colours(LabelLayer(classes=dict(enumerate(names))))
    red, green, blue = ({k: bytes.fromhex(colour[1:])[i] for k, colour in found.items()} for i in range(3))
    assert blue[1] > max(red[1], green[1])
    assert green[2] > max(red[2], blue[2])
    assert red[4] > max(green[4], blue[4])
    assert min(red[0], green[0], blue[0]) > 200
    assert len(set(found.values())) == len(names)


def test_what_is_declared_stays_and_void_has_none():
    layer = LabelLayer(classes={-3: "a", 2: "b", 9: "water", 0: "void"}, colours={2: "#1f6fd6", 0: "#ffffff"}, void=0)
    found = class_colours(layer)
    assert found[2] == "#1f6fd6"
    assert list(found) == [-3, 2, 9]
    assert len(set(found.values())) == 3  # the water that is declared has water's colour already


def test_many_classes_go_round():
    found = class_colours(LabelLayer(classes={k: f"crop type {k}" for k in range(50)}))
    assert len(found) == 50
    assert len(set(found.values())) == len(OTHERS) + 1
    assert not {colour for _, colour in SUGGESTED} & set(OTHERS)


def test_what_is_no_colour_is_named():
    with pytest.raises(CorpusError, match="colour of class 1 is 'bleu'"):
        class_colours(LabelLayer(classes={1: "water"}, colours={1: "bleu"}))
