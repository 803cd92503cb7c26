"""Size of tests and coverage of sets of one effect with weak instruments, strong confounding and included controls.

One endogenous feature, its error correlated .95 with the outcome's, k instruments of concentration n λ (so the first
stage has F about 1 + nλ/k), five controls that move everything. Each cell: how often the truth is rejected at 5%.
"""

import sys
import time

import numpy as np
import pandas as pd
from _record import record
from scipy.stats import t as student

from causalinv.ivlike._conditional import clr_pvalue, lm_pvalue
from causalinv.ivlike._equation import Equation
from causalinv.ivlike._kclass import fuller_kappa, kclass, kclass_covariance, liml_kappa, moments_of
from causalinv.ivlike._weak_identification import ar_pvalue, robust_ar_pvalue

R = int(sys.argv[1]) if len(sys.argv) > 1 else 2000
RHO = 0.95


def codes(kind, n):
    """Clusters of rows: none, equal, or of sizes that fall by a fifth."""
    if kind == "none":
        return None
    number = int(kind.split()[0])
    if "equal" in kind:
        return np.arange(n) % number
    sizes = 0.8 ** np.arange(number)
    return np.sort(np.searchsorted(np.cumsum(sizes / sizes.sum()), (np.arange(n) + 0.5) / n))


def draw(rng, cell, clusters):
    n, k, strength, errors, _ = cell
    W = rng.normal(size=(n, 5))
    Z = rng.normal(size=(n, k)) + W[:, :1]
    u, v = rng.normal(size=n), rng.normal(size=n)
    if clusters is not None:
        g = clusters.max() + 1
        Z = Z + rng.normal(size=(g, k))[clusters]
        u, v = u + rng.normal(size=g)[clusters], v + rng.normal(size=g)[clusters]
    v = RHO * u + np.sqrt(1 - RHO**2) * v
    if errors == "unequal":
        size = 0.3 + np.abs(Z[:, 0])
        u, v = u * size, v * size
    x = Z @ np.full(k, np.sqrt(strength / n / k)) + W.sum(axis=1) + v
    return x + W @ np.arange(5.0) + u, x[:, None], Z, W


def rejections(cell, seed):
    n, k, _, errors, kind = cell
    clusters = codes(kind, n)
    out = {}
    rng = np.random.default_rng(seed)
    y, X, Z, W = draw(rng, cell, clusters)
    given = Equation.from_rows(y, X, Z, controls=W, clusters=clusters)
    liml = liml_kappa(*moments_of(given), over=k - 1)
    df = given.df if clusters is None else given.n_clusters - 1
    for name, kappa in (("2SLS", 1.0), ("LIML", liml), ("Fuller", fuller_kappa(liml, 1.0, df_first=given.df_first))):
        coef = kclass(given, kappa)
        kinds = (
            ("HC1", "misspecified") if errors == "unequal" or clusters is not None else ("classical", "misspecified")
        )
        for cov_type in kinds:
            error = np.sqrt(kclass_covariance(given, kappa, coef, cov_type=cov_type, estimated=name != "2SLS")[0, 0])
            kind_name = "textbook" if cov_type != "misspecified" else "misspecified"
            out[f"{name} {kind_name}"] = 2 * student.sf(abs(coef[0] - 1) / error, df)
    one = np.array([1.0])
    out["AR robust"] = robust_ar_pvalue(given, one)[1]
    if errors == "equal" and clusters is None:
        out["AR"] = ar_pvalue(given, one)[1]
        out["LM"] = lm_pvalue(given, 0, 1.0)
        out["CLR"] = clr_pvalue(given, 0, 1.0)
    return {name: float(p < 0.05) for name, p in out.items()}


CELLS = [
    (n, k, strength, errors, "none")
    for errors in ("equal", "unequal")
    for n in (50, 200)
    for k in (1, 5, 20)
    for strength in (0.0, 3.0 * k, 30.0 * k)
] + [
    (400, k, strength, "equal", kind)
    for kind in ("20 equal", "20 geometric", "50 equal")
    for k in (1, 3)
    for strength in (0.0, 30.0)
]


def main():
    rows, start = [], time.time()
    for cell in CELLS:
        found = [rejections(cell, seed) for seed in range(R)]
        n, k, strength, errors, kind = cell
        rows.append(
            {"n": n, "instruments": k, "F about": 1 + strength / k, "errors": errors, "clusters": kind}
            | pd.DataFrame(found).mean().to_dict()
        )
        print(rows[-1], round(time.time() - start), flush=True)
    table = pd.DataFrame(rows)
    index = ["n", "instruments", "F about", "errors", "clusters"]
    worst = table[[c for c in table if c not in index and not c.startswith(("2SLS", "LIML", "Fuller"))]].max(axis=1)
    table = table.assign(worst=worst).sort_values("worst", ascending=False).drop(columns="worst").set_index(index)
    bound = 0.05 + 2 * np.sqrt(0.05 * 0.95 / R)
    record(
        "ivlike_weak_instruments",
        {
            f"size of 5% tests, {R} replications, the worst of the robust tests first": table,
            "note": f"Monte-Carlo: 0.05 + 2 s.e. is {bound:.4f}. Errors of feature and outcome are correlated {RHO}. "
            "Textbook standard errors are classical for equal variances, and HC1 or its clustered form else; "
            "misspecified are those of Lee (2018), with the error of kappa for LIML and Fuller. AR, LM and CLR "
            "assume equal variances and independent rows, so they are shown there only.",
        },
    )


if __name__ == "__main__":
    main()
