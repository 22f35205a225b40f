"""Class codes: whole numbers of any size and spacing, looked up in the list of those that a label layer declares."""

from collections.abc import Mapping, Sequence

import numpy as np
from jaxtyping import Bool, Float, Int16, Int64, Integer, Num
from numpy import ndarray

MOST = 2**63
"""Codes lie between the negative of this and this: they are stored in 64 bits at most."""


def check_declared(classes: Mapping[int, str], void: int | None) -> None:
    """Raise ValueError if a code has two meanings, or more than 64 bits."""
    if void in classes:
        raise ValueError(f"code {void} is void and a class: leave it out of classes, or declare another code as void")
    if beyond := [code for code in (*classes, void or 0) if not -MOST <= code < MOST]:
        raise ValueError(f"code {beyond[0]} is beyond the 64 bits that codes have")


def positions(codes: Integer[ndarray, "..."], declared: Sequence[int]) -> Int16[ndarray, "..."]:
    """Position of each code in an ascending list of codes; -1 for one that is not in it."""
    if codes.dtype == np.uint8:  # a table of all 256 is several times faster than a search
        return positions(np.arange(256), declared)[codes]
    if not len(declared):
        return np.full(codes.shape, -1, np.int16)
    known = np.asarray(declared, np.int64)
    candidate = np.searchsorted(known, codes).clip(max=len(known) - 1)
    return np.where(known[candidate] == codes, candidate, -1).astype(np.int16)


def undeclared(codes: Integer[ndarray, "..."], declared: Sequence[int]) -> dict[int, int]:
    """How often each code occurs that is not in an ascending list of codes."""
    strange = codes[positions(codes, declared) < 0]
    return dict(zip(*(values.tolist() for values in np.unique(strange, return_counts=True)), strict=True))


def codes_of_map(
    values: Num[ndarray, "*n"], declared: Sequence[int], void: int | None, seen: Bool[ndarray, "*n"] | None = None
) -> Int64[ndarray, "*n"]:
    """The codes of a label map as it was read from a file of any type; NaN, of real numbers, is void.

    Args:
        values: of the map.
        declared: codes of the layer, ascending.
        void: its code of pixels without a label.
        seen: False where the file says that a pixel is not there, whatever its value is: void.

    Raises:
        ValueError: NaN where there is no void code, or a number that is no declared code. The message goes on from the
            name of the map: "holds the code 7 at 12 pixels, ...".
    """
    if seen is not None and not seen.all():
        return _where_seen(values, declared, void, seen)
    _check_exact(values, declared)
    codes = whole_codes(values, void)
    if unknown := undeclared(codes, declared):
        raise ValueError(f"{holds(unknown)}; declared: {', '.join(map(str, declared))}")
    return codes


def _where_seen(
    values: Num[ndarray, "*n"], declared: Sequence[int], void: int | None, seen: Bool[ndarray, "*n"]
) -> Int64[ndarray, "*n"]:
    if void is None:
        raise ValueError(f"hides {np.count_nonzero(~seen)} pixels by a mask of its own, and the layer has no void code")
    codes = np.full(values.shape, void, np.int64)
    codes[seen] = codes_of_map(values[seen], declared, void)
    return codes


def holds(unknown: dict[int, int]) -> str:
    """Codes that occur and are not declared, in words."""
    code, count = next(iter(unknown.items()))
    others = f" (and {len(unknown) - 1} others)" if len(unknown) > 1 else ""
    return f"holds the code {code} at {count} pixels{others}, which is not declared as a class or as void"


def whole_codes(values: Num[ndarray, "..."], void: int | None) -> Int64[ndarray, "..."]:
    """As `codes_of_map`, for any whole numbers."""
    if values.dtype.kind == "f":
        return _of_reals(values, void)
    if values.dtype.kind not in "iu":
        raise ValueError(f"holds {values.dtype} values, not class codes")
    if values.size and int(values.max()) >= MOST:
        raise ValueError(f"holds the code {values.max()}, beyond 64 bits")
    return values.astype(np.int64)


def _check_exact(values: Num[ndarray, "*n"], declared: Sequence[int]) -> None:
    """Raise ValueError if real numbers stand for a code that their type cannot tell from others."""
    if values.dtype.kind != "f":
        return
    for code in declared:
        rounded = values.dtype.type(code)
        if int(rounded) != code and (values == rounded).any():
            raise ValueError(f"holds {values.dtype} values, which cannot tell the code {code} from {int(rounded)}")


def _of_reals(values: Float[ndarray, "..."], void: int | None) -> Int64[ndarray, "..."]:
    missing = np.isnan(values)
    if missing.any() and void is None:
        raise ValueError(f"holds NaN at {np.count_nonzero(missing)} pixels, and the layer has no void code")
    known = values[~missing]
    odd = ~np.isfinite(known) | (known != np.rint(known)) | (np.abs(known) >= MOST)
    if odd.any():
        raise ValueError(f"holds numbers that are not whole, such as {known[odd][0]:g}")
    codes = np.full(values.shape, 0 if void is None else void, np.int64)
    codes[~missing] = known.astype(np.int64)
    return codes
