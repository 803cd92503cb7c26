"""Estimators, the numbers that they report, and small data of many kinds: what the metamorphic contract runs on.

A subject is one way of using an estimator with d features. `numbers` collects *everything* it reports: predictions,
coefficients, standard errors, intervals, p-values, bounds. Learners inside are deterministic: relations are exact.
"""

import warnings
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from sklearn.decomposition import PCA
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.tree import DecisionTreeRegressor

from causalinv import (
    FDivergenceBounds,
    FrameAveragingRegressor,
    FunctionAugmentation,
    HierarchicalConformalRegressor,
    InvariantCausalPrediction,
    InvariantProjection,
    InvariantRepresentation,
    InvariantSubsetSelector,
    IVLikeBoosting,
    IVLikeRegression,
    IVLikeRegressionCV,
    LinearInvarianceEncoder,
    ManskiBounds,
    QuantileBounds,
    Rep4ExRegressor,
    SensitivityBounds,
    Translation,
)
from causalinv.representation import OrthogonalAlignment, RelativeRepresentation
from causalinv.symmetry import ImageMoments, InvariantCoordinates, SoftInvariantRegressor, SymmetryScreen
from causalinv.transformations import SignFlip

_REPORTED = (
    "coef_",
    "controls_coef_",
    "intercept_",
    "alpha_",
    "gaps_",
    "gap_",
    "risk_env_",
    "worst_risk_",
    "pvalues_",
    "conf_int_",
)
METADATA = (
    "instruments",
    "more_instruments",
    "controls",
    "augmentation_parameters",
    "groups",
    "environments",
    "treatment",
    "action",
    "sample_weight",
)


@dataclass(frozen=True)
class Subject:
    """One way of using an estimator.

    `make(d)` builds it for d features, of which only the first three are moved by what is declared. Metadata are named
    as in `fit`, or ``"instruments=more_instruments"``.
    """

    name: str
    make: Callable[[int], Any]
    metadata: tuple[str, ...] = ()
    weighted: bool = True
    unequal_weights: bool = True  # takes weights that differ (tests of invariance refuse them)
    linear: bool = True  # linear in X: repeated columns change nothing, units follow
    drawn: bool = False  # copies are drawn row by row, so another order or number of rows is another draw
    unit_free: bool = True  # features in another unit, all alike, are the same features
    origin_free: bool = True  # and so are features counted from another origin
    rtol: float = 1e-6
    report: Callable[[Any, dict[str, Any]], dict[str, Any]] = field(default=lambda fitted, data: {})
    #: relations that cannot hold, each with its reason
    exceptions: dict[str, str] = field(default_factory=dict)

    def fit(self, data: dict[str, Any]) -> Any:
        d = np.shape(data["X"])[1]
        names = (entry.partition("=") for entry in self.metadata)
        given = {name: data[key or name] for name, _, key in names}
        if self.weighted and data.get("sample_weight") is not None:
            given["sample_weight"] = data["sample_weight"]
        return self.make(d).fit(data["X"], data["y"], **given)

    def numbers(self, data: dict[str, Any]) -> dict[str, Any]:
        """Everything the fit reports, with predictions at `data["new"]`."""
        fitted = self.fit(data)
        out = {}
        for name in _REPORTED:
            if hasattr(fitted, name):
                out[name] = np.asarray(getattr(fitted, name), dtype=float)
        new = data.get("new", data["X"])
        if hasattr(fitted, "predict") and "action" not in self.metadata:
            known = {"controls": data["new_controls"]} if "controls" in self.metadata else {}
            out["predict"] = np.asarray(fitted.predict(new, **known))
        return out | self.report(fitted, data)


def _brighten(X, rng):
    G = rng.normal(size=(len(X), 1))
    out = X.copy()
    out[:, :3] += 0.3 * G
    return out, G


def _move(d):
    return Translation(np.eye(1, d) + 0.5 * np.eye(1, d, 1))


def _intervals(fitted, data):
    known = {"controls": data["new_controls"]} if hasattr(fitted, "controls_coef_") else {}
    return {
        "confint": fitted.confint().to_numpy(dtype=float),
        "errors": np.sqrt(np.diag(fitted.covariance())),
        "predict_confint": fitted.predict_confint(data["new"], **known)[["lower", "upper"]].to_numpy(dtype=float),
    }


