"""What the bounds are about: rows with an arm each, a functional of the outcome, and the outcome's known limits."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import pandas as pd
from sklearn.base import clone
from sklearn.utils.validation import validate_data

from causalinv._compat import named_frame
from causalinv._frames import row_index
from causalinv._labels import encode
from causalinv._matrix import constant_columns
from causalinv._typing import BoolArray, FloatArray, IntArray
from causalinv._typing import Rows as Given
from causalinv._validation import (
    check_alignment,
    check_features,
    check_number,
    check_outcome,
    check_sample_weight,
)
from causalinv._warn import warn
from causalinv.bounds._functions import check_support
from causalinv.exceptions import DegenerateInputWarning, ObservedSupportWarning, UnboundedOutcomeWarning

__all__ = ["Functional", "Rows", "check_data", "resolve_support", "transformed"]

#: "mean", ("cdf", t), ("exceedance", t), or a vectorised function of the outcome.
Functional: TypeAlias = str | tuple[str, float] | Callable[[FloatArray], FloatArray]
_MOST_ARMS = 20


@dataclass(frozen=True)
class Rows:
    """Validated data: the rows of positive weight.

    Attributes
    ----------
    X : ndarray of shape (n, d)
        The columns that vary, as numbers: all that learners, laws and folds see.
    names : ndarray of str, shape (n_columns,), or None
        Of the columns before constant ones were left out, after `features`.
    given : array or frame of shape (n, n_features_in_)
        X as it came, for policies; a frame with the rows' labels if it had names.
    varying : ndarray of bool, shape (n_columns,)
        Which columns `X` holds.
    kept : ndarray of bool, shape (n_given,)
        Which rows of fit these are.
    labels : Index of length n_given, or None
        Of the rows of fit, where an input had labels.
    features : fitted transformer, or None
    phi : ndarray of shape (n,)
        The functional of each row's outcome.
    codes : ndarray of int, shape (n,)
        Position of each row's arm in `arms`.
    arms : ndarray of shape (n_arms,)
        Sorted labels.
    weight : ndarray of shape (n,), or None
        Positive, of mean one; None if all are equal.
    groups : ndarray of int, shape (n,), or None
    """

    X: FloatArray
    names: np.ndarray | None
    given: Any
    varying: BoolArray
    kept: BoolArray
    labels: pd.Index | None
    features: Any
    phi: FloatArray
    codes: IntArray
    arms: np.ndarray
    weight: FloatArray | None
    groups: IntArray | None

    @property
    def varying_names(self) -> np.ndarray | None:
        """Names of the columns of `X`."""
        return None if self.names is None else self.names[self.varying]

    @property
    def n_arms(self) -> int:
        """Number of arms."""
        return len(self.arms)

    @property
    def kept_labels(self) -> pd.Index | None:
        """Labels of these rows: those of fit, or positions where some were left out."""
        if self.labels is not None:
            return self.labels[self.kept]
        return None if self.kept.all() else pd.Index(np.flatnonzero(self.kept))

    def check_labels(self, values: Given, name: str) -> None:
        """Raise if values with an index, one per row of fit or per row that is kept, come in another order."""
        if self.labels is None:
            return
        for labels in (self.labels, self.labels[self.kept]):
            if isinstance(getattr(values, "index", None), pd.Index) and len(labels) == len(values):
                check_alignment(X=pd.DataFrame(index=labels), **{name: values})
                return

    def take_weight(self, rows: BoolArray) -> FloatArray | None:
        """Weights of some rows."""
        return None if self.weight is None else self.weight[rows]


def check_data(
    estimator: Any, X: Given, y: Given, *, treatment: Given, sample_weight: Given, groups: Given, least: int
) -> Rows:
    """Validate what fit is given; every arm needs at least `least` rows."""
    name = type(estimator).__name__
    if treatment is None:
        raise ValueError(
            f"{name} needs treatment=, the arm of each row; without it nothing is observed or missing. In a Pipeline "
            "pass it by metadata routing or as step__treatment."
        )
    check_alignment(X=X, y=y, treatment=treatment, sample_weight=sample_weight, groups=groups)
    labels = row_index(X, y, treatment, sample_weight, groups)
    taken = _Taken(estimator, X, y, labels)
    n = taken.n
    outcome = check_outcome(y, n)
    weight = check_sample_weight(sample_weight, n)
    kept = np.ones(n, bool) if weight is None else weight > 0  # a row of weight 0 is out of everything that follows
    arms, codes = _labels(treatment, n, "treatment", kept)
    clusters = None if groups is None else _labels(groups, n, "groups", kept)
    if arms.dtype.kind == "f" and len(arms) > _MOST_ARMS:
        raise ValueError(
            f"treatment has {len(arms)} different values: it looks continuous, and these bounds are for discrete arms. "
            "Bin it, or use causalinv.extrapolation for continuous interventions."
        )
    if len(arms) < 2:
        raise ValueError(
            f"treatment has one label, {arms.tolist()[0]!r}: at least two arms are needed, or nothing is missing."
        )
    if clusters is not None and len(clusters[0]) < 2:
        raise ValueError(
            f"groups has one label, {clusters[0].tolist()[0]!r}, among the rows of positive weight: standard errors "
            "need at least two clusters. Leave groups= out if rows are independent."
        )
    count = np.bincount(codes, minlength=len(arms))
    few = int(np.argmin(count))
    if count[few] < least:
        raise ValueError(
            f"Arm {arms.tolist()[few]!r} has {count[few]} rows of positive weight; each needs at least {least}, one "
            "per fold. Merge arms, or set a smaller cv=."
        )
    phi = apply_functional(estimator.functional, outcome[kept])
    features, transformer, names = taken.numbers(estimator, kept)
    varying = _varying(features, names)
    return Rows(
        X=features[:, varying],
        names=names,
        given=taken.given(kept),
        varying=varying,
        kept=kept,
        labels=labels,
        features=transformer,
        phi=phi,
        codes=codes,
        arms=arms,
        weight=None if weight is None else relative_weight(weight[kept]),
        groups=None if clusters is None else clusters[1],
    )


def len_of(y: Given) -> int:
    """Rows of the outcome, for fits without covariates."""
    return int(y.shape[0]) if getattr(y, "shape", ()) else len(y)


class _Taken:
    """X as it was handed in: None, numbers, or whatever the user's transformer takes."""

    def __init__(self, estimator: Any, X: Given, y: Given, labels: pd.Index | None) -> None:
        self.raw: Any = None
        self.labels, self.covariates = labels, X is not None
        if X is None:
            self.n = len_of(y)
            self.values = np.zeros((self.n, 1))
            estimator.n_features_in_ = 0
            vars(estimator).pop("feature_names_in_", None)
        elif getattr(estimator, "features", None) is None:
            self.values = check_features(estimator, X, reset=True, min_samples=2)
            self.n = len(self.values)
        else:
            self.raw = named_frame(X)
            validate_data(estimator, self.raw, reset=True, skip_check_array=True)
            self.n = len_of(self.raw)
        self.names = getattr(estimator, "feature_names_in_", None)

    def given(self, kept: BoolArray) -> Any:
        """The rows that are kept, as they came; a frame if they had names."""
        if self.raw is not None:
            return self.raw.loc[kept] if hasattr(self.raw, "loc") else np.asarray(self.raw)[kept]
        values = self.values[kept] if self.covariates else np.empty((int(kept.sum()), 0))
        labels = None if self.labels is None else self.labels[kept]
        return values if self.names is None else pd.DataFrame(values, columns=self.names, index=labels)

    def numbers(self, estimator: Any, kept: BoolArray) -> tuple[FloatArray, Any, np.ndarray | None]:
        """Features as numbers, the fitted transformer and the columns' names."""
        if self.raw is None:
            return self.values[kept], None, self.names
        asked = estimator.features
        if isinstance(asked, str | type) or not (hasattr(asked, "fit") and hasattr(asked, "transform")):
            raise TypeError(f"features must be None or a transformer with fit and transform, got {asked!r}.")
        transformer = clone(asked).fit(self.given(kept))
        return (
            transformed(transformer, self.given(kept)),
            transformer,
            np.asarray(transformer.get_feature_names_out()) if hasattr(transformer, "get_feature_names_out") else None,
        )


