"""Formulas read as econometricians write them."""

import numpy as np
import pandas as pd
import pytest

from causalinv import IVLikeRegression, Translation

pytest.importorskip("formulaic", reason="formulaic is not installed (extra formula)")


@pytest.fixture
def data():
    rng = np.random.default_rng(0)
    rows = pd.DataFrame(rng.normal(size=(400, 4)), columns=["z1", "z2", "w", "u"])
    rows["region"] = rng.choice(["east", "north", "west"], 400)
    rows["x"] = rows.z1 - rows.z2 + rows.w + rows.u
    rows["y"] = 2 * rows.x - rows.w + (rows.region == "west") + 3 * rows.u + rng.normal(size=400)
    return rows


def test_equals_the_same_rows_given_by_hand(data):
    model = IVLikeRegression.from_formula("y ~ 1 + w + C(region) + [x ~ z1 + z2]", data)
    dummies = pd.get_dummies(data.region, drop_first=True, dtype=float)
    controls = pd.concat([data[["w"]], dummies], axis=1)
    hand = IVLikeRegression(0).fit(data[["x"]], data.y, instruments=data[["z1", "z2"]], controls=controls)
    np.testing.assert_allclose(model.coef_, hand.coef_, rtol=1e-10)
    assert list(model.feature_names_in_) == ["x"]


def test_equals_linearmodels(data):
    linearmodels = pytest.importorskip("linearmodels.iv", reason="linearmodels is not installed (extra bench)")
    theirs = linearmodels.IV2SLS.from_formula("y ~ 1 + w + [x ~ z1 + z2]", data).fit(cov_type="unadjusted")
    ours = IVLikeRegression.from_formula("y ~ 1 + w + [x ~ z1 + z2]", data)
    assert ours.coef_[0] == pytest.approx(theirs.params["x"], rel=1e-9)


def test_without_brackets_and_with_terms(data):
    nuisance = Translation(pd.DataFrame([[1.0, 0.0]], columns=["x", "np.exp(w)"]))
    model = IVLikeRegression.from_formula("y ~ x + np.exp(w)", data, augmentation=nuisance, alpha=0.5)
    hand = IVLikeRegression(0.5, augmentation=Translation([[1.0, 0.0]])).fit(
        np.c_[data.x, np.exp(data.w)], data.y.to_numpy()
    )
    np.testing.assert_allclose(model.coef_, hand.coef_, rtol=1e-10)


@pytest.mark.parametrize(
    ("formula", "said"),
    [
        ("x + w", "must read"),
        ("y ~ [x ~ z1] + [w ~ z2]", "must read"),
        ("y ~ [x z1]", "must read"),
        ("y ~ 0 + w + [x ~ z1]", "The constant is always fitted"),
        ("y ~ w - 1 + [x ~ z1]", "The constant is always fitted"),
        ("y ~ nope + [x ~ z1]", "cannot be read"),
        ("y ~ 1", "names no feature"),
    ],
)
def test_other_formulas_are_refused(data, formula, said):
    with pytest.raises(ValueError, match=said):
        IVLikeRegression.from_formula(formula, data)


def test_missing_values_are_not_dropped(data):
    data.loc[3, "z1"] = np.nan
    with pytest.raises(ValueError, match=r"'z1 \+ z2' of the formula"):
        IVLikeRegression.from_formula("y ~ w + [x ~ z1 + z2]", data)
