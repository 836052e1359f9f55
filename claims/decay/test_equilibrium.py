"""Weight decay against noise: how long the weights become, and how fast they turn."""

import math

import torch

from limitpoint import Trial, claim, play

COORDINATES, FORGOTTEN, STEPS = 2000, 500, 1500


@claim(
    "decay/adamw-equilibrium",
    source="Kosson, Messmer and Jaggi 2024 (arXiv:2305.17212), Table 1 (AdamW); the exact "
    "constants derived",
    statement=r"Under gradients without a mean AdamW's weights come to $\overline{w^2} = "
    r"\frac{\eta^2(1-\beta_1)(1+a\beta_1)}{(1+\beta_1)(1-a\beta_1)(1-a^2)}$, $a = 1-\eta\lambda$, "
    r"which is $\eta/2\lambda$ to first order, and turn at each step by the angle of cosine "
    r"$\frac{a+\beta_1}{1+a\beta_1}$.",
    hypotheses=("independent gradients without a mean, as minibatches have at a minimum",),
    kind="limit",
    roles=("adamw",),
    rivals=(
        "adam-coupled-decay", "adam-no-decay", "adamw-decay-unscaled", "adamw-decay-uphill",
        "adam-undamped", "adam-beta-swap", "step-doubled", "gd", "signgd", "accelerated",
    ),
)  # fmt: skip
def test_adamw_equilibrium(trial: Trial) -> None:
    """RMS and angle of 2000 weights, averaged over 1000 steps, for two decays.

    [derived] On random signs v is one, and w is noise filtered twice: -eta (1 - b1) / ((1 - a z)(1
    - b1 z)), whose variance and first autocorrelation are the statement's. The tolerance is four
    standard errors: squares of w are correlated over 1 / (eta lambda) steps, so that 2000 weights
    and T steps are worth 2000 T eta lambda independent ones, with sqrt(2 / that) of relative error.
    """
    noise = torch.Generator().manual_seed(trial.seed)
    signs = torch.randint(0, 2, (STEPS, COORDINATES), generator=noise).double() * 2 - 1
    for product in (0.02, 0.1):
        eta = 0.01
        rule = trial.optimizer(
            "adamw",
            eta,
            free=("beta1", "beta2", "weight_decay"),
            weight_decay=product / eta,
            beta1=0.9,
            beta2=0.95,
            epsilon=0.0,
        )
        given = {"beta1": 0.9, "weight_decay": product / eta} | dict(rule.settings)
        eta, beta1 = float(rule.step_size.at(0)), given["beta1"]
        product = eta * given["weight_decay"]
        trial.require("the start is forgotten", FORGOTTEN * product > 9)
        w = play(rule, signs).w[FORGOTTEN:]
        a = 1 - product
        square = eta**2 * (1 - beta1) / (1 + beta1)
        square *= (1 + a * beta1) / (1 - a * beta1) / (1 - a**2)
        error = 4 * math.sqrt(2 / (COORDINATES * (STEPS - FORGOTTEN) * product))
        name, because = f"eta lambda = {product:.3g}", "four standard errors"
        trial.close(f"{name}: mean of w^2", (w**2).mean(), square, error * square, because)
        turned = 1 - torch.cosine_similarity(w[1:], w[:-1], dim=-1).mean()
        expected = 1 - (a + beta1) / (1 + a * beta1)
        trial.close(f"{name}: 1 - cosine", turned, expected, error * expected, because)
