"""Exporting an encoder: trace, write, run what was written, compare, and only then let the file be."""

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from swath._files import replacing, write_whole
from swath.batch import Image
from swath.corpus import Corpus
from swath.encoders import Encoder, load, load_card, sees_series
from swath.errors import CheckpointError, RecipeError
from swath.products.model_export._formats import FORMATS, Format, Run, traced
from swath.products.model_export._graphs import SPACE, Graph, chosen, graph_of, outputs
from swath.products.model_export._item import item
from swath.products.model_export._pictures import made, of_corpus, picture, sizes

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
    kind = FORMATS[format]
    kind.check()
    _check_is_no_run(Path(encoder))
    loaded = load(encoder)
    _check_is_free(Path(encoder), Path(to))
    keys = chosen(loaded.contract, None if bands is None else tuple(bands))
    graph = graph_of(loaded, keys, dense=dense, counts=counts)
    images = made(loaded, graph) + ([] if corpus is None else of_corpus(loaded, graph, corpus))
    expected = [_expected(loaded, image, dense=dense) for image in images]
    of_one_size = len(sizes(loaded, keys)) == 1
    program = traced(graph, _shown(loaded, graph), SPACE if of_one_size else ())
    path = Path(to).with_name(f"{Path(to).name}.{format}")
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path) as partial:
        kind.write(program, graph, [*expected[0]], partial)
        differences = _compared(kind.run(partial), graph, images, expected)
        _check_agrees(differences, str(encoder))
    _copy(Path(encoder), Path(to))
    said = item(load_card(encoder), encoder, path, kind, graph, expected[0])
    described = path.with_name(f"{path.name}.stac.json")
    write_whole(described, said)
    return Exported(path, described, differences, _on(images))


def _check_is_no_run(path: Path) -> None:
    if (path / "recipe.yaml").exists():
        there = sorted(str(one.with_suffix("")) for one in path.glob("pretrain/*/*/encoder.safetensors"))
        raise RecipeError(
            "this is a run: its encoders can be exported, and not the heads that were fitted on them",
            where=str(path),
            remedy=f"give one of {', '.join(there)}" if there else "give a saved encoder",
        )


def _check_is_free(encoder: Path, to: Path) -> None:
    """Raise RecipeError if what would be overwritten is another encoder, or is none."""
    card = to.with_name(f"{to.name}.json")
    if not card.exists():
        return
    try:
        same = load_card(to).sha256 == load_card(encoder).sha256
    except CheckpointError:
        same = False
    if not same:
        raise RecipeError("another file is there already", where=str(card), remedy="choose another name for --to")


def _shown(encoder: Encoder, graph: Graph) -> Image:
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
def _compared(run: Run, graph: Graph, images: list[Image], expected: list[dict[str, Tensor]]) -> dict[str, float]:
    """Of each output, the largest difference as a share of the largest value; infinite where it is no number."""
    found = [run(graph.arguments(image)) for image in images]
    return {
        name: max(_difference(given[name], wanted[name]) for given, wanted in zip(found, expected, strict=True))
        for name in expected[0]
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
            f"the graph does not give what the encoder gives, and was not written: {said} (at most {LIMIT:g})",
            where=where,
            remedy="try the other format, and report it: a part of the encoder is exported wrongly",
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
