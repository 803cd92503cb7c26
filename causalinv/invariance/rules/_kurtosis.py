r"""Whether rows of a bounded kurtosis show that a rule's relative excess is at most eps: Cantelli's inequality.

Let :math:`r` be the rule's residual, :math:`r_*` that of the environment's own least-squares rule, and
:math:`g = r - r_*`, with :math:`E r_* g = 0`. For :math:`\varepsilon' < \varepsilon` let
:math:`D = r^2 - (1 + \varepsilon') r_*^2`, so that :math:`E D = (x - \varepsilon') E r_*^2` for a relative excess x. If
no linear function f of the rows has :math:`E f^4 > \kappa (E f^2)^2`,

.. math:: \mathrm{sd}(D) \le [a (x + \varepsilon') + 2 \sqrt{\kappa x}] E r_*^2, \quad a = \sqrt{\kappa - 1},

and by Cantelli :math:`P(\bar D \le 0) \le \mathrm{Var} D / (\mathrm{Var} D + n (E D)^2)`, which falls in x. So for all
:math:`x \ge \varepsilon` it is at most the miss rate if the bound at :math:`\varepsilon` is, which is a linear equation
in :math:`\varepsilon'`. The event "mean of r^2 <= (1 + eps') times the least mean square of any rule" implies it.
"""

from __future__ import annotations

import numpy as np
from scipy.optimize import brentq

from causalinv._typing import FloatArray

__all__ = ["allowed_excess", "refuted", "rows_needed"]

_OVER = 2.0  # times what the fit of k coefficients gains on average: the observed excess of a rule without any
_WIDE = 300.0  # logarithm, beside the square of a typical value, of what a mean square may be
_CUT, _ABOVE = 0.25, 1.0 + np.sqrt(0.5) + 1.0 / 12.0  # fourth powers are cut at a share of n; what Bernstein adds then


def allowed_excess(n: float, eps: float, kurtosis: float, miss_rate: float) -> float:
    """Largest relative excess as it appears in n rows that still shows a true one of at most `eps`; < 0: none does."""
    a, room = np.sqrt(kurtosis - 1.0), np.sqrt(n * miss_rate / (1.0 - miss_rate))
    return float(((room - a) * eps - 2.0 * np.sqrt(kurtosis * eps)) / (room + a))


def rows_needed(k: int, eps: float, kurtosis: float, miss_rate: float) -> float:
    """About how many rows show a rule without any excess, on k coefficients, to keep `eps`; infinite if none do."""
    if eps <= 0 or miss_rate <= 0:
        return float("inf")

    def lacking(log_n: float) -> float:
        n = np.exp(log_n)
        return _OVER * k / n - allowed_excess(n, eps, kurtosis, miss_rate)

    top = np.log(1e18)
    return float(np.ceil(np.exp(brentq(lacking, 0.0, top)))) if lacking(top) < 0 else float("inf")


def refuted(values: FloatArray, kurtosis: float, level: float) -> float:
    r"""How far fourth powers exceed what the kurtosis allows; above 1 by chance with probability at most `level`.

    Four events have probability at most :math:`e^{-L}` each, L the logarithm of 4 / level, :math:`\mu = E f^2`:

    - :math:`\bar{f^2} \le (1 - \sqrt{2 \kappa L / n}) \mu`;
    - the mean of :math:`W = 1 - \exp(-f^2 / (2 \kappa \mu))`, with :math:`E W \ge 3 / (8 \kappa)` and
      :math:`E W^2 \le 1 / (4 \kappa)`, at most :math:`3 / (8 \kappa) - \sqrt{L / (2 \kappa n)}`, wild values or not;
    - the mean of :math:`\min(f^4, \kappa \mu^2 n / (4 L))` above :math:`1.79 \kappa \mu^2` (Bernstein);
    - :math:`\max f^4 > \kappa \mu^2 n e^L` (Markov).

    The first two bound :math:`\mu`; the others are the rarer the smaller it is, so they are looked at there.

    Parameters
    ----------
    values : ndarray of shape (n,)
        Of a function that these rows did not choose.
    kurtosis : float
    level : float

    Returns
    -------
    float
        Observed over largest allowed; 0 if there are too few rows to say.
    """
    n, tail = len(values), np.log(4.0 / level)
    typical = float(np.median(np.abs(values)))
    size = typical if typical > 0 else float(np.abs(values).max(initial=0.0))
    if size == 0.0:
        return 0.0
    square = np.minimum(np.abs(values / size), 1e75) ** 2
    tops = []
    short = np.sqrt(2.0 * kurtosis * tail / n)
    if short < 1.0:
        tops.append(float(square.mean()) / (1.0 - short))
    least = 0.375 / kurtosis - np.sqrt(tail / (2.0 * kurtosis * n))

    def beyond(log_mean: float) -> float:
        return float(np.mean(-np.expm1(-square / (2.0 * kurtosis * np.exp(log_mean))))) - least

    if least > 0 and beyond(-_WIDE) > 0 > beyond(_WIDE):
        tops.append(float(np.exp(brentq(beyond, -_WIDE, _WIDE))))
    if not tops:
        return 0.0
    limit = kurtosis * min(tops) ** 2
    mean = np.minimum(square**2, limit * _CUT * n / tail).mean() / (_ABOVE * limit)
    return float(max(mean, square.max() ** 2 / (limit * n * np.exp(tail))))
