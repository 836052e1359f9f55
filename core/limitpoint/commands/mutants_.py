"""Run each claim against the wrong implementations it names; every one must be refuted."""

from __future__ import annotations

import argparse

from rich.progress import Progress, TimeRemainingColumn
from rich.table import Table

from limitpoint.claiming import Setting
from limitpoint.commands._options import add_json, add_selection, console, print_json, selected
from limitpoint.errors import UsageError
from limitpoint.mutants import Duel, kill_matrix, named_pairs
from limitpoint.rivals import RIVALS

HELP = "print the kill matrix: claims against rivals"
MARKS = {
    "refuted": "[green]refuted[/]",
    "supported": "[bold red]SURVIVED[/]",
    "inconclusive": "[yellow]inconclusive[/]",
    "not-applicable": "[cyan]not applicable[/]",
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of `limitpoint mutants`."""
    add_selection(parser)
    parser.add_argument("--seed", type=int, default=42, help="seed of the data (default 42)")
    add_json(parser)


def run(args: argparse.Namespace) -> int:
    """Print the matrix; 1 if a rival survives."""
    claims = selected(args)
    pairs = named_pairs(claims)
    if not pairs:
        raise UsageError("none of the selected claims names a rival")
    duels = []
    columns = (*Progress.get_default_columns()[:-1], TimeRemainingColumn())
    with Progress(*columns, transient=True) as bar:
        task = bar.add_task("duels", total=len(pairs))
        for duel in kill_matrix(claims, Setting(seed=args.seed)):
            duels.append(duel)
            bar.update(task, advance=1, description=f"{duel.claim.id} x {duel.rival}")
    survivors = [duel for duel in duels if not duel.killed]
    if args.json:
        print_json([_record(duel) for duel in duels])
    else:
        console().print(_table(duels))
        print(
            f"{len(duels)} duels, {len({d.claim.id for d in duels})} claims, "
            f"{len({d.rival for d in duels})} rivals: {len(survivors)} survived"
        )
    return 1 if survivors else 0


def _record(duel: Duel) -> dict[str, object]:
    return {
        "claim": duel.claim.id,
        "rival": duel.rival,
        "verdict": duel.outcome.verdict,
        "reason": duel.outcome.reason,
    }


def _table(duels: list[Duel]) -> Table:
    table = Table(title="kill matrix", title_justify="left")
    for column in ("claim", "rival", "what is wrong with it", "verdict", "by"):
        table.add_column(column, overflow="fold")
    last = ""
    for duel in duels:
        claim_id = duel.claim.id if duel.claim.id != last else ""
        last = duel.claim.id
        fault = RIVALS[duel.rival].fault
        table.add_row(claim_id, duel.rival, fault, MARKS[duel.outcome.verdict], duel.outcome.reason)
    return table
