"""Stationary points of full-batch n-SAM on smooth functions (understanding_sam, App. C.1)."""

import torch
from torch import Tensor

from limitpoint import Erratum, Objective, Trial, claim, problems, worst_case
from limitpoint.theory import descent


def gradient_sums(objective: Objective, w: Tensor) -> Tensor:
    """Sum of |grad L(w_t)|^2 over t < T for T = 0, 1, ...; w of shape (R, *batch, d)."""
    squares = (objective.grad(w) ** 2).sum(-1)
    return torch.cat([torch.zeros_like(squares[:1]), squares.cumsum(0)[:-1]])


@claim(
    "sam/stationary-rate",
    source="understanding_sam, Theorems 6 and 9",
    statement=r"On a $\beta$-smooth function n-SAM has $\sum_{t<T} \|\nabla L(w_t)\|^2 \le "
    r"(L(w_0) - L(w_T)) / (\gamma(1-\rho\beta)(1 - \frac{\gamma\beta}{2}(1-\rho\beta)))$ "
    "for every $T$.",
    hypotheses=("beta-smooth", "gamma < 1 / beta", "rho < 1 / beta"),
    kind="bound",
    roles=("n-sam",),
    rivals=("n-sam-step-tripled", "rho-doubled"),
)
def test_n_sam_stationary_rate(trial: Trial) -> None:
    """The gradients' squares sum to no more than the loss gives, at every T.

    Random sums of cosines, the sine valley and the parabola chain, none of them convex, steps and
    radii up to the limits. The bound is Theorem 9's with its sum over t < T (its print adds t = T,
    see sam/erratum-theorem-9); with 1 - gamma beta (1 - rho beta) / 2 >= 1/2 it implies Theorem 6.
    A search over step, radius and start on the parabola chain comes to .9999 of it: small steps
    down from the maximum lose rho beta at each.

    Tolerance: rounding of the losses.
    """
    total = trial.steps(200, 2000)
    starts = descent.uniform_starts(trial.seed, 9, 5, 4, 4.0)
    waves = problems.cosine_waves(trial.seed, 5, beta=2.5)
    for objective in (waves, problems.sine_valley(), problems.parabola_chain()):
        dims = 3 if objective is waves else 2
        beta = objective.constants["beta"]
        gamma, rho = descent.pairs(beta, (0.1, 0.5, 0.999), (0.1, 0.5, 0.99), dims)
        start = starts.unsqueeze(1).expand(-1, 5, -1, -1) if objective is waves else starts
        rule = trial.optimizer("n-sam", gamma, rho=rho)
        run = trial.run(objective, rule, total, start=start, record=range(total + 1))
        losses = objective.value(run.w)
        gain = descent.smooth_gain(gamma, rho, beta).squeeze(-1)
        spent = gain * gradient_sums(objective, run.w)[1:]
        tolerance = 1e-13 * total * (1 + losses[0].abs())
        label = f"gain times the sum of squared gradients, {objective.name}"
        trial.at_most(
            label,
            spent,
            losses[0] - losses[1:],
            tolerance,
            "rounding of the losses",
            along=("step", "setting"),
        )
    box = [(0.01, 0.999), (0.01, 0.99), (0.0, 2.0)]
    found = worst_case(lambda x: share_of_the_loss(trial, x), box, trial.seed)
    label = "gain times the sum of squared gradients, over what the loss paid, worst case"
    trial.at_most(label, found.ratio, 1.0, 1e-9, "rounding of losses that fell by 1e-7 at least")


def share_of_the_loss(trial: Trial, x: Tensor) -> Tensor:
    """Theorem 9's two sides as a ratio on the parabola chain, the largest of ten steps.

    Candidates (N, 3): gamma, rho, start. Starts that are all but stationary are left out.
    """
    gamma, rho, start = x.unsqueeze(-1).unbind(1)
    chain = problems.parabola_chain()
    run = trial.run(
        chain, trial.optimizer("n-sam", gamma, rho=rho), 10, start=start, record=range(11)
    )
    losses, gain = chain.value(run.w), descent.smooth_gain(gamma, rho, 1.0).squeeze(-1)
    paid = (losses[0] - losses[1:]).clamp(min=1e-12)  # a loss that grows is a violation
    ratio = gain * gradient_sums(chain, run.w)[1:] / paid
    return torch.where(start.squeeze(-1).sin().abs() > 0.05, ratio.amax(0), torch.nan)


