"""Seed specifications: "42", "0-19", "1,5,7-9"."""

from __future__ import annotations

import re

from limitpoint.errors import UsageError

#: More in one run are a slip of the finger.
MOST = 100_000
LARGEST = 2**63


def parse_seeds(spec: str) -> list[int]:
    """Seeds of a specification, in order, without repeats.

    Raises:
        UsageError: the text is no list of numbers and ranges low-high, or has more than `MOST`.
    """
    seeds: list[int] = []
    for part in spec.split(","):
        match = re.fullmatch(r"\s*([0-9]{1,20})(?:-([0-9]{1,20}))?\s*", part)
        if match is None:
            shown = f"{spec[:80]!r}: {part[:40]!r}"
            raise UsageError(f"seeds {shown} is neither a number nor a range like 0-19")
        low, high = int(match[1]), int(match[2] or match[1])
        if high < low:
            raise UsageError(f"seeds {spec!r}: the range {part.strip()} runs backwards")
        if high >= LARGEST:
            raise UsageError(f"seeds {spec!r}: {high} is no seed, they are below 2^63")
        if len(seeds) + high - low >= MOST:
            raise UsageError(f"seeds {spec[:80]!r}: more than {MOST} seeds")
        seeds.extend(range(low, high + 1))
    return list(dict.fromkeys(seeds))
