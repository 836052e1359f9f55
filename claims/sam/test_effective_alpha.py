"""Diagonal networks: the effective scale alpha that sharpness-aware flows end with."""

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from limitpoint import Inconclusive, Problem, Trial, claim, flow, limits, measures, problems
from limitpoint.optimizers import GD, OneSAM
from limitpoint.theory import diagonal
from limitpoint.theory.diagonal import Field

ERROR = "the flow's local error is 1e-11"
Orders = Callable[[Problem, Tensor], tuple[Tensor, Tensor, Tensor]]


def check_effective_alpha(
    trial: Trial,
    role: str,
    field: Callable[[Problem, Tensor, float], Field],
    orders: Orders,
    radii: tuple[float, ...],
) -> None:
    """Evidence for sqrt(w_+ w_-) = alpha e^-E, E = rho I_1 + rho^2 I_2 + rho^3 I_3; the limit."""
    problem = problems.sparse_regression(trial.seed, 5, 30, alpha=np.linspace(0.2, 0.4, 30))
    for rho in radii:

        def integrand(w: Tensor, rho: float = rho) -> Tensor:
            return torch.stack([field(problem, w, rho).pull, *orders(problem, w)])

        rule, name = trial.optimizer(role, rho=rho), f"rho = {rho}"
        times = diagonal.times_to_rest(problem)
        path = trial.flow(problem, rule, times, integrals={"all": integrand})
        pull, first, second, third = path.integrals["all"].unbind(1)
        exponent = rho * first + rho**2 * second + rho**3 * third
        alpha = problem.start[0] * torch.exp(-exponent)
        measured = measures.effective_alpha(path.w) / alpha
        axes = {"time": path.times, "coordinate": None}
        trial.identity(
            f"sqrt(w_+ w_-) / alpha e^-E, {name}", measured, torch.ones(()), 1e-9, ERROR, along=axes
        )
        beta = problem.model.predictor(path.w)
        expected = diagonal.flow_predictor(alpha, pull)
        trial.identity(f"beta(t), {name}", beta, expected, 1e-9, ERROR, along=axes)
        if torch.linalg.vector_norm(diagonal.residual(problem, path.final)) > 1e-9:
            raise Inconclusive(f"{name}: no interpolator after time {path.times[-1]:.0f}")
        best = limits.min_potential_interpolator(problem.X, problem.y, alpha[-1])
        trial.close(f"limit, {name}", beta[-1], best.solution, 1e-9, ERROR)
        off = limits.kkt_residual(beta[-1], problem.X, alpha[-1])
        trial.at_most(f"KKT residual, {name}", off, 0.0, 1e-9, ERROR)


@claim(
    "sam/n-sam-effective-alpha",
    source="understanding_sam, Theorem 4 (exponent corrected, remainder exact)",
    statement=r"The flow of n-SAM minimises $\phi$ at the effective scale $\alpha e^{-E}$, "
    r"$E = \frac{\rho}{n^2}\int X^T r \odot X^T r_{sam}$, which is $\sqrt{w_+ w_-}$ at every time; "
    r"with $a = \frac1n X^T r$ its $r_{sam}$ is $r + 2\rho X(a \odot (w_+^2 + w_-^2)) + \rho^2 "
    r"X(a^2 \odot \beta)$ and no more.",
    hypotheses=("the flow ends at an interpolator", "alpha > 0 in every coordinate"),
    kind="identity",
    roles=("n-sam",),
    rivals=("1-sam", "gd", "rho-negative", "rho-doubled"),
)
def test_n_sam_effective_alpha(trial: Trial) -> None:
    """n-SAM's flow is in closed form at every time, and ends at the certified minimiser.

    E is a cubic polynomial in rho over integrals of the path, where the theorem has its first term
    and O(rho^2). Tolerance 1e-9: as for gradient flow, the integration's error.
    """
    check_effective_alpha(trial, "n-sam", diagonal.n_sam_field, diagonal.n_sam_orders, (0.5, 0.02))


