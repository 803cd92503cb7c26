"""Symmetry: exactness, accuracy with few rows, sizes and power, lower limits, variance components, moments, cost.

``python benchmarks/symmetry.py few_rows cost``: each section that is named (left out: all), as soon as it is done;
those of earlier runs stay in `results/symmetry.md` (tests, limits, variance components) and
`results/symmetry_accuracy.md` (exactness, accuracy, cost).
"""

import resource
import subprocess
import sys
import time
import warnings
from copy import deepcopy

import numpy as np
import pandas as pd
from _record import record
from scipy.stats import binom
from sklearn.base import clone
from sklearn.ensemble import ExtraTreesClassifier, ExtraTreesRegressor, HistGradientBoostingRegressor
from sklearn.kernel_ridge import KernelRidge
from sklearn.metrics import log_loss, r2_score
from sklearn.model_selection import GridSearchCV, GroupKFold
from sklearn.neural_network import MLPRegressor

from causalinv.symmetry import (
    FrameAveragingClassifier,
    FrameAveragingRegressor,
    ImageMoments,
    SoftInvariantRegressor,
    SymmetryScreen,
    radial_polynomial,
    symmetry_test,
)
from causalinv.symmetry._soft_invariance import _reml
from causalinv.transformations import EuclideanGroup, PermutationGroup, Scaling, SignFlip, haar_orthogonal

warnings.simplefilter("ignore")
LEARNERS = {
    "trees": ExtraTreesRegressor(100, random_state=0),
    "boosting": HistGradientBoostingRegressor(max_iter=100),
    "kernel ridge": KernelRidge(kernel="rbf", gamma=0.1, alpha=0.1),
}


def clouds(n, rng, p=6):
    X = rng.normal(size=(n, p, 3))
    i, j = np.triu_indices(p, 1)
    apart = np.linalg.norm(X[:, i] - X[:, j], axis=2)
    return X.reshape(n, -1), (np.exp(-apart) + 0.3 * apart).sum(axis=1)


def exactness():
    rows = {}
    rng = np.random.default_rng(101)
    X, y = clouds(60, rng)
    new = clouds(2000, rng)[0]
    learners = LEARNERS | {"network": MLPRegressor(hidden_layer_sizes=(20,), max_iter=50, random_state=0)}
    for exchange in (False, True):
        for proper in (False, True):
            for shifts in (False, True):
                group = EuclideanGroup(3, proper=proper, translations=shifts, exchange=exchange)
                moved = group.draw(new, rng)[0]
                name = ("SE" if proper else "E") if shifts else ("SO" if proper else "O")
                name += "(3)" + (" x S6" if exchange else "")
                rows[name] = {
                    label: np.abs(m.predict(moved) - m.predict(new)).max()
                    for label, m in (
                        (label, FrameAveragingRegressor(_light(learner), symmetry=group).fit(X, y))
                        for label, learner in learners.items()
                    )
                }
    table = pd.DataFrame(rows).T
    return table.loc[table.max(axis=1).sort_values(ascending=False).index].map("{:.1e}".format)


def _light(learner):
    return clone(learner).set_params(**({"n_estimators": 20} if hasattr(learner, "n_estimators") else {}))


