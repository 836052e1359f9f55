"""Errata: declared once with the claim, measured under both statements, printed and recorded."""

import json
from dataclasses import replace

import msgspec
import pytest

from limitpoint import Claim, Erratum, UsageError, all_claims, evaluate
from limitpoint.cli import main
from limitpoint.commands import errata_
from limitpoint.judgement.erratum import BASES, FAULTS, SIDES, SURENESS

ERRATA = [claim for claim in all_claims().values() if claim.kind == "erratum"]
TEXTS = {
    "printed": "2 + 2 = 5",
    "corrected": "2 + 2 = 4",
    "where": "(1)",
    "basis": "proof",
    "sure": "certain",
    "because": "The proof has 4.",
    "copy": "The line is legible.",
}


def toy(body, **fields):
    fields = {"kind": "erratum", "erratum": Erratum(**TEXTS), "seeded": False} | fields
    return Claim("toy/sum", "a paper", "It is 4.", (), roles=(), rivals=(), body=body, **fields)


def both_sides(trial):
    trial.printed.ordering("4, then 5", 4.0, 5.0, "arithmetic")
    trial.corrected.close("2 + 2", 2.0 + 2.0, 4.0, 0.0, "arithmetic")
    trial.close("a control", 1.0, 1.0, 0.0, "arithmetic")


@pytest.mark.parametrize("claim", ERRATA, ids=[claim.id for claim in ERRATA])
def test_an_erratum_says_what_is_printed_in_plain_text(claim):
    texts = [claim.erratum.printed, claim.erratum.corrected, claim.erratum.where]
    reasons = [claim.erratum.because, claim.erratum.copy]
    assert not any(mark in text for text in [*texts, *reasons] for mark in "$\\{}")
    assert claim.erratum.printed != claim.erratum.corrected
    assert all(text.endswith(".") for text in reasons)
    assert "erratum" in claim.id


def test_the_errata_of_the_papers_are_there():
    named = {claim.id.partition("/")[2].removeprefix("erratum-") for claim in ERRATA}
    theorems = {"theorem-4", "theorem-5", "lemma-8", "theorem-11", "theorem-12", "theorem-15"}
    assert theorems | {"min-not-sum", "table-1"} <= named


@pytest.mark.parametrize("field", list(TEXTS))
def test_an_erratum_lacks_nothing(field):
    with pytest.raises(UsageError, match=field):
        Erratum(**(TEXTS | {field: " "}))


@pytest.mark.parametrize(
    ("field", "known"), [("basis", BASES), ("sure", SURENESS), ("fault", FAULTS)]
)
def test_basis_sureness_and_fault_are_known_words(field, known):
    with pytest.raises(UsageError, match=", ".join(known)):
        Erratum(**(TEXTS | {field: "a hunch"}))


@pytest.mark.parametrize("fields", [{"erratum": None}, {"kind": "limit"}])
def test_kind_and_erratum_go_together(fields):
    with pytest.raises(UsageError, match="the kind erratum goes with an Erratum"):
        toy(both_sides, **fields)


def test_evidence_knows_its_side():
    outcome = evaluate(toy(both_sides))
    assert outcome.verdict == "supported"
    assert [evidence.under for evidence in outcome.evidence] == [*SIDES, ""]


@pytest.mark.parametrize("side", SIDES)
def test_an_erratum_measures_under_both_statements(side):
    def one_side(trial):
        getattr(trial, side).close("2 + 2", 4.0, 4.0, 0.0, "arithmetic")

    (other,) = {*SIDES} - {side}
    with pytest.raises(AssertionError, match=f"nothing under the {other} statement"):
        evaluate(toy(one_side))


def test_the_ledger_carries_the_erratum():
    record = msgspec.to_builtins(evaluate(toy(both_sides)))
    assert record["erratum"] == TEXTS | {"fault": "false"}
    assert [evidence["under"] for evidence in record["evidence"]] == [*SIDES, ""]


def test_other_records_carry_none():
    assert evaluate(toy(both_sides, kind="limit", erratum=None)).erratum is None


@pytest.fixture
def toys(monkeypatch):
    def select(*claims):
        monkeypatch.setattr(errata_, "selected", lambda args: list(claims))

    return select


def test_the_command_prints_both_statements_and_how_sure(capsys, toys):
    toys(toy(both_sides))
    assert main(["errata"]) == 0
    lines = [line.strip() for line in capsys.readouterr().out.splitlines()]
    assert lines[0] == "toy/sum  (1)  supported"
    assert lines[1:3] == ["printed  2 + 2 = 5", "4, then 5: 4 < 5"]
    assert lines[3:5] == ["corrected  2 + 2 = 4", "2 + 2: 4 = 4"]
    assert lines[5] == "sure  certain; rests on the paper's own proof. The proof has 4."
    assert lines[6] == "our copy  The line is legible."


def test_what_is_true_and_too_weak_has_a_word_of_its_own(capsys, toys):
    toys(toy(both_sides, erratum=Erratum(**TEXTS, fault="weak")))
    assert main(["errata"]) == 0
    out = capsys.readouterr().out
    assert "sure  weak; certain; rests on" in out
    assert "less than its proof gives" in out


def test_what_fails_is_shown_first_and_exits_with_1(capsys, toys):
    def wrong(trial):
        both_sides(trial)
        trial.corrected.close("3 + 3", 6.0, 7.0, 0.5, "arithmetic")

    toys(toy(wrong), replace(toy(both_sides), id="toy/other"))
    assert main(["errata"]) == 1
    out = capsys.readouterr().out
    assert "toy/sum  (1)  refuted" in out
    assert "3 + 3: 6 ≠ 7 within 0.5   and 1 more" in out


def test_the_command_prints_json(capsys, toys):
    toys(toy(both_sides))
    assert main(["errata", "--json"]) == 0
    (row,) = json.loads(capsys.readouterr().out)
    assert row.items() >= (TEXTS | {"id": "toy/sum", "verdict": "supported"}).items()
    assert [evidence["under"] for evidence in row["evidence"]] == [*SIDES, ""]


def test_a_claim_of_a_paper_goes_through(capsys):
    assert main(["errata", "-k", "usam/erratum-table-1"]) == 0
    out = capsys.readouterr().out
    assert "rows with two numbers: 5 = 5" in out
    assert "certain" in out


def test_no_erratum_selected_is_wrong_usage(capsys):
    assert main(["errata", "-k", "usam/span"]) == 2
    assert "none of the selected claims is an erratum" in capsys.readouterr().err
