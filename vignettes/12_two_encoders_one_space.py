# %% [markdown]
# # Two encoders, one space: are they the same, and what do they keep?
#
# Two small networks learn the same digits from different seeds. Both read about nine digits in ten. Is what they learnt
# the same thing?
#
# **You will learn** to measure what a representation keeps, whether two are the same up to a turn, and how stable an
# answer is.
#
# **Data.** scikit-learn's 1,797 handwritten digits, read by two small networks of different seeds.

# %%
import warnings

import numpy as np
import pandas as pd
from sklearn.datasets import load_digits
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from causalinv.inspection import ScoresDisplay, SpectrumDisplay
from causalinv.representation import (
    OrthogonalAlignment,
    RelativeRepresentation,
    diffusion_information_test,
    effective_rank,
    invariance_score,
    neural_collapse,
    prequential_code_length,
    rank_me,
    smoothing_certificate,
    spectral_exponent,
)
from causalinv.transformations import CyclicShift, GaussianNoise

pixels, labels = load_digits(return_X_y=True)
order = np.random.default_rng(0).permutation(len(labels))
train, test = order[:1200], order[1200:]


def network(seed):
    return MLPClassifier((24,), max_iter=40, random_state=seed, tol=0.0, n_iter_no_change=100)


with warnings.catch_warnings():
    warnings.simplefilter("ignore", ConvergenceWarning)  # forty passes are enough here
    nets = [network(seed).fit(pixels[train], labels[train]) for seed in (0, 1)]


def encode(net, rows):
    return np.maximum(rows @ net.coefs_[0] + net.intercepts_[0], 0.0)


A, B = (encode(net, pixels) for net in nets)
print("accuracy:", [round(net.score(pixels[test], labels[test]), 3) for net in nets])

# %% [markdown]
# ## What do they keep?
#
# Every measure says what it estimates, and claims a standard error only where one was shown to hold.

# %%
spectral_exponent(A)

# %%
picture = SpectrumDisplay(A).plot()

# %%
table = pd.DataFrame(
    {
        name: {
            "RankMe": rank_me(Z).estimate,
            "effective rank": effective_rank(Z).estimate,
            "exponent": spectral_exponent(Z).estimate,
            "collapse (nc1)": neural_collapse(Z, labels).estimate,
        }
        for name, Z in {"pixels": pixels[:, pixels.std(axis=0) > 0], "A": A, "B": B}.items()
    }
)
table.round(2)

# %% [markdown]
# Does A say anything about the label? And how far do a little noise, and a shift around
# the edges, move it?

# %%
some = test[:300]
information = diffusion_information_test(A[some], labels[some], n_permutations=99, random_state=0)
rng = np.random.default_rng(1)
moves = {
    "noise of one grey level": GaussianNoise(1.0),
    "any cyclic shift": CyclicShift((8, 8)),
}
scores = {
    name: invariance_score(A[test], encode(nets[0], move.draw(pixels[test], rng)[0])) for name, move in moves.items()
}
picture = ScoresDisplay(scores).plot()
information

# %% [markdown]
# ## Are they the same?
#
# A classifier trained on A reads B: raw, through cosines to common anchors, and through a rotation.

# %%
reader = make_pipeline(StandardScaler(), LogisticRegression(max_iter=500))
relative = [RelativeRepresentation(train[:100]).fit(Z) for Z in (A, B)]
relative[0].check_same_anchors(relative[1])
first, second = (model.transform(Z) for model, Z in zip(relative, (A, B), strict=True))
turned = OrthogonalAlignment().fit(B[train], A[train])
loose = OrthogonalAlignment(2.0).fit(B[train], A[train])
stitched = pd.Series(
    {
        "A read by A's reader": reader.fit(A[train], labels[train]).score(A[test], labels[test]),
        "B read by A's reader": reader.score(B[test], labels[test]),
        "B turned to A": reader.score(turned.predict(B[test]), labels[test]),
        "B aligned, distortion 2": reader.score(loose.predict(B[test]), labels[test]),
        "relative": reader.fit(first[train], labels[train]).score(second[test], labels[test]),
    }
)
stitched.round(3).to_frame("share read rightly")

# %% [markdown]
# Not the same numbers, and mostly the same geometry. The loss that a turn leaves says how far from the same:

# %%
pd.DataFrame({"rotation": vars(turned), "distortion 2": vars(loose)}).loc[["loss_", "distortion_"]]

# %% [markdown]
# ## How much structure is there to learn, and how stable is an answer?

# %%
simple = LogisticRegression(max_iter=500)
code = {
    name: prequential_code_length(simple, Z[order][:640] / Z[train].std(), labels[order][:640], blocks=[40, 160])
    for name, Z in {"pixels": pixels, "A": A}.items()
}
pd.DataFrame({name: each.to_frame()["per_row"] for name, each in code.items()}).round(3)

# %%
certificate = smoothing_certificate(nets[0], pixels[test[:5]], scale=4.0, n_draws=200, random_state=0)
certificate

# %% [markdown]
# **Where next.** [The page of the room](../rooms/representation); [the mathematics](../mathematics/representation).

# %% tags=["remove-cell"]
assert information.pvalue <= 0.01
assert scores["noise of one grey level"].conf_int[1] < scores["any cyclic shift"].conf_int[0]
assert stitched["B read by A's reader"] < 0.5
assert stitched["relative"] > 0.6
assert stitched["B turned to A"] > 0.7
assert loose.loss_ < turned.loss_
assert code["A"].estimate < code["pixels"].to_frame()["estimate"]["uniform"]
