"""Adagrad on separable data: a margin, measured in the preconditioner that it ends with."""

import math
from dataclasses import replace

import torch

from limitpoint import Trial, claim, problems
from limitpoint.theory.separable import BECAUSE, hard_margin

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
    residual is Soudry's, and so is the rate. h itself settles like 1/t: as eta t h_j g_tj tends to
    w^_j, it is above its limit by a share of a_j / t, a_j = w^_j^2 / 2 eta^2. That makes a step
    longer and the w^ of the run's own end another, twice a_j of what drives the deviation. The
    direction alone would say little: what it depends on is measured on the same run, and approached
    like 1 / log t.
    """
    problem = problems.support_simplex(trial.seed)
    rule = trial.optimizer("adagrad", 0.5, epsilon=0.0)
    eta = float(rule.step_size.at(0))
    run = trial.run(problem, rule, STEPS, record=range(STEPS + 1))
    h = (problem.grad(run.w[:-1]).tensor() ** 2).sum(0) ** -0.5
    svm = hard_margin(replace(problem, X=problem.X * h.sqrt()))
    w_hat, support = svm.w_hat * h.sqrt(), svm.support / h.sqrt()
    t = torch.tensor([3000, STEPS])
    residual = run.w[t] - w_hat * (eta * t.double().unsqueeze(-1)).log()
    left = residual @ support.mT + svm.alpha.log()
    settling = float((w_hat**2).max()) / eta**2
    tolerance = svm.residual_tolerance(eta, t, problem.start / h.sqrt(), age=settling)
    trial.close("x.w~ + log alpha", left, 0.0, tolerance, BECAUSE, along={"step": t.numpy()})
    because = "it tells a step twice as long"
    trial.ordering("tolerance in the end, then log 2", tolerance[-1], math.log(2), because)
