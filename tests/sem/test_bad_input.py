"""Every argument of every door of sem, datasets and metrics, given everything odd: an answer, or an error by name."""

import traceback
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import causalinv
from causalinv import datasets, metrics, sem
from causalinv.exceptions import CausalInvWarning

OURS = str(Path(causalinv.__file__).parent)
CHAIN = sem.textbook_sem("chain")
ENVS = CHAIN.environments([None, sem.Shift("x1", 1.0)])
FAMILY = sem.InterventionFamily(["x1"])
EXTRA = datasets.make_extrapolation_data(9, random_state=0)
EDGES = pd.DataFrame({"parent": ["a"], "child": ["b"], "weight": [2.0]})
Y3 = [1.0, 2.0, 4.0]

ODD = [
    None,
    pd.NA,
    np.nan,
    np.inf,
    -1,
    0,
    1.5,
    True,
    1j,
    10**30,
    1e200,
    "x",
    "",
    b"x",
    [],
    [np.nan, 1.0],
    ["x", "y"],
    [[1.0, 2.0], [3.0]],
    np.array(3.0),
    np.empty((2, 0)),
    np.ones((2, 2, 2)),
    np.array([1j, 2.0]),
    np.ma.masked_array([1.0, 2.0], mask=[False, True]),
    np.array(["2020-01-01", "2020-01-02"], dtype="datetime64[D]"),
    pd.Series([1.0, None]),
    pd.DataFrame({"a": [1.0, 2.0]}),
    {"a": 1.0},
    {},
    (i for i in range(2)),
    object(),
    lambda *args, **kwargs: "x",
    sem.Gaussian(),
    sem.Do("x1", 1.0),
    CHAIN,
]

