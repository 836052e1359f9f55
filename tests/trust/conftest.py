"""How often: some hundred times in each run of the tests, as promised in the nightly one.

`pytest tests/trust --hypothesis-profile nightly` is the long form.
"""

import resource
import signal
from argparse import ArgumentTypeError
from contextlib import contextmanager
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from limitpoint import UsageError

#: Parsing is bounded work: processor seconds that no input may take, and bytes that none may add.
SECONDS, MEGABYTES = 20, 200
STATM = Path("/proc/self/statm")

rare = (HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.function_scoped_fixture)
settings.register_profile("usual", max_examples=100, deadline=None, suppress_health_check=rare)
settings.register_profile(
    "nightly", max_examples=100_000, deadline=None, suppress_health_check=rare
)


def pytest_configure(config):
    if config.getoption("--hypothesis-profile", None) is None:
        settings.load_profile("usual")


@pytest.fixture
def times():
    """Picks by the profile: `times(usual, nightly)`."""
    return lambda usual, nightly: nightly if settings().max_examples > 1000 else usual


@pytest.fixture
def bounded():
    """A context in which what hangs, or grows, raises."""

    def hang(*_):
        raise AssertionError(f"an input took {SECONDS} s of processor time")

    @contextmanager
    def bound():
        usual = resource.getrlimit(resource.RLIMIT_AS)
        if STATM.exists():  # Linux
            pages = int(STATM.read_text().split()[0])
            most = pages * resource.getpagesize() + MEGABYTES * 10**6
            resource.setrlimit(resource.RLIMIT_AS, (most, usual[1]))
        signal.setitimer(signal.ITIMER_PROF, SECONDS)
        try:
            yield
        finally:
            signal.setitimer(signal.ITIMER_PROF, 0)
            resource.setrlimit(resource.RLIMIT_AS, usual)

    before = signal.signal(signal.SIGPROF, hang)
    yield bound
    signal.signal(signal.SIGPROF, before)


@pytest.fixture
def refused(bounded):
    """Calls, and takes one line for an answer; what was read, or None."""

    def call(read, *words):
        try:
            with bounded():
                return read(*words)
        except (UsageError, ArgumentTypeError) as exc:
            told = str(exc)
        assert told.isprintable()
        assert len(told) > 5
        return None

    return call
