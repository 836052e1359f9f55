"""A project with four toy claims and a module of optimizers, for the tests of the plugin."""

import json
import sys

import numba
import numpy as np
import pytest
import torch

# pytester forgets what an inner session imports, and C extensions load but once: load them here.
import limitpoint.judgement.check
import limitpoint.judgement.registry
import limitpoint.ledger.resume
import limitpoint.subjects._subject
import limitpoint.views.github
import limitpoint.views.terminal  # noqa: F401
from limitpoint.plugin import OPTIONS
from limitpoint.session import Session

WORKERS = pytest.mark.parametrize("workers", [(), ("-n", "2")], ids=["alone", "two-workers"])
CLAIMS = '''
import torch
from limitpoint import Inconclusive, Trial, claim, problems

def record(name, roles=("gd",)):
    return dict(source="nowhere", statement="s", hypotheses=(), kind="limit", roles=roles)

@claim("toy/gd-goes-down", **record("gd"))
def test_gd_goes_down(trial: Trial) -> None:
    """GD goes down."""
    problem = problems.gaussian_regression(trial.seed)
    run = trial.run(problem, trial.optimizer("gd", 0.01), 20)
    trial.at_most("loss", problem.value(run.final), problem.value(run.w[0]) * 0.9, 0.0, "toy")

@claim("toy/wrong", **record("gd", ("adam",)))
def test_adam_wrong(trial: Trial) -> None:
    trial.at_most("two", 2.0 + 0 * trial.seed, 1.0, 0.1, "toy")

@claim("toy/undecided", **record("gd", ("usam",)))
def test_undecided(trial: Trial) -> None:
    raise Inconclusive("horizon: 10 steps are too few")

@claim("toy/elsewhere", **record("gd", ("usam",)))
def test_elsewhere(trial: Trial) -> None:
    trial.require("the seed is even", trial.seed % 2 == 0)
    trial.close("one", 1.0, 1.0, 0.1, "toy")
'''
OPTIMIZERS = """
import torch
from limitpoint.optimizers import GD

class Uphill(torch.optim.SGD):
    def __init__(self, params, lr):
        super().__init__(params, lr=lr, maximize=True)

class Explodes(torch.optim.SGD):
    def step(self, closure=None):
        raise RuntimeError("out of cheese")

class Greedy(torch.optim.SGD):
    def step(self, closure=None):
        self.kept = [*getattr(self, "kept", ()), torch.ones(10_000_000)]
        super().step()

class Endless(torch.optim.SGD):
    def step(self, closure=None):
        while True:
            pass

class EndlessRule(GD):
    def direction(self, oracle, w):
        while True:
            pass

class Marked(torch.optim.SGD):
    def step(self, closure=None):
        raise ValueError("[/red] and [bold]")

class Talks(torch.optim.SGD):
    def step(self, closure=None):
        print("the loss is fine " * 100)
        self.param_groups[0]["params"][0].data.sub_(1.0)

class NotANumber(torch.optim.SGD):
    def step(self, closure=None):
        for group in self.param_groups:
            for p in group["params"]:
                p.data.fill_(float("nan"))
"""


@pytest.fixture(scope="session")
def compilers_loaded():
    """What the first step of a torch optimizer and the first compiled function load, also once."""
    numba.njit(lambda x: x.sum() > 0)(np.ones(2))
    parameter = torch.nn.Parameter(torch.ones(1))
    parameter.grad = torch.ones(1)
    torch.optim.SGD([parameter], lr=0.1).step()


@pytest.fixture
def project(pytester, monkeypatch, compilers_loaded):
    pytester.makepyfile(test_toy=CLAIMS, own=OPTIMIZERS)
    monkeypatch.syspath_prepend(str(pytester.path))
    yield pytester
    sys.modules.pop("own", None)


def ledger_of(project, *words):
    path = project.path / "out" / "ledger.json"
    result = project.runpytest("--ledger", path, "-p", "no:cacheprovider", *words)
    return result, json.loads(path.read_text())


def session_of(project, *words):
    """What the plugin makes of a command line."""
    config = project.parseconfig(*words)
    names = {name: f"limitpoint_{name.replace('-', '_')}" for name in OPTIONS}
    return Session({name: config.getoption(dest) for name, dest in names.items()}, None)
