"""Certificates against simulation: how often bounds are exceeded, by dimension, family and kind of moments.

``python benchmarks/pac.py [scale]``; a scale below 1 runs fewer trials.
"""

import sys
import time
import warnings

import numpy as np
import pandas as pd
from _record import record
from scipy.stats import binomtest
from sklearn.base import BaseEstimator

from causalinv import InvariantRepresentation, InvariantSubsetSelector
from causalinv.invariance import PACExperiment, SubsetStatistics, certify, invariance_gaps, sweep
from causalinv.invariance.rules._gaps import relative
from causalinv.invariance.subsets._fits import pooled_coef
from causalinv.invariance.subsets._sets import unpack
from causalinv.sem import InterventionFamily, choose_sites, random_sem

warnings.simplefilter("ignore")
SCALE = float(sys.argv[1]) if len(sys.argv) > 1 else 1.0


class LeastInvariantPair(BaseEstimator):
    """The pair of features whose pooled rule has the *largest* training gap: chosen to break, if anything does."""

    def fit_moments(self, moments):
        """Fit on moments by environment."""
        subsets = SubsetStatistics.concatenate(sweep(moments, max_size=2))
        pooled = moments.pool()
        gap = relative(subsets.excess, subsets.own_risk, float(pooled.cov("y")[0, 0, 0])).max(axis=1)
        d = moments.blocks["x"]
        self.support_ = unpack(subsets.packed[[int(np.argmax(gap))]], d)[0]
        self.coef_ = pooled_coef(pooled, self.support_)
        self.intercept_ = float(pooled.mean("y")[0, 0] - pooled.mean("x")[0] @ self.coef_)
        return self


def make_sem(d, rng):
    return random_sem(d + 1, expected_degree=3.0, random_state=rng)


def single_site(s):
    return lambda sem, rng: InterventionFamily(choose_sites(sem, s, random_state=rng), per_env="single")


def trials(n):
    return max(20, int(n * SCALE))


def exceedance():
    """Exact moments, rule and eps from training, s = 1, 2, 3."""
    rows = {}
    for s in (1, 2, 3):
        experiment = PACExperiment(
            make_sem,
            single_site(s),
            {
                "least invariant pair": LeastInvariantPair(),
                "invariant subset, eps .05": InvariantSubsetSelector(eps=0.05, max_size=2, search="exhaustive"),
            },
            d=[8],
            m=[60],
            n_reps=trials(2000),
            n_fresh=2000,
            random_state=s,
        )
        table = experiment.run()
        for name, group in table.groupby("learner"):
            hits = int(group["exceeded"].sum())
            interval = binomtest(hits, len(group)).proportion_ci(0.99)
            rows[s, name] = {
                "trials": len(group),
                "bound": group["beta_sites"].iloc[0],
                "violation, 95%": group["violation"].quantile(0.95),
                "exceeded": hits / len(group),
                "99% from": interval.low,
                "to": interval.high,
            }
    return pd.DataFrame(rows).T.rename_axis(["sites", "rule"])


def dimension():
    """One call: d = 10, 50, 200; the same class (at most two features)."""
    experiment = PACExperiment(
        make_sem,
        single_site(3),
        {
            "least invariant pair": LeastInvariantPair(),
            "invariant subset, eps .05": InvariantSubsetSelector(eps=0.05, max_size=2, search="exhaustive"),
            "neutral": InvariantRepresentation(),
        },
        d=[10, 50, 200],
        m=[30, 60],
        n_reps=trials(40),
        n_fresh=2000,
        random_state=0,
    )
    start = time.perf_counter()
    table = experiment.run()
    return experiment.summary(table), time.perf_counter() - start


def same_class():
    """The least invariant pair at d = 50 and 200, replications enough for a quantile."""
    experiment = PACExperiment(
        make_sem,
        single_site(3),
        {"least invariant pair": LeastInvariantPair()},
        d=[50, 200],
        m=[60],
        n_reps=trials(250),
        n_fresh=2000,
        random_state=1,
    )
    table = experiment.run()
    rng, ratios = np.random.default_rng(0), []
    small, large = (table.loc[table["d"] == d, "violation"].to_numpy() for d in (50, 200))
    for _ in range(2000):
        ratios.append(
            np.quantile(rng.choice(large, len(large)), 0.95) / np.quantile(rng.choice(small, len(small)), 0.95)
        )
    row = {
        "q95, d = 50": np.quantile(small, 0.95),
        "q95, d = 200": np.quantile(large, 0.95),
        "ratio": np.quantile(large, 0.95) / np.quantile(small, 0.95),
        "95% from (bootstrap)": np.quantile(ratios, 0.025),
        "to": np.quantile(ratios, 0.975),
    }
    return pd.DataFrame([row])


