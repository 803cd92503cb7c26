"""The two doors: `certify` by fresh environments, and `certify` of a fitted estimator by those that trained it."""

from __future__ import annotations

from typing import Any, Literal, cast

import numpy as np
from sklearn.utils.validation import check_is_fitted

from causalinv._labels import encode
from causalinv._typing import FloatArray, Rows
from causalinv._validation import check_confidence_level, check_number, check_rows
from causalinv.invariance.certificates._declared import compare_family, suspect_target
from causalinv.invariance.certificates._fresh import FreshRequest, GivenRows
from causalinv.invariance.certificates._method import Claim, Method
from causalinv.invariance.certificates._registry import FRESH, TRAINING, quoted
from causalinv.invariance.certificates._same import check_names, refuse_training
from causalinv.invariance.certificates._training import TrainingRequest
from causalinv.invariance.rules._gaps import Metric
from causalinv.invariance.rules._rule import rule_of
from causalinv.moments import Moments
from causalinv.results import InvarianceCertificate
from causalinv.sem import EnvironmentSet, InterventionFamily

__all__ = ["CertifiesTraining", "certify"]


def certify(
    fitted: Any,
    X: Rows | Moments,
    y: Rows = None,
    *,
    environments: Rows = None,
    eps: float,
    metric: Metric = "relative_excess",
    confidence_level: float = 0.95,
    method: Literal["holdout", "union", "two_level", "bounded", "kurtosis"],
    class_size: float | None = None,
    miss_rate: float = 0.05,
    residual_bound: float | None = None,
    kurtosis: float | None = None,
    plug_in: bool = False,
) -> InvarianceCertificate:
    """Certify one rule by fresh environments, none of which had a part in choosing it.

    Parameters
    ----------
    fitted : estimator, Pipeline, LinearRule or tuple (components, coef, intercept)
        The rule; see `rule_of`. A Pipeline is certified as a whole.
    X : array-like of shape (n, d), or Moments
        Features; or moments of ``x`` and ``y``, one cell per environment (a population's for ``"holdout"``).
    y : array-like of shape (n,)
        Outcome.
    environments : array-like of shape (n,)
        Label of each row's environment.
    eps : float
        Tolerated gap, fixed in advance.
    metric : str, default "relative_excess"
        As in `invariance_gaps`.
    confidence_level : float, default 0.95
    method : {"holdout", "union", "two_level", "bounded", "kurtosis"}
        ``"holdout"``: count violations, by exact moments. ``"union"``: the same without violations, simultaneously for
        `class_size` rules. ``"two_level"``: each environment is tested by its rows, and counts as a violation unless
        its gap is certified to be at most `eps`, for Gaussian rows. ``"bounded"``: the same for rows of any law whose
        residuals are bounded; needs the rows. ``"kurtosis"``: the same for rows without bound whose linear functions
        have a bounded kurtosis.
    class_size : float, optional
        For ``"union"``.
    miss_rate : float, default 0.05
        For ``"two_level"``, ``"bounded"`` and ``"kurtosis"``, how often an environment that violates may pass its test.
    residual_bound : float, optional
        For ``"bounded"``: in every environment neither the rule nor the environment's own best linear rule misses y by
        more. Yours to know (an outcome from 0 to 1 has 1 for sensible rules); a row that refutes it raises.
    kurtosis : float, optional
        For ``"kurtosis"``: in every environment E f^4 is at most this times (E f^2)^2, for each linear function f of
        the constant, the features that the rule reads and y; >= 1, 3 for Gaussian rows. Yours to know; rows that refute
        it (level .01) raise.
    plug_in : bool, default False
        Take estimated moments for exact; the certificate then says that it is not proved.

    Returns
    -------
    InvarianceCertificate

    Raises
    ------
    ValueError
        If the environments trained the rule, or the validity table does not license the request; the message names the
        missing condition.
    """
    if not isinstance(X, Moments) and (environments is None or y is None):
        raise ValueError("certify needs y and environments=, the outcome and the label of each row's environment.")
    rows = None
    if isinstance(X, Moments):
        moments = X
    else:
        labels = encode(environments, "environments")
        moments = Moments.from_rows(x=X, y=y, environments=labels)
        rows = GivenRows(check_rows(X, "X"), np.ravel(check_rows(y, "y")), labels)
    check_names(getattr(fitted, "feature_names_in_", None), moments.names["x"], "X")
    rule = rule_of(fitted, moments, None if rows is None else rows.features)
    if moments.blocks["x"] != len(rule.coef):
        raise ValueError(f"The rule has {len(rule.coef)} features, these environments {moments.blocks['x']}.")
    eps = check_number(eps, "eps", low=0.0)
    if not np.isfinite(eps):
        raise ValueError(f"eps must be finite, got {eps}: every rule has a gap of at most that.")
    refuse_training(fitted, moments, None if isinstance(X, Moments) else X, y, environments)
    if method not in FRESH:
        raise ValueError(
            f"method must be {quoted(FRESH)} for fresh environments, got {method!r}; {quoted(TRAINING)} are "
            "methods of a fitted selector's certify(), from its training environments."
        )
    chosen = FRESH[method]
    chosen.check_metric(metric)
    claim = chosen.claim(
        FreshRequest(rule, moments, eps, metric, class_size, miss_rate, plug_in, rows, residual_bound, kurtosis)
    )
    return _certificate(chosen, claim, metric, confidence_level, plug_in and not moments.is_population)


