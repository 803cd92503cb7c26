"""Robust and clustered covariances by a second pass equal those of a fit with its rows."""

import numpy as np
import pandas as pd
import pytest

from causalinv import IVLikeRegression, Moments, Translation
from causalinv.exceptions import DegenerateInputWarning, IdentificationWarning

pa = pytest.importorskip("pyarrow", reason="pyarrow is not installed (extra arrow)")
import pyarrow.parquet as pq  # noqa: E402


@pytest.fixture(scope="module")
def visits():
    rng = np.random.default_rng(0)
    n = 3_000
    z, u = rng.normal(size=(n, 3)), rng.normal(size=n)
    rows = pd.DataFrame(z, columns=["z0", "z1", "z2"])
    rows["a"] = z[:, 0] + z[:, 1] + u + rng.normal(size=n)
    rows["b"] = z[:, 2] - u + rng.normal(size=n)
    rows["site"] = rng.choice([f"s{k}" for k in range(40)], n)
    shock = rows.site.map({f"s{k}": s for k, s in enumerate(rng.normal(size=40))})
    rows["y"] = 5 + rows.a - rows.b + 2 * u + shock + rng.normal(size=n) * (1 + rows.a.abs())
    rows["w"] = rng.choice([0.0, 1.0, 3.0], n)
    return rows


@pytest.fixture(scope="module")
def folder(visits, tmp_path_factory):
    place = tmp_path_factory.mktemp("visits")
    pq.write_table(pa.Table.from_pandas(visits), place / "v.parquet", row_group_size=450)
    return place


@pytest.mark.parametrize("alpha", [0, 0.3, np.inf])
@pytest.mark.parametrize(("weights", "groups"), [(None, None), ("w", None), (None, "site"), ("w", "site")])
@pytest.mark.parametrize("kind", ["instruments", "augmentation"])
def test_equals_a_fit_with_rows(visits, folder, alpha, kind, *, weights, groups, monkeypatch):
    monkeypatch.setattr("causalinv.ivlike._second_pass._AT_ONCE", 200)  # fewer than a row group has
    Z = ["z0", "z1", "z2"] if kind == "instruments" else None
    augmentation = None if Z else Translation(np.array([[1.0, 0.4]]))
    scanned = Moments.scan(folder, x=["a", "b"], y="y", g=Z, sample_weight=weights)
    model = IVLikeRegression(alpha, augmentation=augmentation).fit_moments(scanned)
    given = {"groups": None if groups is None else visits[groups]}
    given |= {} if Z is None else {"instruments": visits[Z]}
    given |= {} if weights is None else {"sample_weight": visits[weights]}
    whole = IVLikeRegression(alpha, augmentation=augmentation).fit(visits[["a", "b"]], visits["y"], **given)
    np.testing.assert_allclose(model.coef_, whole.coef_, rtol=1e-10)
    found = model.covariance(source=folder, groups=groups, sample_weight=weights)
    kind = "HC1" if Z is None else "misspecified"
    np.testing.assert_allclose(found, whole.covariance(cov_type=kind), rtol=1e-8)


def test_at_another_strength_and_several_outcomes(visits, folder):
    rows = visits.assign(other=visits.y + visits.b**2)
    moments = Moments.from_rows(x=rows[["a", "b"]], y=rows[["y", "other"]], g=rows[["z0", "z1"]])
    model = IVLikeRegression(0.5).fit_moments(moments)
    whole = IVLikeRegression(0.5).fit(rows[["a", "b"]], rows[["y", "other"]], instruments=rows[["z0", "z1"]])
    np.testing.assert_allclose(
        model.covariance(at=2.0, source=rows), whole.covariance(at=2.0, cov_type="misspecified"), rtol=1e-8
    )


def test_other_rows_are_noticed(visits, folder):
    model = IVLikeRegression(0.5).fit_moments(Moments.scan(folder, x=["a", "b"], y="y", g="z0"))
    with pytest.raises(ValueError, match="has 2999 rows of total weight 2999.*not the same rows"):
        model.covariance(source=visits[1:])
    with pytest.raises(ValueError, match="another sample_weight"):
        model.covariance(source=visits, sample_weight="w")
    with pytest.raises(ValueError, match="other means, variances or covariances: not the same"):
        model.covariance(source=visits.assign(y=visits["y"].to_numpy()[::-1]))
    with pytest.raises(ValueError, match="other means, variances or covariances"):
        model.covariance(source=visits.assign(y=visits["y"] * (1 + 5e-6)))
    model.covariance(source=visits.assign(y=visits["y"] * (1 + 1e-8)))  # rounding of other engines


def test_the_limit_at_zero_with_a_direction_that_nothing_moves(visits, folder):
    """One instrument for two features: the direction it leaves alone is held back by the constraint's multiplier."""
    with pytest.warns(IdentificationWarning):
        model = IVLikeRegression(0).fit_moments(Moments.scan(folder, x=["a", "b"], y="y", g="z0"))
    with pytest.warns(IdentificationWarning):
        whole = IVLikeRegression(0).fit(visits[["a", "b"]], visits["y"], instruments=visits[["z0"]])
    np.testing.assert_allclose(model.coef_, whole.coef_, rtol=1e-8)
    for groups in (None, "site"):
        given = {} if groups is None else {"groups": visits[groups]}
        with pytest.warns(IdentificationWarning):
            whole = IVLikeRegression(0).fit(visits[["a", "b"]], visits["y"], instruments=visits[["z0"]], **given)
        found = model.covariance(source=folder, groups=groups)
        np.testing.assert_allclose(found, whole.covariance(cov_type="misspecified"), rtol=1e-8)


