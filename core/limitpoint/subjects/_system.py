"""What the operating system does for a subject's process: limits, times, an end to all of it."""

from __future__ import annotations

import contextlib
import ctypes
import faulthandler
import io
import os
import signal
import sys
from pathlib import Path
from types import ModuleType

from limitpoint.errors import SubjectFailed

resource: ModuleType | None
try:
    import resource
except ImportError:  # not POSIX
    resource = None

GIGABYTE = 1e9
DIES_WITH_PARENT, ADOPTS_ORPHANS = 1, 36  # of prctl(2)


def settle(writer: int, output: io.TextIOBase, memory: float | None) -> None:
    """Make this process one that can be ended as a whole, reaches no file of its parent's, prints
    nowhere, and has its limits.

    Args:
        writer: the one file descriptor that it keeps.
        output: takes what Python prints; what others print is lost.
        memory: gigabytes that it may gain, or None.
    """
    os.setsid()
    if sys.platform == "linux":
        prctl = ctypes.CDLL(None).prctl
        prctl(DIES_WITH_PARENT, signal.SIGKILL)
        prctl(ADOPTS_ORPHANS, 1)
    faulthandler.disable()
    for number in (signal.SIGINT, signal.SIGALRM, signal.SIGTERM):
        signal.signal(number, signal.SIG_DFL)
    leave_the_terminal()
    os.closerange(3, writer)
    os.closerange(writer + 1, os.sysconf("SC_OPEN_MAX"))
    sys.stdout = sys.stderr = output
    if resource is None:
        return
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    mapped = _mapped()
    if memory is not None and mapped:
        _, hard = resource.getrlimit(resource.RLIMIT_AS)
        wanted = mapped + int(memory * GIGABYTE)
        least = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        resource.setrlimit(resource.RLIMIT_AS, (least, least))


def leave_the_terminal() -> None:
    """Read and print nowhere, whatever language it is done in."""
    nowhere = os.open(os.devnull, os.O_RDWR)
    for stream in range(3):
        os.dup2(nowhere, stream)


def _mapped() -> int:
    """The process's address space in bytes; 0 where it is not known."""
    try:
        pages = int(Path("/proc/self/statm").read_text().split()[0])
    except OSError:
        return 0
    return pages * os.sysconf("SC_PAGE_SIZE")


def _stat(pid: int) -> list[str]:
    """The fields of /proc/PID/stat from the state on; none where there is no such file."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except (OSError, UnicodeError):
        return []


def processor_seconds(pid: int) -> float | None:
    """What a process and its ended children have computed; None where it is not known."""
    fields = _stat(pid)
    return sum(map(int, fields[11:15])) / os.sysconf("SC_CLK_TCK") if fields else None


def is_runnable(pid: int) -> bool:
    """Whether a process would compute if it were given a processor."""
    return _stat(pid)[:1] == ["R"]


def has_ended(pid: int) -> bool:
    """Whether a child has ended; it stays to be waited for."""
    flags = os.WEXITED | os.WNOHANG | os.WNOWAIT
    return os.waitid(os.P_PID, pid, flags) is not None


def dead(pid: int, where: str) -> SubjectFailed:
    """What is to be said of a child that ended without a reply."""
    found = os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)
    if found is None or found.si_code == os.CLD_EXITED:
        code = "" if found is None else f" (exit code {found.si_status})"
        return SubjectFailed(f"ended its process {where}{code}")
    name = signal.Signals(found.si_status).name
    return SubjectFailed(f"crashed {where} ({name})")


def end(pid: int) -> None:
    """End a child and all that it has started."""
    below = _descendants(pid)
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, signal.SIGKILL)
    for each in (pid, *below):
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.kill(each, signal.SIGKILL)
    os.waitpid(pid, 0)


def _descendants(pid: int) -> list[int]:
    """The processes that a process has started, and theirs; none where it is not known."""
    found = [pid]
    for each in found:
        for children in Path(f"/proc/{each}/task").glob("*/children"):
            with contextlib.suppress(OSError):
                found += map(int, children.read_text().split())
    return found[1:]
