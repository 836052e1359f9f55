"""The claims with both engines: processor time, verdicts, and evidence compared.

    python -m bench.engines -k usam            # runs both, then compares; arguments go to pytest
    python -m bench.engines --compare AUTO TORCH

Runs are the same where each measured number's distance from the expected one is, to `RELATIVE` of
its size or to the tolerance that the claim itself allows, whichever is more. Exit code 1 if one is
not, or a verdict differs.
"""

from __future__ import annotations

import json
import resource
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

RELATIVE = 1e-6
ENGINES = ("auto", "torch")
FOLDER = Path("reports/bench")
Key = tuple[str, str, int]


@dataclass(frozen=True)
class Difference:
    """Something that the engines do not agree on.

    Args:
        claim: its id, subject and seed.
        what: "verdict", or the quantity.
        here, there: what each engine has.
    """

    claim: Key
    what: str
    here: Any
    there: Any


def by_claim(ledger: Mapping[str, Any]) -> dict[Key, Mapping[str, Any]]:
    """A ledger's records by id, subject and seed."""
    return {(r["id"], str(r["subject"]), r["seed"]): r for r in ledger["claims"]}


def compare(here: Mapping[str, Any], there: Mapping[str, Any]) -> list[Difference]:
    """All differences between two ledgers of the same claims.

    Raises:
        ValueError: they are not about the same claims.
    """
    ours, theirs = by_claim(here), by_claim(there)
    if ours.keys() != theirs.keys():
        raise ValueError(f"claims of one ledger only: {sorted(ours.keys() ^ theirs.keys())}")
    found = []
    for key, record in ours.items():
        other = theirs[key]
        if record["verdict"] != other["verdict"]:
            found.append(Difference(key, "verdict", record["verdict"], other["verdict"]))
        own, others = _evidence(record), _evidence(other)
        for label in own.keys() | others.keys():
            pair = own.get(label), others.get(label)
            if None in pair or not same(*pair):
                values = [None if e is None else e["measured"] for e in pair]
                found.append(Difference(key, label[0], *values))
    return found


def _evidence(record: Mapping[str, Any]) -> dict[tuple[str, int], Mapping[str, Any]]:
    """Evidence by quantity, and by its place among those of that name."""
    found: dict[tuple[str, int], Mapping[str, Any]] = {}
    for entry in record["evidence"]:
        place = sum(1 for quantity, _ in found if quantity == entry["quantity"])
        found[entry["quantity"], place] = entry
    return found


def same(here: Mapping[str, Any], there: Mapping[str, Any]) -> bool:
    """Whether two comparisons are the same to the stated tolerance.

    Of many entries a comparison records the one with the least slack, which rounding may choose: so
    it is the distance from what is expected that is compared.
    """
    (a, size), (b, _) = _distance(here), _distance(there)
    own = here["tolerance"] if isinstance(here["tolerance"], int | float) else 0.0
    return abs(a - b) <= max(RELATIVE * size, own)


def _distance(entry: Mapping[str, Any]) -> tuple[float, float]:
    """Measured less expected, and the larger size of the two."""
    values = entry["measured"], entry.get("expected")
    measured, expected = (float(v) if isinstance(v, int | float) else 0.0 for v in values)
    return measured - expected, max(abs(measured), abs(expected))


def run_claims(engine: str, arguments: Sequence[str]) -> tuple[float, Path]:
    """Processor seconds of the claims with an engine, and their ledger."""
    path = FOLDER / f"ledger-{engine}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    before = _children()
    command = [sys.executable, "-m", "pytest", "claims", "-q", "--engine", engine]
    finished = subprocess.run([*command, "--ledger", str(path), *arguments], check=False)
    if finished.returncode not in (0, 1):
        raise SystemExit(finished.returncode)
    return _children() - before, path


def _children() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def slowest_table(here: Mapping[str, Any], there: Mapping[str, Any], count: int = 15) -> Table:
    """What each of the slowest claims takes of the whole with `auto`, and its own ratio."""
    ours, theirs = by_claim(here), by_claim(there)
    whole = sum(record["seconds"] for record in ours.values())
    table = Table(title="where the time goes with --engine auto", title_justify="left")
    table.add_column("claim")
    table.add_column("share", justify="right")
    table.add_column("torch / auto", justify="right")
    slowest = sorted(ours, key=lambda key: -ours[key]["seconds"])[:count]
    for key in slowest:
        own = ours[key]["seconds"]
        ratio = theirs[key]["seconds"] / own if own else float("nan")
        table.add_row(key[0], f"{own / whole:.0%}", f"{ratio:.1f}")
    return table


def main(arguments: Sequence[str] | None = None) -> int:
    """Run or read both, print what differs and where the time goes."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    console = Console()
    if given[:1] == ["--compare"]:
        if len(given) != 3 or not all(Path(name).exists() for name in given[1:]):
            print("--compare wants two ledgers that exist", file=sys.stderr)
            return 2
        paths = [Path(name) for name in given[1:]]
    else:
        spent, paths = zip(*(run_claims(engine, given) for engine in ENGINES), strict=True)
        console.print(f"processor time, torch / auto: {spent[1] / spent[0]:.2f}")
    here, there = (json.loads(path.read_text(encoding="utf-8")) for path in paths)
    console.print(slowest_table(here, there))
    found = compare(here, there)
    for difference in found:
        print(f"{difference.claim[0]}: {difference.what}: {difference.here} {difference.there}")
    count = sum(len(record["evidence"]) for record in here["claims"])
    print(f"{len(here['claims'])} claims, {count} comparisons, {len(found)} differ")
    return 1 if found else 0


if __name__ == "__main__":
    raise SystemExit(main())
