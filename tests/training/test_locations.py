"""Encoders of locations are trained from a corpus as all others are."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from swath import encoders, training
from swath.corpus import Chip, CorpusWriter, Location, Part, SensorLayout
from swath.encoders import image_and_location, location
from swath.errors import CorpusError, RecipeError
from swath.methods import satclip, sinr
from swath.tasks.data import contract_of
from swath.training import TrainConfig
from swath.training.config import Optimizer
from swath.views.policies import image_and_location as both_views
from swath.views.policies import location as location_views
from tests.corpus import fakes

OPTICAL = tuple(f"{fakes.OPTICAL}/{name}" for name in ("B02", "B03", "B04"))
TRAIN = TrainConfig(epochs=1, batch_size=4, log_every=1, optimizer=Optimizer(lr=0.05, scale_lr=False))
TOWER = {"encoding": {"name": "cartesian"}, "network": {"name": "fcnet", "blocks": 1, "dropout": 0.0}}


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    return fakes.make(tmp_path_factory.mktemp("corpus") / "c")


def of_locations(corpus, **changes):
    return {
        "encoder_config": location.Config.model_validate(TOWER),
        "method_config": sinr.Config(label="kind"),
        "views_config": location_views.Config(),
        "train": TRAIN,
        "contract": contract_of(corpus, location.LOCATION),
        "corpus": corpus,
        "locations": np.arange(12),
    } | changes


def start(settings):
    with training.seeded(3):
        return encoders.build(settings["encoder_config"], settings["contract"])


def test_satclip_trains_the_location_tower_and_leaves_a_frozen_image_tower(corpus, tmp_path):
    bands = (*OPTICAL, *location.LOCATION)
    config = image_and_location.Config.model_validate({"image": {"name": "timm", "model": "test_resnet"}} | TOWER)
    settings = of_locations(
        corpus,
        encoder_config=config,
        method_config=satclip.Config(),
        views_config=both_views.Config(bands=OPTICAL),
        contract=contract_of(corpus, bands, channels=3, branches=(3, 2)),
    )
    training.pretrain(**settings, seed=3, out=tmp_path)
    trained, before = encoders.load(tmp_path / "encoder"), start(settings)
    state, was = trained.state_dict(), before.state_dict()
    changed = {name for name in state if not torch.equal(state[name], was[name])}
    assert changed
    assert all(name.startswith("network.location") for name in changed)
    assert set(encoders.load_seen(tmp_path / "encoder")["uid"]) == set(corpus.locations["uid"])


def test_locations_without_coordinates_are_counted_once(tmp_path, capsys):
    part = fakes.part(range(12))
    placed = [replace(one, crs=None, transform=None) if k < 2 else one for k, one in enumerate(part.locations)]
    with fakes.writer(tmp_path / "c") as writer:
        writer.append(replace(part, locations=placed))
        settings = of_locations(writer.finish())
    training.check(**settings, label="places")
    training.pretrain(**settings, seed=3, out=tmp_path / "run")
    said = [line for line in capsys.readouterr().err.splitlines() if "coordinates" in line]
    assert said == ["places: 2 of 12 locations have no coordinates, and are left out"]


def test_sinr_trains_on_the_classes_of_a_column(corpus, tmp_path):
    settings = of_locations(corpus)
    training.pretrain(**settings, seed=3, out=tmp_path)
    trained, before = encoders.load(tmp_path / "encoder"), start(settings)
    assert isinstance(trained, location.LocationEncoder)
    assert not torch.equal(trained.network.network[0].weight, before.network.network[0].weight)


@pytest.mark.parametrize(
    ("label", "said"),
    [("kidn", "no column 'kidn'(?s:.*)did you mean 'kind'"), ("split", "12 of 12 locations .* have no split")],
)
def test_a_column_without_classes_is_refused_before_training(corpus, label, said):
    with pytest.raises(RecipeError, match=said):
        training.check(**of_locations(corpus, method_config=sinr.Config(label=label)))


def test_numbers_with_a_unit_are_no_classes(corpus, monkeypatch):
    monkeypatch.setitem(corpus.info.units, "kind", "mm")
    with pytest.raises(RecipeError, match=r"column 'kind' holds numbers \(unit: mm\), not classes"):
        training.check(**of_locations(corpus))


def test_a_corpus_without_coordinates_has_no_views_of_locations(tmp_path):
    layouts = {fakes.OPTICAL: SensorLayout(bands=("B02", "B03", "B04"), gsd_m=10, dtype="float32")}
    with CorpusWriter(tmp_path / "c", layouts, fakes.PX) as writer:
        pixels = np.full((3, fakes.PX, fakes.PX), 0.1, np.float32)
        pixels += np.arange(fakes.PX, dtype=np.float32) / 100
        writer.append(
            Part([Location(f"{i}") for i in range(6)], [Chip(f"{i}", fakes.OPTICAL, pixels) for i in range(6)])
        )
        corpus = writer.finish()
    settings = of_locations(
        corpus,
        encoder_config=image_and_location.Config.model_validate(
            {"image": {"name": "timm", "model": "test_resnet"}} | TOWER
        ),
        method_config=satclip.Config(),
        views_config=both_views.Config(bands=OPTICAL),
        contract=contract_of(corpus, (*OPTICAL, *location.LOCATION), channels=3, branches=(3, 2)),
        locations=np.arange(6),
    )
    with pytest.raises(CorpusError, match="0 locations can be read, one step needs 4; 6 more have no coord") as error:
        training.check(**settings)
    assert "take a corpus with coordinates" in error.value.remedy
