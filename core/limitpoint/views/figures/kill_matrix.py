"""The kill matrix as a heat map: how far outside its bound each claim finds each rival."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import ListedColormap
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from limitpoint.rivals.matrix import Duel, Matrix, strength
from limitpoint.views.figures.style import INK

GREY, FAINT = "#7b8794", "#e4e7eb"  # grey text is darker than grey lines
LABELS = {
    0: "not run",
    1: "refuted, outside the bound by less than 0.1 of it",
    2: "refuted, outside by 0.1 to 1",
    3: "refuted, outside by 1 to 100",
    4: "refuted, outside by more than 100, or broke down",
    5: "survived, and the claim does not name it",
    6: "SURVIVED a claim that names it",
    7: "not applicable",
}
COLOURS = ("#eef1f4", "#b9d3ea", "#7aaad6", "#2f6fb0", "#123a66", "#f2c57c", "#c8501e", "#cbd2d9")
SURVIVED = 6
CELL = 0.175
SEVERAL = "several roles"
#: A claim, and a role of it.
Row = tuple[str, str]


def kill_matrix(matrix: Matrix) -> Figure:
    """Claims, by paper, against rivals, by role; a row for each role of a claim.

    Args:
        matrix: as far as it was fought.
    """
    claims = [(claim, role) for claim, roles in matrix.claims.items() for role in roles]
    rivals = _by_role(matrix)
    codes = _codes(matrix, claims, list(rivals))
    margins = 4.4, 3.8
    size = CELL * len(rivals) + margins[0], CELL * len(claims) + margins[1]
    size = max(size[0], 9.5), size[1]
    canvas = Figure(figsize=size)
    ax = canvas.add_axes(
        (3.3 / size[0], 1.0 / size[1], CELL * len(rivals) / size[0], CELL * len(claims) / size[1])
    )
    ax.pcolormesh(
        np.ma.masked_less(codes, 0),
        cmap=ListedColormap(COLOURS), vmin=-0.5, vmax=len(COLOURS) - 0.5,
        edgecolors="white", linewidth=0.8,
    )  # fmt: skip
    ax.plot(*(np.argwhere(codes == SURVIVED)[:, ::-1] + 0.5).T, "x", color="white", ms=5, mew=1.4)
    ax.set_ylim(len(claims), 0)
    ax.set_xlim(0, len(rivals))
    _ticks(ax, [_label(matrix, row) for row in claims], list(rivals))
    _groups(ax, [claim.partition("/")[0] for claim, _ in claims], list(rivals.values()))
    _counts(ax, matrix, claims, list(rivals))
    canvas.text(0.8 / size[0], 1 - 0.35 / size[1], _title(matrix), fontsize=12, weight="bold",
                va="center", color=INK)  # fmt: skip
    shown = sorted({int(code) for code in codes.ravel() if code >= 0} | {1, 2, 3, 4, SURVIVED})
    canvas.legend(
        handles=[
            *(Patch(facecolor=COLOURS[code], label=LABELS[code]) for code in shown),
            Patch(facecolor="white", edgecolor=COLOURS[7], label="the rival plays another role"),
        ],
        loc="lower left", bbox_to_anchor=(3.3 / size[0], 0.08 / size[1]), ncols=3, frameon=False,
        fontsize=7.5, borderaxespad=0.0,
    )  # fmt: skip
    return canvas


def _title(matrix: Matrix) -> str:
    survivors = sum(duel.named and not duel.killed for duel in matrix.duels)
    return (
        f"{len({d.claim for d in matrix.duels})} claims against "
        f"{len({d.rival for d in matrix.duels})} wrong optimizers: {len(matrix.duels)} duels, "
        f"{survivors or 'no'} named rival{'' if survivors == 1 else 's'} survived"
    )


def _label(matrix: Matrix, row: Row) -> str:
    """A claim's short name, and the role where it has several."""
    claim, role = row
    name = claim.partition("/")[2]
    return f"{name}, {role}" if len(matrix.claims[claim]) > 1 else name


