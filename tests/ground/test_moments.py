"""Moments agree with NumPy on rows, keep their digits, and obey the algebra of cells."""

import copy
import datetime
import pickle

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from causalinv import Moments
from causalinv.linear_rule import least_squares


def data(n=500, seed=0):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, 3)) @ rng.normal(size=(3, 3)) + [1.0, -2.0, 30.0]
    y = X @ [1.0, 2.0, 3.0] + rng.normal(size=n)
    return X, y, rng.integers(0, 3, n), rng.integers(0, 4, n), rng.random(n) * (rng.random(n) > 0.2)


def assert_equal_moments(first, second, rtol=1e-11):
    assert list(first.cells) == list(second.cells)
    np.testing.assert_allclose(first.weight, second.weight, rtol=rtol)
    np.testing.assert_allclose(first.count, second.count)
    for a in first.blocks:
        np.testing.assert_allclose(first.mean(a), second.mean(a), rtol=rtol, atol=rtol)
        for b in first.blocks:
            np.testing.assert_allclose(first.cov(a, b), second.cov(a, b), rtol=rtol, atol=rtol)


@pytest.mark.parametrize("weighted", [False, True])
def test_each_cell_equals_numpy_on_its_rows(weighted):
    X, y, e, _, w = data()
    w = w if weighted else np.ones(len(y))
    m = Moments.from_rows(x=X, y=y, environments=e, sample_weight=w if weighted else None)
    assert m.cells.name == "environments"
    for k, label in enumerate(m.cells):
        rows, weights = np.c_[X, y][e == label], w[e == label]
        np.testing.assert_allclose(m.mean("x")[k], np.average(rows[:, :3], axis=0, weights=weights))
        cov = np.cov(rows.T, aweights=weights, ddof=0)
        np.testing.assert_allclose(m.cov("x")[k], cov[:3, :3], rtol=1e-11)
        np.testing.assert_allclose(m.cov("x", "y")[k, :, 0], cov[:3, 3], rtol=1e-11)
        np.testing.assert_allclose(m.weight[k], weights.sum())
        assert m.count[k] == np.count_nonzero(weights)
        second = (rows[:, :3] * weights[:, None]).T @ rows[:, :3] / weights.sum()
        np.testing.assert_allclose(m.second_moment("x")[k], second, rtol=1e-11)


def test_environment_and_fold_make_pairs_and_pool_by_either():
    X, y, e, f, _ = data()
    both = Moments.from_rows(x=X, y=y, environments=e, folds=f)
    assert both.cells.names == ["environments", "folds"]
    assert len(both) == 12
    assert_equal_moments(both.pool(by="environments"), Moments.from_rows(x=X, y=y, environments=e))
    assert_equal_moments(both.pool(by="folds"), Moments.from_rows(x=X, y=y, folds=f))
    assert_equal_moments(both.pool(), Moments.from_rows(x=X, y=y))
    np.testing.assert_allclose(both.select(environments=[1], folds=[2]).mean("y"), y[(e == 1) & (f == 2)].mean())
    assert_equal_moments(both.select(folds=[2]).pool(), Moments.from_rows(x=X[f == 2], y=y[f == 2]))


def test_repetition_equals_weight_and_weight_zero_equals_absence():
    X, y, *_ = data(60)
    w = np.arange(60) % 4
    repeated = Moments.from_rows(x=np.repeat(X, w, axis=0), y=np.repeat(y, w))
    weighted = Moments.from_rows(x=X, y=y, sample_weight=w)
    np.testing.assert_allclose(weighted.cov("x"), repeated.cov("x"), rtol=1e-12)
    assert weighted.weight == repeated.weight
    assert weighted.count == np.count_nonzero(w)


