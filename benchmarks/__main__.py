"""The benchmarks' command line."""

import argparse
import ast
import importlib
import json
import pkgutil
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

import benchmarks
from benchmarks import _page

GROUPS = ("all", "gpu")


def names() -> list[str]:
    return sorted(m.name for m in pkgutil.iter_modules(benchmarks.__path__) if not m.name.startswith("_"))


def main(arguments: list[str] | None = None) -> int:
    options = _parser().parse_args(arguments)
    if options.name.startswith("gpu") and not _has_gpu():
        print(json.dumps({"gpu": "no GPU"}) if options.json else "no GPU")
        return 0
    if options.name == "all":
        results = {name: _apart(name, options.quick) for name in names() if not name.startswith("gpu_") or _has_gpu()}
    elif options.name == "gpu":
        results = {name: _here(name, options.quick) for name in names() if name.startswith("gpu_")}
    else:
        results = {options.name: _here(options.name, options.quick)}
    if options.write:
        _page.write(results, options.write)
    if options.json:
        print(json.dumps(results if options.name in GROUPS else results[options.name]))
    else:
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
        "name",
        choices=[*names(), *GROUPS],
        help="which benchmark; `all` runs each in a process of its own, `gpu` those of a GPU",
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object and nothing else")
    parser.add_argument("--write", type=Path, metavar="PAGE", help="put the figures into a page, such as docs/speed.md")
    parser.add_argument("--quick", action="store_true", help="small sizes: shows that it works, not how fast it is")
    return parser


def _headline(name: str) -> str:
    """First line of the module's docstring, without importing it and all that it needs."""
    source = Path(__file__).with_name(f"{name}.py").read_text()
    return (ast.get_docstring(ast.parse(source)) or "").partition("\n")[0]


def _has_gpu() -> bool:
    import torch

    return torch.cuda.is_available()


def _here(name: str, quick: bool) -> dict[str, Any]:
    return asdict(importlib.import_module(f"benchmarks.{name}").run(quick=quick))


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
