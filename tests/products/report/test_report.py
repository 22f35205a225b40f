"""The report is whole, self-contained and says what the files say, whatever state the run is in."""

import base64
import hashlib
import json
import re
import shutil
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn import metrics as sk

from swath.errors import SwathError
from swath.products import words
from swath.products.documents import stale, verify, write
from swath.products.report import _verdicts, all_sections, render, report
from swath.products.tables import load, panels_of
from swath.tasks import schema, unpacked
from tests.products.conftest import write_lines

VOID = {"meta", "img", "br", "link", "input", "hr"}


class Page(HTMLParser):
    """A strict reader: tags must close in order, and everything is written down."""

    def __init__(self, text: str):
        super().__init__()
        self.open, self.text, self.tags = [], "", []
        self.feed(text)
        self.close()
        assert self.open == [], f"not closed: {self.open}"

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self.open[-1:] == [tag], f"</{tag}> closes {self.open[-3:]}"
        self.open.pop()

    def handle_data(self, data):
        if self.open[-1:] not in (["style"], ["title"], ["script"]):
            self.text += data

    def all(self, *names):
        return [attrs for tag, attrs in self.tags if tag in names]


@pytest.fixture(scope="session")
def html(finished_run, tmp_path_factory) -> str:
    return render(load(finished_run))


@pytest.fixture(scope="session")
def page(html) -> Page:
    return Page(html)


def page_of(run: Path, *only: str) -> Page:
    """The page, or some of its sections: most of a test's time goes into drawing what it does not look at."""
    with pytest.MonkeyPatch.context() as patch:
        if only:
            patch.setattr(
                "swath.products.report.all_sections",
                lambda problems: {name: all_sections(problems)[name] for name in only},
            )
        return Page(report(run).read_text(encoding="utf-8"))


def test_is_self_contained(html, page):
    assert "http:" not in html
    assert "https:" not in html
    assert not page.all("link", "iframe", "object", "embed")
    # one script, our own, and the page forbids any other
    assert page.all("script") == [{}]
    script = html.partition("<script>")[2].partition("</script>")[0]
    hashed = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert f"script-src 'sha256-{hashed}';" in html
    assert "default-src 'none'" in html
    for attrs in (attrs for _, attrs in page.tags):
        for name in ("src", "href", "xlink:href"):
            assert attrs.get(name, "#").startswith(
                ("#", "data:image/png;base64,", "data:text/csv;base64,", "data:application/json;base64,")
            )
    assert not re.search(r"@import|url\((?!#)", html)


def test_is_small_and_the_same_every_time(html, finished_run):
    assert len(html.encode()) < 1_000_000
    assert render(load(finished_run)) == html


def test_every_figure_has_its_data(html):
    drawings = re.findall(r'<figure><svg class="plot".*?</figure>', html, re.DOTALL)
    assert len(drawings) == html.count('<svg class="plot"') > 10
    for drawing in drawings:
        name = re.search(r'data-name="([^"]*)"', drawing)[1]
        assert f'download="{name}.csv" href="data:text/csv' in drawing


def test_of_very_many_comparisons_the_claims_and_the_smallest_p_are_shown(finished_run, monkeypatch):
    panel = panels_of(load(finished_run))[0]
    claimed = [(pair.a, pair.b) for pair in panel.pairs if np.isfinite(pair.p_holm)]
    rest = sorted((pair.p, pair.a, pair.b) for pair in panel.pairs if not np.isfinite(pair.p_holm))
    assert claimed
    assert len(rest) > 3
    monkeypatch.setattr(_verdicts, "MOST_PAIRS", len(claimed) + 2)
    table = _verdicts.pair_table(panel)
    wanted = [*claimed, *((a, b) for _, a, b in rest[:2])]
    assert sorted((pair["a"], pair["b"]) for pair in table.pairs) == sorted(wanted)
    assert table.left_out == len(rest) - 2


def test_references_inside_the_page_resolve(html, page):
    ids = [attrs["id"] for _, attrs in page.tags if "id" in attrs]
    assert len(ids) == len(set(ids))
    wanted = {attrs["href"][1:] for _, attrs in page.tags if attrs.get("href", "").startswith("#")}
    wanted |= set(re.findall(r"url\(#([^)]+)\)", html))
    wanted |= {attrs["aria-labelledby"] for _, attrs in page.tags if "aria-labelledby" in attrs}
    assert wanted <= set(ids)


