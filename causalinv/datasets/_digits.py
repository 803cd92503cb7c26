"""Real digit images under a hidden light: semi-synthetic, so the truth is known."""

from __future__ import annotations

import numpy as np
import pandas as pd
from sklearn.datasets import load_digits
from sklearn.utils import Bunch

from causalinv._parallel import streams
from causalinv._typing import FloatArray, RandomState
from causalinv._validation import check_flag, check_number, check_whole

__all__ = ["load_confounded_digits"]

_LARGEST = 1e100  # of what is multiplied into the rows
_DESCR = """\
scikit-learn's 1797 handwritten digits (8 x 8 pixels, grey levels 0-16), each photographed several times. A hidden
light C ~ N(0, 1) brightens every pixel of a photograph by the same amount and drives the outcome as well:

    X = digit + brightness * C + sensor noise
    y = X @ coef + confounding * sd * C + noise        (sd: standard deviation of X @ coef)

The outcome reads how much brighter the centre is than the border (`coef`, which sums to zero), so it ignores
brightness: `directions` holds that one direction. Least squares mistakes brightness for a cause. All confounding
enters along the ignored direction: the best case for IV-like regression, by construction.
"""


def load_confounded_digits(
    *,
    n_exposures: int = 4,
    confounding: float = 1.0,
    brightness: float = 2.0,
    sensor_noise: float = 1.0,
    noise: float = 0.1,
    as_frame: bool = False,
    random_state: RandomState = 0,
) -> Bunch:
    """Load digit images with an injected hidden confounder that acts through brightness.

    Parameters
    ----------
    n_exposures : int, default 4
        Photographs of each of the 1797 digits, each under its own light.
    confounding : float, default 1.0
        Effect of the light on the outcome, in standard deviations of the true signal.
    brightness : float, default 2.0
        Effect of the light on every pixel, in grey levels (an image has 0 to 16).
    sensor_noise : float, default 1.0
        Standard deviation of independent noise in every pixel, in grey levels.
    noise : float, default 0.1
        Standard deviation of the outcome's own noise, in standard deviations of the true signal.
    as_frame : bool, default False
        Give X as a DataFrame with names ``pixel_r_c``.
    random_state : int, SeedSequence, Generator, RandomState or None, default 0
        Seed of light and noise; the digits and the truth are always the same.

    Returns
    -------
    Bunch
        ``X`` (1797 * n_exposures, 64), ``y``, ``coef`` (64,) the truth, ``directions`` (1, 64) what the outcome
        ignores, ``confounder`` (n,) the hidden light, ``groups`` (n,) the digit each row shows, ``feature_names``,
        ``DESCR``.

    Examples
    --------
    >>> data = load_confounded_digits()
    >>> data.X.shape, bool(abs(data.directions @ data.coef)[0] < 1e-12)
    ((7188, 64), True)
    """
    n_exposures = check_whole(n_exposures, "n_exposures", low=1)
    for name, value in (("brightness", brightness), ("sensor_noise", sensor_noise), ("noise", noise)):
        check_number(value, name, low=0.0, high=_LARGEST)
    check_number(confounding, "confounding", low=-_LARGEST, high=_LARGEST)
    check_flag(as_frame, "as_frame")
    digits = load_digits().data
    groups = np.tile(np.arange(len(digits)), n_exposures)
    n = len(groups)
    light_rng, sensor_rng, noise_rng = streams(random_state, 3, "digits")
    light = light_rng.standard_normal(n)
    X = digits[groups] + brightness * light[:, None] + sensor_noise * sensor_rng.standard_normal((n, 64))
    coef = _centre_minus_border()
    signal = X @ coef
    size = signal.std()
    y = signal + confounding * size * light + noise * size * noise_rng.standard_normal(n)
    names = [f"pixel_{row}_{column}" for row in range(8) for column in range(8)]
    return Bunch(
        X=pd.DataFrame(X, columns=names) if as_frame else X,
        y=y,
        coef=coef,
        directions=np.ones((1, 64)),
        confounder=light,
        groups=groups,
        feature_names=names,
        DESCR=_DESCR,
    )


def _centre_minus_border() -> FloatArray:
    """A narrow minus a wide Gaussian window over the image; sums to 0, absolute values sum to 1."""
    row, column = np.mgrid[:8, :8] - 3.5
    distance = row**2 + column**2
    narrow, wide = (np.exp(-distance / (2 * width**2)) for width in (1.5, 3.0))
    contrast = (narrow / narrow.sum() - wide / wide.sum()).ravel()
    coef: FloatArray = contrast / np.abs(contrast).sum()
    return coef
