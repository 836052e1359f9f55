"""Subjects as people write them: how they are called, and what is said of it."""

import pytest
import torch
from subject_zoo import Quiet, gap, logistic_problem, multiclass_problem

from limitpoint import Claim, Setting, evaluate, optimizers, run
from limitpoint.subjects import Subject, parse_subject


class Named(Quiet):
    """Asks for the names of its parameters, as Adam-mini does."""

    def __init__(self, named_parameters, lr=0.1):
        for name, parameter in named_parameters:
            assert isinstance(name, str)
            super().__init__([parameter], lr)

    def step(self):
        self.descend()


class Holding(Quiet):
    """Asks for the model."""

    def __init__(self, model, lr=0.1):
        super().__init__(list(model.parameters()), lr)

    def step(self):
        self.descend()


class Grouped(Quiet):
    """Asks what a group is for, as Muon with an Adam part does."""

    def __init__(self, groups, lr=0.1):
        assert all("use_muon" in group for group in groups)
        super().__init__(groups[0]["params"], lr)

    def step(self):
        self.descend()


class Distributed(Quiet):
    """Asks for its rank at the first step."""

    def step(self):
        assert torch.distributed.get_world_size() == 1
        self.descend()


class Averaging(torch.optim.SGD):
    """Schedule-free in small: trains on y, and shows the running mean of z in eval."""

    def __init__(self, params, lr=0.1):
        super().__init__(params, lr)
        self.mode, self.t = "eval", 0

    @property
    def parameter(self):
        return self.param_groups[0]["params"][0]

    @torch.no_grad()
    def train(self):
        if self.mode == "eval":
            self.z = getattr(self, "z", self.parameter.clone())
            self.mean = getattr(self, "mean", self.parameter.clone())
            self.parameter.copy_(self.z)
        self.mode = "train"

    @torch.no_grad()
    def eval(self):
        if self.mode == "train":
            self.z = self.parameter.clone()
            self.t += 1
            self.mean = self.mean + (self.z - self.mean) / self.t
            self.parameter.copy_(self.mean)
        self.mode = "eval"

    def step(self, closure=None):
        assert self.mode == "train", "not in train mode"
        super().step(closure)


class RefusesZero(torch.optim.Adam):
    """Its eps has to be above 1e-20."""

    def __init__(self, params, lr=0.1, betas=(0.9, 0.999), eps=1e-8):
        if not eps > 1e-20:
            raise ValueError(f"Invalid epsilon value: {eps}")
        super().__init__(params, lr, betas, eps)


MANNERS = {
    Named: "given a named parameter",
    Holding: "given a module",
    Grouped: "given a group for Muon",
}


@pytest.mark.parametrize("odd", MANNERS, ids=lambda odd: odd.__name__)
def test_what_it_is_given_is_said(odd):
    rule = Subject.from_object("gd", odd).rule(0.5)
    assert gap(rule, optimizers.GD(0.5), logistic_problem(), 20) <= 1e-15
    assert rule.notes == [MANNERS[odd]]


def test_a_process_group_of_one():
    rule = Subject.from_object("gd", Distributed).rule(0.5)
    assert gap(rule, optimizers.GD(0.5), multiclass_problem(), 20) <= 1e-15
    assert not torch.distributed.is_initialized()


def test_the_iterate_of_eval_is_judged():
    rule, problem = Subject.from_object("gd", Averaging).rule(0.5), logistic_problem()
    means = run(problem, rule, 20, record=range(21)).w[1:]
    iterates = run(problem, optimizers.GD(0.5), 20, record=range(21)).w[1:]
    counts = torch.arange(1, 21, dtype=torch.float64).unsqueeze(-1)
    torch.testing.assert_close(means, iterates.cumsum(0) / counts, rtol=0, atol=1e-14)
    assert "the iterate that its eval() shows is judged" in rule.notes


def test_a_refused_epsilon_is_the_least_it_takes():
    subject = Subject.from_object("adam", RefusesZero)
    rule = subject.rule(0.1, epsilon=0.0, beta1=0.8, beta2=0.9)
    assert rule.settings["epsilon"] == 1e-16
    assert rule.notes[1] == "eps=1e-16, the least it takes, for the theorem's 0"
    own = optimizers.Adam(0.1, beta1=0.8, beta2=0.9, epsilon=1e-16, bias_correction=True)
    assert gap(rule, own, logistic_problem(), 20) <= 1e-12
    taken = parse_subject("adam=torch.optim:Adam").rule(0.1, epsilon=0.0)
    assert taken.settings["epsilon"] == 0
    assert subject.rule(0.1, epsilon=1e-3).settings["epsilon"] == 1e-3
    users = Subject.from_object("adam", RefusesZero, eps=0.0).rule(0.1, epsilon=0.0)
    assert users.settings["epsilon"] == 0


def test_the_record_has_what_was_handed_over():
    def body(trial):
        adam = trial.optimizer("adam", 0.1, epsilon=0.0, beta1=0.8, beta2=0.9)
        moved = trial.run(logistic_problem(), adam, 3).final
        trial.close("moved", moved, 0 * moved, 10.0, "none")

    claim = Claim("own/adam", "none", "none", (), "limit", ("adam",), (), body, seeded=False)
    subject = [parse_subject("adam=torch.optim:Adam")]
    assert evaluate(claim, subject, Setting()).notes == (
        "handed over: weight_decay=0.0, betas=(0.8, 0.9), eps=0.0",
    )
    assert evaluate(claim, [], Setting()).notes == ()


class Coarse(torch.optim.Optimizer):
    """SGD that keeps its step in float32."""

    def __init__(self, params, lr=0.1, factor=1.0):
        super().__init__(params, {"lr": lr})
        self.factor = factor

    @torch.no_grad()
    def step(self, closure=None):
        for group in self.param_groups:
            for p in group["params"]:
                self.state[p]["step"] = (self.factor * group["lr"] * p.grad).float()
                p.sub_(self.state[p]["step"].double())


@pytest.mark.parametrize(("factor", "verdict"), [(1.0, "inconclusive"), (1.01, "refuted")])
def test_a_coarse_state_is_no_refutation(factor, verdict):
    def body(trial):
        problem = logistic_problem()
        moved = trial.run(problem, trial.optimizer("gd", 0.5), 20).final
        own = run(problem, optimizers.GD(0.5), 20).final
        trial.close("moved", moved, own, 1e-12, "rounding")

    claim = Claim("own/gd", "none", "none", (), "limit", ("gd",), (), body, seeded=False)
    subject = Subject.from_object("gd", Coarse, factor=factor)
    record = evaluate(claim, [subject], Setting())
    assert record.verdict == verdict
    assert "what it keeps between steps is less precise than float64" in record.notes
