"""Peers side by side: every round times each of them once, so that all see the same machine."""

from __future__ import annotations

import pytest

from bench.contest import contest
from bench.peers import PEERS
from bench.workloads import BATCHES, WORKLOADS

ROUNDS = 5


@pytest.mark.parametrize("peer", PEERS)
@pytest.mark.parametrize("turn", range(ROUNDS))
@pytest.mark.parametrize("batch", BATCHES)
@pytest.mark.parametrize("workload", WORKLOADS)
def test_steps(benchmark, workload, batch, turn, peer):
    """One sample; the steps of each are in the JSON."""
    entry = contest(workload, batch)[peer]
    if entry.runner is None:
        pytest.skip(entry.missing)
    benchmark.group = f"{workload} x {batch}"
    benchmark.extra_info.update(
        workload=workload, batch=batch, turn=turn, peer=peer, steps=entry.steps
    )
    benchmark.pedantic(entry.runner, args=(entry.steps,), rounds=1, iterations=1)
