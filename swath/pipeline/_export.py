"""What a run trained for one of its results, as a graph that runs without swath."""

from pathlib import Path
from typing import Any

import pandas as pd

import swath
from swath.corpus import Corpus
from swath.corpus.labels import Pixels
from swath.errors import RecipeError
from swath.pipeline._evaluate import evaluation_of
from swath.pipeline._folder import opened
from swath.pipeline._map import Result, legend, say_of
from swath.products.model_export import INSIDE, About, Exported, Format, export_trained
from swath.products.words import word
from swath.tasks import Judged, Task
from swath.tasks.data import BandReader


def export_run(
    run: Path | str,
    to: Path | str,
    *,
    format: Format,  # noqa: A002 - the command's word
    result: Result | None = None,
    counts: bool = False,
    corpus: Corpus | Path | str | None = None,
) -> Exported:
    """Write what a run trained for one of its results as a graph: pixels go in, probabilities or numbers come out.

    It is trained by the same steps once more, and checked against the predictions that the run has kept, as `map_run`
    does it. The graph is compared with it on chips of the test part.

    Args:
        run: folder of the run.
        to: path of the files to write, without suffix.
        format: `pt2`, which `torch.export.load` opens, or `onnx`.
        result: which.
        counts: take counts as the bands' sensors store them, instead of physical values.
        corpus: check on chips of this corpus as well.

    Raises:
        RecipeError: nothing or several things are meant, there is no recipe, or no graph can be made of it.
        TrainingError: it cannot be trained again, or not as it was judged.
        CheckpointError: the graph does not give what the network gives.
    """
    folder, said = Path(run), result or Result()
    recipe, own = opened(folder)
    _check_is_free(Path(to), format)
    judged = evaluation_of(recipe, folder, own, {}).trained(
        task=said.task, row=said.row, input=said.input, probe=said.probe, seed=said.seed
    )
    say_of(judged)
    reader = BandReader(own, judged.trained.bands, judged.task.reader.select)
    about = _about(judged, own, recipe.name)
    test = judged.task.parts["test"].locations
    return export_trained(judged.trained, reader, test, about, to, format=format, counts=counts, corpus=corpus)


def _check_is_free(to: Path, name: Format) -> None:
    """Raise RecipeError if something lies there: what it is, a graph does not say."""
    path = to.with_name(f"{to.name}.{name}")
    if path.exists():
        raise RecipeError("another file is there already", where=str(path), remedy="choose another name for --to")


def _about(judged: Judged, corpus: Corpus, run: str) -> About:
    task, panel = judged.task, judged.panel
    place, how = panel.key
    learnt = task.parts["train"].locations
    return About(
        f"{judged.row} of the run {run}, read by {how}, for the task {task.name} on the input {place}; "
        f"swath {swath.__version__}. {INSIDE}",
        f"{judged.row}, {how}",
        pd.DataFrame(corpus.locations.iloc[learnt][["lon", "lat"]]),
        tasks=(_kind(task),),
        feature="class" if task.classes else "value",
        classes=() if task.regression else tuple(_classes(task, corpus)),
        more={
            "swath:result": {
                "run": run,
                "task": task.name,
                "row": judged.row,
                "input": place,
                "probe": how,
                "seed": judged.seed,
                "result": judged.digest,
            }
        }
        | ({"swath:unit": task.unit} if task.unit else {}),
        encoder_beside=False,
    )


def _kind(task: Task) -> str:
    """What a task is, in the words of STAC's extension for models."""
    if task.regression:
        return "regression"
    if task.per_pixel:
        return "semantic-segmentation"
    return "classification" if task.parts["test"].multi_label else "scene-classification"


def _classes(task: Task, corpus: Corpus) -> list[dict[str, Any]]:
    """The class of each channel of the output, from 0; those of a layer of pixels with their codes."""
    codes, names, colours = legend(task, corpus)
    target = task.config.target
    layer = f" of {target.layer}" if isinstance(target, Pixels) else ""
    said = [f"{name} (code {code}{layer})" for code, name in zip(codes, names, strict=True)] if layer else names
    return [
        {"value": k, "name": word(name), "description": full, "color_hint": colour.removeprefix("#").upper()}
        for k, (name, full, colour) in enumerate(zip(names, said, colours, strict=True))
    ]
