"""Shapes are checked under pytest only: every annotated function of swath is verified while the tests run."""

import os
from pathlib import Path

# before the hook below, which hides the bytecode of whatever is imported while a module of swath is
import distributed  # noqa: F401
import geopandas  # noqa: F401
import lightning.pytorch  # noqa: F401
import matplotlib.figure  # noqa: F401
import pytest
import sklearn.linear_model  # noqa: F401
import timm  # noqa: F401
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
