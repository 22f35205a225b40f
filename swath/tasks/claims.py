"""A recipe's claims, checked against its arms and tasks, and expanded by task, number of labels and input."""

from collections.abc import Iterator, Mapping, Sequence

from swath.errors import RecipeError, known_name
from swath.tasks.budget import LabelBudget
from swath.tasks.config import TaskConfig, by_budget, inputs_of
from swath.tasks.statistics import Claim, band_parts


def stated_claims(
    claims: Sequence[Claim] | None, tasks: Mapping[str, TaskConfig], arms: Sequence[str], *, some_are_away: bool = False
) -> tuple[Claim, ...] | None:
    """Claims with the name of a task, an input and a probe each; None if none were stated.

    Args:
        claims: as a recipe states them: whatever they leave out, they claim of all tasks, numbers of labels or inputs.
        tasks: by name, as the recipe has them.
        arms: names of all rows that are pre-trained.
        some_are_away: a name that nothing here has may be that of an arm that is not judged. A claim about it will be
            among the results, without one.

    Raises:
        RecipeError: a claim is about an arm, task, input, probe or number of labels that is not there.
    """
    if claims is None:
        return None
    if some_are_away:
        there = {row for config in tasks.values() for row in _rows(config, arms)}
        arms = [*arms, *(name for claim in claims for name in (claim.better, claim.than) if name not in there)]
    stated = [
        complete for number, claim in enumerate(claims) for complete in _whole(claim, tasks, arms, f"claims.{number}")
    ]
    return tuple(dict.fromkeys(stated))


def _whole(claim: Claim, tasks: Mapping[str, TaskConfig], arms: Sequence[str], where: str) -> Iterator[Claim]:
    if claim.better == claim.than:
        raise RecipeError(f"{claim.better!r} cannot be better than itself", where=where)
    for name in _tasks(claim, tasks, arms, where):
        for single, config in by_budget(name, tasks[name]).items():
            if claim.budget in (None, config.budget):
                yield from (
                    claim.model_copy(update={"task": single, "label_fraction": None, "labels_per_class": None, **panel})
                    for panel in _places(claim, config, where)
                )


def _tasks(claim: Claim, tasks: Mapping[str, TaskConfig], arms: Sequence[str], where: str) -> list[str]:
    """Names of the tasks that a claim is about: the named one, or all that have its rows and number of labels."""
    if claim.task is not None:
        names = [known_name("task", claim.task, tasks, where)]
    else:
        names = [name for name in tasks if {claim.better, claim.than} <= set(_rows(tasks[name], arms))] or list(tasks)
    for row in (claim.better, claim.than):
        known_name("arm, reference or floor", row, _rows(tasks[names[0]], arms), f"{where}, task {names[0]}")
    with_budget = [name for name in names if claim.budget in (None, *_budgets(tasks[name]))]
    if not with_budget:
        known = dict.fromkeys(str(budget) for name in names for budget in _budgets(tasks[name]))
        raise RecipeError(f"no task has {claim.budget}", where=where, remedy=f"there are {', '.join(known)}")
    return with_budget


def _budgets(config: TaskConfig) -> tuple[LabelBudget, ...]:
    return config.listed_budgets or (config.budget,)


def _rows(config: TaskConfig, arms: Sequence[str]) -> list[str]:
    return [*arms, *config.references, *(floor.name for floor in config.floors)]


def _places(claim: Claim, config: TaskConfig, where: str) -> Iterator[dict[str, str]]:
    """Input and probe of each panel that a claim is about."""
    for name, labels in _wanted(claim, config, where).items():
        label = known_name(f"probe of input {name}", claim.probe, labels, where)
        yield {"input": name, "probe": label}


def _wanted(claim: Claim, config: TaskConfig, where: str) -> dict[str, list[str]]:
    """The inputs that a claim is about, with the probes of each; of two inputs the first, with the probes of both."""
    probes = _probes(config)
    if claim.input is None:
        return {name: labels for name, labels in probes.items() if name in config.inputs} or {
            "all bands": probes["all bands"]
        }
    labels = probes[known_name("input", claim.input, probes, where)]
    if claim.more_than_on is not None:
        others = probes[known_name("input", claim.more_than_on, probes, where)]
        labels = [label for label in labels if label in others]
        if not labels:
            raise RecipeError(f"no probe reads both {claim.input} and {claim.more_than_on}", where=where)
    return {claim.input: labels}


def _probes(config: TaskConfig) -> dict[str, list[str]]:
    """Names of the probes of each input, and of each group of bands."""
    labels = {item.name: [probe.label() for probe in item.probes] for item in inputs_of(config).values()}
    for label, groups in config.rules.band_groups.items():
        for name in band_parts(groups):
            labels.setdefault(name, []).append(label)
    return labels
