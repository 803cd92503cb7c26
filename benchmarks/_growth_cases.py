"""What `growth.py` measures: estimator, axis, sizes, a task of a size, the exponent that its algorithm should have."""

from __future__ import annotations

import joblib
import numpy as np
from sklearn.linear_model import LinearRegression

from causalinv import (
    FDivergenceBounds,
    HierarchicalConformalRegressor,
    InvariantCausalPrediction,
    InvariantRepresentation,
    InvariantSubsetSelector,
    IVLikeRegression,
    IVLikeRegressionCV,
    LinearInvarianceEncoder,
    ManskiBounds,
    Moments,
    QuantileBounds,
    Rep4ExRegressor,
    SensitivityBounds,
    Translation,
)
from causalinv.invariance import PACExperiment
from causalinv.ivlike import InvariantProjection, IVLikeBoosting
from causalinv.representation import OrthogonalAlignment, RelativeRepresentation
from causalinv.sem import InterventionFamily, choose_sites, random_sem
from causalinv.symmetry import FrameAveragingRegressor, InvariantCoordinates, SoftInvariantRegressor, SymmetryScreen
from causalinv.transformations import SignFlip

N = [100_000, 200_000, 400_000]
MEDIUM = [10_000, 20_000, 40_000]
FEW = [2_000, 4_000, 8_000]
MANY = [500, 1_000, 2_000]  # environments
WIDE = [50, 100, 200]  # features
ASKED = [1_000, 2_000, 4_000]
WORKERS = [1, 2, 4]


def rows(n, d=8, environments=3, seed=0):
    rng = np.random.default_rng(seed)
    e = rng.integers(0, environments, n)
    X = rng.normal(size=(n, d)) * (1 + 0.2 * (e % 3))[:, None]
    return X, X[:, 0] - X[:, 1] + rng.normal(size=n), e


def treated(n, d=10, seed=0):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, d))
    t = (rng.random(n) < 1 / (1 + np.exp(-0.5 * X[:, 0]))).astype(int)
    return X, np.clip(X[:, 0] + t + rng.normal(size=n), -4, 4), t


def acted(n, d=3, seed=0):
    """Actions on two latent variables, seen through d columns."""
    rng = np.random.default_rng(seed)
    A = rng.normal(size=(n, 2))
    Z = A + rng.normal(size=(n, 2))
    mixing = np.c_[np.eye(2), np.ones((2, d - 2)) / np.sqrt(np.arange(1, d - 1))]
    return Z @ mixing + 0.1 * rng.normal(size=(n, d)), Z[:, 0] + rng.normal(size=n), A


# -- data as `fit` takes them --------------------------------------------------------------------------------------


def plain(n=4_000, **how):
    X, y, _ = rows(n, **how)
    return (X, y), {}


def features_alone(n=4_000, **how):
    return (rows(n, **how)[0],), {}


def two_sets(n=4_000, **how):
    X = rows(n, **how)[0]
    return (X, X[:, ::-1].copy()), {}


def by_environment(n=4_000, **how):
    X, y, e = rows(n, **how)
    return (X, y), {"environments": e}


def by_treatment(n=2_000, **how):
    X, y, t = treated(n, **how)
    return (X, y), {"treatment": t}


def by_action(n=2_000, **how):
    X, y, A = acted(n, **how)
    return (X, y), {"action": A}


# -- tasks: from a size to work on data made beforehand ------------------------------------------------------------


def fit(make, data=plain, axis="n"):
    def task(size):
        model, (args, metadata) = make(size), data(**_sized(axis, size))
        return lambda: model.fit(*args, **metadata)

    return task


def _sized(axis, size):
    return {"n": 40 * size, "environments": size} if axis == "environments" else {axis: size}


def of_moments(make):
    """`fit_moments` by the number of environments."""

    def task(size):
        X, y, e = rows(40 * size, environments=size)
        moments = Moments.from_rows(x=X, y=y, environments=e)
        return lambda: make().fit_moments(moments)

    return task


def average(model, axis="n", **question):
    def task(size):
        args, metadata = by_treatment(**_sized(axis, size))
        return lambda: model().fit(*args, **metadata).average_bounds("ate", **question)

    return task


def queries(model, data, ask):
    def task(size):
        args, metadata = data()
        fitted = model().fit(*args, **metadata)
        return lambda: ask(fitted, size)

    return task


def new_rows(size):
    return rows(size, seed=1)[0]


def new_treated(size):
    return treated(size, seed=1)[0]


def new_actions(size):
    return np.random.default_rng(1).normal(size=(size, 2))


def in_workers(work):
    """By the number of worker processes, which end with the task, so that their seconds are counted."""

    def task(size):
        def do():
            work(size)
            joblib.externals.loky.get_reusable_executor().shutdown(wait=True)

        return do

    return task


