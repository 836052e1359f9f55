"""Table 1: the printed rows, the measured frame, and the option that brings CIFAR-10."""

import numpy as np
import pytest
import torch
from torch.autograd.functional import hessian

from limitpoint import measures, problems
from limitpoint.figures import FIGURES
from limitpoint.problems.images import spectral_images
from limitpoint.table1 import COLUMNS, INDEX, NOISE, printed, table_1


@pytest.fixture(scope="module")
def tasks():
    images = spectral_images(0, classes=3, per_class=8)
    return {"binary": images.task(2, 8, seed=0), "multiclass": images.task(3, 8, seed=0)}


def test_the_printed_table_is_whole():
    table = printed()
    assert table.shape == (12, len(COLUMNS))
    assert table.index.names == list(INDEX)
    assert table.index.is_unique
    assert table.loc[("multiclass", "USAM(0.1)", "random"), "trace"] == 164.26


def test_the_measured_table_has_the_printed_rows_and_more_columns(tasks):
    table = table_1(tasks, steps=20)
    assert table.index.equals(printed().index)
    assert set(COLUMNS) < set(table.columns)
    assert np.isfinite(table.to_numpy()).all()
    assert (table.xs("GD", level="optimizer")["from_first"] == 0).all()
    zero = table.xs("0", level="start")
    assert (zero["norm"] == zero["distance"]).all()
    assert (table["sensitivity_std"] > 0).all()


def test_the_table_is_seeded(tasks):
    first, again, other = (table_1(tasks, steps=5, seed=seed) for seed in (1, 1, 2))
    assert first.equals(again)
    assert not first.equals(other)


def test_sensitivity_is_the_gradients_length_over_the_root_of_the_dimension(tasks):
    train, _ = tasks["binary"]
    table = table_1({"binary": tasks["binary"]}, steps=0)
    slope = float(train.grad(train.start).tensor().norm())
    expected = NOISE * slope / train.start.numel() ** 0.5
    assert table["sensitivity_std"].iloc[0] == pytest.approx(expected, rel=0.3)


def test_hessian_trace_is_autograds():
    problem = problems.clusters(0, k=3, d=4, per_class=3)
    w = torch.randn(2, 3, 4, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    for one, trace in zip(w, measures.hessian_trace(problem, w), strict=True):
        full = hessian(problem.value, one).reshape(12, 12)
        assert float(trace) == pytest.approx(float(full.trace()), rel=1e-12)
    with pytest.raises(TypeError, match="no trace"):
        measures.hessian_trace(problems.one_equation(), w)


def test_a_batch_of_parameters_shares_the_data(tasks):
    train, _ = tasks["multiclass"]
    w = torch.randn(2, 5, 3, 1024, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    values, slopes = train.value(w), train.grad(w).tensor()
    for i in range(2):
        for j in range(5):
            assert torch.allclose(values[i, j], train.value(w[i, j]), rtol=1e-13)
            assert torch.allclose(slopes[i, j], train.grad(w[i, j]).tensor(), rtol=0, atol=1e-12)


def test_the_figures_are_drawn():
    assert len(FIGURES["usam-1"]().axes) == 2
    assert len(FIGURES["usam-table-1"](per_class=2, steps=2).axes) == 6


def test_a_wrong_path_to_cifar10_is_wrong_usage(pytester):
    pytester.makepyfile("def test_nothing(): pass")
    result = pytester.runpytest_subprocess("--cifar10", "nowhere")
    assert result.ret == 2
    result.stderr.fnmatch_lines(["*nowhere: no such file or folder*"])