def _by_role(matrix: Matrix) -> dict[str, str]:
    """The rivals that play a role of these claims, each with the group that it is shown in."""
    order = [SEVERAL, *matrix.played]
    groups = {
        name: _home(rival.roles, matrix)
        for name, rival in matrix.rivals.items()
        if set(order) & set(rival.roles)
    }
    return dict(sorted(groups.items(), key=lambda item: order.index(item[1])))


def _home(roles: Sequence[str], matrix: Matrix) -> str:
    here = [role for role in roles if role in matrix.played]
    return SEVERAL if len(roles) > 2 else here[0]


def _codes(matrix: Matrix, claims: Sequence[Row], rivals: Sequence[str]) -> np.ndarray:
    """Index into `COLOURS` of each cell; -1 where the rival does not play the role."""
    codes = np.full((len(claims), len(rivals)), -1)
    for i, (_, role) in enumerate(claims):
        for j, rival in enumerate(rivals):
            if role in matrix.rivals[rival].roles:
                codes[i, j] = 0
    for duel in matrix.duels:
        if duel.rival in rivals:
            codes[claims.index((duel.claim, duel.role)), rivals.index(duel.rival)] = _code(duel)
    return codes


def _code(duel: Duel) -> int:
    if duel.killed:
        return strength(duel)
    if duel.named:
        return SURVIVED
    return 5 if duel.result == "survived" else 7


def _ticks(ax: Axes, claims: Sequence[str], rivals: Sequence[str]) -> None:
    ax.set_yticks(np.arange(len(claims)) + 0.5, claims, fontsize=7)
    ax.set_xticks(np.arange(len(rivals)) + 0.5, rivals, fontsize=7, rotation=90)
    ax.tick_params(length=0, labeltop=True, labelbottom=False, pad=3, colors=INK)
    ax.spines[:].set_visible(False)


def _groups(ax: Axes, papers: Sequence[str], roles: Sequence[str]) -> None:
    """Names of the papers at the left and of the roles on top, with lines between groups."""
    left, top = -2.3 / CELL, -1.45 / CELL
    for name, low, high in _spans(papers):
        ax.axhline(high, color=GREY, lw=0.6, clip_on=False, xmin=left / len(roles))
        ax.text(left - 0.6, (low + high) / 2, name, rotation=90, ha="right", va="center",
                fontsize=9, weight="bold", color=INK)  # fmt: skip
    for name, low, high in _spans(roles):
        ax.plot([high, high], [top, len(papers)], color=GREY, lw=0.6, clip_on=False)
        ax.text((low + high) / 2, top - 0.3, name, rotation=0 if high - low > 3 else 90,
                ha="center", va="bottom", fontsize=8, weight="bold", color=INK)  # fmt: skip


def _spans(names: Sequence[str]) -> list[tuple[str, int, int]]:
    spans, at = [], 0
    for name, members in groupby(names):
        size = len(list(members))
        spans.append((name, at, at + size))
        at += size
    return spans


def _counts(ax: Axes, matrix: Matrix, claims: Sequence[Row], rivals: Sequence[str]) -> None:
    """How many of the rivals each claim refutes, and how many claims refute each rival."""
    for i, claim in enumerate(claims):
        fought = [duel for duel in matrix.duels if (duel.claim, duel.role) == claim]
        text = f"{sum(duel.killed for duel in fought)}/{len(fought)}"
        ax.text(len(rivals) + 0.4, i + 0.5, text, fontsize=6.5, va="center", color=GREY)
    for j, rival in enumerate(rivals):
        kills = sum(duel.killed for duel in matrix.duels if duel.rival == rival)
        ax.text(j + 0.5, len(claims) + 0.4, str(kills), fontsize=6.5, ha="center", va="top",
                color=GREY)  # fmt: skip
