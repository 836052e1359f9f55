"""The kill matrix: every claim against the wrong implementations it must refute."""

from __future__ import annotations

import multiprocessing
import os
import signal
from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import cache, partial
from pathlib import Path
from typing import Annotated, Any

import msgspec

from limitpoint.errors import UsageError
from limitpoint.judgement.claim import Claim
from limitpoint.judgement.comparison import tightest
from limitpoint.judgement.evaluate import evaluate
from limitpoint.judgement.record import Record
from limitpoint.judgement.registry import all_claims
from limitpoint.judgement.setting import Setting
from limitpoint.judgement.verdict import Verdict
from limitpoint.ledger import Suite, read_document, since, suite, write_document
from limitpoint.rivals import RIVALS

SCHEMA = 1
#: A claim, the role in which it is met, and the rival that plays it.
Match = tuple[Claim, str, str]
#: Where a band of refutations ends: minus the slack, in units of the bound or the tolerance.
BANDS = (0.1, 1.0, 100.0)


class Duel(msgspec.Struct, frozen=True):
    """One claim against one rival.

    Args:
        claim: its id.
        role: of the claim's roles the one that the rival plays.
        rival: its name.
        named: whether the claim names the rival, and so must refute it.
        verdict: of the claim, or "error" if it raised.
        reason: of the verdict.
        slack: least slack of the evidence, negative if refuted by it; None if the rival broke down.
        seconds: of the run.
    """

    claim: str
    role: str
    rival: str
    named: bool
    verdict: Annotated[str, msgspec.Meta(pattern=f"^({'|'.join(Verdict)}|error)$")]
    reason: str
    slack: float | None
    seconds: float

    @property
    def killed(self) -> bool:
        """Whether the claim refuted the rival."""
        return self.verdict == "refuted"

    @property
    def result(self) -> str:
        """ "refuted", "survived" or "not applicable"."""
        if self.verdict == "not-applicable":
            return "not applicable"
        return "refuted" if self.killed else "survived"


class Fault(msgspec.Struct, frozen=True):
    """What is wrong with a rival, and the roles in which claims name it."""

    fault: str
    roles: tuple[str, ...]


