"""The pytest plugin: options, verdicts as outcomes, ledger, summary."""

import errno
import json
import math
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

# pytester forgets what an inner session imports, and C extensions load but once: load them here.
import limitpoint.judgement.registry
import limitpoint.subjects
import limitpoint.views.terminal  # noqa: F401
from limitpoint.errors import UsageError
from limitpoint.ledger import FIELDS, Ledger
from limitpoint.ledger.ledger import _commit
from limitpoint.plugin import Options

WORKERS = pytest.mark.parametrize("workers", [(), ("-n", "2")], ids=["alone", "two-workers"])
CLAIMS = '''
import torch
from limitpoint import Inconclusive, Trial, claim, problems

def record(name, roles=("gd",)):
    return dict(source="nowhere", statement="s", hypotheses=(), kind="limit", roles=roles)

@claim("toy/gd-goes-down", **record("gd"))
def test_gd_goes_down(trial: Trial) -> None:
    """GD goes down."""
    problem = problems.gaussian_regression(trial.seed)
    run = trial.run(problem, trial.optimizer("gd", 0.01), 20)
    trial.at_most("loss", problem.value(run.final), problem.value(run.w[0]) * 0.9, 0.0, "toy")

@claim("toy/wrong", **record("gd", ("adam",)))
def test_adam_wrong(trial: Trial) -> None:
    trial.at_most("two", 2.0 + 0 * trial.seed, 1.0, 0.1, "toy")

@claim("toy/undecided", **record("gd", ("usam",)))
def test_undecided(trial: Trial) -> None:
    raise Inconclusive("horizon: 10 steps are too few")

@claim("toy/elsewhere", **record("gd", ("usam",)))
def test_elsewhere(trial: Trial) -> None:
    trial.require("the seed is even", trial.seed % 2 == 0)
    trial.close("one", 1.0, 1.0, 0.1, "toy")
'''
OPTIMIZERS = """
import torch
from limitpoint.optimizers import GD

class Uphill(torch.optim.SGD):
    def __init__(self, params, lr):
        super().__init__(params, lr=lr, maximize=True)

class Explodes(torch.optim.SGD):
    def step(self, closure=None):
        raise RuntimeError("out of cheese")

class Greedy(torch.optim.SGD):
    def step(self, closure=None):
        self.kept = [*getattr(self, "kept", ()), torch.ones(10_000_000)]
        super().step()

class Endless(torch.optim.SGD):
    def step(self, closure=None):
        while True:
            pass

class EndlessRule(GD):
    def direction(self, oracle, w):
        while True:
            pass

class Marked(torch.optim.SGD):
    def step(self, closure=None):
        raise ValueError("[/red] and [bold]")

class Talks(torch.optim.SGD):
    def step(self, closure=None):
        print("the loss is fine " * 100)
        self.param_groups[0]["params"][0].data.sub_(1.0)

class NotANumber(torch.optim.SGD):
    def step(self, closure=None):
        for group in self.param_groups:
            for p in group["params"]:
                p.data.fill_(float("nan"))
"""


@pytest.fixture(scope="module", autouse=True)
def _compilers_loaded():
    """The first step of a torch optimizer loads torch's compilers, also once a process."""
    parameter = torch.nn.Parameter(torch.ones(1))
    parameter.grad = torch.ones(1)
    torch.optim.SGD([parameter], lr=0.1).step()


@pytest.fixture
def project(pytester, monkeypatch):
    pytester.makepyfile(test_toy=CLAIMS, own=OPTIMIZERS)
    monkeypatch.syspath_prepend(str(pytester.path))
    yield pytester
    sys.modules.pop("own", None)


def ledger_of(project, *words):
    path = project.path / "out" / "ledger.json"
    result = project.runpytest("--ledger", path, "-p", "no:cacheprovider", *words)
    return result, json.loads(path.read_text())


def test_verdicts_become_outcomes(project):
    result, ledger = ledger_of(project, "--seeds", "1,2")
    result.assert_outcomes(passed=3, failed=4, skipped=1)
    assert result.ret == 1
    verdicts = {(r["id"], r["seed"]): r["verdict"] for r in ledger["claims"]}
    assert verdicts == {
        ("toy/gd-goes-down", 1): "supported",
        ("toy/gd-goes-down", 2): "supported",
        ("toy/wrong", 1): "refuted",
        ("toy/wrong", 2): "refuted",
        ("toy/undecided", 1): "inconclusive",
        ("toy/undecided", 2): "inconclusive",
        ("toy/elsewhere", 1): "not-applicable",
        ("toy/elsewhere", 2): "supported",
    }


