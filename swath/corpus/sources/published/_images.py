"""Small images that are a chip each: read whole, in one opening of the file, with the checks of their format."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from affine import Affine
from jaxtyping import Int64, Integer, Num, Shaped
from numpy import ndarray

from swath.corpus.sources._contents import LogEntry, moved
from swath.corpus.sources._names import what_is_there
from swath.corpus.sources._position import check_same_place, distance, pixels_apart
from swath.corpus.sources._raster import BadFileError, File, Header, header, read_whole
from swath.corpus.sources.published._convert import SKIP
from swath.corpus.sources.published._netcdf import FileGrid
from swath.corpus.store import Chip, LabelLayer, Location
from swath.corpus.store.codes import codes_of_map
from swath.errors import CorpusError, RecipeError, nearest


def image(
    file: File, bands: int, dtype: str, px: int | tuple[int, int] | None = None, missing: int | None = 0
) -> tuple[Shaped[ndarray, "c y x"], Header]:
    """All pixels of an image of that many bands, that type and that size (rows, columns), and its header.

    Raises:
        BadFileError: it is missing or damaged, has other bands, type or size, or pixels that by its own words are not
            there, with another value than `missing`.
    """
    if not file.path.is_file():
        raise BadFileError(f"{file.name} is missing", where=str(file.path), remedy=SKIP)
    return read_whole(file, lambda head: expect(file, head, bands, dtype, px), missing)


def expect(file: File, head: Header, bands: int, dtype: str, px: int | tuple[int, int] | None) -> None:
    """Raise BadFileError unless the file has so many bands, this type and this size."""
    size = (px, px) if isinstance(px, int) else px
    for quality, actual, wanted in (
        ("bands", head.count, bands),
        ("values of type", head.dtype, dtype),
        ("rows and columns", (head.height, head.width), size),
    ):
        if wanted is not None and actual != wanted:
            raise BadFileError(
                f"{file.name}: {quality}: {actual}, where this format has {wanted}", where=str(file.path), remedy=SKIP
            )


def codes(file: File, layer: LabelLayer, px: int, of: tuple[File, Header]) -> Integer[ndarray, "y x"]:
    """Class codes of a mask of one band.

    Args:
        file: the mask.
        layer: its classes.
        px: rows and columns.
        of: the image that it is a mask of.

    Raises:
        BadFileError: it is missing or damaged, of another size, lies elsewhere than its image, or holds a code that the
            format does not have.
    """
    (mask,), head = image(file, 1, "uint8", px, layer.void)
    check_same_place(file, head, *of)
    return declared(mask, layer, file)


def declared(values: Num[ndarray, "..."], layer: LabelLayer, file: File) -> Int64[ndarray, "..."]:
    """Class codes of a label map that was read from a file.

    Raises:
        BadFileError: a number is no code of the layer.
    """
    try:
        return codes_of_map(values, layer.codes, layer.void)
    except ValueError as error:
        raise BadFileError(f"{file.name} {error}", where=str(file.path), remedy=SKIP) from None


def placed(uid: str, head: Header, **rest: Any) -> Location:
    """A location where its image says it is."""
    transform = None if head.transform is None or head.crs is None else moved(head.transform, 0, 0, 0)
    return Location(uid, crs=head.crs, transform=transform, **rest)


def outlines(images: Iterable[Path], px: int) -> Iterator[Location]:
    """Where images lie, by their heads alone: what `convert` is told of locations that it may get.

    Args:
        images: one of each unit; those that cannot be read are left to the build.
        px: width and height of a chip. An image is one location, however many chips are cut of it.
    """
    for path in images:
        with suppress(BadFileError):
            head = header(File(path, path.name))
            yield covering(path.stem, head, px)


def covering(uid: str, head: Header | FileGrid, px: int) -> Location:
    """A location of so many pixels that covers a whole image."""
    if head.transform is None or head.crs is None:
        return Location(uid)
    scaled = head.transform * Affine.scale(head.width / px, head.height / px)
    return Location(uid, crs=head.crs, transform=moved(scaled, 0, 0, 0))


def same_ground(file: File, head: Header, first: Header) -> None:
    """Raise BadFileError if an image lies more than half its width away from the first of its location."""
    if (pixels := pixels_apart(first, head)) > first.width / 2:
        what = f"{file.name} lies {pixels:.0f} pixels away from the first image of its location"
        what += f": {distance(first, head)}"
        raise BadFileError(what, where=str(file.path), remedy="are these of one edition? or: on_bad_file=skip")


def chip_of(uid: str, sensor: str, pixels: Shaped[ndarray, "c y x"], source: str, **rest: Any) -> Chip:
    """A chip in which a pixel is valid unless all of its bands are 0.

    What fills missing pixels of these formats is 0 in every band, while a single band may well be 0: Sentinel-2's
    cirrus band, or dark water after correction for the atmosphere.
    """
    return Chip(uid, sensor, pixels, valid=(pixels != 0).any(axis=0), source=source, **rest)


def stranger(path: Path, root: Path) -> LogEntry:
    """Log entry of a file or folder that the layout does not have."""
    where = path.relative_to(root).as_posix()
    return {"event": "extra file", "id": path.name, "what": "not of the layout, not read", "where": where}


def classified(
    data: Path,
    folders: Sequence[str],
    classes: Sequence[str],
    suffix: str,
    lists: str,
    log: list[LogEntry],
    only: Sequence[str] = (),
) -> list[File]:
    """Images in a folder for each class, in the order of class and name.

    Their fields hold the class and, with lists, the part of the split.

    Args:
        data: folder of the data set.
        folders: where in it the classes' folders may be.
        classes: names of their folders.
        suffix: how images' names end.
        lists: beginning of the names of the lists that lie in `data`, `none` for no split. Images on no list are left
            out.
        log: takes what is there but not of the data set.
        only: the classes that are wanted; all if empty.

    Raises:
        RecipeError: a class that is wanted is none of the data set's.
        CorpusError: a class, a list, or an image that a list names is missing.
    """
    if unknown := [name for name in only if name not in classes]:
        raise RecipeError(f"no class is called {unknown[0]!r}", where="classes", remedy=nearest(unknown[0], classes))
    wanted = [name for name in classes if name in only or not only]
    root = next((data / folder for folder in folders if (data / folder / wanted[0]).is_dir()), data / folders[0])
    if not root.is_dir():
        raise CorpusError(f"no folder {folders[0]}", where=str(data), remedy=what_is_there(data, folders[0]))
    log += [stranger(path, data) for path in sorted(root.iterdir()) if path.is_dir() and path.name not in classes]
    images: dict[str, File] = {}
    for name in wanted:
        if not (root / name).is_dir():
            remedy = f"{what_is_there(root, name)}; to store a part of the classes, name them: classes=[...]"
            raise CorpusError(f"no folder of the class {name}", where=str(root), remedy=remedy)
        for path in sorted((root / name).iterdir()):
            if path.suffix.lower() == suffix:
                images[path.stem] = File(path, path.relative_to(data).as_posix(), {"class": name})
            else:
                log.append(stranger(path, data))
    if lists == "none":
        return list(images.values())
    parts = _parts(data, lists)
    if only:
        parts = {stem: part for stem, part in parts.items() if stem.rpartition("_")[0] in wanted}
    return _listed(data, lists, parts, images, log)


def _listed(
    data: Path, lists: str, parts: Mapping[str, str], images: Mapping[str, File], log: list[LogEntry]
) -> list[File]:
    if missing := sorted(parts.keys() - images.keys()):
        raise CorpusError(
            f"{len(missing)} images that the lists name are missing, such as {missing[0]}",
            where=str(data),
            remedy="unpack the data set again, or store what is there without a split: split=none",
        )
    unlisted = (images[stem] for stem in sorted(images.keys() - parts.keys()))
    what = f"on none of the lists {lists}-*.txt"
    log += [{"event": "left out", "id": file.path.stem, "what": what, "where": file.name} for file in unlisted]
    return [
        File(file.path, file.name, file.fields | {"split": parts[stem]})
        for stem, file in images.items()
        if stem in parts
    ]


def _parts(data: Path, lists: str) -> dict[str, str]:
    """Part of the split by name without ending, from a text file a part with a name a line."""
    remedy = "get the lists of the split, or store the images without one: split=none"
    parts: dict[str, str] = {}
    for part in ("train", "val", "test"):
        path = data / f"{lists}-{part}.txt"
        if not path.is_file():
            raise CorpusError(f"the list {path.name} of the split is missing", where=str(path), remedy=remedy)
        for line in path.read_text().split():
            if parts.setdefault(Path(line).stem, part) != part:
                raise CorpusError(f"{line} is on two lists", where=str(path), remedy=remedy)
    return parts
