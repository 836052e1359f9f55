"""Running a plan: slices of the run, problems split over threads, records back as tensors."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from itertools import pairwise

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from limitpoint.engines.cpu import build
from limitpoint.engines.cpu.pack import (
    EVERY,
    LANES,
    Floats,
    Integers,
    examples,
    indexed,
    pad,
    padded,
    room,
    values,
)
from limitpoint.engines.cpu.plan import Plan
from limitpoint.engines.cpu.registry import KERNELS
from limitpoint.engines.cpu.source import loss_source, rule_source
from limitpoint.engines.trace import leaves
from limitpoint.engines.trajectory import MakeRoom, OnRecord, Watcher, release

#: Seconds after which a run comes back to Python: for progress, interrupts, and to stop on a NaN.
SLICE = 0.2
FIRST_SLICE = 256
#: Bytes of problems that are worked on at a time: data, parameters and what a rule keeps.
ROOM = 2**28


def threads() -> int:
    """How many threads share the problems: LIMITPOINT_THREADS, or the processors there are."""
    chosen = os.environ.get("LIMITPOINT_THREADS", "")
    if chosen.isdecimal() and int(chosen) > 0:
        return int(chosen)
    count = getattr(os, "process_cpu_count", os.cpu_count)()
    return count or 1


class Run:
    """The arrays of some problems of a run, and the calls that advance them.

    Args:
        found: the plan.
        grid: recorded steps, ascending.
        part: which problems of the batch.
        kept: room for recorded iterates of all problems, shape (R, B, rows, d).
        kept_sums: and for their integrals.
    """

    def __init__(
        self,
        found: Plan,
        grid: Integers,
        part: slice = EVERY,
        kept: Floats | None = None,
        kept_sums: Floats | None = None,
    ) -> None:
        self.plan, self.grid, self.problems = found, grid, part
        problem, rows = found.problem, found.rows
        width = padded(found.d)
        ascends = found.model.ascends and not found.loss.scaled
        self.source = rule_source(found.traced, rows, found.d, ascends=ascends)
        self.loss = loss_source(found.loss)
        self.X = examples(problem.X, found.batch, part, transposed=found.model.transposed)
        self.y = indexed(problem.y, found.batch, 1, part)
        self.settings = found.settings[part]
        self.w = pad(found.start.reshape(found.count, rows, found.d).numpy()[part])
        self.count = len(self.w)
        self.memory, self.memory_exponent = self._memory(width)
        self.widths = np.array([self._numbers(name) for name in found.integrals], dtype=np.int64)
        self.sums = np.zeros((self.count, 1 + int(self.widths.sum())))
        whole = (len(grid), found.count)
        self.kept = np.empty((*whole, rows, found.d)) if kept is None else kept
        self.kept_sums = np.empty((*whole, self.sums.shape[1])) if kept_sums is None else kept_sums
        places = self.source.room.places(found.seen, rows, found.d)
        # An integrand works there too, with a number an example.
        self.room = max(places, -(-problem.n // (rows * width)), 1)
        self.now_of = np.array(self.source.now, dtype=np.int64).reshape(-1, 2)
        self.stream = found.stream()
        self.call = build.called("loop", "trajectory")
        self.units = self._units()
        self.integrands, self.integrand_settings = self._integrand_units()

    def _memory(self, width: int) -> tuple[Floats, Floats]:
        """What the rule keeps, as it is before the first step; mantissas and exponents."""
        found = self.plan
        kept = leaves(found.state)
        shape = (self.count, max(len(found.traced.kinds), 1), found.rows, width)
        mantissa, exponent = room(*shape), room(*shape)
        for k, leaf in enumerate(kept):
            m, e = values(leaf, found.start)  # type: ignore[arg-type]
            whole = (found.count, found.rows, found.d)
            mantissa[:, k, :, : found.d] = m.reshape(whole)[self.problems]
            exponent[:, k, :, : found.d] = e.reshape(whole)[self.problems]
        return mantissa, exponent

    def _numbers(self, name: str) -> int:
        """How many numbers a problem an integrand gives."""
        return max(self.plan.totals[name].numel() // self.plan.count, 1)

    def _units(self) -> Integers:
        """Addresses, in the order of a task's, and the rule's."""
        model, loss = self.plan.model, self.loss
        gradients = f"{KERNELS}._gradients"

        def of_model(kind: str, name: str, *, there: bool = True) -> int:
            return build.address(kind, model.module, f"{model.name}_{name}") if there else 0

        def of_loss(kind: str, *, there: bool = True) -> int:
            return build.written(kind, loss.text, kind) if there else 0

        ascend = "ascend(" in self.source.text.partition("def unit")[2]
        found = [
            of_model("predict", "predict"),
            of_model("pullback", "pullback"),
            of_model("again", "again", there=loss.apart),
            of_model("predict", "ascended", there=ascend),
            of_model("pullback", "descended", there=ascend),
            of_loss("slopes"),
            of_loss("apart", there=loss.apart),
            of_loss("values", there=self.widths.size > 0),
            build.address("gradient", gradients, "gradient"),
            build.address("gradients", gradients, "gradients"),
            build.address("ascend", gradients, "ascend") if ascend else 0,
            build.whole("rule", self.source.text),
        ]
        return np.array(found, dtype=np.int64)

    def _integrand_units(self) -> tuple[Integers, Floats]:
        found = self.plan.integrands
        addresses = [build.address("integrand", u.module, u.name) for u, _ in found]
        numbers = [u.settings(f) for u, f in found]
        settings = np.zeros((len(found), max([len(n) for n in numbers], default=0) + 1))
        for row, own in zip(settings, numbers, strict=True):
            row[: len(own)] = own
        return np.array(addresses, dtype=np.int64), settings

    def advance(self, pool: ThreadPoolExecutor | None, parts: int, begin: int, end: int) -> None:
        """Take all problems from step `begin` to step `end`."""
        given = self.given(begin, end)
        edges = np.linspace(0, self.count, parts + 1).astype(int).tolist()
        bounds = list(pairwise(edges))
        if pool is None:
            for lo, hi in bounds:
                self.part(given, begin, end, lo, hi)()
            return
        for future in [pool.submit(self.part(given, begin, end, lo, hi)) for lo, hi in bounds]:
            future.result()

    def given(self, begin: int, end: int) -> tuple[Integers, Floats, Floats]:
        """The examples, step sizes and schedules of some steps."""
        found = self.plan
        return (
            found.draws(self.stream, end - begin, self.problems),
            self._own(found.numbers(found.rule.step_size, begin, end)),
            self._own(found.tables(begin, end)),
        )

    def _own(self, numbers: Floats) -> Floats:
        """The columns of these problems, where each has its own."""
        if numbers.shape[-1] == 1 or self.problems == EVERY:
            return numbers
        return np.ascontiguousarray(numbers[..., self.problems])

    def scratch(self) -> tuple[Floats, ...]:
        """Where one call of `part` works; no call depends on what another one left there."""
        n, classes = self.plan.problem.n, self.plan.classes
        work = room(self.room, *self.w.shape[1:])
        return (
            room(self.loss.rows[0] + self.loss.rows[1] * classes, padded(n)),
            room(2, max(self.X.data.shape[-1], self.w.shape[-1])),
            np.zeros((n, classes)),
            work, room(*work.shape),
            np.zeros(len(self.now_of)),
            np.zeros(self.sums.shape[1]),
        )  # fmt: skip

    def part(
        self, given: tuple[Integers, Floats, Floats], begin: int, end: int, lo: int, hi: int
    ) -> Callable[[], None]:  # fmt: skip
        """What takes problems lo..hi from step `begin` to step `end`, with what was `given` for it.

        Called again, it does so again, from where the arrays are by then.
        """
        found, loss = self.plan, self.plan.problem.loss
        draws, steps, tables = given
        on_all = found.stochastic is not None and found.stochastic.ascent_on_all
        place = self.problems.start or 0
        counts = np.array([found.problem.n, found.d, loss.mean, on_all, place], dtype=np.int64)
        return partial(
            self.call, self.X.data, self.X.of, self.y.data, self.y.of, counts, loss.factor,
            found.loss_settings, self.units, steps, tables, self.now_of, self.settings,
            self.integrands, self.integrand_settings, self.widths,
            self.w, self.memory, self.memory_exponent, self.sums,
            *self.scratch(), draws,
            self.grid, self.kept, self.kept_sums,
            int(np.searchsorted(self.grid, begin, side="left" if begin == 0 else "right")),
            begin, end, lo, hi,
        )  # fmt: skip

    def iterates(self, records: slice) -> Tensor:
        """Recorded iterates of all problems, shape (records, *batch, *parameter)."""
        kept = self.kept[records]
        return torch.from_numpy(kept.reshape(len(kept), *self.plan.start.shape))

    def own(self, record: int) -> Tensor:
        """A recorded iterate of these problems alone."""
        return torch.from_numpy(self.kept[record, self.problems])

    def integrals(self) -> dict[str, Tensor]:
        """Recorded integrals, as the torch engine shapes them."""
        sums = torch.from_numpy(self.kept_sums).reshape(len(self.grid), *self.plan.batch, -1)
        found, column = {"step_size": self.plan.step_sizes(sums[..., 0])}, 1
        for name in self.plan.integrals:
            width = self._numbers(name)
            own = sums[..., column : column + width]
            found[name] = own.reshape(len(self.grid), *self.plan.totals[name]).clone()
            column += width
        return found


def handing() -> tuple[Callable[..., None], Callable[..., tuple[float, float]]]:
    """What takes plain iterates, and what hands out plain gradients; see `kernels.handing`."""
    return build.called("handing", "taken"), build.called("handing", "handed")


def slices(last: int, first: int = FIRST_SLICE) -> Iterator[tuple[int, int]]:
    """Consecutive pieces of a run that each take about `SLICE` seconds."""
    begin, size = 0, first
    while begin < last or begin == 0:
        end = min(begin + size, last)
        started = time.perf_counter()
        yield begin, end
        spent = time.perf_counter() - started
        size = max(1, int(size * min(max(SLICE / max(spent, 1e-9), 0.25), 16.0)))
        if end == last:
            return
        begin = end


def parts(found: Plan) -> list[slice]:
    """The problems of a batch, as many at a time as there is room for."""
    problem, kept = found.problem, 2 * max(len(found.traced.kinds), 1) + 1
    is_read_in_place = problem.X.shape[-1] % LANES == 0 and not found.model.transposed
    shared = problem.X.ndim == 2 or is_read_in_place
    own = 1 if shared else problem.X.shape[-2:].numel()
    each = 8 * (own + kept * found.rows * padded(found.d))
    count = max(ROOM // each, threads())
    if count >= found.count:
        return [EVERY]
    return [slice(lo, min(lo + count, found.count)) for lo in range(0, found.count, count)]


def stepped(found: Plan, t: int) -> Tensor:
    """The iterate after step t alone, from the plan's start and state."""
    run = Run(found, np.array([t + 1]))
    run.advance(None, 1, t, t + 1)
    return run.iterates(slice(0, 1))[0]


