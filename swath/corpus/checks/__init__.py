"""Looking for what would spoil an experiment.

A kind of check is one file in this folder, found by its module name (`CheckPlugin`). Kinds of a later stage run only if
the earlier ones found no error, as pixels of broken arrays cannot be read.
"""

from itertools import groupby
from types import ModuleType
from typing import cast

from swath import plugins
from swath.corpus.checks._sample import Sample
from swath.corpus.checks._types import Chart, CheckPlugin, Finding, Gallery, Histogram, Lines, Offsets, Section
from swath.corpus.store import Corpus
from swath.errors import RecipeError

__all__ = [
    "Chart",
    "CheckPlugin",
    "Finding",
    "Gallery",
    "Histogram",
    "Lines",
    "Offsets",
    "Sample",
    "Section",
    "check",
    "examine",
    "kinds",
    "worst_first",
]

_NOT_RUN = "Checks of installed packages that could not be used, or that failed: what they look for is not known."


def check(corpus: Corpus, locations: int | None = None, seed: int = 0) -> list[Finding]:
    """Everything that is wrong or suspicious, errors first.

    Args:
        corpus: whole or being built.
        locations: whose pixels are read, in constant memory; None for all. The index is always checked whole.
        seed: of the choice of locations.
    """
    return worst_first([finding for section in examine(corpus, locations, seed) for finding in section.findings])


def worst_first(findings: list[Finding]) -> list[Finding]:
    """Errors, then warnings."""
    return sorted(findings, key=lambda finding: finding.level)


def examine(corpus: Corpus, locations: int | None = None, seed: int = 0) -> list[Section]:
    """The findings of `check` with everything that was measured on the way, by kind of check.

    Args:
        corpus: whole or being built.
        locations: how many locations' pixels are read; None for all. The index is always checked whole.
        seed: of the choice of locations.
    """
    sample, sections = Sample(corpus, locations, seed), _unusable()
    for _, modules in groupby(kinds(), key=lambda module: module.STAGE):
        sections += [_inspected(module, sample) for module in modules]
        if any(finding.level == "error" for section in sections for finding in section.findings):
            break
    return sections


def kinds() -> list[CheckPlugin]:
    """All kinds of check that can be used, in the order in which they run."""
    named = {name: cast(CheckPlugin, module) for name, module in plugins.usable(__name__).items() if _is_check(module)}
    return [named[name] for name in sorted(named, key=lambda name: (named[name].STAGE, name))]


def _is_check(module: ModuleType) -> bool:
    return isinstance(module, CheckPlugin) and isinstance(module.STAGE, int)


def _unusable() -> list[Section]:
    """A section on the checks of installed packages that cannot be used, if there are any."""
    findings = []
    for name, origin in plugins.origins(__name__).items():
        try:
            if not _is_check(plugins.find(__name__, name)):
                findings.append(_not_run(f"the check {name!r} of {origin} defines no STAGE and inspect", origin))
        except RecipeError as error:
            findings.append(_not_run(error.what, origin))
    return [Section("Checks that did not run", _NOT_RUN, findings)] if findings else []


def _inspected(module: CheckPlugin, sample: Sample) -> Section:
    """The section of one kind of check; where a check of another package fails, a section that says so."""
    name = cast(ModuleType, module).__name__
    try:
        return module.inspect(sample)
    except Exception as error:  # whatever a stranger's module may raise
        if name.startswith(f"{__name__}."):
            raise
        what = f"the check {name} failed: {type(error).__name__}: {error}"
        return Section(f"The check {name}", _NOT_RUN, [_not_run(what, name)])


def _not_run(what: str, where: str) -> Finding:
    return Finding("warning", what, where, "mend or uninstall the package; what its check looks for was not looked for")