@given(
    cuts=st.lists(st.integers(1, 199), min_size=1, max_size=6, unique=True),
    offset=st.sampled_from([0.0, 1e3, -1e6]),
    seed=st.integers(0, 1000),
)
def test_merging_pieces_in_any_cut_equals_the_whole(cuts, offset, seed):
    rng = np.random.default_rng(seed)
    X, e = rng.normal(size=(200, 3)) + offset, rng.integers(0, 2, 200)
    whole = Moments.from_rows(x=X, environments=e)
    pieces = np.split(np.arange(200), sorted(cuts))
    merged = Moments.from_chunks({"x": X[rows], "environments": e[rows]} for rows in pieces)
    merged = merged.select(cells=list(whole.cells))
    order = [list(merged.cells).index(label) for label in whole.cells]
    np.testing.assert_allclose(merged.cov("x")[order], whole.cov("x"), rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(merged.mean("x")[order], whole.mean("x"), rtol=1e-13, atol=1e-13)


@given(seed=st.integers(0, 1000), kept=st.integers(2, 198))
def test_subtract_undoes_merge(seed, kept):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(200, 2)) + 100.0
    first, second = Moments.from_rows(x=X[:kept]), Moments.from_rows(x=X[kept:])
    back = first.merge(second).subtract(second)
    np.testing.assert_allclose(back.mean("x"), first.mean("x"), rtol=1e-10)
    np.testing.assert_allclose(back.cov("x"), first.cov("x"), rtol=1e-7, atol=1e-9)
    assert back.count == first.count


@pytest.mark.parametrize("offset", [0.0, 1e3, 1e6, 1e8])
@pytest.mark.parametrize("kept", [1, 2, 50])
def test_what_is_left_of_a_few_rows_far_from_zero_is_no_rounding(offset, kept):
    """Rows that were in are never refused; one row has no scatter, a constant none, and none is negative."""
    for seed in range(30):
        X = np.random.default_rng(seed).normal(size=(100, 2)) + offset
        X[-kept:, 1] = offset + 0.1
        left, gone = Moments.from_rows(x=X[-kept:]), Moments.from_rows(x=X[:-kept])
        back = left.merge(gone).subtract(gone)
        assert not back.scatter("x")[0, 1].any()
        # 8 roundings of the mean, times twice the size of all, times the square root of all by what is left.
        rounding = 2 * 8 * np.finfo(float).eps * offset * np.sqrt(150 * 100 * 99 / kept)
        np.testing.assert_allclose(
            back.scatter("x"), left.scatter("x"), rtol=1e-12, atol=1e-12 + rounding if kept > 1 else 0.0
        )
        assert (np.diagonal(back.scatter("x")[0]) >= 0).all()
        np.testing.assert_allclose(back.mean("x"), left.mean("x"), atol=1e-12 + 1e-13 * offset)


def test_rows_that_cannot_have_been_in_are_refused():
    X = np.arange(6.0)[:, None]
    few, light = Moments.from_rows(x=X[:3]), Moments.from_rows(x=X[:5] / 100, sample_weight=np.full(5, 0.1))
    with pytest.raises(ValueError, match="Subtracting 5 rows from 3 rows leaves nothing in cell 0"):
        few.subtract(light)
    population = Moments({"x": 1}, mean=[[0.0]], scatter=[[[0.1]]])
    for one, two in ((few, population), (population, light)):
        with pytest.raises(ValueError, match="one is a sample and one a population"):
            one.subtract(two)
    weight = np.array([1e-3, 1e-3, 1e5])
    all_rows = Moments.from_rows(x=X[:3], sample_weight=weight)
    back = all_rows.subtract(Moments.from_rows(x=X[2:3], sample_weight=weight[2:]))
    assert back.effective_count[0] <= back.count[0] == 2


def test_merge_keeps_new_cells_and_combines_shared_ones():
    X, _, e, _, _ = data()
    low = Moments.from_rows(x=X[e < 2], environments=e[e < 2])
    high = Moments.from_rows(x=X[e > 0], environments=e[e > 0])
    merged = low.merge(high)
    assert list(merged.cells) == [0, 1, 2]
    twice = np.r_[X[e == 1], X[e == 1]]
    np.testing.assert_allclose(merged.cov("x")[1], Moments.from_rows(x=twice).cov("x")[0], rtol=1e-12)
    assert merged.count[1] == 2 * np.sum(e == 1)


