"""Whether a representation ignores a transformation, or follows it in a linear way."""

from __future__ import annotations

import numpy as np

from causalinv._distances import EXACT_ROWS, blocks, common_unit, moved_share
from causalinv._matrix import centred, whitener
from causalinv._parallel import generator
from causalinv._printing import percent
from causalinv._typing import FloatArray, RandomState, Rows
from causalinv._validation import check_alignment, check_confidence_level, check_rows, check_whole
from causalinv._warn import warn
from causalinv.exceptions import DegenerateInputWarning
from causalinv.representation._numbers import check_pair, single
from causalinv.results import Estimate

__all__ = ["equivariance_score", "invariance_score"]

_ROUNDING = 1e-20  # of a row's mean squared length: a squared error below is rounding alone
_ROWS = "independent rows, each moved once by a draw that does not depend on other rows"


def invariance_score(
    Z: Rows, Z_moved: Rows, *, confidence_level: float = 0.95, random_state: RandomState = None
) -> Estimate:
    """How far a transformation moves a representation, in units of the distance between two rows.

    0: not at all. 1: as far as another row. Mean of ‖z - z_g‖ over the mean of ‖z - z'‖ over all pairs of rows.

    Parameters
    ----------
    Z : array-like of shape (n, k)
        Representation of rows.
    Z_moved : array-like of shape (n, k)
        Representation of the same rows, moved: with a transformation of `causalinv.transformations`,
        ``encoder.transform(transformation.draw(X, rng)[0])``.
    confidence_level : float, default 0.95
    random_state : int, SeedSequence, Generator, RandomState or None
        Used beyond 5,000 rows alone, where pairs are formed within random blocks of about 5,000.

    Returns
    -------
    Estimate
        With standard error (delta method) and Student's interval, n - 1 degrees of freedom. NaN, with a warning, if all
        rows of Z are one point. If no row moved the interval is the point 0; a note says how many others may move.

    Raises
    ------
    ValueError
        If shapes or pandas indexes differ.

    Notes
    -----
    Scale of the columns matters: standardise them first if no unit is meant. Public code divides by the distances of
    *one* random pairing of rows; here it is all pairs.

    95% intervals covered .94 to .95 for normal rows, 10 of them or more. They are too narrow where few rows make the
    mean: .87, .89 and .92 of log-normal rows at n = 10, 30 and 100; .63, .85 and .93 where one row in ten moves
    (1,000 samples each, s.e. up to .015; ``benchmarks/results/representation.md``).

    References
    ----------
    Speicher, Nanda, Gummadi (2024). Understanding the role of invariance in transfer learning. TMLR. The standard error
    is ours.

    Examples
    --------
    >>> import numpy as np
    >>> from causalinv.representation import invariance_score
    >>> Z = np.random.default_rng(0).normal(size=(200, 3))
    >>> invariance_score(Z, Z).estimate
    0.0
    """
    level = check_confidence_level(confidence_level)
    before, after = check_pair(Z, Z_moved)
    share, influence = moved_share(before, after, generator(random_state, "pairs"))
    if np.isnan(share):
        warn("All rows of Z are one point: no distance to compare with, the result is NaN.", DegenerateInputWarning)
    n, unit = len(before), common_unit(influence)
    notes = () if n <= EXACT_ROWS else ("pairs within random blocks of about 5,000 rows",)
    if share == 0:
        most = 1 - (1 - level) ** (1 / n)  # none of n independent rows moved
        notes = (f"no row moved; with {percent(level)} confidence at most {most:.2g} of all rows do", *notes)
    return single(
        "invariance_score",
        share,
        standard_error=float((influence / unit).std(ddof=1) * unit / np.sqrt(n)),
        confidence_level=level,
        df=n - 1,
        title="Invariance score: 0 is invariant, 1 is moved as far as to another row",
        estimand="mean distance of a row's representation to that of the moved row, over the mean distance of two rows",
        assumption=_ROWS,
        notes=notes,
        n=n,
    )


