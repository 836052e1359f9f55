"""linf-SAM on a diagonal network and one example: the start decides (minor_first, Section 3).

The paper's text was not at hand: its theorems are known from notes [second], the closed forms that
the claims test are derived (FACTS 2.2, `limitpoint.amplification`).
"""

import math
from collections.abc import Iterator

import torch
from torch import Tensor

from limitpoint import (
    Problem,
    Trajectory,
    Trial,
    amplification,
    claim,
    optimizers,
    problems,
    stack,
)
from limitpoint.optimizers import Rule

RHO = 1.0
SAM = optimizers.LinfSAM(rho=RHO)
SHORT = 1e-6


def start_of(problem: Problem) -> tuple[Tensor, Tensor]:
    """The example mu and the start alpha of every layer, each of shape (*batch, d)."""
    return problem.X[..., 0, :], problem.start[..., 0, :]


def legs(trial: Trial, problem: Problem, rule: Rule, end: float) -> Iterator[Trajectory]:
    """The rescaled flow up to tau = `end`, in legs that stop SHORT of each extinction.

    The flow's field jumps where a coordinate reaches zero. One that has come that near is put to
    zero, where it stays: tau decouples the coordinates, so that the others do not notice.
    """
    mu, alpha = start_of(problem)
    speed = amplification.rescaling(amplification.slope(problem, SAM))
    depth, w, begin = problem.start.shape[0], problem.start, 0.0
    stops = amplification.extinction_times(alpha, mu, RHO, depth)
    for stop in [*sorted(stops[stops < end].tolist()), end]:
        short = stop - SHORT
        times = [*torch.linspace(begin, short - SHORT, 9).tolist(), short]
        leg = trial.flow(problem, rule, times, start=w, speed=speed)
        yield leg
        w = torch.where(leg.final.abs() < 2 * SHORT * mu * RHO ** (depth - 1), 0.0, leg.final)
        begin = short


@claim(
    "minor-first/linf-trichotomy",
    source="minor_first, Theorem 3.2, L = 2 [second]; FACTS 2.2 (derived)",
    statement=r"Under the rescaled $\ell_\infty$-SAM flow on $\{(\mu, +1)\}$, depth 2, a "
    r"coordinate started at $\alpha_j$ follows $w_j = \rho + (\alpha_j - \rho) e^{\mu_j \tau}$: it "
    r"dies at $\tau_j = \mu_j^{-1}\log(\rho/(\rho - \alpha_j))$ below $\rho$, stays at $\rho$, and "
    r"diverges above.",
    hypotheses=("one example, mu > 0", "depth 2", "both layers start at the same alpha > 0"),
    kind="identity",
    roles=("sam-linf",),
    rivals=("sam-l2", "gd", "usam", "sam-linf-downhill"),
)
def test_sam_linf_trichotomy_flow(trial: Trial) -> None:
    """Each coordinate follows its own closed form, and dies when it should.

    Derived, as the theorem's text was not at hand. Tolerance 1e-6 of the closed form: the equation
    is linear in w - rho, so that local errors of 1e-11 add up to 1e-8 in a thousand steps; the
    clock's rounding, 2^-52 u_hat, is at most 5e-7 with the u_hat < 2e9 of this run. An extinction
    time is where the line through the last two points, SHORT apart, meets zero: its error is
    mu SHORT^2 and the local error over the slope.
    """
    problem = problems.threshold_example(trial.seed, rho=RHO)
    mu, alpha = start_of(problem)
    rule = trial.optimizer("sam-linf", rho=RHO)
    times = amplification.extinction_times(alpha, mu, RHO, 2)
    end = float(times[times.isfinite()].max()) + 0.1
    died = []
    for leg in legs(trial, problem, rule, end):
        tau = torch.as_tensor(leg.times)[1:]
        expected = amplification.linf_weights(tau, alpha, mu, RHO, 2).unsqueeze(1)
        scale = expected.abs().clamp_min(RHO)
        trial.close("w_j(tau)", leg.w[1:], expected, 1e-6 * scale, "1e3 local errors of 1e-11")
        died.append(extrapolated_zero(leg))
    order = times.argsort()[: int(times.isfinite().sum())]
    measured = torch.stack([row[j] for row, j in zip(died, order, strict=False)])
    trial.close("extinction times", measured, times[order], 1e-6, "SHORT^2, local error / slope")


