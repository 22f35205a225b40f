"""Finding a sensor, source, policy, encoder, method or probe by its name: swath's own modules, and installed packages'.

One new file in a package of swath's is found without being listed anywhere. A package of one's own offers modules by
entry points in the group `swath.KIND`, such as `swath.methods` (docs/plugins.md).
"""

import importlib
import pkgutil
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from importlib.metadata import entry_points
from pathlib import Path
from types import ModuleType
from typing import Annotated, Any, Literal, Union

from pydantic import Field, create_model, model_validator

from swath.errors import RecipeError, nearest
from swath.settings import PluginSettings, Settings

PACKAGES = {
    "sensors": "swath.sensors",
    "sources": "swath.corpus.sources",
    "places": "swath.corpus.places",
    "dates": "swath.corpus.dates",
    "checks": "swath.corpus.checks",
    "policies": "swath.views.policies",
    "encoders": "swath.encoders",
    "encodings": "swath.encoders.location.encodings",
    "networks": "swath.encoders.location.networks",
    "segmenters": "swath.segmenters",
    "methods": "swath.methods",
    "probes": "swath.tasks.probes",
    "floors": "swath.tasks.floors",
    "metrics": "swath.tasks.metrics",
    "attributions": "swath.products.explain.attributions",
    "sections": "swath.products.report.sections",
}
"""Package of swath that holds the plug-ins of each kind. Installed packages add to a kind by the group `swath.KIND`."""


def names(package: str) -> list[str]:
    """Names of the plug-ins in a package of swath's and of those that installed packages offer beside them, sorted.

    A module name with underscores is spelt with hyphens in recipes and messages (`moco_v2.py` -> `moco-v2`). Modules
    that start with an underscore are helpers, not plug-ins.
    """
    return sorted({*_modules(package), *_offered(package)})


def shipped(package: str) -> list[str]:
    """Names of the plug-ins that swath itself ships, sorted."""
    return sorted(_modules(package))


def origins(package: str) -> dict[str, str]:
    """By plug-in name, the distribution that offers it: `swath`, or an installed package with its version."""
    offered_by = dict.fromkeys(_modules(package), "swath")
    for name, offers in _offered(package).items():
        offered_by[name] = " and ".join(
            [*([offered_by[name]] if name in offered_by else []), *(one.origin for one in offers)]
        )
    return dict(sorted(offered_by.items()))


def group_of(package: str) -> str:
    """The entry-point group that adds to a package: `swath.views.policies` -> `swath.policies`."""
    return f"swath.{package.rpartition('.')[2]}"


def find(package: str, name: str) -> ModuleType:
    """The plug-in's module.

    Raises:
        RecipeError: no module of that name (the message suggests the nearest one), two that claim it, or an installed
            package's module that cannot be imported.
    """
    name = name.replace("_", "-")
    own, offers = _modules(package).get(name), _offered(package).get(name, [])
    if len(offers) + (own is not None) > 1:
        raise RecipeError(
            f"two plug-ins claim to be the {_kind(package)} {name!r}: those of {origins(package)[name]}",
            remedy="uninstall one of the packages, or have it choose another name",
        )
    if own is not None:
        return importlib.import_module(own)
    if offers:
        return _loaded(package, offers[0])
    raise RecipeError(f"unknown {_kind(package)} {name!r}", remedy=nearest(name, names(package)) + _beside(package))


def shipped_modules(package: str) -> dict[str, ModuleType]:
    """Modules of the plug-ins that swath ships, by name, whatever installed packages claim."""
    return {name: importlib.import_module(path) for name, path in sorted(_modules(package).items())}


def usable(package: str) -> dict[str, ModuleType]:
    """Modules of all plug-ins by name, without those of installed packages that fail to import or clash."""
    modules = {}
    for name in names(package):
        try:
            modules[name] = find(package, name)
        except RecipeError:
            if name not in _offered(package):
                raise
    return modules


@dataclass(frozen=True)
class AnyOf:
    """Annotation for a recipe field that takes the settings of any plug-in of a package.

    The type is made when a recipe is first validated, not when the module with the annotation is imported: by then
    packages that offer plug-ins can import all of swath.
    """

    package: str
    base: type[PluginSettings] = PluginSettings
    """The common base class of the plug-ins' settings."""
    without: tuple[str, ...] = ()
    """Names of plug-ins that the field does not take."""

    def settings(self) -> list[type[Settings]]:
        """The `Config` classes of all plug-ins; an unusable plug-in has one that says why when it is validated."""
        return [self._settings_of(name) for name in names(self.package) if name not in self.without]

    def _settings_of(self, name: str) -> type[Settings]:
        try:
            module = find(self.package, name)
        except RecipeError as error:
            return _refusing(name, error)
        if name in _modules(self.package):
            return module.Config
        settings = vars(module).get("Config")
        if not (isinstance(settings, type) and issubclass(settings, self.base)) or _name_of(settings) != name:
            return _refusing(
                name,
                RecipeError(
                    f"the {_kind(self.package)} {name!r} of {origins(self.package)[name]} defines no "
                    f"Config({self.base.__name__}) with name: Literal[{name!r}] = {name!r}",
                    remedy="mend or uninstall that package",
                ),
            )
        return settings

    def __get_pydantic_core_schema__(self, _: Any, handler: Any) -> Any:
        settings = self.settings()
        if len(settings) == 1:
            return handler.generate_schema(settings[0])
        # Union[...] takes a tuple made at run time, which X | Y cannot
        return handler.generate_schema(Annotated[Union[tuple(settings)], Field(discriminator="name")])  # noqa: UP007


