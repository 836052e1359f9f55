"""Processes that are killed at some moment."""

import multiprocessing
import os
import time

FORK = multiprocessing.get_context("fork")


def told_by(work, after=None):
    """What a process says that it has finished until it ends, or is killed after so long."""
    reader, writer = os.pipe()
    process = FORK.Process(target=work, args=(lambda line: os.write(writer, f"{line}\n".encode()),))
    process.start()
    os.close(writer)
    if after is not None:
        time.sleep(after)
        process.kill()
    with os.fdopen(reader) as told:
        found = told.read().splitlines()
    process.join()
    return found
