"""The experiments by name: small ones that take seconds, and the paper's own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor

from limitpoint.deep.architectures import PreActResNet, perceptron, small_convnet
from limitpoint.deep.data import digits_images, mnist_images, split, with_wrong_labels
from limitpoint.deep.experiment import Experiment
from limitpoint.deep.networks import Network
from limitpoint.deep.problem import Classification, Sampling
from limitpoint.problems.image_files import read_cifar10
from limitpoint.problems.images import SIDE, Images, ImageSet
from limitpoint.problems.randomness import generator

#: Of `small_mnist`: m-SAM's with m = 1 and with the whole minibatch, the others', a late switch's.
RADII = {
    "rho": 0.2,
    "m": 1,
    "coarse_rho": 0.4,
    "other_rho": 0.3,
    "random_rho": 0.4,
    "late_rho": 0.3,
}


def small_mnist(
    seed: int, runs: int, *, hidden: int = 64, batch: int | None = 60, steps: int = 200,
    batch_norm: bool = False, **options: Any,
) -> Experiment:  # fmt: skip
    """300 images of MNIST, 14 x 14, and a perceptron with a hidden layer.

    Args:
        seed: of splits, starts and orders.
        runs: S.
        hidden: width of the hidden layer.
        batch: minibatch; None for all.
        steps: of training.
        batch_norm: normalise the hidden layer over the minibatch.
        options: of `Experiment`.
    """
    network = perceptron([196, hidden, 10], batch_norm=batch_norm)
    train, other = split(mnist_images(), network, seed, runs=runs, n=300, batch=batch)
    return Experiment(train, other, steps, **{"rate": 0.02, "settings": RADII, **options})


def noisy_digits(
    seed: int, runs: int, *, wrong_labels: float = 0.4, steps: int = 120,
    convolutional: bool = False, batch_norm: bool = False, **options: Any,
) -> Experiment:  # fmt: skip
    """300 digits with exactly so many wrong labels (200 for a conv net), full batches.

    Args:
        seed: of splits, labels and starts.
        runs: S.
        wrong_labels: share of the training labels.
        steps: of training.
        convolutional: a conv net (8 and 32 channels, stride 2) in place of a perceptron 64-64-10.
        batch_norm: normalise the perceptron's hidden layer over the batch.
        options: of `Experiment`.
    """
    image = (1, 8, 8) if convolutional else None
    network = (
        small_convnet(8, (8, 32), groups=None)
        if convolutional
        else perceptron([64, 64, 10], batch_norm=batch_norm)
    )
    train, test = split(
        digits_images(), network, seed, runs=runs, n=200 if convolutional else 300,
        wrong_labels=wrong_labels, image=image,
    )  # fmt: skip
    radii = {"rho": 0.2, "m": 1}
    given = {"rate": 0.02, "settings": radii, "decays": False, **options}
    return Experiment(train, test, steps, **given)


class Scale(Protocol):
    """What of a claim's setting says at which scale it is run."""

    @property
    def horizon(self) -> str:
        """The value "full" asks for the paper's own scale, if there are images for it."""

    @property
    def device(self) -> str:
        """Where the steps are taken."""

    @property
    def cifar10(self) -> Path | None:
        """The user's copy of CIFAR-10."""


@dataclass(frozen=True)
class Paper:
    """The paper's own settings, which tests make smaller.

    Args:
        blocks: of the pre-activation ResNet; (2, 2, 2, 2) is ResNet-18.
        width: its width factor.
        norm: "batch" or "group".
        batch: minibatch.
        epochs: of training.
        long: epochs of the experiments of Sections 4.3 and 5.2.
        runs: starts.
        rate: step size at first.
        weight_decay: lambda.
        shift: pixels by which crops move.

    Source: understanding_sam, App. D.
    """

    blocks: Sequence[int] = (2, 2, 2, 2)
    width: int = 64
    norm: str = "batch"
    batch: int = 128
    epochs: int = 200
    long: int = 1000
    runs: int = 5
    rate: float = 0.1
    weight_decay: float = 5e-4
    shift: int = 4


