"""Strict numerics for the library's own tests, the wheel, and what each test costs."""

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
import torch

ROOT = Path(__file__).resolve().parent.parent

_SLOWEST = 20
_STARTED = pytest.StashKey[float]()

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


def _processor_seconds():
    """Of this process and of the children that it has waited for."""
    times = os.times()
    return times.user + times.system + times.children_user + times.children_system


@pytest.hookimpl(wrapper=True)
def pytest_runtest_teardown(item):
    """Note what the test cost, fixtures included; xdist carries the note to the summary."""
    result = yield
    item.user_properties.append(("processor_seconds", _processor_seconds() - item.stash[_STARTED]))
    return result


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_setup(item):
    item.stash[_STARTED] = _processor_seconds()
    return (yield)


def pytest_terminal_summary(terminalreporter):
    """List the twenty tests that cost most: what is long belongs into the nightly job."""
    costs = [
        (dict(report.user_properties).get("processor_seconds", 0), report.nodeid)
        for reports in terminalreporter.stats.values()
        for report in reports
        if getattr(report, "when", None) == "teardown"
    ]
    if len(costs) > _SLOWEST:
        total = sum(seconds for seconds, _ in costs)
        terminalreporter.section(f"processor time: {total:.0f} s, the {_SLOWEST} longest tests")
        for seconds, test in sorted(costs, reverse=True)[:_SLOWEST]:
            terminalreporter.write_line(f"{seconds:7.1f} s  {test}")
