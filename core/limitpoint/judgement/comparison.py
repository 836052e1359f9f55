"""One comparison of a claim, as the ledger keeps it: both numbers, slack, and where it was."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping

import msgspec

RELATIONS = ("identity", "close", "at_most", "at_least", "rate", "ordering")
#: What a comparison is about that no optimizer can fail.
FORMULA = "a formula"
Place = dict[str, int | float]
Numbers = tuple[float | None, ...]


class Curve(msgspec.Struct, frozen=True):
    """Both sides of a comparison along an axis, of the entry that is violated first or nearest it.

    Args:
        axis: its name.
        at: the places, a few dozen.
        expected: what the theorem expects there; None is not finite.
        off: measured less expected, which a rounded sum of both would lose.
        tolerance: absolute, there.
    """

    axis: str
    at: Numbers
    expected: Numbers
    off: Numbers
    tolerance: Numbers


class Evidence(msgspec.Struct, frozen=True, kw_only=True):
    """One comparison.

    Args:
        quantity: what was measured, in words.
        relation: one of `RELATIONS`.
        measured: the measured value; of a series, the entry with the least slack.
        expected: what the theorem expects there.
        tolerance: absolute, there.
        slack: how far inside: 1 is exact or far inside, 0 on the edge, negative is a violation;
            None, as JSON has no infinity, is as far outside as can be.
        because: where the tolerance comes from.
        entries: how many numbers were compared.
        under: "printed" or "corrected", the statement of an erratum that it is about, or "".
        about: the role that it is about, `FORMULA`, or "" for every role of the claim.
        at: where the entry with the least slack is: a number for each named axis.
        first: where the first violation is, if there is one and an axis to say what is first.
        curve: both sides along that axis, if there is one.
    """

    quantity: str
    relation: str = ""
    measured: float | None = None
    expected: float | None = None
    tolerance: float | None = None
    slack: float | None
    because: str = ""
    entries: int = 1
    under: str = ""
    about: str = ""
    at: Place = {}
    first: Place = {}
    curve: Curve | msgspec.UnsetType = msgspec.UNSET

    @property
    def room(self) -> float:
        """The slack as a number, -inf for None."""
        return -math.inf if self.slack is None else self.slack

    @property
    def place(self) -> str:
        """Where the entry with the least slack is, in words; "" if nobody said."""
        return _place(self.at)

    @property
    def holds(self) -> bool:
        """Whether the relation holds within the tolerance."""
        return self.room >= 0

    @property
    def judges(self) -> bool:
        """Whether it says something about an optimizer: its slack counts."""
        return self.about != FORMULA

    def is_about(self, roles: Iterable[str]) -> bool:
        """Whether it judges one of these roles."""
        return self.judges and (not self.about or self.about in roles)

    @property
    def symbol(self) -> str:
        """The relation that there is between both numbers, wanted or not."""
        if self.relation == "rate":
            return _SIGNS["at_most" if self._from_below else "at_least"][self.holds]
        if self.relation in _SIGNS:
            return _SIGNS[self.relation][self.holds]
        return "=" if self.measured == self.expected else "≈" if self.holds else "≠"

    @property
    def _from_below(self) -> bool:
        """Of a rate: whether the end of its interval that is expected is the upper one."""
        return self.holds == ((self.measured or 0.0) <= (self.expected or 0.0))

    @property
    def brief(self) -> str:
        """Quantity and both numbers, for a person."""
        measured, expected = shown(self.measured, self.expected)
        told = self.tolerance and (self.symbol in "≈≠" or self.expected == 0)
        within = f" within {_short(self.tolerance, 2)}" if told else ""
        return f"{self.quantity}: {measured} {self.symbol} {expected}{within}"

    def __str__(self) -> str:
        measured, expected = shown(self.measured, self.expected)
        relation = self.relation
        if relation == "rate":
            relation = "at_most" if self._from_below else "at_least"
        within = f" (within {_short(self.tolerance, 3)})" if self.tolerance else ""
        since = f", first{_place(self.first)}" if self.first and self.first != self.at else ""
        return (
            f"{self.quantity}: measured {measured}, expected {_WANTED.get(relation, '')}{expected}"
            f"{within}{self.place}{since}"
        )


#: What stands between both numbers of a comparison that is violated, and of one that holds.
_SIGNS = {"at_most": (">", "≤"), "at_least": ("<", "≥"), "ordering": ("≥", "<")}
_WANTED = {"at_most": "at most ", "at_least": "at least ", "ordering": "less than "}


def _place(place: Mapping[str, int | float]) -> str:
    parts = (f"{name} {_short(index, 12)}" for name, index in place.items())
    return " at " + ", ".join(parts) if place else ""


def _short(number: float | None, digits: int) -> str:
    """A number without the zeros of its exponent; a dash for None."""
    return "–" if number is None else re.sub(r"e([+-])0", r"e\1", f"{number:.{digits}g}")


def shown(*numbers: float | None) -> list[str]:
    """Numbers with six digits, or as many more as it takes to see by how much they differ."""
    known = {number for number in numbers if number is not None}
    telling = (d for d in range(6, 17) if len({_short(n, d) for n in known}) == len(known))
    digits = next(telling, 16)
    return [_short(number, digits + (digits > 6)) for number in numbers]


def tightest(evidence: Iterable[Evidence]) -> Evidence | None:
    """The comparison with the least slack of those that judge an optimizer."""
    return min((e for e in evidence if e.judges), key=lambda e: e.room, default=None)