@pytest.mark.parametrize("chunked", [False, True])
def test_a_mean_of_a_million_costs_no_digits_of_a_regression(chunked):
    X, y, *_ = data(20_000)
    shifted = np.round(y * 2**20) / 2**20  # exactly representable after the shift
    if chunked:
        moments = Moments.from_chunks({"x": X[k::7] + 1e6, "y": shifted[k::7] + 1e6} for k in range(7))
    else:
        moments = Moments.from_rows(x=X + 1e6, y=shifted + 1e6)
    exact = (X + 1e6) - 1e6  # what is left of X after it was stored with its mean
    design = np.c_[exact, np.ones(len(y))]
    reference = np.linalg.lstsq(design, shifted, rcond=None)[0][:3]
    np.testing.assert_allclose(least_squares(moments)[:, 0], reference, rtol=1e-10)
    # Raw sums of squares would not: the gate is a real one.
    Z = np.c_[X + 1e6, shifted + 1e6]
    raw = Z.T @ Z / len(Z) - np.outer(Z.mean(0), Z.mean(0))
    assert np.abs(np.linalg.solve(raw[:3, :3], raw[:3, 3]) - reference).max() > 1e-6


def test_a_constant_column_has_exactly_no_variance():
    X, y, e, f, w = data()
    X[:, 1] = 0.1
    m = Moments.from_rows(x=X, y=y, environments=e, folds=f, sample_weight=w)
    assert (m.scatter("x")[:, 1] == 0).all()
    assert (m.pool().scatter("x")[:, 1] == 0).all()


def test_a_row_of_weight_zero_is_absent_whatever_it_holds():
    X, y, *_ = data(50)
    w = np.ones(50)
    w[0] = 0.0
    clean = Moments.from_rows(x=X[1:], y=y[1:])
    X[0] = 1e15
    np.testing.assert_array_equal(Moments.from_rows(x=X, y=y, sample_weight=w).cov("x"), clean.cov("x"))


def test_a_mask_selects_what_it_marks():
    m = Moments.from_rows(x=data()[0])
    np.testing.assert_array_equal(
        m.select(x=np.array([True, False, True])).cov("x"), m.cov("x")[:, [0, 2]][:, :, [0, 2]]
    )


def test_names_come_from_frames_and_survive_selection_and_pickle():
    X, y, e, *_ = data()
    frame = pd.DataFrame(X, columns=["a", "b", "c"])
    m = Moments.from_rows(x=frame, y=pd.Series(y, name="out"), environments=e)
    assert m.names["x"] == ("a", "b", "c")
    part = m.select(x=[2, 0], y=True)
    assert part.names["x"] == ("c", "a")
    np.testing.assert_array_equal(part.cov("x", "y"), m.cov("x", "y")[:, [2, 0]])
    for again in (pickle.loads(pickle.dumps(m)), copy.deepcopy(m)):
        assert_equal_moments(again, m, rtol=0)
        assert again.names == m.names


def test_moments_are_immutable():
    m = Moments.from_rows(x=np.eye(3))
    with pytest.raises(AttributeError, match="immutable"):
        m.weight = 2
    with pytest.raises(ValueError, match="read-only"):
        m.mean("x")[0, 0] = 1
    with pytest.raises(TypeError):
        m.blocks["x"] = 4


def test_populations_pool_with_equal_weight():
    m = Moments({"x": 1}, mean=[[0.0], [2.0]], scatter=[[[1.0]], [[1.0]]])
    pooled = m.pool()
    assert pooled.mean("x") == 1.0
    assert pooled.cov("x") == 2.0  # 1 within and 1 between
    assert np.isinf(pooled.count)


def _weighted(weight):
    rng = np.random.default_rng(3)
    return Moments.from_rows(
        x=rng.normal(size=(8, 2)), y=rng.normal(size=8), environments=[0, 1] * 4, sample_weight=weight
    )


@pytest.mark.parametrize("unit", [1e-6, 1.0, 1e6])
def test_weights_that_average_one_do_not_pass_for_none(unit):
    assert _weighted(None).is_unweighted
    assert _weighted(np.full(8, unit)).is_unweighted
    uneven = unit * np.array([0.5, 0.5, 1.5, 1.5, 0.5, 0.5, 1.5, 1.5])  # of mean one in either environment
    assert not _weighted(uneven).is_unweighted
    assert not _weighted(unit * np.array([1.0, 2.0] * 4)).is_unweighted  # equal within, not between
    assert not _weighted(uneven).pool().is_unweighted
    np.testing.assert_allclose(_weighted(uneven).weight_sq, unit**2 * np.array([5.0, 5.0]))
    np.testing.assert_allclose(_weighted(uneven).effective_count, 4.0**2 / 5.0)
    assert not Moments({"x": 1}, mean=[0.0], scatter=[[1.0]]).is_unweighted


