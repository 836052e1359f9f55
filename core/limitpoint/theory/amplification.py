r"""SAM on a diagonal network and one example, in closed form (minor_first, Sec. 3 and 4).

The data are {(mu, +1)} with 0 < mu_1 < ... < mu_d, and all L layers start at the same alpha > 0.
The rescaled flow divides the velocity by -l'(u_hat), u_hat the prediction at the perturbed weights:
the path is the same and the clock tau runs without end. The paper's text was not at hand, so the
formulas are derived:

    linf-SAM:          dw_j/dtau = mu_j (w_j - rho)^(L-1) while w_j > 0,
    l2-SAM, L = 2:     d log beta_j/dtau = 2 mu_j (1 - mu_j / c),   c = sqrt(2) n / rho,

where n = sqrt(sum_k mu_k^2 beta_k). Under l2-SAM the coordinate that grows fastest is the one whose
mu_j is nearest to c / 2; c rises with the weights, and so the minor coordinates come first.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import scipy
import torch
from torch import Tensor

from limitpoint.engines.directions import direction
from limitpoint.numerics import Scaled, Value, largest, scaled, tensor
from limitpoint.optimizers import L2SAM, LinfSAM, Rule
from limitpoint.problems.losses import MarginLoss
from limitpoint.problems.models import DiagonalProduct
from limitpoint.problems.problem import Oracle, Problem

SAM = L2SAM | LinfSAM


@dataclass(frozen=True, eq=False)
class _Uphill(Oracle):
    """Minus the margin of one example: a loss without its slope, which no unit gradient knows.

    Args:
        problem: one example.
    """

    problem: Problem

    @property
    def ndim(self) -> int:
        return self.problem.ndim

    def value(self, w: Tensor) -> Tensor:
        return -(self.problem.y * self.problem.predict(w)).sum(-1)

    def grad(self, w: Tensor) -> Value:
        return self.problem.model.pullback(w, self.problem.X, -self.problem.y)


def slope(
    problem: Problem, rule: SAM, engine: str = "auto", flowing: Rule | None = None
) -> Callable[[Tensor], Scaled]:
    """w -> -l'(u_hat) at the rule's perturbed weights: dtau/dt, shape (*batch, n) with n = 1.

    It is what the rule's direction is larger than that of minus the margin by. The rounding of
    u_hat, which -l' = e^-u_hat turns into a relative one, is that of the flow then, and cancels:
    where both come of one engine.

    Args:
        problem: one example, and a loss of the margin.
        rule: the SAM that the theorem is about, with its radius; nobody else's.
        engine: that of the flow.
        flowing: whose flow it is the clock of; a foreign one stays with torch, and the clock too.

    Raises:
        TypeError: the loss is none of a margin.
    """
    loss = problem.loss
    if not isinstance(loss, MarginLoss):
        raise TypeError(f"{problem.name}: {type(loss).__name__} is no loss of the margin")
    if flowing is not None and flowing.is_foreign:
        engine = "torch"
    uphill, (toward, _) = _Uphill(problem), direction(problem, rule, problem.start, engine)
    last: list[tuple[Tensor, Scaled]] = []

    def found(w: Tensor) -> Scaled:
        plain = largest(scaled(rule.direction(uphill, w)), problem.dims)
        slopes = (largest(scaled(toward(w)), problem.dims) / plain).map(lambda s: s.squeeze(-1))
        moves = plain.mantissa.squeeze(-1) != 0
        if bool(moves.all()):
            return slopes
        # At rest there is nothing to compare.
        return slopes.where(moves, loss.decline(problem.y * problem.predict(w)))

    def at(w: Tensor) -> Scaled:
        # Clock and integrals ask for the same iterate, one after the other.
        if not last or last[0][0] is not w:
            last[:] = [(w, found(w))]
        return last[0][1]

    return at


def slopes(problem: Problem, rule: SAM, w: Tensor) -> Tensor:
    """-l'(u_hat) at many iterates, as plain numbers.

    Args:
        problem, rule: as of `slope`.
        w: shape (..., *batch, L, d).

    Returns:
        Shape (..., *batch, 1).
    """
    margins = problem.y * problem.predict(rule.perturbed(_Uphill(problem), w))
    return -tensor(problem.loss.slope(margins, torch.ones_like(margins)))


def rescaling(
    rate: Callable[[Tensor], Scaled], pace: Callable[[Tensor], Tensor] | None = None
) -> Callable[[Tensor], Scaled]:
    """The speed that makes a flow's clock s with dtau/ds = pace(w): tau itself without a pace.

    Args:
        rate: dtau/dt, see `slope`.
        pace: w -> a positive number, to approach a finite tau without end.
    """

    def speed(w: Tensor) -> Scaled:
        inverse = 1 / rate(w)
        return inverse if pace is None else inverse * pace(w)

    return speed


# ------------------------------------------------------------------------------ linf-SAM, any depth


def linf_weights(tau: Tensor, alpha: Tensor, mu: Tensor, rho: float, depth: int) -> Tensor:
    """w_j(tau) of every layer; 0 from its extinction on, inf from its blow-up on.

    Args:
        tau: times >= 0, shape (R,).
        alpha: start of every layer, > 0, shape (d,).
        mu: the example, > 0, shape (d,).
        rho: radius > 0.
        depth: number of layers L >= 2.

    Returns:
        Shape (R, d).
    """
    tau, above = tau.unsqueeze(-1), alpha - rho
    if depth == 2:
        w = rho + above * torch.exp(mu * tau)
    else:
        q = depth - 2
        w = rho + above * (1 - q * mu * tau * above**q).clamp_min(0) ** (-1 / q)
    w = torch.where(tau >= blow_up_times(alpha, mu, rho, depth), torch.inf, w)
    return torch.where(tau >= extinction_times(alpha, mu, rho, depth), 0.0, w)


def extinction_times(alpha: Tensor, mu: Tensor, rho: float, depth: int) -> Tensor:
    """tau at which w_j, started below rho in a net of even depth, reaches zero; else inf."""
    below = rho - alpha
    if depth % 2:
        return torch.full_like(alpha, torch.inf)
    q = depth - 2
    distance = (below**-q - rho**-q) / q if q else torch.log(rho / below)
    return torch.where(below > 0, distance / mu, torch.inf)


def blow_up_times(alpha: Tensor, mu: Tensor, rho: float, depth: int) -> Tensor:
    """tau at which w_j, started above rho in a net of depth >= 3, is infinite; else inf."""
    above, q = alpha - rho, depth - 2
    if q == 0:
        return torch.full_like(alpha, torch.inf)
    return torch.where(above > 0, 1 / (q * mu * above**q), torch.inf)


def linf_winner(alpha: Tensor, mu: Tensor, rho: float, depth: int) -> int | None:
    """j* = argmax over alpha_j > rho of mu_j (alpha_j - rho)^(L-2); None where there is none.

    The limit of the predictor's direction is e_j*, and the predictor's limit is zero if every
    alpha_j is below rho and L is even (minor_first, the corollary of Theorem 3.2).
    """
    strength = torch.where(alpha > rho, mu * (alpha - rho).clamp_min(0) ** (depth - 2), -torch.inf)
    best = int(strength.argmax())
    return best if float(strength[best]) > -math.inf else None


# ------------------------------------------------------------------------------- l2-SAM, depth two


def weighted_norm(problem: Problem, w: Tensor) -> Tensor:
    """n(beta) = sqrt(sum_k mu_k^2 beta_k) at w (*batch, L, d): shape (*batch, 1)."""
    mu = problem.X[..., 0, :]
    return (mu**2 * DiagonalProduct.predictor(w).abs()).sum(-1, keepdim=True).sqrt()


def drive(problem: Problem, w: Tensor, rho: float | Tensor) -> Tensor:
    """c = sqrt(2) n(beta) / rho, shape (*batch, 1); rho a number or of that shape."""
    return math.sqrt(2) * weighted_norm(problem, w) / rho


def l2_growth(problem: Problem, w: Tensor, rho: float | Tensor) -> Tensor:
    """d log w_j / dtau = mu_j (1 - mu_j / c), shape (*batch, d)."""
    mu = problem.X[..., 0, :]
    return mu * (1 - mu / drive(problem, w, rho))


def radius_error(problem: Problem, w: Tensor) -> Tensor:
    """How far off the radius of l2-SAM may be, relative to it, shape (*batch, 1).

    Packages keep the norm of the gradient in float32, which is 2^-24 of it, or add 1e-12 to it.
    """
    length = tensor(problem.grad(w)).flatten(-2).norm(dim=-1, keepdim=True)
    return 2.0**-24 + 1e-12 / length


def l2_log_predictor(
    tau: Tensor, slowness: Tensor, alpha: float | Tensor, mu: Tensor, rho: float | Tensor
) -> Tensor:
    """log beta_j = 2 log alpha + 2 mu_j tau - sqrt(2) rho mu_j^2 S.

    Args:
        tau: rescaled time, shape (..., 1).
        slowness: S, the integral of dtau / n(beta), shape (..., 1).
        alpha: start of every layer, a number or shape (..., 1).
        mu: the example, shape (d,).
        rho: radius > 0, a number or shape (..., 1).

    Returns:
        Shape (..., d).
    """
    start = 2 * torch.log(torch.as_tensor(alpha, dtype=mu.dtype))
    return start + 2 * mu * tau - math.sqrt(2) * rho * mu**2 * slowness


def mean_drive(tau: Tensor, slowness: Tensor, rho: float | Tensor) -> Tensor:
    """c_bar = sqrt(2) tau / (rho S): sqrt(2)/rho times the harmonic mean of n over (0, tau)."""
    return math.sqrt(2) * tau / (rho * slowness)


def nearest(mu: Tensor, point: Tensor) -> Tensor:
    """Index of the mu_j nearest to each point (...): shape (...)."""
    return (mu - point.unsqueeze(-1)).abs().argmin(-1)


def survival_barrier(problem: Problem, w: Tensor) -> Tensor:
    """m_2 / m_1, shape (*batch, 1): once c is above it, c rises forever."""
    mu = problem.X[..., 0, :]
    p = mu**2 * DiagonalProduct.predictor(w)
    return (p * mu**2).sum(-1, keepdim=True) / (p * mu).sum(-1, keepdim=True)


def collapse_certain(mu: Tensor) -> float:
    """alpha/rho up to which every coordinate shrinks from the start on: mu_1 / (sqrt(2) ||mu||)."""
    return float(mu.min() / (math.sqrt(2) * mu.norm()))


def survival_certain(mu: Tensor) -> float:
    """alpha/rho from which c only rises: sum mu^4 / (sqrt(2) ||mu|| sum mu^3)."""
    return float((mu**4).sum() / (math.sqrt(2) * mu.norm() * (mu**3).sum()))


def major_first(mu: Tensor) -> float:
    """alpha_2/rho = (mu_{d-1} + mu_d)/(sqrt(2) ||mu||), from which coordinate d leads at once."""
    return float(mu.sort().values[-2:].sum() / (math.sqrt(2) * mu.norm()))


def survival_threshold(mu: Tensor, tolerance: float = 1e-6) -> float:
    """alpha_1/rho: below it beta falls to zero, above it beta grows without end.

    Bisection on the d equations for log beta, apart from any optimizer. Each side is certified by
    what cannot be left: c <= mu_1, where all coordinates shrink, or c >= m_2 / m_1.

    Args:
        mu: the example, shape (d,).
        tolerance: width of the final bracket.
    """
    low, high = collapse_certain(mu), survival_certain(mu)
    while high - low > tolerance:
        middle = (low + high) / 2
        low, high = (low, middle) if _survives(mu.numpy(), middle) else (middle, high)
    return (low + high) / 2


def _survives(mu: np.ndarray, alpha: float) -> bool:
    """Whether c reaches its barrier, in units of rho, on the clock ds = dtau / c."""

    def c_of(log_beta: np.ndarray) -> float:
        return math.sqrt(2 * float(mu**2 @ np.exp(log_beta)))

    def field(_: float, log_beta: np.ndarray) -> np.ndarray:
        return 2 * mu * (c_of(log_beta) - mu)

    def collapsing(_: float, log_beta: np.ndarray) -> float:
        return c_of(log_beta) - float(mu.min())

    def surviving(_: float, log_beta: np.ndarray) -> float:
        p = mu**2 * np.exp(log_beta)
        return c_of(log_beta) - float(p @ mu**2) / float(p @ mu)

    collapsing.terminal = surviving.terminal = True  # type: ignore[attr-defined]
    start = np.full(len(mu), 2 * math.log(alpha))
    events = (collapsing, surviving)
    found = scipy.integrate.solve_ivp(
        field, (0, 1e3), start, "DOP853", events=events, rtol=1e-10, atol=1e-12
    )
    assert found.t_events is not None
    return len(found.t_events[1]) > 0
