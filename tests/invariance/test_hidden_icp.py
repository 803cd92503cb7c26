"""Inference for neutral rules beside R's hiddenICP (0.8) and causalDantzig (0.7-1), on their own examples.

The golden file holds what R says of data drawn here (``benchmarks/hidden_icp.py``).
"""

import json
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from causalinv.invariance import InvariantRepresentation
from tests.invariance.hidden_designs import DESIGNS, centred

CASES = json.loads((Path(__file__).parents[1] / "golden" / "hidden_icp.json").read_text())["cases"]
PAIRS = [name for name in DESIGNS if name != "three environments"]


def ours(name):
    X, y, e = centred(name)
    assert np.abs(X).sum() + np.abs(y).sum() == pytest.approx(CASES[name]["sum"], rel=1e-12), "other data than R had"
    return InvariantRepresentation().fit(X, y, environments=e).inference(X, y, environments=e).table


def by_environment(name, coef):
    """Of each environment: rows z = (1, x), features, and z times the residual less its mean."""
    X, y, e = centred(name)
    out = []
    for label in np.unique(e):
        z = np.c_[np.ones((e == label).sum()), X[e == label]]
        score = z * (y - X @ coef)[e == label, None]
        out.append((z, X[e == label], score - score.mean(axis=0)))
    return out


@pytest.mark.parametrize("name", PAIRS)
def test_of_two_environments_of_equal_means_estimates_are_the_peers(name):
    """One equation for each coefficient is left, and all three solve it; the peers' variance is the plain one."""
    for peer in ("hiddenICP", "causalDantzig"):
        np.testing.assert_allclose(ours(name)["estimate"], CASES[name][peer]["coef"], rtol=1e-7, atol=1e-7)


@pytest.mark.parametrize("name", PAIRS)
def test_standard_errors_differ_by_the_equation_of_means_and_by_the_correction_for_few_rows(name):
    case, d = CASES[name], len(DESIGNS[name][2])
    coef = np.array(case["causalDantzig"]["coef"])
    groups = by_environment(name, coef)
    slopes = np.subtract(*(z.T @ x / len(z) for z, x, _ in groups))
    plain = sum(score.T @ score / len(z) / (len(z) - 1) for z, _, score in groups)
    inverse = np.linalg.inv(slopes[1:])
    theirs = np.sqrt(np.diag(inverse @ plain[1:, 1:] @ inverse.T))
    # hiddenICP divides the level by the number of environments even where two make one comparison.
    for peer, tail in (("causalDantzig", 0.025), ("hiddenICP", 0.0125)):
        half = (np.array(case[peer]["upper"]) - case[peer]["lower"]) / 2
        np.testing.assert_allclose(half / stats.norm.isf(tail), theirs, rtol=1e-9)
    shrunk = sum(score.T @ score / len(z) / (len(z) - d - 3) for z, _, score in groups)
    with_means = np.sqrt(np.diag(np.linalg.inv(slopes.T @ np.linalg.solve(shrunk, slopes))))
    np.testing.assert_allclose(ours(name)["std_error"], with_means, rtol=1e-5)
    np.testing.assert_allclose(with_means, theirs, rtol=0.02)  # what the two differences amount to in these examples


def test_three_environments_are_solved_together_and_not_one_against_the_rest():
    """hiddenICP averages the solutions of one environment against the rest, weighting none."""
    name = "three environments"
    X, y, e = centred(name)
    alone, errors = [], []
    for label in np.unique(e):
        inside = e == label
        gram, cross = (
            X[inside].T @ each[inside] / inside.sum() - X[~inside].T @ each[~inside] / (~inside).sum()
            for each in (X, y)
        )
        alone.append(np.linalg.solve(gram, cross))
        score = X * (y - X @ alone[-1])[:, None]
        plain = sum(np.cov(score[part].T) / part.sum() for part in (inside, ~inside))
        errors.append(np.sqrt(np.diag(np.linalg.solve(gram, np.linalg.solve(gram, plain).T))))
    np.testing.assert_allclose(np.mean(alone, axis=0), CASES[name]["hiddenICP"]["coef"], rtol=1e-9)
    table = ours(name)
    assert np.all(table["std_error"] < np.min(errors, axis=0))
    gap = np.abs(table["estimate"] - CASES[name]["hiddenICP"]["coef"])
    assert np.all((gap > 1e-4) & (gap < 2 * table["std_error"]))
