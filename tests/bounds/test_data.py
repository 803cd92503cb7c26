"""Real data of the bounds: what the loaders return is what the files and papers say."""

import numpy as np
import pandas as pd
import pytest

from causalinv.datasets import fetch_ihdp, load_grunfeld, load_spector


@pytest.mark.parametrize("draw", [1, 10])
def test_ihdp_outcomes_scatter_around_their_means_with_unit_variance(data_home, draw):
    if not (data_home / "ihdp").is_dir():
        pytest.skip("ihdp/ is not among the real data at hand")
    data = fetch_ihdp(data_home, draw=draw)
    assert data.X.shape == (747, 25)
    assert data.treatment.sum() == 139
    rows = np.arange(747)
    for outcome, arm in ((data.y, data.treatment), (data.counterfactual, 1 - data.treatment)):
        noise = outcome - data.mean[rows, arm]
        assert abs(noise.mean()) < 4.5 / np.sqrt(747)
        assert abs(noise.var() - 1) < 4.5 * np.sqrt(2 / 747)
    assert np.isin(data.X.iloc[:, 6:], (0.0, 1.0, 2.0)).all()


def test_ihdp_that_is_missing_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match="lacks 1 of 1 files of ihdp, first 'ihdp_npci_1.csv'"):
        fetch_ihdp(tmp_path)


def test_spector_is_the_table_of_the_paper():
    data = load_spector()
    assert data.X.columns.tolist() == ["GPA", "TUCE"]
    assert (len(data.y), data.y.sum(), data.treatment.sum()) == (32, 11.0, 14)
    assert data.X["GPA"].mean() == pytest.approx(3.117, abs=5e-4)


@pytest.mark.parametrize("load", [load_spector, load_grunfeld])
def test_tables_come_as_frames_or_as_arrays(load):
    frame, arrays = load(), load(as_frame=False)
    assert frame.feature_names == frame.X.columns.tolist()
    for name in set(frame) - {"feature_names", "DESCR"}:
        assert isinstance(frame[name], pd.DataFrame | pd.Series)
        assert frame[name].index.equals(frame.X.index)
        assert type(arrays[name]) is np.ndarray
        assert (arrays[name] == frame[name].to_numpy()).all()
    with pytest.raises(TypeError, match="as_frame must be True or False, got 'yes'"):
        load(as_frame="yes")
