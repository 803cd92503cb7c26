"""A refit that fails leaves an object that is not fitted, not one of two halves."""

import numpy as np
import pytest
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LinearRegression
from sklearn.tree import DecisionTreeClassifier

from causalinv.representation import RelativeRepresentation
from causalinv.symmetry import FrameAveragingClassifier, SoftInvariantRegressor, SymmetryScreen
from causalinv.transformations import Compose, EuclideanGroup, Scaling, SignFlip

rng = np.random.default_rng(0)
X, y = rng.normal(size=(60, 4)), rng.normal(size=60)
APART = Compose([Scaling(), EuclideanGroup(2)])  # frames that do not go together


class Failing(DecisionTreeClassifier):
    def fit(self, X, y, sample_weight=None):
        raise RuntimeError("no fit today")


class FailingLine(LinearRegression):
    def fit(self, X, y, sample_weight=None):
        raise RuntimeError("no fit today")


@pytest.mark.parametrize(
    ("model", "change", "use"),
    [
        (
            FrameAveragingClassifier(DecisionTreeClassifier(), symmetry=SignFlip([0])),
            {"estimator": Failing()},
            "predict",
        ),
        (
            SoftInvariantRegressor({"first": SignFlip([0])}, length_scale=1.0),
            {"symmetries": {"both": APART}},
            "predict",
        ),
        (
            SymmetryScreen({"first": SignFlip([0])}, n_resamples=19, estimator=LinearRegression(), random_state=0),
            {"estimator": FailingLine()},
            "predict",
        ),
        (RelativeRepresentation(anchors=[0, 1]), {"anchors": [5, 6]}, "transform"),
    ],
)
def test_a_refit_that_fails_leaves_nothing(model, change, use):
    target = y > 0 if isinstance(model, FrameAveragingClassifier) else y
    model.fit(X, target)
    getattr(model, use)(X[:3])
    rows = X.copy()
    if isinstance(model, RelativeRepresentation):
        rows[5] = rows[6] = 1.0  # one point has no direction
    with pytest.raises((RuntimeError, ValueError)):
        model.set_params(**change).fit(rows, target[::-1])
    with pytest.raises(NotFittedError):
        getattr(model, use)(X[:3])
