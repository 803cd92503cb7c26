"""Bootstrap of pairs on the level of moments: rows (or clusters) are reweighted, the strength is chosen again."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from causalinv._frames import column_names
from causalinv._parallel import streams
from causalinv._typing import FloatArray, RandomState, Rows
from causalinv._validation import check_alignment, check_confidence_level, check_rows, check_whole
from causalinv.ivlike._design import named
from causalinv.ivlike._fit import Fit
from causalinv.ivlike._integrations import Moved
from causalinv.ivlike._path import IVLikePath
from causalinv.transformations import Translation

__all__ = ["BootstrapResult", "bootstrap"]


@dataclass(frozen=True)
class BootstrapResult:
    """Replicates of the coefficients, and of the strength that was chosen each time.

    Attributes
    ----------
    replicates : pandas.DataFrame of shape (n_replications, d)
        Coefficients, one replication a row.
    alphas : ndarray of shape (n_replications,)
        Strengths chosen.
    estimate : pandas.Series
        Coefficients of the fit.
    accounts_for : str
        What was drawn anew in every replication.
    """

    replicates: pd.DataFrame
    alphas: FloatArray
    estimate: pd.Series
    accounts_for: str

    def __repr__(self) -> str:
        n, d = self.replicates.shape
        return f"BootstrapResult({n} replications of {d} coefficients; {self.accounts_for})"

    def confint(self, *, confidence_level: float = 0.95) -> pd.DataFrame:
        """Percentile intervals of the coefficients.

        They cover what the procedure, choices included, estimates: not the causal effect, unless nothing that the
        assumption leaves is confounded.
        """
        level = check_confidence_level(confidence_level)
        tail = 50.0 * (1.0 - level)
        ends = np.percentile(self.replicates.to_numpy(), [tail, 100.0 - tail], axis=0)
        frame = pd.DataFrame(ends.T, index=self.estimate.index, columns=["lower", "upper"])
        return frame.rename_axis(columns=f"{confidence_level:.0%} bootstrap, {self.accounts_for}")

    def standard_errors(self) -> pd.Series:
        """Standard deviation of each coefficient over the replications."""
        return self.replicates.std()


def cluster_counts(groups: np.ndarray | None, n: int, rng: np.random.Generator) -> FloatArray:
    """How often each row is drawn when rows, or whole clusters, are drawn with replacement."""
    if groups is None:
        return rng.multinomial(n, np.full(n, 1.0 / n)).astype(np.float64)
    m = int(groups.max()) + 1
    return rng.multinomial(m, np.full(m, 1.0 / m)).astype(np.float64)[groups]


def bootstrap(
    fit: Fit, n_replications: int, *, pairs: tuple[Rows, Rows] | None, random_state: RandomState
) -> BootstrapResult:
    """Replications of a whole fit on resampled rows, or clusters."""
    design, _ = fit.read_again()
    n_replications = check_whole(n_replications, "n_replications", low=2)
    drawn = None if pairs is None else _check_pairs(*pairs, design)
    base = np.ones(len(design.y)) if design.weight is None else design.weight
    design = design.held()
    coefs, alphas = [], []
    for rng in streams(random_state, n_replications, "bootstrap"):
        again = design.reweighted(base * cluster_counts(design.groups, len(base), rng))
        if drawn is not None and isinstance(again, Moved):
            again = again.with_augmentation(_redrawn(again.augmentation, *drawn, rng))
        reading = again.read()
        path = IVLikePath.from_first_stage(reading.stage, ridge=fit.ridge)
        strength = fit.rule.choose(again, reading, path)
        coefs.append(strength.coef(path).T.ravel())
        alphas.append(strength.alpha)
    unit = "rows" if design.groups is None else "clusters"
    accounts = f"{unit} drawn anew, alpha chosen anew" + ("" if pairs is None else ", directions estimated anew")
    return BootstrapResult(
        pd.DataFrame(np.stack(coefs), columns=fit.index),
        np.array(alphas),
        pd.Series(fit.coef.T.ravel(), index=fit.index),
        accounts,
    )


def _redrawn(augmentation: Any, first: Any, second: Any, rng: np.random.Generator) -> Translation:
    """Directions of pairs that are drawn anew."""
    which = rng.integers(len(first), size=len(first))
    return Translation.from_pairs(
        *(rows.iloc[which] if isinstance(rows, pd.DataFrame) else rows[which] for rows in (first, second)),
        n_directions=len(augmentation.directions),
        scale=augmentation.scale,
        outcome_invariant=augmentation.outcome_invariant,
    )


def _check_pairs(X: Rows, X_other: Rows, design: Any) -> tuple[Any, Any]:
    """The pairs under their names, if they are those that the directions came from."""
    augmentation = design.knowledge.augmentation
    if not isinstance(augmentation, Translation):
        raise ValueError("pairs= needs an augmentation made by Translation.from_pairs.")
    check_alignment(X=X, X_other=X_other)
    first, second = (
        named(check_rows(rows, name), column_names(rows))
        for rows, name in ((X, "X of pairs"), (X_other, "X_other of pairs"))
    )
    d, names = design.X.shape[1], design.names
    fitted = augmentation.parameters(d, names)
    shown = Translation.from_pairs(first, second, n_directions=len(fitted)).parameters(d, names)
    inside = np.linalg.svd(shown, full_matrices=False)[2]
    left = fitted - fitted @ inside.T @ inside
    gap = float((np.linalg.norm(left, axis=1) / np.linalg.norm(fitted, axis=1)).max())
    if gap > 1e-6:
        raise ValueError(
            f"pairs= show other directions than the augmentation has: of one of its {len(fitted)} directions a "
            f"share of {gap:.2g} is outside their span. Give the pairs that Translation.from_pairs made it from, "
            "with their column names and in the units of X."
        )
    return first, second
