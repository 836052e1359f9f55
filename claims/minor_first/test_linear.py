"""SAM on a linear model: the l2 max-margin direction, like GD, and yet not GD's path (depth one).

The paper's text was not at hand: its theorems are known from a summary. Directions converge like
1/log t and are the same for every rule here; the residuals are derived, and they differ. With the
support vectors spanning, w~ the solution of exp(-w~.x_n) = alpha_n on them and log t the logarithm
of the time (of the sum of the step sizes), w(t) - w_hat log t tends to

    w~ for GD,   w~ + rho gamma w_hat for l2-SAM,   w~ + rho sign(w_hat) for linf-SAM.
"""

import math

import scipy
import torch
from torch import Tensor

from limitpoint import Problem, Scaled, Trial, claim, numerics, problems, stack
from limitpoint.theory import separable
from limitpoint.theory.separable import HardMargin, hard_margin


def across(problem: Problem, svm: HardMargin) -> Tensor:
    """A start that is not zero: along the last example, across w_hat, its largest margin one."""
    x = problem.X[-1]
    x = x - (x @ svm.w_hat) / (svm.w_hat @ svm.w_hat) * svm.w_hat
    return x / (problem.X @ x).abs().amax()


def log_time_flow(
    trial: Trial, problem: Problem, role: str, rho: float, start: Tensor
) -> tuple[Tensor, Tensor]:
    """w and log t at the end of a flow whose clock s has ds/dt = L(w): log t is above 25."""

    def inverse_loss(w: Tensor) -> Scaled:
        return numerics.exp(-problem.log_value(w).reshape(1))

    def unit(w: Tensor) -> Tensor:
        return torch.ones(1, dtype=w.dtype)

    rule = trial.optimizer(role, rho=rho)
    options = {"speed": inverse_loss, "integrals": {"time": unit}, "start": start}
    run = trial.flow(problem, rule, [0, 24], **options)
    return run.final, run.integrals["time"][-1].log()


def small_step_run(
    trial: Trial, problem: Problem, role: str, rho: float, start: Tensor, svms: list[HardMargin]
) -> tuple[Tensor, Tensor]:
    """w(t) - w_hat log S in the end, S the sum of the steps, and the tolerance of its margins."""
    norm = torch.linalg.matrix_norm(problem.X, 2).amax()
    rule = trial.optimizer(role, 2 / float(norm) ** 2, rho=rho)
    eta, steps = float(rule.step_size.at(0)), trial.steps(50_000, 500_000)
    run = trial.run(problem, rule, steps, record=[steps], start=start)
    w_hat = torch.stack([svm.w_hat for svm in svms])
    t = torch.tensor([steps])
    tolerance = torch.stack([svm.residual_tolerance(eta, t, start).amax() for svm in svms]).amax()
    return run.final - w_hat * math.log(eta * steps), tolerance


def sign_consistent(svm: HardMargin, rho: float) -> bool:
    """Whether sign(sum_n alpha_n exp(-rho x_n.s) x_n) is s = sign(w_hat).

    linf-SAM takes the sign at the unperturbed point, whose gradient this is in the limit.
    """
    s = svm.w_hat.sign()
    return torch.equal((svm.alpha * torch.exp(-rho * svm.support @ s) @ svm.support).sign(), s)


def sliding_log_slopes(svm: HardMargin, rho: float) -> Tensor:
    """log m_n where the last coordinate slides: its sign is s_j = 1 for a share L of the time.

    m_n averages exp(rho x_n.s) over the two signs, and the unperturbed gradient, which is
    sum_n (alpha_n / m_n) x_n in the limit, has to vanish along the sliding coordinate: this is the
    equation for L.
    """
    fixed = torch.exp(rho * svm.support[:, :-1] @ svm.w_hat[:-1].sign())
    swing = torch.exp(rho * svm.support[:, -1])

    def m(share: float) -> Tensor:
        return fixed * (share * swing + (1 - share) / swing)

    def pull(share: float) -> float:
        return float((svm.alpha / m(share)) @ svm.support[:, -1])

    return m(scipy.optimize.brentq(pull, 0.0, 1.0, xtol=1e-14)).log()


@claim(
    "minor-first/linf-linear",
    source="minor_first, Theorem 3.1 (from a summary); residual derived",
    statement=r"The $\ell_\infty$-SAM flow of a linear model goes to the $\ell_2$ max-margin "
    r"direction: $w(t) - \hat w\log t \to \tilde w + \rho\,\mathrm{sign}(\hat w)$, from zero and "
    "with a radius at which the gradient's sign settles.",
    hypotheses=(
        "linearly separable, the support vectors span, logistic loss",
        "the sign is settled: sign(sum_n alpha_n exp(-rho x_n.s) x_n) = s = sign(w_hat)",
    ),
    kind="limit",
    roles=("sam-linf",),
    rivals=("gd", "sam-l2", "usam", "sam-linf-downhill"),
)
def test_sam_linf_linear_flow(trial: Trial) -> None:
    """The flow's residual at log t > 25, with two and with four inputs, from zero.

    From zero no coordinate slides on the way, which the integrator could not follow; other starts
    are the discrete claim's. Derived, as the theorem's proof was not at hand. Tolerance 1e-6: the
    deviation falls like t^-min(theta - 1, 1) < e^-25 up to a factor, and local errors of 1e-11
    contract along the flow.
    """
    for d, rho in ((2, 0.2), (4, 0.1)):
        problem = problems.support_simplex(trial.seed, d=d, spread=0.2)
        svm = hard_margin(problem)
        trial.require("the support vectors span", svm.spans)
        trial.require("the sign of the gradient is settled", sign_consistent(svm, rho))
        expected = svm.residual + rho * svm.w_hat.sign()
        w, log_time = log_time_flow(trial, problem, "sam-linf", rho, problem.start)
        residual, because = w - svm.w_hat * log_time, "e^-25, local errors contract"
        trial.close(f"d = {d}: residual", residual, expected, 1e-6, because)