def test_weights_that_are_almost_those_of_the_moments_are_others(visits):
    model = IVLikeRegression(0.5).fit_moments(Moments.scan(visits, x=["a", "b"], y="y", g="z0", sample_weight="w"))
    near = visits.assign(w=visits["w"].to_numpy() * (1 + 1e-6))
    with pytest.raises(ValueError, match="not the same rows .or another sample_weight"):
        model.covariance(source=near, sample_weight="w")


def test_what_cannot_be_asked(visits, folder):
    bare = Moments.from_rows(x=visits[["a", "b"]].to_numpy(), y=visits[["y"]], g=visits[["z0"]])
    with pytest.raises(ValueError, match="blocks x of these moments have none"):
        IVLikeRegression(0.5).fit_moments(bare).covariance(source=visits)
    model = IVLikeRegression(0.5).fit_moments(Moments.scan(folder, x=["a", "b"], y="y", g="z0"))
    with pytest.raises(ValueError, match="leave cov_type,"):
        model.covariance(source=visits, cov_type="HC3")
    controlled = Moments.from_rows(x=visits[["a"]], y=visits[["y"]], g=visits[["z0"]], c=visits[["b"]])
    with pytest.raises(ValueError, match="takes no controls"):
        IVLikeRegression(0.5).fit_moments(controlled).covariance(source=visits)
    with pytest.raises(ValueError, match="not for LIML"):
        IVLikeRegression("liml").fit_moments(
            Moments.scan(folder, x=["a", "b"], y="y", g=["z0", "z1", "z2"])
        ).covariance(source=visits)
    with pytest.raises(ValueError, match="are about source="):
        model.covariance(groups="site")
    with pytest.raises(ValueError, match="not at hand"):
        model.covariance()
    whole = IVLikeRegression(0.5).fit(visits[["a", "b"]], visits.y, instruments=visits[["z0"]])
    with pytest.raises(ValueError, match="has its rows"):
        whole.covariance(source=visits)


@pytest.mark.parametrize("groups", [None, "site"])
def test_exogenous_regressors_stand_in_both_x_and_g(visits, folder, groups):
    """The idiom that the refusal of controls names: it is scanned, fitted, and passed over a second time."""
    X, Z = ["a", "b"], ["z0", "z1", "b"]
    scanned = Moments.scan(folder, x=X, y="y", g=Z, sample_weight="w")
    model = IVLikeRegression(0).fit_moments(scanned)
    given = {} if groups is None else {"groups": visits[groups]}
    whole = IVLikeRegression(0).fit(visits[X], visits["y"], instruments=visits[Z], sample_weight=visits["w"], **given)
    np.testing.assert_allclose(model.coef_, whole.coef_, rtol=1e-10)
    found = model.covariance(source=folder, groups=groups, sample_weight="w")
    np.testing.assert_allclose(found, whole.covariance(cov_type="misspecified"), rtol=1e-8)
    with pytest.raises(ValueError, match="asked for in x and in y"):
        Moments.scan(folder, x=X, y="a", g=Z)
    with pytest.raises(ValueError, match="asked for in g and in g"):
        Moments.scan(folder, x=X, y="y", g=["z0", "z0"])


def test_a_constant_and_a_far_column_are_still_the_same_rows(visits):
    rows = visits.assign(one=0.1, far=visits["a"] + 1e6)
    with pytest.warns(DegenerateInputWarning, match="constant"):
        model = IVLikeRegression(0.5).fit_moments(Moments.scan(rows, x=["far", "one", "b"], y="y", g="z0"))
    bare = IVLikeRegression(0.5).fit_moments(Moments.scan(rows, x=["a", "b"], y="y", g="z0"))
    found = model.covariance(source=rows)
    np.testing.assert_allclose(found[[0, 2]][:, [0, 2]], bare.covariance(source=rows), rtol=1e-4)


def test_controls_are_a_block_of_a_scan(visits, folder):
    scanned = Moments.scan(folder, x="a", y="y", g=["z0", "z1"], c="b")
    model = IVLikeRegression(0).fit_moments(scanned)
    whole = IVLikeRegression(0).fit(
        visits[["a"]], visits["y"], instruments=visits[["z0", "z1"]], controls=visits[["b"]]
    )
    np.testing.assert_allclose(model.coef_, whole.coef_, rtol=1e-9)


@pytest.mark.parametrize("groups", [None, "site"])
def test_a_dask_frame_is_passed_over_by_its_scheduler(visits, groups):
    """Seven partitions, one of them empty; the same as in one process, to rounding."""
    dd = pytest.importorskip("dask.dataframe", reason="dask is not installed (extra dask)")
    import dask

    parts = dd.from_pandas(visits, npartitions=6)
    frame = dd.concat([parts, parts.loc[10_000:]], interleave_partitions=False)
    with dask.config.set(scheduler="synchronous"):
        scanned = Moments.scan(frame, x=["a", "b"], y="y", g=["z0", "z1", "z2"], sample_weight="w")
        model = IVLikeRegression(0.3).fit_moments(scanned)
        found = model.covariance(source=frame, groups=groups, sample_weight="w")
        with pytest.raises(ValueError, match="not the same rows"):
            model.covariance(source=parts.loc[5:], sample_weight="w")
    np.testing.assert_allclose(found, model.covariance(source=visits, groups=groups, sample_weight="w"), rtol=1e-9)
