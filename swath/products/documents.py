"""Tables for the documents, written by a command and checked by `make check`: no figure in them is typed by hand.

A document holds a block per run between two comments; prose around the blocks is left alone. Beside the document
(`docs/results.md` -> `docs/results/NAME.json`) lies what each block was made of, so that a checkout without the run can
still verify that the block says nothing else.

    python -m swath.products.documents write docs/results.md runs/hls-landcover --images docs/images
    python -m swath.products.documents verify docs/results.md
"""

import argparse
import json
import math
import os
import re
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from swath._files import file_name, whole, write_whole
from swath.errors import SwathError
from swath.products import words
from swath.products.draw import charts
from swath.products.report import clouds
from swath.products.tables.panels import Cell, Pair, Score, band_of, cells, contrasts, headline_cell
from swath.products.tables.run import COMPARISON_COLUMNS, GAIN_COLUMNS, LEVEL_COLUMNS, TABLE_COLUMNS, Run, load

FORMAT = 1
BLOCK = re.compile(r"<!-- swath:results (?P<name>\S+) -->\n(?P<body>.*?)<!-- /swath:results -->", re.DOTALL)
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*")
_MANIFEST_KEYS = ("name", "swath_version", "created", "updated", "recipe_hash", "machine", "packages")
_RECIPE_KEYS = ("name", "description", "seeds")
_STAGE_KEYS = ("stage", "arm", "seed", "seconds", "jobs", "status")


def results(runs: Sequence[Path], target: Path, images: Path | None = None) -> Path:
    """Write the runs' tables, and what they mean in words, into a document.

    A block that is there is replaced where it stands; a new one is appended under a heading.

    Args:
        runs: folders of evaluated runs.
        target: a Markdown document; made if it is not there.
        images: folder for one small figure per run, shown in its block; None for no figures.

    Returns:
        The document.

    Raises:
        SwathError: a run is not there or not evaluated.
    """
    text = target.read_text(encoding="utf-8") if target.exists() else "# Results\n"
    for path in runs:
        run = load(Path(path))
        content = _content(run)
        if images is not None:
            content["image"] = _picture(run, images, target)
            if content["cloud_levels"]:
                content["cloud_image"] = _cloud_picture(run, images, target)
        name = content["manifest"]["name"]
        store = _store(target, name)
        store.parent.mkdir(parents=True, exist_ok=True)
        write_whole(store, _dumped(content))
        text = _placed(text, name, render(content))
    write_whole(target, text)
    return target


def verify(target: Path) -> list[str]:
    """What in a document's blocks is not what was stored when they were written; empty if all is well."""
    text = target.read_text(encoding="utf-8") if target.exists() else ""
    blocks = {found["name"]: found["body"] for found in BLOCK.finditer(text)}
    stored = {path.stem: path for path in sorted(_store(target, "x").parent.glob("*.json"))}
    problems = []
    if text.count("<!-- swath:results ") != len(blocks):
        problems.append(f"{target}: a block is given twice or does not end with <!-- /swath:results -->")
    problems += [f"{target}: block {name} has no {_store(target, name)}" for name in blocks if name not in stored]
    problems += [f"{path}: {target} has no block {name}" for name, path in stored.items() if name not in blocks]
    for name in blocks.keys() & stored.keys():
        problems += _differences(target, name, blocks[name], stored[name])
    return sorted(problems)


def stale(target: Path, runs: Sequence[Path]) -> list[str]:
    """Names of runs whose files no longer say what the document's stored figures say, or that it does not hold."""
    changed = []
    for path in runs:
        content = _content(load(Path(path)))
        store = _store(target, content["manifest"]["name"])
        written = json.loads(store.read_text(encoding="utf-8")) if store.exists() else {}
        written = {"cloud_levels": [], "cloud_gains": [], **written}  # older ones had none
        for image in ("image", "cloud_image"):
            written.pop(image, None)
        if written != content:
            changed.append(content["manifest"]["name"])
    return changed