def shapes():
    """Predictions for a shape and for 200 motions of it (with mirrors where the group has them); plain beside."""
    square = np.array([[1.0, 1, 0], [1, -1, 0], [-1, 1, 0], [-1, -1, 0]])
    found = {
        "square": square,
        "square, out of square by 1e-9": square + 1e-9 * np.arange(12).reshape(4, 3),
        "square, out of square by 1e-4": square + 1e-4 * np.arange(12).reshape(4, 3) ** 2,
        "triangle, equal sides": np.array([[np.cos(a), np.sin(a), 0] for a in 2 * np.pi / 3 * np.arange(3)]),
        "tetrahedron": np.array([[1.0, 1, 1], [1, -1, -1], [-1, 1, -1], [-1, -1, 1]]),
        "octahedron": np.vstack([np.eye(3), -np.eye(3)]),
        "on a line": np.outer([0.0, 1, 3, 4], [1, 2, 2]),
        "all equal": np.ones((4, 3)),
        "one point": np.ones((1, 3)),
    }
    rows = {}
    for name, shape in found.items():
        rng = np.random.default_rng(102)
        X, y = clouds(100, rng, len(shape)) if len(shape) > 1 else (rng.normal(size=(100, 3)), rng.normal(size=100))
        same = np.tile(shape.ravel(), (200, 1))
        trees = ExtraTreesRegressor(20, random_state=0)
        plain = clone(trees).fit(X, y)
        motion = EuclideanGroup(3).draw(same, rng)[0]
        rows[name] = {"plain": np.ptp(plain.predict(motion))}
        for label, proper, exchange in (
            ("E(3)", False, False),
            ("SE(3) x S_n", True, True),
            ("E(3) x S_n", False, True),
        ):
            group = EuclideanGroup(3, proper=proper, exchange=exchange)
            model = FrameAveragingRegressor(trees, symmetry=group).fit(X, y)
            rows[name][label] = np.ptp(model.predict(np.vstack([same[:1], group.draw(same, rng)[0]])))
            seen = model.diagnostics(same[:1]).iloc[0]
            rows[name] |= {"elements": seen["size"], "tied": seen["tied"]}
    X, y = clouds(100, np.random.default_rng(103))
    mirrored = X * np.tile([-1.0, 1, 1], 6)
    for label, proper in (("E(3)", False), ("SE(3)", True)):
        model = FrameAveragingRegressor(
            ExtraTreesRegressor(20, random_state=0), symmetry=EuclideanGroup(3, proper=proper)
        )
        gap = np.abs(model.fit(X, y).predict(X) - model.predict(mirrored))
        rows[f"mirror images of 100 clouds, {label}: largest difference"] = {label: gap.max()}
    table = pd.DataFrame(rows).T
    return table.map(lambda v: "" if pd.isna(v) else f"{v:.1e}" if isinstance(v, float) else str(v))


def few_rows(seeds=5):
    """R² on 2,000 fresh clouds of 6 points, 300 to learn from; k = 8 random motions of each against frames of 8.

    Kernel ridge gets bandwidth and penalty by five-fold cross-validation of whole rows in each model, the others stay
    as they are. Outcomes are centred at the training mean, as kernel ridge has no intercept.
    """
    found = []
    grid = {"gamma": [0.003, 0.01, 0.03, 0.1], "alpha": [1e-3, 1e-2, 1e-1, 1.0]}
    for seed in range(seeds):
        rng = np.random.default_rng(200 + seed)
        X, y = clouds(300, rng)
        new, truth = clouds(2000, rng)
        truth, y = truth - y.mean(), y - y.mean()
        group, both = EuclideanGroup(3), EuclideanGroup(3, exchange=True)
        copies, whose = np.vstack([group.draw(X, rng)[0] for _ in range(8)]), np.tile(np.arange(300), 8)
        for name, learner in LEARNERS.items():
            tuned = name == "kernel ridge"
            models = {"plain": learner, "8 random motions": learner}
            models |= {"frame E(3)": FrameAveragingRegressor(learner, symmetry=group)}
            models |= {"frame E(3) x S6": FrameAveragingRegressor(learner, symmetry=both)}
            for label, model in models.items():
                moved = "random" in label
                rows, out, source = (copies, np.tile(y, 8), whose) if moved else (X, y, np.arange(300))
                given = {"sample_weight": np.full(len(rows), 1 / 8)} if moved and not tuned else {}
                if tuned:
                    own = {("estimator__" if "frame" in label else "") + key: values for key, values in grid.items()}
                    given = {"groups": source}
                searched = GridSearchCV(model, own, cv=GroupKFold(5)) if tuned else clone(model)
                guess = searched.fit(rows, out, **given).predict(new)
                found.append({"learner": name, "model": label, "R2": r2_score(truth, guess)})
            print(seed, name, [round(each["R2"], 4) for each in found[-4:]], flush=True)
    table = pd.DataFrame(found).groupby(["learner", "model"], sort=False)["R2"].agg(["mean", "sem"])
    return table.set_axis(["R2", "s.e."], axis=1)


