"""The pytest plugin: verdicts as outcomes, ledger, summary, expected failures."""

import json
import subprocess
import sys

import pytest
from toy_project import ledger_of

from limitpoint import Ledger, Record, Setting, all_claims, evaluate
from limitpoint.judgement.registry import claims_folder
from limitpoint.ledger import Environment, commit


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
    assert {"python", "torch", "numpy", "scipy", "numba", "cvxpy", "clarabel"} <= set(
        ledger["environment"]
    )
    assert {"cpu", "vector", "threads", "torch_threads", "device"} <= set(ledger["environment"])
    assert set(ledger["environment"]) <= set(Environment.__struct_fields__)
    for record in ledger["claims"]:
        assert tuple(record) == Record.__struct_fields__
        for evidence in record["evidence"]:
            shown = {"quantity", "relation", "measured", "expected", "tolerance", "slack"}
            assert shown <= set(evidence)
    ran = {record["id"]: record["ran"] for record in ledger["claims"]}
    assert ran["toy/gd-goes-down"] == {"fused": ""}
    assert ran["toy/wrong"] == {}
    wrong = next(r for r in ledger["claims"] if r["id"] == "toy/wrong")
    assert wrong["reason"].startswith("two: measured 2, expected at most 1 (within 0.1)")
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


@pytest.mark.nightly
def test_a_clusters_workers_run_the_claims(tmp_path):
    pytest.importorskip("distributed", reason="the extra cluster is not installed")
    kept, claims = tmp_path / "ledger.json", str(claims_folder())
    words = [sys.executable, "-m", "pytest", claims, "-k", "usam/exact-dynamics"]
    elsewhere = [*words, "--seeds", "0-3", "--cluster", "local", "--ledger", str(kept)]
    subprocess.run(elsewhere, check=True, capture_output=True)
    found = Ledger.read(kept).claims
    assert [(r.seed, r.verdict.value) for r in found] == [(k, "supported") for k in range(4)]
    here = evaluate(all_claims()["usam/exact-dynamics"], (), Setting(3))
    assert found[3].evidence == here.evidence
    # What is there is not sent again.
    again = subprocess.run([*elsewhere, "--resume", str(kept)], capture_output=True, text=True)
    assert (again.returncode, Ledger.read(kept).claims) == (0, found)


def test_a_cluster_has_workers_of_its_own(project):
    result = project.runpytest_subprocess("--cluster", "local", "-n", "2")
    assert result.ret == 2
    result.stderr.fnmatch_lines(["*--cluster: has workers of its own, leave out -n*"])


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
        ("own:NotANumber,lr=0.01", "NaN"),
        ("own:Greedy,lr=0.01", "used more than 0.2 GB of memory at step"),
        ("own:Endless,lr=0.01", "exceeded its time limit of 2 s at step 0"),
        ("own:EndlessRule", "exceeded its time limit of 2 s at step 0"),
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


@pytest.mark.parametrize(
    ("subject", "reason"),
    [
        ("own:Explodes,lr=0.01", "it raised RuntimeError at step 0: out of cheese (own.py:"),
        ("own:Marked,lr=0.01", "it raised ValueError at step 0: [/red] and [bold] (own.py:"),
    ],
)
def test_what_could_not_be_run_is_inconclusive(project, subject, reason):
    result, ledger = ledger_of(project, "--subject", f"gd={subject}")
    assert result.ret == 1
    (record,) = ledger["claims"]
    assert record["verdict"] == "inconclusive"
    assert f"could not be run: {reason}" in record["reason"]


def test_what_a_subject_prints_does_not_bury_the_summary(project):
    result, _ = ledger_of(project, "--subject", "gd=own:Talks,lr=0.01")
    result.assert_outcomes(failed=1)
    assert len(result.stdout.str()) < 10_000
    result.stdout.fnmatch_lines(["... 3* characters", "*claims by paper*"])


def test_a_good_subject_is_supported(project):
    result, ledger = ledger_of(project, "--subject", "gd=torch.optim:SGD,lr=0.01")
    assert result.ret == 0
    assert [r["verdict"] for r in ledger["claims"]] == ["supported"]


def test_expected_failures(project, monkeypatch):
    monkeypatch.setattr("limitpoint.session.check_known", lambda expected: None)
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
    monkeypatch.setattr("limitpoint.session.check_known", lambda expected: None)
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


def test_a_subject_without_a_source_file_has_no_digest(project):
    project.makepyfile(
        made="""
        from torch.optim import SGD
        Made = type("Made", (SGD,), {"__module__": "builtins"})
        """
    )
    _, ledger = ledger_of(project, "--subject", "gd=made:Made,lr=0.01")
    assert ledger["environment"]["sources"] == {}


def test_a_repository_around_the_environment_is_not_thecommit(tmp_path):
    git = ["git", "-c", "user.name=n", "-c", "user.email=e", "-C", tmp_path]
    subprocess.run([*git, "init", "-q"], check=True)
    (tmp_path / "mine.py").touch()
    (tmp_path / "installed.py").touch()
    subprocess.run([*git, "add", "mine.py"], check=True)
    subprocess.run([*git, "commit", "-q", "-m", "m"], check=True)
    assert len(commit(tmp_path / "mine.py")) == 12
    assert commit(tmp_path / "installed.py") is None


def test_workers_know_the_device(project):
    words = ("--device", "cpu", "-k", "goes-down", "-n", "2")
    project.runpytest_subprocess(*words).assert_outcomes(passed=1)
