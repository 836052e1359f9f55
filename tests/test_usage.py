"""Wrong usage of the plugin is one line, whatever it is; so is a malformed ledger."""

import json
import math
from pathlib import Path

import pytest
from toy_project import session_of

from limitpoint import Ledger, UsageError
from limitpoint.cli import main

ROOT = Path(__file__).parent.parent


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
        session_of(project, *words)
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
        session_of(project, "--expected-failures", path)


def test_expected_failures_that_are_no_text(project):
    path = project.path / "expected.toml"
    path.write_bytes(b"\xff\xfe")
    with pytest.raises(UsageError, match="not TOML"):
        session_of(project, "--expected-failures", path)


RECORD = {
    "id": "toy/a", "source": "s", "statement": "s", "kind": "limit", "roles": ["gd"],
    "subject": None, "seed": 1, "engine": "auto", "device": "cpu", "horizon": "quick",
    "verdict": "supported", "reason": "", "evidence": [], "seconds": 1.0, "reproduce": "pytest",
}  # fmt: skip


def written(path, record):
    document = {"schema": 1, "suite": {}, "environment": {}, "claims": [record]}
    path.write_text(json.dumps(document))
    return path


@pytest.mark.parametrize("field", RECORD)
def test_a_record_lacks_nothing(tmp_path, field):
    record = {name: value for name, value in RECORD.items() if name != field}
    with pytest.raises(UsageError, match=rf"ledger.json: .*field `{field}` - at `\$.claims\[0\]`"):
        Ledger.read(written(tmp_path / "ledger.json", record))


@pytest.mark.parametrize(
    ("record", "message"),
    [
        (3, r"Expected `object`, got `int` - at `\$.claims\[0\]`"),
        (RECORD | {"verdict": "fine"}, "Invalid enum value 'fine'"),
        (RECORD | {"id": "<b>"}, "matching regex"),
        (RECORD | {"seed": "1"}, "Expected `int`, got `str`"),
        (RECORD | {"seeded": 3}, "Expected `bool`, got `int`"),
        (RECORD | {"evidence": [{"quantity": "q", "slack": "0.1"}]}, "Expected `float | null`"),
        (RECORD | {"evidence": [{"quantity": "q", "slack": math.nan}]}, "not a JSON document"),
        (RECORD | {"evidence": [{"slack": 1}]}, "missing required field `quantity`"),
        (RECORD | {"erratum": {"sure": "maybe"}}, "missing required field `printed`"),
    ],
)
def test_a_malformed_record_is_one_line_everywhere(tmp_path, capsys, project, record, message):
    path = written(tmp_path / "ledger.json", record)
    with pytest.raises(UsageError, match=message):
        Ledger.read(path)
    with pytest.raises(UsageError, match=message):
        session_of(project, "--resume", path)
    for words in (["report", path], ["gate", path, "--baseline", path]):
        assert main(list(map(str, words))) == 2
        printed = capsys.readouterr()
        assert (printed.out, printed.err.count("\n")) == ("", 1)


def test_a_ledger_of_an_older_version_is_read(tmp_path):
    older = {
        "relation": "close", "measured": 1.0, "expected": 1.0, "tolerance": 0.0, "slack": None,
        "quantity": "q", "because": "b", "entries": 1,
    }  # fmt: skip
    path = written(tmp_path / "ledger.json", RECORD | {"evidence": [older]})
    (record,) = Ledger.read(path).claims
    assert (record.seeded, record.erratum, record.ran) == (True, None, {})
    assert record.tightest.room == -math.inf
    assert Ledger.read(ROOT / "reports" / "baseline.json").claims
