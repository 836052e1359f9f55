"""Expected failures: TOML, keyed by claim id, each with a reason; and which failures count."""

from __future__ import annotations

import tomllib
from collections.abc import Collection, Iterable, Sequence
from pathlib import Path

from limitpoint.errors import UsageError
from limitpoint.judgement.record import Record
from limitpoint.judgement.verdict import Verdict


def read_expected(paths: Iterable[Path]) -> dict[str, str]:
    """Claim id -> reason (with the URL, if there is one).

    Raises:
        UsageError: a file that is missing or no TOML, an entry without a reason, an id twice.
    """
    found: dict[str, str] = {}
    for path in paths:
        for claim_id, entry in _tables(path).items():
            if not isinstance(entry, dict) or not str(entry.get("reason", "")).strip():
                raise UsageError(
                    f'expected failures {path}: ["{claim_id}"] needs a reason = "..." of its own'
                )
            if claim_id in found:
                raise UsageError(f"expected failures {path}: {claim_id} is listed twice")
            url = f" ({entry['url']})" if entry.get("url") else ""
            found[claim_id] = f"{entry['reason']}{url}"
    return found


def _tables(path: Path) -> dict[str, object]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as exc:
        raise UsageError(f"expected failures {path}: cannot be read ({exc.strerror})") from None
    except (ValueError, RecursionError) as exc:  # of TOML, or of UTF-8
        raise UsageError(f"expected failures {path}: not TOML: {exc}") from None


def failures(
    records: Iterable[Record], expected: Collection[str], *, allow_inconclusive: bool
) -> list[Record]:
    """The records that fail a run: those that failed and are not excused.

    Args:
        records: of a ledger.
        expected: ids of claims that are known to fail.
        allow_inconclusive: whether the verdict inconclusive is excused.
    """
    excused = {Verdict.INCONCLUSIVE} if allow_inconclusive else set()
    return [r for r in records if r.failed and r.verdict not in excused and r.id not in expected]


def count_excused(records: Sequence[Record], failing: Sequence[Record]) -> str:
    """How many records failed and are none of the failing ones, in words; "" for none."""
    count = sum(record.failed for record in records) - len(failing)
    return f"{count} more failed and were excused (pytest -rxs says why)" if count else ""
