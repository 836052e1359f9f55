"""DNSAM: SAM on minibatches, its perturbation divided by the whole batch's norm."""

from torch import Tensor

from limitpoint.numerics import ratio
from limitpoint.optimizers.roles import role
from limitpoint.optimizers.sam import SharpnessAware
from limitpoint.optimizers.stochastic import OneExample
from limitpoint.problems.finite_sum import Sampled
from limitpoint.problems.problem import Oracle


@role("dnsam", "w - eta g_B(w + rho g_B / ||grad L||_2), B a minibatch")
class DNSAM(SharpnessAware):
    """Ascent along g_B / ||grad L||_2, which has an expectation in closed form.

    Compagnoni et al. 2023, Section 3: a theory's SAM. On the whole batch it is SAM.
    """

    def ascent(self, oracle: Oracle, w: Tensor) -> Tensor:
        """The minibatch's gradient over the norm of all examples'."""
        whole = oracle.whole if isinstance(oracle, OneExample | Sampled) else oracle
        return ratio(oracle.grad(w), oracle.norm(whole.grad(w), 2))
