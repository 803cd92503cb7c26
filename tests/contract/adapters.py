"""Estimators that need more than X and y, given it, so that scikit-learn's own checks can run them.

Each adapter calls the real methods with the missing argument filled in; nothing else is its own.
"""

from contextlib import contextmanager
from typing import ClassVar

import numpy as np
from sklearn.decomposition import PCA
from sklearn.linear_model import Ridge
from sklearn.tree import DecisionTreeClassifier
from sklearn.utils import _safe_indexing

from causalinv import (
    GaussianNoise,
    HierarchicalConformalRegressor,
    InvariantCausalPrediction,
    InvariantProjection,
    InvariantRepresentation,
    InvariantSubsetSelector,
    IVLikeRegression,
    Translation,
)
from causalinv.bounds import FDivergenceBounds, ManskiBounds, QuantileBounds, SensitivityBounds
from causalinv.extrapolation import AutoencoderMMREncoder, LinearInvarianceEncoder, Rep4ExRegressor
from causalinv.ivlike import IVLikeBoosting, IVLikeRegressionCV
from causalinv.symmetry import (
    FrameAveragingClassifier,
    FrameAveragingRegressor,
    ImageMoments,
    InvariantCoordinates,
    SoftInvariantRegressor,
    SymmetryScreen,
)
from causalinv.transformations import SignFlip


@contextmanager
def filled(estimator, **params):
    """Set parameters for the duration of one call, so that `get_params` never shows them."""
    before = {name: getattr(estimator, name) for name in params}
    vars(estimator).update(params)
    try:
        yield
    finally:
        vars(estimator).update(before)


class AugmentedIVL(IVLikeRegression):
    def fit(self, X, y, *, sample_weight=None):
        with filled(self, augmentation=GaussianNoise(0.01)):
            return super().fit(X, y, sample_weight=sample_weight)

    def score(self, X, y, *, sample_weight=None):
        with filled(self, augmentation=GaussianNoise(0.01)):
            return super().score(X, y, sample_weight=sample_weight)


class PairedIVL(AugmentedIVL):
    """The same through drawn copies; the seed is fixed, as checks compare two fits."""

    def fit(self, X, y, *, sample_weight=None):
        with filled(self, integration="paired", random_state=0):
            return super().fit(X, y, sample_weight=sample_weight)


class AugmentedIVLCV(IVLikeRegressionCV):
    """The seed is fixed, as checks compare two fits."""

    def fit(self, X, y, *, sample_weight=None):
        with filled(self, augmentation=GaussianNoise(0.01), random_state=0):
            return super().fit(X, y, sample_weight=sample_weight)

    def score(self, X, y, *, sample_weight=None):
        with filled(self, augmentation=GaussianNoise(0.01)):
            return super().score(X, y, sample_weight=sample_weight)


class AugmentedBoosting(IVLikeBoosting):
    def fit(self, X, y):
        with filled(self, augmentation=GaussianNoise(0.01), n_estimators=5, random_state=0):
            return super().fit(X, y)

    def score(self, X, y):
        with filled(self, augmentation=GaussianNoise(0.01), random_state=0):
            return super().score(X, y)


class InstrumentedIVL(IVLikeRegression):
    """The first feature is the instrument."""

    def fit(self, X, y, *, sample_weight=None):
        with filled(self, alpha=1.0):
            return super().fit(X, y, instruments=_first_column(X), sample_weight=sample_weight)

    def score(self, X, y, *, sample_weight=None):
        return super().score(X, y, instruments=_first_column(X), sample_weight=sample_weight)


class ProjectionAlongFirst(InvariantProjection):
    def __init__(self, augmentation=None):
        super().__init__(augmentation)

    def fit(self, X, y=None):
        shape = X.shape if hasattr(X, "toarray") else np.asarray(X).shape
        d = shape[1] if len(shape) == 2 else 1
        with filled(self, augmentation=Translation(np.eye(1, d))):
            return super().fit(X, y)


class FlippedRegressor(FrameAveragingRegressor):
    """The outcome ignores the sign of the first feature."""

    def __init__(self):
        super().__init__(Ridge(), symmetry=SignFlip([0]))


class FlippedClassifier(FrameAveragingClassifier):
    def __init__(self):
        super().__init__(DecisionTreeClassifier(random_state=0), symmetry=SignFlip([0]))


class RowMoments(ImageMoments):
    """Every row is an image of one line."""

    def __init__(self):
        super().__init__((1, 1), degree=2, normalize=False)

    def fit(self, X, y=None):
        shape = X.shape if hasattr(X, "toarray") else np.asarray(X).shape
        d = shape[1] if len(shape) == 2 else 1
        with filled(self, shape=(1, d), radius=float(max(d, 1))):
            return super().fit(X, y)


class SoftFlips(SoftInvariantRegressor):
    def __init__(self):
        super().__init__({"first": SignFlip([0])}, length_scale=2.0)


