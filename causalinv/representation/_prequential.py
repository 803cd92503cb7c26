"""Prequential code length: how many bits a learner needs for an outcome that it predicts piece by piece."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
import pandas as pd

from causalinv._labels import encode
from causalinv._parallel import generator, seed_estimator
from causalinv._typing import FloatArray, RandomState, Rows
from causalinv._validation import check_alignment, check_list, check_rows, check_whole
from causalinv.results import Estimate

__all__ = ["prequential_code_length"]

_FIRST = 10  # rows of the first block, where none are given


def prequential_code_length(
    estimator: Any, X: Rows, y: Rows, *, blocks: Rows | None = None, random_state: RandomState = None
) -> Estimate:
    """Bits that a probabilistic classifier needs to send labels, learning as it goes.

    Rows come in the order given. The first block is coded with all classes equally likely; every other by the
    classifier fitted on all rows before it. A learner that finds structure soon needs few bits.

    Parameters
    ----------
    estimator : classifier with `predict_proba`
        Cloned and fitted once per block. Classes that it has not seen yet must get a probability above 0 (Notes).
    X : array-like of shape (n, d)
        Rows, in a random order unless order is meant.
    y : array-like of shape (n,)
        Labels; all classes of y are known to the receiver.
    blocks : array-like of int, optional
        Where blocks end before the last, strictly increasing between 1 and n - 1. Left out: 10, 20, 40 ...
    random_state : int, SeedSequence, Generator, RandomState or None
        For estimators without a seed of their own.

    Returns
    -------
    Estimate
        Rows ``total`` (the headline, bits), ``uniform`` (n log2 C, no learner), ``residual`` (n times the bits per row
        of the last block: what is noise to this learner) and ``structure`` (total - residual: the cost of learning; it
        can be below 0 if the last block is a hard one). No standard errors: it is the code length of these rows in this
        order. Infinite if a label got probability 0.

    Raises
    ------
    ValueError
        If there is one class, blocks do not increase, or the estimator cannot fit a block.
    TypeError
        If the estimator has no `predict_proba`.

    Notes
    -----
    Where training rows lack classes, the classes that the fitted learner knows share the probability 1 - s, and those
    that it does not share s = u / (m + u), with u their number and m the rows seen: Laplace's rule. A block before
    which only one class was seen is coded so as well, without a fit.

    References
    ----------
    Dawid (1984). Prequential analysis. Blier, Ollivier (2018). The description length of deep learning models.
    """
    if not hasattr(estimator, "predict_proba"):
        raise TypeError(f"estimator must have predict_proba, got {type(estimator).__name__}.")
    check_alignment(X=X, y=y)
    rows = check_rows(X, "X", min_samples=2)
    classes = encode(y, "y", len(rows), least=2)
    ends = _ends(blocks, len(rows))
    rng = generator(random_state, "prequential")
    losses = np.full(len(rows), np.log2(len(classes)))
    for start, end in pairwise(ends):
        model = seed_estimator(estimator, rng)
        shares = _predicted(model, rows[:end], classes.codes[:start], len(classes))
        with np.errstate(divide="ignore"):
            losses[start:end] = -np.log2(shares[np.arange(end - start), classes.codes[start:end]])
    total, last = float(losses.sum()), float(losses[ends[-2] :].mean())
    residual = len(rows) * last
    values = {
        "total": total,
        "uniform": len(rows) * float(np.log2(len(classes))),
        "residual": residual,
        "structure": total - residual if np.isfinite(residual) else float("nan"),
    }
    table = pd.DataFrame({"estimate": values, "standard_error": np.nan}, index=list(values))
    table["per_row"] = table["estimate"] / len(rows)
    return Estimate(
        "bits to send these labels, in this order, with this learner fitted anew before each block",
        "the order of rows carries no information that the learner lacks; another learner gives another number",
        table,
        notes=("no standard errors are claimed", f"{len(ends)} blocks, the last of {ends[-1] - ends[-2]} rows"),
        title=f"Prequential code length of {len(rows)} labels, {len(classes)} classes",
        headline="total",
    )


def _ends(blocks: Rows | None, n: int) -> list[int]:
    """Ends of all blocks, n the last."""
    if blocks is None:
        ends = [min(_FIRST, max(n // 2, 1))]
        while 2 * ends[-1] < n:
            ends.append(2 * ends[-1])
        return [*ends, n]
    ends = [check_whole(end, "blocks", low=1) for end in check_list(blocks, "blocks", "whole numbers")]
    if not ends or ends[-1] >= n or any(b <= a for a, b in pairwise(ends)):
        raise ValueError(f"blocks must increase strictly between 1 and {n - 1}, got {blocks!r}.")
    return [*ends, n]


def _predicted(estimator: Any, rows: FloatArray, codes: np.ndarray, n_classes: int) -> FloatArray:
    """Probabilities of all classes for the rows that have no code yet, from those that have."""
    known, seen = len(codes), np.unique(codes)
    unseen = n_classes - len(seen)
    spare = unseen / (known + unseen)
    shares = np.full((len(rows) - known, n_classes), spare / unseen if unseen else 0.0)
    if len(seen) == 1:
        shares[:, seen] = 1.0 - spare
        return shares
    model = estimator.fit(rows[:known], codes)
    shares[:, np.asarray(model.classes_, dtype=np.intp)] = (1.0 - spare) * model.predict_proba(rows[known:])
    return shares
