"""limitpoint.check and limitpoint.parametrize_claims, as somebody's own suite would use them."""

import json
from dataclasses import replace

import pytest
import torch
from msgspec import structs
from subject_zoo import final, logistic_problem

import limitpoint
from limitpoint import Evidence, Setting, UsageError, optimizers
from limitpoint.cli import main
from limitpoint.commands import check_
from limitpoint.judgement import registry
from limitpoint.judgement.registry import all_claims
from limitpoint.ledger import Keeper, Ledger
from limitpoint.subjects import Subject

#: More than an optimizer may stand still.
STEPS = 12


def quick(trial):
    """A few steps of gradient descent: enough to test the way in."""
    assert trial.seed
    problem, rule = logistic_problem(), trial.optimizer("gd", 0.5)
    expected = final(optimizers.GD(rule.step_size), problem, STEPS)
    trial.close("moved", trial.run(problem, rule, STEPS).final, expected, 1e-12, "rounding")


FIRST = replace(all_claims()["usam/gd-min-distance"], body=quick)
LAW = all_claims()["laws/weights"]


@pytest.fixture(autouse=True)
def _one_claim(monkeypatch):
    monkeypatch.setattr(registry, "all_claims", lambda: {FIRST.id: FIRST})


def test_check_returns_records():
    (record,) = limitpoint.check(torch.optim.SGD, role="gd", lr=0.01)
    assert (record["id"], record["verdict"]) == ("usam/gd-min-distance", "supported")
    assert "--subject gd=torch.optim.sgd:SGD,lr=0.01" in record["reproduce"]


def test_check_refutes_the_wrong_optimizer():
    (record,) = limitpoint.check(torch.optim.Adam, role="gd", lr=0.01)
    assert record["verdict"] == "refuted"


def test_check_takes_a_factory_and_seeds():
    def factory(params, lr):
        return torch.optim.SGD(params, lr=lr)

    records = limitpoint.check(factory, role="gd", seeds=(1, 2))
    assert [record["seed"] for record in records] == [1, 2]
    assert {record["verdict"] for record in records} == {"supported"}


def test_unknown_role_is_one_line():
    with pytest.raises(UsageError, match="unknown role 'king'"):
        limitpoint.check(torch.optim.SGD, role="king")


class Talks(torch.optim.SGD):
    """Prints, and does nothing."""

    def step(self, closure=None):
        print("[/red] the loss is fine")


class Marked(torch.optim.SGD):
    """Raises what a table would take for markup."""

    def step(self, closure=None):
        raise ValueError("[/red] and [bold]")


def test_the_command_leaves_out_what_an_optimizer_prints(capsys, monkeypatch):
    monkeypatch.setattr(torch.optim, "Talks", Talks, raising=False)
    assert main(["check", "gd=torch.optim:Talks", "--json"]) == 1
    printed = capsys.readouterr()
    (record,) = json.loads(printed.out)
    assert record["reason"] == "did not move in its first 10 steps"
    assert printed.err == "10 lines that it printed are not shown\n"


def test_the_command_shows_a_reason_as_it_is(capsys, monkeypatch):
    monkeypatch.setattr(torch.optim, "Marked", Marked, raising=False)
    assert main(["check", "gd=torch.optim:Marked"]) == 1
    assert "[/red] and [bold]" in capsys.readouterr().out


def test_results_are_printed_as_they_arrive(capsys, monkeypatch):
    seen = []

    def look(trial):
        seen.append(capsys.readouterr().out)
        quick(trial)

    claims = {c.id: c for c in (FIRST, replace(FIRST, id="usam/second", body=look))}
    monkeypatch.setattr(registry, "all_claims", lambda: claims)
    assert main(["check", "gd=torch.optim:SGD"]) == 0
    assert "usam/gd-min-distance" in seen[0]
    assert "2 of 2 did not fail" in capsys.readouterr().out


def test_an_interrupted_check_shows_and_keeps_what_it_had(tmp_path, capsys, monkeypatch):
    path = tmp_path / "ledger.json"

    def stop(trial):
        raise KeyboardInterrupt

    claims = {c.id: c for c in (FIRST, replace(FIRST, id="usam/stopped", body=stop))}
    monkeypatch.setattr(registry, "all_claims", lambda: claims)
    monkeypatch.setattr(Keeper, "SHARE", 1e-9)
    words = ["check", "gd=torch.optim:SGD", "--seeds", "1,2", "--ledger", str(path)]
    assert main(words) == 130
    printed = capsys.readouterr()
    assert "interrupted after 2 of 4" in printed.err
    assert "2 of 2 did not fail" in printed.out
    found = Ledger.read(path)
    assert [r["seed"] for r in found.claims] == [1, 2]
    assert list(found.environment.sources) == ["gd=torch.optim:SGD"]


