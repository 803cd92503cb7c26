"""Conditional laws of an outcome given features: weights on a common list of atoms."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Protocol, TypeAlias

import numpy as np
from scipy.sparse import csr_array
from scipy.spatial import cKDTree
from sklearn.base import clone
from sklearn.ensemble import ExtraTreesRegressor

from causalinv._typing import FloatArray, IntArray

__all__ = ["Law", "LawLike", "Sample", "Similarity", "centre_and_unit", "compress", "fit_law"]

N_ATOMS = 128
N_POOL = 10_000  # rows among which a kernel or neighbours look: fits grow with n, not with its square
_TAIL, _TAIL_BINS = 0.02, 24  # the extreme 2% on either side have bins that narrow to one row: bounds live there
_TIE = 1.0 + 1e-9  # relative: rows whose distances differ by less are equally far
_CHUNK = 1 << 22  # similarities held at once
_TOO_LARGE = (
    "X holds values so large that distances between rows overflow, so law='knn' finds no neighbours. Rescale the "
    "columns of X."
)

#: ``similarity(X_train (n, d), X_query (m, d)) -> (m, n)`` weights >= 0, dense or sparse; rows are rescaled.
Similarity: TypeAlias = Callable[[FloatArray, FloatArray], Any]
LawLike: TypeAlias = str | Similarity | Any


class Law(Protocol):
    """What a fitted law can do."""

    def weights(self, X: FloatArray) -> FloatArray:
        """Probabilities of the atoms at each row of X, shape (m, K)."""
        ...


def compress(phi: FloatArray) -> tuple[FloatArray, IntArray]:
    """Sorted atoms (K,) and each row's atom: the values themselves if they are few, else means of quantile bins.

    Bins move an end inward by the second order of their width.
    """
    values, codes = np.unique(phi, return_inverse=True)
    if len(values) <= N_ATOMS:
        return values, codes
    tail = np.geomspace(1.0 / len(phi), _TAIL, _TAIL_BINS)
    body = np.linspace(_TAIL, 1.0 - _TAIL, N_ATOMS - 2 * _TAIL_BINS)[1:-1]
    edges = np.r_[tail, body, 1.0 - tail[::-1]]
    rank = np.empty(len(phi))
    rank[np.argsort(phi, kind="stable")] = (np.arange(len(phi)) + 0.5) / len(phi)
    _, codes = np.unique(np.searchsorted(edges, rank, side="right"), return_inverse=True)
    return np.bincount(codes, weights=phi) / np.bincount(codes), codes


def centre_and_unit(phi: FloatArray) -> tuple[float, float]:
    """Mean and standard deviation, 1 if that is 0; of numbers whose squares are no floats too."""
    largest = float(np.abs(phi).max())
    if not largest > 0:
        return 0.0, 1.0
    relative = phi / largest
    return largest * float(relative.mean()), largest * float(relative.std()) or 1.0


@dataclass(frozen=True)
class Sample:
    """Rows of one arm: features (n, d), phi (n,), the atom of each row (n,), number of atoms, weights (n,) or None.

    And names of the features, and clusters of the rows, if they have any; and features, phi and weights of the rows of
    the other arms, from which a location may learn.
    """

    X: FloatArray
    phi: FloatArray
    codes: IntArray
    n_atoms: int
    weight: FloatArray | None
    names: np.ndarray | None = None
    groups: IntArray | None = None
    others: tuple[FloatArray, FloatArray, FloatArray | None] | None = None


def fit_law(law: LawLike, sample: Sample, seed: int) -> Law:
    """Fit the law of phi given X."""
    if isinstance(law, str):
        if law == "forest":
            return _Forest(default_forest(), sample, seed)
        if law in ("marginal", "pooled"):
            return _Pooled(sample)
        if law in _SIMILARITIES:
            return _Weighted(_SIMILARITIES[law], _pool(sample, seed))
    elif hasattr(law, "fit") and hasattr(law, "apply"):
        return _Forest(clone(law), sample, seed)
    elif callable(law):
        return _Weighted(law, sample)
    raise ValueError(
        f"law must be 'forest', 'kernel', 'knn', 'marginal', a forest with `apply` such as RandomForestRegressor, or a "
        f"function (X_train, X_query) -> weights of shape (m, n_train); got {law!r}."
    )


def default_forest() -> ExtraTreesRegressor:
    """Trees deep enough for means, leaves large enough for tails; more trees hardly changed the ends."""
    return ExtraTreesRegressor(50, min_samples_leaf=10, max_features=0.7)


class _Forest:
    """A query's weights: per tree the law of the training rows in its leaf, averaged over trees."""

    def __init__(self, forest: Any, sample: Sample, seed: int) -> None:
        if forest.random_state is None:
            forest.set_params(random_state=seed)
        self.sample = sample
        # Only the leaves are used, so the outcome's units and origin are free; trees lose digits in both.
        centre, unit = centre_and_unit(sample.phi)
        standard = (sample.phi - centre) / unit
        self.forest = forest.fit(sample.X, standard, sample_weight=sample.weight)
        self.leaves = forest.apply(sample.X).astype(np.int32)

    def weights(self, X: FloatArray) -> FloatArray:
        """See `Law`."""
        k = self.sample.n_atoms
        out = np.zeros((len(X), k))
        asked = self.forest.apply(X)
        for tree in range(self.leaves.shape[1]):
            leaves, place = np.unique(self.leaves[:, tree], return_inverse=True)
            size = len(leaves) * k
            flat = np.bincount(place * k + self.sample.codes, weights=self.sample.weight, minlength=size)
            table = flat.reshape(len(leaves), k).astype(float)
            total = table.sum(axis=1, keepdims=True)
            table /= np.where(total > 0, total, 1.0)
            out += table[np.searchsorted(leaves, asked[:, tree])]
        return out / out.sum(axis=1, keepdims=True)


