"""Solved forms of many environments at once: their exact moments and their rows.

Environments whose mechanisms agree share one solved form; those that change a few rows of B get theirs by the Woodbury
identity; the rest are solved in full.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from causalinv._typing import FloatArray
from causalinv.sem._model import Model
from causalinv.sem._noise import draw
from causalinv.sem._tables import Tables

__all__ = ["Solver"]

_BATCH_BYTES = 64 * 2**20  # of temporary arrays at a time
_FULL_SHARE = 3 / 4  # of the rows of B: beyond it, solving in full is cheaper than updating (measured, p = 30 to 200)


@dataclass(frozen=True)
class Solver:
    """A model and what differs from it in each environment."""

    model: Model
    tables: Tables

    def fill(
        self, mean: FloatArray, cov: FloatArray, at: np.ndarray, which: np.ndarray, *, batch: float | None = None
    ) -> None:
        """Write means (n, a) and covariances (n, a, a) of nodes `at` in the environments `which` (consecutive).

        Beside them it holds up to four arrays of `batch` bytes, or of one environment if that is more.
        """
        batch = _BATCH_BYTES if batch is None else batch
        for mechanism in self.tables.mechanisms:
            # `which` is a run of positions and members ascend, so the overlap is a slice.
            inside = slice(*np.searchsorted(mechanism.members, [which[0], which[-1] + 1]))
            members = mechanism.members[inside]
            if not members.size:
                continue
            out = members - which[0]
            if not mechanism.rows:
                M = self.model.M[at]
                mean[out] = self.tables.constants[members] @ M.T
                cov[out] = self._shared_cov(M, members, batch)
                continue
            change = mechanism.change[inside]
            width = self.model.n_nodes if self._in_full(mechanism.rows) else max(len(at), len(mechanism.rows))
            step = int(max(1, batch // (8 * width * self.model.n_nodes)))
            for start in range(0, len(members), step):
                piece = slice(start, start + step)
                M = self.form(mechanism.rows, change[piece], at)
                half = M * np.sqrt(self._variance(members[piece]))[:, None, :]
                mean[out[piece]] = (M @ self.tables.constants[members[piece], :, None])[:, :, 0]
                cov[out[piece]] = half @ half.transpose(0, 2, 1)
                self._add_common(cov, out[piece], members[piece], M)

    def _variance(self, members: np.ndarray) -> FloatArray:
        """Variances of the noise beside common causes, (n, p)."""
        return self.tables.own_std[members] ** 2 + self.tables.shift_var[members]

    def _in_full(self, rows: tuple[int, ...]) -> bool:
        return len(rows) > _FULL_SHARE * self.model.n_nodes

    def _shared_cov(self, M: FloatArray, members: np.ndarray, batch: float) -> FloatArray:
        """Covariances where only the noise differs: a fixed part plus one matrix product for what varies."""
        variance = self._variance(members)
        varies = np.ptp(variance, axis=0) > 0
        fixed = M[:, ~varies] * np.sqrt(variance[0, ~varies])
        moving = M[:, varies]
        a, s = moving.shape
        cov = np.tile(fixed @ fixed.T, (len(members), 1, 1))
        if 8 * a * a * s <= batch:
            products = (moving[:, None, :] * moving[None, :, :]).reshape(a * a, s)
            cov += (variance[:, varies] @ products.T).reshape(len(members), a, a)
        else:
            for k, v in enumerate(variance[:, varies]):
                half = moving * np.sqrt(v)
                cov[k] += half @ half.T
        self._add_common(cov, np.arange(len(members)), members, M)
        return cov

    def _add_common(self, cov: FloatArray, out: np.ndarray, members: np.ndarray, M: FloatArray) -> None:
        """Add what common causes, old and new, contribute; `M` is shared (a, p) or one per member (n, a, p)."""
        share, together = self.tables.share, self.tables.together
        if share is None and not together:
            return
        for k, (position, e) in enumerate(zip(out, members, strict=True)):
            parts = [] if share is None else [share[e][:, None] * self.model.common.loading]
            if e in together:
                parts.append(together[e])
            if parts:
                half = (M if M.ndim == 2 else M[k]) @ np.hstack(parts)
                cov[position] += half @ half.T

    def form(self, rows: tuple[int, ...], change: FloatArray, at: np.ndarray) -> FloatArray:
        """Rows `at` of the solved forms (n, a, p) when rows of B change: M + M_T (I - D M_T)^-1 D M."""
        model, t = self.model, len(rows)
        if self._in_full(rows):
            system = np.tile(np.eye(model.n_nodes) - model.B, (len(change), 1, 1))
            system[:, list(rows)] -= change
            solved = np.linalg.inv(system)[:, at]
        else:
            moved = change @ model.M  # (n, t, p)
            inner = np.eye(t) - moved[:, :, list(rows)]
            solved = model.M[at] + model.M[np.ix_(at, np.array(rows))] @ np.linalg.solve(inner, moved)
        # A node that has lost all its parents is its own noise, exactly: a node set by do must not vary by rounding.
        alone = np.logical_not(np.any(change + model.B[list(rows)], axis=2)).reshape(-1, t)
        for k, row in enumerate(rows):
            for position in np.flatnonzero(at == row):
                solved[alone[:, k], position] = np.eye(model.n_nodes)[row]
        return np.asarray(solved, dtype=np.float64)

    def draw(self, e: int, n: int, M: FloatArray, rng: np.random.Generator) -> FloatArray:
        """Rows (n, a) of environment `e`, whose solved form at the nodes asked about is `M` (a, p)."""
        tables = self.tables
        laws = list(self.model.noise)
        for node, law in tables.laws.get(e, {}).items():
            laws[node] = law
        rows = draw(laws, n, rng) @ (M * tables.own_std[e]).T
        rows += M @ tables.constants[e]
        shifted = np.flatnonzero(tables.shift_var[e])
        if shifted.size:
            rows += rng.standard_normal((n, shifted.size)) @ (M[:, shifted] * np.sqrt(tables.shift_var[e, shifted])).T
        if tables.share is not None:
            causes = self.model.common
            rows += draw(causes.laws, n, rng) @ (M @ (tables.share[e][:, None] * causes.loading)).T
        if e in tables.together:
            extra = tables.together[e]
            rows += rng.standard_normal((n, extra.shape[1])) @ (M @ extra).T
        return rows
