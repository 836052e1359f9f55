"""What somebody's optimizer is: measured, and held against limitpoint's own rule of each role."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields, replace
from functools import cache, cached_property
from typing import Any

import torch
from torch import Tensor

from limitpoint.engines.run import run
from limitpoint.errors import Inconclusive, NotApplicable, SubjectFailed, UsageError
from limitpoint.judgement.contestant import Contestant, house
from limitpoint.judgement.registry import claims_of
from limitpoint.judgement.roles import ROLES
from limitpoint.laws import Implementation, Structure, field, first_steps, near, warm_up
from limitpoint.optimizers import Rule
from limitpoint.optimizers.schedules import StepSize
from limitpoint.problems.problem import Objective
from limitpoint.problems.randomness import generator
from limitpoint.rivals import RIVALS
from limitpoint.rivals.matrix import roles_of
from limitpoint.subjects import Subject, told_apart

STEPS = 8
STEP = 0.4
#: Steps agree to rounding, amplified by a few oscillations.
EXACT = 1e-6
#: A rule that is another one on a whole batch, and one that is a placeholder.
LEFT_OUT = ("optimizer", "n-sam", "m-sam", "1-sam", "deep-sam", "nsd")
#: Settings with which a role's rule is told from others, where the optimizer has them; an epsilon
#: beside a norm is as good as none.
TELLING = {
    "adam": {"epsilon": 0.1},
    "adamw": {"epsilon": 0.1, "weight_decay": 0.1},
    "gd-decay": {"weight_decay": 0.1},
    "rmsprop": {"epsilon": 0.1, "alpha": 0.9},
    "momentum": {"momentum": 0.9},
    "momentum-ema": {"momentum": 0.9},
    "nesterov": {"momentum": 0.9},
    "dnsam": {"rho": 0.3, "epsilon": 1e-12},
    "usam": {"rho": 0.3},
    "sam-l2": {"rho": 0.3, "epsilon": 1e-12},
    "sam-linf": {"rho": 0.3},
}
#: A rule is told from one that it is at a constant step size alone.
CONSTANT, CHANGING = StepSize(STEP), StepSize(STEP, 0.5)
#: A loss is so many times as large, and then 16 times as large as that.
SIZES = (1 / 256, 1.0, 64.0)
#: An epsilon of 1e-8 is felt by as much, beside gradients of 1/256.
FELT = 1e-5
#: A rule whose steps differ by as much is no near one.
NEAR = 1.0
#: No step is as short.
STILL = 1e-12
FAILURES = (SubjectFailed, Inconclusive, NotApplicable, UsageError, TypeError, ValueError)


@dataclass(frozen=True)
class Fit:
    """An optimizer in a role.

    Args:
        role: whose place it takes.
        distance: of the first steps from the role's own rule's, over the largest of these.
        how: with which of the role's settings, or as what else it steps exactly; "" for neither.
        against: what was measured that the role's rule is not, whatever these steps are; or "".
    """

    role: str
    distance: float
    how: str = ""
    against: str = ""

    @property
    def fits(self) -> bool:
        """Whether it takes the steps of the role's own rule."""
        return self.distance <= EXACT and not self.against

    def __str__(self) -> str:
        if self.fits:
            return f"{self.role}: yes{f', {self.how}' if self.how else ''} ({ROLES[self.role]})"
        why = self.against or self.how or f"its steps differ by {self.distance:.2g} of the largest"
        return f"{self.role}: no: {why}"


@dataclass(frozen=True)
class Recognition:
    """What an optimizer is.

    Args:
        facts: what was measured, by name.
        fits: every role, the nearest first.
    """

    facts: Mapping[str, str]
    fits: tuple[Fit, ...]

    @property
    def roles(self) -> tuple[str, ...]:
        """The roles that fit."""
        return tuple(fit.role for fit in self.fits if fit.fits)

    def lines(self, misses: int = 4) -> Iterator[str]:
        """For a person: the facts, the roles that fit, and the nearest of those that do not."""
        for name, fact in self.facts.items():
            yield f"{name}: {fact}"
        fitting = [fit for fit in self.fits if fit.fits]
        others = [fit for fit in self.fits if not fit.fits]
        yield from (f"role {fit}" for fit in fitting)
        others = [fit for fit in others if fit.against or fit.how or fit.distance < NEAR]
        told = sorted(others, key=lambda fit: (not (fit.against or fit.how), fit.distance))
        yield from (f"role {fit}" for fit in told[:misses])


def recognise(subject: Subject) -> Recognition:
    """Measure an optimizer, and hold its first steps against each role's own rule and rivals.

    Args:
        subject: in any role, as "optimizer".

    Raises:
        SubjectFailed, Inconclusive: it could not take a step.
        NotApplicable: it is a rule, or searches along a line.
    """
    problem = field(0)
    implementation = Implementation.of(subject.constructor, subject.kwargs).check(problem)
    implementation = implementation.within_numbers(problem)
    structure = Structure(implementation.having(**implementation.plain))
    return Recognition(_facts(structure), tuple(_fits(subject, structure)))