def extrapolated_zero(leg: Trajectory) -> Tensor:
    """Where the line through the leg's last two points meets zero, for each coordinate."""
    (before, after), (t, end) = leg.w[-2:, 0], leg.times[-2:]
    return end + after * (end - t) / (before - after)


@claim(
    "minor-first/linf-trichotomy-discrete",
    source="minor_first, Theorem 3.2, L = 2 [second]; FACTS 2.2 (derived)",
    statement=r"With small steps $\ell_\infty$-SAM follows the three cases of the flow, with "
    r"$\tau = \sum \eta\sigma$, and a coordinate that died stays within $\eta\mu_j\rho$ of zero.",
    hypotheses=("one example, mu > 0", "depth 2", "both layers start at the same alpha > 0"),
    kind="bound",
    roles=("sam-linf",),
    rivals=("sam-l2", "gd", "usam", "sam-linf-downhill"),
)
def test_sam_linf_trichotomy(trial: Trial) -> None:
    """The algorithm itself, one run with survivors and one without, inside derived bounds.

    A step multiplies w_j - rho by 1 + x, x = eta sigma mu_j, and x - x^2/2 <= log(1 + x) <= x: the
    logarithm of |w_j - rho| / |alpha_j - rho| lies within sum x^2 / 2 below mu_j tau, to rounding.
    So a coordinate below rho is dead once mu_j tau exceeds mu_j tau_j + sum x^2 / 2 + x; its sign
    then changes from step to step and |w_j| <= x rho, sigma < 1. The radius is small because
    coordinates that die hold u_hat at sum mu_j rho^2, where the clock runs at e^-u_hat.
    """
    rho, steps = 0.2, trial.steps(2000, 40_000)
    eta = 8.0 / steps
    pair = [
        problems.threshold_example(trial.seed, sides=s, rho=rho)
        for s in ([-1, -1, 0, 0, 1, 1], [-1] * 6)
    ]
    problem = stack(pair)
    mu, alpha = start_of(problem)
    rate = amplification.slope(problem, optimizers.LinfSAM(rho=rho))
    sums = {"tau": lambda w: rate(w).tensor(), "squares": lambda w: rate(w).tensor() ** 2}
    rule = trial.optimizer("sam-linf", eta, rho=rho)
    run = trial.run(problem, rule, steps, record=range(0, steps + 1, 10), integrals=sums)
    w, expected = run.w[:, :, 0], mu * run.integrals["tau"]
    late = eta * mu**2 * run.integrals["squares"] / 2
    death = mu * amplification.extinction_times(alpha, mu, rho, 2)
    alive, dead = expected < death, expected > death + late + eta * mu
    grown = torch.log((w - rho).abs() / (alpha - rho).abs())
    moving = alive & (alpha != rho) & (expected > 0)
    because = "x - x^2/2 <= log(1 + x) <= x, rounding of the steps"
    trial.at_most("log growth", grown[moving], expected[moving], 1e-9, because)
    trial.at_least("log growth", grown[moving], (expected - late)[moving], 1e-9, because)
    still = (alpha == rho).expand_as(w)
    because = "rounding, grown by exp(mu tau) < 1e4"
    trial.identity("w_j started at rho", w[still], torch.full_like(w[still], rho), 1e-12, because)
    bound = eta * mu * rho
    trial.at_most(
        "|w_j| after its death", w.abs()[dead], bound.expand_as(w)[dead], 0.0, "sigma < 1"
    )
    prediction = float((mu * bound**2).sum(-1)[1])
    loss = problem.value(run.final)[1]
    trial.close(
        "loss without survivors", loss, math.log(2), prediction, "|u| <= sum mu w^2, l' < 1"
    )
