"""limitpoint identify: the problems, the rule of decision, some optimizers, and bad input."""

import itertools
import json
import math
import sys

import cvxpy as cp
import numpy as np
import pytest
import torch

import limitpoint
from limitpoint import UsageError, identify, limits, optimizers, problems
from limitpoint.cli import main
from limitpoint.commands import identify_
from limitpoint.identification import (
    COURSES,
    NORMS,
    Curves,
    Verdict,
    conclude,
    judge,
    sparkline,
)
from limitpoint.identification._courses import Course, Seen
from limitpoint.identification._deciding import APART, SURE
from limitpoint.problems.problem import stack
from limitpoint.theory.measures import normalised_margin

FAR_APART = problems.far_apart()


def optimum(problem, norm):
    return limits.max_margin(problem.X.numpy(), problem.y.numpy(), norm, classes=problem.classes)


# The problems.


@pytest.mark.parametrize("problem", FAR_APART, ids=lambda p: p.name)
def test_each_norms_solution_is_far_from_the_others(problem):
    found = {norm: optimum(problem, norm) for norm in NORMS.values()}
    for one, other in itertools.permutations(found, 2):
        reached = normalised_margin(problem, torch.from_numpy(found[one].solution), other)
        assert float(reached) < APART * found[other].value, (one, other)


@pytest.mark.parametrize(("one", "other"), list(itertools.combinations(NORMS, 2)))
def test_no_parameter_is_good_in_two_norms(one, other):
    """On one problem at least, max over W of the lesser of two ratios is under SURE."""
    assert min(best_of_both(p, NORMS[one], NORMS[other]) for p in FAR_APART) < SURE


def best_of_both(problem, one, other):
    """1 / min of max(gamma_1 ||W||_1, gamma_2 ||W||_2) over the W with margins >= 1."""
    X, W = problem.X.numpy(), cp.Variable(problem.start.shape)
    logits, n = X @ W.T, problem.n
    margins = [logits[i, i] - logits[i, c] >= 1 for i in range(n) for c in range(n) if c != i]
    sizes = [optimum(problem, norm).value * expression(W, norm) for norm in (one, other)]
    cost = cp.Problem(cp.Minimize(cp.maximum(*sizes)), margins)
    return 1 / cost.solve(solver=cp.CLARABEL)


def expression(W, norm):
    if isinstance(norm, str):
        return cp.sigma_max(W) if norm == "spectral" else cp.normNuc(W)
    return cp.norm(cp.vec(W, order="C"), norm)


def test_the_loss_is_one_smooth():
    for problem in FAR_APART:
        assert float(torch.linalg.matrix_norm(problem.X, 2)) ** 2 / (2 * problem.n) == (
            pytest.approx(1.0)
        )


FADING = Course("fading", "", per_loss=True, fading=0.55)
SEEN = Seen(stack(FAR_APART), (Course("plain", ""), FADING), t=20)


def handed(w):
    out = np.empty(w.shape)
    SEEN.kernels.hand(w, out)
    return torch.from_numpy(out)


def test_a_course_sees_the_loss_or_its_logarithm_with_their_gradients():
    w = torch.full_like(SEEN.start, 0.1, requires_grad=True)
    loss, factor = SEEN.problem.value(w[1]), FADING.factor(20)
    assert factor == pytest.approx(3**-0.55)
    values = torch.stack([SEEN.problem.value(w[0]), factor * loss.log()])
    torch.testing.assert_close(SEEN.value(w), values)
    gradient = torch.autograd.grad(values.sum(), w)[0]
    torch.testing.assert_close(SEEN.grad(w.detach()).tensor(), gradient)
    torch.testing.assert_close(handed(w.detach()), gradient)


def test_the_logarithm_has_a_gradient_where_the_loss_has_none():
    optima = [torch.from_numpy(optimum(problem, 2.0).solution) for problem in FAR_APART]
    w = (1e5 * torch.stack(optima)).expand_as(SEEN.start).contiguous()
    assert not SEEN.problem.value(w).any()
    least = FADING.factor(20) * torch.tensor([optimum(p, 2.0).value for p in FAR_APART])
    for gradient in (handed(w), SEEN.grad(w).tensor()):
        assert bool((torch.linalg.matrix_norm(gradient[1]) > least * (1 - 1e-6)).all())


# One course: synthetic curves.

TIMES = np.unique(np.r_[0, np.geomspace(1, 20_000, 36).round()]).astype(np.int64)
AWAY = (0.3, 0.6, 0.5, 0.55, 0.4)


