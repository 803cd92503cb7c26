"""Every public estimator with the adapters and the data by which the contract is checked.

A public estimator that is missing here fails `test_every_public_estimator_is_registered`.
"""

import importlib
import inspect
import pkgutil
from collections.abc import Callable
from dataclasses import dataclass, field
from importlib.util import find_spec
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.decomposition import PCA

import causalinv
from causalinv import (
    FunctionAugmentation,
    InvariantCausalPrediction,
    InvariantProjection,
    IVLikeRegression,
    Translation,
)
from causalinv.extrapolation import AutoencoderMMREncoder, LinearInvarianceEncoder, Rep4ExRegressor
from tests.contract import adapters


def _brighten(X, rng):
    G = rng.normal(size=(len(X), 1))
    return X + 0.3 * G, G


def rows(n=120, d=4, seed=0):
    rng = np.random.default_rng(seed)
    C, Z = rng.normal(size=(n, 1)), rng.normal(size=(n, 2))
    X = rng.normal(size=(n, d)) + C + np.pad(Z, ((0, 0), (0, d - 2)))
    y = X @ np.arange(1.0, d + 1) + C[:, 0] + 0.1 * rng.normal(size=n)
    return {"X": X, "y": y, "instruments": Z, "action": Z, "environments": np.array(["b", "a", "c"])[np.arange(n) % 3]}


@dataclass(frozen=True)
class Case:
    """One way in which a public estimator is used."""

    name: str
    make: Callable[[], Any]
    metadata: tuple[str, ...] = ()  # row metadata that fit needs
    outputs: tuple[str, ...] = ("predict",)
    output_metadata: tuple[str, ...] = ()  # row metadata that the outputs need
    coef: str = "coef_"  # fitted array that two equal fits share
    needs_y: bool = True
    #: columns of X may be recombined, coefficients follow
    affine_equivariant: bool = False
    random: bool = False
    #: parameter, and values, for a grid search
    tuned: tuple[str, list[float]] = ("alpha", [0.05, 0.1, 1.0, 100.0])

    def fit(self, data, estimator=None):
        estimator = self.make() if estimator is None else estimator
        return estimator.fit(data["X"], data["y"], **{name: data[name] for name in self.metadata})


@dataclass(frozen=True)
class Entry:
    sklearn_checks: tuple[Any, ...]
    cases: tuple[Case, ...] = field(default_factory=tuple)


_OFFSET = np.ones((1, 4))
_HAS_TORCH = find_spec("torch") is not None
REGISTRY: dict[type, Entry] = {
    IVLikeRegression: Entry(
        sklearn_checks=(adapters.AugmentedIVL(), adapters.PairedIVL(), adapters.InstrumentedIVL()),
        cases=(
            Case("ivl-translation", lambda: IVLikeRegression(0.5, augmentation=Translation(_OFFSET))),
            Case(
                "ivl-function",
                lambda: IVLikeRegression(augmentation=FunctionAugmentation(_brighten), random_state=3),
                random=True,
            ),
            Case("ivl-instruments", lambda: IVLikeRegression(0.5), ("instruments",), affine_equivariant=True),
        ),
    ),
    InvariantCausalPrediction: Entry(
        sklearn_checks=(adapters.SplitICP(),),
        cases=(Case("icp", InvariantCausalPrediction, ("environments",), tuned=("level", [0.01, 0.05])),),
    ),
    LinearInvarianceEncoder: Entry(
        sklearn_checks=(adapters.EncoderByFirst(), adapters.EncoderByFirst(method="auto")),
        cases=(
            Case(
                "linear-invariance",
                lambda: LinearInvarianceEncoder(n_landmarks=20, random_state=3),
                ("action",),
                outputs=("transform",),
                needs_y=False,
                random=True,
            ),
        ),
    ),
    Rep4ExRegressor: Entry(
        sklearn_checks=(adapters.Rep4ExByFirst(), adapters.Rep4ExIdentity()),
        cases=(
            Case(
                "rep4ex",
                lambda: Rep4ExRegressor(PCA(1), random_state=3),
                ("action",),
                output_metadata=("action",),
                coef="W_",
                random=True,
                tuned=("calibration", [0.0, 3.0]),
            ),
        ),
    ),
    # Without torch its fit can only raise, which tests/extrapolation checks.
    AutoencoderMMREncoder: Entry(
        sklearn_checks=(adapters.AutoencoderByFirst(),) if _HAS_TORCH else (),
        cases=(
            Case(
                "autoencoder",
                lambda: AutoencoderMMREncoder(n_steps=5, hidden=(8,), random_state=3),
                ("action",),
                outputs=("transform",),
                needs_y=False,
                random=True,
            ),
        )
        if _HAS_TORCH
        else (),
    ),
    InvariantProjection: Entry(
        sklearn_checks=(adapters.ProjectionAlongFirst(),),
        cases=(
            Case(
                "invariant-projection",
                lambda: InvariantProjection(Translation(_OFFSET)),
                outputs=("transform",),
                needs_y=False,
            ),
        ),
    ),
}
CASES = [case for entry in REGISTRY.values() for case in entry.cases]


def public_classes() -> set[type]:
    """All public classes of all rooms."""
    found = set()
    for module in pkgutil.walk_packages(causalinv.__path__, "causalinv."):
        if module.name.endswith("__main__"):
            continue
        loaded = importlib.import_module(module.name)
        for name in getattr(loaded, "__all__", ()):
            value = getattr(loaded, name)
            if inspect.isclass(value):
                found.add(value)
    return found


def public_estimators() -> set[type]:
    return {cls for cls in public_classes() if issubclass(cls, BaseEstimator) and hasattr(cls, "fit")}
