"""What a ledger of many records costs: `python -m bench.load 1000000`.

A line for each of gate, report and resume: processor seconds, and the most memory that was held.
"""

from __future__ import annotations

import resource
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import msgspec

from limitpoint.judgement.record import Record
from limitpoint.ledger import Ledger, suite

BASELINE = Path(__file__).parents[1] / "reports" / "baseline.json"
GATE = "from limitpoint.cli import main; main(['gate', FILE, '--baseline', FILE])"
REPORT = "from limitpoint.cli import main; main(['report', FILE])"
RESUME = """
from pathlib import Path
from limitpoint.ledger import Keeper, Ledger
from limitpoint.ledger.resume import resume
from limitpoint.session import Session
before = resume(Path(FILE), None, {})
print(len(before.done), "done")
session = Session.__new__(Session)
session.records, session.failed = before.records, before.failed
session.keeper = Keeper(Ledger.read(Path(FILE)), Path(FILE))
for record in [r for r in before.records if r.failed]:
    session.add(record)
session.close()
"""
WORK = {"gate": GATE, "report": REPORT, "resume": RESUME}


def grown(count: int) -> Ledger:
    """The baseline's records under ever more seeds, every hundredth a failure."""
    ledger = Ledger.read(BASELINE)

    def records() -> Iterator[Record]:
        for k in range(count):
            record = ledger.claims[k % len(ledger.claims)]
            verdict = "refuted" if k % 100 == 0 else record.verdict
            reproduce = record.reproduce.replace("--seeds 42", f"--seeds {k}")
            yield msgspec.structs.replace(
                record, seed=k, seeded=True, verdict=verdict, reproduce=reproduce
            )

    return Ledger(suite(), ledger.environment, records())  # type: ignore[arg-type]


def main(count: int) -> None:
    """Measure each in a process of its own."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "ledger.json"
        grown(count).write(path)
        print(f"{count} records, {path.stat().st_size / 1e6:.0f} MB")
        for name, script in WORK.items():
            before = resource.getrusage(resource.RUSAGE_CHILDREN)
            text = script.replace("FILE", repr(str(path))) + PEAK
            done = subprocess.run([sys.executable, "-c", text], capture_output=True, text=True)
            after = resource.getrusage(resource.RUSAGE_CHILDREN)
            seconds = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
            peak = done.stdout.splitlines()[-1] if done.returncode == 0 else done.stderr[-300:]
            print(f"{name:8} {seconds:8.1f} s   {peak} MB", flush=True)


PEAK = "\nimport resource; print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024)"

if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000)
