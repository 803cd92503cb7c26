"""Estimates and tests: numbers from rows, with what they rest on."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

import numpy as np
import pandas as pd

from causalinv._printing import Printed, Summary, counted, percent
from causalinv._typing import FloatArray

__all__ = [
    "BoundsEstimate",
    "Estimate",
    "ExtrapolationDiagnostics",
    "PointwiseBounds",
    "TestResult",
]


def _number(column: str, text: str) -> Any:
    """A property that reads a column of the result's table: a number if there is one row, else an array."""

    def read(result: Any) -> Any:
        values = result.table[column].to_numpy()
        return float(values[0]) if len(values) == 1 else values.copy()

    return property(read, doc=text)


@dataclass(frozen=True, eq=False, repr=False)
class Estimate(Printed):
    """Estimated numbers, one row each, with their intervals and what they rest on.

    Attributes
    ----------
    estimand : str
        What the numbers estimate.
    assumption : str
        Under which assumption.
    table : pandas.DataFrame
        One row per number: ``estimate``, ``lower``, ``upper``, and what is known beside them.
    confidence_level : float
        Of the intervals, each on its own unless `simultaneous`.
    notes : tuple of str
        What else a reader must know.
    simultaneous : bool
        Whether all intervals hold together with this confidence.
    title : str
        First line in print; left out, it says how wide the intervals are.
    headline : str, optional
        Label of the row that `estimate` and its neighbours read where the table has several.
    """

    estimand: str
    assumption: str
    table: pd.DataFrame
    confidence_level: float = 0.95
    notes: tuple[str, ...] = ()
    simultaneous: bool = False
    title: str = ""
    headline: str | None = None

    def _read(self, name: str) -> Any:
        column = self.table[name] if name in self.table else pd.Series(np.nan, self.table.index)
        if self.headline is not None:
            return float(column.loc[self.headline])
        values = column.to_numpy(dtype=np.float64)
        return float(values[0]) if len(values) == 1 else values.copy()

    @property
    def estimate(self) -> Any:
        """The number (that of the headline); an array if there are several and none is the headline."""
        return self._read("estimate")

    @property
    def standard_error(self) -> Any:
        """Standard error of `estimate`; NaN where none is claimed."""
        return self._read("standard_error")

    @property
    def conf_int(self) -> FloatArray:
        """Interval, shape (2,), or (m, 2) for m numbers; NaN where none is claimed."""
        return np.stack([self._read("lower"), self._read("upper")], axis=-1)

    def to_frame(self) -> pd.DataFrame:
        """Return the whole table, a copy."""
        return self.table.copy()

    def summary(self) -> Summary:
        """The table on one screen, with its notes."""
        kind = "simultaneous" if self.simultaneous else "pointwise"
        title = self.title or f"Estimates with {kind} {percent(self.confidence_level)} intervals"
        return Summary(title, self.estimand, self.assumption, self.table, self.notes)


@dataclass(frozen=True, eq=False, repr=False)
class TestResult(Printed):
    """A statistical test, with what it tests, what its level rests on, and what its rejection does not say.

    Attributes
    ----------
    statistic, pvalue : float
    df : float or None
        Degrees of freedom, if the reference law has any.
    hypothesis : str
        What is tested.
    assumption : str
        What the level of the test rests on.
    note : str
        How to read the answer.
    overlap : float or None
        Of a test of symmetry: about 1 if rows were seen in every pose alike, near 0 if the data cannot answer.
    """

    __test__ = False  # not a test of pytest

    statistic: float
    pvalue: float
    df: float | None = None
    hypothesis: str = ""
    assumption: str = ""
    note: str = ""
    overlap: float | None = None

    def to_frame(self) -> pd.DataFrame:
        """One row: statistic, degrees of freedom, p-value; and overlap, where it was measured."""
        row = {"statistic": [self.statistic], "df": [self.df], "pvalue": [self.pvalue]}
        return pd.DataFrame(row if self.overlap is None else row | {"overlap": [self.overlap]})

    def summary(self) -> Summary:
        """The numbers with the hypothesis, the assumption and how to read them."""
        notes = (self.note,) if self.note else ()
        title = f"p = {self.pvalue:.3g}. Null hypothesis: {self.hypothesis}"
        return Summary(title, "", self.assumption, self.to_frame(), notes)


