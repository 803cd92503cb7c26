"""Test whether least squares itself ignores what an augmentation moves."""

from __future__ import annotations

from causalinv.ivlike._fit import Fit
from causalinv.ivlike._inference import (
    by_cluster,
    hotelling,
    least_squares_influence,
    moved_influence,
    restricted_score,
)
from causalinv.linear_rule import least_squares
from causalinv.results import TestResult

__all__ = ["ols_invariance_test"]


def ols_invariance_test(fit: Fit) -> TestResult:
    """Score test of least squares under the invariance, with the law of Hotelling's F."""
    if fit.design.knowledge.augmentation is None:
        raise ValueError(
            "ols_invariance_test needs augmentation=, which knows the rows before they are moved. For genuine "
            "instruments use a test of exogeneity, for example from the package ivmodels."
        )
    design, reading = fit.read_again()
    if not fit.single_output:
        raise ValueError("ols_invariance_test takes one outcome; fit them one by one.")
    hypothesis = "least squares predictions do not react to the augmentation"
    if design.restricts and not fit.ridge:
        shift, influence = restricted_score(design, reading, fit.path)
    else:
        hypothesis = "the mean reaction of least squares predictions, as far as it is linear in G, is zero"
        coef = least_squares(reading.moments)
        own = least_squares_influence(design, reading, coef)
        shift, influence = moved_influence(design, reading, coef, own)
    if influence.n_clusters <= len(shift):
        raise ValueError(
            f"{influence.n_clusters} independent rows or groups cannot test {len(shift)} directions at once: their "
            "covariance is singular. Use fewer directions, or more groups."
        )
    spent = influence.rank if influence.groups is None else 0
    contributions = by_cluster(influence.rows[:, :, 0], influence.groups)
    if len(contributions) - spent <= len(shift):
        raise ValueError(
            f"{len(contributions)} independent rows or groups, less {spent} for what is fitted, cannot test "
            f"{len(shift)} directions at once. Use fewer directions, or more rows or groups."
        )
    statistic, pvalue, df = hotelling(shift[:, 0], contributions, spent=spent)
    return TestResult(
        statistic,
        pvalue,
        df,
        hypothesis=hypothesis,
        assumption="rows, or groups of them, are independent",
        note="A rejection means: confounding along the ignored directions, or an outcome that does not ignore "
        "them. The data cannot tell which.",
    )
