"""A package about invariance, tested by invariance: what must not matter to any number that an estimator reports.

Each relation changes the data in a way that is no change. The full grid of subject, relation and kind of data is slow;
a covering sample runs by default: every subject under every relation on one kind of data, every kind at least once.
"""

import pickle

import numpy as np
import pandas as pd
import polars as pl
import pytest

from causalinv.exceptions import CausalInvWarning
from tests.contract.subjects import KINDS, METADATA, SUBJECTS, of_kind, quietly

ROWS = ("X", "y", *METADATA)


def _weights(n):
    return np.random.default_rng(11).random(n) + 0.5


def _take(data, rows):
    return data | {k: data[k][rows] for k in ROWS if data[k] is not None}


# -- relations: (subject, data) -> (data, the same data told otherwise) --


def zero_weight(subject, data):
    """Rows of weight 0 are not there, whatever they hold."""
    n = len(data["y"])
    weight = _weights(n) if subject.unequal_weights else np.ones(n)
    wild = _take(data, np.arange(6))
    wild["X"] = np.array(wild["X"], dtype=float) + 50.0
    wild["y"] = np.full(6, 41.0) if set(np.unique(data["y"])) - {0.0, 1.0} else 1.0 - np.asarray(wild["y"])
    wild["groups"] = 900 + np.arange(6)
    more = {k: np.concatenate([data[k], wild[k]]) for k in ROWS if data[k] is not None}
    return data | {"sample_weight": weight}, data | more | {"sample_weight": np.r_[weight, np.zeros(6)]}


def weight_unit(subject, data):
    """Weights count up to a factor."""
    n = len(data["y"])
    weight = _weights(n) if subject.unequal_weights else np.ones(n)
    return data | {"sample_weight": weight}, data | {"sample_weight": 1e-6 * weight}


def weight_unit_large(subject, data):
    first, second = weight_unit(subject, data)
    return first, second | {"sample_weight": 1e12 * second["sample_weight"]}


def unit_weights(subject, data):
    """Weights that are all equal are no weights."""
    return data, data | {"sample_weight": np.full(len(data["y"]), 2.5)}


def permuted(subject, data):
    """The order of the rows."""
    return data, _take(data, np.random.default_rng(5).permutation(len(data["y"])))


def constant(subject, data):
    """A column that says nothing."""
    return data, _widen(data, np.full(len(data["y"]), 7.0), np.full(len(data["new"]), 7.0))


def almost_constant(subject, data):
    """0.3 and 0.1 + 0.2 are one number."""
    n, m = len(data["y"]), len(data["new"])
    pick = np.array([0.3, 0.1 + 0.2])
    return data, _widen(data, pick[np.arange(n) % 2], pick[np.arange(m) % 2])


def duplicate(subject, data):
    """A column that is a sum of others."""
    return data, _widen(data, data["X"][:, 3] + 0.0, data["new"][:, 3] + 0.0)


def _widen(data, column, new):
    return data | {
        "X": np.column_stack([np.asarray(data["X"], dtype=float), column]),
        "new": np.column_stack([np.asarray(data["new"], dtype=float), new]),
    }


def outcome_unit(subject, data):
    """Units of the outcome: a linear method follows."""
    return data, data | {"y": 2.0**20 * np.asarray(data["y"], dtype=float)}


def outcome_unit_tiny(subject, data):
    return data, data | {"y": 1e-100 * np.asarray(data["y"], dtype=float)}


def outcome_unit_huge(subject, data):
    return data, data | {"y": 1e100 * np.asarray(data["y"], dtype=float)}


def _feature_unit(unit):
    def relation(subject, data):
        out = {key: unit * np.asarray(data[key], dtype=float) for key in ("X", "new")}
        return data, data | out

    return relation


def feature_origin(subject, data):
    """Features counted from elsewhere."""
    return data, data | {key: 64.0 + np.asarray(data[key], dtype=float) for key in ("X", "new")}


def _renamed(names, *which):
    def relation(subject, data):
        out = dict(data)
        for key in which or ("environments", "groups", "treatment"):
            labels = np.asarray(data[key])
            out[key] = names(labels)
        return data, out

    return relation


def _pairs(labels):
    return [("site", int(label)) for label in labels]


text_labels = _renamed(lambda labels: np.array([f"k{label:03d}" for label in labels]))
pair_labels = _renamed(_pairs, "environments", "groups")
date_labels = _renamed(
    lambda labels: pd.to_datetime("2001-01-01") + pd.to_timedelta(labels, unit="D"), "environments", "groups"
)
category_labels = _renamed(lambda labels: pd.Categorical([f"k{label:03d}" for label in labels]))
float_labels = _renamed(lambda labels: labels + 0.5)
boolean_labels = _renamed(lambda labels: labels.astype(bool), "treatment")


