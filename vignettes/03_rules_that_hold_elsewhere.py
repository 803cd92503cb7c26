# %% [markdown]
# # Which rule will hold elsewhere?
#
# The same outcome was measured in several environments: laboratories, years, countries. A regression on everything
# mixes relations that hold everywhere with relations that hold only as long as nobody moves a certain instrument. This
# vignette asks which features predict by *one rule* in all environments, how sure one can be, and what to do if there
# are none.
#
# **You will learn** which features predict by one rule in all environments, how sure one can be, and what to do if
# there are none.
#
# **Data.** simulated laboratories, 500 rows each; then Grunfeld's investments of 11 American firms, 1935 to 1954.

# %%
import warnings

import numpy as np
import pandas as pd
import sklearn
from sklearn.linear_model import Ridge
from sklearn.model_selection import cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from causalinv import InvariantRepresentation, InvariantSubsetSelector
from causalinv.datasets import load_grunfeld
from causalinv.exceptions import IdentificationWarning
from causalinv.inspection import EnvironmentRisksDisplay
from causalinv.invariance import invariance_gaps
from causalinv.metrics import LeaveOneEnvironmentOut
from causalinv.sem import InterventionFamily, LinearSEM

# %% [markdown]
# ## A marker that laboratories measure with more or less care
#
# `marker` and `scan` are effects of the outcome. The noise of `marker` differs between laboratories, that of `scan`
# does not; the spread of `dose` differs, too.

# %%
sem = LinearSEM.from_adjacency(
    np.array([[0, 0.5, 0, 0, 1.0], [0, 0, 0, 0, 1.0], [0, 0, 0, 0, 0], [0, 0, 0, 0, 0], [0, 0, 1.0, 1.0, 0]]),
    noise=[1.0, 1.0, 0.3, 1.0, 0.7],
    names=["age", "dose", "marker", "scan", "outcome"],
    target="outcome",
)
family = InterventionFamily(["dose", "marker"], kind="variance", law=lambda rng, n: rng.exponential(0.5, n))
laboratories = family.environments(sem, 4, baseline=True, random_state=0)
X, y, laboratory = laboratories.sample(500, random_state=0)
X = pd.DataFrame(X, columns=["age", "dose", "marker", "scan"])

# %%
model = InvariantSubsetSelector().fit(X, y, environments=laboratory)
model.summary()

# %%
model.invariant_sets_.head()

# %%
picture = EnvironmentRisksDisplay.from_estimator(model).plot()

# %% [markdown]
# Two things stand beside the choice: what least squares on everything would do, and the smallest tolerance that these
# data *certify*. A test that does not reject proves nothing; the certified gap is a confidence bound that allows for
# the search. In the population the question has an exact answer, by the same line of code:

# %%
exact = InvariantSubsetSelector().fit_moments(laboratories.moments())
print("sample:    ", list(X.columns[model.support_]), f"certified gap {model.gap_upper_:.3f}")
print("population:", list(X.columns[exact.support_]), f"gap {exact.gap_:.1e}")
for metric in ("relative_excess", "coefficient", "risk_range", "residual"):
    everything = invariance_gaps(laboratories.moments(), metric=metric)
    print(f"all features, {metric:<16}", np.round(everything, 3))

# %% [markdown]
# ## A tolerance instead of a test
#
# With `eps` a set is accepted if the data certify that the rule learnt in the other laboratories loses at most so much.
# Small laboratories certify little, and then nothing is accepted: that is the honest answer.

# %%
tolerant = InvariantSubsetSelector(eps=0.15).fit(X, y, environments=laboratory)
few = np.concatenate([np.flatnonzero(laboratory == k)[:30] for k in range(5)])
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always", IdentificationWarning)
    small = InvariantSubsetSelector(eps=0.15).fit(X.iloc[few], y[few], environments=laboratory[few])
print("500 rows each:", tolerant.accepted_, " 30 rows each:", small.accepted_)
print(caught[0].message)

# %% [markdown]
# ## Combinations instead of subsets
#
# A neutral rule need not drop the marker: it weighs the features so that no drift reaches its residual.

# %%
neutral = InvariantRepresentation().fit(X, y, environments=laboratory)
neutral.summary()

# %% [markdown]
# ## In a pipeline, judged on laboratories that were left out

# %%
with sklearn.config_context(enable_metadata_routing=True):
    scores = {}
    for name, pipe in {
        "all features": make_pipeline(StandardScaler(), Ridge()),
        "invariant subset": make_pipeline(StandardScaler(), InvariantSubsetSelector(min_size=1), Ridge()),
    }.items():
        routed = {"environments": laboratory}
        scores[name] = -cross_val_score(
            pipe, X, y, cv=LeaveOneEnvironmentOut(), scoring="neg_mean_squared_error", params=routed
        )
pd.DataFrame(scores).round(3)

# %% [markdown]
# Read that table with care: on the four drifts that were seen, least squares on all features is *better*, in each of
# them. Invariance is an insurance against drifts that are worse than these, and it has a price.

# %% [markdown]
# ## Real data: investment of American firms
#
# Does one rule link investment to value and capital? Before and after 1945, yes. Between firms, no: each firm has its
# own, and no subset changes that.

# %%
grunfeld = load_grunfeld()
with warnings.catch_warnings():
    warnings.simplefilter("ignore", IdentificationWarning)
    answers = {
        kind: InvariantSubsetSelector().fit(grunfeld.X, grunfeld.y, environments=grunfeld[kind])
        for kind in ("period", "firm")
    }
for kind, fit in answers.items():
    print(f"{kind:<7} accepted: {fit.accepted_!s:<6} p = {fit.pvalue_:.2g}, certified gap {fit.gap_upper_:.2g}")

# %% [markdown]
# ## In fresh laboratories
#
# In fresh laboratories the invariant subset and the neutral rule keep the risk that they had in training; least squares
# on everything does not.


# %%
fresh = family.environments(sem, 300, random_state=1)
F, outcome, where = fresh.sample(200, random_state=2)
F = pd.DataFrame(F, columns=X.columns)
plain = F.to_numpy() @ model.least_squares_coef_ + y.mean() - X.mean().to_numpy() @ model.least_squares_coef_
worst = {
    name: pd.Series((outcome - predicted) ** 2).groupby(where).mean().max()
    for name, predicted in {"all": plain, "subset": model.predict(F), "neutral": neutral.predict(F)}.items()
}
pd.Series(worst, name="worst of 300 fresh laboratories").round(3).to_frame()

# %% [markdown]
# **Where next.** [Six hospitals](04_six_hospitals) asks what may be promised; [the page of the
# room](../rooms/invariance) says how to read a summary.

# %% tags=["remove-cell"]
assert list(X.columns[model.support_]) == list(X.columns[exact.support_]) == ["age", "dose", "scan"]
assert tolerant.accepted_
assert not small.accepted_
assert answers["period"].accepted_
assert not answers["firm"].accepted_
assert worst["subset"] < 1.5 * model.worst_risk_
assert worst["all"] > 1.5 * worst["subset"]
