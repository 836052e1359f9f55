r"""Gradient descent on separable data: the residual $w(t) - \hat w\log t$, and how fast it settles.

Directions converge like 1/log t and tell little. The residual converges like log t / t, once each
support vector has a positive multiplier (Soudry et al. 2018, Theorem 4).
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from limitpoint.problems.problem import Problem
from limitpoint.theory.limits import max_margin


@dataclass(frozen=True)
class HardMargin:
    r"""The hard-margin SVM, $\hat w = \sum_n \alpha_n x_n$ with the labels in the $x_n$.

    Args:
        w_hat: shape (d,), margins at least one.
        alpha: the multipliers on the support, shape (s,), positive.
        support: the support vectors y_n x_n, shape (s, d).
        others: the other examples' y_n x_n, shape (n - s, d).
    """

    w_hat: Tensor
    alpha: Tensor
    support: Tensor
    others: Tensor

    @property
    def spans(self) -> bool:
        """Whether the support vectors span the space, and each has a positive multiplier."""
        rank = torch.linalg.matrix_rank(self.support)
        return int(rank) == len(self.w_hat) and float(self.alpha.min()) > 0

    @property
    def residual(self) -> Tensor:
        r"""w~, shape (d,): $e^{-\tilde w\cdot x_n} = \alpha_n$ on the support, which must span."""
        return torch.linalg.lstsq(self.support, -self.alpha.log().unsqueeze(-1)).solution[..., 0]

    def residual_tolerance(
        self,
        step_size: Tensor | float,
        t: Tensor,
        start: Tensor,
        rho: Tensor | float = 0.0,
        age: float = 0.0,
    ) -> Tensor:
        r"""How far the residual may be from its limit at step t, in any margin of the support.

        In log t the deviation obeys delta' = -H delta + c w_hat / t, to first order, with H =
        sum_n alpha_n x_n x_n^T. As H w_hat = w_hat, this resonates: delta = c w_hat log t / t; the
        eigenvalues across w_hat are larger on `problems.support_simplex`. c is the sum of 1/2 (the
        step is finite), sum alpha^2 / (eta |w_hat|^2) (the logistic loss is not exponential;
        |w_hat|^2 = sum alpha), rho / eta (a perturbation that vanishes with the gradient lowers the
        margin), the mean age of a step's gradients (momentum's are old, and the gradient falls like
        1/t) and m exp(-w~.x_n) / (eta |w_hat|^2) of each example off the support, of margin m >= 2.
        An example of margin m at the start is felt after e^m / eta steps (w = log(eta t + e^w(0))
        in one dimension). All are added as positive numbers, and doubled for what does not resonate
        [derived].

        Args:
            step_size: eta, constant, shape () or (B,); the loss is a sum over the examples.
            t: steps, shape (R,).
            start: shape (d,) or (B, d).
            rho: radius of USAM, shape () or (B,).
            age: of a rule with momentum, whose step_size is then the sum of its kernel.

        Returns:
            Shape (R, 1) or (R, B).
        """
        eta = torch.as_tensor(step_size, dtype=torch.float64)
        off = (self.others @ self.w_hat * torch.exp(-self.others @ self.residual)).sum()
        slopes = ((self.alpha**2).sum() + off) / self.alpha.sum()
        c = 0.5 + age + (slopes + torch.as_tensor(rho)) / eta
        delay = (start @ self.support.mT).amax(-1).exp() / eta
        steps = t.double().unsqueeze(-1)
        return 2 * (c * steps.log() + delay) / steps


BECAUSE = "resonance with the slowest direction, 2 (c log t + delay) / t"


def hard_margin(problem: Problem) -> HardMargin:
    """The SVM of binary data, with the multipliers of its certificate.

    Raises:
        Uncertified: the data are not separable, or the gap is above its tolerance.
    """
    found = max_margin(problem.X, problem.y, norm=2)
    support = torch.from_numpy(found.support)
    rows = problem.y.unsqueeze(-1) * problem.X
    alpha = torch.from_numpy(found.multipliers)[support]
    return HardMargin(torch.from_numpy(found.svm), alpha, rows[support], rows[~support])
