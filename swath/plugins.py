"""Finding a sensor, source, policy, encoder, method or task by the name of its module: one new file, no registry."""

import importlib
import pkgutil
from types import ModuleType
from typing import Annotated, Any, Union

from pydantic import Field

from swath.errors import RecipeError, nearest


def names(package: str) -> list[str]:
    """Names of the plug-ins in a package, sorted; modules that start with an underscore are helpers, not plug-ins.

    A module name with underscores is spelt with hyphens in recipes and messages (`moco_v2.py` -> `moco-v2`).
    """
    path = importlib.import_module(package).__path__
    return sorted(m.name.replace("_", "-") for m in pkgutil.iter_modules(path) if not m.name.startswith("_"))


def find(package: str, name: str) -> ModuleType:
    """The plug-in's module.

    Raises:
        RecipeError: no module of that name; the message suggests the nearest one.
    """
    known = names(package)
    name = name.replace("_", "-")
    if name not in known:
        kind = package.rpartition(".")[2].rstrip("s")
        raise RecipeError(f"unknown {kind} {name!r}", remedy=nearest(name, known))
    return importlib.import_module(f"{package}.{name.replace('-', '_')}")


def union(package: str) -> Any:
    """The settings of any plug-in of a package, told apart by `name`: a pydantic discriminated union.

    The type is built when a recipe is validated, from the files that are there, so no list of plug-ins exists anywhere.
    """
    configs = [find(package, name).Config for name in names(package)]
    # Union[...] takes a tuple made at run time, which X | Y cannot
    return Annotated[Union[tuple(configs)], Field(discriminator="name")] if len(configs) > 1 else configs[0]  # noqa: UP007
