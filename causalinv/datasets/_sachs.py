"""Protein signalling in single cells (Sachs et al. 2005): fourteen real environments."""

from __future__ import annotations

import os
from typing import Literal

import numpy as np
import pandas as pd
from sklearn.utils import Bunch

from causalinv._validation import check_choice
from causalinv.datasets._fetch import find_files

__all__ = ["fetch_sachs"]

_BASE_URL = "https://raw.githubusercontent.com/yuhaow/sp-intervention/master/protein/data/"
_CHECKSUMS = {"sachs.csv": "bad7c5167c6f6b66fa335bfa17ecb7b4c379d72cf490929e5ad57a6289315f46"}
#: Name of each condition and the measured protein that its reagent acts on first, as the authors describe it.
_CONDITIONS = [
    ("cd3cd28", None),
    ("cd3cd28+icam2", None),
    ("cd3cd28+aktinhib", "Akt"),
    ("cd3cd28+g0076", "PKC"),
    ("cd3cd28+psitect", "PIP2"),
    ("cd3cd28+u0126", "Mek"),
    ("cd3cd28+ly294002", "Akt"),
    ("pma", "PKC"),
    ("b2camp", "PKA"),
    ("cd3cd28+icam2+aktinhib", "Akt"),
    ("cd3cd28+icam2+g0076", "PKC"),
    ("cd3cd28+icam2+psitect", "PIP2"),
    ("cd3cd28+icam2+u0126", "Mek"),
    ("cd3cd28+icam2+ly294002", "Akt"),
]
_DESCR = """\
Eleven phosphorylated proteins and phospholipids measured in 11,672 single human T cells (Sachs et al., 2005) under
fourteen conditions. Conditions 1 and 2 are general stimulations (anti-CD3/CD28, without and with ICAM-2); 3 to 7 add an
inhibitor to the first, 10 to 14 to the second; PMA and beta-2-cAMP stimulate instead of CD3/CD28.

`targets` names the measured molecule that the reagent acts on first: Akt inhibitor -> Akt, G06976 -> PKC,
psitectorigenin -> PIP2, U0126 -> Mek, LY294002 -> Akt (through PI3K, which is not measured), PMA -> PKC,
beta-2-cAMP -> PKA. An inhibitor blocks a molecule's activity more than its amount, so what is measured of the target
may stay while its effects change: do not read the map as "this column was set".

Intensities are positive with heavy right tails; their logarithm is the default.
"""


def fetch_sachs(
    data_home: str | os.PathLike[str] | None = None,
    *,
    scale: Literal["log", "raw"] = "log",
    download_if_missing: bool = True,
) -> Bunch:
    """Fetch single-cell protein signalling data under 14 conditions.

    Parameters
    ----------
    data_home : path, optional
        A folder with ``sachs.csv``, or with ``sachs/`` in it. Left out: the environment variable ``CAUSALINV_DATA``,
        then a download into the user's cache, verified by SHA256.
    scale : {"log", "raw"}, default "log"
        Natural logarithm of the intensities, or the intensities.
    download_if_missing : bool, default True
        Whether the missing file may be downloaded.

    Returns
    -------
    Bunch
        ``frame`` (11672, 11) one column per protein; ``environments`` (11672,) condition of each cell, 1 to 14;
        ``conditions`` frame with ``condition``, ``name``, ``target`` (None for the two general stimulations), ``n``;
        ``DESCR``.

    Raises
    ------
    FileNotFoundError, OSError, ValueError
        If the file is missing, cannot be downloaded, or has another checksum; or `scale` is unknown.
    """
    check_choice(scale, "scale", ("log", "raw"))
    (path,) = find_files("sachs", _CHECKSUMS, _BASE_URL, data_home=data_home, download_if_missing=download_if_missing)
    table = pd.read_csv(path, sep="\t")
    environments = table.pop("experiment").to_numpy()
    frame = table.astype(np.float64)
    conditions = pd.DataFrame(
        {
            "condition": np.arange(1, 15),
            "name": [name for name, _ in _CONDITIONS],
            "target": pd.Series([target for _, target in _CONDITIONS], dtype=object),
            "n": np.bincount(environments)[1:],
        }
    )
    return Bunch(
        frame=np.log(frame) if scale == "log" else frame,
        environments=environments,
        conditions=conditions,
        DESCR=_DESCR,
    )
