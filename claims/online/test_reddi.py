"""Reddi, Kale and Kumar's sequence: a large gradient every third step, small ones against it.

f_t(w) = C w for t = 0, 3, 6, ... and -w else: in the mean (C - 2) w / 3, so that downhill is down.
With beta1 = 0, beta2 = 1 / (1 + C^2) Adam divides C by about C and the others by about one, and
goes up. On the line, where the paper has [-1, 1], the way of a cycle is a number.
"""

import math

import torch

from limitpoint import Trial, claim, play
from limitpoint.optimizers import Rule
from limitpoint.theory.moments import correction_seen, moving_average

C, CYCLES, ETA = 4.0, 60, 0.1
BETA2 = 1 / (1 + C**2)
SETTINGS = {"beta1": 0.0, "beta2": BETA2, "epsilon": 0.0}
WHY = "beta2^t is 1e-30 by then; rounding of |w| / eta"


def played(trial: Trial, role: str) -> tuple[torch.Tensor, Rule]:
    """The way of each cycle over eta, shape (CYCLES,)."""
    g = torch.tensor([C, -1.0, -1.0], dtype=torch.float64).repeat(CYCLES).unsqueeze(-1)
    rule = trial.optimizer(role, ETA, **SETTINGS)
    kept = {name: rule.settings.get(name, value) for name, value in SETTINGS.items()}
    trial.require("the theorem's betas and no epsilon", kept == SETTINGS)
    w = play(rule, g).w[:, 0]
    return w[::3].diff() / float(rule.step_size.at(0)), rule


def second_moments() -> list[float]:
    """v at the steps of a settled cycle: with the large gradient, then after it."""
    large = (BETA2**2 * (1 - BETA2) + BETA2 * (1 - BETA2) + (1 - BETA2) * C**2) / (1 - BETA2**3)
    first = BETA2 * large + 1 - BETA2
    return [large, first, BETA2 * first + 1 - BETA2]


@claim(
    "online/adam-goes-up",
    source="Reddi, Kale and Kumar 2018 (arXiv:1904.09237), Theorem 1 (C > 2); the way of a cycle "
    "is derived",
    statement=r"On $f_t = Cw, -w, -w$ in turn, $C = 4$, $\beta_1 = 0$, $\beta_2 = 1/(1+C^2)$, Adam "
    r"moves up by $\eta(v_1^{-1/2} + v_2^{-1/2} - C v_0^{-1/2}) > 0$ in every cycle of three: its "
    "regret grows without end.",
    hypotheses=("a constant step; of the paper's falling ones the sign is the same",),
    kind="identity",
    roles=("adam",),
    rivals=(
        "amsgrad", "gd", "signgd", "adam-squared-twice", "adam-root-lost", "adam-late-moment",
        "adam-beta-swap", "ascent", "step-doubled", "accelerated", "adam-epsilon",
    ),
    seeded=False,
)  # fmt: skip
def test_adam_goes_up(trial: Trial) -> None:
    """The way of each settled cycle, to rounding, and that it is up."""
    way, _ = played(trial, "adam")
    v = second_moments()
    up = 1 / math.sqrt(v[1]) + 1 / math.sqrt(v[2]) - C / math.sqrt(v[0])
    trial.identity("way of a cycle / eta", way[20:], 0 * way[20:] + up, 1e-12, WHY)
    trial.ordering("it is up", 0.0, way[20:], "Theorem 1")


@claim(
    "online/largest-moment-goes-down",
    source="Reddi, Kale and Kumar 2018 (arXiv:1904.09237), Section 4; the way is derived",
    statement=r"On the same sequence AMSGrad moves down by $\eta(C-2)/\sqrt{v_0}$ in every cycle, "
    r"$v_0$ the largest second moment there is; on any gradients its step is $m_t$ over the root "
    "of the largest $v$ so far.",
    hypotheses=("no epsilon",),
    kind="identity",
    roles=("amsgrad",),
    rivals=(
        "adam", "amsgrad", "amsgrad-forgets", "amsgrad-of-squares", "amsgrad-late", "gd",
        "adam-undamped", "adam-beta-swap", "adam-squared-twice", "ascent", "step-doubled",
        "accelerated",
    ),
)  # fmt: skip
def test_amsgrad_goes_down(trial: Trial) -> None:
    """The way of each settled cycle, and every step on random gradients that fall by a hundred.

    The moments at the run's own gradients are the expected step's; bias correction, which the paper
    has not, may be in both: it shows in the first step. Tolerance: |w| / eta of rounding.
    """
    way, rule = played(trial, "amsgrad")
    down = -(C - 2) / math.sqrt(second_moments()[0])
    trial.identity("way of a cycle / eta", way[20:], 0 * way[20:] + down, 1e-12, WHY)

    noise = torch.Generator().manual_seed(trial.seed)
    g = torch.randn(100, 5, generator=noise, dtype=torch.float64)
    g = g * torch.logspace(0, -2, 100, dtype=torch.float64).unsqueeze(-1)
    rule = trial.optimizer(
        "amsgrad", ETA, free=("beta1", "beta2"), beta1=0.9, beta2=0.95, epsilon=0.0
    )
    given = {"beta1": 0.9, "beta2": 0.95} | dict(rule.settings)
    m = moving_average(g, given["beta1"])
    peak = moving_average(g**2, given["beta2"]).cummax(0).values
    w = play(rule, g).w
    moved = (w[:-1] - w[1:]) / float(rule.step_size.at(0))
    seen = correction_seen(moved[0].abs().max(), given["beta1"], given["beta2"], len(g))
    expected = seen.unsqueeze(-1) * m / peak.sqrt()
    places = ("step", "entry")
    trial.identity("the step", moved, expected, 1e-12, "rounding of |w| / eta", along=places)
