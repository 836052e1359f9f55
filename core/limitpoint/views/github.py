"""What GitHub Actions shows: a summary in Markdown, and an annotation for each failure."""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

from limitpoint.judgement.record import Record, papers
from limitpoint.judgement.verdict import Verdict
from limitpoint.ledger.expected import count_excused


def markdown(records: Sequence[Record], failures: Sequence[Record]) -> str:
    """A table of verdicts by paper, and the claims that fail the run with a command to paste."""
    lines = ["## limitpoint", "", f"| paper | {' | '.join(Verdict)} |", "|---" * 5 + "|"]
    for paper in papers(records):
        counts = Counter(r.verdict for r in records if r.paper == paper)
        lines.append(f"| {plain(paper)} | {' | '.join(str(counts[v]) for v in Verdict)} |")
    for record in failures:
        told = f"{record.verdict} (seed {record.seed}): {plain(record.reason)}"
        lines += ["", f"**{plain(record.id)}** {told}", "", *_block(record.reproduce)]
    excused = count_excused(records, failures)
    lines += ["", excused] if excused else []
    return "\n".join(lines) + "\n"


def plain(text: str) -> str:
    """Text that Markdown and HTML show as it is, on one line."""
    return re.sub(r"([\\`*_{}\[\]()<>#+!|~&$-])", r"\\\1", " ".join(text.split()))


def _block(command: str) -> list[str]:
    """A command in a fence that is longer than any run of backticks in it."""
    longest = max(map(len, re.findall("`+", command)), default=0)
    fence = "`" * max(3, longest + 1)
    return [f"{fence}sh", " ".join(command.splitlines()), fence]


def error_lines(failures: Sequence[Record]) -> list[str]:
    """One ::error line for each failure."""
    return [
        f"::error title={_property(f'{record.id} {record.verdict}')}::"
        + _data(f"{record.reason}\n{record.reproduce}")
        for record in failures
    ]


def _data(text: str) -> str:
    """Escaped as the runner wants the message of a command."""
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    """Escaped as the runner wants a property of a command."""
    return _data(text).replace(":", "%3A").replace(",", "%2C")


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
