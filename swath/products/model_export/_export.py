"""Exporting what was trained: trace, write, run what was written, compare, and only then let the file be."""

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Int
from torch import Tensor

from swath._files import replacing, write_whole
from swath.batch import Image
from swath.corpus import Corpus
from swath.encoders import Encoder, load, load_card, sees_series
from swath.errors import CheckpointError, RecipeError
from swath.products.model_export._formats import FORMATS, Format, Run, quietly, traced
from swath.products.model_export._graphs import SPACE, EncoderGraph, Graph, chosen, graph_of, outputs
from swath.products.model_export._item import About, about_encoder, item
from swath.products.model_export._pictures import chips, made, of_corpus, picture, reader_of, sizes
from swath.products.model_export._predictors import PredictorGraph, check, parted, said_of, shown
from swath.tasks import Trained
from swath.tasks.data import BandReader

LIMIT = 1e-3
"""Largest difference from the encoder that is let pass, as a share of an output's largest value."""
PARTS = ("safetensors", "json", "seen.parquet")
"""Endings of a saved encoder's files."""


@dataclass(frozen=True, slots=True)
class Exported:
    """What was written, and how well it agrees with the encoder."""

    graph: Path
    item: Path
    """The STAC item that describes it."""
    differences: dict[str, float]
    """Largest difference of each output from the encoder's, as a share of its largest value."""
    checked_on: str
    """What they were compared on, for people."""


def export_model(
    encoder: Path | str,
    to: Path | str,
    *,
    format: Format,  # noqa: A002 - the command's word
    bands: Sequence[str] | None = None,
    dense: bool = False,
    counts: bool = False,
    corpus: Corpus | Path | str | None = None,
) -> Exported:
    """Write a saved encoder as a graph that runs without swath, with units, statistics and invalid pixels inside.

    The file is run before it is let be: on pictures of two sizes, in batches of one and three, it has to give what the
    encoder gives. Beside it stand the encoder's own files and a STAC item that says what goes in and comes out.

    Args:
        encoder: path of a saved encoder, as `swath.encoders.load` takes it.
        to: path of the files to write, without suffix.
        format: `pt2`, which `torch.export.load` opens, or `onnx`.
        bands: keys of what the channels hold, for an encoder that takes any of several inputs.
        dense: also give maps of features.
        counts: take counts as the bands' sensors store them, instead of physical values.
        corpus: check on chips of this corpus as well.

    Raises:
        CheckpointError: the encoder cannot be loaded, or the graph does not give what it gives.
        ContractError: it takes no such bands, or several.
        RecipeError: no graph can be made of it; or another encoder lies where the files shall be.
    """
    FORMATS[format].check()
    _check_is_no_run(Path(encoder))
    loaded = load(encoder)
    _check_is_free(Path(encoder), Path(to), format)
    keys = chosen(loaded.contract, None if bands is None else tuple(bands))
    graph = graph_of(loaded, keys, dense=dense, counts=counts)
    images = made(loaded, graph) + ([] if corpus is None else of_corpus(loaded, graph, corpus))
    expected = [_expected(loaded, image, dense=dense) for image in images]
    trial = Trial(_shown(loaded, graph), images, expected, () if len(sizes(loaded, keys)) > 1 else SPACE)
    path, differences = _write(graph, trial, to, format, str(encoder))
    _copy(Path(encoder), Path(to))
    described = _describe(about_encoder(encoder), path, format, graph, expected[0])
    return Exported(path, described, differences, _on(images))


def export_trained(
    trained: Trained,
    reader: BandReader,
    locations: Int[np.ndarray, " n"],
    about: About,
    to: Path | str,
    *,
    format: Format,  # noqa: A002 - the command's word
    counts: bool = False,
    corpus: Corpus | Path | str | None = None,
) -> Exported:
    """Write what was trained for a task, an encoder with its head or a whole network, as `export_model` does.

    It is checked on chips: one, several, and parts of them.

    Args:
        trained: what gives probabilities of classes, or a number.
        reader: reads its bands in the task's corpus.
        locations: of the task's, to check on.
        about: what the item says of it.
        to: path of the files to write, without suffix.
        format: `pt2`, which `torch.export.load` opens, or `onnx`.
        counts: take counts as the bands' sensors store them, instead of physical values.
        corpus: check on chips of this corpus as well.

    Raises:
        CheckpointError: the graph does not give what the network gives.
        RecipeError: no graph can be made of it; or something else lies where the files shall be.
        ContractError, CorpusError: the other corpus has no such chips.
    """
    FORMATS[format].check()
    several = chips(reader, locations)
    check(trained, several)
    series = reader.select.dates != 1
    output = "value" if about.tasks == ("regression",) else "probabilities"
    graph = PredictorGraph(trained, several, series=series, output=output, counts=counts)
    parts = parted(trained, several)
    given = [chips(reader, locations, 1), several, *([] if parts is None else [parts])]
    given += [] if corpus is None else [_others(trained, reader, corpus)]
    images = [graph.seen(one) for one in given]
    expected = [{output: said_of(trained, one)} for one in images]
    any_size = parts is not None
    trial = Trial(shown(images[1], any_size=any_size), images, expected, () if any_size else SPACE)
    path, differences = _write(graph, trial, to, format, reader.corpus.path)
    described = _describe(about, path, format, graph, expected[0])
    return Exported(path, described, differences, _on([next(iter(one.values())) for one in images]))


