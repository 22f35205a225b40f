"""Writes measured figures into docs/speed.md, so that none is typed by hand."""

import os
import platform
import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

BLOCK = re.compile(r"<!-- swath:speed -->\n.*?<!-- /swath:speed -->", re.DOTALL)


def write(results: dict[str, dict[str, Any]], page: Path) -> None:
    """Replace the page's block by a table of these results and what they were measured on."""
    lines = ["| benchmark | ours | peer | unit | ratio |", "|---|---|---|---|---|"]
    lines += [
        f"| `{name}` | {r['ours']:.4g} | {r['peer']:.4g} | {r['unit']} | **{r['ratio']:.2f}** |"
        for name, r in results.items()
    ]
    lines += ["", f"Measured on {datetime.now(UTC):%Y-%m-%d}, {os.cpu_count()} cores, {_cpu()}.", ""]
    for name, result in results.items():
        lines += [f"- `{name}`: " + "; ".join(f"{k} {_short(v)}" for k, v in result["setting"].items()) + "."]
    packages = {k: v for r in results.values() for k, v in r["versions"].items()}
    lines += ["", "Versions: " + ", ".join(f"{k} {v}" for k, v in sorted(packages.items())) + "."]
    block = "<!-- swath:speed -->\n" + "\n".join(lines) + "\n<!-- /swath:speed -->"
    page.write_text(BLOCK.sub(lambda _: block, page.read_text()))


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
