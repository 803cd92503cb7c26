"""Certificates: what a few environments can promise about the next one."""

from __future__ import annotations

import os

import numpy as np
import pandas as pd

from causalinv.inspection import CertificateDisplay
from causalinv.invariance import (
    certify,
    expected_violation,
    invariance_gaps,
    required_interventions,
    violation_bound,
)
from causalinv.sem import InterventionFamily, LinearSEM
from causalinv.tour import Chapter

__all__ = ["run"]


def run(random_state: int, data: str | os.PathLike[str] | None) -> Chapter:
    """Certify one rule from 6, 59 and 300 hospitals and compare with the truth."""
    sem = LinearSEM.from_adjacency(
        np.array([[0, 0.5, 0, 0, 1.0], [0, 0, 0, 0, 1.0], [0, 0, 0, 0, 0], [0, 0, 0, 0, 0], [0, 0, 1.0, 1.0, 0]]),
        noise=[1.0, 1.0, 0.3, 1.0, 0.7],
        names=["age", "dose", "marker", "scan", "outcome"],
        target="outcome",
    )
    family = InterventionFamily(["marker"], kind="variance", per_env="single")
    fresh = family.environments(sem, 4000, random_state=random_state + 1).moments()
    rows = {}
    for m in (6, 59, 300):
        seen = family.environments(sem, m, baseline=True, random_state=random_state).moments()
        first = seen.select(cells=[0])
        coef = np.linalg.solve(first.cov("x")[0], first.cov("x", "y")[0, :, 0])
        rule = (np.eye(4), coef, 0.0)  # least squares of the hospital without drift, all features
        eps = invariance_gaps(seen, *rule).max()
        rows[m] = {
            "any method at best": violation_bound(m, method="holdout"),
            "at most, one site": violation_bound(m, method="beta_sites", n_sites=1),
            "at most, three sites": violation_bound(m, method="beta_sites", n_sites=3),
            "chance that the next does": expected_violation(m, method="beta_sites", n_sites=1),
            "true share": float(np.mean(invariance_gaps(fresh, *rule) > eps * (1 + 1e-9))),
            "gap tolerated": eps,
        }
    table = pd.DataFrame(rows).T.rename_axis("hospitals seen")
    wards = family.environments(sem, 40, random_state=random_state + 2)
    X, y, hospitals = wards.sample(400, random_state=random_state)
    invariant = (np.eye(4)[[0, 1, 3]], *_fit(X[:, [0, 1, 3]], y))
    others = family.environments(sem, 40, random_state=random_state + 3)
    X, y, hospitals = others.sample(400, random_state=random_state + 3)
    two_level = certify(invariant, X, y, environments=hospitals, eps=0.1, method="two_level")
    return Chapter(
        question="A rule held in every hospital so far. In how many of the next will it break? (95% confidence.)",
        answer=(
            "Six hospitals prove little, whatever the method: at best that at most "
            f"{rows[6]['any method at best']:.0%} of the next break it."
        ),
        table=table,
        picture=CertificateDisplay(two_level),
        claim=(
            "At most: the share of hospitals that break it, if hospitals differ at one site or at three. To break it "
            f"is to have a gap beyond the largest seen (here {rows[6]['gap tolerated']:.2f}: an error so many times "
            "that of the hospital's own best rule, on top). "
            f"One in twenty takes {required_interventions(0.05, method='beta_sites', n_sites=1)} if they differ at one "
            f"site, {required_interventions(0.05, method='beta_sites', n_sites=3)} at three. From rows instead of "
            f"exact moments, 40 fresh hospitals with 400 patients each certify for the invariant rule (without the "
            f"marker): at most {two_level.violation_upper:.0%} have a gap above {two_level.eps:g}. Certificates are "
            "about one rule: refitting makes another."
        ),
        assumption=(
            "hospitals are independent draws of one law, and so is the next; each moves one declared site by an added "
            "variance."
        ),
    )


def _fit(X: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, float]:
    solved = np.linalg.lstsq(np.c_[X, np.ones(len(y))], y, rcond=None)[0]
    return solved[:-1], float(solved[-1])
