"""A subject's run in a process of its own, which it can only leave as arrays or as a verdict.

The process is a fork: it has the problem and the subject as they are, and whatever it does to
itself, to torch or to limitpoint ends with it, so that no run depends on another. What it may take
is set once, at its start; the parent watches over the rest, and ends the process with everything
that it has started.
"""

from __future__ import annotations

import gc
import logging
import os
import random
import select
import signal
import struct
import sys
import time
import traceback
import warnings
from collections.abc import Callable, Mapping
from contextlib import ContextDecorator, nullcontext
from typing import NoReturn, TypeVar

import msgspec
import numpy as np
import torch

from limitpoint.errors import Inconclusive, NotApplicable, SubjectFailed, UsageError
from limitpoint.optimizers.rule import Arrays
from limitpoint.subjects import _system
from limitpoint.subjects._guards import NotRun, OutOfMemory, TooLate
from limitpoint.subjects._limits import Limits
from limitpoint.subjects._printed import Printed, reprint
from limitpoint.subjects._pulse import PULSE, STARTING

#: Wall time that a subject may sleep or wait, in units of its limit.
PATIENCE = 10
TICK = 0.05
HEADER = struct.Struct("<Q")
PIECE = 1 << 20
#: Where a subject's tracebacks go.
LOG = logging.getLogger("limitpoint.subjects")
RAISED: Mapping[str, type[Exception]] = {
    kind.__name__: kind
    for kind in (OutOfMemory, TooLate, SubjectFailed, NotRun, Inconclusive, NotApplicable)
}
T = TypeVar("T")
_inside = False


class Reply(msgspec.Struct):
    """What a run came to.

    Args:
        outcome: "done", the name of a verdict's exception, or "error" for one of the claim's own.
        text: of the exception.
        arrays: dtype, shape and bytes by name.
        printed: what it printed, as far as that is kept, and a traceback.
        notes: what is to be said of how it was run.
    """

    outcome: str
    text: str = ""
    arrays: dict[str, tuple[str, tuple[int, ...], bytes]] = {}
    printed: str = ""
    trace: str = ""
    notes: list[str] = []


def apart(
    work: Callable[[], Arrays],
    limits: Limits,
    *,
    notes: list[str] | None = None,
    watch: Callable[[int], None] | None = None,
) -> Arrays:
    """Do somebody else's work in a process of its own.

    Args:
        work: what it is; it tells `PULSE` where it is.
        limits: what it may take.
        notes: what work has to say beside its arrays; extended here by what it adds there.
        watch: called with the step now and then.

    Raises:
        SubjectFailed: it failed, crashed, or took more than it may.
        Inconclusive: time ran out, but not in one call; or what work raised.
    """
    if _inside or not hasattr(os, "fork"):
        return work()
    reader, writer = os.pipe()
    PULSE.tell(STARTING)
    sys.stdout.flush()
    sys.stderr.flush()
    chance = random.getstate()  # a fork starts it anew
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # fork and threads: the child uses none
        pid = os.fork()
    if pid == 0:
        random.setstate(chance)
        _serve(work, limits, notes if notes is not None else [], writer)
    os.close(writer)
    try:
        reply = _Watch(pid, reader, limits, watch).reply()
    finally:
        _system.end(pid)
        os.close(reader)
    reprint(reply.printed)
    if notes is not None:
        notes[:] = reply.notes
    return opened(reply)


def told_apart(work: Callable[[], T], kind: type[T], limits: Limits) -> T:
    """`apart` for what is no array: whatever msgspec packs, of a type."""
    raw = apart(lambda: {"told": np.frombuffer(msgspec.msgpack.encode(work()), np.uint8)}, limits)
    return msgspec.msgpack.decode(raw["told"].tobytes(), type=kind)


def opened(reply: Reply) -> Arrays:
    """The arrays of a reply; or what it raised over there, raised here."""
    if reply.trace:
        LOG.info("%s", reply.trace.rstrip())
    if reply.outcome in RAISED:
        raise RAISED[reply.outcome](reply.text) from _Trace.of(reply.trace)
    if reply.outcome == "UsageError":
        raise UsageError(reply.text)
    if reply.outcome != "done":
        raise RuntimeError(f"{reply.text}\n{reply.trace}")
    try:
        return {
            name: np.frombuffer(raw, dtype=np.dtype(kind)).reshape(shape).copy()
            for name, (kind, shape, raw) in reply.arrays.items()
        }
    except (TypeError, ValueError):
        raise SubjectFailed("its process returned no arrays") from None


class _Trace(Exception):  # noqa: N818 - a text, hung on an exception of another process
    """Where something was raised over there."""

    @classmethod
    def of(cls, text: str) -> _Trace | None:
        return cls(f"\n{text}") if text else None


