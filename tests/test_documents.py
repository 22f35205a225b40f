"""Every command, snippet and name in the documents works: nothing is shown to a user that was not tried.

Short commands really run, in this process, on a tiny corpus. Of long ones (training, downloads) the command line, the
recipe and its overrides are resolved, and the call is held against the function's signature.
"""

import importlib
import inspect
import re
import shlex
import tomllib
from collections.abc import Iterator
from contextlib import nullcontext, redirect_stdout
from functools import cache
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import rasterio
import yaml
from affine import Affine
from pydantic import TypeAdapter
from typer.main import get_command

from benchmarks import __main__ as benchmarks
from swath import cli, config, encoders, pipeline, plugins, tasks
from swath.corpus import Corpus, cluster, sources
from swath.corpus.labels.target import TargetConfig
from swath.encoders import InputContract, image_statistics
from swath.products import documents, explore, leaderboard, location_maps, maps, model_export
from swath.recipes import shipped, source_text

ROOT = Path(__file__).parents[1]
PAGES = {path.name: path.read_text() for path in [*sorted((ROOT / "docs").glob("*.md")), ROOT / "README.md"]}
FENCE = re.compile(r"^( *)```(\w*)[^\n]*\n(.*?)^\1```", re.MULTILINE | re.DOTALL)
INLINE = re.compile(r"(?<!`)`([^`\n]+)`(?!`)")

OWN_TESTS = {
    "corpus-format.md": "corpus/test_documents.py",
    "encoders.md": "encoders/test_documents.py",
    "evaluation.md": "tasks/test_documents.py",
    "export.md": "products/model_export/test_export_model.py",
    "methods.md": "training/test_documents.py",
    "segmenters.md": "segmenters/test_documents.py",
    "sensors.md": "sensors/test_documents.py",
    "training.md": "training/test_documents.py",
    "your-data.md": "corpus/sources/folder/test_folder_docs.py",
}
"""Pages whose blocks of Python and YAML run elsewhere, where what comes out is looked at as well."""

FRAGMENTS = {
    "building.md": ("build-landsat-parallel", "corpus.source"),
    "products.md": ("build-s1-s2-series", "corpus.source"),
    "s4.md": ("s4-canada-distil", "tasks.crops"),
    "sweeps.md": ("quickstart", ""),
    "views.md": ("hls-landcover", "pretrain"),
}
"""Pages with YAML: a recipe, and where in it the blocks belong."""

PLACEHOLDERS = {
    "RECIPE": "mine.yaml",
    "my-recipe.yaml": "mine.yaml",
    "FOLDER": "images",
    "PATH": "images",
    "CORPUS": "landscape",
    "FORMAT": "eurosat",
    "NAME": "quickstart",
    "runs/NAME": "runs/quickstart",
    "ENCODER": "runs/quickstart/pretrain/simclr/seed-0/encoder",
    "NAME=ENCODER": "mine=runs/quickstart/pretrain/simclr/seed-0/encoder",
    "moco-v2=ENCODER": "moco-v2=runs/quickstart/pretrain/simclr/seed-0/encoder",
    "moco=encoders/moco": "moco=runs/quickstart/pretrain/simclr/seed-0/encoder",
    "DATA": "landscape",
    "A": "simclr",
    "S": "0",
    "a.b=value": "seeds=[1]",
    "data=PATH": "data=images",
    "data=FOLDER": "data=images",
    "my-corpus": "landscape",
    "/tmp/landscape": "another",
    "corpora/pixels": "landscape",
}
"""What stands for something of the user's."""


NAMED = {
    "swath corpus ingest landsat-c2",
    "swath pretrain RECIPE",
    "swath map",
    "swath map --location",
    "swath evaluate",
    "swath compare",
}
"""What the text names without all that it takes."""


def blocks(page: str, *languages: str) -> list[str]:
    return [text for _, language, text in FENCE.findall(PAGES[page]) if language in languages]


def inline(text: str) -> list[str]:
    return INLINE.findall(FENCE.sub("", text))


def commands(page: str) -> list[str]:
    """Command lines of a page, in its order; those in the text that name a command only are whole as well."""
    shown = [line.strip() for block in blocks(page, "", "sh") for line in block.splitlines()]
    return [line for line in [*shown, *inline(PAGES[page])] if line.startswith("swath ")]


def arguments(line: str) -> tuple[list[str], str | None]:
    """What the shell would hand over, and the file that it would write the output to."""
    words = [PLACEHOLDERS.get(word, word) for word in shlex.split(line, comments=True)[1:]]
    if ">" in words:
        return words[: words.index(">")], words[words.index(">") + 1]
    return words, None


@cache
def app() -> Any:
    """The command line, which is put together from all functions behind it."""
    return get_command(cli.app)


def command_of(words: list[str]) -> tuple[Any, list[str]]:
    """The command that these words name, and the words that are left for it."""
    command = app()
    while words and words[0] in getattr(command, "commands", {}):
        command, words = command.commands[words[0]], words[1:]
    return command, words


