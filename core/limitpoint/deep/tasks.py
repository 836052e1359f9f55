"""The experiments by name: small ones that take seconds, and the paper's own."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Protocol

from limitpoint.deep.architectures import perceptron, small_convnet
from limitpoint.deep.data import digits_images, mnist_images, split
from limitpoint.deep.experiment import Experiment

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
    test: int = 3000, batch_norm: bool = False, **options: Any,
) -> Experiment:  # fmt: skip
    """300 images of MNIST, 14 x 14, and a perceptron with a hidden layer.

    Args:
        seed: of splits, starts and orders.
        runs: S.
        hidden: width of the hidden layer.
        batch: minibatch; None for all.
        steps: of training.
        test: test images.
        batch_norm: normalise the hidden layer over the minibatch.
        options: of `Experiment`.
    """
    network = perceptron([196, hidden, 10], batch_norm=batch_norm)
    train, other = split(mnist_images(), network, seed, runs=runs, n=300, test=test, batch=batch)
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
        digits_images(), network, seed, runs=runs, n=200 if convolutional else 300, test=1000,
        wrong_labels=wrong_labels, image=image,
    )  # fmt: skip
    radii = {"rho": 0.2, "m": 1}
    return Experiment(train, test, steps, **{"rate": 0.02, "settings": radii, **options})


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


def generalisation(seed: int, runs: int, scale: Scale | None = None) -> Experiment:
    """Figure 1: `small_mnist`, or the paper's own experiment where the scale asks for it."""
    return small_mnist(seed, runs)


def switching(seed: int, runs: int, scale: Scale | None = None) -> Experiment:
    """Figures 8 to 10: `small_mnist` of 250 steps, or the paper's own experiment."""
    return small_mnist(seed, runs, steps=250)
