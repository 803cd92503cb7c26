# %% [markdown]
# # What does ignoring buy, and what can it cost?
#
# A hidden cause moves the features and the outcome. If we know directions in which the features can move without
# the outcome caring, IV-like regression (IVL) can use them. This page measures what that buys, how it fades when we
# know fewer directions or know them wrongly, and one case where it does harm and the data cannot warn us.
#
# **You will learn** what knowing the ignored directions buys, how it fades as fewer are known or known wrongly, and
# the one case in which the data cannot warn you.
#
# **Data.** simulated by `make_confounded_linear`: 32 features, 32 hidden confounders, one outcome, exact moments;
# then 20,000 rows of a four-node model.

# %%
import numpy as np
import pandas as pd

from causalinv import IVLikeRegression, LinearSEM, Translation
from causalinv.datasets import make_confounded_linear
from causalinv.inspection import DAGDisplay
from causalinv.metrics import ncer

# %% [markdown]
# ## How many directions are known?
#
# 32 features, 32 hidden confounders. The outcome reads one combination of the features and ignores 31 directions.
# `fit_moments` takes the population's exact moments, so nothing below is sampling error. An error of 0 is the truth,
# 0.5 is what the zero vector gets, 1 is nothing but confounding.

# %%
worlds = [make_confounded_linear(0, random_state=seed) for seed in range(50)]


def mean_error(alpha, directions_of):
    errors = []
    for world in worlds:
        model = IVLikeRegression(alpha, augmentation=Translation(directions_of(world)))
        errors.append(ncer(model.fit_moments(world.moments).coef_, world.coef))
    return np.mean(errors)


least_squares = np.mean(
    [
        ncer(
            IVLikeRegression(augmentation=Translation(w.directions)).fit_moments(w.moments).least_squares_coef_, w.coef
        )
        for w in worlds
    ]
)
known = pd.DataFrame(
    {
        k: {
            "least squares": least_squares,
            "augmented least squares": mean_error(np.inf, lambda w, k=k: w.directions[:k]),
            "IVL, alpha = 0": mean_error(0.0, lambda w, k=k: w.directions[:k]),
        }
        for k in (4, 8, 16, 24, 31)
    }
).rename_axis(columns="known directions")
known.round(3)

# %% [markdown]
# A picture of the same table:

# %%
import matplotlib.pyplot as plt

figure, ax = plt.subplots(figsize=(5, 3.2), layout="constrained")
for (name, errors), style in zip(known.T.items(), ("k:", "C0s--", "C3o-"), strict=True):
    ax.plot(errors.index, errors, style, label=name, fillstyle="none")
ax.set(xlabel="directions known, of 31", ylabel="error of the effects (0.5: as no effect)", ylim=(0, None))
_ = ax.legend(frameon=False)

# %% [markdown]
# With all 31 directions known, one scalar is left to learn: that success is by construction. With 4 of them the mean
# error is about halved.
#
# ## What if the directions are wrong?
#
# Rotate what we believe the outcome reads by an angle. Declared exact, alpha = 0 follows the error all the way;
# `outcome_invariant=False` (alpha = 0.1 by default) hardly notices small angles, and at these angles is on average
# better than augmented least squares.


# %%
def rotated(world, angle, seed=0):
    read = world.coef / np.linalg.norm(world.coef)
    aside = np.random.default_rng(seed).normal(size=read.shape)
    aside -= aside @ read * read
    aside /= np.linalg.norm(aside)
    return Translation.orthogonal_to(np.cos(angle) * read + np.sin(angle) * aside).directions


wrong = pd.DataFrame(
    {
        angle: {
            "augmented least squares": mean_error(np.inf, lambda w, a=angle: rotated(w, a)),
            "IVL, alpha = 0.1": mean_error(0.1, lambda w, a=angle: rotated(w, a)),
            "IVL, alpha = 0": mean_error(0.0, lambda w, a=angle: rotated(w, a)),
        }
        for angle in (0.0, 0.05, 0.1, 0.2, 0.4)
    }
).rename_axis(columns="angle (rad)")
wrong.round(3)

# %% [markdown]
# ## When ignoring harms: a proxy of the confounder
#
# `x1 = C + e`, `x2 = C`, `y = x1 + C`. The outcome ignores x2; but x2 is the confounder, and least squares on both
# features was adjusting for it. Nobody recorded C; what it leaves is drawn as dashed edges with two heads.

# %%
proxy = LinearSEM(
    [[0, 0, 0, 0], [1, 0, 0, 0], [1, 0, 0, 0], [1, 1, 0, 0]], noise=[1.0, 0.5, 0.0, 0.0], names=["C", "x1", "x2", "y"]
)
picture = DAGDisplay.from_sem(proxy.marginalize(["C"])).plot()

# %%
rows = proxy.sample(20_000, random_state=0, as_frame=True)
model = IVLikeRegression(augmentation=Translation(pd.DataFrame({"x2": [1.0]}))).fit(rows[["x1", "x2"]], rows["y"])
model.summary()

# %% [markdown]
# Least squares says 1, which is true; IVL says 1 + 1/(1 + 0.25) = 1.8. Nothing in the data distinguishes this from the
# first section: only knowledge of where the confounder enters does.

# %% [markdown]
# **Where next.** [Is my augmentation outcome-invariant?](06_is_my_augmentation_outcome_invariant) asks the same of
# images; [the page of the room](../rooms/ivlike) says how to read a summary.

# %% tags=["remove-cell"]
assert known.loc["IVL, alpha = 0"].is_monotonic_decreasing
assert (known.loc["IVL, alpha = 0"] < known.loc["augmented least squares"]).all()
assert (wrong.loc["IVL, alpha = 0.1"] <= 1.1 * wrong.loc["augmented least squares"]).all()
assert abs(model.least_squares_coef_[0] - 1) < 0.01
assert abs(model.coef_[0] - 1.8) < 0.02
