"""Each threshold of the ground from both sides: a number just above it and one just below."""

import numpy as np
import pytest
from sklearn.preprocessing import FunctionTransformer

from causalinv import Moments
from causalinv._clusters import robust_covariance
from causalinv._matrix import (
    column_basis,
    constant_columns,
    covariance_root,
    dependent_columns,
    inverse_root,
    inverse_roots,
    lstsq,
    solve_range,
    solve_ranges,
    varying,
    whitener,
)
from causalinv.transformations import EuclideanGroup, FirstStage, Translation
from causalinv.transformations._axes import resolved
from causalinv.transformations._frame import whole

EPS = np.finfo(np.float64).eps


def pair(left):
    """Covariance of two features of variance one, of which the second keeps a share `left` beside the first."""
    rho = np.sqrt(1.0 - left)
    return np.array([[1.0, rho], [rho, 1.0]])


# -- ranks ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("share", "rank"), [(4e-12, 2), (2.5e-13, 1)])
@pytest.mark.parametrize("unit", [1e-9, 1.0, 1e9])
def test_a_direction_counts_above_a_millionth_of_a_millionth_of_the_largest(share, rank, unit):
    rho = (1.0 - share) / (1.0 + share)  # eigenvalues 1 - rho and 1 + rho
    cov = np.array([[1.0, rho * unit], [rho * unit, unit**2]])
    assert whitener(cov).shape == (2, rank)
    full = solve_range(cov, cov @ np.array([1.0, 1.0 / unit]))
    np.testing.assert_allclose(solve_ranges(cov[None], (cov @ [1.0, 1.0 / unit])[None])[0], full, rtol=1e-4)


@pytest.mark.parametrize("rescale", [True, False])
def test_many_systems_are_solved_as_one(rescale):
    cov = np.array([[[2.0, 0.3], [0.3, 1.0]], [[4e-9, 2e-6], [2e-6, 1.0]], [[0.0, 0.0], [0.0, 1.0]], pair(1e-13)])
    cross = cov @ np.array([1.0, -2.0])
    each = [solve_range(a, b, rescale=rescale) for a, b in zip(cov, cross, strict=True)]
    np.testing.assert_allclose(solve_ranges(cov, cross, rescale=rescale), each, rtol=1e-6)


@pytest.mark.parametrize(("left", "dependent"), [(4e-10, False), (2.5e-11, True)])
def test_a_feature_is_dependent_when_a_tenth_of_a_billionth_of_it_is_left(left, dependent):
    assert dependent_columns(pair(left)).tolist() == [False, dependent]


@pytest.mark.parametrize(("roundings", "still"), [(2, True), (8, False)])
def test_a_column_is_constant_within_four_roundings(roundings, still):
    rows = np.array([[1.0], [1.0 + roundings * EPS], [1.0]])
    assert constant_columns(rows).tolist() == [still]
    assert varying(np.array([(roundings * EPS) ** 2]), np.ones(1)).tolist() == [not still]


@pytest.mark.parametrize(("small", "rank"), [(1e-13, 2), (1e-15, 1)])
def test_the_root_of_a_covariance_keeps_what_is_above_rounding(small, rank):
    cov = np.array([[1.0, 1.0 - small], [1.0 - small, 1.0]])
    root = covariance_root(cov, "cov")
    assert root.shape == (2, rank)
    np.testing.assert_allclose(root @ root.T, cov, rtol=1e-14)


@pytest.mark.parametrize(("apart", "found"), [(1e-9, True), (1e-14, False)])
def test_least_squares_tells_columns_apart_down_to_a_millionth_of_a_millionth(apart, found):
    rng = np.random.default_rng(0)
    x, z = np.linalg.qr(rng.normal(size=(50, 2)))[0].T
    coef = lstsq(np.c_[x, x + apart * z], x)  # the truth is (1, 0); of minimum norm it is (1/2, 1/2)
    np.testing.assert_allclose(coef, [1.0, 0.0] if found else [0.5, 0.5], atol=1e-4)


@pytest.mark.parametrize(("apart", "rank"), [(1e-8, 2), (1e-12, 1)])
def test_the_basis_of_columns_counts_what_is_outside_those_before(apart, rank):
    x, z = np.linalg.qr(np.random.default_rng(0).normal(size=(50, 2)))[0].T
    basis = column_basis(np.c_[x, x + apart * z], tol=1e-10)
    assert basis.shape == (50, rank)
    np.testing.assert_allclose(basis @ (basis.T @ x), x, atol=1e-12)


