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


def parameters(state):
    """How many parameters each optimizer has that is at work."""
    assert not (state.joint and state.instances)
    parts = [one for joint in state.joint for one, _ in joint.parts] or state.instances
    return [len(one.parameters) for one in parts]


@pytest.mark.parametrize(
    ("step_size", "kwargs", "found"),
    [
        (0.1, {"momentum": 0.9}, [1]),
        (numbers(0.1, 0.2, 0.1), {}, [3]),
        (numbers(0.1, 0.2, 0.3), {}, [3]),
        (0.1, {"momentum": numbers(0.5, 0.5, 0.9)}, [1, 1]),
        (0.1, {"momentum": numbers(0.5, 0.6, 0.9)}, [1, 1, 1]),
    ],
    ids=["all", "some equal at first", "their own step sizes", "two momenta", "their own momentum"],
)
def test_those_that_are_given_the_same_step_as_they_do_alone(step_size, kwargs, found):
    w, state = stepped(PROBLEM, torch.optim.SGD, step_size, kwargs)
    assert parameters(state) == found
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
    assert state.joint[0].places == [[0, 2, 4], [1, 3, 5]]
    assert parameters(state) == [2]
    for k, size in enumerate((0.1, 0.2)):
        there, _ = stepped(PROBLEM, torch.optim.Adam, size, {})
        assert float((w[:, k] - there).abs().max()) < 1e-12


def test_one_that_looks_at_a_parameters_norm_has_a_parameter_each():
    w, state = stepped(PROBLEM, Normed, 0.1, {})
    assert parameters(state) == [3]
    alone = replace(PROBLEM, X=PROBLEM.X[:1], y=PROBLEM.y[:1], start=PROBLEM.start[:1])
    there, _ = stepped(alone, Normed, 0.1, {})
    assert float((w[:1] - there).abs().max()) < 1e-12


class NormedTogether(torch.optim.SGD):
    """A step as long as lr, of all parameters together."""

    def step(self, closure=None):
        each = [p for group in self.param_groups for p in group["params"]]
        norm = torch.stack([p.grad.norm() for p in each]).norm()
        for p in each:
            p.grad /= norm
        super().step(closure)


class Heedless(torch.optim.SGD):
    """Of all groups' options it knows those of the first."""

    def step(self, closure=None):
        for group in self.param_groups:
            group["lr"] = self.param_groups[0]["lr"]
        super().step(closure)


class Estimating(torch.optim.SGD):
    """Keeps an estimate for all parameters, which sets in late."""

    def __init__(self, params, lr=0.1):
        super().__init__(params, lr)
        self.seen, self.longest = 0, 0.0

    def step(self, closure=None):
        each = [p.grad for group in self.param_groups for p in group["params"]]
        self.longest = max(self.longest, *(float(g.norm()) for g in each))
        self.seen += 1
        if self.seen > 20:
            for g in each:
                g /= self.longest
        super().step(closure)


@pytest.mark.parametrize("constructor", [NormedTogether, Heedless, Estimating])
def test_one_whose_parameters_know_of_one_another_is_not_joined(constructor):
    _, state = stepped(PROBLEM, constructor, numbers(0.1, 0.2, 0.3), {})
    assert parameters(state) == [1, 1, 1]
    assert len(state.instances) == 3


class Slotted:
    """No class of torch's: it has no attributes but its own, and imaginary numbers."""

    __slots__ = ("angle", "param_groups")

    def __init__(self, params, lr=0.1):
        groups = [p if isinstance(p, dict) else {"params": [p]} for p in params]
        self.param_groups = [{"lr": lr, "turn": torch.tensor(1j), **group} for group in groups]
        self.angle = torch.tensor(1j)

    def step(self):
        for group in self.param_groups:
            for p in group["params"]:
                p.data.sub_(group["lr"] * p.grad)


def test_one_of_any_class_is_joined():
    _, state = stepped(PROBLEM, Slotted, numbers(0.1, 0.2, 0.3), {})
    assert parameters(state) == [3]
