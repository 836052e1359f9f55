"""Adagrad on separable data: a margin, measured in the preconditioner that it ends with."""

from dataclasses import replace

import torch

from limitpoint import Trial, claim, problems
from limitpoint.theory.separable import hard_margin

STEPS = 10_000


@claim(
    "adagrad/residual",
    source="Qian and Qian 2019 (arXiv:1906.03559), Theorem 3.1 (direction); Gunasekar et al. 2018; "
    "residual derived",
    statement=r"On separable data Adagrad's $h = (\sum_t g_t^2)^{-1/2}$ converges, and $w(t) - "
    r"\hat w \log(\eta t)$ tends to a $\tilde w$ with $e^{-\tilde w \cdot x_n} = \alpha_n$ on the "
    r"support, $\hat w$ the minimiser of $\sum_j w_j^2/h_j$ of margin one.",
    hypotheses=("separable data", "constant step, no epsilon"),
    kind="limit",
    roles=("adagrad",),
    rivals=(
        "adagrad-forgets", "adagrad-root-lost", "adagrad-shared", "gd", "adam", "signgd", "ngd",
        "momentum", "ascent", "step-doubled",
    ),
)  # fmt: skip
def test_adagrad_residual(trial: Trial) -> None:
    """The support's margins of the residual, with h as the run's own gradients give it.

    [derived] In z = w / sqrt(h) Adagrad with h settled is GD on the inputs sqrt(h) x, whose
    residual is Soudry's; h itself settles like 1/t. The direction alone would say little: what it
    depends on is measured on the same run, and approached like 1 / log t. The bars are calibrated:
    seeds 0-19 gave at most a third of them.
    """
    problem = problems.support_simplex(trial.seed)
    rule = trial.optimizer("adagrad", 0.5, epsilon=0.0)
    eta = float(rule.step_size.at(0))
    run = trial.run(problem, rule, STEPS, record=range(STEPS + 1))
    h = (problem.grad(run.w[:-1]).tensor() ** 2).sum(0) ** -0.5
    svm = hard_margin(replace(problem, X=problem.X * h.sqrt()))
    w_hat, support = svm.w_hat * h.sqrt(), svm.support / h.sqrt()
    for t, bar in ((3000, 0.05), (STEPS, 0.015)):
        residual = run.w[t] - w_hat * torch.tensor(eta * t).double().log()
        left = residual @ support.mT + svm.alpha.log()
        trial.close(f"step {t}: x.w~ + log alpha", left, 0.0, bar, "calibrated")
