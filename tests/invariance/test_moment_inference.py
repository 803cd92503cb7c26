"""Intervals for neutral rules under hidden confounding: closed form, coverage, weak environments, refusals."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from causalinv.exceptions import IdentificationWarning
from causalinv.invariance import InvariantRepresentation
from causalinv.invariance.rules._moment_inference import infer


def hidden(rng, n, spread, moved=0.0):
    """One feature and y with a hidden common cause; the effect is 1, least squares has 1.5 or so."""
    e = np.repeat([0, 1], n)
    h = rng.normal(size=2 * n)
    x = h + np.where(e == 1, spread, 1.0) * rng.normal(size=2 * n) + moved * e
    return x[:, None], x + h + rng.normal(size=2 * n), e


def parts(X, y, e):
    rows = np.c_[y, X]
    rows = rows - rows.mean(axis=0)
    return [rows[e == k] for k in np.unique(e)]


def test_two_stage_least_squares_where_only_means_move():
    """Two environments that differ in mean alone: the constant's equation is that of the environment as instrument."""
    rng = np.random.default_rng(0)
    X, y, e = hidden(rng, 20_000, 1.0, moved=2.0)
    found = infer(parts(X, y, e), 0.95, robust=False)
    wald = (y[e == 1].mean() - y[e == 0].mean()) / (X[e == 1].mean() - X[e == 0].mean())
    assert found.coef[0] == pytest.approx(wald, abs=4 * found.std_error[0])
    assert found.coef[0] == pytest.approx(1.0, abs=5 * found.std_error[0])


@pytest.mark.parametrize(("spread", "robust"), [(2.0, False), (2.0, True), (1.05, True)])
def test_intervals_cover_with_a_hidden_cause(spread, robust):
    rng, covered, endless = np.random.default_rng(1), 0, 0
    runs = 60 if robust else 200
    for _ in range(runs):
        low, high = infer(parts(*hidden(rng, 300, spread)), 0.95, robust=robust).interval[0]
        covered += low <= 1 <= high
        endless += np.isinf(low)
    assert covered >= stats.binom.ppf(1e-4, runs, 0.95)
    assert covered < runs
    assert (endless > runs / 2) == (spread < 1.1)


def test_the_door_names_units_and_says_what_cannot_be_told():
    rng = np.random.default_rng(2)
    X, y, e = hidden(rng, 2000, 3.0)
    frame = pd.DataFrame({"dose": X[:, 0]})
    model = InvariantRepresentation().fit(frame, y, environments=e)
    table = model.inference(frame, y, environments=e).to_frame()
    assert table.loc["dose", "lower"] < 1 < table.loc["dose", "upper"] < 1.3
    assert table.loc["dose", "pvalue"] < 1e-6
    other = InvariantRepresentation().fit(1000 * frame, 7 * y, environments=e)
    moved = other.inference(1000 * frame, 7 * y, environments=e).to_frame()
    np.testing.assert_allclose(
        moved.loc["dose", ["lower", "upper"]] / 0.007, table.loc["dose", ["lower", "upper"]], rtol=1e-6
    )
    robust = model.inference(frame, y, environments=e, kind="anderson_rubin").to_frame()
    assert robust.loc["dose", "lower"] < 1 < robust.loc["dose", "upper"] < 1.5
    with pytest.warns(IdentificationWarning, match="No rule is neutral"):
        model.inference(frame, y + 2.0 * rng.normal(size=4000) * e + 3 * e, environments=e)
    X, y, e = hidden(rng, 300, 1.0)
    with pytest.warns(IdentificationWarning, match="hardly differ.*anderson_rubin"):
        model.inference(pd.DataFrame({"dose": X[:, 0]}), y, environments=e)
    for arguments, message in (
        ({"kind": "lr"}, "kind must be"),
        ({"confidence_level": 1.0}, "confidence_level must be"),
    ):
        with pytest.raises(ValueError, match=message):
            model.inference(frame, np.ones(4000), environments=np.arange(4000) % 2, **arguments)
    rows = np.column_stack([frame, rng.normal(size=4000)])
    plane = InvariantRepresentation(1, method="manifold", n_init=0).fit(
        rows, rows[:, 0], environments=np.arange(4000) % 2
    )
    with pytest.raises(ValueError, match="about the rule of method='neutral'"):
        plane.inference(rows, rows[:, 0], environments=np.arange(4000) % 2)


def test_constant_and_repeated_features_change_no_test_and_leave_open_what_they_share():
    rng = np.random.default_rng(4)
    X, y, e = hidden(rng, 300, 3.0)
    X = np.c_[X, rng.normal(size=600) * np.where(e == 1, 2.0, 1.0)]
    for robust in (False, True):
        plain = infer(parts(X, y, e), 0.95, robust=robust)
        still = infer(parts(np.c_[X, np.ones(600)], y, e), 0.95, robust=robust)
        twice = infer(parts(np.c_[X, 2 * X[:, 1]], y, e), 0.95, robust=robust)
        for found, open_ in ((still, [2]), (twice, [1, 2])):
            assert found.fit_pvalue == pytest.approx(plain.fit_pvalue, rel=1e-6)
            assert found.strength_pvalue == pytest.approx(plain.strength_pvalue, rel=1e-6)
            known = [j for j in range(3) if j not in open_]
            np.testing.assert_allclose(found.coef[known], plain.coef[known])
            np.testing.assert_allclose(found.interval[known], plain.interval[known], rtol=1e-4)
            assert np.isnan(found.coef[open_]).all()
            assert np.isinf(found.interval[open_]).all()
            assert (found.pvalue[open_] == 1).all()
