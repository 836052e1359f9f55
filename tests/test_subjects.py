"""Subjects: they equal limitpoint's rule where they should, and every failure is a verdict."""

import random
import resource
import threading
import time
import warnings
from contextlib import nullcontext
from dataclasses import replace
from functools import partial

import pytest
import torch
from torch import Tensor

from limitpoint import optimizers, problems
from limitpoint.engines.flow import flow
from limitpoint.engines.run import run
from limitpoint.errors import Inconclusive, NotApplicable, SubjectFailed, UsageError
from limitpoint.judgement.claim import Claim, Setting
from limitpoint.optimizers.schedules import StepSize
from limitpoint.problems.finite_sum import random_batches
from limitpoint.problems.losses import CrossEntropy, Exponential, Logistic
from limitpoint.problems.models import Linear, MulticlassLinear
from limitpoint.problems.problem import Problem, stack
from limitpoint.subjects import Subject, TorchOptimizer, _meter, parse_subject, time_limit


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


class TestEquality:
    def test_sgd_is_gd(self):
        subject = Subject.from_object("gd", torch.optim.SGD)
        eta = StepSize(0.5, 0.3)
        assert gap(subject.factory(eta), optimizers.GD(eta), logistic_problem(), 50) <= 1e-15

    def test_adam_with_bias_correction(self):
        settings = {"beta1": 0.8, "beta2": 0.95, "epsilon": 0.0}
        subject = parse_subject("adam=torch.optim:Adam").factory(StepSize(0.1, 0.5), **settings)
        own = optimizers.Adam(StepSize(0.1, 0.5), **settings, bias_correction=True)
        assert gap(subject, own, logistic_problem(), 200) <= 1e-12

    def test_adamw_decay(self):
        subject = parse_subject("adam=torch.optim:AdamW").factory(
            0.1, epsilon=1e-3, weight_decay=0.2
        )
        own = optimizers.Adam(0.1, epsilon=1e-3, weight_decay=0.2, bias_correction=True)
        assert gap(subject, own, logistic_problem(), 50) <= 1e-13

    def test_momentum(self):
        subject = parse_subject("momentum=torch.optim:SGD").factory(0.3, momentum=0.7)
        own = optimizers.Momentum(0.3, momentum=0.7)
        assert gap(subject, own, logistic_problem(), 50) <= 1e-14

    def test_two_phase_sam_is_l2_sam(self):
        subject = Subject.from_object("sam-l2", SAM).factory(0.5, rho=0.2)
        problem = logistic_problem()
        assert gap(subject, optimizers.L2SAM(0.5, rho=0.2), problem, 50) <= 1e-10
        assert gap(subject, optimizers.GD(0.5), problem, 50) > 1e-3

    def test_sam_over_an_optimizer_named_in_text(self, monkeypatch):
        monkeypatch.setattr(torch.optim, "TestSAM", SAM, raising=False)
        subject = parse_subject(
            "sam-l2=torch.optim:TestSAM,base_optimizer=torch.optim:Adam,eps=0.5,rho=0"
        )
        rule = subject.factory(0.1, rho=0.3, epsilon=0.0, beta1=0.5, beta2=0.9)
        own = optimizers.Adam(0.1, beta1=0.5, beta2=0.9, epsilon=0.5, bias_correction=True)
        assert gap(rule, own, logistic_problem(), 20) <= 1e-13

    def test_batch_of_problems_with_their_own_radii(self):
        problems = [logistic_problem(seed) for seed in (0, 1, 2)]
        rho = torch.tensor([[0.0], [0.1], [0.4]], dtype=torch.float64)
        eta = torch.tensor([[0.5], [0.3], [0.1]], dtype=torch.float64)
        subject = Subject.from_object("sam-l2", SAM).factory(StepSize(eta, 0.5), rho=rho)
        own = optimizers.L2SAM(StepSize(eta, 0.5), rho=rho)
        assert gap(subject, own, stack(problems), 30) <= 1e-10

    def test_scaled_gradients_keep_adam_going_below_float64(self):
        problem = logistic_problem()
        problem = Problem(
            "exp", Linear(), Exponential(), problem.X, problem.y, 150 * problem.X[0] * problem.y[0]
        )
        adam = Subject.from_object("adam", torch.optim.Adam)
        settings = {"beta1": 0.9, "beta2": 0.99, "epsilon": 0.0}
        shift = -float(problem.log_value(problem.start))
        assert 400 < shift < 700
        scaled = adam.factory(0.01, log_loss_scale=shift, **settings)
        own = optimizers.Adam(0.01, **settings, bias_correction=True)
        assert gap(scaled, own, problem, 50) <= 1e-9
        with pytest.raises(Inconclusive, match="its iterate became infinite at step 0, with"):
            final(adam.factory(0.01, **settings), problem)

    def test_a_rule_is_used_as_it_is(self):
        own = Subject.from_object("adam", optimizers.Adam, beta1=0.3)
        rule = own.factory(StepSize(0.5, 1.0), beta1=0.9, beta2=0.99, timeout=1.0, rho=3.0)
        assert isinstance(rule, optimizers.Adam)
        assert (rule.beta1, rule.beta2, rule.step_size.at(0)) == (0.3, 0.99, 0.5)

    def test_a_function_that_returns_a_rule(self):
        rule = parse_subject("ngd=limitpoint.optimizers:NGD").factory(0.5, timeout=1.0)
        assert isinstance(rule, optimizers.SteepestDescent)
        assert rule.step_size == StepSize(0.5)
        rival = Subject.from_object(
            "gd", lambda step_size, **more: optimizers.USAM(step_size, **more)
        )
        assert rival.factory(0.5, rho=0.25).rho == 0.25


