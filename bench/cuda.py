"""The fused engine on a GPU: equality first, then microseconds a step, to reports/cuda.json.

    python -m bench.cuda                     # the four workloads
    python -m bench.cuda --all               # what ten minutes can tell: see bench/on_gpu.py
    python -m bench.cuda --all --seconds 200

Where there is no GPU it says so and exits with 2.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec
import torch
from rich.console import Console
from rich.progress import track
from rich.table import Table

from bench import on_gpu
from bench.workloads import BATCHES, WORKLOADS, Workload
from limitpoint import Problem, run
from limitpoint.engines.devices import check_device
from limitpoint.errors import UsageError
from limitpoint.ledger import environment

#: What is compared: engine and device. The first is the definition.
WAYS = {
    "torch on CPU": ("torch", "cpu"),
    "fused on CPU": ("fused", "cpu"),
    "torch on CUDA": ("torch", "cuda"),
    "fused on CUDA": ("fused", "cuda"),
}
#: Steps after which the ways are compared.
COMPARED = 200
ROUNDS = 7
#: Seconds that one timed run should take, as far as steps can be counted out.
SAMPLE = 0.3
REPORT = Path(__file__).resolve().parent.parent / "reports" / "cuda.json"


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure what is asked for; the exit code."""
    parser = argparse.ArgumentParser(prog="python -m bench.cuda")
    parser.add_argument("--all", action="store_true", help="peaks, timings to 65 536, parity")
    parser.add_argument("--seconds", type=float, default=570, help="that --all may take")
    options = parser.parse_args(arguments)
    try:
        check_device("cuda")
    except UsageError as exc:
        print(exc, file=sys.stderr)
        return 2
    if options.all:
        return on_gpu.main(options.seconds)
    found = measure(BATCHES)
    REPORT.parent.mkdir(exist_ok=True)
    REPORT.write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")
    Console().print(table(found))
    print(f"report: {REPORT}")
    return 0


def measure(batches: tuple[int, ...]) -> dict[str, Any]:
    """Gaps and times of all workloads, and what they were measured on."""
    cases = [(workload, size) for workload in WORKLOADS.values() for size in batches]
    on_cuda = any(device == "cuda" for _, device in WAYS.values())
    shown = track(cases, "measuring", console=Console(stderr=True))
    results = [case(workload, size) for workload, size in shown]
    here = msgspec.to_builtins(environment("cuda" if on_cuda else "cpu"))
    return {"environment": here, "results": results}


def case(workload: Workload, size: int) -> dict[str, Any]:
    """One workload at one batch: equality checked, then the ways in turn, round by round.

    Raises:
        AssertionError: a way ends elsewhere than the definition.
    """
    problem = workload.batch(size) if size > 1 else workload.problem(0)
    gaps = differences(workload, problem)
    for way, gap in gaps.items():
        assert gap <= workload.tolerance, f"{way} ends elsewhere on {workload.name}: {gap:.1e}"
    steps = {way: _steps(way, workload, problem) for way in WAYS}
    rounds = [
        {way: seconds(way, workload, problem, steps[way]) / steps[way] for way in WAYS}
        for _ in range(ROUNDS)
    ]
    times = {way: 1e6 * statistics.median(r[way] for r in rounds) for way in WAYS}
    named = {"workload": workload.name, "title": workload.title, "batch": size}
    return named | {"gap": gaps, "microseconds": times}


def differences(workload: Workload, problem: Problem) -> dict[str, float]:
    """Largest difference of each way to the definition, relative to the iterate."""
    ends = {
        way: run(problem, workload.rule, COMPARED, record=[COMPARED], engine=e, device=d).final
        for way, (e, d) in WAYS.items()
    }
    end = next(iter(ends.values()))
    return {way: float((w - end).abs().max() / end.abs().max()) for way, w in ends.items()}


def seconds(way: str, workload: Workload, problem: Problem, steps: int) -> float:
    """How long a run takes, the way to the device and back included."""
    engine, device = WAYS[way]
    started = time.perf_counter()
    run(problem, workload.rule, steps, record=[steps], engine=engine, device=device)
    return time.perf_counter() - started


def _steps(way: str, workload: Workload, problem: Problem) -> int:
    """How many steps fill a sample."""
    steps = 10
    while (spent := seconds(way, workload, problem, steps)) < SAMPLE / 4 and steps < 10**6:
        steps *= 4
    return max(1, int(steps * SAMPLE / spent))


def table(found: dict[str, Any]) -> Table:
    """Microseconds a step."""
    shown = Table(title=f"microseconds a step: {found['environment']['device']}")
    for name in ("workload", "batch", *WAYS):
        shown.add_column(name, justify="left" if name == "workload" else "right")
    for result in found["results"]:
        times = [f"{result['microseconds'][way]:.3g}" for way in WAYS]
        shown.add_row(result["workload"], str(result["batch"]), *times)
    return shown


if __name__ == "__main__":
    torch.set_num_threads(2)
    sys.exit(main())
