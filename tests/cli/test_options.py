"""No command ignores an option in silence: what has no effect on what is asked for is refused, by name."""

import re

import pytest
from typer.main import get_command

from swath import cli
from swath.cli import embed
from swath.cli import map as map_
from swath.cli.export import model
from swath.errors import SwathError

TREE = get_command(cli.app)
MODES = [
    ("map --location E", map_.OF_LOCATION, "a map of what an encoder says of all places"),
    ("map RUN", map_.OF_TEST | {"data"}, "a map of a run's test locations"),
    ("map RUN x.tif --to y.gpkg", map_.OF_PLACES, "a vector file of locations"),
    ("map RUN x.tif --to y.tif", map_.OF_RUN, "a map by what a run trained"),
    ("map E x.tif", map_.OF_ENCODER, "a map of an encoder's embedding"),
    ("embed check x.parquet", embed.OF_CHECK, "a check of a file"),
    ("embed E x.tif --to y.zarr", embed.OF_GRID, "a grid of embeddings"),
    ("embed E x.tif --to y.TIFF", embed.OF_GRID, "a grid of embeddings"),
    ("embed E x --zones z.gpkg", embed.OF_ZONES, "a table of polygons"),
    ("embed E x --quantise linear", embed.OF_INDEX | {"zones"}, "a table of locations"),
    ("export model RUN --format onnx --to y", model.OF_RUN, "a graph of what a run trained"),
    ("export model E --format onnx --to y", model.OF_ENCODER, "a graph of an encoder"),
]
"""Words that choose a mode of a command, parameters that have an effect there or choose another, and what messages call
the mode."""
LONE = [
    ("search x --encoder e", "swath search without --image takes no --encoder"),
    ("search x --negatives 0.2", "swath search without --unlike takes no --negatives"),
    ("search x --to y.parquet --corpus c", "swath search without --sheet takes no --corpus"),
    ("embed E x --labels crops", "swath embed without --quantise takes no --labels"),
    ("explore x --column crop", "swath explore without --open takes no --column"),
    ("explore x --arm byol", "an index takes no --arm"),
    ("explain RUN --locations a --count 6", "an explanation of named locations takes no --count"),
    ("explain RUN --layer a", "an explanation without --method grad-cam takes no --layer"),
    ("explain RUN --method occlusion --layer a", "an explanation without --method grad-cam takes no --layer"),
    ("stress RUN --folds 5", "swath stress without --splits takes no --folds"),
    ("stress RUN --dates --block-km 5 --region r", "swath stress without --splits takes no --block-km"),
    ("stress RUN --splits --locations 9", "a comparison of splits alone (--splits) takes no --locations"),
    (
        "evaluate --on c --encoder e --task t --sensors s",
        "an evaluation of encoders on a corpus (--on) takes no --sensors",
    ),
    ("evaluate quickstart --task t", "an evaluation by a recipe takes no --task"),
    ("report RUN --images i", "a run's own page takes no --images"),
    ("report RUN --check", "a run's own page takes no --check"),
    ("report RUN --into d.md --check --images i", "a check, which writes nothing, takes no --images"),
]
"""Commands with an option that has no effect as it stands."""
VALUES = {"--dates": ["--dates", "each"], "--quantise": ["--quantise", "linear"]}
"""Options that take certain words."""


@pytest.fixture(autouse=True)
def _there(tmp_path, monkeypatch):
    """Where `RUN` is the folder of a run, as far as a command looks before it works."""
    (tmp_path / "RUN").mkdir()
    (tmp_path / "RUN" / "recipe.yaml").touch()
    monkeypatch.chdir(tmp_path)


def found(words: str):
    """A command, and its own arguments."""
    command, rest = TREE, words.split()
    while hasattr(command, "commands"):
        command = command.commands[rest.pop(0)]
    return command, rest


def said(command, arguments: list[str]) -> str:
    with pytest.raises(SwathError) as error:
        command.main(arguments, standalone_mode=False)
    return str(error.value)


def given(parameter) -> list[str]:
    """A parameter as it is given, with a value."""
    if parameter.param_type_name == "argument":
        return ["x"]
    name = max(parameter.opts, key=len)
    return [name] if parameter.is_flag else VALUES.get(name, [name, "5"])


@pytest.mark.parametrize(("words", "used", "mode"), MODES, ids=[words for words, *_ in MODES])
def test_what_has_no_effect_is_refused_in_every_mode(words, used, mode):
    command, arguments = found(words)
    chosen = {arguments[k] for k in range(len(arguments)) if arguments[k].startswith("--")}
    others = [one for one in command.params if one.name not in used | {"location"} and not chosen & set(one.opts)]
    assert others
    for one in others:
        message = said(command, [*arguments, *given(one)])
        name = re.escape(given(one)[0]) if one.param_type_name == "option" else "[A-Z|]+"
        assert re.match(rf"({mode}).* takes no .*{name}", message), message
        assert "leave it out" in message


@pytest.mark.parametrize("words", ["map", "embed", "export model"])
def test_every_option_has_an_effect_in_some_mode(words):
    modes = {"map": map_, "embed": embed, "export model": model}[words]
    sets = [value for name, value in vars(modes).items() if name.startswith("OF_")]
    assert set().union(*sets) == {one.name for one in found(words)[0].params}


@pytest.mark.parametrize(("words", "message"), LONE, ids=[words for words, _ in LONE])
def test_what_has_no_effect_without_another_is_refused(words, message):
    command, arguments = found(words)
    assert said(command, arguments).startswith(message)
