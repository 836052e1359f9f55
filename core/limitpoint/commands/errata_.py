"""Errata: run the claims that show a printed statement failing and the corrected one holding."""

from __future__ import annotations

import argparse

from rich.table import Table

from limitpoint.claiming import Claim, Outcome, Setting
from limitpoint.commands._options import add_json, add_selection, console, print_json, selected
from limitpoint.errors import UsageError

HELP = "print the errata of the papers, each with its counterexample"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of `limitpoint errata`."""
    add_selection(parser)
    parser.add_argument("--seed", type=int, default=42, help="seed of the data (default 42)")
    add_json(parser)


def run(args: argparse.Namespace) -> int:
    """Run the errata and print what was measured under both statements; 1 if one is refuted."""
    claims = [claim for claim in selected(args) if claim.kind == "erratum"]
    if not claims:
        raise UsageError("none of the selected claims is an erratum")
    found = [(claim, claim.evaluate(Setting(seed=args.seed))) for claim in claims]
    if args.json:
        print_json([_record(claim, outcome) for claim, outcome in found])
    else:
        console().print(_table(found))
    return 0 if all(outcome.verdict == "supported" for _, outcome in found) else 1


def _record(claim: Claim, outcome: Outcome) -> dict[str, object]:
    return {
        "id": claim.id,
        "source": claim.source,
        "statement": claim.statement,
        "basis": claim.hypotheses,
        "verdict": outcome.verdict,
        "evidence": [evidence.as_dict() for evidence in outcome.evidence],
    }


def _table(found: list[tuple[Claim, Outcome]]) -> Table:
    table = Table(title=f"{len(found)} errata", title_justify="left", show_lines=True)
    for column in ("where", "printed, and corrected", "measured", "verdict"):
        table.add_column(column, overflow="fold")
    for claim, outcome in found:
        measured = "\n".join(str(evidence) for evidence in outcome.evidence)
        where = f"{claim.id}\n{claim.source}"
        table.add_row(where, claim.statement, measured, outcome.verdict)
    return table
