"""The kill matrix as the page shows it: one table a role."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from limitpoint.rivals.matrix import Duel, Matrix, strength


@dataclass(frozen=True)
class Cell:
    """One duel on the page: what a reader hears, what is drawn, and in which colour."""

    text: str
    mark: str
    style: str


NOT_RUN = Cell("not run", "·", "none")


@dataclass(frozen=True)
class KillRow:
    """One claim against the rivals of its role."""

    claim: str
    cells: list[Cell]
    refuted: int
    fought: int


@dataclass(frozen=True)
class KillTable:
    """The claims about a role against the rivals that play it.

    Args:
        role: whose.
        rivals: what is wrong with each, by name.
        rows: one a claim.
    """

    role: str
    rivals: dict[str, str]
    rows: list[KillRow]


def kill_tables(matrix: Matrix) -> list[KillTable]:
    """A table for each role that a claim is about, in the order of the claims."""
    return [_table(matrix, role) for role in matrix.played]


def _table(matrix: Matrix, role: str) -> KillTable:
    duels = {(d.claim, d.rival): d for d in matrix.duels if d.role == role}
    rivals = matrix.playing(role)
    rows = [
        _row(claim, [duels.get((claim, rival)) for rival in rivals]) for claim in matrix.about(role)
    ]
    return KillTable(role, {name: matrix.rivals[name].fault for name in rivals}, rows)


def _row(claim: str, duels: Sequence[Duel | None]) -> KillRow:
    fought = [duel for duel in duels if duel]
    killed = sum(duel.killed for duel in fought)
    return KillRow(claim, [_cell(duel) for duel in duels], killed, len(fought))


def _cell(duel: Duel | None) -> Cell:
    if duel is None:
        return NOT_RUN
    if duel.killed:
        return Cell("refuted", "", f"k{strength(duel)}")
    if duel.result == "not applicable":
        return Cell("not applicable", "–", "none")
    return Cell("SURVIVED", "✗", "alive") if duel.named else Cell("survived", "○", "spared")