def pac(workers):
    return PACExperiment(
        lambda d, rng: random_sem(d + 1, random_state=rng),
        lambda sem, rng: InterventionFamily(choose_sites(sem, 2, random_state=rng), per_env="single"),
        {"subset": InvariantSubsetSelector(eps=0.05, max_size=2)},
        d=[8],
        m=[60],
        n_reps=400,
        n_fresh=2_000,
        random_state=0,
    ).run(workers)


def bounds_of(model):
    def work(workers):
        args, metadata = by_treatment(8_000)
        model().set_params(n_jobs=workers).fit(*args, **metadata)

    return work


def moments_of(environments):
    X, y, e = rows(40 * environments, environments=environments)
    return lambda: Moments.from_rows(x=X, y=y, environments=e)


def pooled(environments):
    X, y, e = rows(40 * environments, environments=environments)
    m = Moments.from_rows(x=X, y=y, environments=e)
    return lambda: m.merge(m).pool()


def covariance(n):
    (X, y), _ = plain(n)
    return IVLikeRegression(0.1, augmentation=translation(8)).fit(X, y).covariance


def translation(d):
    return Translation(np.eye(1, d))


# -- estimators ----------------------------------------------------------------------------------------------------

SUPPORT = {"outcome_support": (-4.0, 4.0), "random_state": 0}


def ivl(d=8):
    return IVLikeRegression(0.1, augmentation=translation(d))


def ivl_cv(d=8):
    return IVLikeRegressionCV(augmentation=translation(d))


def boosting(d=8):
    return IVLikeBoosting(alpha=0.5, augmentation=Translation(np.eye(1, d), scale=1.0), n_estimators=10, random_state=0)


def selector(**how):
    return lambda size=None: InvariantSubsetSelector(eps=0.5, **how)


def icp(**how):
    return lambda size=None: InvariantCausalPrediction(**how)


def neutral(size=None):
    return InvariantRepresentation()


def conformal(size=None):
    return HierarchicalConformalRegressor()


def linear_encoder(size=None):
    return LinearInvarianceEncoder(random_state=0)


def rep4ex(size=None):
    return Rep4ExRegressor(random_state=0)


def manski():
    return ManskiBounds(**SUPPORT)


def f_divergence():
    return FDivergenceBounds(**SUPPORT)


def quantile():
    return QuantileBounds(random_state=0)


def sensitivity(**how):
    return lambda: SensitivityBounds(random_state=0, **how)


def frame_averaging(size=None):
    return FrameAveragingRegressor(LinearRegression(), symmetry=SignFlip([0]), random_state=0)


def soft(size=None):
    return SoftInvariantRegressor({"flips": SignFlip([0])}, random_state=0)


def screen(size=None):
    return SymmetryScreen({"flips": SignFlip([0])}, n_resamples=49, random_state=0)


