"""What design.md promises of every estimator beyond scikit-learn's own checks."""

import inspect
import pickle
from functools import cache

import numpy as np
import pandas as pd
import polars as pl
import pytest
import sklearn
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV, cross_validate
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.fixes import parse_version

from tests.contract.registry import CASES, rows

# Of four features the action moves two directions, and the encoder says that X holds more; 60 rows leave it in doubt.
pytestmark = pytest.mark.filterwarnings(
    "ignore:X holds more than the representation", "ignore:1 of 2 components may be nothing but noise"
)


@cache
def fitted_once(case):
    """A fit to `rows()`, and its outputs, for tests that change neither."""
    fitted = case.fit(rows())
    return fitted, outputs(case, fitted, rows()["X"])


def cases(which=lambda case: True):
    """Run a test on the registered cases to which it applies."""
    chosen = [case for case in CASES if which(case)]
    return pytest.mark.parametrize("case", chosen, ids=[case.name for case in chosen])


def predicts(case):
    return "predict" in case.outputs


def outputs(case, fitted, X, data=None):
    data = rows() if data is None else data
    metadata = {name: data[name] for name in case.output_metadata}
    return [np.asarray(getattr(fitted, method)(X, **metadata)) for method in case.outputs]


def predicted(case, fitted, X):
    return np.asarray(fitted.predict(X, **{name: rows()[name] for name in case.output_metadata}))


def assert_same(first, second, **tolerance):
    for a, b in zip(first, second, strict=True):
        np.testing.assert_allclose(a, b, **({"rtol": 1e-10, "atol": 1e-10} | tolerance))


def framed(data):
    index = pd.Index(np.arange(100, 100 + len(data["y"])), name="row")
    return {
        "X": pd.DataFrame(data["X"], columns=[f"f{i}" for i in range(data["X"].shape[1])], index=index),
        "y": pd.Series(data["y"], name="y", index=index),
        "instruments": pd.DataFrame(data["instruments"], columns=["z0", "z1"], index=index),
        "controls": pd.DataFrame(data["controls"], columns=["c0", "c1"], index=index),
        "action": pd.DataFrame(data["action"], columns=["a0", "a1"], index=index),
        "environments": pd.Series(data["environments"], index=index),
        "augmentation_parameters": pd.DataFrame(data["augmentation_parameters"], columns=["z0", "z1"], index=index),
        "groups": pd.Series(data["groups"], index=index),
        "treatment": pd.Series(data["treatment"], index=index),
    }


@cases()
def test_clone_is_unfitted_and_equal(case):
    estimator, expected = fitted_once(case)
    copy = clone(estimator)
    assert not [name for name in vars(copy) if name.endswith("_") and not name.startswith("__")]
    assert_same(outputs(case, case.fit(rows(), copy), rows()["X"]), expected)


@cases()
def test_pickle_keeps_outputs(case):
    fitted, expected = fitted_once(case)
    again = pickle.loads(pickle.dumps(fitted))
    assert_same(outputs(case, again, rows()["X"]), expected, rtol=0, atol=0)


@cases()
def test_refit_is_idempotent_and_forgets(case):
    other = rows(n=60, seed=9)
    twice = case.fit(rows(), case.fit(other, case.make()))
    assert_same(fitted_once(case)[1], outputs(case, twice, rows()["X"]), rtol=0, atol=0)


@cases()
def test_inputs_are_left_untouched(case):
    data = framed(rows())
    before = {name: value.copy() for name, value in data.items()}
    case.fit(data)
    for name, value in data.items():
        assert value.equals(before[name])


@cases()
def test_global_random_state_is_neither_read_nor_written(case, monkeypatch):
    expected = fitted_once(case)[1]
    state = np.random.get_state()[1].copy()

    def poisoned(*args, **kwargs):
        raise AssertionError("the global generator was used")

    for name in ("seed", "rand", "randn", "normal", "uniform", "choice", "permutation", "shuffle", "randint"):
        monkeypatch.setattr(np.random, name, poisoned)
    assert_same(expected, outputs(case, case.fit(rows()), rows()["X"]), rtol=0, atol=0)
    np.testing.assert_array_equal(np.random.get_state()[1], state)