def _invariance(fitted, data):
    found = {"invariance_pvalue": fitted.ols_invariance_test().pvalue}
    if fitted.alpha_ == 0:
        found["sensitivity"] = fitted.sensitivity(0.1)[["lower", "upper"]].to_numpy(dtype=float)
        found["robustness"] = fitted.sensitivity(0.1)[["partial_r2", "robustness_value"]].to_numpy(dtype=float)
    return found | _intervals(fitted, data)


def _instruments(*kinds):
    asked = [("ar", how) for how in kinds] + [(test, how) for how in kinds[1:] for test in ("lm", "clr")]

    def report(fitted, data):
        tests = [getattr(fitted, f"{name}_test") for name in ("overidentification", "endogeneity")]
        sets = {
            f"set of {test}, {how}": fitted.weak_instrument_set(0, test=test, cov_type=how).to_frame()
            for test, how in asked
        }
        return {
            "test_pvalues": [test(cov_type=how).pvalue for test in tests for how in kinds],
            "strength": [*fitted.first_stage_f_, fitted.effective_f_],
            **{name: frame.to_numpy(dtype=float) for name, frame in sets.items()},
            **_intervals(fitted, data),
        }

    return report


def _neutral(fitted, data):
    rows = {key: data[key] for key in ("y", "environments")}
    found = {}
    for kind in ("wald", "anderson_rubin"):
        table = fitted.inference(data["X"], **rows, kind=kind).table
        found[f"{kind} pvalues"] = table["pvalue"].to_numpy(dtype=float)
        found[f"{kind} slopes"] = table[["estimate", "std_error", "lower", "upper"]].to_numpy(dtype=float)
    return found


def _averages(estimand, **question):
    def report(fitted, data):
        found = fitted.average_bounds(estimand, **question)
        columns = ["lower", "upper", "se_lower", "se_upper", "ci_lower", "ci_upper"]
        return {"bounds": found.to_frame()[columns].to_numpy(dtype=float)} | _pointwise(fitted, data, question)

    return report


def _pointwise(fitted, data, question):
    asked = {key: value for key, value in question.items() if key == "odds_ratio"}
    found = fitted.predict_bounds(data.get("new", data["X"]), arm=_first_arm(data), **asked)
    return {"pointwise": np.column_stack([found.lower, found.upper])}


def _first_arm(data):
    labels = data["treatment"]
    return sorted(set(labels.tolist() if hasattr(labels, "tolist") else list(labels)))[-1]


def _ask_ate(fitted, data, **question):
    arms = sorted(set(list(data["treatment"])))
    found = fitted.average_bounds("ate", arm=arms[-1], control=arms[0], **question)
    columns = ["lower", "upper", "se_lower", "se_upper", "ci_lower", "ci_upper"]
    return {"bounds": found.to_frame()[columns].to_numpy(dtype=float)} | _pointwise(fitted, data, question)


def _quantiles(fitted, data):
    arms = sorted(set(list(data["treatment"])))
    columns = ["lower", "upper", "ci_lower", "ci_upper"]
    found = fitted.effect_bounds(arm=arms[-1], control=arms[0], odds_ratio=1.5)
    return {"effects": found.to_frame()[columns].to_numpy(dtype=float)} | _pointwise(fitted, data, {})


def _treated(fitted, data):
    arms = sorted(set(list(data["treatment"])))
    asked = {"arm": arms[-1], "control": arms[0]}
    columns = ["lower", "upper", "se_lower", "se_upper", "ci_lower", "ci_upper"]
    att = fitted.average_bounds("att", odds_ratio=2.0, **asked).to_frame()[columns]
    return {"att": att.to_numpy(dtype=float), "breakdown": fitted.breakdown(estimand="ate", **asked).to_numpy(float)}


def _sets(fitted, data):
    found = {"n_accepted": len(fitted.accepted_sets_)}
    if "pvalue" in fitted.sets_:
        found["set_pvalues"] = np.sort(fitted.sets_["pvalue"].to_numpy(dtype=float))
    return found


