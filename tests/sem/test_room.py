"""The room as a whole: no circle of imports, streams that belong to environments, printing, warnings, odd numbers."""

import ast
import pickle
import warnings
from pathlib import Path

import networkx as nx
import numpy as np
import pandas as pd
import pytest
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler

from causalinv import sem as lab
from causalinv.exceptions import DegenerateInputWarning, TargetInterventionWarning
from causalinv.sem import LinearSEM

ROOM = Path(lab.__file__).parent


# -- imports ----------------------------------------------------------------------------------------------------------


def imports_of(path):
    """Modules of the room that a file imports, for types and inside functions too; and those inside functions."""
    tree = ast.parse(path.read_text())
    inner = {id(n) for f in ast.walk(tree) if isinstance(f, ast.FunctionDef) for n in ast.walk(f)}
    found, late = set(), set()
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("causalinv.sem"):
            names = [node.module.removeprefix("causalinv.sem").lstrip(".")] if node.module != "causalinv.sem" else []
            names = names or [alias.name for alias in node.names]
            found.update(names)
            if id(node) in inner:
                late.update(names)
    return found, late


def test_files_of_the_room_import_one_way():
    graph = nx.DiGraph()
    for path in ROOM.glob("_*.py"):
        if path.stem == "__init__":
            continue
        found, late = imports_of(path)
        assert not late, f"{path.name} imports {late} inside a function"
        assert "TYPE_CHECKING" not in path.read_text()
        graph.add_edges_from((path.stem, name) for name in found)
    assert nx.is_directed_acyclic_graph(graph), list(nx.simple_cycles(graph))
    assert nx.has_path(graph, "_linear", "_model")
    assert not nx.has_path(graph, "_environments", "_linear")


# -- models -----------------------------------------------------------------------------------------------------------


def test_shifts_and_common_causes_are_parts_of_a_model():
    causes = lab.CommonCauses([[1.0, 0.0], [2.0, 0.0], [0.0, 0.0]], [lab.Laplace(), lab.Gaussian()])
    assert len(causes) == 1  # a cause that reaches nothing is none
    sem = LinearSEM(np.zeros((3, 3)), noise=0.0, shift_std=[0.0, 0.0, 3.0], common=causes)
    np.testing.assert_allclose(sem.cov(), [[1, 2, 0], [2, 4, 0], [0, 0, 9]])
    rows = sem.sample(50_000, random_state=0)
    np.testing.assert_array_equal(rows[:, 1], 2 * rows[:, 0])
    assert np.mean(rows[:, 0] ** 4) == pytest.approx(6.0, abs=0.6)  # kurtosis of the Laplace
    assert rows[:, 2].std() == pytest.approx(3.0, abs=0.06)
    by_shift = LinearSEM(np.zeros((3, 3)), noise=0.0).intervene(lab.Shift(2, std=3.0))
    assert by_shift.shift_std.tolist() == [0.0, 0.0, 3.0]
    for other in (
        pickle.loads(pickle.dumps(sem)),
        sem.replace(target=0, features=None),
        LinearSEM.from_dict(sem.to_dict()),
    ):
        np.testing.assert_array_equal(other.sample(9, random_state=3), sem.sample(9, random_state=3))
    with pytest.raises(ValueError, match="read-only"):
        pickle.loads(pickle.dumps(causes)).loading[0] = 5.0
    with pytest.raises(ValueError, match="common must be CommonCauses of 2 nodes"):
        LinearSEM(np.zeros((2, 2)), common=causes)
    with pytest.raises(ValueError, match="loading of CommonCauses must have one column for each of the 1 laws"):
        lab.CommonCauses([[1.0, 2.0]], [lab.Laplace()])
    with pytest.raises(ValueError, match="shift_std must be >= 0, got -1"):
        LinearSEM([[0]], shift_std=-1.0)
    with pytest.raises(TypeError, match="no part 'colour'"):
        sem.replace(colour="red")