def transformed(transformer: Any, X: Any) -> FloatArray:
    """What the user's transformer makes of X, which must be finite numbers."""
    found = transformer.transform(X)
    found = found.toarray() if hasattr(found, "toarray") else found
    try:
        values: FloatArray = np.asarray(found, dtype=np.float64)
    except (TypeError, ValueError):
        raise ValueError("features must turn X into numbers, and left text: code every column of text.") from None
    if values.ndim != 2 or not np.isfinite(values).all():
        raise ValueError(
            f"features must turn X into finite numbers of shape (n, d); got shape {values.shape} with "
            f"{int((~np.isfinite(values)).sum())} entries that are not finite. Impute them there."
        )
    return values


def _varying(features: FloatArray, names: np.ndarray | None) -> BoolArray:
    """Columns that are not one number, with a warning that names the others; one column stays if none varies."""
    constant = constant_columns(features)
    if constant.any() and len(constant) > 1:  # a single constant column is how one says that there are no covariates
        which = np.flatnonzero(constant).tolist() if names is None else names[constant].tolist()
        warn(
            f"X holds columns that are one number in every row of positive weight: {which}. They say nothing, and were "
            "left out of all models.",
            DegenerateInputWarning,
        )
    if constant.all():
        constant[0] = False
    return ~constant


