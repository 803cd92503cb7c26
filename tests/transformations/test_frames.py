"""Frames follow the row: as a set, F(gx) = gF(x). Judges: group elements applied by hand, closed forms, integrals."""

import numpy as np
import pytest
from scipy import integrate
from scipy.linalg import expm

from causalinv.transformations import (
    Compose,
    EuclideanGroup,
    Flip,
    FunctionAugmentation,
    GaussianNoise,
    LinearGroup,
    PermutationGroup,
    Rotate90,
    Scaling,
    SignFlip,
    Translation,
    from_polar,
    haar_density,
    haar_orthogonal,
    polar_chart,
)

SQUARE = np.array([[1.0, 1], [-1, 1], [-1, -1], [1, -1]])
TETRAHEDRON = np.array([[1.0, 1, 1], [1, -1, -1], [-1, 1, -1], [-1, -1, 1]])
CUBE = np.array([[a, b, c] for a in (1.0, -1) for b in (1.0, -1) for c in (1.0, -1)])
TRIANGLE = np.array([[np.cos(a), np.sin(a)] for a in 2 * np.pi * np.arange(3) / 3])
PYRAMID = np.vstack([np.c_[SQUARE, np.zeros(4)], [[0, 0, 3.0]]])
SHAPES = {
    "square": SQUARE,
    "triangle": TRIANGLE,
    "tetrahedron": TETRAHEDRON,
    "cube": CUBE,
    "pyramid": PYRAMID,
    "triangle in space": np.c_[TRIANGLE, np.zeros(3)],
    "line in space": np.outer([-2.0, -1, 0.5, 2.5], [1.0, 2, 2]),
    "line in the plane": np.outer([-2.0, -1, 0.5, 2.5], [1.0, 2]),
    "all equal": np.tile([1.0, 2, 3], (4, 1)),
    "one point": np.array([[1.0, 2, 3]]),
    "one number": np.array([[2.0], [5.0], [5.5]]),
    "any": np.random.default_rng(1).normal(size=(5, 3)),
    "any in four": np.random.default_rng(2).normal(size=(6, 4)),
    "near tie": SQUARE * [1.0, 1.0 + 1e-7],
    "past a tie": SQUARE * [1.0, 1.0 + 1e-5],
}


def same_rows(first, second, tol):
    """Equal as multisets of rows."""
    assert first.shape == second.shape
    gap = np.abs(first[:, None] - second[None]).max(axis=2)
    assert (gap.min(axis=1) < tol).all()
    assert (gap.min(axis=0) < tol).all()
    counts = (gap < tol).sum(axis=1), (np.abs(second[:, None] - second[None]).max(axis=2) < tol).sum(axis=1)
    assert sorted(counts[0]) == sorted(counts[1])


@pytest.mark.parametrize("proper", [False, True])
@pytest.mark.parametrize("exchange", [False, True])
@pytest.mark.parametrize("shape", SHAPES)
def test_frames_of_moved_clouds_are_the_same_set(shape, proper, exchange):
    points = SHAPES[shape]
    p, d = points.shape
    group = EuclideanGroup(d, proper=proper, exchange=exchange)
    rng = np.random.default_rng(3)
    row = points.reshape(1, -1)
    frame = group.frame(row)
    assert frame.weights.sum() == pytest.approx(1.0)
    for _ in range(3):
        turn = np.linalg.qr(rng.normal(size=(d, d)))[0]
        if proper and np.linalg.det(turn) < 0:
            turn[0] *= -1
        order = rng.permutation(p) if exchange else np.arange(p)
        moved = (points @ turn.T + rng.normal(size=d))[order].reshape(1, -1)
        same_rows(group.frame(moved).rows, frame.rows, 1e-8 if shape == "past a tie" else 1e-10)


