"""The networks of the experiments, in plain torch.nn."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn

NORMS = ("batch", "group")


def perceptron(widths: Sequence[int], *, batch_norm: bool = False) -> nn.Sequential:
    """A multilayer perceptron with ReLUs.

    Args:
        widths: inputs, hidden layers, classes.
        batch_norm: normalise each hidden layer over the examples before its ReLU.
    """
    layers: list[nn.Module] = []
    for inputs, outputs in pairwise(widths[:-1]):
        layers.append(nn.Linear(inputs, outputs))
        layers += [nn.BatchNorm1d(outputs)] * batch_norm
        layers.append(nn.ReLU())
    return nn.Sequential(*layers, nn.Linear(widths[-2], widths[-1]))


def small_convnet(
    side: int, channels: Sequence[int] = (8, 16), *, groups: int | None = 4, classes: int = 10
) -> nn.Sequential:
    """Convolutions 3x3 of stride 2 with ReLUs, and a linear layer.

    Args:
        side: of the square grey image, in pixels.
        channels: of each convolution.
        groups: of the GroupNorm before each ReLU; None for no normalisation.
        classes: k.
    """
    layers: list[nn.Module] = []
    before = 1
    for width in channels:
        layers.append(nn.Conv2d(before, width, 3, stride=2, padding=1))
        layers += [] if groups is None else [nn.GroupNorm(groups, width)]
        layers.append(nn.ReLU())
        before, side = width, (side + 1) // 2
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(before * side * side, classes))


def _norm(kind: str, channels: int) -> nn.Module:
    if kind not in NORMS:
        raise ValueError(f"norm {kind!r}: one of {', '.join(NORMS)}")
    if kind == "group":
        return nn.GroupNorm(min(32, channels), channels)
    return nn.BatchNorm2d(channels, momentum=None)


class _Block(nn.Module):
    """A pre-activation residual block of two 3x3 convolutions (He et al. 2016b, Fig. 4e)."""

    def __init__(self, before: int, width: int, stride: int, norm: str) -> None:
        super().__init__()
        self.norm1, self.norm2 = _norm(norm, before), _norm(norm, width)
        self.conv1 = nn.Conv2d(before, width, 3, stride, 1, bias=False)
        self.conv2 = nn.Conv2d(width, width, 3, 1, 1, bias=False)
        alike = stride == 1 and before == width
        self.shortcut = None if alike else nn.Conv2d(before, width, 1, stride, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        out = torch.relu(self.norm1(x))
        past = x if self.shortcut is None else self.shortcut(out)
        return past + self.conv2(torch.relu(self.norm2(self.conv1(out))))


class PreActResNet(nn.Module):
    """A pre-activation ResNet for small images.

    Args:
        blocks: of each of the four stages: (2, 2, 2, 2) is ResNet-18, (3, 4, 6, 3) ResNet-34.
        width: factor, the channels of the first stage; 64 in the paper.
        norm: "batch" or "group".
        channels: of the image.
        classes: k.

    Source: understanding_sam, App. D; He et al. 2016b.
    """

    def __init__(
        self,
        blocks: Sequence[int] = (2, 2, 2, 2),
        width: int = 64,
        norm: str = "batch",
        channels: int = 3,
        classes: int = 10,
    ) -> None:
        super().__init__()
        self.first = nn.Conv2d(channels, width, 3, 1, 1, bias=False)
        stages: list[nn.Module] = []
        before = width
        for stage, count in enumerate(blocks):
            for k in range(count):
                after = width * 2**stage
                stages.append(_Block(before, after, 2 if stage and not k else 1, norm))
                before = after
        self.stages = nn.Sequential(*stages)
        self.norm = _norm(norm, before)
        self.last = nn.Linear(before, classes)

    def forward(self, x: Tensor) -> Tensor:
        """Logits of images (n, channels, side, side), shape (n, classes)."""
        out = torch.relu(self.norm(self.stages(self.first(x))))
        return self.last(out.mean((-2, -1)))
