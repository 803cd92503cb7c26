"""Symmetry: impose it on any learner, ask the data for it, learn how strongly to believe it."""

from causalinv.symmetry._frame_averaging import FrameAveragingClassifier, FrameAveragingRegressor
from causalinv.symmetry._image_moments import ImageMoments, radial_polynomial
from causalinv.symmetry._invariant_coordinates import InvariantCoordinates
from causalinv.symmetry._soft_invariance import SoftInvariantRegressor
from causalinv.symmetry._symmetry_screen import SymmetryScreen
from causalinv.symmetry._symmetry_test import symmetry_test

__all__ = [
    "FrameAveragingClassifier",
    "FrameAveragingRegressor",
    "ImageMoments",
    "InvariantCoordinates",
    "SoftInvariantRegressor",
    "SymmetryScreen",
    "radial_polynomial",
    "symmetry_test",
]
