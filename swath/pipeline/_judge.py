"""Judging saved encoders on a corpus without a recipe: the recipe is made of what they and the corpus say."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pandas.api.types import is_float_dtype

from swath import config as recipes
from swath import encoders as saved
from swath._files import LONGEST
from swath._progress import console
from swath.config import Recipe
from swath.corpus import Corpus
from swath.corpus.store import index
from swath.encoders import InputContract
from swath.encoders.location import LOCATION
from swath.errors import ContractError, CorpusError, RecipeError, nearest
from swath.pipeline._evaluate import evaluate

TRAININGS = 3
"""Seeds of probes and floors: fewer give no verdict."""
LAYER_RULES, COLUMN_RULES = ("dominant", "pixels"), ("scalar", "value")
"""How a label layer, and how a column of the locations, can be a task without further settings; the usual one first."""


def evaluate_on(
    encoders: Path | str | Mapping[str, Path | str],
    on: Path | str,
    tasks: str | Sequence[str],
    *,
    out: Path | str | None = None,
    overrides: Sequence[str] = (),
    jobs: int = 1,
) -> Path:
    """Judge saved encoders on a corpus, beside the floors and their random twins. What is finished is not done again.

    Args:
        encoders: path of a saved encoder, or several by the names of their rows.
        on: folder of the corpus.
        tasks: label layers or columns of the corpus, each with `=RULE` where the usual rule is not meant; as
            `recipe_for` says.
        out: folder of the run; `runs/ENCODER-on-CORPUS` if None.
        overrides: `a.b=value` each, put over the recipe that is made.
        jobs: how many parts at a time.

    Returns:
        The folder of the tables, as of `swath.pipeline.evaluate`.

    Raises:
        RecipeError, CorpusError, ContractError: as `recipe_for` and `swath.pipeline.evaluate`.
        CheckpointError: an encoder is missing or damaged.
    """
    named = encoders if isinstance(encoders, Mapping) else {_row(Path(encoders)): encoders}
    recipe = recipe_for(named, on, [tasks] if isinstance(tasks, str) else tasks, overrides)
    return evaluate(recipe, out, encoders=named, jobs=jobs)


def recipe_for(
    encoders: Mapping[str, Path | str], on: Path | str, tasks: Sequence[str], overrides: Sequence[str] = ()
) -> Recipe:
    """The recipe by which saved encoders are judged on a corpus.

    Each encoder is fed its own bands, whole series if it looks at dates together. A label layer is judged by each
    location's most frequent class (`NAME=pixels`: by pixel), a column of texts or whole numbers by its values as
    classes, one of fractional numbers as a regression (`NAME=scalar` and `NAME=value` say which). Split, floors, probes
    and claims are those of a recipe that says nothing of them, and there are three seeds.

    Args:
        encoders: paths of saved encoders by the names of their rows.
        on: folder of the corpus.
        tasks: label layers or columns, with or without `=RULE`.
        overrides: `a.b=value` each, put over it.

    Raises:
        ContractError: the corpus has not the bands of an encoder.
        CorpusError: it has no such layer or column, or there is no corpus.
        RecipeError: an override says what no recipe can say, or nothing is to be judged.
    """
    if not encoders or not tasks:
        raise RecipeError(
            "an evaluation on a corpus needs encoders and tasks", remedy="give --encoder PATH and --task NAME"
        )
    corpus = Corpus.open(on)
    cards = {name: saved.load_card(path) for name, path in encoders.items()}
    inputs = {}
    for name, card in cards.items():
        bands = _fed(card.contract, corpus, name)
        inputs.setdefault(bands, "-and-".join(dict.fromkeys(key.partition("/")[0] for key in bands)))
    series = any(saved.sees_series(saved.load(path)) for path in encoders.values())
    sensors = {name: one.model_dump(mode="json") for card in cards.values() for name, one in card.sensors.items()}
    document: dict[str, Any] = {
        "name": _name(encoders, Path(on)),
        "description": f"{', '.join(encoders)} on {Path(on).name}.",
        "seeds": list(range(TRAININGS)),
        "corpus": {"path": str(Path(on).absolute())},
        "tasks": dict(_task(corpus, text, _unique(inputs), series=series) for text in tasks),
        **({"sensors": sensors} if sensors else {}),
    }
    return recipes.complete(document, list(overrides), f"the evaluation on {on}")


def _row(encoder: Path) -> str:
    """The name of an encoder's row: of the arm that it was pre-trained as, else of its file."""
    return str(saved.load_card(encoder).provenance.get("arm") or encoder.stem)