def test_a_pickled_model_does_not_warn_again():
    with pytest.warns(DegenerateInputWarning, match="nearly singular"):
        sem = LinearSEM([[0, 1.0], [1.0 - 1e-13, 0]])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        again = pickle.loads(pickle.dumps(sem))
    np.testing.assert_array_equal(again.M, sem.M)


class LouderLaplace(lab.Intervention):
    """A user's own."""

    def __init__(self, node):
        self.node = node

    def edit(self, draft):
        draft.set_noise(draft.model.node(self.node), lab.Laplace(7.0))


def test_interventions_add_up():
    sem = LinearSEM([[0, 0], [2.0, 0]], names=["x", "y"])
    parts = [lab.Shift("x", 1.0), lab.Shift("y", std=2.0), lab.ScaleNoise("x", 3.0)]
    total = sum(parts)
    assert total == parts[0] + parts[1] + parts[2]
    assert sum([lab.Shift("x", 1.0)]) == lab.Shift("x", 1.0)
    np.testing.assert_allclose(sem.intervene(total).cov(), [[9, 18], [18, 36 + 5]])
    assert sem.intervene(LouderLaplace("x")).cov()[0, 0] == pytest.approx(49.0)
    for bad in (lambda: 1 + lab.Shift("x"), lambda: lab.Shift("x") + 0, lambda: False + lab.Shift("x")):
        with pytest.raises(TypeError, match="unsupported operand"):
            bad()
    with pytest.raises(TypeError, match="Intervention"):
        lab.Intervention()


def test_dropping_no_node_changes_nothing():
    for sem in (LinearSEM([[0, 0.5], [0.5, 0]]), lab.random_sem(5, random_state=0)):
        assert sem.marginalize([]) is sem


# -- streams ----------------------------------------------------------------------------------------------------------


def rows_of(envs, n=4, seed=3):
    X, y, labels = envs.sample(n, random_state=seed)
    return np.column_stack([X, y]), labels


SEM = lab.random_sem(6, expected_degree=3.0, random_state=1)
SITES = [v for v in SEM.features if SEM.parents(v)][:2]
SETS = {
    "interventions": lambda: SEM.environments(
        [
            None,
            lab.Do(SITES[0], 1.0),
            lab.ScaleWeights(SITES[0], 0.5),
            lab.Shift(SITES[1], 1.0, 1.0),
            lab.SetNoise(SITES[0], lab.Laplace()),
        ]
    ),
    "additions": lambda: lab.InterventionFamily(SITES, kind="random_shift").environments(SEM, 5, random_state=0),
    "weights": lambda: lab.InterventionFamily(SITES, kind="weights").environments(SEM, 5, random_state=0),
}


@pytest.mark.parametrize("name", SETS)
def test_a_slice_has_the_rows_that_its_environments_have_in_the_whole(name):
    envs = SETS[name]()
    whole, labels = rows_of(envs)
    for which in (slice(2, 5), [4, 1], np.array([True, False, True, False, True]), slice(None, None, -1), [3]):
        part, its = rows_of(envs[which])
        for label in set(its.tolist()):
            np.testing.assert_array_equal(part[its == label], whole[labels == label])
    twice, its = rows_of(envs[[4, 2, 1]][[2, 0]])  # a slice of a slice
    np.testing.assert_array_equal(twice[its == 1], whole[labels == 1])
    np.testing.assert_array_equal(twice[its == 4], whole[labels == 4])
    copied = pickle.loads(pickle.dumps(envs[3:]))
    np.testing.assert_array_equal(rows_of(copied)[0], rows_of(envs[3:])[0])
    assert envs[3:].positions.tolist() == [3, 4]


def test_slices_under_one_seed_are_independent():
    envs = SEM.environments([None] * 6)
    first, second = rows_of(envs[:3], 2000)[0], rows_of(envs[3:], 2000)[0]
    assert not np.array_equal(first, second)
    for column in range(6):
        r = np.corrcoef(first[:, column], second[:, column])[0, 1]
        assert abs(r) < 5 / np.sqrt(6000)
    # Sets that were built apart do share their noise, which the docstring says.
    np.testing.assert_array_equal(rows_of(SEM.environments([None]))[0], rows_of(SEM.environments([None, None])[:1])[0])


