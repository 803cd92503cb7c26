"""Seeds for work that may run in any order: one `random_state`, independent streams.

Stream i depends on the seed and on i alone, so adding work leaves earlier results as they were, and the
number of workers never changes a number. NumPy's global generator is neither read nor written.
"""

import numbers
import os
import warnings
import zlib
from collections.abc import Callable, Iterable, Sequence
from typing import Any, TypeVar

import numpy as np
from joblib import Parallel, delayed
from sklearn.base import clone
from threadpoolctl import threadpool_limits

from causalinv._progress import Line, alone, wanted
from causalinv._typing import RandomState
from causalinv._warn import again

__all__ = ["generator", "run", "seed_estimator", "streams", "streams_at"]

_Result = TypeVar("_Result")


def generator(random_state: RandomState, purpose: str) -> np.random.Generator:
    """Turn whatever the user passed as `random_state` into a generator (a Generator is used as it is).

    The stream also depends on `purpose`, a word: users pass one seed to everything, and the noise of a sample must not
    be the parameters of the intervention that it is sampled under.
    """
    if isinstance(random_state, np.random.Generator):
        return random_state
    return np.random.default_rng(_seed_sequence(random_state, purpose))


def streams(random_state: RandomState, n: int, purpose: str) -> list[np.random.Generator]:
    """Return `n` independent generators for a purpose; the first k are the same whatever `n` is."""
    return [np.random.default_rng(child) for child in _seed_sequence(random_state, purpose).spawn(n)]


def streams_at(random_state: RandomState, positions: Sequence[int], purpose: str) -> list[np.random.Generator]:
    """The generators that `streams` would return at these positions, without making those in between."""
    seed = _seed_sequence(random_state, purpose)
    children = (
        np.random.SeedSequence(seed.entropy, spawn_key=(*seed.spawn_key, int(i)), pool_size=seed.pool_size)
        for i in positions
    )
    return [np.random.default_rng(child) for child in children]


def _seed_sequence(random_state: RandomState, purpose: str) -> np.random.SeedSequence:
    seed = _as_seed_sequence(random_state)
    key = (*seed.spawn_key, zlib.crc32(purpose.encode()))
    return np.random.SeedSequence(seed.entropy, spawn_key=key, pool_size=seed.pool_size)


def _as_seed_sequence(random_state: RandomState) -> np.random.SeedSequence:
    if isinstance(random_state, np.random.SeedSequence):
        return random_state
    if random_state is None:
        return np.random.SeedSequence()
    if isinstance(random_state, np.random.Generator):
        return np.random.SeedSequence(random_state.integers(2**32, size=4).tolist())
    if isinstance(random_state, np.random.RandomState):
        return np.random.SeedSequence(random_state.randint(2**32, size=4, dtype=np.uint64).tolist())
    if isinstance(random_state, numbers.Integral) and not isinstance(random_state, bool):
        if random_state < 0:
            raise ValueError(f"random_state must be >= 0, got {random_state}; pass a non-negative integer.")
        return np.random.SeedSequence(int(random_state))
    raise TypeError(
        "random_state must be None, an int, a numpy SeedSequence, Generator or RandomState; "
        f"got {type(random_state).__name__}."
    )


def seed_estimator(estimator: Any, rng: np.random.Generator) -> Any:
    """Clone a learner; each `random_state` that is None, its own or of what it holds, is set from the stream.

    Every learner that a user hands us is cloned and seeded here and nowhere else, so that one `random_state` fixes a
    fit and two learners of one fit never share a stream.
    """
    fresh = clone(estimator)
    if not hasattr(fresh, "get_params"):
        return fresh
    given = fresh.get_params(deep=True)
    empty = sorted(key for key, value in given.items() if value is None and key.rpartition("__")[2] == "random_state")
    return fresh.set_params(**{key: int(rng.integers(2**31)) for key in empty}) if empty else fresh


def run(
    function: Callable[..., _Result],
    tasks: Iterable[tuple[Any, ...]],
    *,
    n_jobs: int | None = None,
    line: Line | None = None,
    each: Callable[[_Result], object] | None = None,
) -> list[_Result]:
    """Call `function` on every task through joblib; warnings come out once each, at the user's line.

    Work runs on one thread of linear algebra wherever it runs, so that sums are the same for any `n_jobs`. Warnings
    are held until the work has ended (or failed): a worker would print them on its own error stream, where no filter
    of the caller applies.

    Parameters
    ----------
    function : callable
        Called with each task's arguments.
    tasks : iterable of tuple
        Arguments of each call.
    n_jobs : int, optional
        As in joblib: None is 1 unless a `joblib.parallel_config` says otherwise.
    line : Line, optional
        Says how many tasks are done; left out, there is one only where the caller asked for `progress`.
    each : callable, optional
        Called here with each result, in the order of the tasks, as soon as it is there.

    Returns
    -------
    list
        Results in the order of the tasks, the same for any `n_jobs`.
    """
    work = list(tasks)
    what = f"tasks of {getattr(function, '__name__', 'work').lstrip('_')}"
    asked = line is not None
    if line is None and wanted() and len(work) > 1:
        line = Line(len(work), what=what)
    results: list[_Result] = []
    met: list[tuple[str, type[Warning]]] = []
    try:
        # Tasks of this process (one job, or threads) share its filters, so they are caught here and not in each task.
        with alone(line, always=asked), warnings.catch_warnings(record=True) as here, threadpool_limits(limits=1):
            warnings.simplefilter("always")
            try:
                pool = Parallel(n_jobs=n_jobs, return_as="generator")
                for result, caught in pool(delayed(_task)(function, task, os.getpid()) for task in work):
                    met += caught
                    results.append(result)
                    if line is not None:
                        line.step()
                    if each is not None:
                        each(result)
            finally:
                met += _texts(here)
    finally:
        again(met)
    return results


def _task(
    function: Callable[..., _Result], task: tuple[Any, ...], caller: int
) -> tuple[_Result, list[tuple[str, type[Warning]]]]:
    if os.getpid() == caller:
        return function(*task), []
    with warnings.catch_warnings(record=True) as caught, threadpool_limits(limits=1):
        warnings.simplefilter("always")
        result = function(*task)
    return result, _texts(caught)


def _texts(caught: list[warnings.WarningMessage]) -> list[tuple[str, type[Warning]]]:
    return [(str(each.message), each.category) for each in caught]
