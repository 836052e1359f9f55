"""Subjects: they equal limitpoint's rule where they should, and take the theorem's settings."""

import random
import warnings
from dataclasses import replace
from functools import partial

import pytest
import torch
from subject_zoo import SAM, Quiet, final, final_here, gap, logistic_problem, multiclass_problem

from limitpoint import Claim, Setting, evaluate, optimizers, run
from limitpoint.errors import Inconclusive, NotApplicable
from limitpoint.optimizers.schedules import StepSize
from limitpoint.problems.losses import Exponential
from limitpoint.problems.models import Linear
from limitpoint.problems.problem import Problem, stack
from limitpoint.subjects import Subject, TorchOptimizer, parse_subject


class Counted(torch.optim.Adam):
    """Adam, or one that is no rule of entries."""

    calls = 0

    def __init__(self, params, *, kind, **options):
        self.kind, params = kind, list(params)
        if kind == "of matrices" and any(p.ndim != 2 for p in params):
            raise ValueError("matrices, please")
        super().__init__(params, **options)

    def step(self):
        type(self).calls += 1
        if self.kind == "of norms":
            torch.nn.utils.clip_grad_norm_(self.param_groups[0]["params"], 0.1)
        super().step()


class TestEquality:
    def test_sgd_is_gd(self):
        subject = Subject.from_object("gd", torch.optim.SGD)
        eta = StepSize(0.5, 0.3)
        assert gap(subject.rule(eta), optimizers.GD(eta), logistic_problem(), 50) <= 1e-15

    def test_adam_with_bias_correction(self):
        settings = {"beta1": 0.8, "beta2": 0.95, "epsilon": 0.0}
        subject = parse_subject("adam=torch.optim:Adam").rule(StepSize(0.1, 0.5), **settings)
        own = optimizers.Adam(StepSize(0.1, 0.5), **settings, bias_correction=True)
        assert gap(subject, own, logistic_problem(), 200) <= 1e-12

    def test_adamw_decay(self):
        subject = parse_subject("adam=torch.optim:AdamW").rule(0.1, epsilon=1e-3, weight_decay=0.2)
        own = optimizers.Adam(0.1, epsilon=1e-3, weight_decay=0.2, bias_correction=True)
        assert gap(subject, own, logistic_problem(), 50) <= 1e-13

    def test_momentum(self):
        subject = parse_subject("momentum=torch.optim:SGD").rule(0.3, momentum=0.7)
        own = optimizers.Momentum(0.3, momentum=0.7)
        assert gap(subject, own, logistic_problem(), 50) <= 1e-14

    def test_two_phase_sam_is_l2_sam(self):
        subject = Subject.from_object("sam-l2", SAM).rule(0.5, rho=0.2)
        problem = logistic_problem()
        assert gap(subject, optimizers.L2SAM(0.5, rho=0.2), problem, 50) <= 1e-10
        assert gap(subject, optimizers.GD(0.5), problem, 50) > 1e-3

    def test_sam_over_an_optimizer_named_in_text(self, monkeypatch):
        monkeypatch.setattr(torch.optim, "TestSAM", SAM, raising=False)
        subject = parse_subject(
            "sam-l2=torch.optim:TestSAM,base_optimizer=torch.optim:Adam,eps=0.5,rho=0"
        )
        rule = subject.rule(0.1, rho=0.3, epsilon=0.0, beta1=0.5, beta2=0.9)
        own = optimizers.Adam(0.1, beta1=0.5, beta2=0.9, epsilon=0.5, bias_correction=True)
        assert gap(rule, own, logistic_problem(), 20) <= 1e-13

    @pytest.mark.parametrize(
        ("kind", "calls"),
        [("entrywise", 12 * 5 + 38), ("of norms", 50 * 3), ("of matrices", 50 * 3)],
    )
    def test_a_batch_takes_the_steps_of_its_problems(self, kind, calls):
        """As one parameter where that is the same, and else one by one or in one optimizer."""
        problems = [replace(multiclass_problem(), X=c * multiclass_problem().X) for c in (1, 2, 3)]
        rule = Subject.from_object("adam", Counted, kind=kind).rule(0.1, epsilon=1e-3)
        alone = torch.stack([final_here(rule, problem, 50) for problem in problems])
        Counted.calls = 0
        found = final_here(rule, stack(problems), 50)
        assert float((found - alone).abs().max()) <= 1e-12
        assert abs(Counted.calls - calls) <= 2  # shadows of those that differ at once

    def test_batch_of_problems_with_their_own_radii(self):
        problems = [logistic_problem(seed) for seed in (0, 1, 2)]
        rho = torch.tensor([[0.0], [0.1], [0.4]], dtype=torch.float64)
        eta = torch.tensor([[0.5], [0.3], [0.1]], dtype=torch.float64)
        subject = Subject.from_object("sam-l2", SAM).rule(StepSize(eta, 0.5), rho=rho)
        own = optimizers.L2SAM(StepSize(eta, 0.5), rho=rho)
        assert gap(subject, own, stack(problems), 30) <= 1e-10

    def test_adam_cannot_go_where_the_gradients_square_leaves_float64(self):
        problem = logistic_problem()
        problem = Problem(
            "exp", Linear(), Exponential(), problem.X, problem.y, 150 * problem.X[0] * problem.y[0]
        )
        adam = Subject.from_object("adam", torch.optim.Adam)
        with pytest.raises(Inconclusive, match="its iterate became infinite at step 0, with"):
            final(adam.rule(0.01, beta1=0.9, beta2=0.99, epsilon=0.0), problem)

    def test_a_rule_is_used_as_it_is(self):
        own = Subject.from_object("adam", optimizers.Adam, beta1=0.3)
        rule = own.rule(StepSize(0.5, 1.0), beta1=0.9, beta2=0.99, rho=3.0)
        assert isinstance(rule, optimizers.Adam)
        assert (rule.beta1, rule.beta2, rule.step_size.at(0)) == (0.3, 0.99, 0.5)

    def test_a_function_that_returns_a_rule(self):
        rule = parse_subject("ngd=limitpoint.optimizers:NGD").rule(0.5)
        assert isinstance(rule, optimizers.SteepestDescent)
        assert rule.step_size == StepSize(0.5)
        rival = Subject.from_object(
            "gd", lambda step_size, **more: optimizers.USAM(step_size, **more)
        )
        assert rival.rule(0.5, rho=0.25).rho == 0.25


