r"""Any learner made exactly invariant, or equivariant, by an average over frames.

With F(x) the frame of a row and h the fitted learner, :math:`\hat f(x) = \sum_{g \in F(x)} w_g\, \rho(g)\, h(g^{-1}x)`,
where ρ says how the outcome moves. Since F(gx) = gF(x), f̂(gx) = ρ(g) f̂(x), exactly and for any h.
"""

from __future__ import annotations

from typing import Any, ClassVar, Self

import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator
from sklearn.utils.metaestimators import available_if
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted, column_or_1d, has_fit_parameter

from causalinv._aligned import AlignedClassifierMixin, AlignedRegressorMixin
from causalinv._docs import Documented
from causalinv._frames import row_index
from causalinv._labels import encode, shown
from causalinv._parallel import generator, seed_estimator
from causalinv._typing import BoolArray, FloatArray, RandomState, Rows
from causalinv._validation import (
    check_alignment,
    check_features,
    check_rows,
    check_sample_weight,
    check_target,
    positive_rows,
)
from causalinv._warn import warn
from causalinv.exceptions import LeakageWarning
from causalinv.transformations import Frame, Transformation

__all__ = ["FrameAveragingClassifier", "FrameAveragingRegressor"]

_MANY = 10_000  # rows from which histogram boosting with early_stopping="auto" stops early


def _has(method: str) -> Any:
    def check(self: Any) -> bool:
        return hasattr(getattr(self, "estimator_", self.estimator), method)

    return check


class _FrameAveraging(Documented, BaseEstimator):
    """What regressor and classifier share: frames, weights, checks of the learner."""

    n_features_in_: int
    feature_names_in_: np.ndarray

    _shared_texts: ClassVar[dict[str, str]] = {
        "learner_seed": """
            random_state : int, SeedSequence, Generator, RandomState or None
                Seed of a learner that has none.""",
    }

    def __init__(
        self, estimator: Any, *, symmetry: Transformation, output: Any = "invariant", random_state: RandomState = None
    ):
        self.estimator = estimator
        self.symmetry = symmetry
        self.output = output
        self.random_state = random_state

    def _frame(self, rows: FloatArray) -> Frame:
        if not isinstance(self.symmetry, Transformation):
            raise TypeError(f"symmetry must be a Transformation with a frame, got {self.symmetry!r}.")
        names = getattr(self, "feature_names_in_", None)
        return self.symmetry.frame(rows, None if names is None else list(names))

    def _fit_learner(
        self, frame: Frame, targets: np.ndarray, weight: FloatArray | None, keep: BoolArray | None
    ) -> None:
        """Fit one learner on every row in every pose; `keep` says which rows these are of those that were given."""
        learner = seed_estimator(self.estimator, generator(self.random_state, "frame averaging"))
        _check_learner(learner, len(frame.rows))
        given = {}
        if has_fit_parameter(learner, "sample_weight"):
            each = frame.weights if weight is None else frame.weights * weight[frame.source]
            given["sample_weight"] = each
        elif weight is not None:
            raise ValueError(f"{type(learner).__name__} takes no sample_weight.")
        elif np.ptp(frame.sizes) > 0:
            raise ValueError(
                f"Frames have {frame.sizes.min()} to {frame.sizes.max()} elements, as some rows are symmetric, and "
                f"{type(learner).__name__} takes no sample_weight to even that out. Use a learner that does."
            )
        self.estimator_ = learner.fit(frame.rows, targets, **given)
        self.n_frame_ = frame.sizes
        row = int(np.argmin(frame.gap))
        self.frame_gap_ = (float(frame.gap[row]), row if keep is None else int(np.flatnonzero(keep)[row]))

    def _training(self, X: Rows, y: Rows, sample_weight: Rows) -> tuple[FloatArray, FloatArray | None]:
        """Validated rows and their weights."""
        self.__dict__.pop("estimator_", None)  # a refit that fails leaves no half of an older fit
        rows = check_features(self, X, reset=True)
        check_alignment(X=X, y=y, sample_weight=sample_weight)
        return rows, check_sample_weight(sample_weight, len(rows))

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "estimator_")

    def diagnostics(self, X: Rows) -> pd.DataFrame:
        """How certain the frame of each row is.

        Parameters
        ----------
        X : array-like of shape (m, d)

        Returns
        -------
        DataFrame
            One row per row of X: ``gap``, the relative distance to where the frame, and so predictions, may jump
            (infinite where frames do not jump); ``size``, elements of the frame; ``tied``, whether axes tie and were
            found otherwise.
        """
        check_is_fitted(self)
        frame = self._frame(check_features(self, X, reset=False))
        return pd.DataFrame({"gap": frame.gap, "size": frame.sizes, "tied": frame.tied}, index=row_index(X))


