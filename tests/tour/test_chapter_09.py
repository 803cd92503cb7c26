"""The chapter on representations keeps its claim."""

from importlib import import_module

import numpy as np


def test_a_reader_reads_a_turned_space_by_anchors_and_by_alignment():
    chapter = import_module("causalinv.tour.chapter_09").run(0, None)
    own, other, relative, turned = chapter.table["accuracy"].to_numpy()
    assert own > 0.88
    assert other < 0.4
    assert min(relative, turned) > 0.75
    assert np.isfinite(chapter.table.to_numpy()).all()
    assert "not invariant to shifts" in chapter.claim
