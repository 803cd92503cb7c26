"""Stata's recorded digits, as linearmodels ships them: coefficients and covariances of ivregress, 2sls and liml."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from causalinv.ivlike._equation import Equation
from causalinv.ivlike._kclass import kclass, kclass_covariance, liml_kappa, moments_of

peer = pytest.importorskip("linearmodels.tests.iv.results.read_stata_results", reason="a peer, of the extra bench")
RESULTS = Path(peer.__file__).parent
if not (RESULTS / "simulated-data.dta").exists():
    pytest.skip("this linearmodels ships no results of Stata", allow_module_level=True)

OUTCOME = {"vce(unadjusted)": "y_unadjusted", "vce(robust)": "y_robust", "vce(cluster cluster_id)": "y_clustered"}
HOUSING = {"unadjusted": "classical", "robust": "HC1", "cluster": "HC1"}


def estimated(equation, model):
    kappa = 1.0 if model == "2sls" else liml_kappa(*moments_of(equation), over=equation.reduced.over)
    return kappa, kclass(equation, kappa)


def test_simulated_data():
    data = pd.read_stata(RESULTS / "simulated-data.dta")
    n_compared = 0
    for key, block in peer.parse_file(str(RESULTS / "stata-iv-simulated-results.txt")).items():
        model, endogenous, exogenous, instruments, weighted, variance, other = key.split("-")
        if model == "gmm" or variance not in OUTCOME or "small" not in other or "noconstant" in other:
            continue
        stata = peer.parse_block(block)
        X = data[["x1", "x2"]] if "2" in endogenous else data[["x1"]]
        C = data[["x3", "x4", "x5"]].to_numpy() if "3" in exogenous else None
        Z = data[["z1", "z2"]] if "2" in instruments else data[["z1"]]
        groups = pd.factorize(data["cluster_id"])[0] if "cluster" in variance else None
        equation = Equation.from_rows(
            data[OUTCOME[variance]].to_numpy(float),
            X.to_numpy(float),
            Z.to_numpy(float),
            controls=C,
            weight=data["weights"].to_numpy(float) if "True" in weighted else None,
            clusters=groups,
        )
        kappa, coef = estimated(equation, model)
        names = list(X.columns)
        np.testing.assert_allclose(coef, stata.params.params[names], rtol=1e-6, err_msg=key)
        kind = "classical" if "unadjusted" in variance else "HC1"
        cov = kclass_covariance(equation, kappa, coef, cov_type=kind)
        np.testing.assert_allclose(cov, stata.cov.loc[names, names], rtol=1e-4, err_msg=key)
        n_compared += 1
    assert n_compared == 72


def test_housing_example_of_the_manual():
    data = pd.read_csv(RESULTS / "housing.csv", index_col=0)
    regions = pd.get_dummies(data["region"], dtype=float).iloc[:, 1:]
    Z = np.column_stack([data["faminc"], regions])
    n_compared = 0
    for key, stata in peer.process_results(str(RESULTS / "stata-iv-housing-results.txt")).items():
        model, variance, size = key.split("-")
        if model == "gmm" or variance not in HOUSING or size != "small":
            continue
        groups = pd.factorize(data["division"])[0] if variance == "cluster" else None
        equation = Equation.from_rows(
            data["rent"].to_numpy(float),
            data[["hsngval"]].to_numpy(float),
            Z,
            controls=data[["pcturban"]].to_numpy(float),
            clusters=groups,
        )
        kappa, coef = estimated(equation, model)
        assert coef[0] == pytest.approx(stata.params["hsngval"], rel=1e-6), key
        cov = kclass_covariance(equation, kappa, coef, cov_type=HOUSING[variance])
        assert cov[0, 0] == pytest.approx(stata.cov.loc["hsngval", "hsngval"], rel=1e-4), key
        n_compared += 1
    assert n_compared == 6
