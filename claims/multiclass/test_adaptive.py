"""Where Adam ends up on separable multiclass data, and how fast."""

import math
from dataclasses import replace

import torch

from limitpoint import (
    Problem,
    StepSize,
    Trajectory,
    Trial,
    claim,
    limits,
    losses,
    measures,
    models,
    problems,
)
from limitpoint.optimizers import Rule
from limitpoint.theory import moments, steepest

# Adam of (3a)-(3c). With beta2 = .99 and more the loss may not fall faster than beta2^(t/2), and
# the margin is held back by that long after this horizon.
BETAS = (0.9, 0.95)


def adam_of_the_theorem(
    trial: Trial, initial: float, decay: float
) -> tuple[Rule, tuple[float, float]]:
    """Who plays Adam, and its betas: the claim's, or those that the user fixed."""
    settings = dict(zip(("beta1", "beta2"), BETAS, strict=True))
    adam = trial.optimizer("adam", StepSize(initial, decay), free=settings, epsilon=0.0, **settings)
    beta1, beta2 = (adam.settings.get(name, value) for name, value in settings.items())
    trial.require("beta1 <= beta2", beta1 <= beta2)
    return adam, (beta1, beta2)


def horizon(trial: Trial, rule: Rule, quick: int, full: int) -> int:
    """The full horizon only in scaled arithmetic: a plain float64 subject loses g^2 before it."""
    return quick if rule.precision == "float64" else trial.steps(quick, full)


def lit_digits() -> Problem:
    """Digits without the pixels that are dark in all of them, which Assumption 3.2 excludes."""
    problem = problems.digits(100)
    lit = (problem.X != 0).any(0)
    return replace(problem, X=problem.X[:, lit], start=problem.start[:, lit])


def check_start(trial: Trial, problem: Problem) -> None:
    """Assumption 3.2, up to each class's scale."""
    least = problem.grad(problem.start).mantissa.abs().min()
    trial.require("no entry of the first gradient is zero", least > 0)


def optimum_of(problem: Problem) -> float:
    """The certified largest margin in the max-norm."""
    return limits.max_margin(problem.X, problem.y, math.inf, classes=problem.classes).value


def step_is_adams(
    trial: Trial, name: str, problem: Problem, run: Trajectory, betas: tuple[float, float]
) -> None:
    """Every step is eta_t m_t / sqrt(v_t), the moments rebuilt at the subject's own iterates."""
    eta = run.integrals["step_size"].diff().reshape(-1, 1, 1)
    moved, expected = -run.w.diff(dim=0) / eta, moments.ratios(problem, run.w[:-1], *betas)
    factor = moments.correction_seen(moved[0].abs().max(), *betas, len(eta)).reshape(-1, 1, 1)
    expected = factor * expected
    allowed = moments.step_rounding(problem, run, *betas, factor, expected)
    title, places = f"{name}: (W_t - W_t+1) / eta_t", ("step", "class", "entry")
    trial.close(title, moved, expected, allowed, moments.STEP_BECAUSE, along=places)


def promised(
    trial: Trial, name: str, problem: Problem, run: Trajectory, optimum: float, share: float
) -> None:
    """The last margin is what the run's progress promises at least, and that is a good share."""
    margin, promise = measures.margin(problem, run.final), steepest.promise(problem, run, math.inf)
    because = "rounding of sums"
    trial.at_least(f"{name}: margin", margin, promise, 1e-9, because, about="a formula")
    ratio = promise / (run.final.abs().max() * optimum)
    title = f"{name}: {share:g}, then the margin promised over |W|_max and the optimum"
    trial.ordering(title, share, ratio, "what the statement says")


