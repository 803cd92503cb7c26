"""Environments: one model under several interventions, with exact moments and reproducible samples."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from causalinv._parallel import streams
from causalinv._typing import FloatArray, RandomState
from causalinv.moments import Moments
from causalinv.sem._interventions import Intervention
from causalinv.sem._linear import LinearSEM

__all__ = ["EnvironmentSet"]


class EnvironmentSet:
    """A model with a target, seen in several environments; made by `LinearSEM.environments`.

    Parameters
    ----------
    sem : LinearSEM
        The observational model; it must name a target.
    interventions : sequence of Intervention or None
        One per environment; None is the observational environment.
    labels : sequence, optional
        Unique labels of the environments; 0, 1, … if left out.

    Attributes
    ----------
    sem : LinearSEM
        The observational model.
    interventions : tuple
        One per environment.
    labels : pandas.Index
        Labels, named ``environments``.

    Raises
    ------
    ValueError
        If the model has no target, there is no environment, or labels are repeated or too few.

    Examples
    --------
    >>> from causalinv.sem import LinearSEM, Shift
    >>> sem = LinearSEM([[0, 0], [2, 0]], names=["x", "y"], target="y")
    >>> envs = sem.environments([None, Shift("x", mean=1.0, std=3.0)], labels=["calm", "windy"])
    >>> envs.covs()[:, 0, 0]
    array([ 1., 10.])
    >>> envs.moments()
    Moments(x: 1, y: 1; 2 cells, n=inf)
    """

    def __init__(
        self,
        sem: LinearSEM,
        interventions: Sequence[Intervention | None],
        *,
        labels: Sequence[Any] | None = None,
    ) -> None:
        if sem.target is None:
            raise ValueError("The model has no target; build it with LinearSEM(..., target=...) to get X and y.")
        if isinstance(interventions, Intervention):
            raise TypeError("interventions must be a sequence with one entry per environment, got a single one.")
        self.sem = sem
        self.interventions = tuple(interventions)
        if not self.interventions:
            raise ValueError("interventions is empty; pass at least one (None is the observational environment).")
        n = len(self.interventions)
        self.labels = pd.Index(range(n) if labels is None else labels, name="environments")
        if len(self.labels) != n or not self.labels.is_unique:
            raise ValueError(f"labels must be {n} different labels, one per environment, got {list(self.labels)}.")
        self.models = tuple(sem if iv is None else sem.intervene(iv) for iv in self.interventions)

    def __len__(self) -> int:
        return len(self.interventions)

    def __repr__(self) -> str:
        return f"EnvironmentSet({len(self)} environments of {self.sem!r})"

    def means(self) -> FloatArray:
        """Exact means of all nodes, shape (E, p)."""
        return np.stack([model.mean() for model in self.models])

    def covs(self) -> FloatArray:
        """Exact covariances of all nodes, shape (E, p, p)."""
        return np.stack([model.cov() for model in self.models])

    def moments(self) -> Moments:
        """Population moments of features ``x`` and target ``y``, one cell of weight one per environment."""
        at = np.array([*self.sem.features, self.sem.target])
        names = self.sem.names
        return Moments(
            {"x": [names[i] for i in at[:-1]], "y": [names[at[-1]]]},
            mean=self.means()[:, at],
            scatter=self.covs()[:, at[:, None], at],
            cells=self.labels,
        )

    def sample(
        self, n: int | Sequence[int], *, random_state: RandomState = None
    ) -> tuple[FloatArray, FloatArray, np.ndarray]:
        """Draw rows in every environment; adding environments leaves the draws of earlier ones unchanged.

        Parameters
        ----------
        n : int or sequence of int
            Rows per environment.
        random_state : int, SeedSequence, Generator, RandomState or None
            Seed of the independent streams, one per environment.

        Returns
        -------
        X : ndarray of shape (N, d)
            Features, environment by environment.
        y : ndarray of shape (N,)
            Target.
        environments : ndarray of shape (N,)
            Label of each row.

        Raises
        ------
        ValueError
            If `n` does not have one entry per environment.
        """
        sizes = list(n) if isinstance(n, Sequence | np.ndarray) else [n] * len(self)
        if len(sizes) != len(self):
            raise ValueError(f"n has {len(sizes)} entries for {len(self)} environments; give one number or one each.")
        rngs = streams(random_state, len(self))
        rows = np.concatenate(
            [
                np.asarray(model.sample(size, random_state=rng))
                for model, size, rng in zip(self.models, sizes, rngs, strict=True)
            ]
        )
        return rows[:, self.sem.features], rows[:, self.sem.target], np.repeat(self.labels.to_numpy(), sizes)
