"""Two spaces of one set of digits: what they keep, and whether a reader of one can read the other."""

from __future__ import annotations

import os

import numpy as np
import pandas as pd
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression

from causalinv._parallel import streams
from causalinv.inspection import ScoresDisplay
from causalinv.representation import (
    OrthogonalAlignment,
    RelativeRepresentation,
    effective_rank,
    invariance_score,
)
from causalinv.tour import Chapter
from causalinv.transformations import CyclicShift, GaussianNoise

__all__ = ["run"]


def run(random_state: int, data: str | os.PathLike[str] | None) -> Chapter:
    """Encode digits twice, the second time turned, scaled and shifted, and let a reader of the first read the second.

    Parameters
    ----------
    random_state : int
        Seed of halves, turn and moves.
    data : path or None
        Not used: this chapter's images are inside a dependency.

    Returns
    -------
    Chapter
    """
    rng, moves = streams(random_state, 2, "tour")
    pixels, labels = load_digits(return_X_y=True)
    order = rng.permutation(len(labels))
    train, test = order[:900], order[900:]
    one, other = (PCA(12, svd_solver="full").fit(pixels[part]) for part in (train[:450], train[450:]))
    turn = np.linalg.qr(rng.normal(size=(12, 12)))[0]
    first = one.transform(pixels)
    second = 0.2 * other.transform(pixels) @ turn + 7.0
    reader = LogisticRegression(max_iter=3000).fit(first[train], labels[train])
    relative = [RelativeRepresentation(train[:100]).fit_transform(Z) for Z in (first, second)]
    anchored = LogisticRegression(max_iter=3000).fit(relative[0][train], labels[train])
    size = float(np.linalg.norm(first[train].std(axis=0)) / np.linalg.norm(second[train].std(axis=0)))
    aligned = OrthogonalAlignment().fit(size * second[train], first[train])
    table = pd.DataFrame(
        {
            "accuracy": {
                "its own space": reader.score(first[test], labels[test]),
                "the other space": reader.score(second[test], labels[test]),
                "the other, relative to 100 anchors": anchored.score(relative[1][test], labels[test]),
                "the other, turned back": reader.score(aligned.predict(size * second[test]), labels[test]),
            }
        }
    ).rename_axis("a reader of the first space reads")
    scores = [
        invariance_score(first[test], one.transform(move.draw(pixels[test], moves)[0]))
        for move in (GaussianNoise(1.0), CyclicShift((8, 8)))
    ]
    rank, accuracy = effective_rank(first).estimate, table["accuracy"]
    return Chapter(
        question="Two encoders of the same digits: is it the same space, and what does it keep?",
        answer=(
            f"Up to a turn, a scale and a shift: a reader of the first reads {accuracy.iloc[1]:.2f} of the "
            "other as it stands, "
            f"{accuracy.iloc[2]:.2f} by anchors, {accuracy.iloc[3]:.2f} once it is turned back "
            f"({accuracy.iloc[0]:.2f} at home)."
        ),
        table=table,
        picture=ScoresDisplay(dict(zip(("noise of one grey level", "cyclic shift"), scores, strict=True))),
        claim=(
            f"The first space uses {rank:.1f} of 12 directions. Noise of one grey level moves it by "
            f"{scores[0].estimate:.3f} (s.e. {scores[0].standard_error:.3f}) of the distance of two digits,\na cyclic "
            f"shift by {scores[1].estimate:.2f} (s.e. {scores[1].standard_error:.2f}): it is not invariant to shifts."
        ),
        assumption="anchors are the same digits in both spaces, and digits are independent draws.",
    )