@claim(
    "multiclass/adam-max-norm",
    source="signgd_adam, Theorem 6.3 / D.8; the finite-time bound is derived",
    statement=r"Adam without epsilon maximises the margin of the max-norm: $\min_{i, c \ne y_i} "
    r"(e_{y_i} - e_c)^T W_t h_i / \|W_t\|_{\max} \to \gamma$. With $g_t = [\langle\nabla L(W_t), "
    r"W_t - W_{t+1}\rangle - G(W_t)(e^{x_t} - 1 - x_t)]/L(W_t)$, $x_t = 2B\|W_{t+1} - "
    r"W_t\|_{\max}$, the margin of $W_T$ is at least $-\log(e^{nL(W_s)\exp(-\sum_{t\ge s} g_t)} - "
    r"1)$ for every $s$, which at the horizon is more than half of $\gamma\|W_T\|_{\max}$.",
    hypotheses=(
        "separable data",
        "no entry of the first gradient is zero (Assumption 3.2)",
        "eta_t = eta_0 (t + 1)^-a, a in (0, 1]",
        "no epsilon",
        "beta1 <= beta2",
    ),
    kind="bound",
    roles=("adam",),
    rivals=(
        "gd",
        "ngd",
        "adam-beta-swap",
        "amsgrad",
        "adam-epsilon",
        "adam-shared-moment",
        "state-reset",
        "step-floor",
        "accelerated-late",
    ),
)
def test_adam_max_norm(trial: Trial) -> None:
    """Every step is Adam's, and what Adam's progress promises is most of the certified optimum.

    [derived, `steepest.promise`] L(W_{t+1}) <= L(W_t)(1 - g_t) holds for any rule, and Lemma B.4
    bounds the margin by the loss: nothing is fitted, and a rule that goes elsewhere is promised
    little. Half is the statement's: Adam's promise is .83 of the optimum and more on clusters at
    a = 1/2 (3000 steps), .74 at 2/3 and .56 at 1, where S is a logarithm (2500; seeds 0-99), and
    .71 on digits (2000), NGD's at most .40. Tolerance of the step: an entry whose examples cancel,
    late in the run to 1e-6 of their sum, keeps the rounding of that sum; elsewhere it is 1e-12
    (`moments.rounding`).

    A subject in plain float64 runs the quick horizon always: its squared gradients are in range
    there, down to a loss of e^-150, and would not be later.
    """
    clusters, digits = problems.clusters(trial.seed), lit_digits()
    for problem, a, initial, quick, full in (
        (clusters, 1 / 2, 1.0, 3000, 40_000),
        (clusters, 2 / 3, 1.4, 2500, 40_000),
        (clusters, 1.0, 8.0, 2500, 40_000),
        (digits, 1 / 2, 4.0, 2000, 10_000),
    ):
        check_start(trial, problem)
        adam, betas = adam_of_the_theorem(trial, initial, a)
        steps, name = horizon(trial, adam, quick, full), f"{problem.name}, a = {a:.2g}"
        run = steepest.paced(trial, problem, adam, initial, steps, record=range(steps + 1))
        if problem is clusters:
            step_is_adams(trial, name, problem, run, betas)
        promised(trial, name, problem, run, optimum_of(problem), 0.5)


@claim(
    "multiclass/adam-other-losses",
    source="signgd_adam, App. F (Adam on the multiclass exponential loss and PairLogLoss); the "
    "finite-time bound is derived",
    statement="Adam without epsilon maximises the margin of the max-norm on the multiclass "
    "exponential loss and on PairLogLoss too: the promise of multiclass/adam-max-norm, with their "
    r"own proxies, is more than half of $\gamma\|W_T\|_{\max}$.",
    hypotheses=("separable data", "no entry of the first gradient is zero", "no epsilon",
                "beta1 <= beta2"),
    kind="bound",
    roles=("adam",),
    rivals=("gd", "ngd", "adam-beta-swap", "amsgrad", "adam-epsilon", "adam-shared-moment"),
)  # fmt: skip
def test_adam_other_losses(trial: Trial) -> None:
    """As for cross-entropy: each second derivative is at most rho^2 G (multiclass/other-losses)."""
    for loss in (losses.MulticlassExponential(), losses.PairLogLoss()):
        problem, name = problems.clusters(trial.seed, loss=loss), type(loss).__name__
        check_start(trial, problem)
        adam, betas = adam_of_the_theorem(trial, 1.0, 1 / 2)
        steps = horizon(trial, adam, 2500, 20_000)
        run = steepest.paced(trial, problem, adam, 1.0, steps, record=range(steps + 1))
        step_is_adams(trial, name, problem, run, betas)
        promised(trial, name, problem, run, optimum_of(problem), 0.5)


