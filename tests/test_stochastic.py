from dataclasses import replace

import pytest
import torch

from limitpoint import losses, optimizers, problems, run, stack
from limitpoint.engines import directions
from limitpoint.optimizers import OneExample, Stochastic
from limitpoint.subjects import Subject, _torch


def problem():
    return problems.sparse_regression(3, n=4, d=6, alpha=0.3)


def example(whole, i):
    return replace(whole, X=whole.X[i : i + 1], y=whole.y[i : i + 1])


def first_steps(rule, *, ascent_on_all=False):
    """First iterates under many seeds: one for each example, sooner or later."""
    return torch.stack(
        [
            run(problem(), Stochastic(rule, seed, ascent_on_all=ascent_on_all), 1).final
            for seed in range(40)
        ]
    )


def test_a_step_is_the_rules_step_on_one_example():
    whole = problem()
    for rule in (
        optimizers.GD(0.1),
        optimizers.NSAM(0.1, rho=0.5),
        optimizers.OneSAM(0.1, rho=0.5),
    ):
        alone = torch.stack([run(example(whole, i), rule, 1).final for i in range(4)])
        distance = (first_steps(rule)[:, None] - alone[None]).abs().amax((-2, -1))
        assert float(distance.amin(1).max()) < 1e-15
        assert sorted(distance.argmin(1).unique().tolist()) == [0, 1, 2, 3]


def test_sgd_steps_are_gd_in_the_mean_over_the_examples():
    whole, rule = problem(), optimizers.GD(0.1)
    alone = torch.stack([run(example(whole, i), rule, 1).final for i in range(4)])
    torch.testing.assert_close(alone.mean(0), run(whole, rule, 1).final, rtol=0, atol=1e-15)


def test_ascent_on_all_descends_on_one_example_from_the_whole_batchs_perturbation():
    whole, rule = problem(), optimizers.NSAM(0.1, rho=0.5)
    perturbed = rule.perturbed(whole, whole.start)
    steps = torch.stack([whole.start - 0.1 * example(whole, i).grad(perturbed) for i in range(4)])
    distance = (first_steps(rule, ascent_on_all=True)[:, None] - steps[None]).abs().amax((-2, -1))
    assert float(distance.amin(1).max()) < 1e-15


def test_runs_repeat_and_depend_on_the_seed():
    rule = optimizers.GD(0.1)
    again, first = (run(problem(), Stochastic(rule, 7), 50).final for _ in range(2))
    other = run(problem(), Stochastic(rule, 8), 50).final
    assert torch.equal(again, first)
    assert not torch.equal(again, other)


def test_each_problem_of_a_batch_draws_its_own_example():
    batch = stack([problem(), problem()])
    final = run(batch, Stochastic(optimizers.GD(0.1), 0), 50).final
    assert not torch.equal(final[0], final[1])


def test_value_is_that_of_all_examples():
    whole = problem()
    seen = OneExample(whole, example(whole, 0))
    assert torch.equal(seen.value(whole.start), whole.value(whole.start))


@pytest.mark.parametrize(
    "problem",
    [
        stack([problems.sparse_regression(seed, n=4, d=6) for seed in range(3)]),
        replace(stack(problems.far_apart()), loss=losses.CrossEntropy(mean=True)),
    ],
    ids=["regressions", "classes"],
)
@pytest.mark.parametrize("is_compiled", [True, False])
def test_an_optimizer_of_torch_is_handed_the_gradient_of_the_same_example(
    problem, is_compiled, monkeypatch
):
    if is_compiled:
        assert directions.compiled(problem, problem.start.shape, drawn=True) is not None
    else:
        monkeypatch.setattr(_torch, "compiled", lambda *args, **options: None)
    subject = Subject.from_object("gd", torch.optim.SGD).rule(0.02)
    runs = [run(problem, Stochastic(rule, 5), 60) for rule in (optimizers.GD(0.02), subject)]
    torch.testing.assert_close(runs[1].w, runs[0].w, rtol=1e-12, atol=1e-13)
