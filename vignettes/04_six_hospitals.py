# %% [markdown]
# # Six hospitals: what can I promise about a seventh?
#
# A rule was learnt in a few hospitals and holds in all of them. How often will it fail in the next one? This vignette
# begins with six hospitals of rows and eight lines, says what is possible at all, certifies one rule in other ways, and
# ends with the experiment that checks the promises.
#
# **You will learn** what six hospitals can prove at best, what each kind of certificate asks for, and how to check a
# promise by experiment.
#
# **Data.** simulated hospitals: 400 rows in each of six; exact moments; then 400 rows in each of 40 fresh ones.

# %%
import tempfile

import numpy as np
import pandas as pd

from causalinv import HierarchicalConformalRegressor, InvariantSubsetSelector
from causalinv.inspection import CertificateDisplay, PACDisplay
from causalinv.invariance import (
    InvariantRepresentation,
    PACExperiment,
    certify,
    expected_violation,
    plan_interventions,
    validity_table,
    violation_bound,
)
from causalinv.sem import InterventionFamily, LinearSEM, choose_sites, random_sem

pd.set_option("display.max_colwidth", None)

# %% [markdown]
# ## Six hospitals, eight lines
#
# Each hospital measures either the dose or the marker with additional noise of its own. Three hospitals choose the rule
# and three judge it, because a rule cannot be judged by what chose it.

# %%
sem = LinearSEM.from_adjacency(
    np.array([[0, 0.5, 0, 0, 1.0], [0, 0, 0, 0, 1.0], [0, 0, 0, 0, 0], [0, 0, 0, 0, 0], [0, 0, 1.0, 1.0, 0]]),
    noise=[1.0, 1.0, 0.3, 1.0, 0.7],
    names=["age", "dose", "marker", "scan", "outcome"],
    target="outcome",
)
family = InterventionFamily(["dose", "marker"], kind="variance", per_env="single")
X, y, hospital = family.environments(sem, 6, random_state=4).sample(400, random_state=2)
X, y = pd.DataFrame(X, columns=["age", "dose", "marker", "scan"]), pd.Series(y, name="severity")

# %% tags=["task"]
learn = hospital < 3
rule = InvariantSubsetSelector().fit(X[learn], y[learn], environments=hospital[learn])
rule.summary()  # the rule, its coefficients, and its risk in each hospital

# %% [markdown]
# What is promised of a seventh, and what that rests on:

# %% tags=["task"]
promise = certify(rule, X[~learn], y[~learn], environments=hospital[~learn], eps=0.1, method="two_level")
print(promise.explain(noun="hospital"))

# %% [markdown]
# What can be promised of one patient there:

# %% tags=["task"]
ranges = HierarchicalConformalRegressor(random_state=0).fit(X, y, environments=hospital)
ranges.summary()

# %% [markdown]
# The other methods: what each asks, and how many hospitals it takes for a bound of 40%.

# %% tags=["task"]
plan_interventions(0.4, n_sites=2)

# %% [markdown]
# Promised: with 95% confidence at most 66.5% of new hospitals break the rule, that is, have more than 10% more squared
# error by it than by a rule of their own; and an interval for one patient of the next hospital, at a level that six
# hospitals can bear.
#
# Not promised: anything of one given hospital, of hospitals that are not drawn as these were, or of rows that are not
# Gaussian (`method="bounded"` and `method="kurtosis"` ask for a bound instead). Run a second method on the same
# hospitals only if the error was split beforehand.

# %% [markdown]
# ## What m hospitals can prove at best
#
# Suppose the rule holds in all m hospitals, which are independent draws of one law. Whatever the method, the bound on
# the share of hospitals in which it fails cannot be below 1 - 0.05^(1/m). With six hospitals that is 39%. The mean is
# kinder: the chance that the *next* one fails is at most 1/7.

# %%
best = pd.DataFrame(
    {
        "95% bound, at best": [violation_bound(m, method="holdout") for m in (6, 13, 59, 300)],
        "next one, at best": [expected_violation(m, method="holdout") for m in (6, 13, 59, 300)],
        "95% bound, three sites": [violation_bound(m, method="beta_sites", n_sites=3) for m in (6, 13, 59, 300)],
    },
    index=pd.Index([6, 13, 59, 300], name="hospitals"),
)
best.round(3)

# %%
plan_interventions(0.05, n_sites=3, class_size=1024)  # hospitals for a bound of 5%

# %% [markdown]
# ## What each certificate asks for
#
# A certificate is a theorem with conditions. Requests outside this table are refused, and the message names the
# condition that is missing.

# %%
validity_table()[["evidence", "families", "moments"]]

# %% [markdown]
# ## A rule, and what its own hospitals prove
#
# The first hospital is careful here and adds no noise. The moments are exact: certificates from training environments
# are proved for exact moments only.

# %%
hospitals = family.environments(sem, 60, baseline=True, random_state=0)
model = InvariantSubsetSelector().fit_moments(hospitals.moments())
print(model.certify(method="beta_sites", family=family, baseline=0).explain())
print()
print(model.certify(method="scenario", baseline=0).explain())

# %% [markdown]
# ## What fresh hospitals prove, from rows
#
# Rows are not exact moments. `two_level` tests every fresh hospital by its rows, and counts it as a failure unless its
# gap is certified to be small.

# %%
X, y, where = family.environments(sem, 40, random_state=1).sample(400, random_state=2)
fresh = certify(model, X, y, environments=where, eps=0.1, method="two_level")
print(fresh.explain(noun="hospital"))
picture = CertificateDisplay(fresh).plot()

# %% [markdown]
# Training environments of rows are refused where only exact moments are proved:

# %%
try:
    seen = hospitals[:20].sample(400, random_state=3)
    InvariantSubsetSelector(eps=1.0).fit(*seen[:2], environments=seen[2]).certify(
        method="beta_sites", family=family, baseline=0
    )
except ValueError as refusal:
    print("refused:", refusal)

# %% [markdown]
# ## Does it hold? The experiment
#
# One call: models and families are drawn, rules are learnt from m interventions, and 2000 fresh ones tell how often
# each rule really breaks. The number of features does not matter.

# %%
experiment = PACExperiment(
    lambda d, rng: random_sem(d + 1, expected_degree=3.0, random_state=rng),
    lambda sem, rng: InterventionFamily(choose_sites(sem, 3, random_state=rng), per_env="single"),
    {"subset": InvariantSubsetSelector(eps=0.05, max_size=2), "neutral": InvariantRepresentation()},
    d=[6, 12],
    m=[20, 60],
    n_reps=12,
    n_fresh=2000,
    random_state=0,
)
with tempfile.TemporaryDirectory() as folder:
    experiment.run(shard=(0, 2), out=folder)  # two machines of a batch cluster, one after the other here
    experiment.run(shard=(1, 2), out=folder)
    table = PACExperiment.collect(folder)
display = PACDisplay.from_result(table).plot(learner="subset")
experiment.summary(table).round(3)

# %% [markdown]
# **Where next.** [Certificates](../certificates) has the statements and proofs; [five tasks](../five_tasks) begins
# with six hospitals of rows.

# %% tags=["remove-cell"]
assert abs(violation_bound(6, method="holdout") - (1 - 0.05 ** (1 / 6))) < 1e-12
assert fresh.violation_upper < 0.2
assert promise.violations == 0
assert abs(promise.violation_upper - 0.6649) < 5e-4
assert list(rule.get_feature_names_out()) == ["age", "dose", "scan"]
assert ranges.highest_level_ >= 0.5
assert (table["violation"] <= table["beta_sites"]).mean() >= 0.95
assert len(display.ax_.lines) >= 4
