"""The data sets of an HDF5 file, looked at before one is read."""

from pathlib import Path
from typing import Any

from swath.corpus.sources._raster import BadFileError
from swath.corpus.sources.published._convert import SKIP


def datasets(path: Path, opened: Any) -> list[Any]:
    """All data sets of an open file, by their heads.

    Raises:
        BadFileError: one lies in another file, which might be any of this machine.
    """
    import h5py

    found = []

    def elsewhere(name: str, link: Any) -> str | None:
        """The name of what lies in another file, which ends the visit: an error must not cross the library."""
        if isinstance(link, h5py.HardLink) and isinstance(opened[name], h5py.Dataset):
            found.append(opened[name])
            return name if found[-1].external or found[-1].is_virtual else None
        return name if isinstance(link, h5py.ExternalLink) else None

    if name := opened.visititems_links(elsewhere):
        raise BadFileError(f"{path.name} takes {name} from another file", where=str(path), remedy=SKIP)
    return found


def decoded_size(dataset: Any, rows: int | None = None) -> int:
    """Bytes that are decoded for all values, or for those of some rows: a chunk is decoded whole."""
    whole = dataset.nbytes
    wanted = whole if rows is None else whole // max(1, len(dataset)) * rows
    chunk = 1
    for size in dataset.chunks or (0,):
        chunk *= size
    return max(wanted, chunk * dataset.dtype.itemsize)
