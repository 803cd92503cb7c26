"""Neural collapse: whether classes shrink to points that lie as far apart as they can."""

from __future__ import annotations

import numpy as np
import pandas as pd

from causalinv._distances import common_unit
from causalinv._labels import encode
from causalinv._matrix import RANK_TOL, centred, factor_split
from causalinv._typing import FloatArray, Rows
from causalinv._validation import check_alignment, check_flag, check_numbers, check_rows
from causalinv._warn import warn
from causalinv.exceptions import DegenerateInputWarning
from causalinv.results import Estimate

__all__ = ["neural_collapse"]

_POINT = 1e-12  # of the largest entry: means this near to each other, or to their centre, are one point there
_MEANING = {
    "nc1": "spread within classes over spread between class means",
    "nc2_etf": "distance of the class means' cosines from a simplex",
    "nc2_equinorm": "variation of the means' lengths",
    "nc2_angles": "mean distance of cosines from -1 / (C - 1)",
    "nc3": "distance of the classifier's weights from the class means",
    "nc4": "share of rows whose nearest mean is not the classifier's class",
}
_WITHOUT_CLASSIFIER = {
    "nc3": "not asked: it needs classifier=",
    "nc4": "share of rows whose nearest mean is not that of their label",
}


def neural_collapse(
    Z: Rows, labels: Rows, *, classifier: tuple[Rows, Rows] | None = None, bias_corrected: bool = True
) -> Estimate:
    """Measure neural collapse of labelled rows: 0 in every line if complete.

    ``nc1`` is tr(S_W pinv(S_B)) / C, with S_W the covariance within classes and S_B that of the C class means, classes
    counting alike. ``nc2_*`` compare the centred means with a simplex (all as long, all pairs at cosine -1 / (C - 1)).
    ``nc3`` and ``nc4`` ask of a linear classifier whether its weights are the means, and whether it decides for the
    nearest mean.

    Parameters
    ----------
    Z : array-like of shape (n, k)
        Representation, a row per sample.
    labels : array-like of shape (n,)
        Any labels, at least two classes of at least two rows.
    classifier : pair of array-like of shape (C, k) and (C,), optional
        Weights and intercepts of a linear classifier on Z, classes in sorted order. Left out, ``nc3`` is NaN, and
        ``nc4`` compares the nearest mean with the labels.
    bias_corrected : bool, default True
        Class means of samples differ by noise alone: S_B is too large by about the mean of S_c / n_c, which is taken
        away; ``nc1`` is NaN, with a warning, if nothing is left of some direction. False: as published.

    Returns
    -------
    Estimate
        One row per measure; ``estimate`` is ``nc1``. No standard errors. NaN, with a warning, where all class means are
        one point; ``nc2_angles`` is NaN where one of them lies at their centre, and has no direction.

    Raises
    ------
    ValueError
        If a class has one row, there is one class, or the classifier's shapes do not fit.

    References
    ----------
    Papyan, Han, Donoho (2020). Prevalence of neural collapse. PNAS 117.

    Examples
    --------
    >>> import numpy as np
    >>> from causalinv.representation import neural_collapse
    >>> Z = np.repeat(np.eye(3), 4, axis=0)
    >>> abs(round(neural_collapse(Z, np.repeat([0, 1, 2], 4)).estimate, 9))
    0.0
    """
    check_alignment(Z=Z, labels=labels)
    rows, corrected = check_rows(Z, "Z"), check_flag(bias_corrected, "bias_corrected")
    classes = encode(labels, "labels", len(rows), least=2)
    counts, codes, n_classes = classes.counts, classes.codes, len(classes)
    if counts.min() < 2:
        lone = classes.names[int(np.argmin(counts))]
        raise ValueError(f"labels: class {lone} has one row; its spread needs two. Merge it, or leave it out.")
    weights = None if classifier is None else _weights(classifier, n_classes, rows.shape[1])
    size = float(np.abs(rows).max(initial=0.0))
    units = rows / size if size > 0 else rows  # no square of a square over- or underflows
    points = centred(units)
    points = points / common_unit(points)
    sums = np.zeros((n_classes, rows.shape[1]))
    np.add.at(sums, codes, points)
    means = sums / counts[:, None]
    within = points - means[codes]
    offsets = means - means.mean(axis=0)
    values = dict.fromkeys(_MEANING, float("nan"))
    lengths = np.linalg.norm(offsets, axis=1)
    if lengths.max() <= _POINT:
        warn("The class means of Z are one point: nothing to collapse to, results are NaN.", DegenerateInputWarning)
    else:
        values["nc1"] = _nc1(within, offsets, codes, counts, corrected)
        values |= _simplex(offsets, lengths)
        if weights is not None:
            values["nc3"] = float(np.linalg.norm(_unit(weights[0] - weights[0].mean(axis=0)) - _unit(offsets)))
        decided = codes if weights is None else np.argmax(rows @ weights[0].T + weights[1], axis=1)
        values["nc4"] = float(np.mean(_nearest(points, means) != decided))
    meaning = _MEANING if weights is not None else _MEANING | _WITHOUT_CLASSIFIER
    table = pd.DataFrame({"estimate": values, "meaning": meaning}, index=list(_MEANING))
    table.insert(1, "standard_error", np.nan)
    return Estimate(
        "distances of these rows from complete neural collapse; 0 is complete",
        "none beyond the rows given: a description of this sample",
        table,
        notes=("no standard errors are claimed", _NOTES[corrected]),
        title=f"Neural collapse of {n_classes} classes, {len(rows)} rows",
        headline="nc1",
    )