class TestKinds:
    def test_lbfgs_decreases(self):
        problem = logistic_problem()
        rule = parse_subject("gd=torch.optim:LBFGS,line_search_fn=strong_wolfe").factory(0.5)
        assert float(problem.value(final(rule, problem, 3))) < 1e-3

    def test_closure_is_scaled_with_its_gradient(self):
        seen = []

        class Closing(Quiet):
            def step(self, closure):
                seen.append((float(closure()), self.parameter.grad.clone()))
                self.descend()

        problem = logistic_problem()
        final(Subject.from_object("gd", Closing).factory(0.1, log_loss_scale=2.0), problem, 1)
        (loss, gradient), factor = seen[0], torch.exp(torch.tensor(2.0).double())
        assert loss == pytest.approx(float(factor * problem.value(problem.start)), rel=1e-14)
        expected = factor * problem.grad(problem.start).tensor()
        torch.testing.assert_close(gradient, expected, rtol=1e-14, atol=0)

    @pytest.mark.parametrize(
        "problem", [logistic_problem(), multiclass_problem()], ids=["1d", "2d"]
    )
    def test_muon_moves(self, problem):
        rule = parse_subject("spectral=torch.optim:Muon").factory(0.1, weight_decay=0.0)
        w = final(rule, problem, 10)
        assert w.shape == problem.start.shape
        assert float(problem.value(w)) < 0.9 * float(problem.value(problem.start))

    def test_matrix_is_asked_for_only_in_the_first_step(self):
        class Matrices(Quiet):
            def step(self):
                assert self.parameter.ndim == 2
                self.descend()

        problem = logistic_problem()
        rule = Subject.from_object("gd", Matrices).factory(0.5)
        assert gap(rule, optimizers.GD(0.5), problem, 20) <= 1e-15

    def test_a_closure_that_may_be_left_out_is_given_where_a_step_needs_it(self):
        class Needs(Quiet):
            def step(self, closure=None):
                assert closure is not None
                closure()
                self.descend()

        problem = logistic_problem()
        rule = Subject.from_object("gd", Needs).factory(0.5)
        assert gap(rule, optimizers.GD(0.5), problem, 20) <= 1e-15

    def test_two_phases_are_two_methods(self):
        class Flagged(torch.optim.SGD):
            first_step = True

        problem = logistic_problem()
        rule = Subject.from_object("gd", Flagged).factory(0.5)
        assert gap(rule, optimizers.GD(0.5), problem, 20) <= 1e-15

    def test_gradients_are_enabled_and_warnings_are_no_errors(self):
        class Warns(Quiet):
            def step(self):
                assert torch.is_grad_enabled()
                warnings.warn("deprecated", DeprecationWarning, stacklevel=1)
                self.descend()

        with warnings.catch_warnings(record=True):
            final(Subject.from_object("gd", Warns).factory(0.5), logistic_problem(), 12)


