"""The deep figures: each is there, and shows what the claims say, with two runs a method."""

import numpy as np
import pytest

from limitpoint.views.figures import FIGURES

pytest.importorskip("mlxtend")
pytestmark = pytest.mark.nightly
DEEP = (1, 2, 3, 4, 8, 9, 10, 11, 12, 16, 17, 18, 19, 20, 21, 22)


def series(ax):
    """The labelled lines of a panel: label to y values."""
    return {
        line.get_label(): np.asarray(line.get_ydata(), dtype=float)
        for line in ax.lines
        if not line.get_label().startswith("_")
    }


def test_every_deep_figure_of_the_paper_is_there():
    assert {f"sam-{number}" for number in DEEP} <= set(FIGURES)
    assert "minor-first-5" in FIGURES


def test_figure_3_grows_with_m():
    for ax in FIGURES["sam-3"](sizes=(20, 300), runs=2).axes:
        small, large = series(ax)["ERM"]
        assert 1 <= small < large


def test_figure_8_has_the_methods_at_its_ends():
    left, right = (series(ax) for ax in FIGURES["sam-8"](shares=(0, 1), runs=2).axes)
    assert left["SAM → ERM"][0] == right["ERM → SAM"][1]  # both are ERM all along


def test_figure_10_has_no_barrier_and_a_control_that_has_one():
    loss = series(FIGURES["sam-10"](runs=2).axes[0])
    switched, other = loss.values()
    between = slice(12, 33)  # from 0 to 1
    assert switched[between].max() <= switched[between][[0, -1]].max() * (1 + 1e-6)
    assert other[between].max() > 0.1


def test_figure_12_fits_the_noise_in_the_end():
    axes = FIGURES["sam-12"](runs=2).axes
    for error, unfitted in (axes[:2], axes[2:]):
        assert series(unfitted)["ERM"][-1] < 1
        assert series(error)["1-SAM"].min() < series(error)["ERM"].min()


def test_figure_19_is_larger_by_training_time_statistics():
    for ax in FIGURES["sam-19"](steps=(100, 200), runs=2).axes:
        shown = series(ax)
        assert (shown["training-time statistics"] > shown["test-time statistics"]).all()


def test_the_picture_of_two_digits_rises_and_falls():
    pytest.importorskip("captum")
    share = series(FIGURES["minor-first-5"](runs=2).axes[0])
    assert share["SAM"].max() > share["SAM"][0] + 0.01
    assert share["GD"].argmax() == 0
