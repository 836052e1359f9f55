r"""Losses of a prediction, with slopes that stay exact far below 1e-16.

A loss is summed over the examples and multiplied by a factor (`mean` divides by n). For the losses
with an exponential tail every slope has an exponent of its own (`Scaled`), and the residual of the
true class is *minus the sum of the others*, never `p - 1`, which loses every digit once the loss is
under 1e-16.

Sources: usam_report Sec. 3 (unique finite root; strictly monotone); signgd_adam (1) and App. F;
understanding_sam (5) for the quarter of the squared residual.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor
from torch.nn.functional import softplus

from limitpoint.numerics import Scaled, Value, exp, log, scaled, total


def log_softplus(u: Tensor) -> Tensor:
    """log(log(1 + e^u)) without underflow; for u < -37 it is u - e^u / 2 to rounding."""
    small = u < -37
    body = softplus(torch.where(small, torch.zeros_like(u), u), threshold=40).log()
    return torch.where(small, u, body)


@dataclass(frozen=True)
class Loss(ABC):
    """A loss l(prediction, y); the objective is `factor * sum_i l` (`factor / n` if `mean`)."""

    mean: bool = False
    factor: float = 1.0
    #: Largest second derivative in the prediction; infinite where there is none.
    curvature: ClassVar[float] = math.inf

    def weight(self, n: int) -> float:
        """What each example's loss is multiplied by, given n examples."""
        return self.factor / n if self.mean else self.factor

    @abstractmethod
    def log_values(self, prediction: Tensor, y: Tensor) -> Tensor:
        """log l per example, shape (*batch, n)."""

    @abstractmethod
    def values(self, prediction: Tensor, y: Tensor) -> Tensor:
        """L per example, shape (*batch, n)."""

    @abstractmethod
    def slope(self, prediction: Tensor, y: Tensor) -> Value:
        """dl/dprediction, the shape of the prediction."""


class FiniteRootLoss(Loss):
    """A loss of the residual u = prediction - y, minimised at u = 0 (usam_report, Property 3.1)."""

    curvature = 1.0

    @abstractmethod
    def of_residual(self, u: Tensor) -> Tensor:
        """l(u)."""

    @abstractmethod
    def slope_of(self, u: Tensor) -> Tensor:
        """dl/du."""

    def log_of_residual(self, u: Tensor) -> Tensor:
        """Log l(u); -inf at the root."""
        return self.of_residual(u).log()

    def values(self, prediction: Tensor, y: Tensor) -> Tensor:
        """L per example."""
        return self.of_residual(prediction - y)

    def log_values(self, prediction: Tensor, y: Tensor) -> Tensor:
        """Log l per example; -inf at the root."""
        return self.log_of_residual(prediction - y)

    def slope(self, prediction: Tensor, y: Tensor) -> Tensor:
        """dl/du of the residuals."""
        return self.slope_of(prediction - y)


@dataclass(frozen=True)
class Squared(FiniteRootLoss):
    """l = u^2 / 2."""

    def of_residual(self, u: Tensor) -> Tensor:
        """u^2 / 2."""
        return u**2 / 2

    def slope_of(self, u: Tensor) -> Tensor:
        """The residual."""
        return u


@dataclass(frozen=True)
class PseudoHuber(FiniteRootLoss):
    """l = delta^2 (sqrt(1 + (u/delta)^2) - 1); curvature 1 at the root."""

    delta: float = 1.0

    def of_residual(self, u: Tensor) -> Tensor:
        """L(u), without cancellation at the root."""
        u2 = (u / self.delta) ** 2
        return self.delta**2 * u2 / (torch.sqrt(1 + u2) + 1)

    def slope_of(self, u: Tensor) -> Tensor:
        """u / sqrt(1 + (u/delta)^2), within (-delta, delta)."""
        return u / torch.sqrt(1 + (u / self.delta) ** 2)


@dataclass(frozen=True)
class LogCosh(FiniteRootLoss):
    """l = log cosh u; curvature 1 at the root."""

    def of_residual(self, u: Tensor) -> Tensor:
        """log cosh u = |u| + log1p(expm1(-2|u|) / 2)."""
        size = u.abs()
        return size + torch.log1p(torch.expm1(-2 * size) / 2)

    def slope_of(self, u: Tensor) -> Tensor:
        """Tanh u, within (-1, 1)."""
        return torch.tanh(u)


class MarginLoss(Loss):
    """A decreasing loss of the margin z = y * prediction, y in {-1, +1} (Property 3.2)."""

    @abstractmethod
    def decline(self, z: Tensor) -> Scaled:
        """-dl/dz, positive."""

    def log_slope(self, z: Tensor) -> Tensor:
        """log(-dl/dz)."""
        return log(self.decline(z))

    @abstractmethod
    def log_of_margin(self, z: Tensor) -> Tensor:
        """Log l(z)."""

    def log_values(self, prediction: Tensor, y: Tensor) -> Tensor:
        """Log l per example."""
        return self.log_of_margin(y * prediction)

    def values(self, prediction: Tensor, y: Tensor) -> Tensor:
        """L per example."""
        return self.log_values(prediction, y).exp()

    def slope(self, prediction: Tensor, y: Tensor) -> Scaled:
        """-y times the decline."""
        return self.decline(y * prediction).signed(-y)