@dataclass(frozen=True, eq=False, repr=False)
class BoundsEstimate(Printed):
    """Estimated ends of what the data and an assumption leave open, with Manski's ends beside.

    Attributes
    ----------
    title : str
        Method.
    estimand : str
        What lies between the ends.
    assumption : str
        Under which assumption, and who made it.
    table : pandas.DataFrame
        One row per strength (or per divergence) asked for: ``lower``, ``upper``, ``se_lower``, ``se_upper``,
        ``ci_lower``, ``ci_upper``, ``manski_lower``, ``manski_upper``.
    confidence_level : float
        Of the interval from ``ci_lower`` to ``ci_upper``.
    n : int
        Rows.
    target : {"parameter", "set"}
        Whether the interval covers the estimand, wherever it lies between the ends, or both ends at once.
    notes : tuple of str
        What else a reader must know.
    poor_overlap : bool
        Whether more than 5% of the propensities, of the arms and rows that were asked about, lie outside [0.03, 0.97]:
        intervals then cover less than they say.
    moved : tuple of bool
        For each row whether an end or its interval was moved: cut at what is possible, or widened to hold smaller
        strengths, or outcomes that an arm without variation did not show.
    """

    title: str
    estimand: str
    assumption: str
    table: pd.DataFrame
    confidence_level: float
    n: int
    target: str = "parameter"
    notes: tuple[str, ...] = ()
    poor_overlap: bool = False
    moved: tuple[bool, ...] = ()

    lower = _number("lower", "Lower end; an array if several strengths were asked for.")
    upper = _number("upper", "Upper end; an array if several strengths were asked for.")
    se_lower = _number("se_lower", "Standard error of the lower end; NaN if the end is infinite.")
    se_upper = _number("se_upper", "Standard error of the upper end; NaN if the end is infinite.")

    @property
    def conf_int(self) -> FloatArray:
        """Confidence interval, shape (2,); (g, 2) for g strengths."""
        both = self.table[["ci_lower", "ci_upper"]].to_numpy()
        return both[0].copy() if len(both) == 1 else both.copy()

    def to_frame(self) -> pd.DataFrame:
        """Return the whole table, a copy."""
        return self.table.copy()

    def summary(self) -> Summary:
        """The table with what it rests on, as text and HTML."""
        what = {"set": "both ends at once", "band": "both ends in all rows at once"}.get(
            self.target, "the estimand, wherever it lies between the ends"
        )
        level = f"ci: {percent(self.confidence_level)} interval for {what}; n = {self.n}"
        return Summary(self.title, self.estimand, self.assumption, self.table, (level, *self.notes))


@dataclass(frozen=True, eq=False, repr=False)
class PointwiseBounds(Printed):
    """Ends at each row of features: estimates without standard errors.

    Attributes
    ----------
    lower, upper : ndarray of shape (m,)
        Ends.
    manski_lower, manski_upper : ndarray of shape (m,)
        Ends under no assumption beyond the outcome's limits, from the same law and propensity.
    propensity : ndarray of shape (m,)
        Estimated chance of the arm.
    estimand : str
        What lies between the ends.
    assumption : str
        Under which assumption, and who made it.
    index : pandas.Index, optional
        Labels of the rows that were asked about, where they had any.
    """

    lower: FloatArray
    upper: FloatArray
    manski_lower: FloatArray
    manski_upper: FloatArray
    propensity: FloatArray
    estimand: str
    assumption: str
    index: pd.Index | None = None

    def to_frame(self) -> pd.DataFrame:
        """One row per row of features, under its label."""
        names = ("lower", "upper", "manski_lower", "manski_upper", "propensity")
        return pd.DataFrame({name: getattr(self, name) for name in names}, index=self.index)

    def summary(self) -> Summary:
        """The ends with what they rest on, as text and HTML."""
        notes = ["pointwise estimates, without standard errors."]
        crossing = int(np.count_nonzero(self.lower > self.upper))
        if crossing:
            notes.append(f"in {crossing} rows the lower end lies above the upper one; both are kept.")
        return Summary("Bounds at each row", self.estimand, self.assumption, self.to_frame(), tuple(notes))