def test_the_ledger_has_the_schema(project):
    _, ledger = ledger_of(project)
    assert ledger["schema"] == 1
    assert set(ledger["suite"]) == {"version", "commit"}
    environment = {"python", "torch", "numpy", "cpu", "threads", "device", "images"}
    assert set(ledger["environment"]) == environment
    for record in ledger["claims"]:
        assert tuple(name for name in record if name not in ("erratum", "seeded")) == FIELDS
        for evidence in record["evidence"]:
            shown = {"quantity", "relation", "measured", "expected", "tolerance", "slack"}
            assert shown <= set(evidence)
    wrong = next(r for r in ledger["claims"] if r["id"] == "toy/wrong")
    assert wrong["reason"].startswith("two: measured 2 <= expected 1")
    assert "-k toy/wrong --seeds 42" in wrong["reproduce"]


def test_the_summary_says_what_failed_and_what_to_paste(project):
    result, _ = ledger_of(project)
    result.stdout.fnmatch_lines(
        ["*claims by paper*", "*toy*4*4*2*1*1*", "*refuted*toy/wrong*", "*pytest *-k toy/wrong*"]
    )


def test_two_workers_write_one_ledger(project):
    result, ledger = ledger_of(project, "-n", "2", "--seeds", "0-3")
    assert len(ledger["claims"]) == 16
    assert [(r["id"], r["seed"]) for r in ledger["claims"]] == sorted(
        (r["id"], r["seed"]) for r in ledger["claims"]
    )
    result.stdout.fnmatch_lines(["*claims by paper*"])


def test_allow_inconclusive_skips(project):
    result, _ = ledger_of(project, "--allow-inconclusive", "-k", "undecided")
    result.assert_outcomes(skipped=1)
    assert result.ret == 0


@pytest.mark.parametrize("keyword", ["toy/wrong", "adam", "wrong"])
def test_a_claim_answers_to_its_id_and_to_its_optimizer(project, keyword):
    _, ledger = ledger_of(project, "-k", keyword)
    assert [r["id"] for r in ledger["claims"]] == ["toy/wrong"]


@pytest.mark.parametrize(
    ("subject", "reason"),
    [
        ("own:Uphill,lr=0.01", "loss: measured"),
        ("own:Explodes,lr=0.01", "raised RuntimeError at step 0: out of cheese"),
        ("own:NotANumber,lr=0.01", "NaN"),
        ("own:Greedy,lr=0.01", "used more than 0.2 GB of memory at step"),
        ("own:Endless,lr=0.01", "exceeded its time limit of 2 s at step 0"),
        ("own:EndlessRule", "exceeded its time limit of 2 s at step 0"),
        ("own:Marked,lr=0.01", "raised ValueError at step 0: [/red] and [bold]"),
    ],
)
def test_a_bad_subject_is_a_verdict(project, subject, reason):
    limits = ("--subject-timeout", "2", "--subject-memory", "0.2")
    result, ledger = ledger_of(project, "--subject", f"gd={subject}", *limits)
    assert result.ret == 1
    (record,) = ledger["claims"]
    assert (record["id"], record["verdict"]) == ("toy/gd-goes-down", "refuted")
    assert reason in record["reason"]
    assert record["subject"] == f"gd={subject}"
    assert f"--subject gd={subject}" in record["reproduce"]


def test_what_a_subject_prints_does_not_bury_the_summary(project):
    result, _ = ledger_of(project, "--subject", "gd=own:Talks,lr=0.01")
    result.assert_outcomes(failed=1)
    assert len(result.stdout.str()) < 10_000
    result.stdout.fnmatch_lines(["... 3* characters", "*claims by paper*"])