class TestSettings:
    def kwargs(self, spec: str, **settings: object) -> dict[str, object]:
        rule = parse_subject(spec).factory(StepSize(0.1, 0.5), **settings)
        assert isinstance(rule, TorchOptimizer)
        return dict(rule.kwargs)

    def test_the_claim_speaks_the_fields_names(self):
        found = self.kwargs(
            "adam=torch.optim:AdamW",
            beta1=0.5,
            beta2=0.6,
            epsilon=0.0,
            weight_decay=0.25,
            rho=1.0,
            p=2,
        )
        assert found == {"lr": 0.1, "betas": (0.5, 0.6), "eps": 0.0, "weight_decay": 0.25}

    def test_the_user_wins(self):
        found = self.kwargs(
            "adam=torch.optim:Adam,eps=1e-4,betas=(0.1;0.2)", epsilon=0.0, beta1=0.5
        )
        assert found == {"lr": 0.1, "eps": 1e-4, "betas": (0.1, 0.2), "weight_decay": 0.0}

    def test_weight_decay_is_off_unless_somebody_sets_it(self):
        assert self.kwargs("spectral=torch.optim:Muon")["weight_decay"] == 0.0
        assert self.kwargs("spectral=torch.optim:Muon", weight_decay=0.25)["weight_decay"] == 0.25
        assert self.kwargs("spectral=torch.optim:Muon,weight_decay=0.1")["weight_decay"] == 0.1

    def test_a_partial_is_the_users_word(self):
        subject = Subject.from_object("gd", partial(torch.optim.SGD, momentum=0.5, lr=0.25))
        assert subject.factory(1.0, momentum=0.0).kwargs["momentum"] == 0.5
        assert subject.factory(1.0).kwargs["lr"] == 0.25
        assert subject.factory(StepSize(1.0, 0.5)).step_size == StepSize(0.25, 0.5)

    def test_an_argument_of_another_shape_is_not_meant(self):
        assert "eps" not in self.kwargs("adam=torch.optim:Adafactor", epsilon=0.0)

    def test_users_lr_is_the_first_of_the_schedule(self):
        seen = []

        class Watching(Quiet):
            def step(self):
                seen.append(self.param_groups[0]["lr"])
                self.descend()

        rule = Subject.from_object("gd", Watching, lr=0.5).factory(StepSize(0.1, 1.0))
        assert rule.step_size == StepSize(0.5, 1.0)
        trajectory = run(logistic_problem(), rule, 3)
        assert seen == pytest.approx([0.5, 0.25, 0.5 / 3])
        assert float(trajectory.integrals["step_size"][-1]) == pytest.approx(sum(seen))

    def test_groups_keep_their_ratios(self):
        seen = []

        class TwoGroups(Quiet):
            def __init__(self, params, lr=0.1):
                super().__init__(params, lr)
                self.param_groups.append({"params": [], "lr": lr / 4})

            def step(self):
                seen.append([group["lr"] for group in self.param_groups])
                self.descend()

        final(
            Subject.from_object("gd", TwoGroups).factory(StepSize(0.4, 1.0)), logistic_problem(), 2
        )
        assert seen == [pytest.approx([0.4, 0.1]), pytest.approx([0.2, 0.05])]

    def test_a_schedule_of_its_own_goes_with_the_theorems(self):
        class Halving(torch.optim.SGD):
            def step(self, closure=None):
                super().step(closure)
                self.param_groups[0]["lr"] *= 0.5

        problem = logistic_problem()
        moved = run(problem, Subject.from_object("gd", Halving).factory(0.5), 4, record=range(5)).w
        steps = (moved[:-1] - moved[1:]) / problem.grad(moved[:-1]).tensor()
        expected = torch.tensor([[0.5], [0.25], [0.125], [0.0625]]).double().expand_as(steps)
        torch.testing.assert_close(steps, expected, rtol=1e-12, atol=0)

    def test_decaying_step_size_needs_groups(self):
        class Groupless(Quiet):
            def __init__(self, params, lr=0.1):
                super().__init__(params, lr)
                self.groups, self.param_groups = self.param_groups, []

        subject = Subject.from_object("gd", Groupless)
        with pytest.raises(NotApplicable, match="decaying step size"):
            final(subject.factory(StepSize(0.1, 0.5)), logistic_problem())


