"""Faults of public optimizers, each with the laws that refute it, and its right twin."""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence

import msgspec
from rich.table import Table
from rich.text import Text

from limitpoint.commands._screen import console, print_json, progress
from limitpoint.errors import UsageError
from limitpoint.judgement.claim import Claim
from limitpoint.judgement.contestant import Contestant
from limitpoint.judgement.evaluate import evaluate
from limitpoint.judgement.record import Record
from limitpoint.judgement.registry import claims_of
from limitpoint.judgement.setting import Setting
from limitpoint.rivals import RIVALS, Rival

ROLE = "optimizer"


class Found(msgspec.Struct):
    """What the laws say of a fault and of its twin.

    Args:
        name, fault: of the rival.
        refuted: the laws that refute it.
        survives: the laws that name it and do not refute it.
        seconds: of processor time, for all laws on the faulty class.
        twin: its right twin.
        twin_fails: the laws that the twin does not keep.
    """

    name: str
    fault: str
    refuted: list[str]
    survives: list[str]
    seconds: float
    twin: str
    twin_fails: list[str]

    @property
    def fails(self) -> bool:
        """Whether the suite is blind to the fault, or wrong about its twin."""
        return bool(not self.refuted or self.survives or self.twin_fails)


def run(args: argparse.Namespace) -> int:
    """Print the table; 1 if a fault survives or a twin is not clean."""
    laws = claims_of(paper="laws")
    setting = Setting(seed=args.seed)
    rivals = [
        one for one in RIVALS.values()
        if one.twin is not None and args.keyword.select([one.name, one.fault])
    ]  # fmt: skip
    if not rivals:
        raise UsageError(f"-k {args.keyword.text!r} names no fault")
    twins: dict[str, list[str]] = {}
    with progress(hidden=args.json) as bar:
        found = [_judged(rival, laws, setting, twins) for rival in bar.track(rivals)]
    if args.json:
        print_json(found)
    else:
        console().print(_table(found), _summary(found))
    return int(any(one.fails for one in found))


def _judged(
    rival: Rival, laws: Sequence[Claim], setting: Setting, twins: dict[str, list[str]]
) -> Found:
    assert rival.twin is not None
    twin = rival.twin(ROLE)
    if twin.spec not in twins:
        failed = [r for r in _records(laws, twin, setting) if r.failed]
        twins[twin.spec] = [record.name for record in failed]
    started = time.process_time()
    records = _records(laws, rival.contestant(ROLE), setting)
    seconds = time.process_time() - started
    refuted = [record.name for record in records if record.verdict == "refuted"]
    named = {claim.id.partition("/")[2] for claim in laws if rival.name in claim.rivals}
    by_name = sorted(refuted, key=lambda name: name not in named)
    spec = twin.spec.rpartition(":")[2]
    return Found(
        rival.name, rival.fault, by_name, sorted(named - set(refuted)), round(seconds, 2), spec,
        twins[twin.spec],
    )  # fmt: skip


def _records(laws: Sequence[Claim], contestant: Contestant, setting: Setting) -> list[Record]:
    return [evaluate(law, [contestant], setting) for law in laws]


def _table(found: Sequence[Found]) -> Table:
    table = Table("fault", "law that refutes it", title="faults of public optimizers")
    table.add_column("seconds", justify="right")
    table.add_column("its right twin")
    for one in found:
        others = f" and {len(one.refuted) - 1} more" if len(one.refuted) > 1 else ""
        law = Text(one.refuted[0] + others) if one.refuted else Text("survives", "bold red")
        clean = Text(f"{one.twin}: clean") if not one.twin_fails else Text(
            f"{one.twin}: {', '.join(one.twin_fails)}", "bold red"
        )  # fmt: skip
        table.add_row(one.fault, law, f"{one.seconds:.2f}", clean)
    return table


def _summary(found: Sequence[Found]) -> str:
    refuted = sum(bool(one.refuted) for one in found)
    clean = len({one.twin for one in found if not one.twin_fails})
    slowest = max(one.seconds for one in found)
    return (
        f"{refuted} of {len(found)} faults refuted, {clean} of {len({o.twin for o in found})} "
        f"twins clean; at most {slowest:.2f} s of processor time for all laws on one class"
    )
