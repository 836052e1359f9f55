"""Adagrad's regret, with the constants of its proof."""

import torch

from limitpoint import Trial, claim, play

STEPS, COORDINATES = 200, 6


def gradients(seed: int) -> torch.Tensor:
    """Entries of very different sizes and frequencies, which is what Adagrad is for."""
    noise = torch.Generator().manual_seed(seed)
    size = 10 ** torch.linspace(-3, 3, COORDINATES, dtype=torch.float64)
    seldom = torch.rand(STEPS, COORDINATES, generator=noise) < torch.linspace(0.05, 1, COORDINATES)
    g = torch.randn(STEPS, COORDINATES, generator=noise, dtype=torch.float64) + 0.5
    seldom[0] = True
    return g * size * seldom


@claim(
    "adagrad/regret",
    source="Duchi, Hazan and Singer 2011, Theorem 5 and Lemma 4 (diagonal); constants derived",
    statement=r"Adagrad's regret against any $u$ is at most $\sum_j (D_j^2/2\eta + \eta) "
    r"\sqrt{\sum_t g_{tj}^2}$, $D_j = \max_t |w_{tj} - u_j|$, for any gradients at all.",
    hypotheses=("constant step, no epsilon",),
    kind="bound",
    roles=("adagrad",),
    rivals=(
        "adagrad-forgets", "adagrad-root-lost", "adagrad-epsilon", "adagrad-late",
        "adagrad-shared", "adam", "gd", "signgd", "ascent", "step-doubled", "accelerated",
    ),
)  # fmt: skip
def test_adagrad_regret(trial: Trial) -> None:
    """The step on prescribed gradients, and with it the regret against points in and outside.

    [derived] With s_t the root of the sum, g_t (w_t - u) = s_t (e_t^2 - e_{t+1}^2) / 2 eta + eta
    g_t^2 / 2 s_t, e = w - u; the first telescopes to D^2 s_T / 2 eta at most, and sum g_t^2 / s_t
    is at most 2 s_T. The sum before the bound is compared too, as an identity. Tolerance: |w| is
    below 10, so that w_t - w_{t+1} rounds at 1e-14 of eta; squares of e, summed 200 times with
    s_t / eta, at 1e-10 of sum |g_t e_t|.
    """
    g = gradients(trial.seed)
    rule = trial.optimizer("adagrad", 0.3, epsilon=0.0)
    eta = float(rule.step_size.at(0))
    w = play(rule, g).w
    root = (g**2).cumsum(0).sqrt()
    step = torch.where(root > 0, g / root, 0.0)
    trial.close(
        "the step", (w[:-1] - w[1:]) / eta, step, 1e-11, "rounding of |w| / eta",
        along=("step", "entry"),
    )  # fmt: skip
    total = root[-1]
    for name, u in (("w_T", w[-1]), ("0", 0 * w[0]), ("far away", 0 * w[0] + 5.0)):
        error = w - u
        regret = (g * error[:-1]).sum(0)
        scale = (g * error[:-1]).abs().sum(0).clamp_min(1e-300)
        exact = (root * (error[:-1] ** 2 - error[1:] ** 2)).sum(0) / (2 * eta)
        exact = exact + eta / 2 * torch.where(root > 0, g**2 / root, 0.0).sum(0)
        because = "rounding"
        trial.close(f"u = {name}: regret / scale", regret / scale, exact / scale, 1e-10, because)
        bound = ((error.abs().amax(0) ** 2 / (2 * eta) + eta) * total).sum()
        trial.at_most(f"u = {name}: regret", regret.sum(), bound, 0.0, "Theorem 5")
    trial.at_most(
        "sum of g_t^2 / s_t", torch.where(root > 0, g**2 / root, 0.0).sum(0), 2 * total, 0.0,
        "Lemma 4", about="a formula",
    )  # fmt: skip
