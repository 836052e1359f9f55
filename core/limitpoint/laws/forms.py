"""What the parts of a rule look like, right and wrong, each by its name."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor

#: For a beta of 1.
TINY = 1e-300
Form = Callable[[Tensor, float], Tensor]
RIGHT_DECAYS = (
    "decoupled", "decoupled, by lr over the first lr", "decoupled, cautious",
    "proximal, after the step", "decoupled, to the start", "coupled, to the start",
)  # fmt: skip


def decays(steps: Tensor, start: Tensor, eta: Tensor, decay: float) -> dict[str, Tensor]:
    """The iterates under decoupled decay, right and wrong; those in `RIGHT_DECAYS` are right.

    By lr over the first lr: Loshchilov and Hutter 2019, Alg. 2, whose eta is a schedule's
    multiplier. Cautious: where step and decay go the same way (Chen et al. 2025). To the start:
    it is w - w_0 that decays (L2-SP, Li et al. 2018).

    Args:
        steps: what is added at each step without decay, (steps, n).
        start: (n,).
        eta: the step sizes, (steps,).
        decay: lambda.
    """
    factors = {
        "decoupled": (1 - eta * decay, False),
        "proximal, after the step": (1 / (1 + eta * decay), True),
        "after the step": (1 - eta * decay, True),
        "uphill": (1 + eta * decay, False),
        "decoupled, by lr over the first lr": (1 - eta / eta[0] * decay, False),
        "not multiplied by lr": (torch.full_like(eta, 1 - decay), False),
        "multiplied by the first lr": (1 - eta[:1].expand_as(eta) * decay, False),
        "multiplied by lr twice": (1 - eta**2 * decay, False),
        "doubled": (1 - 2 * eta * decay, False),
        "not applied": (torch.ones_like(eta), False),
    }
    found = {name: _decayed(steps, start, *how) for name, how in factors.items()}
    from_start = _decayed(steps, torch.zeros_like(start), *factors["decoupled"])
    return {
        **found,
        "decoupled, to the start": start + from_start,
        "decoupled, cautious": _cautious(steps, start, eta * decay, 1.0),
        "cautious, where the step goes the other way": _cautious(steps, start, eta * decay, -1.0),
    }


def _decayed(steps: Tensor, start: Tensor, factors: Tensor, after: bool) -> Tensor:
    path = [start]
    for step, factor in zip(steps, factors, strict=True):
        w = path[-1]
        path.append(factor * (w + step) if after else factor * w + step)
    return torch.stack(path)


def _cautious(steps: Tensor, start: Tensor, lost: Tensor, sign: float) -> Tensor:
    """Entries decay where a step, times the sign, takes them towards zero."""
    path = [start]
    for step, loss in zip(steps, lost, strict=True):
        w = path[-1]
        path.append(w + step - loss * w * (sign * step * w <= 0))
    return torch.stack(path)


def factors(found: Tensor, steps: Tensor) -> Tensor | None:
    """What w is multiplied by before each step, (steps,); None where it is not one number for all.

    Args:
        found: the iterates, (steps + 1, n).
        steps: what is added at each step, (steps, n).
    """
    return multiples(found[1:] - steps, found[:-1])


def multiples(rows: Tensor, of: Tensor, tolerance: float = 1e-10) -> Tensor | None:
    """How many times another's each row is, (rows,); None where it is not one number for all."""
    ratio = (of * rows).sum(1) / (of * of).sum(1)
    rest = rows - ratio.unsqueeze(1) * of
    return ratio if bool((rest.abs() <= tolerance * of.abs().max()).all()) else None


def first_steps(options: Mapping[str, Any]) -> dict[str, Form]:
    """First steps over -lr by gradient and epsilon, of Adam's kin; those named "right" come first.

    Args:
        options: of the class: betas, or alpha of RMSprop, or neither (Adagrad).
    """
    if "betas" in options:
        return _adam(*map(float, options["betas"]))
    if "alpha" in options:
        return _placements(1.0, (1 - float(options["alpha"])) ** 0.5)
    return _placements(1.0, 1.0)


def _placements(m: float, root: float) -> dict[str, Form]:
    """First steps m g / (root |g|), by where epsilon is."""
    return {
        "right": lambda g, e: m * g / (root * g.abs() + e),
        "eps inside the root": lambda g, e: m * g / (root**2 * g**2 + e).sqrt(),
        "eps squared inside the root": lambda g, e: m * g / (root**2 * g**2 + e**2).sqrt(),
        "eps twice": lambda g, e: m * g / (root * g.abs() + 2 * e),
        "eps ignored": lambda g, e: m * g / (root * g.abs()),
    }


