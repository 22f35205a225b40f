"""Finding a sensor, source, policy, encoder, method or task by the name of its module: one new file, no registry."""

import importlib
import pkgutil
from collections.abc import Iterable
from types import ModuleType
from typing import Annotated, Any, Union

from pydantic import Field

from swath.errors import RecipeError, nearest


def names(package: str) -> list[str]:
    """Names of the plug-ins in a package, sorted; modules that start with an underscore are helpers, not plug-ins.

    A module name with underscores is spelt with hyphens in recipes and messages (`moco_v2.py` -> `moco-v2`).
    """
    return sorted(_modules(package))


def _modules(package: str) -> dict[str, str]:
    """The plug-ins' modules by name; none of them is imported."""
    return _modules_in(package, importlib.import_module(package).__path__)


def _modules_in(package: str, folders: Iterable[str]) -> dict[str, str]:
    """A plug-in may be a package whose parts all start with underscores; any other package is a family of plug-ins."""
    modules = {}
    for folder in folders:
        for module in pkgutil.iter_modules([folder]):
            if module.name.startswith("_"):
                continue
            path = f"{package}.{module.name}"
            family = _modules_in(path, [f"{folder}/{module.name}"]) if module.ispkg else {}
            modules |= family or {module.name.replace("_", "-"): path}
    return modules


def find(package: str, name: str) -> ModuleType:
    """The plug-in's module.

    Raises:
        RecipeError: no module of that name; the message suggests the nearest one.
    """
    known = _modules(package)
    name = name.replace("_", "-")
    if name not in known:
        kind = package.rpartition(".")[2].rstrip("s")
        raise RecipeError(f"unknown {kind} {name!r}", remedy=nearest(name, sorted(known)))
    return importlib.import_module(known[name])


def union(package: str) -> Any:
    """The settings of any plug-in of a package, told apart by `name`: a pydantic discriminated union.

    The type is built when a recipe is validated, from the files that are there, so no list of plug-ins exists anywhere.
    """
    configs = [find(package, name).Config for name in names(package)]
    # Union[...] takes a tuple made at run time, which X | Y cannot
    return Annotated[Union[tuple(configs)], Field(discriminator="name")] if len(configs) > 1 else configs[0]  # noqa: UP007
