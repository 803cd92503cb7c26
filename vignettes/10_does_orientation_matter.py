# %% [markdown]
# # Does orientation matter? Crystals, molecules, handwriting
#
# A learner that sees coordinates learns how things happened to be turned. If the outcome does not care, that is waste;
# if it does care, throwing orientation away is the mistake. This page imposes a symmetry, asks for it, and measures how
# much of it is broken.
#
# **You will learn** to impose a symmetry on any learner, to test it, and to measure how much of it is broken.
#
# **Data.** simulated charges, turned at random, with and without a field outside; then scikit-learn's handwritten
# digits.

# %%
import numpy as np
import pandas as pd
from scipy.ndimage import rotate, zoom
from sklearn.datasets import load_digits
from sklearn.ensemble import ExtraTreesClassifier, ExtraTreesRegressor
from sklearn.metrics import r2_score
from sklearn.pipeline import make_pipeline

from causalinv.inspection import SymmetryScreenDisplay
from causalinv.symmetry import (
    FrameAveragingRegressor,
    ImageMoments,
    InvariantCoordinates,
    SoftInvariantRegressor,
    SymmetryScreen,
    symmetry_test,
)
from causalinv.transformations import EuclideanGroup, PermutationGroup, haar_orthogonal

rng = np.random.default_rng(0)


def charges(n, field=0.0):
    """Four equal charges, turned at random, and their energy; a field along z acts on the first two."""
    P = np.einsum("npe,nde->npd", rng.normal(size=(n, 4, 3)), haar_orthogonal(n, 3, random_state=rng))
    i, j = np.triu_indices(4, 1)
    energy = (1 / (0.5 + np.linalg.norm(P[:, i] - P[:, j], axis=2))).sum(axis=1)
    return P.reshape(n, -1), energy + field * P[:, :2, 2].sum(axis=1) + 0.1 * rng.normal(size=n)


# %% [markdown]
# ## Impose it, exactly, on any learner
#
# A frame is a handful of poses that turn with the cloud. Fit the learner on every row in every pose of its frame,
# average its predictions over the frame: the result cannot change when the cloud is turned. Not approximately.

# %%
X, y = charges(150)
new, truth = charges(500)
forest = ExtraTreesRegressor(50, random_state=0)
turns = EuclideanGroup(3, translations=False)
models = {
    "forest": forest,
    "blind to turns": FrameAveragingRegressor(forest, symmetry=turns),
    "blind to turns and numbering": FrameAveragingRegressor(
        forest, symmetry=EuclideanGroup(3, translations=False, exchange=True)
    ),
    "coordinates in a standard pose": make_pipeline(
        InvariantCoordinates(EuclideanGroup(3, translations=False, exchange=True)), forest
    ),
}
turned, _ = turns.draw(new, rng)
table = pd.DataFrame(
    {
        name: {
            "R2": r2_score(truth, model.fit(X, y).predict(new)),
            "moves by": np.abs(model.predict(turned) - model.predict(new)).max(),
        }
        for name, model in models.items()
    }
).T
table

# %% [markdown]
# ## Ask for it
#
# If clouds were mounted at random, turning each of them again at random changes nothing under the null hypothesis. That
# makes a test exact, for any sample size. Whether mounting was random is not in the data: *you* say so.

# %%
X_field, y_field = charges(150, field=0.6)
tests = {
    "no field": symmetry_test(X, y, turns, poses="uniform", n_resamples=199, random_state=0),
    "a field outside": symmetry_test(X_field, y_field, turns, poses="uniform", n_resamples=199, random_state=0),
}
tests["a field outside"]

# %% [markdown]
# ## How much of it is broken?
#
# The screen puts a lower limit beside every candidate. An upper limit does not exist without trusting the learner.

# %%
swap = PermutationGroup([[3, 4, 5, 0, 1, 2, 6, 7, 8, 9, 10, 11]])  # the first two charges feel the same field
screen = SymmetryScreen(
    {"turns": turns, "exchange of the first two": swap}, estimator=forest, n_resamples=99, random_state=0
).fit(X_field, y_field)
screen.summary()

# %%
picture = SymmetryScreenDisplay.from_estimator(screen).plot()

# %% [markdown]
# Between yes and no: a model with a component for every set of symmetries learns how strongly to believe each. It leans
# on a model, so it can also say what the screen cannot.

# %%
soft = SoftInvariantRegressor({"turns": turns, "exchange": swap}, random_state=0).fit(X_field, y_field)
interval = soft.broken_share_interval(n_draws=200)
interval

# %% [markdown]
# ## Handwriting
#
# Digits are photographed upright. Trained upright and shown turned, trees on pixels are lost; moduli of Zernike moments
# do not move when an image is turned, as far as its pixels are fine enough (8 by 8 are not, hence the enlargement).
# They do not tell 6 from 9, or a letter from its mirror image, and upright they read less well. And do not *test*
# whether orientation matters on upright digits: nobody ever saw them turned, so no p-value can mean anything.

# %%
small, labels = (each[:900] for each in load_digits(return_X_y=True))
digits = [zoom(x.reshape(8, 8), 4, order=1, mode="grid-constant", grid_mode=True) for x in small]  # 32 by 32
angles = rng.uniform(0, 360, len(digits))
at_random = np.array([rotate(x, a, reshape=False, order=1).ravel() for x, a in zip(digits, angles, strict=True)])
digits = np.reshape(digits, (len(digits), -1))
train, test = slice(0, 600), slice(600, None)
trees = ExtraTreesClassifier(50, random_state=0)
readers = {"pixels": make_pipeline(trees), "Zernike moments": make_pipeline(ImageMoments((32, 32)), trees)}
read = pd.DataFrame(
    {
        name: {
            "upright": reader.fit(digits[train], labels[train]).score(digits[test], labels[test]),
            "turned at random": reader.score(at_random[test], labels[test]),
        }
        for name, reader in readers.items()
    }
)
read.round(3)

# %% [markdown]
# **Where next.** [A against B](11_a_against_b) has a symmetry of two sides; [the page of the
# room](../rooms/symmetry).

# %% tags=["remove-cell"]
assert table.loc["blind to turns", "moves by"] < 1e-10
assert table.loc["forest", "moves by"] > 0.1
assert table.loc["blind to turns and numbering", "R2"] > table.loc["forest", "R2"] + 0.1
assert tests["a field outside"].pvalue <= 0.01
assert screen.table_.loc["turns", "broken_lower"] > 0.05
assert interval.to_frame().loc["turns", "lower"] > 0.1
assert read.loc["turned at random", "Zernike moments"] > read.loc["turned at random", "pixels"] + 0.3
assert read.loc["upright", "pixels"] > read.loc["upright", "Zernike moments"]  # what it costs
