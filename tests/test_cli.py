"""The command line: what it prints, its exit codes, one line for each mistake."""

import json
import subprocess
import sys
from importlib import import_module

import pytest
from rich.console import Console

from limitpoint import all_claims
from limitpoint.cli import COMMANDS, main
from limitpoint.commands import _screen, list_
from limitpoint.judgement import roles
from limitpoint.judgement.registry import index, titles
from limitpoint.optimizers.roles import ROLES


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
        (["chek"], "unknown command 'chek'; did you mean check?"),
        (["list", "--papr", "usam"], "unknown argument '--papr'; did you mean --paper?"),
        (["list", "-k", "adam and ("], "is no expression"),
        (["check", "SGD"], "names no optimizer: write MODULE:ATTR or ROLE=MODULE:ATTR"),
        (["check", "adm=torch.optim:Adam"], "unknown role 'adm'; did you mean adam?"),
        (["check", "adam=torch.optim:Adamm"], "torch.optim has no 'Adamm'; did you mean Adam?"),
        (["check", "adam=torch.optim:Adam", "-k", "usam"], "selects no claim about the role"),
        (["check", "gd=./no-such-file.py:f"], "there is no file './no-such-file.py'"),
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


def test_selection_is_pytests_expression(capsys):
    assert main(["list", "-k", "ADAM and not (rates or classes)", "--json"]) == 0
    ids = [row["id"] for row in json.loads(capsys.readouterr().out)]
    assert "multiclass/adam-max-norm" in ids
    assert "multiclass/adam-rates" not in ids
    assert not [claim_id for claim_id in ids if "sam/" in claim_id]


def test_the_index_knows_what_the_claims_say_of_themselves():
    assert index() == {claim.id: claim.keywords for claim in all_claims().values()}
    assert list(titles()) == sorted({claim.paper for claim in all_claims().values()})
    assert set(roles.ROLES) == set(ROLES)


@pytest.mark.parametrize("width", [40, 80, 140])
def test_ids_stay_whole_at_any_width(capsys, monkeypatch, width):
    monkeypatch.setattr(_screen, "console", lambda **_: Console(width=width))
    monkeypatch.setattr(list_, "console", _screen.console)
    assert main(["list", "-k", "multiclass"]) == 0
    lines = capsys.readouterr().out.splitlines()
    for claim in all_claims().values():
        if claim.paper == "multiclass" and len(claim.id) < width - 4:
            assert any(claim.id in line for line in lines), claim.id


HEAVY = ("torch", "matplotlib", "pandas", "cvxpy", "numpy", "pytest")
LIGHT = [
    ["--help"], ["--version"], ["chek"], ["list", "--papr"], ["list", "--paper", "nobody"],
    ["list", "-k", "no-such-claim"], ["list", "-k", "("], ["check", "king=torch.optim:SGD"],
    ["check"], ["identify", "a:b", "--steps", "3"], ["mutants", "--jobs", "0"],
    ["report", "none.json"], ["report", "bad.json"], ["gate", "bad.json", "--baseline", "bad.json"],
    ["figures", "no-such-figure"], ["margins", "--steps", "0"], ["table1", "--csv", "no/such/f"],
    *([command, "--help"] for command in COMMANDS),
]  # fmt: skip


@pytest.mark.parametrize("words", LIGHT, ids=" ".join)
def test_what_needs_no_torch_loads_none(tmp_path, words):
    """A process's own time tells of the machine as well: here it is what is loaded that counts."""
    (tmp_path / "bad.json").write_text('{"schema": 1, "suite": {}, "environment": {}}')
    code = (
        "import sys; from limitpoint.cli import main\n"
        "try: code = main(sys.argv[1:])\n"
        "except SystemExit as stop: code = stop.code\n"
        f"loaded = [name for name in {HEAVY} if name in sys.modules]\n"
        "assert not loaded, loaded\n"
        "sys.exit(code)"
    )
    command = [sys.executable, "-c", code, *words]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    fine = "--help" in words or "--version" in words
    assert (done.returncode, len(done.stderr.splitlines())) == ((0, 0) if fine else (2, 1)), done


def test_claims_are_collected_without_solvers_or_tables():
    unused = {
        "cvxpy.atoms",
        "scipy.optimize",
        "scipy.stats",
        "scipy.integrate",
        "pandas.core",
        "numba",
    }
    code = (
        "import sys, limitpoint\n"
        "assert limitpoint.all_claims()\n"
        f"assert not (loaded := {unused} & sys.modules.keys()), loaded"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_a_class_is_judged_in_its_roles_alone_where_no_law_is_selected(capsys):
    assert main(["check", "torch.optim:SGD", "-k", "usam/span"]) == 0
    assert "supported       usam/span" in capsys.readouterr().out


def test_the_commands_that_are_described_are_there():
    for command in COMMANDS:
        assert callable(import_module(f"limitpoint.commands.{command}_").run)


@pytest.mark.parametrize("words", [["roles", "--json"], ["list", "--json"]])
def test_a_reader_may_stop_reading(words):
    with subprocess.Popen(
        [sys.executable, "-m", "limitpoint", *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        process.stdout.close()
        assert process.stderr.read() == b""
    assert process.returncode == 141


def test_roles_are_listed(capsys):
    assert main(["roles"]) == 0
    assert "adam          w - eta m / (sqrt(v) + epsilon)" in capsys.readouterr().out
