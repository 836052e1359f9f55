"""The benchmarks' workloads, peers and counts are right, whatever they cost."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from bench import engines, growth, table
from bench.contest import difference
from bench.counting import COSTS
from bench.peers import PEERS, Unavailable
from bench.workloads import WORKLOADS

from limitpoint import run

ROOT = Path(__file__).resolve().parent.parent
#: torch.compile is left to ./ci/bench, which compares it before it times it: compiling takes long.
QUICK = [peer for peer in PEERS if peer != "torch.compile"]


@pytest.mark.filterwarnings("default")
@pytest.mark.parametrize("batch", [1, 3])
@pytest.mark.parametrize("peer", QUICK)
@pytest.mark.parametrize("name", WORKLOADS)
def test_a_peer_ends_where_the_definition_does(name, peer, batch):
    workload = WORKLOADS[name]
    problem = workload.batch(batch) if batch > 1 else workload.problem(0)
    try:
        runner = PEERS[peer](workload, problem)
    except Unavailable as missing:
        pytest.skip(str(missing))
    end = run(problem, workload.rule, 10, engine="torch").final.numpy()
    assert difference(runner(10), end) <= workload.tolerance
    assert difference(runner(11), end) > workload.tolerance


def test_a_difference_of_nan_is_noticed():
    assert difference(np.array([1.0, np.nan]), np.ones(2)) == float("inf")


@pytest.mark.parametrize("name", WORKLOADS)
def test_a_step_reads_its_data_and_multiplies_them(name):
    """The leading terms, from the shapes: X is read, and multiplied with twice or more."""
    workload = WORKLOADS[name]
    problem, cost = workload.problem(0), COSTS[name]()
    products = problem.X.numel() * (problem.start.numel() // problem.X.shape[-1])
    assert cost.bytes >= 8 * problem.X.numel()
    assert cost.flops >= 4 * products / (2 if name == "1-SAM" else 1)
    assert cost.flops <= 20 * products


# ------------------------------------------------------------------------------------- memory


def grown(name, sizes):
    """Bytes at the peak of two runs of one sweep."""
    command = [sys.executable, "-m", "bench.growth", "--one", name]
    shown = [
        subprocess.run([*command, str(size)], capture_output=True, text=True, check=True, cwd=ROOT)
        for size in sizes
    ]
    return [growth.Point(*json.loads(done.stdout)).bytes for done in shown]


@pytest.mark.nightly
@pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="no peak to be had")
@pytest.mark.parametrize(("name", "each"), [("steps", 0), ("draws", 0), ("records", 100)])
def test_memory_does_not_grow_with_the_steps(name, each):
    """A million steps need their records, and records that are mapped some numbers, not iterates.

    An iterate has 480 bytes; `each` is for a step's number and the sum of step sizes, with copies.
    32 MB are for allocators and for examples that are drawn ahead, 16 * SLICE seconds at most.
    """
    few, many = grown(name, (10_000, 1_000_000))
    assert many <= few + 32e6 + each * 1_000_000


# ------------------------------------------------------------------------- tables and comparisons


def record(peer: str, turn: int, seconds: float, steps: int) -> dict:
    info = {"workload": "GD", "batch": 1, "peer": peer, "turn": turn, "steps": steps}
    return {"extra_info": info, "stats": {"median": seconds}, "options": {"timer": "perf_counter"}}


def test_a_ratio_is_taken_within_a_round_and_per_step(tmp_path, capsys):
    """The machine is ten times as slow in the second round: the ratios are the same in all."""
    slow = {0: 1.0, 1: 10.0, 2: 1.0}
    records = [
        record(peer, turn, factor * seconds, steps)
        for peer, seconds, steps in (("fused", 2.0, 100), ("jax jit", 3.0, 10))
        for turn, factor in slow.items()
    ]
    assert table.ratios(records)["GD", 1]["jax jit"] == pytest.approx((15.0, 15.0, 15.0))
    path = tmp_path / "peers.json"
    path.write_text(json.dumps({"benchmarks": records}), encoding="utf-8")
    table.main([str(path), "--figure", str(tmp_path / "peers.png")])
    assert "15" in capsys.readouterr().out
    assert (tmp_path / "peers.png").stat().st_size > 0


def test_a_bar_that_is_missed_is_shown():
    shown = table._cell(("GD", 32), "jax jit", (1.5, 1.4, 1.6))
    assert shown == "[red]1.5 < 2[/]"
    assert table._cell(("GD", 32), "jax jit", (2.5, 2.4, 2.6)) == "[green]2.5[/]"


def test_an_exponent_is_that_of_the_power_law():
    points = [(size, 3.0 * size**1.5) for size in (1, 2, 4, 8, 16)]
    assert growth.exponent(points) == pytest.approx(1.5)


def ledger(verdict: str = "supported", measured: float = 1.0) -> dict:
    evidence = [{"quantity": "gap", "measured": measured, "tolerance": 1e-9}]
    claim = {"id": "a/b", "subject": None, "seed": 42, "verdict": verdict, "evidence": evidence}
    return {"claims": [{**claim, "seconds": 1.0}]}


def test_engines_that_differ_are_told_apart():
    assert engines.compare(ledger(), ledger(measured=1 + 1e-7)) == []
    (verdict,) = engines.compare(ledger(), ledger(verdict="refuted"))
    assert (verdict.what, verdict.here, verdict.there) == ("verdict", "supported", "refuted")
    (gap,) = engines.compare(ledger(), ledger(measured=1.1))
    assert gap.what == "gap"
    with pytest.raises(ValueError, match="one ledger only"):
        engines.compare(ledger(), {"claims": []})
