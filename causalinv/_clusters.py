r"""Robust covariances of least-squares coefficients, and the degrees of freedom that few or unequal clusters leave.

For coefficients :math:`b = M \sum_i w_i x_i y_i` with :math:`M = (\sum_i w_i x_i x_i')^{-1}` the covariance is
:math:`M \big(\sum_g X_g' W_g A_g r_g r_g' A_g W_g X_g\big) M`, clusters g being rows where none are given. The
residuals r are too small where a cluster moves the fit; A corrects that:

======== ============================================================================================
``0``    A = 1
``1``    A = 1, times (n - 1) / (n - k) · G / (G - 1) with clusters, n / (n - k) without
``2``    A = B^{-1/2} with B the cluster's block of (I - H)(I - H)': unbiased if errors are independent
         and equal (HC2; CR2 of Bell and McCaffrey, 2002). A direction in which a cluster is fitted
         exactly has no residual and adds nothing
``3``    A = (I - H_gg)^{-1}: close to the jackknife, conservative (HC3, CR3)
======== ============================================================================================

The reference law of a contrast is Student's t with Satterthwaite's degrees of freedom under independent equal errors
(Bell and McCaffrey, 2002; Imbens and Kolesár, 2016). With instruments the rows are those of the projected regressors,
and the residuals those of the original ones. Weights are sampling weights: errors are taken as equal whatever they are.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.linalg import qr
from scipy.special import stdtrit

from causalinv._matrix import inverse_root, pseudo_inverse, singular_values, whitener
from causalinv._typing import FloatArray, IntArray

__all__ = ["UNSEEN", "RobustCovariance", "flip_factor", "hidden_share", "robust_covariance"]

UNSEEN = 0.05  # `hidden_share` of a combination from which it counts as not estimated
_CANCELS = 1e-3  # of a part's variance, what the fit leaves of it: from here digits would be lost in squares
_FITTED = 1e-10  # eigenvalues of B, which lie in [0, 1]: a direction that the cluster fits exactly


@dataclass(frozen=True, eq=False)
class RobustCovariance:
    """A covariance with what its degrees of freedom need.

    Attributes
    ----------
    cov : ndarray of shape (k, k)
        Covariance of the coefficients.
    bread : ndarray of shape (k, k)
        M.
    n_clusters : int
        Clusters (rows, where there are none) of positive weight.
    correction : int
        0, 1, 2 or 3.
    """

    cov: FloatArray
    bread: FloatArray
    n_clusters: int
    correction: int
    _design: FloatArray  # (n, k)
    _weighted: FloatArray  # (n, k): W X
    _adjusted: FloatArray  # (n, k): A W X
    _codes: IntArray  # (n,)

    def df(self, contrasts: FloatArray | None = None) -> FloatArray:
        """Satterthwaite degrees of freedom of linear combinations of the coefficients.

        Parameters
        ----------
        contrasts : ndarray of shape (m, k), optional
            One combination per row; the coefficients themselves if left out.

        Returns
        -------
        ndarray of shape (m,)
            At most `n_clusters`; NaN for a combination without variance.
        """
        rows = np.eye(len(self.bread)) if contrasts is None else np.atleast_2d(contrasts)
        out = np.full(len(rows), np.nan)
        both, inner = self._within()
        by_row = self.n_clusters == len(both)
        per_square = np.sum((both @ inner) * both, axis=1) if by_row else None
        for j, combination in enumerate(rows):
            moved = self._adjusted @ (self.bread @ combination)
            moved = moved / (np.abs(moved).max(initial=0.0) or 1.0)  # only ratios count; fourth powers are taken
            if per_square is not None:
                own, z = moved**2, both * moved[:, None]
                cross = own * per_square
            else:
                own, z = self._sums(moved[:, None] ** 2)[:, 0], self._sums(both * moved[:, None])
                cross = np.sum((z @ inner) * z, axis=1)
            alone = own + cross < _CANCELS * own
            shared, squares = self._covariances(moved, np.flatnonzero(alone)), 0.0
            if alone.any():
                own, cross, z = own[~alone], cross[~alone], z[~alone]
                squares = float(2 * np.sum(shared[~alone] ** 2) + np.sum(shared[alone] ** 2))
            gram = z.T @ z @ inner
            trace = float(own.sum() + cross.sum() + np.trace(shared[alone]))
            square = float(np.sum(own**2) + 2 * own @ cross + np.sum(gram * gram.T)) + squares
            if trace > 0 and square > 0:
                out[j] = trace**2 / square
        return out

    def _covariances(self, moved: FloatArray, which: IntArray) -> FloatArray:
        """Covariances (G, s) of the parts of all clusters with those of some, as products of vectors.

        Of clusters that move the fit so much that sums of squares would cancel: at most as many as coefficients.
        """
        parts = np.where(self._codes[:, None] == which, moved[:, None], 0.0)
        parts -= self._weighted @ (self.bread @ (self._design.T @ parts))
        parts -= self._design @ (self.bread @ (self._weighted.T @ parts))
        return self._sums(moved[:, None] * parts)

    def _within(self) -> tuple[FloatArray, FloatArray]:
        """Columns C and a matrix K with (I - H)(I - H)' = I + C K C'."""
        middle = self.bread @ (self._weighted.T @ self._weighted) @ self.bread
        if self._weighted is self._design:
            return self._design, middle - 2.0 * self.bread
        inner = np.block([[middle, -self.bread], [-self.bread, np.zeros_like(middle)]])
        return np.hstack([self._design, self._weighted]), inner

    def of_residual(self, residual: FloatArray) -> FloatArray:
        """Covariance (k, k) of another outcome's coefficients on the same rows of positive weight; not for ``1``."""
        score = self._sums(self._adjusted * residual[:, None])
        return np.asarray(self.bread @ (score.T @ score) @ self.bread)

    def _sums(self, rows: FloatArray) -> FloatArray:
        return _sums(rows, self._codes, self.n_clusters)

    def interval(
        self, estimate: FloatArray, *, confidence_level: float, contrasts: FloatArray | None = None
    ) -> tuple[FloatArray, FloatArray]:
        """Lower and upper ends for coefficients, or for contrasts whose estimates are given."""
        rows = np.eye(len(self.cov)) if contrasts is None else np.atleast_2d(contrasts)
        error = np.sqrt(np.maximum(np.einsum("mi,ij,mj->m", rows, self.cov, rows), 0.0))
        wide = stdtrit(np.maximum(self.df(rows), 1e-3), 0.5 + confidence_level / 2) * error
        return estimate - wide, estimate + wide


