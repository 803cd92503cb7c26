"""How many features a layer carries, in units of its neurons."""

from __future__ import annotations

import numpy as np

from causalinv._matrix import entropy_rank
from causalinv._typing import Rows
from causalinv._validation import check_rows, check_whole
from causalinv._warn import warn
from causalinv.exceptions import DegenerateInputWarning
from causalinv.representation._numbers import single
from causalinv.results import Estimate

__all__ = ["effective_features"]


def effective_features(codes: Rows, n_neurons: int) -> Estimate:
    """Effective number of features of sparse codes, and how many share a neuron.

    The exponential of the entropy of p, with p_i the share of feature i in the sum of absolute codes. Divided by the
    number of neurons it measures superposition: above 1, features outnumber neurons.

    Parameters
    ----------
    codes : array-like of shape (n, m)
        Codes of a dictionary that you chose and trained, a row per sample: of a sparse autoencoder, or
        ``sklearn.decomposition.DictionaryLearning(m).fit_transform(Z)``. The result depends on the dictionary.
    n_neurons : int
        Width of the layer that was coded.

    Returns
    -------
    Estimate
        ``estimate`` is the number of features, ``per_neuron`` in the table the superposition. NaN, with a warning, if
        all codes are 0. No standard error.

    References
    ----------
    The measure of superposition as lossy compression: entropy of a sparse autoencoder's activations.
    """
    rows, width = check_rows(codes, "codes"), check_whole(n_neurons, "n_neurons", low=1)
    top = float(np.abs(rows).max(initial=0.0))
    count = entropy_rank(np.abs(rows / top).sum(axis=0)) if top > 0 else float("nan")
    if np.isnan(count):
        warn("codes are all 0: the result is NaN.", DegenerateInputWarning)
    return single(
        "effective_features",
        count,
        title="Effective features",
        estimand="exponential of the entropy of the features' shares in these codes",
        assumption="the dictionary is the one you mean; another gives another number",
        per_neuron=count / width,
        n_neurons=width,
        n=len(rows),
    )
