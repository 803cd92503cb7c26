"""Alignment between its two known ends, and relative representations under what must not matter."""

import numpy as np
import pandas as pd
import pytest
from scipy.linalg import orthogonal_procrustes
from scipy.optimize import minimize

from causalinv.representation import OrthogonalAlignment, RelativeRepresentation
from causalinv.representation._procrustes import distortion


def spaces(n=80, d=4, p=4, seed=0, noise=0.3):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, d)) * np.linspace(0.5, 1.5, d) + 2.0
    return X, X @ rng.normal(size=(d, p)) + noise * rng.normal(size=(n, p)) - 1.0


def turn(d, seed=0):
    return np.linalg.qr(np.random.default_rng(seed).normal(size=(d, d)))[0]


def centred(rows):
    return rows - rows.mean(axis=0)


def test_at_no_distortion_it_is_scipys_procrustes():
    X, Y = spaces()
    fit = OrthogonalAlignment().fit(X, Y)
    np.testing.assert_allclose(fit.coef_.T, orthogonal_procrustes(centred(X), centred(Y))[0], atol=1e-10)
    np.testing.assert_allclose(fit.predict(X).mean(axis=0), Y.mean(axis=0))
    assert fit.distortion_ < 1e-12


def test_without_limit_it_is_least_squares():
    X, Y = spaces()
    fit = OrthogonalAlignment(np.inf).fit(X, Y)
    design = np.column_stack([np.ones(len(X)), X])
    np.testing.assert_allclose(fit.predict(X), design @ np.linalg.lstsq(design, Y)[0], atol=1e-9)
    assert fit.loss_ == pytest.approx(fit.start_loss_)


@pytest.mark.parametrize("limit", [0.1, 0.5, 1.0, 1.5])
@pytest.mark.parametrize("shape", [(3, 3), (2, 3), (3, 2)])
def test_in_between_it_is_as_good_as_a_solver_from_many_starts(limit, shape):
    X, Y = spaces(40, *shape, seed=3)
    fit = OrthogonalAlignment(limit).fit(X, Y)
    assert fit.distortion_ <= limit * (1 + 1e-9)
    assert fit.distortion_ == pytest.approx(limit, rel=1e-3)
    A, B = centred(X), centred(Y)
    total = np.sum(B**2)
    rng, best = np.random.default_rng(0), np.inf
    wide = shape[0] < shape[1]

    def room(w):
        W = w.reshape(shape)
        return limit**2 - np.sum(((W @ W.T if wide else W.T @ W) - np.eye(min(shape))) ** 2)

    for start in [fit.coef_.T, *(turn(3, s)[: shape[0], : shape[1]] for s in rng.integers(99, size=4))]:
        peer = minimize(
            lambda w: np.sum((A @ w.reshape(shape) - B) ** 2) / total,
            start.ravel(),
            method="SLSQP",
            constraints={"type": "ineq", "fun": room},
            options={"maxiter": 300, "ftol": 1e-12},
        )
        best = min(best, peer.fun if room(peer.x) > -1e-6 else np.inf)
    assert fit.loss_ <= best * (1 + 1e-4)
    assert fit.loss_ <= fit.start_loss_ + 1e-12


@pytest.mark.parametrize("shape", [(3, 5), (5, 3)])
def test_spaces_of_other_widths_have_orthonormal_rows_or_columns(shape):
    X, Y = spaces(60, *shape)
    W = OrthogonalAlignment().fit(X, Y).coef_.T
    small = W @ W.T if shape[0] < shape[1] else W.T @ W
    np.testing.assert_allclose(small, np.eye(3), atol=1e-10)
    rng, own = np.random.default_rng(1), np.sum((centred(Y) - centred(X) @ W) ** 2)
    for size in (1e-3, 1e-1):  # no nearby (semi-)orthogonal map is better
        for _ in range(50):
            left, _, right = np.linalg.svd(W + size * rng.normal(size=W.shape), full_matrices=False)
            assert np.sum((centred(Y) - centred(X) @ left @ right) ** 2) >= own


def test_a_turned_space_is_found_again_and_one_column_works():
    X, _ = spaces()
    Y = X @ turn(4) + 3.0
    np.testing.assert_allclose(OrthogonalAlignment(0.2).fit(X, Y).predict(X), Y, atol=1e-9)
    single = OrthogonalAlignment().fit(X, X[:, 0])
    assert single.predict(X).shape == (len(X),)
    assert single.coef_ == pytest.approx([1.0, 0, 0, 0], abs=1e-6)