#: What each check is, in few words, and from where on it is a reason to doubt.
_CHECKS = {
    "linearity_pvalue": "p: state linear in action",
    "residual_pvalue": "p: noise apart from action",
    "precision_gap": "two fits differ by this share",
    "noise_evidence": "evidence: noise not Gaussian",
    "n_noise_components": "Gaussians for the noise",
    "singular_values": "action's pull, sd of noise",
    "effective_rank": "directions the action moves",
    "effective_dimension": "directions the state uses",
    "moved_by_action": "move, in distances of rows",
    "do_consistency": "misfit at tried actions, sd",
    "shell_error": "error at outmost actions, sd",
    "shell_action_only": "same, by the action alone",
    "conditional_score": "nats X tells about action",
    "nonlinear_mean": "state's mean bends in action",
    "unequal_noise": "noise's size follows action",
    "direct_effect": "action acts beside the state",
}
#: From where on a check is a reason to doubt, and which; that of the effective rank depends on how many directions are.
_LIMITS = {
    "linearity_pvalue": ("<", 0.05, "the mean of the representation is not linear in the action"),
    "residual_pvalue": ("<", 0.05, "residuals of the representation depend on the action"),
    "noise_evidence": (">", 1.0, "the state's own noise V does not look Gaussian"),
    "conditional_score": ("<=", 0.0, "the representation says nothing about the action on held-out rows"),
    "n_noise_components": (">", 1.0, "the residuals do not look Gaussian"),
    "effective_rank": ("<", 0.7, "the action hardly moves some components"),
    "do_consistency": (">", 0.3, "the model does not reproduce the mean outcome of tried actions"),
    "shell_error": (
        ">",
        0.5,
        "extrapolation inside the data is poor, or no better than a polynomial of the action",
    ),
}
_BEYOND = {"<": float.__lt__, "<=": float.__le__, ">": float.__gt__}
_REACH = 1e-3  # of a threshold: a value below counts as this


