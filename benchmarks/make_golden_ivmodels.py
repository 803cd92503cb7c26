"""Write tests/golden/ivmodels.json: what ivmodels says on small data, so that the suite need not install it.

Run ``python benchmarks/make_golden_ivmodels.py`` with the extra ``bench`` installed.
"""

import json
from importlib.metadata import version
from pathlib import Path

import numpy as np
from ivmodels.models.anchor_regression import AnchorRegression
from ivmodels.models.kclass import KClass

ALPHAS = [0.01, 0.1, 1.0, 30.0]  # at 0.001 the peer itself is 1.4e-10 from a 50-digit solution, ours 1e-14


def case(n_features, seed):
    rng = np.random.default_rng(seed)
    Z, C = rng.normal(size=(80, 4)), rng.normal(size=80)
    X = Z @ rng.normal(size=(4, n_features)) + C[:, None] + rng.normal(size=(80, n_features)) + 5.0
    y = X @ np.arange(1.0, n_features + 1) + 2 * C + rng.normal(size=80) - 7.0
    answers = []
    for alpha in ALPHAS:
        peers = {
            "anchor regression": AnchorRegression(gamma=(1 + alpha) / alpha).fit(X, y, Z=Z),
            "K-class": KClass(kappa=1 / (1 + alpha)).fit(X, y, Z=Z),
        }
        for name, peer in peers.items():
            coef = np.ravel(peer.coef_).tolist()
            answers.append({"alpha": alpha, "peer": name, "coef": coef, "intercept": float(peer.intercept_)})
    return {"X": X.tolist(), "y": y.tolist(), "instruments": Z.tolist(), "answers": answers}


if __name__ == "__main__":
    versions = {name: version(name) for name in ("ivmodels", "numpy")}
    golden = {"versions": versions, "cases": [case(3, seed=0), case(6, seed=1)]}
    (Path(__file__).parents[1] / "tests" / "golden" / "ivmodels.json").write_text(json.dumps(golden, indent=1) + "\n")
