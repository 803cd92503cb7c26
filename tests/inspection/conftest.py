"""Displays are drawn without a screen, and every figure is closed after its test."""

import matplotlib as mpl
import pytest


@pytest.fixture(autouse=True)
def without_a_screen():
    mpl.use("Agg")
    yield
    import matplotlib.pyplot as plt

    plt.close("all")
