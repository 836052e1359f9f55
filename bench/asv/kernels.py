"""Trajectories of each model under its rules, by batch and device; and by the width of vectors.

Every batch does the same number of problem-steps, so that its time shows what batching is worth.
On the processor there is one thread, and its own time counts: a busy machine changes little.
"""

import os
import subprocess
import sys
import time
from functools import cache
from pathlib import Path
from typing import Any, ClassVar

from ._commit import skipped_where_missing

BATCHES = (1, 256)
ROOT = Path(__file__).resolve().parents[2]


def _devices() -> tuple[str, ...]:
    """What there is here: a device that is missing is no parameter."""
    try:
        import torch
    except ImportError:
        return ("cpu",)
    return ("cpu", "cuda") if torch.cuda.is_available() else ("cpu",)


DEVICES = _devices()


@cache
def _problems(make: Any, count: int) -> Any:
    """Problems of the seeds 0, 1, ..., as one batch; made once in a process."""
    from limitpoint import stack

    return stack([make(seed) for seed in range(count)])


def _rule(role: str, step_size: float, settings: dict[str, Any]) -> Any:
    from limitpoint.optimizers.roles import ROLES

    return ROLES[role](step_size=step_size, **settings)


class _Kernel:
    """One model.

    Attributes:
        settings: of each rule, besides its step size.
        step_size: of every rule.
        problem_steps: problems times steps of one run.
    """

    settings: ClassVar[dict[str, dict[str, Any]]]
    step_size: ClassVar[float]
    problem_steps: ClassVar[int]
    param_names = ("rule", "batch", "device")
    # Three samples at least, ten at most, within a fifth of a second.
    repeat = (3, 10, 0.2)
    warmup_time = 0
    timeout = 300

    def setup(self, rule: str, batch: int, device: str) -> None:
        """Make the problems, and take one step: kernels are compiled before the clock runs."""
        os.environ["LIMITPOINT_THREADS"] = "1"
        with skipped_where_missing():
            import torch

            torch.set_num_threads(1)
            self.problem = _problems(self.make, batch)
            self.rule = _rule(rule, self.step_size, self.settings[rule])
            self.device = device
            self.timer = time.process_time if device == "cpu" else time.perf_counter
            self.go(1)

    @staticmethod
    def make(seed: int) -> Any:
        """The model's problem for a seed."""
        raise NotImplementedError

    def go(self, steps: int) -> None:
        """Run so many steps and keep the last iterate alone."""
        from limitpoint import run

        run(self.problem, self.rule, steps, record=(steps,), device=self.device)

    def time_run(self, rule: str, batch: int, device: str) -> None:
        """Seconds of a run."""
        self.go(self.problem_steps // batch)


class Linear(_Kernel):
    """Binary logistic regression, n = 200, d = 64."""

    settings: ClassVar = {
        "gd": {},
        "momentum": {"momentum": 0.9},
        "usam": {"rho": 0.05},
        "sam-l2": {"rho": 0.05},
    }
    params = (tuple(settings), BATCHES, DEVICES)
    step_size = 0.01
    problem_steps = 2560

    @staticmethod
    def make(seed: int) -> Any:
        """Gaussian inputs, labelled by a hidden direction."""
        return _logistic(seed, 200, 64)


def _logistic(seed: int, n: int, d: int) -> Any:
    import torch

    from limitpoint import Problem, losses, models

    random = torch.Generator().manual_seed(seed)
    X = torch.randn(n, d, generator=random, dtype=torch.float64)
    y = torch.sign(X @ torch.randn(d, generator=random, dtype=torch.float64))
    return Problem("logistic", models.Linear(), losses.Logistic(), X, y, torch.zeros_like(X[0]))


class Binary(Linear):
    """The same, n = 200, d = 1024: data beyond a second-level cache."""

    settings: ClassVar = {"gd": {}, "usam": {"rho": 0.05}}
    params = (tuple(settings), (1, 32), DEVICES)
    problem_steps = 256

    @staticmethod
    def make(seed: int) -> Any:
        """Gaussian inputs, labelled by a hidden direction."""
        return _logistic(seed, 200, 1024)


class Diagonal(_Kernel):
    """Sparse regression by a diagonal network, n = 20, d = 30."""

    settings: ClassVar = {
        "gd": {},
        "n-sam": {"rho": 0.05},
        "1-sam": {"rho": 0.05},
        "sam-linf": {"rho": 0.01},
    }
    params = (tuple(settings), BATCHES, DEVICES)
    step_size = 0.05
    problem_steps = 12_800

    @staticmethod
    def make(seed: int) -> Any:
        """The sparse regression of the paper."""
        from limitpoint import problems

        return problems.sparse_regression(seed)


class Multiclass(_Kernel):
    """Cross-entropy on Gaussian clusters, k = 10, d = 25, n = 500."""

    settings: ClassVar = {
        "signgd": {},
        "adam": {"beta1": 0.9, "beta2": 0.95},
        "spectral": {},
        "muon": {"beta1": 0.9},
    }
    params = (tuple(settings), BATCHES, DEVICES)
    step_size = 0.1
    problem_steps = 512

    @staticmethod
    def make(seed: int) -> Any:
        """Clusters that are linearly separable."""
        from limitpoint import problems

        return problems.clusters(seed, k=10, d=25, per_class=50)


class Relu(_Kernel):
    """Regression of twelve points by a hidden layer of 100 ReLUs."""

    settings: ClassVar = {"gd": {}, "sam-l2": {"rho": 0.3}}
    params = (tuple(settings), BATCHES, DEVICES)
    step_size = 5e-5
    problem_steps = 2560

    @staticmethod
    def make(seed: int) -> Any:
        """A start of the paper's kind."""
        from dataclasses import replace

        from limitpoint import problems

        problem = problems.relu_regression(seed, count=1)
        return replace(problem, start=problem.start[0])


class Memory:
    """Peak memory of a process that runs 256 problems of each model."""

    params = (("Linear", "Diagonal", "Multiclass", "Relu"),)
    param_names = ("model",)
    timeout = 300

    def setup(self, model: str) -> None:
        """The model's first rule."""
        kernel: type[_Kernel] = globals()[model]
        self.kernel = kernel()
        self.kernel.setup(next(iter(kernel.settings)), 256, "cpu")

    def peakmem_run(self, model: str) -> None:
        """Two steps: a run keeps what it records, and no more."""
        self.kernel.go(2)


class Length:
    """Peak memory by the number of steps: a run keeps what it records, and no more."""

    params = (1_000, 100_000)
    param_names = ("steps",)
    timeout = 300

    def setup(self, steps: int) -> None:
        """GD on the diagonal network."""
        with skipped_where_missing():
            self.problem = _problems(Diagonal.make, 1)
            self.rule = _rule("gd", 0.05, {})

    def peakmem_run(self, steps: int) -> None:
        """Peak memory of a process that does so many steps."""
        from limitpoint import run

        run(self.problem, self.rule, steps, record=(steps,))


NARROW = """
import os
from bench.widths import environment
os.environ.update(environment(256))
"""
SAMPLES = """
import os, time
os.environ["LIMITPOINT_THREADS"] = "1"
from statistics import median
from bench.asv import kernels
for model, rule in kernels.Width.params[0]:
    kernel = getattr(kernels, model)()
    kernel.setup(rule, 1, "cpu")
    spent = []
    for _ in range(5):
        started = time.process_time()
        kernel.time_run(rule, 1, "cpu")
        spent.append(time.process_time() - started)
    print(model, rule, median(spent))
"""


class Width:
    """Kernels as they are compiled for vectors of 256 bits, and of 512 where there are any."""

    params: ClassVar = (
        (("Linear", "usam"), ("Diagonal", "1-sam"), ("Multiclass", "adam")),
        (256, 512),
    )
    param_names = ("kernel", "bits")
    unit = "seconds"
    timeout = 600
    in_processes = True

    def setup_cache(self) -> dict[tuple[tuple[str, str], int], float]:
        """A process for each width."""
        found = {}
        for bits, script in ((256, NARROW + SAMPLES), (512, SAMPLES)):
            if bits == 512 and not _has_wide_vectors():
                continue
            command = [sys.executable, "-c", script]
            done = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
            for line in done.stdout.splitlines():
                model, rule, seconds = line.split()
                found[(model, rule), bits] = float(seconds)
        return found

    def setup(self, found: dict[Any, float], kernel: tuple[str, str], bits: int) -> None:
        """Skip what the processor or the commit does not have."""
        with skipped_where_missing():
            found[kernel, bits]

    def track_run(self, found: dict[Any, float], kernel: tuple[str, str], bits: int) -> float:
        """Median seconds of processor time of a run."""
        return found[kernel, bits]


def _has_wide_vectors() -> bool:
    from llvmlite import binding

    return bool(binding.get_host_cpu_features().get("avx512f", False))
