"""What the suite itself costs: imports, a first verdict, collecting, a claim of nothing, a run."""

import subprocess
import sys
import time
from functools import partial
from typing import Any

from ._commit import evaluated, skipped_where_missing


class Import:
    """A fresh process that imports limitpoint."""

    number = 1
    repeat = 3

    def timeraw_limitpoint(self) -> str:
        """The package alone; its parts are loaded when they are first used."""
        return "import limitpoint"

    def timeraw_run(self) -> str:
        """The package with its engine."""
        return "from limitpoint import run"

    def timeraw_plugin(self) -> str:
        """What every pytest session pays where limitpoint is installed."""
        return "import limitpoint.plugin"


class FirstVerdict:
    """What a user waits for: the first line that `limitpoint check` says of a class."""

    in_processes = True
    unit = "seconds"
    timeout = 300

    def setup(self) -> None:
        """Skip a commit without the command."""
        with skipped_where_missing():
            from limitpoint.commands import check_  # noqa: F401

    def track_first_line(self) -> float:
        """Seconds from the start of the process; the least of three."""
        return min(self._first_line() for _ in range(3))

    @staticmethod
    def _first_line() -> float:
        check = "from limitpoint.cli import main; main(['check', 'torch.optim:Adam'])"
        started = time.perf_counter()
        command = [sys.executable, "-u", "-c", check]
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as asked:
            assert asked.stdout is not None
            asked.stdout.readline()
            seconds = time.perf_counter() - started
            asked.terminate()
        return seconds


class Collection:
    """pytest, collecting every claim and running none."""

    in_processes = True
    number = 1
    repeat = 1
    warmup_time = 0
    timeout = 300

    def setup(self) -> None:
        """Find the claims."""
        with skipped_where_missing():
            from limitpoint.judgement.registry import claims_folder

            command = ["-m", "pytest", "--collect-only", "--quiet", "-p", "no:cacheprovider"]
            self.command = [sys.executable, *command, "--import-mode=importlib", claims_folder()]

    def time_claims(self) -> None:
        """Seconds of the whole process."""
        subprocess.run(self.command, check=True, capture_output=True)


class Claim:
    """Twenty claims without work."""

    timer = time.process_time

    def setup(self) -> None:
        """A claim that compares its seed with itself."""
        with skipped_where_missing():
            from limitpoint import Setting, claim

            @claim("bench/nothing", source="", statement="", hypotheses=(), kind="bound")
            def nothing(trial: Any) -> None:
                trial.at_most("seed", trial.seed, trial.seed, 0.0, "exact")

            self.claim, self.setting = nothing.claim, Setting()

    def time_evaluate(self) -> None:
        """A trial, one comparison, a verdict."""
        for _ in range(20):
            evaluated(self.claim, self.setting)


class Run:
    """Twenty runs of one step on the smallest problem there is."""

    params = ("torch", "fused")
    param_names = ("engine",)
    timer = time.process_time
    repeat = (3, 10, 0.5)
    timeout = 300

    def setup(self, engine: str) -> None:
        """The problem, and one run: kernels are compiled before the clock runs."""
        with skipped_where_missing():
            from limitpoint import optimizers, problems, run

            if engine == "fused":
                from limitpoint.engines.cpu import plan  # noqa: F401 - a commit may not have it

            self.run = partial(run, problems.one_equation(), optimizers.GD(1e-3), 1, engine=engine)
            self.run()

    def time_one_step(self, engine: str) -> None:
        """What a run costs besides its steps: planning, packing, recording."""
        for _ in range(20):
            self.run()
