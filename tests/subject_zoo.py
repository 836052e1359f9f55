"""Problems for subjects, and optimizers that the tests of subjects share."""

import torch
from torch import Tensor

from limitpoint import optimizers, run
from limitpoint.engines import definition
from limitpoint.problems.losses import CrossEntropy, Logistic
from limitpoint.problems.models import Linear, MulticlassLinear
from limitpoint.problems.problem import Problem


def logistic_problem(seed: int = 0, n: int = 6, d: int = 3) -> Problem:
    """Separable by its first coordinate."""
    numbers = torch.Generator().manual_seed(seed)
    X = torch.randn(n, d, dtype=torch.float64, generator=numbers)
    y = torch.ones(n, dtype=torch.float64)
    y[::2] = -1.0
    X[:, 0] = y * (1 + X[:, 0].abs())
    return Problem("logistic", Linear(), Logistic(mean=True), X, y, torch.zeros(d).double())


def multiclass_problem() -> Problem:
    numbers = torch.Generator().manual_seed(1)
    X = torch.randn(9, 4, dtype=torch.float64, generator=numbers)
    y = torch.arange(9) % 3
    return Problem("softmax", MulticlassLinear(), CrossEntropy(), X, y, torch.zeros(3, 4).double())


def final(rule: optimizers.Rule, problem: Problem, steps: int = 50) -> Tensor:
    return run(problem, rule, steps, record=[steps]).final


def final_here(rule: optimizers.Rule, problem: Problem, steps: int) -> Tensor:
    """The same in this process, which sees what the optimizer writes down."""
    *_, (w, _) = definition.iterates(rule, problem, problem.start, steps)
    return w


def gap(one: optimizers.Rule, other: optimizers.Rule, problem: Problem, steps: int) -> float:
    grid = range(1, steps + 1)
    w, v = (run(problem, rule, steps, record=grid).w for rule in (one, other))
    return float((w - v).abs().max())


class Quiet:
    """A torch-like optimizer that does nothing; the faulty ones below derive from it."""

    def __init__(self, params, lr=0.1):
        self.param_groups = [{"params": list(params), "lr": lr}]

    @property
    def parameter(self):
        return self.param_groups[0]["params"][0]

    def descend(self):
        with torch.no_grad():
            self.parameter.sub_(self.param_groups[0]["lr"] * self.parameter.grad)

    def step(self):
        pass


class SAM(torch.optim.Optimizer):
    """Two-phase SAM as the popular single file writes it (davda54/sam)."""

    def __init__(self, params, base_optimizer, rho=0.05, adaptive=False, **kwargs):
        super().__init__(params, {"rho": rho, "adaptive": adaptive, **kwargs})
        self.base_optimizer = base_optimizer(self.param_groups, **kwargs)
        self.param_groups = self.base_optimizer.param_groups
        self.defaults.update(self.base_optimizer.defaults)

    @torch.no_grad()
    def first_step(self, zero_grad=False):
        for group in self.param_groups:
            for p in group["params"]:
                self.state[p]["old"] = p.data.clone()
                p.add_(p.grad * group["rho"] / (p.grad.norm(p=2) + 1e-12))
        if zero_grad:
            self.zero_grad()

    @torch.no_grad()
    def second_step(self, zero_grad=False):
        for group in self.param_groups:
            for p in group["params"]:
                p.data = self.state[p]["old"]
        self.base_optimizer.step()
        if zero_grad:
            self.zero_grad()

    def step(self, closure=None):
        raise AssertionError("two phases: step() is never called")
