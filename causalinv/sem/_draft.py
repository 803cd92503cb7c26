"""What an intervention changes, and nothing else: the sparse difference between two models."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from causalinv._typing import FloatArray
from causalinv.exceptions import CyclicModelError
from causalinv.sem._noise import Gaussian, Noise

if TYPE_CHECKING:
    from causalinv.sem._interventions import Intervention
    from causalinv.sem._linear import LinearSEM

__all__ = ["Draft"]


class Draft:
    """Changed equations of a model: rows of B, constants and noise of the nodes that were touched.

    The noise of a node has up to four independent parts: its own law, a Gaussian shift, its share in the common
    causes of the model, and its share in shifts that move several nodes together.

    Attributes
    ----------
    rows : dict of int to ndarray of shape (p,)
        New rows of B.
    intercept : dict of int to float
    noise : dict of int to Noise
        New own laws.
    shift_std : dict of int to float
        New standard deviations of the Gaussian shift.
    common_scale : dict of int to float
        Multipliers of the node's share in the common causes.
    together : list of ndarray of shape (p, k)
        Loadings of added independent standard Gaussians.
    """

    def __init__(self, sem: LinearSEM, intervention: Intervention) -> None:
        self.sem = sem
        self.rows: dict[int, FloatArray] = {}
        self.intercept: dict[int, float] = {}
        self.noise: dict[int, Noise] = {}
        self.shift_std: dict[int, float] = {}
        self.common_scale: dict[int, float] = {}
        self.together: list[FloatArray] = []
        self._intervention = intervention
        self._set: set[tuple[str, int, int | None]] = set()
        for term in sorted(intervention.terms(), key=lambda term: term.phase):
            term.edit(self)
        self._check_acyclic()

    # -- what interventions call ------------------------------------------------------------------------------------

    def claim(self, what: str, node: int, parent: int | None = None) -> None:
        """Note that something is set; a second claim on it is a contradiction."""
        whole_equation = parent is not None and (what, node, None) in self._set
        if whole_equation or (what, node, parent) in self._set:
            raise ValueError(
                f"Two parts of {self._intervention!r} set the {what} of node {self.sem.names[node]!r}; keep one."
            )
        self._set.add((what, node, parent))

    def row(self, node: int) -> FloatArray:
        """The node's row of B, a copy to be written into."""
        return self.rows.setdefault(node, self.sem.B[node].copy())

    def add_intercept(self, node: int, value: float) -> None:
        """Add to the node's constant."""
        self.intercept[node] = self.intercept.get(node, float(self.sem.intercept[node])) + value

    def set_noise(self, node: int, noise: Noise) -> None:
        """Replace all noise of the node, its share in common causes included."""
        self.noise[node] = noise
        self.shift_std[node] = self.common_scale[node] = 0.0

    def silence(self, node: int) -> None:
        """Take all noise of the node away; its family stays, so that a seed means the same draws for the others."""
        self.set_noise(node, replace(self.sem.noise[node], std=0.0, mean=0.0))

    def scale_noise(self, node: int, factor: float) -> None:
        """Multiply all noise of the node about its mean."""
        self.noise[node] = self.noise.get(node, self.sem.noise[node]).scale(factor)
        self.shift_std[node] = self.shift_std.get(node, float(self.sem.shift_std[node])) * factor
        self.common_scale[node] = self.common_scale.get(node, 1.0) * factor

    def add_gaussian(self, node: int, std: float) -> None:
        """Add an independent Gaussian term to the node's equation."""
        if std:
            before = self.shift_std.get(node, float(self.sem.shift_std[node]))
            self.shift_std[node] = float(np.hypot(before, std))

    # -- result ---------------------------------------------------------------------------------------------------

    def _check_acyclic(self) -> None:
        """Only an edge against the base model's order can close a cycle; then, and only then, look."""
        if not self.rows:
            return
        if not self.sem.is_acyclic:
            self.build()  # raises, or warns, if the new feedback has no clear solution
            return
        rank = np.empty(self.sem.n_nodes, int)
        rank[list(self.sem.topological_order())] = np.arange(self.sem.n_nodes)
        if all((rank[np.flatnonzero(row)] < rank[node]).all() for node, row in self.rows.items()):
            return
        if not self.build().is_acyclic:
            raise CyclicModelError(
                f"{self._intervention!r} closes a cycle in an acyclic model; build a cyclic model to allow it."
            )

    def build(self) -> LinearSEM:
        """The model after the changes."""
        sem = self.sem
        B, intercept, noise, shift_std = sem.B.copy(), sem.intercept.copy(), list(sem.noise), sem.shift_std.copy()
        loading, laws = sem.common
        loading = loading.copy()
        for node, row in self.rows.items():
            B[node] = row
        for node, constant in self.intercept.items():
            intercept[node] = constant
        for node, law in self.noise.items():
            noise[node] = law
        for node, std in self.shift_std.items():
            shift_std[node] = std
        for node, factor in self.common_scale.items():
            loading[node] *= factor
        extra = sum(part.shape[1] for part in self.together)
        common = np.hstack([loading, *self.together]), (*laws, *(Gaussian(),) * extra)
        return sem._replace(B=B, intercept=intercept, noise=noise, shift_std=shift_std, common=common)
