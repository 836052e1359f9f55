"""Identify the geometry that an optimizer maximises the margin in."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import torch
from rich.markup import escape
from rich.table import Table

from limitpoint.commands._screen import (
    claims_table,
    console,
    print_json,
    progress,
    say_left_out,
    silenced,
)
from limitpoint.errors import INTERRUPTED, UsageError
from limitpoint.identification import (
    COURSES,
    NORMS,
    Identification,
    Verdict,
    draw,
    identify_subject,
    sparkline,
)
from limitpoint.subjects import Limits, Subject


def run(args: argparse.Namespace) -> int:
    """Print the answers, their reasons and the trends; 1 if an optimizer failed."""
    sys.path.append(str(Path.cwd()))
    _check_figure(args)
    torch.set_num_threads(1)  # small tensors
    with silenced():
        limits = Limits(args.timeout, args.memory)
        subjects = [_subject(text, limits) for text in args.optimizers]
    found, interrupted = _identified(subjects, args)
    _print(found, args)
    if interrupted:
        return INTERRUPTED
    return 0 if all(one.verdicts for one in found) else 1


def _identified(
    subjects: list[Subject], args: argparse.Namespace
) -> tuple[list[Identification], bool]:
    """What came out, said as it comes if there are several, and whether it was interrupted."""
    found: list[Identification] = []
    with progress(hidden=args.json) as bar, silenced() as output:
        task = bar.add_task("steps", total=len(subjects) * args.steps)

        def watch(step: int) -> None:
            name = subjects[len(found)].target
            bar.update(task, description=name, completed=len(found) * args.steps + step)

        try:
            for subject in subjects:
                found.append(identify_subject(subject, steps=args.steps, watch=watch))
                if len(subjects) > 1 and not args.json:
                    line = f"{found[-1].target}: {_answer(found[-1])}"
                    bar.console.print(line, highlight=False, markup=False, soft_wrap=True)
        except KeyboardInterrupt:
            said = f"interrupted after {len(found)} of {len(subjects)}"
            bar.console.print(said, highlight=False)
    say_left_out(output.lines)
    return found, len(found) < len(subjects)


def _check_figure(args: argparse.Namespace) -> None:
    if args.figure is not None and len(args.optimizers) > 1:
        raise UsageError(f"--figure {args.figure}: draws one optimizer; name only one")


def _subject(text: str, limits: Limits) -> Subject:
    try:
        return Subject.from_target("identify", text, limits)
    except UsageError as wrong:
        raise UsageError(str(wrong).replace("ROLE=", "")) from None


def _print(found: list[Identification], args: argparse.Namespace) -> None:
    if args.json:
        print_json([one.as_json() for one in found])
    elif len(found) == 1:
        _show(found[0])
    elif found:
        console().print(_comparison(found))
    if args.figure is not None and found and found[0].curves:
        args.figure.parent.mkdir(parents=True, exist_ok=True)
        draw(found[0]).savefig(args.figure, dpi=150)


def _show(found: Identification) -> None:
    out = console()
    if found.verdicts:
        out.print(_table(found))
    out.print(f"[bold]{escape(found.target)}: {_answer(found)}[/]", highlight=False)
    lines = [found.answer.why]
    lines += [f"{name}: {_said(verdict)}" for name, verdict in found.verdicts.items()]
    for line in lines + found.notes:
        out.print(f"  {line}", highlight=False, markup=False, soft_wrap=True)


def _said(verdict: Verdict) -> str:
    return f"{verdict.norm} at {verdict.text}" if verdict.status == "holds" else verdict.text


def _answer(found: Identification) -> str:
    missing = found.answer.shortfall
    how_near = "" if missing is None else f" ({1 - missing:.1%} of the certified optimum)"
    return f"{found.answer.answer}{how_near}"


def _table(found: Identification) -> Table:
    caption = f"margin / certified optimum after {found.steps} steps, lr {found.step_size:.3g}"
    table = Table(title=escape(f"{found.target}: {caption}"), title_justify="left")
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


def _comparison(found: list[Identification]) -> Table:
    """A row an optimizer: the answer, and what each schedule says."""
    title = f"after {found[0].steps} steps of each schedule; the numbers are shares of the optimum"
    table = claims_table(title, "optimizer")
    for column in ("answer", *(course.name for course in COURSES)):
        table.add_column(column, overflow="fold")
    for one in found:
        cells = [_in_short(one.verdicts[course.name]) for course in COURSES if one.verdicts]
        near = "" if one.answer.shortfall is None else f" {1 - one.answer.shortfall:.2f}"
        answer = f"{one.answer.answer}{near}" if one.verdicts else f"failed: {one.answer.why}"
        table.add_row(escape(one.target), escape(answer), *cells)
    return table


def _in_short(verdict: Verdict) -> str:
    at = f" {verdict.norm} {verdict.ratio:.2f}" if verdict.norm else ""
    return f"{verdict.status}{at}"
