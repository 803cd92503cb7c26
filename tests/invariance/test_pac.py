"""The PAC experiment: the same frame in one process, in shards, resumed, and on a Dask cluster that loses a worker."""

import json
import os
import signal
import threading
import time

import joblib
import numpy as np
import pandas as pd
import pytest
from sklearn.base import BaseEstimator

from causalinv.__main__ import main
from causalinv.invariance import (
    InvariantRepresentation,
    InvariantSubsetSelector,
    PACExperiment,
    invariance_gaps,
    violation_bound,
)
from causalinv.sem import InterventionFamily, choose_sites, random_sem
from tests.invariance.shared import same


def make_sem(d, rng):
    return random_sem(d + 1, expected_degree=3.0, random_state=rng)


def make_family(sem, rng):
    return InterventionFamily(choose_sites(sem, 2, random_state=rng), per_env="single")


class Fails(BaseEstimator):
    def fit_moments(self, moments):
        raise RuntimeError(f"no luck with {len(moments)} environments")


class Marginal(BaseEstimator):
    """Least squares on the first feature: a rule that interventions do break."""

    def fit_moments(self, moments):
        pooled = moments.pool()
        d = moments.blocks["x"]
        self.support_ = np.arange(d) == 0
        self.coef_ = np.where(self.support_, pooled.cov("x", "y")[0, :, 0] / np.diag(pooled.cov("x")[0]), 0.0)
        self.intercept_ = 0.0
        return self


def experiment(**kwargs):
    learners = {"subset": InvariantSubsetSelector(eps=0.05, max_size=2), "marginal": Marginal()}
    options = {"d": [5, 7], "m": [8], "n_reps": 4, "n_fresh": 400, "random_state": 0, "learners": learners} | kwargs
    return PACExperiment(make_sem, make_family, **options)


@pytest.fixture(scope="module")
def serial():
    return experiment().run()


def test_a_row_is_what_it_says(serial):
    assert len(serial) == 2 * 4 * 2
    assert serial["error"].eq("").all()
    assert (serial["beta_sites"] == violation_bound(8, method="beta_sites", n_sites=2)).all()
    assert set(serial["exceeded"]) <= {0.0, 1.0}
    moved = serial[serial["learner"] == "marginal"]
    assert (moved["violation"] > 0).any()
    # By hand, one replication: the violation from moments of all features.
    one = experiment(d=[5], n_reps=1)
    row = one.run().set_index("learner").loc["marginal"]
    seeds = one._seeds()[5, 8, 0].spawn(5)
    rngs = [np.random.default_rng(s) for s in seeds]
    sem = make_sem(5, rngs[0])
    family = make_family(sem, rngs[1])
    train = family.environments(sem, 8, baseline=True, random_state=rngs[2]).moments()
    fresh_rng = np.random.default_rng(rngs[3].integers(2**32, size=4).tolist())
    fresh = family.environments(sem, 400, random_state=fresh_rng).moments()
    fit = Marginal().fit_moments(train)
    rule = (np.eye(5)[:1], fit.coef_[:1], 0.0)
    eps = invariance_gaps(train, *rule).max()
    assert row["eps"] == pytest.approx(eps, rel=1e-9)
    assert row["violation"] == pytest.approx(np.mean(invariance_gaps(fresh, *rule) > eps * (1 + 1e-9) + 1e-12))


def test_a_larger_grid_and_more_workers_keep_earlier_numbers(serial):
    more = experiment(d=[5, 7, 9], n_reps=5).run(n_jobs=2)
    kept = more[(more["d"] <= 7) & (more["rep"] < 4)].reset_index(drop=True)
    same(kept, serial)


