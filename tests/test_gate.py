"""The gate and the lists it writes; what GitHub Actions is told; resuming."""

import tomllib

import pytest

from limitpoint import Ledger, github
from limitpoint.cli import main
from limitpoint.gating import as_baseline, compare, expected_failures
from limitpoint.ledger import FIELDS


def record(claim_id="toy/a", verdict="supported", seed=42, slack=0.5, reason=""):
    found = dict.fromkeys(FIELDS)
    evidence = {"quantity": "margin", "slack": slack, "measured": 1.0, "expected": 1.0}
    return found | {
        "id": claim_id, "verdict": verdict, "seed": seed, "reason": reason,
        "evidence": [evidence], "reproduce": f"pytest -k {claim_id}",
    }  # fmt: skip


def ledger(*records):
    return Ledger({"version": "0", "commit": "c"}, {}, list(records))


@pytest.mark.parametrize(
    ("before", "after", "what"),
    [
        ([record()], [record(verdict="refuted", reason="0.9 < 0.95")], "supported -> refuted (0.9"),
        ([record()], [record(verdict="inconclusive")], "supported -> inconclusive"),
        ([record()], [record(verdict="not-applicable")], "supported -> not-applicable"),
        ([record(verdict="inconclusive")], [record(verdict="refuted")], "inconclusive -> refuted"),
        ([record(), record("toy/b")], [record()], "vanished"),
        ([record(), record(seed=7)], [record()], "seed 7 is in the baseline"),
        ([record(slack=0.5)], [record(slack=0.2)], "least slack 0.5 -> 0.2"),
        ([record()], [record(), record("toy/b", "refuted")], "new: refuted"),
    ],
)
def test_worse(before, after, what):
    (change,) = compare(ledger(*before), ledger(*after))
    assert change.worse
    assert what in change.what


def test_the_slack_of_an_attained_bound_may_shrink_by_rounding():
    assert compare(ledger(record(slack=2e-13)), ledger(record(slack=3e-14))) == []
    (change,) = compare(ledger(record(slack=1e-3)), ledger(record(slack=3e-14)))
    assert change.worse


def test_a_baseline_is_the_ledger_without_what_changes_from_run_to_run(tmp_path):
    slow = record(slack=0.123456) | {"seconds": 12.5}
    slow["evidence"].append({"quantity": "distance", "slack": 0.9})
    ledger(slow).write(tmp_path / "ledger.json")
    base = tmp_path / "reports" / "baseline.json"
    assert main(["gate", str(tmp_path / "ledger.json"), "--write-baseline", str(base)]) == 0
    assert Ledger.read(base) == as_baseline(ledger(slow))
    (kept,) = Ledger.read(base).claims
    assert (kept["seconds"], [e["slack"] for e in kept["evidence"]]) == (0.0, [0.123])
    assert main(["gate", str(tmp_path / "ledger.json"), "--baseline", str(base)]) == 0


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ([record()], [record()]),
        ([record(slack=0.5)], [record(slack=0.3)]),
        ([record(slack=0.5)], [record(slack=0.9)]),
        ([record(verdict="refuted")], [record()]),
        ([record()], [record(), record("toy/b")]),
    ],
)
def test_not_worse(before, after):
    assert not any(change.worse for change in compare(ledger(*before), ledger(*after)))


def test_the_command_prints_and_exits(tmp_path, capsys):
    good, bad = tmp_path / "good.json", tmp_path / "bad.json"
    ledger(record(), record("toy/b")).write(good)
    ledger(record(verdict="refuted", reason="fell short")).write(bad)
    assert main(["gate", str(good), "--baseline", str(good)]) == 0
    assert "2 claims, 0 changes, 0 worse" in capsys.readouterr().out
    assert main(["gate", str(bad), "--baseline", str(good)]) == 1
    out = capsys.readouterr().out
    assert "vanished" in out
    assert "fell short" in out
    assert main(["gate", str(good), "--baseline", str(good), "--at-least", "3"]) == 1


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "give --baseline LEDGER"),
        (["--baseline", "none.json"], "cannot be read"),
        (["--baseline", "x", "--slack-factor", "1"], "must be > 1"),
    ],
)
def test_wrong_usage(tmp_path, capsys, words, message):
    path = tmp_path / "l.json"
    ledger(record()).write(path)
    assert main(["gate", str(path), *words]) == 2
    assert message in capsys.readouterr().err


def test_expected_failures_are_written_as_toml_with_reasons(tmp_path):
    path, out = tmp_path / "l.json", tmp_path / "expected.toml"
    ledger(record(), record("toy/b", "refuted", reason='said "no"\nthen \\ left')).write(path)
    assert main(["gate", str(path), "--write-expected", str(out)]) == 0
    assert tomllib.loads(out.read_text()) == {
        "toy/b": {"reason": 'refuted: said "no"\nthen \\ left'}
    }
    assert not tomllib.loads(expected_failures(ledger(record())))


def test_github_is_told(tmp_path, capsys):
    summary = tmp_path / "summary.md"
    records = [record(), record("toy/b", "refuted", reason="50% short")]
    github.publish(records, {"GITHUB_STEP_SUMMARY": str(summary), "GITHUB_ACTIONS": "true"})
    assert "| toy | 1 | 1 | 0 | 0 |" in summary.read_text()
    assert "::error title=toy/b refuted::50%25 short%0Apytest -k toy/b" in capsys.readouterr().out


def test_elsewhere_github_is_not_told(capsys):
    github.publish([record(verdict="refuted")], {})
    assert not capsys.readouterr().out