class _Watch:
    """The parent's side: waits for the reply, and for what else may happen."""

    def __init__(
        self, pid: int, reader: int, limits: Limits, watch: Callable[[int], None] | None
    ) -> None:
        self.pid, self.reader, self.limits, self.watch = pid, reader, limits, watch
        self.timeout = limits.timeout
        self.began = self.moved = time.monotonic()
        self.used_before, self.count = 0.0, PULSE.count
        self.read = bytearray()

    def reply(self) -> Reply:
        poll = select.poll()
        poll.register(self.reader, select.POLLIN)
        tick = TICK if self.timeout is None else min(TICK, self.timeout / 4)
        while not self._complete():
            if poll.poll(tick * 1000):
                piece = os.read(self.reader, PIECE)
                if not piece:
                    raise _system.dead(self.pid, PULSE.where)
                self.read += piece
            else:
                self._look()
        try:
            return msgspec.msgpack.decode(self.read[HEADER.size :], type=Reply)
        except msgspec.DecodeError:
            raise SubjectFailed(f"its process sent no reply {PULSE.where}") from None

    def _complete(self) -> bool:
        if len(self.read) < HEADER.size:
            return False
        (size,) = HEADER.unpack_from(self.read)
        return len(self.read) >= HEADER.size + size

    def _look(self) -> None:
        """Raise what is to be said of a process that is dead, stands still or takes too long."""
        if not self._complete() and _system.has_ended(self.pid):
            raise _system.dead(self.pid, PULSE.where)
        if self.watch is not None and PULSE.place >= 0:
            self.watch(PULSE.place)
        if self.timeout is None:
            return
        now, used = time.monotonic(), _system.processor_seconds(self.pid)
        if used is None:
            used = now - self.began
        if PULSE.count != self.count:
            self.count, self.moved, self.used_before = PULSE.count, now, used
        where, limit = PULSE.where, self.timeout
        # On a busy machine one that could go on may have to wait: that is not its fault.
        idle = not _system.is_runnable(self.pid)
        computes = used > limit and used - self.used_before > limit / 2
        if computes or (idle and now - self.moved > limit):
            raise TooLate(f"exceeded its time limit of {limit:g} s {where}")
        if used > limit or (idle and now - self.began > PATIENCE * limit):
            raise Inconclusive(f"time ran out {where}: {limit:g} s are too few for this run")


def _serve(work: Callable[[], Arrays], limits: Limits, notes: list[str], writer: int) -> NoReturn:
    """The child's side: never returns."""
    global _inside
    _inside = True
    try:
        gc.freeze()
        printed = Printed()
        _system.settle(writer, printed, limits.memory)
        settle_torch()
        warnings.simplefilter("ignore")  # a suite's errors: none of the subject's
        reply = done(work, limits)
        reply.printed, reply.notes = printed.text(), notes
        raw = msgspec.msgpack.encode(reply)
        _send(writer, HEADER.pack(len(raw)))
        _send(writer, raw)
        while True:  # its children are found as long as it lives
            signal.pause()
    finally:
        os._exit(1)


def settle_torch() -> None:
    """Fit torch to a fork: one thread, no CUDA, and no profiler.

    CUDA does not survive a fork, and torch's optimizers ask for it at each step: there is none
    here, where the steps are taken on the CPU. They tell a profiler of each step, too.
    """
    torch.set_num_threads(1)
    vars(torch.cuda)["is_available"] = lambda: False
    vars(torch.autograd.profiler)["record_function"] = _Untold


class _Untold(nullcontext[None], ContextDecorator):
    """In place of torch's `record_function`."""

    def __init__(self, name: str, args: str | None = None) -> None:
        super().__init__()


def done(work: Callable[[], Arrays], limits: Limits) -> Reply:
    """Work, and what it came to."""
    try:
        arrays = work()
        packed = {
            name: (a.dtype.str, a.shape, np.ascontiguousarray(a).tobytes())
            for name, a in arrays.items()
        }
        return Reply("done", arrays=packed)
    except OutOfMemory as out:
        big = f"used more than {limits.memory or 0:g} GB of memory {PULSE.where}"
        return Reply("OutOfMemory", str(out) if limits.memory is None else big)
    except BaseException as exc:
        kinds = [kind.__name__ for kind in type(exc).__mro__]
        known = next((kind for kind in kinds if kind in (*RAISED, "UsageError")), "error")
        text = str(exc) if known != "error" else f"{type(exc).__name__}: {exc}"
        if not isinstance(exc, Exception):  # such as a KeyboardInterrupt of its own
            known, text = "SubjectFailed", f"raised {type(exc).__name__} {PULSE.where}"
        cause = exc.__cause__ or exc
        return Reply(known, text, trace="".join(traceback.format_exception(cause)))


def _send(writer: int, raw: bytes) -> None:
    view = memoryview(raw)
    while view:
        view = view[os.write(writer, view) :]