def _fed(contract: InputContract, corpus: Corpus, name: str) -> tuple[str, ...]:
    """What an encoder is fed of a corpus: the first of its inputs that is there, or whatever of its bands is."""
    there = {f"{sensor}/{band}" for sensor, layout in corpus.info.sensors.items() for band in layout.bands}
    there |= set(LOCATION)
    if contract.fixed and not contract.groups:
        for own in contract.inputs:
            if there.issuperset(own):
                return own
    elif found := [key for key in contract.bands if key in there and _is_whole(key, contract, there)]:
        if lost := [key for key in contract.bands if key not in found]:
            console().print(
                f"{name} knows {', '.join(lost)} too, which the corpus has not, or not with all bands of their group: "
                f"it is judged by {', '.join(found)}",
                soft_wrap=True,
            )
        return tuple(found)
    raise ContractError(
        f"the corpus has not the bands of {name}: {', '.join(contract.bands)}",
        where=str(corpus.path),
        remedy=f"it has {', '.join(sorted(there - set(LOCATION)))}: give an encoder or a corpus of the other's bands",
    )


def _is_whole(key: str, contract: InputContract, there: set[str]) -> bool:
    """Whether the corpus has all bands of the group that a band belongs to, if it belongs to one."""
    return all(there.issuperset(group) for group in contract.groups if key in group)


def _unique(inputs: Mapping[tuple[str, ...], str]) -> dict[str, list[str]]:
    """Bands by a name of their own: of their sensors, with a number where several inputs are of the same ones."""
    named: dict[str, list[str]] = {}
    for bands, name in inputs.items():
        named[name if name not in named else f"{name}-{len(named) + 1}"] = list(bands)
    return named


def _task(corpus: Corpus, text: str, inputs: dict[str, list[str]], *, series: bool) -> tuple[str, dict[str, Any]]:
    """Name and settings of a task on a label layer or a column.

    Raises:
        CorpusError: there is none of that name.
        RecipeError: it cannot be judged by such a rule without further settings.
    """
    name, _, asked = text.partition("=")
    reserved = (*index.LOCATION_COLUMNS, "geometry")
    columns = [column for column in corpus.locations.columns if column not in reserved]
    if name not in (*corpus.label_layers, *columns):
        raise CorpusError(
            f"the corpus has no labels {name!r}",
            where=str(corpus.path),
            remedy=nearest(name, [*corpus.label_layers, *columns]),
        )
    is_layer = name in corpus.label_layers
    rules = LAYER_RULES if is_layer else COLUMN_RULES
    numbers = not is_layer and is_float_dtype(corpus.locations[name])
    rule = asked or rules[int(numbers)]
    if rule not in rules:
        raise RecipeError(
            f"{name} cannot be judged by the rule {rule!r} without further settings",
            remedy=f"{nearest(rule, rules)}; for others write a recipe with a task (docs/evaluation.md)",
        )
    target = {"rule": rule, "layer" if is_layer else "column": name}
    return name, {"target": target, "inputs": inputs, "dates": "all" if series else 1, **_read(rule, series=series)}


def _read(rule: str, *, series: bool) -> dict[str, Any]:
    """How labels are read out where the usual linear probe does not."""
    if rule == "value":
        return {"probes": [{"name": "ridge"}], "metric": "r2"}
    if rule == "pixels":
        return {"probes": [{"name": "fine-tune" if series else "segment"}], "metric": "miou"}
    return {}


def _name(encoders: Mapping[str, Path | str], on: Path) -> str:
    text = f"{'-'.join(encoders)}-on-{on.absolute().name}"
    return re.sub(r"[^A-Za-z0-9_.-]", "-", text).lstrip("_.-")[:LONGEST]