def union(package: str, base: type[PluginSettings] = PluginSettings, without: tuple[str, ...] = ()) -> Any:
    """Annotation for a recipe field that takes the settings of any plug-in of a package, told apart by `name`.

    Args:
        package: where the plug-ins are.
        base: what their settings derive from.
        without: names of plug-ins that are left out.
    """
    return Annotated[base, AnyOf(package, base, without)]


def _modules(package: str) -> dict[str, str]:
    """Import paths of swath's own plug-ins by name; nothing is imported."""
    return _modules_in(package, importlib.import_module(package).__path__)


def _modules_in(package: str, folders: Iterable[str]) -> dict[str, str]:
    """The plug-in modules inside folders. A package whose parts all start with underscores, or are packages of other
    kinds, is a plug-in; any other is a family of plug-ins.
    """
    modules = {}
    for folder in folders:
        for name, is_package in _listed(folder, _changed(folder)):
            path = f"{package}.{name}"
            if name.startswith("_") or path in PACKAGES.values():
                continue
            family = _modules_in(path, [f"{folder}/{name}"]) if is_package else {}
            modules |= family or {name.replace("_", "-"): path}
    return modules


@cache
def _listed(folder: str, changed: int) -> list[tuple[str, bool]]:  # noqa: ARG001 - listed once until it is changed
    """Names of the modules in a folder, and whether they are packages.

    Plug-ins are looked up thousands of times in a run; Python's own importer looks at a folder anew by the same rule.
    """
    return [(module.name, module.ispkg) for module in pkgutil.iter_modules([folder])]


def _changed(folder: str) -> int:
    """When something was last added to a folder or taken from it, in nanoseconds; 0 inside an archive."""
    try:
        return Path(folder).stat().st_mtime_ns
    except OSError:
        return 0


@dataclass(frozen=True)
class _Offer:
    """An entry point by which an installed package offers a plug-in."""

    name: str
    module: str
    """Import path of the plug-in's module."""
    origin: str
    """The distribution and its version."""


def _offered(package: str) -> dict[str, list[_Offer]]:
    """Plug-ins that installed packages offer to a package, by name; nothing is imported."""
    return _offers(group_of(package), tuple(sys.path))


@cache
def _offers(group: str, path: tuple[str, ...]) -> dict[str, list[_Offer]]:
    by_name: dict[str, list[_Offer]] = {}
    for entry in _installed(path).select(group=group):
        name = entry.name.replace("_", "-")
        origin = f"{entry.dist.name} {entry.dist.version}" if entry.dist else entry.value
        by_name.setdefault(name, []).append(_Offer(name, entry.value, origin))
    return {name: sorted(offers, key=lambda one: one.origin) for name, offers in sorted(by_name.items())}


@cache
def _installed(path: tuple[str, ...]) -> Any:  # noqa: ARG001 - looked up once per path
    """Entry points of all packages, as `importlib.metadata` holds them: one group takes as long to read as all."""
    return entry_points()


def _loaded(package: str, offer: _Offer) -> ModuleType:
    said = f"the {_kind(package)} {offer.name!r} of {offer.origin}"
    remedy = f"mend or uninstall that package; its entry point is {offer.module}"
    if ":" in offer.module:
        raise RecipeError(f"{said} is no module", remedy=remedy)
    try:
        return importlib.import_module(offer.module)
    except Exception as error:  # whatever a stranger's module may raise
        raise RecipeError(f"{said} cannot be imported: {type(error).__name__}: {error}", remedy=remedy) from error


def _beside(package: str) -> str:
    """For a message: which of the known names come from installed packages."""
    offered = [f"{name} ({one.origin})" for name, offers in _offered(package).items() for one in offers]
    return f"; of installed packages: {', '.join(offered)}" if offered else ""


def _kind(package: str) -> str:
    last = package.rpartition(".")[2]
    return {
        "attributions": "method of attribution",
        "policies": "view policy",
        "places": "strategy",
        "dates": "rule for dates",
    }.get(last, last.rstrip("s"))


def _name_of(settings: type[Settings]) -> Any:
    field = settings.model_fields.get("name")
    return None if field is None else field.default


def _refusing(name: str, why: RecipeError) -> type[Settings]:
    """Settings that stand for an unusable plug-in: a recipe that names it is told why, all others are unaffected."""

    def refuse(values: Any) -> Any:  # noqa: ARG001
        raise ValueError(f"{why.what}; {why.remedy}")

    # plain values to a type checker: the type is made at run time
    fields: dict[str, Any] = {"name": (Literal[name], name)}  # pyright: ignore[reportInvalidTypeForm]
    validators: dict[str, Any] = {"refuse": model_validator(mode="before")(refuse)}
    return create_model("Config", __base__=PluginSettings, __validators__=validators, **fields)
