"""One line on standard error that says how much is done and how long the rest may take."""

from __future__ import annotations

import sys
import time

__all__ = ["Progress"]

_EVERY = 0.5  # seconds between two writings of the line


class Progress:
    """The line, written again about twice a second.

    Parameters
    ----------
    name, what : str
        ``name: 3 of 8 what, ...``.
    total : int, optional
        What is to be done in all; left out, no time left is told.
    """

    def __init__(self, name: str, what: str, total: int | None = None) -> None:
        self.done, self.total = 0, total
        self._name, self._what = name, what
        self._began = self._last = time.monotonic()

    def step(self) -> None:
        """One more is done."""
        self.done += 1
        now = time.monotonic()
        if now - self._last >= _EVERY:
            self._last = now
            self._write()

    def _write(self) -> None:
        seconds = time.monotonic() - self._began
        of = "" if self.total is None else f" of {self.total}"
        left = "" if not self.total else f", about {seconds / self.done * (self.total - self.done):.0f} s left"
        sys.stderr.write(f"\r{self._name}: {self.done}{of} {self._what}, {seconds:.0f} s{left}   ")
        sys.stderr.flush()

    def end(self) -> None:
        """The last state, and the end of the line."""
        if self.done:
            self._write()
        sys.stderr.write("\n")
