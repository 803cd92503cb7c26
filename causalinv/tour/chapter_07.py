"""Extrapolation: pushes that nobody tried, through pictures of a digit that real pushes moved."""

from __future__ import annotations

import os

import numpy as np
import pandas as pd
from sklearn.decomposition import PCA
from sklearn.pipeline import make_pipeline

from causalinv._typing import FloatArray
from causalinv.datasets import load_moving_digits
from causalinv.extrapolation import LinearInvarianceEncoder, Rep4ExRegressor
from causalinv.inspection import DoCurveDisplay
from causalinv.tour import Chapter

__all__ = ["run"]

_ROWS = 1500
_PUSHES = (-1.75, -1.25, -0.75, 0.0, 0.75, 1.25, 1.75)


def run(random_state: int, data: str | os.PathLike[str] | None) -> Chapter:
    """Predict the outcome of pushes inside and outside of those that were tried."""
    digits = load_moving_digits(n_samples=_ROWS, random_state=random_state)
    encoder = make_pipeline(
        PCA(8, random_state=0), LinearInvarianceEncoder(method="npiv+location", random_state=random_state)
    )
    model = Rep4ExRegressor(encoder, random_state=random_state).fit(digits.X, digits.y, action=digits.action)
    pushes = np.column_stack([_PUSHES, np.zeros(len(_PUSHES))])
    drawn = model.do_curve(pushes, n_bootstrap=2)
    curve = drawn.table
    table = pd.DataFrame(
        {
            "truth": digits.truth_do(pushes),
            "through the pictures": curve["estimate"].to_numpy(),
            "polynomial of the push": curve["action_only"].to_numpy(),
            "states seen before": curve["overlap"].to_numpy(),
            "support": curve["status"].to_numpy(),
        },
        index=pd.Index(_PUSHES, name="push"),
    )
    outside = np.abs(np.array(_PUSHES)) > 1
    ours, alone = (
        np.sqrt(np.mean((table[name] - table["truth"]).to_numpy()[outside] ** 2))
        for name in ("through the pictures", "polynomial of the push")
    )
    shell, last = model.shell_score(), table.iloc[-1]
    return Chapter(
        question="Pushes between -1 and 1 were tried, at random. What would a push of 1.75 do?\n"
        "(Mean outcome. A draught that nobody measures moves the digit too, and disturbs the outcome.)",
        answer=(
            f"It would bring {last['through the pictures']:.2f} by the pictures, "
            f"{last['polynomial of the push']:.2f} by a polynomial of the push; the truth is {last['truth']:.2f}. "
            f"Over all untried pushes the errors are {ours:.2f} and {alone:.2f}."
        ),
        table=table,
        picture=DoCurveDisplay.from_result(drawn, truth=table["truth"]),
        claim=(
            "A strong push against the draught brings the digit to places that weaker pushes with another draught had\n"
            "shown; where it does not (few states seen before), nobody can know, and the support column says so. The\n"
            "check inside the data, predicting the outermost pushes tried from the inner ones, is off by "
            f"{shell:.2f} standard deviations."
        ),
        assumption=(
            "pushes drawn at random, acting on the outcome only through the position; pictures that show the position\n"
            "without noise; a draught with a smooth law, here Gaussian by construction. With heavy-tailed draughts\n"
            "errors are larger."
        ),
        figure=_strip(digits.images, digits.Z),
    )


def _strip(images: FloatArray, Z: FloatArray) -> str:
    """Three pictures side by side: the digit far up, in the middle, far down."""
    order = np.argsort(Z[:, 0])
    middle = np.argmin(np.sum(Z**2, axis=1))
    chosen = [images[order[10]], images[middle], images[order[-10]]]
    marks = np.array(["  ", "░░", "▒▒", "▓▓", "██"])
    top = images.max()
    blocks = [marks[np.minimum((image[::2, ::2] / top * 5).astype(int), 4)] for image in chosen]
    rows = [row for row in range(len(blocks[0])) if any((block[row] != marks[0]).any() for block in blocks)]
    return "\n".join(" | ".join("".join(block[row]) for block in blocks).rstrip() for row in rows)
