"""The main job from Python: `swath.run("quickstart")` and its single steps.

Every step continues where it stopped: a corpus is built in committed parts, a pre-training from its last checkpoint,
an evaluation cell by cell, and what is complete is not done again.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from filelock import FileLock, Timeout

from swath import config as recipes
from swath import plugins, tasks, training, views
from swath._files import whole, write_whole
from swath._processes import side_by_side
from swath._progress import console
from swath.config import ArmConfig, Recipe
from swath.corpus import Corpus, CorpusInfo, Reader, Selection
from swath.corpus.places import draw
from swath.corpus.seen import refuse_seen
from swath.corpus.sources import ANSWERS, new_files, same_settings, say_unknown
from swath.corpus.sources import build as build_from_source
from swath.corpus.sources._stac.cost import Cost, Rate, cost
from swath.corpus.sources._stac.section import StacSection, footprint
from swath.corpus.split import SplitConfig, rotations, split
from swath.corpus.subset import rows_of
from swath.corpus.targets import targets
from swath.encoders import Encoder, InputContract, fresh, load_card, load_seen, own_start
from swath.encoders import build as build_encoder
from swath.errors import RecipeError, TrainingError, nearest
from swath.products.draw.plan_map import draw_map
from swath.products.report import report as write_report
from swath.products.report import require_run
from swath.recipes import is_file, shipped
from swath.settings import differences
from swath.tasks.data import features
from swath.training import LabelledSet, Manifest
from swath.training.distributed import launch, leave
from swath.training.pretrain import seeded

Rows = dict[str, np.ndarray]
"""Rows of `corpus.locations` by part of the split: train, val, test."""

GAUGE_CHIPS = 500
"""Labelled chips of the k-NN gauge at most: enough to see a trend, and little beside a training step."""
SHARES = 4
"""Of an evaluation for each of its processes: enough that none waits long for the last."""
GAUGE_SERIES, GAUGE_DATES = 200, 12
"""Of series fewer, and only so many dates of each."""


def run(
    recipe: Recipe | str, out: Path | str | None = None, *, jobs: int = 1, devices: int | Literal["auto"] = "auto"
) -> Path:
    """Corpus if missing, pre-training, evaluation, report.

    Args:
        recipe: a loaded recipe, or the name or path of one.
        out: folder of the run; `runs/NAME` if None.
        jobs: how many pre-trainings, then parts of the evaluation, run at a time, each in a process of its own with
            its share of the cores. A script that asks for several has to guard them by `if __name__ == "__main__"`.
        devices: how many train an encoder together, each in a process of its own; "auto": all GPUs, or the CPU. Under
            torchrun or srun all processes train, and the first does the rest.

    Returns:
        Path of the report.

    Raises:
        SwathError: what is wrong, where, and what to do.
    """
    recipe = recipes.load(recipe) if isinstance(recipe, str) else recipe
    folder = run_folder(recipe, out)
    pretrain(recipe, folder, jobs=jobs, devices=devices)
    if launch().rank > 0:
        return folder / "report.html"
    if recipe.tasks:
        evaluate(recipe, folder, jobs=jobs)
    return report(folder)


def run_folder(recipe: Recipe, out: Path | str | None) -> Path:
    """The folder of this recipe's run, made if needed; it holds the resolved recipe.

    Raises:
        RecipeError: the folder holds a run of a recipe that says something else.
    """
    folder = Path(out) if out else Path("runs") / recipe.name
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except (OSError, ValueError) as error:
        said = error.strerror if isinstance(error, OSError) else error
        raise RecipeError(
            f"cannot make the run's folder: {said}", where=str(folder), remedy="give another with --out"
        ) from error
    stored = folder / "recipe.yaml"
    there = recipes.load(stored) if stored.exists() else None
    changed = _changed(there, recipe, folder) if there else ()
    if said := "\n".join(f"    {change}" for change in changed):
        raise RecipeError(
            f"the folder holds a run of another recipe:\n{said}",
            where=str(folder),
            remedy="give another folder with --out, or remove this one to start anew",
        )
    write_whole(stored, recipes.dump(recipe))
    return folder


def _changed(there: Recipe, recipe: Recipe, folder: Path) -> list[str]:
    """What of a run's recipe is another, and would belie what its folder holds."""
    was, now = _fixed(there), _fixed(recipe)
    if not _trained(folder):
        # nothing was trained: only the corpus depends on the recipe
        was, now = ({"corpus": one["corpus"]} for one in (was, now))
    return list(differences(was, now)) if _begun(there, folder) else []


