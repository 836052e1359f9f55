"""Weight decay under normalisation: a learning rate that grows exponentially, and nothing else."""

import torch

from limitpoint import Objective, Trial, claim

STEPS = 100


def of_the_direction(seed: int) -> Objective:
    """f(w / |w|), f = log cosh of four projections: what a layer before a normalisation sees."""
    noise = torch.Generator().manual_seed(seed)
    v = torch.randn(4, 6, generator=noise, dtype=torch.float64)

    def value(w: torch.Tensor) -> torch.Tensor:
        unit = w / w.norm(dim=-1, keepdim=True)
        return torch.log(torch.cosh(unit @ v.mT - 1)).sum(-1)

    def gradient(w: torch.Tensor) -> torch.Tensor:
        size = w.norm(dim=-1, keepdim=True)
        unit = w / size
        g = torch.tanh(unit @ v.mT - 1) @ v
        return (g - (g * unit).sum(-1, keepdim=True) * unit) / size

    return Objective("of-the-direction", value, gradient)


@claim(
    "decay/exponential-step-size",
    source="Li and Arora 2020 (arXiv:1910.07454), Theorem 2.1, for GD without momentum; re-derived",
    statement=r"On a scale-invariant loss GD with decay $\lambda$ is GD without, at the step size "
    r"$\eta(1-\eta\lambda)^{-2t-1}$: $w_t = (1-\eta\lambda)^t \tilde w_t$.",
    hypotheses=("L(cw) = L(w)", "eta lambda < 1, both constant"),
    kind="identity",
    roles=("gd-decay",),
    rivals=(
        "gd-decay-lost", "gd-decay-unscaled", "gd-decay-after", "gd-decay-squared", "momentum",
        "signgd", "ascent", "stale", "step-doubled", "accelerated",
    ),
)  # fmt: skip
def test_gd_decay_exponential_step_size(trial: Trial) -> None:
    """Every step of 100 at eta lambda = .01, after which the step is 7 times eta.

    [derived] As the gradient has degree -1, (1 - eta lambda)^(t+1) w~_{t+1} is w_{t+1}: by
    induction if it is so from each iterate of the run to the next, where nothing is amplified.
    Tolerance: w and its gradient round at some 2^-53 of w, the power at 2t of that, t <= 100.
    """
    loss = of_the_direction(trial.seed)
    noise = torch.Generator().manual_seed(trial.seed + 1)
    start = torch.randn(6, generator=noise, dtype=torch.float64)
    rule = trial.optimizer("gd-decay", 0.02, free=("weight_decay",), weight_decay=0.5)
    eta, decay = float(rule.step_size.at(0)), rule.settings.get("weight_decay", 0.5)
    run = trial.run(loss, rule, STEPS, start=start, record=range(STEPS + 1))
    kept = 1 - eta * decay
    powers = kept ** torch.arange(STEPS + 1).double().unsqueeze(-1)
    free = run.w / powers
    longer = eta * kept ** (-2 * torch.arange(STEPS).double().unsqueeze(-1) - 1)
    expected = free[:-1] - longer * loss.grad(free[:-1])
    because, places = "2^-53 and what the power rounds", ("step", "entry")
    trial.identity("w~_t+1", free[1:], expected, 1e-12, because, along=places)