def _transformed(fitted, data):
    return {"transform": fitted.transform(data["new"])}


def _icp(name, **params):
    def make(d):
        return InvariantCausalPrediction(**params)

    not_needed = {"duplicate": "a cause that another column repeats is no longer in every accepted set"}
    return Subject(name, make, ("environments",), weighted=False, report=_sets, exceptions=not_needed)


_SUPPORT = (-60.0, 60.0)
_LOGIT = make_pipeline(StandardScaler(), LogisticRegression())

SUBJECTS = [
    Subject(
        "ivl-translation",
        lambda d: IVLikeRegression(0.5, augmentation=_move(d)),
        report=_invariance,
        unit_free=False,  # a step is so many of the old units
    ),
    Subject("ivl-translation-0", lambda d: IVLikeRegression(0, augmentation=_move(d)), report=_invariance),
    Subject(
        "ivl-clustered",
        lambda d: IVLikeRegression(0, augmentation=_move(d)),
        ("groups",),
        report=_invariance,
    ),
    Subject(
        "ivl-function",
        lambda d: IVLikeRegression(0.5, augmentation=FunctionAugmentation(_brighten), random_state=3),
        drawn=True,
        unit_free=False,
        report=_invariance,
    ),
    Subject(
        "ivl-sampled",
        lambda d: IVLikeRegression(
            0.5, augmentation=FunctionAugmentation(_brighten), integration="sampled", random_state=3
        ),
        drawn=True,
        unit_free=False,
        report=_invariance,
    ),
    Subject("ivl-instruments", lambda d: IVLikeRegression(0.5), ("instruments",), report=_intervals),
    Subject("ivl-controls", lambda d: IVLikeRegression(0.5), ("instruments", "controls", "groups"), report=_intervals),
    Subject("two-stage", lambda d: IVLikeRegression(0), ("instruments",), report=_intervals),
    Subject(
        "one-endogenous",
        lambda d: IVLikeRegression(0),
        ("instruments=more_instruments",),
        report=_instruments("robust", "classical"),
    ),
    Subject(
        "liml-clustered",
        lambda d: IVLikeRegression("liml"),
        ("instruments=more_instruments", "groups"),
        report=_instruments("robust"),
    ),
    Subject("anchor-clustered", lambda d: IVLikeRegression(3.0), ("instruments", "groups"), report=_intervals),
    Subject("ivl-copies", lambda d: IVLikeRegression(0.5), ("augmentation_parameters", "groups"), report=_intervals),
    Subject("ivl-cv", lambda d: IVLikeRegressionCV(augmentation=_move(d), random_state=0), drawn=True, unit_free=False),
    Subject(
        "ivl-boosting",
        lambda d: IVLikeBoosting(
            augmentation=_move(d),
            estimator=DecisionTreeRegressor(max_depth=2, random_state=0),
            n_estimators=3,
            random_state=0,
        ),
        weighted=False,
        linear=False,
        drawn=True,
        unit_free=False,
    ),
    Subject(
        "projection",
        lambda d: InvariantProjection(_move(d)),
        weighted=False,
        origin_free=False,  # it gives the rows themselves, projected
        report=lambda m, data: {
            "transform": np.asarray(m.transform(data["X"])),
        },
        exceptions=dict.fromkeys(("duplicate", "constant", "almost constant"), "it reads only means"),
    ),
    _icp("icp", test="residual"),
    _icp("icp-default"),
    _icp("icp-chow", test="chow"),
    Subject("selector", lambda d: InvariantSubsetSelector(), ("environments",), unequal_weights=False),
    Subject("selector-eps", lambda d: InvariantSubsetSelector(eps=0.3), ("environments",), unequal_weights=False),
    Subject(
        "selector-robust",
        lambda d: InvariantSubsetSelector(test="chow_hc"),
        ("environments",),
        unequal_weights=False,
    ),
    Subject("neutral", lambda d: InvariantRepresentation(), ("environments",)),
    Subject(
        "neutral-inference",
        lambda d: InvariantRepresentation(),
        ("environments",),
        rtol=0.02,  # a search by BFGS, in a flat valley where little is identified
        weighted=False,
        report=_neutral,
    ),
    Subject(
        "conformal",
        lambda d: HierarchicalConformalRegressor(LinearRegression(), method="leave_one_environment_out"),
        ("environments",),
        weighted=False,
        linear=False,
        report=lambda m, data: {"interval": m.predict_interval(data["new"], 0.5).to_numpy(dtype=float)},
    ),
    Subject(
        "manifold",
        lambda d: InvariantRepresentation(2, method="manifold", random_state=0, n_init=1),
        ("environments",),
        rtol=1e-3,
        exceptions={"duplicate": "the descent starts from a random representation of all columns"},
    ),
    Subject(
        "linear-invariance",
        lambda d: LinearInvarianceEncoder(n_landmarks=20, random_state=3),
        ("action",),
        weighted=False,
        linear=False,
        drawn=True,
        report=lambda m, data: {"transform": m.transform(data["X"])},
    ),
    Subject(
        "rep4ex",
        lambda d: Rep4ExRegressor(PCA(1, svd_solver="full"), random_state=3),
        ("action",),
        weighted=False,
        linear=False,
        drawn=True,
        report=lambda m, data: {"do": m.predict_do(np.zeros((1, 2)), on_unsupported="ignore")},
    ),
    Subject(
        "frame-averaging",
        lambda d: FrameAveragingRegressor(DecisionTreeRegressor(max_depth=3, random_state=0), symmetry=SignFlip([0])),
        unit_free=False,  # scikit-learn's trees take features that differ by less than 1e-7 for equal
        origin_free=False,  # mirrored about 0
        linear=False,
    ),
    Subject(
        "soft symmetry",
        lambda d: SoftInvariantRegressor({"flip": SignFlip([0])}, length_scale=2.0),
        weighted=False,
        origin_free=False,  # mirrored about 0
        unit_free=False,  # its length scale was given
        linear=False,
        rtol=1e-3,  # a search by L-BFGS
        exceptions={"duplicate": "distances count both columns"},
        report=lambda m, data: {"broken and whole": np.r_[m.broken_share_, 1.0]},  # a share of 1e-15 is none
    ),
    Subject(
        "symmetry screen",
        lambda d: SymmetryScreen(
            {"flip": SignFlip([0])},
            estimator=DecisionTreeRegressor(max_depth=3, random_state=0),
            n_resamples=19,
            random_state=3,
        ),
        weighted=False,
        origin_free=False,  # mirrored about 0
        linear=False,
        drawn=True,
        unit_free=False,  # a tree again
        exceptions={
            "duplicate": "distances count both columns",
            **dict.fromkeys(("constant", "almost constant"), "a tree of yours breaks ties by the number of columns"),
        },
        report=lambda m, data: {"table": m.table_},
    ),
    Subject(
        "image moments",
        lambda d: ImageMoments((1, d), degree=3, normalize=False),
        weighted=False,
        origin_free=False,
        linear=False,
        exceptions=dict.fromkeys(("duplicate", "constant", "almost constant"), "another column is another image"),
        report=_transformed,
    ),
    Subject(
        "invariant coordinates",
        lambda d: InvariantCoordinates(SignFlip([0])),
        weighted=False,
        origin_free=False,  # mirrored about 0
        linear=False,
        exceptions=dict.fromkeys(("duplicate", "constant", "almost constant"), "coordinates are as many as columns"),
        report=_transformed,
    ),
    Subject(
        "alignment",
        lambda d: OrthogonalAlignment(0.5),
        weighted=False,
        unit_free=False,  # how far a map is from orthogonal depends on the units
        linear=False,
        exceptions={"duplicate": "how far the map is from orthogonal counts both columns"},
    ),
    Subject(
        "relative",
        lambda d: RelativeRepresentation(n_anchors=6, random_state=3),
        weighted=False,
        linear=False,
        drawn=True,
        report=_transformed,
    ),
    Subject(
        "manski",
        lambda d: ManskiBounds(outcome_support=_SUPPORT, outcome=LinearRegression(), random_state=0),
        ("treatment",),
        linear=False,
        report=_ask_ate,
    ),
    Subject(
        "sensitivity-knn",
        lambda d: SensitivityBounds(outcome_support=_SUPPORT, law="knn", cv=2, random_state=0),
        ("treatment",),
        linear=False,
        report=lambda m, data: _ask_ate(m, data, odds_ratio=2.0),
    ),
    Subject(
        "sensitivity-kernel",
        lambda d: SensitivityBounds(outcome_support=_SUPPORT, law="kernel", cv=2, random_state=0),
        ("treatment", "groups"),
        linear=False,
        report=lambda m, data: _ask_ate(m, data, odds_ratio=2.0) | _treated(m, data),
    ),
    Subject(
        "f-divergence",
        lambda d: FDivergenceBounds(outcome_support=_SUPPORT, law="kernel", cv=2, random_state=0),
        ("treatment",),
        linear=False,
        report=_ask_ate,
    ),
    Subject(
        "quantile",
        lambda d: QuantileBounds(law="kernel", cv=2, random_state=0),
        ("treatment",),
        linear=False,
        report=_quantiles,
    ),
]