def _trained(folder: Path) -> bool:
    """Whether a run has begun a pre-training."""
    return any((folder / "pretrain").glob("*/*/config.json"))


def _begun(recipe: Recipe, folder: Path) -> bool:
    """Whether a folder holds anything that a change of the recipe would belie: a stored location is the first."""
    path = corpus_path(recipe, folder)
    if not (path / "corpus.json").exists():
        return False
    # a whole corpus has locations; its index need not be read to know
    return CorpusInfo.read(path).complete or len(Corpus.open(path)) > 0


def _fixed(recipe: Recipe) -> dict[str, Any]:
    """What of a recipe may not change once its run has begun."""
    # tasks may change: finished cells are kept under a hash of all that they depend on
    content = recipe.model_dump(mode="json", exclude={"data", "description", "tasks"})
    if content["corpus"]["source"]:
        for key in ANSWERS:
            content["corpus"]["source"].pop(key, None)
    return content


def corpus_path(recipe: Recipe, folder: Path) -> Path:
    """Where the corpus of a recipe's run is."""
    return recipe.corpus.path or folder / "corpus"


def build_corpus(recipe: Recipe, out: Path | str | None = None) -> Corpus:
    """The recipe's corpus: opened where it is complete and the data hold nothing new, else made or completed.

    Raises:
        CorpusError: the corpus that is there was made with other settings, or files of it were changed or are gone.
        RecipeError: there are new files, or another corpus, and the run has trained on what was there.
    """
    folder = run_folder(recipe, out)
    path, source = corpus_path(recipe, folder), recipe.corpus.source
    there = Corpus.open(path) if source is None or (path / "corpus.json").exists() else None
    if there is not None and (source is None or there.info.complete):
        if source is not None:
            same_settings(source, path)
        new = new_files(source, path, recipe.data)
        if new is None and _trained(folder):
            say_unknown(path, "whether others are there now cannot be told")
            new = set()
        if new is not None and not new:
            return _record_corpus(folder, recipe, there)
        if new and _trained(folder):
            raise RecipeError(
                f"there are {len(new)} new files, such as {min(new)}, and the run has trained without them",
                where=str(recipe.data),
                remedy="give another folder with --out for a run with them, or data=null to go on without them",
            )
    with Manifest.stage(folder, "corpus") as stage:
        corpus = make_corpus(recipe.corpus.source, path, recipe.data)
        stage.figures = {"locations": len(corpus.locations), "chips": len(corpus.chips)}
    return _record_corpus(folder, recipe, corpus)


def make_corpus(source: Any, target: Path, data: Path | None) -> Corpus:
    """Make, or complete, the corpus at `target` from a source's settings."""
    build_from_source(source, target, data)
    return Corpus.open(target)


def plan_corpus(
    what: str,
    settings: list[str] | None,
    to: Path,
    land: Path | None = None,
    chip_px: int = 264,
    gsd_m: float = 10.0,
    workers: int = 8,
    request_s: float = 0.1,
) -> tuple[int, Cost | None]:
    """Draw the locations of a corpus to be built, write them to `to` and a map beside it.

    Args:
        what: a recipe whose source is `stac`, or the name of a strategy.
        settings: overrides of the recipe, or settings of the strategy, `key=value` each.
        to: GeoParquet file; the map is the same with `.png`.
        land: polygons for the map.
        chip_px: width of a chip, for a strategy; a recipe says it itself.
        gsd_m: size of a pixel, likewise.
        workers: processes that the estimate counts on.
        request_s: seconds a request, likewise.

    Returns:
        How many locations there are, and what building will cost at most; no cost for a strategy, of which no products
        are known.

    Raises:
        RecipeError: neither a recipe of that kind nor a strategy.
    """
    strategies = plugins.names("swath.corpus.places")
    strategy = what in strategies
    if not is_file(what) and what not in (known := [*strategies, *shipped()]):
        raise RecipeError(f"neither a strategy nor a recipe is called {what!r}", remedy=nearest(what, known))
    if strategy:
        # what is not about places stands here only to make the section whole
        rest = ["when={name: seasons, year: 2020}", "products=[{sensor: sentinel-2-l2a}]"]
        where = [f"where.name={what}", *(f"where.{setting}" for setting in settings or [])]
        section = recipes.resolve_source("stac", [*where, *rest, f"chip_px={chip_px}", f"gsd_m={float(gsd_m)}"])
    else:
        section = recipes.load(what, settings).corpus.source
    if not isinstance(section, StacSection):
        raise RecipeError(
            f"the source of {what} is not stac, so there is nothing to plan", remedy="see build-s1-s2-series"
        )
    plan = draw(section.where, footprint(section))
    to.parent.mkdir(parents=True, exist_ok=True)
    with whole(to) as temporary:
        plan.to_parquet(temporary, index=False)
    draw_map(plan, to.with_suffix(".png"), land)
    return len(plan), None if strategy else cost(section, plan, Rate(request_s, workers))


