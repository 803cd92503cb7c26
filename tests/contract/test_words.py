"""What is printed fits a terminal, begins with what the number is, and uses words that the glossary explains."""

import functools
import re
import warnings
from pathlib import Path

import pytest

from tests.contract.printed import LONG, SHORT, answers, fitted, others, templates
from tests.contract.subjects import SUBJECTS

GLOSSARY = (Path(__file__).parents[2] / "docs" / "glossary.md").read_text(encoding="utf-8")


def widest(text):
    return max(map(len, text.splitlines()))


@functools.cache
def told(name, names):
    """Answers of one subject."""
    subject = next(subject for subject in SUBJECTS if subject.name == name)
    return list(answers(fitted(subject, names)))


@functools.cache
def results():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return dict(others())


@functools.cache
def sentences():
    return list(templates())


#: Their tables hold no name of a feature: once is enough.
_NAMELESS = ("sensitivity", "f-divergence", "quantile", "manski", "rep4ex", "image", "relative", "alignment")
CASES = [(s.name, LONG) for s in SUBJECTS] + [(s.name, SHORT) for s in SUBJECTS if not s.name.startswith(_NAMELESS)]


@pytest.mark.parametrize(("subject", "names"), CASES, ids=[f"{n}-{'long' if k == LONG else 'short'}" for n, k in CASES])
def test_no_answer_is_wider_than_eighty_columns_and_all_say_what_they_rest_on(subject, names, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    for name, answer in told(subject, names):
        text = str(answer)
        assert widest(text) <= 80, f"{name}\n{text}"
        assert repr(answer) == text
        assert "\nAssumption: " in text, name
        assert len(text.split("\n", 1)[0].split()) >= 2, name


def test_other_results_fit_too(monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    assert len(results()) > 20
    for name, answer in results().items():
        assert widest(str(answer)) <= 80, name
    certificate = results()["certify, two_level, eps=0.5"]
    assert widest(certificate.explain(noun="hospital with a very long description of what it is")) <= 80


#: Labels that a textbook explains.
ORDINARY = {
    "coef", "coefficient", "confidence_level", "count", "df", "effective_rank", "environment", "environments",
    "error", "estimate", "f", "feature", "features", "intercept", "intervention", "k", "largest", "least_squares",
    "least_squares_on_all", "lower", "mean", "mean_x1", "mean_x2", "mean_y", "meaning", "n", "node", "noise_sd",
    "p", "parents", "pvalue", "role", "rows", "s.e.", "sd", "sd_x1", "sd_x2", "sd_y", "se", "smallest",
    "standard_error", "statistic", "std_error", "the_same,_fitted_elsewhere", "upper", "value", "weight",
    "what_it_is", "width",
}  # fmt: skip

#: Nouns of this house that printed sentences use.
TERMS = (
    "accepted set", "action", "arm", "augmentation", "baseline", "cell", "certificate", "component", "direction",
    "effective dimension", "effective number", "encoder", "environment", "f-ball", "gap",
    "intervention", "kappa", "law", "minimax", "neutral rule", "odds ratio", "overlap", "plug_in", "pose",
    "reaction", "relative excess", "representation", "risk", "rule", "shell", "site", "state",
    "strength", "support", "violation",
)  # fmt: skip


def entries():
    """Head words of the glossary; what stands in parentheses says which of several meanings."""
    heads = re.findall(r"^(.+)\n: ", GLOSSARY, flags=re.MULTILINE)
    return {re.sub(r" \(.*\)", "", word).strip().lower() for head in heads for word in head.split(",")}


def test_the_glossary_has_every_label_and_every_noun_of_the_house():
    known = entries()
    printed = [answer for subject in SUBJECTS for _, answer in told(subject.name, LONG)]
    tables = [answer.summary().table for answer in (*printed, *results().values())]
    data = {*LONG, *[f"{kind}{j}" for kind in "xca" for j in range(4)], "y", "flip", "none", *map(str.lower, results())}
    labels = {str(name).lower() for table in tables for axis in table.axes for name in (*axis.names, *axis)}
    unknown = {
        label
        for label in labels - data - known
        if not label.replace(".", "").isdigit()
        and label.replace(" ", "_") not in ORDINARY
        and not {label.replace("_", " "), *label.split(", ")} & known
    }
    assert not unknown, f"no entry in docs/glossary.md: {sorted(unknown)}"
    said = " ".join(text for _, kind, text in sentences() if kind != "error").lower()
    for term in TERMS:
        assert term in said, f"{term!r} is not printed: take it from the list"
        assert term in known, f"{term!r} has no entry in docs/glossary.md"


def test_the_page_of_words_holds_answers_and_templates():
    kinds = {kind for _, kind, _ in sentences()}
    assert kinds == {"error", "warning", "text"}
    assert any("looks broken" in text for _, kind, text in sentences() if kind == "warning")
