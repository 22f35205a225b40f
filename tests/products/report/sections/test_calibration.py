"""Calibration of a panel's rows, from predictions of several folds and trainings."""

import base64
import io

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import roc_auc_score

from swath.products.draw.figures import as_csv
from swath.products.report import Material
from swath.products.report._rows import scores_of
from swath.products.report.sections import calibration, roc
from swath.products.tables import headline_panel, load, panels_of
from swath.tasks.statistics import delong, probabilities

CLASSES = ("crop", "forest", "water")


def predictions(seed: int, skill: float, groups: int = 12, classes: int = 2) -> pd.DataFrame:
    """Two folds of three trainings each, 10 units a group; of the three classes the last is nowhere true."""
    rng = np.random.default_rng(seed)
    n = 10 * groups
    y, lines = np.arange(n) % classes, []
    for replicate in range(3):
        logits = rng.normal(size=(n, 3)) * 1.5
        logits[np.arange(n), y] += skill
        scores = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
        about = {"task": "cover", "input": "all", "probe": "linear", "row": f"row {seed}", "role": "reference"}
        frame = pd.DataFrame({"uid": [f"u{i:03d}" for i in range(n)], "group": [f"g{i // 10}" for i in range(n)]})
        frame = frame.assign(**about, of_arm="", replicate=replicate, fold=np.arange(n) // (n // 2), count=1)
        lines.append(
            frame.assign(seed=2 * replicate + frame["fold"], y_true=y, y_pred=scores.argmax(1), score=list(scores))
        )
    return pd.concat(lines, ignore_index=True)


@pytest.fixture(scope="module")
def material(finished_run) -> Material:
    run = load(finished_run)
    return Material(run, panels_of(run), headline_panel(panels_of(run)), None, [])


def test_the_numbers_are_means_over_trainings_and_sets_come_from_other_groups():
    found = predictions(0, 1.5)
    scores, y = scores_of(found), found["y_true"].to_numpy()
    shown = calibration.trust("row", found)
    parts = [slice(120 * i, 120 * i + 120) for i in range(3)]
    right = scores.argmax(1) == y
    errors = [probabilities.reliability(scores[part].max(1), right[part]).error for part in parts]
    assert shown.numbers["ece"] == pytest.approx(np.mean(errors))
    assert shown.numbers["accuracy"] == pytest.approx(right.mean())
    # by hand: what thresholds of the other groups of the same fold and training cover
    covered = np.zeros(len(y), bool)
    for _, part in found.groupby("seed"):
        at, groups = part.index.to_numpy(), sorted(part["group"].unique())
        for k in range(5):
            mine = part["group"].isin(groups[k::5]).to_numpy()
            strange = np.sort(1 - scores[at[~mine], y[at[~mine]]])
            threshold = strange[int(np.ceil((len(strange) + 1) * 0.9)) - 1]
            covered[at[mine]] = 1 - scores[at[mine], y[at[mine]]] <= threshold
    assert shown.numbers["lac_coverage"] == pytest.approx(covered.mean())
    assert shown.numbers["lac_low"] < covered.mean() < shown.numbers["lac_high"]
    assert shown.numbers["lac_low"] > 0.7
    by_group = dict(zip(shown.groups["group"], shown.groups["lac"], strict=True))
    assert by_group["g3"] == pytest.approx(covered[found["group"] == "g3"].mean())
    assert set(shown.groups["units"]) == {10}
    assert shown.curve["risk"].iloc[-1] == pytest.approx(1 - right.mean())


def test_the_validation_part_calibrates_where_every_training_has_enough_of_it():
    found, validation = predictions(0, 1.5), predictions(3, 0.3).assign(group="elsewhere")
    scores, y = scores_of(found), found["y_true"].to_numpy()
    shown = calibration.trust("row", found, validation)
    assert shown.calibrated_on == "validation (60)"
    covered, temperatures = np.zeros(len(y), bool), np.zeros(len(y))
    for seed, part in found.groupby("seed"):
        own, at = validation[validation["seed"] == seed], part.index
        strange = 1 - scores_of(own)[np.arange(60), own["y_true"]]
        threshold = np.quantile(strange, np.ceil(61 * 0.9) / 60, method="inverted_cdf")
        covered[at] = 1 - scores[at, y[at]] <= threshold
        temperatures[at] = probabilities.best_temperature(scores_of(own), own["y_true"].to_numpy())
    assert shown.numbers["lac_coverage"] == pytest.approx(covered.mean())
    assert shown.numbers["temperature"] == pytest.approx(np.median(temperatures))
    warm = np.stack([probabilities.heated(one[None], t)[0] for one, t in zip(scores, temperatures, strict=True)])
    assert shown.numbers["surprise_after"] == pytest.approx(-np.log(warm[np.arange(len(y)), y]).mean())
    # even of one group in all
    one_fold = found[found["fold"] == 0].assign(group="everywhere").reset_index(drop=True)
    alone = calibration.trust("row", one_fold, validation)
    assert alone.numbers["temperature"] == pytest.approx(np.median(temperatures[found["fold"] == 0]))
    assert alone.numbers["lac_coverage"] == pytest.approx(covered[found["fold"] == 0].mean())
    assert calibration._shown(alone)["lac_interval"] == calibration._shown(alone)["aps_interval"]


@pytest.mark.parametrize(
    "spoilt",
    [
        lambda kept: kept.iloc[:0],
        lambda kept: kept[kept["seed"] != 4],
        lambda kept: kept[(kept["seed"] != 4) | (kept["uid"] < "u029")],
        lambda kept: kept.assign(score=[np.full(3, np.nan)] * len(kept)),
        lambda kept: kept.assign(score=[np.full(2, 0.5)] * len(kept)),
    ],
)
def test_else_the_other_groups_of_the_test_part_do(spoilt):
    found, validation = predictions(0, 1.5), predictions(3, 0.3)
    shown = calibration.trust("row", found, spoilt(validation))
    assert shown.calibrated_on == "other test groups"
    assert shown.numbers == calibration.trust("row", found).numbers


def test_one_group_in_all_has_no_temperature_and_no_sets():
    shown = calibration.trust("row", predictions(0, 1.5).assign(group="everywhere"))
    assert np.isnan(shown.numbers["temperature"])
    assert shown.groups.empty
    assert np.isfinite(shown.numbers["ece"])
    assert len(calibration._plots([shown], [])) == 2
    assert calibration._shown(shown)["lac_coverage"] == "–"


def test_the_page_says_what_the_numbers_say(material):
    shown = calibration.content(material)
    assert [row["row"] for row in shown["rows"]][:3] == ["byol", "random encoder (frozen)", "scratch"]
    assert shown["summary"].startswith("On land-cover, byol is right in ")
    table = pd.read_csv(io.BytesIO(base64.b64decode(shown["csv"].partition(",")[2])))
    assert set(table["calibrated_on"]) == {row["calibrated_on"] for row in shown["rows"]} == {"other test groups"}
    assert list(table["row"]) == [row["row"] for row in shown["rows"]]
    best = calibration.trust("byol", material.run.predictions(*material.headline.key, "byol"))
    assert table["ece"][0] == pytest.approx(best.numbers["ece"], rel=1e-4)
    groups = pd.read_csv(io.BytesIO(base64.b64decode(shown["plots"][2].csv.partition(",")[2])))
    assert set(groups["row"]) == set(table["row"])
    areas = roc.content(material)
    assert [one["name"] for one in areas["classes"]] == list(material.run.classes["land-cover"])
    assert areas["classes"][0]["cells"][1]["p"].startswith("p")


def test_areas_are_means_over_trainings_and_their_test_is_delongs():
    both = [predictions(0, 1.5), predictions(1, 0.5)]
    curves = roc.curves_of(both, CLASSES, multi_label=False)
    assert [one.name for one in curves] == ["crop", "forest"]  # nobody can draw water: no test unit has it
    first = curves[0]
    y = (both[0]["y_true"].to_numpy()[:120] == 0).astype(int)
    each = [[scores_of(rows)[120 * i : 120 * i + 120, 0] for i in range(3)] for rows in both]
    assert first.areas.auc == pytest.approx([np.mean([roc_auc_score(y, s) for s in row]) for row in each])
    # the definition, of the means over trainings: components of all pairs
    pairs = [np.mean([s[y == 1][:, None] > s[y == 0] for s in row], axis=0) for row in each]
    d10, d01 = (pairs[0] - pairs[1]).mean(1), (pairs[0] - pairs[1]).mean(0)
    error = np.sqrt(d10.var(ddof=1) / len(d10) + d01.var(ddof=1) / len(d01))
    covariance = first.areas.covariance
    assert covariance[0, 0] + covariance[1, 1] - 2 * covariance[0, 1] == pytest.approx(error**2)
    assert first.rates[0][[0, -1]].tolist() == [pytest.approx(0, abs=0.2), 1.0]
    assert np.trapezoid(first.rates[0], roc.GRID) == pytest.approx(first.areas.auc[0], abs=0.01)
    assert len(roc.table_of(curves, ["a", "b"])) == 2 * 2 * 101


def test_one_class_in_the_test_part_has_no_curve():
    assert roc.curves_of([predictions(0, 1.0, classes=1)], CLASSES, multi_label=False) == []


def test_classes_of_several_a_location_are_bits():
    found = predictions(0, 1.5, classes=2)
    bits = found.assign(y_true=np.where(found["y_true"] == 0, 0b001, 0b011))
    assert [one.name for one in roc.curves_of([bits], CLASSES, multi_label=True)] == ["forest"]


def test_rows_without_finite_scores_are_left_out(material, monkeypatch):
    found = predictions(0, 1.5)
    found["score"] = [np.full(3, np.nan)] * len(found)
    monkeypatch.setattr(type(material.run), "predictions", lambda *_: found)
    assert calibration.content(material) is None
    assert roc.content(material) is None


def test_predictions_that_cannot_be_read_become_a_note(run):
    opened = load(run)
    material = Material(opened, panels_of(opened), headline_panel(panels_of(opened)), None, [])
    (run / "evaluate" / "predictions.parquet").write_bytes(b"PAR1 and no more")
    assert calibration.content(material) is None
    assert roc.content(material) is None
    assert [problem.partition(" cannot be shown: ")[0] for problem in material.problems] == [
        "Calibration",
        "ROC curves",
    ]


def test_a_mean_of_areas_has_the_variance_of_the_weighted_components():
    y, scores = np.arange(40) % 2, np.random.default_rng(0).normal(size=(3, 40))
    found, weights = delong(y, scores), np.array([[0.5, 0.5, 0.0], [0.0, 0.0, 1.0]])
    joint = found.combined(weights)
    assert joint.auc == pytest.approx(weights @ found.auc)
    assert joint.covariance == pytest.approx(weights @ found.covariance @ weights.T)
    assert joint.covariance[0, 0] == pytest.approx(found.combined(weights[0]).covariance[0, 0])


def test_a_table_as_a_link():
    uri = as_csv(pd.DataFrame({"a": [1 / 3], "b": ["ä,"]}))
    assert base64.b64decode(uri.removeprefix("data:text/csv;base64,")).decode() == 'a,b\n0.333333,"ä,"\n'
