"""No figure in a document can drift from the run that it came from without being noticed."""

import json
import re
import shutil

import pandas as pd
import pytest

from swath import cli
from swath.errors import SwathError
from swath.products import documents
from swath.products.documents import escape, stale, verify, write
from swath.products.documents._record import numbers_of
from swath.tasks import schema
from tests.products.conftest import write_lines


@pytest.fixture(scope="module")
def written(finished_run, tmp_path_factory):
    """Read only; use `document` for one to change."""
    target = tmp_path_factory.mktemp("written") / "docs" / "results.md"
    target.parent.mkdir()
    target.write_text("# Results\n\nWhat a human says before.\n")
    write([finished_run], target)
    return target


@pytest.fixture
def document(written, tmp_path):
    return shutil.copytree(written.parent, tmp_path / "docs") / written.name


def test_block_holds_every_figure_of_the_table(document, finished_run):
    text = document.read_text()
    table = pd.read_csv(finished_run / "evaluate" / "table.csv").dropna(subset=["value"])
    shown = table[~table["input"].str.contains("/") | (table["metric"] == "accuracy")]
    for row in shown.itertuples():
        assert f"{100 * row.value:.1f}\xa0% ({100 * row.low:.1f}–{100 * row.high:.1f})" in text
    assert "no ImageNet weights are given" in text
    assert "0123456789abcdef" in text


def test_what_somebody_writes_while_numbers_are_made_stays(document, finished_run, monkeypatch):
    def slow(run):
        document.write_text(document.read_text().replace("a human says", "a human says meanwhile"))
        return numbers_of(run)

    monkeypatch.setattr(documents, "numbers_of", slow)
    write([finished_run], document)
    assert "What a human says meanwhile before." in document.read_text()
    assert verify(document) == []


def test_block_is_built_around_the_claims(document, finished_run):
    text = document.read_text().replace("\xa0", " ")
    claims = pd.read_csv(finished_run / "evaluate" / "claims.csv")
    assert "None of 9 claims is decided." in text
    block = text[text.index("**Claims**") : text.index("**land-cover · all bands · linear probe**")]
    for line in claims.itertuples():
        cells = [line.better, line.than, f"{line.task} · {line.input} · {line.probe}", "not distinguishable"]
        assert f"| {' | '.join(cells)} | " in block
        assert f"| {100 * line.difference:+.1f} points | ".replace("-", "−") in block
        assert f" | {line.p:.3f} | {line.p_holm:.3f} | {100 * line.detectable:.1f} points | " in block
        assert " | 40 groups, 3 trainings |\n" in block
        place = f"{line.task} · {line.input} · {line.probe}"
        assert f"\n- {line.better} than {line.than}, {place}: {line.advice}\n" in block, "below the table"
    exploratory = text[text.index("encoders against each other, exploratory, without a verdict") :]
    assert "distinguishable" not in exploratory
    assert "| byol | simclr | groups | +1.1 |" in exploratory


def test_what_is_decided_or_has_no_verdict_is_said(run, tmp_path):
    claims = schema.CLAIMS.read(run / "evaluate")
    claims.loc[0, "verdict"] = "better"
    claims.loc[1, ["verdict", "note"]] = "untested", "no verdict: 6 groups"
    schema.CLAIMS.write(run / "evaluate", claims)
    text = write([run], tmp_path / "results.md").read_text().replace("\xa0", " ")
    assert "1 of 9 claims is decided, and 1 has no verdict. byol is better than random encoder (frozen) on" in text
    assert "- byol than scratch, land-cover · all bands · linear: no verdict: 6 groups" in text
    schema.CLAIMS.write(run / "evaluate", claims.iloc[:0])
    text = write([run], tmp_path / "results.md").read_text()
    assert "Nothing was claimed, so nothing here has a verdict." in text


def test_labels_and_trainings_of_each_fold_are_said(run, tmp_path):
    lines = [
        {"task": "land-cover", "fold": fold, "train_labels": 40 + fold, "val_labels": 10, "test": 60, "label": "pixel"}
        for fold in (0, 1)
    ]
    write_lines(run / "evaluate", schema.TASKS, *lines)
    text = write([run], tmp_path / "results.md").read_text()
    assert "| land-cover | 40 pixels | 10 pixels | 120 | 40 | 3 trainings in each of 2 folds |" in text
    assert "each with 3 trainings in each of 2 folds) were judged" in text
    assert "Values are means over the trainings (3 trainings in each of 2 folds at most)" in text
    assert "seeds)" not in text


