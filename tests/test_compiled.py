"""The compiled engine is the definition, to rounding: every model with every loss and rule."""

import math
import os
import stat
import subprocess
import sys
import textwrap

import numpy as np
import pytest
import torch
from combinations import BATCH, FEWER, MODELS, TRIPLES, problem_of, rule_for

from limitpoint import (
    LinearStep,
    Problem,
    StepSize,
    SubjectFailed,
    UsageError,
    flow,
    losses,
    models,
    optimizers,
    problems,
    run,
)
from limitpoint.engines import cpu as compiled
from limitpoint.engines import integrands
from limitpoint.engines.cpu import build
from limitpoint.engines.definition import iterates
from limitpoint.engines.directions import direction
from limitpoint.numerics import largest, log, ratio
from limitpoint.optimizers import Rule
from limitpoint.optimizers.stochastic import Stochastic

#: Where a step by its definition is compared with the compiled one.
STEPS = (0, 1, 2, 3, 5, 10, 30, 100, 300)


def gap(problem: Problem, rule: Rule, steps: tuple[int, ...] = STEPS) -> float:
    """Largest difference of one step, from the definition's own state, over what was moved so far.

    Free runs would say nothing: two gradients that differ in the last bit can have another sign.
    """
    worst, moved = 0.0, 0.0
    last = max(steps) + 1
    run_ = list(zip(range(last + 1), iterates(rule, problem, problem.start, last), strict=True))
    for t, (w, state) in run_[:-1]:
        if t in steps:
            then = run_[t + 1][1][0]
            here = compiled.stepped(compiled.plan(problem, rule, w, {}, state=state), t)
            moved = float((then - problem.start).abs().max())
            worst = max(worst, float((here - then).abs().max()) / float(then.abs().max()))
    assert moved > 1e-6, "nothing moved"
    return worst


def free_gap(problem: Problem, rule: Rule, steps: int) -> float:
    """Largest difference between the engines at any recorded step, relative to the iterate."""
    here = run(problem, rule, steps, engine="fused")
    there = run(problem, rule, steps, engine="torch")
    dims = problem.dims
    return float(((here.w - there.w).abs().amax(dims) / there.w.abs().amax(dims)).max())


# ------------------------------------------------------------------------------------------ parity


@pytest.mark.parametrize(("model", "loss", "name"), TRIPLES)
def test_a_compiled_step_is_the_definitions(model, loss, name):
    for calm, steps in ((True, STEPS), (False, STEPS[:7])):
        problem = problem_of(model, loss, calm=calm)
        assert gap(problem, rule_for(name, problem.ndim), steps) <= 1e-13


@pytest.mark.nightly
@pytest.mark.parametrize(("model", "loss", "name"), TRIPLES)
def test_a_compiled_step_is_the_definitions_a_thousand_steps_on(model, loss, name):
    problem = problem_of(model, loss)
    assert gap(problem, rule_for(name, problem.ndim), (999,)) <= 1e-13


@pytest.mark.parametrize(("model", "loss", "name"), FEWER)
def test_a_compiled_step_is_the_definitions_beyond_one_tile(model, loss, name):
    """More examples than one piece holds, and rows with and without a remainder."""
    problem = problem_of(model, loss, n=182, d=90, size=0.1, mean=True)
    assert gap(problem, rule_for(name, problem.ndim, 0.1), STEPS[:6]) <= 1e-13


@pytest.mark.parametrize(
    ("model", "loss", "name"), [p for p in TRIPLES if p.values[1] is losses.Squared]
)
def test_a_free_run_is_the_definitions(model, loss, name):
    problem = problem_of(model, loss)
    assert free_gap(problem, rule_for(name, problem.ndim), 1000) <= 1e-12


@pytest.mark.parametrize("model", [m for m in MODELS if m is not models.MulticlassLinear])
@pytest.mark.parametrize(
    ("name", "on_all"),
    [("gd", False), ("adam", False), ("1-sam", False), ("n-sam", True), ("n-sam", False)],
)
def test_stochastic_forms_draw_the_same_examples(model, name, on_all):
    problem = problem_of(model, losses.Logistic, mean=True)
    rule = Stochastic(rule_for(name, problem.ndim), seed=3, ascent_on_all=on_all)
    assert free_gap(problem, rule, 1000) <= 1e-12


def test_stochastic_forms_of_a_multiclass_problem():
    problem = problem_of(models.MulticlassLinear, losses.CrossEntropy)
    for name in ("gd", "1-sam"):
        assert free_gap(problem, Stochastic(rule_for(name, 2), seed=3), 300) <= 1e-12


