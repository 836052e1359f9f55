"""A ledger's records as the page shows them: one entry a claim, by paper."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from limitpoint.judgement.comparison import Evidence
from limitpoint.judgement.record import Record
from limitpoint.judgement.verdict import Verdict

#: Worst first: what a claim is called when its seeds disagree.
SEVERITY = tuple(reversed(Verdict))
TITLES = {
    "usam": "Implicit Bias of Different Optimizers",
    "sam": "Towards Understanding Sharpness-Aware Minimization",
    "minor-first": "Minor First, Major Last",
    "multiclass": "Implicit Bias of SignGD and Adam on Multiclass Separable Data",
    "laws": "Laws: what every implementation owes its user",
    "stability": "Stability thresholds, and the edge of stability",
    "momentum": "Momentum: its steps, and its limit",
    "quadratic-sam": "Sharpness-aware steps on quadratics",
    "flat-minima": "Along the minima, to the flattest",
    "newton-schulz": "Muon as it is used",
    "lion": "Lion: a constrained problem",
    "sign-and-batch": "Adam's bias by batch",
    "decay": "Weight decay against noise",
    "adagrad": "Adagrad: regret and limit",
    "online": "Sequences against which Adam fails",
    "backward-error": "Modified flows",
    "homogeneous": "Homogeneous networks",
    "width": "Steps by width: the coordinate check",
    "acceleration": "Rates with their constants",
}


@dataclass(frozen=True)
class ClaimRow:
    """One claim on the page: its worst verdict, and the run that came closest to failing."""

    id: str
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


@dataclass(frozen=True)
class PaperRow:
    """One paper on the page."""

    name: str
    title: str
    claims: list[ClaimRow]

    @property
    def counts(self) -> dict[Verdict, int]:
        """How many claims have each verdict; the verdicts that occur, worst first."""
        counts = Counter(row.verdict for row in self.claims)
        return {verdict: counts[verdict] for verdict in SEVERITY if counts[verdict]}

    @property
    def seconds(self) -> float:
        """Of all its runs."""
        return sum(row.seconds for row in self.claims)


def claim_rows(records: Sequence[Record]) -> list[ClaimRow]:
    """The records grouped by claim id, in order of appearance."""
    groups: dict[str, list[Record]] = {}
    for record in records:
        groups.setdefault(record.id, []).append(record)
    return [_row(claim_id, group) for claim_id, group in groups.items()]


def by_paper(rows: Iterable[ClaimRow]) -> list[PaperRow]:
    """The rows of each paper, in order of appearance."""
    groups: dict[str, list[ClaimRow]] = {}
    for row in rows:
        groups.setdefault(row.record.paper, []).append(row)
    return [PaperRow(name, TITLES.get(name, name), group) for name, group in groups.items()]


def _row(claim_id: str, group: list[Record]) -> ClaimRow:
    shown = min(group, key=lambda record: (SEVERITY.index(record.verdict), record.room))
    counts = Counter(record.verdict for record in group)
    return ClaimRow(
        claim_id,
        shown.verdict,
        len(group),
        {verdict: counts[verdict] for verdict in SEVERITY if counts[verdict]},
        shown,
        shown.tightest,
        sum(record.seconds for record in group),
    )
