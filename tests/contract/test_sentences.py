"""Printed sentences are true of the case at hand: one thing or many, given or chosen, cut and not rounded up."""

import warnings

import numpy as np
import pandas as pd
import pytest

from causalinv import (
    HierarchicalConformalRegressor,
    InvariantRepresentation,
    InvariantSubsetSelector,
    IVLikeRegression,
    LinearSEM,
    ManskiBounds,
    Rep4ExRegressor,
    SymmetryScreen,
    Translation,
)
from causalinv._printing import counted, cut, plural, rough_percent, table_text
from causalinv.datasets import make_extrapolation_data
from causalinv.invariance import certify, next_environment_risk
from causalinv.representation import neural_collapse
from causalinv.results import ExtrapolationDiagnostics, InvarianceCertificate
from causalinv.sem import Shift
from causalinv.transformations import SignFlip
from tests.contract.subjects import of_kind


def text(printed):
    return " ".join(str(printed).split())


def rows(n=90, d=2, seed=0):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, d))
    return X, X.sum(axis=1) + rng.normal(size=n)


@pytest.mark.parametrize(
    ("one", "many"),
    [
        ("hospital", "hospitals"), ("city", "cities"), ("day", "days"), ("branch", "branches"), ("class", "classes"),
        ("analysis", "analyses"), ("child", "children"), ("school child", "school children"), ("person", "people"),
        ("woman", "women"), ("human", "humans"), ("set", "sets"),
    ],
)  # fmt: skip
def test_nouns_have_their_plurals(one, many):
    assert plural(one) == many
    assert counted(1, one) == f"1 {one}"
    assert counted(0, one) == f"0 {many}"
    assert counted(2, one) == f"2 {many}"


def test_large_percentages_have_no_powers_of_ten():
    assert [rough_percent(x) for x in (0.02, 0.5, 50.0)] == ["2%", "50%", "5,000%"]
    X, y = rows()
    certificate = certify(
        ((np.eye(2)), np.ones(2), 0.0), X, y, environments=np.arange(90) % 2, eps=50.0, method="two_level"
    )
    assert "5,000% more mean squared error" in text(certificate)
    assert "Seen: 2 children, of which" in text(certificate.explain(noun="child"))


@pytest.mark.parametrize("k", [1, 2, 3, 5, 6, 11, 99])
def test_a_level_that_is_printed_can_be_asked_for(k):
    """2 / 3 was printed as 0.667, for which intervals are infinite."""
    X, y = rows(n=40 * (k + 1))
    site = np.arange(len(X)) % (2 * k)
    model = HierarchicalConformalRegressor(random_state=0).fit(X, y, environments=site)
    assert model.n_calibration_ == k
    copied = float(text(model.summary()).split("finite intervals up to level ")[1].split()[0].rstrip("."))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert np.isfinite(model.predict_interval(X[:1], copied)).all(axis=None)
    with pytest.warns(match=f"confidence_level={cut(k / (k + 1))}; at 0.999 they are infinite"):
        model.predict_interval(X[:1], 0.999)
    assert copied == pytest.approx(k / (k + 1), abs=1e-3)
    risk = next_environment_risk(model.estimator_, X, y, environments=np.arange(len(X)) % k)
    said = float(text(risk).split("at most")[1].split("(")[1].split("%")[0]) / 100
    assert k / (k + 1) - 1e-4 <= said <= k / (k + 1) + 1e-12
    again = next_environment_risk(model.estimator_, X, y, environments=np.arange(len(X)) % k, confidence_level=said)
    assert again.upper == risk.upper


def test_who_says_in_how_many_directions_environments_differ():
    X, y = rows(200)
    X[::2] *= 3.0
    site = np.arange(200) % 2
    found = InvariantRepresentation().fit(X, y, environments=site)
    assert "differ in 2 directions by more than sampling noise" in text(found.summary())
    told = InvariantRepresentation(n_directions=1).fit(X, y, environments=site)
    assert "Said by you: the environments differ in 1 direction." in text(told.summary())
    assert "sampling noise" not in text(told.summary())
    one = InvariantRepresentation(n_directions=0).fit(X[:, :1], y, environments=site)
    assert "1 combination of 1 feature (" in text(one.summary())
    envs = LinearSEM([[0, 0], [1.0, 0]], target=1).environments([None, Shift(0, std=2.0)])
    exact = InvariantRepresentation().fit_moments(envs.moments())
    assert "The environments differ in 1 direction." in text(exact.summary())