def test_sizes_ties_and_gaps():
    assert EuclideanGroup(2).frame(SQUARE.reshape(1, -1)).sizes == [8]  # four corners, both hands
    assert EuclideanGroup(3).frame(TETRAHEDRON.reshape(1, -1)).sizes == [24]  # its symmetry group
    assert EuclideanGroup(3, proper=True).frame(TETRAHEDRON.reshape(1, -1)).sizes == [12]
    both = np.vstack([SQUARE.ravel(), [3.0, 0, 0, 1, -3, 0, 0, -1]])
    frame = EuclideanGroup(2).frame(both)
    np.testing.assert_array_equal(frame.tied, [True, False])
    np.testing.assert_allclose(frame.gap, [0.0, 1 - 1 / 9])
    np.testing.assert_array_equal(frame.sizes, [8, 4])
    np.testing.assert_allclose(frame.average(frame.rows), 0.0, atol=1e-12)


def test_a_frame_of_principal_axes_alone_would_move_with_a_pyramid():
    """The reason for resolving ties: signs of arbitrary axes in a tied plane are no frame."""
    rng = np.random.default_rng(0)
    seen = []
    for _ in range(3):
        turn = np.linalg.qr(rng.normal(size=(3, 3)))[0]
        cloud = (PYRAMID - PYRAMID.mean(0)) @ turn.T
        axes = np.linalg.eigh(cloud.T @ cloud)[1]
        seen.append(np.sort(np.abs(cloud @ axes).ravel()))
    assert max(np.abs(seen[0] - other).max() for other in seen[1:]) > 0.05


def test_a_mirror_image_is_another_cloud_without_reflections_only():
    cloud = SHAPES["any"]
    rows = np.stack([cloud, cloud * [1, 1, -1]]).reshape(2, -1)
    for proper in (False, True):
        frame = EuclideanGroup(3, proper=proper).frame(rows)
        first, second = (frame.rows[frame.source == k] for k in (0, 1))
        gap = np.abs(first[:, None] - second[None]).max(axis=2).min()
        assert (gap > 0.05) == proper


@pytest.mark.parametrize("exchange", [False, True])
@pytest.mark.parametrize("boosts", [False, True])
@pytest.mark.parametrize("output", ["vectors", "points"])
def test_carry_and_bring_back_are_inverse_and_equivariant(output, boosts, exchange):
    rng = np.random.default_rng(4)
    p, d = 4, 3
    group = EuclideanGroup(
        d,
        points=range(12),
        vectors=range(12, 24),
        scalars=range(24, 28),
        boosts=boosts,
        horizon=0.7,
        exchange=exchange,
    )
    X, Y = rng.normal(size=(5, 28)), rng.normal(size=(5, 12))
    frame = group.frame(X)
    there = group.carry(Y[frame.source], frame.pose, output)
    np.testing.assert_allclose(group.bring_back(there, frame.pose, output), Y[frame.source], atol=1e-12)
    turn, shift, boost = np.linalg.qr(rng.normal(size=(d, d)))[0], rng.normal(size=d), rng.normal(size=d) * boosts
    order = rng.permutation(p) if exchange else np.arange(p)
    points, vectors, scalars = X[:, :12].reshape(5, p, d), X[:, 12:24].reshape(5, p, d), X[:, 24:]
    moved = [points @ turn.T + shift, vectors @ turn.T + boost]
    GX = np.hstack([each[:, order].reshape(5, -1) for each in moved] + [scalars[:, order]])
    offset = shift + 0.7 * boost if output == "points" else boost
    GY = ((Y.reshape(5, p, d) @ turn.T + offset)[:, order]).reshape(5, -1)
    other = group.frame(GX)
    far = group.carry(GY[other.source], other.pose, output)
    for k in range(5):
        same_rows(
            np.hstack([other.rows, far])[other.source == k], np.hstack([frame.rows, there])[frame.source == k], 1e-10
        )


