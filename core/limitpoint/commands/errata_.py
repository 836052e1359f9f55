"""Errata: run the claims that show a printed statement failing and the corrected one holding."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import asdict

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.progress import track
from rich.table import Table
from rich.text import Text

from limitpoint.commands._options import add_json, add_selection, console, print_json, selected
from limitpoint.errors import UsageError
from limitpoint.judgement.claim import Claim, Outcome, Setting
from limitpoint.judgement.erratum import BASES, SURENESS, Erratum
from limitpoint.judgement.evidence import Evidence
from limitpoint.views.terminal import COLOURS

HELP = "print the errata of the papers, each with its counterexample"
SIDE_COLOURS = {"printed": "red", "corrected": "green"}
SURE_COLOURS = dict(zip(SURENESS, ("green", "yellow", "magenta"), strict=True))


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of `limitpoint errata`."""
    add_selection(parser)
    parser.add_argument("--seed", type=int, default=42, help="seed of the data (default 42)")
    add_json(parser)


def run(args: argparse.Namespace) -> int:
    """Run the errata and print what was measured under both statements; 1 if one is refuted."""
    claims = [claim for claim in selected(args) if claim.erratum]
    if not claims:
        raise UsageError("none of the selected claims is an erratum")
    found = list(_outcomes(claims, Setting(seed=args.seed)))
    if args.json:
        print_json([_record(claim, outcome) for claim, outcome in found])
    else:
        console().print(*(_entry(*pair) for pair in found), _legend(), sep="\n")
    return 0 if all(outcome.verdict == "supported" for _, outcome in found) else 1


def _outcomes(claims: list[Claim], setting: Setting) -> Iterator[tuple[Claim, Outcome]]:
    progress = track(claims, "errata", console=console(stderr=True), transient=True)
    for claim in progress:
        yield claim, claim.evaluate(setting)


def _record(claim: Claim, outcome: Outcome) -> dict[str, object]:
    return {
        "id": claim.id,
        "source": claim.source,
        "statement": claim.statement,
        **_fields(claim),
        "verdict": outcome.verdict,
        "evidence": [evidence.as_dict() for evidence in outcome.evidence],
    }


def _fields(claim: Claim) -> dict[str, str]:
    return asdict(claim.erratum) if claim.erratum else {}


def _entry(claim: Claim, outcome: Outcome) -> RenderableType:
    """One erratum: where, both statements with what was measured, how sure."""
    erratum = claim.erratum
    assert erratum is not None
    heading = Text.assemble(
        (claim.id, "bold"), "  ", erratum.where, "  ", (outcome.verdict, COLOURS[outcome.verdict])
    )
    rows = Table.grid(padding=(0, 2))
    rows.add_column(justify="right", style="dim", no_wrap=True)
    rows.add_column(overflow="fold")
    for side, colour in SIDE_COLOURS.items():
        rows.add_row(side, Text(getattr(erratum, side), style=colour))
        rows.add_row("", _measured([e for e in outcome.evidence if e.under == side]))
    rows.add_row("sure", _sureness(erratum))
    return Padding(Group(heading, Padding(rows, (0, 0, 0, 2))), (0, 0, 1, 0))


def _measured(evidence: list[Evidence]) -> Text:
    """The first comparison, or the first that fails, and how many others there are."""
    if not evidence:
        return Text("nothing was measured", style="red")
    shown = next((e for e in evidence if not e.holds), evidence[0])
    text = Text(shown.brief, style="italic")
    others = len(evidence) - 1
    return text.append(f"   and {others} more", style="dim") if others else text


def _sureness(erratum: Erratum) -> Text:
    return Text.assemble(
        (erratum.sure, SURE_COLOURS[erratum.sure]),
        f"; rests on {BASES[erratum.basis]}. {erratum.because}",
    )


def _legend() -> Text:
    meaning = "; ".join(f"{name}: {text}" for name, text in SURENESS.items())
    return Text(f"{meaning}. In italics what was measured, the first of it; --json has all.", "dim")