@claim(
    "multiclass/adam-two-classes",
    source="Zhang, Zou and Cao 2024 (arXiv:2406.10650), as signgd_adam, Theorem 6.3 at k = 2; the "
    "identity is derived",
    statement=r"At $k = 2$ Adam with the step $\eta$ is Adam on the binary logistic loss with "
    r"$2\eta$: $W_t = (u_t, -u_t)/2$ at every step; $\min_i y_i u_T^\top h_i/\|u_T\|_\infty$ is "
    "more than half of the largest there is.",
    hypotheses=("separable data", "no epsilon", "beta1 <= beta2", r"$W_0 = 0$"),
    kind="identity",
    roles=("adam",),
    rivals=("gd", "ngd", "adam-beta-swap", "amsgrad", "adam-epsilon"),
)  # fmt: skip
def test_adam_two_classes(trial: Trial) -> None:
    """The rows are opposite, and their difference takes the binary rule's steps.

    [derived] The residuals of two classes are opposite, and those of the logistic loss at u = W_1 -
    W_2; Adam's step is odd, and one v for all classes is right here. The moments are rebuilt from
    the binary loss at the run's own u. What the rows' steps may differ by adds up in their sum.
    """
    problem = problems.clusters(trial.seed, k=2, per_class=20)
    y = 1 - 2 * problem.y.double()
    binary = Problem(
        "binary", models.Linear(), losses.Logistic(mean=True), problem.X, y, problem.start[0]
    )
    adam, betas = adam_of_the_theorem(trial, 1.0, 1 / 2)
    steps = horizon(trial, adam, 2500, 20_000)
    run = steepest.paced(trial, problem, adam, 1.0, steps, record=range(steps + 1))
    u, eta = run.w[:, 0] - run.w[:, 1], run.integrals["step_size"].diff().unsqueeze(-1)
    moved = -u.diff(dim=0) / (2 * eta)
    factor = moments.correction_seen(moved[0].abs().max(), *betas, steps).unsqueeze(-1)
    expected = factor * moments.ratios(binary, u[:-1], *betas)
    both = torch.stack([expected, -expected], -2)
    allowed = moments.step_rounding(problem, run, *betas, factor.unsqueeze(-1), both)
    title, places = "(u_t - u_t+1) / 2 eta_t", ("step", "entry")
    trial.close(title, moved, expected, allowed[:, 0], moments.STEP_BECAUSE, along=places)
    apart = (eta * allowed.sum(-2)).cumsum(0)
    title, because = "W_1 + W_2", "both rows' rounding, summed over the steps"
    trial.close(title, run.w[1:].sum(-2), 0.0, apart, because, along=places)
    optimum = limits.max_margin(binary.X, binary.y, math.inf).value
    share = measures.normalised_margin(binary, u[-1], math.inf) / optimum
    trial.ordering("1/2, then the margin over the optimum", 0.5, share, "what the statement says")


