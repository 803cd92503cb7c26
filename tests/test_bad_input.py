"""The bad-input matrix: each line is one mistake, the exception it must raise, and what the message must name.

Every room adds its lines here.
"""

import numpy as np
import pandas as pd
import pytest

from causalinv import (
    FunctionAugmentation,
    GaussianNoise,
    InvariantProjection,
    IVLikeRegression,
    LinearSEM,
    Moments,
    Translation,
    representation,
)
from causalinv import sem as lab
from causalinv.datasets import fetch_sachs, load_confounded_digits, make_confounded_linear, make_invariance_environments
from causalinv.exceptions import CyclicModelError, DegenerateInputWarning
from causalinv.symmetry import InvariantCoordinates
from causalinv.transformations import SignFlip
from tests.mistakes import Mistake, each

RNG = np.random.default_rng(0)
X, Z = RNG.normal(size=(40, 3)), RNG.normal(size=(40, 2))
FRAME = pd.DataFrame(X, columns=["a", "b", "c"])
Y = X @ [1.0, 2.0, 3.0] + RNG.normal(size=40)
ALONG = Translation([[1.0, 1.0, 0.0]])
CHAIN = LinearSEM([[0, 0, 0], [1, 0, 0], [0, 1, 0]], names=["a", "b", "c"], target="c")


def ivl(*args, **kwargs):
    return IVLikeRegression(*args, **({"augmentation": ALONG} | kwargs))


def iv(alpha=1.0, X=X, y=Y, Z=Z, **kwargs):
    return IVLikeRegression(alpha).fit(X, y, instruments=Z, **kwargs)


def func(result):
    return ivl(augmentation=FunctionAugmentation(lambda rows, rng: result(rows)))


def with_value(array, value, at=(3, 1)):
    out = array.astype(complex if isinstance(value, complex) else float)
    out[at] = value
    return out


