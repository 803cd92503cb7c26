r"""An exact test of "the outcome depends on the row only through its orbit", where poses are uniform by design.

If the poses of rows are uniform given their orbits, and the outcome is independent of them, then rows moved by fresh
uniform elements have the law of the rows that were seen. So the statistic and its values on B re-drawn samples are
exchangeable, and :math:`p = (1 + \#\{S_b \ge S\})/(B + 1)` has :math:`P(p \le a) \le a` at every sample size, whatever
the statistic.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from causalinv._frames import column_names
from causalinv._matrix import constant_columns, range_eigh
from causalinv._parallel import generator
from causalinv._typing import FloatArray, RandomState, Rows
from causalinv._validation import check_alignment, check_choice, check_rows, check_target, check_whole
from causalinv._warn import warn
from causalinv.exceptions import DegenerateInputWarning, OverlapWarning
from causalinv.results import TestResult
from causalinv.symmetry._invariant_kernel import Invariants, bandwidth, check_unit, gaussian, loo_residuals, pairwise
from causalinv.symmetry._overlap import LITTLE, doubt, overlap
from causalinv.transformations import FunctionAugmentation, Transformation
from causalinv.transformations._base import moved_rows

__all__ = ["TWO_READINGS", "check_uniform", "symmetry_test"]

TWO_READINGS = (
    "A rejection has two readings: the outcome's mechanism reads the pose, or a hidden cause moves both. The data "
    "cannot tell which. Not rejecting is no proof of symmetry."
)
_DENSE = 2000  # rows up to which whole kernel matrices are held
_LANDMARKS = 500
_FEATURES = 500
_LEAST = 5
_TIE = 1e-10  # relative: statistics this close are equal


def symmetry_test(
    X: Rows,
    y: Rows,
    symmetry: Transformation,
    *,
    poses: str,
    n_resamples: int = 499,
    random_state: RandomState = None,
) -> TestResult:
    """Test whether the outcome depends on the features only through their orbit under a group.

    Null hypothesis: the outcome is independent of the pose, given the orbit. The statistic compares leave-one-out
    residuals of a regression on the orbit alone (kernel ridge, averaged over frames) in rows that lie close to each
    other; it is recomputed on rows moved by random elements. It is exact at any sample size, under what you declare
    with `poses`. The null is about the whole law of y: noise whose variance reads the pose is outside it, and was
    rejected 7% of the time at level 5% in simulation (standard deviations 1.8 and 0.2 by sign, 100 rows). Above 2,000
    rows kernels are approximated (landmarks, random Fourier features), which costs power but not exactness.

    Parameters
    ----------
    X : array-like of shape (n, d)
        Features; at least 5 rows. Rows are compared by their distance in these units: what moves in columns that are
        small beside others is not seen.
    y : array-like of shape (n,)
        Outcome.
    symmetry : Transformation
        A finite group, ``EuclideanGroup(..., translations=False)``, or anything whose `draw` draws from the uniform law
        of a compact group. Without a frame the residuals are those from the mean.
    poses : {"uniform"}
        What is known of the law of poses: **you declare** that given the orbit they are uniform, as with randomised
        mounting, random order of the members of a pair, simulated molecules. Where they are not (upright photographs),
        this test means nothing: no row was seen in the poses that it would have to be compared with. Poses whose law
        is learnt are not offered: two such tests, with kernels and by the projected covariance measure, rejected true
        nulls 15% and 24% of the time (nine columns, 100 rows; `benchmarks/results/symmetry.md`).
    n_resamples : int, default 499
        Re-drawn samples; the p-value is a multiple of 1 / (n_resamples + 1).
    random_state : int, SeedSequence, Generator, RandomState or None
        Seed. The order of rows does not matter.

    Returns
    -------
    TestResult
        Its statistic is standardised by the mean and standard deviation of the re-drawn ones. `overlap` checks the
        declaration: about 1 if poses are uniform, near 0 if rows can be told from copies that were moved; None if fewer
        than 50 rows move. Below 0.5 `note` says first what that does to the p-value: below 0.1 it says nothing.

    Raises
    ------
    ValueError
        If the group has no uniform law (translations, scalings, linear maps).

    Warns
    -----
    DegenerateInputWarning
        If y is constant, or moving rows does not change the statistic: then p = 1 and nothing was tested.
    OverlapWarning
        If `overlap` is below 0.5: near 0 other poses were never seen, and no test can tell.

    Examples
    --------
    >>> import numpy as np
    >>> from causalinv.symmetry import symmetry_test
    >>> from causalinv.transformations import SignFlip
    >>> rng = np.random.default_rng(0)
    >>> X = rng.normal(size=(100, 2))
    >>> y = np.abs(X[:, 0]) + 0.5 * rng.normal(size=100)
    >>> symmetry_test(X, y, SignFlip([0]), poses="uniform", random_state=0).pvalue > 0.05
    True
    >>> symmetry_test(X, y + X[:, 0], SignFlip([0]), poses="uniform", random_state=0).pvalue
    0.002
    """
    check_alignment(X=X, y=y)
    rows = check_rows(X, "X", min_samples=_LEAST)
    check_unit(rows, "X")
    target = check_target(y, len(rows))
    if target.ndim == 2 and target.shape[1] == 1:
        target = target[:, 0]
    if target.ndim != 1:
        raise ValueError(f"y must be one outcome of shape (n,), got shape {target.shape}; test them one by one.")
    check_choice(poses, "poses", ("uniform",))
    check_uniform(symmetry)
    repeats = check_whole(n_resamples, "n_resamples", low=19)
    rng = generator(random_state, "symmetry test")
    named = column_names(X)
    names = None if named is None else list(named)
    check_unit(target, "y")
    spread = float(np.ptp(target))
    if constant_columns(target[:, None])[0]:
        warn("y is constant: every symmetry holds, and there is nothing to test (p = 1).", DegenerateInputWarning)
        return _result(0.0, 1.0, symmetry)
    target = (target - target.mean()) / spread
    order, invariants = _ordered(rows, target, symmetry, names)
    rows, target = rows[order], target[order]
    again = moved_rows(symmetry, rows, rng, names)  # its scale is independent of the poses that were seen
    width = bandwidth(again)
    residual = target - target.mean()
    if invariants is not None:
        residual = loo_residuals(_orbit_kernel(symmetry, rows, names, width, rng), target)
    statistic = _statistic(residual, width, rows.shape[1], rng)
    observed = statistic(rows)
    drawn = np.array([statistic(moved_rows(symmetry, rows, rng, names)) for _ in range(repeats)])
    size = float(np.abs(drawn).max(initial=abs(observed)))
    pvalue = (1 + int(np.sum(drawn >= observed - _TIE * size))) / (repeats + 1)
    scale = float(drawn.std())
    if not scale > _TIE * size:
        warn(
            "Moving rows does not change the statistic, so nothing could be rejected (p = 1): the group moves nothing "
            "in X, or residuals are 0, or other columns are so much larger that distances do not show what moves.",
            DegenerateInputWarning,
        )
    seen = _checked(overlap(rows, symmetry, names, rng))
    return _result((observed - drawn.mean()) / scale if scale > _TIE * size else 0.0, pvalue, symmetry, seen)


def check_uniform(symmetry: Transformation) -> None:
    """Raise unless `draw` can be from a uniform law."""
    if not isinstance(symmetry, Transformation):
        raise TypeError(f"symmetry must be a Transformation, got {symmetry!r}.")
    if symmetry.compact is False:
        raise ValueError(
            f"{type(symmetry).__name__} has no uniform law, so poses cannot be uniform. Take out what is not compact: "
            "EuclideanGroup(translations=False) on centred clouds; rows divided by their length in place of Scaling."
        )


def _checked(seen: float | None) -> float | None:
    """The overlap, with a warning where it contradicts what was declared."""
    if seen is None or seen >= LITTLE:
        return seen
    warn(
        f"poses do not look uniform, as poses='uniform' declares: overlap is {seen:.2f} (1 if uniform), and the "
        "level of the test rests on it. Near 0 other poses were never seen, and no test can tell.",
        OverlapWarning,
    )
    return seen


def _result(statistic: float, pvalue: float, symmetry: Transformation, seen: float | None = None) -> TestResult:
    return TestResult(
        statistic=float(statistic),
        pvalue=float(pvalue),
        hypothesis=f"y is independent of the pose of x, given its orbit under {type(symmetry).__name__}",
        assumption="declared by you: poses are uniform given the orbit (poses='uniform'). Then exact at any size",
        note=" ".join(filter(None, (doubt(seen), TWO_READINGS))),
        overlap=seen,
    )


def _ordered(
    rows: FloatArray, y: FloatArray, symmetry: Transformation, names: Sequence[str] | None
) -> tuple[np.ndarray, FloatArray | None]:
    """An order of rows that depends neither on theirs nor on units, and first on what poses do not change."""
    keys: list[FloatArray] = [*rows.T]
    has_frame = type(symmetry).frame is not Transformation.frame and not isinstance(symmetry, FunctionAugmentation)
    if has_frame:
        frame = symmetry.frame(rows, names)
        probe = np.cos(np.arange(1.0, rows.shape[1] + 1))
        size = np.abs(frame.rows).max(initial=0.0) or 1.0
        invariant = frame.average(np.cos(frame.rows / size @ probe)).round(9)
        return np.lexsort((*keys, y, invariant)), invariant
    return np.lexsort((*keys, y)), None


def _orbit_kernel(
    symmetry: Transformation, rows: FloatArray, names: Sequence[str] | None, width: float, rng: np.random.Generator
) -> FloatArray:
    """The averaged kernel, or above 2,000 rows features of it from landmarks."""
    every = Invariants(symmetry, rows, names)
    if len(rows) <= _DENSE:
        return pairwise(every, every, width)
    chosen = Invariants(symmetry, rows[rng.choice(len(rows), _LANDMARKS, replace=False)], names)
    values, vectors, _ = range_eigh(pairwise(chosen, chosen, width), rescale=False, tol=1e-8)
    return pairwise(every, chosen, width) @ (vectors / np.sqrt(values))


class _statistic:
    """r'Kr without its diagonal, as a function of the rows."""

    def __init__(self, residual: FloatArray, width: float, d: int, rng: np.random.Generator) -> None:
        self.residual, self.width = residual, width
        self.waves: FloatArray | None = None
        self.shift: FloatArray | float = 0.0
        if len(residual) > _DENSE:
            self.waves = rng.standard_normal((d, _FEATURES)) / width
            self.shift = rng.uniform(0, 2 * np.pi, _FEATURES)

    def __call__(self, rows: FloatArray) -> float:
        r = self.residual
        if self.waves is None:
            return float(r @ gaussian(rows, rows, self.width) @ r - r @ r)
        features = np.cos(rows @ self.waves + self.shift)
        diagonal = (r**2) @ (features**2).sum(axis=1)
        return float(2 / _FEATURES * (((features.T @ r) ** 2).sum() - diagonal))
