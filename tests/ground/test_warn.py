"""Warnings name the user's line."""

import linecache
import warnings
from pathlib import Path

import pytest

from causalinv import _warn
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
