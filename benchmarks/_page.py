"""Writes measured figures into docs/speed.md, so that none is typed by hand."""

import os
import platform
import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

BLOCK = re.compile(r"<!-- swath:speed -->\n.*?<!-- /swath:speed -->", re.DOTALL)


def write(results: dict[str, dict[str, Any]], page: Path) -> None:
    """Put these results into the page's block, with the day and the machine; those of other benchmarks stay."""
    text = page.read_text()
    found = BLOCK.search(text)
    if found is None:
        raise SystemExit(f"{page} has no block of figures (<!-- swath:speed -->)")
    rows, notes, versions = _read(found[0])
    measured = today_and_machine()
    for name, r in results.items():
        device = r["setting"].get("gpu", "CPU")
        figures = f"{r['ours']:.4g} | {r['peer']:.4g} | {r['unit']} | **{r['ratio']:.2f}** |"
        rows[name] = f"| `{name}` | {device} | {figures}"
        settings = "; ".join(f"{key} {_short(value)}" for key, value in r["setting"].items())
        notes[name] = f"- `{name}` ({measured}): {settings}."
        if device == "CPU":
            versions |= r["versions"]
        else:  # another machine than the rest of the page's
            notes[name] += " With " + ", ".join(f"{k} {v}" for k, v in r["versions"].items()) + "."
    lines = ["| benchmark | device | ours | peer | unit | ratio |", "|---|---|---|---|---|---|", *rows.values(), ""]
    lines += [*notes.values(), "", "Versions: " + ", ".join(f"{k} {v}" for k, v in sorted(versions.items())) + "."]
    block = "<!-- swath:speed -->\n" + "\n".join(lines) + "\n<!-- /swath:speed -->"
    page.write_text(text.replace(found[0], block))


def write_block(page: Path, name: str, lines: list[str]) -> None:
    """Put lines between `<!-- swath:NAME -->` and its end, instead of what stands there."""
    text = page.read_text()
    begin, end = f"<!-- swath:{name} -->", f"<!-- /swath:{name} -->"
    if text.count(begin) != 1 or text.count(end) != 1:
        raise SystemExit(f"{page} has no one block {begin}")
    before, after = text.partition(begin)[0], text.partition(end)[2]
    page.write_text("\n".join([before + begin, *lines, end + after]))


def today_and_machine() -> str:
    """When and where something was measured, if that is now and here."""
    return f"{datetime.now(UTC):%Y-%m-%d}, {os.cpu_count()} cores, {_cpu()}"


def _read(block: str) -> tuple[dict[str, str], dict[str, str], dict[str, str]]:
    """Rows and notes by benchmark, and versions by package."""
    rows = {m[1]: m[0] for m in re.finditer(r"^\| `(\w+)` \|.*$", block, re.MULTILINE)}
    notes = {m[1]: m[0] for m in re.finditer(r"^- `(\w+)` .*$", block, re.MULTILINE)}
    line = re.search(r"^Versions: (.*)\.$", block, re.MULTILINE)
    pairs = [part.split(" ", 1) for part in line[1].split(", ")] if line else []
    return rows, notes, dict(pairs)


def _short(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, dict):
        return "(" + ", ".join(f"{k} {_short(v)}" for k, v in value.items()) + ")"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(_short(v) for v in value) + "]"
    return str(value)


def _cpu() -> str:
    info = Path("/proc/cpuinfo")
    names = [line for line in info.read_text().splitlines() if "model name" in line] if info.exists() else []
    return names[0].partition(":")[2].strip() if names else platform.processor()
