"""What somebody's optimizer is: measured, and held against limitpoint's own rule of each role."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields, replace
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
#: Settings with which a role's rule is told from others, where the optimizer has them.
TELLING = {
    "adam": {"epsilon": 0.1},
    "adamw": {"epsilon": 0.1, "weight_decay": 0.1},
    "gd-decay": {"weight_decay": 0.1},
    "rmsprop": {"epsilon": 0.1, "alpha": 0.9},
    "momentum": {"momentum": 0.9},
    "nesterov": {"momentum": 0.9},
    "usam": {"rho": 0.3},
    "sam-l2": {"rho": 0.3},
    "sam-linf": {"rho": 0.3},
}
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
    implementation = Implementation.of(subject.constructor, subject.kwargs).check(field(0))
    structure = Structure(implementation.having(**implementation.plain))
    return Recognition(_facts(structure), tuple(_fits(subject, remembers=structure.remembers)))


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
    degree = structure.degree
    known = degree is not None and min(abs(degree), abs(degree - 1)) < EXACT
    scale = {0: "not felt", 1: "proportional"}[round(degree or 0)] if known else "of its own"
    form = _first_step(implementation)
    return {
        "structure": spread[structure.kind],
        "memory": "keeps gradients of steps before" if structure.remembers else "none",
        "scale of the loss": scale,
        "rotations": "turn with the step" if structure.turns else "not alike",
        "second gradient in a step": "yes" if structure.ascends else "no",
        "geometry": _geometry(structure),
        **({"first step, of Adam's kin": form} if form else {}),
        **({"handed over": implementation.form} if implementation.form else {}),
    }


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
    if structure.orthogonalises:
        return "spectral norm: steps have equal singular values"
    if structure.signs:
        return "max-norm: every entry moves as far"
    size = structure.implementation.follow(field(0).straight(), steps=1).diff(dim=0).abs()
    if bool(size.max() - size.min() <= EXACT * size.max()):
        return "max-norm at first: the first step's entries are of one length"
    return "2-norm" if structure.turns else "of no single norm that is looked for"


def _fits(subject: Subject, *, remembers: bool) -> list[Fit]:
    problem = _problem()
    # The step size says nothing of the rule, and of two paths both have to have the same.
    subject = replace(subject, kwargs={k: v for k, v in subject.kwargs.items() if k != "lr"})
    found = [fit for role in ROLES if role not in LEFT_OUT for fit in _fit(subject, role, problem)]
    if remembers:
        found = [_contradicted(fit, problem) for fit in found]
    return sorted(found, key=lambda fit: fit.distance)


def _contradicted(fit: Fit, problem: tuple[Objective, Tensor]) -> Fit:
    """By a memory that these few steps did not feel, in the role of a rule that has none."""
    if not fit.fits or house(fit.role).rule(StepSize(STEP)).init(*problem) is not None:
        return fit
    return replace(fit, against="it keeps gradients of steps before")


class _Quadratic(Objective):
    """A function of a matrix."""

    @property
    def ndim(self) -> int:
        return 2


def _problem() -> tuple[Objective, Tensor]:
    """A quadratic in a matrix, around whose minimum steps of `STEP` overshoot, and a start."""
    numbers = generator("recognition", 0)
    start, end = (torch.from_numpy(numbers.uniform(-1, 1, (4, 3))) for _ in range(2))
    bend = torch.from_numpy(numbers.uniform(0.5, 3, (4, 3)))
    quadratic = _Quadratic(
        "quadratic", lambda w: (bend * (w - end) ** 2).sum((-2, -1)) / 2, lambda w: bend * (w - end)
    )
    return quadratic, start


def _fit(subject: Subject, role: str, problem: tuple[Objective, Tensor]) -> Iterator[Fit]:
    extra = TELLING.get(role, {})
    try:
        theirs = replace(subject, role=role).rule(StepSize(STEP), **extra)
        path = _path(problem, theirs)
    except FAILURES:
        return
    settings = theirs.settings
    own = [(_distance(problem, path, house(role), {**settings, **more}), how)
           for how, more in _variants(role)]  # fmt: skip
    distance, how = min(own)
    if distance <= EXACT or not _is_kin(role):
        yield Fit(role, distance, how if distance <= EXACT else "")
        return
    others = [
        (_distance(problem, path, rival.contestant(role), {**settings, **more}), rival.fault)
        for rival in RIVALS.values() if rival.twin is None and role in roles_of(rival.name)
        for _, more in _variants(role)
    ]  # fmt: skip
    nearest, fault = min(others, default=(float("inf"), ""))
    yield Fit(role, distance, f"rather {fault}" if nearest <= EXACT else "")


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
    problem: tuple[Objective, Tensor],
    path: Tensor,
    contestant: Contestant,
    settings: Mapping[str, Any],
) -> float:
    """Largest difference of the steps, over the largest step of the contestant; inf for none."""
    try:
        rule = contestant.rule(StepSize(STEP), **_known(contestant, settings))
        own = _path(problem, rule)
    except FAILURES:
        return float("inf")
    steps = own.diff(dim=0)
    found = float((path.diff(dim=0) - steps).abs().max() / steps.abs().max())
    return found if found == found else float("inf")


def _known(contestant: Contestant, settings: Mapping[str, Any]) -> dict[str, Any]:
    """The settings that the role's own rule has."""
    factory: Any = type(house(contestant.role).rule(StepSize(STEP)))
    names = {f.name for f in fields(factory)}
    return {name: value for name, value in settings.items() if name in names and value is not None}


def _path(problem: tuple[Objective, Tensor], rule: Rule) -> Tensor:
    oracle, start = problem
    return run(oracle, rule, STEPS, start=start, record=range(STEPS + 1), engine="torch").w