def test_vectors_resolve_what_points_leave_open():
    line = np.outer([-1.0, 0.0, 1.5], [0, 0, 1.0]).ravel()
    group = EuclideanGroup(3, points=range(9), vectors=range(9, 18))
    rng = np.random.default_rng(5)
    row = np.r_[line, rng.normal(size=9)][None]
    turn = haar_orthogonal(1, 3, random_state=1)[0]
    moved = (row.reshape(6, 3) @ turn.T).reshape(1, -1)
    same_rows(group.frame(row).rows, group.frame(moved).rows, 1e-10)


def test_finite_groups_have_all_elements_and_characters():
    X = np.random.default_rng(6).normal(size=(3, 4))
    frame = Rotate90((2, 2)).frame(X)
    assert frame.sizes.tolist() == [4, 4, 4]
    for k in range(3):
        turned = [np.rot90(X[k].reshape(2, 2), j).ravel() for j in range(4)]
        same_rows(frame.rows[frame.source == k], np.array(turned), 1e-15)
    np.testing.assert_array_equal(frame.pose["odd"][:4], [1, -1, 1, -1])
    cycle = PermutationGroup([[1, 2, 0, 3]])
    assert np.isnan(cycle.frame(X).pose["odd"]).all()
    with pytest.raises(ValueError, match="No outcome is odd"):
        cycle.carry(X[:, 0], cycle.frame(X).pose, "odd")
    whole = Compose([Rotate90((2, 2)), Flip((2, 2))])
    assert whole.frame(X).sizes.tolist() == [8, 8, 8]
    with pytest.raises(ValueError, match="two ways to one element"):
        cycle.represent(np.array([[1, 0]]), np.array([[1, 1]]), 4)


@pytest.mark.parametrize(
    "group",
    [
        SignFlip([0, [1, 2]]),
        Rotate90((2, 2)),
        Scaling(),
        Translation([[1.0, 1, 0, 0]]),
        EuclideanGroup(2),
        LinearGroup(2),
    ],
)
def test_frame_averages_are_invariant_under_draws(group):
    rng = np.random.default_rng(7)
    X = rng.normal(size=(6, 8 if isinstance(group, LinearGroup) else 4))
    GX, _ = group.draw(X, rng)
    assert np.abs(GX - X).max() > 0.1
    for each in (X, GX):
        frame = group.frame(each)
        value = frame.average(np.cos(frame.rows @ np.arange(1.0, X.shape[1] + 1)))
        first = value if each is X else first  # noqa: F821
    np.testing.assert_allclose(value, first, atol=1e-9)
    if not isinstance(group, LinearGroup):
        np.testing.assert_allclose(group.canonical(GX), group.canonical(X), atol=1e-9)
        assert np.abs(group.pose(GX) - group.pose(X)).max() > 1e-3


@pytest.mark.parametrize("kind", ["GL+", "SL", "affine"])
def test_frames_of_linear_groups(kind):
    rng = np.random.default_rng(8)
    group = LinearGroup(2, kind=kind)
    X = np.vstack([rng.normal(size=(3, 8)), SQUARE.reshape(1, -1)])
    GX, G = group.draw(X, rng)
    det = np.linalg.det(G[:, :4].reshape(-1, 2, 2))
    assert (det > 0).all()
    assert kind != "SL" or np.allclose(det, 1)
    first, second = group.frame(X), group.frame(GX)
    for k in range(4):
        same_rows(first.rows[first.source == k], second.rows[second.source == k], 1e-9)
    with pytest.raises(ValueError, match="row 0 do not span 2 dimensions"):
        group.frame(np.outer([1.0], [1, 1, 2, 2, 3, 3, 4, 4]))


def test_composed_frames_are_tried_before_they_are_trusted():
    X = np.random.default_rng(9).normal(size=(30, 6))
    good = Compose([EuclideanGroup(2, translations=False), Scaling()])
    moved, _ = good.draw(X, np.random.default_rng(0))
    first, second = (good.frame(each) for each in (X, moved))
    np.testing.assert_allclose(first.average(first.rows**2), second.average(second.rows**2), atol=1e-12)
    assert good.canonical(X).shape == X.shape
    assert good.pose(X).shape == (30, 5)
    with pytest.raises(ValueError, match="do not go together"):
        Compose([Scaling(), EuclideanGroup(2)]).frame(X)
    with pytest.raises(ValueError, match="has no frame"):
        Compose([Scaling(), FunctionAugmentation(lambda X, rng: (X, X))]).frame(X)


