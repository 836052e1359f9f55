"""Stochastic SAM on finite sums with known variance (understanding_sam, Sec. 5.1 and App. C.2)."""

import math
from collections.abc import Callable, Iterator

import torch
from torch import Tensor

from limitpoint import (
    Erratum,
    PolyakLojasiewiczStep,
    RootRadius,
    StepSize,
    Trial,
    claim,
    confidence,
    finite_sum,
    problems,
    worst_case,
)
from limitpoint.optimizers import Minibatch, Rule
from limitpoint.problems.finite_sum import FiniteSum
from limitpoint.theory import descent

BATCH = 2
RUNS = 256
CERTAIN = f"one-sided 1e-6 confidence bound, Student's t over {RUNS} runs; nothing beyond it"
ROUND = "rounding of a handful of operations"
EXACT = "expectation over all batches, no sampling; rounding"


def smoothness(role: str, terms: FiniteSum) -> float:
    """The beta that is asked for: of L alone with two batches (A2'), of each term with one (A2)."""
    return terms.mean.constants["beta"] if role == "n-sam" else terms.beta


def finite_sums(role: str, seed: int) -> Iterator[tuple[str, FiniteSum]]:
    """Non-convex means with little and much noise, with and without differing curvatures.

    With two batches the terms may be much steeper than their mean: (A2') does not ask for them.
    """
    chain, valley = problems.parabola_chain(3), problems.sine_valley()
    if role == "n-sam":
        yield "parabola chain, steep terms", problems.noisy_terms(chain, seed, 3, 1.0, 5.0)
    yield "parabola chain, little noise", problems.noisy_terms(chain, seed, 3, 0.01, 0.0)
    yield "parabola chain, ripples", problems.noisy_terms(chain, seed, 3, 1.0, 0.5)
    yield "sine valley, ripples", problems.noisy_terms(valley, seed, 3, 3.0, 2.0)


def expected_step(
    trial: Trial, role: str, terms: FiniteSum, pair: tuple[Tensor, Tensor], size: int, w: Tensor
) -> tuple[Tensor, Tensor]:
    """E <direction, grad L> and E L(w_1), exactly, from points (points, d) with every pair.

    Shapes (pairs, points). gamma and rho are of shape (pairs, 1, 1, 1), or (1, 1, points, 1) where
    each point has its own.
    """
    calls = 2 if role == "n-sam" else 1
    batches = finite_sum.all_batches(terms.n, calls=calls, size=size)
    gamma, rho = pair
    start = w.expand(len(gamma), batches.shape[2], -1, -1)
    rule = stochastic(trial, role, gamma, rho, batches)
    after = trial.run(terms, rule, 1, start=start, record=(0, 1)).final
    aligned = ((w - after) / gamma * terms.grad(w)).sum(-1).mean(1)
    return aligned, terms.value(after).mean(1)


def cloud(seed: int) -> Tensor:
    """Points in a cube, and near the parabola chain's maximum 0, where the curvature is least."""
    cube = torch.rand(60, 3, generator=torch.Generator().manual_seed(seed)).double()
    return torch.cat([4 * cube[:40] - 2, 0.3 * cube[40:]])


