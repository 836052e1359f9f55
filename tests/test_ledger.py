"""The ledger's parts, each by itself: what a record's numbers came from, what is excused, and when
what is written. Tests of a whole run are in test_plugin.py and test_resume.py."""

import hashlib
import platform
import time
from pathlib import Path

import msgspec
import pytest
import torch

from limitpoint import Ledger, UsageError
from limitpoint.engines import cpu
from limitpoint.judgement.verdict import Verdict
from limitpoint.ledger import Environment, Keeper, Suite, commit
from limitpoint.ledger.expected import count_excused, failures, read_expected
from limitpoint.ledger.files import encoded
from limitpoint.ledger.provenance import environment, source_digest, suite
from limitpoint.ledger.resume import resume

BASELINE = Path(__file__).resolve().parents[1] / "reports" / "baseline.json"


@pytest.fixture(scope="module")
def records():
    return Ledger.read(BASELINE).claims


# -- where numbers come from ------------------------------------------------------------------


def test_the_environment_is_that_of_the_run(monkeypatch):
    monkeypatch.setattr(cpu, "threads", lambda: 3)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda: "a GPU")
    assert environment().threads == 3
    assert environment(engine="torch").threads == 1
    assert environment().torch_threads == 1
    assert environment().device == "cpu"
    assert environment("".join(["cu", "da"])).device == "a GPU"


def test_the_processor_is_the_systems_name_of_it(monkeypatch):
    info = Path("/proc/cpuinfo")
    if info.exists():
        assert f": {environment().cpu}\n" in info.read_text()
    monkeypatch.setattr(Path, "exists", lambda _: False)
    monkeypatch.setattr(platform, "processor", lambda: "")
    assert environment().cpu == platform.machine() != ""
    monkeypatch.setattr(platform, "processor", lambda: "a processor")
    assert environment().cpu == "a processor"


def test_an_environment_is_named_and_stays_what_it_was():
    with pytest.raises(TypeError):
        Environment("3.11")
    with pytest.raises(AttributeError):
        Environment(python="3.11").python = "3.12"


def test_a_source_is_known_by_its_file():
    own = hashlib.sha256(Path(__file__).read_bytes()).hexdigest()
    assert source_digest(test_a_source_is_known_by_its_file) == own[:16]
    typed = {}
    exec("class Typed: pass", typed)  # as at a prompt
    assert source_digest(typed["Typed"]) is None
    assert source_digest(len) is None


def test_a_commit_is_that_of_a_tracked_file(tmp_path, monkeypatch):
    found = commit(Path(__file__))
    assert found is None or (len(found) == 12 and int(found, 16) >= 0)
    assert commit(tmp_path / "untracked.py") is None
    monkeypatch.setenv("PATH", str(tmp_path))  # without git
    assert commit(Path(__file__)) is None


# -- going on ---------------------------------------------------------------------------------


@pytest.mark.parametrize("now", ["a", "c"])
def test_a_source_that_changed_either_way_is_refused(tmp_path, records, now):
    path = tmp_path / "ledger.json"
    Ledger(suite(), Environment(sources={"gd=own:Up": "b"}), records[:2]).write(path)
    found = resume(path, None, {"gd=own:Up": "b", "gd=own:New": now})
    assert found.sources == {"gd=own:Up": "b", "gd=own:New": now}
    assert len(found.done) == 2
    with pytest.raises(UsageError, match="the source of gd=own:Up has changed"):
        resume(path, None, {"gd=own:Up": now})


@pytest.mark.parametrize("version", ["0", "~"])
def test_another_version_either_way_is_refused(tmp_path, version):
    path = tmp_path / "ledger.json"
    Ledger(Suite(version, suite().commit), Environment(), []).write(path)
    with pytest.raises(UsageError, match="another version or commit"):
        resume(path, None, {})


# -- writing ----------------------------------------------------------------------------------


def test_a_ledger_is_written_a_twentieth_of_the_time(tmp_path, records, monkeypatch):
    """At once, and then not until 20 times as long as that took has passed."""
    clock, written = [0.0], []

    def write(self, path):
        clock[0] += 1.0
        written.append(len(self.claims))

    monkeypatch.setattr(time, "monotonic", lambda: clock[0])
    monkeypatch.setattr(Ledger, "write", write)
    keeper = Keeper(Ledger(Suite(), Environment(), []), tmp_path / "ledger.json")
    for record in records[:6]:
        keeper.add(record)
        clock[0] += 6.0
    keeper.close()
    assert written == [1, 5, 6]  # at 0, at 25, and at the end


def test_what_records_have_in_common_is_in_memory_once(tmp_path, records):
    path = tmp_path / "ledger.json"
    again = [msgspec.structs.replace(records[0], seed=seed) for seed in (1, 2)]
    Ledger(Suite(), Environment(), again).write(path)
    first, second = Ledger.read(path).claims
    assert first.statement is second.statement
    assert first.evidence[0].quantity is second.evidence[0].quantity


def test_a_name_that_the_locale_cannot_say_is_written_all_the_same():
    name = b"caf\xe9".decode("ascii", "surrogateescape")
    found = msgspec.json.decode(encoded({name: [name, 1, None, {"a": (name,)}]}))
    assert found == {"caf\ufffd": ["caf\ufffd", 1, None, {"a": ["caf\ufffd"]}]}


# -- expected failures ------------------------------------------------------------------------


def test_expected_failures_of_several_files(tmp_path):
    one, two = tmp_path / "one.toml", tmp_path / "two.toml"
    one.write_text('["a/b"]\nreason = "r"\nurl = "https://x"\n')
    two.write_text('["a/c"]\nreason = "s"\n')
    assert read_expected([one, two]) == {"a/b": "r (https://x)", "a/c": "s"}
    with pytest.raises(UsageError, match="a/b is listed twice"):
        read_expected([one, one])


@pytest.mark.parametrize("text", ['["a/b"]', '["a/b"]\nreason = " "', '"a/b" = "reason"'])
def test_an_expected_failure_needs_a_reason(tmp_path, text):
    path = tmp_path / "expected.toml"
    path.write_text(text)
    with pytest.raises(UsageError, match="needs a reason"):
        read_expected([path])


@pytest.mark.parametrize("data", [b"\xff", b"a = " + b"[" * 5000, b"a"])
def test_expected_failures_that_are_no_toml_are_one_line(tmp_path, data):
    path = tmp_path / "expected.toml"
    path.write_bytes(data)
    with pytest.raises(UsageError, match="not TOML"):
        read_expected([path])


def test_failures_that_count(records):
    refuted, open_, held = (
        msgspec.structs.replace(record, verdict=verdict, reason="r")
        for record, verdict in zip(
            records[:3], (Verdict.REFUTED, Verdict.INCONCLUSIVE, Verdict.SUPPORTED), strict=True
        )
    )
    every = [refuted, open_, held]
    assert failures(every, [], allow_inconclusive=False) == [refuted, open_]
    assert failures(every, [], allow_inconclusive=True) == [refuted]
    assert failures(every, [refuted.id], allow_inconclusive=False) == [open_]
    assert count_excused(every, [refuted, open_]) == ""
    assert count_excused(every, [refuted]).startswith("1 more failed and were excused")
