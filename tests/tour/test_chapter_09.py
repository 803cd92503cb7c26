"""The chapter on representations keeps its claim."""

import numpy as np


def test_a_reader_reads_a_turned_space_by_anchors_and_by_alignment(chapter):
    found = chapter(9)
    own, other, relative, turned = found.table["accuracy"].to_numpy()
    assert own > 0.88
    assert other < 0.4
    assert min(relative, turned) > 0.75
    assert np.isfinite(found.table.to_numpy()).all()
    assert "not invariant to shifts" in found.claim
