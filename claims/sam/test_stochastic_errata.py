"""Errata of understanding_sam's stochastic theorems (Sec. 5.1 and App. C.2)."""

import torch

from limitpoint import (
    Erratum,
    Objective,
    Trial,
    claim,
    confidence,
    problems,
)
from limitpoint.problems.finite_sum import FiniteSum
from limitpoint.theory import descent, stochastic
from limitpoint.theory.stochastic import BATCH, RUNS

CERTAIN = f"one-sided 1e-6 confidence bound, Student's t over {RUNS} runs; nothing beyond it"
ROUND = "rounding of a handful of operations"
EXACT = "expectation over all batches, no sampling; rounding"
START = torch.tensor([1.0, -1.0, 2.5], dtype=torch.float64)


@claim(
    "sam/erratum-theorem-12",
    source="understanding_sam, Theorem 12: statement against Theorems 2 and 15",
    statement=r"The first term of Theorem 12 is $\frac{4\beta}{\sqrt T}(L(w_0)-L_*)$, as in "
    r"Theorem 2, not the printed $\frac{4}{\beta\sqrt T}$.",
    hypotheses=("(A1), (A2')", "T >= 16"),
    kind="erratum",
    erratum=Erratum(
        printed="the first term is (4 / (beta sqrt T)) (L(w_0) - L_*)",
        corrected="the first term is (4 beta / sqrt T) (L(w_0) - L_*)",
        where="Theorem 12, its first bound (App. C.2.1)",
        basis="contradiction",
        sure="certain",
        because="It is said to be the result of Theorem 2, which has 4 beta / sqrt T, and to "
        "follow from Theorem 15, whose 4 / (T gamma) is 4 beta / sqrt T.",
        copy="No lost symbol explains it: beta would have had to move below the bar.",
    ),
    roles=("n-sam",),
    rivals=("step-tenfold",),
)
def test_n_sam_erratum_theorem_12(trial: Trial) -> None:
    """On beta |w|^2 / 2 with beta = 100 the printed bound fails and the corrected one holds.

    Theorem 15 with gamma = 1 / (sqrt(T) beta) has 4 / (T gamma) = 4 beta / sqrt(T). The printed
    term has the wrong unit: the first gradient alone gives beta^2 |w_0|^2 / T, and print allows
    2 |w_0|^2 / sqrt(T) and the noise. (The theorem's "under (A2)" is the PL condition, (A3).)

    Tolerance: one-sided confidence bounds at 1e-6.
    """
    bowl = problems.quadratic(torch.full((3,), 100.0, dtype=torch.float64))
    terms = problems.noisy_terms(bowl, trial.seed, 3, 1.0, 0.0)
    gap, noise = float(terms.value(START)), 8 * terms.variance / BATCH
    for T, _, _, squares, _ in stochastic.horizons(trial, "n-sam", terms, START):
        if T >= 16:
            printed = (4 / terms.beta * gap + noise) / T**0.5
            least = -confidence.upper_mean(-squares)
            title = f"bound, then mean squared gradient, T = {T}"
            trial.printed.ordering(title, printed, least, "below a lower confidence bound")
            bound = (4 * terms.beta * gap + noise) / T**0.5
            title = f"mean squared gradient, T = {T}"
            trial.corrected.at_most(title, confidence.upper_mean(squares), bound, 0.0, CERTAIN)


@claim(
    "sam/erratum-theorem-15",
    source="understanding_sam, Theorem 15: statement against Lemma 14 and Theorem 12",
    statement=r"The noise term of Theorem 15 is $\frac{4\sigma^2\beta}{b}(\gamma+\rho^2\beta)$: "
    r"the printed one has a factor $T$ more, and would not give Theorem 12.",
    hypotheses=("(A1), (A2')", "gamma, rho <= 1 / (2 beta)"),
    kind="erratum",
    erratum=Erratum(
        printed="the noise term is 4 T sigma^2 beta (gamma + rho^2 beta) / b",
        corrected="the noise term is 4 sigma^2 beta (gamma + rho^2 beta) / b",
        where="Theorem 15 (App. C.2.1)",
        basis="contradiction",
        sure="certain",
        because='"This theorem gives the first part of Theorem 12": with the T its noise would '
        "grow like sqrt T there, without it the two agree to the letter. Averaging Lemma 14 over "
        "T steps gives no T.",
        copy="A symbol too many is no loss of a conversion.",
        fault="weak",
    ),
    roles=("n-sam",),
    rivals=("step-tenfold",),
)
def test_n_sam_erratum_theorem_15(trial: Trial) -> None:
    """Without the factor T the theorem is Theorem 12's first part, exactly, and holds.

    With its step sizes the corrected bound is Theorem 12's to the letter (an identity), and the
    printed noise term grows like sqrt(T) instead of falling: it is above the whole of Theorem 12's
    bound where there is noise.

    Tolerance: one-sided confidence bound at 1e-6; rounding for the identity.
    """
    sums, noisy = dict(stochastic.sums("n-sam", trial.seed)), "sine valley, ripples"
    for name in (noisy, "parabola chain, little noise"):
        terms = sums[name]
        beta, noise = terms.mean.constants["beta"], terms.variance / BATCH
        gap = float(terms.value(START)) - terms.mean.constants["minimum"]
        for T, gamma, rho, squares, _ in stochastic.horizons(trial, "n-sam", terms, START):
            if T < 16:
                continue
            floor, title = 4 * noise * beta * (gamma + rho**2 * beta), f"{name}, T = {T}"
            corrected, target = 4 * gap / (T * gamma) + floor, (4 * beta * gap + 8 * noise) / T**0.5
            trial.corrected.identity(
                f"bound, to Theorem 12's, {title}", corrected, target, 1e-12, ROUND
            )
            if name == noisy:
                label = f"Theorem 12's bound, then the noise term, {title}"
                trial.printed.ordering(label, target, T * floor, "the noise term alone is above")
            upper = confidence.upper_mean(squares)
            label = f"mean squared gradient, {title}"
            trial.corrected.at_most(label, upper, corrected, 0.0, CERTAIN)


