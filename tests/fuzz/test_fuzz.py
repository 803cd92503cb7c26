"""Generated input: an answer, or an error of ours; never a foreign traceback, a silent NaN or an impossible number."""

from collections import Counter

import pytest

from tests.fuzz.cases import run

SAMPLE = 240


@pytest.mark.parametrize("start", range(0, SAMPLE, 40))
def test_generated_input_is_answered_or_refused_by_name(start):
    assert {seed: wrong for seed in range(start, start + 40) if (wrong := run(seed))} == {}


@pytest.mark.slow
@pytest.mark.parametrize("start", range(0, 10_000, 500))
def test_ten_thousand_cases(start):
    assert Counter(each for seed in range(start, start + 500) for each in run(seed)) == Counter()
