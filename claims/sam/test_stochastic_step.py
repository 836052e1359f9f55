"""One step of stochastic SAM in expectation (understanding_sam, App. C.2), without sampling."""

import math

import torch
from torch import Tensor

from limitpoint import Trial, claim, finite_sum, problems, worst_case
from limitpoint.problems.finite_sum import FiniteSum
from limitpoint.theory import descent, stochastic
from limitpoint.theory.stochastic import BATCH

EXACT = "expectation over all batches, no sampling; rounding"


def cloud(seed: int) -> Tensor:
    """Points in a cube, and near the parabola chain's maximum 0, where the curvature is least."""
    cube = torch.rand(60, 3, generator=torch.Generator().manual_seed(seed)).double()
    return torch.cat([4 * cube[:40] - 2, 0.3 * cube[40:]])


def check_one_step(
    trial: Trial,
    role: str,
    steps: tuple[float, ...],
    radii: tuple[float, ...],
    share: float,
    c: float,
) -> None:
    """Alignment in the form of the proof's remark; E L(w_1) <= L - share gamma |g|^2 + noise."""
    w = cloud(trial.seed)
    for name, terms in stochastic.sums(role, trial.seed):
        beta = stochastic.smoothness(role, terms)
        for size in (1, BATCH):
            pair = descent.pairs(beta, steps, radii, 3)
            aligned, loss = stochastic.expected_step(trial, role, terms, pair, size, w)
            gamma, rho = (x[:, 0, 0] for x in pair)
            square, variance = (terms.grad(w) ** 2).sum(-1), terms.variance / size
            reach = rho * beta
            bound = (1 - reach) * square - reach * math.sqrt(variance) * square.sqrt()
            title = f"{name}, b = {size}"
            rounding = 1e-13 * (1 + square + variance)
            trial.at_least(f"expected alignment, {title}", aligned, bound, rounding, EXACT)
            noise = gamma * beta * variance * (gamma + c * rho**2 * beta)
            change = loss - terms.value(w)
            bound = noise - share * gamma * square
            trial.at_most(f"expected change of the loss, {title}", change, bound, rounding, EXACT)
        box = [(0.02, steps[-1]), (0.02, radii[-1]), *[(-2.0, 2.0)] * 3]
        labels = ("lost alignment", "noise in the loss")
        # Where there is hardly any noise, only the very minima show it.
        for k, label in enumerate(labels if terms.scales.any() else labels[:1]):
            found = worst_case(
                lambda x, k=k, terms=terms: shares_of_a_step(trial, role, terms, x, share, c)[k],
                box, trial.seed, rounds=20, candidates=60,
            )  # fmt: skip
            title = f"{label} over what is allowed, worst case, {name}"
            trial.at_most(title, found.ratio, 1.0, 1e-9, EXACT)


def shares_of_a_step(
    trial: Trial, role: str, terms: FiniteSum, x: Tensor, share: float, c: float
) -> tuple[Tensor, Tensor]:
    """What a step with b = 1 uses of the lemmas' two bounds; candidates (N, 5): gamma, rho, w."""
    beta = stochastic.smoothness(role, terms)
    gamma, rho, w = x[:, 0] / beta, x[:, 1] / beta, x[:, 2:]
    pair = (gamma[None, None, :, None], rho[None, None, :, None])
    aligned, loss = stochastic.expected_step(trial, role, terms, pair, 1, w)
    square, reach = (terms.grad(w) ** 2).sum(-1), rho * beta
    lost = (square - aligned[0]) / (reach * (square + (terms.variance * square).sqrt()))
    noise = gamma * beta * terms.variance * (gamma + c * rho**2 * beta)
    return lost, (loss[0] - terms.value(w) + share * gamma * square) / noise