def recognise_apart(subject: Subject) -> Recognition:
    """The same in a process of its own."""
    warm_up()
    claims_of()  # imported here, once, rather than in each process
    return told_apart(lambda: recognise(subject), Recognition, subject.limits)


def _facts(structure: Structure) -> dict[str, str]:
    implementation = structure.implementation
    spread = {
        "entrywise": "entrywise: each entry moves by its own gradients",
        "blockwise": "blockwise: a tensor moves by its own gradients",
        "global": "global: a step depends on all tensors",
        "mixed": "mixed: a step depends on all tensors, and on how they are cut",
    }
    form = _first_step(implementation)
    if structure.stochastic:  # what is drawn hides on what else a step depends
        return {
            "randomness": "drawn, so that structure, memory and norm are not told",
            "second gradient in a step": "yes" if structure.ascends else "no",
            **_called(implementation),
        }
    return {
        "structure": spread[structure.kind],
        "memory": "keeps gradients of steps before" if structure.remembers else "none",
        "scale of the loss": _scale(structure),
        "rotations": "turn with the step" if structure.turns else "not alike",
        "second gradient in a step": "yes" if structure.ascends else "no",
        "geometry": _geometry(structure),
        **({"first step, of Adam's kin": form} if form else {}),
        **_called(implementation),
    }


def _called(implementation: Implementation) -> dict[str, str]:
    return {"handed over": implementation.form} if implementation.form else {}


def _scale(structure: Structure) -> str:
    """How steps grow with gradients of the usual size, with small and with huge ones."""
    kinds = [_degree(structure.degrees_at(size)) for size in SIZES]
    if "" in (kinds[0], kinds[-1]):
        return "of its own"
    if kinds[0] != kinds[-1]:
        return f"{kinds[0]} where it is small, {kinds[-1]} where it is large: it clips"
    return kinds[1] or "of its own"


def _degree(degrees: Tensor) -> str:
    known = {0.0: "not felt", 1.0: "proportional"}
    return next((name for d, name in known.items() if bool(((degrees - d).abs() < FELT).all())), "")


def _first_step(implementation: Implementation) -> str:
    """The form of the first step where epsilon is as large as the gradient; "" for none known."""
    one, eps = implementation.having(eps=1.0), implementation.defaults.get("eps")
    betas = implementation.defaults.get("betas", (0.0, 0.0))
    sized = implementation.defaults.get("lr", STEP) is not None
    if not (isinstance(eps, float) and len(betas) == 2 and sized and one.accepts(field(0))):
        return ""
    g, step = Structure(one).first_step()
    forms = first_steps(one.defaults).items()
    return next((name for name, form in forms if near(-step, form(g, 1.0), EXACT)), "")


def _geometry(structure: Structure) -> str:
    if structure.spectral:
        return "spectral norm: steps have equal singular values"
    if structure.signs:
        return "max-norm: every entry moves as far"
    sizes = structure.implementation.follow(field(0).straight()).diff(dim=0).abs()
    size = next((one for one in sizes if bool(one.max() > STILL)), None)
    if size is not None and bool(size.max() - size.min() <= EXACT * size.max()):
        return "max-norm at first: the first step's entries are of one length"
    return "2-norm" if structure.turns else "of no single norm that is looked for"


def _fits(subject: Subject, structure: Structure) -> list[Fit]:
    # The step size says nothing of the rule, and of two paths both have to have the same.
    subject = replace(subject, kwargs={k: v for k, v in subject.kwargs.items() if k != "lr"})
    found = [fit for role in ROLES if role not in LEFT_OUT for fit in _fit(subject, role)]
    found = [_contradicted(fit, structure) for fit in found]
    return sorted(found, key=lambda fit: fit.distance)


def _contradicted(fit: Fit, structure: Structure) -> Fit:
    """By what these few steps of one tensor did not feel: a memory, or what else it depends on."""
    if not fit.fits or structure.stochastic:
        return fit
    stateless = house(fit.role).rule(CONSTANT).init(*_problem()) is None
    if stateless and structure.remembers:
        return replace(fit, against="it keeps gradients of steps before")
    spread = _spread(fit.role)
    if spread == "entrywise" and not structure.entrywise:
        return replace(fit, against="an entry's step depends on others (see its structure)")
    if spread == "of all" and structure.apart:
        return replace(fit, against="it takes the norm of each tensor by itself")
    return fit


class _Quadratic(Objective):
    """A function of a matrix."""

    @property
    def ndim(self) -> int:
        return 2


