"""Where the work goes: processes of this machine, or a Dask cluster, through one executor."""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Iterator
from concurrent.futures import Executor, ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass

from limitpoint.errors import UsageError


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
        executor = (
            ThreadPoolExecutor(1)
            if self.jobs == 1
            else ProcessPoolExecutor(self.jobs, multiprocessing.get_context("spawn"))
        )
        try:
            yield executor
        finally:
            executor.shutdown(wait=True, cancel_futures=True)


@contextmanager
def _dask(address: str, jobs: int) -> Iterator[Executor]:
    try:
        from distributed import Client, LocalCluster
    except ImportError:
        raise UsageError("--cluster needs distributed: pip install 'limitpoint[cluster]'") from None
    if address == "local":
        cluster = LocalCluster(n_workers=jobs, threads_per_worker=1, dashboard_address=None)
        with cluster, Client(cluster) as client, client.get_executor() as executor:
            yield executor
        return
    try:
        client = Client(address, timeout=10)
    except (OSError, ValueError) as exc:
        raise UsageError(f"--cluster {address}: no scheduler there ({exc})") from None
    with client, client.get_executor() as executor:
        yield executor


def cores() -> int:
    """How many processes there is room for."""
    return os.cpu_count() or 1
