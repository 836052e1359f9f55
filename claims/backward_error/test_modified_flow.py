r"""Discrete steps follow a flow of their own: that of the loss plus a penalty on its gradient.

Backward error analysis: a rule whose steps add up past gradients with weights of sum `worth` is the
time-eta map of w' = -worth g - eta c H g up to O(eta^3) a step, once its memory is full. Over a
fixed time the error is O(eta^2), from the plain flow O(eta). [derived] GD: worth 1, c = 1/2. For

    w_{t+1} - w_t - mu (w_t - w_{t-1}) = -eta (g_t + nu (g_t - g_{t-1})),

the differences of a curve w(eta t) are eta w' +- eta^2 w'' / 2, with w'' = H g / (1 - mu)^2 to
first order: c = (1 + mu) / 2 (1 - mu)^3, less nu / (1 - mu)^2; nu is 0 for heavy ball and mu for
Nesterov. An average takes g times 1 - mu, and so c times its square. A memory that is empty at
first gives away sum_t (worth - weights so far), which is (worth - the first) / (1 - mu) gradients:
the flow starts that many eta further uphill.
"""

import math

import torch

from limitpoint import Objective, Trial, claim, optimizers

TIME, MU = 1.0, 0.5
COUNTS = (10, 100, 1000)
#: Steps of momentum are so much smaller: its expansion is in eta / (1 - mu)^2, with worth / eta.
SCALE = 6
GENERAL = ("ascent", "stale", "step-doubled", "accelerated", "usam", "adam", "signgd", "ngd")


def bowl(seed: int, penalty: float = 0.0) -> Objective:
    """sum_k log cosh <v_k, w>, plus penalty / 2 times its gradient's square; d = 3."""
    noise = torch.Generator().manual_seed(seed)
    v = torch.randn(4, 3, generator=noise, dtype=torch.float64)
    v = v / torch.linalg.matrix_norm(v, 2)

    def gradient(w: torch.Tensor) -> torch.Tensor:
        slope = torch.tanh(w @ v.mT)
        g = slope @ v
        return g + penalty * ((1 - slope**2) * (g @ v.mT)) @ v

    return Objective("bowl", lambda w: torch.log(torch.cosh(w @ v.mT)).sum(-1), gradient)


def follows_its_flow(
    trial: Trial, role: str, worth: float, bend: float, firsts: tuple[float, ...], scale: int = 1
) -> None:
    """Both errors at time one of the flow, for TIME / eta of `scale` times the counts.

    Args:
        trial: the claim's.
        role: of the rule.
        worth: sum of the weights of past gradients.
        bend: c.
        firsts: what the weight of a first gradient may be; which it is shows in the first step.
        scale: how much smaller steps have to be, for their memory.
    """
    noise = torch.Generator().manual_seed(trial.seed + 1)
    start = 1 + torch.rand(3, generator=noise, dtype=torch.float64)
    settings = {} if role == "gd" else {"momentum": MU}
    uphill = bowl(trial.seed).grad(start)
    plain = trial.flow(bowl(trial.seed), optimizers.GD(), (0, TIME), start=start).final
    etas, modified, naive = [], [], []
    for count in (scale * each for each in reversed(COUNTS)):
        rule = trial.optimizer(role, TIME / (worth * count), **settings)
        eta = float(rule.step_size.at(0))
        trial.require("the claim's step size", math.isclose(eta * worth * count, TIME))
        _, one, end = trial.run(bowl(trial.seed), rule, count, start=start, record=(0, 1, count)).w
        seen = float((start - one).norm() / uphill.norm()) / eta
        short = (worth - min(firsts, key=lambda first: abs(first - seen))) / (1 - MU)
        curve = trial.flow(
            bowl(trial.seed, eta * bend / worth), optimizers.GD(), (0, TIME),
            start=start + eta * short * uphill,
        )  # fmt: skip
        etas.append(eta)
        modified.append(float((end - curve.final).norm()))
        naive.append(float((end - plain).norm()))
    trial.rate("distance to the modified flow, in eta", etas, modified, 1.9, 2.1, "order two")
    trial.rate("distance to the plain flow, in eta", etas, naive, 0.9, 1.1, "order one")