class TestKinds:
    def test_lbfgs_decreases(self):
        problem = logistic_problem()
        rule = parse_subject("gd=torch.optim:LBFGS,line_search_fn=strong_wolfe").rule(0.5)
        assert float(problem.value(final(rule, problem, 3))) < 1e-3

    @pytest.mark.parametrize(
        "problem", [logistic_problem(), multiclass_problem()], ids=["1d", "2d"]
    )
    def test_muon_moves(self, problem):
        rule = parse_subject("spectral=torch.optim:Muon").rule(0.1, weight_decay=0.0)
        w = final(rule, problem, 10)
        assert w.shape == problem.start.shape
        assert float(problem.value(w)) < 0.9 * float(problem.value(problem.start))

    def test_matrix_is_asked_for_only_in_the_first_step(self):
        class Matrices(Quiet):
            def step(self):
                assert self.parameter.ndim == 2
                self.descend()

        problem = logistic_problem()
        rule = Subject.from_object("gd", Matrices).rule(0.5)
        assert gap(rule, optimizers.GD(0.5), problem, 20) <= 1e-15

    def test_a_closure_that_may_be_left_out_is_given_where_a_step_needs_it(self):
        class Needs(Quiet):
            def step(self, closure=None):
                assert closure is not None
                closure()
                self.descend()

        problem = logistic_problem()
        rule = Subject.from_object("gd", Needs).rule(0.5)
        assert gap(rule, optimizers.GD(0.5), problem, 20) <= 1e-15

    def test_two_phases_are_two_methods(self):
        class Flagged(torch.optim.SGD):
            first_step = True

        problem = logistic_problem()
        rule = Subject.from_object("gd", Flagged).rule(0.5)
        assert gap(rule, optimizers.GD(0.5), problem, 20) <= 1e-15

    def test_gradients_are_enabled_and_warnings_are_no_errors(self):
        class Warns(Quiet):
            def step(self):
                assert torch.is_grad_enabled()
                warnings.warn("deprecated", DeprecationWarning, stacklevel=1)
                self.descend()

        with warnings.catch_warnings(record=True):
            final(Subject.from_object("gd", Warns).rule(0.5), logistic_problem(), 12)


