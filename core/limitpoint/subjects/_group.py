"""A subject's run in several processes at once, which are one process group."""

from __future__ import annotations

import multiprocessing
import os
import sys
import tempfile
import warnings
from collections.abc import Callable
from datetime import timedelta
from multiprocessing.connection import Connection, wait
from pathlib import Path

from torch import distributed

from limitpoint.errors import Inconclusive
from limitpoint.optimizers.rule import Arrays
from limitpoint.subjects._limits import UNLIMITED
from limitpoint.subjects._system import leave_the_terminal
from limitpoint.subjects._worker import Reply, done, opened, settle_torch

#: Seconds that one process waits for another.
PATIENCE = 60


def together(work: Callable[[int], Arrays], processes: int) -> list[Arrays]:
    """What work comes to in each of several processes, forks of this one.

    They are a group of torch.distributed on gloo, and none other: a group of this process is not
    theirs.

    Args:
        work: given its rank.
        processes: how many.

    Raises:
        NotApplicable: there is no such group on this machine.
        Inconclusive: one of them does not answer.
        SubjectFailed: and what else work raised in the first that did; the others are ended.
    """
    fork = multiprocessing.get_context("fork")
    with tempfile.TemporaryDirectory() as folder:
        meeting, readers, started = Path(folder) / "group", [], []
        for rank in range(processes):
            reader, writer = fork.Pipe(duplex=False)
            arguments = (work, rank, processes, meeting, writer)
            begun = fork.Process(target=_join, args=arguments, daemon=True)
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # fork and threads: the child uses none
                begun.start()
            writer.close()
            readers.append(reader)
            started.append(begun)
        try:
            return _collected(readers)
        finally:
            for each in started:
                each.kill()
                each.join()


def _collected(readers: list[Connection]) -> list[Arrays]:
    """The replies in order, as they arrive: the first failure is the one that counts."""
    found: dict[int, Arrays] = {}
    while len(found) < len(readers):
        waiting = [reader for k, reader in enumerate(readers) if k not in found]
        ready = wait(waiting, timeout=PATIENCE)
        if not ready:
            raise Inconclusive(f"a process of the group did not answer within {PATIENCE} s")
        for reader in ready:
            assert isinstance(reader, Connection)
            try:
                reply: Reply = reader.recv()
            except EOFError:
                reply = Reply("SubjectFailed", "ended one process of the group")
            found[readers.index(reader)] = opened(reply)
    return [found[k] for k in range(len(readers))]


def _join(
    work: Callable[[int], Arrays], rank: int, processes: int, meeting: Path, writer: Connection
) -> None:
    leave_the_terminal()  # gloo has last words
    settle_torch()
    try:
        _form(rank, processes, meeting)
    except (RuntimeError, ValueError, OSError) as exc:
        why = f"hypothesis not met: a process group on gloo ({str(exc).splitlines()[0]})"
        writer.send(Reply("NotApplicable", why))
    else:
        writer.send(done(lambda: work(rank), UNLIMITED))


def _form(rank: int, processes: int, meeting: Path) -> None:
    # The parent's group knows one process; to destroy it would wait for threads that no fork has.
    distributed.GroupMember.WORLD = None
    if sys.platform == "linux":  # a name of this machine need not resolve
        os.environ.setdefault("GLOO_SOCKET_IFNAME", "lo")
    store = distributed.FileStore(str(meeting), processes)  # type: ignore[attr-defined]
    distributed.init_process_group(
        "gloo", store=store, rank=rank, world_size=processes, timeout=timedelta(seconds=PATIENCE)
    )
