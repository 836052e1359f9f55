"""The figures of understanding_sam: what they show is what the claims and the notebook say."""

import numpy as np
import pytest

from limitpoint.views.figures import FIGURES


def series(ax):
    """The labelled lines of a panel: label to y values."""
    return {
        line.get_label(): np.asarray(line.get_ydata(), dtype=float)
        for line in ax.lines
        if not line.get_label().startswith("_")
    }


def test_the_potential_is_between_the_two_norms():
    norms = series(FIGURES["sam-5"](count=6).axes[1])
    l1, l2 = norms.values()
    assert l1[0] == pytest.approx(1, abs=1e-3)
    assert l2[-1] == pytest.approx(1, abs=1e-3)
    assert l1[-1] > 1.1
    assert l2[0] > 1.1


def test_figure_6_starts_and_ends_as_the_notebook():
    test, training = (series(ax) for ax in FIGURES["sam-6"](step=5).axes[:2])
    assert test["ERM"][-1] == pytest.approx(0.015056044189449159, rel=1e-10)
    assert test["n-SAM"][-1] == pytest.approx(0.0159820, abs=5e-8)
    assert test["1-SAM"][-1] < test["ERM"][-1] / 5
    assert max(loss[-1] for loss in training.values()) < 1e-4


def test_figure_7_has_a_function_for_each_start():
    panels = FIGURES["sam-7"](steps=30).axes
    assert len(panels) == 2
    for ax in panels:
        assert [len(line.get_xdata()) for line in ax.lines] == [800] * 5 + [12]


def test_figure_13_has_six_methods_and_erm_as_its_unit():
    expected, ratio, training = (series(ax) for ax in FIGURES["sam-13"](steps=200).axes)
    assert set(expected) == set(ratio) == set(training)
    assert len(expected) == 6
    assert (ratio["ERM"] == 1).all()


def test_figure_14_shows_where_n_sams_gain_comes_from():
    shown = series(FIGURES["sam-14"](count=4).axes[1])
    assert shown["n-SAM, $10/d$ (as run)"][0] == pytest.approx(0.0157566771, abs=5e-11)
    assert shown["n-SAM, $10/d$ (as run)"][0] < shown["ERM, $15/d$ (as run)"][0]
    for step in ("10/d", "15/d"):
        n_sam, erm = (
            next(y for label, y in shown.items() if label.startswith(f"{name}, ${step}$"))
            for name in ("n-SAM", "ERM")
        )
        assert (n_sam > erm[0]).all()


def test_figure_15_ends_where_the_notebook_does():
    test, _, line = (series(ax) for ax in FIGURES["sam-15"]().axes)
    assert test["ERM"][-1] == pytest.approx(0.0146023, abs=5e-8)
    assert test["ERM, then 1-SAM"][-1] == pytest.approx(1.4269e-4, abs=5e-9)
    assert test["1-SAM, then ERM"][-1] == pytest.approx(9.8348e-5, abs=5e-10)
    assert line["test loss"][100] == pytest.approx(0.0148656, abs=5e-8)
