"""Where work goes: processes of this machine, or a Dask cluster, through one executor."""

from __future__ import annotations

import multiprocessing
import os
import signal
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import (
    BrokenExecutor,
    Executor,
    ProcessPoolExecutor,
    ThreadPoolExecutor,
    as_completed,
)
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from logging import ERROR
from typing import TypeVar

from limitpoint.errors import UsageError

#: So often is a pool made anew whose process was killed before the work is given up.
LIVES = 3
Task = TypeVar("Task")
Result = TypeVar("Result")


@dataclass(frozen=True)
class Workers:
    """Who does the work.

    Args:
        jobs: processes on this machine, >= 1; one works here, in this process.
        cluster: the address of a Dask scheduler; "local" starts one here, with `jobs` workers.
    """

    jobs: int = 1
    cluster: str | None = None

    @contextmanager
    def executor(self) -> Iterator[Executor]:
        """An executor, gone when the block is left; what was not begun then is not begun any more.

        Raises:
            UsageError: distributed is not installed, or there is no scheduler at the address.
        """
        if self.cluster is not None:
            with _dask(self.cluster, self.jobs) as executor:
                yield executor
            return
        # Not forked: torch and numba have threads.
        spawn = multiprocessing.get_context("spawn")
        executor = (
            ThreadPoolExecutor(1)
            if self.jobs == 1
            else ProcessPoolExecutor(self.jobs, spawn, _leave_interrupts_to_the_parent)
        )
        try:
            yield executor
        finally:
            executor.shutdown(wait=True, cancel_futures=True)


def _leave_interrupts_to_the_parent() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)


@contextmanager
def _dask(address: str, jobs: int) -> Iterator[Executor]:
    try:
        from distributed import Client, KilledWorker, LocalCluster
    except ImportError:
        raise UsageError("--cluster needs distributed: pip install 'limitpoint[cluster]'") from None
    with ExitStack() as stack:
        if address == "local":
            options = {"threads_per_worker": 1, "dashboard_address": ":0", "silence_logs": ERROR}
            address = stack.enter_context(LocalCluster(n_workers=jobs, **options)).scheduler_address
        try:
            client = stack.enter_context(Client(address, timeout=10))
        except (OSError, ValueError) as exc:
            raise UsageError(f"--cluster {address}: no scheduler there ({exc})") from None
        executor = client.get_executor()
        # It would wait for what has not begun, too; without waiting, it cancels that.
        stack.callback(executor.shutdown, wait=False)
        try:
            yield executor
        except KilledWorker as exc:
            raise BrokenExecutor(str(exc)) from None


def work(
    missing: Callable[[], Sequence[Task]],
    do: Callable[[Task], Result],
    keep: Callable[[Result], None],
    workers: Workers | None = None,
) -> None:
    """Hand what is missing to workers, and keep what they find as it arrives.

    Args:
        missing: the tasks; asked again when a worker has died.
        do: what a worker does; it and the tasks are pickled where workers are processes.
        keep: called with each result, here.
        workers: this process by default.

    Raises:
        UsageError: a worker died `LIVES` times.
    """
    for _ in range(LIVES):
        with suppress(BrokenExecutor):
            return _pass(missing(), do, keep, workers or Workers())
    raise UsageError(
        f"workers died {LIVES} times, as where memory runs out: fewer --jobs need less; what is "
        "measured is kept, and the same command goes on"
    )


def _pass(
    tasks: Sequence[Task], do: Callable[[Task], Result], keep: Callable[[Result], None],
    workers: Workers,
) -> None:  # fmt: skip
    if not tasks:
        return
    with workers.executor() as executor:
        # Not kept in a list: each would hold its result to the end.
        for future in as_completed(executor.submit(do, task) for task in tasks):
            keep(future.result())


def processes(tasks: int) -> int:
    """How many processes are worth their start, for so many tasks of a second or so."""
    return max(1, min(os.cpu_count() or 1, tasks // 8))
