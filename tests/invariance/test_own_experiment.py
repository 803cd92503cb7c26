"""A function of one's own over drawn environments: seeds, workers, shards, a folder that resumes, failures as rows."""

import numpy as np
import pytest

from causalinv.invariance import EnvironmentExperiment
from causalinv.sem import InterventionFamily, textbook_sem
from tests.invariance.shared import same


def draw(rng, m, kind="shift"):
    return InterventionFamily(["x1"], kind=kind).environments(textbook_sem("chain"), m, random_state=rng)


def slope(environments, rng):
    X, y, _ = environments.sample(30, random_state=rng)
    return {"slope": np.polyfit(X[:, 0], y, 1)[0], "environments": len(environments)}


def experiment(function=slope, **kwargs):
    options = {"grid": {"m": [2, 4], "kind": ["shift", "variance"]}, "n_reps": 3, "random_state": 0} | kwargs
    return EnvironmentExperiment(draw, function, **options)


@pytest.fixture(scope="module")
def serial():
    return experiment().run()


def test_a_row_is_what_the_function_says_of_its_own_draw(serial):
    assert list(serial) == ["m", "kind", "rep", "slope", "environments", "seconds", "error"]
    assert len(serial) == 2 * 2 * 3
    assert (serial["environments"] == serial["m"]).all()
    assert serial["slope"].nunique() == 12
    one = experiment()
    drawing, using = (np.random.default_rng(s) for s in one._seeds()[4, "variance", 1].spawn(2))
    row = serial.set_index(["m", "kind", "rep"]).loc[4, "variance", 1]
    assert row["slope"] == slope(draw(drawing, 4, "variance"), using)["slope"]


def test_workers_shards_and_a_larger_grid_change_no_number(serial, tmp_path):
    more = experiment(grid={"m": [1, 2, 4], "kind": ["variance", "shift"]}, n_reps=4).run(n_jobs=2)
    kept = more[(more["m"] > 1) & (more["rep"] < 3)].sort_values(["m", "kind", "rep"]).reset_index(drop=True)
    same(kept, serial)
    for i in range(2):
        experiment().run(shard=(i, 2), out=tmp_path)
    same(EnvironmentExperiment.collect(tmp_path), serial)


def test_a_run_that_was_stopped_resumes_where_it_was_even_in_the_middle_of_a_line(serial, tmp_path, capfd):
    experiment().run(out=tmp_path)
    file = tmp_path / "shard-0-of-1.csv"
    lines = file.read_text().splitlines(keepends=True)
    file.write_text("".join(lines[:6]) + lines[6][:9])
    assert len(EnvironmentExperiment.collect(tmp_path)) == 5
    calls = []

    def counted(environments, rng):
        calls.append(1)
        return slope(environments, rng)

    same(experiment(counted).run(out=tmp_path, progress=True), serial)
    assert len(calls) == 7 + 1  # one that was there is looked at again
    assert "EnvironmentExperiment: 7 of 7 replications" in capfd.readouterr().err
    same(EnvironmentExperiment.collect(tmp_path), serial)


def test_a_folder_of_another_experiment_is_refused(tmp_path):
    experiment().run(out=tmp_path)
    with pytest.raises(ValueError, match=r"replication \(2, 'shift', 0\) gave slope=.* and now gives"):
        experiment(lambda environments, rng: {k: 2 * v for k, v in slope(environments, rng).items()}).run(out=tmp_path)
    with pytest.raises(ValueError, match=r"rows of another experiment \(other seed"):
        experiment(random_state=1).run(out=tmp_path)
    with pytest.raises(ValueError, match=r"rows of another experiment \(other grid"):
        experiment(grid={"m": [2]}).run(out=tmp_path)


def test_a_function_that_was_mended_does_not_find_its_old_failures(tmp_path):
    """They were told again, without a word that this function does not fail."""

    def fails(environments, rng):
        raise RuntimeError("no")

    experiment(fails).run(out=tmp_path)
    assert (experiment(fails).run(out=tmp_path)["error"] == "RuntimeError: no").all()
    with pytest.raises(ValueError, match=r"gave error='RuntimeError: no' and now gives ''.*take the rows that failed"):
        experiment().run(out=tmp_path)