def test_what_has_no_frame_says_so():
    X = np.ones((2, 4))
    with pytest.raises(ValueError, match="GaussianNoise has no frame"):
        GaussianNoise(1.0).frame(X)
    with pytest.raises(ValueError, match="no finite group"):
        Scaling().elements(4)
    with pytest.raises(ValueError, match="only output='invariant'"):
        Translation([[1.0, 0, 0, 0]]).carry(X, {}, "odd")


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"dim": 9}, "at most 8"),
        ({"dim": 3}, "do not divide into blocks of 3"),
        ({"dim": 2, "points": [4, 5], "vectors": [0, 1, 2]}, "vectors of EuclideanGroup are 3 columns"),
        ({"dim": 2, "points": [0, 1, 2, 3], "vectors": [2, 3]}, "overlap in columns"),
        ({"dim": 2, "vectors": [6, 7], "boosts": True}, "boosts need one vector for each of 3 points"),
        ({"dim": 2, "scalars": ["q"]}, "columns that X does not have"),
        ({"dim": 2, "scalars": [6, 7]}, "not as many each"),
        ({"dim": 2, "proper": 1}, "proper of EuclideanGroup must be True or False"),
    ],
)
def test_columns_and_flags_are_checked(given, message):
    with pytest.raises((ValueError, TypeError), match=message):
        EuclideanGroup(**given).frame(np.ones((2, 8)))


def test_haar_law():
    """Moments of the uniform law: E R = 0, E R_ij² = 1/d, E R_11⁴ = 3/(d(d+2)); |R_11| <= 1."""
    for proper in (False, True):
        R = haar_orthogonal(40_000, 3, proper=proper, random_state=2)
        np.testing.assert_allclose(R @ np.swapaxes(R, 1, 2), np.broadcast_to(np.eye(3), R.shape), atol=1e-12)
        np.testing.assert_allclose(R.mean(axis=0), 0.0, atol=5 * np.sqrt(1 / 3 / 40_000))
        np.testing.assert_allclose((R**2).mean(axis=0), 1 / 3, atol=5 * np.sqrt(1 / 5 / 40_000))
        np.testing.assert_allclose((R**4).mean(axis=0), 3 / 15, atol=5 * np.sqrt(1 / 9 / 40_000))
        share = (np.linalg.det(R) > 0).mean()
        assert share == 1.0 if proper else abs(share - 0.5) < 0.0125
    assert haar_orthogonal(0, 2).shape == (0, 2, 2)


def test_polar_chart_round_trip_and_the_map_without_logarithm():
    rng = np.random.default_rng(10)
    g = rng.normal(size=(50, 3, 3))
    g[np.linalg.det(g) < 0, 0] *= -1
    c, R, S = polar_chart(g)
    np.testing.assert_allclose(from_polar(c, R, S), g, atol=1e-12)
    np.testing.assert_allclose(np.trace(S, axis1=1, axis2=2), 0.0, atol=1e-12)
    np.testing.assert_allclose(np.linalg.det(R), 1.0)
    np.testing.assert_allclose(c[0] * R[0] @ expm(S[0]), g[0], atol=1e-12)
    np.testing.assert_allclose(from_polar(*polar_chart(np.diag([-2.0, -0.5]))), np.diag([-2.0, -0.5]), atol=1e-15)
    with pytest.raises(ValueError, match="positive determinant"):
        polar_chart(np.diag([1.0, -1.0]))


