"""Going on where an interrupted run stopped."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from limitpoint.errors import UsageError
from limitpoint.judgement.record import Record
from limitpoint.ledger.document import Ledger
from limitpoint.ledger.keys import Key, key_of
from limitpoint.ledger.provenance import images, suite


@dataclass(frozen=True)
class Resumed:
    """What an interrupted run has done.

    Args:
        records: all of its records.
        failed: the places of those that failed, which run again.
        done: the keys of the others.
        sources: digests of its subjects, and of those that are there now.
    """

    records: list[Record]
    failed: dict[Key, int]
    done: set[Key]
    sources: dict[str, str]


def resume(path: Path, cifar10: Path | None, sources: Mapping[str, str]) -> Resumed:
    """What a ledger has that this run would do.

    Args:
        path: of the ledger.
        cifar10: the user's copy of CIFAR-10, or None for stand-ins.
        sources: digests of the subjects of this run.

    Raises:
        UsageError: it cannot be read, or is of another version, images or sources.
    """
    ledger = Ledger.read(path)
    if ledger.suite != suite():
        raise UsageError(f"--resume {path}: is of another version or commit, start afresh")
    then, now = ledger.environment.images, images(cifar10)
    if then != now:
        raise UsageError(f"--resume {path}: its images were {then}, now {now}: see --cifar10")
    before = ledger.environment.sources
    for spec, digest in sources.items():
        if before.get(spec, digest) != digest:
            raise UsageError(f"--resume {path}: the source of {spec} has changed, start afresh")
    failed = {key_of(r): place for place, r in enumerate(ledger.claims) if r.failed}
    done = {key_of(r) for r in ledger.claims} - failed.keys()
    return Resumed(ledger.claims, failed, done, before | dict(sources))
