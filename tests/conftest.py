"""Strict numerics for the library's own tests."""

import pytest
import torch

pytest_plugins = ["pytester"]


@pytest.fixture(autouse=True)
def _one_thread():
    """Small tensors: one thread is faster, and xdist already uses the cores."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)
