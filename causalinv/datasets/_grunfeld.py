"""Investment of American firms (Grunfeld 1958), from statsmodels: a small real set with two kinds of environments."""

from __future__ import annotations

import numpy as np
import pandas as pd
from sklearn.utils import Bunch

from causalinv._validation import check_flag

__all__ = ["load_grunfeld"]

_DESCR = """\
Gross investment, market value and capital stock of eleven large American firms, yearly 1935 to 1954, in millions of
1947 dollars (Grunfeld, 1958; the data set that panel textbooks share). 220 rows. Investment is the outcome. Firms are
one kind of environment, periods (before 1945, from 1945 on) another: the years 1942 to 1945 were a war economy.
"""
_WATERSHED = 1945


def load_grunfeld(*, as_frame: bool = True) -> Bunch:
    """Load Grunfeld's investment data, logarithms of all amounts.

    Parameters
    ----------
    as_frame : bool, default True
        Give X as a frame and all else as series, with the names of the study; else arrays.

    Returns
    -------
    Bunch
        ``X`` (220, 2): ``value`` and ``capital``; ``y`` (220,) ``invest``; environments ``firm`` (220,) names and
        ``period`` (220,) ``"before 1945"`` or ``"from 1945"``; ``year`` (220,); ``feature_names``, ``DESCR``.

    Examples
    --------
    >>> data = load_grunfeld()
    >>> data.X.shape, data.period.value_counts().to_dict()
    ((220, 2), {'before 1945': 110, 'from 1945': 110})
    """
    from statsmodels.datasets import grunfeld

    check_flag(as_frame, "as_frame")
    table = grunfeld.load_pandas().data
    year = table["year"].astype(int)
    period = pd.Series(np.where(year < _WATERSHED, "before 1945", "from 1945"), index=table.index, name="period")
    features = ["value", "capital"]
    parts = {
        "X": np.log(table[features].astype(np.float64)),
        "y": np.log(table["invest"].astype(np.float64)),
        "firm": table["firm"].astype(str),
        "period": period,
        "year": year,
    }
    if not as_frame:
        parts = {name: part.to_numpy() for name, part in parts.items()}
    return Bunch(**parts, feature_names=features, DESCR=_DESCR)