def test_loss_falls_with_the_limit_and_units_of_both_spaces_cancel():
    X, Y = spaces(seed=5)
    fits = [OrthogonalAlignment(limit).fit(X, Y) for limit in (0, 0.3, 1, 3, np.inf)]
    assert np.all(np.diff([fit.loss_ for fit in fits]) < 0)
    again = OrthogonalAlignment(1).fit(1e6 * X, 1e6 * Y)
    np.testing.assert_allclose(again.coef_, fits[2].coef_, atol=1e-5)
    assert distortion(fits[1].coef_.T) == pytest.approx(fits[1].distortion_)


def test_alignment_refuses_what_does_not_belong_together():
    X, Y = spaces()
    with pytest.raises(ValueError, match="max_distortion"):
        OrthogonalAlignment(-1).fit(X, Y)
    with pytest.raises(ValueError, match="inconsistent"):
        OrthogonalAlignment().fit(X, Y[:-1])
    with pytest.raises(ValueError, match="index"):
        OrthogonalAlignment().fit(pd.DataFrame(X), pd.DataFrame(Y)[::-1])


@pytest.mark.parametrize("metric", ["cosine", "euclidean"])
def test_turns_scales_and_shifts_change_nothing_if_centred(metric):
    X, _ = spaces(60)
    moved = 3.0 * X @ turn(4, 2) + [1.0, -5.0, 0.0, 9.0]
    first, second = (
        RelativeRepresentation(n_anchors=10, metric=metric, random_state=0).fit_transform(rows) for rows in (X, moved)
    )
    np.testing.assert_allclose(second, first, atol=1e-7 if metric == "euclidean" else 1e-13)
    assert first.shape == (60, 10)


def test_uncentred_is_the_paper_and_reacts_to_a_shift():
    X = centred(spaces(60)[0])
    fits = [RelativeRepresentation([0, 3, 7], center=False).fit_transform(rows) for rows in (X, 2 * X @ turn(4), X + 2)]
    A = X[[0, 3, 7]]
    cosine = X @ A.T / np.linalg.norm(X, axis=1)[:, None] / np.linalg.norm(A, axis=1)
    np.testing.assert_allclose(fits[0], cosine)
    np.testing.assert_allclose(fits[1], fits[0])
    assert np.abs(fits[2] - fits[0]).max() > 0.5


def test_distances_are_in_units_of_the_anchors_spread():
    X = np.array([[0.0, 0.0], [2.0, 0.0], [1.0, 3.0]])
    found = RelativeRepresentation([0, 1], metric="euclidean").fit_transform(X)
    np.testing.assert_allclose(found, [[0, 2], [2, 0], [10**0.5, 10**0.5]], atol=1e-7)


def test_anchors_are_the_same_rows_or_it_says_so():
    X = pd.DataFrame(spaces(60)[0], index=[f"r{i}" for i in range(60)])
    one = RelativeRepresentation(n_anchors=5, random_state=0).fit(X)
    two = RelativeRepresentation(n_anchors=5, random_state=0).fit(X * 2)
    assert one.check_same_anchors(two) is one
    assert list(one.anchor_labels_) == [f"r{i}" for i in one.anchor_indices_]
    with pytest.raises(ValueError, match="anchors differ"):
        one.check_same_anchors(RelativeRepresentation(n_anchors=5, random_state=1).fit(X))
    with pytest.raises(ValueError, match="anchors differ"):
        one.check_same_anchors(RelativeRepresentation(n_anchors=5, random_state=0).fit(X[::-1]))


def test_rows_without_direction_and_wrong_anchors_raise():
    X = np.array([[0.0, 0.0], [2.0, 0.0], [1.0, 0.0], [1.0, 1.0]])
    with pytest.raises(ValueError, match="row 2 lies at the centre"):
        RelativeRepresentation([0, 1]).fit_transform(X)
    with pytest.raises(ValueError, match="anchor 2 lies at the centre"):
        RelativeRepresentation([0, 1, 2]).fit(X)
    with pytest.raises(ValueError, match="one point"):
        RelativeRepresentation([0, 1], metric="euclidean").fit(np.ones((3, 2)))
    for anchors in ([0], [0, 0], [0, 9], [-1, 0], [0.5, 1]):
        with pytest.raises(ValueError, match="anchors must"):
            RelativeRepresentation(anchors).fit(X)


