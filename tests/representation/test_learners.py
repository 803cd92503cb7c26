"""Code length against Krichevsky and Trofimov's redundancy; the certificate against a linear classifier's margin."""

import numpy as np
import pytest
from scipy.special import gammaln, ndtr
from scipy.stats import beta, binom, norm
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.linear_model import LogisticRegression

from causalinv.representation import prequential_code_length, smoothing_certificate


class KrichevskyTrofimov(ClassifierMixin, BaseEstimator):
    """Counts plus one half; it knows both classes of a coin."""

    def fit(self, X, y):
        self.classes_ = np.array([0, 1])
        self.shares_ = (np.bincount(y, minlength=2) + 0.5) / (len(y) + 1.0)
        return self

    def predict_proba(self, X):
        return np.tile(self.shares_, (len(X), 1))


def test_the_code_of_a_coin_has_the_redundancy_of_its_closed_form():
    """Row by row, the code length of k heads in n is -log2 of Γ(k+½)Γ(n-k+½) / (π Γ(n+1)).

    Ours differs where the first two labels are coded by the uniform law (both do) and where one class alone was seen.
    """
    y = np.r_[0, 1, np.random.default_rng(0).integers(0, 2, 198)]
    n, k = len(y), int(y.sum())
    found = prequential_code_length(KrichevskyTrofimov(), np.zeros((n, 1)), y, blocks=range(1, n))
    closed = -(gammaln(k + 0.5) + gammaln(n - k + 0.5) - np.log(np.pi) - gammaln(n + 1)) / np.log(2)
    first = -np.log2(1 / 2) - -np.log2(1 / 4)  # the second label: Laplace's rule here (1/2), KT (1/4)
    assert found.estimate == pytest.approx(closed + first)
    redundancy = closed + n * (k / n * np.log2(k / n) + (1 - k / n) * np.log2(1 - k / n))
    assert redundancy == pytest.approx(0.5 * np.log2(n) + 0.5 * np.log2(np.pi / 2), abs=0.02)


def test_structure_shortens_the_code_and_noise_does_not():
    rng = np.random.default_rng(1)
    X = rng.normal(size=(320, 2))
    y = np.where(X[:, 0] > 0, "b", "a")
    told = prequential_code_length(LogisticRegression(), X, y).to_frame()["estimate"]
    noise = prequential_code_length(LogisticRegression(), X, rng.permutation(y)).to_frame()["estimate"]
    assert told["total"] < 0.5 * told["uniform"] < 0.5 * noise["total"]
    assert told["uniform"] == pytest.approx(320.0)
    assert told["total"] == pytest.approx(told["residual"] + told["structure"])


def test_classes_not_yet_seen_cost_what_laplace_says():
    y = np.array([0, 0, 0, 1])
    found = prequential_code_length(LogisticRegression(), np.zeros((4, 1)), y, blocks=[1, 2, 3])
    assert found.to_frame()["estimate"]["residual"] == pytest.approx(4 * 2.0)  # four rows at the last block's two bits
    assert found.estimate == pytest.approx(1 - np.log2(1 / 2) - np.log2(2 / 3) - np.log2(1 / 4))


def test_code_length_refuses_wrong_blocks_and_learners():
    X, y = np.zeros((6, 1)), [0, 1, 0, 1, 0, 1]
    for blocks in ([2, 2], [6], [], [0, 3]):
        with pytest.raises(ValueError, match="blocks"):
            prequential_code_length(KrichevskyTrofimov(), X, y, blocks=blocks)
    with pytest.raises(TypeError, match="predict_proba"):
        prequential_code_length(object(), X, y)


class Half:
    """Answers with the side of a plane at distance 0 from the origin along the first axis."""

    def predict(self, X):
        return np.where(X[:, 0] > 0, "right", "left")


def test_the_radius_is_below_a_linear_margin_as_often_as_said():
    rows = np.column_stack([np.random.default_rng(0).normal(size=300), np.zeros(300)])
    found = smoothing_certificate(Half(), rows, scale=1.0, n_draws=200, confidence_level=0.95, random_state=0)
    table = found.to_frame()
    margin = np.abs(rows[:, 0])
    wrong = np.mean(
        (table["estimate"] > margin) | ((table["label"] == "right") != (rows[:, 0] > 0)) & (table["estimate"] > 0)
    )
    assert wrong <= 0.05 + 4 * np.sqrt(0.05 * 0.95 / 300)
    far = (margin > 0.5) & (margin < 1.5)
    assert np.median(table["estimate"][far] / margin[far]) > 0.7


def test_the_bound_is_clopper_and_pearsons_and_the_radius_its_quantile():
    rows = np.array([[0.7, 0.0], [8.0, 0.0]])
    table = smoothing_certificate(Half(), rows, scale=2.0, n_draws=500, random_state=1).to_frame()
    np.testing.assert_allclose(table["estimate"], 2.0 * np.array([norm.ppf(p) for p in table["probability_lower"]]))
    assert table["probability_lower"].iloc[1] == pytest.approx(0.001 ** (1 / 500))
    hits = np.arange(500)
    candidates = beta.ppf(0.001, hits[1:], 500 - hits[1:] + 1)
    assert np.abs(candidates - table["probability_lower"].iloc[0]).min() < 1e-12
    assert table["probability_lower"].iloc[0] == pytest.approx(ndtr(0.35), abs=0.12)


def test_the_class_is_chosen_by_other_draws_than_its_bound():
    """At the border both classes are as likely. Of 100 draws 57 certify, by chance .097; of the more frequent, .19."""
    found = smoothing_certificate(
        Half(), np.zeros((600, 2)), scale=1.0, n_draws=100, n_selection=11, confidence_level=0.9, random_state=0
    )
    assert binom.sf(56, 100, 0.5) == pytest.approx(0.0967, abs=1e-4)
    assert np.mean(found.estimate > 0) == pytest.approx(0.0967, abs=4 * np.sqrt(0.0967 * 0.9033 / 600))


def test_nothing_is_certified_at_the_border_and_order_of_rows_keeps_the_noise():
    rows = np.zeros((3, 2))
    found = smoothing_certificate(Half(), rows, scale=1.0, n_draws=50, random_state=0)
    assert not found.estimate.any()
    assert "3 of 3" in str(found)
    more = smoothing_certificate(Half(), np.ones((4, 2)), scale=1.0, n_draws=50, random_state=0).estimate
    assert list(smoothing_certificate(Half(), np.ones((2, 2)), scale=1.0, n_draws=50, random_state=0).estimate) == list(
        more[:2]
    )
    with pytest.raises(ValueError, match="scale"):
        smoothing_certificate(Half(), rows, scale=0.0)
