"""Texts that several docstrings share, written once and filled in by name."""

from __future__ import annotations

import inspect
import textwrap
from collections.abc import Callable, Mapping
from typing import Any, ClassVar, TypeVar

__all__ = ["Documented", "documented"]

T = TypeVar("T")

_TEXTS = {
    "X": """
        X : array-like of shape (n, d)
            Features.""",
    "y": """
        y : array-like of shape (n,)
            Outcome.""",
    "environments": """
        environments : array-like of shape (n,)
            Label of each row's environment; at least two different ones.""",
    "random_state": """
        random_state : int, SeedSequence, Generator, RandomState or None
            Seed.""",
    "seen": """
        n_features_in_ : int
        feature_names_in_ : ndarray of str, only if X had names""",
    "seen_only": """
        Attributes
        ----------
        n_features_in_ : int
        feature_names_in_ : ndarray of str, only if X had names""",
    "returns_self": """
        Returns
        -------
        self""",
}


def _filled(text: str, texts: Mapping[str, str]) -> str:
    """The docstring with every line ``{name}`` replaced by that text, indented as the line was."""
    lines = []
    for line in text.split("\n"):
        name = line.strip()
        if name.startswith("{") and name.endswith("}") and name[1:-1] in texts:
            indent = line[: len(line) - len(line.lstrip())]
            lines.append(textwrap.indent(textwrap.dedent(texts[name[1:-1]]).strip("\n"), indent))
        else:
            lines.append(line)
    return "\n".join(lines)


def documented(texts: Mapping[str, str] | None = None) -> Callable[[T], T]:
    """Fill the docstring of a function, or of a class and the methods that it defines.

    Parameters
    ----------
    texts : mapping of str to str, optional
        Texts by name, beside those that all rooms share. A line ``{name}`` of a docstring is replaced by the text of
        that name, indented as the line was; a name that is not known stays as it is.

    Returns
    -------
    callable
        A decorator.
    """
    known = _TEXTS | dict(texts or {})

    def fill(thing: T) -> T:
        inside = vars(thing).values() if inspect.isclass(thing) else ()
        for each in (thing, *(value for value in inside if inspect.isfunction(value))):
            if each.__doc__:
                each.__doc__ = _filled(each.__doc__, known)
        return thing

    return fill


class Documented:
    """Base that fills the docstrings of its subclasses and of the methods that they define.

    Attributes
    ----------
    _shared_texts : mapping of str to str
        A room's own texts, beside those that all rooms share.
    """

    _shared_texts: ClassVar[Mapping[str, str]] = {}

    def __init_subclass__(cls, **kwargs: Any) -> None:
        """Fill, once, when the class is made."""
        super().__init_subclass__(**kwargs)
        documented(cls._shared_texts)(cls)
