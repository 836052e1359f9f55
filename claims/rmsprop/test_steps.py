"""RMSprop's step, and the centred one's on a gradient that stays."""

import torch

from limitpoint import Trial, claim, play

STEPS, COORDINATES = 60, 6
ULP = torch.finfo(torch.float64).eps


def gradients(seed: int) -> torch.Tensor:
    """Entries of very different sizes."""
    noise = torch.Generator().manual_seed(seed)
    size = 10 ** torch.linspace(-2, 2, COORDINATES, dtype=torch.float64)
    return size * torch.randn(STEPS, COORDINATES, generator=noise, dtype=torch.float64)


def powers(base: float) -> torch.Tensor:
    """base^(t - s) for s <= t, else 0: what is left at t of what came at s."""
    ages = torch.arange(STEPS).unsqueeze(1) - torch.arange(STEPS)
    return torch.where(ages >= 0, base ** ages.clamp_min(0).double(), 0.0)


@claim(
    "rmsprop/step",
    source="Hinton 2012; centred: Graves 2013 (arXiv:1308.0850), (38)-(45)",
    statement=r"$w_{t+1} = w_t - \eta b_t$, $b_t = \sum_s \mu^{t-s} g_s / (\sqrt{v_s} + "
    r"\epsilon)$, $v_t = (1-\alpha) \sum_s \alpha^{t-s} g_s^2$, centred less $((1-\alpha) \sum_s "
    r"\alpha^{t-s} g_s)^2$.",
    hypotheses=("constant step",),
    kind="identity",
    roles=("rmsprop",),
    rivals=(
        "rmsprop-epsilon-inside", "rmsprop-corrected", "rmsprop-late", "rmsprop-momentum-first",
        "rmsprop-centre-added", "rmsprop-centre-lost", "rmsprop-alpha-swapped",
        "rmsprop-momentum-damped", "adam", "adagrad-forgets", "gd", "signgd", "ascent",
        "step-doubled",
    ),
)  # fmt: skip
def test_rmsprop_step(trial: Trial) -> None:
    """Sixty prescribed gradients of sizes 1e-2 to 1e2 beside an epsilon of .1, in four variants.

    Tolerance: sums of 60 terms round at 60 ulps, which taking off the squared mean amplifies by
    what is left of the squares; |b| is below the sum of |quotients| as it is used.
    """
    g, eps = gradients(trial.seed), 0.1
    for momentum in (0.0, 0.9):
        for centered in (False, True):
            settings = {"alpha": 0.9, "momentum": momentum, "centered": centered}
            rule = trial.optimizer("rmsprop", 0.1, free=tuple(settings), epsilon=eps, **settings)
            here = settings | dict(rule.settings)
            average = (1 - here["alpha"]) * powers(here["alpha"])
            squares = average @ g**2
            v = squares - (average @ g) ** 2 if here["centered"] else squares
            quotient = g / (v.sqrt() + eps)
            b = powers(here["momentum"]) @ quotient
            w = play(rule, g).w
            tolerance = STEPS * ULP * float((squares / v).max() * quotient.abs().sum(0).max())
            name = f"momentum {here['momentum']}{', centred' if here['centered'] else ''}"
            trial.close(f"step over eta, {name}", (w[:-1] - w[1:]) / 0.1, b, tolerance,
                        "60 roundings, amplified", along=("step", "entry"))  # fmt: skip


@claim(
    "rmsprop/constant-gradient",
    source="derived; centred: Graves 2013 (arXiv:1308.0850), (38)-(45)",
    statement=r"On a gradient that stays RMSprop's $t$-th step is $\eta (1-\alpha^t)^{-1/2}$ long; "
    r"the centred one's is $\eta (\alpha^t (1-\alpha^t))^{-1/2}$, which grows without a bound.",
    hypotheses=("no epsilon, no momentum",),
    kind="identity",
    roles=("rmsprop",),
    rivals=(
        "rmsprop-corrected", "rmsprop-late", "rmsprop-centre-added", "rmsprop-centre-lost",
        "rmsprop-alpha-swapped", "adam", "adagrad-forgets", "gd", "ngd", "ascent", "step-doubled",
    ),
)  # fmt: skip
def test_rmsprop_on_a_constant_gradient(trial: Trial) -> None:
    """Entries of sizes 1e-2 to 1e2, forty steps, at an alpha of .8.

    [derived] The average gradient is (1 - a^t) g, the average square (1 - a^t) g^2, and the
    difference a^t (1 - a^t) g^2: what is left after t steps is noise, and there is none. It rounds
    at t ulps of g^2, its root at half of that over a^t.
    """
    g = gradients(trial.seed)[:1].expand(40, COORDINATES)
    for centered in (False, True):
        settings = {"alpha": 0.8, "centered": centered}
        rule = trial.optimizer(
            "rmsprop", 1.0, free=tuple(settings), epsilon=0.0, momentum=0.0, **settings
        )
        here = settings | dict(rule.settings)
        left = here["alpha"] ** torch.arange(1, 41).double().unsqueeze(1)
        length = ((left if here["centered"] else 1.0) * (1 - left)) ** -0.5
        w = play(rule, g).w
        noise = (torch.arange(1, 41).double().unsqueeze(1) * ULP / left + w[1:].abs() * ULP).expand(
            40, COORDINATES
        )
        trial.close(
            f"length{', centred' if here['centered'] else ''}", (w[:-1] - w[1:]) * g.sign(),
            length.expand(40, COORDINATES), noise * length, "t ulps over alpha^t",
            along=("step", "entry"),
        )  # fmt: skip
