"""DNSAM on one example at a time: the mean of its step, exactly."""

from dataclasses import replace

import torch

from limitpoint import Trial, claim, losses, problems
from limitpoint.optimizers import OneExample


@claim(
    "quadratic-sam/dnsam-mean-step",
    source="Compagnoni et al. 2023 (arXiv:2301.08203), Theorem 3.5; exact on a quadratic, derived",
    statement=r"On least squares DNSAM's step, averaged over the examples, is $-\eta(g + "
    r"\frac{\rho}{n|g|}\sum_i H_i g_i)$, $g_i$ the gradients of single examples, $g$ their mean.",
    hypotheses=("least squares", "batches of one, drawn evenly", "the gradient is not zero"),
    kind="identity",
    roles=("dnsam",),
    rivals=(
        "sam-l2", "usam", "gd", "rho-zero", "rho-doubled", "twice-uphill", "averaged",
        "perturbation-kept", "ascent", "step-doubled",
    ),
)  # fmt: skip
def test_dnsam_mean_step(trial: Trial) -> None:
    """All examples side by side, one step each, from one point; H_i = x_i x_i^T.

    Tolerance: rounding of n sums of d products. Normalised by each example's own norm, as SAM on
    minibatches is, the mean has no such form.
    """
    loss = losses.Squared(mean=True)
    problem = problems.gaussian_regression(trial.seed, loss=loss, random_start=True)
    each = problem.sharpness_batches(1)
    rule = trial.optimizer("dnsam", 0.1, rho=0.5)
    eta, rho = float(rule.step_size.at(0)), float(rule.settings.get("rho", 0.5))
    w = problem.start
    seen = OneExample(replace(problem, X=problem.X.expand(problem.n, -1, -1)), each)
    run = trial.run(seen, rule, 1, start=w.expand(problem.n, -1), record=(0, 1))
    step = (run.w[0] - run.w[1]).mean(0) / eta
    g, terms = problem.grad(w), each.grad(w.expand(problem.n, -1))
    curved = (problem.X * terms).sum(-1, keepdim=True) * problem.X
    expected = g + rho * curved.mean(0) / torch.linalg.vector_norm(g)
    trial.identity("mean step", step, expected, 1e-13, "rounding", along=("entry",))