def test_a_model_of_an_environment_is_found_by_its_position():
    envs = SEM.environments([None, lab.Shift(SITES[0], 5.0)], labels=[(1, "a"), (2, "b")])
    assert envs.model(np.int64(1)).mean()[SITES[0]] == pytest.approx(5.0)
    assert list(envs.labels) == [(1, "a"), (2, "b")]
    assert envs.moments().mean("x").shape == (2, 5)
    for bad in (99, -1, 2, 1.0, True, "b", None):
        with pytest.raises(ValueError, match="position must be a whole number from 0 to 1"):
            envs.model(bad)
    for bad in ([], 99, [0, 0], "b", 1.5, [True], np.zeros((2, 2), int), None, slice(2, 2), [False, False]):
        with pytest.raises(IndexError, match=r"[Ee]nvironment"):
            envs[bad]
    for bad in ("ab", [1.5, 2], [-1, 2], True, [True, 2], None, [[1, 2]], 2.0):
        with pytest.raises(ValueError, match="n must hold whole numbers|n has"):
            envs.sample(bad)
    assert len(list(envs)) == 2  # iteration ends


# -- numbers that do not fit ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("call", "match"),
    [
        (lambda: lab.Gaussian(1e200), "std of Gaussian must be 0 or from 1e-150 to 1e\\+150"),
        (lambda: lab.Gaussian(1e-200), "std of Gaussian must be 0 or from 1e-150"),
        (lambda: lab.Gaussian(10**400), "std of Gaussian is too large"),
        (lambda: lab.Shift("x1", std=1e200), "std of Shift must be 0 or from"),
        (lambda: lab.Shift("x1", mean=np.inf), "mean of Shift must be finite"),
        (lambda: lab.Do("x1", -np.inf), "value of Do must be finite"),
        (lambda: lab.SetWeights("x1", {"y": np.inf}), "weight of parent 'y' in SetWeights must be finite"),
        (lambda: lab.ScaleWeights("y", np.inf), "factor of ScaleWeights must be finite"),
        (lambda: lab.ScaleNoise("y", np.inf), "factor of ScaleNoise must be finite"),
        (lambda: LinearSEM([[0.0]], noise=1e200), r"noise \(a std\) must be 0 or from"),
        (lambda: LinearSEM([[0, 0], [1e200, 0]]).cov(), "variance of node 'z1' is too large"),
        (
            lambda: LinearSEM([[0, 0], [1e200, 0]], target=1).environments([None]).covs(),
            "variance of node 'z1' is too",
        ),
        (lambda: LinearSEM([[0, 0], [1e200, 0]], target=1).environments([None]).moments(), "variance of node 'z1'"),
        (lambda: LinearSEM([[0.0]], intercept=1e200).second_moment(), "second moment of node 'z0' is too large"),
        (lambda: LinearSEM([[0, 0], [1e300, 0]], intercept=1e300).mean(), "mean of node 'z1' is too large"),
        (lambda: LinearSEM([[0, 0], [1e300, 0]], noise=1e10).sample(2, random_state=0), "node 'z1' is too large"),
        (lambda: LinearSEM([[0, 0, 0], [1e200, 0, 0], [0, 1e200, 0]]).M, "total effect on node 'z2' is too large"),
        (lambda: LinearSEM(np.array([[0, 1j], [0, 0]])), "B must hold real numbers, got complex"),
        (lambda: LinearSEM(np.ma.masked_array([[0.0, 9.0], [0.0, 0.0]], mask=[[0, 1], [0, 0]])), "B has masked"),
        (lambda: LinearSEM([[0, "x"], [0, 0]]), "B must hold real numbers, got text"),
        (lambda: LinearSEM([[0, 1], [0]]), "B must be a table of numbers"),
        (lambda: LinearSEM([[0]], noise={"a": 1.0}), r"noise \(a std\) must be a real number"),
        (lambda: LinearSEM([[0, 0], [0, 0]], names="ab"), "names must be a sequence of 2 strings"),
        (lambda: LinearSEM([[0]], features=0), "features must be a sequence of nodes"),
        (lambda: lab.ShiftTogether(["a"], [[1j]]), "cov of ShiftTogether must hold real numbers"),
        (lambda: lab.ShiftTogether([["a"]], [[1.0]]), "each of nodes of ShiftTogether must be a position"),
        (lambda: lab.SetWeights("a", ("b", 1.0)), "weights of SetWeights must be a mapping"),
        (lambda: lab.Empirical([0.3, 0.1 + 0.2]), "values of Empirical must be at least two different numbers"),
        (lambda: lab.StudentT(df=2.0), "df of StudentT must be a number > 2"),
        (lambda: lab.random_cyclic_sem(4, spectral_radius=1.0), "spectral_radius must be below 1"),
    ],
)
def test_numbers_that_do_not_fit_are_refused_by_name(call, match):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises((ValueError, TypeError), match=match):
            call()