def test_an_inverse_root_is_zero_where_the_matrix_is():
    turn = np.linalg.qr(np.random.default_rng(0).normal(size=(3, 3)))[0]
    found = inverse_root(turn @ np.diag([4.0, 1e-3, 1e-12]) @ turn.T, 1e-10)
    np.testing.assert_allclose(turn.T @ found @ turn, np.diag([0.5, 1e-3**-0.5, 0.0]), atol=1e-8)


@pytest.mark.parametrize(("left", "sound"), [(4e-8, True), (2.5e-9, False)])
def test_many_inverses_are_sound_down_to_a_spread_of_a_ten_thousandth(left, sound):
    """The last row of the inverse factor is one over the spread that is left; scaled, so that no unit counts."""
    units = np.array([1e-6, 1e5])
    roots, found = inverse_roots(np.stack([np.eye(2), pair(left) * np.outer(units, units)]))
    assert found.tolist() == [True, sound]
    if sound:
        np.testing.assert_allclose((roots[1].T @ roots[1]) * np.outer(units, units) @ pair(left), np.eye(2), atol=1e-6)


# -- robust variances -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("correction", [2, 3])
@pytest.mark.parametrize("pairs", [False, True])
@pytest.mark.parametrize("reach", [30.0, 300.0])
def test_a_row_that_is_almost_fitted_is_still_corrected(correction, pairs, reach):
    """One row far out takes all but a thousandth (a hundred-thousandth) of its own residual with it."""
    rng = np.random.default_rng(0)
    x = np.r_[reach, rng.normal(size=11)][:, None]
    y = rng.normal(size=12)
    residual = y - x[:, 0] * (x[:, 0] @ y) / (x[:, 0] @ x[:, 0])
    codes = np.arange(12) // 2 if pairs else np.arange(12)
    bread = 1.0 / float(x[:, 0] @ x[:, 0])
    meat = 0.0
    for code in np.unique(codes):
        inside = codes == code
        left = np.eye(inside.sum()) - x[inside] @ x[inside].T * bread
        values, vectors = np.linalg.eigh(left)
        adjust = vectors @ np.diag(values ** (-0.5 if correction == 2 else -1.0)) @ vectors.T
        meat += float(x[inside, 0] @ adjust @ residual[inside]) ** 2
    found = robust_covariance(x, residual, clusters=codes, correction=correction).cov[0, 0]
    assert found == pytest.approx(bread**2 * meat, rel=1e-6)


# -- moments ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("spread", "same"), [(1e-11, False), (1e-13, True)])
def test_weights_are_equal_up_to_rounding_only(spread, same):
    """Within one environment, and between two."""
    X = np.random.default_rng(0).normal(size=(6, 2))
    between = np.repeat([1.0, 1.0 + spread], 3)
    assert Moments.from_rows(x=X, sample_weight=between, environments=[0, 0, 0, 1, 1, 1]).is_unweighted is same
    within = np.where(np.arange(6) % 2, 1.0, 1.0 + spread)
    assert Moments.from_rows(x=X, sample_weight=within).is_unweighted is same


@pytest.mark.parametrize(("beyond", "refused"), [(1e-6, True), (1e-10, False)])
def test_a_scatter_may_be_off_by_rounding_only(beyond, refused):
    rho = 1.0 + beyond  # smallest eigenvalue -beyond, largest 2
    indefinite = np.array([[1.0, rho], [rho, 1.0]])
    skew = np.array([[1.0, 0.5], [0.5 + beyond, 1.0]])
    for scatter, says in ((indefinite, "not positive semidefinite"), (skew, "must be symmetric")):
        if refused:
            with pytest.raises(ValueError, match=says):
                Moments({"x": 2}, mean=[0.0, 0.0], scatter=scatter)
        else:
            assert len(Moments({"x": 2}, mean=[0.0, 0.0], scatter=scatter)) == 1


@pytest.mark.parametrize(("left", "refused"), [(1e-9, False), (1e-13, True)])
def test_all_weight_but_rounding_cannot_be_taken_out(left, refused):
    rows = np.array([[0.0], [1.0], [2.0], [1.0]])
    whole = Moments.from_rows(x=rows, sample_weight=[1.0, 1.0, 1.0, 3 * left])
    part = Moments.from_rows(x=rows[:3])
    if refused:
        with pytest.raises(ValueError, match="leaves nothing in cell 0"):
            whole.subtract(part)
    else:
        assert whole.subtract(part).weight[0] == pytest.approx(3 * left, rel=1e-5)


