"""A run may be killed at any moment: what it had finished is there, once, and the rest follows."""

import io
import os
import random
import resource
import signal
import sys
import time
from dataclasses import replace
from functools import partial
from pathlib import Path

import msgspec
import pytest
from killing import told_by

from limitpoint import Ledger, UsageError
from limitpoint.cli import main
from limitpoint.commands import _selection
from limitpoint.judgement import registry
from limitpoint.ledger import Journal, Keeper, key_of
from limitpoint.ledger.resume import resume
from limitpoint.rivals import duels, matrix
from limitpoint.rivals.matrix import Matrix

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="session")
def baseline():
    return Ledger.read(ROOT / "reports" / "baseline.json")


@pytest.fixture
def records(baseline):
    """Some, each under its own seed: a ledger of a few hundred kilobytes."""
    return [msgspec.structs.replace(record, seed=7) for record in baseline.claims]


def keep(path, ledger, records, say=lambda _: None, *, share=Keeper.SHARE):
    keeper = Keeper(ledger, path)
    keeper.SHARE = share
    for record in records:
        keeper.add(record)
        say(record.id)
    keeper.close()


@pytest.mark.parametrize("share", [1e-9, 1 / 20, 1e9], ids=["journal", "usual", "rewriting"])
def test_ledgers_of_killed_runs(tmp_path, baseline, records, times, share):
    """Killed again and again, gone on with each time: in the end, what a whole run has."""
    rng, path = random.Random(18), tmp_path / "ledger.json"
    whole = {key_of(record): record for record in records}
    for _ in range(times(6, 300)):
        before = Ledger.read(path).claims if path.exists() else []
        if len(before) == len(records):
            path.unlink()
            before = []
        there = set(map(key_of, before))
        ledger = Ledger(baseline.suite, baseline.environment, before)
        left = [record for record in records if key_of(record) not in there]
        rng.shuffle(left)
        told = told_by(partial(keep, path, ledger, left, share=share), rng.uniform(0, 0.05))
        found = Ledger.read(path).claims if path.exists() else []
        assert len(set(map(key_of, found))) == len(found)
        assert {r.id for r in before} | set(told) <= {r.id for r in found}
        assert all(whole[key_of(record)] == record for record in found)
    there = set(map(key_of, found))
    ledger = Ledger(baseline.suite, baseline.environment, found)
    keep(path, ledger, [record for record in records if key_of(record) not in there])
    assert {key_of(r): r for r in Ledger.read(path).claims} == whole
    assert [p for p in tmp_path.iterdir() if p.suffix != ".part"] == [path]


def test_a_failure_that_runs_again_is_there_once(tmp_path, baseline, records):
    """The journal's record takes the place of the one in the ledger."""
    path = tmp_path / "ledger.json"
    failed = msgspec.structs.replace(records[0], verdict="refuted", reason="r")
    Ledger(baseline.suite, baseline.environment, [failed, *records[1:3]]).write(path)
    journal = Journal(path)
    journal.add(records[0])
    assert Ledger.read(path).claims == records[:3]
    os.close(journal._file)


def test_a_ledger_cut_at_any_byte(tmp_path, baseline, records, times):
    """One line, or the whole of it; of its journal every line that is whole."""
    path = tmp_path / "ledger.json"
    Ledger(baseline.suite, baseline.environment, records[:2]).write(path)
    data = path.read_bytes()
    for end in range(0, len(data), times(97, 1)):
        path.write_bytes(data[:end])
        if end < len(data.rstrip()):
            with pytest.raises(UsageError, match="not a"):
                Ledger.read(path)
    path.write_bytes(data)
    lines = b"".join(msgspec.json.encode(record) + b"\n" for record in records[2:5])
    for end in range(0, len(lines), times(97, 1)):
        Path(f"{path}.journal").write_bytes(lines[:end])
        assert len(Ledger.read(path).claims) == 2 + lines[:end].count(b"\n")


def test_two_runs_into_one_file(tmp_path, baseline, records):
    path = tmp_path / "ledger.json"
    keeper = Keeper(Ledger(baseline.suite, baseline.environment, []), path)
    keeper.add(records[0])

    def second(say):
        with pytest.raises(UsageError) as caught:
            Journal(path)
        say(caught.value)

    assert told_by(second) == [f"{path}: another run is writing it"]
    keeper.add(records[1])
    keeper.close()
    assert len(Ledger.read(path).claims) == 2
    assert list(tmp_path.iterdir()) == [path]
    Keeper(Ledger(baseline.suite, baseline.environment, []), path).close()


def _until_full(path, ledger, records, limit, say):
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
    try:
        keep(path, ledger, records, say)
    except UsageError as exc:
        say(f"! {exc}")


@pytest.mark.parametrize("limit", [50_000, 5_000])
def test_a_full_disk(tmp_path, baseline, records, limit):
    """One line; everything until then is kept, and gone on with once there is room."""
    path = tmp_path / "ledger.json"
    ledger = Ledger(baseline.suite, baseline.environment, [])
    *told, said = told_by(partial(_until_full, path, ledger, records, limit))
    assert said.startswith("! ")
    assert "cannot be written (File too large)" in said
    found = Ledger.read(path).claims
    assert {r.id for r in found} >= set(told)
    assert 0 < len(found) < len(records)
    keep(path, Ledger(baseline.suite, baseline.environment, found), records[len(found) :])
    assert sorted(r.id for r in Ledger.read(path).claims) == sorted(r.id for r in records)


