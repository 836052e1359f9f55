"""A comparison along its steps as a small SVG: measured, expected, and the tolerance's band."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from html import escape
from typing import NamedTuple

import msgspec
from markupsafe import Markup

from limitpoint.judgement.comparison import Evidence

WIDTH, HEIGHT = 340, 170
LEFT, RIGHT, TOP, BOTTOM = 52, 8, 8, 26
#: A share of what is drawn that is no wider than a line. Where both tolerance and difference are
#: below it, and the difference is none of the tolerance, it is drawn in units of that; where
#: everything is one number to so many digits, too.
VISIBLE, ONE = 0.02, 1e-4
TWO_SIDED = ("close", "identity")
#: Of a claim's comparisons so many are drawn, those with the least slack.
SHOWN = 4


class Line(NamedTuple):
    """What is drawn: pairs of places and values, None where there is no finite one."""

    kind: str
    values: Sequence[float | None]


@dataclass(frozen=True)
class Scale:
    """From a number to a coordinate.

    Args:
        bend: a growing function, such as log.
        low, high: the ends.
        start, end: where they lie.
        marks: the numbers that are written beside it.
    """

    bend: Callable[[float], float]
    low: float
    high: float
    start: float
    end: float
    marks: tuple[float, ...] = ()

    def __call__(self, value: float) -> float:
        """The coordinate of a number; ValueError if there is none."""
        low, high = self.bend(self.low), self.bend(self.high)
        share = (self.bend(value) - low) / (high - low) if high > low else 0.5
        if not math.isfinite(share):
            raise ValueError("beyond what is drawn")
        return self.start + share * (self.end - self.start)


def drawn(evidence: Sequence[Evidence]) -> list[Evidence]:
    """The comparisons that have a curve, the tightest few; so what is violated comes first."""
    return sorted(filter(svg, evidence), key=lambda e: e.room)[:SHOWN]


def svg(evidence: Evidence) -> Markup:
    """The picture; empty if there is no curve, or nothing of it can be drawn."""
    curve = evidence.curve
    if curve is msgspec.UNSET:
        return Markup("")
    try:
        return _svg(evidence)
    except (ArithmeticError, ValueError):  # what a stranger's ledger calls a curve
        return Markup("")


def _svg(evidence: Evidence) -> Markup:
    curve = evidence.curve
    assert curve is not msgspec.UNSET
    lines, band, unit = _lines(evidence)
    at = [x for x in curve.at if x is not None]
    values = [v for line in [*lines, *band] for v in line.values if v is not None]
    if len(at) < 2 or not values:
        return Markup("")
    across = _across(at)
    up = _up(values, in_tolerances=bool(unit))
    parts = [_frame(across, up, curve.axis, unit)]
    if len(band) == 2:
        parts.append(_area(curve.at, band, across, up))
    parts += [_path(line.kind, curve.at, line.values, across, up) for line in lines]
    parts += _violation(evidence, curve.at, lines[0].values, across, up)
    label = escape(f"{evidence.quantity}: measured, and what is expected, by {curve.axis}")
    return Markup(
        f'<svg class="curve" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{label}">'
        f"{''.join(parts)}</svg>"
    )


def _lines(evidence: Evidence) -> tuple[list[Line], list[Line], str]:
    """The lines, the edges of the band, and the unit if it is not the quantity's own."""
    curve = evidence.curve
    assert curve is not msgspec.UNSET
    whole = list(zip(curve.expected, curve.off, curve.tolerance, strict=True))
    measured = [None if e is None or o is None else e + o for e, o, _ in whole]
    known = [v for v in (*measured, *curve.expected) if v is not None]
    span, size = max(known, default=0.0) - min(known, default=0.0), _largest(known)
    ratios = [None if o is None or not t else o / t for _, o, t in whole]
    widest = max(_largest(curve.off), _largest(curve.tolerance))
    two_sided = evidence.relation in TWO_SIDED
    hidden = _largest(ratios) > VISIBLE and widest < VISIBLE * max(span, size)
    if two_sided and _largest(ratios) > 0 and (hidden or span < ONE * size):
        ones = [1.0] * len(whole)
        band = [Line("", [-1.0] * len(whole)), Line("", ones)]
        return [Line("measured", ratios), Line("expected", [0.0] * len(whole))], band, "tolerances"
    edges = [
        Line("", [None if e is None or t is None else e + side * t for e, _, t in whole])
        for side in ((-1, 1) if two_sided else ())
    ]
    return [Line("measured", measured), Line("expected", curve.expected)], edges, ""


