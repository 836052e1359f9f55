"""The kill matrix: who is run against whom, what fails it, how it is kept, shown and drawn."""

import json
import os
import re
import signal
import subprocess
import sys
import time

import msgspec
import pytest

from limitpoint import Setting, UsageError, all_claims
from limitpoint.cli import main
from limitpoint.judgement.contestant import House
from limitpoint.ledger import Suite
from limitpoint.optimizers import USAM
from limitpoint.rivals import RIVALS, Rival, build
from limitpoint.rivals import duels as fights
from limitpoint.rivals import matrix as mutants
from limitpoint.rivals.duels import kill_matrix
from limitpoint.rivals.matrix import Duel, Fault, Matrix, roles_of, strength
from limitpoint.views.figures.kill_matrix import kill_matrix as draw
from limitpoint.workers import Workers

EXACT = "usam/exact-dynamics"


def exit_code(*words):
    """Of the command line, whoever finds what is wrong with it."""
    try:
        return main(words)
    except SystemExit as stop:
        return stop.code


def duel(
    claim_id="usam/one", rival="gd", verdict="refuted", *, role="usam", named=True, slack=-1.0
):
    return Duel(claim_id, role, rival, named, verdict, "because", slack, 0.1)


def matrix(*duels, claims=None, covered=(), planned=None):
    claims = {d.claim: (d.role,) for d in duels} if claims is None else claims
    rivals = {
        name: Fault("a sign", tuple(sorted({d.role for d in duels if d.rival == name})))
        for name in dict.fromkeys(d.rival for d in duels)
    }
    planned = len(duels) if planned is None else planned
    return Matrix(claims, rivals, 42, list(covered), planned, list(duels), Suite("0", "abc"))


# ------------------------------------------------------------------------------------- what fails


def test_nothing_fails_where_everyone_is_refuted():
    assert matrix(duel(), duel(rival="cd")).failures() == []


@pytest.mark.parametrize("verdict", ["supported", "inconclusive", "not-applicable"])
def test_a_named_rival_must_be_refuted(verdict):
    failures = matrix(duel(), duel(rival="cd", verdict=verdict), duel("usam/two", "cd")).failures()
    assert len(failures) == 1
    assert failures[0].startswith("cd survives usam/one, which names it")


def test_a_rival_that_a_claim_does_not_name_may_survive_it():
    spared = duel(rival="cd", verdict="supported", named=False)
    assert matrix(duel(), spared, duel("usam/two", "cd")).failures() == []


def test_a_rival_must_not_survive_every_claim_about_its_role():
    spared = duel(rival="cd", verdict="supported", named=False)
    found = matrix(duel(), spared, duel("gd/one", "cd", role="gd"), covered=["usam", "gd"])
    assert found.failures() == ["cd survives every claim about usam"]


def test_a_rival_is_not_judged_by_some_of_the_claims_about_its_role():
    spared = duel(rival="cd", verdict="supported", named=False)
    assert matrix(duel(), spared).failures() == []


def test_a_claim_must_refute_somebody():
    spared = duel("usam/two", verdict="supported", named=False)
    assert matrix(duel(), spared).failures() == ["usam/two refutes no rival of usam"]
    assert matrix(duel(), claims={"usam/one": ("usam",), "usam/two": ("usam",)}).failures() == [
        "usam/two refutes no rival of usam"
    ]


def test_a_claim_without_a_role_has_nobody_to_refute():
    assert matrix(duel(), claims={"usam/one": ("usam",), "usam/two": ()}).failures() == []


def test_a_rival_plays_the_roles_in_which_claims_name_it():
    for name in RIVALS:
        named = {r for c in all_claims().values() for r, rival in c.named if rival == name}
        assert set(roles_of(name)) == named


def test_every_role_of_a_claim_must_refute_somebody():
    both = {"sam/both": ("n-sam", "gd")}
    first = duel("sam/both", "cd", role="n-sam")
    assert matrix(first, claims=both).failures() == ["sam/both refutes no rival of gd"]
    assert matrix(first, duel("sam/both", "cd", role="gd"), claims=both).failures() == []


def test_what_an_interruption_left_out_is_no_failure():
    claims = {"usam/one": ("usam",), "usam/two": ("usam",)}
    assert matrix(duel(), claims=claims, covered=["usam"], planned=2).failures() == []


