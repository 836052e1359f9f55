"""Strict numerics for the library's own tests, and the wheel as somebody else installs it."""

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
import torch

ROOT = Path(__file__).resolve().parent.parent

pytest_plugins = ["pytester", "toy_project"]


@pytest.fixture(autouse=True)
def _one_thread():
    """Small tensors: one thread is faster, and xdist already uses the cores."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="session")
def wheel(tmp_path_factory):
    """The wheel, built from this checkout."""
    out = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", out, ROOT]
    subprocess.run(command, check=True, capture_output=True)
    (found,) = out.glob("limitpoint-*.whl")
    return found


@pytest.fixture(scope="session")
def site(wheel, tmp_path_factory):
    """A folder with the wheel's content, to put on PYTHONPATH before this checkout."""
    folder = tmp_path_factory.mktemp("site")
    zipfile.ZipFile(wheel).extractall(folder)
    return folder
