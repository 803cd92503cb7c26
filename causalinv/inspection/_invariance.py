"""Displays of invariance: risks by environment, intervals by accepted set, and what a certificate shows."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from causalinv.inspection._axes import Display

__all__ = ["AcceptedSetsDisplay", "CertificateDisplay", "EnvironmentRisksDisplay"]

_MOST = 30  # rows that a picture can name


class EnvironmentRisksDisplay(Display):
    """Risk of a fitted rule in each environment, beside least squares on all features.

    Parameters
    ----------
    table : pandas.DataFrame
        Indexed by environment: ``rule``, ``least squares``, mean squared errors in squared units of y.

    Attributes
    ----------
    ax_, figure_ : matplotlib Axes and Figure
        Set by `plot`.
    """

    def __init__(self, table: pd.DataFrame) -> None:
        self.table = table

    @classmethod
    def from_estimator(cls, fitted: Any) -> EnvironmentRisksDisplay:
        """From a fitted selector (risks of fits to the other environments) or `InvariantRepresentation`.

        Parameters
        ----------
        fitted : estimator

        Returns
        -------
        EnvironmentRisksDisplay
        """
        elsewhere = hasattr(fitted, "left_out_risk_")
        rule = fitted.left_out_risk_ if elsewhere else fitted.risk_env_
        plain = fitted.least_squares_left_out_risk_ if elsewhere else fitted.least_squares_risk_env_
        found = cls(pd.DataFrame({"rule": rule, "least squares": plain}, index=pd.Index(fitted.environments_)))
        found._elsewhere = elsewhere
        return found

    _elsewhere = False

    def _draw(self, ax: Any) -> None:
        """Draw one line per environment from the one risk to the other, worst least squares on top."""
        shown = self.table.sort_values("least squares").tail(_MOST)
        at = np.arange(len(shown))
        ax.hlines(at, shown.min(axis=1), shown.max(axis=1), color="0.8", zorder=1)
        ax.plot(shown["least squares"], at, "s", color="C1", label="least squares on all features")
        ax.plot(shown["rule"], at, "o", color="C0", label="this rule")
        how = "mean squared error, fitted to the other environments" if self._elsewhere else "mean squared error"
        ax.set(yticks=at, ylim=(-0.6, len(shown) - 0.4), xlabel=how, ylabel="environment")
        ax.set_yticklabels([str(label) for label in shown.index])
        ax.set_xlim(left=0)
        ax.legend(fontsize="small", frameon=False, loc="lower left", bbox_to_anchor=(0, 1), ncols=2)

    def _size(self) -> tuple[float, float]:
        return 5.6, 1.2 + 0.28 * min(len(self.table), _MOST)


class AcceptedSetsDisplay(Display):
    """Confidence intervals of Invariant Causal Prediction, with how many accepted sets hold each feature.

    Parameters
    ----------
    table : pandas.DataFrame
        Indexed by feature: ``lower``, ``upper``, ``share`` (of the accepted sets with it), ``cause`` (in all of them).

    Attributes
    ----------
    ax_, figure_ : matplotlib Axes and Figure
        Set by `plot`.
    """

    def __init__(self, table: pd.DataFrame) -> None:
        self.table = table

    @classmethod
    def from_estimator(cls, fitted: Any) -> AcceptedSetsDisplay:
        """From a fitted `InvariantCausalPrediction`.

        Parameters
        ----------
        fitted : InvariantCausalPrediction

        Returns
        -------
        AcceptedSetsDisplay
        """
        d, sets = fitted.n_features_in_, fitted.accepted_sets_
        share = [np.mean([j in columns for columns in sets]) if sets else np.nan for j in range(d)]
        names = getattr(fitted, "feature_names_in_", [f"x{j}" for j in range(d)])
        causes = [j in (fitted.estimate_ or ()) for j in range(d)]
        limits = {"lower": fitted.conf_int_[:, 0], "upper": fitted.conf_int_[:, 1]}
        return cls(pd.DataFrame(limits | {"share": share, "cause": causes}, index=pd.Index(names, name="feature")))

    def _draw(self, ax: Any) -> None:
        """Draw the intervals, causes in colour; an end at infinity is an arrow, no interval a word."""
        shown = self.table.head(_MOST)[::-1]
        ends = shown[["lower", "upper"]].to_numpy(float)
        finite = np.abs(ends[np.isfinite(ends)])
        edge = 1.15 * (finite.max() if finite.size and finite.max() > 0 else 1.0)
        for at, (low, high) in enumerate(ends):
            color = "C0" if shown["cause"].iloc[at] else "0.6"
            if np.isnan(low):
                ax.text(0, at, " no accepted set", va="center", fontsize="small", color="0.4")
                continue
            ax.plot([max(low, -edge), min(high, edge)], [at, at], color=color, linewidth=3, solid_capstyle="butt")
            for end, mark in ((low, "<"), (high, ">")):
                inside = np.isfinite(end)
                ax.plot(np.clip(end, -edge, edge), at, "|" if inside else mark, color=color, clip_on=inside)
        ax.axvline(0, color="0.3", linewidth=0.8)
        labels = [f"{name} (in {share:.0%} of sets)" for name, share in zip(shown.index, shown["share"], strict=True)]
        ax.set(yticks=range(len(shown)), ylim=(-0.6, len(shown) - 0.4), xlim=(-1.05 * edge, 1.05 * edge))
        ax.set_yticklabels(labels)
        ax.set(xlabel="coefficient, hull over accepted sets", title="causes in colour")

    def _size(self) -> tuple[float, float]:
        return 5.6, 1.2 + 0.3 * min(len(self.table), _MOST)


class CertificateDisplay(Display):
    """What a certificate says: the bound on new environments, what so many can prove at best, and what was seen.

    Parameters
    ----------
    certificate : InvarianceCertificate

    Attributes
    ----------
    table : pandas.DataFrame
        ``environments``: shown to keep the tolerance, not shown either way, failed.
    ax_, figure_ : matplotlib Axes and Figure
        Set by `plot`.
    """

    def __init__(self, certificate: Any) -> None:
        self.certificate = certificate
        m, counted, failed = certificate.n_interventions, certificate.violations, certificate.failed
        names = ["shown to keep it", "not shown either way", "failed"]
        self.table = pd.DataFrame({"environments": [m - counted, counted - failed, failed]}, index=names)

    def _draw(self, ax: Any) -> None:
        """Draw the seen environments as one bar, the bound and the best possible bound as marks."""
        held = self.certificate
        share = self.table["environments"] / max(held.n_interventions, 1)
        left = 0.0
        for name, color in zip(
            ["failed", "not shown either way", "shown to keep it"], ["C3", "0.8", "C0"], strict=True
        ):
            label = f"{name}: {int(share[name] * max(held.n_interventions, 1) + 0.5)}"
            ax.barh(0, share[name], left=left, color=color, height=0.5, label=label)
            left += share[name]
        percent = f"{100 * held.confidence_level:g}%"
        ax.plot(held.violation_upper, 0, "kD", label=f"bound for new ones: {held.violation_upper:.1%}", clip_on=False)
        best = f"best with so many: {held.best_possible:.1%}"
        if held.method != "hull":
            ax.plot(held.best_possible, 0, "k|", markersize=18, label=best, clip_on=False)
        proved = "NOT PROVED, " if held.plug_in else ""
        ax.set(xlim=(0, 1), yticks=[], xlabel="share of environments that break the rule", ylim=(-1.7, 0.5))
        ax.set_title(f"{proved}{held.method}, {held.metric} above {held.eps:.3g}, {percent} confidence", fontsize=10)
        ax.legend(fontsize="small", frameon=False, loc="lower left", ncols=2)

    def _size(self) -> tuple[float, float]:
        return 6.4, 2.8