class _Pooled:
    """One law for all queries."""

    def __init__(self, sample: Sample) -> None:
        found = np.bincount(sample.codes, weights=sample.weight, minlength=sample.n_atoms).astype(float)
        self.found = found / found.sum()

    def weights(self, X: FloatArray) -> FloatArray:
        """See `Law`."""
        return np.broadcast_to(self.found, (len(X), len(self.found)))


def _pool(sample: Sample, seed: int) -> Sample:
    """At most so many rows, drawn evenly: neighbours are looked for among these."""
    n = len(sample.codes)
    if n <= N_POOL:
        return sample
    order = np.lexsort((sample.phi, *sample.X.T[::-1]))  # of what rows hold, so that their order changes nothing
    kept = np.sort(order[np.random.default_rng(seed).permutation(n)[:N_POOL]])
    weight = None if sample.weight is None else sample.weight[kept]
    return replace(sample, X=sample.X[kept], phi=sample.phi[kept], codes=sample.codes[kept], weight=weight)


class _Weighted:
    """A query's weights: similarities to the training rows, summed per atom."""

    def __init__(self, similarity: Similarity, sample: Sample) -> None:
        order = np.argsort(sample.codes, kind="stable")
        self.similarity, self.X, self.n_atoms = similarity, sample.X[order], sample.n_atoms
        self.codes = sample.codes[order]
        self.present, self.starts = np.unique(self.codes, return_index=True)
        self.weight = None if sample.weight is None else sample.weight[order]

    def weights(self, X: FloatArray) -> FloatArray:
        """See `Law`."""
        step = max(1, _CHUNK // len(self.X))
        out = np.empty((len(X), self.n_atoms))
        for start in range(0, len(X), step):
            out[start : start + step] = self._block(X[start : start + step])
        out /= out.sum(axis=1, keepdims=True)
        return out

    def _block(self, X: FloatArray) -> FloatArray:
        near: Any = self.similarity(self.X, X)
        if near.shape != (len(X), len(self.X)):
            raise ValueError(
                f"The function given as law= must return shape (m, n_train) = ({len(X)}, {len(self.X)}), got "
                f"{near.shape}."
            )
        if not isinstance(near, np.ndarray):  # sparse
            ones = np.ones(len(self.X)) if self.weight is None else self.weight
            atoms = csr_array((ones, (np.arange(len(self.X)), self.codes)), shape=(len(self.X), self.n_atoms))
            out: FloatArray = np.asarray((csr_array(near) @ atoms).todense(), dtype=np.float64)
        else:
            near = np.asarray(near, dtype=np.float64)
            out = np.zeros((len(X), self.n_atoms))
            out[:, self.present] = np.add.reduceat(
                near if self.weight is None else near * self.weight, self.starts, axis=1
            )
        total = out.sum(axis=1)
        if not (np.isfinite(total).all() and (out >= 0).all() and (total > 0).all()):
            raise ValueError("The function given as law= must return weights >= 0 with a positive sum in every row.")
        return out


def _standardise(X: FloatArray, query: FloatArray) -> tuple[FloatArray, FloatArray]:
    X, query = X - X.mean(axis=0), query - X.mean(axis=0)
    scale = X.std(axis=0)
    scale[scale == 0] = 1.0
    return X / scale, query / scale


def _kernel(X: FloatArray, query: FloatArray) -> FloatArray:
    """Gaussian kernel in standardised units with bandwidth n^(-1/(d+4)); the nearest row always counts."""
    n, d = X.shape
    X, query = _standardise(X, query)
    square = query @ (-2.0 * X.T)
    square += np.sum(X**2, axis=1)
    square -= square.min(axis=1, keepdims=True)
    square *= -0.5 * n ** (2.0 / (d + 4.0))
    return np.exp(square, out=square)


def _nearest(X: FloatArray, query: FloatArray) -> Any:
    """Equal weights on the n^(4/(d+4)), at least 10, nearest rows in standardised units.

    Rows that are equally far share what is left for them, so that the order of the rows decides nothing.
    """
    n, d = X.shape
    k = min(n, max(10, round(n ** (4.0 / (d + 4.0)))))
    with np.errstate(over="ignore", invalid="ignore"):
        X, query = _standardise(X, query)
    if not (np.isfinite(X).all() and np.isfinite(query).all()):
        raise ValueError(_TOO_LARGE)
    tree = cKDTree(X)
    far, found = map(np.asarray, tree.query(query, k=np.arange(1, min(n, k + 1) + 1)))
    if found.max(initial=0) >= n:  # how the tree says that a distance overflowed; as an index it would kill the process
        raise ValueError(_TOO_LARGE)
    tied = np.flatnonzero(far[:, -1] <= far[:, k - 1] * _TIE) if k < n else np.empty(0, int)
    rows, weight = list(found[:, :k]), [np.ones(k)] * len(query)
    for i in tied.tolist():
        reach = far[i, k - 1] * _TIE
        rows[i] = np.sort(tree.query_ball_point(query[i], reach))
        nearer = np.linalg.norm(X[rows[i]] - query[i], axis=1) * _TIE < far[i, k - 1]
        weight[i] = np.where(nearer, 1.0, (k - nearer.sum()) / (~nearer).sum())
    ends = np.cumsum([0, *map(len, rows)])
    return csr_array((np.concatenate(weight), np.concatenate(rows), ends), shape=(len(query), n))


_SIMILARITIES: dict[str, Similarity] = {"kernel": _kernel, "knn": _nearest}
