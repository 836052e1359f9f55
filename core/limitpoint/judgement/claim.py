"""A claim: a theorem that runs, and what it says of itself. Its body is run by `evaluate`."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from functools import cached_property, wraps
from inspect import Parameter, Signature
from pathlib import Path
from typing import Any

from limitpoint.errors import UsageError
from limitpoint.judgement.erratum import Erratum
from limitpoint.judgement.record import ID
from limitpoint.judgement.roles import check_role

KINDS = (
    "law",
    "identity",
    "inequality",
    "bound",
    "limit",
    "rate",
    "ordering",
    "erratum",
    "observation",  # a finding of a paper that was not reproduced: what came out, at which scale
)
#: What pytest parametrizes a claim by. The body's own `trial` is not asked of pytest, where a
#: fixture of that name may be somebody else's.
SEED = "limitpoint_seed"
#: A function of a `Trial` (`limitpoint.judgement.trial`).
Body = Callable[[Any], None]


@dataclass(frozen=True)
class Claim:
    """What a theorem says, and the test that would fail if it did not hold.

    Args:
        id: stable, "paper/short-name".
        source: paper and theorem number.
        statement: one sentence; LaTeX between dollar signs.
        hypotheses: each one named.
        kind: one of `KINDS`.
        roles: the optimizers it is about.
        rivals: names of wrong implementations that it must refute (`limitpoint.rivals`), each in
            the first role; "role:name" is one in another role.
        body: the test, a function of a `Trial`.
        erratum: what is printed and what holds instead; for the kind "erratum", and for no other.
        seeded: it reads the trial's seed. A claim on fixed data does not, and runs once.
    """

    id: str
    source: str
    statement: str
    hypotheses: tuple[str, ...]
    kind: str
    roles: tuple[str, ...]
    rivals: tuple[str, ...]
    body: Body
    erratum: Erratum | None = None
    seeded: bool = True

    def __post_init__(self) -> None:
        if not re.fullmatch(ID, self.id):
            raise UsageError(f"claim id {self.id!r}: must be paper/short-name in lower case")
        if self.kind not in KINDS:
            raise UsageError(f"{self.id}: kind {self.kind!r} is none of {', '.join(KINDS)}")
        if (self.kind == "erratum") != (self.erratum is not None):
            raise UsageError(
                f"{self.id}: the kind erratum goes with an Erratum, no other kind does"
            )
        for role in self.roles:
            check_role(role)
        for role, name in self.named:
            if role not in self.roles:
                raise UsageError(f"{self.id}: the rival {name!r} needs one of its roles to play")

    @property
    def paper(self) -> str:
        """The part of the id before the slash."""
        return self.id.partition("/")[0]

    @cached_property
    def named(self) -> tuple[tuple[str, str], ...]:
        """Role and name of each rival."""
        parts = (rival.rpartition(":") for rival in self.rivals)
        return tuple((role or next(iter(self.roles), ""), name) for role, _, name in parts)

    def about(self, roles: Collection[str]) -> bool:
        """Whether a subject in one of these roles is judged by it; errata are about a paper."""
        return self.kind != "erratum" and any(role in roles for role in self.roles)

    def seeds(self, seeds: Sequence[int]) -> Sequence[int]:
        """Those of the seeds that tell something new: on fixed data, the first alone."""
        return seeds if self.seeded else seeds[:1]

    @property
    def title(self) -> str:
        """First paragraph of the body's docstring."""
        return (self.body.__doc__ or "").strip().partition("\n")[0]

    @property
    def keywords(self) -> tuple[str, ...]:
        """What it answers to under -k, as in pytest: its id, and the names around its test."""
        return (self.id, self.body.__name__, *Path(self.body.__code__.co_filename).parts[-2:])


def claim(
    id: str,
    *,
    source: str,
    statement: str,
    hypotheses: tuple[str, ...],
    kind: str,
    roles: tuple[str, ...] = (),
    rivals: tuple[str, ...] = (),
    erratum: Erratum | None = None,
    seeded: bool = True,
) -> Callable[[Body], Callable[..., None]]:
    """Make a test a claim. See `Claim` for the arguments."""

    def decorate(body: Body) -> Callable[..., None]:
        record = Claim(
            id, source, statement, hypotheses, kind, roles, rivals, body, erratum, seeded
        )

        @wraps(body)
        def test(trial: Any) -> None:
            body(trial)

        test.claim = record  # type: ignore[attr-defined]
        seed = Parameter(SEED, Parameter.POSITIONAL_OR_KEYWORD)
        test.__signature__ = Signature([seed])  # type: ignore[attr-defined]
        return test

    return decorate
