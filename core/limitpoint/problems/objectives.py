"""Plain functions with known constants."""

from __future__ import annotations

import math

import numpy as np
import scipy
import torch
from torch import Tensor

from limitpoint.problems.finite_sum import FiniteSum
from limitpoint.problems.problem import Objective
from limitpoint.problems.randomness import generator, tensor

LEAN = math.acos(0.6)


def quadratic(eigenvalues: Tensor) -> Objective:
    """L(w) = (1/2) sum_j lambda_j w_j^2; beta-smooth and mu-PL with its extreme eigenvalues."""
    constants = {
        "beta": float(eigenvalues.max()),
        "pl": float(eigenvalues[eigenvalues > 0].min()),
        "minimum": 0.0,
    }
    return Objective(
        "quadratic",
        lambda w: (eigenvalues * w**2).sum(-1) / 2,
        lambda w: eigenvalues * w,
        constants,
    )


def sine_valley(amplitude: float = 3.0) -> Objective:
    """L(w) = sum_j w_j^2 + a sin^2 w_j: not convex for a > 1, yet Polyak-Lojasiewicz (Karimi 2016).

    beta = 2 + 2a. The PL constant, min L'^2 / 2L, is that of one summand: found by bounded
    minimisation, lowered by a millionth and certified by bisection (`_is_pl`). For a = 3 it is
    0.17553, not the 1/32 often quoted.

    Args:
        amplitude: a in (1, 4).
    """
    if not 1 < amplitude < 4:
        raise ValueError(f"amplitude {amplitude}: must be in (1, 4)")

    def ratio(w: float) -> float:
        slope = 2 * w + amplitude * math.sin(2 * w)
        return slope**2 / (2 * (w**2 + amplitude * math.sin(w) ** 2))

    best = min(np.linspace(0.05, 4 * np.pi, 200).tolist(), key=ratio)
    found = scipy.optimize.minimize_scalar(ratio, bounds=(best - 0.1, best + 0.1), method="bounded")
    pl = float(found.fun) * (1 - 1e-6)
    if not _is_pl(pl, amplitude):
        raise ValueError(f"amplitude {amplitude}: no PL constant could be certified")
    return Objective(
        "sine-valley",
        lambda w: (w**2 + amplitude * torch.sin(w) ** 2).sum(-1),
        lambda w: 2 * w + amplitude * torch.sin(2 * w),
        {"beta": 2 + 2 * amplitude, "pl": pl, "minimum": 0.0},
    )


def _is_pl(pl: float, a: float) -> bool:
    """Whether F = L'^2 / 2 - pl L >= 0 everywhere for one summand of the sine valley; a proof.

    On [0, 0.3] from L' >= (min L'') w and L <= beta w^2 / 2; beyond 12 from L' >= 2w - a and
    L <= w^2 + a; between by bisection, with F >= F(c) - |F'(c)| r - max |F''| r^2 / 2 on each
    interval, F'' = L''(L'' - pl) + L' L'''. Rounding is far below the margin of pl, a millionth.
    """
    beta, end = 2 + 2 * a, 12.0
    at_zero = (2 + 2 * a * math.cos(0.6)) ** 2 >= pl * beta
    beyond = (2 * end - a) ** 2 / 2 >= pl * (end**2 + a) and 2 * (2 * end - a) >= 2 * pl * end
    if not (at_zero and beyond):
        return False
    left, right = np.array([0.3]), np.array([end])
    for _ in range(60):
        c, r = (left + right) / 2, (right - left) / 2
        slope, curvature = 2 * c + a * np.sin(2 * c), 2 + 2 * a * np.cos(2 * c)
        value = slope**2 / 2 - pl * (c**2 + a * np.sin(c) ** 2)
        if (value < 0).any():
            return False
        bend = beta * (beta + pl) + 4 * a * (2 * right + a)
        open_ = value - np.abs(slope * (curvature - pl)) * r - bend * r**2 / 2 < 0
        if not open_.any():
            return True
        c, left, right = c[open_], left[open_], right[open_]
        left, right = np.concatenate([left, c]), np.concatenate([c, right])
    return False


def parabola_chain(d: int = 1) -> Objective:
    """L(w) = sum_j of parabolas, alternately -x^2 / 2 on [-1, 1] and (x - 2)^2 / 2 - 1 on [1, 3].

    Periodic and continuously differentiable; beta = 1, reached everywhere: the curvature is -1 or
    1, and jumps at the odd integers. The extremal function of Lemmas 7 and 8 of understanding_sam,
    and at rho = 1 / beta one with false fixed points. In [-2, 2] the gradient is exact.

    Args:
        d: dimension, which only the constants need: minimum -d, gradient at most sqrt(d).
    """

    def reduced(w: Tensor) -> Tensor:
        return w - 4 * torch.round(w / 4)

    def value(w: Tensor) -> Tensor:
        x = reduced(w).abs()
        return torch.where(x <= 1, -(x**2) / 2, (x - 2) ** 2 / 2 - 1).sum(-1)

    def gradient(w: Tensor) -> Tensor:
        x = reduced(w)
        return torch.where(x.abs() <= 1, -x, x - 2 * x.sign())

    constants = {"beta": 1.0, "minimum": -float(d), "gradient": math.sqrt(d)}
    return Objective("parabola-chain", value, gradient, constants)


