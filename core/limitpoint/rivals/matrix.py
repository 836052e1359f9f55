"""The kill matrix: every claim against the wrong implementations it must refute."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import Annotated, Any

import msgspec

from limitpoint.errors import UsageError
from limitpoint.judgement.claim import Claim
from limitpoint.judgement.registry import all_claims
from limitpoint.judgement.setting import Setting
from limitpoint.judgement.verdict import Verdict
from limitpoint.ledger import Suite, read_document, since, suite, write_document
from limitpoint.rivals import RIVALS

SCHEMA = 1
#: A claim, the role in which it is met, and the rival that plays it, by their names.
Place = tuple[str, str, str]
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
    def place(self) -> Place:
        """Who met whom, by their names."""
        return self.claim, self.role, self.rival

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
        found = {duel.place: duel for duel in (*matrix.duels, *since(path, Duel))}
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
