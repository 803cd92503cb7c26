"""What an intervention changes, and nothing else: the sparse difference between two models."""

from __future__ import annotations

from dataclasses import replace
from typing import Generic, TypeVar

import numpy as np

from causalinv._typing import FloatArray
from causalinv.exceptions import CyclicModelError
from causalinv.sem._model import CommonCauses, Model
from causalinv.sem._noise import Gaussian, Noise

__all__ = ["Draft"]

M = TypeVar("M", bound=Model)


class Draft(Generic[M]):
    """Changed equations of a model: rows of B, constants and noise of the nodes that were touched.

    The noise of a node has up to four independent parts: its own law, a Gaussian shift, its share in the common
    causes of the model, and its share in shifts that move several nodes together.

    Parameters
    ----------
    model : Model
        The model before.
    cause : object
        What is being applied, for messages.

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

    def __init__(self, model: M, cause: object) -> None:
        self.model = model
        self.cause = cause
        self.rows: dict[int, FloatArray] = {}
        self.intercept: dict[int, float] = {}
        self.noise: dict[int, Noise] = {}
        self.shift_std: dict[int, float] = {}
        self.common_scale: dict[int, float] = {}
        self.together: list[FloatArray] = []
        self._set: set[tuple[str, int, int | None]] = set()

    # -- what interventions call ------------------------------------------------------------------------------------

    def claim(self, what: str, node: int, parent: int | None = None) -> None:
        """Note that something is set; a second claim on it is a contradiction."""
        whole_equation = parent is not None and (what, node, None) in self._set
        if whole_equation or (what, node, parent) in self._set:
            raise ValueError(
                f"Two parts of {self.cause!r} set the {what} of node {self.model.names[node]!r}; keep one."
            )
        self._set.add((what, node, parent))

    def row(self, node: int) -> FloatArray:
        """The node's row of B, a copy to be written into."""
        return self.rows.setdefault(node, self.model.B[node].copy())

    def add_intercept(self, node: int, value: float) -> None:
        """Add to the node's constant."""
        self.intercept[node] = self.intercept.get(node, float(self.model.intercept[node])) + value

    def set_noise(self, node: int, noise: Noise) -> None:
        """Replace all noise of the node, its share in common causes included."""
        self.noise[node] = noise
        self.shift_std[node] = self.common_scale[node] = 0.0

    def silence(self, node: int) -> None:
        """Take all noise of the node away; its family stays, so that a seed means the same draws for the others."""
        self.set_noise(node, replace(self.model.noise[node], std=0.0, mean=0.0))

    def scale_noise(self, node: int, factor: float) -> None:
        """Multiply all noise of the node about its mean."""
        self.noise[node] = self.noise.get(node, self.model.noise[node]).scale(factor)
        self.shift_std[node] = self.shift_std.get(node, float(self.model.shift_std[node])) * factor
        self.common_scale[node] = self.common_scale.get(node, 1.0) * factor

    def add_gaussian(self, node: int, std: float) -> None:
        """Add an independent Gaussian term to the node's equation."""
        if std:
            before = self.shift_std.get(node, float(self.model.shift_std[node]))
            self.shift_std[node] = float(np.hypot(before, std))

    # -- result ---------------------------------------------------------------------------------------------------

    def check_acyclic(self) -> None:
        """Only an edge against the base model's order can close a cycle; then, and only then, look."""
        if not self.rows:
            return
        if not self.model.is_acyclic:
            self.build()  # raises, or warns, if the new feedback has no clear solution
            return
        rank = np.empty(self.model.n_nodes, int)
        rank[list(self.model.topological_order())] = np.arange(self.model.n_nodes)
        if all((rank[np.flatnonzero(row)] < rank[node]).all() for node, row in self.rows.items()):
            return
        if not self.build().is_acyclic:
            raise CyclicModelError(
                f"{self.cause!r} closes a cycle in an acyclic model; build a cyclic model to allow it."
            )

    def build(self) -> M:
        """The model after the changes."""
        model = self.model
        B, intercept, noise = model.B.copy(), model.intercept.copy(), list(model.noise)
        shift_std, loading = model.shift_std.copy(), model.common.loading.copy()
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
        common = CommonCauses(np.hstack([loading, *self.together]), (*model.common.laws, *(Gaussian(),) * extra))
        return model.replace(B=B, intercept=intercept, noise=noise, shift_std=shift_std, common=common)
