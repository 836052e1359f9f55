"""What tells a record from those of other claims and settings."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from limitpoint.judgement.claim import Claim
    from limitpoint.judgement.contestant import Contestant
    from limitpoint.judgement.record import Record
    from limitpoint.judgement.setting import Setting


class Key(NamedTuple):
    """A claim under a setting.

    Args:
        id: of the claim.
        seed: or None where the claim does not read it.
        engine: that was asked for.
        device: "cpu" or "cuda".
        horizon: "quick" or "full".
        subject: as the command line says it, or None.
    """

    id: str
    seed: int | None
    engine: str
    device: str
    horizon: str
    subject: str | None


def key_for(claim: Claim, subjects: Iterable[Contestant], setting: Setting) -> Key:
    """The key that the record of a claim will have."""
    playing = [subject.spec for subject in subjects if subject.role in claim.roles]
    seed, subject = setting.seed if claim.seeded else None, "; ".join(playing) or None
    return Key(claim.id, seed, setting.engine, setting.device, setting.horizon, subject)


def key_of(record: Record) -> Key:
    """The key of a record."""
    seed = record.seed if record.seeded else None
    return Key(record.id, seed, record.engine, record.device, record.horizon, record.subject)
