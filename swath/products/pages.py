"""HTML pages from the templates of `swath/products/templates`: what the report and all other pages have in common."""

import base64
import hashlib
from pathlib import Path

from functools import cache

import jinja2
from markupsafe import Markup

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
