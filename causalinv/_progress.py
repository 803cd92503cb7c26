"""How long work says how far it is: one line on standard error, in a terminal as in a notebook."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

__all__ = ["Line", "alone", "counting", "progress", "wanted"]

_WANTED: ContextVar[bool] = ContextVar("progress", default=False)
_PAUSE = 0.5  # seconds between two writings


def wanted() -> bool:
    """Whether the caller asked for lines of progress."""
    return _WANTED.get()


@contextmanager
def progress() -> Iterator[None]:
    """While the block runs, long work writes on standard error how much is done, of how much, and the time left.

    Heard by whatever goes step by step: sets of features that a search looks at, replications of a bootstrap or of
    `PACExperiment`, resamples of `do_curve` and `diagnostics`, folds of bounds, pieces of `Moments.scan`. Of work
    within work the outer one speaks. Work that ends within half a second writes nothing.

    Yields
    ------
    None

    Examples
    --------
    >>> import numpy as np
    >>> import causalinv
    >>> from causalinv import ManskiBounds
    >>> X, y = np.zeros((20, 1)) + np.arange(20)[:, None], np.arange(20) % 2
    >>> with causalinv.progress():
    ...     model = ManskiBounds(random_state=0).fit(X, y, treatment=np.arange(20) // 2 % 2)
    """
    token = _WANTED.set(True)
    try:
        yield
    finally:
        _WANTED.reset(token)


class Line:
    """One line on standard error, written again about twice a second.

    Parameters
    ----------
    total : int or None
        How many there are, where that is known.
    begin, what : str
        Before and after the numbers.
    """

    def __init__(self, total: int | None, *, begin: str = "", what: str = "done") -> None:
        self.done, self.total, self.begin, self.what = 0, total, begin, what
        self.began = self.last = time.monotonic()
        self.first: tuple[int, float] | None = None  # how many were done, and when: what comes before is set-up
        self.written = False

    def step(self, n: int = 1) -> None:
        """So many more are done."""
        self.done += n
        now = time.monotonic()
        if self.first is None:
            self.first = self.done, now
        if now - self.last >= _PAUSE:
            self.last = now
            self._write()

    def _write(self) -> None:
        now = time.monotonic()
        seconds = now - self.began
        of = "" if self.total is None else f" of {self.total}"
        left = ""
        if self.total and self.first is not None and self.done > self.first[0]:
            each = (now - self.first[1]) / (self.done - self.first[0])
            left = f", about {each * (self.total - self.done):.0f} s left"
        sys.stderr.write(f"\r{self.begin}{self.done}{of} {self.what}, {seconds:.0f} s{left}   ")
        sys.stderr.flush()
        self.written = True

    def end(self, *, always: bool = False) -> None:
        """The last word, if there was one before or it is asked for."""
        if self.written or always:
            if self.done:
                self._write()
            sys.stderr.write("\n")


@contextmanager
def alone(line: Line | None, *, always: bool = False) -> Iterator[None]:
    """While the block runs no other line is begun over this one; then its last word."""
    token = _WANTED.set(wanted() and line is None)
    try:
        yield
    finally:
        _WANTED.reset(token)
        if line is not None:
            line.end(always=always)


@contextmanager
def counting(total: int | None, what: str) -> Iterator[Callable[[int], object]]:
    """A function that is told how many more are done; it writes where the caller asked for `progress`."""
    line = Line(total, what=what) if wanted() else None
    with alone(line):
        yield _unheard if line is None else line.step


def _unheard(n: int) -> None:
    """Nobody asked."""