def test_tables_are_whole(document):
    for table in re.findall(r"(?:^\|.*\|\n)+", document.read_text(), flags=re.MULTILINE):
        assert len({len(re.findall(r"(?<!\\)\|", line)) for line in table.splitlines()}) == 1


def test_prose_is_left_alone_and_writing_again_changes_nothing(document, finished_run):
    document.write_text(document.read_text() + "\nWhat a human says after.\n")
    before = document.read_text()
    write([finished_run], document)
    assert document.read_text() == before
    assert before.startswith("# Results\n\nWhat a human says before.\n")
    assert before.count("<!-- swath:results fields -->") == 1


def test_untouched_document_verifies_without_the_run(document, finished_run):
    assert verify(document) == []
    assert stale(document, [finished_run]) == []


@pytest.mark.parametrize("change", [r"(\d)\.(\d)\xa0%", r"not distinguishable", r"byol"])
def test_any_change_in_a_block_is_found(document, change):
    text = document.read_text()
    found = list(re.finditer(change, text))[-1]
    document.write_text(text[: found.start()] + "9" + text[found.end() :])
    assert [p for p in verify(document) if "block fields is not what fields.json holds" in p]


def test_a_change_in_the_stored_figures_is_found(document):
    store = document.parent / "results" / "fields.json"
    content = json.loads(store.read_text())
    column = content["table"][0].index("value")
    content["table"][1][column] += 0.01
    store.write_text(json.dumps(content))
    assert len(verify(document)) == 1


def test_blocks_and_stored_figures_belong_together(document):
    store = document.parent / "results" / "fields.json"
    (store.parent / "other.json").write_text(store.read_text())
    assert "has no block other" in verify(document)[0]
    store.unlink()
    (store.parent / "other.json").unlink()
    assert "block fields has no" in verify(document)[0]


def test_an_open_or_repeated_block_is_found(document):
    text = document.read_text()
    document.write_text(text.replace("<!-- /swath:results -->", ""))
    assert any("does not end" in problem for problem in verify(document))


def test_damaged_or_newer_stored_figures_are_named(document):
    store = document.parent / "results" / "fields.json"
    store.write_text("{")
    assert "cannot be read" in verify(document)[0]
    store.write_text('{"format": 99}')
    assert "newer swath" in verify(document)[0]
    store.write_text('{"format": 1}')
    assert "earlier swath; give the run's folder to `swath report --into" in verify(document)[0]


def test_sensors_of_the_run_s_own_are_kept_and_made_known(run, tmp_path, monkeypatch):
    band = {"name": "red", "centre_um": 0.65, "unit": "reflectance", "gsd_m": 1.0}
    own = {"my-drone": {"bands": [band], "kind": "optical"}}
    manifest = json.loads((run / "manifest.json").read_text())
    manifest["corpus"]["definitions"] = own
    (run / "manifest.json").write_text(json.dumps(manifest))
    declared = []
    monkeypatch.setattr("swath.products.tables.run.declare", lambda definitions, where: None)
    monkeypatch.setattr(
        "swath.products.documents._record.declare", lambda definitions, where: declared.append(definitions)
    )
    target = write([run], tmp_path / "results.md")
    assert declared == [own]
    assert verify(target) == []
    assert declared == [own, own]


def test_a_document_that_is_not_there_says_nothing_wrong(tmp_path):
    assert verify(tmp_path / "results.md") == []


def test_a_run_that_has_changed_is_stale(document, run):
    path = run / "evaluate" / "table.csv"
    table = pd.read_csv(path)
    table.loc[0, "value"] += 0.01
    table.to_csv(path, index=False)
    assert stale(document, [run]) == ["fields"]
    assert stale(document.with_name("other.md"), [run]) == ["fields"]


def test_figures_are_small_and_their_absence_is_noticed(finished_run, tmp_path):
    target = tmp_path / "docs" / "results.md"
    target.parent.mkdir()
    write([finished_run], target, images=target.parent / "images")
    image = target.parent / "images" / "results-fields.png"
    assert image.stat().st_size < 100_000
    assert "](images/results-fields.png)" in target.read_text()
    assert verify(target) == []
    assert stale(target, [finished_run]) == []
    image.unlink()
    assert "which is not there" in verify(target)[0]


def test_stored_figures_name_no_place_of_the_machine(document, finished_run):
    assert str(finished_run.parent) not in (document.parent / "results" / "fields.json").read_text()


def test_a_run_that_is_not_evaluated_is_refused(run, tmp_path):
    (run / "evaluate" / "table.csv").unlink()
    with pytest.raises(SwathError, match="not evaluated"):
        write([run], tmp_path / "results.md")
    assert not (tmp_path / "results.md").exists()


