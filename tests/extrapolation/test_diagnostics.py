"""What the diagnostics and the support say at their thresholds."""

import numpy as np
import pytest

from causalinv.extrapolation._support import status
from causalinv.results import ExtrapolationDiagnostics

GOOD = {
    "linearity_pvalue": 0.4,
    "residual_pvalue": 0.4,
    "precision_gap": 0.01,
    "noise_evidence": 0.2,
    "n_noise_components": 1.0,
    "singular_values": (1.0, 0.9),
    "effective_rank": 1.99,
    "do_consistency": 0.1,
    "shell_error": 0.1,
    "shell_action_only": 0.5,
    "conditional_score": 1.0,
}


def doubted(**changes):
    frame = ExtrapolationDiagnostics(**(GOOD | changes)).to_frame()
    return list(frame.index[frame["doubt"]])


@pytest.mark.parametrize(
    ("name", "fine", "doubtful"),
    [
        ("linearity_pvalue", 0.06, 0.04),
        ("residual_pvalue", 0.06, 0.04),
        ("noise_evidence", 0.95, 1.05),
        ("n_noise_components", 1.0, 3.0),
        ("effective_rank", 1.45, 1.35),
        ("do_consistency", 0.28, 0.32),
        ("shell_error", 0.45, 0.55),
        ("conditional_score", 0.01, 0.0),
    ],
)
def test_each_check_doubts_beyond_its_threshold_and_only_there(name, fine, doubtful):
    others = {"shell_action_only": 0.9} if name == "shell_error" else {}
    assert doubted(**{name: fine}, **others) == []
    assert doubted(**{name: doubtful}, **others) == [name]


def test_an_extrapolation_worse_than_a_polynomial_is_doubted():
    assert doubted(shell_error=0.3, shell_action_only=0.2) == ["shell_error"]


def test_the_note_says_that_no_doubt_is_no_proof_and_only_without_doubts():
    text = " ".join(str(ExtrapolationDiagnostics(**GOOD)).split())
    assert "no check gives a reason to doubt; that is no proof" in text
    text = " ".join(str(ExtrapolationDiagnostics(**(GOOD | {"residual_pvalue": 0.01}))).split())
    assert "no check gives" not in text
    assert "residuals of the representation depend on the action" in text


def test_support_is_named_at_its_documented_thresholds():
    share = np.array([0.81, 0.79, 0.21, 0.19, 0.0])
    said = status(np.array([False, False, False, False, True]), share)
    assert list(said) == ["supported", "partial", "partial", "unsupported", "tried"]
