"""Check somebody's optimizer: run the claims of a role against it."""

from __future__ import annotations

import argparse
import logging
import multiprocessing
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from rich.console import Console
from rich.text import Text

from limitpoint.commands._screen import console, print_json, progress, say_left_out, silenced
from limitpoint.commands._types import BARE
from limitpoint.errors import (
    INTERRUPTED,
    Inconclusive,
    NotApplicable,
    SubjectFailed,
    UsageError,
)
from limitpoint.judgement.claim import Claim
from limitpoint.judgement.comparison import tightest
from limitpoint.judgement.evaluate import evaluate
from limitpoint.judgement.record import Record
from limitpoint.judgement.registry import claims_about
from limitpoint.judgement.setting import Setting
from limitpoint.ledger import (
    Keeper,
    Key,
    Ledger,
    environment,
    key_for,
    key_of,
    source_digests,
    suite,
)
from limitpoint.ledger.resume import resume
from limitpoint.recognition import recognise_apart
from limitpoint.subjects import HANDED, Limits, Subject, parse_subject

#: For a reason that stands in the line before: a class that cannot be run says so of each law.
AGAIN = "as above"


def run(args: argparse.Namespace) -> int:
    """Print verdict, slack and reason of each claim as it comes; 1 if one is not supported."""
    sys.path.append(str(Path.cwd()))
    with silenced():
        subjects = [
            parse_subject(text.strip(), Limits(args.timeout, args.memory)) for text in args.subject
        ]
    for text, subject in zip(args.subject, list(subjects), strict=True):
        if text.startswith(BARE):
            fitting = _fitting(subject, show=not args.json)
            judged = [other for other in fitting if _is_judged(other.role, args)]
            if judged and not _is_judged(subject.role, args):
                subjects.remove(subject)
            subjects += judged
    runs = _runs(subjects, args)
    if args.traceback:
        _show_tracebacks()
    before = _before(args.resume, subjects)
    records = [record for record in before if not record.failed]
    done = {key_of(record) for record in records}
    show = _Shown(runs)
    runs = [run for run in runs if run.key not in done]
    path = args.ledger or args.resume
    try:
        with _kept(path, subjects, list(records)) as keep, progress(hidden=args.json) as bar:
            task = bar.add_task("claims", total=len(runs))
            for record, lines in _evaluated(runs, args.jobs):
                say_left_out(lines)
                records.append(record)
                keep(record)
                if not args.json:
                    # Above the bar, where both are on one screen.
                    above = bar.console if sys.stdout.isatty() and not bar.disable else show.out
                    above.print(show.line(record), soft_wrap=True)
                bar.update(task, advance=1, description=record.id)
    except KeyboardInterrupt:
        print(f"interrupted after {len(records)} of {len(runs)}", file=sys.stderr)
        _end(records, show.out, as_json=args.json)
        return INTERRUPTED
    _end(records, show.out, as_json=args.json)
    return int(any(record.failed for record in records))


def _is_judged(role: str, args: argparse.Namespace) -> bool:
    """Whether a selected claim is about a role."""
    return any(args.keyword.select(claim.keywords) for claim in claims_about([role]))


def _fitting(subject: Subject, *, show: bool) -> list[Subject]:
    """Say what an optimizer is; itself, in each role that fits."""
    try:
        with silenced():
            found = recognise_apart(subject)
    except (SubjectFailed, Inconclusive, NotApplicable) as exc:
        print(f"{subject.target}: not recognised: {exc}", file=sys.stderr)
        return []
    if show:
        print(subject.target, *(f"  {line}" for line in found.lines()), sep="\n")
    given = subject.spec.partition("=")[2]
    return [replace(subject, role=role, spec=f"{role}={given}") for role in found.roles]


class _Run(NamedTuple):
    """A claim that waits."""

    claim: Claim
    subjects: list[Subject]
    setting: Setting

    @property
    def key(self) -> Key:
        """What its record will be known by."""
        return key_for(*self)