@pytest.mark.parametrize(("spread", "none"), [(1.6e-5, True), (6e-5, False)])
def test_squares_of_weights_show_a_spread_of_a_thirty_thousandth(spread, none):
    given = {"mean": [[0.0]], "scatter": [[[1.0]]], "weight": 10.0, "count": 10.0}
    assert Moments({"x": 1}, weight_sq=10.0 * (1 + spread**2), **given).is_unweighted is none


@pytest.mark.parametrize(("beyond", "refused"), [(4e-9, True), (2.5e-10, False)])
def test_what_is_left_may_have_a_variance_below_0_by_rounding(beyond, refused):
    whole = Moments({"x": 1}, mean=[0.0], scatter=[[1.0]], weight=10.0, count=10)
    part = Moments({"x": 1}, mean=[0.0], scatter=[[1.0 + beyond]], weight=5.0, count=5)
    if refused:
        with pytest.raises(ValueError, match="negative variance"):
            whole.subtract(part)
    else:
        assert whole.subtract(part).scatter("x")[0, 0, 0] == 0.0


@pytest.mark.parametrize("weight", [3e99, 1 / 3e99])
def test_weights_are_taken_up_to_a_googol_either_way(weight):
    assert Moments.from_rows(x=[[1.0], [2.0]], sample_weight=[weight, weight]).is_unweighted
    with pytest.raises(ValueError, match="only ratios matter"):
        Moments.from_rows(x=[[1.0], [2.0]], sample_weight=[weight, weight * (10.0 if weight > 1 else 0.1)])


# -- transformations --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("directions", "degree", "moment"), [([[1.0, 0.0]], 16, 2027025.0), (np.eye(2), 12, 10395.0)])
def test_quadrature_is_exact_to_the_degree_that_is_documented(directions, degree, moment):
    """2k - 1 with 9 nodes along one direction and 7 along two: E G^16 = 15!!, E G^12 = 11!!."""
    X = np.zeros((1, 2))
    nodes = list(Translation(directions).nodes(X))
    assert sum(share for _, _, share in nodes) == pytest.approx(1.0, rel=1e-12)
    assert sum(share * rows[0, 0] ** degree for rows, _, share in nodes) == pytest.approx(moment, rel=1e-9)


@pytest.mark.parametrize(("share", "moves"), [(4e-12, True), (2.5e-13, False)])
@pytest.mark.parametrize("unit", [1e-9, 1.0, 1e9])
def test_what_instruments_explain_is_judged_in_units_of_the_feature(share, moves, unit):
    stage = FirstStage(
        np.diag([unit**2, 1.0]), np.zeros((2, 1)), np.array([[share * unit, 0.0]]), np.zeros((1, 1)), False
    )
    assert stage.moves_anything is moves
    # A direction that an analyst declared moves however short it is.
    declared = FirstStage(stage.variance, stage.cross, stage.factor, stage.outcome, True)
    assert declared.moves_anything


@pytest.mark.parametrize(("gap", "tied"), [(3e-6, False), (3e-7, True)])
@pytest.mark.parametrize("unit", [1e-9, 1.0, 1e9])
def test_axes_tie_within_a_millionth(unit, gap, tied):
    """A rectangle, whose eigenvalues are as the squares of its sides."""
    corners = unit * np.array([[1, 1], [-1, 1], [-1, -1], [1, -1]]) * [1.0, np.sqrt(1 - gap)]
    frame = EuclideanGroup(2).frame(corners.reshape(1, -1))
    assert frame.tied[0] == tied
    assert frame.gap[0] == pytest.approx(gap, rel=1e-6)


def ring(n, radius=1.0, start=0.0):
    angle = start + 2 * np.pi * np.arange(n) / n
    return radius * np.c_[np.cos(angle), np.sin(angle)]


@pytest.mark.parametrize(("nearer", "elements"), [(3e-6, 8), (3e-7, 16)])
def test_points_are_equally_far_out_within_a_millionth(nearer, elements):
    """Two squares in one; an axis along each farthest point, and both hands."""
    cloud = np.vstack([ring(4), ring(4, 1 - nearer, np.pi / 4)])
    assert EuclideanGroup(2).frame(cloud.reshape(1, -1)).sizes == [elements]


