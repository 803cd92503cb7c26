"""What a method of certifying is: its licence, the numbers it needs, its tail and the tail's inverse."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, field, fields
from typing import Any, ClassVar, TypedDict

import numpy as np

from causalinv._validation import check_number, check_whole
from causalinv.linear_rule import LinearRule

__all__ = ["CONVEX", "Claim", "GivenNumbers", "Method", "Numbers", "numbers_of"]

CONVEX = ("excess", "relative_excess", "gradient")  # sublevel sets convex in the moments
_GRID = np.linspace(0.0, 1.0, 20_001)


class GivenNumbers(TypedDict, total=False):
    """Keywords of the public functions, as in `Numbers`."""

    n_sites: int | None
    class_size: float | None
    vc_dimension: int | None
    n_coefficients: int | None
    violations: int
    miss_rate: float


@dataclass(frozen=True)
class Numbers:
    """What a bound is computed from beside the number of interventions.

    Attributes
    ----------
    n_sites : int, optional
        Sites that move.
    class_size : float, optional
        Rules, or representations, among which one was chosen.
    vc_dimension : int, optional
        Of the violation sets.
    n_coefficients : int, optional
        Of the rule, the intercept included.
    violations : int
        Interventions that count as violations.
    miss_rate : float
        Probability with which an environment that violates passes its test.
    """

    n_sites: int | None = None
    class_size: float | None = None
    vc_dimension: int | None = None
    n_coefficients: int | None = None
    violations: int = 0
    miss_rate: float = 0.05

    def __post_init__(self) -> None:
        for name in ("n_sites", "vc_dimension", "n_coefficients"):
            if getattr(self, name) is not None:
                check_whole(getattr(self, name), name, low=1)
        if self.class_size is not None and not self.class_size >= 1:
            raise ValueError(f"class_size must be >= 1, got {self.class_size!r}.")
        check_whole(self.violations, "violations", low=0)
        check_number(self.miss_rate, "miss_rate", low=0.0, high=0.5)

    def told(self, names: Sequence[str]) -> tuple[tuple[str, float], ...]:
        """Those of these names that are there, for a certificate's details."""
        return tuple((name, float(getattr(self, name))) for name in names if getattr(self, name) is not None)


@dataclass(frozen=True)
class Claim:
    """What a method found when it held a request against the data: what the certificate will say.

    Attributes
    ----------
    rule : LinearRule
        The rule that is spoken of.
    eps : float
        Tolerance.
    m : int
        Interventions that count.
    numbers : Numbers
    assumptions : list of str
    failed : int
        Of the violations, those that are shown to be.
    extra : tuple of (str, float)
        Further numbers for the certificate's details.
    """

    rule: LinearRule
    eps: float
    m: int
    numbers: Numbers = field(default_factory=Numbers)
    assumptions: list[str] = field(default_factory=list)
    failed: int = 0
    extra: tuple[tuple[str, float], ...] = ()


class Method(ABC):
    """One way to certify. The class attributes are a row of the validity table.

    Attributes
    ----------
    name : str
    evidence, families, moments, conditions : str
        What is seen, of which interventions, by which moments, on which conditions.
    asks : str
        What the method asks for in return, in the planning table.
    section : int
        Of ``docs/certificates.md``, where it is proved.
    metrics : tuple of str
        Licensed metrics.
    needs : tuple of str
        Names in `Numbers` without which there is no bound.
    counts_violations : bool
        Whether rules that violate in evidence have a bound, too.
    averages : bool
        Whether the mean over the evidence says something of the certified statement.
    takes : tuple of str
        Names in `Numbers` that may be given, beside those needed.
    random : bool
        Whether there is a probability to bound.
    """

    name: ClassVar[str]
    evidence: ClassVar[str]
    families: ClassVar[str] = "any, environments independent of one law"
    moments: ClassVar[str] = "exact (estimated only as plug_in)"
    conditions: ClassVar[str]
    asks: ClassVar[str]
    section: ClassVar[int]
    metrics: ClassVar[tuple[str, ...]] = ("all",)
    needs: ClassVar[tuple[str, ...]] = ()
    counts_violations: ClassVar[bool] = False
    averages: ClassVar[bool] = True
    takes: ClassVar[tuple[str, ...]] = ()
    random: ClassVar[bool] = True

    @abstractmethod
    def tail(self, t: float, m: int, numbers: Numbers) -> float:
        """Chance, over m >= 1 interventions, that what passed them violates with probability above t."""

    @abstractmethod
    def upper(self, level: float, m: int, numbers: Numbers) -> float:
        """The t at which the tail is `level`."""

    def mean(self, m: int, numbers: Numbers) -> float:
        """Integral of the tail: bounds the probability that the next intervention violates."""
        tail = np.array([self.tail(float(t), m, numbers) for t in _GRID])
        return float(np.sum((tail[1:] + tail[:-1]) / 2 * np.diff(_GRID)))

    def refuses(self, kind: str, per_env: str = "single") -> str | None:
        """Why interventions of this kind are not licensed; None if they are."""
        return None

    def licensed(self, metric: str) -> bool:
        """Whether the metric is."""
        return self.metrics == ("all",) or metric in self.metrics

    def check_metric(self, metric: str) -> None:
        """Raise unless the metric is licensed."""
        if not self.licensed(metric):
            raise ValueError(
                f"{self.name} is not proved for metric={metric!r}, only for {', '.join(self.metrics)}: for others "
                "environments with a small gap need not form a convex set, an estimated gap has no known law, or the "
                "gap of one environment depends on which others were seen."
            )

    def check_numbers(self, numbers: Numbers) -> None:
        """Raise if a number is missing, or violations are not allowed."""
        for name in self.needs:
            if getattr(numbers, name) is None:
                raise ValueError(f"method={self.name!r} needs {name}.")
        if numbers.violations and not self.counts_violations:
            raise ValueError(
                f"method={self.name!r} needs a rule without violations, got violations={numbers.violations}."
            )

    def bound(self, level: float, m: int, numbers: Numbers) -> float:
        """The inverse, 1 without evidence."""
        return 1.0 if m == 0 else min(1.0, self.upper(level, m, numbers))

    def expected(self, m: int, numbers: Numbers) -> float:
        """The mean, 1 without evidence."""
        return 1.0 if m == 0 else min(1.0, self.mean(m, numbers))

    def row(self) -> dict[str, str]:
        """Row of the validity table."""
        names = ("evidence", "families", "moments", "metrics", "conditions")
        return {name: ", ".join(self.metrics) if name == "metrics" else getattr(self, name) for name in names}


NUMBERS: tuple[str, ...] = tuple(each.name for each in fields(Numbers))


def numbers_of(given: Any) -> Numbers:
    """The numbers of a public function's keywords; an unknown one raises TypeError naming the known."""
    other = [name for name in given if name not in NUMBERS]
    if other:
        raise TypeError(f"unexpected keyword argument {other[0]!r}; known: {', '.join(NUMBERS)}.")
    return Numbers(**given)
