"""How fast SAM's radius has to shrink (understanding_sam, remarks after Theorem 2)."""

import scipy
import torch
from torch import Tensor

from limitpoint import PolyakLojasiewiczStep, StepSize, Trial, claim, confidence, finite_sum
from limitpoint import problems as problems_
from limitpoint.problems.finite_sum import FiniteSum
from limitpoint.theory import stochastic

EIGENVALUES = torch.tensor([1.0, 1.5, 2.0], dtype=torch.float64)
DECAYS = (0.0, 0.25, 0.5, 1.0)
RUNS = 512


def expected_iterates(
    terms: FiniteSum, gamma: StepSize, radii: StepSize, total: int
) -> tuple[Tensor, Tensor]:
    """E w_t and E w_t w_t^T of m-SAM, m = 1, from 0 while the ripple is -|w|^2 / 2.

    Every term is then quadratic with the Hessian H_i = diag(eigenvalues) - s_i, and
    w_{t+1} = w_t - gamma_t (1 + rho_t H_i)(H_i w_t + xi_i), i uniform and independent of w_t.

    Returns:
        Shapes (total + 1, schedules, 3) and (total + 1, schedules, 3, 3).
    """
    H = torch.diag_embed(EIGENVALUES - terms.scales.unsqueeze(-1))
    one, several = torch.eye(3, dtype=torch.float64), len(torch.as_tensor(radii.decay))
    m, M = torch.zeros(several, 1, 3).double(), torch.zeros(several, 1, 3, 3).double()
    means, squares = [m], [M]
    for t in range(total):
        rho = torch.as_tensor(radii.at(t)).unsqueeze(-1)
        ascent = gamma.at(t) * (one + rho * H)
        A, c = one - ascent @ H, -(ascent @ terms.slopes.unsqueeze(-1)).squeeze(-1)
        moved = (A @ m.unsqueeze(-1)).squeeze(-1)
        cross = moved.unsqueeze(-1) * c.unsqueeze(-2)
        M = (A @ M @ A.mT + cross + cross.mT + c.unsqueeze(-1) * c.unsqueeze(-2)).mean(1, True)
        m = (moved + c).mean(1, True)
        means.append(m)
        squares.append(M)
    return torch.stack(means).squeeze(2), torch.stack(squares).squeeze(2)


@claim(
    "sam/radius-schedule",
    source="understanding_sam, second remark after Theorem 2; the law is derived",
    statement=r"The radius of m-SAM has to shrink, as $O(\sqrt{\gamma_t})$, and no faster: with "
    r"$\gamma_t \sim 1/t$ and $\rho_t \sim t^{-a}$ the bias of the iterate costs a loss "
    r"$\sim t^{-2a}$: a floor at $a = 0$, and at $a = 1/2$ no more than the noise, $\sim 1/t$.",
    hypotheses=(
        "(A1), (A2), (A3)",
        "a term's curvature and gradient are correlated at the minimum",
    ),
    kind="identity",
    roles=("m-sam",),
    rivals=("gd", "step-constant", "rho-doubled"),
)
def test_m_sam_radius_schedule(trial: Trial) -> None:
    """Mean and mean square of 512 runs against their exact recursions, a = 0, 1/4, 1/2, 1.

    With one batch for both steps E grad l_i(w_* + rho grad l_i(w_*)) = rho E[H_i grad l_i] + ... is
    not zero, so that the mean iterate is off by O(rho) and its loss by O(rho^2) [derived]. On terms
    that are quadratic where the runs stay, both moments of w_t obey exact recursions, which the
    runs have to follow at every recorded time. What the recursions then say: with a = 0 the mean
    iterate stands at the root of E[(1 + rho H_i)(H_i w + xi_i)]; the exponent of its loss between
    T / 4 and T is nearer to -2a than to that of any a a quarter away; and at a = 1/2 the loss of
    the mean iterate is below what the noise costs.

    Tolerance: confidence intervals with error 1e-8, of the mean Student's, of the square that of a
    chi-squared variable, from T / 8 on: by then the noise of many steps has added up, and the
    kurtosis, by its own recursion, is 3.2 at most, which spreads the square 5% more. At t = 25 it
    is 7: one run in 512 can be a third of the square. (3200 / 8)^-2 is for the start, forgotten
    like t^(-8/3).
    """
    terms = problems_.noisy_terms(problems_.quadratic(EIGENVALUES), trial.seed, 3, 0.5, 1.9)
    total, decays = trial.steps(3200, 32_000), torch.tensor(DECAYS).double().reshape(-1, 1, 1)
    gamma = PolyakLojasiewiczStep(1 / (2 * terms.beta), pl=1.0)
    radii = StepSize(torch.full((4, 1, 1), 0.7 / terms.beta, dtype=torch.float64), decays)
    runs = (len(DECAYS), RUNS)
    batches = finite_sum.random_batches(
        trial.seed, terms.n, steps=total, calls=1, runs=runs, size=1
    )
    rule = stochastic.minibatch(trial, "m-sam", gamma, radii.at(0), batches, radii=radii)
    start = torch.zeros(*runs, 3, dtype=torch.float64)
    run = trial.run(terms, rule, total, start=start)

    means, squares = expected_iterates(terms, gamma, radii, total)
    half = confidence.upper_mean(run.w, error=5e-9, dim=2) - run.w.mean(2)
    sure, then = "confidence interval with error 1e-8", run.times[1:]
    axes = {"step": then, "radius": None, "coordinate": None}
    trial.close("mean iterate", run.w.mean(2)[1:], means[then], half[1:], sure, along=axes)
    late = run.times >= total // 8
    expected = squares.diagonal(dim1=-2, dim2=-1)[run.times[late]]
    allowed = 1.05 * (float(scipy.stats.chi2.isf(5e-9, RUNS)) / RUNS - 1) * expected
    measured, axes["step"] = (run.w[late] ** 2).mean(2), run.times[late]
    trial.close("mean square", measured, expected, allowed, sure, along=axes)

    hessian, rho = EIGENVALUES - terms.scales.unsqueeze(-1), 0.7 / terms.beta
    pull = ((1 + rho * hessian) * hessian).mean(0), ((1 + rho * hessian) * terms.slopes).mean(0)
    floor, left = -pull[1] / pull[0], (8 / total) ** 2
    trial.close("E w_T at a = 0, to its root", means[-1, 0], floor, left, "the start is forgotten")
    bias = terms.value(means)
    for k, a in enumerate(DECAYS[:3]):
        exponent = torch.log2(bias[-1, k] / bias[total // 4, k]) / 2
        trial.close(f"a = {a}: exponent of the mean's loss", exponent, -2 * a, 0.25, "nearest")
    noise = (EIGENVALUES * expected[-1, 2]).sum() / 2 - bias[-1, 2]
    trial.ordering("a = 1/2: the mean's loss, then the noise's", bias[-1, 2], noise, "recursions")
