"""LinearInvarianceEncoder: a representation of X whose mean is linear in the action."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Sequence
from typing import ClassVar, Literal, Self

import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator, ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.utils.validation import check_is_fitted

from causalinv._frames import column_names
from causalinv._matrix import constant_columns
from causalinv._parallel import generator, streams
from causalinv._typing import BoolArray, FloatArray, RandomState, Rows
from causalinv._validation import check_alignment, check_features, check_number, check_whole
from causalinv._warn import warn
from causalinv.exceptions import DegenerateInputWarning, ExtrapolationWarning, IdentificationWarning
from causalinv.extrapolation._action import check_action, check_actions, transform_action
from causalinv.extrapolation._dimension import NEGLIGIBLE, Directions
from causalinv.extrapolation._features import RadialFeatures
from causalinv.extrapolation._representation import METHODS, Learner, Representation
from causalinv.extrapolation._scores import MAX_REFERENCES, LocationModel, linear_invariance_test
from causalinv.results import TestResult

__all__ = ["ActionEncoder", "LinearInvarianceEncoder"]

_DEFAULT, _DEFAULT_REDUCED = "npiv+location", "ef+location"
# The score sees how the representation moves with the action, and not its tails, where the default is best: another
# method must be better beyond doubt, as when the default has gone astray.
_MARGIN = 3.0
_HELD_OUT = 4  # every fourth row
_TELLING = 50  # held-out rows from which a score of 0 means something
# Share of X's variance below which phi of d coordinates is taken to miss some: about half of what one of d + 1 holds.
_MISSED = 0.5
_SEEN = 0.5
_ROWS_PER_COLUMN = 10


class ActionEncoder(ClassNamePrefixFeaturesOutMixin, TransformerMixin, BaseEstimator):
    """What encoders of X that are fitted with an action share; a subclass fits `representation_`."""

    n_features_in_: int
    feature_names_in_: np.ndarray
    representation_: Callable[[FloatArray], FloatArray]

    __metadata_request__fit: ClassVar[dict[str, bool]] = {"action": True}
    __metadata_request__score: ClassVar[dict[str, bool]] = {"action": True}

    action_transform: Callable[[FloatArray], FloatArray] | None
    random_state: RandomState

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "_seen")

    def _check_training(self, X: Rows, action: Rows) -> tuple[FloatArray, FloatArray]:
        """Validated X (n, D) and transformed action (n, k)."""
        self.__dict__.pop("_seen", None)  # set last: a fit that fails leaves no half of an older one
        check_alignment(X=X, action=action)
        rows = check_features(self, X, reset=True, min_samples=4)
        acts = check_action(action, len(rows), type(self).__name__)
        names = column_names(action)
        self.n_actions_in_ = acts.shape[1]
        self._action_names = None if names is None else np.array(names, dtype=object)
        return rows, transform_action(self.action_transform, acts)

    def _check_rows(self, X: Rows, action: Rows) -> tuple[FloatArray, FloatArray]:
        """Validated new rows, X (n, D) and transformed action (n, k)."""
        check_is_fitted(self)
        if action is None:
            raise ValueError(f"{type(self).__name__}.score needs action=, the action of each row.")
        check_alignment(X=X, action=action)
        rows = check_features(self, X, reset=False)
        acts = check_actions(action, self.n_actions_in_, self._action_names, name="action")
        return rows, transform_action(self.action_transform, acts)

    def _finish(self, rows: FloatArray, acts: FloatArray) -> None:
        """Fitted attributes that follow from `representation_`."""
        phi = self.representation_(rows)
        self.n_components_ = self._n_features_out = int(phi.shape[1])
        rng = generator(self.random_state, "encoder score")
        self._law = LocationModel.fit(phi, acts, rng)
        self.W_, self.intercept_ = self._law.W, self._law.b
        self._references = acts[rng.permutation(len(acts))[:MAX_REFERENCES]]
        self._seen = _fingerprints(rows)

    def transform(self, X: Rows) -> FloatArray:
        """Representation of rows, shape (n, n_components_).

        Parameters
        ----------
        X : array-like of shape (n, D)

        Returns
        -------
        ndarray of shape (n, d)
        """
        check_is_fitted(self)
        return self.representation_(check_features(self, X, reset=False))

    def score(self, X: Rows, y: Rows = None, *, action: Rows = None) -> float:
        """Mean log-likelihood ratio of the action given the representation, in nats per row; larger is better.

        Parameters
        ----------
        X : array-like of shape (n, D)
            Rows on which the encoder was not fitted.
        y : ignored
        action : array-like of shape (n,) or (n, k)

        Returns
        -------
        float
            See `causalinv.extrapolation.conditional_score`; 0 if the representation says nothing about the action.
        """
        rows, acts = self._check_rows(X, action)
        return float(self._law.scores(self.representation_(rows), acts, self._references).mean())

    def linearity_test(self, X: Rows, *, action: Rows = None, n_resamples: int = 299) -> TestResult:
        """Test that the mean of the representation is linear in the action.

        Parameters
        ----------
        X : array-like of shape (n, D)
            Rows on which the encoder was *not* fitted.
        action : array-like of shape (n,) or (n, k)
        n_resamples : int, default 299

        Returns
        -------
        TestResult

        Warns
        -----
        ExtrapolationWarning
            If most rows are training rows: then the p-value is too large.
        """
        rows, acts = self._check_rows(X, action)
        share = np.isin(_fingerprints(rows), self._seen).mean()
        if share > _SEEN:
            warn(
                f"{share:.0%} of these rows are rows on which the encoder was fitted, so the p-value of the linearity "
                "test is too large. Hold rows out.",
                ExtrapolationWarning,
            )
        return linear_invariance_test(
            self.representation_(rows), acts, n_resamples=n_resamples, random_state=self.random_state
        )


def _fingerprints(rows: FloatArray) -> np.ndarray:
    return np.array([zlib.crc32(row.tobytes()) for row in np.ascontiguousarray(rows)], dtype=np.uint32)


class LinearInvarianceEncoder(ActionEncoder):
    r"""Learn a representation of X whose mean is linear in a randomised action; no decoder, no neural network.

    Where :math:`Z = M A + V` with A randomised and :math:`X = g(Z)` for an injective g, every function of X whose mean
    given A is linear in A is an affine function of Z (under conditions on V, see Notes). So the encoder finds Z up to
    an affine map, which is what predicting untried actions needs.

    Parameters
    ----------
    n_components : int or "auto", default "auto"
        Coordinates of the state, at most as many as the action has; ``"auto"`` counts the directions of the action that
        X follows: on held-out rows (every fourth) one is dropped only if the upper 95% confidence bound of what the
        action does along it is below .15 standard deviations of V per standard deviation of the action.
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
        (standard deviations of V per standard deviation of the action, on held-out rows), ``lower`` and ``upper`` (95%
        bounds, each on its own), ``decision`` (kept, undecided: kept too, dropped).
    candidate_scores_ : dict
        Held-out score per method; empty unless ``method="auto"``.
    noise_evidence_ : float
        Evidence that V is not Gaussian: what the likelihood of the location model gains by a mixture, in units of what
        BIC asks for it. Above 1 there is a warning.
    precision_gap_ : float or None
        How far two estimates of M'S⁻¹M are apart that agree if V is Gaussian: of the ``"ef"`` fit, where there is one.
    reconstruction_ : float
        Share of X's variance that held-out smooth regression on the representation explains.
    reduced_ : bool
        Whether that is less than 1 - .5 / (n_components_ + 1): X holds more than the representation, as when the action
        moves fewer directions than the state has (k < d) or X is noisy. The mean under do(A = a) may still be right
        (for Gaussian V); what is conditional on X is not.
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
        If the action takes few values, or X has many columns for its rows.

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

    def fit(self, X: Rows, y: Rows = None, *, action: Rows = None) -> Self:
        """Learn the representation.

        Parameters
        ----------
        X : array-like of shape (n, D)
            Observations.
        y : ignored
            The outcome plays no part.
        action : array-like of shape (n,) or (n, k)
            Randomised action of each row; n must be at least 20 (k + 1).

        Returns
        -------
        self

        Raises
        ------
        ValueError
            If the action is missing, constant, dependent or not numeric, rows are too few, more components are asked
            for than the action has columns, or an input is malformed.
        """
        rows, acts = self._check_training(X, action)
        self._check_choices()
        if constant_columns(rows).all():
            raise ValueError("X does not vary: there is no representation to learn. Check what was passed as X.")
        asked = self._wanted(acts.shape[1])
        self._warn_about_width(*rows.shape)
        self.effects_: pd.DataFrame | None = None
        self._judged: tuple[FloatArray, FloatArray] | None = None
        self.candidate_scores_: dict[str, float] = {}
        self.method_: str = self.method
        gap: float | None = None
        out = np.arange(len(rows)) % _HELD_OUT == _HELD_OUT - 1
        if self.method == "auto" or asked is None:
            held_out = self._learner(rows[~out], acts[~out], [self.bandwidths[len(self.bandwidths) // 2]])
        wanted = self._choose_dimension(held_out, rows[out], acts[out]) if asked is None else asked
        if self.method == "auto":
            self.candidate_scores_, self.method_, gap = self._compare(held_out, rows, acts, out, wanted)
        learner = self._learner(rows, acts, [*self.bandwidths] * self.n_repeats)
        representation = learner.learn(self.method_, wanted)
        self.reconstruction_ = self._reconstruction(learner, representation, rows)
        self.reduced_ = self.reconstruction_ < 1 - _MISSED / (representation.n_components + 1)
        if self.reduced_ and self.method_.startswith("npiv"):
            if self.method == "auto":
                self.method_ = _DEFAULT_REDUCED
                representation = learner.learn(self.method_, wanted)
                self.reconstruction_ = self._reconstruction(learner, representation, rows)
            else:
                warn(
                    "X holds more than the representation; if that is state which the action does not move, "
                    f"method={self.method!r} cannot tell it from what the action moves. Use method='ef+location'.",
                    IdentificationWarning,
                )
        if self.reduced_ and not self.method_.startswith("npiv"):
            self._warn_reduced(representation.n_components, acts.shape[1])
        evidence = representation.noise_evidence
        if evidence is None:
            evidence = learner.learn(_DEFAULT, representation.n_components).noise_evidence
        assert evidence is not None
        self.noise_evidence_: float = evidence
        self.representation_: Representation = representation
        self.scales_ = representation.eigenvalues
        self.n_iter_ = representation.n_iter
        self.precision_gap_ = gap if representation.precision_gap is None else representation.precision_gap
        self._first_features = learner.features[0]
        self._finish(rows, acts)
        if self.noise_evidence_ > 1:
            law = (
                "A mixture of Gaussians stands for its law, and extrapolation is less certain, most with heavy tails. "
                if self.method_.endswith("location")
                else "The tails of the representation, from which extrapolation is made, may be wrong; a method that "
                "ends in 'location' allows for it. "
            )
            warn(
                f"V does not look Gaussian (evidence {self.noise_evidence_:.1f}, where 1 is a doubt). {law}Compare "
                "with a polynomial of the action by shell_score and diagnostics.",
                ExtrapolationWarning,
            )
        return self

    def _warn_reduced(self, d: int, k: int) -> None:
        """Say what the rest of X may be: it is another thing with components left out than without."""
        share = max(self.reconstruction_, 0.0)
        shown = f"X holds more than the representation of {d} component(s), which shows {share:.0%} of it"
        if d == k:
            warn(
                f"{shown}: X is noisy, or its state has directions that the action does not move. The mean under "
                "do(A = a) is then identified if V is Gaussian; what is conditional on X is not.",
                IdentificationWarning,
            )
            return
        if self.effects_ is None:
            left = f"{k - d} direction(s) of the action were left out by n_components={d}"
        else:
            upper = self.effects_["upper"].to_numpy()[d]
            left = (
                f"{k - d} direction(s) of the action were dropped, as a standard deviation of the action moves them by "
                f"at most {upper:.2f} standard deviations of V (95% bound)"
            )
        warn(
            f"{shown}; {left}. If the outcome depends strongly on one of them, predictions at untried actions miss "
            f"that: compare with n_components={k}.",
            IdentificationWarning,
        )

    def _reconstruction(self, learner: Learner, representation: Representation, rows: FloatArray) -> float:
        rng = generator(self.random_state, "reconstruction")
        return _reconstruction(learner.units(rows), representation(rows), rng)

    @staticmethod
    def _warn_about_width(n: int, width: int) -> None:
        if width * _ROWS_PER_COLUMN > n:
            warn(
                f"X has {width} columns for {n} rows: standardised one by one they are too many for the features of "
                "this encoder, which then fits noise. Reduce them first, for example make_pipeline(PCA(10), encoder).",
                DegenerateInputWarning,
            )

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

    def _choose_dimension(self, learner: Learner, rows: FloatArray, acts: FloatArray) -> int:
        """Directions that the action moves, on rows that were held out; says what could not be decided."""
        # Kept, for resamples to choose again: with all directions, also those that are dropped here.
        self._judged = learner.learn("ef", acts.shape[1])(rows), acts
        found = Directions.measure(*self._judged)
        self.effects_ = found.to_frame()
        if found.undecided:
            weakest = found.n_kept - 1
            warn(
                f"{found.undecided} of {found.n_kept} components may be nothing but noise: by {found.n} held-out rows, "
                "one standard deviation of the action moves the weakest by "
                f"{found.lower[weakest]:.2f} to {found.upper[weakest]:.2f} standard deviations of V, where less than "
                f"{NEGLIGIBLE:g} is called negligible. It was kept. See effects_; more rows or wider actions decide, "
                "or set n_components.",
                IdentificationWarning,
            )
        return found.n_kept

    def _compare(
        self, learner: Learner, rows: FloatArray, acts: FloatArray, out: BoolArray, wanted: int
    ) -> tuple[dict[str, float], str, float | None]:
        """Held-out score of every method (one kernel), the method to use, the precision gap."""
        scores: dict[str, FloatArray] = {}
        gap: float | None = None
        rng = generator(self.random_state, "encoder references")
        references = acts[rng.permutation(len(acts))[:MAX_REFERENCES]]
        for method in METHODS:
            representation = learner.learn(method, wanted)
            phi = representation(rows)
            gap = representation.precision_gap if gap is None else gap
            law = LocationModel.fit(phi[~out], acts[~out], generator(self.random_state, "encoder score"))
            scores[method] = law.scores(phi[out], acts[out], references)
        best = _DEFAULT
        for method in METHODS:
            gain = scores[method] - scores[best]
            if gain.mean() > _MARGIN * gain.std() / np.sqrt(len(gain)):
                best = method
        if np.count_nonzero(out) >= _TELLING and scores[best].mean() <= 0:
            warn(
                f"On held-out rows X says nothing about the action (score {scores[best].mean():.3f} nats, where 0 is "
                "nothing): there is nothing to learn a representation from, and predictions at untried actions mean "
                "nothing.",
                IdentificationWarning,
            )
        return {method: float(values.mean()) for method, values in scores.items()}, best, gap

    def _resampled(
        self, rows: FloatArray, acts: FloatArray, rng: np.random.Generator
    ) -> Callable[[FloatArray], FloatArray]:
        """Representation learnt from a resample of the rows: one kernel, the same method, the dimension anew."""
        n_components = self.n_components_
        if self._judged is not None:
            phi, judged = self._judged
            at = rng.integers(len(phi), size=len(phi))
            n_components = Directions.measure(phi[at], judged[at]).n_kept
        n_noise = self.representation_.n_noise_components
        learner = Learner(
            rows,
            acts,
            [(self.bandwidths[0], rng)],
            n_landmarks=self.n_landmarks,
            n_references=self.n_references,
            ridge=self.ridge,
            features=self._first_features,
            units=self.representation_.stages[0],  # type: ignore[arg-type]
            mixture_sizes=() if n_noise == 1 else (n_noise,),
        )
        return learner.learn(self.method_, n_components, start=self.representation_.first_fit)

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


def _reconstruction(X: FloatArray, phi: FloatArray, rng: np.random.Generator) -> float:
    """Share of the variance of X (standardised) explained by smooth regression on phi, on every fourth row."""
    n = len(X)
    out = np.arange(n) % _HELD_OUT == _HELD_OUT - 1
    features = RadialFeatures.fit(phi, min(100, max(2, n // 4)), 1.0, rng)
    columns = features(phi)
    centre, middle = columns[~out].mean(axis=0), X[~out].mean(axis=0)
    train, target = columns[~out] - centre, X[~out] - middle
    system = train.T @ train / len(train) + 1e-5 * np.diag(features.penalty(0.01))
    coef = np.linalg.solve(system, train.T @ target / len(train))
    left = X[out] - middle - (columns[out] - centre) @ coef
    total = np.sum((X[out] - middle) ** 2)
    return float(1 - np.sum(left**2) / total) if total > 0 else 1.0