def stochastic(trial: Trial, role: str, gamma: Tensor, rho: Tensor, batches: Tensor) -> Rule:
    """The role's rule on minibatches."""
    options = {"batch_size": batches.shape[-1]} if role == "m-sam" else {}
    return Minibatch(trial.optimizer(role, gamma, rho=rho, **options), batches)


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
    for name, terms in finite_sums(role, trial.seed):
        beta = smoothness(role, terms)
        for size in (1, BATCH):
            pair = descent.pairs(beta, steps, radii, 3)
            aligned, loss = expected_step(trial, role, terms, pair, size, w)
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
    beta = smoothness(role, terms)
    gamma, rho, w = x[:, 0] / beta, x[:, 1] / beta, x[:, 2:]
    pair = (gamma[None, None, :, None], rho[None, None, :, None])
    aligned, loss = expected_step(trial, role, terms, pair, 1, w)
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
    1/b of their proofs, and so say less. [derived]: the descent follows from the alignment with
    Young's weight 1/4. beta is that of L alone, as (A2') has it: on terms that are steeper one
    batch for both steps breaks the bounds.

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
    in Young's inequality the lemma's 3 gamma / 8 follows [derived]. The search comes to .99 and
    .2 of the two bounds.

    Tolerance: rounding.
    """
    check_one_step(trial, "m-sam", (0.05, 0.5, 1.0), (0.05, 0.125, 0.25), 3 / 8, 2.0)


def check_second_moment(trial: Trial, role: str, noise_factor: Callable[[Tensor], Tensor]) -> None:
    """E w_1^2 on a noisy quadratic, coordinate by coordinate, over every outcome of the batches."""
    eigenvalues = torch.tensor([1.0, 1.5, 2.0], dtype=torch.float64)
    terms = problems.noisy_terms(problems.quadratic(eigenvalues), trial.seed, 3, 1.0, 0.0)
    gamma, rho = descent.pairs(terms.beta, (0.1, 0.5, 1.0), (0.1, 0.5, 2.0), 3)
    w = torch.randn(20, 3, generator=torch.Generator().manual_seed(trial.seed)).double()
    for size in (1, BATCH):
        calls = 2 if role == "n-sam" else 1
        batches = finite_sum.all_batches(terms.n, calls=calls, size=size)
        start = w.expand(len(gamma), batches.shape[2], -1, -1)
        rule = stochastic(trial, role, gamma, rho, batches)
        after = trial.run(terms, rule, 1, start=start, record=(0, 1)).final
        g, reach = gamma[:, 0], rho[:, 0] * eigenvalues
        mean = (1 - g * eigenvalues * (1 + reach)) * w
        variance = g**2 * noise_factor(reach) * (terms.slopes**2).mean(0) / size
        label = f"second moment after a step, b = {size}"
        trial.identity(label, (after**2).mean(1), mean**2 + variance, 1e-13, EXACT)


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
    check_second_moment(trial, "n-sam", lambda reach: 1 + reach**2)


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
    check_second_moment(trial, "m-sam", lambda reach: (1 + reach) ** 2)


def horizon_runs(
    trial: Trial, role: str, terms: FiniteSum, start: Tensor
) -> Iterator[tuple[int, float, float, Tensor, Tensor]]:
    """T, gamma, rho, mean squared gradient over t < T and L(w_T) of every run, for Theorem 2.

    gamma = 1 / (sqrt(T) beta) and rho = 1 / (T^(1/4) beta); the runs of all T go side by side.
    """
    horizons = tuple(4**k for k in range(trial.steps(5, 7)))
    T = torch.tensor(horizons, dtype=torch.float64).reshape(-1, 1, 1)
    beta = smoothness(role, terms)
    gamma, rho = 1 / (T.sqrt() * beta), 1 / (T**0.25 * beta)
    calls, runs = 2 if role == "n-sam" else 1, (len(horizons), RUNS)
    batches = finite_sum.random_batches(
        trial.seed, terms.n, steps=max(horizons), calls=calls, runs=runs, size=BATCH
    )
    run = trial.run(
        terms,
        stochastic(trial, role, gamma, rho, batches),
        max(horizons),
        start=start.expand(*runs, -1),
        record=horizons,
        integrals={"squares": lambda w: (terms.grad(w) ** 2).sum(-1)},
    )
    # The integral has the weights of the steps that were taken, a subject's own among them.
    taken = run.integrals["step_size"].flatten(1)
    for k, steps in enumerate(horizons):
        squares = run.integrals["squares"][k, k] / taken[k, min(k, taken.shape[1] - 1)]
        yield steps, float(gamma[k]), float(rho[k]), squares, terms.value(run.w[k, k])


def check_constant_steps(trial: Trial, role: str, enough: int, first: float, second: float) -> None:
    """Theorem 2 (12) at every T, and the one behind it where its lemma applies, T >= enough."""
    start = torch.tensor([1.0, -1.0, 2.5], dtype=torch.float64)
    for name, terms in finite_sums(role, trial.seed):
        gap = float(terms.value(start)) - terms.mean.constants["minimum"]
        noise, beta = terms.variance / BATCH, smoothness(role, terms)
        for steps, gamma, rho, squares, last in horizon_runs(trial, role, terms, start):
            title = f"{name}, T = {steps}"
            bound = 4 * beta * gap / steps**0.5 + 8 * noise / steps**0.5
            label = f"mean squared gradient, {title}"
            trial.at_most(label, confidence.upper_mean(squares), bound, 1e-12 * bound, CERTAIN)
            if steps >= enough:
                spent = squares - first * (terms.value(start) - last) / (steps * gamma)
                bound = second * noise * beta * (gamma + rho**2 * beta)
                label = f"mean squared gradient less what the loss paid, {title}"
                trial.at_most(label, confidence.upper_mean(spent), bound, 1e-12 * bound, CERTAIN)
    for steps in (1, 4, 16, 64, 256):
        labels = ("the gap's bound", "what the loss paid")
        for k, label in enumerate(labels if steps >= enough else labels[:1]):
            found = worst_case(
                lambda x, k=k, steps=steps: shares_of_a_run(trial, role, x, steps, first)[k],
                [(-2.0, 2.0)], trial.seed, rounds=5, candidates=40,
            )  # fmt: skip
            title = f"mean squared gradient over {label}, worst case without noise, T = {steps}"
            trial.at_most(title, found.ratio, 1.0, 1e-9, "rounding of the losses")


def shares_of_a_run(
    trial: Trial, role: str, x: Tensor, steps: int, first: float
) -> tuple[Tensor, Tensor]:
    """What the parabola chain without noise uses of both bounds; candidates (N, 1): the start.

    A start within 1e-3 of the minimum is left out.
    """
    chain, nothing = problems.parabola_chain(), torch.zeros(1, 1, dtype=torch.float64)
    silent = FiniteSum(chain, nothing, nothing[0], chain)
    calls = 2 if role == "n-sam" else 1
    batches = torch.zeros(steps, calls, len(x), BATCH, dtype=torch.int64)
    root = torch.full((1, 1), steps**0.5, dtype=torch.float64)
    rule = stochastic(trial, role, 1 / root, 1 / root.sqrt(), batches)
    run = trial.run(silent, rule, steps, start=x, record=range(steps + 1))
    squares = (silent.grad(run.w[:-1]) ** 2).sum(-1).mean(0)
    gap = silent.value(x) - chain.constants["minimum"]
    # A loss that grows is a violation.
    paid = first * (silent.value(x) - silent.value(run.final)).clamp(min=1e-12) / steps**0.5
    keep = gap > 1e-6
    return tuple(
        torch.where(keep, squares / bound, torch.nan) for bound in (4 * gap / steps**0.5, paid)
    )


@claim(
    "sam/stochastic-n-sam",
    source="understanding_sam, Theorems 12 and 15, corrected: see sam/erratum-theorem-12, -15",
    statement=r"Two-batch n-SAM with $\gamma = 1/(\sqrt T\beta)$, $\rho = 1/(T^{1/4}\beta)$ has "
    r"$\frac{1}{T} E\sum_{t<T}\|\nabla L(w_t)\|^2 \le \frac{4\beta}{\sqrt T}(L(w_0)-L_*) + "
    r"\frac{8\sigma^2}{b\sqrt T}$, and at most $4\frac{L(w_0) - E L(w_T)}{T\gamma} + "
    r"\frac{4\sigma^2\beta}{b}(\gamma + \rho^2\beta)$.",
    hypotheses=("(A1), (A2')", "gamma, rho <= 1 / (2 beta), that is T >= 16, for the second"),
    kind="bound",
    roles=("n-sam",),
    rivals=("step-tenfold", "ascent"),
)
def test_n_sam_stochastic(trial: Trial) -> None:
    """The bounds hold at T = 1, 4, 16, 64, 256 on non-convex finite sums.

    For T < 16 rho is above 1 / (2 beta) and the lemmas do not apply, although the theorem is stated
    for any T; there only the first bound is tested, which is what the statement says. A search over
    starts on the parabola chain without noise comes to .57 of the first, at T = 4, and .48 of the
    second, at T = 16.

    Tolerance: the one-sided confidence bound at 1e-6 has to be below.
    """
    check_constant_steps(trial, "n-sam", 16, 4.0, 4.0)


@claim(
    "sam/stochastic-m-sam",
    source="understanding_sam, Theorems 2 and 18",
    statement=r"m-SAM (one batch for both steps) with $\gamma = 1/(\sqrt T\beta)$, "
    r"$\rho = 1/(T^{1/4}\beta)$ has $\frac{1}{T} E\sum_{t<T}\|\nabla L(w_t)\|^2 \le "
    r"\frac{4\beta}{\sqrt T}(L(w_0)-L_*) + \frac{8\sigma^2}{b\sqrt T}$, and at most "
    r"$\frac{8}{3T\gamma}(L(w_0) - E L(w_T)) + \frac{8\sigma^2\beta}{3b}(\gamma + \rho^2\beta)$.",
    hypotheses=(
        "(A1), (A2): each term is beta-smooth",
        "gamma, rho <= 1 / (4 beta), that is T >= 256, for the second",
    ),
    kind="bound",
    roles=("m-sam",),
    rivals=("step-tenfold", "ascent"),
)
def test_m_sam_stochastic(trial: Trial) -> None:
    """The bounds hold at T = 1, 4, 16, 64, 256 on non-convex finite sums.

    For T < 256 rho is above 1 / (4 beta) and Lemma 17 does not apply, although the theorem is
    stated for any T; there only the first bound is tested. In the second, Lemma 17 would give
    gamma + 2 rho^2 beta; for gamma <= 1 / (4 beta), as here, its proof with Young's weight 3/8
    gives the printed gamma + rho^2 beta [derived]. A search as for two batches comes to .57
    and .42.

    Tolerance: the one-sided confidence bound at 1e-6 has to be below.
    """
    check_constant_steps(trial, "m-sam", 256, 8 / 3, 8 / 3)


def pl_run(trial: Trial, role: str, rippled: float) -> tuple[FiniteSum, list[int], Tensor]:
    """A PL mean with mu = 1, beta = 2 under Theorem 2's schedules: L(w_T) - L_* of every run."""
    bowl = problems.quadratic(torch.tensor([1.0, 1.5, 2.0], dtype=torch.float64))
    terms = problems.noisy_terms(bowl, trial.seed, 3, 3.0, rippled)
    total = trial.steps(3200, 100_000)
    beta = smoothness(role, terms)
    gamma = PolyakLojasiewiczStep(1 / (2 * beta), pl=1.0)
    radii = RootRadius(gamma=gamma, beta=beta)
    batches = finite_sum.random_batches(
        trial.seed,
        terms.n,
        steps=total,
        calls=2 if role == "n-sam" else 1,
        runs=(RUNS,),
        size=BATCH,
    )
    options = {"batch_size": BATCH} if role == "m-sam" else {}
    rule = trial.optimizer(role, gamma, rho=radii.at(0), radii=radii, **options)
    start = torch.full((RUNS, 3), 2.0, dtype=torch.float64)
    run = trial.run(terms, Minibatch(rule, batches), total, start=start)
    return terms, run.times[1:].tolist(), terms.value(run.w[1:])


