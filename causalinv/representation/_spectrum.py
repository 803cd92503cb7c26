"""How many directions a representation uses, and how fast its spectrum falls."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from scipy.linalg import eigh

from causalinv._docs import documented
from causalinv._matrix import centred, entropy_rank, power_slope
from causalinv._matrix import participation_ratio as _participation_ratio
from causalinv._matrix import singular_values as _singular_values
from causalinv._typing import ArrayLike, FloatArray, IntArray, Rows
from causalinv._validation import check_confidence_level, check_flag, check_number, check_numbers, check_rows
from causalinv._warn import warn
from causalinv.exceptions import DegenerateInputWarning, ExtrapolationWarning, IdentificationWarning
from causalinv.representation._numbers import single
from causalinv.results import Estimate

__all__ = [
    "condition_number",
    "effective_rank",
    "gaussian_information",
    "participation_ratio",
    "rank_me",
    "spectral_exponent",
]

_SAMPLE = "none beyond the rows given: a description of this sample"
_MOST_RANKS = 20
_APART = 0.45  # errors between neighbouring eigenvalues: above it intervals covered .92 or more, at .42 .89, at .25 .73
_EPS = float(np.finfo(np.float64).eps)
_TEXTS = {
    "of_weights": """
        Parameters
        ----------
        W : array-like of shape (p, q)

        Returns
        -------
        Estimate""",
    "of_centred_rows": """
        Parameters
        ----------
        Z : array-like of shape (n, k)
            Representation, a row per sample; columns are centred.

        Returns
        -------
        Estimate
            ``estimate`` between 1 and min(n - 1, k). NaN, with a warning, if no column varies. No standard error:
            where n is not far above k it lies below the population's, because sample eigenvalues are spread out.""",
}


def rank_me(Z: Rows, *, center: bool = False, eps: float = 1e-7) -> Estimate:
    """RankMe: how many directions the rows of a representation use.

    The exponential of the entropy of the shares of its *singular* values, each share enlarged by `eps`, as published.

    Parameters
    ----------
    Z : array-like of shape (n, k)
        Representation, a row per sample.
    center : bool, default False
        Subtract the mean of each column first. The paper does not; a common offset of all rows then counts as one
        dominant direction. The other version is in the table, column ``centered`` or ``uncentered``.
    eps : float, default 1e-7
        Added to each share. It counts for nothing unless thousands of directions have no share.

    Returns
    -------
    Estimate
        ``estimate`` between 1 and min(n, k), up to `eps`. NaN, with a warning, if all rows are zero. No standard error.

    Raises
    ------
    ValueError
        If Z is no finite table.

    References
    ----------
    Garrido, Balestriero, Najman, LeCun (2023). RankMe. ICML.

    Examples
    --------
    >>> import numpy as np
    >>> from causalinv.representation import rank_me
    >>> round(rank_me(np.eye(8)).estimate, 3)
    8.0
    """
    rows, centered = check_rows(Z, "Z"), check_flag(center, "center")
    offset = check_number(eps, "eps", low=0.0, high=1.0)
    values = {flag: entropy_rank(_column_sizes(rows, flag), offset=offset) for flag in (False, True)}
    value = _described(values[centered], "Z")
    return single(
        "rank_me",
        value,
        title="RankMe: how many directions these rows use, by singular values",
        estimand="exponential of the entropy of the singular values' shares: directions used by these rows",
        assumption=_SAMPLE,
        **{"uncentered" if centered else "centered": values[not centered], "n": len(rows), "k": rows.shape[1]},
    )


@documented(_TEXTS)
def effective_rank(Z: Rows) -> Estimate:
    """Effective rank: the exponential of the entropy of the shares of the covariance's *eigenvalues*.

    {of_centred_rows}

    Notes
    -----
    Public code mixes up singular values (`rank_me`) and their squares (this). The exponential of the entropy of squares
    is smaller.

    References
    ----------
    Roy, Vetterli (2007). The effective rank. EUSIPCO (they take singular values; this takes eigenvalues).
    """
    estimand = "exponential of the entropy of the shares of the covariance's eigenvalues"
    return _of_eigenvalues(
        Z,
        entropy_rank,
        "effective_rank",
        "Effective rank: how many directions these rows use, by eigenvalues",
        estimand,
    )


@documented(_TEXTS)
def participation_ratio(Z: Rows) -> Estimate:
    """Participation ratio: squared sum of the covariance's eigenvalues over the sum of their squares.

    {of_centred_rows}
        For k equal eigenvalues and Gaussian rows it is about k / (1 + k / n).
    """
    estimand = "(sum of eigenvalues)² / sum of squared eigenvalues of the covariance of these rows"
    return _of_eigenvalues(
        Z,
        _participation_ratio,
        "participation_ratio",
        "Participation ratio: how many directions these rows use, large ones above all",
        estimand,
    )