def test_extreme_numbers_that_fit_are_answered():
    assert lab.Gaussian(1e150).var == pytest.approx(1e300)
    assert LinearSEM([[0, 0], [1e-140, 0]], noise=1e140).cov()[1, 0] == pytest.approx(1e140)
    for unit in (1e-140, 1e140):
        sem = lab.random_sem(5, standardize=False, random_state=0)
        scaled = LinearSEM(sem.B, noise=unit)
        np.testing.assert_allclose(scaled.cov() / unit / unit, LinearSEM(sem.B).cov())
        assert scaled.varies().all()
        np.testing.assert_allclose(np.diag(scaled.standardize().cov()), 1.0)


# -- what is printed --------------------------------------------------------------------------------------------------


PRINTED = {
    "model": lambda: lab.random_sem(30, expected_degree=9.0, standardize=False, random_state=0),
    "model without a target": lambda: LinearSEM(np.zeros((2, 2))),
    "cyclic": lambda: lab.random_cyclic_sem(5, random_state=0),
    "hidden": lambda: lab.textbook_sem("instrument").marginalize(["u"]),
    "environments": lambda: lab.InterventionFamily(SITES, kind="weights+variance").environments(
        SEM, 40, random_state=0
    ),
    "interventions": SETS["interventions"],
    "regression": lambda: SEM.regress(0, [1, 2, 3]),
    "law": lambda: SEM.condition(dict.fromkeys(range(1, 6), 0.123456789)),
}


