"""The only way a claim is run: (claim, contestants, setting) -> record."""

from __future__ import annotations

import logging
import random
import shlex
import time
import traceback
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch

from limitpoint.errors import Inconclusive, NotApplicable, SubjectFailed
from limitpoint.judgement.claim import Claim
from limitpoint.judgement.comparison import Evidence
from limitpoint.judgement.contestant import Contestant
from limitpoint.judgement.erratum import SIDES
from limitpoint.judgement.record import Record
from limitpoint.judgement.registry import all_claims
from limitpoint.judgement.setting import Setting
from limitpoint.judgement.trial import Trial
from limitpoint.judgement.verdict import Verdict
from limitpoint.laws import warm_up
from limitpoint.subjects import COARSE, UNLIMITED, Limits, Subject, parse_subject, told_apart
from limitpoint.theory.limits import Uncertified

#: Where a subject's tracebacks go.
LOG = logging.getLogger("limitpoint.subjects")
#: 2^-24 a step over some thousand steps: calibrated, and it never makes a claim supported.
NEARLY = 2.0**-12


@dataclass(frozen=True)
class Outcome:
    """What came of a claim's body."""

    verdict: Verdict
    reason: str
    evidence: tuple[Evidence, ...]
    ran: dict[str, str]
    seconds: float
    notes: tuple[str, ...]


def evaluate(
    claim: Claim, contestants: Iterable[Contestant] = (), setting: Setting | None = None
) -> Record:
    """Run a claim.

    A contestant's failure is a verdict; the claim's own error is raised.

    Args:
        claim: what is run.
        contestants: who plays, one a role; limitpoint's own rules play the claim's other roles.
        setting: how it is run; the defaults of `Setting` by default.

    Raises:
        AssertionError: the claim gathered no evidence, or is not what it says about its seed.
    """
    playing = {c.role: c for c in contestants if c.role in claim.roles}
    setting = setting or Setting()
    found = _judge(claim, Trial(claim, playing, setting))
    specs = [c.spec for c in playing.values() if c.spec]
    return Record(
        id=claim.id,
        source=claim.source,
        statement=claim.statement,
        kind=claim.kind,
        erratum=claim.erratum,
        roles=claim.roles,
        subject="; ".join(specs) or None,
        seed=setting.seed,
        seeded=claim.seeded,
        engine=setting.engine,
        device=setting.device,
        horizon=setting.horizon,
        ran=found.ran,
        verdict=found.verdict,
        reason=found.reason,
        evidence=found.evidence,
        seconds=round(found.seconds, 3),
        reproduce=reproduce(claim, specs, setting),
        notes=found.notes,
    )


def evaluate_elsewhere(
    claim_id: str, specs: Sequence[str], limits: Limits, setting: Setting
) -> Record:
    """`evaluate` by names alone, which travel to another process."""
    subjects = [parse_subject(spec, limits) for spec in specs]
    return evaluate(all_claims()[claim_id], subjects, setting)


def _judge(claim: Claim, trial: Trial) -> Outcome:
    started = time.perf_counter()
    verdict, reason = Verdict.SUPPORTED, ""
    try:
        with single_thread(), seeded(trial.setting.seed):
            _body(claim, trial)
    except NotApplicable as exc:
        verdict, reason = Verdict.NOT_APPLICABLE, str(exc)
    except (Inconclusive, Uncertified) as exc:
        verdict, reason = Verdict.INCONCLUSIVE, str(exc)
    except SubjectFailed as exc:
        verdict, reason = Verdict.REFUTED, str(exc)
    else:
        _check_complete(claim, trial)
    violated = [e for e in trial.evidence if not e.holds]
    if trial.contestants and violated and not any(e.judges for e in violated):
        worst = min(violated, key=lambda e: e.room)
        verdict, reason = (
            Verdict.INCONCLUSIVE,
            f"the claim's own formula is too coarse here: {worst}",
        )
    elif violated:
        verdict, reason = Verdict.REFUTED, str(min(violated, key=lambda e: e.room))
        if COARSE in trial.notes and all(map(_is_nearly, violated)):
            verdict, reason = Verdict.INCONCLUSIVE, f"precision ran out ({COARSE}): {reason}"
    seconds = time.perf_counter() - started
    return Outcome(verdict, reason, tuple(trial.evidence), trial.ran, seconds, trial.notes)


