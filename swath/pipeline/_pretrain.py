"""Pre-training a recipe's arms, each seed in a folder of its own."""

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import numpy as np

from swath import config as recipes
from swath import tasks, training
from swath._processes import side_by_side
from swath._progress import console
from swath.config import ArmConfig, Recipe
from swath.corpus import Corpus, CorpusInfo
from swath.corpus.splits import refuse_seen
from swath.encoders import InputContract, load_seen, own_start
from swath.errors import RecipeError, known_name
from swath.pipeline._corpus import build_corpus
from swath.pipeline._folder import arm_folder, corpus_path, run_folder
from swath.pipeline._gauge import gauge_set
from swath.pipeline._inputs import folds, parts_of, say_remarks, training_of
from swath.pipeline._reuse import take_over
from swath.training import Manifest
from swath.training.distributed import launch, leave
from swath.training.folder import alone, is_trained


def pretrain(
    recipe: Recipe,
    out: Path | str | None = None,
    *,
    arm: str | None = None,
    seed: int | None = None,
    jobs: int = 1,
    devices: int | Literal["auto"] = "auto",
    reuse: Sequence[Path | str] = (),
) -> list[Path]:
    """Pre-train the recipe's arms, all seeds of each, on the training part of the corpus alone.

    Args:
        recipe: a loaded recipe.
        out: folder of the run; `runs/NAME` if None.
        arm: only this one.
        seed: only this one.
        jobs: how many at a time; see `run`.
        devices: of each; see `run`.
        reuse: folders of other runs; see `run`.

    Returns:
        The checkpoints, one an arm and seed.

    Raises:
        RecipeError: several jobs, and several devices for each; a folder to reuse that holds no run, or several
            processes that would take from it.
    """
    on_many_devices = launch().by or devices not in ("auto", 1)
    if jobs > 1 and on_many_devices:
        raise RecipeError(
            "several pre-trainings at a time, and several devices for each, are asked for",
            where=f"--jobs {jobs}",
            remedy="leave one of the two out",
        )
    if reuse and launch().by:
        raise RecipeError(
            "pre-trainings of another run are taken over by one process, and several were started",
            where="--reuse",
            remedy="first start `swath pretrain` with the same recipe, --out and --reuse in one process",
        )
    arms = recipe.arms if arm is None else {known_name("arm", arm, recipe.arms): recipe.arms[arm]}
    if seed is not None and seed not in recipe.seeds:
        raise RecipeError(f"the recipe has no seed {seed}", remedy=f"it has {recipe.seeds}")
    folder = run_folder(recipe, out)
    corpus = _finished_corpus(recipe, folder) if launch().by else build_corpus(recipe, folder)
    wanted = [(name, one) for name in arms for one in (recipe.seeds if seed is None else [seed])]
    missing = [(name, one) for name, one in wanted if not is_trained(arm_folder(folder, name, one))]
    if missing and reuse:
        missing = take_over(recipe, folder, corpus, missing, [Path(run) for run in reuse])
    if missing:
        _check(recipe, corpus, missing)
    if jobs > 1 and len(missing) > 1:
        side_by_side(_pretrain_apart, [(folder, *one, jobs) for one in missing], jobs, "pre-training")
    else:
        for name, one in missing:
            _pretrain(recipe, folder, corpus, name, one, devices=devices)
    leave()
    return [arm_folder(folder, *one) / "encoder.safetensors" for one in wanted]


def _finished_corpus(recipe: Recipe, folder: Path) -> Corpus:
    """The corpus for one of a launcher's processes: the others would wait for one that has yet to be made.

    Raises:
        RecipeError: it is not there, or not complete.
    """
    path = corpus_path(recipe, folder)
    if not (path / "corpus.json").exists() or not CorpusInfo.read(path).complete:
        raise RecipeError(
            "several processes were started, and the corpus is not there yet",
            where=str(path),
            remedy="make it first, in one process: `swath corpus ingest` (or `build`) with the same recipe and --out",
        )
    return build_corpus(recipe, folder) if launch().rank == 0 else Corpus.open(path)