@claim(
    "sam/1-sam-effective-alpha",
    source="understanding_sam, Theorem 5 (exponent corrected, remainder exact)",
    statement=r"The flow of 1-SAM minimises $\phi$ at the effective scale $\alpha e^{-E}$, "
    r"$E = \frac{\rho}{n}\int \sum_i x_i^2 r_i r_{sam,i}$, which is $\sqrt{w_+ w_-}$ at every "
    r"time; its $r_{sam,i}$ is $r_i(1 + 2\rho\langle w_+^2 + w_-^2, x_i^2\rangle + \rho^2 r_i"
    r"\langle\beta, x_i^3\rangle)$ and no more.",
    hypotheses=("the flow ends at an interpolator", "alpha > 0 in every coordinate"),
    kind="identity",
    roles=("1-sam",),
    rivals=("n-sam", "gd", "1-sam-rho-negative", "batches-swapped", "rho-doubled"),
)
def test_one_sam_effective_alpha(trial: Trial) -> None:
    """1-SAM's flow is in closed form at every time, and ends at the certified minimiser.

    The ascent is along the gradient of the paper's own l_i = r_i^2 / 4 (its (5) and (8)); the
    authors' code takes twice that (c = 2), which is this with rho doubled. Tolerance as for n-SAM.
    """
    radii = (0.1, 0.02)
    check_effective_alpha(trial, "1-sam", diagonal.one_sam_field, diagonal.one_sam_orders, radii)


@claim(
    "sam/1-sam-shrinks-more",
    source="understanding_sam, Theorem 1 and App. B.3 (brackets corrected)",
    statement=r"1-SAM shrinks $\alpha$ more than n-SAM: "
    r"$I_{1\text{-SAM},i} \ge I_{n\text{-SAM},i}$ for every coordinate at every time, and it takes "
    r"off $\log\alpha$ no less than $\rho\int I_{1\text{-SAM}}$, whose sum lies between "
    r"$\min_i \|x_i\|^2$ and $\max_i \|x_i\|^2$ times $4\rho\int L$; that of n-SAM between the "
    r"extreme eigenvalues of $XX^T$ times $\frac{4\rho}{n}\int L$.",
    hypotheses=(
        "the flow ends at an interpolator",
        "rho * max |r_i| * max |x_ij| <= 2 along the flow",
    ),
    kind="inequality",
    roles=("1-sam", "n-sam"),
    rivals=(
        "n-sam",
        "gd",
        "1-sam-rho-negative",
        "batches-swapped",
        "n-sam:1-sam",
        "n-sam:ascent",
    ),
)
def test_one_sam_shrinks_more_than_n_sam(trial: Trial) -> None:
    r"""What 1-SAM takes off log alpha is at least rho I_1SAM, and that at least rho I_nSAM.

    The first inequality, on the measured sqrt(w_+ w_-), is [derived]: r_sam,i r_i is at least
    r_i^2 (1 + 2 rho m - rho^2 |r_i| |x_i|_inf m) with m = <w_+^2 + w_-^2, x_i^2>, by its (16), and
    the second hypothesis makes the bracket at least one. The second is the paper's Cauchy-Schwarz.
    The brackets are those of Rayleigh quotients, with ||r||^2 = 4 n L (printed without the 4): they
    hold along any path, and of the shrinkage itself the lower one alone. The optimizers are judged
    by what they take off log alpha.
    Tolerance of the first: 1e-10 of the largest increment, the rounding of differences.
    """
    rho, problem = 0.05, problems.sparse_regression(trial.seed, 10, 50, alpha=0.2)
    end = 45 * diagonal.relaxation_time(problem)
    times = np.linspace(0, end, 400) ** 2 / end
    integrals = {
        "n": lambda w: diagonal.leading_integrands(problem, w)[0],
        "1": lambda w: diagonal.leading_integrands(problem, w)[1],
        "loss": problem.value,
    }
    one, n = (
        trial.flow(problem, trial.optimizer(role, rho=rho), times, integrals=integrals)
        for role in ("1-sam", "n-sam")
    )
    taken = -torch.log(measures.effective_alpha(one.w) / problem.start[0]).diff(dim=0)
    lead = rho * one.integrals["1"].diff(dim=0)
    slack = 1e-10 * float(lead.max())
    trial.at_least(
        "log alpha lost, against rho I_1SAM",
        taken,
        lead,
        slack,
        "rounding in differences",
        along={"time": times[1:], "coordinate": None},
    )
    less, more = diagonal.leading_integrands(problem, one.w)
    slack = 1e-14 * float(more.max())
    because, about = "rounding of sums of n = 10 terms", "a formula"
    trial.at_least("I_1SAM against I_nSAM", more, less, slack, because, about=about)

    rows, eigenvalues = (problem.X**2).sum(-1), torch.linalg.eigvalsh(problem.X @ problem.X.T)
    for name, path, bracket in (("1", one, rows), ("n", n, eigenvalues / problem.n)):
        total = path.integrals[name][-1].sum() / (4 * path.integrals["loss"][-1])
        title = f"|int I_{name}SAM|_1 over 4 int L"
        low, high = float(bracket.min()), float(bracket.max())
        trial.at_least(title, total, low, 1e-9 * low, ERROR, about=about)
        trial.at_most(title, total, high, 1e-9 * high, ERROR, about=about)
    small, large = (measures.effective_alpha(path.final).sum() for path in (one, n))
    trial.ordering("|alpha_1SAM|_1 < |alpha_nSAM|_1", small, large, "Theorem 1")
    trial.require(
        "rho * max |r_i| * max |x_ij| <= 2 along the flow",
        rho * diagonal.residual(problem, one.w).abs().max() * problem.X.abs().max() <= 2,
    )