def comparisons():
    rows = []
    swap = PermutationGroup([[3, 4, 5, 0, 1, 2]])
    for n in (100, 1000):
        for seed in range(5):
            rng = np.random.default_rng(300 + seed)
            data = []
            for size in (n, 2000):
                A, B = rng.normal(size=(2, size, 3))
                score = 2 * (A[:, 0] * A[:, 1] - B[:, 0] * B[:, 1] + A[:, 2] - B[:, 2])
                data.append((np.hstack([A, B]), rng.random(size) < 1 / (1 + np.exp(-score))))
            (X, y), (new, out) = data
            trees = ExtraTreesClassifier(200, min_samples_leaf=3, random_state=0)
            plain = clone(trees).fit(X, y)
            both = FrameAveragingClassifier(trees, symmetry=swap, output=[[1, 0]]).fit(X, y)
            other = np.hstack([new[:, 3:], new[:, :3]])
            for name, model in (("plain", plain), ("averaged", both)):
                p = model.predict_proba(new)[:, 1]
                gap = np.abs(p + model.predict_proba(other)[:, 1] - 1).max()
                rows.append({"n": n, "model": name, "log loss": log_loss(out, p), "largest |P(ab) + P(ba) - 1|": gap})
    return pd.DataFrame(rows).groupby(["n", "model"]).mean()


def flip_world(n, rng, d=3, delta=0.0, *, uneven=False, shift=0.0):
    X = rng.normal(size=(n, d))
    X[:, 0] += shift
    sd = np.where(X[:, 0] > 0, 1.8, 0.2) if uneven else 1.0
    return X, np.abs(X[:, 0]) + np.sin(X[:, 1:2]).sum(axis=1) + delta * X[:, 0] + sd * rng.normal(size=n)


def cloud_world(n, rng, stretch=1.0):
    P = np.einsum("npe,nde->npd", rng.normal(size=(n, 3, 3)), haar_orthogonal(n, 3, random_state=rng))
    P[:, :, 2] *= stretch
    return P.reshape(n, -1), np.linalg.norm(P[:, 0] - P[:, 1], axis=1) + 0.3 * rng.normal(size=n)


def sizes(reps=2000):
    """Rejections at 5% under the null, n = 100, 19 re-drawings; in the last cell the noise reads the pose."""
    cells = {
        "sign, d=1": (lambda rng: flip_world(100, rng, 1), SignFlip([0])),
        "sign, d=3": (lambda rng: flip_world(100, rng, 3), SignFlip([0])),
        "sign, d=9": (lambda rng: flip_world(100, rng, 9), SignFlip([0])),
        "O(3), 3 points": (lambda rng: cloud_world(60, rng), EuclideanGroup(3, translations=False)),
        "sign, noise sd 1.8 / 0.2 by sign": (lambda rng: flip_world(100, rng, 3, uneven=True), SignFlip([0])),
    }
    rows = {}
    for name, (make, group) in cells.items():
        hits = 0
        for seed in range(reps):
            X, y = make(np.random.default_rng([7, seed]))
            hits += symmetry_test(X, y, group, poses="uniform", n_resamples=19, random_state=seed).pvalue <= 0.05
        limits = binom.ppf([1e-5, 1 - 1e-5], reps, 0.05) / reps
        rows[name] = {"draws": reps, "size": hits / reps, "allowed from": limits[0], "to": limits[1]}
    return pd.DataFrame(rows).T


def power(reps=100):
    rows = {}
    for delta in (0.15, 0.3):
        p = [
            symmetry_test(
                *flip_world(200, np.random.default_rng([8, s]), 3, delta),
                SignFlip([0]),
                poses="uniform",
                n_resamples=99,
                random_state=s,
            ).pvalue
            for s in range(reps)
        ]
        share = delta**2 / (1 - 2 / np.pi + (1 - np.exp(-2)) / 2 + delta**2 + 1)
        rate = np.mean(np.array(p) <= 0.05)
        rows[delta] = {"broken share": share, "power": rate, "s.e.": np.sqrt(rate * (1 - rate) / reps)}
    return pd.DataFrame(rows).T.rename_axis("delta")


