"""What comes of a claim, and what follows: colour, mark, rank, pytest outcome."""

from __future__ import annotations

from enum import StrEnum


class Verdict(StrEnum):
    """Four verdicts, from best to worst.

    A claim that no longer applies has lost its test: worse than supported.

    Attributes:
        colour: of rich and of the report.
        mark: one character.
        outcome: of pytest: "passed", "skipped" or "failed".
    """

    colour: str
    mark: str
    outcome: str

    def __new__(cls, value: str, colour: str, mark: str, outcome: str) -> Verdict:
        """A member is its text, with what follows from it."""
        member = str.__new__(cls, value)
        member._value_ = value
        member.colour, member.mark, member.outcome = colour, mark, outcome
        return member

    SUPPORTED = "supported", "green", "✓", "passed"
    NOT_APPLICABLE = "not-applicable", "cyan", "–", "skipped"
    INCONCLUSIVE = "inconclusive", "yellow", "?", "failed"
    REFUTED = "refuted", "red", "✗", "failed"

    @property
    def rank(self) -> int:
        """0 for the best, 3 for the worst."""
        return list(Verdict).index(self)

    @property
    def fails(self) -> bool:
        """Whether it fails a run."""
        return self.outcome == "failed"

    @property
    def coloured(self) -> str:
        """For rich."""
        return f"[{self.colour}]{self}[/]"