def execute(
    found: Plan,
    grid: NDArray[np.int64],
    on_record: OnRecord,
    watch: Watcher | None,
    make_room: MakeRoom = np.empty,
) -> tuple[Tensor, dict[str, Tensor]]:
    """Run a plan; recorded iterates and integrals.

    Args:
        found: the plan.
        grid: recorded steps, ascending.
        on_record: called with each recorded iterate and its step; may raise.
        watch: called with (step, last step) at each recorded step.
        make_room: makes the array of recorded iterates, given its shape.
    """
    kept = make_room((len(grid), *found.start.shape))
    kept = kept.reshape(len(grid), found.count, found.rows, found.d)
    kept_sums, run, all_parts = None, None, parts(found)
    for number, part in enumerate(all_parts):
        run = Run(found, grid, part, kept, kept_sums)
        kept_sums = run.kept_sums
        shown = None if watch is None else _progress(watch, number, len(all_parts))
        _advance(run, on_record, shown)
    assert run is not None
    return run.iterates(slice(0, len(grid))), run.integrals()


def _progress(watch: Watcher, number: int, count: int) -> Watcher:
    """What the run as a whole has come to, at a step of one part of its problems."""
    return lambda t, last: watch((number * last + t) // count, last)


def _advance(run: Run, on_record: OnRecord, watch: Watcher | None) -> None:
    """Take the problems of a run to its end."""
    grid, last, seen = run.grid, int(run.grid[-1]), 0
    workers = min(threads(), run.count)
    pool = ThreadPoolExecutor(workers) if workers > 1 else None
    # What a step is given by number, a problem each, is to stay small.
    first = min(FIRST_SLICE, max(1, ROOM // (64 * run.count)))
    try:
        for begin, end in slices(last, first):
            run.advance(pool, workers, begin, end)
            upto = int(np.searchsorted(grid, end, side="right"))
            for index in range(seen, upto):
                on_record(run.own(index), int(grid[index]))
                if watch is not None:
                    watch(int(grid[index]), last)
            release(run.kept)
            seen = upto
    finally:
        if pool is not None:
            pool.shutdown()
