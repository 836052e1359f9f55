"""The command line: what it prints, its exit codes, one line for each mistake."""

import json

import pytest

from limitpoint import all_claims
from limitpoint.cli import COMMANDS, main


def test_list_shows_every_claim(capsys):
    assert main(["list", "--json"]) == 0
    shown = json.loads(capsys.readouterr().out)
    assert [row["id"] for row in shown] == list(all_claims())


def test_list_selects(capsys):
    assert main(["list", "--paper", "usam", "-k", "distance"]) == 0
    out = capsys.readouterr().out
    assert "usam/gd-min-distance" in out
    assert "exact-dynamics" not in out


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["no-such-command"], "invalid choice"),
        (["list", "--paper", "nobody"], "unknown paper 'nobody'"),
        (["list", "-k", "no-such-claim"], "no claim is selected"),
        (["mutants", "--seed", "x"], "invalid int value"),
        (["report", "no-such-ledger.json"], "cannot be read"),
        (["figures", "--list", "sam-5", "nope"], "no figure is called 'nope'"),
    ],
)
def test_wrong_usage_is_one_line_and_exit_code_2(capsys, words, message):
    try:
        code = main(words)
    except SystemExit as exc:
        code = exc.code
    captured = capsys.readouterr()
    assert code == 2
    assert len(captured.err.strip().splitlines()) == 1
    assert message in captured.err
    assert not captured.out


def test_figures_are_chosen_by_how_their_names_begin(capsys):
    assert main(["figures", "--list", "sam-"]) == 0
    shown = capsys.readouterr().out
    assert "sam-15" in shown
    assert "usam" not in shown


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help(capsys, command):
    with pytest.raises(SystemExit) as stop:
        main([command, "--help"])
    assert stop.value.code == 0
    assert "usage: limitpoint" in capsys.readouterr().out