def _store(target: Path, name: str) -> Path:
    return target.with_suffix("") / f"{file_name(name)}.json"


def _differences(target: Path, name: str, body: str, store: Path) -> list[str]:
    try:
        content = json.loads(store.read_text(encoding="utf-8"))
        if content["format"] > FORMAT:
            return [f"{store}: written by a newer swath"]
        expected = render(content)
    except (OSError, ValueError, KeyError, TypeError) as error:
        return [f"{store}: cannot be read: {error}"]
    problems = []
    shown = [image for image in (content.get("image"), content.get("cloud_image")) if image]
    lost = [image for image in shown if not (target.parent / image).is_file()]
    problems += [f"{target}: block {name} shows {image}, which is not there" for image in lost]
    if body != expected:
        problems.append(f"{target}: block {name} is not what {store.name} holds: {_first_difference(expected, body)}")
    return problems


def _first_difference(expected: str, found: str) -> str:
    pairs = enumerate(zip(expected, found, strict=False))
    start = next((i for i, (a, b) in pairs if a != b), min(len(expected), len(found)))
    there, here = (text[max(0, start - 30) : start + 30].replace("\n", "⏎") for text in (expected, found))
    return f"line {expected.count(chr(10), 0, start) + 1} of the block should read …{there}… and reads …{here}…"


def _placed(text: str, name: str, body: str) -> str:
    block = f"<!-- swath:results {name} -->\n{body}<!-- /swath:results -->"
    for found in BLOCK.finditer(text):
        if found["name"] == name:
            return text[: found.start()] + block + text[found.end() :]
    return f"{text.rstrip()}\n\n## {name}\n\n{block}\n"


# ------------------------------------------------------------------------------------------------------- what is kept


def _content(run: Run) -> dict[str, Any]:
    """The figures of a run, rounded, as plain JSON."""
    if not NAME.fullmatch(run.name):
        raise SwathError(f"{run.name!r} cannot name a file", where=str(run.path), remedy="give the recipe another name")
    if run.table.empty:
        raise SwathError("the run is not evaluated", where=str(run.path), remedy="`swath evaluate` first")
    kept = {key: run.manifest[key] for key in _MANIFEST_KEYS if key in run.manifest}
    corpus = run.manifest.get("corpus") or {}
    kept |= {
        "name": run.name,
        "recipe": {key: run.recipe[key] for key in _RECIPE_KEYS if key in run.recipe}
        | {"arms": dict.fromkeys(run.arms)},
        "corpus": {key: corpus[key] for key in ("hash", "locations", "chips") if key in corpus},
        "stages": [{key: stage[key] for key in _STAGE_KEYS if key in stage} for stage in run.stages],
    }
    return {
        "format": FORMAT,
        "manifest": kept,
        "classes": run.classes,
        "table": _rows(run.table, TABLE_COLUMNS),
        "comparisons": _rows(run.comparisons, COMPARISON_COLUMNS),
        "cloud_levels": _rows(run.cloud_levels, LEVEL_COLUMNS) if len(run.cloud_levels) else [],
        "cloud_gains": _rows(run.cloud_gains, GAIN_COLUMNS) if len(run.cloud_gains) else [],
    }


def _rows(frame: pd.DataFrame, columns: tuple[str, ...]) -> list[list[Any]]:
    """The columns' names, then the rows."""
    values = frame[list(columns)].to_numpy(dtype=object)
    return [list(columns), *([_rounded(value) for value in row] for row in values)]


