"""Maps of attribution that `swath explain` has left in a run."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from swath.products.draw.pictures import ChipPicture, signed_map
from swath.products.report._rows import of_now
from swath.products.tables import Run

BEST_FIRST = ("fullgrad", "integrated-gradients", "grad-cam", "occlusion")
"""Methods in the order of the page."""
COLUMNS = ("task", "input", "probe", "row", "seed", "uid", "explained", "probability", "method", "height", "map")


def maps_of(run: Run, problems: list[str] | None = None) -> pd.DataFrame:
    """A line for each location, row and method; of several explanations of one the first. Empty if there are none.

    Args:
        run: whose.
        problems: gets a sentence if some are left out, as their task has other labels, parts or images now.

    Raises:
        ValueError: a file is not one of `swath explain`.
    """
    files = sorted((run.path / "explained").glob("**/attributions.parquet"))
    parts = [pd.read_parquet(file) for file in files]
    for file, part in zip(files, parts, strict=True):
        if missing := sorted(set(COLUMNS) - set(part)):
            raise ValueError(f"{file.relative_to(run.path)} has no column {', '.join(missing)}")
    if not parts:
        return pd.DataFrame(columns=list(COLUMNS))
    key = ["task", "input", "probe", "row", "uid", "method"]
    maps = pd.concat(parts, ignore_index=True).drop_duplicates(key, ignore_index=True)
    maps["origin"] = maps["origin"].fillna("") if "origin" in maps else ""
    said = [] if problems is None else problems
    return of_now(run, maps, said, "What was explained", "swath explain").reset_index(drop=True)


def methods_of(maps: pd.DataFrame) -> list[str]:
    """The methods in the order of the page, those of other packages last."""
    place = {name: i for i, name in enumerate(BEST_FIRST)}
    return sorted(maps["method"].unique(), key=lambda name: (place.get(name, len(place)), name))


def picture_of(line: Mapping[str, Any]) -> ChipPicture:
    """A line's map as a picture."""
    values = np.reshape(np.asarray(line["map"], float), (int(line["height"]), -1))
    return signed_map(values, f"{line['method']} of {line['uid']}, {line['row']}: why {line['explained']}")
