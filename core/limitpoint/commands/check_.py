"""Check somebody's optimizer: run the claims of a role against it."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from rich.markup import escape
from rich.table import Table

from limitpoint.commands._options import (
    add_json,
    add_limits,
    console,
    print_json,
    progress,
    silenced,
)
from limitpoint.errors import UsageError
from limitpoint.judgement.check import Record, claims_about, setting_for
from limitpoint.judgement.seeds import parse_seeds
from limitpoint.ledger import FAILED, Keeper, Ledger, environment, make_record, source_digests
from limitpoint.subjects import TIMEOUT, Subject, parse_subject
from limitpoint.views.terminal import COLOURS, slack_of, tightest

HELP = "run the claims of a role against an optimizer"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of `limitpoint check`."""
    parser.add_argument("subject", nargs="+", metavar="ROLE=MODULE:ATTR[,key=value...]")
    parser.add_argument("-k", dest="keyword", default="", help="only ids that contain this text")
    parser.add_argument("--seeds", default="42", help="42, 0-19 or 1,5,7-9 (default 42)")
    parser.add_argument("--horizon", default="quick", choices=("quick", "full"))
    add_limits(parser, TIMEOUT, "a run")
    parser.add_argument("--ledger", type=Path, default=None, help="write the JSON ledger here")
    add_json(parser)


def run(args: argparse.Namespace) -> int:
    """Print verdict, reason and slack of each claim; 1 if one is not supported."""
    sys.path.append(str(Path.cwd()))
    with silenced():
        subjects = _subjects(args.subject)
        seeds = parse_seeds(args.seeds)
        claims = [c for c in claims_about(s.role for s in subjects) if args.keyword in c.id]
    if not claims:
        raise UsageError(f"no claim of this role has {args.keyword!r} in its id")
    records: list[Record] = []
    with _kept(args.ledger, subjects) as keep, progress(hidden=args.json) as bar, silenced() as out:
        runs = [(claim, seed) for claim in claims for seed in claim.seeds(seeds)]
        task = bar.add_task("claims", total=len(runs))
        for claim, seed in runs:
            bar.update(task, description=claim.id)
            setting = setting_for(
                subjects, memory=args.memory, seed=seed, horizon=args.horizon, timeout=args.timeout
            )
            records.append(make_record(claim, setting, claim.evaluate(setting)))
            bar.advance(task)
            keep(records[-1])
    if args.json:
        print_json(records)
    else:
        _show(records, ", ".join(args.subject))
    out.report()
    return 1 if any(record["verdict"] in FAILED for record in records) else 0


@contextmanager
def _kept(path: Path | None, subjects: list[Subject]) -> Iterator[Callable[[Record], None]]:
    """What keeps a record in the ledger, which is whole also after Ctrl-C; without a path, none."""
    if path is None:
        yield lambda record: None
        return
    keeper = Keeper(Ledger(environment=environment(sources=source_digests(subjects))), path)
    try:
        yield keeper.add
    finally:
        keeper.close()


def _subjects(specs: list[str]) -> list[Subject]:
    subjects = [parse_subject(spec) for spec in specs]
    for index, subject in enumerate(subjects):
        if subject.role in [other.role for other in subjects[:index]]:
            raise UsageError(f"{specs[index]}: the role {subject.role!r} is given twice")
    return subjects


def _show(records: list[Record], title: str) -> None:
    table = Table(title=escape(title), title_justify="left")
    for column in ("claim", "seed", "verdict", "least slack", "why"):
        table.add_column(column, overflow="fold")
    for record in records:
        closest = tightest(record)
        colour = COLOURS[record["verdict"]]
        table.add_row(
            record["id"],
            str(record["seed"]),
            f"[{colour}]{record['verdict']}[/]",
            "" if closest is None else f"{slack_of(closest):.3g}",
            escape(record["reason"] or (closest["quantity"] if closest else "")),
        )
    out = console()
    out.print(table)
    for record in records:
        if record["verdict"] in FAILED:
            out.print(record["reproduce"], markup=False, highlight=False, soft_wrap=True)
