"""Work in workers: results do not depend on their number, and no warning is lost or said twice."""

import re
import time
import warnings
from multiprocessing import current_process
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from joblib import parallel_config
from sklearn.linear_model import LinearRegression, LogisticRegression
from threadpoolctl import threadpool_info, threadpool_limits

from causalinv import (
    InvariantCausalPrediction,
    InvariantSubsetSelector,
    IVLikeBoosting,
    IVLikeRegression,
    Rep4ExRegressor,
    SensitivityBounds,
    Translation,
    _parallel,
    _progress,
)
from causalinv._parallel import run
from causalinv._progress import progress, wanted
from causalinv.invariance import PACExperiment
from causalinv.moments import Moments
from causalinv.representation import smoothing_certificate
from causalinv.sem import InterventionFamily, LinearSEM

HERE = Path(__file__).name


def _noisy(i):
    warnings.warn(f"met {i % 2}", RuntimeWarning, stacklevel=1)
    return i * i


def _raises(i):
    _noisy(i)
    if i == 2:
        raise KeyError("lost")


def _threads(_):
    return max(pool["num_threads"] for pool in threadpool_info())


def _only(caught, text):
    """The one warning with this text: it names a line of this file."""
    found = [each for each in caught if text in str(each.message)]
    assert len(found) == 1, [str(each.message) for each in caught]
    assert Path(found[0].filename).name == HERE
    return found[0]


@pytest.mark.parametrize("n_jobs", [1, 2])
def test_workers_hand_their_warnings_over_once(n_jobs):
    with pytest.warns(RuntimeWarning) as caught:
        assert _parallel.run(_noisy, [(i,) for i in range(6)], n_jobs=n_jobs) == [0, 1, 4, 9, 16, 25]
    assert sorted(str(each.message) for each in caught) == ["met 0", "met 1"]
    assert {Path(each.filename).name for each in caught} == {HERE}


def test_threads_leave_the_filters_as_they_were():
    shown = warnings.showwarning
    with parallel_config("threading", n_jobs=4), pytest.warns(RuntimeWarning) as caught:
        _parallel.run(_noisy, [(i,) for i in range(40)])
    assert sorted(str(each.message) for each in caught) == ["met 0", "met 1"]
    assert warnings.showwarning is shown


@pytest.mark.parametrize("n_jobs", [1, 2])
def test_the_callers_filters_hold_in_workers(n_jobs):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        _parallel.run(_noisy, [(0,), (1,)], n_jobs=n_jobs)
        warnings.simplefilter("error", RuntimeWarning)
        with pytest.raises(RuntimeWarning, match="met 0"):
            _parallel.run(_noisy, [(0,), (1,)], n_jobs=n_jobs)


def test_what_was_met_before_a_failure_is_still_said():
    with pytest.warns(RuntimeWarning) as caught, pytest.raises(KeyError, match="lost"):
        _parallel.run(_raises, [(1,), (2,)])
    assert [str(each.message) for each in caught] == ["met 1", "met 0"]


@pytest.mark.parametrize("n_jobs", [1, 2])
def test_work_runs_on_one_thread(n_jobs):
    with threadpool_limits(limits=2):
        assert _threads(0) == 2
        assert _parallel.run(_threads, [(0,), (1,)], n_jobs=n_jobs) == [1, 1]
        assert _threads(0) == 2


def test_results_arrive_in_order_as_they_are_done():
    seen = []
    with pytest.warns(RuntimeWarning):
        _parallel.run(_noisy, [(i,) for i in range(5)], n_jobs=2, each=seen.append)
    assert seen == [0, 1, 4, 9, 16]


def test_nested_learners_are_seeded_once_each():
    from sklearn.ensemble import RandomForestRegressor
    from sklearn.feature_selection import SelectFromModel
    from sklearn.pipeline import make_pipeline

    pipe = make_pipeline(SelectFromModel(RandomForestRegressor(3)), RandomForestRegressor(3, random_state=7))
    seeded = _parallel.seed_estimator(pipe, np.random.default_rng(0))
    again = _parallel.seed_estimator(pipe, np.random.default_rng(0))
    first = seeded.get_params()["selectfrommodel__estimator__random_state"]
    assert isinstance(first, int)
    assert again.get_params()["selectfrommodel__estimator__random_state"] == first
    assert seeded.get_params()["randomforestregressor__random_state"] == 7
    assert pipe.get_params()["selectfrommodel__estimator__random_state"] is None
    twins = make_pipeline(SelectFromModel(RandomForestRegressor(3)), RandomForestRegressor(3))
    seeds = _parallel.seed_estimator(twins, np.random.default_rng(0)).get_params()
    assert seeds["randomforestregressor__random_state"] != seeds["selectfrommodel__estimator__random_state"]


# -- through the estimators: a learner that warns in every fit, in workers of their own process ---------------------


class NoisyClassifier(LogisticRegression):
    """Warns in every fit, and says where it ran."""

    def fit(self, X, y, sample_weight=None):
        where = "worker" if current_process().name.startswith("Loky") else "caller"
        warnings.warn(f"a learner's doubt in the {where}", stacklevel=2)
        return super().fit(X, y, sample_weight)


class NoisyEncoder(LinearRegression):
    """Two features as they are, with a doubt."""

    def fit(self, X, y=None):
        warnings.warn("an encoder's doubt", stacklevel=2)
        return self

    def transform(self, X):
        return np.asarray(X)


