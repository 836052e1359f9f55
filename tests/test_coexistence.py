"""The plugin takes nothing that somebody else has: option names, fixtures, attributes, time."""

import re
import sys

import pytest

from limitpoint import Ledger
from limitpoint.plugin import OPTIONS

VALUED = sorted(name for name, option in OPTIONS.items() if "default" in option)
CONFTEST = """
import pytest

def pytest_addoption(parser):
    parser.addoption("--{name}", default="theirs")

@pytest.fixture
def trial():
    return "their trial"
"""
OWN = """
def test_own(request, trial):
    assert request.config.getoption("--{name}") == "mine"
    assert trial == "their trial"
"""


def theirs(project, name, where):
    """Somebody's options and fixtures in their conftest.py, or in a plugin of theirs."""
    text = CONFTEST.format(name=name)
    project.makepyfile(test_own=OWN.format(name=name))
    if where == "conftest":
        project.makeconftest(text)
        return []
    project.makepyfile(their_plugin=text)
    return ["-p", "their_plugin"]


@pytest.mark.parametrize("where", ["conftest", "plugin"])
@pytest.mark.parametrize("name", VALUED)
def test_an_option_of_somebody_elses_is_theirs(project, name, where):
    words = theirs(project, name, where)
    done = project.runpytest_subprocess(*words, f"--{name}", "mine", "test_own.py")
    assert done.ret == 0, done.stdout.str()
    done.assert_outcomes(passed=1)


@pytest.mark.parametrize("workers", [(), ("-n", "2")], ids=["alone", "two-workers"])
def test_claims_run_beside_somebody_elses_options_and_trial(project, workers):
    words = theirs(project, "seeds", "conftest")
    own = ["--seeds", "mine", "--limitpoint-seeds", "1,2", "--ledger", "out.json"]
    only = ["-k", "own or goes-down"]
    done = project.runpytest_subprocess(*words, *own, *only, *workers)
    done.assert_outcomes(passed=3, deselected=0 if workers else 6)
    assert [r.seed for r in Ledger.read(project.path / "out.json").claims] == [1, 2]


def test_an_existing_file_as_value_hides_no_conftest(project, tmp_path):
    """pytest looks for conftest.py at what it takes for paths, before it knows the options."""
    ledger = tmp_path / "elsewhere" / "ledger.json"
    ledger.parent.mkdir()
    done = project.runpytest_subprocess("--ledger", ledger, "-k", "goes-down")
    done.assert_outcomes(passed=1, deselected=3)
    theirs(project, "foo", "conftest")
    done = project.runpytest_subprocess("--foo", "mine", "--ledger", ledger, "-k", "test_own")
    done.assert_outcomes(passed=1, deselected=4)


def test_an_attribute_claim_of_somebody_elses_is_theirs(project):
    project.makepyfile(
        test_plain="""
        def test_plain():
            pass
        test_plain.claim = "we are the best"
        """
    )
    project.runpytest_subprocess("test_plain.py").assert_outcomes(passed=1)


def test_a_session_without_claims_loads_nothing_heavy_and_pays_little(project):
    """The plugin's own modules take under 50 ms, by -X importtime."""
    project.makepyfile(test_plain="def test_plain():\n    pass")
    heavy = ("torch", "numpy", "msgspec", "rich", "jinja2")
    code = (
        "import sys, pytest;"
        "code = pytest.main(['-q', 'test_plain.py']);"
        f"sys.exit(int(code) or any(name in sys.modules for name in {heavy}))"
    )
    assert project.run(sys.executable, "-c", code).ret == 0
    command = [sys.executable, "-X", "importtime", "-m", "pytest", "-q", "test_plain.py"]
    best = min(milliseconds(project.run(*command).stderr.str()) for _ in range(3))
    assert 0 < best < 50


def milliseconds(text):
    """What limitpoint's modules took together, with what they alone import."""
    lines = re.findall(r"import time:\s+(\d+) \|\s+(\d+) \|(\s+)(\S+)", text)
    least = min(len(indent) for *_, indent, name in lines if name.startswith("limitpoint"))
    own = [
        int(total) for _, total, indent, name in lines
        if len(indent) == least and name.startswith("limitpoint")
    ]  # fmt: skip
    return sum(own) / 1000


def test_a_subject_that_no_selected_claim_is_about_is_an_error(project):
    words = ("--subject", "ngd=torch.optim:SGD")
    for workers in ((), ("-n", "2")):
        done = project.runpytest_subprocess(*words, *workers)
        assert done.ret == 2
        text = done.stdout.str() + done.stderr.str()
        assert "no selected claim is about the role 'ngd'" in text
    wrong = ("--subject", "adam=torch.optim:SGD", "-k", "undecided")
    assert project.runpytest_subprocess(*wrong).ret == 2