@dataclass(frozen=True, eq=False, repr=False)
class ExtrapolationDiagnostics(Printed):
    """What can be checked; none of it can prove that the action was randomised or acts only through the state.

    A check that the data do not allow (too few rows or actions, once some are held out) is NaN.

    Attributes
    ----------
    linearity_pvalue : float
        Is the mean of the representation linear in the action? On a third of the rows, the encoder refitted without
        them. Small: the action moves the state nonlinearly, or the encoder is off.
    residual_pvalue : float
        Are representation residuals and action independent (distance correlation, 400 rows)? Small: the same.
    precision_gap : float or None
        Our encoder: relative distance of two estimates of its ``"ef"`` form that agree for Gaussian V; it grows as rows
        become few.
    noise_evidence : float or None
        Our encoder: evidence that V is not Gaussian; above 1 a doubt.
    n_noise_components : float
        Gaussians (by BIC: 1 or 3) needed for the residuals; above 1 doubt Gaussian V.
    singular_values : tuple of float
        Of the representation's slope: standard deviations of V per standard deviation of the action.
    effective_rank : float
        Exponential of the entropy of their shares: how many directions the action really moves.
    effective_dimension : float
        Directions that the representation uses: the participation ratio of its covariance, residual variance 1.
    moved_by_action : float
        0: the action does not move the representation. Mean distance of a row to where the mean action would have put
        it, over the mean distance of two rows, in the same units (at most 2,000 rows).
    do_consistency : float
        Root mean squared gap between `predict_do` and a smooth of y on the action over the tried actions, in standard
        deviations of the smooth. Large: the action also acts past the state (nonlinearly; a linear direct effect does
        no harm, as the action is linear in state and residual), or the response is off.
    shell_error, shell_action_only : float
        `Rep4ExRegressor.shell_score` at 1.4, and the same for a polynomial of the action alone.
    conditional_score : float
        Held-out score of the encoder, in nats; not above 0 if X does not follow the action.
    checks_ : DataFrame
        Those that the fit has made (`Rep4ExRegressor.checks_`): ``value``, ``threshold``, ``doubt``.
    """

    linearity_pvalue: float
    residual_pvalue: float
    precision_gap: float | None
    noise_evidence: float | None
    n_noise_components: float
    singular_values: tuple[float, ...]
    effective_rank: float
    effective_dimension: float
    moved_by_action: float
    do_consistency: float
    shell_error: float
    shell_action_only: float
    conditional_score: float
    checks_: pd.DataFrame

    def to_frame(self) -> pd.DataFrame:
        """One row per check: its value and whether it is a reason to doubt."""
        doubts = self._doubts()
        names = [field.name for field in fields(self) if field.name != "checks_"]
        values = [getattr(self, name) for name in names] + self.checks_["value"].tolist()
        names += [str(name) for name in self.checks_.index]
        shown = [" ".join(f"{v:.3g}" for v in value) if isinstance(value, tuple) else value for value in values]
        return pd.DataFrame({"value": shown, "doubt": [name in doubts for name in names]}, index=names)

    def _limits(self) -> dict[str, tuple[str, float, str]]:
        """Side and threshold of every check that can doubt, and what it then says."""
        found = dict(_LIMITS)
        side, share, text = found["effective_rank"]
        found["effective_rank"] = side, share * len(self.singular_values), text
        side, most, text = found["shell_error"]  # no better than the action alone is a doubt, too
        found["shell_error"] = side, float(np.fmin(most, self.shell_action_only)), text
        for name, limit in self.checks_["threshold"].astype(float).items():
            if not np.isnan(limit):
                found[str(name)] = ">", limit, f"above {limit:.3f}; the model's summary() says what that means"
        return found

    def _value(self, name: str) -> float:
        value = self.checks_["value"].loc[name] if name in self.checks_.index else getattr(self, name)
        return float("nan") if value is None else float(value)

    def _doubts(self) -> dict[str, str]:
        """Checks that are a reason to doubt, and what each says."""
        found = {}
        for name, (side, limit, text) in self._limits().items():
            doubt = _BEYOND[side](self._value(name), limit)
            if name in self.checks_.index:
                doubt = bool(self.checks_["doubt"].loc[name])
            elif name == "effective_rank":
                doubt = doubt or np.isnan(self.effective_rank)  # it moves none
            if doubt:
                found[name] = text
        return found

    def ratios(self) -> pd.Series:
        """How far each check that can doubt is on the side of doubt, in thresholds: above 1 it doubts, by this alone.

        NaN where it was not made. A score in nats, whose threshold is 0, is taken as exp(-3 score).
        """
        found = {}
        for name, (side, limit, _) in self._limits().items():
            value = self._value(name)
            if limit == 0:
                found[name] = float(np.exp(-3.0 * value))
            elif np.isnan(value):
                found[name] = value
            else:
                share = max(value / limit, _REACH)
                found[name] = share if side == ">" else 1.0 / share
        order = [str(name) for name in self.to_frame().index if name in found]
        return pd.Series(found)[order]

    def _limit(self, name: str) -> str:
        """From where on a check is a reason to doubt; empty if it only describes."""
        side, limit, _ = self._limits().get(name, ("", np.nan, ""))
        return f"{side} {limit:.3g}" if side else ""

    def summary(self) -> Summary:
        """The checks on one screen, with what each is and what each doubt means."""
        notes = tuple(f"{name}: {text}" for name, text in self._doubts().items())
        shown = self.to_frame().astype({"doubt": object})
        shown.insert(1, "doubt if", [self._limit(str(name)) for name in shown.index])
        made = [value is not None and value == value for value in shown["value"]]  # noqa: PLR0124 - NaN is not
        shown["doubt"] = [
            "not made" if limit and not known else "yes" if doubt else "no" if limit else ""
            for known, doubt, limit in zip(made, shown["doubt"], shown["doubt if"], strict=True)
        ]
        shown["what it is"] = [_CHECKS.get(str(name), "") for name in shown.index]
        told = counted(len(notes), "reason") if notes else "no reasons"
        return Summary(
            f"What can be checked of this extrapolation: {told} to doubt it",
            "",
            "not checkable: the action was randomised and acts only through the state",
            shown,
            notes or ("no check gives a reason to doubt; that is no proof",),
        )
