# %% [markdown]
# # What can be said without ignorability
#
# Nobody randomised who took the treatment, and something that drove the choice was not recorded. Then no estimator
# finds the effect. What remains is an interval, and an interval is worth as much as the sentence under which it is
# true. This page goes from no assumption to strong ones, and shows what each buys, and what it costs when it is false.
#
# **You will learn** what each assumption buys, from none to a limit on hidden confounding, and what it costs when it
# is false.
#
# **Data.** simulated treatments with known truth; then 32 students of economics (Spector and Mazzeo), some taught by
# a new method.

# %%
import warnings

import numpy as np
import pandas as pd

from causalinv.bounds import FDivergenceBounds, ManskiBounds, QuantileBounds, SensitivityBounds, manski_bounds
from causalinv.datasets import load_spector, make_confounded_treatment
from causalinv.exceptions import UnboundedOutcomeWarning
from causalinv.inspection import BoundsDisplay, SensitivityDisplay

# %% [markdown]
# ## No assumption: Manski
#
# In this simulation outcomes lie in [0, 1], and whoever did not take arm 1 would have done very well there. Data show
# the outcomes of those who took it, and the share of the others; about the others' outcomes they show nothing.
# So with propensity e and arm mean m the mean of Y(1) can be anything between `e m` and `e m + (1 - e)`.

# %%
data = make_confounded_treatment(2000, kind="adverse", random_state=0)
given = {"X": data.X, "y": data.y, "treatment": data.treatment}
truth = data.mean[:, 1].mean()
plain = SensitivityBounds(law="kernel", outcome_support=(0, 1), random_state=0).fit(**given)
adjusted = plain.average_bounds("mean", arm=1, odds_ratio=1.0)
manski = ManskiBounds(outcome_support=(0, 1), random_state=0).fit(**given).average_bounds("mean", arm=1)
print(f"truth {truth:.3f}; adjusting for the observed covariates {adjusted.lower:.3f}")
manski

# %% [markdown]
# The interval is wide and holds the truth. It is also *sharp*: every number inside it agrees with the data. No cleverer
# statistic narrows it without a further assumption.
#
# ## f-divergence balls: the same assumption, less said
#
# A ball around the arm's law, with a radius that follows from the propensity, also holds the law of everybody. But each
# such ball holds all of Manski's set and more. It is sharp relative to the ball, which nobody asked about.
#
# *Proof.* Write Q = e P + (1 - e) R for the law of Y(1) at x, P the law seen in the arm, R the other. The divergence is
# convex in Q along R, so `D_f(P || Q)` is largest where R and P have nothing in common, and there it is the radius
# `B(e) = e f(1/e) + (1 - e) f(0)`. So every eP + (1 - e)R, that is all of Manski's set, lies in every ball of that
# radius; and a ball with the further condition dQ/dP >= e is exactly that set.
#
# *Order.* For the alpha family (Hellinger 1/2, KL 1, chi2 2) the ball of radius B(e) is the ball of the Rényi
# divergence of order alpha with radius -log e. That divergence grows with alpha, so the balls shrink: chi2 lies in KL
# lies in Hellinger, and the limit, alpha infinite, is Manski's set.
#
# *Effects.* Manski's interval for a contrast of two arms has ends e(m1 - U) + (1 - e)(L - m0) <= 0 and
# e(m1 - L) + (1 - e)(U - m0) >= 0. So no f-ball excludes an effect of zero, ever.

# %%
balls = FDivergenceBounds(divergence="all", law="kernel", outcome_support=(0, 1), random_state=0).fit(**given)
table = balls.average_bounds("mean", arm=1).to_frame()
table["width beyond Manski"] = table["upper"] - table["lower"] - (table["manski_upper"] - table["manski_lower"])
table[["lower", "upper", "width beyond Manski"]].round(3)

# %%
chi2 = FDivergenceBounds(law="kernel", outcome_support=(0, 1), random_state=0).fit(**given).predict_bounds(data.X)
picture = BoundsDisplay(chi2).plot()

# %% [markdown]
# ## Outcomes without limits
#
# Let the outcome have heavy tails and no known limits. Then nothing is known: those who were not observed could have
# had any mean. In an f-ball too: for small t the law (1 - t)P + tR is in it for *every* R, because the divergence goes
# to 0 with t while the mean of R has no limit. The ends are infinite, and a warning says why. A method that prints a
# finite number has used the sample's extremes as if they were the world's; ask for that, and watch the interval grow
# with the sample.

