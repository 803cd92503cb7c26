"""From what a user passes to `fit` to validated evidence; shared by the regressors of this room."""

from __future__ import annotations

from typing import Any

import numpy as np

from causalinv._frames import column_names
from causalinv._labels import encode
from causalinv._parallel import generator, seed_estimator
from causalinv._typing import RandomState, Rows
from causalinv._validation import (
    check_alignment,
    check_features,
    check_rows,
    check_sample_weight,
    check_target,
    check_whole,
)
from causalinv.ivlike._evidence import Evidence
from causalinv.transformations import Transformation as Augmentation

__all__ = ["evidence_of", "find_mode", "limited", "own_generator"]

_INTEGRATIONS = ("auto", "closed_form", "paired", "sampled")


def evidence_of(
    estimator: Any,
    X: Rows,
    y: Rows,
    *,
    instruments: Rows = None,
    augmentation_parameters: Rows = None,
    groups: Rows = None,
    sample_weight: Rows = None,
    reset: bool = True,
) -> tuple[Evidence, bool]:
    """Validated rows with the way they are integrated, and whether y was one column.

    `estimator` has the parameters of `IVLikeRegression`. With `reset` the features are taken from X and `features_` is
    fitted; without it X is checked against them.
    """
    copies = augmentation_parameters is not None
    mode = find_mode(estimator, instruments=instruments is not None, copies=copies, where="instruments= in fit")
    name, given = ("augmentation_parameters", augmentation_parameters) if copies else ("instruments", instruments)
    check_alignment(X=X, y=y, **{name: given}, groups=groups, sample_weight=sample_weight)
    min_rows = 2 if reset else 1
    rows = check_features(estimator, X, reset=reset, min_samples=min_rows)
    n = rows.shape[0]
    outcome = check_target(y, n)
    weight = check_sample_weight(sample_weight, n)
    count = n if weight is None else int(np.count_nonzero(weight))
    if count < min_rows:
        raise ValueError(f"Only {count} row has a positive weight, while a minimum of {min_rows} is required.")
    if outcome.size == 0:
        raise ValueError("y has no columns: give at least one outcome.")
    source = None if given is None else check_rows(given, name)
    if source is not None and source.shape[1] == 0:
        raise ValueError(f"{name} have no columns: give at least one, or an augmentation.")
    names = getattr(estimator, "feature_names_in_", None)
    evidence = Evidence(
        X=rows,
        y=outcome.reshape(n, -1),
        weight=weight,
        groups=_codes(groups, n),
        mode=mode,
        names=None if names is None else tuple(names),
        augmentation=estimator.augmentation,
        instruments=source,
        instrument_names=column_names(given),
        n_copies=check_whole(estimator.n_copies, "n_copies", low=1),
        rng=own_generator(estimator.random_state, "augmentation") if mode in ("paired", "sampled") else None,
    )
    if estimator.features is None:
        return evidence, outcome.ndim == 1
    if reset:
        learned = seed_estimator(estimator.features, own_generator(estimator.random_state, "features"))
        estimator.features_ = evidence.fit_features(learned)
    return evidence.with_features(estimator.features_), outcome.ndim == 1


def own_generator(random_state: RandomState, purpose: str) -> np.random.Generator:
    """A generator that nobody else advances: it is kept, and read again, after the fit."""
    if isinstance(random_state, np.random.Generator):
        return np.random.default_rng(random_state.integers(2**32, size=4).tolist())
    return generator(random_state, purpose)


def find_mode(estimator: Any, *, instruments: bool, where: str, copies: bool = False) -> str:
    """How a fit integrates; raises unless there is exactly one source of knowledge."""
    augmentation, integration = estimator.augmentation, estimator.integration
    if integration not in _INTEGRATIONS:
        raise ValueError(f"integration must be one of {_INTEGRATIONS}, got {integration!r}.")
    if augmentation is not None and not isinstance(augmentation, Augmentation):
        raise TypeError(
            "augmentation must be an Augmentation such as Translation(directions) or FunctionAugmentation(func), got "
            f"{augmentation!r}."
        )
    sources = (augmentation is not None) + instruments + copies
    if sources == 0:
        raise ValueError(
            f"{type(estimator).__name__} needs augmentation= (what the outcome ignores) or genuine instruments, "
            f"{where} (or augmentation_parameters= of rows that are copies); got neither. Without them only least "
            "squares would be left, which is biased under hidden confounding."
        )
    if sources > 1:
        raise ValueError(
            f"Give only one of augmentation=, genuine instruments ({where}) and augmentation_parameters=, not both."
        )
    if augmentation is None:
        return "copies" if copies else "instruments"
    if integration != "auto":
        return str(integration)
    return "closed_form" if augmentation.closed_form and estimator.features is None else "paired"


def limited(augmentation: Augmentation | None, mode: str) -> object:
    """What must leave a direction at alpha=0; None for genuine instruments, which need not."""
    return "augmentation_parameters" if mode == "copies" else augmentation


def _codes(groups: Rows, n: int) -> np.ndarray | None:
    if groups is None:
        return None
    return encode(groups, "groups", n, least=2).codes
