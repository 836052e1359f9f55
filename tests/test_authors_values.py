"""A value that the authors of understanding_sam print, through the public API alone."""

import pytest

from limitpoint import optimizers, problems, run


def test_gd_ends_at_the_test_loss_that_the_authors_print():
    train, test = problems.authors_sparse_regression(u=0.1)  # their notebook's problem, seed 0
    gd = optimizers.GD(step_size=5 / 30)  # gamma = 5 / d

    found = run(train, gd, steps=10_001)

    printed = 0.015056044189449159
    assert float(test.value(found.final)) == pytest.approx(printed, rel=1e-12)