@claim(
    "sam/erratum-theorem-15-iterates",
    source="understanding_sam, Theorem 15: statement against Lemma 14 and Section C.2.1",
    statement=r"Theorem 15 is about the iterates (21), with two batches: of the printed (4), with "
    r"one batch for ascent and descent, it is false under (A2') at $T = 1$.",
    hypotheses=("(A1), (A2')", "gamma, rho <= 1 / (2 beta)"),
    kind="erratum",
    erratum=Erratum(
        printed="under (A1) and (A2') the iterates (4) satisfy the bound",
        corrected="under (A1) and (A2') the iterates (21) satisfy it",
        where="Theorem 15 (App. C.2.1)",
        basis="contradiction",
        sure="certain",
        because="The section is about n-SAM, (21), and so are Lemma 14, which gives it, and "
        "Theorem 12, which it gives. On terms that are steeper than their mean, which (A2') "
        "allows, (4) breaks the bound in one step.",
        copy="The number of the equation is legible.",
    ),
    roles=("n-sam", "m-sam"),
    rivals=(
        "one-batch",
        "m-sam:gd",
        "m-sam:rho-doubled",
    ),
    seeded=False,
)
def test_n_sam_and_m_sam_erratum_theorem_15_iterates(trial: Trial) -> None:
    """At T = 1 both factors T of Theorem 15 are one; E L(w_1) over all batches, without sampling.

    L = w / 2 - w^2 / 4 and two terms L +- R, R the parabola chain: beta = 1/2, terms three times as
    steep, sigma = 1. At w = -1, rho = 1 / (2 beta), each term's ascent leads to where its own
    ripple pulls uphill: E <direction, grad L> = -1/2 with one batch, where |grad L| = 1. (21) keeps
    the bound at all points of [-3, 3]. Tolerance: rounding.
    """
    hill = Objective("hill", lambda w: (w / 2 - w**2 / 4).sum(-1), lambda w: (1 - w) / 2)
    hill.constants["beta"] = beta = 0.5
    scales = torch.tensor([1.0, -1.0], dtype=torch.float64)
    terms = FiniteSum(hill, torch.zeros(2, 1).double(), scales, problems.parabola_chain())
    w = torch.linspace(-3, 3, 61, dtype=torch.float64).unsqueeze(-1)
    pair = descent.pairs(beta, (0.01, 0.25, 0.5), (0.25, 0.5), 3)
    gamma, rho = (x[:, 0, 0] for x in pair)
    square, bound = (terms.grad(w) ** 2).sum(-1), {}
    for role in ("n-sam", "m-sam"):
        _, loss = stochastic.expected_step(trial, role, terms, pair, 1, w)
        paid = 4 * (terms.value(w) - loss) / gamma
        bound[role] = paid + 4 * terms.variance * beta * (gamma + rho**2 * beta)
    over = square - bound["n-sam"]
    trial.corrected.at_most("|grad L(w_0)|^2 over the bound, (21)", over, 0.0, 1e-10, EXACT)
    found = bound["m-sam"][1, 20]  # the smallest step, the largest radius, w = -1
    trial.printed.ordering("the bound at w = -1, then |grad L|^2, (4)", found, square[20], EXACT)


