"""Whatever a torch-like optimizer does is a verdict."""

import resource
import time

import pytest
import torch
from subject_zoo import Quiet, final, logistic_problem

from limitpoint.errors import Inconclusive, SubjectFailed
from limitpoint.problems.losses import Exponential, Logistic
from limitpoint.problems.models import Linear
from limitpoint.problems.problem import Problem
from limitpoint.subjects import Limits, Subject, parse_subject


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


#: Nothing is known of what these would do at a step.
NOT_RUN = {
    Raises: r"it raised RuntimeError in its constructor: no such device \(.*failures\.py:\d+\)",
    Exits: r"it raised SystemExit at step 0 \(.*failures\.py:\d+\)",
    Demanding: r".*Demanding needs the argument 'curvature': give it as curvature=\.\.\.",
}
FAILURES = {
    NaN: "its iterate became NaN at step 0",
    Infinite: "its iterate became infinite at step 0",
    SinglePrecision: "changed its parameter's dtype from float64 to float32 at step 0",
    Halved: "changed its parameter's dtype from float64 to float16 in its constructor",
    Reshaped: "changed its parameter's shape from (3,) to (1, 3) at step 0",
    Quiet: "did not move in its first 10 steps",
    dict: "made a dict, which has no step(), nor first_step() and second_step(): not an optimizer",
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
        rule = Subject.from_object("gd", constructor).rule(0.5)
        with pytest.raises(SubjectFailed) as failure:
            final(rule, logistic_problem(), 20)
        assert str(failure.value).removeprefix(f"{__name__}:") == FAILURES[faulty]

    def test_a_step_that_raises_later(self):
        with pytest.raises(
            SubjectFailed, match=r"^raised KeyError at step 3: 'exp_avg' \(.*:\d+\)$"
        ):
            final(Subject.from_object("gd", RaisesLater).rule(0.5), logistic_problem(), 20)

    @pytest.mark.parametrize("faulty", NOT_RUN, ids=lambda f: f.__name__)
    def test_what_cannot_be_called_is_inconclusive(self, faulty):
        rule = Subject.from_object("gd", faulty).rule(0.5)
        with pytest.raises(Inconclusive, match=f"^could not be run: {NOT_RUN[faulty]}$"):
            final(rule, logistic_problem(), 20)

    @pytest.mark.parametrize("slow", LATE, ids=lambda f: f.__name__)
    def test_time_limit(self, slow):
        rule = Subject.from_object("gd", slow, Limits(timeout=0.15)).rule(0.5)
        with pytest.raises(SubjectFailed) as failure:
            final(rule, logistic_problem(), 20)
        assert str(failure.value) == LATE[slow]

    @pytest.mark.parametrize("greedy", TOO_MUCH, ids=lambda f: f.__name__)
    def test_memory_limit(self, greedy):
        rule = Subject.from_object("gd", greedy, Limits(memory=0.1)).rule(0.5)
        with pytest.raises(SubjectFailed, match=TOO_MUCH[greedy]):
            final(rule, logistic_problem(), 20)

    def test_memory_that_there_is_not(self):
        rule = Subject.from_object("gd", Huge).rule(0.5)
        with pytest.raises(SubjectFailed, match="ran out of memory at step 0"):
            final(rule, logistic_problem(), 20)

    def test_the_limit_on_memory_is_lifted_afterwards(self):
        before = resource.getrlimit(resource.RLIMIT_AS)
        with pytest.raises(SubjectFailed):
            final(
                Subject.from_object("gd", Huge, Limits(memory=0.1)).rule(0.5),
                logistic_problem(),
                20,
            )
        assert resource.getrlimit(resource.RLIMIT_AS) == before

    def test_a_bare_except_is_interrupted_again(self):
        rule = Subject.from_object("gd", Stubborn, Limits(timeout=0.15)).rule(0.5)
        with pytest.raises(SubjectFailed, match=r"exceeded its time limit of 0\.15 s at step 0"):
            final(rule, logistic_problem(), 20)

    def test_the_default_dtype_is_restored(self):
        final(Subject.from_object("gd", SetsTheDefault).rule(0.5), logistic_problem(), 3)
        assert torch.get_default_dtype() == torch.float32

    def test_a_long_message_is_cut(self):
        with pytest.raises(Inconclusive) as failure:
            final(Subject.from_object("gd", Wordy).rule(0.5), logistic_problem(), 3)
        assert len(str(failure.value)) < 300

    def test_a_run_of_many_steps_that_takes_long_is_inconclusive(self):
        rule = Subject.from_object("gd", Sleepy, Limits(timeout=0.15)).rule(0.5)
        with pytest.raises(Inconclusive, match=r"time ran out at step \d+: 0\.15 s are too few"):
            final(rule, logistic_problem(), 200)

    def test_at_a_minimum_nobody_has_to_move(self):
        problem = logistic_problem()
        start = torch.tensor([60.0, 0.1, 0.1]).double()
        far = Problem("far", Linear(), Logistic(), problem.X, problem.y, start)
        assert torch.equal(final(Subject.from_object("gd", Quiet).rule(0.5), far, 12), far.start)

    def test_gradient_below_float64_is_nobodys_failure(self):
        problem = logistic_problem()
        for side, sign in (("below", 1), ("above", -1)):
            start = sign * 4000 * problem.X[0] * problem.y[0]
            far = Problem("far", Linear(), Exponential(), problem.X, problem.y, start)
            lost = f"at step 0: the gradient is {side} float64's range"
            with pytest.raises(Inconclusive, match=lost):
                final(parse_subject("gd=torch.optim:SGD").rule(0.5), far)

    def test_a_rules_constructor(self):
        subject = parse_subject("adam=limitpoint.optimizers:Adam,beta1=2")
        with pytest.raises(
            SubjectFailed, match="raised ValueError in its constructor: invalid beta1"
        ):
            subject.rule(0.1)