def test_an_average_is_called_one():
    X, y = rows()
    site = np.arange(90) % 2
    one = InvariantSubsetSelector().fit(X, y, environments=site)
    mean = InvariantSubsetSelector(averaging=True).fit(X, y, environments=site)
    assert "average" not in text(one.summary())
    told = f"are of an average over {len(mean.invariant_sets_)} accepted sets; the title"
    assert told in text(mean.summary())


def test_a_model_of_one_thing_is_told_in_the_singular():
    alone = LinearSEM([[0.0]], names=["alone"], target="alone")
    assert "1 node, 0 edges" in text(alone)
    chain = LinearSEM([[0, 0], [1.0, 0]], names=["x", "y"], target="y")
    assert "2 nodes, 1 edge," in text(chain)
    envs = chain.environments([None])
    assert "1 environment of a linear model with 2 nodes" in text(envs)
    assert "Environments that change the model: 0 of 1; others observe it." in text(envs)


def test_an_average_over_one_row_is_told_in_the_singular():
    X, y = rows(40)
    model = ManskiBounds(outcome_support=(-9, 9), random_state=0).fit(X, y, treatment=np.arange(40) % 2)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        answer = model.average_bounds("mean", arm=1, where=np.arange(40) == 3)
    assert "over 1 row chosen by where=" in text(answer)


def test_a_bootstrap_says_whether_the_strength_was_chosen():
    X, y = rows()
    Z = X + np.random.default_rng(1).normal(size=X.shape)
    said = {
        alpha: text(IVLikeRegression(alpha).fit(X, y, instruments=Z).bootstrap(20, random_state=0))
        for alpha in (0.5, "cc", "fuller")
    }
    assert "in every replication: rows drawn anew, the same alpha; alpha: 0.5." in said[0.5]
    assert "rows drawn anew, alpha chosen anew; alpha: " in said["cc"]
    assert "rows drawn anew, alpha chosen anew; alpha: " in said["fuller"]


def test_instruments_are_not_spoken_of_where_there_are_none():
    X, y = rows(d=3)
    path = IVLikeRegression(0.5, augmentation=Translation([[1.0, 0, 0]])).fit(X, y).path_
    assert "move each direction" not in text(path)
    assert text(path).startswith("How strongly instruments, or an augmentation, move directions of the features")
    assert "rank of what moves them 1; rank of the features 3 of 3" in text(path)
    lone = IVLikeRegression(0).fit(X[:, :1], y, instruments=X[:, 1:2] + X[:, :1], controls=X[:, 2:])
    with pytest.raises(ValueError, match="was fitted with 1 control: pass"):
        lone.predict(X[:, :1])
    with pytest.raises(ValueError, match="Excluded instruments: 1, endogenous directions: 1; these leave nothing"):
        lone.overidentification_test()


def test_collapse_says_what_it_compares_with():
    rng = np.random.default_rng(0)
    Z, labels = rng.normal(size=(40, 3)), np.arange(40) % 2
    Z[:, 0] += 3 * labels
    alone = neural_collapse(Z, labels).to_frame()["meaning"]
    assert alone["nc3"] == "not asked: it needs classifier="
    assert alone["nc4"] == "share of rows whose nearest mean is not that of their label"
    beside = neural_collapse(Z, labels, classifier=(rng.normal(size=(2, 3)), np.zeros(2))).to_frame()["meaning"]
    assert "classifier's class" in beside["nc4"]


def test_one_symmetry_is_not_called_these():
    X, y = rows()
    flips = {"first": SignFlip([0]), "second": SignFlip([1])}
    found = {}
    for k in (1, 2):
        given = dict(list(flips.items())[:k])
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            found[k] = SymmetryScreen(given, n_resamples=39, random_state=0).fit(X**2, X[:, 0] * 0 + y)
    for screen in found.values():
        assert ("These together" in text(screen.summary())) == (len(screen.compatible_) > 1)


def test_a_doubt_stands_beyond_the_threshold_that_is_printed():
    """0.416 was a doubt, as the action alone had 0.255, beside 'doubt if > 0.5'."""
    data = make_extrapolation_data(600, n_latent=1, n_features=3, random_state=0)
    y = data.y
    found = Rep4ExRegressor("identity", random_state=0).fit(data.Z, y, action=data.action).diagnostics()
    assert isinstance(found, ExtrapolationDiagnostics)
    assert found.shell_action_only < found.shell_error < 0.5
    table = found.summary().table
    assert table.loc["shell_error", "doubt if"] == f"> {found.shell_action_only:.3g}"
    for name, row in table.iterrows():
        side, _, limit = row["doubt if"].partition(" ")
        if side and row["doubt"] in ("yes", "no"):
            value = float(row["value"])
            beyond = {"<": value < float(limit), "<=": value <= float(limit), ">": value > float(limit)}[side]
            assert beyond == (row["doubt"] == "yes"), name
    np.testing.assert_array_equal(found.ratios().dropna() > 1, found.to_frame()["doubt"][found.ratios().dropna().index])


