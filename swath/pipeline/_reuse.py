"""Pre-trainings that another run has made already, so that this one need not."""

import shutil
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from swath import __version__, encoders, training
from swath._files import read_json, replacing
from swath._progress import console
from swath.config import Recipe
from swath.corpus import Corpus
from swath.encoders import load_card, load_seen
from swath.errors import RecipeError
from swath.pipeline._folder import arm_folder
from swath.pipeline._inputs import parts_of, training_of
from swath.settings import differences
from swath.training import Manifest, Stage
from swath.training.folder import alone, is_trained

FILES = ("config.json", "log.csv", "encoder.seen.parquet", "encoder.safetensors", "encoder.json")
"""What a finished pre-training consists of, the one that makes it whole last; a short one has no log."""
SAID = 3
"""Number of differences that are said of a pre-training that cannot be taken over."""


@dataclass(frozen=True, slots=True)
class _Training:
    """All that decides what a pre-training comes out as."""

    settings: dict[str, Any]
    """As its config.json says them."""
    uids: frozenset[str]
    """The locations that are trained on."""
    version: str
    """Of swath."""

    def differences(self, wanted: "_Training") -> list[str]:
        """In what another one is not the same, in words."""
        if found := list(differences(self.settings, wanted.settings)):
            return found
        if self.uids != wanted.uids:
            return [f"{len(self.uids - wanted.uids)} other locations among {len(self.uids)}"]
        return list(differences(self.version, wanted.version, "swath"))


@dataclass(frozen=True, slots=True)
class _Made:
    """A finished pre-training of another run."""

    run: Path
    stage: Stage
    folder: Path
    training: _Training


def take_over(
    recipe: Recipe, folder: Path, corpus: Corpus, missing: Sequence[tuple[str, int]], runs: Sequence[Path]
) -> list[tuple[str, int]]:
    """Copy from other runs the pre-trainings that are the same as missing ones, and return those still missing.

    The same are all settings, the seed, the corpus, every location that was trained on, and the version of swath; arms
    may have other names there. An arm that starts or learns from an encoder's file is trained anew, as that file may
    have changed.

    Args:
        recipe: of this run.
        folder: of this run.
        corpus: of this run.
        missing: arms and seeds that have yet to be trained.
        runs: folders of other runs.

    Raises:
        RecipeError: one of the folders holds no run, or is this run's own.
        CheckpointError: a pre-training is the same, and its encoder is damaged.
    """
    made = [one for run in runs for one in _made_in(run, folder)]
    left: list[tuple[str, int]] = []
    reasons: dict[str, str] = {}
    for name, seed in missing:
        wanted = _wanted(recipe, corpus, name, seed)
        same = wanted and next((one for one in made if not one.training.differences(wanted)), None)
        if same:
            _take(same, folder, name, seed)
        else:
            left.append((name, seed))
            reasons.setdefault(name, f"seed {seed}: {_why_not(wanted, made)}")
    for name, reason in reasons.items():
        console().print(f"{name} is trained here, {reason}", soft_wrap=True)
    said = f"{len(missing) - len(left)} of {len(missing)} pre-trainings are taken from {', '.join(map(str, runs))}"
    console().print(said, soft_wrap=True)
    return left


def _made_in(run: Path, folder: Path) -> list[_Made]:
    if not (run / "manifest.json").is_file():
        raise RecipeError(
            "no run here: there is no manifest.json", where=str(run), remedy="give the folder that `swath run` made"
        )
    if run.resolve() == folder.resolve():
        raise RecipeError("this is the run itself", where=str(run), remedy="it continues by itself: leave --reuse out")
    stages = [one for one in Manifest.open(run).stages if (one.stage, one.status) == ("pretrain", "done")]
    placed = [(one, arm_folder(run, str(one.arm), int(one.seed or 0))) for one in stages]
    return [_Made(run, one, at, _training_of(at)) for one, at in placed if is_trained(at)]


def _training_of(folder: Path) -> _Training:
    """What a finished pre-training was; an encoder of which nobody knows what it saw fits no wish."""
    encoder = folder / "encoder"
    seen = load_seen(encoder)
    uids = frozenset[str]() if seen is None else frozenset(seen["uid"])
    return _Training(read_json(folder / "config.json"), uids, load_card(encoder).swath_version)


def _wanted(recipe: Recipe, corpus: Corpus, name: str, seed: int) -> _Training | None:
    """What a pre-training of the recipe will be; None where it begins with what a file holds."""
    arm = recipe.arms[name]
    if training.learnt_from(arm.encoder, arm.method) or encoders.saw_unknown_places(arm.encoder):
        return None
    given = training_of(arm, corpus, parts_of(recipe, corpus, seed)["train"])
    uids = frozenset(corpus.locations.iloc[given["locations"]]["uid"])
    return _Training(training.settings_of(**given, seed=seed), uids, __version__)


def _take(made: _Made, folder: Path, name: str, seed: int) -> None:
    encoders.load(made.folder / "encoder")
    target = arm_folder(folder, name, seed)
    origin = {"taken from": f"{made.run.resolve().name}, {made.stage.arm}"}
    with alone(target), Manifest.changed(folder) as manifest:
        for file in (one for one in FILES if (made.folder / one).exists()):
            with replacing(target / file) as partial:
                shutil.copyfile(made.folder / file, partial)
        manifest.put(replace(made.stage, arm=name, figures=made.stage.figures | origin))


def _why_not(wanted: _Training | None, made: Sequence[_Made]) -> str:
    """Why a pre-training cannot be taken over: in what the most similar one of its seed is another."""
    if wanted is None:
        return "it begins with an encoder's file, which may have changed"
    of_seed = [one for one in made if one.stage.seed == wanted.settings["seed"]]
    if not of_seed:
        return "there is none of that seed"
    nearest = min(of_seed, key=lambda one: len(one.training.differences(wanted)))
    unlike = nearest.training.differences(wanted)
    more = f"; and {len(unlike) - SAID} more" if len(unlike) > SAID else ""
    return f"nearest is {nearest.stage.arm} of {nearest.run}, with {'; '.join(unlike[:SAID])}{more}"
