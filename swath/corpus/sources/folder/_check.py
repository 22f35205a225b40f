"""Check every file's header against the recipe, before anything is written."""

from collections.abc import Iterable, Iterator

from swath.corpus.sources._position import check_same_place, off_size, pixel_m
from swath.corpus.sources._raster import (
    NARROWER,
    UNSAID,
    UPRIGHT,
    BadFileError,
    Channel,
    File,
    Header,
    check_size,
    itemsize,
)
from swath.corpus.sources.folder._scan import LocationFiles, Shot
from swath.corpus.sources.folder._section import COMPLEX, FolderSection
from swath.corpus.store import SensorLayout
from swath.errors import CorpusError


def channels(location: LocationFiles) -> Iterator[Channel]:
    """All channels that will be read for a location."""
    for shot in location.shots.values():
        yield from shot.bands.values()
        yield from shot.quality.values()
    yield from location.labels.values()


def finest(shot: Shot, headers: dict[str, Header]) -> tuple[File, Header]:
    """The file with the finest pixels of a shot, which define its grid; among equals, one that states its position."""
    files = [channel.file for channel in shot.bands.values()]
    return max(
        ((file, headers[file.name]) for file in files),
        key=lambda one: (one[1].height, one[1].transform is not None, one[1].crs is not None),
    )


def turns_of(location: LocationFiles, headers: dict[str, Header]) -> tuple[bool, bool]:
    """How files that state no position are turned: as the positioned files of the same location are.

    Raises:
        BadFileError: there is such a file, and others are stored in several ways.
    """
    files = {channel.file.name: channel.file for channel in channels(location)}
    placed = {name: headers[name].turns for name in files if headers[name].transform is not None}
    ways = set(placed.values())
    if len(ways) > 1 and len(placed) < len(files):
        file = next(file for name, file in files.items() if name not in placed)
        first, other = (next(name for name, turns in placed.items() if turns == way) for way in sorted(ways)[:2])
        raise BadFileError(
            f"{file.name} says no position, and the files of its location are stored in several ways, such as {first} "
            f"and {other}, of which one is from south to north or from east to west",
            where=f"{file.path}, for {file.key}",
            remedy="give it a position, or store all files of a location from north to south; or leave it out: "
            "corpus.source.on_bad_file=skip",
        )
    return ways.pop() if len(ways) == 1 else UPRIGHT


def check_clouds(location: LocationFiles, shot: Shot, section: FolderSection) -> None:
    """Raise BadFileError unless every cloud layer of the recipe is there: without it, clouds would be ground."""
    for position, entry in enumerate(section.quality):
        if entry.judges(shot.entry.sensor, shot.entry.tag) and position not in shot.quality:
            others = f"; of another date there is {location.strays[0].name}" if location.strays else ""
            raise BadFileError(
                f"{shot.first.name} has no cloud layer: no file of {entry.files!r} has its id and date{others}",
                where=f"corpus.source.quality.{position}, id {location.id!r}",
                remedy="add the file; or let both id expressions find the same id and date, the time of day in both or "
                "in neither; or leave such images out: corpus.source.on_bad_file=skip",
            )


def check_channels(shot: Shot, headers: dict[str, Header]) -> None:
    """Raise BadFileError unless the shot's files have the declared channels."""
    if isinstance(shot.entry.bands, tuple) and not shot.entry.by_file:
        _check_count(shot, headers[shot.first.name], len(shot.entry.bands))
    for channel in [*shot.bands.values(), *shot.quality.values()]:
        check_channel(channel, headers[channel.file.name])
    _check_codes(shot.quality.values(), [shot], headers)


def check_shot(shot: Shot, layout: SensorLayout, section: FolderSection, headers: dict[str, Header]) -> None:
    """Raise BadFileError unless the shot's files have the declared type and pixel size, and lie in one place."""
    for band, channel in shot.bands.items():
        _check_type(shot, band, channel, layout, headers[channel.file.name])
    file, head = finest(shot, headers)
    for channel in [*shot.bands.values(), *shot.quality.values()]:
        check_same_place(channel.file, headers[channel.file.name], file, head)
    check_size(file, sum(_size(channel, headers, head) for channel in shot.bands.values()), section.max_image_gb)
    for channel in shot.quality.values():
        check_size(channel.file, _size(channel, headers), section.max_image_gb)
    if shot.entry.gsd_m is None:
        _check_pixel_size(file, head, shot.entry.sensor, layout.gsd_m)


def _size(channel: Channel, headers: dict[str, Header], grid: Header | None = None) -> int:
    """Bytes of a channel's pixels, in its own grid or in that of another file."""
    own = headers[channel.file.name]
    grid = grid or own
    return grid.height * grid.width * itemsize(own.dtypes[channel.number - 1])