class ScreenedFlips(SymmetryScreen):
    """The seed is fixed, as checks compare two fits."""

    def __init__(self):
        super().__init__({"first": SignFlip([0])}, estimator=Ridge(), n_resamples=19, random_state=0)


class FlippedCoordinates(InvariantCoordinates):
    def __init__(self):
        super().__init__(SignFlip([0]))


class _ByHalves:
    """Rows before and after the middle are two environments."""

    settings: ClassVar[dict] = {}

    def fit(self, X, y):
        n = len(_first_column(X))
        with filled(self, **self.settings):
            return super().fit(X, y, environments=np.arange(n) * 2 >= n)


class SplitConformal(_ByHalves, HierarchicalConformalRegressor):
    settings: ClassVar[dict] = {"random_state": 0}  # which environment trains is fixed


class LeftOutConformal(_ByHalves, HierarchicalConformalRegressor):
    settings: ClassVar[dict] = {"method": "leave_one_environment_out"}


class SplitICP(_ByHalves, InvariantCausalPrediction):
    pass


class SplitSelector(_ByHalves, InvariantSubsetSelector):
    pass


class SplitRepresentation(_ByHalves, InvariantRepresentation):
    pass


class ManifoldRepresentation(_ByHalves, InvariantRepresentation):
    settings: ClassVar[dict] = {"n_components": 1, "method": "manifold", "random_state": 0, "n_init": 1}


class _TwoArms:
    """Rows with a first feature above its median took arm 1; ends of that arm, at odds ratio 2, are the prediction."""

    question: ClassVar[dict] = {}

    def predict(self, X):
        bounds = self.predict_bounds(X, arm=1, **self.question)
        return np.column_stack([bounds.lower, bounds.upper])

    def fit(self, X, y, *, treatment=None, sample_weight=None, groups=None):
        return super().fit(X, y, treatment=treatment, sample_weight=sample_weight, groups=groups)


class PredictingManski(_TwoArms, ManskiBounds):
    pass


class PredictingSensitivity(_TwoArms, SensitivityBounds):
    question: ClassVar[dict] = {"odds_ratio": 2.0}


class PredictingFDivergence(_TwoArms, FDivergenceBounds):
    pass


class PredictingQuantile(_TwoArms, QuantileBounds):
    question: ClassVar[dict] = {"odds_ratio": 2.0}


class _ByTurns:
    """Every second row took arm 1."""

    def fit(self, X, y):
        return super().fit(X, y, treatment=(np.arange(len(_first_column(X))) % 2))


class SplitManski(_ByTurns, PredictingManski):
    pass


class SplitSensitivity(_ByTurns, PredictingSensitivity):
    pass


class SplitFDivergence(_ByTurns, PredictingFDivergence):
    pass


class SplitQuantile(_ByTurns, PredictingQuantile):
    pass


_ROWS = 40  # for an action of one column


class ActionByFirst:
    """The first feature is the action. The checks' ten rows are too few to fit to, so they come several times."""

    def fit(self, X, y=None):
        foreign = not hasattr(X, "shape") and hasattr(X, "__array__")  # no array, but one can be made of it
        shape = np.asarray(X).shape if foreign else getattr(X, "shape", None)
        n = shape[0] if shape else len(X) if isinstance(X, list) else 0
        if 4 <= n < _ROWS:
            again = np.arange(n * -(-_ROWS // n)) % n
            if foreign:
                X, y = type(X)(np.asarray(X)[again]), type(y)(np.asarray(y)[again])
                return super().fit(X, y, action=_first_column(X))
            X = _safe_indexing(X, again)
            y = _safe_indexing(y, again) if y is not None and len(y) == n else y
        action = _first_column(X)
        if not action.size or np.ptp(action) == 0:
            action = np.arange(len(action), dtype=float)
        return super().fit(X, y, action=action)

    def score(self, X, y=None):
        return super().score(X, y, action=_first_column(X))


class EncoderByFirst(ActionByFirst, LinearInvarianceEncoder):
    def __init__(self, method="ef"):
        super().__init__(method=method, n_landmarks=20, n_repeats=1, bandwidths=(1.0,), random_state=0)


class AutoencoderByFirst(ActionByFirst, AutoencoderMMREncoder):
    def __init__(self, n_steps=3):
        super().__init__(hidden=(4,), n_steps=n_steps, random_state=0)


class Rep4ExByFirst(ActionByFirst, Rep4ExRegressor):
    def __init__(self, calibration=3.0):
        super().__init__(PCA(1), calibration=calibration, random_state=0)

    def predict(self, X):
        return super().predict(X, action=_first_column(X))


class Rep4ExIdentity(Rep4ExByFirst):
    def __init__(self, calibration=0.0):
        super().__init__(calibration)
        self.encoder = "identity"


def _first_column(X):
    if hasattr(X, "toarray"):
        X = X.toarray()
    array = np.asarray(X)
    try:
        return np.nan_to_num(array.real.astype(float)[:, :1])
    except (TypeError, ValueError, IndexError):  # X is itself the bad input that the check is about
        return np.arange(len(array), dtype=float).reshape(-1, 1)
