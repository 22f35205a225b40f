"""How the counts of each file become physical values, and bringing all files of a sensor to one scaling."""

from collections.abc import Iterable

import numpy as np
from jaxtyping import Bool, Shaped
from numpy import ndarray

from swath import sensors
from swath.corpus.sources._raster import UNSAID, BadFileError, Channel, File, Header, contradict
from swath.corpus.sources.folder._scan import Shot
from swath.corpus.sources.folder._section import Scale, ScaleByName
from swath.errors import CorpusError, nearest
from swath.sensors import Scaling, offset_for_baseline


def given(shot: Shot, headers: dict[str, Header]) -> dict[str, Scaling]:
    """Scaling of a shot's files by band.

    Raises:
        CorpusError: a name says a scaling that the recipe does not know.
        BadFileError: a file's own tags say another scaling than the recipe, or none where the recipe asks for them.
    """
    return {band: _given(shot, band, channel, headers) for band, channel in shot.bands.items()}


def _given(shot: Shot, band: str, channel: Channel, headers: dict[str, Header]) -> Scaling:
    wanted, own = shot.entry.scaling, sensors.get(shot.entry.sensor).scaling_of(band)
    tags = headers[channel.file.name].scalings[channel.number - 1]
    if wanted == "tags":
        return _of_tags(channel.file, tags, own, headers[channel.file.name].dtypes[channel.number - 1])
    if isinstance(wanted, ScaleByName):
        wanted = _by_name(channel.file, wanted, own)
    scaling = own if wanted is None else Scaling(wanted.scale, wanted.offset)
    against = wanted is not None and wanted.against_tags
    if not against and contradict(tags, scaling):
        _refuse(shot, band, channel.file, tags, scaling)
    return scaling


def _of_tags(file: File, tags: tuple[float, float], own: Scaling, dtype: str) -> Scaling:
    scale, offset = tags
    if not (np.isfinite(tags).all() and scale != 0) or (tags == UNSAID and not dtype.startswith("float")):
        stated = "no scale and offset" if tags == UNSAID else f"scale {scale:g} and offset {offset:g}"
        raise BadFileError(
            f"{file.name} says {stated} in its tags",
            where=f"{file.path}, for {file.key}.scaling",
            remedy="give such files an entry of their own with scaling: {scale: ..., offset: ...}, or leave them out: "
            "corpus.source.on_bad_file=skip",
        )
    return Scaling(scale, offset, own.decibel)


def _by_name(file: File, by: ScaleByName, own: Scaling) -> Scale:
    said = file.fields.get(by.group, "")
    where = f"{file.key}.scaling"
    if not by.values:
        try:
            return Scale(scale=own.scale, offset=offset_for_baseline(said) * own.scale)
        except CorpusError as error:
            raise CorpusError(f"{file.name}: {error.what}", where=where, remedy="mend the expression") from None
    if said not in by.values:
        what = f"{file.name} says {said!r} as {by.group}, of which no scaling is declared"
        raise CorpusError(what, where=where, remedy=nearest(said, by.values))
    return by.values[said]


def _refuse(shot: Shot, band: str, file: File, tags: tuple[float, float], scaling: Scaling) -> None:
    who = shot.entry.sensor if shot.entry.scaling is None else "the recipe"
    raise BadFileError(
        f"{file.name} says of {band} scale {tags[0]:g} and offset {tags[1]:g}, {who} says {scaling.scale:g} and "
        f"{scaling.offset:g}",
        where=f"{file.path}, for {file.key}.scaling",
        remedy="take each file's own: scaling: tags; or, if the tags are wrong, "
        f"scaling: {{scale: {scaling.scale:g}, offset: {scaling.offset:g}, against_tags: true}}",
    )


def common(scalings: Iterable[Scaling]) -> Scaling:
    """The scaling in which all files' counts are stored: their own if it is the same, else one that loses none.

    With the lowest of the offsets, counts of the others move up, so that none falls below the type's range; the finest
    scale keeps all their steps apart.
    """
    distinct = list(dict.fromkeys(scalings))
    scale = min((one.scale for one in distinct), key=abs)
    return Scaling(scale, min(one.offset for one in distinct), any(one.decibel for one in distinct))


def brought(
    counts: Shaped[ndarray, "y x"], missing: Bool[ndarray, "y x"], given: Scaling, stored: Scaling, file: File
) -> Shaped[ndarray, "y x"]:
    """Counts converted from one scaling to another; missing and saturated pixels keep theirs.

    Raises:
        BadFileError: a value is beyond what the type can hold in that scaling.
    """
    if (given.scale, given.offset) == (stored.scale, stored.offset):
        return counts
    values = (counts.astype(np.float64) * given.scale + (given.offset - stored.offset)) / stored.scale
    if counts.dtype.kind == "f":
        return np.where(missing, counts, values).astype(counts.dtype)
    limits = np.iinfo(counts.dtype)
    kept = missing | (counts == limits.max)
    beyond = ~kept & ((values > limits.max) | (values < limits.min))
    if beyond.any():
        worst = counts[beyond].max()
        raise BadFileError(
            f"{file.name} holds the count {worst}, which {counts.dtype} cannot hold in the scaling of the other files",
            where=f"{file.path}, for {file.key}.scaling",
            remedy="give files of each scaling a corpus of their own, or leave it out: corpus.source.on_bad_file=skip",
        )
    return np.where(kept, counts, np.rint(np.where(kept, 0, values))).astype(counts.dtype)
