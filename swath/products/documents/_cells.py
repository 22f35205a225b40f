"""Text and tables of Markdown."""

import re
from collections.abc import Sequence


def escape(text: str) -> str:
    """Text escaped so that Markdown shows it literally, in a table cell too."""
    text = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return re.sub(r"([\\`*_\[\]|{}])", r"\\\1", text)


def markdown_table(header: Sequence[str], rows: Sequence[Sequence[str]], numeric_from: int = 1) -> str:
    """A table of escaped cells; columns from this one on are aligned to the right."""
    rule = ["---" if i < numeric_from else "---:" for i in range(len(header))]
    lines = [header, rule, *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
