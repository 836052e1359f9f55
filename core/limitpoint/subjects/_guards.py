"""What keeps anything that a subject does from being more than a verdict."""

from __future__ import annotations

import math
import signal
import threading
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

import torch

from limitpoint.errors import Inconclusive, NotApplicable, SubjectFailed


class SubjectRaised(SubjectFailed):
    """The subject raised an exception of its own."""


class _TimeUp(BaseException):
    """Raised inside the subject; no Exception, so that its `except Exception` lets it through."""


@contextmanager
def blamed(where: str) -> Iterator[None]:
    """Make what is raised here the subject's failure; gradients are on, warnings no errors.

    Args:
        where: completes "raised ValueError ...", such as "at step 3".

    Raises:
        SubjectRaised: anything but a verdict was raised.
    """
    try:
        with warnings.catch_warnings(), torch.enable_grad():
            # A suite that makes warnings errors must not refute a theorem by a deprecation.
            warnings.simplefilter("once")
            yield
    except (SubjectFailed, Inconclusive, NotApplicable):
        raise
    except (Exception, SystemExit) as exc:
        raise SubjectRaised(f"raised {type(exc).__name__} {where}{_first_line(exc)}") from exc


def _first_line(exc: BaseException) -> str:
    lines = str(exc).strip().splitlines()
    return f": {lines[0]}" if lines else ""


@contextmanager
def time_limit(seconds: float | None, message: str) -> Iterator[None]:
    """Interrupt the block after so many seconds of wall time, even one that would never end.

    Needs POSIX and the main thread; elsewhere, and with None, the block runs unguarded. A single
    call into compiled code is only interrupted when it comes back.

    Args:
        seconds: the limit; None or inf for none.
        message: of the failure.

    Raises:
        SubjectFailed: the time was up.
    """
    if seconds is not None and seconds <= 0:
        raise SubjectFailed(message)
    if seconds is None or seconds == math.inf or not _has_alarm():
        yield
        return
    started = time.monotonic()
    handler = signal.signal(signal.SIGALRM, _raise_time_up)
    delay, interval = signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        # An alarm that rings while the timer is being disarmed is caught as well.
        try:
            yield
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
    except _TimeUp:
        raise SubjectFailed(message) from None
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
