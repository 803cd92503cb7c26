"""Columns that are one number up to rounding, offsets, names. Judges: the same table without column or offset."""

import numpy as np
import pandas as pd
import pytest
from scipy.spatial.distance import cdist
from sklearn.linear_model import LogisticRegression
from sklearn.tree import DecisionTreeClassifier

from causalinv._matrix import centred
from causalinv.exceptions import DegenerateInputWarning
from causalinv.representation import (
    OrthogonalAlignment,
    RelativeRepresentation,
    diffusion_spectral_entropy,
    effective_rank,
    equivariance_score,
    invariance_score,
    neural_collapse,
    participation_ratio,
    rank_me,
    smoothing_certificate,
    spectral_exponent,
)

MANY = 100_000  # rows, whose mean is off by more than a rounding


def test_centring_leaves_nothing_of_a_constant_and_all_of_the_rest():
    rng = np.random.default_rng(0)
    small = 1e-5 * rng.normal(size=MANY)
    table = np.column_stack([np.full(MANY, 1e8 / 3), small, np.where(small > 0, 0.3, 0.1 + 0.2)])
    assert np.abs(table.mean(axis=0) - table[0])[0] > 1e-6  # what one subtraction would leave
    found = centred(table)
    np.testing.assert_array_equal(found[:, [0, 2]], 0.0)
    np.testing.assert_allclose(found[:, 1], small - small.mean(), rtol=0, atol=1e-20)


@pytest.mark.parametrize("measure", [lambda Z: rank_me(Z, center=True), effective_rank, participation_ratio])
def test_a_constant_column_is_no_direction(measure):
    rng = np.random.default_rng(0)
    Z = np.column_stack([np.full(MANY, 1e8 / 3), 1e-5 * rng.normal(size=(MANY, 2))])
    assert measure(Z).estimate == pytest.approx(measure(Z[:, 1:]).estimate, rel=1e-5)
    for nothing in (np.full((MANY, 3), 0.1), np.where(rng.random((300, 1)) < 0.5, 0.3, 0.1 + 0.2) * np.ones(3)):
        with pytest.warns(DegenerateInputWarning, match="no direction"):
            assert np.isnan(measure(nothing).estimate)


def test_scores_of_rows_that_differ_by_rounding():
    rng = np.random.default_rng(0)
    Z = np.where(rng.random((300, 1)) < 0.5, 0.3, 0.1 + 0.2) * np.ones(3)
    with pytest.warns(DegenerateInputWarning, match="one point"):
        assert np.isnan(invariance_score(Z, Z[::-1].copy()).estimate)
    with pytest.warns(DegenerateInputWarning, match="one point"):
        assert diffusion_spectral_entropy(Z).estimate == pytest.approx(0.0, abs=1e-9)
    with pytest.raises(ValueError, match="only 0 eigenvalues"):
        spectral_exponent(Z, ranks=[1, 2, 3])


def test_a_constant_column_changes_no_regression():
    rng = np.random.default_rng(1)
    n = 20_000
    Z, G = rng.normal(size=(n, 2)), rng.normal(size=(n, 1))
    moved = Z + G * Z[:, ::-1] + 0.1 * rng.normal(size=(n, 2))
    beside, beside_moved = (np.column_stack([each, np.full(n, 1e8 / 3)]) for each in (Z, moved))
    one, other = equivariance_score(Z, moved, G).table, equivariance_score(beside, beside_moved, G).table
    np.testing.assert_allclose(other["estimate"], one["estimate"], rtol=1e-6)
    Y = Z @ np.array([[0.6, -0.8], [0.8, 0.6]])
    free, with_it = (OrthogonalAlignment(np.inf).fit(each, Y) for each in (Z, beside))
    np.testing.assert_allclose(with_it.coef_, np.column_stack([free.coef_, np.zeros(2)]), atol=1e-9)


def test_collapse_where_a_class_lies_at_the_centre_and_beside_a_constant():
    Z = np.repeat([[0.1, 0.7], [0.2, 0.9], [0.3, 1.1]], 5, axis=0)  # the second mean is off the centre by a rounding
    table = neural_collapse(Z, np.repeat([0, 1, 2], 5)).table["estimate"]
    assert np.isnan(table["nc2_angles"])
    assert table["nc2_equinorm"] == pytest.approx(np.sqrt(0.5))
    rng = np.random.default_rng(0)
    small = 1e-5 * (np.repeat(np.eye(3), 50, axis=0) + 0.1 * rng.normal(size=(150, 3)))
    labels = np.repeat([0, 1, 2], 50)
    alone = neural_collapse(small, labels).table["estimate"]
    beside = neural_collapse(np.column_stack([small, np.full(150, 1e8 / 3)]), labels).table["estimate"]
    np.testing.assert_allclose(beside, alone, rtol=1e-6)


@pytest.mark.parametrize("offset", [0.0, 1e3, 1e6, 1e8])
@pytest.mark.parametrize("center", [True, False])
def test_distances_to_anchors_do_not_feel_an_offset(offset, center):
    Z = np.random.default_rng(0).normal(size=(50, 3))
    anchors = Z[:10]
    size = np.sqrt(np.mean(np.sum((anchors - anchors.mean(axis=0)) ** 2, axis=1)))
    found = RelativeRepresentation(anchors=range(10), center=center, metric="euclidean").fit_transform(Z + offset)
    np.testing.assert_allclose(found, cdist(Z, anchors) / size, rtol=0, atol=1e-7)


def test_a_certificate_keeps_the_names_of_columns(recwarn):
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(rng.normal(size=(200, 2)), columns=["a", "b"])
    y = (frame["a"] > 0).astype(int)
    settings = {"scale": 0.3, "n_draws": 200, "random_state": 0}
    by_name = smoothing_certificate(LogisticRegression().fit(frame, y), frame.iloc[:5], **settings)
    by_place = smoothing_certificate(LogisticRegression().fit(frame.to_numpy(), y), frame.iloc[:5], **settings)
    pd.testing.assert_frame_equal(by_name.table, by_place.table)
    assert not recwarn.list
    with pytest.raises(ValueError, match="same order"):
        smoothing_certificate(LogisticRegression().fit(frame, y), frame[["b", "a"]], **settings)
    both = DecisionTreeClassifier().fit(frame, np.column_stack([y, y]))
    with pytest.raises(ValueError, match="one label a row"):
        smoothing_certificate(both, frame, **settings)


def test_no_row_that_moved_is_no_proof_that_none_does():
    Z = np.random.default_rng(0).normal(size=(10, 2))
    found = invariance_score(Z, Z)
    assert found.estimate == 0
    assert "no row moved; with 95% confidence at most 0.26 of all rows do" in found.notes  # 1 - .05^(1/10)
    assert not any("no row moved" in note for note in invariance_score(Z, Z + 0.1).notes)