class Raises(Quiet):
    def __init__(self, params, lr=0.1):
        raise RuntimeError("no such device\nand more")


class RaisesLater(Quiet):
    def __init__(self, params, lr=0.1):
        super().__init__(params, lr)
        self.t = 0

    def step(self):
        self.t += 1
        if self.t > 3:
            raise KeyError("exp_avg")
        self.descend()


class Exits(Quiet):
    def step(self):
        raise SystemExit


class NaN(Quiet):
    def step(self):
        self.parameter.data *= float("nan")


class Infinite(Quiet):
    def step(self):
        self.parameter.data += float("inf")


class SinglePrecision(Quiet):
    def step(self):
        self.parameter.data = self.parameter.data.float() - 0.1


class Halved(Quiet):
    def __init__(self, params, lr=0.1):
        super().__init__(params, lr)
        self.parameter.data = self.parameter.data.half()


class Reshaped(Quiet):
    def step(self):
        self.parameter.data = self.parameter.data.reshape(1, -1)


class Demanding(Quiet):
    def __init__(self, params, lr, curvature):
        super().__init__(params, lr)


class Sleepy(Quiet):
    def step(self):
        time.sleep(0.06)
        self.descend()


class Endless(Quiet):
    def step(self):
        while True:
            try:
                time.sleep(0.001)
            except Exception:
                continue


class Stubborn(Quiet):
    """Lets nothing through once, not even what interrupts it: the limit has to ring again."""

    def step(self):
        for _ in range(2):
            try:
                while True:
                    time.sleep(0.001)
            except:  # noqa: E722
                pass


class Greedy(Quiet):
    def step(self):
        self.kept = [*getattr(self, "kept", ()), torch.ones(5_000_000)]  # 20 MB
        self.descend()


class GreedyInOneStep(Quiet):
    def step(self):
        kept = []
        while True:
            kept.append(torch.ones(5_000_000))


class Huge(Quiet):
    def step(self):
        torch.zeros(10**13)


class GreedyFromTheStart(Quiet):
    def __init__(self, params, lr=0.1):
        self.kept = []
        while True:
            self.kept.append(bytearray(10**7))


class SetsTheDefault(Quiet):
    def step(self):
        torch.set_default_dtype(torch.float16)
        self.descend()


class Wordy(Quiet):
    def step(self):
        raise ValueError("word " * 1000)


class EndlessFromTheStart(Quiet):
    def __init__(self, params, lr=0.1):
        while True:
            time.sleep(0.001)


FAILURES = {
    Raises: "raised RuntimeError in its constructor: no such device",
    RaisesLater: "raised KeyError at step 3: 'exp_avg'",
    Exits: "raised SystemExit at step 0",
    NaN: "its iterate became NaN at step 0",
    Infinite: "its iterate became infinite at step 0",
    SinglePrecision: "changed its parameter's dtype from float64 to float32 at step 0",
    Halved: "changed its parameter's dtype from float64 to float16 in its constructor",
    Reshaped: "changed its parameter's shape from (3,) to (1, 3) at step 0",
    Quiet: "did not move in its first 10 steps",
    Demanding: "Demanding needs the argument 'curvature': give it as curvature=...",
    dict: "made a dict, which has no step(): not an optimizer",
}
LATE = {
    Endless: "exceeded its time limit of 0.15 s at step 0",
    EndlessFromTheStart: "exceeded its time limit of 0.15 s in its constructor",
}


TOO_MUCH = {
    Greedy: r"used more than 0.1 GB of memory at step \d",
    GreedyInOneStep: "used more than 0.1 GB of memory at step 0",
    Huge: "used more than 0.1 GB of memory at step 0",
    GreedyFromTheStart: "used more than 0.1 GB of memory in its constructor",
}


