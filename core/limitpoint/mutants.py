"""The kill matrix: every claim against the wrong implementations it must refute."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from limitpoint.claiming import Claim, Outcome, Setting
from limitpoint.rivals import RIVALS


@dataclass(frozen=True)
class Duel:
    """One claim against one rival."""

    claim: Claim
    rival: str
    outcome: Outcome

    @property
    def killed(self) -> bool:
        """Whether the claim refuted the rival."""
        return self.outcome.verdict == "refuted"


def fight(claim: Claim, rival: str, setting: Setting) -> Duel:
    """Run a claim with a rival in its first role.

    Raises:
        KeyError: no such rival.
    """
    subjects = {claim.roles[0]: RIVALS[rival].factory}
    return Duel(claim, rival, claim.evaluate(replace(setting, subjects=subjects)))


def named_pairs(claims: Sequence[Claim]) -> list[tuple[Claim, str]]:
    """Each claim with each rival that it names."""
    return [(claim, rival) for claim in claims for rival in claim.rivals]


def kill_matrix(claims: Sequence[Claim], setting: Setting) -> Iterator[Duel]:
    """Every named duel, one after the other."""
    for claim, rival in named_pairs(claims):
        yield fight(claim, rival, setting)
