import json

import pytest

from swath.products.tables import load, seconds_in_all, stage_name
from swath.tasks.schema import OldTableError


def test_stages_are_named_by_what_they_were_for():
    assert stage_name({"stage": "pretrain", "arm": "byol", "seed": 0}) == "pretrain of byol, seed 0"
    assert stage_name({"stage": "corpus", "arm": None, "seed": None}) == "corpus"


def test_what_ran_side_by_side_is_counted_once():
    assert seconds_in_all([{"seconds": 60, "jobs": 2}, {"seconds": 60, "jobs": 2}, {"seconds": 5}, {}]) == 65.0


def test_a_task_of_one_number_of_labels_is_the_recipe_s_task(tmp_path):
    """By the numbers that the recipe states, not by taking the name apart."""
    target = {"rule": "scalar", "column": "crop"}
    tasks = {
        "crops": {"target": target, "label_fractions": [0.02, 0.1], "labels_per_class": [5]},
        "cover@home": {"target": {"rule": "pixels"}},
    }
    (tmp_path / "manifest.json").write_text(json.dumps({"format": 1, "recipe": {"tasks": tasks}}))
    run = load(tmp_path)
    assert [run.recipe_task(task) for task in ("crops@2%", "crops@10%", "crops@5-shot", "crops")] == ["crops"] * 4
    assert [run.recipe_task(task) for task in ("cover@home", "other@10%", "crops@1-shot")] == [
        *("cover@home", "other@10%", "crops@1-shot")
    ]
    assert run.target("crops@10%") == target
    assert run.target("cover@home") == {"rule": "pixels"}
    assert run.target("other@10%") == {}


def test_tables_of_an_earlier_version_are_refused_with_what_to_do(run):
    path = run / "evaluate" / "table.csv"
    head, *rest = path.read_text().splitlines(keepends=True)
    path.write_text(head.replace("role,of_arm", "kind,other") + "".join(rest))
    with pytest.raises(OldTableError, match="run the same recipe again"):
        load(run)
