"""The section of a sweep: what it says, from tables made up here."""

import shutil

import pandas as pd
import pytest

from swath.products import report, words
from swath.products.report.sections import all_sections
from swath.products.tables import load
from swath.tasks import schema


@pytest.fixture(autouse=True)
def no_other_section(monkeypatch):
    """To draw the other sections takes longer than all else."""
    monkeypatch.setattr(
        report, "all_sections", lambda problems: {n: all_sections(problems)[n] for n in ("sweep", "notes")}
    )


def section(run) -> str:
    html = report.render(load(run))
    start = html.index('<section id="sweep"')
    return html[start : html.index("</section>", start)]


def test_it_tells_effects_costs_and_what_is_not_alike(swept):
    html = section(swept)
    for text in (
        "method: byol",
        "+2.1",
        "−2.1",
        "9 groups and 2 trainings are too few",
        "4,000 to 5,000",
        "1\N{NO-BREAK SPACE}min 01",
    ):
        assert text in html, text
    assert "<b>mild" not in html
    assert "&lt;b&gt;mild" in html
    assert "Trained again" not in html


def test_it_sets_the_value_of_fresh_trainings_beside_that_of_the_choice(swept):
    best = schema.TABLE.read(swept / "evaluate", role="pretrained").iloc[0]
    fresh = swept / "confirm"
    shutil.copytree(swept / "evaluate", fresh / "evaluate")
    shutil.copy(swept / "manifest.json", fresh)
    lines = pd.DataFrame([best.to_dict() | {"value": 0.512, "low": 0.4, "high": 0.6, "per_seed": (0.5, 0.52)}])
    schema.TABLE.write(fresh / "evaluate", lines)
    html = section(swept)
    assert f"First came {best['row']}" in html
    assert (
        f"Trained again with 2 fresh seeds: {words.percent(0.512)} (95 % interval {words.interval(0.4, 0.6)})" in html
    )
    assert "The same places chose it" in html


def test_runs_without_a_sweep_have_no_such_section(run):
    assert '<section id="sweep"' not in report.render(load(run))


@pytest.mark.parametrize("broken", ["effects.csv", "arms.csv"])
def test_a_damaged_table_becomes_a_note(swept, broken):
    (swept / "sweep" / broken).write_text("axis,level\nx,y\n")
    html = report.render(load(swept))
    assert '<section id="sweep"' not in html
    assert "The sweep cannot be shown" in html


def test_a_metric_that_is_no_share_is_told_in_its_own_unit(swept, metric_in_kelvin):
    for table in (swept / "sweep" / "arms.csv", swept / "sweep" / "effects.csv"):
        pd.read_csv(table).assign(metric=metric_in_kelvin).to_csv(table, index=False)
    html = section(swept)
    assert "+0.021" in html
    assert "+2.1" not in html
    assert "error in K from the mean of the axis" in html
    assert "in per cent" not in html