PAPER = Paper()
#: Of the paper on CIFAR-10: SAM's with m = 128, n-SAM's, random perturbations', a late switch's.
PAPER_RADII = {
    "rho": 0.1, "m": None, "coarse_rho": None, "other_rho": 0.1, "random_rho": 0.1, "late_rho": 0.4
}  # fmt: skip


def paper(
    images: ImageSet, seed: int, device: str = "cpu", *, wrong_labels: float = 0.0,
    epochs: int | None = None,
) -> Experiment:  # fmt: skip
    """The paper's experiment: a pre-activation ResNet with the settings of `PAPER`.

    On a GPU products are taken in bfloat16, sums and parameters in float32. Starts are the runs';
    images and orders are the same for all. Statistics at test time are those of training batches at
    the iterate, not a running average.

    Args:
        images: training and test images, square; grey or three planes.
        seed: of starts, labels and orders.
        device: where it runs.
        wrong_labels: share of the training labels, exactly, replaced by another class's.
        epochs: of training; `PAPER.epochs` by default.
    """
    this, rng = PAPER, generator("paper", seed)
    pixels = images.train.pixels
    channels = 3 if pixels.shape[1] == 3 * SIDE**2 else 1
    classes = int(images.train.labels.max()) + 1
    module = PreActResNet(this.blocks, this.width, this.norm, channels, classes)
    network = Network(module, torch.bfloat16 if device == "cuda" else None)
    by_channel = pixels.reshape(len(pixels), channels, -1)
    centre = by_channel.mean((0, 2), keepdims=True)[..., None].astype(np.float32)
    spread = by_channel.std((0, 2), keepdims=True)[..., None].astype(np.float32)

    def standard(part: Images) -> Tensor:
        side = round((part.pixels.shape[1] / channels) ** 0.5)
        planes = part.pixels.reshape(-1, channels, side, side)
        return torch.from_numpy((planes - centre) / spread).unsqueeze(0)

    labels = np.stack([images.train.labels] * this.runs)
    with_wrong_labels(labels, wrong_labels, classes, rng)
    start = torch.stack([network.start(rng) for _ in range(this.runs)]).float()
    sampling = Sampling(this.batch, seed, this.shift, mirrored=channels == 3)
    train = Classification(images.train.name, network, standard(images.train),
                           torch.from_numpy(labels), start, sampling)  # fmt: skip
    answers = torch.from_numpy(images.test.labels).expand(this.runs, -1)
    test = Classification(images.test.name, network, standard(images.test), answers, start)
    steps = (epochs or this.epochs) * train.steps_of_an_epoch
    return Experiment(train, test, steps, this.rate, this.weight_decay, PAPER_RADII, device)


def _asked(scale: Scale | None) -> ImageSet | None:
    """The user's images if the paper's own scale is asked for."""
    if scale is None or scale.horizon != "full" or scale.cifar10 is None:
        return None
    return read_cifar10(scale.cifar10, colour=True)


def generalisation(seed: int, runs: int, scale: Scale | None = None) -> Experiment:
    """Figure 1: `small_mnist`, or the paper's own experiment where the scale asks for it.

    Args:
        seed: of everything that is drawn.
        runs: of the small experiment.
        scale: a claim's setting: at the horizon "full", with CIFAR-10 given, the paper's own.
    """
    images = _asked(scale)
    if images is None or scale is None:
        return small_mnist(seed, runs)
    return paper(images, seed, scale.device)


def switching(seed: int, runs: int, scale: Scale | None = None) -> Experiment:
    """Figures 8 to 10: `small_mnist` of 250 steps, or the paper's own; see `generalisation`."""
    images = _asked(scale)
    if images is None or scale is None:
        return small_mnist(seed, runs, steps=250, decays=False)
    return paper(images, seed, scale.device, epochs=PAPER.long)


def noise(seed: int, scale: Scale | None = None) -> Experiment | None:
    """Figure 12: the paper's own experiment with 60% wrong labels; None at the small scale."""
    images = _asked(scale)
    if images is None or scale is None:
        return None
    return paper(images, seed, scale.device, wrong_labels=0.6)
