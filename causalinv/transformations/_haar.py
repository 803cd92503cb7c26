"""Rotations under their uniform law."""

from __future__ import annotations

import numpy as np

from causalinv._parallel import generator
from causalinv._typing import FloatArray, RandomState
from causalinv._validation import check_flag, check_whole

__all__ = ["haar_orthogonal"]


def haar_orthogonal(n: int, dim: int, *, proper: bool = False, random_state: RandomState = None) -> FloatArray:
    """Draw orthogonal matrices from the uniform (Haar) law.

    The Q of a Gaussian matrix's QR decomposition, with the signs of R's diagonal moved into Q; without them its law is
    not uniform.

    Parameters
    ----------
    n : int
        How many.
    dim : int
        Their size.
    proper : bool, default False
        Rotations only (determinant +1): one column's sign is changed where needed.
    random_state : int, SeedSequence, Generator, RandomState or None
        Seed.

    Returns
    -------
    ndarray of shape (n, dim, dim)

    References
    ----------
    Mezzadri, "How to generate random matrices from the classical compact groups", Notices of the AMS 54 (2007).

    Examples
    --------
    >>> from causalinv.transformations import haar_orthogonal
    >>> haar_orthogonal(4, 3, random_state=0).shape
    (4, 3, 3)
    """
    n, dim = check_whole(n, "n", low=0), check_whole(dim, "dim", low=1)
    rng = generator(random_state, "haar")
    if n == 0:
        return np.empty((0, dim, dim))
    q, r = np.linalg.qr(rng.standard_normal((n, dim, dim)))
    q = q * np.where(np.diagonal(r, axis1=1, axis2=2) < 0, -1.0, 1.0)[:, None, :]
    if check_flag(proper, "proper"):
        q[:, :, 0] *= np.linalg.det(q)[:, None].round()
    return np.asarray(q)
