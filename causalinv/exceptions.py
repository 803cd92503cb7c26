"""Warnings and errors of causalinv: one class per thing that a user may want to catch."""

__all__ = [
    "CausalInvWarning",
    "CyclicModelError",
    "DegenerateInputWarning",
    "ExtrapolationWarning",
    "IdentificationWarning",
    "TargetInterventionWarning",
]


class CausalInvWarning(UserWarning):
    """Base of every warning of this package."""


class DegenerateInputWarning(CausalInvWarning):
    """The input is legal but degenerate (constant outcome, dependent columns); the result is documented."""


class ExtrapolationWarning(CausalInvWarning):
    """An extrapolation leaves what the data support, or what it rests on does not look true."""


class IdentificationWarning(CausalInvWarning):
    """The data do not identify the number asked for without the tie-break that was applied."""


class TargetInterventionWarning(CausalInvWarning):
    """An intervention changes the mechanism of the target, so no set of features need be invariant."""


class CyclicModelError(ValueError):
    """The model has a directed cycle where an acyclic one is needed."""
