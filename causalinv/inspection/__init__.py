"""Pictures: displays that hold what they draw, and draw it when asked (extra: plot)."""

from causalinv.inspection._bounds import BoundsDisplay, SensitivityDisplay
from causalinv.inspection._extrapolation import DoCurveDisplay
from causalinv.inspection._invariance import AcceptedSetsDisplay, CertificateDisplay, EnvironmentRisksDisplay
from causalinv.inspection._ivlike import IVLikePathDisplay
from causalinv.inspection._pac import PACDisplay
from causalinv.inspection._sem import DAGDisplay, EnvironmentsDisplay

__all__ = [
    "AcceptedSetsDisplay",
    "BoundsDisplay",
    "CertificateDisplay",
    "DAGDisplay",
    "DoCurveDisplay",
    "EnvironmentRisksDisplay",
    "EnvironmentsDisplay",
    "IVLikePathDisplay",
    "PACDisplay",
    "SensitivityDisplay",
]