def test_answers_about_actions_keep_their_labels():
    data = make_extrapolation_data(300, n_latent=1, random_state=0)
    action = pd.DataFrame(data.action, columns=["dose"])
    model = Rep4ExRegressor("identity", random_state=0).fit(data.Z, data.y, action=action)
    asked = pd.DataFrame({"dose": [0.0, 1.5]}, index=["none", "more"])
    curve = model.do_curve(asked, n_bootstrap=3)
    assert list(curve.to_frame().index) == list(model.support(asked).index) == ["none", "more"]
    np.testing.assert_array_equal(curve.to_frame()["estimate"], model.predict_do(asked))
    plain = model.do_curve(asked.to_numpy(), n_bootstrap=3).to_frame()
    assert list(plain.index) == [0, 1]
    pd.testing.assert_frame_equal(plain, curve.to_frame().reset_index(drop=True))


def test_a_small_bound_is_not_told_as_none():
    """Of 10,000 environments the bound is 0.03%, and "at most 0.0%" would be another claim."""
    bound = 1 - 0.05**1e-4
    shown = InvarianceCertificate(bound, 1e-4, 0.1, "relative_excess", 0.95, 10_000, 0, "holdout", (), (1.0,), 0.0)
    assert "At most 0.03% of new environments break this rule" in text(shown)
    assert "can prove that at most 0.03% of new" in text(shown)
    assert "breaks it with probability at most 0.01%." in text(shown)
    shown = InvarianceCertificate(0.348, np.nan, 0.1, "relative_excess", 0.95, 7, 0, "holdout", (), (1.0,), 0.0)
    assert "At most 34.8% of" in text(shown)


def test_a_verdict_has_its_level_and_a_p_value_on_its_side():
    """It read "p 0.050: instruments disagree", at no level."""
    data = of_kind("continuous")
    y = data["y"] - 0.2 * data["instruments"][:, 0]  # p is .04995
    model = IVLikeRegression(0).fit(data["X"][:, :1], y, instruments=data["instruments"])
    p = model.overidentification_test().pvalue
    assert 0.0499 < p < 0.05
    assert f"p {p:.3g}: instruments disagree (at 5%)." in text(model.summary())


def test_labels_of_rows_are_short():
    X, y = rows(120)
    year = np.repeat(["2019", "2020"], 60)
    pairs = list(zip(year, np.arange(120) % 2, strict=True))
    told = text(InvariantSubsetSelector().fit(X, y, environments=pairs).summary())
    assert "('2019', 1) 30" in told
    assert "np." not in told
    told = text(InvariantSubsetSelector().fit(X, y, environments=pd.to_datetime(year)).summary())
    assert "2019-01-01 60" in told
    table = pd.DataFrame({f"a column of number {j}": [0.1, 0.2] for j in range(9)}, index=[1 / 3, 1.25])
    assert [line.split()[0] for line in table_text(table).split("\n") if line[:1].isdigit()][:2] == ["0.333333", "1.25"]
    told = table_text(table.set_axis([1e6 + 1.0, 1e6 + 2.0]))
    assert "1000001.0" in told
    assert "1000002.0" in told


def test_rows_that_would_be_needed_are_counted():
    rng = np.random.default_rng(0)
    X, e = rng.normal(size=(80, 2)), np.arange(80) % 2
    y = X[:, 0] + rng.normal(size=80)
    with pytest.warns(match=r"about \d,\d\d0 rows in each environment would show it"):
        certify((np.eye(2), [1.0, 0], 0.0), X, y, environments=e, eps=1.0, method="bounded", residual_bound=10)


def test_a_summary_says_that_coefficients_are_a_convention():
    X, y = rows()
    twice = np.c_[X, X[:, 0]]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for model, ridge in ((twice, 0.0), (np.c_[X, np.ones(90)], 0.0), (X, 0.0), (twice, 0.1)):
            aug = Translation(np.eye(1, model.shape[1], 1))
            told = text(IVLikeRegression(0.5, augmentation=aug, ridge=ridge).fit(model, y).summary())
            assert ("Features are dependent (3 that vary, rank 2)" in told) == (model is twice and ridge == 0)