def pandas_rows(subject, data):
    """A frame is its array."""
    index = pd.Index(np.arange(len(data["y"]))[::-1] * 3)
    out = {"X": pd.DataFrame(data["X"], columns=[f"f{i}" for i in range(4)], index=index)}
    out["y"] = pd.Series(data["y"], index=index)
    for key in ("instruments", "more_instruments", "controls", "augmentation_parameters", "action"):
        out[key] = pd.DataFrame(data[key], index=index).add_prefix("z")
    for key in ("environments", "groups", "treatment"):
        out[key] = pd.Series(data[key], index=index)
    return data, data | out | {"new": pd.DataFrame(data["new"], columns=[f"f{i}" for i in range(4)])}


def polars_rows(subject, data):
    out = {"X": pl.DataFrame(data["X"], schema=[f"f{i}" for i in range(4)]), "y": pl.Series(data["y"])}
    for key in ("instruments", "more_instruments", "controls", "augmentation_parameters", "action"):
        out[key] = pl.DataFrame(data[key], schema=[f"z{i}" for i in range(data[key].shape[1])])
    for key in ("environments", "groups", "treatment"):
        out[key] = pl.Series(data[key])
    return data, data | out | {"new": pl.DataFrame(data["new"], schema=[f"f{i}" for i in range(4)])}


def lists(subject, data):
    return data, data | {k: np.asarray(data[k]).tolist() for k in ROWS if data[k] is not None}


RELATIONS = {
    "zero weight": zero_weight,
    "weight unit": weight_unit,
    "weight unit large": weight_unit_large,
    "unit weights": unit_weights,
    "permuted": permuted,
    "constant": constant,
    "almost constant": almost_constant,
    "duplicate": duplicate,
    "outcome unit": outcome_unit,
    "outcome unit tiny": outcome_unit_tiny,
    "outcome unit huge": outcome_unit_huge,
    "feature unit": _feature_unit(2.0**13),
    "feature unit tiny": _feature_unit(1e-100),
    "feature unit huge": _feature_unit(1e100),
    "feature origin": feature_origin,
    "text labels": text_labels,
    "pair labels": pair_labels,
    "date labels": date_labels,
    "category labels": category_labels,
    "float labels": float_labels,
    "boolean labels": boolean_labels,
    "pandas": pandas_rows,
    "polars": polars_rows,
    "lists": lists,
}
_SCALED = {"outcome unit": 2.0**20, "outcome unit tiny": 1e-100, "outcome unit huge": 1e100}
_UNITS = {"feature unit": 2.0**13, "feature unit tiny": 1e-100, "feature unit huge": 1e100}
#: of the outcome's unit
_FREE = {"pvalues_", "set_pvalues", "gaps_", "gap_", "alpha_", "n_accepted", "test_pvalues", "strength"}
_FREE |= {"broken and whole", "invariance_pvalue", "robustness", "breakdown", "wald pvalues", "anderson_rubin pvalues"}
_PER_FEATURE = {"coef_", "confint", "pvalues_", "conf_int_", "errors", "sensitivity", "robustness"}
_PER_FEATURE |= {f"{kind} {what}" for kind in ("wald", "anderson_rubin") for what in ("pvalues", "slopes")}
_IN_UNITS = {"projection", "image moments", "invariant coordinates"}  # transform into units of the features
_SLOPES = {
    "coef_",
    "confint",
    "conf_int_",
    "errors",
    "sensitivity",
    "wald slopes",
    "anderson_rubin slopes",
}  # per unit of a feature, and sets of them
_SQUARED = {"risk_env_", "worst_risk_"}


def applies(subject, relation):
    used = {"environments", "groups", "treatment"} & set(subject.metadata)
    out = (
        relation in subject.exceptions,
        "weight" in relation and not subject.weighted,
        relation == "permuted" and subject.drawn,  # copies, folds or landmarks are drawn row by row
        relation == "duplicate" and not subject.linear,
        relation in _SCALED and (not subject.linear or subject.name == "projection"),
        relation in _UNITS and not subject.unit_free,
        relation == "feature origin" and not subject.origin_free,
        relation.endswith("labels") and not used,
        relation == "boolean labels" and "treatment" not in used,
    )
    return not any(out)


_PLAIN = {}  # what a subject says of the data as they are, which most relations compare with


def _plainly(subject, kind, data):
    """What a subject says of data of a kind, asked once."""
    if (subject.name, kind) not in _PLAIN:
        _PLAIN[subject.name, kind] = quietly(subject.numbers, data)[0]
    return _PLAIN[subject.name, kind]


