"""Texts that several docstrings share, written once and filled in by name; and keywords spelled out in a signature."""

from __future__ import annotations

import functools
import inspect
import textwrap
from collections.abc import Callable, Mapping
from typing import Any, ClassVar, ParamSpec, TypeVar, get_type_hints

__all__ = ["Documented", "documented", "spelled_out"]

P = ParamSpec("P")
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


def spelled_out(function: Callable[P, T]) -> Callable[P, T]:
    """Spell out in the signature the keywords of a last argument ``**rest: Unpack[Keywords]``, None if left out.

    So that a family of methods can name its common keywords once, in a TypedDict, and yet show them to `help`, to
    tab completion and to scikit-learn's metadata routing. A keyword that is not among them raises the TypeError that
    Python raises.

    Parameters
    ----------
    function : callable
        Its last argument is ``**rest``, annotated by ``Unpack`` of a TypedDict.

    Returns
    -------
    callable
        The same, with the signature spelled out.
    """
    written = inspect.signature(function)
    *first, rest = written.parameters.values()
    if rest.kind is not rest.VAR_KEYWORD:
        raise TypeError(f"The last argument of {function.__qualname__} must be **{rest.name}: Unpack[...].")
    (keywords,) = get_type_hints(function)[rest.name].__args__
    more = [
        inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=kind)
        for name, kind in keywords.__annotations__.items()
    ]
    spelled = written.replace(parameters=[*first, *more])
    names = {each.name for each in (*first, *more)}

    @functools.wraps(function)
    def called(*args: P.args, **kwargs: P.kwargs) -> T:
        for name in kwargs:
            if name not in names:
                raise TypeError(f"{function.__qualname__}() got an unexpected keyword argument {name!r}")
        return function(*args, **kwargs)

    called.__signature__ = spelled  # type: ignore[attr-defined]
    return called
