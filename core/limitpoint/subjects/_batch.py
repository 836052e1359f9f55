"""The optimizers of a batch: one an element, or one for elements that are given the same."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from torch import Tensor

from limitpoint.errors import SubjectFailed
from limitpoint.subjects._instance import Instance, Manner
from limitpoint.subjects._plain import PlainOracle

#: Steps in which one parameter for several elements has to move as they do.
ALIKE = 12
ROUNDING = 1e-13
Places = slice | list[int]


@dataclass
class Batch:
    """The optimizers at work, which carry their own state, and how they are called.

    Attributes:
        instances: one an element.
        manner: how they were made.
        places: of the elements that are given the same.
        joint: one optimizer for each of those, as long as its steps are theirs.
        after: where the last step led, and every parameter is.
    """

    instances: list[Instance]
    manner: Manner
    places: list[Places] = field(default_factory=list)
    joint: list[Instance] = field(default_factory=list)
    after: Tensor | None = None

    def advance(self, around: Callable[..., PlainOracle], etas: Sequence[float]) -> Tensor | None:
        """A step of the joint ones; None if there are none, or one fails and the others still run.

        Args:
            around: what the step sees, given the places of its elements.
            etas: the step sizes of all elements.
        """
        if not self.joint:
            return None
        seen, found = around(places=self.places), []
        try:
            for k, (one, places) in enumerate(zip(self.joint, self.places, strict=True)):
                eta = etas[first(places)]
                found.append(one.play(seen, k, eta))
                one.check(seen, k, found[-1], eta)
        except SubjectFailed:
            if not self.instances:
                raise
            self.joint = []
            return None
        return found[0] if len(found) == 1 else self._in_order(found)

    def _in_order(self, found: list[Tensor]) -> Tensor:
        """What was found of each place, row by row."""
        after = found[0].new_empty(sum(map(len, found)), *found[0].shape[1:])
        for places, own in zip(self.places, found, strict=True):
            after[places] = own
        return after

    def compare(self, after: Tensor, iterates: Tensor, t: int) -> None:
        """Drop the joint ones if they go elsewhere; or else the others, in time.

        Args:
            after: where step t of the joint ones led.
            iterates: where that of the others led.
            t: the step.
        """
        apart = (after - iterates).abs() > ROUNDING * iterates.abs().amax()
        if bool(apart.any()):
            self.joint = []
        elif t == ALIKE - 1:
            self.instances = []


def first(places: Places) -> int:
    """The first of some places."""
    return places.start if isinstance(places, slice) else places[0]


def alike(labels: Sequence[object]) -> list[Places]:
    """The places of each label."""
    found = {label: [k for k, own in enumerate(labels) if own == label] for label in labels}
    return [_run(places) for places in found.values()]


def _run(places: list[int]) -> Places:
    """As a slice, which copies nothing, if there is none between them."""
    begin, end = places[0], places[-1] + 1
    return slice(begin, end) if end - begin == len(places) else places
