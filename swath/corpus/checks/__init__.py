"""Looking for what would spoil an experiment.

A kind of check is one file in this folder, found by its module name (`CheckPlugin`). Kinds of a later stage run only if
the earlier ones found no error, as pixels of broken arrays cannot be read.
"""

from itertools import groupby
from typing import cast

from swath import plugins
from swath.corpus.checks._sample import Sample
from swath.corpus.checks._types import Chart, CheckPlugin, Finding, Gallery, Histogram, Lines, Offsets, Section
from swath.corpus.store import Corpus

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
    """What `check` found, with everything that was measured on the way, by kind of check."""
    sample, sections = Sample(corpus, locations, seed), []
    for _, modules in groupby(kinds(), key=lambda module: module.STAGE):
        sections += [module.inspect(sample) for module in modules]
        if any(finding.level == "error" for section in sections for finding in section.findings):
            break
    return sections


def kinds() -> list[CheckPlugin]:
    """All kinds of check in the order in which they run."""
    named = {name: cast(CheckPlugin, plugins.find(__name__, name)) for name in plugins.names(__name__)}
    return [named[name] for name in sorted(named, key=lambda name: (named[name].STAGE, name))]
