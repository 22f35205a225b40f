"""Pages stay small: tables become files, pictures coarser, and what is still too large is refused."""

import base64
import io
import re

import numpy as np
import pandas as pd
import pytest
from PIL import Image as Picture

from swath.errors import SwathError
from swath.products import pages
from swath.products.draw.figures import as_csv
from swath.products.draw.pictures import uri

TABLE = pd.DataFrame({"n": np.arange(3000)})
PICTURE = np.random.default_rng(0).integers(0, 255, (300, 300, 3)).astype(np.uint8)


def page(*parts):
    return f"<main>{''.join(parts)}</main><footer>Written.</footer>"


def link(name, table):
    return f'<a download="{name}.csv" href="{as_csv(table)}">CSV</a>'


def written(tmp_path, html, most, monkeypatch):
    monkeypatch.setattr(pages, "MOST_BYTES", most)
    pages.write_page(tmp_path / "report.html", html)
    return (tmp_path / "report.html").read_text(encoding="utf-8")


def test_a_small_page_is_written_as_it_is(tmp_path, monkeypatch):
    html = page(link("few", TABLE[:9]), f'<img src="{uri(PICTURE)}">')
    assert written(tmp_path, html, 10_000_000, monkeypatch) == html
    assert [path.name for path in tmp_path.iterdir()] == ["report.html"]


def test_the_largest_table_becomes_a_file_beside_the_page(tmp_path, monkeypatch):
    html = page(link("all", TABLE), link("few", TABLE[:9]))
    text = written(tmp_path, html, 5000, monkeypatch)
    assert len(text.encode()) <= 5000
    assert '<a download="all.csv" href="report-data/all.csv">' in text
    assert as_csv(TABLE[:9]) in text
    assert "1 table moved to report-data beside it, to keep this page small." in text
    pd.testing.assert_frame_equal(pd.read_csv(tmp_path / "report-data" / "all.csv"), TABLE)


def test_pictures_become_coarser_where_that_is_needed(tmp_path, monkeypatch):
    small = uri(np.zeros((4, 4), np.uint8))
    html = page(link("all", TABLE), f'<img src="{uri(PICTURE)}"><img src="{small}">')
    text = written(tmp_path, html, 60_000, monkeypatch)
    assert len(text.encode()) <= 60_000
    assert small in text
    assert "1 picture made coarser to keep this page small." in text
    coarse = re.search(r'src="data:image/jpeg;base64,([^"]*)"', text)
    assert Picture.open(io.BytesIO(base64.b64decode(coarse[1]))).size == (192, 192)


def test_a_page_that_stays_too_large_is_refused(tmp_path, monkeypatch):
    with pytest.raises(SwathError, match=r"the page would have 0\.0 MB") as caught:
        written(tmp_path, page("x" * 5000), 1000, monkeypatch)
    assert "fewer rows" in caught.value.remedy
    assert not (tmp_path / "report.html").exists()