def fresh_certificates():
    """How often a certificate is below the truth, for other families and for rows."""

    def moved(kind):
        return lambda sem, rng: InterventionFamily(choose_sites(sem, 2, random_state=rng), kind=kind)

    def weights(sem, rng):
        return InterventionFamily([v for v in sem.features if sem.parents(v)][:1], kind="weights")

    kinds = {
        "variance": (moved("variance"), trials(1000)),
        "random_shift": (moved("random_shift"), trials(300)),
        "weights": (weights, trials(300)),
        "variance, observed through a mixing": (moved("variance"), trials(300)),
    }
    rows = {}
    for kind, (make, n) in kinds.items():
        below = {"holdout": 0, "union": 0, "scenario": 0, "two_level": 0, "holdout, plug_in": 0}
        counted = dict.fromkeys(below, 0)
        for seed in range(n):
            rng = np.random.default_rng([seed, len(kind)])
            sem = random_sem(6, expected_degree=3.0, random_state=rng)
            family = make(sem, rng)
            if "mixing" in kind:
                sem = sem.observe(rng.normal(size=(4, 5)))
            train = family.environments(sem, 12, random_state=rng)
            model = InvariantSubsetSelector(eps=1e9, max_size=1).fit_moments(train.moments())
            inside = np.eye(len(model.coef_))[model.support_]
            rule = (inside, model.coef_[model.support_], model.intercept_)
            many = family.environments(sem, 2000, random_state=rng).moments()
            gaps = invariance_gaps(many, *rule)
            eps = float(np.quantile(gaps, rng.uniform(0.7, 1.0)))  # any fixed tolerance
            truth = np.mean(gaps > eps * (1 + 1e-9) + 1e-12)  # what is smaller is rounding, as in certify
            fresh = family.environments(sem, 30, random_state=rng)
            held = certify(rule, fresh.moments(), eps=eps, method="holdout")
            counted["holdout"] += 1
            below["holdout"] += held.violation_upper < truth
            counted["union"] += 1  # with a violation it promises nothing, and cannot be below the truth
            if not held.violations:
                union = certify(rule, fresh.moments(), eps=eps, method="union", class_size=1)
                below["union"] += union.violation_upper < truth
            scenario = model.certify(method="scenario")
            best = (inside, np.array(scenario.coef)[model.support_], scenario.intercept)
            counted["scenario"] += 1
            below["scenario"] += scenario.violation_upper < np.mean(
                invariance_gaps(many, *best) > scenario.eps * (1 + 1e-6)
            )
            X, y, e = fresh.sample(120, random_state=rng)
            wide = max(eps, 0.05)
            truth = np.mean(gaps > wide)
            for name, options in (
                ("two_level", {"method": "two_level"}),
                ("holdout, plug_in", {"method": "holdout", "plug_in": True}),
            ):
                counted[name] += 1
                below[name] += certify(rule, X, y, environments=e, eps=wide, **options).violation_upper < truth
        for name, hits in below.items():
            low, high = binomtest(hits, counted[name]).proportion_ci(0.99)
            rows[kind, name] = {"trials": counted[name], "below the truth": hits / counted[name]}
            rows[kind, name] |= {"99% from": low, "to": high}
    return pd.DataFrame(rows).T.rename_axis(["family", "certificate"])


def plug_in():
    """beta_sites with estimated moments: not proved; measured. Tolerance: the gap as it appears in the rows."""
    rows = {}
    for n in (100, 1000):
        bad, count = 0, trials(300)
        for seed in range(count):
            rng = np.random.default_rng([n, seed])
            sem = make_sem(6, rng)
            family = single_site(2)(sem, rng)
            X, y, e = family.environments(sem, 40, baseline=True, random_state=rng).sample(n, random_state=rng)
            model = InvariantSubsetSelector(eps=1e9, max_size=2).fit(X, y, environments=e)
            certificate = model.certify(method="beta_sites", family=family, baseline=0, plug_in=True)
            rule = (np.eye(6)[model.support_], model.coef_[model.support_], model.intercept_)
            fresh = family.environments(sem, 2000, random_state=rng).moments()
            bad += np.mean(invariance_gaps(fresh, *rule) > certificate.eps) > certificate.violation_upper
        low, high = binomtest(bad, count).proportion_ci(0.99)
        rows[n] = {"trials": count, "below the truth": bad / count, "99% from": low, "to": high}
    return pd.DataFrame(rows).T.rename_axis("rows per environment")


def main():
    sections = {}
    table = exceedance()
    sections["beta_sites, exact moments, 60 interventions, confidence .95"] = table
    print(table.to_string(), flush=True)
    summary, seconds = dimension()
    sections[f"one PACExperiment call, d = 10, 50, 200, m = 30, 60 ({seconds:.0f} s)"] = summary
    print(summary.to_string(), flush=True)
    sections["the same class at d = 50 and 200"] = same_class()
    other = fresh_certificates()
    sections["other certificates: how often below the truth (nominal .05)"] = other
    print(other.to_string(), flush=True)
    measured = plug_in()
    sections["beta_sites with plug_in=True (not proved), how often below the truth"] = measured
    record("pac", sections)
    for s in (1, 2, 3):
        row = table.loc[s, "least invariant pair"]
        assert binomtest(int(row["exceeded"] * row["trials"]), int(row["trials"]), 0.05, "greater").pvalue > 1e-3
    for (_, name), row in other.iterrows():
        hits, n = round(row["below the truth"] * row["trials"]), int(row["trials"])
        assert name == "holdout, plug_in" or binomtest(hits, n, 0.05, "greater").pvalue > 1e-4


if __name__ == "__main__":
    main()
