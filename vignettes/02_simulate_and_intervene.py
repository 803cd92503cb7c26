# %% [markdown]
# # Simulate, intervene, check against the closed form
#
# A linear structural equation model knows its exact moments under every intervention. So a simulation never has to be
# its own truth: each number below is computed once in closed form and once from rows, and the two must agree.
#
# **You will learn** to write a linear model, to intervene on it, and to let its exact moments check any simulation.
#
# **Data.** a model with three nodes (dose, marker, outcome), one with a hidden node, and a random one with 50.

# %%
import json

import numpy as np
import pandas as pd

from causalinv import LinearSEM, Moments
from causalinv.inspection import DAGDisplay, EnvironmentsDisplay
from causalinv.sem import (
    Do,
    Exponential,
    InterventionFamily,
    Laplace,
    ScaleNoise,
    SetWeights,
    Shift,
    ShiftTogether,
    choose_sites,
    random_sem,
)

# %% [markdown]
# ## A model, and its moments
#
# `B[i, j]` is the effect of j *on* i. Noise may have any law; moments only need its mean and standard deviation.

# %%
sem = LinearSEM(
    [[0, 0, 0], [1.5, 0, 0], [0, -1.0, 0]],
    noise=[Exponential(2.0), Laplace(1.0), 0.5],
    names=["dose", "marker", "outcome"],
    target="outcome",
)
pd.DataFrame(sem.cov(), sem.names, sem.names)

# %%
picture = DAGDisplay.from_sem(sem).plot()

# %% [markdown]
# ## Interventions are terms of a sum
#
# What *sets* comes first, then what *scales*, then what *adds*; the order of the terms does not matter, and setting the
# same thing twice is an error.

# %%
interventions = {
    "observed": None,
    "do(dose = 1)": Do("dose", 1.0),
    "noisier marker, shifted dose": ScaleNoise("marker", 2.0) + Shift("dose", mean=1.0, std=0.5),
    "another mechanism": SetWeights("marker", {"dose": -0.5}),
    "a new common cause": ShiftTogether(["dose", "marker"], [[1.0, 0.9], [0.9, 1.0]]),
}
environments = sem.environments(list(interventions.values()), labels=list(interventions))
exact = environments.moments()
try:
    sem.intervene(Do("dose", 1.0) + Do("dose", 2.0))
except ValueError as error:
    print(error)
environments.summary()

# %% [markdown]
# Two variables in every environment: means, and ellipses of two standard deviations.

# %%
picture = EnvironmentsDisplay.from_environments(environments, "marker").plot()

# %% [markdown]
# ## Rows agree with the closed form
#
# For every environment and every covariance between features and outcome: the distance of the sample from the exact
# value, in standard errors.

# %%
n = 100_000
X, y, labels = environments.sample(n, random_state=0)
distance = {}
for k, label in enumerate(environments.labels):
    rows = np.c_[X, y][labels == label]
    centred = rows - np.r_[exact.mean("x")[k], exact.mean("y")[k]]
    product = centred[:, :2] * centred[:, 2:]
    error = product.mean(axis=0) - exact.cov("x", "y")[k, :, 0]
    spread = product.std(axis=0) / np.sqrt(n)
    distance[label] = np.where(spread > 0, error / np.where(spread > 0, spread, 1.0), 0.0)
distance = pd.DataFrame(distance, index=["dose, outcome", "marker, outcome"]).T
distance.round(2)

# %% [markdown]
# ## Hidden nodes
#
# Drop a node and its noise becomes a common cause: the law of the others is unchanged, also when we intervene on them
# with `Do` or `Shift`.

# %%
hidden = LinearSEM(
    [[0, 0, 0], [1, 0, 0], [1, 2, 0]], noise=[Exponential(1.0), 1.0, 1.0], names=["u", "x", "y"], target="y"
)
seen = hidden.marginalize(["u"])
pd.DataFrame(seen.noise_cov(), seen.names, seen.names)

# %% [markdown]
# The common cause is drawn as a dashed arc. Set x, and both models agree:

# %%
picture = DAGDisplay.from_sem(seen).plot()
under = Do("x", 3.0)
np.hstack([seen.intervene(under).cov(), hidden.intervene(under).cov()[1:, 1:]]).round(3)

# %% [markdown]
# ## A thousand environments
#
# A family draws interventions; environment e depends on the seed and on e alone, so more environments leave the earlier
# ones as they were. Only what differs is stored.

# %%
big = random_sem(50, expected_degree=4.0, random_state=0)
sites = choose_sites(big, 3, where="markov_blanket", random_state=0)
family = InterventionFamily(sites, kind="variance", per_env="single")
some = family.environments(big, 10, baseline=True, random_state=1)
many = family.environments(big, 1000, baseline=True, random_state=1)
coefficients = []
for piece in many.iter_moments():
    inside, cross = piece.cov("x"), piece.cov("x", "y")
    coefficients.append(np.linalg.solve(inside, cross)[:, :, 0])
coefficients = np.concatenate(coefficients)
print(f"{len(coefficients)} environments; coefficients move by up to {np.ptp(coefficients, axis=0).max():.3f}")

# %% [markdown]
# **Where next.** [Which rule will hold elsewhere?](03_rules_that_hold_elsewhere) learns from such environments; [the
# page of the room](../rooms/sem).

# %% tags=["remove-cell"]
assert np.abs(distance.to_numpy()).max() < 4.5  # ten normal distances: false alarm 7e-5
np.testing.assert_allclose(seen.intervene(under).cov(), hidden.intervene(under).cov()[1:, 1:], atol=1e-12)
assert np.ptp(coefficients, axis=0).max() > 0.05  # with effects of the outcome among the features
np.testing.assert_array_equal(some.theta, many.theta[:11])
np.testing.assert_array_equal(LinearSEM.from_dict(json.loads(json.dumps(big.to_dict()))).B, big.B)
assert isinstance(exact, Moments)
