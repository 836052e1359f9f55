"""What the ledger keeps of one claim under one setting."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, Any

import msgspec

from limitpoint.judgement.comparison import Evidence, tightest
from limitpoint.judgement.erratum import Erratum
from limitpoint.judgement.verdict import Verdict

ID = r"[a-z0-9-]+/[a-z0-9-]+"


class Record(msgspec.Struct, frozen=True, kw_only=True):
    """One claim under one setting, and what came of it.

    Args:
        id, source, statement, kind, erratum, roles, seeded: of the claim.
        subject: who played the roles, as the command line says it; None for limitpoint's own rules.
        seed, engine, device, horizon: of the setting.
        ran: the engines that ran, each with why it was not a compiled one; "" for one that is.
        verdict: what came of it.
        reason: why no better; "" for "supported".
        evidence: the comparisons.
        seconds: of wall time.
        reproduce: a command to paste.
        notes: what is to be said of how a subject was run: what it was handed, and how.
    """

    id: Annotated[str, msgspec.Meta(pattern=f"^{ID}$")]
    source: str
    statement: str
    kind: str
    erratum: Erratum | None = None
    roles: tuple[str, ...]
    subject: str | None
    seed: int
    seeded: bool = True
    engine: str
    device: str
    horizon: str
    ran: dict[str, str] = {}
    verdict: Verdict
    reason: str
    evidence: tuple[Evidence, ...]
    seconds: float
    reproduce: str
    notes: tuple[str, ...] = ()

    def __getitem__(self, name: str) -> Any:
        """A field by its name in the ledger."""
        return getattr(self, name)

    @property
    def paper(self) -> str:
        """The part of the id before the slash."""
        return self.id.partition("/")[0]

    @property
    def name(self) -> str:
        """The part of the id after the slash."""
        return self.id.partition("/")[2]

    @property
    def failed(self) -> bool:
        """Whether it fails a run."""
        return self.verdict.fails

    @property
    def tightest(self) -> Evidence | None:
        """The comparison with the least slack."""
        return tightest(self.evidence)

    @property
    def room(self) -> float:
        """The least slack; inf where nothing was compared."""
        least = self.tightest
        return float("inf") if least is None else least.room

    def about(self, roles: Iterable[str]) -> tuple[Evidence, ...]:
        """The comparisons that judge one of the roles."""
        roles = tuple(roles)
        return tuple(e for e in self.evidence if e.is_about(roles))


def papers(records: Iterable[Record]) -> list[str]:
    """The papers in order of appearance."""
    return list(dict.fromkeys(record.paper for record in records))
