"""What is known: a page made of the registry alone."""

import msgspec

from limitpoint import Setting, all_claims, evaluate
from limitpoint.cli import main
from limitpoint.views.known import page


def test_each_claim_about_a_role_is_there_once_a_role():
    text = page(all_claims().values())
    for claim in all_claims().values():
        roles = claim.roles if claim.kind != "erratum" else ()
        assert text.count(f"`{claim.id}`") == len(roles), claim.id


def test_what_no_claim_answers_is_open():
    claims = [c for c in all_claims().values() if c.id == "lion/box"]
    assert "Open here: its step, where it ends, and how fast." in page(claims)


def test_verdicts_of_a_ledger_are_added_and_a_failure_shows():
    claim = all_claims()["momentum/heavy-ball-step"]
    good = evaluate(claim, (), Setting(seed=1))
    bad = msgspec.structs.replace(good, verdict="refuted", seed=2)
    assert "**supported, 1 of 1**" in page([claim], [good])
    assert "**refuted, 1 of 2**" in page([claim], [good, bad])


def test_the_command_prints_or_writes(capsys, tmp_path):
    assert main(["known", "-k", "lion"]) == 0
    printed = capsys.readouterr().out
    assert "## lion" in printed
    assert main(["known", "-k", "lion", "--out", str(tmp_path / "known.md")]) == 0
    assert (tmp_path / "known.md").read_text(encoding="utf-8") == printed
