"""Cross-validated strength: a dial that is validated, not a discovery of causality."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, NoReturn, Self

import numpy as np
import pandas as pd

from causalinv._parallel import generator
from causalinv._typing import ArrayLike, BoolArray, FloatArray, IntArray, RandomState
from causalinv._validation import check_number, check_whole
from causalinv.ivlike._design import Design, RowDesign
from causalinv.ivlike._fit import Fit
from causalinv.ivlike._fitted import FittedRegression
from causalinv.ivlike._integrations import Copies
from causalinv.ivlike._moment_fit import FoldedMoments, fit_on_moments
from causalinv.ivlike._path import IVLikePath, check_alphas
from causalinv.ivlike._paths import Split, paths_like
from causalinv.ivlike._reading import Reading, by_chance
from causalinv.ivlike._resample import Resamples
from causalinv.ivlike._strength import Cells, Strength, StrengthRule
from causalinv.moments import Moments
from causalinv.transformations import Transformation as Augmentation

__all__ = ["IVLikeRegressionCV"]

_EQUALLY_GOOD = 1e-9  # relative


class IVLikeRegressionCV(FittedRegression):
    r"""IV-like regression whose strength minimises a held-out risk under shifts of a chosen size.

    The risk is :math:`E\,r^2 + (k^2 - 1)\,E(\Pi r)^2` on held-out rows, that is the mean squared error when the
    features shift k times as far as the augmentation (or the instruments) moves them.

    Parameters
    ----------
    alphas : array-like of shape (m,), optional
        Strengths to try; 100 from 1e-4 to 1e4 if left out.
    augmentation, integration, penalty, n_copies, features, ridge, random_state
        As in `IVLikeRegression`.
    shift_size : float, default sqrt(11)
        k. **On the population the optimum is gamma = k², whatever the truth**: cross-validation finds out whether the
        sample can bear that strength, not how much confounding there is. ``shift_size=1`` is plain risk on augmented
        rows, whose optimum is augmented least squares, and ``shift_size=0`` risk on the rows themselves, whose optimum
        is least squares: ask for them only to see that.
    cv : int, splitter or iterable of (train, test), default 5
        Folds. A number makes so many at random, in which rows of one group, and all copies of a row, share a fold. The
        test sets of a splitter must not overlap; rows in none of them always train.

    Attributes
    ----------
    cv_results_ : pandas.DataFrame
        ``alpha``, ``gamma``, ``risk`` (mean over held-out rows), ``std`` (of the folds). Of several outcomes the risk
        is the mean of each one's share of its variance, whatever their units.
    alpha_
        The strength with the least risk; other attributes as in `IVLikeRegression`.
    n_features_in_ : int
    feature_names_in_ : ndarray of str, only if X had names

    Notes
    -----
    All strengths and folds come from one pass over the rows: the moments of the other folds are added up. Folds without
    weight are left out. `bootstrap` keeps the folds of the fit.

    q instruments (or parameters of copies that are not paired) explain a share q / (n - 1) of any noise in the n rows
    of a fold, and more if weights are unequal; that is subtracted from E(Πr)², as in the adjusted R², so that estimated
    risks can be negative. Instruments that fit every row of a fold are refused.

    Examples
    --------
    >>> from causalinv.datasets import make_confounded_linear
    >>> from causalinv.ivlike import IVLikeRegressionCV, Translation
    >>> world = make_confounded_linear(2000, n_features=6, random_state=0)
    >>> model = IVLikeRegressionCV(augmentation=Translation(world.directions[:3]), random_state=0)
    >>> bool(0.03 < model.fit(world.X, world.y).alpha_ < 0.3)
    True
    """

    def __init__(
        self,
        alphas: ArrayLike | None = None,
        *,
        augmentation: Augmentation | None = None,
        integration: str = "auto",
        penalty: str = "auto",
        n_copies: int = 10,
        features: Any = None,
        ridge: float = 0.0,
        shift_size: float = 11**0.5,
        cv: Any = 5,
        random_state: RandomState = None,
    ):
        self.alphas = alphas
        self.augmentation = augmentation
        self.integration = integration
        self.penalty = penalty
        self.n_copies = n_copies
        self.features = features
        self.ridge = ridge
        self.shift_size = shift_size
        self.cv = cv
        self.random_state = random_state

    def _rule(self) -> StrengthRule:
        alphas = np.logspace(-4, 4, 100) if self.alphas is None else check_alphas(self.alphas)
        if not len(alphas):
            raise ValueError("alphas must hold at least one strength.")
        return CrossValidated(
            alphas=alphas,
            shift_size=check_number(self.shift_size, "shift_size", low=0.0),
            ridge=check_number(self.ridge, "ridge", low=0.0, finite=True),
            cv=self.cv,
            random_state=self.random_state,
        )

    def fit_moments(self, moments: Moments) -> Self:
        """Fit on moments with folds among their cells, which are the folds of the cross-validation; `cv` is not used.

        The strength, its table, coefficients, their path, least squares and the F of the first stage need moments
        alone. Robust and clustered covariances of the coefficients, at the strength chosen, need a second pass over the
        rows, ``covariance(source=)``. What rests on the rows themselves needs `fit`: `confint`, `bootstrap`, HC2 and
        HC3, ``effective_f_``, and the tests of instruments and of `ols_invariance_test`.

        Parameters
        ----------
        moments : Moments
            Blocks ``x`` and ``y``, ``g`` for genuine instruments, and with these ``c`` for controls; made with
            ``folds=``, in `Moments.scan` or `Moments.from_rows`. Labels of folds may be of any kind; rows that belong
            together, such as those of one patient, must share one. Environments are pooled.

        Returns
        -------
        self

        Raises
        ------
        ValueError
            As in `fit`; also if there are fewer than two folds, if the augmentation has no closed form, or with
            `features`, as rows are needed then.
        """
        self._training_rows = None
        self._keep(fit_on_moments(self, moments, self._rule(), folded=True))
        return self

    def _keep(self, fit: Fit) -> None:
        super()._keep(fit)
        self.cv_results_ = fit.strength.table


@dataclass(frozen=True, eq=False)
class CrossValidated(StrengthRule):
    """The strength with the least risk in held-out folds.

    Attributes
    ----------
    alphas : ndarray of shape (m,)
    shift_size, ridge : float
    cv, random_state
        Folds to make.
    folds : ndarray of shape (n,) or None
        Fold of each row, once made.
    """

    alphas: FloatArray
    shift_size: float
    ridge: float
    cv: Any
    random_state: RandomState
    folds: np.ndarray | None = None

    def prepare(self, design: Design) -> StrengthRule:
        if isinstance(design, FoldedMoments):
            return self
        assert isinstance(design, RowDesign)
        return replace(self, folds=_folds(design, self.cv, self.random_state))

    def choose(self, design: Design, reading: Reading, path: IVLikePath, cells: Cells | None = None) -> Strength:
        assert isinstance(design, RowDesign | FoldedMoments)
        # In units of the outcomes' spread: of several none counts more for its units, and squares do not overflow.
        spread = np.sqrt(np.diagonal(reading.moments.cov("y")[0]))
        spread = np.where(spread > 0, spread, 1.0)
        unit, resampled = spread, cells is not None
        if cells is None:
            unit = np.ones(len(spread))
            if isinstance(design, FoldedMoments):
                cells = (design.in_units(spread),) * 2
            else:
                cells = design.with_outcome(design.y / spread).collect(self.folds)
        given: dict[str, Any] = {"unit": unit, "ridge": self.ridge, "k": self.shift_size, "resampled": resampled}
        risks, weights = _held_out(design, cells, self.alphas, **given)
        mean = weights @ risks / weights.sum()
        with np.errstate(divide="ignore"):
            gammas = 1.0 + 1.0 / self.alphas
        deviation = risks.std(axis=0, ddof=1) if len(risks) > 1 else np.full(len(mean), np.nan)
        square = float(spread[0]) ** 2 if len(spread) == 1 else 1.0
        table = pd.DataFrame({"alpha": self.alphas, "gamma": gammas, "risk": mean * square, "std": deviation * square})
        best = int(_best(mean))
        inside = self.alphas.min() < self.alphas[best] < self.alphas.max()
        return Strength.single(float(self.alphas[best]), table, at_edge=len(self.alphas) > 1 and not inside)

    @property
    def n_tried(self) -> int:  # type: ignore[override]
        return 4 * len(self.alphas)

    def choose_each(
        self, resamples: Resamples, reading: Reading, split: Split, *, ridge: float
    ) -> tuple[FloatArray, FloatArray | None, BoolArray]:
        rest, held = resamples.folds()
        assert rest is not None  # as the reading is a stack
        assert held is not None
        (train, learnt), (test, judged) = rest, held
        paths = split.paths(train.stage, ridge=self.ridge)
        risks = _risks(paths.coefs(self.alphas), train, test, self.shift_size)
        left = test.total.count - test.stage.factor.shape[1] - test.spent if test.regressed else np.ones(len(judged))
        sound = learnt & judged & paths.sound & (left >= 1)  # else a fold does not judge
        square = np.diagonal(reading.moments.cov("y"), axis1=1, axis2=2)
        risks = risks.reshape(len(square), -1, *risks.shape[1:]) / np.where(square > 0, square, 1.0)[:, None, :, None]
        weights = test.moments.weight.reshape(risks.shape[:2])
        mean = np.einsum("bc,bcm->bm", weights, risks.mean(axis=2)) / weights.sum(axis=1, keepdims=True)
        return self.alphas[_best(mean)], None, np.asarray(sound.reshape(weights.shape).all(axis=1))


def _best(risk: FloatArray) -> IntArray:
    """Position (...) of the least risk (..., m); of strengths that are equally good up to rounding the first.

    Rounding must not choose. The estimate of a risk can be negative, as what noise explains by chance is taken off.
    """
    least = risk.min(axis=-1, keepdims=True)
    return np.asarray(np.argmax(risk <= least + _EQUALLY_GOOD * np.abs(least), axis=-1))


def _folds(design: RowDesign, cv: Any, random_state: RandomState) -> np.ndarray:
    """Fold of each row, -1 for rows that only train: by number (groups stay together, in random order) or splitter."""
    n = len(design.y)
    if isinstance(design, Copies) and design.groups is None:
        raise ValueError(
            "Copies of a row must not be split between folds: pass groups= (the source row of each) to fit."
        )
    if not isinstance(cv, int | np.integer) or isinstance(cv, bool):
        splits: Any = cv.split(design.X, design.y, design.groups) if hasattr(cv, "split") else cv
        if design.positions is not None and not hasattr(cv, "split"):
            # Rows of weight 0 are out, but a list of splits counts them.
            splits = [(None, np.flatnonzero(np.isin(design.positions, test))) for _, test in splits]
        folds = np.full(n, -1)
        for fold, (_, test) in enumerate(splits):
            if (folds[test] >= 0).any():
                raise ValueError("The test sets of cv overlap; every row may be held out once only.")
            folds[test] = fold
        if len(np.unique(folds[folds >= 0])) < 2:
            raise ValueError(
                "cv needs rows of positive weight in at least two test sets, and there are fewer. Use fewer folds, or "
                "more rows or groups."
            )
        design.check_folds(folds)
        return folds
    n_folds = check_whole(cv, "cv", low=2)
    codes = np.arange(n) if design.groups is None else design.groups
    units = int(codes.max()) + 1
    if units < n_folds:
        raise ValueError(f"cv={n_folds} folds need as many rows or groups, but there are {units}.")
    order = generator(random_state, "folds").permutation(units)
    return np.asarray(np.argsort(order)[codes] % n_folds)


def _held_out(
    design: RowDesign | FoldedMoments,
    cells: Cells,
    alphas: FloatArray,
    *,
    unit: FloatArray,
    ridge: float,
    k: float,
    resampled: bool,
) -> tuple[FloatArray, FloatArray]:
    """Risk of every strength in every fold, shape (n_folds, m), and the weights of the folds.

    Of several outcomes it is the mean, each in its unit (p,).
    """
    moments, total = cells
    labels = moments.cells.tolist()
    shared = total is moments

    def of(cells: list[Any]) -> Cells:
        own = moments.select(cells=cells)
        return own, own if shared else total.select(cells=cells)

    folds: list[tuple[Reading, Reading]] = []
    for held in (label for label in labels if label >= 0):
        test = design.judged(*of([held]))
        if not test.fitted:
            folds.append((design.reading(*of([label for label in labels if label != held])), test))
        elif not resampled:  # a fold of a resample, of which few rows were drawn, does not judge
            _refuse_fold(test)
    if not folds:
        _refuse_fold(test)
    stages = [train.stage for train, _ in folds]
    risks = []
    for path, (train, test) in zip(paths_like(stages, Split.of(stages[0]), ridge=ridge), folds, strict=True):
        coefs = np.moveaxis(path.coefs(alphas), 0, 2).swapaxes(0, 1)[None]
        risks.append((_risks(coefs, train.as_stack(), test.as_stack(), k)[0] / unit[:, None] ** 2).mean(axis=0))
    return np.array(risks), np.array([test.moments.weight[0] for _, test in folds])


def _refuse_fold(test: Reading) -> NoReturn:
    raise ValueError(
        f"A fold of {float(test.total.count.sum()):g} rows cannot judge strengths with {len(test.stage.factor)} "
        "instruments (and controls): they fit every row in it. Use fewer folds or instruments, or give alpha as a "
        "number to IVLikeRegression."
    )


def _risks(coefs: FloatArray, train: Reading, test: Reading, k: float) -> FloatArray:
    """Held-out risks (N, p, m) of coefficients (N, p, d, m) of a stack; intercepts are those of the training rows."""
    seen, slopes = train.moments.mean("x"), train.slopes
    if slopes is not None:  # below the features
        of_controls = np.swapaxes(slopes.of_y, 1, 2)[..., None] - slopes.of_x[:, None] @ coefs
        coefs, seen = np.concatenate([coefs, of_controls], axis=2), np.concatenate([seen, slopes.mean], axis=1)
    stage = test.stage
    cross, outcome = (np.swapaxes(part, 1, 2)[..., None] for part in (stage.cross, stage.outcome))
    each = replace(stage, variance=stage.variance[:, None], cross=cross, factor=stage.factor[:, None], outcome=outcome)
    own, explained = each.risks(coefs)
    risk = own + np.diagonal(test.moments.cov("y"), axis1=1, axis2=2)[:, :, None]
    if test.regressed:
        chance = by_chance(test.total.count, test.total.effective_count, q=stage.factor.shape[1], spent=test.spent)
        explained = explained - chance[:, None, None] * (risk - explained)
    moved = np.einsum("ni,npim->npm", test.moments.mean("x") - seen, coefs)
    offset = (test.moments.mean("y") - train.moments.mean("y"))[:, :, None] - moved
    return np.asarray(risk + offset**2 + (k**2 - 1.0) * explained)
