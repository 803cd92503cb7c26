"""Summaries speak of the outcome by the name that the caller gave it, whatever holds the rows."""

import numpy as np
import pandas as pd
import polars as pl
import pytest

from causalinv import InvariantCausalPrediction, InvariantRepresentation, InvariantSubsetSelector


def rows():
    rng = np.random.default_rng(0)
    labels = np.repeat(["a", "b", "c"], 60)
    X = pd.DataFrame(rng.normal(size=(180, 2)) * (1 + np.repeat([0, 1, 2], 60))[:, None], columns=["dose", "age"])
    y = pd.Series((X["dose"] - 0.5 * X["age"] + rng.normal(size=180)).to_numpy(), name="recovery")
    return X, y, labels


@pytest.mark.parametrize(
    "estimator", [InvariantSubsetSelector(), InvariantCausalPrediction(), InvariantRepresentation()]
)
def test_the_name_of_the_outcome_is_that_of_the_caller(estimator):
    X, y, labels = rows()
    for named in (y, pl.Series("recovery", y.to_numpy())):
        text = " ".join(str(estimator.fit(X, named, environments=labels).summary()).split())
        assert "recovery" in text
        assert " y " not in text
    for nameless in (y.to_numpy(), y.rename(None), y.rename(0), pl.Series(y.to_numpy())):
        text = " ".join(str(estimator.fit(X, nameless, environments=labels).summary()).split())
        assert "recovery" not in text
        assert " y " in text


def test_the_rule_is_written_with_its_signs():
    X, y, labels = rows()
    model = InvariantRepresentation().fit(X, y, environments=labels)
    b, (dose, age) = model.intercept_, model.coef_
    assert age < 0 < dose
    text = " ".join(str(model.summary()).split())
    assert f"Rule: recovery = {b:.4g} + {dose:.4g} dose - {-age:.4g} age" in text


def test_certify_without_a_method_names_the_methods_and_what_they_ask():
    X, y, labels = rows()
    model = InvariantSubsetSelector(eps=1.0).fit(X, y, environments=labels)
    methods = "'beta_sites', 'box', 'scenario', 'vc' or 'hull'"
    with pytest.raises(ValueError, match=rf"needs method=, .*{methods}.*kept out of the fit prove more"):
        model.certify()
