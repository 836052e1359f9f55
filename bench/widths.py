"""How many times as fast as jax the compiled engine is, by the width of vectors.

    python -m bench.widths                   # this processor's, and 256 bits if it has 512
    python -m bench.widths --json reports/bench/widths.json

Each width has a process, in which both have no wider vectors: numba by its features, jax by
`--xla_cpu_max_isa`. Ratios of processor time within a round, medians and quartiles of the rounds;
one thread for one problem, two for many. Answers are compared before anything is timed. A table
holds for the kind of machine that it names, and for no other.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import median
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
WIDTHS = (512, 256)
PEER = "jax jit"
ROUNDS = 7
#: What is meant to be reached.
BARS = {1: 1.5, 32: 4.0, 256: 4.0}


def environment(bits: int) -> dict[str, str]:
    """What a process must have in its environment for vectors of so many bits."""
    if bits == 512:
        return {}
    from llvmlite import binding

    has = binding.get_host_cpu_features()
    features = [("+" if on and "avx512" not in name else "-") + name for name, on in has.items()]
    flags = f"{os.environ.get('XLA_FLAGS', '')} --xla_cpu_max_isa=AVX2".strip()
    return {
        "NUMBA_CPU_NAME": "haswell",
        "NUMBA_CPU_FEATURES": ",".join(features),
        "XLA_FLAGS": flags,
    }


def widest() -> int:
    """Bits of this processor's vectors."""
    from llvmlite import binding

    return 512 if binding.get_host_cpu_features().get("avx512f", False) else 256


def one() -> list[dict[str, Any]]:
    """Ratios of all workloads and batches, in this process."""
    from bench.contest import contest
    from bench.peers import FUSED
    from bench.workloads import BATCHES, WORKLOADS
    from limitpoint.engines.cpu.kernels._tiles import PROCESSOR

    found = []
    for batch in BATCHES:
        for name in WORKLOADS:
            entries = contest(name, batch, (PEER, FUSED))
            if entries[PEER].missing:
                raise SystemExit(f"widths: {entries[PEER].missing}")
            ratios = sorted(_round(entries, FUSED) for _ in range(ROUNDS))
            row = {"workload": name, "batch": batch, "bits": 64 * PROCESSOR.lanes}
            quartiles = {"low": ratios[ROUNDS // 4], "high": ratios[-1 - ROUNDS // 4]}
            found.append(row | {"ratio": median(ratios)} | quartiles)
    return found


def _round(entries: Mapping[str, Any], own: str) -> float:
    """Seconds a step of jax over ours."""
    spent = {}
    for peer in (PEER, own):
        entry = entries[peer]
        started = time.process_time()
        entry.runner(entry.steps)
        spent[peer] = (time.process_time() - started) / entry.steps
    return spent[PEER] / spent[own]


def measure() -> dict[str, Any]:
    """All widths that there are, and the machine."""
    from limitpoint.ledger import environment as here

    rows: list[dict[str, Any]] = []
    for bits in [bits for bits in WIDTHS if bits <= widest()]:
        own = os.environ | environment(bits) | {"LIMITPOINT_THREADS": "2"}
        command = [sys.executable, "-m", "bench.widths", "--one"]
        done = subprocess.run(command, cwd=ROOT, env=own, stdout=subprocess.PIPE, text=True)
        if done.returncode != 0:
            raise SystemExit(done.returncode)
        rows += json.loads(done.stdout)
    return {"machine": f"{here('cpu').cpu}, vectors of {widest()} bits", "rows": rows}


def table(found: Mapping[str, Any]) -> str:
    """A line a workload, a column a batch and width."""
    rows = {(row["workload"], row["batch"], row["bits"]): row for row in found["rows"]}
    columns = sorted({(bits, batch) for _, batch, bits in rows}, key=lambda c: (-c[0], c[1]))
    names = list(dict.fromkeys(row["workload"] for row in found["rows"]))
    head = [f"{bits} bits, batch {batch}" for bits, batch in columns]
    lines = [f"jax's processor time / ours: {found['machine']}", ""]
    lines += [f"| | {' | '.join(head)} |", f"|---|{'--:|' * len(head)}"]
    for name in names:
        cells = [rows[name, batch, bits] for bits, batch in columns]
        shown = [f"{c['ratio']:.2g}{'' if c['ratio'] >= BARS[c['batch']] else ' *'}" for c in cells]
        lines.append(f"| {name} | {' | '.join(shown)} |")
    bars = ", ".join(f"{bar:g} at batch {batch}" for batch, bar in BARS.items())
    return "\n".join([*lines, "", f"*: below the bar ({bars})"])


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m bench.widths", description=__doc__)
    parser.add_argument("--json", type=Path, help="where to keep the numbers")
    parser.add_argument("--one", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if options.one:
        if hasattr(os, "sched_setaffinity"):
            os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:2])
        print(json.dumps(one()))
        return
    found = measure()
    if options.json is not None:
        options.json.write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")
    print(table(found))


if __name__ == "__main__":
    main()