def test_a_name_that_leaves_the_folder_is_refused(run, tmp_path):
    manifest = json.loads((run / "manifest.json").read_text())
    (run / "manifest.json").write_text(json.dumps(manifest | {"name": "../../evil"}))
    with pytest.raises(SwathError, match="cannot name a file"):
        write([run], tmp_path / "results.md")


def test_markdown_is_escaped():
    assert escape("a|b <i> *x* `y` [z] & \\") == r"a\|b &lt;i&gt; \*x\* \`y\` \[z\] &amp; \\"


@pytest.fixture
def command(monkeypatch, capsys):
    """Run `swath report ...` in this process; gives the exit code and what it said of problems."""

    def call(*arguments: object) -> tuple[int, str]:
        monkeypatch.setattr("sys.argv", ["swath", "report", *map(str, arguments)])
        with pytest.raises(SystemExit) as stop:
            cli.main()
        return int(stop.value.code or 0), capsys.readouterr().err

    return call


def test_command_line(document, finished_run, tmp_path, command):
    assert command("--into", document, "--check") == (0, "")
    assert command(finished_run, "--into", document, "--check") == (0, "")
    document.write_text(document.read_text().replace("were judged on", "were tested on"))
    code, said = command("--into", document, "--check")
    assert (code, "is not what" in said) == (1, True)
    assert command(finished_run, "--into", document)[0] == 0
    assert verify(document) == []
    code, said = command(tmp_path, "--into", document)
    assert (code, "no run here" in said) == (2, True)


def test_a_run_that_has_changed_is_named(document, run, command):
    path = run / "evaluate" / "table.csv"
    path.write_text(path.read_text().replace("imagenet", "ImageNet"))
    code, said = command(run, "--into", document, "--check")
    assert (code, "fields: the run says something else" in said) == (1, True)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "no run is given"),
        (["--into", "results.md"], "no run is given"),
        (["runs/mine", "--images", "images"], "a run's own page takes no --images"),
        (["--check"], "a run's own page takes no --check"),
    ],
)
def test_options_that_say_too_little_are_refused(arguments, said, command):
    code, message = command(*arguments)
    assert (code, said in message) == (2, True)


def test_of_a_sweep_the_effects_are_told_and_not_every_arm_against_all(swept, tmp_path):
    target = write([swept], tmp_path / "results.md", tmp_path / "images")
    text = target.read_text().replace("\xa0", " ")
    assert "3 combinations of method and crops were trained. The best one has not been trained again yet." in text
    assert "The trainings did not see equally much: 4,000 to 5,000 locations each." in text
    assert "| method | byol | 80.0 % | +2.1 | −1.0 to +5.0 | 0.200 | 1 |" in text
    assert "| crops | &lt;b&gt;mild | 80.0 % | +0.3 |" in text
    assert "|  | &lt;b&gt;mild |\n| --- | ---: |\n| byol | 80.0 % |" in text
    assert "Intervals are not to be relied on: 9 groups and 2 trainings are too few." in text
    assert "encoders against each other" not in text
    table = schema.TABLE.read(swept / "evaluate")
    best = table.loc[table["role"] == "pretrained"].iloc[0]
    panel = (table[["task", "input", "probe", "metric"]] == best[["task", "input", "probe", "metric"]]).all(axis=1)
    for line in table.loc[panel & table["value"].notna()].itertuples():
        assert f"| {escape(line.row)} |" in text
        assert f" {100 * line.value:.1f} % | {100 * line.low:.1f}–{100 * line.high:.1f} |" in text
    assert verify(target) == []
    assert stale(target, [swept]) == []


def test_the_value_of_fresh_trainings_stands_beside_that_of_the_choice(swept, tmp_path):
    best = schema.TABLE.read(swept / "evaluate", role="pretrained").iloc[0]
    shutil.copytree(swept / "evaluate", swept / "confirm" / "evaluate")
    shutil.copy(swept / "manifest.json", swept / "confirm")
    lines = pd.DataFrame([best.to_dict() | {"value": 0.512, "low": 0.4, "high": 0.6, "per_seed": (0.5, 0.52)}])
    schema.TABLE.write(swept / "confirm" / "evaluate", lines)
    target = write([swept], tmp_path / "results.md")
    said = "trained again with 2 fresh seeds and judged on the same places it has 51.2 % (40.0–60.0)."
    assert said in target.read_text().replace("\xa0", " ")
    assert verify(target) == []