@claim(
    "minor-first/linf-linear-discrete",
    source="minor_first, Theorem 3.1 (from a summary); residual and sliding law derived",
    statement=r"$\ell_\infty$-SAM with a constant step has the flow's residual; where one sign "
    r"never settles, $x_n\cdot(w(t) - \hat w\log t) \to \log(\eta m_n/\alpha_n)$, $m_n$ the mean "
    r"of $e^{\rho x_n\cdot s}$ over the time that each sign takes.",
    hypotheses=(
        "linearly separable, the support vectors span, sum of logistic losses",
        "the sign is settled, or one coordinate slides",
    ),
    kind="limit",
    roles=("sam-linf",),
    rivals=("gd", "sam-l2", "usam", "signgd", "sam-linf-downhill"),
)
def test_sam_linf_linear(trial: Trial) -> None:
    """Two inputs, rho = .2: a w_hat whose sign settles, and one too close to an axis for that.

    For the tolerance see `HardMargin.residual_tolerance`. While a coordinate slides its deviation
    is a jump of one step, eta p |x| < 1/t, within the same bound.
    """
    rho = 0.2
    settled = problems.support_simplex(trial.seed, d=2, spread=0.2)
    sliding = problems.support_simplex(trial.seed, d=2, direction=(1.0, 0.08))
    svms = [hard_margin(settled), hard_margin(sliding)]
    trial.require("the support vectors span", all(svm.spans for svm in svms))
    trial.require("the sign of the gradient is settled", sign_consistent(svms[0], rho))
    trial.require("the other's is not", not sign_consistent(svms[1], rho))
    pair, start = stack([settled, sliding]), torch.stack([across(settled, svms[0]), sliding.start])
    residual, tolerance = small_step_run(trial, pair, "sam-linf", rho, start, svms)
    because = separable.BECAUSE
    expected = svms[0].support @ (svms[0].residual + rho * svms[0].w_hat.sign())
    products = svms[0].support @ residual[0]
    trial.close("settled: residual on the support", products, expected, tolerance, because)
    products = svms[1].support @ residual[1]
    expected = sliding_log_slopes(svms[1], rho) - svms[1].alpha.log()
    trial.close("sliding: residual on the support", products, expected, tolerance, because)


@claim(
    "minor-first/l2-linear",
    source="minor_first, Theorem 4.1 (from a summary); residual derived",
    statement=r"The $\ell_2$-SAM flow of a linear model goes to the $\ell_2$ max-margin direction: "
    r"$w(t) - \hat w\log t \to \tilde w + \rho\gamma\hat w$.",
    hypotheses=("linearly separable, the support vectors span, logistic loss",),
    kind="limit",
    roles=("sam-l2",),
    rivals=("gd", "usam"),
)
def test_sam_l2_linear_flow(trial: Trial) -> None:
    """The flow's residual at log t > 25; tolerance as for linf-SAM."""
    problem, rho = problems.support_simplex(trial.seed), 0.5
    svm = hard_margin(problem)
    trial.require("the support vectors span", svm.spans)
    expected = svm.residual + rho * svm.w_hat / svm.w_hat.norm()
    for start in (problem.start, across(problem, svm)):
        w, log_time = log_time_flow(trial, problem, "sam-l2", rho, start)
        residual, because = w - svm.w_hat * log_time, "e^-25, local errors contract"
        trial.close("residual", residual, expected, 1e-6, because)


@claim(
    "minor-first/l2-linear-discrete",
    source="minor_first, Theorem 4.1 (from a summary); residual derived",
    statement=r"$\ell_2$-SAM with a constant step has the flow's residual, "
    r"$\tilde w + (\rho\gamma + \log\eta)\hat w$.",
    hypotheses=("linearly separable, the support vectors span, sum of logistic losses",),
    kind="limit",
    roles=("sam-l2",),
    rivals=("gd", "sam-linf", "usam", "signgd"),
)
def test_sam_l2_linear(trial: Trial) -> None:
    """Four inputs, rho = .5, two starts; for the tolerance see `HardMargin.residual_tolerance`."""
    problem, rho = problems.support_simplex(trial.seed), 0.5
    svm = hard_margin(problem)
    trial.require("the support vectors span", svm.spans)
    start = torch.stack([problem.start, across(problem, svm)])
    residual, tolerance = small_step_run(trial, problem, "sam-l2", rho, start, [svm])
    expected = svm.residual + rho * svm.w_hat / svm.w_hat.norm()
    because = separable.BECAUSE
    measured, expected = residual @ svm.support.mT, svm.support @ expected
    trial.close("residual on the support", measured, expected, tolerance, because)
