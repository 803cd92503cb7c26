"""Controls: partialled out of rows and of moments, judged by statsmodels and by the idiom of repeated columns."""

import warnings

import numpy as np
import pytest
import statsmodels.api as sm

from causalinv import IVLikeRegression, Moments
from causalinv.exceptions import DegenerateInputWarning
from causalinv.ivlike._controls import partial_out, partial_out_rows

from .test_kclass import instrumented


@pytest.mark.parametrize("weighted", [False, True])
def test_rows_and_moments_agree_and_are_residuals_of_statsmodels(weighted):
    y, X, Z, W, _, weight = instrumented(k=3, m=2, weighted=weighted)
    repeated = np.c_[W, W.sum(axis=1)]  # dependent
    found = partial_out_rows(y[:, None], X, Z, repeated, weight=weight)
    w = np.ones(len(y)) if weight is None else weight
    for ours, theirs in ((found.y[:, 0], y), (found.x[:, 1], X[:, 1]), (found.z[:, 2], Z[:, 2])):
        fit = sm.WLS(theirs, sm.add_constant(W), weights=w).fit()
        np.testing.assert_allclose(ours, fit.resid + np.average(theirs, weights=w), atol=1e-12)
    assert found.slopes.rank == 2
    full = Moments.from_rows(x=X, y=y, g=Z, c=repeated, sample_weight=weight)
    of_rows = Moments.from_rows(x=found.x, y=found.y, g=found.z, sample_weight=weight)
    of_moments, slopes = partial_out(full)
    assert dict(of_moments.blocks) == dict(of_rows.blocks)
    np.testing.assert_allclose(of_moments.cov(("x", "y", "g")), of_rows.cov(("x", "y", "g")), atol=1e-12)
    np.testing.assert_allclose(of_moments.mean("x"), of_rows.mean("x"), atol=1e-12)
    np.testing.assert_allclose(slopes.of_x, found.slopes.of_x, atol=1e-10)
    assert partial_out(of_rows) == (of_rows, None)


def test_what_controls_explain_is_exactly_constant():
    """Not rounding, which would look like information once it is scaled to variance one."""
    y, X, Z, W, _, _ = instrumented(k=3, m=2)
    copied = np.c_[X, 1e6 + 3 * W[:, 0] - W[:, 1]]
    found = partial_out_rows(y[:, None], copied, Z, W)
    assert np.ptp(found.x[:, 2]) == 0.0
    left, _ = partial_out(Moments.from_rows(x=copied, y=y, g=Z, c=W))
    assert left.cov("x")[0, 2, 2] == 0.0
    assert not left.cov("g", "x")[0, :, 2].any()


@pytest.mark.parametrize("of_rows", [True, False])
@pytest.mark.parametrize("weighted", [False, True])
def test_controls_that_repeat_others_warn_and_leave_the_effects(of_rows, weighted):
    """A constant control has coefficient and error 0: its mean is rounded, which is no information."""
    y, X, Z, W, _, weight = instrumented(k=3, m=1, weighted=weighted)

    def fitted(controls):
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            model = IVLikeRegression(0.0)
            if of_rows:
                model.fit(X, y, instruments=Z, controls=controls, sample_weight=weight)
            else:
                model.fit_moments(Moments.from_rows(x=X, y=y, g=Z, c=controls, sample_weight=weight))
        return model, [str(w.message) for w in caught if issubclass(w.category, DegenerateInputWarning)]

    plain, told = fitted(W)
    assert not told
    for extra in (np.full(len(y), 0.1), 2 * W[:, 0]):
        model, told = fitted(np.c_[W, extra])
        assert ["3 controls have rank 2" in line for line in told] == [True]
        np.testing.assert_allclose(model.coef_, plain.coef_, rtol=1e-9)
        if np.ptp(extra) == 0:
            np.testing.assert_allclose(model.controls_coef_, [*plain.controls_coef_, 0.0], rtol=1e-9, atol=0)
            if of_rows:
                assert model.controls_frame()["s.e."].iloc[-1] == 0


@pytest.mark.filterwarnings("ignore:Weak instruments")
def test_rows_of_controls_in_the_summary_are_those_of_their_own_frame():
    y, X, Z, W, groups, _ = instrumented(k=3, m=1)
    for given in ({}, {"groups": groups}):
        model = IVLikeRegression(0.0).fit(X, y, instruments=Z, controls=W[:, :1], **given)
        row, frame = model.summary().table.iloc[-1], model.controls_frame().iloc[0]
        np.testing.assert_allclose(row[["s.e.", "lower", "upper", "p"]].to_numpy(float), frame.iloc[1:].to_numpy())
        assert "the last row is a control" in " ".join(str(model.summary()).split())