@pytest.mark.parametrize("unit", [1e-250, 1e-200, 1e200, 1e300])
def test_maps_and_cosines_are_free_of_units_to_the_ends_of_floats(unit):
    rng = np.random.default_rng(0)
    unit = 2.0 ** np.round(np.log2(unit))
    X = rng.normal(size=(50, 3))
    Y = X @ np.linalg.qr(rng.normal(size=(3, 3)))[0] + 0.1 * rng.normal(size=(50, 3)) + 2.0
    for limit in (0.0, 0.3):
        plain, other = OrthogonalAlignment(limit).fit(X, Y), OrthogonalAlignment(limit).fit(unit * X, unit * Y)
        np.testing.assert_allclose(other.coef_, plain.coef_, atol=1e-7)
        np.testing.assert_allclose(other.predict(unit * X) / unit, plain.predict(X), atol=1e-7)
        assert other.loss_ == pytest.approx(plain.loss_, rel=1e-6)
    for metric in ("cosine", "euclidean"):
        model = RelativeRepresentation(n_anchors=8, metric=metric, random_state=0)
        first = model.fit_transform(X)
        np.testing.assert_allclose(model.fit_transform(unit * X), first, atol=1e-12)
        np.testing.assert_allclose(model.anchors_ / unit + model.center_ / unit, X[model.anchor_indices_], atol=1e-12)


@pytest.mark.parametrize("seed", range(12))
def test_one_column_of_two_is_the_best_point_of_the_circle(seed):
    """With twice the same column the alternation stopped at the worst point: a loss of 2.2 where 1.0 can be had."""
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(6, 2)) * rng.exponential(size=2)
    if seed % 2:
        X[:, 1] = X[:, 0]
    y = 0.3 * X[:, 0] + rng.normal(size=6)
    angles = np.linspace(0, 2 * np.pi, 100_001)
    fits = (X - X.mean(axis=0)) @ np.stack([np.cos(angles), np.sin(angles)])
    losses = np.sum((fits - (y - y.mean())[:, None]) ** 2, axis=0) / np.sum((y - y.mean()) ** 2)
    assert OrthogonalAlignment().fit(X, y).loss_ == pytest.approx(losses.min(), rel=1e-6)


def test_fewer_columns_of_dependent_ones_are_the_best_of_many_starts():
    rng = np.random.default_rng(7)
    X, Y = rng.normal(size=(20, 4)), rng.normal(size=(20, 3))
    X[:, 3] = X[:, 1]
    points, wanted = X - X.mean(axis=0), Y - Y.mean(axis=0)
    best = np.inf
    for _ in range(20):
        start = np.linalg.qr(rng.normal(size=(4, 4)))[0][:, :3]
        found = minimize(
            lambda flat: np.sum((wanted - points @ np.linalg.qr(flat.reshape(4, 3))[0]) ** 2), start.ravel()
        )
        best = min(best, found.fun / np.sum(wanted**2))
    assert OrthogonalAlignment().fit(X, Y).loss_ <= best + 1e-7


@pytest.mark.parametrize("constant", [1.0, np.where(np.arange(20) % 2, 0.3, 0.1 + 0.2)])
@pytest.mark.parametrize("limit", [0.0, 0.2])
def test_a_column_that_does_not_vary_gives_the_others_no_room(constant, limit):
    """It would be the same map with a smaller loss: W'W = I lets what nothing shows take the place of what is shown."""
    rng = np.random.default_rng(3)
    X, Y = rng.normal(size=(20, 4)), rng.normal(size=(20, 2))
    alone = OrthogonalAlignment(max_distortion=limit).fit(X, Y)
    beside = OrthogonalAlignment(max_distortion=limit).fit(np.insert(X, 1, constant, axis=1), Y)
    np.testing.assert_allclose(np.delete(beside.coef_, 1, axis=1), alone.coef_, rtol=1e-7, atol=1e-9)
    np.testing.assert_array_equal(beside.coef_[:, 1], 0.0)
    assert beside.distortion_ == pytest.approx(alone.distortion_, abs=1e-9)
    few = OrthogonalAlignment().fit(np.column_stack([X[:, :1], np.ones(20)]), Y)  # one column for two targets
    assert few.distortion_ < 1e-9


@pytest.mark.parametrize(("asked", "drawn"), [(30, 30), (300, 60)])
def test_anchors_are_different_rows(asked, drawn):
    model = RelativeRepresentation(n_anchors=asked, random_state=0).fit(spaces(60)[0])
    assert len(set(model.anchor_indices_.tolist())) == len(model.anchor_indices_) == drawn