def robust_covariance(
    design: FloatArray,
    residual: FloatArray,
    *,
    weight: FloatArray | None = None,
    clusters: IntArray | None = None,
    correction: int = 2,
) -> RobustCovariance:
    """Robust covariance of weighted least-squares coefficients.

    Parameters
    ----------
    design : ndarray of shape (n, k)
        Rows of regressors, the constant among them; with instruments, their projections. Dependent columns get a
        generalised inverse.
    residual : ndarray of shape (n,)
        Residuals of the fit.
    weight : ndarray of shape (n,), optional
        Weights >= 0; rows of weight 0, and clusters of such rows only, are out of everything.
    clusters : ndarray of int of shape (n,), optional
        Cluster of each row. Left out, every row is one.
    correction : {2, 0, 1, 3}
        See the module's table.

    Returns
    -------
    RobustCovariance

    Raises
    ------
    ValueError
        If there are fewer than two clusters.
    """
    if weight is not None and (weight == 0).any():
        inside = weight > 0
        design, residual, weight = design[inside], residual[inside], weight[inside]
        clusters = None if clusters is None else clusters[inside]
    n = len(design)
    weighted = design if weight is None else (weight / weight.mean())[:, None] * design
    half = whitener(design.T @ weighted)
    bread = half @ half.T
    second = weighted.T @ weighted
    if clusters is None:
        codes, n_clusters = np.arange(n), n
    else:
        _, codes = np.unique(clusters, return_inverse=True)
        codes = codes.reshape(-1)
        n_clusters = int(codes.max()) + 1 if n else 0
    if n_clusters < 2:
        raise ValueError(f"A robust covariance needs at least two clusters of positive weight, got {n_clusters}.")
    if n_clusters == n:
        adjusted = _rows_adjusted(design, weighted, bread, second, correction)
    elif correction in (0, 1):
        adjusted = weighted
    else:
        adjusted = np.empty_like(weighted)
        back = half.T @ (design.T @ weighted)
        order = np.argsort(codes, kind="stable")
        for rows in np.split(order, np.flatnonzero(np.diff(codes[order])) + 1):
            if correction == 3:
                adjusted[rows] = _jackknifed(design[rows] @ half, weighted[rows] @ half) @ back
            else:
                adjusted[rows] = _adjust(design[rows], weighted[rows], bread, second)
    score = _sums(adjusted * residual[:, None], codes, n_clusters)
    cov = bread @ (score.T @ score) @ bread
    if correction == 1:
        rank = half.shape[1]
        cov *= n / (n - rank) if n_clusters == n else (n - 1) / (n - rank) * n_clusters / (n_clusters - 1)
    return RobustCovariance(cov, bread, n_clusters, correction, design, weighted, adjusted, codes)


