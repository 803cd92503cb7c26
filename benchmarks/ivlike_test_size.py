"""Size and power of `ols_invariance_test` at level .05, in every design of the audit's table and in harder ones.

`python ivlike_test_size.py [replications] [rows|unequal|clusters|drawn ...]`; y does not depend on the q moved
columns (size), or on each of them by an equal effect for which the exact F test of independent errors has power .9 or
so (power). With clusters, rows of one cluster share a part of X and of the noise. "exact F" is the classical test,
which has its level with normal errors of equal variance only. "sampled": copies whose originals are not used, so that
the directions are estimated; y then depends on the columns that are not moved. Errors: "normal", of equal variance;
"lines", times 0.3 + |x0|; "sphere", times |x|²; "t3".
"""

import sys
import time
import warnings

import numpy as np
import pandas as pd
from _record import record

from causalinv import FunctionAugmentation, IVLikeRegression, Translation
from causalinv.ivlike._sign_flips import clustered_pvalue, share_pvalue

CHECKED = 3  # replications in which the estimator is asked too
INDEX = ["n", "d", "q", "clusters", "errors", "integration"]
TABLE = [(10, 6, 2), (30, 5, 4), (50, 5, 3), (100, 5, 3), (100, 25, 20), (800, 5, 3), (200, 60, 50), (500, 32, 31)]
CLUSTERED = [(400, 5, 3, "10"), (400, 5, 3, "20"), (400, 5, 3, "50"), (400, 5, 3, "20 geometric"), (400, 5, 1, "6")]
CLUSTERED += [(800, 12, 10, "12"), (800, 12, 10, "20"), (800, 12, 10, "40")]
UNEQUAL = [(30, 5, 4), (50, 5, 3), (100, 25, 20), (500, 5, 3)]
DESIGNS = {
    "rows": [(*each, "none", "normal", "closed_form") for each in TABLE],
    "unequal": [(*each, "none", kind, "closed_form") for kind in ("lines", "sphere", "t3") for each in UNEQUAL],
    "clusters": [(*each, "normal", "closed_form") for each in CLUSTERED],
    "drawn": [(50, 5, 3, "none", "normal", "drawn"), (100, 25, 20, "none", "normal", "drawn")]
    + [(400, 5, 3, kind, "normal", "drawn") for kind in ("12", "20 geometric")]
    + [(100, 5, 3, "none", kind, "sampled") for kind in ("normal", "lines")]
    + [(400, 5, 3, kind, "normal", "sampled") for kind in ("12", "20 geometric")],
}


def codes(kind, n):
    """Clusters of rows: none, equal, or of sizes that fall by a fifth."""
    if kind == "none":
        return None
    number = int(kind.split()[0])
    if "geometric" not in kind:
        return np.arange(n) % number
    sizes = 0.8 ** np.arange(number)
    return np.sort(np.searchsorted(np.cumsum(sizes / sizes.sum()), (np.arange(n) + 0.5) / n))


def judged(design, X, y, groups):
    """P value by the estimator, and of the classical test where there is one."""
    _, d, q, _, _, integration = design
    if integration == "closed_form":
        aug = Translation(np.eye(d)[:q])
    else:

        def func(rows, rng):
            G = rng.normal(size=(len(rows), q))
            return rows + G @ np.eye(d)[:q], G

        aug = FunctionAugmentation(func)
    how = "sampled" if integration == "sampled" else "auto"
    model = IVLikeRegression(0.1, augmentation=aug, n_copies=2, integration=how, random_state=0)
    model.fit(X, y, groups=groups)
    exact = np.nan
    if groups is None and integration == "closed_form":
        exact = model.ols_invariance_test(cov_type="classical").pvalue
    return model.ols_invariance_test().pvalue, exact


def quick(design, X, y, groups):
    """The same from an orthogonal decomposition, without a fit."""
    n, _, q, _, _, _ = design
    basis = np.linalg.qr(np.column_stack([np.ones(n), X[:, q:], X[:, :q]]))[0]
    fitted, moved = basis[:, :-q], basis[:, -q:]
    residual = y - fitted @ (fitted.T @ y)
    if groups is None:
        return tuple(share_pvalue(residual, moved, fitted, equal=equal)[1] for equal in (False, True))
    return clustered_pvalue(residual, moved, fitted, groups)[1], np.nan


def draw(design, seed):
    """Features, errors and clusters."""
    n, d, _, clusters, errors, _ = design
    rng = np.random.default_rng(seed)
    X, noise, groups = rng.normal(size=(n, d)), rng.normal(size=n), codes(clusters, n)
    if groups is not None:
        g = groups.max() + 1
        X, noise = X + rng.normal(size=(g, d))[groups], noise + rng.normal(size=g)[groups]
    if errors == "lines":
        noise *= 0.3 + np.abs(X[:, 0])
    elif errors == "sphere":
        noise *= np.sum(X**2, axis=1) / d
    elif errors == "t3":
        noise = rng.standard_t(3, size=n)
    return X, noise, groups


def cell(design, n_reps):
    """Rejections of noise and of an effect, by our test and by the exact F."""
    n, d, q, clusters, _, integration = design
    effect = np.sqrt((10.0 + 4.0 * np.sqrt(q)) / (n - d) / q) * (1.0 if clusters == "none" else 2.0)
    drawn = integration != "closed_form"
    found = {}
    n_reps = n_reps // 4 if drawn else n_reps
    for seed in range(n_reps):
        X, noise, groups = draw(design, seed)
        if integration == "sampled":  # the directions are not known exactly, and the outcome has others
            noise = noise + 0.3 * X[:, q:].sum(axis=1)
        for name, y in (("size", noise), ("power", noise + effect * X[:, :q].sum(axis=1))):
            own = judged(design, X, y, groups) if drawn else quick(design, X, y, groups)
            if not drawn and seed < CHECKED:  # the quick way is the estimator's
                np.testing.assert_allclose(own, judged(design, X, y, groups), rtol=1e-6)
            for key, p in zip((name, f"{name} exact F"), own, strict=True):
                found.setdefault(key, []).append(np.nan if np.isnan(p) else p < 0.05)
    return {"replications": n_reps} | {key: float(np.mean(values)) for key, values in found.items()}


def main() -> None:
    """Run all designs and record them."""
    n_reps = int(sys.argv[1]) if len(sys.argv) > 1 else 2000
    warnings.simplefilter("ignore")
    start = time.process_time()
    for part in sys.argv[2:] or DESIGNS:
        rows = []
        for design in DESIGNS[part]:
            rows.append(dict(zip(INDEX, design, strict=True)) | cell(design, n_reps))
            print(rows[-1], round(time.process_time() - start), flush=True)
        table = pd.DataFrame(rows).set_index(INDEX)
        table["of exact F"] = table["power"] / table["power exact F"]
        title = f"{part}: s.e. of a size of .05 {0.218 / rows[0]['replications'] ** 0.5:.4f}, the largest size first"
        record("ivlike_test_size", {title: table.sort_values("size", ascending=False)}, keep=True)


if __name__ == "__main__":
    main()
