"""How far long work has come: one line on standard error, written again about twice a second."""

from __future__ import annotations

import sys
import time

__all__ = ["Progress"]


class Progress:
    """Counts what is done, of how many if that is known.

    Parameters
    ----------
    work, unit : str
        What is done, and in what: ``"scan"``, ``"pieces read"``.
    total : int or None
    """

    def __init__(self, work: str, unit: str, total: int | None) -> None:
        self.work, self.unit, self.total, self.done = work, unit, total, 0
        self.began = self.last = time.monotonic()

    def step(self) -> None:
        """One more is done."""
        self.done += 1
        now = time.monotonic()
        if now - self.last >= 0.5:
            self.last = now
            self._write()

    def _write(self) -> None:
        seconds = time.monotonic() - self.began
        of = "" if self.total is None else f" of {self.total}"
        left = "" if not self.total else f", about {seconds / self.done * (self.total - self.done):.0f} s left"
        sys.stderr.write(f"\r{self.work}: {self.done}{of} {self.unit}, {seconds:.0f} s{left}   ")
        sys.stderr.flush()

    def end(self) -> None:
        """Write a last time, and end the line."""
        if self.done:
            self._write()
        sys.stderr.write("\n")
