"""The corpus of a run: opened, made, or completed."""

from pathlib import Path
from typing import Any

from swath import config as recipes
from swath._progress import console
from swath.config import Recipe
from swath.corpus import Corpus
from swath.corpus.sources import build as build_from_source
from swath.corpus.sources import new_files, same_settings, say_unknown
from swath.errors import RecipeError
from swath.pipeline._folder import corpus_path, has_trained, run_folder
from swath.training import Manifest


def build_corpus(recipe: Recipe, out: Path | str | None = None) -> Corpus:
    """The recipe's corpus: opened where it is complete and the data hold nothing new, else made or completed.

    Raises:
        CorpusError: the corpus that is there was made with other settings, or files of it were changed or are gone.
        RecipeError: there are new files, or another corpus, and the run has trained on what was there.
    """
    folder = run_folder(recipe, out)
    path, source = corpus_path(recipe, folder), recipe.corpus.source
    if source is None:
        return _record_corpus(folder, recipe, Corpus.open(path))
    there = Corpus.open(path) if (path / "corpus.json").exists() else None
    if there is not None and there.info.complete:
        same_settings(source, path)
        new = new_files(source, path, recipe.data)
        if new is None and has_trained(folder):
            say_unknown(path, "whether others are there now cannot be told")
            new = set()
        if new is not None and not new:
            return _record_corpus(folder, recipe, there)
        if new and has_trained(folder):
            raise RecipeError(
                f"there are {len(new)} new files, such as {min(new)}, and the run has trained without them",
                where=str(recipe.data),
                remedy="give another folder with --out for a run with them, or data=null to go on without them",
            )
    with Manifest.stage(folder, "corpus") as stage:
        corpus = make_corpus(source, path, recipe.data)
        stage.figures = {"locations": len(corpus.locations), "chips": len(corpus.chips)}
    return _record_corpus(folder, recipe, corpus)


def make_corpus(source: Any, target: Path, data: Path | None) -> Corpus:
    """Make, or complete, the corpus at `target` from a source's settings."""
    build_from_source(source, target, data)
    return Corpus.open(target)


def input_of(data: Path, to: Path) -> Path:
    """What is mapped or embedded: itself, or the corpus that a YAML file describes, which is made beside the output.

    Args:
        data: a raster, folder, cube or corpus; or a recipe, or the `corpus.source` of one alone, such as the area, the
            period and the products of a catalogue.
        to: file that will be written; the corpus is `NAME.corpus` beside it, and stays there for the next call.
    """
    if data.suffix.lower() not in {".yaml", ".yml"}:
        return data
    recipe, target = recipes.load_source(data), to.with_name(f"{to.name.removesuffix(to.suffix)}.corpus")
    made = make_corpus(recipe.corpus.source, target, recipe.data)
    console().print(f"{data.name} is a corpus of {len(made):,} locations, {target}", soft_wrap=True)
    return target


def _record_corpus(folder: Path, recipe: Recipe, corpus: Corpus) -> Corpus:
    with Manifest.changed(folder) as manifest:
        was = manifest.corpus.get("hash", corpus.content_hash)
        if was != corpus.content_hash and has_trained(folder):
            raise RecipeError(
                f"the corpus is another than the one that this run has trained on: its content hash was {was[:16]}…, "
                f"and is {corpus.content_hash[:16]}…",
                where=str(corpus.path),
                remedy="give another folder with --out",
            )
        manifest.name, manifest.recipe_hash = recipe.name, recipe.digest
        manifest.recipe = recipe.model_dump(mode="json")
        manifest.corpus = {
            "path": str(corpus.path),
            "hash": corpus.content_hash,
            "locations": len(corpus.locations),
            "chips": len(corpus.chips),
            "sensors": {sensor: list(layout.bands) for sensor, layout in corpus.info.sensors.items()},
        }
        if own := corpus.info.definitions:
            manifest.corpus["definitions"] = {name: one.model_dump(mode="json") for name, one in own.items()}
    return corpus
