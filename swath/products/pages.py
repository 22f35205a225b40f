"""HTML pages from the templates of `swath/products/templates`: what the report and the check page have in common."""

from functools import cache

import jinja2

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
    pages.globals["colours"] = len(style.SERIES)
    pages.globals["macros"] = pages.get_template("macros.html.j2").module
    return pages


@cache
def template(text: str) -> jinja2.Template:
    """A template that is no file of that folder, such as a section's."""
    return environment().from_string(text)
