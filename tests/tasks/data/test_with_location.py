"""The place as an input of a task, alone and beside an image's bands."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from swath import config as recipes
from swath import encoders
from swath.corpus.splits import SplitConfig, split
from swath.encoders import any_sensor, image_and_location, location
from swath.errors import ContractError
from swath.tasks import Task, TaskConfig
from swath.tasks.data import BandMatch, BandReader, Request, contract_of, extract_all, match_bands
from swath.tasks.run.jobs import jobs_of
from swath.tasks.run.networks import Networks
from tests.tasks.fakes import ALL, contract

OPTICAL, BOTH = ALL[:3], (*ALL[:3], *location.LOCATION)
CONFIG = image_and_location.Config.model_validate(
    {
        "image": {"name": "random-convolutions", "features": 4},
        "encoding": {"name": "cartesian"},
        "network": {"name": "fcnet", "blocks": 1},
    }
)


def task(corpus, by="group", **inputs):
    settings = {"target": {"rule": "scalar", "column": "kind"}, "inputs": inputs, "probes": [{"name": "knn"}]}
    parted = SplitConfig(by=by, block_km=8, fractions=(0.5, 0.25, 0.25))
    return Task("kinds", TaskConfig.model_validate(settings), corpus, split(corpus, parted), parted)


def encoder(corpus):
    torch.manual_seed(0)
    return encoders.build(CONFIG, replace(contract_of(corpus, BOTH), channels=3, branches=(3, 2)))


def test_an_input_of_both_is_both_embeddings(corpus):
    made = encoder(corpus)
    match = match_bands(made.contract, (*location.LOCATION[::-1], *OPTICAL[::-1]))
    assert match == BandMatch((OPTICAL, location.LOCATION), "embeddings of image and location joined")
    asked = task(corpus, both=[*OPTICAL, "location"], place=["location"])
    assert asked.inputs["both"].bands == BOTH
    rows = np.arange(3, 9)
    requests = [Request(made, bands) for bands in (BOTH, OPTICAL, location.LOCATION)]
    both, optical, place = extract_all(requests, asked.reader, rows)
    np.testing.assert_array_equal(both, np.concatenate([optical, place], axis=1))
    degrees = torch.tensor(corpus.locations[["lon", "lat"]].to_numpy(np.float32)[rows])
    np.testing.assert_allclose(place, made.network.location.embed(degrees).numpy(), rtol=1e-6)


def test_an_encoder_of_images_alone_does_not_take_both():
    with pytest.raises(ContractError, match="has no statistics of location/lon"):
        match_bands(contract(OPTICAL, fixed=True), BOTH)


def test_an_encoder_of_any_bands_takes_none_without_a_wavelength():
    any_bands = replace(contract(OPTICAL, fixed=False), any_number=True)
    assert match_bands(any_bands, OPTICAL[:2]) == BandMatch((OPTICAL[:2],))
    with pytest.raises(ContractError, match="goes by wavelength, and nobody knows that of location/lon"):
        match_bands(any_bands, BOTH)


def test_an_input_without_a_wavelength_is_left_out_with_the_reason_and_others_are_judged(corpus):
    known = replace(contract_of(corpus, OPTICAL, fixed=False), any_number=True)
    made = encoders.build(any_sensor.Config(patch=8, width=16, depth=1, heads=2), known)
    asked = task(corpus, optical=OPTICAL, both=[*OPTICAL, "location"])
    optical, both = asked.outcomes(made, asked.panels, seed=0, pretrained=True)
    assert optical.prediction is not None
    assert both.prediction is None
    assert both.note == "the encoder any-sensor goes by wavelength, and nobody knows that of location/lon"


def test_a_task_of_the_place_alone_is_judged(corpus):
    asked = task(corpus, by="block", place=["location"])
    alone = location.build(location.Config(network=None), contract_of(corpus, location.LOCATION))
    (outcome,) = asked.outcomes(alone, asked.panels, seed=0)
    assert outcome.prediction is not None
    assert not any("memorises" in said for said in asked.remarks)


@pytest.mark.parametrize(("by", "warned"), [("group", True), ("location", True), ("block", False)])
def test_a_random_split_is_warned_of(corpus, by, warned):
    said = [one for one in task(corpus, by=by, place=["location"]).remarks if "memorises" in one]
    assert bool(said) == warned
    assert all(f"random by {by}" in one for one in said)
    assert not any("memorises" in one for one in task(corpus, by=by, optical=OPTICAL).remarks)


def test_results_of_other_inputs_stay_what_they_were(corpus):
    """The place chooses no dates: an input of it beside others changes no digest of theirs."""
    digests = []
    for inputs in (
        {"optical": OPTICAL},
        {"optical": OPTICAL, "both": BOTH},
        {"place": location.LOCATION, "optical": OPTICAL},
    ):
        jobs = jobs_of({0: task(corpus, **inputs)}, {}, Networks([], lambda arm, seed: encoder(corpus), [0]))
        digests.append(
            {job.row: value for job in jobs for panel, value in job.digests().items() if panel[0] == "optical"}
        )
    assert digests[0] == digests[1] == digests[2]
    assert digests[0]


def test_locations_without_coordinates_are_left_out_and_counted(corpus, monkeypatch):
    columns = corpus.locations.copy()
    columns.loc[columns.index[5:8], ["lon", "lat"]] = np.nan
    monkeypatch.setattr(corpus, "locations", columns)
    everyone = task(corpus, optical=OPTICAL)
    asked = task(corpus, both=BOTH)
    assert asked.incomplete == everyone.incomplete + 3
    assert any("or they have no coordinates" in said for said in asked.remarks)
    reader = BandReader(corpus, location.LOCATION, asked.reader.select)
    assert set(range(5, 8)).isdisjoint(reader.complete(np.arange(12)))


def test_where_places_are_read_a_recipe_splits_by_blocks(tmp_path):
    document = """
name: places
corpus: {path: nowhere}
tasks:
  kinds: {target: {rule: scalar, column: kind}, inputs: {place: [location]}}
"""
    (tmp_path / "a.yaml").write_text(document)
    found = recipes.load(tmp_path / "a.yaml")
    assert (found.split.by, found.split.block_km) == ("block", 100.0)
    assert found.tasks["kinds"].inputs == {"place": location.LOCATION}
    assert recipes.load(tmp_path / "a.yaml", ["split.by=group"]).split.by == "group"
    (tmp_path / "b.yaml").write_text(document.replace("[location]", "[sentinel-2-l2a/B04]"))
    assert recipes.load(tmp_path / "b.yaml").split == SplitConfig()