@pytest.mark.parametrize("spread", [1e-6, 1e-9])
def test_only_equal_weights_are_none(spread, monkeypatch):
    """Sums of squares show a spread only by its square: the ends of the weights are carried."""
    rng = np.random.default_rng(0)
    X, e = rng.normal(size=(4000, 2)), np.arange(4000) % 2
    even, uneven = np.full(4000, 0.1), np.full(4000, 0.1)
    uneven[3917] *= 1 + spread  # in the last piece
    monkeypatch.setattr("causalinv._scan._sources._BATCH", 900)

    def told(weight, cut=slice(None)):
        return Moments.from_rows(x=X[cut], environments=e[cut], sample_weight=weight[cut])

    for weight, equal in ((even, True), (even / even.mean(), True), (uneven, False)):
        chunks = [slice(i, i + 900) for i in range(0, 4000, 900)]
        whole, pieces = told(weight), [told(weight, cut) for cut in chunks]
        merged = pieces[0]
        for piece in pieces[1:]:
            merged = merged.merge(piece)
        streamed = Moments.from_chunks(
            {"x": X[cut], "environments": e[cut], "sample_weight": weight[cut]} for cut in chunks
        )
        frame = pd.DataFrame({"a": X[:, 0], "b": X[:, 1], "e": e, "w": weight})
        scanned = Moments.scan(frame, x=["a", "b"], environments="e", sample_weight="w")
        np.testing.assert_array_equal(scanned.weight_range, whole.weight_range)
        for each in (
            scanned,
            whole,
            merged,
            streamed,
            whole.pool(),
            pickle.loads(pickle.dumps(whole)),
            whole.select(x=[0]),
        ):
            assert each.is_unweighted is equal
        assert told(weight).select(cells=[0]).is_unweighted  # row 3917 is in the other cell
        assert whole.pool().weight_range.tolist() == [[weight.min(), weight.max()]]


def test_a_range_of_weights_that_is_none_is_refused():
    known = {"mean": [0.0], "scatter": [[1.0]], "count": 4, "weight": 4.0}
    assert Moments({"x": 1}, **known).is_unweighted
    assert not Moments({"x": 1}, **known, weight_sq=4.1).is_unweighted
    assert not Moments({"x": 1}, **known, weight_range=[0.5, 1.5]).is_unweighted
    for wrong in ([1.5, 0.5], [1.0], [np.nan, 1.0]):
        with pytest.raises(ValueError, match="weight_range must hold"):
            Moments({"x": 1}, **known, weight_range=wrong)


def test_squared_weights_follow_merging_subtracting_and_selecting():
    weight = np.arange(1.0, 9.0)
    whole = _weighted(weight)
    half = whole.select(cells=[1])
    assert half.weight_sq[0] == pytest.approx(np.sum(weight[1::2] ** 2))
    both = whole.select(cells=[0]).merge(half)
    np.testing.assert_allclose(both.weight_sq, whole.weight_sq)
    assert whole.pool().weight_sq[0] == pytest.approx(np.sum(weight**2))
    assert whole.pool().subtract(half.pool()).weight_sq[0] == pytest.approx(np.sum(weight[::2] ** 2))
    assert pickle.loads(pickle.dumps(whole)).weight_sq.tolist() == whole.weight_sq.tolist()


def test_rows_of_weight_zero_are_out_with_their_labels():
    rng = np.random.default_rng(0)
    X, labels = rng.normal(size=(9, 2)), np.array(["a", "b", "c"] * 3)
    weight = np.where(labels == "b", 0.0, rng.random(9) + 0.5)
    wild = np.where((labels == "b")[:, None], 1e6, X)
    inside = labels != "b"
    ours = Moments.from_rows(x=wild, environments=labels, sample_weight=weight)
    less = Moments.from_rows(x=X[inside], environments=labels[inside], sample_weight=weight[inside])
    assert list(ours.cells) == ["a", "c"]
    np.testing.assert_array_equal(ours.cov("x"), less.cov("x"))
    np.testing.assert_array_equal(ours.count, less.count)


