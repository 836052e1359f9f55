"""Does commit B cost more than commit A, or leave a larger gap? Ratios within one run, never times.

    python -m bench.gate A [B] [--factor 1.07] [-k WORD ...] [--json FILE]

A and B are commits; `.` is the working tree, and B if none is given. What is measured are the
benchmarks of `bench/asv`. Each commit has a process; a round asks them for a sample in the order
A, B, B, A, and its ratio is that of each one's better sample: what the machine does meanwhile it
does to both. A case whose median is above the factor is measured twice more, in fresh processes, as
code and data may happen to lie better in one of them; it is slower if the whole band of its median
is above the factor then. Gaps are numbers, and compared as they are.

Exit codes: 0 no, 1 yes, 2 wrong usage or a benchmark that failed.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any

from rich.console import Console
from rich.progress import track
from rich.table import Table
from scipy.stats import binom

from bench.sampler import Case, cases

ROOT = Path(__file__).resolve().parent.parent
EXPORTS = ROOT / ".asv" / "gate"
ROUNDS = 7
#: Times that a suspect is measured, each in fresh processes.
TURNS = 3
#: Seconds of processor time of one sample.
SAMPLE = 0.01
#: Of a band that does not hold the median.
MISSED = 0.02
SIDES = ("A", "B")


class Broken(Exception):  # noqa: N818 - it ends the comparison
    """A benchmark that failed, or a commit that there is not; says which."""


class Side:
    """A process with one commit's limitpoint."""

    def __init__(self, tree: Path) -> None:
        path = os.pathsep.join([str(tree / "core"), str(ROOT)])
        own = {"PYTHONPATH": path, "LIMITPOINT_THREADS": "1", "OMP_NUM_THREADS": "1"}
        self.process = subprocess.Popen(
            [sys.executable, "-m", "bench.sampler"], cwd=ROOT, env=os.environ | own,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip

    def ask(self, case: Case, times: int) -> float | None:
        """Seconds of so many calls, or a gap; None for what the commit lacks."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(json.dumps([case.name, case.params, times]) + "\n")
        self.process.stdin.flush()
        answer = self.process.stdout.readline()
        found = json.loads(answer) if answer else {"failed": "its process ended"}
        if "failed" in found:
            raise Broken(f"{case}: {found['failed']}")
        seconds: float | None = found["value"]
        return seconds

    def close(self) -> None:
        """End the process."""
        self.process.communicate()


@dataclass
class Compared:
    """Ratios B / A of a case, turn by turn; missing: whether A lacks it."""

    turns: list[list[float]] = field(default_factory=list)
    missing: bool = False

    def band(self) -> tuple[float, float, float]:
        """The median, between two ratios that hold it."""
        found = sorted(ratio for turn in self.turns for ratio in turn)
        cut = max(int(binom.ppf(MISSED / 2, len(found), 0.5)) - 1, 0)
        return found[cut], median(found), found[-1 - cut]

    def is_above(self, factor: float) -> bool:
        """Whether the band is, and most turns are."""
        return self.band()[0] > factor and median(map(median, self.turns)) > factor


def compare(trees: Sequence[Path], chosen: Sequence[Case], factor: float) -> dict[Case, Compared]:
    """Measure all cases, and suspects again."""
    found = {case: Compared() for case in chosen}
    # What is compiled lies elsewhere than what is loaded: let both be loaded.
    timed = [case for case in chosen if not case.is_gap]
    _turn(trees, {case: Compared() for case in timed}, timed, rounds=0)
    _turn(trees, found, chosen)
    for _ in range(TURNS - 1):
        suspects = [
            case
            for case, own in found.items()
            if not own.missing and not case.is_gap and own.band()[1] > factor
        ]
        if suspects:
            _turn(trees, found, suspects)
    return found


def _turn(
    trees: Sequence[Path],
    found: dict[Case, Compared],
    chosen: Sequence[Case],
    *,
    rounds: int = ROUNDS,
) -> None:
    """One pair of processes: rounds outside, so that a burst of something else meets each once."""
    sides = [Side(tree) for tree in trees]
    try:
        times = {}
        for case in track(chosen, "preparing", console=Console(stderr=True), transient=True):
            here, there = (side.ask(case, 0) for side in sides)
            if there is None:
                raise Broken(f"{case}: B lacks it, or what it uses")
            if here is None:
                found[case].missing = True
            elif case.is_gap:
                found[case].turns.append([there / here])
            else:
                times[case] = max(1, round(SAMPLE / max(min(here, there), 1e-9)))
                found[case].turns.append([])
        for _ in track(range(rounds), "rounds", console=Console(stderr=True), transient=True):
            for case, count in times.items():
                found[case].turns[-1].append(_ratio(sides, case, count))
    finally:
        for side in sides:
            side.close()


def _ratio(sides: Sequence[Side], case: Case, count: int) -> float:
    spent: tuple[list[float], list[float]] = ([], [])
    for side in (0, 1, 1, 0):
        spent[side].append(sides[side].ask(case, count) or 0.0)
    return min(spent[1]) / min(spent[0])


def tree(commit: str) -> Path:
    """The folder of a commit, exported once; the working tree for a dot.

    Raises:
        Broken: there is no such commit.
    """
    if commit == ".":
        return ROOT
    git = ["git", "-C", str(ROOT)]
    parsed = subprocess.run(
        [*git, "rev-parse", "--quiet", "--verify", f"{commit}^{{commit}}"],
        capture_output=True, text=True,
    )  # fmt: skip
    if parsed.returncode != 0:
        raise Broken(f"{commit}: no such commit")
    folder = EXPORTS / parsed.stdout.strip()
    if not (folder / "core").exists():
        folder.mkdir(parents=True, exist_ok=True)
        archive = subprocess.run([*git, "archive", folder.name], capture_output=True, check=True)
        subprocess.run(["tar", "-x", "-C", str(folder)], input=archive.stdout, check=True)
    return folder


def table(found: dict[Case, Compared], factor: float) -> Table:
    """A row a case: median of the ratios, its band, and what it comes to."""
    shown = Table(title="cost of B / cost of A, processor time", title_justify="left")
    shown.add_column("benchmark")
    for column in ("ratio", "band", "turns", ""):
        shown.add_column(column, justify="right")
    for case, own in found.items():
        if own.missing:
            shown.add_row(str(case), "-", "", "", "new")
            continue
        low, middle, high = own.band()
        worse = "larger" if case.is_gap else "SLOWER"
        verdict = f"[red]{worse}[/]" if own.is_above(factor) else ""
        band = "" if case.is_gap else f"{low:.3f} - {high:.3f}"
        shown.add_row(str(case), f"{middle:.3f}", band, str(len(own.turns)), verdict)
    return shown


def chosen(words: Iterable[str]) -> list[Case]:
    """The cases in whose names each word stands."""
    return [case for case in cases() if all(word in str(case) for word in words)]


def _factor(text: str) -> float:
    value = float(text)
    if not 1 < value < float("inf"):
        raise argparse.ArgumentTypeError(f"{text}: the factor must be a number > 1")
    return value


def arguments(given: Sequence[str] | None) -> Any:
    """What is asked for."""
    parser = argparse.ArgumentParser(prog="ci/gate", description=__doc__.partition("\n")[0])
    parser.add_argument("commits", nargs="+", metavar="COMMIT", help="A and B; . is what lies here")
    parser.add_argument("--factor", type=_factor, default=1.07, help="what counts as more")
    parser.add_argument("-k", action="append", default=[], metavar="WORD", dest="words")
    parser.add_argument("--json", type=Path, help="where to keep the ratios")
    options = parser.parse_args(given)
    if len(options.commits) > 2:
        parser.error(f"two commits at most: {' '.join(options.commits)}")
    return options


def main(given: Sequence[str] | None = None) -> int:
    """Compare, print, and say by the exit code what came out."""
    options = arguments(given)
    wanted = chosen(options.words)
    try:
        if not wanted:
            raise Broken(f"-k {' -k '.join(options.words)}: no benchmark of that name")
        trees = [tree(commit) for commit in (*options.commits, ".")[:2]]
        found = compare(trees, wanted, options.factor)
    except Broken as why:
        print(f"gate: {why}", file=sys.stderr)
        return 2
    console = Console()
    console.width = max(console.width, 100)
    console.print(table(found, options.factor))
    if options.json is not None:
        ratios = {str(case): own.turns for case, own in found.items()}
        options.json.write_text(json.dumps(ratios, indent=2) + "\n", encoding="utf-8")
    worse = [
        case for case, own in found.items() if not own.missing and own.is_above(options.factor)
    ]
    print(f"{len(found)} benchmarks, {len(worse)} worse by more than {options.factor:g}")
    return 1 if worse else 0


if __name__ == "__main__":
    sys.exit(main())
