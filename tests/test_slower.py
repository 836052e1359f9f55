"""The gate on costs: a kernel made slower on purpose is caught, and nothing else is."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from bench import gate
from bench.sampler import Case, cases

ROOT = Path(__file__).resolve().parent.parent
ONE_SAM = Case("kernels.Diagonal.time_run", ("1-sam", 1, "cpu"))
GAP = Case("gaps.Claims.track_gap", ("a gap",))
#: What is done once in an ascent; three times, it makes a step about 1.3 times as long.
ONCE = "    invoke(task.ascended, (task.X, w, lo, hi, task.n, task.z, task.scratch))\n"


def slowed(folder):
    """This tree with a kernel that does part of its work over again."""
    shutil.copytree(ROOT / "core", folder / "core")
    kernel = folder / "core" / "limitpoint" / "engines" / "cpu" / "kernels" / "_gradients.py"
    text = kernel.read_text()
    assert text.count(ONCE) == 1
    kernel.write_text(text.replace(ONCE, 3 * ONCE))
    return folder


@pytest.mark.nightly
def test_a_slower_kernel_is_caught_and_an_equal_one_is_not(tmp_path):
    cases = [ONE_SAM, Case(ONE_SAM.name, ("gd", 1, "cpu"))]
    found = gate.compare([ROOT, slowed(tmp_path)], cases, 1.07)
    one_sam, gd = found.values()
    assert one_sam.is_above(1.07)
    assert len(one_sam.turns) == gate.TURNS
    assert not gd.is_above(1.07)


def test_every_benchmark_of_a_process_is_compared():
    names = {case.name.rpartition(".")[0] for case in cases()}
    kernels = {"Linear", "Binary", "Diagonal", "Multiclass", "Relu"}
    assert names == {f"kernels.{kernel}" for kernel in kernels} | {
        "overhead.Claim", "overhead.Run", "deep.Gradient", "deep.Stack", "gaps.Claims",
    }  # fmt: skip
    assert all(json.loads(json.dumps(case.params)) == list(case.params) for case in cases())


class Machine:
    """Two sides with costs of their own, both slower by as much at times."""

    def __init__(self, monkeypatch, a, b, noise=0.05):
        random, self.starts = np.random.default_rng(0), 0
        machine = self

        class Side:
            def __init__(self, tree):
                machine.starts += 1
                self.cost = {"A": a, "B": b}[tree]

            def ask(self, case, times):
                if self.cost is None:
                    return None
                busy = 2.0 if random.random() < 0.1 else 1.0
                return max(times, 1) * self.cost * busy * random.uniform(1, 1 + noise)

            def close(self):
                pass

        monkeypatch.setattr(gate, "Side", Side)

    def verdict(self, case=ONE_SAM):
        return gate.compare(["A", "B"], [case], 1.1)[case]


@pytest.mark.parametrize(("cost", "caught"), [(1.3, True), (1.2, True), (1.0, False), (0.7, False)])
def test_a_cost_is_told_from_noise(monkeypatch, cost, caught):
    machine = Machine(monkeypatch, 0.01, 0.01 * cost)
    verdicts = [machine.verdict().is_above(1.1) for _ in range(50)]
    assert verdicts == 50 * [caught]


def test_only_a_suspect_is_measured_again(monkeypatch):
    machine = Machine(monkeypatch, 0.01, 0.01)
    assert len(machine.verdict().turns) == 1
    assert machine.starts == 2 + 2
    machine = Machine(monkeypatch, 0.01, 0.013)
    assert len(machine.verdict().turns) == gate.TURNS
    assert machine.starts == 2 + 2 * gate.TURNS


def test_a_process_that_happens_to_be_slow_is_no_regression():
    compared = gate.Compared([[1.3] * 7, [1.0] * 7, [1.01] * 7])
    assert not compared.is_above(1.1)


def test_a_gap_is_compared_as_it_is(monkeypatch):
    machine = Machine(monkeypatch, 0.25, 0.75)
    assert len(machine.verdict(GAP).turns) == 1
    assert gate.Compared([[1.2]]).is_above(1.1)
    assert not gate.Compared([[1.05]]).is_above(1.1)


def test_what_is_new_is_said_and_what_is_lost_is_an_error(monkeypatch, capsys):
    found = Machine(monkeypatch, None, 1.0).verdict()
    assert found.missing
    gate.Console(width=100).print(gate.table({ONE_SAM: found}, 1.1))
    assert "new" in capsys.readouterr().out
    with pytest.raises(gate.Broken, match="B lacks it"):
        Machine(monkeypatch, 1.0, None).verdict()


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        ([], "the following arguments are required: COMMIT"),
        (["HEAD", "nowhere"], "gate: nowhere: no such commit"),
        (["HEAD", "HEAD", "HEAD"], "two commits at most"),
        (["HEAD", "--factor", "0.5"], "the factor must be a number > 1"),
        (["HEAD", "-k", "nothing"], "gate: -k nothing: no benchmark of that name"),
    ],
)
def test_wrong_usage_exits_with_two(arguments, why, capsys):
    try:
        code = gate.main(arguments)
    except SystemExit as ended:
        code = ended.code
    assert code == 2
    assert why in capsys.readouterr().err


def test_a_benchmark_that_fails_is_named(monkeypatch, capsys):
    monkeypatch.setattr(gate, "chosen", lambda words: [Case("kernels.Linear.time_run", ("no",))])
    assert gate.main(["."]) == 2
    assert "gate: kernels.Linear(no): TypeError" in capsys.readouterr().err
