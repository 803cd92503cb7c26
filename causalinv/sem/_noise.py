"""Noise laws, each known by its mean, its standard deviation and a standardised shape.

Moments of the model follow from mean and standard deviation alone, so they are exact for every family.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import ClassVar, Self

import numpy as np

from causalinv._parallel import generator
from causalinv._typing import ArrayLike, FloatArray, RandomState
from causalinv._validation import check_number

__all__ = ["Gaussian", "Laplace", "Noise", "Uniform", "as_noises", "draw"]


@dataclass(frozen=True)
class Noise:
    """A law with finite variance, ``mean + std * shape`` where the shape has mean 0 and variance 1.

    Parameters
    ----------
    std : float, default 1.0
        Standard deviation, >= 0; 0 is a point mass at the mean.
    mean : float, default 0.0
        Mean.

    Attributes
    ----------
    kurtosis : float
        Fourth standardised moment of the shape (3 for a Gaussian).

    Raises
    ------
    ValueError
        If `std` is negative, or a parameter is not finite.
    """

    std: float = 1.0
    mean: float = 0.0

    kurtosis: ClassVar[float]

    def __post_init__(self) -> None:
        name = type(self).__name__
        object.__setattr__(self, "std", check_number(self.std, f"std of {name}", low=0.0))
        object.__setattr__(self, "mean", check_number(self.mean, f"mean of {name}"))
        if not (np.isfinite(self.std) and np.isfinite(self.mean)):
            raise ValueError(f"{name} needs a finite mean and std, got mean={self.mean}, std={self.std}.")

    @property
    def var(self) -> float:
        """Variance."""
        return self.std**2

    def scale(self, factor: float) -> Self:
        """The same law with its standard deviation multiplied by `factor`; the mean stays."""
        return replace(self, std=self.std * factor)

    def plus(self, other: Noise) -> Noise:
        """The law of the sum of this and an independent `other`."""
        if self.std == 0:
            return replace(other, mean=self.mean + other.mean)
        if other.std == 0 or (isinstance(self, Gaussian) and isinstance(other, Gaussian)):
            return replace(self, mean=self.mean + other.mean, std=float(np.hypot(self.std, other.std)))
        return _Sum(float(np.hypot(self.std, other.std)), self.mean + other.mean, terms=(self, other))

    def sample(self, size: int | tuple[int, ...], *, random_state: RandomState = None) -> FloatArray:
        """Draw independent values, shape `size`."""
        shape = size if isinstance(size, tuple) else (size,)
        return self.mean + self.std * self._standard(shape, generator(random_state))

    def _shape(self) -> Noise:
        """The standardised law: equal for nodes that can be drawn in one call."""
        return replace(self, std=1.0, mean=0.0)

    def _standard(self, size: tuple[int, ...], rng: np.random.Generator) -> FloatArray:
        raise NotImplementedError(f"{type(self).__name__} must define _standard(size, rng).")


@dataclass(frozen=True)
class Gaussian(Noise):
    """Normal noise."""

    kurtosis: ClassVar[float] = 3.0

    def _standard(self, size: tuple[int, ...], rng: np.random.Generator) -> FloatArray:
        return rng.standard_normal(size)


@dataclass(frozen=True)
class Uniform(Noise):
    """Uniform noise on mean ± √3·std."""

    kurtosis: ClassVar[float] = 1.8

    def _standard(self, size: tuple[int, ...], rng: np.random.Generator) -> FloatArray:
        return rng.uniform(-np.sqrt(3.0), np.sqrt(3.0), size)


@dataclass(frozen=True)
class Laplace(Noise):
    """Double-exponential noise with scale std/√2: heavier tails than the Gaussian."""

    kurtosis: ClassVar[float] = 6.0

    def _standard(self, size: tuple[int, ...], rng: np.random.Generator) -> FloatArray:
        return rng.laplace(0.0, np.sqrt(0.5), size)


@dataclass(frozen=True)
class _Sum(Noise):
    """Sum of two independent terms of different families (what a random shift makes of a node's noise)."""

    terms: tuple[Noise, Noise] = ()  # type: ignore[assignment]

    @property
    def kurtosis(self) -> float:  # type: ignore[override]
        share = [term.var / (self.terms[0].var + self.terms[1].var) for term in self.terms]
        own = sum(w**2 * term.kurtosis for w, term in zip(share, self.terms, strict=True))
        return float(own + 6.0 * share[0] * share[1])

    def _shape(self) -> Noise:
        size = np.hypot(self.terms[0].std, self.terms[1].std)
        terms = tuple(replace(term, std=float(term.std / size), mean=0.0) for term in self.terms)
        return _Sum(1.0, 0.0, terms=terms)  # type: ignore[arg-type]

    def _standard(self, size: tuple[int, ...], rng: np.random.Generator) -> FloatArray:
        first, second = self._shape().terms  # type: ignore[attr-defined]
        return first.std * first._standard(size, rng) + second.std * second._standard(size, rng)


def as_noises(noise: ArrayLike | Noise | Sequence[Noise | float], n_nodes: int) -> tuple[Noise, ...]:
    """One law per node from what users write: a number or array of standard deviations, or noise objects."""
    if isinstance(noise, Noise):
        return (noise,) * n_nodes
    if isinstance(noise, str) or not np.iterable(noise):
        return (as_noise(noise),) * n_nodes
    each = tuple(as_noise(one) for one in noise)
    if len(each) != n_nodes:
        raise ValueError(f"noise has {len(each)} entries for {n_nodes} nodes; give one for all, or one per node.")
    return each


def as_noise(value: object) -> Noise:
    """A noise object as it is; a number as the standard deviation of a Gaussian."""
    return value if isinstance(value, Noise) else Gaussian(check_number(value, "noise (a std)", low=0.0))


def draw(noises: Sequence[Noise], n: int, rng: np.random.Generator) -> FloatArray:
    """Standardised draws (n, p), one column per law; one call of the generator per family."""
    shapes = [noise._shape() for noise in noises]
    families = dict.fromkeys(shapes)
    if len(families) == 1:
        return shapes[0]._standard((n, len(shapes)), rng)
    out = np.empty((n, len(shapes)))
    for family in families:
        columns = [j for j, shape in enumerate(shapes) if shape == family]
        out[:, columns] = family._standard((n, len(columns)), rng)
    return out
