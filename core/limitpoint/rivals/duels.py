"""Duels: claims against the wrong implementations that they must refute."""

from __future__ import annotations

import multiprocessing
import os
import signal
from collections.abc import Callable, Iterable, Iterator, Sequence
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


def fights(matches: Sequence[Match], setting: Setting, jobs: int = 1) -> Iterator[Duel]:
    """Every duel, in the order in which they end.

    Args:
        matches: who meets whom.
        setting: how the claims are run.
        jobs: processes, >= 1; with one, the duels are fought here, in order.
    """
    if jobs == 1:
        for claim, role, rival in matches:
            yield fight(claim, role, rival, setting)
        return
    # Not forked: torch and numba have threads.
    context = multiprocessing.get_context("spawn")
    with context.Pool(jobs, _leave_interrupts_to_the_parent) as pool:
        yield from pool.imap_unordered(partial(_fight_by_name, setting), map(_place, matches))


def _leave_interrupts_to_the_parent() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def _place(match: Match) -> Place:
    claim, role, rival = match
    return claim.id, role, rival


def _fight_by_name(setting: Setting, names: Place) -> Duel:
    claim, role, rival = names
    return fight(all_claims()[claim], role, rival, setting)


def processes(matches: Sequence[Match]) -> int:
    """How many processes are worth their start."""
    return max(1, min(os.cpu_count() or 1, len(matches) // 8))


def kill_matrix(
    claims: Sequence[Claim],
    setting: Setting,
    *,
    everything: bool = False,
    jobs: int = 1,
    fought: Iterable[Duel] = (),
    watch: Callable[[Matrix], None] = lambda _: None,
) -> Matrix:
    """The kill matrix of some claims.

    Args:
        claims: whose.
        setting: how they are run.
        everything: every rival of a claim's roles, not only those that the claim names.
        jobs: processes, >= 1.
        fought: duels that are not fought again.
        watch: called with the matrix so far, at the start and after each duel.
    """
    matches = (all_matches if everything else named_matches)(claims)
    matrix = Matrix.of(claims, setting, len(matches))
    known = {duel.place: duel for duel in fought}
    matrix.duels = [known[place] for place in map(_place, matches) if place in known]
    waiting = [match for match in matches if _place(match) not in known]
    watch(matrix)
    for duel in fights(waiting, setting, jobs):
        matrix.duels.append(duel)
        watch(matrix)
    return matrix
