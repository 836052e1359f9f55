"""linf-SAM on a diagonal network and one example: the start decides (minor_first, Section 3).

The paper's text was not at hand: its theorems are known from a summary, the closed forms that the
claims test are derived (`limitpoint.theory.amplification`).
"""

import math
from collections.abc import Callable, Iterator

import torch
from torch import Tensor

from limitpoint import (
    Inconclusive,
    Problem,
    Scaled,
    Trajectory,
    Trial,
    claim,
    flow,
    optimizers,
    problems,
    stack,
)
from limitpoint.optimizers import Rule
from limitpoint.theory import amplification, rescaled

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
    speed = amplification.rescaling(amplification.slope(problem, SAM, trial.engine, rule))
    depth, w, begin = problem.start.shape[0], problem.start, 0.0
    stops = amplification.extinction_times(alpha, mu, RHO, depth)
    for stop in [*sorted(stops[stops < end].tolist()), end]:
        short = stop - SHORT
        times = [*torch.linspace(begin, short - SHORT, 9).tolist(), short]
        leg = trial.flow(problem, rule, times, start=w, speed=speed)
        yield leg
        w = torch.where(leg.final.abs() < 2 * SHORT * mu * RHO ** (depth - 1), 0.0, leg.final)
        begin = short


def paced_flow(
    trial: Trial, problem: Problem, rule: Rule, end: float, leads: int | Tensor
) -> Trajectory:
    """The flow on the clock ds = |w_j - rho|^(L-2) dtau, up to s = `end`; tau is in its integrals.

    |w_j - rho| is that of the coordinate that leads, or the norm of several: it changes at most
    exponentially in s, and a blow-up is never reached.
    """
    power = problem.start.shape[0] - 2
    rate = amplification.slope(problem, SAM, trial.engine, rule)

    def pace(w: Tensor) -> Tensor:
        return (w[0, leads] - RHO).norm() ** -power

    speed = amplification.rescaling(rate, pace)
    times = torch.linspace(0, end, 13).tolist()
    return trial.flow(problem, rule, times, speed=speed, integrals={"tau": rate})