def hidden_share(
    design: FloatArray, contrasts: FloatArray, *, weight: FloatArray | None = None, clusters: IntArray | None = None
) -> FloatArray:
    r"""Share of the variance of contrasts whose errors no residual shows.

    A row, or a cluster, without which the columns would be dependent is fitted exactly in some direction: the only
    treated row, the only treated cluster. Whatever its error there, its residual is 0, and no robust covariance sees
    it. With :math:`T'(\sum_i w_i x_i x_i')T = 1`, contrasts :math:`u = T'c` and the directions v of a cluster with
    :math:`T' X_g'W_gX_g T v = v` the share is :math:`\sum_v (v'u)^2 / |u|^2`, errors of a row being taken as
    independent with variances in proportion to 1 / w.

    Parameters
    ----------
    design : ndarray of shape (n, k)
        Regressors, the constant among them.
    contrasts : ndarray of shape (m, k)
    weight : ndarray of shape (n,), optional
        Positive.
    clusters : ndarray of int of shape (n,), optional
        Codes from 0.

    Returns
    -------
    ndarray of shape (m,)
        Between 0 and 1; 0 for a contrast without variance.
    """
    rows = design if weight is None else np.sqrt(weight / weight.mean())[:, None] * design
    half = whitener(rows.T @ rows)
    rows, u = rows @ half, contrasts @ half
    leverage = np.sum(rows**2, axis=1)
    codes = np.arange(len(rows)) if clusters is None else clusters
    hidden = np.zeros(len(contrasts))
    for code in np.flatnonzero(np.bincount(codes, weights=leverage) >= 1.0 - _FITTED):  # at most k of them
        _, size, right = singular_values(rows[codes == code])
        hidden += np.sum((u @ right[size**2 >= 1.0 - _FITTED].T) ** 2, axis=1)
    total = np.sum(u**2, axis=1)
    return np.divide(hidden, total, out=np.zeros_like(hidden), where=total > 0)


def flip_factor(leverage: FloatArray) -> FloatArray:
    r"""What residuals (..., n) are multiplied by before their signs are flipped: :math:`(1 - h_i)^{-\delta_i / 2}`.

    The exponent is that of HC2 (1) up to twice the mean leverage, and from there in proportion to it up to that of HC3
    (2), as rows that pull the fit are shrunk most (MacKinnon and White 1985; Cribari-Neto 2004; Hoaglin and Welsch
    1978). Rows that are fitted exactly have no residual: 0.
    """
    left, times = 1.0 - leverage, leverage / (2.0 * leverage.mean(axis=-1, keepdims=True))
    factor = np.where(left > _FITTED, 1.0 / np.sqrt(np.maximum(left, _FITTED)), 0.0)
    pull = times > 1.0
    factor[pull] **= np.minimum(times[pull], 2.0)
    return factor


def _sums(rows: FloatArray, codes: IntArray, n_clusters: int) -> FloatArray:
    """Sums over the rows of each cluster; the rows themselves where each is one."""
    if n_clusters == len(rows):
        return rows
    out = np.zeros((n_clusters, rows.shape[1]))
    np.add.at(out, codes, rows)
    return out


def _rows_adjusted(x: FloatArray, wx: FloatArray, bread: FloatArray, second: FloatArray, correction: int) -> FloatArray:
    """A_i w_i x_i for clusters of one row, shape (n, k)."""
    if correction in (0, 1):
        return wx
    half = x @ bread
    leverage = np.sum(half * wx, axis=1)
    if correction == 3:
        left = 1.0 - leverage
        factor = np.divide(1.0, left, out=np.zeros_like(left), where=left > _FITTED)
    else:
        block = 1.0 - 2.0 * leverage + np.sum((half @ second) * half, axis=1)
        factor = np.divide(1.0, np.sqrt(np.maximum(block, 0.0)), out=np.zeros_like(block), where=block > _FITTED)
    return factor[:, None] * wx


def _jackknifed(x: FloatArray, wx: FloatArray) -> FloatArray:
    """(I - X M X'W)^{-1}' W X = W X (I - M X'W X)^{-1} of one cluster (n_g, r) in coordinates in which M is I.

    The pseudo-inverse where a direction is fitted exactly; in these coordinates it does not depend on units.
    """
    return wx @ pseudo_inverse(np.eye(x.shape[1]) - x.T @ wx, tol=0.0, least=_FITTED)


def _adjust(x: FloatArray, wx: FloatArray, bread: FloatArray, second: FloatArray) -> FloatArray:
    """A_g W_g X_g of one cluster for HC2, (n_g, k); B differs from I by rank 2k, so no n_g × n_g matrix is made."""
    k = x.shape[1]
    both = np.hstack([x, wx])
    if len(x) <= 2 * k:
        block = np.eye(len(x)) - x @ bread @ wx.T - wx @ bread @ x.T + x @ bread @ second @ bread @ x.T
        return inverse_root(block, _FITTED) @ wx
    q, r = qr(both, mode="economic")
    core = np.block([[bread @ second @ bread, -bread], [-bread, np.zeros((k, k))]])
    inside = np.eye(2 * k) + r @ core @ r.T
    span = q.T @ wx
    return np.asarray(wx + q @ (inverse_root(inside, _FITTED) @ span - span))
