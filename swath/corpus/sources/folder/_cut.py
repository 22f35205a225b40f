"""From the files of a location to the chips, label maps and locations that the corpus stores."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
from affine import Affine
from jaxtyping import Bool, Integer, Shaped
from numpy import ndarray

from swath import sensors
from swath.corpus.sources._contents import Contents, cells, moved, window
from swath.corpus.sources._raster import (
    BadFileError,
    Channel,
    Cut,
    File,
    Header,
    narrowed,
    nearest_pixels,
    read,
    repeated,
    there,
    times,
)
from swath.corpus.sources.folder._check import finest, turns_of
from swath.corpus.sources.folder._scaling import brought
from swath.corpus.sources.folder._scan import LocationFiles, Shot
from swath.corpus.sources.folder._section import FolderSection, ImageEntry, LabelEntry, QualityEntry
from swath.corpus.store import Chip, LabelLayer, Location, SensorLayout
from swath.corpus.store.codes import codes_of_map, whole_codes
from swath.errors import CorpusError
from swath.sensors import CloudRule, Scaling


@dataclass(frozen=True, slots=True)
class Plan:
    """Everything that is the same for all locations."""

    section: FolderSection
    layouts: dict[str, SensorLayout]
    layers: dict[str, LabelLayer]
    headers: dict[str, Header]
    """Header of every file, by file name."""
    groups: dict[str, str]
    """Group of every location, by id."""


@dataclass(frozen=True, slots=True)
class ShotPixels:
    """The pixels of one shot, or of a part of it."""

    pixels: Shaped[ndarray, "c y x"]
    valid: Bool[ndarray, "y x"]
    cloud: Bool[ndarray, "y x"] | None


def shape_of(location: LocationFiles, headers: dict[str, Header]) -> tuple[int, int]:
    """Height and width of a location's images, in pixels of the finest band."""
    known = [headers[c.file.name] for shot in location.shots.values() for c in shot.bands.values()]
    return max((header.height, header.width) for header in known)


def cut(location: LocationFiles, plan: Plan) -> Contents:
    """Read a location and cut it into chips.

    Raises:
        CorpusError: a file is bad and the recipe does not say `skip`, or a mask holds a class that is not declared.
    """
    result = Contents()
    images: list[tuple[Shot, ShotPixels]] = []
    try:
        maps = _label_maps(location, plan)
    except BadFileError as error:
        _skip(location, plan, error, result)
        return result
    for shot in location.shots.values():
        try:
            images.append((shot, pixels_of(shot, location, plan)))
        except BadFileError as error:
            _skip(location, plan, error, result)
    for uid, row, column in cells(location.id, shape_of(location, plan.headers), plan.section.chip_px):
        _add_chip(result, location, plan, images, maps, (uid, row, column))
    return result


def _skip(location: LocationFiles, plan: Plan, error: BadFileError, result: Contents) -> None:
    if plan.section.on_bad_file == "error":
        raise error
    result.left_out.append({"event": "bad file", "id": location.id, "what": error.what, "where": error.where or ""})


# -- reading -----------------------------------------------------------------------------------------------------------


def pixels_of(shot: Shot, location: LocationFiles, plan: Plan, cut: Cut | None = None) -> ShotPixels:
    """A shot on the grid of its location, as the corpus stores it: all of it, or a part.

    Raises:
        BadFileError: a file is bad.
    """
    turns = turns_of(location, plan.headers)
    bands = list(shot.bands.values())
    raw = [
        _on_grid(one, channel.file, location, plan, cut)
        for one, channel in zip(read(bands, turns, cut), bands, strict=True)
    ]
    valid = _valid(raw, shot, plan.headers)
    for file, channels, alpha in _with_masks(shot, location, plan.headers):
        valid &= _on_grid(there(file, channels, alpha, turns, cut), file, location, plan, cut)
    pixels = np.stack(list(_stored(raw, valid, shot, plan.layouts[shot.entry.sensor])))
    cloud = None
    for position, channel in shot.quality.items():
        cloudy = _on_grid(_cloudy(channel, plan, position, turns, cut), channel.file, location, plan, cut)
        cloud = cloudy if cloud is None else cloud | cloudy
        if plan.section.quality[position].mask:
            valid = valid & ~cloudy
    return ShotPixels(pixels, valid, cloud)


def _on_grid(
    pixels: Shaped[ndarray, "y x"], file: File, location: LocationFiles, plan: Plan, cut: Cut | None
) -> Shaped[ndarray, "y2 x2"]:
    """What was read of a file, on the location's grid."""
    head = plan.headers[file.name]
    factor = times((head.height, head.width), shape_of(location, plan.headers), file)
    large = repeated(pixels, factor)
    return large if cut is None else cut.trimmed(large, factor)


