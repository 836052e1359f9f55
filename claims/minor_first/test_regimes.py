"""The three regimes of l2-SAM on a diagonal network, and Figure 4 (minor_first, Section 4)."""

import torch
from torch import Tensor

from limitpoint import (
    Erratum,
    StepSize,
    Trial,
    claim,
    optimizers,
    problems,
    stack,
)
from limitpoint.theory import amplification, rescaled

RHO = 1.0
SAM = optimizers.L2SAM(rho=RHO)
FIGURE_4 = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0]


@claim(
    "minor-first/regimes",
    source="minor_first, Section 4 (from a summary); thresholds derived",
    statement=r"Three regimes of $\alpha/\rho$: below $\alpha_1$ $\beta$ falls to zero, above "
    r"$\alpha_2 = (\mu_{d-1}+\mu_d)/(\sqrt2\|\mu\|)$ the major coordinate leads at once, and "
    r"between them coordinates lead in turn; nothing but $\alpha/\rho$ matters: "
    r"$(2\alpha, 2\rho, \mu/4, 4\eta)$ doubles every iterate.",
    hypotheses=(
        "one example, 0 < mu_1 < ... < mu_d",
        "depth 2, both layers start at the same alpha",
    ),
    kind="identity",
    roles=("sam-l2",),
    rivals=("gd", "usam", "sam-linf", "sam-l2-layerwise"),
)
def test_sam_l2_regimes_flow(trial: Trial) -> None:
    """Both thresholds between 1 - 1e-3 and 1 + 1e-3 of their value, and a run at twice the scale.

    Derived. alpha_1 comes from bisection on the equations of log beta, to 1e-6, apart from the
    optimizer. Either side is certain once c <= mu_1 (all coordinates shrink) or c >= m_2/m_1 (c
    rises forever); the clock ds = (1 + c) dtau / c reaches both. Local errors of 1e-9 grow less
    than the distance of 1e-3 from the threshold does. Scale: all factors are powers of two, so that
    the two runs differ by their rounding, 1e-16 a step, and by what a radius moves that is as far
    off as packages may have it (`amplification.radius_error`; both runs, so twice).
    """
    judge_scale(trial)
    for mu in (FIGURE_4, problems.drawn_mu(trial.seed)):
        entries = torch.tensor(mu, dtype=torch.float64)
        first, second = (
            f(entries) for f in (amplification.survival_threshold, amplification.major_first)
        )
        below, above = (survival_run(trial, mu, first * (1 + side)) for side in (-1e-3, 1e-3))
        trial.at_most("alpha_1 - 1e-3: least c", below.amin(0)[0], mu[0], 0.0, "certain collapse")
        trial.at_least("alpha_1 + 1e-3: c - m_2/m_1", above[-1, 1], 0.0, 0.0, "certain survival")
        sides = [problems.one_example(mu, RHO * second * (1 + side)) for side in (-1e-3, 1e-3)]
        fastest = rescaled.one_step_growth(trial, stack(sides), 1e-2, RHO).argmax(-1)
        expected = [len(mu) - 2, len(mu) - 1]
        trial.identity("fastest at alpha_2 -+ 1e-3", fastest, expected, 0.0, "integers")


def judge_scale(trial: Trial) -> None:
    """(alpha, rho, mu, eta) -> (2 alpha, 2 rho, mu / 4, 4 eta) doubles every iterate."""
    mu, alpha, steps = problems.drawn_mu(trial.seed), 0.5 * RHO, 300
    pair = [problems.one_example(mu, alpha), problems.one_example([m / 4 for m in mu], 2 * alpha)]
    scale = torch.tensor([1.0, 2.0], dtype=torch.float64).reshape(2, 1, 1)
    rule = trial.optimizer("sam-l2", 5e-3 * scale**2, rho=RHO * scale)
    if torch.as_tensor(rule.step_size.at(0)).numel() == 1:
        return  # a user's own step size is the same at both scales
    run = trial.run(stack(pair), rule, steps, record=range(steps + 1))
    radii = RHO * torch.tensor([1.0, 1 + 1e-6], dtype=torch.float64).reshape(2, 1, 1)
    bent = optimizers.L2SAM(StepSize(5e-3), radii)
    near, far = trial.run(stack(pair[:1] * 2), bent, steps, record=run.times).w.unbind(1)
    moved = (far - near).abs() / 1e-6 * amplification.radius_error(stack(pair), run.w).amax()
    trial.close(
        "iterates at twice the scale",
        run.w[:, 1] / 2,
        run.w[:, 0],
        1e-12 * run.w[:, 0].abs().amax() + 2 * moved,
        "rounding of 300 steps, and of the radius",
        along=("step", "layer", "coordinate"),
    )


