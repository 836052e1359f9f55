"""One step of full-batch SAM: alignment and descent (understanding_sam, Lemmas 7 and 8)."""

from collections.abc import Iterator

import numpy as np
import scipy
import torch
from torch import Tensor

from limitpoint import Erratum, Objective, Trial, claim, problems
from limitpoint.theory import descent

BETA = 2.5
ROUNDING = "rounding of a difference of values or iterates, 1e-16 of their size"


def points(seed: int, *shape: int, reach: float = 4.0) -> Tensor:
    """Uniform in a cube."""
    cube = torch.rand(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    return reach * (2 * cube - 1)


def one_step(trial: Trial, objective: Objective, w: Tensor, gamma: Tensor, rho: Tensor) -> Tensor:
    """Where n-SAM is after one step from w; gamma and rho broadcast against it."""
    shape = torch.broadcast_shapes(w.shape, gamma.shape, rho.shape)
    rule = trial.optimizer("n-sam", gamma, rho=rho)
    return trial.run(objective, rule, 1, start=w.expand(shape), record=(0, 1)).final


def excess(trial: Trial, objective: Objective, w: Tensor, rho: Tensor) -> tuple[Tensor, Tensor]:
    """(<grad L(w + rho grad L(w)), grad L(w)> / |grad L(w)|^2 - 1) / rho, and its rounding."""
    gamma = torch.ones_like(rho)
    g = objective.grad(w)
    direction = w - one_step(trial, objective, w, gamma, rho)
    square = (g**2).sum(-1)
    aligned = (direction * g).sum(-1) / square
    rounding = 1e-14 * (1 + torch.linalg.vector_norm(w, dim=-1)) / square.sqrt()
    return (aligned - 1) / rho.squeeze(-1), rounding / rho.squeeze(-1)


def least_aligned(objective: Objective, starts: Tensor, rho: float) -> Tensor:
    """Points where the excess is least, by BFGS from each start; shape of the starts."""

    def ratio(x: np.ndarray) -> float:
        w = torch.from_numpy(x)
        g = objective.grad(w)
        return float((objective.grad(w + rho * g) * g).sum() / (1e-12 + (g**2).sum()))

    found = [scipy.optimize.minimize(ratio, x.numpy()).x for x in starts]
    return torch.from_numpy(np.stack(found))


def families(seed: int, count: int = 10) -> Iterator[tuple[str, Objective, float]]:
    """Random functions of each class with the alpha of Lemma 7."""
    yield "smooth", problems.cosine_waves(seed, count, beta=BETA), -BETA
    yield "convex", problems.ridges(seed, count, beta=BETA), 0.0
    yield "strongly convex", problems.ridges(seed, count, beta=BETA, mu=1.0), 1.0


@claim(
    "sam/alignment",
    source="understanding_sam, Lemma 7",
    statement=r"$\langle\nabla L(w + \rho\nabla L(w)), \nabla L(w)\rangle \ge (1 + \alpha\rho) "
    r"\|\nabla L(w)\|^2$ with $\alpha = -\beta$ for a $\beta$-smooth, $0$ for a convex and $\mu$ "
    r"for a $\mu$-strongly convex function, and no better $\alpha$ would do.",
    hypotheses=("beta-smooth, convex or mu-strongly convex", "rho >= 0"),
    kind="inequality",
    roles=("n-sam",),
    rivals=("rho-doubled", "rho-negative", "rho-zero", "ascent-random"),
)
def test_n_sam_alignment(trial: Trial) -> None:
    """n-SAM's step keeps at least its share of the gradient, and can have just that share.

    Ten random functions of each class, 20 points each, radii from 0.1 / beta to 4 / beta; and
    the points that BFGS finds where the alignment is least. All three alphas are attained: where
    the parabola chain's curvature jumps (|w| = 1, beta = 1, for rho up to 2), on the straight part
    of Huber's function, and on mu |w|^2 / 2.

    Tolerance: rounding of the step, relative to the gradient.
    """
    radii = torch.tensor([0.1, 0.5, 1.0, 4.0], dtype=torch.float64).reshape(-1, 1, 1, 1) / BETA
    for name, objective, alpha in families(trial.seed):
        measured, rounding = excess(trial, objective, points(trial.seed, 10, 20, 4), radii)
        trial.at_least(f"excess, {name}", measured, alpha, rounding, ROUNDING)
    for name, objective, alpha in families(trial.seed, 1):
        tight = least_aligned(objective, points(trial.seed, 8, 4), 0.5 / BETA)
        measured, rounding = excess(trial, objective, tight, radii[1])
        trial.at_least(f"excess where it is least, {name}", measured, alpha, rounding, ROUNDING)
    huber = Objective(
        "Huber's function",
        lambda w: (w.abs() - 0.5).where(w.abs() > 1, w**2 / 2).sum(-1),
        lambda w: w.clamp(-1, 1),
    )
    bowl = problems.quadratic(torch.full((1,), 0.7, dtype=torch.float64))
    rho = torch.tensor([0.1, 0.5, 1.0, 2.0], dtype=torch.float64).reshape(-1, 1, 1)
    for objective, at, alpha in ((problems.parabola_chain(), 1.0, -1.0), (huber, 3.0, 0.0),
                                 (bowl, 2.0, 0.7)):  # fmt: skip
        w = torch.tensor([[at], [-at]], dtype=torch.float64)
        measured, rounding = excess(trial, objective, w, rho)
        trial.close(f"excess attained, {objective.name}", measured, alpha, rounding, ROUNDING)


def check_gain(
    trial: Trial,
    title: str,
    objective: Objective,
    w: Tensor,
    pair: tuple[Tensor, Tensor],
    gain: Tensor,
) -> None:
    """L(w_1) <= L(w_0) - gain |grad L(w_0)|^2 from every point with every pair."""
    after = objective.value(one_step(trial, objective, w, *pair))
    before, square = objective.value(w), (objective.grad(w) ** 2).sum(-1)
    bound = before - gain.squeeze(-1) * square
    rounding = 1e-14 * (1 + before.abs() + square)
    trial.at_most(f"loss after a step, {title}", after - before, bound - before, rounding, ROUNDING)


@claim(
    "sam/descent",
    source="understanding_sam, Lemma 8",
    statement=r"One step of n-SAM gains at least $\gamma(1-\rho\beta)(1 - "
    r"\frac{\gamma\beta}{2}(1-\rho\beta))\|\nabla L\|^2$ on a $\beta$-smooth function, and at "
    r"least $\gamma(1 - \frac{\gamma\beta}{2} + \rho\mu(1 - \gamma\beta - "
    r"\frac{\gamma\rho\beta^2}{2}))\|\nabla L\|^2$ on a $\mu$-strongly convex one.",
    hypotheses=(
        "beta-smooth and gamma <= 1 / beta",
        "or mu-strongly convex, mu >= 0, and gamma * beta * (2 + rho * beta) <= 2",
    ),
    kind="inequality",
    roles=("n-sam",),
    rivals=(
        "n-sam-step-tripled",
        "rho-doubled",
        "rho-negative",
        "rho-zero",
        "step-doubled",
    ),
)
def test_n_sam_descent(trial: Trial) -> None:
    """Every step gains what the lemma says, and on two functions exactly that.

    Ten random functions of each class, 20 points each, steps and radii up to and beyond 1 / beta.
    Both bounds are attained: the smooth one where the curvature jumps from -beta to beta (the odd
    integers of the parabola chain), the convex one on beta |w|^2 / 2 with mu = beta.

    Tolerance: rounding of the loss. The convex case has its corrected condition, see
    sam/erratum-lemma-8.
    """
    smooth = descent.pairs(BETA, (0.1, 0.5, 1.0), (0.1, 0.5, 1.0, 1.5), 3)
    convex = descent.pairs(BETA, (0.1, 0.3), (0.1, 1.0, 4.0), 3)
    w = points(trial.seed, 10, 20, 4)
    for name, objective, mu in families(trial.seed):
        check_gain(trial, name, objective, w, smooth, descent.smooth_gain(*smooth, BETA))
        if mu >= 0:
            gain = descent.convex_gain(*convex, BETA, mu)
            check_gain(trial, f"{name}, convex gain", objective, w, convex, gain)

    pair = descent.pairs(1.0, (0.1, 0.5, 1.0), (0.1, 0.5, 0.99), 1)
    w = torch.tensor([1.0, -1.0, 1.0], dtype=torch.float64)
    gain = descent.smooth_gain(*pair, 1.0)
    check_attained(trial, "parabola chain at its jumps", problems.parabola_chain(), w, pair, gain)
    pair = descent.pairs(BETA, (0.1, 0.3), (0.1, 1.0, 4.0), 1)
    gain = descent.convex_gain(*pair, BETA, BETA)
    bowl = problems.quadratic(torch.full((3,), BETA, dtype=torch.float64))
    check_attained(trial, "beta |w|^2 / 2", bowl, w, pair, gain)


def check_attained(
    trial: Trial,
    title: str,
    objective: Objective,
    w: Tensor,
    pair: tuple[Tensor, Tensor],
    gain: Tensor,
) -> None:
    """L(w_0) - L(w_1) = gain |grad L(w_0)|^2."""
    after = objective.value(one_step(trial, objective, w, *pair))
    expected = gain.squeeze(-1) * (objective.grad(w) ** 2).sum(-1)
    label = f"gain of a step, {title}"
    trial.identity(label, objective.value(w) - after, expected, 1e-14, "rounding of one step")


@claim(
    "sam/erratum-lemma-8",
    source="understanding_sam, Lemma 8, convex case: statement against its own proof",
    statement=r"The convex case of Lemma 8 needs $\gamma\beta(2+\rho\beta) \le 2$, not the printed "
    r"$\gamma\beta(2-\rho\beta) \le 2$, and convexity, not the printed (A3).",
    hypotheses=("beta-smooth", "convex"),
    kind="erratum",
    erratum=Erratum(
        printed="the second bound holds under (A3), mu >= 0, for gamma beta (2 - rho beta) <= 2",
        corrected="it holds for a mu-strongly convex L, mu >= 0, and gamma beta (2 + rho beta) <= "
        "2",
        where="Lemma 8, its second half (App. C.1)",
        basis="proof",
        sure="certain",
        because="The proof multiplies Lemma 7 by 1 - gamma beta - gamma rho beta^2 / 2, which has "
        "to be >= 0, and uses convexity twice; and (A3) in place of convexity is wrong with either "
        "sign.",
        copy="It has a minus; the sentence after the lemma, that rho has to be below 2 / beta, "
        "belongs to a minus too, so that none was lost.",
    ),
    roles=("n-sam",),
    rivals=("rho-zero", "rho-negative"),
)
def test_n_sam_erratum_lemma_8(trial: Trial) -> None:
    """The printed conditions allow steps that break the bound; the corrected ones do not.

    The proof multiplies Lemma 7 by 1 - gamma beta - gamma rho beta^2 / 2, which has to be >= 0:
    that is the condition with a plus. Against the printed one: L = beta |w|^2 / 2, mu = 0, rho beta
    = 1. With gamma beta = 1.5 the step goes to -2 w, so that L(w_1) = 4 L(w_0) and the bound says
    L(w_0) / 4; with gamma beta = 1, if the lemma's first half is to keep gamma <= 1 / beta for the
    second, it goes to -w, and the bound says 0. The proof also uses Lemma 7 with mu, that is strong
    convexity, where the statement has the Polyak-Lojasiewicz condition (A3): w^2 + 3 sin^2 w has it
    with mu = 0.1755 and breaks the bound where it is concave, although gamma beta (2 + rho beta) <=
    2.

    Tolerance: rounding.
    """
    w = points(trial.seed, 20, 3)
    bowl = problems.quadratic(torch.full((3,), BETA, dtype=torch.float64))
    gamma, rho = descent.pairs(BETA, (1.5, 1.0), (1.0,), 2)
    before, after = bowl.value(w), bowl.value(one_step(trial, bowl, w, gamma, rho))
    printed = before - descent.convex_gain(gamma, rho, BETA, 0.0).squeeze(-1) * (BETA * 2 * before)
    trial.printed.ordering("the bound, then L(w_1)", printed, after, "it fails everywhere")
    grown = torch.tensor([[4.0], [1.0]], dtype=torch.float64)
    trial.printed.identity("L(w_1) / L(w_0)", after / before, grown, 1e-13, "rounding")

    valley = problems.sine_valley()
    beta, mu = valley.constants["beta"], valley.constants["pl"]
    gamma, rho = descent.pairs(beta, (0.1,), (0.5,))
    top = torch.linspace(1.3, 1.8, 20, dtype=torch.float64).unsqueeze(-1)
    after = valley.value(one_step(trial, valley, top, gamma, rho))
    gain = descent.convex_gain(gamma, rho, beta, mu).squeeze(-1)
    printed = valley.value(top) - gain * (valley.grad(top) ** 2).sum(-1)
    trial.printed.ordering(
        "the bound under (A3), then L(w_1)", printed, after, "it fails where L is concave"
    )

    edge = descent.pairs(BETA, (2 / 2.1, 2 / 3, 2 / 6), (0.1, 1.0, 4.0), 3)
    allowed = (edge[0] * BETA * (2 + edge[1] * BETA)).flatten() <= 2 + 1e-12
    edge = (edge[0][allowed], edge[1][allowed])
    for name, objective, alpha in families(trial.seed):
        if alpha >= 0:
            gain = descent.convex_gain(*edge, BETA, alpha)
            cloud = points(trial.seed, 10, 20, 4)
            check_gain(trial.corrected, name, objective, cloud, edge, gain)