@claim(
    "sam/1-sam-alpha-shrinks",
    source="understanding_sam, Theorem 5, second half (constant for its own loss)",
    statement=r"Under 1-SAM's flow no $\alpha_i$ ever grows while "
    r"$\rho \le 1/(R^2\sqrt{B(B+\|\beta_*\|)})$, with $R = \max\|x_i\|$ and "
    r"$B \ge \|\beta(t)\|$; far above that bound one can.",
    hypotheses=("X beta_* = y", "|beta(t)| <= B along the flow"),
    kind="inequality",
    roles=("1-sam",),
    rivals=("gd", "1-sam-rho-negative", "batches-swapped"),
)
def test_one_sam_alpha_shrinks(trial: Trial) -> None:
    """At the largest radius that the theorem allows, every alpha_i falls at every step.

    The constant is that of the paper's own loss: 1 + c^2 rho^2 r_i <beta, x_i^3> >= 0 is needed
    with c = 1 (the proof has c = 4). beta_* is the target, of norm 1; B is 1.25 times what GD's
    flow reaches, and is checked. Tolerance 1e-10: the integration's error in log alpha. The second
    part, where some alpha is ten times as large in the end, shows that some hypothesis on rho is
    needed, whoever plays the role, and nothing about the limit: that flow ends at no interpolator.
    """
    problem = problems.sparse_regression(trial.seed, 5, 30, alpha=0.3)
    times = np.linspace(0, 1, 100) ** 2 * 35 * diagonal.relaxation_time(problem)
    reached = flow(problem, GD(), times).w
    bound = 1.25 * torch.linalg.vector_norm(problem.model.predictor(reached), dim=-1).max()
    top = (problem.X**2).sum(-1).max()
    rho = float(1 / (top * torch.sqrt(bound * (bound + 1))))
    path = trial.flow(problem, trial.optimizer("1-sam", rho=rho), times)
    scale = torch.log(measures.effective_alpha(path.w) / 0.3)
    change = scale.diff(dim=0)
    axes = {"time": times[1:], "coordinate": None}
    trial.at_most(
        "change of log alpha, each coordinate, each step", change, 0.0, 1e-10, ERROR, along=axes
    )
    trial.ordering("log alpha at the end", scale[-1], 0.0, "every coordinate shrinks", gap=1e-8)

    beyond = problems.overshooting_regression()
    far = flow(beyond, OneSAM(rho=4.0), [0.0, 0.004], rtol=1e-6)
    grown = measures.effective_alpha(far.final).max()
    title = "an alpha at the start, then far above the bound"
    trial.ordering(title, 0.5, grown, "it can grow", about="a formula")
    size = torch.linalg.vector_norm(problem.model.predictor(path.w), dim=-1).max()
    trial.require("|beta(t)| <= B along the flow", size <= bound)


