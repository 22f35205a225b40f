"""Explanations of what a run trained and judged."""

from collections.abc import Sequence
from pathlib import Path

from swath.pipeline._evaluate import evaluation_of
from swath.pipeline._folder import opened
from swath.pipeline._map import Result, say_of
from swath.products.explain import explain
from swath.settings import PluginSettings


def explain_run(
    run: Path | str,
    to: Path | str,
    *,
    result: Result | None = None,
    locations: Sequence[str] = (),
    count: int = 6,
    methods: Sequence[PluginSettings] | None = None,
    of_class: str | None = None,
) -> list[Path]:
    """Explain what a run trained for one of its results, by pixel, band and date, and check the explanations.

    It is trained by the same steps once more and checked against what the run has kept, as for `map_run`.

    Args:
        run: folder of the run.
        to: folder for `attributions.csv`, `checks.csv`, `curves.csv`, pictures and GeoTIFFs.
        result: which.
        locations: ids of locations of the corpus; without, `count` of the test part.
        count: how many, where none are named.
        methods: settings of methods of attribution (`swath.products.explain.attributions`); all that can explain it if
            not given.
        of_class: class that is explained; of each location what is said of it if not given.

    Returns:
        The files, the tables first.

    Raises:
        RecipeError: nothing or several things are meant, or there is no recipe or no such class.
        TrainingError: it cannot be trained again, or not as it was judged.
        CorpusError: no such location, or nothing of it can be seen.
        ContractError: a method that was asked for cannot explain it.
    """
    folder, said = Path(run), result or Result()
    recipe, corpus = opened(folder)
    judged = evaluation_of(recipe, folder, corpus, {}).trained(
        task=said.task, row=said.row, input=said.input, probe=said.probe, seed=said.seed
    )
    say_of(judged)
    return explain(judged, Path(to), locations=locations, count=count, methods=methods, of_class=of_class)