def _adam(beta1: float, beta2: float) -> dict[str, Form]:
    one, two = 1 - beta1, max(1 - beta2, TINY) ** 0.5
    # NAdam's warm-up of the momentum, at its usual momentum_decay of .004.
    mu, following = (beta1 * (1 - 0.5 * 0.96 ** (0.004 * t)) for t in (1, 2))
    dozat = one * following / (1 - mu * following)
    return {
        **_placements(1.0, 1.0),
        "right, with Nesterov's look-ahead (NAdam)": (lambda g, e: (1 + dozat) * g / (g.abs() + e)),
        "right, with Nesterov's look-ahead (NAdam, constant)": (
            lambda g, e: (1 + beta1 / (1 + beta1)) * g / (g.abs() + e)
        ),
        "right, with Nesterov's look-ahead (NAdamW)": lambda g, e: (1 + beta1) * g / (g.abs() + e),
        "right, of deviations (AdaBelief)": lambda g, e: g / (beta1 * g.abs() + e),
        "right, of deviations, eps in the memory (AdaBelief)": (
            lambda g, e: g / ((beta1**2 * g**2 + e / two**2).sqrt() + e)
        ),
        "eps added before the bias correction": lambda g, e: g / (g.abs() + e / two),
        "eps inside the root, before the bias correction": (
            lambda g, e: g / (g**2 + e / two**2).sqrt()
        ),
        "bias correction lost": lambda g, e: one * g / (two * g.abs() + e),
        "bias correction of the first moment lost": lambda g, e: one * g / (g.abs() + e),
        "bias correction of the second moment lost": lambda g, e: g / (two * g.abs() + e),
        "1 - beta1 lost": lambda g, e: g / one / (g.abs() + e),
        "bias correction of the next step": (
            lambda g, e: one / (1 - beta1**2) * g / (two * g.abs() / (1 - beta2**2) ** 0.5 + e)
        ),
    }


def buffers(
    gradients: Tensor, momentum: float, dampening: float, *, nesterov: bool
) -> dict[str, Tensor]:
    """What is stepped along, of a heavy ball and of what is mistaken for it.

    Those named "right" are: the buffer starts at the first gradient, or is an average, from there
    (STORM at given gradients, Cutkosky and Orabona 2019) or from zero, corrected for that or not,
    or of iterates: schedule-free at a constant lr (Defazio et al. 2024).

    Args:
        gradients: (steps, n).
        momentum: mu.
        dampening: what is taken off each gradient but the first.
        nesterov: with the look-ahead.
    """
    mu, keep = momentum, 1 - dampening
    found: dict[str, list[Tensor]] = {}
    zero = torch.zeros_like(gradients[0])
    ball, average, begun, damped, kept = zero, zero, zero, zero, zero
    total, mean = zero, zero  # of gradients; and an average of such totals
    for t, g in enumerate(gradients):
        ball = mu * ball + (keep * g if t else g)
        average = torch.lerp(average, g, 1 - mu)
        begun = torch.lerp(begun, g, 1 - mu) if t else g
        damped = mu * damped + keep * g
        kept = mu * (mu * kept + (keep * g if t else g)) + g
        point, total = torch.lerp(total, mean, mu), total + g
        mean = torch.lerp(mean, total, 1 / (t + 1))
        ahead = {
            "right": g + mu * ball,
            "right, an average": torch.lerp(g, average, mu),
            "with the look-ahead's sign wrong": g - mu * ball,
            "with the look-ahead kept in the buffer": kept,
            "without the look-ahead": ball,
        }
        plain = {
            "right": ball,
            "right, an average": average,
            "right, an average from the first gradient": begun,
            "right, an average, corrected": average / (1 - mu ** (t + 1)),
            "right, of an average of iterates": torch.lerp(total, mean, mu) - point,
            "with the first buffer dampened": damped,
            "forgotten at each step": g,
        }
        for name, d in (ahead if nesterov else plain).items():
            found.setdefault(name, []).append(d)
    return {name: torch.stack(ds) for name, ds in found.items()}


def ascents(w: Tensor, g: Tensor, rho: float | Tensor) -> dict[str, Tensor]:
    """Where SAM and its kin climb to from w, by gradient and radius.

    Args:
        w, g: all entries of all tensors, (n,).
        rho: the radius, or each entry's.
    """
    adaptive = w.abs() * g
    return {
        "normalised (SAM)": rho * g / g.norm(),
        "not normalised (USAM)": rho * g,
        "by signs": rho * g.sign(),
        "adaptive (ASAM)": rho * w**2 * g / adaptive.norm(),
        "adaptive, |w| + .01 (ASAM)": _offset(w, g, rho),
    }


def _offset(w: Tensor, g: Tensor, rho: float | Tensor) -> Tensor:
    scale = w.abs() + 0.01
    return rho * scale**2 * g / (scale * g).norm()