@pytest.mark.parametrize(("thin", "elements"), [(3e-9, 32), (3e-10, 8)])
def test_points_reach_a_tied_plane_from_a_billionth_of_the_cloud(thin, elements):
    """A square column: both ways along it, and 8 corners in both hands, or two axes of no meaning in both ways each."""
    column = np.vstack([np.c_[end * np.ones(4), thin * ring(4)] for end in (1.0, -1.0)])
    assert EuclideanGroup(3).frame(column.reshape(1, -1)).sizes == [elements]


def test_frames_have_4096_elements_at_the_most():
    assert len(resolved([ring(2048)], [1.0])[0]) == 4096
    with pytest.raises(ValueError, match="its frame has 4098 elements"):
        resolved([ring(2049)], [1.0])


@pytest.mark.parametrize("size", [1e-200, 1.0, 1e200])
def test_eleven_digits_of_a_size_are_kept(size):
    values = np.random.default_rng(0).uniform(-1.0, 1.0, 1000)
    off = np.abs(whole(values * size, np.array(size)) / size - values)
    assert 1e-12 < off.max() <= 0.5e-11 * (1 + 1e-4)


@pytest.mark.parametrize(("apart", "same"), [(6e-10, True), (6e-9, False)])
def test_sorted_coordinates_are_one_number_within_a_billionth_of_the_cloud(apart, same):
    """The cloud reaches 2: its first two points, on a line, are sorted by their vectors if they are one."""
    row = np.array([[1.0, 1.0 + apart, -2.0 - apart, 0.5, 0.2, 0.0]])
    group = EuclideanGroup(1, points=[0, 1, 2], vectors=[3, 4, 5], exchange=True)
    frame = group.frame(row)
    upright = frame.rows[frame.rows[:, 3] + frame.rows[:, 4] + frame.rows[:, 5] > 0]
    np.testing.assert_allclose(upright[0, 4:], [0.2, 0.5] if same else [0.5, 0.2])


@pytest.mark.parametrize(("apart", "dimensions"), [(4e-10, 2), (4e-11, 1)])
def test_directions_are_two_from_a_ten_billionth_between_them(apart, dimensions):
    """Singular values of v and v + apart w, of one length, are the root of 2, and apart over it."""
    steps = np.array([[1.0, 0.0, 0.0], [1e6, 1e6 * apart, 0.0]])
    assert Translation(steps).pose(np.ones((1, 3))).shape == (1, dimensions)


@pytest.mark.parametrize(("bent", "affine"), [(1e-9, True), (2e-8, False)])
def test_a_scaler_is_affine_up_to_a_hundred_millionth(bent, affine):
    """x + bent x² moves by 1 + bent and 1 - bent in steps of either sign."""
    scaler = FunctionTransformer(lambda x: x + bent * x**2).fit(np.ones((2, 1)))
    scaler.n_features_in_ = 1
    if affine:
        assert Translation([[1.0]]).in_units_of(scaler).directions[0, 0] == pytest.approx(1.0)
    else:
        with pytest.raises(ValueError, match="is not affine"):
            Translation([[1.0]]).in_units_of(scaler)


@pytest.mark.parametrize("added", [False, True])
def test_risks_are_those_of_the_second_moments(added):
    """What instruments explain is within the variance where they were observed, on top where rows are moved."""
    rng = np.random.default_rng(0)
    Z, coef = rng.normal(size=(50, 5)) @ rng.normal(size=(5, 5)), rng.normal(size=(2, 1))
    moments = Moments.from_rows(g=Z[:, :2], x=Z[:, 2:4], y=Z[:, 4])
    seen = FirstStage.from_moments(moments)
    stage = FirstStage(seen.variance, seen.cross, seen.factor, seen.outcome, added)
    centred = Z - Z.mean(axis=0)
    fitted = centred[:, :2] @ np.linalg.lstsq(centred[:, :2], centred[:, 2:], rcond=None)[0]
    residual, explained = ((each[:, -1:] - each[:, -3:-1] @ coef) for each in (centred, fitted))
    total, part = stage.risks(coef)
    assert part[0] == pytest.approx(np.mean(explained**2))
    assert total[0] == pytest.approx(np.mean(residual**2) - np.mean(centred[:, 4] ** 2) + added * part[0])
