"""Runs that are larger than memory: records in a mapped file, problems a few at a time."""

import sys

import numpy as np
import pytest
import torch
from bench.workloads import WORKLOADS

from limitpoint import UsageError, optimizers, problems, run
from limitpoint.engines import integrands
from limitpoint.engines.checkpoints import Checkpoint
from limitpoint.optimizers import Stochastic
from limitpoint.subjects import Subject

STEPS = 40


@pytest.fixture
def little_room(monkeypatch):
    """Two problems at a time."""
    # The package's `execute` is the function of that module.
    module = sys.modules["limitpoint.engines.cpu.execute"]
    monkeypatch.setattr(module, "ROOM", 1)
    monkeypatch.setattr(module, "threads", lambda: 2)


def check_same(here, there):
    assert torch.equal(here.w, there.w)
    assert here.integrals.keys() == there.integrals.keys()
    for name, sums in here.integrals.items():
        assert torch.equal(sums, there.integrals[name])


def draws(rule):
    """The rule on one example a step."""
    return Stochastic(rule, seed=1)


@pytest.mark.parametrize("around", [lambda rule: rule, draws], ids=["all", "stochastic"])
@pytest.mark.parametrize("name", ["1-SAM", "Adam", "GD"])
def test_a_few_problems_at_a_time_end_where_all_do(name, around, request, tmp_path):
    """Each with data of its own; bit by bit, integrals too, and what is kept is the file."""
    workload = WORKLOADS[name]
    problem, rule = workload.batch(5), around(workload.rule)
    sums = {"loss": integrands.Loss(problem)}
    whole = run(problem, rule, STEPS, engine="fused", integrals=sums)
    request.getfixturevalue("little_room")
    found = run(problem, rule, STEPS, engine="fused", integrals=sums, store=tmp_path / "new")
    check_same(whole, found)
    kept = np.load(tmp_path / "new" / "w.npy", mmap_mode="r")
    assert np.array_equal(kept, whole.w.numpy())


def test_settings_and_progress_are_of_the_whole(request):
    """Shared data, a step size and a radius for each problem."""
    problem, count = problems.sparse_regression(0), 7
    eta = torch.linspace(0.001, 0.01, count, dtype=torch.float64).reshape(count, 1, 1)
    rule = optimizers.OneSAM(eta, rho=2 * eta)
    start, seen = problem.start.expand(count, *problem.start.shape), []
    whole = run(problem, rule, STEPS, start=start, engine="fused")
    request.getfixturevalue("little_room")
    found = run(
        problem, rule, STEPS, start=start, engine="fused", watch=lambda t, last: seen.append(t)
    )
    check_same(whole, found)
    assert seen == sorted(seen)
    assert seen[-1] == STEPS


def test_the_definition_writes_there_too(tmp_path):
    problem, rule = problems.sparse_regression(0), optimizers.GD(0.01)
    here = run(problem, rule, STEPS, engine="torch")
    check_same(here, run(problem, rule, STEPS, engine="torch", store=tmp_path))
    assert np.array_equal(np.load(tmp_path / "w.npy"), here.w.numpy())


def test_what_cannot_be_mapped_is_said(tmp_path):
    problem = problems.sparse_regression(0)
    adam = Subject.from_object("adam", torch.optim.Adam, lr=0.01).rule()
    with pytest.raises(UsageError, match="another device or process"):
        run(problem, adam, 1, store=tmp_path)
    kept = Checkpoint(tmp_path / "state")
    with pytest.raises(UsageError, match="a store or a checkpoint"):
        run(problem, optimizers.GD(0.01), 1, store=tmp_path, checkpoint=kept)