def test_haar_density_makes_integrals_left_invariant():
    """Integrals of f(g) and f(hg) over SL(2) in polar coordinates; without the density they differ."""
    h = np.array([[1.5, 0.4], [0.2, (1 + 0.08) / 1.5]])
    assert np.linalg.det(h) == pytest.approx(1.0)
    radius, turns = np.linspace(1e-6, 5.0, 150), np.linspace(0, 2 * np.pi, 40, endpoint=False)
    r, a, t = np.meshgrid(radius, turns, turns, indexing="ij")
    S = np.stack([r * np.cos(a), r * np.sin(a), r * np.sin(a), -r * np.cos(a)], axis=-1).reshape(-1, 2, 2)
    R = np.stack([np.cos(t), -np.sin(t), np.sin(t), np.cos(t)], axis=-1).reshape(-1, 2, 2)
    g = from_polar(np.ones(len(S)), R, S)

    def f(m):
        return np.exp(-((m - [[1.0, 0.3], [0.0, 1.0]]) ** 2).sum(axis=(1, 2)))

    def integral(values):
        return integrate.trapezoid((values.reshape(r.shape) * r).mean(axis=(1, 2)), radius)

    density = haar_density(S)
    assert integral(density * f(h @ g)) == pytest.approx(integral(density * f(g)), rel=1e-3)
    assert abs(integral(f(h @ g)) / integral(f(g)) - 1) > 0.02
    np.testing.assert_allclose(haar_density(np.diag([0.7, -0.7])), np.sinh(1.4) / 1.4)
    assert haar_density(np.zeros((3, 3))) == 1.0
    assert haar_density(np.diag([4e-9, -4e-9])) == pytest.approx(1.0, rel=1e-12)  # sinh(t) / t at 8e-9


@pytest.mark.parametrize("unit", [1e-300, 1e-160, 1e160, 1e300])
def test_frames_of_clouds_of_any_size(unit):
    """Powers of two near these units change no digit; squares of the rows themselves would be 0, or no float."""
    X = np.random.default_rng(3).normal(size=(5, 8))
    unit = 2.0 ** np.round(np.log2(unit))
    group = EuclideanGroup(2, translations=False, vectors=[4, 5, 6, 7])
    plain, other = group.frame(X), group.frame(X * unit)
    np.testing.assert_array_equal(other.source, plain.source)
    np.testing.assert_allclose(other.rows / unit, plain.rows, atol=2e-10)  # a grid of eleven decimals
    mixed = group.frame(np.vstack([X[:1], X[1:] * unit]))
    np.testing.assert_allclose(mixed.rows[mixed.source > 0] / unit, plain.rows[plain.source > 0], atol=2e-10)


# -- laws of draws, and units of frames -------------------------------------------------------------------------------


@pytest.mark.parametrize("spread", [0.2, 3.0])
def test_draws_have_the_spread_that_is_documented(spread):
    """Standard deviations of 20,000 normal numbers each, within 5 of their standard errors, 1 / 200 of them."""
    n, rng = 20_000, np.random.default_rng(0)
    near = {"rel": 5 / np.sqrt(2 * n)}
    X = np.ones((n, 4))
    G = EuclideanGroup(2, vectors=[2, 3], boosts=True, spread=spread).draw(X, rng)[1]
    np.testing.assert_allclose(G[:, 4:].std(axis=0), spread, rtol=near["rel"])
    GX, log_scale = Scaling(spread=spread).draw(X, rng)
    assert log_scale.std() == pytest.approx(spread, **near)
    np.testing.assert_allclose(GX, np.exp(log_scale) * X)
    low = spread / 10  # maps that are no wild ones
    g = LinearGroup(2, kind="affine", spread=low).draw(X, rng)[1]
    scale, _, shear = polar_chart(g[:, :4].reshape(n, 2, 2))
    assert np.log(scale).std() == pytest.approx(low, **near)
    np.testing.assert_allclose(g[:, 4:].std(axis=0), low, rtol=near["rel"])
    # Of a symmetric matrix with half the sum of normal ones, without its trace: 1 - 1/2 on the diagonal, 1/2 beside it.
    np.testing.assert_allclose((shear**2).mean(axis=0), low**2 / 2, rtol=5 * np.sqrt(2 / n))


