"""The text of a kernel: one program a problem, all its steps in one loop."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

from limitpoint.engines.cpu.source.expressions import Value
from limitpoint.engines.gpu.source.blocks import Blocks
from limitpoint.engines.trace.graph import NUMBER, SCALED, Node, needed
from limitpoint.engines.trace.levels import REDUCTIONS
from limitpoint.engines.trace.loss import CLASSES, MARGIN, TracedLoss
from limitpoint.engines.trace.rewriting import with_ascents
from limitpoint.engines.trace.rule import Step, TracedRule

HEAD = '''"""Written by limitpoint from a traced rule and a traced loss; safe to delete."""

import triton
import triton.language as tl

from limitpoint.engines.gpu.kernels._maths import (
    expm1, first_largest, larger, log1p, pow_of, sign, smaller, tanh,
)
from limitpoint.engines.gpu.kernels._scaled import (
    LEAST, f64, log_abs, normal, over, plain, plus, power, root, scaled_exp,
)
from limitpoint.engines.gpu.kernels.gradients import (
    Task, accumulate, ascended_gradient, gradient, nothing, objective, weight_of,
)
'''
#: What every gradient is told of the problem's form.
FORM = "P, BLOCK, DEPTH, MODEL, CLASSES, SCALED, slopes"
CONSTANTS = ("P", "BLOCK", "DEPTH", "MODEL", "CLASSES", "SCALED")
#: What is compiled by hand for Triton too.
BY_HAND = ("first_largest",)


@dataclass(frozen=True)
class KernelSource:
    """A kernel.

    Args:
        text: of its module; `trajectory` is the kernel.
        now: (schedule, offset) of each number that is given step by step.
    """

    text: str
    now: tuple[tuple[int, int], ...]


class NotForTriton(Exception):  # noqa: N818 - it is no error
    """A graph that needs what no kernel has; says what."""


@lru_cache(maxsize=256)
def kernel_source(rule: TracedRule, loss: TracedLoss) -> KernelSource:
    """Write a kernel.

    Raises:
        NotForTriton: there is an operation in it that no kernel has.
    """
    now: list[tuple[int, int]] = []
    kept = len(rule.kinds)
    steps = [_ascended(step, rule, loss) for step in (rule.first, rule.later) if step is not None]
    names = ["first", "later"][-len(steps) :]
    texts = [_step(name, step, kept, now) for name, step in zip(names, steps, strict=True)]
    text = "\n\n".join([HEAD, *_loss(loss), *texts, _loop(kept, len(now), names)])
    return KernelSource(text, tuple(now))


def _ascended(step: Step, rule: TracedRule, loss: TracedLoss) -> Step:
    w, *state = step.outputs if loss.scaled else with_ascents(step.outputs, rule.graph)
    return Step(w, tuple(state))


# ------------------------------------------------------------------------------------------- losses


def _loss(loss: TracedLoss) -> list[str]:
    many = loss.form == CLASSES

    def found(node: Node) -> Value | None:
        if node.op == "x":
            return "y * z" if loss.form == MARGIN else ("gaps" if many else "z - y")
        if node.op == "setting":
            return f"tl.load(loss + {node.data})"
        return body.reduced(node) if node.op in REDUCTIONS and node.args[0].axes != NUMBER else None

    opening = [
        "    label = tl.arange(0, z.shape[1])[None, :] == y[:, None]",
        "    has_k = tl.arange(0, z.shape[1])[None, :] < k",
        "    own = tl.sum(tl.where(label, z, 0.0), 1)[:, None]",
        '    gaps = tl.where(has_k & ~label, z - own, float("-inf"))',
    ]
    texts = []
    for name, node in (("slopes", loss.slope), ("values", loss.log_value)):
        body = Blocks(found, "    ", "x")
        _check(needed([node]))
        if name == "values":
            text = body.plain(node)
            # The sum over classes has kept its dimension.
            body.line(f"return tl.sum({text}, 1)" if many else f"return {text}")
        elif node.kind == SCALED:
            m, e = body.normal(node)
            if loss.true is not None:
                true, scale = body.normal(loss.true)
                m, e = f"tl.where(label, -{true}, {m})", f"tl.where(label, {scale}, {e})"
            body.line(f"return {m if many else f'-y * {m}'}, {e}")
        else:
            text = body.plain(node)
            body.line(f"return {text}, tl.zeros_like({text})")
        head = ["@triton.jit", f"def {name}(z, y, k, loss):"]
        texts.append("\n".join([*head, *(opening if many else []), *body.lines]))
    return texts


# -------------------------------------------------------------------------------------------- rules


def _check(nodes: list[Node]) -> None:
    for node in nodes:
        if node.op in ("log_ndtr", "polar_of", "newton_schulz"):
            raise NotForTriton(node.op)


class _Scope(Blocks):
    """A step, or what is done for each batch of m-SAM in it."""

    def __init__(self, indent: str, now: list[tuple[int, int]], outer: _Scope | None) -> None:
        super().__init__(self.found, indent, "x" if outer is None else "y")
        self.now, self.outer = now, outer
        self.loops = 0

    def found(self, node: Node) -> Value | None:
        """Leaves, gradients, and sums."""
        if self.outer is not None and "g" not in node.axes:
            if node.kind == SCALED:
                value = self.outer.pair(node)
                self.depth[id(node)] = self.outer.depth.get(id(node), float("inf"))
                return value
            return self.outer.plain(node)
        if node.op in _LEAVES:
            return self._leaf(node)
        if node.op in ("gradient", "gradients", "ascend"):
            return self._gradient(node)
        if node.op == "batch_mean" or (node.op in REDUCTIONS and "g" in node.data):
            return self._over_batches(node)
        if node.op in REDUCTIONS and node.args[0].axes != NUMBER:
            return self.reduced(node)
        if node.op in BY_HAND:
            return f"{node.op}({self.plain(node.args[0])}, {self.plain(node.args[1])})"
        return None

    def _leaf(self, node: Node) -> Value | None:
        if node.op == "schedule":
            if node.data not in self.now:
                self.now.append(node.data)
            return f"now{self.now.index(node.data)}"
        if node.op == "kept":
            self.depth[id(node)] = 0.0
            name = f"kept{node.data[0]}"
            return (name, f"{name}e") if node.kind == SCALED else name
        return {
            "w": "w",
            "setting": f"tl.load(settings + {node.data})",
            "t": "steps",
            "size": f"size_{node.data}",
        }[node.op]

    def _gradient(self, node: Node) -> Value:
        if node.op == "ascend":
            call = f"ascended_gradient(task, w, {self.plain(node.args[1])}, {FORM})"
        else:
            point = self._point(node.args[0])
            if node.op == "gradients":
                span, weight = "start, start + group", f"weight_of(task, {node.data})"
            elif node.data == 0:
                span, weight = "first_lo, first_hi", "weight_of(task, first_hi - first_lo)"
            else:
                span, weight = "task.lo, task.hi", "weight_of(task, task.hi - task.lo)"
            call = f"gradient(task, {point}, {span}, {weight}, {FORM})"
        name = f"{self.prefix}g{len(self.names)}"
        self.line(f"{name}, {name}e = {call}")
        return (name, f"{name}e") if node.kind == SCALED else name

    def _point(self, node: Node) -> str:
        text = self.plain(node)
        return text if text == "w" else f"tl.where(inside, {text}, 0.0)"

    def _over_batches(self, node: Node) -> Value:
        """A loop over batches; what they share is computed before it."""
        inside = _Scope(self.indent + "    ", self.now, self)
        name = f"{self.prefix}b{len(self.names)}"
        if node.op == "batch_mean":
            point = inside._point(node.args[0])
            weight = f"weight_of(task, {node.data}) / size_g"
            inside.line(f"m, e = gradient(task, {point}, start, start + group, {weight}, {FORM})")
            inside.line(f"{name}, {name}e = accumulate({name}, {name}e, m, e, SCALED)")
            self.line(f"{name}, {name}e = nothing(w, SCALED)")
        else:
            value = inside.plain(node.args[0])
            least = 'float("-inf")' if node.op == "amax" else "0.0"
            add = f"larger({value}, {name})" if node.op == "amax" else f"{name} + {value}"
            inside.line(f"{name} = {add}")
            self.line(f"{name} = tl.zeros_like(w) + {least}")
        self.line("for start in range(task.lo, task.hi, group):")
        self.lines += inside.lines
        if node.op == "mean":
            self.line(f"{name} = {name} / size_g")
        rest = tuple(axis for axis in node.data if axis != "g") if node.op in REDUCTIONS else ()
        if rest:
            raise NotForTriton("a sum over batches and entries at once")
        return (name, f"{name}e") if node.kind == SCALED else name


_LEAVES = ("w", "kept", "setting", "schedule", "t", "size")


def _step(name: str, step: Step, kept: int, now: list[tuple[int, int]]) -> str:
    _check(needed(step.outputs))
    scope = _Scope("    ", now, None)
    found = [f"tl.where(inside, {scope.plain(step.w)}, 0.0)"]
    for node in step.state:
        if node.kind == SCALED:
            found += [f"{part} + tl.zeros_like(w)" for part in scope.normal(node)]
        else:
            found += [f"{scope.plain(node)} + tl.zeros_like(w)", "tl.zeros_like(w)"]
    given = ", ".join(f"kept{k}, kept{k}e" for k in range(kept))
    numbers = ", ".join(f"now{k}" for k in range(len(now)))
    arguments = ", ".join(part for part in (given, numbers) if part)
    head = [
        "@triton.jit",
        f"def {name}(task, w, settings, steps, first_lo, first_hi, group, {arguments}"
        + (", " if arguments else "")
        + ", ".join(f"{constant}: tl.constexpr" for constant in CONSTANTS)
        + "):",
        "    has_r = tl.arange(0, w.shape[0])[:, None] < task.k",
        "    has_c = tl.arange(0, w.shape[1])[None, :] < task.d",
        "    inside = has_r & has_c",
        "    size_r, size_c = task.k.to(tl.float64), task.d.to(tl.float64)",
        "    size_g = ((task.hi - task.lo) // group).to(tl.float64)",
    ]
    return "\n".join([*head, *scope.lines, f"    return {', '.join(found)}"])


def _loop(kept: int, numbers: int, names: list[str]) -> str:
    """The kernel; see `limitpoint.engines.cpu.kernels.loop` for what it is given."""
    every = range(kept)
    given = "".join(f", kept{k}, kept{k}e" for k in every)
    now = "".join(f", now{k}" for k in range(numbers))
    call = f"(task, point, settings + b * SETTINGS, steps, first_lo, first_hi, group{given}{now}, "
    call += ", ".join(CONSTANTS) + ")"
    results = f"point{given}"
    lines = [
        *(
            f"    kept{k} = tl.load(memory + (b * {kept} + {k}) * ROWS * D + cell)\n"
            f"    kept{k}e = tl.load(memory_e + (b * {kept} + {k}) * ROWS * D + cell)"
            for k in every
        ),
        "    for t in range(begin, end):",
        "        lo, hi = 0, n",
        "        if STOCHASTIC:",
        "            lo = tl.load(draws + (t - begin) * count + b).to(tl.int32)",
        "            hi = lo + 1",
        "        first_lo, first_hi = lo, hi",
        "        if ON_ALL:",
        "            first_lo, first_hi = 0, n",
        "        task = Task(data, targets, n, d, rows, loss, lo, hi, factor, mean)",
        "        steps = f64(0.0) + t",
        "        row = (t - begin) * ETA_T",
        "        size = tl.load(etas + row * ETA_B + b * (ETA_B > 1))",
        "        total += size",
        "        if SUMMED:",
        "            total_loss += size * objective(task, point, BLOCK, DEPTH, MODEL, values)",
        *(
            f"        now{k} = tl.load(tables + (tl.load(now_of + {2 * k}) * TABLE_T + t - begin"
            f" + tl.load(now_of + {2 * k + 1})) * TABLE_B + b * (TABLE_B > 1))"
            for k in range(numbers)
        ),
    ]
    if len(names) == 2:
        lines += [
            "        if t == 0:",
            f"            {results} = first{call}",
            "        else:",
            f"            {results} = later{call}",
        ]
    else:
        lines.append(f"        {results} = later{call}")
    stores = [
        f"    tl.store({name} + (b * {kept} + {k}) * ROWS * D + cell, kept{k}{suffix})"
        for k in every
        for name, suffix in (("memory", ""), ("memory_e", "e"))
    ]
    return LOOP.replace("{steps}", "\n".join(lines)).replace("{stores}", "\n".join(stores))


LOOP = """@triton.jit(
    do_not_specialize=(
        "n", "d", "rows", "group", "records", "record", "begin", "end", "mean",
    )
)
def trajectory(
    X, x_of, y, y_of, loss, factor, etas, tables, now_of, settings, draws,
    w, memory, memory_e, sums, times, kept, kept_sums,
    n, d, rows, mean, group, records, record, begin, end,
    SETTINGS: tl.constexpr, ETA_T: tl.constexpr, ETA_B: tl.constexpr, TABLE_T, TABLE_B,
    ROWS: tl.constexpr, D: tl.constexpr, P: tl.constexpr,
    BLOCK: tl.constexpr, DEPTH: tl.constexpr, MODEL: tl.constexpr, CLASSES: tl.constexpr,
    SCALED: tl.constexpr, STOCHASTIC: tl.constexpr, ON_ALL: tl.constexpr, SUMMED: tl.constexpr,
):
    b = tl.program_id(0).to(tl.int64)
    count = tl.num_programs(0)
    r, j = tl.arange(0, ROWS)[:, None], tl.arange(0, D)[None, :]
    there = (r < rows) & (j < d)
    place, cell = r * d + j, r * D + j
    point = tl.load(w + b * rows * d + place, mask=there, other=0.0)
    total, total_loss = tl.load(sums + 2 * b), tl.load(sums + 2 * b + 1)
    data, targets = X + tl.load(x_of + b) * n * d, y + tl.load(y_of + b) * n
    factor = tl.load(factor)
{steps}
        if tl.load(times + record, mask=record < records, other=-1) == t + 1:
            tl.store(kept + (record * count + b) * rows * d + place, point, mask=there)
            tl.store(kept_sums + (record * count + b) * 2, total)
            tl.store(kept_sums + (record * count + b) * 2 + 1, total_loss)
            record += 1
    tl.store(w + b * rows * d + place, point, mask=there)
{stores}
    tl.store(sums + 2 * b, total)
    tl.store(sums + 2 * b + 1, total_loss)
"""
