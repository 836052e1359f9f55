"""What a user fixed outside a claim's hypotheses is not applicable, never refuted."""

import pytest
import torch

from limitpoint import Trial, all_claims, claim, evaluate, optimizers, problems
from limitpoint.optimizers import USAM
from limitpoint.subjects import Subject


def moves(role, rho=None, flows=False, **options):
    """A claim that gathers evidence whoever plays."""

    def body(trial: Trial) -> None:
        problem = problems.gaussian_regression(trial.seed, random_start=True)
        radius = {} if rho is None else {"rho": rho}
        rule = trial.optimizer(role, 1e-3, **radius, **options)
        run = trial.flow(problem, rule, [0, 1e-3]) if flows else trial.run(problem, rule, 2)
        trial.at_least("loss", problem.value(run.final), 0.0, 0.0, "it is a square")

    about = {"source": "none", "statement": "It runs.", "hypotheses": (), "kind": "bound"}
    return claim("toy/moves", roles=(role,), **about)(body).claim


def verdict(judged, role, made, **kwargs):
    found = evaluate(judged, [Subject.from_object(role, made, **kwargs)])
    return found.verdict.value, found.reason


class Switching(USAM):
    """Forgets its perturbation after a while: the direction that it inherits is not its own."""

    def init(self, oracle, w):
        return 0

    def step(self, oracle, w, state, t):
        return w - self.step_size.at(t) * oracle.grad(w), state + 1


@pytest.mark.parametrize(
    ("judged", "role", "made", "own", "named"),
    [
        (moves("gd"), "gd", torch.optim.SGD, {"weight_decay": 0.1}, "weight_decay = 0.0"),
        (moves("adam", epsilon=0.0), "adam", torch.optim.Adam, {"eps": 1e-8}, "epsilon = 0.0"),
        (moves("adam", beta1=0.9), "adam", torch.optim.Adam, {"betas": (0.8, 0.9)}, "beta1 = 0.9"),
        (moves("usam", rho=0.1), "usam", type("Mine", (USAM,), {}), {"rho": 0.2}, "rho = 0.1"),
        (moves("m-sam", rho=0.1), "m-sam", torch.optim.SGD, {}, "groups of m examples"),
        (moves("1-sam", rho=0.1), "1-sam", torch.optim.SGD, {}, "groups of m examples"),
        (moves("usam", rho=0.1, flows=True), "usam", Switching, {}, "has memory"),
        (moves("gd", flows=True), "gd", torch.optim.SGD, {}, "has memory"),
    ],
)
def test_it_names_the_hypothesis(judged, role, made, own, named):
    found, reason = verdict(judged, role, made, **own)
    assert found == "not-applicable"
    assert named in reason


@pytest.mark.parametrize(
    ("judged", "role", "made", "own"),
    [
        (moves("usam", rho=0.1), "usam", type("Mine", (USAM,), {}), {"rho": 0.1}),
        (moves("usam", rho=0.1, free=("rho",)), "usam", type("Mine", (USAM,), {}), {"rho": 0.2}),
        (moves("usam", rho=0.1, flows=True), "usam", type("Mine", (USAM,), {}), {}),
        (moves("usam", rho=torch.tensor(0.1)), "usam", type("Mine", (USAM,), {}), {}),
        (moves("adam", epsilon=0.0), "adam", torch.optim.AdamW, {}),
        (moves("gd"), "gd", torch.optim.SGD, {"momentum": 0.9}),
    ],
)
def test_what_is_the_claims_or_free_is_judged(judged, role, made, own):
    assert verdict(judged, role, made, **own) == ("supported", "")


def test_beta1_alone_reaches_a_momentum():
    muon = Subject.from_object("muon", torch.optim.Muon)
    assert muon.rule(0.1, beta1=0.9).settings["momentum"] == 0.9
    sgd = Subject.from_object("adam", torch.optim.SGD)
    assert sgd.rule(0.1, beta1=0.9, beta2=0.99).settings["momentum"] == 0
    assert optimizers.Muon(0.1, beta1=0.5).settings["beta1"] == 0.5


class FirstPointLeftOut(optimizers.ScheduleFree):
    """As the authors' class: the average begins with the point behind a plain step."""

    def step(self, oracle, w, state, t):
        _, z = super().step(oracle, w, state, t)
        return w + (z - w) / (t + 1), z


def test_schedule_free_may_begin_behind_a_plain_step():
    judged = all_claims()["online/schedule-free"]
    assert verdict(judged, "schedule-free", FirstPointLeftOut)[0] == "supported"
