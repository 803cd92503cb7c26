"""Pictures: displays that hold what they draw, and draw it when asked (extra: plot)."""

from causalinv.inspection._extrapolation import DoCurveDisplay
from causalinv.inspection._sem import DAGDisplay, EnvironmentsDisplay

__all__ = ["DAGDisplay", "DoCurveDisplay", "EnvironmentsDisplay"]
