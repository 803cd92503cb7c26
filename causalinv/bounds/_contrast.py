"""A question about averages: which arms, over which rows, and how its ends are composed of single arms."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import Any, Literal, TypeAlias

import numpy as np

from causalinv._clusters import RobustCovariance
from causalinv._labels import encode
from causalinv._printing import counted
from causalinv._typing import BoolArray, FloatArray
from causalinv._typing import Rows as Given
from causalinv.bounds._rows import Functional, Rows

__all__ = [
    "ESTIMANDS",
    "Contrast",
    "Ends",
    "Estimand",
    "Policy",
    "arm_position",
    "column_of",
    "groups_of",
    "mean_text",
]

Policy: TypeAlias = Callable[[Any], Any]
Ends: TypeAlias = tuple[FloatArray, FloatArray]
Estimand: TypeAlias = Literal["mean", "ate", "att", "overlap", "policy"]
ESTIMANDS = ("ate", "mean", "att", "overlap", "policy")


class Contrast:
    """A question on validated data, with its name in words.

    `clusters` and `df` are those of the rows that it is about; who answers sets them.
    """

    clusters: RobustCovariance | None = None
    df: float = np.inf

    def __init__(
        self,
        rows: Rows,
        functional: Functional,
        estimand: str,
        *,
        arm: Hashable | None = None,
        control: Hashable | None = None,
        policy: Policy | None = None,
        where: Any = None,
        by: bool = False,
    ) -> None:
        if estimand not in ESTIMANDS:
            raise ValueError(f"estimand must be one of {ESTIMANDS}, got {estimand!r}.")
        self.estimand = estimand
        self.rows = None if where is None else rows_where(where, rows)
        place = "" if self.rows is None else f", over {counted(int(self.rows.sum()), 'row')} chosen by where="
        if by:
            place += f"{',' if place else ', over the rows'} group by group"
        if (policy is not None) != (estimand == "policy"):
            raise ValueError(f"policy= belongs to estimand='policy', got estimand={estimand!r} and policy={policy!r}.")
        mean = mean_text(functional)
        if policy is not None:
            if arm is not None or control is not None:
                raise ValueError("A policy chooses the arm of every row itself: leave out arm= and control=.")
            self.shares = policy_shares(policy, rows)
            self.text = f"{mean} if the policy chose every row's arm{place}"
            return
        self.arm = arm_position(rows, arm, "arm", -1)
        self.text = f"{mean} if all rows took arm {rows.arms.tolist()[self.arm]!r}{place}"
        if estimand == "mean":
            if control is not None:
                raise ValueError("estimand='mean' is about one arm: leave out control=, or ask for 'ate' or 'att'.")
            return
        self.control = arm_position(rows, control, "control", 0)
        if self.arm == self.control:
            raise ValueError(f"arm and control are both {rows.arms.tolist()[self.arm]!r}; they must differ.")
        treated, untreated = (rows.arms.tolist()[a] for a in (self.arm, self.control))
        among = {
            "ate": "over all rows",
            "att": f"over the rows that took {treated!r}",
            "overlap": "over all rows weighted by overlap, e e' / (e + e')",
        }[estimand]
        self.text = f"{mean} under arm {treated!r} minus that under {untreated!r}, {place[2:] or among}"
        if place and estimand != "ate":
            self.text += f" ({among[5:]})"

    def compose(self, of_arm: Callable[[int], Ends]) -> Ends:
        """Terms of the two ends from those of single arms; not for "att"."""
        if self.estimand == "mean":
            return of_arm(self.arm)
        if self.estimand in ("ate", "overlap"):
            (low1, high1), (low0, high0) = of_arm(self.arm), of_arm(self.control)
            return low1 - high0, high1 - low0
        low, high = np.zeros(len(self.shares)), np.zeros(len(self.shares))
        for arm in np.flatnonzero(self.shares.any(axis=0)):
            share = self.shares[:, arm]
            below, above = (np.where(share > 0, end, 0.0) for end in of_arm(int(arm)))  # 0 times infinity is 0 here
            low, high = low + share * below, high + share * above
        return low, high

    def asked(self, n_arms: int) -> BoolArray:
        """Which of the arms it is about, (n_arms,)."""
        if self.estimand == "policy":
            return np.asarray((self.shares if self.rows is None else self.shares[self.rows]).any(axis=0))
        return np.isin(np.arange(n_arms), [self.arm, getattr(self, "control", self.arm)])

    def tilt(self, e: FloatArray, codes: Any) -> tuple[FloatArray, FloatArray]:
        """Overlap weight h of every row, and what estimating the propensities in it adds to first order."""
        one, zero = e[:, self.arm], e[:, self.control]
        both, took, control = one + zero, codes == self.arm, codes == self.control
        weight = one * zero / both
        moved = (zero / both) ** 2 * (took - one) + (one / both) ** 2 * (control - zero)
        return weight, np.where(took | control, moved, -weight)  # of other arms they cancel, to the last digit


def arm_position(rows: Rows, arm: Hashable | None, name: str, default: int) -> int:
    """Position of an arm; it may be left out only if the labels are 0 and 1."""
    labels = rows.arms.tolist()
    if arm is None:
        if labels not in ([0, 1], [False, True]):
            raise ValueError(f"{name}= must be given, one of {labels}: only for labels 0 and 1 is there a default.")
        return default % 2
    if arm not in labels:
        raise ValueError(f"{name} must be one of the arms {labels}, got {arm!r}.")
    return labels.index(arm)


def mean_text(functional: Functional) -> str:
    """How results call the mean of phi(Y)."""
    if isinstance(functional, tuple):
        return f"chance that Y {'<=' if functional[0] == 'cdf' else '>'} {functional[1]:g}"
    return "mean of Y" if isinstance(functional, str) else "mean of phi(Y)"


def policy_shares(policy: Policy, rows: Rows) -> FloatArray:
    """Probabilities (n, n_arms) with which a policy chooses arms; (n,) is the chance of the last of two arms."""
    if not callable(policy):
        raise TypeError(f"policy must be a function of X that returns probabilities, got {policy!r}.")
    chosen = policy(rows.given)
    rows.check_labels(chosen, "policy(X)")
    try:
        shares: FloatArray = np.asarray(chosen, dtype=np.float64)
    except (TypeError, ValueError):
        raise ValueError(f"policy must return probabilities, one per arm in the order {rows.arms.tolist()}.") from None
    n = len(rows.codes)
    if shares.shape == (n,) and rows.n_arms == 2:
        shares = np.column_stack([1.0 - shares, shares])
    if shares.shape != (n, rows.n_arms):
        raise ValueError(
            f"policy must return shape ({n}, {rows.n_arms}), one probability per arm in the order {rows.arms.tolist()}"
            f"{' (or the chance of the last arm)' if rows.n_arms == 2 else ''}; got {shares.shape}."
        )
    if not (np.isfinite(shares).all() and (shares >= 0).all() and np.allclose(shares.sum(axis=1), 1.0)):
        raise ValueError("policy must return probabilities: numbers >= 0 that sum to one in every row.")
    return shares


def rows_where(where: Any, rows: Rows) -> BoolArray:
    """The mask of a subgroup, on the rows of positive weight."""
    chosen = where(rows.given) if callable(where) else where
    rows.check_labels(chosen, "where")
    mask = np.asarray(chosen)
    if mask.shape == rows.kept.shape and not callable(where):
        mask = mask[rows.kept]
    if mask.dtype != bool or mask.shape != rows.codes.shape:
        raise ValueError(
            f"where must be a mask of True and False of shape ({len(rows.kept)},), one per row of fit, or a function "
            f"of X that returns one; got {mask.dtype} of shape {mask.shape}."
        )
    if not mask.any():
        raise ValueError("where chooses no row of positive weight.")
    return mask


def groups_of(by: Any, rows: Rows) -> dict[Any, BoolArray]:
    """Masks of the groups that a column of X, or labels, make; on the rows of fit."""
    n = len(rows.kept)
    if isinstance(by, str | int | np.integer) and not isinstance(by, bool):
        labels = column_of(by, rows, "by")
        found = encode(labels, "by", len(rows.codes))
        out = np.full(n, -1)
        out[rows.kept] = found.codes
    else:
        rows.check_labels(by, "by")
        found = encode(by, "by", n)
        out = np.where(rows.kept, found.codes, -1)
    present = np.unique(out[rows.kept])
    if len(present) > len(rows.codes) // 2:
        raise ValueError(f"by has {len(present)} different values in {len(rows.codes)} rows: bin it first.")
    return {found.names[code]: out == code for code in present}


def column_of(column: Any, rows: Rows, argument: str = "column") -> Given:
    """A column of X by name or position, rows of positive weight."""
    names = list(getattr(rows.given, "columns", range(rows.given.shape[1])))
    if column not in names:
        raise ValueError(f"{argument}={column!r} is no column of X; they are {names}.")
    return rows.given[column] if hasattr(rows.given, "columns") else rows.given[:, column]
