"""What a user declares of the interventions, held against the data and against what a certificate needs."""

from __future__ import annotations

from typing import Any

import numpy as np

from causalinv._labels import shown
from causalinv._typing import FloatArray
from causalinv._warn import warn
from causalinv.exceptions import FamilyWarning, TargetInterventionWarning
from causalinv.invariance.rules._sites import site_directions
from causalinv.invariance.subsets._sweep import SubsetStatistics, sweep
from causalinv.invariance.subsets._tests import residual_pvalues
from causalinv.moments import Moments
from causalinv.sem import InterventionFamily

__all__ = ["compare_family", "need_exact", "refuse_other_sites", "suspect_target"]

_SUSPICIOUS = 0.01  # level at which every set must fail before an intervention on the target is suspected
_MOVED = 1e-7  # eigenvalue of a difference of exact covariances, in standardised units, that is no rounding
_SWEPT = 14  # features up to which every set is looked at for that


def need_exact(method: str, exact: bool, plug_in: bool) -> None:
    if not exact and not plug_in:
        raise ValueError(
            f"{method} is proved for exact moments; these are estimated from rows. Certify fresh environments with "
            "method='two_level', or say plug_in=True for a number that is labelled as not proved."
        )


def refuse_other_sites(moments: Moments, family: InterventionFamily, baseline: Any) -> None:
    """Raise if exact moments cannot come from variance added at one site per environment, on top of the baseline's."""
    if family.kind != "variance" or not np.isinf(moments.count).all():
        return
    cov = moments.cov(("x", "y"))
    unit = _units(moments)
    first = moments.cells.tolist().index(baseline)
    values = np.linalg.eigvalsh((cov - cov[first]) / np.outer(unit, unit))
    noise = _MOVED * np.maximum(1.0, np.abs(values).max(axis=1))
    for label, found, least in zip(moments.cells.tolist(), values, noise.tolist(), strict=True):
        if found[0] < -least:
            raise ValueError(
                f"Environment {label!r} has less variance in some direction than baseline={baseline!r}: the declared "
                "interventions only add variance, so that environment is no baseline."
            )
        if (found > least).sum() > 1:
            raise ValueError(
                f"Environment {label!r} adds variance in {(found > least).sum()} directions to baseline={baseline!r}; "
                "one site per environment (per_env='single') adds it in one."
            )


def compare_family(moments: Moments, family: InterventionFamily, baseline: Any = None, *, exact: bool) -> None:
    """Hold the declared family against the data: exact moments that refute it raise, estimated ones only warn."""
    if family.kind not in ("variance", "shift", "random_shift"):
        return
    if exact:
        _refuse_other_kinds(moments, family.kind, baseline)
    found = site_directions(moments).directions.shape[1]
    allowed = family.n_sites + (family.kind != "variance")
    if found <= allowed:
        return
    text = (
        f"The environments differ in {found} directions ({'exact' if exact else 'beyond the noise of Gaussian rows'}), "
        f"more than the {allowed} that a family of kind {family.kind!r} at {family.n_sites} sites can move: the "
        "declaration does not fit the data."
    )
    if exact:
        raise ValueError(text)
    warn(text, FamilyWarning)


def _refuse_other_kinds(moments: Moments, kind: str, baseline: Any) -> None:
    """Raise if exact moments move what interventions of this kind leave alone."""
    cov, unit = moments.cov(("x", "y")), _units(moments)
    mean = moments.mean(("x", "y")) / unit
    labels = moments.cells.tolist()
    first = 0 if baseline is None else labels.index(baseline)
    moved = np.abs(mean - mean[first]).max(axis=1)
    if kind == "variance" and moved.max() > _MOVED * max(1.0, np.abs(mean).max()):
        raise ValueError(
            f"Environments {shown(labels[first])} and {shown(labels[int(np.argmax(moved))])} differ in means, and "
            "interventions of kind 'variance' move none: declare kind='random_shift'."
        )
    values = np.linalg.eigvalsh((cov - cov[first]) / np.outer(unit, unit))
    noise = _MOVED * np.maximum(1.0, np.abs(values).max(axis=1))
    if kind == "shift" and (np.abs(values).max(axis=1) > noise).any():
        other = labels[int(np.argmax(np.abs(values).max(axis=1)))]
        raise ValueError(
            f"Environments {shown(labels[first])} and {shown(other)} differ in covariances, and interventions of kind "
            "'shift' move only means: declare kind='random_shift'."
        )
    less = values[:, 0] < -noise
    if kind == "random_shift" and baseline is not None and less.any():
        raise ValueError(
            f"Environment {shown(labels[int(np.argmax(less))])} has less variance in some direction than "
            f"baseline={baseline!r}: the declared interventions only add variance, so that environment is no baseline."
        )


def _units(moments: Moments) -> FloatArray:
    unit = np.sqrt(np.diag(moments.pooled.cov(("x", "y"))[0]))
    return np.where(unit > 0, unit, 1.0)


def suspect_target(moments: Moments) -> None:
    """Warn if no set of features has the same residuals everywhere: the target itself may be intervened on."""
    if moments.blocks["x"] > _SWEPT:
        return
    subsets = SubsetStatistics.concatenate(sweep(moments))
    if np.isinf(moments.count).all():
        spread = np.ptp(subsets.pooled_risk, axis=1) + np.abs(subsets.shift).max(axis=1)
        suspected = bool((spread > 1e-9 * moments.pool().cov("y")[0, 0, 0]).all())
    else:
        if not moments.is_unweighted:
            return
        suspected = bool((residual_pvalues(subsets, moments.count) <= _SUSPICIOUS).all())
    if suspected:
        warn(
            "No set of features has residuals of the same mean and variance in every environment: interventions may "
            "act on the outcome itself, and then no rule need stay invariant.",
            TargetInterventionWarning,
        )