def pretrain(
    recipe: Recipe,
    out: Path | str | None = None,
    *,
    arm: str | None = None,
    seed: int | None = None,
    jobs: int = 1,
    devices: int | Literal["auto"] = "auto",
) -> list[Path]:
    """Pre-train the recipe's arms, all seeds of each, on the training part of the corpus alone.

    Args:
        recipe: a loaded recipe.
        out: folder of the run; `runs/NAME` if None.
        arm: only this one.
        seed: only this one.
        jobs: how many at a time; see `run`.
        devices: of each; see `run`.

    Returns:
        The checkpoints, one an arm and seed.

    Raises:
        RecipeError: several jobs, and several devices for each.
    """
    several = launch().by or devices not in ("auto", 1)
    if jobs > 1 and several:
        raise RecipeError(
            "several pre-trainings at a time, and several devices for each, are asked for",
            where=f"--jobs {jobs}",
            remedy="leave one of the two out",
        )
    arms = {arm: _named(recipe.arms, arm, "arm")} if arm is not None else recipe.arms
    if seed is not None and seed not in recipe.seeds:
        raise RecipeError(f"the recipe has no seed {seed}", remedy=f"it has {recipe.seeds}")
    folder = run_folder(recipe, out)
    corpus = _finished_corpus(recipe, folder) if launch().by else build_corpus(recipe, folder)
    wanted = [(name, one) for name in arms for one in (recipe.seeds if seed is None else [seed])]
    missing = [(name, one) for name, one in wanted if not _is_trained(arm_folder(folder, name, one))]
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
    for task in tasks.planned(recipe.tasks, folds(recipe, corpus), corpus):
        if not task.learnable:
            raise RecipeError(
                "the training part holds one class, so there is nothing to tell apart",
                where=f"task {task.name}",
                remedy="change the split's fractions or groups, or the target's rule",
            )
        for remark in task.remarks:
            console().print(f"task {task.name}: {remark}", soft_wrap=True)
    for name, seed in trainings:
        _check_start(recipe.arms[name], name, corpus, _parts(recipe, corpus, seed)["test"])
    for name, seed in dict(trainings).items():  # one seed of each
        arm = recipe.arms[name]
        training.check(
            encoder_config=arm.encoder,
            method_config=arm.method,
            views_config=arm.views,
            train=arm.training,
            contract=contract_of(arm, corpus),
            corpus=corpus,
            locations=rows_of(corpus, _parts(recipe, corpus, seed)["train"], arm.only),
        )


def _check_start(arm: ArmConfig, name: str, corpus: Corpus, tested: np.ndarray) -> None:
    """RecipeError if the encoder that an arm starts from saw what it would be judged on: before it is trained."""
    start = own_start(arm.encoder)
    if start and (seen := load_seen(start)) is not None:
        refuse_seen(seen, corpus, tested, f"the encoder that {name} starts from", start)


def _parts(recipe: Recipe, corpus: Corpus, seed: int) -> Rows:
    """The split that a seed is trained with."""
    return split(corpus, tasks.folds_of(recipe.seeds, folds(recipe, corpus))[seed])


def _is_trained(out: Path) -> bool:
    return (out / "encoder.json").exists() and (out / "encoder.safetensors").exists()


