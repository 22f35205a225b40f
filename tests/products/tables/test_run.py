from swath.products.tables import seconds_in_all, stage_name


def test_stages_are_named_by_what_they_were_for():
    assert stage_name({"stage": "pretrain", "arm": "byol", "seed": 0}) == "pretrain of byol, seed 0"
    assert stage_name({"stage": "corpus", "arm": None, "seed": None}) == "corpus"


def test_what_ran_side_by_side_is_counted_once():
    assert seconds_in_all([{"seconds": 60, "jobs": 2}, {"seconds": 60, "jobs": 2}, {"seconds": 5}, {}]) == 65.0
