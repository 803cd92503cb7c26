"""Every public estimator with the adapters and the data by which the contract is checked.

A public estimator that is missing here fails `test_every_public_estimator_is_registered`.
"""

import importlib
import inspect
import pkgutil
from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.decomposition import PCA
from sklearn.ensemble import ExtraTreesRegressor
from sklearn.linear_model import Ridge
from sklearn.preprocessing import SplineTransformer

import causalinv
from causalinv import FunctionAugmentation, Translation
from causalinv.symmetry import ImageMoments, InvariantCoordinates
from causalinv.transformations import EuclideanGroup, SignFlip
from tests.contract import adapters


def _brighten(X, rng):
    G = rng.normal(size=(len(X), 1))
    return X + 0.3 * G, G


def rows(n=120, d=4, seed=0):
    rng = np.random.default_rng(seed)
    C, Z = rng.normal(size=(n, 1)), rng.normal(size=(n, 2))
    X = rng.normal(size=(n, d)) + C + np.pad(Z, ((0, 0), (0, d - 2)))
    y = X @ np.arange(1.0, d + 1) + C[:, 0] + 0.1 * rng.normal(size=n)
    return {
        "X": X,
        "y": y,
        "instruments": Z,
        "controls": np.random.default_rng(seed + 1000).normal(size=(n, 2)) + Z,
        "action": Z,
        "environments": np.array(["b", "a", "c"])[np.arange(n) % 3],
        "augmentation_parameters": Z,
        "groups": np.arange(n) // 2,
        "treatment": np.arange(n) % 2,
    }


@dataclass(frozen=True, eq=False)
class Case:
    """One way in which a public estimator is used."""

    name: str
    make: Callable[[], Any]
    metadata: tuple[str, ...] = ()  # row metadata that fit needs
    outputs: tuple[str, ...] = ("predict",)
    output_metadata: tuple[str, ...] = ()  # row metadata that the outputs need
    needs_y: bool = True
    #: columns of X may be recombined, coefficients follow
    affine_equivariant: bool = False
    random: bool = False
    #: relative error of coefficients under a change of units; larger where a descent stops at a tolerance of its own
    rtol: float = 1e-9
    #: has coefficients and a score, and predictions follow affine changes of the outcome
    linear: bool = True
    #: parameter, and values, for a grid search
    tuned: tuple[str, list[float]] = ("alpha", [0.05, 0.1, 1.0, 100.0])

    def fit(self, data, estimator=None):
        estimator = self.make() if estimator is None else estimator
        return estimator.fit(data["X"], data["y"], **{name: data[name] for name in self.metadata})


class Entry:
    """Adapters that scikit-learn's checks run on, and cases for the contract."""

    def __init__(self, sklearn_checks: list[Any], *cases: Case):
        self.sklearn_checks, self.cases = sklearn_checks, cases


_WIDE = (-1e6, 1e6)
_SMALL = ExtraTreesRegressor(5, min_samples_leaf=5, random_state=0)


def _bounds_case(adapter, **params):
    name = adapter.__name__.removeprefix("Predicting").lower()
    return Case(f"bounds-{name}", lambda: adapter(random_state=0, **params), ("treatment",), random=True, linear=False)


