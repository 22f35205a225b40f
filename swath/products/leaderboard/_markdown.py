"""A leaderboard as Markdown, and whether a document still holds what was written."""

import hashlib
import re

from swath.products import words
from swath.products.documents import escape, markdown_table
from swath.products.leaderboard import _words
from swath.products.leaderboard._answers import IN_WORDS, Answer
from swath.products.leaderboard._board import BoardPanel, Leaderboard, Part
from swath.products.leaderboard._efficiency import Efficiency
from swath.products.tables import ROLES


def render(board: Leaderboard) -> str:
    """The leaderboard, data set by data set, then the ranks."""
    parts = [escape(" ".join(_words.summary(board)))]
    for part in board.parts:
        parts += _part(part)
    parts += ["### Average ranks over data sets", escape(_words.ranks(board))]
    if board.ranking is not None:
        lines = zip(board.ranking.rows, board.ranking.average, strict=True)
        parts.append(markdown_table(["row", "average rank"], [[escape(row), f"{rank:.2f}"] for row, rank in lines]))
    return "\n\n".join(parts) + "\n"


def _part(part: Part) -> list[str]:
    said = [f"### {escape(part.data_set.name)}", escape(_words.joined(part))]
    said += ["\n".join(f"- {escape(remark)}" for remark in part.remarks)] if part.remarks else []
    said += ["**Does pre-training help here?**", *map(_answer, part.answers)] if part.answers else []
    if part.comparisons:
        said += ["**Rows of different runs**", "\n".join(f"- {escape(_words.sentence(c))}" for c in part.comparisons)]
    said += map(_panel, part.panels)
    return said + list(map(_efficiency, part.efficiency))


def _answer(answer: Answer) -> str:
    head = f"{answer.run}, {answer.where}: {answer.short}."
    noun = "labelled pixels" if answer.label == "pixel" else "labels"
    lines = [f"- {one.labels:,.0f} {noun}: {IN_WORDS[one.word]}. {' '.join(one.sentences)}" for one in answer.at]
    return "\n".join([escape(head), "", *map(escape, lines)])


def _panel(panel: BoardPanel) -> str:
    header = ["row", "role", "run", escape(words.metric_in_unit(panel.metric, panel.unit)), "claimed in its run"]
    rows = [
        [
            *map(escape, (line.row, ROLES[line.role], line.run, _words.value(line))),
            escape(_words.claims(line) or words.DASH),
        ]
        for line, _ in panel.rows
    ]
    return f"**{escape(panel.title)}**\n\n{markdown_table(header, rows, numeric_from=len(header))}"


def _efficiency(one: Efficiency) -> str:
    noun = _words.labels(one)
    header = ["row", "than", f"with {noun}", "needs fewer by"]
    rows = [[escape(s.arm), escape(s.than), f"{s.labels:,.0f}", escape(_words.factor(s))] for s in one.saved]
    lines = [f"- {escape(c.than)} catches up with {escape(c.arm)}: {escape(_words.crossing(c))}" for c in one.crossings]
    lines += [f"- {escape(one.note)}"] if one.note else []
    title = f"**{escape(f'Labels saved: {one.run}, {one.title}')}**"
    return f"{title}\n\n{markdown_table(header, rows, numeric_from=len(header))}\n\n" + "\n".join(lines)


BEGIN, END = "<!-- swath:leaderboard -->", "<!-- /swath:leaderboard -->"
_BLOCK = re.compile(
    r"<!-- swath:leaderboard(?: sha256=(?P<sha256>\w+))? -->\n?(?P<body>.*?)" + re.escape(END), re.DOTALL
)


def placed(text: str, body: str) -> str | None:
    """The document with its block replaced; None where it has no block."""
    found = _BLOCK.search(text)
    return f"{text[: found.start()]}{_block(body)}{text[found.end() :]}" if found else None


def whole(body: str) -> str:
    """A new document."""
    return f"# Leaderboard\n\n{_block(body)}\n"


def _block(body: str) -> str:
    return f"<!-- swath:leaderboard sha256={_hash(body)} -->\n{body}{END}"


def _hash(body: str) -> str:
    return hashlib.sha256(body.encode()).hexdigest()


def differs(text: str, body: str | None = None) -> str | None:
    """How a document's block is not what was written, in words; None where it is.

    Args:
        text: of the document.
        body: what would be written now; None asks only whether the block was changed since it was written.
    """
    found = _BLOCK.search(text)
    if found is None:
        return "it has no place for a leaderboard"
    if found["sha256"] is None:
        return "it was written by an earlier swath, which kept no hash of it: write it anew"
    if found["sha256"] != _hash(found["body"]):
        return "its leaderboard was changed by hand: what stands there is not what was written"
    if body is not None and found["body"] != body:
        there, here = (set(one.splitlines()) for one in (body, found["body"]))
        line = next((one for one in body.splitlines() if one not in here), "")
        more = f", the first of which is {line[:120]!r}" if line else ""
        return f"the runs say something else now, in {len(there ^ here)} lines{more}"
    return None
