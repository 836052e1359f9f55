"""Where Adam ends up on separable multiclass data, and how fast."""

import math
from collections.abc import Callable
from dataclasses import replace
from typing import NamedTuple

import numpy as np
import torch
from scipy import stats

from limitpoint import (
    Inconclusive,
    Problem,
    StepSize,
    Trial,
    claim,
    limits,
    measures,
    problems,
    stack,
)
from limitpoint.engines.trajectory import log_grid
from limitpoint.optimizers import Rule
from limitpoint.theory import moments

# Adam of (3a)-(3c). With beta2 = .99 and more the loss may not fall faster than beta2^(t/2), and
# the margin is held back by that long after this horizon.
THEORY = {"beta1": 0.9, "beta2": 0.95, "epsilon": 0.0, "weight_decay": 0.0}


def column(*values: float) -> torch.Tensor:
    """One number for each run of a batch of matrices."""
    return torch.tensor(values, dtype=torch.float64).reshape(-1, 1, 1)


def paced(problem: Problem, rule: Rule, initial: float | torch.Tensor) -> Problem:
    """The data scaled so that a user's own eta_0 is worth the claim's `initial`.

    Adam does not feel the gradient's size, so W scales with eta_0 and the logits with eta_0 * X:
    a learning rate sets the units of W, and no horizon.
    """
    return replace(problem, X=problem.X * (initial / rule.step_size.at(0)))


def horizon(trial: Trial, rule: Rule, quick: int, full: int) -> int:
    """The full horizon only in scaled arithmetic: a plain float64 subject loses g^2 before it."""
    return quick if rule.precision == "float64" else trial.steps(quick, full)


def lit_digits(_: int) -> Problem:
    """Digits without the pixels that are dark in all of them, which Assumption 3.2 excludes."""
    problem = problems.digits(100)
    lit = (problem.X != 0).any(0)
    return replace(problem, X=problem.X[:, lit], start=problem.start[:, lit])


def smallest_gradient(problem: Problem) -> torch.Tensor:
    """The least entry of |grad L(W_0)|, up to each class's scale."""
    return problem.grad(problem.start).mantissa.abs().min()


class Case(NamedTuple):
    """A problem, and what Adam reaches there: one entry for each decay, (quick, full) horizons."""

    problem: Callable[[int], Problem]
    initial: tuple[float, ...]
    steps: tuple[int, int]
    bars: tuple[tuple[float, ...], tuple[float, ...]]


DECAYS = column(1 / 2, 2 / 3)
CLUSTERS = Case(problems.clusters, (1.0, 1.4), (10_000, 1_000_000), ((0.92, 0.88), (0.98, 0.96)))
DIGITS = Case(lit_digits, (4.0, 4.0), (5_000, 100_000), ((0.84, 0.80), (0.95, 0.90)))


