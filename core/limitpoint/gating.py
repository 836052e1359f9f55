"""The gate: what got worse between a baseline ledger and this one."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from limitpoint.ledger import Ledger
from limitpoint.summary import tightest

Record = dict[str, Any]
Key = tuple[str, int, str | None]
#: From best to worst. A claim that no longer applies has lost its test: worse than supported.
RANK = {"supported": 0, "not-applicable": 1, "inconclusive": 2, "refuted": 3}
#: A least slack below this belongs to a bound that is attained: what it shrinks by is rounding,
#: which differs between machines.
ATTAINED = 1e-6


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


def _by_key(records: Sequence[Record]) -> dict[Key, Record]:
    return {(r["id"], r["seed"], r["subject"]): r for r in records}


def compare(baseline: Ledger, ledger: Ledger, *, slack_factor: float = 2.0) -> list[Change]:
    """What changed, worst first.

    Args:
        baseline: the ledger to hold the new one against.
        ledger: the new one.
        slack_factor: > 1; a claim's least slack may shrink by it, and no further, unless it was
            below `ATTAINED`.
    """
    before, after = _by_key(baseline.claims), _by_key(ledger.claims)
    changes = [*_vanished(before, after), *_new(before, after)]
    for key in before.keys() & after.keys():
        changes += _changed(before[key], after[key], slack_factor)
    return sorted(changes, key=lambda change: (not change.worse, change.id, change.what))


def _vanished(before: Mapping[Key, Record], after: Mapping[Key, Record]) -> Iterator[Change]:
    here = {key[0] for key in after}
    for claim_id in sorted({key[0] for key in before} - here):
        yield Change(claim_id, "vanished: it is in the baseline and did not run", True)
    lost = [key for key in before.keys() - after.keys() if key[0] in here]
    for claim_id, seed, _ in lost:
        yield Change(claim_id, f"seed {seed} is in the baseline and did not run", True)


def _new(before: Mapping[Key, Record], after: Mapping[Key, Record]) -> Iterator[Change]:
    there = {key[0] for key in before}
    for claim_id in sorted({key[0] for key in after} - there):
        verdicts = {r["verdict"] for key, r in after.items() if key[0] == claim_id}
        bad = bool(verdicts & {"refuted", "inconclusive"})
        yield Change(claim_id, f"new: {', '.join(sorted(verdicts))}", bad)


def _changed(old: Record, new: Record, slack_factor: float) -> Iterator[Change]:
    name = f"seed {new['seed']}"
    if old["verdict"] != new["verdict"]:
        worse = RANK[new["verdict"]] > RANK[old["verdict"]]
        because = f" ({new['reason']})" if new["reason"] else ""
        yield Change(new["id"], f"{name}: {old['verdict']} -> {new['verdict']}{because}", worse)
        return
    then, now = tightest(old), tightest(new)
    if new["verdict"] != "supported" or then is None or now is None:
        return
    if then["slack"] > ATTAINED and now["slack"] < then["slack"] / slack_factor:
        text = f"{name}: least slack {then['slack']:.3g} -> {now['slack']:.3g} ({now['quantity']})"
        yield Change(new["id"], text, True)


def as_baseline(ledger: Ledger) -> Ledger:
    """A ledger to hold others against, and to commit: what `compare` reads, and no timings.

    Of the evidence the tightest comparison is kept, its slack to three digits.
    """
    kept = []
    for record in ledger.claims:
        closest = tightest(record)
        evidence = [closest | {"slack": float(f"{closest['slack']:.3g}")}] if closest else []
        kept.append(record | {"evidence": evidence, "seconds": 0.0})
    return Ledger(ledger.suite, ledger.environment, kept)


def expected_failures(ledger: Ledger) -> str:
    """TOML that lists the claims of a ledger that failed, each with its reason."""
    failed: dict[str, str] = {}
    for record in ledger.claims:
        if record["verdict"] in ("refuted", "inconclusive"):
            failed.setdefault(record["id"], f"{record['verdict']}: {record['reason']}")
    # A JSON string without non-ASCII escapes is a TOML basic string.
    entries = [
        f"[{json.dumps(claim_id)}]\nreason = {json.dumps(reason, ensure_ascii=True)}\n"
        for claim_id, reason in sorted(failed.items())
    ]
    return "\n".join(entries) or "# Nothing failed.\n"


def write_expected(ledger: Ledger, path: Path) -> None:
    """Write `expected_failures`, for --expected-failures."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(expected_failures(ledger), encoding="utf-8")