def lower_limits(reps=100):
    """N = 400, half of it held out; 95% limits should lie above the truth in at most 5%."""
    rows = {}
    for delta in (0.3, 0.6, 1.0):
        truth = delta**2 / (1 - 2 / np.pi + (1 - np.exp(-2)) / 2 + delta**2 + 1)
        found = []
        for s in range(reps):
            X, y = flip_world(400, np.random.default_rng([9, s]), 3, delta)
            screen = SymmetryScreen(
                {"sign": SignFlip([0])},
                estimator=KernelRidge(kernel="rbf", gamma=0.3, alpha=1.0),
                n_resamples=19,
                random_state=s,
            )
            found.append(screen.fit(X, y).table_.loc["sign", ["broken_lower", "broken_share"]].to_numpy(float))
        found = np.array(found)
        rows[delta] = {
            "truth": truth,
            "limit at or below it": (found[:, 0] <= truth).mean(),
            "mean limit": found[:, 0].mean(),
            "mean plug-in": found[:, 1].mean(),
        }
    return pd.DataFrame(rows).T.rename_axis("delta")


def soft(seeds=10, n=250, cells=((0.0, 0.0), (0.0, 0.8), (0.7, 0.0), (0.7, 0.8))):
    """Two vectors in space: cosine + a u_z (breaks rotations) + b log length (breaks scale); shares in closed form."""
    groups = {"rotation": EuclideanGroup(3, translations=False), "scale": Scaling()}
    var = np.array([1 / 3, 1 / 3, (np.pi**2 / 6 - 1 - 1 / 4) / 4])  # trigamma(3) / 4
    rows = {}
    for a, b in cells:
        total = var @ [1, a * a, b * b]
        truth = {"rotation": a * a * var[1] / total, "scale": b * b * var[2] / total}
        found = []
        for s in range(seeds):
            rng = np.random.default_rng([20, s])

            def draw(m, rng=rng, a=a, b=b):
                X = rng.normal(size=(m, 6))
                u, v = (each / np.linalg.norm(each, axis=1)[:, None] for each in (X[:, :3], X[:, 3:]))
                return X, (u * v).sum(axis=1) + a * u[:, 2] + b * np.log(np.linalg.norm(X, axis=1))

            (X, f), (new, out) = draw(n), draw(1000)
            y = f + 0.1 * np.sqrt(total) * rng.normal(size=n)
            model = SoftInvariantRegressor(groups).fit(X, y)
            plain = SoftInvariantRegressor({}).fit(X, y)
            shared = deepcopy(model)
            v, noise, _ = _reml(shared._kernels[-1:], y - y.mean())  # both imposed
            shared.variances_[:] = np.r_[np.zeros(3), v]
            shared.noise_variance_ = noise
            shared._solve(y)
            errors = [1 - r2_score(out, m.predict(new)) for m in (model, plain, shared)]
            found.append([*model.broken_share_, *errors])
        mean = np.mean(found, axis=0)
        rows[f"a = {a}, b = {b}"] = {
            "rotation: truth": truth["rotation"],
            "estimate": mean[0],
            "scale: truth": truth["scale"],
            "estimate ": mean[1],
            "1 - R2, soft": mean[2],
            "unrestricted": mean[3],
            "imposed": mean[4],
        }
        print(a, b, rows[f"a = {a}, b = {b}"], flush=True)
    return pd.DataFrame(rows).T


def soft_intervals(cells=((20, 300), (50, 300), (100, 300), (250, 100))):
    """95% intervals of the share in the sample, of y = x0² + x1 + noise, of which x1 breaks its sign."""
    rows = {}
    for n, reps in cells:
        hits = []
        for s in range(reps):
            rng = np.random.default_rng(5000 + s)
            X = rng.normal(size=(n, 2))
            y = X[:, 0] ** 2 + X[:, 1] + 0.5 * rng.normal(size=n)
            model = SoftInvariantRegressor({"first": SignFlip([0]), "second": SignFlip([1])}, random_state=0).fit(X, y)
            table = model.broken_share_interval(n_draws=400).to_frame()
            truth = np.array([0.0, X[:, 1].var() / (X[:, 0] ** 2 + X[:, 1]).var()])
            inside = (table["lower"] <= truth) & (truth <= table["upper"])
            hits.append([*inside, *(table["upper"] - table["lower"]), *(table["estimate"] - truth)])
            if s % 50 == 49:
                print(n, s + 1, np.mean(hits, axis=0), flush=True)
        mean, spread = np.mean(hits, axis=0), np.std(hits, axis=0)
        for k, name in enumerate(("nothing broken", "a third")):
            rows[f"n = {n}, {name}"] = {
                "samples": reps,
                "covered": mean[k],
                "s.e.": spread[k] / np.sqrt(reps),
                "mean width": mean[2 + k],
                "bias": mean[4 + k],
                "sd of error": spread[4 + k],
            }
    return pd.DataFrame(rows).T.sort_values("covered")


