"""What was left out is one line a reason, however many rows, inputs, probes and tasks have it."""

import math
from dataclasses import replace

import pandas as pd

from swath.products.tables import Panel, left_out, of_lines, remarks, rows_by_reason
from swath.tasks.schema import RowValue

REASON = "no weights are given"
SCORE = RowValue(
    *("crops", "optical", "knn", "byol", "pretrained", "byol"), "accuracy", 0.5, 0.4, 0.6, (0.5,), 100, 20, ""
)


def missing(row: str, note: str = REASON) -> RowValue:
    return replace(SCORE, row=row, value=math.nan, note=note)


def panel(*rows: RowValue, task: str = "crops", input: str = "optical", probe: str = "knn") -> Panel:  # noqa: A002
    valued = tuple(row for row in rows if math.isfinite(row.value))
    return Panel(task, input, probe, ("accuracy",), valued, tuple(row for row in rows if row not in valued), ())


def test_one_row_in_one_panel():
    assert left_out([panel(SCORE, missing("imagenet"))]) == [f"imagenet (crops · optical · knn probe): {REASON}"]
    assert left_out([panel(SCORE)]) == []


def test_a_reason_stands_there_once_for_all_rows_inputs_probes_and_tasks():
    panels = [
        panel(missing("a"), missing("b, or c"), task=task, input=f"band {i}", probe=probe)
        for task in ("crops", "cover")
        for i in range(12)
        for probe in ("knn", "linear")
    ]
    assert left_out(panels) == [f"a and “b, or c” (crops and cover · 12 inputs · knn and linear probes): {REASON}"]


def test_rows_that_are_missing_in_other_panels_are_told_apart_in_the_same_line():
    panels = [panel(missing("a"), missing("b")), panel(missing("a"), SCORE, probe="linear")]
    assert left_out(panels) == [
        f"a (crops · optical · knn and linear probes); b (crops · optical · knn probe): {REASON}"
    ]


def test_other_reasons_are_other_lines():
    panels = [panel(missing("a"), missing("b", "too few labels"), missing("c", ""))]
    assert [line.partition(": ")[2] for line in left_out(panels)] == [REASON, "too few labels", "no reason recorded"]
    assert rows_by_reason(panel(missing("a"), missing("b"), missing("c", ""))) == [
        ("a and b", REASON),
        ("c", "no reason recorded"),
    ]


def test_notes_of_rows_that_have_a_result_stand_there_once_too():
    noted = replace(SCORE, note="never saw VV")
    assert remarks([panel(noted, replace(noted, metric="macro_f1")), panel(SCORE, probe="linear")]) == [
        "byol (crops · optical · knn probe): never saw VV"
    ]


def test_a_remark_of_all_rows_of_a_table_names_none():
    notes = {"a": "few groups", "b": "few groups; saw the places", "c": "few groups"}
    table = pd.DataFrame({"row": [*notes, *notes], "note": [*notes.values(), *notes.values()]})
    assert of_lines(table) == ["few groups", "b: saw the places"]
    assert of_lines(table.assign(note="")) == []
