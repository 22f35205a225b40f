"""Claims of a recipe: what they are about where they leave things out, and what is wrong with them."""

import pytest
from pydantic import ValidationError

from swath import config
from swath.errors import RecipeError
from swath.tasks import Claim, TaskConfig, stated_claims

TARGET = {"rule": "scalar", "column": "crop"}
OPTICAL, RADAR = ("s2/B02", "s2/B03"), ("s1/VV", "s1/VH")
CROPS = TaskConfig.model_validate(
    {
        "target": TARGET,
        "inputs": {"optical": OPTICAL, "radar": RADAR},
        "probes": [{"name": "linear"}, {"name": "knn"}],
        "label_fractions": [0.1, 1.0],
        "floors": ["majority", "random-forest", "random-encoder", "scratch"],
    }
)
BANDS = TaskConfig.model_validate(
    {
        "target": TARGET,
        "inputs": {"both": (*OPTICAL, *RADAR)},
        "probes": [
            {"name": "band-wise", "probe": {"name": "mlp"}, "groups": {"optical": OPTICAL, "radar": RADAR}},
        ],
    }
)
WITHOUT_FOREST = TaskConfig.model_validate(BANDS.model_dump() | {"floors": ["majority"]})
TASKS = {"crops": CROPS, "bands": BANDS}


def stated(*claims, tasks=TASKS, arms=("s4", "mmf")):
    return stated_claims([Claim.model_validate(claim) for claim in claims], tasks, arms)


def test_what_a_claim_leaves_out_it_claims_of_all():
    found = stated({"better": "s4", "than": "scratch", "task": "crops"})
    assert [(c.task, c.input, c.probe) for c in found] == [
        (task, name, "linear") for task in ("crops@10%", "crops@100%") for name in ("optical", "radar")
    ]
    assert {(c.better, c.than, c.budget) for c in found} == {("s4", "scratch", None)}


def test_a_claim_may_be_as_narrow_as_a_panel():
    whole = {"task": "crops", "input": "radar", "probe": "knn", "label_fraction": 0.1}
    (found,) = stated({"better": "mmf", "than": "s4", **whole})
    assert (found.task, found.input, found.probe) == ("crops@10%", "radar", "knn")
    assert len(stated(*[{"better": "mmf", "than": "s4", **whole}] * 2)) == 1, "said twice, tested once"


def test_a_claim_may_be_about_groups_of_bands():
    above_all = "radar bands minus optical bands"
    (found,) = stated({"better": "s4", "than": "mmf", "task": "bands", "input": above_all})
    assert (found.task, found.input) == ("bands", above_all)
    (found,) = stated({"better": "s4", "than": "mmf"}, tasks={"bands": BANDS})
    assert found.input == "all bands"


def test_a_claim_may_be_that_a_gain_is_larger_on_one_input():
    found = stated(
        {"better": "s4", "than": "random-encoder", "task": "crops", "input": "radar", "more_than_on": "optical"}
    )
    assert [(c.task, c.panel_input, c.probe) for c in found] == [
        (task, "radar minus optical", "linear") for task in ("crops@10%", "crops@100%")
    ]
    (one,) = stated(
        {"better": "s4", "than": "mmf", "task": "bands", "input": RADAR[0], "more_than_on": "optical bands"}
    )
    assert one.panel_input == "s1/VV minus optical bands"
    for claim in ({"more_than_on": "optical"}, {"input": "radar", "more_than_on": "radar"}):
        with pytest.raises(ValidationError, match="give input too, another one"):
            stated({"better": "s4", "than": "mmf", **claim})


def test_a_claim_is_about_the_tasks_that_have_its_rows():
    """`bands` has no random forest, and nobody said that the claim is about it."""
    found = stated({"better": "s4", "than": "random-forest"}, tasks={"crops": CROPS, "bands": WITHOUT_FOREST})
    assert {claim.task for claim in found} == {"crops@10%", "crops@100%"}


def test_no_claims_are_not_the_same_as_none():
    assert stated() == ()
    assert stated_claims(None, TASKS, ["s4"]) is None


