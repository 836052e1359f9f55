"""Lemmas of signgd_adam on gradient, proxy and loss: no optimizer, but points of every kind."""

import math
from collections.abc import Callable

import torch
from torch import Tensor

from limitpoint import Problem, Trial, claim, limits, measures, numerics, problems
from limitpoint.numerics import tensor
from limitpoint.theory.points import gaussian, problems_with_points, separator

NORMS = (1.0, 1.5, 2.0, 3.0, math.inf, "spectral")
ROUNDING = "rounding: some hundred sums of positive terms, each exact to 2^-53"


def shares(problem: Problem, W: Tensor) -> Tensor:
    """s_ic / sum of all, over the wrong classes; shape (*batch, n, k)."""
    logs = problem.loss.log_residual(problem.loss.gaps(problem.predict(W), problem.y))
    return torch.softmax(logs.flatten(-2), dim=-1).reshape(logs.shape)


def differences(problem: Problem, A: Tensor) -> Tensor:
    """(e_y - e_c)^T A x_i, zero at c = y; shape (*batch, n, k)."""
    return problem.margins(A).nan_to_num(posinf=0.0)


@claim(
    "multiclass/gradient",
    source="signgd_adam, Lemma A.1, (11), (12), and the split by classes of Section 6",
    statement=r"$\langle A, -\nabla L(W)\rangle = \frac1n\sum_i\sum_{c\ne y_i} s_{ic}"
    r"(e_{y_i}-e_c)^\top A h_i \ge G(W)\min_{i,c\ne y_i}(e_{y_i}-e_c)^\top A h_i$; the rows of the "
    r"gradient sum to zero, and row $c$ is at most $B(G_c + Q_c)$, $\sum_c G_c=\sum_c Q_c=G$.",
    hypotheses=("none",),
    kind="identity",
)
def test_gradient(trial: Trial) -> None:
    """Both sides of (11) in units of G, at points where the loss is down to e^-400.

    torch's own cross-entropy and its automatic derivative are the independent reference at points
    of moderate length. G_c and Q_c are rebuilt. The control is the gradient as
    v4 of the paper prints it, without its minus sign.

    Tolerance 1e-11, of the largest entry: exponents of up to 1e4, exact to 2^-53 of that.
    """
    because = "exponents of 1e4 times 2^-53"
    for problem, W in problems_with_points(trial.seed):
        where = f"{problem.name} k={problem.classes}"
        near, A = gaussian(trial.seed, 2, *problem.start.shape)
        reference = torch.func.grad(torch_loss(problem))(near)
        trial.identity(f"gradient, {where}", tensor(problem.grad(near)), reference, 1e-13, because)

        log_proxy = measures.log_proxy(problem, W).reshape(-1, 1, 1)
        g = tensor(problem.grad(W) * numerics.exp(-log_proxy))
        inner = -(g * A).sum((-2, -1))
        weighted = (shares(problem, W) * differences(problem, A)).sum((-2, -1))
        trial.identity(f"(11) over G, {where}", inner, weighted, 1e-11, because)
        trial.at_least(f"(12) over G, {where}", inner, measures.margin(problem, A), 1e-11, because)
        trial.close(f"sum of the rows over G, {where}", g.sum(-2), 0.0, 1e-11, because)
        plus = (g * separator(problem)).sum((-2, -1))
        trial.ordering(f"(12) without the minus sign, {where}", plus, 0.0, "control: G times gamma")

        mine, others = measures.log_class_proxies(problem, W)
        for name, part in (("G_c", mine), ("Q_c", others)):
            total = torch.logsumexp(part, -1) - measures.log_proxy(problem, W)
            trial.close(f"log of sum of {name} over G, {where}", total, 0.0, 1e-11, because)
        row = g.abs().amax(-1).log() + log_proxy.squeeze(-1)
        bound = torch.logaddexp(mine, others) + problem.X.abs().sum(-1).max().log()
        trial.at_most(f"log of row c over B(G_c + Q_c), {where}", row - bound, 0.0, 1e-11, because)


