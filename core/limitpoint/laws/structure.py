"""What an implementation is, measured: which entries a step of one entry depends on, and how."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from limitpoint.errors import SubjectFailed
from limitpoint.laws.field import Field, field
from limitpoint.laws.implementation import Implementation
from limitpoint.laws.training import flat

#: 12 steps of some 30 roundings each, grown by the curvature's (1 + lr 2)^12 and by at most 1e3
#: where small steps are differences of what is large: 12 * 30 * 1.3 * 1e3 * 2^-53 = 5e-11.
ROUNDING = 1e-10
#: A dozen roundings of iterates below 4.
ULPS = 12 * 2.0**-51
#: Other iterates, and so another rounding of the step.
FRESH = 1e-9
#: Powers of 2, exact; no norm of weights reaches 10 by them, where LAMB's authors stop.
GROWS, LESS = 4.0, 2.0
#: An epsilon of 1e-8 beside gradients of 1 to 2 is felt by as much.
DEGREE = 1e-7
#: No step is as short, and no rounding as long.
LOST = 1e-12
#: A schedule of ten thousand steps is felt in a dozen; an epsilon of 1e-8 beside the root of a
#: square's first average, .03, is not.
PACE = 1e-6
#: So many times as large, gradients are clipped wherever a class clips them, and steps are too long
#: for whoever searches.
HUGE = 1024.0
#: Steps that are looked at after a past of one kind or another.
LATER = 3
#: The hypothesis of laws that compare two runs from one seed; see `Structure.draws`.
DRAWS = "it draws nothing from torch's generator, which goes on"
#: What remembers gradients, by the names that it has.
MEMORIES = ("betas", "beta", "beta1", "beta2", "momentum")
#: Far above the roundings of a float64, far below those of a float32.
BETWEEN = 2.0**-40
#: Of a problem its parts, each with where its entries are in the whole.
Parts = Callable[[Field], Sequence[tuple[slice, Field]]]
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
        return self._moves_alike(
            self.problem.alone(0),
            lambda whole: [
                (slice(0, 3), whole.part(slice(0, 3), (1, 3))),
                (slice(0, 6, 3), whole.part(slice(0, 6, 3), (2, 1))),
            ],
        )

    @cached_property
    def apart(self) -> bool:
        """Two tensors move as with an optimizer each."""
        return self._moves_alike(
            self.problem,
            lambda pair: [(slice(0, 6), pair.alone(0)), (slice(6, None), pair.alone(1))],
        )

    @cached_property
    def cuttable(self) -> bool:
        """A tensor cut in two moves as the whole."""
        return self._moves_alike(
            self.problem.alone(1), lambda whole: [(slice(None), whole.shaped((2, 2), (2, 2)))]
        )

    @cached_property
    def uncut(self) -> bool:
        """How its entries are cut into tensors should not matter: it is entrywise, or takes a norm
        of all. Whoever depends on both has options of its own that say so.

        Not where vectors are another kind to it: without a decay, or alone to be perturbed.
        """
        norm_of_all = not self.apart and (self.cuttable or self.implementation.is_common)
        return (self.entrywise or norm_of_all) and not self.tells_vectors

    @cached_property
    def tells_vectors(self) -> bool:
        """Two matrices move otherwise than two vectors of their entries."""
        whole = self.problem.alone(1)
        matrices, vectors = whole.shaped((2, 2), (2, 2)), whole.shaped((4,), (4,))
        if not self.implementation.accepts(vectors):  # it takes matrices alone
            return False
        return not self._same(vectors, [(slice(None), matrices)])

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
        points = [flat(point) for point in training.points]
        return training.two_phase or any(not torch.equal(points[0], p) for p in points[1:])

    @cached_property
    def remembers(self) -> bool:
        """A step depends on the gradients of the steps before it.

        Of two trainings that differ in these alone the last steps are compared, from one and the
        same point, for a step may depend on where it is, on the loss, and on how many went before.
        A copy of the point (schedule-free without averaging) is no memory of them: then a last step
        is, wherever it is taken, that of a fresh training.
        """
        first, second = self.problem.c[:2]
        there = self._after(first), self._after(-3 * first.sign() * second.abs())
        return not near(*there, FRESH) and any(map(self._is_felt_after, (-0.05, 0.05)))

    def _is_felt_after(self, share: float) -> bool:
        """The same gradient for long is, in the step along a share of it."""
        same = self.problem.c[:1].expand_as(self.problem.c)
        turned = self.problem.descending(torch.cat([same[:-1], share * same[:1]]))
        last = self.implementation.follow(turned).diff(dim=0)[-1]
        afresh = self.implementation.follow(turned.from_step(turned.steps - 1)).diff(dim=0)[0]
        return not near(last, afresh, FRESH)

    def _after(self, past: Tensor) -> Tensor:
        """The last steps, back at the start, after one gradient again and again.

        Theirs are small, and turned against the first: even a slow memory is felt, and one that is
        given up where gradients turn has been given up in one of two pasts.
        """
        early = self.problem.steps - LATER
        turned = -0.05 * self.problem.c[0]
        gradients = torch.stack([past] * early + [turned] * LATER)
        training = self.implementation.train(self.problem.descending(gradients)).go(early)
        start = self.problem.split(self.problem.start)
        for p, w in zip(training.parameters, start, strict=True):
            p.data.copy_(w)
        return training.go(LATER).path[-LATER:] - self.problem.start

    @cached_property
    def draws(self) -> bool:
        """It draws from torch's generator: no two runs are alike but from one seed.

        Where two from one seed differ as well it keeps something between runs, which is no draw.
        """
        one, again, other = (self.implementation.follow(self.problem, seed=s) for s in (1, 1, 2))
        return torch.equal(one, again) and not torch.equal(one, other)

    @cached_property
    def stochastic(self) -> bool:
        """It draws, from whatever generator of torch's, be it its own and always seeded alike.

        How its entries lie in memory then says which of them gets which number.
        """
        option = self.implementation.defaults.get("seed")
        seeds: Sequence[Mapping[str, Any]] = ({}, {}, {})
        if isinstance(option, int) and not isinstance(option, bool):  # it may be another library's
            seeds = ({}, {}, {"seed": option + 1})
        try:
            one, again, other = (
                self._drawing(k, own) for k, own in zip((1, 1, 2), seeds, strict=True)
            )
        except SubjectFailed:
            return self.draws
        return self.draws or (torch.equal(one, again) and not torch.equal(one, other))

    def _drawing(self, seed: int, options: Mapping[str, Any]) -> Tensor:
        """The iterates where all that is drawn is drawn by this seed."""
        with _Seeded(seed):
            return self.implementation.having(**options).follow(self.problem)

    @cached_property
    def one_sided(self) -> bool:
        """It holds weights where the mirror image of some may not be, as in the orthant.

        Without gradients it moves some of them once, and what is mirrored otherwise.
        """
        rest = self.problem.descending(0 * self.problem.c)
        mirrored = rest.flipped(-torch.ones_like(rest.start))
        here, there = (self.implementation.tried(one, steps=2) for one in (rest, mirrored))
        if here is None or there is None:
            return False
        once = near(here[1], here[2]) and near(there[1], there[2])
        return once and not near(-there[1], here[1])

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
        """The singular values of its step are as good as equal, those of the gradient are not.

        Of two, which is so too of what rescales such a step, entry by entry or by its columns.
        """
        if self.entrywise:  # those of a matrix of signs may be near one another by chance
            return False
        return self._evens((3, 2), (1.0, 0.05))

    @cached_property
    def spectral(self) -> bool:
        """The same of four, which are not so by chance: it steps by the spectral norm."""
        return self.orthogonalises and self._evens((5, 4), (1.0, 0.5, 0.2, 0.05))

    def _evens(self, shape: tuple[int, int], sizes: tuple[float, ...]) -> bool:
        """The largest singular value of a first step is below twice the least."""
        rows, columns = shape
        whole = field(self.seed, shape)
        left, _ = torch.linalg.qr(whole.start.reshape(shape))
        right, _ = torch.linalg.qr(whole.b[: columns**2].reshape(columns, columns))
        gradient = (left * torch.tensor(sizes).double()) @ right
        problem = whole.descending(gradient.reshape(1, -1))
        path = self.implementation.having(**self.implementation.plain).follow(problem)
        size = torch.linalg.svdvals((path[1] - path[0]).reshape(rows, columns))
        return bool(size[0] < 2 * size[-1])

    @cached_property
    def coarsens(self) -> bool:
        """It orthogonalises in less than float64: a change of 2^-40 is lost."""
        if not self.orthogonalises:
            return False
        whole = field(self.seed, (3, 2)).straight()
        nudged = whole.descending(whole.c * (1 + BETWEEN * whole.c.roll(1, 0)))
        follow = self.implementation.follow
        return torch.equal(follow(nudged, steps=1), follow(whole, steps=1))

    @cached_property
    def paced(self) -> bool:
        """Its own count of steps sets their length, as a warm-up's, a schedule's or Lookahead's.

        Of one gradient again and again the steps differ, and so does the first step after some of
        zeros. A memory alone is felt by the former, for it fills; the correction of its bias by the
        latter, for it counts zeros. Those that have options are switched off.
        """
        own = self.implementation.having(**self.implementation.plain)
        now = {name: own.defaults[name] for name in MEMORIES if name in own.defaults}
        forgetful = own.having(**{name: _zeros(value) for name, value in now.items()})
        same = self.problem.descending(self.problem.c[:1].expand_as(self.problem.c))
        own = forgetful if forgetful.tried(same) is not None else own
        again = own.tried(same)
        if again is None or near(steps := again.diff(dim=0), steps[:1].expand_as(steps), PACE):
            return False
        paths = [own.tried(_after_zeros(same, t)) for t in range(same.steps)]
        after = [path.diff(dim=0)[-1] for path in paths if path is not None]
        return len(after) == same.steps and any(not near(x, after[0], PACE) for x in after)

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
        return self.degrees_at(1.0)

    def degrees_at(self, size: float) -> Tensor:
        """The same where the loss is so many times the size already."""
        usual = replace(self.problem.straight(), scale=size)
        return self._powers(16.0, replace(usual, scale=16.0 * size), usual)

    @cached_property
    def degree(self) -> float | None:
        """The one d of all entries at all steps, or None."""
        return _one(self.degrees)

    @cached_property
    def growth(self) -> float | None:
        """The one d with which weights of c times the size step c^d as far, for two c, or None.

        Where d is neither 0 nor 1, weights and steps part, and the first step alone says it.
        """
        found = [self._growth(size) for size in (GROWS, LESS)]  # 1 + |w| is no power of |w|
        known = [power for power in found if power is not None]
        return known[0] if len(known) == 2 and abs(known[0] - known[1]) <= DEGREE else None

    def _growth(self, size: float) -> float | None:
        straight = self.problem.straight()
        powers = self._powers(size, straight.moved(size * straight.start), straight)
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

    def _moves_alike(self, whole: Field, parts: Parts) -> bool:
        """Whether parts move as in the whole; by gradients too that fall and turn, or are huge.

        What they have in common may sleep where all is well: a clip, a search along a line, a mask
        by the signs of two steps. What such gradients are too much for says nothing.
        """
        hard = (whole.falling(HUGE), replace(whole, scale=HUGE))
        return self._same(whole, parts(whole)) and all(
            self._same(problem, parts(problem), failing=True) for problem in hard
        )

    def _same(
        self, whole: Field, parts: Sequence[tuple[slice, Field]], *, failing: bool = False
    ) -> bool:
        """Whether parts move as in the whole; `failing` where one raises, or loses numbers.

        What is compared is the way from the start: a step size that has yet to grow is seen beside
        its own steps.
        """
        problems = (whole, *(part for _, part in parts))
        found = [(self.implementation.tried(one), one.start) for one in problems]
        ways = [path - start for path, start in found if path is not None]
        if len(ways) < len(found):
            return failing
        way, *others = ways
        pairs = zip((way[:, entries] for entries, _ in parts), others, strict=True)
        return all(near(one, other, floor=ULPS) for one, other in pairs)


class _Seeded(TorchDispatchMode):  # type: ignore[no-untyped-call] # torch's has no types
    """Everything that torch draws is drawn by a seed and the number of the call.

    Args:
        seed: of all.
    """

    def __init__(self, seed: int) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.next = 2**24 * seed  # torch's generator reads 32 bits

    def __torch_dispatch__(
        self, func: Any, types: Any, args: Any = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        """A call, without a generator if it takes one."""
        given = dict(kwargs or {})
        if torch.Tag.nondeterministic_seeded in func.tags:
            torch.default_generator.manual_seed(self.next)
            self.next += 1
            given |= {"generator": None} if "generator" in given else {}
        return func(*args, **given)


def beside_another(pair: Field, k: int) -> Field:
    """The same problem of tensor k beside another one's, with gradients in another order."""
    first, size = pair.alone(0).ndim, pair.ndim
    other = slice(first, size) if k == 0 else slice(0, first)
    c = pair.c.clone()
    c[:, other] = pair.c.flip(0)[:, other]
    return replace(pair, c=c)


def _after_zeros(problem: Field, t: int) -> Field:
    """Gradients of zeros before step t, which is the last."""
    here = (torch.arange(t + 1) == t).to(problem.c.dtype)
    return problem.descending(here.unsqueeze(-1) * problem.c[: t + 1])


def _zeros(value: object) -> object:
    return (0.0,) * len(value) if isinstance(value, tuple | list) else 0.0


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
    return math.isfinite(scale) and bool(((a - b).abs() <= tolerance * scale + floor).all())