@claim(
    "multiclass/adam-rates",
    source="signgd_adam, Theorem 6.3 and Corollary 6.4 / D.9",
    statement=r"Adam's gap $\gamma - \min (e_{y_i} - e_c)^T W_t h_i / \|W_t\|_{\max}$ falls at "
    r"least as fast as $(S_{100} + \sum_{s<t}\eta_s^{3/2}) / S_t$, $S_t = \sum_{s<t}\eta_s$: as "
    r"$t^{-a/2}$ for $a < 2/3$, $\log t / t^{1/3}$ for $a = 2/3$ and $t^{-(1-a)}$ for "
    r"$2/3 < a < 1$.",
    hypotheses=(
        "separable data",
        "no entry of the first gradient is zero (Assumption 3.2)",
        "eta_t = eta_0 (t + 1)^-a, a in (0, 1)",
        "no epsilon",
        "beta1 <= beta2",
    ),
    kind="rate",
    roles=("adam",),
    rivals=("gd", "ngd", "amsgrad", "adam-epsilon"),
)
def test_adam_rates(trial: Trial) -> None:
    """From T / 25 and T / 10 to T the gap loses ground on the theorem's remainder.

    The remainder hides a constant, and so its ratio to the gap is compared with itself. [derived]
    The gap falls like 1 / S: for a <= 2/3 that is faster than the theorem, the ratio tends to zero,
    and at T it is below what it was at T / 10 and at T / 25. For a > 2/3 it is the theorem's rate,
    and the ratio tends to a constant, from either side: it may grow, but by less than the root of
    what a gap that stays would make of it.
    """
    problem = problems.clusters(trial.seed)
    check_start(trial, problem)
    optimum = optimum_of(problem)
    for a, initial, quick in ((1 / 2, 1.0, 6000), (2 / 3, 1.4, 10_000), (0.8, 2.0, 6000)):
        adam, _ = adam_of_the_theorem(trial, initial, a)
        steps = horizon(trial, adam, quick, 200_000)
        times = torch.tensor([steps // 25, steps // 10, steps])
        run = steepest.paced(trial, problem, adam, initial, steps, record=times.tolist())
        gap = optimum - measures.normalised_margin(problem, run.w, math.inf)
        trial.at_least(
            f"a = {a:.2g}: gap", gap, 0.0, 1e-9, "the certified optimum", about="a formula"
        )
        eta = initial * torch.arange(1, steps + 1, dtype=torch.float64) ** -a
        S, powers = eta.cumsum(0), (eta**1.5).cumsum(0)
        remainder = (S[99] + powers[times - 1]) / S[times - 1]
        share, growth = gap / remainder, (remainder / remainder[-1]) ** (0.5 if a > 2 / 3 else 0.0)
        for k, when in enumerate(("T / 25", "T / 10")):
            title = f"a = {a:.2g}: gap over the remainder at T, then at {when}"
            trial.ordering(title, share[-1], growth[k] * share[k], "no slower than the theorem")


@claim(
    "multiclass/adam-classes-do-not-matter",
    source="signgd_adam, Corollary 6.4: no factor k; Remark 6.5; the bound is derived",
    statement=r"Adam's gap times the sum of the step sizes does not grow with the number of "
    r"classes: from $k = 5$ to $k = 25$ at equal $n$, $d$, $\gamma$ and $B\eta_0$ its exponent in "
    r"$k$ is under 1/2, where the reduction to a binary problem would have a factor $k$; at each "
    r"$k$ its progress promises a third of $\gamma$, by a bound without $k$.",
    hypotheses=(
        "separable data",
        "no epsilon",
        "beta1 <= beta2",
        "n, d, gamma, B eta_0 do not change",
    ),
    kind="bound",
    roles=("adam",),
    rivals=("ngd", "gd", "amsgrad", "adam-epsilon"),
)
def test_adam_classes_do_not_matter(trial: Trial) -> None:
    """Five times the classes, and the gap closes as fast.

    100 examples in 60 dimensions, scaled to a max-norm margin of one. The bound of
    multiclass/adam-max-norm has no k in it. k = 2 is left out: it is easier. 1/2 is half of the
    exponent that a factor k would be.
    """
    product = {}
    for k in (5, 25):
        problem = problems.clusters(trial.seed, k=k, d=60, per_class=100 // k, sigma=0.5)
        # At margin one the inputs' 1-norm is at most 1 / optimum: eta_0 is .4 of its inverse.
        optimum = optimum_of(problem)
        initial = 0.4 * optimum
        problem = replace(problem, X=problem.X / optimum)
        adam, _ = adam_of_the_theorem(trial, initial, 0.5)
        steps = horizon(trial, adam, 1000, 5000)
        run = steepest.paced(trial, problem, adam, initial, steps, record=range(steps + 1))
        promised(trial, f"k = {k}", problem, run, 1.0, 1 / 3)
        gap = 1 - measures.normalised_margin(problem, run.final, math.inf)
        trial.at_least(f"k = {k}: gap", gap, 0.0, 1e-9, "the certified optimum", about="a formula")
        product[k] = (gap * run.integrals["step_size"][-1]).clamp_min(1e-12)
    exponent = torch.log(product[25] / product[5]) / math.log(5)
    trial.at_most("exponent of gap * S in k", exponent, 0.5, 0.0, "half of a factor k's")