@pytest.mark.parametrize(
    ("claim", "said", "remedy"),
    [
        ({"better": "s5", "than": "scratch"}, "no arm, reference or floor 's5'", "did you mean 's4'"),
        ({"better": "s4", "than": "scrach"}, "no arm, reference or floor 'scrach'", "did you mean 'scratch'"),
        ({"better": "s4", "than": "mmf", "task": "corps"}, "no task 'corps'", "did you mean 'crops'"),
        ({"better": "s4", "than": "mmf", "task": "crops", "input": "rader"}, "no input 'rader'", "'radar'"),
        (
            {"better": "s4", "than": "mmf", "task": "crops", "input": "radar", "probe": "mlp"},
            "no probe of input radar 'mlp'",
            "knn, linear",
        ),
        (
            {"better": "s4", "than": "mmf", "label_fraction": 0.2},
            "no task has label_fraction 0.2",
            "label_fraction 0.1, label_fraction 1",
        ),
        (
            {"better": "s4", "than": "mmf", "task": "crops", "input": "radar", "more_than_on": "optica"},
            "no input 'optica'",
            "'optical'",
        ),
        (
            {"better": "s4", "than": "mmf", "task": "bands", "input": "both", "more_than_on": "s2/B02"},
            "no input 'both'",
            "",
        ),
        ({"better": "s4", "than": "s4"}, "cannot be better than itself", ""),
        ({"better": "s4", "than": "image-statistics", "task": "crops"}, "'image-statistics'", "scratch"),
    ],
)
def test_what_is_not_there_is_said_with_what_is_near(claim, said, remedy):
    with pytest.raises(RecipeError) as error:
        stated(claim)
    assert said in error.value.what
    assert remedy in (error.value.remedy or "")


def recipe(**changes):
    plain = {"source": {"name": "synth"}}
    document = {
        "name": "trial",
        "corpus": plain,
        "pretrain": {
            "encoder": {"name": "timm", "model": "resnet18"},
            "method": {"name": "byol"},
            "views": {"name": "two-crops", "bands": ["sentinel-2-l2a/B02"]},
        },
        "arms": {"byol": {}},
        "tasks": {"crops": {"target": TARGET, "inputs": {"optical": ["sentinel-2-l2a/B02"]}}},
    }
    return config.resolve(document | changes)


def test_a_recipe_with_a_wrong_claim_is_refused():
    with pytest.raises(RecipeError, match=r"claims\.0, task crops: there is no arm.*'byl'.*did you mean 'byol'"):
        recipe(claims=[{"better": "byl", "than": "scratch"}])


def test_without_its_arms_a_recipes_claims_wait_for_encoders_that_are_given():
    claims = [{"better": "byol", "than": "scratch"}, {"better": "scratch", "than": "image-statistics"}]
    alone = recipe(claims=claims, arms={}, pretrain=None)
    found = stated_claims(alone.claims, alone.tasks, ["mine"], some_are_away=True)
    assert [(claim.better, claim.than) for claim in found] == [("byol", "scratch"), ("scratch", "image-statistics")]
    assert {claim.task for claim in found} == {"crops"}
    with pytest.raises(RecipeError, match=r"no task 'corps'.*did you mean 'crops'"):
        recipe(claims=[{"better": "byol", "than": "scratch", "task": "corps"}], arms={}, pretrain=None)
    with pytest.raises(RecipeError, match="no arm, reference or floor 'byol'"):
        stated_claims(alone.claims, alone.tasks, ["mine"])


def test_a_recipe_without_claims_has_the_digest_that_it_had():
    plain = recipe()
    assert {"claims", "replicates"}.isdisjoint(plain.model_dump())
    claiming = recipe(claims=[{"better": "byol", "than": "scratch"}])
    assert config.resolve(claiming.model_dump(mode="json")) == claiming


def test_replicates_make_the_seeds():
    assert recipe(replicates={"trainings": 3}).seeds == [0, 1, 2]
    rotating = {"split": {"folds": 5, "fold": 0}, "rotate": True}
    made = recipe(replicates={"trainings": 3, "label_draws": 2}, **rotating)
    assert made.seeds == list(range(15)), "every fold is trained on three times"
    assert config.resolve(made.model_dump(mode="json")) == made
    plain, again = (recipe(replicates={"trainings": 3} | more, **rotating) for more in ({}, {"first_seed": 15}))
    assert again.seeds == [seed + 15 for seed in plain.seeds]
    assert again.digest != plain.digest
    assert "first_seed" not in plain.model_dump()["replicates"], "digests of recipes that are no repetition stay"
    with pytest.raises(RecipeError, match="seeds or replicates, not both"):
        recipe(replicates={"trainings": 3}, seeds=[4, 5])
    with pytest.raises(RecipeError, match="replicates ask for the seeds 0 to 2"):
        recipe(replicates={"trainings": 3}, seeds=[0])
    by_column = {"split": {"by": "column", "column": "fold", "fold": 0}, "rotate": True}
    with pytest.raises(RecipeError, match="give seeds instead"):
        recipe(replicates={"trainings": 3}, **by_column)