def test_can_be_read_on_a_phone_and_by_a_screen_reader(page):
    assert any(attrs.get("name") == "viewport" for attrs in page.all("meta"))
    assert [tag for tag, _ in page.tags if tag in {"h1", "h2"}] == ["h1"] + ["h2"] * 12
    assert all(attrs.get("alt") for attrs in page.all("img"))
    pictures = page.all("svg")
    assert len(pictures) > 15
    assert all(attrs.get("aria-label") or attrs.get("aria-hidden") == "true" for attrs in pictures)
    assert all(attrs.get("scope") for attrs in page.all("th"))


def test_every_figure_of_the_tables_is_there(finished_run, page):
    table = pd.read_csv(finished_run / "evaluate" / "table.csv").dropna(subset=["value"])
    band_wise = table["input"].str.contains("/") & (table["metric"] != "accuracy")
    for row in table[~band_wise].itertuples():
        assert f"{100 * row.value:.1f}\xa0%" in page.text
        assert f"{100 * row.low:.1f}–{100 * row.high:.1f}" in page.text
    comparisons = pd.read_csv(finished_run / "evaluate" / "comparisons.csv")
    whole = comparisons[~comparisons["input"].str.contains("/")]
    assert len(whole) > 30
    for row in whole.itertuples():
        assert words.points(row.difference) in page.text
        p = row.p_holm if np.isfinite(row.p_holm) else row.p
        assert ("< 0.001" if p < 0.001 else f"{p:.3f}").replace("< ", "<\xa0") in page.text


def test_claims_stand_with_what_came_of_them_and_what_could_have_been_seen(finished_run, page):
    claims = pd.read_csv(finished_run / "evaluate" / "claims.csv")
    assert len(claims)
    assert "What was claimed" in page.text
    # the headline tells of the claims before it tells of the best encoder
    assert page.text.index("None of 9 claims is decided.") < page.text.index("came first with")
    for row in claims.itertuples():
        assert f"{row.task} · {row.input} · {row.probe}" in page.text
        assert words.size("accuracy", row.detectable) in page.text
        assert row.advice in page.text


def test_says_what_was_left_out_and_on_what_it_ran(page):
    assert "no ImageNet weights are given" in page.text
    for said in ("some CPU", "0123456789abcdef", "2026-03-01", "torch 2.8.0", "17\xa0min 57\xa0s", "0.1.0"):
        assert said in page.text


def test_data_card_agrees_with_the_corpus(page):
    for said in ("240 in 80 groups", "960 of 24", "train 96, val 24, test 120", "B02, B03, B04, B08"):
        assert said in page.text
    assert "share no group" in page.text
    assert "km apart" in page.text


def test_confusion_matrix_counts_every_prediction(finished_run, page):
    predictions = pd.read_parquet(finished_run / "evaluate" / "predictions.parquet")
    table = pd.read_csv(finished_run / "evaluate" / "table.csv")
    cell = table[(table["probe"] == "linear") & (table["metric"] == "accuracy") & (table["role"] == "pretrained")]
    best = cell.sort_values("value")["row"].iloc[-1]
    rows = predictions[(predictions["probe"] == "linear") & (predictions["row"] == best)]
    found = pd.crosstab(rows["y_true"], rows["y_pred"])
    for true in found.index:
        for said in found.columns:
            share = 100 * found.loc[true, said] / found.loc[true].sum()
            assert f"{share:.0f}{found.loc[true, said]}" in page.text


def test_names_from_files_are_escaped(run):
    evil = "<script>alert('$x_1$')</script>"
    for name in ("table.csv", "comparisons.csv"):
        path = run / "evaluate" / name
        path.write_text(path.read_text().replace("moco-v2", evil))
    predictions = pd.read_parquet(run / "evaluate" / "predictions.parquet")
    predictions["row"] = predictions["row"].replace("moco-v2", evil)
    predictions.to_parquet(run / "evaluate" / "predictions.parquet")
    (run / "evaluate" / "classes.json").write_text(json.dumps({"land-cover": [evil] * 5}))
    edit_manifest(run, lambda m: m["recipe"].update(description=evil, arms={"byol": None, "simclr": None, evil: None}))
    text = report(run).read_text(encoding="utf-8")
    assert text.count("<script") == 1
    assert text.count("&lt;script&gt;") > 20
    Page(text)


def edit_manifest(run: Path, change) -> None:
    path = run / "manifest.json"
    manifest = json.loads(path.read_text())
    change(manifest)
    path.write_text(json.dumps(manifest))


def test_a_run_that_has_just_begun(run):
    for part in ("corpus", "pretrain", "evaluate"):
        shutil.rmtree(run / part)
    edit_manifest(run, lambda m: m.update(stages=[], machine={}, packages={}))
    text = page_of(run).text
    for said in (
        "Nothing was pre-trained or evaluated",
        "Nothing has been evaluated yet",
        "No stage has been executed",
    ):
        assert said in text


