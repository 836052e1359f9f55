"""The gate: what got worse between a baseline ledger and this one."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import msgspec

from limitpoint.judgement.comparison import Evidence
from limitpoint.judgement.record import Record
from limitpoint.judgement.verdict import Verdict
from limitpoint.ledger.document import Ledger
from limitpoint.ledger.files import write_text

#: A least slack below this belongs to a bound that is attained: what it shrinks by is rounding,
#: which differs between machines.
ATTAINED = 1e-6
TORCH = "torch"


class Compared(NamedTuple):
    """What a record of one ledger is compared by with a record of the other.

    Engine and device are not part of it: they are two ways to the same numbers.

    Args:
        id: of the claim.
        seed: or None where the claim does not read it.
        horizon: "quick" or "full".
        subject: as `--subject` names it, or None.
    """

    id: str
    seed: int | None
    horizon: str
    subject: str | None

    def __str__(self) -> str:
        parts = ["any seed" if self.seed is None else f"seed {self.seed}"]
        parts += [f"horizon {self.horizon}"] if self.horizon == "full" else []
        return ", ".join([*parts, self.subject] if self.subject else parts)


@dataclass(frozen=True)
class Change:
    """One difference between two ledgers.

    Args:
        id: of the claim, or "suite".
        what: in words.
        worse: whether the gate fails because of it.
    """

    id: str
    what: str
    worse: bool


def _unseeded(*ledgers: Ledger) -> set[str]:
    """The claims that one of the ledgers calls unseeded; an older one says nothing about it."""
    return {r.id for ledger in ledgers for r in ledger.claims if not r.seeded}


def _worst(records: Iterable[Record], unseeded: Collection[str]) -> dict[Compared, Record]:
    """The worst record of each key."""
    found: dict[Compared, Record] = {}
    for r in records:
        seed = None if r.id in unseeded else r.seed
        key = Compared(r.id, seed, r.horizon, r.subject)
        found[key] = max(found.get(key, r), r, key=_badness)
    return found


def _badness(record: Record) -> tuple[int, float]:
    return record.verdict.rank, -record.room


def compare(baseline: Ledger, ledger: Ledger, *, slack_factor: float = 2.0) -> list[Change]:
    """What changed, worst first.

    Args:
        baseline: the ledger to hold the new one against.
        ledger: the new one.
        slack_factor: > 1; a claim's least slack may shrink by it, and no further, unless it was
            below `ATTAINED`.
    """
    unseeded = _unseeded(baseline, ledger)
    before, after = _worst(baseline.claims, unseeded), _worst(ledger.claims, unseeded)
    changes = [*_other_images(baseline, ledger), *_vanished(before, after), *_new(before, after)]
    for key in before.keys() & after.keys():
        changes += _changed(key, before[key], after[key], slack_factor)
    return sorted(changes, key=lambda change: (not change.worse, change.id, change.what))


def _other_images(baseline: Ledger, ledger: Ledger) -> Iterator[Change]:
    then, now = (part.environment.images for part in (baseline, ledger))
    if then != now:
        text = f"images: {then} in the baseline, {now} here: verdicts are on other data"
        yield Change("suite", text, True)


def _vanished(
    before: Mapping[Compared, Record], after: Mapping[Compared, Record]
) -> Iterator[Change]:
    here, horizons = {key.id for key in after}, {key.horizon for key in after}
    for claim_id in {key.id for key in before} - here:
        yield Change(claim_id, "vanished: it is in the baseline and did not run", True)
    lost = [key for key in before.keys() - after.keys() if key.id in here]
    for horizon in {key.horizon for key in lost} - horizons:
        yield Change("suite", f"horizon {horizon} is in the baseline and did not run", True)
    for key in lost:
        if key.horizon in horizons:
            yield Change(key.id, f"{key} is in the baseline and did not run", True)


def _new(before: Mapping[Compared, Record], after: Mapping[Compared, Record]) -> Iterator[Change]:
    there = {key.id for key in before}
    for claim_id in {key.id for key in after} - there:
        verdicts = {r.verdict for key, r in after.items() if key.id == claim_id}
        failed = any(verdict.fails for verdict in verdicts)
        yield Change(claim_id, f"new: {', '.join(sorted(verdicts))}", failed)
    for key in after.keys() - before.keys():
        if key.id in there and after[key].failed:
            yield Change(key.id, f"{key}, new: {_told(after[key])}", True)


def _told(record: Record) -> str:
    because = f" ({record.reason})" if record.reason else ""
    return f"{record.verdict}{because}"


def _changed(key: Compared, old: Record, new: Record, slack_factor: float) -> Iterator[Change]:
    if old.verdict != new.verdict:
        worse = new.verdict.rank > old.verdict.rank
        yield Change(key.id, f"{key}: {old.verdict} -> {_told(new)}", worse)
        return
    if _compiled(old) and TORCH in new.ran and new.engine != TORCH:
        yield Change(key.id, f"{key}: ran compiled, now in torch: {new.ran[TORCH]}", True)
    closest = new.tightest
    if new.verdict is not Verdict.SUPPORTED or closest is None or old.tightest is None:
        return
    if old.room > ATTAINED and new.room < old.room / slack_factor:
        text = f"{key}: least slack {old.room:.3g} -> {new.room:.3g} ({closest.quantity})"
        yield Change(key.id, text, True)


def _compiled(record: Record) -> bool:
    """Whether no run of it was left to torch; an older ledger does not say."""
    return bool(record.ran) and TORCH not in record.ran


def as_baseline(ledger: Ledger) -> Ledger:
    """A ledger to hold others against, and to commit: what `compare` reads, and no timings.

    Of the evidence the tightest comparison is kept, its slack to three digits, without its curve.
    """
    kept = []
    for record in ledger.claims:
        evidence = (_rounded(record.tightest),) if record.tightest else ()
        kept.append(msgspec.structs.replace(record, evidence=evidence, seconds=0.0))
    return Ledger(ledger.suite, ledger.environment, kept)


def _rounded(evidence: Evidence) -> Evidence:
    slack = None if evidence.slack is None else float(f"{evidence.slack:.3g}")
    return msgspec.structs.replace(evidence, slack=slack, curve=msgspec.UNSET)


def expected_failures(ledger: Ledger) -> str:
    """TOML that lists the claims of a ledger that failed, each with its reason."""
    failed: dict[str, str] = {}
    for record in ledger.claims:
        if record.failed:
            failed.setdefault(record.id, f"{record.verdict}: {record.reason}")
    entries = [
        f"[{_quoted(claim_id)}]\nreason = {_quoted(reason)}\n"
        for claim_id, reason in sorted(failed.items())
    ]
    return "\n".join(entries) or "# Nothing failed.\n"


def _quoted(text: str) -> str:
    """A basic string of TOML: one of JSON in which nothing is escaped as a pair of surrogates."""
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")


def write_expected(ledger: Ledger, path: Path) -> None:
    """Write `expected_failures`, for --expected-failures."""
    write_text(expected_failures(ledger), path)