def _largest(values: Sequence[float | None]) -> float:
    return max((abs(v) for v in values if v is not None), default=0.0)


def _across(at: Sequence[float]) -> Scale:
    low, high = min(at), max(at)
    least = min((x - low for x in at if x > low), default=1.0)
    by_ratio = high - low > 100 * least
    bend = (lambda x: math.log(x - low + least)) if by_ratio else float
    return Scale(bend, low, high, LEFT, WIDTH - RIGHT, (low, high))


def _up(values: Sequence[float], *, in_tolerances: bool) -> Scale:
    low, high = min(values), max(values)
    if in_tolerances:
        most = 1.15 * max(abs(low), abs(high), 1.0)
        near = (-1.0, 0.0, 1.0) if most < 20 else (low, high)
        return Scale(math.asinh, -most, most, HEIGHT - BOTTOM, TOP, near)
    marks = (low, high) if high > low else (low,)
    if low > 0 and high > 100 * low:
        return Scale(math.log, low, high, HEIGHT - BOTTOM, TOP, marks)
    margin = 0.06 * (high - low) or abs(high) / 2 or 1.0
    return Scale(float, low - margin, high + margin, HEIGHT - BOTTOM, TOP, marks)


def _frame(across: Scale, up: Scale, axis: str, unit: str) -> str:
    marks = "".join(
        f'<text x="{LEFT - 4}" y="{up(y) + 3:.1f}" text-anchor="end">{y:.3g}</text>'
        for y in up.marks
    )
    for x, anchor in zip(across.marks, ("start", "end"), strict=True):
        marks += f'<text x="{across(x):.1f}" y="{HEIGHT - 14}" text-anchor="{anchor}">{x:g}</text>'
    middle = (LEFT + WIDTH - RIGHT) / 2
    named = escape(axis) + (f", off in {unit}" if unit else "")
    marks += f'<text x="{middle}" y="{HEIGHT - 4}" text-anchor="middle">{named}</text>'
    return f'<path class="axes" d="M{LEFT} {TOP}V{HEIGHT - BOTTOM}H{WIDTH - RIGHT}"/>{marks}'


def _points(
    at: Sequence[float | None], values: Sequence[float | None], across: Scale, up: Scale
) -> list[str]:
    return [
        f"{across(x):.1f} {up(v):.1f}"
        for x, v in zip(at, values, strict=True)
        if x is not None and v is not None
    ]


def _path(
    kind: str, at: Sequence[float | None], values: Sequence[float | None], across: Scale, up: Scale
) -> str:
    return f'<path class="{kind}" d="M{"L".join(_points(at, values, across, up))}"/>'


def _area(at: Sequence[float | None], edges: Sequence[Line], across: Scale, up: Scale) -> str:
    low, high = (_points(at, edge.values, across, up) for edge in edges)
    return f'<path class="band" d="M{"L".join([*low, *reversed(high)])}Z"/>'


def _violation(
    evidence: Evidence, at: Sequence[float | None], values: Sequence[float | None],
    across: Scale, up: Scale,
) -> list[str]:  # fmt: skip
    """A ring around the first violation, which `first` says, or else around the worst place."""
    if evidence.holds:
        return []
    curve = evidence.curve
    assert curve is not msgspec.UNSET
    where = (evidence.first or evidence.at).get(curve.axis)
    found = next(
        ((x, v) for x, v in zip(at, values, strict=True) if x == where and v is not None), None
    )
    if found is None or found[0] is None:
        return []
    x, y = across(found[0]), up(found[1])
    return [f'<circle class="first" cx="{x:.1f}" cy="{y:.1f}" r="5"/>']
