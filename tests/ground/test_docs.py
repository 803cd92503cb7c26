"""Shared texts stand in the docstrings where their names stood; shared keywords stand in the signature."""

import inspect
from typing import ClassVar, TypedDict, Unpack

import pytest
from sklearn.base import BaseEstimator

from causalinv._docs import Documented, documented, spelled_out


class Keywords(TypedDict, total=False):
    groups: list
    sample_weight: list


class Fitter(BaseEstimator):
    __metadata_request__fit: ClassVar = {"groups": True}

    @spelled_out
    def fit(self, X, y, *, instruments=None, **rest: Unpack[Keywords]):
        """Fit."""
        self.got_ = (instruments, rest.get("groups"), rest.get("sample_weight"))
        return self


def test_a_text_stands_indented_where_its_name_stood():
    @documented({"level": "level : float\n    Of the test."})
    def judge(level, random_state=None):
        """Judge.

        Parameters
        ----------
        {level}
        {random_state}
        {unknown}
        """

    lines = inspect.getdoc(judge).split("\n")
    assert lines[4:6] == ["level : float", "    Of the test."]
    assert lines[6:8] == ["random_state : int, SeedSequence, Generator, RandomState or None", "    Seed."]
    assert lines[8] == "{unknown}"


def test_a_base_fills_its_subclasses_and_their_methods():
    class Room(Documented):
        _shared_texts: ClassVar = {"arm": "arm : label"}

    class Model(Room):
        """A model.

        {arm}
        """

        def fit(self, X):
            """Fit.

            {X}
            {returns_self}
            """

        def undocumented(self):
            pass

    assert inspect.getdoc(Model).split("\n") == ["A model.", "", "arm : label"]
    assert inspect.getdoc(Model.fit).split("\n")[2:] == [
        "X : array-like of shape (n, d)",
        "    Features.",
        "Returns",
        "-------",
        "self",
    ]
    assert Model.undocumented.__doc__ is None


def test_keywords_are_seen_taken_and_refused():
    parameters = inspect.signature(Fitter.fit).parameters
    assert list(parameters) == ["self", "X", "y", "instruments", "groups", "sample_weight"]
    assert all(parameters[name].default is None for name in ("groups", "sample_weight"))
    assert parameters["groups"].kind is inspect.Parameter.KEYWORD_ONLY
    assert Fitter().fit(1, 2, sample_weight=[3]).got_ == (None, None, [3])
    assert Fitter.fit.__doc__ == "Fit."
    with pytest.raises(TypeError, match=r"fit\(\) got an unexpected keyword argument 'group'"):
        Fitter().fit(1, 2, group=[3])
    request = Fitter().get_metadata_routing().fit.requests
    assert request["sample_weight"] is None
    assert request["groups"] is True


def test_only_a_family_of_keywords_can_be_spelled_out():
    with pytest.raises(TypeError, match="last argument"):
        spelled_out(lambda a: a)