@cases()
def test_pandas_and_polars_give_the_same_numbers_as_numpy(case):
    data = rows()
    plain = fitted_once(case)[1]
    frame = framed(data)
    fitted = case.fit(frame)
    assert list(fitted.feature_names_in_) == list(frame["X"].columns)
    assert_same(plain, outputs(case, fitted, frame["X"]))
    polars = {
        "X": pl.DataFrame(data["X"], schema=list(frame["X"].columns)),
        "y": pl.Series("y", data["y"]),
        "instruments": pl.DataFrame(data["instruments"], schema=["z0", "z1"]),
        "controls": pl.DataFrame(data["controls"], schema=["c0", "c1"]),
        "action": pl.DataFrame(data["action"], schema=["a0", "a1"]),
        "environments": pl.Series(data["environments"]),
        "augmentation_parameters": pl.DataFrame(data["augmentation_parameters"], schema=["z0", "z1"]),
        "groups": pl.Series(data["groups"]),
        "treatment": pl.Series(data["treatment"]),
    }
    fitted = case.fit(polars)
    assert list(fitted.feature_names_in_) == list(frame["X"].columns)
    assert_same(plain, outputs(case, fitted, polars["X"]))


@cases(lambda case: case.needs_y)
def test_permuted_index_raises_instead_of_aligning_by_position(case):
    frame = framed(rows())
    for name in ("y", *case.metadata):
        shuffled = frame | {name: frame[name].sample(frac=1.0, random_state=0)}
        with pytest.raises(ValueError, match=rf"index of {name} differs from the index of X.*another order"):
            case.fit(shuffled)
        relabelled = frame | {name: frame[name].set_axis(np.arange(len(frame["y"])), axis=0)}
        with pytest.raises(ValueError, match=rf"index of {name} .*other labels"):
            case.fit(relabelled)


@cases(lambda case: predicts(case) and case.needs_y)
def test_a_score_of_rows_in_another_order_raises(case):
    frame = framed(rows())
    fitted = case.fit(frame)
    if not hasattr(fitted, "score"):
        return
    taken = inspect.signature(fitted.score).parameters
    known = {name: frame[name] for name in case.metadata if name in taken}
    shuffled = frame["y"].sample(frac=1.0, random_state=0)
    with pytest.raises(ValueError, match=r"index of y differs from the index of X.*first at row 0 \(148 against 100\)"):
        fitted.score(frame["X"], shuffled, **known)
    with pytest.raises(ValueError, match="inconsistent numbers of samples: X has 120, y has 119"):
        fitted.score(frame["X"], shuffled[:-1], **known)
    assert np.isfinite(fitted.score(frame["X"], frame["y"], **known))


@pytest.mark.parametrize("value", [np.nan, np.inf])
@cases()
def test_nan_and_infinity_are_named(case, value):
    kind = "NaN" if np.isnan(value) else "infinity"
    numeric = [
        name for name in case.metadata if name in ("instruments", "controls", "augmentation_parameters", "action")
    ]
    for name in ("X", *(("y",) if case.needs_y else ()), *numeric):
        frame = framed(rows())
        column = "" if name == "y" else f", column '{frame[name].columns[1]}'"
        frame[name] = frame[name].astype(float)
        if name == "y":
            frame[name].iloc[7] = value
        else:
            frame[name].iloc[7, 1] = value
        with pytest.raises(ValueError, match=rf"Input {name} contains {kind}: 1 of .* row 7{column}"):
            case.fit(frame)


@cases(lambda case: case.needs_y)
def test_lengths_that_differ_raise(case):
    data = rows()
    for name in ("y", *case.metadata):
        with pytest.raises(ValueError, match=f"inconsistent numbers of samples: .*{name} has 119"):
            case.fit(data | {name: data[name][:-1]})


@cases()
def test_lists_and_one_dimensional_metadata_are_accepted(case):
    data = rows()
    single = data | {name: data[name][:, 0] for name in case.metadata if data[name].ndim == 2}
    lists = {name: value.tolist() for name, value in single.items()}
    series = single | {name: pl.Series(single[name]) for name in case.metadata}
    reference = outputs(case, case.fit(single), data["X"], single)
    for other in (lists, series):
        assert_same(reference, outputs(case, case.fit(other), data["X"], other), rtol=0, atol=0)


@cases(lambda case: not case.random)  # copies are drawn row by row, so another order is another draw
def test_row_order_does_not_matter(case):
    data = rows()
    order = np.random.default_rng(5).permutation(len(data["y"]))
    shuffled = {name: value[order] for name, value in data.items()}
    assert_same(fitted_once(case)[1], outputs(case, case.fit(shuffled), data["X"]), rtol=case.rtol)


