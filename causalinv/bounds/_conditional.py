"""Law of an arm's outcome given features: directly, or as a location and the law of what is left."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
from sklearn.base import clone, is_classifier
from sklearn.model_selection import GroupKFold, KFold
from sklearn.pipeline import Pipeline
from sklearn.utils.validation import has_fit_parameter

from causalinv._typing import FloatArray
from causalinv.bounds._arm_law import ArmLaw
from causalinv.bounds._laws import Law, LawLike, Sample, centre_and_unit, compress, fit_law
from causalinv.bounds._location import fit_shared, location

__all__ = ["Candidate", "ConditionalLaw", "candidates", "fit_conditional", "fit_weighted", "named"]

_FEW_VALUES = 10  # an outcome with at most so many has no location and residual
_INNER = 5  # folds in which residuals are taken out of fold
_LEAST_SCALE = 0.2  # of the mean absolute residual


@dataclass(frozen=True)
class Candidate:
    """One way to the law: a location ("linear", "spline", a regressor, or None) and the law of what it leaves."""

    outcome: Any
    law: LawLike

    def __str__(self) -> str:
        law = self.law if isinstance(self.law, str) else type(self.law).__name__
        if self.outcome is None:
            return law
        kind = self.outcome if isinstance(self.outcome, str) else type(self.outcome).__name__
        return f"{kind} + {law} residuals"


def candidates(outcome: Any, law: LawLike, phi: FloatArray) -> list[Candidate]:
    """What there is to choose from; one if everything is said."""
    check_outcome(outcome)
    auto = isinstance(law, str) and law == "auto"
    few = len(np.unique(phi[: 50 * _FEW_VALUES])) <= _FEW_VALUES and len(np.unique(phi)) <= _FEW_VALUES
    if outcome is not None:
        return [Candidate(outcome, each) for each in (("pooled", "scaled", "forest") if auto else (law,))]
    if not auto:
        return [Candidate(None, "marginal" if isinstance(law, str) and law == "pooled" else law)]
    if few:
        return [Candidate(None, "forest")]
    found = [Candidate(each, law) for each in ("linear", "spline") for law in ("pooled", "scaled")]
    return [Candidate(None, "forest"), Candidate("linear", "forest"), *found]


def check_outcome(outcome: Any) -> None:
    """Raise unless it is None, "linear", "spline" or a regressor."""
    if outcome is None or (isinstance(outcome, str) and outcome in ("linear", "spline")):
        return
    known = not isinstance(outcome, str | type) and hasattr(outcome, "fit") and hasattr(outcome, "predict")
    if not known or is_classifier(outcome):
        raise TypeError(f"outcome must be None, 'linear', 'spline' or a regressor with predict, got {outcome!r}.")


def fit_weighted(model: Any, X: Any, y: Any, weight: FloatArray | None, what: str) -> Any:
    """Fit with weights, which go to the last step of a Pipeline."""
    if weight is None:
        return model.fit(X, y)
    name, last = model.steps[-1] if isinstance(model, Pipeline) else ("", model)
    if not has_fit_parameter(last, "sample_weight"):
        raise ValueError(f"sample_weight was given, but the {what} model {type(last).__name__} does not take it.")
    return model.fit(X, y, **{f"{name}__sample_weight" if name else "sample_weight": weight})


@dataclass(frozen=True)
class ConditionalLaw:
    """A fitted law: at features X the law of ``location(X) + scale(X) * atom``."""

    law: Law
    atoms: FloatArray
    location: Any = None
    scale: Any = None
    least: float = 0.0
    most: float = np.inf

    def at(self, X: FloatArray) -> ArmLaw:
        """The law at each row."""
        centre = None if self.location is None else np.asarray(self.location.predict(X), dtype=float)
        width = None if self.scale is None else np.clip(self.scale.predict(X), self.least, self.most)
        return ArmLaw(self.atoms, self.law.weights(X), centre, width)


def fit_conditional(chosen: list[Candidate], sample: Sample, atoms: FloatArray, seed: int) -> list[ConditionalLaw]:
    """Fit every candidate; those of one location share it and its residuals."""
    fitted: list[ConditionalLaw] = []
    known: dict[int, tuple[Any, FloatArray]] = {}
    for each in chosen:
        if each.outcome is None:
            fitted.append(ConditionalLaw(fit_law(each.law, sample, seed), atoms))
            continue
        key = id(each.outcome) if not isinstance(each.outcome, str) else hash(each.outcome)
        if key not in known:
            known[key] = _residuals(each.outcome, sample, seed)
        fitted.append(_of_residuals(each, *known[key], sample, seed))
    return fitted


def _residuals(outcome: Any, sample: Sample, seed: int) -> tuple[Any, FloatArray]:
    """The location fitted to all rows, and what it leaves: out of fold, or by leverages where these are known."""
    centre, unit = centre_and_unit(sample.phi)
    standard = (sample.phi - centre) / unit
    model = location(outcome, seed)
    if isinstance(outcome, str):
        others = sample.others
        if others is not None:
            others = others[0], (others[1] - centre) / unit, others[2]
        shared, left = fit_shared(outcome, (sample.X, standard, sample.weight), others)
        return _Rescaled(shared, centre, unit), unit * left
    left = standard - _held_out(model, sample, standard, seed)
    whole = fit_weighted(clone(model), named(sample.X, sample.names), standard, sample.weight, "outcome")
    return _Rescaled(whole, centre, unit, sample.names), unit * left


@dataclass(frozen=True)
class _Rescaled:
    """A regressor of a standardised outcome, in the outcome's units."""

    model: Any
    centre: float
    unit: float
    names: np.ndarray | None = None

    def predict(self, X: FloatArray) -> FloatArray:
        found = np.asarray(self.model.predict(named(X, self.names)), dtype=float)
        return self.centre + self.unit * found.reshape(len(X))


