"""Duels: claims against the wrong implementations that they must refute."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import partial

from limitpoint.judgement.claim import Claim
from limitpoint.judgement.comparison import tightest
from limitpoint.judgement.evaluate import evaluate
from limitpoint.judgement.record import Record
from limitpoint.judgement.registry import all_claims
from limitpoint.judgement.setting import Setting
from limitpoint.judgement.verdict import Verdict
from limitpoint.rivals import RIVALS
from limitpoint.rivals.matrix import Duel, Matrix, Place, roles_of
from limitpoint.workers import Workers, work

#: A claim, the role in which it is met, and the rival that plays it.
Match = tuple[Claim, str, str]


def fight(claim: Claim, role: str, rival: str, setting: Setting) -> Duel:
    """Run a claim with a rival in one of its roles.

    An exception is a verdict too, so that the other duels go on: "error" for a rival that the claim
    names; one that it does not name may lack what the claim asks of a rule, and is not applicable.

    Raises:
        KeyError: no such rival.
    """
    named = (role, rival) in claim.named
    part = partial(Duel, claim.id, role, rival, named)
    try:
        record = evaluate(claim, [RIVALS[rival].contestant(role)], setting)
    except Exception as exc:
        verdict = "error" if named else "not-applicable"
        return part(verdict, f"{type(exc).__name__}: {exc}", None, 0.0)
    wrong = _not_the_rivals(record, role)
    if wrong:
        return part("error", wrong, None, record.seconds)
    return part(record.verdict.value, record.reason, _slack(record, role), record.seconds)


def _not_the_rivals(record: Record, role: str) -> str:
    """What a refuted claim has violated if it is none of what the rival is judged by, else ""."""
    violated = [e for e in record.evidence if not e.holds]
    if not violated or any(e.is_about([role]) for e in violated):
        return ""
    return f"violated, and not about {role}: {violated[0]}"


def _slack(record: Record, role: str) -> float | None:
    """Least slack of the evidence; None if there is none, or if it does not explain the verdict."""
    closest = tightest(record.about([role]))
    if closest is None or (record.verdict is Verdict.REFUTED and closest.holds):
        return None
    return closest.slack


def named_matches(claims: Sequence[Claim]) -> list[Match]:
    """Each claim with each rival that it names."""
    return [(claim, role, rival) for claim in claims for role, rival in claim.named]


def all_matches(claims: Sequence[Claim]) -> list[Match]:
    """Each claim with each rival that plays one of its roles, and each that it names."""
    return [
        (claim, role, rival)
        for claim in claims
        for role in claim.roles
        for rival in RIVALS
        if role in roles_of(rival)
    ]


def _place(match: Match) -> Place:
    claim, role, rival = match
    return claim.id, role, rival


def _fight_by_name(setting: Setting, names: Place) -> Duel:
    claim, role, rival = names
    return fight(all_claims()[claim], role, rival, setting)


def kill_matrix(
    claims: Sequence[Claim],
    setting: Setting,
    *,
    everything: bool = False,
    workers: Workers | None = None,
    fought: Iterable[Duel] = (),
    watch: Callable[[Matrix], None] = lambda _: None,
) -> Matrix:
    """The kill matrix of some claims.

    Args:
        claims: whose.
        setting: how they are run.
        everything: every rival of a claim's roles, not only those that the claim names.
        workers: this process by default.
        fought: duels that are not fought again.
        watch: called with the matrix so far, at the start and after each duel.

    Raises:
        UsageError: workers died again and again.
    """
    places = list(map(_place, (all_matches if everything else named_matches)(claims)))
    matrix = Matrix.of(claims, setting, len(places))
    found = {duel.place: duel for duel in fought}
    matrix.duels = [found[place] for place in places if place in found]
    watch(matrix)

    def keep(duel: Duel) -> None:
        if duel.place not in found:
            found[duel.place] = duel
            matrix.duels.append(duel)
            watch(matrix)

    work(
        lambda: [place for place in places if place not in found],
        partial(_fight_by_name, setting), keep, workers,
    )  # fmt: skip
    return matrix
