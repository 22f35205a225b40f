"""Maps of whole scenes by what a run trained and judged."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import nn

from swath._progress import console
from swath.config import Recipe
from swath.corpus import Corpus, LabelLayer
from swath.corpus.labels import Pixels, class_colours, targets
from swath.encoders import Encoder, SeriesEncoder, load, load_card
from swath.errors import ContractError, RecipeError
from swath.pipeline._corpus import input_of
from swath.pipeline._evaluate import evaluation_of
from swath.pipeline._folder import opened
from swath.products.scene_maps import (
    Chips,
    Classes,
    Dense,
    How,
    Numbers,
    Predictor,
    Presences,
    Product,
    map_scene,
    trial,
)
from swath.products.windows import Input
from swath.sensors import LOCATION
from swath.tasks import Judged, Task, Trained
from swath.tasks.data import Composer

MULTIPLE = 32
"""Pixels at whose multiples windows begin: networks that halve their input five times see the same positions then."""
WINDOW, OVERLAP = 1024, 64
"""Side of a window, and what neighbours share, of a network whose outputs depend on what is near."""
FAR = 1e-2
"""Change of a logit at which it is said to depend on what is far away, in deviations of the logits."""


@dataclass(frozen=True, slots=True)
class Result:
    """Which result of a run is meant; what is not said must be the same for all that the run has."""

    task: str | None = None
    row: str | None = None
    input: str | None = None
    probe: str | None = None
    seed: int | None = None
    """The first one's if not said."""


def map_run(
    run: Path | str,
    given: Input | Path | str,
    to: Path | str,
    *,
    result: Result | None = None,
    cell: int | None = None,
    entropy: bool = False,
    clip: Path | str | None = None,
    how: How | None = None,
) -> list[Path]:
    """Map an input by what a run trained for one of its results.

    It is trained by the same steps once more, from the run's encoder, corpus, split and seed, and checked against the
    predictions that the run has kept; a network's weights are kept in `evaluate/networks` and trained only once.

    Args:
        run: folder of the run.
        given: a raster, a folder of them, a cube, a corpus, or a YAML file that says where one comes from (see
            `input_of`). Bands, scaling and clouds of files are described as in the run's own recipe where nothing else
            is said, and the recipe's source is a folder.
        to: GeoTIFF to write: the classes in the label layer's codes, the probability of each where a location may have
            several, or numbers. Beside it probabilities, a legend and a STAC item.
        result: which.
        cell: where chips are classified, the width of the map's pixels in pixels of the input; that of chips if not
            given.
        entropy: also write how uncertain the classes are.
        clip: vector file of polygons outside of which there is nothing.
        how: windows and processes.

    Returns:
        The files, the map first.

    Raises:
        RecipeError: nothing or several things are meant, or there is no recipe.
        TrainingError: it cannot be trained again, or not as it was judged.
        CorpusError: the input or the area cannot be used.
        ContractError: the input's units or pixel size are not the encoder's.
    """
    folder = Path(run)
    recipe, corpus = opened(folder)
    said = result or Result()
    judged = evaluation_of(recipe, folder, corpus, {}).trained(
        task=said.task, row=said.row, input=said.input, probe=said.probe, seed=said.seed
    )
    say_of(judged)
    if judged.task.config.dates == "all" and (judged.task.config.min_valid or judged.task.config.most):
        said_of_dates = "all dates of the input are seen: the task's min_valid and most choose among those of chips"
        console().print(said_of_dates, soft_wrap=True)
    predictor = _predictor(judged, corpus, cell, how or How())
    about = {
        "run": recipe.name,
        "task": judged.task.name,
        "row": judged.row,
        "input": judged.panel.key[0],
        "probe": judged.panel.key[1],
        "seed": judged.seed,
        "result": judged.digest,
    }
    product = _product(judged.task, corpus, entropy=entropy)
    area = None if clip is None else Path(clip)
    return map_scene(predictor, product, _input(given, recipe, Path(to)), Path(to), about=about, clip=area, how=how)