def test_a_run_that_is_pretrained_only(run):
    shutil.rmtree(run / "evaluate")
    text = page_of(run).text
    assert "byol, simclr and moco-v2 were pre-trained but not evaluated yet" in text
    assert "Effective rank" in text
    assert "240 in 80 groups" in text


def test_a_run_without_its_corpus_and_predictions(run):
    shutil.rmtree(run / "corpus")
    (run / "evaluate" / "predictions.parquet").unlink()
    text = page_of(run, "result", "mistakes", "data").text
    assert "The corpus is not where the manifest says" in text
    assert "There are no predictions to look at yet" in text
    assert "came first" in text


def test_a_run_that_has_a_recipe_and_nothing_else(run):
    """As the failure of its corpus leaves it, with a recipe that may have no description or be damaged."""
    shutil.rmtree(run / "corpus")
    shutil.rmtree(run / "pretrain")
    shutil.rmtree(run / "evaluate")
    manifest = json.loads((run / "manifest.json").read_text())
    del manifest["recipe"]
    (run / "manifest.json").write_text(json.dumps(manifest))
    assert "Do the features of three methods" in report(run).read_text()
    for text in ("name: x\n", "a: [", "just text"):
        (run / "recipe.yaml").write_text(text)
        assert ("recipe.yaml cannot be read" in report(run).read_text()) == (text[0] != "n")


def test_what_must_be_known_of_a_task_stands_below_its_table(run):
    note = "the test part is a single <group>"
    write_lines(run / "evaluate", schema.TASKS, {"task": "land-cover", "label": "location", "note": note})
    assert f"Before you believe the intervals: {note}." in page_of(run, "comparison").text


def test_a_failed_stage_is_named_with_its_reason(run):
    failed = {"stage": "pretrain", "arm": "simclr", "seed": 1, "seconds": 3.0, "status": "failed"}
    edit_manifest(run, lambda m: m["stages"].append({**failed, "figures": {"error": "loss is not finite at step 12"}}))
    text = page_of(run, "result", "notes").text
    assert "Failed: pretrain of simclr, seed 1; see the notes." in text
    assert "loss is not finite at step 12" in text


def test_broken_files_become_notes(run):
    (run / "evaluate" / "table.csv").write_text("task,input\nland-cover,all bands\n")
    (run / "pretrain" / "byol" / "seed-0" / "log.csv").write_text("")
    text = page_of(run, "result", "pretraining", "notes").text
    assert "evaluate/table.csv cannot be read" in text
    assert "seed-0/log.csv cannot be read" in text
    assert "nothing can be said about the worth" in text
    assert "Files of the run cannot be read; see the notes." in text


@pytest.mark.parametrize("content", ["null", "[]", "5", '{"land-cover": "x"}', '{"land-cover": [1]}', "[" * 100_000])
def test_class_names_that_are_none_become_a_note(run, content):
    (run / "evaluate" / "classes.json").write_text(content)
    opened = load(run)
    assert opened.classes == {}
    assert opened.problems[0].startswith("evaluate/classes.json cannot be read")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"stages": 5}, "stages: should be a list"),
        ({"stages": [{"seconds": "long"}]}, "stages.0.seconds: should be a number"),
        ({"recipe": {"arms": {"byol": "x"}}}, "recipe.arms.byol: should be a mapping"),
        ({"recipe": {"tasks": []}}, "recipe.tasks: should be a mapping"),
        ({"corpus": {"path": 5}}, "corpus.path: should be text"),
        ({"format": "new"}, "format: should be a whole number"),
    ],
)
def test_a_manifest_of_another_form_is_refused(tmp_path, change, said):
    (tmp_path / "manifest.json").write_text(json.dumps({"name": "x"} | change))
    with pytest.raises(SwathError, match="manifest is damaged") as caught:
        load(tmp_path)
    assert said in str(caught.value)


def test_a_corpus_that_cannot_be_opened_becomes_a_note(run):
    (run / "corpus" / "corpus.json").write_text("{")
    assert "The corpus cannot be opened: corpus.json is damaged" in page_of(run, "notes").text


def test_of_a_corpus_that_was_made_anew_nothing_is_shown(run):
    manifest = json.loads((run / "manifest.json").read_text())
    manifest["corpus"]["hash"] = "0" * 64
    (run / "manifest.json").write_text(json.dumps(manifest))
    assert "is another than the one that this run was made on: nothing of it is shown" in page_of(run, "notes").text


