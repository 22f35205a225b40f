"""Explanations of what a run trained and judged."""

from collections.abc import Sequence
from pathlib import Path

from swath._files import file_name
from swath.pipeline._evaluate import evaluation_of
from swath.pipeline._folder import opened
from swath.pipeline._map import Result, say_of
from swath.products.explain import explain
from swath.settings import PluginSettings


def explain_run(
    run: Path | str,
    to: Path | str | None = None,
    *,
    result: Result | None = None,
    beside: Sequence[str] = (),
    locations: Sequence[str] = (),
    count: int = 6,
    methods: Sequence[PluginSettings] | None = None,
    of_class: str | None = None,
) -> list[Path]:
    """Explain what a run trained for one of its results, by pixel, band and date, and check the explanations.

    It is trained by the same steps once more and checked against what the run has kept, as for `map_run`.

    Args:
        run: folder of the run.
        to: folder for `attributions.csv`, `checks.csv`, `curves.csv`, maps, pictures and GeoTIFFs; if not given, one
            in `RUN/explained`, which the report shows.
        result: which.
        beside: further rows of the same task, input and probe, explained at the same locations; each row then has a
            folder in `to`, and a picture for each method shows all side by side.
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
    evaluation = evaluation_of(recipe, folder, corpus, {})
    judged = evaluation.trained(task=said.task, row=said.row, input=said.input, probe=said.probe, seed=said.seed)
    name, probe = judged.panel.key
    same = {"task": judged.task.name, "input": name, "probe": probe, "seed": judged.seed}
    others = [evaluation.trained(row=row, **same) for row in dict.fromkeys(beside) if row != judged.row]
    for one in (judged, *others):
        say_of(one)
    if to is None:
        where = folder / "explained" / file_name(" ".join((judged.task.name, name, probe)))
        to = where if others else where / file_name(judged.row)
    return explain(
        judged, Path(to), beside=others, locations=locations, count=count, methods=methods, of_class=of_class
    )