def base(n=90, d=4, seed=0):
    rng = np.random.default_rng(seed)
    e = np.arange(n) % 3
    Z = rng.normal(size=(n, 2)) + np.array([0.0, 1.0, -1.0])[e][:, None]
    C = rng.normal(size=n)
    X = rng.normal(size=(n, d)) + 0.5 * C[:, None]
    X[:, :2] += Z
    y = X @ np.linspace(1.0, 2.0, d) + C + 0.5 * rng.normal(size=n)
    return {
        "X": X,
        "y": y,
        "instruments": Z,
        "controls": np.random.default_rng(seed + 1000).normal(size=(n, 2)) + Z,
        "augmentation_parameters": Z,
        "action": Z,
        "environments": e,
        "groups": np.arange(n) // 3,
        "treatment": (X[:, 2] + rng.normal(size=n) > 0).astype(int),
        "sample_weight": None,
        "new": X[:20] + 0.1,
        "new_controls": np.ones((20, 2)),
    }


def _binary(data):
    return data | {"y": (data["y"] > np.median(data["y"])).astype(float)}


def _tied(data):
    return data | {"y": np.round(data["y"] / 3.0)}


def _correlated(data):
    X = data["X"].copy()
    X[:, 3] = X[:, 0] + 0.05 * X[:, 3]
    return data | {"X": X, "new": X[:20] + 0.1}


