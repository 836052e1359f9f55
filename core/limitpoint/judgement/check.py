"""Somebody's optimizer against the claims of a role, from Python."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import pytest

from limitpoint.judgement.claim import Claim
from limitpoint.judgement.contestant import Contestant
from limitpoint.judgement.evaluate import evaluate
from limitpoint.judgement.record import Record
from limitpoint.judgement.registry import claims_about
from limitpoint.judgement.setting import Setting
from limitpoint.judgement.verdict import Verdict
from limitpoint.subjects import USUAL, Limits, Subject


@dataclass(frozen=True)
class Check:
    """One claim waiting to be run against one optimizer."""

    claim: Claim
    contestant: Contestant
    setting: Setting

    def __call__(self) -> Record:
        """Run it: fail the test if refuted or inconclusive, skip it if not applicable."""
        __tracebackhide__ = True
        record = evaluate(self.claim, [self.contestant], self.setting)
        conclude(record)
        return record


def checks(
    optimizer: Callable[..., Any],
    role: str,
    *,
    seeds: Sequence[int] = (42,),
    horizon: str = "quick",
    timeout: float | None = USUAL.timeout,
    memory: float | None = USUAL.memory,
    **kwargs: Any,
) -> list[Check]:
    """The claims of a role, each waiting to be run against an optimizer; see `check`."""
    limits = Limits(timeout, memory)
    claims, subject = claims_about([role]), Subject.from_object(role, optimizer, limits, **kwargs)
    return [
        Check(claim, subject, Setting(seed=seed, horizon=horizon))
        for claim in claims
        for seed in claim.seeds(seeds)
    ]


def check(optimizer: Callable[..., Any], role: str, **options: Any) -> list[Record]:
    """Run every claim of a role against an optimizer.

    Args:
        optimizer: a `torch.optim.Optimizer` class, any callable (params, **kwargs) that returns an
            object with `.step()`, or a limitpoint `Rule`.
        role: whose place it takes, such as "adam" (`limitpoint check --help`).
        options: `seeds` of the data, (42,) by default; `horizon`, "quick" or "full"; `timeout` and
            `memory`, the seconds and gigabytes that it may take in one run, or None. All others are
            arguments of the optimizer; they win over a claim's settings.

    Returns:
        The ledger's records, one a claim and seed.

    Raises:
        UsageError: an unknown role, or arguments that the optimizer does not take.
    """
    waiting = checks(optimizer, role, **options)
    return [evaluate(one.claim, [one.contestant], one.setting) for one in waiting]


def parametrize_claims(
    optimizer: Callable[..., Any], role: str, **options: Any
) -> pytest.MarkDecorator:
    """Decorate a test of your own suite: it receives each claim of the role as `check`.

    The arguments are those of `limitpoint.check`. Example::

        @limitpoint.parametrize_claims(MyAdam, role="adam", lr=0.01)
        def test_my_adam(check):
            check()
    """
    cases = [
        pytest.param(one, id=f"{one.claim.id}-seed{one.setting.seed}")
        for one in checks(optimizer, role, **options)
    ]
    return pytest.mark.parametrize("check", cases)


def conclude(
    record: Record, *, expected: str | None = None, allow_inconclusive: bool = False
) -> None:
    """End a test as the verdict says: return, skip, xfail or fail.

    Args:
        record: of the claim.
        expected: why the claim is known to fail, or None if it is not.
        allow_inconclusive: skip an inconclusive claim.
    """
    __tracebackhide__ = True
    verdict = record.verdict
    if verdict.outcome == "skipped":
        pytest.skip(record.reason)
    if expected is not None and not verdict.fails:
        pytest.fail(f"{record.id} passes although expected to fail: {expected}", pytrace=False)
    if expected is not None:
        pytest.xfail(f"{record.reason} (expected: {expected})")
    if verdict is Verdict.INCONCLUSIVE and allow_inconclusive:
        pytest.skip(f"inconclusive: {record.reason}")
    if verdict.fails:
        text = f"{record.id} is {verdict}: {record.reason}\n  {record.reproduce}"
        pytest.fail(text, pytrace=False)
