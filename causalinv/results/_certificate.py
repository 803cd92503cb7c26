"""What certifies that a rule stays invariant, in numbers and in words."""

from __future__ import annotations

import textwrap
from dataclasses import dataclass

import pandas as pd

from causalinv._printing import Printed, Summary, at_most, counted, plain, plural, rough_percent, wrap

__all__ = ["InvarianceCertificate", "best_share"]

_COLUMNS = 80  # of a sentence
_NO_GAP = 1e-9  # a tolerance below says: none but rounding


def best_share(m: int, confidence_level: float) -> float:
    """Least share of new environments for which m of them, none of which broke the rule, can speak by any method."""
    return 1.0 if m == 0 else float(1.0 - (1.0 - confidence_level) ** (1.0 / m))


@dataclass(frozen=True, eq=False, repr=False)
class InvarianceCertificate(Printed):
    """How often a fresh intervention can break the invariance of one rule, at most.

    Attributes
    ----------
    violation_upper : float
        With probability `confidence_level` over the environments that were seen, a fresh intervention of the declared
        law has a gap above `eps` with at most this probability. 1 says that nothing is certified.
    expected_violation : float
        Upper bound on the probability that the next intervention violates, the environments seen being drawn anew. NaN
        for ``"holdout"``, ``"two_level"``, ``"bounded"`` and ``"kurtosis"``, which speak of one fixed rule and
        tolerance.
    eps : float
        The tolerated gap.
    metric : str
        Of the gap.
    confidence_level : float
    n_interventions : int
        Interventions that count as evidence (a baseline does not).
    violations : int
        Of these, how many count as violations in the bound: all that are not shown to keep to `eps`.
    method : str
    assumptions : tuple of str
        All that the statement rests on; nothing else.
    coef : tuple of float
        The rule that the statement is about, on all features; refitting makes another rule.
    intercept : float
    plug_in : bool
        Whether estimated moments stand in for exact ones, so that the statement is not proved.
    details : tuple of (str, float)
        What the bound was computed from.
    failed : int
        Of the violations, how many are shown to be above `eps`. The others are not shown either way: their rows are too
        few. With exact moments all violations are shown.
    """

    violation_upper: float
    expected_violation: float
    eps: float
    metric: str
    confidence_level: float
    n_interventions: int
    violations: int
    method: str
    assumptions: tuple[str, ...]
    coef: tuple[float, ...]
    intercept: float
    plug_in: bool = False
    details: tuple[tuple[str, float], ...] = ()
    failed: int = 0

    def __bool__(self) -> bool:
        raise TypeError("A certificate is neither true nor false; compare its violation_upper with what you need.")

    @property
    def best_possible(self) -> float:
        """What so many interventions could prove at best, by any method: 1 - (1 - confidence_level)^(1/m)."""
        return best_share(self.n_interventions, self.confidence_level)

    def explain(self, *, noun: str = "environment") -> str:
        """The statement in plain words, at most 80 columns wide.

        The first line is the answer. Then come what a violation is, how many environments are shown to keep to the
        tolerance, are not shown to, and failed, what so many can prove at best, and what it all rests on.

        Parameters
        ----------
        noun : str, default "environment"
            What your environments are, in the singular: ``"hospital"``.

        Returns
        -------
        str
        """
        return "\n".join(textwrap.fill(line, _COLUMNS, subsequent_indent="  ") for line in self._sentences(noun))

    def _sentences(self, noun: str = "environment") -> list[str]:
        if not isinstance(noun, str) or not noun.strip():
            raise ValueError(f"noun must be a word, what your environments are (noun='hospital'); got {noun!r}.")
        one, many = noun.strip(), plural(noun.strip())
        percent = f"{100 * self.confidence_level:g}% confidence"
        lines = [self._answer(one, many, percent), f"To break the rule is to have {self._gap(one)}"]
        lines.append(self._seen(one))
        if self.method != "hull":
            lines.append(
                f"At best, by any method, {counted(self.n_interventions, one)} can prove that at most "
                f"{at_most(self.best_possible)} of new {many} break a rule ({percent})."
            )
        if self.method != "hull" and self.expected_violation < 1 and self.violation_upper < 1:  # not NaN
            lines.append(f"The next {one} breaks it with probability at most {at_most(self.expected_violation)}.")
        if self.plug_in:
            lines.append(
                "Not proved, because the moments are estimated and were taken for exact (plug_in=True). Simulations of "
                "its coverage are no proof."
            )
        return [*lines, f"Method {self.method!r} rests on: " + "; ".join(self.assumptions) + "."]

    def _answer(self, one: str, many: str, percent: str) -> str:
        """The first line."""
        start = "NOT PROVED: " if self.plug_in else ""
        if self.method == "hull":
            return f"{start}In the new {one} this rule is not broken, for certain."
        if self.violation_upper >= 1:
            return f"{start}These {many} prove nothing about new ones ({percent})."
        return f"{start}At most {at_most(self.violation_upper)} of new {many} break this rule ({percent})."

    def _gap(self, one: str) -> str:
        """What a gap above the tolerance is, with its unit."""
        size = "above 0 by more than rounding" if self.eps <= _NO_GAP else f"above {self.eps:.3g}"
        percent = "more" if self.eps <= _NO_GAP else f"{rough_percent(self.eps)} more"
        own = f"the best linear rule on the same features in that {one} alone"
        return {
            "relative_excess": f"a relative excess {size}: {percent} mean squared error than {own}.",
            "excess": f"an excess {size}: so much more mean squared error, in squared units of y, than {own}.",
            "gradient": f"a gradient {size}: the length of the mean of residual times (1, features).",
            "risk_range": f"a risk range {size}: mean squared error beyond that of the best of these environments.",
        }.get(self.metric, f"a {self.metric} {size}.")

    def _seen(self, one: str) -> str:
        """How many environments are shown to keep to the tolerance, are not, and failed."""
        shown, unclear = self.n_interventions - self.violations, self.violations - self.failed
        numbers = f"{shown} shown to keep it, {unclear} not shown either way, {self.failed} failed."
        text = f"Seen: {counted(self.n_interventions, one)}, of which {numbers}"
        wrong = dict(self.details).get("miss_rate")
        if wrong is not None:
            text += (
                f" Each is judged by its own rows, wrongly with probability at most {wrong:.3g}; the bound counts "
                "those not shown as if they had failed."
            )
        return text

    def __str__(self) -> str:
        return plain("\n".join(wrap(line) for line in self._sentences()))

    def summary(self) -> Summary:
        """The numbers, and what they rest on."""
        first, *rest = self._sentences()
        return Summary(
            "Certificate of invariance", first, "; ".join(self.assumptions), self.to_frame(), tuple(rest[:-1])
        )

    def to_frame(self) -> pd.DataFrame:
        """One row with the numbers."""
        names = ["method", "violation_upper", "expected_violation", "eps", "metric", "confidence_level"]
        names += ["n_interventions", "violations", "failed", "plug_in"]
        return pd.DataFrame([{name: getattr(self, name) for name in names} | dict(self.details)])
