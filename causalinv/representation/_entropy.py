"""Entropy of a diffusion over the rows of a representation, and whether labels lower it."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from scipy.linalg import eigh, eigvalsh
from scipy.spatial.distance import cdist

from causalinv._distances import EXACT_ROWS, blocks, common_unit, squared_distances
from causalinv._labels import encode
from causalinv._matrix import centred
from causalinv._parallel import generator
from causalinv._typing import FloatArray, IntArray, RandomState, Rows
from causalinv._validation import check_alignment, check_number, check_rows, check_whole
from causalinv._warn import warn
from causalinv.exceptions import DegenerateInputWarning, ExtrapolationWarning
from causalinv.representation._numbers import single
from causalinv.results import Estimate, TestResult

__all__ = ["diffusion_information_test", "diffusion_spectral_entropy"]

_TEST_EXACT = 2_000  # rows up to which the test takes whole spectra; beyond, of Nyström's approximation
_TEST_LANDMARKS = 200  # any statistic keeps the level
_MEDIAN_ROWS = 2_000  # a sample for the median distance, where not all pairs are formed
_LANDMARK_VALUES, _MOST_LANDMARKS = 100_000_000, 4_000  # values of the features at once, and landmarks
_SMALL_ERROR = 0.05 * np.log(2)  # nats
_SAFETY = 3.0  # errors were up to 3.5 times what second order says
_NARROW, _WIDE = 1e-150, 1e150  # bandwidths, in units of the rows' size, whose squares are floats
_COARSE = 1e-6  # least bandwidth where distances come from products, in the same units
_LANDMARK_TOL = 1e-10  # of the largest eigenvalue of the landmarks' kernel


def diffusion_spectral_entropy(
    Z: Rows,
    *,
    bandwidth: float | str = "median",
    t: float = 1.0,
    base: float = 2.0,
    n_landmarks: int = 1_000,
    random_state: RandomState = None,
) -> Estimate:
    """Entropy of the spectrum of a random walk among the rows: how spread out a representation is.

    With G the Gaussian kernel of the rows and D its row sums, eigenvalues of D^(-1/2) G D^(-1/2) in absolute value, to
    the power `t`, are divided by their sum; the result is the entropy of these shares. n rows far apart give log n,
    rows in c tight clusters about log c.

    Parameters
    ----------
    Z : array-like of shape (n, k)
        Representation, a row per sample.
    bandwidth : float or "median", default "median"
        Standard deviation of the kernel, in units of Z; the median distance of two rows (their root mean square
        distance, where more than half of the pairs coincide) makes the result free of units. The published default,
        10, is not: data times 1,000 then gave 8.2 for 0.15.
    t : float, default 1
        Steps of the walk; above 1 small eigenvalues, often noise, count less.
    base : float, default 2
        Of the logarithm: 2 for bits.
    n_landmarks : int, default 1000
        Beyond 5,000 rows, how many rows stand for all in Nyström's approximation to begin with; what they do not
        explain of each row is taken for a direction of its own. They are doubled, up to 4,000 or memory of 1 GB, until
        ``error`` is below 0.05 bits.
    random_state : int, SeedSequence, Generator, RandomState or None
        Draws the landmarks; used beyond 5,000 rows alone.

    Returns
    -------
    Estimate
        ``estimate`` between 0 and log n; a description of the sample, no standard error. ``bandwidth`` in the table,
        ``captured``, the share of the spectrum that the landmarks explain (1 if exact), and ``error``, how far off the
        result may be (0 if exact): what the last doubling changed, or what neighbours that landmarks do not explain
        take away (three times its second order), if that is more. All rows equal: 0, with a warning.

    Raises
    ------
    ValueError
        If a parameter is out of range.

    Warns
    -----
    ExtrapolationWarning
        If ``error`` is 0.05 bits or more in the end.

    Notes
    -----
    These are the eigenvalues of the walk D^(-1) G. The published code's comment speaks of one that is normalised a
    second time, which has others.

    References
    ----------
    Liao, Liu, Christensen and others (2024). Assessing neural network representations during training using data
    diffusion spectra.
    """
    rows = check_rows(Z, "Z")
    power = check_number(t, "t", low=0.0, open_low=True, finite=True)
    unit = check_number(base, "base", low=1.0, open_low=True, finite=True)
    landmarks = check_whole(n_landmarks, "n_landmarks", low=2)
    rng = generator(random_state, "landmarks")
    points, size = _centred(rows)
    exact = len(rows) <= EXACT_ROWS
    if exact:
        squares = cdist(points, points, "sqeuclidean")
        width = _bandwidth(squares, bandwidth, size)
        values, captured = _walk_spectrum(_gaussian(squares, width)), 1.0
        entropy, error, used = _entropy(values, power, unit), 0.0, len(rows)
    else:
        width = _sampled_bandwidth(points, bandwidth, size, rng)
        entropy, error, captured, used = _approximated(points, width, power, unit, landmarks=landmarks, rng=rng)
    return single(
        "diffusion_spectral_entropy",
        entropy,
        title="Diffusion spectral entropy: near 0 if the rows are one cluster, log n if all are apart",
        estimand=f"entropy (base {unit:g}) of the eigenvalues of a random walk among these rows",
        assumption="none beyond the rows given: a description of this sample",
        notes=() if exact else (f"Nyström's approximation with {used} landmarks",),
        bandwidth=width * size,
        captured=captured,
        error=error,
        n=len(rows),
    )


def _approximated(
    rows: FloatArray, width: float, power: float, unit: float, *, landmarks: int, rng: np.random.Generator
) -> tuple[float, float, float, int]:
    """Entropy, its error, the share captured, and the landmarks, which are doubled until the error is small."""
    order, small = rng.permutation(len(rows)), _SMALL_ERROR / np.log(unit)
    most = min(len(rows), max(landmarks, min(_MOST_LANDMARKS, _LANDMARK_VALUES // len(rows))))
    used, before = min(landmarks, len(rows)), np.nan
    while True:
        features, rest = _nystroem(rows, rows[order[:used]], width)
        values, captured = _nystroem_spectrum(features, rest)
        entropy = _entropy(values, power, unit)
        if used == len(rows):
            return entropy, 0.0, captured, used  # exact, up to rounding
        lost = _SAFETY * _lost(rows, features, rest, width, order[-_MEDIAN_ROWS:]) / values.sum() / np.log(unit)
        error = float(np.fmax(lost, abs(entropy - before)))
        if error < small or used == most:
            break
        before, used = entropy, min(2 * used, most)
    if error >= small:
        warn(
            f"The entropy with {used} landmarks may be off by about {error:.2f} (base {unit:g}). Raise n_landmarks, "
            "widen the bandwidth, or take 5,000 rows, which is exact for them.",
            ExtrapolationWarning,
        )
    return entropy, error, captured, used


def _lost(rows: FloatArray, features: FloatArray, rest: FloatArray, width: float, sample: IntArray) -> float:
    """What neighbours that landmarks do not explain take off -sum(v log v), to second order, from pairs of a sample."""
    degrees = np.maximum(features @ features.sum(axis=0) + rest, 1.0)
    own = (rest / degrees)[sample]
    root = np.sqrt(degrees[sample])
    beside = _gaussian(squared_distances(rows[sample], rows[sample]), width) - features[sample] @ features[sample].T
    beside /= root[:, None] * root
    beside[own <= _LANDMARK_TOL] = 0.0
    np.fill_diagonal(beside, 0.0)
    each = np.sqrt(np.where(own > _LANDMARK_TOL, own, 1.0))
    pairs = len(sample) * max(len(sample) - 1, 1)
    return float(np.sum(beside**2 / (2 * each[:, None] * each)) * len(rows) * (len(rows) - 1) / pairs)


def diffusion_information_test(
    Z: Rows,
    labels: Rows,
    *,
    n_permutations: int = 199,
    bandwidth: float | str = "median",
    t: float = 1.0,
    base: float = 2.0,
    random_state: RandomState = None,
) -> TestResult:
    """Test whether a representation says anything about labels, by diffusion entropy and permutation.

    The statistic is the diffusion spectral mutual information: entropy of a random subset of a class's size minus the
    entropy of the class, averaged over classes by their shares. The published mean over five random subsets is the mean
    over all permutations here, which at the same time give the p-value.

    Parameters
    ----------
    Z : array-like of shape (n, k)
        Representation, a row per sample.
    labels : array-like of shape (n,)
        Any labels; at least two classes of at least two rows.
    n_permutations : int, default 199
    bandwidth : float or "median", default "median"
        As in `diffusion_spectral_entropy`, one for all rows.
    t, base : float
        As in `diffusion_spectral_entropy`.
    random_state : int, SeedSequence, Generator, RandomState or None
        Of the permutations (and, beyond 2,000 rows, of the 200 landmarks of Nyström's approximation).

    Returns
    -------
    TestResult
        ``statistic`` in bits (base 2); below 0 if classes are *more* spread out than random subsets, reported as it is.
        ``pvalue`` = (1 + permutations with at least this statistic) / (1 + permutations): its level holds at every n.

    Raises
    ------
    ValueError
        If a class has one row, or there is one class.
    """
    check_alignment(Z=Z, labels=labels)
    rows = check_rows(Z, "Z")
    classes = encode(labels, "labels", len(rows), least=2)
    if classes.counts.min() < 2:
        lone = classes.names[int(np.argmin(classes.counts))]
        raise ValueError(
            f"labels: class {lone} has one row; entropy needs two. Merge it with another, or leave it out."
        )
    draws = check_whole(n_permutations, "n_permutations", low=1)
    power = check_number(t, "t", low=0.0, open_low=True, finite=True)
    unit = check_number(base, "base", low=1.0, open_low=True, finite=True)
    rng = generator(random_state, "permutations")
    inside = _within(rows, bandwidth, power, unit, rng)
    share = classes.counts / len(rows)

    def entropy(codes: np.ndarray) -> float:
        return float(sum(p * inside(np.flatnonzero(codes == c)) for c, p in enumerate(share)))

    seen = entropy(classes.codes)
    drawn = np.array([entropy(rng.permutation(classes.codes)) for _ in range(draws)])
    low = drawn <= seen + 1e-12 * max(abs(seen), 1.0)
    return TestResult(
        statistic=float(drawn.mean() - seen),
        pvalue=float((1 + np.count_nonzero(low)) / (1 + draws)),
        hypothesis="labels are independent of the representation",
        assumption="under the null, rows can be exchanged among labels (independent rows)",
        note=f"statistic: by how much classes are less spread than random subsets, logarithm to base {unit:g}",
    )


def _within(
    rows: FloatArray, bandwidth: float | str, power: float, unit: float, rng: np.random.Generator
) -> Callable[[IntArray], float]:
    """Entropy of any subset of the rows, by positions."""
    points, size = _centred(rows)
    if len(rows) <= _TEST_EXACT:
        squares = cdist(points, points, "sqeuclidean")
        kernel = _gaussian(squares, _bandwidth(squares, bandwidth, size))
        return lambda at: _entropy(_walk_spectrum(kernel[np.ix_(at, at)]), power, unit)
    width = _sampled_bandwidth(points, bandwidth, size, rng)
    some = points[rng.choice(len(rows), _TEST_LANDMARKS, replace=False)]
    features, rest = _nystroem(points, some, width)
    return lambda at: _entropy(_nystroem_spectrum(features[at], rest[at])[0], power, unit)


def _centred(rows: FloatArray) -> tuple[FloatArray, float]:
    """Rows less their mean, in a unit of their size, and that unit: squares are finite."""
    first = common_unit(rows)
    rows = centred(rows / first)
    second = common_unit(rows)
    return rows / second, first * second


def _bandwidth(squares: FloatArray, bandwidth: float | str, size: float) -> float:
    """The number given over size, or the median distance of two of these rows (if 0, the root mean square)."""
    if not isinstance(bandwidth, str):
        given = check_number(bandwidth, "bandwidth", low=0.0, open_low=True, finite=True)
        return min(max(given / size, _NARROW), _WIDE)  # beyond, all rows are apart, or one point
    if bandwidth != "median":
        raise ValueError(f"bandwidth must be a number > 0 or 'median', got {bandwidth!r}.")
    pairs = squares[np.triu_indices(len(squares), 1)]
    for typical in (np.median, np.mean):
        if len(pairs) and typical(pairs) > 0:
            return float(np.sqrt(typical(pairs)))
    warn("All rows of Z are one point: their entropy is 0 at any bandwidth.", DegenerateInputWarning)
    return 1.0


def _sampled_bandwidth(rows: FloatArray, bandwidth: float | str, size: float, rng: np.random.Generator) -> float:
    """The same from a sample of rows, as the median of all pairs would need them all."""
    some = rows[rng.choice(len(rows), min(_MEDIAN_ROWS, len(rows)), replace=False)]
    width = _bandwidth(cdist(some, some, "sqeuclidean"), bandwidth, size)
    if width < _COARSE:
        raise ValueError(
            f"The bandwidth, {width * size:.3g}, is below a millionth of the size of Z, {size:.3g}: beyond 5,000 rows "
            "(2,000 in the test) distances are not that exact. Leave out rows that lie far from all, or widen it."
        )
    return width


def _gaussian(squares: FloatArray, width: float) -> FloatArray:
    """The kernel, in place of the squared distances."""
    squares /= -2.0 * width**2
    return np.asarray(np.exp(squares, out=squares))


def _walk_spectrum(kernel: FloatArray) -> FloatArray:
    root = np.sqrt(kernel.sum(axis=1))
    return np.asarray(np.abs(eigvalsh(kernel / root[:, None] / root)))


def _nystroem(rows: FloatArray, landmarks: FloatArray, width: float) -> tuple[FloatArray, FloatArray]:
    """Features F (n, r) with FF' near the kernel, and what FF' lacks of its diagonal (n,)."""
    values, vectors = eigh(_gaussian(squared_distances(landmarks, landmarks), width))
    keep = values > _LANDMARK_TOL * values[-1]
    half = vectors[:, keep] / np.sqrt(values[keep])
    features = np.empty((len(rows), half.shape[1]))
    for part in blocks(len(rows)):
        features[part] = _gaussian(squared_distances(rows[part], landmarks), width) @ half
    return features, np.maximum(1.0 - np.sum(features**2, axis=1), 0.0)


def _nystroem_spectrum(features: FloatArray, rest: FloatArray) -> tuple[FloatArray, float]:
    """Eigenvalues of the walk of ``FF' + diag(rest)``, the second part taken for directions of their own."""
    degrees = np.maximum(features @ features.sum(axis=0) + rest, 1.0)  # a row is its own neighbour
    scaled = features / np.sqrt(degrees)[:, None]
    values = np.abs(eigvalsh(scaled.T @ scaled))
    own = rest / degrees
    return np.concatenate([values, own]), float(values.sum() / (values.sum() + own.sum()))


def _entropy(values: FloatArray, power: float, unit: float) -> float:
    shares = (values / values.max()) ** power
    shares = shares / shares.sum()
    shares = shares[shares > 0]
    return max(float(-np.sum(shares * np.log(shares)) / np.log(unit)), 0.0) + 0.0
