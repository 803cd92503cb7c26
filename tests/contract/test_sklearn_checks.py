"""scikit-learn's own estimator checks, all of them, with an empty list of expected failures."""

import pytest
from sklearn.utils.estimator_checks import parametrize_with_checks

from tests.contract.registry import REGISTRY, public_estimators


def test_every_public_estimator_is_registered():
    assert public_estimators() == set(REGISTRY)


# Checks feed estimators constant outcomes, dependent columns and arbitrary environments on purpose; our warnings about
# them are right.
@pytest.mark.filterwarnings("ignore::causalinv.exceptions.DegenerateInputWarning")
@pytest.mark.filterwarnings("ignore::causalinv.exceptions.IdentificationWarning")
@pytest.mark.filterwarnings("ignore::causalinv.exceptions.ExtrapolationWarning")
@pytest.mark.filterwarnings("ignore::causalinv.exceptions.OverlapWarning")  # of ten rows a propensity may be near 0
# One check is skipped by scikit-learn itself unless SCIPY_ARRAY_API is set, and says so by a warning.
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.SkipTestWarning")
@parametrize_with_checks([estimator for entry in REGISTRY.values() for estimator in entry.sklearn_checks])
def test_scikit_learn_check(estimator, check):
    check(estimator)
