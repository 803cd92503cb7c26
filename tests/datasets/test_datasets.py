"""Data sets carry a truth that is checked against another derivation, and loaders check what they load."""

import hashlib

import numpy as np
import pandas as pd
import pytest

from causalinv import IVLikeRegression, Moments, Translation
from causalinv.datasets import fetch_optical_device, fetch_sachs, load_confounded_digits, make_confounded_linear
from causalinv.datasets._fetch import find_files
from causalinv.metrics import causal_risk, ncer


@pytest.mark.parametrize("cyclic", [False, True])
@pytest.mark.parametrize("kappa", [0.25, 1.0])
@pytest.mark.parametrize("p", [1, 2])
def test_linear_world_population_moments_have_the_closed_form(cyclic, kappa, p):
    """M'(K W'W K + s² I)M with M = (I - T)^-1, written for the row vector (X, Y) and not through the SEM."""
    world = make_confounded_linear(
        0, n_features=7, n_confounders=5, n_targets=p, noise=0.3, confounding=kappa, cyclic=cyclic, random_state=11
    )
    B = world.sem.B
    W = B[5:, :5].T / np.r_[np.ones(7), np.full(p, kappa)]
    K = np.diag(np.r_[np.ones(7), np.full(p, kappa)])
    T = B[5:, 5:].T
    M = np.linalg.inv(np.eye(7 + p) - T)
    closed = M.T @ (K @ W.T @ W @ K + 0.09 * np.eye(7 + p)) @ M
    np.testing.assert_allclose(world.moments.cov("x")[0], closed[:7, :7], atol=1e-10)
    np.testing.assert_allclose(world.moments.cov("x", "y")[0], closed[:7, 7:], atol=1e-10)
    np.testing.assert_allclose(world.moments.cov("y")[0], closed[7:, 7:], atol=1e-10)
    truth = np.atleast_2d(world.coef)
    np.testing.assert_allclose(B[12:, 5:12], truth)
    np.testing.assert_allclose(world.directions @ truth.T, 0, atol=1e-12)
    np.testing.assert_allclose(world.directions @ world.directions.T, np.eye(7 - p), atol=1e-12)
    if cyclic:
        np.testing.assert_allclose(np.linalg.norm(truth, axis=1), 1.0)
    else:
        assert not B[5:12, 12:].any()


def test_cyclic_samples_satisfy_their_structural_equations():
    world = make_confounded_linear(50, n_features=4, n_confounders=3, noise=0.0, cyclic=True, random_state=2)
    rows = world.sem.sample(50, random_state=0)
    residual = rows - rows @ world.sem.B.T
    np.testing.assert_allclose(residual[:, 3:], 0.0, atol=1e-10)


def test_without_confounding_least_squares_is_right():
    world = make_confounded_linear(0, confounding=0.0, random_state=0)
    model = IVLikeRegression(augmentation=Translation(world.directions)).fit_moments(world.moments)
    np.testing.assert_allclose(model.least_squares_coef_, world.coef, atol=1e-9)


def test_model_does_not_depend_on_the_sample_size():
    one, two = (make_confounded_linear(n, random_state=4) for n in (10, 2000))
    np.testing.assert_array_equal(one.coef, two.coef)
    np.testing.assert_array_equal(one.sem.B, two.sem.B)


def test_an_unsolvable_feedback_loop_raises():
    world = make_confounded_linear(0, n_features=2, n_confounders=1, cyclic=True, random_state=0)
    tau_f = float(world.sem.B[1:3, 3] @ world.coef)
    with pytest.raises(ValueError, match="feedback loop has no unique solution"):
        make_confounded_linear(0, n_features=2, n_confounders=1, cyclic=True, confounding=1 / tau_f, random_state=0)


def test_digits_are_what_their_description_says():
    data = load_confounded_digits(noise=0.0, sensor_noise=0.0)
    signal = data.X @ data.coef
    np.testing.assert_allclose(data.y - signal, signal.std() * data.confounder, rtol=1e-9)
    assert abs(data.coef.sum()) < 1e-12
    assert np.abs(data.coef).sum() == pytest.approx(1.0)
    assert data.coef.reshape(8, 8)[3:5, 3:5].min() > 0 > data.coef.reshape(8, 8)[0].max()
    images = data.X - 2.0 * data.confounder[:, None]
    assert images.min() > -1e-9
    assert images.max() < 16 + 1e-9
    np.testing.assert_allclose(images[data.groups == 5], images[[5, 5, 5, 5]], atol=1e-9)
    frame = load_confounded_digits(as_frame=True).X
    assert list(frame.columns[:9]) == [*(f"pixel_0_{k}" for k in range(8)), "pixel_1_0"]


def test_optical_device_has_the_published_degrees_and_least_squares_error(data_home):
    device = fetch_optical_device(data_home)
    assert [e.degree for e in device.experiments] == [2, 1, 2, 2, 2, 1, 2, 2, 2, 1, 2, 1]
    assert [e.number for e in device.experiments] == [69, 70, 71, 72, 73, 74, 75, 77, 78, 79, 80, 82]
    from sklearn.preprocessing import PolynomialFeatures

    errors, zeros = [], []
    for e in device.experiments:
        assert e.X.shape == (1000, 9)
        centred = e.X - e.X.mean(0)
        features = PolynomialFeatures(e.degree, include_bias=False).fit_transform(centred)
        without_intercept = np.linalg.lstsq(features, e.y - e.y.mean(), rcond=None)[0]
        errors.append(ncer(without_intercept, e.reference_coef))
        zeros.append(ncer(0 * e.reference_coef, e.reference_coef))
    assert np.mean(errors) == pytest.approx(0.824, abs=5e-4)  # the authors' least squares
    assert np.std(errors) == pytest.approx(0.277, abs=5e-4)
    assert np.mean(zeros) == 0.5


