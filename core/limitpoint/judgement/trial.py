"""A trial: what a claim's body works with."""

from __future__ import annotations

import copy
import itertools
from collections.abc import Callable, Collection, Iterable, Mapping
from functools import partialmethod
from typing import Any

import msgspec
import torch
from torch import Tensor

from limitpoint.engines.checkpoints import Checkpoint
from limitpoint.engines.flow import flow
from limitpoint.engines.run import run
from limitpoint.engines.trajectory import Trajectory
from limitpoint.errors import NotApplicable, UsageError
from limitpoint.judgement import evidence as relations
from limitpoint.judgement.claim import Claim
from limitpoint.judgement.comparison import FORMULA, Evidence
from limitpoint.judgement.contestant import Contestant, house
from limitpoint.judgement.setting import Setting
from limitpoint.laws import ROUNDING, ROUNDING_BECAUSE, Implementation, field
from limitpoint.optimizers import Rule
from limitpoint.optimizers.schedules import Schedule, as_schedule
from limitpoint.problems.problem import Oracle
from limitpoint.subjects import Subject


class Trial:
    """What a claim's body works with: who plays the roles, how far to go, where evidence goes.

    Args:
        claim: whose body it is.
        contestants: who plays a role instead of limitpoint's own rule, by role.
        setting: how it is run.
    """

    def __init__(
        self, claim: Claim, contestants: Mapping[str, Contestant], setting: Setting
    ) -> None:
        self.claim, self.contestants, self.setting = claim, contestants, setting
        self.evidence: list[Evidence] = []
        self.ran: dict[str, str] = {}
        self._rules: list[Rule] = []
        self.said: list[str] = []
        self.side = ""
        self._runs = itertools.count()
        self.seeds_read: set[int] = set()  # shared by the views of `printed` and `corrected`

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

    @property
    def engine(self) -> str:
        """The engine asked for; see `limitpoint.run`."""
        return self.setting.engine

    def steps(self, quick: int, full: int) -> int:
        """The horizon in steps."""
        return full if self.setting.horizon == "full" else quick

    def optimizer(
        self,
        role: str,
        step_size: Schedule | Tensor | float = 1.0,
        *,
        free: Collection[str] = (),
        **settings: Any,
    ) -> Rule:
        """Who plays a role: the contestant if there is one, else limitpoint's own rule.

        Args:
            role: one of the claim's roles.
            step_size: the schedule of the theorem.
            free: the settings that a user may fix otherwise: the claim asks `Rule.settings` what
                they are.
            settings: the theorem's other settings, by the names of limitpoint's own rule; no weight
                decay is one of them, unless the claim says how much.

        Raises:
            NotApplicable: the user fixed a setting that is not free to another value.
            UsageError: the role is not one that the claim declares.
        """
        if role not in self.claim.roles:
            raise UsageError(f"{self.claim.id} does not declare the role {role!r}")
        contestant = self.contestants.get(role) or house(role)
        rule = contestant.rule(as_schedule(step_size), **settings)
        theirs = rule.settings
        for name, ours in {"weight_decay": 0.0, **settings}.items():
            if name in theirs and name not in free and not _equal(theirs[name], ours):
                raise NotApplicable(
                    f"hypothesis not met: {name} = {ours} (the subject was given {theirs[name]})"
                )
        self._rules.append(rule)
        return rule

    @property
    def notes(self) -> tuple[str, ...]:
        """What is to be said of how the contestants were run."""
        own = (note for rule in self._rules for note in rule.notes)
        return tuple(dict.fromkeys([*self.said, *own]))

    def implementation(self, usual: Callable[..., Any], **options: Any) -> Implementation:
        """Who plays a law's one role, as its author wrote it: the contestant, else a usual class.

        Args:
            usual: a class that keeps the law, for a trial without a contestant.
            options: its arguments.

        Raises:
            NotApplicable: the contestant is a rule, no optimizer of torch's kind.
            Inconclusive: it could not take a step as it is.
        """
        (role,) = self.claim.roles
        contestant = self.contestants.get(role)
        if contestant is None:
            return Implementation.of(usual, options)
        if not isinstance(contestant, Subject):
            raise NotApplicable("hypothesis not met: an optimizer of torch's kind (this is a rule)")
        problem = field(self.setting.seed)
        found = Implementation.of(contestant.constructor, contestant.kwargs).check(problem)
        shorter = found.within_numbers(problem)
        if shorter is not found:
            self.said.append(
                f"laws: lr = {shorter.step_size:g}; a dozen steps of {found.step_size:g} overflow"
            )
        return shorter

    def run(self, oracle: Oracle, rule: Rule, steps: int, **options: Any) -> Trajectory:
        """`limitpoint.run` under the setting's engine and device."""
        here = self.setting
        return run(
            oracle, rule, steps,
            engine=here.engine, device=here.device, watch=here.watch, report=self._note,
            checkpoint=self._checkpoint(), **options,
        )  # fmt: skip

    def _checkpoint(self) -> Checkpoint | None:
        """The file of the next run: a body makes the same runs in the same order each time."""
        number, folder = next(self._runs), self.setting.checkpoints
        if folder is None or self.contestants:
            return None  # somebody else's optimizer has a state of any kind
        name = f"{self.claim.id.replace('/', '-')}-seed{self.setting.seed}-run{number}.pt"
        return Checkpoint(folder / name)

    def _note(self, engine: str, reason: str) -> None:
        """Keep which engine ran, and the first reason why it was not a compiled one."""
        self.ran.setdefault(engine, reason)

    def flow(
        self, oracle: Oracle, rule: Rule, times: Iterable[float], **options: Any
    ) -> Trajectory:
        """`limitpoint.flow` under the setting's engine."""
        here = self.setting
        return flow(oracle, rule, list(times), engine=here.engine, report=self._note, **options)

    def require(self, hypothesis: str, holds: bool | Tensor) -> None:
        """Stop with the verdict not-applicable, naming the hypothesis, unless it holds."""
        if not bool(holds):
            raise NotApplicable(f"hypothesis not met: {hypothesis}")

    def _add(self, relation: Callable[..., Evidence], *args: Any, **options: Any) -> Evidence:
        found = msgspec.structs.replace(relation(*args, **options), under=self.side)
        if found.about not in ("", FORMULA, *self.claim.roles):
            raise UsageError(f"{self.claim.id} does not declare the role {found.about!r}")
        self.evidence.append(found)
        return found

    # What is compared is kept; each is the relation of that name in `limitpoint.evidence`.
    identity = partialmethod(_add, relations.identity)
    close = partialmethod(_add, relations.close)
    at_most = partialmethod(_add, relations.at_most)
    at_least = partialmethod(_add, relations.at_least)
    ordering = partialmethod(_add, relations.ordering)
    rate = partialmethod(_add, relations.rate)

    def same(self, quantity: str, measured: Tensor, expected: Tensor) -> Evidence:
        """An identity of two trainings of a law, (step, entry) or (entry,), to rounding."""
        axes = ("step", "entry")[-measured.ndim :] if measured.ndim else ()
        return self.identity(quantity, measured, expected, ROUNDING, ROUNDING_BECAUSE, along=axes)


def _equal(theirs: Any, ours: Any) -> bool:
    """Whether two settings are one: numbers, tensors that broadcast over a batch, or schedules."""
    if isinstance(theirs, Tensor | float | int) and isinstance(ours, Tensor | float | int):
        return bool((torch.as_tensor(theirs) == torch.as_tensor(ours)).all())
    return bool(theirs == ours)