def bound(function, result):
    """Stands for a long function: takes what it takes, and nothing else."""

    def call(*given, **named):
        inspect.signature(function).bind(*given, **named)
        return result

    return call


@pytest.fixture(scope="module")
def desk(tmp_path_factory) -> Path:
    """A folder with what the documents talk about: a tiny landscape, a run with an encoder, recipes."""
    desk = tmp_path_factory.mktemp("desk")
    tiny = ["locations=8", "chip_px=16", "dates_optical=2", "dates_radar=2"]
    corpus = pipeline.make_corpus(config.resolve_source("synth", tiny), desk / "landscape", None)
    run = desk / "runs" / "quickstart"
    run.mkdir(parents=True)
    (run / "corpus").symlink_to(desk / "landscape")
    settings = image_statistics.Config()
    encoder = encoders.build(
        settings, InputContract(1, ("sentinel-2-l2a/B04",), True, ("reflectance",), (0.1,), (0.1,))
    )
    target = run / "pretrain" / "simclr" / "seed-0" / "encoder"
    target.parent.mkdir(parents=True)
    encoders.save(encoder, settings, target, provenance={})
    for name in ("mine", "landsat-zion"):
        (desk / "runs" / name).mkdir()
        (desk / "runs" / name / "recipe.yaml").touch()
    (desk / "images").mkdir()
    corpus.locations[["geometry"]].iloc[:2].assign(crop=["maize", "beet"]).to_file(desk / "fields.gpkg")
    profile = {"driver": "GTiff", "width": 40, "height": 40, "count": 1, "dtype": "uint16", "crs": "EPSG:32632"}
    with rasterio.open(desk / "scene.tif", "w", transform=Affine(10, 0, 5e5, 0, -10, 5.6e6), **profile) as file:
        file.write(np.full((1, 40, 40), 2000, np.uint16))
    (desk / "mine.yaml").write_text(source_text("quickstart")[1])
    return desk


@pytest.fixture
def at_the_desk(desk, monkeypatch):
    """Work there, with long functions replaced by ones that only look at how they are called."""
    monkeypatch.chdir(desk)
    corpus = SimpleNamespace(path=Path("corpus"))
    replies = {
        "run": Path("runs/quickstart/report.html"),
        "pretrain": [],
        "evaluate": Path("runs/quickstart/evaluate"),
        "evaluate_on": Path("runs/quickstart/evaluate"),
        "report": Path("runs/quickstart/report.html"),
        "represent": [],
        "stress": [],
        "build_corpus": corpus,
        "make_corpus": corpus,
        "map_run": [],
        "map_locations": Path("crops.gpkg"),
        "explain_run": [],
        "map_encoder": [],
        "export_run": SimpleNamespace(graph=Path("out"), item=Path("out"), differences={}, checked_on=""),
        "run_index": Path("embeddings.parquet"),
    }
    for name, result in replies.items():
        monkeypatch.setattr(pipeline, name, bound(getattr(pipeline, name), result))
    monkeypatch.setattr(pipeline, "plan_corpus", planned)
    monkeypatch.setattr(pipeline, "input_of", lambda data, to: Path("landscape") if data.suffix == ".yaml" else data)
    monkeypatch.setattr(maps, "maps", bound(maps.maps, []))
    monkeypatch.setattr(location_maps, "location_maps", bound(location_maps.location_maps, []))
    replied = SimpleNamespace(graph=Path("out"), item=Path("out"), differences={}, checked_on="")
    monkeypatch.setattr(model_export, "export_model", bound(model_export.export_model, replied))
    for name in ("adopt", "export"):
        monkeypatch.setattr(encoders, name, bound(getattr(encoders, name), [Path("written")]))
    for name, result in {"write": Path("docs/results.md"), "verify": [], "stale": []}.items():
        monkeypatch.setattr(documents, name, bound(getattr(documents, name), result))
    monkeypatch.setattr(explore, "serve", bound(explore.serve, None))
    board = SimpleNamespace(parts=(), ranking=None, unranked="too few", runs=["a"])
    monkeypatch.setattr(leaderboard, "compare", bound(leaderboard.compare, board))
    monkeypatch.setattr(leaderboard, "write", bound(leaderboard.write, Path("page.html")))
    monkeypatch.setattr(leaderboard, "verify", bound(leaderboard.verify, None))
    monkeypatch.setattr(tasks, "needed_for", bound(tasks.needed_for, []))
    monkeypatch.setattr(cluster, "cluster", bound(cluster.cluster, nullcontext()))
    monkeypatch.setattr("distributed.Client", lambda _: nullcontext())


def planned(what: str, settings: list[str] | None, *_: object) -> tuple[int, None]:
    """Stands for the drawing of locations: resolves the recipe or the strategy's settings."""
    settings = settings or []
    if what in shipped() or Path(what).is_file():
        assert config.load(what, settings).corpus.source is not None
    else:
        rest = ["when={name: seasons, year: 2020}", "products=[{sensor: sentinel-2-l2a}]", f"where.name={what}"]
        config.resolve_source("stac", [*rest, *(f"where.{setting}" for setting in settings)])
    return 1, None