def _pretrain_apart(folder: Path, arm: str, seed: int, jobs: int) -> None:
    """One pre-training of a run whose corpus is there, in a process of its own."""
    recipe = recipes.load(folder / "recipe.yaml")
    corpus = Corpus.open(corpus_path(recipe, folder))
    _pretrain(recipe, folder, corpus, arm, seed, jobs)


def folds(recipe: Recipe, corpus: Corpus) -> list[SplitConfig]:
    """The recipe's splits: one, or all folds that its seeds rotate over."""
    return rotations(corpus, recipe.split) if recipe.rotate else [recipe.split]


def evaluate(
    recipe: Recipe,
    out: Path | str | None = None,
    *,
    encoders: Mapping[str, Path | str] | None = None,
    jobs: int = 1,
) -> Path:
    """Judge the recipe's encoders, and others that were saved anywhere, beside the floors, on its tasks.

    Args:
        recipe: a loaded recipe; it may have no arms.
        out: folder of the run; `runs/NAME` if None.
        encoders: saved encoders by the name of their row, for rows beside the recipe's arms; one for all seeds.
        jobs: how many parts at a time; see `run`.

    Returns:
        The folder of predictions.parquet, table.csv and comparisons.csv.

    Raises:
        RecipeError: an arm is not pre-trained yet, or an encoder has the name of an arm or was pre-trained on what is
            tested.
        CheckpointError: an encoder is missing or damaged.
    """
    given = {name: Path(path).absolute() for name, path in (encoders or {}).items()}
    for name in given:
        if name in recipe.arms or not recipes.is_name(name):
            why = "that is an arm of the recipe" if name in recipe.arms else "use letters, digits, '-' and '_'"
            raise RecipeError(f"an encoder cannot be called {name!r}: {why}", remedy="give it another name: NAME=PATH")
    folder = run_folder(recipe, out)
    corpus = build_corpus(recipe, folder)
    for path in (arm_folder(folder, arm, seed) for arm in recipe.arms for seed in recipe.seeds):
        if not _is_trained(path):
            raise RecipeError(
                f"arm {path.parent.name!r} is not pre-trained for seed {path.name.removeprefix('seed-')}",
                where=str(path),
                remedy="`swath pretrain` first",
            )
    with Manifest.stage(folder, "evaluate") as stage:
        if jobs > 1:
            shares = SHARES * jobs
            side_by_side(_evaluate_apart, [(folder, part, shares, given) for part in range(shares)], jobs, "evaluating")
        stage.figures = _evaluation(recipe, folder, corpus, given).run()
        stage.figures |= {"encoders": {name: load_card(path).sha256 for name, path in given.items()}} if given else {}
    return folder / "evaluate"


def _evaluate_apart(folder: Path, part: int, parts: int, given: Mapping[str, Path]) -> None:
    """A share of the cells of a run that is pre-trained, in a process of its own."""
    recipe = recipes.load(folder / "recipe.yaml")
    _evaluation(recipe, folder, Corpus.open(corpus_path(recipe, folder)), given).compute(part, parts)


def _evaluation(recipe: Recipe, folder: Path, corpus: Corpus, given: Mapping[str, Path]) -> tasks.Evaluation:
    encoders = {(arm, seed): arm_folder(folder, arm, seed) / "encoder" for arm in recipe.arms for seed in recipe.seeds}
    encoders |= {(name, seed): path for name, path in given.items() for seed in recipe.seeds}

    def untrained(arm: str, seed: int) -> Encoder:
        with seeded(seed):
            if arm in given:
                return fresh(given[arm])
            config = recipe.arms[arm]
            # where an arm starts from an encoder that is trained already, the floors do not
            new = config.encoder.model_copy(update={"weights": None}) if own_start(config.encoder) else config.encoder
            return build_encoder(new, contract_of(config, corpus))

    return tasks.Evaluation(
        recipe.tasks, folds(recipe, corpus), corpus, encoders, untrained, recipe.seeds, folder / "evaluate"
    )


def report(run: Path | str) -> Path:
    """Write `report.html` of a run from its files.

    Raises:
        SwathError: there is no run in that folder; nothing is written there.
    """
    run = Path(run)
    require_run(run)
    with Manifest.stage(run, "report"):
        return write_report(run)


