"""The table of cross-validation, recomputed fold by fold."""

import numpy as np
from sklearn.model_selection import PredefinedSplit

from causalinv.ivlike import IVLikeRegression, IVLikeRegressionCV, Translation


def test_mean_and_spread_of_the_risks_are_those_of_the_folds():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(90, 3))
    y = X @ [1.0, 2.0, -1.0] + 5.0 * rng.normal(size=90)
    step, k, alphas, sizes = np.array([[1.0, -1.0, 0.5]]), 2.0, [0.01, 0.1, 1.0], [15, 30, 45]
    folds = PredefinedSplit(np.repeat([0, 1, 2], sizes))
    model = IVLikeRegressionCV(alphas, augmentation=Translation(step), shift_size=k, cv=folds).fit(X, y)
    risks = np.empty((3, 3))
    for f, (inside, out) in enumerate(folds.split()):
        for j, alpha in enumerate(alphas):
            part = IVLikeRegression(alpha, augmentation=Translation(step)).fit(X[inside], y[inside])
            moved = float(np.sum((step @ part.coef_) ** 2))
            risks[f, j] = np.mean((y[out] - part.predict(X[out])) ** 2) + k**2 * moved
    np.testing.assert_allclose(model.cv_results_["risk"], np.average(risks, axis=0, weights=sizes), rtol=1e-10)
    # Three folds are a sample of folds: the divisor is two.
    np.testing.assert_allclose(model.cv_results_["std"], risks.std(axis=0, ddof=1), rtol=1e-9)
