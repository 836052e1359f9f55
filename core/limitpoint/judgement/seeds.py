"""Seed specifications: "42", "0-19", "1,5,7-9"."""

from __future__ import annotations

import re

from limitpoint.errors import UsageError


def parse_seeds(spec: str) -> list[int]:
    """Seeds of a specification, in order, without repeats.

    Raises:
        UsageError: the text is no list of numbers and ranges low-high.
    """
    seeds: list[int] = []
    for part in spec.split(","):
        match = re.fullmatch(r"\s*(\d+)(?:-(\d+))?\s*", part)
        if match is None:
            raise UsageError(f"seeds {spec!r}: {part!r} is neither a number nor a range like 0-19")
        low, high = int(match[1]), int(match[2] or match[1])
        if high < low:
            raise UsageError(f"seeds {spec!r}: the range {part.strip()} runs backwards")
        seeds.extend(range(low, high + 1))
    return list(dict.fromkeys(seeds))
