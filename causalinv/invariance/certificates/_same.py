"""Whether environments, or rows, are those that trained a rule."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from causalinv._fingerprints import Fingerprints
from causalinv._labels import shown
from causalinv._typing import FloatArray, Rows
from causalinv._validation import check_rows
from causalinv._warn import warn
from causalinv.exceptions import DegenerateInputWarning
from causalinv.moments import Moments

__all__ = ["check_names", "refuse_training", "standard_moments", "units"]

_SAME = 1e-9  # difference of moments, in units of the features, below which two environments are the same data


def check_names(expected: Any, found: Sequence[str] | None, name: str) -> None:
    """Raise if both have names of features, and these differ or come in another order."""
    if expected is None or found is None or list(expected) == list(found):
        return
    raise ValueError(
        f"The features of {name} are {list(found)}, those of the rule {list(expected)}: they must be the same, and in "
        "the same order."
    )


def refuse_training(fitted: Any, moments: Moments, X: Rows, y: Rows, environments: Rows) -> None:
    """Raise if environments, or rows of theirs, trained the rule, a step of it or an estimator inside."""
    for part, seen in _parts(fitted, X):
        trained, rows = getattr(part, "_training_moments", None), getattr(part, "_training_rows", None)
        if trained is not None:
            same = seen is X or X is None
            _refuse_same_moments(
                trained, moments if same else Moments.from_rows(x=seen, y=y, environments=environments)
            )
        if rows is not None and X is not None:
            _refuse_repeats(rows, np.column_stack([check_rows(seen, "X"), check_rows(y, "y")]))


def _parts(fitted: Any, X: Rows) -> Iterator[tuple[Any, Rows]]:
    """An estimator and all fitted ones inside, each with the features as it sees them; None where there are no rows."""
    yield fitted, X
    for _, step in getattr(fitted, "steps", []):
        yield from _parts(step, X)
        if X is not None and hasattr(step, "transform"):
            X = step.transform(X)
    for name in ("best_estimator_", "estimator_"):
        if hasattr(fitted, name):
            yield from _parts(getattr(fitted, name), X)
    inside = getattr(fitted, "estimators_", [])
    for each in inside.ravel().tolist() if isinstance(inside, np.ndarray) else inside:
        yield from _parts(each, X)


def _refuse_same_moments(trained: Moments, seen: Moments) -> None:
    if dict(trained.blocks) != dict(seen.blocks):
        return
    unit = units(trained)
    old, new = standard_moments(trained, unit), standard_moments(seen, unit)
    same = (np.abs(new[:, None] - old[None]).max(axis=2) <= _SAME).any(axis=1)
    if same.any():
        raise ValueError(
            f"Environment {shown(seen.cells[int(np.argmax(same))])} is one of those that trained the rule; fresh ones "
            "are needed. Keep some environments out of the fit. (What training environments prove is said by "
            "InvariantSubsetSelector.certify.)"
        )


def _refuse_repeats(trained: Fingerprints, rows: FloatArray) -> None:
    """Raise for rows that trained the rule; warn where values are so coarse that chance repeats rows, too."""
    repeats = trained.repeats(rows)
    if repeats.found and repeats.beyond_chance and not repeats.coarse:
        raise ValueError(
            f"{repeats.found} of {repeats.of} rows are also rows that trained the rule (features and outcome); fresh "
            "ones are needed. Keep whole environments out of the fit, and certify by those."
        )
    if repeats.coarse and repeats.found > repeats.of / 2:
        warn(
            f"{repeats.found} of {repeats.of} rows have the same values as rows that trained the rule. Values this "
            "coarse repeat by chance, too, so it cannot be seen whether these environments are fresh: that is yours "
            "to know, and the certificate is void if they are not.",
            DegenerateInputWarning,
        )


def standard_moments(moments: Moments, unit: FloatArray) -> FloatArray:
    """Means and covariances of (x, y) in these units, a row per environment."""
    mean = np.concatenate([moments.mean("x"), moments.mean("y")], axis=1) / unit
    cov = np.block([[moments.cov(a, b) for b in ("x", "y")] for a in ("x", "y")]) / np.outer(unit, unit)
    return np.concatenate([mean, cov.reshape(len(moments), -1)], axis=1)


def units(moments: Moments) -> FloatArray:
    """Standard deviations of (x, y) over all environments; 1 where nothing varies."""
    unit = np.sqrt(np.r_[np.diag(moments.pooled.cov("x")[0]), np.diag(moments.pooled.cov("y")[0])])
    unit[unit == 0] = 1.0
    return unit
