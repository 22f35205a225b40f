import pickle

import pytest

from swath import errors
from swath.errors import SwathError, nearest

KINDS = [SwathError, *SwathError.__subclasses__()]


def test_the_message_says_what_where_and_what_to_do():
    error = errors.CorpusError("the mask has 3 rows, the image 4", where="a/b.tif", remedy="cut both alike")
    assert str(error).splitlines() == [
        "the mask has 3 rows, the image 4",
        "  where: a/b.tif",
        "  do:    cut both alike",
    ]


def test_parts_that_are_not_known_are_left_out():
    assert str(SwathError("broken")) == "broken"
    assert str(SwathError("broken", remedy="mend it")) == "broken\n  do:    mend it"


@pytest.mark.parametrize("kind", KINDS)
def test_errors_survive_the_way_between_processes(kind):
    error = kind("what", where="where", remedy="remedy")
    again = pickle.loads(pickle.dumps(error))
    assert type(again) is kind
    assert (again.what, again.where, again.remedy) == ("what", "where", "remedy")
    assert str(again) == str(error)


@pytest.mark.parametrize("kind", KINDS)
def test_one_handler_catches_every_mistake(kind):
    with pytest.raises(SwathError):
        raise kind("what")
    assert kind.__doc__


@pytest.mark.parametrize(
    ("name", "known", "remedy"),
    [
        ("byool", ["simclr", "byol"], "did you mean 'byol'? known: byol, simclr"),
        ("zzz", ["simclr", "byol"], "known: byol, simclr"),
        ("x", [], "none are known"),
        ("moco", iter(["moco-v2"]), "did you mean 'moco-v2'? known: moco-v2"),
    ],
)
def test_nearest(name, known, remedy):
    assert nearest(name, known) == remedy
