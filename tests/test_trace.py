"""Rules and losses as graphs: what is followed, what is not and says why, and what is noticed."""

import math
from dataclasses import dataclass, replace
from importlib import import_module
from inspect import signature
from typing import NamedTuple

import pytest
import torch
from combinations import MODELS, RULES, problem_of
from test_compiled import gap

from limitpoint import StepSize, UsageError, losses, models, numerics, optimizers, problems, run
from limitpoint.engines import cpu as compiled
from limitpoint.engines.trace import rewriting, trace_loss
from limitpoint.numerics import Scaled
from limitpoint.optimizers import Memoryless, Rule
from limitpoint.optimizers.roles import ROLES
from limitpoint.problems.losses import FiniteRootLoss, MarginLoss
from limitpoint.rivals import RIVALS
from limitpoint.rivals.matrix import roles_of

#: Rivals that stay with torch, and what in them cannot be followed.
NOT_FOLLOWED = {
    "spectral-rank-one": "svd",
    "spectral-stretched": "matrix_norm",
    "muon-rank-one": "svd",
    "muon-stretched": "matrix_norm",
    "newton-schulz-cubic": "matrix_norm",
    "newton-schulz-spectral": "matrix_norm",
    "usam-gentle": "Could not infer dtype",
    "one-layer": "subscriptable",
    "ascent-random": "torch's mul",
    "ascent-unit-random": "a tensor of its own",
    "batches-swapped": "roll",
    "1-sam-descends-on-all": "movedim",
    "adam-epsilon-clamped": "new_tensor",
    **dict.fromkeys(
        (
            "accelerated-late", "rmsprop-late", "sign-momentum-late", "state-reset", "step-floor",
            "usam-switched",
        ),
        "a branch that depends on",
    ),
}  # fmt: skip


def why_not(problem, rule) -> str:
    """Why a rule is not compiled, or ""."""
    try:
        compiled.plan(problem, rule, problem.start, {})
    except compiled.NotCovered as missing:
        return str(missing)
    return ""


# ------------------------------------------------------------------------------- who is followed


def test_every_model_is_compiled_and_tested():
    assert set(MODELS) == set(compiled.MODELS)


# Training of deep networks is torch's own: the gradients of a network are not followed.
@pytest.mark.parametrize("role", sorted(ROLES.keys() - {"deep-sam"}))
def test_every_role_is_compiled(role):
    problem = problem_of(models.MulticlassLinear, losses.CrossEntropy)
    assert why_not(problem, ROLES[role](step_size=StepSize(0.1, 0.5))) == ""


# In the first of its roles with each commit; each is compiled for this test alone.
@pytest.mark.parametrize(
    ("name", "role"),
    [
        pytest.param(name, role, marks=[pytest.mark.nightly] if place else [])
        for name, one in RIVALS.items()
        if one.twin is None
        for place, role in enumerate(sorted(set(roles_of(name)) - {"deep-sam"}))
    ],
)
def test_a_rival_is_compiled_as_it_is_or_says_why_not(name, role):
    theirs = {"rho": 0.1, "beta1": 0.9, "beta2": 0.95, "p": 2.0, "momentum": 0.9}
    known = signature(ROLES[role]).parameters
    taken = {name: value for name, value in theirs.items() if name in known}
    rule = RIVALS[name].contestant(role).rule(StepSize(0.01, 0.5), **taken)
    matrices = role in ("spectral", "muon", "muon-ns")
    problem = (
        problem_of(models.MulticlassLinear, losses.CrossEntropy)
        if matrices
        else problem_of(models.DiagonalDifference, losses.Squared)
    )
    reason = why_not(problem, rule)
    assert NOT_FOLLOWED.get(name, "") in reason
    assert bool(reason) == (name in NOT_FOLLOWED)
    if not reason:
        # Some of them diverge soon.
        assert gap(problem, rule, (0, 1, 2)) <= 1e-13


# ------------------------------------------------------------------------------- rules of a user


@dataclass(frozen=True, eq=False)
class Lion(Rule):
    """A rule of somebody else's, in one class."""

    beta1: float = 0.9
    beta2: float = 0.99
    weight_decay: float = 0.1

    def init(self, oracle, w) -> Scaled:
        return numerics.zeros_like(w)

    def step(self, oracle, w, state, t):
        g = numerics.scaled(oracle.grad(w))
        c = self.beta1 * state + (1 - self.beta1) * g
        eta = self.step_size.at(t)
        moved = (1 - eta * self.weight_decay) * w - eta * numerics.sign(c)
        return moved, self.beta2 * state + (1 - self.beta2) * g


