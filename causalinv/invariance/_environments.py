"""Checks that every estimator of this room shares: rows by environment, moments by environment, dependent features."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from causalinv._fingerprints import fingerprints
from causalinv._frames import outcome_names
from causalinv._labels import Labels, encode
from causalinv._matrix import dependent_columns
from causalinv._typing import BoolArray, FloatArray, Rows
from causalinv._validation import check_alignment, check_features, check_outcome, check_sample_weight, positive_rows
from causalinv._warn import warn
from causalinv.exceptions import DegenerateInputWarning
from causalinv.moments import Moments, take_features

__all__ = [
    "check_moments",
    "check_rows_by_environment",
    "dependent_features",
]

_LEAST = 1e-280  # variance of y whose digits can be trusted


class Checked(NamedTuple):
    """What `fit` was given: moments by environment, and the rows of positive weight with their coded labels."""

    moments: Moments
    features: FloatArray
    outcome: FloatArray
    labels: Labels


def check_rows_by_environment(
    estimator: Any, X: Rows, y: Rows, environments: Rows, sample_weight: Rows = None
) -> Checked:
    """Validate what `fit` was given, and take out rows of weight 0."""
    if environments is None:
        raise ValueError(
            f"{type(estimator).__name__} needs environments=, the label of each row's environment; without it "
            "nothing could contradict a set. In a Pipeline pass it by metadata routing or as step__environments."
        )
    check_alignment(
        X=X,
        y=y,
        environments=None if isinstance(environments, Labels) else environments,
        sample_weight=sample_weight,
    )
    features = check_features(estimator, X, reset=True, min_samples=4)
    outcome = check_outcome(y, len(features))
    weights = check_sample_weight(sample_weight, len(features))
    labels = encode(environments, "environments", len(features))
    inside = positive_rows(weights)
    if weights is not None and inside is not None:
        features, outcome, weights = features[inside], outcome[inside], weights[inside]
        labels = labels.take(inside, "environments")
    names = getattr(estimator, "feature_names_in_", None)
    moments = Moments.from_rows(
        x=features,
        y=outcome[:, None],
        environments=labels,
        sample_weight=weights,
        names={"x": None if names is None else list(names), "y": outcome_names(y)},
    )
    _check_cells(moments)
    estimator._training_moments, estimator._training_rows = moments, fingerprints(features, outcome)
    return Checked(moments, features, outcome, labels)


def check_moments(estimator: Any, moments: Moments) -> None:
    """Validate what `fit_moments` was given, and take the names of the features."""
    if moments.cells.nlevels > 1:
        raise ValueError("The cells are environments and folds; pool(by='environments') first.")
    if moments.blocks["y"] != 1:
        raise ValueError(f"y must be a single outcome, got {moments.blocks['y']} columns.")
    if np.isinf(moments.count).any() != np.isinf(moments.count).all():
        raise ValueError("Some cells are a population's and some a sample's; they cannot be compared.")
    take_features(estimator, moments)
    _check_cells(moments)
    estimator._training_moments, estimator._training_rows = moments, None


def _check_cells(moments: Moments) -> None:
    if len(moments) < 2:
        raise ValueError(
            f"environments has one label, {moments.cells.tolist()[0]!r}; at least two environments are needed."
        )
    if moments.count.min() < 2:
        few = moments.cells.tolist()[int(np.argmin(moments.count))]
        raise ValueError(f"Environment {few!r} has {moments.count.min():g} row; each needs at least two.")
    if not moments.scatter("y").any() and np.ptp(moments.mean("y")) == 0:
        raise ValueError("y is constant, so every set predicts it and none can be told from another.")
    if float(moments.pooled.cov("y")[0, 0, 0]) < _LEAST:
        raise ValueError("y varies by less than 1e-140, whose square is no number; change the unit of y.")


def dependent_features(pooled: Moments, follows: str = "sets with them equal sets without.") -> BoolArray:
    """Features without variance left once the earlier ones are eliminated, with a warning that lists them."""
    out = dependent_columns(pooled.scatter("x")[0])
    if out.any():
        warn(
            f"Features {np.flatnonzero(out).tolist()} are constant or combinations of earlier ones; {follows}",
            DegenerateInputWarning,
        )
    return out