def test_a_role_is_covered_by_all_of_its_claims_only():
    claims = [claim for claim in all_claims().values() if claim.roles]
    adam = [claim for claim in claims if "adam" in claim.roles]
    assert "adam" in Matrix.of(adam, Setting(), 0).covered
    assert "adam" not in Matrix.of(adam[1:], Setting(), 0).covered


@pytest.mark.parametrize(
    ("slack", "band"), [(-0.05, 1), (-0.1, 1), (-0.5, 2), (-7.0, 3), (-1e9, 4), (None, 4)]
)
def test_strength_says_how_far_outside_the_bound(slack, band):
    assert strength(duel(slack=slack)) == band


def test_processes_find_what_one_finds():
    claims = [all_claims()[EXACT]]
    serial, parallel = (kill_matrix(claims, Setting(), workers=Workers(jobs)) for jobs in (1, 2))

    def seen(found):
        return sorted((d.rival, d.verdict, d.slack) for d in found.duels)

    assert seen(serial) == seen(parallel)
    assert len(serial.duels) == len(all_claims()[EXACT].rivals)


@pytest.mark.nightly
def test_a_clusters_workers_find_it_too(tmp_path):
    pytest.importorskip("distributed", reason="the extra cluster is not installed")
    words = ["mutants", "-k", EXACT, "--cluster", "local", "--json", str(tmp_path / "m.json")]
    assert main(words) == 0
    found = Matrix.read(tmp_path / "m.json")
    assert {duel.rival for duel in found.duels} == set(all_claims()[EXACT].rivals)
    assert all(duel.killed for duel in found.duels)


# --------------------------------------------------------------------------------- what is kept


def test_a_matrix_survives_the_way_to_disk_and_back(tmp_path):
    kept = matrix(duel(), duel(rival="cd", slack=None), planned=3)
    kept.write(tmp_path / "deep" / "m.json")
    assert Matrix.read(tmp_path / "deep" / "m.json") == kept


WHOLE = {"schema": 1} | msgspec.to_builtins(matrix())
DUEL = msgspec.to_builtins(duel())


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "not a JSON document"),
        ("[]", "not a limitpoint kill matrix of schema 1"),
        ('{"schema": 2}', "schema 1"),
        ('{"schema": 1, "duels": []}', "missing required field `claims`"),
        (
            json.dumps(WHOLE | {"duels": [{}]}),
            r"missing required field `claim` - at `\$.duels\[0\]`",
        ),
        (json.dumps(WHOLE | {"duels": [DUEL | {"verdict": "fine"}]}), "matching regex"),
        (json.dumps(WHOLE | {"rivals": {"cd": 3}}), "Expected `object`, got `int`"),
    ],
)
def test_a_malformed_matrix_is_one_line(tmp_path, text, message):
    path = tmp_path / "m.json"
    path.write_text(text)
    with pytest.raises(UsageError, match=message):
        Matrix.read(path)
    with pytest.raises(UsageError, match="cannot be read"):
        Matrix.read(tmp_path / "none.json")


# ------------------------------------------------------------------------------------- the command


def test_mutants_shows_the_matrix_and_the_reasons(capsys):
    assert main(["mutants", "-k", EXACT, "--reasons"]) == 0
    out = capsys.readouterr().out
    assert "the perturbation dropped" in out
    assert "0 survived; 0 failures" in out


def test_mutants_fails_when_a_named_rival_survives(capsys, monkeypatch):
    right = Rival("rho-zero", "nothing", lambda _: harmless)
    instead(monkeypatch, RIVALS=RIVALS | {"rho-zero": right})
    assert main(["mutants", "-k", EXACT, "--json", "--jobs", "1"]) == 1
    document = json.loads(capsys.readouterr().out)
    results = {d["rival"]: d["result"] for d in document["duels"]}
    assert results["rho-zero"] == "survived"
    assert results["rho-negative"] == "refuted"
    assert document["failures"][0].startswith(f"rho-zero survives {EXACT}, which names it")


def instead(monkeypatch, **names):
    for module in (mutants, fights):
        for name, value in names.items():
            monkeypatch.setattr(module, name, value)


def harmless(step_size, **settings):
    return build(USAM, step_size, settings)


