"""Whatever a foreign rule does is a verdict."""

import time

import pytest
import torch
from subject_zoo import gap, logistic_problem

from limitpoint import flow, optimizers, problems, run
from limitpoint.errors import Inconclusive, NotApplicable, SubjectFailed
from limitpoint.numerics import tensor
from limitpoint.problems.finite_sum import random_batches
from limitpoint.subjects import Limits, Subject
from limitpoint.theory import amplification


class Plain(optimizers.GD):
    """A foreign rule; the faulty ones below derive from it."""


class RaisingRule(Plain):
    def direction(self, oracle, w):
        raise KeyError("m")


class RaisingLater(Plain):
    def step(self, oracle, w, state, t):
        if t > 1000:
            raise RuntimeError("tired")
        return super().step(oracle, w, state, t)


class RaisingInit(Plain):
    def init(self, oracle, w):
        raise ValueError("no state")


class EndlessRule(Plain):
    def direction(self, oracle, w):
        while True:
            time.sleep(0.001)


class GreedyRule(Plain):
    def direction(self, oracle, w):
        kept = []
        while True:
            kept.append(torch.ones(5_000_000))


class IdleRule(Plain):
    def direction(self, oracle, w):
        return 0 * w


class OtherShape(Plain):
    def direction(self, oracle, w):
        return w.unsqueeze(0)


class NoDirection(Plain):
    def direction(self, oracle, w):
        return None


class NoPair(Plain):
    def step(self, oracle, w, state, t):
        return w


class SingleRule(Plain):
    def step(self, oracle, w, state, t):
        return (0.5 * w).float(), None


class NaNRule(Plain):
    def step(self, oracle, w, state, t):
        return w + float("nan"), None


RULES = {
    RaisingRule: "raised KeyError at step 0: 'm'",
    RaisingLater: "raised RuntimeError at step 1001: tired",
    RaisingInit: "raised ValueError before its first step: no state",
    EndlessRule: "exceeded its time limit of 0.15 s at step 0",
    GreedyRule: "used more than 0.1 GB of memory at step 0",
    IdleRule: "did not move in its first 10 steps",
    OtherShape: "its iterate at step 0 has shape (1, 3), not (3,)",
    NoDirection: "raised TypeError at step 0",
    NoPair: "returned a Tensor at step 0, not the pair of iterate and state",
    SingleRule: "its iterate at step 0 has dtype float32, not float64",
    NaNRule: "an iterate is NaN at step 1 or just before",
}
DIRECTIONS = {
    RaisingRule: "raised KeyError in its direction: 'm'",
    EndlessRule: "exceeded its time limit of 0.15 s in its direction",
    OtherShape: "its direction has shape (1, 3), not (3,)",
    NoDirection: "its direction is a NoneType, not a tensor",
}


class TestForeignRules:
    def hosted(self, rule):
        timeout = 0.15 if rule is EndlessRule else None
        memory = 0.1 if rule is GreedyRule else None
        return Subject.from_object("gd", rule, Limits(timeout, memory)).rule(0.5)

    @pytest.mark.parametrize("faulty", RULES, ids=lambda f: f.__name__)
    def test_is_a_verdict(self, faulty):
        with pytest.raises(SubjectFailed) as failure:
            run(logistic_problem(), self.hosted(faulty), 1100, record=range(1101))
        assert RULES[faulty] in str(failure.value)

    @pytest.mark.parametrize("faulty", DIRECTIONS, ids=lambda f: f.__name__)
    def test_is_a_verdict_of_its_flow(self, faulty):
        with pytest.raises(SubjectFailed) as failure:
            flow(logistic_problem(), self.hosted(faulty), [0.0, 1.0])
        assert DIRECTIONS[faulty] in str(failure.value)

    def test_a_right_one_is_what_it_is(self):
        problem, rule = logistic_problem(), self.hosted(Plain)
        assert gap(rule, optimizers.GD(0.5), problem, 50) <= 1e-14
        found = flow(problem, rule, [0.0, 1.0, 3.0]).w
        own = flow(problem, optimizers.GD(), [0.0, 1.0, 3.0], engine="torch").w
        assert torch.equal(found, own)
        assert rule.name == "Plain"

    def test_the_clock_of_its_flow_shares_its_rounding(self):
        class Own(optimizers.L2SAM):
            pass

        rule = Subject.from_object("sam-l2", Own).rule(1.0, rho=1.0)
        problem = problems.one_example(problems.drawn_mu(42, 4), 3.0)
        rate = amplification.slope(problem, optimizers.L2SAM(rho=1.0), "auto", rule)
        speed = amplification.rescaling(rate)
        found = flow(problem, rule, [0.0, 8.0], speed=speed, evaluations=3000)
        assert float(found.final.max()) > 1e5  # where two roundings of a margin do not cancel

    def test_one_with_memory_has_no_flow(self):
        class Own(optimizers.Adam):
            pass

        rule = Subject.from_object("adam", Own).rule(0.1)
        assert gap(rule, optimizers.Adam(0.1), logistic_problem(), 20) <= 1e-14
        with pytest.raises(NotApplicable, match="Own has memory"):
            flow(logistic_problem(), rule, [0.0, 1.0])

    def test_minibatches_need_no_init(self):
        problem = problems.noisy_terms(problems.parabola_chain(3), 0, 3, 0.1, 0.0)
        start = torch.ones(1, 3).double()
        batches = random_batches(0, problem.n, steps=6, calls=1, runs=(1,), size=2)
        foreign, own = (
            run(problem, optimizers.Minibatch(rule, batches), 6, start=start).final
            for rule in (self.hosted(Plain), optimizers.GD(0.5))
        )
        assert torch.equal(foreign, own)


def test_a_flow_without_end_is_inconclusive():
    class Chattering(optimizers.GD):
        def direction(self, oracle, w):
            return torch.sign(w - 0.3)

    rule = Subject.from_object("gd", Chattering).rule(1.0)
    with pytest.raises(Inconclusive, match=r"came to time 0\.\d+ with 5000 evaluations"):
        flow(logistic_problem(), rule, [0.0, 10.0], evaluations=5000)


class TimesLoss(torch.optim.SGD):
    """w - eta L(w) grad L(w), by a closure that it has to be given."""

    @torch.no_grad()
    def step(self, closure):
        with torch.enable_grad():
            loss = closure()
        for group in self.param_groups:
            for p in group["params"]:
                p -= group["lr"] * loss * p.grad


def test_a_closure_returns_the_loss():
    problem = logistic_problem()
    rule = Subject.from_object("gd", TimesLoss).rule(0.1)
    found = run(problem, rule, 20, record=range(21)).w
    expected = found[:-1] - 0.1 * problem.value(found[:-1]).unsqueeze(-1) * torch.stack(
        [tensor(problem.grad(w)) for w in found[:-1]]
    )
    assert (found[1:] - expected).abs().max() < 1e-14 * found.abs().max()
