"""The robust Chow test and robust intervals of many sets of features at once, as products of matrices.

All that the two need of the rows are sums of products of two columns, weighted for each set: with the products of all
pairs made once, these are one matrix product for a stack of sets. Inverses take the place of orthonormal bases, so
sets whose columns are near dependence are left to the way that takes one set at a time.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy.special import stdtrit

from causalinv._clusters import flip_factor
from causalinv._matrix import inverse_roots
from causalinv._typing import BoolArray, FloatArray
from causalinv.invariance.subsets._tests import NOTHING, wild_pvalue

__all__ = ["StackedSets"]

_AT_ONCE = 200_000  # numbers: rows times sets of a stack
_CONSTANT = 1e-13  # standard deviation beside the mean: rounding
_LEAST = 1e-3  # spread of a combination of standardised features: below, an inverse loses more than six digits
_LEFT = 1e-3  # share of a row's variance that the fit leaves: below, differences lose digits


class StackedSets:
    """Rows by environment, ready for stacks of sets.

    Parameters
    ----------
    designs : list of ndarray of shape (n_e, p)
        Rows of each environment: the constant first, the others standardised over all rows.
    outcomes : list of ndarray of shape (n_e,)
    """

    def __init__(self, designs: list[FloatArray], outcomes: list[FloatArray]):
        y = np.concatenate(outcomes)
        self._unit = float(np.abs(y).max(initial=0.0)) or 1.0
        y = y / self._unit
        self._least = NOTHING * float(y @ y)  # squares of residuals that are rounding
        self._y = y - y.mean()
        self._design = np.concatenate(designs)
        self._gram, self._cross = self._design.T @ self._design, self._design.T @ self._y
        ends = np.cumsum([0, *map(len, designs)]).tolist()
        self._parts = [_Part(each, slice(a, b)) for each, a, b in zip(designs, ends[:-1], ends[1:], strict=True)]
        self.at_once = max(1, _AT_ONCE // max(len(y), 1))  # sets of a stack

    def pvalues(self, sets: BoolArray) -> tuple[FloatArray, BoolArray]:
        """`robust_chow_pvalue` of sets (m, p - 1) of features, and which of them can be relied on, both (m,).

        The others are near dependence, or have nothing to test or nothing left to test it with.
        """
        inside = _with_constant(sets)
        fit = self._fit(inside)
        square = (flip_factor(fit.leverage) * fit.residual) ** 2
        # tr M² of M = DAD for A = sum_e P_e - P, P_e and P the projections of an environment's and of all rows.
        squared = _squares(fit.root @ self._moments(square) @ _turned(fit.root))
        statistic, mean, fourth, ranks = np.zeros((4, len(inside)))
        sound = fit.sound & (np.sum(fit.residual**2, axis=1) > self._least)
        for part in self._parts:
            varies = inside & part.varies
            own, good = _roots(part.gram, varies)
            sound &= good & ~(inside & part.doubtful).any(axis=1)
            ranks += varies.sum(axis=1)
            here = square[:, part.rows]
            score = fit.residual[:, part.rows] @ part.centred
            statistic += np.sum((own @ score[:, :, None]) ** 2, axis=(1, 2))
            diagonal = here * (part.forms(own) - fit.leverage[:, part.rows])  # of M
            mean += np.sum(diagonal, axis=1)
            fourth += np.sum(diagonal**2, axis=1)
            mine = own @ part.moments(here)
            squared += _squares(mine @ _turned(own)) - 2.0 * _squares(mine @ part.change @ _turned(fit.root))
        sound &= (ranks > inside.sum(axis=1)) & (ranks < len(self._y))
        return wild_pvalue(statistic, np.sum(square, axis=1), mean, squared - fourth), sound

    def intervals(self, sets: BoolArray, level: float) -> tuple[FloatArray, BoolArray]:
        """`RowTest.interval` of sets (m, p - 1), shape (m, p - 1, 2), NaN outside a set; and which can be relied on.

        In units of the design's columns.
        """
        inside = _with_constant(sets)
        fit = self._fit(inside)
        left, seen = 1.0 - fit.leverage, fit.residual**2
        ends = np.full((*inside.shape, 2), np.nan)
        for j in range(1, inside.shape[1]):
            has = inside[:, j] & fit.sound
            root, kept = fit.root[has], left[has]
            moved = ((root[:, :, j, None] * root).sum(axis=1) @ self._design.T) ** 2
            own = moved / kept
            variance = np.sum(own * seen[has], axis=1)
            # Degrees of freedom as in `RobustCovariance.df`, clusters being rows.
            shared = root @ self._moments(own) @ _turned(root)
            square = np.sum(own**2 * (2.0 * kept - 1.0), axis=1) + _squares(shared)
            df = np.sum(moved, axis=1) ** 2 / square
            wide = stdtrit(np.maximum(df, 1e-3), 1.0 - level / 2) * np.sqrt(variance)
            ends[has, j] = np.column_stack([fit.coef[has, j] - wide, fit.coef[has, j] + wide])
        return self._unit * ends[:, 1:], fit.sound

    def _fit(self, inside: BoolArray) -> _Fits:
        root, sound = _roots(self._gram, inside)
        coef = ((root @ self._cross)[:, None] @ root)[:, 0]
        residual = self._y - coef @ self._design.T
        leverage = np.hstack([part.forms(root @ part.change.T) for part in self._parts])
        sound &= leverage.max(axis=1) < 1.0 - _LEFT
        return _Fits(root, coef, residual, np.clip(leverage, 0.0, 1.0 - _LEFT), sound)

    def _moments(self, weight: FloatArray) -> FloatArray:
        """The design's products weighted by (m, n), shape (m, p, p)."""
        return sum(part.change.T @ part.moments(weight[:, part.rows]) @ part.change for part in self._parts)


