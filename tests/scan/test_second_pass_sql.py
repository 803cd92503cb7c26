"""Covariances by a second pass over a table equal those of a fit that holds its rows: DuckDB, SQLite, PostgreSQL."""

from __future__ import annotations

import decimal

import numpy as np
import pytest

from causalinv import IVLikeRegression, Moments

from .test_second_pass import visits  # noqa: F401 - a fixture
from .test_sql import connect  # noqa: F401 - a fixture

Z = ["z0", "z1", "z2"]


@pytest.mark.parametrize(("weights", "groups"), [(None, None), ("w", None), (None, "site"), ("w", "site")])
def test_equals_a_fit_with_rows(connect, visits, weights, groups, monkeypatch):  # noqa: F811
    monkeypatch.setattr("causalinv._scan._connection._ROWS", 700)  # several pieces
    monkeypatch.setattr("causalinv._scan._sources._BATCH", 2_048)
    at = connect(visits, "trips")
    scanned = Moments.scan("trips", connection=at, x=["a", "b"], y="y", g=Z, sample_weight=weights)
    model = IVLikeRegression(0.3).fit_moments(scanned)
    given = {"groups": None if groups is None else visits[groups]}
    given |= {} if weights is None else {"sample_weight": visits[weights]}
    whole = IVLikeRegression(0.3).fit(visits[["a", "b"]], visits["y"], instruments=visits[Z], **given)
    found = model.covariance(source="trips", connection=at, groups=groups, sample_weight=weights)
    np.testing.assert_allclose(found, whole.covariance(cov_type="misspecified"), rtol=1e-8)


def test_a_select_and_an_open_connection(connect, visits):  # noqa: F811
    at = connect(visits, "trips")
    select = "SELECT * FROM trips WHERE z0 > 0;"
    model = IVLikeRegression(0.3).fit_moments(Moments.scan(select, connection=at, x=["a", "b"], y="y", g=Z))
    rows = visits[visits.z0 > 0]
    truth = IVLikeRegression(0.3).fit(rows[["a", "b"]], rows["y"], instruments=rows[Z])
    truth = truth.covariance(cov_type="misspecified")
    np.testing.assert_allclose(model.covariance(source=select, connection=at), truth, rtol=1e-8)
    if hasattr(at, "connect"):
        with at.connect() as held:
            np.testing.assert_allclose(model.covariance(source=select, connection=held), truth, rtol=1e-8)
            assert held.get_execution_options() == at.get_execution_options()  # nothing is left set
    with pytest.raises(ValueError, match=r"not the same rows"):
        model.covariance(source="trips", connection=at)


def test_what_cannot_be_asked(connect, visits):  # noqa: F811
    at = connect(visits, "trips")
    model = IVLikeRegression(0.3).fit_moments(Moments.scan("trips", connection=at, x=["a", "b"], y="y", g="z0"))
    with pytest.raises(ValueError, match="no column 'nope'"):
        model.covariance(source="trips", connection=at, groups="nope")
    with pytest.raises(ValueError, match="connection are about source="):
        model.covariance(connection=at)
    gone = visits.assign(site=visits.site.where(visits.index != 1_434, None))
    with pytest.raises(ValueError, match="groups, column 'site' in the table, has a missing label"):
        model.covariance(source="gone", connection=connect(gone, "gone"), groups="site")
    hole = visits.assign(a=visits.a.where(visits.index != 1_434))
    with pytest.raises(ValueError, match="Column 'a' holds a missing value in row 1434 of the table"):
        model.covariance(source="hole", connection=connect(hole, "hole"))


def test_exact_decimals_and_flags_of_a_database(postgres_url, visits):  # noqa: F811
    sa = pytest.importorskip("sqlalchemy", reason="SQLAlchemy is not installed (extra sql)")
    rows = visits.head(400).assign(b=visits.b.round(3), flag=visits.a > 0)
    engine = sa.create_engine(postgres_url)
    rows.to_sql("exact", engine, index=False, if_exists="replace", dtype={"b": sa.Numeric(12, 3)})
    with engine.connect() as held:
        value = held.execute(sa.text("SELECT b FROM exact LIMIT 1")).scalar()
    assert isinstance(value, decimal.Decimal)
    asked = {"x": ["b", "flag"], "y": "y", "g": ["z0", "z1"]}
    model = IVLikeRegression(0.3).fit_moments(Moments.scan("exact", connection=engine, **asked))
    truth = IVLikeRegression(0.3).fit_moments(Moments.scan(rows, **asked)).covariance(source=rows)
    np.testing.assert_allclose(model.covariance(source="exact", connection=engine), truth, rtol=1e-8)
    engine.dispose()
