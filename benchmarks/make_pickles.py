"""Write pickles of small fits by a tagged release, which later versions must go on reading.

python benchmarks/make_pickles.py v0.1.0            # into tests/golden/pickles/0.1.0/
python benchmarks/make_pickles.py --here FOLDER     # by the version that is imported, as the tests do

A release is checked out beside this tree and runs in a process of its own, with the libraries of this one; their
versions are written down too. Beside each pickle stands what it answered, in ``answers.json``.
"""

import argparse
import json
import pickle
import subprocess
import sys
import tempfile
from importlib.metadata import version
from pathlib import Path

import numpy as np

ROOT = Path(__file__).parents[1]
LIBRARIES = ("numpy", "scipy", "pandas", "scikit-learn", "joblib")


def rows(n=60, d=3):
    rng = np.random.default_rng(0)
    X, e = rng.normal(size=(n, d)), np.arange(n) % 3
    return X, X @ np.arange(1.0, d + 1.0) + rng.normal(size=n), e


def ivlike():
    from causalinv import IVLikeRegression, Translation

    X, y, _ = rows()
    return IVLikeRegression(0.5, augmentation=Translation([[1.0, -1.0, 0.0]])).fit(X, y)


def selector():
    from causalinv import InvariantSubsetSelector

    X, y, e = rows()
    return InvariantSubsetSelector(eps=50.0).fit(X, y, environments=e)


def manski():
    from sklearn.linear_model import LinearRegression

    from causalinv import ManskiBounds

    X, y, _ = rows()
    arm = (np.arange(60) % 2).astype(int)
    model = ManskiBounds(outcome_support=(-30.0, 30.0), outcome=LinearRegression(), random_state=0)
    return model.fit(X, y, treatment=arm)


def rep4ex():
    from causalinv import Rep4ExRegressor

    rng = np.random.default_rng(0)
    action = rng.uniform(-1, 1, size=(120, 1))
    Z = action + 0.5 * rng.normal(size=(120, 1))
    return Rep4ExRegressor("identity", random_state=0).fit(Z, Z[:, 0] ** 2, action=action)


def moments():
    from causalinv import Moments

    X, y, e = rows()
    return Moments.from_rows(x=X, y=y, environments=e)


def model():
    from causalinv import LinearSEM

    return LinearSEM([[0.0, 0.0], [2.0, 0.0]], names=["x", "y"], target="y")


#: What is pickled, and what it is asked: plain numbers, by doors that a release keeps.
FITS = {
    "ivlike": (ivlike, lambda fit: fit.predict(rows()[0][:5])),
    "selector": (selector, lambda fit: fit.predict(rows()[0][:5])),
    "manski": (manski, lambda fit: fit.predict_bounds(rows()[0][:5], arm=1).to_frame()[["lower", "upper"]]),
    "rep4ex": (rep4ex, lambda fit: fit.predict_do([[0.0], [0.5]])),
    "moments": (moments, lambda stored: stored.cov("x", "y").ravel()),
    "sem": (model, lambda sem: sem.cov().ravel()),
}


def numbers(answer):
    return np.asarray(answer, dtype=np.float64).ravel().tolist()


def write(folder):
    """Fit, pickle and ask with the version that is imported."""
    folder.mkdir(parents=True, exist_ok=True)
    answers = {}
    for name, (make, ask) in FITS.items():
        made = make()
        (folder / f"{name}.pkl").write_bytes(pickle.dumps(made, protocol=5))
        answers[name] = numbers(ask(made))
    told = {"libraries": {name: version(name) for name in LIBRARIES}, "answers": answers}
    (folder / "answers.json").write_text(json.dumps(told, indent=1) + "\n")


def by_release(tag):
    """The same in a checkout of a tagged release."""
    folder = ROOT / "tests" / "golden" / "pickles" / tag.removeprefix("v")
    with tempfile.TemporaryDirectory() as place:
        tree = Path(place) / "tree"
        subprocess.run(["git", "worktree", "add", "--detach", tree, tag], cwd=ROOT, check=True)
        try:
            # The package of the release, this script's list of fits.
            script = (
                f"import sys; sys.path[:0] = [{str(tree)!r}, {str(Path(__file__).parent)!r}]; import make_pickles as m"
            )
            script += f"; from pathlib import Path; m.write(Path({str(folder)!r}))"
            subprocess.run([sys.executable, "-c", script], cwd=place, check=True)
        finally:
            subprocess.run(["git", "worktree", "remove", "--force", tree], cwd=ROOT, check=True)
    print(f"wrote {folder}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("tag", nargs="?", help="a tag of a release, such as v0.1.0")
    parser.add_argument("--here", type=Path, metavar="FOLDER", help="write by the version that is imported")
    asked = parser.parse_args()
    if (asked.tag is None) == (asked.here is None):
        parser.error("give a tag, or --here FOLDER")
    if asked.here is None:
        by_release(asked.tag)
    else:
        write(asked.here)
