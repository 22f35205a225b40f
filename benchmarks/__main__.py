"""The benchmarks' command line."""

import argparse
import importlib
import json
import pkgutil
import subprocess
import sys
from dataclasses import asdict
from typing import Any

from rich.console import Console
from rich.table import Table

import benchmarks


def names() -> list[str]:
    return sorted(m.name for m in pkgutil.iter_modules(benchmarks.__path__) if not m.name.startswith("_"))


def main(arguments: list[str] | None = None) -> int:
    options = _parser().parse_args(arguments)
    if options.name == "all":
        results = {name: _apart(name, options.quick) for name in names()}
        print(json.dumps(results) if options.json else "", end="\n" if options.json else "")
    else:
        results = {options.name: asdict(importlib.import_module(f"benchmarks.{options.name}").run(quick=options.quick))}
        print(json.dumps(results[options.name]) if options.json else "", end="\n" if options.json else "")
    if not options.json:
        _show(results)
    return 0


def _parser() -> argparse.ArgumentParser:
    listing = "\n".join(f"  {name:10s} {_headline(name)}" for name in names())
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks",
        description="Measure swath against its peers on this machine.",
        epilog=f"benchmarks:\n{listing}\n\nexample: python -m benchmarks read --json",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "name", choices=[*names(), "all"], help="which benchmark; `all` runs each in a process of its own"
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object and nothing else")
    parser.add_argument("--quick", action="store_true", help="small sizes: shows that it works, not how fast it is")
    return parser


def _headline(name: str) -> str:
    """First line of the module's docstring, without importing it and all that it needs."""
    spec = importlib.util.find_spec(f"benchmarks.{name}")
    first = next(iter(open(spec.origin)), "") if spec and spec.origin else ""
    return first.strip().strip('"')


def _apart(name: str, quick: bool) -> dict[str, Any]:
    """Run in a fresh process, so that threads and memory of one benchmark do not touch another."""
    command = [sys.executable, "-m", "benchmarks", name, "--json", *(["--quick"] if quick else [])]
    return json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout)


def _show(results: dict[str, dict[str, Any]]) -> None:
    table = Table("benchmark", "ours", "peer", "ratio", "unit", "setting")
    for name, result in results.items():
        figures = (f"{result[key]:.3g}" for key in ("ours", "peer", "ratio"))
        table.add_row(name, *figures, result["unit"], ", ".join(f"{k} {v}" for k, v in result["setting"].items()))
    Console().print(table)


if __name__ == "__main__":
    sys.exit(main())