@claim(
    "sam/stochastic-n-sam-step",
    source="understanding_sam, Lemmas 13 and 14, with the 1/b that their proofs give",
    statement=r"With two batches of size $b$, $E\langle\nabla L_I(w+\rho\nabla L_J(w)), \nabla L(w)"
    r"\rangle \ge (1-\rho\beta)\|\nabla L\|^2 - \rho\beta\frac{\sigma}{\sqrt b}\|\nabla L\|$ and "
    r"$E L(w_{t+1}) \le L(w_t) - \frac{\gamma}{4}\|\nabla L\|^2 + \frac{\gamma\beta\sigma^2}{b}"
    r"(\gamma + \rho^2\beta)$.",
    hypotheses=("(A1), (A2')", "gamma <= 1 / (2 beta)", "rho <= 1 / (2 beta)"),
    kind="inequality",
    roles=("n-sam",),
    rivals=("rho-doubled", "step-tenfold", "one-batch"),
)
def test_n_sam_stochastic_step(trial: Trial) -> None:
    """Alignment and descent in expectation, over every pair of batches instead of a sample.

    The alignment is the sharper form that the proof of Lemma 13 remarks; by Young's inequality it
    gives the printed (1/2 - rho beta)|g|^2 - beta^2 rho^2 sigma^2 / 2b. The printed lemmas lack the
    1/b of their proofs, and so say less (sam/erratum-batch-size). [derived]: the descent follows
    from the alignment with Young's weight 1/4 (sam/erratum-lemma-14). beta is that of L alone, as
    (A2') has it: on terms that are steeper one batch for both steps breaks the bounds.

    A search over step, radius and point, b = 1, comes to .99 of the alignment's bound (at the edge
    of the concave stretch, with little noise) and, with ripples, to .15 of the noise allowed.

    Tolerance: rounding.
    """
    check_one_step(trial, "n-sam", (0.05, 0.25, 0.5), (0.1, 0.25, 0.5), 1 / 4, 1.0)


@claim(
    "sam/stochastic-m-sam-step",
    source="understanding_sam, Lemmas 16 and 17",
    statement=r"With one batch of size $b$ for ascent and descent, "
    r"$E\langle\nabla L_I(w+\rho\nabla L_I(w)), \nabla L(w)\rangle \ge "
    r"(1-\rho\beta)\|\nabla L\|^2 - \rho\beta\frac{\sigma}{\sqrt b}\|\nabla L\|$ and "
    r"$E L(w_{t+1}) \le L(w_t) - \frac{3\gamma}{8}\|\nabla L\|^2 + "
    r"\frac{\gamma\beta\sigma^2}{b}(\gamma + 2\rho^2\beta)$.",
    hypotheses=("(A1), (A2): each term is beta-smooth", "gamma <= 1 / beta", "rho <= 1 / (4 beta)"),
    kind="inequality",
    roles=("m-sam",),
    rivals=("rho-doubled", "step-tenfold"),
)
def test_m_sam_stochastic_step(trial: Trial) -> None:
    """Alignment and descent in expectation, over every batch instead of a sample.

    As for two batches; here each term has to be smooth, and the terms' curvatures differ. The last
    line of the printed proof of Lemma 17 gives gamma / 4 at rho = 1 / (4 beta); with the weight 3/8
    in Young's inequality the lemma's 3 gamma / 8 follows [derived, sam/erratum-lemma-17]. The
    search comes to .99 and .2 of the two bounds.

    Tolerance: rounding.
    """
    check_one_step(trial, "m-sam", (0.05, 0.5, 1.0), (0.05, 0.125, 0.25), 3 / 8, 2.0)


