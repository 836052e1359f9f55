"""An optimizer as somebody wrote it: a class or factory, with the options that they chose."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from dataclasses import field as default
from functools import cache, cached_property
from inspect import Parameter
from itertools import product
from typing import Any

import torch

from limitpoint.errors import Inconclusive, NotApplicable, SubjectFailed
from limitpoint.laws.field import Field, field
from limitpoint.laws.training import FORMS, Groups, Objective, Training
from limitpoint.optimizers import Rule
from limitpoint.subjects import Accepted, Transformation, form_a_group_of_one

#: Names of paths, and of options that the laws read: whoever has no others says that it is one of
#: the rules that everybody knows.
COMMON = (
    "lr", "betas", "eps", "momentum", "dampening", "nesterov", "weight_decay", "maximize",
    "decoupled_weight_decay", "foreach", "fused", "capturable", "differentiable", "rho", "adaptive",
    "base_optimizer", "amsgrad", "decoupled", "decoupled_decay", "weight_decouple", "alpha",
    "centered", "correct_bias", "bias_correction", "momentum_decay",
    "beta", "beta1", "beta2",
)  # fmt: skip
STEP_SIZE = 0.01
#: From here on a default is no step size but a factor on one.
LONG = 0.5
#: Gradients a step.
MOST = 2
#: From here on iterates are on their way to infinity, some steps later in float64 than in float32.
FAR = 1e6
#: A weight decay above 0 that no weight feels.
NO_DECAY = 1e-300


@dataclass(frozen=True, eq=False)
class Implementation:
    """A class or factory (params, **options) -> optimizer.

    Args:
        constructor: such as a `torch.optim.Optimizer` class.
        options: its arguments.
        form: how it is handed its parameters, a key of `FORMS`.
        insists: its step wants a closure, though its signature lets one leave it out.
        graphed: it wants gradients with a graph, for it takes their derivatives.
    """

    constructor: Callable[..., Any]
    options: Mapping[str, Any] = default(default_factory=dict)
    form: str = ""
    insists: bool = False
    graphed: bool = False

    @classmethod
    def of(
        cls,
        constructor: Callable[..., Any],
        options: Mapping[str, Any],
    ) -> Implementation:
        """What a user has: a step size of .01 and plain SGD under SAM, unless they say otherwise.

        It descends: where `maximize` matters, a law switches it on.

        Raises:
            NotApplicable: it is a rule, not an optimizer of torch's kind.
            Inconclusive: it could not take a step as it is.
        """
        if isinstance(constructor, type) and issubclass(constructor, Rule):
            raise NotApplicable("hypothesis not met: an optimizer of torch's kind (this is a rule)")
        takes = Accepted.by(constructor, skip=1)
        usual: dict[str, Any] = {}
        if "base_optimizer" in takes.required():
            usual["base_optimizer"] = torch.optim.SGD
        if "lr" in takes.defaults or takes.anything:
            usual["lr"] = STEP_SIZE
        downhill = {"maximize": False} if "maximize" in options else {}
        return cls(constructor, {**usual, **options, **downhill})

    @property
    def name(self) -> str:
        """Of the class."""
        return getattr(self.constructor, "__name__", type(self.constructor).__name__)

    @property
    def defaults(self) -> dict[str, Any]:
        """Its named arguments with what they are here; without those that have no value."""
        takes = self._accepted.defaults
        known = {name: value for name, value in takes.items() if value is not Parameter.empty}
        return {**known, **self.options}

    @property
    def _accepted(self) -> Accepted:
        takes = Accepted.by(self.constructor, skip=1)
        base = self.options.get("base_optimizer", takes.defaults.get("base_optimizer"))
        if takes.anything and callable(base):
            return takes.joined(Accepted.by(base, skip=1))
        return takes

    def takes(self, *names: str) -> bool:
        """Whether it has arguments of these names."""
        return all(name in self._accepted.defaults for name in names)

    def declares(self, name: str) -> bool:
        """Whether it is an argument of its own, not one that it hands on to a base."""
        return name in Accepted.by(self.constructor, skip=1).defaults

    @property
    def is_common(self) -> bool:
        """Whether it has no options but those of the rules that everybody knows."""
        return self.has_only(COMMON)

    def has_only(self, names: Iterable[str]) -> bool:
        """Whether it declares no options but these."""
        return set(Accepted.by(self.constructor, skip=1).defaults) <= set(names)

    @property
    def draws(self) -> bool:
        """Whether it says that it draws at random."""
        return self.takes("seed") or self.takes("generator")

    @property
    def is_pure(self) -> bool:
        """Whether it makes a gradient transformation of optax's: its state has no options."""
        return isinstance(self.constructor, Transformation)

    @property
    def step_size(self) -> float:
        """Its lr.

        Raises:
            NotApplicable: it is None, as where a class has step sizes of its own.
        """
        lr = self.defaults.get("lr", STEP_SIZE)
        if lr is None:
            raise NotApplicable("hypothesis not met: an lr that is a number (it is None)")
        return float(lr)

    @property
    def awake(self) -> Implementation | None:
        """With the step size that is its default, if that is far longer.

        A default of 1 multiplies what the class estimates of the distance to go, as Prodigy does,
        which at a hundredth may never move. Whoever chose a step size is asked at that alone.
        """
        own = self._accepted.defaults.get("lr")
        if self.options.get("lr") != STEP_SIZE or not isinstance(own, float) or own < LONG:
            return None
        return self.having(lr=own)

    @cached_property
    def plain(self) -> dict[str, Any]:
        """What switches its weight decay off: 0, or as good as that where 0 is refused."""
        now = self.defaults.get("weight_decay")
        if not self.takes("weight_decay") or now is None:
            return {}
        for decay in (0.0, NO_DECAY):
            if now == decay or self.having(weight_decay=decay).accepts(field(0)):
                return {"weight_decay": decay}
        return {}

    def having(self, **options: Any) -> Implementation:
        """The same with other options."""
        return replace(self, options={**self.options, **options})

    def train(self, problem: Objective, groups: Groups = None, **how: Any) -> Training:
        """A training that has not begun; see `Training`.

        Raises:
            SubjectFailed: the constructor raised.
        """
        # Options such as a list of betas are the user's own, and stay as they are.
        options = copy.copy(dict(self.options))
        how = {"insists": self.insists, "graphed": self.graphed, **how}
        return Training(self.constructor, options, problem, groups, form=FORMS[self.form], **how)

    def follow(
        self, problem: Objective, groups: Groups = None, steps: int | None = None, **how: Any
    ) -> torch.Tensor:
        """The iterates of a whole training, float64 (steps + 1, entries)."""
        training = self.train(problem, groups, **how)
        return training.go(problem.steps if steps is None else steps).path

    def tried(self, problem: Objective, groups: Groups = None, **how: Any) -> torch.Tensor | None:
        """The iterates of a whole training; None where it does not take it, or loses numbers."""
        try:
            found = self.follow(problem, groups, **how)
        except SubjectFailed:
            return None
        return found if bool(found.isfinite().all()) else None

    def accepts(
        self, problem: Objective, groups: Groups = None, steps: int = 1, **how: Any
    ) -> bool:
        """Whether it takes these options, tensors and groups: its constructor and some steps."""
        try:
            self.train(problem, groups, **how).go(steps)
        except SubjectFailed:
            return False
        return True

    def check(self, problem: Field) -> Implementation:
        """See whether laws are about it: it takes a step, from one gradient or two.

        Returns:
            Itself, handed its parameters in the first form in which it does; where nothing else
            goes a closure too, if one may be given, gradients with a graph, or no lr, if that is
            None as a rule.

        Raises:
            Inconclusive: it could not take a step on this problem; with what it raised.
            NotApplicable: it searches, and wants the same loss each time.
        """
        failure = None
        # The plain one again, should it have missed a process group.
        given = [self.options]
        unset = self._accepted.defaults.get("lr", STEP_SIZE) is None
        if unset and self.options.get("lr") == STEP_SIZE:  # whoever chose another means it
            given.append({name: x for name, x in self.options.items() if name != "lr"})
        ways = product(given, (False, True), (False, True), ("", *FORMS))
        for options, graphed, insists, form in ways:
            found = replace(self, options=options, form=form, insists=insists, graphed=graphed)
            try:
                training = found.train(problem).go(1)
            except SubjectFailed as exc:
                failure = failure or exc
                if "process group" in str(exc).lower():
                    form_a_group_of_one()
                continue
            if training.calls > MOST:
                raise NotApplicable(
                    "hypothesis not met: a step from one gradient or two "
                    f"(it took {training.calls})"
                )
            return found
        raise Inconclusive(f"could not be run as it is: it {failure}") from failure

    def within_numbers(self, problem: Field) -> Implementation:
        """Itself; with the usual step size where a dozen of its own leave for infinity, and of that
        do not.

        The laws hold at any step size, and the field is a quartic.
        """
        usual, path = self.having(lr=STEP_SIZE), self.tried(problem)
        far = path is None or bool(path.abs().max() > FAR)
        return usual if far and self.takes("lr") and usual.tried(problem) is not None else self


@cache
def warm_up() -> None:
    """What torch imports at a process's first step, for a second: no fork has to do it again."""
    for kind in (torch.optim.SGD, torch.optim.AdamW):
        Implementation.of(kind, {}).follow(field(0), steps=1)
