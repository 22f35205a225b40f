"""The section of a recipe that describes a sweep, and the arms that it makes."""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from pydantic import Field, field_validator, model_serializer, model_validator

from swath.errors import RecipeError, nearest
from swath.settings import Settings
from swath.sweep.design import Design, GridDesign, Levels, Point, points_of

Merge = Callable[[dict[str, Any], dict[str, Any]], dict[str, Any]]
"""A function of what arms have in common and what is put over it, which returns both as one section."""
COLUMNS = ("arm", "task", "input", "probe", "metric", "value", "low", "high", "seconds", "samples")
"""Columns of sweep/arms.csv besides the levels, each of which has a column with the name of its axis."""
NAMED = ("encoder", "method", "views")
"""Sections of an arm that name a plug-in: the levels of an axis over one may be plain names."""


class SweepConfig(Settings):
    """Axes of pre-training, the combinations of their levels that are trained, and the confirmation of the best."""

    axes: dict[str, dict[str, dict[str, Any]]] = Field(min_length=1)
    """Levels by axis: each level a name, and what it puts over `pretrain`. Short for an axis over one key: the key, and
    a list of its values (`training.batch_size: [64, 128]`, `method: [simclr, byol]`). An axis over `method` begins with
    the method's defaults; one over `views.name` keeps what `pretrain.views` says."""
    design: Design = GridDesign()
    """The combinations of levels that are trained."""
    without: list[dict[str, str]] = Field(default_factory=list)
    """Combinations that are left out, such as `{objective: dino, views: seasons}`: level by axis; an axis that is not
    named may have any level."""
    pairs: list[tuple[str, str]] | None = None
    """Pairs of axes whose joint effects are asked for, such as `[[method, views.name]]`: the design tells them apart,
    and all other pairs are taken to add up. null: all pairs that the design happens to tell apart."""
    samples: int | None = Field(default=None, ge=1)
    """Locations that each training sees, whatever its batch size; null: as `training` says."""
    confirm: int = Field(default=3, ge=0)
    """Fresh trainings of the best arm in each fold, judged once more; 0: none."""

    @field_validator("axes", mode="before")
    @classmethod
    def _written_out(cls, axes: Any) -> Any:
        return {str(key): _levels(str(key), given) for key, given in axes.items()} if isinstance(axes, dict) else axes

    @field_validator("without", mode="before")
    @classmethod
    def _named_as_in_the_axes(cls, without: Any) -> Any:
        # 64 for the level of [64, 128]
        if not isinstance(without, list):
            return without
        return [
            {k: _text(v) if isinstance(v, int | float) else v for k, v in one.items()} if isinstance(one, dict) else one
            for one in without
        ]

    @model_validator(mode="after")
    def _fits_together(self) -> "SweepConfig":
        for axis, levels in self.axes.items():
            if axis in COLUMNS or not axis or "" in levels:
                raise ValueError(
                    f"axes.{axis}: an axis and its levels need names, and these are columns of arms.csv: "
                    + ", ".join(COLUMNS)
                )
            if len(levels) < 2:
                raise ValueError(f"axes.{axis} has {len(levels)} level(s): there is nothing to compare")
        for combination in self.without:
            for axis, level in combination.items():
                if axis not in self.axes:
                    raise ValueError(f"without: no axis {axis!r}; {nearest(axis, list(self.axes))}")
                if level not in self.axes[axis]:
                    raise ValueError(f"without: {axis} has no level {level!r}; {nearest(level, list(self.axes[axis]))}")
        _refuse_unknown_pairs(self.pairs or (), list(self.axes))
        _refuse_common_keys(self.axes)
        return self

    @model_serializer(mode="wrap")
    def _without_what_is_not_there(self, handler: Callable[[Any], dict[str, Any]]) -> dict[str, Any]:
        # a sweep that names no pairs has the digest that it had before they could be named
        return {key: value for key, value in handler(self).items() if key != "pairs" or value is not None}

    @property
    def levels(self) -> Levels:
        """Names of the levels, by axis."""
        return {axis: tuple(levels) for axis, levels in self.axes.items()}

    def points(self) -> list[Point]:
        """The combinations that are trained.

        Raises:
            RecipeError: none is left, or a fraction is too small to tell the axes and the pairs apart.
        """
        return points_of(self.levels, self.design, self.without, self.pairs or ())

    def combinations(self) -> dict[str, Point]:
        """All combinations by the names of their arms, whether or not they are among those that are trained."""
        return {name_of(point): point for point in points_of(self.levels, GridDesign(), self.without)}


