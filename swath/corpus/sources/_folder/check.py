"""Every file's header against the recipe, before anything is written."""

from collections.abc import Iterable, Iterator
from math import hypot

import numpy as np

from swath.corpus.format import SensorLayout
from swath.corpus.sources._folder.scan import Place, Shot
from swath.corpus.sources._folder.section import FolderSection
from swath.corpus.sources._raster import BadFileError, Channel, Header, corner
from swath.errors import CorpusError


def channels(place: Place) -> Iterator[Channel]:
    """All channels that will be read for a place."""
    for shot in place.shots.values():
        yield from shot.bands.values()
        yield from shot.quality.values()
    yield from place.labels.values()


def check_shot(shot: Shot, layout: SensorLayout, headers: dict[str, Header]) -> None:
    """Raise BadFileError unless the shot's files have the declared channels and type."""
    if isinstance(shot.entry.bands, tuple) and not shot.entry.by_file:
        _check_count(shot, headers[shot.first.name], len(shot.entry.bands))
    for channel in [*shot.bands.values(), *shot.quality.values()]:
        check_channel(channel, headers[channel.file.name])
    for band, channel in shot.bands.items():
        found = np.dtype(headers[channel.file.name].dtype).name
        if found != layout.dtype:
            raise BadFileError(
                f"{channel.file.name} holds {found}, band {band} of {shot.entry.sensor} is declared as {layout.dtype}",
                where=f"{channel.file.path}, for {channel.file.key}.dtype",
                remedy=f"say dtype: {found} and the scaling of these counts, or convert the file",
            )


def _check_count(shot: Shot, header: Header, listed: int) -> None:
    if header.count != listed:
        raise BadFileError(
            f"{shot.first.name} has {header.count} channels, the recipe lists {listed}",
            where=f"{shot.first.path}, for {shot.first.key}.bands",
            remedy="list every channel in order, with '-' for one to leave out, or give channel numbers by band",
        )


def check_channel(channel: Channel, header: Header) -> None:
    """Raise BadFileError unless the file has that channel."""
    if channel.number > header.count or (channel.only and header.count != 1):
        wanted = "1 channel" if channel.only else f"a channel {channel.number}"
        raise BadFileError(
            f"{channel.file.name} has {header.count} channels, the recipe wants {wanted}",
            where=f"{channel.file.path}, for {channel.file.key}",
            remedy="say which channel (from 1) holds what is meant, or mend the pattern",
        )


def check_place(place: Place, section: FolderSection, headers: dict[str, Header]) -> None:
    """Raise BadFileError unless the place's images have one size, one grid, hold a chip, and its maps are there."""
    for channel in place.labels.values():
        check_channel(channel, headers[channel.file.name])
    first: tuple[Shot, Header] | None = None
    for shot in place.shots.values():
        finest = max((headers[c.file.name] for c in shot.bands.values()), key=lambda header: header.height)
        if min(finest.height, finest.width) < section.chip_px:
            raise BadFileError(
                f"{shot.first.name} has {finest.width} x {finest.height} pixels, a chip has {section.chip_px}",
                where=f"{shot.first.path}, for corpus.source.chip_px",
                remedy="make corpus.source.chip_px smaller, or leave the file out",
            )
        if first is None:
            first = (shot, finest)
        elif problem := _differs(first[1], finest):
            raise BadFileError(
                f"{first[0].first.name} and {shot.first.name} are of one location but differ in {problem}",
                where=f"{shot.first.path}, for {shot.first.key}",
                remedy="bring them onto one grid, or let the id expression tell them apart",
            )


def _differs(one: Header, other: Header) -> str | None:
    if (one.height, one.width) != (other.height, other.width):
        return f"size: {one.width} x {one.height} and {other.width} x {other.height} pixels"
    if one.transform is None or other.transform is None:
        return None
    if one.crs != other.crs:
        return f"reference system: {one.crs} and {other.crs}"
    off = 0.0
    for pixel in ((0, 0), (one.width, one.height)):
        (x, y), (u, v) = corner(one.transform, *pixel), corner(other.transform, *pixel)
        off = max(off, hypot(x - u, y - v) / hypot(one.transform.a, one.transform.d))
    return f"position: {off:.1f} pixels" if off > 0.5 else None


def check_facts(places: Iterable[Place], section: FolderSection) -> None:
    """Raise CorpusError unless names say what the recipe builds on."""
    for place in places:
        split = place.facts.get("split")
        if split is not None and split not in section.split_names:
            raise CorpusError(
                f"{place.id!r} is of the part {split!r}, which the recipe does not know",
                where="corpus.source.split_names",
                remedy=f"say which of train, val and test it is; known: {', '.join(section.split_names)}",
            )
        if section.group.by == "parent" and "parent" not in place.facts:
            raise CorpusError(
                f"no name of {place.id!r} says its parent",
                where="corpus.source.group.by",
                remedy="add a group (?P<parent>...) to the id expression of the images, or group by id",
            )
        if section.group.by == "id-block" and not any(ch.isdigit() for ch in place.id):
            raise CorpusError(
                f"the id {place.id!r} holds no number",
                where="corpus.source.group.by",
                remedy="group by id, or let the id expression find a number",
            )
