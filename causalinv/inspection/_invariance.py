"""Displays of invariance: risks by environment, intervals by accepted set, and what a certificate shows."""

from __future__ import annotations

from typing import Any, Self

import numpy as np
import pandas as pd

from causalinv._printing import at_most
from causalinv._validation import check_whole
from causalinv.inspection._axes import BLACK, BLUE, GREY, ORANGE, Display, TableDisplay
from causalinv.invariance import InvariantCausalPrediction
from causalinv.results import InvarianceCertificate
from causalinv.results._certificate import best_share

__all__ = ["AcceptedSetsDisplay", "CertificateCurveDisplay", "CertificateDisplay", "EnvironmentRisksDisplay"]

_MOST = 30  # rows that a picture can name


class EnvironmentRisksDisplay(TableDisplay):
    """Risk of a fitted rule in each environment, beside least squares on all features.

    Parameters
    ----------
    table : pandas.DataFrame
        Indexed by environment: ``rule``, ``least squares``, mean squared errors in squared units of y.

    {drawn}
    """

    @classmethod
    def from_estimator(cls, fitted: Any) -> Self:
        """From a fitted selector (risks of fits to the other environments) or `InvariantRepresentation`.

        Parameters
        ----------
        fitted : estimator

        {made}
        """
        elsewhere = hasattr(fitted, "left_out_risk_")
        rule = fitted.left_out_risk_ if elsewhere else fitted.risk_env_
        plain = fitted.least_squares_left_out_risk_ if elsewhere else fitted.least_squares_risk_env_
        found = cls(pd.DataFrame({"rule": rule, "least squares": plain}, index=pd.Index(fitted.environments_)))
        found._elsewhere = elsewhere
        return found

    _elsewhere = False

    def _draw(self, ax: Any) -> None:
        """Draw one line per environment from the one risk to the other, worst least squares on top.

        Of many environments those are drawn in which either risk is largest.
        """
        worst = self.table.max(axis=1).sort_values(kind="stable").index[-_MOST:]
        shown = self.table.loc[worst].sort_values("least squares", kind="stable")
        at = np.arange(len(shown))
        ax.hlines(at, shown.min(axis=1), shown.max(axis=1), color="0.8", zorder=1)
        ax.plot(shown["least squares"], at, "s", color=ORANGE, label="least squares on all features")
        ax.plot(shown["rule"], at, "o", color=BLUE, label="this rule")
        how = "mean squared error, fitted to the other environments" if self._elsewhere else "mean squared error"
        ax.set(yticks=at, ylim=(-0.6, len(shown) - 0.4), xlabel=how, ylabel="environment")
        if len(shown) < len(self.table):
            ax.set_ylabel(f"environment (the {len(shown)} of {len(self.table)} with the largest errors)")
        ax.set_yticklabels([str(label) for label in shown.index])
        ax.set_xlim(left=0)
        ax.legend(fontsize="small", frameon=False, loc="lower left", bbox_to_anchor=(0, 1), ncols=2)

    def _size(self) -> tuple[float, float]:
        return 5.6, 1.2 + 0.28 * min(len(self.table), _MOST)