@claim(
    "multiclass/adam-max-norm",
    source="signgd_adam, Theorem 6.3 / D.8",
    statement=r"Adam without epsilon maximises the margin of the max-norm: $\min_{i, c \ne y_i} "
    r"(e_{y_i} - e_c)^T W_t h_i / \|W_t\|_{\max} \to \gamma$.",
    hypotheses=(
        "separable data",
        "no entry of the first gradient is zero (Assumption 3.2)",
        "eta_t = eta_0 (t + 1)^-a, a in (0, 1]",
        "beta1 <= beta2, no epsilon",
    ),
    kind="limit",
    roles=("adam",),
    rivals=("gd", "ngd", "adam-beta-swap", "amsgrad", "adam-epsilon", "adam-shared-moment"),
)
def test_adam_max_norm(trial: Trial) -> None:
    """Adam's margin rises to the certified maximum in the max-norm, for a = 1/2 and a = 2/3.

    The limit is approached like 1/S, S the sum of the step sizes, so the margin is held against a
    fraction of the optimum at a stated horizon. The fractions are calibrated. Clusters, seeds 0-99:
    Adam reached .936 (a = 1/2) and .901 (a = 2/3) or more after 10 000 steps, and each rival stayed
    under .84 with one of the two; digits: .858 and .822 after 5000 steps, the rivals .69 at most.

    A subject in plain float64 runs the quick horizon always: its squared gradients are in range
    there, down to a loss of e^-150, and would not be later.
    """
    for case in (CLUSTERS, DIGITS):
        problem = case.problem(trial.seed)
        trial.require("no entry of the first gradient is zero", smallest_gradient(problem) > 0)
        optimum = limits.max_margin(problem.X, problem.y, torch.inf, classes=problem.classes)
        initial = column(*case.initial)
        adam = trial.optimizer("adam", StepSize(initial, DECAYS), **THEORY)
        steps = horizon(trial, adam, *case.steps)
        bars = case.bars[case.steps.index(steps)]
        both = stack([problem] * 2)
        run = trial.run(paced(both, adam, initial), adam, steps, record=(steps // 10, steps))
        reached = measures.normalised_margin(both, run.w, torch.inf) / optimum.value
        name = problem.name
        trial.at_least(f"{name}: margin / optimum", reached[1], bars, 0.0, "calibrated")
        trial.ordering(f"{name}: rises in the last decade", reached[0], reached[1], "theorem")


@claim(
    "multiclass/adam-rates",
    source="signgd_adam, Corollary 6.4 / D.9",
    statement=r"Adam's gap $\gamma - \min (e_{y_i} - e_c)^T W_t h_i / \|W_t\|_{\max}$ is "
    r"$O(t^{-a/2})$ for $a < 2/3$, $O(\log t / t^{1/3})$ for $a = 2/3$ and $O(t^{-(1-a)})$ for "
    r"$2/3 < a < 1$.",
    hypotheses=(
        "separable data",
        "no entry of the first gradient is zero (Assumption 3.2)",
        "eta_t = eta_0 (t + 1)^-a, a in (0, 1)",
        "beta1 <= beta2, no epsilon",
    ),
    kind="rate",
    roles=("adam",),
    rivals=("gd", "ngd", "adam-beta-swap", "amsgrad", "adam-epsilon"),
)
def test_adam_rates(trial: Trial) -> None:
    """The gap falls at least as fast as the corollary says, for a = 1/2, 2/3 and .8, in one batch.

    The exponents are the theorem's: between four points over the last two decades the gap (over
    log t, for a = 2/3) falls each time like t to at most -a/2, -1/3 and -(1 - a); nothing but the
    points is chosen there. (The gap falls like 1/S, which for a < 2/3 is faster
    than the theorem.) Second, the ratio test: the gap stays under .35 (S_100 + sum eta^1.5) / S,
    the remainder of Theorem 6.3 with a calibrated constant: over seeds 0-11 and late in the run it
    was .25 for Adam at most, and .65 at least for the rivals at a = 1/2.
    """
    decays, initial = (1 / 2, 2 / 3, 0.8), column(1.0, 1.4, 2.0)
    problem = problems.clusters(trial.seed)
    trial.require("no entry of the first gradient is zero", smallest_gradient(problem) > 0)
    optimum = limits.max_margin(problem.X, problem.y, torch.inf, classes=problem.classes)
    adam = trial.optimizer("adam", StepSize(initial, column(*decays)), **THEORY)
    steps = horizon(trial, adam, 20_000, 200_000)
    batch = paced(stack([problem] * 3), adam, initial)
    t = torch.from_numpy(np.geomspace(steps // 100, steps, 40).round())
    run = trial.run(batch, adam, steps, record=t.long().tolist())
    gap = optimum.value - measures.normalised_margin(problem, run.w, torch.inf)
    exponents, factors = (1 / 4, 1 / 3, 0.2), (1.0, t.log(), 1.0)
    for i, (a, first) in enumerate(zip(decays, initial.flatten(), strict=True)):
        gaps, name = gap[:, i], f"a = {a:.3g}: gap"
        falling = gaps / factors[i]
        trial.rate(name, t, falling, -torch.inf, -exponents[i], "Corollary 6.4", points=4)
        eta = first * torch.arange(1, steps + 1, dtype=torch.float64) ** -a
        total, at = eta.cumsum(0), t.long() - 1
        bound = 0.35 * (total[99] + (eta**1.5).cumsum(0)[at]) / total[at]
        trial.at_most(name, gaps, bound, 0.0, "constant calibrated")


@claim(
    "multiclass/adam-classes-do-not-matter",
    source="signgd_adam, Corollary 6.4: no factor k; Remark 6.5",
    statement=r"Adam's gap times the sum of the step sizes does not grow with the number of "
    r"classes: from $k = 5$ to $k = 50$ at equal $n$, $d$, $\gamma$ and $B\eta_0$ its exponent in "
    r"$k$ is under 1/2, where the reduction to a binary problem would have a factor $k$.",
    hypotheses=(
        "separable data",
        "beta1 <= beta2, no epsilon",
        "n, d, gamma, B eta_0 do not change",
    ),
    kind="rate",
    roles=("adam",),
    rivals=("ngd", "gd", "amsgrad", "adam-epsilon"),
)
def test_adam_classes_do_not_matter(trial: Trial) -> None:
    """Ten times the classes, and the gap closes as fast.

    100 examples in 60 dimensions, scaled to a max-norm margin of one. Both bars are calibrated: on
    seeds 0-3 gap * S is 2.3 to 3.2 for Adam at every k, and 10 and more for NGD; the exponent is
    -.06 to .16, and a factor k would be an exponent of one. k = 2 is left out: it is easier.
    """
    product = {}
    for k in (5, 10, 20, 50):
        problem = problems.clusters(trial.seed, k=k, d=60, per_class=100 // k, sigma=0.5)
        optimum = limits.max_margin(problem.X, problem.y, torch.inf, classes=k)
        # At margin one the inputs' 1-norm is at most 1 / optimum: eta_0 is .4 of its inverse.
        initial = 0.4 * optimum.value
        problem = replace(problem, X=problem.X / optimum.value)
        adam = trial.optimizer("adam", StepSize(initial, 0.5), **THEORY)
        steps = horizon(trial, adam, 1000, 20_000)
        run = trial.run(paced(problem, adam, initial), adam, steps, record=(steps,))
        gap = 1 - measures.normalised_margin(problem, run.final, torch.inf)
        total = run.integrals["step_size"][-1] * initial / adam.step_size.at(0)
        product[k] = float(gap * total)
        trial.at_most(f"k = {k}: gap * S", product[k], 5.0, 0.0, "calibrated")
    exponent = math.log(max(product[50], 1e-12) / max(product[5], 1e-12)) / math.log(10)
    trial.at_most("exponent of gap * S in k", exponent, 0.5, 0.0, "half of a factor k's")


@claim(
    "multiclass/epsilon-hand-over",
    source="beyond signgd_adam, Section 7 (epsilon); Wang et al. 2022",
    statement=r"With $\epsilon > 0$ Adam runs as without at least until the sum of its step sizes "
    r"is about $\ln(1/\epsilon) / \gamma$, and then leaves the max-norm direction for the 2-norm "
    "one.",
    hypotheses=("separable data", "epsilon > 0", "beta1 <= beta2"),
    kind="rate",
    roles=("adam",),
    rivals=("adam-no-epsilon", "adam-epsilon", "adam-epsilon-inside", "signgd"),
)
def test_adam_epsilon_hand_over(trial: Trial) -> None:
    """Eight decades of epsilon, and epsilon = 0 beside them: each leaves in its turn.

    An iterate has left when an entry of W differs by 10% of S from that without epsilon. [derived]
    m / (sqrt(v) + epsilon) depends on the gradient over epsilon alone, so that ln |grad| at leaving
    follows ln epsilon with slope one, at a constant distance of order one; and as the gradient
    falls at most like e^(-gamma |W|), |W| <= alpha S (Lemma D.1), S at leaving is ln(1/epsilon) /
    (alpha gamma) less a constant at least. Asked of the slope, 1 / alpha is the leading order of
    that bound, not a theorem. The widths are calibrated: seeds 0-39 gave
    slopes of .85 to 1.10 and distances of -3.7 to 2.7, correlations above .993; an epsilon under
    the root gives distances of 15 and more. Where it ends: the margins, each in its own norm,
    against those without epsilon. It leaves; that it arrives is not claimed, and takes far longer.
    """
    steps, decades = trial.steps(5000, 20_000), torch.linspace(8, 16, 9, dtype=torch.float64)
    epsilon = torch.cat([torch.zeros(1, dtype=torch.float64), 10**-decades]).reshape(-1, 1, 1)
    adam = trial.optimizer("adam", StepSize(1.0, 0.5), **THEORY | {"epsilon": epsilon})
    fixed = torch.as_tensor(adam.settings.get("epsilon", epsilon))
    trial.require("epsilon > 0, and the claim's to set", fixed.shape == epsilon.shape)
    problem = problems.clusters(trial.seed)
    optimum = limits.max_margin(problem.X, problem.y, torch.inf, classes=problem.classes)
    batch = paced(stack([problem] * 10), adam, 1.0)
    run = trial.run(batch, adam, steps, record=log_grid(steps, 100)[1:])
    total = run.integrals["step_size"].reshape(len(run.w), -1)[:, :1]
    apart = (run.w[:, 1:] - run.w[:, :1]).abs().amax((-2, -1)) > 0.1 * total
    first = torch.where(apart.any(0), apart.int().argmax(0), len(total) - 1)
    gradient = measures.log_dual_norm(batch, run.w, torch.inf)[first, 0]
    gradient = (gradient - math.log(problem.start.numel())).numpy()
    left = (total[first, 0] / adam.step_size.at(0) * optimum.value).numpy()

    x = -math.log(10) * decades.numpy()
    slope = stats.linregress(x, gradient).slope
    trial.close("slope of ln |grad| at leaving in ln epsilon", slope, 1.0, 0.25, "calibrated")
    trial.close("ln |grad| / epsilon at leaving", gradient - x, 0.0, 5.0, "calibrated")
    betas = ({**THEORY, **adam.settings}[name] for name in ("beta1", "beta2"))
    line, alpha = stats.linregress(-x, left), moments.ratio_bound(*betas, 1000)[-1]
    trial.at_least("slope of gamma S at leaving", line.slope, 1 / alpha, 0.0, "leading order, D.1")
    trial.at_least("its correlation", line.rvalue, 0.97, 0.0, "calibrated")
    for norm, relation in ((torch.inf, "below"), (2.0, "above")):
        with_, without = measures.normalised_margin(problem, run.final, norm).split([1, 9])[::-1]
        pair = (with_, without) if relation == "below" else (without, with_)
        trial.ordering(f"{norm}-margin in the end is {relation}", *pair, "it has left")


@claim(
    "multiclass/adamw-box",
    source="Xie and Li 2024, Theorem 1.1 and Lemma 3.8; signgd_adam, Lemma D.1",
    statement=r"AdamW with decay $\lambda$ stays in the box $\|W\|_{\max} \le \alpha/\lambda$, "
    r"$\alpha = 1$ for $\beta_1 = \beta_2$, contracts into it from outside, and ends at the "
    r"minimiser of the loss over the box of $\alpha = 1$.",
    hypotheses=(
        "decoupled decay, eta_t * lambda <= 1",
        "beta1 <= beta2, no epsilon",
        "convex loss, steps that sum to infinity",
    ),
    kind="inequality",
    roles=("adamw",),
    rivals=(
        "adam-coupled-decay",
        "adam-no-decay",
        "gd",
        "adam-beta-swap",
        "adam-squared-twice",
        "adam-undamped",
        "adam-root-lost",
        "adam-half-corrected",
        "adamw-decay-uphill",
        "adamw-decay-unscaled",
        "ascent",
        "step-doubled",
        "unnormalised",
        "stale",
        "schedule-late",
        "accelerated",
        "adam-late-moment",
    ),
)
def test_adamw_box(trial: Trial) -> None:
    """Every step is AdamW's, its iterates are in the box, and their KKT gap closes.

    [derived] W_{t+1} = (1 - lambda eta) W_t - eta Delta_t with |Delta_t| <= alpha (Lemma D.1), so
    that ||W||_max - alpha/lambda contracts by 1 - lambda eta a step, from wherever it starts:
    exactly, up to a rounding of 1e-12. The Frank-Wolfe gap <grad L, W> + ||grad L||_1 / lambda is
    zero exactly at the KKT points (Lemma 3.8), and bounds L(W) - min L for a W in the box. It is
    taken relative to ||grad L||_1 / lambda; its bar is calibrated: seeds 0-9 gave .0033 at most
    from a start at zero, where a decay that is coupled or lost gives 1 or leaves the box. The step
    is that of the moments at the subject's own iterates, up to a rounding of 2^-53 |W| / eta_t.
    """
    initial, decay, steps = 1.0, 0.1, trial.steps(2000, 20_000)
    problem = problems.clusters(trial.seed)
    noise = torch.Generator().manual_seed(trial.seed)
    outside = torch.randn(problem.start.shape, generator=noise, dtype=torch.float64)
    for beta1, beta2 in ((0.9, 0.9), (0.9, 0.95)):
        settings = {"beta1": beta1, "beta2": beta2, "epsilon": 0.0}
        unit = trial.optimizer("adamw", StepSize(initial, 0.5)).step_size.at(0) / initial
        adamw = trial.optimizer(
            "adamw", StepSize(initial, 0.5), weight_decay=decay / unit, **settings
        )
        held = adamw.settings.get("weight_decay", decay / unit)
        beta1, beta2 = (adamw.settings.get(name, settings[name]) for name in ("beta1", "beta2"))
        trial.require("beta1 <= beta2", beta1 <= beta2)
        trial.require("eta_t * lambda <= 1", held * adamw.step_size.at(0) <= 1)
        box = float(moments.ratio_bound(beta1, beta2, steps)[-1]) / held
        starts = torch.stack([problem.start, 3 / held * outside])
        run = trial.run(
            paced(problem, adamw, initial), adamw, steps, start=starts, record=range(steps + 1)
        )
        eta = run.integrals["step_size"].diff()
        kept = torch.cat([eta.new_ones(1), (1 - held * eta).cumprod(0)]).unsqueeze(-1)
        size = run.w.abs().amax((-2, -1))
        bound = box + kept * (size[0] - box)
        name = f"betas ({beta1}, {beta2})"
        trial.at_most(f"{name}: largest entry", size[1:], bound[1:], 1e-12 * box, "rounding")

        g = paced(problem, adamw, initial).grad(run.w[:-1]).tensor()
        m, v = moments.moving_average(g, beta1), moments.moving_average(g**2, beta2)
        each = eta.reshape(-1, 1, 1, 1)
        moved = ((1 - held * each) * run.w[:-1] - run.w[1:]) / each
        correction = moments.correction_seen(moved[0].abs().max(), beta1, beta2, steps)
        expected = correction.reshape(-1, 1, 1, 1) * m / v.sqrt()
        places = ("step", "start", "class", "entry")
        because = "2^-53 |W| / eta_t"
        trial.close(f"{name}: the step", moved, expected, 1e-9, because, along=places)

        if kept[-1] > 1e-3:
            raise Inconclusive(f"a decay of {held} has not forgotten the start by step {steps}")
        g = paced(problem, adamw, initial).grad(run.final).tensor()
        largest = g.abs().sum((-2, -1)) / held
        gap = ((g * run.final).sum((-2, -1)) / largest + 1)[0]
        trial.close(f"{name}: KKT gap", gap, 0.0, 0.01, "calibrated")