@claim(
    "backward-error/gd-modified-flow",
    source="Barrett and Dherin 2021 (arXiv:2009.11162), Theorem 3.1; Hairer, Lubich and Wanner "
    "2006, Chapter IX",
    statement=r"GD follows the flow of $L + \frac{\eta}{4}|\nabla L|^2$ with an error of second "
    r"order in $\eta$ over a fixed time, and the flow of $L$ with one of first order.",
    hypotheses=("three bounded derivatives",),
    kind="rate",
    roles=("gd",),
    rivals=("sam-l2", "momentum", *GENERAL),
)
def test_gd_modified_flow(trial: Trial) -> None:
    """Local slopes for steps of 1/10 to 1/1000.

    The next terms are eta times as large, with factors of order one as H is below one: the interval
    of the slope is 10% wide for that. The flows are integrated to 1e-11, a thousandth of the
    least error.
    """
    follows_its_flow(trial, "gd", 1.0, 1 / 2, (1.0,))


SUM, HEAVY = 1 / (1 - MU), (1 + MU) / (2 * (1 - MU) ** 3)
SOURCE = (
    "Kovachki and Stuart 2021; Ghosh et al. 2023 (arXiv:2302.00849); derived here, the start too"
)


@claim(
    "backward-error/heavy-ball-modified-flow",
    source=SOURCE,
    statement=r"Heavy ball follows $\dot w = -\frac{1}{1-\mu}g - \eta\frac{1+\mu}{2(1-\mu)^3}Hg$ "
    r"from $w_0 + \eta\frac{\mu}{(1-\mu)^2}g_0$ with an error of second order in $\eta$ over a "
    r"fixed time, and $\dot w = -\frac{1}{1-\mu}g$ with one of first order.",
    hypotheses=("three bounded derivatives", "an empty buffer at first", "mu = 1/2 here"),
    kind="rate",
    roles=("momentum",),
    rivals=(
        "gd", "nesterov", "momentum-damped", "momentum-late", "momentum-dropped",
        "nesterov-plain-gradient", "nesterov-backwards", *GENERAL,
    ),
)  # fmt: skip
def test_momentum_modified_flow(trial: Trial) -> None:
    """As for GD, with steps that are smaller for the memory's sake: eta / (1 - mu)^2 counts."""
    follows_its_flow(trial, "momentum", SUM, HEAVY, (1.0,), SCALE)


@claim(
    "backward-error/nesterov-modified-flow",
    source=SOURCE,
    statement=r"Nesterov's momentum follows $\dot w = -\frac{1}{1-\mu}g - "
    r"\eta\left(\frac{1+\mu}{2(1-\mu)^3} - \frac{\mu}{(1-\mu)^2}\right)Hg$ from $w_0 + "
    r"\eta\frac{\mu^2}{(1-\mu)^2}g_0$ with an error of second order in $\eta$ over a fixed time.",
    hypotheses=("three bounded derivatives", "an empty buffer at first", "mu = 1/2 here"),
    kind="rate",
    roles=("nesterov",),
    rivals=(
        "gd", "momentum", "momentum-damped", "nesterov-plain-gradient", "nesterov-old-buffer",
        "nesterov-backwards", *GENERAL,
    ),
)  # fmt: skip
def test_nesterov_modified_flow(trial: Trial) -> None:
    """As for heavy ball: the look-ahead takes mu / (1 - mu)^2 from c."""
    bend = HEAVY - MU / (1 - MU) ** 2
    follows_its_flow(trial, "nesterov", SUM, bend, (1 + MU,), SCALE)


@claim(
    "backward-error/average-modified-flow",
    source=SOURCE,
    statement=r"Descent along an average of gradients follows $\dot w = -g - "
    r"\eta\frac{1+\mu}{2(1-\mu)}Hg$ with an error of second order in $\eta$ over a fixed time: "
    r"from $w_0 + \eta\frac{\mu}{1-\mu}g_0$ if the average is zero at first, from $w_0$ if it is "
    r"the first gradient.",
    hypotheses=("three bounded derivatives", "mu = 1/2 here"),
    kind="rate",
    roles=("momentum-ema",),
    rivals=(
        "gd", "momentum", "nesterov", "momentum-dropped", "momentum-late", "nesterov-backwards",
        *GENERAL,
    ),
)  # fmt: skip
def test_momentum_ema_modified_flow(trial: Trial) -> None:
    """As for heavy ball, (1 - mu)^2 times c; torch's dampening starts with the gradient itself."""
    follows_its_flow(trial, "momentum-ema", 1.0, HEAVY * (1 - MU) ** 2, (1 - MU, 1.0), SCALE)
