"""Run each claim against the wrong implementations it names; every one must be refuted."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from string import ascii_lowercase

from rich.columns import Columns
from rich.console import Group
from rich.progress import MofNCompleteColumn, Progress, TimeRemainingColumn
from rich.table import Table
from rich.text import Text

from limitpoint.commands._screen import claims_table, console, print_json
from limitpoint.commands._selection import selected
from limitpoint.errors import INTERRUPTED, UsageError
from limitpoint.judgement.setting import Setting
from limitpoint.ledger import Journal
from limitpoint.rivals.duels import all_matches, kill_matrix, named_matches
from limitpoint.rivals.matrix import Duel, Matrix
from limitpoint.workers import Workers, processes

MARKS = {
    "refuted": Text("■", "green"),
    "survived": Text("✗", "bold red"),
    "not applicable": Text("-", "cyan"),
}
#: A rival that the claim does not name may survive it.
SPARED = Text("□", "yellow")
NOT_RUN = Text("·", "bright_black")


def run(args: argparse.Namespace) -> int:
    """Print the matrix; 1 if a rival survives where it must not."""
    if args.show is not None:
        matrix, interrupted = Matrix.read(args.show), False
    else:
        matrix, interrupted = _fought(args)
    if args.json == "-":
        print_json(matrix.as_dict())
    else:
        _show(matrix, reasons=args.reasons)
    if args.figure is not None:
        from limitpoint.views.figures.kill_matrix import kill_matrix as draw

        args.figure.parent.mkdir(parents=True, exist_ok=True)
        draw(matrix).savefig(args.figure, dpi=150)
        print(f"figure: {args.figure}", file=sys.stderr)
    if interrupted:
        return INTERRUPTED
    return 1 if matrix.failures() else 0


def _fought(args: argparse.Namespace) -> tuple[Matrix, bool]:
    """The matrix as far as it got, and whether it was interrupted."""
    claims = selected(args)
    matches = (all_matches if args.all else named_matches)(claims)
    if not matches:
        raise UsageError("none of the selected claims names a rival")
    workers = Workers(args.jobs or processes(len(matches)), args.cluster)
    setting = Setting(seed=args.seed)
    path = None if args.json in (None, "-") else Path(args.json)
    fought = _resumed(path, args.seed) if args.resume else []
    with _Bar(path) as bar:
        try:
            kill_matrix(claims, setting, everything=args.all, workers=workers,
                        fought=fought, watch=bar.watch)  # fmt: skip
        except KeyboardInterrupt:
            print(f"interrupted after {len(bar.matrix.duels)} of {len(matches)} duels",
                  file=sys.stderr)  # fmt: skip
            return bar.matrix, True
    return bar.matrix, False


def _resumed(path: Path | None, seed: int) -> list[Duel]:
    if path is None:
        raise UsageError("--resume goes on with the matrix of --json FILE: give both")
    return Matrix.read(path).resumed(seed)


class _Bar(Progress):
    """Progress and an estimate on standard error; keeps the matrix in a file as it grows."""

    INTERVAL = 2.0

    def __init__(self, path: Path | None) -> None:
        columns = [*Progress.get_default_columns()[:-2], MofNCompleteColumn()]
        super().__init__(*columns, TimeRemainingColumn(compact=True),
                         console=console(stderr=True), transient=True)  # fmt: skip
        self.path = path
        self.journal = Journal(path) if path else None
        self.task = self.add_task("duels")
        self.written = -self.INTERVAL
        self.matrix: Matrix

    def watch(self, matrix: Matrix) -> None:
        """Show and keep the matrix so far."""
        self.matrix = matrix
        last = matrix.duels[-1] if matrix.duels else None
        name = f"{last.claim} x {last.rival}" if last else "duels"
        self.update(self.task, total=matrix.planned, completed=len(matrix.duels), description=name)
        if time.monotonic() - self.written > self.INTERVAL:
            self.keep()
        elif self.journal and last:
            self.journal.add(last)

    def keep(self) -> None:
        """Write the file, if there is one."""
        if self.path and self.journal:
            self.matrix.write(self.path)
            self.journal.clear()
            self.written = time.monotonic()

    def stop(self) -> None:
        """Write what is there, whatever the reason to stop, and clear the line."""
        if hasattr(self, "matrix"):
            self.keep()
        if self.journal:
            self.journal.close()
            self.journal = None
        super().stop()


def _show(matrix: Matrix, *, reasons: bool) -> None:
    out = console()
    for role in matrix.played:
        for block in _blocks(matrix, role):
            out.print(block)
    out.print(Text.assemble(
        MARKS["refuted"], " refuted   ", MARKS["survived"], " survived   ",
        SPARED, " survived, and the claim does not name it   ",
        MARKS["not applicable"], " not applicable   ", NOT_RUN, " not run", "\n",
    ))  # fmt: skip
    if reasons:
        out.print(_listing(matrix))
    failures = matrix.failures()
    for line in failures:
        out.print(Text.assemble(("FAILED ", "bold red"), line))
    print(_totals(matrix))


def _totals(matrix: Matrix) -> str:
    duels = matrix.duels
    named = [duel for duel in duels if duel.named]
    survivors = sum(not duel.killed for duel in named)
    return (
        f"{len(duels)} duels, {len({d.claim for d in duels})} claims, "
        f"{len({d.rival for d in duels})} rivals: {sum(d.killed for d in duels)} refuted; "
        f"of {len(named)} named ones {survivors} survived; {len(matrix.failures())} failures"
    )


def _blocks(matrix: Matrix, role: str) -> Iterator[Group]:
    """The claims about a role against the rivals that play it, a letter of the alphabet each."""
    rivals, most = matrix.playing(role), len(ascii_lowercase)
    met = {duel.rival for duel in matrix.duels if duel.role == role}
    for begin in range(0, len(rivals), most):
        part, whole = rivals[begin : begin + most], len(rivals) <= most
        if whole or not met.isdisjoint(part):
            yield _block(matrix, role, part, whole=whole)


def _block(matrix: Matrix, role: str, rivals: Sequence[str], *, whole: bool) -> Group:
    """A character a duel; of a part of the rivals, only the claims that met one of them."""
    duels = {(d.claim, d.rival): d for d in matrix.duels if d.role == role}
    names = zip(ascii_lowercase, rivals, strict=False)
    key = Columns([Text.assemble((letter, "bold"), f" {name}") for letter, name in names],
                  padding=(0, 2))  # fmt: skip
    table = Table(title=f"\n{role}", title_style="bold", title_justify="left", box=None,
                  pad_edge=False, header_style="bold")  # fmt: skip
    table.add_column("claim", overflow="fold", min_width=30)
    table.add_column(" ".join(ascii_lowercase[: len(rivals)]), no_wrap=True)
    table.add_column("refuted", justify="right")
    for claim in matrix.about(role):
        row = [duels.get((claim, rival)) for rival in rivals]
        fought = [duel for duel in row if duel]
        if fought or whole:
            cells = Text(" ").join(_mark(duel) for duel in row)
            table.add_row(claim, cells, f"{sum(d.killed for d in fought)}/{len(fought)}")
    return Group(table, key)


def _mark(duel: Duel | None) -> Text:
    if duel is None:
        return NOT_RUN
    return SPARED if duel.result == "survived" and not duel.named else MARKS[duel.result]


def _listing(matrix: Matrix) -> Table:
    table = claims_table("duels")
    for column in ("rival", "what is wrong with it", "result", "by"):
        table.add_column(column, overflow="fold")
    last = ""
    order = {claim: place for place, claim in enumerate(matrix.claims)}
    for duel in sorted(matrix.duels, key=lambda d: order[d.claim]):
        claim, last = duel.claim if duel.claim != last else "", duel.claim
        fault = matrix.rivals[duel.rival].fault
        table.add_row(
            claim, duel.rival, fault, Text(duel.result, _mark(duel).style), Text(duel.reason)
        )
    return table
