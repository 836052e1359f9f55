"""A ledger's records as the page shows them: one entry a claim and subject, by paper."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from limitpoint.judgement.comparison import Evidence
from limitpoint.judgement.record import Record
from limitpoint.judgement.registry import titles
from limitpoint.judgement.verdict import Verdict

#: Worst first: what a claim is called when its seeds disagree.
SEVERITY = tuple(reversed(Verdict))


@dataclass(frozen=True)
class ClaimRow:
    """One claim about one subject: its worst verdict, and the run that came closest to failing.

    Args:
        id: of the claim.
        anchor: the entry's own name on the page; the first entry of a claim has the claim's.
        verdict: the worst of its runs.
        runs: how many there are.
        counts: how many of them have each verdict that occurs, worst first.
        record: the run that is shown.
        closest: its evidence with the least slack.
        seconds: of all its runs.
    """

    id: str
    anchor: str
    verdict: Verdict
    runs: int
    counts: dict[Verdict, int]
    record: Record
    closest: Evidence | None
    seconds: float

    @property
    def name(self) -> str:
        """The id without its paper."""
        return self.id.partition("/")[2]

    @property
    def slack(self) -> float | None:
        """Least slack of the run that is shown."""
        return self.closest.slack if self.closest else None

    @property
    def rooms(self) -> list[tuple[float, bool]]:
        """Where each comparison lies between -1 and 1 by its slack, and whether it holds."""
        return [(max(-1.0, min(e.room, 1.0)), e.holds) for e in self.record.evidence]


@dataclass(frozen=True)
class SubjectRow:
    """One subject on the page."""

    name: str
    counts: dict[Verdict, int]


@dataclass(frozen=True)
class PaperRow:
    """One paper on the page."""

    name: str
    title: str
    claims: list[ClaimRow]

    @property
    def counts(self) -> dict[Verdict, int]:
        """How many claims have each verdict; the verdicts that occur, worst first."""
        return _counted(row.verdict for row in self.claims)

    @property
    def seconds(self) -> float:
        """Of all its runs."""
        return sum(row.seconds for row in self.claims)


def claim_rows(records: Sequence[Record]) -> list[ClaimRow]:
    """The records grouped by claim and subject, in order of appearance."""
    groups: dict[tuple[str, str | None], list[Record]] = {}
    for record in records:
        groups.setdefault((record.id, record.subject), []).append(record)
    seen: Counter[str] = Counter()
    rows = []
    for (claim_id, _), group in groups.items():
        seen[claim_id] += 1
        again = f"@{seen[claim_id]}" if seen[claim_id] > 1 else ""
        rows.append(_row(claim_id, claim_id + again, group))
    return rows


def by_subject(rows: Iterable[ClaimRow]) -> list[SubjectRow]:
    """The verdicts of each subject that was judged, in order of appearance."""
    groups: dict[str, list[ClaimRow]] = {}
    for row in rows:
        if row.record.subject:
            groups.setdefault(row.record.subject, []).append(row)
    return [
        SubjectRow(name, _counted(row.verdict for row in group)) for name, group in groups.items()
    ]


def by_paper(rows: Iterable[ClaimRow]) -> list[PaperRow]:
    """The rows of each paper, in order of appearance."""
    groups: dict[str, list[ClaimRow]] = {}
    for row in rows:
        groups.setdefault(row.record.paper, []).append(row)
    known = titles()
    return [PaperRow(name, known.get(name, name), group) for name, group in groups.items()]


def _row(claim_id: str, anchor: str, group: list[Record]) -> ClaimRow:
    shown = min(group, key=lambda record: (SEVERITY.index(record.verdict), record.room))
    return ClaimRow(
        claim_id,
        anchor,
        shown.verdict,
        len(group),
        _counted(record.verdict for record in group),
        shown,
        shown.tightest,
        sum(record.seconds for record in group),
    )


def _counted(verdicts: Iterable[Verdict]) -> dict[Verdict, int]:
    """How many there are of each that occurs, worst first."""
    counts = Counter(verdicts)
    return {verdict: counts[verdict] for verdict in SEVERITY if counts[verdict]}