def _is_nearly(evidence: Evidence) -> bool:
    """Whether both numbers agree to what float32 leaves of a few thousand steps."""
    measured, expected = evidence.measured, evidence.expected
    if measured is None or expected is None:
        return False
    return abs(measured - expected) <= NEARLY * max(abs(measured), abs(expected))


def _body(claim: Claim, trial: Trial) -> None:
    """Run the body; a law, which handles somebody else's class itself, in the class's process."""
    subjects = [c for c in trial.contestants.values() if isinstance(c, Subject)]
    if claim.kind != "law" or not subjects or subjects[0].limits == UNLIMITED:
        claim.body(trial)
        return
    warm_up()
    said = told_apart(lambda: _said(claim, trial), Said, subjects[0].limits)
    if said.trace:
        LOG.info("%s", said.trace)
    trial.evidence += said.evidence
    trial.seeds_read |= said.seeds
    trial.said += said.notes
    if said.ended < len(_ENDS):
        raise _ENDS[said.ended](said.text)


_ENDS = (NotApplicable, Inconclusive, SubjectFailed)


class Said(NamedTuple):
    """How a law's body ended, by its place in `_ENDS`, and what it has gathered until then."""

    ended: int
    text: str
    trace: str
    evidence: list[Evidence]
    seeds: set[int]
    notes: list[str]


def _said(claim: Claim, trial: Trial) -> Said:
    ended, text, trace = len(_ENDS), "", ""
    try:
        claim.body(trial)
    except _ENDS as exc:
        ended, text = next(k for k, end in enumerate(_ENDS) if isinstance(exc, end)), str(exc)
        root: BaseException = exc
        while root.__cause__ is not None:
            root = root.__cause__
        if root is not exc:
            trace = "".join(traceback.format_exception(root)).rstrip()
    return Said(ended, text, trace, trial.evidence, trial.seeds_read, trial.said)


def _check_complete(claim: Claim, trial: Trial) -> None:
    if not any(e.judges or not claim.roles for e in trial.evidence):
        raise AssertionError(f"{claim.id} gathered no evidence: it cannot fail")
    if claim.seeded != bool(trial.seeds_read):
        does = "reads" if trial.seeds_read else "does not read"
        raise AssertionError(f"{claim.id}: seeded is {claim.seeded}, but it {does} its seed")
    for side in SIDES if claim.erratum else ():
        if not any(e.under == side for e in trial.evidence):
            raise AssertionError(f"{claim.id} measures nothing under the {side} statement")


@contextmanager
def single_thread() -> Iterator[None]:
    """One thread for torch: small tensors are faster, and sums have one order on every machine."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Global generators started from a seed: a subject that draws from them does so again."""
    python, legacy = random.getstate(), np.random.get_state()  # noqa: NPY002 - theirs
    with torch.random.fork_rng(devices=[]):
        random.seed(seed)
        np.random.seed(seed % 2**32)  # noqa: NPY002
        torch.manual_seed(seed)
        try:
            yield
        finally:
            random.setstate(python)
            np.random.set_state(legacy)  # noqa: NPY002


def reproduce(claim: Claim, specs: Iterable[str], setting: Setting) -> str:
    """A command to paste: the claim again, with the same subjects, under the same setting."""
    installed = (Path(__file__).parents[1] / "claims").exists()
    where = ["--pyargs", "limitpoint.claims"] if installed else ["claims/"]
    words = ["pytest", *where, "-k", claim.id, "--seeds", str(setting.seed)]
    for name in ("horizon", "engine", "device"):
        value = getattr(setting, name)
        words += [f"--{name}", value] if value != getattr(Setting, name) else []
    words += ["--cifar10", str(setting.cifar10)] if setting.cifar10 else []
    for spec in specs:
        words += ["--subject", spec]
    return shlex.join(words)