def _others(trained: Trained, reader: BandReader, corpus: Corpus | Path | str) -> dict[str, Image]:
    other = reader_of(corpus, trained.bands, reader.select)
    images = chips(other, np.arange(len(other.corpus)))
    check(trained, images)
    return images


@dataclass(frozen=True, slots=True)
class Trial:
    """What a graph is made by, and compared on."""

    shown: Any
    """What torch is shown while it traces."""
    given: list[Any]
    expected: list[dict[str, Tensor]]
    """What it has to give, of each of these."""
    constant: tuple[str, ...]
    """Axes that have one length."""


def _write(
    graph: Graph[Any], trial: Trial, to: Path | str, name: Format, where: Path | str
) -> tuple[Path, dict[str, float]]:
    """The file, and the largest difference of each output."""
    kind, path = FORMATS[name], Path(to).with_name(f"{Path(to).name}.{name}")
    program = traced(graph, trial.shown, trial.constant)
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path) as partial:
        kind.write(program, graph, [*trial.expected[0]], partial)
        differences = _compared(kind.run(partial), graph, trial)
        _check_agrees(differences, str(where))
    return path, differences


def _describe(about: About, path: Path, name: Format, graph: Graph[Any], outputs: dict[str, Tensor]) -> Path:
    described = path.with_name(f"{path.name}.stac.json")
    write_whole(described, item(about, path, FORMATS[name], graph, outputs))
    return described


def _check_is_no_run(path: Path) -> None:
    if (path / "recipe.yaml").exists():
        there = sorted(str(one.with_suffix("")) for one in path.glob("pretrain/*/*/encoder.safetensors"))
        raise RecipeError(
            "this is a run, and no encoder",
            where=str(path),
            remedy="swath.pipeline.export_run takes what it trained for a task; or give a saved encoder"
            + (f": {', '.join(there)}" if there else ""),
        )


def _check_is_free(encoder: Path, to: Path, name: Format) -> None:
    """Raise RecipeError if what would be overwritten is another encoder, or a graph of something else."""
    card, graph = (to.with_name(f"{to.name}.{end}") for end in ("json", name))
    if not card.exists():
        if graph.exists():
            raise RecipeError("another file is there already", where=str(graph), remedy="choose another name for --to")
        return
    try:
        same = load_card(to).sha256 == load_card(encoder).sha256
    except CheckpointError:
        same = False
    if not same:
        raise RecipeError("another file is there already", where=str(card), remedy="choose another name for --to")


def _shown(encoder: Encoder, graph: EncoderGraph) -> Image:
    """What torch is shown while it traces: larger than what is checked, so that no map shrinks to a point."""
    shapes = sizes(encoder, graph.bands)
    side = shapes[0][0]
    size = (4 * side, 3 * side) if len(shapes) > 1 else shapes[0]
    return picture(encoder, graph.bands, 2, 9 if sees_series(encoder) else 1, size)


@torch.no_grad()
def _expected(encoder: Encoder, image: Image, *, dense: bool) -> dict[str, Tensor]:
    """What the encoder itself gives."""
    return outputs(encoder, image, dense=dense)


@torch.no_grad()
def _compared(run: Run, graph: Graph[Any], trial: Trial) -> dict[str, float]:
    """Of each output, the largest difference as a share of the largest value; infinite where it is no number."""
    with quietly("what runs the file", "run"):
        found = [run(graph.arguments(one)) for one in trial.given]
    return {
        name: max(_difference(given[name], wanted[name]) for given, wanted in zip(found, trial.expected, strict=True))
        for name in trial.expected[0]
    }


def _difference(given: Tensor, wanted: Tensor) -> float:
    if given.shape != wanted.shape or not given.isfinite().all():
        return float("inf")
    largest = float(wanted.abs().max())
    return float((given - wanted).abs().max()) / (largest or 1.0)


def _check_agrees(differences: dict[str, float], where: str) -> None:
    far = {name: value for name, value in differences.items() if not value <= LIMIT}
    if far:
        said = ", ".join(f"{name} by {value:.1e} of its largest value" for name, value in far.items())
        raise CheckpointError(
            f"the graph does not give what swath gives, and was not written: {said} (at most {LIMIT:g})",
            where=where,
            remedy="try the other format, and report it: a part of the network is exported wrongly",
        )


def _copy(encoder: Path, to: Path) -> None:
    """The encoder's own files beside the graph, so that all of it can be handed on."""
    base = encoder.with_suffix("") if encoder.suffix in {".safetensors", ".json"} else encoder
    for end in PARTS:
        source, target = base.with_name(f"{base.name}.{end}"), to.with_name(f"{to.name}.{end}")
        if source.exists() and source.resolve() != target.resolve():
            with replacing(target) as partial:
                shutil.copyfile(source, partial)


def _on(images: list[Image]) -> str:
    return "; ".join(f"{len(one)} of " + " × ".join(map(str, one.pixels.shape[1:])) for one in images)
