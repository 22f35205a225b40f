"""The whole job, and its last step."""

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from swath import config as recipes
from swath.config import Recipe
from swath.pipeline._evaluate import evaluate
from swath.pipeline._folder import run_folder
from swath.pipeline._pretrain import pretrain
from swath.pipeline._sweep import CONFIRMATION, confirmation, set_aside, tell_effects
from swath.products.report import report as write_report
from swath.products.report import require_run
from swath.training import Manifest
from swath.training.distributed import launch


def run(
    recipe: Recipe | str,
    out: Path | str | None = None,
    *,
    jobs: int = 1,
    devices: int | Literal["auto"] = "auto",
    reuse: Sequence[Path | str] = (),
) -> Path:
    """Corpus if missing, pre-training, evaluation, report; of a sweep also its effects, and its best arm once more.

    Args:
        recipe: a loaded recipe, or the name or path of one.
        out: folder of the run; `runs/NAME` if None.
        jobs: how many pre-trainings, then parts of the evaluation, run at a time, each in a process of its own with
            its share of the cores. A script that asks for several has to guard them by `if __name__ == "__main__"`.
        devices: how many train an encoder together, each in a process of its own; "auto": all GPUs, or the CPU. Under
            torchrun or srun all processes train, and the first does the rest.
        reuse: folders of other runs. Pre-trainings that they have made with the same settings, seed, locations and
            version of swath are copied instead of being made anew.

    Returns:
        Path of the report.

    Raises:
        SwathError: what is wrong, where, and what to do.
    """
    recipe = recipes.load(recipe) if isinstance(recipe, str) else recipe
    folder = run_folder(recipe, out)
    pretrain(recipe, folder, jobs=jobs, devices=devices, reuse=reuse)
    if launch().rank > 0:
        return folder / "report.html"
    if recipe.tasks:
        evaluate(recipe, folder, jobs=jobs)
    if recipe.tasks and recipe.sweep:
        tell_effects(recipe, folder)
        if once_more := confirmation(recipe, folder):
            set_aside(folder, once_more)
            run(once_more, folder / CONFIRMATION, jobs=jobs, devices=devices)
    return report(folder)


def report(run: Path | str) -> Path:
    """Write `report.html` of a run from its files.

    Raises:
        SwathError: there is no run in that folder; nothing is written there.
    """
    run = Path(run)
    require_run(run)
    with Manifest.stage(run, "report"):
        return write_report(run)