#: Door, arguments that work, and the words by which a message may name each argument (its own name by default).
DOORS = {
    "LinearSEM": (
        sem.LinearSEM,
        {
            "B": np.zeros((2, 2)), "noise": 1.0, "intercept": 0.0, "names": ["a", "b"], "target": None,
            "features": None, "shift_std": 0.0, "common": None,
        },
        {"target": "node|target", "features": "node|features"},
    ),
    "from_adjacency": (sem.LinearSEM.from_adjacency, {"W": np.zeros((2, 2))}, {"W": "W|B"}),
    "with_noise_cov": (sem.LinearSEM.with_noise_cov, {"B": np.zeros((2, 2)), "noise_cov": np.eye(2)}, {"B": "B|noise_cov"}),
    "from_dict": (sem.LinearSEM.from_dict, {"values": CHAIN.to_dict()}, {"values": "keys"}),
    "from_frame": (sem.LinearSEM.from_frame, {"edges": EDGES, "names": ["a", "b"]}, {"names": "names|nodes|name"}),
    "from_networkx": (
        sem.LinearSEM.from_networkx, {"graph": CHAIN.to_networkx(), "weight": "weight"}, {"weight": "attribute|weight"},
    ),
    "replace": (CHAIN.replace, {"B": np.zeros((3, 3))}, {}),
    "sample": (
        CHAIN.sample, {"n": 2, "intervention": None, "random_state": 0, "as_frame": False}, {"random_state": "random_state|seed"},
    ),
    "intervene": (CHAIN.intervene, {"intervention": sem.Do("x1", 1.0)}, {}),
    "environments": (CHAIN.environments, {"interventions": [None], "labels": ["u"]}, {"interventions": "intervention"}),
    "marginalize": (CHAIN.marginalize, {"nodes": ["x1"]}, {"nodes": "node"}),
    "observe": (CHAIN.observe, {"A": np.ones((1, 2)), "noise": 0.0, "names": ["o"]}, {}),
    "regress": (CHAIN.regress, {"y": "y", "on": ["x1"]}, {"y": "node|y", "on": "on|node"}),
    "condition": (CHAIN.condition, {"given": {"x1": 1.0}, "nodes": None}, {"given": "given|node", "nodes": "node"}),
    "d_separated": (
        CHAIN.d_separated, {"x": "x1", "y": "x2", "given": []}, {"x": "x|node", "y": "y|node", "given": "given|node"},
    ),
    "node": (CHAIN.node, {"node": "y"}, {}),
    "parents": (CHAIN.parents, {"node": "y"}, {}),
    "means": (ENVS.means, {"nodes": ["y"]}, {"nodes": "node"}),
    "envs.sample": (ENVS.sample, {"n": 2, "random_state": 0}, {}),
    "envs.model": (ENVS.model, {"position": 0}, {}),
    "iter_moments": (lambda **k: list(ENVS.iter_moments(**k)), {"memory_limit": 1000}, {}),
    "EnvironmentSet": (
        sem.EnvironmentSet, {"sem": CHAIN, "interventions": [None], "labels": None, "theta": None}, {"interventions": "intervention"},
    ),
    "Do": (sem.Do, {"value": 1.0, "node": 0}, {}),
    "Shift": (sem.Shift, {"node": 0, "mean": 0.0, "std": 1.0}, {}),
    "ScaleNoise": (sem.ScaleNoise, {"node": 0, "factor": 0.0}, {}),
    "SetNoise": (sem.SetNoise, {"node": 0, "noise": 0.0}, {}),
    "SetWeights": (sem.SetWeights, {"node": 0, "weights": {0: 1.0}}, {"weights": "weight"}),
    "ScaleWeights": (sem.ScaleWeights, {"node": 0, "factor": 0.0}, {}),
    "ShiftTogether": (sem.ShiftTogether, {"nodes": [0], "cov": [[1.0]], "mean": None}, {}),
    "Gaussian": (sem.Gaussian, {"std": 1.0, "mean": 0.0}, {}),
    "StudentT": (sem.StudentT, {"std": 1.0, "df": 5.0}, {}),
    "Empirical": (sem.Empirical, {"values": [1.0, 2.0], "std": None, "mean": None}, {}),
    "noise.sample": (sem.Gaussian().sample, {"size": 2, "random_state": 0}, {}),
    "CommonCauses": (sem.CommonCauses, {"loading": [[1.0]], "laws": [sem.Gaussian()]}, {}),
    "InterventionFamily": (
        sem.InterventionFamily, {"sites": ["x1"], "kind": "variance", "law": None, "per_env": "all"}, {},
    ),
    "draw": (FAMILY.draw, {"sem": CHAIN, "n": 2, "random_state": 0}, {}),
    "family.environments": (FAMILY.environments, {"sem": CHAIN, "n": 2, "baseline": False, "random_state": 0}, {}),
    "interventions": (FAMILY.interventions, {"sem": CHAIN, "theta": [[1.0]]}, {}),
    "choose_sites": (
        sem.choose_sites, {"sem": CHAIN, "n": 1, "where": "any", "max_in_degree": None, "random_state": 0}, {"max_in_degree": "max_in_degree|n must"},
    ),
    "random_dag": (
        sem.random_dag,
        {"p": 4, "kind": "er", "expected_degree": None, "max_in_degree": 2, "n_layers": 3, "random_state": 0},
        {},
    ),
    "random_sem": (
        sem.random_sem,
        {
            "p": 5, "kind": "er", "expected_degree": None, "max_in_degree": 2, "n_layers": 3, "weights": (0.5, 1.5),
            "noise": 1.0, "standardize": False, "target": None, "random_state": 0,
        },
        {"target": "target|node|random graphs", "weights": "weights|weight|total effect|noise"},
    ),
    "random_cyclic_sem": (
        sem.random_cyclic_sem,
        {"p": 5, "expected_degree": 2.0, "spectral_radius": 0.8, "noise": 1.0, "target": None, "random_state": 0},
        {"target": "target|node"},
    ),
    "random_unfaithful_sem": (
        sem.random_unfaithful_sem,
        {"p": 6, "n_cancellations": 1, "expected_degree": None, "standardize": True, "random_state": 0},
        {"n_cancellations": "cancellations"},
    ),
    "textbook_sem": (sem.textbook_sem, {"name": "chain"}, {"name": "textbook model"}),
    "ncer": (metrics.ncer, {"coef": [1.0, 2.0], "truth": [1.0, 1.0], "cov": None}, {}),
    "causal_risk": (metrics.causal_risk, {"coef": [1.0, 2.0], "truth": [1.0, 1.0], "cov": np.eye(2)}, {}),
    "affine_r2": (metrics.affine_r2, {"Z": Y3, "phi": [1.0, 3.0, 2.0]}, {}),
    "worst_environment_risk": (
        metrics.worst_environment_risk, {"y": Y3, "predicted": Y3, "environments": [0, 0, 1]}, {"y": "y|predicted", "predicted": "y|predicted"},
    ),
    "LeaveOneEnvironmentOut": (
        lambda **k: list(metrics.LeaveOneEnvironmentOut().split(**k)), {"X": np.ones((2, 1)), "environments": [0, 1]}, {"X": "X|environments"},
    ),
    "make_confounded_linear": (
        datasets.make_confounded_linear,
        {
            "n_samples": 5, "n_features": 3, "n_confounders": 2, "n_targets": 1, "noise": 0.1, "confounding": 1.0,
            "cyclic": False, "random_state": 0,
        },
        {"n_targets": "n_targets"},
    ),
    "make_invariance_environments": (
        datasets.make_invariance_environments,
        {
            "n_per_env": 5, "n_environments": 2, "n_features": 6, "n_sites": 2, "kind": "variance", "per_env": "all",
            "expected_degree": 3.0, "random_state": 0,
        },
        {},
    ),
    "make_extrapolation_data": (
        datasets.make_extrapolation_data,
        {
            "n_samples": 5, "n_latent": 2, "n_actions": None, "n_features": None, "mixing": "linear",
            "noise": "gaussian", "noise_scale": 1.0, "support": 1.0, "confounding": 1.0, "outcome": "quadratic",
            "x_noise": 0.0, "action_curvature": 0.0, "random_state": 0,
        },
        {},
    ),
    "truth_do": (EXTRA.truth_do, {"actions": [[0.0, 0.0]]}, {}),
    "truth_conditional": (EXTRA.truth_conditional, {"Z": [[0.0, 0.0]], "actions": [[0.0, 0.0]]}, {"actions": "actions|Z"}),
    "make_confounded_treatment": (
        datasets.make_confounded_treatment,
        {"n_samples": 5, "kind": "attained", "odds_ratio": 2.0, "heavy_tails": False, "random_state": 0},
        {},
    ),
    "fetch_sachs": (datasets.fetch_sachs, {"data_home": "/nowhere", "scale": "log", "download_if_missing": False}, {}),
    "fetch_ihdp": (datasets.fetch_ihdp, {"data_home": "/nowhere", "draw": 1, "as_frame": True, "download_if_missing": False}, {}),
    "fetch_optical_device": (
        datasets.fetch_optical_device, {"data_home": "/nowhere", "as_frame": False, "download_if_missing": False}, {},
    ),
}  # fmt: skip

