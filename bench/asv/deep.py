"""Deep networks: m-SAM's gradient in its forms, and steps of a stack of runs."""

import time
from typing import Any

from ._commit import skipped_where_missing

FORMS = ("loop", "vmap", "bmm", "gram", "layers")
NETWORKS = ("perceptron", "conv net")


def _one_thread() -> None:
    import torch

    torch.set_num_threads(1)


class Gradient:
    """m-SAM's gradient, m = 1, a minibatch of 64."""

    params = (NETWORKS, FORMS)
    param_names = ("network", "form")
    timer = time.process_time
    repeat = (3, 10, 0.5)

    def setup(self, network: str, form: str) -> None:
        """Network, parameters, images and labels; one call, so that nothing is made in time."""
        with skipped_where_missing():
            import numpy as np
            import torch

            from limitpoint import deep

            _one_thread()
            module, image = {
                "perceptron": (deep.perceptron([64, 64, 10]), (64,)),
                "conv net": (deep.small_convnet(8), (1, 8, 8)),
            }[network]
            rng = np.random.default_rng(0)
            net = deep.Network(module)
            w = net.start(rng).float().unsqueeze(0)
            X = torch.from_numpy(rng.standard_normal((1, 64, *image))).float()
            y = torch.from_numpy(rng.integers(0, 10, (1, 64)))
            self.work: Any = lambda: deep.m_sam_gradient(net, w, X, y, 0.1, 1, form=form)
            self.work()

    def time_gradient(self, network: str, form: str) -> None:
        """Seconds of a gradient."""
        self.work()


class Stack:
    """Twenty steps of digits with wrong labels, by the runs side by side."""

    params = ((1, 10), ("ERM", "1-SAM"))
    param_names = ("runs", "method")
    timer = time.process_time
    repeat = (3, 10, 0.5)

    def setup(self, runs: int, method: str) -> None:
        """Problem and rule."""
        with skipped_where_missing():
            from limitpoint import deep, optimizers

            _one_thread()
            self.task = deep.noisy_digits(0, runs)
            sam = optimizers.DeepSAM(self.task.constant, rho=0.2, m=1)
            self.rule = self.task.erm(self.task.rate) if method == "ERM" else sam

    def time_steps(self, runs: int, method: str) -> None:
        """Seconds of twenty steps."""
        from limitpoint import run

        run(self.task.train, self.rule, 20, record=[20])
