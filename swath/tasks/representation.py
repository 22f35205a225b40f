"""What features look like before anybody reads labels out of them: spread, dimension, likeness, neighbours, clusters.

All functions take features as arrays of finite numbers, a sample a row. What is not known, such as the dimension of
fewer than three samples or the likeness to constant features, is NaN.
"""

from collections.abc import Mapping

import numpy as np
from jaxtyping import Float, Float64, Int
from numpy import ndarray

from swath.errors import SwathError

MOST = 100_000
"""Largest number of samples; t-SNE and nearest neighbours take minutes there."""
KEPT = 0.9
"""Share of the ratios of distances that TwoNN looks at: the largest are of samples at the edge."""
_CHUNK = 1024
"""Samples that are compared with all others at a time, to bound memory."""


def require_finite(features: Float[ndarray, "n d"], whose: str) -> None:
    """Raise SwathError unless all features are finite numbers.

    Args:
        features: of an encoder.
        whose: its name, for the message.
    """
    if wrong := int((~np.isfinite(features)).any(axis=1).sum()):
        raise SwathError(
            f"{wrong} of {len(features)} embeddings are not finite",
            where=whose,
            remedy="look at the loss curve and the gauges of its pre-training",
        )


def unit(features: Float[ndarray, "n d"]) -> Float64[ndarray, "n d"]:
    """Features scaled to length 1; those that are 0 stay so."""
    lengths = np.linalg.norm(features.astype(np.float64), axis=1, keepdims=True)
    return features / np.where(lengths > 0, lengths, 1)


def alignment(a: Float[ndarray, "n d"], b: Float[ndarray, "n d"]) -> float:
    """Mean squared distance of the unit features of pairs that should be alike (Wang & Isola 2020, alpha = 2).

    0 where pairs are equal, 2 where they have nothing to do with each other.
    """
    return float(((unit(a) - unit(b)) ** 2).sum(axis=1).mean()) if len(a) else np.nan


def uniformity(features: Float[ndarray, "n d"]) -> float:
    """Logarithm of the mean of exp(-2 d^2) over all pairs of unit features, d apart (Wang & Isola 2020, t = 2).

    0 where all are the same, about -4 + 8 / dimensions where they fill a sphere of many dimensions.
    """
    z, total = unit(features), 0.0
    if len(z) < 2:
        return np.nan
    for start in range(0, len(z), _CHUNK):
        total += float(np.exp(4 * (z[start : start + _CHUNK] @ z.T) - 4).sum())
    return float(np.log((total - np.exp(4 * (z**2).sum(axis=1) - 4).sum()) / (len(z) * (len(z) - 1))))


def effective_rank(features: Float[ndarray, "n d"]) -> float:
    """Exponential of the entropy of the singular values, as shares of their sum (Roy & Vetterli 2007).

    Of centred features it is the number of directions in which they vary. 0 where all are 0.
    """
    values = np.linalg.svd(features.astype(np.float64), compute_uv=False)
    values = values[values > values.max(initial=0) * 1e-7]
    share = values / values.sum()
    return float(np.exp(-(share * np.log(share)).sum())) if len(values) else 0.0


def rankme(features: Float[ndarray, "n d"]) -> float:
    """RankMe (Garrido et al. 2023): the effective rank of the features as they are, each share plus 1e-7 as there.

    0 where all are 0.
    """
    values = np.linalg.svd(features.astype(np.float64), compute_uv=False)
    if not values.any():
        return 0.0
    share = values / values.sum() + 1e-7
    return float(np.exp(-(share * np.log(share)).sum()))


def centred(features: Float[ndarray, "n d"]) -> Float64[ndarray, "n d"]:
    """Features minus their mean; constant ones become exactly 0."""
    off = features - features.mean(axis=0, dtype=np.float64)
    return np.where(np.ptp(features, axis=0) > 0, off, 0.0)


def intrinsic_dimension(features: Float[ndarray, "n d"]) -> float:
    """Dimension of what the features lie on, by the distances to the two nearest others (TwoNN; Facco et al. 2017).

    Samples that have an equal one count once. NaN of fewer than three different ones.
    """
    distinct = np.unique(features.astype(np.float64), axis=0)
    if len(distinct) < 3:
        return np.nan
    ratios = np.sort(_ratio_of_nearest(distinct))
    kept = max(2, int(KEPT * len(ratios)))
    x = np.log(ratios)[:kept]
    y = -np.log1p(-np.arange(1, kept + 1) / (len(ratios) + 1))
    return float((x @ y) / (x @ x)) if x.any() else np.nan


def _ratio_of_nearest(distinct: Float64[ndarray, "n d"]) -> Float64[ndarray, " n"]:
    """Distance to the second nearest other sample over that to the nearest."""
    from sklearn.neighbors import NearestNeighbors  # takes a second to import

    distances, _ = NearestNeighbors(n_neighbors=3).fit(distinct).kneighbors(distinct)
    return distances[:, 2] / distances[:, 1]


