"""Whether the encoder keeps the directions that the action moves, and says so where it cannot tell.

python benchmarks/extrapolation_dimension.py [data sets per cell]
"""

import sys
import time
import warnings

import numpy as np
import pandas as pd

from causalinv.datasets import make_extrapolation_data
from causalinv.exceptions import IdentificationWarning
from causalinv.extrapolation import LinearInvarianceEncoder, Rep4ExRegressor

N = 3000
FIRST = 5000


def world(strong, weak, rho, seed):
    """X, y, action of two directions, and the true curve."""
    rng = np.random.default_rng(seed)
    action = rng.uniform(-1, 1, (N, 2))
    V = rng.multivariate_normal([0, 0], [[1, rho], [rho, 1]], N)
    Z = action * [strong, weak] + V
    X = np.c_[Z + 0.1 * Z**3, np.tanh(Z @ rng.normal(size=(2, 2)))]
    y = Z[:, 0] + 3 * Z[:, 1] + V.sum(axis=1) + 0.3 * rng.normal(size=N)
    return X, y, action, lambda a: a @ [strong, 3 * weak]


CLIFF = {
    "effects 1.6 and .4": (1.6, 0.4, 0.0),
    "effects 1.6 and .4, corr(V) .8": (1.6, 0.4, 0.8),
    "effects 1.6 and .4, corr(V) .9": (1.6, 0.4, 0.9),
    "effects 1 and 1, corr(V) .8": (1.0, 1.0, 0.8),
    "effects 1 and 1, corr(V) .9": (1.0, 1.0, 0.9),
    "effects 1.6 and 1.2": (1.6, 1.2, 0.0),
}
ABSENT = {
    "d=1, k=2, D=4": {"n_latent": 1, "n_actions": 2, "n_features": 4},
    "d=2, k=3, D=6": {"n_latent": 2, "n_actions": 3, "n_features": 6},
    "d=2, k=3, D=6, smooth": {"n_latent": 2, "n_actions": 3, "n_features": 6, "mixing": "smooth"},
    "d=2, k=3, D=6, laplace": {"n_latent": 2, "n_actions": 3, "n_features": 6, "noise": "laplace"},
}


def fit(encoder, X, y, action):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return Rep4ExRegressor(encoder, random_state=0).fit(X, y, action=action)


def choose(X, action):
    """The dimension that the default encoder chooses, which its method and its bag play no part in, and its flag."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        encoder = LinearInvarianceEncoder(method="ef", n_repeats=1, bandwidths=(1.0,), random_state=0)
        encoder.fit(X, action=action)
    said = [str(w.message) for w in caught if issubclass(w.category, IdentificationWarning)]
    return encoder.n_components_, any(
        "may be nothing but noise" in s or "of the action, along which" in s for s in said
    )


def main(sets):
    asked = np.random.default_rng(5).uniform(-1.5, 1.5, (200, 2))
    asked = asked[np.abs(asked).max(axis=1) > 1]
    for name, (strong, weak, rho) in CLIFF.items():
        rows, start = [], time.process_time()
        for seed in range(FIRST, FIRST + sets):
            X, y, action, truth = world(strong, weak, rho, seed)
            d, flagged = choose(X, action)
            ratio = 1.0  # the fit that is told d=2 is then the same fit
            if d != 2:
                models = [fit(LinearInvarianceEncoder(m, random_state=0), X, y, action) for m in ("auto", 2)]
                gaps = [m.predict_do(asked, on_unsupported="ignore") - truth(asked) for m in models]
                ratio = float(np.sqrt(np.mean(gaps[0] ** 2) / np.mean(gaps[1] ** 2)))
            rows.append({"d": d, "flagged": flagged, "ratio": ratio})
        t = pd.DataFrame(rows)
        silent = int(((t["ratio"] > 1.2) & ~t["flagged"]).sum())
        print(
            f"| {name} | {sets} | {int((t['ratio'] <= 1.2).sum())} | {silent} | {int(t['flagged'].sum())} | "
            f"{int((t['d'] == 2).sum())} | {(time.process_time() - start) / sets:.1f} |",
            flush=True,
        )
    for name, sizes in ABSENT.items():
        for n in (300, 1000, 3000):
            found = []
            for seed in range(FIRST, FIRST + sets):
                data = make_extrapolation_data(n, random_state=seed, **sizes)
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore")
                    encoder = LinearInvarianceEncoder(method="ef", n_repeats=1, bandwidths=(1.0,), random_state=0)
                    decision = encoder.fit(data.X, action=data.action).effects_["decision"].tolist()
                found.append((decision.count("dropped"), decision.count("undecided"), len(decision)))
            extra = np.array(found)
            d = sizes["n_latent"]
            right = int((extra[:, 2] - extra[:, 0] == d).sum())
            print(
                f"| {name}, n={n} | {sets} | {right} | {int((extra[:, 2] - extra[:, 0] < d).sum())} | "
                f"{int((extra[:, 1] > 0).sum())} |",
                flush=True,
            )


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 40)
