"""HTML pages from the templates of `swath/products/templates`: what the report and all other pages have in common."""

import base64
import hashlib
import io
import re
from collections.abc import Callable
from functools import cache
from pathlib import Path

import jinja2
from markupsafe import Markup
from PIL import Image as Picture

from swath._files import file_name, write_whole
from swath.errors import SwathError
from swath.products import words
from swath.products.draw import style


@cache
def environment() -> jinja2.Environment:
    """The Jinja2 environment of all templates: everything is escaped, and a name without a value is an error."""
    pages = jinja2.Environment(
        loader=jinja2.PackageLoader("swath.products"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    script = (Path(__file__).parent / "templates" / "page.js").read_text(encoding="utf-8")
    pages.filters["base64"] = lambda text: base64.b64encode(text.encode()).decode()
    pages.globals["colours"] = len(style.SERIES)
    pages.globals["script"] = Markup(script)  # noqa: S704 — our own file
    # a page runs this script and no other: whatever a name in it holds, the browser refuses to execute it
    pages.globals["script_hash"] = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    pages.globals["macros"] = pages.get_template("macros.html.j2").module
    return pages


@cache
def template(text: str) -> jinja2.Template:
    """A template that is no file of that folder, such as a section's."""
    return environment().from_string(text)


MOST_BYTES = 10_000_000
"""Largest page: what a mail still takes."""
COARSE_PX = 192
"""Side of the pictures of a page that would be larger."""
_TABLE = re.compile(r'download="([^"]*)" href="data:text/csv;base64,([^"]*)"')
_PICTURE = re.compile(r'src="data:image/png;base64,([^"]*)"')


def write_page(path: Path, html: str) -> None:
    """Write a page. Of one that would be too large, tables become files beside it, then pictures coarser, the largest
    first; its foot says so.

    Raises:
        SwathError: that is not enough.
    """
    folder = path.with_name(f"{path.stem}-data")
    html, tables = _smaller(
        html, _TABLE, lambda found: f'download="{found[1]}" href="{folder.name}/{file_name(found[1])}"'
    )
    html, pictures = _smaller(html, _PICTURE, lambda found: f'src="{_coarse(found[1])}"')
    said = [
        f"{words.plural(len(tables), 'table')} moved to {folder.name} beside it, to keep this page small.",
        f"{words.plural(len(pictures), 'picture')} made coarser to keep this page small.",
    ]
    notes = [note for note, left_out in zip(said, (tables, pictures), strict=True) if left_out]
    html = html.replace("</footer>", f"{''.join(f' {note}' for note in notes)}</footer>")
    if len(html.encode()) > MOST_BYTES:
        raise SwathError(
            f"the page would have {len(html.encode()) / 1e6:.1f} MB, more than {MOST_BYTES / 1e6:g}",
            where=str(path),
            remedy="make one of fewer rows, arms or panels",
        )
    for found in tables:
        folder.mkdir(exist_ok=True)
        write_whole(folder / file_name(found[1]), base64.b64decode(found[2]))
    write_whole(path, html)


def _smaller(
    html: str, pattern: re.Pattern[str], instead: Callable[[re.Match[str]], str]
) -> tuple[str, list[re.Match[str]]]:
    """The page with its largest matches replaced until it is small enough, and what was replaced."""
    excess = len(html.encode()) - MOST_BYTES
    if excess <= 0:
        return html, []
    largest = sorted(pattern.finditer(html), key=lambda found: found.start() - found.end())
    replaced: dict[int, tuple[re.Match[str], str]] = {}
    for found in largest:
        text = instead(found)
        if len(text) >= len(found[0]):
            continue
        excess -= len(found[0]) - len(text)
        replaced[found.start()] = found, text
        if excess <= -NOTES:
            break
    whole = pattern.sub(lambda found: replaced.get(found.start(), (found, found[0]))[1], html)
    return whole, [found for found, _ in replaced.values()]


NOTES = 500
"""Bytes that are left for what a page says of its size."""


def _coarse(png: str) -> str:
    """A picture as a small JPEG to inline in a page."""
    target = io.BytesIO()
    with Picture.open(io.BytesIO(base64.b64decode(png))) as picture:
        small = picture.convert("RGB")
        small.thumbnail((COARSE_PX, COARSE_PX))
        small.save(target, format="JPEG", quality=80)
    return f"data:image/jpeg;base64,{base64.b64encode(target.getvalue()).decode()}"