def second_moment(trial: Trial, role: str, size: int) -> tuple[Tensor, ...]:
    """E w_1^2 over every outcome of the batches, on a quadratic with additive noise.

    Returns:
        It, of shape (pairs, points, 3); and gamma lambda, rho lambda, w, and gamma^2 times the
        variance of the batches' noise, which broadcast to it.
    """
    eigenvalues = torch.tensor([1.0, 1.5, 2.0], dtype=torch.float64)
    terms = problems.noisy_terms(problems.quadratic(eigenvalues), trial.seed, 3, 1.0, 0.0)
    gamma, rho = descent.pairs(terms.beta, (0.1, 0.5, 1.0), (0.1, 0.5, 2.0), 3)
    w = torch.randn(20, 3, generator=torch.Generator().manual_seed(trial.seed)).double()
    batches = finite_sum.all_batches(terms.n, calls=stochastic.calls(role), size=size)
    start = w.expand(len(gamma), batches.shape[2], -1, -1)
    rule = stochastic.minibatch(trial, role, gamma, rho, batches)
    after = trial.run(terms, rule, 1, start=start, record=(0, 1)).final
    gamma, rho = gamma[:, 0], rho[:, 0]
    noise = gamma**2 * (terms.slopes**2).mean(0) / size
    return (after**2).mean(1), gamma * eigenvalues, rho * eigenvalues, w, noise


@claim(
    "sam/stochastic-n-sam-moment",
    source="understanding_sam, (21) on a quadratic (derived)",
    statement=r"On a quadratic with additive noise two-batch n-SAM has, along the eigenvalue "
    r"$\lambda$, $E w_+^2 = (1-\gamma\lambda(1+\rho\lambda))^2 w^2 + "
    r"\gamma^2(1+\rho^2\lambda^2)\frac{\sigma_\lambda^2}{b}$.",
    hypotheses=("quadratic mean, additive noise", "independent batches for ascent and descent"),
    kind="identity",
    roles=("n-sam",),
    rivals=(
        "gd",
        "rho-doubled",
        "rho-negative",
        "n-sam-step-tripled",
        "twice-uphill",
        "averaged",
        "perturbation-kept",
        "sam-l2",
        "one-batch",
    ),
)
def test_n_sam_stochastic_moment(trial: Trial) -> None:
    """Exactly, over every pair of batches: the two noises add as independent ones do.

    w_+ = (1 - gamma lambda (1 + rho lambda)) w - gamma (xi_I + rho lambda xi_J) [derived]. By
    induction it gives E L(w_T) for every T. Tolerance: rounding.
    """
    for size in (1, BATCH):
        found, pace, reach, w, noise = second_moment(trial, "n-sam", size)
        expected = ((1 - pace * (1 + reach)) * w) ** 2 + (1 + reach**2) * noise
        title = f"second moment after a step, b = {size}"
        trial.identity(title, found, expected, 1e-13, EXACT)


@claim(
    "sam/stochastic-m-sam-moment",
    source="understanding_sam, (4) on a quadratic (derived)",
    statement=r"On a quadratic with additive noise m-SAM has, along the eigenvalue $\lambda$, "
    r"$E w_+^2 = (1-\gamma\lambda(1+\rho\lambda))^2 w^2 + "
    r"\gamma^2(1+\rho\lambda)^2\frac{\sigma_\lambda^2}{b}$: more noise than with two batches.",
    hypotheses=("quadratic mean, additive noise", "one batch for ascent and descent"),
    kind="identity",
    roles=("m-sam",),
    rivals=(
        "gd",
        "rho-doubled",
        "rho-negative",
        "n-sam-step-tripled",
        "averaged",
        "sam-l2",
    ),
)
def test_m_sam_stochastic_moment(trial: Trial) -> None:
    """Exactly, over every batch: the ascent's noise is the descent's, and they add up.

    w_+ = (1 - gamma lambda (1 + rho lambda)) w - gamma (1 + rho lambda) xi_I [derived]. By
    induction it gives E L(w_T) for every T. Tolerance: rounding.
    """
    for size in (1, BATCH):
        found, pace, reach, w, noise = second_moment(trial, "m-sam", size)
        expected = ((1 - pace * (1 + reach)) * w) ** 2 + (1 + reach) ** 2 * noise
        title = f"second moment after a step, b = {size}"
        trial.identity(title, found, expected, 1e-13, EXACT)