def _valid(pixels: list[Shaped[ndarray, "y x"]], shot: Shot, headers: dict[str, Header]) -> Bool[ndarray, "y x"]:
    """True for pixels that are neither nodata, of the file or the sensor, nor one of the recipe's invalid values."""
    valid = np.ones(pixels[0].shape, bool)
    for band, channel in zip(pixels, shot.bands.values(), strict=True):
        nodata = headers[channel.file.name].nodata[channel.number - 1]
        if nodata is not None and shot.entry.nodata is not None:
            valid &= band != nodata
        if (declared := nodata_of(shot.entry)) is not None:
            valid &= band != declared
    for value in shot.entry.invalid_values:
        valid &= np.any([band != value for band in pixels], axis=0)
    return valid


def nodata_of(entry: ImageEntry) -> float | None:
    """Count that marks a missing pixel in an entry's files."""
    return sensors.get(entry.sensor).nodata if entry.nodata == "sensor" else entry.nodata


def _with_masks(
    shot: Shot, location: LocationFiles, headers: dict[str, Header]
) -> Iterator[tuple[File, list[Channel], list[int]]]:
    """Files with the channels that a mask in the file qualifies, and the file's opacity channels.

    Opacity that the recipe reads as something else, a band or a map, is that: writers call a fourth channel so unasked.
    """
    used = [*shot.bands.values(), *shot.quality.values(), *location.labels.values()]
    for name in dict.fromkeys(channel.file.name for channel in shot.bands.values()):
        head = headers[name]
        channels = [channel for channel in shot.bands.values() if channel.file.name == name]
        taken = {channel.number for channel in used if channel.file.name == name}
        alpha = [number for number in head.alpha if number not in taken]
        masked = [channel for channel in channels if head.masked[channel.number - 1]]
        if masked or alpha:
            yield channels[0].file, masked, alpha


def _stored(
    raw: list[Shaped[ndarray, "y x"]], valid: Bool[ndarray, "y x"], shot: Shot, layout: SensorLayout
) -> Iterator[Shaped[ndarray, "y x"]]:
    """Pixels of all bands in the type and scaling of the corpus."""
    for position, ((band, channel), pixels) in enumerate(zip(shot.bands.items(), raw, strict=True)):
        scaling = Scaling(layout.scale[position], layout.offset[position], layout.decibel)
        yield brought(narrowed(pixels, valid, channel.file), ~valid, shot.scalings[band], scaling, channel.file)


def _cloudy(
    channel: Channel, plan: Plan, position: int, turns: tuple[bool, bool], cut: Cut | None
) -> Bool[ndarray, "y x"]:
    """Where a cloud layer marks clouds, and where it has no value: NaN, or hidden by a mask of its own."""
    layer, entry = read([channel], turns, cut)[0], plan.section.quality[position]
    try:
        codes = whole_codes(layer, 0)
    except ValueError as error:
        raise BadFileError(
            f"the cloud layer {channel.file.name} {error}",
            where=f"{channel.file.path}, for {channel.file.key}",
            remedy="give classes or bits, such as the cloud probability above a threshold; or leave it out: "
            "corpus.source.on_bad_file=skip",
        ) from None
    hidden = np.isnan(layer) if layer.dtype.kind == "f" else np.zeros(layer.shape, bool)
    if entry.files is not None:
        hidden |= ~_seen(channel, plan.headers, turns, cut)
    return _rule(entry).unusable(codes) | hidden


def _seen(
    channel: Channel, headers: dict[str, Header], turns: tuple[bool, bool], cut: Cut | None = None
) -> Bool[ndarray, "y x"]:
    """True where no mask, in a file or beside it, and no opacity channel hides a channel; one pixel for all where the
    file has none of these.
    """
    head = headers[channel.file.name]
    masked = [channel] if head.masked[channel.number - 1] else []
    alpha = [number for number in head.alpha if number != channel.number]
    if not masked and not alpha:
        return np.ones((1, 1), bool)
    return there(channel.file, masked, alpha, turns, cut)


def _rule(entry: QualityEntry) -> CloudRule:
    rule = sensors.get(entry.sensor).cloud
    if entry.bits is not None or entry.classes is not None or rule is None:
        rule = CloudRule("", tuple(entry.classes or ()), tuple(entry.bits or ()))
    return rule