class TestFailures:
    @pytest.mark.parametrize("faulty", FAILURES, ids=lambda f: f.__name__)
    def test_is_a_verdict(self, faulty):
        constructor = (lambda params: {}) if faulty is dict else faulty
        rule = Subject.from_object("gd", constructor).factory(0.5)
        with pytest.raises(SubjectFailed) as failure:
            final(rule, logistic_problem(), 20)
        assert str(failure.value).removeprefix(f"{__name__}:") == FAILURES[faulty]

    @pytest.mark.parametrize("slow", LATE, ids=lambda f: f.__name__)
    def test_time_limit(self, slow):
        rule = Subject.from_object("gd", slow).factory(0.5, timeout=0.15)
        with pytest.raises(SubjectFailed) as failure:
            final(rule, logistic_problem(), 20)
        assert str(failure.value) == LATE[slow]

    @pytest.mark.parametrize("greedy", TOO_MUCH, ids=lambda f: f.__name__)
    def test_memory_limit(self, greedy):
        rule = Subject.from_object("gd", greedy).factory(0.5, memory=0.1)
        with pytest.raises(SubjectFailed, match=TOO_MUCH[greedy]):
            final(rule, logistic_problem(), 20)

    def test_memory_that_there_is_not(self):
        rule = Subject.from_object("gd", Huge).factory(0.5)
        with pytest.raises(SubjectFailed, match="ran out of memory at step 0"):
            final(rule, logistic_problem(), 20)

    def test_the_peak_of_the_resident_memory_counts_where_allocations_cannot_fail(
        self, monkeypatch
    ):
        sizes = iter([1e9, 1.05e9, 1.2e9, 1.2e9])
        monkeypatch.setattr(_meter, "_mapped", lambda: 0)
        monkeypatch.setattr(_meter, "_peak", lambda: next(sizes))
        meter = _meter.Meter(memory=0.1)
        with meter.watch("at step 0"):
            pass
        with pytest.raises(SubjectFailed, match="at step 1"), meter.watch("at step 1"):
            pass

    def test_the_limit_on_memory_is_lifted_afterwards(self):
        before = resource.getrlimit(resource.RLIMIT_AS)
        with pytest.raises(SubjectFailed):
            final(Subject.from_object("gd", Huge).factory(0.5, memory=0.1), logistic_problem(), 20)
        assert resource.getrlimit(resource.RLIMIT_AS) == before

    def test_a_bare_except_is_interrupted_again(self):
        rule = Subject.from_object("gd", Stubborn).factory(0.5, timeout=0.15)
        with pytest.raises(SubjectFailed, match=r"exceeded its time limit of 0\.15 s at step 0"):
            final(rule, logistic_problem(), 20)

    def test_the_default_dtype_is_restored(self):
        final(Subject.from_object("gd", SetsTheDefault).factory(0.5), logistic_problem(), 3)
        assert torch.get_default_dtype() == torch.float32

    def test_a_long_message_is_cut(self):
        with pytest.raises(SubjectFailed) as failure:
            final(Subject.from_object("gd", Wordy).factory(0.5), logistic_problem(), 3)
        assert len(str(failure.value)) < 300

    def test_a_run_of_many_steps_that_takes_long_is_inconclusive(self):
        rule = Subject.from_object("gd", Sleepy).factory(0.5, timeout=0.15)
        with pytest.raises(Inconclusive, match=r"time ran out at step 2: 0\.15 s are too few"):
            final(rule, logistic_problem(), 20)

    def test_at_a_minimum_nobody_has_to_move(self):
        problem = logistic_problem()
        start = torch.tensor([60.0, 0.1, 0.1]).double()
        far = Problem("far", Linear(), Logistic(), problem.X, problem.y, start)
        assert torch.equal(final(Subject.from_object("gd", Quiet).factory(0.5), far, 12), far.start)

    def test_gradient_below_float64_is_nobodys_failure(self):
        problem = logistic_problem()
        far = Problem(
            "far", Linear(), Exponential(), problem.X, problem.y, 4000 * problem.X[0] * problem.y[0]
        )
        with pytest.raises(Inconclusive, match="at step 0: the gradient is below float64's range"):
            final(parse_subject("gd=torch.optim:SGD").factory(0.5), far)
        with pytest.raises(Inconclusive, match="at step 0: the gradient is above float64's range"):
            final(parse_subject("gd=torch.optim:SGD").factory(0.5, log_loss_scale=1e5), far)

    def test_a_rules_constructor(self):
        subject = parse_subject("adam=limitpoint.optimizers:Adam,beta1=2")
        with pytest.raises(
            SubjectFailed, match="raised ValueError in its constructor: invalid beta1"
        ):
            subject.factory(0.1)


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
    def factory(self, rule):
        limits = {"timeout": None, "memory": None}
        limits |= {"timeout": 0.15} if rule is EndlessRule else {}
        limits |= {"memory": 0.1} if rule is GreedyRule else {}
        return Subject.from_object("gd", rule).factory(0.5, **limits)

    @pytest.mark.parametrize("faulty", RULES, ids=lambda f: f.__name__)
    def test_is_a_verdict(self, faulty):
        with pytest.raises(SubjectFailed) as failure:
            run(logistic_problem(), self.factory(faulty), 1100, record=range(1101))
        assert RULES[faulty] in str(failure.value)

    @pytest.mark.parametrize("faulty", DIRECTIONS, ids=lambda f: f.__name__)
    def test_is_a_verdict_of_its_flow(self, faulty):
        with pytest.raises(SubjectFailed) as failure:
            flow(logistic_problem(), self.factory(faulty), [0.0, 1.0])
        assert DIRECTIONS[faulty] in str(failure.value)

    def test_a_right_one_is_what_it_is(self):
        problem, rule = logistic_problem(), self.factory(Plain)
        assert gap(rule, optimizers.GD(0.5), problem, 50) <= 1e-14
        times = [0.0, 1.0, 3.0]
        assert torch.equal(flow(problem, rule, times).w, flow(problem, optimizers.GD(), times).w)
        assert rule.name == "Plain"

    def test_one_with_memory_has_no_flow(self):
        class Own(optimizers.Adam):
            pass

        rule = Subject.from_object("adam", Own).factory(0.1)
        assert gap(rule, optimizers.Adam(0.1), logistic_problem(), 20) <= 1e-14
        with pytest.raises(NotApplicable, match="Own has memory"):
            flow(logistic_problem(), rule, [0.0, 1.0])

    def test_minibatches_need_no_init(self):
        problem = problems.noisy_terms(problems.parabola_chain(3), 0, 3, 0.1, 0.0)
        start = torch.ones(1, 3).double()
        batches = random_batches(0, problem.n, steps=6, calls=1, runs=(1,), size=2)
        foreign, own = (
            run(problem, optimizers.Minibatch(rule, batches), 6, start=start).final
            for rule in (self.factory(Plain), optimizers.GD(0.5))
        )
        assert torch.equal(foreign, own)