def test_a_column_that_is_constant_up_to_rounding_has_no_variance():
    rng = np.random.default_rng(0)
    almost = np.where(rng.random(50) < 0.5, 0.3, 0.1 + 0.2)
    X = np.column_stack([rng.normal(size=50), almost])
    whole = Moments.from_rows(x=X, environments=np.arange(50) % 3)
    for moments in (whole, whole.pool(), Moments.from_chunks({"x": X[i : i + 7]} for i in range(0, 50, 7))):
        assert (moments.scatter("x")[:, 1] == 0).all()
        assert (moments.scatter("x")[:, 0, 0] > 0).all()
    near = X.copy()
    near[:, 1] = 1e9 + 1e-3 * rng.normal(size=50)  # a small spread on a large mean is no rounding
    assert Moments.from_rows(x=near).cov("x")[0, 1, 1] == pytest.approx(near[:, 1].var(), rel=1e-6)


@pytest.mark.parametrize(
    "labels",
    [
        pd.to_datetime(["2001-01-01", "2001-07-01"]).tz_localize("Europe/Berlin"),
        [datetime.date(2001, 1, 1), datetime.date(2001, 7, 1)],
        [("a", datetime.date(2001, 1, 1)), ("b", datetime.date(2001, 1, 1))],
    ],
    ids=["zone", "days", "pairs with days"],
)
def test_dates_of_every_kind_survive_a_file(labels, tmp_path):
    moments = Moments.from_rows(x=np.eye(4), environments=[*labels, *labels])
    moments.save(tmp_path / "m.npz")
    back = Moments.load(tmp_path / "m.npz")
    assert back.cells.equals(moments.cells)
    assert list(back.cells) == list(labels)
    assert getattr(back.cells, "tz", None) == getattr(moments.cells, "tz", None)
    assert back.merge(moments).count.tolist() == [4, 4]


def test_a_text_is_no_list_of_labels():
    moments = Moments.from_rows(x=np.eye(3), environments=["a", "b", "ab"])
    with pytest.raises(TypeError, match="environments must be a sequence of labels, got 'ab'"):
        moments.select(environments="ab")
    assert list(moments.select(environments=np.array(["ab"])).cells) == ["ab"]


def test_a_file_of_something_else_is_named(tmp_path):
    (tmp_path / "text").write_text("1,2")
    np.savez(tmp_path / "other.npz", a=np.ones(3))
    np.save(tmp_path / "one.npy", np.ones(3))
    for name in ("text", "other.npz", "one.npy"):
        with pytest.raises(ValueError, match=f"{name} is no file that Moments.save wrote"):
            Moments.load(tmp_path / name)


def test_pairs_are_labels_and_survive_a_file(tmp_path):
    pairs = [("a", 1990), ("b", 1991), ("a", 1990), ("b", 1991)]
    moments = Moments.from_rows(
        x=pd.DataFrame({"u": [1.0, 2.0, 3.0, 5.0]}),
        y=[0.0, 1.0, 2.0, 2.5],
        environments=pairs,
        sample_weight=[1, 2, 3, 4],
    )
    assert list(moments.cells) == [("a", 1990), ("b", 1991)]
    assert len(moments.select(environments=[("b", 1991)])) == 1
    assert list(moments.merge(moments).cells) == list(moments.cells)
    for each in (
        moments,
        Moments.from_rows(x=np.eye(4), folds=[0, 1, 0, 1], environments=list("aabb")),
        Moments.from_rows(x=np.eye(4), environments=pd.to_datetime(["2001-01-01", "2002-01-01"] * 2)),
        Moments({"x": 1}, mean=[1.0], scatter=[[2.0]]),
    ):
        each.save(tmp_path / "m.npz")
        back = Moments.load(tmp_path / "m.npz")
        assert list(back.cells) == list(each.cells)
        assert dict(back.names) == dict(each.names)
        for name in ("count", "weight", "weight_sq", "weight_range"):
            np.testing.assert_array_equal(getattr(back, name), getattr(each, name))
        np.testing.assert_array_equal(back.cov("x"), each.cov("x"))
    with pytest.raises(TypeError, match="cannot be written"):
        Moments({"x": 1}, mean=[1.0], scatter=[[2.0]], cells=[frozenset("a")]).save(tmp_path / "m.npz")


def test_stacked_blocks_are_the_blocks_side_by_side():
    moments = _weighted(None)
    both = moments.cov(("x", "y"))
    np.testing.assert_array_equal(both[:, :2, :2], moments.cov("x"))
    np.testing.assert_array_equal(both[:, :2, 2:], moments.cov("x", "y"))
    np.testing.assert_array_equal(moments.cov(("y", "x"))[:, 1:, 0:1], moments.cov("x", "y"))
    np.testing.assert_array_equal(moments.mean(("y", "x")), np.hstack([moments.mean("y"), moments.mean("x")]))
    assert moments.pooled is moments.pooled
    np.testing.assert_allclose(moments.share, [0.5, 0.5])


