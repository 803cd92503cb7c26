"""Every sentence that the package prints, in one file: ``python -m tests.contract.printed words.md``.

The first part is what the subjects print once they are fitted: summaries, and whatever else a method answers. The
second is every sentence in the sources (warnings, notes, labels of displays), with ``{…}`` where a value goes.
"""

from __future__ import annotations

import ast
import inspect
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from sklearn.linear_model import LinearRegression

import causalinv
from causalinv import HierarchicalConformalRegressor, InvariantRepresentation, IVLikeRegression
from causalinv import representation as measures
from causalinv._printing import Printed
from causalinv.invariance import certify, next_environment_risk
from causalinv.sem import InterventionFamily, textbook_sem
from tests.contract.subjects import SUBJECTS, Subject, of_kind

SHORT = ("a", "b", "c", "d")
LONG = tuple(f"{name} of every person who was asked twice, in thousands per year" for name in SHORT)
_NOT_ASKED = ("fit", "get_", "set_", "score", "transform", "predict", "inverse_", "bootstrap", "partial_", "decision_")
_CHEAP = {"n_bootstrap": 2, "n_draws": 100, "random_state": 0}


def fitted(subject: Subject, names: tuple[str, ...]) -> Any:
    """The subject fitted to a frame with these names, its warnings left aside."""
    data = of_kind("continuous")
    data |= {key: pd.DataFrame(data[key], columns=list(names)) for key in ("X", "new")}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return subject.fit(data | {"y": pd.Series(data["y"], name=names[-1] + " (outcome)")})


def answers(model: Any) -> Iterator[tuple[str, Any]]:
    """What every method that needs no more than known arguments answers, where that prints itself."""
    data = of_kind("continuous")
    known = {"level": 0.1, "confidence_level": 0.9, "arm": 1, "control": 0, "estimand": "ate", "noun": "hospital"}
    known |= {"X": pd.DataFrame(data["new"], columns=model.feature_names_in_), "odds_ratio": 2.0, "actions": [[0, 0.0]]}
    for name in dir(type(model)):
        method = getattr(type(model), name, None)
        if name.startswith(("_", *_NOT_ASKED)) or not callable(method):
            continue
        parameters = list(inspect.signature(method).parameters.values())[1:]
        given = {p.name: known[p.name] for p in parameters if p.default is p.empty and p.name in known}
        given |= {p.name: _CHEAP[p.name] for p in parameters if p.name in _CHEAP}
        if any(p.default is p.empty and p.name not in known and p.kind < p.VAR_KEYWORD for p in parameters):
            continue
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                answer = getattr(model, name)(**given)
            except (ValueError, AttributeError):  # not for this fit, which says why
                continue
        if isinstance(answer, Printed):
            yield name, answer


def others() -> Iterator[tuple[str, Any]]:
    """What prints itself and is no method's answer: certificates, models, moments, measures of a representation."""
    sem = textbook_sem("chain")
    family = InterventionFamily(["x2"], kind="variance")
    seen = family.environments(sem, 6, baseline=True, random_state=0)
    rule = (np.eye(2), np.array([1.0, 0.0]), 0.0)
    X, y, labels = seen.sample(60, random_state=1)
    for eps in (1e-3, 0.5):
        yield f"certify, holdout, eps={eps:g}", certify(rule, seen.moments(), eps=eps, method="holdout")
        yield (
            f"certify, two_level, eps={eps:g}",
            certify(rule, X, y, environments=labels, eps=eps, method="two_level"),
        )
    plugged = certify(rule, X, y, environments=labels, eps=0.5, method="holdout", plug_in=True)
    yield "certify, plug_in", plugged
    line = LinearRegression().fit(X, y)
    yield "next_environment_risk", next_environment_risk(line, X + 0.01, y, environments=labels)
    conformal = HierarchicalConformalRegressor(LinearRegression(), random_state=0)
    yield "conformal", conformal.fit(X, y, environments=labels).summary()
    yield "LinearSEM", sem
    yield "EnvironmentSet", seen
    yield "Moments", seen.moments()
    yield "PopulationRegression", sem.regress(sem.target, ["x1", "x2"])
    data = of_kind("continuous")
    environments = {"environments": data["environments"]}
    neutral = InvariantRepresentation().fit(data["X"], data["y"], **environments)
    yield "inference", neutral.inference(data["X"], data["y"], **environments)
    model = IVLikeRegression(0).fit(data["X"][:, :1], data["y"], instruments=data["instruments"])
    yield "path_", model.path_
    yield "weak_instrument_set", model.weak_instrument_set()
    yield "overidentification_test", model.overidentification_test()
    yield "two-stage least squares", model.summary()
    yield "bootstrap", model.bootstrap(3, random_state=0)
    Z, moved = data["X"], data["X"] + 0.1
    yield "invariance_score", measures.invariance_score(Z, moved)
    yield "equivariance_score", measures.equivariance_score(Z, moved, data["instruments"])
    yield "effective_rank", measures.effective_rank(Z)
    yield "rank_me", measures.rank_me(Z)
    yield "participation_ratio", measures.participation_ratio(Z)
    yield "diffusion_spectral_entropy", measures.diffusion_spectral_entropy(Z)
    yield "neural_collapse", measures.neural_collapse(Z, data["environments"])
    yield "condition_number", measures.condition_number(np.cov(Z.T))


def templates() -> Iterator[tuple[str, str, str]]:
    """Module, kind (warning, error or text) and sentence of every string of three words in the sources."""
    root = Path(causalinv.__file__).parent
    for path in sorted(root.rglob("*.py")):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        kinds: dict[ast.AST, str] = {}
        for node in ast.walk(tree):
            if isinstance(node, ast.Raise) or (isinstance(node, ast.Call) and _called(node).endswith("Error")):
                kinds |= dict.fromkeys(ast.walk(node), "error")
            elif isinstance(node, ast.Call) and _called(node) in ("warn", "again"):
                kinds |= dict.fromkeys(ast.walk(node), "warning")
            elif isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
                kinds[node.value] = "docstring"
            elif isinstance(node, ast.JoinedStr):
                kinds |= dict.fromkeys(ast.iter_child_nodes(node), "part")
        for node in ast.walk(tree):
            text = _sentence(node)
            if len(text.split()) > 2 and kinds.get(node, "text") not in ("docstring", "part"):
                yield str(path.relative_to(root)), kinds.get(node, "text"), text


def _called(node: ast.Call) -> str:
    return getattr(node.func, "id", getattr(node.func, "attr", ""))


def _sentence(node: ast.AST) -> str:
    if isinstance(node, ast.JoinedStr):
        return "".join(_sentence(part) if isinstance(part, ast.Constant) else "{…}" for part in node.values)
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else ""


def page() -> str:
    """The whole file."""
    lines = ["# Every sentence that causalinv prints", "", "## As the subjects print it", ""]
    for subject in SUBJECTS:
        model = fitted(subject, SHORT)
        for name, answer in answers(model):
            lines += [f"### {subject.name}: {name}", "", "```text", str(answer), "```", ""]
    lines += ["## Other results", ""]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for name, answer in others():
            lines += [f"### {name}", "", "```text", str(answer), "```", ""]
    lines += ["## As it stands in the sources", ""]
    module = ""
    for path, kind, text in templates():
        if path != module:
            lines += ["", f"### {path}", ""]
            module = path
        lines.append(f"- {kind}: {' '.join(text.split())}")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    np.set_printoptions(precision=4)
    Path(sys.argv[1]).write_text(page(), encoding="utf-8")