@cases(lambda case: case.needs_y and case.linear)
def test_outcome_is_affine_equivariant(case):
    data = rows()
    fitted, _ = fitted_once(case)
    moved = case.fit(data | {"y": 1e6 - 3.0 * data["y"]})
    if predicts(case):
        np.testing.assert_allclose(
            1e6 - 3.0 * predicted(case, fitted, data["X"]), predicted(case, moved, data["X"]), rtol=1e-3 * case.rtol
        )
    if hasattr(fitted, "coef_"):  # a coefficient near zero has no relative digits
        scale = case.rtol * np.abs(fitted.coef_).max()
        np.testing.assert_allclose(moved.coef_, -3.0 * fitted.coef_, rtol=case.rtol, atol=scale)


@cases(lambda case: case.affine_equivariant)  # augmentations live in the units of the features: tests/ivlike
def test_features_are_affine_equivariant(case):
    data = rows()
    R = np.random.default_rng(2).normal(size=(4, 4))
    moved = data | {"X": data["X"] @ R + [5.0, -100.0, 0.0, 1e4]}
    first, second = case.fit(data), case.fit(moved)
    np.testing.assert_allclose(predicted(case, first, data["X"]), predicted(case, second, moved["X"]), rtol=1e-7)
    np.testing.assert_allclose(R @ second.coef_, first.coef_, rtol=1e-7)


@cases(lambda case: "transform" in case.outputs)
def test_set_output_names_columns(case):
    frame = framed(rows())
    fitted = case.fit(frame, case.make().set_output(transform="pandas"))
    metadata = {name: frame[name] for name in case.metadata}
    at_once = case.make().set_output(transform="pandas").fit_transform(frame["X"], frame["y"], **metadata)
    for out in (fitted.transform(frame["X"]), at_once):
        assert isinstance(out, pd.DataFrame)
        assert out.index.equals(frame["X"].index)
        assert list(out.columns) == list(fitted.get_feature_names_out())


@cases(predicts)
def test_in_a_pipeline_with_and_without_routing(case):
    data = rows()
    metadata = {name: data[name] for name in case.metadata}
    scaled = StandardScaler().fit_transform(data["X"])
    direct = case.fit(data | {"X": scaled})
    pipe = make_pipeline(StandardScaler(), case.make())
    step = pipe.steps[-1][0]
    with sklearn.config_context(enable_metadata_routing=False):
        pipe.fit(data["X"], data["y"], **{f"{step}__{name}": value for name, value in metadata.items()})
    assert_same(outputs(case, pipe[-1], scaled), outputs(case, direct, scaled), rtol=1e-9)
    with sklearn.config_context(enable_metadata_routing=True):
        pipe = make_pipeline(StandardScaler(), case.make()).fit(data["X"], data["y"], **metadata)
    assert_same(outputs(case, pipe[-1], scaled), outputs(case, direct, scaled), rtol=1e-9)
    with sklearn.config_context(enable_metadata_routing=True):
        metadata = {name: data[name] for name in case.output_metadata}
        assert_same([predicted(case, direct, scaled)], [pipe.predict(data["X"], **metadata)], rtol=1e-9)


@cases(lambda case: predicts(case) and case.linear)
def test_grid_search_slices_metadata(case):
    data = rows()
    metadata = {name: data[name] for name in case.metadata}
    name = type(case.make()).__name__.lower()
    parameter, values = case.tuned
    tuned, grid = make_pipeline(StandardScaler(), case.make()), {f"{name}__{parameter}": values}
    if parse_version(sklearn.__version__) < parse_version("1.8"):
        # There a search loses the score metadata of a Pipeline (not of a bare estimator).
        tuned, grid = case.make(), {parameter: values}
    with sklearn.config_context(enable_metadata_routing=True):
        search = GridSearchCV(tuned, grid, cv=2, error_score="raise")
        search.fit(data["X"], data["y"], **metadata)
        scores = cross_validate(case.make(), data["X"], data["y"], cv=2, params=metadata, error_score="raise")
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()
    assert np.isfinite(scores["test_score"]).all()


@cases()
def test_html_repr_and_text_repr(case):
    assert case.make().__class__.__name__ in case.make()._repr_html_()
    assert case.make().__class__.__name__ in repr(case.make())


def test_results_do_not_depend_on_n_jobs():
    parallel = [case for case in CASES if "n_jobs" in case.make().get_params()]
    assert parallel
    for case in parallel:
        one, two = (case.fit(rows(), case.make().set_params(n_jobs=n)) for n in (1, 2))
        assert_same(outputs(case, one, rows()["X"]), outputs(case, two, rows()["X"]), rtol=0, atol=0)