def spectral_exponent(Z: Rows, *, ranks: ArrayLike | None = None, confidence_level: float = 0.95) -> Estimate:
    """How fast the covariance's eigenvalues fall: a in eigenvalue_j ~ j^-a, over ranks that the sample can show.

    The slope of log eigenvalue on log rank, by least squares, with its sign changed. Other directions push sample
    eigenvalues apart; what directions beyond twice the last rank do is removed (first order, Gaussian), and what all
    others do where the spectrum ends before that.

    Parameters
    ----------
    Z : array-like of shape (n, k)
        Representation, independent rows; columns are centred.
    ranks : array-like of int, optional
        Ranks of the fit, from 1. Left out: 1 to min(20, n / 10, k). Over all ranks the slope of a sample is far too
        steep: 2.4 for 1.5 at n = k = 100.
    confidence_level : float, default 0.95

    Returns
    -------
    Estimate
        With standard error (infinitesimal jackknife) and Student's interval. The table holds ``first_rank``,
        ``last_rank``, and ``r2`` of the line: near 1 for a power law, and no proof of one.

    Raises
    ------
    ValueError
        If fewer than 30 rows leave less than three ranks, ranks are not whole numbers from 1 to k, or an eigenvalue
        asked for is rounding.

    Warns
    -----
    ExtrapolationWarning
        If ranks beyond n / 10 are asked for.
    IdentificationWarning
        If neighbours at the last rank differ by less than .45 of their sampling error: eigenvalues change places, and
        the interval may miss (it covered .73 at exponent 0.5, 200 rows, 20 ranks).

    Notes
    -----
    95% intervals covered 0.94 to 0.97 of power laws with exponents from 0.8 to 3
    (``benchmarks/results/representation.md``), 0.92 with exponent 1, 120 rows and 12 ranks, 0.89 with 0.6, 100 and 10.
    Eigenvalues must be separated: tied ones (as those of white noise) have no normal limit.

    References
    ----------
    Agrawal, Mondal, Ghosh, Richards (2022). α-ReQ. NeurIPS. Lawley (1956), Biometrika 43, for the bias.
    """
    rows, level = check_rows(Z, "Z", min_samples=3), check_confidence_level(confidence_level)
    n, k = rows.shape
    at = _ranks(ranks, n, k)
    table = centred(rows)
    top = float(np.abs(table).max())
    table = table / (top if top > 0 else 1.0)  # squares of any unit are finite
    ascending, vectors = eigh(table.T @ table / (n - 1))
    values, vectors = ascending[::-1], vectors[:, ::-1][:, at - 1]
    used = values[at - 1]
    if used.min() <= max(k, n) * _EPS * values[0]:
        raise ValueError(
            f"ranks reach {int(at.max())}, but only {int(np.sum(values > max(k, n) * _EPS * values[0]))} eigenvalues "
            "of Z's covariance are above rounding; ask for fewer ranks."
        )
    inflation = _inflation(values, at, n)
    slope = power_slope(at.astype(np.float64))
    corrected = np.log(used / (1.0 + inflation))
    influence = -((table @ vectors) ** 2 / used - 1.0) @ slope
    df = n - len(at) - 1
    fitted = slope @ corrected * (np.log(at) - np.log(at).mean())
    spread = float(np.sum((corrected - corrected.mean()) ** 2))
    residual = float(np.sum((corrected - corrected.mean() - fitted) ** 2))
    exponent = float(-slope @ corrected)
    apart = exponent / int(at.max()) * np.sqrt(n / 2)  # gap of neighbours over the error of one, at the last rank
    if apart < _APART and at.max() <= n / 10:  # beyond, another warning has said more
        warn(
            f"The spectrum is too flat for {n} rows: neighbouring eigenvalues at rank {int(at.max())} differ by "
            f"{max(apart, 0.0):.2f} of their sampling error (.45 is needed), and the interval may miss. Ask for fewer "
            "ranks, or bring more rows.",
            IdentificationWarning,
        )
    return single(
        "spectral_exponent",
        exponent,
        standard_error=float(influence.std() / np.sqrt(df)) if df > 0 else float("nan"),
        confidence_level=level,
        df=max(df, 1),
        title="Exponent of the spectrum",
        estimand=f"minus the slope of log eigenvalue on log rank, population covariance, ranks {at.min()}-{at.max()}",
        assumption="independent rows; eigenvalues at these ranks apart from each other",
        notes=("r2 near 1 fits a power law; it does not prove one",),
        first_rank=int(at.min()),
        last_rank=int(at.max()),
        r2=1.0 - residual / spread if spread > 0 else float("nan"),
        n=n,
    )


def _inflation(values: FloatArray, at: IntArray, n: int) -> FloatArray:
    """First-order relative bias of sample eigenvalues at some ranks (Lawley), flattened where they nearly tie."""
    used, last = values[at - 1], 2 * int(at.max())
    if last < len(values):
        others = values[last:]
        return np.asarray(np.sum(others / (used[:, None] - others), axis=1) / n)
    apart = used[:, None] - values
    noise = 2.0 / n * used[:, None] * values  # variance of a difference, where eigenvalues are close
    terms = values * apart / np.where(apart == 0, 1.0, apart**2 + noise)
    return np.maximum(terms.sum(axis=1) / n, -0.5)


