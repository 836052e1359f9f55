"""What keeps anything that a subject does from being more than a verdict."""

from __future__ import annotations

import math
import signal
import threading
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from textwrap import shorten
from types import FrameType

import torch

from limitpoint.errors import Inconclusive, NotApplicable, SubjectFailed

AGAIN = 1.0
LONGEST = 200


class SubjectRaised(SubjectFailed):
    """The subject raised an exception of its own."""


class OutOfMemory(SubjectRaised):
    """It asked for more memory than there is, or than it may have."""


class TooLate(SubjectFailed):
    """It did not come back in time."""


class _TimeUp(BaseException):
    """Raised inside the subject; no Exception, so that its `except Exception` lets it through."""


@contextmanager
def blamed(where: str) -> Iterator[None]:
    """Make what is raised here the subject's failure; gradients are on, warnings no errors.

    torch's default dtype is restored: the subject's word is no other claim's.

    Args:
        where: completes "raised ValueError ...", such as "at step 3".

    Raises:
        SubjectRaised: anything but a verdict was raised.
    """
    dtype = torch.get_default_dtype()
    try:
        with warnings.catch_warnings(), torch.enable_grad():
            # A suite that makes warnings errors must not refute a theorem by a deprecation.
            warnings.simplefilter("once")
            yield
    except (SubjectFailed, Inconclusive, NotApplicable):
        raise
    except (Exception, SystemExit) as exc:
        if _out_of_memory(exc):
            raise OutOfMemory(f"ran out of memory {where}") from None
        raise SubjectRaised(f"raised {type(exc).__name__} {where}{_first_line(exc)}") from exc
    finally:
        torch.set_default_dtype(dtype)


def _out_of_memory(exc: BaseException) -> bool:
    return isinstance(exc, MemoryError | torch.OutOfMemoryError) or (
        isinstance(exc, RuntimeError) and "can't allocate memory" in str(exc)
    )


def _first_line(exc: BaseException) -> str:
    lines = str(exc).strip().splitlines()
    return f": {shorten(lines[0], LONGEST)}" if lines else ""


@contextmanager
def time_limit(seconds: float | None, message: str) -> Iterator[None]:
    """Interrupt the block after so many seconds of wall time, even one that would never end.

    Needs POSIX and the main thread; elsewhere, and with None, the block runs unguarded. A single
    call into compiled code is only interrupted when it comes back.

    Args:
        seconds: the limit; None or inf for none.
        message: of the failure.

    Raises:
        TooLate: the time was up.
    """
    if seconds is not None and seconds <= 0:
        raise TooLate(message)
    if seconds is None or seconds == math.inf or not _has_alarm():
        yield
        return
    started = time.monotonic()
    handler = signal.signal(signal.SIGALRM, _raise_time_up)
    # Rings again: a bare except in the subject swallows it once.
    delay, interval = signal.setitimer(signal.ITIMER_REAL, seconds, AGAIN)
    try:
        # An alarm that rings while the timer is being disarmed is caught as well.
        try:
            yield
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
    except _TimeUp:
        raise TooLate(message) from None
    finally:
        signal.signal(signal.SIGALRM, handler)
        if delay:  # somebody else's alarm, such as a test's time limit
            left = max(delay - (time.monotonic() - started), 1e-6)
            signal.setitimer(signal.ITIMER_REAL, left, interval)


def _has_alarm() -> bool:
    in_main = threading.current_thread() is threading.main_thread()
    return in_main and hasattr(signal, "setitimer")


def _raise_time_up(number: int, frame: FrameType | None) -> None:
    raise _TimeUp
