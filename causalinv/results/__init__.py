"""Result objects: frozen, printable, and honest about what their numbers rest on."""

from causalinv._printing import Printed, Summary
from causalinv.results._bootstrap import BootstrapResult
from causalinv.results._certificate import InvarianceCertificate
from causalinv.results._estimates import (
    BoundsEstimate,
    ConditionalLaw,
    Estimate,
    ExtrapolationDiagnostics,
    PointwiseBounds,
    PopulationRegression,
    TestResult,
)

__all__ = [
    "BootstrapResult",
    "BoundsEstimate",
    "ConditionalLaw",
    "Estimate",
    "ExtrapolationDiagnostics",
    "InvarianceCertificate",
    "PointwiseBounds",
    "PopulationRegression",
    "Printed",
    "Summary",
    "TestResult",
]
