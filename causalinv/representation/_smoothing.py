"""A certificate that a smoothed classifier's answer does not change within a radius."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
from scipy.special import betaincinv, ndtri

from causalinv._frames import column_names, row_index
from causalinv._parallel import streams
from causalinv._progress import counting
from causalinv._typing import FloatArray, Names, RandomState, Rows
from causalinv._validation import check_confidence_level, check_number, check_rows, check_whole
from causalinv.results import Estimate

__all__ = ["smoothing_certificate"]

_BATCH = 100_000  # noisy rows predicted at once


def smoothing_certificate(
    classifier: Any,
    X: Rows,
    *,
    scale: float,
    n_draws: int = 1_000,
    n_selection: int = 100,
    confidence_level: float = 0.999,
    random_state: RandomState = None,
) -> Estimate:
    """Radius around each row within which the answer of the *smoothed* classifier cannot change.

    The smoothed classifier answers with the class that is most frequent when N(0, scale² I) is added to a row. If a
    class has probability at least p > 1/2 there, no shift of the row shorter than scale Φ⁻¹(p) changes the answer. p is
    bounded from below by Clopper and Pearson from `n_draws` draws, the class chosen on others.

    Parameters
    ----------
    classifier : fitted classifier
        Anything with `predict`.
    X : array-like of shape (n, d)
        Rows to certify; a frame if the classifier was fitted on one, with the same columns in the same order.
    scale : float
        Standard deviation of the noise, in units of X; larger certifies further and answers worse.
    n_draws : int, default 1000
        Draws per row for the bound; no radius is above scale Φ⁻¹((1 - confidence_level)^(1 / n_draws)).
    n_selection : int, default 100
        Further draws per row to choose the class.
    confidence_level : float, default 0.999
        Of each row on its own.
    random_state : int, SeedSequence, Generator, RandomState or None
        Row i's noise depends on the seed and i alone.

    Returns
    -------
    Estimate
        One row per row of X: ``estimate`` the certified radius, Euclidean (0: nothing certified), ``label``, and
        ``probability_lower``. The answer certified is that of the smoothed classifier, not of `classifier`.

    Raises
    ------
    TypeError
        If the classifier has no `predict`.

    References
    ----------
    Cohen, Rosenfeld, Kolter (2019). Certified adversarial robustness via randomized smoothing. ICML.
    """
    if not hasattr(classifier, "predict"):
        raise TypeError(f"classifier must have predict, got {type(classifier).__name__}.")
    rows = check_rows(X, "X")
    predict = _predictor(classifier, column_names(X) if hasattr(classifier, "feature_names_in_") else None)
    width = check_number(scale, "scale", low=0.0, open_low=True, finite=True)
    draws, first = check_whole(n_draws, "n_draws", low=1), check_whole(n_selection, "n_selection", low=1)
    level = check_confidence_level(confidence_level)
    labels, lower = [], np.empty(len(rows))
    with counting(len(rows), "rows certified") as step:
        for i, rng in enumerate(streams(random_state, len(rows), "smoothing")):
            label = _most(_answers(predict, rows[i], width, first, rng))
            hits = int(np.sum(_answers(predict, rows[i], width, draws, rng) == label))
            labels.append(label)
            lower[i] = betaincinv(hits, draws - hits + 1, 1.0 - level) if hits else 0.0
            step(1)
    radius = np.where(lower > 0.5, width * ndtri(np.maximum(lower, 0.5)), 0.0)
    table = pd.DataFrame({"estimate": radius, "label": labels, "probability_lower": lower}, index=row_index(X))
    return Estimate(
        "certified radius, units of X: shorter shifts of the row do not change the smoothed classifier's answer",
        f"each row alone with {level:.4g} confidence over the noise drawn; nothing about rows, outcome or classifier",
        table,
        level,
        (f"radius 0: nothing certified, {int(np.sum(radius == 0))} of {len(rows)} rows",),
        title=f"Smoothing certificate: scale {width:g}, {draws} draws a row",
    )


def _predictor(classifier: Any, names: Names) -> Callable[[FloatArray], np.ndarray]:
    """One label a row; columns keep their names for a classifier that knows them."""

    def predict(rows: FloatArray) -> np.ndarray:
        answers = np.asarray(classifier.predict(rows if names is None else pd.DataFrame(rows, columns=list(names))))
        if answers.size != len(rows):
            raise ValueError(
                f"classifier must predict one label a row, got shape {answers.shape} for {len(rows)} rows; certify "
                "several outputs one by one."
            )
        return answers.reshape(-1)

    return predict


def _answers(
    predict: Callable[[FloatArray], np.ndarray], row: FloatArray, width: float, draws: int, rng: np.random.Generator
) -> np.ndarray:
    """Answers to noisy copies of a row, in batches."""
    found = [
        predict(row + width * rng.normal(size=(min(_BATCH, draws - at), len(row)))) for at in range(0, draws, _BATCH)
    ]
    return np.concatenate(found)


def _most(answers: np.ndarray) -> Any:
    names, counts = np.unique(answers, return_counts=True)
    return names[int(np.argmax(counts))]