@claim(
    "sam/false-fixed-points",
    source="understanding_sam, second remark after Theorem 6",
    statement=r"$\rho < 1/\beta$ is needed: at $\rho = 1/\beta$ points that are not stationary can "
    r"be fixed points of n-SAM, as $w + \nabla L(w)/\beta$ can be a maximum of $L$.",
    hypotheses=("beta-smooth", "rho = 1 / beta"),
    kind="identity",
    roles=("n-sam",),
    rivals=(
        "rho-zero",
        "rho-doubled",
        "rho-negative",
        "stale",
    ),
    seeded=False,
)
def test_n_sam_false_fixed_points(trial: Trial) -> None:
    """On the parabola chain every w in (-1, 1) stays where it is, exactly; below 1 / beta it goes.

    L' = -w there, so that w + L'(w) = 0, the maximum, without rounding. At rho = .99 / beta the run
    reaches the minima at -2 and 2: |w| grows by 1 + gamma (1 - rho) = 1.005 a step until 1, from
    1e-3 within 1400 steps, and then converges linearly.
    """
    chain = problems.parabola_chain()
    start = torch.linspace(0.001, 0.999, 50, dtype=torch.float64).unsqueeze(-1)
    start = torch.cat([start, -start])
    stuck = trial.run(chain, trial.optimizer("n-sam", 0.5, rho=1.0), 5, start=start).final
    trial.identity("iterate at rho = 1 / beta", stuck, start, 0.0, "no operation rounds")
    trial.ordering(
        "zero, to the gradient there", 0.0, chain.grad(stuck).abs(), "|w|, as at the start"
    )
    moved = trial.run(chain, trial.optimizer("n-sam", 0.5, rho=0.99), 2000, start=start).final
    trial.close("limit at rho = .99 / beta", moved, 2 * start.sign(), 1e-12, "linear convergence")


@claim(
    "sam/erratum-theorem-9",
    source="understanding_sam, Theorem 9: statement against its own proof",
    statement="The sum of Theorem 9 ends at $t = T - 1$, as in its proof, not at the printed "
    "$t = T$.",
    hypotheses=("beta-smooth", "gamma < 1 / beta", "rho < 1 / beta"),
    kind="erratum",
    erratum=Erratum(
        printed="(1/T) sum of |grad L(w_t)|^2 over t = 0, ..., T <= (L(w_0) - L(w_T)) / (T gain)",
        corrected="the same with the sum over t = 0, ..., T - 1",
        where="Theorem 9 (App. C.1)",
        basis="proof",
        sure="likely",
        because="The proof sums over t = 0, ..., T - 1, and so do Theorems 2, 6 and 12.",
        copy="It could have lost the -1 above the sum, though it has it in all those places.",
    ),
    roles=("n-sam",),
    rivals=("n-sam-step-tripled", "rho-doubled"),
    seeded=False,
)
def test_n_sam_erratum_theorem_9(trial: Trial) -> None:
    """With one gradient more the bound fails for T = 1, where the proof's sum attains it.

    The parabola chain started where its curvature jumps: the first step gains exactly Lemma 8's
    bound, and nothing is left for |grad L(w_1)|^2 > 0. The proof sums over t = 0, ..., T - 1.

    Tolerance: rounding of one step.
    """
    chain = problems.parabola_chain()
    gamma, rho = descent.pairs(1.0, (0.1, 0.5, 0.999), (0.1, 0.5, 0.99))
    start = torch.ones(9, 1, 1, dtype=torch.float64)
    rule = trial.optimizer("n-sam", gamma, rho=rho)
    run = trial.run(chain, rule, 1, start=start, record=(0, 1))
    bound = (chain.value(run.w[0]) - chain.value(run.w[1])) / descent.smooth_gain(
        gamma, rho, 1.0
    ).squeeze(-1)
    squares = (chain.grad(run.w) ** 2).sum(-1)
    trial.corrected.identity(
        "sum over t < 1, to the bound", squares[0], bound, 1e-11, "rounding over a gain of 1e-3"
    )
    trial.printed.ordering(
        "the bound, then the sum over t <= 1",
        bound,
        squares[0] + squares[1],
        "t = T is one too many",
    )