def _label_maps(location: LocationFiles, plan: Plan) -> dict[str, Integer[ndarray, "y x"]]:
    shape = shape_of(location, plan.headers)
    maps = {}
    for position, entry in enumerate(plan.section.labels):
        if entry.raster is not None:
            maps[entry.layer] = _warped_map(location, plan, entry, position, shape)
        elif entry.layer in location.labels:
            maps[entry.layer] = _label_map(location, plan, entry, position, shape)
        elif entry.void is not None:
            maps[entry.layer] = np.full(shape, entry.void)
        else:
            raise BadFileError(
                f"location {location.id!r} has no map for label layer {entry.layer!r}",
                where=f"corpus.source.labels.{position}",
                remedy="add the file, declare a void code for locations without one, or set on_bad_file=skip",
            )
    return maps


def _label_map(
    location: LocationFiles, plan: Plan, entry: LabelEntry, position: int, shape: tuple[int, int]
) -> Integer[ndarray, "y x"]:
    channel = location.labels[entry.layer]
    where = f"{channel.file.path}, for corpus.source.labels.{position} (layer {entry.layer!r})"
    turns = turns_of(location, plan.headers)
    codes = read([channel], turns)[0]
    if codes.shape != shape:
        size, wanted = (f"{width} x {height}" for height, width in (codes.shape, shape))
        raise BadFileError(
            f"the mask {channel.file.name} has {size} pixels, its image has {wanted}",
            where=where,
            remedy="a mask must cover the same pixels as its image; mend it, or set corpus.source.on_bad_file=skip",
        )
    layer = plan.layers[entry.layer]
    seen = np.ones(shape, bool)
    if entry.files is not None:
        seen &= _seen(channel, plan.headers, turns)
    try:
        return codes_of_map(codes, layer.codes, layer.void, seen)
    except ValueError as error:
        raise CorpusError(
            f"the mask {channel.file.name} {error}",
            where=where,
            remedy="add the code to classes, or as void; or name the channel that holds class codes",
        ) from None


def _warped_map(
    location: LocationFiles, plan: Plan, entry: LabelEntry, position: int, shape: tuple[int, int]
) -> Integer[ndarray, "y x"]:
    channel, layer = location.labels[entry.layer], plan.layers[entry.layer]
    crs, transform = _georeference(location, plan.headers)
    assert crs is not None
    assert transform is not None
    codes, there = nearest_pixels(channel, crs, transform, shape)
    try:
        return codes_of_map(codes, layer.codes, layer.void, there)
    except ValueError as error:
        raise CorpusError(
            f"the raster {channel.file.name} {error}",
            where=f"{channel.file.path}, for corpus.source.labels.{position} (layer {entry.layer!r})",
            remedy="add the code to classes, or as void",
        ) from None


# -- cutting -----------------------------------------------------------------------------------------------------------


def _add_chip(
    result: Contents,
    location: LocationFiles,
    plan: Plan,
    images: list[tuple[Shot, ShotPixels]],
    maps: dict[str, Integer[ndarray, "y x"]],
    cell: tuple[str, int, int],
) -> None:
    uid, row, column = cell
    here = window(row, column, plan.section.chip_px)
    chips = [_chip(uid, shot, image, here) for shot, image in images]
    labels = {name: codes[here] for name, codes in maps.items()}
    result.add(_location(location, plan, uid, row, column), chips, labels, plan.layouts)


def _chip(uid: str, shot: Shot, image: ShotPixels, here: tuple[slice, slice]) -> Chip:
    return Chip(
        uid=uid,
        sensor=shot.entry.sensor,
        pixels=np.ascontiguousarray(image.pixels[:, *here]),
        valid=image.valid[here].copy(),
        datetime=shot.date,
        tag=shot.entry.tag,
        cloud=None if image.cloud is None else float(image.cloud[here].mean()),
        source=shot.first.name,
    )


def chip_locations(locations: Iterable[LocationFiles], headers: dict[str, Header], px: int) -> Iterator[Location]:
    """Where the chips of all locations lie, by id and georeference alone."""
    for location in locations:
        crs, transform = _georeference(location, headers)
        for uid, row, column in cells(location.id, shape_of(location, headers), px):
            yield Location(uid, crs=crs, transform=None if transform is None else moved(transform, row, column, px))


def _location(location: LocationFiles, plan: Plan, uid: str, row: int, column: int) -> Location:
    crs, transform = _georeference(location, plan.headers)
    facts = dict(location.facts)
    split = facts.pop("split", None)
    facts.pop("parent", None)
    return Location(
        uid=uid,
        crs=crs,
        transform=None if transform is None else moved(transform, row, column, plan.section.chip_px),
        group=plan.groups[location.id],
        split=None if split is None else plan.section.split_names[split],
        scalars=dict(facts),
    )


def _georeference(location: LocationFiles, headers: dict[str, Header]) -> tuple[str | None, Affine | None]:
    """Reference system and transform of the finest band of the first georeferenced image."""
    for shot in location.shots.values():
        _, head = finest(shot, headers)
        if head.crs is not None:
            return head.crs, head.transform
    return None, None
