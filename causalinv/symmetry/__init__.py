"""Symmetry: impose it on any learner, ask the data for it, learn how strongly to believe it."""

from causalinv.symmetry._frame_averaging import FrameAveragingClassifier, FrameAveragingRegressor

__all__ = [
    "FrameAveragingClassifier",
    "FrameAveragingRegressor",
]