ODDS = {"odds_ratio": 2.0}
CASES = [
    # estimator, axis, sizes, task, expected exponent
    ("IVLikeRegression", "rows", N, fit(lambda n: ivl()), 1),
    ("IVLikeRegression, covariance", "rows", N, covariance, 1),
    ("IVLikeRegressionCV", "rows", N, fit(lambda n: ivl_cv()), 1),
    ("IVLikeBoosting", "rows", [500, 1_000, 2_000], fit(lambda n: boosting()), 1.1),
    ("InvariantProjection", "rows", N, fit(lambda n: InvariantProjection(translation(8)), features_alone), 1),
    ("InvariantSubsetSelector", "rows", N, fit(selector(), by_environment), 1),
    ("InvariantCausalPrediction", "rows", FEW, fit(icp(), by_environment), 1),
    ("InvariantCausalPrediction, chow", "rows", N, fit(icp(test="chow"), by_environment), 1),
    ("InvariantRepresentation", "rows", N, fit(neutral, by_environment), 1),
    ("HierarchicalConformalRegressor", "rows", N, fit(conformal, by_environment), 1),
    ("LinearInvarianceEncoder", "rows", FEW, fit(linear_encoder, by_action), 1),
    ("Rep4ExRegressor", "rows", FEW, fit(rep4ex, by_action), 1),
    ("ManskiBounds, ate", "rows", MEDIUM, average(manski), 1.1),
    ("FDivergenceBounds, ate", "rows", FEW, average(f_divergence), 1.1),
    ("QuantileBounds, fit", "rows", FEW, fit(lambda n: quantile(), by_treatment), 1.1),
    ("SensitivityBounds, ate", "rows", FEW, average(sensitivity(), **ODDS), 1.1),
    ("SensitivityBounds, kernel law", "rows", MEDIUM, average(sensitivity(law="kernel"), **ODDS), 1.2),
    ("SensitivityBounds, knn law", "rows", MEDIUM, average(sensitivity(law="knn"), **ODDS), 1.2),
    ("FrameAveragingRegressor", "rows", MEDIUM, fit(frame_averaging), 1),
    ("SoftInvariantRegressor", "rows", [250, 500, 1_000], fit(soft), 3),
    ("SymmetryScreen", "rows", FEW, fit(screen), 1.1),
    ("InvariantCoordinates", "rows", N, fit(lambda n: InvariantCoordinates(SignFlip([0])), features_alone), 1),
    ("RelativeRepresentation", "rows", N, fit(lambda n: RelativeRepresentation(random_state=0), features_alone), 1),
    ("OrthogonalAlignment", "rows", N, fit(lambda n: OrthogonalAlignment(), two_sets), 1),
    ("Moments.from_rows", "environments", MANY, moments_of, 1),
    ("Moments.merge and pool", "environments", MANY, pooled, 1),
    ("InvariantSubsetSelector, fit_moments", "environments", MANY, of_moments(selector()), 1),
    ("InvariantCausalPrediction, fit_moments", "environments", MANY, of_moments(icp(test="chow")), 1),
    ("InvariantRepresentation, fit_moments", "environments", MANY, of_moments(neutral), 1),
    ("HierarchicalConformalRegressor", "environments", MANY, fit(conformal, by_environment, "environments"), 1),
    ("IVLikeRegression", "features", WIDE, fit(ivl, axis="d"), 2.5),
    ("IVLikeRegression, covariance", "features", [25, 50, 100], lambda d: fit(ivl, axis="d")(d)().covariance, 2.5),
    ("IVLikeRegressionCV", "features", WIDE, fit(ivl_cv, axis="d"), 3),
    ("IVLikeBoosting", "features", [5, 10, 20], fit(boosting, axis="d"), 1),
    ("InvariantRepresentation", "features", WIDE, fit(neutral, by_environment, "d"), 3),
    (
        "InvariantSubsetSelector, greedy",
        "features",
        [10, 20, 40],
        fit(selector(search="greedy", max_size=3), by_environment, "d"),
        2,
    ),
    (
        "InvariantCausalPrediction, chow, pairs",
        "features",
        [15, 30, 60],
        fit(icp(test="chow", max_size=2), by_environment, "d"),
        2,
    ),
    ("HierarchicalConformalRegressor", "features", WIDE, fit(conformal, by_environment, "d"), 2),
    ("LinearInvarianceEncoder", "features", [4, 8, 16], fit(linear_encoder, by_action, "d"), 2),
    ("Rep4ExRegressor", "features", [4, 8, 16], fit(rep4ex, by_action, "d"), 2),
    ("FDivergenceBounds, ate", "features", [10, 20, 40], average(f_divergence, "d"), 1),
    ("SensitivityBounds, ate", "features", [10, 20, 40], average(sensitivity(), "d", **ODDS), 1.5),
    ("SensitivityBounds, kernel law", "features", [10, 20, 40], average(sensitivity(law="kernel"), "d", **ODDS), 1),
    ("SensitivityBounds, knn law", "features", [10, 20, 40], average(sensitivity(law="knn"), "d", **ODDS), 1),
    ("OrthogonalAlignment", "features", WIDE, fit(lambda d: OrthogonalAlignment(), two_sets, "d"), 3),
    (
        "SensitivityBounds.predict_bounds",
        "queries",
        ASKED,
        queries(sensitivity(), by_treatment, lambda m, k: m.predict_bounds(new_treated(k), arm=1, **ODDS)),
        1,
    ),
    (
        "FDivergenceBounds.predict_bounds",
        "queries",
        ASKED,
        queries(f_divergence, by_treatment, lambda m, k: m.predict_bounds(new_treated(k), arm=1)),
        1,
    ),
    (
        "QuantileBounds.predict_bounds",
        "queries",
        ASKED,
        queries(quantile, by_treatment, lambda m, k: m.predict_bounds(new_treated(k), arm=1)),
        1,
    ),
    (
        "ManskiBounds.predict_bounds",
        "queries",
        ASKED,
        queries(manski, by_treatment, lambda m, k: m.predict_bounds(new_treated(k), arm=1)),
        1,
    ),
    (
        "Rep4ExRegressor.predict_do",
        "queries",
        MEDIUM,
        queries(rep4ex, by_action, lambda m, k: m.predict_do(new_actions(k))),
        1,
    ),
    (
        "LinearInvarianceEncoder.transform",
        "queries",
        N,
        queries(linear_encoder, by_action, lambda m, k: m.transform(acted(k, seed=1)[0])),
        1,
    ),
    (
        "IVLikeRegression.predict",
        "queries",
        N,
        queries(ivl, plain, lambda m, k: m.predict(new_rows(k))),
        1,
    ),
    (
        "HierarchicalConformalRegressor.predict_interval",
        "queries",
        N,
        queries(conformal, by_environment, lambda m, k: m.predict_interval(new_rows(k))),
        1,
    ),
    ("SensitivityBounds, fit", "workers", WORKERS, in_workers(bounds_of(sensitivity(law="kernel"))), 0),
    ("FDivergenceBounds, fit", "workers", WORKERS, in_workers(bounds_of(f_divergence)), 0),
    ("PACExperiment, 400 replications", "workers", WORKERS, in_workers(pac), 0),
]