class AcceptedSetsDisplay(TableDisplay):
    """Confidence intervals of Invariant Causal Prediction, with how many accepted sets hold each feature.

    Parameters
    ----------
    table : pandas.DataFrame
        Indexed by feature: ``lower``, ``upper``, ``share`` (of the accepted sets with it), ``cause`` (in all of them).

    {drawn}
    """

    @classmethod
    def from_estimator(cls, fitted: InvariantCausalPrediction) -> Self:
        """From a fitted `InvariantCausalPrediction`.

        {made_from}
        """
        d, sets = fitted.n_features_in_, fitted.accepted_sets_
        share = [np.mean([j in columns for columns in sets]) if sets else np.nan for j in range(d)]
        names = getattr(fitted, "feature_names_in_", [f"x{j}" for j in range(d)])
        causes = [j in (fitted.estimate_ or ()) for j in range(d)]
        limits = {"lower": fitted.conf_int_[:, 0], "upper": fitted.conf_int_[:, 1]}
        return cls(pd.DataFrame(limits | {"share": share, "cause": causes}, index=pd.Index(names, name="feature")))

    def _draw(self, ax: Any) -> None:
        """Draw the intervals, causes in colour; an end at infinity is an arrow, no interval a word.

        Of many features those are drawn that are named a cause, or else stand in most accepted sets.
        """
        first = self.table.reset_index(drop=True).sort_values(["cause", "share"], ascending=False, kind="stable")
        shown = self.table.iloc[np.sort(first.index[:_MOST])][::-1]
        ends = shown[["lower", "upper"]].to_numpy(float)
        finite = np.abs(ends[np.isfinite(ends)])
        edge = 1.15 * (finite.max() if finite.size and finite.max() > 0 else 1.0)
        for at, (low, high) in enumerate(ends):
            color = BLUE if shown["cause"].iloc[at] else "0.6"
            if np.isnan(low):
                ax.text(0, at, " no accepted set", va="center", fontsize="small", color="0.4")
                continue
            ax.plot([max(low, -edge), min(high, edge)], [at, at], color=color, linewidth=3, solid_capstyle="butt")
            for end, mark in ((low, "<"), (high, ">")):
                inside = np.isfinite(end)
                ax.plot(np.clip(end, -edge, edge), at, "|" if inside else mark, color=color, clip_on=inside)
        ax.axvline(0, color="0.3", linewidth=0.8)
        shares = zip(shown.index, shown["share"], strict=True)
        labels = [str(name) if np.isnan(share) else f"{name} (in {share:.0%} of sets)" for name, share in shares]
        ax.set(yticks=range(len(shown)), ylim=(-0.6, len(shown) - 0.4), xlim=(-1.05 * edge, 1.05 * edge))
        ax.set_yticklabels(labels)
        ax.set_xlabel("coefficient, hull over accepted sets")
        ax.set_title("blue: named a cause; arrows: infinite ends", fontsize="small")
        if len(shown) < len(self.table):
            ax.set_ylabel(f"the {len(shown)} of {len(self.table)} features in most accepted sets")

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
    {also_drawn}
    """

    def __init__(self, certificate: InvarianceCertificate) -> None:
        self.certificate = certificate
        m, counted, failed = certificate.n_interventions, certificate.violations, certificate.failed
        names = ["shown to keep it", "not shown either way", "failed"]
        self.table = pd.DataFrame({"environments": [m - counted, counted - failed, failed]}, index=names)

    @classmethod
    def from_result(cls, certificate: InvarianceCertificate) -> Self:
        """The certificate as it is.

        {made_from}
        """
        return cls(certificate)

    def _draw(self, ax: Any) -> None:
        """Draw the seen environments as one bar, the bound and the best possible bound as marks."""
        held = self.certificate
        share = self.table["environments"] / max(held.n_interventions, 1)
        left = 0.0
        for name, color in zip(
            ["failed", "not shown either way", "shown to keep it"], [BLACK, GREY, BLUE], strict=True
        ):
            label = f"{name}: {int(share[name] * max(held.n_interventions, 1) + 0.5)}"
            ax.barh(0, share[name], left=left, color=color, height=0.5, label=label)
            left += float(share[name])
        percent = f"{100 * held.confidence_level:g}%"
        ax.plot(
            held.violation_upper,
            0,
            "D",
            color=ORANGE,
            markeredgecolor="k",
            label=f"bound for new ones: {at_most(held.violation_upper)}",
            clip_on=False,
        )
        best = f"best with so many: {at_most(held.best_possible)}"
        if held.method != "hull":
            ax.plot(held.best_possible, 0, "|", color=ORANGE, markeredgewidth=3, markersize=26, label=best)
        proved = "NOT PROVED, " if held.plug_in else ""
        ax.set(xlim=(0, 1), yticks=[], xlabel="share of environments that break the rule", ylim=(-1.7, 0.5))
        ax.set_title(f"{proved}{held.method}, {held.metric} above {held.eps:.3g}, {percent} confidence", fontsize=10)
        ax.legend(fontsize="small", frameon=False, loc="lower left", ncols=2)

    def _size(self) -> tuple[float, float]:
        return 6.4, 2.8


class CertificateCurveDisplay(Display):
    """How many environments a promise takes: the best bound that m of them can prove, none of which broke the rule.

    Parameters
    ----------
    certificate : InvarianceCertificate
        Marked on the curve, at its number of environments.
    n_most : int, default 300
        Right end of the curve.

    Attributes
    ----------
    table : pandas.DataFrame
        ``best possible`` by the number of environments, at the certificate's confidence.
    {also_drawn}

    Examples
    --------
    >>> import numpy as np
    >>> from causalinv.inspection import CertificateCurveDisplay
    >>> from causalinv.invariance import certify
    >>> from causalinv.sem import InterventionFamily, textbook_sem
    >>> family = InterventionFamily(["x2"], kind="variance")
    >>> seen = family.environments(textbook_sem("chain"), 6, random_state=0).moments()
    >>> shown = certify((np.eye(2), np.array([1.0, 0.0]), 0.0), seen, eps=50.0, method="holdout")
    >>> float(CertificateCurveDisplay.from_result(shown).table["best possible"].loc[59].round(3))
    0.05
    """

    def __init__(self, certificate: InvarianceCertificate, *, n_most: int = 300) -> None:
        self.certificate = certificate
        m = range(1, max(check_whole(n_most, "n_most", low=2), certificate.n_interventions) + 1)
        best = [best_share(k, certificate.confidence_level) for k in m]
        self.table = pd.DataFrame({"best possible": best}, index=pd.Index(m, name="environments"))

    @classmethod
    def from_result(cls, certificate: InvarianceCertificate, *, n_most: int = 300) -> Self:
        """Put a certificate beside what more environments could prove.

        {made_from}
        """
        return cls(certificate, n_most=n_most)

    def _draw(self, ax: Any) -> None:
        held, m = self.certificate, self.table.index.to_numpy()
        percent = f"{100 * held.confidence_level:g}%"
        ax.plot(m, self.table["best possible"], color=BLUE, label="best possible, none of them broken")
        if held.n_interventions:
            start = "NOT PROVED, " if held.plug_in else ""
            label = f"{start}this certificate: {at_most(held.violation_upper)} from {held.n_interventions}"
            ax.plot(held.n_interventions, held.violation_upper, "D", color=ORANGE, markeredgecolor="k", label=label)
        needed = int(np.searchsorted(-self.table["best possible"].to_numpy(), -0.05)) + 1
        if needed <= m[-1]:
            ax.plot([m[0], needed, needed], [0.05, 0.05, 0.0], color=BLACK, linewidth=0.8, linestyle=":")
            beside = {"xytext": (0, 9), "textcoords": "offset points", "fontsize": "small", "ha": "right"}
            ax.annotate(f"5% takes {needed} ", (m[-1], 0.05), **beside)
        ax.set(xscale="log", ylim=(0, 1.02), xlabel="environments seen", ylabel="new environments that break the rule")
        ax.set_title(f"at most this share, {percent} confidence", fontsize="small")
        ticks = [k for k in (1, 3, 10, 30, 100, 300, 1000, 3000) if k <= m[-1]]
        ax.set_xticks(ticks, [str(k) for k in ticks])
        ax.minorticks_off()
        ax.legend(fontsize="small", frameon=False)
