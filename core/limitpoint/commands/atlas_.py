"""Judge every optimizer of the packages that are installed: laws kept and broken, what each is."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from rich.table import Table

from limitpoint.atlas import PACKAGES, Atlas, Package, Row, candidates, judge
from limitpoint.commands._screen import claims_table, console, print_json
from limitpoint.errors import Inconclusive, SubjectFailed, UsageError
from limitpoint.workers import Workers, work

OUT = Path("reports/latest/atlas.jsonl")
#: Beside a package's own.
BENEATH = {"optax": ("optax", "jax")}
Task = tuple[str, dict[str, str]]


def run(args: argparse.Namespace) -> int:
    """Judge what is missing, keep each row as it arrives, and print what came of each package."""
    atlas = Atlas(args.out or OUT)
    tasks = {task[0]: task for task in _tasks(atlas, args)}
    if not tasks and not any(args.keyword.select([target]) for target in atlas.rows):
        raise UsageError(f"-k {args.keyword.text!r} names no optimizer of an installed package")
    done: set[str] = set()
    started = time.monotonic()

    def keep(row: Row) -> None:
        atlas.add(row)
        done.add(row.target)
        left = (time.monotonic() - started) * (len(tasks) - len(done)) / len(done)
        print(f"{len(done)}/{len(tasks)}, {left / 60:.0f} min left  {_line(row)}",
              file=sys.stderr, flush=True)  # fmt: skip

    try:
        work(lambda: [t for name, t in tasks.items() if name not in done], _judge, keep,
             Workers(args.jobs, args.cluster))  # fmt: skip
    finally:
        atlas.close(package.module for package in PACKAGES)
    rows = [row for row in atlas.rows.values() if args.keyword.select([row.target])]
    if args.json:
        print_json(rows)
    else:
        console().print(_table(rows))
        print(f"{len(rows)} rows: {atlas.path}")
    return 0


def _judge(task: Task) -> Row:
    return judge(*task)


def _tasks(atlas: Atlas, args: argparse.Namespace) -> Iterator[Task]:
    """What has no row of these versions; packages that cannot be imported are rows at once."""
    for package in filter(lambda one: one.version, PACKAGES):
        versions = _versions(package)
        try:
            targets = candidates(package)
        except (SubjectFailed, Inconclusive) as exc:
            if args.keyword.select([package.module]):
                atlas.add(Row(target=package.module, versions=versions, why=_in_a_line(exc)))
            continue
        for target in filter(lambda one: args.keyword.select([one]), targets):
            row = atlas.rows.get(target)
            if args.again or row is None or row.versions != versions:
                yield target, versions


def _versions(package: Package) -> dict[str, str]:
    names = ("torch", package.distribution, *BENEATH.get(package.distribution, ()))
    return {name: Package("", name).version for name in dict.fromkeys(names)}


def _in_a_line(exc: Exception) -> str:
    return " ".join(str(exc).split())


def _line(row: Row) -> str:
    if row.why:
        return f"{row.target}: {row.why}"
    broken = f"; breaks {', '.join(row.broken)}" if row.broken else ""
    return f"{row.target}: keeps {row.count('supported')}{broken}"


def _table(rows: Sequence[Row]) -> Table:
    table = claims_table(f"{len(rows)} rows", "module")
    for column in ("optimizers", "keep all laws", "break some", "not judged"):
        table.add_column(column, justify="right")
    modules: dict[str, list[Row]] = {}
    for row in rows:
        modules.setdefault(row.module, []).append(row)
    for module, own in modules.items():
        broken, not_judged = (sum(map(bool, found)) for found in (
            (row.broken for row in own), (row.why for row in own)))  # fmt: skip
        whole = len(own) - broken - not_judged
        table.add_row(module, *map(str, (len(own), whole, broken, not_judged)))
    return table
