"""Which rows the figures of changed images show."""

import pandas as pd

from swath.products.draw.robustness import MOST, charts_of


def test_of_many_rows_the_best_are_shown_also_where_less_is_better():
    count = MOST + 2
    lines = pd.DataFrame(
        {
            "task": "t", "input": "own", "probe": "ridge", "row": [f"r{i}" for i in range(count)], "role": "floor",
            "of_arm": "", "metric": "rmse", "kind": "haze", "as_it_is": range(count),
        }
    )  # fmt: skip
    for metric, rows in (("rmse", lines["row"][:MOST]), ("accuracy", lines["row"][-MOST:])):
        (chart,) = charts_of(lines.assign(metric=metric))
        assert sorted(chart.lines["row"]) == sorted(rows)
