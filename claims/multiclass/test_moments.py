"""Adam's moments: their ratio, and how closely they follow the gradient."""

import math

import torch
from torch import Tensor

from limitpoint import StepSize, Trajectory, Trial, claim, play, problems
from limitpoint.optimizers import Rule

# beta1 <= beta2; the second pair is where the constant is exactly one.
BETAS = ((0.9, 0.95), (0.9, 0.9), (0.9, 0.999), (0.1, 0.999))


def ratio_bound(beta1: float, beta2: float, steps: int) -> Tensor:
    """alpha_t for t = 0, ..., steps - 1: the largest |m_t| / sqrt(v_t) of any gradients."""
    t = torch.arange(steps, dtype=torch.float64)
    return torch.sqrt((1 - beta1) ** 2 / (1 - beta2) * ((beta1**2 / beta2) ** t).cumsum(0))


def bias_correction(beta1: float, beta2: float, steps: int) -> Tensor:
    """What bias correction multiplies m_t / sqrt(v_t) by."""
    t = torch.arange(1, steps + 1, dtype=torch.float64)
    return torch.sqrt(1 - beta2**t) / (1 - beta1**t)


def extremal(beta1: float, beta2: float, steps: int) -> Tensor:
    """g_t = (beta2 / beta1)^t up to a factor, shape (T, 1); at most 100 decades of it."""
    decades = math.log10(beta2 / beta1)
    if decades > 0:
        steps = min(steps, int(100 / decades))
    t = torch.arange(steps, dtype=torch.float64) - steps // 2
    return (beta2 / beta1) ** t.unsqueeze(-1)


def displacements(run: Trajectory, rule: Rule) -> Tensor:
    """(w_t - w_{t+1}) / eta_t at every step: m_t / sqrt(v_t), seen from outside."""
    eta = [float(rule.step_size.at(t)) for t in range(len(run.w) - 1)]
    each = torch.tensor(eta, dtype=torch.float64).reshape(-1, *(1,) * (run.w.ndim - 1))
    return (run.w[:-1] - run.w[1:]) / each


@claim(
    "multiclass/moment-ratio",
    source="signgd_adam, Lemma D.1 (Zhang et al. 2024, Lemma 6.5); FACTS 1.5",
    statement=r"$|m_t| \le \alpha_t \sqrt{v_t}$ entry by entry, with $\alpha_t^2 = "
    r"\frac{(1-\beta_1)^2}{1-\beta_2}\sum_{\tau\le t}(\beta_1^2/\beta_2)^\tau$, whatever the "
    r"gradients; $g_t \propto (\beta_2/\beta_1)^t$ attains it at every step.",
    hypotheses=("0 < beta1 <= beta2 < 1", "both moments start at zero", "no epsilon"),
    kind="identity",
    roles=("adam",),
    rivals=(
        "adam-beta-swap",
        "adam-undamped",
        "adam-squared-twice",
        "adam-root-lost",
        "adam-epsilon",
        "signgd",
    ),
)
def test_adam_moment_ratio(trial: Trial) -> None:
    """The ratio of Adam's moments has a sharp bound at every step, and we know who attains it.

    [derived] The paper's constant is the limit of alpha_t; the finite form is Cauchy-Schwarz with
    the weights of the two averages, and so is tight. The ratio is read off the iterates, (w_t -
    w_{t+1}) / eta_t, so that any implementation can be judged. Bias correction, which the paper
    leaves out, multiplies it by a known factor; the first step, which is then exactly one, tells.

    Tolerance 1e-9: the iterates stay below 2e3 step sizes, so that a displacement carries a
    rounding of 4e-13 of a step size; the moments' recursions add 300 roundings at most.
    """
    steps = 300
    noise = torch.Generator().manual_seed(trial.seed)
    random = torch.randn((steps, 40), generator=noise, dtype=torch.float64)
    problem = problems.clusters(trial.seed)
    for beta1, beta2 in BETAS:
        name = f"betas ({beta1}, {beta2})"
        adam = trial.optimizer("adam", 1.0, beta1=beta1, beta2=beta2, epsilon=0.0)
        attained = displacements(play(adam, extremal(beta1, beta2, steps)), adam)[:, 0]

        bound = ratio_bound(beta1, beta2, steps)
        correction = bias_correction(beta1, beta2, steps)
        if abs(attained[0] - 1) < abs(attained[0] - bound[0]):
            bound = bound * correction
        trial.identity(
            f"{name}, extremal gradients", attained, bound[: len(attained)], 1e-9, "rounding"
        )

        adam = trial.optimizer("adam", 1.0, beta1=beta1, beta2=beta2, epsilon=0.0)
        ratio = displacements(play(adam, random), adam).abs().amax(-1)
        trial.at_most(f"{name}, random gradients", ratio, bound, 1e-9, "rounding")

        adam = trial.optimizer("adam", StepSize(0.4, 0.5), beta1=beta1, beta2=beta2, epsilon=0.0)
        run = trial.run(problem, adam, steps, record=range(steps + 1))
        ratio = displacements(run, adam).abs().flatten(1).amax(-1)
        trial.at_most(f"{name}, along a run", ratio, bound, 1e-9, "rounding")