def arm_folder(run: Path, arm: str, seed: int) -> Path:
    """Where one pre-training lives."""
    return run / "pretrain" / arm / f"seed-{seed}"


def contract_of(arm: ArmConfig, corpus: Corpus) -> InputContract:
    """What the arm's encoder is fed, with the corpus's statistics.

    Raises:
        ContractError: the corpus has no statistics of a band that the views hold.
    """
    inputs = views.build(arm.views).inputs
    contract = features.contract_of(corpus, inputs.bands)
    return replace(contract, channels=inputs.channels, fixed=inputs.fixed, branches=inputs.branches)


def _record_corpus(folder: Path, recipe: Recipe, corpus: Corpus) -> Corpus:
    with Manifest.changed(folder) as manifest:
        was = manifest.corpus.get("hash", corpus.content_hash)
        if was != corpus.content_hash and _trained(folder):
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
    return corpus


def _named(mapping: dict[str, Any], name: str, kind: str) -> Any:
    if name not in mapping:
        raise RecipeError(f"the recipe has no {kind} {name!r}", remedy=nearest(name, mapping))
    return mapping[name]


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
    with _alone(arm_folder(folder, name, seed)):
        if _is_trained(arm_folder(folder, name, seed)):
            return
        console().print(f"pre-training {name}, seed {seed}")
        with Manifest.stage(folder, "pretrain", name, seed) as stage:
            stage.jobs = jobs
            stage.figures = _train(recipe, folder, corpus, name, seed, devices).figures


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Keep other processes out of a pre-training's folder; the system lets them in when this one ends, however."""
    folder.mkdir(parents=True, exist_ok=True)
    try:
        with FileLock(folder / ".lock", timeout=0):
            yield
    except Timeout:
        raise TrainingError(
            "another process is at this pre-training",
            where=str(folder),
            remedy="wait for it, or give this one another arm or seed",
        ) from None


def _train(
    recipe: Recipe, folder: Path, corpus: Corpus, name: str, seed: int, devices: int | Literal["auto"]
) -> training.Pretrained:
    arm = recipe.arms[name]
    parts = _parts(recipe, corpus, seed)
    contract = contract_of(arm, corpus)
    return training.pretrain(
        encoder_config=arm.encoder,
        method_config=arm.method,
        views_config=arm.views,
        train=arm.training,
        contract=contract,
        corpus=corpus,
        locations=rows_of(corpus, parts["train"], arm.only),
        seed=seed,
        out=arm_folder(folder, name, seed),
        provenance={"recipe": recipe.name, "recipe_hash": recipe.digest, "arm": name},
        knn=_gauge_set(recipe, corpus, parts, contract),
        devices=devices,
        label=f"{name}, seed {seed}",
    )


def _gauge_set(recipe: Recipe, corpus: Corpus, parts: Rows, contract: InputContract) -> LabelledSet | None:
    """Labelled chips of the validation part for the k-NN gauge: looked at while training, never learnt from."""
    if not recipe.tasks:
        return None
    task = next(iter(recipe.tasks.values()))
    sensor = contract.bands[0].partition("/")[0]
    bands = [key.partition("/")[2] for key in contract.bands if key.startswith(f"{sensor}/")][: contract.channels]
    if len(bands) < contract.channels:
        return None
    labelled = targets(corpus, task.target)
    series = not isinstance(task.dates, int)
    val = rows_of(corpus, parts["val"], task.only)
    chosen = np.flatnonzero(np.isin(labelled.locations, val))[: GAUGE_SERIES if series else GAUGE_CHIPS]
    reader = Reader(corpus, {sensor: bands})
    select = Selection(dates="all" if series else 1, most=GAUGE_DATES if series else None, tag=task.tag)
    there = np.isin(labelled.locations[chosen], reader.sampler(select).complete(labelled.locations[chosen]))
    chosen = chosen[there]
    if len(chosen) < 2:
        return None
    rows = labelled.locations[chosen]
    groups = np.unique(corpus.locations["group"].to_numpy()[rows], return_inverse=True)[1]
    return LabelledSet(
        image=reader.batch(rows, select).images[sensor],
        classes=torch.from_numpy(labelled.y[chosen]),
        groups=torch.from_numpy(groups),
    )