def arms_of(sweep: SweepConfig, common: dict[str, Any], merge: Merge) -> dict[str, dict[str, Any]]:
    """The arms of a sweep as a recipe would write them out, by name.

    Args:
        sweep: its axes and design.
        common: what all arms have in common (`pretrain`).
        merge: puts a section over another.

    Raises:
        RecipeError: as `SweepConfig.points`, or two arms would have one name.
    """
    arms: dict[str, dict[str, Any]] = {}
    for point in sweep.points():
        name = name_of(point)
        if name in arms:
            raise RecipeError(
                f"two combinations of levels would both be called {name}",
                where="sweep.axes",
                remedy="name the levels such that letters, digits and hyphens tell them apart",
            )
        arms[name] = _arm(sweep, point, common, merge)
    return arms


def name_of(point: Point) -> str:
    """Name of a combination's arm: its levels, joined by underscores."""
    return "_".join(re.sub(r"[^A-Za-z0-9-]+", "-", level) for level in point.values())


def _arm(sweep: SweepConfig, point: Point, common: dict[str, Any], merge: Merge) -> dict[str, Any]:
    said = [(axis, sweep.axes[axis][level]) for axis, level in point.items()]
    # a section that names another plug-in replaces the whole section: such levels come before those that refine it
    for axis, level in sorted(said, key=lambda one: not _names_plugin(one[1])):
        common = merge(_unnamed(common, axis), level)
    return merge(common, {"training": {"samples": sweep.samples}}) if sweep.samples else common


def _unnamed(common: dict[str, Any], axis: str) -> dict[str, Any]:
    """The common section without the plug-in's name that an axis such as `views.name` replaces: the other
    settings stay.
    """
    section, _, key = axis.partition(".")
    if key != "name" or not isinstance(common.get(section), Mapping):
        return common
    return common | {section: {name: value for name, value in common[section].items() if name != "name"}}


def _names_plugin(level: Mapping[str, Any]) -> bool:
    return any(isinstance(section, Mapping) and "name" in section for section in level.values())


def _levels(axis: str, given: Any) -> Any:
    """The levels of an axis by name, also where the recipe gives a list of values of the key that the axis is."""
    if not isinstance(given, list):
        return given
    levels = {}
    for value in given:
        section = {"name": value} if axis in NAMED and isinstance(value, str) else value
        named = section.get("name") if isinstance(section, dict) else value
        if named is None or isinstance(named, dict | list):
            raise ValueError(f"{axis}: a value of a list has no name of its own: write NAME: {{key: value}} instead")
        levels[_text(named)] = _nested(axis.split("."), section)
    if len(levels) < len(given):
        raise ValueError(f"{axis}: two values of the list have the same name: write NAME: {{key: value}} instead")
    return levels


def _text(value: Any) -> str:
    """A value as it stands in a recipe."""
    return str(value).lower() if isinstance(value, bool) else str(value)


def _nested(keys: list[str], value: Any) -> dict[str, Any]:
    for key in reversed(keys):
        value = {key: value}
    return value


def _refuse_unknown_pairs(pairs: Sequence[tuple[str, str]], axes: Sequence[str]) -> None:
    for pair in pairs:
        if unknown := [axis for axis in pair if axis not in axes]:
            raise ValueError(f"pairs: no axis {unknown[0]!r}; {nearest(unknown[0], axes)}")
        if pair[0] == pair[1]:
            raise ValueError(f"pairs: {pair[0]} is no pair with itself")
    if len(set(map(frozenset, pairs))) < len(pairs):
        raise ValueError("pairs: name each pair once")


def _refuse_common_keys(axes: Mapping[str, Mapping[str, Mapping[str, Any]]]) -> None:
    """ValueError where two axes set the same key: the later one would undo the earlier without a word."""
    of_key: dict[tuple[str, ...], str] = {}
    for axis, levels in axes.items():
        keys = {key for level in levels.values() for key in _leaves(level)}
        for key in keys:
            for other, owner in of_key.items():
                if owner != axis and (other[: len(key)] == key or key[: len(other)] == other):
                    raise ValueError(f"axes {owner} and {axis} both set {'.'.join(max(key, other, key=len))}")
        of_key |= dict.fromkeys(keys, axis)


def _leaves(level: Mapping[str, Any], path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    for key, value in level.items():
        if isinstance(value, Mapping) and value:
            yield from _leaves(value, (*path, str(key)))
        else:
            yield (*path, str(key))