def test_a_good_subject_is_supported(project):
    result, ledger = ledger_of(project, "--subject", "gd=torch.optim:SGD,lr=0.01")
    assert result.ret == 0
    assert [r["verdict"] for r in ledger["claims"]] == ["supported"]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--seeds", "1-"], "neither a number nor a range"),
        (["--seeds", "9-1"], "runs backwards"),
        (["--horizon", "far"], "unknown horizon 'far'"),
        (["--engine", "warp"], "unknown engine 'warp'"),
        (["--device", "tpu"], "unknown device 'tpu'"),
        (["--subject", "gd"], "gd"),
        (["--subject", "gd=nowhere:Nothing"], "nowhere"),
        (["--subject", "gd=torch.optim:Nothing"], "Nothing"),
        (["--subject", "king=torch.optim:SGD"], "unknown role 'king'"),
        (["--subject", "gd=torch.optim:SGD,nonsense=1"], "nonsense"),
        (["--subject", "gd=torch.optim:SGD", "--subject", "gd=torch.optim:Adam"], "given twice"),
        (["--subject-timeout", "soon"], "number of seconds"),
        (["--subject-memory", "-1"], "number of gigabytes"),
        (["--seeds", ""], "''"),
        (["--seeds", "1,x"], "'x'"),
        (["--resume", "none.json"], "cannot be read"),
        (["--ledger", "."], "is a folder"),
        (["--expected-failures", "none.toml"], "cannot be read"),
    ],
)
def test_wrong_usage_is_one_line(project, words, message):
    with pytest.raises(UsageError, match=message) as caught:
        Options(project.parseconfig(*words))
    assert "\n" not in str(caught.value)


def test_wrong_usage_exits_with_code_2_and_nothing_else(project):
    result = project.runpytest_subprocess("--seeds", "9-1")
    assert result.ret == 2
    assert result.stderr.lines == ["Exit: seeds '9-1': the range 9-1 runs backwards"]
    assert not result.outlines


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('["usam/gd-min-distance"]\nreason = ""', "needs a reason"),
        ('["usam/no-such-claim"]\nreason = "r"', "no claim has the id"),
        ("not toml", "not TOML"),
    ],
)
def test_a_bad_list_of_expected_failures_is_one_line(project, text, message):
    path = project.makefile(".toml", expected=text)
    with pytest.raises(UsageError, match=message):
        Options(project.parseconfig("--expected-failures", path))


def test_expected_failures_that_are_no_text(project):
    path = project.path / "expected.toml"
    path.write_bytes(b"\xff\xfe")
    with pytest.raises(UsageError, match="not TOML"):
        Options(project.parseconfig("--expected-failures", path))


RECORD = dict.fromkeys(FIELDS, "") | {"seed": 1, "verdict": "supported", "evidence": []}


@pytest.mark.parametrize(
    ("record", "message"),
    [
        (3, "record 0 is no object"),
        ({}, "record 0 lacks 'id'"),
        (RECORD | {"verdict": "fine"}, "has the verdict 'fine', not one of supported"),
        (RECORD | {"seed": "1"}, "has a 'seed' that is no int"),
        (RECORD | {"seeded": 3}, "has a 'seeded' that is no bool"),
        (RECORD | {"evidence": [{"quantity": "q", "slack": "0.1"}]}, "'slack' that is no number"),
        (RECORD | {"evidence": [{"quantity": "q", "slack": math.nan}]}, "not a JSON document"),
        (RECORD | {"evidence": [{"slack": 1}]}, "has evidence without 'quantity' or 'slack'"),
    ],
)
def test_a_malformed_record_of_a_ledger_is_one_line(tmp_path, record, message):
    path = tmp_path / "ledger.json"
    document = {"schema": 1, "suite": {}, "environment": {}, "claims": [record]}
    path.write_text(json.dumps(document))
    with pytest.raises(UsageError, match=message):
        Ledger.read(path)


def test_expected_failures(project, monkeypatch):
    monkeypatch.setattr("limitpoint.plugin._check_expected", lambda expected: None)
    project.makefile(
        ".toml",
        expected='["toy/wrong"]\nreason = "known"\nurl = "u"\n["toy/gd-goes-down"]\nreason = "?"',
    )
    result, _ = ledger_of(
        project, "--expected-failures", "expected.toml", "-k", "wrong or goes-down", "-rx"
    )
    result.assert_outcomes(xfailed=1, failed=1)
    result.stdout.fnmatch_lines(["*passes although expected to fail*"])
    result.stdout.fnmatch_lines(["1 more failed and were excused*"])
    result.stdout.no_fnmatch_line("refuted toy/wrong*")


def test_an_expected_failure_is_no_error_of_the_runner(project, monkeypatch):
    monkeypatch.setattr("limitpoint.plugin._check_expected", lambda expected: None)
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    project.makefile(".toml", expected='["toy/wrong"]\nreason = "known"')
    result, _ = ledger_of(
        project, "--expected-failures", "expected.toml", "-k", "wrong or undecided"
    )
    result.assert_outcomes(xfailed=1, failed=1)
    result.stdout.fnmatch_lines(["::error title=toy/undecided*"])
    result.stdout.no_fnmatch_line("::error title=toy/wrong*")


