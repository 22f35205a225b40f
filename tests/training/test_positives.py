"""Trainings on pairs of dates or of locations: a step of each, and what is said of the locations that are left out."""

import numpy as np
import pytest

from swath.corpus import Corpus
from swath.encoders import InputContract
from swath.encoders.timm import Config as Timm
from swath.errors import CorpusError
from swath.methods.byol import Config as Byol
from swath.training import TrainConfig, check, pretrain
from swath.views.policies.neighbours import Config as Nearby
from swath.views.policies.seasons import Config as Seasons
from swath.views.policies.two_dates import Config as TwoDates
from tests.corpus.fakes import OPTICAL, make

KEYS = (f"{OPTICAL}/B04", f"{OPTICAL}/B08")
CONTRACT = InputContract(2, KEYS, True, ("reflectance",) * 2, (0.2, 0.2), (0.1, 0.1))


@pytest.fixture(scope="module")
def corpus(tmp_path_factory) -> Corpus:
    """Locations 160 m apart, each on 1 January and 1 April."""
    return make(tmp_path_factory.mktemp("positives") / "corpus", count=12, dates=2)


def begin(corpus, views, locations):
    check(
        encoder_config=Timm(model="test_resnet"),
        method_config=Byol(hidden=16, out=8),
        views_config=views,
        train=TrainConfig(epochs=1, batch_size=4),
        contract=CONTRACT,
        corpus=corpus,
        locations=np.asarray(locations),
    )


@pytest.mark.parametrize("views", [Nearby(bands=KEYS, within_m=200.0), Seasons(bands=KEYS, apart_days=60.0)])
def test_pairs_are_trained_on(corpus, views, tmp_path):
    encoder = pretrain(
        encoder_config=Timm(model="test_resnet"),
        method_config=Byol(hidden=16, out=8),
        views_config=views,
        train=TrainConfig(samples=6, batch_size=6, precision="32"),
        contract=CONTRACT,
        corpus=corpus,
        locations=np.arange(6),
        seed=0,
        out=tmp_path / "arm",
    )
    assert encoder.figures["step"] == 1


def test_locations_without_a_neighbour_are_counted(corpus, capsys):
    begin(corpus, Nearby(bands=KEYS, within_m=200.0), [0, 1, 2, 3, 6, 9])
    assert "2 of 6 locations have no other one within 200 m, and are left out" in capsys.readouterr().err
    with pytest.raises(CorpusError, match="6 more have no neighbour within the distance"):
        begin(corpus, Nearby(bands=KEYS, within_m=200.0), [0, 2, 4, 6, 8, 10])


def test_locations_of_one_date_are_counted(corpus, tmp_path, capsys):
    begin(corpus, TwoDates(bands=KEYS), range(12))
    assert "repeated" not in capsys.readouterr().err
    begin(make(tmp_path / "corpus", count=6, dates=1), TwoDates(bands=KEYS), range(6))
    assert "6 of 6 locations have fewer than 2 usable dates: theirs are repeated" in capsys.readouterr().err


def test_locations_of_one_season_are_counted(corpus, capsys):
    begin(corpus, Seasons(bands=KEYS, apart_days=89.0), range(12))
    assert "left out" not in capsys.readouterr().err
    with pytest.raises(CorpusError, match="12 more lack a usable chip of some sensor, or of another season"):
        begin(corpus, Seasons(bands=KEYS, apart_days=91.0), range(12))