def _check(recipe: Recipe, corpus: Corpus, trainings: list[tuple[str, int]]) -> None:
    """Raise what recipe and corpus already say, before hours are spent; say what a reader must know of the tasks.

    Raises:
        SwathError: the corpus cannot be split, a task cannot be set up, or an arm cannot be trained.
    """
    tasks.folds_of(recipe.seeds, folds(recipe, corpus))
    planned = tasks.planned(recipe.tasks, folds(recipe, corpus), corpus)
    for task in planned:
        if not task.learnable:
            raise RecipeError(
                "the training part holds one class, so there is nothing to tell apart",
                where=f"task {task.name}",
                remedy="change the split's fractions or groups, or the target's rule",
            )
    say_remarks(planned)
    for name, seed in trainings:
        _check_start(recipe.arms[name], name, corpus, parts_of(recipe, corpus, seed)["test"])
    for name, seed in dict(trainings).items():  # one seed of each
        given = training_of(recipe.arms[name], corpus, parts_of(recipe, corpus, seed)["train"])
        by_days = training.check(**given, label=name)
        for task in planned if by_days else ():
            _check_days(task, name, given["contract"])


def _check_days(task: tasks.Task, arm: str, contract: InputContract) -> None:
    """RecipeError if an arm goes by days and those of what it would be judged on are not known."""
    for item in task.inputs.values():
        for sensor in dict.fromkeys(key.partition("/")[0] for key in item.bands if key in contract.bands):
            if undated := task.undated(sensor):
                raise RecipeError(
                    f"{arm} goes by the days of a series, and {sensor} has none of {undated} labelled locations",
                    where=f"task {task.name}, input {item.name}",
                    remedy="say when the images were taken, or leave these locations out with the task's `only`",
                )


def _check_start(arm: ArmConfig, name: str, corpus: Corpus, tested: np.ndarray) -> None:
    """RecipeError if an encoder that an arm starts or learns from saw what it would be judged on."""
    for path in training.learnt_from(arm.encoder, arm.method):
        if (seen := load_seen(path)) is not None:
            how = "starts" if path == own_start(arm.encoder) else "learns"
            refuse_seen(seen, corpus, tested, f"the encoder that {name} {how} from", path)


def _pretrain_apart(folder: Path, arm: str, seed: int, jobs: int) -> None:
    """One pre-training of a run whose corpus is there, in a process of its own."""
    recipe = recipes.load(folder / "recipe.yaml")
    corpus = Corpus.open(corpus_path(recipe, folder))
    _pretrain(recipe, folder, corpus, arm, seed, jobs)


def _pretrain(
    recipe: Recipe,
    folder: Path,
    corpus: Corpus,
    name: str,
    seed: int,
    jobs: int = 1,
    devices: int | Literal["auto"] = "auto",
) -> None:
    if launch().rank > 0:
        # the first process keeps others out, and the records
        _train(recipe, folder, corpus, name, seed, devices)
        return
    with alone(arm_folder(folder, name, seed)):
        if is_trained(arm_folder(folder, name, seed)):
            return
        console().print(f"pre-training {name}, seed {seed}")
        with Manifest.stage(folder, "pretrain", name, seed) as stage:
            stage.jobs = jobs
            stage.figures = _train(recipe, folder, corpus, name, seed, devices).figures


def _train(
    recipe: Recipe, folder: Path, corpus: Corpus, name: str, seed: int, devices: int | Literal["auto"]
) -> training.Pretrained:
    parts = parts_of(recipe, corpus, seed)
    given = training_of(recipe.arms[name], corpus, parts["train"])
    return training.pretrain(
        **given,
        seed=seed,
        out=arm_folder(folder, name, seed),
        provenance={"recipe": recipe.name, "recipe_hash": recipe.digest, "arm": name},
        knn=gauge_set(recipe, corpus, parts, given["contract"]),
        devices=devices,
        label=f"{name}, seed {seed}",
    )
