"""From rows of X and the action to a representation: bagged fits, a dimension, units, and a correction."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy.linalg import eigh

from causalinv._typing import FloatArray
from causalinv.extrapolation._exponential_family import (
    ExponentialFamilyFit,
    fit_exponential_family,
    matched_references,
)
from causalinv.extrapolation._features import (
    Affine,
    RadialFeatures,
    action_regression,
    moment_features,
    standardizer,
    whitening,
)
from causalinv.extrapolation._instrumental import Instrumental
from causalinv.extrapolation._location import MIXTURE_SIZES, LocationFit, fit_location, refit_location

__all__ = ["METHODS", "Learner", "Representation", "noise_units"]

METHODS = ("ef", "ef+npiv", "ef+location", "npiv", "npiv+location")
_LINEAR_RIDGE = 0.01
_NPIV_RIDGES, _NPIV_VARIANCE_RIDGES = (1e-4, 1e-3), (0.02, 0.1)
_CORRECTION_LANDMARKS, _CORRECTION_RIDGE, _CORRECTION_VARIANCE_RIDGE = 60, 3e-3, 0.01
_CORRECTION_LINEAR_RIDGE = 1e-6
# Of the location model. The penalty is that of a prior: it does not grow with the rows. The second pass has its
# landmarks where the first has straightened things.
_LOCATION_LANDMARKS, _LOCATION_BANDWIDTH, _LOCATION_PENALTY, _LOCATION_PASSES = 60, 0.7, 10.0, 2
_HOPELESS = 0.25  # evidence for a mixture in the first pass, below which the second does not try one
_MOMENT_DEGREE = 5
_ROWS_PER_MOMENT = 20


@dataclass(frozen=True)
class KernelMap:
    """(features - centre) @ coef, averaged over the members of the bag."""

    features: tuple[RadialFeatures, ...]
    centres: tuple[FloatArray, ...]
    coefs: tuple[FloatArray, ...]

    def __call__(self, rows: FloatArray) -> FloatArray:
        parts = zip(self.features, self.centres, self.coefs, strict=True)
        return _mean([(f(rows) - c) @ coef for f, c, coef in parts])


@dataclass(frozen=True)
class Representation:
    """What was learnt: a chain of maps, in units in which the residuals given the action have covariance I.

    Attributes
    ----------
    stages : tuple of callables
    eigenvalues : ndarray of shape (k,)
        Variance that the action explains, per candidate component, before one was chosen; descending.
    precision_gap : float or None
        Exponential family only: relative distance of slope and residual covariance, which agree for Gaussian V.
    noise_evidence : float or None
        Location model only: evidence that V is not Gaussian; above 1 it was not taken to be.
    n_noise_components : int
        Gaussians in its law.
    n_iter : int
    first_fit : ExponentialFamilyFit or None
        Of the first member of the bag, where a refit to similar rows starts.
    first_pass : LocationFit or None
        Of the location model in its first pass, for the same.
    """

    stages: tuple[Affine | KernelMap, ...]
    eigenvalues: FloatArray
    precision_gap: float | None = None
    noise_evidence: float | None = None
    n_noise_components: int = 1
    n_iter: int = 0
    first_fit: ExponentialFamilyFit | None = None
    first_pass: LocationFit | None = None

    @property
    def n_components(self) -> int:
        """Number of components."""
        last = self.stages[-1]
        assert isinstance(last, Affine)
        return len(last.offset)

    def __call__(self, rows: FloatArray) -> FloatArray:
        """Map rows of X (n, D) to the representation (n, d)."""
        for stage in self.stages:
            rows = stage(rows)
        return rows


class Learner:
    """Features of one set of rows, computed once and shared by all methods.

    Parameters
    ----------
    X : ndarray of shape (n, D)
    action : ndarray of shape (n, k)
    bag : sequence of (bandwidth, Generator)
        One member each.
    n_landmarks, n_references : int
    ridge : float
        Of the exponential-family fit.
    features : RadialFeatures, optional
        Use these, in the units of `units`, for a bag of one.
    units : Affine, optional
    mixture_sizes : tuple of int
        Of the law of V in the location model, where it is not Gaussian; none: it is.
    """

    def __init__(
        self,
        X: FloatArray,
        action: FloatArray,
        bag: Sequence[tuple[float, np.random.Generator]],
        *,
        n_landmarks: int,
        n_references: int,
        ridge: float,
        features: RadialFeatures | None = None,
        units: Affine | None = None,
        mixture_sizes: tuple[int, ...] = MIXTURE_SIZES,
    ) -> None:
        self.units = standardizer(X) if units is None else units
        self.action = standardizer(action)(action)
        self.ridge = ridge
        self.mixture_sizes = mixture_sizes
        self.rngs = [rng for _, rng in bag]
        rows = self.units(X)
        self.features = [
            RadialFeatures.fit(rows, min(n_landmarks, max(2, len(X) // 2)), bandwidth, rng)
            if features is None
            else features
            for bandwidth, rng in bag
        ]
        raw = [f(rows) for f in self.features]
        self.centres = [columns.mean(axis=0) for columns in raw]
        for columns, centre in zip(raw, self.centres, strict=True):
            np.subtract(columns, centre, out=columns)  # with many rows these are what memory is for
        self.columns = raw
        self.references = [matched_references(self.action, n_references, rng) for rng in self.rngs]
        self.max_moments = max(1, len(X) // _ROWS_PER_MOMENT)
        self._fits: dict[int, ExponentialFamilyFit] = {}
        self._firsts: dict[tuple[str, int], tuple[FloatArray, Representation]] = {}

    def learn(self, method: str, n_components: int, *, start: ExponentialFamilyFit | None = None) -> Representation:
        """Fit by one of `METHODS`."""
        name, _, correction = method.partition("+")
        if (name, n_components) not in self._firsts:
            made = self._exponential(n_components, start) if name == "ef" else self._instrumental(n_components)
            self._firsts[name, n_components] = made
        phi, first = self._firsts[name, n_components]
        if not correction:
            return first
        if correction == "npiv":
            return replace(first, stages=(*first.stages, *self._straighten(phi, self.rngs[0])))
        stages, fit, first_pass = self._locate(phi, self.rngs[0])
        return replace(
            first,
            stages=(*first.stages, *stages),
            noise_evidence=fit.evidence,
            n_noise_components=len(fit.law.weights),
            first_pass=first_pass,
        )

    def relearn(self, method: str, like: Representation) -> FloatArray:
        """Phi (n, d) by a method of the location model, in one pass from where a fit to similar rows started.

        In the axes of that fit, whose map for new rows is not made.
        """
        axes, white, bent = like.stages[2:5]
        assert like.first_pass is not None
        assert isinstance(bent, KernelMap)
        if method.startswith("ef"):
            fits = self.exponential_family(like.first_fit)
            first = _mean([columns @ fit.coef for columns, fit in zip(self.columns, fits, strict=True)])
        else:
            first = self._solved()[0]
        rows = white(axes(first))
        return refit_location(
            bent.features[0], rows, self.action, ridge=_LOCATION_PENALTY / len(rows), start=like.first_pass
        )

    def _exponential(self, n_components: int, start: ExponentialFamilyFit | None) -> tuple[FloatArray, Representation]:
        """The average of the members' fits: each is found up to a constant, so they need no alignment."""
        fits = self.exponential_family(start)
        eta_map = KernelMap(tuple(self.features), tuple(self.centres), tuple(fit.coef for fit in fits))
        eta = _mean([columns @ fit.coef for columns, fit in zip(self.columns, fits, strict=True)])
        slope, _ = action_regression(eta, self.action)
        left = eta - self.action @ slope.T
        noise = left.T @ left / len(eta)
        gap = float(np.linalg.norm((slope + slope.T) / 2 - noise)) / max(float(np.linalg.norm(noise)), 1e-300)
        values, vectors = self._explained(eta)
        phi, stage = noise_units(eta, self.action, vectors[:, :n_components])
        n_iter = max(fit.n_iter for fit in fits)
        return phi, Representation((self.units, eta_map, stage), values, gap, n_iter=n_iter, first_fit=fits[0])

    def exponential_family(self, start: ExponentialFamilyFit | None = None) -> list[ExponentialFamilyFit]:
        """Fits of all members, computed once."""
        return [self._fit_member(member, start) for member in range(len(self.columns))]

    def natural(self, rows: FloatArray) -> FloatArray:
        """Natural parameters of the exponential family at other rows, (m, k): all directions, in the action's axes."""
        fits = self.exponential_family()
        return KernelMap(tuple(self.features), tuple(self.centres), tuple(fit.coef for fit in fits))(self.units(rows))

    def _fit_member(self, member: int, start: ExponentialFamilyFit | None = None) -> ExponentialFamilyFit:
        if member not in self._fits:
            penalty = self.features[member].penalty(_LINEAR_RIDGE)
            self._fits[member] = fit_exponential_family(
                self.columns[member], self.action, self.references[member], penalty, ridge=self.ridge, start=start
            )
        return self._fits[member]

    def _instrumental(self, n_components: int) -> tuple[FloatArray, Representation]:
        h, kernel_map = self._solved()
        values, vectors = self._explained(h)
        phi, stage = noise_units(h, self.action, vectors[:, :n_components])
        return phi, Representation((self.units, kernel_map, stage), values)

    def _solved(self) -> tuple[FloatArray, KernelMap]:
        """Average over members and penalties: all are in the units of the action, so they need no alignment."""
        moments = moment_features(self.action, _MOMENT_DEGREE, max_columns=self.max_moments)
        settings = [(r, v) for r in _NPIV_RIDGES for v in _NPIV_VARIANCE_RIDGES]
        coefs = []
        for columns, f in zip(self.columns, self.features, strict=True):
            problem, penalty = Instrumental.of(columns, self.action, moments), f.penalty(_LINEAR_RIDGE)
            coefs.append(_mean([problem.solve(penalty, ridge=r, variance_ridge=v)[0] for r, v in settings]))
        h = _mean([columns @ coef for columns, coef in zip(self.columns, coefs, strict=True)])
        return h, KernelMap(tuple(self.features), tuple(self.centres), tuple(coefs))

    def _explained(self, h: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Eigenvalues (descending) and eigenvectors of the covariance of the part of h that the action explains."""
        slope, _ = action_regression(h, self.action)
        values, vectors = eigh(slope @ (self.action.T @ self.action / len(h)) @ slope.T)
        return values[::-1], vectors[:, ::-1]

    def _straighten(self, phi: FloatArray, rng: np.random.Generator) -> list[Affine | KernelMap]:
        """Linear invariance again, among functions of a first representation: exact for V of any (analytic) law."""
        n, d = phi.shape
        white = whitening(phi)
        rows = white(phi)
        features = RadialFeatures.fit(rows, min(_CORRECTION_LANDMARKS, max(2, n // 2)), 1.0, rng)
        raw = features(rows)
        centre = raw.mean(axis=0)
        moments = moment_features(self.action, _MOMENT_DEGREE, max_columns=self.max_moments)
        coef, order = Instrumental.of(raw - centre, self.action, moments).solve(
            features.penalty(_CORRECTION_LINEAR_RIDGE),
            ridge=_CORRECTION_RIDGE,
            variance_ridge=_CORRECTION_VARIANCE_RIDGE,
        )
        corrected = (raw - centre) @ coef
        _, stage = noise_units(corrected, self.action, order[:, :d])
        return [white, KernelMap((features,), (centre,), (coef,)), stage]

    def _locate(
        self, phi: FloatArray, rng: np.random.Generator
    ) -> tuple[list[Affine | KernelMap], LocationFit, LocationFit]:
        """Maximum likelihood among functions of a first representation, and the fits of the last and first pass."""
        n, d = phi.shape
        stages: list[Affine | KernelMap] = []
        sizes, evidence = self.mixture_sizes, 0.0
        passes = []
        for _ in range(_LOCATION_PASSES):
            white = whitening(phi)
            rows = white(phi)
            features = RadialFeatures.fit(rows, min(_LOCATION_LANDMARKS, max(2, n // 2)), _LOCATION_BANDWIDTH, rng)
            fit = fit_location(features, rows, self.action, ridge=_LOCATION_PENALTY / n, rng=rng, sizes=sizes)
            passes.append(fit)
            if sizes:
                evidence = fit.evidence
            if evidence < _HOPELESS:
                sizes = ()
            bent = KernelMap((features,), (fit.centre,), (fit.coef,))
            phi, stage = noise_units(bent(rows), self.action, np.eye(d))
            stages += [white, bent, stage]
        return stages, replace(fit, evidence=evidence), passes[0]


def noise_units(h: FloatArray, action: FloatArray, directions: FloatArray) -> tuple[FloatArray, Affine]:
    """Combine columns, then rotate and scale: residual covariance I, components by falling signal.

    Parameters
    ----------
    h : ndarray of shape (n, q)
    action : ndarray of shape (n, k)
        Of mean 0.
    directions : ndarray of shape (q, d)

    Returns
    -------
    phi : ndarray of shape (n, d)
    stage : Affine
        The map from h to phi.
    """
    reduced = h @ directions
    slope, _ = action_regression(reduced, action)
    left = reduced - reduced.mean(axis=0) - action @ slope.T
    whiten = whitening(left).matrix
    signal = whiten.T @ slope @ (action.T @ action / len(h)) @ slope.T @ whiten
    _, rotation = eigh((signal + signal.T) / 2)
    matrix = directions @ whiten @ rotation[:, ::-1]
    sign = np.sign(matrix[np.abs(matrix).argmax(axis=0), np.arange(matrix.shape[1])])
    matrix = matrix * np.where(sign == 0, 1.0, sign)
    stage = Affine(matrix, -h.mean(axis=0) @ matrix)
    return stage(h), stage


def _mean(arrays: list[FloatArray]) -> FloatArray:
    mean: FloatArray = sum(arrays[1:], start=arrays[0]) / len(arrays)
    return mean
