"""From what a user passes to `fit` to a validated design; shared by the regressors of this room."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from causalinv._frames import column_names, outcome_names
from causalinv._labels import encode
from causalinv._parallel import generator, seed_estimator
from causalinv._printing import counted
from causalinv._typing import FloatArray, RandomState, Rows
from causalinv._validation import (
    check_alignment,
    check_choice,
    check_features,
    check_rows,
    check_sample_weight,
    check_target,
    check_whole,
    positive_rows,
)
from causalinv.ivlike._controls import Controlled
from causalinv.ivlike._design import RowDesign, named
from causalinv.ivlike._integrations import (
    ClosedForm,
    Copies,
    Instruments,
    Moved,
    NodesReaction,
    Paired,
    PairedReaction,
    Sampled,
)
from causalinv.ivlike._knowledge import Augmented, AugmentedRows, GenuineInstruments, Knowledge
from causalinv.ivlike._routing import refuse_unrouted
from causalinv.transformations import Transformation as Augmentation

__all__ = ["check_controls", "design_of", "find_integration", "find_knowledge", "own_generator"]

PENALTIES = ("auto", "reaction", "first_stage")
_INTEGRATIONS: dict[str, type[Moved]] = {
    "closed_form": ClosedForm,
    "paired": Paired,
    "sampled": Sampled,
}


def design_of(
    estimator: Any,
    X: Rows,
    y: Rows,
    *,
    instruments: Rows = None,
    augmentation_parameters: Rows = None,
    controls: Rows = None,
    groups: Rows = None,
    sample_weight: Rows = None,
    reset: bool = True,
) -> tuple[RowDesign, bool]:
    """Validated rows with the way they are integrated, and whether y was one column.

    `estimator` has the parameters of `IVLikeRegression`. With `reset` the features are taken from X and `features_` is
    fitted; without it X is checked against them.
    """
    copies = augmentation_parameters is not None
    knowledge = find_knowledge(
        estimator, instruments=instruments is not None, copies=copies, where="instruments= in fit"
    )
    name, given = ("augmentation_parameters", augmentation_parameters) if copies else ("instruments", instruments)
    if reset and given is not None:
        refuse_unrouted(name)
    if controls is not None and not isinstance(knowledge, GenuineInstruments):
        raise ValueError(
            "controls= goes with instruments=. With an augmentation put exogenous regressors among the features: what "
            "it does not move is fitted by least squares."
        )
    check_alignment(X=X, y=y, **{name: given}, controls=controls, groups=groups, sample_weight=sample_weight)
    min_rows = 2 if reset else 1
    rows = check_features(estimator, X, reset=reset, min_samples=min_rows)
    n = rows.shape[0]
    outcome = check_target(y, n)
    weight = check_sample_weight(sample_weight, n)
    count = n if weight is None else int(np.count_nonzero(weight))
    if count < min_rows:
        raise ValueError(f"Only {count} row has a positive weight, while a minimum of {min_rows} is required.")
    names = getattr(estimator, "feature_names_in_", None)
    instrument = None if given is None else check_rows(given, name)
    regressors = None if controls is None else np.ascontiguousarray(check_rows(controls, "controls"))
    if outcome.ndim == 2 and not outcome.shape[1]:
        raise ValueError(f"y has no column, shape {outcome.shape}; pass at least one.")
    single = outcome.ndim == 1
    clusters = None if groups is None else encode(groups, "groups", n, least=2)
    inside = positive_rows(weight)
    if inside is not None and weight is not None:  # a row of weight 0 is out of everything
        rows, outcome, weight = rows[inside], outcome[inside], weight[inside]
        instrument = None if instrument is None else instrument[inside]
        regressors = None if regressors is None else regressors[inside]
        clusters = None if clusters is None else clusters.take(inside, "groups", least=2)
    given_rows: dict[str, Any] = {
        "X": rows,
        "y": outcome.reshape(len(rows), -1),
        "weight": weight,
        "groups": None if clusters is None else clusters.codes,
        "names": None if names is None else tuple(names),
        "outcome_names": outcome_names(y),
        "positions": None if inside is None else np.flatnonzero(inside),
    }
    n_copies = check_whole(estimator.n_copies, "n_copies", low=1)
    if isinstance(knowledge, Augmented):
        kind = find_integration(estimator, knowledge.augmentation)
        if issubclass(kind, Paired):
            given_rows |= {"n_copies": n_copies, "rng": own_generator(estimator.random_state, "augmentation")}
        design: RowDesign = kind(knowledge=knowledge, **given_rows)
    else:
        observed = Copies if copies else Instruments
        assert instrument is not None
        design = observed(
            knowledge=knowledge, instruments=instrument, instrument_names=column_names(given), **given_rows
        )

    if not reset:
        fitted = getattr(estimator, "features_", None)
        return _stacked(design if fitted is None else design.with_features(fitted), regressors), single
    if estimator.features is None:
        if hasattr(estimator, "features_"):
            del estimator.features_
        return _controlled(design, regressors, controls), single
    learned = seed_estimator(estimator.features, own_generator(estimator.random_state, "features"))
    covered = design.with_features(learned).to_cover()
    estimator.features_ = learned.fit(named(covered, design.names))
    return _controlled(design.with_features(estimator.features_), regressors, controls), single


def _controlled(design: RowDesign, regressors: FloatArray | None, controls: Rows) -> RowDesign:
    """The design with controls partialled out, if there are any."""
    if regressors is None:
        return design
    assert isinstance(design, Instruments)
    return Controlled.of(design, regressors, column_names(controls))


def _stacked(design: RowDesign, regressors: FloatArray | None) -> RowDesign:
    """Rows that are judged: nothing is fitted to them, so controls are features and instruments like others."""
    if regressors is None:
        return design
    assert isinstance(design, Instruments)
    x, z = (np.column_stack([rows, regressors]) for rows in (design.expand(design.X), design.instruments))
    return replace(design, X=x, instruments=z, features=None, names=None, instrument_names=None)


def check_controls(estimator: Any, controls: Rows, X: Rows) -> FloatArray | None:
    """Controls (n, c) of rows X, like those of the fit; None if it had none."""
    coef = getattr(estimator, "controls_coef_", None)
    if coef is None:
        if controls is not None:
            raise ValueError("controls= was given, but the model was fitted without controls.")
        return None
    width = coef.shape[-1]
    if controls is None:
        raise ValueError(
            f"The model was fitted with {counted(width, 'control')}: pass controls= of the same rows, in that order."
        )
    check_alignment(X=X, controls=controls)
    known = np.ascontiguousarray(check_rows(controls, "controls"))
    slopes, names = estimator._fit.slopes, column_names(controls)
    if known.shape[1] != width or (names is not None and slopes.names is not None and names != slopes.names):
        told = slopes.names or f"{width} columns"
        raise ValueError(f"controls must be those of the fit, {told}; got {names or f'{known.shape[1]} columns'}.")
    return known


def own_generator(random_state: RandomState, purpose: str) -> np.random.Generator:
    """A generator that nobody else advances: it is kept, and read again, after the fit."""
    if isinstance(random_state, np.random.Generator):
        return np.random.default_rng(random_state.integers(2**32, size=4).tolist())
    return generator(random_state, purpose)


def find_knowledge(estimator: Any, *, instruments: bool, where: str, copies: bool = False) -> Knowledge:
    """What is known beside (X, y); raises unless there is exactly one source of it."""
    augmentation = estimator.augmentation
    check_choice(estimator.integration, "integration", ("auto", *_INTEGRATIONS))
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
    if augmentation is not None:
        return Augmented(augmentation)
    if check_choice(estimator.penalty, "penalty", PENALTIES) == "reaction":
        raise ValueError(
            "penalty='reaction' needs augmentation= and the rows before they are moved; here G is given with the rows."
        )
    return AugmentedRows() if copies else GenuineInstruments()


def find_integration(estimator: Any, augmentation: Augmentation) -> type[Moved]:
    """The class that integrates an augmentation as the estimator asks."""
    kind = estimator.integration
    if kind == "auto":
        kind = "closed_form" if augmentation.closed_form and estimator.features is None else "paired"
    if not _whole_reaction(estimator.penalty, augmentation, kind):
        return _INTEGRATIONS[kind]
    if kind == "closed_form":
        # On moments of a translation or a group both penalties are one.
        return ClosedForm if estimator.features is None else NodesReaction
    return PairedReaction


def _whole_reaction(penalty: Any, augmentation: Augmentation, integration: str) -> bool:
    check_choice(penalty, "penalty", PENALTIES)
    if penalty == "reaction" and integration == "sampled":
        raise ValueError(
            "penalty='reaction' needs the originals of the copies, which integration='sampled' does not use. Say "
            "integration='paired'."
        )
    if penalty != "auto":
        return bool(penalty == "reaction")
    black_box = not (augmentation.closed_form or augmentation.translates or augmentation.averages)
    return bool(black_box and augmentation.outcome_invariant and integration != "sampled")