# %%
widths = {}
for n in (500, 5000, 50_000):
    tails = make_confounded_treatment(n, kind="sine", heavy_tails=True, random_state=1)
    inside = tails.treatment == 1
    limits = (tails.y[inside].min(), tails.y[inside].max())
    lower, upper = manski_bounds(tails.y[inside], inside.mean(), support=limits)
    widths[n] = upper - lower
pd.Series(widths, name="width if the sample's range were the world's").rename_axis("rows").to_frame().round(1)

# %%
few = make_confounded_treatment(1000, kind="sine", heavy_tails=True, random_state=1)
few_given = {"X": few.X, "y": few.y, "treatment": few.treatment}
with warnings.catch_warnings(record=True) as said:
    warnings.simplefilter("always")
    unlimited = ManskiBounds(random_state=0).fit(**few_given).average_bounds("mean", arm=1)
print(unlimited.lower, unlimited.upper, [w.category.__name__ for w in said])

# %% [markdown]
# What stays finite without any assumption: the chance of an event, and quantiles that are neither too high nor too low.

# %%
event = ManskiBounds(functional=("exceedance", 0.0), random_state=0).fit(**few_given).average_bounds("mean", arm=1)
median = QuantileBounds(tau=0.5, law="kernel", random_state=0).fit(**few_given).population_bounds(arm=1)
print(f"P(Y(1) > 0) between {event.lower:.2f} and {event.upper:.2f}")
print(f"median of Y(1) between {median.lower:.2f} and {median.upper:.2f}")

# %% [markdown]
# ## Limited confounding
#
# The sentence that makes means of unlimited outcomes finite: *knowing the potential outcome would change the odds of
# taking the arm by a factor of at most k*. Its strength k is yours to say, so one fit answers every k; the result says
# where the conclusion breaks down, and how far leaving out each observed covariate would move the odds.

# %%
students = load_spector()
model = SensitivityBounds(law="knn", n_repeats=15, random_state=0)
model.fit(students.X, students.y, treatment=students.treatment)
grid = model.average_bounds("ate", odds_ratio=np.linspace(1, 3, 9))
grid

# %%
reached = model.breakdown(estimand="ate")
reached

# %%
yardstick = model.benchmark()
picture = SensitivityDisplay(grid, breakdown=reached, benchmarks=yardstick).plot()

# %% [markdown]
# 32 students: the interval holds 0 even if nothing is unmeasured, so it reaches 0 at an odds ratio of 1. The estimate
# itself would be gone at about 2. Hiding the test score alone would move the odds of nearly all students by a factor of
# almost as much: a hidden covariate as strong as an observed one would do. That is the answer. (So few rows depend on
# the division into folds; hence the fifteen of them.)
#
# ## The price of a false sentence
#
# Back to the first simulation. The truth lies outside the bounds for every odds ratio that one might find generous,
# because there the hidden choice was far stronger. Bounds are as true as their assumption, and no data test it.

# %%
strengths = np.array([1.0, 2.0, 5.0, 10.0])
capped = plain.average_bounds("mean", arm=1, odds_ratio=strengths)
capped.to_frame()[["lower", "upper", "ci_upper"]].assign(truth=truth).round(3)

# %% [markdown]
# **Where next.** [Who quit smoking](09_who_quit_smoking) does it on 1,566 people; [the page of the
# room](../rooms/bounds) says how to read a summary.

# %% tags=["remove-cell"]
assert manski.conf_int[0] <= truth <= manski.conf_int[1]
assert adjusted.conf_int[1] < truth
assert (table["width beyond Manski"] > 0).all()
assert (chi2.lower <= chi2.manski_lower).all()
assert (chi2.manski_upper <= chi2.upper).all()
assert widths[500] < widths[5000] < widths[50_000]
assert unlimited.upper == np.inf
assert any(issubclass(w.category, UnboundedOutcomeWarning) for w in said)
assert 0 <= event.lower < event.upper <= 1
assert np.isfinite([median.lower, median.upper]).all()
assert grid.conf_int[0][0] < 0 < grid.lower[0]
assert reached["interval"] == 1.0
assert 1.5 < reached["estimate"] < 3
assert (yardstick["q95"] < reached["estimate"]).all()
assert capped.conf_int[1][1] < truth
