"""What GitHub Actions shows: a summary in Markdown, and an annotation for each failure."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from limitpoint.ledger import papers
from limitpoint.ledger.expected import count_excused

Record = dict[str, Any]
VERDICTS = ("supported", "refuted", "inconclusive", "not-applicable")


def markdown(records: Sequence[Record], failures: Sequence[Record]) -> str:
    """A table of verdicts by paper, and the claims that fail the run with a command to paste."""
    lines = ["## limitpoint", "", f"| paper | {' | '.join(VERDICTS)} |", "|---" * 5 + "|"]
    for paper in papers(records):
        rows = [r for r in records if r["id"].partition("/")[0] == paper]
        counts = Counter(row["verdict"] for row in rows)
        lines.append(f"| {paper} | {' | '.join(str(counts[v]) for v in VERDICTS)} |")
    for record in failures:
        reason = record["reason"].replace("\n", " ")
        lines += ["", f"**{record['id']}** {record['verdict']} (seed {record['seed']}): {reason}"]
        lines += ["", "```sh", record["reproduce"], "```"]
    excused = count_excused(records, failures)
    lines += ["", excused] if excused else []
    return "\n".join(lines) + "\n"


def error_lines(failures: Sequence[Record]) -> list[str]:
    """One ::error line for each failure; its newlines escaped as the runner wants."""
    return [
        f"::error title={record['id']} {record['verdict']}::"
        + f"{record['reason']}\n{record['reproduce']}".replace("%", "%25").replace("\n", "%0A")
        for record in failures
    ]


def publish(
    records: Sequence[Record],
    failures: Sequence[Record],
    environment: Mapping[str, str] = os.environ,
) -> None:
    """Append the summary and print the annotations, where a runner is listening.

    Args:
        records: of the ledger.
        failures: those of them that fail the run.
        environment: variables that a runner sets.
    """
    summary = environment.get("GITHUB_STEP_SUMMARY")
    if summary:
        with Path(summary).open("a", encoding="utf-8") as out:
            out.write(markdown(records, failures))
    if environment.get("GITHUB_ACTIONS") == "true":
        print("\n".join(error_lines(failures)))