@pytest.mark.parametrize("kind", ["GL+", "SL", "affine"])
def test_whitened_clouds_have_unit_moments_or_their_own_volume(kind):
    X = np.random.default_rng(11).normal(size=(5, 10)) * 3.0 + (kind == "affine")
    frame = LinearGroup(2, kind=kind).frame(X)
    second = [np.einsum("npd,npe->nde", each, each) / 5 for each in (frame.rows.reshape(-1, 5, 2), X.reshape(-1, 5, 2))]
    if kind == "SL":
        np.testing.assert_allclose(np.linalg.det(second[0]), np.linalg.det(second[1])[frame.source], rtol=1e-8)
        second[0] /= np.sqrt(np.linalg.det(second[0]))[:, None, None]
    np.testing.assert_allclose(second[0], np.broadcast_to(np.eye(2), second[0].shape), atol=1e-9)


@pytest.mark.parametrize("degree", [-1.5, 2.0])
def test_homogeneous_outcomes_are_carried_and_brought_back(degree):
    rng = np.random.default_rng(12)
    X, Y, c = rng.normal(size=(6, 3)), rng.normal(size=(6, 2)), np.exp(rng.normal(size=(6, 1)))
    group = Scaling(degree=degree)
    here, there = group.frame(X), group.frame(c * X)
    carried = group.carry(Y, here.pose, "homogeneous")
    np.testing.assert_allclose(group.carry(c**degree * Y, there.pose, "homogeneous"), carried, rtol=1e-12)
    np.testing.assert_allclose(group.bring_back(carried, there.pose, "homogeneous"), c**degree * Y, rtol=1e-12)
    nothing = group.frame(np.zeros((1, 3)))
    with pytest.raises(ValueError, match="has length 0"):
        group.carry(Y[:1], nothing.pose, "homogeneous")


@pytest.mark.parametrize("dim", [2, 3])
@pytest.mark.parametrize("proper", [False, True])
def test_one_pose_of_each_cloud_whatever_its_motion(dim, proper):
    X = np.random.default_rng(13).normal(size=(60, 4 * dim))
    group = EuclideanGroup(dim, proper=proper)
    canonical = group.canonical(X)
    for seed in range(3):
        moved = group.draw(X, np.random.default_rng(seed))[0]
        np.testing.assert_allclose(group.canonical(moved), canonical, atol=1e-9)


def test_composed_frames_keep_weights_ties_and_gaps_of_their_parts():
    X = np.vstack([SQUARE.ravel(), [3.0, 0, 0, 1, -3, 0, 0, -1], [2.0, 0.2, 0, 1, -3, 0, 1, -1.2]])
    X = np.c_[X, [[1.0, 2.0]] * 3]
    turn, scale = EuclideanGroup(2, points=range(8)), Scaling(columns=[8, 9])
    alone = turn.frame(X)
    for parts in ([turn, scale], [scale, turn]):
        frame = Compose(parts).frame(X)
        np.testing.assert_allclose(frame.average(np.ones(len(frame.rows))), 1.0)
        np.testing.assert_array_equal(frame.tied, alone.tied)
        np.testing.assert_allclose(frame.gap, alone.gap)
        np.testing.assert_array_equal(frame.sizes, alone.sizes)
    assert alone.tied.tolist() == [True, False, False]


@pytest.mark.parametrize("unit", [1e-3, 1e3])
@pytest.mark.parametrize("exchange", [False, True])
def test_gaps_have_no_unit(exchange, unit):
    X = np.random.default_rng(14).normal(size=(8, 10))
    group = EuclideanGroup(2, exchange=exchange)
    np.testing.assert_allclose(group.frame(unit * X).gap, group.frame(X).gap, rtol=1e-9)