def test_a_step_that_falls_linearly():
    """To exactly zero, each problem from its own first step."""
    problem, initial = problem_of(models.ReluNetwork, losses.Squared), [[[0.01]], [[0.02]]]
    step = LinearStep(torch.tensor(initial, dtype=torch.float64), total=300)
    assert free_gap(problem, optimizers.L2SAM(step, rho=0.1), 300) <= 1e-12
    taken = [run(problem, optimizers.GD(step), 310, engine=e) for e in ("fused", "torch")]
    torch.testing.assert_close(*(r.integrals["step_size"] for r in taken), rtol=1e-13, atol=0)


def test_losses_far_below_the_range_of_a_float():
    """At e^-190 the second moment, at e^-1900 the gradient itself is below a float's range."""
    problem = problem_of(models.MulticlassLinear, losses.CrossEntropy)
    for beta2, level in ((0.95, -190), (0.999, -1900)):
        adam = optimizers.Adam(100.0, beta2=beta2)
        assert free_gap(problem, adam, 400) <= 1e-12
        assert float(problem.log_value(run(problem, adam, 400).final).max()) < level


def test_classes_that_are_scales_apart():
    """One class is at e^-600 of another: its row keeps its digits."""
    problem = problem_of(models.MulticlassLinear, losses.CrossEntropy)
    start = problem.start.clone()
    start[:, 0] -= 400
    adam = optimizers.Adam(0.01, beta2=0.95)
    here, there = (run(problem, adam, 50, start=start, engine=e).w for e in ("fused", "torch"))
    torch.testing.assert_close(here, there, rtol=1e-12, atol=1e-12)
    assert float((there[-1] - there[0]).abs().min()) > 1e-3


@pytest.mark.parametrize("margin", [1e2, 1e4, 1e8])
def test_a_normalised_step_has_its_length_however_small_the_gradient(margin):
    """The gradient is about e^-margin: its norm must not be taken through its logarithm."""
    problem = problem_of(models.Linear, losses.Exponential)
    far = Problem("far", problem.model, problem.loss, margin * problem.X, problem.y, problem.start)
    step = run(far, optimizers.NGD(1.0), 1, engine="fused")
    length = (step.final - step.w[0]).norm(dim=-1)
    torch.testing.assert_close(length, torch.ones_like(length), rtol=4e-15, atol=0)


def test_a_normalised_ascent_has_its_length_however_small_the_gradient():
    """A step of e^600 makes a gradient of e^-600 visible; rounding the exponent costs 7e-14."""
    problem = problem_of(models.Linear, losses.Exponential)
    least = problem.margins(problem.start).amin(-1)
    start = problem.start * (600 / least).unsqueeze(-1)
    sam = optimizers.L2SAM(math.exp(600), rho=0.5)
    here, there = (run(problem, sam, 1, start=start, engine=e).w for e in ("fused", "torch"))
    assert float((there[1] - there[0]).abs().max()) > 1e-3
    torch.testing.assert_close(here[1] - here[0], there[1] - there[0], rtol=1e-11, atol=0)


# ---------------------------------------------------------------------------- records and integrals


def both(problem: Problem, rule: Rule, steps: int, **options: object):
    """Trajectories of the two engines."""
    return (run(problem, rule, steps, engine=e, **options) for e in ("fused", "torch"))


@pytest.mark.parametrize("steps", [0, 1, 7, 2000])
def test_records_the_same_steps(steps):
    problem = problems.sparse_regression(0, n=4, d=6)
    here, there = both(problem, optimizers.OneSAM(0.05, rho=0.01), steps)
    assert here.times.tolist() == there.times.tolist()
    torch.testing.assert_close(here.w, there.w, rtol=1e-12, atol=1e-14)
    for record in ([steps], range(steps + 1)):
        again, _ = both(problem, optimizers.OneSAM(0.05, rho=0.01), steps, record=record)
        assert torch.equal(again.final, here.final)