@pytest.mark.parametrize("place", ["/proc/ledger.json", "/dev/null/ledger.json", "x" * 300, ""])
def test_a_place_where_there_is_no_writing(baseline, place):
    with pytest.raises(UsageError, match="cannot be written"):
        Keeper(Ledger(baseline.suite, baseline.environment, []), Path(place))


def test_a_folder_that_vanishes(tmp_path, baseline, records):
    """It is made again, with everything in it."""
    path = tmp_path / "out" / "ledger.json"
    keeper = Keeper(Ledger(baseline.suite, baseline.environment, []), path)
    for record in records[:3]:
        keeper.add(record)
    for each in path.parent.iterdir():
        each.unlink()
    path.parent.rmdir()
    for record in records[3:6]:
        keeper.add(record)
    keeper.close()
    assert len(Ledger.read(path).claims) == 6


def test_a_clock_that_jumps_back(tmp_path, baseline, records, monkeypatch):
    path = tmp_path / "ledger.json"
    moments = iter([1e9, 1e9, 1e9 + 1, *[-1e9] * 50])
    monkeypatch.setattr(time, "monotonic", lambda: next(moments, 0.0))
    monkeypatch.setattr(time, "time", lambda: -1e9)
    keeper = Keeper(Ledger(baseline.suite, baseline.environment, []), path)
    for count, record in enumerate(records[:9], start=1):
        keeper.add(record)
        assert len(Ledger.read(path).claims) == count
    keeper.close()
    assert len(Ledger.read(path).claims) == 9


NAMES = ["with space", "quo'te\"s", "new\nline", "日本語 ñ", "$(touch owned)", "-k", "\udcff"]


@pytest.mark.parametrize("name", NAMES)
def test_names_of_folders(tmp_path, baseline, records, name):
    path = tmp_path / name / f"{name}.json"
    keep(path, Ledger(baseline.suite, baseline.environment, []), records[:2])
    assert len(Ledger.read(path).claims) == 2
    assert resumes(path, baseline)
    with pytest.raises(UsageError) as caught:
        Ledger.read(path.with_name("other"))
    assert str(caught.value).isprintable()


def resumes(path, baseline):
    try:
        return len(resume(path, None, {}).done) == 2
    except UsageError as exc:  # of another commit than the baseline's, as it should be
        return "another version or commit" in str(exc)


def quick(trial):
    time.sleep(0.002)
    trial.close("two", 2.0 + 0 * trial.seed, 1.0, 0.1, "toy")


@pytest.fixture
def toy_claims(monkeypatch):
    """Twenty claims about GD that take no time."""
    first = registry.all_claims()["usam/gd-min-distance"]
    claims = {f"usam/toy-{k}": replace(first, id=f"usam/toy-{k}", body=quick) for k in range(20)}
    for module in (registry, duels, matrix, _selection):
        monkeypatch.setattr(module, "all_claims", lambda: claims)
    names = {claim_id: claim.keywords for claim_id, claim in claims.items()}
    monkeypatch.setattr(_selection, "index", lambda: names)
    return claims


def command(words, say):
    sys.stdout = sys.stderr = io.StringIO()
    say(main(words))


COMMANDS = {
    "check": ["check", "gd=torch.optim:SGD", "--seeds", "0,1", "-k", "toy", "--ledger", "FILE"],
    "mutants": ["mutants", "-k", "toy", "--jobs", "1", "--json", "FILE"],
}


@pytest.mark.parametrize("name", COMMANDS)
def test_killed_commands(tmp_path, toy_claims, times, name):
    rng, path = random.Random(18), tmp_path / "kept.json"
    words = [str(path) if word == "FILE" else word for word in COMMANDS[name]]
    resumed = {"check": ["--resume", str(path)], "mutants": ["--resume"]}[name]

    def kept():
        if not path.exists():
            return []
        if name == "check":
            return list(map(key_of, Ledger.read(path).claims))
        return [(d.claim, d.role, d.rival) for d in Matrix.read(path).duels]

    started = time.monotonic()
    (code,) = told_by(partial(command, words))
    whole, longest = kept(), time.monotonic() - started
    assert len(whole) == len(set(whole)) == {"check": 40, "mutants": 60}[name]
    path.unlink()
    for _ in range(times(6, 300)):
        before = kept()
        if len(before) == len(whole):
            path.unlink()
            before = []
        told_by(partial(command, words + resumed * path.exists()), rng.uniform(0, longest / 2))
        found = kept()
        assert len(found) == len(set(found))
        # What fails runs again: `quick` refutes every rival, and SGD with them.
        assert name == "check" or set(before) <= set(found)
    assert told_by(partial(command, words + resumed * path.exists())) == [code]
    assert sorted(kept()) == sorted(whole)
