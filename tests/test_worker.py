"""Whatever a subject does to its process is a verdict, and ends with it."""

import ctypes
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from subject_zoo import Quiet, final, gap, logistic_problem

from limitpoint import Claim, Setting, evaluate, optimizers
from limitpoint.errors import Inconclusive, SubjectFailed
from limitpoint.subjects import UNLIMITED, Limits, Subject, apart


class Segfaults(Quiet):
    def step(self):
        ctypes.string_at(0)


class LeavesAtOnce(Quiet):
    def __init__(self, params, lr=0.1):
        os._exit(0)


class Leaves(Quiet):
    def step(self):
        self.t = getattr(self, "t", 0) + 1
        if self.t == 4:
            os._exit(3)
        self.descend()


class Kills(Quiet):
    def step(self):
        os.kill(os.getpid(), signal.SIGKILL)


class Interrupts(Quiet):
    def step(self):
        raise KeyboardInterrupt


class Execs(Quiet):
    def step(self):
        os.execv(sys.executable, [sys.executable, "-c", "pass"])


class RaisesInAThread(Quiet):
    """Its thread dies of itself, and it goes on as it should."""

    def step(self):
        thread = threading.Thread(target=lambda: 1 / 0)
        thread.start()
        thread.join()
        self.descend()


class RaisesAtItsEnd(Quiet):
    def __del__(self):
        raise ValueError("at the end")

    def step(self):
        self.descend()


class Blocks(Quiet):
    """No signal that can be blocked gets through, and what computes is another thread."""

    def step(self):
        signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())

        def compute():
            while True:
                pass

        thread = threading.Thread(target=compute)
        thread.start()
        thread.join()


class Shouts(Quiet):
    def step(self):
        for _ in range(10):
            print("x" * 999_999)
        os.write(1, b"y" * 10_000_000)
        self.descend()


class ChangesEverything(Quiet):
    def step(self):
        torch.set_default_dtype(torch.float16)
        torch.set_num_threads(2)
        torch.manual_seed(0)
        torch.use_deterministic_algorithms(True)
        torch.optim.SGD.step = None
        optimizers.GD.direction = None
        np.seterr(all="raise")
        os.environ["LIMITPOINT_THREADS"] = "x"
        os.chdir("/")
        self.descend()


class Counts(Quiet):
    """What it has done before, it remembers in its class."""

    steps = 0

    def step(self):
        type(self).steps += 1
        if type(self).steps > 5:
            raise ValueError("worn out")
        self.descend()


CRASHES = {
    Segfaults: r"crashed at step 0 \(SIGSEGV\)",
    LeavesAtOnce: r"ended its process in its constructor \(exit code 0\)",
    Leaves: r"ended its process at step 3 \(exit code 3\)",
    Kills: r"crashed at step 0 \(SIGKILL\)",
    Interrupts: r"raised KeyboardInterrupt at step 0",
    Execs: r"ended its process at step 0 \(exit code 0\)",
}


def run_of(subject, steps=5, **limits):
    return final(
        Subject.from_object("gd", subject, Limits(**limits)).rule(0.5), logistic_problem(), steps
    )


@pytest.mark.parametrize("faulty", CRASHES, ids=lambda f: f.__name__)
def test_an_end_of_its_process_is_a_verdict(faulty):
    with pytest.raises(SubjectFailed, match=f"^{CRASHES[faulty]}$"):
        run_of(faulty)


def test_a_hang_that_no_signal_reaches():
    with pytest.raises(SubjectFailed, match=r"^exceeded its time limit of 0\.5 s at step 0$"):
        run_of(Blocks, timeout=0.5)


def test_what_is_computed_elsewhere_does_not_count():
    """The limit is one of the subject's processor time, not of a busy machine's clock."""

    class Waits(Quiet):
        def step(self):
            time.sleep(0.1)
            self.descend()

    run_of(Waits, steps=5, timeout=0.4)


@pytest.mark.parametrize("odd", [RaisesInAThread, RaisesAtItsEnd, Shouts, ChangesEverything])
def test_what_ends_with_its_process(odd, capsys):
    rule, problem = Subject.from_object("gd", odd).rule(0.5), logistic_problem()
    before = (torch.get_num_threads(), torch.get_rng_state().tolist(), np.geterr(), Path.cwd())
    assert gap(rule, optimizers.GD(0.5), problem, 3) <= 1e-15
    assert before == (
        torch.get_num_threads(), torch.get_rng_state().tolist(), np.geterr(), Path.cwd()
    )  # fmt: skip
    assert torch.get_default_dtype() == torch.float32
    assert not torch.are_deterministic_algorithms_enabled()
    assert callable(torch.optim.SGD.step)
    assert len(capsys.readouterr().out) < 200_000


def test_its_children_end_with_it(tmp_path):
    class Parent(Quiet):
        def step(self):
            for new_session in (False, True):
                child = subprocess.Popen(["sleep", "600"], start_new_session=new_session)
                with (tmp_path / "children").open("a") as file:
                    file.write(f"{child.pid}\n")
            self.descend()

    run_of(Parent, steps=2)
    children = [int(line) for line in (tmp_path / "children").read_text().split()]
    assert len(children) == 4
    ends = time.monotonic() + 5
    while any(map(is_running, children)) and time.monotonic() < ends:
        time.sleep(0.01)
    assert not any(map(is_running, children))


def is_running(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except FileNotFoundError:
        return False


def test_no_run_depends_on_another():
    for _ in range(3):
        run_of(Counts, steps=5)
    with pytest.raises(SubjectFailed, match="worn out"):
        run_of(Counts, steps=6)
    assert Counts.steps == 0


def body(trial):
    moved = trial.run(logistic_problem(), trial.optimizer("gd", 0.5), 5).final
    trial.close("moved", moved, optimizers_end(), 1e-12, "rounding")


def optimizers_end():
    return final(optimizers.GD(0.5), logistic_problem(), 5)


@pytest.mark.parametrize("faulty", [Segfaults, LeavesAtOnce, Blocks, ChangesEverything])
def test_the_next_claim_and_the_next_subject_are_unharmed(faulty):
    claim = Claim("own/gd", "none", "none", (), "limit", ("gd",), (), body, seeded=False)
    bad = Subject.from_object("gd", faulty, Limits(timeout=0.5, memory=1.0))
    good = Subject.from_object("gd", torch.optim.SGD)
    alone = evaluate(claim, [good], Setting())
    first = evaluate(claim, [bad], Setting())
    assert evaluate(claim, [bad], Setting()).verdict == first.verdict
    after = evaluate(claim, [good], Setting())
    assert (after.verdict, after.evidence) == (alone.verdict, alone.evidence)
    assert after.verdict == "supported"


def test_a_reply_that_is_none(monkeypatch):
    class Forges(Quiet):
        def step(self):
            for fd in range(3, 64):
                try:
                    os.write(fd, b"\x02" + b"\x00" * 7 + b"xx")
                except OSError:
                    continue

    with pytest.raises((SubjectFailed, Inconclusive)):
        run_of(Forges)


def test_cuda_is_not_there_after_the_fork(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    found = apart(lambda: {"there": np.array(torch.cuda.is_available())}, UNLIMITED)
    assert not found["there"]
    assert torch.cuda.is_available()