def test_a_flow_without_end_is_inconclusive():
    class Chattering(optimizers.GD):
        def direction(self, oracle, w):
            return torch.sign(w - 0.3)

    rule = Subject.from_object("gd", Chattering).factory(1.0)
    with pytest.raises(Inconclusive, match=r"came to time 0\.\d+ with 5000 evaluations"):
        flow(logistic_problem(), rule, [0.0, 10.0], evaluations=5000)


def spin(seconds, inner=None):
    with inner or nullcontext():
        pass
    ends = time.monotonic() + seconds
    while time.monotonic() < ends:
        pass


def test_chance_is_that_of_the_seed():
    """What a subject draws is the same in each run of a claim, and nobody else's."""

    class Noisy(torch.optim.SGD):
        def step(self, closure=None):
            super().step(closure)
            parameter = self.param_groups[0]["params"][0]
            with torch.no_grad():
                parameter.add_(1e-3 * torch.randn_like(parameter) * (1 + random.random()))

    def body(trial):
        assert trial.seed in (42, 43)
        moved = trial.run(logistic_problem(), trial.optimizer("gd"), 3).final
        trial.close("length", moved.norm(), 0.0, 1.0, "none")

    claim = Claim("own/noisy", "none", "none", (), "limit", ("gd",), (), body)
    setting = Setting(subjects={"gd": Subject.from_object("gd", Noisy).factory})
    before = torch.get_rng_state()
    one, same = (claim.evaluate(setting).evidence for _ in range(2))
    other = claim.evaluate(replace(setting, seed=43)).evidence
    assert one == same
    assert one[0].measured != other[0].measured
    assert torch.equal(torch.get_rng_state(), before)


