import xml.etree.ElementTree as ET

import numpy as np
import pytest
from matplotlib.figure import Figure

from swath.products.draw.style import blank, colour, png, styled, svg


def figure(title: str = "Loss") -> Figure:
    drawn, axes = blank()
    axes.plot(np.arange(9.0), color=colour(0))
    axes.set_title(title)
    return drawn


def drawn(title: str = "Loss", name: str = "x") -> str:
    with styled():
        return str(svg(figure(title), name, f"about {title}"))


def test_svg_is_the_same_every_time():
    assert drawn() == drawn()


def test_svg_takes_its_colours_from_the_page_and_names_nothing_outside():
    text = drawn()
    assert "var(--c0)" in text
    assert "#0072b2" not in text
    assert "http" not in text
    assert "xlink" not in text


@pytest.mark.parametrize("title", ["a < b & c", "price in $ and $", "<script>", "森林 \\alpha_{2}"])
def test_names_are_shown_letter_by_letter(title):
    root = ET.fromstring(drawn(title))
    assert title in ["".join(text.itertext()) for text in root.iter("text")]
    assert root.get("aria-label") == f"about {title}"


def test_ids_start_with_the_figure_name():
    ids = [e.get("id") for e in ET.fromstring(drawn(name="first")).iter() if e.get("id")]
    assert ids
    assert all(i.startswith("first-") for i in ids)


def test_png_is_the_same_every_time_and_a_png():
    def once() -> bytes:
        with styled():
            return png(figure(), dpi=60)

    assert once() == once()
    assert once().startswith(b"\x89PNG")