@claim(
    "sam/discrete-effective-alpha",
    source="understanding_sam, App. B, with a step of finite size (derived)",
    statement=r"With step size $\gamma$, $w_+ w_-$ is multiplied by "
    r"$(1-\gamma b)^2 - (\gamma a)^2$ a step, with $a = \frac1n X^T r_{sam}$ and $b$ the "
    "integrand of the flow's exponent; the flow's formula gives too large an alpha, by "
    r"$e^{(\gamma^2/2) \sum (a^2 + b^2)}$ at least where $b \ge 0$.",
    hypotheses=(),
    kind="identity",
    roles=("1-sam", "n-sam", "gd"),
    rivals=(
        "n-sam",
        "gd",
        "1-sam-rho-negative",
        "batches-swapped",
        "rho-doubled",
        "ascent",
        "stale",
        "step-doubled",
        "accelerated",
        "averaged",
        "1-sam-normalised",
        "1-sam-descends-on-all",
        "n-sam:1-sam",
        "n-sam:gd",
        "n-sam:rho-doubled",
        "gd:momentum",
        "gd:step-doubled",
        "gd:n-sam",
    ),
)
def test_one_sam_n_sam_gd_discrete_effective_alpha(trial: Trial) -> None:
    """The product formula holds at every step of every rule, and the flow's does not.

    Tolerance 1e-12: 2000 factors with a few roundings of 2^-53 each. The flow's e^{-gamma sum b} is
    too large by e^{(gamma^2 / 2) sum (a^2 + b^2)} at least [derived: for 0 <= u < 1, -log((1 - u)^2
    - v^2) / 2 >= u + (u^2 + v^2) / 2]: asked of the coordinates whose b was never negative.
    """
    problem = problems.sparse_regression(trial.seed, alpha=0.1)
    step, rules = (
        0.3,
        {
            "gd": ({}, diagonal.gd_field),
            "n-sam": ({"rho": 0.1}, diagonal.n_sam_field),
            "1-sam": ({"rho": 0.05}, diagonal.one_sam_field),
        },
    )
    for role, (radius, field) in rules.items():
        rule = trial.optimizer(role, step, **radius)
        path = trial.run(problem, rule, 2000, record=range(2001))
        found = field(problem, path.w[:-1], **radius)
        expected = diagonal.discrete_alpha(0.1, found, step)
        measured = measures.effective_alpha(path.w[1:]) / expected
        trial.identity(
            f"{role}: sqrt(w_+ w_-) / product", measured, torch.ones(()), 1e-12, "rounding",
            about=role, along=("step", "coordinate"),
        )  # fmt: skip
        pull, shrink = step * found.pull, step * found.shrink
        missed = -torch.log(measures.effective_alpha(path.final) / 0.1) - shrink.sum(0)
        least = ((pull**2 + shrink**2) / 2).sum(0)
        kept = (shrink >= 0).all(0)
        title = f"{role}: what the flow's formula misses of -log alpha"
        because = "rounding of 2000 factors"
        trial.at_least(title, missed[kept], least[kept], 1e-12, because, about=role)