def bent_valley(least: Tensor, bend: Tensor) -> tuple[Objective, Tensor]:
    """Even functions of one variable, beta = 1, not convex, with their best PL constants.

    L' rises with slope 1 to 1, falls with slope `bend` to `least`, and rises with slope 1 again.
    L'^2 / 2L is 1 at first, falls while L' does and rises after it: its minimum is where L' is
    `least`, q^2 / (1 + (1 - q^2) / s) in closed form, at |x| = 1 + (1 - q) / s.

    Args:
        least: q in (0, 1), shape (N, 1): one function a row.
        bend: s in (0, 1], shape (N, 1).

    Returns:
        The functions side by side, over (*batch, N, 1), and their PL constants, shape (N,).
    """
    edge, top = 1 + (1 - least) / bend, (1 + (1 - least**2) / bend) / 2

    def value(w: Tensor) -> Tensor:
        x = w.abs()
        bent = 0.5 + (x - 1) - bend * (x - 1) ** 2 / 2
        last = top + least * (x - edge) + (x - edge) ** 2 / 2
        return torch.where(x <= 1, x**2 / 2, torch.where(x <= edge, bent, last)).sum(-1)

    def gradient(w: Tensor) -> Tensor:
        x = w.abs()
        later = torch.where(x <= edge, 1 - bend * (x - 1), least + x - edge)
        return w.sign() * torch.where(x <= 1, x, later)

    valley = Objective("bent-valley", value, gradient, {"beta": 1.0, "minimum": 0.0})
    return valley, (least**2 / (2 * top)).squeeze(-1)


def leaning_ridges(beta: float, mu: float | Tensor, angle: float | Tensor = LEAN) -> Objective:
    """L(w) = b/2 (max(<u, w>, 0)^2 + max(<v, w>, 0)^2) + mu/2 |w|^2, u and v at an angle.

    u = (1, 0) and v is (.6, .8) by default. beta-smooth for b = (beta - mu) / (1 + |<u, v>|),
    mu-strongly convex, least at 0. From where only u's ridge rises, a long ascent meets v's, whose
    descent leads away from the minimiser: n-SAM's distance can grow (sam/erratum-theorem-11).

    Args:
        beta: smoothness.
        mu: in [0, beta); a number, or shape (N,): one function for each w of (*batch, N, 2).
        angle: from u to v, likewise.
    """
    mu, angle = (torch.as_tensor(x, dtype=torch.float64).unsqueeze(-1) for x in (mu, angle))
    v = torch.cat([angle.cos(), angle.sin()], dim=-1)
    u = torch.tensor([1.0, 0.0], dtype=torch.float64)
    b = (beta - mu) / (1 + angle.cos().abs())

    def heights(w: Tensor) -> tuple[Tensor, Tensor]:
        """How far up each ridge, shape (*batch, 1)."""
        return w[..., :1].clamp(min=0), (w * v).sum(-1, keepdim=True).clamp(min=0)

    def value(w: Tensor) -> Tensor:
        first, second = heights(w)
        return (b * (first**2 + second**2) + mu * (w**2).sum(-1, keepdim=True)).squeeze(-1) / 2

    def gradient(w: Tensor) -> Tensor:
        first, second = heights(w)
        return b * (first * u + second * v) + mu * w

    constants = {"beta": beta, "mu": float(mu.min()), "minimum": 0.0}
    return Objective("leaning-ridges", value, gradient, constants)


def noisy_terms(mean: Objective, seed: int, d: int, noise: float, ripple: float) -> FiniteSum:
    """Four terms with random slopes of root-mean-square length `noise` and ripples up to `ripple`.

    The ripples are correlated with the slopes, so that curvature and gradient of a term are too.

    Args:
        mean: the function L.
        seed: of the slopes.
        d: dimension.
        noise: root mean square of |xi_i|.
        ripple: largest |s_i|; the ripple is the parabola chain.
    """
    rng = generator("noisy-terms", seed)
    slopes = rng.standard_normal((4, d))
    slopes -= slopes.mean(0)
    slopes *= noise / np.sqrt((slopes**2).sum(-1).mean())
    scales = slopes.sum(-1) - slopes.sum(-1).mean()
    scales *= ripple / np.abs(scales).max()
    return FiniteSum(mean, tensor(slopes), tensor(scales), parabola_chain(d))


def composed(outer: Objective, X: Tensor, y: Tensor) -> Objective:
    """L(w) = g(X w - y): with n < d its minimisers fill an affine space.

    beta(g) * smax^2 is its smoothness, and mu(g) * smin^2 its PL constant: |X^T v| >= smin |v| as
    the rows are independent. With g = |.|^2 / 2 it is least squares.

    Args:
        outer: g, over (*batch, n).
        X: shape (n, d), of full row rank n <= d.
        y: shape (n,).
    """
    singular = torch.linalg.svdvals(X)
    constants = {
        "beta": outer.constants["beta"] * float(singular[0]) ** 2,
        "pl": outer.constants["pl"] * float(singular[-1]) ** 2,
        "minimum": outer.constants["minimum"],
    }
    return Objective(
        f"{outer.name}-regression",
        lambda w: outer.value(w @ X.mT - y),
        lambda w: outer.gradient(w @ X.mT - y) @ X,
        constants,
    )


def conditioned_rows(seed: int, n: int, d: int, spread: float) -> Tensor:
    """Random (n, d) matrix, n <= d, with singular values from 1 down to 1 / spread; float64."""
    rng = generator("conditioned-rows", seed)
    left, _ = np.linalg.qr(rng.standard_normal((n, n)))
    right, _ = np.linalg.qr(rng.standard_normal((d, n)))
    return tensor(left * np.geomspace(1, 1 / spread, n) @ right.T)
