r"""The loss that a sharpness-aware step descends on, to second order, with explicit remainders.

For f = sum_k log cosh <v_k, w> all derivatives are at hand, and |(log cosh)''''| <= 2. Moving by
r = rho u, grad f(w + r) = g + H r + D^3 f[r, r] / 2 + R with |R_j| <= sum_k |v_kj| |<v_k, r>|^3 / 3
(Taylor). With u = g the first two terms are grad(f + rho |g|^2 / 2), with u = g / |g| they are
grad(f + rho |g|).
"""

import torch
from torch import Tensor

from limitpoint import Objective, Trial, claim

RADII = torch.logspace(-4, -1, 13, dtype=torch.float64)


def valleys(seed: int) -> Tensor:
    """v_k, shape (6, 4)."""
    noise = torch.Generator().manual_seed(seed)
    return torch.randn(6, 4, generator=noise, dtype=torch.float64)


def descends_on(trial: Trial, role: str, *, unit: bool) -> None:
    """One step for each radius, against the modified gradient and against one order more."""
    v = valleys(trial.seed)
    loss = Objective(
        "valleys",
        lambda w: torch.log(torch.cosh(w @ v.mT)).sum(-1),
        lambda w: torch.tanh(w @ v.mT) @ v,
    )
    w = 0.3 * valleys(trial.seed + 1000)[0]
    rule = trial.optimizer(role, 1.0, rho=RADII.reshape(-1, 1))
    eta, held = float(rule.step_size.at(0)), rule.settings.get("rho", RADII)
    trial.require("the radius is the claim's to set", torch.as_tensor(held).numel() == len(RADII))
    run = trial.run(loss, rule, 1, start=w.expand(len(RADII), 4), record=(0, 1))
    direction = (run.w[0] - run.w[1]) / eta

    g = loss.grad(w)
    slope, rho = torch.tanh(v @ w), RADII.unsqueeze(-1)
    moved = v @ (g / g.norm() if unit else g)
    curved = 1 - slope**2
    modified = g + rho * (curved * moved) @ v
    third = rho**2 * (-slope * curved * moved**2) @ v
    fourth = rho**3 * (moved.abs() ** 3) @ v.abs() / 3
    left = direction - modified
    because = "Taylor's remainder, |(log cosh)''''| <= 2"
    rounding = 1e-14 + 1e-7 * unit * (rho * (curved * moved) @ v).abs()  # a norm in float32
    trial.at_most("remainder of third order", (left - third).abs(), fourth, rounding, because)
    size = third.norm(dim=-1)
    near = RADII <= 1e-2
    trial.rate(
        "distance to the modified loss's gradient, in rho",
        RADII[near], left.norm(dim=-1)[near], 1.9, 2.1, "second order", points=5,
    )  # fmt: skip
    trial.close("its constant", left.norm(dim=-1), size, (fourth + rounding).norm(dim=-1), because)


@claim(
    "quadratic-sam/usam-modified-loss",
    source="Compagnoni et al. 2023 (arXiv:2301.08203), Theorem 3.2 (drift); remainder derived",
    statement=r"A step of USAM is GD's on $f + \frac{\rho}{2}|\nabla f|^2$ up to "
    r"$\frac{\rho^2}{2} D^3 f[g, g]$ and a remainder of third order in $\rho$.",
    hypotheses=("four bounded derivatives",),
    kind="bound",
    roles=("usam",),
    rivals=(
        "gd", "sam-l2", "sam-linf", "rho-negative", "rho-doubled", "twice-uphill", "averaged",
        "perturbation-kept", "bracket-lost", "ascent", "step-doubled", "ascent-sign",
    ),
)  # fmt: skip
def test_usam_modified_loss(trial: Trial) -> None:
    """Twelve radii over three decades: the remainder is in its bound, the distance has slope 2.

    The third-order bound has no free constant; the interval of the slope is that of its third-order
    term, which at rho = .01 is a few percent of the second.
    """
    descends_on(trial, "usam", unit=False)


@claim(
    "quadratic-sam/sam-modified-loss",
    source="Compagnoni et al. 2023 (arXiv:2301.08203), Theorem 3.5 (drift); Wen et al. 2023; "
    "remainder derived",
    statement=r"A step of SAM, on the whole batch of DNSAM as well, is GD's on $f + \rho|\nabla "
    r"f|$ up to $\frac{\rho^2}{2} D^3 f[g, g]/|g|^2$ and a remainder of third order in $\rho$.",
    hypotheses=("four bounded derivatives", "the gradient is not zero"),
    kind="bound",
    roles=("sam-l2",),
    rivals=(
        "gd", "usam", "sam-linf", "asam", "rho-doubled", "twice-uphill", "averaged",
        "perturbation-kept", "ascent", "step-doubled", "ascent-unit-random",
    ),
)  # fmt: skip
def test_sam_modified_loss(trial: Trial) -> None:
    """The same with the unit gradient; DNSAM divides by the whole batch's norm, here the same."""
    descends_on(trial, "sam-l2", unit=True)