class Kept(NamedTuple):
    mean: torch.Tensor
    largest: torch.Tensor
    steps: float


class Odd(Memoryless):
    """Whatever else a step may be written with."""

    def init(self, oracle, w):
        return None

    def direction(self, oracle, w):
        raise NotImplementedError

    def step(self, oracle, w, state, t):
        g = numerics.tensor(oracle.grad(w))
        if state is None:
            state = Kept(torch.zeros_like(w), g.abs().amax(oracle.dims, keepdim=True), 0.0)
        mean = torch.where(g.abs() > 1e-3, 0.5 * state.mean + g, state.mean).clamp(-2, max=2.0)
        largest = torch.maximum(state.largest, g.abs().amax(oracle.dims, keepdim=True))
        scale = (1 + state.steps) ** 0.5 * (1e-3 + largest)
        norm = torch.linalg.vector_norm(mean, 3, dim=oracle.dims, keepdim=True)
        push = torch.tanh(mean) / (scale + norm) + mean.mean(oracle.dims, keepdim=True).square()
        return w - self.step_size.at(t) * push, Kept(mean, largest, state.steps + 1)


class BySteps(optimizers.GD):
    """Something else at the first step."""

    def step(self, oracle, w, state, t):
        factor = 2.0 if t == 0 else 1.0
        return w - factor * numerics.tensor(self.step_size.at(t) * oracle.grad(w)), None


@pytest.mark.parametrize("rule", [
    Lion(StepSize(0.01, 0.5)), Odd(StepSize(0.01, 0.3)), BySteps(0.01),
], ids=lambda rule: type(rule).__name__)  # fmt: skip
@pytest.mark.parametrize(
    ("model", "loss"),
    [(models.Linear, losses.Logistic), (models.DiagonalProduct, losses.Squared),
     (models.MulticlassLinear, losses.CrossEntropy)],
    ids=["linear", "product", "classes"],
)  # fmt: skip
def test_a_rule_of_a_users_own_is_compiled_for_nothing(rule, model, loss):
    assert gap(problem_of(model, loss), rule) <= 1e-13


class Draws(optimizers.GD):
    def direction(self, oracle, w):
        return (1 + float(torch.rand(1))) * oracle.grad(w)


class Counts(optimizers.GD):
    def direction(self, oracle, w):
        count = vars(self).get("count", 0)
        object.__setattr__(self, "count", count + 1)
        return (1 + count) * oracle.grad(w)


class Late(optimizers.GD):
    def step(self, oracle, w, state, t):
        factor = 1.0 if t < 100 else 2.0
        return w - factor * numerics.tensor(self.step_size.at(t) * oracle.grad(w)), None


class Looks(optimizers.GD):
    def direction(self, oracle, w):
        return oracle.grad(w) if bool((w > 0).all()) else -oracle.grad(w)


class Reads(optimizers.GD):
    def direction(self, oracle, w):
        return oracle.grad(w) * float(oracle.X.abs().max())


class Mantissa(optimizers.GD):
    def direction(self, oracle, w):
        g = oracle.grad(w)
        return g.mantissa if isinstance(g, Scaled) else g


@pytest.mark.parametrize(("rule", "reason"), [
    (Draws, "not a function of its arguments alone"),
    (Counts, "changes the rule itself"),
    (Late, "depends on the step"),
    (Looks, "Tensor.all"),
    (Reads, "the problem's X"),
    (Mantissa, "the mantissa of a Scaled value"),
])  # fmt: skip
def test_what_cannot_be_followed_stays_with_torch_and_says_why(rule, reason):
    problem = problem_of(models.Linear, losses.Logistic)
    assert reason in why_not(problem, rule(0.1))
    with pytest.raises(UsageError, match=reason):
        run(problem, rule(0.1), 3, engine="fused")
    said = []
    run(problem, rule(0.1), 3, report=lambda engine, why: said.append((engine, why)))
    assert said[0][0] == "torch"
    assert reason in said[0][1]


class Sly(optimizers.GD):
    """Right while it is traced, and wrong when it runs."""

    def direction(self, oracle, w):
        return oracle.grad(w) * (1.0 if isinstance(w, torch.Tensor) else 3.0)


def test_a_rule_that_does_something_else_when_it_is_traced_is_found_out():
    problem = problem_of(models.Linear, losses.Squared)
    said = []
    found = run(problem, Sly(0.01), 20, report=lambda *words: said.append(words))
    assert "something else when it is traced" in said[0][1]
    assert torch.equal(found.final, run(problem, Sly(0.01), 20, engine="torch").final)


