"""Momentum on separable data: the limit of GD with the step eta / (1 - mu), residual and all.

Directions converge like 1 / log t and are GD's (Wang et al. 2021); the residual converges, and
says which step size the run was worth. [derived] A step is eta times a kernel over past gradients,
of sum 1 / (1 - mu): mu^s for heavy ball, and for Nesterov 1 + mu, then mu^(s+1). To first order
the kernel is a step eta / (1 - mu) on a gradient of its mean age.
"""

import math

import torch

from limitpoint import Trial, claim, problems
from limitpoint.theory.separable import BECAUSE, hard_margin


def residual_is_that_of_the_longer_step(trial: Trial, role: str, order: int) -> None:
    """Support margins of w(t) - w_hat log(eta t / (1 - mu)), against those of the residual."""
    problem = problems.support_simplex(trial.seed)
    svm = hard_margin(problem)
    top = float(torch.linalg.matrix_norm(problem.X, 2)) ** 2
    rule = trial.optimizer(role, 0.2 / top, free=("momentum",), momentum=0.9)
    mu, eta = rule.settings.get("momentum", 0.9), float(rule.step_size.at(0))
    worth, age = eta / (1 - mu), mu**order / (1 - mu)
    t = torch.tensor([3000, 10_000])
    run = trial.run(problem, rule, int(t[-1]), record=t.tolist())
    residual = run.w - svm.w_hat * (worth * t).log().unsqueeze(-1)
    margins = (residual - svm.residual) @ svm.support.mT
    tolerance = svm.residual_tolerance(worth, t, problem.start, age=age)
    trial.require("the tolerance tells eta / (1 - mu) from eta", -math.log(1 - mu) > tolerance[-1])
    trial.close("residual's margins", margins, 0.0, tolerance, BECAUSE, along={"step": t.numpy()})


@claim(
    "momentum/residual",
    source="Wang et al. 2021 (arXiv:2110.03691), Theorem 2 (limit direction); residual derived, "
    "after Soudry et al. 2018, Theorem 4",
    statement=r"On separable data heavy ball ends like GD with the step $\eta/(1-\mu)$: $w(t) - "
    r"\hat w \log(\eta t/(1-\mu))$ tends to the $\tilde w$ with $e^{-\tilde w \cdot x_n} = "
    r"\alpha_n$.",
    hypotheses=("separable, the support vectors span", "constant step, eta beta < 2 + 2 mu"),
    kind="limit",
    roles=("momentum",),
    rivals=("gd", "momentum-damped", "momentum-dropped", "ascent", "step-doubled", "ngd", "adam"),
)
def test_momentum_residual(trial: Trial) -> None:
    """The residual is GD's at eta / (1 - mu), and not at eta, which is 2.3 away along w_hat.

    The tolerance is the derived rate of the residual, (log t) / t with its constants, at both
    times; the mean age of heavy ball's kernel is mu / (1 - mu).
    """
    residual_is_that_of_the_longer_step(trial, "momentum", 1)


@claim(
    "momentum/nesterov-residual",
    source="Wang et al. 2021 (arXiv:2110.03691); residual derived, after Soudry et al. 2018",
    statement=r"On separable data Nesterov's momentum ends like GD with the step $\eta/(1-\mu)$, "
    "residual included.",
    hypotheses=(
        "separable, the support vectors span",
        "constant step, eta beta < (2 + 2 mu) / (1 + 2 mu)",
    ),
    kind="limit",
    roles=("nesterov",),
    rivals=("gd", "momentum-damped", "nesterov-plain-gradient", "ascent", "step-doubled", "adam"),
)
def test_nesterov_residual(trial: Trial) -> None:
    """The same with a kernel of mean age mu^2 / (1 - mu)."""
    residual_is_that_of_the_longer_step(trial, "nesterov", 2)
