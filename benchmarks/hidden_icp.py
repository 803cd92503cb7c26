"""Inference for neutral rules beside R's hiddenICP (0.8) and causalDantzig (0.7-1): their examples, and coverage.

``python benchmarks/hidden_icp.py CLONE [data sets] [design]...``, CLONE the git directory of
https://github.com/cran/InvariantCausalPrediction; needs R. Writes tests/golden/hidden_icp.json, too: what R says of one
data set of each design (`tests/invariance/hidden_designs.py`), centred within environments; the suite needs no R.
"""

import json
import sys
import warnings
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pandas as pd
from _r import VERSIONS, answers
from _record import record

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from causalinv.exceptions import CausalInvWarning  # noqa: E402
from causalinv.invariance import InvariantRepresentation  # noqa: E402
from tests.invariance.hidden_designs import DESIGNS, centred  # noqa: E402

CHOSEN = sys.argv[3:] or list(DESIGNS)
REPLICATIONS = int(sys.argv[2]) if len(sys.argv) > 2 else 300
LEVEL = 0.05
PEER = """function(X, y, e, level) {
  hidden <- hiddenICP(X, y, e, alpha = level)
  dantzig <- causalDantzig(X, y, e, alpha = level)
  list(hiddenICP = list(coef = I(hidden$betahat), lower = I(hidden$ConfInt[2, ]), upper = I(hidden$ConfInt[1, ]),
                        pvalue = I(hidden$pvalues)),
       causalDantzig = list(coef = I(c(dantzig$coefficients)), lower = I(dantzig$CI[, 1]),
                            upper = I(dantzig$CI[, 2]), pvalue = I(dantzig$p_value)))
}"""


def golden():
    """One data set of each design, means taken out of each environment."""
    drawn = [(*centred(name), LEVEL) for name in DESIGNS]
    found, r = answers(sys.argv[1], ["hiddenICP", "causalDantzig"], PEER, drawn)
    cases = {}
    for (name, (_, seed, _)), (X, y, _, _), peers in zip(DESIGNS.items(), drawn, found, strict=True):
        cases[name] = {"seed": seed, "sum": float(np.abs(X).sum() + np.abs(y).sum()), "level": LEVEL, **peers}
    versions = {"R": r, "InvariantCausalPrediction": VERSIONS, "numpy": version("numpy")}
    text = json.dumps({"versions": versions, "cases": cases}, indent=1) + "\n"
    (ROOT / "tests" / "golden" / "hidden_icp.json").write_text(text)


def coverage(name):
    """Coverage and length of nominal 95% intervals, rows about their overall means."""
    rows, (draw, _, coefficients) = {}, DESIGNS[name]
    drawn, truth = [], np.array(coefficients)
    for k in range(REPLICATIONS):
        X, y, e = draw(np.random.default_rng([5, k]))
        drawn.append((X - X.mean(axis=0), y - y.mean(), e, LEVEL))
    found, _ = answers(sys.argv[1], ["hiddenICP", "causalDantzig"], PEER, drawn)
    ours = []
    for X, y, e, _ in drawn:
        table = InvariantRepresentation().fit(X, y, environments=e).inference(X, y, environments=e).table
        ours.append({"coef": table["estimate"], "lower": table["lower"], "upper": table["upper"]})
    methods = {"inference (Wald)": ours} | {peer: [each[peer] for each in found] for peer in found[0]}
    for method, given in methods.items():
        low, high, coef = (np.array([each[part] for each in given], float) for part in ("lower", "upper", "coef"))
        covered = ((low <= truth) & (truth <= high)).mean(axis=0)
        rows[method] = {
            "least coverage": covered.min(),
            "largest": covered.max(),
            "median length": np.median(high - low),
            "root mean squared error": np.sqrt(np.mean((coef - truth) ** 2)),
            "empty or inverted": np.mean(low > high),
        }
        print(name, method, rows[method], flush=True)
    return pd.DataFrame(rows).T


def main():
    warnings.simplefilter("ignore", CausalInvWarning)
    golden()
    for name in CHOSEN if REPLICATIONS else ():
        error = (0.05 * 0.95 / REPLICATIONS) ** 0.5
        title = f"{name}: 95% intervals, {REPLICATIONS} data sets (s.e. {error:.3f})"
        record("hidden_icp", {title: coverage(name).sort_values("least coverage")}, keep=True)


if __name__ == "__main__":
    main()
