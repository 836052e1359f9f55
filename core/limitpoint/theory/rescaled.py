"""Runs of l2-SAM on a diagonal network of depth two, on the clock on which exponents are linear.

Source: minor_first, Section 4 (from a summary); see `limitpoint.theory.amplification`.
"""

from __future__ import annotations

import torch
from torch import Tensor

from limitpoint.engines.trajectory import Trajectory
from limitpoint.optimizers import L2SAM
from limitpoint.problems.models import DiagonalProduct
from limitpoint.problems.problem import Problem
from limitpoint.theory import amplification
from limitpoint.theory.runner import Runner


def example(problem: Problem) -> Tensor:
    """Mu, shape (*batch, d)."""
    return problem.X[..., 0, :]


def log_predictor(w: Tensor) -> Tensor:
    """log |beta_j|, shape (*batch, d)."""
    return DiagonalProduct.predictor(w).abs().log()


def flow(trial: Runner, problem: Problem, end: float, rho: float = 1.0) -> Trajectory:
    """The flow on its rescaled clock tau, with S, the integral of dtau / n(beta)."""
    rule = trial.optimizer("sam-l2", rho=rho)
    rate = amplification.slope(problem, L2SAM(rho=rho), trial.engine, rule)
    return trial.flow(
        problem,
        rule,
        torch.linspace(0, end, 101).tolist(),
        speed=amplification.rescaling(rate),
        integrals={"S": lambda w: rate(w) * (1 / amplification.weighted_norm(problem, w))},
    )


def tie_distance(mu: Tensor, point: Tensor) -> Tensor:
    """How far each point (...) is from the nearest middle of two neighbours in mu (d)."""
    return (point.unsqueeze(-1) - (mu[1:] + mu[:-1]) / 2).abs().amin(-1)


def elapsed(run: Trajectory, values: Tensor) -> Tensor:
    """sum_{i < t} eta_i values_i at each step t of a run that recorded all.

    Args:
        run: of one step size for all problems.
        values: at each iterate, shape (R, ...).
    """
    eta = run.integrals["step_size"].diff().reshape(-1, *[1] * (values.ndim - 1))
    return torch.cat([0 * values[:1], (eta * values[:-1]).cumsum(0)])


def one_step_growth(trial: Runner, problem: Problem, eta: float, rho: float) -> Tensor:
    """(w_1 / w_0 - 1) / (eta sigma), the growth per unit of tau in one step; shape (B, d)."""
    run = trial.run(problem, trial.optimizer("sam-l2", eta, rho=rho), 1, record=[0, 1])
    tau = elapsed(run, amplification.slopes(problem, L2SAM(rho=rho), run.w))
    return (run.w[1] / run.w[0] - 1)[:, 0] / tau[1]
