"""Maps of attribution in the report: rows side by side, beside mistakes, and files that are none."""

import base64
import io
import re
import shutil
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from matplotlib import colormaps
from PIL import Image

from swath.products.draw.pictures import VOID_SHADE, signed_map
from swath.products.report import Material
from swath.products.report.sections import explained, mistakes
from swath.products.tables import headline_panel, load, panels_of

PX = 4


@pytest.fixture(scope="module")
def material(finished_run, tmp_path_factory):
    """A run of which a mistake and another location were explained, for two rows."""
    folder = tmp_path_factory.mktemp("explained") / "fields"
    shutil.copytree(finished_run, folder, ignore=shutil.ignore_patterns("corpus", "pretrain"))
    run = load(folder)
    panels = panels_of(run)
    panel = headline_panel(panels)
    best = panel.pretrained[0].row
    wrong, _ = mistakes.samples(run.predictions(*panel.key, best), run.classes[panel.task], None, {})
    key = dict(zip(("task", "input", "probe"), panel.key, strict=True))
    for row, uids in ((best, [wrong[0].uid, "field-200"]), ("scratch", [wrong[0].uid])):
        made = folder / "explained" / "some" / row
        made.mkdir(parents=True)
        lines = [
            key
            | {"row": row, "seed": 0, "uid": uid, "explained": "<b>maize", "probability": 0.25, "method": method}
            | {"height": PX, "map": np.linspace(-1 if method == "occlusion" else 0, 2, PX * PX).astype(np.float32)}
            for uid in uids
            for method in ("occlusion", "fullgrad")
        ]
        pd.DataFrame(lines).to_parquet(made / "attributions.parquet")
        checks = [
            {"uid": uid, "method": "occlusion", "removed": "pixels", "deletion": 0.1 + 0.2 * i}
            | {"random_deletion": 0.5, "insertion": 0.6, "random_insertion": 0.4, "shuffled_weights": 0.0}
            for i, uid in enumerate(uids)
        ]
        pd.DataFrame(checks).to_csv(made / "checks.csv", index=False)
    return Material(run, panels, panel, None, []), wrong[0].uid, best


def pixels(picture):
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(picture.uri.partition(",")[2]))))


def test_rows_stand_side_by_side_at_the_same_locations(material):
    one, uid, best = material
    shown = explained.content(one)
    (panel,) = shown["panels"]
    assert panel["rows"] == [best, "scratch"]
    assert panel["uids"] == [uid, "field-200"]  # what both were explained at comes first
    assert [name for name, _ in panel["methods"]] == ["fullgrad", "occlusion"]
    cells = dict(panel["methods"])["occlusion"]
    assert set(cells) == {(uid, best), (uid, "scratch"), ("field-200", best)}
    assert cells[uid, "scratch"]["sure"].replace("\N{NO-BREAK SPACE}", " ") == "25 %"
    checks = {line["row"]: line for line in shown["checks"]}
    assert (checks[best]["deletion"], checks[best]["random_deletion"], checks[best]["n"]) == ("0.20", "0.50", 2)
    assert (checks["scratch"]["deletion"], checks["scratch"]["n"]) == ("0.10", 1)


def test_a_mistake_has_its_attribution_beside_it(material):
    one, uid, best = material
    wrong = mistakes.content(one)["wrong"]
    with_map = [sample.uid for sample in wrong if sample.shots]
    assert with_map == [uid]
    assert wrong[0].shots[-1].alt == f"fullgrad of {uid}, {best}: why <b>maize"
    assert one.problems == []


def test_the_page_escapes_what_was_explained(material):
    from swath.products.pages import environment

    text = environment().from_string(explained.SECTION.template).render(explained.content(material[0]))
    assert "&lt;b&gt;maize" in text
    assert "<b>maize" not in text
    assert len(re.findall(r'<th scope="col">', text)) > 4


def test_shades_are_symmetric_about_nothing_and_grey_where_nothing_is_valid():
    values = np.array([[-1.0, 0.0], [2.0, np.nan]])
    found = pixels(signed_map(values, "x"))
    expected = (255 * colormaps["RdBu_r"]([0.25, 0.5, 1.0])[:, :3]).round()
    np.testing.assert_array_equal(found.reshape(4, 3)[:3], expected)
    assert tuple(found[1, 1]) == VOID_SHADE
    one_way = pixels(signed_map(np.array([[0.0, 3.0]]), "x"))
    np.testing.assert_array_equal(one_way[0], (255 * colormaps["viridis"]([0.0, 1.0])[:, :3]).round())


def test_maps_of_a_task_that_is_another_now_are_left_out_and_that_is_said(material, monkeypatch):
    one, problems = material[0], []
    monkeypatch.setattr("swath.products.tables.Run.of_now", lambda self, lines, **_: lines["row"] == "scratch")
    shown = explained.content(replace(one, problems=problems))
    assert [panel["rows"] for panel in shown["panels"]] == [["scratch"]]
    assert [line["row"] for line in shown["checks"]] == ["scratch"]
    assert "What was explained: 4 lines on" in problems[0]
    assert "call `swath explain` again" in problems[0]


def test_a_file_that_is_none_of_explain_becomes_a_note(material, tmp_path):
    one = material[0]
    folder = tmp_path / "fields"
    shutil.copytree(one.run.path, folder)
    pd.DataFrame({"uid": ["a"]}).to_parquet(folder / "explained" / "some" / "attributions.parquet")
    broken = Material(load(folder), one.panels, one.headline, None, [])
    assert explained.content(broken) is None
    assert "explained/some/attributions.parquet has no column explained, height" in broken.problems[0]
