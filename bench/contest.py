"""One workload and batch, everybody ready: same answers first, then the number of steps to time."""

from __future__ import annotations

import time
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch

from bench.peers import PEERS, Runner, Unavailable
from bench.workloads import WORKLOADS, Workload
from limitpoint import Problem, run

#: Steps after which the peers are compared.
COMPARED = 20
#: Seconds of processor time that a timed call should take, so that its set-up is a small part.
SAMPLE = 0.2


@dataclass(frozen=True)
class Entry:
    """A peer that is ready, or why it is not.

    Args:
        runner: takes a number of steps and returns where it ends.
        steps: how many make a sample.
        missing: why there is no runner.
    """

    runner: Runner | None = None
    steps: int = 0
    missing: str = ""


@lru_cache(maxsize=1)
def contest(name: str, batch: int, peers: tuple[str, ...] = tuple(PEERS)) -> dict[str, Entry]:
    """The peers of a workload, each compared with the definition and its sample measured out.

    Raises:
        AssertionError: a peer ends elsewhere.
    """
    torch.set_num_threads(1 if batch == 1 else 2)
    workload = WORKLOADS[name]
    problem = workload.batch(batch) if batch > 1 else workload.problem(0)
    end = run(problem, workload.rule, COMPARED, engine="torch").final.numpy()
    return {peer: _entry(peer, workload, problem, end) for peer in peers}


def _entry(peer: str, workload: Workload, problem: Problem, end: np.ndarray) -> Entry:
    try:
        runner = PEERS[peer](workload, problem)
    except Unavailable as missing:
        return Entry(missing=str(missing))
    gap = difference(runner(COMPARED), end)
    assert gap <= workload.tolerance, f"{peer} ends elsewhere on {workload.name}: {gap:.1e}"
    return Entry(runner, _steps(runner))


def difference(found: np.ndarray, expected: np.ndarray) -> float:
    """Largest difference relative to the largest entry; NaN is infinitely far."""
    gap = float(np.abs(found - expected).max() / np.abs(expected).max())
    return gap if gap == gap else float("inf")


def _steps(runner: Runner) -> int:
    """How many steps take `SAMPLE` seconds, or four times as long as the set-up does."""
    once, steps = _seconds(runner, 1), 4
    while (more := _seconds(runner, steps) - once) < SAMPLE / 4:
        steps *= 4
    return max(1, round(steps * max(SAMPLE, 4 * once) / more))


def _seconds(runner: Runner, steps: int) -> float:
    started = time.process_time()
    runner(steps)
    return time.process_time() - started