def curves(
    norm=2, level=0.97, start=0.2, heading=None, gradient=-3.0, loss=-30.0, ended="", power=0.5
):
    """One norm goes from start to level like 1 - t^-power; the others stay."""
    t = np.maximum(TIMES, 1)[:, None]
    position = np.tile(np.array(AWAY), (len(TIMES), 1))
    position[:, norm] = level + (start - level) * t[:, 0] ** -power
    aims = position.copy()
    aims[:, norm] = level if heading is None else heading
    size = np.log(1 + t[:, 0])
    full = np.full(len(TIMES), 1.0)
    return Curves(TIMES, position, aims, gradient * full, size, loss * full, ended)


def test_a_norm_holds():
    verdict = judge(curves())
    assert (verdict.status, verdict.norm) == ("holds", "l-infinity")


def test_a_heading_kept_for_a_decade_holds_before_the_position_does():
    slow = {"level": 0.99, "start": -3.0, "power": 0.25}
    assert judge(curves(**slow, heading=0.99)).status == "holds"
    assert judge(curves(**slow, heading=0.85)).status == "moving"


def test_a_lead_that_is_too_small_does_not_hold():
    two = curves(level=0.93)
    two.position[:, 3] = two.heading[:, 3] = 0.9
    assert judge(two).status != "holds"


def test_a_standstill_is_told_from_slow_progress():
    verdict = judge(curves(level=0.8))
    assert (verdict.status, verdict.norm) == ("stalls", "l-infinity")
    like_gradient_descent = curves(norm=1)
    t = np.maximum(TIMES, 2)
    like_gradient_descent.position[:, 1] = 1 - 1.5 / np.log(t)
    like_gradient_descent.heading[:, 1] = 1 - 1.3 / np.log(t)
    assert judge(like_gradient_descent).status == "moving"


def test_a_norm_that_was_left_is_named_with_its_peak():
    left = curves()
    late = TIMES > 1000
    left.position[late, 2] = left.heading[late, 2] = 0.6
    left.position[late, 1] = left.heading[late, 1] = 0.8
    verdict = judge(left)
    assert (verdict.status, verdict.norm) == ("left", "l-infinity")
    assert "now 0.600, and l2 0.800" in verdict.text


def test_an_epsilon_above_the_gradient_is_named():
    left = curves()
    late = TIMES > 1000
    left.position[late, 2] = left.heading[late, 2] = 0.6
    left.gradient[late] = math.log(1e-9)
    verdict = judge(left, epsilon=1e-8)
    assert (verdict.status, verdict.norm) == ("holds", "l-infinity")
    assert verdict.epsilon_step == TIMES[late][0]
    assert "epsilon = 1e-08 took over" in verdict.text


def test_a_loss_that_did_not_fall_is_too_short():
    assert judge(curves(loss=-0.1)).status == "short"


def test_the_reason_of_an_early_end_is_kept():
    assert "precision ran out" in judge(curves(ended="precision ran out at step 7")).text


# All courses.


def verdict(status, norm="l2", ratio=0.97, rising=False):
    return Verdict(status, norm, ratio, f"{status} {norm}", rising)