def _integers(data):
    X = np.round(3 * data["X"]).astype(int)
    return data | {"X": X, "new": X[:20] + 1}


def _narrow(data):
    X = data["X"].astype(np.float32)
    return data | {"X": X, "new": X[:20] + np.float32(0.5)}


def _fortran(data):
    return data | {"X": np.asfortranarray(data["X"])}


def _read_only(data):
    out = {key: value if value is None else np.array(value) for key, value in data.items()}
    for value in out.values():
        if value is not None:
            value.flags.writeable = False
    return out


def _near_singular(data):
    X = data["X"].copy()
    X[:, 3] = X[:, 0] + X[:, 1] + 1e-4 * X[:, 3]
    return data | {"X": X, "new": X[:20]}


def _badly_scaled(data):
    scale = np.array([1.0, 1e-8, 1.0, 1e8])
    return data | {"X": data["X"] * scale + np.array([0.0, 0.0, 1e4, 0.0]), "new": data["new"] * scale}


def _skewed(data):
    return data | {"y": np.exp(data["y"] / 3.0)}


KINDS = {
    "continuous": lambda data: data,
    "binary outcome": _binary,
    "tied outcome": _tied,
    "skewed outcome": _skewed,
    "correlated": _correlated,
    "integers": _integers,
    "float32": _narrow,
    "fortran": _fortran,
    "read only": _read_only,
    "near singular": _near_singular,
    "badly scaled": _badly_scaled,
}


def of_kind(kind):
    """Small data of a kind, with instruments by which all features but the first are exogenous."""
    data = KINDS[kind](base())
    return data | {"more_instruments": np.column_stack([data["instruments"], data["X"][:, 1:]])}


def quietly(function, *args):
    """Call, and return what it gave (or the exception that it raised) with the categories that it warned of."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            result = function(*args)
        except (ValueError, TypeError) as error:
            result = error
    return result, [each.category for each in caught]
