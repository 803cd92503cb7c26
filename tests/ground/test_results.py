"""Result objects print themselves, compare by identity, and keep the labels of what was asked."""

import dataclasses
import importlib
import inspect
import pkgutil
import re

import numpy as np
import pandas as pd
import pytest
from scipy.stats import norm
from sklearn.linear_model import LinearRegression

import causalinv
from causalinv import FDivergenceBounds, IVLikeRegression, ManskiBounds, QuantileBounds, SensitivityBounds, results
from causalinv.results import BootstrapResult, PointwiseBounds, Printed, Summary

CLASSES = [value for name in results.__all__ if inspect.isclass(value := getattr(results, name))]


@pytest.mark.parametrize("kind", [kind for kind in CLASSES if kind is not Printed], ids=lambda kind: kind.__name__)
def test_every_result_stands_on_the_printed_base(kind):
    assert issubclass(kind, Printed)
    assert callable(kind.to_frame)
    assert kind.__eq__ is object.__eq__
    for told in ("__str__", "__repr__", "_repr_html_"):
        assert getattr(kind, told).__qualname__.split(".")[0] in {"Printed", "Summary", "InvarianceCertificate"}


def _public_records():
    """Public dataclasses of the package."""
    found = set()
    for module in pkgutil.walk_packages(causalinv.__path__, "causalinv."):
        if "._" not in module.name:
            room = importlib.import_module(module.name)
            found |= {getattr(room, name) for name in getattr(room, "__all__", ())}
    return sorted((each for each in found if dataclasses.is_dataclass(each)), key=lambda each: each.__qualname__)


@pytest.mark.parametrize("kind", _public_records(), ids=lambda kind: kind.__name__)
def test_what_holds_arrays_compares_by_identity(kind):
    """A generated == over arrays or frames raises, and makes the object unhashable."""
    arrays = [f.name for f in dataclasses.fields(kind) if re.search("Array|DataFrame|Series|Index", str(f.type))]
    assert not arrays or kind.__eq__ is object.__eq__, arrays


def test_a_path_prints_how_strongly_each_direction_is_moved():
    rng = np.random.default_rng(0)
    Z = rng.normal(size=(200, 1))
    X = np.c_[Z[:, 0] + rng.normal(size=200), rng.normal(size=200)]
    path = IVLikeRegression(1.0).fit(X, X.sum(axis=1), instruments=Z).path_
    table = path.to_frame()
    assert table["moved"].tolist() == [False, True]
    explained = np.corrcoef(Z[:, 0], X @ np.linalg.solve(np.cov(X.T), np.cov(X.T, Z.T)[:2, 2]))[0, 1] ** 2
    assert table["strength"].tolist() == pytest.approx([0.0, explained], abs=1e-10)  # R² of Z on X
    assert max(map(len, str(path).splitlines())) <= 80
    assert "rank of what moves them 1" in " ".join(str(path).split())
    assert path == path  # noqa: PLR0124
    assert len({path, path}) == 1


def _replicated(n=4000, names=("a", "b")):
    """Replicates that are the quantiles of two normal laws, so that every percentile is known."""
    grid = norm.ppf((np.arange(n) + 0.5) / n)
    frame = pd.DataFrame(np.c_[grid, 5.0 + 2.0 * grid], columns=list(names))
    estimate = pd.Series([0.0, 5.0], index=list(names))
    return BootstrapResult(frame, np.linspace(0.1, 0.4, n), estimate, "rows drawn anew")


@pytest.mark.parametrize("level", [0.5, 0.9, 0.95, 0.99])
def test_a_bootstrap_interval_leaves_half_of_the_rest_on_each_side(level):
    ends = _replicated().confint(confidence_level=level)
    far = norm.ppf((1 + level) / 2)
    # The grid's own step, 1 / (n density), is the tolerance.
    np.testing.assert_allclose(ends.loc["a"], [-far, far], atol=2 / (4000 * norm.pdf(far)))
    np.testing.assert_allclose(ends.loc["b"], [5 - 2 * far, 5 + 2 * far], atol=4 / (4000 * norm.pdf(far)))
    assert f"{level:.0%}" in ends.columns.name


def test_a_bootstrap_prints_its_numbers_and_what_was_drawn_anew():
    result = _replicated()
    frame = result.to_frame()
    assert frame.columns.tolist() == ["estimate", "se", "lower", "upper"]
    np.testing.assert_allclose(frame.loc["b", ["lower", "upper"]], 5 + 2 * norm.ppf([0.025, 0.975]), atol=0.05)
    assert frame.loc["b", "se"] == pytest.approx(result.replicates["b"].std(ddof=1), rel=1e-12)
    text = str(result)
    assert max(map(len, text.splitlines())) <= 80
    words = " ".join(text.split())
    for said in ("rows drawn anew", "4000 replications", "from 0.1 to 0.4"):
        assert said in words
    assert "<table" in result._repr_html_()


def test_pointwise_bounds_without_labels_are_numbered():
    ends = np.array([0.0, 1.0])
    plain = PointwiseBounds(ends, ends, ends, ends, ends, "mean", "none")
    assert plain.to_frame().index.tolist() == [0, 1]


@pytest.mark.parametrize(
    "model",
    [
        ManskiBounds(outcome_support=(0, 1), outcome=LinearRegression(), random_state=0),
        SensitivityBounds(outcome_support=(0, 1), law="marginal", cv=2, random_state=0),
        FDivergenceBounds(outcome_support=(0, 1), law="marginal", cv=2, random_state=0),
        QuantileBounds(outcome_support=(0, 1), law="marginal", cv=2, random_state=0),
    ],
    ids=lambda model: type(model).__name__,
)
def test_bounds_at_each_row_carry_the_labels_of_the_rows(model):
    rng = np.random.default_rng(0)
    X = pd.DataFrame(rng.normal(size=(120, 1)), columns=["x"], index=[f"row {i}" for i in range(120)])
    y = pd.Series(rng.uniform(size=120), index=X.index)
    model.fit(X, y, treatment=pd.Series(rng.integers(2, size=120), index=X.index))
    asked = X.iloc[[7, 3]]
    strength = {"odds_ratio": 2.0} if isinstance(model, SensitivityBounds | QuantileBounds) else {}
    found = model.predict_bounds(asked, **strength)
    assert found.to_frame().index.tolist() == ["row 7", "row 3"]
    assert "row 7" in str(found)


def test_lines_of_a_title_stay_lines_in_html():
    shown = Summary("What it is\nhow <it> was fitted\nF 12", "", "none", pd.DataFrame({"a": [1.0]}))._repr_html_()
    assert shown.startswith("<h4>What it is</h4><p>how &lt;it&gt; was fitted<br>F 12</p>")
