# %% [markdown]
# # A against B must mirror B against A
#
# Tournaments, auctions, twin studies, taste tests: a row holds two sides, and which one is called A is nobody's
# business. If A beats B with probability 0.7, then B beats A with 0.3. Learners do not know that.
#
# **You will learn** to make any learner mirror itself when two sides change places, and to test whether sides matter
# at all.
#
# **Data.** simulated matches: three features of each side, and who won.

# %%
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from sklearn.ensemble import ExtraTreesClassifier, ExtraTreesRegressor
from sklearn.linear_model import LinearRegression
from sklearn.metrics import log_loss

from causalinv.ivlike import IVLikeRegression
from causalinv.symmetry import FrameAveragingClassifier, FrameAveragingRegressor, symmetry_test
from causalinv.transformations import PermutationGroup

rng = np.random.default_rng(1)
swap = PermutationGroup([[3, 4, 5, 0, 1, 2]])


def matches(n, first_mover=0.0):
    A, B = rng.normal(size=(2, n, 3))
    edge = 2 * (A[:, 0] * A[:, 1] - B[:, 0] * B[:, 1] + A[:, 2] - B[:, 2]) + first_mover
    return np.hstack([A, B]), rng.random(n) < 1 / (1 + np.exp(-edge))


def mirrored(X):
    return np.hstack([X[:, 3:], X[:, :3]])


# %% [markdown]
# ## One line makes it so
#
# Exchanging the sides exchanges the classes: `output=[[1, 0]]`.

# %%
X, won = matches(100)
new, outcome = matches(3000)
trees = ExtraTreesClassifier(200, min_samples_leaf=3, random_state=0)
models = {
    "trees": trees.fit(X, won),
    "trees, averaged": FrameAveragingClassifier(trees, symmetry=swap, output=[[1, 0]]).fit(X, won),
}
table = pd.DataFrame(
    {
        name: {
            "largest |P(ab) + P(ba) - 1|": np.abs(
                model.predict_proba(new)[:, 1] + model.predict_proba(mirrored(new))[:, 1] - 1
            ).max(),
            "log loss": log_loss(outcome, model.predict_proba(new)[:, 1]),
        }
        for name, model in models.items()
    }
).T
table

# %% [markdown]
# Each point is a match, seen from both sides. The two chances should add up to 1.

# %%
figure, panes = plt.subplots(1, 2, figsize=(6, 3), sharex=True, sharey=True, layout="constrained")
for pane, (name, model) in zip(panes, models.items(), strict=True):
    one, other = (model.predict_proba(side[:300])[:, 1] for side in (new, mirrored(new)))
    pane.plot(one, other, ".", markersize=3)
    pane.plot([0, 1], [1, 0], "0.5", linewidth=0.8)
    pane.set(title=name, xlabel="P(A beats B)", ylabel="P(B beats A)", aspect="equal")
    pane.label_outer()

# %% [markdown]
# ## Is it true? The first mover
#
# If sides were named by a coin, exchanging them at random is an exact test, here of quantities that both sides share:
# the length of a match, the sum of two bids. They should not care who was named first.

# %%
length = np.abs(X[:, 2] - X[:, 5]) + 0.3 * rng.normal(size=len(X))
served_first = length + 0.5 * X[:, 2]  # here the side named first matters
fair = symmetry_test(X, length, swap, poses="uniform", random_state=0)
unfair = symmetry_test(X, served_first, swap, poses="uniform", random_state=0)
print(f"p where sides do not matter: {fair.pvalue:.3f}")
unfair

# %% [markdown]
# ## A margin changes its sign
#
# `output="odd"`: the margin of A over B is minus that of B over A.

# %%
margin = (X[:, 0] * X[:, 1] - X[:, 3] * X[:, 4]) + X[:, 2] - X[:, 5] + 0.3 * rng.normal(size=len(X))
odd = FrameAveragingRegressor(ExtraTreesRegressor(100, random_state=0), symmetry=swap, output="odd").fit(X, margin)
print("margins mirror up to", np.abs(odd.predict(new) + odd.predict(mirrored(new))).max())

# %% [markdown]
# ## The same as in IV-like regression
#
# Least squares, averaged over a finite group, is IV-like regression with that group as augmentation. It is one idea.

# %%
ours = FrameAveragingRegressor(LinearRegression(), symmetry=swap).fit(X, length).estimator_.coef_
theirs = IVLikeRegression(augmentation=swap).fit(X, length).coef_
print("largest difference of coefficients:", np.abs(ours - theirs).max())

# %% [markdown]
# **Where next.** [Does orientation matter?](10_does_orientation_matter) has larger groups; [the page of the
# room](../rooms/symmetry).

# %% tags=["remove-cell"]
assert table.loc["trees", "largest |P(ab) + P(ba) - 1|"] > 0.1
assert table.loc["trees, averaged", "largest |P(ab) + P(ba) - 1|"] < 1e-12
assert table.loc["trees, averaged", "log loss"] < table.loc["trees", "log loss"]
assert fair.pvalue > 0.05 > unfair.pvalue
assert np.abs(odd.predict(new) + odd.predict(mirrored(new))).max() < 1e-12
assert np.abs(ours - theirs).max() < 1e-12