def _check_learner(learner: Any, n_rows: int) -> None:
    """Refuse, or warn of, what splits rows inside: copies of one row would stand on both sides."""
    params = learner.get_params(deep=True) if hasattr(learner, "get_params") else {}
    for key, value in params.items():
        prefix, _, name = key.rpartition("__")
        if name == "oob_score" and value:
            raise ValueError(
                f"{key}={value!r} of the learner would score rows by trees that saw them in another pose; set it False "
                "and cross-validate the whole."
            )
        stops = f"{prefix}__early_stopping" if prefix else "early_stopping"
        splits = (
            (name == "early_stopping" and (value is True or (value == "auto" and n_rows > _MANY)))
            or (name == "n_iter_no_change" and value is not None and stops not in params)
            or name == "cv"
        )
        if splits:
            warn(
                f"The learner splits rows inside ({key}={value!r}); poses of one row can stand on both sides, so "
                "what it measures there is too good. Cross-validate the whole instead.",
                LeakageWarning,
            )


class FrameAveragingRegressor(AlignedRegressorMixin, _FrameAveraging):
    r"""A regressor made exactly invariant, or equivariant, to a group, whatever the learner is.

    Each training row is repeated once for every element of its frame, the outcome carried along, with weights that sum
    to one a row; predictions are averaged over the frame. Least squares over a finite group is then IV-like regression
    with that group as its augmentation.

    Parameters
    ----------
    estimator : regressor
        The learner.
    symmetry : Transformation
        What the outcome follows; it must have a frame: finite groups, `EuclideanGroup`, `Scaling`, `Translation`,
        `LinearGroup`, and `Compose` of what goes together.
    output : {"invariant", "vectors", "points", "odd", "homogeneous"}, default "invariant"
        How the outcome moves. With a `EuclideanGroup`: ``"vectors"`` turn, ``"points"`` are shifted too. With a finite
        group: ``"odd"`` changes its sign with each generator. With `Scaling`: ``"homogeneous"`` of its degree.
    {learner_seed}

    Attributes
    ----------
    estimator_ : fitted regressor
    n_frame_ : ndarray of int, shape (n,)
        Elements of the frame of each training row of positive weight.
    frame_gap_ : tuple of float and int
        The smallest relative distance to a jump of the frame among training rows, and in which row: near 0 predictions
        may jump. A learner's own jumps, as those of trees, come on top.
    {seen}

    References
    ----------
    Puny et al., "Frame averaging for invariant and equivariant network design", ICLR 2022.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.tree import DecisionTreeRegressor
    >>> from causalinv.symmetry import FrameAveragingRegressor
    >>> from causalinv.transformations import EuclideanGroup
    >>> X = np.random.default_rng(0).normal(size=(50, 6))  # three points in the plane
    >>> y = np.hypot(X[:, 0] - X[:, 2], X[:, 1] - X[:, 3])
    >>> model = FrameAveragingRegressor(DecisionTreeRegressor(random_state=0), symmetry=EuclideanGroup(2)).fit(X, y)
    >>> turned = np.column_stack([X[:, 1], -X[:, 0], X[:, 3], -X[:, 2], X[:, 5], -X[:, 4]])
    >>> bool(np.allclose(model.predict(turned), model.predict(X)))
    True
    """

    def fit(self, X: Rows, y: Rows, *, sample_weight: Rows = None) -> Self:
        """Fit the learner on rows in every pose.

        Parameters
        ----------
        {X}
        y : array-like of shape (n,) or (n, p)
            Outcome; coordinates of vectors or points stand one after the other.
        sample_weight : array-like of shape (n,), optional

        {returns_self}
        """
        rows, weight = self._training(X, y, sample_weight)
        target = check_target(y, len(rows))
        if target.ndim == 2 and target.shape[1] == 1:
            target = column_or_1d(target, warn=self.output == "invariant")
        keep = positive_rows(weight)
        if keep is not None and weight is not None:
            rows, target, weight = rows[keep], target[keep], weight[keep]
        frame = self._frame(rows)
        self._fit_learner(frame, self.symmetry.carry(target[frame.source], frame.pose, self.output), weight, keep)
        return self

    def predict(self, X: Rows) -> FloatArray:
        """Predictions, averaged over the frame of each row: shape (m,) or (m, p).

        Parameters
        ----------
        X : array-like of shape (m, d)
        """
        check_is_fitted(self)
        frame = self._frame(check_features(self, X, reset=False))
        raw = np.asarray(self.estimator_.predict(frame.rows), dtype=np.float64)
        return frame.average(self.symmetry.bring_back(raw, frame.pose, self.output))


