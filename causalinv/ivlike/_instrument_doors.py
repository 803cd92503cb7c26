"""What a fit to genuine instruments can be asked: doors to functions of its structural equation."""

from __future__ import annotations

from typing import Literal

import numpy as np
import pandas as pd

from causalinv._typing import ArrayLike, FloatArray
from causalinv._validation import check_choice, check_confidence_level
from causalinv.ivlike._instruments import (
    TESTS,
    SetTest,
    coefficient_test,
    endogenous_features,
    first_stage_table,
    robust_set,
)
from causalinv.ivlike._intervals import controls_frame
from causalinv.ivlike._recorded import Recorded
from causalinv.ivlike._sets import ConfidenceSet
from causalinv.ivlike._small_samples import CovType
from causalinv.ivlike._specification import endogeneity, overidentification
from causalinv.ivlike._structural import equation_of
from causalinv.results import Summary, TestResult

__all__ = ["InstrumentDoors"]

TestCovariance = Literal["robust", "classical"]


class InstrumentDoors(Recorded):
    """Methods for fits with ``instruments=``; on other fits they raise."""

    def first_stage(self) -> Summary:
        """How strongly the instruments move the features: F statistics by feature, and of the weakest direction.

        Returns
        -------
        Summary
            One row per endogenous feature: classical and robust F of the excluded instruments, controls held fixed.
            Notes give the statistics of Cragg and Donald (1993), of Kleibergen and Paap (2006), and with one endogenous
            feature the effective F of Montiel Olea and Pflueger (2013).
        """
        fit = self._checked()
        return first_stage_table(equation_of(fit, outcome=0), fit.names)  # it is the same for every outcome

    def overidentification_test(self, *, cov_type: TestCovariance = "robust") -> TestResult:
        """Test whether the instruments agree on the effect: Hansen's J, or Sargan's test.

        Parameters
        ----------
        cov_type : {"robust", "classical"}, default "robust"
            Hansen's J of two-step GMM, robust to unequal variances and to dependence inside `groups`; or Sargan's.

        Returns
        -------
        TestResult
            With as many degrees of freedom as there are surplus instruments. Sargan's p-value is of the chi squared
            law, and too small where controls are not few beside the rows (20 in 60: level .05 is .15). That of J is by
            flipped signs of the residuals of rows, or `groups`; the chi squared law of textbooks is close to it with
            many rows.

        Raises
        ------
        ValueError
            If there are no more instruments than endogenous features.
        """
        return overidentification(equation_of(self._checked()), robust=_robust(cov_type))

    def endogeneity_test(self, *, cov_type: TestCovariance = "robust") -> TestResult:
        """Test of Wu and Hausman: whether least squares and two-stage least squares estimate the same.

        Parameters
        ----------
        cov_type : {"robust", "classical"}, default "robust"

        Returns
        -------
        TestResult
            F statistic. Robust, it is that of Wooldridge's regression test, and the p-value that of the score under
            flipped signs of the rows, or of whole `groups`, whose size holds in small samples if errors are symmetric
            (of skewed ones with a variance of 1 to 9, level .05 was .08 in 30 rows).

        Raises
        ------
        ValueError
            If some endogenous direction is moved by no instrument.
        """
        return endogeneity(equation_of(self._checked()), robust=_robust(cov_type))

    def weak_instrument_set(
        self,
        feature: str | int | None = None,
        *,
        test: SetTest = "ar",
        cov_type: TestCovariance | None = None,
        confidence_level: float = 0.95,
    ) -> ConfidenceSet:
        """Confidence set of one effect that holds its level however weak the instruments are.

        Parameters
        ----------
        feature : str or int, optional
            Name or position; may be left out if one feature is endogenous.
        test : {"ar", "lm", "clr"}, default "ar"
            The test that is inverted: Anderson and Rubin's; Kleibergen's LM; Moreira's conditional likelihood ratio,
            which with several instruments is the most powerful. The last two are for one endogenous feature and errors
            of equal variance.
        cov_type : {"robust", "classical"}, optional
            Left out: ``"robust"`` (to unequal variances and to dependence inside `groups`) for ``"ar"`` with one
            endogenous feature, else ``"classical"``. With several endogenous features the others are minimised over
            (Guggenberger et al., 2012), under equal variances.
        confidence_level : float, default 0.95

        Returns
        -------
        ConfidenceSet
            Perhaps unbounded, in pieces, or empty: it is shown as it is.
        """
        fit = self._checked()
        level = check_confidence_level(confidence_level)
        check_choice(test, "test", tuple(TESTS))
        equation = equation_of(fit)
        j = _position(feature, fit.names, endogenous_features(equation))
        if cov_type is None:
            one = equation.reduced.basis.shape[1] == 1
            robust = one and (test == "ar" or equation.clusters is not None)
        else:
            robust = _robust(cov_type)
        return robust_set(equation, j, fit.names[j], test=test, robust=robust, confidence_level=level)

    def anderson_rubin_test(self, coef: ArrayLike, *, cov_type: TestCovariance = "robust") -> TestResult:
        """Test that the effects of all features are these, whatever the strength of the instruments.

        Parameters
        ----------
        coef : array-like of shape (d,)
            One value per feature; controls are not among them.
        cov_type : {"robust", "classical"}, default "robust"

        Returns
        -------
        TestResult
        """
        fit = self._checked()
        values: FloatArray = np.atleast_1d(np.asarray(coef, dtype=np.float64))
        if values.shape != (len(fit.coef),) or not np.isfinite(values).all():
            raise ValueError(f"coef must be {len(fit.coef)} finite numbers, one per feature, got {coef!r}.")
        return coefficient_test(equation_of(fit), values, robust=_robust(cov_type))

    def controls_frame(self, *, cov_type: CovType = "auto", confidence_level: float = 0.95) -> pd.DataFrame:
        """Coefficients of the controls, with standard errors and intervals.

        Parameters
        ----------
        cov_type : str, default "auto"
            As in `covariance`; the default is that of the rows of controls in `summary`.
        confidence_level : float, default 0.95

        Returns
        -------
        pandas.DataFrame
            One row per control, or per outcome and control: ``coef``, ``s.e.``, ``lower``, ``upper``, ``p``.
        """
        return controls_frame(self._checked(), cov_type=cov_type, confidence_level=confidence_level)


def _robust(cov_type: str) -> bool:
    check_choice(cov_type, "cov_type", ("robust", "classical"))
    return cov_type == "robust"


def _position(feature: str | int | None, names: list[str], endogenous: list[int]) -> int:
    """Position of a feature by name or number; the endogenous one, if nothing is said and there is one."""
    if feature is None:
        if len(endogenous) != 1:
            raise ValueError(f"{len(endogenous)} features are endogenous: say which, feature= one of {names}.")
        return endogenous[0]
    if feature in names:
        return names.index(str(feature))
    if isinstance(feature, int | np.integer) and 0 <= feature < len(names):
        return int(feature)
    raise ValueError(f"feature must be one of {names} or a position among them, got {feature!r}.")
