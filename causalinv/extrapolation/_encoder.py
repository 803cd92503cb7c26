"""LinearInvarianceEncoder: a representation of X whose mean is linear in the action."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Literal

import numpy as np
import pandas as pd

from causalinv._matrix import constant_columns
from causalinv._parallel import generator, streams
from causalinv._typing import BoolArray, FloatArray, RandomState
from causalinv._validation import check_number, check_whole
from causalinv._warn import warn
from causalinv.exceptions import DegenerateInputWarning, ExtrapolationWarning, IdentificationWarning
from causalinv.extrapolation._action_encoder import ActionEncoder
from causalinv.extrapolation._candidates import DEFAULT, DEFAULT_REDUCED, MOST_ROWS, N_FOLDS, Candidates, held_out
from causalinv.extrapolation._dimension import Directions, warn_of_undecided
from causalinv.extrapolation._features import action_regression, beyond_rounding
from causalinv.extrapolation._one_sided import ROWS, one_sidedness
from causalinv.extrapolation._remainder import holds_more, reconstruction, warn_of_the_rest
from causalinv.extrapolation._representation import METHODS, Learner, Representation
from causalinv.extrapolation._resampling import Resampling

__all__ = ["LinearInvarianceEncoder"]

_ROWS_PER_COLUMN = 10


class LinearInvarianceEncoder(ActionEncoder):
    r"""Learn a representation of X whose mean is linear in a randomised action; no decoder, no neural network.

    Where :math:`Z = M A + V` with A randomised and :math:`X = g(Z)` for an injective g, every function of X whose mean
    given A is linear in A is an affine function of Z (under conditions on V, see Notes). So the encoder finds Z up to
    an affine map, which is what predicting untried actions needs.

    Parameters
    ----------
    n_components : int or "auto", default "auto"
        Coordinates of the state, at most as many as the action has; ``"auto"`` counts the directions of the action that
        X follows: one is dropped only if the upper 95% confidence bound of what the action does along it is below .15
        standard deviations of V per standard deviation of the action. Each quarter of the rows is judged by what the
        other three taught.
    method : {"auto", "ef", "ef+npiv", "ef+location", "npiv", "npiv+location"}, default "auto"
        What comes first: ``"ef"``, a convex conditional likelihood of the action given X, exact maximum likelihood if V
        is Gaussian; or ``"npiv"``, linear invariance as nonparametric instrumental variables, for V of any analytic
        law. What it is bent by: ``"+npiv"``, linear invariance among functions of the first; or ``"+location"``,
        maximum likelihood among them in the model phi = W a + b + V, with V Gaussian or (by BIC) a mixture of 3 or 4
        Gaussians. ``"auto"``: ``"npiv+location"``, unless on held-out rows (every fourth) another has a `score` that is
        better by more than 3 standard errors of the difference; ``"ef+location"`` where X holds more than the
        representation.
    n_landmarks : int, default 150
        Centres of the radial features of X.
    bandwidths : tuple of float, default (0.7, 1.0, 1.5)
        Widths of the radial features, in median distances of the landmarks; fits are averaged over them.
    n_repeats : int, default 2
        Draws of landmarks per bandwidth, averaged as well.
    ridge : float, default 1e-4
        Penalty of the conditional likelihood.
    n_references : int, default 300
        Rows that stand for the law of the action.
    action_transform : callable, optional
        A known nonlinear t, applied to the action first: :math:`Z = M\,t(A) + V`.
    random_state : int, SeedSequence, Generator, RandomState or None
        Seed of landmarks, references and mixtures.

    Attributes
    ----------
    n_components_ : int
    method_ : str
        The method used.
    W_ : ndarray of shape (d, k)
        Slope of the representation in the (transformed) action. The representation is in units in which its residual
        given the action has covariance I, so W_ is the effect of a unit of action in standard deviations of V.
    intercept_ : ndarray of shape (d,)
    scales_ : ndarray of shape (k,)
        Variance that the action explains, per candidate component, descending.
    effects_ : DataFrame or None
        With ``n_components="auto"`` and several actions, one row per direction, the strongest first: ``effect``
        (standard deviations of V per standard deviation of the action, by rows it was not learnt from), ``lower`` and
        ``upper`` (95% bounds, each on its own), ``decision`` (kept, undecided: kept too, dropped).
    candidate_scores_ : dict
        Held-out score per method; empty unless ``method="auto"``.
    noise_evidence_ : float
        Evidence that V is not Gaussian: what the likelihood of the location model gains by a mixture, in units of what
        BIC asks for it. Above 1 there is a warning; NaN, with one, where X takes too few values to fit any law.
    noise_skewness_ : float
        How one-sided V is in the location model: its quantile skewness (q97.5 + q2.5 - 2 median) / (q97.5 - q2.5) along
        the direction where that is largest. 0 symmetric, .33 Gumbel, .63 exponential; a learnt V shows less. Above .4,
        where `noise_evidence_` is above 1 too, `Rep4ExRegressor` gives no numbers beyond the tried actions.
    precision_gap_ : float or None
        How far two estimates of M'S⁻¹M are apart that agree if V is Gaussian: of the ``"ef"`` fit, where there is one.
    reconstruction_ : float
        Share of X's variance that held-out smooth regression on the representation explains.
    reduced_ : bool
        Whether that is less than 1 - .5 / (n_components_ + 1): X holds more than the representation, as when the action
        moves fewer directions than the state has (k < d) or X is noisy. The mean under do(A = a) may still be right
        (for Gaussian V); what is conditional on X is not.
    effective_dimension_ : float
        Directions that the representation uses: the participation ratio of its covariance, residual variance 1.
    moved_by_action_ : float
        0: the action does not move the representation. Mean distance of a training row to where the mean action would
        have put it, over the mean distance of two rows, in the same units (an `invariance_score`; at most 2,000 rows).
    n_iter_ : int
    n_actions_in_, n_features_in_ : int
    feature_names_in_ : ndarray of str, only if X had names

    Warns
    -----
    ExtrapolationWarning
        If V does not look Gaussian (`noise_evidence_`).
    IdentificationWarning
        If a component was kept that may be negligible (`effects_`); if X holds more than the representation
        (`reduced_`); if on held-out rows X says nothing about the action (``method="auto"``).
    DegenerateInputWarning
        If the action or X take few values, or X has many columns for its rows.

    Notes
    -----
    Needs: A randomised; X a noiseless injective function of Z; the action moving every coordinate of Z (k >= d and M of
    rank d); V with a density analytic enough that its mean shift over the *bounded* support of A determines it
    everywhere: Gaussian, mixtures of Gaussians without zeros of the characteristic function, Gumbel, logistic, t. For
    Laplace V linear invariance does not determine the tails of the representation, even if the characteristic function
    never vanishes. The location model also uses that V is *independent* of A, and how often each phi occurs. In
    exchange it needs the law of V to be close to a Gaussian or a mixture of few: what the mixture cannot imitate, it
    puts into the representation, so that for Laplace V small bends of the tails remain.

    Source: linear invariance is from Saengkyongam, Rosenfeld, Ravikumar, Pfister and Peters, arXiv 2310.04295; the
    convex exponential-family form, its averaging, the instrumental-variable form, the location model and the
    counterexample are this package's own.

    Examples
    --------
    >>> from causalinv.datasets import make_extrapolation_data
    >>> from causalinv.metrics import affine_r2
    >>> data = make_extrapolation_data(2000, random_state=0)
    >>> encoder = LinearInvarianceEncoder(method="ef", random_state=0).fit(data.X, action=data.action)
    >>> affine_r2(data.Z, encoder.transform(data.X)) > 0.97
    True
    """

    def __init__(
        self,
        n_components: int | Literal["auto"] = "auto",
        *,
        method: Literal["auto", "ef", "ef+npiv", "ef+location", "npiv", "npiv+location"] = "auto",
        n_landmarks: int = 150,
        bandwidths: tuple[float, ...] = (0.7, 1.0, 1.5),
        n_repeats: int = 2,
        ridge: float = 1e-4,
        n_references: int = 300,
        action_transform: Callable[[FloatArray], FloatArray] | None = None,
        random_state: RandomState = None,
    ):
        self.n_components = n_components
        self.method = method
        self.n_landmarks = n_landmarks
        self.bandwidths = bandwidths
        self.n_repeats = n_repeats
        self.ridge = ridge
        self.n_references = n_references
        self.action_transform = action_transform
        self.random_state = random_state

    def _learn(self, rows: FloatArray, acts: FloatArray) -> Representation:
        self._check_choices()
        if constant_columns(rows).all():
            raise ValueError("X does not vary: there is no representation to learn. Check what was passed as X.")
        wanted = self._wanted(acts.shape[1])
        self._warn_about_width(*rows.shape)
        state: FloatArray | None = None
        directions: Directions | None = None
        self.candidate_scores_: dict[str, float] = {}
        self.method_: str = self.method
        gap: float | None = None
        judge: Learner | None = None
        if self.method == "auto" or wanted is None:
            judge = self._one_kernel(rows, acts, ~held_out(len(rows)))
        if wanted is None:
            assert judge is not None
            state = self._unseen_state(rows, acts, judge)
            directions = Directions.measure(state, acts)
            warn_of_undecided(directions)
            wanted = directions.n_kept
        if self.method == "auto":
            assert judge is not None
            found = self._compare(judge, rows, acts, wanted)
            self.candidate_scores_, self.method_, gap = found.scores, found.best, found.precision_gap
        self.effects_: pd.DataFrame | None = None if directions is None else directions.to_frame()
        learner = self._learner(rows, acts, [*self.bandwidths] * self.n_repeats)
        representation = self._without_the_rest(learner, rows, wanted, directions)
        located = representation
        if located.noise_evidence is None:
            located = learner.learn(DEFAULT, representation.n_components)
        assert located.noise_evidence is not None
        self.noise_evidence_: float = located.noise_evidence
        self.noise_skewness_ = self._skewness(located, rows, acts)
        self.scales_ = representation.eigenvalues
        self.n_iter_ = representation.n_iter
        self.precision_gap_ = gap if representation.precision_gap is None else representation.precision_gap
        self._resampling = Resampling(
            representation, learner.features[0], self.method_, self.n_references, self.ridge, state, acts
        )
        if np.isnan(self.noise_evidence_):
            warn(
                "No law of the state's own noise V could be fitted: X takes too few different values. That V is "
                "Gaussian, on which extrapolation rests most, is then not checked.",
                DegenerateInputWarning,
            )
        elif self.noise_evidence_ > 1:
            self._warn_of_noise()
        return representation

    def _compare(self, judge: Learner, rows: FloatArray, acts: FloatArray, n_components: int) -> Candidates:
        """Scores of the methods; `judge` saw all rows but the last fold."""
        if len(rows) > MOST_ROWS:
            some = generator(self.random_state, "encoder candidates").permutation(len(rows))[:MOST_ROWS]
            rows, acts = rows[some], acts[some]
            judge = self._one_kernel(rows, acts, ~held_out(len(rows)))
        return Candidates.compare(judge, rows, acts, n_components, self.random_state)

    def _without_the_rest(
        self, learner: Learner, rows: FloatArray, d: int, directions: Directions | None
    ) -> Representation:
        """Learn, by a method that stands it where X holds more; says what X holds beyond."""

        def learn() -> Representation:
            made = learner.learn(self.method_, d)
            rng = generator(self.random_state, "reconstruction")
            self.reconstruction_ = reconstruction(learner.units(rows), made(rows), rng)
            return made

        representation = learn()
        self.reduced_ = holds_more(self.reconstruction_, representation.n_components)
        if not self.reduced_:
            return representation
        if self.method == "auto" and self.method_.startswith("npiv"):
            self.method_ = DEFAULT_REDUCED
            representation = learn()
        if self.method_.startswith("npiv"):
            warn(
                "X holds more than the representation. If that is a part of the state which the action does not "
                f"move, method={self.method!r} cannot tell it from what the action moves. Use method='ef+location'.",
                IdentificationWarning,
            )
        else:
            warn_of_the_rest(self.reconstruction_, representation.n_components, learner.action.shape[1], directions)
        return representation

    def _warn_of_noise(self) -> None:
        law = (
            "A mixture of Gaussians stands for its law, and extrapolation is less certain, most with heavy tails. "
            if self.method_.endswith("location")
            else "The tails of the representation, from which extrapolation is made, may be wrong; a method that "
            "ends in 'location' allows for it. "
        )
        warn(
            f"The state's own noise V does not look Gaussian (evidence {self.noise_evidence_:.1f}, where 1 is a "
            f"doubt). {law}Compare "
            "with a polynomial of the action by shell_score and diagnostics.",
            ExtrapolationWarning,
        )

    @staticmethod
    def _warn_about_width(n: int, width: int) -> None:
        if width * _ROWS_PER_COLUMN > n:
            warn(
                f"X has {width} columns for {n} rows: standardised one by one they are too many for the features of "
                "this encoder, which then fits noise. Reduce them first, for example make_pipeline(PCA(10), encoder).",
                DegenerateInputWarning,
            )

    @staticmethod
    def _skewness(located: Representation, rows: FloatArray, acts: FloatArray) -> float:
        step = max(1, len(rows) // ROWS)
        phi, acts = located(rows[::step]), acts[::step]
        W, b = action_regression(phi, acts)
        return one_sidedness(beyond_rounding(phi - acts @ W.T - b, phi))

    def _learner(self, rows: FloatArray, acts: FloatArray, widths: Sequence[float]) -> Learner:
        rngs = streams(self.random_state, len(widths), "encoder")
        return Learner(
            rows,
            acts,
            list(zip(widths, rngs, strict=True)),
            n_landmarks=self.n_landmarks,
            n_references=self.n_references,
            ridge=self.ridge,
        )

    def _one_kernel(self, rows: FloatArray, acts: FloatArray, kept: BoolArray) -> Learner:
        return self._learner(rows[kept], acts[kept], [self.bandwidths[len(self.bandwidths) // 2]])

    def _unseen_state(self, rows: FloatArray, acts: FloatArray, last: Learner) -> FloatArray:
        """All directions (n, k) at each row, learnt without its fold; `last` saw all folds but the last."""
        state = np.empty_like(acts)
        for fold in range(N_FOLDS):
            out = held_out(len(rows), fold)
            learner = last if fold == N_FOLDS - 1 else self._one_kernel(rows, acts, ~out)
            state[out] = learner.natural(rows[out])
        return state

    def learn_again(self, X: FloatArray, action: FloatArray, rng: np.random.Generator) -> FloatArray:
        """Representation of a resample of the training rows, in little time; the fitted one stays.

        One kernel, the same method, a law of V of the same kind; the dimension is chosen anew if it was chosen.

        Parameters
        ----------
        X : ndarray of shape (n, D)
        action : ndarray of shape (n, k)
            After `action_transform`.
        rng : Generator

        Returns
        -------
        ndarray of shape (n, d)
        """
        return self._resampling.learn(X, action, rng)

    def _check_choices(self) -> None:
        if self.method not in ("auto", *METHODS):
            raise ValueError(f"method must be one of {('auto', *METHODS)}, got {self.method!r}.")
        check_whole(self.n_landmarks, "n_landmarks", low=2)
        check_whole(self.n_repeats, "n_repeats", low=1)
        check_whole(self.n_references, "n_references", low=10)
        check_number(self.ridge, "ridge", low=0.0, open_low=True)
        if isinstance(self.bandwidths, str) or not np.iterable(self.bandwidths) or not len(self.bandwidths):
            raise ValueError(f"bandwidths must be a tuple of positive numbers, got {self.bandwidths!r}.")
        for width in self.bandwidths:
            check_number(width, "bandwidths", low=0.0, open_low=True)

    def _wanted(self, k: int) -> int | None:
        if isinstance(self.n_components, str):
            if self.n_components != "auto":
                raise ValueError(f"n_components must be a whole number or 'auto', got {self.n_components!r}.")
            return 1 if k == 1 else None
        wanted = check_whole(self.n_components, "n_components", low=1)
        if wanted > k:
            raise ValueError(
                f"n_components={wanted} is more than the {k} column(s) of the action: linear invariance finds only "
                "directions that the action moves. Leave it out, or vary more actions."
            )
        return wanted
