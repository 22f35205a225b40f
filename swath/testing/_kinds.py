"""The kinds of plug-in, and the checks of each kind."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from pydantic import ValidationError

from swath import plugins
from swath.corpus.checks import CheckPlugin
from swath.corpus.dates import DateRulePlugin
from swath.corpus.places import ListingStrategyPlugin, StrategyPlugin
from swath.corpus.sources import SourcePlugin
from swath.encoders import EncoderPlugin
from swath.encoders.location.encodings import EncodingPlugin
from swath.encoders.location.networks import NetworkPlugin
from swath.errors import nearest
from swath.methods import MethodPlugin
from swath.products.explain.attributions import AttributionPlugin
from swath.segmenters import SegmenterPlugin
from swath.settings import Settings
from swath.tasks.floors import FloorPlugin
from swath.tasks.metrics import MetricPlugin
from swath.tasks.probes import FeatureProbe, TrainingProbe
from swath.testing import (
    _attributions,
    _encoders,
    _locations,
    _methods,
    _metrics,
    _policies,
    _probes,
    _sections,
    _segmenters,
    _sensors,
)
from swath.views import PolicyPlugin


@dataclass(frozen=True)
class Kind:
    """One kind of plug-in."""

    name: str
    """Name as in `plugins.PACKAGES`."""
    protocols: tuple[type, ...] = ()
    """Protocols, of which a module fulfils at least one."""
    own: tuple[Callable[[Any], None], ...] = ()
    """Checks of this kind only; each takes settings, or a sensor's name."""
    has_settings: bool = True

    @property
    def package(self) -> str:
        """Package that holds swath's own plug-ins of this kind."""
        return plugins.PACKAGES[self.name]


KINDS = {
    kind.name: kind
    for kind in (
        Kind("sensors", own=_sensors.CHECKS, has_settings=False),
        Kind("sources", (SourcePlugin,)),
        Kind("places", (StrategyPlugin, ListingStrategyPlugin)),
        Kind("dates", (DateRulePlugin,)),
        Kind("checks", (CheckPlugin,), has_settings=False),
        Kind("policies", (PolicyPlugin,), _policies.CHECKS),
        Kind("encoders", (EncoderPlugin,), _encoders.CHECKS),
        Kind("encodings", (EncodingPlugin,), _locations.ENCODING_CHECKS),
        Kind("networks", (NetworkPlugin,), _locations.NETWORK_CHECKS),
        Kind("segmenters", (SegmenterPlugin,), _segmenters.CHECKS),
        Kind("methods", (MethodPlugin,), _methods.CHECKS),
        Kind("probes", (FeatureProbe, TrainingProbe), _probes.CHECKS),
        Kind("floors", (FloorPlugin,)),
        Kind("metrics", (MetricPlugin,), _metrics.CHECKS, has_settings=False),
        Kind("attributions", (AttributionPlugin,), _attributions.CHECKS),
        Kind("sections", own=_sections.CHECKS, has_settings=False),
    )
}
"""Kinds by the last part of their entry-point group, such as `methods` for `swath.methods`."""


@dataclass(frozen=True)
class Check:
    """One promise of a kind of plug-in: called with a plug-in's name and settings, AssertionError if it is broken."""

    kind: Kind = field(repr=False)
    function: Callable[..., None]

    def __call__(self, name: str, **settings: Any) -> None:
        if self.function in self.kind.own:
            self.function(settings_of(self.kind, name, settings) if self.kind.has_settings else name)
        else:
            self.function(self.kind, name, settings)

    def __str__(self) -> str:
        return self.function.__name__


def checks(kind: str) -> list[Check]:
    """The checks of a kind of plug-in, such as `methods`; ValueError with the nearest if there is no such kind."""
    if kind not in KINDS:
        raise ValueError(f"unknown kind of plug-in {kind!r}; {nearest(kind, KINDS)}")
    plugin_kind = KINDS[kind]
    common = [is_found_by_its_name, *([settings_are_strict_and_come_back] if plugin_kind.has_settings else [])]
    return [Check(plugin_kind, function) for function in (*common, *plugin_kind.own)]


def settings_of(kind: Kind, name: str, settings: dict[str, Any]) -> Any:
    """The settings of a plug-in, as a recipe makes them."""
    return plugins.find(kind.package, name).Config.model_validate({"name": name, **settings})


def is_found_by_its_name(kind: Kind, name: str, settings: dict[str, Any]) -> None:  # noqa: ARG001
    """It is a module that defines what its kind has to, under a name that nobody else claims."""
    module = plugins.find(kind.package, name)
    wanted = " or ".join(protocol.__name__ for protocol in kind.protocols)
    assert not kind.protocols or isinstance(module, kind.protocols), f"{module.__name__} is no {wanted}"


def settings_are_strict_and_come_back(kind: Kind, name: str, settings: dict[str, Any]) -> None:
    """What a recipe says of it is read back the same, and a key that it does not know is refused."""
    made = settings_of(kind, name, settings)
    assert isinstance(made, Settings), f"the Config of {name} is no PluginSettings"
    assert dict(made).get("name") == name, f"the Config of {name} has another name: {made}"
    again = type(made).model_validate_json(made.model_dump_json(), strict=True)
    assert again == made, f"settings of {name} change when they are written and read: {made} became {again}"
    try:
        type(made).model_validate(made.model_dump() | {"no_such_key": 1})
    except ValidationError:
        return
    raise AssertionError(f"the Config of {name} takes keys that it does not know")