def test_all_runs_every_rival_of_the_role(capsys, monkeypatch):
    usual = {"usual": Rival("usual", "nothing", lambda role: House(role, harmless))}
    named = {name: RIVALS[name] for name in all_claims()[EXACT].rivals}
    instead(monkeypatch, RIVALS=usual | named, roles_of=lambda name: ("usam",))
    assert main(["mutants", "-k", EXACT, "--all", "--json", "--jobs", "1"]) == 0
    duels = {d["rival"]: d for d in json.loads(capsys.readouterr().out)["duels"]}
    assert set(duels) == {"usual", *named}
    assert (duels["usual"]["result"], duels["usual"]["named"]) == ("survived", False)


def test_a_kept_matrix_is_shown_and_drawn(tmp_path, capsys):
    matrix(duel(), duel(rival="cd", verdict="supported"), duel("gd/two", role="gd")).write(
        tmp_path / "m.json"
    )
    figure = tmp_path / "heat.png"
    assert main(["mutants", "--show", str(tmp_path / "m.json"), "--figure", str(figure)]) == 1
    out = capsys.readouterr().out
    assert "cd survives usam/one" in out
    assert figure.read_bytes().startswith(b"\x89PNG")


def test_a_role_has_as_many_rivals_as_it_likes(tmp_path, capsys):
    duels = [duel(rival=f"rival-{k}") for k in range(60)]
    matrix(*duels).write(tmp_path / "m.json")
    main(["mutants", "--show", str(tmp_path / "m.json")])
    out = capsys.readouterr().out
    assert all(f"rival-{k} " in out or f"rival-{k}\n" in out for k in range(60))
    assert re.findall(r"(\d+)/\1", out) == ["26", "26", "8"]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--figure", "heat.txt"], "must end in .png"),
        (["--jobs", "0"], "must be a whole number >= 1"),
        (["--show", "none.json"], "cannot be read"),
        (["-k", "potential-interpolates"], "names a rival"),
    ],
)
def test_wrong_usage_is_one_line(capsys, words, message):
    assert exit_code("mutants", *words) == 2
    (line,) = capsys.readouterr().err.strip().splitlines()
    assert message in line


@pytest.mark.skipif(os.name == "nt", reason="sends SIGINT")
@pytest.mark.parametrize("jobs", ["1", "2"])
def test_an_interruption_keeps_what_was_done(tmp_path, jobs):
    kept = tmp_path / "m.json"
    command = [sys.executable, "-m", "limitpoint", "mutants", "--paper", "usam", "--jobs", jobs]
    started = subprocess.Popen(
        [*command, "--json", str(kept)],
        stderr=subprocess.PIPE,
        text=True,
        stdout=subprocess.DEVNULL,
        # A shell's background jobs, and so these tests in one, are told to ignore interrupts.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    deadline = time.monotonic() + 120
    while not (kept.exists() and json.loads(kept.read_text())["duels"]):
        assert time.monotonic() < deadline
        assert started.poll() is None
        time.sleep(0.1)
    started.send_signal(signal.SIGINT)
    _, err = started.communicate(timeout=60)
    assert started.returncode == 130
    found = Matrix.read(kept)
    assert f"interrupted after {len(found.duels)} of {found.planned} duels" in err
    assert 0 < len(found.duels) < found.planned


# -------------------------------------------------------------------------------------- the figure


def test_the_heat_map_shows_claims_by_paper_and_rivals_by_role():
    found = matrix(
        duel(),
        duel(rival="cd", verdict="supported"),
        duel("gd/two", "adam", role="gd"),
        claims={"usam/one": ("usam",), "gd/two": ("gd",), "gd/none": ()},
    )
    (axes,) = draw(found).axes
    assert [label.get_text() for label in axes.get_yticklabels()] == ["one", "two"]
    assert {label.get_text() for label in axes.get_xticklabels()} == {"gd", "cd", "adam"}
    words = {text.get_text() for text in axes.texts}
    assert {"usam", "gd", "1/2", "1/1"} <= words


def test_the_heat_map_marks_a_survivor():
    (axes,) = draw(matrix(duel(), duel(rival="cd", verdict="supported"))).axes
    (crosses,) = (line for line in axes.lines if line.get_marker() == "x")
    assert len(crosses.get_xdata()) == 1