# ------------------------------------------------------------------------------- losses of a user


@dataclass(frozen=True)
class Cauchy(FiniteRootLoss):
    """l = c^2 log(1 + (u/c)^2) / 2."""

    c: float = 0.5

    def of_residual(self, u):
        return self.c**2 * torch.log1p((u / self.c) ** 2) / 2

    def slope_of(self, u):
        return u / (1 + (u / self.c) ** 2)


@dataclass(frozen=True)
class Gompertz(MarginLoss):
    """l = 1 - exp(-e^-z): its slope is e^-z exp(-e^-z), two exponentials of which one is plain."""

    def log_of_margin(self, z):
        return torch.log(-torch.expm1(-torch.exp(-z)))

    def decline(self, z):
        return numerics.exp(-z) * torch.exp(-torch.exp(-z))


class SlopeOfItsOwn(losses.Logistic):
    def slope(self, prediction, y):
        return 2 * super().slope(prediction, y)


@pytest.mark.parametrize("loss", [Cauchy, Gompertz])
@pytest.mark.parametrize("name", ["gd", "adam", "1-sam"])
def test_a_loss_of_a_users_own_is_compiled_for_nothing(loss, name):
    kind, settings = RULES[name]
    settings = {k: v for k, v in settings.items() if not isinstance(v, torch.Tensor)}
    like = losses.Squared if loss is Cauchy else losses.Logistic
    problem = replace(problem_of(models.Linear, like), loss=loss())
    assert gap(problem, kind(0.01, **settings)) <= 1e-13


def test_a_loss_that_goes_around_its_own_functions_stays_with_torch():
    problem = replace(problem_of(models.Linear, losses.Logistic), loss=SlopeOfItsOwn())
    assert "a slope of its own" in why_not(problem, optimizers.GD(0.1))


def test_losses_are_traced_once():
    assert trace_loss(losses.PseudoHuber(delta=0.3)) is trace_loss(losses.PseudoHuber(delta=0.3))
    assert trace_loss(losses.PseudoHuber(delta=0.3)) is not trace_loss(losses.PseudoHuber())


# -------------------------------------------------------------------- the proof can fail


def test_parity_notices_code_that_is_off_by_1e_10(monkeypatch):
    """In a rule's loop, in a loss's slope, and in what graphs are made simpler by."""
    from limitpoint.engines.cpu.source import loss_source, rule_source

    execute = import_module("limitpoint.engines.cpu.execute")
    problem, adam = problem_of(models.Linear, losses.Logistic), optimizers.Adam(0.01, beta2=0.95)
    assert gap(problem, adam) <= 1e-13

    def longer(*args, **kwargs):
        found = rule_source(*args, **kwargs)
        text = found.text.replace("w[0, r, c] = x", "w[0, r, c] = (1 + 1e-10) * x")
        assert text != found.text
        return replace(found, text=text)

    with monkeypatch.context() as patched:
        patched.setattr(execute, "rule_source", longer)
        assert gap(problem, adam) > 1e-13

    def steeper(*args):
        found = loss_source(*args)
        text = found.text.replace("exp_at(", "(1 + 1e-9) * exp_at(")
        assert text != found.text
        return replace(found, text=text)

    with monkeypatch.context() as patched:
        patched.setattr(execute, "loss_source", steeper)
        assert gap(problem, optimizers.GD(0.1)) > 1e-13


def test_parity_notices_a_simplification_that_changes_something(monkeypatch):
    from limitpoint.engines.cpu.source import rule as source

    def wrong(outputs, graph):
        (w, *rest) = rewriting.with_reciprocals(outputs, graph)
        return [graph.make("add", w, graph.make("mul", graph.number(1e-9), w)), *rest]

    source.rule_source.cache_clear()
    monkeypatch.setattr(source, "with_reciprocals", wrong)
    assert gap(problem_of(models.Linear, losses.Squared), optimizers.GD(0.01)) > 1e-13
    source.rule_source.cache_clear()


def test_what_is_compiled_does_not_depend_on_the_numbers():
    """Another step size, another radius: the same code, given other numbers."""
    from limitpoint.engines.cpu.source import rule_source

    problem = problems.sparse_regression(0)
    texts = set()
    for eta, rho in ((0.1, 0.2), (0.3, math.pi)):
        plan = compiled.plan(problem, optimizers.L2SAM(eta, rho=rho), problem.start, {})
        texts.add(rule_source(plan.traced, plan.rows, plan.d, ascends=False).text)
    assert len(texts) == 1