def named(X: FloatArray, names: np.ndarray | None) -> Any:
    """A frame, if the columns have names."""
    return X if names is None else pd.DataFrame(X, columns=names)


def _held_out(model: Any, sample: Sample, target: FloatArray, seed: int) -> FloatArray:
    """Predictions from models that did not see the row; rows are dealt in the order of what they hold."""
    n = len(target)
    beside = [each for each in (sample.groups, sample.weight) if each is not None]
    order = np.lexsort((*beside, sample.phi, *sample.X.T[::-1]))
    blocks = None if sample.groups is None else np.unique(sample.groups[order], return_inverse=True)[1]
    n_folds = min(_INNER, n if blocks is None else len(np.unique(blocks)))
    if n_folds < 2:
        return np.full(n, np.average(target, weights=sample.weight))
    split: Any = (
        KFold(n_folds, shuffle=True, random_state=seed).split(order)
        if blocks is None
        else GroupKFold(n_folds).split(order, groups=blocks)
    )
    out = np.empty(n)
    for train, test in split:
        rows, held = order[train], order[test]
        weight = None if sample.weight is None else sample.weight[rows]
        fitted = fit_weighted(clone(model), named(sample.X[rows], sample.names), target[rows], weight, "outcome")
        out[held] = np.asarray(fitted.predict(named(sample.X[held], sample.names)), dtype=float).reshape(len(held))
    return out


def _of_residuals(each: Candidate, model: Any, left: FloatArray, sample: Sample, seed: int) -> ConditionalLaw:
    """The law of what a location leaves: by a law given X, or pooled, as it is or divided by a scale."""
    pooled = isinstance(each.law, str) and each.law in ("pooled", "scaled")
    scale, least, most = None, 0.0, np.inf
    if pooled and each.law == "scaled":
        size = np.abs(left)
        middle = float(np.average(size, weights=sample.weight))
        if middle > 0:
            least = _LEAST_SCALE * middle
            fitted = fit_weighted(location("linear", seed), sample.X, size / middle, sample.weight, "scale")
            scale = _Rescaled(fitted, 0.0, middle)
            width = np.maximum(scale.predict(sample.X), least)
            left, most = left / width, float(width.max())  # a row far out has no larger scale than was seen
    atoms, codes = compress(left)
    residual = replace(sample, phi=left, codes=codes, n_atoms=len(atoms))
    law = fit_law("marginal" if pooled else each.law, residual, seed)
    return ConditionalLaw(law, atoms, model, scale, least, most)
