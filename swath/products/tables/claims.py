"""The claims of an experiment and their verdicts, in words."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from swath.products import words
from swath.products.tables.run import Run
from swath.tasks.schema import Verdict

VERDICTS: dict[Verdict, str] = {
    "better": "better",
    "worse": "worse",
    "tie": "not distinguishable",
    "untested": "no verdict",
}


@dataclass(frozen=True, slots=True)
class ClaimInWords:
    """A line of claims.csv, ready to be shown."""

    better: str
    """The row that is claimed to be better."""
    than: str
    where: str
    """Task, input and probe."""
    verdict: Verdict
    word: str
    """The verdict as people read it."""
    difference: str
    """The difference with its unit."""
    interval: str
    p: str
    p_holm: str
    p_conditional: str
    detectable: str
    """The smallest difference that would have been seen."""
    design: str
    """Numbers of groups, trainings and folds."""
    advice: str
    """What would make a smaller difference detectable."""
    note: str
    """Why there is no verdict, and what else must be said."""

    @property
    def sentence(self) -> str:
        """The claim and its verdict: `s4 is better than scratch on crops · optical · fine-tune: +9.3 points (...)`."""
        verb = {"better": "is better than", "worse": "is worse than", "tie": "is not distinguishable from"}
        said = verb.get(self.verdict, "against")
        return f"{self.better} {said} {self.than} on {self.where}: {self.difference} (95 % interval {self.interval})"


def claims_of(run: Run) -> list[ClaimInWords]:
    """The run's claims, in the recipe's order; empty if it claims nothing or is not evaluated."""
    return [_in_words(line, run.unit(str(line["task"]))) for line in run.claims.to_dict("records")]


def decided(claims: Sequence[ClaimInWords]) -> list[ClaimInWords]:
    """The claims that got a verdict of a difference."""
    return [claim for claim in claims if claim.verdict in ("better", "worse")]


def claims_in_short(claims: Sequence[ClaimInWords]) -> list[str]:
    """How many claims are decided, and which: a sentence on all, and one for each decided claim."""
    if not claims:
        return ["Nothing was claimed, so nothing here has a verdict."]
    with_verdict, without = decided(claims), sum(claim.verdict == "untested" for claim in claims)
    verb = "are" if len(with_verdict) > 1 else "is"
    said = f"{len(with_verdict) or 'None'} of {words.plural(len(claims), 'claim')} {verb} decided"
    if without:
        said += f", and {without} {'have' if without > 1 else 'has'} no verdict"
    return [f"{said}.", *(f"{claim.sentence}." for claim in with_verdict)]


def notes_by_text(claims: Sequence[ClaimInWords]) -> dict[str, list[ClaimInWords]]:
    """Each note, with the claims that it applies to."""
    notes: dict[str, list[ClaimInWords]] = {}
    for claim in claims:
        if claim.note:
            notes.setdefault(claim.note, []).append(claim)
    return notes


def _in_words(line: Mapping[str, Any], unit: str) -> ClaimInWords:
    verdict: Verdict = line["verdict"]
    metric = str(line["metric"])
    groups = words.plural(int(line["groups"]), "group")
    return ClaimInWords(
        better=line["better"],
        than=line["than"],
        where=" · ".join(filter(None, (line["task"], line["input"], line["probe"]))),
        verdict=verdict,
        word=VERDICTS[verdict],
        difference=words.gain_with_unit(metric, line["difference"], unit),
        interval=words.gain_interval(metric, line["low"], line["high"]),
        p=words.p_cell(line["p"]),
        p_holm=words.p_cell(line["p_holm"]),
        p_conditional=words.p_cell(line["p_conditional"]),
        detectable=words.size(metric, line["detectable"], unit),
        design=f"{groups}, {words.trainings(int(line['trainings']), int(line['folds']))}",
        advice=line["advice"],
        note=line["note"],
    )
