"""Warnings name the user's line, and workers lose none."""

import linecache
import warnings
from pathlib import Path

import numpy as np
import pytest

from causalinv import _parallel, _warn
from causalinv.exceptions import DegenerateInputWarning

HERE = Path(__file__).name


def _through_sklearn(function):
    """Call through frames that pass for a library's."""
    scope = {"__name__": "sklearn.somewhere", "function": function}
    exec(compile("def call():\n    return function()\n", "sklearn_file.py", "exec"), scope)
    return scope["call"]


def _inside(function):
    scope = {"__name__": "causalinv.somewhere", "function": function}
    exec(compile("def call():\n    return function()\n", "ours.py", "exec"), scope)
    return scope["call"]


def test_frames_of_ours_and_of_libraries_are_passed_over():
    raised = _inside(_through_sklearn(_inside(_warner())))
    with pytest.warns(DegenerateInputWarning, match="here") as caught:
        raised()
    assert Path(caught[0].filename).name == HERE
    assert linecache.getline(caught[0].filename, caught[0].lineno).strip() == "raised()"


def _warner():
    scope = {"__name__": "causalinv.deep", "warn": _warn.warn, "category": DegenerateInputWarning}
    exec(compile("def call():\n    warn('here', category)\n", "ours.py", "exec"), scope)
    return scope["call"]


def test_filters_see_the_users_module():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        warnings.filterwarnings("error", module=__name__.replace(".", r"\."))
        with pytest.raises(DegenerateInputWarning):
            _inside(_warner())()


def _noisy(i):
    warnings.warn(f"met {i % 2}", RuntimeWarning, stacklevel=1)
    return i * i


@pytest.mark.parametrize("n_jobs", [1, 2])
def test_workers_hand_their_warnings_over_once(n_jobs):
    with pytest.warns(RuntimeWarning) as caught:
        assert _parallel.run(_noisy, [(i,) for i in range(6)], n_jobs=n_jobs) == [0, 1, 4, 9, 16, 25]
    assert sorted(str(each.message) for each in caught) == ["met 0", "met 1"]
    assert {Path(each.filename).name for each in caught} == {HERE}


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