def check_pl(trial: Trial, role: str) -> None:
    """Theorem 2's second bound at every recorded T, and the slope of the gap in T."""
    terms, times, gaps = pl_run(trial, role, 0.2)
    T = torch.tensor(times, dtype=torch.float64)
    initial = float(terms.value(torch.full((3,), 2.0, dtype=torch.float64)))
    beta, noise = smoothness(role, terms), terms.variance / BATCH
    bound = 3 * beta**2 * initial / T**2 + 22 * beta * noise / T
    trial.at_most("gap at every T", confidence.upper_mean(gaps), bound, 0.0, CERTAIN)
    late = T >= 30
    because = "the theorem's -1; the interval is calibrated to the noise of the mean over the runs"
    mean = gaps.mean(-1)[late]
    trial.rate("gap in T, from T = 30", T[late], mean, -1.15, -0.85, because, points=3)


@claim(
    "sam/stochastic-n-sam-pl",
    source="understanding_sam, Theorem 12, second part",
    statement=r"Under (A3), two-batch n-SAM with $\gamma_t = \min\{\frac{8t+4}{3\mu(t+1)^2}, "
    r"\frac{1}{2\beta}\}$ and $\rho_t = \sqrt{\gamma_t/\beta}$ has $E L(w_T) - L_* \le "
    r"\frac{3\beta^2(L(w_0)-L_*)}{\mu^2T^2} + \frac{22\beta\sigma^2}{b\mu^2T}$.",
    hypotheses=("(A1), (A2')", "(A3), which the statement calls (A2)"),
    kind="bound",
    roles=("n-sam",),
    rivals=("step-constant",),
)
def test_n_sam_stochastic_pl(trial: Trial) -> None:
    """The bound holds at every recorded T, and the gap falls like 1/T.

    A quadratic mean, terms with slopes and ripples of their own. sigma^2 bounds the variance at
    every w. A constant step stops at a noise floor.

    Tolerance: one-sided confidence bound; the slope's interval is calibrated.
    """
    check_pl(trial, "n-sam")