def equivariance_score(Z: Rows, Z_moved: Rows, G: Rows, *, cv: int = 5, confidence_level: float = 0.95) -> Estimate:
    """How much of the moved representation follows the transformation's parameters in a linear way.

    The share of the variance of z_g that a linear map of (z, g, g ⊗ z) explains beyond a linear map of z alone, held
    out. 0 for an invariant representation (nothing to follow) and for one that follows g in no linear way.

    Parameters
    ----------
    Z : array-like of shape (n, k)
        Representation of rows.
    Z_moved : array-like of shape (n, k)
        Representation of the same rows, moved.
    G : array-like of shape (n, q)
        Parameters of each row's move, as `draw` of a transformation returns them.
    cv : int, default 5
        Folds; row i is in fold i modulo `cv`, so a permutation of rows changes the number within its error.
    confidence_level : float, default 0.95

    Returns
    -------
    Estimate
        With standard error and Student's interval; ``r2_without`` and ``r2_with`` in the table. NaN, with a warning, if
        Z_moved does not vary. Score parts of Z, for example one half, to see which follow.

    Raises
    ------
    ValueError
        If shapes or indexes differ, or rows are too few for the regressions.

    Notes
    -----
    A held-out squared error of least squares exceeds the population's by the factor 1 plus the row's leverage, if
    errors have one variance; each is divided by it. The estimand is then free of n and `cv`. At a true value of 0 the
    standard error is not first order: an interval that holds 0 shows nothing, one barely above 0 little. The standard
    error is enlarged for the coefficients estimated, as in HC1, and the interval is Student's. It is too narrow where
    rows have heavy tails or few are moved: 95% intervals covered .86, .91 and .92 with t of 3 df and 30, 80 and 250
    rows, .65, .84 and .90 with one row in ten moved (1,000 samples each, s.e. up to .015;
    ``benchmarks/results/representation.md``).

    References
    ----------
    Garrido, Najman, LeCun (2023). Self-supervised learning of split invariant equivariant representations. ICML: the
    task, with linear predictors here.
    """
    level, folds = check_confidence_level(confidence_level), check_whole(cv, "cv", low=2)
    before, after = check_pair(Z, Z_moved)
    check_alignment(Z=Z, Z_moved=Z_moved, G=G)
    moves = check_rows(G, "G")
    n, k = before.shape
    q = moves.shape[1]
    least = int(np.ceil((k * (1 + q) + q + 3) * folds / (folds - 1))) + folds
    if n < least:
        raise ValueError(
            f"Z has {n} rows; regressions on {k * (1 + q) + q} columns in {folds} folds need {least}. Reduce Z's "
            "columns (for example by PCA) or take more rows."
        )
    after = centred(after / common_unit(after))  # squares of any unit are finite
    variance = np.sum(after**2, axis=1)
    if not variance.mean() > 0:
        warn("Z_moved does not vary: the result is NaN.", DegenerateInputWarning)
        return _equivariance(float("nan"), np.full(n, np.nan), n - 1, level, float("nan"))
    before, moves = _standardised(before), _standardised(moves)
    alone = _held_out(before, after, folds)
    design = _standardised(np.hstack([before, moves, _products(before, moves)]))
    full = _held_out(design, after, folds)
    total = float(variance.mean()) * n / (n - 1)
    alone, full = (np.where(errors <= _ROUNDING * total, 0.0, errors) for errors in (alone, full))
    gain = float(alone.mean() - full.mean()) / total
    influence = (alone - full) / total - gain * variance / variance.mean()
    return _equivariance(gain, influence, n - design.shape[1] - 1, level, 1 - float(alone.mean()) / total)


def _equivariance(gain: float, influence: FloatArray, df: int, level: float, without: float) -> Estimate:
    n = len(influence)
    return single(
        "equivariance_score",
        gain,
        standard_error=float(influence.std() / np.sqrt(df)),
        confidence_level=level,
        df=df,
        title="Equivariance score: share of the moved representation that follows the move",
        estimand="R² for the moved representation of linear prediction that knows the move (from z, g and g ⊗ "
        "z), minus that of "
        "prediction that does not (from z), all columns together",
        assumption=_ROWS,
        notes=("near 0 the interval is rough",),
        r2_without=without,
        r2_with=without + gain,
        n=n,
    )


def _products(rows: FloatArray, moves: FloatArray) -> FloatArray:
    return np.asarray((centred(moves)[:, :, None] * centred(rows)[:, None, :]).reshape(len(rows), -1))


def _standardised(design: FloatArray) -> FloatArray:
    """Columns centred and of variance one; constants dropped."""
    top = np.abs(design).max(axis=0, initial=0.0)
    table = centred(design / np.where(top > 0, top, 1.0))
    size = np.sqrt(np.mean(table**2, axis=0))
    keep = size > 1e-12
    return np.asarray(table[:, keep] / size[keep])


def _held_out(design: FloatArray, target: FloatArray, folds: int) -> FloatArray:
    """Squared held-out errors (n,), summed over columns, each divided by what estimation adds to it.

    That is 1 plus the row's leverage, for errors of one variance and regressors of any law.
    """
    n = len(design)
    full = np.column_stack([np.ones(n), design])
    fold = np.arange(n) % folds
    gram, cross = full.T @ full, full.T @ target
    out = np.empty(n)
    for f in range(folds):
        inside = np.flatnonzero(fold == f)
        left = full[inside]
        a, b = gram - left.T @ left, cross - left.T @ target[inside]
        half = whitener(a)
        coef = half @ (half.T @ b)
        for part in blocks(len(inside)):
            error = target[inside[part]] - left[part] @ coef
            leverage = np.sum((left[part] @ half) ** 2, axis=1)
            out[inside[part]] = np.sum(error**2, axis=1) / (1.0 + leverage)
    return out
