"""What there is to compute: one job per row, task and seed."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch

from swath.encoders import load, load_card
from swath.sensors import LOCATION
from swath.settings import Settings, counting
from swath.tasks import floors, references
from swath.tasks._types import Outcome
from swath.tasks.floors import FloorSettings
from swath.tasks.panel import Panel
from swath.tasks.probes import ProbeSettings, Validation
from swath.tasks.run.networks import Networks, named
from swath.tasks.run.results import digest
from swath.tasks.run.seen import checked
from swath.tasks.schema import ResultKey, Role
from swath.tasks.task import Task

_WORDS: dict[Role, str] = {"pretrained": "pretrained", "reference": "reference"}
"""What digests call roles, and `floor` for all others: with other words everything would be computed anew."""


@dataclass(frozen=True, eq=False, kw_only=True)
class Job:
    """One row of one task for one seed."""

    task: Task
    row: str
    role: Role
    of_arm: str = ""
    seed: int
    source: Any
    """Plain data that identifies what is judged."""
    panels: list[Panel]
    """The panels in which it has a result."""
    outcomes: Callable[[Sequence[Panel]], Iterator[Outcome]]
    """A function that computes its outcomes in some of these panels."""
    once: Callable[[ProbeSettings], Validation | None] = lambda _: None
    """What earlier versions used the validation labels for beside a probe; None where they did as the probe does."""
    settings: tuple[str, ...] = ()
    """Names of task settings that it depends on besides those that all rows depend on."""
    remark: str = ""
    """What a reader must know of the row whatever came out."""

    @property
    def remarks(self) -> str:
        """What a reader must know of the row, and of the labels that were drawn for it."""
        return "; ".join(filter(None, [self.remark, self.task.unseen if self.task.draw else ""]))

    def key(self, panel: tuple[str, str], replicate: int) -> ResultKey:
        """Key of its result in a panel, as the tables have it."""
        task, fold = self.task.name, self.task.fold
        about = {"row": self.row, "role": self.role, "of_arm": self.of_arm, "seed": self.seed}
        return ResultKey(task=task, input=panel[0], probe=panel[1], **about, fold=fold, replicate=replicate)

    def about(self, panel: tuple[str, str]) -> dict[str, Any]:
        """Plain data that says whose result in a panel a file holds."""
        return {"task": self.task.name, "row": self.row, "input": panel[0], "probe": panel[1], "seed": self.seed}

    def digests(self) -> dict[tuple[str, str], str]:
        """Digest of everything that its result in each panel depends on.

        What counts of the task's settings is marked on these (`TaskConfig`).
        """
        task = self.task
        settings = counting(task.config) | {name: _said(task.config, name) for name in self.settings}
        # the first sensor leads in the choice of dates; the location has none
        sensors = [sensor for sensor in task.reader.reads if sensor != LOCATION]
        parted = counting(task.split_config) if task.split_config else None
        common = (task.corpus.content_hash, parted, settings, task.name, sensors)
        row = (self.row, _WORDS.get(self.role, "floor"), self.seed, self.source)
        return {panel.key: digest(*common, *self._of_panel(panel, row)) for panel in self.panels}

    def _of_panel(self, panel: Panel, row: tuple) -> tuple:
        teacher = [self.task.inputs[name].bands for name in panel.probe.taught_by()]
        name, label = panel.key
        probe = counting(panel.probe)
        # the first draw of the labels is the one that there was before there were others
        draw = [{"draw": self.task.draw}] if self.task.draw else []
        use = panel.probe.validation()
        anew = [] if self.once(panel.probe) in (None, use) else [{"validation": use}]
        return name, panel.input.bands, label, probe, *row, *([teacher] if teacher else []), *draw, *anew


def jobs_of(
    drawn: Mapping[int, Task], encoders: Mapping[tuple[str, int], Path], networks: Networks, seen: str = ""
) -> Iterator[Job]:
    """Everything there is to do for a task, in the order of its tables: arms, references, floors.

    Args:
        drawn: by seed, the task with the labels that are drawn for it.
        encoders: by arm and seed.
        networks: of the arms, untrained.
        seen: what must be said of encoders that are judged whatever they were pre-trained on; empty: they are not.

    Raises:
        RecipeError: an encoder was pre-trained on locations that the task tests.
        SwathError: an encoder cannot be read.
    """
    first = next(iter(drawn.values()))
    several_draws = len({task.draw for task in drawn.values()}) > 1
    for (arm, seed), path in encoders.items():
        shared = ONE_PRETRAINING if _is_shared(arm, encoders) else ""
        remark = seen or "; ".join(filter(None, [shared, checked(drawn[seed], arm, path)]))
        yield _pretrained(drawn[seed], arm, seed, path, remark)
    for name, reference in first.config.references.items():
        for seed, task in drawn.items():
            yield Job(
                task=task,
                row=name,
                role="reference",
                seed=seed,
                source=reference.network.model_dump(mode="json"),
                panels=references.panels(reference, task),
                outcomes=partial(references.outcomes, reference, task, seed=seed, device=_device()),
            )
    for floor in first.config.floors:
        for seed in list(drawn)[: None if floor.random or several_draws else 1]:
            yield from _floor_jobs(drawn[seed], floor, seed, networks)


ONE_PRETRAINING = "one pre-training for all seeds: intervals and verdicts know nothing of its luck"


def _is_shared(arm: str, encoders: Mapping[tuple[str, int], Path]) -> bool:
    """Whether one encoder stands for several seeds."""
    own = [path for (name, _), path in encoders.items() if name == arm]
    return len(set(own)) < len(own)


def _pretrained(task: Task, arm: str, seed: int, path: Path, remark: str) -> Job:
    card = load_card(path)

    def outcomes(panels: Sequence[Panel]) -> Iterator[Outcome]:
        return task.outcomes(load(path).to(_device()), panels, seed, pretrained=True)

    return Job(
        task=task,
        row=arm,
        role="pretrained",
        of_arm=arm,
        seed=seed,
        # the statistics of the bands are no weights
        source=digest(card.sha256, card.contract.as_dict()),
        panels=task.panels,
        outcomes=outcomes,
        remark=remark,
    )


def _floor_jobs(task: Task, floor: FloorSettings, seed: int, networks: Networks) -> Iterator[Job]:
    panels = [panel for panel in task.panels if floor.stands(task, panel)]
    if not panels:
        return

    def outcomes(wanted: Sequence[Panel], arm: str | None) -> Iterator[Outcome]:
        network = networks.build(arm, seed).to(_device()) if arm else None
        return floors.outcomes(floor, task, wanted, seed, network)

    rows = named(floor.row, networks.of(task.config.floor_arms)) if floor.needs_network else {floor.row: [None]}
    for row, arms in rows.items():
        name = floor.name if arms[0] is None else networks.fingerprint(arms[0], seed)
        yield Job(
            task=task,
            row=row,
            role=floor.role,
            of_arm=",".join(arm for arm in arms if arm),
            seed=seed,
            source=name if floor == floors.find(floor.name) else [name, floor.model_dump(mode="json")],
            panels=panels,
            outcomes=partial(outcomes, arm=arms[0]),
            once=floor.once,
            settings=floor.task_settings,
        )


def _said(config: Settings, name: str) -> Any:
    """One of the settings, as far as results depend on it, as plain data."""
    section = getattr(config, name)
    return counting(section) if isinstance(section, Settings) else config.model_dump(mode="json")[name]


def _device() -> str:
    return "cuda" if torch.cuda.is_available() else "cpu"