_NOTES = {
    True: "nc1: noise of the class means is taken out of the spread between them",
    False: "nc1 as published: noise of the class means counts as spread between them",
}


def _weights(classifier: tuple[Rows, Rows], n_classes: int, k: int) -> tuple[FloatArray, FloatArray]:
    if not isinstance(classifier, tuple | list) or len(classifier) != 2:
        raise TypeError(f"classifier must be a pair (weights, intercepts), got {type(classifier).__name__}.")
    weights, intercepts = check_numbers(classifier[0], "classifier"), check_numbers(classifier[1], "classifier")
    if weights.shape != (n_classes, k) or intercepts.shape != (n_classes,):
        raise ValueError(
            f"classifier must hold weights ({n_classes}, {k}) and intercepts ({n_classes},), classes in sorted order; "
            f"got {weights.shape} and {intercepts.shape}."
        )
    return weights, intercepts


def _nc1(within: FloatArray, offsets: FloatArray, codes: np.ndarray, counts: np.ndarray, corrected: bool) -> float:
    """Trace of S_W times the pseudo-inverse of S_B over C, in the span of the means."""
    n_classes = len(counts)
    right = factor_split(offsets, tol=np.sqrt(RANK_TOL))[1]
    inside, means = within @ right.T, offsets @ right.T
    free = counts[codes] - (1.0 if corrected else 0.0)
    spread = (inside / free[:, None]).T @ inside / n_classes  # classes count alike
    between = means.T @ means / n_classes
    if corrected:
        weight = (n_classes - 1) / n_classes**2 / (counts[codes] * free)
        between = between - (inside * weight[:, None]).T @ inside
        if np.linalg.eigvalsh(between).min() <= 0:
            warn(
                "In some direction the class means of Z differ by less than their own noise: nc1 is NaN. "
                "bias_corrected=False gives the published number, which that noise makes too small.",
                DegenerateInputWarning,
            )
            return float("nan")
    return float(np.trace(np.linalg.solve(between, spread))) / n_classes


def _simplex(offsets: FloatArray, size: FloatArray) -> dict[str, float]:
    n_classes = len(offsets)
    gram = offsets @ offsets.T
    target = np.eye(n_classes) - 1.0 / n_classes
    found = {
        "nc2_etf": float(np.linalg.norm(_unit(gram) - _unit(target))),
        "nc2_equinorm": float(size.std() / size.mean()),
    }
    if size.min() > _POINT:
        pairs = ~np.eye(n_classes, dtype=bool)
        cosines = (gram / size[:, None] / size)[pairs]
        found["nc2_angles"] = float(np.abs(cosines + 1.0 / (n_classes - 1)).mean())
    return found


def _nearest(rows: FloatArray, means: FloatArray) -> np.ndarray:
    return np.asarray(np.argmax(rows @ means.T - 0.5 * np.sum(means**2, axis=1), axis=1))


def _unit(matrix: FloatArray) -> FloatArray:
    top = float(np.abs(matrix).max(initial=0.0))
    return np.asarray(matrix / top / np.linalg.norm(matrix / top)) if top > 0 else matrix
