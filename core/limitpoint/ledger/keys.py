"""What tells a record from those of other claims and settings."""

from __future__ import annotations

from typing import NamedTuple

from limitpoint.judgement.record import Record


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


def key_of(record: Record) -> Key:
    """The key of a record."""
    seed = record.seed if record.seeded else None
    return Key(record.id, seed, record.engine, record.device, record.horizon, record.subject)
