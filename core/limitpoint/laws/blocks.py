"""Steps of a whole tensor: a share of its weights' norm, and squares kept by rows and columns."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

from limitpoint.laws.averages import adams
from limitpoint.laws.forms import buffers

#: Beside numbers of 1 it is no number.
NONE = 1e-300


def shares(
    steps: Tensor, w: Tensor, gradients: Tensor, sizes: Sequence[int], decay: float,
    betas: tuple[float, float] | None = None, momentum: float = 0.0,
) -> Iterator[tuple[str, Tensor]]:  # fmt: skip
    """Names and steps over -lr of LAMB or LARS, and of what is mistaken for them.

    Those that are right have a name that begins so. LARS' share of the norm is one number for all
    tensors and steps, measured at the first.

    Args:
        steps: as measured, (steps, n).
        w: weights before each of them, (steps, n).
        gradients: (steps, n).
        sizes: entries of each tensor.
        decay: lambda.
        betas: of Adam's averages (LAMB); None for the gradient itself (LARS).
        momentum: of what was scaled (LARS).
    """
    cut = gradients / gradients.norm(dim=1, keepdim=True)
    for cuts, g in (("", gradients), (", of gradients cut to a norm of one", cut)):
        for how, inside in (("", decay), (", with decoupled decay", 0.0)):
            ws, gs = (torch.split(x, list(sizes), 1) for x in (w, g))
            tensors = [
                _lambs(v, of, betas, inside) if betas else _larses(v, of, momentum, inside)
                for v, of in zip(ws, gs, strict=True)
            ]
            outside = (decay - inside) * w
            for found in zip(*tensors, strict=True):
                run = torch.cat([part for _, part in found], 1)
                share = 1.0 if betas else (run[0] @ (steps - outside)[0]) / (run[0] @ run[0])
                yield f"{found[0][0]}{how}{cuts}", share * run + outside


def _lambs(
    w: Tensor, gradients: Tensor, betas: tuple[float, float], decay: float
) -> Iterator[tuple[str, Tensor]]:
    """You et al. 2020, Alg. 2; beside a decay it is felt whether the bias is corrected."""
    runs = dict(adams(gradients, betas, NONE))
    ages = torch.arange(1, len(gradients) + 1, dtype=gradients.dtype).unsqueeze(1)
    lost = (1 - betas[0] ** ages) / (1 - betas[1] ** ages).sqrt()
    runs["right, not corrected"] = lost * runs["right"]
    for direction, r in runs.items():
        for share, step in _shares(w, r, gradients, decay):
            yield _joined(share, direction), step
    _, step = next(_shares(w, runs["right, not corrected"], gradients, decay))
    yield "the bias corrected after the norm was taken", step / (1 - betas[0] ** ages)


def _larses(
    w: Tensor, gradients: Tensor, momentum: float, decay: float
) -> Iterator[tuple[str, Tensor]]:
    """You et al. 2017, Alg. 1."""
    for share, step in _shares(w, gradients, gradients, decay):
        for ball, made in buffers(step, momentum, 0.0, nesterov=False).items():
            yield _joined(share, ball), made
    whole = buffers(gradients + decay * w, momentum, 0.0, nesterov=False)["right"]
    quotient = _size(w) / (_size(gradients) + decay * _size(w))
    yield "the whole momentum scaled by the quotient of now", quotient * whole


def _joined(*names: str) -> str:
    """What is wrong, or the first name."""
    return ", ".join(name for name in names if not name.startswith("right")) or names[0]


def _shares(w: Tensor, r: Tensor, g: Tensor, decay: float) -> Iterator[tuple[str, Tensor]]:
    """Steps over -lr along r, of a length that is made of the tensor's norms."""
    u = r + decay * w
    yield "right", _size(w) / _size(u) * u
    yield "right, by the sum of the norms", _size(w) / (_size(r) + decay * _size(w)) * u
    yield "by the norm without the decay", _size(w) / _size(r) * u
    yield "by the norm of the gradient", _size(w) / _size(g) * u


def _size(x: Tensor) -> Tensor:
    return x.norm(dim=1, keepdim=True)


def adafactors(gradients: Tensor, decay: float, d: float) -> Iterator[tuple[str, Tensor]]:
    """Names and updates over -lr of Adafactor (Shazeer and Stern 2018, Alg. 4) and its mistakes.

    The first is right: of a vector's squares, or of a matrix's, kept by rows and columns.

    Args:
        gradients: (steps, n), or (steps, rows, columns).
        decay: c of the second moment's 1 - t^-c.
        d: the largest root mean square of an update.
    """
    yield "right", _updates(gradients, decay, d)
    yield "clipped upside down", _updates(gradients, decay, d, clip="upside down")
    yield "not clipped", _updates(gradients, decay, d, clip="")
    yield "with the next step's decay", _updates(gradients, decay, d, ahead=1)
    for how in ("whole", "by rows", "by columns", "by sums") if gradients.ndim > 2 else ():
        yield f"of squares kept {how}", _updates(gradients, decay, d, kept=how)


def _updates(
    gradients: Tensor, decay: float, d: float, *, clip: str = "right", ahead: int = 0,
    kept: str = "by rows and columns",
) -> Tensor:  # fmt: skip
    squares, updates = torch.zeros_like(gradients[0]), []
    for t, g in enumerate(gradients, 1):
        squares = torch.lerp(squares, g * g, (t + ahead) ** -decay)
        u = g / _factored(squares, kept).sqrt()
        size = float((u * u).mean().sqrt())
        if clip:
            u = u / (max(1.0, size / d) if clip == "right" else min(1.0, size * d))
        updates.append(u)
    return torch.stack(updates)


def _factored(squares: Tensor, kept: str) -> Tensor:
    """What is left of a matrix; means of averages are averages of means."""
    if squares.ndim < 2 or kept == "whole":
        return squares
    rows, columns = squares.mean(1, keepdim=True), squares.mean(0, keepdim=True)
    forms = {
        "by rows and columns": rows * columns / rows.mean(),
        "by rows": rows.expand_as(squares),
        "by columns": columns.expand_as(squares),
        "by sums": rows * columns,
    }
    return forms[kept]