class CertifiesTraining:
    """Gives a fitted estimator its ``certify``."""

    moments_: Moments
    gaps_: FloatArray

    def _class_size(self) -> float:
        """Representations among which the fit chose."""
        return float("inf")

    def certify(
        self,
        *,
        method: Literal["beta_sites", "box", "scenario", "vc", "hull"] | None = None,
        eps: float | None = None,
        confidence_level: float = 0.95,
        family: InterventionFamily | None = None,
        baseline: Any = None,
        in_degree: int | None = None,
        environment_set: EnvironmentSet | None = None,
        new: Moments | None = None,
        plug_in: bool = False,
    ) -> InvarianceCertificate:
        """Say what the training environments prove about unseen interventions.

        Parameters
        ----------
        method : {"beta_sites", "box", "scenario", "vc", "hull"}
            Needed: none is the default, as each rests on a claim that is yours; see
            `causalinv.invariance.validity_table`.
        eps : float, optional
            Tolerated gap, at least the one in training; left out, that one.
        confidence_level : float, default 0.95
        family : InterventionFamily, optional
            Your declaration: kind of interventions, sites, and whether one environment moves one of them.
        baseline : label, optional
            The training environment without intervention.
        in_degree : int, optional
            For ``"vc"`` with changes of weights: most parents of a site.
        environment_set : EnvironmentSet, optional
            For ``"box"``: the training environments with model and magnitudes.
        new : Moments, optional
            For ``"hull"``: the environment that is asked about.
        plug_in : bool, default False
            Take estimated moments for exact; the certificate says that it is not proved.

        Returns
        -------
        InvarianceCertificate
            About the fitted rule (for ``"scenario"``, about the minimax rule on the chosen set; its coefficients are in
            the certificate).

        Raises
        ------
        ValueError
            If the request is not licensed, or exact moments refute the declared family; the message names the
            condition.

        Warns
        -----
        FamilyWarning
            If the environments, by estimated moments, move more directions than the declared family can.
        TargetInterventionWarning
            If no set has the same residuals everywhere.
        """
        check_is_fitted(self)
        if new is not None:
            check_names(getattr(self, "feature_names_in_", None), new.names["x"], "new")
        if method is None:
            raise ValueError(
                f"certify needs method=, which is what you claim: {quoted(TRAINING)} from the environments that "
                "trained the rule (what each claims: causalinv.invariance.validity_table()). Environments that were "
                "kept out of the fit prove more: causalinv.invariance.certify."
            )
        if method not in TRAINING:
            raise ValueError(
                f"method must be {quoted(TRAINING)} for training environments, got {method!r}; {quoted(FRESH)} need "
                "fresh ones: causalinv.invariance.certify."
            )
        chosen, metric = TRAINING[method], cast("Metric", getattr(self, "metric", "relative_excess"))
        chosen.check_metric(metric)
        moments = self.moments_
        request = TrainingRequest(
            rule_of(self),
            moments,
            metric=metric,
            gaps=self.gaps_,
            class_size=self._class_size(),
            eps=eps,
            family=family,
            baseline=baseline,
            in_degree=in_degree,
            environment_set=environment_set,
            new=new,
            plug_in=plug_in,
        )
        chosen.check(request)
        if family is not None:
            compare_family(moments, family, baseline, exact=moments.is_population)
        suspect_target(moments)
        claim = chosen.claim(request)
        return _certificate(chosen, claim, metric, confidence_level, plug_in and not moments.is_population)


def _certificate(
    method: Method, claim: Claim, metric: str, confidence_level: float, plugged: bool
) -> InvarianceCertificate:
    level = 1.0 - check_confidence_level(confidence_level)
    numbers, m = claim.numbers, claim.m
    method.check_numbers(numbers)
    used = (*method.needs, *method.takes)
    return InvarianceCertificate(
        violation_upper=method.bound(level, m, numbers),
        expected_violation=method.expected(m, numbers) if method.averages else float("nan"),
        eps=float(claim.eps),
        metric=metric,
        confidence_level=float(confidence_level) if method.random else 1.0,
        n_interventions=m,
        violations=numbers.violations,
        method=method.name,
        assumptions=tuple(claim.assumptions),
        coef=tuple(claim.rule.coef.tolist()),
        intercept=claim.rule.intercept,
        plug_in=plugged,
        details=(*numbers.told(used), *claim.extra),
        failed=claim.failed,
    )
