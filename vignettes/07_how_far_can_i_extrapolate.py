# %% [markdown]
# # How far can I extrapolate?
#
# A randomised action A (a dose, a push, a setting) was tried between -1 and 1. What happens at 1.4? Regression of the
# outcome on A has no reason to be right there. If the action works by moving a hidden state Z, and we see that state,
# however distorted, in measurements X, then a state that a larger action would bring about may have been seen already:
# under a smaller action, with a favourable disturbance V. This page shows what that buys, how far it reaches, how the
# package says "no further", and a case where it is wrong.
#
# **You will learn** what carries an extrapolation, how far it reaches, how the package says "no further", and a case
# where it is wrong.
#
# **Data.** simulated by `make_extrapolation_data`: four bent measurements of one hidden state, actions between -1 and
# 1.

# %%
import warnings

import numpy as np
import pandas as pd

from causalinv.datasets import make_extrapolation_data
from causalinv.extrapolation import LinearInvarianceEncoder, Rep4ExRegressor
from causalinv.inspection import DoCurveDisplay
from causalinv.metrics import affine_r2

data = make_extrapolation_data(2500, n_latent=1, n_features=4, noise_scale=1.0, random_state=2)
print(
    f"{data.X.shape[1]} nonlinear measurements of 1 state; actions from {data.action.min():.2f} to "
    f"{data.action.max():.2f}"
)

# %% [markdown]
# ## Find the state, then predict
#
# The encoder looks for a function of X whose mean is *linear* in the action; up to an affine map only the state has
# that property. Then it bends what it found until it is shift plus noise in law: of the tails, from which extrapolation
# is made, it learns from how often each value occurs. No outcome is used for it, and no neural network.

# %%
encoder = LinearInvarianceEncoder(method="npiv+location", random_state=0)
model = Rep4ExRegressor(encoder, random_state=0).fit(data.X, data.y, action=data.action)
found = affine_r2(data.Z, model.encoder_.transform(data.X))
print(f"share of the true state that the encoder found: {found:.3f}")

grid = np.linspace(-3, 3, 13)
curve = model.do_curve(grid, n_bootstrap=20)
table = curve.to_frame().assign(truth=data.truth_do(grid))
table.round(2)

# %%
picture = DoCurveDisplay.from_result(curve, truth=data.truth_do(grid)).plot()

# %% [markdown]
# Among the tried actions the two curves agree: that is a check, not a triumph. Beyond them only the first has a reason
# to go on, and the bands widen as states run out. `status` says how many of the states under an action lie where
# training states lie; `predict_do(..., on_unsupported="nan")` refuses to answer where too few do.
#
# ## The spread of V is what carries you
#
# A state under a stretched action was seen before only if V is wide enough to have produced it. The same questions with
# a narrow V (the state itself is given to the model, so that the encoder plays no part):

# %%
reach = {}
for spread in (0.2, 0.5, 1.0):
    world = make_extrapolation_data(2500, n_latent=1, noise_scale=spread, random_state=2)
    oracle = Rep4ExRegressor("identity", calibration=0.0, random_state=0)
    oracle.fit(world.Z, world.y, action=world.action)
    asked = np.array([1.2, 1.6, 2.0, 3.0])
    support = oracle.support(asked)
    error = oracle.predict_do(asked, on_unsupported="ignore") - world.truth_do(asked)
    reach[spread] = pd.Series(
        [f"{e:+.2f} ({s})" for e, s in zip(error, support["status"], strict=True)],
        index=pd.Index(asked, name="action"),
    )
pd.DataFrame(reach).rename_axis(columns="sd of V; error and status")

# %% [markdown]
# ## A check that needs no truth
#
# `shell_score` repeats the question inside the data: it leaves the outermost actions out, predicts them, and compares.

# %%
inside = model.shell_score(1.4)
print(f"error on the outermost actions, in standard deviations of the curve: {inside:.2f}")

# %% [markdown]
# ## The law of V
#
# With heavy-tailed V (here Laplace) linear invariance does not determine the tails of a learnt state, nor does a
# likelihood that takes V to be Gaussian (`method="ef"`). The default also uses that V has the same law under every
# action, with a mixture of Gaussians where the data ask for it; then it warns, as heavy tails remain harder. It can
# miss them: a bend of the state and a heavy tail look alike.

# %%
losses = []
for seed in range(3):
    heavy = make_extrapolation_data(1800, n_latent=1, n_features=4, noise="laplace", random_state=seed)
    asked = np.array([-1.5, -1.25, 1.25, 1.5])
    truth = heavy.truth_do(asked)
    row = {"seed": seed}
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        for name, way in (("V taken to be Gaussian", "ef"), ("default", "auto")):
            learnt = Rep4ExRegressor(LinearInvarianceEncoder(method=way, random_state=0), random_state=0)
            learnt.fit(heavy.X, heavy.y, action=heavy.action)
            row[name] = np.sqrt(np.mean((learnt.predict_do(asked, on_unsupported="ignore") - truth) ** 2))
    given = Rep4ExRegressor("identity", calibration=0.0, random_state=0).fit(heavy.Z, heavy.y, action=heavy.action)
    row["state given"] = np.sqrt(np.mean((given.predict_do(asked, on_unsupported="ignore") - truth) ** 2))
    row["warned"] = any("V does not look Gaussian" in str(w.message) for w in caught)
    losses.append(row)
losses = pd.DataFrame(losses).set_index("seed")
losses.round(2)

# %% [markdown]
# ## What no check can see
#
# That the action was randomised, and that it reaches the outcome only through the state. `model.diagnostics()` lists
# what can be tested; these two you must know.


# %% tags=["remove-cell"]
beyond = table[(table["a0"].abs() > 1) & (table["a0"].abs() <= 1.5)]
ours = (beyond["estimate"] - beyond["truth"]).abs().max()

# %% [markdown]
# **Where next.** [The page of the room](../rooms/extrapolation) says how to read the output; [the
# mathematics](../mathematics/extrapolation) what no data can show.

# %% tags=["remove-cell"]
assert found > 0.95
assert ours < 0.6
assert table["status"].iloc[6] == "tried"
assert model.support([6.0])["status"].item() == "unsupported"
assert np.isnan(model.predict_do([6.0], on_unsupported="nan")).all()
assert losses["warned"].sum() >= 2
assert losses["default"].mean() < 0.7 * losses["V taken to be Gaussian"].mean()
