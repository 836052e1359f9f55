"""A claim: a theorem that runs, and the record of what came of it."""

from __future__ import annotations

import copy
import itertools
import random
import re
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial, wraps
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from limitpoint.engines.checkpoints import Checkpoint
from limitpoint.engines.flow import flow
from limitpoint.engines.run import run
from limitpoint.engines.trajectory import Trajectory
from limitpoint.errors import Inconclusive, NotApplicable, SubjectFailed, UsageError
from limitpoint.judgement import evidence as relations
from limitpoint.judgement.erratum import SIDES, Erratum
from limitpoint.judgement.evidence import Evidence, tightest
from limitpoint.optimizers import Rule
from limitpoint.optimizers.roles import ROLES, Factory
from limitpoint.optimizers.schedules import Schedule, as_schedule
from limitpoint.problems.problem import Oracle
from limitpoint.theory.limits import Uncertified

KINDS = (
    "identity",
    "inequality",
    "bound",
    "limit",
    "rate",
    "ordering",
    "erratum",
    "observation",  # a finding of a paper that was not reproduced: what came out, at which scale
)
VERDICTS = ("supported", "refuted", "inconclusive", "not-applicable")
HORIZONS = ("quick", "full")


@dataclass(frozen=True)
class Setting:
    """How claims are run: everything that is not the claim's own.

    Args:
        seed: of the data.
        horizon: "quick" or "full".
        engine: see `limitpoint.run`.
        device: "cpu" or "cuda".
        subjects: who plays a role instead of limitpoint's own rule, by role.
        specs: what the command line calls them, by role.
        timeout: seconds that a foreign subject may take in one run, or None.
        watch: called with (step, steps) while a run goes on.
        cifar10: the user's copy of CIFAR-10, or None for stand-ins.
        checkpoints: folder in which long runs keep their state, or None.
    """

    seed: int = 42
    horizon: str = "quick"
    engine: str = "auto"
    device: str = "cpu"
    subjects: Mapping[str, Factory] = field(default_factory=dict)
    specs: Mapping[str, str] = field(default_factory=dict)
    timeout: float | None = None
    watch: Callable[[int, int], None] | None = None
    cifar10: Path | None = None
    checkpoints: Path | None = None


