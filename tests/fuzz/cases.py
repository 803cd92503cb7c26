"""Random calls of public doors with ordinary, odd and wrong input; one seed is one case.

A case draws data (how many rows, which oddities), a door, parameters of which some are odd, and calls the door. What
may happen: an answer, or an error of ours that names what is wrong. `run` says what else happened.
"""

import traceback
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
from sklearn.dummy import DummyClassifier
from sklearn.exceptions import ConvergenceWarning, NotFittedError
from sklearn.linear_model import LinearRegression
from sklearn.tree import DecisionTreeRegressor

import causalinv
from causalinv import (
    FDivergenceBounds,
    FunctionAugmentation,
    GaussianNoise,
    InvariantCausalPrediction,
    InvariantRepresentation,
    InvariantSubsetSelector,
    IVLikeBoosting,
    IVLikeRegression,
    IVLikeRegressionCV,
    LinearSEM,
    ManskiBounds,
    Moments,
    QuantileBounds,
    SensitivityBounds,
    Translation,
    bounds,
    metrics,
    sem,
)

OURS = Path(causalinv.__file__).parent
_ERRORS = (ValueError, TypeError, NotFittedError, ImportError)


# -- data ----------------------------------------------------------------------------------------------------------


def data(rng):
    """Rows with metadata; about half of the cases have something odd in them."""
    n, d = int(rng.integers(1, 61)), int(rng.integers(1, 5))
    X = rng.normal(size=(n, d))
    Z = X[:, :1] + rng.normal(size=(n, int(rng.integers(1, 3))))
    y = X @ rng.normal(size=d) + rng.normal(size=n)
    out = {
        "X": X,
        "y": y,
        "Z": Z,
        "e": rng.integers(0, 3, n),
        "g": rng.integers(0, max(n // 3, 1), n),
        "t": rng.integers(0, 2, n),
        "w": None if rng.random() < 0.5 else rng.random(n),
    }
    for at in sorted(rng.choice(len(_ODD), int(rng.integers(0, 3)), replace=False).tolist()):
        _ODD[at](out, rng)  # what changes the container comes last
    return out


def _constant(out, rng):
    out["X"][:, 0] = rng.choice([0.0, 7.0, 1e9])


def _almost_constant(out, rng):
    out["X"][:, -1] = np.where(rng.random(len(out["X"])) < 0.5, 0.3, 0.1 + 0.2)


def _repeated(out, rng):
    out["X"] = np.column_stack([out["X"], out["X"][:, 0] * rng.choice([1.0, -2.0, 1e6])])


def _scaled(out, rng):
    key = rng.choice(["X", "y", "Z"])
    out[key] = out[key] * 10.0 ** float(rng.integers(-300, 300))


def _one_large(out, rng):
    out["X"][0, 0] = rng.choice([1e20, 1e155, -1e200, 1e308])


def _offset(out, rng):
    out[str(rng.choice(["X", "y"]))] += rng.choice([1e6, 1.7e9, -1e12])


def _missing(out, rng):
    key = str(rng.choice(["X", "y", "Z"]))
    out[key] = out[key].copy()
    out[key].flat[:1] = rng.choice([np.nan, np.inf])


def _one_label(out, rng):
    out[str(rng.choice(["e", "g", "t"]))] = np.zeros(len(out["y"]), int)


def _pairs(out, rng):
    key = str(rng.choice(["e", "g"]))
    out[key] = [("a", int(k)) for k in out[key]]


def _missing_label(out, rng):
    key = str(rng.choice(["e", "g", "t"]))
    out[key] = [None, *list(out[key])[1:]]


def _zero_weights(out, rng):
    out["w"] = np.where(rng.random(len(out["y"])) < rng.choice([0.3, 1.0]), 0.0, 1.0)


def _odd_weights(out, rng):
    n = len(out["y"])
    out["w"] = [np.full(n, 1e308), -np.ones(n), np.full(n, 1e-300), np.ones(n + 1), np.full(n, np.nan)][rng.integers(5)]


def _text(out, rng):
    out["X"] = out["X"].astype(str)


def _masked(out, rng):
    out["y"] = np.ma.masked_array(out["y"], mask=np.arange(len(out["y"])) == 0)


def _complex(out, rng):
    out["X"] = out["X"] + 0j


def _no_column(out, rng):
    out[str(rng.choice(["X", "Z"]))] = np.empty((len(out["y"]), 0))


def _ties(out, rng):
    out["y"] = np.round(out["y"])


def _binary(out, rng):
    out["y"] = (out["y"] > 0).astype(float)


def _flat_outcome(out, rng):
    out["y"] = np.full(len(out["y"]), float(rng.choice([0.0, 1.0, 5.5])))


def _frame(out, rng):
    index = rng.permutation(len(out["y"]))
    out["X"] = pd.DataFrame(out["X"], columns=[f"f$_{i}" for i in range(np.shape(out["X"])[1])], index=index)
    out["y"] = pd.Series(np.asarray(out["y"]), index=index)


_ODD = [
    _constant, _almost_constant, _repeated, _scaled, _one_large, _offset, _missing, _one_label, _pairs, _missing_label,
    _zero_weights, _odd_weights, _ties, _binary, _flat_outcome, _complex, _text, _masked, _no_column, _frame,
]  # fmt: skip


def odd(rng, *usual):
    """One of the usual values, or now and then something else."""
    if rng.random() < 0.85:
        return usual[int(rng.integers(len(usual)))]
    strange = [None, -1, 0, 0.0, 1e-15, 1e300, np.inf, np.nan, "x", [], (1, 2), True, np.int64(2), 2.5]
    return strange[int(rng.integers(len(strange)))]


# -- doors: each returns numbers with limits they must keep ------------------------------------------------------------


def _given(out, **names):
    return {name: out[key] for name, key in names.items() if key != "w" or out["w"] is not None}


def _brighten(X, rng):
    G = rng.normal(size=(len(X), 1))
    return X + 0.3 * G, G


def regression(out, rng):
    d = np.shape(out["X"])[1]
    augmentation = [
        None,
        Translation(np.ones((1, d)) * 10.0 ** float(rng.integers(-3, 3))) if d else None,
        GaussianNoise(abs(float(rng.normal()))),
        FunctionAugmentation(_brighten, outcome_invariant=bool(rng.random() < 0.5)),
    ][rng.integers(4)]
    metadata = _given(out, sample_weight="w") | ({"instruments": out["Z"]} if augmentation is None else {})
    if rng.random() < 0.3:
        metadata["groups"] = out["g"]
    kind = [IVLikeRegression, IVLikeRegressionCV, IVLikeBoosting][int(rng.choice(3, p=[0.8, 0.1, 0.1]))]
    params = {"augmentation": augmentation, "random_state": 0}
    if kind is IVLikeRegression:
        params |= {"alpha": odd(rng, 0, 0.1, 1.0, np.inf, "auto"), "ridge": odd(rng, 0.0, 0.0, 0.1)}
    if kind is IVLikeBoosting:
        params |= {"n_estimators": 2, "estimator": DecisionTreeRegressor(max_depth=1)}
        metadata.pop("sample_weight", None)
        metadata.pop("groups", None)
    model = kind(**params).fit(out["X"], out["y"], **metadata)
    numbers = {"predict": model.predict(out["X"])}
    if kind is IVLikeRegression:
        numbers["coef"] = model.coef_
        str(model.summary())
        model.alpha_path([0.1, 1.0])
        model.confint(confidence_level=odd(rng, 0.95, 0.5))
    return numbers, None


def invariance(out, rng):
    metadata = _given(out, environments="e")
    which = int(rng.integers(3))
    if which == 0:
        model = InvariantCausalPrediction(level=odd(rng, 0.05, 0.2), test=odd(rng, "residual", "chow"))
    elif which == 1:
        model = InvariantSubsetSelector(
            eps=odd(rng, None, 0.2), max_size=odd(rng, None, 1, 2), search=odd(rng, "auto", "greedy", "exhaustive")
        )
        metadata |= _given(out, sample_weight="w")
    else:
        model = InvariantRepresentation(odd(rng, None, 1), random_state=0)
        metadata |= _given(out, sample_weight="w")
    model.fit(out["X"], out["y"], **metadata)
    return {"predict": model.predict(out["X"])}, None


def bounded(out, rng):
    support = [(-9.0, 9.0), (0.0, 1.0), "observed", None, (-1e160, 1e160)][rng.integers(5)]
    kind = [ManskiBounds, SensitivityBounds, FDivergenceBounds, QuantileBounds][rng.integers(4)]
    params = {"random_state": 0}
    question = {}
    if kind is not QuantileBounds:
        params["outcome_support"] = support
    if kind is ManskiBounds:
        params["outcome"] = LinearRegression()
    else:
        params |= {"cv": 2, "propensity": None if rng.random() < 0.7 else DummyClassifier()}
        params["law"] = str(rng.choice(["kernel", "knn", "marginal"]))
    if kind is SensitivityBounds:
        question["odds_ratio"] = odd(rng, 1.0, 2.0, 10.0, 1e12)
    model = kind(**params).fit(out["X"], out["y"], **_given(out, treatment="t", sample_weight="w"))
    found = model.predict_bounds(out["X"], arm=1, **question)
    limits = support if isinstance(support, tuple) and kind is not QuantileBounds else None
    stem = "quantile_" if kind is QuantileBounds else ""  # whose ends are infinite where the other arm is too likely
    ends = {f"{stem}lower": found.lower, f"{stem}upper": found.upper}
    if kind is not QuantileBounds:
        average = model.average_bounds("mean", arm=1, confidence_level=odd(rng, 0.95, 0.5), **question)
        ends |= {"average_lower": average.lower, "average_upper": average.upper}
        str(average)
    return ends, limits


def functions(out, rng):
    values, e = np.asarray(out["y"]), odd(rng, 0.3, 0.5, 1.0)
    which = int(rng.integers(6))
    if which == 0:
        return dict(zip("lu", bounds.manski_bounds(out["y"], e, support=(-9.0, 9.0)), strict=True)), (-9.0, 9.0)
    if which == 1:
        name = odd(rng, "chi2", "kl", "hellinger", "js", "tv")
        return dict(zip("lu", bounds.f_ball_bounds(out["y"], e, support=(-9.0, 9.0), divergence=name), strict=True)), (
            -9.0,
            9.0,
        )
    if which == 2:
        return {"risk": metrics.worst_environment_risk(out["y"], values[::-1], environments=out["e"])}, None
    if which == 3:
        return {"r2": metrics.affine_r2(out["X"], out["Z"])}, None
    if which == 4:
        moments = Moments.from_rows(x=out["X"], y=out["y"], **_given(out, environments="e", sample_weight="w"))
        str(moments.summary())
        return {"mean": moments.mean("x"), "cov": moments.pool().cov("x")}, None
    k = int(rng.integers(1, 4))
    model = LinearSEM(
        np.tril(rng.normal(size=(k, k)) * 10.0 ** float(rng.integers(-3, 3)), -1), noise=odd(rng, 1.0, 0.5)
    )
    moved = model.intervene(sem.Do(odd(rng, 0, k - 1), odd(rng, 1.0, -2.0)))
    return {"mean": moved.mean(), "sample": moved.sample(odd(rng, 3, 5), random_state=0)}, None


DOORS = [regression, regression, invariance, bounded, bounded, functions]


def _extreme(out):
    for key in ("X", "y", "Z", "w"):
        if out[key] is not None and np.asarray(out[key]).dtype.kind in "fc":
            size = np.abs(np.asarray(out[key]))
            size = size[np.isfinite(size) & (size > 0)]
            if size.size and (size.max() > 1e100 or size.min() < 1e-100):
                return True
    return False


def run(seed):
    """Run one case; returns what is wrong with it, an empty list if nothing."""
    rng = np.random.default_rng(seed)
    before = np.random.get_state()[1].copy()
    wrong = []
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        out, door = data(rng), DOORS[int(rng.integers(len(DOORS)))]
        try:
            numbers, limits = door(out, rng)
        except Exception as error:
            numbers, limits = {}, None
            wrong += _judge_error(error)
    if not np.array_equal(before, np.random.get_state()[1]):
        wrong.append("the global generator was used")
    said = [each for each in caught if issubclass(each.category, UserWarning)]
    foreign = [each for each in caught if not issubclass(each.category, UserWarning | ConvergenceWarning)]
    if not _extreme(out):  # an overflow of numbers beyond 1e100 may be said by numpy
        wrong += [f"{each.category.__name__} escaped: {str(each.message)[:60]}" for each in foreign[:1]]
    for name, value in numbers.items():
        array = np.asarray(value, dtype=float)
        if np.isnan(array).any() and not said:
            wrong.append(f"{name} is NaN and nobody said so")
        if np.isinf(array).any() and not said and not name.startswith("quantile"):
            wrong.append(f"{name} is infinite and nobody said so")
        if limits is not None:
            slack = 1e-9 * max(map(abs, limits))
            if (array < limits[0] - slack).any() or (array > limits[1] + slack).any():
                wrong.append(f"{name} leaves the support {limits}: {array.min()}, {array.max()}")
    return [f"{door.__name__}: {each}" for each in wrong]


def _judge_error(error):
    frame = traceback.extract_tb(error.__traceback__)[-1]
    where = Path(frame.filename)
    ours = OURS in where.parents or "sklearn" in where.parts
    if isinstance(error, _ERRORS) and ours:
        return []
    return [f"{type(error).__name__} from {where.name}:{frame.lineno}: {str(error)[:80]}"]
