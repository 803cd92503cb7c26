"""Shared texts stand in the docstrings where their names stood."""

import inspect
from typing import ClassVar

from causalinv._docs import Documented, documented


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
