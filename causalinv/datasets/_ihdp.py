"""Infant Health and Development Program, semi-synthetic (Hill 2011): real covariates and arms, simulated outcomes."""

from __future__ import annotations

import os

import numpy as np
import pandas as pd
from sklearn.utils import Bunch

from causalinv._validation import check_flag
from causalinv.datasets._fetch import find_files

__all__ = ["fetch_ihdp"]

_BASE_URL = "https://raw.githubusercontent.com/AMLab-Amsterdam/CEVAE/master/datasets/IHDP/csv/"
_CHECKSUMS = {
    1: ("ihdp_npci_1.csv", "2bdc8b94fdf2f669b1d3d49325fd9359d88418566545003867841312a1653411"),
    10: ("ihdp_npci_10.csv", "b9bce7e081f245b7689a3c2b5e4ed37162dca8cd596e0998b73ddc0ac92a4919"),
}
_DESCR = """\
747 children of the Infant Health and Development Program, a randomised trial of home visits, after a non-random part of
the treated was removed (Hill, 2011). Covariates (x1 to x6 standardised, x7 to x25 binary; x14 is 1 or 2) and arms are
real. Outcomes are simulated: normal with unit variance around mu0 and mu1, which are functions of all 25 covariates.
Given all of them there is no unmeasured confounding; hide some, and there is.
"""


def fetch_ihdp(
    data_home: str | os.PathLike[str] | None = None,
    *,
    draw: int = 1,
    download_if_missing: bool = True,
    as_frame: bool = True,
) -> Bunch:
    """Fetch one draw of the semi-synthetic IHDP data.

    Parameters
    ----------
    data_home : path, optional
        A folder with ``ihdp_npci_1.csv``, or with ``ihdp/`` in it. Left out: the environment variable
        ``CAUSALINV_DATA``, then a download into the user's cache, verified by SHA256.
    draw : {1, 10}, default 1
        Which simulation of the outcomes.
    download_if_missing : bool, default True
        Whether the missing file may be downloaded.
    as_frame : bool, default True
        Give X as a frame with columns ``x1`` to ``x25``; else an array. All else is an array.

    Returns
    -------
    Bunch
        ``X`` (747, 25); ``treatment`` (747,) 0 or 1; ``y`` (747,) outcome of the arm taken; ``counterfactual``
        (747,) of the other; ``mean`` (747, 2) mu0 and mu1, means given all covariates;
        ``feature_names``, ``DESCR``.

    Raises
    ------
    FileNotFoundError, OSError, ValueError
        If the file is missing, cannot be downloaded, or has another checksum; or `draw` is unknown.
    """
    if isinstance(draw, bool) or not isinstance(draw, int | np.integer) or draw not in _CHECKSUMS:
        raise ValueError(f"draw must be one of {tuple(_CHECKSUMS)}, got {draw!r}.")
    check_flag(as_frame, "as_frame")
    (path,) = find_files(
        "ihdp", dict([_CHECKSUMS[int(draw)]]), _BASE_URL, data_home=data_home, download_if_missing=download_if_missing
    )
    table = pd.read_csv(path, header=None).to_numpy(dtype=np.float64)
    names = [f"x{i}" for i in range(1, 26)]
    return Bunch(
        X=pd.DataFrame(table[:, 5:], columns=names) if as_frame else table[:, 5:],
        treatment=table[:, 0].astype(int),
        y=table[:, 1],
        counterfactual=table[:, 2],
        mean=table[:, 3:5],
        feature_names=names,
        DESCR=_DESCR,
    )