@claim(
    "minor-first/linf-trichotomy",
    source="minor_first, Theorem 3.2, L = 2 (from a summary); derived",
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
    is linear in w - rho, so that local errors of 1e-11 add up to 1e-8 in a thousand steps; what is
    put to zero was 1e-6 mu_j rho. An extinction time is where the line through the last two points,
    SHORT apart, meets zero: its error is mu SHORT^2 and the local error over the slope.
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
        axes = {"time": tau, "layer": None, "coordinate": None}
        trial.close(
            "w_j(tau)", leg.w[1:], expected, 1e-6 * scale, "1e3 local errors of 1e-11", along=axes
        )
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
    source="minor_first, Theorem 3.2, L = 2 (from a summary); derived",
    statement=r"With small steps $\ell_\infty$-SAM follows the three cases of the flow, with "
    r"$\tau = \sum \eta\sigma$, and a coordinate that died stays within $\eta\mu_j\rho$ of zero.",
    hypotheses=("one example, mu > 0", "depth 2", "both layers start at the same alpha > 0"),
    kind="bound",
    roles=("sam-linf",),
    rivals=(
        "sam-l2",
        "gd",
        "usam",
        "sam-linf-downhill",
        "ascent",
        "step-doubled",
        "accelerated",
        "rho-doubled",
        "twice-uphill",
        "averaged",
        "one-layer",
        "perturbation-kept",
        "sign-outside",
    ),
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
    pair = [
        problems.threshold_example(trial.seed, sides=s, rho=rho)
        for s in ([-1, -1, 0, 0, 1, 1], [-1] * 6)
    ]
    problem = stack(pair)
    mu, alpha = start_of(problem)
    rule = trial.optimizer("sam-linf", 8.0 / steps, rho=rho)
    eta = float(rule.step_size.at(0))  # a user's own, if there is one
    run = trial.run(problem, rule, steps, record=range(steps + 1))
    sigma = amplification.slopes(problem, optimizers.LinfSAM(rho=rho), run.w)
    tau, squares = (rescaled.elapsed(run, f) for f in (sigma, sigma**2))
    w, expected, late = run.w[:, :, 0], mu * tau, eta * mu**2 * squares / 2
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
    if not dead.any():
        raise Inconclusive("horizon: by the theorem's clock no coordinate has died yet")
    bound = eta * mu * rho
    trial.at_most(
        "|w_j| after its death", w.abs()[dead], bound.expand_as(w)[dead], 0.0, "sigma < 1"
    )
    prediction = float((mu * bound**2).sum(-1)[1])
    loss = problem.value(run.final)[1]
    trial.close(
        "loss without survivors", loss, math.log(2), prediction, "|u| <= sum mu w^2, l' < 1"
    )


@claim(
    "minor-first/linf-deep",
    source="minor_first, Theorem 3.2, L > 2, Remark 3.3 (from a summary); derived",
    statement=r"At depth $L \ge 3$ the rescaled $\ell_\infty$-SAM flow blows up at "
    r"$\tau = \min_j 1/((L-2)\mu_j(\alpha_j-\rho)^{L-2})$, in that coordinate alone; below $\rho$ "
    r"$\beta_j$ dies in finite time if $L$ is even and tends to $\rho^L$ if $L$ is odd.",
    hypotheses=("one example, mu > 0", "depth >= 3", "all layers start at the same alpha > 0"),
    kind="identity",
    roles=("sam-linf",),
    rivals=("gd", "sam-l2", "sam-linf-downhill"),
)
def test_sam_linf_deep_flow(trial: Trial) -> None:
    """Blow-up times at L = 3, 4, 5, extinction times at L = 4, and the limit rho^L at L = 3, 5.

    Derived. Tolerance 1e-6 of the closed form: local errors of 1e-11 grow like
    ((w_j - rho) / (alpha_j - rho))^(L-1), below 1e4 in the coordinates that stay finite. The
    blow-up time is read where the winner, started above 1.1 rho, is above e^20 rho / 10 > 1e7 rho:
    the time that is left is below 1e-6 of it.
    """
    for depth in (3, 4, 5):
        sides = (-1, 0, 1, 1, 1) if depth % 2 else (0, 1, 1, 1)
        problem = problems.threshold_example(trial.seed, depth, sides=sides, rho=RHO)
        judge_blow_up(trial, problem, depth)
        problem = problems.threshold_example(trial.seed, depth, sides=[-1] * 3, rho=RHO)
        (judge_approach if depth % 2 else judge_extinction)(trial, problem, depth)


def judge_blow_up(trial: Trial, problem: Problem, depth: int) -> None:
    """The winner blows up at its time, the others follow their closed forms up to then."""
    mu, alpha = start_of(problem)
    winner = amplification.linf_winner(alpha, mu, RHO, depth)
    rule = trial.optimizer("sam-linf", rho=RHO)
    run = paced_flow(trial, problem, rule, 20 / float(mu[winner]), winner)
    tau = run.integrals["tau"][:, 0]
    T = amplification.blow_up_times(alpha, mu, RHO, depth).min()
    trial.close(f"L = {depth}: blow-up time", tau[-1], T, 1e-6 * T, "1e-6 before the end")
    trial.at_least(f"L = {depth}: w_j* there", run.final[0, winner], 1e7 * RHO, 0, "1e-6 left")
    others = torch.arange(len(mu)) != winner
    expected = amplification.linf_weights(tau, alpha, mu, RHO, depth)[:, others]
    measured = run.w[:, 0, others]
    trial.close(
        f"L = {depth}: the others",
        measured,
        expected,
        1e-6 * expected,
        "local errors",
        along={"time": tau, "coordinate": None},
    )


def judge_approach(trial: Trial, problem: Problem, depth: int) -> None:
    """Odd depth, below rho: the closed form, and rho^L - beta_j at most what it leaves.

    The clock stops before rho - w_j, of which rho is unstable from above, falls to local errors.
    """
    mu, alpha = start_of(problem)
    rule = trial.optimizer("sam-linf", rho=RHO)
    run = paced_flow(trial, problem, rule, 10 * (depth - 2) / float(mu.max()), mu > 0)
    tau = run.integrals["tau"][:, 0]
    expected = amplification.linf_weights(tau, alpha, mu, RHO, depth)
    trial.close(
        f"L = {depth}: w_j below rho",
        run.w[:, 0],
        expected,
        1e-6 * RHO,
        "local errors",
        along={"time": tau, "coordinate": None},
    )
    q, beta = depth - 2, run.final.prod(0)
    left = depth * RHO ** (depth - 1) * (q * mu * tau[-1]) ** (-1 / q)
    trial.at_most(f"L = {depth}: beta_j", beta, RHO**depth, 0, "w_j rises to rho")
    trial.at_least(f"L = {depth}: beta_j", beta, RHO**depth - left, 0, "the closed form's bound")


def judge_extinction(trial: Trial, problem: Problem, depth: int) -> None:
    """Even depth, below rho: dead at the time of the closed form."""
    mu, alpha = start_of(problem)
    times = amplification.extinction_times(alpha, mu, RHO, depth)
    rule = trial.optimizer("sam-linf", rho=RHO)
    died = [extrapolated_zero(leg) for leg in legs(trial, problem, rule, float(times.max()) + 0.1)]
    measured = torch.stack([row[j] for row, j in zip(died, times.argsort(), strict=False)])
    because = "SHORT^2, local error / slope"
    trial.close(f"L = {depth}: extinction times", measured, times.sort().values, 1e-6, because)


@claim(
    "minor-first/linf-direction",
    source="minor_first, corollary of Theorem 3.2 (from a summary); derived",
    statement=r"The predictor of the $\ell_\infty$-SAM flow tends to 0 or to the direction "
    r"$e_{j^*}$, $j^* = \operatorname*{argmax}_{\alpha_j > \rho} \mu_j(\alpha_j-\rho)^{L-2}$; "
    r"that of gradient flow, depth 2, to $e_d$ from a start with $j^* = 1$ too.",
    hypotheses=(
        "one example, 0 < mu_1 < ... < mu_d",
        "all layers start at the same alpha > 0",
        "some alpha_j > rho; or an even depth, and every alpha_j < rho",
    ),
    kind="limit",
    roles=("sam-linf",),
    rivals=("gd", "sam-l2", "usam"),
)
def test_sam_linf_direction_flow(trial: Trial) -> None:
    """Starts that pick each basis vector in turn and zero, at depth 2; a minor winner at depth 3.

    Derived. At depth 2 the others decay against the winner like exp(-2 (mu_j - mu_k) tau), which at
    tau = 8 is at most e^-8 = 4e-4 with gaps of 0.5: tolerance 1e-3 of the unit vector (those who
    die only matter less). At depth 3 they stay finite, and the winner is above 1e7 rho.
    """
    mu = problems.drawn_mu(trial.seed, 4)
    rule = trial.optimizer("sam-linf", rho=RHO)
    for above in ((1, 0, 0, 0), (1, 1, 0, 0), (0, 1, 1, 0), (1, 0, 1, 1), (0, 0, 0, 0)):
        alpha = [RHO * (1.3 if side else 0.6) for side in above]
        problem = problems.one_example(mu, alpha)
        winner = amplification.linf_winner(torch.tensor(alpha), torch.tensor(mu), RHO, 2)
        final = list(legs(trial, problem, rule, 8.0))[-1].final.prod(0)
        judge_direction(trial, f"above rho: {above}", final, winner)
    problem = problems.one_example(mu, [1.3 * RHO, 0.6 * RHO, 0.6 * RHO, 0.6 * RHO])
    gd = flow(problem, optimizers.GD(), [0, 8.0], speed=own_clock(problem)).final.prod(0)
    judge_direction(trial, "gradient flow where linf-SAM picks e_1", gd, len(mu) - 1)
    alpha = [1.5 * RHO, 1.1 * RHO, 0.6 * RHO, 1.1 * RHO]
    problem = problems.one_example(mu, alpha, depth=3)
    winner = amplification.linf_winner(torch.tensor(alpha), torch.tensor(mu), RHO, 3)
    final = paced_flow(trial, problem, rule, 20 / mu[winner], winner).final.prod(0)
    judge_direction(trial, "depth 3", final, winner)


def judge_direction(trial: Trial, name: str, beta: Tensor, winner: int | None) -> None:
    """Beta points along e_winner, or is zero."""
    if winner is None:
        trial.identity(f"{name}: beta", beta, torch.zeros_like(beta), 0.0, "zero is absorbing")
        return
    basis = torch.eye(len(beta), dtype=beta.dtype)[winner]
    because = "e^-8 at depth 2, 1e-18 at depth 3"
    trial.close(f"{name}: direction", beta / beta.norm(), basis, 1e-3, because)


def own_clock(problem: Problem) -> Callable[[Tensor], Scaled]:
    """The clock on which gradient flow at depth 2 is dw_j/dtau = mu_j w_j: that of rho = 0."""
    return amplification.rescaling(amplification.slope(problem, optimizers.LinfSAM(rho=0.0)))
