"""The engine: recording, integrals, batches, what it refuses."""

import numpy as np
import pytest
import torch

from limitpoint import StepSize, SubjectFailed, UsageError, problems, run, stack
from limitpoint.engines import definition
from limitpoint.engines.trajectory import log_grid
from limitpoint.optimizers import GD, Adam, OneSAM


def test_log_grid_has_both_ends_and_no_repeats():
    grid = log_grid(12345)
    assert grid[0] == 0
    assert grid[-1] == 12345
    assert (np.diff(grid) > 0).all()
    assert list(log_grid(0)) == [0]


def test_records_the_iterates_that_a_plain_loop_visits():
    problem = problems.gaussian_regression(0)
    w, seen = problem.start.clone(), []
    for _ in range(7):
        seen.append(w)
        w = w - 0.01 * problem.X.T @ (problem.X @ w - problem.y)
    found = run(problem, GD(0.01), 6, record=range(7))
    torch.testing.assert_close(found.w, torch.stack(seen), rtol=1e-14, atol=1e-14)


def test_integrals_are_weighted_by_the_step_size_of_the_step_they_precede():
    problem = problems.gaussian_regression(0)
    schedule = StepSize(0.01, 0.5)
    found = run(problem, GD(schedule), 3, record=range(4), integrals={"loss": problem.value})
    values, steps = problem.value(found.w), [schedule.at(t) for t in range(3)]
    expected = [sum(steps[i] * float(values[i]) for i in range(t)) for t in range(4)]
    assert found.integrals["loss"].tolist() == pytest.approx(expected, rel=1e-14)
    assert found.integrals["step_size"].tolist() == pytest.approx(
        [sum(steps[:t]) for t in range(4)]
    )


def test_a_batch_is_the_problems_one_by_one():
    singles = [problems.sparse_regression(seed, n=4, d=6) for seed in range(3)]
    rho = torch.tensor([0.0, 0.01, 0.02], dtype=torch.float64)
    batch = run(stack(singles), OneSAM(0.05, rho=rho.reshape(3, 1, 1)), 50).final
    alone = [
        run(p, OneSAM(0.05, rho=float(r)), 50).final for p, r in zip(singles, rho, strict=True)
    ]
    torch.testing.assert_close(batch, torch.stack(alone), rtol=1e-12, atol=1e-14)


def test_a_batch_of_schedules_is_the_schedules_one_by_one():
    problem = problems.clusters(0, k=3, d=4, per_class=3)
    decays = torch.tensor([0.5, 2 / 3], dtype=torch.float64).reshape(2, 1, 1)
    batch = run(stack([problem] * 2), Adam(StepSize(0.1, decays), beta2=0.95), 60)
    for index, decay in enumerate(decays.flatten().tolist()):
        alone = run(problem, Adam(StepSize(0.1, decay), beta2=0.95), 60)
        torch.testing.assert_close(batch.final[index], alone.final, rtol=1e-11, atol=1e-13)


def test_does_not_depend_on_the_number_of_threads():
    problem = problems.clusters(0)
    found = []
    for threads in (1, 2):
        torch.set_num_threads(threads)
        found.append(run(problem, Adam(0.1), 50).final)
    assert torch.equal(*found)


def test_a_divergent_run_fails_with_the_step():
    with pytest.raises(SubjectFailed, match=r"at step \d+"):
        run(problems.gaussian_regression(0), GD(10.0), 5000)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"engine": "warp"}, "unknown engine 'warp'"),
        ({"device": "tpu"}, "unknown device 'tpu'"),
        ({"record": [11]}, "recorded steps must lie in 0..10"),
        ({"record": []}, "recorded steps must lie in 0..10"),
    ],
)
def test_wrong_usage_is_one_line(options, message):
    with pytest.raises(UsageError, match=message):
        run(problems.gaussian_regression(0), GD(0.01), 10, **options)


def test_an_objective_needs_a_start():
    with pytest.raises(UsageError, match="pass start="):
        run(problems.sine_valley(), GD(0.01), 10)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device here: not verified")
def test_cuda_runs_the_same_trajectory():
    problem = problems.clusters(0)
    here, there = (run(problem, Adam(0.1), 100, device=d).final.cpu() for d in ("cpu", "cuda"))
    torch.testing.assert_close(here, there, rtol=1e-10, atol=1e-12)


def test_gradients_are_on_between_the_steps_of_a_run():
    problem = problems.gaussian_regression(42)
    steps = definition.iterates(GD(0.01), problem, problem.start, 2)
    next(steps)
    assert torch.is_grad_enabled()
    next(steps)
    assert torch.is_grad_enabled()
