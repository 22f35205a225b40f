"""Imports point one way (docs/architecture.md), and this is what enforces it."""

import ast
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "swath"

BOTTOM = {
    "settings",
    "errors",
    "plugins",
    "_device",
    "_files",
    "_progress",
    "_threads",
    "_processes",
    "_signals",
    "_yaml",
    "_endings",
    "recipes",
    "__init__",
    "__version__",
}
ALLOWED = {
    **{part: set() for part in BOTTOM},
    "sensors": set(),
    "batch": {"sensors"},
    "_room": {"batch"},
    "views": {"sensors", "batch"},
    "encoders": {"sensors", "batch"},
    "segmenters": {"sensors", "batch", "encoders"},
    "corpus": {"sensors", "batch"},
    "methods": {"sensors", "batch", "views", "encoders"},
    "tasks": {"sensors", "batch", "_room", "views", "encoders", "corpus", "segmenters"},
    "training": {"sensors", "batch", "_room", "views", "encoders", "corpus", "methods"},
    "products": {"sensors", "batch", "encoders", "corpus", "tasks", "training"},
    "config": {"sensors", "batch", "views", "encoders", "corpus", "methods", "tasks", "training", "segmenters"},
    "pipeline": {
        "segmenters",
        "sensors",
        "batch",
        "views",
        "encoders",
        "corpus",
        "methods",
        "tasks",
        "training",
        "products",
        "config",
    },
    "__main__": {"cli"},
    "cli": {"sensors", "batch", "corpus", "tasks", "training", "products", "config", "pipeline", "encoders"},
}
RASTER = {"rasterio", "odc", "geopandas", "rioxarray", "pyproj"}
MODULES = sorted(PACKAGE.rglob("*.py"))


def part_of(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imports(path: Path) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return found


@pytest.mark.parametrize("path", MODULES, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_imports_point_one_way(path):
    part = part_of(path)
    if part == "__init__":
        return
    used = {name.split(".")[1] for name in imports(path) if name.startswith("swath.")}
    wrong = used - BOTTOM - ALLOWED.get(part, set()) - {part}
    assert not wrong, f"{part} must not import {sorted(wrong)}"


@pytest.mark.parametrize("path", MODULES, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_only_corpus_and_products_import_raster_libraries(path):
    used = {name.split(".")[0] for name in imports(path)}
    if part_of(path) not in {"corpus", "products"}:
        assert not used & RASTER


def test_only_one_module_talks_to_torch_distributed():
    users = {
        str(path.relative_to(PACKAGE))
        for path in MODULES
        if any(name.startswith("torch.distributed") for name in imports(path))
        or "torch.distributed" in path.read_text()
    }
    assert users <= {"training/distributed.py"}


def test_sensors_need_no_torch():
    for path in (PACKAGE / "sensors").glob("*.py"):
        assert "torch" not in {name.split(".")[0] for name in imports(path)}


def test_nothing_unpickles():
    for path in MODULES:
        used = imports(path)
        assert not any(name.split(".")[0] in {"pickle", "dill", "cloudpickle", "joblib"} for name in used), path
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and ast.unparse(node.func) == "torch.load":
                assert any(k.arg == "weights_only" and ast.unparse(k.value) == "True" for k in node.keywords), path
