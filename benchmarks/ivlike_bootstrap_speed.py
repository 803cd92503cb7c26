"""The bootstrap beside as many refits: CPU seconds of this process, n=2048 rows, d=32 features, q=31 directions.

`python ivlike_bootstrap_speed.py [replications]`; refits are `fit` on the rows drawn, timed on a tenth as many.
"""

import sys
import time
import warnings

import numpy as np
import pandas as pd
from _record import record
from sklearn.base import clone

from causalinv import IVLikeRegression, IVLikeRegressionCV, Translation
from causalinv.datasets import make_confounded_linear


def cases(world):
    """Models with what their bootstrap needs."""
    rng = np.random.default_rng(1)
    n = 400
    pairs = world.X[:n], world.X[:n] + rng.normal(size=(n, 31)) @ world.directions
    learnt = Translation.from_pairs(*pairs, n_directions=31, outcome_invariant=True)
    known = Translation(world.directions)
    return {
        "alpha=0": (IVLikeRegression(0.0, augmentation=known), None),
        "alpha=0.1": (IVLikeRegression(0.1, augmentation=known), None),
        "cc, chosen anew": (IVLikeRegression("cc", augmentation=known), None),
        "directions drawn anew": (IVLikeRegression(0.0, augmentation=learnt), pairs),
        "cc and directions anew": (
            IVLikeRegression("cc", augmentation=Translation(learnt.directions, outcome_invariant=True)),
            pairs,
        ),
        "cross-validated anew (20 strengths)": (
            IVLikeRegressionCV(np.logspace(-3, 1, 20), augmentation=known, random_state=0),
            None,
        ),
    }


def refits(model, world, pairs, n_replications):
    """CPU seconds of so many refits on rows drawn with replacement, directions and strength included."""
    rng = np.random.default_rng(0)
    start = time.process_time()
    for _ in range(n_replications):
        at = rng.integers(len(world.X), size=len(world.X))
        again = clone(model)
        if pairs is not None:
            which = rng.integers(len(pairs[0]), size=len(pairs[0]))
            again.augmentation = Translation.from_pairs(
                pairs[0][which], pairs[1][which], n_directions=31, outcome_invariant=True
            )
        again.fit(world.X[at], world.y[at])
    return time.process_time() - start


def main() -> None:
    """Time every case and record it."""
    n_replications = int(sys.argv[1]) if len(sys.argv) > 1 else 1000
    warnings.simplefilter("ignore")
    world = make_confounded_linear(2048, random_state=0)
    table = {}
    for name, (model, pairs) in cases(world).items():
        model.fit(world.X, world.y)
        start = time.process_time()
        model.bootstrap(n_replications, pairs=pairs, random_state=0)
        own = time.process_time() - start
        few = max(n_replications // 10, 10)
        other = refits(model, world, pairs, few) * n_replications / few
        table[name] = {"bootstrap, s": own, "refits, s": other, "times faster": other / own}
    frame = pd.DataFrame(table).T.sort_values("times faster")
    record("ivlike_bootstrap_speed", {f"{n_replications} replications": frame})


if __name__ == "__main__":
    main()