def relative_weight(weight: FloatArray) -> FloatArray | None:
    """Weights of mean one, or None if all are equal: learners have penalties, so they would feel the unit."""
    share = weight / weight.max()  # first, because a sum of large weights overflows
    if np.ptp(share) <= 1e-12:
        return None
    out: FloatArray = share / share.mean()
    return out


def _labels(values: Given, n: int, name: str, kept: BoolArray) -> tuple[np.ndarray, IntArray]:
    """Sorted labels of the rows that are kept, and each such row's position among them."""
    found = encode(values, name, n)
    present, codes = np.unique(found.codes[kept], return_inverse=True)
    return found.names.to_numpy()[present], codes


def apply_functional(functional: Functional, outcome: FloatArray) -> FloatArray:
    """Phi of every outcome."""
    if isinstance(functional, str) and functional == "mean":
        return outcome
    if isinstance(functional, tuple) and len(functional) == 2 and functional[0] in ("cdf", "exceedance"):
        cut = check_number(functional[1], f"t of functional=({functional[0]!r}, t)")
        return (outcome <= cut if functional[0] == "cdf" else outcome > cut).astype(float)
    if callable(functional):
        phi = np.asarray(functional(outcome), dtype=float)
        if phi.shape != outcome.shape or not np.isfinite(phi).all():
            raise ValueError(
                f"The function given as functional= must return finite numbers of shape {outcome.shape}, got shape "
                f"{phi.shape}."
            )
        return phi
    raise ValueError(
        "functional must be 'mean', ('cdf', t), ('exceedance', t) or a vectorised function of the outcome, got "
        f"{functional!r}."
    )


def resolve_support(estimator: Any, rows: Rows, *, needed: bool) -> tuple[FloatArray, str]:
    """Limits of phi per arm, shape (n_arms, 2), and whose claim they are; warns if `needed` and unknown.

    Given limits are those of the outcome; of phi itself if the functional is a function.
    """
    functional, given = estimator.functional, estimator.outcome_support
    phi, codes = rows.phi, rows.codes
    same = np.ones((rows.n_arms, 1))
    if isinstance(given, str) and given != "observed":
        raise ValueError(f"outcome_support must be (L, U), 'observed' or None, got {given!r}.")
    if isinstance(functional, tuple):  # an indicator, whatever the outcome's limits
        if given is not None and not isinstance(given, str):
            check_support(given, "outcome_support")
        return same * [0.0, 1.0], "an indicator, in [0, 1]"
    if given is None:
        if np.isin(phi, (0.0, 1.0)).all():
            return same * [0.0, 1.0], "the outcome is 0 or 1, as all observed values are"
        if needed:
            warn(
                "outcome_support is None, so the bounds are infinite: the arm that was not taken could have brought "
                "any number, however far out, and the range of the sample (or an f-ball) does not limit that. Say "
                "outcome_support=(L, U) if you know limits; else bound a chance, functional=('cdf', t), or quantiles "
                "(QuantileBounds), or limit the strength of confounding (SensitivityBounds).",
                UnboundedOutcomeWarning,
            )
        return same * [-np.inf, np.inf], "the outcome is unlimited"
    if isinstance(given, str):
        limits = np.array([[f(phi[codes == a]) for f in (np.min, np.max)] for a in range(rows.n_arms)])
        warn(
            "outcome_support='observed' claims that what was not observed lies in the range of the same arm's sample. "
            "Sample extremes lie inside the true ones, so ends are biased inward, and with heavy tails grow with n. "
            "Say outcome_support=(L, U) if you know limits.",
            ObservedSupportWarning,
        )
        return limits, "outcomes that were not observed lie in the range of the same arm's sample"
    low, high = check_support(given, "outcome_support")
    outside = (phi < low) | (phi > high)
    if outside.any():
        worst = phi[np.argmax(np.maximum(low - phi, phi - high))]
        raise ValueError(
            f"{int(outside.sum())} of {len(phi)} outcomes lie outside outcome_support=({low:g}, {high:g}), the "
            f"worst is {worst:g}. Nothing is clipped: correct the limits or the data."
        )
    return same * [low, high], f"the outcome lies in [{low:g}, {high:g}]"
