"""The display of the path holds the numbers of the regression, draws them, and says what it cannot draw."""

import numpy as np
import pandas as pd
import pytest

from causalinv import IVLikeRegression, Translation
from causalinv.datasets import make_confounded_linear
from causalinv.inspection import IVLikePathDisplay
from causalinv.metrics import ncer


def fitted(alpha=0.1):
    world = make_confounded_linear(500, n_features=8, random_state=0)
    frame = pd.DataFrame(world.X, columns=list("abcdefgh"))
    return world, IVLikeRegression(alpha, augmentation=Translation(world.directions[:5])).fit(frame, world.y)


def test_it_holds_the_path_its_bands_and_the_errors():
    world, model = fitted()
    display = IVLikePathDisplay.from_estimator(model, gammas=[2.0, 11.0], features=["c", 0], truth=world.coef)
    assert display.path["feature"].tolist() == ["c", "c", "a", "a"]
    at_fit = display.path.query("gamma == 11 and feature == 'c'").iloc[0]
    assert at_fit["coef"] == pytest.approx(model.coef_[2])
    np.testing.assert_allclose(at_fit[["lower", "upper"]].astype(float), model.confint().loc["c"], rtol=1e-9)
    refit = IVLikeRegression(1.0, augmentation=model.augmentation).fit(
        pd.DataFrame(world.X, columns=list("abcdefgh")), world.y
    )
    other = display.path.query("gamma == 2 and feature == 'a'").iloc[0]
    np.testing.assert_allclose(other[["lower", "upper"]].astype(float), refit.confint().loc["a"], rtol=1e-9)
    assert display.errors[11.0] == pytest.approx(ncer(model.coef_, world.coef))
    assert display.errors[0.0] == pytest.approx(ncer(model.least_squares_coef_, world.coef))
    assert len(IVLikePathDisplay.from_estimator(model).least_squares) == 6


def test_it_draws_lines_bands_and_errors():
    import matplotlib.pyplot as plt

    world, model = fitted()
    ax = plt.figure().add_subplot()
    display = IVLikePathDisplay.from_estimator(model, features=["a", "b"], truth=world.coef).plot(ax)
    assert display.ax_ is ax
    assert (ax.get_xscale(), len(ax.collections)) == ("log", 2)
    assert [text.get_text() for text in ax.get_legend().get_texts()] == [
        "a",
        "b",
        f"chosen: gamma = {model.gamma_:.3g}",
    ]
    display.plot_error()
    labels = [text.get_text() for text in display.ax_.get_legend().get_texts()]
    assert labels[:3] == ["IV-like regression", "least squares", "zero vector"]
    without = IVLikePathDisplay.from_estimator(
        IVLikeRegression(augmentation=Translation(world.directions)).fit_moments(world.moments)
    ).plot()
    assert without.path["lower"].isna().all()
    assert without.ax_.get_title() == ""


def test_what_cannot_be_shown_is_named():
    world, model = fitted()
    with pytest.raises(ValueError, match="gammas must be finite numbers above 1"):
        IVLikePathDisplay.from_estimator(model, gammas=[1.0])
    with pytest.raises(ValueError, match="features must be names or positions"):
        IVLikePathDisplay.from_estimator(model, features=["age"])
    with pytest.raises(ValueError, match="pass truth="):
        IVLikePathDisplay.from_estimator(model).plot_error()
    two = IVLikeRegression(0.1, augmentation=model.augmentation).fit(world.X, np.c_[world.y, world.X[:, 0] - world.y])
    with pytest.raises(ValueError, match="shows one outcome"):
        IVLikePathDisplay.from_estimator(two)


def test_a_fit_with_controls_shows_its_features():
    rng = np.random.default_rng(0)
    z, w = rng.normal(size=(2, 80))
    X, y = pd.DataFrame({"dose": z + rng.normal(size=80)}), pd.Series(w + rng.normal(size=80), name="pain")
    model = IVLikeRegression(0).fit(X, y, instruments=z[:, None], controls=w[:, None])
    assert set(IVLikePathDisplay.from_estimator(model).path["feature"]) == {"dose"}
    assert str(model.summary()).startswith("Change of pain per unit of each feature")
