"""The promises of a section of the report."""

import jinja2

from swath import plugins
from swath.products.report.sections import Section


def it_defines_a_section_whose_template_can_be_read(name: str) -> None:
    """`SECTION` has a title and a place, and its template is Jinja2."""
    section = vars(plugins.find(plugins.PACKAGES["sections"], name)).get("SECTION")
    assert isinstance(section, Section), f"the module of {name} defines no SECTION = Section(...)"
    assert section.title, f"the section {name} has no title"
    jinja2.Environment(autoescape=True).parse(section.template)


CHECKS = (it_defines_a_section_whose_template_can_be_read,)
