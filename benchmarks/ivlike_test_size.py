"""Size and power of `ols_invariance_test` at level .05, in every design of the audit's table and in harder ones.

`python ivlike_test_size.py [replications]`; y does not depend on the q moved columns (size), or on each of them by an
equal effect for which the exact F test of independent errors has power .9 or so (power). With clusters, rows of one
cluster share a part of X and of the noise. "exact F" is the classical test, which has its level with normal errors of
equal variance only. Errors: "normal", of equal variance; "lines", times 0.3 + |x0|; "sphere", times |x|²; "t3".
"""

import sys
import time
import warnings

import numpy as np
import pandas as pd
from _record import record

from causalinv import FunctionAugmentation, IVLikeRegression, Translation

INDEX = ["n", "d", "q", "clusters", "errors", "integration"]
TABLE = [(10, 6, 2), (30, 5, 4), (50, 5, 3), (100, 5, 3), (100, 25, 20), (800, 5, 3), (200, 60, 50), (500, 32, 31)]
CLUSTERED = [(400, 5, 3, "10"), (400, 5, 3, "20"), (400, 5, 3, "50"), (400, 5, 3, "20 geometric")]
CLUSTERED += [(800, 12, 10, "12"), (800, 12, 10, "20"), (800, 12, 10, "40")]
UNEQUAL = [(30, 5, 4), (50, 5, 3), (100, 25, 20), (500, 5, 3)]
DESIGNS = (
    [(*each, "none", "normal", "closed_form") for each in TABLE]
    + [(*each, "normal", "closed_form") for each in CLUSTERED]
    + [(*each, "none", errors, "closed_form") for errors in ("lines", "sphere", "t3") for each in UNEQUAL]
    + [(50, 5, 3, "none", "normal", "drawn"), (100, 25, 20, "none", "normal", "drawn")]
    + [(400, 5, 3, "12", "normal", "drawn")]
)


def codes(kind, n):
    """Clusters of rows: none, equal, or of sizes that fall by a fifth."""
    if kind == "none":
        return None
    number = int(kind.split()[0])
    if "geometric" not in kind:
        return np.arange(n) % number
    sizes = 0.8 ** np.arange(number)
    return np.sort(np.searchsorted(np.cumsum(sizes / sizes.sum()), (np.arange(n) + 0.5) / n))


def knowledge(d, q, integration):
    """The same moves, declared, or drawn by a black box that says no more than its parameters."""
    if integration == "closed_form":
        return Translation(np.eye(d)[:q])

    def func(X, rng):
        G = rng.normal(size=(len(X), q))
        return X + G @ np.eye(d)[:q], G

    return FunctionAugmentation(func)


def cell(design, n_reps):
    """Rejections of noise and of an effect, by our test and by the exact F."""
    n, d, q, clusters, errors, integration = design
    groups = codes(clusters, n)
    effect = np.sqrt((10.0 + 4.0 * np.sqrt(q)) / (n - d) / q) * (1.0 if groups is None else 2.0)
    found = {"size": 0, "power": 0, "size exact F": 0, "power exact F": 0}
    plain = groups is None and integration == "closed_form"
    for seed in range(n_reps):
        rng = np.random.default_rng(seed)
        X, noise = rng.normal(size=(n, d)), rng.normal(size=n)
        if groups is not None:
            g = groups.max() + 1
            X, noise = X + rng.normal(size=(g, d))[groups], noise + rng.normal(size=g)[groups]
        if errors == "lines":
            noise *= 0.3 + np.abs(X[:, 0])
        elif errors == "sphere":
            noise *= np.sum(X**2, axis=1) / d
        elif errors == "t3":
            noise = rng.standard_t(3, size=n)
        aug = knowledge(d, q, integration)
        for name, y in (("size", noise), ("power", noise + effect * X[:, :q].sum(axis=1))):
            model = IVLikeRegression(0.1, augmentation=aug, n_copies=2, random_state=seed).fit(X, y, groups=groups)
            found[name] += model.ols_invariance_test().pvalue < 0.05
            if plain:
                found[f"{name} exact F"] += model.ols_invariance_test(cov_type="classical").pvalue < 0.05
    row = {key: value / n_reps for key, value in found.items()}
    if not plain:
        row["size exact F"] = row["power exact F"] = np.nan
    return row


def main() -> None:
    """Run all designs and record them."""
    n_reps = int(sys.argv[1]) if len(sys.argv) > 1 else 2000
    warnings.simplefilter("ignore")
    rows, start = [], time.process_time()
    for design in DESIGNS:
        rows.append(dict(zip(INDEX, design, strict=True)) | cell(design, n_reps))
        print(rows[-1], round(time.process_time() - start), flush=True)
    table = pd.DataFrame(rows).set_index(INDEX)
    table["of exact F"] = table["power"] / table["power exact F"]
    title = f"{n_reps} replications, s.e. of a size of .05 {0.218 / n_reps**0.5:.4f}, the largest size first"
    record("ivlike_test_size", {title: table.sort_values("size", ascending=False)})


if __name__ == "__main__":
    main()
