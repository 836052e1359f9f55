"""What an implementation is, measured: which entries a step of one entry depends on, and how."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property

import torch
from torch import Tensor

from limitpoint.errors import SubjectFailed
from limitpoint.laws.field import Field, field
from limitpoint.laws.implementation import Implementation

#: 12 steps of some 30 roundings each, grown by the curvature's (1 + lr 2)^12 and by at most 1e3
#: where small steps are differences of what is large: 12 * 30 * 1.3 * 1e3 * 2^-53 = 5e-11.
ROUNDING = 1e-10
#: A dozen roundings of iterates below 4.
ULPS = 12 * 2.0**-51
#: Other iterates, and so another rounding of the step.
FRESH = 1e-9
#: A power of 2, exact; no norm of weights reaches 10 by it, where LAMB's authors stop.
GROWS = 4.0
#: An epsilon of 1e-8 beside gradients of 1 to 2 is felt by as much.
DEGREE = 1e-7
ROUNDING_BECAUSE = "12 steps of at most 30 roundings, amplified at most a thousandfold"


@dataclass(frozen=True, eq=False)
class Structure:
    """What a few trainings of an implementation say about it.

    Args:
        implementation: whose it is.
        seed: of the problems.
    """

    implementation: Implementation
    seed: int = 0

    @cached_property
    def problem(self) -> Field:
        """Two matrices."""
        return field(self.seed)

    @cached_property
    def entrywise(self) -> bool:
        """A row and a column of a matrix, with an optimizer each, move as in the whole."""
        whole = self.problem.alone(0)
        row, column = whole.part(slice(0, 3), (1, 3)), whole.part(slice(0, 6, 3), (2, 1))
        path = self._path(whole)
        return self._same([path[:, :3], path[:, 0:6:3]], (self._path(p) for p in (row, column)))

    @cached_property
    def apart(self) -> bool:
        """Two tensors move as with an optimizer each."""
        together = self._path(self.problem)
        return self._same(
            [together], [torch.cat([self._path(self.problem.alone(k)) for k in (0, 1)], 1)]
        )

    @cached_property
    def cuttable(self) -> bool:
        """A tensor cut in two moves as the whole."""
        whole = self.problem.alone(1)
        return self._same([self._path(whole)], [self._path(whole.shaped((2, 2), (2, 2)))])

    @cached_property
    def uncut(self) -> bool:
        """How its entries are cut into tensors should not matter: it is entrywise, or takes a norm
        of all. Whoever depends on both has options of its own that say so."""
        norm_of_all = not self.apart and (self.cuttable or self.implementation.is_common)
        return self.entrywise or norm_of_all

    @property
    def kind(self) -> str:
        """ "entrywise", "blockwise", "global" or "mixed"."""
        if self.entrywise:
            return "entrywise"
        if self.apart:
            return "blockwise"
        return "global" if self.cuttable else "mixed"

    @cached_property
    def ascends(self) -> bool:
        """It takes a second gradient at another point within a step (SAM)."""
        training = self.implementation.train(self.problem).go(1)
        points = [torch.cat([x.reshape(-1) for x in point]) for point in training.points]
        return training.two_phase or any(not torch.equal(points[0], p) for p in points[1:])

    @cached_property
    def remembers(self) -> bool:
        """A step depends on the gradients of the steps before it."""
        # The same gradient for long, then a small one the other way: even a slow memory is felt.
        same = self.problem.c[:1].expand_as(self.problem.c)
        turned = self.problem.descending(torch.cat([same[:-1], -0.05 * same[:1]]))
        last = self.implementation.follow(turned).diff(dim=0)[-1]
        afresh = self.implementation.follow(turned.from_step(turned.steps - 1)).diff(dim=0)[0]
        return not near(last, afresh, FRESH)

    @cached_property
    def draws(self) -> bool:
        """It draws from torch's generator: no two runs are alike but from one seed.

        Where two from one seed differ as well it keeps something between runs, which is no draw.
        """
        one, again, other = (self.implementation.follow(self.problem, seed=s) for s in (1, 1, 2))
        return torch.equal(one, again) and not torch.equal(one, other)

    @cached_property
    def signs(self) -> bool:
        """Every entry moves by the step size, whatever its gradient."""
        moves = (
            self.implementation.having(**self.implementation.plain)
            .follow(self.problem.straight())
            .diff(dim=0)
            .abs()
        )
        return near(moves, moves[0, 0].expand_as(moves), 1e-9)

    @cached_property
    def orthogonalises(self) -> bool:
        """The singular values of its step are as good as equal, those of the gradient are not."""
        if self.entrywise:  # those of a matrix of signs may be near one another by chance
            return False
        whole = field(self.seed, (3, 2))
        left, _ = torch.linalg.qr(whole.start.reshape(3, 2))
        right, _ = torch.linalg.qr(whole.b[:4].reshape(2, 2))
        gradient = (left * torch.tensor([1.0, 0.05]).double()) @ right
        problem = whole.descending(gradient.reshape(1, -1))
        path = self.implementation.having(**self.implementation.plain).follow(problem)
        size = torch.linalg.svdvals((path[1] - path[0]).reshape(3, 2))
        return bool(size[0] < 2 * size[1])

    @cached_property
    def turns(self) -> bool:
        """Rotated entries make rotated steps."""
        whole = field(self.seed, (4, 2)).straight()
        rotation, _ = torch.linalg.qr(whole.a.reshape(-1, 1) * whole.c[:8])
        plain = self.implementation.having(**self.implementation.plain)
        rotated = plain.follow(whole.descending(whole.c @ rotation)).diff(dim=0)
        return near(rotated, plain.follow(whole).diff(dim=0) @ rotation, 1e-9)

    @cached_property
    def degrees(self) -> Tensor:
        """d of each entry at each step, where a loss of s times the size steps s^d as far."""
        straight = self.problem.straight()
        return self._powers(16.0, replace(straight, scale=16.0), straight)

    @cached_property
    def degree(self) -> float | None:
        """The one d of all entries at all steps, or None."""
        return _one(self.degrees)

    @cached_property
    def growth(self) -> float | None:
        """The one d with which weights of c times the size step c^d as far, or None.

        Where d is neither 0 nor 1, weights and steps part, and the first step alone says it.
        """
        straight = self.problem.straight()
        powers = self._powers(GROWS, straight.moved(GROWS * straight.start), straight)
        first = _one(powers[0])
        return _one(powers) if first is None or _is_zero_or_one(first) else first

    def _powers(self, size: float, larger: Field, usual: Field) -> Tensor:
        """By which powers of a size the steps differ."""
        steps = [self.implementation.follow(problem).diff(dim=0) for problem in (larger, usual)]
        return (steps[0] / steps[1]).log2() / math.log2(size)

    def first_step(self, gradient_scale: float = 1.0) -> tuple[Tensor, Tensor]:
        """Gradient and first step, over the step size, of the straight problem."""
        problem = replace(self.problem.straight(), scale=gradient_scale)
        path = self.implementation.follow(problem, steps=1)
        return gradient_scale * problem.c[0], (path[1] - path[0]) / self.implementation.step_size

    def _path(self, problem: Field) -> Tensor:
        """The way from the start: a step size that has yet to grow is seen beside its own steps."""
        return self.implementation.follow(problem) - problem.start

    def _same(self, one: Iterable[Tensor], other: Iterable[Tensor]) -> bool:
        try:
            return all(near(a, b, floor=ULPS) for a, b in zip(one, other, strict=True))
        except SubjectFailed:
            return False


def _one(powers: Tensor) -> float | None:
    found = float(powers.flatten().median())
    return found if bool(((powers - found).abs() <= DEGREE).all()) else None


def _is_zero_or_one(power: float) -> bool:
    return min(abs(power), abs(power - 1)) <= DEGREE


def kind_of(
    found: Tensor, kinds: Mapping[str, Callable[[], Tensor]], tolerance: float = ROUNDING
) -> str:
    """The first of some kinds, each made when it is asked for, that is found; "" if none is."""
    return next((name for name, made in kinds.items() if near(found, made(), tolerance)), "")


def near(a: Tensor, b: Tensor, tolerance: float = ROUNDING, floor: float = 0.0) -> bool:
    """Whether two of a kind agree to rounding, relative to the largest entry, or to the floor."""
    scale = float(b.abs().max()) or 1.0
    return bool(((a - b).abs() <= tolerance * scale + floor).all())