def test_files_that_are_no_rows_of_an_experiment_are_named(serial, tmp_path):
    shard = "shard-0-of-1.csv"
    (tmp_path / "file").write_text("")
    with pytest.raises(ValueError, match=r"out=.*file' is a file; give the name of a folder"):
        experiment().run(out=tmp_path / "file")
    experiment().run(out=tmp_path / "stopped")
    (tmp_path / "stopped" / shard).write_text("m,ki")  # in the middle of the first line
    same(experiment().run(out=tmp_path / "stopped"), serial)
    (tmp_path / "stopped" / "experiment.json").write_text("{")
    with pytest.raises(ValueError, match=r"experiment\.json cannot be read"):
        experiment().run(out=tmp_path / "stopped")
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / shard).write_text("x,y\n1,2\n")
    with pytest.raises(ValueError, match="no file of EnvironmentExperiment: it has no column error, rep, seconds"):
        experiment().run(out=tmp_path / "other")


def test_failures_are_rows_and_columns_may_come_late(tmp_path):
    def fails_at_first(environments, rng):
        if len(environments) == 2:
            raise RuntimeError("two are\ntoo few")
        return float("nan") if rng.uniform() < 0.5 else 1.0

    trial = experiment(fails_at_first, grid={"m": [2, 4]}, n_reps=8)
    table = trial.run(out=tmp_path)
    same(EnvironmentExperiment.collect(tmp_path), table)
    assert (table.loc[table["m"] == 2, "error"] == "RuntimeError: two are too few").all()
    summary = trial.summary(table)
    assert summary.loc[(2, "value"), ["n", "missing", "failed"]].tolist() == [0, 0, 8]
    good = table.loc[table["m"] == 4, "value"]
    assert 0 < good.isna().sum() < 8
    assert summary.loc[(4, "value"), ["mean", "n", "missing", "failed"]].tolist() == [
        1.0,
        good.notna().sum(),
        good.isna().sum(),
        0,
    ]


def test_the_summary_by_hand(serial):
    held = serial[(serial["m"] == 2) & (serial["kind"] == "shift")]["slope"]
    row = experiment().summary(serial).loc[(2, "shift", "slope")]
    assert row["mean"] == pytest.approx(held.mean())
    assert row["std_error"] == pytest.approx(held.std(ddof=1) / np.sqrt(3))
    assert row["median"] == pytest.approx(held.median())
    alone = EnvironmentExperiment(lambda rng: draw(rng, 3), slope, n_reps=2, random_state=0)
    assert alone.summary(alone.run()).loc["slope", "n"] == 2


@pytest.mark.parametrize(
    ("kwargs", "kind", "match"),
    [
        ({"function": 3}, TypeError, "function must be callable, got 3"),
        ({"grid": {"rep": [1]}}, ValueError, "grid has the name 'rep'"),
        ({"grid": {"m": []}}, ValueError, "different values, at least one"),
        ({"grid": {"m": [1, 1.0]}}, ValueError, "different values"),
        ({"grid": {"m": [1, "a"]}}, ValueError, "mixes words and numbers"),
        ({"grid": {"m": ["1"]}}, ValueError, "words that are no number"),
        ({"grid": {"m": [float("nan")]}}, ValueError, "holds nan"),
        ({"grid": {"m": 3}}, TypeError, r"grid\['m'\] must be a sequence of values, got 3"),
        ({"n_reps": 0}, ValueError, "n_reps must be a whole number >= 1"),
    ],
)
def test_mistakes_are_named(kwargs, kind, match):
    with pytest.raises(kind, match=match):
        experiment(**kwargs)


@pytest.mark.parametrize(
    ("function", "kind", "match"),
    [
        (lambda environments, rng: "good", TypeError, "must return numbers; 'value' is 'good'"),
        (lambda environments, rng: {"a": np.ones(2)}, TypeError, "'a' is ndarray"),
        (lambda environments, rng: {"rep": 1.0}, ValueError, "a number named 'rep'"),
        (lambda environments, rng: None, TypeError, "must return numbers; 'value' is None"),
    ],
)
def test_what_is_no_number_is_refused_at_once(function, kind, match):
    with pytest.raises(kind, match=match):
        experiment(function).run()
