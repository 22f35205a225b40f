"""Tables for the documents, written by a command and checked by `make check`: no number in them is typed by hand.

A document holds a block per run between two comments; prose around the blocks is left alone. Beside the document
(`docs/results.md` -> `docs/results/NAME.json`) lies what each block was made of, so that a checkout without the run can
still verify that the block says nothing else.

    swath report runs/hls-landcover --into docs/results.md --images docs/images
    swath report --into docs/results.md --check
"""

import json
import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from swath._files import file_name, replacing, write_whole
from swath.errors import SwathError
from swath.products.documents._cells import escape, markdown_table
from swath.products.documents._markdown import render
from swath.products.documents._record import FORMAT, dumped, numbers_of, restored
from swath.products.draw.charts import cloud_curve, comparison
from swath.products.draw.style import png, styled
from swath.products.draw.sweeps import effects_chart
from swath.products.tables import Run, Sweep, cloud_charts, headline_panel, load, panels_of
from swath.sweep import PANEL

__all__ = ["escape", "markdown_table", "stale", "verify", "write"]

BLOCK = re.compile(r"<!-- swath:results (?P<name>\S+) -->\n(?P<body>.*?)<!-- /swath:results -->", re.DOTALL)


def write(runs: Sequence[Path], target: Path, images: Path | None = None) -> Path:
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
    bodies: dict[str, str] = {}
    for path in runs:
        run = load(Path(path))
        content = numbers_of(run)
        if images is not None:
            content["image"] = _picture(run, images, target)
            if content["cloud_levels"]:
                content["cloud_image"] = _cloud_picture(run, images, target)
        name = content["manifest"]["name"]
        store = _store(target, name)
        store.parent.mkdir(parents=True, exist_ok=True)
        write_whole(store, dumped(content))
        bodies[name] = _body(content)
    # read last, as the numbers of large runs take minutes, in which somebody may write in the document
    text = target.read_text(encoding="utf-8") if target.exists() else "# Results\n"
    for name, body in bodies.items():
        text = _placed(text, name, body)
    write_whole(target, text)
    return target


def verify(target: Path) -> list[str]:
    """Differences between a document's blocks and what was stored when they were written, in words; empty if
    there are none.
    """
    text = target.read_text(encoding="utf-8") if target.exists() else ""
    blocks = {match["name"]: match["body"] for match in BLOCK.finditer(text)}
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
    """Names of runs whose files differ from the numbers stored beside the document, or that the document lacks."""
    changed = []
    for path in runs:
        content = numbers_of(load(Path(path)))
        store = _store(target, content["manifest"]["name"])
        written = json.loads(store.read_text(encoding="utf-8")) if store.exists() else {}
        written = {"cloud_levels": [], "cloud_gains": [], **written}  # older ones had none
        for image in ("image", "cloud_image"):
            written.pop(image, None)
        if written != content:
            changed.append(content["manifest"]["name"])
    return changed


def _store(target: Path, name: str) -> Path:
    """Path of the file that holds the numbers of a block."""
    return target.with_suffix("") / f"{file_name(name)}.json"


def _body(content: dict[str, Any]) -> str:
    """What stands between a block's two comments."""
    return render(restored(content), content.get("image"), content.get("cloud_image"))


def _differences(target: Path, name: str, body: str, store: Path) -> list[str]:
    try:
        content = json.loads(store.read_text(encoding="utf-8"))
        if content["format"] > FORMAT:
            return [f"{store}: written by a newer swath"]
        if content["format"] < FORMAT:
            return [f"{store}: written by an earlier swath; give the run's folder to `swath report --into {target}`"]
        expected = _body(content)
    except (SwathError, OSError, ValueError, KeyError, TypeError) as error:
        return [f"{store}: cannot be read: {error}"]
    problems = []
    shown = [image for image in (content.get("image"), content.get("cloud_image")) if image]
    lost = [image for image in shown if not (target.parent / image).is_file()]
    problems += [f"{target}: block {name} shows {image}, which is not there" for image in lost]
    if body != expected:
        problems.append(f"{target}: block {name} is not what {store.name} holds: {_first_difference(expected, body)}")
    return problems


def _first_difference(expected: str, body: str) -> str:
    pairs = enumerate(zip(expected, body, strict=False))
    start = next((i for i, (a, b) in pairs if a != b), min(len(expected), len(body)))
    there, here = (text[max(0, start - 30) : start + 30].replace("\n", "⏎") for text in (expected, body))
    return f"line {expected.count(chr(10), 0, start) + 1} of the block should read …{there}… and reads …{here}…"


def _placed(text: str, name: str, body: str) -> str:
    block = f"<!-- swath:results {name} -->\n{body}<!-- /swath:results -->"
    for match in BLOCK.finditer(text):
        if match["name"] == name:
            return text[: match.start()] + block + text[match.end() :]
    return f"{text.rstrip()}\n\n## {name}\n\n{block}\n"


def _picture(run: Run, images: Path, target: Path) -> str | None:
    """Draw a small figure of the headline's comparison; its path as the document links it."""
    panel = headline_panel(panels_of(run))
    if panel is None:
        return None
    with styled():
        data = png(comparison(panel, run.arms) if run.sweep is None else _effects(run.sweep), dpi=150)
    return _stored(data, images / f"results-{file_name(run.name)}.png", target)


def _effects(sweep: Sweep) -> Figure:
    """What each level of each axis does in the first panel."""
    effects = sweep.effects
    own = (effects[list(PANEL)] == effects[list(PANEL)].iloc[0]).all(axis=1) & (effects["other_axis"] == "")
    return effects_chart(effects.loc[own].to_dict("records"))


def _cloud_picture(run: Run, images: Path, target: Path) -> str | None:
    """Draw the first chart of painted clouds; its path as the document links it."""
    charts = cloud_charts(run, panels_of(run))
    if not charts:
        return None
    with styled():
        data = png(cloud_curve(charts[0].title, charts[0]), dpi=150)
    return _stored(data, images / f"results-{file_name(run.name)}-clouds.png", target)


def _stored(data: bytes, path: Path, target: Path) -> str:
    """Write a figure to a file; its path as the document links it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path) as temporary:
        temporary.write_bytes(data)
    return Path(os.path.relpath(path, target.parent)).as_posix()