def survival_run(trial: Trial, mu: list[float], ratio: float) -> Tensor:
    """c and c - m_2/m_1 along the flow from alpha = ratio * rho, clock ds = (1 + c) dtau / c."""
    problem = problems.one_example(mu, ratio * RHO)

    def pace(w: Tensor) -> Tensor:
        c = amplification.drive(problem, w, RHO)
        return c / (1 + c)

    rule, times = trial.optimizer("sam-l2", rho=RHO), torch.linspace(0, 36 / mu[-1], 41).tolist()
    speed = amplification.rescaling(amplification.slope(problem, SAM, trial.engine, rule), pace)
    run = trial.flow(problem, rule, times, speed=speed, rtol=1e-9, atol=1e-18)
    c = amplification.drive(problem, run.w, RHO)
    return torch.cat([c, c - amplification.survival_barrier(problem, run.w)], dim=-1)


@claim(
    "minor-first/erratum-figure-4",
    source="minor_first, caption of Figure 4, read; regimes derived",
    statement=r"Under the equations as we read them, $\alpha=0.35$, $\rho=0.1$, $\mu=(1,\dots,6)$ "
    r"is regime 3, not regime 2 as the caption of Figure 4 says: the major coordinate is the "
    r"largest and grows fastest from the start. With $\rho=1$ it is regime 2: coordinates lead in "
    "turn.",
    hypotheses=(
        "one example",
        "depth 2, both layers start at alpha",
        "alpha is each layer's start",
    ),
    kind="erratum",
    erratum=Erratum(
        printed="alpha = .35, mu = (1, ..., 6), rho = .1 is in regime 2",
        corrected="it is in regime 3, where coordinate 6 leads from the start; with rho = 1 it is "
        "in regime 2",
        where="caption of Figure 4",
        basis="contradiction",
        sure="open",
        because="The caption against the flow of Section 4 as we read it. With alpha the start of "
        "the predictor, and not of the layers, it is deeper in regime 3 (c(0) = 79.8); only alpha "
        "/ rho <= .815 would be regime 2, such as alpha = .035 with rho = .1.",
        copy="It is the captions and a summary: the paper may scale alpha or rho otherwise.",
    ),
    roles=("sam-l2",),
    rivals=("gd", "usam-gentle", "sam-linf", "sam-l2-layerwise"),
    seeded=False,
)
def test_sam_l2_erratum_figure_4_flow(trial: Trial) -> None:
    """Both radii side by side; the printed one never leaves the major coordinate.

    Rests on a contradiction within the paper as it was at hand, a caption and a summary. Under the
    flow of Section 4 c(0) = sqrt(2) alpha ||mu|| / rho is 47.2 with the printed radius, and
    coordinate 6 is fastest as soon as c > mu_5 + mu_6 = 11. The figure marks the coordinate of the
    highest growth: both it (of log beta, from one recorded time to the next) and the largest are
    read, away from ties. Tolerances: indices are integers; c(0) is exact to rounding.
    """
    mu, index = torch.tensor(FIGURE_4, dtype=torch.float64), {}
    for rho in (0.1, 1.0):
        run = rescaled.flow(trial, problems.one_example(FIGURE_4, 0.35), 4.0, rho)
        logs, tau = rescaled.log_predictor(run.w), torch.as_tensor(run.times).unsqueeze(-1)
        states = {"largest": (logs[1:], tau[1:], run.integrals["S"][1:])}
        states["fastest"] = (logs.diff(dim=0), tau.diff(dim=0), run.integrals["S"].diff(dim=0))
        for what, (height, time, slowness) in states.items():
            half = amplification.mean_drive(time, slowness, rho)[:, 0] / 2
            apart = rescaled.tie_distance(mu, half) > 1e-5
            index[what, rho] = found = height.argmax(-1)[apart]
            expected = amplification.nearest(mu, half)[apart]
            trial.identity(f"{what} coordinate, rho = {rho}", found, expected, 0.0, "integers")
    for alpha, where in ((0.35, "alpha"), (0.35**0.5, "sqrt(alpha)")):
        problem = problems.one_example(FIGURE_4, alpha)
        c = amplification.drive(problem, problem.start, 0.1)
        title = f"rho = .1, layers from {where}: c(0)"
        trial.printed.at_least(title, c, mu[-2] + mu[-1], 0.0, "closed form", about="a formula")
    for what in ("largest", "fastest"):
        for side, rho, first, leaders in ((trial.printed, 0.1, 5, 1), (trial.corrected, 1.0, 1, 5)):
            found, name = index[what, rho], f"rho = {rho}, {what} coordinate"
            side.identity(f"{name}: first", found[0], first, 0.0, "an integer")
            side.identity(f"{name}: last", found[-1], 5, 0.0, "an integer")
            side.identity(f"{name}: leaders", len(found.unique()), leaders, 0.0, "an integer")
        steps = index[what, 1.0].diff()
        trial.corrected.at_least(f"rho = 1: steps of the {what}", steps, 0, 0, "an integer")