@dataclass(frozen=True)
class Logistic(MarginLoss):
    """l = log(1 + e^-z)."""

    curvature = 0.25

    def log_of_margin(self, z: Tensor) -> Tensor:
        """Log l(z)."""
        return log_softplus(-z)

    def decline(self, z: Tensor) -> Scaled:
        """sigma(-z) = e^-z / (1 + e^-z)."""
        tail = exp(-z)
        return tail / (scaled(1.0) + tail)


@dataclass(frozen=True)
class Exponential(MarginLoss):
    """l = e^-z."""

    def log_of_margin(self, z: Tensor) -> Tensor:
        """Log l(z) = -z."""
        return -z

    def decline(self, z: Tensor) -> Scaled:
        """e^-z."""
        return exp(-z)


@dataclass(frozen=True)
class Probit(MarginLoss):
    """l = -log Phi(z), Phi the standard normal distribution function."""

    curvature = 1.0

    def log_of_margin(self, z: Tensor) -> Tensor:
        """log(-log Phi(z)); where Phi(z) is near one, -log Phi(z) is Phi(-z) to rounding."""
        tail = torch.special.log_ndtr(-z)
        body = torch.log(-torch.special.log_ndtr(torch.clamp(z, max=5.0)))
        return torch.where(z > 5.0, tail + torch.exp(tail) / 2, body)

    def decline(self, z: Tensor) -> Scaled:
        """The hazard phi(z) / Phi(z)."""
        return exp(-(z**2) / 2 - math.log(2 * math.pi) / 2 - torch.special.log_ndtr(z))


class MulticlassLoss(Loss):
    """A loss of the logits (n, k) and labels 0..k-1, through a_c = logit_c - logit_y, c != y."""

    @abstractmethod
    def residual(self, gaps: Tensor) -> Scaled:
        """dl/dlogit_c of the wrong classes, positive, shape (*batch, n, k); 0 at the true one."""

    def log_residual(self, gaps: Tensor) -> Tensor:
        """Logarithm of `residual`, -inf at the true class."""
        return log(self.residual(gaps))

    @abstractmethod
    def log_of_gaps(self, gaps: Tensor) -> Tensor:
        """Log l per example, given a_c with -inf at the true class."""

    @staticmethod
    def gaps(prediction: Tensor, y: Tensor) -> Tensor:
        """a_c = logit_c - logit_y, minus the margins, and -inf at c = y; the prediction's shape."""
        index = y.unsqueeze(-1).expand(*prediction.shape[:-1], 1)
        gaps = prediction - prediction.gather(-1, index)
        return gaps.scatter(-1, index, -torch.inf)

    def log_values(self, prediction: Tensor, y: Tensor) -> Tensor:
        """Log l per example."""
        return self.log_of_gaps(self.gaps(prediction, y))

    def values(self, prediction: Tensor, y: Tensor) -> Tensor:
        """L per example."""
        return self.log_values(prediction, y).exp()

    def slope(self, prediction: Tensor, y: Tensor) -> Scaled:
        """Residuals: the wrong classes' are positive, the true class's is minus their sum."""
        wrong = self.residual(self.gaps(prediction, y))
        true, index = -total(wrong, -1, keepdim=True), y.unsqueeze(-1)
        return wrong.scattered(-1, index, true)

    def log_proxy(self, prediction: Tensor, y: Tensor) -> Tensor:
        """log of the example's share of the proxy G, -dl/dlogit_y (signgd_adam (7))."""
        return log(total(self.residual(self.gaps(prediction, y)), -1))


@dataclass(frozen=True)
class CrossEntropy(MulticlassLoss):
    """l = -log softmax(logits)_y = log(1 + sum_{c != y} e^{a_c})."""

    mean: bool = True

    def log_of_gaps(self, gaps: Tensor) -> Tensor:
        """Log l per example."""
        return log_softplus(torch.logsumexp(gaps, dim=-1))

    def residual(self, gaps: Tensor) -> Scaled:
        """Softmax of the wrong classes."""
        odds = exp(gaps)
        return odds / (scaled(1.0) + total(odds, -1, keepdim=True))


@dataclass(frozen=True)
class MulticlassExponential(MulticlassLoss):
    """l = sum_{c != y} e^{a_c} (Mukherjee and Schapire 2010)."""

    mean: bool = True

    def log_of_gaps(self, gaps: Tensor) -> Tensor:
        """Log l per example."""
        return torch.logsumexp(gaps, dim=-1)

    def residual(self, gaps: Tensor) -> Scaled:
        """e^{a_c}."""
        return exp(gaps)


@dataclass(frozen=True)
class PairLogLoss(MulticlassLoss):
    """l = sum_{c != y} log(1 + e^{a_c}) (Wang et al. 2021)."""

    mean: bool = True

    def log_of_gaps(self, gaps: Tensor) -> Tensor:
        """Log l per example."""
        return torch.logsumexp(log_softplus(gaps), dim=-1)

    def residual(self, gaps: Tensor) -> Scaled:
        """sigma(a_c) = e^{a_c} / (1 + e^{a_c})."""
        odds = exp(gaps)
        return odds / (scaled(1.0) + odds)