@cache
def _problem(begin: int = 0, end: int = 4, shift: int = 0) -> tuple[Objective, Tensor]:
    """A quadratic in a matrix, around whose minimum steps of `STEP` overshoot, and a start.

    Args:
        begin, end: of the rows that there are.
        shift: entries are so many places further on.
    """
    numbers = generator("recognition", 0)
    start, rest = (torch.from_numpy(numbers.uniform(-1, 1, (4, 3))) for _ in range(2))
    bend = torch.from_numpy(numbers.uniform(0.5, 3, (4, 3)))
    start, rest, bend = (x[begin:end].roll(shift) for x in (start, rest, bend))
    quadratic = _Quadratic(
        "quadratic",
        lambda w: (bend * (w - rest) ** 2).sum((-2, -1)) / 2,
        lambda w: bend * (w - rest),
    )
    return quadratic, start


@cache
def _spread(role: str) -> str:
    """What a step of the role's own rule depends on: "entrywise", "of all", or "" for neither.

    Measured: rows by themselves move as in the whole, or entries that change places with others.
    """
    try:
        rule = house(role).rule(CONSTANT, **_known(house(role), TELLING.get(role, {})))
        whole, row, moved = (
            _path(rule, *_problem(*where)) for where in ((0, 4), (1, 3), (0, 4, 1))
        )
    except FAILURES:
        return ""
    if near(row, whole[:, 1:3], EXACT):
        return "entrywise"
    return "of all" if near(moved, whole.flatten(1).roll(1, 1).view_as(whole), EXACT) else ""


@dataclass(frozen=True, eq=False)
class _Steps:
    """A subject in a role, and the steps that it takes.

    Args:
        subject: in the role.
        extra: settings with which the role is told from others.
    """

    subject: Subject
    extra: Mapping[str, Any]

    @cached_property
    def rule(self) -> Rule:
        """At a constant step size."""
        return self.subject.rule(CONSTANT, **self.extra)

    @cached_property
    def path(self) -> Tensor:
        """At a constant step size."""
        return _path(self.rule, *_problem())

    @cached_property
    def changing(self) -> Tensor | None:
        """At a step size that changes; None for who does not take it."""
        try:
            return _path(self.subject.rule(CHANGING, **self.extra), *_problem())
        except FAILURES:
            return None

    def far(self, contestant: Contestant, more: Mapping[str, Any]) -> tuple[float, float]:
        """How far it is from another one's steps: at a constant step size, and at any."""
        settings = _known(contestant, {**self.rule.settings, **more})
        distance = _distance(self.path, contestant, CONSTANT, settings)
        if distance > EXACT or self.changing is None:
            return distance, distance
        return distance, max(distance, _distance(self.changing, contestant, CHANGING, settings))


def _fit(subject: Subject, role: str) -> Iterator[Fit]:
    steps = _Steps(replace(subject, role=role), TELLING.get(role, {}))
    try:
        own = [(*steps.far(house(role), more), how) for how, more in _variants(role)]
    except FAILURES:
        return
    distance, always, how = min(own)
    if always <= EXACT or not _is_kin(role):
        yield Fit(role, distance, how if distance <= EXACT else "")
        return
    others = [
        (steps.far(rival.contestant(role), more)[1], rival.fault)
        for rival in RIVALS.values() if rival.twin is None and role in roles_of(rival.name)
        for _, more in _variants(role)
    ]  # fmt: skip
    nearest = min(others, default=None)
    if nearest is not None and nearest[0] <= EXACT:
        yield Fit(role, distance, against=f"rather {nearest[-1]}")
    elif distance <= EXACT:
        yield Fit(role, distance, ", ".join(filter(None, [how, "at a constant step size"])))
    else:
        yield Fit(role, distance)


def _is_kin(role: str) -> bool:
    return any(claim.rivals for claim in claims_of(role=role))


def _variants(role: str) -> list[tuple[str, dict[str, Any]]]:
    """What a role leaves open."""
    if role in ("adam", "adamw"):
        return [
            ("without bias correction", {}),
            ("with bias correction", {"bias_correction": True}),
        ]
    return [("", {})]


def _distance(
    path: Tensor, contestant: Contestant, step_size: StepSize, settings: Mapping[str, Any]
) -> float:
    """Largest difference of the steps, over the largest step of the contestant; inf for none."""
    try:
        own = _path(contestant.rule(step_size, **settings), *_problem())
    except FAILURES:
        return float("inf")
    steps = own.diff(dim=0)
    found = float((path.diff(dim=0) - steps).abs().max() / steps.abs().max())
    return found if found == found else float("inf")


def _known(contestant: Contestant, settings: Mapping[str, Any]) -> dict[str, Any]:
    """The settings that the role's own rule has."""
    factory: Any = type(house(contestant.role).rule(CONSTANT))
    names = {f.name for f in fields(factory)}
    return {name: value for name, value in settings.items() if name in names and value is not None}


def _path(rule: Rule, oracle: Objective, start: Tensor) -> Tensor:
    return run(oracle, rule, STEPS, start=start, record=range(STEPS + 1), engine="torch").w