@claim(
    "sam/erratum-batch-size",
    source="understanding_sam, Lemmas 13 and 14: statements against their own proofs",
    statement=r"The noise in Lemmas 13 and 14 is $\sigma^2/b$, as in their proofs; the printed "
    r"$\sigma^2$ is that of $b = 1$.",
    hypotheses=("(A1), (A2')", "gamma, rho <= 1 / (2 beta)"),
    kind="erratum",
    erratum=Erratum(
        printed="the noise terms are beta^2 rho^2 sigma^2 / 2 and gamma beta sigma^2 (gamma + "
        "rho^2 beta)",
        corrected="they are beta^2 rho^2 sigma^2 / 2b and gamma beta sigma^2 (gamma + rho^2 beta) "
        "/ b",
        where="Lemmas 13 and 14 (App. C.2.1)",
        basis="proof",
        sure="certain",
        because="Both proofs divide by b, Lemma 16 does for one batch, and Theorem 15 needs it.",
        copy="It may have lost the b; the proofs and Theorem 15 kept theirs.",
        fault="weak",
    ),
    roles=("n-sam",),
    rivals=("step-tenfold", "rho-doubled"),
)
def test_n_sam_erratum_batch_size(trial: Trial) -> None:
    """With b = 2 the bounds with 1/b hold in expectation over all pairs of batches.

    What is printed is then twice as far away. Tolerance: rounding.
    """
    w = torch.linspace(-2, 2, 30, dtype=torch.float64).unsqueeze(-1) * torch.tensor(
        [1.0, 0.5, -0.3]
    )
    for name, terms in stochastic.sums("n-sam", trial.seed):
        beta = terms.mean.constants["beta"]
        pair = descent.pairs(beta, (0.05, 0.5), (0.1, 0.5), 3)
        gamma, rho = (x[:, 0, 0] for x in pair)
        aligned, loss = stochastic.expected_step(trial, "n-sam", terms, pair, BATCH, w)
        square, noise = (terms.grad(w) ** 2).sum(-1), terms.variance / BATCH
        rounding, reach = 1e-13 * (1 + square + noise), rho * beta
        bound = (1 / 2 - reach) * square - reach**2 * noise / 2
        trial.corrected.at_least(f"alignment, {name}", aligned, bound, rounding, EXACT)
        change, allowed = loss - terms.value(w), gamma * beta * noise * (gamma + rho * reach)
        bound = allowed - gamma / 4 * square
        trial.corrected.at_most(f"change of the loss, {name}", change, bound, rounding, EXACT)
        printed = allowed * BATCH - gamma / 4 * square
        trial.printed.ordering(f"bound with 1/b, then as printed, {name}", bound, printed, "weaker")


@claim(
    "sam/erratum-theorem-18",
    source="understanding_sam, Theorem 18: statement against Lemma 17 and Theorem 2",
    statement=r"Lemma 17 gives Theorem 18 with $\gamma + 2\rho^2\beta$ in its noise; the printed "
    r"$\gamma + \rho^2\beta$, which is true, does not come from it, and Theorem 2's "
    r"$8 = \frac83(1 + 2)$ has the 2.",
    hypotheses=("(A1), (A2)", "gamma <= 1 / beta", "rho <= 1 / (4 beta)"),
    kind="erratum",
    erratum=Erratum(
        printed="the noise is 8 sigma^2 beta (gamma + rho^2 beta) / 3b, directly from Lemma 17",
        corrected="Lemma 17 gives 8 sigma^2 beta (gamma + 2 rho^2 beta) / 3b",
        where="Theorem 18, its first bound (App. C.2.2)",
        basis="proof",
        sure="likely",
        because="The sum of Lemma 17 over t < T has the 2, and so has the constant of Theorem 2, "
        "its direct consequence. What is printed needs a sharper estimate of the alignment.",
        copy="It may have lost the 2.",
        fault="unproven",
    ),
    roles=("m-sam",),
    rivals=("step-tenfold",),
)
def test_m_sam_erratum_theorem_18(trial: Trial) -> None:
    """T = 1 over all batches with the 2; and what both would make of Theorem 2's constant.

    With gamma = 1 / (sqrt(T) beta) and rho^2 beta = 1 / (sqrt(T) beta) the noise is (8/3)(1 + 1) or
    (8/3)(1 + 2) times sigma^2 / (b sqrt T); printed in Theorem 2 is 8. Tolerance: rounding.
    """
    trial.printed.ordering("16/3, then Theorem 2's constant", 8 / 3 * (1 + 1), 8.0, "16/3")
    trial.corrected.identity("with the 2, to Theorem 2's constant", 8 / 3 * (1 + 2), 8.0, 0.0, "8")
    w = START * torch.linspace(-1, 1, 30, dtype=torch.float64).unsqueeze(-1)
    for name, terms in stochastic.sums("m-sam", trial.seed):
        beta = terms.beta
        pair = descent.pairs(beta, (0.1, 1.0), (0.1, 0.25), 3)
        gamma, rho = (x[:, 0, 0] for x in pair)
        _, loss = stochastic.expected_step(trial, "m-sam", terms, pair, 1, w)
        square = (terms.grad(w) ** 2).sum(-1)
        noise = 8 / 3 * terms.variance * beta * (gamma + 2 * rho**2 * beta)
        bound = 8 / 3 * (terms.value(w) - loss) / gamma + noise
        rounding, title = 1e-12 * (1 + square), f"|grad L(w_0)|^2, {name}"
        trial.corrected.at_most(title, square.expand_as(bound), bound, rounding, EXACT)
