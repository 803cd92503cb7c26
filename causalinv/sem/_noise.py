"""Noise laws, each known by its mean, its standard deviation and a standardised shape.

Moments of the model follow from mean and standard deviation alone, so they are exact for every family.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from functools import cached_property
from typing import Any, Self

import numpy as np

from causalinv._matrix import constant_columns
from causalinv._parallel import generator
from causalinv._typing import ArrayLike, FloatArray, RandomState
from causalinv._validation import check_number, check_numbers, check_whole

__all__ = [
    "Empirical",
    "Exponential",
    "Gaussian",
    "Laplace",
    "Noise",
    "StudentT",
    "Uniform",
    "as_noises",
    "check_std",
    "draw",
    "draw_by_node",
]

_SMALLEST, _LARGEST = 1e-150, 1e150  # standard deviations whose squares are numbers with all their digits


@dataclass(frozen=True)
class Noise:
    """A law with finite variance, ``mean + std * shape`` where the shape has mean 0 and variance 1.

    A family of your own is a subclass that defines `standard` and `kurtosis`; nothing else depends on the family.

    Parameters
    ----------
    std : float, default 1.0
        Standard deviation, 0 or from 1e-150 to 1e150; 0 is a point mass at the mean.
    mean : float, default 0.0
        Mean.

    Raises
    ------
    ValueError
        If `std` is negative, or a parameter is not finite.
    """

    std: float = 1.0
    mean: float = 0.0

    def __post_init__(self) -> None:
        name = type(self).__name__
        object.__setattr__(self, "std", check_std(self.std, f"std of {name}"))
        object.__setattr__(self, "mean", check_number(self.mean, f"mean of {name}", finite=True))

    @property
    def var(self) -> float:
        """Variance."""
        return self.std**2

    @property
    def kurtosis(self) -> float:
        """Fourth standardised moment of the shape; 3 for a Gaussian, infinite where it does not exist."""
        raise NotImplementedError(f"{type(self).__name__} must define kurtosis.")

    def standard(self, size: tuple[int, ...], rng: np.random.Generator) -> FloatArray:
        """Draw from the shape, mean 0 and variance 1."""
        raise NotImplementedError(f"{type(self).__name__} must define standard(size, rng).")

    def scale(self, factor: float) -> Self:
        """The same law with its standard deviation multiplied by `factor`; the mean stays."""
        return replace(self, std=self.std * factor)

    def sample(self, size: int | tuple[int, ...], *, random_state: RandomState = None) -> FloatArray:
        """Draw independent values, shape `size`."""
        shape = tuple(check_whole(k, "size", low=0) for k in (size if isinstance(size, tuple) else (size,)))
        return self.mean + self.std * self.standard(shape, generator(random_state, "noise"))

    def shape(self) -> Noise:
        """The standardised law: equal for nodes that can be drawn in one call."""
        return self._shape

    @cached_property
    def _shape(self) -> Noise:
        return replace(self, std=1.0, mean=0.0)  # made once: samples ask for it in every environment

    def to_dict(self) -> dict[str, Any]:
        """Family and parameters, ready for JSON."""
        return {"family": type(self).__name__} | {f.name: getattr(self, f.name) for f in fields(self)}


@dataclass(frozen=True)
class Gaussian(Noise):
    """Normal noise."""

    kurtosis = 3.0

    def standard(self, size: tuple[int, ...], rng: np.random.Generator) -> FloatArray:
        return rng.standard_normal(size)


@dataclass(frozen=True)
class Uniform(Noise):
    """Uniform noise on mean ± √3·std."""

    kurtosis = 1.8

    def standard(self, size: tuple[int, ...], rng: np.random.Generator) -> FloatArray:
        return rng.uniform(-np.sqrt(3.0), np.sqrt(3.0), size)


@dataclass(frozen=True)
class Laplace(Noise):
    """Double-exponential noise with scale std/√2: heavier tails than the Gaussian."""

    kurtosis = 6.0

    def standard(self, size: tuple[int, ...], rng: np.random.Generator) -> FloatArray:
        return rng.laplace(0.0, np.sqrt(0.5), size)


@dataclass(frozen=True)
class Exponential(Noise):
    """Exponential noise, shifted to the given mean: skewed to the right, bounded below at mean - std."""

    kurtosis = 9.0

    def standard(self, size: tuple[int, ...], rng: np.random.Generator) -> FloatArray:
        return rng.standard_exponential(size) - 1.0


@dataclass(frozen=True)
class StudentT(Noise):
    """Student's t, scaled to the given standard deviation.

    Parameters
    ----------
    std, mean : float
        As in `Noise`.
    df : float, default 5.0
        Degrees of freedom, > 2 (with fewer the variance does not exist); the kurtosis is finite above 4.
    """

    df: float = 5.0

    def __post_init__(self) -> None:
        super().__post_init__()
        df = check_number(self.df, "df of StudentT", low=2.0, open_low=True)
        if np.isinf(df):
            raise ValueError("df of StudentT must be finite; its limit is Gaussian.")
        object.__setattr__(self, "df", df)

    @property
    def kurtosis(self) -> float:
        return 3.0 + 6.0 / (self.df - 4.0) if self.df > 4.0 else np.inf

    def standard(self, size: tuple[int, ...], rng: np.random.Generator) -> FloatArray:
        return rng.standard_t(self.df, size) * np.sqrt((self.df - 2.0) / self.df)


@dataclass(frozen=True, init=False)
class Empirical(Noise):
    """Draws, with replacement, from values that were observed.

    Parameters
    ----------
    values : array-like of shape (k,)
        The values, at least two of them different.
    std, mean : float, optional
        Rescale the values to these; left out, they keep their own (with divisor k).

    Examples
    --------
    >>> law = Empirical([1.0, 2.0, 6.0])
    >>> law.mean
    3.0
    """

    values: tuple[float, ...] = ()

    def __init__(self, values: ArrayLike, std: float | None = None, mean: float | None = None) -> None:
        array = check_numbers(values, "values of Empirical")
        if array.ndim != 1 or array.size < 2 or constant_columns(array[:, None])[0]:
            raise ValueError(f"values of Empirical must be at least two different numbers, got shape {array.shape}.")
        object.__setattr__(self, "values", tuple(array.tolist()))
        object.__setattr__(self, "std", float(array.std()) if std is None else std)
        object.__setattr__(self, "mean", float(array.mean()) if mean is None else mean)
        self.__post_init__()

    def _standardised(self) -> FloatArray:
        array = np.array(self.values)
        return (array - array.mean()) / array.std()

    @property
    def kurtosis(self) -> float:
        return float(np.mean(self._standardised() ** 4))

    def standard(self, size: tuple[int, ...], rng: np.random.Generator) -> FloatArray:
        return self._standardised()[rng.integers(len(self.values), size=size)]


_FAMILIES = {cls.__name__: cls for cls in (Gaussian, Uniform, Laplace, Exponential, StudentT, Empirical)}


def noise_from_dict(values: dict[str, Any]) -> Noise:
    """Inverse of `Noise.to_dict`, for the families of this package."""
    parameters = dict(values)
    family = parameters.pop("family", None)
    if family not in _FAMILIES:
        raise ValueError(f"There is no noise family {family!r}; there are {', '.join(_FAMILIES)}.")
    return _FAMILIES[family](**parameters)


def as_noises(noise: ArrayLike | Noise | Sequence[Noise | float], n_nodes: int) -> tuple[Noise, ...]:
    """One law per node from what users write: a number or array of standard deviations, or noise objects."""
    if isinstance(noise, Noise):
        return (noise,) * n_nodes
    if isinstance(noise, str | bytes | dict) or not np.iterable(noise):
        return (as_noise(noise),) * n_nodes
    if np.ma.isMaskedArray(noise):
        noise = check_numbers(noise, "noise")
    each = tuple(as_noise(one) for one in noise)
    if len(each) != n_nodes:
        raise ValueError(f"noise has {len(each)} entries for {n_nodes} nodes; give one for all, or one per node.")
    return each


def as_noise(value: object) -> Noise:
    """A noise object as it is; a number as the standard deviation of a Gaussian."""
    return value if isinstance(value, Noise) else Gaussian(check_std(value, "noise (a std)"))


def check_std(value: object, name: str) -> float:
    """A standard deviation that has a variance: 0, or such that its square neither over- nor underflows."""
    std = check_number(value, name, low=0.0)
    if std and not _SMALLEST <= std <= _LARGEST:
        raise ValueError(
            f"{name} must be 0 or from {_SMALLEST:g} to {_LARGEST:g}, so that its square is a number; got {std:g}. "
            "Choose other units."
        )
    return std


def draw(noises: Sequence[Noise], n: int, rng: np.random.Generator) -> FloatArray:
    """Standardised draws (n, p), one column per law; one call of the generator per family."""
    groups = _by_family(noises)
    if len(groups) == 1:
        return next(iter(groups)).standard((n, len(noises)), rng)
    out = np.empty((n, len(noises)))
    for family, columns in groups.items():
        out[:, columns] = family.standard((n, len(columns)), rng)
    return out


def draw_by_node(noises: Sequence[Noise], n: int, rng: np.random.Generator) -> FloatArray:
    """The same, a row per law: contiguous in memory where a model is solved node by node."""
    groups = _by_family(noises)
    if len(groups) == 1:
        return next(iter(groups)).standard((len(noises), n), rng)
    out = np.empty((len(noises), n))
    for family, rows in groups.items():
        out[rows] = family.standard((len(rows), n), rng)
    return out


def _by_family(noises: Sequence[Noise]) -> dict[Noise, list[int]]:
    groups: dict[Noise, list[int]] = {}
    for position, noise in enumerate(noises):
        groups.setdefault(noise.shape(), []).append(position)
    return groups
