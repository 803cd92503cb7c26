"""Spector and Mazzeo's students (1980), as statsmodels ships them."""

from __future__ import annotations

import numpy as np
from sklearn.utils import Bunch

from causalinv._validation import check_flag

__all__ = ["load_spector"]

_DESCR = """\
32 students of intermediate economics (Spector and Mazzeo, 1980). 14 were taught by a personalised system of instruction
(PSI); nobody randomised who. GPA is the average grade before, TUCE the score of an entry test; the outcome is whether
the grade improved. From statsmodels.datasets.spector.
"""


def load_spector(*, as_frame: bool = True) -> Bunch:
    """Load 32 students, some of whom took part in a programme that nobody randomised.

    Parameters
    ----------
    as_frame : bool, default True
        Give X as a frame, treatment and y as series, with the names of the study; else arrays.

    Returns
    -------
    Bunch
        ``X`` (32, 2): ``GPA`` and ``TUCE``; ``treatment`` (32,) 1 if taught by PSI; ``y`` (32,) 1 if the grade
        improved; ``feature_names``, ``DESCR``.

    Examples
    --------
    >>> from causalinv.datasets import load_spector
    >>> students = load_spector()
    >>> students.X.shape, int(students.treatment.sum())
    ((32, 2), 14)
    """
    from statsmodels.datasets import spector

    check_flag(as_frame, "as_frame")
    table = spector.load_pandas().data
    features = ["GPA", "TUCE"]
    parts = {"X": table[features].astype(np.float64), "treatment": table["PSI"].astype(int), "y": table["GRADE"]}
    if not as_frame:
        parts = {name: part.to_numpy() for name, part in parts.items()}
    return Bunch(**parts, feature_names=features, DESCR=_DESCR)
