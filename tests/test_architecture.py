"""Imports point one way (docs/architecture.md), and this is what enforces it."""

import ast
import importlib
import re
from collections.abc import Iterator
from functools import cache
from itertools import pairwise
from pathlib import Path

import pytest

from swath import plugins
from swath.settings import PluginSettings

PACKAGE = Path(__file__).parents[1] / "swath"

BOTTOM = {
    "settings",
    "errors",
    "plugins",
    "_device",
    "_files",
    "_parquet",
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
    "_memory_guard": {"batch"},
    "views": {"sensors", "batch"},
    "encoders": {"sensors", "batch"},
    "segmenters": {"sensors", "batch", "encoders"},
    "corpus": {"sensors", "batch"},
    "methods": {"sensors", "batch", "views", "encoders"},
    "tasks": {"sensors", "batch", "_memory_guard", "views", "encoders", "corpus", "segmenters"},
    "training": {"sensors", "batch", "_memory_guard", "views", "encoders", "corpus", "methods"},
    "sweep": {"tasks"},
    "products": {"sensors", "batch", "encoders", "corpus", "tasks", "training", "sweep"},
    "config": {
        "sensors",
        "batch",
        "views",
        "encoders",
        "corpus",
        "methods",
        "tasks",
        "training",
        "segmenters",
        "sweep",
    },
    "pipeline": {
        "sweep",
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
    "testing": {"sensors", "batch", "views", "encoders", "corpus", "methods", "tasks", "segmenters", "products"},
    "cli": {"sensors", "batch", "corpus", "tasks", "training", "products", "config", "pipeline", "encoders"},
}
RASTER = {"rasterio", "odc", "geopandas", "rioxarray", "pyproj"}
MODULES = sorted(PACKAGE.rglob("*.py"))

LOOKUPS = {
    # an attribute that some versions or systems lack, of an object that is not ours
    "swath._endings: getattr(error, 'filename', None)",
    "swath._endings: getattr(error, 'errno', None)",
    "swath._threads: hasattr(os, 'register_at_fork')",
    "swath.corpus.reading._plain: hasattr(os, 'posix_fadvise')",
    "swath.corpus.sources.stac._addresses: getattr(one, 'ipv4_mapped', None)",
    "swath.encoders.timm: getattr(network, 'conv1', None)",
    "swath.encoders.timm: getattr(network, 'head_hidden_size', None)",
    "swath.encoders.timm: hasattr(network, 'forward_intermediates')",
    "swath.encoders.timm: hasattr(network, 'maxpool')",
    "swath.training._memory: hasattr(libc, 'gnu_get_libc_version')",
    "swath.training.manifest: hasattr(os, 'sched_getaffinity')",
}


@cache
def tree_of(path: Path) -> ast.Module:
    return ast.parse(path.read_text())


@cache
def nodes_of(path: Path) -> list[ast.AST]:
    """All nodes of a module's tree, which several tests look through."""
    return list(ast.walk(tree_of(path)))


def part_of(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def dotted(path: Path) -> str:
    return ".".join(path.relative_to(PACKAGE.parent).with_suffix("").parts).removesuffix(".__init__")


@cache
def imports(path: Path) -> set[str]:
    found = set()
    for node in nodes_of(path):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return found


def test_imports_point_one_way():
    wrong = set()
    for path in MODULES:
        part = part_of(path)
        used = {name.split(".")[1] for name in imports(path) if name.startswith("swath.")}
        if part != "__init__":
            wrong |= {f"{dotted(path)} -> {other}" for other in used - BOTTOM - ALLOWED.get(part, set()) - {part}}
    assert not wrong


def test_only_corpus_and_products_import_raster_libraries():
    wrong = {
        dotted(path)
        for path in MODULES
        if part_of(path) not in {"corpus", "products"} and {name.split(".")[0] for name in imports(path)} & RASTER
    }
    assert not wrong


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
        for node in nodes_of(path):
            if isinstance(node, ast.Call) and ast.unparse(node.func) == "torch.load":
                assert any(k.arg == "weights_only" and ast.unparse(k.value) == "True" for k in node.keywords), path


def room_of(name: str) -> str | None:
    """The package whose modules alone may import a private name; None for a public one."""
    parts = name.split(".")
    private = next((i for i, part in enumerate(parts) if part.startswith("_") and not part.startswith("__")), None)
    if private is None:
        return None
    owner = parts[:private]
    return ".".join(owner if PACKAGE.parent.joinpath(*owner).is_dir() else owner[:-1])


def imports_of_others_insides() -> set[str]:
    wrong = set()
    for path in MODULES:
        package = dotted(path.with_name("__init__.py"))
        for name in imports(path):
            room = room_of(name) if name.startswith("swath.") else None
            if room is not None and not f"{package}.".startswith(f"{room}."):
                wrong.add(f"{dotted(path)} -> {name}")
    return wrong


def public_list(package: str) -> set[str] | None:
    """What `__all__` of a package names; None where it has none."""
    for node in tree_of(PACKAGE.parent.joinpath(*package.split("."), "__init__.py")).body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__":
            return set(ast.literal_eval(node.value))
    return None


def is_package(name: str) -> bool:
    return PACKAGE.parent.joinpath(*name.split("."), "__init__.py").exists()


def is_module(name: str) -> bool:
    return PACKAGE.parent.joinpath(*name.split(".")).with_suffix(".py").exists()


def holds_plugins(package: str) -> bool:
    """Whether a package's modules are found by their names: they need no list, and are public."""
    return any(f"{package}.".startswith(f"{home}.") for home in plugins.PACKAGES.values())


def imports_past_a_face() -> set[str]:
    """Names that a package's `__init__` does not list and that modules outside of the package import."""
    wrong = set()
    for path in MODULES:
        package = dotted(path.with_name("__init__.py"))
        for name in imports(path):
            parts = name.split(".")
            for depth in range(2, len(parts) if parts[0] == "swath" else 0):
                entered, taken = ".".join(parts[:depth]), parts[depth]
                if f"{package}.".startswith(f"{entered}.") or not is_package(entered):
                    continue
                a_plugin = holds_plugins(entered) and is_module(f"{entered}.{taken}")
                if not (a_plugin or is_package(f"{entered}.{taken}") or taken in (public_list(entered) or ())):
                    wrong.add(f"{dotted(path)} -> {name}: {entered} does not list {taken}")
    return wrong


def names_that_hide_their_module() -> set[str]:
    """Names in a package's face that are a module of the package as well: which of the two one gets would be chance."""
    wrong = set()
    for path in PACKAGE.rglob("__init__.py"):
        package = dotted(path)
        modules = {one.stem for one in path.parent.iterdir() if one.is_dir() or one.suffix == ".py"}
        for node in tree_of(path).body:
            if isinstance(node, ast.ImportFrom) and node.module != package:
                names = {alias.asname or alias.name for alias in node.names}
            else:
                names = {node.name} if isinstance(node, ast.FunctionDef | ast.ClassDef) else set()
            wrong |= {f"{package}.{name}" for name in names & modules}
    return wrong


def attributes_looked_up_by_name() -> set[str]:
    """`getattr` and `hasattr` of a name that is written down: what a plug-in has, its Protocol or base class says."""
    return {
        f"{dotted(path)}: {ast.unparse(node)}"
        for path in MODULES
        for node in nodes_of(path)
        if isinstance(node, ast.Call)
        and ast.unparse(node.func) in {"getattr", "hasattr"}
        and isinstance(node.args[1], ast.Constant)
    }


def riddles() -> set[str]:
    """Public docstrings that cannot be understood alone: those that begin with "Of", and those of a word or two."""
    return {
        f"{dotted(path)}: {text[:60]}"
        for path in MODULES
        for public, text, few in docstrings(tree_of(path))
        if public and (text.startswith("Of ") or len(text.split()) <= few)
    }


def docstrings(tree: ast.Module) -> Iterator[tuple[bool, str, int]]:
    """Whether its owner is public, first line, and up to how many words are too few: a field's may be "Pixels."."""
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.ClassDef | ast.Module) and (text := ast.get_docstring(node)):
            public = isinstance(node, ast.Module) or not node.name.startswith("_")
            yield public, text.splitlines()[0], 2
        if isinstance(node, ast.ClassDef):
            for field, said in pairwise(node.body):
                if (
                    isinstance(field, ast.AnnAssign)
                    and isinstance(said, ast.Expr)
                    and isinstance(said.value, ast.Constant)
                ):
                    public = not (node.name.startswith("_") or ast.unparse(field.target).startswith("_"))
                    yield public, str(said.value.value).splitlines()[0], 0


def test_nobody_imports_what_is_private_to_another_package():
    assert not imports_of_others_insides()


def test_every_package_has_a_public_list_of_what_is_there():
    for package in map(dotted, PACKAGE.rglob("__init__.py")):
        listed = public_list(package)
        assert listed is not None, package
        for name in listed:
            there = is_package(f"{package}.{name}") or is_module(f"{package}.{name}")
            assert there or hasattr(importlib.import_module(package), name), f"{package}: {name}"


def test_others_import_what_the_public_list_names():
    assert not imports_past_a_face()


def test_no_name_of_a_face_hides_a_module():
    assert not names_that_hide_their_module()


def test_what_a_plugin_has_is_never_found_out_by_looking():
    assert attributes_looked_up_by_name() == LOOKUPS


def test_public_docstrings_can_be_understood_alone():
    assert not riddles()


def kinds_of_plugins() -> list[tuple[str, list[str], list[str], str]]:
    """The table "One new file" of the documents: package, what a module defines, as said by what, and a test's path."""
    page = (PACKAGE.parent / "docs" / "architecture.md").read_text().split("## One new file")[1].split("\n## ")[0]
    rows = [
        [cell.strip() for cell in line.strip("|").split("|")]
        for line in page.splitlines()
        if line.startswith("|") and "NAME.py" in line
    ]
    quoted = [[re.findall(r"`([^`]+)`", cell) for cell in row] for row in rows]
    return [
        (path[0].removesuffix("/NAME.py").replace("/", "."), defines, said_by, test[0])
        for _, path, defines, said_by, test in quoted
    ]


def test_every_kind_of_plugin_that_is_looked_up_is_in_the_documents():
    """Whatever `plugins` is asked for by the name of a package, its own (`__name__`) or another."""
    known = {package for package, *_ in kinds_of_plugins()}
    asked = set()
    for path in MODULES:
        for node in nodes_of(path):
            function = ast.unparse(node.func) if isinstance(node, ast.Call) else ""
            if re.fullmatch(r"plugins\.(names|find|union|usable)", function):
                package = ast.unparse(node.args[0]).strip("'")
                asked.add(dotted(path) if package == "__name__" else package)
    assert {package for package in asked if package.startswith("swath.")} <= known
    assert set(plugins.PACKAGES.values()) <= known


@pytest.mark.parametrize(("package", "defines", "said_by", "test"), kinds_of_plugins(), ids=lambda one: str(one)[:40])
def test_a_kind_of_plugin_is_as_the_documents_say(package, defines, said_by, test):
    kinds = [vars(importlib.import_module(name.rpartition(".")[0]))[name.rpartition(".")[2]] for name in said_by]
    assert (PACKAGE.parent / "tests" / test).exists()
    names = plugins.shipped(package)
    assert names
    for name in names:
        module = plugins.find(package, name)
        constant = vars(module).get(defines[0]) if defines[0].isupper() and len(defines) == 1 else module
        assert isinstance(constant, tuple(kinds)), f"{name}: {', '.join(said_by)}"
        assert set(defines) & set(vars(module)), name


def test_settings_of_every_plugin_have_the_common_base():
    for package, defines, *_ in kinds_of_plugins():
        if "Config" in defines:
            for name in plugins.shipped(package):
                config = plugins.find(package, name).Config
                assert issubclass(config, PluginSettings), f"{package}: {name}"
                assert config.model_fields["name"].default == name


def test_the_longest_files_are_there():
    from tests import conftest

    for name in conftest.LONGEST:
        assert (PACKAGE.parent / "tests" / name).exists(), name
