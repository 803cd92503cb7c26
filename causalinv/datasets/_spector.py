"""Spector and Mazzeo's students (1980), as statsmodels ships them."""

from __future__ import annotations

import numpy as np
from sklearn.utils import Bunch

__all__ = ["load_spector"]

_DESCR = """\
32 students of intermediate economics (Spector and Mazzeo, 1980). 14 were taught by a personalised system of instruction
(PSI); nobody randomised who. GPA is the average grade before, TUCE the score of an entry test; the outcome is whether
the grade improved. From statsmodels.datasets.spector.
"""


def load_spector() -> Bunch:
    """Load 32 students, some of whom took part in a programme that nobody randomised.

    Returns
    -------
    Bunch
        ``X`` frame (32, 2) with ``GPA`` and ``TUCE``; ``treatment`` (32,) 1 if taught by PSI; ``y`` (32,) 1 if the
        grade improved; ``DESCR``.

    Examples
    --------
    >>> from causalinv.datasets import load_spector
    >>> students = load_spector()
    >>> students.X.shape, int(students.treatment.sum())
    ((32, 2), 14)
    """
    from statsmodels.datasets import spector

    table = spector.load_pandas().data
    return Bunch(
        X=table[["GPA", "TUCE"]].astype(np.float64),
        treatment=table["PSI"].to_numpy().astype(int),
        y=table["GRADE"].to_numpy(dtype=np.float64),
        DESCR=_DESCR,
    )
