"""Runs side by side: what is joined, what is refused, and that numbers are those of the predictions."""

import json
import re
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

from swath import cli
from swath.cli import app
from swath.errors import SwathError
from swath.products import leaderboard
from swath.products.leaderboard._efficiency import efficiency_of
from swath.products.leaderboard._join import opened
from swath.products.tables import load
from swath.tasks import schema, spread
from swath.tasks.statistics import StatisticsConfig, TaskRules, summarise

UNITS, GROUPS, TRAIN = 120, 15, 40
CLASSES = ["water", "forest", "crop"]
SKILL = {"s4": 0.8, "scratch": 0.3, "random encoder (frozen)": 0.35, "random forest": 0.7, "majority": 0.0}
ROLES = {"scratch": "scratch", "random encoder (frozen)": "random-twin", "random forest": "floor", "majority": "floor"}
TASKS = {"crops@10%": 0.1, "crops@100%": 1.0}
SHIFT = {"crops@10%": -0.25, "crops@100%": 0.0}


def truth(seed=7):
    rng = np.random.default_rng(seed)
    return rng.integers(0, len(CLASSES), UNITS), np.repeat(np.arange(GROUPS), UNITS // GROUPS)


def lines(task, row, replicate, seed, skill, y, group):
    rng = np.random.default_rng([seed, sum(map(ord, row + task))])
    guess = np.where(rng.random(len(y)) < skill, y, rng.integers(0, len(CLASSES), len(y)))
    role = ROLES.get(row, "reference" if row.startswith("network") else "pretrained")
    return pd.DataFrame(
        {
            "task": task,
            "input": "optical",
            "probe": "linear",
            "row": row,
            "role": role,
            "of_arm": "s4" if role in ("scratch", "random-twin") else row if role == "pretrained" else "",
            "seed": seed,
            "fold": 0,
            "replicate": replicate,
            "uid": [f"u{i}" for i in range(len(y))],
            "group": [f"g{g}" for g in group],
            "y_true": y,
            "y_pred": guess if row != "majority" else 0,
            "count": 1,
            "score": None,
        }
    )


def make(folder: Path, *, seeds=(0, 1, 2, 3), skill=None, corpus="one", tasks=TASKS):
    """An evaluated run."""
    skill = SKILL if skill is None else skill
    y, group = truth()
    parts = [
        lines(task, row, i, seed, max(0.0, share + SHIFT.get(task, 0.0)), y, group)
        for task in tasks
        for row, share in skill.items()
        for i, seed in enumerate(seeds[:1] if row == "majority" else seeds)
    ]
    predictions = pd.concat(parts, ignore_index=True)
    evaluate = folder / "evaluate"
    evaluate.mkdir(parents=True)
    schema.PREDICTIONS.write(evaluate, predictions.assign(value_true=np.nan, value_pred=np.nan))
    rules = {task: TaskRules(metrics=("accuracy",)) for task in tasks}
    found = summarise(predictions, StatisticsConfig(flips=99, tasks=rules))
    for table, frame in ((schema.TABLE, found.table), (schema.COMPARISONS, found.comparisons)):
        table.write(evaluate, frame)
    schema.CLAIMS.write(evaluate, found.claims)
    schema.TASKS.write(evaluate, schema.TASKS.frame([parts_of(task, share) for task, share in tasks.items()]))
    split = [("test", f"u{i}", f"g{group[i]}", y[i]) for i in range(UNITS)] + [
        ("train", f"t{i}", "t", 0) for i in range(TRAIN)
    ]
    frame = pd.DataFrame(split, columns=["split", "uid", "group", "y"])
    schema.SPLITS.write(evaluate, pd.concat([frame.assign(task=task, fold=0) for task in tasks]))
    (evaluate / "classes.json").write_text(json.dumps(dict.fromkeys(tasks, CLASSES)))
    shares = [share for task, share in tasks.items() if "@" in task]
    settings = {"target": {"rule": "scalar"}, "label_fractions": shares, "metric": "accuracy"}
    manifest = {"format": 1, "name": folder.name, "corpus": {"hash": corpus}, "stages": []}
    recipe = {"arms": dict.fromkeys(["s4"]), "tasks": {"crops": settings}, "seeds": list(seeds)}
    (folder / "manifest.json").write_text(json.dumps(manifest | {"recipe": recipe}))
    return folder


def parts_of(task, share):
    usual = {column.name: "" if str(column.type) == "string" else 0 for column in schema.TASKS.schema}
    own = {"task": task, "fraction": share, "classes": 3, "train_labels": int(400 * share), "label": "location"}
    return usual | own


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    here = tmp_path_factory.mktemp("runs")
    better = {"s4": 1.2, "s4-wide": 0.5, "majority": 0.0}
    return {
        "a": make(here / "a"),
        "b": make(here / "b", seeds=(10, 11, 12, 13)),
        "c": make(here / "c", seeds=(20, 21, 22, 23), skill=better, tasks={"crops@10%": 0.1}),
        "other": make(here / "other", corpus="two", tasks={"fields": 1.0}),
    }


@pytest.fixture(scope="module")
def board(folders):
    return leaderboard.compare([folders["a"], folders["b"], folders["c"]])


def right(folder, row, task="crops@10%"):
    """Share right by group and replicate, straight from the Parquet file."""
    frame = pd.read_parquet(folder / "evaluate" / "predictions.parquet")
    own = frame[(frame.row == row) & (frame.task == task)]
    hit = (own.y_true == own.y_pred).groupby([own.group, own.replicate], sort=False).mean()
    return hit.unstack().to_numpy()


def pair(board, a, run_a, b, run_b, task="crops@10%"):
    found = [
        one
        for part in board.parts
        for one in part.comparisons
        if (one.a, one.run_a, one.b, one.run_b, one.result.task) == (a, run_a, b, run_b, task)
    ]
    assert len(found) == 1
    return found[0].result


def test_values_are_those_of_the_predictions(board, folders):
    for line in board.lines:
        for run in line.run.split(", "):
            assert line.value == pytest.approx(right(folders[run], line.row, line.task).mean(), abs=1e-6)
    assert len(board.parts) == 1


def test_rows_of_other_runs_are_compared_by_the_two_way_jackknife(board, folders):
    result = pair(board, "s4", "a", "s4", "c")
    by_group = right(folders["a"], "s4") - right(folders["c"], "s4")
    value = by_group.mean(axis=0)
    without = (by_group.sum(axis=0) - by_group) / (GROUPS - 1)
    swapped = (value.sum() - value) / (len(value) - 1) - value
    expected = spread(value, without, swapped[None], np.zeros(GROUPS, int))
    assert result.difference == pytest.approx(value.mean())
    assert (result.low, result.high) == pytest.approx(expected.interval())
    assert result.p == pytest.approx(expected.p())
    assert (result.verdict, result.trainings, result.groups) == ("worse", 4, GROUPS)


def test_the_same_arm_with_other_seeds_is_not_distinguishable(board):
    for task in TASKS:
        result = pair(board, "s4", "a", "s4", "b", task)
        assert (result.verdict, result.p_holm > 0.05) == ("tie", True)
        assert result.low < 0 < result.high


def test_holm_is_over_all_pairs_of_different_runs(board):
    results = [one.result for part in board.parts for one in part.comparisons]
    # s4 with s4 of each run at 10 % (3 pairs), with s4-wide (2), at 100 % (1); c lacks the forest of a and b (2 + 2)
    assert len(results) == 10
    p = np.array([one.p for one in results])
    order = np.argsort(p)
    steps = np.maximum.accumulate(p[order] * np.arange(len(p), 0, -1)).clip(max=1)
    assert [results[i].p_holm for i in order] == pytest.approx(list(steps))
    roles = {role for one in results for role in (one.role_better, one.role_than)}
    assert roles == {"pretrained", "floor"}


def test_rows_that_are_the_same_in_all_runs_stand_there_once(board):
    majority = [line.run for line in board.lines if line.row == "majority" and line.task == "crops@10%"]
    assert majority == ["a, b, c"]
    assert sum(line.row == "s4" and line.task == "crops@10%" for line in board.lines) == 3


def test_claims_stand_as_in_their_run(board, folders):
    line = next(one for one in board.lines if (one.row, one.run, one.task) == ("s4", "a", "crops@100%"))
    claims = pd.read_csv(folders["a"] / "evaluate" / "claims.csv")
    own = claims[claims.task == "crops@100%"]
    for verdict, said in (("better", line.better_than), ("tie", line.not_distinguishable_from)):
        assert all(name in said for name in own.loc[own.verdict == verdict, "than"])
    assert "scratch" in line.better_than


def test_the_plain_answer(board):
    answers = {(one.run, one.where): one for one in board.parts[0].answers}
    answer = answers["a", "crops · optical · linear"]
    assert answer.short == "yes with 40 and 400 labels"
    assert [one.labels for one in answer.at] == [40, 400]
    said = " ".join(answer.at[1].sentences)
    assert "It is better than the same network trained from scratch" in said
    assert "after Holm's correction" in said
    assert answers["c", "crops · optical · linear"].short == "not decided with 40 labels"


def test_labels_saved_are_read_off_the_curves(board, folders):
    efficiency = next(one for one in board.parts[0].efficiency if one.run == "a")
    found = next(one for one in efficiency.saved if (one.than, one.labels) == ("random forest", 400))
    ends = [right(folders["a"], "s4", task).mean() for task in TASKS]
    aim = right(folders["a"], "random forest", "crops@100%").mean()
    needed = 40 * 10 ** ((aim - ends[0]) / (ends[1] - ends[0]))
    assert found.factor.value == pytest.approx(400 / needed, rel=0.01)
    assert found.factor.low < found.factor.value
    scratch = next(one for one in efficiency.saved if (one.than, one.labels) == ("scratch", 400))
    assert (scratch.factor.beyond, scratch.factor.value) == ("more", 10)  # the arm is ahead with 40 labels
    assert "more than 10 times" in leaderboard._page.render(board)


def test_shots_lie_on_the_same_curve_as_shares(board, folders, tmp_path):
    """The run a, had its 40 labels been 5 of each of 8 classes instead of a tenth."""
    shots = shutil.copytree(folders["a"], tmp_path / "a")
    for path in [*(shots / "evaluate").glob("*.csv"), shots / "manifest.json"]:
        path.write_text(path.read_text().replace("crops@10%", "crops@5-shot"))
    for table in (schema.PREDICTIONS, schema.SPLITS):
        lines = table.read(shots / "evaluate")
        table.write(shots / "evaluate", lines.assign(task=lines["task"].replace("crops@10%", "crops@5-shot")))
    parts = schema.TASKS.read(shots / "evaluate")
    shares, numbers = parts["fraction"].astype(float), parts["labels_per_class"].astype(float)
    parts["fraction"] = shares.where(shares == 1.0)
    parts["labels_per_class"] = numbers.where(shares == 1.0, 5).where(shares < 1.0)
    schema.TASKS.write(shots / "evaluate", parts)
    manifest = json.loads((shots / "manifest.json").read_text())
    manifest["recipe"]["tasks"]["crops"] |= {"label_fractions": [1.0], "labels_per_class": [5]}
    (shots / "manifest.json").write_text(json.dumps(manifest))
    (found,) = efficiency_of(opened([shots])[0])
    assert [panel.task for panel in found.family.panels] == ["crops@5-shot", "crops@100%"]
    assert found.title == "crops · optical · linear"
    before = next(one for one in board.parts[0].efficiency if one.run == "a")
    assert (found.saved, found.crossings) == (before.saved, before.crossings)


def test_runs_on_other_data_sets_are_not_compared(folders, tmp_path):
    board = leaderboard.compare([folders["a"], folders["other"]])
    assert [part.data_set.name for part in board.parts] == ["a", "other"]
    assert "No two runs share a data set, so no rows of different runs are compared." in leaderboard.summary(board)
    assert "ranks over 2 data sets say nothing" in board.unranked
    alone = leaderboard.compare([folders["a"]])
    assert leaderboard.summary(alone)[0] == "1 run on 1 data set."
    assert alone.parts[0].answers


def test_other_corpora_with_the_same_test_are_one_data_set_and_what_differs_is_said(folders, tmp_path):
    grown = make(tmp_path / "grown", seeds=(30, 31, 32), corpus="grown", tasks={"crops@10%": 0.1})
    manifest = json.loads((grown / "manifest.json").read_text())
    manifest["recipe"]["tasks"]["crops"]["dates"] = "all"
    (grown / "manifest.json").write_text(json.dumps(manifest))
    (part,) = leaderboard.compare([folders["c"], grown]).parts
    assert part.remarks == (
        "the corpora of c and grown differ, and the test units and their classes are the same",
        "c and grown set dates of task crops@10% differently",
    )
    assert {(one.a, one.run_b) for one in part.comparisons} >= {("s4", "grown"), ("s4-wide", "grown")}


@pytest.mark.slow  # six runs, and a page
def test_five_data_sets_are_ranked(tmp_path):
    runs = [make(tmp_path / f"r{i}", seeds=(i, i + 50), corpus=str(i), tasks={f"t{i}": 1.0}) for i in range(5)]
    board = leaderboard.compare(runs)
    assert board.ranking is not None
    values = pd.DataFrame(
        [{row: right(run, row, f"t{i}").mean() for row in SKILL if row != "majority"} for i, run in enumerate(runs)]
    )
    expected = values.rank(axis=1, ascending=False).mean().sort_values()
    assert list(board.ranking.average) == pytest.approx(list(expected))
    assert board.ranking.rows[0] == "s4"
    page = leaderboard._page.render(board)
    assert "critical difference 2.10" in page
    assert "Friedman" in page


def refusal(*runs):
    with pytest.raises(SwathError) as caught:
        leaderboard.compare(list(runs))
    return caught.value


def test_runs_that_cannot_be_joined_are_refused(folders, tmp_path):
    other = shutil.copytree(folders["c"], tmp_path / "x") / "evaluate"
    manifest = json.loads((other.parent / "manifest.json").read_text()) | {"name": "x"}
    (other.parent / "manifest.json").write_text(json.dumps(manifest))
    splits = pd.read_parquet(other / "splits.parquet")

    def refused(**changed):
        splits.assign(**changed).to_parquet(other / "splits.parquet")
        return refusal(folders["c"], other.parent).what

    last = splits.uid.isin([f"u{i}" for i in range(UNITS - 20, UNITS)])
    fewer = refused(uid=splits.uid.where(~last, "new-" + splits.uid))
    assert "c and x test other units of task crops@10%" in fewer
    assert "100 are common, 20 are in c alone (u100, u101, u102, ...), 20 are in x alone (new-u100, " in fewer
    assert "1 have another group or label (u3)" in refused(y=splits.y + (splits.uid == "u3"))
    assert "learn from other locations of task crops@10%" in refused(uid=splits.uid.replace("t0", "t99"))
    table = (other / "table.csv").read_text()
    (other / "table.csv").write_text(table.replace("accuracy", "macro_f1"))
    assert "c ranks the rows of task crops@10% by accuracy, and x by macro_f1" in refused()
    parts = (other / "tasks.csv").read_text()
    (other / "tasks.csv").write_text(parts.replace(",40,", ",200,"))
    assert "other numbers of labels in task crops@10%: 40.0 and 200.0" in refused()
    (other / "classes.json").write_text(json.dumps({"crops@10%": ["sea", *CLASSES[1:]]}))
    assert "tell other classes apart in task crops@10%: water, forest and crop; and sea, forest and crop" in refused()


def test_runs_that_are_not_there_whole_are_refused(folders, tmp_path):
    assert refusal().what == "no run is given"
    assert refusal(folders["a"], folders["a"]).what == "the run is given twice"
    unfinished = tmp_path / "unfinished"
    unfinished.mkdir()
    stages = [{"stage": "pretrain", "arm": "s4", "seed": 2, "status": "failed"}]
    (unfinished / "manifest.json").write_text(json.dumps({"format": 1, "name": "unfinished", "stages": stages}))
    error = refusal(folders["a"], unfinished)
    assert "the run is not evaluated: Failed: pretrain of s4, seed 2" in error.what
    assert "continues where it stopped" in error.remedy
    about = {"format": 1, "stages": [], "recipe": {"arms": {"s4": {}}}}
    (unfinished / "manifest.json").write_text(json.dumps(about))
    (unfinished / "recipe.yaml").touch()
    error = refusal(unfinished)
    assert error.what == "the run is not evaluated: nothing was judged yet"
    assert error.remedy.endswith(f"`swath run {unfinished}/recipe.yaml --out {unfinished}`")
    (unfinished / "evaluate").mkdir()
    assert refusal(unfinished).what == "the run is not evaluated: its evaluation has not ended"


def test_what_is_no_folder_of_a_run_is_called_what_it_is(folders, tmp_path):
    document, page = tmp_path / "results.md", tmp_path / "page.html"
    document.touch(), page.touch()
    error = refusal(folders["a"], document)
    assert (error.what, f"swath compare --to {document} --check" in error.remedy) == ("a document is no run", True)
    error = refusal(page)
    assert error.what == "no run here: it is a page, and no folder of a run"
    assert "such as runs/quickstart" in error.remedy
    report = folders["a"] / "report.html"
    report.touch()
    assert refusal(report).remedy == f"give its run: {folders['a']}"
    report.unlink()
    (tmp_path / "empty").mkdir()
    assert refusal(tmp_path / "empty").what == "no run here: there is no manifest.json, nor anything else"
    assert refusal(tmp_path / "away").what == "no run here: there is no such folder"
    error = refusal(folders["a"].parent)
    assert "but there are some in folders of it" in error.what
    assert error.remedy.startswith(f"give {folders['a']}, ")
    assert all(len(str(one).splitlines()) == 3 for one in (error, refusal(page), refusal(document)))


def test_a_run_without_seeds_gets_no_verdict(folders, tmp_path):
    single = make(tmp_path / "single", seeds=(5,), tasks={"crops@10%": 0.1})
    manifest = json.loads((single / "manifest.json").read_text())
    del manifest["recipe"]["seeds"]
    (single / "manifest.json").write_text(json.dumps(manifest))
    result = pair(leaderboard.compare([folders["a"], single]), "s4", "a", "s4", "single")
    assert (result.verdict, np.isnan(result.p_holm)) == ("untested", True)
    assert result.note.startswith("no verdict: one training of s4 of single, whose luck is not known")
    assert load(single).recipe.get("seeds") is None


def test_what_is_written(board, tmp_path):
    table = leaderboard.table_of(board)
    leaderboard.write(board, tmp_path / "t.csv")
    leaderboard.write(board, tmp_path / "t.parquet")
    pd.testing.assert_frame_equal(pd.read_parquet(tmp_path / "t.parquet"), table)
    read = pd.read_csv(tmp_path / "t.csv", keep_default_na=False)
    assert list(read.value) == pytest.approx(list(table.value))
    document = leaderboard.write(board, tmp_path / "board.md")
    whole = document.read_text()
    assert whole.startswith("# Leaderboard\n")
    assert leaderboard.write(board, document).read_text() == whole
    document.write_text(f"Before.\n{whole}After.\n")
    assert leaderboard.write(board, document).read_text() == f"Before.\n{whole}After.\n"
    document.write_text("Something else.\n")
    with pytest.raises(SwathError, match="no place for a leaderboard"):
        leaderboard.write(board, document)
    assert document.read_text() == "Something else.\n"
    with pytest.raises(SwathError, match=r"a leaderboard is no \.xlsx"):
        leaderboard.write(board, tmp_path / "t.xlsx")


def test_a_document_says_whether_it_is_what_was_written(board, folders, tmp_path, monkeypatch, capsys):
    document = leaderboard.write(board, tmp_path / "board.md")
    whole = document.read_text()
    monkeypatch.setattr(leaderboard, "compare", lambda _: board)

    def said_by(*arguments):
        monkeypatch.setattr("sys.argv", ["swath", "compare", *map(str, arguments)])
        with pytest.raises(SystemExit) as stop:
            cli.main()
        return int(stop.value.code or 0), capsys.readouterr().err.replace("\n", " ")

    def checked(*arguments):
        return said_by(*arguments, "--check")

    assert checked("--to", document) == checked(folders["a"], "--to", document) == (0, "")
    document.write_text(f"Prose before.\n{whole}Prose after.\n")
    assert checked(folders["a"], "--to", document) == (0, "")
    number = re.search(r"\d\d\.\d %", whole.replace("\xa0", " "))[0].replace(" ", "\xa0")
    document.write_text(whole.replace(number, "99.9\xa0%", 1))
    code, said = checked("--to", document)
    assert code == 1
    assert "was changed by hand" in said
    assert f"{document}: " in said
    # written anew all is well, and what other runs say is found
    leaderboard.write(board, document)
    fewer = replace(board, parts=(replace(board.parts[0], answers=()),))
    monkeypatch.setattr(leaderboard, "compare", lambda _: fewer)
    assert checked("--to", document) == (0, "")
    code, said = checked(folders["a"], "--to", document)
    assert (code, "the runs say something else now" in said) == (1, True)
    document.write_text(re.sub(r" sha256=\w+", "", whole))
    assert "written by an earlier swath" in checked("--to", document)[1]
    leaderboard.write(board, document)
    assert document.read_text() == whole
    document.write_text("Something else.\n")
    assert "it has no place for a leaderboard" in checked("--to", document)[1]
    for arguments, problem in ((("--to", tmp_path / "no.md"), "cannot read"), (("--to", "a.csv"), "only a Markdown")):
        code, said = checked(*arguments)
        assert (code, problem in said) == (2, True)
    assert "--check is about a document" in checked()[1]
    code, said = said_by()
    assert (code, "no run is given" in said) == (2, True)


def test_the_leaderboard_of_this_repository_is_what_was_written():
    assert leaderboard.verify(Path(__file__).parents[3] / "docs" / "leaderboard.md") is None


@pytest.mark.slow  # 200 rows
def test_the_page_needs_no_network_and_escapes_names(folders, tmp_path):
    skill = {"<script>alert(1)</script>": 0.7, **{f"network {i}": 0.3 + i / 400 for i in range(199)}}
    many = make(tmp_path / "many", seeds=(1, 2), skill=skill, tasks={"crops@10%": 0.1})
    page = leaderboard.write(leaderboard.compare([many]), tmp_path / "page.html").read_text()
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page
    assert page.count("<script") == 1  # our own
    assert not re.search(r"""(src|href)="(?!#)""", page)
    assert page.count('<th scope="row"><i class="key') == 200
    assert len(page) < 1_000_000


def test_the_command(board, folders, tmp_path, monkeypatch):
    monkeypatch.setattr(leaderboard, "compare", lambda runs: board if runs == [folders["a"], folders["b"]] else None)
    done = CliRunner().invoke(app, ["compare", str(folders["a"]), str(folders["b"]), "--to", str(tmp_path / "t.csv")])
    assert (done.exit_code, (tmp_path / "t.csv").is_file()) == (0, True)
    shown = CliRunner().invoke(app, ["compare", str(folders["a"]), str(folders["b"])])
    assert "Does pre-training help? a, crops · optical · linear: yes with 40 and 400 labels" in shown.output
    assert "s4 of a is not distinguishable from s4 of b" in shown.output
