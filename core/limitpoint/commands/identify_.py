"""Identify the geometry that an optimizer maximises the margin in."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

import torch
from rich.progress import Progress, TimeRemainingColumn
from rich.table import Table

from limitpoint.commands._options import add_json, console
from limitpoint.errors import UsageError
from limitpoint.identifying import (
    COURSES,
    NORMS,
    STEPS,
    Course,
    Identification,
    draw,
    identify_subject,
    sparkline,
)
from limitpoint.subjects import Subject

HELP = "which geometry does an optimizer maximise the margin in?"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of `limitpoint identify`."""
    parser.add_argument("optimizer", metavar="MODULE:ATTR[,key=value...]")
    parser.add_argument("--steps", type=int, default=STEPS,
                        help=f"the horizon of each schedule (default {STEPS})")  # fmt: skip
    parser.add_argument("--timeout", type=float, default=300.0, metavar="SECONDS",
                        help="limit for each schedule (default 300)")  # fmt: skip
    parser.add_argument("--figure", type=Path, default=None, metavar="FILE",
                        help="draw the trends into this file (.png, .svg, .pdf)")  # fmt: skip
    add_json(parser)


def run(args: argparse.Namespace) -> int:
    """Print the answer, its reasons and the trends; 1 if the optimizer failed."""
    sys.path.append(str(Path.cwd()))
    if args.figure is not None and args.figure.suffix not in (".png", ".svg", ".pdf"):
        raise UsageError(f"--figure {args.figure}: name a .png, .svg or .pdf file")
    torch.set_num_threads(1)  # small tensors
    subject = _subject(args.optimizer)
    columns = (*Progress.get_default_columns()[:-1], TimeRemainingColumn())
    with Progress(*columns, transient=True, disable=args.json) as bar:
        task = bar.add_task("steps", total=len(COURSES) * args.steps)
        names = [course.name for course in COURSES]

        def watch(course: Course, step: int) -> None:
            done = names.index(course.name) * args.steps + step
            bar.update(task, description=course.name, completed=done)

        found = identify_subject(subject, steps=args.steps, timeout=args.timeout, watch=watch)
    if args.json:
        print(json.dumps(found.as_json(), indent=1))
    else:
        _show(found)
    if args.figure is not None and found.curves:
        args.figure.parent.mkdir(parents=True, exist_ok=True)
        draw(found).savefig(args.figure, dpi=150)
    return 0 if found.verdicts else 1


def _subject(text: str) -> Subject:
    name = text.partition(":")[0]
    if "=" in name:
        raise UsageError(f"{text!r}: an optimizer has no role here; write MODULE:ATTR[,key=value]")
    try:
        return Subject.from_target("identify", text)
    except UsageError as wrong:
        raise UsageError(str(wrong).replace("ROLE=", "")) from None


def _show(found: Identification) -> None:
    out = console()
    if found.verdicts:
        out.print(_table(found))
    out.print(f"[bold]{found.target}: {found.answer.answer}{_how_near(found)}[/]", highlight=False)
    for line in (*found.answer.why.split("; "), *found.notes):
        out.print(f"  {line}", highlight=False, markup=False, soft_wrap=True)


def _how_near(found: Identification) -> str:
    missing = found.answer.shortfall
    return "" if missing is None else f" ({1 - missing:.1%} of the certified optimum)"


def _table(found: Identification) -> Table:
    caption = f"margin / certified optimum after {found.steps} steps, lr {found.step_size:.3g}"
    table = Table(title=f"{found.target}: {caption}", title_justify="left")
    table.add_column("schedule", overflow="fold")
    for name in NORMS:
        table.add_column(name, no_wrap=True)
    table.add_column("verdict", overflow="fold")
    for course in COURSES:
        curves, verdict = found.curves[course.name], found.verdicts[course.name]
        cells = []
        for j, name in enumerate(NORMS):
            cell = f"{curves.position[-1, j]:5.2f} {sparkline(curves.position[:, j])}"
            cells.append(f"[bold]{cell}[/]" if name == verdict.norm else cell)
        norm = f" {verdict.norm}" if verdict.norm else ""
        table.add_row(course.name, *cells, f"{verdict.status}{norm}")
    return table
