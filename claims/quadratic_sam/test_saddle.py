"""Sharpness-aware steps at a saddle: the perturbation goes uphill, which there is back."""

import torch

from limitpoint import Problem, Trial, claim, losses, models, problems
from limitpoint.judgement.erratum import Erratum

STEPS = 30


def along_the_way_out(trial: Trial, rho_a: float) -> tuple[torch.Tensor, float, float]:
    """w over `STEPS` steps from a saddle of curvatures 1 and -a, then eta a and rho a."""
    a = 0.5
    saddle = problems.quadratic(torch.tensor([1.0, -a], dtype=torch.float64))
    noise = torch.Generator().manual_seed(trial.seed)
    start = 0.5 + torch.rand(2, generator=noise, dtype=torch.float64)
    rule = trial.optimizer("usam", 0.2, free=("rho",), rho=rho_a / a)
    rho, eta = float(rule.settings.get("rho", rho_a / a)), float(rule.step_size.at(0))
    run = trial.run(saddle, rule, STEPS, start=start, record=range(STEPS + 1))
    return run.w, eta * a, rho * a


@claim(
    "quadratic-sam/saddle-escape",
    source="derived; compare Compagnoni et al. 2023 (arXiv:2301.08203), Section 4",
    statement=r"At a saddle of curvature $-a$ a step of USAM multiplies the way out by "
    r"$1 + \eta a(1-\rho a)$: it leaves more slowly than GD, and for $\rho a > 1$ the saddle "
    "attracts.",
    hypotheses=("a quadratic",),
    kind="identity",
    roles=("usam",),
    rivals=(
        "gd", "sam-l2", "sam-linf", "rho-zero", "rho-negative", "rho-doubled", "twice-uphill",
        "averaged", "perturbation-kept", "bracket-lost", "ascent", "stale", "step-doubled",
        "accelerated",
    ),
)  # fmt: skip
def test_usam_saddle_escape(trial: Trial) -> None:
    """Both coordinates at every step, on either side of rho a = 1; tolerance: 30 steps' rounding.

    The gradient at w + rho lambda w is lambda (1 + rho lambda) w; the other curvature is one.
    """
    for level in (0.1, 0.5, 1.5):
        w, eta_a, rho_a = along_the_way_out(trial, level)
        eta, rho = eta_a / 0.5, rho_a / 0.5
        factor = torch.tensor([1 - eta * (1 + rho), 1 + eta_a * (1 - rho_a)], dtype=torch.float64)
        expected = w[0] * factor ** torch.arange(STEPS + 1).unsqueeze(-1)
        because = "30 steps of rounding"
        trial.identity(f"rho a = {level}: w", w, expected, 1e-13, because, along=("step", "axis"))


@claim(
    "quadratic-sam/erratum-saddle-escape",
    source="usam_report, Section 1",
    statement=r"At a saddle of a quadratic the perturbation hinders the escape: USAM's way out "
    r"grows by $1 + \eta a(1-\rho a)$ a step, GD's by $1 + \eta a$.",
    hypotheses=("a quadratic",),
    kind="erratum",
    roles=("usam",),
    rivals=("rho-zero", "rho-negative", "gd"),
    erratum=Erratum(
        printed="USAM's gradient perturbation primarily aids in escaping saddle points",
        corrected="on a quadratic it hinders: USAM leaves a saddle of curvature -a more slowly "
        "than GD, and not at all once rho a > 1",
        where="Section 1, and the abstract's last but one sentence",
        basis="contradiction",
        sure="likely",
        because="The report's own (3), with its inner bracket, gives the factor, and its Section 2 "
        "says that SAM may have trouble at saddles. With gradient noise, which it does not treat, "
        "a perturbation may aid.",
        copy="(3) lost its inner bracket in our copy; Section 1 is prose, and legible.",
    ),
)
def test_usam_erratum_saddle_escape(trial: Trial) -> None:
    """Printed: the way out is longer than GD's after 30 steps. It is shorter, for each radius."""
    for level in (0.1, 0.5, 1.5):
        w, eta_a, rho_a = along_the_way_out(trial, level)
        grown = float(w[-1, 1] / w[0, 1]) ** (1 / STEPS)
        title = f"rho a = {level}: growth a step"
        trial.printed.ordering(f"{title}, below GD's", grown, 1 + eta_a, "printed: above")
        right = 1 + eta_a * (1 - rho_a)
        trial.corrected.identity(title, grown, right, 1e-13, "rounding")