def check(subject, relation, kind):
    data = of_kind(kind)
    told, otherwise = RELATIONS[relation](subject, data)
    first = _plainly(subject, kind, data) if told is data else quietly(subject.numbers, told)[0]
    second, warned = quietly(subject.numbers, otherwise)
    if isinstance(first, Exception) or isinstance(second, Exception):
        if (relation in _SCALED or relation in _UNITS) and not isinstance(first, Exception):
            assert ("X" if relation in _UNITS else "y") in str(second)  # refused by name
            return
        assert type(first) is type(second), (first, second)
        return
    assert first.keys() == second.keys()
    extra = relation in ("constant", "almost constant", "duplicate")
    if extra and subject.linear:
        assert any(issubclass(category, CausalInvWarning) for category in warned), "nobody said so"
    factor = _SCALED.get(relation, 1.0)
    for name, value in first.items():
        a, b = np.asarray(value, dtype=float), np.asarray(second[name], dtype=float)
        if name in ("n_accepted", "set_pvalues") and extra:
            continue  # sets with the new column are new sets
        if extra and name in _PER_FEATURE:
            kept = 3 if relation == "duplicate" else 4  # the repeated column shares its coefficient with the copy
            a, b = a[:kept], b[:kept]
        if relation == "permuted" and name == "transform":
            continue  # the rows themselves
        if name == "intercept_" and (relation == "feature origin" or subject.name == "rep4ex"):
            continue  # it is where all features are 0; that of an action is in units of the representation
        scale = 1.0 if name in _FREE else factor**2 if name in _SQUARED else factor
        if name in _SLOPES or name.startswith("set of"):
            b = b * _UNITS.get(relation, 1.0)
        elif name == "transform" and subject.name in _IN_UNITS:
            b = b / _UNITS.get(relation, 1.0)
        b = b / scale
        assert a.shape == b.shape, name
        assert (np.isfinite(a) == np.isfinite(b)).all(), name
        finite = np.isfinite(a)
        size = float(np.abs(a[finite]).max(initial=0.0)) or 1.0
        loose = max(1e-3 if kind in ("near singular", "badly scaled", "float32") else 0.0, subject.rtol)
        np.testing.assert_allclose(b[finite], a[finite], rtol=loose, atol=loose * size, err_msg=name)
        np.testing.assert_array_equal(a[~finite & ~np.isnan(a)], b[~finite & ~np.isnan(b)])


GRID = [
    (subject, relation, kind)
    for subject in SUBJECTS
    for relation in RELATIONS
    if applies(subject, relation)
    for kind in KINDS
]


def _sample():
    """Every subject and relation once, kinds in turn so that each subject meets several."""
    chosen, kinds = [], list(KINDS)
    for i, subject in enumerate(SUBJECTS):
        for j, relation in enumerate(r for r in RELATIONS if applies(subject, r)):
            chosen.append((subject, relation, kinds[(7 * i + j) % len(kinds)]))
    return chosen


def _ids(chosen):
    return [f"{subject.name}-{relation}-{kind}".replace(" ", "_") for subject, relation, kind in chosen]


@pytest.mark.parametrize(("subject", "relation", "kind"), _sample(), ids=_ids(_sample()))
def test_what_must_not_matter_does_not(subject, relation, kind):
    check(subject, relation, kind)


@pytest.mark.slow
@pytest.mark.parametrize(("subject", "relation", "kind"), GRID, ids=_ids(GRID))
def test_what_must_not_matter_does_not_on_any_data(subject, relation, kind):
    check(subject, relation, kind)


@pytest.mark.parametrize("subject", SUBJECTS, ids=lambda subject: subject.name)
def test_a_fit_and_its_results_survive_pickle(subject):
    data = of_kind("continuous")
    first = _plainly(subject, "continuous", data)
    fitted, _ = quietly(subject.fit, data)
    back = pickle.loads(pickle.dumps(fitted))
    again, _ = quietly(subject.report, back, data)
    if isinstance(again, ValueError):  # what needs the rows says so: they are not pickled
        assert "fit(X, y) again" in str(again)
        return
    for name, value in again.items():
        np.testing.assert_array_equal(np.asarray(value, float), np.asarray(first[name], float), err_msg=name)


def test_uneven_weights_are_uneven_whatever_their_mean():
    """Weights that average 1 in each environment were once taken for none: the tests of invariance must refuse both."""
    data = of_kind("continuous")
    weight = np.random.default_rng(0).exponential(size=len(data["y"])) ** 2
    mean = np.array([weight[data["environments"] == e].mean() for e in range(3)])
    per_environment = weight / mean[data["environments"]]
    for subject in SUBJECTS:
        if subject.weighted and not subject.unequal_weights and subject.name != "selector-eps":
            for each in (weight, per_environment):
                result, _ = quietly(subject.numbers, data | {"sample_weight": each})
                assert isinstance(result, ValueError), subject.name
                assert "weight" in str(result)
