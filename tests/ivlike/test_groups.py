"""Finite groups averaged exactly, compositions, sampled copies, and features applied after the augmentation."""

import numpy as np
import pandas as pd
import pytest
from scipy.linalg import null_space
from sklearn.base import clone
from sklearn.kernel_approximation import Nystroem
from sklearn.linear_model import LinearRegression
from sklearn.preprocessing import PolynomialFeatures, SplineTransformer

from causalinv import FunctionAugmentation, GaussianNoise, IVLikeRegression, Moments, Translation
from causalinv.exceptions import WeakSignalWarning
from causalinv.ivlike import Compose, CyclicShift, Flip, PermutationGroup, Rotate90, SignFlip
from causalinv.ivlike._inputs import own_generator
from causalinv.transformations import FiniteGroup

D4 = Compose([Rotate90((3, 3)), Flip((3, 3))])


def data(d=9, n=400, seed=0):
    rng = np.random.default_rng(seed)
    C = rng.normal(size=(n, 1))
    X = (
        rng.normal(size=(n, d)) @ (np.eye(d) + rng.normal(size=(d, d)) / 3)
        + C * rng.normal(size=d)
        + rng.normal(size=d)
    )
    return X, X.sum(axis=1) + 2 * C[:, 0]


def listed(aug, d):
    """All elements as matrices, multiplied out by hand from the moves themselves."""
    parts = aug.augmentations if isinstance(aug, Compose) else [aug]
    moves = []
    for part in parts:
        perms, signs = part.generators(d)
        moves += [sign[:, None] * np.eye(d)[perm] for perm, sign in zip(perms, signs, strict=True)]
    found = [np.eye(d)]
    for g in found:
        for move in moves:
            if not any(np.array_equal(move @ g, other) for other in found):
                found.append(move @ g)
    return found


GROUPS = [
    (SignFlip([0, [1, 2], 3]), 8),
    (PermutationGroup([[1, 2, 0, 3, 4, 5, 6, 7, 8]]), 3),
    (Rotate90((3, 3)), 4),
    (Flip((3, 3), axis=0), 2),
    (CyclicShift((3, 3)), 9),
    (D4, 8),
    (Compose([SignFlip([4]), PermutationGroup([[1, 0, 2, 3, 4, 5, 6, 7, 8]])]), 4),
    (Compose([SignFlip([0]), PermutationGroup([[1, 0, 2, 3, 4, 5, 6, 7, 8]])]), 8),  # the flip spreads to feature 1
]


@pytest.mark.parametrize(("group", "size"), GROUPS, ids=lambda v: getattr(v, "__class__", type(v)).__name__)
def test_every_strength_is_least_squares_on_the_reynolds_projection(group, size):
    X, y = data()
    elements = listed(group, 9)
    assert len(elements) == size
    reynolds = np.mean(elements, axis=0)
    projected = LinearRegression().fit(X @ reynolds.T, y)
    expected = reynolds.T @ np.linalg.pinv(np.cov((X @ reynolds.T).T)) @ np.cov(np.c_[X @ reynolds.T, y].T)[:9, 9]
    for alpha in (0.0, 0.1, np.inf):
        model = IVLikeRegression(alpha, augmentation=group).fit(X, y)
        np.testing.assert_allclose(model.coef_, expected, atol=1e-9)
        np.testing.assert_allclose(model.predict(X), projected.predict(X @ reynolds.T), atol=1e-9)
    # least squares on all elements of the group times all rows: augmentation in full
    every = LinearRegression().fit(np.vstack([X @ g.T for g in elements]), np.tile(y, size))
    np.testing.assert_allclose(model.coef_, every.coef_, atol=1e-9)


