"""Errata in the proofs of understanding_sam's stochastic lemmas (App. C.2): true, and not so."""

import torch

from limitpoint import (
    Erratum,
    PolyakLojasiewiczStep,
    RootRadius,
    Trial,
    claim,
    finite_sum,
)
from limitpoint.theory import stochastic

ROUND = "rounding of a handful of operations"


@claim(
    "sam/erratum-lemma-13",
    source="understanding_sam, proofs of Lemmas 13 and 16, their first lines",
    statement=r"The first line of both proofs adds $\langle\nabla L_{t+1}(\hat w), \nabla L(w)"
    r"\rangle$ back; the printed minus would take it away twice.",
    hypotheses=(),
    kind="erratum",
    erratum=Erratum(
        printed="<g(w_half), grad L> = <g(w_half) - g(w^), grad L> - <g(w^), grad L>",
        corrected="<g(w_half), grad L> = <g(w_half) - g(w^), grad L> + <g(w^), grad L>",
        where="Lemmas 13 and 16, first lines of the proofs (App. C.2)",
        basis="proof",
        sure="certain",
        because="The text above it says add and subtract, and the end of both proofs adds.",
        copy="The same minus stands in both proofs.",
    ),
)
def test_erratum_lemma_13(trial: Trial) -> None:
    """Both sides over every pair of batches on terms with ripples; an identity, to rounding."""
    terms = dict(stochastic.sums("n-sam", trial.seed))["sine valley, ripples"]
    outer, inner = finite_sum.all_batches(terms.n, calls=2, size=1)[0, :, :, 0]
    w = torch.tensor([1.0, -1.0, 2.5], dtype=torch.float64).expand(len(outer), -1)
    rho = 0.5 / terms.mean.constants["beta"]
    g = terms.grad(w)
    moved, hat = w + rho * terms.sampled_grad(w, inner), w + rho * g
    there = (terms.sampled_grad(moved, outer) * g).sum(-1)
    kept = (terms.sampled_grad(hat, outer) * g).sum(-1)
    trial.corrected.identity("with a plus", (there - kept) + kept, there, 1e-13, ROUND)
    off = ((there - kept) - kept - there).abs()
    trial.printed.ordering("1e-3, then what the minus is off by", 1e-3, off.max(), "2 <g(w^), g>")


@claim(
    "sam/erratum-lemma-14",
    source="understanding_sam, Lemma 14: statement against the last line of its proof",
    statement=r"The last line of Lemma 14's proof gives $\frac{\gamma}{4}\|\nabla L\|^2$ at "
    r"$\gamma = \frac{1}{2\beta}$ only, and nothing at $\rho = \frac{1}{2\beta}$, $\gamma \to 0$; "
    r"with the weight $1/4$ in Young's inequality the lemma follows for all.",
    hypotheses=("gamma, rho <= 1 / (2 beta)",),
    kind="erratum",
    erratum=Erratum(
        printed="(gamma / 2) (1 - 2 rho beta (1 - 2 gamma beta (1 - rho beta))) is at least "
        "gamma / 4",
        corrected="gamma^2 beta (1 - 2 rho^2 beta^2) + gamma (1 - 2 gamma beta)(3/4 - rho beta) "
        "is, and the noise is within the lemma's",
        where="Lemma 14, last line of its proof (App. C.2.1)",
        basis="proof",
        sure="certain",
        because="At rho beta = 1/2 the printed bracket is gamma beta, which is 1/2 at the largest "
        "gamma only. The lemma itself is true: sam/stochastic-n-sam-step.",
        copy="The line is legible but for an L in place of beta.",
        fault="unproven",
    ),
    seeded=False,
)
def test_erratum_lemma_14(trial: Trial) -> None:
    """Both coefficients on a grid of gamma and rho: printed it falls short, corrected nowhere.

    [derived] Lemma 13's remark, rho beta sigma |g| / sqrt b, is at most w |g|^2 + (rho beta)^2
    sigma^2 / 4wb; the proof has w = 1/2, w = 1/4 suffices. beta = 1; tolerance: rounding.
    """
    gamma = torch.linspace(1e-3, 0.5, 60, dtype=torch.float64).unsqueeze(-1)
    rho = torch.linspace(1e-3, 0.5, 60, dtype=torch.float64)
    printed = (1 - 2 * rho * (1 - 2 * gamma * (1 - rho))) / 2
    short = "at rho = 1/2 it is gamma / 2"
    trial.printed.ordering("least of it over gamma, then 1/4", printed.min(), 0.25, short)
    gain = gamma * (1 - 2 * rho**2) + (1 - 2 * gamma) * (3 / 4 - rho)
    trial.corrected.at_least("of it over gamma", gain, 0.25, 1e-15, ROUND)
    noise = 2 * gamma**2 * rho**2 + gamma * (1 - 2 * gamma) * rho**2 + gamma**2
    allowed = gamma * (gamma + rho**2)
    trial.corrected.at_most("noise over sigma^2 / b", noise, allowed, 1e-15, ROUND)