def test_sachs_has_the_published_conditions_and_sizes(data_home):
    data = fetch_sachs(data_home)
    assert data.frame.shape == (11_672, 11)
    published = [853, 902, 911, 723, 810, 799, 848, 913, 707, 899, 753, 868, 759, 927]
    assert data.conditions["n"].tolist() == published
    assert set(data.conditions["target"].dropna()) <= set(data.frame.columns)
    np.testing.assert_allclose(np.exp(data.frame), fetch_sachs(data_home, scale="raw").frame)
    moments = Moments.from_rows(x=data.frame, environments=data.environments)
    assert moments.cells.tolist() == list(range(1, 15))
    # Marks of three reagents that the numbers show: psitectorigenin takes PIP2 away, U0126 stops Mek from raising Erk,
    # and the two conditions with G06976 stand out together.
    mean = pd.DataFrame(moments.mean("x"), index=moments.cells, columns=data.frame.columns)
    assert mean["PIP2"].idxmin() == 5
    assert mean["Erk"].idxmin() == 6
    assert set(mean["PLCg"].nlargest(2).index) == {4, 11}


# -- the loader, on small files of its own; nothing here touches the network ----------------------------------------

FILES = {"a b.txt": b"1 2 3\n", "c.txt": b"4\n"}
SUMS = {name: hashlib.sha256(content).hexdigest() for name, content in FILES.items()}


@pytest.fixture
def mirror(tmp_path):
    """A folder served by file:// as if it were the original place."""
    folder = tmp_path / "mirror"
    folder.mkdir()
    for name, content in FILES.items():
        (folder / name.replace(" ", "%20")).write_bytes(content)
        (folder / name).write_bytes(content)
    return folder.as_uri() + "/"


@pytest.fixture
def cache(tmp_path, monkeypatch):
    monkeypatch.delenv("CAUSALINV_DATA", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache" / "causalinv" / "toy"


def find(mirror, data_home=None, download=True, sums=SUMS):
    return find_files("toy", sums, mirror, data_home=data_home, download_if_missing=download)


def test_download_verifies_caches_and_is_not_repeated(mirror, cache):
    paths = find(mirror)
    assert [p.read_bytes() for p in paths] == list(FILES.values())
    assert sorted(p.name for p in cache.iterdir()) == ["a b.txt", "c.txt"]
    assert find("file:///nowhere/") == paths


def test_a_wrong_download_leaves_nothing_behind(mirror, cache):
    with pytest.raises(ValueError, match=f"expected {'0' * 64}: it is damaged"):
        find(mirror, sums=SUMS | {"c.txt": "0" * 64})
    assert [p.name for p in cache.iterdir()] == ["a b.txt"]


def test_an_unreachable_server_says_what_to_do(cache):
    with pytest.raises(
        OSError, match=r"Could not download file:///nowhere/a%20b.txt .* data_home= or .*CAUSALINV_DATA"
    ):
        find("file:///nowhere/")
    assert not list(cache.iterdir())


def test_explicit_path_wins_over_the_environment_and_both_over_the_cache(mirror, cache, tmp_path, monkeypatch):
    find(mirror)
    for place in ("told", "env"):
        (tmp_path / place / "toy").mkdir(parents=True)
        for name, content in FILES.items():
            (tmp_path / place / "toy" / name).write_bytes(content)
    monkeypatch.setenv("CAUSALINV_DATA", str(tmp_path / "env"))
    assert find(mirror)[0].parent == tmp_path / "env" / "toy"
    assert find(mirror, tmp_path / "told")[0].parent == tmp_path / "told" / "toy"
    assert find(mirror, tmp_path / "told" / "toy")[0].parent == tmp_path / "told" / "toy"  # the folder itself
    (tmp_path / "told" / "toy" / "c.txt").write_bytes(b"5\n")
    with pytest.raises(ValueError, match="c.txt has SHA256"):
        find(mirror, tmp_path / "told")
    (tmp_path / "env" / "toy" / "c.txt").unlink()
    with pytest.raises(FileNotFoundError, match=r"CAUSALINV_DATA is .* lacks 1 of 2 files of toy, first 'c.txt'"):
        find(mirror)


def test_missing_files_are_not_downloaded_against_the_users_will(mirror, cache):
    with pytest.raises(FileNotFoundError, match="toy is not in the cache"):
        find(mirror, download=False)


def test_metrics_by_hand():
    assert causal_risk([1.0, 2.0], [0.0, 0.0], [[2.0, 0], [0, 1.0]]) == 6.0
    assert ncer([1.0, 2.0], [1.0, 1.0]) == pytest.approx(1 / 3)
    assert ncer([1.0, 2.0], [1.0, 1.0], cov=[[2.0, 0], [0, 4.0]]) == pytest.approx(4 / 10)
    with pytest.raises(ValueError, match="truth has norm 0"):
        ncer([1.0], [0.0])
    with pytest.raises(ValueError, match=r"same shape, got \(2,\) and \(1,\)"):
        ncer([1.0, 2.0], [1.0])
    with pytest.raises(ValueError, match="cov must have shape"):
        causal_risk([1.0, 2.0], [1.0, 2.0], [[1.0]])
