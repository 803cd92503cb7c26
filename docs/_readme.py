"""The picture of the README: ``python docs/_readme.py`` draws ``docs/_static/readme.png``."""

import sys
from pathlib import Path

import matplotlib as mpl

from causalinv import IVLikeRegression, Translation
from causalinv.datasets import load_confounded_digits
from causalinv.inspection import IVLikePathDisplay

mpl.use("Agg")


def draw(path: Path) -> None:
    """Error of the effects against the strength, for the README's ten lines."""
    digits = load_confounded_digits(as_frame=True)
    model = IVLikeRegression(augmentation=Translation(digits.directions)).fit(digits.X, digits.y)
    display = IVLikePathDisplay.from_estimator(model, truth=digits.coef, cov=digits.X.cov(), features=["pixel_3_3"])
    display.plot_error()
    display.ax_.set_title("digits under a hidden light: error of the effects", fontsize="medium")
    display.figure_.set_size_inches(6.4, 2.6)
    display.figure_.savefig(path, dpi=110)


if __name__ == "__main__":
    draw(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent / "_static" / "readme.png")
