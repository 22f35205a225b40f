"""A leaderboard as Markdown."""

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


def placed(text: str, body: str) -> str | None:
    """The document with its block replaced; None where it has no block."""
    start, end = text.find(BEGIN), text.find(END)
    if start < 0 or end < start:
        return None
    return f"{text[:start]}{BEGIN}\n{body}{text[end:]}"


BEGIN, END = "<!-- swath:leaderboard -->", "<!-- /swath:leaderboard -->"


def whole(body: str) -> str:
    """A new document."""
    return f"# Leaderboard\n\n{BEGIN}\n{body}{END}\n"