_OFFSET = np.ones((1, 4))
_HAS_TORCH = find_spec("torch") is not None
REGISTRY: dict[type, Entry] = {
    causalinv.IVLikeRegression: Entry(
        [adapters.AugmentedIVL(), adapters.PairedIVL(), adapters.InstrumentedIVL()],
        Case("ivl-translation", lambda: causalinv.IVLikeRegression(0.5, augmentation=Translation(_OFFSET))),
        Case(
            "ivl-function",
            lambda: causalinv.IVLikeRegression(augmentation=FunctionAugmentation(_brighten), random_state=3),
            random=True,
        ),
        Case(
            "ivl-features",
            lambda: causalinv.IVLikeRegression(
                0.5,
                augmentation=Translation(_OFFSET),
                integration="closed_form",
                features=SplineTransformer(3, degree=1, include_bias=False),
                ridge=1e-3,
            ),
            random=True,
        ),
        Case("ivl-copies", lambda: causalinv.IVLikeRegression(0.5), ("augmentation_parameters", "groups")),
        Case("ivl-instruments", lambda: causalinv.IVLikeRegression(0.5), ("instruments",), affine_equivariant=True),
        Case(
            "ivl-controls",
            lambda: causalinv.IVLikeRegression(0.5),
            ("instruments", "controls"),
            output_metadata=("controls",),
            affine_equivariant=True,
        ),
    ),
    causalinv.IVLikeBoosting: Entry(
        [adapters.AugmentedBoosting()],
        Case(
            "ivl-boosting",
            lambda: causalinv.IVLikeBoosting(augmentation=Translation(_OFFSET), n_estimators=5, random_state=0),
            random=True,
        ),
    ),
    causalinv.IVLikeRegressionCV: Entry(
        [adapters.AugmentedIVLCV()],
        Case(
            "ivl-cv",
            lambda: causalinv.IVLikeRegressionCV(augmentation=Translation(_OFFSET), random_state=0),
            tuned=("shift_size", [2.0, 3.0]),
            random=True,
        ),
    ),
    causalinv.HierarchicalConformalRegressor: Entry(
        [adapters.SplitConformal(), adapters.LeftOutConformal()],
        Case(
            "conformal-split",
            lambda: causalinv.HierarchicalConformalRegressor(random_state=0),
            ("environments",),
            random=True,
            linear=False,
            tuned=("calibration_share", [0.3, 0.6]),
        ),
        Case(
            "conformal-left-out",
            lambda: causalinv.HierarchicalConformalRegressor(method="leave_one_environment_out"),
            ("environments",),
            linear=False,
            tuned=("calibration_share", [0.3, 0.6]),
        ),
    ),
    causalinv.InvariantCausalPrediction: Entry(
        [adapters.SplitICP(max_size=2)],
        Case("icp", causalinv.InvariantCausalPrediction, ("environments",), tuned=("level", [0.01, 0.05])),
    ),
    causalinv.InvariantSubsetSelector: Entry(
        [adapters.SplitSelector()],
        Case(
            "selector",
            causalinv.InvariantSubsetSelector,
            ("environments",),
            ("predict", "transform"),
            tuned=("level", [0.01, 0.5]),
        ),
        Case(
            "selector-greedy",
            lambda: causalinv.InvariantSubsetSelector(search="greedy", averaging=True, random_state=0),
            ("environments",),
            tuned=("min_size", [0, 2]),
        ),
    ),
    causalinv.InvariantRepresentation: Entry(
        [adapters.SplitRepresentation(), adapters.ManifoldRepresentation()],
        Case(
            "neutral",
            causalinv.InvariantRepresentation,
            ("environments",),
            ("predict", "transform"),
            affine_equivariant=True,
            tuned=("n_directions", [0, 1]),
        ),
        Case(
            "manifold",
            lambda: causalinv.InvariantRepresentation(2, method="manifold", random_state=0, n_init=1),
            ("environments",),
            tuned=("n_components", [1, 2]),
            rtol=1e-5,
        ),
    ),
    causalinv.LinearInvarianceEncoder: Entry(
        [adapters.EncoderByFirst(), adapters.EncoderByFirst(method="auto")],
        Case(
            "linear-invariance",
            lambda: causalinv.LinearInvarianceEncoder(n_landmarks=20, random_state=3),
            ("action",),
            outputs=("transform",),
            needs_y=False,
            random=True,
        ),
    ),
    causalinv.Rep4ExRegressor: Entry(
        [adapters.Rep4ExByFirst(), adapters.Rep4ExIdentity()],
        Case(
            "rep4ex",
            lambda: causalinv.Rep4ExRegressor(PCA(1), random_state=3),
            ("action",),
            output_metadata=("action",),
            random=True,
            tuned=("calibration", [0.0, 3.0]),
        ),
    ),
    # Without torch its fit can only raise, which tests/extrapolation checks.
    causalinv.AutoencoderMMREncoder: Entry(
        [adapters.AutoencoderByFirst()],
        Case(
            "autoencoder",
            lambda: causalinv.AutoencoderMMREncoder(n_steps=5, hidden=(8,), random_state=3),
            ("action",),
            outputs=("transform",),
            needs_y=False,
            random=True,
        ),
    )
    if _HAS_TORCH
    else Entry([]),
    causalinv.InvariantProjection: Entry(
        [adapters.ProjectionAlongFirst()],
        Case(
            "invariant-projection",
            lambda: causalinv.InvariantProjection(Translation(_OFFSET)),
            outputs=("transform",),
            needs_y=False,
        ),
    ),
    causalinv.FrameAveragingRegressor: Entry(
        [adapters.FlippedRegressor()],
        Case(
            "frame-averaging",
            lambda: causalinv.FrameAveragingRegressor(Ridge(), symmetry=SignFlip([0])),
            tuned=("estimator__alpha", [0.1, 10.0]),
        ),
    ),
    causalinv.FrameAveragingClassifier: Entry([adapters.FlippedClassifier()]),
    ImageMoments: Entry(
        [adapters.RowMoments()],
        Case(
            "image-moments",
            lambda: ImageMoments((2, 2), radius=1.5, normalize=False),
            outputs=("transform",),
            needs_y=False,
        ),
    ),
    causalinv.SoftInvariantRegressor: Entry(
        [adapters.SoftFlips()],
        Case(
            "soft-invariance",
            lambda: causalinv.SoftInvariantRegressor({"first": SignFlip([0])}, length_scale=3.0),
            rtol=1e-4,  # the ascent stops at a tolerance of its own
            tuned=("length_scale", [1.0, 4.0]),
        ),
    ),
    causalinv.SymmetryScreen: Entry(
        [adapters.ScreenedFlips()],
        Case(
            "symmetry-screen",
            lambda: causalinv.SymmetryScreen(
                {"first": SignFlip([0])}, estimator=Ridge(), n_resamples=39, random_state=0
            ),
            random=True,
            tuned=("level", [0.01, 0.2]),
        ),
    ),
    InvariantCoordinates: Entry(
        [adapters.FlippedCoordinates()],
        Case(
            "invariant-coordinates",
            lambda: InvariantCoordinates(EuclideanGroup(2)),
            outputs=("transform",),
            needs_y=False,
        ),
    ),
    causalinv.ManskiBounds: Entry(
        [adapters.SplitManski(outcome_support=_WIDE, outcome=_SMALL, random_state=0)],
        _bounds_case(adapters.PredictingManski, outcome_support=_WIDE, outcome=_SMALL),
    ),
    causalinv.SensitivityBounds: Entry(
        [adapters.SplitSensitivity(law="knn", cv=2, random_state=0)],
        _bounds_case(adapters.PredictingSensitivity, law="knn", cv=2),
    ),
    causalinv.FDivergenceBounds: Entry(
        [adapters.SplitFDivergence(outcome_support=_WIDE, law="kernel", cv=2, random_state=0)],
        _bounds_case(adapters.PredictingFDivergence, outcome_support=_WIDE, law=_SMALL, cv=2),
    ),
    causalinv.QuantileBounds: Entry(
        [adapters.SplitQuantile(law="knn", cv=2, random_state=0)],
        _bounds_case(adapters.PredictingQuantile, law="kernel", cv=2),
    ),
    causalinv.RelativeRepresentation: Entry(
        [causalinv.RelativeRepresentation(n_anchors=5, random_state=0)],
        Case(
            "relative",
            lambda: causalinv.RelativeRepresentation(n_anchors=6, random_state=3),
            outputs=("transform",),
            needs_y=False,
            random=True,
            linear=False,
        ),
    ),
    causalinv.OrthogonalAlignment: Entry(
        [
            causalinv.OrthogonalAlignment(),
            causalinv.OrthogonalAlignment(0.5),
            causalinv.OrthogonalAlignment(float("inf")),
        ],
        Case(
            "alignment",
            lambda: causalinv.OrthogonalAlignment(0.5),
            linear=False,
            tuned=("max_distortion", [0.0, 0.1, 1.0]),
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
    """Those that a room or the package offers; the bases that they share are not."""
    offered = set()
    for module in pkgutil.walk_packages(causalinv.__path__, "causalinv."):
        if "._" not in module.name:
            loaded = importlib.import_module(module.name)
            offered |= {getattr(loaded, name) for name in getattr(loaded, "__all__", ())}
    return {cls for cls in public_classes() & offered if issubclass(cls, BaseEstimator) and hasattr(cls, "fit")}
