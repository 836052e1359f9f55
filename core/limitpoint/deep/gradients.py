"""m-SAM's gradient of a stack of networks, in its forms: all exact, all the same to rounding.

- `loop`: plain autograd, group by group. The definition, and what a network without a stacked form
  is trained with.
- `vmap`: `torch.func.vmap` of the gradient over groups.
- `bmm`: each group's weights written down, one batched product a layer.
- `gram`: each group's perturbation as products with its own inputs and slopes.
- `layers`: in each layer the cheaper of the last two. What the stacked networks are trained with.

Two passes in all but the loop: the first gives each layer's inputs and slopes, from which follows
each group's gradient; the second is at the groups' own points.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.func import functional_call, grad, vmap
from torch.nn.functional import cross_entropy

from limitpoint.deep.layers import Pass
from limitpoint.deep.networks import Network, Statistics
from limitpoint.optimizers.training import unit

FORMS = ("loop", "vmap", "bmm", "gram", "layers")
_GRAM = {"bmm": False, "gram": True, "layers": None}


def mean_loss(logits: Tensor, y: Tensor) -> Tensor:
    """Mean cross-entropy of each copy: logits (S, n, k), labels (S, n); shape (S,)."""
    # Classes before examples: a softmax over ten neighbours in memory takes twice as long.
    by_class = logits.flatten(0, 1).mT.contiguous().unsqueeze(0)
    flat = cross_entropy(by_class, y.flatten().unsqueeze(0), reduction="none")
    return flat.reshape(y.shape).mean(-1)


def plain_gradient(
    network: Network, w: Tensor, X: Tensor, y: Tensor, statistics: Statistics | None = None
) -> Tensor:
    """Gradient of each copy's mean loss, shape (S, size)."""
    with torch.enable_grad():
        w = w.detach().requires_grad_()
        loss = mean_loss(network.logits(w, X, statistics), y).sum()
        return torch.autograd.grad(loss, w)[0]


def m_sam_gradient(
    network: Network,
    w: Tensor,
    X: Tensor,
    y: Tensor,
    rho: float | Tensor,
    m: int | None = None,
    *,
    normalised: bool = True,
    form: str = "layers",
) -> Tensor:
    """The mean over groups of m examples of the group's gradient at w + eps, eps the group's own.

    Args:
        network: what is trained.
        w: shape (S, size).
        X: images, shape (S, n, *image).
        y: labels 0..k-1, int64 (S, n).
        rho: eps is rho times the group's gradient at w, over its length if normalised; a number
            or shape (S, 1).
        m: divides n; None for n. Groups are consecutive.
        normalised: whether eps has length rho.
        form: one of `FORMS`; a network without a stacked form has "loop" and "vmap".

    Returns:
        Shape (S, size).

    Raises:
        ValueError: m does not divide n.

    Source: understanding_sam, (4).
    """
    groups, left = divmod(y.shape[1], m or y.shape[1])
    if left:
        raise ValueError(f"m = {m} does not divide the {y.shape[1]} examples of a minibatch")
    if form in _GRAM:
        return _stacked(network, w, X, y, rho, groups, normalised, _GRAM[form])
    one = _vmapped if form == "vmap" else _looped
    radii = torch.as_tensor(rho, dtype=w.dtype, device=w.device).expand(len(w), 1)
    parts = [
        (a.unflatten(0, (groups, -1)), b.unflatten(0, (groups, -1)))
        for a, b in zip(X, y, strict=True)
    ]
    return torch.stack([
        one(network, v, *part, r, normalised)
        for v, part, r in zip(w, parts, radii, strict=True)
    ])  # fmt: skip


def _looped(
    network: Network, w: Tensor, X: Tensor, y: Tensor, rho: Tensor, normalised: bool
) -> Tensor:
    total = torch.zeros_like(w)
    for images, labels in zip(X, y, strict=True):
        g = _one(network, w, images, labels)
        total += _one(network, w + rho * (unit(g) if normalised else g), images, labels)
    return total / len(y)


def _one(network: Network, w: Tensor, X: Tensor, y: Tensor) -> Tensor:
    """Gradient of one copy, w (size,), by the module itself."""
    with torch.enable_grad(), network.casting(w):
        w = w.detach().requires_grad_()
        network.module.train()
        logits = functional_call(network.module, network.named(w), (X,))
        return torch.autograd.grad(cross_entropy(logits.to(w.dtype), y), w)[0]


def _vmapped(
    network: Network, w: Tensor, X: Tensor, y: Tensor, rho: Tensor, normalised: bool
) -> Tensor:
    def loss(v: Tensor, x: Tensor, label: Tensor) -> Tensor:
        return cross_entropy(functional_call(network.module, network.named(v), (x,)), label)

    def at_maximiser(x: Tensor, label: Tensor) -> Tensor:
        g = grad(loss)(w, x, label)
        return grad(loss)(w + rho * (unit(g) if normalised else g), x, label)

    found: Tensor = vmap(at_maximiser)(X, y)
    return found.mean(0)


def _stacked(
    network: Network, w: Tensor, X: Tensor, y: Tensor, rho: float | Tensor,
    groups: int, normalised: bool, gram: bool | None,
) -> Tensor:  # fmt: skip
    module = network.module
    if not isinstance(module, nn.Sequential):
        raise TypeError(f"{type(module).__name__} has no stacked form: use 'loop' or 'vmap'")
    with torch.enable_grad():
        first = Pass(iter(network.split(w.detach())), groups, keep=True, gram=gram)
        # The loss of a group is its mean, so that the sum over all is G times the copies' means.
        ascents = first.ascended(groups * mean_loss(first.through(module, X), y).sum())
        scale = torch.as_tensor(rho, dtype=w.dtype, device=w.device).expand(len(w), groups)
        if normalised:
            square = torch.stack([ascent.square for ascent in ascents]).sum(0)
            scale = torch.where(
                square > 0, scale / square.clamp_min(torch.finfo(w.dtype).tiny).sqrt(), 0.0
            )
        w = w.detach().requires_grad_()
        second = Pass(iter(network.split(w)), groups, ascents=iter(ascents), scale=scale)
        return torch.autograd.grad(mean_loss(second.through(module, X), y).sum(), w)[0]
