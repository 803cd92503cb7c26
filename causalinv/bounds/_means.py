"""Averages: how their ends are composed, their errors, their intervals and what is said of them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Hashable
from typing import Any, ClassVar

import numpy as np
import pandas as pd
from sklearn.utils.validation import check_is_fitted

from causalinv._printing import Summary
from causalinv._typing import FloatArray
from causalinv._validation import check_confidence_level
from causalinv._warn import warn
from causalinv.bounds._base import BoundsBase
from causalinv.bounds._contrast import Contrast, Ends, Estimand, Policy, groups_of
from causalinv.bounds._inference import (
    POOR_OVERLAP,
    Target,
    clustered,
    combine,
    freedom,
    interval,
    joint_freedom,
    ratio_of_means,
    said_of_freedom,
)
from causalinv.bounds._scores import manski_scores
from causalinv.bounds._unseen import Pair, Unlike, beyond, note_of, notes_of_few, rare_arms
from causalinv.exceptions import BoundsCrossingWarning, DegenerateInputWarning
from causalinv.results import BoundsEstimate

__all__ = ["MeanBounds"]


class MeanBounds(BoundsBase, ABC):
    """Bounds on means of phi, but for the scores of the ends."""

    _inside_manski: ClassVar[bool | None] = None  # True: the assumption only narrows his set; False: only widens it
    _index: ClassVar[str | None] = None  # what tells the rows of an answer apart

    def average_bounds(
        self,
        estimand: Estimand = "ate",
        *,
        arm: Hashable | None = None,
        control: Hashable | None = None,
        policy: Policy | None = None,
        where: Any = None,
        by: Any = None,
        confidence_level: float = 0.95,
        target: Target = "parameter",
    ) -> BoundsEstimate:
        """Bounds on an average, with standard errors.

        Parameters
        ----------
        {estimand}
        {interval}

        Returns
        -------
        BoundsEstimate
            A row per divergence and group that was asked for. Several divergences have one more row that combines them,
            and no errors: whoever takes the tightest of several noisy ends needs other errors than those of each.

        Warns
        -----
        BoundsCrossingWarning
            If a lower end comes out above the upper one; nothing is swapped.
        """
        asked = {"estimand": estimand, "arm": arm, "control": control, "policy": policy}
        level, index = confidence_level, self._index
        return self._answer(asked, where, by, self._strengths(), confidence_level=level, target=target, index=index)

    # -- what an estimator says ------------------------------------------------------------------------------------

    def _strengths(self) -> dict[Any, Any]:
        """Label and strength of the assumption of every row of the answer."""
        return {"no assumption": None}

    @abstractmethod
    def _terms(self, contrast: Contrast, strength: Any, repeat: int) -> Ends:
        """One number per row for the lower and the upper end, whose (ratios of) means they are."""

    def _claim(self, strengths: dict[Any, Any]) -> str:
        return f"none about confounding; {self._support_text}"

    def _overlap(self, contrast: Contrast, repeat: int = 0) -> tuple[FloatArray, FloatArray]:
        raise ValueError(f"estimand='overlap' weighs rows by propensities, which {type(self).__name__} does not use.")

    def _n_repeats(self) -> int:
        return 1

    def _notes(self) -> tuple[str, ...]:
        return ()

    def _poor_overlap(self, contrast: Contrast | None = None) -> bool:
        return False

    # -- answers ---------------------------------------------------------------------------------------------------

    def _contrast(self, asked: dict[str, Any], where: Any = None, *, by: bool = False) -> Contrast:
        check_is_fitted(self)
        contrast = Contrast(self._rows, self.functional, where=where, by=by, **asked)
        contrast.clusters, contrast.df = self._clusters, self._df
        if contrast.rows is not None or contrast.estimand in ("att", "overlap"):
            self._restrict_units(contrast)
        observed = self._observed(contrast)
        if observed:
            rows = self._rows
            inside = np.ones(len(rows.codes)) if contrast.rows is None else contrast.rows.astype(float)
            if rows.weight is not None:
                inside = inside * rows.weight
            contrast.df = min(contrast.df, joint_freedom([inside * each for each in observed], rows.groups))
        return contrast

    def _observed(self, contrast: Contrast) -> list[FloatArray]:
        """The rows whose outcomes a question's means rest on, arm by arm; none if it rests on all rows alike."""
        return []

    def _restrict_units(self, contrast: Contrast) -> None:
        """Clusters and degrees of freedom of the rows that a question is about."""
        rows, n = self._rows, len(self._rows.codes)
        weight = np.ones(n) if rows.weight is None else rows.weight
        own = self._overlap(contrast)[0] if contrast.estimand == "overlap" else self._bottom(contrast, 0)
        inside = np.ones(n, bool) if contrast.rows is None else contrast.rows
        share = np.where(inside, weight if own is None else weight * own, 0.0)
        if not share.any():
            raise ValueError(
                f"No row of where=, or of a group of by=, took arm {rows.arms.tolist()[contrast.arm]!r}: there is no "
                "average over such rows. Choose other rows, or another estimand."
            )
        contrast.df = freedom(share, rows.groups)
        if contrast.rows is not None and rows.groups is not None:
            some = contrast.df > 0
            contrast.clusters = clustered(weight[inside], rows.groups[inside], int(inside.sum())) if some else None

    def _answer(
        self,
        asked: dict[str, Any],
        where: Any,
        by: Any,
        strengths: dict[Any, Any],
        *,
        confidence_level: float,
        target: Target,
        index: str | None,
    ) -> BoundsEstimate:
        level = check_confidence_level(confidence_level)
        contrast = self._contrast(asked, where, by=by is not None)
        df = contrast.df
        if by is None:
            lines, notes, moved = self._lines(contrast, strengths, level, target)
            table = pd.DataFrame(lines).T.rename_axis(index)
            still, poor = self._still(contrast, level), self._poor_overlap(contrast)
        else:
            whole = np.ones(len(self._rows.codes), bool) if contrast.rows is None else contrast.rows
            groups = {k: mask for k, mask in groups_of(by, self._rows).items() if (mask[self._rows.kept] & whole).any()}
            tables, moved, notes, still, poor = {}, [], (), (), False
            for label, mask in groups.items():
                inside = np.zeros(len(mask), bool)
                inside[self._rows.kept] = mask[self._rows.kept] & whole
                part = self._contrast(asked, inside)
                df, poor = min(df, part.df), poor or self._poor_overlap(part)
                still += self._still(part, level, f"{label!r}: ")
                lines, notes, bit = self._lines(part, strengths, level, target)
                tables[label] = pd.DataFrame(lines).T
                moved += bit
            table = pd.concat(tables, names=[by if isinstance(by, str) else "group", index])
            table = table.droplevel(1) if len(strengths) == 1 else table
        return BoundsEstimate(
            self._title,
            contrast.text,
            self._claim(strengths),
            table,
            level,
            len(self._rows.codes) if contrast.rows is None else int(contrast.rows.sum()),
            target=target,
            notes=(*notes, *still, *self._result_notes(contrast, df, poor=poor)),
            poor_overlap=poor,
            moved=tuple(moved),
        )

    def _lines(
        self, contrast: Contrast, strengths: dict[Any, Any], level: float, target: Target
    ) -> tuple[dict[Any, dict[str, float]], tuple[str, ...], list[bool]]:
        """Rows of the answer by label, notes, and for every row whether an end or an interval was moved."""
        found = {label: self._average(contrast, each, level, target) for label, each in strengths.items()}
        moved = [bool(line.pop("moved")) for line in found.values()]
        return found, (), moved

    def _average(
        self, contrast: Contrast, strength: Any, level: float, target: Target, critical: float | None = None
    ) -> dict[str, float]:
        """One row of the answer."""
        rows = self._rows
        if target not in ("parameter", "set", "band"):
            raise ValueError(f"target must be 'parameter' or 'set', got {target!r}.")
        found = np.array(
            [
                [self._mean_of(contrast, end, bottom) for end in ends]
                for ends, bottom in (self._ratio(contrast, strength, r) for r in range(self._n_repeats()))
            ]
        )
        (lower, se_lower), (upper, se_upper) = (combine(found[:, i, 0], found[:, i, 1]) for i in range(2))
        if lower > upper:
            warn(
                f"The lower end, {lower:.4g}, lies above the upper one, {upper:.4g}: sampling error, or an assumption "
                "that the data contradict. Nothing is swapped; the interval treats the width as zero.",
                BoundsCrossingWarning,
            )
        errors, n = (se_lower, se_upper), len(rows.codes) if contrast.rows is None else int(contrast.rows.sum())
        how: dict[str, Any] = {"confidence_level": level, "target": target, "n": n, "df": contrast.df}
        low, high = interval(lower, upper, errors, critical=critical, **how)
        few, none = self._beyond(contrast, strength, level, (lower - low, high - upper))
        low, high = low - few[0], high + few[1]
        own = lower, upper, low, high
        low, high = low - none[0], high + none[1]
        manski = self._manski_ends(contrast)
        floor, ceiling = self._possible(contrast)
        if self._inside_manski:
            lower, upper = (float(np.clip(end, *manski)) for end in (lower, upper))
        elif self._inside_manski is False:  # the interval moves outward with its end
            below = lower - manski[0] if lower > manski[0] else 0.0
            above = manski[1] - upper if upper < manski[1] else 0.0
            lower, upper, low, high = lower - below, upper + above, low - below, high + above
        low, high = min(low, lower), max(high, upper)
        lower, upper, low, high = (float(np.clip(end, floor, ceiling)) for end in (lower, upper, low, high))
        return {
            "lower": lower,
            "upper": upper,
            "se_lower": se_lower,
            "se_upper": se_upper,
            "ci_lower": low,
            "ci_upper": high,
            "manski_lower": manski[0],
            "manski_upper": manski[1],
            "moved": own != (lower, upper, low, high),
        }

    def _mean_of(self, contrast: Contrast, end: FloatArray, bottom: FloatArray | None) -> tuple[float, float]:
        """An end and its error, from the rows that the question is about."""
        weight = self._rows.weight
        if contrast.rows is not None and contrast.clusters is not None:  # which are those of these rows
            end, bottom = end[contrast.rows], None if bottom is None else bottom[contrast.rows]
            weight = None if weight is None else weight[contrast.rows]
        value, error = ratio_of_means(end, bottom, weight, contrast.clusters)
        return value, error if contrast.df > 0 else np.nan

    def _ratio(self, contrast: Contrast, strength: Any, repeat: int) -> tuple[Ends, FloatArray | None]:
        """Numerators of both ends and their denominator, None for 1."""
        ends, bottom = self._terms(contrast, strength, repeat), self._bottom(contrast, repeat)
        return self._restrict(contrast, ends, bottom)

    def _bottom(self, contrast: Contrast, repeat: int) -> FloatArray | None:
        if contrast.estimand == "att":
            return (self._rows.codes == contrast.arm).astype(float)
        if contrast.estimand == "overlap":
            weight, moved = self._overlap(contrast, repeat)
            return weight + moved
        return None

    @staticmethod
    def _restrict(contrast: Contrast, ends: Ends, bottom: FloatArray | None) -> tuple[Ends, FloatArray | None]:
        if contrast.rows is None:
            return ends, bottom
        inside = contrast.rows
        low, high = (np.where(inside, end, 0.0) for end in ends)
        return (low, high), np.where(inside, 1.0 if bottom is None else bottom, 0.0)

    def _possible(self, contrast: Contrast) -> tuple[float, float]:
        """Least and largest value of the estimand that the outcome's limits allow."""
        if contrast.estimand in ("mean", "policy"):
            mine = self._limits if contrast.estimand == "policy" else self._limits[[contrast.arm]]
            return float(mine[:, 0].min()), float(mine[:, 1].max())
        (low1, high1), (low0, high0) = self._limits[contrast.arm], self._limits[contrast.control]
        return float(low1 - high0), float(high1 - low0)

    def _manski_ends(self, contrast: Contrast) -> tuple[float, float]:
        """Ends under no assumption, of the sample."""
        own = self._overlap(contrast)[0] if contrast.estimand == "overlap" else self._bottom(contrast, 0)
        ends, bottom = self._restrict(contrast, self._manski_terms(contrast), own)
        low, high = (ratio_of_means(end, bottom, self._rows.weight)[0] for end in ends)
        return low, high

    def _manski_terms(self, contrast: Contrast) -> Ends:
        rows = self._rows
        if contrast.estimand == "att":
            low, high = self._limits[contrast.control]
            treated = rows.codes == contrast.arm
            return tuple(np.where(treated, rows.phi - end, 0.0) for end in (high, low))  # type: ignore[return-value]
        plain = contrast.compose(lambda a: manski_scores(rows.phi, rows.codes == a, self._limits[a]))
        if contrast.estimand != "overlap":
            return plain
        weight, _ = self._overlap(contrast)
        return weight * plain[0], weight * plain[1]

    def _rare(self, contrast: Contrast) -> list[Unlike]:
        """Arms whose outcomes, among the rows of a question, are all one number, or two."""
        return rare_arms(self._rows, self._limits, self._observed(contrast), contrast.rows)

    def _still(self, contrast: Contrast, level: float, place: str = "") -> tuple[str, ...]:
        """What is said of arms whose outcomes, among the rows of a question, are all or nearly all one number."""
        arms = self._rare(contrast)
        none = tuple(note_of(self._rows, self._limits, arm, level, place) for arm in arms if not arm.seen.any())
        few = notes_of_few(self._rows, self._observed(contrast), contrast.rows, arms, place)
        for note in (*none, *few):
            warn(f"No outcome of an arm, or hardly one, is unlike the others: {note}", DegenerateInputWarning)
        return (*none, *few)

    def _reach(self, contrast: Contrast, strength: Any, repeat: int, arm: int) -> FloatArray:
        """How far an outcome of the arm that is larger by one moves the top of an end, at most; as in Manski's ends."""
        return contrast.shares[:, arm] if contrast.estimand == "policy" else np.ones(len(self._rows.codes))

    def _pull(self, contrast: Contrast, strength: Any, repeat: int, arm: Unlike) -> FloatArray:
        """The same with the sign of the arm, for its rows."""
        reach = self._reach(contrast, strength, repeat, arm.code)[arm.own]
        return -reach if arm.code == getattr(contrast, "control", None) else reach

    def _beyond(self, contrast: Contrast, strength: Any, level: float, errors: Pair) -> FloatArray:
        """What the interval adds to its errors, [[down, up] of few, of no unlike outcomes]."""
        arms, each = self._rare(contrast), [np.zeros((2, 2))]
        for repeat in range(self._n_repeats()) if arms else ():
            weight = np.ones(len(self._rows.codes)) if self._rows.weight is None else self._rows.weight
            bottom = self._restrict(contrast, (weight, weight), self._bottom(contrast, repeat))[1]
            share = weight / np.sum(weight if bottom is None else weight * bottom)
            pulls = [share[arm.own] * self._pull(contrast, strength, repeat, arm) for arm in arms]
            each.append(np.array(beyond(arms, pulls, self._rows.groups, level, errors)))
        return np.max(each, axis=0)

    def _result_notes(self, contrast: Contrast, df: float, *, poor: bool) -> tuple[str, ...]:
        """What a reader of averages must know; `df` are the least degrees of freedom of any, overlap the poorest."""
        limits, notes = self._limits, self._notes() + said_of_freedom(df, self._rows.groups, "averages")
        if poor:
            other = "" if self._index != "odds_ratio" or contrast.estimand == "overlap" else "ask for 'overlap', or "
            notes += (f"{POOR_OVERLAP}; {other}restrict with where=.",)
        if contrast.estimand == "ate" and np.isfinite(limits).all() and (limits == limits[0]).all():
            notes += (
                "Manski's interval for a contrast of arms is as wide as the outcome's range, or wider, and always "
                "contains 0.",
            )
        return notes

    # -- one screen ------------------------------------------------------------------------------------------------

    def summary(
        self, estimand: Estimand = "ate", *, arm: Hashable | None = None, control: Hashable | None = None
    ) -> Summary:
        """What was fitted and what follows, on one screen of 80 columns.

        Parameters
        ----------
        estimand : {"ate", "mean", "att", "overlap"}, default "ate"
            As in `average_bounds`.
        arm, control : label, optional
            May be left out if the arms are 0 and 1.

        Returns
        -------
        Summary
            Rows per arm, learners, ends, errors and 95% intervals; for `SensitivityBounds` also where 0 is reached, and
            (with the default propensity) what observed covariates would amount to.
        """
        asked = {"estimand": estimand, "arm": arm, "control": control, "policy": None}
        shown, index = self._shown(), self._index
        found = self._answer(asked, None, None, shown, confidence_level=0.95, target="parameter", index=index)
        ends = ["lower", "upper", "se_lower", "se_upper", "ci_lower", "ci_upper"]
        manski = found.table[["manski_lower", "manski_upper"]].iloc[0]
        beside: tuple[str, ...] = ()
        if (found.table[["lower", "upper"]].to_numpy() != manski.to_numpy()).any():
            limits = f"[{manski.iloc[0]:.4g}, {manski.iloc[1]:.4g}]"
            beside = (f"for comparison, Manski's ends, which assume nothing about confounding: {limits}",)
        notes = (f"rows: {self._arms_text()}", *self._facts(asked), *beside, *found.notes)
        table = found.table[ends].rename(columns=lambda name: name.replace("_", " "))
        return Summary(self._title, found.estimand, found.assumption, table, notes)

    def _shown(self) -> dict[Any, Any]:
        """Strengths of the summary."""
        return self._strengths()

    def _facts(self, asked: dict[str, Any]) -> tuple[str, ...]:
        """Lines of the summary about learners."""
        return ()
