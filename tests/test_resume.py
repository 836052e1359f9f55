"""Ledgers that are written as they grow, and gone on with."""

import errno
import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from toy_project import OPTIMIZERS, WORKERS, ledger_of, session_of

from limitpoint import Ledger, UsageError


def test_resume_goes_on_where_a_killed_run_stopped(project):
    _, whole = ledger_of(project, "--seeds", "1,2")
    path = project.path / "out" / "ledger.json"
    part = whole | {"claims": whole["claims"][:3]}
    path.write_text(json.dumps(part))
    result, again = ledger_of(project, "--seeds", "1,2", "--resume", path)
    result.assert_outcomes(passed=1, failed=4, deselected=3)

    def verdicts(ledger):
        return [(r["id"], r["seed"], r["verdict"]) for r in ledger["claims"]]

    assert verdicts(again) == verdicts(whole)


SLOW = """
import time
from limitpoint import Trial, claim

@claim("toy/slow", source="s", statement="s", hypotheses=(), kind="limit")
def test_slow(trial: Trial) -> None:
    time.sleep(0.3)
    trial.close("seed", trial.seed, trial.seed, 0.1, "toy")
"""


@WORKERS
def test_a_run_that_was_killed_goes_on(project, workers):
    project.makepyfile(test_slow=SLOW)
    path = project.path / "ledger.json"
    words = ["-p", "no:cacheprovider", "--seeds", "0-9", *workers, "test_slow.py"]
    with subprocess.Popen([sys.executable, "-m", "pytest", *words, "--ledger", path]) as first:
        seeds_once_there(path, 3)
        first.kill()
    kept = seeds_once_there(path, 3)
    assert len(kept) < 10
    result = project.runpytest_subprocess(*words, "--resume", path)
    assert result.ret == 0
    result.assert_outcomes(passed=10 - len(kept), deselected=0 if workers else len(kept))
    assert seeds_once_there(path, 10) == list(range(10))


def seeds_once_there(path, count):
    """The seeds in a ledger that another process writes, as soon as there are so many."""
    ends = time.monotonic() + 120
    while time.monotonic() < ends:
        seeds = [r["seed"] for r in Ledger.read(path).claims] if path.exists() else []
        if len(seeds) >= count:
            return seeds
        time.sleep(0.02)
    raise AssertionError(f"{len(seeds)} of {count} records after two minutes")


@WORKERS
def test_resume_runs_again_what_failed(project, workers):
    _, whole = ledger_of(project)
    path = project.path / "out" / "ledger.json"
    result, again = ledger_of(project, "--resume", path, *workers)
    result.assert_outcomes(failed=2, deselected=0 if workers else 2)
    assert result.ret == 1
    assert [(r["id"], r["verdict"]) for r in again["claims"]] == [
        (r["id"], r["verdict"]) for r in whole["claims"]
    ]


def test_resume_keeps_a_failure_that_does_not_run_again(project):
    _, whole = ledger_of(project)
    path = project.path / "out" / "ledger.json"
    _, again = ledger_of(project, "--resume", path, "-k", "undecided")
    assert [r["id"] for r in again["claims"]] == [r["id"] for r in whole["claims"]]


@WORKERS
def test_resume_with_nothing_left_is_fine(project, workers):
    words = ("--seeds", "2", "-k", "goes-down or elsewhere")
    ledger_of(project, *words)
    path = project.path / "out" / "ledger.json"
    result, again = ledger_of(project, "--resume", path, *words, *workers)
    assert result.ret == 0
    assert len(again["claims"]) == 2


def test_resume_of_claims_that_are_not_there_is_no_success(project):
    ledger_of(project, "-k", "goes-down")
    path = project.path / "out" / "ledger.json"
    result, _ = ledger_of(project, "--resume", path, "-k", "no-such-claim")
    assert result.ret == 5


FIXED = """
from limitpoint import claim

@claim("toy/fixed", source="s", statement="s", hypotheses=(), kind="limit", seeded=False)
def test_fixed(trial):
    trial.close("one", 1.0, 1.0, 0.1, "toy")
"""


def test_resume_knows_a_claim_on_fixed_data_under_any_seed(project):
    project.makepyfile(test_fixed=FIXED)
    _, ledger = ledger_of(project, "-k", "fixed")
    assert [(r["seed"], r["seeded"]) for r in ledger["claims"]] == [(42, False)]
    path = project.path / "out" / "ledger.json"
    result, again = ledger_of(project, "-k", "fixed", "--resume", path, "--seeds", "0-9")
    assert result.ret == 0
    assert again["claims"] == ledger["claims"]


def test_resume_refuses_a_subject_whose_source_has_changed(project):
    words = ("--subject", "gd=own:Uphill,lr=0.01")
    _, ledger = ledger_of(project, *words)
    assert list(ledger["environment"]["sources"]) == ["gd=own:Uphill,lr=0.01"]
    path = project.path / "out" / "ledger.json"
    assert session_of(project, *words, "--resume", path).failed
    project.makepyfile(own=OPTIMIZERS.replace("maximize=True", "maximize=False"))
    with pytest.raises(UsageError, match=r"the source of gd=own:Uphill,lr=0\.01 has changed"):
        session_of(project, *words, "--resume", path)


def test_resume_refuses_a_ledger_of_other_images(project):
    _, ledger = ledger_of(project, "-k", "goes-down")
    assert ledger["environment"]["images"] == "stand-ins"
    path = project.path / "other.json"
    ledger["environment"]["images"] = "/data/cifar"
    path.write_text(json.dumps(ledger))
    with pytest.raises(UsageError, match="its images were /data/cifar, now stand-ins"):
        session_of(project, "--resume", path)


def test_resume_refuses_a_ledger_of_another_commit(project):
    path = project.path / "ledger.json"
    path.write_text(
        json.dumps({"schema": 1, "suite": {"commit": "x"}, "environment": {}, "claims": []})
    )
    with pytest.raises(UsageError, match="another version or commit"):
        session_of(project, "--resume", path)


@pytest.mark.parametrize("option", ["--ledger", "--resume"])
def test_a_ledger_that_cannot_be_written_stops_the_run_at_its_start(project, option, monkeypatch):
    _, ledger = ledger_of(project, "-k", "goes-down")
    good = project.path / "out" / "ledger.json"
    path = good / "ledger.json" if option == "--ledger" else good
    if option == "--resume":
        monkeypatch.setattr(Path, "touch", _full)
    with pytest.raises(
        UsageError, match=r"ledger\.json: cannot be written \((its folder|No space)"
    ):
        session_of(project, option, path)
    assert json.loads(good.read_text()) == ledger
    assert list(good.parent.iterdir()) == [good]


def _full(path):
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_a_ledger_that_can_no_longer_be_written_is_one_line(project):
    project.makepyfile(
        test_aa="""
        from pathlib import Path
        from limitpoint import claim
        @claim("toy/aa", source="s", statement="s", hypotheses=(), kind="limit", seeded=False)
        def test_aa(trial):
            Path("ledger.json").mkdir()
            trial.close("one", 1.0, 1.0, 0.1, "toy")
        """
    )
    result = project.runpytest_subprocess("--ledger", "ledger.json")
    assert result.ret == 2
    result.stdout.fnmatch_lines(["*Exit: ledger.json: cannot be written*"])
    assert "Traceback" not in result.stdout.str() + result.stderr.str()
    assert not list(project.path.glob("*.part"))
