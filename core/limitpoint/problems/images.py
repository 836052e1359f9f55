"""Images as classification problems, and stand-ins of CIFAR-10's shape; files: `image_files`."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from limitpoint.errors import UsageError
from limitpoint.problems.losses import CrossEntropy
from limitpoint.problems.models import MulticlassLinear
from limitpoint.problems.problem import Problem
from limitpoint.problems.randomness import generator, tensor

SIDE = 32


@dataclass(frozen=True)
class Images:
    """Grey images with labels.

    Args:
        name: where they come from.
        pixels: uint8 (N, d).
        labels: 0..k-1, int64 (N,).
    """

    name: str
    pixels: NDArray[np.uint8]
    labels: NDArray[np.int64]


@dataclass(frozen=True)
class ImageSet:
    """Training and test images of one origin."""

    train: Images
    test: Images

    def task(self, classes: int, per_class: int = 100, *, seed: int) -> tuple[Problem, Problem]:
        """Training and test problem on a balanced sample of the first classes.

        A linear model of grey values in [0, 1], mean cross-entropy, start zero (usam_report,
        Sec. 4).

        Args:
            classes: how many of the classes 0, 1, ... take part, >= 2.
            per_class: images drawn of each, in the training and in the test set.
            seed: of the sample.

        Raises:
            UsageError: a class has fewer images than that.
        """
        rng = generator("image-task", seed)
        train = _sampled(self.train, classes, per_class, rng)
        return train, _sampled(self.test, classes, per_class, rng)


def _sampled(images: Images, classes: int, per_class: int, rng: np.random.Generator) -> Problem:
    rows = np.concatenate([_rows_of(images, c, per_class, rng) for c in range(classes)])
    X = tensor(images.pixels[rows] / 255.0)
    start = torch.zeros((classes, X.shape[-1]), dtype=torch.float64)
    y = tensor(images.labels[rows])
    return Problem(images.name, MulticlassLinear(), CrossEntropy(), X, y, start)


def _rows_of(images: Images, label: int, count: int, rng: np.random.Generator) -> NDArray[np.int64]:
    rows = np.flatnonzero(images.labels == label)
    if len(rows) < count:
        raise UsageError(
            f"{images.name}: {len(rows)} images of class {label}; {count} are needed of each class"
        )
    return rng.choice(rows, count, replace=False)


def spectral_images(seed: int, classes: int = 10, per_class: int = 100) -> ImageSet:
    """Random 32x32 images with a power-law spectrum, like photographs: a stand-in for CIFAR-10.

    An image is its class's own template plus noise of amplitude 1/f^a; template and exponent a in
    [0.8, 1.6] are the class's. Mean grey value near 0.5, standard deviation near 0.2.

    Args:
        seed: of the images.
        classes: k >= 2.
        per_class: images of each class, in the training and in the test set.
    """
    rng = generator("spectral-images", seed)
    templates = _power_law(rng, np.full(classes, 1.5))
    exponents = rng.uniform(0.8, 1.6, classes)
    labels = np.repeat(np.arange(classes), per_class)

    def draw(part: str) -> Images:
        noise = _power_law(rng, exponents[labels])
        brightness = 0.5 + 0.08 * rng.standard_normal((len(labels), 1))
        grey = brightness + 0.05 * templates[labels] + 0.18 * noise
        return Images(f"1/f images, {part}", _quantised(grey), labels)

    return ImageSet(draw("train"), draw("test"))


def _power_law(rng: np.random.Generator, exponents: NDArray[np.float64]) -> NDArray[np.float64]:
    """One image (d,) an exponent a: amplitude 1/f^a, no constant part, unit standard deviation."""
    white = np.fft.fft2(rng.standard_normal((len(exponents), SIDE, SIDE)))
    f = np.hypot(*np.meshgrid(np.fft.fftfreq(SIDE), np.fft.fftfreq(SIDE)))
    f[0, 0] = np.inf
    image = np.fft.ifft2(white * f ** -exponents[:, None, None]).real.reshape(len(exponents), -1)
    return image / image.std(axis=1, keepdims=True)


def _quantised(grey: NDArray[np.float64]) -> NDArray[np.uint8]:
    return np.rint(255 * np.clip(grey, 0.0, 1.0)).astype(np.uint8)


def upscaled_digits(seed: int) -> ImageSet:
    """scikit-learn's 8x8 digits, each pixel four by four times, in a random half and half split.

    Of rank 64 only: the examples outnumber the directions that they span.

    Args:
        seed: of the split.
    """
    from sklearn.datasets import load_digits

    digits, labels = load_digits(return_X_y=True)
    grey = np.kron(digits.reshape(-1, 8, 8) / 16, np.ones((4, 4))).reshape(len(digits), -1)
    order = generator("upscaled-digits", seed).permutation(len(labels))
    parts = zip(("train", "test"), np.array_split(order, 2), strict=True)
    return ImageSet(
        *(
            Images(f"digits, {part}", _quantised(grey[rows]), labels[rows].astype(np.int64))
            for part, rows in parts
        )
    )