def test_a_ledger_that_cannot_be_written_stops_the_check_at_its_start(
    tmp_path, capsys, monkeypatch
):
    monkeypatch.setattr(check_, "evaluate", None)
    assert main(["check", "gd=torch.optim:SGD", "--ledger", str(tmp_path)]) == 2
    assert "cannot be written (it is a folder" in capsys.readouterr().err


def test_a_line_shows_what_is_about_the_subject():
    (record,) = limitpoint.check(torch.optim.SGD, role="gd", lr=0.01)
    shown = structs.replace(
        record,
        evidence=(
            Evidence(quantity="a formula's", slack=0.1, about="a formula"),
            Evidence(quantity="another's", slack=0.2, about="adam"),
            Evidence(quantity="its own", slack=0.3, about="gd"),
            Evidence(quantity="everybody's", slack=0.4),
        ),
    )

    def line(record, role):
        playing = [Subject.from_object(role, torch.optim.SGD)]
        return check_._Shown([check_._Run(FIRST, playing, Setting())]).line(record).plain

    for role, words in (("gd", "slack 0.3 its own"), ("adam", "slack 0.2 another's")):
        assert " ".join(line(shown, role).split()).endswith(words)
    infinite = structs.replace(record, evidence=(Evidence(quantity="q", slack=None),))
    assert "-inf" in line(infinite, "gd")


def test_optimizers_in_one_role_are_compared(capsys):
    words = ["gd=torch.optim:SGD", "gd=torch.optim:Adam,lr=0.01", "--jobs", "2", "--seeds", "1,2"]
    assert main(["check", *words]) == 1
    lines = capsys.readouterr().out.splitlines()
    verdicts = sorted(line.split()[0] + " " + line.split()[2] for line in lines[:4])
    assert verdicts == 2 * ["refuted gd=torch.optim:Adam,lr=0.01"] + 2 * [
        "supported gd=torch.optim:SGD"
    ]


def test_where_it_raised(capsys, monkeypatch):
    monkeypatch.setattr(torch.optim, "Marked", Marked, raising=False)
    assert main(["check", "gd=torch.optim:Marked", "--traceback"]) == 1
    printed = capsys.readouterr()
    assert "could not be run: it raised ValueError at step 0: [/red]" in printed.out
    assert "test_checking.py:" in printed.out
    assert 'raise ValueError("[/red] and [bold]")' in printed.err


def test_where_it_raised_under_a_law(capsys, monkeypatch):
    monkeypatch.setattr(registry, "all_claims", lambda: {LAW.id: LAW})
    monkeypatch.setattr(torch.optim, "Marked", Marked, raising=False)
    assert main(["check", "optimizer=torch.optim:Marked", "--traceback"]) == 1
    assert 'raise ValueError("[/red] and [bold]")' in capsys.readouterr().err


def test_a_file_is_a_module(tmp_path, capsys, monkeypatch):
    (tmp_path / "mine.py").write_text("from torch.optim import SGD as Mine\n")
    monkeypatch.chdir(tmp_path)
    assert main(["check", "gd=./mine.py:Mine,lr=0.01", "--json"]) == 0
    (record,) = json.loads(capsys.readouterr().out)
    assert "--subject gd=./mine.py:Mine,lr=0.01" in record["reproduce"]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["gd=torch.optim:SGD", "--memory", "0"], "'0' is no number > 0"),
        (["gd=torch.optim:SGD", "--timeout", "soon"], "'soon' is no number > 0"),
        (["gd=torch.optim:SGD", "--seeds", "3-1"], "runs backwards"),
    ],
)
def test_wrong_usage_is_one_line(capsys, words, message):
    try:
        code = main(["check", *words])
    except SystemExit as exc:
        code = exc.code
    printed = capsys.readouterr()
    assert (code, printed.out, printed.err.count("\n")) == (2, "", 1)
    assert message in printed.err


def test_the_decorator_passes_and_fails():
    (case,) = limitpoint.parametrize_claims(torch.optim.SGD, role="gd", lr=0.01).args[1]
    assert case.id == "usam/gd-min-distance-seed42"
    assert case.values[0]()["verdict"] == "supported"
    (case,) = limitpoint.parametrize_claims(torch.optim.Adam, role="gd", lr=0.01).args[1]
    with pytest.raises(pytest.fail.Exception, match="usam/gd-min-distance is refuted"):
        case.values[0]()