def test_cross_fitting_hands_over_what_learners_say():
    rng = np.random.default_rng(0)
    X, arm, y = rng.normal(size=(200, 2)), rng.integers(2, size=200), rng.uniform(size=200)
    model = SensitivityBounds(propensity=NoisyClassifier(), cv=3, n_jobs=2, random_state=0)
    with pytest.warns(UserWarning, match="doubt") as caught:
        model.fit(X, y, treatment=arm)
    _only(caught, "a learner's doubt in the worker")


@pytest.mark.parametrize("n_jobs", [1, 2])
def test_the_bootstrap_of_a_curve_hands_over_what_encoders_say(n_jobs):
    rng = np.random.default_rng(0)
    action = rng.uniform(-1, 1, size=(200, 1))
    X = np.c_[action, action**2] + rng.normal(size=(200, 2))
    model = Rep4ExRegressor(NoisyEncoder(), calibration=0.0, random_state=0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model.fit(X, X[:, 0] + rng.normal(size=200), action=action)
    with pytest.warns(UserWarning, match="doubt") as caught:
        model.do_curve([0.0], n_bootstrap=4, n_jobs=n_jobs)
    _only(caught, "an encoder's doubt")


def _chain(d, rng):
    B = np.diag(np.ones(d), -1)
    return LinearSEM(B, target=d)


def _loud_family(sem, rng):
    warnings.warn("a family's doubt", stacklevel=2)
    return InterventionFamily(list(sem.features)[:1], per_env="single")


@pytest.mark.parametrize("n_jobs", [1, 2])
def test_experiments_hand_over_what_their_parts_say(n_jobs):
    trial = PACExperiment(
        _chain, _loud_family, {"subset": InvariantSubsetSelector(eps=0.1)}, d=[2], m=[3], n_reps=3, random_state=0
    )
    with pytest.warns(UserWarning, match="doubt") as caught:
        trial.run(n_jobs)
    _only(caught, "a family's doubt")


def _slow(seconds):
    time.sleep(seconds)
    return seconds


def test_long_work_says_how_far_it_is_only_where_asked(capsys):
    tasks = [(0.3,)] * 4
    assert run(_slow, tasks) == [0.3] * 4
    assert capsys.readouterr().err == ""
    with progress():
        assert run(_slow, tasks) == [0.3] * 4
        run(_slow, [(0.0,)] * 3)  # over before there is anything to say
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    written = [line.strip() for line in said.split("\r") if line.strip()]
    assert len(written) >= 2
    assert re.fullmatch(r"4 of 4 tasks of slow, \d+ s, about 0 s left", written[-1])
    assert not wanted()


def _never(residual, labels):
    """A test that rejects every set."""
    return 0.0


class _Yes:
    def predict(self, X):
        return np.ones(len(X))


_FITTED = IVLikeRegression(augmentation=Translation([[1.0, 0.0, 0.0]]))
_BOOSTED = IVLikeBoosting(augmentation=Translation([[1.0, 0.0, 0.0]]), n_estimators=3, random_state=0)


def _environments():
    X = np.random.default_rng(0).normal(size=(60, 3))
    return X, X[:, 0] + np.random.default_rng(1).normal(size=60), np.repeat([0, 1], 30)


@pytest.mark.parametrize(
    ("what", "work"),
    [
        ("sets tested", lambda X, y, e: InvariantCausalPrediction(test=_never).fit(X, y, environments=e)),
        ("sets tested, at most", lambda X, y, e: InvariantSubsetSelector(test=_never).fit(X, y, environments=e)),
        ("sets of features", lambda X, y, e: InvariantSubsetSelector(search="greedy").fit(X, y, environments=e)),
        ("sets of features", lambda X, y, e: InvariantSubsetSelector().fit(X, y, environments=e)),
        ("bootstrap replications", lambda X, y, e: _FITTED.fit(X, y).bootstrap(9, random_state=0)),
        ("learners of boosting", lambda X, y, e: _BOOSTED.fit(X, y)),
        ("rows certified", lambda X, y, e: smoothing_certificate(_Yes(), X, scale=1.0, n_draws=9, random_state=0)),
        ("pieces read", lambda X, y, e: Moments.scan(pd.DataFrame({"x": y, "y": y}), x=["x"], y="y")),
    ],
)
@pytest.mark.filterwarnings("ignore::causalinv.exceptions.CausalInvWarning")
def test_whatever_goes_step_by_step_is_heard(what, work, capsys, monkeypatch):
    monkeypatch.setattr(_progress, "_PAUSE", 0.0)
    work(*_environments())
    assert capsys.readouterr().err == ""
    with progress():
        work(*_environments())
    last = capsys.readouterr().err.rstrip("\n").split("\n")[-1].split("\r")[-1]
    count = re.fullmatch(rf"(?:scan: )?(\d+)(?: of (\d+))? {what}, \d+ s.*", last)
    assert count, last
    assert count[2] in (None, count[1])


def test_of_work_within_work_the_outer_one_speaks(capsys, monkeypatch):
    monkeypatch.setattr(_progress, "_PAUSE", 0.0)

    def inner(_):
        return run(_slow, [(0.0,)] * 2)

    with progress():
        run(inner, [(i,) for i in range(3)])
        assert wanted()
    said = capsys.readouterr().err
    assert "3 of 3 tasks of inner" in said
    assert "slow" not in said