@claim(
    "sam/erratum-lemma-17",
    source="understanding_sam, Lemma 17: statement against the last line of its proof",
    statement=r"The last line of Lemma 17's proof gives $\frac{3\gamma}{8}\|\nabla L\|^2$ at "
    r"$\gamma = \frac1\beta$ only, and $\frac{\gamma}{4}$ at $\rho = \frac{1}{4\beta}$, "
    r"$\gamma \to 0$; with the weight $3/8$ in Young's inequality the lemma follows for all.",
    hypotheses=("gamma <= 1 / beta", "rho <= 1 / (4 beta)"),
    kind="erratum",
    erratum=Erratum(
        printed="(gamma / 2) (1 - 2 beta rho (1 - gamma (beta - 2 rho beta^2))) is at least "
        "3 gamma / 8",
        corrected="(gamma^2 beta / 2)(1 - 4 beta^2 rho^2) + gamma (1 - gamma beta)(5/8 - rho beta) "
        "is, and the noise is within the lemma's",
        where="Lemma 17, last lines of its proof (App. C.2.2)",
        basis="proof",
        sure="certain",
        because="At rho beta = 1/4 the printed bracket is 1/2 + gamma beta / 4, which is 3/4 at "
        "the largest gamma only. The lemma itself is true: sam/stochastic-m-sam-step.",
        copy="The lines are legible.",
        fault="unproven",
    ),
    seeded=False,
)
def test_erratum_lemma_17(trial: Trial) -> None:
    """Both coefficients on a grid of gamma and rho: printed it falls short, corrected nowhere.

    [derived] As for Lemma 14, with w = 3/8. beta = 1; tolerance: rounding.
    """
    gamma = torch.linspace(1e-3, 1.0, 60, dtype=torch.float64).unsqueeze(-1)
    rho = torch.linspace(1e-3, 0.25, 60, dtype=torch.float64)
    printed = (1 - 2 * rho * (1 - gamma * (1 - 2 * rho))) / 2
    short = "at rho = 1/4 it is 1/4 + gamma / 8"
    trial.printed.ordering("least of it over gamma, then 3/8", printed.min(), 0.375, short)
    gain = gamma / 2 * (1 - 4 * rho**2) + (1 - gamma) * (5 / 8 - rho)
    trial.corrected.at_least("of it over gamma", gain, 0.375, 1e-15, ROUND)
    noise = gamma**2 * (1 + 2 * rho**2) + gamma * (1 - gamma) * rho**2 * 2 / 3
    allowed = gamma * (gamma + 2 * rho**2)
    trial.corrected.at_most("noise over sigma^2 / b", noise, allowed, 1e-15, ROUND)


@claim(
    "sam/erratum-pl-radius",
    source="understanding_sam, Theorems 2, 12 and 18, second parts, against Lemmas 14 and 17",
    statement=r"The second parts' radius starts at $\rho_0 = \frac{1}{\sqrt2\beta}$, above the "
    r"$\frac{1}{4\beta}$ that Theorem 18 itself asks for, and comes below it once "
    r"$\gamma_t \le \frac{1}{16\beta}$: until then the proof does not apply.",
    hypotheses=("gamma_t = min((8t + 4) / (3 mu (t + 1)^2), 1 / (2 beta))",),
    kind="erratum",
    erratum=Erratum(
        printed="for rho <= 1 / (4 beta), in addition, with rho_t = sqrt(gamma_t / beta)",
        corrected="rho_t is within 1 / (4 beta) from gamma_t <= 1 / (16 beta) on",
        where="Theorem 18 (App. C.2.2), and Theorems 2 and 12, which say it for any T",
        basis="contradiction",
        sure="certain",
        because="gamma_0 = 1 / (2 beta) gives rho_0 = .7 / beta. No counterexample to the bound "
        "itself is known: it holds in all runs of sam/stochastic-m-sam-pl.",
        copy="Both the condition and the schedule stand in the same theorem.",
        fault="unproven",
    ),
    seeded=False,
)
def test_erratum_pl_radius(trial: Trial) -> None:
    """The schedule itself, in units of 1 / beta, for mu = beta / 10. Tolerance: rounding."""
    gamma = PolyakLojasiewiczStep(0.5, pl=0.1)
    radii = RootRadius(gamma=gamma, beta=1.0)
    rho = torch.tensor([radii.at(t) for t in range(2000)], dtype=torch.float64)
    small = torch.tensor([gamma.at(t) for t in range(2000)], dtype=torch.float64) <= 1 / 16
    trial.printed.ordering("1/4, then rho_0", 0.25, rho[0], "sqrt(1/2)")
    trial.corrected.at_most("rho_t once gamma_t <= 1/16", rho[small], 0.25, 1e-15, ROUND)
    trial.corrected.ordering("1/4, then rho_t before", 0.25, rho[~small], "and only then")