@claim(
    "quadratic-sam/saddle-trap",
    source="derived; compare Kim et al. 2023 (arXiv:2301.06308) and Compagnoni et al. 2023",
    statement=r"Along a saddle's way out SAM's step is $w' = w + \eta a(w - \rho\,\mathrm{sign}\,"
    r"w)$: from $|w| < \rho$ it never leaves while $\eta a \le 1$, and from $|w| > \rho$ it does.",
    hypotheses=("a quadratic of curvature -a, on its axis", "eta a <= 1"),
    kind="identity",
    roles=("sam-l2",),
    rivals=(
        "usam", "rho-zero", "rho-doubled", "twice-uphill", "averaged", "perturbation-kept",
        "ascent", "stale", "step-doubled", "accelerated",
    ),
)  # fmt: skip
def test_sam_saddle_trap(trial: Trial) -> None:
    """Each step from the run's own iterate, as the map is chaotic; inside it stays, outside leaves.

    [derived] |w'| <= max(|w|, eta a rho): inside, the step is inward and at most eta a rho long.
    Tolerance: packages keep the gradient's norm in float32, or add 1e-12 to it; outside, the
    distance grows by 2e5.
    """
    noise = torch.Generator().manual_seed(trial.seed)
    saddle, a = problems.quadratic(torch.tensor([1.0, -0.5], dtype=torch.float64)), 0.5
    steps = trial.steps(300, 3000)
    for eta in (0.2, 1.0):
        rule = trial.optimizer("sam-l2", eta, free=("rho",), rho=0.1)
        eta, rho = float(rule.step_size.at(0)), float(rule.settings.get("rho", 0.1))
        trial.require("eta a <= 1", eta * a <= 1)
        out = rho * (0.1 + 0.8 * torch.rand(4, 1, generator=noise, dtype=torch.float64))
        inside = torch.cat([torch.zeros_like(out), out], -1)
        run = trial.run(saddle, rule, steps, start=inside, record=range(steps + 1))
        w = run.w[..., 1]
        step = w[:-1] + eta * a * (w[:-1] - rho * w[:-1].sign())
        allowed = rho * (1e-7 + 1e-12 / (a * w[:-1].abs()))
        places = ("step", "start")
        trial.close(
            f"eta = {eta}: the map",
            w[1:],
            step,
            allowed,
            "2^-24 of rho, and 1e-12 / |g|",
            along=places,
        )
        trial.at_most(f"eta = {eta}: |w| inside", w.abs(), rho, 0.0, "trapped", along=places)
        outside = torch.tensor([0.0, 1.1], dtype=torch.float64) * rho
        far = trial.run(saddle, rule, 30, start=outside, record=(0, 30)).w[:, 1]
        because = "the distance to rho grows by 1 + eta a"
        grown = rho + 0.1 * rho * (1 + eta * a) ** 30
        trial.close(f"eta = {eta}: |w| outside", far[1], grown, 1e-5 * grown, because)


@claim(
    "quadratic-sam/network-saddle",
    source="derived; usam_report, (3)",
    statement=r"Two layers of one weight, $L = (uv-1)^2/2$, started at $u = v = s$ near the saddle "
    r"at zero: USAM's step is $s' = s - \eta p(p^2-1)$, $p = s + \rho s(s^2-1)$. It takes longer "
    r"to leave than GD, and with $\rho > 1$ it ends at the saddle.",
    hypotheses=("a balanced start",),
    kind="identity",
    roles=("usam",),
    rivals=(
        "gd", "sam-l2", "sam-linf", "rho-zero", "rho-negative", "rho-doubled", "twice-uphill",
        "averaged", "perturbation-kept", "bracket-lost", "ascent", "stale", "step-doubled",
        "accelerated",
    ),
)  # fmt: skip
def test_usam_network_saddle(trial: Trial) -> None:
    """Each step from the run's own iterate; then how long each takes to come to uv = 1/4.

    Tolerance: a step's rounding. GD's own escape is the map with rho = 0, from the same start.
    """
    noise = torch.Generator().manual_seed(trial.seed)
    s0 = 0.01 * (1 + float(torch.rand((), generator=noise)))
    one = torch.ones(1, dtype=torch.float64)
    start = torch.full((2, 1), s0, dtype=torch.float64)
    problem = Problem(
        "two-weights", models.DiagonalProduct(), losses.Squared(), one.reshape(1, 1), one, start
    )
    steps, plain = 400, [s0]
    for rho in (0.2, 0.6, 1.5):
        rule = trial.optimizer("usam", 0.1, rho=rho)
        eta, held = float(rule.step_size.at(0)), float(rule.settings.get("rho", rho))
        trial.require("the radius is the claim's to set", held == rho)
        run = trial.run(problem, rule, steps, record=range(steps + 1))
        s = run.w[:, 0, 0]
        p = s + rho * s * (s**2 - 1)
        step = s[:-1] - eta * (p * (p**2 - 1))[:-1]
        trial.close(f"rho = {rho}: the step", s[1:], step, 1e-15, "rounding", along=("step",))
        plain = [s0]
        for _ in range(steps):
            plain.append(plain[-1] - eta * plain[-1] * (plain[-1] ** 2 - 1))
        out = sum(one < 0.5 for one in plain)
        if rho < 1:
            longer = int((s < 0.5).sum())
            trial.ordering(f"rho = {rho}: steps to leave, GD and USAM", out, longer, "slower")
        else:
            trial.at_most(f"rho = {rho}: s in the end", s[-1], s0 * 1e-3, 0.0, "1 - eta/2 a step")