#: Sizes that are legal and would only take all memory or all day.
SIZES = {"n", "p", "n_samples", "n_per_env", "n_features", "n_confounders", "n_targets", "n_environments", "n_layers"}
SIZES |= {"n_latent", "n_actions", "size", "max_in_degree", "n_exposures"}
CASES = [(door, argument) for door, (_, arguments, _) in DOORS.items() for argument in arguments]


def outcome(call, arguments):
    """None if the call answers, or refuses in words of our own; else what happened."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warnings.simplefilter("ignore", CausalInvWarning)
        try:
            call(**arguments)
        except FileNotFoundError:
            return None  # all arguments were taken
        except (ValueError, TypeError, IndexError) as error:
            frames = traceback.extract_tb(error.__traceback__)
            raised_here = frames[-1].filename.startswith(OURS) or frames[-1].filename == __file__
            return str(error), raised_here
        except Exception as error:
            return f"{type(error).__name__}: {error}", False
    return None


@pytest.mark.parametrize(("door", "argument"), CASES, ids=[f"{door}-{argument}" for door, argument in CASES])
def test_odd_arguments_are_answered_or_refused_by_name(door, argument):
    call, arguments, words = DOORS[door]
    names = words.get(argument, argument).split("|")
    wrong = []
    for odd in ODD:
        if argument in SIZES and isinstance(odd, int) and odd > 1000:
            continue
        happened = outcome(call, arguments | {argument: odd})
        if happened is None:
            continue
        message, ours = happened
        if not ours or not any(name in message for name in names):
            wrong.append(f"{argument}={odd!r:.60}: {message:.150}")
    assert not wrong, "\n" + "\n".join(wrong)


def test_every_door_works_without_anything_odd():
    for door, (call, arguments, _) in DOORS.items():
        if not door.startswith("fetch"):
            assert outcome(call, arguments) is None, door