def test_what_no_variables_can_have_is_refused():
    with pytest.raises(ValueError, match="not positive semidefinite.*-2 .*4"):
        Moments({"x": 2}, mean=[0.0, 0.0], scatter=[[1.0, 3.0], [3.0, 1.0]])
    Moments({"x": 2}, mean=[0.0, 0.0], scatter=[[1.0, 1.0], [1.0, 1.0 - 1e-12]])  # rounding
    with pytest.raises(ValueError, match="overflow"):
        Moments.from_rows(x=[[1e200], [-1e200]])
    with pytest.raises(ValueError, match="only ratios matter"):
        Moments.from_rows(x=[[1.0], [2.0]], sample_weight=[1e308, 1e308])


def test_a_summary_fits_the_terminal(monkeypatch):
    monkeypatch.setenv("COLUMNS", "60")
    text = str(_weighted(None).summary())
    assert max(map(len, text.splitlines())) <= 60
    assert "sums over rows" in " ".join(text.split())
    assert "mean x0" in _weighted(None).to_frame()
    assert "<table" in _weighted(None)._repr_html_()


def test_a_column_of_one_number_has_one_mean_in_all_cells():
    """0.3 and 0.1 + 0.2 in uneven shares: means of cells differed by rounding, which looked like a difference."""
    e = np.repeat([0, 1, 2], [10, 7, 5])
    column = np.where(np.arange(22) < 12, 0.3, 0.1 + 0.2)
    vary = np.random.default_rng(0).normal(size=22)
    m = Moments.from_rows(x=np.column_stack([column, vary]), environments=e)
    assert len(set(m.mean("x")[:, 0].tolist())) == 1
    assert not m.scatter("x")[:, 0].any()
    assert not m.pool().scatter("x")[:, 0].any()
    assert len(set(m.mean("x")[:, 1].tolist())) == 3


def test_a_block_that_is_not_there_is_named_wherever_it_is_asked_for():
    moments = Moments.from_rows(x=np.eye(3))
    for ask in (lambda: moments.blocks["y"], lambda: moments.mean("y"), lambda: moments.cov("x", "y")):
        with pytest.raises(ValueError, match="no block 'y'; they have x"):
            ask()
    assert "y" not in moments.blocks
    assert moments.blocks.get("y") is None


@pytest.mark.parametrize(("spread", "none"), [(1e-3, False), (1e-8, True)])
def test_sums_of_squares_tell_unequal_weights_down_to_rounding(spread, none):
    """Ten rows whose weights vary by this share of their mean: their squares sum to 10 (1 + spread²)."""
    given = {"mean": [[0.0]], "scatter": [[[1.0]]], "weight": 10.0, "count": 10.0}
    assert Moments({"x": 1}, weight_sq=10.0 * (1 + spread**2), **given).is_unweighted is none


def test_tables_show_weighted_means_and_standard_deviations():
    X, y, e, _, w = data()
    table = Moments.from_rows(x=X, y=y, environments=e, sample_weight=w).to_frame()
    for label in (0, 1, 2):
        own, weight = np.c_[X, y][e == label], w[e == label]
        mean = np.average(own, axis=0, weights=weight)
        sd = np.sqrt(np.average((own - mean) ** 2, axis=0, weights=weight))
        row = table.loc[label]
        np.testing.assert_allclose(row[[f"mean {v}" for v in ("x0", "x1", "x2", "y")]], mean)
        np.testing.assert_allclose(row[[f"sd {v}" for v in ("x0", "x1", "x2", "y")]], sd)
        assert row["count"] == np.count_nonzero(weight)
        assert row["weight"] == pytest.approx(weight.sum())


def test_a_sample_and_a_population_are_no_one_cell():
    sample = Moments.from_rows(x=np.eye(3)[:, :1])
    population = Moments({"x": 1}, mean=[0.0], scatter=[[1.0]])
    for one, two in ((sample, population), (population, sample)):
        with pytest.raises(ValueError, match="sample and a population cannot be combined"):
            one.merge(two)
