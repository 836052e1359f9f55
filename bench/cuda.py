"""Everything that can be learnt in ten minutes on a GPU.

    python -m bench.cuda --all
    python -m bench.cuda --all --seconds 200

Where there is no GPU it says so and exits with 2. In this order, each written to the report before
the next begins, so that what is cut off is little:

1. the device's own peak: flops of a product of matrices, bytes of a triad, in float64;
2. timings of the four workloads at batch 1 to 65 536, on the GPU and on the CPU: what a step takes,
   the share of the peak, and from which batch on the GPU is ahead;
3. parity: each rule, loss and model as a kernel against its definition, 200 steps, and the seconds
   that a kernel takes to be compiled.

What fails is a line of the report, and the rest goes on.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from statistics import median
from typing import Any

import msgspec
import numpy as np
import torch
from rich.console import Console
from rich.table import Table

from bench.counting import COSTS
from bench.workloads import WORKLOADS, Workload
from limitpoint import Problem, run
from limitpoint.engines import cpu, gpu
from limitpoint.engines.devices import check_device
from limitpoint.engines.trajectory import Trajectory
from limitpoint.errors import UsageError
from limitpoint.ledger import environment

ROOT = Path(__file__).resolve().parent.parent
BATCHES = (1, 8, 64, 512, 4096, 65_536)
#: Problems with data of their own; a larger batch has copies of them.
DISTINCT = 64
#: Bytes of data beyond which a batch is left out.
LARGEST = 8e9
ROUNDS = 5
#: Steps after which kernel and definition are compared, and how far apart they may be.
COMPARED, PARITY = 200, 1e-12
#: Seconds of one sample, about; shares of the time that is left for a stage, and for one timing.
SAMPLE, TIMINGS, ONE = 0.1, 0.6, 0.1
Report = dict[str, Any]


class Clock:
    """Seconds on a device, and how many are left."""

    def __init__(self, device: str, seconds: float) -> None:
        self.device, self.end = device, time.monotonic() + seconds

    def left(self) -> float:
        """Seconds until the end."""
        return self.end - time.monotonic()

    def seconds(self, work: Callable[[], object]) -> float:
        """What some work takes, to the end of what it has launched."""
        self._wait()
        started = time.perf_counter()
        work()
        self._wait()
        return time.perf_counter() - started

    def _wait(self) -> None:
        if self.device == "cuda":
            torch.cuda.synchronize()


# ------------------------------------------------------------------------------------------- peaks


def peaks(clock: Clock, size: int = 4096) -> Report:
    """Flops and bytes a second of the device: the best of some."""
    square = torch.randn(size, size, dtype=torch.float64, device=clock.device)
    rows = [torch.zeros(4 * size * size, dtype=torch.float64, device=clock.device) for _ in "abc"]
    a, b, c = rows
    work = {
        "flops": (2.0 * size**3, lambda: square @ square),
        "bytes": (24.0 * len(a), lambda: torch.add(b, c, alpha=0.5, out=a)),
    }
    return {
        name: amount / min(clock.seconds(call) for _ in range(ROUNDS + 1))
        for name, (amount, call) in work.items()
    }


# ----------------------------------------------------------------------------------------- timings


def batch(workload: Workload, size: int) -> Problem:
    """So many problems, each with data in a place of its own.

    Raises:
        MemoryError: the data are too many.
    """
    few = workload.batch(min(size, DISTINCT))
    if few.X.nbytes / len(few.X) * size > LARGEST:
        raise MemoryError(f"data of {few.X.nbytes / len(few.X) * size / 1e9:.0f} GB")
    copies = -(-size // len(few.X))

    def many(part: torch.Tensor) -> torch.Tensor:
        return part.repeat(copies, *[1] * (part.ndim - 1))[:size]

    return replace(few, X=many(few.X), y=many(few.y), start=many(few.start))


def timing(workload: Workload, size: int, device: str, clock: Clock) -> Report:
    """Seconds a step of the whole batch, set-up and the way there and back left out.

    Of two numbers of steps the difference is taken.

    Raises:
        ArithmeticError: one step took as long as many: a busy machine.
    """
    problem = batch(workload, size)

    def steps(count: int) -> float:
        options: Report = {"record": [count], "engine": "fused", "device": device}
        return clock.seconds(lambda: run(problem, workload.rule, count, **options))

    first = steps(1)
    count = 8
    while (spent := steps(count)) < first + SAMPLE and count < 2**20:
        count *= 4
    rounds = 1 if spent > ONE * clock.left() / ROUNDS else ROUNDS
    each = [(steps(count) - steps(1)) / (count - 1) for _ in range(rounds)]
    if median(each) <= 0:
        raise ArithmeticError(f"{count} steps took no longer than one: the machine is busy")
    return {"seconds": median(each), "first": first, "rounds": rounds}


def timings(clock: Clock, devices: Sequence[str], batches: Sequence[int]) -> Iterator[Report]:
    """A row a workload, batch and device, small batches first."""
    end = clock.left() * (1 - TIMINGS)
    for size in batches:
        for name, workload in WORKLOADS.items():
            for device in devices:
                row: Report = {"workload": name, "batch": size, "device": device}
                if clock.left() < end:
                    yield row | {"failed": "no time was left"}
                    continue
                yield row | _kept(lambda w=workload, s=size, d=device: timing(w, s, d, clock))


def shares(rows: Sequence[Report], peak: Mapping[str, float], device: str) -> list[Report]:
    """What each timing comes to: of peak flops, of bandwidth, and the floor over the time.

    The batches' data lie beyond any cache once they are many; few may be read from one.
    """
    found = []
    for row in rows:
        if row["device"] != device or "failed" in row:
            continue
        cost, seconds = COSTS[row["workload"]](), row["seconds"] / row["batch"]
        flops, moved = cost.flops / peak["flops"], cost.bytes / peak["bytes"]
        own = {"flops": flops / seconds, "bytes": moved / seconds}
        found.append({key: row[key] for key in ("workload", "batch")} | own)
    return found


def crossover(rows: Sequence[Report], here: str, there: str) -> dict[str, float | None]:
    """From which batch on a device is ahead, between those that were timed; None if it never is."""
    found: dict[str, float | None] = {}
    for name in WORKLOADS:
        ratios = []
        for size in sorted({row["batch"] for row in rows}):
            own = {
                row["device"]: row["seconds"]
                for row in rows
                if (row["workload"], row["batch"]) == (name, size) and "failed" not in row
            }
            if here in own and there in own:
                ratios.append((math.log(size), math.log(own[here] / own[there])))
        found[name] = _root(ratios)
    return found


def _root(points: Sequence[tuple[float, float]]) -> float | None:
    """Where the ratio passes one for good."""
    if not points or points[-1][1] < 0:
        return None
    later = points[-1]
    for earlier in reversed(points[:-1]):
        if earlier[1] < 0:
            part = -earlier[1] / (later[1] - earlier[1])
            return math.exp(earlier[0] + part * (later[0] - earlier[0]))
        later = earlier
    return math.exp(points[0][0])


# ------------------------------------------------------------------------------------------ parity


def triples() -> list[Any]:
    """Models, losses and rules as the tests combine them: each rule first, then each pair."""
    sys.path.append(str(ROOT / "tests"))
    import combinations

    seen: set[str] = set()
    first, later = [], []
    for triple in (param.values for param in combinations.FEWER):
        (later if triple[2] in seen else first).append(triple)
        seen.add(triple[2])
    return first + later


def parity(clock: Clock, cases: Sequence[Any], where: torch.device, steps: int) -> Iterator[Report]:
    """A row a kernel: how far it ends from the definition, as a part of the iterate."""
    for model, loss, name in cases:
        row: Report = {"kernel": f"{model.__name__}, {loss.__name__}, {name}"}
        if clock.left() < 0:
            yield row | {"failed": "no time was left"}
            continue
        yield row | _kept(lambda m=model, o=loss, n=name: _gap(m, o, n, where, steps, clock))


def _gap(
    model: type, loss: type, name: str, where: torch.device, steps: int, clock: Clock
) -> Report:
    import combinations

    problem = combinations.problem_of(model, loss)
    rule = combinations.rule_for(name, problem.ndim)
    try:
        plan = gpu.plan(cpu.plan(problem, rule, problem.start, {}))
    except cpu.NotCovered as why:
        return {"not covered": str(why)}
    grid = np.array([0, steps])
    there: list[Trajectory] = []
    nothing: Callable[..., None] = lambda w, t: None  # noqa: E731

    def kernel() -> None:
        there.append(Trajectory(grid, *gpu.execute(plan, grid, nothing, None, where)).to("cpu"))

    first, second = clock.seconds(kernel), clock.seconds(kernel)
    end = run(problem, rule, steps, record=[steps], engine="torch").final
    gap = float((there[0].final - end).abs().max() / end.abs().max())
    return {"gap": gap, "compiling": first - second}


def _kept(work: Callable[[], Report]) -> Report:
    """What came of some work, or why nothing did."""
    try:
        return work()
    except Exception as exc:
        return {"failed": f"{type(exc).__name__}: {exc}"[:300]}


# -------------------------------------------------------------------------------------- everything


def everything(
    device: str,
    seconds: float,
    folder: Path,
    *,
    batches: Sequence[int] = BATCHES,
    cases: Sequence[Any] | None = None,
    steps: int = COMPARED,
) -> Path:
    """All stages; the report, which is written after each row.

    Args:
        device: "cuda"; "cpu" only shows that the script works.
        seconds: that it may take.
        folder: of the report, whose name has the device's.
        batches, cases, steps: of the timings and of parity.
    """
    clock, here = Clock(device, seconds), msgspec.to_builtins(environment(device))
    name = torch.cuda.get_device_name() if device == "cuda" else "cpu"
    path = folder / f"cuda-{'-'.join(name.lower().split())}.json"
    folder.mkdir(parents=True, exist_ok=True)
    found: Report = {"device": name, "environment": here, "timings": [], "parity": []}

    def write() -> None:
        path.write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")

    found["peak"] = peaks(clock, 4096 if device == "cuda" else 512)
    others = ("cpu",) if device == "cuda" else ()
    for row in timings(clock, (device, *others), batches):
        found["timings"].append(row)
        write()
    found["shares"] = shares(found["timings"], found["peak"], device)
    found["crossover"] = crossover(found["timings"], "cpu", device) if others else {}
    chosen = triples() if cases is None else cases
    for row in parity(clock, chosen, torch.device(device), steps):
        found["parity"].append(row)
        write()
    write()
    return path


def summary(path: Path) -> Iterator[Table | str]:
    """What a person reads of a report."""
    found = json.loads(path.read_text(encoding="utf-8"))
    table = Table(
        title=f"{found['device']}: microseconds a step of the batch", title_justify="left"
    )
    for column in ("workload", "batch", "device", "", "of peak flops", "of bandwidth"):
        table.add_column(column, justify="left" if column == "workload" else "right")
    shares = {(row["workload"], row["batch"]): row for row in found["shares"]}
    for row in found["timings"]:
        own = shares.get((row["workload"], row["batch"])) if row["device"] != "cpu" else None
        shown = row.get("failed") or f"{1e6 * row['seconds']:.4g}"
        part = [f"{own[key]:.0%}" if own else "" for key in ("flops", "bytes")]
        table.add_row(row["workload"], str(row["batch"]), row["device"], shown, *part)
    yield table
    for name, size in found["crossover"].items():
        yield f"{name}: the GPU is ahead from batch {size:.0f}" if size else f"{name}: never ahead"
    far = off(found["parity"])
    compared = sum("gap" in row for row in found["parity"])
    yield f"parity: {compared} kernels compared, {len(far)} off by more than {PARITY:g}"
    for row in [*far, *(row for row in found["parity"] if "failed" in row)][:20]:
        yield f"  {row['kernel']}: {row.get('failed') or row['gap']}"
    yield f"report: {path}"


def off(parity: Sequence[Report]) -> list[Report]:
    """The kernels that end elsewhere than their definitions."""
    return [row for row in parity if "gap" in row and not row["gap"] <= PARITY]


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, and print what a person reads; 1 if a kernel is off, 2 without a GPU."""
    parser = argparse.ArgumentParser(prog="python -m bench.cuda")
    parser.add_argument("--all", action="store_true", help="all stages, which is the usual")
    parser.add_argument("--seconds", type=float, default=570, help="that it may take")
    seconds = parser.parse_args(arguments).seconds
    try:
        check_device("cuda")
    except UsageError as exc:
        print(exc, file=sys.stderr)
        return 2
    torch.set_num_threads(2)
    console, path = Console(), everything("cuda", seconds, ROOT / "reports")
    for part in summary(path):
        console.print(part, highlight=False, soft_wrap=isinstance(part, str))
    return int(bool(off(json.loads(path.read_text(encoding="utf-8"))["parity"])))


if __name__ == "__main__":
    sys.exit(main())