def moments():
    import mahotas.features

    rows = {}
    images = np.random.default_rng(11).random((5, 33, 33))
    ours = ImageMoments((33, 33), degree=50, center="mass", radius=16.5).fit(images.reshape(5, -1))
    degree = np.array([n for n, _ in ours.orders_])
    gap = np.abs(
        ours.transform(images.reshape(5, -1)) - [mahotas.features.zernike_moments(i, 16.5, degree=50) for i in images]
    )
    for low, high in ((0, 12), (13, 19), (20, 29), (30, 39), (40, 50)):
        rows[f"degree {low} to {high}"] = {
            "largest difference to mahotas": f"{gap[:, (degree >= low) & (degree <= high)].max():.1e}"
        }
    x, w = np.polynomial.legendre.leggauss(100)
    r, w = (x + 1) / 2, w / 2
    for kind in ("zernike", "pseudo_zernike", "fourier_mellin"):
        norm = (radial_polynomial(r, 60, 0, kind=kind) ** 2 * r * w).sum() * 122
        rows[f"{kind}, degree 60"] = {"norm less 1": f"{norm - 1:.1e}"}
    return pd.DataFrame(rows).T


def cost():
    rows = {}
    X = np.random.default_rng(12).normal(size=(100_000, 60))
    for exchange in (False, True):
        start = time.process_time()
        EuclideanGroup(3, exchange=exchange).frame(X)
        name = "frames of 1e5 clouds of 20 points" + (", exchange" if exchange else "")
        rows[name] = {"seconds of one core": time.process_time() - start}
    code = (
        "import resource, numpy as np; from causalinv.symmetry import symmetry_test; "
        "from causalinv.transformations import SignFlip; X = np.random.default_rng(0).normal(size=(20000, 3)); "
        "symmetry_test(X, np.abs(X[:, 0]), SignFlip([0]), poses='uniform', n_resamples=99); "
        "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6)"
    )
    start = resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    used = resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime - start
    rows["symmetry_test, n = 20,000, 99 re-drawings"] = {"seconds of one core": used, "memory (GB)": float(out)}
    rng = np.random.default_rng(13)
    X, y = clouds(1000, rng)
    group = EuclideanGroup(3)
    copies = np.vstack([group.draw(X, rng)[0] for _ in range(8)])
    for name, learner in LEARNERS.items():
        times = []
        for make in (
            lambda learner=learner: clone(learner).fit(copies, np.tile(y, 8)).predict(copies),
            lambda learner=learner: FrameAveragingRegressor(learner, symmetry=group).fit(X, y).predict(X),
        ):
            start = time.process_time()
            make()
            times.append(time.process_time() - start)
        rows[f"fit and predict, {name}, 8,000 rows: averaged / plain"] = {"ratio": times[1] / times[0]}
    return pd.DataFrame(rows).T


PARTS = {
    "symmetry": (soft_intervals, sizes, power, lower_limits, soft),
    "symmetry_accuracy": (moments, few_rows, comparisons, cost, shapes, exactness),
}

if __name__ == "__main__":
    for part, sections in PARTS.items():
        for section in sections:
            if section.__name__ in (sys.argv[1:] or [section.__name__]):
                begin = time.time()
                record(part, {section.__name__.replace("_", " "): section()}, packages=("mahotas",), keep=True)
                print(section.__name__, time.time() - begin, flush=True)