def _dumped(content: dict[str, Any]) -> str:
    """JSON with one row of a table a line, so that a change of one figure is a change of one line."""
    tables = {key: content[key] for key in ("table", "comparisons", "cloud_levels", "cloud_gains") if content.get(key)}
    rest = json.dumps({k: v for k, v in content.items() if k not in tables}, indent=1, ensure_ascii=False)
    lines = [
        f' "{key}": [\n  ' + ",\n  ".join(json.dumps(r, ensure_ascii=False, allow_nan=False) for r in rows) + "\n ]"
        for key, rows in tables.items()
    ]
    return rest.removesuffix("\n}") + ",\n" + ",\n".join(lines) + "\n}\n"


def _rounded(value: Any) -> Any:
    """Six significant digits, far more than is shown; None for what is not a number."""
    if isinstance(value, tuple | list):
        return [_rounded(v) for v in value]
    if isinstance(value, str):
        return value
    return float(f"{value:.6g}") if math.isfinite(value) else None


def _restored(content: dict[str, Any]) -> Run:
    """The run as far as its figures were kept."""
    table = _frame(content["table"])
    table["per_seed"] = [tuple(math.nan if v is None else v for v in values) for values in table["per_seed"]]
    return Run(
        path=Path(),
        manifest=content["manifest"],
        recipe_text="",
        logs={},
        table=table,
        comparisons=_frame(content["comparisons"]),
        cloud_levels=_frame(content["cloud_levels"]) if content.get("cloud_levels") else pd.DataFrame(),
        cloud_gains=_frame(content["cloud_gains"]) if content.get("cloud_gains") else pd.DataFrame(),
        classes=content["classes"],
    )


def _frame(rows: list[list[Any]]) -> pd.DataFrame:
    columns, *records = rows
    values = [[math.nan if value is None else value for value in record] for record in records]
    return pd.DataFrame(values, columns=columns, dtype=object)


def _picture(run: Run, images: Path, target: Path) -> str | None:
    """One small figure of the headline's comparison; its path as the document links it."""
    cell = headline_cell(cells(run))
    if cell is None:
        return None
    with charts.styled():
        data = charts.png(charts.comparison(cell, run.arms), dpi=150)
    return _stored(data, images / f"results-{file_name(run.name)}.png", target)


def _cloud_picture(run: Run, images: Path, target: Path) -> str | None:
    """The first chart of painted clouds."""
    drawn = clouds.cloud_lines(run, cells(run))
    if not drawn:
        return None
    heading, metric, lines = drawn[0]
    with charts.styled():
        data = charts.png(charts.cloud_curve(heading, lines, words.metric(metric)), dpi=150)
    return _stored(data, images / f"results-{file_name(run.name)}-clouds.png", target)


def _stored(data: bytes, path: Path, target: Path) -> str:
    """Write a figure; its path as the document links it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with whole(path) as temporary:
        temporary.write_bytes(data)
    return Path(os.path.relpath(path, target.parent)).as_posix()


# ---------------------------------------------------------------------------------------------------------- rendering


def render(content: dict[str, Any]) -> str:
    """A block's Markdown, from what is kept of a run and nothing else."""
    run = _restored(content)
    all_cells = cells(run)
    first = headline_cell(all_cells)
    parts = [escape(" ".join(words.headline(run, first, cells_in_all=len(all_cells))))]
    if content.get("image") and first is not None:
        parts.append(f"![{escape(_caption(first))}]({content['image']})")
    shown = sorted((c for c in all_cells if c.ranked and band_of(c.input) is None), key=lambda cell: cell != first)
    for cell in shown:
        parts += [_cell_table(cell), *([] if cell == first else [escape(" ".join(words.outcome(cell)))])]
    parts += _cloud_parts(content, run, shown)
    parts += _band_tables(all_cells, run.arms)
    parts += [_arm_pairs(cell) for cell in [*shown, *contrasts(run)] if _between_arms(cell)]
    parts.append(_provenance(run))
    return "\n\n".join(parts) + "\n"


def escape(text: str) -> str:
    """Text as Markdown shows it letter by letter, in a table cell too."""
    text = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return re.sub(r"([\\`*_\[\]|{}])", r"\\\1", text)


