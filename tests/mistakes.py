"""One mistake of a user: the call, the exception that it must raise, and what the message must name."""

from collections.abc import Callable
from dataclasses import dataclass

import pytest


@dataclass(frozen=True)
class Mistake:
    name: str
    call: Callable[[], object]
    match: str
    error: type[Exception] = ValueError

    def check(self):
        with pytest.raises(self.error, match=self.match):
            self.call()


def each(mistakes):
    """Run the test for each of them; their names differ, so that a failure says which one it is."""
    names = [mistake.name for mistake in mistakes]
    assert len(set(names)) == len(names)
    return pytest.mark.parametrize("mistake", mistakes, ids=names)
