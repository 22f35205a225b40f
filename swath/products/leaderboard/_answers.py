"""Does pre-training help here, with how many labels, and how sure is that? In words, from a run's claims."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from swath.products import words
from swath.products.leaderboard._families import families
from swath.products.leaderboard._join import Entry
from swath.products.tables import Panel, against
from swath.products.words import listing
from swath.tasks.schema import RowValue

Word = Literal["yes", "partly", "no", "open", "untested"]
IN_WORDS: dict[Word, str] = {
    "yes": "yes",
    "partly": "in part",
    "no": "no, it harms",
    "open": "not shown",
    "untested": "not decided",
}


@dataclass(frozen=True, slots=True)
class AtLabels:
    """The answer with so many labels."""

    labels: float
    word: Word
    row: str
    """The best pre-trained row there."""
    sentences: tuple[str, ...]
    """What it reaches, and the evidence against its random twin, training from scratch and the best floor."""


@dataclass(frozen=True, slots=True)
class Answer:
    """The answer of a run on one task, input and probe, with each number of labels."""

    run: str
    where: str
    label: str
    """What has a label: `location` or `pixel`."""
    at: tuple[AtLabels, ...]

    @property
    def short(self) -> str:
        """One sentence: `yes with 40 and 198 labels, not shown with 1,650`."""
        by_word: dict[Word, list[str]] = {}
        for one in self.at:
            by_word.setdefault(one.word, []).append(f"{one.labels:,.0f}")
        noun = "labelled pixels" if self.label == "pixel" else "labels"
        said = [f"{IN_WORDS[word]} with {listing(labels)}" for word, labels in by_word.items()]
        return f"{', '.join(said)} {noun}"


def answers_of(entry: Entry) -> Iterator[Answer]:
    """The answers of a run, for each of its tasks, inputs and probes that has a pre-trained row."""
    for family in families(entry):
        at = [_at(entry.labels(panel.task), panel) for panel in family.panels if panel.pretrained]
        if at:
            yield Answer(entry.name, family.title, entry.kind_of_label(family.panels[0].task), tuple(at))


def _at(labels: float, panel: Panel) -> AtLabels:
    best = panel.pretrained[0]
    twin, scratch, floor = panel.twin(best.row), panel.scratch(best.row), panel.best_floor()
    reached = words.score(panel.metric, best.value)
    interval = words.score_interval(panel.metric, best.low, best.high)
    sentences = [f"{best.row} reaches {reached} {words.metric(panel.metric)} (95 % interval {interval})."]
    sentences += [against(panel, best, other, how) for other, how in _controls(twin, scratch)]
    if floor is not None and floor != twin:
        sentences.append(against(panel, best, floor, f"the best floor, {floor.row}"))
    return AtLabels(labels, _word(panel, best, [row for row in (twin, scratch) if row]), best.row, tuple(sentences))


def _controls(twin: RowValue | None, scratch: RowValue | None) -> list[tuple[RowValue, str]]:
    named = [
        (scratch, "the same network trained from scratch"),
        (twin, "the same network frozen at its random initial weights"),
    ]
    return [(row, how) for row, how in named if row is not None]


def _word(panel: Panel, best: RowValue, controls: Sequence[RowValue]) -> Word:
    """Whether pre-training helps: by the claims against the same network without it."""
    pairs = [panel.pair(best.row, other.row) for other in controls]
    verdicts = {pair.verdict if pair else "untested" for pair in pairs}
    if not verdicts - {"untested"}:
        return "untested"
    if verdicts == {"better"}:
        return "yes"
    if "better" in verdicts:
        return "partly"
    return "no" if "worse" in verdicts else "open"