def map_encoder(
    encoder: Path | str,
    given: Input | Path | str,
    to: Path | str,
    *,
    bands: tuple[str, ...] | None = None,
    cell: int | None = None,
    chip: int | None = None,
    clip: Path | str | None = None,
    how: How | None = None,
) -> list[Path]:
    """Map an input by an encoder alone: the embedding of the chip around each pixel of the map, a band a dimension.

    Args:
        encoder: where one is saved.
        given: as for `map_run`.
        to: GeoTIFF to write.
        bands: band keys that it is fed; needed where it takes any.
        cell: width of the map's pixels in pixels of the input; a quarter of a chip if not given.
        chip: side of the chips in pixels; what the encoder's own example has if not given.
        clip: as for `map_run`; `how` too.

    Raises:
        ContractError: the encoder takes any bands, and none are named; or the input is not what it takes.
        CorpusError: the input or the area cannot be used.
    """
    loaded, card = load(encoder), load_card(encoder)
    if bands is None and not loaded.contract.fixed:
        raise ContractError(f"the encoder takes any of {', '.join(loaded.contract.bands)}", remedy="say which: --bands")
    own = bands or loaded.contract.inputs[0]
    side = chip or loaded.example_px
    embedding = _Embedding(loaded, own)
    predictor = Chips(
        embedding.predict,
        loaded,
        own,
        series=isinstance(loaded, SeriesEncoder),
        check=embedding.check,
        chip=side,
        cell=cell or max(1, side // 4),
    )
    product = Numbers(tuple(f"dimension {k}" for k in range(loaded.dim)))
    about = {"encoder": card.sha256, "bands": list(own), "chip": side}
    area = None if clip is None else Path(clip)
    return map_scene(predictor, product, _input(given, None, Path(to)), Path(to), about=about, clip=area, how=how)


@dataclass(frozen=True, eq=False)
class _Embedding:
    """An encoder fed images by sensor."""

    encoder: Encoder
    bands: tuple[str, ...]

    def check(self, images: Mapping[str, Any]) -> None:
        """Raise ContractError unless units and pixel size are right."""
        self.encoder.check(Composer(self.bands).compose(dict(images), self.bands))

    def predict(self, images: Mapping[str, Any]) -> torch.Tensor:
        """Embeddings of chips."""
        return self.encoder.embed(Composer(self.bands).compose(dict(images), self.bands), trusted=True)


def say_of(judged: Judged) -> None:
    """Say what a reader must know of a network that was trained once more."""
    if judged.changed is None:
        said = f"the run has not judged {judged.row} there yet: how good it is, nobody knows"
    elif judged.changed:
        said = f"trained once more, it says something else of {100 * judged.changed:.2g} % of the test part"
    else:
        return
    console().print(said, soft_wrap=True)


def _input(given: Input | Path | str, recipe: Recipe | None, to: Path) -> Input:
    """The input, described by the recipe's own source where that is a folder and nothing else is said."""
    one = given if isinstance(given, Input) else Input(Path(given))
    one = replace(one, path=input_of(one.path, to))
    source = None if recipe is None else recipe.corpus.source
    if one.source or one.is_corpus or one.is_cube or source is None or source.name != "folder":
        return one
    said = source.model_dump(mode="json", include={"images", "quality"})
    return Input(one.path, said, one.date)


# -- what maps ---------------------------------------------------------------------------------------------------------


def _predictor(judged: Judged, corpus: Corpus, cell: int | None, how: How) -> Predictor:
    task, trained, bands = judged.task, judged.trained, judged.panel.input.bands
    located = [key.startswith(f"{LOCATION}/") for key in bands]
    if all(located):
        raise RecipeError(
            "the input is where a location lies, and no image, so that a map needs none",
            remedy="swath map --location ENCODER maps what an encoder says of all places",
        )
    series = task.config.dates != 1
    if task.per_pixel:
        if cell is not None:
            raise RecipeError("each pixel has a class, so the map's pixels are the input's", remedy="leave --cell out")
        network = _Pixels(trained)
        if how.window is not None:
            return Dense(network, bands, series, trained.check, MULTIPLE, how.window, OVERLAP, fixed=True)
        if not series and not any(located) and not _looks_far(network, bands):
            return Dense(network, bands, series, trained.check, MULTIPLE, WINDOW, OVERLAP)
        # what it says depends on the size of what it sees, or on its middle: it gets what it was trained on
        chip = corpus.info.chip_px
        return Dense(network, bands, series, trained.check, 1, chip, 3 * chip // 8, fixed=True)
    side = corpus.info.chip_px
    return Chips(trained.predict, trained.network, bands, series, trained.check, side, cell or side)


class _Pixels(nn.Module):
    """Probabilities of what was trained, as logits: their logarithm."""

    def __init__(self, trained: Trained):
        super().__init__()
        self.network, self.trained = trained.network, trained

    def forward(self, images: dict[str, Any]) -> torch.Tensor:
        """Log-probabilities "b k h w"."""
        return self.trained.predict(images).clamp_min(1e-30).log()


def _looks_far(network: nn.Module, bands: tuple[str, ...]) -> bool:
    """Whether what lies at a window's border changes what the network says of its middle: found by a trial.

    Networks with a global mean do (DeepLab), or norms over the picture, and transformers.
    """
    device = next(network.parameters()).device
    middle = slice(WINDOW // 2 - MULTIPLE, WINDOW // 2 + MULTIPLE)
    with torch.inference_mode():
        one, other = (
            network({sensor: image.to(device) for sensor, image in images.items()})[0, :, middle, middle]
            for images in trial(bands, WINDOW, WINDOW // 8)
        )
    return bool((one - other).abs().max() > FAR * one.std())


# -- what is mapped ----------------------------------------------------------------------------------------------------


def _product(task: Task, corpus: Corpus, *, entropy: bool) -> Product:
    several = task.parts["test"].multi_label
    if entropy and (several or task.regression):
        have = "several" if several else "numbers"
        raise RecipeError(
            f"entropy is of a choice among classes, and the task's locations have {have}",
            where=f"task {task.name}",
            remedy="leave --entropy out",
        )
    if task.regression:
        return Numbers((task.name,), task.unit)
    if several:
        return Presences(tuple(task.classes))
    return Classes(*legend(task, corpus), entropy)


def legend(task: Task, corpus: Corpus) -> tuple[tuple[int, ...], tuple[str, ...], tuple[str, ...]]:
    """Codes, names and colours of a task's classes: those of its layer of pixels, else counted from 1."""
    labels, target = targets(corpus, task.config.target), task.config.target
    if labels.maps is not None and isinstance(target, Pixels):
        shades = class_colours(corpus.label_layers[target.layer])
        codes = tuple(int(code) for code in labels.maps.codes)
        return codes, tuple(labels.classes), tuple(shades[code] for code in codes)
    named = dict(enumerate(task.classes, 1))
    shades = class_colours(LabelLayer(classes=named))
    return tuple(named), tuple(named.values()), tuple(shades[code] for code in named)
