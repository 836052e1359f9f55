"""Somebody's optimizer against the claims of a role, from Python."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import pytest

from limitpoint.errors import UsageError
from limitpoint.judgement.claim import Claim, Setting
from limitpoint.judgement.registry import all_claims
from limitpoint.ledger import make_record
from limitpoint.optimizers.roles import ROLES
from limitpoint.subjects import MEMORY, TIMEOUT, Subject

Record = dict[str, Any]


def setting_for(
    subjects: Iterable[Subject], *, memory: float | None = None, **options: Any
) -> Setting:
    """A setting with these subjects in their roles.

    Args:
        subjects: one a role.
        memory: gigabytes that the process may gain while a subject is at work, or None.
        options: those of `Setting`.
    """
    subjects = list(subjects)
    return Setting(
        subjects={subject.role: partial(subject.factory, memory=memory) for subject in subjects},
        specs={subject.role: subject.spec for subject in subjects},
        **options,
    )


def claims_about(roles: Iterable[str]) -> list[Claim]:
    """The claims that have one of the roles.

    Raises:
        UsageError: a role that is not there, or that no claim is about.
    """
    found: dict[str, Claim] = {}
    for role in roles:
        if role not in ROLES:
            raise UsageError(f"unknown role {role!r}; one of {', '.join(ROLES)}")
        about = {claim.id: claim for claim in all_claims().values() if claim.about([role])}
        if not about:
            raise UsageError(f"no claim is about the role {role!r}")
        found |= about
    return list(found.values())


def check(
    optimizer: Callable[..., Any],
    role: str,
    *,
    seeds: Sequence[int] = (42,),
    horizon: str = "quick",
    timeout: float | None = TIMEOUT,
    memory: float | None = MEMORY,
    **kwargs: Any,
) -> list[Record]:
    """Run every claim of a role against an optimizer.

    Args:
        optimizer: a `torch.optim.Optimizer` class, any callable (params, **kwargs) that returns an
            object with `.step()`, or a limitpoint `Rule`.
        role: whose place it takes, such as "adam" (`limitpoint list`).
        seeds: of the data.
        horizon: "quick" or "full".
        timeout: seconds that the optimizer may take in one run, or None.
        memory: gigabytes that the process may gain in one run, or None.
        kwargs: arguments of the optimizer; they win over a claim's settings.

    Returns:
        The ledger's records, one a claim and seed.

    Raises:
        UsageError: an unknown role, or arguments that the optimizer does not take.
    """
    claims = claims_about([role])
    subject = Subject.from_object(role, optimizer, **kwargs)
    return [
        make_record(claim, setting, claim.evaluate(setting))
        for claim in claims
        for setting in _settings([subject], claim.seeds(seeds), horizon, timeout, memory)
    ]


def _settings(
    subjects: Sequence[Subject],
    seeds: Iterable[int],
    horizon: str,
    timeout: float | None,
    memory: float | None,
) -> Iterator[Setting]:
    for seed in seeds:
        yield setting_for(subjects, seed=seed, horizon=horizon, timeout=timeout, memory=memory)


@dataclass(frozen=True)
class Check:
    """One claim waiting to be run against one optimizer."""

    claim: Claim
    setting: Setting

    def __call__(self) -> Record:
        """Run it: fail the test if refuted or inconclusive, skip it if not applicable."""
        __tracebackhide__ = True
        record = make_record(self.claim, self.setting, self.claim.evaluate(self.setting))
        if record["verdict"] == "not-applicable":
            pytest.skip(record["reason"])
        if record["verdict"] != "supported":
            reason = f"{record['id']} is {record['verdict']}: {record['reason']}"
            pytest.fail(f"{reason}\n  {record['reproduce']}", pytrace=False)
        return record


def parametrize_claims(
    optimizer: Callable[..., Any],
    role: str,
    *,
    seeds: Sequence[int] = (42,),
    horizon: str = "quick",
    timeout: float | None = TIMEOUT,
    memory: float | None = MEMORY,
    **kwargs: Any,
) -> pytest.MarkDecorator:
    """Decorate a test of your own suite: it receives each claim of the role as `check`.

    The arguments are those of `limitpoint.check`. Example::

        @limitpoint.parametrize_claims(MyAdam, role="adam", lr=0.01)
        def test_my_adam(check):
            check()
    """
    claims = claims_about([role])
    subject = Subject.from_object(role, optimizer, **kwargs)
    cases = [
        pytest.param(Check(claim, setting), id=f"{claim.id}-seed{setting.seed}")
        for claim in claims
        for setting in _settings([subject], claim.seeds(seeds), horizon, timeout, memory)
    ]
    return pytest.mark.parametrize("check", cases)
