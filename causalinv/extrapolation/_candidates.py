"""Which method learns the representation: the default, unless held-out rows speak against it beyond doubt."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from causalinv._parallel import generator
from causalinv._typing import BoolArray, FloatArray, RandomState
from causalinv._warn import warn
from causalinv.exceptions import IdentificationWarning
from causalinv.extrapolation._representation import METHODS, Learner
from causalinv.extrapolation._scores import MAX_REFERENCES, LocationModel

__all__ = ["DEFAULT", "DEFAULT_REDUCED", "MOST_ROWS", "N_FOLDS", "Candidates", "held_out"]

DEFAULT, DEFAULT_REDUCED = "npiv+location", "ef+location"
# The score sees how the representation moves with the action, and not its tails, where the default is best: another
# method must be better beyond doubt, as when the default has gone astray.
_MARGIN = 3.0
N_FOLDS = 4
MOST_ROWS = 20_000  # by which methods are compared
_TELLING = 50  # held-out rows from which a score of 0 means something


def held_out(n: int, fold: int = N_FOLDS - 1) -> BoolArray:
    """Rows of one fold: every fourth."""
    out: BoolArray = np.arange(n) % N_FOLDS == fold
    return out


@dataclass(frozen=True)
class Candidates:
    """Held-out score of every method in nats per row, the method to use, and the precision gap of ``"ef"``."""

    scores: dict[str, float]
    best: str
    precision_gap: float | None

    @classmethod
    def compare(
        cls, learner: Learner, rows: FloatArray, acts: FloatArray, n_components: int, random_state: RandomState
    ) -> Candidates:
        """Of a learner that saw all rows but the last fold."""
        out = held_out(len(rows))
        scores: dict[str, FloatArray] = {}
        gap: float | None = None
        rng = generator(random_state, "encoder references")
        references = acts[rng.permutation(len(acts))[:MAX_REFERENCES]]
        for method in METHODS:
            representation = learner.learn(method, n_components)
            phi = representation(rows)
            gap = representation.precision_gap if gap is None else gap
            law = LocationModel.fit(phi[~out], acts[~out], generator(random_state, "encoder score"))
            scores[method] = law.scores(phi[out], acts[out], references)
        best = DEFAULT
        for method in METHODS:
            gain = scores[method] - scores[best]
            if gain.mean() > _MARGIN * gain.std() / np.sqrt(len(gain)):
                best = method
        if np.count_nonzero(out) >= _TELLING and scores[best].mean() <= 0:
            warn(
                f"On held-out rows X says nothing about the action (score {scores[best].mean():.3f} nats, where 0 is "
                "nothing): there is nothing to learn a representation from, and predictions at untried actions mean "
                "nothing. Check that rows of X and action belong together.",
                IdentificationWarning,
            )
        return cls({method: float(values.mean()) for method, values in scores.items()}, best, gap)