def test_an_interrupted_run_keeps_what_it_had(project):
    project.makepyfile(
        test_zz="""
        from limitpoint import claim
        @claim("toy/zz", source="s", statement="s", hypotheses=(), kind="limit")
        def test_zz(trial):
            raise KeyboardInterrupt
        """
    )
    path = project.path / "ledger.json"
    result = project.runpytest_subprocess("--ledger", path)
    assert result.ret == 2
    assert len(json.loads(path.read_text())["claims"]) == 4


def test_a_claim_without_evidence_is_an_error_of_the_suite(project):
    project.makepyfile(
        test_zz="""
        from limitpoint import claim
        @claim("toy/zz", source="s", statement="s", hypotheses=(), kind="limit")
        def test_zz(trial):
            pass
        """
    )
    result = project.runpytest("-k", "zz")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*toy/zz gathered no evidence*"])


def test_junit_carries_id_source_and_evidence(project):
    project.runpytest("--junitxml=out.xml", "-o", "junit_family=xunit1", "-k", "wrong")
    text = (project.path / "out.xml").read_text()
    for part in (
        '"claim" value="toy/wrong"',
        '"source" value="nowhere"',
        '"verdict" value="refuted"',
    ):
        assert part in text


def test_sessions_without_claims_do_not_import_torch(project):
    project.makepyfile(test_plain="def test_plain():\n    pass")
    code = (
        "import sys, pytest;"
        "code = pytest.main(['-q', 'test_plain.py']);"
        "sys.exit(int(code) or ('torch' in sys.modules))"
    )
    result = project.run(sys.executable, "-c", code)
    assert result.ret == 0


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
    assert Options(project.parseconfig(*words, "--resume", path)).failed
    project.makepyfile(own=OPTIMIZERS.replace("maximize=True", "maximize=False"))
    with pytest.raises(UsageError, match=r"the source of gd=own:Uphill,lr=0\.01 has changed"):
        Options(project.parseconfig(*words, "--resume", path))


def test_a_subject_without_a_source_file_has_no_digest(project):
    project.makepyfile(
        made="""
        from torch.optim import SGD
        Made = type("Made", (SGD,), {"__module__": "builtins"})
        """
    )
    _, ledger = ledger_of(project, "--subject", "gd=made:Made,lr=0.01")
    assert "sources" not in ledger["environment"]


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
        Options(project.parseconfig(option, path))
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


def test_a_repository_around_the_environment_is_not_the_commit(tmp_path):
    git = ["git", "-c", "user.name=n", "-c", "user.email=e", "-C", tmp_path]
    subprocess.run([*git, "init", "-q"], check=True)
    (tmp_path / "mine.py").touch()
    (tmp_path / "installed.py").touch()
    subprocess.run([*git, "add", "mine.py"], check=True)
    subprocess.run([*git, "commit", "-q", "-m", "m"], check=True)
    assert len(_commit(tmp_path / "mine.py")) == 12
    assert _commit(tmp_path / "installed.py") is None


def test_a_conftest_may_have_a_device_of_its_own(project):
    project.makeconftest(
        """
        def pytest_addoption(parser):
            parser.addoption("--device", default="tpu")
        """
    )
    project.makepyfile(
        test_own="def test_own(request): assert request.config.getoption('--device') == 'npu'"
    )
    path = project.path / "ledger.json"
    words = ("--device", "npu", "--ledger", path, "-k", "own or goes-down")
    project.runpytest_subprocess(*words).assert_outcomes(passed=2, deselected=3)
    assert [r["device"] for r in Ledger.read(path).claims] == ["cpu"]


def test_workers_know_the_device(project):
    words = ("--device", "cpu", "-k", "goes-down", "-n", "2")
    project.runpytest_subprocess(*words).assert_outcomes(passed=1)


def test_resume_refuses_a_ledger_of_other_images(project):
    _, ledger = ledger_of(project, "-k", "goes-down")
    assert ledger["environment"]["images"] == "stand-ins"
    path = project.path / "other.json"
    ledger["environment"]["images"] = "/data/cifar"
    path.write_text(json.dumps(ledger))
    with pytest.raises(UsageError, match="its images were /data/cifar, now stand-ins"):
        Options(project.parseconfig("--resume", path))


def test_resume_refuses_a_ledger_of_another_commit(project):
    path = project.path / "ledger.json"
    path.write_text(
        json.dumps({"schema": 1, "suite": {"commit": "x"}, "environment": {}, "claims": []})
    )
    with pytest.raises(UsageError, match="another version or commit"):
        Options(project.parseconfig("--resume", path))