def test_shards_and_resumed_runs_join_to_the_same_frame(serial, tmp_path):
    experiment().run(shard=(0, 2), out=tmp_path)
    first = (tmp_path / "shard-0-of-2.csv").read_text()
    experiment().run(shard=(1, 2), out=tmp_path)
    same(PACExperiment.collect(tmp_path), serial)
    # Cut off in the middle of a replication: only what is missing is run again.
    lines = first.splitlines(keepends=True)
    (tmp_path / "shard-0-of-2.csv").write_text("".join(lines[:-1]))
    again = experiment().run(shard=(0, 2), out=tmp_path)
    assert len(again) == 8
    kept = pd.read_csv(tmp_path / "shard-0-of-2.csv")
    assert (tmp_path / "shard-0-of-2.csv").read_text().startswith("".join(lines[:-3]))
    assert len(kept) == 8
    same(PACExperiment.collect(tmp_path), serial)
    experiment().run(shard=(0, 1), out=tmp_path)
    with pytest.raises(ValueError, match="overlap"):
        PACExperiment.collect(tmp_path)
    for other in ({"learners": {"other": Marginal()}}, {"random_state": 1}, {"n_per_env": 50}):
        with pytest.raises(ValueError, match="rows of another experiment"):
            experiment(**other).run(out=tmp_path)
    assert len(experiment(d=[5]).run(out=tmp_path)) == 8  # a smaller grid reads only its own rows
    with pytest.raises(FileNotFoundError, match="holds no shard"):
        PACExperiment.collect(tmp_path / "nothing")


def test_a_folder_knows_the_experiment_by_what_it_makes(tmp_path, monkeypatch):
    learners = {"marginal": Marginal()}

    def made(d, rng):
        return make_sem(d, rng)

    def run(sem=make_sem, family=make_family, d=(5,), learners=learners):
        experiment = PACExperiment(sem, family, learners, d=d, m=[4], n_reps=1, n_fresh=20, random_state=0)
        return experiment.run(out=tmp_path)

    first = run()
    same(run(sem=made), first)  # another function that makes the same models
    assert set(run(d=(5, 6))["d"]) == {5, 6}
    same(run(d=(5,)), first)
    others = {
        "make_sem": {"sem": lambda d, rng: random_sem(d + 1, expected_degree=2.0, random_state=rng)},
        "make_family": {
            "family": lambda sem, rng: InterventionFamily(choose_sites(sem, 1, random_state=rng), per_env="single")
        },
        "learners": {"learners": {"marginal": Fails()}},
    }
    for name, changed in others.items():
        with pytest.raises(ValueError, match=rf"rows of another experiment \(other {name}"):
            run(**changed)
    with pytest.raises(ValueError, match=r"other make_sem"):
        run(d=(6,), **others["make_sem"])
    monkeypatch.setattr("causalinv.invariance.certificates._replications.version", lambda name: "0.0.1")
    with pytest.raises(ValueError, match=r"rows of another experiment \(other version"):
        run()


def test_a_generator_seeds_once():
    once = experiment(random_state=np.random.default_rng(3), d=[5], n_reps=2)
    same(once.run(), once.run())


def test_failures_are_rows():
    table = experiment(learners={"fails": Fails(), "marginal": Marginal()}, d=[5], n_reps=2).run()
    failed = table[table["learner"] == "fails"]
    assert (failed["error"] == "RuntimeError: no luck with 9 environments").all()
    assert failed["violation"].isna().all()
    summary = experiment().summary(table)
    assert summary.loc[("fails", 5, 8), "failed"] == 2
    assert summary.loc[("marginal", 5, 8), "failed"] == 0
    good = table[table["learner"] == "marginal"]
    assert summary.loc[("marginal", 5, 8), "median"] == good["violation"].median()


def test_estimated_moments_and_other_families():
    def weights(sem, rng):
        sites = [v for v in sem.features if sem.parents(v)][:1]
        return InterventionFamily(sites, kind="weights")

    table = PACExperiment(
        make_sem, weights, {"neutral": InvariantRepresentation()}, d=[5], m=[6], n_reps=2, n_per_env=50, n_fresh=200
    ).run()
    assert table["error"].eq("").all()
    assert table["beta_sites"].isna().all()  # not licensed there
    assert (table["vc"] == 1.0).all()
    assert (table["eps"] > 1e-12).all()


