"""Writes what each method costs into docs/methods.md, so that no figure there is typed by hand.

python -m benchmarks methods --json > methods.json
python -m benchmarks._costs methods.json docs/methods.md
"""

import json
import sys
from pathlib import Path
from typing import Any

from benchmarks import _page


def main(measured: Path, page: Path) -> None:
    """Put the figures of a run of the benchmark `methods` into the page's block, with the day and the machine."""
    _page.write_block(page, "methods", lines(json.loads(measured.read_text())))


def lines(result: dict[str, Any]) -> list[str]:
    """The block's table and the note below it."""
    setting = result["setting"]
    lightly = setting["against lightly"]
    rows = [
        f"| `{name}` | {rate:.1f} | {setting['over bare passes'][name]:.2f} | {_ratio(lightly.get(name))} |"
        for name, rate in setting["locations/s"].items()
    ]
    versions = ", ".join(f"{name} {version}" for name, version in result["versions"].items())
    return [
        "| method | locations/s of a core | over the bare passes of its networks | speed over lightly's |",
        "|---|---:|---:|---:|",
        *rows,
        "",
        f"{setting['model']}, batches of {setting['batch']}; {_page.today_and_machine()}; {versions}.",
    ]


def _ratio(value: float | None) -> str:
    return "" if value is None else f"{value:.2f}"


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