@pytest.mark.parametrize("shape", [(), (3, 1, 1), (2, 1, 1, 1), (2, 3, 1, 1)])
def test_integrals_have_the_values_and_shapes_of_torch(shape):
    problem = problems.sparse_regression(0, n=4, d=6)
    start = problem.start * torch.linspace(1, 2, 6, dtype=torch.float64).reshape(2, 3, 1, 1)
    eta = 0.01 * torch.linspace(1, 2, math.prod(shape), dtype=torch.float64).reshape(shape)
    rule = optimizers.USAM(StepSize(eta, 0.5), rho=0.01)
    wanted = {"loss": integrands.Loss(problem)}
    if len(shape) in (0, 4):
        here, there = both(problem, rule, 100, start=start, integrals=wanted)
    else:
        here, there = both(problem, rule, 100, start=start)
    assert here.integrals.keys() == there.integrals.keys()
    for name, expected in there.integrals.items():
        assert here.integrals[name].shape == expected.shape
        torch.testing.assert_close(here.integrals[name], expected, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("kind", [integrands.Loss, integrands.LogLoss])
@pytest.mark.parametrize(
    ("model", "loss"), [p.values[:2] for p in TRIPLES if p.values[2] == "gd"], ids=str
)
def test_the_loss_is_summed_as_torch_does(model, loss, kind):
    problem = problem_of(model, loss)
    rule = rule_for("gd", problem.ndim)
    here, there = both(problem, rule, 50, integrals={"sum": kind(problem)})
    found, expected = here.integrals["sum"], there.integrals["sum"]
    room = 0.0 if kind is integrands.Loss else 1e-13  # logarithms cross zero
    torch.testing.assert_close(found, expected, rtol=1e-12, atol=room)


def test_reports_progress_at_each_recorded_step():
    seen = []
    problem = problems.sparse_regression(0, n=4, d=6)
    found = run(problem, optimizers.GD(0.01), 3000, watch=lambda t, of: seen.append((t, of)))
    assert seen == [(t, 3000) for t in found.times.tolist()]


def test_a_divergent_run_fails_at_the_step_at_which_torch_does():
    problem, rule = problems.gaussian_regression(0), optimizers.GD(10.0)
    reasons = []
    for engine in ("fused", "torch"):
        with pytest.raises(SubjectFailed) as failed:
            run(problem, rule, 5000, engine=engine)
        reasons.append(str(failed.value))
    assert reasons[0] == reasons[1]


def test_the_start_is_left_alone():
    problem = problems.sparse_regression(0, n=4, d=8)
    before = problem.start.clone()
    run(problem, optimizers.GD(0.01), 10, engine="fused")
    assert torch.equal(problem.start, before)


# ----------------------------------------------------------------------------- batches and threads


def test_does_not_depend_on_the_number_of_threads(monkeypatch):
    problem = problems.sparse_regression(0)
    start = problem.start * torch.linspace(1, 2, 7, dtype=torch.float64).reshape(7, 1, 1)
    found = []
    for threads in ("1", "2", "5"):
        monkeypatch.setenv("LIMITPOINT_THREADS", threads)
        found.append(run(problem, optimizers.OneSAM(0.01), 700, start=start, engine="fused").w)
    assert torch.equal(found[0], found[1])
    assert torch.equal(found[0], found[2])


def test_a_problem_in_a_batch_is_the_problem_alone():
    problem = problem_of(models.MulticlassLinear, losses.CrossEntropy)
    batch = run(problem, optimizers.Adam(0.01), 300, engine="fused").w
    for b in range(BATCH):
        alone = Problem(
            "alone", problem.model, problem.loss, problem.X[b], problem.y[b], problem.start[b]
        )
        assert torch.equal(run(alone, optimizers.Adam(0.01), 300, engine="fused").w, batch[:, b])


# -------------------------------------------------------------------------------------- directions


@pytest.mark.parametrize("size", [1.0, 30.0, 1e4, 1e9], ids="u = {0:g}^2".format)
@pytest.mark.parametrize("name", ["GD", "USAM", "L2SAM", "LinfSAM", "OneSAM"])
def test_a_compiled_direction_is_the_definitions(name, size):
    """At margins up to 1e18, of which an ulp is a factor e^100: then directions are compared."""
    problem = problems.one_example([0.5, 1.0, 1.5], 0.5)
    rule = getattr(optimizers, name)(**({} if name == "GD" else {"rho": 0.2}))
    here, why = direction(problem, rule, problem.start, "fused")
    assert why == ""
    w = problem.start * size
    found, expected = here(w), rule.direction(problem, w)
    peak = largest(found, problem.dims), largest(expected, problem.dims)
    torch.testing.assert_close(ratio(found, peak[0]), ratio(expected, peak[1]), rtol=1e-14, atol=0)
    off = float((log(peak[0]) - log(peak[1])).abs().max())
    assert off <= 1e-14 + 1e-15 * float(log(peak[1]).abs().max())


class Otherwise(optimizers.GD):
    """A rule that does something else when it is traced."""

    def direction(self, oracle, w):
        return oracle.grad(w) * (1.0 if isinstance(w, torch.Tensor) else 1.000001)


def test_a_flow_says_what_it_ran_and_takes_no_direction_that_is_another():
    problem, told = problems.gaussian_regression(0), []
    times = [0.0, 0.01, 0.02]
    here, there = (
        flow(problem, rule, times, report=lambda *said: told.append(said)).w
        for rule in (optimizers.GD(), Otherwise())
    )
    torch.testing.assert_close(here, there, rtol=1e-9, atol=1e-12)
    assert told[0] == ("fused", "")
    assert told[1][0] == "torch"
    assert "something else when it is traced" in told[1][1]
    with pytest.raises(UsageError, match="does not cover the rule Otherwise"):
        flow(problem, Otherwise(), times, engine="fused")
    with pytest.raises(UsageError, match="unknown engine 'fast'"):
        flow(problem, optimizers.GD(), times, engine="fast")


# ---------------------------------------------------------------------------------- what is refused


class ByRow(optimizers.GD):
    """A rule that does what nobody can follow: it looks at numbers."""

    def direction(self, oracle, w):
        return oracle.grad(w) if float(w.sum()) < 1e9 else w


def test_refuses_what_it_does_not_cover_by_name():
    problem, w = problems.gaussian_regression(0), torch.zeros(12, dtype=torch.float64)
    entrywise = StepSize(torch.full((12,), 0.01, dtype=torch.float64))
    refused = [
        (problems.sine_valley(), optimizers.GD(0.01), {"start": w}, "Objective"),
        (problem, ByRow(0.01), {}, r"the rule ByRow.*float"),
        (problem, optimizers.GD(entrywise), {}, "one value for each entry of a parameter"),
        (problem, optimizers.GD(0.01), {"integrals": {"f": lambda w: w.sum(-1)}}, "integrand"),
        (problem, optimizers.MSAM(0.01, batch_size=2), {}, "do not divide the 5 examples"),
        (problem, optimizers.SpectralDescent(0.01), {}, "dimension -2 of a value with 1"),
        (problem, optimizers.GD(0.01), {"start": w.float()}, "not float64"),
    ]
    for oracle, rule, options, message in refused:
        with pytest.raises(UsageError, match=message):
            run(oracle, rule, 10, engine="fused", **options)


def test_auto_falls_back_to_torch():
    problem = problems.gaussian_regression(0)
    here, there = (run(problem, ByRow(0.01), 20, engine=e) for e in ("auto", "torch"))
    assert torch.equal(here.w, there.w)


# ------------------------------------------------------------------------------------ compiled once


def test_a_second_process_finds_the_compiled_code(tmp_path):
    script = textwrap.dedent("""
        from numba.core.event import install_recorder
        from limitpoint import problems, run, optimizers
        with install_recorder("numba:compile") as compiled:
            run(problems.gaussian_regression(0), optimizers.GD(0.01), 3, engine="fused")
        print(len(compiled.buffer))
    """)
    env = {**os.environ, "NUMBA_CACHE_DIR": str(tmp_path)}
    counts = [
        int(subprocess.run([sys.executable, "-c", script], env=env, capture_output=True, text=True,
                           check=True).stdout)
        for _ in range(2)
    ]  # fmt: skip
    assert counts[0] > 0
    assert counts[1] == 0


def test_runs_without_a_folder_to_keep_code_in(tmp_path, monkeypatch):
    monkeypatch.setattr(build, "_roots", lambda: iter([tmp_path / "file" / "below"]))
    (tmp_path / "file").write_text("in the way", encoding="utf-8")
    folder, kept = build._folder("0" * 16)
    assert not kept
    assert folder.is_dir()


def test_code_is_kept_where_nobody_else_may_write(tmp_path, monkeypatch):
    monkeypatch.setattr(build, "_roots", lambda: iter([tmp_path / "mine"]))
    folder, kept = build._folder("1" * 16)
    assert kept
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    for open_ in (tmp_path / "mine", folder, folder / "__pycache__"):
        open_.chmod(0o777)
        assert not build._folder("1" * 16)[1]
        open_.chmod(0o700)
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (tmp_path / "mine" / f"unit-{'2' * 16}").symlink_to(elsewhere)
    assert not build._folder("2" * 16)[1]


def test_what_a_file_says_by_now_is_not_run(tmp_path, monkeypatch):
    monkeypatch.setattr(build, "_roots", lambda: iter([tmp_path]))
    text = "answer = 42\n"
    (path,) = [build._folder(build._digest(text))[0] / "planted.py"]
    path.write_text("raise SystemExit('run')\n", encoding="utf-8")
    assert build.module("planted", text).answer == 42
    assert path.read_text(encoding="utf-8") == text


def test_exponential_is_exact_to_an_ulp():
    from limitpoint.engines.cpu.kernels._maths import exp

    x = np.concatenate([np.linspace(-700, 700, 501), [0.0, -math.inf, -800.0, 800.0]])
    found = np.array([exp(value) for value in x])
    np.testing.assert_allclose(
        found, [math.exp(v) if v < 709 else math.inf for v in x], rtol=4e-16, atol=1e-300
    )
    assert math.isnan(exp(math.nan))
