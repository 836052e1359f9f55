"""Elements of a batch that are given the same have one parameter, if they step as they do alone."""

from dataclasses import replace

import pytest
import torch

from limitpoint import problems
from limitpoint.optimizers.schedules import StepSize
from limitpoint.problems.problem import stack
from limitpoint.subjects._torch import TorchOptimizer

PROBLEM = stack(problems.far_apart())


class Normed(torch.optim.SGD):
    """A step as long as lr: it is not entrywise."""

    def step(self, closure=None):
        for group in self.param_groups:
            for p in group["params"]:
                p.grad /= p.grad.norm()
        super().step(closure)


def numbers(*each):
    return torch.tensor(each, dtype=torch.float64).reshape(-1, 1, 1)


def stepped(problem, constructor, step_size, kwargs):
    rule = TorchOptimizer(StepSize(step_size, decay=0.5), constructor, kwargs=kwargs)
    w, state = problem.start, rule.init(problem, problem.start)
    for t in range(30):
        w, state = rule.step(problem, w, state, t)
    return w, state


def own(value, k):
    return float(value[k]) if isinstance(value, torch.Tensor) else value


@pytest.mark.parametrize(
    ("step_size", "kwargs", "places"),
    [
        (0.1, {"momentum": 0.9}, [slice(0, 3)]),
        (numbers(0.1, 0.2, 0.1), {}, []),
        (0.1, {"momentum": numbers(0.5, 0.5, 0.9)}, []),
    ],
    ids=["all", "their own step sizes", "their own momentum"],
)
def test_those_that_are_given_the_same_step_as_they_do_alone(step_size, kwargs, places):
    w, state = stepped(PROBLEM, torch.optim.SGD, step_size, kwargs)
    assert state.places == places
    assert len(state.joint) + len(state.instances) == (1 if places else 3)
    for k in range(3):
        part = slice(k, k + 1)
        alone = replace(PROBLEM, X=PROBLEM.X[part], y=PROBLEM.y[part], start=PROBLEM.start[part])
        given = {name: own(value, k) for name, value in kwargs.items()}
        there, _ = stepped(alone, torch.optim.SGD, own(step_size, k), given)
        assert float((w[part] - there).abs().max()) < 1e-13


def test_those_of_one_step_size_are_joined_wherever_they_stand():
    start = PROBLEM.start.expand(2, 3, 7, 10).transpose(0, 1).contiguous()
    sizes = numbers(0.1, 0.2)[None]
    problem = replace(PROBLEM, X=PROBLEM.X[:, None], y=PROBLEM.y.expand(3, 7)[:, None], start=start)
    w, state = stepped(problem, torch.optim.Adam, sizes, {})
    assert state.places == [[0, 2, 4], [1, 3, 5]]
    assert len(state.joint) == 2
    assert not state.instances
    for k, size in enumerate((0.1, 0.2)):
        there, _ = stepped(PROBLEM, torch.optim.Adam, size, {})
        assert float((w[:, k] - there).abs().max()) < 1e-12


def test_one_that_looks_at_a_norm_is_not_joined():
    _, state = stepped(PROBLEM, Normed, 0.1, {})
    assert not state.joint
    assert len(state.instances) == 3
