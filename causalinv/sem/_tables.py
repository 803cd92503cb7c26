"""What differs between environments, and nothing else: arrays where most differ, dictionaries where few do."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from causalinv._typing import FloatArray
from causalinv.sem._interventions import Intervention, drafted
from causalinv.sem._model import Model
from causalinv.sem._noise import Noise

__all__ = ["Mechanism", "Tables"]


@dataclass(frozen=True)
class Mechanism:
    """Environments (positions) that change the same rows of B, and the change of these rows (n, t, p)."""

    rows: tuple[int, ...]
    members: np.ndarray
    change: FloatArray


@dataclass(frozen=True)
class Tables:
    """What differs between environments: (E, p) arrays where most do, dictionaries by position where few do."""

    constants: FloatArray
    own_std: FloatArray
    shift_var: FloatArray
    share: FloatArray | None  # of the common causes, if the model has any
    laws: dict[int, dict[int, Noise]]  # own laws of another family than the model's
    together: dict[int, FloatArray]  # loadings (p, k) of new common causes
    mechanisms: list[Mechanism]

    @classmethod
    def observational(cls, model: Model, n: int) -> Tables:
        """Tables of n environments that all equal the model."""
        return cls(
            constants=np.tile(model.constants, (n, 1)),
            own_std=np.tile(model.own_std, (n, 1)),
            shift_var=np.tile(model.shift_std**2, (n, 1)),
            share=np.ones((n, model.n_nodes)) if len(model.common) else None,
            laws={},
            together={},
            mechanisms=[Mechanism((), np.arange(n), np.empty((n, 0, 0)))],
        )

    @classmethod
    def of(cls, model: Model, interventions: Sequence[Intervention | None]) -> Tables:
        """Tables of any interventions, one draft at a time."""
        tables = cls.observational(model, len(interventions))
        grouped: dict[tuple[int, ...], tuple[list[int], list[FloatArray]]] = {}
        for e, intervention in enumerate(interventions):
            draft = drafted(model, intervention)
            rows = tuple(sorted(draft.rows))
            members, changes = grouped.setdefault(rows, ([], []))
            members.append(e)
            changes.append(np.array([draft.rows[r] - model.B[r] for r in rows]))
            for node in {*draft.intercept, *draft.noise}:
                law = draft.noise.get(node, model.noise[node])
                tables.constants[e, node] = draft.intercept.get(node, model.intercept[node]) + law.mean
            for node, law in draft.noise.items():
                tables.own_std[e, node] = law.std
                if law.shape() != model.noise[node].shape():
                    tables.laws.setdefault(e, {})[node] = law
            for node, std in draft.shift_std.items():
                tables.shift_var[e, node] = std**2
            if tables.share is not None:
                for node, factor in draft.common_scale.items():
                    tables.share[e, node] = factor
            if draft.together:
                tables.together[e] = np.hstack(draft.together)
        mechanisms = [Mechanism(rows, np.array(at), np.stack(changes)) for rows, (at, changes) in grouped.items()]
        return replace(tables, mechanisms=mechanisms)

    def take(self, at: np.ndarray) -> Tables:
        """Tables of some environments, in another order."""
        mechanisms = []
        for mechanism in self.mechanisms:
            inside = np.flatnonzero(np.isin(at, mechanism.members))
            if inside.size:
                source = np.searchsorted(mechanism.members, at[inside])
                mechanisms.append(Mechanism(mechanism.rows, inside, mechanism.change[source]))
        return Tables(
            constants=self.constants[at],
            own_std=self.own_std[at],
            shift_var=self.shift_var[at],
            share=None if self.share is None else self.share[at],
            laws={k: self.laws[e] for k, e in enumerate(at.tolist()) if e in self.laws},
            together={k: self.together[e] for k, e in enumerate(at.tolist()) if e in self.together},
            mechanisms=mechanisms,
        )
