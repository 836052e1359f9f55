"""Duels: one claim against one rival, and what a rival says of itself."""

import pytest

from limitpoint import Setting, Trial, all_claims, claim, problems
from limitpoint.judgement.contestant import House
from limitpoint.optimizers import GD, Adam
from limitpoint.optimizers.schedules import StepSize
from limitpoint.rivals import RIVALS, Rival
from limitpoint.rivals import duels as mutants
from limitpoint.rivals.duels import all_matches, fight, named_matches


@claim(
    "toy/moves",
    source="none",
    statement="The first step is eta times the gradient.",
    hypotheses=(),
    kind="identity",
    roles=("gd",),
    rivals=("ascent",),
)
def toy(trial: Trial) -> None:
    """The step is read off the iterates."""
    problem = problems.gaussian_regression(trial.seed, random_start=True)
    run = trial.run(problem, trial.optimizer("gd", 1.0), 1, record=[0, 1])
    trial.identity("step", run.w[0] - run.w[1], problem.grad(run.w[0]), 1e-12, "rounding")


def test_the_wrong_sign_is_refuted_by_as_much_as_it_is_wrong():
    found = fight(toy.claim, "gd", "ascent", Setting())
    assert found.killed
    assert found.named
    assert found.slack == pytest.approx(1 - 2 / 1e-12, rel=1e-3)


def test_a_stale_gradient_is_spared_by_a_claim_about_the_first_step():
    found = fight(toy.claim, "gd", "stale", Setting())
    assert (found.result, found.named) == ("survived", False)


def test_an_exception_is_a_verdict(monkeypatch):
    monkeypatch.setattr(mutants, "RIVALS", {"odd": odd("odd"), "ascent": odd("ascent")})
    assert fight(toy.claim, "gd", "odd", Setting()).result == "not applicable"
    named = fight(toy.claim, "gd", "ascent", Setting())
    assert (named.verdict, named.result) == ("error", "survived")
    assert named.reason == "TypeError: needs a radius"


def odd(name):
    def factory(step_size, **settings):
        raise TypeError("needs a radius")

    return Rival(name, "takes no settings", lambda role: House(role, factory))


def test_pairs_are_the_named_ones_or_all_of_the_role():
    claims = list(all_claims().values())
    named, every = set(named_matches(claims)), set(all_matches(claims))
    assert named < every
    assert all(role in found.roles for found, role, _ in every)


def test_a_mutation_is_of_the_roles_own_rule():
    made = RIVALS["ascent"].contestant("gd").rule(0.1)
    assert isinstance(made.rule, GD)


def test_a_rival_says_what_it_was_told():
    told = {"beta1": 0.9, "beta2": 0.95, "epsilon": 0.0, "weight_decay": 0.25}
    for name in ("adam-beta-swap", "adam-epsilon", "adam-no-decay", "stale", "adam-undamped"):
        made = RIVALS[name].contestant("adamw").rule(StepSize(0.1), **told)
        assert told.items() <= made.settings.items(), name
    assert Adam(0.1, **told).settings == told | {"bias_correction": False}


def test_a_rival_takes_no_settings_of_subjects():
    with pytest.raises(TypeError, match="timeout"):
        RIVALS["ascent"].contestant("gd").rule(StepSize(0.1), timeout=1.0)


@claim(
    "toy/formula",
    source="none",
    statement="Two and two are four.",
    hypotheses=(),
    kind="identity",
    roles=("gd",),
    seeded=False,
)
def about_a_formula(trial: Trial) -> None:
    """Whoever plays: what is violated is no credit to the claim."""
    step = trial.optimizer("gd", 1.0).step_size.initial
    trial.at_least("step", step, 0.5, 0.0, "it is one")
    trial.close("two and two", 2 + 2, 5, 0.5, "arithmetic", about="a formula")


def test_a_violated_formula_is_no_kill():
    found = fight(about_a_formula.claim, "gd", "ascent", Setting())
    assert (found.verdict, found.result) == ("error", "survived")
    assert found.reason.startswith(
        "violated, and not about gd: two and two: measured 4, expected 5"
    )