@pytest.mark.slow
def test_a_dask_cluster_that_loses_a_worker_gives_the_same_frame(serial):
    distributed = pytest.importorskip("distributed", reason="needs the extra dask")
    cluster = distributed.LocalCluster(
        n_workers=2, threads_per_worker=1, processes=True, dashboard_address="127.0.0.1:0", host="127.0.0.1"
    )
    killed = []

    def kill():
        time.sleep(0.3)
        pid = next(iter(cluster.workers.values())).process.pid
        os.kill(pid, signal.SIGKILL)
        killed.append(pid)

    with cluster, distributed.Client(cluster), joblib.parallel_config("dask"):
        thread = threading.Thread(target=kill)
        thread.start()
        table = experiment().run()
        thread.join()
    assert killed
    same(table, serial)


def test_the_command_line_runs_it(tmp_path, capsys):
    arguments = ["pac", "--d", "5", "--m", "6", "--sites", "2", "--reps", "2", "--out", str(tmp_path)]
    assert main([*arguments, "--progress"]) == 0
    said = capsys.readouterr()
    assert "subset of at most 2" in said.out
    assert "PACExperiment: 2 of 2 replications" in said.err
    assert (tmp_path / "shard-0-of-1.csv").exists()
    assert main([*arguments, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)[0]["d"] == 5
    assert main(["pac", "--reps", "0"]) == 2
    assert "n_reps must be a whole number >= 1" in capsys.readouterr().err
    assert main([*arguments, "--sites", "9"]) == 2
    assert "--sites must be from 1 to" in capsys.readouterr().err
    (tmp_path / "file").touch()
    assert main([*arguments, "--out", str(tmp_path / "file" / "inside")]) == 2
    assert "error: " in capsys.readouterr().err


def test_progress_says_how_many_are_left_to_do(tmp_path, capsys):
    small = experiment(d=[5], n_reps=3, n_fresh=50)
    small.run(shard=(0, 3), out=tmp_path)
    assert capsys.readouterr().err == ""
    small.run(out=tmp_path / "all", progress=True)
    assert "PACExperiment: 3 of 3 replications" in capsys.readouterr().err
    PACExperiment.run(experiment(d=[5], n_reps=5, n_fresh=50), out=tmp_path / "all", progress=True)
    assert "PACExperiment: 2 of 2 replications" in capsys.readouterr().err  # three are there already


def test_another_number_of_fresh_interventions_is_another_experiment(tmp_path, capsys):
    arguments = ["pac", "--d", "5", "--m", "6", "--sites", "2", "--reps", "2", "--out", str(tmp_path), "--fresh"]
    assert main([*arguments, "50"]) == 0
    capsys.readouterr()
    assert main([*arguments, "60"]) == 2
    assert "other n_fresh" in capsys.readouterr().err


def test_jobs_of_an_array_that_start_together_find_a_whole_note(tmp_path, monkeypatch):
    """Each job may read the note while another one writes it."""
    small = experiment(d=[5], n_reps=2, n_fresh=50)
    note, seen = tmp_path / "experiment.json", []
    write = type(tmp_path).write_text

    def slowly(path, text, **kwargs):
        count = write(path, text[:20], **kwargs)  # half written
        if note.exists():
            seen.append(json.loads(note.read_text()))
        elif not seen:
            seen.append("absent")
        return count + write(path, text, **kwargs)

    monkeypatch.setattr(type(tmp_path), "write_text", slowly)
    small.run(out=tmp_path)
    assert seen == ["absent"]
    monkeypatch.undo()
    assert [each.name for each in tmp_path.iterdir() if "experiment" in each.name] == ["experiment.json"]
    before = note.stat().st_mtime_ns
    small.run(shard=(0, 2), out=tmp_path)
    assert note.stat().st_mtime_ns == before  # nothing new to say


@pytest.mark.parametrize(
    ("kwargs", "match"),
    [
        ({"learners": {}}, "learners is empty"),
        ({"d": [0]}, "d must be a whole number >= 1, got 0"),
        ({"m": []}, "m is empty"),
        ({"m": [8, 8]}, r"m must hold different numbers, got \[8, 8\]"),
        ({"d": [5, 5]}, "d must hold different numbers"),
        ({"learners": {1: Marginal()}}, "learners have names, texts of one line each; got 1"),
        ({"learners": {"a\nb": Marginal()}}, "learners have names"),
        ({"n_per_env": 1}, "n_per_env must be a whole number >= 2"),
        ({"metric": "kl"}, "metric must be one of"),
    ],
)
def test_mistakes_are_named(kwargs, match):
    with pytest.raises(ValueError, match=match):
        experiment(**kwargs)
    with pytest.raises(ValueError, match=r"shard must be \(i, k\)"):
        experiment().run(shard=(2, 2))


@pytest.mark.parametrize("unit", [1e-7, 1e7])
@pytest.mark.parametrize("metric", ["excess", "risk_range", "coefficient", "gradient", "residual"])
def test_a_violation_is_one_in_any_unit_of_the_outcome(metric, unit):
    def scaled(d, rng):
        sem = make_sem(d, rng)
        size = np.where(np.arange(d + 1) == sem.target, unit, 1.0)
        noise = [law.scale(s) for law, s in zip(sem.noise, size, strict=True)]
        return sem.replace(B=sem.B * size[:, None] / size, noise=noise)

    given = {"d": [5], "m": [8], "n_reps": 5, "n_fresh": 200, "random_state": 0, "metric": metric}
    found = [PACExperiment(make, make_family, {"marginal": Marginal()}, **given).run() for make in (make_sem, scaled)]
    assert found[0].violation.max() > 0.01
    np.testing.assert_array_equal(found[0].violation, found[1].violation)


def gaps_by_hand(metric, train, moments, slope):
    """Gaps of the rule slope times the first feature beside training environments, all means being 0."""
    x, xy, y = (moments.cov(a, b)[:, 0, 0] for a, b in (("x", "x"), ("x", "y"), ("y", "y")))
    own = y - xy**2 / x
    risk = y - 2 * slope * xy + slope**2 * x
    if metric == "relative_excess":
        return risk / own - 1
    if metric == "gradient":
        return np.abs(xy - slope * x)
    if metric == "coefficient":
        return np.abs(xy / x - slope) * np.sqrt(train.cov("x")[:, 0, 0].mean())
    there = train.cov("y")[:, 0, 0] - 2 * slope * train.cov("x", "y")[:, 0, 0] + slope**2 * train.cov("x")[:, 0, 0]
    if metric == "risk_range":
        return risk - there.min()
    return 0.5 * (risk / there.mean() - 1 - np.log(risk / there.mean()))


@pytest.mark.parametrize("metric", ["relative_excess", "gradient", "risk_range", "coefficient", "residual"])
def test_gaps_of_fresh_interventions_are_those_beside_the_training_environments(metric):
    one = experiment(d=[5], n_reps=6, n_fresh=40, metric=metric, learners={"marginal": Marginal()})
    table = one.run()
    broken = 0
    for k, seed in enumerate(one._seeds().values()):
        sem_rng, family_rng, train_rng, fresh_rng, _ = (np.random.default_rng(s) for s in seed.spawn(5))
        sem = make_sem(5, sem_rng)
        family = make_family(sem, family_rng)
        train = family.environments(sem, 8, baseline=True, random_state=train_rng).moments()
        rng = np.random.default_rng(fresh_rng.integers(2**32, size=4).tolist())
        fresh = family.environments(sem, 40, random_state=rng).moments()
        slope = Marginal().fit_moments(train).coef_[0]
        eps = gaps_by_hand(metric, train, train, slope).max()
        assert table.eps[k] == pytest.approx(eps, rel=1e-8, abs=1e-12)
        share = np.mean(gaps_by_hand(metric, train, fresh, slope) > eps * (1 + 1e-9) + 1e-12)
        assert table.violation[k] == share
        broken += share > 0
    assert broken


def test_no_bound_for_a_metric_that_no_certificate_is_licensed_for():
    for metric, licensed in (("coefficient", False), ("relative_excess", True)):
        table = PACExperiment(
            make_sem,
            make_family,
            {"subset": InvariantSubsetSelector(eps=0.1)},
            d=[4],
            m=[8],
            n_reps=1,
            n_fresh=50,
            metric=metric,
        ).run()
        assert table[["beta_sites", "vc", "exceeded"]].notna().to_numpy().all() == licensed
