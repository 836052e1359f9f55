"""From Adam's moments to its descent and its norm: the lemmas behind signgd_adam's Theorem 6.3."""

import math

import torch
from torch import Tensor

from limitpoint import Problem, StepSize, Trajectory, Trial, claim, measures, problems
from limitpoint.theory import moments, steepest

BETAS = (0.9, 0.95)


def adam_run(trial: Trial, problem: Problem) -> tuple[Trajectory, Tensor, tuple[float, float]]:
    """Every step of Adam without epsilon, its step sizes, and its betas.

    Bias correction is a factor on each step size, which the first step tells of.
    """
    steps = trial.steps(1500, 5000)
    settings = dict(zip(("beta1", "beta2"), BETAS, strict=True))
    adam = trial.optimizer("adam", StepSize(0.4, 0.5), free=settings, epsilon=0.0, **settings)
    beta1, beta2 = (adam.settings.get(name, value) for name, value in settings.items())
    trial.require("beta1 <= beta2", beta1 <= beta2)
    run = steepest.paced(trial, problem, adam, 0.4, steps, record=range(steps + 1))
    eta = run.integrals["step_size"].diff().flatten()
    first = run.w[1].abs().max() / eta[0]
    return run, eta * moments.correction_seen(first, beta1, beta2, steps), (beta1, beta2)


@claim(
    "multiclass/adam-descent",
    source="signgd_adam, Lemmas D.4 and D.5, (10), with measured E_1 and E_2; derived",
    statement=r"With $E_1 = |m_t - c_1 g_t|$, $E_2 = |\sqrt{v_t} - c_2 |g_t||$, $c_1 = 1 - "
    r"\beta_1^{t+1}$, $c_2 = \sqrt{1 - \beta_2^{t+1}} > 1/2$ and Adam's step $\Delta_t = (W_t - "
    r"W_{t+1})/\eta_t$, entry by entry $|g_t| - g_t\Delta_t \le e_t = 2[(c_2 - c_1)_+|g_t| + E_1 + "
    r"E_2] + (1 + \alpha) E_2 / (c_2 - \frac12)$; and $L(W_{t+1}) \le L(W_t) - \eta_t(\|g_t\|_1 - "
    r"\|e_t\|_1) + G(W_t)(e^x - 1 - x)$, $x = 2B\alpha\eta_t$.",
    hypotheses=("no epsilon", "beta1 <= beta2", "both moments start at zero", "c_2 > 1/2"),
    kind="inequality",
    roles=("adam",),
    rivals=("ngd", "gd", "ascent", "adam-beta-swap", "adam-shared-moment"),
)
def test_adam_descent(trial: Trial) -> None:
    r"""What Adam's step loses against the sign's is bounded by how well its moments track.

    [derived] With a = |g| and s the sign of g, a - g m / sqrt v = a (sqrt v - s m) / sqrt v, and
    sqrt v - s m <= (c_2 - c_1) a + E_1 + E_2: where sqrt v >= a / 2 that is the first term, and
    elsewhere a < E_2 / (c_2 - 1/2) and 1 - s m / sqrt v <= 1 + alpha. With the lemmas' bounds on
    E_1 and E_2 (multiclass/moments-track) it says nothing at any eta within reach; with what they
    are, it does. Steps with c_2 <= 1/2 are left out. Tolerance: rounding, relative to |g|_1.
    """
    problem = problems.clusters(trial.seed)
    run, eta, betas = adam_run(trial, problem)
    t = torch.arange(1, len(eta) + 1, dtype=torch.float64).reshape(-1, 1, 1)
    c_1, c_2 = 1 - betas[0] ** t, torch.sqrt(1 - betas[1] ** t)
    g = problem.grad(run.w[:-1]).tensor()
    m, root = moments.moving_average(g, betas[0]), moments.moving_average(g**2, betas[1]).sqrt()
    E_1, E_2 = (m - c_1 * g).abs(), (root - c_2 * g.abs()).abs()
    alpha = float(moments.ratio_bound(*betas, len(eta))[-1])
    late = c_2.flatten() > 0.5
    lost = 2 * ((c_2 - c_1).clamp_min(0) * g.abs() + E_1 + E_2) + (1 + alpha) * E_2 / (c_2 - 0.5)

    step, size = -run.w.diff(dim=0) / eta.reshape(-1, 1, 1), g.abs().sum((-2, -1))
    unit = size.reshape(-1, 1, 1)
    short = ((g.abs() - g * step - lost) / unit)[late]
    trial.at_most("(|g| - g Delta - e) / |g|_1", short, 0.0, 1e-9, "2^-53 |W| / eta")
    x = measures.reach(problem, math.inf) * alpha * eta
    loss, proxy = problem.log_value(run.w), measures.log_proxy(problem, run.w[:-1])
    gain = eta * (size - lost.sum((-2, -1))) * torch.exp(-loss[:-1])
    bend = torch.exp(proxy - loss[:-1]) * (torch.expm1(x) - x)
    excess = (torch.expm1(loss.diff()) + gain - bend)[late]
    trial.at_most("(L(W_t+1) - bound) / L(W_t)", excess, 0.0, 1e-9, "2^-53 |log L|")


@claim(
    "multiclass/adam-norm",
    source="signgd_adam, Lemma D.7, with the bound of Xie and Li 2024; derived",
    statement=r"Adam's squared ratio is at most $1 + e_t$, $e_t = \frac{\beta_2 - \beta_1}"
    r"{1 - \beta_2}[\beta_1^t + (1 - \beta_1)\sum_{j=1}^t \beta_1^{j-1}\log(v_t / v_{t-j})]$, "
    r"entry by entry; so that $\|W_t\|_{\max} - \sum_{s<t}\eta_s$ is at most half the largest "
    r"$\sum_{s<t} \eta_s e_s$, which stays bounded as the gradient falls.",
    hypotheses=("no epsilon", "beta1 <= beta2", "both moments start at zero"),
    kind="inequality",
    roles=("adam",),
    rivals=("adam-beta-swap", "adam-shared-moment", "adam-undamped", "step-doubled"),
)
def test_adam_norm(trial: Trial) -> None:
    """The norm grows with the steps and not faster, by a bound that the run itself stops.

    |Delta| <= (1 + Delta^2) / 2 gives the second part [derived]. The sum of eta e is largest within
    the first tenth of the run, entry by entry, as v falls from then on. At zero start the left side
    is never above zero. Tolerance: rounding of a displacement, 2^-53 |W| / eta.
    """
    problem = problems.clusters(trial.seed)
    run, eta, betas = adam_run(trial, problem)
    v = moments.moving_average(problem.grad(run.w[:-1]).tensor() ** 2, betas[1])
    over, each = moments.excess(v.log(), *betas), eta.reshape(-1, 1, 1)
    step = -run.w.diff(dim=0) / each
    axes = ("step", "class", "input")
    trial.at_most("Delta^2", step**2, 1 + over, 1e-9, "2^-53 |W| / eta", along=axes)
    total = (each * over).cumsum(0)
    ahead = run.w[1:].abs() - eta.cumsum(0).reshape(-1, 1, 1)
    trial.at_most("|W_t| - S_t", ahead, total / 2, 1e-9, "rounding of sums", along=axes)
    early = total[: len(total) // 10].amax(0)
    trial.at_most("sum of eta e at the end, then within a tenth", total[-1], early, 0.0, "v falls")
