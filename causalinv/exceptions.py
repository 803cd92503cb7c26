"""Warnings and errors of causalinv: one class per thing that a user may want to catch."""

__all__ = [
    "BoundsCrossingWarning",
    "CausalInvWarning",
    "CyclicModelError",
    "DegenerateInputWarning",
    "ExtrapolationWarning",
    "FamilyWarning",
    "IdentificationWarning",
    "LeakageWarning",
    "ObservedSupportWarning",
    "OverlapWarning",
    "ScreeningWarning",
    "TargetInterventionWarning",
    "UnboundedOutcomeWarning",
    "WeakSignalWarning",
]


class CausalInvWarning(UserWarning):
    """Base of every warning of this package."""


class DegenerateInputWarning(CausalInvWarning):
    """The input is legal but degenerate (constant outcome, dependent columns); the result is documented."""


class FamilyWarning(CausalInvWarning):
    """The declared family of interventions cannot make what the environments show."""


class ExtrapolationWarning(CausalInvWarning):
    """An extrapolation leaves what the data support, or what it rests on does not look true."""


class IdentificationWarning(CausalInvWarning):
    """The data do not identify the number asked for without the tie-break that was applied."""


class LeakageWarning(CausalInvWarning):
    """Copies of one row stand on both sides of a split inside a learner, so what it measures there is too good."""


class ScreeningWarning(CausalInvWarning):
    """There were too many features to search all sets of them; some were left out before the search."""


class TargetInterventionWarning(CausalInvWarning):
    """An intervention changes the mechanism of the target, so no set of features need be invariant."""


class WeakSignalWarning(CausalInvWarning):
    """Instruments or drawn augmentations explain so little that the estimate is mostly their noise."""


class CyclicModelError(ValueError):
    """The model has a directed cycle where an acyclic one is needed."""


class UnboundedOutcomeWarning(CausalInvWarning):
    """Bounds are infinite because the outcome has no known limits."""


class ObservedSupportWarning(CausalInvWarning):
    """The sample's range was taken for the outcome's limits."""


class OverlapWarning(CausalInvWarning):
    """Propensities near 0 or 1 were clipped in many rows."""


class BoundsCrossingWarning(CausalInvWarning):
    """A lower end came out above the upper one; both are kept."""
