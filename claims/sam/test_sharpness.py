"""Sharpness of linear models (understanding_sam, Sec. 3)."""

import torch
from torch import Tensor

from limitpoint import Erratum, Problem, Trial, claim, losses, problems
from limitpoint.problems.models import Linear
from limitpoint.theory import sharpness

N, D = 16, 40


def same_predictions(problem: Problem, w: Tensor, count: int, seed: int) -> Tensor:
    """Points w + v with X v = 0, v random and as long as w or longer, shape (count, d)."""
    noise = torch.randn(count, D, generator=torch.Generator().manual_seed(seed)).double()
    basis = torch.linalg.qr(problem.X.mT).Q
    return w + noise - (noise @ basis) @ basis.mT


@claim(
    "sam/sharpness-linear",
    source="understanding_sam, Section 3",
    statement=r"The 1-sharpness of a linear model is $\sum_i \ell(y_i\langle w, x_i\rangle - "
    r"\rho\|x_i\|) - \ell(y_i\langle w, x_i\rangle)$, so that minimisers with the same "
    "predictions, such as all interpolators, are equally sharp.",
    hypotheses=("linear model", "decreasing loss of the margin, or even loss of the residual"),
    kind="identity",
)
def test_linear_sharpness(trial: Trial) -> None:
    """Closed form against projected ascent, and equal at points that predict the same.

    Logistic and exponential loss at random w, squared loss at interpolators, n < d. An example's
    gradient is along its input wherever it is taken, so that the ascent reaches the maximum in one
    step after the first; a step rounds at 1e-16 of the input.

    Control: the closed form is not the n-sharpness, which is at most sqrt(n) rho times the largest
    singular value (the loss is 1-Lipschitz). That the predictions are equal is needed: see
    sam/erratum-equally-sharp.
    """
    rho = 0.3
    X = problems.conditioned_rows(trial.seed, N, D, 1.5)
    w = torch.randn(D, generator=torch.Generator().manual_seed(trial.seed)).double()
    signs = torch.where(X @ w >= 0, 1.0, -1.0).double().roll(1)
    for loss in (losses.Logistic(), losses.Exponential(), losses.Squared()):
        y = X @ w if isinstance(loss, losses.Squared) else signs
        problem = Problem("sharpness", Linear(), loss, X, y, w)
        points = same_predictions(problem, w, 20, trial.seed)
        closed = sharpness.linear_one_sharpness(problem, points, rho)
        ascended = sharpness.ascended_sharpness(problem, points, rho, 1)
        name = type(loss).__name__
        trial.identity(f"1-sharpness, {name}", ascended, closed, 1e-12, "rounding of 16 terms")
        trial.identity(f"equal 1-sharpness, {name}", closed, closed[:1], 1e-12, "rounding")

    logistic = Problem("sharpness", Linear(), losses.Logistic(), X, signs, w)
    centre = torch.zeros(D, dtype=torch.float64)
    closed = sharpness.linear_one_sharpness(logistic, centre, rho)
    largest = N**0.5 * rho * torch.linalg.matrix_norm(X, 2)
    trial.ordering("most that n-sharpness can be", largest, closed, "the closed form is for m = 1")
    reached = sharpness.ascended_sharpness(logistic, centre, rho, N)
    trial.at_most("n-sharpness by ascent", reached, largest, 1e-12, "the Lipschitz bound")


@claim(
    "sam/erratum-equally-sharp",
    source="understanding_sam, Section 3",
    statement=r"Not all global minimisers are equally sharp: with the hinge loss on $x = y = 1$, "
    r"$\rho = .5$, $w = 1$ has sharpness $.5$ and $w = 2$ has $0$; minimisers with the same "
    "predictions are.",
    hypotheses=("linear model", "decreasing loss of the margin"),
    kind="erratum",
    erratum=Erratum(
        printed="all global minimizers of the training loss are equally sharp according to the "
        "1-sharpness",
        corrected="all that have the same predictions are",
        where="Section 3, after the closed form of the 1-sharpness",
        basis="counterexample",
        sure="certain",
        because="The closed form has the loss at the margins, which minimisers of a loss that "
        "reaches its minimum need not share. Where the minimum is reached at one prediction only, "
        "as for interpolators, the sentence is true.",
        copy="The sentence is legible.",
    ),
)
def test_erratum_equally_sharp(trial: Trial) -> None:
    """The hinge loss on a grid of perturbations; and interpolators of random data, in closed form.

    The largest of 1001 perturbations within rho is at an end, where the loss is monotone.
    Tolerance: rounding.
    """
    delta = torch.linspace(-0.5, 0.5, 1001, dtype=torch.float64)

    def sharpest(w: float) -> Tensor:
        return ((1 - (w + delta)).clamp(min=0) - max(0.0, 1 - w)).max()

    trial.printed.close("w = 1", sharpest(1.0), 0.5, 1e-15, "rounding")
    trial.printed.close("w = 2", sharpest(2.0), 0.0, 0.0, "no loss within reach")
    X = problems.conditioned_rows(trial.seed, N, D, 1.5)
    w = torch.randn(D, generator=torch.Generator().manual_seed(trial.seed)).double()
    problem = Problem("sharpness", Linear(), losses.Squared(), X, X @ w, w)
    points = same_predictions(problem, w, 20, trial.seed)
    closed = sharpness.linear_one_sharpness(problem, points, 0.3)
    trial.corrected.identity("interpolators", closed, closed[:1], 1e-12, "rounding")