MOVING = verdict("moving", ratio=0.82, rising=True)
CASES = {
    "decaying steps decide": ((verdict("holds"), verdict("holds"), MOVING), "l2"),
    "lr / loss decides where the others are slow": ((MOVING, verdict("holds"), MOVING), "l2"),
    "one leads elsewhere, one confirms": (
        (MOVING, verdict("holds", "spectral"), verdict("moving", "spectral", 0.85)),
        "spectral",
    ),
    "one leads elsewhere, the other is too far": (
        (MOVING, verdict("holds", "spectral"), verdict("moving", "spectral", 0.75)),
        "undecided at this horizon",
    ),
    "the others lead elsewhere": (
        (MOVING, verdict("holds", "l-infinity"), MOVING),
        "undecided at this horizon",
    ),
    "shrinking gradients speak against it": (
        (MOVING, verdict("holds", "l-infinity"), verdict("stalls", "l2", 0.8)),
        "none of these",
    ),
    "two norms": ((verdict("holds"), verdict("holds", "spectral"), MOVING), "none of these"),
    "a norm that was left": ((verdict("left"), *[verdict("holds")] * 2), "none of these"),
    "nearest everywhere, but it stalls": (
        (verdict("moving", "spectral", 0.79), *[verdict("stalls", "spectral", 0.86)] * 2),
        "spectral",
    ),
    "standstill far from all": ((verdict("stalls", ratio=0.7),) * 3, "none of these"),
    "all still moving": ((MOVING,) * 3, "undecided at this horizon"),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_conclusion(name):
    found, expected = CASES[name]
    names = ("decaying", "per-loss", "fading")
    assert conclude(dict(zip(names, found, strict=True))).answer == expected


def test_what_a_stall_leaves_is_said():
    found = (verdict("holds", "spectral", 0.93), *[verdict("stalls", "spectral", 0.86)] * 2)
    answer = conclude(dict(zip(("decaying", "per-loss", "fading"), found, strict=True)))
    assert answer.shortfall == pytest.approx(0.07)
    assert "but for the 14% that it leaves where it stalls" in answer.why


# Optimizers, at a short horizon.


class SignSGD(torch.optim.Optimizer):
    """The sign of the gradient."""

    def __init__(self, params, lr=1e-3):
        super().__init__(params, {"lr": lr})

    @torch.no_grad()
    def step(self):
        for group in self.param_groups:
            for p in group["params"]:
                p.sub_(group["lr"] * p.grad.sign())


class Lion(torch.optim.Optimizer):
    """Chen et al. 2023: the sign of an interpolated momentum."""

    def __init__(self, params, lr=1e-4, betas=(0.9, 0.99)):
        super().__init__(params, {"lr": lr, "betas": betas})

    @torch.no_grad()
    def step(self):
        for group in self.param_groups:
            beta1, beta2 = group["betas"]
            for p in group["params"]:
                m = self.state[p].setdefault("m", torch.zeros_like(p))
                p.sub_(group["lr"] * (beta1 * m + (1 - beta1) * p.grad).sign())
                m.mul_(beta2).add_(p.grad, alpha=1 - beta2)


class Broken(torch.optim.SGD):
    """NaN after five steps."""

    def step(self, closure=None):
        super().step()
        self.steps = getattr(self, "steps", 0) + 1
        if self.steps > 5:
            self.param_groups[0]["params"][0].data.fill_(math.nan)


class Idle(torch.optim.SGD):
    """Does nothing."""

    def step(self, closure=None):
        pass


class Raising(torch.optim.SGD):
    """Raises at once."""

    def step(self, closure=None):
        raise RuntimeError("no such luck")


class Endless(torch.optim.SGD):
    """Never comes back."""

    def step(self, closure=None):
        while True:
            pass


class EndlessRule(optimizers.GD):
    """The same as a rule."""

    def direction(self, oracle, w):
        while True:
            pass


class Greedy(torch.optim.SGD):
    """Asks for ever more memory."""

    def step(self, closure=None):
        self.kept = [*getattr(self, "kept", ()), torch.ones(10_000_000)]
        super().step()


class Talks(torch.optim.SGD):
    """Prints at each step."""

    def step(self, closure=None):
        print("the loss is fine")
        super().step()


EXPECTED = [
    (torch.optim.SGD, {"lr": 0.1, "momentum": 0.9}, 1500, "l2"),
    (SignSGD, {}, 1500, "l-infinity"),
    (Lion, {}, 1500, "l-infinity"),
    (optimizers.CoordinateDescent, {}, 8000, "l1"),
    (optimizers.SpectralDescent, {}, 1500, "spectral"),
]


@pytest.mark.parametrize(("optimizer", "kwargs", "steps", "norm"), EXPECTED)
def test_the_geometry(optimizer, kwargs, steps, norm):
    found = limitpoint.identify(optimizer, steps=steps, **kwargs)
    assert found.norm == norm, found.answer.why


def test_too_short_a_horizon_is_undecided():
    found = limitpoint.identify(torch.optim.SGD, steps=100)
    assert (found.answer.answer, found.norm) == ("undecided at this horizon", None)
    assert "the loss is too large on decaying" in found.answer.why


def test_no_answer_says_that_precision_ran_out():
    found = limitpoint.identify(torch.optim.Rprop, steps=300)
    assert found.norm is None
    assert "precision ran out on decaying" in found.answer.why


@pytest.mark.parametrize(
    ("optimizer", "why"),
    [
        (Broken, "NaN at step"),
        (Idle, "did not move"),
        (Raising, "raised RuntimeError"),
        (Endless, "exceeded its time limit of 2 s at step 0"),
        (EndlessRule, "exceeded its time limit of 2 s at step 0"),
        (Greedy, "memory at step"),
    ],
)
def test_a_failure_is_an_answer(optimizer, why):
    found = limitpoint.identify(optimizer, steps=100, timeout=2.0, memory=0.2)
    assert found.answer.answer == "failed"
    assert why in found.answer.why


# The command.


def test_the_command(capsys, tmp_path):
    figure = tmp_path / "trend.png"
    target = "torch.optim:SGD,lr=0.1"
    assert main(["identify", target, "--steps", "100", "--figure", str(figure)]) == 0
    out = capsys.readouterr().out
    assert "torch.optim:SGD,lr=0.1: undecided at this horizon" in out
    assert figure.read_bytes().startswith(b"\x89PNG")


class Learning(torch.optim.SGD):
    """Its "decay" is no weight decay."""

    def __init__(self, params, lr=0.1, decay=0.1):
        super().__init__(params, lr=lr)


@pytest.mark.parametrize(("optimizer", "said"), [(Learning, 0), (torch.optim.AdamW, 1)])
def test_a_weight_decay_that_is_off_is_said(optimizer, said):
    notes = limitpoint.identify(optimizer, steps=200).notes
    assert sum("weight decay is off" in note for note in notes) == said


def test_json(capsys):
    assert main(["identify", "limitpoint.optimizers:SignGD", "--steps", "100", "--json"]) == 0
    (found,) = json.loads(capsys.readouterr().out)
    assert [course["name"] for course in found["courses"]] == [course.name for course in COURSES]
    assert list(found["courses"][0]["position"]) == list(NORMS)


def test_several_optimizers_make_one_table(capsys):
    targets = ["torch.optim:SGD,lr=0.1", "limitpoint.optimizers:SignGD"]
    assert main(["identify", *targets, "--steps", "100"]) == 0
    out = capsys.readouterr().out
    for part in ("after 100 steps of each schedule", *targets, "undecided", "fading"):
        assert part in out


def test_what_is_known_is_shown_as_it_comes_and_when_it_is_interrupted(capsys, monkeypatch):
    real, known = identify_.identify_subject, []

    def interrupted(subject, **how):
        if known:
            raise KeyboardInterrupt
        known.append(subject)
        return real(subject, **how)

    monkeypatch.setattr(identify_, "identify_subject", interrupted)
    targets = ["limitpoint.optimizers:SignGD", "torch.optim:SGD,lr=0.1"]
    assert main(["identify", *targets, "--steps", "100"]) == 130
    shown = capsys.readouterr()
    assert shown.err.splitlines()[0].startswith("limitpoint.optimizers:SignGD: ")
    assert "interrupted after 1 of 2" in shown.err
    assert "limitpoint.optimizers:SignGD" in shown.out
    assert "SGD,lr" not in shown.out


def test_one_that_fails_leaves_the_others_their_row(capsys):
    targets = ["torch.optim:SGD,momentum=-1", "limitpoint.optimizers:SignGD"]
    assert main(["identify", *targets, "--steps", "100", "--json"]) == 1
    failed, found = json.loads(capsys.readouterr().out)
    assert (failed["answer"], failed["courses"]) == ("failed", [])
    assert len(found["courses"]) == len(COURSES)


def test_what_an_optimizer_prints_is_left_out(capsys, monkeypatch):
    monkeypatch.setattr(torch.optim, "Talks", Talks, raising=False)
    assert main(["identify", "torch.optim:Talks", "--steps", "100", "--json"]) == 0
    printed = capsys.readouterr()
    assert json.loads(printed.out)[0]["target"] == "torch.optim:Talks"
    assert printed.err.endswith("lines that it printed are not shown\n")


def test_a_failing_optimizer_exits_with_one(capsys):
    assert main(["identify", "torch.optim:SGD,momentum=-1"]) == 1
    out = capsys.readouterr().out
    assert "torch.optim:SGD,momentum=-1: failed" in out
    assert "raised ValueError in its constructor" in out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["torch.optim"], "is no MODULE:ATTR"),
        (["gd=torch.optim:SGD"], "an optimizer has no role here"),
        (["torch.optim:Nothing"], "has no 'Nothing'"),
        (["torch.optim:SGD,speed=1"], "takes no argument 'speed'"),
        (["torch.optim:SGD,betas=(1"], "write MODULE:ATTR[,key=value...]"),
        (["torch.optim:SGD", "--steps", "5"], "whole number >= 100"),
        (["torch.optim:SGD", "--figure", "trend.txt"], "must end in .png"),
        (["torch.optim:SGD", "torch.optim:Adam", "--figure", "a.png"], "name only one"),
    ],
)
def test_wrong_usage_is_one_line(capsys, arguments, message):
    with pytest.raises(SystemExit, match="2"):
        sys.exit(main(["identify", *arguments]))
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1


def test_wrong_usage_from_python():
    with pytest.raises(UsageError, match="takes no argument 'speed'"):
        identify(torch.optim.SGD, speed=1)


def test_sparkline():
    assert sparkline([]) == ""
    assert sparkline([-1, 0, 0.5, 1]) == "▁▁▅█"
    assert len(sparkline(np.linspace(0, 1, 500))) == 12
