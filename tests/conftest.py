"""Shapes are checked under pytest only: every annotated function of swath is verified while the tests run."""

import os
from pathlib import Path

import pytest
from hypothesis import settings
from jaxtyping import install_import_hook

# time on a shared machine says nothing about correctness
settings.register_profile("swath", deadline=None)
settings.load_profile("swath")

_HOOK = install_import_hook("swath", "beartype.beartype")


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Folder of real satellite data; tests that need it skip where it is absent."""
    folder = Path(os.environ.get("SWATH_DATA", Path(__file__).parents[2] / "shared" / "data"))
    if not folder.is_dir():
        pytest.skip(f"no real data at {folder}; set SWATH_DATA to the folder that holds it")
    return folder