class FrameAveragingClassifier(AlignedClassifierMixin, _FrameAveraging):
    """A classifier made exactly invariant to a group, or such that the classes change places with it.

    Probabilities (or decision values) are averaged over the frame, then the largest wins; labels are never averaged.

    Parameters
    ----------
    estimator : classifier
        The learner.
    symmetry : Transformation
        As in `FrameAveragingRegressor`.
    output : "invariant" or array-like of int, shape (k, n_classes), default "invariant"
        How the classes move with each of the k generators of a finite group: row ``perm`` says that moved rows have the
        probabilities ``p[perm]``, in the order of `classes_`. Comparisons of A and B, where exchanging them exchanges
        the classes: ``[[1, 0]]``.
    {learner_seed}

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
    estimator_, n_frame_, frame_gap_, n_features_in_, feature_names_in_
        As in `FrameAveragingRegressor`.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.tree import DecisionTreeClassifier
    >>> from causalinv.symmetry import FrameAveragingClassifier
    >>> from causalinv.transformations import PermutationGroup
    >>> X = np.random.default_rng(0).normal(size=(80, 2))  # strength of A, strength of B
    >>> tree = DecisionTreeClassifier(max_depth=2, random_state=0)
    >>> swap = PermutationGroup([[1, 0]])
    >>> model = FrameAveragingClassifier(tree, symmetry=swap, output=[[1, 0]]).fit(X, X[:, 0] > X[:, 1])
    >>> both = model.predict_proba(X)[:, 1] + model.predict_proba(X[:, ::-1])[:, 1]
    >>> bool(np.allclose(both, 1.0))
    True
    """

    def fit(self, X: Rows, y: Rows, *, sample_weight: Rows = None) -> Self:
        """Fit the learner on rows in every pose.

        Parameters
        ----------
        {X}
        y : array-like of shape (n,)
            Classes.
        sample_weight : array-like of shape (n,), optional

        {returns_self}
        """
        rows, weight = self._training(X, y, sample_weight)
        codes, self.classes_ = _classes(y, len(rows), weight)
        keep = positive_rows(weight)
        if keep is not None and weight is not None:
            rows, codes, weight = rows[keep], codes[keep], weight[keep]
        self._moves = self._class_moves(rows.shape[1])
        frame = self._frame(rows)
        carried = codes[frame.source]
        if self._moves is not None:
            carried = np.argsort(self._moves, axis=1)[frame.pose["element"], carried]
        self._fit_learner(frame, self.classes_[carried], weight, keep)
        return self

    def _class_moves(self, n_features: int) -> np.ndarray | None:
        """Permutation of the classes for each element of the group, shape (N, C), or None if they stay."""
        if isinstance(self.output, str):
            if self.output != "invariant":
                raise ValueError(f"output must be 'invariant' or permutations of classes_, got {self.output!r}.")
            return None
        moves, c = np.atleast_2d(np.asarray(self.output)), len(self.classes_)
        if moves.dtype.kind not in "iu" or moves.shape[1] != c or (np.sort(moves, axis=1) != np.arange(c)).any():
            raise ValueError(
                f"output must hold permutations of 0..{c - 1}, the positions of the {c} classes, one for each "
                f"generator; got {self.output!r}."
            )
        if not hasattr(self.symmetry, "represent"):
            raise ValueError(f"Only a finite group can move classes, not {type(self.symmetry).__name__}.")
        names = getattr(self, "feature_names_in_", None)
        known = None if names is None else list(names)
        return np.asarray(self.symmetry.represent(moves, np.ones_like(moves), n_features, known)[0])

    def _averaged(self, X: Rows, method: str) -> FloatArray:
        check_is_fitted(self)
        frame = self._frame(check_features(self, X, reset=False))
        if method == "decision_function" and len(self.classes_) > 2:
            _check_a_column_each(self.estimator_)
        values = np.asarray(getattr(self.estimator_, method)(frame.rows), dtype=np.float64)
        if values.ndim == 1:
            values = np.column_stack([-values, values])
        if self._moves is not None:
            values = np.take_along_axis(values, np.argsort(self._moves, axis=1)[frame.pose["element"]], axis=1)
        return frame.average(values)

    @available_if(_has("predict_proba"))  # type: ignore[untyped-decorator]
    def predict_proba(self, X: Rows) -> FloatArray:
        """Probabilities of the classes, averaged over frames: shape (m, n_classes).

        Parameters
        ----------
        X : array-like of shape (m, d)
        """
        return self._averaged(X, "predict_proba")

    @available_if(_has("decision_function"))  # type: ignore[untyped-decorator]
    def decision_function(self, X: Rows) -> FloatArray:
        """Decision values, averaged over frames: shape (m,) for two classes, else (m, n_classes).

        Parameters
        ----------
        X : array-like of shape (m, d)
        """
        values = self._averaged(X, "decision_function")
        return values[:, 1] if len(self.classes_) == 2 else values

    def predict(self, X: Rows) -> np.ndarray:
        """The class of the largest averaged probability, or decision value: shape (m,).

        Parameters
        ----------
        X : array-like of shape (m, d)
        """
        check_is_fitted(self)
        method = next((m for m in ("predict_proba", "decision_function") if hasattr(self.estimator_, m)), None)
        if method is None:
            raise ValueError(
                f"{type(self.estimator_).__name__} has neither predict_proba nor decision_function, and labels cannot "
                "be averaged; wrap it in a CalibratedClassifierCV."
            )
        return np.asarray(self.classes_[self._averaged(X, method).argmax(axis=1)])


