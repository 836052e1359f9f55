"""How often: some hundred times in each run of the tests, as promised in the nightly one.

`pytest tests/trust --hypothesis-profile nightly` is the long form.
"""

import resource
import signal
import sys

import pytest
from hypothesis import HealthCheck, settings

#: Parsing is bounded work: processor seconds that no input may take, and bytes that none may add.
SECONDS, MEGABYTES = 20, 200

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


def _peak():
    kilo = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * kilo


@pytest.fixture
def bounded():
    """Fails a test that hangs, or whose inputs make it grow."""

    def hang(*_):
        raise AssertionError(f"an input took {SECONDS} s of processor time")

    usual = signal.signal(signal.SIGPROF, hang)
    before = _peak()
    yield lambda: signal.setitimer(signal.ITIMER_PROF, SECONDS)
    signal.setitimer(signal.ITIMER_PROF, 0)
    signal.signal(signal.SIGPROF, usual)
    assert _peak() - before < MEGABYTES * 1e6