@claim(
    "multiclass/proxy-gradient",
    source="signgd_adam, Lemmas 4.1, B.1 and E.1",
    statement=r"$\gamma\,G(W) \le \|\nabla L(W)\|_* \le 2B\,G(W)$ for every entrywise $p$-norm and "
    r"the spectral norm, $\gamma$ the margin in that norm.",
    hypotheses=("separable data", "B bounds the inputs in the dual norm"),
    kind="inequality",
)
def test_proxy_gradient(trial: Trial) -> None:
    r"""The proxy G holds the gradient's dual norm between the margin and the reach of the norm.

    The upper constant tested is the reach rho = max ||(e_y - e_c) x_i^T||_*, which is 2B for the
    max-norm and at most 2B for the others [derived: ||e_y - s||_q <= 2^(1/q) (1 - s_y)]. On a
    mirrored pair both inequalities are equalities in every norm, so neither constant can be
    improved. Controls: half the reach is exceeded there, and G without its 1/n breaks the lower
    bound.

    Tolerance: log-domain sums keep 12 digits; gamma is the certified lower end.
    """
    for problem, W in problems_with_points(trial.seed):
        log_proxy = measures.log_proxy(problem, W)
        for norm in NORMS:
            gamma = limits.max_margin(problem.X, problem.y, norm, classes=problem.classes).value
            rho = measures.reach(problem, norm)
            ratio = torch.exp(measures.log_dual_norm(problem, W, norm) - log_proxy)
            title = f"gradient over proxy, {problem.name} k={problem.classes}, norm {norm}"
            if problem.name == "mirrored-pair":
                trial.identity(f"{title}: attained", ratio, rho.expand_as(ratio), 1e-11, ROUNDING)
                trial.identity(f"{title}: gamma", gamma, rho, 1e-7, "certified gap")
                trial.ordering(f"{title}: half the reach is too little", rho / 2, ratio, "control")
                continue
            trial.at_least(title, ratio, gamma, 1e-11 * gamma, ROUNDING)
            trial.at_most(title, ratio, rho, 1e-11 * rho, ROUNDING)
            unnormalised = ratio.min() / problem.n
            trial.ordering(f"{title}, G a sum", unnormalised, gamma, "control")


@claim(
    "multiclass/proxy-loss",
    source="signgd_adam, Lemmas 4.3 and B.3",
    statement=r"$1 \ge G/L \ge 1 - nL/2$; and if $L \le \log 2/n$ or $G \le 1/(2n)$ then "
    r"$L \le 2G$.",
    hypotheses=("none",),
    kind="inequality",
)
def test_proxy_loss(trial: Trial) -> None:
    r"""At random points, on separating rays and along runs, in a sharper form.

    G <= 1/(2n) implies L <= log 2 / n, and under either L <= 2 log(2) G [both derived: log(1/(1-u))
    is convex, and x / (1 - e^-x) grows]. The factor 2 log 2 is attained, where one example has
    margin 0 and no other any loss; so is the slope 1/2 of the lower bound, to first order. The
    controls are constants 1% sharper. The chain L <= 2G <= log 2/n alone would need G <=
    log 2/(2n); the first implication makes 1/(2n) enough. Which threshold the paper takes is not
    legible in our copy.

    Tolerance 1e-11: exponents of up to 1e4, exact to 2^-53 of that.
    """
    for problem, W in problems_with_points(trial.seed):
        n, log_loss, log_proxy = problem.n, problem.log_value(W), measures.log_proxy(problem, W)
        ratio, loss = torch.exp(log_proxy - log_loss), torch.exp(log_loss)
        trial.at_most(f"G/L, {problem.name}", ratio, 1.0, 1e-11, ROUNDING)
        trial.at_least(f"G/L, {problem.name}", ratio, 1 - n * loss / 2, 1e-11, ROUNDING)
        small_proxy = log_proxy <= -math.log(2 * n)
        small = small_proxy | (log_loss <= math.log(math.log(2) / n))
        title = f"n L / log 2 where G <= 1/(2n), {problem.name}"
        trial.at_most(title, n * loss[small_proxy] / math.log(2), 1.0, 1e-11, ROUNDING)
        title = f"L/G where L or G is small, {problem.name}"
        trial.at_most(title, 1 / ratio[small], 2 * math.log(2), 1e-11, ROUNDING)

    problem = problems.axes()
    edge, slope = (logits(torch.tensor([m, 50.0])) for m in (1e-9, 5.0))
    ratio = torch.exp(problem.log_value(edge) - measures.log_proxy(problem, edge))
    trial.ordering("1% less than 2 log 2", 0.99 * 2 * math.log(2), ratio, "control: attained")
    ratio = torch.exp(measures.log_proxy(problem, slope) - problem.log_value(slope))
    bound = 1 - 0.99 * problem.n * problem.value(slope) / 2
    trial.ordering("1 - .99 nL/2", ratio, bound, "control: attained to first order")


def torch_loss(problem: Problem) -> Callable[[Tensor], Tensor]:
    """Cross-entropy as torch writes it."""
    return lambda W: torch.nn.functional.cross_entropy(problem.X @ W.T, problem.y)


def logits(margins: Tensor) -> Tensor:
    """W for which the two examples of `problems.axes` have these margins, float64 (2, 2)."""
    return torch.diag(margins.double())