def _check_a_column_each(learner: Any) -> None:
    """Refuse decision values of pairs of classes, which could pass for those of classes where there are three."""
    for key, value in learner.get_params(deep=True).items():
        if key.rpartition("__")[2] == "decision_function_shape" and value == "ovo":
            raise ValueError(
                f"{key}='ovo' of the learner gives decision values of pairs of classes, which cannot be averaged; "
                "set it 'ovr'."
            )


def _classes(y: Rows, n: int, weight: FloatArray | None) -> tuple[np.ndarray, np.ndarray]:
    """Codes of classes, and the classes that occur in rows of positive weight."""
    if y is None:
        raise ValueError("requires y to be passed, but the target y is None.")
    values = column_or_1d(y, warn=True)
    if len(values) != n:
        raise ValueError(f"Found input variables with inconsistent numbers of samples: X has {n}, y has {len(values)}.")
    if values.dtype.kind == "f":
        check_rows(values, "y", ensure_2d=False)
    encode(y, "y", n)  # raises for missing labels, of any kind
    types = {type(label).__name__ for label in values} if values.dtype == object else set()
    if len(types) > 1:
        raise TypeError(f"y mixes labels of types {sorted(types)}, which learners cannot order; use one type.")
    check_classification_targets(values)
    keep = positive_rows(weight)
    classes = np.unique(values if keep is None else values[keep])
    if len(classes) < 2:
        raise ValueError(f"y has one class, {shown(classes[0])}; a classifier needs at least two.")
    return np.searchsorted(classes, values).clip(0, len(classes) - 1), classes
