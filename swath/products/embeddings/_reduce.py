"""Fewer dimensions: the first ones of vectors that were trained for it (Matryoshka), or principal components."""

import hashlib
import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from jaxtyping import Float, Float32
from numpy import ndarray
from pydantic import Field
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from swath._files import replacing
from swath.errors import ContractError, SwathError
from swath.settings import Settings

Apply = Callable[[Float32[ndarray, "n d"]], Float32[ndarray, "n k"]]


class Reduction(Settings):
    """What was done to the encoder's vectors before they were stored."""

    method: Literal["prefix", "pca"]
    from_dims: int = Field(ge=1)
    """Length of the encoder's own vectors."""
    dims: int = Field(ge=1)
    file: str | None = None
    """Name of the file beside the index that holds mean and components of a PCA."""
    sha256: str | None = None
    """Digest of that file."""
    explained: float | None = None
    """Share of the variance of the vectors it was fitted on."""


@dataclass(frozen=True, slots=True, eq=False)
class Pca:
    """Principal components of vectors of one encoder."""

    mean: Float32[ndarray, " d"]
    components: Float32[ndarray, "k d"]
    """Orthonormal rows, the one of largest variance first; the largest entry of each is positive."""
    explained: float
    encoder: str
    """Identity of the encoder, as in an index."""

    def __call__(self, vectors: Float32[ndarray, "n d"]) -> Float32[ndarray, "n k"]:
        """Coordinates of vectors along the components."""
        return ((vectors - self.mean) @ self.components.T).astype(np.float32)

    def save(self, path: Path) -> str:
        """Write the file, whole or not at all; returns its digest."""
        about = {"encoder": self.encoder, "explained": repr(self.explained)}
        with replacing(path) as temporary:
            arrays = {"mean": np.ascontiguousarray(self.mean), "components": np.ascontiguousarray(self.components)}
            save_file(arrays, temporary, metadata={"swath": json.dumps(about)})
            return hashlib.sha256(temporary.read_bytes()).hexdigest()

    @classmethod
    def load(cls, path: Path, sha256: str | None = None) -> "Pca":
        """Read the file.

        Raises:
            SwathError: it is missing, damaged, or not the one with this digest.
        """
        try:
            if sha256 is not None and hashlib.sha256(path.read_bytes()).hexdigest() != sha256:
                raise SwathError(
                    "the principal components are not those of the index",
                    where=str(path),
                    remedy="restore the file that was written beside it, or embed again",
                )
            with safe_open(path, framework="numpy") as file:
                about = json.loads(file.metadata()["swath"])
                mean, components = file.get_tensor("mean"), file.get_tensor("components")
            return cls(mean, components, float(about["explained"]), str(about["encoder"]))
        except (OSError, SafetensorError, KeyError, TypeError, ValueError) as error:
            raise SwathError(
                f"cannot read the principal components: {error}",
                where=str(path),
                remedy="they are a file NAME.pca.safetensors, written by --pca; keep it beside the index",
            ) from None


def fit_pca(blocks: Iterable[Float32[ndarray, "_ d"]], dims: int, encoder: str) -> Pca:
    """Principal components of vectors that come in blocks, exactly, from their moments in float64.

    Raises:
        ContractError: there are fewer dimensions or rows than components.
    """
    count, total, products = 0, np.zeros(0), np.zeros((0, 0))
    shift: Float[ndarray, " d"] | None = None
    for block in blocks:
        # moments about a point nearby: a mean far from 0 would swallow the digits of the variance
        shift = block[0].astype(np.float64) if shift is None else shift
        off = block - shift
        total = off.sum(axis=0) + (total if count else 0)
        products = off.T @ off + (products if count else 0)
        count += len(block)
    if shift is None or dims > min(len(shift), count - 1):
        raise ContractError(
            f"{count} vectors of {0 if shift is None else len(shift)} dimensions have no {dims} principal components",
            remedy="ask for fewer: --pca N",
        )
    mean = total / count
    values, vectors = np.linalg.eigh(products / count - np.outer(mean, mean))
    components = vectors[:, ::-1][:, :dims].T
    largest = np.take_along_axis(components, np.abs(components).argmax(axis=1)[:, None], axis=1)
    values = np.maximum(values[::-1], 0)
    return Pca(
        (mean + shift).astype(np.float32),
        (components * np.sign(largest)).astype(np.float32),
        float(values[:dims].sum() / max(values.sum(), np.finfo(float).tiny)),
        encoder,
    )


def applied(reduction: Reduction | None, beside: Path) -> Apply:
    """The function that an index's vectors went through; a PCA is read from beside the index.

    Raises:
        SwathError: the file with its components is not there, or another one.
    """
    if reduction is None:
        return lambda vectors: vectors
    if reduction.method == "prefix":
        return lambda vectors: vectors[:, : reduction.dims]
    return Pca.load(beside.parent / Path(str(reduction.file)).name, reduction.sha256)
