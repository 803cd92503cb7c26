"""Pictures: displays that hold what they draw, and draw it when asked (extra: plot)."""

from causalinv.inspection._bounds import BoundsDisplay, SensitivityDisplay
from causalinv.inspection._conformal import ConformalDisplay
from causalinv.inspection._contour import ConfoundingContourDisplay
from causalinv.inspection._diagnostics import DiagnosticsDisplay
from causalinv.inspection._extrapolation import DoCurveDisplay
from causalinv.inspection._invariance import (
    AcceptedSetsDisplay,
    CertificateCurveDisplay,
    CertificateDisplay,
    EnvironmentRisksDisplay,
)
from causalinv.inspection._ivlike import IVLikePathDisplay
from causalinv.inspection._pac import PACDisplay
from causalinv.inspection._representation import ScoresDisplay, SpectrumDisplay
from causalinv.inspection._sem import DAGDisplay, EnvironmentsDisplay
from causalinv.inspection._symmetry import FrameDisplay, ImageMomentsDisplay, SymmetryScreenDisplay

__all__ = [
    "AcceptedSetsDisplay",
    "BoundsDisplay",
    "CertificateCurveDisplay",
    "CertificateDisplay",
    "ConformalDisplay",
    "ConfoundingContourDisplay",
    "DAGDisplay",
    "DiagnosticsDisplay",
    "DoCurveDisplay",
    "EnvironmentRisksDisplay",
    "EnvironmentsDisplay",
    "FrameDisplay",
    "IVLikePathDisplay",
    "ImageMomentsDisplay",
    "PACDisplay",
    "ScoresDisplay",
    "SensitivityDisplay",
    "SpectrumDisplay",
    "SymmetryScreenDisplay",
]