@cache  # the same on every page that shows it
def execute(line: str) -> None:
    words, target = arguments(line)
    command, rest = command_of(words)
    if line in NAMED or (needs_arguments(command) and all(word.startswith("--") for word in rest)):
        known = {option for parameter in command.params for option in parameter.opts}
        assert known.issuperset(word for word in rest if word.startswith("--")), line
        return  # named in the text, not called
    with Path(target).open("w") if target else nullcontext() as file, redirect_stdout(file) if file else nullcontext():
        code = app()(words, standalone_mode=False)
    assert not code, line


def needs_arguments(command) -> bool:
    return any(parameter.required for parameter in command.params)


@pytest.mark.parametrize("page", [page for page in PAGES if commands(page)])
def test_commands(page, at_the_desk):
    for line in commands(page):
        execute(line)


def helped(command) -> Iterator[str]:
    """Examples that `--help` shows."""
    yield from (line for line in INLINE.findall(command.epilog or "") if line.startswith("swath "))
    for child in getattr(command, "commands", {}).values():
        yield from helped(child)


def test_examples_of_the_help(at_the_desk):
    lines = list(helped(app()))
    assert len(lines) > 15
    for line in lines:
        execute(line)


def test_python_blocks(at_the_desk):
    for page in PAGES:
        if page in OWN_TESTS:
            continue
        names: dict = {}
        for block in blocks(page, "python"):
            exec(compile(block, page, "exec"), names)
    assert Corpus.open("landscape").info.complete  # no page has harmed it


def test_pages_with_tests_of_their_own_are_read_there():
    for page, test in OWN_TESTS.items():
        assert page in (ROOT / "tests" / test).read_text()


def test_yaml_blocks():
    for page in PAGES:
        if page in OWN_TESTS:
            continue
        for block in blocks(page, "yaml"):
            recipe, key = FRAGMENTS[page]
            document = yaml.safe_load(source_text(recipe)[1])
            section = document
            for part in filter(None, key.split(".")):
                section = section[part]
            section.update(yaml.safe_load(block))
            if page == "sweeps.md":  # a sweep stands for arms and claims
                document |= {"arms": None, "claims": None}
            config.resolve(document)


def test_yaml_in_the_text():
    """`{rule: …}` and `split: {…}` are YAML; a star or a colon too many is not."""
    for page, text in PAGES.items():
        for snippet in inline(text):
            if re.match(r"^(\w+: )?[{\[].*[}\]]$", snippet):
                assert yaml.safe_load(snippet), f"{page}: {snippet}"
            for target in re.findall(r"\{rule: [^}]*\}", snippet):
                TypeAdapter(TargetConfig).validate_python(yaml.safe_load(target))


def test_names_in_the_text_exist():
    """Every `swath.a.b` of the text and of the reference is there to be imported."""
    for page, text in PAGES.items():
        named = [m for snippet in inline(text) for m in re.findall(r"^swath(?:\.\w+)+", snippet)]
        for name in [*named, *re.findall(r"^::: (\S+)", text, re.MULTILINE)]:
            assert exists(name), f"{page}: {name}"


def exists(name: str) -> bool:
    module, _, rest = name.rpartition(".")
    if module == "swath" and rest in plugins.PACKAGES:
        return True  # a group of entry points
    try:
        importlib.import_module(name)
    except ModuleNotFoundError:
        return bool(module) and hasattr(importlib.import_module(module), rest)
    return True


def test_make_targets_extras_and_benchmarks_exist():
    makefile = (ROOT / "Makefile").read_text()
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    for page, text in PAGES.items():
        for target in re.findall(r"^make ([a-z-]+)|`make ([a-z-]+)", text, re.MULTILINE):
            assert re.search(rf"^{''.join(target)}:", makefile, re.MULTILINE), f"{page}: make {target}"
        for extra in re.findall(r"swath\[(\w+)\]", text):
            assert extra in extras, f"{page}: {extra}"
        for name in re.findall(r"python -m benchmarks (\w+)", text):
            assert name in {"NAME", *benchmarks.GROUPS} or exists(f"benchmarks.{name}"), f"{page}: {name}"


def test_formats_page_names_every_format():
    rows = re.findall(r"^\| `([\w-]+)` \|", PAGES["formats.md"], re.MULTILINE)
    assert sorted(rows) == sorted(sources.formats())


def leaves(command, words: str) -> Iterator[str]:
    """All commands below one, as they are typed."""
    below = getattr(command, "commands", {})
    for name, child in below.items():
        yield from leaves(child, f"{words} {name}")
    if not below:
        yield words


def test_the_page_on_python_says_for_every_command_what_to_call():
    shown = [line.split("|")[1] for line in PAGES["python.md"].splitlines() if line.startswith("| `swath")]
    said = {" ".join(snippet.partition(" runs/NAME")[0].split()) for cell in shown for snippet in INLINE.findall(cell)}
    assert said == set(leaves(app(), "swath"))