def test_values_that_are_missing_are_shown_as_missing(run):
    path = run / "evaluate" / "table.csv"
    table = pd.read_csv(path)
    table[["low", "high", "n_units", "n_groups"]] = float("nan")
    table["per_seed"] = "[null, NaN, 0.5]"
    table.to_csv(path, index=False)
    comparisons = pd.read_csv(run / "evaluate" / "comparisons.csv")
    comparisons[["low", "high", "p", "p_t", "p_wilcoxon", "p_holm"]] = float("nan")
    comparisons["verdict"] = "untested"
    comparisons.to_csv(run / "evaluate" / "comparisons.csv", index=False)
    page = page_of(run, "result", "comparison", "bands", "notes")
    assert "nan" not in re.sub("[^a-z ]", " ", page.text.lower()).split()
    assert "that difference was not tested" in page.text


def test_many_classes_become_a_picture(run):
    names = [f"class number {i}" for i in range(40)]
    (run / "evaluate" / "classes.json").write_text(json.dumps({"land-cover": names}))
    page = page_of(run, "mistakes")
    assert any("Confusion matrix of" in attrs.get("aria-label", "") for attrs in page.all("svg"))


@pytest.mark.parametrize(
    ("content", "said"),
    [(None, "no manifest.json"), ("{", "cannot read the run's manifest"), ('{"format": 99}', "newer format")],
)
def test_a_folder_that_is_no_run_is_refused(tmp_path, content, said):
    if content is not None:
        (tmp_path / "manifest.json").write_text(content)
    with pytest.raises(SwathError, match=said):
        report(tmp_path)
    assert not (tmp_path / "report.html").exists()


def test_segmentations_show_the_pixels_matrix_iou_and_maps(run):
    rng = np.random.default_rng(0)
    predictions = pd.read_parquet(run / "evaluate" / "predictions.parquet")
    best = predictions[
        (predictions.row == "byol") & (predictions.input == "all bands") & (predictions.probe == "linear")
    ]
    best = best.assign(count=rng.integers(1, 50, len(best)), score=None)
    best.to_parquet(run / "evaluate" / "predictions.parquet")
    identity = best.iloc[0][schema.KEY_COLUMNS].to_dict()
    maps = []
    for uid in best.uid.unique()[:6]:
        truth = rng.integers(-1, 5, 24 * 24)
        maps.append({**identity, "uid": uid, "height": 24, "y_true": truth, "y_pred": np.abs(truth)})
    pd.DataFrame(maps).to_parquet(run / "evaluate" / "maps.parquet")
    assert "ncertainty" not in page_of(run, "mistakes").text, "an earlier version kept none"
    wrong = np.where(np.arange(576) < 76, (maps[0]["y_true"] + 1) % 5, maps[0]["y_true"])
    maps = [one | {"uncertainty": np.full(576, 51, np.uint8)} for one in maps]
    maps[0] |= {"y_pred": wrong, "uncertainty": np.where(np.arange(576) < 76, 204, 51).astype(np.uint8)}
    pd.DataFrame(maps).to_parquet(run / "evaluate" / "maps.parquet")
    found = page_of(run, "mistakes")
    text = found.text
    assert "Least right: image, label, prediction, uncertainty" in text
    assert "uncertainty 0.80 where wrong, 0.20 where right" in text
    assert text.count("uncertainty 0.20 where right") == 5
    assert sum(attrs["alt"].startswith("uncertainty of") for attrs in found.all("img")) == 6
    assert "100 % of the labelled pixels right" in text.replace("\N{NO-BREAK SPACE}", " ")
    assert "Most confident mistakes" not in text
    cm = sk.confusion_matrix(best.y_true, best.y_pred, sample_weight=best["count"], labels=range(5))
    iou = np.diag(cm) / (cm.sum(0) + cm.sum(1) - np.diag(cm))
    for value in iou:
        assert f"{100 * value:.1f}\N{NO-BREAK SPACE}%" in text
    labels = [attrs["alt"] for attrs in found.all("img") if attrs["alt"].startswith("label of")]
    assert len(labels) == 6