MISTAKES = [
    # -- IVLikeRegression: what is asked for
    Mistake("neither source", lambda: IVLikeRegression().fit(X, Y), "needs augmentation= .* or genuine instruments.*got neither"),
    Mistake("both sources", lambda: ivl(1.0).fit(X, Y, instruments=Z), "not both"),
    Mistake("neither in moments", lambda: IVLikeRegression(1.0).fit_moments(Moments.from_rows(x=X, y=Y)), "block 'g'.*got neither"),
    Mistake("both in moments", lambda: ivl().fit_moments(Moments.from_rows(x=X, y=Y, g=Z)), "not both"),
    Mistake("moments without y", lambda: ivl().fit_moments(Moments.from_rows(x=X)), "no block 'y'; they have x"),
    Mistake("alpha auto with instruments", lambda: iv("auto"), "no default for genuine instruments: say alpha=0"),
    Mistake("alpha negative", lambda: iv(-0.1), "alpha must be a number >= 0, got -0.1"),
    Mistake("alpha NaN", lambda: iv(np.nan), "alpha must be a number >= 0, got nan"),
    Mistake("alpha unknown rule", lambda: ivl("best").fit(X, Y), "alpha must be a number >= 0 or 'auto', 'eb', 'cc', 'liml', 'fuller' or 'fuller.a.', got 'best'"),
    Mistake("alpha bool", lambda: iv(True), "alpha must be a real number, got True", TypeError),
    Mistake("alpha complex", lambda: iv(1j), "alpha must be a real number", TypeError),
    Mistake("path of a negative", lambda: iv().alpha_path([1.0, -1.0]), "every entry of alphas must be a number >= 0, got -1"),
    Mistake("path of a number", lambda: iv().alpha_path(1.0), "alphas must be one-dimensional"),
    Mistake("ridge negative", lambda: ivl(ridge=-1).fit(X, Y), "ridge must be a number >= 0, got -1"),
    Mistake("integration unknown", lambda: ivl(integration="exact").fit(X, Y), "integration must be one of .* got 'exact'"),
    Mistake("n_copies zero", lambda: ivl(integration="paired", n_copies=0).fit(X, Y), "n_copies must be a whole number >= 1, got 0"),
    Mistake("augmentation of another type", lambda: ivl(augmentation=np.ones((1, 3))).fit(X, Y), "augmentation must be an Augmentation", TypeError),
    Mistake("closed form of a black box", lambda: ivl(augmentation=FunctionAugmentation(np.tanh), integration="closed_form").fit(X, Y), "no closed form.*integration='paired'"),
    Mistake("pairing moments", lambda: ivl(integration="paired").fit_moments(Moments.from_rows(x=X, y=Y)), "draws copies of rows, and moments have none"),
    Mistake("no invariant direction", lambda: ivl(0.0, augmentation=GaussianNoise()).fit(X, Y), "alpha=0 leaves no invariant direction.*all 3 directions"),
    Mistake("no invariant direction on the path", lambda: ivl(1.0, augmentation=GaussianNoise()).fit(X, Y).alpha_path([0.0]), "no invariant direction"),
    Mistake("random_state of another type", lambda: ivl(integration="paired", random_state="x").fit(X, Y), "random_state must be None, an int", TypeError),
    Mistake("random_state negative", lambda: ivl(integration="paired", random_state=-1).fit(X, Y), "random_state must be >= 0, got -1"),
    # -- IVLikeRegression: rows
    Mistake("X with NaN", lambda: iv(X=with_value(X, np.nan)), "Input X contains NaN: 1 of 120 .* row 3, column 1"),
    Mistake("y with inf", lambda: iv(y=with_value(Y, np.inf, 5)), "Input y contains infinity: .* row 5"),
    Mistake("instruments with NaN", lambda: iv(Z=with_value(Z, np.nan)), "Input instruments contains NaN.* row 3, column 1"),
    Mistake("X complex", lambda: iv(X=with_value(X, 1j)), "Complex data not supported: X is complex; pass real"),
    Mistake("instruments complex", lambda: iv(Z=with_value(Z, 1j)), "Complex data not supported: instruments"),
    Mistake("X of strings", lambda: iv(X=X.astype(str).astype(object) + "a"), "X holds text .*encode it as numbers"),
    Mistake("X of both infinities", lambda: iv(X=with_value(with_value(X, np.inf), -np.inf, (4, 0))), "Input X contains infinity: 2 of 120"),
    Mistake("one weighted row", lambda: iv(sample_weight=np.eye(40)[0]), "Only 1 row has a positive weight, while a minimum of 2"),
    Mistake("claim not a bool", lambda: ivl(augmentation=Translation([[1.0, 1, 0]], outcome_invariant="no")).fit(X, Y), "outcome_invariant must be True or False", TypeError),
    Mistake("direction named twice", lambda: ivl(augmentation=Translation(pd.DataFrame([[1.0, 2.0]], columns=["a", "a"]))).fit(pd.DataFrame(X, columns=list("abc")), Y), "name a feature twice"),
    Mistake("f gives NaN", lambda: ALONG.check_invariance(lambda r: r[:, 0] * np.nan, X, random_state=0), r"Input f\(X\) contains NaN"),
    Mistake("inverse of another width", lambda: InvariantProjection(ALONG).fit(X).inverse_transform(np.ones(3)), "X must have 2 columns"),
    Mistake("y missing", lambda: ivl().fit(X, None), "This requires y to be passed"),
    Mistake("y three-dimensional", lambda: ivl().fit(X, np.zeros((40, 1, 1))), "dim 3"),
    Mistake("X one-dimensional", lambda: ivl().fit(X[:, 0], Y), "Expected 2D array"),
    Mistake("one row", lambda: ivl().fit(X[:1], Y[:1]), "1 sample"),
    Mistake("lengths", lambda: iv(Z=Z[:-1]), "inconsistent numbers of samples: X has 40, y has 40, instruments has 39"),
    Mistake("constant instrument", lambda: iv(Z=pd.DataFrame({"u": Z[:, 0], "v": 1.0})), r"constant in column \['v'\]: a constant has no strength"),
    Mistake("as many instruments as rows", lambda: iv(Z=RNG.normal(size=(40, 39))), "39 independent columns for 40 rows"),
    Mistake("weights negative", lambda: iv(sample_weight=with_value(np.ones(40), -2.0, 4)), "Negative values in sample_weight: -2 in row 4"),
    Mistake("weights zero", lambda: iv(sample_weight=np.zeros(40)), "sample_weight is zero in every row"),
    Mistake("weights two-dimensional", lambda: iv(sample_weight=np.ones((40, 2))), r"sample_weight must hold one number per row, shape \(40,\)"),
    Mistake("features differ at predict", lambda: iv().predict(X[:, :2]), "2 features, but IVLikeRegression is expecting 3"),
    # -- augmentations
    Mistake("directions of another width", lambda: ivl(augmentation=Translation([[1.0, 1.0]])).fit(X, Y), "directions have 2 columns, but X has 3 features"),
    Mistake("directions one-dimensional", lambda: ivl(augmentation=Translation([1.0, 1.0, 0.0])).fit(X, Y), r"shape \(q, d\).*written \[v\]"),
    Mistake("direction zero", lambda: ivl(augmentation=Translation([[1.0, 0, 0], [0, 0, 0]])).fit(X, Y), "Direction 1 is zero"),
    Mistake("directions NaN", lambda: ivl(augmentation=Translation([[1.0, np.nan, 0]])).fit(X, Y), "Input directions contains NaN"),
    Mistake("scale zero", lambda: ivl(augmentation=Translation([[1.0, 0, 0]], scale=0)).fit(X, Y), "scale of Translation must be a number > 0, got 0"),
    Mistake("noise scale negative", lambda: ivl(augmentation=GaussianNoise(-1)).fit(X, Y), "scale of GaussianNoise must be a number > 0, got -1"),
    Mistake("f zero", lambda: Translation.orthogonal_to([0.0, 0.0]), "f is zero"),
    Mistake("f of full rank", lambda: Translation.orthogonal_to(np.eye(2)), "f reads all 2 features"),
    Mistake("pairs equal", lambda: Translation.from_pairs(X, X), "X and X_other are equal"),
    Mistake("pairs of other columns", lambda: Translation.from_pairs(X, X[:, :2]), "same columns"),
    Mistake("pairs of other lengths", lambda: Translation.from_pairs(X, X[:5]), "inconsistent numbers of samples: X has 40, X_other has 5"),
    Mistake("too many pair directions", lambda: Translation.from_pairs(X, X + 1.0, n_directions=2), "n_directions must be from 1 to 1"),
    Mistake("func not callable", lambda: ivl(augmentation=FunctionAugmentation("turn")).fit(X, Y), "func of FunctionAugmentation must be callable", TypeError),
    Mistake("func returns one array", lambda: func(lambda r: r).fit(X, Y), r"func must return a pair \(GX, G\)"),
    Mistake("func drops rows", lambda: func(lambda r: (r[:-1], r[:-1])).fit(X, Y), r"GX of the shape of X, \(40, 3\)"),
    Mistake("func returns flat G", lambda: func(lambda r: (r, r[:, 0])).fit(X, Y), r"G of shape \(40, q\)"),
    Mistake("func returns NaN", lambda: func(lambda r: (r * np.nan, r)).fit(X, Y), "Input GX returned by func contains NaN"),
    Mistake("declared invariance is false", lambda: ALONG.check_invariance(lambda r: r[:, 0], X, random_state=0), "f is not invariant to this Translation"),
    Mistake("letters of a sign flip", lambda: InvariantCoordinates(SignFlip("ab")).fit(FRAME), "columns of SignFlip must be a sequence of columns or of sequences of them, got 'ab'", TypeError),
    Mistake("letters of cells", lambda: Moments.from_rows(x=X, environments=["a", "b"] * (len(X) // 2)).select(cells="ab"), "cells must be a sequence of labels, got 'ab'", TypeError),
    Mistake("unknown column of a flip", lambda: InvariantCoordinates(SignFlip(["z"])).fit(FRAME), r"does not have: \['z'\]; X has \['a', 'b', 'c'\]\.$"),
    Mistake("projection of everything", lambda: InvariantProjection(Translation(np.eye(3))).fit(X), r"span all of X's 3 feature"),
    Mistake("projection of noise", lambda: InvariantProjection(GaussianNoise()).fit(X), "must be a Translation.*got GaussianNoise"),
    # -- Moments
    Mistake("no block", Moments.from_rows, "needs at least one block"),
    Mistake("no chunk", lambda: Moments.from_chunks([]), "from_chunks got no chunk"),
    Mistake("unknown block", lambda: Moments.from_rows(x=X).cov("g"), "no block 'g'; they have x"),
    Mistake("label missing", lambda: Moments.from_rows(x=X, environments=[None, *range(39)]), "environments has a missing label in row 0"),
    Mistake("labels too few", lambda: Moments.from_rows(x=X, environments=[1, 2]), "inconsistent numbers of samples"),
    Mistake("other blocks", lambda: Moments.from_rows(x=X).merge(Moments.from_rows(x=Z)), "Moments of other variables cannot be combined"),
    Mistake("subtract an unknown cell", lambda: Moments.from_rows(x=X, folds=[0, 1] * 20).subtract(Moments.from_rows(x=X, folds=[2] * 40)), r"Cells \[2\] are not in"),
    Mistake("subtract everything", lambda: Moments.from_rows(x=X).subtract(Moments.from_rows(x=X)), "leaves nothing in cell 0"),
    Mistake("select an unknown label", lambda: Moments.from_rows(x=X, folds=[0, 1] * 20).select(folds=[7]), r"No cell has folds \[7\]"),
    Mistake("select an unknown level", lambda: Moments.from_rows(x=X).select(environments=[0]), "no level 'environments'"),
    Mistake("select a column out of range", lambda: Moments.from_rows(x=X).select(x=[3]), r"columns 0…2, got \[3\]"),
    Mistake("select by a bare bool", lambda: Moments.from_rows(x=X).select(x=False), "selected by True, positions, or a mask of length 3"),
    Mistake("select by names", lambda: Moments.from_rows(x=X).select(x=["a"]), "selected by True, positions, or a mask"),
    Mistake("merge unlike cells", lambda: Moments.from_rows(x=X, folds=[0, 1] * 20).merge(Moments.from_rows(x=X, environments=[0, 1] * 20)), "cannot be merged"),
    Mistake("merge a population into a sample", lambda: Moments.from_rows(x=X).merge(Moments({"x": 3}, mean=np.zeros(3), scatter=np.eye(3))), "A sample and a population"),
    Mistake("subtract what was not in", lambda: Moments.from_rows(x=X).subtract(Moments.from_rows(x=100 * X[:5])), "negative variance: these rows were not in it"),
    Mistake("variance negative", lambda: Moments({"x": 2}, mean=[0, 0], scatter=np.diag([1.0, -1.0])), "negative variance: its smallest"),
    Mistake("scatter asymmetric", lambda: Moments({"x": 2}, mean=[0, 0], scatter=[[1, 1], [0, 1]]), "scatter must be symmetric"),
    Mistake("scatter of other size", lambda: Moments({"x": 2}, mean=[0, 0], scatter=[[1.0]]), "hold 2 variables"),
    Mistake("weight zero", lambda: Moments({"x": 1}, mean=[0], scatter=[[1.0]], weight=0.0), "weight must be positive"),
    Mistake("count zero", lambda: Moments({"x": 1}, mean=[0], scatter=[[1.0]], count=0), "count must hold whole numbers >= 1"),
    Mistake("count negative", lambda: Moments({"x": 1}, mean=[0], scatter=[[1.0]], count=-3), "count must hold whole numbers >= 1"),
    Mistake("count NaN", lambda: Moments({"x": 1}, mean=[0], scatter=[[1.0]], count=np.nan), "count must hold whole numbers >= 1"),
    Mistake("a cell without label", lambda: Moments({"x": 1}, mean=[0], scatter=[[1.0]], cells=[np.nan]), "one is missing"),
    Mistake("moments not finite", lambda: Moments({"x": 1}, mean=[np.inf], scatter=[[1.0]]), "must be finite"),
    Mistake("cells repeated", lambda: Moments({"x": 1}, mean=[[0], [0]], scatter=[[[1.0]], [[1.0]]], cells=["a", "a"]), "cells must be 2 different labels"),
    # -- models
    Mistake("B not square", lambda: LinearSEM(np.zeros((2, 3))), r"square matrix.*got shape \(2, 3\)"),
    Mistake("B NaN", lambda: LinearSEM([[0, np.nan], [0, 0]]), "Input B contains NaN.*row 0, column 1"),
    Mistake("B diagonal", lambda: LinearSEM([[0, 0], [0, 2.0]]), "B has 2 on its diagonal at node 1"),
    Mistake("cycle singular", lambda: LinearSEM([[0, 1.0], [1.0, 0]]), "no unique solution: I - B is singular"),
    Mistake("names repeated", lambda: LinearSEM(np.zeros((2, 2)), names=["a", "a"]), "'a' stands for more than one node"),
    Mistake("names too few", lambda: LinearSEM(np.zeros((2, 2)), names=["a"]), "names must be 2 strings"),
    Mistake("unknown name", lambda: CHAIN.parents("d"), "no node 'd'; the nodes are a, b, c"),
    Mistake("negative position", lambda: CHAIN.parents(-1), "no node -1; positions run from 0 to 2"),
    Mistake("position of another type", lambda: CHAIN.parents(1.0), "A node is a position", TypeError),
    Mistake("std negative", lambda: LinearSEM([[0]], noise=-1.0), r"noise \(a std\) must be a number >= 0, got -1"),
    Mistake("std negative in a law", lambda: lab.Laplace(-1.0), "std of Laplace must be a number >= 0, got -1"),
    Mistake("mean infinite", lambda: lab.Gaussian(1.0, mean=np.inf), "mean of Gaussian must be finite, got inf"),
    Mistake("noise list too short", lambda: LinearSEM(np.zeros((3, 3)), noise=[1.0, 2.0]), "noise has 2 entries for 3 nodes"),
    Mistake("noise of another type", lambda: LinearSEM([[0]], noise="big"), "must be a real number", TypeError),
    Mistake("intercept of other size", lambda: LinearSEM(np.zeros((2, 2)), intercept=[1.0]), r"intercept must be a number or have shape \(2,\)"),
    Mistake("n negative", lambda: CHAIN.sample(-1), "n must be a whole number >= 0, got -1"),
    Mistake("n fractional", lambda: CHAIN.sample(1.5), "n must be a whole number >= 0, got 1.5"),
    Mistake("order of a cycle", lambda: LinearSEM([[0, 0.5], [0.5, 0]]).topological_order(), "cyclic .* no topological order", CyclicModelError),
    Mistake("standardise a constant", lambda: LinearSEM([[0]], noise=0.0).standardize(), "Node 'z0' has variance 0"),
    Mistake("not an intervention", lambda: CHAIN.intervene({"a": 1.0}), "must be an Intervention", TypeError),
    Mistake("intervene on an unknown node", lambda: CHAIN.intervene(lab.Do("q", 1.0)), "no node 'q'"),
    Mistake("do NaN", lambda: lab.Do("a", np.nan), "value of Do must be a number, got nan"),
    Mistake("shift std negative", lambda: lab.Shift("a", std=-1.0), "std of Shift must be a number >= 0, got -1"),
    Mistake("scale negative", lambda: lab.ScaleNoise("a", -1.0), "factor of ScaleNoise must be a number >= 0"),
    Mistake("set noise negative", lambda: lab.SetNoise("a", -1.0), "must be a number >= 0, got -1"),
    Mistake("weights not a mapping", lambda: lab.SetWeights("b", 2.0), "must be a mapping parent -> weight", TypeError),
    Mistake("self weight", lambda: CHAIN.intervene(lab.SetWeights("b", {"b": 1.0})), "diagonal at node 1"),
    Mistake("no target", lambda: LinearSEM([[0]]).environments([None]), "The model has no target"),
    Mistake("no environment", lambda: CHAIN.environments([]), "interventions is empty"),
    Mistake("one intervention bare", lambda: CHAIN.environments(lab.Do("a", 1.0)), "must be a sequence", TypeError),
    Mistake("labels repeated", lambda: CHAIN.environments([None, None], labels=["u", "u"]), "labels must be 2 different labels"),
    Mistake("n per environment too short", lambda: CHAIN.environments([None, None]).sample([5]), "n has 1 entries for 2 environments"),
    Mistake("features hold the target", lambda: LinearSEM(np.zeros((2, 2)), target=0, features=[0, 1]), "features must be different nodes without the target"),
    Mistake("features repeated", lambda: LinearSEM(np.zeros((2, 2)), target=0, features=[1, 1]), "features must be different nodes"),
    Mistake("noise_cov indefinite", lambda: LinearSEM.with_noise_cov(np.zeros((2, 2)), [[1.0, 2.0], [2.0, 1.0]]), "noise_cov must be positive semidefinite; its smallest eigenvalue is -1"),
    Mistake("noise_cov asymmetric", lambda: LinearSEM.with_noise_cov(np.zeros((2, 2)), [[1.0, 2.0], [0.0, 9.0]]), "noise_cov must be symmetric"),
    Mistake("noise_cov of other size", lambda: LinearSEM.with_noise_cov(np.zeros((2, 2)), [[1.0]]), r"noise_cov must have shape \(2, 2\)"),
    Mistake("t without variance", lambda: lab.StudentT(df=2.0), "df of StudentT must be a number > 2, got 2"),
    Mistake("empirical constant", lambda: lab.Empirical([1.0, 1.0]), "at least two different numbers"),
    Mistake("empirical NaN", lambda: lab.Empirical([1.0, np.nan, 2.0]), "values of Empirical contains NaN"),
    Mistake("family without a shape", lambda: LinearSEM([[0]], noise=lab.Noise()).sample(1), "Noise must define standard", NotImplementedError),
    Mistake("shift together indefinite", lambda: lab.ShiftTogether(["a", "b"], [[1.0, 2.0], [2.0, 1.0]]), "cov of ShiftTogether must be positive semidefinite"),
    Mistake("shift together of other size", lambda: lab.ShiftTogether(["a", "b"], [[1.0]]), r"shapes \(2, 2\) and \(2,\) for 2 nodes"),
    Mistake("shift together one node twice", lambda: CHAIN.intervene(lab.ShiftTogether(["a", 0], np.eye(2))), "name the same node twice"),
    Mistake("shift together a bare name", lambda: lab.ShiftTogether("ab", np.eye(2)), "must be a sequence of nodes", TypeError),
    Mistake("scale weights NaN", lambda: lab.ScaleWeights("b", np.nan), "factor of ScaleWeights must be a number"),
    Mistake("drop the target", lambda: CHAIN.marginalize(["c"]), "nodes holds the target 'c'"),
    Mistake("drop everything", lambda: LinearSEM(np.zeros((2, 2))).marginalize([0, 1]), "nodes holds every node"),
    Mistake("drop a bare name", lambda: CHAIN.marginalize("a"), "nodes must be a sequence of nodes", TypeError),
    Mistake("loop of gain one", lambda: LinearSEM([[0, 2.0, 0], [0.5, 0, 1.0], [1.0, 0, 0]]).marginalize([1]), "has gain 1"),
    Mistake("mixing of other width", lambda: CHAIN.observe(np.ones((2, 3))), r"A must have shape \(D, 2\), one column per feature \(a, b\); got \(2, 3\)"),
    Mistake("mixing NaN", lambda: CHAIN.observe([[1.0, np.nan]]), "Input A contains NaN"),
    Mistake("measurement name taken", lambda: CHAIN.observe([[1.0, 1.0]], names=["a"]), "'a' stands for more than one node"),
    Mistake("family kind", lambda: lab.InterventionFamily(["a"], kind="wild"), "kind must be one of .* got 'wild'"),
    Mistake("family per_env", lambda: lab.InterventionFamily(["a"], per_env="some"), "per_env must be one of .*'all', 'single'.*, got 'some'"),
    Mistake("family without sites", lambda: lab.InterventionFamily([]), "sites must be different nodes, at least one"),
    Mistake("family site twice", lambda: lab.InterventionFamily(["a", 0]).draw(CHAIN, 1), "name the same node twice"),
    Mistake("family on the target", lambda: lab.InterventionFamily(["c"]).draw(CHAIN, 1), "sites holds the target 'c'"),
    Mistake("weights of an orphan", lambda: lab.InterventionFamily(["a"], kind="weights").draw(CHAIN, 1), r"sites \['a'\] have no parents"),
    Mistake("law of wrong size", lambda: lab.InterventionFamily(["a"], law=lambda rng, size: np.ones(5)).draw(CHAIN, 1), "law must give 1 finite numbers"),
    Mistake("theta of wrong width", lambda: lab.InterventionFamily(["a"]).interventions(CHAIN, np.ones((1, 3))), "theta must have 1 columns"),
    Mistake("too many sites", lambda: lab.choose_sites(CHAIN, 3), "n must be from 1 to 2"),
    Mistake("sites of nowhere", lambda: lab.choose_sites(CHAIN, 1, where="north"), "where must be one of .* got 'north'"),
    Mistake("sites without a target", lambda: lab.choose_sites(LinearSEM(np.zeros((2, 2))), 1), "The model has no target"),
    Mistake("rows per environment fractional", lambda: CHAIN.environments([None]).sample([1.5]), "n must hold whole numbers >= 0"),
    Mistake("textbook name", lambda: lab.textbook_sem("moon"), "no textbook model 'moon'; there are chain"),
    Mistake("cyclic radius", lambda: lab.random_cyclic_sem(4, spectral_radius=1.0), "spectral_radius must be below 1"),
    Mistake("cyclic of one node", lambda: lab.random_cyclic_sem(1), "p must be a whole number >= 2, got 1"),
    Mistake("cyclic but sparse", lambda: lab.random_cyclic_sem(3, expected_degree=1e-6), "has a cycle; raise one of them"),
    Mistake("no cancellation", lambda: lab.random_unfaithful_sem(6, n_cancellations=0), "n_cancellations must be a whole number >= 1"),
    Mistake("too many cancellations", lambda: lab.random_unfaithful_sem(4, n_cancellations=9, expected_degree=2.0), "admits 9 cancellations; raise p or expected_degree"),
    Mistake("dictionary without a key", lambda: LinearSEM.from_dict({"B": [[0]]}), "A model has the keys"),
    Mistake("dictionary of another law", lambda: LinearSEM.from_dict(CHAIN.to_dict() | {"noise": [{"family": "Cauchy"}] * 3}), "no noise family 'Cauchy'"),
    Mistake("edges without weights", lambda: LinearSEM.from_frame(pd.DataFrame({"parent": ["a"], "child": ["b"]})), r"missing: \['weight'\]"),
    Mistake("edge given twice", lambda: LinearSEM.from_frame(pd.DataFrame({"parent": ["a", "a"], "child": ["b", "b"], "weight": [1.0, 2.0]})), "'a' -> 'b' is given twice"),
    Mistake("edge to nowhere", lambda: LinearSEM.from_frame(pd.DataFrame({"parent": ["a"], "child": ["b"], "weight": [1.0]}), names=["a"]), "names 'b', which is not among the nodes"),
    Mistake("outcome by its name", lambda: iv(y="wage"), "y must hold numbers, one row each; got the text 'wage'", TypeError),
    Mistake("instrument by its name", lambda: iv(Z="z"), "instruments must hold numbers, one row each; got the text 'z'", TypeError),
    Mistake("weights by their name", lambda: iv(sample_weight="w"), "sample_weight must hold .* got the text 'w'", TypeError),
    Mistake("scale of proteins", lambda: fetch_sachs(scale="cubic"), "scale must be one of .*'log', 'raw'.*, got 'cubic'"),
    Mistake("one environment", lambda: make_invariance_environments(10, n_environments=1), "n_environments must be a whole number >= 2, got 1"),
    Mistake("graph kind", lambda: lab.random_dag(3, kind="star"), "kind must be one of .* got 'star'"),
    Mistake("graph size", lambda: lab.random_dag(0), "p must be a whole number >= 1, got 0"),
    Mistake("graph degree", lambda: lab.random_dag(3, expected_degree=5.0), "expected_degree must be a number >= 0 and <= 2"),
    Mistake("weight range", lambda: lab.random_sem(5, weights=(2.0, 1.0)), "low <= high"),
    # -- data
    Mistake("no features", lambda: make_confounded_linear(n_features=0), "n_features must be a whole number >= 1, got 0"),
    Mistake("negative noise", lambda: make_confounded_linear(noise=-1.0), "noise must be a number >= 0 .*, got -1"),
    Mistake("no exposure", lambda: load_confounded_digits(n_exposures=0), "n_exposures must be a whole number >= 1, got 0"),
    # -- representation
    Mistake("Z with NaN", lambda: representation.rank_me(with_value(X, np.nan)), "Input Z contains NaN.* row 3, column 1"),
    Mistake("eps negative", lambda: representation.rank_me(X, eps=-1.0), "eps must be a number >= 0"),
    Mistake("spectrum of few rows", lambda: representation.spectral_exponent(X[:20]), "Z has 20 rows and 3 columns; a slope needs three ranks"),
    Mistake("moved to other columns", lambda: representation.invariance_score(X, X[:, :2]), r"Z and Z_moved must have the same shape, got \(40, 3\) and \(40, 2\)"),
    Mistake("moved with inf", lambda: representation.invariance_score(X, with_value(X, np.inf)), "Input Z_moved contains infinity"),
    Mistake("moves of other rows", lambda: representation.equivariance_score(X, X, Z[:-1]), "inconsistent numbers of samples: .*G has 39"),
    Mistake("entropy at no width", lambda: representation.diffusion_spectral_entropy(X, bandwidth=0.0), "bandwidth must be a number > 0"),
    Mistake("information of one class", lambda: representation.diffusion_information_test(X, np.zeros(40)), "labels"),
    Mistake("collapse of a lone row", lambda: representation.neural_collapse(X[:3], [0, 0, 1]), "class 1 has one row"),
    Mistake("code of a regressor", lambda: representation.prequential_code_length(iv(), X, Y), "estimator must have predict_proba, got IVLikeRegression", TypeError),
    Mistake("distortion negative", lambda: representation.OrthogonalAlignment(-0.1).fit(X, Z), "max_distortion must be a number >= 0, got -0.1"),
    Mistake("aligned to NaN", lambda: representation.OrthogonalAlignment().fit(X, with_value(Z, np.nan)), "Input y contains NaN"),
    Mistake("anchor beyond the rows", lambda: representation.RelativeRepresentation([0, 40]).fit(X), "anchors must be positions from 0 to 39"),
    Mistake("metric unknown", lambda: representation.RelativeRepresentation(metric="l1").fit(X), "metric must be one of .* got 'l1'"),
    Mistake("negative light", lambda: load_confounded_digits(brightness=-1.0), "brightness must be a number >= 0"),
]  # fmt: skip


@each(MISTAKES)
def test_mistake_raises_an_error_that_names_it(mistake):
    mistake.check()


def test_constant_outcome_is_legal_and_warned_about():
    with pytest.warns(DegenerateInputWarning, match="y is constant"):
        model = ivl().fit(X, np.full(40, 3.0))
    np.testing.assert_array_equal(model.coef_, 0.0)
    assert model.intercept_ == 3.0


def test_integer_and_single_precision_input_is_computed_in_double():
    base = iv(X=np.round(10 * X))
    np.testing.assert_array_equal(iv(X=np.round(10 * X).astype(int)).coef_, base.coef_)
    np.testing.assert_array_equal(iv(X=np.round(10 * X).astype(np.float32)).coef_, base.coef_)