@claim(
    "sam/stochastic-m-sam-pl",
    source="understanding_sam, Theorems 2 and 18, second part",
    statement=r"Under (A3), m-SAM (one batch) with $\gamma_t = \min\{\frac{8t+4}{3\mu(t+1)^2}, "
    r"\frac{1}{2\beta}\}$ and $\rho_t = \sqrt{\gamma_t/\beta}$ has $E L(w_T) - L_* \le "
    r"\frac{3\beta^2(L(w_0)-L_*)}{\mu^2T^2} + \frac{22\beta\sigma^2}{b\mu^2T}$.",
    hypotheses=("(A1), (A2): each term is beta-smooth", "(A3)"),
    kind="bound",
    roles=("m-sam",),
    rivals=("step-constant",),
)
def test_m_sam_stochastic_pl(trial: Trial) -> None:
    """The bound holds at every recorded T, and the gap falls like 1/T.

    As for two batches. The radius starts at 0.7 / beta, above the 1 / (4 beta) of Lemma 17, and is
    below it once gamma_t <= 1 / (16 beta), after some 40 beta / mu steps.

    Tolerance: one-sided confidence bound; the slope's interval is calibrated.
    """
    check_pl(trial, "m-sam")


def lower_mean(samples: Tensor) -> Tensor:
    """One-sided lower confidence bound."""
    return -confidence.upper_mean(-samples)


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
    start = torch.tensor([1.0, -1.0, 2.5], dtype=torch.float64)
    gap, noise = float(terms.value(start)), 8 * terms.variance / BATCH
    for steps, _, _, squares, _ in horizon_runs(trial, "n-sam", terms, start):
        if steps >= 16:
            root = steps**0.5
            printed = (4 / terms.beta * gap + noise) / root
            title = f"bound, then mean squared gradient, T = {steps}"
            trial.printed.ordering(
                title, printed, lower_mean(squares), "below a lower confidence bound"
            )
            bound = (4 * terms.beta * gap + noise) / root
            label = f"mean squared gradient, T = {steps}"
            upper = confidence.upper_mean(squares)
            trial.corrected.at_most(label, upper, bound, 0.0, CERTAIN)


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

    The printed bound is true and says less. "This theorem gives the first part of Theorem 12": with
    its step sizes the corrected bound is Theorem 12's to the letter (an identity), and the printed
    noise term grows like sqrt(T) instead of falling; with little noise only the gap's term counts.
    Averaging Lemma 14 over T steps gives no T.

    Tolerance: one-sided confidence bound at 1e-6; rounding for the identity.
    """
    sums, noisy = dict(finite_sums("n-sam", trial.seed)), "sine valley, ripples"
    start = torch.tensor([1.0, -1.0, 2.5], dtype=torch.float64)
    for name in (noisy, "parabola chain, little noise"):
        terms = sums[name]
        beta, noise = smoothness("n-sam", terms), terms.variance / BATCH
        gap = float(terms.value(start)) - terms.mean.constants["minimum"]
        for steps, gamma, rho, squares, _ in horizon_runs(trial, "n-sam", terms, start):
            if steps < 16:
                continue
            floor = 4 * noise * beta * (gamma + rho**2 * beta)
            corrected, printed = 4 * gap / (steps * gamma) + floor, steps * floor
            target = (4 * beta * gap + 8 * noise) / steps**0.5
            title = f"{name}, T = {steps}"
            label = f"bound, to Theorem 12's, {title}"
            trial.corrected.identity(label, corrected, target, 1e-12, ROUND)
            if name == noisy:
                label = f"Theorem 12's bound, then the noise term, {title}"
                trial.printed.ordering(label, target, printed, "the noise term alone is above")
            upper = confidence.upper_mean(squares)
            label = f"mean squared gradient, {title}"
            trial.corrected.at_most(label, upper, corrected, 0.0, CERTAIN)


def expected_iterates(
    terms: FiniteSum, eigenvalues: Tensor, gamma: StepSize, radii: StepSize, total: int
) -> Tensor:
    """E w_t of m-SAM, m = 1, from 0 while the ripple is -|w|^2 / 2; (total + 1, schedules, d).

    Every term is then quadratic with the Hessian H_i = diag(eigenvalues) - s_i, so that
    E w_{t+1} = E w_t - gamma_t E_i[(1 + rho_t H_i)(H_i w_t + xi_i)].
    """
    hessians = eigenvalues - terms.scales.unsqueeze(-1)
    square, cross = (hessians**2).mean(0), (hessians * terms.slopes).mean(0)
    path = [torch.zeros(len(torch.as_tensor(radii.decay)), 3, dtype=torch.float64)]
    for t in range(total):
        w, rho = path[-1], torch.as_tensor(radii.at(t)).squeeze(-1)
        path.append(w - gamma.at(t) * ((eigenvalues + rho * square) * w + rho * cross))
    return torch.stack(path)


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
    kind="rate",
    roles=("m-sam",),
    rivals=("gd", "step-constant"),
)
def test_m_sam_radius_schedule(trial: Trial) -> None:
    """Bias and noise for radii falling like t^-a, a = 0, 1/4, 1/2, 1.

    With one batch for both steps E grad l_i(w_* + rho grad l_i(w_*)) = rho E[H_i grad l_i] + ... is
    not zero, so that the mean iterate is off by O(rho) and its loss by O(rho^2) [derived]. On terms
    that are quadratic where the runs stay, E w_t obeys an exact recursion: the measured mean has to
    agree at every recorded time, and the recursion's loss has the exponent -2a. The loss itself
    falls like 1/t at a = 1/2, and at most twice as high as with the faster a = 1; at a = 0 it stays
    above the floor.

    Tolerance: two-sided confidence intervals with error 1e-8 at each of some 60 times, 3
    coordinates and 4 radii; the exponents' 0.15 and the factor 2 are calibrated.
    """
    eigenvalues = torch.tensor([1.0, 1.5, 2.0], dtype=torch.float64)
    terms = problems.noisy_terms(problems.quadratic(eigenvalues), trial.seed, 3, 0.5, 1.9)
    decays = torch.tensor([0.0, 0.25, 0.5, 1.0], dtype=torch.float64).reshape(-1, 1, 1)
    total, runs = trial.steps(3200, 32_000), (4, 512)
    gamma = PolyakLojasiewiczStep(1 / (2 * terms.beta), pl=1.0)
    radii = StepSize(torch.full((4, 1, 1), 0.7 / terms.beta, dtype=torch.float64), decays)
    rule = trial.optimizer("m-sam", gamma, rho=radii.at(0), radii=radii, batch_size=1)
    batches = finite_sum.random_batches(
        trial.seed, terms.n, steps=total, calls=1, runs=runs, size=1
    )
    start = torch.zeros(*runs, 3, dtype=torch.float64)
    run = trial.run(terms, Minibatch(rule, batches), total, start=start)
    expected = expected_iterates(terms, eigenvalues, gamma, radii, total)
    half = confidence.upper_mean(run.w, error=5e-9, dim=2) - run.w.mean(2)
    sure = "confidence interval with error 1e-8"
    trial.close("mean iterate", run.w.mean(2)[1:], expected[run.times[1:]], half[1:], sure)

    late = run.times >= 30
    T, bias = run.times[late], terms.value(expected[run.times[late]])
    for k, a in enumerate((0.0, 0.25, 0.5)):
        label = f"loss of the mean iterate, a = {a}"
        because = "-2a, with a transient"
        trial.rate(label, T, bias[:, k], -2 * a - 0.15, -2 * a + 0.15, because, points=3)
    loss = terms.value(run.w)[late]
    falling, because = loss[:, 2].mean(-1), "the theorem's -1; calibrated"
    trial.rate("loss, a = 1/2", T, falling, -1.15, -0.85, because, points=3)
    ratio = loss[:, 2].mean(-1) / loss[:, 3].mean(-1)
    trial.at_most("loss at a = 1/2 over that at a = 1", ratio, 2.0, 0.0, "calibrated")
    floor = float(bias[-1, 0])
    lowest = lower_mean(loss[-1, 0])
    trial.at_least("loss at a = 0", lowest, floor, 0.2 * floor, "Jensen, and the confidence bound")
    trial.ordering("loss at a = 1/2, at the end", confidence.upper_mean(loss[-1, 2]), floor, sure)