def test_several_classes_per_location_are_shown_class_by_class(run):
    rng = np.random.default_rng(0)
    manifest = json.loads((run / "manifest.json").read_text())
    manifest["recipe"]["tasks"]["land-cover"]["target"] = {"rule": "multi-label", "column": "labels"}
    (run / "manifest.json").write_text(json.dumps(manifest))
    path = run / "evaluate" / "predictions.parquet"
    predictions = pd.read_parquet(path)
    bits = {uid: int(rng.integers(1, 32)) for uid in predictions.uid.unique()}
    predictions = predictions.assign(y_true=predictions.uid.map(bits), y_pred=rng.integers(0, 32, len(predictions)))
    predictions.to_parquet(path)
    best = predictions.query("row == 'byol' and input == 'all bands' and probe == 'linear'")
    truth, said = (unpacked(best[name].to_numpy(), 5) for name in ("y_true", "y_pred"))
    text = page_of(run, "mistakes").text
    assert "byol, class by class" in text
    for measure in (sk.precision_score, sk.recall_score, sk.f1_score):
        for value in measure(truth, said, average=None):
            assert f"{100 * value:.1f}\N{NO-BREAK SPACE}%" in text
    assert "Most confident mistakes" not in text


def test_painted_clouds_are_a_chart_in_the_report_and_a_table_in_documents(run, tmp_path):
    folder = run / "evaluate"
    table = pd.read_csv(folder / "table.csv")
    own = table[(table.input == "all bands") & (table.probe == "linear") & (table.metric == "accuracy")]
    own = own.dropna(subset=["value"])
    levels = [
        own.assign(cloud=cloud, value=own.value * (1 - cloud), low=own.low * (1 - cloud), high=own.high * (1 - cloud))
        for cloud in (0.0, 0.4)
    ]
    schema.CLOUD_LEVELS.write(folder, pd.concat(levels))
    place = {"task": "land-cover", "input": "all bands", "probe": "linear", "metric": "accuracy"}
    gains = [
        {**place, "a": "byol", "role_a": "pretrained", "b": "scratch", "role_b": "scratch",
         "low_cloud": cloud, "high_cloud": cloud, "n_units": 60,
         "difference": 0.081, "low": 0.021, "high": 0.152}
        for cloud in (0.0, 0.4)
    ]  # fmt: skip
    write_lines(folder, schema.CLOUD_GAINS, *gains)
    page = page_of(run, "labels")
    labels = [attrs.get("aria-label", "") for attrs in page.all("svg")]
    assert any("against the share of clouds" in label for label in labels)
    document = tmp_path / "docs" / "results.md"
    document.parent.mkdir()
    write([run], document, tmp_path / "docs" / "images")
    assert verify(document) == stale(document, [run]) == []
    text = document.read_text().replace("\N{NO-BREAK SPACE}", " ")
    best = own.loc[own["row"] == "byol"].iloc[0]
    assert (
        f"| byol | {100 * best.value:.1f} % ({100 * best.low:.1f}–{100 * best.high:.1f}) | {60 * best.value:.1f} %"
        in text
    )
    assert "| byol minus scratch | +8.1 (+2.1 to +15.2) | +8.1 (+2.1 to +15.2) |" in text
    assert (tmp_path / "docs" / "images" / "results-fields-clouds.png").stat().st_size > 10_000


def test_curves_over_labels_and_gains_by_cloud_are_drawn(run):
    folder = run / "evaluate"
    table = pd.read_csv(folder / "table.csv")
    own = table[(table.input == "all bands") & (table.probe == "linear")]
    few = own.assign(task="land-cover@10%", value=own.value - 0.1)
    pd.concat([own.assign(task="land-cover@100%"), few]).to_csv(folder / "table.csv", index=False)
    tasks = [
        {"task": "land-cover@100%", "train_labels": 96, "label": "location", "note": ""},
        {"task": "land-cover@10%", "train_labels": 10, "label": "location", "note": "no training label of water"},
    ]
    write_lines(folder, schema.TASKS, *tasks)
    place = {"task": "land-cover@100%", "input": "all bands", "probe": "linear", "metric": "accuracy"}
    gains = [
        {**place, "a": "byol", "role_a": "pretrained", "b": "scratch", "role_b": "scratch",
         "low_cloud": low, "high_cloud": low + 0.5, "n_units": 60,
         "difference": 0.1 - low / 10, "low": np.nan if low else 0.02, "high": np.nan if low else 0.2}
        for low in (0.0, 0.5)
    ]  # fmt: skip
    write_lines(folder, schema.CLOUDS, *gains)
    edit_manifest(run, lambda m: m["recipe"]["tasks"]["land-cover"].update(label_fractions=[0.1, 1.0]))
    page = page_of(run, "labels", "notes")
    labels = [attrs.get("aria-label", "") for attrs in page.all("svg")]
    assert any("against the number of labels" in label for label in labels)
    assert any(label.startswith("byol minus scratch by cloud fraction: +10.0, +5.0") for label in labels)
    assert "Task land-cover@10%: no training label of water." in page.text
