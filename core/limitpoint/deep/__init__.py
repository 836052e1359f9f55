"""Deep networks: models, m-SAM's gradient in its exact forms, images, and stacks of runs."""

from limitpoint.deep.architectures import PreActResNet, perceptron, small_convnet
from limitpoint.deep.data import digits_images, mnist_images, split
from limitpoint.deep.experiment import Experiment
from limitpoint.deep.gradients import FORMS, m_sam_gradient, mean_loss, plain_gradient
from limitpoint.deep.networks import Network
from limitpoint.deep.problem import Classification, Sampling
from limitpoint.deep.sharpness import m_sharpness
from limitpoint.deep.tasks import (
    PAPER,
    generalisation,
    noise,
    noisy_digits,
    paper,
    small_mnist,
    switching,
)

__all__ = [
    "FORMS",
    "PAPER",
    "Classification",
    "Experiment",
    "Network",
    "PreActResNet",
    "Sampling",
    "digits_images",
    "generalisation",
    "m_sam_gradient",
    "m_sharpness",
    "mean_loss",
    "mnist_images",
    "noise",
    "noisy_digits",
    "paper",
    "perceptron",
    "plain_gradient",
    "small_convnet",
    "small_mnist",
    "split",
    "switching",
]
