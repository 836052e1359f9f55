"""Measure a grid of settings, and the phase diagram of what came of it."""

from __future__ import annotations

import argparse
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd

from limitpoint.commands._screen import claims_table, console, progress
from limitpoint.errors import UsageError
from limitpoint.sweeps import MAPS, Grid, Map, Rows, of_claim, of_rule, sweep
from limitpoint.workers import Workers


def run(args: argparse.Namespace) -> int:
    """Measure what is missing, and draw."""
    if args.what is None:
        return _list()
    if args.what.endswith(".toml"):
        args = _read(args)
    axes = dict(args.axis)
    if len(axes) < len(args.axis):
        raise UsageError("an axis is given twice: give it once")
    chosen = _chosen(args, axes)
    grid = chosen.grid(axes)
    words = [args.what, args.problem] if args.problem else [args.what]
    slug = "-".join(words).replace("/", "-").replace("_", "-")
    path = args.out or Path("reports/latest/sweeps") / f"{slug}.csv"
    rows = Rows(chosen, path)
    with progress(hidden=False) as bar:
        task = bar.add_task(slug, total=len(rows.missing(grid)))
        sweep(
            rows, grid, Workers(args.jobs, args.cluster), batch=args.batch,
            watch=lambda done, planned: bar.update(task, completed=done, total=planned),
        )  # fmt: skip
    frame = rows.frame(grid)
    print(f"{len(frame)} rows: {path}")
    if args.parquet is not None:
        _write_parquet(frame, args.parquet)
    if args.figure is not None:
        args.figure.parent.mkdir(parents=True, exist_ok=True)
        chosen.figure(frame, args.over, args.value).savefig(args.figure, dpi=150)
        print(f"figure: {args.figure}", file=sys.stderr)
    return 0


#: What goes with a role, and what with a claim, alone.
OF_A_ROLE, OF_A_CLAIM = ("problem", "fix", "steps", "record"), ("subject", "horizon")


def _chosen(args: argparse.Namespace, axes: Grid) -> Map:
    is_claim = "/" in args.what
    wrong = OF_A_ROLE if is_claim else OF_A_CLAIM
    for name in (*OF_A_ROLE, *OF_A_CLAIM) if args.what in MAPS else wrong:
        if getattr(args, name) != args.parser.get_default(name):
            raise UsageError(f"--{name} does not go with {args.what}")
    if args.what in MAPS:
        return MAPS[args.what]
    if not axes:
        raise UsageError("a grid needs an axis: --axis NAME=LOW:HIGH:COUNT")
    if is_claim:
        return of_claim(args.what, axes, subject=args.subject, horizon=args.horizon)
    if args.problem is None:
        raise UsageError(f"{args.what} runs on a problem: --problem clusters")
    return of_rule(args.what, args.problem, axes, steps=args.steps, record=args.record,
                   fixed=dict(args.fix))  # fmt: skip


def _read(args: argparse.Namespace) -> argparse.Namespace:
    """What a file says, as if it stood on the command line before what does stand there."""
    try:
        options = tomllib.loads(Path(args.what).read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as exc:
        raise UsageError(f"{args.what}: cannot be read ({exc})") from None
    parser = args.parser
    try:
        said = parser.parse_args(list(_words(options)))
    except SystemExit:
        raise UsageError(f"{args.what}: an option of it is none, see above") from None
    for name, value in vars(args).items():
        if name != "what" and value != parser.get_default(name):
            setattr(said, name, value)
    return argparse.Namespace(**{**vars(args), **vars(said)})


def _words(options: dict[str, Any]) -> Iterator[str]:
    """The options of a file as words: what = "adam", axis = {beta1 = [0, 0.9], rho = "0:1:5"}."""
    for name, value in options.items():
        if isinstance(value, dict):
            for key, one in value.items():
                said = ",".join(map(str, one)) if isinstance(one, list) and name == "axis" else one
                yield from (f"--{name}", f"{key}={said}")
        else:
            yield from ((str(value),) if name == "what" else (f"--{name}", str(value)))


def _write_parquet(frame: pd.DataFrame, path: Path) -> None:
    try:
        frame.to_parquet(path, engine="pyarrow", index=False)
    except ImportError:
        raise UsageError("--parquet needs pyarrow: pip install 'limitpoint[parquet]'") from None
    print(f"table: {path}", file=sys.stderr)


def _list() -> int:
    table = claims_table(f"{len(MAPS)} maps", "name")
    for column in ("title", "axes"):
        table.add_column(column, overflow="fold")
    for found in MAPS.values():
        axes = (f"{name}={v[0]:.3g}...{v[-1]:.3g} ({len(v)})" for name, v in found.axes.items())
        table.add_row(found.name, found.title, "\n".join(axes))
    console().print(table)
    print("A role with a --problem, and any claim, can be swept, too: limitpoint sweep --help")
    return 0