def _runs(subjects: list[Subject], args: argparse.Namespace) -> list[_Run]:
    """Every claim with all subjects; with one at a time where two of them play one role.

    Raises:
        UsageError: no selected claim is about a subject.
    """
    roles = [subject.role for subject in subjects]
    together = len(set(roles)) == len(roles)
    claims = [c for c in claims_about(roles) if args.keyword.select(c.keywords)]
    for role in roles:
        if not any(claim.about([role]) for claim in claims):
            text = f"-k {args.keyword.text!r} selects no claim about the role {role!r}"
            raise UsageError(f"{text} (limitpoint list shows all)")
    return [
        _Run(claim, playing, Setting(seed, args.horizon))
        for claim in claims
        for seed in claim.seeds(args.seeds)
        for playing in ([subjects] if together else [[s] for s in subjects])
        if claim.about([s.role for s in playing])
    ]


def _evaluated(runs: list[_Run], jobs: int) -> Iterator[tuple[Record, int]]:
    """Each record as it comes, and how many lines its subjects printed."""
    if jobs == 1 or len(runs) == 1:
        yield from map(_evaluate, runs)
        return
    global _waiting
    _waiting = runs
    # Forked, so that subjects need no pickling; a subject's runs are forks as well.
    with multiprocessing.get_context("fork").Pool(jobs, _leave_interrupts) as pool:
        yield from pool.imap_unordered(_evaluate_at, range(len(runs)))


_waiting: list[_Run] = []


def _leave_interrupts() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def _evaluate_at(index: int) -> tuple[Record, int]:
    return _evaluate(_waiting[index])


def _evaluate(run: _Run) -> tuple[Record, int]:
    with silenced() as printed:
        record = evaluate(run.claim, run.subjects, run.setting)
    return record, printed.lines


def _show_tracebacks() -> None:
    log = logging.getLogger("limitpoint.subjects")
    log.setLevel(logging.INFO)
    log.addHandler(logging.StreamHandler(sys.stderr))


def _before(path: Path | None, subjects: list[Subject]) -> list[Record]:
    """What an interrupted check has left."""
    return [] if path is None else resume(path, None, source_digests(subjects)).records


@contextmanager
def _kept(
    path: Path | None, subjects: list[Subject], records: list[Record]
) -> Iterator[Callable[[Record], None]]:
    """What keeps a record in the ledger, which is whole also after Ctrl-C; without a path, none."""
    if path is None:
        yield lambda record: None
        return
    here = environment(sources=source_digests(subjects))
    keeper = Keeper(Ledger(suite(), here, records), path)
    try:
        yield keeper.add
    finally:
        keeper.close()


class _Shown:
    """What a person sees of each record: a line."""

    def __init__(self, runs: list[_Run]) -> None:
        self.out = Console(file=sys.stdout, width=console().width, soft_wrap=True)
        self.width = max(len(run.claim.id) for run in runs)
        self.roles = {subject.role for run in runs for subject in run.subjects}
        lineups = {tuple(subject.spec for subject in run.subjects) for run in runs}
        names = [" ".join(lineup) for lineup in lineups]
        self.widest = max(map(len, names)) if len(names) > 1 else 0
        self.reason = ""

    def line(self, record: Record) -> Text:
        """Verdict, id, seed, the least slack of what is about the subject, and why.

        No slack where the verdict does not rest on it, and no reason twice in turn.
        """
        closest = tightest(record.about(self.roles))
        rests = closest is not None and not (record.reason and closest.holds)
        slack = f"{closest.room:.3g}" if closest and rests else ""
        is_known, self.reason = record.reason == self.reason != "", record.reason
        why = AGAIN if is_known else record.reason or (closest.quantity if closest else "")
        name = f"{record.subject:{self.widest}}  " if self.widest else ""
        return Text.assemble(
            (f"{record.verdict:14}", record.verdict.colour),
            f"  {record.id:{self.width}}  {name}seed {record.seed:<4} slack {slack:9}  {why}",
        )


def _end(records: Sequence[Record], out: Console, *, as_json: bool) -> None:
    if as_json:
        print_json(records)
        return
    failed = [record for record in records if record.failed]
    out.print(f"{len(records) - len(failed)} of {len(records)} did not fail", highlight=False)
    for record in failed:
        out.print(record.reproduce, markup=False, highlight=False)
        for note in record.notes:
            out.print(f"  {note}", markup=False, highlight=False)
    # What was set for a claim is of use where it failed; how a class was run is, in any case.
    kept = (note for one in records if not one.failed for note in one.notes)
    for note in dict.fromkeys(note for note in kept if not note.startswith(HANDED)):
        out.print(f"note: {note}", markup=False, highlight=False)
