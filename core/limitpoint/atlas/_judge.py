"""One optimizer against every law, and what it is."""

from __future__ import annotations

import io
from collections.abc import Mapping
from contextlib import redirect_stderr, redirect_stdout

from limitpoint.atlas._rows import Law, Row
from limitpoint.errors import Inconclusive, NotApplicable, SubjectFailed, UsageError
from limitpoint.judgement.evaluate import evaluate
from limitpoint.judgement.registry import claims_of
from limitpoint.judgement.setting import Setting
from limitpoint.recognition import recognise_apart
from limitpoint.subjects import Limits, Subject

#: Of processor time, where a law takes a tenth of a second and compiling one some seconds.
LIMITS = Limits(timeout=30.0, memory=4.0)
#: Beside the verdicts: the law stumbled over it.
FAILED = "failed"


def judge(target: str, versions: Mapping[str, str]) -> Row:
    """A row, whatever happens.

    Args:
        target: MODULE:ATTR, of a module that can be imported.
        versions: kept in the row.
    """
    sink = io.StringIO()
    with redirect_stdout(sink), redirect_stderr(sink):
        try:
            subject = Subject.from_target("optimizer", target, LIMITS)
        except UsageError as exc:
            return Row(target=target, versions=dict(versions), why=str(exc))
        return _judged(subject, dict(versions))


def _judged(subject: Subject, versions: dict[str, str]) -> Row:
    facts: dict[str, str] = {}
    roles: tuple[str, ...] = ()
    try:
        found = recognise_apart(subject)
        facts, roles = dict(found.facts), found.roles
    except RuntimeError as exc:  # ours: the laws may say more
        facts = {FAILED: _first_line(exc)}
    except (SubjectFailed, Inconclusive, NotApplicable) as exc:
        return Row(target=subject.target, versions=versions, why=str(exc))
    laws = {}
    for law in claims_of(paper="laws"):
        name = law.id.partition("/")[2]
        try:
            record = evaluate(law, [subject], Setting())
        except Exception as exc:  # the law's own: one row, not the end of the atlas
            laws[name] = Law(FAILED, _first_line(exc))
        else:
            laws[name] = Law(str(record.verdict), record.reason)
    return Row(target=subject.target, versions=versions, facts=facts, roles=roles, laws=laws)


def _first_line(exc: Exception) -> str:
    return f"{type(exc).__name__}: {exc}".partition("\n")[0]
