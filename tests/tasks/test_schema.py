"""Tables as they are written and read: one description for both sides."""

import math

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from swath.errors import SwathError
from swath.tasks import schema
from swath.tasks.schema import COMPARISONS, MAPS, NOTES, PREDICTIONS, TABLE, OldTableError, RowValue
from tests.tasks.fakes import result_key

nan = float("nan")


def value(row="nan", **changes):
    usual = {
        "task": "t",
        "input": "all",
        "probe": "linear",
        "row": row,
        "role": "floor",
        "of_arm": "",
        "metric": "accuracy",
        "value": 0.1 + 0.2,
        "low": nan,
        "high": 1.0,
        "per_seed": (0.25, nan),
        "n_units": 7,
        "n_groups": None,
        "note": "",
    }
    return RowValue(**{**usual, **changes})


def test_a_table_is_read_as_it_was_written(tmp_path):
    TABLE.write(tmp_path, TABLE.frame([value(), value("None", role="scratch", of_arm="a,b", n_units=None)]))
    read = TABLE.read(tmp_path)
    assert list(read) == TABLE.columns
    first, second = read.to_dict("records")
    assert (first["row"], second["row"]) == ("nan", "None")
    assert first["value"] == 0.1 + 0.2
    assert math.isnan(first["low"])
    assert first["per_seed"][0] == 0.25
    assert math.isnan(first["per_seed"][1])
    assert first["n_units"] == 7
    assert math.isnan(second["n_units"])
    assert (second["role"], second["of_arm"]) == ("scratch", "a,b")


def test_a_table_without_a_line_has_its_columns(tmp_path):
    for table in (TABLE, COMPARISONS, NOTES, schema.CLOUDS, schema.TASKS):
        table.write(tmp_path, table.frame())
        read = table.read(tmp_path)
        assert list(read) == table.columns
        assert read.empty


def test_predictions_are_read_by_row(tmp_path):
    lines = [
        {**vars_of(result_key(row=row, seed=seed, replicate=i)), "uid": "u", "group": "g", "y_true": 0, "y_pred": 1}
        | {"count": 1, "score": np.array([0.75, 0.25])}
        for row in ("a", "b")
        for i, seed in enumerate((3, 4))
    ]
    PREDICTIONS.write(tmp_path, pd.DataFrame(lines))
    read = PREDICTIONS.read(tmp_path, row="b")
    assert list(read) == PREDICTIONS.columns
    assert list(read["row"]) == ["b", "b"]
    assert list(read["seed"]) == [3, 4]
    assert list(read["replicate"]) == [0, 1]
    np.testing.assert_array_equal(read["score"][0], [0.75, 0.25])


def vars_of(key):
    return {name: getattr(key, name) for name in schema.KEY_COLUMNS}


@pytest.mark.parametrize("table", [TABLE, NOTES, PREDICTIONS, MAPS], ids=lambda table: table.file)
def test_tables_of_before_are_refused_with_what_to_do(tmp_path, table):
    columns = [name for name in table.columns if name not in {"role", "of_arm", "fold", "replicate"}]
    old = pd.DataFrame({name: pd.Series([], dtype=object) for name in [*columns, "kind"]})
    if table.file.endswith(".csv"):
        old.to_csv(tmp_path / table.file, index=False)
    else:
        old.to_parquet(tmp_path / table.file)
    with pytest.raises(OldTableError, match="earlier version of swath, without role, of_arm") as caught:
        table.read(tmp_path)
    assert "run the same recipe again: finished results are kept" in caught.value.remedy
    assert table.file in caught.value.where


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("", "No columns"),
        ("task,input\na,b\n", "no column probe"),
        ("\0\0", "no column task"),
    ],
)
def test_a_damaged_table_is_named(tmp_path, content, said):
    (tmp_path / "table.csv").write_text(content)
    with pytest.raises(SwathError, match="the table cannot be read") as caught:
        TABLE.read(tmp_path)
    assert not isinstance(caught.value, OldTableError)
    assert said in caught.value.what
    assert caught.value.where == str(tmp_path / "table.csv")


@pytest.mark.parametrize(
    ("column", "content", "said"),
    [
        ("role", "kind of floor", "column role holds 'kind of floor', which is none of pretrained, random-twin"),
        ("value", "much", "much"),
        ("per_seed", "[1,", "delimiter|value"),
    ],
)
def test_a_value_that_cannot_be_is_named(tmp_path, column, content, said):
    frame = pd.DataFrame([{**dict.fromkeys(TABLE.columns, ""), "role": "floor", column: content}])
    frame.to_csv(tmp_path / "table.csv", index=False)
    with pytest.raises(SwathError, match=said):
        TABLE.read(tmp_path)


def test_a_missing_count_is_no_number(tmp_path):
    COMPARISONS.write(
        tmp_path, pd.DataFrame([dict.fromkeys(COMPARISONS.columns, "") | {"verdict": "tie", "n_pairs": ""}])
    )
    with pytest.raises(SwathError, match="the table cannot be read"):
        COMPARISONS.read(tmp_path)


def test_a_missing_table_is_the_systems_error(tmp_path):
    with pytest.raises(FileNotFoundError):
        TABLE.read(tmp_path)
    with pytest.raises(FileNotFoundError):
        PREDICTIONS.read(tmp_path)


def test_parquet_tables_keep_their_types(tmp_path):
    PREDICTIONS.write(tmp_path, PREDICTIONS.schema.empty_table())
    assert pa.parquet.read_schema(tmp_path / "predictions.parquet").equals(PREDICTIONS.schema)