class TestTimeLimit:
    def test_interrupts_and_restores(self):
        with pytest.raises(SubjectFailed, match="too late"), time_limit(0.05, "too late"):
            spin(5.0)
        with time_limit(0.05, "never"):
            pass
        time.sleep(0.07)

    def test_an_outer_limit_goes_on(self):
        with pytest.raises(SubjectFailed, match="outer"), time_limit(0.1, "outer"):
            spin(5.0, inner=time_limit(5.0, "inner"))

    def test_no_limit_and_no_time(self):
        with time_limit(None, "never"):
            pass
        with pytest.raises(SubjectFailed, match="already"), time_limit(-1.0, "already"):
            pass

    def test_other_threads_run_unguarded(self):
        ended = []

        def work():
            with time_limit(0.01, "never"):
                time.sleep(0.05)
            ended.append(True)

        thread = threading.Thread(target=work)
        thread.start()
        thread.join()
        assert ended


MALFORMED = {
    "torch.optim:SGD": "names no role: write ROLE=MODULE:ATTR",
    "torch.optim:SGD,lr=0.1": "names no role",
    "=torch.optim:SGD": "names no role",
    "adm=torch.optim:Adam": "unknown role 'adm'; roles: gd, momentum",
    "adam=": "no MODULE:ATTR",
    "adam=torch.optim": "'torch.optim' is no MODULE:ATTR: write it like torch.optim:SGD",
    "adam=no.such:Adam": "cannot import the module 'no.such' (ModuleNotFoundError",
    "adam=torch.optim:adam_": "torch.optim has no 'adam_'; there is ",
    "adam=torch.optim:ADAM": "torch.optim has no 'ADAM'; there is Adam",
    "adam=torch.optim:Adam.Inner": "torch.optim has no 'Adam.Inner'",
    "adam=torch:__version__": "is of type TorchVersion: name a class or a function",
    "adam=torch.optim:Adam,lr": "'lr' is no option of a subject: write key=value",
    "adam=torch.optim:Adam,lr=": "'lr=' is no option",
    "adam=torch.optim:Adam,,": "'' is no option",
    "adam=torch.optim:Adam,a-b=1": "'a-b=1' is no option",
    "adam=torch.optim:Adam,lr=0.1.2": "lr=0.1.2 is no Python literal: write a number",
    "adam=torch.optim:Adam,lr=1,lr=2": "the option 'lr' is given twice",
    "adam=torch.optim:Adam,betas=(0.9,0.95": "a bracket or quote has no partner",
    "adam=torch.optim:Adam,betas=0.9)": "a bracket or quote has no partner",
    "adam=torch.optim:Adam,rate=1": "Adam takes no argument 'rate'; it takes: lr, betas",
    "adam=torch.optim:Adam,lr=-1": "lr=-1 is no step size: give a number > 0",
    "adam=torch.optim:Adam,lr=inf": "lr=inf is no step size",
    "adam=torch.optim:Adam,lr=fast": "lr='fast' is no step size",
}


class TestParsing:
    @pytest.mark.parametrize("spec", MALFORMED)
    def test_malformed(self, spec):
        with pytest.raises(UsageError) as error:
            parse_subject(spec)
        message = str(error.value)
        assert MALFORMED[spec] in message
        assert "\n" not in message

    def test_values(self):
        spec = (
            "spectral=torch.optim:Muon,lr=5e-2,ns_coefficients=(1,2,[3]),nesterov=false,"
            "adjust_lr_fn=match_rms_adamw,eps=inf,ns_steps='a,b'"
        )
        subject = parse_subject(spec)
        assert (subject.role, subject.target, subject.spec) == (
            "spectral",
            "torch.optim:Muon",
            spec,
        )
        assert subject.kwargs == {
            "lr": 0.05,
            "ns_coefficients": (1, 2, [3]),
            "nesterov": False,
            "adjust_lr_fn": "match_rms_adamw",
            "eps": float("inf"),
            "ns_steps": "a,b",
        }

    def test_dotted_attribute(self):
        subject = parse_subject("gd=torch:optim.SGD,lr=0.5")
        assert subject.constructor is torch.optim.SGD
        assert subject.factory(1.0).name == "torch:optim.SGD"

    def test_from_object_can_be_reproduced(self):
        subject = Subject.from_object("sam-l2", torch.optim.Adam, lr=0.5, betas=(0.9, 0.95))
        again = parse_subject(subject.spec)
        assert again.kwargs == subject.kwargs
        assert again.constructor is torch.optim.Adam
        assert hash(again)

    def test_not_callable(self):
        with pytest.raises(UsageError, match="cannot be called"):
            Subject.from_object("gd", 3)
