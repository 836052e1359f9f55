"""The optimizers of a batch: one an element, or one for all that are given the same."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor

from limitpoint.errors import SubjectFailed
from limitpoint.subjects._instance import Instance
from limitpoint.subjects._manner import Manner
from limitpoint.subjects._plain import PlainOracle

#: Steps in which one optimizer for all elements has to move them as their own do.
ALIKE = 12
ROUNDING = 1e-13
Places = int | slice | list[int]


class Together:
    """One optimizer for all elements whose arguments are the same, a group for each step size.

    Args:
        constructor: (parameters, **kwargs) -> optimizer.
        arguments: those of each element.
        kinds: the same for elements whose arguments are, but for "lr": those have an optimizer.
        starts: one row an element, float64.
        places: the elements of each parameter, which are given the same.
    """

    def __init__(
        self,
        constructor: Callable[..., Any],
        arguments: Sequence[Mapping[str, Any]],
        kinds: Sequence[object],
        starts: Tensor,
        places: Sequence[Places],
    ) -> None:
        self.places, self.firsts = places, [_first(each) for each in places]
        self.parts: list[tuple[Instance, list[int]]] = []
        for kind in dict.fromkeys(kinds):
            numbers = [j for j, k in enumerate(self.firsts) if kinds[k] == kind]
            given = arguments[self.firsts[numbers[0]]]
            one = Instance(constructor, given, *(starts[places[j]] for j in numbers))
            self.parts.append((one, numbers))
        self.kept = self._kept()

    def step(self, around: Callable[..., PlainOracle], etas: Sequence[float]) -> Tensor:
        """Where a step leads all elements; see `Batch.advance`."""
        seen, found = around(places=self.places), dict[int, Tensor]()
        for one, numbers in self.parts:
            own = [etas[self.firsts[j]] for j in numbers]
            after = one.play(seen, numbers, own)
            one.check(seen, numbers, after, own)
            found.update(zip(numbers, after, strict=True))
        if len(found) == 1:
            return found[0]
        whole = seen.w.new_empty(len(etas), *found[0].shape[-seen.oracle.ndim :])
        for j, places in enumerate(self.places):
            whole[places] = found[j]
        return whole

    def shares(self) -> bool:
        """Whether an optimizer has by now changed what it keeps for all of its parameters.

        Such as an estimate of a distance, which may be the same for all in the first steps, and not
        later. A count is no such thing.
        """
        return self._kept() != self.kept

    def _kept(self) -> list[float]:
        owners = [
            owner
            for one, _ in self.parts
            for owner in (getattr(one.optimizer, "__dict__", {}), *one.groups())
        ]  # fmt: skip
        return [float(v) for owner in owners for name, v in owner.items() if _is_kept(name, v)]


@dataclass
class Batch:
    """The optimizers at work, which carry their own state, and how they are called.

    Attributes:
        instances: one an element.
        manner: how they were made.
        joint: those that have all elements, the one that has most to do at a time first: as long as
            its steps are theirs.
        after: where the last step led, and every parameter is.
    """

    instances: list[Instance]
    manner: Manner
    joint: list[Together] = field(default_factory=list)
    after: Tensor | None = None

    def advance(self, around: Callable[..., PlainOracle], etas: Sequence[float]) -> list[Tensor]:
        """A step of each of the joint ones; one that fails is dropped, if there are others.

        Args:
            around: what the step sees, given the places of its elements.
            etas: the step sizes of all elements.
        """
        found, kept = [], []
        for each in self.joint:
            try:
                found.append(each.step(around, etas))
                kept.append(each)
            except SubjectFailed:
                if not self.instances:
                    raise
        self.joint = kept
        return found

    def compare(self, found: Sequence[Tensor], iterates: Tensor, t: int) -> None:
        """Drop the joint ones that go elsewhere; and in time all but one.

        Args:
            found: where step t of the joint ones led.
            iterates: where that of the others led.
            t: the step.
        """
        allowed = ROUNDING * iterates.abs().amax()
        each = zip(self.joint, found, strict=True)
        self.joint = [
            one for one, after in each
            if not bool(((after.reshape(iterates.shape) - iterates).abs() > allowed).any())
            and not (t == ALIKE - 1 and one.shares())
        ]  # fmt: skip
        if t == ALIKE - 1 and self.joint:
            self.joint, self.instances = self.joint[:1], []


def alike(labels: Sequence[object]) -> list[Places]:
    """The places of each label."""
    found = {label: [k for k, own in enumerate(labels) if own == label] for label in labels}
    return [_run(places) for places in found.values()]


def _run(places: list[int]) -> Places:
    """As a slice, which copies nothing, if there is none between them."""
    begin, end = places[0], places[-1] + 1
    return slice(begin, end) if end - begin == len(places) else places


def _first(places: Places) -> int:
    if isinstance(places, slice):
        return int(places.start)
    return places if isinstance(places, int) else places[0]


def _is_kept(name: str, value: object) -> bool:
    """Whether it is a real number, and no count or step size."""
    if isinstance(value, Tensor):
        return value.numel() == 1 and not value.is_complex()
    return isinstance(value, float) and name != "lr"
