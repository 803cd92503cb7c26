"""Pictures: displays that hold what they draw, and draw it when asked (extra: plot)."""

from causalinv.inspection._bounds import BoundsDisplay, SensitivityDisplay
from causalinv.inspection._contour import ConfoundingContourDisplay
from causalinv.inspection._extrapolation import DoCurveDisplay
from causalinv.inspection._ivlike import IVLikePathDisplay
from causalinv.inspection._pac import PACDisplay
from causalinv.inspection._sem import DAGDisplay, EnvironmentsDisplay

__all__ = [
    "BoundsDisplay",
    "ConfoundingContourDisplay",
    "DAGDisplay",
    "DoCurveDisplay",
    "EnvironmentsDisplay",
    "IVLikePathDisplay",
    "PACDisplay",
    "SensitivityDisplay",
]
