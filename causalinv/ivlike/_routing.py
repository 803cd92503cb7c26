"""Refuse a search whose scores could not be computed: scikit-learn would turn each into NaN, and pick the first model.

Without metadata routing scikit-learn hands fit parameters to `fit`, and nothing to `score`. An error in `score` is
swallowed; if every `fit` fails, the search fails and shows why. So `fit` looks whether it is called for a score.
"""

from __future__ import annotations

import sys
from types import FrameType

from sklearn import get_config

__all__ = ["refuse_unrouted"]


def refuse_unrouted(name: str) -> None:
    """Raise if fold-wise scores by the estimator's own `score` would miss the argument `name` of `fit`."""
    if get_config()["enable_metadata_routing"]:
        return
    frame: FrameType | None = sys._getframe(1)
    while frame is not None:
        if frame.f_code.co_name == "_fit_and_score" and frame.f_globals.get("__name__", "").startswith("sklearn."):
            scorer = frame.f_locals.get("scorer")
            if "Passthrough" in type(scorer).__name__ or "Passthrough" in repr(getattr(scorer, "_scorers", "")):
                raise ValueError(
                    f"The score of this regression needs {name}= too, and without metadata routing a search does not "
                    "pass them on: every score would be NaN. Call sklearn.set_config(enable_metadata_routing=True), "
                    "or give scoring= that needs none."
                )
            return
        frame = frame.f_back
