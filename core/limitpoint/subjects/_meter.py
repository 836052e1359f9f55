"""What a subject may take in one run, in time and memory, and what is left of it."""

from __future__ import annotations

import math
import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType

import torch

from limitpoint.errors import Inconclusive
from limitpoint.subjects._guards import OutOfMemory, TooLate, blamed, time_limit
from limitpoint.subjects._limits import UNLIMITED, Limits

resource: ModuleType | None
try:
    import resource
except ImportError:  # not POSIX
    resource = None

GIGABYTE = 1e9


class Meter:
    """Time and memory of one run; it starts when it is made.

    Memory is what the process gains over its size at the start. Inside the subject an allocation
    beyond the limit fails (Linux, and not once CUDA has reserved its address space); after each
    call the peak of the resident memory is looked at (POSIX).

    Args:
        limits: what the subject may take.
    """

    def __init__(self, limits: Limits = UNLIMITED) -> None:
        self.timeout, self.memory = limits.timeout, limits.memory
        self.deadline = time.monotonic() + (math.inf if self.timeout is None else self.timeout)
        self.resident, self.mapped = _peak(), _mapped()

    @contextmanager
    def watch(self, where: str) -> Iterator[None]:
        """Run the subject's code; what it raises, or takes too much of, is its failure.

        Args:
            where: such as "at step 3".

        Raises:
            SubjectFailed: it raised, or exceeded a limit: `OutOfMemory`, `TooLate`.
            Inconclusive: time ran out, but not in one call.
        """
        with self.bounds(where), blamed(where):
            yield

    @contextmanager
    def bounds(self, where: str) -> Iterator[None]:
        """The same for code that guards the subject's exceptions itself."""
        started = time.monotonic()
        late = f"exceeded its time limit of {self.timeout or 0:g} s {where}"
        big = f"used more than {self.memory or 0:g} GB of memory {where}"
        try:
            with time_limit(self.deadline - started, late), self._fewer_pages():
                yield
        except OutOfMemory as out:
            raise out if self.memory is None else OutOfMemory(big) from None
        except TooLate:
            raise self._late(late, where, started) from None
        if time.monotonic() > self.deadline:
            raise self._late(late, where, started)
        if self.memory is not None and _peak() - self.resident > self.memory * GIGABYTE:
            raise OutOfMemory(big)

    def _late(self, late: str, where: str, started: float) -> Exception:
        """A failure if this call took half of the time or more, else nobody's: a long run."""
        limit = self.timeout or 0.0
        if time.monotonic() - started >= limit / 2:
            return TooLate(late)
        return Inconclusive(f"time ran out {where}: {limit:g} s are too few for this run")

    @contextmanager
    def _fewer_pages(self) -> Iterator[None]:
        cuda = torch.cuda.is_initialized()  # type: ignore[no-untyped-call]
        if self.memory is None or resource is None or not self.mapped or cuda:
            yield
            return
        soft, hard = resource.getrlimit(resource.RLIMIT_AS)
        known = [limit for limit in (soft, hard) if limit != resource.RLIM_INFINITY]
        mine = min([*known, self.mapped + int(self.memory * GIGABYTE)])
        resource.setrlimit(resource.RLIMIT_AS, (mine, hard))
        try:
            yield
        finally:
            resource.setrlimit(resource.RLIMIT_AS, (soft, hard))


def _peak() -> int:
    """The largest resident size so far in bytes; 0 where it is not known."""
    if resource is None:
        return 0
    unit = 1 if sys.platform == "darwin" else 1024
    return int(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss) * unit


def _mapped() -> int:
    """The process's address space in bytes; 0 where it is not known."""
    try:
        pages = int(Path("/proc/self/statm").read_text().split()[0])
    except OSError:
        return 0
    return pages * os.sysconf("SC_PAGE_SIZE")