class _Fits(NamedTuple):
    """Least squares of m sets on all rows."""

    root: FloatArray  # (m, p, p), as `_roots`
    coef: FloatArray  # (m, p)
    residual: FloatArray  # (m, n)
    leverage: FloatArray  # (m, n)
    sound: BoolArray  # (m,)


class _Part:
    """Rows of one environment, in its own centre and units: there its products are no differences of large numbers.

    Parameters
    ----------
    design : ndarray of shape (n_e, p)
    rows : slice
        Where they stand among all rows.
    """

    def __init__(self, design: FloatArray, rows: slice):
        mean = design.mean(axis=0)
        mean[0] = 0.0
        centred = design - mean
        unit = np.sqrt(np.mean(centred**2, axis=0))
        self.varies = unit > _CONSTANT * np.abs(mean)
        self.doubtful = self.varies & (unit < _LEAST * np.abs(mean))
        unit[~self.varies] = 0.0
        self.rows, self.centred = rows, centred * np.divide(1.0, unit, out=np.zeros_like(unit), where=self.varies)
        self.change = np.diag(unit)  # the design is `centred @ change`
        self.change[0] += mean
        self.gram = self.centred.T @ self.centred
        self._pair = np.triu_indices(len(unit))
        self._products = self.centred[:, self._pair[0]] * self.centred[:, self._pair[1]]

    def forms(self, roots: FloatArray) -> FloatArray:
        """Of all rows z, z'R'Rz for matrices R (m, p, p), shape (m, n_e)."""
        first, second = self._pair
        matrices = _turned(roots) @ roots
        return np.asarray((np.where(first == second, 1.0, 2.0) * matrices[:, first, second]) @ self._products.T)

    def moments(self, weight: FloatArray) -> FloatArray:
        """Sums of zz' weighted by (m, n_e), shape (m, p, p)."""
        first, second = self._pair
        out = np.empty((len(weight), *self.gram.shape))
        out[:, first, second] = out[:, second, first] = weight @ self._products
        return out


def _with_constant(sets: BoolArray) -> BoolArray:
    return np.column_stack([np.ones(len(sets), bool), sets])


def _roots(gram: FloatArray, inside: BoolArray) -> tuple[FloatArray, BoolArray]:
    """R (m, p, p), 0 outside a set, with R'R the inverse of the set's block; and which are sound."""
    block = inside[:, :, None] & inside[:, None, :]
    roots, sound = inverse_roots(np.where(block, gram, np.eye(len(gram))), least=_LEAST)
    return np.where(block, roots, 0.0), sound


def _turned(stack: FloatArray) -> FloatArray:
    return stack.transpose(0, 2, 1)


def _squares(stack: FloatArray) -> FloatArray:
    """Sums of squares (m,) of the entries of matrices."""
    return np.asarray(np.sum(stack**2, axis=(1, 2)))
