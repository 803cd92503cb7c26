# %% [markdown]
# # Is my augmentation outcome-invariant, and what did it buy or cost?
#
# You augment images by brightness because you believe that the outcome ignores it. IV-like regression takes that belief
# at its word. This page asks four questions of one data set: is the belief compatible with what I know? Do the data
# react to it? How far can I trust the number? And what if I am wrong?
#
# **You will learn** to ask the data about an augmentation, to read what they cannot say, and to put a number on being
# wrong.
#
# **Data.** handwritten digits, each photographed twice under a hidden light that also moves the outcome
# (`load_confounded_digits`).

# %%
import numpy as np
import pandas as pd

from causalinv import IVLikeRegression, Translation
from causalinv.datasets import load_confounded_digits
from causalinv.inspection import ConfoundingContourDisplay, IVLikePathDisplay
from causalinv.ivlike import Compose, Flip, IVLikeRegressionCV
from causalinv.metrics import ncer

digits = load_confounded_digits(as_frame=True, n_exposures=2)  # each digit twice, under its own hidden light
cov = digits.X.cov()
brightness = Translation(pd.DataFrame(np.ones((1, 64)), columns=digits.X.columns), scale=2.0)

# %% [markdown]
# ## If you have a model of the outcome, ask it
#
# A simulator, a physical law, a rule of thumb: `check_invariance` draws augmented rows and compares.

# %%
brightness.check_invariance(lambda rows: rows @ digits.coef, digits.X, random_state=0)
try:
    brightness.check_invariance(lambda rows: rows.sum(axis=1), digits.X, random_state=0)
except ValueError as error:
    print(error)

# %% [markdown]
# ## Do the data react?
#
# If nothing confounds along brightness and the outcome ignores it, least squares ignores it too. Here it does not.

# %%
model = IVLikeRegression(augmentation=brightness).fit(digits.X, digits.y, groups=digits.groups)
test = model.ols_invariance_test()
test

# %% [markdown]
# A rejection has two readings: a confounder acts through brightness (then ignoring helps), or the outcome reads
# brightness (then ignoring harms). Two worlds, built to be told apart by nobody who sees only (X, y):

# %%
rng = np.random.default_rng(1)
size = (digits.X @ digits.coef).std()
read_by_outcome = digits.coef + 0.25 * size / 64  # in this world brightness has an effect of its own
other_y = digits.X @ read_by_outcome + 0.1 * size * rng.normal(size=len(digits.X))
other = IVLikeRegression(augmentation=brightness).fit(digits.X, other_y, groups=digits.groups)

worlds = {"confounded, outcome ignores it": (model, digits.coef), "outcome reads it": (other, read_by_outcome)}
told = pd.DataFrame(
    {
        name: {
            "p-value": fit.ols_invariance_test().pvalue,
            "alpha by cross-validation": IVLikeRegressionCV(augmentation=brightness, random_state=0)
            .fit(digits.X, digits.y if fit is model else other_y, groups=digits.groups)
            .alpha_,
            "error, least squares": ncer(fit.least_squares_coef_, truth, cov=cov),
            "error, alpha = 0": ncer(fit.coef_, truth, cov=cov),
        }
        for name, (fit, truth) in worlds.items()
    }
)
told.round(3)

# %% [markdown]
# The first two rows are what you see. The last two are what it bought, and what it cost.
#
# ## How far can I trust the number?
#
# The summary puts least squares and a standard error beside every coefficient; photographs of one digit are one
# cluster. `confint` says in its head what it covers.

# %%
identified = model.confint(kind="identified")
covered = ((identified["lower"] <= digits.coef) & (digits.coef <= identified["upper"])).mean()
print(f"share of the 64 true coefficients covered: {covered:.2f}")
model.summary()

# %%
picture = IVLikePathDisplay.from_estimator(model, truth=digits.coef, cov=cov).plot()

# %% [markdown]
# What if the confounder also moves something that the outcome does read? Under exact invariance the effects compatible
# with a bounded amount of that are known exactly. The robustness value is how much it takes to explain a coefficient
# away; `benchmark` asks for as much as if a feature had been hidden.

# %%
centre = "pixel_3_3"
model.sensitivity(0.05, confidence_level=0.95).loc[[centre]]

# %%
model.sensitivity(benchmark="pixel_4_4").loc[[centre]]

# %%
picture = ConfoundingContourDisplay.from_estimator(model, centre).plot(limit=0.2)

# %% [markdown]
# ## What if the directions are estimated?
#
# From pairs of photographs of one object the direction is learnt; the bootstrap can draw the pairs anew as well.

# %%
pairs = digits.X.iloc[:300].to_numpy(), digits.X.iloc[1797:2097].to_numpy()  # the same digits under another light
learnt = Translation.from_pairs(*pairs, n_directions=1, outcome_invariant=True)
by_pairs = IVLikeRegression(augmentation=learnt).fit(digits.X.to_numpy(), digits.y, groups=digits.groups)
errors = {
    "directions taken as known": by_pairs.bootstrap(100, random_state=0).standard_errors().mean(),
    "directions drawn anew": by_pairs.bootstrap(100, pairs=pairs, random_state=0).standard_errors().mean(),
}
pd.Series(errors, name="mean standard error").to_frame()

# %% [markdown]
# ## A group needs no strength
#
# Mirrored digits: under the uniform law on a finite group there is no instrument, and nothing to tune. Averaging over
# the group is exact, and every alpha gives the same. It helps against what is not symmetric; the light is symmetric, so
# alone it does not help here.

# %%
mirrors = Compose([Flip((8, 8)), Flip((8, 8), axis=0)])
mirrored, another = (IVLikeRegression(alpha, augmentation=mirrors).fit(digits.X, digits.y) for alpha in (0.0, 5.0))
print(f"error of mirroring alone: {ncer(mirrored.coef_, digits.coef, cov=cov):.3f}")
print(f"alpha = 0 and alpha = 5 differ by at most {np.abs(mirrored.coef_ - another.coef_).max():.0e}")

# %% [markdown]
# **Where next.** [Returns to schooling](08_returns_to_schooling) uses genuine instruments; [the page of the
# room](../rooms/ivlike).

# %% tags=["remove-cell"]
assert test.pvalue < 1e-6
assert told.loc["p-value"].max() < 1e-6
assert np.abs(np.log(told.loc["alpha by cross-validation"]).diff().iloc[-1]) < np.log(3)
assert told.loc["error, alpha = 0"].iloc[0] < 0.03
assert told.loc["error, least squares"].iloc[0] > 0.4
assert told.loc["error, alpha = 0"].iloc[1] > 10 * told.loc["error, least squares"].iloc[1]
assert covered > 0.85
assert errors["directions drawn anew"] > errors["directions taken as known"]