def _check_type(shot: Shot, band: str, channel: Channel, layout: SensorLayout, header: Header) -> None:
    dtype = header.dtypes[channel.number - 1]
    if NARROWER.get(dtype, dtype) != layout.dtype:
        advice = f"say dtype: {dtype} and the scaling of these counts, or convert the file"
        raise BadFileError(
            f"{channel.file.name} holds {dtype}, band {band} of {shot.entry.sensor} is declared as {layout.dtype}",
            where=f"{channel.file.path}, for {channel.file.key}.dtype",
            remedy=COMPLEX if "complex" in dtype else advice,
        )


def _check_pixel_size(file: File, head: Header, sensor: str, gsd_m: float) -> None:
    sizes = pixel_m(head)
    if sizes is not None and off_size(sizes, gsd_m):
        raise BadFileError(
            f"{file.name} has pixels of {sizes[0]:.4g} x {sizes[1]:.4g} m on the ground, others of {sensor} have "
            f"{gsd_m:.4g}",
            where=f"{file.path}, for {file.key}.gsd_m",
            remedy="give images of each pixel size a corpus of their own; or, if one size is to stand for all, say it: "
            "gsd_m: ...",
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


def _check_codes(maps: Iterable[Channel], images: Iterable[Shot], headers: dict[str, Header]) -> None:
    """Raise BadFileError if a file of class codes or bits says that they are scaled: whether what is stored is meant or
    what that makes of it, nobody knows. In a file of an image, the tags are the image's."""
    of_images = {channel.file.name for shot in images for channel in shot.bands.values()}
    for channel in maps:
        scale, offset = headers[channel.file.name].scalings[channel.number - 1]
        if (scale, offset) != UNSAID and channel.file.name not in of_images:
            raise BadFileError(
                f"{channel.file.name} says scale {scale:g} and offset {offset:g} of what should be class codes or bits",
                where=f"{channel.file.path}, for {channel.file.key}",
                remedy="store them as they are meant, without these tags (gdal_edit.py -unsetscale -unsetoffset), or "
                "leave it out: corpus.source.on_bad_file=skip",
            )


def check_location_files(location: LocationFiles, section: FolderSection, headers: dict[str, Header]) -> None:
    """Raise BadFileError unless the location's images have one size, one grid, hold a chip, and its maps are there."""
    turns_of(location, headers)
    images = [finest(shot, headers) for shot in location.shots.values()]
    first, wanted = max(images, key=lambda one: (one[1].transform is not None, one[1].crs is not None))
    for file, head in images:
        if min(head.height, head.width) < section.chip_px:
            raise BadFileError(
                f"{file.name} has {head.width} x {head.height} pixels, a chip has {section.chip_px}",
                where=f"{file.path}, for corpus.source.chip_px",
                remedy="make corpus.source.chip_px smaller, or leave the file out",
            )
        if (head.height, head.width) != (wanted.height, wanted.width):
            sizes = f"{wanted.width} x {wanted.height} and {head.width} x {head.height} pixels"
            raise BadFileError(
                f"{first.name} and {file.name} are of one location but differ in size: {sizes}",
                where=f"{file.path}, for {file.key}",
                remedy="bring them onto one grid, or let the id expression tell them apart",
            )
        check_same_place(file, head, first, wanted)
    rasters = {entry.layer for entry in section.labels if entry.raster is not None}
    for layer, channel in location.labels.items():
        head = headers[channel.file.name]
        check_channel(channel, head)
        if layer in rasters:
            _check_georeference(channel.file, head, first, wanted)
            continue
        check_size(channel.file, _size(channel, headers), section.max_image_gb)
        if (head.height, head.width) == (wanted.height, wanted.width):  # of another size it is refused when it is read
            check_same_place(channel.file, head, first, wanted)
    _check_codes(location.labels.values(), location.shots.values(), headers)


def _check_georeference(file: File, head: Header, image: File, wanted: Header) -> None:
    for one, its in ((file, head), (image, wanted)):
        if its.crs is None or its.transform is None:
            raise BadFileError(
                f"{one.name} says no position in a reference system, so nobody knows what {file.name} says there",
                where=f"{one.path}, for {file.key}",
                remedy="georeference it, or give each location a map of its own: files and id",
            )


def check_facts(locations: Iterable[LocationFiles], section: FolderSection) -> None:
    """Raise CorpusError unless file names state what the recipe builds on."""
    for location in locations:
        split = location.facts.get("split")
        if split is not None and split not in section.split_names:
            raise CorpusError(
                f"{location.id!r} is of the part {split!r}, which the recipe does not know",
                where="corpus.source.split_names",
                remedy=f"say which of train, val and test it is; known: {', '.join(section.split_names)}",
            )
        if section.group.by == "parent" and "parent" not in location.facts:
            raise CorpusError(
                f"no name of {location.id!r} says its parent",
                where="corpus.source.group.by",
                remedy="add a group (?P<parent>...) to the id expression of the images, or group by id",
            )
        if section.group.by == "id-block" and not any(ch.isdecimal() for ch in location.id):
            raise CorpusError(
                f"the id {location.id!r} holds no number",
                where="corpus.source.group.by",
                remedy="group by id, or let the id expression find a number",
            )