@documented(_TEXTS)
def condition_number(W: ArrayLike) -> Estimate:
    """Largest over smallest singular value of a matrix of weights.

    {of_weights}
        1 for (semi-)orthogonal rows or columns; infinite if W has not full rank, up to rounding. W is given, so
        there is no standard error.

    References
    ----------
    The condition number as used to select layers in KappaTune; the selector is not built here.
    """
    sizes = _weight_sizes(W)
    value = float(sizes[0] / sizes[-1]) if sizes[-1] > 0 else float("inf")
    return single(
        "condition_number",
        value,
        title="Condition number: 1 if all directions are stretched alike",
        estimand="largest over smallest singular value of W",
        assumption="W is given; nothing is estimated",
        largest=float(sizes[0]),
        smallest=float(sizes[-1]),
    )


@documented(_TEXTS)
def gaussian_information(W: ArrayLike) -> Estimate:
    """Entropy that a linear map adds to standard Gaussian input, in nats: the sum of log singular values.

    For a square W it is log abs(det W), the entropy of Wx minus that of x, for every law of x that has a density. For
    p x q with p < q it is the entropy of Wx minus that of p standard Gaussians; with p > q, entropy within the range of
    W.

    {of_weights}
        Nats; minus infinity if W has not full rank, up to rounding. W is given, so there is no standard error.
    """
    sizes = _weight_sizes(W)
    value = float(np.log(sizes).sum()) if sizes[-1] > 0 else float("-inf")
    return single(
        "gaussian_information",
        value,
        title="Information of a linear map",
        estimand="sum of log singular values of W, nats: log |det W| if square",
        assumption="W is given; nothing is estimated",
        rank=int(np.count_nonzero(sizes)),
    )


def _of_eigenvalues(Z: Rows, measure: Callable[[FloatArray], float], name: str, title: str, estimand: str) -> Estimate:
    """A measure of the covariance's eigenvalues, as a description of the sample."""
    rows = check_rows(Z, "Z", min_samples=2)
    value = _described(measure(_column_sizes(rows, True) ** 2), "Z")
    return single(name, value, title=title, estimand=estimand, assumption=_SAMPLE, n=len(rows), k=rows.shape[1])


def _column_sizes(rows: FloatArray, center: bool) -> FloatArray:
    """Singular values of a table, by the smaller of its two Gram matrices only where that loses nothing."""
    table = centred(rows) if center else rows
    top = float(np.abs(table).max(initial=0.0))
    if not top > 0:
        return np.zeros(min(rows.shape))
    table = table / top
    if len(table) > 2 * table.shape[1]:  # R of a QR has the same singular values; no squares are formed
        table = _triangle(table)
    sizes = _singular_values(table)[1]
    return np.asarray(np.where(sizes > max(rows.shape) * _EPS * sizes[0], sizes, 0.0))


def _triangle(table: FloatArray, block: int = 20_000) -> FloatArray:
    """R of a QR decomposition, a block of rows at a time."""
    triangle = np.empty((0, table.shape[1]))
    for at in range(0, len(table), block):
        triangle = np.asarray(np.linalg.qr(np.vstack([triangle, table[at : at + block]]), mode="r"))
    return triangle


def _described(value: float, name: str) -> float:
    if np.isnan(value):
        warn(f"{name} has no direction with any size: the result is NaN.", DegenerateInputWarning)
    return value


def _ranks(ranks: ArrayLike | None, n: int, k: int) -> np.ndarray:
    most = min(_MOST_RANKS, n // 10, k)
    if ranks is None:
        if most < 3:
            raise ValueError(
                f"Z has {n} rows and {k} columns; a slope needs three ranks, hence 30 rows and 3 columns. Pass ranks= "
                "to fit what a smaller sample shows."
            )
        return np.arange(1, most + 1)
    given = check_numbers(ranks, "ranks")
    at = given.astype(np.intp)
    whole = given.ndim == 1 and len(set(at.tolist())) == len(at) >= 3 and bool(np.all(at == given))
    if not whole or at.min() < 1 or at.max() > k:
        raise ValueError(f"ranks must be at least three different whole numbers from 1 to {k}, got {ranks!r}.")
    if at.max() > n / 10:
        warn(
            f"ranks reach {int(at.max())} with {n} rows: beyond n / 10 sample eigenvalues fall faster than the "
            "population's, and the exponent is too large.",
            ExtrapolationWarning,
        )
    return np.sort(at)


def _weight_sizes(W: ArrayLike) -> FloatArray:
    """Singular values of a matrix of weights, largest first; those that are rounding are 0."""
    matrix = check_numbers(W, "W")
    if matrix.ndim != 2 or not matrix.size:
        raise ValueError(f"W must be a matrix with at least one entry, got shape {matrix.shape}.")
    sizes = _singular_values(matrix)[1]
    kept = np.where(sizes > max(matrix.shape) * _EPS * sizes[0], sizes, 0.0)
    if not kept[-1] > 0:
        warn(f"W has rank {np.count_nonzero(kept)} of {len(kept)}, up to rounding.", DegenerateInputWarning)
    return np.asarray(kept)
