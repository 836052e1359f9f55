"""Errata: run the claims that show a printed statement failing and the corrected one holding."""

from __future__ import annotations

import argparse
from collections.abc import Iterator

import msgspec
from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.progress import track
from rich.table import Table
from rich.text import Text

from limitpoint.commands._screen import console, print_json
from limitpoint.commands._selection import selected
from limitpoint.errors import UsageError
from limitpoint.judgement.claim import Claim
from limitpoint.judgement.comparison import Evidence
from limitpoint.judgement.erratum import BASES, FAULTS, SURENESS, Erratum
from limitpoint.judgement.evaluate import evaluate
from limitpoint.judgement.record import Record
from limitpoint.judgement.setting import Setting

SIDE_COLOURS = {"printed": "red", "corrected": "green"}
SURE_COLOURS = dict(zip(SURENESS, ("green", "yellow", "magenta"), strict=True))


def run(args: argparse.Namespace) -> int:
    """Run the errata and print what was measured under both statements; 1 if one is refuted."""
    claims = [claim for claim in selected(args) if claim.erratum]
    if not claims:
        raise UsageError("none of the selected claims is an erratum")
    found = list(_records(claims, Setting(seed=args.seed)))
    if args.json:
        print_json([_as_json(record) for record in found])
    else:
        console().print(*map(_entry, found), _legend(), sep="\n")
    return int(any(record.verdict.rank for record in found))


def _records(claims: list[Claim], setting: Setting) -> Iterator[Record]:
    for claim in track(claims, "errata", console=console(stderr=True), transient=True):
        yield evaluate(claim, setting=setting)


def _as_json(record: Record) -> dict[str, object]:
    found = msgspec.to_builtins(record)
    kept = {name: found[name] for name in ("id", "source", "statement", "verdict", "evidence")}
    return kept | found["erratum"]


def _entry(record: Record) -> RenderableType:
    """One erratum: where, both statements with what was measured, how sure."""
    erratum = record.erratum
    assert erratum is not None
    heading = Text.assemble(
        (record.id, "bold"), "  ", erratum.where, "  ", (record.verdict, record.verdict.colour)
    )
    rows = Table.grid(padding=(0, 2))
    rows.add_column(justify="right", style="dim", no_wrap=True)
    rows.add_column(overflow="fold")
    for side, colour in SIDE_COLOURS.items():
        rows.add_row(side, Text(getattr(erratum, side), style=colour))
        rows.add_row("", _measured([e for e in record.evidence if e.under == side]))
    rows.add_row("sure", _sureness(erratum))
    rows.add_row("our copy", erratum.copy)
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
    fault = "" if erratum.fault == "false" else f"{erratum.fault}; "
    return Text.assemble(
        fault,
        (erratum.sure, SURE_COLOURS[erratum.sure]),
        f"; rests on {BASES[erratum.basis]}. {erratum.because}",
    )


def _legend() -> Text:
    words = {name: text for name, text in FAULTS.items() if name != "false"} | SURENESS
    meaning = "; ".join(f"{name}: {text}" for name, text in words.items())
    return Text(f"{meaning}. In italics what was measured, the first of it; --json has all.", "dim")