@pytest.mark.parametrize("name", PRINTED)
def test_everything_prints_itself_within_eighty_columns(name, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    shown = PRINTED[name]()
    text = str(shown.summary())
    assert max(map(len, text.splitlines())) <= 80, text
    assert len(text.splitlines()) <= 30
    assert str(shown) == text
    assert "\n" not in repr(shown) or name in ("regression", "law")
    assert "<table" in shown._repr_html_()
    assert isinstance(shown.to_frame(), pd.DataFrame)


def test_summaries_hold_the_numbers():
    table = lab.textbook_sem("chain").intervene(lab.Shift("x1", 2.0, 3.0)).summary().to_frame()
    assert table.loc["y"].tolist() == ["target", "x1", 2.0, pytest.approx(np.sqrt(11.0)), 1.0]
    assert table.loc["x1", "noise sd"] == pytest.approx(np.sqrt(10.0))
    envs = lab.textbook_sem("chain").environments([None, lab.Do("x1", 4.0)], labels=["calm", "set"])
    frame = envs.to_frame()
    assert frame.loc["set"].tolist() == ["Do(node='x1', value=4.0)", 4.0, 1.0]
    assert frame.loc["calm"].tolist() == ["none", 0.0, pytest.approx(np.sqrt(2.0))]
    assert "Do x1" in str(envs)
    drawn = lab.InterventionFamily(SITES, kind="random_shift").environments(SEM, 3, random_state=0)
    np.testing.assert_array_equal(drawn.to_frame().filter(like="theta"), drawn.theta)
    raw = LinearSEM.from_adjacency(np.diag([1.0, 1.0], k=1))
    assert "Variances rise along 100% of the directed paths" in str(raw)
    assert "Variances rise" not in str(raw.standardize())
    assert "1 hidden common cause." in str(PRINTED["hidden"]())
    assert "not Gaussian" in str(LinearSEM([[0, 1.0], [0, 0]], noise=lab.Exponential()).regress(1, [0]))


# -- warnings ---------------------------------------------------------------------------------------------------------


def user_cycle(rows):
    LinearSEM([[0, 1.0], [1.0 - 1e-13, 0]])  # the user's line
    return rows


def user_adjacency(rows):
    LinearSEM.from_adjacency([[0, 1.0], [1.0 - 1e-13, 0]])  # the user's line
    return rows


def user_target(rows):
    lab.textbook_sem("chain").intervene(lab.Shift("y", 1.0))  # the user's line
    return rows


def user_sample(rows):
    lab.textbook_sem("chain").sample(3, intervention=lab.Shift("y", 1.0), random_state=0)  # the user's line
    return rows


def user_environments(rows):
    lab.textbook_sem("chain").environments([lab.Shift("y", 1.0)])  # the user's line
    return rows


def user_regression(rows):
    LinearSEM(np.zeros((2, 2)), noise=0.0).regress(0, [1])  # the user's line
    return rows


CATEGORIES = {
    user_cycle: DegenerateInputWarning,
    user_adjacency: DegenerateInputWarning,
    user_target: TargetInterventionWarning,
    user_sample: TargetInterventionWarning,
    user_environments: TargetInterventionWarning,
    user_regression: DegenerateInputWarning,
}


@pytest.mark.parametrize("function", CATEGORIES)
@pytest.mark.parametrize("in_pipeline", [False, True])
def test_every_warning_names_the_users_line(function, in_pipeline):
    lines = Path(__file__).read_text().splitlines()
    rows = np.arange(6.0).reshape(3, 2)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        if in_pipeline:
            make_pipeline(StandardScaler(), FunctionTransformer(function)).fit_transform(rows)
        else:
            function(rows)
    (warning,) = [w for w in caught if issubclass(w.category, CATEGORIES[function])]
    assert warning.filename == __file__
    start = function.__code__.co_firstlineno
    assert start < warning.lineno <= start + 2
    assert "the user's line" in lines[warning.lineno - 1]


# -- random models ----------------------------------------------------------------------------------------------------


def test_degree_of_cyclic_models_is_that_of_graphs_with_a_cycle():
    """All 64 directed graphs on three nodes, weighed by their chance, less those without a cycle."""
    p, degree = 3, 1.5
    chance = degree / (2 * (p - 1))
    pairs = [(i, j) for i in range(p) for j in range(p) if i != j]
    weight = edges = 0.0
    for code in range(2 ** len(pairs)):
        chosen = [pair for k, pair in enumerate(pairs) if code >> k & 1]
        if not nx.is_directed_acyclic_graph(nx.DiGraph(chosen)):
            mass = chance ** len(chosen) * (1 - chance) ** (len(pairs) - len(chosen))
            weight, edges = weight + mass, edges + mass * 2 * len(chosen) / p
    expected = edges / weight
    n = 200
    drawn = [
        2 * np.count_nonzero(lab.random_cyclic_sem(p, expected_degree=degree, random_state=k).B) / p for k in range(n)
    ]
    assert abs(np.mean(drawn) - expected) < 4 * np.std(drawn) / np.sqrt(n)
    assert expected - degree > 10 * np.std(drawn) / np.sqrt(n)  # so the unconditional value would be seen


def test_cyclic_models_have_the_degrees_that_the_docstring_states():
    for p, degree, stated in ((6, 2.0, 2.33), (10, 0.8, 1.20)):
        drawn = []
        for seed in range(120):
            try:
                B = lab.random_cyclic_sem(p, expected_degree=degree, random_state=seed).B
            except ValueError:
                continue
            drawn.append(2 * np.count_nonzero(B) / p)
        assert abs(np.mean(drawn) - stated) < 0.005 + 4 * np.std(drawn) / np.sqrt(len(drawn))
