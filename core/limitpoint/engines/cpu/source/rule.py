"""The text of a rule's unit: gradient calls, and the loops over entries between them."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields
from functools import lru_cache

from limitpoint.engines.cpu.source.expressions import Expressions, Value, literal
from limitpoint.engines.cpu.source.loops import Loop, worth_saving
from limitpoint.engines.trace.graph import NUMBER, SCALED, Graph, Node, needed
from limitpoint.engines.trace.levels import CALLS, is_barrier, levels
from limitpoint.engines.trace.rewriting import with_ascents, with_reciprocals
from limitpoint.engines.trace.rule import Step, TracedRule

HEAD = '''"""Written by limitpoint.engines.cpu from a traced rule; safe to delete."""

import math

from numba import cfunc

from limitpoint.engines.cpu.kernels import _link
from limitpoint.engines.cpu.kernels._calls import (
    ascend, copied, first_largest, gradient, gradients, newton_schulz, polar_of, shrink,
    spread, weight_of,
)
from limitpoint.engines.cpu.kernels._link import task_at
from limitpoint.engines.cpu.kernels._maths import exp, larger, log_ndtr, sign, smaller
from limitpoint.engines.cpu.kernels._scaled import (
    log_abs, normal, over, plain, plus, power, root, scaled_exp,
)
from limitpoint.engines.cpu.kernels._tiles import largest

unpack = _link.unpack("rule")


@cfunc(_link.UNIT, cache={cache}, **_link.OPTIONS)
def unit(pointer):
    here, t = unpack(pointer)
    task = task_at(here)
    first = task.first if task.first != 0 else here
    w, settings, now = task.w, task.settings, task.now
    memory, memory_e = task.memory, task.memory_exponent
    work, work_e = task.work, task.work_exponent
    rows, width, d, groups = w.shape[1], w.shape[2], task.d, (task.hi - task.lo) // {batch}
'''
#: What is compiled by hand needs room beside its own place: so many places, and so many matrices
#: of rows x rows.
ROOM = {"polar_of": (1, 1), "newton_schulz": (1, 2), "first_largest": (0, 0)}
KEPT, PLACE = ("memory", "memory_e"), ("work", "work_e")
SIZES = {"r": "rows", "c": "d", "g": "groups"}


@dataclass
class Room:
    """The places that a unit works in, each of the size of a parameter.

    Args:
        singles: how many.
        groups: how many for each batch of m-SAM.
        squares: matrices of rows x rows, each in as many places as it takes.
        batch: examples of such a batch.
    """

    singles: int = 0
    groups: int = 0
    squares: int = 0
    batch: int = 1

    def places(self, seen: int, rows: int, d: int) -> int:
        """All of them, for a step that sees so many examples."""
        matrices = self.squares * -(-rows // d)
        return self.singles + matrices + self.groups * (seen // self.batch)


@dataclass(frozen=True)
class RuleSource:
    """A unit.

    Args:
        text: of its module.
        room: that it works in.
        now: (schedule, offset) of each number that is given step by step.
    """

    text: str
    room: Room
    now: tuple[tuple[int, int], ...]


@lru_cache(maxsize=256)
def rule_source(traced: TracedRule, rows: int, d: int, *, ascends: bool) -> RuleSource:
    """Write the unit of a rule.

    Args:
        traced: the rule.
        rows: of a parameter.
        d: inputs.
        ascends: whether the model spares 1-SAM to write down a point for each example, and the
            loss's slopes have no exponents.
    """
    steps = [step for step in (traced.first, traced.later) if step is not None]
    steps = [_faster(step, traced.graph, ascends=ascends) for step in steps]
    return _source(steps, rows, d)


def _faster(step: Step, graph: Graph, *, ascends: bool) -> Step:
    outputs = with_reciprocals(step.outputs, graph)
    w, *state = with_ascents(outputs, graph) if ascends else outputs
    return Step(w, tuple(state))


def _source(steps: list[Step], rows: int, d: int) -> RuleSource:
    writers = [_Writer(step, rows, d) for step in steps]
    now = tuple(dict.fromkeys(key for writer in writers for key in writer.now))
    names = [part.name for part in fields(Room)]
    room = Room(**{name: max(getattr(w.room, name) for w in writers) for name in names})
    lines: list[str] = []
    if len(writers) == 2:
        first = writers[0].lines(room, now, "        ")
        lines = ["    if t == 0:", *first, "        return"]
    lines += writers[-1].lines(room, now, "    ")
    text = HEAD.replace("{batch}", str(room.batch)) + "\n".join(lines) + "\n"
    return RuleSource(text, room, now)


class _Writer:
    """One step: level by level, calls first and then the loops."""

    def __init__(self, step: Step, rows: int, d: int) -> None:
        self.step = step
        self.square = -(-rows // d)
        self.room = Room()
        self.now: list[tuple[int, int]] = []
        self.places: dict[int, str] = {}
        self.numbers = Expressions(self._number, "", "n")
        self._write()

    def lines(self, room: Room, now: tuple[tuple[int, int], ...], indent: str) -> list[str]:
        """The lines of the step, with what both graphs of a rule share filled in."""
        groups_from = str(room.singles + room.squares * self.square)
        found = "\n".join(self.numbers.lines).replace("{groups}", groups_from)
        found = found.replace("{squares}", str(room.singles))
        for key in self.now:
            found = found.replace(f"{{now {key[0]} {key[1]}}}", f"now[{now.index(key)}]")
        return [indent + line for line in found.split("\n")]

    def _write(self) -> None:
        nodes = needed(self.step.outputs)
        level = levels(self.step.outputs, waits=is_barrier)
        last = max(level[id(node)] for node in nodes)
        loops = [Loop.of(self.step, nodes, level, now, last) for now in range(last + 1)]
        self.saved = worth_saving([loop for pair in loops for loop in pair])
        for now, pair in enumerate(loops):
            for node in nodes:
                if level[id(node)] == now and node.op in CALLS:
                    self._call(node)
                elif level[id(node)] == now and node.axes == NUMBER:
                    self.numbers.value(node)
            for loop in pair:
                if loop.roots:
                    self._loop(loop)

    # -------------------------------------------------------------------------------------- room

    def _place(self, node: Node) -> str:
        """The first index of the place of a node, or of its places, one a batch."""
        if id(node) not in self.places:
            if "g" in node.axes:
                self.places[id(node)] = f"({{groups}} + {self.room.groups} * groups)"
                self.room.groups += 1
            else:
                self.places[id(node)] = self._single()
        return self.places[id(node)]

    def _single(self) -> str:
        self.room.singles += 1
        return str(self.room.singles - 1)

    def _entry(self, node: Node, part: str = "work") -> str:
        place = self._place(node) + (" + g" if "g" in node.axes else "")
        return f"{part}[{place}, {_index(node)}]"

    def _span(self, node: Node) -> str:
        place = self._place(node)
        return f"{place}:{place} + {'groups' if 'g' in node.axes else '1'}"

    # ------------------------------------------------------------------------------------- calls

    def _call(self, call: Node) -> None:
        write, point = self.numbers.line, call.args[0]
        if call.op in ROOM:
            self._by_hand(call)
            return
        out = f"work[{self._span(call)}], work_e[{self._span(call)}]"
        if call.op == "ascend":
            write(f"ascend(here, {self.numbers.plain(call.args[1])}, {out})")
            return
        at = "w" if point.op == "w" else f"work[{self._span(point)}]"
        if call.op == "gradient":
            seen = "first" if call.data == 0 else "here"
            whole = f"weight_of(task, task_at({seen}).hi - task_at({seen}).lo)"
            write(f"gradient({seen}, {at}, {whole}, {out})")
            return
        self.room.batch = call.data
        if call.op == "gradients":
            write(f"gradients(here, {at}, {call.data}, {out})")
        else:
            write(f"gradient(here, {at}, weight_of(task, {call.data}) / groups, {out})")

    def _by_hand(self, call: Node) -> None:
        places, squares = ROOM[call.op]
        self.room.squares = max(self.room.squares, squares)
        place = self._place(call)
        spare = "".join(f", work[{self._single()}]" for _ in range(places))
        matrices = f", work[{{squares}}:{{squares}} + {squares * self.square}]"
        more = "".join(f", {self.numbers.plain(arg)}" for arg in call.args[1:])
        self.numbers.line(f"copied(work, {place}, {self._place(call.args[0])})")
        rest = (spare + matrices if squares else "") + more
        self.numbers.line(f"{call.op}(work[{place}], d{rest})")

    # ------------------------------------------------------------------------------------- loops

    def _number(self, node: Node) -> Value | None:
        """What is there before a step, or was summed."""
        if node.op == "setting":
            return f"settings[{node.data}]"
        if node.op == "schedule":
            self.now.append(node.data)
            return f"{{now {node.data[0]} {node.data[1]}}}"
        if node.op == "t":
            return "float(t)"
        if node.op == "size":
            return f"float({SIZES[node.data]})"
        if node.op == "kept":
            self.numbers.depth[id(node)] = 0.0
            return _kept(node)
        return None

    def _found(self, node: Node, loop: Expressions) -> Value | None:
        """What a loop does not compute itself."""
        if node.axes == NUMBER:
            if node.kind == SCALED:
                loop.depth[id(node)] = self.numbers.depth.get(id(node), math.inf)
            return self.numbers.value(node)
        if node.op == "w":
            return f"w[0, {_index(node)}]"
        if node.op == "kept":
            loop.depth[id(node)] = 0.0
            return _kept(node)
        saved = any(
            node in nodes for place, nodes in self.saved.items() if place.order < self.here.order
        )
        if saved or is_barrier(node):
            if saved:
                loop.depth[id(node)] = 0.0
            m, e = (self._entry(node, part) for part in PLACE)
            return (m, e) if node.kind == SCALED else m
        return None

    def _loop(self, loop: Loop) -> None:
        """Go through all entries: sum, write down what is asked for later, and at last outputs."""
        write, inner = self.numbers.line, "    " if loop.grouped else ""
        for node in loop.sums:
            self._start(node)
        body = Expressions(lambda node: self._found(node, body), inner + "        ", "x")
        self.here, ends = loop, list[str]()
        #: What has to be there in the lanes beyond a row, and what is done at the end of a row.
        beyond: list[str] = []
        for node in loop.sums:
            value, total = body.plain(node.args[0]), self._total(node)
            if node.op != "amax":
                body.line(f"{total} = {total} + {value}")
            elif "c" not in node.data:
                body.line(f"{total} = larger({value}, {total})")
            else:
                # A maximum keeps its lanes only if it is asked of a whole row.
                row = self._single()
                body.line(f"work[{row}, 0, c] = {value}")
                beyond.append(f"work[{row}, 0, c] = -math.inf")
                ends.append(f"{total} = larger(largest(work[{row}], 0), {total})")
        for node in loop.points:
            body.line(f"{self._entry(node)} = {body.plain(node)}")
            if "c" in node.axes:
                beyond.append(f"{self._entry(node)} = 0.0")
        for node in self.saved.get(loop, []):
            parts = body.normal(node) if node.kind == SCALED else (body.plain(node),)
            for part, text in zip(PLACE, parts, strict=False):
                body.line(f"{self._entry(node, part)} = {text}")
        if loop.step is not None:
            self._outputs(loop.step, body)
            beyond.append("w[0, r, c] = 0.0")
        if loop.grouped:
            write("for g in range(groups):")
        write(inner + "for r in range(rows):")
        # A sum takes the entries that there are; everything else is done in whole lanes.
        exact = any(node.op != "amax" or "c" not in node.data for node in loop.sums)
        write(inner + f"    for c in range({'d' if exact else 'width'}):")
        self.numbers.lines += body.lines
        if beyond:
            write(inner + "    for c in range(d, width):")
            self.numbers.lines += [f"{inner}        {line}" for line in beyond]
        self.numbers.lines += [f"{inner}    {line}" for line in ends]
        if loop.step is not None:
            self._kept_numbers(loop.step)
        for node in loop.sums:
            self._finish(node)

    def _total(self, node: Node) -> str:
        if node.axes != NUMBER:
            return self._entry(node)
        if id(node) not in self.places:
            self.places[id(node)] = f"total{len(self.places)}"
        return self.places[id(node)]

    def _start(self, node: Node) -> None:
        zero = literal(-math.inf if node.op == "amax" else 0.0)
        if node.axes == NUMBER:
            self.numbers.line(f"{self._total(node)} = {zero}")
        else:
            self.numbers.line(f"spread(work[{self._span(node)}], {zero})")

    def _finish(self, node: Node) -> None:
        if node.axes == NUMBER:
            self.numbers.names[id(node)] = self._total(node)
        if node.op == "mean":
            over = " * ".join(SIZES[axis] for axis in node.data)
            target = self._total(node) if node.axes == NUMBER else f"work[{self._span(node)}]"
            self.numbers.line(f"{target} /= {over}" if node.axes == NUMBER else
                              f"shrink({target}, {over})")  # fmt: skip

    def _outputs(self, step: Step, body: Expressions) -> None:
        """The new iterate and what is kept: all computed before the first is written."""
        moved = body.plain(step.w)
        kept = [
            (k, node, body.normal(node) if node.kind == SCALED else (body.plain(node),))
            for k, node in enumerate(step.state)
            if node.axes != NUMBER and not (node.op == "kept" and node.data[0] == k)
        ]
        for k, _, parts in kept:
            for part, text in zip(KEPT, parts, strict=False):
                body.line(f"{part}[{k}, r, c] = {text}")
        body.line(f"w[0, r, c] = {moved}")

    def _kept_numbers(self, step: Step) -> None:
        """What is kept and is a number, or the same for each entry."""
        for k, node in enumerate(step.state):
            if node.axes == NUMBER and not (node.op == "kept" and node.data[0] == k):
                found = (
                    self.numbers.normal(node)
                    if node.kind == SCALED
                    else (self.numbers.plain(node),)
                )
                for part, text in zip(KEPT, found, strict=False):
                    self.numbers.line(f"spread({part}[{k}:{k} + 1], {text})")


def _index(node: Node) -> str:
    return f"{'r' if 'r' in node.axes else '0'}, {'c' if 'c' in node.axes else '0'}"


def _kept(node: Node) -> Value:
    at = f"[{node.data[0]}, {_index(node)}]"
    if node.kind == SCALED:
        return f"memory{at}", f"memory_e{at}"
    return f"memory{at}"
