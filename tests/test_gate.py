"""The gate and the lists it writes; what GitHub Actions is told; resuming."""

import tomllib

import pytest
from msgspec.structs import replace

from limitpoint import Evidence, Ledger, Record, Verdict
from limitpoint.cli import main
from limitpoint.ledger import Environment, Suite
from limitpoint.ledger.expected import failures
from limitpoint.ledger.gate import as_baseline, compare, expected_failures
from limitpoint.views import github


def record(claim_id="toy/a", verdict="supported", seed=42, slack=0.5, reason="", **others):
    evidence = Evidence(quantity="margin", slack=slack, measured=1.0, expected=1.0)
    usual = {
        "source": "s", "statement": "s", "kind": "limit", "roles": ("gd",), "subject": None,
        "engine": "auto", "device": "cpu", "horizon": "quick", "seconds": 1.0,
        "evidence": (evidence,), "reproduce": f"pytest -k {claim_id}",
    }  # fmt: skip
    told = {"id": claim_id, "verdict": Verdict(verdict), "seed": seed, "reason": reason}
    return Record(**usual | told | others)


def ledger(*records, **environment):
    return Ledger(Suite("0", "c"), Environment(**environment), list(records))


def told(before, after):
    """What got worse, by claim."""
    return [(c.id, c.what) for c in compare(before, after) if c.worse]


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
        (
            [record()],
            [record(), record(verdict="refuted", seed=3, reason="0.9 < 0.95")],
            "seed 3, new: refuted (0.9 < 0.95)",
        ),
        ([record()], [record(), record(verdict="inconclusive", seed=3)], "seed 3, new: inconcl"),
        (
            [record(subject="gd=a:A")],
            [record(subject="gd=a:A"), record(verdict="refuted", subject="gd=b:B")],
            "seed 42, gd=b:B, new: refuted",
        ),
        ([record()], [record(slack=None)], "least slack 0.5 -> -inf"),
    ],
)
def test_worse(before, after, what):
    (change,) = compare(ledger(*before), ledger(*after))
    assert change.worse
    assert what in change.what


def test_a_full_run_does_not_hide_a_quick_one_that_is_refuted():
    after = ledger(record(verdict="refuted"), record(horizon="full"))
    assert told(ledger(record()), after) == [("toy/a", "seed 42: supported -> refuted")]


def test_another_horizon_is_one_line():
    before = ledger(*(record(f"toy/{name}") for name in "abc"))
    after = ledger(*(record(f"toy/{name}", horizon="full", slack=0.01) for name in "abc"))
    assert told(before, after) == [("suite", "horizon quick is in the baseline and did not run")]


def test_of_a_horizon_that_ran_each_lost_run_is_told():
    before = ledger(record(), record("toy/b"), record("toy/b", horizon="full"))
    after = ledger(record(horizon="full"), record("toy/b"))
    assert told(before, after) == [
        ("toy/a", "seed 42 is in the baseline and did not run"),
        ("toy/b", "seed 42, horizon full is in the baseline and did not run"),
    ]


@pytest.mark.parametrize("verdicts", [("supported", "refuted"), ("refuted", "supported")])
def test_the_worst_of_engines_and_devices_counts(verdicts):
    runs = [record(verdict=v, engine=e) for v, e in zip(verdicts, ("torch", "fused"), strict=True)]
    assert told(ledger(record()), ledger(*runs)) == [("toy/a", "seed 42: supported -> refuted")]
    assert not told(ledger(*runs), ledger(record()))


def test_the_least_slack_of_engines_counts():
    runs = [record(slack=0.1, engine="torch"), record(slack=0.5, engine="fused")]
    for order in (runs, runs[::-1]):
        ((_, what),) = told(ledger(record()), ledger(*order))
        assert what == "seed 42: least slack 0.5 -> 0.1 (margin)"


def test_other_images_are_worse():
    ((name, what),) = told(ledger(record()), ledger(record(), images="/data/cifar"))
    assert name == "suite"
    assert what.startswith("images: stand-ins in the baseline, /data/cifar here")
    assert told(ledger(record(), images="/data/cifar"), ledger(record()))
    assert not told(ledger(record()), ledger(record(), images="stand-ins"))


@pytest.mark.parametrize("old", [{}, {"seeded": False}], ids=["old-baseline", "new-baseline"])
def test_a_claim_on_fixed_data_is_the_same_under_any_seed(old):
    before = ledger(record(**old), record("toy/b"))
    runs = [record(seed=0, seeded=False), record("toy/b", seed=0), record("toy/b")]
    assert compare(before, ledger(*runs)) == []
    runs[0] = replace(runs[0], verdict=Verdict.REFUTED)
    assert told(before, ledger(*runs)) == [("toy/a", "any seed: supported -> refuted")]


@pytest.mark.parametrize(
    ("then", "now", "worse"),
    [
        ({"fused": ""}, {"torch": "no numba"}, True),
        ({"fused": ""}, {"fused": "", "torch": "no numba"}, True),
        ({"fused": ""}, {"fused": ""}, False),
        ({"fused": "", "torch": "own"}, {"torch": "own"}, False),
        ({}, {"torch": "an older baseline does not say"}, False),
    ],
)
def test_a_claim_that_fell_back_to_torch_is_worse(then, now, worse):
    changes = told(ledger(record(ran=then)), ledger(record(ran=now)))
    expected = [("toy/a", "seed 42: ran compiled, now in torch: no numba")]
    assert changes == (expected if worse else [])
    asked_for = record(ran=now, engine="torch")
    assert told(ledger(record(ran=then)), ledger(asked_for)) == []