class Matrix(msgspec.Struct):
    """Claims against rivals, as far as they were fought.

    Args:
        claims: the roles of each selected claim by id.
        rivals: what is wrong with each rival, and its roles, by name.
        seed: of the data.
        covered: the roles of which every claim was selected; only there can a rival be judged.
        planned: how many duels there are.
        duels: those fought.
        suite: version and commit.
    """

    claims: dict[str, tuple[str, ...]]
    rivals: dict[str, Fault]
    seed: int
    covered: list[str]
    planned: int
    duels: list[Duel]
    suite: Suite

    @classmethod
    def of(cls, claims: Sequence[Claim], setting: Setting, planned: int) -> Matrix:
        """The empty matrix of these claims."""
        chosen = {claim.id for claim in claims}
        left_out = {r for c in all_claims().values() if c.id not in chosen for r in c.roles}
        roles = dict.fromkeys(role for claim in claims for role in claim.roles)
        return cls(
            {claim.id: claim.roles for claim in claims},
            {name: Fault(rival.fault, roles_of(name)) for name, rival in RIVALS.items()},
            setting.seed,
            [role for role in roles if role not in left_out],
            planned,
            [],
            suite(),
        )

    def playing(self, role: str) -> list[str]:
        """The rivals of a role, and whoever else a claim about it was run against."""
        declared = [name for name, rival in self.rivals.items() if role in rival.roles]
        others = {duel.rival for duel in self.duels if duel.role == role} - set(declared)
        return declared + sorted(others)

    @property
    def played(self) -> list[str]:
        """The roles of the claims, each once."""
        return list(dict.fromkeys(role for roles in self.claims.values() for role in roles))

    def about(self, role: str) -> list[str]:
        """The claims about a role."""
        return [claim for claim, roles in self.claims.items() if role in roles]

    def failures(self) -> list[str]:
        """What is wrong with the suite's power, a line each; empty if nothing is."""
        return [*self._named_survivors(), *self._useless_rivals(), *self._toothless_claims()]

    def _named_survivors(self) -> Iterator[str]:
        for duel in self.duels:
            if duel.named and not duel.killed:
                yield f"{duel.rival} survives {duel.claim}, which names it: {_how(duel)}"

    def _useless_rivals(self) -> Iterator[str]:
        if not self.complete:
            return
        for name, rival in self.rivals.items():
            for role in (role for role in rival.roles if role in self.covered):
                fought = [d for d in self.duels if (d.rival, d.role) == (name, role)]
                if not any(duel.killed for duel in fought):
                    yield f"{name} survives every claim about {role}"

    def _toothless_claims(self) -> Iterator[str]:
        killers = {(duel.claim, duel.role) for duel in self.duels if duel.killed}
        fought = {(duel.claim, duel.role) for duel in self.duels}
        for place in ((claim, role) for role in self.played for claim in self.about(role)):
            if place not in killers and (self.complete or place in fought):
                yield f"{place[0]} refutes no rival of {place[1]}"

    @property
    def complete(self) -> bool:
        """Whether every planned duel was fought."""
        return len(self.duels) == self.planned

    def as_dict(self) -> dict[str, Any]:
        """The JSON document."""
        found: dict[str, Any] = msgspec.to_builtins(self)
        results = [{"result": duel.result} for duel in self.duels]
        duels = [kept | result for kept, result in zip(found["duels"], results, strict=True)]
        return {"schema": SCHEMA} | found | {"failures": self.failures(), "duels": duels}

    def write(self, path: Path) -> None:
        """Replace the file in one step."""
        write_document(self.as_dict(), path)

    @classmethod
    def read(cls, path: Path) -> Matrix:
        """Read what `write` wrote, and what an interrupted run has kept beside it.

        Raises:
            UsageError: no such file, no JSON, another schema, or anything else than the type says.
        """
        matrix = read_document(path, "kill matrix", SCHEMA, cls)
        found = {(duel.claim, duel.role, duel.rival): duel for duel in matrix.duels}
        found |= {(duel.claim, duel.role, duel.rival): duel for duel in since(path, Duel)}
        matrix.duels = list(found.values())
        return matrix

    def resumed(self, seed: int) -> list[Duel]:
        """The duels that this commit need not fight again: those that did not fail.

        Raises:
            UsageError: it is of another commit, or of another seed.
        """
        if self.suite != suite():
            raise UsageError("--resume: the matrix is of another version or commit, start afresh")
        if self.seed != seed:
            raise UsageError(f"--resume: the matrix is of seed {self.seed}: give --seed")
        return [duel for duel in self.duels if duel.killed or not duel.named]


@cache
def roles_of(rival: str) -> tuple[str, ...]:
    """The roles that a rival plays: those in which a claim names it."""
    named = (pair for claim in all_claims().values() for pair in claim.named)
    return tuple(dict.fromkeys(role for role, name in named if name == rival))


def strength(duel: Duel) -> int:
    """How far outside the bound a refuted rival was: 1 to 4, by `BANDS`; 4 if it broke down."""
    return len(BANDS) + 1 if duel.slack is None else 1 + bisect_left(BANDS, -duel.slack)


def _how(duel: Duel) -> str:
    if duel.verdict == "supported":
        return f"supported, least slack {duel.slack:.3g}" if duel.slack is not None else "supported"
    return f"{duel.verdict}, {duel.reason}"


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
    ids = [(claim.id, role, rival) for claim, role, rival in matches]
    # Not forked: torch and numba have threads.
    context = multiprocessing.get_context("spawn")
    with context.Pool(jobs, _leave_interrupts_to_the_parent) as pool:
        yield from pool.imap_unordered(partial(_fight_by_name, setting), ids)


def _leave_interrupts_to_the_parent() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def _fight_by_name(setting: Setting, names: tuple[str, str, str]) -> Duel:
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
    known = {(duel.claim, duel.role, duel.rival): duel for duel in fought}
    places = [(claim.id, role, rival) for claim, role, rival in matches]
    matrix.duels = [known[place] for place in places if place in known]
    waiting = [match for match, place in zip(matches, places, strict=True) if place not in known]
    watch(matrix)
    for duel in fights(waiting, setting, jobs):
        matrix.duels.append(duel)
        watch(matrix)
    return matrix
