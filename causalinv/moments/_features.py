"""What an estimator that was fitted on moments says about its features."""

from typing import Any

import numpy as np

from causalinv.moments._moments import Moments

__all__ = ["take_features"]


def take_features(estimator: Any, moments: Moments) -> None:
    """Set `n_features_in_` and `feature_names_in_` of the estimator from the block ``x`` of moments."""
    estimator.n_features_in_ = moments.blocks["x"]
    if hasattr(estimator, "feature_names_in_"):
        del estimator.feature_names_in_
    names = moments.names["x"]
    if names is not None:
        estimator.feature_names_in_ = np.array(names, dtype=object)
