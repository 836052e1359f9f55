"""Check somebody's optimizer: run the claims of a role against it."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from rich.console import Console
from rich.text import Text

from limitpoint.commands._screen import console, print_json, progress, silenced
from limitpoint.errors import UsageError
from limitpoint.judgement.comparison import tightest
from limitpoint.judgement.evaluate import evaluate
from limitpoint.judgement.record import Record
from limitpoint.judgement.registry import claims_about
from limitpoint.judgement.setting import Setting
from limitpoint.ledger import Keeper, Ledger, environment, source_digests, suite
from limitpoint.subjects import Limits, Subject, parse_subject


def run(args: argparse.Namespace) -> int:
    """Print verdict, slack and reason of each claim as it comes; 1 if one is not supported."""
    sys.path.append(str(Path.cwd()))
    with silenced():
        subjects = _subjects(args.subject, Limits(args.timeout, args.memory))
    roles = [subject.role for subject in subjects]
    claims = [c for c in claims_about(roles) if args.keyword.select(c.keywords)]
    for subject in subjects:
        if not any(claim.about([subject.role]) for claim in claims):
            text = f"-k {args.keyword.text!r} selects no claim about the role {subject.role!r}"
            raise UsageError(f"{text} (limitpoint list shows all)")
    runs = [(claim, seed) for claim in claims for seed in claim.seeds(args.seeds)]
    width = max(len(claim.id) for claim in claims)
    records: list[Record] = []
    out = Console(file=sys.stdout, width=console().width, soft_wrap=True)
    with _kept(args.ledger, subjects) as keep, progress(hidden=args.json) as bar:
        task = bar.add_task("claims", total=len(runs))
        for claim, seed in runs:
            bar.update(task, description=claim.id)
            with silenced() as printed:
                record = evaluate(claim, subjects, Setting(seed, args.horizon))
            printed.report()
            records.append(record)
            keep(record)
            if not args.json:
                # Above the bar, where both are on one screen.
                screen = out if bar.disable or not sys.stdout.isatty() else bar.console
                screen.print(_line(record, roles, width), soft_wrap=True)
            bar.advance(task)
    if args.json:
        print_json(records)
    else:
        _conclude(records, out)
    return int(any(record.failed for record in records))


@contextmanager
def _kept(path: Path | None, subjects: list[Subject]) -> Iterator[Callable[[Record], None]]:
    """What keeps a record in the ledger, which is whole also after Ctrl-C; without a path, none."""
    if path is None:
        yield lambda record: None
        return
    here = environment(sources=source_digests(subjects))
    keeper = Keeper(Ledger(suite(), here, []), path)
    try:
        yield keeper.add
    finally:
        keeper.close()


def _subjects(specs: Sequence[str], limits: Limits) -> list[Subject]:
    subjects = [parse_subject(spec, limits) for spec in specs]
    for index, subject in enumerate(subjects):
        if subject.role in [other.role for other in subjects[:index]]:
            raise UsageError(f"{specs[index]}: the role {subject.role!r} is given twice")
    return subjects


def _line(record: Record, roles: Sequence[str], width: int) -> Text:
    """Verdict, id, seed, the least slack of what is about the subject, and why."""
    closest = tightest(record.about(roles))
    slack = "" if closest is None else f"{closest.room:.3g}"
    why = record.reason or (closest.quantity if closest else "")
    return Text.assemble(
        (f"{record.verdict:14}", record.verdict.colour),
        f"  {record.id:{width}}  seed {record.seed:<4} slack {slack:9}  {why}",
    )


def _conclude(records: Sequence[Record], out: Console) -> None:
    failed = [record for record in records if record.failed]
    out.print(f"{len(records) - len(failed)} of {len(records)} did not fail", highlight=False)
    for record in failed:
        out.print(record.reproduce, markup=False, highlight=False)