@pytest.mark.parametrize("group", [group for group, _ in GROUPS])
def test_averaged_moments_are_those_of_all_elements_listed(group):
    X, y = data()
    stage = group.first_stage(Moments.from_rows(x=X, y=y))
    rows = np.vstack([X @ g.T for g in listed(group, 9)])
    cov = np.cov(np.c_[rows, np.tile(y, len(rows) // len(y))].T, ddof=0)
    np.testing.assert_allclose(stage.variance, cov[:9, :9], atol=1e-10)
    np.testing.assert_allclose(stage.cross[:, 0], cov[:9, 9], atol=1e-10)
    if not isinstance(group, Compose):
        nodes = np.vstack([GX for GX, _, _ in group.nodes(X)])
        order = np.lexsort(rows.T[:1]), np.lexsort(nodes.T[:1])
        np.testing.assert_allclose(rows[order[0], 0], nodes[order[1], 0], atol=1e-12)
        GX, G = group.draw(X, np.random.default_rng(0))
        orbit = np.stack([X @ g.T for g in listed(group, 9)])
        assert (np.abs(orbit - GX).max(axis=2).min(axis=0) < 1e-12).all()
        assert G.shape == (400, len(orbit) - 1)
        assert np.abs(G.mean(axis=0) - 1 / len(orbit)).max() < 0.1


def test_groups_too_large_to_list_are_averaged_all_the_same():
    X, y = data()
    everything = PermutationGroup([np.roll(np.arange(9), 1), [1, 0, *range(2, 9)]])  # all 9! exchanges
    model = IVLikeRegression(augmentation=everything).fit(X, y)
    slope = np.polyfit(X.sum(axis=1), y, 1)[0]
    np.testing.assert_allclose(model.coef_, slope, atol=1e-9)
    with pytest.raises(ValueError, match="more than 512 elements"):
        IVLikeRegression(augmentation=everything, integration="paired").fit(X, y)


def test_permutations_with_signs_compose_in_the_right_order():
    """A quarter turn of the plane, (x0, x1) -> (x1, -x0), with an exchange of x1 and x2: a group of 24 matrices."""

    class Turned(FiniteGroup):
        outcome_invariant = True

        def generators(self, n_features, feature_names=None):
            return np.array([[1, 0, 2], [0, 2, 1]]), np.array([[1, -1, 1], [1, 1, 1]])

    found = listed(Turned(), 3)
    perms, signs = Turned().elements(3)
    ours = [sign[:, None] * np.eye(3)[perm] for perm, sign in zip(perms, signs, strict=True)]
    assert len(ours) == len(found)
    assert all(any(np.array_equal(a, b) for b in ours) for a in found)
    X, y = data(3)
    stage = Turned().first_stage(Moments.from_rows(x=X, y=y))
    rows = np.vstack([X @ g.T for g in found])
    np.testing.assert_allclose(stage.variance, np.cov(rows.T, ddof=0), atol=1e-10)


@pytest.mark.filterwarnings("ignore:alpha=0, but predictions still change")
def test_a_group_carries_no_first_moment_signal_on_centred_rows():
    """Fact 2f: sampled at alpha=.01 is augmented least squares up to noise, and the warning says where to go."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(4000, 9))
    y = X.sum(axis=1) + rng.normal(size=4000)
    with pytest.warns(WeakSignalWarning, match="integration='closed_form'"):
        sampled = IVLikeRegression(0.01, augmentation=Rotate90((3, 3)), integration="sampled", random_state=0).fit(X, y)
    exact = IVLikeRegression(augmentation=Rotate90((3, 3))).fit(X, y)
    np.testing.assert_allclose(sampled.coef_, exact.coef_, atol=0.1)
    assert sampled.first_stage_f_.max() < 10
    # with a mean there is a signal, and pairing finds the invariant coordinates exactly
    paired = IVLikeRegression(0.0, augmentation=Rotate90((3, 3)), integration="paired", random_state=0).fit(
        X + np.arange(9.0), y
    )
    turned = np.rot90(paired.coef_.reshape(3, 3)).ravel()
    mean = np.arange(9.0) + X.mean(0)
    assert (paired.coef_ - turned) @ mean == pytest.approx(0.0, abs=0.2)


def test_compose_draws_in_order_and_joins_translations():
    X, y = data(3)
    both = Compose([Translation([[1.0, 0, 0]]), Translation([[0, 1.0, 1.0]], outcome_invariant=False)])
    assert (both.closed_form, both.outcome_invariant) == (True, False)
    one = IVLikeRegression(0.3, augmentation=Translation([[1.0, 0, 0], [0, 1.0, 1.0]])).fit(X, y)
    np.testing.assert_allclose(IVLikeRegression(0.3, augmentation=both).fit(X, y).coef_, one.coef_, atol=1e-12)
    np.testing.assert_allclose(
        IVLikeRegression(0.3, augmentation=both, integration="paired").fit(X, y).coef_, one.coef_, atol=1e-9
    )
    mixed = Compose([SignFlip([0]), Translation([[5.0, 0, 0]])])
    assert not mixed.closed_form
    rng = np.random.default_rng(2)
    GX, G = mixed.draw(X, rng)
    np.testing.assert_allclose(GX[:, 0], np.where(G[:, 0] > 0, -1, 1) * X[:, 0] + 5 * G[:, 1])
    model = IVLikeRegression(0.0, augmentation=mixed, random_state=0).fit(X, y)
    assert abs(model.coef_[0]) < 1e-9
    assert clone(mixed).get_params(deep=False).keys() == {"augmentations"}


def test_sampled_equals_instruments_on_stacked_copies():
    """By definition: m copies stacked, G as instruments; and augmentation_parameters= is the same door."""
    X, y = data(3)

    def shift(rows, rng):
        G = rng.normal(size=(len(rows), 1))
        return rows + G @ [[1.0, 1.0, 0.0]], G

    rng = own_generator(np.random.default_rng(9), "augmentation")
    GX, G = (np.vstack(part) for part in zip(*(shift(X, rng) for _ in range(3)), strict=True))
    stacked = IVLikeRegression(0.2).fit(GX, np.tile(y, 3), instruments=G)
    own = IVLikeRegression().fit(GX, np.tile(y, 3), augmentation_parameters=G)
    drawn = IVLikeRegression(
        0.2,
        augmentation=FunctionAugmentation(shift),
        integration="sampled",
        n_copies=3,
        random_state=np.random.default_rng(9),
    ).fit(X, y)
    np.testing.assert_allclose(drawn.coef_, stacked.coef_, atol=1e-10)
    assert own.alpha_ == 0.1
    np.testing.assert_allclose(own.set_params(alpha=0.2).fit(
        GX, np.tile(y, 3), augmentation_parameters=pd.DataFrame(G, columns=["g"])
    ).coef_, stacked.coef_, atol=1e-10)  # fmt: skip
    assert "rows are augmented copies" in str(own.summary())
    assert drawn.intercept_ == pytest.approx(y.mean() - X.mean(0) @ drawn.coef_)  # about the rows, not their copies
    assert own.score(GX, np.tile(y, 3), augmentation_parameters=G) < 1


# -- features ---------------------------------------------------------------------------------------------------


def circle(n=600, seed=0):
    rng = np.random.default_rng(seed)
    C = rng.normal(size=n)
    X = rng.normal(size=(n, 2)) + np.c_[C, 0 * C]
    return X, np.sum(X**2, axis=1) + 2 * C


def turn(rows, rng):
    angle = rng.uniform(-1.0, 1.0, size=len(rows))
    c, s = np.cos(angle), np.sin(angle)
    return np.c_[c * rows[:, 0] - s * rows[:, 1], s * rows[:, 0] + c * rows[:, 1]], np.c_[c, s, c * c, c * s]


def test_features_find_the_invariant_polynomial_of_a_rotation():
    """f = |x|² is invariant, x0 carries the confounder: at alpha=0 only the squares keep a coefficient, and equal."""
    X, y = circle()
    X[:, 0] += 2.0
    y = y + 4.0 * X[:, 0] - 4.0  # |x|² of the moved rows, up to a constant
    model = IVLikeRegression(
        augmentation=FunctionAugmentation(turn, outcome_invariant=True),
        features=PolynomialFeatures(2, include_bias=False),
        random_state=0,
    ).fit(X, y)
    coef = dict(zip(model.features_.get_feature_names_out(), model.coef_, strict=True))
    assert coef["x0^2"] == pytest.approx(coef["x1^2"], abs=1e-8)
    assert coef["x0^2"] == pytest.approx(1.0, abs=0.35)
    assert max(abs(coef[k]) for k in ("x0", "x1", "x0 x1")) < 1e-8
    assert np.abs(model.least_squares_coef_[:2]).max() > 0.5
    assert list(model.summary().to_frame().index.names) == ["feature"]
    assert "x0 x1" in model.summary().to_frame().index


def test_quadrature_over_features_is_exact_for_polynomials():
    """Nine nodes against 60 for quadratic features, whose moments have degree 4 in G; weighted rows."""
    X, y = circle(200)
    w = np.random.default_rng(0).random(200)
    step = np.array([[0.7, -0.4]])
    model = IVLikeRegression(
        0.3,
        augmentation=Translation(step),
        features=PolynomialFeatures(2, include_bias=False),
        integration="closed_form",
    ).fit(X, y, sample_weight=w)
    points, shares = np.polynomial.hermite_e.hermegauss(60)
    shares = shares / shares.sum()
    phi = PolynomialFeatures(2, include_bias=False).fit(X)
    copies = [phi.transform(X + g * step) for g in points]
    row_weight = w / w.sum()
    means = np.array([row_weight @ copy for copy in copies])
    centre, yc = shares @ means, y - row_weight @ y
    A = sum(s * (c - centre).T @ (row_weight[:, None] * (c - centre)) for s, c in zip(shares, copies, strict=True))
    b = sum(s * (c - centre).T @ (row_weight * yc) for s, c in zip(shares, copies, strict=True))
    B = (means - centre).T @ (shares[:, None] * (means - centre))
    np.testing.assert_allclose(model.coef_, np.linalg.solve(0.3 * A + B, 0.3 * b), rtol=1e-8)
    two = Translation([[0.5, 0.0], [0.0, 0.5]], outcome_invariant=False)
    closed = IVLikeRegression(
        0.3, augmentation=two, features=PolynomialFeatures(2, include_bias=False), integration="closed_form"
    ).fit(X, y)
    noise = sum(share for *_, share in two.nodes(X))
    assert noise == pytest.approx(1.0)
    assert np.isfinite(closed.confint()).all(axis=None)


def test_a_group_with_features_is_every_element_once():
    X, y = circle()
    flips = SignFlip([0, 1])
    model = IVLikeRegression(
        0.1, augmentation=flips, features=PolynomialFeatures(2, include_bias=False), integration="closed_form"
    ).fit(X + 1.0, y)
    phi = PolynomialFeatures(2, include_bias=False).fit(X)
    signs = [[1, 1], [-1, 1], [1, -1], [-1, -1]]
    copies = np.vstack([phi.transform((X + 1.0) * s) for s in signs])
    reference = LinearRegression().fit(copies, np.tile(y, 4))
    np.testing.assert_allclose(model.alpha_path([np.inf])[0], reference.coef_, atol=1e-9)
    np.testing.assert_allclose(model.coef_[[0, 1, 3]], 0.0, atol=1e-9)  # odd in a sign that flips


def test_features_are_fitted_on_what_the_augmentation_reaches():
    X, y = circle()
    far = Translation([[10.0, 0.0]])
    model = IVLikeRegression(
        0.1, augmentation=far, features=SplineTransformer(4, include_bias=False), random_state=0
    ).fit(X, y)
    knots = model.features_.bsplines_[0].t[3:-3]  # without those that the degree adds
    assert knots.max() > X[:, 0].max() + 5
    nystroem = IVLikeRegression(
        0.1,
        augmentation=FunctionAugmentation(turn),
        features=Nystroem(gamma=0.05, n_components=30, random_state=0),
        ridge=1e-6,
    ).fit(pd.DataFrame(X, columns=["a", "b"]), y)
    assert nystroem.coef_.shape == (30,)
    assert nystroem.predict(pd.DataFrame(X, columns=["a", "b"])).shape == (600,)
    radial = np.sum(X**2, axis=1)
    truth = radial - radial.mean()
    own = nystroem.predict(pd.DataFrame(X, columns=["a", "b"]))
    plain = LinearRegression().fit(nystroem.features_.transform(pd.DataFrame(X, columns=["a", "b"])), y)
    theirs = plain.predict(nystroem.features_.transform(pd.DataFrame(X, columns=["a", "b"])))
    assert np.var(own - truth) < np.var(theirs - truth)


def test_features_work_with_instruments_and_score():
    rng = np.random.default_rng(0)
    Z = rng.normal(size=(500, 3))
    C = rng.normal(size=500)
    X = np.c_[Z[:, 0] + C, Z[:, 1]] + 0.3 * rng.normal(size=(500, 2))
    y = X[:, 0] ** 2 + C
    phi = PolynomialFeatures(2, include_bias=False)
    instruments = PolynomialFeatures(2, include_bias=False).fit_transform(Z)
    model = IVLikeRegression(0.0, features=phi).fit(X, y, instruments=instruments)
    direct = IVLikeRegression(0.0).fit(phi.fit_transform(X), y, instruments=instruments)
    np.testing.assert_allclose(model.coef_, direct.coef_)
    assert np.isfinite(model.score(X, y, instruments=instruments))
    with pytest.raises(ValueError, match="features= needs rows"):
        IVLikeRegression(0.1, augmentation=GaussianNoise(), features=phi).fit_moments(Moments.from_rows(x=X, y=y))


def test_solution_set_of_instruments_alone_contains_zero_and_that_is_why_risk_breaks_the_tie():
    """Fact 2e: the population's IV equations of a translation, Γh = 0, hold at h = 0; the least risky one is used."""
    X, y = data(4)
    steps = np.eye(2, 4)
    model = IVLikeRegression(augmentation=Translation(steps)).fit(X, y)
    free = null_space(steps)
    np.testing.assert_allclose(steps @ model.coef_, 0, atol=1e-12)
    risk = [np.var(y - X @ h) for h in (model.coef_, np.zeros(4), model.coef_ + 0.1 * free[:, 0])]
    assert risk[0] == min(risk)