def test_the_slack_of_a_formula_does_not_count():
    formula = Evidence(quantity="two and two", slack=0.0, about="a formula")
    before, after = (
        record(evidence=(Evidence(quantity="margin", slack=slack), *formulas))
        for slack, formulas in ((0.5, ()), (0.4, (formula,)))
    )
    assert told(ledger(before), ledger(after)) == []


def test_the_slack_of_an_attained_bound_may_shrink_by_rounding():
    assert compare(ledger(record(slack=2e-13)), ledger(record(slack=3e-14))) == []
    (change,) = compare(ledger(record(slack=1e-3)), ledger(record(slack=3e-14)))
    assert change.worse


def test_a_baseline_is_the_ledger_without_what_changes_from_run_to_run(tmp_path):
    slow = record(slack=0.123456, seconds=12.5)
    slow = replace(slow, evidence=(*slow.evidence, Evidence(quantity="distance", slack=0.9)))
    ledger(slow).write(tmp_path / "ledger.json")
    base = tmp_path / "reports" / "baseline.json"
    assert main(["gate", str(tmp_path / "ledger.json"), "--write-baseline", str(base)]) == 0
    assert Ledger.read(base) == as_baseline(ledger(slow))
    (kept,) = Ledger.read(base).claims
    assert (kept.seconds, [e.slack for e in kept.evidence]) == (0.0, [0.123])
    assert main(["gate", str(tmp_path / "ledger.json"), "--baseline", str(base)]) == 0


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ([record()], [record()]),
        ([record(slack=0.5)], [record(slack=0.3)]),
        ([record(slack=0.5)], [record(slack=0.25)]),
        ([record(verdict="refuted", slack=0.5)], [record(verdict="refuted", slack=0.1)]),
        ([record(verdict="refuted")], [record(verdict="refuted"), record("toy/b")]),
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
        (["--slack-factor", "1"], "must be > 1"),
    ],
)
def test_wrong_usage(tmp_path, capsys, words, message):
    path = tmp_path / "l.json"
    ledger(record()).write(path)
    try:
        code = main(["gate", str(path), *words])
    except SystemExit as stop:
        code = stop.code
    assert code == 2
    assert message in capsys.readouterr().err


@pytest.mark.parametrize("option", ["--write-baseline", "--write-expected"])
def test_a_file_that_cannot_be_written_is_one_line(tmp_path, capsys, option):
    path = tmp_path / "l.json"
    ledger(record()).write(path)
    assert main(["gate", str(path), option, str(path / "out")]) == 2
    message = f"limitpoint gate: {path / 'out'}: cannot be written (its folder is a file)\n"
    assert capsys.readouterr().err == message
    assert [p.name for p in tmp_path.iterdir()] == ["l.json"]


def test_expected_failures_are_written_as_toml_with_reasons(tmp_path):
    path, out = tmp_path / "l.json", tmp_path / "expected.toml"
    reason = 'said "no"\nthen \\ left \x7f\x00 \N{SLIGHTLY SMILING FACE} é'
    ledger(record(), record("toy/b", "refuted", reason=reason)).write(path)
    assert main(["gate", str(path), "--write-expected", str(out)]) == 0
    written = tomllib.loads(out.read_text(encoding="utf-8"))
    assert written == {"toy/b": {"reason": f"refuted: {reason}"}}
    assert not tomllib.loads(expected_failures(ledger(record())))


def test_github_is_told(tmp_path, capsys):
    summary = tmp_path / "summary.md"
    records = [record(), record("toy/b", "refuted", reason="50% short")]
    runner = {"GITHUB_STEP_SUMMARY": str(summary), "GITHUB_ACTIONS": "true"}
    github.publish(records, records[1:], runner)
    assert "| toy | 1 | 0 | 0 | 1 |" in summary.read_text()
    assert "::error title=toy/b refuted::50%25 short%0Apytest -k toy/b" in capsys.readouterr().out


def test_nothing_of_a_record_is_markdown_or_a_command_to_github(tmp_path, capsys):
    summary = tmp_path / "summary.md"
    nasty = "one\r\n::error::two | <b> [x](y) `z` *w*\r"
    records = [record("toy/b", "refuted", reason=nasty, reproduce=f"a ``` {nasty}")]
    runner = {"GITHUB_STEP_SUMMARY": str(summary), "GITHUB_ACTIONS": "true"}
    github.publish(records, records, runner)
    (line,) = capsys.readouterr().out.splitlines()
    assert line.startswith("::error title=toy/b refuted::one%0D%0A::error::two | <b>")
    text = summary.read_text()
    assert "\r" not in text
    assert "one ::error::two \\| \\<b\\> \\[x\\]\\(y\\) \\`z\\` \\*w\\*" in text
    assert text.count("````") == 2
    assert github.error_lines([record("toy/b", subject="x", verdict="refuted")])[0].count("\n") == 0


def test_elsewhere_github_is_not_told(capsys):
    records = [record(verdict="refuted")]
    github.publish(records, records, {})
    assert not capsys.readouterr().out


def test_what_is_excused_is_no_error(tmp_path, capsys):
    records = [record("toy/b", "refuted"), record("toy/c", "inconclusive"), record("toy/d")]
    failing = failures(records, {"toy/b": "known"}, allow_inconclusive=False)
    assert [r.id for r in failing] == ["toy/c"]
    summary = tmp_path / "summary.md"
    runner = {"GITHUB_STEP_SUMMARY": str(summary), "GITHUB_ACTIONS": "true"}
    github.publish(records, failing, runner)
    out = capsys.readouterr().out
    assert out.count("::error") == 1
    assert "toy/c" in out
    assert "**toy/b**" not in summary.read_text()
    assert "1 more failed and were excused" in summary.read_text()
    assert not failures(records, {"toy/b": "known"}, allow_inconclusive=True)
