"""Two processors for every peer, and no warnings of other people's packages as errors."""

from __future__ import annotations

import os

import pytest

THREADS = 2


def pytest_configure(config: pytest.Config) -> None:
    """Give the whole process two processors before any peer counts them."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:THREADS])
    os.environ["LIMITPOINT_THREADS"] = str(THREADS)
    # jax starts a logger of its own, torch.compile a compiler.
    config.addinivalue_line("filterwarnings", "default")