@dataclass(frozen=True)
class Claim:
    """What a theorem says, and the test that would fail if it did not hold.

    Args:
        id: stable, "paper/short-name".
        source: paper and theorem number.
        statement: one sentence; LaTeX between dollar signs.
        hypotheses: each one named.
        kind: one of `KINDS`.
        roles: the optimizers it is about; the first is the one a rival replaces.
        rivals: names of wrong implementations that it must refute (`limitpoint.rivals`).
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
    body: Callable[[Trial], None]
    erratum: Erratum | None = None
    seeded: bool = True

    def __post_init__(self) -> None:
        if not re.fullmatch(r"[a-z0-9-]+/[a-z0-9-]+", self.id):
            raise UsageError(f"claim id {self.id!r}: must be paper/short-name in lower case")
        if self.kind not in KINDS:
            raise UsageError(f"{self.id}: kind {self.kind!r} is none of {', '.join(KINDS)}")
        if (self.kind == "erratum") != (self.erratum is not None):
            raise UsageError(
                f"{self.id}: the kind erratum goes with an Erratum, no other kind does"
            )
        unknown = [role for role in self.roles if role not in ROLES]
        if unknown:
            raise UsageError(f"{self.id}: unknown role {unknown[0]!r}; roles: {', '.join(ROLES)}")
        if self.rivals and not self.roles:
            raise UsageError(f"{self.id}: rivals need a role to play")

    @property
    def paper(self) -> str:
        """The part of the id before the slash."""
        return self.id.partition("/")[0]

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

    def evaluate(self, setting: Setting) -> Outcome:
        """Run the claim. A subject's failure is a verdict; the claim's own error is raised."""
        trial = Trial(self, setting)
        started = time.perf_counter()
        verdict, reason = "supported", ""
        try:
            with single_thread(), seeded(setting.seed):
                self.body(trial)
        except NotApplicable as exc:
            verdict, reason = "not-applicable", str(exc)
        except (Inconclusive, Uncertified) as exc:
            verdict, reason = "inconclusive", str(exc)
        except SubjectFailed as exc:
            verdict, reason = "refuted", str(exc)
        else:
            self._check_complete(trial)
        violated = [e for e in trial.evidence if not e.holds]
        if violated:
            verdict, reason = "refuted", str(min(violated, key=lambda e: e.slack))
        return Outcome(verdict, reason, tuple(trial.evidence), time.perf_counter() - started)

    def _check_complete(self, trial: Trial) -> None:
        if not trial.evidence:
            raise AssertionError(f"{self.id} gathered no evidence: it cannot fail")
        if self.seeded != bool(trial.seeds_read):
            does = "reads" if trial.seeds_read else "does not read"
            raise AssertionError(f"{self.id}: seeded is {self.seeded}, but it {does} its seed")
        for side in SIDES if self.erratum else ():
            if not any(e.under == side for e in trial.evidence):
                raise AssertionError(f"{self.id} measures nothing under the {side} statement")


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


@dataclass(frozen=True)
class Outcome:
    """Verdict, reason, evidence and seconds of one claim under one setting."""

    verdict: str
    reason: str
    evidence: tuple[Evidence, ...]
    seconds: float

    @property
    def tightest(self) -> Evidence | None:
        """The comparison with the least slack."""
        return tightest(self.evidence)


class Trial:
    """What a claim's body works with: who plays the roles, how far to go, where evidence goes."""

    def __init__(self, claim: Claim, setting: Setting) -> None:
        self.claim = claim
        self.setting = setting
        self.evidence: list[Evidence] = []
        self.side = ""
        self.seeds_read: set[int] = set()  # shared by the views of `printed` and `corrected`
        self._runs = itertools.count()

    @property
    def printed(self) -> Trial:
        """This trial, for what an erratum measures under the printed statement."""
        return self._under("printed")

    @property
    def corrected(self) -> Trial:
        """This trial, for what an erratum measures under the corrected statement."""
        return self._under("corrected")

    def _under(self, side: str) -> Trial:
        same = copy.copy(self)  # one list of evidence for both
        same.side = side
        return same

    @property
    def seed(self) -> int:
        """Seed of the data."""
        self.seeds_read.add(self.setting.seed)
        return self.setting.seed

    def steps(self, quick: int, full: int) -> int:
        """The horizon in steps."""
        return full if self.setting.horizon == "full" else quick

    def optimizer(
        self,
        role: str,
        step_size: Schedule | float = 1.0,
        *,
        log_loss_scale: float = 0.0,
        **settings: Any,
    ) -> Rule:
        """Who plays a role: the subject if there is one, else limitpoint's own rule.

        Args:
            role: one of the claim's roles.
            step_size: the schedule of the theorem.
            log_loss_scale: logarithm of a constant that multiplies the loss for a foreign subject,
                which works in plain float64; only where the theorem does not see such a constant.
            settings: the theorem's other settings, by the names of limitpoint's own rule.

        Raises:
            UsageError: the role is not one that the claim declares.
        """
        if role not in self.claim.roles:
            raise UsageError(f"{self.claim.id} does not declare the role {role!r}")
        schedule = as_schedule(step_size)
        foreign = self.setting.subjects.get(role)
        if foreign is None:
            return ROLES[role](step_size=schedule, **settings)
        outside = {"timeout": self.setting.timeout, "log_loss_scale": log_loss_scale}
        return foreign(step_size=schedule, **outside, **settings)

    def run(self, oracle: Oracle, rule: Rule, steps: int, **options: Any) -> Trajectory:
        """`limitpoint.run` under the setting's engine and device."""
        here = self.setting
        return run(
            oracle, rule, steps,
            engine=here.engine, device=here.device, watch=here.watch,
            checkpoint=self._checkpoint(), **options,
        )  # fmt: skip

    def _checkpoint(self) -> Checkpoint | None:
        """The file of the next run: a body makes the same runs in the same order each time."""
        number = next(self._runs)
        if self.setting.checkpoints is None or self.setting.subjects:
            return None  # somebody else's optimizer has a state of any kind
        name = f"{self.claim.id.replace('/', '-')}-seed{self.setting.seed}-run{number}.pt"
        return Checkpoint(self.setting.checkpoints / name)

    def flow(
        self, oracle: Oracle, rule: Rule, times: Iterable[float], **options: Any
    ) -> Trajectory:
        """`limitpoint.flow`."""
        return flow(oracle, rule, list(times), **options)

    def require(self, hypothesis: str, holds: bool | Tensor) -> None:
        """Stop with the verdict not-applicable, naming the hypothesis, unless it holds."""
        if not bool(holds):
            raise NotApplicable(f"hypothesis not met: {hypothesis}")

    def _add(self, relation: Callable[..., Evidence], *args: Any, **options: Any) -> Evidence:
        found = replace(relation(*args, **options), under=self.side)
        self.evidence.append(found)
        return found

    @property
    def identity(self) -> Callable[..., Evidence]:
        """See `limitpoint.judgement.evidence.identity`."""
        return partial(self._add, relations.identity)

    @property
    def close(self) -> Callable[..., Evidence]:
        """See `limitpoint.judgement.evidence.close`."""
        return partial(self._add, relations.close)

    @property
    def at_most(self) -> Callable[..., Evidence]:
        """See `limitpoint.judgement.evidence.at_most`."""
        return partial(self._add, relations.at_most)

    @property
    def at_least(self) -> Callable[..., Evidence]:
        """See `limitpoint.judgement.evidence.at_least`."""
        return partial(self._add, relations.at_least)

    @property
    def ordering(self) -> Callable[..., Evidence]:
        """See `limitpoint.judgement.evidence.ordering`."""
        return partial(self._add, relations.ordering)

    @property
    def rate(self) -> Callable[..., Evidence]:
        """See `limitpoint.judgement.evidence.rate`."""
        return partial(self._add, relations.rate)


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
) -> Callable[[Callable[[Trial], None]], Callable[..., None]]:
    """Make a test a claim. See `Claim` for the arguments."""

    def decorate(body: Callable[[Trial], None]) -> Callable[..., None]:
        record = Claim(
            id, source, statement, hypotheses, kind, roles, rivals, body, erratum, seeded
        )

        @wraps(body)
        def test(trial: Trial) -> None:
            body(trial)

        test.claim = record  # type: ignore[attr-defined]
        return test

    return decorate
