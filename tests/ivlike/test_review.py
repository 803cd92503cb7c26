"""What a cold review found: one sharp test per mend."""

import numpy as np
import pandas as pd
import pytest
from sklearn.compose import ColumnTransformer
from sklearn.preprocessing import PolynomialFeatures

from causalinv import GaussianNoise, IVLikeRegression, Translation

STEP = np.array([[0.0, 1.0]])


def curved(n=2000, seed=0):
    """The outcome ignores x1, whose square carries the hidden cause."""
    rng = np.random.default_rng(seed)
    U = rng.normal(size=n)
    X = np.c_[rng.normal(size=n), U + 0.5 * rng.normal(size=n)]
    return X, X[:, 0] + 2 * U**2 + rng.normal(size=n)


@pytest.mark.parametrize("integration", ["auto", "sampled", "closed_form"])
def test_identified_is_refused_where_features_still_react(integration):
    """The paired first stage is linear in G and leaves x1²; the closed form leaves x0 x1, whose mean given G is 0."""
    X, y = curved()
    squares = PolynomialFeatures(2, include_bias=False)
    model = IVLikeRegression(
        augmentation=Translation(STEP), features=squares, integration=integration, random_state=0
    ).fit(X, y)
    assert np.ptp(model.predict(np.c_[np.ones(3), [-1.0, 0.0, 1.0]])) > 1e-3
    with pytest.raises(ValueError, match="needs predictions that ignore the augmentation.*on average given G"):
        model.confint(kind="identified")
    assert model.confint().shape == (5, 2)


def test_identified_is_granted_where_no_row_reacts():
    X, y = curved()
    split = ColumnTransformer([("read", PolynomialFeatures(2, include_bias=False), [0]), ("moved", "passthrough", [1])])
    for integration in ("paired", "closed_form"):
        model = IVLikeRegression(
            augmentation=Translation(STEP), features=split, integration=integration, random_state=0
        )
        interval = model.fit(X, y).confint(kind="identified")
        assert interval["lower"].iloc[0] < 1.0 < interval["upper"].iloc[0]


def test_bootstrap_keeps_the_names_of_pairs_and_refuses_other_pairs():
    rng = np.random.default_rng(0)
    X = pd.DataFrame(rng.normal(size=(300, 3)), columns=["a", "b", "c"])
    y = X["a"] + rng.normal(size=300)
    first = pd.DataFrame(rng.normal(size=(50, 2)), columns=["c", "a"])
    second = first.assign(c=first["c"] + rng.normal(size=50))  # the pairs differ in c, their first column
    model = IVLikeRegression(0.0, augmentation=Translation.from_pairs(first, second)).fit(X, y)
    replicates = model.bootstrap(20, pairs=(first, second), random_state=0).replicates
    assert np.abs(replicates["c"]).max() < 1e-12 < np.abs(replicates["a"]).min()
    for other in ((X, X.assign(a=0.0)), (X.to_numpy(), X.assign(a=0.0).to_numpy())):
        with pytest.raises(ValueError, match="pairs= show other directions than the augmentation has"):
            model.bootstrap(5, pairs=other)


def test_intervals_at_alpha_zero_are_refused_where_the_path_refuses():
    X, y = curved(200)
    model = IVLikeRegression(0.1, augmentation=GaussianNoise()).fit(X, y)
    for ask in (lambda: model.confint(alpha=0), lambda: model.covariance(0), lambda: model.alpha_path([0])):
        with pytest.raises(ValueError, match="alpha=0 leaves no invariant direction"):
            ask()