def _caption(cell: Cell) -> str:
    return f"{cell.task} · {cell.input} · {cell.probe} probe"


def _table(header: Sequence[str], rows: Sequence[Sequence[str]], numeric_from: int = 1) -> str:
    rule = ["---" if i < numeric_from else "---:" for i in range(len(header))]
    lines = [header, rule, *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _cell_table(cell: Cell) -> str:
    header = ["encoder", "kind", *(escape(words.metric(m)) for m in cell.metrics)]
    header += ["points against random twin", "against scratch", "against best floor"]
    rows = [_cell_row(cell, score) for score in cell.ranked]
    left = [f"{escape(s.row)} was left out: {escape(s.note or 'no reason recorded')}." for s in cell.left_out]
    return "\n\n".join([f"**{escape(_caption(cell))}**", _table(header, rows, numeric_from=2), *left])


def _cell_row(cell: Cell, score: Score) -> list[str]:
    found = [cell.score(score.row, metric) for metric in cell.metrics]
    values = [f"{words.percent(s.value)} ({words.interval(s.low, s.high)})" if s else words.DASH for s in found]
    others = (cell.twin(score.row), cell.scratch(score.row), cell.best_floor())
    verdicts = [_verdict(cell, score, other) if score.kind == "pretrained" else "" for other in others]
    return [escape(score.row), escape(score.kind), *values, *verdicts]


def _verdict(cell: Cell, score: Score, other: Score | None) -> str:
    if other is None:
        return words.DASH
    pair = cell.pair(score.row, other.row)
    if pair is None:
        return f"{words.points(score.value - other.value)}, not tested"
    return f"{words.points(pair.difference)}, {words.VERDICTS[pair.verdict]}"


def _cloud_parts(content: dict[str, Any], run: Run, shown: Sequence[Cell]) -> list[str]:
    """The chart of painted clouds, and a table for each input that they change."""
    parts = [f"![Under painted clouds]({content['cloud_image']})"] if content.get("cloud_image") else []
    for cell in shown:
        curves = clouds.level_curves(run, cell)
        title = f"{_caption(cell)}: {words.metric(cell.metric)} under painted clouds"
        if curves and all(part["value"].nunique() == 1 for part in curves.values()):
            parts.append(f"{escape(title)}: as above at every level, since no band of it sees clouds.")
        elif curves:
            parts.append(f"**{escape(title)}**\n\n{_cloud_table(run, cell, curves)}")
    return parts


def _cloud_table(run: Run, cell: Cell, curves: dict[str, pd.DataFrame]) -> str:
    levels = next(iter(curves.values()))["cloud"]
    lines = [
        [
            escape(s.row),
            *(f"{words.percent(p.value)} ({words.interval(p.low, p.high)})" for p in _points(curves[s.row])),
        ]
        for s in cell.ranked
        if s.row in curves
    ]
    lines += [
        [
            escape(name),
            *(f"{words.points(p.difference)} ({words.difference_interval(p.low, p.high)})" for p in _points(part)),
        ]
        for name, part in clouds.level_gains(run, cell)
    ]
    return _table(["row", *(f"{100 * level:g} % cloud" for level in levels)], lines)


def _points(part: pd.DataFrame) -> list[Any]:
    return list(part.itertuples(index=False))


def _band_tables(all_cells: Sequence[Cell], arms: Sequence[str]) -> list[str]:
    """Rows are bands, columns encoders; one table per task and probe."""
    groups: dict[tuple[str, str], list[Cell]] = {}
    for cell in all_cells:
        if cell.ranked and band_of(cell.input) is not None:
            groups.setdefault((cell.task, cell.probe), []).append(cell)
    return [_band_table(*key, members, arms) for key, members in groups.items()]


def _band_table(task: str, probe: str, members: Sequence[Cell], arms: Sequence[str]) -> str:
    present = list(dict.fromkeys(score.row for cell in members for score in cell.ranked))
    rows = [*(arm for arm in arms if arm in present), *(row for row in present if row not in arms)]
    lines = [[escape(cell.input), *(_value(cell.score(row)) for row in rows)] for cell in members]
    metric = words.metric(members[0].metric)
    title = f"**{escape(f'{task} · each band alone · {probe} probe · {metric}')}**"
    return f"{title}\n\n{_table(['band', *map(escape, rows)], lines)}"


def _value(score: Score | None) -> str:
    return f"{words.percent(score.value)} ({words.interval(score.low, score.high)})" if score else words.DASH


def _between_arms(cell: Cell) -> list[Pair]:
    """Comparisons of pre-trained encoders with each other; all of them where nothing is scored (a contrast)."""
    arms = {score.row for score in cell.pretrained}
    return [pair for pair in cell.pairs if not cell.scores or {pair.a, pair.b} <= arms]


def _arm_pairs(cell: Cell) -> str:
    header = ["first", "second", "verdict on the first", "paired by", "points", "95 % interval"]
    header += ["p, Holm", "p, t-test", "p, Wilcoxon", "pairs"]
    rows = [
        [
            *(escape(text) for text in (pair.a, pair.b, words.VERDICTS[pair.verdict], pair.pairing)),
            words.points(pair.difference),
            words.difference_interval(pair.low, pair.high),
            *(words.p_cell(p) for p in (pair.p_holm, pair.p_t, pair.p_wilcoxon)),
            words.count(pair.n_pairs),
        ]
        for pair in _between_arms(cell)
    ]
    return f"**{escape(_caption(cell))}: encoders against each other**\n\n{_table(header, rows, numeric_from=4)}"


def _provenance(run: Run) -> str:
    manifest = run.manifest
    machine = manifest.get("machine") or {}
    corpus = manifest.get("corpus") or {}
    said = [
        f"Recipe {run.recipe.get('name', run.name)} ({manifest.get('recipe_hash', 'no hash')})",
        f"seeds {words.listing([str(seed) for seed in run.recipe.get('seeds') or []]) or 'not recorded'}",
        f"corpus {str(corpus.get('hash', 'not recorded'))[:16]}",
        f"swath {manifest.get('swath_version', '?')}, {str(manifest.get('updated', ''))[:10]}",
        f"{words.duration(words.in_all(run.stages))} on {machine.get('cores', '?')} cores of "
        f"{machine.get('cpu', 'an unknown machine')} ({machine.get('device', '?')})",
    ]
    return escape("; ".join(said) + ". Values are means over the seeds with 95 % bootstrap intervals over groups.")


# ------------------------------------------------------------------------------------------------------- command line


def main(arguments: Sequence[str] | None = None) -> int:
    """`write`, `verify` or `stale`; returns 1 if something is found to be wrong, 2 for a user's mistake."""
    parser = argparse.ArgumentParser(prog="python -m swath.products.documents", description="Tables in documents.")
    parser.add_argument("what", choices=("write", "verify", "stale"))
    parser.add_argument("target", type=Path, help="the document, such as docs/results.md")
    parser.add_argument("runs", type=Path, nargs="*", help="folders of runs")
    parser.add_argument("--images", type=Path, help="folder for figures; none are made if not given")
    given = parser.parse_args(arguments)
    try:
        problems = _execute(given)
    except SwathError as error:
        sys.stderr.write(f"error: {error}\n")
        return 2
    sys.stderr.write("".join(f"{problem}\n" for problem in problems))
    return 1 if problems else 0


def _execute(given: argparse.Namespace) -> list[str]:
    if given.what == "verify":
        return verify(given.target)
    if given.what == "stale":
        return [f"{name}: the run says something else than {given.target}" for name in stale(given.target, given.runs)]
    results(given.runs, given.target, given.images)
    return []


if __name__ == "__main__":
    sys.exit(main())