def cka(a: Float[ndarray, "n d"], b: Float[ndarray, "n e"]) -> float:
    """Linear centred kernel alignment of two sets of features of the same samples, debiased.

    Kornblith et al. (2019) with the unbiased estimator of HSIC by Song et al. (2012): 1 for features that are each
    other's turned or scaled, 0 in the mean for unrelated ones, whatever their dimensions; it may be negative. Without
    the correction wide features look alike by chance (Murphy et al. 2024). NaN for fewer than four samples, and for
    constant features.
    """
    if len(a) < 4:
        return np.nan
    own = hsic(a, a) * hsic(b, b)
    return float(hsic(a, b) / np.sqrt(own)) if own > 0 else np.nan


def hsic(a: Float[ndarray, "n d"], b: Float[ndarray, "n e"]) -> float:
    """Unbiased estimate of the linear dependence of two sets of features of four samples or more (Song et al. 2012).

    Nothing of the size of all pairs of samples is made: of centred features the sum of a sample's products with all
    others is minus its own square.
    """
    n, a, b = len(a), centred(a), centred(b)
    k, m = (a**2).sum(axis=1), (b**2).sum(axis=1)
    pairs = ((a.T @ b) ** 2).sum() - k @ m
    return float((pairs + k.sum() * m.sum() / ((n - 1) * (n - 2)) - 2 / (n - 2) * (k @ m)) / (n * (n - 3)))


def retrieval(features: Float[ndarray, "n d"], y: Int[ndarray, " n"]) -> float:
    """Mean average precision (mAP): each sample looks for those of its class by cosine among all others.

    Samples whose class has no other ask nothing; NaN where none asks. Ties count as the worst order within them.
    """
    z, found = unit(features), []
    for start in range(0, len(z), _CHUNK):
        scores = z[start : start + _CHUNK] @ z.T
        for i, row in enumerate(scores, start):
            others = np.delete(np.arange(len(z)), i)
            same = y[others] == y[i]
            if same.any():
                found.append(average_precision(np.round(row[others], 12), same))
    return float(np.mean(found)) if found else np.nan


def average_precision(scores: Float[ndarray, " n"], wanted: ndarray) -> float:
    """Mean, over what is wanted, of the share of wanted ones among all whose score is not lower."""
    order = np.argsort(-scores, kind="stable")
    ranked, hits = scores[order], np.cumsum(wanted[order])
    last = len(scores) - 1 - np.searchsorted(ranked[::-1], ranked, side="left")  # last of equal scores
    return float((hits[last] / (last + 1))[wanted[order]].mean())


def clusters(features: Float[ndarray, "n d"], y: Int[ndarray, " n"], seed: int = 0) -> Mapping[str, float]:
    """How well k-means on unit features finds the classes without labels, k being their number.

    Returns:
        `nmi`, normalised mutual information (1: clusters are the classes; above 0 by chance), and `ari`, the adjusted
        Rand index (0 by chance). NaN where there are fewer than two classes, or fewer different samples than classes.
    """
    from sklearn.cluster import KMeans
    from sklearn.metrics import adjusted_rand_score, normalized_mutual_info_score

    z, k = unit(features), len(np.unique(y))
    if k < 2 or len(np.unique(z, axis=0)) < k:
        return {"nmi": np.nan, "ari": np.nan}
    said = KMeans(k, n_init=10, random_state=seed).fit_predict(z)  # pyright: ignore[reportArgumentType]
    return {"nmi": float(normalized_mutual_info_score(y, said)), "ari": float(adjusted_rand_score(y, said))}


def nearest(features: Float[ndarray, "n d"], queries: Int[ndarray, " q"], k: int = 10) -> Int[ndarray, "q k"]:
    """The k samples that are nearest to each query by cosine, best first, without itself; ties by their order."""
    z = unit(features)
    scores = np.round(z[queries] @ z.T, 12)
    scores[np.arange(len(queries)), queries] = -np.inf
    return np.argsort(-scores, axis=1, kind="stable")[:, : min(k, len(z) - 1)]


def embedded_in_plane(features: Float[ndarray, "n d"], seed: int = 0) -> Float[ndarray, "n 2"]:
    """t-SNE of unit features (perplexity 30, or a third of the samples), from their principal components.

    Distances between groups, and their sizes, mean nothing. NaN of fewer than four different samples.
    """
    from sklearn.manifold import TSNE

    z = unit(features)
    if len(np.unique(z, axis=0)) < 4:
        return np.full((len(z), 2), np.nan)
    start = "pca" if min(z.shape) > 1 else "random"
    return TSNE(perplexity=min(30.0, (len(z) - 1) / 3), init=start, random_state=seed).fit_transform(z)


def subsample(count: int, most: int, seed: int = 0) -> Int[ndarray, " m"]:
    """Positions of at most so many of some samples, at random, ascending; always the same ones."""
    if count <= most:
        return np.arange(count)
    return np.sort(np.random.default_rng(seed).choice(count, most, replace=False))
