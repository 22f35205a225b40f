"""The pictures of the documents: each is there and shown, each method has one, and the scripts still draw them."""

import importlib.util
import re
import shutil
from pathlib import Path

import pytest

DOCS = Path(__file__).parents[1] / "docs"
SCRIPTS = sorted((DOCS / "images").glob("*.py"))
PAGES = {path.name: path.read_text() for path in [*DOCS.glob("*.md"), DOCS.parent / "README.md"]}
METHODS = [path.stem.replace("_", "-") for path in (DOCS.parent / "swath" / "methods").glob("[a-z]*.py")]
SHOWN = set(re.findall(r"!\[[^\]]*\]\((?:docs/)?images/([\w-]+\.png)\)", "\n".join(PAGES.values())))
SMALL = {"STEPS": 2, "IMAGE_STEPS": 2, "BATCH": 4, "STEP": 30.0}


def test_pictures_that_are_shown_are_there_and_others_are_not():
    assert {path.name for path in (DOCS / "images").glob("*.png")} == SHOWN


def test_every_method_has_a_picture_or_says_whose_shows_it():
    sections = re.split(r"^#{2,3} ", PAGES["methods.md"], flags=re.MULTILINE)
    of_heading = dict(part.split("\n", 1) for part in sections)
    pictured = {heading for heading, text in of_heading.items() if "](images/" in text}
    assert len(pictured) > 10
    for name in METHODS:
        (heading,) = [one for one in of_heading if name in one.split(" and ")]
        links = set(re.findall(r"\(#([\w-]+)\)", of_heading[heading]))
        assert heading in pictured or links & pictured, name


def test_every_script_is_named_where_its_picture_is_shown():
    for script in SCRIPTS:
        assert any(f"docs/images/{script.name}" in text for text in PAGES.values()), script.name


@pytest.mark.slow
@pytest.mark.parametrize("script", [one for one in SCRIPTS if one.stem != "explore"], ids=lambda one: one.stem)
def test_scripts_draw_their_pictures(script, tmp_path, request):
    """As they are but for shorter trainings; the explorer's own tests draw its page."""
    copy = shutil.copy(script, tmp_path)
    spec = importlib.util.spec_from_file_location(f"picture_{script.stem}", copy)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    for name in SMALL.keys() & vars(module).keys():
        setattr(module, name, SMALL[name])
    if script.stem == "locations":
        module.main(request.getfixturevalue("shared_data") / "geo_location", tmp_path)
    else:
        module.main(*([tmp_path / "corpus"] if script.stem == "masks" else []))
    drawn = {path.name for path in tmp_path.glob("*.png")}
    assert drawn
    assert drawn <= SHOWN
