"""What is known of each optimizer: the results that bind it, as the registry has them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

from limitpoint.judgement.claim import Claim
from limitpoint.judgement.record import Record
from limitpoint.judgement.roles import ROLES
from limitpoint.judgement.verdict import Verdict

#: What one wants to know of an optimizer, and which kinds of claims answer it.
QUESTIONS = {
    "what it owes its user": ("law",),
    "its step": ("identity",),
    "what it never does": ("inequality", "bound"),
    "where it ends, and how fast": ("limit", "rate", "ordering"),
    "what is seen": ("observation",),
}


def page(claims: Iterable[Claim], records: Sequence[Record] = ()) -> str:
    """The page, in Markdown.

    Args:
        claims: those of the registry that are shown.
        records: of a ledger; each claim about limitpoint's own rules gets its worst verdict.
    """
    shown, verdicts = list(claims), _verdicts(records)
    parts = ["# What is known", "Each result is a test; errata are listed by `limitpoint errata`."]
    for role in sorted({role for claim in shown for role in claim.roles}):
        about = [claim for claim in shown if claim.kind != "erratum" and role in claim.roles]
        if about:
            formula = ROLES.get(role, "whatever its step is")
            parts += [f"## {role}", f"`{formula}`", *_answers(about, verdicts)]
    return "\n\n".join(parts) + "\n"


def _answers(claims: Sequence[Claim], verdicts: Mapping[str, str]) -> Iterator[str]:
    for question, kinds in QUESTIONS.items():
        lines = [_line(claim, verdicts) for claim in claims if claim.kind in kinds]
        if lines:
            yield f"**{question.capitalize()}**"
            yield "\n".join(lines)
    answered = {claim.kind for claim in claims}
    theorems = list(QUESTIONS.items())[1:-1]
    still = [question for question, kinds in theorems if not answered & {*kinds}]
    if still and answered != {"law"}:
        yield f"Open here: {', '.join(still)}."


def _line(claim: Claim, verdicts: Mapping[str, str]) -> str:
    given = f" **{verdicts[claim.id]}**" if claim.id in verdicts else ""
    return f"- {claim.statement} ({claim.source}; `{claim.id}`){given}"


def _verdicts(records: Sequence[Record]) -> dict[str, str]:
    """The worst verdict of each claim, and on how many runs."""
    own: dict[str, list[Record]] = {}
    for record in records:
        if record.subject is None:
            own.setdefault(record.id, []).append(record)
    found = {}
    for id, runs in own.items():
        verdicts = [record.verdict for record in runs]
        worst = max(verdicts, key=list(Verdict).index)
        found[id] = f"{worst}, {verdicts.count(Verdict.SUPPORTED)} of {len(runs)}"
    return found