class TestSettings:
    def kwargs(self, spec: str, **settings: object) -> dict[str, object]:
        rule = parse_subject(spec).rule(StepSize(0.1, 0.5), **settings)
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

    def test_it_says_what_it_runs_with(self):
        given = {"beta1": 0.5, "beta2": 0.75, "epsilon": 0.0, "weight_decay": 0.25}
        adam = parse_subject("adam=torch.optim:AdamW,eps=1e-4").rule(0.1, **given)
        assert (given | {"epsilon": 1e-4}).items() <= adam.settings.items()
        assert "lr" not in adam.settings
        assert adam.precision == "float64"
        default = parse_subject("adam=torch.optim:Adam").rule(0.1)
        assert {"beta1": 0.9, "beta2": 0.999, "epsilon": 1e-8}.items() <= default.settings.items()
        own = Subject.from_object("adam", optimizers.Adam, beta1=0.3).rule(0.1, beta2=0.5)
        assert {"beta1": 0.3, "beta2": 0.5}.items() <= own.settings.items()
        foreign = Subject.from_object("gd", type("Own", (optimizers.USAM,), {}), rho=0.25).rule(0.1)
        assert foreign.settings == {"rho": 0.25, "radii": None}
        assert foreign.precision == "scaled"
        assert parse_subject("adam=torch.optim:Adafactor").rule(0.1).settings.get("beta1") is None

    def test_weight_decay_is_off_unless_somebody_sets_it(self):
        assert self.kwargs("spectral=torch.optim:Muon")["weight_decay"] == 0.0
        assert self.kwargs("spectral=torch.optim:Muon", weight_decay=0.25)["weight_decay"] == 0.25
        assert self.kwargs("spectral=torch.optim:Muon,weight_decay=0.1")["weight_decay"] == 0.1

    def test_normalised_descent_divides_by_the_norm_alone_unless_somebody_says(self):
        assert self.kwargs("ngd=torch.optim:Adam")["eps"] == 0.0
        assert self.kwargs("ngd=torch.optim:Adam,eps=1e-4")["eps"] == 1e-4
        assert "eps" not in self.kwargs("signgd=torch.optim:Adam")

    def test_a_partial_is_the_users_word(self):
        subject = Subject.from_object("gd", partial(torch.optim.SGD, momentum=0.5, lr=0.25))
        assert subject.rule(1.0, momentum=0.0).kwargs["momentum"] == 0.5
        assert subject.rule(1.0).kwargs["lr"] == 0.25
        assert subject.rule(StepSize(1.0, 0.5)).step_size == StepSize(0.25, 0.5)

    def test_an_argument_of_another_shape_is_not_meant(self):
        assert "eps" not in self.kwargs("adam=torch.optim:Adafactor", epsilon=0.0)

    def test_users_lr_is_the_first_of_the_schedule(self):
        seen = []

        class Watching(Quiet):
            def step(self):
                seen.append(self.param_groups[0]["lr"])
                self.descend()

        rule = Subject.from_object("gd", Watching, lr=0.5).rule(StepSize(0.1, 1.0))
        assert rule.step_size == StepSize(0.5, 1.0)
        final_here(rule, logistic_problem(), 3)
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

        rule = Subject.from_object("gd", TwoGroups).rule(StepSize(0.4, 1.0))
        final_here(rule, logistic_problem(), 2)
        assert seen == [pytest.approx([0.4, 0.1]), pytest.approx([0.2, 0.05])]

    def test_a_schedule_of_its_own_goes_with_the_theorems(self):
        class Halving(torch.optim.SGD):
            def step(self, closure=None):
                super().step(closure)
                self.param_groups[0]["lr"] *= 0.5

        problem = logistic_problem()
        moved = run(problem, Subject.from_object("gd", Halving).rule(0.5), 4, record=range(5)).w
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
            final(subject.rule(StepSize(0.1, 0.5)), logistic_problem())


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
    setting, noisy = Setting(), [Subject.from_object("gd", Noisy)]
    before = torch.get_rng_state()
    one, same = (evaluate(claim, noisy, setting).evidence for _ in range(2))
    other = evaluate(claim, noisy, replace(setting, seed=43)).evidence
    assert one == same
    assert one[0].measured != other[0].measured
    assert torch.equal(torch.get_rng_state(), before)
