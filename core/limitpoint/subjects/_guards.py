"""What makes of anything that a subject raises a verdict."""

from __future__ import annotations

import traceback
from pathlib import Path
from textwrap import shorten

import torch

from limitpoint.errors import Inconclusive, NotApplicable, SubjectFailed

LONGEST = 200
HERE = str(Path(__file__).parents[1])
TORCH = str(Path(torch.__file__).parent)


class SubjectRaised(SubjectFailed):
    """The subject raised an exception of its own."""


class OutOfMemory(SubjectRaised):
    """It asked for more memory than there is, or than it may have."""


class TooLate(SubjectFailed):
    """It did not come back in time."""


class NotRun(Inconclusive):
    """No way of calling it took it through one step: nothing is known of its steps."""


class blamed:  # noqa: N801 - a context manager, and no generator: it is entered at each step
    """Make what is raised here the subject's failure; gradients are on.

    torch's default dtype is restored: the subject's word is nobody else's.

    Args:
        where: completes "raised ValueError ...", such as "at step 3".

    Raises:
        SubjectRaised: anything but a verdict was raised.
    """

    def __init__(self, where: str) -> None:
        self.where = where

    def __enter__(self) -> None:
        self.dtype, self.graded = torch.get_default_dtype(), torch.is_grad_enabled()
        torch.set_grad_enabled(True)

    def __exit__(self, kind: object, exc: BaseException | None, trace: object) -> None:
        torch.set_grad_enabled(self.graded)
        if torch.get_default_dtype() != self.dtype:
            torch.set_default_dtype(self.dtype)
        if exc is None or isinstance(exc, SubjectFailed | Inconclusive | NotApplicable):
            return
        if isinstance(exc, Exception | SystemExit):
            if _out_of_memory(exc):
                raise OutOfMemory(f"ran out of memory {self.where}") from None
            raise SubjectRaised(f"raised {type(exc).__name__} {self.where}{_told(exc)}") from exc


def _out_of_memory(exc: BaseException) -> bool:
    return isinstance(exc, MemoryError | torch.OutOfMemoryError) or (
        isinstance(exc, RuntimeError) and "can't allocate memory" in str(exc)
    )


def _told(exc: BaseException) -> str:
    """The first line of what it says, and the last line of the subject's own code."""
    lines = str(exc).strip().splitlines()
    said = f": {shorten(lines[0], LONGEST)}" if lines else ""
    own = [f for f in traceback.extract_tb(exc.__traceback__) if not _is_ours(f.filename)]
    return f"{said} ({Path(own[-1].filename).name}:{own[-1].lineno})" if own else said


def _is_ours(file: str) -> bool:
    return file.startswith((HERE, TORCH, "<"))
