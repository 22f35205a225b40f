"""Which rows the figures of changed images show."""

import pandas as pd
import pytest
from matplotlib.backends.backend_svg import FigureCanvasSVG

from swath.products.draw.robustness import MOST, Chart, charts_of, drawn
from swath.products.draw.style import styled


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


@pytest.mark.parametrize("rows", [1, 6])
@pytest.mark.parametrize("splits", [["regions"], ["random", "blocks", "regions"]])
def test_the_legend_lies_in_the_figure_however_few_rows_there_are(rows, splits):
    lines = pd.DataFrame([{"row": f"row {i}", "split": split} for i in range(rows) for split in splits])
    lines = lines.assign(metric="accuracy", optimism=0.4, optimism_low=0.1, optimism_high=0.7)
    with styled():
        figure = drawn(Chart("optimism", "task", lines))
        FigureCanvasSVG(figure)
        figure.draw_without_rendering()
        legend = figure.axes[0].get_legend().get_window_extent()
    assert legend.y0 >= 0
    assert legend.y1 < figure.axes[0].get_window_extent().y0
