"""The optical device of Janzing and Schölkopf (2018): a real measurement with a measured confounder."""

from __future__ import annotations

import os
import re

import numpy as np
import pandas as pd
from sklearn.model_selection import KFold
from sklearn.preprocessing import PolynomialFeatures
from sklearn.utils import Bunch

from causalinv._matrix import lstsq
from causalinv._typing import FloatArray
from causalinv._validation import check_flag
from causalinv.datasets._fetch import find_files

__all__ = ["fetch_optical_device"]

_BASE_URL = (
    "https://raw.githubusercontent.com/janzing/janzing.github.io/"
    "4fbb7649d1077474fca86648aa0e3d1ae356cf40/code/data_from_optical_device/"
)
_FILE = "LED_as_confounder{}_dim=9_exp_no_{}_brfactor_{}_sample_size=1000_{}.txt"
_CHECKSUMS = {
    _FILE.format(day, number, factor, tail): digest
    for day, number, factor, tail, digest in [
        ("11-13-2016", 69, "80.0", "", "a3d8408c364bd9d4257f94401603f1058dcfa0c14a54dd4d87e6cbed06089770"),
        ("11-14-2016", 70, "96.0", "", "1c772681ed3301f495de3f84b9d13d984b42e421a432a95376542199e0073329"),
        ("11-14-2016", 71, "70.0", "", "f280b0d13a45f2fcc13a2362a3078a6a14fbc065baef4454794f9fe2de4181bc"),
        ("11-14-2016", 72, "20.0", "", "77625b9e8b34fcc6495286f5ab3ea823d71551542e9725ce8484936a38c1a48b"),
        ("11-14-2016", 73, "95.0", "", "b9a5d1b1dc8ca29e360f385e4524cbcf83c80eae14523f3ee5d34082ec529d57"),
        ("11-15-2016", 74, "95.0", "", "be91e9068fb672d5547084dfc77a974bcb405ce1afc89684aebdcb62a952ca9d"),
        ("11-15-2016", 75, "0", "", "3801d9f530919124d76dd3ac348a480f8700b5e784d5f0713a812a1ac7191620"),
        ("11-15-2016", 77, "40.0", "", "b7e5f5f4e3fda9c859845c4431ea598919b15efc92a82688297210287790fcf3"),
        ("11-15-2016", 78, "60.0", "", "32457fab15bd33ec2b516187656ea1a74602969aef179d79b31df11bed55a3d5"),
        ("11-15-2016", 79, "80.0", "", "f7679972a5bb016f99cc9cdf2009971642224c93cb4912c4e3abb816e72f573d"),
        ("11-15-2016", 80, "99.0", "", "9a5cf51c144e4174c676455b5c67ccf505b769b30506db482dd64d311864825e"),
        ("11-16-2016", 82, "99.0", "pure_confounding",
         "9fc92ecf4898028d855cc70f85a6888b4b1636d26113b50b38aaf349709ecdd0"),
    ]
}  # fmt: skip
_FEATURES = [f"pixel_{row}_{column}" for row in range(3) for column in range(3)]

_DESCR = """\
Optical device (Janzing and Schölkopf, 2018). A webcam image, reduced to 3 x 3 pixels, is shown on a screen; a
photodiode measures the light behind it (y). An LED shines on both webcam and photodiode: a confounder C, strong
(brfactor 99) or absent (brfactor 0), which here was recorded. Twelve experiments of 1000 rows.

The reference coefficients are those of least squares on polynomial features of the centred pixels *and* C, with C's
dropped; the degree, 1 or 2, is the one with the smaller error in contiguous 5-fold cross-validation. They are an
estimate, not a known truth: where C and y are almost collinear (correlation up to 0.998) they are hardly identified.
Free for any scientific purpose, says its author.
"""


def fetch_optical_device(
    data_home: str | os.PathLike[str] | None = None, *, download_if_missing: bool = True, as_frame: bool = False
) -> Bunch:
    """Fetch the 12 usable experiments of the optical device.

    Parameters
    ----------
    data_home : path, optional
        A folder with the files, or with ``optical_device/`` in it. Left out: the environment variable
        ``CAUSALINV_DATA``, then a download into the user's cache, verified by SHA256.
    download_if_missing : bool, default True
        Whether missing files may be downloaded.
    as_frame : bool, default False
        Give pixels as DataFrames with names.

    Returns
    -------
    Bunch
        ``experiments``: list of 12 Bunches, sorted by file name, with ``X`` (1000, 9) pixels in grey levels 0–255,
        ``y`` (1000,) light intensity in device units, ``confounder`` (1000,), ``number`` (of the experiment),
        ``brightness`` (of the LED, percent), ``degree`` (1 or 2) and ``reference_coef`` (9,) or (54,) of the
        polynomial features of the *centred* pixels; and ``feature_names``, ``DESCR``.

    Raises
    ------
    FileNotFoundError, OSError, ValueError
        If files are missing, cannot be downloaded, or have another checksum.
    """
    check_flag(as_frame, "as_frame")
    paths = find_files(
        "optical_device", _CHECKSUMS, _BASE_URL, data_home=data_home, download_if_missing=download_if_missing
    )
    experiments = []
    for path in paths:
        values = np.loadtxt(path)
        pixels, confounder, y = values[:, :9], values[:, 9], values[:, 10]
        degree, coef = _reference(pixels, confounder, y)
        found = re.search(r"exp_no_(\d+)_brfactor_([\d.]+)_", path.name)
        assert found is not None  # the names are the keys of _CHECKSUMS
        experiments.append(
            Bunch(
                X=pd.DataFrame(pixels, columns=_FEATURES) if as_frame else pixels,
                y=y,
                confounder=confounder,
                number=int(found[1]),
                brightness=float(found[2]),
                degree=degree,
                reference_coef=coef,
            )
        )
    return Bunch(experiments=experiments, feature_names=list(_FEATURES), DESCR=_DESCR)


def _reference(pixels: FloatArray, confounder: FloatArray, y: FloatArray) -> tuple[int, FloatArray]:
    """Degree and coefficients of the regression that adjusts for the recorded confounder."""
    centred = pixels - pixels.mean(axis=0)

    def design(degree: int) -> FloatArray:
        features = PolynomialFeatures(degree, include_bias=False).fit_transform(centred)
        return np.column_stack([features, confounder, np.ones(len(y))])

    def held_out_error(degree: int) -> float:
        rows, errors = design(degree), []
        for train, test in KFold(5).split(rows):
            coef = lstsq(rows[train], y[train])
            errors.append(np.mean((y[test] - rows[test] @ coef) ** 2))
        return float(np.mean(errors))

    degree = min((1, 2), key=held_out_error)
    coef = lstsq(design(degree), y)[:-2]
    return degree, np.asarray(coef, dtype=np.float64)
